use super::*;

/// Both ways to receive return the sender of a datagram, and whether the buffer was too short for it.
#[test]
fn a_datagram_that_does_not_fit_is_known() {
    if !crate::netns::own_namespace() {
        return;
    }
    // A request of no known subsystem. The error for it takes 36 bytes.
    let mut request = [0; 20];
    request[..4].copy_from_slice(&20u32.to_ne_bytes());
    request[4..6].copy_from_slice(&[0xfe; 2]);
    request[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    let mut socket = Socket::open().expect("a socket");
    for (is_connected, hears_other_namespaces) in [(true, false), (false, false), (false, true)] {
        (socket.is_connected, socket.hears_other_namespaces) = (is_connected, hears_other_namespaces);
        for (room, len, truncated) in [(64, 36, false), (36, 36, false), (35, 35, true)] {
            socket.send(&request).expect("sent");
            let answer = socket.receive(&mut vec![0; room], Wait::No).expect("an answer");
            assert!(answer.from_kernel && answer.namespace.is_none());
            assert_eq!((answer.len, answer.truncated), (len, truncated), "{room}");
        }
        let nothing = socket.receive(&mut [0; 64], Wait::No).map(|datagram| datagram.len);
        assert_eq!(nothing.map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
    }
}

/// A quick sender may have sent something before the kernel began to refuse it.
#[test]
fn what_was_sent_before_it_was_connected_is_forgotten() {
    if !crate::netns::own_namespace() {
        return;
    }
    let mut socket = Socket::open_to_listen().expect("a socket");
    let intruder = Socket::open_to_listen().expect("a socket");
    let mut to = kernel_address();
    to.nl_pid = socket.port;
    let intrude = || {
        let (len, bytes) = (size_of_val(&to) as libc::socklen_t, [7; 64]);
        // SAFETY: the bytes and the address are live and of the given lengths; both are only read.
        let sent = unsafe {
            let to = (&raw const to).cast();
            libc::sendto(
                intruder.fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT,
                to,
                len,
            )
        };
        check("sendto(2)", sent)
    };
    let mut sent = 0;
    while intrude().is_ok() {
        sent += 1;
    }
    assert!(sent > 10, "as many as the queue takes");
    socket.connect().expect("connected");
    let nothing = socket.receive(&mut [0; 64], Wait::No).map(|datagram| datagram.len);
    assert_eq!(nothing.map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
    assert_eq!(intrude().map_err(|error| error.raw_os_error()), Err(Some(libc::ECONNREFUSED)));
}

#[test]
fn a_namespace_id_is_read_from_control_data_and_nothing_else() {
    let data = |level: i32, kind: i32, id: i32| {
        let len = size_of::<usize>() + 12;
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend([level, kind, id].map(i32::to_ne_bytes).concat());
        bytes.resize(32, 0);
        let word = |word: usize| std::array::from_fn(|byte| bytes[8 * word + byte]);
        ([0, 1, 2, 3].map(|at| u64::from_ne_bytes(word(at))), len)
    };
    let (control, len) = data(libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID, 5);
    assert_eq!(namespace_in(&control, len), Some(5));
    assert_eq!(namespace_in(&control, len - 1), None);
    assert_eq!(namespace_in(&control, 0), None);
    assert_eq!(namespace_in(&control, 33), None);
    let (control, len) = data(libc::SOL_SOCKET, libc::NETLINK_LISTEN_ALL_NSID, 5);
    assert_eq!(namespace_in(&control, len), None);
}
