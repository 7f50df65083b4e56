//! Messages in the kernel's format, and malformed ones, sent by another process.

use std::os::fd::AsFd;

use super::world::{BASE, BASE_FLOWS, Chance, FORGED, flow};
use super::{Result, raw};
use netfilter_conntrack::message::{Message, Request};

const HEADER: usize = 16;
/// `CTA_MARK`, and the offset of the first attribute.
const MARK: u16 = 8;
const ATTRIBUTES: usize = HEADER + 4;
/// Types and flags of messages about entries: new, changed, deleted, and from a dump.
const KINDS: [(u16, u16); 4] = [(0x100, 0x600), (0x100, 0), (0x102, 0), (0x100, libc::NLM_F_MULTI as u16)];

/// Real messages of the kernel, from which others are made.
pub(crate) struct Forge {
    entries: Vec<Vec<u8>>,
    chance: Chance,
}

impl Forge {
    /// Requests the flows that never change from the kernel.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let socket = raw::open();
        let mut entries = Vec::new();
        for number in 0..BASE_FLOWS.min(100) {
            let request = Message::for_flow(Request::Get, &flow(BASE, number))?;
            raw::send(socket.as_fd(), 0, request.as_bytes())?;
            let mut answer = raw::receive(socket.as_fd()).ok_or("no answer")?;
            let len = u32::from_ne_bytes(*answer.first_chunk().ok_or("an empty answer")?) as usize;
            answer.truncate(len);
            entries.push(answer);
            // The ACK of the request.
            let _ = raw::receive(socket.as_fd());
        }
        Ok(Self { entries, chance: Chance::new(seed) })
    }

    pub(crate) fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Returns a message to the socket with this address. It may be of any kind.
    pub(crate) fn for_socket(&mut self, port: u32) -> Vec<u8> {
        match self.chance.below(8) {
            0 => self.event(port),
            1 => self.altered(port),
            2 => self.cut(port),
            3 => self.noise(),
            4 => self.verdict(port),
            5 => self.control(libc::NLMSG_DONE, port, &0u32.to_ne_bytes()),
            6 => {
                let kind = *self.chance.one_of(&[libc::NLMSG_NOOP, libc::NLMSG_OVERRUN]);
                self.control(kind, port, &[])
            }
            _ => [self.altered(port), self.verdict(port), self.event(port)].concat(),
        }
    }

    /// Returns a message to a group. The kernel receives it too, so it must not contain a request: the kernel
    /// would carry it out, and its effect would be real.
    pub(crate) fn for_group(&mut self) -> Vec<u8> {
        match self.chance.below(5) {
            0 => self.event(0),
            1 => self.altered(0),
            // The kernel ignores a message whose header claims more bytes than were sent.
            2 => {
                let mut message = self.event(0);
                message.truncate(message.len() - 1 - self.chance.below(40) as usize);
                message
            }
            3 => self.verdict(0),
            _ => self.control(libc::NLMSG_OVERRUN, 0, &[]),
        }
    }

    /// A well-formed message about an entry, reporting an event that did not happen.
    fn event(&mut self, port: u32) -> Vec<u8> {
        let mut message = self.chance.one_of(&self.entries).clone();
        let (kind, flags) = *self.chance.one_of(&KINDS);
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&flags.to_ne_bytes());
        // Events have number 0; the first number of requests is arbitrary.
        let seq = if self.chance.below(2) == 0 { 0 } else { self.chance.below(u32::MAX) };
        message[8..12].copy_from_slice(&seq.to_ne_bytes());
        message[12..16].copy_from_slice(&port.to_ne_bytes());
        message
    }

    /// The same with another mark.
    fn altered(&mut self, port: u32) -> Vec<u8> {
        let mut message = self.event(port);
        let mut at = ATTRIBUTES;
        while let Some(&[l0, l1, k0, k1]) = message.get(at..at + 4) {
            let (len, kind) = (u16::from_ne_bytes([l0, l1]), u16::from_ne_bytes([k0, k1]));
            if kind == MARK {
                message[at + 4..at + 8].copy_from_slice(&FORGED.to_be_bytes());
            }
            at += usize::from(len.max(4)).next_multiple_of(4);
        }
        message
    }

    /// A truncated message, with or without the matching length in its header.
    fn cut(&mut self, port: u32) -> Vec<u8> {
        let mut message = self.altered(port);
        message.truncate(self.chance.below(message.len() as u32) as usize);
        if message.len() >= HEADER && self.chance.below(2) == 0 {
            let len = message.len() as u32;
            message[..4].copy_from_slice(&len.to_ne_bytes());
        }
        message
    }

    fn noise(&mut self) -> Vec<u8> {
        let len = self.chance.below(300);
        (0..len).map(|_| self.chance.below(256) as u8).collect()
    }

    /// An ACK or an error, for a request that may exist.
    fn verdict(&mut self, port: u32) -> Vec<u8> {
        let errno = *self.chance.one_of(&[0, libc::EPERM, libc::ENOENT, libc::EEXIST, libc::ENOMEM]);
        let body = [(-errno).to_ne_bytes().as_slice(), &[0; HEADER]].concat();
        self.control(libc::NLMSG_ERROR, port, &body)
    }

    fn control(&mut self, kind: i32, port: u32, body: &[u8]) -> Vec<u8> {
        let seq = self.chance.below(3);
        raw::message(kind as u16, libc::NLM_F_MULTI as u16, seq, port, body)
    }
}
