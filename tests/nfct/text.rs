//! Text of connections: every option, any length, from any thread.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::common;
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Conntrack, LabelMap, ObjectError, TextFormat, attr};
use netfilter_conntrack::{Error, Flow, Labels, Tuple};

/// Returns a label map with these names, from a file that is removed again.
fn names(lines: impl Iterator<Item = (u16, String)>) -> LabelMap {
    let path: PathBuf = std::env::temp_dir().join(format!(
        "nfct-text-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let text: String = lines.map(|(bit, name)| format!("{bit} {name}\n")).collect();
    fs::write(&path, text).expect("a file");
    let map = LabelMap::open(&path);
    fs::remove_file(&path).expect("removed");
    map.expect("a map")
}

#[test]
fn each_option_adds_what_it_says() {
    let mut flow = Flow::new(common::tcp("10.0.0.1:1", "10.0.0.2:2")).timeout(Duration::from_secs(9)).mark(3);
    flow.id = Some(77);
    flow.timestamps.start = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 200));
    flow.timestamps.stop = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 201));
    let text = |format: TextFormat<'_>| {
        Conntrack::try_from(&flow).expect("an object").to_text(format).expect("text")
    };
    let tuples = "src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1";
    let plain = format!("tcp      6 9 {tuples} mark=3 delta-time=86400");
    assert_eq!(text(TextFormat::plain()), plain);
    assert_eq!(text(TextFormat::plain().time()), plain, "for XML only");
    assert_eq!(text(TextFormat::plain().layer3()), format!("ipv4     2 {plain}"));
    assert_eq!(text(TextFormat::plain().id()), format!("{plain} id=77"));
    assert_eq!(text(TextFormat::plain().event(EventKind::New)), format!("    [NEW] {plain}"));
    assert_eq!(text(TextFormat::plain().event(EventKind::Update)), format!(" [UPDATE] {plain}"));
    assert_eq!(text(TextFormat::plain().event(EventKind::Destroy)), format!("[DESTROY] {plain}"));
    let times = text(TextFormat::plain().timestamps());
    assert!(times.starts_with(&plain) && times.contains(" [start=") && times.contains(" [stop="), "{times}");
    assert!(times.contains("1970]"), "{times}");

    let xml = text(TextFormat::xml());
    assert!(xml.starts_with("<flow><meta direction=\"original\">"), "{xml}");
    assert!(xml.contains("<id>77</id>") && xml.contains("protonum=\"2\""), "{xml}");
    assert!(!xml.contains("<when>") && text(TextFormat::xml().time()).contains("<when>"));
    assert!(!xml.contains("<timestamp>") && text(TextFormat::xml().timestamps()).contains("<timestamp>"));
    assert!(text(TextFormat::xml().event(EventKind::New)).starts_with("<flow type=\"new\">"));
}

#[test]
fn labels_are_printed_by_name() {
    let map = names([(1, "one".to_owned()), (127, "the last".to_owned())].into_iter());
    let labels = |bits: &[u16]| bits.iter().try_fold(Labels::new(), |l, &bit| l.with(bit)).expect("labels");
    let flow = |bits: &[u16]| {
        let flow = Flow::new(common::udp("10.0.0.1:1", "10.0.0.2:2")).labels(labels(bits));
        let object = Conntrack::try_from(&flow).expect("an object");
        let plain = object.to_text(TextFormat::plain().labels(&map)).expect("text");
        let xml = object.to_text(TextFormat::xml().labels(&map)).expect("text");
        (plain, xml)
    };
    let (plain, xml) = flow(&[1, 5, 127]);
    assert!(plain.ends_with(" labels=one,the last"), "{plain}");
    assert!(xml.contains("<labels><label>one</label><label>the last</label></labels>"), "{xml}");
    // Without a name for any label, only the word is left, without the equals sign.
    let (plain, xml) = flow(&[5]);
    assert!(plain.ends_with(" labels"), "{plain}");
    assert!(xml.contains("<labels></labels>"), "{xml}");
}

/// Long parts, so that the length of the text is close to that of the first buffer, at every offset: the C
/// library reports a text with truncated labels as complete.
#[test]
fn text_is_complete_at_any_length() {
    let map = names((0..128).map(|bit| (bit, format!("label-{bit}-{}", "x".repeat(20)))));
    let all: Vec<_> = map.iter().map(|(_, name)| name).collect();
    let mut flow = Flow::new(common::udp("10.0.0.1:1", "10.0.0.2:2")).labels(Labels::all());
    let end = format!(" labels={}", all.join(","));
    for context in (0..200).chain([4095, 60_000]) {
        flow.set_security_context(Some(OsString::from("c".repeat(context))));
        let object = Conntrack::try_from(&flow).expect("an object");
        let text = object.to_text(TextFormat::plain().labels(&map)).expect("text");
        assert!(text.ends_with(&format!(" secctx={}{end}", "c".repeat(context))), "{context}: {text}");
        let xml = object.to_text(TextFormat::xml().labels(&map)).expect("text");
        assert!(xml.ends_with("</flow>") && xml.matches("<label>").count() == 128, "{context}: {xml}");
    }
}

#[test]
fn threads_print_at_once_without_mixing_their_texts() {
    let flow = |number: u16| {
        let tuple = Tuple::udp(
            common::socket(&format!("[2001:db8::{number:x}]:{number}")),
            common::socket(&format!("[fd00::{number:x}]:{number}")),
        );
        let mut flow = Flow::new(tuple.expect("a tuple"));
        flow.timestamps.start =
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(number) * 100_000));
        flow.timestamps.stop = flow.timestamps.start;
        Conntrack::try_from(&flow).expect("an object")
    };
    let formats = [TextFormat::xml().timestamps(), TextFormat::plain().timestamps()];
    std::thread::scope(|scope| {
        for number in 1..=8 {
            let object = flow(number);
            let expected = formats.map(|format| object.to_text(format).expect("text"));
            assert!(expected[0].contains(&format!("<src>2001:db8::{number:x}</src>")), "{}", expected[0]);
            scope.spawn(move || {
                for _ in 0..2000 {
                    assert_eq!(formats.map(|format| object.to_text(format).expect("text")), expected);
                }
            });
        }
    });
}

#[test]
fn what_cannot_be_printed_says_why() {
    let mut object = Conntrack::new().expect("an object");
    let missing = |missing| Err(ObjectError::Incomplete { missing });
    assert_eq!(object.to_text(TextFormat::plain()), missing("ATTR_ORIG_L4PROTO"));
    assert_eq!(object.to_text(TextFormat::xml()), missing("ATTR_ORIG_L4PROTO"));
    object.set(attr::ORIG_L4PROTO, 6).expect("set");
    assert_eq!(object.to_text(TextFormat::plain().layer3()), missing("ATTR_ORIG_L3PROTO"));
    assert_eq!(object.to_text(TextFormat::plain()).as_deref(), Ok("tcp      6 sport=0 dport=0"));
    let mut flow = Flow::new(common::udp("10.0.0.1:1", "10.0.0.2:2"));
    flow.timestamps.start = Some(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    let object = Conntrack::try_from(&flow);
    assert!(matches!(object, Err(Error::Object(_))), "{object:?}");
}
