//! Sequences of operations on objects of the C library: attributes set, read and unset in any order, copies,
//! label masks moved into objects, filters.

mod filters;

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{messages, requests, source};
use crate::message::Message;
use crate::model::flow::Flow;
use crate::model::tuple::Tuple;
use crate::netlink::attr::Attributes;
use crate::netlink::uapi::{cta, expect};
use crate::netlink::validate::nonsense;
use crate::nfct::tests::encode::Chance;
use crate::nfct::tests::sample::Random;
use crate::nfct::{Bitmask, Comparison, Conntrack, Expect, Parts, TextFormat, attr, expect_attr};

/// The number of objects that exist at a time.
const OBJECTS: usize = 3;
/// The most operations in one run.
const MOST: usize = 60;

struct World {
    random: Random,
    objects: Vec<Conntrack>,
    expectations: Vec<Expect>,
    masks: Vec<Bitmask>,
}

type OfConntrack = fn(&mut Conntrack, &mut Random);
type OfExpect = fn(&mut Expect, &mut Random);

pub(super) fn run(data: &[u8]) {
    let length = data.len();
    let mut world = World {
        random: Random::new(source::begin(data)),
        objects: (0..OBJECTS).map(|_| Conntrack::new().expect("an object")).collect(),
        expectations: (0..2).map(|_| Expect::new().expect("an object")).collect(),
        masks: vec![Bitmask::new().expect("a mask")],
    };
    // A few bytes for each operation, so that longer input gives longer sequences.
    for _ in 0..(length / 4).clamp(4, MOST) {
        world.step();
    }
    world.objects.iter().for_each(messages::used);
}

impl World {
    fn step(&mut self) {
        let (one, other) = (self.random.below(OBJECTS), self.random.below(OBJECTS));
        match self.random.below(20) {
            0..=7 => {
                let table = [SET, SET, SET, READ, TAKE_AWAY][self.random.below(5)];
                let operation = table[self.random.below(table.len())];
                operation(&mut self.objects[one], &mut self.random);
            }
            8 => self.objects[one] = self.objects[other].clone(),
            9 => self.copy(one, other),
            10 => self.compare(one, other),
            11 => self.print(one),
            12 => self.send(one),
            13 => self.objects[one] = self.fresh(),
            14 => self.reshape(one),
            15 => self.masks(one),
            16 | 17 => self.expectation(),
            18 => filters::dump(&self.objects[one], &mut self.random),
            // Event filters cost as much as everything else together.
            _ if self.random.below(16) == 0 => filters::events(&mut self.random),
            _ => self.compare(one, other),
        }
    }

    /// Returns an object that was parsed, made from a flow, or is new.
    fn fresh(&mut self) -> Conntrack {
        match self.random.below(3) {
            0 => {
                let random = &mut self.random;
                let attributes = nonsense::conntrack(&mut |end| random.below(end));
                Conntrack::parse_payload(&attributes, family(random)).expect("well-formed")
            }
            1 => Conntrack::try_from(&Chance(self.random.next() | 1).flow())
                .unwrap_or_else(|_| Conntrack::new().expect("an object")),
            _ => Conntrack::new().expect("an object"),
        }
    }

    fn copy(&mut self, one: usize, other: usize) {
        let parts = Parts::from_bits_truncate(self.random.below(8) as u8);
        let from = self.objects[other].clone();
        let _ = self.objects[one].copy_parts(&from, parts);
    }

    fn compare(&mut self, one: usize, other: usize) {
        let mut comparison =
            [Comparison::all(), Comparison::original(), Comparison::reply()][self.random.below(3)];
        if self.random.below(2) == 0 {
            comparison = comparison.masked();
        }
        if self.random.below(2) == 0 {
            comparison = comparison.strict();
        }
        let _ = self.objects[one].matches(&self.objects[other], comparison);
    }

    fn print(&mut self, one: usize) {
        let mut format = if self.random.below(2) == 0 { TextFormat::plain() } else { TextFormat::xml() };
        let options = self.random.below(16);
        if options & 1 != 0 {
            format = format.layer3();
        }
        if options & 2 != 0 {
            format = format.id();
        }
        if options & 4 != 0 {
            format = format.timestamps();
        }
        if options & 8 != 0 {
            format = format.time();
        }
        let _ = self.objects[one].to_text(format);
    }

