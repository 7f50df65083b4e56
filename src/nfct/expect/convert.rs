//! From expectations to objects of them and back.

use std::time::Duration;

use super::attr::{self, ExpectAttr, Tuple as TupleKind};
use super::{Expect, ExpectTuple};
use crate::error::{Error, Result};
use crate::model::direction::Direction;
use crate::model::expectation::{Expectation, ExpectationNat, SourceMask};
use crate::model::flow::{HelperName, whole_seconds};
use crate::model::tuple::{Icmp, Ports, Tuple};
use crate::model::zone::Zone;
use crate::netlink::decode;
use crate::netlink::encode_expect;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;
use crate::nfct::ObjectError;

impl TryFrom<&Expectation> for Expect {
    type Error = Error;

    /// An object with everything the expectation has, class, translation and function included, which the C
    /// library has no setter for that counts.
    ///
    /// Only the id is left out, which the library does not know. Of a zone it has the number, of one for a
    /// single direction that of the original direction, in which the master is looked up.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an expectation whose parts contradict each other, or whose master is of
    /// another family: the library takes all tuples of an object for tuples of one.
    fn try_from(expectation: &Expectation) -> Result<Self> {
        let meant = expectation.meant();
        let timeout = meant.timeout.map(whole_seconds).transpose()?;
        // These two are put in after: a request has neither zone 0 nor every timeout that is reported.
        let request = Expectation { timeout: None, zone: None, ..meant };
        request.check()?;
        let mut message = MessageBuf::new(uapi::EXP_NEW, 0, request.expected.family().number(), 0);
        encode_expect::expectation(&mut message, &request)?;
        let mut object = Self::parse(message.as_bytes())?;
        if let Some(zone) = expectation.zone {
            object.set(attr::ZONE, zone.in_direction(Direction::Original))?;
        }
        if let Some(seconds) = timeout {
            object.set(attr::TIMEOUT, seconds)?;
        }
        Ok(object)
    }
}

impl TryFrom<&Expect> for Expectation {
    type Error = ObjectError;

    /// The expectation that an object describes; its [id](Expectation::id) is not known.
    ///
    /// As in messages, an odd value costs the part that it is in: a helper's name that is none is left out, as
    /// is a translation whose direction is none.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of the master, the expected tuple or the mask is missing;
    /// [`ObjectError::InvalidValue`] for a tuple or a mask that mixes families.
    fn try_from(object: &Expect) -> Result<Self, ObjectError> {
        object.with_master(object.needed(attr::MASTER)?)
    }
}

impl Expect {
    /// The expectation in the object, of this master: of one of the other family it has no complete tuple.
    pub(in crate::nfct) fn with_master(&self, master: Tuple) -> Result<Expectation, ObjectError> {
        let (expected, mask) = (self.needed(attr::EXPECTED)?, self.needed(attr::MASK)?);
        if mask.family() != expected.family() {
            return Err(ObjectError::invalid(attr::MASK.name(), "of another family than ATTR_EXP_EXPECTED"));
        }
        let mut expectation = Expectation::new(master, expected);
        expectation.mask = SourceMask::of_tuple(&mask);
        expectation.zone = self.get(attr::ZONE).map(Zone::new);
        expectation.timeout = self.get(attr::TIMEOUT).map(|seconds| Duration::from_secs(seconds.into()));
        expectation.flags = self.get(attr::FLAGS).unwrap_or_default();
        expectation.helper = self.get(attr::HELPER_NAME).and_then(|name| HelperName::new(name).ok());
        expectation.class = self.get(attr::CLASS);
        expectation.nat = self.nat()?;
        expectation.function = self.get(attr::FN);
        Ok(expectation)
    }

    pub(in crate::nfct) fn needed<A>(&self, attr: ExpectAttr<TupleKind, A>) -> Result<Tuple, ObjectError> {
        self.whole(attr)?.ok_or(ObjectError::missing(attr.name))
    }

    fn nat(&self) -> Result<Option<ExpectationNat>, ObjectError> {
        let direction = match self.get(attr::NAT_DIR) {
            Some(0) => Direction::Original,
            Some(1) => Direction::Reply,
            _ => return Ok(None),
        };
        Ok(self.whole(attr::NAT_TUPLE)?.map(|tuple| ExpectationNat {
            direction,
            address: Some(tuple.src()).filter(|address| !address.is_unspecified()),
            port: SourceMask::of_tuple(&tuple).port,
        }))
    }

    /// The tuple in an attribute; `None` where it is not there.
    fn whole<A>(&self, attr: ExpectAttr<TupleKind, A>) -> Result<Option<Tuple>, ObjectError> {
        let Some(view) = self.tuple(attr) else { return Ok(None) };
        let (src, dst, layer4) = parts(view).ok_or(ObjectError::missing(attr.name))?;
        let tuple = Tuple::reported(src, dst, layer4);
        tuple.map(Some).ok_or(ObjectError::invalid(attr.name, "addresses of two families"))
    }
}

/// The parts of a complete tuple.
fn parts(view: ExpectTuple<'_>) -> Option<(std::net::IpAddr, std::net::IpAddr, crate::model::Layer4)> {
    let ports = view.src_port().zip(view.dst_port()).map(|(src, dst)| Ports { src, dst });
    let icmp = match (view.icmp_type(), view.icmp_code(), view.icmp_id()) {
        (Some(kind), Some(code), Some(id)) => Some(Icmp { icmp_type: kind, code, id }),
        _ => None,
    };
    let layer4 = decode::complete(view.protocol()?, ports, icmp).ok()?;
    Some((view.src()?, view.dst()?, layer4))
}
