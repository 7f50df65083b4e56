//! The socket below a handle, bypassing the handle: the number of requests sent, and messages left unread.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use netfilter_conntrack::{Handle, Result};

use super::flow;

/// The header of a message from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
}

/// Returns the number of requests that `work` makes the handle send, from the sequence numbers that the
/// kernel echoes.
pub fn requests<T>(handle: &mut Handle, work: impl FnOnce(&mut Handle) -> T) -> (u32, T) {
    let before = own_request(handle);
    let result = work(handle);
    (own_request(handle) - before - 1, result)
}

fn own_request(handle: &mut Handle) -> u32 {
    let _ = handle.dump().entries().expect("a dump");
    waiting(handle).expect("an answer").seq
}

/// Returns the header of the first waiting message, if any, and leaves the message in the socket.
pub fn waiting(handle: &Handle) -> Option<Header> {
    headers(handle, libc::MSG_PEEK).first().copied()
}

/// Receives the rest of a dump, bypassing the handle, and returns the headers of its entries.
pub fn drain(handle: &Handle) -> Vec<Header> {
    let mut all = Vec::new();
    loop {
        let headers = headers(handle, 0);
        assert!(!headers.is_empty(), "the dump ends without saying so, after {} messages", all.len());
        let done = headers.iter().position(|header| i32::from(header.kind) == libc::NLMSG_DONE);
        all.extend_from_slice(&headers[..done.unwrap_or(headers.len())]);
        if done.is_some() {
            return all;
        }
    }
}

/// Returns the headers in the waiting datagram, or none.
fn headers(handle: &Handle, flags: libc::c_int) -> Vec<Header> {
    let mut buffer = vec![0u8; 64 << 10];
    let fd = handle.as_fd().as_raw_fd();
    // SAFETY: the buffer is live and of the given length.
    let len = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags | libc::MSG_DONTWAIT) };
    let mut rest = &buffer[..usize::try_from(len).unwrap_or(0)];
    let mut headers = Vec::new();
    while let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *rest {
        headers.push(Header {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            seq: u32::from_ne_bytes([s0, s1, s2, s3]),
        });
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        rest = rest.get((len + 3) & !3..).unwrap_or(&[]);
    }
    headers
}

/// Runs `work` while the handle's descriptor is not a socket: every send fails with `ENOTSOCK`.
pub fn cut_off<T>(handle: &mut Handle, work: impl FnOnce(&mut Handle) -> T) -> T {
    let cut = Cut::new(handle.as_fd().as_raw_fd());
    let result = work(handle);
    cut.mend();
    result
}

/// A socket that was removed from its file descriptor.
pub struct Cut {
    fd: RawFd,
    socket: OwnedFd,
}

impl Cut {
    pub fn new(fd: RawFd) -> Self {
        // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC takes an integer.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
        assert!(copy >= 0, "fcntl: {}", io::Error::last_os_error());
        // SAFETY: the call succeeded, so `copy` is open, and nothing else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(copy) };
        put(&File::open("/dev/null").expect("/dev/null"), fd);
        Self { fd, socket }
    }

    pub fn mend(self) {
        put(&self.socket, self.fd);
    }
}

/// Makes `fd` refer to the open file of `file`.
fn put(file: &impl AsRawFd, fd: RawFd) {
    // SAFETY: dup3(2) takes integers. The owner of `fd` keeps owning it; it is another file now.
    let result = unsafe { libc::dup3(file.as_raw_fd(), fd, libc::O_CLOEXEC) };
    assert_eq!(result, fd, "dup3: {}", io::Error::last_os_error());
}

/// Creates, finds and deletes an entry, to show that the handle works.
pub fn assert_good(handle: &mut Handle) {
    let probe = flow(super::udp("192.0.2.250:9", "192.0.2.251:9"));
    let result = (|| -> Result<()> {
        handle.create(&probe)?;
        let found = handle.get(&probe)?;
        handle.delete(&found)
    })();
    result.expect("a handle that is still good");
}
