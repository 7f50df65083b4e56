//! Invalid requests.

use std::net::IpAddr;

use super::zone::ZoneState;
use crate::model::proto::{Family, Protocol};

/// An invalid request, detected before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The request names no entry. A delete like that would empty the table.
    #[error("the request names no entry")]
    Unnamed,
    /// The request does not fit a message: a text in it is far longer than any that a kernel takes.
    #[error("the request does not fit a message")]
    TooLarge,
    /// The two addresses of a tuple are of different families.
    #[error("{src} and {dst} are not of one address family")]
    MixedFamilies {
        /// The source address.
        src: IpAddr,
        /// The destination address.
        dst: IpAddr,
    },
    /// Two parts of one flow are of different families.
    #[error("the {part} is {found}, the flow is {expected}")]
    OtherFamily {
        /// The part that differs.
        part: &'static str,
        /// Its family.
        found: Family,
        /// The family of the original tuple.
        expected: Family,
    },
    /// The reply tuple has another layer 4 protocol than the original one.
    #[error("the reply tuple is {reply}, the original tuple is {original}")]
    OtherProtocol {
        /// The protocol of the original tuple.
        original: Protocol,
        /// The protocol of the reply tuple.
        reply: Protocol,
    },
    /// Ports were given for a protocol that has none.
    #[error("{0} has no ports")]
    NoPorts(Protocol),
    /// ICMP fields were given for a protocol that has none.
    #[error("{0} has no ICMP fields")]
    NoIcmp(Protocol),
    /// A port was to be translated to, of a protocol of which the kernel translates addresses alone on
    /// request: one without ports, one that this kernel [keeps without](crate::model::Layer4::Other), or GRE,
    /// whose keys it translates by itself only, for the calls of a PPTP helper.
    #[error("of {0} the kernel translates addresses alone on request, no ports, ids or keys")]
    NoPortNat(Protocol),
    /// Source and destination NAT of an ICMP query with two different ids. It has one.
    #[error("an ICMP query has one id: NAT cannot lead to {snat} and to {dnat}")]
    TwoNatIds {
        /// The one given with source NAT.
        snat: u16,
        /// The one given with destination NAT.
        dnat: u16,
    },
    /// A tuple with nothing but addresses, for a protocol that is tracked with more.
    #[error("a tuple of {0} needs more than addresses")]
    IncompleteTuple(Protocol),
    /// ICMP between IPv6 addresses, or ICMPv6 between IPv4 addresses.
    #[error("{protocol} cannot run over {family}")]
    WrongIcmp {
        /// The protocol.
        protocol: Protocol,
        /// The family of the addresses.
        family: Family,
    },
    /// An ICMP message that has no answer makes no flow.
    #[error("{protocol} messages of type {icmp_type} are not tracked")]
    UntrackedIcmpType {
        /// ICMP or ICMPv6.
        protocol: Protocol,
        /// The message type.
        icmp_type: u8,
    },
    /// Protocol state of one protocol on a flow of another.
    #[error("{state} state on a flow of {flow}")]
    WrongProtocolState {
        /// The protocol that the state belongs to.
        state: Protocol,
        /// The protocol of the flow.
        flow: Protocol,
    },
    /// A protocol state that has no name here, such as a newer kernel may report. Neither the C
    /// library nor the kernels known to it take one.
    #[error("there is no {protocol} state {state}")]
    UnknownState {
        /// The protocol that the state belongs to.
        protocol: Protocol,
        /// Its number.
        state: u8,
    },
    /// The kernel takes the state of an SCTP association and both verification tags together.
    #[error("SCTP state and both verification tags have to be given together")]
    IncompleteSctp,
    /// A TCP window scale above 14.
    #[error("window scale {0} is above 14")]
    WindowScaleTooHigh(u8),
    /// NAT to port 0. The id of an ICMP query can be 0.
    #[error("NAT cannot lead to port 0")]
    NatToPort0,
    /// NAT to the unspecified address, `0.0.0.0` or `::`.
    #[error("NAT cannot lead to the unspecified address")]
    NatToUnspecified,
    /// A flow to be created has no timeout; the kernel has no default for it.
    #[error("a new flow needs a timeout")]
    MissingTimeout,
    /// A flow to be created has a timeout of zero: the kernel would report success, and no entry would exist.
    #[error("a new flow needs a timeout above zero")]
    ZeroTimeout,
    /// A TCP flow to be created has no state. The kernel would take it for one that has seen no packet yet,
    /// and the next packet of an established connection for an invalid one. If you intend that, use
    /// [`TcpState::None`](crate::TcpState::None).
    #[error("a new TCP flow needs a state")]
    MissingTcpState,
    /// A timeout above `u32::MAX` seconds.
    #[error("the timeout is longer than {} seconds", u32::MAX)]
    TimeoutTooLong,
    /// An expectation's timeout of zero, with which it would end at once, or of more than 2,147,483
    /// seconds (24 days): kernels count its ticks, up to 1000 a second, in 32 bits, some with a sign,
    /// and would silently make a shorter one of it.
    #[error("the timeout of an expectation has 1 to {} seconds", i32::MAX / 1000)]
    ExpectationTimeout,
    /// A helper name that is empty, has more than 15 bytes, or has a NUL byte.
    #[error("a helper name has 1 to 15 bytes and no NUL byte")]
    HelperName,
    /// The name of a kernel function that is empty, has more than 23 bytes, or has a NUL byte.
    #[error("a function name has 1 to 23 bytes and no NUL byte")]
    FunctionName,
    /// A label above 127.
    #[error("label {0} is above 127")]
    LabelTooHigh(u16),
    /// A mask of labels to be changed, without the labels.
    #[error("a label mask without labels")]
    LabelMaskAlone,
    /// A label that is to be set and is not in the mask of labels to be changed: the kernel would set it
    /// where it is clear and clear it where it is set.
    #[error("label {0} is outside the label mask")]
    LabelOutsideMask(u16),
    /// NAT or a master, which can only be given when the flow is created.
    #[error("{0} can be given only when a flow is created")]
    OnlyAtCreation(&'static str),
    /// An entry in a zone for one direction is to be deleted by a request without its id: the kernel would
    /// delete one of any zone that has the number in that direction.
    #[error("a delete in a zone for one direction needs the id of the entry")]
    MissingId,
    /// A range of zones that has none.
    #[error("the range of zones is empty")]
    EmptyRange,
    /// A zone that a [`ZoneAllocator`](crate::handle::ZoneAllocator) cannot give.
    #[error("zone {zone} cannot be had: it is {state}")]
    ZoneNotFree {
        /// The zone.
        zone: u16,
        /// What it is instead.
        state: ZoneState,
    },
    /// A zone that a [`ZoneAllocator`](crate::handle::ZoneAllocator) did not give, and so does not take back.
    #[error("zone {zone} cannot be released: it is not allocated but {state}")]
    ZoneNotAllocated {
        /// The zone.
        zone: u16,
        /// What it is instead.
        state: ZoneState,
    },
    /// A status filter with an empty mask.
    #[error("a status filter needs at least one bit in its mask")]
    EmptyStatusMask,
    /// A filter that matches everything, in a call that requires you to request everything by name.
    #[error("the filter lets everything pass")]
    EmptyFilter,
    /// A value with bits outside its mask: nothing can match it, and a mark cannot be changed to it.
    #[error("the value {value:#x} has bits outside the mask {mask:#x}")]
    ValueOutsideMask {
        /// The value.
        value: u32,
        /// The mask.
        mask: u32,
    },
    /// Text that is not what it was read as.
    #[error("{text:?} is not {expected}")]
    Text {
        /// The invalid text: the offending part, if it can be isolated. A long one is cut.
        text: Box<str>,
        /// The expected form, with its article: `a port`.
        expected: &'static str,
    },
    /// A subscription to events without a group.
    #[error("no group of events to listen to")]
    NoGroups,
    /// A selector for events has a condition that no event of the subscribed groups can answer.
    #[error("the events listened to never say {0} of a flow")]
    NotInEvents(&'static str),
    /// A mask of bits of the mark to be changed, without the mark.
    #[error("a mark mask without a mark")]
    MarkMaskAlone,
    /// A change that changes nothing.
    #[error("there is nothing in the change")]
    EmptyChange,
    /// A status in the [verdict on a packet](crate::message::verdict_attributes).
    #[error("a verdict cannot set status flags without clearing others")]
    StatusInVerdict,
    /// A part of a change that the [verdict on a packet](crate::message::verdict_attributes) cannot make.
    #[error("a verdict cannot set {0}")]
    NotInVerdict(&'static str),
    /// A label that is to be added and removed at once.
    #[error("a label is both added and removed")]
    LabelAddedAndRemoved,
    /// A mark is compared through an empty mask.
    #[error("a mark needs at least one bit in its mask")]
    EmptyMarkMask,
    /// A selector without a condition.
    #[error("a selector needs a condition; Selector::all() selects everything")]
    EmptySelector,
    /// The opposite of a selector that matches nothing, as an empty list does.
    #[error("the opposite of nothing is everything, which only Selector::all() selects")]
    OppositeOfNothing,
    /// One selector of a set is refused.
    #[error("selector {position} of the set: {error}")]
    Selector {
        /// Its position among the [selectors](crate::select::SelectorSet::selectors), counted from 0.
        position: usize,
        /// Why.
        error: Box<InputError>,
    },
    /// A selector with more than 128 levels of and, or, not inside each other.
    #[error("a selector of more than 128 levels of and, or, not")]
    SelectorTooDeep,
    /// Two conditions that no entry can fulfil together.
    #[error("two different {0} are asked for at once: nothing can match")]
    Contradiction(&'static str),
    /// "All of" or "none of" without labels would be true of every entry.
    #[error("a condition on labels needs at least one label")]
    NoLabels,
    /// A range of ports that ends before it begins.
    #[error("a range of ports ends before it begins")]
    ReversedPorts,
    /// A range of durations that has none.
    #[error("a range of durations ends before it begins")]
    EmptySpan,
}

impl InputError {
    /// The most characters of a text that is not understood that an error repeats.
    const REPEATED: usize = 64;

    /// Text that is not what it was read as.
    pub(crate) fn text(text: &str, expected: &'static str) -> Self {
        Self::Text { text: text.chars().take(Self::REPEATED).collect(), expected }
    }
}
