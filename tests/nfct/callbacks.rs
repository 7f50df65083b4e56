//! Closures on the C library's own queries, on the real kernel.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::common::{self, all, flow, ip, kept, numbered, signals, tcp, udp};
use netfilter_conntrack::model::{Family, Layer4, PerDirection, Protocol, SctpState};
use netfilter_conntrack::nfct::{Command, Conntrack, ObjectError, Session, attr};
use netfilter_conntrack::{Error, Flow, Handle, Namespace, Status, TcpState, Tuple};

/// Creates many flows of every protocol and family, in three zones.
fn populate(handle: &mut Handle, rounds: u16) {
    for round in 0..rounds {
        for [client, server] in [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]] {
            let (client, server) = (ip(client), ip(server));
            let ends = ((client, 1000 + round).into(), (server, 80).into());
            let udp = flow(Tuple::udp(ends.0, ends.1).unwrap());
            let tags = PerDirection { original: u32::from(round), reply: 7 };
            let flows = [
                udp,
                flow(Tuple::tcp(ends.0, ends.1).unwrap())
                    .tcp_state(TcpState::Established)
                    .status(Status::SEEN_REPLY | Status::ASSURED),
                flow(Tuple::sctp(ends.0, ends.1).unwrap()).sctp(SctpState::Established, tags),
                flow(Tuple::ping(client, server, round).unwrap()),
                flow(Tuple::gre(client, server, round, 1).unwrap()),
            ];
            for flow in flows {
                handle.create(&flow.zone(round % 3).mark(round.into())).expect("created");
            }
            // Tracked by their addresses alone, on newer kernels DCCP and UDP-Lite too: one for each zone.
            if round < 3 {
                let other = Tuple::new(client, server, Layer4::Other(Protocol::new(50))).unwrap();
                let optional = [Protocol::DCCP, Protocol::UDPLITE].map(|it| kept(it, ends.0, ends.1));
                for tuple in [other].into_iter().chain(optional) {
                    handle.create(&flow(tuple).zone(round)).expect("created");
                }
            }
        }
    }
}

/// An object's fields, by the kernel's id.
fn entry(ct: &Conntrack) -> (u32, String) {
    let v4 = |attr| ct.get(attr).map(IpAddr::V4);
    let src = v4(attr::ORIG_IPV4_SRC).or(ct.get(attr::ORIG_IPV6_SRC).map(IpAddr::V6));
    let dst = v4(attr::ORIG_IPV4_DST).or(ct.get(attr::ORIG_IPV6_DST).map(IpAddr::V6));
    let ports = ct.get(attr::ORIG_PORT_SRC).zip(ct.get(attr::ORIG_PORT_DST));
    let reply_ports = ct.get(attr::REPL_PORT_SRC).zip(ct.get(attr::REPL_PORT_DST));
    let icmp = ct.get(attr::ICMP_TYPE).zip(ct.get(attr::ICMP_ID));
    let text = format!(
        "{:?} {src:?} {dst:?} {ports:?} {reply_ports:?} {icmp:?} {:?} {:?} {:?} {:?} {:?}",
        ct.get(attr::ORIG_L4PROTO),
        ct.get(attr::ZONE).unwrap_or(0),
        ct.get(attr::MARK),
        ct.get(attr::STATUS),
        ct.get(attr::TCP_STATE),
        ct.get(attr::SCTP_VTAG_ORIG),
    );
    (ct.get(attr::ID).expect("an id"), text)
}

/// The same for a flow from our own receive path.
fn entry_of(flow: &Flow) -> (u32, String) {
    use netfilter_conntrack::model::ProtoInfo;
    let pair = |tuple: Tuple| match tuple.layer4() {
        Layer4::Gre { src_key, dst_key } => Some((src_key, dst_key)),
        _ => tuple.ports().map(|ports| (ports.src, ports.dst)),
    };
    let icmp = match flow.original.layer4() {
        Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => Some((icmp.icmp_type, icmp.id)),
        _ => None,
    };
    let (tcp, tag) = match flow.proto_info {
        Some(ProtoInfo::Tcp(info)) => (info.state, None),
        Some(ProtoInfo::Sctp(info)) => (None, info.tags.original),
        _ => (None, None),
    };
    let text = format!(
        "{:?} {:?} {:?} {:?} {:?} {icmp:?} {:?} {:?} {:?} {:?} {tag:?}",
        Some(flow.original.protocol().number()),
        Some(flow.original.src()),
        Some(flow.original.dst()),
        pair(flow.original),
        pair(flow.reply),
        flow.zone.id(),
        flow.mark,
        flow.status.map(|status| status.bits()),
        // TCP_CONNTRACK_ESTABLISHED
        tcp.map(|state| if state == TcpState::Established { 3 } else { 255 }),
    );
    (flow.id.expect("an id"), text)
}

