//! Seeds: messages of the running kernel, made in a network namespace of its own, and the entries in them as
//! JSON.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::events::Groups;
use crate::handle::Handle;
use crate::model::expectation::Expectation;
use crate::model::flow::Flow;
use crate::netlink::link::{Answer, Link};
use crate::netlink::message::MessageBuf;
use crate::netlink::monitor::{Monitor, Notice};
use crate::netlink::uapi::{CT_GET, EXP_GET, SUBSYS_CTNETLINK_EXP};
use crate::netlink::wait::Wait;
use crate::nfct::tests::encode::Chance;
use crate::select::random;
use crate::{netns, save};

/// The number of entries tried; some have the tuple of another, or a part that this kernel lacks.
const TRIED: usize = 150;
/// Enough seeds of one kind.
const ENOUGH: usize = 200;

/// Writes seeds for each target to a folder with its name. If no network namespace can be created, only those
/// that need no kernel are written.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    for target in ["messages", "decoder", "requests", "json", "selectors", "text", "objects"] {
        fs::create_dir_all(folder.join(target))?;
        // Enough bytes to start the generators.
        for form in 0..32u8 {
            let bytes: Vec<u8> =
                (0..120u8).map(|byte| byte.wrapping_mul(form | 1).wrapping_add(form)).collect();
            put(folder, target, &[&[form], &bytes[..]].concat())?;
        }
    }
    if !netns::own_namespace() {
        return Ok(());
    }
    let messages = messages().map_err(|error| io::Error::other(error.to_string()))?;
    let mut flows = Vec::new();
    for message in &messages {
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        let form = u8::from(kind & 0xff00 == SUBSYS_CTNETLINK_EXP);
        for target in ["messages", "decoder"] {
            put(folder, target, &[&[form], &message[..]].concat())?;
        }
        if let Ok(flow) = Flow::from_message(message) {
            put(folder, "text", &[&[0, message[20]], &message[..]].concat())?;
            let text = serde_json::to_vec(&flow)?;
            put(folder, "json", &[&[0], &text[..]].concat())?;
            flows.push(flow);
        }
    }
    let lines = save::written(&flows[..flows.len().min(20)]);
    put(folder, "json", &[&[1], &lines[..]].concat())?;
    println!("{} messages of this kernel", messages.len());
    Ok(())
}

/// Writes a file named after its contents, so that nothing is there twice.
fn put(folder: &Path, target: &str, bytes: &[u8]) -> io::Result<()> {
    let name = format!("{:016x}", super::source::begin(bytes));
    fs::write(folder.join(target).join(name), bytes)
}

/// Events and dumps of entries and expectations, with every part that requests can set.
fn messages() -> crate::Result<Vec<Vec<u8>>> {
    let mut handle = Handle::open()?;
    let mut monitor = Monitor::open().expect("a socket");
    monitor.socket().join((Groups::FLOWS | Groups::EXPECTATIONS).numbers()).expect("both groups");
    let (mut chance, mut small) = (Chance(0x5eed), random::Chance(0x5eed));
    let mut made = Vec::new();
    for number in 0..TRIED {
        let mut flow = if number % 2 == 0 { chance.flow() } else { small.flow() };
        flow.timeout = Some(Duration::from_secs(300));
        flow.extra.master = flow.extra.master.filter(|_| number % 5 == 0);
        if handle.create(&flow).is_ok() {
            made.push(flow);
        }
    }
    for flow in &made {
        let _ = handle.update(&flow.identity().mark(7));
        let expected = flow.original.inverse();
        let _ = handle.expectations().create(&Expectation::new(flow.original, expected));
    }
    let mut messages = listing(CT_GET);
    messages.extend(listing(EXP_GET));
    for flow in &made {
        let _ = handle.delete(flow);
    }
    while let Ok(Notice::Message(message)) = monitor.next(Wait::No) {
        if messages.len() < 3 * ENOUGH {
            messages.push(monitor.bytes(message.range).to_vec());
        }
    }
    Ok(messages)
}

fn listing(kind: u16) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let Ok(mut link) = Link::open(Duration::from_secs(5)) else { return messages };
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let Ok(seq) = link.start_dump(&mut MessageBuf::new(kind, flags, 0, 0)) else { return messages };
    while let Ok(Answer::Message(range)) = link.answer(seq) {
        messages.push(link.bytes(range).to_vec());
    }
    messages.truncate(ENOUGH);
    messages
}
