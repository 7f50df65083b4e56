//! Setting up one direction from the other, and detecting and undoing NAT.

use std::net::{IpAddr, Ipv4Addr};

use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::{Icmp, Layer4, NatTarget, Protocol};
use netfilter_conntrack::nfct::{Command, Comparison, Conntrack, ObjectError, Session, attr};
use netfilter_conntrack::{Flow, Handle, Status, Tuple, sys};

use crate::common::own_socket::Raw;
use crate::common::{flow, ip, socket, table, tcp};

/// Every entry of a table with all kinds of NAT, as flow and as object.
fn entries() -> Vec<(Flow, Conntrack)> {
    let dump = Raw::open(0).dump();
    let parse = |message: &Vec<u8>| {
        let flow = Flow::from_message(message).expect("a flow");
        (flow, Conntrack::parse(message).expect("an object"))
    };
    dump.iter().map(parse).collect()
}

fn with(flow: &Flow, change: impl FnOnce(&mut Flow)) -> Flow {
    let mut flow = flow.clone();
    change(&mut flow);
    flow
}

fn tests(flow: &Flow) -> [bool; 4] {
    [flow.is_snat(), flow.is_dnat(), flow.is_port_snat(), flow.is_port_dnat()]
}

fn object_tests(ct: &Conntrack) -> [bool; 4] {
    [ct.is_snat(), ct.is_dnat(), ct.is_port_snat(), ct.is_port_dnat()]
}

fn c_tests(ct: &Conntrack) -> [bool; 4] {
    [sys::NFCT_GOPT_IS_SNAT, sys::NFCT_GOPT_IS_DNAT, sys::NFCT_GOPT_IS_SPAT, sys::NFCT_GOPT_IS_DPAT]
        // SAFETY: the object is alive and only read.
        .map(|option| unsafe { sys::nfct_getobjopt(ct.as_ptr(), option) == 1 })
}

#[test]
fn flow_object_and_c_library_agree_on_nat_of_real_entries() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    let asked = table::with_nat();
    for (flow, object) in entries() {
        let [snat, dnat, port_snat, port_dnat] = tests(&flow);
        assert_eq!(tests(&flow), object_tests(&object), "{flow}");
        let is_icmp = matches!(flow.original.layer4(), Layer4::Icmp(_) | Layer4::IcmpV6(_));
        let by_c = c_tests(&object);
        assert_eq!([snat, dnat], by_c[..2], "{flow}");
        if !is_icmp {
            assert_eq!([port_snat, port_dnat], by_c[2..], "{flow}");
        }
        let Some(asked) = asked.iter().find(|asked| asked.original == flow.original) else {
            assert_eq!(tests(&flow), [false; 4], "{flow}");
            continue;
        };
        let [source, destination] = [asked.source_nat(), asked.destination_nat()];
        let address = |target: Option<NatTarget>| target.and_then(|t| t.address());
        let port = |target: Option<NatTarget>| target.and_then(|t| t.port());
        let expected = [
            address(source).is_some(),
            address(destination).is_some(),
            port(source).is_some(),
            port(destination).is_some(),
        ];
        assert_eq!(tests(&flow), expected, "{flow}");
    }
}

/// A ping's id is in the place of the source port, its type in that of the destination port.
#[test]
fn the_c_library_takes_every_translated_ping_for_port_nat() {
    let mut handle = require_kernel!();
    let ping = Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 9).expect("a ping");
    handle.create(&flow(ping).snat(ip("192.0.2.1"))).expect("created");
    let (flow, object) = entries().remove(0);
    assert_eq!(c_tests(&object), [true, false, true, true]);
    assert_eq!(object_tests(&object), [true, false, false, false]);
    assert_eq!(tests(&flow), [true, false, false, false]);
}

#[test]
fn without_a_status_the_tuples_decide_and_with_one_both() {
    let mut translated = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    translated.reply = tcp("10.0.0.3:3", "10.0.0.4:4");
    for (status, expected) in [
        (None, [true; 4]),
        (Some(Status::CONFIRMED), [false; 4]),
        (Some(Status::SRC_NAT_DONE), [true, false, true, false]),
        (Some(Status::DST_NAT_DONE), [false, true, false, true]),
    ] {
        translated.status = status;
        let object = Conntrack::try_from(&translated).expect("an object");
        assert_eq!((tests(&translated), object_tests(&object)), (expected, expected), "{status:?}");
        assert_eq!(c_tests(&object), expected, "{status:?}");
    }
}

