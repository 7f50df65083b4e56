//! Comparing connections as the C library does.

use std::ffi::c_uint;

use super::Conntrack;
use crate::sys;

/// The compared parts of two connections, and the strictness.
///
/// By default an attribute that one of the two lacks is equal to anything: an object with a mark
/// and nothing else matches every object with this mark. [`masked`](Self::masked) and
/// [`strict`](Self::strict) change that.
///
/// These are the rules of `nfct_cmp`, as found by tests:
///
/// | part | attributes compared |
/// |---|---|
/// | original, reply | family, addresses, protocol, the zone of that direction alone; ports or ICMP fields when both have a protocol |
/// | the rest, only with [`all`](Self::all) | id, mark, timeout, status, TCP, SCTP and DCCP state, zones, security context, labels and their mask |
///
/// Nothing else is ever compared: counters, flags and window scales, helper, NAT, times, sequence
/// numbers, SYN proxy, master, use count. The status matches when the first object's bits are all
/// in the second's, so it depends on the order. Label sets of different size are equal when the
/// longer one has no bit beyond the shorter.
///
/// The C library also has `NFCT_CMP_TIMEOUT_EQ`, `_GT`, `_GE`, `_LT` and `_LE`. They compare
/// nothing: with one of them alone any two objects are equal. So there is no option for them here;
/// [`get`](Conntrack::get) gives the timeouts to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comparison {
    flags: c_uint,
}

impl Comparison {
    /// Both tuples, and everything else that is ever compared.
    #[doc(alias = "NFCT_CMP_ALL")]
    #[must_use]
    pub const fn all() -> Self {
        Self { flags: sys::NFCT_CMP_ALL }
    }

    /// The original tuple only.
    #[doc(alias = "NFCT_CMP_ORIG")]
    #[must_use]
    pub const fn original() -> Self {
        Self { flags: sys::NFCT_CMP_ORIG }
    }

    /// The reply tuple only.
    #[doc(alias = "NFCT_CMP_REPL")]
    #[must_use]
    pub const fn reply() -> Self {
        Self { flags: sys::NFCT_CMP_REPL }
    }

    /// Both tuples only.
    #[must_use]
    pub const fn tuples() -> Self {
        Self { flags: sys::NFCT_CMP_ORIG | sys::NFCT_CMP_REPL }
    }

    /// Attributes of the first object have to be in the second too.
    #[doc(alias = "NFCT_CMP_MASK")]
    #[must_use]
    pub const fn masked(self) -> Self {
        Self { flags: self.flags | sys::NFCT_CMP_MASK }
    }

    /// Attributes of one object have to be in the other too; but no mark and no zone are mark 0 and
    /// zone 0.
    #[doc(alias = "NFCT_CMP_STRICT")]
    #[must_use]
    pub const fn strict(self) -> Self {
        Self { flags: self.flags | sys::NFCT_CMP_STRICT }
    }
}