fn entries(session: &mut Session, family: Option<Family>) -> BTreeSet<(u32, String)> {
    let mut entries = BTreeSet::new();
    let flow = session.dump(family, |ct| {
        assert!(entries.insert(entry(&ct)), "an entry came twice");
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(flow.expect("a dump"), ControlFlow::Continue(()));
    entries
}

fn object(tuple: Tuple) -> Conntrack {
    let mut ct = Conntrack::new().unwrap();
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (tuple.src(), tuple.dst()) else { panic!("IPv4 only") };
    let ports = tuple.ports().expect("ports");
    ct.set(attr::ORIG_L3PROTO, 2).unwrap();
    ct.set(attr::ORIG_L4PROTO, tuple.protocol().number()).unwrap();
    ct.set(attr::ORIG_IPV4_SRC, src).unwrap();
    ct.set(attr::ORIG_IPV4_DST, dst).unwrap();
    ct.set(attr::ORIG_PORT_SRC, ports.src).unwrap();
    ct.set(attr::ORIG_PORT_DST, ports.dst).unwrap();
    ct
}

/// Returns an object with the reply and a timeout, as a create needs.
fn complete(tuple: Tuple) -> Conntrack {
    let mut ct = object(tuple);
    let reply = object(tuple.inverse());
    ct.set(attr::REPL_L3PROTO, 2).unwrap();
    ct.set(attr::REPL_L4PROTO, tuple.protocol().number()).unwrap();
    ct.set(attr::REPL_IPV4_SRC, reply.get(attr::ORIG_IPV4_SRC).unwrap()).unwrap();
    ct.set(attr::REPL_IPV4_DST, reply.get(attr::ORIG_IPV4_DST).unwrap()).unwrap();
    ct.set(attr::REPL_PORT_SRC, reply.get(attr::ORIG_PORT_SRC).unwrap()).unwrap();
    ct.set(attr::REPL_PORT_DST, reply.get(attr::ORIG_PORT_DST).unwrap()).unwrap();
    ct.set(attr::TIMEOUT, 300).unwrap();
    ct
}

#[test]
fn both_receive_paths_see_the_same_flows() {
    let mut handle = require_kernel!();
    populate(&mut handle, 300);
    // Not by their ids alone, because two of thousands can be the same.
    let ours = all(&mut handle).iter().map(entry_of).collect::<BTreeSet<_>>();
    assert_eq!(ours.len(), 300 * 10 + 18);
    let mut session = Session::open().expect("a session");
    let theirs = entries(&mut session, None);
    assert_eq!(theirs.symmetric_difference(&ours).next(), None);
    let v4 = entries(&mut session, Some(Family::Ipv4));
    let v6 = entries(&mut session, Some(Family::Ipv6));
    assert_eq!((v4.len(), v6.len()), (1509, 1509));
}

#[test]
fn a_dump_left_early_does_not_reach_the_next_query() {
    let mut handle = require_kernel!();
    (0..2000).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut session = Session::open().expect("a session");
    let mut seen = 0;
    let stopped = session.dump(None, |ct| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(ct) } else { ControlFlow::Continue(()) }
    });
    let kept = stopped.expect("a dump").break_value().expect("broken off");
    assert_eq!(seen, 3, "nothing comes after a break");
    let found = session.get(&kept).expect("the answer is that of this query");
    assert_eq!(entry(&found), entry(&kept));
    assert_eq!(entries(&mut session, None).len(), 2000);
    assert!(matches!(session.get(&object(tcp("9.9.9.9:9", "8.8.8.8:8"))), Err(Error::NotFound(_))));
}

#[test]
fn a_panic_goes_on_in_the_caller_and_spares_the_session() {
    let mut handle = require_kernel!();
    (0..2000).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut session = Session::open().expect("a session");
    let mut seen = 0;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        session.dump(None, |_ct| -> ControlFlow<()> {
            seen += 1;
            if seen == 2 { std::panic::resume_unwind(Box::new("mine")) } else { ControlFlow::Continue(()) }
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"mine"));
    assert_eq!(seen, 2, "nothing comes after a panic");
    assert!(!session.is_out_of_step());
    assert_eq!(entries(&mut session, None).len(), 2000);
}