fn v4_tcp() -> Conntrack {
    let mut ct = Conntrack::new().expect("an object");
    ct.set(attr::ORIG_L3PROTO, 2).expect("set");
    ct.set(attr::ORIG_L4PROTO, 6).expect("set");
    ct.set(attr::ORIG_IPV4_SRC, Ipv4Addr::new(10, 0, 0, 1)).expect("set");
    ct.set(attr::ORIG_IPV4_DST, Ipv4Addr::new(10, 0, 0, 2)).expect("set");
    ct.set(attr::ORIG_PORT_SRC, 1000).expect("set");
    ct.set(attr::ORIG_PORT_DST, 80).expect("set");
    ct
}

fn marks(ct: &Conntrack) -> Vec<u32> {
    // SAFETY: the object is alive; the call accepts any number.
    (0..19).filter(|&id| unsafe { sys::nfct_attr_is_set(ct.as_ptr(), id) == 1 }).collect()
}

#[test]
fn a_reply_set_up_has_what_the_connection_has_and_no_more() {
    let mut ct = v4_tcp();
    let by_c = ct.clone();
    // SAFETY: the object is alive.
    assert_eq!(unsafe { sys::nfct_setobjopt(by_c.as_ptr(), sys::NFCT_SOPT_SETUP_REPLY) }, 0);
    assert_eq!(marks(&by_c).len(), 19, "the C library marks everything");
    assert!(!ct.is_snat(), "nothing is translated without a reply");
    ct.setup_reply().expect("set up");
    assert_eq!(marks(&ct), [0, 1, 2, 3, 8, 9, 10, 11, 15, 16, 17, 18]);
    assert_eq!(ct.get(attr::REPL_IPV4_SRC), Some(Ipv4Addr::new(10, 0, 0, 2)));
    assert_eq!((ct.get(attr::REPL_PORT_SRC), ct.get(attr::REPL_PORT_DST)), (Some(80), Some(1000)));
    assert!(!ct.is_set(attr::ORIG_IPV6_SRC) && !ct.is_set(attr::ICMP_TYPE));
    assert!(ct.matches(&by_c, Comparison::tuples()));
    let flow = Flow::try_from(&ct).expect("a flow");
    assert_eq!(flow.reply, flow.original.inverse());
}

#[test]
fn every_tuple_is_set_up_in_both_directions() {
    // As kernels without a tracker of the protocol report them.
    let without = [Protocol::UDPLITE, Protocol::SCTP, Protocol::DCCP, Protocol::GRE].map(|protocol| {
        Tuple::new(ip("10.0.0.1"), ip("10.0.0.2"), Layer4::Other(protocol)).expect("a tuple")
    });
    for flow in table::flows().into_iter().chain(without.map(flow)) {
        let set_up = |prepare: fn(&mut Conntrack) -> Result<(), ObjectError>, flow: &Flow| {
            let mut ct = Conntrack::try_from(flow).expect("an object");
            prepare(&mut ct).expect("set up");
            Flow::try_from(&ct).expect("a flow")
        };
        // A tuple that is not the other's inverse, which set-up has to replace.
        let other = |tuple: &Tuple| {
            let layer4 = match tuple.layer4() {
                Layer4::Icmp(icmp) => Layer4::Icmp(Icmp { id: 99, ..icmp }),
                Layer4::IcmpV6(icmp) => Layer4::IcmpV6(Icmp { id: 99, ..icmp }),
                other => other,
            };
            let last: IpAddr = if tuple.src().is_ipv4() { ip("192.0.2.7") } else { ip("2001:db8::7") };
            Tuple::new(last, tuple.dst(), layer4).expect("a tuple")
        };
        let translated = with(&flow, |flow| flow.reply = other(&flow.reply));
        let read = set_up(Conntrack::setup_reply, &translated);
        assert_eq!(read, with(&translated, |flow| flow.reply = flow.original.inverse()));
        let read = set_up(Conntrack::setup_original, &translated);
        assert_eq!(read, with(&translated, |flow| flow.original = flow.reply.inverse()));
    }
}

