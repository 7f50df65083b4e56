#![doc = include_str!("../docs/guide/guide.md")]

#[doc = include_str!("../docs/guide/from_c.md")]
#[doc = include_str!("../docs/nfct.md")]
#[cfg(feature = "nfct")]
pub mod from_c {}

#[doc = include_str!("../docs/guide/from_conntrack.md")]
pub mod from_conntrack {}

#[doc = include_str!("../docs/guide/what_went_wrong.md")]
pub mod what_went_wrong {}

#[doc = include_str!("../docs/privileges.md")]
pub mod privileges {}

#[doc = include_str!("../docs/guide/kernels.md")]
pub mod kernels {}

#[doc = include_str!("../docs/guide/cookbook.md")]
pub mod cookbook {}
