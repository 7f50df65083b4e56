//! Filters of events, which the kernel applies before it queues an event.

mod attach;
mod kind;
pub(crate) mod size;

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use ipnet::IpNet;
use kind::{End, KINDS, Kind, MARKS, PROTOCOLS, STATES, ZONES, is_1_1, words};

use super::ObjectError;
use crate::model::address;
use crate::model::proto::{DccpState, Protocol, SctpState, TcpState};
use crate::sys;

/// Which messages a list of a filter lets pass, of those that have its attribute. The first values of
/// a list decide it for good.
#[doc(alias = "nfct_filter_set_logic")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logic {
    /// Those that match one of the values.
    #[doc(alias = "NFCT_FILTER_LOGIC_POSITIVE")]
    Only,
    /// Those that match none of the values.
    #[doc(alias = "NFCT_FILTER_LOGIC_NEGATIVE")]
    Except,
}

/// A filter of events, which the C library translates into a program for the kernel.
///
/// It has a list of values for each kind of thing it can look at: protocols, states, sources and
/// destinations of either family, marks, zones. A message passes when every list lets it pass. A
/// list looks at the original tuple, never at the reply.
///
/// The decision of a list about messages without its attribute:
///
/// | list | such messages | they |
/// |---|---|---|
/// | any | of expectations, and answers to requests | pass |
/// | states | of flows of other protocols | pass |
/// | IPv4 sources | of IPv6 flows | pass |
/// | IPv6 sources and destinations | of IPv4 flows | pass |
/// | IPv4 destinations | of IPv6 flows | are taken for flows to 5.0.1.0 (on big-endian machines 0.5.0.1) |
/// | marks | without a mark | have mark 0 |
/// | zones | without a zone, or with one for a single direction | are in zone 0 |
///
/// The line about IPv4 destinations is how the library's program works out, in every release: with
/// [`Logic::Only`] it drops IPv6 flows, with [`Logic::Except`] it lets them pass, unless a prefix
/// contains that address, as `0.0.0.0/0` does. Who needs IPv6 flows beside IPv4 destinations should
/// look at destinations in Rust.
///
/// One value too many is refused with [`ObjectError::TooMany`], and a refusal leaves
/// the filter as it was. The limits are those up to which the program decides correctly; the library
/// itself accepts more.
///
/// The kernel limits the size of the program too, by `net.core.optmem_max`: 131,072 bytes since Linux 6.8,
/// where every filter fits, and usually 20,480 before. The program takes 272 bytes (Linux 6.18; 232
/// with 5.10), and each list:
///
/// | list | values at most | bytes | and for each value |
/// |---|---:|---:|---:|
/// | protocols | 243 | 264 | 8 |
/// | states | 16 | 264 | 8 |
/// | IPv4 sources, IPv4 destinations | 81 each | 192 each | 88 |
/// | IPv6 sources, IPv6 destinations | 20 each | 176 each | 352 |
/// | marks | 85 | 160 | 24 |
/// | zones | 127 | 152 | 8 |
///
/// So each list fits within 20,480 bytes, and not all of them together:
/// [`Error::FilterTooLarge`](crate::Error::FilterTooLarge) has the required size.
/// [`Feature::LargeEventFilters`](crate::preflight::Feature::LargeEventFilters) is whether all fit.
///
/// ```
/// use netfilter_conntrack::nfct::{EventFilter, Logic};
/// use netfilter_conntrack::model::Protocol;
/// use netfilter_conntrack::TcpState;
///
/// let mut filter = EventFilter::new()?;
/// filter
///     .protocols(Logic::Only, [Protocol::TCP])?
///     .tcp_states(Logic::Only, [TcpState::Established, TcpState::Close])?
///     .sources(Logic::Except, ["127.0.0.0/8".parse()?])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "nfct_filter")]
pub struct EventFilter {
    raw: NonNull<sys::nfct_filter>,
    /// The lists, by their number in the C library.
    lists: [Option<List>; KINDS],
    /// The protocol whose states are listed.
    states_of: Option<Protocol>,
    /// The states that are listed, a bit each.
    states: u16,
}

