//! Text of plain data: what `Display` shows is read again, and what is none is refused by name.

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::direction::Direction;
use super::expectation::{ExpectationFlags, ExpectationKey, SourceMask};
use super::flow::{Counters, DccpRole, HelperName, NatTarget};
use super::input::InputError;
use super::key::Key;
use super::label::Labels;
use super::proto::{DccpState, Family, Protocol, SctpState, TcpState};
use super::status::{Status, TcpFlags};
use super::tuple::{ICMP_PAIRS, ICMPV6_PAIRS, Icmp, Layer4, Ports, Tuple};
use super::zone::{Zone, ZoneState};

/// How many random values of each type are tried.
const CASES: usize = 2000;

#[track_caller]
fn comes_back<T: Display + FromStr<Err = InputError> + PartialEq + Debug>(value: T) {
    let text = value.to_string();
    assert_eq!(text.parse().as_ref(), Ok(&value), "{text:?}");
}

/// A small generator of repeatable numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Numbers of 16 bits, those at the ends often.
    fn u16(&mut self) -> u16 {
        match self.next() >> 40 & 7 {
            0 => 0,
            1 => u16::MAX,
            _ => (self.next() >> 32) as u16,
        }
    }

    fn address(&mut self, family: Family) -> IpAddr {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        // Addresses with zeros in them are written short.
        let mask = u128::from(self.next()) << 96 | u128::from(self.next() >> 48);
        match family {
            Family::Ipv4 => Ipv4Addr::from_bits(wide as u32).into(),
            Family::Ipv6 => Ipv6Addr::from_bits(wide & mask | 1 << 125).into(),
        }
    }

    fn icmp(&mut self, pairs: &[(u8, u8)]) -> Icmp {
        let (query, answer) = pairs[self.next() as usize % pairs.len()];
        let kind = if self.next() >> 63 == 0 { query } else { answer };
        Icmp { icmp_type: kind, code: self.u16() as u8, id: self.u16() }
    }

    fn tuple(&mut self) -> Tuple {
        let ports = Ports { src: self.u16(), dst: self.u16() };
        let mut family = if self.next() >> 63 == 0 { Family::Ipv4 } else { Family::Ipv6 };
        let layer4 = match self.next() >> 32 & 15 {
            0 | 1 => Layer4::Tcp(ports),
            2 | 3 => Layer4::Udp(ports),
            4 => Layer4::UdpLite(ports),
            5 => Layer4::Sctp(ports),
            6 => Layer4::Dccp(ports),
            7 => Layer4::Gre { src_key: ports.src, dst_key: ports.dst },
            8 => Layer4::Icmp(self.icmp(&ICMP_PAIRS)),
            9 => Layer4::IcmpV6(self.icmp(&ICMPV6_PAIRS)),
            10 => Layer4::Other(Protocol::GRE),
            11 => {
                Layer4::Other([Protocol::UDPLITE, Protocol::SCTP, Protocol::DCCP][self.next() as usize % 3])
            }
            // From 140 to 255 none has a tracker.
            _ => Layer4::Other(Protocol::new(140 + (self.next() >> 32) as u8 % 116)),
        };
        match layer4 {
            Layer4::Icmp(_) => family = Family::Ipv4,
            Layer4::IcmpV6(_) => family = Family::Ipv6,
            _ => {}
        }
        Tuple::new(self.address(family), self.address(family), layer4).expect("a tuple")
    }

    fn zone(&mut self) -> Zone {
        let id = self.u16();
        match self.next() >> 62 {
            0 => Zone::original_only(id),
            1 => Zone::reply_only(id),
            _ => Zone::new(id),
        }
    }
}

#[test]
fn every_variant_comes_back_from_its_text() {
    for number in 0..=u8::MAX {
        comes_back(Protocol::new(number));
        comes_back(TcpState::from(number));
        comes_back(SctpState::from(number));
        comes_back(DccpState::from(number));
        comes_back(DccpRole::from(number));
        comes_back(TcpFlags::from_bits_retain(number));
        assert_eq!(number.to_string().parse(), Ok(TcpState::from(number)));
        comes_back(HelperName::from_bytes(&[b'a', number.max(1), b'\\']).expect("a name"));
    }
    for bit in 0..32 {
        comes_back(Status::from_bits_retain(1 << bit));
        comes_back(ExpectationFlags::from_bits_retain(1 << bit));
    }
    for label in 0..=Labels::MAX {
        comes_back(Labels::of([label]).expect("a label"));
    }
    for number in 0..=u16::MAX {
        comes_back(Zone::new(number));
        comes_back(Zone::original_only(number));
        comes_back(Zone::reply_only(number));
    }
    [Family::Ipv4, Family::Ipv6].into_iter().for_each(comes_back);
    [Direction::Original, Direction::Reply].into_iter().for_each(comes_back);
    let states = [ZoneState::Free, ZoneState::Allocated, ZoneState::Reserved];
    states.into_iter().chain([ZoneState::InUse, ZoneState::Outside]).for_each(comes_back);
    for sets in [Status::empty(), Status::all()] {
        comes_back(sets);
    }
    [Labels::new(), Labels::all()].into_iter().for_each(comes_back);
}

