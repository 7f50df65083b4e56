//! Opening a handle, and its settings.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::Handle;
use crate::error::{Fault, Operation, Result, Subject};
use crate::kernel::{During, connect, tracker};
use crate::model::proto::Protocol;
use crate::netns::Namespace;

impl Handle {
    /// Opens a handle in the network namespace of the calling thread.
    ///
    /// It sends a first request, so you see missing rights or support here and not later.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied) without `CAP_NET_ADMIN`, or where a sandbox
    /// forbids netlink sockets (see [Privileges and sandboxes](crate::guide::privileges));
    /// [`Error::Unsupported`](crate::Error::Unsupported) when the kernel has no netfilter netlink
    /// (`CONFIG_NETFILTER_NETLINK`, module `nfnetlink`) or no connection tracking behind it
    /// (`CONFIG_NF_CT_NETLINK`, module `nf_conntrack_netlink`), which
    /// [`Failure::missing`](crate::error::Failure::missing) names; [`Error::System`](crate::Error::System) when
    /// no socket can be had.
    #[doc(alias = "nfct_open")]
    pub fn open() -> Result<Self> {
        let link = connect::open(Self::DEFAULT_TIMEOUT).during(Operation::Open, Subject::Socket)?;
        Ok(Self { link })
    }

    /// Opens a handle in another network namespace. The calling thread stays where it is.
    ///
    /// # Errors
    /// As [`open`](Self::open), and with [`Subject::Namespace`]: [`Error::NotFound`](crate::Error::NotFound)
    /// for a name or path that does not exist; [`Error::PermissionDenied`](crate::Error::PermissionDenied)
    /// without `CAP_SYS_ADMIN`; [`Error::Refused`](crate::Error::Refused) for a file that is no network
    /// namespace; [`Error::Unsupported`](crate::Error::Unsupported) where a sandbox lets setns(2) succeed and
    /// do nothing.
    pub fn open_in(namespace: &Namespace) -> Result<Self> {
        namespace.run(Self::open)?
    }

    /// Sets how long the kernel may stay silent before a call gives up with
    /// [`Error::TimedOut`](crate::Error::TimedOut).
    ///
    /// A dump of a large table may take longer: only the time without any answer counts.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.link.set_patience(timeout);
    }

    /// How long the kernel may stay silent.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.link.patience()
    }

    /// The port id of the handle's socket: [events](crate::events::EntryEvent::port_id) that the handle causes
    /// carry it. It changes when a listing is left before its end, since the socket is then replaced.
    #[must_use]
    pub fn port_id(&self) -> u32 {
        self.link.port()
    }

    /// Requests a receive buffer of this many bytes and returns the size obtained, as the kernel counts:
    /// twice the requested size.
    ///
    /// With `CAP_NET_ADMIN` in the first user namespace the size is free; otherwise it ends at
    /// `net.core.rmem_max`. Dumps wait for their reader and do not need a larger one.
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System).
    #[doc(alias = "nfnl_rcvbufsiz")]
    pub fn set_receive_buffer(&mut self, bytes: usize) -> Result<usize> {
        let obtained = self.link.set_receive_buffer(bytes).map_err(Fault::Io);
        obtained.during(Operation::Open, Subject::Socket)
    }

    /// Whether the kernel distinguishes flows of a protocol by ports (of GRE: by keys), and not by their
    /// addresses alone. If so, use a tuple with ports, otherwise
    /// [`Layer4::Other`](crate::model::Layer4::Other).
    ///
    /// Kernels lack trackers that they were built without, and newer releases drop some: that of DCCP
    /// since 6.17, that of UDP-Lite since 7.2. This is found out by a lookup that changes nothing, once in
    /// the life of the process.
    ///
    /// ```no_run
    /// use netfilter_conntrack::model::{Layer4, Protocol};
    /// use netfilter_conntrack::{Handle, Tuple};
    ///
    /// # let (src, dst): (std::net::SocketAddr, _) = ("10.0.0.1:1".parse()?, "10.0.0.2:2".parse()?);
    /// let mut handle = Handle::open()?;
    /// let tuple = match handle.keeps_ports(Protocol::UDPLITE)? {
    ///     true => Tuple::with_ports(Protocol::UDPLITE, src, dst)?,
    ///     false => Tuple::new(src.ip(), dst.ip(), Layer4::Other(Protocol::UDPLITE))?,
    /// };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied); an error of sending.
    pub fn keeps_ports(&mut self, protocol: Protocol) -> Result<bool> {
        let kept = tracker::known(protocol, &mut self.link);
        kept.during(Operation::Get, Subject::Table(None))
    }
}

// Apart, so that the documentation begins with `open`.
impl Handle {
    /// How long the kernel may stay silent before a call gives up, unless you
    /// [set another timeout](Self::set_timeout).
    pub const DEFAULT_TIMEOUT: Duration = connect::PATIENCE;
}

/// The socket, to wait on or to look at. If you read from it or write to it, you take answers away
/// from the handle, whose calls then end in [`Error::TimedOut`](crate::Error::TimedOut).
///
/// Nobody but the kernel can send to it: others get `ECONNREFUSED`. Do not make it join a
/// multicast group, whose messages would be taken for the kernel's.
///
/// The descriptor keeps its number for the life of the handle. After a listing that was left before
/// its end the next call may put a new socket under it, with another [port id](Self::port_id);
/// registrations of the old one, as with epoll(7), and options set on it, as a socket filter, are then gone.
impl AsFd for Handle {
    #[doc(alias = "nfct_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
