//! NAT requested when a flow is created. The reply tuple shows the result.

use std::net::{IpAddr, SocketAddr};

use crate::common::{all, flow, ip, not_found, socket, tcp, udp};
use netfilter_conntrack::error::{Failure, InputError, Operation, Subject};
use netfilter_conntrack::model::{Icmp, Layer4, NatTarget, Protocol};
use netfilter_conntrack::{Error, Flow, Handle, Status, Tuple};

/// Client, server, and the addresses that the two are translated to.
const ENDS: [[&str; 4]; 2] = [
    ["10.0.0.1", "10.0.0.2", "10.9.0.1", "10.9.0.2"],
    ["2001:db8::1", "2001:db8::2", "2001:db8:9::1", "2001:db8:9::2"],
];

const DONE: Status = Status::CONFIRMED.union(Status::SRC_NAT_DONE).union(Status::DST_NAT_DONE);

fn made(handle: &mut Handle, flow: &Flow) -> Flow {
    handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    handle.get(flow).unwrap_or_else(|error| panic!("{error}"))
}

/// Creates a flow with this NAT; its replies must have the translated addresses.
fn check(handle: &mut Handle, original: Tuple, source: Option<NatTarget>, destination: Option<NatTarget>) {
    let mut new = flow(original);
    new.set_source_nat(source);
    new.set_destination_nat(destination);
    let found = made(handle, &new);
    let address = |nat: Option<NatTarget>, own| nat.and_then(|nat| nat.address()).unwrap_or(own);
    let port = |nat: Option<NatTarget>, own| nat.and_then(|nat| nat.port()).unwrap_or(own);
    let own = original.ports().expect("ports");
    let from = SocketAddr::new(address(destination, original.dst()), port(destination, own.dst));
    let to = SocketAddr::new(address(source, original.src()), port(source, own.src));
    assert_eq!(Ok(found.reply), Tuple::with_ports(original.protocol(), from, to));
    let mut status = DONE;
    status.set(Status::SRC_NAT, source.is_some());
    status.set(Status::DST_NAT, destination.is_some());
    assert_eq!(found.status, Some(status));
    assert_eq!((found.source_nat(), found.destination_nat()), (None, None), "never reported");
    handle.delete(&found).expect("deleted");
}

#[test]
fn addresses_ports_and_both_are_translated_as_asked() {
    let mut handle = require_kernel!();
    for [client, server, source, destination] in ENDS.map(|ends| ends.map(ip)) {
        let [source, destination] = [source, destination].map(|to| {
            let both = NatTarget::AddressAndPort(SocketAddr::new(to, 6666));
            [None, Some(NatTarget::Port(5555)), Some(NatTarget::Address(to)), Some(both)]
        });
        for protocol in [Protocol::TCP, Protocol::UDP, Protocol::UDPLITE, Protocol::SCTP, Protocol::DCCP] {
            if !handle.keeps_ports(protocol).expect("an answer") {
                eprintln!("{protocol} is not tried: this kernel keeps no ports of it");
                continue;
            }
            let original = Tuple::with_ports(protocol, (client, 1000).into(), (server, 80).into());
            let original = original.expect("a tuple");
            for source in source {
                for destination in destination.into_iter().filter(|to| source.is_some() || to.is_some()) {
                    check(&mut handle, original, source, destination);
                }
            }
        }
    }
}

/// The id of an ICMP query is also that of its answer, so either NAT can change it.
#[test]
fn ids_are_translated_as_asked() {
    let mut handle = require_kernel!();
    for [client, server, source, destination] in ENDS.map(|ends| ends.map(ip)) {
        let original = Tuple::ping(client, server, 77).expect("a tuple");
        let at = |address: IpAddr, id| Some(NatTarget::AddressAndPort(SocketAddr::new(address, id)));
        for id in [0, 77, 4321, u16::MAX] {
            let port = Some(NatTarget::Port(id));
            for (snat, dnat, ends) in [
                (port, None, [client, server]),
                (None, port, [client, server]),
                (at(source, id), None, [source, server]),
                (None, at(destination, id), [client, destination]),
                (at(source, id), at(destination, id), [source, destination]),
                (port, Some(destination.into()), [client, destination]),
                (Some(source.into()), at(destination, id), [source, destination]),
                (at(source, id), Some(destination.into()), [source, destination]),
            ] {
                let mut new = flow(original);
                new.set_source_nat(snat);
                new.set_destination_nat(dnat);
                let found = made(&mut handle, &new);
                let [src, dst] = ends;
                let reply = Tuple::ping(src, dst, id).expect("a tuple").inverse();
                assert_eq!(found.reply, reply, "{snat:?} {dnat:?}");
                assert!(found.status.is_some_and(|status| status.contains(DONE)), "{found:?}");
                handle.delete(&found).expect("deleted");
            }
        }
    }
}

