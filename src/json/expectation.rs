//! Expectations.

use serde::{Deserialize, Serialize};

use super::{flow, through, zone};
use crate::model::direction::Direction;
use crate::model::expectation::{Expectation, ExpectationFlags, ExpectationNat, SourceMask};
use crate::model::flow::HelperName;
use crate::model::form::{is_default, or_default};
use crate::model::tuple::Tuple;

/// The serialized form of an expectation. The kernel does not report its zone: a missing one is unknown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    master: Tuple,
    expected: Tuple,
    mask: SourceMask,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    timeout_nanos: u32,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    flags: ExpectationFlags,
    #[serde(skip_serializing_if = "Option::is_none")]
    helper: Option<HelperName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat: Option<ExpectationNat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
}

through!(Expectation, Fields);

impl From<&Expectation> for Fields {
    fn from(expectation: &Expectation) -> Self {
        Self {
            master: expectation.master,
            expected: expectation.expected,
            mask: expectation.mask,
            zone: expectation.zone.map(|zone| zone.id()),
            zone_direction: expectation.zone.and_then(|zone| zone.only()),
            id: expectation.id,
            timeout: expectation.timeout.map(|timeout| timeout.as_secs()),
            timeout_nanos: expectation.timeout.map_or(0, |timeout| timeout.subsec_nanos()),
            flags: expectation.flags,
            helper: expectation.helper,
            class: expectation.class,
            nat: expectation.nat,
            function: expectation.function.clone(),
        }
    }
}

impl TryFrom<Fields> for Expectation {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let zone = match (fields.zone, fields.zone_direction) {
            (None, None) => None,
            (None, Some(_)) => return Err("zone_direction without zone"),
            (Some(id), direction) => Some(zone::zone(id, direction)?),
        };
        Ok(Self {
            master: fields.master,
            expected: fields.expected,
            mask: fields.mask,
            zone,
            id: fields.id,
            timeout: flow::duration(fields.timeout, fields.timeout_nanos)?,
            flags: fields.flags,
            helper: fields.helper,
            class: fields.class,
            nat: fields.nat,
            function: fields.function,
        })
    }
}
