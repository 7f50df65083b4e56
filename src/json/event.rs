//! Events: their kind is in `event`, the entry in a field named after its type.

use serde::{Deserialize, Serialize};

use super::through;
use crate::events::Event;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::expectation::Expectation;
use crate::model::flow::Flow;

/// The kind of event.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    New,
    Update,
    Destroy,
    Overrun,
    Woken,
}

impl From<EventKind> for What {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::New => Self::New,
            EventKind::Update => Self::Update,
            EventKind::Destroy => Self::Destroy,
        }
    }
}

/// The serialized form of any event.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    event: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expectation: Option<Expectation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u32>,
}

impl Fields {
    fn of<T>(event: &EntryEvent<T>) -> Self {
        let (port_id, namespace) = (Some(event.port_id), event.namespace);
        Self { port_id, namespace, ..Self::bare(event.kind.into()) }
    }

    /// An event without an entry.
    fn bare(event: What) -> Self {
        Self { event, flow: None, expectation: None, port_id: None, namespace: None, lost: None }
    }
}

through!(Event, Fields);
through!(EntryEvent<Flow>, Fields);
through!(EntryEvent<Expectation>, Fields);

impl From<&EntryEvent<Flow>> for Fields {
    fn from(event: &EntryEvent<Flow>) -> Self {
        Self { flow: Some(event.entry.clone()), ..Self::of(event) }
    }
}

impl From<&EntryEvent<Expectation>> for Fields {
    fn from(event: &EntryEvent<Expectation>) -> Self {
        Self { expectation: Some(event.entry.clone()), ..Self::of(event) }
    }
}

impl From<&Event> for Fields {
    fn from(event: &Event) -> Self {
        match event {
            Event::Flow(event) => event.into(),
            Event::Expectation(event) => event.into(),
            Event::Overrun { lost } => Self { lost: *lost, ..Self::bare(What::Overrun) },
            Event::Woken => Self::bare(What::Woken),
        }
    }
}

impl TryFrom<Fields> for Event {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { event, flow, expectation, port_id, namespace, lost } = fields;
        let is_alone = flow.is_none() && expectation.is_none() && port_id.is_none() && namespace.is_none();
        let kind = match event {
            What::New => EventKind::New,
            What::Update => EventKind::Update,
            What::Destroy => EventKind::Destroy,
            What::Overrun => {
                return is_alone.then_some(Self::Overrun { lost }).ok_or("an overrun has nothing but lost");
            }
            What::Woken => {
                let is_alone = is_alone && lost.is_none();
                return is_alone.then_some(Self::Woken).ok_or("woken has nothing else");
            }
        };
        if lost.is_some() {
            return Err("only an overrun has lost");
        }
        let port_id = port_id.ok_or("an event of an entry has a port_id")?;
        match (flow, expectation) {
            (Some(entry), None) => Ok(Self::Flow(EntryEvent { kind, entry, port_id, namespace })),
            (None, Some(entry)) => Ok(Self::Expectation(EntryEvent { kind, entry, port_id, namespace })),
            _ => Err("an event has a flow or an expectation"),
        }
    }
}

impl TryFrom<Fields> for EntryEvent<Flow> {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match fields.try_into()? {
            Event::Flow(event) => Ok(event),
            _ => Err("not an event of a flow"),
        }
    }
}

impl TryFrom<Fields> for EntryEvent<Expectation> {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match fields.try_into()? {
            Event::Expectation(event) => Ok(event),
            _ => Err("not an event of an expectation"),
        }
    }
}