#[test]
fn random_values_come_back_from_their_text() {
    let mut random = Random(7);
    for _ in 0..CASES {
        let tuple = random.tuple();
        comes_back(tuple);
        comes_back(tuple.inverse());
        comes_back(tuple.layer4());
        let key = tuple.in_zone(random.zone());
        comes_back(key);
        comes_back(ExpectationKey::from(key));
        comes_back(Ports { src: random.u16(), dst: random.u16() });
        comes_back(random.icmp(&ICMP_PAIRS));
        comes_back(Status::from_bits_retain(random.next() as u32));
        comes_back(ExpectationFlags::from_bits_retain(random.next() as u32));
        let words = [0; 4].map(|_: u32| random.next() as u32 & (random.next() >> 32) as u32);
        comes_back(Labels::from_words(words));
        comes_back(Counters::new(random.next(), random.next() >> (random.next() & 63)));
        let bytes = random.next().to_ne_bytes().map(|byte| byte.max(1));
        comes_back(HelperName::from_bytes(&bytes).expect("a name"));
        let family = tuple.family();
        let (address, port) = (random.address(family), random.u16());
        comes_back(SourceMask { address, port });
        comes_back(NatTarget::Address(address));
        comes_back(NatTarget::Port(port));
        comes_back(NatTarget::AddressAndPort(SocketAddr::new(address, port)));
    }
}

