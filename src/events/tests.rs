//! The results of messages.

use super::*;

fn message(kind: u16, flags: i32) -> Message {
    Message { range: 0..0, kind, flags: flags as u16, port: 7, namespace: None }
}

#[test]
fn new_and_changed_entries_differ_by_flags() {
    let (create, excl) = (libc::NLM_F_CREATE, libc::NLM_F_EXCL);
    for (kind_of, flags, expected) in [
        (uapi::CT_NEW, create | excl, Some(EventKind::New)),
        (uapi::CT_NEW, create, Some(EventKind::New)),
        (uapi::CT_NEW, 0, Some(EventKind::Update)),
        (uapi::CT_DELETE, 0, Some(EventKind::Destroy)),
        (uapi::CT_GET, 0, None),
    ] {
        assert_eq!(decode::event_kind(kind_of, flags as u16), expected, "{kind_of:#x} {flags:#x}");
    }
}

#[test]
fn messages_are_events_malformed_or_of_no_concern() {
    // As the kernel writes them: a length, a type of connection tracking, a family.
    let mut headers = [0; 20];
    headers[..4].copy_from_slice(&20u32.to_ne_bytes());
    headers[4..6].copy_from_slice(&uapi::CT_NEW.to_ne_bytes());
    headers[16] = libc::AF_INET as u8;
    let event = |message: &Message, bytes: &[u8]| read(message, bytes, &mut unread());
    let malformed = event(&message(uapi::CT_NEW, 0), &headers).expect_err("no tuple");
    assert_eq!(malformed.to_string(), "malformed CTA_TUPLE_ORIG: missing");
    assert!(event(&message(uapi::CT_DELETE, 0), &headers[..19]).is_err());
    // Statistics of connection tracking, and something of nftables.
    for unknown in [uapi::CT_GET_STATS, 10 << 8] {
        assert_eq!(event(&message(unknown, 0), &headers), Ok(Step::Unwanted));
    }
}
