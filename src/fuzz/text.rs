//! Lines compared with those that the C library prints.

use super::source;
use crate::model::flow::Flow;
use crate::nfct::tests::alike;
use crate::nfct::tests::alike_expect::reported;
use crate::nfct::tests::encode::Chance;
use crate::nfct::tests::entry::Entry;
use crate::nfct::tests::hostile::{fix_length, mutate};
use crate::nfct::tests::sample::Random;
use crate::nfct::tests::text::{compare_expectation, compare_flow, names};
use crate::nfct::{Conntrack, LabelMap};

thread_local! {
    static NAMES: LabelMap = names();
}

pub(super) fn run(data: &[u8]) {
    let [form, options, rest @ ..] = data else { return };
    let options = usize::from(*options);
    let mut random = Random::new(source::begin(rest));
    match form % 4 {
        // Unmodified, because seeds are real messages.
        0 => reported_flow(rest, options),
        1 => {
            let mut message = Entry::random(&mut random).message();
            for _ in 0..random.below(4) {
                mutate(&mut message, &mut random);
            }
            fix_length(&mut message);
            reported_flow(&message, options);
        }
        2 => flow(&Chance(random.next() | 1).flow(), options),
        _ => compare_expectation(reported(&mut Chance(random.next() | 1)), options),
    }
}

fn reported_flow(message: &[u8], options: usize) {
    if let Ok(reported) = alike::ours(message) {
        flow(&reported, options);
    }
}

fn flow(flow: &Flow, options: usize) {
    // Contradictory input makes no object.
    if let Ok(object) = Conntrack::try_from(flow) {
        NAMES.with(|names| compare_flow(flow, &object, options, names));
    }
}
