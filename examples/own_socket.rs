//! Messages for a netlink socket of your own: create, get, dump, delete, and their events.
//!
//! [`Handle`](netfilter_conntrack::Handle) does this and more. If you already have an event loop with
//! sockets, you need only the messages.

mod support;

use std::error::Error;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::message::{Message, Request, split};
use netfilter_conntrack::{Flow, TcpState, Tuple};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    support::in_own_namespace()?;
    let (socket, listener) = (Socket::open(0)?, Socket::open(GROUPS)?);
    let tuple = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:443".parse()?)?;
    let flow = Flow::new(tuple).tcp_state(TcpState::Established).timeout(Duration::from_secs(60)).mark(7);

    socket.ask(&Message::for_flow(Request::Create, &flow)?.seq(1), 1)?;
    let found = socket.ask(&Message::for_flow(Request::Get, &flow)?.seq(2), 2)?;
    println!("found   {}", found.first().ok_or("nothing was found")?);
    socket.ask(&Message::for_flow(Request::Update, &flow.identity().mark(8))?.seq(3), 3)?;

    let listed = socket.list(libc::AF_INET, 4)?;
    for flow in &listed {
        println!("listed  {flow}");
    }
    let [entry] = &listed[..] else { return Err("one flow should be there".into()) };
    assert_eq!((found.len(), entry.original, entry.mark), (1, tuple, Some(8)));

    // With the id that was read, so that no other entry is deleted.
    socket.ask(&Message::for_flow(Request::Delete, entry)?.seq(5), 5)?;
    let again = socket.ask(&Message::for_flow(Request::Delete, entry)?.seq(6), 6);
    println!("deleted; again: {}", again.err().ok_or("deleted twice")?);

    for expected in [EventKind::New, EventKind::Update, EventKind::Destroy] {
        for message in split(&listener.receive()?) {
            let message = message?;
            let (kind, flow) = (EventKind::of_message(message)?, Flow::from_message(message)?);
            println!("event   {kind:?} {}", flow.original);
            assert_eq!((kind, flow.original), (expected, tuple));
        }
    }
    Ok(())
}

/// New, update and destroy, as `bind` takes them.
const GROUPS: u32 = 1 | 2 | 4;
/// `nlmsg_type` of an entry.
const ENTRY: u16 = 0x100;
/// `nlmsg_type` of a request for entries.
const LIST: u16 = 0x101;
/// `nlmsghdr`.
const HEADER: usize = 16;

struct Socket(OwnedFd);

impl Socket {
    fn open(groups: u32) -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_NETFILTER)
        };
        check(fd as isize)?;
        // SAFETY: a new descriptor that nothing else owns.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        // SAFETY: a plain C struct, for which all zeros is valid.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        (address.nl_family, address.nl_groups) = (libc::AF_NETLINK as u16, groups);
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: a live address of this length.
        check(unsafe { libc::bind(fd, (&raw const address).cast(), len) } as isize)?;
        let patience = libc::timeval { tv_sec: 5, tv_usec: 0 };
        let len = size_of_val(&patience) as libc::socklen_t;
        let value = (&raw const patience).cast();
        // SAFETY: a live value of this length.
        check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, len) } as isize)?;
        Ok(socket)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the bytes are alive and only read.
        check(unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) })
    }

    /// One datagram of the kernel's.
    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        // SAFETY: all zeros is a valid address.
        let mut sender: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        loop {
            let (place, len) = (buffer.as_mut_ptr().cast(), buffer.len());
            let mut sender_len = size_of_val(&sender) as libc::socklen_t;
            let from = (&raw mut sender).cast();
            // SAFETY: buffer and address are alive and have the given lengths.
            let len = check(unsafe {
                libc::recvfrom(self.0.as_raw_fd(), place, len, libc::MSG_TRUNC, from, &raw mut sender_len)
            })?;
            if len > buffer.len() {
                return Err(io::Error::other("a message that was cut"));
            }
            // Any program may write to a netlink socket; the kernel's address is 0.
            if sender.nl_pid == 0 {
                buffer.truncate(len);
                return Ok(buffer);
            }
        }
    }

    /// Sends a request, and returns the flows in the answer.
    fn ask(&self, request: &Message, seq: u32) -> Result<Vec<Flow>> {
        self.send(request.as_bytes())?;
        self.answer(seq)
    }

    /// Every entry of a family.
    fn list(&self, family: libc::c_int, seq: u32) -> Result<Vec<Flow>> {
        let mut request = Vec::from(20u32.to_ne_bytes());
        request.extend(LIST.to_ne_bytes());
        request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
        request.extend(seq.to_ne_bytes());
        request.extend([0; 4]); // From port 0: the kernel fills it in.
        request.extend([family as u8, 0, 0, 0]); // nfgenmsg
        self.send(&request)?;
        self.answer(seq)
    }

    /// Returns the flows up to the ACK or the end of the dump.
    fn answer(&self, seq: u32) -> Result<Vec<Flow>> {
        let mut flows = Vec::new();
        loop {
            for message in split(&self.receive()?) {
                let message = message?;
                if message[8..12] != seq.to_ne_bytes() {
                    return Err("an answer to something else".into());
                }
                match (u16::from_ne_bytes([message[4], message[5]]), &message[HEADER..]) {
                    (ENTRY, _) => flows.push(Flow::from_message(message)?),
                    // An ACK is an error of number 0; the end of a dump has a number too.
                    (2 | 3, &[a, b, c, d, ..]) => {
                        return match i32::from_ne_bytes([a, b, c, d]) {
                            0 => Ok(flows),
                            errno => Err(io::Error::from_raw_os_error(-errno).into()),
                        };
                    }
                    (other, _) => return Err(format!("a message of type {other:#x}").into()),
                }
            }
        }
    }
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
