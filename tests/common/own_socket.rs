//! A netlink socket of our own, for the kernel's raw bytes.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use netfilter_conntrack::message::split;

/// A netlink socket of netfilter in the namespace of the calling thread.
pub struct Raw(OwnedFd);

impl Raw {
    /// Groups: 1 for new, 2 for update, 4 for destroy events.
    pub fn open(groups: u32) -> Self {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_NETFILTER) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all zeros is a valid address, filled in below.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = groups;
        let len = size_of::<libc::sockaddr_nl>() as u32;
        // SAFETY: the address is alive and of this length.
        let rc = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
        assert_eq!(rc, 0, "{}", io::Error::last_os_error());
        let patience = libc::timeval { tv_sec: 5, tv_usec: 0 };
        let len = size_of::<libc::timeval>() as u32;
        // SAFETY: the option's value is alive and of this length.
        let rc = unsafe {
            let value = (&raw const patience).cast();
            libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, len)
        };
        assert_eq!(rc, 0, "{}", io::Error::last_os_error());
        Self(fd)
    }

    pub fn send(&self, bytes: &[u8]) {
        // SAFETY: the bytes are alive and only read.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        assert_eq!(sent, bytes.len() as isize, "{}", io::Error::last_os_error());
    }

    /// Receives one datagram, split into messages.
    pub fn receive(&self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0u8; 64 << 10];
        // SAFETY: the buffer is alive and has the given length.
        let len = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let len = usize::try_from(len).unwrap_or_else(|_| panic!("{}", io::Error::last_os_error()));
        split(&buffer[..len]).map(|message| message.expect("a message").to_vec()).collect()
    }

    /// Returns every entry of the table, as the kernel's message for it.
    pub fn dump(&self) -> Vec<Vec<u8>> {
        let mut request = Vec::new();
        request.extend(20u32.to_ne_bytes());
        request.extend(0x101u16.to_ne_bytes());
        request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
        request.extend([0; 12]);
        self.send(&request);
        let mut entries = Vec::new();
        loop {
            for message in self.receive() {
                match kind(&message) {
                    0x100 => entries.push(message),
                    3 => return entries,
                    other => panic!("message type {other:#x}"),
                }
            }
        }
    }
}

/// `nlmsg_type`.
pub fn kind(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

/// The errno of an ACK, 0 for success.
pub fn verdict(message: &[u8]) -> i32 {
    assert_eq!(kind(message), 2, "not an acknowledgement");
    -i32::from_ne_bytes(message[16..20].try_into().expect("an errno"))
}