#[test]
fn what_is_missing_cannot_be_set_up_from() {
    let missing = |missing| ObjectError::Incomplete { missing };
    let mut ct = Conntrack::new().expect("an object");
    assert_eq!(ct.setup_reply().unwrap_err(), missing("CTA_TUPLE_ORIG"));
    let mut ct = v4_tcp();
    assert_eq!(ct.setup_original().unwrap_err(), missing("CTA_TUPLE_REPLY"));
    assert_eq!(ct.undo_snat().unwrap_err(), missing("CTA_TUPLE_REPLY"));
    ct.unset(attr::ORIG_PORT_SRC);
    assert_eq!(ct.setup_reply().unwrap_err(), missing("CTA_TUPLE_ORIG"));
    assert_eq!(marks(&ct), [0, 1, 9, 15, 17], "nothing changed");
}

/// After undoing, the object requests the NAT that the entry had, so that it can be created again elsewhere.
#[test]
fn nat_that_is_undone_can_be_asked_for_again() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::with_nat());
    let translated = entries();
    handle.flush().expect("flushed");
    for (was, mut object) in translated {
        let is_icmp = was.original.ports().is_none();
        let undone = [
            object.undo_snat().expect("undone"),
            object.undo_dnat().expect("undone"),
            object.undo_port_snat().expect("undone"),
            object.undo_port_dnat().expect("undone"),
        ];
        assert_eq!(undone, tests(&was), "{was}");
        let request = Flow::try_from(&object).expect("a flow");
        assert_eq!(request.original, was.original);
        assert!(is_icmp || request.reply == was.original.inverse(), "{request}");
        let asked =
            table::with_nat().into_iter().find(|asked| asked.original == was.original).expect("asked");
        assert_eq!(request.source_nat(), asked.source_nat(), "{was}");
        assert_eq!(request.destination_nat(), asked.destination_nat(), "{was}");
        let again = with(&request, |flow| (flow.timeout, flow.status) = (asked.timeout, None));
        handle.create(&again).expect("created again");
        assert_eq!(handle.get(was.original.in_zone(was.zone)).expect("there").reply, was.reply);
        // Nothing is left to undo.
        assert_eq!(object.undo_snat(), Ok(false));
        assert_eq!(object.undo_port_dnat(), Ok(false));
    }
}

/// The library sends such a port or id only for TCP and UDP; requests of this crate have it for the others
/// too.
#[test]
fn a_port_that_the_library_leaves_out_is_added() {
    let mut handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    let ports = |protocol| Tuple::with_ports(protocol, socket("10.0.0.1:1"), socket("10.0.0.2:38412"));
    let mut tuples = vec![Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 77).expect("a tuple")];
    for protocol in [Protocol::UDPLITE, Protocol::SCTP, Protocol::DCCP] {
        match handle.keeps_ports(protocol).expect("an answer") {
            true => tuples.push(ports(protocol).expect("a tuple")),
            false => eprintln!("{protocol} is not tried: this kernel keeps no ports of it"),
        }
    }
    for tuple in tuples {
        for target in [NatTarget::Port(9000), socket("10.244.0.5:9000").into()] {
            let asks = flow(tuple).dnat(target);
            let object = Conntrack::try_from(&asks).expect("an object");
            let check = |handle: &mut Handle| {
                let found = handle.get(tuple).expect("created");
                assert_eq!(found.reply.src(), target.address().unwrap_or(tuple.dst()));
                match found.reply.layer4() {
                    Layer4::Icmp(Icmp { id, .. }) => assert_eq!(id, 9000),
                    _ => assert_eq!(found.reply.ports().expect("ports").src, 9000),
                }
                handle.delete(tuple).expect("deleted");
            };
            session.create(&object).expect("created");
            check(&mut handle);
            session.create_or_update(&object).expect("created");
            check(&mut handle);
            for command in [Command::Create, Command::CreateOrUpdate] {
                session.send(command, &object).expect("sent").finish().expect("created");
                check(&mut handle);
            }

            let request = Message::for_object(Request::Create, &object).expect("a request");
            let own = Raw::open(0);
            own.send(request.as_bytes());
            own.receive();
            // A lookup and a delete ignore the requested NAT.
            assert!(session.get(&object).is_ok());
            session.destroy(&object).expect("deleted");
        }
    }
}
