//! A netfilter socket: the system calls, and nothing else. Its options are in `options.rs`.
//!
//! The socket is the crate's own rather than one from `nfct_open`, because that one is not
//! close-on-exec from the start (a fork in another thread inherits it), and because the C library's
//! receive path matches no answer to its request.

mod options;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::wait::{Wait, wait_readable};
use crate::error::DeniedCall;
use crate::netns::Namespace;
use crate::rights::Capability;

/// Asks for the network namespace of a socket (`linux/sockios.h`). Not every `libc` has it.
const SIOCGSKNS: libc::Ioctl = 0x894c;
/// A received datagram.
pub(super) struct Datagram {
    /// How many bytes of the buffer it fills.
    pub(super) len: usize,
    /// Whether the kernel sent it. To a socket that listens anybody with enough rights can.
    pub(super) from_kernel: bool,
    /// Whether it was longer than the buffer.
    pub(super) truncated: bool,
    /// The kernel's id of the namespace that it came from, when that is not the socket's own.
    pub(super) namespace: Option<i32>,
}

/// The state of a receive queue.
pub(super) struct Memory {
    /// Bytes that are waiting, as the kernel counts.
    pub(super) queued: u32,
    /// Messages that could not be queued, since the socket was opened; wraps around.
    pub(super) drops: u32,
}

/// A bound netfilter netlink socket, close-on-exec, with the kernel's extended answers switched on.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    port: u32,
    /// Whether nobody but the kernel can send to it.
    is_connected: bool,
    /// Whether datagrams can come with the id of another namespace.
    hears_other_namespaces: bool,
}

