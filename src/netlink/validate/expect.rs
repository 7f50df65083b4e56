//! Expectations, which only the C parser needs to have checked: the decoder checks as it reads.

use super::{HELPER_NAME, Malformed, Rule, Schema, TUPLE, U16, U32, Unlisted, message, schema};
use crate::netlink::validate::Checked;

pub(super) const NFNL_SUBSYS_CTNETLINK_EXP: u16 = 2;
/// The size of the C library's field.
const EXPECT_FN: Rule = Rule::Text(24);

pub(super) static EXPECTATION: Schema = schema(&[
    (1, "CTA_EXPECT_MASTER", Rule::Nest(&TUPLE)),
    (2, "CTA_EXPECT_TUPLE", Rule::Nest(&TUPLE)),
    (3, "CTA_EXPECT_MASK", Rule::Nest(&TUPLE)),
    (4, "CTA_EXPECT_TIMEOUT", U32),
    (5, "CTA_EXPECT_ID", U32),
    (6, "CTA_EXPECT_HELP_NAME", HELPER_NAME),
    (7, "CTA_EXPECT_ZONE", U16),
    (8, "CTA_EXPECT_FLAGS", U32),
    (9, "CTA_EXPECT_CLASS", U32),
    (10, "CTA_EXPECT_NAT", Rule::Nest(&EXPECT_NAT)),
    (11, "CTA_EXPECT_FN", EXPECT_FN),
]);

/// As for `CTA_PROTOINFO`.
static EXPECT_NAT: Schema = Schema {
    known: &[(1, "CTA_EXPECT_NAT_DIR", U32), (2, "CTA_EXPECT_NAT_TUPLE", Rule::Nest(&TUPLE))],
    unlisted: Unlisted::Hidden,
};

/// Checks that bytes begin with a well-formed expectation message, and returns that message alone.
pub(crate) fn expectation_message(bytes: &[u8]) -> Result<Checked<'_>, Malformed> {
    message(bytes, NFNL_SUBSYS_CTNETLINK_EXP, &EXPECTATION)
}
