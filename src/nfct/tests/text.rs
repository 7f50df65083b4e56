//! Lines of plain data beside those that the C library prints of the same. All its releases print alike:
//! where one ever differs, a test here names it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::alike;
use super::alike_expect::reported;
use super::encode::Chance;
use super::entry::{DCCP, Entry, SCTP, bytes, nest, ports};
use super::hostile::cases;
use super::sample::{Random, TCP, state_message};
use crate::error::Result;
use crate::model::event::EventKind;
use crate::model::expectation::{Expectation, ExpectationFlags};
use crate::model::flow::{Flow, HelperName};
use crate::model::label::Labels;
use crate::model::proto::Protocol;
use crate::model::status::Status;
use crate::model::tuple::{Layer4, Tuple};
use crate::model::zone::Zone;
use crate::netlink::uapi::{cta, nest as within};
use crate::nfct::{Conntrack, Expect, LabelMap, TextFormat, attr};
use crate::text::FlowText;

/// Names for every other label.
pub(crate) fn names() -> LabelMap {
    let path = std::env::temp_dir().join(format!(
        "nfct-lines-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let lines: String = (0..128).step_by(2).map(|label| format!("{label} name-{label}\n")).collect();
    std::fs::write(&path, lines).expect("a file");
    let map = LabelMap::open(&path);
    std::fs::remove_file(&path).expect("removed");
    map.expect("a map")
}

/// Which options a line has.
#[derive(Debug, Clone, Copy)]
struct Options {
    event: Option<EventKind>,
    layer3: bool,
    id: bool,
    timestamps: bool,
    labels: bool,
}

impl Options {
    fn numbered(number: usize) -> Self {
        let events = [None, Some(EventKind::New), Some(EventKind::Update), Some(EventKind::Destroy)];
        let with = |bit: usize| number & 1 << bit != 0;
        // Only in UTC is there one text for a time.
        let timestamps = with(4) && is_utc();
        Self { event: events[number % 4], layer3: with(2), id: with(3), timestamps, labels: with(5) }
    }

    fn theirs(self, names: &LabelMap) -> TextFormat<'_> {
        let mut format = TextFormat::plain();
        if let Some(event) = self.event {
            format = format.event(event);
        }
        if self.layer3 {
            format = format.layer3();
        }
        if self.id {
            format = format.id();
        }
        if self.timestamps {
            format = format.timestamps();
        }
        if self.labels { format.labels(names) } else { format }
    }

    fn ours<'a>(self, mut text: FlowText<'a>, name: &'a dyn Fn(u16) -> Option<&'a str>) -> FlowText<'a> {
        if let Some(event) = self.event {
            text = text.event(event);
        }
        if self.layer3 {
            text = text.layer3();
        }
        if self.id {
            text = text.id();
        }
        if self.timestamps {
            text = text.timestamps();
        }
        if self.labels { text.labels(name) } else { text }
    }
}

/// Whether the process is in UTC by the C library, as it is in containers and in `tests/text_identical.rs`.
fn is_utc() -> bool {
    static IS_UTC: OnceLock<bool> = OnceLock::new();
    *IS_UTC.get_or_init(|| {
        let mut flow = Flow::new("udp 10.0.0.1:1 -> 10.0.0.2:2".parse().expect("a tuple"));
        // In winter and in summer.
        let times =
            [(1_767_000_000, "Mon Dec 29 09:20:00 2025"), (1_750_000_000, "Sun Jun 15 15:06:40 2025")];
        times.into_iter().all(|(seconds, text)| {
            flow.timestamps.start = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let printed = printed(&flow, TextFormat::plain().timestamps()).expect("text");
            printed.ends_with(&format!(" [start={text}]"))
        })
    })
}