#[test]
fn objects_outlive_the_session_and_can_be_dropped_anywhere() {
    let mut handle = require_kernel!();
    (0..200).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut session = Session::open().expect("a session");
    let mut kept = Vec::new();
    let result = session.dump(None, |ct| {
        if ct.get(attr::ORIG_PORT_SRC).is_some_and(|port| port % 2 == 0) {
            kept.push(ct);
        }
        ControlFlow::<()>::Continue(())
    });
    assert!(result.is_ok());
    drop(session);
    assert_eq!(kept.len(), 100);
    let marks = std::thread::spawn(move || kept.iter().map(|ct| ct.get(attr::MARK)).collect::<Vec<_>>());
    assert_eq!(marks.join().unwrap(), vec![Some(0); 100]);
}

#[test]
fn every_query_that_changes_something() {
    let mut handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    let tuple = udp("10.0.0.1:5000", "10.0.0.2:53");
    let mut ct = complete(tuple);
    session.create(&ct).expect("created");
    assert!(matches!(session.create(&ct), Err(Error::Exists(_))));
    ct.set(attr::MARK, 5).unwrap();
    session.update(&ct).expect("updated");
    assert_eq!(session.get(&object(tuple)).expect("found").get(attr::MARK), Some(5));
    ct.set(attr::MARK, 6).unwrap();
    session.create_or_update(&ct).expect("updated");
    assert_eq!(handle.get(tuple).expect("found").mark, Some(6));
    session.destroy(&object(tuple)).expect("destroyed");
    let error = session.destroy(&object(tuple)).unwrap_err();
    assert!(error.to_string().contains("cannot delete udp 10.0.0.1:5000 -> 10.0.0.2:53"), "{error}");
    assert!(matches!(error, Error::NotFound(_)));
    assert!(matches!(session.update(&ct), Err(Error::NotFound(_))));

    populate(&mut handle, 3);
    session.flush().expect("flushed");
    assert_eq!(all(&mut handle), []);
    assert!(!session.is_out_of_step(), "verdicts leave a session in step");
}

#[test]
fn a_change_can_be_sent_now_and_judged_later() {
    let mut handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    let ct = complete(udp("10.0.0.1:5000", "10.0.0.2:53"));
    let pending = session.send(Command::Create, &ct).expect("sent");
    let mut poll = libc::pollfd { fd: pending.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd, and the count is one.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 5000) }, 1);
    pending.finish().expect("created");
    assert_eq!(all(&mut handle).len(), 1);
    let again = session.send(Command::Create, &ct).expect("sent").finish();
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
    assert!(matches!(session.send(Command::Destroy, &Conntrack::new().unwrap()), Err(Error::Object(_))));
    session.send(Command::Update, &ct).expect("sent").finish().expect("updated");
    session.send(Command::CreateOrUpdate, &ct).expect("sent").finish().expect("updated");

    // A result that was not fetched would be taken for that of the next query.
    drop(session.send(Command::Destroy, &ct).expect("sent"));
    assert!(matches!(session.create(&ct), Err(Error::OutOfStep(_))));
    session.reopen().expect("reopened");
    assert!(matches!(session.destroy(&ct), Err(Error::NotFound(_))));
}

/// From each of these objects C makes a request that deletes everything, or one that has no answer.
#[test]
fn an_incomplete_object_is_never_sent() {
    let mut handle = require_kernel!();
    populate(&mut handle, 3);
    let before = all(&mut handle).len();
    let mut session = Session::open().expect("a session");
    let mut v6_address_missing = Conntrack::new().unwrap();
    v6_address_missing.set(attr::ORIG_L3PROTO, 10).unwrap();
    v6_address_missing.set(attr::ORIG_L4PROTO, 17).unwrap();
    let mut family_missing = object(udp("10.0.0.1:1000", "10.0.0.2:80"));
    family_missing.unset(attr::ORIG_L3PROTO);
    let mut protocol_missing = object(udp("10.0.0.1:1000", "10.0.0.2:80"));
    protocol_missing.unset(attr::ORIG_L4PROTO);
    for ct in [Conntrack::new().unwrap(), v6_address_missing, family_missing, protocol_missing] {
        let incomplete = |error| matches!(error, Error::Object(ObjectError::Incomplete { .. }));
        assert!(incomplete(session.destroy(&ct).unwrap_err()));
        assert!(incomplete(session.create(&ct).unwrap_err()));
        assert!(incomplete(session.update(&ct).unwrap_err()));
        assert!(incomplete(session.create_or_update(&ct).unwrap_err()));
        assert!(incomplete(session.get(&ct).unwrap_err()));
    }
    assert_eq!(all(&mut handle).len(), before);
}

