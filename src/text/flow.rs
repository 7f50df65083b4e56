//! Flows in lines.

use std::fmt;

use super::line::Line;
use super::{label, time, tuple};
use crate::model::direction::Direction;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::flow::{Counters, Flow, ProtoInfo, rounded_up};
use crate::model::label::Labels;
use crate::model::proto::{Family, Protocol};
use crate::model::status::Status;
use crate::model::zone::Zone;

/// A [`Flow`] as conntrack(8) prints it, by `Display`: see [`Flow::text`].
///
/// ```
/// use netfilter_conntrack::{Flow, Tuple};
///
/// let flow = Flow::new(Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?).mark(7);
/// assert_eq!(
///     flow.text().layer3().to_string(),
///     "ipv4     2 udp      17 src=10.0.0.1 dst=10.0.0.2 sport=5000 dport=53 \
///      src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5000 mark=7",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct FlowText<'a> {
    flow: &'a Flow,
    event: Option<EventKind>,
    layer3: bool,
    id: bool,
    timestamps: bool,
    names: Option<&'a dyn Fn(u16) -> Option<&'a str>>,
}

impl Flow {
    /// Returns the flow as one line of conntrack(8), to be printed. [Options](FlowText) add to it.
    ///
    /// The line is byte for byte what the C library prints, except as [documented](crate::text). An entry
    /// that has a start and no end is printed with its age, by the clock at the time of printing.
    ///
    /// `Display` of the flow itself is shorter, for people, and may change.
    ///
    /// ```no_run
    /// use netfilter_conntrack::Handle;
    ///
    /// // What `conntrack -L -o id` prints.
    /// for flow in Handle::open()?.dump().entries()? {
    ///     println!("{}", flow?.text().id());
    /// }
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    #[doc(alias = "nfct_snprintf")]
    #[doc(alias = "nfct_snprintf_labels")]
    #[doc(alias = "NFCT_O_PLAIN")]
    #[doc(alias = "NFCT_O_DEFAULT")]
    pub fn text(&self) -> FlowText<'_> {
        FlowText { flow: self, event: None, layer3: false, id: false, timestamps: false, names: None }
    }
}

impl EntryEvent<Flow> {
    /// Returns the event as one line of `conntrack -E`: the [text of the flow](Flow::text) with the word for
    /// the kind of event in front.
    #[doc(alias = "nfct_snprintf")]
    pub fn text(&self) -> FlowText<'_> {
        self.entry.text().event(self.kind)
    }
}

impl<'a> FlowText<'a> {
    /// With the address family at the start of the line.
    #[doc(alias = "NFCT_OF_SHOW_LAYER3")]
    pub fn layer3(mut self) -> Self {
        self.layer3 = true;
        self
    }

    /// With the kernel's id of the entry, where it is known.
    #[doc(alias = "NFCT_OF_ID")]
    pub fn id(mut self) -> Self {
        self.id = true;
        self
    }

    /// With the times of start and end, where the flow has them, in UTC.
    #[doc(alias = "NFCT_OF_TIMESTAMP")]
    pub fn timestamps(mut self) -> Self {
        self.timestamps = true;
        self
    }

    /// With the names of the labels. Those that `name` has none for are left out.
    ///
    /// ```
    /// use netfilter_conntrack::{Flow, Labels, Tuple};
    ///
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// let flow = Flow::new(tuple).labels(Labels::of([1, 5, 64])?);
    /// let name = |label| match label {
    ///     1 => Some("web"),
    ///     64 => Some("customer"),
    ///     _ => None,
    /// };
    /// assert!(flow.text().labels(&name).to_string().ends_with(" labels=web,customer"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// With the feature `nfct`, `LabelMap::name` reads names from the file that conntrack(8) uses.
    #[doc(alias = "nfct_snprintf_labels")]
    pub fn labels(mut self, name: &'a dyn Fn(u16) -> Option<&'a str>) -> Self {
        self.names = Some(name);
        self
    }

    /// As the text of an event: with the word for its kind in front.
    #[doc(alias = "NFCT_T_NEW")]
    #[doc(alias = "NFCT_T_UPDATE")]
    #[doc(alias = "NFCT_T_DESTROY")]
    pub fn event(mut self, kind: EventKind) -> Self {
        self.event = Some(kind);
        self
    }
}

impl fmt::Display for FlowText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f);
        self.write(&mut line);
        line.finish()
    }
}