/// A list that has values.
#[derive(Debug, Clone, Copy)]
struct List {
    logic: Logic,
    values: usize,
}

// SAFETY: the filter is a heap block without pointers that only this value refers to, and the C
// functions on it use no thread-local state but errno.
unsafe impl Send for EventFilter {}
// SAFETY: through `&EventFilter` only attach is called, which reads the block.
unsafe impl Sync for EventFilter {}

impl EventFilter {
    /// A filter without lists: everything passes.
    ///
    /// # Errors
    /// [`ObjectError::OutOfMemory`]; [`ObjectError::Unsupported`] on big-endian machines with a
    /// library before 1.1.0, whose filters let everything pass there.
    #[doc(alias = "nfct_filter_create")]
    pub fn new() -> Result<Self, ObjectError> {
        if cfg!(target_endian = "big") && !is_1_1() {
            return Err(ObjectError::Unsupported { what: "nfct_filter_create", needs: "1.1.0" });
        }
        Self::create()
    }

    fn create() -> Result<Self, ObjectError> {
        // SAFETY: takes nothing and returns an owned block or NULL.
        let raw = NonNull::new(unsafe { sys::nfct_filter_create() }).ok_or(ObjectError::OutOfMemory)?;
        Ok(Self { raw, lists: [None; KINDS], states_of: None, states: 0 })
    }

    /// Adds to the list of layer 4 protocols; at most 243 values.
    ///
    /// # Errors
    /// As for every list: [`ObjectError::TooMany`]; [`ObjectError::InvalidValue`] without any value,
    /// and when the list has values with the other logic already.
    #[doc(alias = "NFCT_FILTER_L4PROTO")]
    #[doc(alias = "nfct_filter_add_attr")]
    #[doc(alias = "nfct_filter_add_attr_u32")]
    pub fn protocols(
        &mut self,
        logic: Logic,
        protocols: impl IntoIterator<Item = Protocol>,
    ) -> Result<&mut Self, ObjectError> {
        let values = protocols.into_iter().map(|protocol| c_int::from(protocol.number()));
        let values = values.collect::<Vec<_>>();
        self.check(PROTOCOLS, logic, values.len())?;
        self.extend(PROTOCOLS, logic, &values);
        Ok(self)
    }

    /// Adds to the list of states, for TCP. A filter lists states of one protocol.
    ///
    /// Events without a state pass the list: updates caused by packets that did not change it, and before
    /// Linux 5.11 the end of a flow.
    ///
    /// # Errors
    /// As [`protocols`](Self::protocols); [`ObjectError::InvalidValue`] for a state above 15, and
    /// when states of another protocol are listed: the library's program would let them all pass.
    #[doc(alias = "NFCT_FILTER_L4PROTO_STATE")]
    pub fn tcp_states(
        &mut self,
        logic: Logic,
        states: impl IntoIterator<Item = TcpState>,
    ) -> Result<&mut Self, ObjectError> {
        self.states(Protocol::TCP, logic, states.into_iter().map(TcpState::number).collect())
    }

    /// Adds to the list of states, for SCTP.
    ///
    /// # Errors
    /// As [`tcp_states`](Self::tcp_states).
    #[doc(alias = "NFCT_FILTER_L4PROTO_STATE")]
    pub fn sctp_states(
        &mut self,
        logic: Logic,
        states: impl IntoIterator<Item = SctpState>,
    ) -> Result<&mut Self, ObjectError> {
        self.states(Protocol::SCTP, logic, states.into_iter().map(SctpState::number).collect())
    }

    /// Adds to the list of states, for DCCP, which kernels from 6.17 on no longer report.
    ///
    /// # Errors
    /// As [`tcp_states`](Self::tcp_states).
    #[doc(alias = "NFCT_FILTER_L4PROTO_STATE")]
    pub fn dccp_states(
        &mut self,
        logic: Logic,
        states: impl IntoIterator<Item = DccpState>,
    ) -> Result<&mut Self, ObjectError> {
        self.states(Protocol::DCCP, logic, states.into_iter().map(DccpState::number).collect())
    }

