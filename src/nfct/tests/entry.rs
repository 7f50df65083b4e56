//! Entries as a kernel could report them, made at random: every protocol, both families, and any part that
//! the C library can read, there or not.

use super::sample::{ICMP, ICMPV6, Random, TCP, UDP, V4, V6};
use crate::model::tuple::{ICMP_PAIRS, ICMPV6_PAIRS};
use crate::netlink::attr::{HEADER, NESTED, aligned};
use crate::netlink::uapi::{cta, nest, protoinfo, tuple};

pub(crate) const DCCP: u8 = 33;
pub(crate) const GRE: u8 = 47;
pub(crate) const SCTP: u8 = 132;
pub(crate) const UDPLITE: u8 = 136;
/// Protocols that are tracked by their addresses alone.
const OTHERS: [u8; 2] = [50, 253];

/// An attribute.
#[derive(Clone)]
pub(crate) struct Node(pub(crate) u16, pub(crate) Value);

#[derive(Clone)]
pub(crate) enum Value {
    Bytes(Vec<u8>),
    Nest(Vec<Node>),
}

pub(crate) fn bytes(kind: u16, value: &[u8]) -> Node {
    Node(kind, Value::Bytes(value.to_vec()))
}

pub(crate) fn nest(kind: u16, nodes: Vec<Node>) -> Node {
    Node(kind, Value::Nest(nodes))
}

/// An entry, attributes in the order of the kernel.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) family: u8,
    pub(crate) nodes: Vec<Node>,
}

impl Entry {
    /// An entry of IPv4 with the same tuple twice, and these parts.
    pub(crate) fn with(layer4: Vec<Node>, parts: Vec<Node>) -> Self {
        let kinds = [tuple::IP_V4_SRC, tuple::IP_V4_DST];
        let addresses = nest(tuple::IP, kinds.map(|kind| bytes(kind, &[10, 0, 0, kind as u8])).to_vec());
        let tuple = vec![addresses, nest(tuple::PROTO, layer4)];
        let mut nodes = vec![nest(cta::TUPLE_ORIG, tuple.clone()), nest(cta::TUPLE_REPLY, tuple)];
        nodes.extend(parts);
        Self { family: V4, nodes }
    }

    pub(crate) fn random(random: &mut Random) -> Self {
        let family = [V4, V6][random.below(2)];
        let ping = if family == V4 { ICMP } else { ICMPV6 };
        let protocols = [TCP, UDP, ping, GRE, SCTP, DCCP, UDPLITE, OTHERS[0], OTHERS[1]];
        let protocol = protocols[random.below(protocols.len())];
        let mut tuples = tuples(family, protocol, random);
        // The kernel names a zone once, if at all.
        let zone = bytes(tuple::ZONE, &random.bytes(2));
        let mut zones = Vec::new();
        match (random.below(4), &mut tuples) {
            (0, _) => zones.push(bytes(cta::ZONE, &random.bytes(2))),
            (1, [original, _]) => original.push(zone),
            (2, [_, reply]) => reply.push(zone),
            _ => {}
        }
        let [original, reply] = tuples;
        let mut nodes = vec![nest(cta::TUPLE_ORIG, original), nest(cta::TUPLE_REPLY, reply)];
        nodes.extend(zones);
        // All of them as often as not, since the kernel leaves out little.
        let most = 1 + random.below(2);
        let parts = parts(family, protocol, random).into_iter().filter(|_| random.below(2) < most);
        nodes.extend(parts.collect::<Vec<_>>());
        Self { family, nodes }
    }

    /// The message, as the kernel would lay it out.
    pub(crate) fn message(&self) -> Vec<u8> {
        self.headed(laid_out(&self.nodes))
    }

    /// The same entry as no kernel would write it: the attributes of each nest in any order, those of
    /// kernels to come between them, and padding that is not zero.
    pub(crate) fn disturbed(&self, random: &mut Random) -> Vec<u8> {
        self.headed(disturbed(&self.nodes, true, random))
    }

    fn headed(&self, attributes: Vec<u8>) -> Vec<u8> {
        let mut message = ((20 + attributes.len()) as u32).to_ne_bytes().to_vec();
        message.extend(0x100u16.to_ne_bytes());
        message.extend([0; 10]);
        message.extend([self.family, 0, 0, 0]);
        message.extend(attributes);
        message
    }
}

