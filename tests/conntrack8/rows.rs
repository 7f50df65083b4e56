//! The rows of the page.

use std::net::IpAddr;
use std::time::Duration;

use super::check::{self, Counter, Difference, Fallible, Listed};
use super::follow;
use super::sample;
use netfilter_conntrack::events::{EntryEvent, Groups};
use netfilter_conntrack::handle::{CpuExpectationStatistics, CpuStatistics};
use netfilter_conntrack::ipnet::IpNet;
use netfilter_conntrack::model::{Direction, Family, Protocol, SctpState, TcpFlags};
use netfilter_conntrack::nfct::{Conntrack, LabelMap, TextFormat};
use netfilter_conntrack::{
    Change, Events, Expectation, Flow, Handle, Labels, Result, Selector, Status, TcpState, Tuple, Zone,
};

/// Compares both in a namespace.
pub(crate) type Check = Box<dyn Fn(&Row, &mut Handle) -> Difference>;

/// A command line, its call on the page, and the way both are compared.
pub(crate) struct Row {
    pub(crate) command: &'static str,
    pub(crate) call: &'static str,
    pub(crate) check: Check,
}

pub(crate) fn all() -> Vec<Row> {
    let parts = [listings, entries, bulk, events, printed_events, expectations, numbers];
    parts.into_iter().flat_map(|rows| rows()).collect()
}

/// Rows of one kind each: the call of `lists` returns entries, that of `changes` is run for its effect.
macro_rules! rows {
    ($handle:ident, $flow:ident, $names:ident; $( $kind:ident $command:literal => $call:expr; )*) => {
        vec![$( rows!(@row $kind, $handle, $flow, $names, $command, $call) ),*]
    };
    (@row $kind:ident, $handle:ident, $flow:ident, $names:ident, $command:literal, $call:expr) => {
        Row {
            command: $command,
            call: stringify!($call),
            check: Box::new(|row, handle| rows!(@check $kind, row, handle, $handle, $flow, $names, $call)),
        }
    };
    (@check selects, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::selects($row.command, $on, || -> Fallible<Selector> { Ok($call) })
    };
    (@check selects_listed, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::lists($row.command, $on, true, |$handle: &mut Handle| -> Fallible<Vec<Listed>> {
            Ok($handle.dump().matching($call).entries()?.map(|flow| flow.map(Listed)).collect::<Result<_>>()?)
        })
    };
    (@check lists_all, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::lists($row.command, $on, false, |$handle: &mut Handle| -> Fallible<Vec<Listed>> {
            Ok($call.map(|flow| flow.map(Listed)).collect::<Result<_>>()?)
        })
    };
    (@check lists_dying, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::lists_dying($row.command, $on, |$handle: &mut Handle| -> Fallible<Vec<Flow>> {
            Ok($call.collect::<Result<_>>()?)
        })
    };
    (@check finds, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::lists($row.command, $on, true, |$handle: &mut Handle| -> Fallible<Vec<Listed>> {
            Ok(vec![Listed($call)])
        })
    };
    (@check prints, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::prints($row.command, $on, |$flow: &Flow, $names: &LabelMap| -> Fallible<String> {
            let _ = $names;
            Ok($call.to_string())
        })
    };
    (@check changes, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::changes($row.command, $on, |$handle: &mut Handle| -> Fallible<()> {
            let _ = $call;
            Ok(())
        }, sample::fill)
    };
    (@check resets, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::resets($row.command, $on, |$handle: &mut Handle| -> Fallible<Vec<Flow>> {
            Ok($call.collect::<Result<_>>()?)
        })
    };
    (@check counts, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::counts($row.command, $on, |$handle: &mut Handle| -> Fallible<u64> {
            Ok($call as u64)
        }, |handle| { sample::fill(handle); sample::expect(handle); })
    };
    (@check sums, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::sums($row.command, $on, |$handle: &mut Handle| Ok($call), CPU)
    };
    (@check sums_of_expectations, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::sums($row.command, $on, |$handle: &mut Handle| Ok($call), CPU_EXPECTATIONS)
    };
    (@check follows, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        follow::follows($row.command, $on, || -> Fallible<Events> { Ok($call) })
    };
    (@check follows_expectations, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        follow::follows_expectations($row.command, $on, || -> Fallible<Events> { Ok($call) })
    };
    (@check prints_events, $row:ident, $on:ident, $handle:ident, $event:ident, $now:ident, $call:expr) => {
        follow::prints_events($row.command, $on, |$event: &EntryEvent<Flow>, $now: Duration| {
            let _ = $now;
            $call
        })
    };
    (@check finds_expectation, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::lists_expectations($row.command, $on, |$handle: &mut Handle| -> Fallible<Vec<Expectation>> {
            let mut found = $call;
            // The call knows the zone that it asked for, which the kernel does not report.
            found.zone = None;
            Ok(vec![found])
        })
    };
    (@check lists_expectations, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::lists_expectations($row.command, $on, |$handle: &mut Handle| -> Fallible<Vec<Expectation>> {
            Ok($call.collect::<Result<_>>()?)
        })
    };
    (@check changes_expectations, $row:ident, $on:ident, $handle:ident, $flow:ident, $names:ident, $call:expr) => {
        check::changes_expectations($row.command, $on, |$handle: &mut Handle| -> Fallible<()> {
            let _ = $call;
            Ok(())
        }, sample::expect)
    };
}

