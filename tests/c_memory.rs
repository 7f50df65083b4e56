//! The C library without memory, at each of its allocations in turn: an error each time, or everything.
//!
//! Alone in its program, which has a `malloc` and a `calloc` of its own, that the library then uses. They fail on
//! demand; Rust's own memory comes from somewhere else. (glibc only: others do not say where theirs is.)

#![cfg(target_env = "gnu")]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::c_void;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::{fs, ptr};

use common::{all, create, numbered};
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{
    Bitmask, Conntrack, DumpFilter, EventFilter, Expect, LabelMap, Logic, Parts, Session, Subscription,
    TextFormat, attr, expect_attr,
};
use netfilter_conntrack::{Flow, TcpState};

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_free(place: *mut c_void);
}

/// glibc's memory, past the functions below.
struct Glibc;

// SAFETY: glibc's own functions, with the alignment that is asked for.
unsafe impl GlobalAlloc for Glibc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: an alignment of Rust's is a power of two.
        unsafe { __libc_memalign(layout.align().max(16), layout.size()) }.cast()
    }

    unsafe fn dealloc(&self, place: *mut u8, _: Layout) {
        // SAFETY: it came from `alloc`.
        unsafe { __libc_free(place.cast()) }
    }
}

#[global_allocator]
static GLIBC: Glibc = Glibc;

thread_local! {
    /// How many allocations succeed before one fails. Negative: none fails.
    static LEFT: Cell<i64> = const { Cell::new(-1) };
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this allocation fails. The next succeed again.
fn fails() -> bool {
    let left = LEFT.get();
    LEFT.set((left - 1).max(-1));
    if left != 0 {
        return false;
    }
    FAILED.set(true);
    // SAFETY: takes nothing, and returns where the calling thread's own errno is.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *errno = libc::ENOMEM };
    true
}

// SAFETY: as glibc's, or fails as that may.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: takes a size.
    if fails() { ptr::null_mut() } else { unsafe { __libc_malloc(size) } }
}

// SAFETY: as glibc's, or fails as that may.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: takes sizes.
    if fails() { ptr::null_mut() } else { unsafe { __libc_calloc(count, size) } }
}

/// Whether the library uses the functions above. A checker of memory puts its own in their place.
fn in_use() -> bool {
    LEFT.set(0);
    // SAFETY: takes a size.
    let place = std::hint::black_box(unsafe { libc::malloc(8) });
    LEFT.set(-1);
    // SAFETY: it is NULL or came from malloc.
    unsafe { libc::free(place) };
    if !place.is_null() {
        eprintln!("SKIPPED: another malloc is in use");
    }
    place.is_null()
}

/// Does `work` again and again, the first allocation failing, then the second, until none is left.
/// `check` looks at what succeeded. Returns how many allocations failed.
fn at_each_allocation<T, E: Debug>(
    mut work: impl FnMut() -> Result<T, E>,
    mut check: impl FnMut(T),
) -> usize {
    for count in 0..1000 {
        LEFT.set(count);
        FAILED.set(false);
        let result = work();
        LEFT.set(-1);
        match result {
            Ok(value) => check(value),
            Err(error) => assert!(FAILED.get(), "without a failed allocation: {error:?}"),
        }
        if !FAILED.get() {
            return count as usize;
        }
    }
    panic!("no end of allocations");
}

/// A connection with a part of each kind that the library keeps on the heap.
fn full() -> Conntrack {
    let mut ct = Conntrack::try_from(&numbered(1)).expect("an object");
    ct.set(attr::CONNLABELS, Bitmask::from_words([1, 2, 3, 4]).expect("a mask")).expect("set");
    ct.set(attr::CONNLABELS_MASK, Bitmask::from_words([!0; 4]).expect("a mask")).expect("set");
    ct
}

