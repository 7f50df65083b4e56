//! All flows of the run. Nothing else may ever be reported: any other flow was forged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netfilter_conntrack::{Flow, TcpState, Tuple, Zone};

use super::Result;

/// The mark of forged entries; no real entry gets it.
pub(crate) const FORGED: u32 = 0xf0f0_f0f0;
/// The owner whose flows never change, so that every reader can check each of them; and their number.
pub(crate) const BASE: u8 = 200;
pub(crate) const BASE_FLOWS: u32 = 1000;
/// The owner of the flows that sweeps delete, and the zone of some of them.
pub(crate) const SWEEPER: u8 = 100;
pub(crate) const SWEPT_ZONE: u16 = 100;
/// The owner of the flows that the C library's sessions create.
pub(crate) const SESSION: u8 = 110;
/// The first of the writers.
pub(crate) const WRITER: u8 = 1;
pub(crate) const WRITERS: u8 = 3;
/// No flow expires during the run.
const LIFE: Duration = Duration::from_secs(10 * 86_400);

/// Returns the `number`th flow of an owner: IPv4 or IPv6, TCP or UDP, in one of several zones; some are
/// translated.
pub(crate) fn flow(owner: u8, number: u32) -> Flow {
    let [_, _, high, low] = number.to_be_bytes();
    let port = 1024 + number as u16;
    let (src, dst): (IpAddr, IpAddr) = match number % 2 {
        0 => (Ipv4Addr::new(10, owner, high, low).into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        _ => (v6(owner.into(), number as u16).into(), v6(0x1000, 1).into()),
    };
    let ends = (SocketAddr::from((src, port)), SocketAddr::from((dst, 443)));
    let zone = match number / 2 % 4 {
        0 | 1 => Zone::DEFAULT,
        2 => Zone::new(7),
        _ => Zone::new(8),
    };
    let flow = match number % 3 {
        0 => Flow::new(Tuple::udp(ends.0, ends.1).expect("one family")),
        _ => Flow::new(Tuple::tcp(ends.0, ends.1).expect("one family")).tcp_state(TcpState::Established),
    };
    let flow = flow.zone(zone).timeout(LIFE).mark(mark(number));
    match (number % 5, src) {
        (0, IpAddr::V4(_)) => flow.snat(IpAddr::from(Ipv4Addr::new(198, 51, 100, owner))),
        (0, IpAddr::V6(_)) => flow.snat(IpAddr::from(v6(0x2000, owner.into()))),
        _ => flow,
    }
}

fn v6(group: u16, last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, group, 0, 0, 0, 0, last)
}

/// The initial mark of a flow.
pub(crate) fn mark(number: u32) -> u32 {
    number % 7 + 1
}

/// Returns the owner and number of a flow.
fn owner(tuple: &Tuple) -> Option<(u8, u32)> {
    let number = u32::from(tuple.ports()?.src.checked_sub(1024)?);
    match tuple.src() {
        IpAddr::V4(address) => {
            let [10, owner, ..] = address.octets() else { return None };
            Some((owner, number))
        }
        IpAddr::V6(address) => {
            let [0x2001, 0xdb8, group, ..] = address.segments() else { return None };
            Some((u8::try_from(group).ok()?, number))
        }
    }
}

/// Returns the owner and number of a flow, which must be one of this run.
pub(crate) fn judge(seen: &Flow) -> Result<(u8, u32)> {
    let forged = || format!("a forged entry was believed: {seen}");
    let (owner, number) = owner(&seen.original).ok_or_else(forged)?;
    let known = matches!(owner, BASE | SWEEPER | SESSION) || (WRITER..WRITER + WRITERS).contains(&owner);
    let expected = flow(owner, number);
    let tuple = seen.original == expected.original && seen.reply_dst() == expected.reply_dst();
    if !known || !tuple || seen.mark == Some(FORGED) {
        return Err(forged().into());
    }
    Ok((owner, number))
}

/// Like [`judge`], for an entry of the table: a flow that never changes must be unchanged.
pub(crate) fn judge_entry(seen: &Flow) -> Result<(u8, u32)> {
    let (owner, number) = judge(seen)?;
    if owner == BASE && (seen.mark != Some(mark(number)) || seen.zone != flow(owner, number).zone) {
        return Err(format!("an entry that nobody changed was changed: {seen}").into());
    }
    Ok((owner, number))
}

/// Like [`judge`], for an event: flows that never change have none.
pub(crate) fn judge_event(seen: &Flow) -> Result<()> {
    match judge(seen)? {
        (BASE, _) => Err(format!("a forged event was believed: {seen}").into()),
        _ => Ok(()),
    }
}

/// The destination of replies.
trait ReplyEnd {
    fn reply_dst(&self) -> IpAddr;
}

impl ReplyEnd for Flow {
    fn reply_dst(&self) -> IpAddr {
        match self.source_nat().and_then(|target| target.address()) {
            Some(address) => address,
            None => self.reply.dst(),
        }
    }
}

/// Marsaglia's xorshift: the same numbers in every run with the same seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % u64::from(end)) as u32
    }

    pub(crate) fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len() as u32) as usize]
    }
}

/// Requested sizes of receive buffers, in bytes; the first is the smallest that the kernel accepts.
pub(crate) const BUFFERS: [usize; 7] = [4 << 10, 8 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 8 << 20];