/// Text with something wrong is either refused, or is that of another value.
#[test]
fn text_that_was_changed_is_refused_or_means_what_it_shows() {
    let mut random = Random(8);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..CASES {
        let key = random.tuple().in_zone(random.zone());
        let mut text: Vec<char> = key.to_string().chars().collect();
        let at = random.next() as usize % text.len();
        match random.next() >> 62 {
            0 => drop(text.remove(at)),
            1 => text.truncate(at),
            _ => text[at] = char::from(b' ' + (random.next() >> 32) as u8 % 95),
        }
        let text: String = text.into_iter().collect();
        match text.parse::<Key>() {
            Ok(other) => {
                read += 1;
                comes_back(other);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > CASES / 10 && read > CASES / 10, "{refused} refused, {read} read");
}

#[test]
fn names_are_read_in_any_case_and_numbers_where_the_kernel_has_them() {
    assert_eq!("established".parse(), Ok(TcpState::Established));
    assert_eq!("3".parse(), Ok(TcpState::Established));
    assert_eq!("Seen_Reply | assured".parse(), Ok(Status::SEEN_REPLY | Status::ASSURED));
    assert_eq!("10".parse(), Ok(Zone::new(10)));
    assert_eq!("1, 5".parse(), Ok(Labels::of([1, 5]).expect("labels")));
    assert_eq!(
        "6 10.0.0.1:1 -> 10.0.0.2:2".parse::<Tuple>().map(|tuple| tuple.protocol()),
        Ok(Protocol::TCP)
    );
    assert_eq!("sctp ::1 -> ::2".parse::<Tuple>().map(|tuple| tuple.ports()), Ok(None));
}

#[track_caller]
fn refuses<T: FromStr<Err = InputError> + Debug>(text: &str, message: &str) {
    assert_eq!(text.parse::<T>().expect_err(text).to_string(), message);
}

#[test]
fn an_error_names_the_part_that_is_wrong() {
    let whole = "is not a tuple, as `tcp 10.0.0.1:5000 -> 10.0.0.2:80`";
    refuses::<Tuple>("", &format!("\"\" {whole}"));
    refuses::<Tuple>("10.0.0.1:1 -> 10.0.0.2:2", &format!("\"10.0.0.1:1 -> 10.0.0.2:2\" {whole}"));
    refuses::<Tuple>("tpc 1.1.1.1:1 -> 2.2.2.2:2", "\"tpc\" is not the name or number of a protocol");
    refuses::<Tuple>("tcp 1.1.1.1 -> 2.2.2.2", "\"1.1.1.1\" is not an address with a port");
    refuses::<Tuple>("sctp 1.1.1.1:1 -> 2.2.2.2", "\"2.2.2.2\" is not an address with a port");
    refuses::<Tuple>("udp 1.1.1.1:1 -> 2.2.2.2:65536", "\"2.2.2.2:65536\" is not an address with a port");
    refuses::<Tuple>("udp 1.1.1.1:1 -> 2.2.2.2:2 x", "\"x\" is not the end of a tuple");
    refuses::<Tuple>("udp 1.1.1.1:1 -> [::1]:2", "1.1.1.1 and ::1 are not of one address family");
    refuses::<Tuple>("icmp 1.1.1.1 -> 2.2.2.2", "a tuple of icmp needs more than addresses");
    refuses::<Tuple>("icmp 1.1.1.1 -> 2.2.2.2 type 3 code 0 id 1", "icmp messages of type 3 are not tracked");
    refuses::<Tuple>("icmp 1.1.1.1 -> 2.2.2.2 type 8 code 256 id 1", "\"256\" is not an ICMP code");
    refuses::<Tuple>("gre 1.1.1.1 -> 2.2.2.2 keys 0x1 0x10000", "\"0x10000\" is not a key, as 0x1");
    refuses::<Tuple>("esp 1.1.1.1 -> 2.2.2.2", "\"esp\" is not the name or number of a protocol");
    refuses::<Layer4>("tcp 1 -> x", "\"x\" is not a port");
    refuses::<Layer4>("tcp", "a tuple of tcp needs more than addresses");
    refuses::<Layer4>("proto 50 1", "\"1\" is not the end of what a protocol adds");
    refuses::<Layer4>("proto x", "\"proto x\" is not the name or number of a protocol");
    refuses::<Key>("udp 1.1.1.1:1 -> 2.2.2.2:2 in zone 65536", "\"65536\" is not the number of a zone");
    refuses::<Zone>("+10", "\"+10\" is not the number of a zone");
    refuses::<Zone>("some zone 10", "\"some zone 10\" is not a zone, as `zone 10`");
    refuses::<Direction>("Reply", "\"Reply\" is not a direction: original or reply");
    refuses::<Ports>("1-2", "\"1-2\" is not two ports, as `5000 -> 80`");
    refuses::<Ports>("1 -> http", "\"http\" is not a port");
    refuses::<TcpState>("LISTENING", "\"LISTENING\" is not the name or number of a TCP state");
    refuses::<TcpState>("256", "\"256\" is not the name or number of a TCP state");
    refuses::<Status>("ASSURED|SEEN", "\"SEEN\" is not a status flag, or a bit as 0x80");
    refuses::<Status>("", "\"\" is not a status flag, or a bit as 0x80");
    refuses::<Status>("0x100000000", "\"0x100000000\" is not a status flag, or a bit as 0x80");
    refuses::<TcpFlags>("0x+1", "\"0x+1\" is not a TCP flag, or a bit as 0x80");
    refuses::<ExpectationFlags>("7", "\"7\" is not a flag of an expectation, or a bit as 0x80");
    refuses::<Labels>("1,,2", "\"\" is not the number of a label");
    refuses::<Labels>("1,128", "label 128 is above 127");
    refuses::<HelperName>("ftp\\q", "\"ftp\\\\q\" is not the name of a helper");
    refuses::<HelperName>("", "a helper name has 1 to 15 bytes and no NUL byte");
    refuses::<DccpRole>("peer", "\"peer\" is not a role in DCCP: client or server");
    refuses::<NatTarget>(":http", "\"http\" is not a port");
    refuses::<NatTarget>("x", "\"x\" is not where NAT leads: an address, a port as `:80`, or both");
    let mask = "is not a mask of a source, as `255.255.255.0 port 0xffff`";
    refuses::<SourceMask>("255.0.0.0", &format!("\"255.0.0.0\" {mask}"));
    refuses::<SourceMask>("255.0.0.0 port 0x10000", &format!("\"255.0.0.0 port 0x10000\" {mask}"));
    refuses::<SourceMask>("any port 0x0", "\"any\" is not the bits of an address");
    refuses::<Counters>("5 packets", "\"5 packets\" is not counters, as `5 packets, 500 bytes`");
    refuses::<Family>("IPv5", "\"IPv5\" is not an address family: IPv4 or IPv6");
    refuses::<ZoneState>("taken", "\"taken\" is not the state of a zone");
    let long = "x".repeat(1000);
    let text: Box<str> = "x".repeat(64).into();
    assert_eq!(long.parse::<Zone>(), Err(InputError::Text { text, expected: "the number of a zone" }));
}