    /// A request about one entry has its tuple, or is not built.
    fn send(&mut self, one: usize) {
        for request in requests::ALL {
            if let Ok(message) = Message::for_object(request, &self.objects[one]) {
                has(message.as_bytes(), cta::TUPLE_ORIG);
            }
        }
        let _ = Flow::try_from(&self.objects[one]);
    }

    fn reshape(&mut self, one: usize) {
        let ct = &mut self.objects[one];
        let _ = match self.random.below(6) {
            0 => ct.setup_reply().is_ok(),
            1 => ct.setup_original().is_ok(),
            2 => ct.undo_snat().is_ok(),
            3 => ct.undo_dnat().is_ok(),
            4 => ct.undo_port_snat().is_ok(),
            _ => ct.undo_port_dnat().is_ok(),
        };
    }

    /// Moves labels into objects, and reads them back as copies.
    fn masks(&mut self, one: usize) {
        let bit = self.random.below(140) as u16;
        let Some(mask) = self.masks.last_mut() else { return };
        match self.random.below(6) {
            0 => assert!(mask.set(bit).is_err() || mask.test(bit)),
            1 => mask.unset(bit),
            2 => mask.clear(),
            3 => {
                let words = std::array::from_fn(|_| self.random.next() as u32);
                let mask = Bitmask::from_words(words).expect("a mask");
                assert_eq!(mask.words(), words);
                self.masks.push(mask);
            }
            4 => {
                if let Some(mask) = self.masks.pop() {
                    let words = mask.words();
                    self.objects[one].set(attr::CONNLABELS, mask).expect("set");
                    let read = self.objects[one].get(attr::CONNLABELS).expect("labels");
                    assert_eq!(read.words(), words);
                    self.masks.push(read);
                }
            }
            _ => {
                let copy = mask.try_clone().expect("a mask");
                self.objects[one].set(attr::CONNLABELS_MASK, copy).expect("set");
            }
        }
    }

    fn expectation(&mut self) {
        let random = &mut self.random;
        let one = random.below(2);
        match random.below(8) {
            0..=2 => {
                let table = [EXPECT_SET, EXPECT_SET, EXPECT_READ, EXPECT_TAKE_AWAY][random.below(4)];
                table[random.below(table.len())](&mut self.expectations[one], random);
            }
            3 => {
                let attribute =
                    [expect_attr::MASTER, expect_attr::EXPECTED, expect_attr::MASK][random.below(3)];
                if let Some(tuple) = tuple(random) {
                    let object = Conntrack::try_from(&Flow::new(tuple));
                    if let Ok(object) = object {
                        let _ = self.expectations[one].set_tuple(attribute, &object);
                    }
                }
            }
            4 => self.expectations[one] = self.expectations[1 - one].clone(),
            5 => {
                let attributes = nonsense::expectation(&mut |end| random.below(end));
                let mut message =
                    crate::netlink::message::MessageBuf::new(0x200, 0, family(random), 0).as_bytes().to_vec();
                message.extend(attributes);
                crate::nfct::tests::hostile::fix_length(&mut message);
                self.expectations[one] = Expect::parse(&message).expect("well-formed");
            }
            6 => {
                let (one, other) = (&self.expectations[0], &self.expectations[1]);
                let _ = (one.agrees_with(other), one.is_within(other), one.equals(other));
                let _ = (one.to_text(TextFormat::plain()), other.to_text(TextFormat::xml()));
            }
            _ => {
                for request in requests::ALL {
                    if let Ok(message) = Message::for_expect(request, &self.expectations[one]) {
                        has(message.as_bytes(), expect::TUPLE);
                    }
                }
            }
        }
    }
}

fn has(message: &[u8], kind: u16) {
    let mut attributes = Attributes::new(&message[20..]).map(|attribute| attribute.expect("a whole one"));
    let tuple = attributes.find(|attribute| attribute.kind == kind).expect("its tuple");
    crate::netlink::decode::tuple(tuple.nested()).expect("a complete one");
}

fn tuple(random: &mut Random) -> Option<Tuple> {
    Some(Chance(random.next() | 1).flow().original)
}

/// Usually a family that the library supports.
fn family(random: &mut Random) -> u8 {
    [2, 10][random.below(2)]
}

fn v4(random: &mut Random) -> Ipv4Addr {
    (random.below(1 << 32) as u32).into()
}