/// The counters of a CPU, by their names in `conntrack -S`.
const CPU: &[Counter<CpuStatistics>] = &[
    ("found", |cpu| cpu.found),
    ("invalid", |cpu| cpu.invalid),
    ("insert", |cpu| cpu.insert),
    ("insert_failed", |cpu| cpu.insert_failed),
    ("drop", |cpu| cpu.drop),
    ("early_drop", |cpu| cpu.early_drop),
    ("error", |cpu| cpu.error),
    ("search_restart", |cpu| cpu.search_restart),
];

const CPU_EXPECTATIONS: &[Counter<CpuExpectationStatistics>] = &[
    ("expect_new", |cpu| cpu.new),
    ("expect_create", |cpu| cpu.create),
    ("expect_delete", |cpu| cpu.delete),
];

pub(crate) fn listings() -> Vec<Row> {
    rows! { handle, flow, names;
        lists_all "conntrack -L" => handle.dump().entries()?;
        lists_dying "conntrack -L dying" => handle.dump_dying().entries()?;
        selects "conntrack -L -f ipv6" => Selector::any_zone().family(Family::Ipv6);
        selects "conntrack -L -p tcp" => Selector::any_zone().tcp();
        selects "conntrack -L -p tcp --state ESTABLISHED" => Selector::any_zone().tcp_state(TcpState::Established);
        selects "conntrack -L -p sctp" => Selector::any_zone().protocol(Protocol::SCTP);
        selects "conntrack -L -p sctp --state ESTABLISHED" => Selector::any_zone().sctp_state(SctpState::Established);
        selects "conntrack -L -p icmp --icmp-type 8 --icmp-code 0" => Selector::any_zone().icmp_type(8).icmp_code(0);
        selects "conntrack -L -p icmp --icmp-id 77" => Selector::any_zone().protocol(Protocol::ICMP).icmp_id(77);
        selects "conntrack -L -p icmpv6 --icmpv6-type 128 --icmpv6-code 0" => Selector::any_zone().protocol(Protocol::ICMPV6).icmp_type(128).icmp_code(0);
        selects "conntrack -L -p icmpv6 --icmpv6-id 77" => Selector::any_zone().protocol(Protocol::ICMPV6).icmp_id(77);
        selects "conntrack -L -s 10.0.0.1" => Selector::any_zone().src(IpAddr::from([10, 0, 0, 1]));
        selects "conntrack -L -s 10.0.0.4/31" => Selector::any_zone().src("10.0.0.4/31".parse::<IpNet>()?);
        selects "conntrack -L -d 10.0.0.3" => Selector::any_zone().dst(IpAddr::from([10, 0, 0, 3]));
        selects "conntrack -L -d 10.0.1.0 --mask-dst 255.255.255.0" => Selector::any_zone().dst("10.0.1.0/24".parse::<IpNet>()?);
        selects "conntrack -L -r 10.0.0.8" => Selector::any_zone().reply_src(IpAddr::from([10, 0, 0, 8]));
        selects "conntrack -L -q 198.51.100.1" => Selector::any_zone().reply_dst(IpAddr::from([198, 51, 100, 1]));
        selects "conntrack -L -p udp --dport 53" => Selector::any_zone().udp().dst_port(53);
        selects "conntrack -L -p udp --sport 5000" => Selector::any_zone().udp().src_port(5000);
        selects "conntrack -L -p tcp --reply-port-src 8080" => Selector::any_zone().tcp().reply_src_port(8080);
        selects "conntrack -L -p udp --reply-port-dst 40001" => Selector::any_zone().udp().reply_dst_port(40_001);
        selects "conntrack -L -m 7" => Selector::any_zone().mark(7);
        selects "conntrack -L -m 0x7/0xf" => Selector::any_zone().mark_masked(0x7, 0xf);
        selects "conntrack -L -u ASSURED" => Selector::any_zone().status(Status::ASSURED);
        selects "conntrack -L -l web" => Selector::any_zone().labels_all_of(Labels::of([3])?);
        selects "conntrack -L -w 10" => Selector::zone(10);
        selects "conntrack -L --orig-zone 12" => Selector::zone(Zone::original_only(12));
        selects "conntrack -L --reply-zone 13" => Selector::zone(Zone::reply_only(13));
        selects "conntrack -L -n" => Selector::any_zone().snat();
        selects "conntrack -L -g" => Selector::any_zone().dnat();
        selects_listed "conntrack -L -j" => Selector::any_of([Selector::any_zone().snat(), Selector::any_zone().dnat()]);
        selects "conntrack -L -n 198.51.100.1" => Selector::any_zone().snat_to(IpAddr::from([198, 51, 100, 1]));
        selects "conntrack -L -g 10.0.0.8" => Selector::any_zone().dnat_to(IpAddr::from([10, 0, 0, 8]));
        resets "conntrack -L -z" => handle.dump().reset_counters().entries()?;
        prints "conntrack -L -o extended" => flow.text().layer3();
        prints "conntrack -L -o xml" => Conntrack::try_from(flow)?.to_text(TextFormat::xml())?;
        prints "conntrack -L -o id" => flow.text().id();
        prints "conntrack -L -o ktimestamp" => flow.text().timestamps();
        prints "conntrack -L -o labels" => flow.text().labels(&|bit| names.name(bit));
    }
}

