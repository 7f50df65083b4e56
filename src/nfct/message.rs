//! Requests for objects, for programs that have a netlink socket of their own.

use super::expect::Purpose;
use super::expect_query::subject;
use super::{Conntrack, Expect, ObjectError, attr, query};
use crate::error::{Failure, Result};
use crate::message::{Message, Request, check_kept};
use crate::netlink::uapi;

impl Message {
    /// A request for an object of the C library, with all of its attributes that the library sends, and
    /// with the ports and ids to translate to ([`SNAT_PORT`](attr::SNAT_PORT)) that it leaves out.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of a tuple is missing; [`ObjectError::InvalidValue`] for an
    /// entry to be created with a port to translate to of a protocol of which the
    /// [kernel translates addresses alone](crate::error::InputError::NoPortNat), an address to translate to of
    /// the other family, or an ICMP master, whose id no object holds, and for an entry to be created or updated
    /// with parts that the library would leave out: see [`Session::create`](crate::nfct::Session::create);
    /// [`ObjectError::TooLarge`] for helper information of more than about 3000 bytes; [`Error::Unsupported`](crate::Error::Unsupported) as for a [flow](Self::for_flow).
    #[doc(alias = "nfct_nlmsg_build")]
    pub fn for_object(request: Request, ct: &Conntrack) -> Result<Self> {
        let family = ct.get(attr::ORIG_L3PROTO).ok_or(ObjectError::missing("ATTR_ORIG_L3PROTO"))?;
        match request {
            Request::Create | Request::CreateOrUpdate => ct.check_said()?,
            Request::Update => ct.check_changes_said()?,
            _ => {}
        }
        let mut buffer = request.start(family);
        ct.append_to(&mut buffer)?;
        if ct.has_optional_tracker() {
            let kept = ct.tuples().try_for_each(|tuple| check_kept(&tuple));
            kept.map_err(|fault| fault.during(query::failure(request.operation(), ct)))?;
        }
        Ok(Self { buffer })
    }

    /// A request for an expectation object of the C library, with all of its attributes that the library
    /// sends. A lookup or a delete always has the expected tuple, so it never reaches another expectation.
    ///
    /// [`Request::Update`] sets the timeout of an expectation that exists; the kernel changes nothing else.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a tuple is missing that the request needs, or a part of one;
    /// [`ObjectError::InvalidValue`] for tuples of two families, and for an expectation to be created with
    /// a class, a translation or a function, which the library does not send;
    /// [`Error::Unsupported`](crate::Error::Unsupported) as for a [flow](Self::for_flow).
    #[doc(alias = "nfexp_nlmsg_build")]
    pub fn for_expect(request: Request, expect: &Expect) -> Result<Self> {
        let purpose = match request {
            Request::Get | Request::Delete => Purpose::Lookup,
            _ => Purpose::Create,
        };
        let (kind, flags) = request.header();
        // The requests of both subsystems have the same numbers.
        let kind = kind & 0xff | uapi::EXP_NEW;
        let buffer = expect.checked(purpose, kind, flags)?;
        let kept = expect.tuples().try_for_each(|tuple| check_kept(&tuple));
        kept.map_err(|fault| fault.during(Failure::new(request.operation(), subject(expect))))?;
        Ok(Self { buffer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nfct::{ExpectTuple, expect_attr};
    use crate::{Flow, Tuple, Zone};

    fn flow() -> Flow {
        Flow::new(Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap())
            .timeout(std::time::Duration::from_secs(60))
            .zone(Zone::original_only(7))
            .mark(5)
    }

    #[test]
    fn the_request_for_an_object_is_the_one_for_its_flow() {
        let ct = Conntrack::try_from(&flow()).unwrap();
        let of = |request| Message::for_object(request, &ct).unwrap();
        for request in [Request::Create, Request::CreateOrUpdate] {
            let of_flow = Message::for_flow(request, &flow()).unwrap();
            assert_eq!(of(request).as_bytes(), of_flow.as_bytes(), "{request:?}");
        }
        // These have all that the object has; only the headers are alike.
        for request in [Request::Update, Request::Get, Request::Delete] {
            let of_flow = Message::for_flow(request, &Flow { id: Some(1), ..flow() }).unwrap();
            assert_eq!(of(request).as_bytes()[4..20], of_flow.as_bytes()[4..20], "{request:?}");
        }
    }

    #[test]
    fn a_request_for_an_expectation_names_it() {
        let mut expect = Expect::new().unwrap();
        let missing = |request, expect: &Expect| Message::for_expect(request, expect).unwrap_err();
        let nothing = missing(Request::Delete, &expect);
        assert_eq!(nothing, ObjectError::missing("ATTR_EXP_EXPECTED").into());
        let expected = Conntrack::try_from(&flow()).unwrap();
        expect.set(expect_attr::HELPER_NAME, "ftp").unwrap();
        expect.set_tuple(expect_attr::MASTER, &expected).unwrap();
        // Of this C makes "delete all of this helper".
        assert_eq!(missing(Request::Delete, &expect), ObjectError::missing("ATTR_EXP_EXPECTED").into());
        expect.set_tuple(expect_attr::EXPECTED, &expected).unwrap();
        assert_eq!(missing(Request::Create, &expect), ObjectError::missing("ATTR_EXP_MASK").into());
        let requests = [(Request::Get, 0x201), (Request::Delete, 0x202)];
        for (request, kind) in requests {
            let message = Message::for_expect(request, &expect).unwrap();
            let bytes = message.as_bytes();
            assert_eq!(u16::from_ne_bytes([bytes[4], bytes[5]]), kind, "{request:?}");
            assert_eq!(
                Expect::parse(&[&bytes[..4], &0x200u16.to_ne_bytes(), &bytes[6..]].concat())
                    .map(|read| { read.tuple(expect_attr::EXPECTED).and_then(ExpectTuple::plain) }),
                Ok(Some(flow().original))
            );
        }
        expect.set_tuple(expect_attr::MASK, &expected).unwrap();
        for (request, flags) in
            [(Request::Create, 0x605), (Request::CreateOrUpdate, 0x405), (Request::Update, 5)]
        {
            let message = Message::for_expect(request, &expect).unwrap();
            let header = [message.as_bytes()[4..6].to_vec(), message.as_bytes()[6..8].to_vec()].concat();
            let expected = [0x200u16.to_ne_bytes(), u16::to_ne_bytes(flags)].concat();
            assert_eq!(header, expected, "{request:?}");
        }
    }

    #[test]
    fn a_delete_never_lacks_its_tuple() {
        let mut ct = Conntrack::new().unwrap();
        assert_eq!(
            Message::for_object(Request::Delete, &ct).unwrap_err(),
            ObjectError::missing("ATTR_ORIG_L3PROTO").into()
        );
        ct.set(attr::ORIG_L3PROTO, 2).unwrap();
        ct.set(attr::MARK, 1).unwrap();
        assert_eq!(
            Message::for_object(Request::Delete, &ct).unwrap_err(),
            ObjectError::missing("CTA_TUPLE_ORIG").into()
        );
    }
}
