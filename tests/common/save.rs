//! Saves of tables.
#![cfg(feature = "save")]

use netfilter_conntrack::Handle;

/// The first line of a save.
pub const HEADER: &str = "{\"format\":\"netfilter-conntrack flows\",\"version\":1}";
/// The last line of a save.
pub const END: &str = "{\"end\":\"complete\"}";

/// Returns the table as a save.
pub fn saved(handle: &mut Handle) -> Vec<u8> {
    let mut text = Vec::new();
    let saved = handle.dump().save(&mut text).unwrap_or_else(|error| panic!("{error}"));
    assert!(saved.is_complete());
    assert_eq!(saved.flows, text.iter().filter(|&&byte| byte == b'\n').count() as u64 - 2);
    text
}
