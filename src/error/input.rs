//! Requests that make no sense.

use std::net::IpAddr;

use crate::proto::{Family, Protocol};
use crate::zone::ZoneState;

/// A request that makes no sense, seen before anything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
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
    /// Ports were to be translated for a protocol for which the request cannot say so (only TCP
    /// and UDP ports are carried).
    #[error("ports of {0} cannot be translated on request, only those of TCP and UDP")]
    NoPortNat(Protocol),
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
    #[error("{protocol} messages of type {kind} are not tracked")]
    UntrackedIcmpType {
        /// ICMP or ICMPv6.
        protocol: Protocol,
        /// The message type.
        kind: u8,
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
    /// NAT to port 0.
    #[error("NAT cannot lead to port 0")]
    NatToPort0,
    /// NAT to the unspecified address, `0.0.0.0` or `::`.
    #[error("NAT cannot lead to the unspecified address")]
    NatToUnspecified,
    /// A flow to be created has no timeout; the kernel has no default for it.
    #[error("a new flow needs a timeout")]
    MissingTimeout,
    /// A flow to be created has a timeout of zero: the kernel would say that it was created, and
    /// nothing would be there.
    #[error("a new flow needs a timeout above zero")]
    ZeroTimeout,
    /// A timeout above `u32::MAX` seconds.
    #[error("the timeout is longer than {} seconds", u32::MAX)]
    TimeoutTooLong,
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
    /// A zone that a [`ZoneAllocator`](crate::ZoneAllocator) cannot give.
    #[error("zone {zone} cannot be had: it is {state}")]
    ZoneNotFree {
        /// The zone.
        zone: u16,
        /// What it is instead.
        state: ZoneState,
    },
    /// A zone that a [`ZoneAllocator`](crate::ZoneAllocator) did not give, and so does not take back.
    #[error("zone {zone} cannot be released: it is not allocated but {state}")]
    ZoneNotAllocated {
        /// The zone.
        zone: u16,
        /// What it is instead.
        state: ZoneState,
    },
    /// A status filter without a bit to look at.
    #[error("a status filter needs at least one bit in its mask")]
    EmptyStatusMask,
    /// A filter that lets everything pass, where everything has to be asked for by its own name.
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
    /// Text that is neither the name nor the number of a layer 4 protocol.
    #[error("not the name or number of a protocol")]
    NotAProtocol,
    /// Text that is neither `IPv4` nor `IPv6`.
    #[error("not an address family: IPv4 or IPv6")]
    NotAFamily,
    /// Events of no group are to be listened to.
    #[error("no group of events to listen to")]
    NoGroups,
    /// A selector for events has a condition that none of the events listened to can answer.
    #[error("the events listened to never say {0} of a flow")]
    NotInEvents(&'static str),
    /// A mask of bits of the mark to be changed, without the mark.
    #[error("a mark mask without a mark")]
    MarkMaskAlone,
    /// A change that changes nothing.
    #[error("there is nothing in the change")]
    EmptyChange,
    /// A label that is to be added and removed at once.
    #[error("a label is both added and removed")]
    LabelAddedAndRemoved,
    /// A mark is looked at through a mask without a bit.
    #[error("a mark needs at least one bit in its mask")]
    EmptyMarkMask,
    /// A selector without a condition.
    #[error("a selector needs a condition; Selector::all() selects everything")]
    EmptySelector,
    /// The opposite of a selector that matches nothing, as an empty list does.
    #[error("the opposite of nothing is everything, which only Selector::all() selects")]
    OppositeOfNothing,
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
