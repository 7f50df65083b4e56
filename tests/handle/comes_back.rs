//! A deleted TCP flow comes back with the next packet, reversed if the server sends it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::common::{all, run, sysctl, track};
use netfilter_conntrack::preflight::{Feature, State};
use netfilter_conntrack::{Flow, Handle, Selector, Tuple};

/// A connection over loopback: both ends, and the tuple of the client's packets.
fn connection() -> (TcpStream, TcpStream, Tuple) {
    run("ip", &["link", "set", "lo", "up"]);
    track();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let (server, peer) = listener.accept().expect("accepted");
    let tuple = Tuple::tcp(peer, server.local_addr().expect("an address")).expect("a tuple");
    (client, server, tuple)
}

/// Sends one byte from one end to the other.
fn send(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"x").expect("sent");
    to.read_exact(&mut [0]).expect("received");
}

/// Returns the only flow in the table.
fn only(handle: &mut Handle) -> Flow {
    match &all(handle)[..] {
        [flow] => flow.clone(),
        flows => panic!("{flows:#?}"),
    }
}

fn lasts(handle: &mut Handle) -> State {
    handle.preflight().capability(Feature::LastingDeletes).state
}

#[test]
fn a_deleted_flow_is_found_by_its_endpoint_whoever_speaks_next() {
    let mut handle = require_kernel!("ip", "nft");
    let (mut client, mut server, tuple) = connection();
    sysctl("nf_conntrack_tcp_loose", "1");
    assert_eq!(lasts(&mut handle), State::Missing);
    let end = client.peer_addr().expect("an address");
    let to_server = Selector::zone(0).tcp().dst(end.ip()).dst_port(end.port());
    let of_server = Selector::zone(0).tcp().endpoint(end.ip(), end.port());
    assert_eq!(only(&mut handle).original, tuple);

    assert_eq!(handle.delete_matching(&to_server).run().expect("an outcome").done, 1);
    send(&mut server, &mut client);
    assert_eq!(only(&mut handle).original, tuple.inverse(), "the other way round");
    assert_eq!(handle.delete_matching(&to_server).run().expect("an outcome").done, 0);
    let hits = handle.delete_matching(&of_server).dry_run().expect("a listing").count();
    assert_eq!((hits, handle.delete_matching(&of_server).run().expect("an outcome").done), (1, 1));

    send(&mut client, &mut server);
    assert_eq!(only(&mut handle).original, tuple);
    // Another port of the same address is another endpoint.
    let other = Selector::zone(0).endpoint(end.ip(), end.port().wrapping_add(1).max(1));
    let own = client.local_addr().expect("an address").port() == end.port().wrapping_add(1);
    assert_eq!(handle.delete_matching(other).run().expect("an outcome").done, u64::from(own));
    if !own {
        assert_eq!(handle.delete_matching(of_server).run().expect("an outcome").done, 1);
    }
}

#[test]
fn a_deleted_flow_stays_deleted_where_flows_are_not_taken_up() {
    let mut handle = require_kernel!("ip", "nft");
    let (mut client, mut server, tuple) = connection();
    sysctl("nf_conntrack_tcp_loose", "0");
    assert_eq!(lasts(&mut handle), State::Available);
    handle.delete(tuple).expect("deleted");
    for _ in 0..2 {
        send(&mut server, &mut client);
        send(&mut client, &mut server);
    }
    assert_eq!(all(&mut handle), []);
}
