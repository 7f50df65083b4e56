//! Expectations: the connections that helpers have read about and wait for.

mod check;
mod mask;
mod text;

use std::net::IpAddr;
use std::time::Duration;

pub use mask::SourceMask;

use crate::model::direction::Direction;
use crate::model::flow::HelperName;
use crate::model::key::Key;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

bitflags::bitflags! {
    /// The kind of an expectation (`NF_CT_EXPECT_*` of the kernel).
    ///
    /// Bits without a name here are kept.
    #[doc(alias = "ATTR_EXP_FLAGS")]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ExpectationFlags: u32 {
        /// It stays when the connection comes, and goes on expecting more, until its timeout.
        const PERMANENT = 1 << 0;
        /// It is not applied to connections yet: the helper waits for more of the protocol.
        const INACTIVE = 1 << 1;
        /// A helper outside the kernel made it. The kernel sets and clears this itself.
        const USERSPACE = 1 << 2;

        // Bits of kernels to come are kept.
        const _ = !0;
    }
}

/// A connection that is expected, because a helper such as `ftp` read it in the payload of its master.
///
/// When the first packet of a flow fits an expectation, the flow is
/// [`EXPECTED`](crate::Status::EXPECTED), gets the [master](crate::Flow::master) that the
/// expectation has, and a firewall sees it as *related*. The expectation is removed then, unless it
/// is [permanent](ExpectationFlags::PERMANENT).
///
/// Destination address and port have to be those of [`expected`](Self::expected). The source is compared
/// under the [`mask`](Self::mask), since the port that a data connection will come from is never known.
///
/// ```
/// use netfilter_conntrack::{Expectation, Tuple};
///
/// let control = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:21".parse()?)?;
/// let data = Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:50000".parse()?)?;
/// let expectation = Expectation::new(control, data).from_any_port();
///
/// assert!(expectation.matches(&Tuple::tcp("10.0.0.1:1234".parse()?, "10.0.0.2:50000".parse()?)?));
/// assert!(!expectation.matches(&Tuple::tcp("10.0.0.9:1234".parse()?, "10.0.0.2:50000".parse()?)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "nf_expect")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Expectation {
    /// The original tuple of the connection that announced this one. It must exist, and have a
    /// helper. An nftables rule can expect a flow of IPv4 from a master of IPv6; a request cannot.
    #[doc(alias = "ATTR_EXP_MASTER")]
    pub master: Tuple,
    /// The original tuple of the expected connection. Parts that the mask leaves out are 0.
    #[doc(alias = "ATTR_EXP_EXPECTED")]
    pub expected: Tuple,
    /// The compared bits of the expected tuple's source.
    #[doc(alias = "ATTR_EXP_MASK")]
    pub mask: SourceMask,
    /// The zone of the master. The kernel never reports it, so it is `None` in events and in a dump of
    /// everything; a lookup and the dump of one master fill in the zone that you named.
    /// In a request `None` is zone 0.
    #[doc(alias = "ATTR_EXP_ZONE")]
    pub zone: Option<Zone>,
    /// The kernel's id of the expectation. Reported only.
    ///
    /// A later one with the same tuple has another id, except when the kernel put it in the very
    /// same place in memory.
    #[doc(alias = "CTA_EXPECT_ID")]
    pub id: Option<u32>,
    /// The time left until it is removed, in whole seconds. In a request 1 to 2,147,483 seconds, a fraction
    /// rounded up; without one it gets that of its class from the policy of the helper.
    #[doc(alias = "ATTR_EXP_TIMEOUT")]
    pub timeout: Option<Duration>,
    /// The kind of the expectation.
    #[doc(alias = "ATTR_EXP_FLAGS")]
    pub flags: ExpectationFlags,
    /// The helper that it belongs to, which is the master's; a request for another is refused. `None`
    /// is also read for an invalid name.
    #[doc(alias = "ATTR_EXP_HELPER_NAME")]
    pub helper: Option<HelperName>,
    /// The class: a helper has a limit and a timeout for each of its own, from 0 on. The C library
    /// does not send it; this crate does.
    ///
    /// Older kernels, of which 5.10.223 is one, take a class only together with the name of the
    /// [helper](Self::helper), and then the expected flow gets that helper too. So on those a class
    /// without the name is an error of [`create`](crate::handle::Expectations::create), and with it is your
    /// choice.
    #[doc(alias = "ATTR_EXP_CLASS")]
    pub class: Option<u32>,
    /// The NAT of the expected connection, to translate it as its master is. The C library does
    /// not send it; this crate does.
    ///
    /// Kernels such as 5.10.223 report some expectations that have none with one made of memory that
    /// was never cleared, unless they clear memory as they allocate it, as Debian's do
    /// (`init_on_alloc=1`). It is `None` where its direction is none; without a
    /// [function](Self::function) it has no effect.
    #[doc(alias = "ATTR_EXP_NAT_TUPLE")]
    #[doc(alias = "ATTR_EXP_NAT_DIR")]
    pub nat: Option<ExpectationNat>,
    /// The kernel's name for the function that it calls when the connection comes, such as
    /// [`NAT_FOLLOW_MASTER`](Self::NAT_FOLLOW_MASTER). The C library does not send it; this crate
    /// does.
    #[doc(alias = "ATTR_EXP_FN")]
    pub function: Option<String>,
}