/// The answer does not reach the session, as with a slow kernel or a full buffer.
#[test]
fn a_lost_answer_ends_in_time_and_the_session_wants_to_be_reopened() {
    let mut handle = require_kernel!();
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("created");
    let mut session = Session::open().expect("a session");
    session.set_timeout(Duration::from_millis(50));
    shut_reading(&session);
    let started = Instant::now();
    // The library restarts an interrupted receive, and with it the timeout.
    let listed = signals::under_signals(|| session.dump(None, |_| ControlFlow::Break(())));
    let error = listed.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(session.is_out_of_step());
    let ct = complete(udp("10.0.0.1:3", "10.0.0.2:4"));
    assert!(matches!(session.create(&ct), Err(Error::OutOfStep(_))));
    assert_eq!(all(&mut handle).len(), 1, "a session out of step sends nothing");
    session.reopen().expect("reopened");
    assert_eq!(session.timeout(), Duration::from_millis(50));
    session.create(&ct).expect("created");
    assert_eq!(entries(&mut session, None).len(), 2);
}

/// The same holds for the wait for a result that is fetched later.
#[test]
fn a_lost_verdict_ends_in_time_whatever_signals_come() {
    let _handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    session.set_timeout(Duration::from_millis(200));
    shut_reading(&session);
    let pending = session.send(Command::Create, &complete(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("sent");
    let started = Instant::now();
    let error = signals::under_signals(|| pending.finish()).unwrap_err();
    let waited = started.elapsed();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    assert!(session.is_out_of_step());
}

/// Drops all answers of the kernel, with a filter that lets nothing pass.
fn shut_reading(session: &Session) {
    let mut refuse = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut refuse };
    // SAFETY: the program is one live instruction, and the length is that of the struct.
    let rc = unsafe {
        libc::setsockopt(
            session.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_session_stays_in_its_namespace() {
    let mut handle = require_kernel!();
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("created");
    let mut session = Session::open().expect("a session");
    let here = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
    assert!(common::own_namespace());
    assert_eq!(entries(&mut session, None).len(), 1);
    assert!(matches!(session.reopen(), Err(Error::OutOfStep(_))), "elsewhere it would list another table");
    assert_eq!(entries(&mut session, None).len(), 1, "and the session stays as it was");
    assert_eq!(entries(&mut Session::open().expect("a session"), None).len(), 0);
    assert_eq!(entries(&mut Session::open_in(&here).expect("a session"), None).len(), 1);
}

#[test]
fn the_socket_is_closed_on_exec_and_on_drop() {
    let _handle = require_kernel!();
    let session = Session::open().expect("a session");
    let fd = session.as_fd().as_raw_fd();
    // SAFETY: takes numbers only.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("open");
    drop(session);
    assert_ne!(std::fs::read_link(format!("/proc/self/fd/{fd}")).ok(), Some(link));
}

#[test]
fn counters_are_reset_by_the_dump_that_says_so() {
    let mut handle = require_kernel!("nft", "ip");
    common::sysctl("nf_conntrack_acct", "1");
    common::run("ip", &["link", "set", "lo", "up"]);
    common::nft("table inet t { chain c { type filter hook output priority 0; ct state new accept; }; }");
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"x", receiver.local_addr().unwrap()).unwrap();
    let mut session = Session::open().expect("a session");
    let mut packets = |reset: bool| {
        let mut packets = Vec::new();
        let each = |ct: Conntrack| {
            packets.extend(ct.get(attr::ORIG_COUNTER_PACKETS));
            ControlFlow::<()>::Continue(())
        };
        let result = if reset { session.dump_reset(None, each) } else { session.dump(None, each) };
        assert!(result.is_ok());
        packets
    };
    assert_eq!((packets(true), packets(false)), (vec![1], vec![0]));
    assert_eq!(all(&mut handle).len(), 1);
}
