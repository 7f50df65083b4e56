//! Counters without a name: a list of objects.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    attribute: u16,
    value: u32,
}

pub(crate) fn serialize<S: Serializer>(counters: &[(u16, u32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(counters.iter().map(|&(attribute, value)| Other { attribute, value }))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u16, u32)>, D::Error> {
    let counters: Vec<Other> = super::or_default(deserializer)?;
    Ok(counters.into_iter().map(|Other { attribute, value }| (attribute, value)).collect())
}
