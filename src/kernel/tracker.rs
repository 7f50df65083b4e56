//! Which protocols the running kernel tracks by ports or keys.
//!
//! Trackers of UDP-Lite, DCCP, SCTP and GRE are options of the kernel, and releases drop them (DCCP 6.17,
//! UDP-Lite 7.2). Without one, the kernel silently ignores the ports of a request: it creates, finds,
//! changes or deletes the one entry with those addresses. With one, it cannot name an entry without them.
//!
//! The probe looks up a tuple without ports: a tracker refuses that as incomplete (`EINVAL`); without one the
//! lookup is carried out. That changes nothing, and takes one or two requests and only the rights of the
//! actual request, so unlike a trial it works without `CAP_SYS_ADMIN`. A kernel keeps its trackers, in all
//! namespaces, as long as it runs.

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::Fault;
use crate::model::proto::{Family, Protocol};
use crate::model::tuple::Tuple;
use crate::netlink::link::{Answer, Link};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;

/// The protocols whose tracker a kernel may lack.
pub(crate) const OPTIONAL: [Protocol; 4] = [Protocol::UDPLITE, Protocol::DCCP, Protocol::SCTP, Protocol::GRE];

/// Refuses a tuple that the kernel behind this socket cannot keep: with ports if it has no tracker, without
/// them if it has one.
pub(crate) fn check(tuple: &Tuple, link: &mut Link) -> Result<(), Fault> {
    match tuple.has_optional_parts() {
        None => Ok(()),
        Some(has) => compare(tuple.protocol(), has, known(tuple.protocol(), link)?),
    }
}

/// As [`check`], with a socket of its own.
pub(crate) fn check_here(tuple: &Tuple) -> Result<(), Fault> {
    match tuple.has_optional_parts() {
        None => Ok(()),
        Some(has) => compare(tuple.protocol(), has, known_here(tuple.protocol())?),
    }
}

/// Whether this kernel tracks a protocol by ports or keys, probed with a socket of its own.
pub(crate) fn known_here(protocol: Protocol) -> Result<bool, Fault> {
    match seen(protocol) {
        Ok(kept) => Ok(kept),
        Err(_) => {
            let link = Link::open(Duration::from_secs(2));
            known(protocol, &mut link.map_err(Fault::Io)?)
        }
    }
}

/// Whether the kernel behind this socket tracks a protocol by ports or keys.
pub(crate) fn known(protocol: Protocol, link: &mut Link) -> Result<bool, Fault> {
    match seen(protocol) {
        Ok(kept) => Ok(kept),
        Err(None) => Ok(protocol.has_ports()),
        Err(Some(place)) => ask(protocol, link).inspect(|kept| _ = place.set(*kept)),
    }
}

/// The known state of an optional tracker, or where to note it. The others are always built in.
fn seen(protocol: Protocol) -> Result<bool, Option<&'static OnceLock<bool>>> {
    static SEEN: [OnceLock<bool>; OPTIONAL.len()] = [const { OnceLock::new() }; OPTIONAL.len()];
    let number = OPTIONAL.iter().position(|optional| *optional == protocol);
    let place = number.map(|number| &SEEN[number]);
    place.and_then(OnceLock::get).copied().ok_or(place)
}

/// Refuses a tuple that `has` optional parts although they are not `kept`, or the other way round.
fn compare(protocol: Protocol, has: bool, kept: bool) -> Result<(), Fault> {
    if has == kept {
        return Ok(());
    }
    let parts = if protocol == Protocol::GRE { "keys" } else { "ports" };
    let words = match kept {
        true => format!("this kernel tracks {protocol} by its {parts}, and the tuple has none"),
        false => format!("this kernel tracks {protocol} by addresses alone, and would ignore the {parts}"),
    };
    Err(Fault::Unsupported(words.into()))
}

fn ask(protocol: Protocol, link: &mut Link) -> Result<bool, Fault> {
    match look_up(protocol, false, link)? {
        // An unregistered subsystem refuses everything like this: a complete tuple makes the difference.
        libc::EINVAL => match look_up(protocol, true, link)? {
            0 | libc::ENOENT => Ok(true),
            errno => Err(Fault::Refused { errno, message: None }),
        },
        0 | libc::ENOENT => Ok(false),
        errno => Err(Fault::Refused { errno, message: None }),
    }
}

/// Looks up a tuple of this protocol, and returns the errno, 0 for an entry.
fn look_up(protocol: Protocol, parts: bool, link: &mut Link) -> Result<i32, Fault> {
    let get = libc::NLM_F_REQUEST as u16;
    let mut request = MessageBuf::new(uapi::CT_GET, get, Family::Ipv4.number(), 0);
    request.nested(uapi::cta::TUPLE_ORIG, |nest| {
        nest.nested(uapi::tuple::IP, |ip| {
            ip.put(uapi::tuple::IP_V4_SRC, &Ipv4Addr::UNSPECIFIED.octets())?;
            ip.put(uapi::tuple::IP_V4_DST, &Ipv4Addr::UNSPECIFIED.octets())
        })?;
        nest.nested(uapi::tuple::PROTO, |nest| {
            nest.put(uapi::tuple::PROTO_NUM, &[protocol.number()])?;
            if parts {
                nest.put(uapi::tuple::PROTO_SRC_PORT, &[0; 2])?;
                nest.put(uapi::tuple::PROTO_DST_PORT, &[0; 2])?;
            }
            Ok(())
        })
    })?;
    let seq = link.send(&mut request)?;
    match link.answer(seq)? {
        Answer::Refused { errno, .. } => Ok(errno),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flow;
    use crate::filter::Filter;
    use crate::kernel::trial::Lab;
    use crate::model::tuple::Layer4;
    use crate::netns;

    /// The probe agrees with how the kernel then keeps an entry created with ports or keys.
    #[test]
    fn the_kernel_keeps_entries_as_it_answers() {
        if !netns::own_namespace() {
            return;
        }
        let mut lab = Lab::here().expect("a socket");
        for protocol in OPTIONAL {
            let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            let tuple = match protocol {
                Protocol::GRE => Tuple::gre(src, dst, 1, 2),
                _ => Tuple::with_ports(protocol, (src, 1).into(), (dst, 2).into()),
            }
            .expect("a tuple");
            let mut link = Link::open(Duration::from_secs(2)).expect("a socket");
            let flow = Flow::new(tuple).timeout(Duration::from_secs(60));
            lab.create(&flow).expect("created");
            let listed = lab.list(&Filter::default(), |_, _| true).expect("a listing").remove(0);
            let kept = known(protocol, &mut link).expect("an answer");
            println!("{protocol}: {kept}");
            assert_eq!(ask(protocol, &mut link).expect("an answer"), kept);
            match kept {
                true => assert_eq!(listed.original, tuple),
                false => assert_eq!(listed.original.layer4(), Layer4::Other(protocol)),
            }
            assert_eq!(check(&tuple, &mut link).is_ok(), kept);
            check_here(&listed.original).expect("kept");
            lab.flush(&Filter::default()).expect("flushed");
        }
    }

    #[test]
    fn trackers_that_no_kernel_lacks_are_not_asked_about() {
        for (protocol, kept) in [(Protocol::TCP, true), (Protocol::UDP, true), (Protocol::ICMP, false)] {
            assert!(matches!(seen(protocol), Err(None)));
            assert_eq!(protocol.has_ports(), kept);
        }
    }
}
