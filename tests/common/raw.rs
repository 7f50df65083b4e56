//! Netlink without the crate: messages that a hostile, a careless or an old program sends.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub const CT_NEW: u16 = 0x100;
pub const CT_GET: u16 = 0x101;
pub const CT_DELETE: u16 = 0x102;
pub const CT_GET_STATS: u16 = 0x105;
pub const ERROR: u16 = libc::NLMSG_ERROR as u16;
pub const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
pub const ACKNOWLEDGED: u16 = REQUEST | libc::NLM_F_ACK as u16;
pub const DUMP: u16 = REQUEST | libc::NLM_F_DUMP as u16;

/// A netlink message: header, then a body.
pub fn message(kind: u16, flags: u16, seq: u32, port: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((16 + body.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend(port.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// A request of connection tracking: `nfgenmsg` and attributes in the body.
pub fn request(kind: u16, flags: u16, seq: u32, family: u8, version: u8, attributes: &[u8]) -> Vec<u8> {
    message(kind, flags, seq, 0, &[&[family, version, 0, 0], attributes].concat())
}

/// Returns an attribute with a value, or with nested attributes.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY` of a UDP flow over IPv4.
pub fn udp_tuple(kind: u16, src: ([u8; 4], u16), dst: ([u8; 4], u16)) -> Vec<u8> {
    const NESTED: u16 = 1 << 15;
    let ip = [attribute(1, &src.0), attribute(2, &dst.0)].concat();
    let ports = [attribute(2, &src.1.to_be_bytes()), attribute(3, &dst.1.to_be_bytes())].concat();
    let proto = [attribute(1, &[17]), ports].concat();
    attribute(kind | NESTED, &[attribute(1 | NESTED, &ip), attribute(2 | NESTED, &proto)].concat())
}

/// Sends to a netlink address, 0 being the kernel, from any netlink socket.
pub fn send(fd: BorrowedFd<'_>, to: u32, bytes: &[u8]) -> io::Result<()> {
    send_to(fd, to, 0, bytes)
}

/// Sends to every listener of a multicast group, and to the kernel.
pub fn multicast(fd: BorrowedFd<'_>, group: u32, bytes: &[u8]) -> io::Result<()> {
    send_to(fd, 0, 1 << (group - 1), bytes)
}

fn send_to(fd: BorrowedFd<'_>, to: u32, groups: u32, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: sockaddr_nl is a plain C struct, for which all zeros is valid.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    (address.nl_pid, address.nl_groups) = (to, groups);
    let (data, len) = (bytes.as_ptr().cast(), bytes.len());
    let size = size_of_val(&address) as libc::socklen_t;
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: the buffer and the address are live and of the given lengths; both are only read.
    let sent = unsafe { libc::sendto(fd.as_raw_fd(), data, len, flags, (&raw const address).cast(), size) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives a datagram if there is one.
pub fn receive(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    // SAFETY: the buffer is live and of the given length.
    let len =
        unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
    usize::try_from(len).ok().map(|len| buffer[..len].to_vec())
}

/// Sends a request, which must ask for an ACK, and returns the errno of the ACK.
pub fn transact(bytes: &[u8]) -> i32 {
    use std::os::fd::AsFd;
    let socket = open();
    send(socket.as_fd(), 0, bytes).expect("sent");
    // The kernel answers before it returns from the call.
    let answer = receive(socket.as_fd()).expect("an answer");
    assert_eq!(answer[4..6], ERROR.to_ne_bytes(), "a verdict");
    i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]])
}

/// A netfilter socket in the namespace of the thread.
pub fn open() -> OwnedFd {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_NETFILTER) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sets an option whose value is an int.
pub fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) {
    set(fd, level, name, &value);
}

fn set<T>(fd: BorrowedFd<'_>, level: i32, name: i32, value: &T) {
    let len = size_of_val(value) as libc::socklen_t;
    // SAFETY: the value is live and the length is its size; setsockopt(2) only reads it.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), len) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Lets only messages of this type through to the socket; all others are lost without notice.
pub fn lose_all_but(fd: BorrowedFd<'_>, kind: u16) {
    // BPF loads in network order, the type is in host order.
    let kind = u16::from_be_bytes(kind.to_ne_bytes()).into();
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 4),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, kind),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program);
}

/// Lets all messages through again.
pub fn lose_nothing(fd: BorrowedFd<'_>) {
    set_option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0);
}
