//! A sample of the flows: the same one of each number of them in every event, in every stream.
//!
//! The id of a flow decides, which the kernel makes by a keyed hash (since Linux 5.1; before, from its
//! address in memory). The product with an odd number spreads differences in the lower bits to the upper
//! ones.

use std::num::NonZeroU32;

/// The factor of an id: 2^32 divided by the golden ratio.
pub(super) const FACTOR: u32 = 0x9e37_79b1;

/// Below this are the products of the ids in a sample of one in so many; `None` where all are in it.
pub(super) fn limit(one_in: NonZeroU32) -> Option<u32> {
    u32::try_from((1u64 << 32) / u64::from(one_in.get())).ok()
}

/// Whether a flow is in the sample. A flow without an id is, since this cannot be decided.
pub(super) fn has(one_in: NonZeroU32, id: Option<u32>) -> bool {
    match (limit(one_in), id) {
        (Some(limit), Some(id)) => id.wrapping_mul(FACTOR) < limit,
        _ => true,
    }
}
