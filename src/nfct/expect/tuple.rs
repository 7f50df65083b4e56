//! The tuples of an expectation object.
//!
//! The C library gives them out as connection objects, but they are only the first 52 bytes of one:
//! the marks and the original tuple. So nothing else of one can be asked for, and it can be neither cloned,
//! compared nor printed.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::NonNull;

use crate::model::proto::{Family, Protocol};
use crate::model::tuple::{Icmp, Ports, Tuple};
use crate::netlink::decode;
use crate::nfct::attr::{self, Attr, Kind, Settable, sealed::Stored};
use crate::nfct::{Conntrack, ObjectError, rules};
use crate::sys;

/// A tuple inside an [`Expect`](super::Expect), with all that is really there: the original tuple.
///
/// In a mask every value is bits that count.
#[derive(Clone, Copy)]
pub struct ExpectTuple<'a> {
    place: NonNull<sys::nf_conntrack>,
    expect: PhantomData<&'a super::Expect>,
}

// SAFETY: a view reads through a shared borrow of an object that is `Sync`.
unsafe impl Send for ExpectTuple<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for ExpectTuple<'_> {}

impl<'a> ExpectTuple<'a> {
    /// # Safety
    ///
    /// `place` is the result of `nfexp_get_attr` for a tuple attribute, and the object is neither
    /// changed nor freed during the lifetime.
    pub(super) unsafe fn new(place: NonNull<sys::nf_conntrack>) -> Self {
        Self { place, expect: PhantomData }
    }

    /// The family of the addresses.
    pub fn family(self) -> Option<Family> {
        match self.get(attr::ORIG_L3PROTO).map(i32::from) {
            Some(libc::AF_INET) => Some(Family::Ipv4),
            Some(libc::AF_INET6) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// The layer 4 protocol.
    pub fn protocol(self) -> Option<Protocol> {
        self.get(attr::ORIG_L4PROTO).map(Protocol::new)
    }

    /// The source address.
    pub fn src(self) -> Option<IpAddr> {
        self.address(attr::ORIG_IPV4_SRC, attr::ORIG_IPV6_SRC)
    }

    /// The destination address.
    pub fn dst(self) -> Option<IpAddr> {
        self.address(attr::ORIG_IPV4_DST, attr::ORIG_IPV6_DST)
    }

    /// The source port, or the GRE key of packets from the source.
    pub fn src_port(self) -> Option<u16> {
        self.of_protocol(attr::ORIG_PORT_SRC, rules::has_ports)
    }

    /// The destination port, or the GRE key of packets to the source.
    pub fn dst_port(self) -> Option<u16> {
        self.of_protocol(attr::ORIG_PORT_DST, rules::has_ports)
    }

    /// The ICMP type.
    pub fn icmp_type(self) -> Option<u8> {
        self.of_protocol(attr::ICMP_TYPE, is_icmp)
    }

    /// The ICMP code.
    pub fn icmp_code(self) -> Option<u8> {
        self.of_protocol(attr::ICMP_CODE, is_icmp)
    }

    /// The ICMP id.
    pub fn icmp_id(self) -> Option<u16> {
        self.of_protocol(attr::ICMP_ID, is_icmp)
    }

    /// The tuple as plain data, if it is complete.
    pub(crate) fn plain(self) -> Option<Tuple> {
        let ports = self.src_port().zip(self.dst_port()).map(|(src, dst)| Ports { src, dst });
        let icmp = self.icmp_type().zip(self.icmp_code()).zip(self.icmp_id());
        let icmp = icmp.map(|((kind, code), id)| Icmp { icmp_type: kind, code, id });
        let layer4 = decode::complete(self.protocol()?, ports, icmp).ok()?;
        Tuple::reported(self.src()?, self.dst()?, layer4)
    }

    fn address(
        self,
        v4: Attr<impl Kind<Value = Ipv4Addr>>,
        v6: Attr<impl Kind<Value = Ipv6Addr>>,
    ) -> Option<IpAddr> {
        match self.family()? {
            Family::Ipv4 => self.get(v4).map(IpAddr::V4),
            Family::Ipv6 => self.get(v6).map(IpAddr::V6),
        }
    }

    /// Ports and ICMP fields are in the same place; the protocol decides.
    fn of_protocol<K: Kind>(self, attr: Attr<K>, has: fn(u8) -> bool) -> Option<K::Value> {
        let protocol = self.protocol()?.number();
        has(protocol).then(|| self.get(attr)).flatten()
    }

    /// An attribute of the original tuple; no caller may ask for another.
    pub(super) fn get<K: Kind>(self, attr: Attr<K>) -> Option<K::Value> {
        // SAFETY: per `new`, the tuple is alive. The getters of the original tuple read the marks
        // and return a place in it, both within the bytes that an expectation keeps, or NULL.
        let place = unsafe { sys::nfct_get_attr(self.place.as_ptr(), attr.id) };
        let place = NonNull::new(place.cast_mut().cast())?;
        // SAFETY: `attr`'s constant ties the attribute to `K`; the object is borrowed.
        K::load(unsafe { Stored::new(place) })
    }
}

impl fmt::Debug for ExpectTuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectTuple")
            .field("protocol", &self.protocol())
            .field("src", &self.src())
            .field("dst", &self.dst())
            .field("src_port", &self.src_port())
            .field("dst_port", &self.dst_port())
            .finish_non_exhaustive()
    }
}

fn is_icmp(protocol: u8) -> bool {
    rules::icmp_family(protocol).is_some()
}

/// A connection object with the original tuple of another, and nothing else.
pub(super) fn only(of: &Conntrack) -> Result<Conntrack, ObjectError> {
    let mut tuple = Conntrack::new()?;
    // The family and the protocol first: the others depend on them.
    copy(of, &mut tuple, attr::ORIG_L3PROTO)?;
    copy(of, &mut tuple, attr::ORIG_L4PROTO)?;
    copy(of, &mut tuple, attr::ORIG_IPV4_SRC)?;
    copy(of, &mut tuple, attr::ORIG_IPV4_DST)?;
    copy(of, &mut tuple, attr::ORIG_IPV6_SRC)?;
    copy(of, &mut tuple, attr::ORIG_IPV6_DST)?;
    copy(of, &mut tuple, attr::ORIG_PORT_SRC)?;
    copy(of, &mut tuple, attr::ORIG_PORT_DST)?;
    copy(of, &mut tuple, attr::ICMP_TYPE)?;
    copy(of, &mut tuple, attr::ICMP_CODE)?;
    copy(of, &mut tuple, attr::ICMP_ID)?;
    Ok(tuple)
}

fn copy<K, V>(from: &Conntrack, to: &mut Conntrack, attr: Attr<K>) -> Result<(), ObjectError>
where
    K: Kind<Value = V> + for<'v> Settable<Input<'v> = V>,
{
    match from.get(attr) {
        Some(value) => to.set(attr, value),
        None => Ok(()),
    }
}