#[test]
fn protocols_without_ports_are_translated_by_address() {
    let mut handle = require_kernel!();
    for [client, server, to, _] in ENDS.map(|ends| ends.map(ip)) {
        let icmp = Tuple::ping(client, server, 7).expect("a tuple").layer4();
        let gre = Layer4::Gre { src_key: 1, dst_key: 2 };
        for layer4 in [icmp, gre, Layer4::Other(Protocol::new(50))] {
            let tuple = Tuple::new(client, server, layer4).expect("a tuple");
            let found = made(&mut handle, &flow(tuple).snat(to));
            let inverse = tuple.inverse();
            assert_eq!(Ok(found.reply), Tuple::new(inverse.src(), to, inverse.layer4()));
        }
    }
}

/// The second of two pings with the same id gets another id, and only replies with that id are its own: the C
/// library's object has no room for two ids.
#[test]
fn a_ping_whose_id_is_taken_gets_another_in_the_reply() {
    let mut handle = require_kernel!();
    let ping = |client| Tuple::ping(ip(client), ip("10.0.0.9"), 7).expect("a tuple");
    let [first, second] = ["10.0.0.1", "10.0.0.2"].map(|client| flow(ping(client)).snat(ip("10.9.0.1")));
    assert_eq!(made(&mut handle, &first).reply.layer4(), Layer4::Icmp(Icmp { icmp_type: 0, code: 0, id: 7 }));
    let found = made(&mut handle, &second);
    let Layer4::Icmp(Icmp { icmp_type: 0, code: 0, id }) = found.reply.layer4() else { panic!("{found}") };
    assert_ne!(id, 7);
    assert_eq!(handle.get_by_reply(found.reply).expect("there").id, found.id);
    handle.delete(&found).expect("deleted");
    assert_eq!(all(&mut handle).len(), 1);
}

#[test]
fn a_port_that_is_taken_is_replaced_unless_it_was_asked_for() {
    let mut handle = require_kernel!();
    let client = |number| flow(tcp(&format!("10.0.0.{number}:1000"), "10.0.0.100:80"));
    let reply = tcp("10.0.0.100:80", "10.9.0.1:1000");
    assert_eq!(made(&mut handle, &client(1).snat(ip("10.9.0.1"))).reply, reply);
    let found = made(&mut handle, &client(2).snat(ip("10.9.0.1")));
    assert_eq!(found.reply.dst(), ip("10.9.0.1"));
    assert_ne!(found.reply, reply);
    let error = handle.create(&client(3).snat(socket("10.9.0.1:1000"))).expect_err("it is taken");
    assert!(matches!(error, Error::Exists(_)), "{error}");
    assert!(not_found(handle.get(client(3))));
}

#[test]
fn an_id_that_is_taken_is_replaced_unless_it_was_asked_for() {
    let mut handle = require_kernel!();
    let ping = |client| flow(Tuple::ping(ip(client), ip("10.0.0.9"), 7).expect("a tuple"));
    let taken = socket("10.9.0.1:7");
    made(&mut handle, &ping("10.0.0.1").snat(taken));
    let error = handle.create(&ping("10.0.0.2").snat(taken)).expect_err("it is taken");
    assert!(matches!(error, Error::Exists(_)), "{error}");
    let found = made(&mut handle, &ping("10.0.0.2").snat(taken.ip()));
    assert_ne!(found.reply.layer4(), Layer4::Icmp(Icmp { icmp_type: 0, code: 0, id: 7 }));
    assert_eq!(all(&mut handle).len(), 2);
}

