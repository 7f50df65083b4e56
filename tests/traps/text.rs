//! Text that is truncated, mixed or missing.

use std::fs;

use crate::common::udp;
use crate::{naming, object};
use netfilter_conntrack::nfct::{Conntrack, LabelMap, LabelMapError, ObjectError, TextFormat};
use netfilter_conntrack::{Flow, Labels};

/// Returns a label map from a file with this text.
fn map(name: &str, text: &str) -> Result<LabelMap, LabelMapError> {
    let path = std::env::temp_dir().join(format!("nfct-traps-{}-{name}", std::process::id()));
    fs::write(&path, text).expect("written");
    let map = LabelMap::open(&path);
    fs::remove_file(&path).expect("removed");
    map
}

/// With labels the printer returns a length that fits, for text that was truncated.
#[test]
fn text_is_cut_and_reported_as_whole() {
    let lines: String = (0..128).map(|bit| format!("{bit} label-{bit}-{}\n", "x".repeat(40))).collect();
    let map = map("long", &lines).expect("a map");
    let object = object(&Flow::new(udp("10.0.0.1:1", "10.0.0.2:2")).labels(Labels::all()));
    let text = object.to_text(TextFormat::plain().labels(&map)).expect("text");
    assert!(text.len() > 128 * 45 && text.ends_with("x"), "{text}");
    assert_eq!(text.matches("label-").count(), 128);
}

/// XML is built in one buffer of the process.
#[test]
fn xml_of_two_threads_is_mixed() {
    std::thread::scope(|scope| {
        for number in 1..=4 {
            scope.spawn(move || {
                let address = format!("2001:db8::{number}");
                let object = naming(udp(&format!("[{address}]:1"), "[2001:db8::9]:2"));
                for _ in 0..2000 {
                    let text = object.to_text(TextFormat::xml()).expect("text");
                    assert!(text.contains(&format!("<src>{address}</src>")), "{text}");
                }
            });
        }
    });
}

/// An object without a protocol is not printed, and errno belongs to an earlier call.
#[test]
fn text_without_a_protocol_fails_with_a_stale_errno() {
    let text = Conntrack::new().expect("an object").to_text(TextFormat::plain());
    assert_eq!(text, Err(ObjectError::Incomplete { missing: "ATTR_ORIG_L4PROTO" }));
}

/// For a file without a label the result is NULL with errno 0, as if it had succeeded.
#[test]
fn label_file_without_labels_fails_with_errno_0() {
    let empty = map("empty", "# nothing\n");
    assert!(matches!(empty, Err(LabelMapError::Empty { .. })), "{empty:?}");
}
