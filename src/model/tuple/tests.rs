use super::*;

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn v6(last: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])
}

#[test]
fn incomplete_or_mixed_tuples_cannot_be_made() {
    let other = |number| Layer4::Other(Protocol::new(number));
    let ping = Layer4::Icmp(Icmp { icmp_type: 8, code: 0, id: 1 });
    let unreachable = Layer4::Icmp(Icmp { icmp_type: 3, code: 1, id: 0 });
    assert_eq!(
        Tuple::new(v4(1), v6(1), other(50)),
        Err(InputError::MixedFamilies { src: v4(1), dst: v6(1) })
    );
    assert!(matches!(Tuple::new(v6(1), v6(2), ping), Err(InputError::WrongIcmp { .. })));
    assert!(matches!(
        Tuple::new(v4(1), v4(2), unreachable),
        Err(InputError::UntrackedIcmpType { icmp_type: 3, .. })
    ));
    for number in [1, 6, 17, 58, 33, 47, 132, 136] {
        let made = Tuple::new(v4(1), v4(2), other(number));
        match [1, 6, 17, 58].contains(&number) {
            true => assert!(matches!(made, Err(InputError::IncompleteTuple(_)))),
            // Their trackers are options of the kernel.
            false => assert_eq!(made.expect("a tuple").has_optional_parts(), Some(false)),
        }
        let kernel = Tuple::reported(v4(1), v4(2), other(number)).expect("whatever it reports");
        assert_eq!(kernel.protocol().number(), number);
    }
    assert_eq!(
        Tuple::with_ports(Protocol::GRE, SocketAddr::new(v4(1), 1), SocketAddr::new(v4(2), 2)),
        Err(InputError::NoPorts(Protocol::GRE))
    );
}

#[test]
fn inverse_is_its_own_inverse() {
    let tuples = [
        Tuple::tcp(SocketAddr::new(v4(1), 1), SocketAddr::new(v4(2), 2)),
        Tuple::sctp(SocketAddr::new(v6(1), 1), SocketAddr::new(v6(2), 2)),
        Tuple::ping(v4(1), v4(2), 7),
        Tuple::ping(v6(1), v6(2), 7),
        Tuple::gre(v4(1), v4(2), 3, 4),
        Tuple::new(v4(1), v4(2), Layer4::Other(Protocol::new(50))),
    ];
    for tuple in tuples {
        let tuple = tuple.expect("valid");
        assert_ne!(tuple.inverse(), tuple);
        assert_eq!(tuple.inverse().inverse(), tuple);
    }
}

#[test]
fn text_names_what_tells_flows_apart() {
    let ping = Tuple::ping(v6(1), v6(2), 9).expect("valid");
    assert_eq!(ping.to_string(), "icmpv6 2001:db8::1 -> 2001:db8::2 type 128 code 0 id 9");
    assert_eq!(
        ping.inverse().in_zone(5).to_string(),
        "icmpv6 2001:db8::2 -> 2001:db8::1 type 129 code 0 id 9 in zone 5"
    );
    let gre = Tuple::gre(v4(1), v4(2), 3, 4).expect("valid");
    assert_eq!(gre.to_string(), "gre 10.0.0.1 -> 10.0.0.2 keys 0x3 0x4");
    let tcp = Tuple::tcp("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap()).expect("valid");
    assert_eq!(tcp.to_string(), "tcp [::1]:1 -> [::2]:2");
}
