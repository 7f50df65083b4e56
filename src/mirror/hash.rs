//! The hash of a tuple in a zone.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use super::record::Sought;
use crate::model::tuple::{ICMP_PAIRS, ICMPV6_PAIRS, Icmp, Layer4, counterpart};

/// SipHash-1-3 with random keys, as in the standard library's maps: remote senders choose the addresses in
/// tuples. Written out for a few whole words, it takes a third of the instructions of the library's version,
/// which takes any number of bytes.
#[derive(Debug)]
pub(super) struct Keys([u64; 2]);

impl Default for Keys {
    fn default() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }
}

impl Keys {
    /// The hash of a tuple and of its inverse, which have the same: so one place in the index does for both
    /// tuples of a flow that translates nothing.
    #[inline]
    pub(super) fn hash(&self, sought: &Sought) -> u64 {
        let (ends, both) = match sought.tuple.layer4() {
            Layer4::Icmp(icmp) => ([0; 2], query(&ICMP_PAIRS, icmp)),
            Layer4::IcmpV6(icmp) => ([0; 2], query(&ICMPV6_PAIRS, icmp)),
            _ => (sought.numbers, 0),
        };
        let rest = |[low, high]: [u16; 2]| {
            let numbers = u32::from(low) << 16 | u32::from(high) | both;
            u64::from(sought.protocol()) << 48 | u64::from(sought.zone) << 32 | u64::from(numbers)
        };
        if let Some([src, dst]) = sought.v4() {
            let end = |address: u32, number: u16| u64::from(address) << 16 | u64::from(number);
            let [low, high] = ordered([end(src, ends[0]), end(dst, ends[1])]);
            return self.of([low >> 16 << 32 | high >> 16, rest([low as u16, high as u16])]);
        }
        let ends = [(bits(sought.tuple.src()), ends[0]), (bits(sought.tuple.dst()), ends[1])];
        let [low, high] = ordered(ends);
        let [a, b] = [low.0, high.0].map(|bits| [(bits >> 64) as u64, bits as u64]);
        self.of([a[0], a[1], b[0], b[1], rest([low.1, high.1])])
    }

    #[inline]
    fn of<const WORDS: usize>(&self, words: [u64; WORDS]) -> u64 {
        let [k0, k1] = self.0;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let length = (8 * WORDS as u64) << 56;
        for word in words.into_iter().chain([length]) {
            state[3] ^= word;
            round(&mut state);
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        (0..3).for_each(|_| round(&mut state));
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

#[inline]
fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

/// The same for a query and for its answer.
fn query(pairs: &[(u8, u8)], icmp: Icmp) -> u32 {
    let kind = counterpart(pairs, icmp.icmp_type).map_or(icmp.icmp_type, |other| icmp.icmp_type.min(other));
    u32::from(icmp.id) << 16 | u32::from(u16::from_be_bytes([kind, icmp.code]))
}

fn ordered<T: PartialOrd>([one, other]: [T; 2]) -> [T; 2] {
    if one <= other { [one, other] } else { [other, one] }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher};

    use super::*;

    /// The library's hasher without random keys has those of 0.
    #[test]
    fn the_hash_is_that_of_the_standard_library() {
        let hash = |words: &[u64]| {
            let mut hasher = DefaultHasher::new();
            words.iter().for_each(|word| hasher.write(&word.to_le_bytes()));
            hasher.finish()
        };
        let mut words = [1, u64::MAX, 0x0123_4567_89ab_cdef, 1 << 63, 77];
        for _ in 0..100 {
            assert_eq!(Keys([0; 2]).of([words[0], words[1]]), hash(&words[..2]));
            assert_eq!(Keys([0; 2]).of(words), hash(&words));
            words = words.map(|word| word.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        assert_ne!(Keys([1, 0]).of(words), Keys([0; 2]).of(words));
        assert_ne!(Keys([0, 1]).of(words), Keys([0; 2]).of(words));
        assert_ne!(Keys::default().of(words), Keys::default().of(words));
    }
}
