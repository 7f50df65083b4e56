//! IPv4-mapped IPv6 addresses, as dual-stack sockets report them: in every input they mean the IPv4
//! addresses, while addresses reported by the kernel stay unchanged.

use std::net::{IpAddr, TcpListener, TcpStream};

use crate::common::{all, flow, ip, listen, not_found, run, socket, tcp, track, udp};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{
    ExpectationNat, Family, HelperName, Layer4, NatTarget, Protocol, SourceMask,
};
use netfilter_conntrack::{Expectation, Handle, Mirror, Selector, Tuple, ipnet::IpNet};

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The number of entries in a dump.
fn listed(handle: &mut Handle, selector: Selector) -> usize {
    handle.dump().matching(selector).entries().expect("a listing").count()
}

#[test]
fn every_way_to_make_a_tuple_takes_them() {
    let [a, b] = ["::ffff:10.0.0.1", "::ffff:10.0.0.2"].map(ip);
    let [v4_a, v4_b] = ["10.0.0.1", "10.0.0.2"].map(ip);
    let ends = |a: IpAddr, b: IpAddr| ((a, 1).into(), (b, 2).into());
    let tuples = |a, b| {
        let (src, dst) = ends(a, b);
        let mut tuples = vec![Tuple::tcp(src, dst), Tuple::udp(src, dst), Tuple::sctp(src, dst)];
        tuples.push(Tuple::with_ports(Protocol::UDPLITE, src, dst));
        tuples.extend([Tuple::ping(a, b, 7), Tuple::gre(a, b, 3, 4)]);
        tuples.push(Tuple::new(a, b, Layer4::Other(Protocol::new(50))));
        tuples
    };
    assert!(tuples(v4_a, v4_b).iter().all(Result::is_ok));
    assert_eq!(tuples(a, b), tuples(v4_a, v4_b));
    assert_eq!(tuples(a, v4_b), tuples(v4_a, v4_b));
    assert_eq!(tuples(v4_a, b), tuples(v4_a, v4_b));
    // No packet has both.
    let v6 = ip("2001:db8::1");
    assert_eq!(Tuple::ping(a, v6, 7), Err(InputError::MixedFamilies { src: v4_a, dst: v6 }));
    let icmpv6 = Tuple::ping(v6, v6, 7).expect("a tuple").layer4();
    assert!(matches!(Tuple::new(a, b, icmpv6), Err(InputError::WrongIcmp { .. })));
    assert_eq!([Family::of(&a), Family::of(&v6)], [Family::Ipv4, Family::Ipv6]);
}

#[test]
fn a_flow_of_dual_stack_sockets_is_found_and_deleted() {
    let mut handle = require_kernel!("ip", "nft");
    run("ip", &["link", "set", "lo", "up"]);
    track();
    let listener = TcpListener::bind("[::]:0").expect("a dual-stack socket");
    let port = listener.local_addr().expect("an address").port();
    let client = TcpStream::connect((ip("::ffff:127.0.0.1"), port)).expect("connected");
    let (_server, peer) = listener.accept().expect("accepted");
    assert!(peer.is_ipv6() && peer.ip().to_canonical().is_ipv4(), "{peer}");
    let [own, server] = [client.local_addr(), client.peer_addr()].map(|end| end.expect("an address"));
    assert_eq!(own, peer);

    let tuple = Tuple::tcp(own, server).expect("a tuple");
    let found = handle.get(tuple).expect("the flow");
    assert_eq!((found.original, found.original.family()), (tuple, Family::Ipv4));
    let any = Selector::any_zone;
    for selector in [
        any().src(own.ip()).src_port(own.port()),
        any().dst_in([server.ip()]).dst_port(port),
        any().reply_src(net("::ffff:127.0.0.0/104")).reply_dst_in([own.ip()]),
        any().family(Family::of(&server.ip())).tcp().dst_port(port),
        any().endpoint(peer.ip(), peer.port()),
        any().address(server.ip()),
        any().src(own.ip()).dst(server.ip()).dst_port(port),
    ] {
        assert_eq!(listed(&mut handle, selector.clone()), 1, "{selector:?}");
        assert_eq!(listed(&mut handle, any().mark(9).and(selector.clone())), 0, "{selector:?}");
    }
    for original in [any().src(own.ip()), any().dst(server.ip()).dst_port(port)] {
        assert_eq!(listed(&mut handle, original.clone().tcp()), 1);
        assert!(!original.src(ip("::ffff:127.0.0.9")).matches(&found));
    }
    let mut mirror = Mirror::open().expect("a mirror");
    assert_eq!(mirror.sync_deadline(listen::soon()), Ok(true));
    assert!(mirror.get_by_original(&tuple, 0).is_some() && mirror.find(&tuple.inverse(), 0).is_some());
    let gone = any().dst_in([server.ip()]).dst_port(port);
    assert_eq!(handle.delete_matching(gone).run().expect("an outcome").done, 1);
    assert!(not_found(handle.get(tuple)));
}

