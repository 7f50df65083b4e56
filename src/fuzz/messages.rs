//! Messages: unmodified, composed of attributes, generated, and mutated.

use super::source;
use crate::model::flow::Flow;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{CT_NEW, EXP_NEW};
use crate::netlink::validate::{self, nonsense};
use crate::nfct::tests::alike_expect::{named_message, reported};
use crate::nfct::tests::differences;
use crate::nfct::tests::encode::Chance;
use crate::nfct::tests::entry::Entry;
use crate::nfct::tests::hostile::{fix_length, mutate, parse_expectation};
use crate::nfct::tests::sample::{Random, V4, V6, new_message};
use crate::nfct::{Comparison, Conntrack, Expect, Parts, TextFormat, attr};

/// The number of forms; the first byte selects one.
const FORMS: u8 = 8;

/// A message about an entry or an expectation.
enum Message {
    Entry(Vec<u8>),
    Expectation(Vec<u8>),
}

/// Returns the message encoded by these bytes.
fn message(data: &[u8]) -> Option<Message> {
    let (&form, rest) = data.split_first()?;
    let mut random = Random::new(source::begin(rest));
    Some(match form % FORMS {
        // Unmodified, because seeds are real messages.
        0 => Message::Entry(rest.to_vec()),
        1 => Message::Expectation(rest.to_vec()),
        2 => Message::Entry(with_headers(CT_NEW, form, rest)),
        3 => Message::Expectation(with_headers(EXP_NEW, form, rest)),
        4 => {
            let entry = Entry::random(&mut random);
            let message = if random.below(2) == 0 { entry.message() } else { entry.disturbed(&mut random) };
            Message::Entry(changed(message, 0, &mut random))
        }
        5 => {
            let expectation = reported(&mut Chance(random.next() | 1));
            // The headers stay unchanged: they hold the family of all tuples.
            let message = named_message(expectation, &mut random);
            Message::Expectation(changed(message, 20, &mut random))
        }
        6 => Message::Entry(with_headers(CT_NEW, form, &nonsense::conntrack(&mut |end| random.below(end)))),
        _ => Message::Expectation(with_headers(
            EXP_NEW,
            form,
            &nonsense::expectation(&mut |end| random.below(end)),
        )),
    })
}

fn with_headers(kind: u16, form: u8, attributes: &[u8]) -> Vec<u8> {
    let family = if form / FORMS % 2 == 0 { V4 } else { V6 };
    let mut message = MessageBuf::new(kind, 0, family, 0).as_bytes().to_vec();
    message.extend(attributes);
    fix_length(&mut message);
    message
}

/// Applies up to three changes after the first `behind` bytes.
fn changed(mut message: Vec<u8>, behind: usize, random: &mut Random) -> Vec<u8> {
    let mut rest = message.split_off(behind);
    for _ in 0..random.below(4) {
        mutate(&mut rest, random);
    }
    message.extend(rest);
    if random.below(8) > 0 {
        fix_length(&mut message);
    }
    message
}

/// Each message passes the guard or is rejected. Those that pass can be read, copied, compared, printed and
/// built.
pub(super) fn handled(data: &[u8]) {
    match message(data) {
        Some(Message::Entry(message)) => entry(&message),
        Some(Message::Expectation(message)) => {
            let guarded = validate::expectation_message(&message).is_ok();
            assert_eq!(parse_expectation(&message).is_ok(), guarded, "{message:x?}");
            if guarded {
                expectation(&Expect::parse(&message).expect("parsed before"));
            }
        }
        None => {}
    }
}

/// Both decoders agree, or the list of differences has the reason.
pub(super) fn compared(data: &[u8]) {
    match message(data) {
        Some(Message::Entry(message)) => drop(differences::compare(&message)),
        Some(Message::Expectation(message)) => drop(differences::compare_expectation(&message)),
        None => {}
    }
}

fn entry(message: &[u8]) {
    let guarded = validate::conntrack_message(message).is_ok();
    let parsed = Conntrack::parse(message);
    assert_eq!(parsed.is_ok(), guarded, "{message:x?}");
    let decoded = Flow::from_message(message);
    assert!(guarded || decoded.is_err(), "{message:x?}");
    // The attributes alone, in either family, need no length that is a multiple of four.
    let attributes = message.get(20..).unwrap_or_default();
    for family in [V4, V6] {
        if let Ok(ct) = Conntrack::parse_payload(attributes, family) {
            used(&ct);
        }
    }
    let Ok(ct) = parsed else { return };
    used(&ct);
    if let Ok(flow) = decoded {
        let _ = flow.text().to_string();
        // Every reported flow can become an object, unless it contradicts itself.
        if let Ok(object) = Conntrack::try_from(&flow) {
            used(&object);
        }
    }
}

/// Reads every part of an object, and derives others from it.
pub(super) fn used(ct: &Conntrack) {
    let copy = ct.clone();
    let strict = Comparison::all().strict();
    assert!(ct.matches(&copy, strict) && copy.matches(ct, strict), "a clone is the same");
    for format in [TextFormat::plain().layer3().id().timestamps(), TextFormat::xml()] {
        let (one, other) = (ct.to_text(format), copy.to_text(format));
        assert_eq!(one.is_ok(), other.is_ok());
    }
    let plain = TextFormat::plain();
    // An age depends on the clock, which may have advanced in between.
    let has_age = ct.is_set(attr::TIMESTAMP_START) && !ct.is_set(attr::TIMESTAMP_STOP);
    assert!(has_age || ct.to_text(plain) == copy.to_text(plain), "a clone prints the same");
    let _ = (Flow::try_from(ct), ct.is_snat(), ct.is_dnat(), ct.is_port_snat(), ct.is_port_dnat());
    for family in [V4, V6] {
        let (mut one, mut other) = (new_message(family), new_message(family));
        assert_eq!(ct.append_to(&mut one), copy.append_to(&mut other));
        assert_eq!(one.as_bytes(), other.as_bytes(), "a clone is built the same");
        // The guard accepts messages built by the library, as the kernel does.
        if !one.as_bytes()[20..].is_empty() {
            Conntrack::parse(one.as_bytes()).expect("a message");
        }
    }
    let mut parts = Conntrack::new().expect("an object");
    for part in [Parts::ORIGINAL, Parts::REPLY, Parts::META, Parts::all()] {
        let _ = parts.copy_parts(ct, part);
    }
    changed_nat(copy);
}

/// The library's operations that change a whole object.
fn changed_nat(mut ct: Conntrack) {
    let _ = (ct.undo_snat(), ct.undo_dnat(), ct.undo_port_snat(), ct.undo_port_dnat());
    let _ = (ct.setup_reply(), ct.setup_original());
    let _ = ct.append_to(&mut new_message(V4));
    let _ = ct.to_text(TextFormat::plain());
}

fn expectation(expect: &Expect) {
    let copy = expect.clone();
    assert!(expect.equals(&copy) && expect.agrees_with(&copy) && expect.is_within(&copy));
    let plain = TextFormat::plain();
    assert_eq!(expect.to_text(plain), copy.to_text(plain), "a clone prints the same");
    let _ = crate::Expectation::try_from(expect);
    for request in super::requests::ALL {
        let _ = crate::message::Message::for_expect(request, expect);
    }
}
