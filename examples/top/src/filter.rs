//! Conditions in the user's syntax.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use netfilter_conntrack::ipnet::IpNet;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::{Selector, TcpState};

/// The supported conditions.
pub const HELP: &str = "tcp, udp, icmp or another protocol; ipv4, ipv6; ADDRESS or NETWORK; port N or N-M; zone N; \
     mark N or N/MASK; state NAME; nat; not before one that is not to hold. All have to hold.";

/// A selector, and the words that it was parsed from.
#[derive(Debug)]
pub struct Filter {
    words: String,
    pub selector: Selector,
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mut selector = Selector::all();
        while let Some(word) = words.next() {
            selector = match word {
                "not" => {
                    let word = words.next().ok_or("\"not\" needs a condition behind it")?;
                    selector.except(condition(word, &mut words)?)
                }
                _ => selector.and(condition(word, &mut words)?),
            };
        }
        selector.check().map_err(|error| error.to_string())?;
        Ok(Self { words: text.trim().to_owned(), selector })
    }
}

/// Parses the condition that begins with `word`.
fn condition<'a>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<Selector, String> {
    let any = Selector::any_zone();
    let mut value = || rest.next().ok_or_else(|| format!("\"{word}\" needs a value behind it"));
    Ok(match word {
        "ipv4" => any.family(Family::Ipv4),
        "ipv6" => any.family(Family::Ipv6),
        "icmp" => any.clone().protocol(Protocol::ICMP).or(any.protocol(Protocol::ICMPV6)),
        "nat" => any.clone().snat().or(any.dnat()),
        "port" => {
            let ports = ports(value()?)?;
            any.clone()
                .src_port(ports.clone())
                .or(any.clone().dst_port(ports.clone()))
                .or(any.clone().reply_src_port(ports.clone()))
                .or(any.reply_dst_port(ports))
        }
        "zone" => Selector::zone_in_any_direction(parse(value()?, "a zone")?),
        "mark" => {
            let (mark, mask) = mark(value()?)?;
            any.mark_masked(mark, mask)
        }
        "state" => any.tcp_state(parse::<TcpState>(value()?, "a TCP state")?),
        _ => match word
            .parse::<IpNet>()
            .or_else(|_| word.parse().map(|address: std::net::IpAddr| address.into()))
        {
            Ok(network) => any.address(network),
            Err(_) => any.protocol(parse(word, "a condition")?),
        },
    })
}

fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not {what}"))
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok(parse(first, "a port")?..=parse(last, "a port")?)
}

fn mark(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).map_err(|_| format!("{text} is not a mark")),
        None => parse(text, "a mark"),
    };
    let (mark, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    Ok((number(mark)?, number(mask)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netfilter_conntrack::{Flow, Tuple};

    fn matches(conditions: &str) -> bool {
        let tuple = Tuple::tcp("10.0.0.1:40000".parse().unwrap(), "192.0.2.1:443".parse().unwrap()).unwrap();
        let flow = Flow::new(tuple).zone(10).mark(0x11).tcp_state(TcpState::Established);
        conditions.parse::<Filter>().unwrap().selector.matches(&flow)
    }

    #[test]
    fn all_conditions_have_to_hold() {
        for conditions in [
            "",
            "tcp",
            "port 443",
            "port 400-500 tcp",
            "10.0.0.0/8",
            "192.0.2.1",
            "zone 10",
            "mark 17",
            "mark 0x10/0xf0",
            "state established",
            "not udp not zone 0",
            "ipv4",
            "6",
            "not nat",
        ] {
            assert!(matches(conditions), "{conditions}");
        }
        for conditions in [
            "udp",
            "port 80",
            "tcp port 444-500",
            "11.0.0.0/8",
            "zone 0",
            "mark 1",
            "not tcp",
            "state close_wait",
            "not port 443",
            "ipv6",
            "icmp",
            "nat",
        ] {
            assert!(!matches(conditions), "{conditions}");
        }
    }

    #[test]
    fn what_is_no_condition_is_an_error_that_names_it() {
        for (conditions, named) in [
            ("port", "port"),
            ("port x", "x"),
            ("not", "not"),
            ("zone 70000", "70000"),
            ("tpc", "tpc"),
            ("10.0.0.0/40", "10.0.0.0/40"),
            ("mark 1/", "mark"),
            ("port 5-1", ""),
        ] {
            let error = conditions.parse::<Filter>().unwrap_err();
            assert!(error.contains(named), "{conditions}: {error}");
        }
    }
}
