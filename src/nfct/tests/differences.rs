//! The differences between our decoder and the C parser with its getters that are on purpose, each with its
//! reason. Any other is a fault: `alike` and `./dev fuzz` look for them.

use super::{alike, alike_expect};
use crate::error::ObjectError;
use crate::model::expectation::Expectation;
use crate::model::flow::{Flow, ProtoInfo, TcpInfo};
use crate::model::proto::{Family, Protocol};
use crate::netlink::attr::{Attribute, Attributes, Malformed};
use crate::netlink::uapi::{cta, expect, tuple};

/// How both read a message.
pub(crate) enum Read {
    Alike,
    /// Refused by the guard that is in front of both.
    Refused,
    /// Not alike, for this reason.
    Excused(&'static str),
}

/// What both made of a message.
struct Pair<'m, T> {
    ours: Result<T, Malformed>,
    theirs: Result<T, ObjectError>,
    message: &'m [u8],
}

/// A reason, and what it leaves out.
type LeftOut = (&'static str, fn(&mut Flow));

type Excuse<T> = (&'static str, fn(&Pair<'_, T>) -> bool);

/// Values that need not be the same.
const COMPARED_WITHOUT: [LeftOut; 4] = [
    ("the mask of TCP flags is part of requests, and the library stores none for reports", |flow| {
        if let Some(ProtoInfo::Tcp(info)) = &mut flow.proto_info {
            info.peers.original.flags_mask = None;
            info.peers.reply.flags_mask = None;
        }
    }),
    ("the library reads the state of the entry's own protocol alone", |flow| {
        flow.proto_info = flow.proto_info.filter(|info| info.protocol() == flow.original.protocol());
    }),
    ("an object has no place for a state in which nothing is known", |flow| {
        flow.proto_info = flow.proto_info.filter(|info| !is_empty(info));
    }),
    ("a name is bytes here, and text in an object, with U+FFFD for bytes that are none", |flow| {
        flow.helper = flow.helper.filter(|name| name.as_bytes().is_ascii());
    }),
];

/// Entries that only one of them accepts, or that they read differently.
const EXCUSES: [Excuse<Flow>; 7] = [
    ("the library forgets an incomplete tuple, or takes the other direction's", |pair| {
        let parts = ["CTA_TUPLE_IP", "CTA_TUPLE_PROTO", "CTA_PROTO_NUM", "CTA_TUPLE_REPLY"];
        matches!((&pair.ours, &pair.theirs), (Err(malformed), Ok(_)) if parts.contains(&malformed.what))
    }),
    ("each names first what it misses first", |pair| pair.ours.is_err() && pair.theirs.is_err()),
    ("an object has no place for a master of another family, or one of ICMP", |pair| {
        let incomplete = ObjectError::Incomplete { missing: "CTA_TUPLE_MASTER" };
        pair.ours.is_ok() && pair.theirs.as_ref() == Err(&incomplete)
    }),
    ("an object has no empty name of a helper", |pair| pair.lacks("ATTR_HELPER_NAME")),
    ("an object's reply is of the type that answers the original's", |pair| pair.lacks("ATTR_ICMP_TYPE")),
    ("an object with two zones is no flow; of the kernel's attributes the inner one counts", |pair| {
        pair.lacks("ATTR_ZONE")
    }),
    ("the library keeps both families' addresses, and ports and fields of ICMP, in one place", |pair| {
        is_mixed(&entry_tuples(pair.message), None)
    }),
];

const EXPECTATION_EXCUSES: [Excuse<Expectation>; 3] = [
    (
        "the library forgets the incomplete tuple of a translation, and reads one that is split as one",
        |pair| {
            let parts = ["CTA_TUPLE_IP", "CTA_TUPLE_PROTO", "CTA_PROTO_NUM"];
            matches!((&pair.ours, &pair.theirs), (Err(malformed), Ok(_)) if parts.contains(&malformed.what))
        },
    ),
    ("each names first what it misses first", |pair| {
        let theirs = &pair.theirs;
        pair.ours.is_err()
            && matches!(theirs, Err(ObjectError::Incomplete { .. } | ObjectError::InvalidValue { .. }))
    }),
    ("the library keeps both families' addresses, and ports and fields of ICMP, in one place", |pair| {
        is_mixed(&expectation_tuples(pair.message), Some(pair.message[16]))
    }),
];

impl Pair<'_, Flow> {
    /// Whether only an object refuses it, by this attribute.
    fn lacks(&self, attribute: &str) -> bool {
        let named = |error: &ObjectError| error.to_string().starts_with(attribute);
        self.ours.is_ok() && self.theirs.as_ref().is_err_and(named)
    }
}