/// How the expected connection is to be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct ExpectationNat {
    /// Which way the expected connection goes, as seen from its master: `Original` when it comes
    /// from the side that opened the master.
    #[doc(alias = "ATTR_EXP_NAT_DIR")]
    pub direction: Direction,
    /// The address before translation, where the helper needs it (SIP does).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub address: Option<IpAddr>,
    /// The port before translation: where the connection is to arrive in the end.
    pub port: u16,
}

impl Expectation {
    /// The [function](Self::function) that translates a connection as its master is: addresses from
    /// the master, the port from [`nat`](Self::nat).
    pub const NAT_FOLLOW_MASTER: &'static str = "nat-follow-master";

    /// An expectation of exactly this tuple, in zone 0.
    #[doc(alias = "nfexp_new")]
    #[must_use]
    pub fn new(master: Tuple, expected: Tuple) -> Self {
        Self {
            master,
            expected,
            mask: SourceMask::exact(expected.family()),
            zone: None,
            id: None,
            timeout: None,
            flags: ExpectationFlags::empty(),
            helper: None,
            class: None,
            nat: None,
            function: None,
        }
    }

    /// The connection may come from any port (of ICMP: have any id; of GRE: any source key).
    #[must_use]
    pub fn from_any_port(mut self) -> Self {
        self.mask.port = 0;
        self
    }

    /// The connection may come from any address.
    #[must_use]
    pub fn from_any_address(mut self) -> Self {
        self.mask.address = SourceMask::anything(self.expected.family()).address;
        self
    }

    /// Sets the [mask](Self#structfield.mask).
    #[must_use]
    pub fn mask(mut self, mask: SourceMask) -> Self {
        self.mask = mask;
        self
    }

    /// Sets the [zone](Self#structfield.zone).
    #[must_use]
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Sets the [timeout](Self#structfield.timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the [flags](Self#structfield.flags).
    #[must_use]
    pub fn flags(mut self, flags: ExpectationFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the [helper](Self#structfield.helper).
    #[must_use]
    pub fn helper(mut self, helper: HelperName) -> Self {
        self.helper = Some(helper);
        self
    }

    /// Sets the [class](Self#structfield.class).
    #[must_use]
    pub fn class(mut self, class: u32) -> Self {
        self.class = Some(class);
        self
    }

    /// Sets the [translation](Self#structfield.nat). Alone it does nothing: the function uses it.
    #[must_use]
    pub fn nat(mut self, nat: ExpectationNat) -> Self {
        self.nat = Some(nat);
        self
    }

    /// Sets the [function](Self#structfield.function).
    #[must_use]
    pub fn function(mut self, function: impl Into<String>) -> Self {
        self.function = Some(function.into());
        self
    }

    /// Has the connection translated as its master is
    /// ([`NAT_FOLLOW_MASTER`](Self::NAT_FOLLOW_MASTER)), to this port.
    #[must_use]
    pub fn follow_master(self, direction: Direction, port: u16) -> Self {
        self.nat(ExpectationNat { direction, address: None, port }).function(Self::NAT_FOLLOW_MASTER)
    }

    /// Whether a flow with this original tuple, in the same zone, is the one expected. With a mask of another
    /// family than the expected tuple, none is.
    #[must_use]
    pub fn matches(&self, tuple: &Tuple) -> bool {
        let mask = self.meant().mask;
        mask.apply(&self.expected).is_some_and(|expected| mask.apply(tuple) == Some(expected))
    }

    /// The key of the expectation: expected tuple, zone (0 when it is not known) and, when known, the id.
    #[must_use]
    pub fn key(&self) -> ExpectationKey {
        ExpectationKey { expected: self.expected, zone: self.zone.unwrap_or_default(), id: self.id }
    }

    /// The key of its master.
    #[must_use]
    pub fn master_key(&self) -> Key {
        self.master.in_zone(self.zone.unwrap_or_default())
    }
}

/// Names one expectation: the expected tuple, the zone of the master and, when it was read from the
/// kernel, the id.
///
/// Made from a [`Tuple`] (zone 0), from [`Tuple::in_zone`], or from an [`Expectation`]. It is not a
/// [`Key`], so that an expectation cannot be taken for the flow that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExpectationKey {
    /// The expected tuple.
    pub expected: Tuple,
    /// The zone of the master; only its number counts.
    pub zone: Zone,
    /// The kernel's id of the expectation.
    pub id: Option<u32>,
}

impl From<Tuple> for ExpectationKey {
    fn from(expected: Tuple) -> Self {
        Self { expected, zone: Zone::DEFAULT, id: None }
    }
}

/// The tuple and the zone: the id of a [`Key`] is that of a flow.
impl From<Key> for ExpectationKey {
    fn from(key: Key) -> Self {
        Self { expected: key.tuple, zone: key.zone, id: None }
    }
}

impl From<&Expectation> for ExpectationKey {
    fn from(expectation: &Expectation) -> Self {
        expectation.key()
    }
}
