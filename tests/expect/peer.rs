//! The C library's own query compared with ours: the same expectations from the same table.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use crate::common::{self, flow, ip, tcp, udp};
use netfilter_conntrack::model::{Direction, ExpectationFlags, SourceMask};
use netfilter_conntrack::nfct::{Expect, expect_attr};
use netfilter_conntrack::{Expectation, Handle, Result, Tuple, sys};

/// Keeps the object, which is ours from here on.
unsafe extern "C" fn keep(_: sys::nf_conntrack_msg_type, exp: *mut sys::nf_expect, to: *mut c_void) -> c_int {
    // SAFETY: `to` is the vector in `dump_in_c`, which nothing else uses during the query.
    let kept = unsafe { &mut *to.cast::<Vec<Expect>>() };
    if let Some(exp) = NonNull::new(exp) {
        // SAFETY: the library made the object, and passes it to a callback that returns `NFCT_CB_STOLEN`.
        kept.push(unsafe { Expect::from_raw(exp) });
    }
    sys::NFCT_CB_STOLEN as c_int
}

/// Lists by `nfexp_query`, in the namespace of the calling thread.
fn dump_in_c() -> Vec<Expect> {
    let mut kept: Vec<Expect> = Vec::new();
    let mut family: u32 = 0;
    // SAFETY: takes numbers; returns an owned handle or NULL.
    let handle = unsafe { sys::nfct_open(sys::NFNL_SUBSYS_CTNETLINK_EXP as u8, 0) };
    assert!(!handle.is_null());
    // SAFETY: the handle is open for expectations, and the vector outlives it.
    let rc =
        unsafe { sys::nfexp_callback_register(handle, sys::NFCT_T_ALL, Some(keep), (&raw mut kept).cast()) };
    assert_eq!(rc, 0);
    // SAFETY: a dump reads the family through the pointer.
    let rc = unsafe { sys::nfexp_query(handle, sys::NFCT_Q_DUMP, (&raw mut family).cast()) };
    assert_eq!(rc, 0);
    // SAFETY: the handle was opened above and is not used again.
    unsafe { sys::nfct_close(handle) };
    kept
}

/// Converts the C object to plain data, without the id and the NAT: the library has no attribute for the id,
/// and the NAT is covered by the tests of the objects.
fn plain(object: &Expect) -> Expectation {
    let tuple = |attr| {
        let view = object.tuple(attr).expect("a tuple");
        let end = |address: Option<_>, port: Option<u16>| (address.expect("an address"), port.unwrap_or(0));
        let (src, dst) = (end(view.src(), view.src_port()), end(view.dst(), view.dst_port()));
        Tuple::with_ports(view.protocol().expect("a protocol"), src.into(), dst.into()).expect("a tuple")
    };
    let mask = tuple(expect_attr::MASK);
    let mut expectation = Expectation::new(tuple(expect_attr::MASTER), tuple(expect_attr::EXPECTED))
        .mask(SourceMask { address: mask.src(), port: mask.ports().expect("ports").src })
        .timeout(Duration::from_secs(object.get(expect_attr::TIMEOUT).expect("a timeout").into()))
        .flags(object.get(expect_attr::FLAGS).expect("flags"))
        .helper(object.get(expect_attr::HELPER_NAME).expect("a helper").parse().expect("a name"));
    expectation.class = object.get(expect_attr::CLASS);
    expectation.function = object.get(expect_attr::FN);
    expectation
}

#[test]
fn the_library_and_we_list_the_same() {
    let mut handle = require_kernel!("nft");
    common::nft("table ip nat { chain post { type nat hook postrouting priority 100; }; }");
    let chat = tcp("10.0.0.1:40000", "10.0.0.3:6667");
    let call = udp("10.0.0.1:5060", "10.0.0.2:5060");
    let six = tcp("[fd00::1]:40000", "[fd00::2]:21");
    for (master, helper) in [(chat, "irc"), (call, "sip"), (six, "ftp")] {
        handle.create(&flow(master).helper(helper.parse().expect("a name"))).expect("a master");
    }
    let any = |master, src: &str, dst: &str| Expectation::new(master, tcp(src, dst)).from_any_port();
    let slash24 = SourceMask { address: ip("255.255.255.0"), port: 0 };
    for wanted in [
        any(chat, "10.0.0.1:0", "10.0.0.2:5000"),
        any(chat, "10.0.0.0:0", "10.0.0.2:5001").mask(slash24),
        any(chat, "10.0.0.1:0", "10.0.0.2:5002").follow_master(Direction::Reply, 4000),
        any(six, "[fd00::1]:0", "[fd00::2]:5000").flags(ExpectationFlags::INACTIVE),
        Expectation::new(call, udp("10.0.0.1:0", "10.0.0.2:7000"))
            .from_any_port()
            .helper("sip".parse().expect("a name"))
            .class(1),
    ] {
        handle.expectations().create(&wanted).expect("created");
    }

    let mut ours = ours(&mut handle);
    let mut theirs: Vec<_> = dump_in_c().iter().map(plain).collect();
    for list in [&mut ours, &mut theirs] {
        // A second may pass between the two dumps, but not a minute.
        let minutes = |timeout: Duration| Duration::from_secs((timeout.as_secs() + 30) / 60 * 60);
        list.iter_mut().for_each(|one| one.timeout = one.timeout.map(minutes));
        list.sort_by_key(|one| one.expected.to_string());
    }
    assert_eq!(ours.len(), 5);
    assert_eq!(ours, theirs);
    assert_eq!(ours[0].mask, slash24);
}

fn ours(handle: &mut Handle) -> Vec<Expectation> {
    let entries = handle.expectations().dump().entries().expect("a dump");
    let mut found = entries.collect::<Result<Vec<_>>>().expect("entries");
    for one in &mut found {
        assert!(one.id.take().is_some());
        // 5.10 reports a translation of any expectation: whatever the memory had before.
        let translates = one.nat.take().is_some();
        assert!(translates == one.function.is_some() || common::kernel() < (6, 1));
    }
    found
}