/// Compares what both read of an entry.
///
/// # Panics
/// At a difference that is not on the list.
pub(crate) fn compare(message: &[u8]) -> Read {
    let pair = Pair { ours: alike::ours(message), theirs: alike::theirs(message), message };
    if let Err(ObjectError::Malformed(malformed)) = &pair.theirs {
        assert_eq!(pair.ours.as_ref(), Err(malformed), "{message:x?}");
        return Read::Refused;
    }
    if let (Ok(ours), Ok(theirs)) = (&pair.ours, &pair.theirs) {
        if comparable(ours.clone()) == comparable(theirs.clone()) {
            return Read::Alike;
        }
    }
    excused(&pair, &EXCUSES)
}

/// As [`compare`], of an expectation.
pub(crate) fn compare_expectation(message: &[u8]) -> Read {
    let (ours, theirs) = (alike_expect::ours(message), alike_expect::theirs(message));
    let pair = Pair { ours, theirs, message };
    if let Err(ObjectError::Malformed(malformed)) = &pair.theirs {
        assert_eq!(pair.ours.as_ref(), Err(malformed), "{message:x?}");
        return Read::Refused;
    }
    if let (Ok(ours), Ok(theirs)) = (&pair.ours, &pair.theirs) {
        // The name is bytes, or text.
        let mut theirs = theirs.clone();
        theirs.helper = theirs.helper.filter(|name| name.as_bytes().is_ascii());
        if *ours == theirs {
            return Read::Alike;
        }
    }
    excused(&pair, &EXPECTATION_EXCUSES)
}

fn excused<T: std::fmt::Debug>(pair: &Pair<'_, T>, excuses: &[Excuse<T>]) -> Read {
    match excuses.iter().find(|(_, covers)| covers(pair)) {
        Some((reason, _)) => Read::Excused(reason),
        None => panic!("read differently:\n{:?}\n{:?}\n{:x?}", pair.ours, pair.theirs, pair.message),
    }
}

/// Without the values that need not be the same.
pub(crate) fn comparable(mut flow: Flow) -> Flow {
    COMPARED_WITHOUT.iter().for_each(|(_, leave_out)| leave_out(&mut flow));
    flow
}

fn is_empty(info: &ProtoInfo) -> bool {
    match info {
        ProtoInfo::Tcp(info) => *info == TcpInfo::default(),
        ProtoInfo::Sctp(info) => *info == Default::default(),
        ProtoInfo::Dccp(info) => *info == Default::default(),
    }
}

fn entry_tuples(message: &[u8]) -> Vec<Attribute<'_>> {
    let kinds = [cta::TUPLE_ORIG, cta::TUPLE_REPLY, cta::TUPLE_MASTER];
    nodes(Attributes::new(&message[20..])).into_iter().filter(|node| kinds.contains(&node.kind)).collect()
}

fn expectation_tuples(message: &[u8]) -> Vec<Attribute<'_>> {
    let mut tuples = Vec::new();
    for part in nodes(Attributes::new(&message[20..])) {
        match part.kind {
            expect::MASTER | expect::TUPLE | expect::MASK => tuples.push(part),
            expect::NAT => {
                tuples.extend(nodes(part.nested()).into_iter().filter(|node| node.kind == expect::NAT_TUPLE));
            }
            _ => {}
        }
    }
    tuples
}

/// Whether a tuple has addresses of two families, or of another than the `family` of its message, or fields of
/// another protocol than its own.
fn is_mixed(tuples: &[Attribute<'_>], family: Option<u8>) -> bool {
    tuples.iter().flat_map(|tuple| nodes(tuple.nested())).any(|node| {
        let kinds: Vec<u16> = nodes(node.nested()).iter().map(|inner| inner.kind).collect();
        let has = |of: std::ops::RangeInclusive<u16>| kinds.iter().any(|kind| of.contains(kind));
        let v4 = || has(tuple::IP_V4_SRC..=tuple::IP_V4_DST);
        let v6 = || has(tuple::IP_V6_SRC..=tuple::IP_V6_DST);
        match node.kind {
            tuple::IP => match family {
                None => v4() && v6(),
                Some(family) if family == Family::Ipv4.number() => v6(),
                Some(_) => v4(),
            },
            tuple::PROTO => {
                let number = nodes(node.nested()).into_iter().find(|inner| inner.kind == tuple::PROTO_NUM);
                let foreign = match number.and_then(|number| number.value.first().copied()).map(Protocol::new)
                {
                    Some(Protocol::ICMP) => [2..=3, 7..=9],
                    Some(Protocol::ICMPV6) => [2..=3, 4..=6],
                    _ => [4..=6, 7..=9],
                };
                foreign.into_iter().any(has)
            }
            _ => false,
        }
    })
}

fn nodes(attributes: Attributes<'_>) -> Vec<Attribute<'_>> {
    attributes.filter_map(Result::ok).collect()
}
