//! Text of connections compared with the C library's own output.
//!
//! A program of its own, because a call of the C printer disturbs any other at the same time, and because the
//! lines of plain data depend on the time zone.

mod common;

use std::ffi::c_uint;
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{env, fs, thread};

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Conntrack, TextFormat};
use netfilter_conntrack::{Flow, Labels, sys};

use common::own_socket::Raw;
use common::table;

/// The output of the C library, in a buffer large enough for any line.
fn by_c(ct: &Conntrack, event: c_uint, output: c_uint, flags: c_uint) -> String {
    let mut buffer = vec![0u8; 1 << 20];
    let size = buffer.len() as c_uint;
    // SAFETY: the buffer has the given length, and the object is alive.
    let len =
        unsafe { sys::nfct_snprintf(buffer.as_mut_ptr().cast(), size, ct.as_ptr(), event, output, flags) };
    buffer.truncate(usize::try_from(len).expect("text"));
    String::from_utf8(buffer).expect("UTF-8")
}

/// The line of plain data, for the formats that it supports.
fn by_text(flow: &Flow, event: Option<EventKind>, flags: c_uint) -> String {
    let mut text = flow.text();
    if let Some(event) = event {
        text = text.event(event);
    }
    if flags & sys::NFCT_OF_SHOW_LAYER3 != 0 {
        text = text.layer3();
    }
    if flags & sys::NFCT_OF_ID != 0 {
        text = text.id();
    }
    if flags & sys::NFCT_OF_TIMESTAMP != 0 {
        text = text.timestamps();
    }
    text.to_string()
}

/// Returns whether the process is in UTC, according to the C library.
fn is_utc() -> bool {
    let mut flow = Flow::new(common::udp("10.0.0.1:1", "10.0.0.2:2"));
    // In winter and in summer.
    [(1_767_000_000, "Mon Dec 29 09:20:00 2025"), (1_750_000_000, "Sun Jun 15 15:06:40 2025")].iter().all(
        |&(seconds, text)| {
            flow.timestamps.start = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let object = Conntrack::try_from(&flow).expect("an object");
            by_c(&object, 0, sys::NFCT_O_PLAIN, sys::NFCT_OF_TIMESTAMP).ends_with(&format!("[start={text}]"))
        },
    )
}

/// Runs the test of this thread in a process in UTC.
fn run_in_utc() {
    let program = env::current_exe().expect("a path");
    let this = thread::current();
    let test = this.name().expect("a test");
    let status = Command::new(program).args(["--exact", test, "--nocapture"]).env("TZ", "UTC0").status();
    assert!(status.expect("started").success(), "in UTC");
}

/// Each format, with the C library's numbers for it, and the matching event.
fn formats() -> Vec<(TextFormat<'static>, [c_uint; 3], Option<EventKind>)> {
    let events = [
        (None, sys::NFCT_T_UNKNOWN),
        (Some(EventKind::New), sys::NFCT_T_NEW),
        (Some(EventKind::Update), sys::NFCT_T_UPDATE),
        (Some(EventKind::Destroy), sys::NFCT_T_DESTROY),
    ];
    let mut formats = Vec::new();
    for (event, number) in events {
        for (format, output) in
            [(TextFormat::plain(), sys::NFCT_O_PLAIN), (TextFormat::xml(), sys::NFCT_O_XML)]
        {
            for flags in 0..16 {
                let mut format = format;
                let with = |flag| flags & flag != 0;
                if with(sys::NFCT_OF_SHOW_LAYER3) {
                    format = format.layer3();
                }
                if with(sys::NFCT_OF_TIME) {
                    format = format.time();
                }
                if with(sys::NFCT_OF_ID) {
                    format = format.id();
                }
                if with(sys::NFCT_OF_TIMESTAMP) {
                    format = format.timestamps();
                }
                if let Some(event) = event {
                    format = format.event(event);
                }
                formats.push((format, [number as c_uint, output, flags], event));
            }
        }
    }
    formats
}

/// Compares texts that contain the age or the time, which may change in between.
fn same(what: impl Fn() -> String, expected: impl Fn() -> String) -> String {
    for _ in 0..4 {
        let (text, expected) = (what(), expected());
        if text == expected {
            return text;
        }
        // `time` of the C library lags some milliseconds.
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(what(), expected());
    unreachable!("the clock changed five times")
}

#[test]
fn every_entry_in_every_format_is_what_the_c_library_prints() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    let (formats, utc) = (formats(), is_utc());
    if !utc {
        run_in_utc();
    }
    assert_eq!(formats.len(), 128);
    for message in Raw::open(0).dump() {
        let object = Conntrack::parse(&message).expect("an object");
        let flow = Flow::from_message(&message).expect("a flow");
        for (format, [event, output, flags], kind) in &formats {
            let expected = || by_c(&object, *event, *output, *flags);
            same(|| object.to_text(*format).expect("text"), expected);
            if *output == sys::NFCT_O_PLAIN && (utc || flags & sys::NFCT_OF_TIMESTAMP == 0) {
                same(|| by_text(&flow, *kind, *flags), expected);
            }
        }
    }
}

/// The trap itself: the length that the C library returns for truncated text.
#[test]
fn the_c_library_calls_cut_labels_complete() {
    let line = "1 one\n2 two\n";
    let path = env::temp_dir().join(format!("nfct-trap-{}", std::process::id()));
    fs::write(&path, line).expect("a file");
    let name = std::ffi::CString::new(path.to_str().expect("a path")).expect("a path");
    // SAFETY: the name is a string; the map is freed below.
    let map = unsafe { sys::nfct_labelmap_new(name.as_ptr()) };
    fs::remove_file(&path).expect("removed");
    let labels = Labels::new().with(1).and_then(|labels| labels.with(2)).expect("labels");
    let flow = Flow::new(common::udp("10.0.0.1:1", "10.0.0.2:2")).labels(labels);
    let object = Conntrack::try_from(&flow).expect("an object");
    let print = |size: usize| {
        let mut buffer = vec![0u8; size];
        let out = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has the given length; object and map are alive.
        let len = unsafe { sys::nfct_snprintf_labels(out, size as c_uint, object.as_ptr(), 0, 0, 0, map) };
        let text = buffer.split(|&byte| byte == 0).next().expect("text").to_vec();
        (usize::try_from(len).expect("a length"), String::from_utf8(text).expect("ASCII"))
    };
    let (_, complete) = print(1000);
    assert!(complete.ends_with("labels=one,two"), "{complete}");
    let wrong = (1..200).filter(|&size| {
        let (len, text) = print(size);
        assert!(text == complete || len >= size - 1, "a cut text of {len} in {size} would be believed");
        text != complete && len < size
    });
    assert!(wrong.count() > 0, "labels are no longer cut silently: `print` may accept size - 1");
    // SAFETY: made above and not used any more.
    unsafe { sys::nfct_labelmap_destroy(map) };
}