#[test]
fn objects_and_their_copies() {
    if !in_use() {
        return;
    }
    assert!(at_each_allocation(Conntrack::new, drop) > 0);
    let ct = full();
    let labels = |ct: Conntrack| {
        assert_eq!(ct.get(attr::CONNLABELS).expect("labels").words(), [1, 2, 3, 4]);
        assert_eq!(ct.get(attr::CONNLABELS_MASK).expect("a mask").words(), [!0; 4]);
    };
    assert!(at_each_allocation(|| ct.try_clone(), labels) >= 3);
    let other = Conntrack::try_from(&numbered(2).mark(7)).expect("an object");
    let copied = || {
        let mut copy = other.try_clone()?;
        copy.copy_parts(&ct, Parts::all())?;
        Ok::<_, netfilter_conntrack::nfct::ObjectError>(copy)
    };
    assert!(at_each_allocation(copied, labels) >= 4);
    // The labels stay where the other object has none.
    let kept = || {
        let mut copy = ct.try_clone()?;
        copy.copy_parts(&other, Parts::all())?;
        Ok::<_, netfilter_conntrack::nfct::ObjectError>(copy)
    };
    assert!(at_each_allocation(kept, labels) >= 6);
    assert!(at_each_allocation(|| Bitmask::from_words([5; 4]), |mask| assert_eq!(mask.words(), [5; 4])) > 0);
    at_each_allocation(|| ct.to_text(TextFormat::plain()), |text| assert!(!text.is_empty()));
}

/// Plain data and requests, made of objects and the other way round.
#[test]
fn conversions() {
    if !in_use() {
        return;
    }
    let ct = full();
    let flow = Flow::try_from(&ct).expect("a flow");
    at_each_allocation(|| Flow::try_from(&ct), |read| assert_eq!(read, flow));
    let written = |object: Conntrack| assert_eq!(Flow::try_from(&object).as_ref(), Ok(&flow));
    assert!(at_each_allocation(|| Conntrack::try_from(&flow), written) >= 3);
    let request = Message::for_object(Request::Create, &ct).expect("a request");
    let built = |message: Message| assert_eq!(message.as_bytes(), request.as_bytes());
    at_each_allocation(|| Message::for_object(Request::Create, &ct), built);
}

#[test]
fn expectations() {
    if !in_use() {
        return;
    }
    let ct = full();
    let made = || {
        let mut expect = Expect::new()?;
        for attr in [expect_attr::MASTER, expect_attr::EXPECTED, expect_attr::MASK] {
            expect.set_tuple(attr, &ct)?;
        }
        Ok::<_, netfilter_conntrack::nfct::ObjectError>(expect)
    };
    let expect = made().expect("an object");
    let whole = |made: Expect| assert!(made.equals(&expect));
    assert!(at_each_allocation(made, whole) >= 4);
    assert!(at_each_allocation(|| expect.try_clone(), whole) > 0);
    at_each_allocation(|| expect.to_text(TextFormat::plain()), |text| assert!(!text.is_empty()));
    let request = Message::for_expect(Request::Create, &expect).expect("a request");
    assert!(at_each_allocation(|| Expect::parse(request.as_bytes()), whole) > 0);
}

#[test]
fn messages() {
    if !in_use() {
        return;
    }
    // A security context, a helper with information of its own, and labels.
    let nest = |kind: u16, inner: Vec<u8>| common::raw::attribute(kind | 1 << 15, &inner);
    let leaf = common::raw::attribute;
    let helper = [leaf(1, b"ftp\0"), leaf(2, &[1, 2, 3, 4])].concat();
    let attributes = [nest(19, leaf(1, b"system_u\0")), nest(5, helper), leaf(22, &[1; 16])].concat();
    let parsed = |ct: Conntrack| {
        assert_eq!(ct.get(attr::SECCTX).expect("a context"), "system_u");
        assert_eq!(ct.get(attr::HELPER_NAME).expect("a helper"), "ftp");
        assert_eq!(ct.get(attr::CONNLABELS).expect("labels").words(), [0x0101_0101u32.to_be(); 4]);
        let again = ct.try_clone().expect("a copy");
        assert_eq!(again.get(attr::SECCTX), ct.get(attr::SECCTX));
    };
    let family = libc::AF_INET as u8;
    assert!(at_each_allocation(|| Conntrack::parse_payload(&attributes, family), parsed) >= 4);
    // Beside what another object has. (Helper information is not kept.)
    let whole = Conntrack::parse_payload(&attributes, family).expect("an object");
    let other = Conntrack::try_from(&numbered(1)).expect("an object");
    let copied = || {
        let mut copy = whole.try_clone()?;
        copy.copy_parts(&other, Parts::all())?;
        Ok::<_, netfilter_conntrack::nfct::ObjectError>(copy)
    };
    assert!(at_each_allocation(copied, parsed) >= 7);
}

