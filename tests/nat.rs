//! NAT that is asked for when a flow is created. The reply tuple shows what became of it.

mod common;

use std::net::SocketAddr;

use common::{all, flow, ip, not_found, socket, tcp, udp};
use netfilter_conntrack::{
    Error, Flow, Handle, Icmp, InputError, Layer4, NatTarget, Protocol, Status, Tuple,
};

/// Client, server, and what the two are translated to.
const ENDS: [[&str; 4]; 2] = [
    ["10.0.0.1", "10.0.0.2", "10.9.0.1", "10.9.0.2"],
    ["2001:db8::1", "2001:db8::2", "2001:db8:9::1", "2001:db8:9::2"],
];

const DONE: Status = Status::CONFIRMED.union(Status::SRC_NAT_DONE).union(Status::DST_NAT_DONE);

fn made(handle: &mut Handle, flow: &Flow) -> Flow {
    handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    handle.get(flow).unwrap_or_else(|error| panic!("{error}"))
}

/// Creates a flow with this NAT; its answers must go where the NAT says.
fn check(handle: &mut Handle, original: Tuple, source: Option<NatTarget>, destination: Option<NatTarget>) {
    let mut new = flow(original);
    (new.extra.source_nat, new.extra.destination_nat) = (source, destination);
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
    assert_eq!((found.extra.source_nat, found.extra.destination_nat), (None, None), "never reported");
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
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let original = Tuple::with_ports(protocol, (client, 1000).into(), (server, 80).into());
            for source in source {
                for destination in destination.into_iter().filter(|to| source.is_some() || to.is_some()) {
                    check(&mut handle, original.expect("a tuple"), source, destination);
                }
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

/// The second of two pings with one id gets another id, and answers to that one are its own: the C
/// library's object has no room for two ids.
#[test]
fn a_ping_whose_id_is_taken_gets_another_in_the_reply() {
    let mut handle = require_kernel!();
    let ping = |client| Tuple::ping(ip(client), ip("10.0.0.9"), 7).expect("a tuple");
    let [first, second] = ["10.0.0.1", "10.0.0.2"].map(|client| flow(ping(client)).snat(ip("10.9.0.1")));
    assert_eq!(made(&mut handle, &first).reply.layer4(), Layer4::Icmp(Icmp { kind: 0, code: 0, id: 7 }));
    let found = made(&mut handle, &second);
    let Layer4::Icmp(Icmp { kind: 0, code: 0, id }) = found.reply.layer4() else { panic!("{found}") };
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
    let sctp = flow(Tuple::sctp(socket("10.0.0.1:1"), socket("10.0.0.2:2")).expect("a tuple"));
    let port = sctp.clone().dnat(NatTarget::Port(5));
    assert_eq!(handle.create(&port), Err(Error::InvalidInput(InputError::NoPortNat(Protocol::SCTP))));
    let other = sctp.snat(ip("::1"));
    assert!(matches!(handle.create(&other), Err(Error::InvalidInput(InputError::OtherFamily { .. }))));
    assert_eq!(all(&mut handle), []);
}
