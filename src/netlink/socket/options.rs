//! The options of a socket.

use std::io;
use std::os::fd::AsRawFd;

use super::{Memory, Socket, check, check_taking};
use crate::netlink::uapi;
use crate::rights::Capability;

/// No queued datagram takes less of the receive buffer than this.
const SMALLEST: u32 = 256;

impl Socket {
    /// The identity of the socket's network namespace (Linux 5.14).
    pub(in crate::netlink) fn namespace_cookie(&self) -> io::Result<u64> {
        self.option(libc::SOL_SOCKET, uapi::SO_NETNS_COOKIE, 0u64)
    }

    /// The receive buffer in bytes, as the kernel counts: twice the requested size.
    pub(crate) fn receive_buffer(&self) -> io::Result<usize> {
        let size: libc::c_int = self.option(libc::SOL_SOCKET, libc::SO_RCVBUF, 0)?;
        Ok(usize::try_from(size).unwrap_or(0))
    }

    /// The longest datagram that can be sent: the kernel refuses longer ones with `EMSGSIZE`.
    pub(in crate::netlink) fn longest_datagram(&self) -> io::Result<usize> {
        /// The part of the send buffer that the kernel keeps (`netlink_sendmsg`).
        const KEPT: usize = 32;
        let size: libc::c_int = self.option(libc::SOL_SOCKET, libc::SO_SNDBUF, 0)?;
        Ok(usize::try_from(size).unwrap_or(0).saturating_sub(KEPT))
    }

    /// Asks for a receive buffer: past `net.core.rmem_max` where the caller may, else up to it.
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        self.set_option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
            .or_else(|_| self.set_option(libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
    }

    /// Attaches a filter: a program of classic BPF that sees each datagram before it is queued, and leaves out
    /// those for which it returns 0.
    pub(crate) fn attach(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        // The kernel only reads through the pointer.
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        let size = size_of_val(&program) as libc::socklen_t;
        // SAFETY: the structure is live and of the given size, and leads to as many live instructions as it
        // says; setsockopt(2) checks and copies them.
        check("setsockopt(2) with SO_ATTACH_FILTER", unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size,
            )
        })?;
        Ok(())
    }

    /// Makes the kernel take a message that it cannot queue here for undelivered, and lets it not
    /// report an overrun here.
    pub(crate) fn set_reliable(&self) -> io::Result<()> {
        self.set_option(libc::SOL_NETLINK, libc::NETLINK_BROADCAST_ERROR, 1)?;
        self.set_option(libc::SOL_NETLINK, libc::NETLINK_NO_ENOBUFS, 1)
    }

    /// Asks for multicast messages from other network namespaces too.
    pub(crate) fn listen_all_namespaces(&mut self) -> io::Result<()> {
        self.set_option(libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID, 1)?;
        self.hears_other_namespaces = true;
        Ok(())
    }

    /// The state of the receive queue (Linux 4.12).
    pub(in crate::netlink) fn memory(&self) -> io::Result<Memory> {
        let [queued, _, _, _, _, _, _, _, drops] =
            self.option(libc::SOL_SOCKET, libc::SO_MEMINFO, [0u32; 9])?;
        Ok(Memory { queued, drops })
    }

    /// The most datagrams that can be waiting in the queue.
    pub(in crate::netlink) fn most_queued(&self) -> u32 {
        let bytes = self.memory().map(|memory| memory.queued);
        let bytes =
            bytes.or_else(|_| Ok::<_, io::Error>(u32::try_from(self.receive_buffer()?).unwrap_or(u32::MAX)));
        bytes.unwrap_or(u32::MAX) / SMALLEST + 1
    }

    pub(super) fn set_option(
        &self,
        level: libc::c_int,
        name: libc::c_int,
        value: libc::c_int,
    ) -> io::Result<()> {
        let len = size_of_val(&value) as libc::socklen_t;
        // SAFETY: the value is a live int and the length is its size; setsockopt(2) only reads it.
        let set =
            unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, name, (&raw const value).cast(), len) };
        let (call, takes) = describe(level, name);
        check_taking(call, takes, set).map(drop)
    }

    /// An option whose value is the integer type `T`, or several of one.
    fn option<T: Integer>(&self, level: libc::c_int, name: libc::c_int, mut value: T) -> io::Result<T> {
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the value is live and of integers, for which any bytes are valid, and `len` its size,
        // which getsockopt(2) does not write past.
        check("getsockopt(2)", unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len)
        })?;
        Ok(value)
    }
}

/// The call that sets an option, and the capability that it takes.
fn describe(level: libc::c_int, name: libc::c_int) -> (&'static str, Option<Capability>) {
    match (level, name) {
        (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID) => {
            ("setsockopt(2) with NETLINK_LISTEN_ALL_NSID", Some(Capability::NetBroadcast))
        }
        (libc::SOL_NETLINK, libc::NETLINK_BROADCAST_ERROR) => {
            ("setsockopt(2) with NETLINK_BROADCAST_ERROR", None)
        }
        (libc::SOL_NETLINK, libc::NETLINK_NO_ENOBUFS) => ("setsockopt(2) with NETLINK_NO_ENOBUFS", None),
        (libc::SOL_SOCKET, libc::SO_RCVBUF) => ("setsockopt(2) with SO_RCVBUF", None),
        _ => ("setsockopt(2)", None),
    }
}

/// Types for which every bit pattern is a value.
trait Integer {}
impl Integer for libc::c_int {}
impl Integer for u64 {}
impl<const N: usize> Integer for [u32; N] {}