pub(crate) fn entries() -> Vec<Row> {
    rows! { handle, flow, names;
        finds "conntrack -G -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 5000 --dport 53" => handle.get(Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?)?;
        changes "conntrack -I -p udp -s 10.0.0.5 -d 10.0.0.2 --sport 9 --dport 53 -t 120" => handle.create(&Flow::new(Tuple::udp("10.0.0.5:9".parse()?, "10.0.0.2:53".parse()?)?).timeout(Duration::from_secs(120)))?;
        changes "conntrack -I -p tcp -s 10.0.0.5 -d 10.0.0.2 --sport 9 --dport 80 -t 120 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 7 -w 10" => handle.create(&Flow::new(Tuple::tcp("10.0.0.5:9".parse()?, "10.0.0.2:80".parse()?)?).timeout(Duration::from_secs(120)).tcp_state(TcpState::Established).tcp_flags(Direction::Original, TcpFlags::SACK_PERMITTED | TcpFlags::BE_LIBERAL).tcp_flags(Direction::Reply, TcpFlags::SACK_PERMITTED | TcpFlags::BE_LIBERAL).status(Status::SEEN_REPLY | Status::ASSURED).mark(7).zone(10))?;
        changes "conntrack -I -p icmp -s 10.0.0.5 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 9 -t 120" => handle.create(&Flow::new(Tuple::ping(IpAddr::from([10, 0, 0, 5]), IpAddr::from([10, 0, 0, 2]), 9)?).timeout(Duration::from_secs(120)))?;
        changes "conntrack -I -p udp -s 10.0.0.5 -d 10.0.0.2 --sport 9 --dport 53 -t 120 -n 198.51.100.1" => handle.create(&Flow::new(Tuple::udp("10.0.0.5:9".parse()?, "10.0.0.2:53".parse()?)?).timeout(Duration::from_secs(120)).snat(IpAddr::from([198, 51, 100, 1])))?;
        changes "conntrack -I -p udp -s 10.0.0.5 -d 10.0.0.2 --sport 9 --dport 53 -t 120 -g 10.0.0.8" => handle.create(&Flow::new(Tuple::udp("10.0.0.5:9".parse()?, "10.0.0.2:53".parse()?)?).timeout(Duration::from_secs(120)).dnat(IpAddr::from([10, 0, 0, 8])))?;
        changes "conntrack -I -p udp -s 10.0.0.5 -d 10.0.0.2 --sport 9 --dport 53 -t 120 --label-add web" => handle.create(&Flow::new(Tuple::udp("10.0.0.5:9".parse()?, "10.0.0.2:53".parse()?)?).timeout(Duration::from_secs(120)).labels(Labels::of([3])?))?;
        changes "conntrack -A -p udp -s 10.0.0.5 -d 10.0.0.2 --sport 9 --dport 53 -t 120" => handle.create(&Flow::new(Tuple::udp("10.0.0.5:9".parse()?, "10.0.0.2:53".parse()?)?).timeout(Duration::from_secs(120)))?;
    }
}

