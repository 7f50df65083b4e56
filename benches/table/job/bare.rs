//! The lower bound: receives the messages that the other jobs decode, and reads only their headers.
//!
//! The sockets are the crate's, and only this job reads from them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use netfilter_conntrack::Handle;

use super::{Done, Result, Watch, event};

/// The subsystem ctnetlink, and its request for entries.
const CTNETLINK: u16 = 1 << 8;
const GET: u16 = 1;
const CTA_ZONE: u16 = 18;

/// Requests the table, filtered by the kernel if a zone is given.
pub(super) fn dump(zone: Option<u16>) -> Result<Done> {
    let handle = Handle::open()?;
    let fd = handle.as_fd();
    let mut buffer = vec![0; 32 << 10];
    let watch = Watch::start()?;
    send(fd, &request(zone))?;
    let mut entries = 0;
    loop {
        let len = receive(fd, &mut buffer)?;
        for kind in kinds(&buffer[..len]) {
            match kind == libc::NLMSG_DONE as u16 {
                true => return watch.stop(entries),
                false => entries += 1,
            }
        }
    }
}

/// Returns a request for the entries of one zone or all.
fn request(zone: Option<u16>) -> Vec<u8> {
    let mut request = 0u32.to_ne_bytes().to_vec();
    request.extend((CTNETLINK | GET).to_ne_bytes());
    request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    // Sequence number and port; any family, version and resource.
    request.extend([9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    if let Some(zone) = zone {
        request.extend(6u16.to_ne_bytes());
        request.extend(CTA_ZONE.to_ne_bytes());
        request.extend(zone.to_be_bytes());
        request.extend([0, 0]);
    }
    let len = request.len() as u32;
    request[..4].copy_from_slice(&len.to_ne_bytes());
    request
}

/// Receives events.
pub(super) fn events(flows: u32) -> Result<Done> {
    let stream = event::open()?;
    let fd = stream.as_fd();
    let mut buffer = vec![0; 32 << 10];
    set_timeout(fd, event::SILENCE)?;
    event::listen(flows, |expected| {
        let mut seen = 0;
        while seen < expected {
            match receive(fd, &mut buffer) {
                Ok(len) => seen += kinds(&buffer[..len]).count() as u64,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(seen)
    })
}

/// The types of the messages in a datagram.
fn kinds(mut rest: &[u8]) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let (header, _) = rest.split_first_chunk::<16>()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(u16::from_ne_bytes([header[4], header[5]]))
    })
}

fn send(fd: BorrowedFd<'_>, request: &[u8]) -> io::Result<()> {
    // SAFETY: the buffer is live and has the given length; send(2) only reads it.
    match unsafe { libc::send(fd.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is live and has the given length; recv(2) does not write past it.
    let len = unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// Sets the timeout of `receive`.
fn set_timeout(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let time = libc::timeval { tv_sec: timeout.as_secs().try_into().unwrap_or(i32::MAX.into()), tv_usec: 0 };
    set_option(fd, libc::SO_RCVTIMEO, &time)
}

/// Sets the size of the receive buffer, above the limit for users if the rights suffice.
pub(super) fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set_option(fd, libc::SO_RCVBUFFORCE, &bytes).or_else(|_| set_option(fd, libc::SO_RCVBUF, &bytes))
}

fn set_option<T>(fd: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    let (value, len) = (std::ptr::from_ref(value), size_of::<T>() as libc::socklen_t);
    // SAFETY: the pointer is to a live value and the length is its size; the call only reads it.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, value.cast(), len) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