impl Random {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Letters, and the NUL behind them.
    pub(super) fn text(&mut self, most: usize) -> Vec<u8> {
        let letters = (0..1 + self.below(most)).map(|_| b'a' + self.below(26) as u8);
        let mut text: Vec<u8> = letters.collect();
        text.push(0);
        text
    }
}

/// Both tuples; the reply need not be the inverse, as NAT changes it.
pub(crate) fn tuples(family: u8, protocol: u8, random: &mut Random) -> [Vec<Node>; 2] {
    let layer4 = match protocol {
        ICMP | ICMPV6 => icmp(protocol, random),
        _ => [ports(protocol, random), ports(protocol, random)],
    };
    layer4.map(|layer4| vec![addresses(family, random), nest(tuple::PROTO, layer4)])
}

fn addresses(family: u8, random: &mut Random) -> Node {
    let (kinds, len) = match family {
        V4 => ([tuple::IP_V4_SRC, tuple::IP_V4_DST], 4),
        _ => ([tuple::IP_V6_SRC, tuple::IP_V6_DST], 16),
    };
    nest(tuple::IP, kinds.map(|kind| bytes(kind, &random.bytes(len))).to_vec())
}

pub(crate) fn ports(protocol: u8, random: &mut Random) -> Vec<Node> {
    let mut nodes = vec![bytes(tuple::PROTO_NUM, &[protocol])];
    if !OTHERS.contains(&protocol) {
        nodes.push(bytes(tuple::PROTO_SRC_PORT, &random.bytes(2)));
        nodes.push(bytes(tuple::PROTO_DST_PORT, &random.bytes(2)));
    }
    nodes
}

pub(crate) fn icmp(protocol: u8, random: &mut Random) -> [Vec<Node>; 2] {
    let [id_kind, type_kind, code_kind] = match protocol {
        ICMP => [tuple::PROTO_ICMP_ID, tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMP_CODE],
        _ => [tuple::PROTO_ICMPV6_ID, tuple::PROTO_ICMPV6_TYPE, tuple::PROTO_ICMPV6_CODE],
    };
    let (query, answer) = match protocol {
        ICMP => ICMP_PAIRS[random.below(ICMP_PAIRS.len())],
        _ => ICMPV6_PAIRS[random.below(ICMPV6_PAIRS.len())],
    };
    [query, answer].map(|kind| {
        let (number, id) = (bytes(tuple::PROTO_NUM, &[protocol]), bytes(id_kind, &random.bytes(2)));
        vec![number, id, bytes(type_kind, &[kind]), bytes(code_kind, &random.bytes(1))]
    })
}

/// Every other part that an entry of the protocol can have.
fn parts(family: u8, protocol: u8, random: &mut Random) -> Vec<Node> {
    let of_listing = [cta::STATUS, cta::MARK, cta::ID, cta::USE, cta::TIMEOUT, SECMARK];
    let of_event = [cta::ID, cta::STATUS, cta::TIMEOUT, cta::MARK, cta::USE, SECMARK];
    let numbers = [of_listing, of_event][random.below(2)];
    let mut parts = numbers.map(|kind| bytes(kind, &random.bytes(4))).to_vec();
    parts.extend(proto_info(protocol, random));
    for kind in [cta::COUNTERS_ORIG, cta::COUNTERS_REPLY] {
        parts.push(nest(kind, some(&[(nest::COUNTERS_PACKETS, 8), (nest::COUNTERS_BYTES, 8)], random)));
    }
    let [pos, before, after] =
        [nest::SEQ_ADJ_CORRECTION_POS, nest::SEQ_ADJ_OFFSET_BEFORE, nest::SEQ_ADJ_OFFSET_AFTER];
    for kind in [cta::SEQ_ADJ_ORIG, cta::SEQ_ADJ_REPLY] {
        parts.push(nest(kind, some(&[(pos, 4), (before, 4), (after, 4)], random)));
    }
    let [isn, its, tsoff] = [nest::SYNPROXY_ISN, nest::SYNPROXY_ITS, nest::SYNPROXY_TSOFF];
    parts.push(nest(cta::SYNPROXY, some(&[(isn, 4), (its, 4), (tsoff, 4)], random)));
    parts.push(nest(cta::TIMESTAMP, some(&[(nest::TIMESTAMP_START, 8), (nest::TIMESTAMP_STOP, 8)], random)));
    parts.push(bytes(cta::TIMESTAMP_EVENT, &random.bytes(8)));
    // One name in four may be too long for the library's field, and for ours.
    let longest = [15, 15, 15, 40][random.below(4)];
    let help = [bytes(nest::HELP_NAME, &random.text(longest)), bytes(HELP_INFO, &random.bytes(9))];
    parts.push(nest(cta::HELP, help[..1 + random.below(2)].to_vec()));
    let words = 1 + random.below(4);
    parts.push(bytes(cta::LABELS, &random.bytes(4 * words)));
    parts.push(nest(cta::SECCTX, vec![bytes(nest::SECCTX_NAME, &random.text(60))]));
    parts.push(master(family, random));
    parts
}