#[cfg(feature = "nfct")]
#[test]
fn filters_of_objects_take_them() {
    use crate::common::filter;
    use netfilter_conntrack::nfct::{DumpFilter, EventFilter, Session, TupleFilter, attr};
    let mut handle = require_kernel!();
    let flows = filter::ends();
    let given = filter::prefixes(&["::ffff:10.0.0.0/120", "2001:db8::2"]);
    filter::decides(&mut handle, &flows, EventFilter::sources, given, &[0, 4], &[1, 2, 3, 5]);
    let given = filter::prefixes(&["::ffff:192.0.2.2"]);
    // A list of IPv4 destinations also affects IPv6, as documented.
    filter::decides(&mut handle, &flows[..3], EventFilter::destinations, given, &[1], &[0, 2]);

    for flow in &flows {
        handle.create(flow).expect("created");
    }
    let mut by_tuple = DumpFilter::new().expect("a filter");
    let tuple = TupleFilter::new().src(ip("::ffff:10.1.0.1"));
    if by_tuple.tuple(tuple).is_err() {
        return crate::common::lacks("tuples in filters of the C library");
    }
    let mut found = Vec::new();
    let mut session = Session::open().expect("a session");
    let end = session.dump_filtered(&by_tuple, |ct| {
        found.push(ct.get(attr::ORIG_IPV4_SRC).map(IpAddr::from));
        std::ops::ControlFlow::<()>::Continue(())
    });
    assert!(end.is_ok());
    assert_eq!(found, [Some(ip("10.1.0.1"))]);
}

/// In lines written by hand they mean the IPv4 addresses; lines from a kernel come back unchanged.
#[cfg(feature = "save")]
#[test]
fn saved_lines_take_them() {
    let mut handle = require_kernel!();
    let wanted = flow(udp("10.0.0.1:1", "10.0.0.2:2")).dnat(ip("10.0.0.9"));
    handle.create(&wanted).expect("created");
    let text = String::from_utf8(crate::common::save::saved(&mut handle)).expect("text");
    handle.flush().expect("flushed");
    let mapped = text.replace("\"10.0.0.", "\"::ffff:10.0.0.");
    assert_ne!(mapped, text);
    let results = handle.restore(mapped.as_bytes()).collect::<Vec<_>>();
    assert!(results.len() == 1 && results[0].result.is_ok(), "{results:?}");
    assert_eq!(handle.get(&wanted).expect("the flow").reply, udp("10.0.0.9:2", "10.0.0.1:1"));
}

#[test]
fn targets_of_nat_take_them() {
    let mut handle = require_kernel!();
    let original = udp("[::ffff:10.0.0.1]:5000", "[::ffff:203.0.113.1]:53");
    let asked = flow(original)
        .snat(ip("::ffff:198.51.100.1"))
        .dnat(NatTarget::from(socket("[::ffff:10.9.9.9]:5353")));
    handle.create(&asked).expect("created");
    let reply = handle.get(original).expect("the flow").reply;
    assert_eq!(reply, udp("10.9.9.9:5353", "198.51.100.1:5000"));
    // The same request finds the same flow.
    handle.create_or_update(&asked).expect("updated");
    assert_eq!(all(&mut handle).len(), 1);
    let six = flow(udp("[2001:db8::1]:1", "[2001:db8::2]:2")).dnat(ip("10.0.0.1"));
    assert!(handle.create(&six).is_err());
}

#[test]
fn expectations_take_them() {
    let mut handle = require_kernel!();
    let master = tcp("[::ffff:10.0.0.1]:40000", "[::ffff:10.0.0.2]:21");
    let ftp: HelperName = "ftp".parse().expect("a name");
    handle.create(&flow(master).helper(ftp)).expect("a master");
    let expected = tcp("[::ffff:10.0.0.2]:20", "[::ffff:10.0.0.1]:5001");
    let mask = SourceMask { address: ip("::ffff:255.255.255.0"), port: 0 };
    let nat = ExpectationNat {
        direction: netfilter_conntrack::model::Direction::Original,
        address: Some(ip("::ffff:10.7.7.7")),
        port: 5001,
    };
    let asked = Expectation::new(master, expected).mask(mask).nat(nat);
    handle.expectations().create(&asked).expect("created");
    let found = handle.expectations().get(&asked).expect("found");
    assert_eq!(found.mask, SourceMask { address: ip("255.255.255.0"), port: 0 });
    assert_eq!(found.nat.and_then(|nat| nat.address), Some(ip("10.7.7.7")));
    handle.expectations().create_or_update(&asked).expect("the same");
    handle.expectations().delete(&asked).expect("deleted");
}

