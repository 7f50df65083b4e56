//! The memory of saving and restoring.

use std::io;

use crate::common::memory::peak;
use crate::common::save::{END, HEADER, saved};
use crate::common::{flow, numbered, tcp, udp};
use netfilter_conntrack::Error;
use netfilter_conntrack::save::{RestoreError, Restored};

/// More flows than may wait for their master: the first are given up, and the others continue.
#[test]
fn orphans_without_end_are_given_up_and_memory_does_not_grow() {
    let mut handle = require_kernel!();
    let nobody = tcp("10.0.0.1:1000", "10.0.0.2:21");
    let orphan =
        serde_json::to_string(&flow(udp("10.9.0.2:20", "10.0.0.1:4000")).with_master(nobody)).unwrap();
    let flows = std::iter::repeat_n(orphan.as_str(), 8_500);
    let last = serde_json::to_string(&numbered(7)).unwrap();
    let text = [HEADER].into_iter().chain(flows).chain([&*last, END]).collect::<Vec<_>>().join("\n");
    let (bytes, (missing, made)) = peak(|| {
        let (mut missing, mut made) = (0, 0);
        for result in handle.restore(text.as_bytes()) {
            match result.result {
                Err(RestoreError::Create(Error::NotFound(_))) => missing += 1,
                verdict => made += usize::from(verdict.is_ok()),
            }
        }
        (missing, made)
    });
    assert_eq!((missing, made), (8_500, 1));
    assert!(bytes < 32 << 20, "{bytes}");
}

/// Security contexts, the only part of a flow without a bound of its own, in waiting flows.
#[test]
fn orphans_with_long_security_contexts_take_no_more_memory() {
    let mut handle = require_kernel!();
    let mut orphan =
        flow(udp("10.9.0.2:20", "10.0.0.1:4000")).with_master(tcp("10.0.0.1:1000", "10.0.0.2:21"));
    orphan.set_security_context(Some("x".repeat(60_000).into()));
    let orphan = serde_json::to_string(&orphan).expect("a line");
    let flows = std::iter::repeat_n(orphan.as_str(), 1_000);
    let text = [HEADER].into_iter().chain(flows).chain([END]).collect::<Vec<_>>().join("\n");
    let (bytes, missing) = peak(|| {
        let missing = |one: &Restored| matches!(&one.result, Err(RestoreError::Create(Error::NotFound(_))));
        handle.restore(text.as_bytes()).filter(missing).count()
    });
    assert_eq!(missing, 1_000);
    assert!(bytes < 40 << 20, "{bytes}");
}

#[test]
fn memory_does_not_grow_with_the_save() {
    let mut handle = require_kernel!();
    let mut peaks = Vec::new();
    for entries in [500, 2_500] {
        handle.flush().expect("flushed");
        let flows: Vec<_> = (0..entries).map(numbered).collect();
        for (_, verdict) in handle.create_many(&flows) {
            verdict.expect("created");
        }
        drop(flows);
        let text = saved(&mut handle);
        let (of_save, ()) = peak(|| {
            let _ = handle.dump().save(io::sink()).expect("saved");
        });
        handle.flush().expect("flushed");
        let (of_restore, count) = peak(|| handle.restore(&text[..]).filter(|one| one.result.is_ok()).count());
        assert_eq!(count, entries as usize);
        peaks.push((of_save, of_restore));
    }
    assert!(peaks.iter().all(|(save, restore)| *save < 64 << 10 && *restore < 1 << 20), "{peaks:?}");
    assert!(peaks[1].1 <= peaks[0].1 + (64 << 10), "{peaks:?}");
}
