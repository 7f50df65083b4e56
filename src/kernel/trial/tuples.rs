//! Whether the kernel compares tuples in a dump correctly.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Lab, remembered};
use crate::error::{Error, Result};
use crate::filter::{Filter, TupleParts};
use crate::model::direction::Direction;
use crate::model::flow::Flow;
use crate::model::proto::{Family, Protocol, TcpState};
use crate::model::tuple::Tuple;

/// Whether a trial shows that a dump by tuple reports exactly the entries that pass. An error is the reason
/// why the trial could not be run.
///
/// From Linux 5.8 to 5.15 a filter by reply tuple compared the parts selected by the filter by original
/// tuple. The comparison of IPv6 addresses is inverted in some releases and not in others.
pub(crate) fn lists_by_tuple(direction: Direction, family: Family) -> Result<bool> {
    let filters = match direction {
        Direction::Original => Ends::of(family).original_filters(),
        Direction::Reply => Ends::of(family).reply_filters(),
    };
    remembered(place(direction, family), || Lab::run(|lab| lists_what_passes(lab, family, &filters)))
}

/// The result, if it was tried.
pub(crate) fn seen_of_tuples(direction: Direction, family: Family) -> Option<bool> {
    place(direction, family).get().copied()
}

/// The cache of the result.
fn place(direction: Direction, family: Family) -> &'static OnceLock<bool> {
    static SHOWN: [[OnceLock<bool>; 2]; 2] = [const { [const { OnceLock::new() }; 2] }; 2];
    &SHOWN[usize::from(direction == Direction::Reply)][usize::from(family == Family::Ipv6)]
}

fn lists_what_passes(lab: &mut Lab, family: Family, filters: &[Filter]) -> Result<bool> {
    let flows = Ends::of(family).flows()?;
    lab.create_all(&flows)?;
    for filter in filters {
        let listed = match lab.list(filter, |_, _| true) {
            // It has another kind of filter, or none.
            Err(Error::Refused(_) | Error::Unsupported(_)) => return Ok(false),
            listed => listed?,
        };
        let passing = flows.iter().filter(|flow| filter.matches(flow)).map(|flow| flow.original);
        if listed.into_iter().map(|flow| flow.original).collect::<HashSet<_>>() != passing.collect() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The ends of flows to try a filter with, and neighbours of these ends.
struct Ends {
    family: Family,
    client: IpAddr,
    server: IpAddr,
    /// As the client but for the first byte, and but for the last.
    clients: [IpAddr; 2],
    other_server: IpAddr,
}

impl Ends {
    fn of(family: Family) -> Self {
        let address = |first: u8, last: u8| match family {
            Family::Ipv4 => IpAddr::from([first, 0, 0, last]),
            Family::Ipv6 => {
                let mut octets = [0; 16];
                (octets[0], octets[15]) = (first, last);
                IpAddr::from(octets)
            }
        };
        Self {
            family,
            client: address(0x20, 1),
            server: address(0x20, 9),
            clients: [address(0x21, 1), address(0x20, 2)],
            other_server: address(0x20, 8),
        }
    }

    /// Flows that pass, and flows that differ from these in one field, of one direction or of both.
    fn flows(&self) -> Result<Vec<Flow>> {
        let mut flows = Vec::new();
        let tuple = |protocol, client, server, port, own| {
            Tuple::with_ports(protocol, (client, own).into(), (server, port).into())
        };
        let Self { client, server, clients: [first, last], other_server, .. } = *self;
        let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
        let ways = [
            (udp, client, server, 53),
            (udp, first, server, 53),
            (udp, last, server, 53),
            (udp, client, other_server, 53),
            (udp, client, server, 54),
            (tcp, client, server, 53),
        ];
        // The protocol of both directions is the same.
        let pairs = ways.iter().flat_map(|there| ways.iter().map(move |back| (there, back)));
        for (there, back) in pairs.filter(|(there, back)| there.0 == back.0) {
            // A client's port of its own: none is taken for another.
            let own = 1024 + flows.len() as u16;
            let original = tuple(there.0, there.1, there.2, there.3, own)?;
            let reply = tuple(back.0, back.1, back.2, back.3, own)?.inverse();
            let flow = Flow::with_reply(original, reply).timeout(Duration::from_secs(600));
            flows.push(if there.0 == tcp { flow.tcp_state(TcpState::Established) } else { flow });
        }
        Ok(flows)
    }

    fn filter(&self) -> Filter {
        Filter { family: Some(self.family), ..Filter::default() }
    }

    /// Each part alone, and all.
    fn original_filters(&self) -> Vec<Filter> {
        let (any, udp) = (TupleParts::default(), udp());
        let (src, dst, dst_port) = (Some(self.client), Some(self.server), Some(53));
        let tuples = [
            TupleParts { src, ..any },
            TupleParts { dst, ..any },
            TupleParts { dst_port, ..udp },
            TupleParts { src, dst, dst_port, ..udp },
        ];
        tuples.map(|tuple| Filter { original: Some(tuple), ..self.filter() }).to_vec()
    }

    /// The same for the reply, and together with a filter by other parts of the original tuple.
    fn reply_filters(&self) -> Vec<Filter> {
        let (any, udp) = (TupleParts::default(), udp());
        let (src, dst, src_port) = (Some(self.server), Some(self.client), Some(53));
        let replies = [
            (None, TupleParts { src, ..any }),
            (None, TupleParts { dst, ..any }),
            (None, TupleParts { src_port, ..udp }),
            (None, TupleParts { src, dst, src_port, ..udp }),
            (Some(TupleParts { src: dst, ..any }), TupleParts { src_port, ..udp }),
            (Some(TupleParts { dst_port: src_port, ..udp }), TupleParts { dst, ..any }),
        ];
        replies.map(|(original, reply)| Filter { original, reply: Some(reply), ..self.filter() }).to_vec()
    }
}

fn udp() -> TupleParts {
    TupleParts { protocol: Some(Protocol::UDP), ..TupleParts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kernel, netns};

    #[test]
    fn every_filter_has_flows_that_pass_and_neighbours_that_do_not() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let ends = Ends::of(family);
            let flows = ends.flows().expect("flows");
            for filter in ends.original_filters().into_iter().chain(ends.reply_filters()) {
                let passing = flows.iter().filter(|flow| filter.matches(flow)).count();
                assert!(0 < passing && passing < flows.len(), "{filter:?}");
            }
        }
    }

    /// A kernel with an inverted or another comparison is detected.
    #[test]
    fn each_filter_has_an_answer_of_its_own() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let ends = Ends::of(family);
            let flows = ends.flows().expect("flows");
            let filters = ends.original_filters().into_iter().chain(ends.reply_filters());
            let answers =
                filters.map(|filter| flows.iter().map(|flow| filter.matches(flow)).collect::<Vec<_>>());
            let mut answers = answers.collect::<Vec<_>>();
            let all = answers.len();
            answers.sort();
            answers.dedup();
            assert_eq!(answers.len(), all);
        }
    }

    /// Linux 5.8 and later.
    #[test]
    fn the_kernel_compares_original_tuples_of_ipv4() {
        if netns::own_namespace() && kernel::DUMP_BY_TUPLE.here() {
            assert_eq!(lists_by_tuple(Direction::Original, Family::Ipv4), Ok(true));
        }
    }
}
