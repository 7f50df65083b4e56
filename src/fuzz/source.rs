//! The fuzzer's bytes as numbers.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};

thread_local! {
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lets the generators draw from these bytes. After the last one they continue from the number returned here:
/// the same for the same bytes, and never 0.
pub(crate) fn begin(data: &[u8]) -> u64 {
    // Bytes are drawn from the end, which is cheap.
    BYTES.with_borrow_mut(|bytes| {
        bytes.clear();
        bytes.extend(data.iter().rev());
    });
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish() | 1
}

/// Returns a number below `end`, or `None` after the last byte.
pub(crate) fn below(end: u64) -> Option<u64> {
    let width = match end {
        ..=0x100 => 1,
        ..=0x1_0000 => 2,
        ..=0x1_0000_0000 => 4,
        _ => 8,
    };
    draw(width).map(|number| number % end)
}

pub(crate) fn number() -> Option<u64> {
    draw(8)
}

fn draw(width: usize) -> Option<u64> {
    BYTES.with_borrow_mut(|bytes| {
        let rest = bytes.len().checked_sub(width)?;
        Some(bytes.drain(rest..).fold(0, |number, byte| number << 8 | u64::from(byte)))
    })
}