/// Compares a flow's line with the C library's of this object. An age goes by the clock, which may go on in
/// between; `time` of the C library lags some milliseconds.
fn compare(flow: &Flow, object: &Conntrack, options: Options, names: &LabelMap) {
    if cfg!(all(target_arch = "x86", target_env = "gnu")) && is_after_2038(flow) {
        // Its `time_t` has 32 bits, to which the C library cuts the time and the age.
        return;
    }
    let mut lines = Default::default();
    for _ in 0..20 {
        lines = (
            options.ours(flow.text(), &|label| names.name(label)).to_string(),
            object.to_text(options.theirs(names)).expect("text"),
        );
        if lines.0 == lines.1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(lines.0, lines.1, "{options:?} {flow:?}");
}

fn is_after_2038(flow: &Flow) -> bool {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(i32::MAX as u64);
    [flow.timestamps.start, flow.timestamps.stop].into_iter().flatten().any(|time| time > last)
}

/// As the C library prints a flow.
fn printed(flow: &Flow, format: TextFormat<'_>) -> Result<String> {
    Ok(Conntrack::try_from(flow)?.to_text(format)?)
}

#[test]
fn lines_of_reported_entries_are_the_c_librarys() {
    let mut random = Random::new(21);
    let names = names();
    for number in 0..cases() / 20 {
        let message = Entry::random(&mut random).message();
        let flow = alike::ours(&message).expect("a flow");
        let mut object = Conntrack::parse(&message).expect("an object");
        // Kernels stopped to report it in 2010, and no flow has it.
        object.unset(attr::SECMARK);
        compare(&flow, &object, Options::numbered(number), &names);
    }
}

#[test]
fn lines_of_flows_are_the_c_librarys() {
    let mut chance = Chance(0x2468_ace0_1357_9bdf);
    let names = names();
    let mut compared = 0;
    for number in 0..cases() / 20 {
        let flow = chance.flow();
        // What contradicts itself is no object.
        let Ok(object) = Conntrack::try_from(&flow) else { continue };
        compare(&flow, &object, Options::numbered(number), &names);
        compared += 1;
    }
    assert!(compared > cases() / 100, "{compared}");
}

/// Compares in every form, and gives the plain line.
fn line(flow: &Flow) -> String {
    let names = names();
    let object = Conntrack::try_from(flow).expect("an object");
    for number in 0..64 {
        compare(flow, &object, Options::numbered(number), &names);
    }
    flow.text().to_string()
}

/// Those of kernels to come, too.
#[test]
fn every_state_and_protocol_is_the_c_librarys() {
    let mut states = std::collections::BTreeSet::new();
    for number in 0..=u8::MAX {
        for (protocol, info) in [(TCP, 1), (SCTP, 3), (DCCP, 2)] {
            let message = state_message(protocol, info, &[(1, &[number])]);
            let flow = alike::ours(message.as_bytes()).expect("a flow");
            let object = Conntrack::parse(message.as_bytes()).expect("an object");
            let line = flow.text().to_string();
            assert_eq!(object.to_text(TextFormat::plain()).as_ref(), Ok(&line));
            states.insert(line.split(' ').rev().nth(8).expect("a state").to_owned());
        }
        let mut others = vec![Flow::new("tcp 10.0.0.1:1 -> 10.0.0.2:2".parse().expect("a tuple"))];
        others[0].status = Some(Status::from_bits_retain(u32::from(number) << 8 | u32::from(!number)));
        let [src, dst] = [[10, 0, 0, number], [0, number, 255, 1]].map(IpAddr::from);
        others.extend(Tuple::new(src, dst, Layer4::Other(Protocol::new(number))).map(Flow::new));
        for flow in others {
            assert_eq!(printed(&flow, TextFormat::plain()).ok(), Some(flow.text().to_string()));
        }
    }
    // Ten of each protocol, of which `NONE` is in all and `ESTABLISHED` in two.
    assert_eq!(states.len(), 10 + 9 + 9 - 1, "{states:?}");
}

#[test]
fn what_chance_does_not_come_to() {
    let tcp = Flow::new("tcp 10.0.0.1:1 -> 10.0.0.2:2".parse().expect("a tuple"));
    line(&tcp.clone().labels(Labels::new()));
    line(&tcp.clone().labels(Labels::all()));
    line(&tcp.clone().labels(Labels::of([1, 3]).expect("labels")));
    for zone in [Zone::new(7), Zone::original_only(u16::MAX), Zone::reply_only(8)] {
        line(&tcp.clone().zone(zone));
    }
    line(&tcp.clone().timeout(Duration::from_millis(1001)));
    line(&tcp.clone().helper(HelperName::new("ft ").expect("a name")));
    let mut context = tcp.clone();
    for len in [1, 300, 600, 4095] {
        context.set_security_context(Some("c".repeat(len).into()));
        line(&context);
    }
}

#[test]
fn every_shape_of_address_is_the_c_librarys() {
    let mut random = Random::new(22);
    for _ in 0..cases() / 20 {
        // Groups that are 0 more often than not, and those of mapped addresses.
        let zeros = random.next();
        let groups = std::array::from_fn(|group| match zeros >> (2 * group) & 3 {
            0 | 1 => 0,
            2 => random.next() as u16 >> random.below(16),
            _ => [0xffff, 1, 0x64][random.below(3)],
        });
        let v6 = IpAddr::from(Ipv6Addr::from(groups));
        let v4 = IpAddr::from(Ipv4Addr::from((random.next() >> random.below(40)) as u32));
        for address in [v6, v4] {
            let tuple = Tuple::reported(address, address, Layer4::Other(Protocol::new(50))).expect("a tuple");
            let flow = Flow::new(tuple);
            assert_eq!(Ok(flow.text().to_string()), printed(&flow, TextFormat::plain()));
        }
    }
}

#[test]
fn ages_go_round_as_the_c_librarys() {
    let mut flow = Flow::new("udp 10.0.0.1:1 -> 10.0.0.2:2".parse().expect("a tuple"));
    let time = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    for (start, stop) in [(5, Some(3)), (5, Some(5)), (5, Some(0)), (5, None), (u64::MAX >> 31, None)] {
        (flow.timestamps.start, flow.timestamps.stop) = (time(start), stop.and_then(time));
        line(&flow);
    }
    (flow.timestamps.start, flow.timestamps.stop) = (None, time(5));
    assert!(!line(&flow).contains("time"));
    // A part of a second is no end at the beginning of time.
    flow.timestamps.start = time(0);
    flow.timestamps.stop = Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(1));
    assert!(line(&flow).ends_with(" delta-time=0"));
}