/// Such an entry is made by another program, because no packet makes one. Its key is the one that the kernel
/// reports.
#[cfg(feature = "save")]
#[test]
fn an_entry_of_ipv6_with_such_addresses_keeps_its_name() {
    let mut handle = require_kernel!();
    let text = r#"{"family":"ipv6","src":"::ffff:10.0.0.1","dst":"::ffff:10.0.0.2","protocol":"udp","src_port":1,"dst_port":2}"#;
    let six: Tuple = serde_json::from_str(text).expect("a tuple");
    let four = udp("10.0.0.1:1", "10.0.0.2:2");
    assert_eq!((six.family(), serde_json::to_string(&six).expect("text")), (Family::Ipv6, text.to_owned()));
    let given: Tuple = serde_json::from_str(&text.replace(r#""family":"ipv6","#, "")).expect("a tuple");
    assert_eq!((given, four.family()), (four, Family::Ipv4));

    for tuple in [six, four] {
        handle.create(&flow(tuple)).expect("created");
    }
    let found = all(&mut handle);
    assert_eq!(found.len(), 2);
    for flow in found {
        let again: netfilter_conntrack::Flow =
            serde_json::from_str(&serde_json::to_string(&flow).expect("text")).expect("a flow");
        assert_eq!(again, flow);
        let key: netfilter_conntrack::Key =
            serde_json::from_str(&serde_json::to_string(&flow.key()).expect("text")).expect("a key");
        assert_eq!(key, flow.key());
        assert_eq!(handle.get(key).expect("found").original, flow.original);
    }
    // In a selector, the address means the other entry.
    assert_eq!(listed(&mut handle, Selector::any_zone().src(net("::ffff:10.0.0.1/128"))), 1);
    let six_only = Selector::any_zone().family(Family::Ipv6);
    let listed_six = handle.dump().matching(six_only).entries().expect("a listing").next();
    let listed_six = listed_six.expect("an entry").expect("a flow");
    assert_eq!(listed_six.original, six);
    handle.delete(&listed_six).expect("deleted by its key");
    assert_eq!(crate::common::tuples(&all(&mut handle)).len(), 1);
    assert!(handle.get(four).is_ok());
}

/// The written family and the addresses must not contradict each other.
#[cfg(feature = "save")]
#[test]
fn a_family_that_the_addresses_contradict_is_refused() {
    use netfilter_conntrack::Flow;
    let good = serde_json::to_string(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("text");
    let tuple = |family: &str, src: &str| {
        format!(
            r#"{{"family":"{family}","src":"{src}","dst":"{src}","protocol":"udp","src_port":1,"dst_port":2}}"#
        )
    };
    assert!(serde_json::from_str::<Flow>(&good).is_ok());
    let other = good.replacen("ipv4", "ipv6", 1);
    let error = serde_json::from_str::<Flow>(&other).expect_err("a contradiction").to_string();
    assert!(error.contains("the family is not that of the addresses"), "{error}");
    // Mapped addresses belong to IPv4, unless their own tuple has another family.
    let mapped = good.replace("10.0.0.", "::ffff:10.0.0.");
    assert_eq!(serde_json::from_str::<Flow>(&mapped).expect("a flow").original.family(), Family::Ipv4);
    assert!(serde_json::from_str::<Flow>(&mapped.replacen("ipv4", "ipv6", 1)).is_err());
    for (family, src, is_good) in [
        ("ipv4", "10.0.0.1", true),
        ("ipv4", "::ffff:10.0.0.1", true),
        ("ipv6", "::ffff:10.0.0.1", true),
        ("ipv6", "2001:db8::1", true),
        ("ipv6", "10.0.0.1", false),
        ("ipv4", "2001:db8::1", false),
    ] {
        let read = serde_json::from_str::<Tuple>(&tuple(family, src));
        assert_eq!(read.is_ok(), is_good, "{family} {src}: {read:?}");
    }
}