/// The server's replies to this client and port belong to another flow, so the kernel also translates the
/// source, which was not requested.
#[test]
fn an_entry_that_would_be_answered_elsewhere_does_not_stay() {
    let mut handle = require_kernel!();
    let server = socket("10.0.0.3:3");
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.3:3"))).expect("created");
    let new = flow(udp("10.0.0.1:1", "10.0.0.2:2")).dnat(server);
    let misdirected = |operation, result: Result<(), Error>| {
        let Err(Error::Misdirected { failure, reply }) = result else { panic!("{result:?}") };
        let named = (failure.operation(), failure.subject().clone());
        assert_eq!(named, (operation, Subject::Flow(new.key())));
        assert_eq!((reply.src(), reply.ports().expect("ports").src), (server.ip(), server.port()));
        assert_eq!(reply.dst(), ip("10.0.0.1"));
        assert_ne!(reply.ports().expect("ports").dst, 1);
    };
    misdirected(Operation::Create, handle.create(&new));
    misdirected(Operation::CreateOrUpdate, handle.create_or_update(&new));
    let other = flow(udp("10.0.0.1:5", "10.0.0.2:2")).dnat(server);
    let verdicts: Vec<_> = handle.create_many([&other, &new]).map(|(_, verdict)| verdict).collect();
    let [first, second] = <[_; 2]>::try_from(verdicts).expect("two");
    assert_eq!(first, Ok(()));
    misdirected(Operation::Create, second);
    assert!(not_found(handle.get(&new)));
    assert_eq!(all(&mut handle).len(), 2);
    // Where the source may get another port, it does.
    let both = new.clone().snat(ip("10.0.0.1"));
    assert_ne!(made(&mut handle, &both).reply.ports().expect("ports").dst, 1);
    // An existing entry is left alone, and the kernel reports it.
    let error = handle.create_or_update(&new.snat(socket("10.9.0.1:9"))).expect_err("it has other NAT");
    assert_eq!(
        error.failure().and_then(Failure::part),
        Some(netfilter_conntrack::error::FlowPart::Nat),
        "{error}"
    );
    assert_eq!(all(&mut handle).len(), 3);
}

/// An entry whose NAT is the requested one is updated, even if its other end was translated as well.
#[test]
fn an_entry_with_nat_can_be_written_again() {
    let mut handle = require_kernel!();
    let server = socket("10.0.0.3:3");
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.3:3"))).expect("created");
    let new = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    let found = made(&mut handle, &new.clone().snat(ip("10.0.0.1")).dnat(server));
    handle.create_or_update(&new.dnat(server).mark(7)).expect("updated");
    let again = handle.get(&found).expect("still there");
    assert_eq!((again.id, again.reply, again.mark), (found.id, found.reply, Some(7)));
    let ping =
        flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.9"), 7).expect("a tuple")).snat(socket("10.9.0.1:8"));
    for mark in [1, 2] {
        handle.create_or_update(&ping.clone().mark(mark)).expect("written");
        assert_eq!(handle.get(&ping).expect("there").mark, Some(mark));
    }
}

#[test]
fn nat_on_a_flow_that_exists_is_refused() {
    let mut handle = require_kernel!();
    let new = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&new).expect("created");
    let nat = new.snat(ip("10.9.0.1"));
    assert_eq!(handle.update(&nat), Err(Error::InvalidInput(InputError::OnlyAtCreation("NAT"))));
    let error = handle.create_or_update(&nat).expect_err("only the kernel knows that it exists");
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(handle.get(&nat).expect("there").reply, nat.reply);
}

/// A reply tuple alone makes no NAT: the flow is found by it, and its packets are not translated.
#[test]
fn a_translated_flow_is_not_copied_by_its_tuples() {
    let mut handle = require_kernel!();
    let found = made(&mut handle, &flow(tcp("10.0.0.1:1", "10.0.0.2:2")).snat(ip("10.9.0.1")));
    handle.delete(&found).expect("deleted");
    handle.create(&found).expect("created");
    let copy = handle.get(found.original).expect("there");
    assert_eq!(copy.reply, found.reply);
    assert_eq!(copy.status, Some(Status::CONFIRMED));
}

#[test]
fn nat_that_the_request_cannot_carry_is_refused_before_it_is_sent() {
    let mut handle = require_kernel!();
    let gre = flow(Tuple::gre(ip("10.0.0.1"), ip("10.0.0.2"), 1, 2).expect("a tuple"));
    let key = gre.clone().dnat(NatTarget::Port(5));
    assert_eq!(handle.create(&key), Err(Error::InvalidInput(InputError::NoPortNat(Protocol::GRE))));
    let other = gre.snat(ip("::1"));
    assert!(matches!(handle.create(&other), Err(Error::InvalidInput(InputError::OtherFamily { .. }))));
    assert_eq!(all(&mut handle), []);
}