    fn states(
        &mut self,
        protocol: Protocol,
        logic: Logic,
        states: Vec<u8>,
    ) -> Result<&mut Self, ObjectError> {
        let refuse = |reason| Err(ObjectError::invalid(STATES.name, reason));
        if states.iter().any(|state| *state > kind::HIGHEST_STATE) {
            return refuse("a state above 15");
        }
        if self.states_of.is_some_and(|other| other != protocol) {
            return refuse("the filter lists states of another protocol");
        }
        self.check(STATES, logic, states.len())?;
        // The library counts what is added in 16 bits: a state that is listed already must not count.
        let new = |state: &u8| self.states & 1 << state == 0;
        let listed = states.iter().copied().filter(new).collect::<BTreeSet<_>>();
        let values = listed.iter().map(|&state| sys::nfct_filter_proto {
            proto: u16::from(protocol.number()),
            state: u16::from(state),
        });
        let values = values.collect::<Vec<_>>();
        self.states = listed.iter().fold(self.states, |states, state| states | 1 << state);
        self.states_of = Some(protocol);
        self.extend(STATES, logic, &values);
        Ok(self)
    }

    /// Adds to the lists of source addresses, one for each family: at most 81 IPv4 prefixes and 20
    /// IPv6 prefixes (one with a library before 1.1.0). Prefixes of [mapped](crate::Tuple#mapped-addresses)
    /// addresses are IPv4 prefixes.
    ///
    /// # Errors
    /// As [`protocols`](Self::protocols).
    #[doc(alias = "NFCT_FILTER_SRC_IPV4")]
    #[doc(alias = "NFCT_FILTER_SRC_IPV6")]
    pub fn sources(
        &mut self,
        logic: Logic,
        prefixes: impl IntoIterator<Item = IpNet>,
    ) -> Result<&mut Self, ObjectError> {
        self.prefixes(End::Source, logic, prefixes.into_iter().collect())
    }

    /// Adds to the lists of destination addresses, with the limits of [`sources`](Self::sources).
    ///
    /// An IPv4 destination decides about IPv6 flows too: see [above](Self).
    ///
    /// # Errors
    /// As [`protocols`](Self::protocols).
    #[doc(alias = "NFCT_FILTER_DST_IPV4")]
    #[doc(alias = "NFCT_FILTER_DST_IPV6")]
    pub fn destinations(
        &mut self,
        logic: Logic,
        prefixes: impl IntoIterator<Item = IpNet>,
    ) -> Result<&mut Self, ObjectError> {
        self.prefixes(End::Destination, logic, prefixes.into_iter().collect())
    }

