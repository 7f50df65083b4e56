//! The lists of a filter: the compared attribute, and the number of values that each works with.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::EventFilter;
use crate::sys;

/// A kind of list: its number in the C library, its name, how many values it can have, and the C type
/// of a value.
pub(super) struct Kind<T> {
    pub(super) id: sys::nfct_filter_attr,
    pub(super) name: &'static str,
    pub(super) limit: usize,
    value: PhantomData<fn(&T)>,
}

impl<T> Kind<T> {
    const fn new(id: sys::nfct_filter_attr, name: &'static str, limit: usize) -> Self {
        Self { id, name, limit, value: PhantomData }
    }
}

/// The number of kinds that there are.
pub(super) const KINDS: usize = 8;
/// The kind that 1.1.0 brought; not in the headers of releases before.
const ZONE_ID: sys::nfct_filter_attr = 7;
/// The library keeps states in 16 bits.
pub(super) const HIGHEST_STATE: u8 = 15;

/// How many values the program of the library works with. Two bounds hold: the library has room for
/// so many values in a table, and every jump in its program is by at most 255 instructions, which it
/// does not check. The longest jump of a list goes over all of its values.
pub(super) mod limit {
    /// Twelve instructions to be jumped over, and one for each protocol.
    pub(in super::super) const PROTOCOLS: usize = 255 - 12;
    /// Eleven instructions to be jumped over, and three for each prefix.
    pub(in super::super) const IPV4: usize = (255 - 11) / 3;
    /// The table's size.
    pub(in super::super) const IPV6: usize = 20;
    /// Before 1.1.0 only the first of several prefixes is compared rightly.
    pub(in super::super) const IPV6_BEFORE_1_1: usize = 1;
    /// Three instructions for each mark, of which the jump is the second.
    pub(in super::super) const MARKS: usize = (255 + 1) / 3;
    /// The table's size.
    pub(in super::super) const ZONES: usize = 127;

    /// All lists full, with at most 17 instructions around each and around the whole. The library has
    /// room for 2048, and relies on its caller for that too.
    const _: () = {
        let states = super::HIGHEST_STATE as usize + 1;
        let values = PROTOCOLS + 2 * 3 * IPV4 + 2 * 12 * IPV6 + states + 3 * MARKS + ZONES;
        assert!(values + 17 * (super::KINDS + 1) <= 2048);
    };
}

pub(super) const PROTOCOLS: Kind<c_int> =
    Kind::new(sys::NFCT_FILTER_L4PROTO, "NFCT_FILTER_L4PROTO", limit::PROTOCOLS);
/// Any number of values: each is a bit in the map of its protocol.
pub(super) const STATES: Kind<sys::nfct_filter_proto> =
    Kind::new(sys::NFCT_FILTER_L4PROTO_STATE, "NFCT_FILTER_L4PROTO_STATE", usize::MAX);
pub(super) const MARKS: Kind<sys::nfct_filter_dump_mark> =
    Kind::new(sys::NFCT_FILTER_MARK, "NFCT_FILTER_MARK", limit::MARKS);
pub(super) const ZONES: Kind<u16> = Kind::new(ZONE_ID, "NFCT_FILTER_ZONE", limit::ZONES);

/// Which end of a flow a prefix is about.
#[derive(Clone, Copy)]
pub(super) enum End {
    Source,
    Destination,
}

impl End {
    pub(super) const fn ipv4(self) -> Kind<sys::nfct_filter_ipv4> {
        let (id, name) = match self {
            Self::Source => (sys::NFCT_FILTER_SRC_IPV4, "NFCT_FILTER_SRC_IPV4"),
            Self::Destination => (sys::NFCT_FILTER_DST_IPV4, "NFCT_FILTER_DST_IPV4"),
        };
        Kind::new(id, name, limit::IPV4)
    }

    pub(super) fn ipv6(self) -> Kind<sys::nfct_filter_ipv6> {
        let (id, name) = match self {
            Self::Source => (sys::NFCT_FILTER_SRC_IPV6, "NFCT_FILTER_SRC_IPV6"),
            Self::Destination => (sys::NFCT_FILTER_DST_IPV6, "NFCT_FILTER_DST_IPV6"),
        };
        Kind::new(id, name, if is_1_1() { limit::IPV6 } else { limit::IPV6_BEFORE_1_1 })
    }
}

/// Whether the library at run time is 1.1.0 or newer, independent of the headers: it knows the kind that
/// 1.1.0 brought. When that cannot be found out, it is not.
pub(super) fn is_1_1() -> bool {
    static IS_1_1: OnceLock<bool> = OnceLock::new();
    *IS_1_1.get_or_init(|| {
        EventFilter::create().is_ok_and(|scratch| {
            // SAFETY: the scratch filter is alive; the library refuses a number it does not know.
            unsafe {
                sys::nfct_filter_set_logic(scratch.raw.as_ptr(), ZONE_ID, sys::NFCT_FILTER_LOGIC_POSITIVE)
                    == 0
            }
        })
    })
}

/// The four words of an IPv6 address, each as the machine reads it: the library compares them so.
pub(super) fn words(octets: [u8; 16]) -> [u32; 4] {
    std::array::from_fn(|word| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|byte| octets[4 * word + byte]);
        u32::from_be_bytes([a, b, c, d])
    })
}
