//! The table in nft's JSON (libnftables-json(5)).

use std::fmt;
use std::net::IpAddr;

use super::rule::MarkWrite;
use super::{Action, Base, Chain, ChainName, FAMILY, Match, NAME, Rule, Set, SetName};
use crate::address::{Shown, prefix};
use crate::{MarkMatch, Range};

/// A piece of JSON: `f` with braces, quotes and commas as they have to be. All texts in it are ours or checked, and have nothing
/// that would have to be escaped; those of somebody else are not written.
pub(crate) struct Json<F>(F);

/// That piece.
pub(crate) fn shown<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result>(show: F) -> Json<F> {
    Json(show)
}

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Json<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// `"family": …, "table": …, …` of an object in the table.
pub(crate) const PLACE: &str = r#""family":"inet","table":"keyward""#;

/// The table itself.
pub(crate) fn table() -> impl fmt::Display {
    shown(|f| write!(f, r#"{{"table":{{"family":"{FAMILY}","name":"{NAME}"}}}}"#))
}

/// A set with its elements.
pub(crate) fn set(set: &Set) -> impl fmt::Display + '_ {
    shown(|f| {
        let (name, addresses) = (set.name, set.name.addresses());
        write!(f, r#"{{"set":{{{PLACE},"name":"{name}","type":["{addresses}","inet_proto","inet_service"]"#)?;
        if name.networks.is_none() {
            f.write_str(r#","flags":["interval"]"#)?;
        }
        if !set.elements.is_empty() {
            write!(f, r#","elem":{}"#, elements(name, set.elements.iter()))?;
        }
        f.write_str("}}")
    })
}

/// Elements of a set.
pub(crate) fn elements<'a>(set: SetName, ranges: impl Iterator<Item = &'a Range> + Clone) -> impl fmt::Display {
    list(ranges, move |range, f| {
        let last = if set.networks.is_some() { range.first() } else { range.last() };
        let addresses = addresses(range.first(), last);
        // By number, which every host knows.
        let protocol = range.protocol().number(range.is_ipv6());
        write!(f, r#"{{"concat":[{addresses},{protocol},"#)?;
        let ports = range.ports();
        if ports.first() == ports.last() {
            write!(f, "{}]}}", ports.first())
        } else {
            write!(f, r#"{{"range":[{},{}]}}]}}"#, ports.first(), ports.last())
        }
    })
}

fn payload(protocol: &str, field: &str) -> String {
    format!(r#"{{"payload":{{"protocol":"{protocol}","field":"{field}"}}}}"#)
}

fn list<T>(
    items: impl Iterator<Item = T> + Clone,
    show: impl Fn(T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> impl fmt::Display {
    shown(move |f: &mut fmt::Formatter<'_>| {
        f.write_str("[")?;
        for (place, item) in items.clone().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            show(item, f)?;
        }
        f.write_str("]")
    })
}

fn addresses(first: IpAddr, last: IpAddr) -> impl fmt::Display {
    shown(move |f| match prefix(first, last) {
        _ if first == last => write!(f, r#""{}""#, Shown(first)),
        Some(length) => write!(f, r#"{{"prefix":{{"addr":"{}","len":{length}}}}}"#, Shown(first)),
        None => write!(f, r#"{{"range":["{}","{}"]}}"#, Shown(first), Shown(last)),
    })
}

/// A chain without its rules.
pub(crate) fn chain(chain: &Chain) -> impl fmt::Display + '_ {
    shown(|f| {
        write!(f, r#"{{"chain":{{{PLACE},"name":"{}""#, chain.name)?;
        if let Some(Base { hook, priority, policy }) = &chain.base {
            let (hook, policy) = (hook.as_str(), policy.as_str());
            write!(f, r#","type":"filter","hook":"{hook}","prio":{},"policy":"{policy}""#, priority.0)?;
        }
        f.write_str("}}")
    })
}

/// The rules of a chain that are ours.
pub(crate) fn rules(chain: &Chain) -> impl Iterator<Item = impl fmt::Display + '_> {
    chain.rules.iter().filter_map(move |one| rule(chain.name, None, one))
}

/// A rule of a chain, if it is ours, and the handle of the one before which it comes.
pub(crate) fn rule(chain: ChainName, before: Option<u64>, rule: &Rule) -> Option<impl fmt::Display + '_> {
    let Rule::Own(matches, action) = rule else { return None };
    Some(shown(move |f: &mut fmt::Formatter<'_>| {
        write!(f, r#"{{"rule":{{{PLACE},"chain":"{chain}","#)?;
        before.map_or(Ok(()), |handle| write!(f, r#""handle":{handle},"#))?;
        f.write_str(r#""expr":["#)?;
        for found in matches {
            write!(f, "{},", expression(found))?;
        }
        write!(f, "{}]}}}}", statement(action))
    }))
}

fn expression(found: &Match) -> impl fmt::Display + '_ {
    let equal = |f: &mut fmt::Formatter<'_>, left: &str, right: &dyn fmt::Display| {
        write!(f, r#"{{"match":{{"op":"==","left":{left},"right":{right}}}}}"#)
    };
    let mark = move |f: &mut fmt::Formatter<'_>, what: &str, mark: &MarkMatch| {
        let key = format!(r#"{{"{what}":{{"key":"mark"}}}}"#);
        match mark.mask() {
            u32::MAX => equal(f, &key, &mark.value()),
            mask => equal(f, &format!(r#"{{"&":[{key},{mask}]}}"#), &mark.value()),
        }
    };
    let quoted = |text: &str| format!(r#""{text}""#);
    let ip = |v6: bool| if v6 { "ip6" } else { "ip" };
    shown(move |f| match found {
        Match::ConnectionMark(value) => mark(f, "ct", value),
        Match::PacketMark(value) => mark(f, "meta", value),
        Match::Reply => equal(f, r#"{"ct":{"key":"direction"}}"#, &r#""reply""#),
        Match::Established => {
            f.write_str(r#"{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}}"#)
        }
        Match::NeighborDiscovery => equal(
            f,
            &payload("icmpv6", "type"),
            &r#"{"set":["nd-router-solicit","nd-router-advert","nd-neighbor-solicit","nd-neighbor-advert"]}"#,
        ),
        Match::From(interface) => equal(f, r#"{"meta":{"key":"iifname"}}"#, &quoted(interface.as_str())),
        Match::To(interface) => equal(f, r#"{"meta":{"key":"oifname"}}"#, &quoted(interface.as_str())),
        Match::Family { v6 } => equal(f, r#"{"meta":{"key":"nfproto"}}"#, &if *v6 { r#""ipv6""# } else { r#""ipv4""# }),
        Match::Source { v6, addresses: own } => match own.as_slice() {
            [(first, last)] => equal(f, &payload(ip(*v6), "saddr"), &addresses(*first, *last)),
            several => {
                let all =
                    list(several.iter(), |(first, last), f| write!(f, "{}", addresses(*first, *last))).to_string();
                equal(f, &payload(ip(*v6), "saddr"), &format!(r#"{{"set":{all}}}"#))
            }
        },
        Match::Among(ranges) => {
            let Some(any) = ranges.iter().next() else { return Ok(()) };
            let ports = any.ports();
            let port = payload(any.protocol().as_str(), "dport");
            match ports.first() == ports.last() {
                true => equal(f, &port, &ports.first())?,
                false => equal(f, &port, &format!(r#"{{"range":[{},{}]}}"#, ports.first(), ports.last()))?,
            }
            f.write_str(",")?;
            let destination = payload(ip(any.is_ipv6()), "daddr");
            let mut all = ranges.iter().map(|range| addresses(range.first(), range.last()));
            match (all.next(), all.next()) {
                (Some(only), None) => equal(f, &destination, &only),
                _ => {
                    let all = list(ranges.iter(), |range, f| write!(f, "{}", addresses(range.first(), range.last())));
                    equal(f, &destination, &format!(r#"{{"set":{all}}}"#))
                }
            }
        }
        Match::Lookup(set) => {
            let (destination, port) = (payload(ip(set.v6), "daddr"), payload("th", "dport"));
            let destination = match set.mask() {
                Some(mask) => format!(r#"{{"&":[{destination},"{}"]}}"#, Shown(mask)),
                None => destination,
            };
            let left = format!(r#"{{"concat":[{destination},{{"meta":{{"key":"l4proto"}}}},{port}]}}"#);
            equal(f, &left, &quoted(&format!("@{set}")))
        }
    })
}

fn statement(action: &Action) -> impl fmt::Display + '_ {
    let write = |f: &mut fmt::Formatter<'_>, what: &str, mark: &MarkWrite| {
        let key = format!(r#"{{"{what}":{{"key":"mark"}}}}"#);
        let kept = match mark.kept() {
            u32::MAX => key.clone(),
            kept => format!(r#"{{"&":[{key},{kept}]}}"#),
        };
        write!(f, r#"{{"mangle":{{"key":{key},"value":{{"|":[{kept},{}]}}}}}}"#, mark.value())
    };
    shown(move |f| match action {
        Action::MarkPacket(mark) => write(f, "meta", mark),
        Action::MarkConnection(mark) => write(f, "ct", mark),
        Action::Accept => f.write_str(r#"{"accept":null}"#),
        Action::Drop => f.write_str(r#"{"drop":null}"#),
        Action::Jump(chain) => write!(f, r#"{{"jump":{{"target":"{}"}}}}"#, chain),
        Action::Branch(blocks) => {
            let family = if blocks.iter().any(|block| block.first.is_ipv6()) { "ip6" } else { "ip" };
            let all = list(blocks.iter(), |block, f| {
                let addresses = addresses(block.first, block.last());
                write!(f, r#"[{{"concat":[{addresses},{{"range":[0,65535]}}]}},{{"jump":{{"target":"{block}"}}}}]"#)
            });
            let (destination, port) = (payload(family, "daddr"), payload("th", "dport"));
            write!(f, r#"{{"vmap":{{"key":{{"concat":[{destination},{port}]}},"data":{{"set":{all}}}}}}}"#)
        }
        Action::Goto(chain) => write!(f, r#"{{"goto":{{"target":"{}"}}}}"#, chain),
    })
}