    fn prefixes(&mut self, end: End, logic: Logic, prefixes: Vec<IpNet>) -> Result<&mut Self, ObjectError> {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            match address::network(prefix) {
                IpNet::V4(net) => {
                    let (addr, mask) = (net.network().into(), net.netmask().into());
                    ipv4.push(sys::nfct_filter_ipv4 { addr, mask });
                }
                IpNet::V6(net) => {
                    let (addr, mask) = (words(net.network().octets()), words(net.netmask().octets()));
                    ipv6.push(sys::nfct_filter_ipv6 { addr, mask });
                }
            }
        }
        // Both lists are checked before one of them changes.
        if ipv6.is_empty() || !ipv4.is_empty() {
            self.check(end.ipv4(), logic, ipv4.len())?;
        }
        if !ipv6.is_empty() {
            self.check(end.ipv6(), logic, ipv6.len())?;
        }
        self.extend(end.ipv4(), logic, &ipv4);
        self.extend(end.ipv6(), logic, &ipv6);
        Ok(self)
    }

    /// Adds to the list of marks; at most 85 values. Each is a value and a mask: the bits of the mask
    /// are compared.
    ///
    /// # Errors
    /// As [`protocols`](Self::protocols); [`ObjectError::InvalidValue`] for a value with bits outside
    /// its mask, which nothing can match, and for a mask without bits.
    #[doc(alias = "NFCT_FILTER_MARK")]
    pub fn marks(
        &mut self,
        logic: Logic,
        marks: impl IntoIterator<Item = (u32, u32)>,
    ) -> Result<&mut Self, ObjectError> {
        let refuse = |reason| Err(ObjectError::invalid(MARKS.name, reason));
        let values = marks.into_iter().map(|(val, mask)| sys::nfct_filter_dump_mark { val, mask });
        let values = values.collect::<Vec<_>>();
        if values.iter().any(|mark| mark.val & !mark.mask != 0) {
            return refuse("a value with bits outside its mask");
        }
        if values.iter().any(|mark| mark.mask == 0) {
            return refuse("a mask without bits");
        }
        self.check(MARKS, logic, values.len())?;
        self.extend(MARKS, logic, &values);
        Ok(self)
    }

    /// Adds to the list of zones; at most 127 values. A zone for one direction only is not seen: such
    /// a flow counts as in zone 0.
    ///
    /// # Errors
    /// As [`protocols`](Self::protocols); [`ObjectError::Unsupported`] with a library before 1.1.0,
    /// which would let every zone pass.
    #[doc(alias = "NFCT_FILTER_ZONE")]
    pub fn zones(
        &mut self,
        logic: Logic,
        zones: impl IntoIterator<Item = u16>,
    ) -> Result<&mut Self, ObjectError> {
        if !is_1_1() {
            return Err(ObjectError::Unsupported { what: ZONES.name, needs: "1.1.0" });
        }
        let values = zones.into_iter().collect::<Vec<_>>();
        self.check(ZONES, logic, values.len())?;
        self.extend(ZONES, logic, &values);
        Ok(self)
    }

    /// Whether `more` values with this logic can be added to a list.
    fn check<T>(&self, kind: Kind<T>, logic: Logic, more: usize) -> Result<(), ObjectError> {
        let list = self.lists[kind.id as usize];
        if more == 0 {
            return Err(ObjectError::invalid(kind.name, "no values"));
        }
        if list.is_some_and(|list| list.logic != logic) {
            return Err(ObjectError::invalid(kind.name, "the list has values with the other logic"));
        }
        match list.map_or(0, |list| list.values).saturating_add(more) > kind.limit {
            true => Err(ObjectError::TooMany { what: kind.name, limit: kind.limit }),
            false => Ok(()),
        }
    }

    /// Adds values that were checked.
    fn extend<T>(&mut self, kind: Kind<T>, logic: Logic, values: &[T]) {
        if values.is_empty() {
            return;
        }
        let list = self.lists[kind.id as usize].get_or_insert(List { logic, values: 0 });
        list.values += values.len();
        let raw = match logic {
            Logic::Only => sys::NFCT_FILTER_LOGIC_POSITIVE,
            Logic::Except => sys::NFCT_FILTER_LOGIC_NEGATIVE,
        };
        // SAFETY: the filter is alive and borrowed mutably; the library knows the kind, and the
        // logic of a list never changes, so that the call cannot fail.
        unsafe { sys::nfct_filter_set_logic(self.raw.as_ptr(), kind.id, raw) };
        for value in values {
            // SAFETY: the filter is alive and borrowed mutably. `Kind<T>` ties the value to the type
            // that the library reads for the kind; it is inside the library's tables: a protocol below
            // 256, a state below 16, and no more values than there is room for.
            unsafe {
                sys::nfct_filter_add_attr(self.raw.as_ptr(), kind.id, std::ptr::from_ref(value).cast());
            };
        }
    }
}

impl Drop for EventFilter {
    #[doc(alias = "nfct_filter_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner; an attached program is the kernel's own copy.
        unsafe { sys::nfct_filter_destroy(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFilter").field("lists", &self.lists).field("states_of", &self.states_of).finish()
    }
}
