//! A netfilter socket: the system calls, and nothing else.
//!
//! The socket is the crate's own rather than one from `nfct_open`, because that one is not
//! close-on-exec from the start (a fork in another thread inherits it), and because the C library's
//! receive path matches no answer to its request.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::wait::Wait;
use crate::netns::Namespace;

/// Asks for the network namespace of a socket (`linux/sockios.h`). Not every `libc` has it.
const SIOCGSKNS: libc::Ioctl = 0x894c;
/// No queued datagram takes less of the receive buffer than this.
const SMALLEST: u32 = 256;

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
    /// what others send to it.
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
        check(fd)?;
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
        check(unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        let mut address = address;
        let mut len = len;
        // SAFETY: both pointers are to live locals; getsockname(2) writes at most `len` bytes.
        check(unsafe { libc::getsockname(self.fd.as_raw_fd(), (&raw mut address).cast(), &raw mut len) })?;
        self.port = address.nl_pid;
        Ok(())
    }

    /// Makes the kernel refuse what others send to this socket (`netlink_getsockbyportid`), for which
    /// they get `ECONNREFUSED`. It cannot keep out multicast messages.
    ///
    /// Answers need no look at their sender any more, which saves 80 ns each.
    fn connect(&mut self) -> io::Result<()> {
        let address = kernel_address();
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the pointer and length are those of a live sockaddr_nl; connect(2) only reads it.
        check(unsafe { libc::connect(self.fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        self.is_connected = true;
        self.forget_what_came()
    }

    /// Empties the queue of a socket that was just connected. What is in it is not the kernel's, which
    /// was asked for nothing yet. Nothing can follow but what another CPU is about to queue at this very
    /// moment; whoever sent that does not know the number of any request.
    fn forget_what_came(&self) -> io::Result<()> {
        loop {
            match self.receive(&mut [], Wait::No) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes this socket and puts another in its place, under the same descriptor number.
    pub(super) fn become_other(&mut self, other: Self) -> io::Result<()> {
        // SAFETY: both descriptors are open and owned here, and no pointers are passed. The number
        // that is owned stays open, since the call closes and duplicates in one step.
        check(unsafe { libc::dup3(other.fd.as_raw_fd(), self.fd.as_raw_fd(), libc::O_CLOEXEC) })?;
        self.port = other.port;
        self.is_connected = other.is_connected;
        self.hears_other_namespaces = other.hears_other_namespaces;
        Ok(())
    }

    /// The port id that the kernel addresses its answers to.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// The identity of the socket's network namespace (Linux 5.14).
    pub(super) fn namespace_cookie(&self) -> io::Result<u64> {
        self.option(libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, 0u64)
    }

    /// The socket's network namespace, to open another socket there (Linux 4.10, `CAP_NET_ADMIN`).
    pub(super) fn namespace(&self) -> io::Result<Namespace> {
        // SAFETY: the socket is open; this request takes no argument and returns a new descriptor,
        // close-on-exec.
        let fd = check(unsafe { libc::ioctl(self.fd.as_raw_fd(), SIOCGSKNS) })?;
        // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
        Ok(Namespace::from_fd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The receive buffer in bytes, as the kernel counts: twice what was asked for.
    pub(crate) fn receive_buffer(&self) -> io::Result<usize> {
        let size: libc::c_int = self.option(libc::SOL_SOCKET, libc::SO_RCVBUF, 0)?;
        Ok(usize::try_from(size).unwrap_or(0))
    }

    /// The longest datagram that can be sent: the kernel refuses what is longer with `EMSGSIZE`.
    pub(super) fn longest_datagram(&self) -> io::Result<usize> {
        /// What the kernel keeps of the send buffer (`netlink_sendmsg`).
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

    /// Asks for messages to a multicast group.
    pub(crate) fn join(&self, group: libc::c_int) -> io::Result<()> {
        self.set_option(libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group)
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
    pub(super) fn memory(&self) -> io::Result<Memory> {
        let [queued, _, _, _, _, _, _, _, drops] =
            self.option(libc::SOL_SOCKET, libc::SO_MEMINFO, [0u32; 9])?;
        Ok(Memory { queued, drops })
    }

    /// The most datagrams that can be waiting in the queue.
    pub(super) fn most_queued(&self) -> u32 {
        let bytes = self.memory().map(|memory| memory.queued);
        let bytes =
            bytes.or_else(|_| Ok::<_, io::Error>(u32::try_from(self.receive_buffer()?).unwrap_or(u32::MAX)));
        bytes.unwrap_or(u32::MAX) / SMALLEST + 1
    }

    /// Sends one datagram to the kernel, whole.
    ///
    /// The address is given although the socket is connected: without it the kernel asks for the rights
    /// of whoever opened the socket besides those of the caller (`__netlink_ns_capable`), and a program
    /// that raises its rights for a call only would be refused for ever.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let address = kernel_address();
        loop {
            // SAFETY: the buffer is live and of the given length, the address is a live sockaddr_nl
            // of the given size; sendto(2) only reads both.
            let sent = unsafe {
                libc::sendto(
                    self.fd.as_raw_fd(),
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    0,
                    (&raw const address).cast(),
                    size_of_val(&address) as libc::socklen_t,
                )
            };
            match check(sent) {
                Ok(sent) if sent as usize == bytes.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
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

    /// Without control data: the kernel takes 100 to 180 ns less for it, a tenth of what
    /// an event costs.
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
        let len = check(unsafe {
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
        let len = check(unsafe {
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
        let millis = match wait.left() {
            None => -1,
            Some(Duration::ZERO) => return Err(io::ErrorKind::WouldBlock.into()),
            // One millisecond more than what is left, so that the last wait does not spin.
            Some(left) => libc::c_int::try_from(left.as_millis() + 1).unwrap_or(libc::c_int::MAX),
        };
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd, and the count says one.
        match check(unsafe { libc::poll(&raw mut poll, 1, millis) }) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A descriptor that becomes readable when this socket does, and also when it has an error and
    /// nothing to read, which some who wait do not look for: an epoll set with the socket in it.
    ///
    /// It is readable from the start, since the socket can be written to, and so is told of once by
    /// those who tell of changes only. Then each change at the socket is one.
    #[cfg(feature = "tokio")]
    pub(crate) fn bell(&self) -> io::Result<OwnedFd> {
        // SAFETY: epoll_create1(2) takes no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
        let set = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLOUT) as u32, u64: 0 };
        // SAFETY: both descriptors are open, and the event is live; epoll_ctl(2) only reads it.
        check(unsafe { libc::epoll_ctl(fd, libc::EPOLL_CTL_ADD, self.fd.as_raw_fd(), &raw mut event) })?;
        Ok(set)
    }

    fn set_option(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        let len = size_of_val(&value) as libc::socklen_t;
        // SAFETY: the value is a live int and the length is its size; setsockopt(2) only reads it.
        check(unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, name, (&raw const value).cast(), len) })?;
        Ok(())
    }

    /// An option whose value is the integer type `T`, or several of one.
    fn option<T: Integer>(&self, level: libc::c_int, name: libc::c_int, mut value: T) -> io::Result<T> {
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the value is live and of integers, for which any bytes are valid, and `len` its size,
        // which getsockopt(2) does not write past.
        check(unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len)
        })?;
        Ok(value)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Types for which every bit pattern is a value.
trait Integer {}
impl Integer for libc::c_int {}
impl Integer for u64 {}
impl<const N: usize> Integer for [u32; N] {}

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

/// The kernel's end of every netlink socket: port id 0.
fn kernel_address() -> libc::sockaddr_nl {
    // SAFETY: sockaddr_nl is a plain C struct, for which all zeroes is valid: port 0, no groups.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address
}

/// The result of a system call, with errno read at once.
fn check<T: PartialOrd + From<i8>>(result: T) -> io::Result<T> {
    match result < T::from(0) {
        true => Err(io::Error::last_os_error()),
        false => Ok(result),
    }
}

#[cfg(test)]
mod tests;