impl Socket {
    /// Opens a socket for requests in the network namespace of the calling thread. The kernel refuses
    /// messages that others send to it.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Self::open_to_listen()?;
        // Where a policy does not allow it, the sender of each datagram is looked at.
        let _ = socket.connect();
        Ok(socket)
    }

    /// Opens a socket for multicast messages in the network namespace of the calling thread. Others
    /// than the kernel can send to it, if they have `CAP_NET_ADMIN`.
    pub(super) fn open_to_listen() -> io::Result<Self> {
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_NETFILTER)
        };
        check("socket(2)", fd)?;
        // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut socket = Self { fd, port: 0, is_connected: false, hears_other_namespaces: false };
        socket.bind()?;
        // Kernels before 4.12 do not know these; they only make errors more telling.
        let _ = socket.set_option(libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1);
        let _ = socket.set_option(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1);
        Ok(socket)
    }

    /// Binds to a port id of the kernel's choice and reads which it was.
    fn bind(&mut self) -> io::Result<()> {
        let address = kernel_address();
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the pointer and length are those of a live sockaddr_nl; bind(2) only reads it.
        check("bind(2)", unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        let mut address = address;
        let mut len = len;
        // SAFETY: both pointers are to live locals; getsockname(2) writes at most `len` bytes.
        check("getsockname(2)", unsafe {
            libc::getsockname(self.fd.as_raw_fd(), (&raw mut address).cast(), &raw mut len)
        })?;
        self.port = address.nl_pid;
        Ok(())
    }

    /// Subscribes to multicast groups, by their numbers, in place of all others.
    ///
    /// By bind(2) rather than `NETLINK_ADD_MEMBERSHIP`: it is what the C library does, so a sandbox denies it to
    /// both or to none, and it takes one call for all groups.
    pub(crate) fn join(&self, groups: impl Iterator<Item = libc::c_int>) -> io::Result<()> {
        let mut address = kernel_address();
        address.nl_pid = self.port;
        address.nl_groups = groups.fold(0, |groups, number| groups | 1 << (number - 1));
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the pointer and length are those of a live sockaddr_nl; bind(2) only reads it.
        let bound = unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) };
        check_taking("bind(2) with groups", Some(Capability::NetAdmin), bound).map(drop)
    }

    /// Makes the kernel refuse messages that others send to this socket (`netlink_getsockbyportid`), for
    /// which they get `ECONNREFUSED`. It cannot keep out multicast messages.
    ///
    /// Answers need no look at their sender any more, which saves 80 ns each.
    fn connect(&mut self) -> io::Result<()> {
        let address = kernel_address();
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the pointer and length are those of a live sockaddr_nl; connect(2) only reads it.
        check("connect(2)", unsafe { libc::connect(self.fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        self.is_connected = true;
        self.forget_what_came()
    }

    /// Empties the queue of a socket that was just connected. Messages in it are not the kernel's, which
    /// has had no request yet. Only those can follow that another CPU is about to queue at this very
    /// moment; their sender does not know the number of any request.
    fn forget_what_came(&self) -> io::Result<()> {
        // No more than found room, and the report that others did not.
        for _ in 0..=self.most_queued().saturating_add(1) {
            match self.receive(&mut [], Wait::No) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes this socket and puts another in its place, under the same descriptor number.
    pub(super) fn become_other(&mut self, other: Self) -> io::Result<()> {
        // SAFETY: both descriptors are open and owned here, and no pointers are passed. The number
        // that is owned stays open, since the call closes and duplicates in one step.
        check("dup3(2)", unsafe { libc::dup3(other.fd.as_raw_fd(), self.fd.as_raw_fd(), libc::O_CLOEXEC) })?;
        self.port = other.port;
        self.is_connected = other.is_connected;
        self.hears_other_namespaces = other.hears_other_namespaces;
        Ok(())
    }

    /// The port id that the kernel addresses its answers to.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// The socket's network namespace, to open another socket there (Linux 4.10, `CAP_NET_ADMIN`).
    pub(super) fn namespace(&self) -> io::Result<Namespace> {
        // SAFETY: the socket is open; this request takes no argument and returns a new descriptor,
        // close-on-exec.
        let fd = unsafe { libc::ioctl(self.fd.as_raw_fd(), SIOCGSKNS) };
        check_taking("ioctl(2) with SIOCGSKNS", Some(Capability::NetAdmin), fd)?;
        // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
        Ok(Namespace::from_fd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends one datagram to the kernel, whole.
    ///
    /// The address is given although the socket is connected: without it the kernel asks for the rights
    /// of the opener of the socket besides those of the caller (`__netlink_ns_capable`), and a program
    /// that raises its rights for a call only would be refused for ever.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(self.fd.as_fd(), bytes)
    }

    /// Receives one datagram; `WouldBlock` when none came in time.
    pub(super) fn receive(&self, buffer: &mut [u8], wait: Wait) -> io::Result<Datagram> {
        // Who waits for ever can do so in the call that receives, which saves two. It returns all the
        // same when somebody made the descriptor one that never blocks.
        let flags = if matches!(wait, Wait::ForEver) { 0 } else { libc::MSG_DONTWAIT };
        loop {
            match self.receive_once(buffer, flags) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(wait)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn receive_once(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<Datagram> {
        match self.hears_other_namespaces {
            true => self.receive_with_namespace(buffer, flags),
            false => self.receive_plain(buffer, flags),
        }
    }

    /// Without control data: the kernel takes 100 to 180 ns less for it, a tenth of the cost of an event.
    fn receive_plain(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<Datagram> {
        let mut sender = kernel_address();
        let mut sender_len = size_of_val(&sender) as libc::socklen_t;
        let (to_sender, to_len) = match self.is_connected {
            true => (ptr::null_mut(), ptr::null_mut()),
            false => ((&raw mut sender).cast(), &raw mut sender_len),
        };
        // SAFETY: the buffer is live, and so are the sender's address and the length, or else both
        // pointers are null, which leaves them out. Each has its own size, which recvfrom(2) does not
        // write past.
        let len = check("recvfrom(2)", unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                // The length is to be the datagram's, whatever fits into the buffer.
                flags | libc::MSG_TRUNC,
                to_sender,
                to_len,
            )
        })? as usize;
        Ok(Datagram {
            len: len.min(buffer.len()),
            from_kernel: self.is_connected || is_kernel(&sender, sender_len),
            truncated: len > buffer.len(),
            namespace: None,
        })
    }

    fn receive_with_namespace(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<Datagram> {
        let mut sender = kernel_address();
        let mut control = [0u64; 4];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: msghdr is a plain C struct, for which all zeroes is valid: no name, no data.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = (&raw mut sender).cast();
        header.msg_namelen = size_of_val(&sender) as libc::socklen_t;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the header points to live locals and to `buffer`, each with its own size, which
        // recvmsg(2) does not write past.
        let len = check("recvmsg(2)", unsafe {
            libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, flags | libc::MSG_CMSG_CLOEXEC)
        })?;
        Ok(Datagram {
            len: len as usize,
            from_kernel: is_kernel(&sender, header.msg_namelen),
            truncated: header.msg_flags & libc::MSG_TRUNC != 0,
            namespace: namespace_in(&control, header.msg_controllen as usize),
        })
    }

    /// Waits until there is something to receive; `WouldBlock` when nothing came in time.
    fn wait(&self, wait: Wait) -> io::Result<()> {
        match wait_readable(&[self.fd.as_fd()], wait)? {
            false if wait.is_over() => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The namespace id in the control data of a datagram, the only kind that these sockets ask for.
fn namespace_in(control: &[u64; 4], len: usize) -> Option<i32> {
    /// `cmsg_len`, as long as a pointer, then level and type.
    const HEADER: usize = size_of::<usize>() + 8;
    let bytes = control.map(u64::to_ne_bytes);
    let bytes = bytes.as_flattened().get(..len)?;
    let int = |at: usize| Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let (level, kind) = (int(HEADER - 8)?, int(HEADER - 4)?);
    match (level, kind) == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID) {
        true => int(HEADER),
        false => None,
    }
}

/// Whether this is the address of a datagram that the kernel sent.
fn is_kernel(sender: &libc::sockaddr_nl, len: libc::socklen_t) -> bool {
    len as usize == size_of_val(sender) && sender.nl_pid == 0
}

/// Sends messages to the kernel through a netlink socket.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let address = kernel_address();
    loop {
        // SAFETY: the buffer is live and of the given length, the address is a live sockaddr_nl
        // of the given size; sendto(2) only reads both.
        let sent = unsafe {
            libc::sendto(
                fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        match check("sendto(2)", sent) {
            Ok(sent) if sent as usize == bytes.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The kernel's end of every netlink socket: port id 0.
fn kernel_address() -> libc::sockaddr_nl {
    // SAFETY: sockaddr_nl is a plain C struct, for which all zeroes is valid: port 0, no groups.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address
}

/// The result of a system call that takes no capability, with errno read at once.
fn check<T: PartialOrd + From<i8>>(call: &'static str, result: T) -> io::Result<T> {
    check_taking(call, None, result)
}

/// The result of a system call, with errno read at once.
fn check_taking<T: PartialOrd + From<i8>>(
    call: &'static str,
    takes: Option<Capability>,
    result: T,
) -> io::Result<T> {
    match result < T::from(0) {
        true => Err(DeniedCall::last_os_error(call, takes)),
        false => Ok(result),
    }
}

#[cfg(test)]
mod tests;