/// The library's text of bytes that are no UTF-8, as `to_text` gives it.
#[test]
fn bytes_that_are_no_text_are_replaced() {
    let parts = vec![
        nest(cta::HELP, vec![bytes(within::HELP_NAME, b"ft\xff\0")]),
        nest(cta::SECCTX, vec![bytes(within::SECCTX_NAME, b"\xc3\x28\0")]),
    ];
    let message = Entry::with(ports(TCP, &mut Random::new(1)), parts).message();
    let flow = alike::ours(&message).expect("a flow");
    let object = Conntrack::parse(&message).expect("an object");
    let line = flow.text().to_string();
    assert!(line.ends_with(" secctx=\u{fffd}( helper=ft\u{fffd}"), "{line}");
    assert_eq!(object.to_text(TextFormat::plain()), Ok(line));
}

/// Compares the line of a flow, with the options of this number.
#[cfg(nfct_fuzz)]
pub(crate) fn compare_flow(flow: &Flow, object: &Conntrack, number: usize, names: &LabelMap) {
    compare(flow, object, Options::numbered(number), names);
}

#[test]
fn lines_of_expectations_are_the_c_librarys() {
    let mut chance = Chance(0x1357_2468_9bdf_ace0);
    for number in 0..cases() / 20 {
        compare_expectation(reported(&mut chance), number);
    }
}

/// Compares the lines of an expectation, changed by a number.
pub(crate) fn compare_expectation(mut expectation: Expectation, number: usize) {
    match number % 4 {
        0 => expectation.zone = Some(Zone::original_only(9)),
        1 => expectation.zone = Some(Zone::reply_only(9)),
        2 => expectation.flags = ExpectationFlags::from_bits_retain(number as u32 / 4),
        _ => expectation.helper = HelperName::new(" a ").ok(),
    }
    if number % 5 == 0 {
        (expectation.class, expectation.helper) = (None, None);
    }
    let object = Expect::try_from(&expectation).expect("an object");
    let lines = |ours: String, format| assert_eq!(Ok(ours), object.to_text(format), "{expectation:?}");
    lines(expectation.text().to_string(), TextFormat::plain());
    for kind in EventKind::ALL {
        lines(expectation.text().event(kind).to_string(), TextFormat::plain().event(kind));
    }
}

/// The library has one family for all the tuples of an object, and prints no address of any other.
#[test]
fn a_master_of_another_family_is_printed() {
    let tuple = |text: &str| text.parse::<Tuple>().expect("a tuple");
    let expectation = Expectation::new(
        tuple("udp [2001:db8::1]:1 -> [2001:db8::2]:2"),
        tuple("udp 10.0.0.1:1 -> 10.0.0.2:2"),
    );
    let line = expectation.text().to_string();
    assert!(line.ends_with(" master-src=2001:db8::1 master-dst=2001:db8::2 sport=1 dport=2"), "{line}");
    assert!(Expect::try_from(&expectation).is_err());
}
