//! Protocols whose tracker a kernel may lack: UDP-Lite, DCCP, SCTP and GRE. Without it a kernel ignores ports
//! and keys, so a tuple with them would match the one entry with those addresses.

use std::net::SocketAddr;
#[cfg(feature = "nfct")]
use std::ops::ControlFlow;
use std::time::Duration;

use crate::common::{self, all, flow, ip, kept, socket, udp};
use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::{Layer4, Protocol};
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{Command, Conntrack, ObjectError, Session, attr};
use netfilter_conntrack::preflight::Feature;
use netfilter_conntrack::{Change, Error, Expectation, Handle, Key, Mirror, Result, Selector, Tuple};
#[cfg(feature = "nfct")]
use netfilter_conntrack::{ErrorKind, Flow};

const OPTIONAL: [(Protocol, Feature); 4] = [
    (Protocol::UDPLITE, Feature::UdpLitePorts),
    (Protocol::DCCP, Feature::DccpPorts),
    (Protocol::SCTP, Feature::SctpPorts),
    (Protocol::GRE, Feature::GreKeys),
];

fn ends() -> (SocketAddr, SocketAddr) {
    (socket("10.0.0.1:1"), socket("10.0.0.2:2"))
}

/// The tuple of this protocol that this kernel keeps, and the one that it cannot keep.
fn tuples(handle: &mut Handle, protocol: Protocol) -> (Tuple, Tuple) {
    let (src, dst) = ends();
    let with = match protocol {
        Protocol::GRE => Tuple::gre(src.ip(), dst.ip(), 1, 2),
        _ => Tuple::with_ports(protocol, src, dst),
    };
    let with = with.expect("a tuple");
    let without = Tuple::new(src.ip(), dst.ip(), Layer4::Other(protocol)).expect("a tuple");
    if handle.keeps_ports(protocol).expect("an answer") { (with, without) } else { (without, with) }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>) {
    match result {
        Err(error @ Error::Unsupported(_)) => {
            assert!(error.to_string().contains("this kernel tracks "), "{error}");
            assert_eq!(error.raw_os_error(), None, "nothing was sent");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kernel_says_what_it_keeps_and_keeps_it() {
    let mut handle = require_kernel!();
    let preflight = handle.preflight();
    for (protocol, feature) in OPTIONAL {
        let keeps = handle.keeps_ports(protocol).expect("an answer");
        println!("{}", preflight.capability(feature));
        assert_eq!(preflight.has(feature), keeps);
        let (kept, _) = tuples(&mut handle, protocol);
        handle.create(&flow(kept)).expect("created");
        let [found] = &all(&mut handle)[..] else { panic!("one entry") };
        assert_eq!((found.original, found.reply), (kept, kept.inverse()));
        assert_eq!(handle.get(kept).expect("found").id, found.id);
        assert_eq!(handle.get_by_reply(kept.inverse()).expect("found").id, found.id);
        handle.update(&found.identity().mark(7)).expect("updated");
        assert_eq!(handle.get(found).expect("found").mark, Some(7));
        handle.delete(found).expect("deleted");
        handle.create_or_update(&flow(kept)).expect("created");
        handle.delete_by_tuple(kept, 0).expect("deleted");
        assert_eq!(all(&mut handle), []);
    }
    for protocol in [Protocol::TCP, Protocol::UDP] {
        assert_eq!(handle.keeps_ports(protocol), Ok(true));
    }
    for protocol in [Protocol::ICMP, Protocol::new(50)] {
        assert_eq!(handle.keeps_ports(protocol), Ok(false));
    }
}

/// Each call is refused in the same way before anything is sent, and the entry that it would have matched
/// stays unchanged.
#[test]
fn no_call_takes_another_entry_for_the_one_that_cannot_be() {
    let mut handle = require_kernel!();
    for (protocol, _) in OPTIONAL {
        let (kept, other) = tuples(&mut handle, protocol);
        handle.create(&flow(kept).mark(1)).expect("created");
        let before = handle.get(kept).expect("found");
        let key = Key { id: before.id, ..other.in_zone(0) };
        let of_other = flow(other).mark(2);

        refused(handle.create(&of_other));
        refused(handle.create_or_update(&of_other));
        refused(handle.update(&of_other));
        refused(handle.get(other));
        refused(handle.get_by_reply(other.inverse()));
        refused(handle.get(key));
        refused(handle.delete(other));
        refused(handle.delete(key));
        refused(handle.delete_by_tuple(other, 0));
        let mut of_both = flow(kept);
        of_both.reply = other.inverse();
        refused(handle.update(&of_both));
        handle.create_many([&of_other]).for_each(|(_, verdict)| refused(verdict));
        handle.create_or_update_many([&of_other]).for_each(|(_, verdict)| refused(verdict));
        handle.update_many([&of_other]).for_each(|(_, verdict)| refused(verdict));
        handle.delete_many([other]).for_each(|(_, verdict)| refused(verdict));
        handle.delete_many([key]).for_each(|(_, verdict)| refused(verdict));
        let outcome = common::delete_each(&mut handle, [Key::from(other), key]).expect("an outcome");
        assert_eq!((outcome.failed.len(), outcome.already_gone.len()), (2, 0), "{outcome:?}");
        for (_, error) in outcome.failed {
            refused::<()>(Err(error));
        }

        let ftp = udp("10.0.0.9:1", "10.0.0.2:21");
        for expectation in [Expectation::new(other, ftp), Expectation::new(ftp, other)] {
            refused(handle.expectations().create(&expectation));
            refused(handle.expectations().create_or_update(&expectation));
        }
        refused(handle.expectations().get(other));
        refused(handle.expectations().find_matching(other, 0));
        refused(handle.expectations().delete(other));
        refused(handle.expectations().dump().of_master(other).entries().map(drop));
        let master = flow(ftp).with_master(other);
        refused(handle.create(&master));
        refused(Message::for_flow(Request::Create, &master));

        for request in
            [Request::Create, Request::CreateOrUpdate, Request::Update, Request::Get, Request::Delete]
        {
            refused(Message::for_flow(request, &of_other));
            #[cfg(feature = "nfct")]
            refused(Message::for_object(request, &Conntrack::try_from(&of_other).expect("an object")));
        }
        let mut mirror = Mirror::open().expect("a mirror");
        mirror.sync_timeout(Duration::from_secs(5)).expect("in step");
        refused(mirror.confirm(other).map(drop));

        assert_eq!(handle.get(kept).expect("found").id, before.id);
        assert_eq!(handle.get(kept).expect("found").mark, Some(1));
        handle.delete(kept).expect("deleted");
        assert_eq!(all(&mut handle), []);
    }
}

#[cfg(feature = "nfct")]
#[test]
fn no_query_of_the_library_takes_another_entry_for_the_one_that_cannot_be() {
    let mut handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    for (protocol, _) in OPTIONAL {
        let (kept, other) = tuples(&mut handle, protocol);
        handle.create(&flow(kept).mark(1)).expect("created");
        let object = Conntrack::try_from(&flow(other).mark(2)).expect("an object");
        refused(session.create(&object));
        refused(session.create_or_update(&object));
        refused(session.update(&object));
        refused(session.get(&object));
        refused(session.destroy(&object));
        for command in [Command::Create, Command::Update, Command::CreateOrUpdate, Command::Destroy] {
            refused(session.send(command, &object));
        }
        assert_eq!(handle.get(kept).expect("found").mark, Some(1));
        handle.delete(kept).expect("deleted");
    }
}

#[cfg(feature = "nfct")]
/// Each layer writes back the flows that it reads, and the other layer reads the same.
#[test]
fn what_a_session_lists_it_can_change_delete_and_make_again() {
    let mut handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    let mut flows = common::every_kind();
    flows.iter_mut().for_each(|flow| flow.mark = Some(3));
    common::create(&mut handle, &flows);
    let mut objects = Vec::new();
    let listed = session.dump(None, |ct| {
        objects.push(ct);
        ControlFlow::<()>::Continue(())
    });
    assert!(listed.expect("a dump").is_continue());
    assert_eq!(objects.len(), flows.len());
    for object in &mut objects {
        let plain = Flow::try_from(&*object).expect("a flow");
        let found = handle.get(&plain).expect("found by what the object says");
        assert_eq!((plain.original, plain.reply, plain.zone), (found.original, found.reply, found.zone));
        assert_eq!(plain.proto_info, found.proto_info);
        let again = Conntrack::try_from(&plain).expect("an object");
        assert_eq!(Flow::try_from(&again).expect("a flow"), plain);

        object.set(attr::MARK, 4).expect("set");
        session.update(object).expect("updated");
        assert_eq!(session.get(object).expect("found").get(attr::MARK), Some(4));
        assert_eq!(handle.get(&plain).expect("found").mark, Some(4));
        session.destroy(object).unwrap_or_else(|error| panic!("{error}"));
        assert!(handle.get(plain.original).is_err_and(|error| error.kind() == ErrorKind::NotFound));
        session.create(object).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(handle.get(plain.original).expect("made again").reply, plain.reply);
    }
    assert_eq!(common::tuples(&all(&mut handle)), common::tuples(&flows));
}

#[cfg(feature = "nfct")]
/// The library writes ports of 0 if an object has none; messages omit them.
#[test]
fn an_object_without_ports_names_an_entry_without_ports() {
    let mut handle = require_kernel!();
    for (protocol, _) in OPTIONAL {
        let (src, dst) = ends();
        let tuple = Tuple::new(src.ip(), dst.ip(), Layer4::Other(protocol)).expect("a tuple");
        let mut object = Conntrack::try_from(&flow(tuple)).expect("an object");
        assert_eq!(Flow::try_from(&object).expect("a flow").original, tuple);
        assert_eq!(object.get(attr::ORIG_PORT_SRC), None);
        match handle.keeps_ports(protocol).expect("an answer") {
            true => refused(Message::for_object(Request::Get, &object)),
            false => {
                let message = Message::for_object(Request::Create, &object).expect("a message");
                let plain = Message::for_flow(Request::Create, &flow(tuple)).expect("a message");
                assert_eq!(message.as_bytes(), plain.as_bytes());
            }
        }
        object.set(attr::ORIG_PORT_SRC, 1).expect("set");
        let half = Message::for_object(Request::Get, &object).expect_err("one port is missing");
        assert_eq!(half, Error::Object(ObjectError::Incomplete { missing: "CTA_TUPLE_ORIG" }));
    }
}

/// A listed flow is swept with or without ports; a condition on ports that are not reported matches neither
/// it nor everything else.
#[test]
fn conditions_on_ports_leave_flows_without_ports_alone() {
    let mut handle = require_kernel!();
    for protocol in [Protocol::UDPLITE, Protocol::DCCP, Protocol::SCTP] {
        let (src, dst) = ends();
        let kept = kept(protocol, src, dst);
        let flow = flow(kept);
        handle.create(&flow).expect("created");
        let of = || Selector::any_zone().protocol(protocol);
        let to = |port: u16| of().dst_port(port);
        let has_ports = kept.ports().is_some();
        assert_eq!(to(2).matches(&flow), has_ports);
        assert!(!to(3).matches(&flow));
        assert_eq!(of().except(to(3)).matches(&flow), has_ports, "it may have been 3");
        assert!(of().matches(&flow));
        let changed = handle.update_matching(of(), Change::new().mark(9)).run().expect("changed");
        assert_eq!(changed.done, 1);
        assert_eq!(handle.get(kept).expect("found").mark, Some(9));
        assert_eq!(handle.delete_matching(of()).run().expect("deleted").done, 1);
    }
    assert_eq!(all(&mut handle), []);
}

/// An expectation of a protocol whose tracker this kernel lacks has no ports either, in both layers.
#[test]
fn expectations_of_protocols_without_ports_are_read_and_written() {
    let mut handle = require_kernel!();
    let master = common::tcp("10.0.0.1:1000", "10.0.0.2:21");
    let control = flow(master)
        .tcp_state(netfilter_conntrack::TcpState::Established)
        .helper("ftp".parse().expect("a name"));
    match handle.create(&control) {
        Err(Error::Unsupported(_)) => return common::skip("there is no helper for FTP"),
        created => created.expect("created"),
    }
    for (protocol, _) in OPTIONAL {
        let expected = kept(protocol, socket("10.0.0.2:20"), socket("10.0.0.1:2000"));
        let expectation = Expectation::new(master, expected).timeout(Duration::from_secs(60));
        handle.expectations().create(&expectation).expect("created");
        let found = handle.expectations().get(expected).expect("found");
        assert_eq!((found.expected, found.master), (expected, master));
        handle.expectations().delete(&found).expect("deleted");
    }
    assert_eq!(ip("10.0.0.1"), master.src());
}
