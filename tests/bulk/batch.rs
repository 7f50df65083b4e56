//! Many operations in few system calls.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::common::refused::{SENDTO, let_fail};
use crate::common::{self, all, create, flow, numbered, tcp, tuples, udp};
use netfilter_conntrack::error::{InputError, Operation};
use netfilter_conntrack::{Error, ErrorKind, Flow, Handle, Key, Result, Status, TcpState};

#[test]
fn verdicts_come_in_order_one_for_each() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..500).map(numbered).collect();
    // Every tenth exists already.
    for flow in flows.iter().step_by(10) {
        handle.create(flow).expect("created");
    }
    let mut seen = 0;
    for (position, (flow, verdict)) in handle.create_many(&flows).enumerate() {
        assert_eq!(flow, &flows[position]);
        match (position % 10, verdict) {
            (0, Err(Error::Exists(failure))) => {
                assert_eq!(failure.operation(), Operation::Create);
                assert!(failure.to_string().contains(&flow.key().to_string()), "{failure}");
            }
            (0, other) => panic!("{position}: {other:?}"),
            (_, verdict) => verdict.expect("created"),
        }
        seen += 1;
    }
    assert_eq!(seen, 500);
    assert_eq!(all(&mut handle).len(), 500);
}

#[test]
fn the_last_of_a_batch_may_fail_and_so_may_all() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..64).map(numbered).collect();
    handle.create(&flows[63]).expect("created");
    let failed: Vec<usize> = handle
        .create_many(&flows)
        .enumerate()
        .filter_map(|(position, (_, verdict))| verdict.is_err().then_some(position))
        .collect();
    assert_eq!(failed, [63]);
    // 64 failures at once fit the receive buffer.
    assert!(handle.create_many(&flows).all(|(_, verdict)| matches!(verdict, Err(Error::Exists(_)))));
}

#[test]
fn flows_that_make_no_sense_are_refused_between_those_that_do() {
    let mut handle = require_kernel!();
    let good = numbered(1);
    let flows = [numbered(0), good.identity(), numbered(2).tcp_state(TcpState::Close), good];
    let verdicts: Vec<Result<()>> = handle.create_many(&flows).map(|(_, verdict)| verdict).collect();
    assert_eq!(verdicts[0], Ok(()));
    assert_eq!(verdicts[1], Err(InputError::MissingTimeout.into()));
    assert!(matches!(verdicts[2], Err(Error::InvalidInput(InputError::WrongProtocolState { .. }))));
    assert_eq!(verdicts[3], Ok(()));
    assert_eq!(all(&mut handle).len(), 2);
}

#[test]
fn updates_and_deletes_go_in_batches_too() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..200).map(numbered).collect();
    assert!(handle.create_many(&flows).all(|(_, verdict)| verdict.is_ok()));
    let marked =
        flows.iter().map(|flow| flow.identity().mark(9)).chain([flow(udp("9.9.9.9:9", "8.8.8.8:8")).mark(1)]);
    let verdicts: Vec<Result<()>> = handle.update_many(marked).map(|(_, verdict)| verdict).collect();
    assert!(verdicts[..200].iter().all(Result::is_ok));
    assert!(matches!(verdicts[200], Err(Error::NotFound(_))));
    let entries = all(&mut handle);
    assert!(entries.iter().all(|flow| flow.mark == Some(9)));

    // The first half with the kernel's ids, the other half by tuple.
    let keys: Vec<Key> = entries.iter().map(Flow::key).collect();
    let (with, without) = keys.split_at(100);
    let without = without.iter().map(|key| Key { id: None, ..*key });
    let gone = handle.delete_many(with.iter().copied().chain(without)).filter(|(_, verdict)| verdict.is_ok());
    assert_eq!(gone.count(), 200);
    let again = common::delete_each(&mut handle, &keys).expect("an outcome");
    assert_eq!((again.deleted.len(), again.already_gone.len()), (0, 200));
    assert!(all(&mut handle).is_empty());
}

#[test]
fn a_fixed_timeout_in_front_is_not_taken_for_missing_rights() {
    let mut handle = require_kernel!();
    if !common::fixes_timeouts(&mut handle) {
        return;
    }
    let flows: Vec<Flow> = (0..3).map(numbered).collect();
    let fixed = flows[0].clone().status(Status::FIXED_TIMEOUT);
    handle.create(&fixed).expect("created");
    handle.create(&flows[1]).expect("created");
    handle.create(&flows[2]).expect("created");
    let longer = flows.iter().map(|flow| flow.identity().timeout(Duration::from_secs(900)));
    let verdicts: Vec<Result<()>> = handle.update_many(longer).map(|(_, verdict)| verdict).collect();
    assert!(matches!(verdicts[0], Err(Error::FixedTimeout(_))), "{:?}", verdicts[0]);
    assert_eq!(verdicts[1..], [Ok(()), Ok(())]);
    assert!(handle.get(flows[2].original).expect("there").timeout > Some(Duration::from_secs(600)));
}

#[test]
fn nothing_is_done_before_it_is_asked_for() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..200).map(numbered).collect();
    drop(handle.create_many(&flows));
    assert!(all(&mut handle).is_empty());
    // The first item completes one batch.
    handle.create_many(&flows).next().expect("an item").1.expect("created");
    assert_eq!(all(&mut handle).len(), 64);
}

