//! How large the program of a filter is in the kernel, which limits the size for each socket
//! (`net.core.optmem_max`).
//!
//! The kernel translates the library's program and counts the result. The numbers here were measured: they
//! agree with Linux 6.18 to the byte, and are 40 bytes too many for 5.10 and 24 for 6.1, whose frame is
//! smaller. The kernel decides; where it refuses, they are the required size.

use std::os::fd::BorrowedFd;
use std::{fs, io};

use super::attach::refused;
use super::kind::{End, KINDS, MARKS, PROTOCOLS, STATES, ZONES, limit};
use super::{EventFilter, Logic};
use crate::error::{Error, Failure, Operation, Subject};

/// Its usual value, where it cannot be read.
const USUAL: u64 = 20_480;

/// Bytes of the program around the lists.
const FRAME: usize = 272;
/// Bytes that a list takes more when it lets through all but its values.
const EXCEPT: usize = 8;

/// Bytes of a list of each kind, and of each of its values.
const fn of(kind: usize) -> (usize, usize) {
    match kind {
        _ if kind == PROTOCOLS.id as usize || kind == STATES.id as usize => (264, 8),
        _ if kind == MARKS.id as usize => (160, 24),
        _ if kind == ZONES.id as usize => (152, 8),
        _ if kind == End::Source.ipv4().id as usize || kind == End::Destination.ipv4().id as usize => {
            (192, 88)
        }
        _ => (176, 352),
    }
}

/// Bytes of the largest program that there can be: all lists full.
pub(crate) const LARGEST: u64 = {
    let values = limit::PROTOCOLS + super::kind::HIGHEST_STATE as usize + 1 + limit::ZONES;
    let lists = 264 + 264 + 160 + 152 + 2 * 192 + 2 * 176 + KINDS * EXCEPT;
    let ends = 2 * (88 * limit::IPV4 + 352 * limit::IPV6);
    (FRAME + lists + 8 * values + 24 * limit::MARKS + ends) as u64
};

impl EventFilter {
    /// Bytes of the program in the kernel.
    fn size(&self) -> usize {
        let lists = self.lists.iter().enumerate().filter_map(|(kind, list)| Some((kind, (*list)?)));
        let sizes = lists.map(|(kind, list)| {
            let (alone, each) = of(kind);
            let states = usize::from(super::kind::HIGHEST_STATE) + 1;
            // Each state is a bit, however often it was added.
            let values = if kind == STATES.id as usize { list.values.min(states) } else { list.values };
            alone + each * values + if list.logic == Logic::Except { EXCEPT } else { 0 }
        });
        FRAME + sizes.sum::<usize>()
    }

    /// The error for a program that the kernel did not take.
    pub(super) fn refused(&self, error: &io::Error, socket: BorrowedFd<'_>) -> Error {
        let failure = Failure::new(Operation::Filter, Subject::Socket).with_io(error);
        let (size, limit) = (self.size() as u64, allowed());
        // Far below the limit, or below the usual one, it was memory that was missing.
        match error.raw_os_error() {
            Some(libc::ENOMEM) if limit.unwrap_or(USUAL) < 2 * size => {
                Error::FilterTooLarge { failure, size, limit }
            }
            _ => refused(error, socket),
        }
    }
}

/// The value of the setting, where it can be read. Before Linux 6.8 it is shown in the first network
/// namespace only, and holds for all.
fn allowed() -> Option<u64> {
    fs::read_to_string("/proc/sys/net/core/optmem_max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;
    use crate::model::proto::{Protocol, TcpState};
    use crate::netlink::monitor::Monitor;
    use crate::netns::own_namespace;
    use crate::nfct::ObjectError;

    /// The size that the kernel counts for a socket with this filter (`SK_MEMINFO_OPTMEM`).
    fn counted(filter: &EventFilter) -> usize {
        let socket = Monitor::open().expect("a socket");
        filter.attach(&socket).expect("attached");
        let mut words = [0u32; 9];
        let mut len = size_of_val(&words) as libc::socklen_t;
        let (fd, option) = (socket.as_fd().as_raw_fd(), libc::SO_MEMINFO);
        // SAFETY: the buffer is live and of this length.
        let result = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, option, words.as_mut_ptr().cast(), &raw mut len)
        };
        assert_eq!(result, 0);
        words[6] as usize
    }

    /// Fills a list of each kind, one after the other.
    fn fill(filter: &mut EventFilter, kind: usize, logic: Logic) -> Result<(), ObjectError> {
        let v4 = |number: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number)).into();
        let v6 = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]).into();
        let last = if super::super::is_1_1() { 20 } else { 1 };
        match kind {
            0 => filter.protocols(logic, (6..=248).map(Protocol::new)),
            1 => filter.tcp_states(logic, (0..16).map(TcpState::from)),
            2 => filter.sources(logic, (1..=81).map(v4)),
            3 => filter.destinations(logic, (1..=81).map(v4)),
            4 => filter.sources(logic, (1..=last).map(v6)),
            5 => filter.destinations(logic, (1..=last).map(v6)),
            6 => filter.marks(logic, (1..=85).map(|mark| (mark, !0))),
            _ => filter.zones(logic, 1..=127),
        }
        .map(|_| ())
    }

    /// A kernel that counts otherwise would make the error's number wrong, not the decision.
    #[test]
    fn the_kernel_counts_what_is_expected() {
        if !own_namespace() {
            return;
        }
        for logic in [Logic::Only, Logic::Except] {
            let mut all = EventFilter::new().expect("a filter");
            for kind in 0..8 {
                let mut alone = EventFilter::new().expect("a filter");
                match fill(&mut alone, kind, logic) {
                    Err(ObjectError::Unsupported { .. }) => continue,
                    filled => filled.expect("filled"),
                }
                let is_close = |filter: &EventFilter| (0..=64).contains(&(filter.size() - counted(filter)));
                assert!(is_close(&alone), "{alone:?}");
                fill(&mut all, kind, logic).expect("filled");
                assert!(all.size() as u64 <= LARGEST);
                if allowed().is_some_and(|limit| limit > LARGEST) {
                    assert!(is_close(&all), "{all:?}");
                }
            }
        }
    }

    #[test]
    fn a_filter_that_is_too_large_is_told_by_both_numbers() {
        let filter = EventFilter::new().expect("a filter");
        let input = io::stdin();
        let refused = |errno| filter.refused(&io::Error::from_raw_os_error(errno), input.as_fd());
        assert!(matches!(refused(libc::EPERM), Error::PermissionDenied(_)));
        let failure = Failure::new(Operation::Filter, Subject::Socket);
        let text =
            |limit| Error::FilterTooLarge { failure: failure.clone(), size: 30_000, limit }.to_string();
        assert_eq!(
            text(Some(20_480)),
            "cannot filter a netfilter socket: its program takes 30000 bytes and net.core.optmem_max allows \
             20480; set it to 30001 or more"
        );
        assert!(
            text(None)
                .ends_with("takes 30000 bytes and net.core.optmem_max allows less; set it to 30001 or more")
        );
    }
}
