//! Sequence numbers at the end of their range.

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
const ACKNOWLEDGED: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;

/// A request that is answered with a verdict alone: nothing is asked for that could be found.
fn refused() -> MessageBuf {
    MessageBuf::new(uapi::CT_NEW, ACKNOWLEDGED, libc::AF_INET as u8, 0)
}

fn batch_of(requests: usize) -> Batch {
    let mut batch = Batch::default();
    (0..requests).for_each(|_| batch.push(&refused()));
    batch
}

#[test]
fn requests_are_numbered_up_to_the_highest_number() {
    let mut batch = batch_of(3);
    batch.number(u32::MAX - 2);
    let numbers: Vec<_> = batch.bytes.chunks(20).map(|request| request[8..12].to_vec()).collect();
    assert_eq!(numbers, [u32::MAX - 2, u32::MAX - 1, u32::MAX].map(|seq| seq.to_ne_bytes().to_vec()));
    let flags = batch.bytes.chunks(20).map(|request| u16::from_ne_bytes([request[6], request[7]]));
    let acknowledged: Vec<_> = flags.map(|flags| flags & libc::NLM_F_ACK as u16 != 0).collect();
    assert_eq!(acknowledged, [false, false, true]);
}

/// Wherever in a batch the numbers end, each request has its answer, and none is number 0.
#[test]
fn answers_are_found_when_the_numbers_begin_anew() {
    if !crate::netns::own_namespace() {
        return;
    }
    let mut link = Link::open(PATIENCE).expect("a link");
    for left in 0..8 {
        link.seq = u32::MAX - left;
        let mut batch = batch_of(4);
        let first = link.send_batch(&mut batch).expect("sent");
        let last = first.checked_add(3).expect("in a row");
        assert!(first > 0);
        for expected in first..=last {
            let (seq, answer) = link.answer_among(first, last, PATIENCE).expect("an answer");
            assert_eq!(seq, expected);
            assert!(matches!(answer, Answer::Refused { errno: libc::ENOENT, .. }), "{answer:?}");
        }
        link.seq = u32::MAX - left;
        for _ in 0..3 {
            let seq = link.send(&mut refused()).expect("sent");
            assert!(seq > 0);
            assert!(matches!(link.answer(seq), Ok(Answer::Refused { .. })));
        }
    }
}