fn v6(random: &mut Random) -> Ipv6Addr {
    (u128::from(random.next()) << 64 | u128::from(random.next())).into()
}

fn byte(random: &mut Random) -> u8 {
    random.below(256) as u8
}

/// Families that exist, and others.
fn any_family(random: &mut Random) -> u8 {
    [2, 10, 2, 10, 2, 10, 0, 255][random.below(8)]
}

fn protocol(random: &mut Random) -> u8 {
    [6, 17, 1, 58, 47, 132, 33, 136, 50, 255][random.below(10)]
}

fn half(random: &mut Random) -> u16 {
    random.below(1 << 16) as u16
}

fn word(random: &mut Random) -> u32 {
    random.below(1 << 32) as u32
}

fn name(random: &mut Random) -> &'static str {
    ["", "ftp", "a", "fifteen-letters", "sixteen-letters.", "a\0b"][random.below(6)]
}

/// Generates tables of operations from attributes and the generators of their values.
macro_rules! operations {
    ($set:ident, $read:ident, $away:ident, $object:ty, $of:ident, $attrs:ident;
     $($generate:ident: $($name:ident)*;)*) => {
        const $set: &[$of] = &[$($(|object: &mut $object, random| {
            let value = $generate(random);
            if object.set($attrs::$name, value).is_ok() {
                assert!(object.is_set($attrs::$name), stringify!($name));
                // Where the value is derived from other attributes, it may differ from the one that was set.
                let found = object.get($attrs::$name);
                assert!(found.is_none() || found == Some(value.into()), stringify!($name));
            }
        }),*),*];

        const $read: &[$of] = &[$($(|object: &mut $object, _| {
            assert!(object.get($attrs::$name).is_none() || object.is_set($attrs::$name), stringify!($name));
        }),*),*];

        const $away: &[$of] = &[$($(|object: &mut $object, _| {
            object.unset($attrs::$name);
            assert!(!object.is_set($attrs::$name), stringify!($name));
        }),*),*];
    };
}

operations! {
    SET, READ, TAKE_AWAY, Conntrack, OfConntrack, attr;
    v4: ORIG_IPV4_SRC ORIG_IPV4_DST REPL_IPV4_SRC REPL_IPV4_DST MASTER_IPV4_SRC MASTER_IPV4_DST SNAT_IPV4
        DNAT_IPV4;
    v6: ORIG_IPV6_SRC ORIG_IPV6_DST REPL_IPV6_SRC REPL_IPV6_DST MASTER_IPV6_SRC MASTER_IPV6_DST SNAT_IPV6
        DNAT_IPV6;
    any_family: ORIG_L3PROTO REPL_L3PROTO MASTER_L3PROTO;
    protocol: ORIG_L4PROTO REPL_L4PROTO MASTER_L4PROTO;
    byte: ICMP_TYPE ICMP_CODE TCP_STATE SCTP_STATE DCCP_STATE DCCP_ROLE TCP_FLAGS_ORIG TCP_FLAGS_REPL TCP_MASK_ORIG
        TCP_MASK_REPL TCP_WSCALE_ORIG TCP_WSCALE_REPL;
    half: ORIG_PORT_SRC ORIG_PORT_DST REPL_PORT_SRC REPL_PORT_DST MASTER_PORT_SRC MASTER_PORT_DST ICMP_ID SNAT_PORT
        DNAT_PORT ZONE ORIG_ZONE REPL_ZONE;
    word: TIMEOUT MARK SECMARK STATUS SCTP_VTAG_ORIG SCTP_VTAG_REPL ORIG_NAT_SEQ_CORRECTION_POS
        ORIG_NAT_SEQ_OFFSET_BEFORE ORIG_NAT_SEQ_OFFSET_AFTER REPL_NAT_SEQ_CORRECTION_POS REPL_NAT_SEQ_OFFSET_BEFORE
        REPL_NAT_SEQ_OFFSET_AFTER SYNPROXY_ISN SYNPROXY_ITS SYNPROXY_TSOFF;
    name: HELPER_NAME;
}

operations! {
    EXPECT_SET, EXPECT_READ, EXPECT_TAKE_AWAY, Expect, OfExpect, expect_attr;
    word: TIMEOUT;
    half: ZONE;
    name: HELPER_NAME;
}