/// The line.
impl fmt::Debug for FlowText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FlowText<'_> {
    /// The order of the parts is the library's.
    fn write(&self, line: &mut Line<'_, '_>) {
        let flow = self.flow;
        label(line, self.event);
        if self.layer3 {
            line.text(match flow.original.family() {
                Family::Ipv4 => "ipv4     2 ",
                Family::Ipv6 => "ipv6     10 ",
            });
        }
        protocol(line, flow.original.protocol());
        if let Some(timeout) = flow.timeout {
            line.field(" ", rounded_up(timeout));
        }
        if let Some(info) = &flow.proto_info {
            state(line, info);
        }
        tuple::tuple(line, [" src=", " dst="], &flow.original);
        zone(line, flow.zone, Some(Direction::Original), " zone-orig=");
        counters(line, flow.counters.original);
        if flow.status.is_some_and(|status| !status.contains(Status::SEEN_REPLY)) {
            line.text(" [UNREPLIED]");
        }
        tuple::tuple(line, [" src=", " dst="], &flow.reply);
        zone(line, flow.zone, Some(Direction::Reply), " zone-reply=");
        counters(line, flow.counters.reply);
        if let Some(status) = flow.status {
            line.text(progress(status));
        }
        if let Some(mark) = flow.mark {
            line.field(" mark=", mark);
        }
        if let Some(context) = flow.security_context() {
            line.text(" secctx=");
            line.text(&context.to_string_lossy());
        }
        zone(line, flow.zone, None, " zone=");
        time::age(line, &flow.timestamps);
        if self.timestamps {
            time::times(line, &flow.timestamps);
        }
        if let Some(helper) = &flow.helper {
            line.text(" helper=");
            line.text(&String::from_utf8_lossy(helper.as_bytes()));
        }
        if let Some(count) = flow.use_count {
            line.field(" use=", count);
        }
        if let Some(id) = flow.id.filter(|_| self.id) {
            line.field(" id=", id);
        }
        if let Some((labels, name)) = flow.labels.zip(self.names) {
            labels_by_name(line, labels, name);
        }
    }
}

/// The name as wide as that of most, and the number.
fn protocol(line: &mut Line<'_, '_>, protocol: Protocol) {
    line.text(match protocol {
        Protocol::TCP => "tcp      ",
        Protocol::UDP => "udp      ",
        Protocol::UDPLITE => "udplite  ",
        Protocol::ICMP => "icmp     ",
        Protocol::ICMPV6 => "icmpv6   ",
        Protocol::SCTP => "sctp     ",
        Protocol::GRE => "gre      ",
        Protocol::DCCP => "dccp     ",
        _ => "unknown  ",
    });
    line.number(protocol.number().into());
}

/// A state without a name is printed as none.
fn state(line: &mut Line<'_, '_>, info: &ProtoInfo) {
    let name = match info {
        ProtoInfo::Tcp(info) => info.state.map(|state| state.name()),
        ProtoInfo::Sctp(info) => info.state.map(|state| state.name()),
        ProtoInfo::Dccp(info) => info.state.map(|state| state.name()),
    };
    if let Some(name) = name {
        line.text(" ");
        line.text(name.unwrap_or("NONE"));
    }
}

fn zone(line: &mut Line<'_, '_>, zone: Zone, only: Option<Direction>, name: &str) {
    if zone != Zone::DEFAULT && zone.only() == only {
        line.field(name, zone.id());
    }
}

fn counters(line: &mut Line<'_, '_>, counters: Option<Counters>) {
    if let Some(Counters { packets, bytes }) = counters {
        line.field(" packets=", packets);
        line.field(" bytes=", bytes);
    }
}

/// How far the flow has come.
fn progress(status: Status) -> &'static str {
    match status {
        _ if status.contains(Status::HW_OFFLOAD) => " [HW_OFFLOAD]",
        _ if status.contains(Status::OFFLOAD) => " [OFFLOAD]",
        _ if status.contains(Status::ASSURED) => " [ASSURED]",
        _ => "",
    }
}

/// Without a name for any of them the library leaves the word without its `=`.
fn labels_by_name<'a>(line: &mut Line<'_, '_>, labels: Labels, name: &dyn Fn(u16) -> Option<&'a str>) {
    line.text(" labels");
    let names = labels.iter().filter_map(name).filter(|name| !name.is_empty());
    for (place, name) in names.enumerate() {
        line.text(if place == 0 { "=" } else { "," });
        line.text(name);
    }
}