impl Conntrack {
    /// Whether this object matches the other, as [`Comparison`] defines it.
    ///
    /// This is not an equality: a missing attribute matches anything, and the order matters.
    #[doc(alias = "nfct_cmp")]
    #[doc(alias = "nfct_compare")]
    #[must_use]
    pub fn matches(&self, other: &Self, comparison: Comparison) -> bool {
        // SAFETY: both objects are alive and only read; any flags may be given.
        unsafe { sys::nfct_cmp(self.as_ptr(), other.as_ptr(), comparison.flags) == 1 }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::model::flow::Flow;
    use crate::nfct::{Bitmask, attr};

    const ALL: Comparison = Comparison::all();

    fn ct(set: impl FnOnce(&mut Conntrack)) -> Conntrack {
        let mut ct = Conntrack::new().unwrap();
        set(&mut ct);
        ct
    }

    fn tcp(last: u8, port: u16) -> Conntrack {
        ct(|ct| {
            ct.set(attr::ORIG_L3PROTO, 2).unwrap();
            ct.set(attr::ORIG_L4PROTO, 6).unwrap();
            ct.set(attr::ORIG_IPV4_SRC, Ipv4Addr::new(10, 0, 0, last)).unwrap();
            ct.set(attr::ORIG_IPV4_DST, Ipv4Addr::new(10, 0, 1, 1)).unwrap();
            ct.set(attr::ORIG_PORT_SRC, port).unwrap();
            ct.set(attr::ORIG_PORT_DST, 80).unwrap();
            ct.setup_reply().unwrap();
        })
    }

    #[test]
    fn what_is_missing_is_equal_unless_masked_or_strict() {
        let mark = ct(|ct| ct.set(attr::MARK, 7).unwrap());
        let timeout = ct(|ct| ct.set(attr::TIMEOUT, 7).unwrap());
        let none = ct(|_| ());
        assert!(timeout.matches(&none, ALL) && none.matches(&timeout, ALL));
        assert!(!timeout.matches(&none, ALL.masked()) && none.matches(&timeout, ALL.masked()));
        assert!(!timeout.matches(&none, ALL.strict()) && !none.matches(&timeout, ALL.strict()));
        assert!(mark.matches(&none, ALL) && !mark.matches(&none, ALL.strict()));
        assert!(!mark.matches(&ct(|ct| ct.set(attr::MARK, 8).unwrap()), ALL));
    }

    #[test]
    fn strictly_no_mark_and_no_zone_are_0() {
        let none = ct(|_| ());
        let zeros = [
            ct(|ct| ct.set(attr::MARK, 0).unwrap()),
            ct(|ct| ct.set(attr::ZONE, 0).unwrap()),
            ct(|ct| ct.set(attr::ORIG_ZONE, 0).unwrap()),
            ct(|ct| ct.set(attr::REPL_ZONE, 0).unwrap()),
        ];
        for zero in &zeros {
            assert!(zero.matches(&none, ALL.strict()) && none.matches(zero, ALL.strict()));
        }
        let zone = ct(|ct| ct.set(attr::ZONE, 1).unwrap());
        assert!(!zone.matches(&none, ALL.strict()) && zone.matches(&none, ALL));
    }

    #[test]
    fn status_bits_of_the_first_have_to_be_in_the_second() {
        let few = ct(|ct| ct.set(attr::STATUS, 0b0010).unwrap());
        let many = ct(|ct| ct.set(attr::STATUS, 0b1110).unwrap());
        assert!(few.matches(&many, ALL) && !many.matches(&few, ALL));
        assert!(few.matches(&many, ALL.strict()));
    }

    #[test]
    fn each_part_looks_at_its_own_attributes() {
        let (one, two) = (tcp(1, 1000), tcp(2, 1000));
        assert!(one.matches(&one, ALL.strict()));
        for comparison in [ALL, Comparison::original(), Comparison::reply(), Comparison::tuples()] {
            assert!(!one.matches(&two, comparison), "{comparison:?}");
        }
        assert!(!one.matches(&tcp(1, 1001), Comparison::original()), "ports are compared");
        // The reply of `one` with the original of `two`.
        let mut mixed = two.clone();
        mixed.copy_parts(&one, crate::nfct::Parts::REPLY).unwrap();
        assert!(one.matches(&mixed, Comparison::reply()) && !one.matches(&mixed, Comparison::original()));
        assert!(!one.matches(&mixed, Comparison::tuples()) && !one.matches(&mixed, ALL));
    }

    #[test]
    fn tuples_do_not_include_the_rest() {
        let (mut one, mut two) = (tcp(1, 1), tcp(1, 1));
        one.set(attr::MARK, 1).unwrap();
        two.set(attr::MARK, 2).unwrap();
        assert!(one.matches(&two, Comparison::tuples().strict()) && !one.matches(&two, ALL));
    }

    #[test]
    fn each_attribute_of_the_rest_tells_objects_apart() {
        type Set = fn(&mut Conntrack, u8);
        let compared: [(&str, Set); 8] = [
            ("mark", |ct, n| ct.set(attr::MARK, n.into()).unwrap()),
            ("timeout", |ct, n| ct.set(attr::TIMEOUT, n.into()).unwrap()),
            ("status", |ct, n| ct.set(attr::STATUS, n.into()).unwrap()),
            ("tcp", |ct, n| ct.set(attr::TCP_STATE, n).unwrap()),
            ("sctp", |ct, n| ct.set(attr::SCTP_STATE, n).unwrap()),
            ("dccp", |ct, n| ct.set(attr::DCCP_STATE, n).unwrap()),
            ("zone", |ct, n| ct.set(attr::ZONE, n.into()).unwrap()),
            ("labels", |ct, n| {
                ct.set(attr::CONNLABELS, Bitmask::from_words([n.into(), 0, 0, 0]).unwrap()).unwrap();
            }),
        ];
        for (name, set) in compared {
            assert!(!ct(|ct| set(ct, 1)).matches(&ct(|ct| set(ct, 2)), ALL), "{name}");
            assert!(ct(|ct| set(ct, 1)).matches(&ct(|ct| set(ct, 1)), ALL.strict()), "{name}");
        }
        let ignored: [(&str, Set); 9] = [
            ("flags", |ct, n| ct.set(attr::TCP_FLAGS_ORIG, n).unwrap()),
            ("scale", |ct, n| ct.set(attr::TCP_WSCALE_ORIG, n).unwrap()),
            ("helper", |ct, n| ct.set(attr::HELPER_NAME, if n == 1 { "ftp" } else { "sip" }).unwrap()),
            ("snat", |ct, n| ct.set(attr::SNAT_PORT, n.into()).unwrap()),
            ("secmark", |ct, n| ct.set(attr::SECMARK, n.into()).unwrap()),
            ("vtag", |ct, n| ct.set(attr::SCTP_VTAG_ORIG, n.into()).unwrap()),
            ("synproxy", |ct, n| ct.set(attr::SYNPROXY_ISN, n.into()).unwrap()),
            ("seq", |ct, n| ct.set(attr::ORIG_NAT_SEQ_CORRECTION_POS, n.into()).unwrap()),
            ("master", |ct, n| ct.set(attr::MASTER_L4PROTO, n).unwrap()),
        ];
        for (name, set) in ignored {
            assert!(ct(|ct| set(ct, 1)).matches(&ct(|ct| set(ct, 2)), ALL.strict()), "{name}");
            assert!(ct(|ct| set(ct, 1)).matches(&ct(|_| ()), ALL.strict()), "{name}");
        }
    }

    /// Of the attributes that only the kernel sets, id and security context are compared, counters are not.
    #[test]
    fn some_of_what_is_reported_is_compared() {
        let tuple = crate::Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap();
        let flow = |change: fn(&mut Flow, u8), number| {
            let mut flow = Flow::new(tuple);
            change(&mut flow, number);
            Conntrack::try_from(&flow).unwrap()
        };
        type Change = fn(&mut Flow, u8);
        let cases: [(bool, Change); 5] = [
            (true, |flow, n| flow.id = Some(n.into())),
            (true, |flow, n| flow.extra.security_context = Some(format!("context-{n}").into())),
            (true, |flow, n| flow.zone = crate::Zone::original_only(n.into())),
            (false, |flow, n| flow.use_count = Some(n.into())),
            (false, |flow, n| {
                flow.counters.reply = Some(crate::model::Counters { packets: n.into(), bytes: 0 })
            }),
        ];
        for (position, (compared, change)) in cases.into_iter().enumerate() {
            assert_eq!(!flow(change, 1).matches(&flow(change, 2), ALL), compared, "case {position}");
            assert!(flow(change, 1).matches(&flow(change, 1), ALL.strict()), "case {position}");
        }
    }

    /// Why there are no options for timeouts.
    #[test]
    fn timeout_flags_of_the_c_library_compare_nothing() {
        let (mut one, mut two) = (tcp(1, 1), tcp(2, 2));
        one.set(attr::TIMEOUT, 1).unwrap();
        two.set(attr::TIMEOUT, 2).unwrap();
        for flags in [
            sys::NFCT_CMP_TIMEOUT_EQ,
            sys::NFCT_CMP_TIMEOUT_GT,
            sys::NFCT_CMP_TIMEOUT_GE,
            sys::NFCT_CMP_TIMEOUT_LT,
            sys::NFCT_CMP_TIMEOUT_LE,
        ] {
            assert!(one.matches(&two, Comparison { flags }) && two.matches(&one, Comparison { flags }));
        }
    }
}