/// Without rights, the kernel refuses a whole datagram with one answer, to its first request. No call waits
/// for the other answers.
#[test]
fn without_rights_every_verdict_says_so_at_once() {
    let mut handle = require_kernel!();
    let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&flow).expect("created");
    common::rights::without_rights(|| {
        let flows: Vec<Flow> = (0..100).map(numbered).collect();
        let start = std::time::Instant::now();
        let denied = |(_, verdict): (_, Result<()>)| matches!(verdict, Err(Error::PermissionDenied(_)));
        assert!(handle.create_many(&flows).all(denied));
        let key = Key { id: Some(1), ..flow.key() };
        assert!(matches!(common::delete_each(&mut handle, [key, key]), Err(Error::PermissionDenied(_))));
        assert!(start.elapsed() < Handle::DEFAULT_TIMEOUT / 2);
    });
    assert_eq!(all(&mut handle).len(), 1);
}

/// Makes a socket's buffer as small as the kernel allows.
fn shrink(socket: impl AsFd, buffer: libc::c_int) {
    let smallest: libc::c_int = 1;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: a live int and its size; setsockopt(2) only reads it.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, buffer, (&raw const smallest).cast(), 4) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// With a receive buffer that barely holds one ACK, batches shrink, and no ACK is lost.
#[test]
fn a_small_receive_buffer_makes_smaller_batches() {
    let mut handle = require_kernel!();
    shrink(&handle, libc::SO_RCVBUF);
    let flows: Vec<Flow> = (0..100).map(numbered).collect();
    for flow in &flows {
        handle.create(flow).expect("created");
    }
    assert!(handle.create_many(&flows).all(|(_, verdict)| matches!(verdict, Err(Error::Exists(_)))));
}

/// 64 requests exceed the smallest send buffer, and the kernel refuses them with `EMSGSIZE`.
#[test]
fn a_small_send_buffer_makes_smaller_batches() {
    let mut handle = require_kernel!();
    shrink(&handle, libc::SO_SNDBUF);
    let flows: Vec<Flow> = (0..200).map(numbered).collect();
    let mut verdicts = handle.create_many(&flows);
    let (first, verdict) = verdicts.next().expect("an item");
    assert_eq!((first, verdict), (&flows[0], Ok(())));
    for ((flow, verdict), wanted) in verdicts.zip(&flows[1..]) {
        assert_eq!((flow, verdict), (wanted, Ok(())));
    }
    let entries = all(&mut handle);
    assert_eq!(tuples(&entries), tuples(&flows));
    assert_eq!(common::delete_each(&mut handle, &entries).expect("an outcome").deleted.len(), 200);
}

/// The receive buffer shrinks while a batch runs, so that its ACKs do not fit. The requests were carried out,
/// but their results are lost, and none is invented.
#[test]
fn a_verdict_that_was_lost_is_neither_success_nor_failure() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..200).map(numbered).collect();
    // The first half of the flows exists already.
    let (there, new) = flows.split_at(100);
    create(&mut handle, there);
    let socket = handle.as_fd().try_clone_to_owned().expect("a descriptor");
    let verdicts = handle.create_many(new.iter().zip(there).flat_map(|(new, there)| [new, there]));
    shrink(&socket, libc::SO_RCVBUF);
    let mut unknown = 0;
    for (position, (flow, verdict)) in verdicts.enumerate() {
        match verdict {
            Ok(()) => assert_eq!(position % 2, 0, "{flow} was new"),
            Err(Error::Exists(_)) => assert_eq!(position % 2, 1, "{flow} was there"),
            Err(error @ Error::Overrun(_)) => {
                assert!(error.to_string().contains(&flow.key().to_string()), "{error}");
                unknown += 1;
            }
            Err(error) => panic!("{error}"),
        }
        // From the second batch on, there are no more requests than ACKs that fit.
        assert!(unknown <= 64 && (position < 64 || unknown > 0), "{unknown} of {position}");
    }
    assert_eq!(unknown, 64);
    // No request of the batch failed, except for the flows that existed.
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows));
}

/// The caller stops at the first error; the requests in the same system call were carried out nevertheless.
#[test]
fn asking_can_stop_at_the_first_error() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..300).map(numbered).collect();
    handle.create(&flows[70]).expect("created");
    let result = handle.create_many(&flows).try_for_each(|(_, verdict)| verdict);
    assert!(result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Exists), "{result:?}");
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows[..128]));
}

/// Requests that could not be sent were not carried out, for any errno, and no result suggests otherwise.
#[test]
fn what_cannot_be_sent_is_not_unknown() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..100).map(numbered).collect();
    for errno in [libc::ENOBUFS, libc::ENOMEM, libc::EAGAIN, libc::ECONNREFUSED] {
        let failed = |verdict: Result<()>| matches!(&verdict, Err(Error::System(failure)) if failure.raw_os_error() == Some(errno));
        let work = || {
            let_fail(SENDTO, errno);
            assert!(failed(handle.create(&flows[0])));
            let verdicts: Vec<bool> =
                handle.create_many(&flows).map(|(_, verdict)| failed(verdict)).collect();
            assert_eq!(verdicts, [true; 100]);
        };
        std::thread::scope(|scope| scope.spawn(work).join()).expect("failed as it should");
        assert!(all(&mut handle).is_empty());
    }
    create(&mut handle, &flows);
}