#[test]
fn label_maps() {
    if !in_use() {
        return;
    }
    let path = std::env::temp_dir().join(format!("nfct-{}-labels", std::process::id()));
    fs::write(&path, "1 one\n2 two\n3 three\n").expect("a file");
    let whole = |map: LabelMap| {
        assert_eq!(map.iter().collect::<Vec<_>>(), [(1, "one"), (2, "two"), (3, "three")]);
    };
    let failures = at_each_allocation(|| LabelMap::open(&path), whole);
    fs::remove_file(&path).expect("removed");
    assert!(failures >= 8, "{failures}");
}

#[test]
fn filters() {
    if !in_use() {
        return;
    }
    assert!(at_each_allocation(DumpFilter::new, drop) > 0);
    let mut dump = DumpFilter::new().expect("a filter");
    assert!(at_each_allocation(|| dump.family(Family::Ipv4), drop) > 0);
    let made = || {
        let mut filter = EventFilter::new()?;
        filter.protocols(Logic::Only, [Protocol::TCP])?;
        filter.tcp_states(Logic::Only, [TcpState::Established])?;
        filter.sources(Logic::Except, ["10.0.0.0/8".parse().expect("a network")])?;
        filter.marks(Logic::Only, [(1, 1)])?;
        Ok::<_, netfilter_conntrack::nfct::ObjectError>(filter)
    };
    assert!(at_each_allocation(made, drop) > 0);
    let filter = made().expect("a filter");
    let socket: OwnedFd = UnixDatagram::unbound().expect("a socket").into();
    let mut attached = 0;
    // Two allocations for each of the four lists.
    assert_eq!(at_each_allocation(|| filter.attach(&socket), |()| attached += 1), 8);
    assert_eq!(attached, 1, "no filter was attached without one of its lists");
}

/// An event that the library could not take in is an error, and the next ones come.
#[test]
fn subscriptions() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    let mut events = Subscription::open([EventKind::New]).expect("a subscription");
    let mut failures = 0;
    for number in 0..1000 {
        handle.create(&numbered(number)).expect("created");
        LEFT.set(number.into());
        FAILED.set(false);
        let mut seen = 0;
        let result = events.try_catch(|_, ct| {
            seen += usize::from(ct.is_set(attr::ORIG_PORT_SRC));
            ControlFlow::<()>::Continue(())
        });
        LEFT.set(-1);
        if !FAILED.get() {
            assert_eq!((result.expect("events"), seen), (ControlFlow::Continue(()), 1));
            break;
        }
        failures += 1;
        assert!(result.is_err() || seen == 1, "{seen} events and no error");
        let _ = events.try_catch(|_, _| ControlFlow::<()>::Continue(()));
    }
    assert!(failures >= 2, "{failures}");
}

#[test]
fn sessions() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    create(&mut handle, &(0..3).map(numbered).collect::<Vec<_>>());
    let mut failures = 0;
    for count in 0..1000 {
        let mut session = Session::open().expect("a session");
        LEFT.set(count);
        FAILED.set(false);
        let mut entries = 0;
        let result = session.dump(None, |ct: Conntrack| {
            entries += usize::from(ct.is_set(attr::ORIG_PORT_SRC));
            ControlFlow::<()>::Continue(())
        });
        LEFT.set(-1);
        if !FAILED.get() {
            break;
        }
        failures += 1;
        assert!(result.is_err() || entries == 3, "{entries} entries and no error");
        assert!(result.is_ok() || session.is_out_of_step());
    }
    assert!(failures >= 3, "{failures}");
    assert_eq!(all(&mut handle).len(), 3);
}