pub(crate) fn bulk() -> Vec<Row> {
    rows! { handle, flow, names;
        changes "conntrack -D -s 10.0.0.1" => handle.delete_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 1]))).run()?;
        changes "conntrack -D -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 5000 --dport 53 -w 10" => handle.delete(Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?.in_zone(10))?;
        changes "conntrack -D -p udp --dport 53 -w 10" => handle.delete_matching(Selector::zone(10).udp().dst_port(53)).run()?;
        changes "conntrack -D -w 10" => handle.delete_matching(Selector::zone(10)).run()?;
        changes "conntrack -D -m 7/0xff" => handle.delete_matching(Selector::any_zone().mark_masked(7, 0xff)).run()?;
        changes "conntrack -D -l web" => handle.delete_matching(Selector::any_zone().labels_all_of(Labels::of([3])?)).run()?;
        changes "conntrack -D -g 10.0.0.8" => handle.delete_matching(Selector::any_zone().dnat_to(IpAddr::from([10, 0, 0, 8]))).run()?;
        changes "conntrack -D -f ipv6" => handle.delete_matching(Selector::any_zone().family(Family::Ipv6)).run()?;
        changes "conntrack -U -s 10.0.0.9 -m 9" => handle.update_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 9])), Change::new().mark(9)).run()?;
        changes "conntrack -U -s 10.0.0.9 -m 0x8/0xf" => handle.update_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 9])), Change::new().mark_masked(0x8, 0xf)).run()?;
        changes "conntrack -U -s 10.0.0.9 -t 900" => handle.update_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 9])), Change::new().timeout(Duration::from_secs(900))).run()?;
        changes "conntrack -U -s 10.0.0.9 -u SEEN_REPLY,ASSURED" => handle.update_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 9])), Change::new().set_status(Status::SEEN_REPLY | Status::ASSURED)).run()?;
        changes "conntrack -U -s 10.0.0.9 --label-add mail" => handle.update_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 9])), Change::new().add_labels(Labels::of([4])?)).run()?;
        changes "conntrack -U -s 10.0.0.9 --label-del web" => handle.update_matching(Selector::any_zone().src(IpAddr::from([10, 0, 0, 9])), Change::new().remove_labels(Labels::of([3])?)).run()?;
        changes "conntrack -F" => handle.flush()?;
    }
}

pub(crate) fn events() -> Vec<Row> {
    rows! { handle, flow, names;
        follows "conntrack -E" => Events::builder().open()?;
        follows "conntrack -E -e NEW" => Events::builder().groups(Groups::NEW).open()?;
        follows "conntrack -E -e NEW,DESTROY -b 1000000" => Events::builder().groups(Groups::NEW | Groups::DESTROY).receive_buffer(1_000_000).open()?;
        follows "conntrack -E -e NEW -p udp --dport 53" => Events::builder().groups(Groups::NEW).matching(Selector::any_zone().udp().dst_port(53)).open()?;
        follows_expectations "conntrack -E expect" => Events::builder().groups(Groups::EXPECTATIONS).open()?;
    }
}

pub(crate) fn printed_events() -> Vec<Row> {
    rows! { handle, event, now;
        prints_events "conntrack -E -o userspace" => format!("{} [USERSPACE] portid={}", event.text(), event.port_id);
        prints_events "conntrack -E -o timestamp" => format!("[{}.{:06}]\t{}", now.as_secs(), now.subsec_micros(), event.text());
    }
}

pub(crate) fn expectations() -> Vec<Row> {
    rows! { handle, flow, names;
        lists_expectations "conntrack -L expect" => handle.expectations().dump().entries()?;
        finds_expectation "conntrack -G expect -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 0 --dport 5000 -r 10.0.0.2 -q 10.0.0.1 --reply-port-src 5000 --reply-port-dst 0" => handle.expectations().get(Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:5000".parse()?)?)?;
        changes_expectations "conntrack -D expect -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 0 --dport 5000 -r 10.0.0.2 -q 10.0.0.1 --reply-port-src 5000 --reply-port-dst 0" => handle.expectations().delete(Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:5000".parse()?)?)?;
        changes_expectations "conntrack -F expect" => handle.expectations().flush()?;
    }
}

pub(crate) fn numbers() -> Vec<Row> {
    rows! { handle, flow, names;
        counts "conntrack -C" => handle.usage()?.entries;
        counts "conntrack -C expect" => handle.expectations().dump().entries()?.count();
        sums "conntrack -S" => handle.statistics()?;
        sums_of_expectations "conntrack -S expect" => handle.expectation_statistics()?;
    }
}