/// An attribute that the C library reads and no flow has.
const SECMARK: u16 = 17;
const HELP_INFO: u16 = 2;

/// The flow that made this one expected: of any protocol but ICMP, whose fields the C library has no
/// place for.
fn master(family: u8, random: &mut Random) -> Node {
    let protocol = [TCP, UDP, GRE, SCTP, OTHERS[0]][random.below(5)];
    let [tuple, _] = tuples(family, protocol, random);
    nest(cta::TUPLE_MASTER, tuple)
}

fn proto_info(protocol: u8, random: &mut Random) -> Option<Node> {
    let (kind, nodes) = match protocol {
        TCP => (protoinfo::TCP, tcp(random)),
        SCTP => {
            let tags = [(protoinfo::SCTP_VTAG_ORIGINAL, 4), (protoinfo::SCTP_VTAG_REPLY, 4)];
            (protoinfo::SCTP, some(&[(protoinfo::SCTP_STATE, 1), tags[0], tags[1]], random))
        }
        DCCP => {
            let seq = (protoinfo::DCCP_HANDSHAKE_SEQ, 8);
            let known = [(protoinfo::DCCP_STATE, 1), (protoinfo::DCCP_ROLE, 1), seq];
            (protoinfo::DCCP, some(&known, random))
        }
        _ => return None,
    };
    Some(nest(cta::PROTOINFO, vec![nest(kind, nodes)]))
}

/// The second byte of the flags is their mask, which the kernel leaves 0.
fn tcp(random: &mut Random) -> Vec<Node> {
    let known = [
        (protoinfo::TCP_STATE, 1),
        (protoinfo::TCP_WSCALE_ORIGINAL, 1),
        (protoinfo::TCP_WSCALE_REPLY, 1),
        (protoinfo::TCP_FLAGS_ORIGINAL, 2),
        (protoinfo::TCP_FLAGS_REPLY, 2),
    ];
    let mut nodes = some(&known, random);
    for Node(_, value) in &mut nodes {
        if let Value::Bytes(flags) = value {
            flags[1..].fill(0);
        }
    }
    nodes
}

/// Numbers of these types and lengths: mostly all, at least one.
fn some(known: &[(u16, usize)], random: &mut Random) -> Vec<Node> {
    let mut nodes: Vec<_> = known.iter().map(|&(kind, len)| bytes(kind, &random.bytes(len))).collect();
    while nodes.len() > 1 && random.below(8) == 0 {
        nodes.remove(random.below(nodes.len()));
    }
    nodes
}

pub(crate) fn laid_out(nodes: &[Node]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Node(kind, value) in nodes {
        match value {
            Value::Bytes(value) => put(&mut bytes, *kind, value, 0),
            Value::Nest(nodes) => put(&mut bytes, kind | NESTED, &laid_out(nodes), 0),
        }
    }
    bytes
}

fn disturbed(nodes: &[Node], may_grow: bool, random: &mut Random) -> Vec<u8> {
    let mut order: Vec<&Node> = nodes.iter().collect();
    for left in (1..order.len()).rev() {
        order.swap(left, random.below(left + 1));
    }
    let mut bytes = Vec::new();
    for Node(kind, value) in order {
        let padding = random.next() as u8;
        if may_grow && random.below(3) == 0 {
            let (len, kind) = (random.below(30), 60 + random.below(200) as u16);
            put(&mut bytes, kind, &random.bytes(len), padding);
        }
        match value {
            Value::Bytes(value) => put(&mut bytes, *kind, value, padding),
            // The guard accepts listed types alone there.
            Value::Nest(nodes) => {
                let value = disturbed(nodes, *kind != cta::PROTOINFO, random);
                // The flag has come to nests of all kinds only with time.
                let flag = [0, NESTED][random.below(2)];
                put(&mut bytes, kind | flag, &value, padding);
            }
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8], padding: u8) {
    bytes.extend(((HEADER + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(aligned(bytes.len()), padding);
}
