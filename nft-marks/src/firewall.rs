//! What the platform lets through, and the table that marks it.

use std::net::IpAddr;

use keyward_config_values::{Cidr, ErrorKind};

use crate::address::{address, highest, number};
use crate::interface::without_covered;
use crate::mark::Hex;
use crate::table::block::BlockName;
use crate::table::{
    Action, Base, Chain, ChainName, Hook, MarkWrite, Match, Policy, Priority, Rule, Set, SetKind, SetName,
};
use crate::{Class, Interface, MarkMatch, Marks, RangeSet, Table};

/// What belongs to the platform on one host, and what becomes of the rest.
///
/// A connection gets its class with its first packet and keeps it until it ends, in the mark of the connection and in that of
/// each packet in both directions. Of several classes that would fit, control goes before ingress, and ingress before workload:
/// what is reached at all is reached by workloads too, wherever else they may connect to.
///
/// ```
/// use keyward_nft_marks::{Firewall, Rest};
///
/// let mut firewall = Firewall::default();
/// firewall.interfaces = vec!["kw*".parse()?];
/// firewall.rest = Rest::DropWorkloads;
/// assert!(firewall.table().to_string().contains("\t\toifname \"kw*\" drop\n"));
/// # Ok::<(), keyward_nft_marks::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Firewall {
    /// The mask, and the value of each class in it.
    pub marks: Marks,
    /// A mark that whoever else rules this host sets on packets that are not to be dropped here.
    pub accept_mark: Option<MarkMatch>,
    /// The interfaces behind which the workloads are.
    pub interfaces: Vec<Interface>,
    /// The addresses of the workloads; packets from those interfaces with other source addresses have no class. Empty means any.
    pub networks: Vec<Cidr>,
    /// Where workloads may connect to.
    pub egress: Egress,
    /// Where services of workloads are reached.
    pub ingress: RangeSet,
    /// Where this host is reached by the platform: addresses of its own.
    pub control_inbound: RangeSet,
    /// Where this host reaches the platform.
    pub control_outbound: RangeSet,
    /// What becomes of packets without a class.
    pub rest: Rest,
}

/// Where workloads may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Egress {
    /// Anywhere.
    #[default]
    All,
    /// To these ranges alone.
    Only(RangeSet),
}

/// What becomes of packets without a class. Connections that are established already go on in any case, and so does neighbour
/// discovery, without which IPv6 does not work.
///
/// The kernel knows connections from the first rule on that asks for them, of whatever table. Where there was none before ours,
/// load it with [`Pass`](Self::Pass) first, or what is established is new to the kernel and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "config", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "kebab-case"))]
pub enum Rest {
    /// They pass; whoever else rules this host decides.
    #[default]
    Pass,
    /// Those from and to workloads are dropped, where they are forwarded and where they are for this host.
    DropWorkloads,
    /// Whatever is forwarded or for this host is dropped. That includes logins to the host: they need a range in
    /// [`control_inbound`](Firewall::control_inbound) or the [`accept_mark`](Firewall::accept_mark).
    DropAll,
}

/// A firewall that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FirewallError {
    /// The accept mark has bits of the mask: our own marks would set or hide it.
    #[error("the accept mark `{accept}` has bits of the mask `{}`; write one outside", Hex(*.mask))]
    AcceptMark {
        /// The accept mark.
        accept: MarkMatch,
        /// The mask.
        mask: u32,
    },
    /// Something about workloads, and no interface behind which they are. By their addresses alone they cannot be told from
    /// outsiders who use the same.
    #[error("{what} without the interfaces of the workloads; write them, such as `kw*`")]
    NoInterfaces {
        /// What there is about workloads.
        what: &'static str,
    },
    /// More ranges than are allowed.
    #[error("{found} ranges; at most {max} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The most.
        max: usize,
    },
}

impl FirewallError {
    /// Always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

impl Firewall {
    /// Checks what no single value can: that what is configured works together, with at most `max` ranges.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self, max: usize) -> Result<(), FirewallError> {
        let mask = self.marks.mask().bits();
        if let Some(accept) = self.accept_mark.filter(|accept| accept.mask() & mask != 0) {
            return Err(FirewallError::AcceptMark { accept, mask });
        }
        let about = [
            (!self.networks.is_empty(), "networks of workloads"),
            (self.egress != Egress::All, "egress of workloads"),
            (self.rest == Rest::DropWorkloads, "dropping the rest of the workloads' packets"),
        ];
        if let Some((_, what)) = about.into_iter().find(|(there, _)| *there && self.interfaces.is_empty()) {
            return Err(FirewallError::NoInterfaces { what });
        }
        let egress = match &self.egress {
            Egress::All => 0,
            Egress::Only(ranges) => ranges.len(),
        };
        let found = self.ingress.len() + self.control_inbound.len() + self.control_outbound.len() + egress;
        if found > max {
            return Err(FirewallError::TooMany { found, max });
        }
        Ok(())
    }

    /// The table that does it. It shares the ranges: making it takes no memory for them.
    pub fn table(&self) -> Table {
        self.made(None)
    }

    /// A table that does it, as close to the one that is there as is good: networks that have a set of their own keep it until they
    /// are half as many as those that get one, so that a network more or less does not move a thousand.
    pub fn table_beside(&self, there: &Table) -> Table {
        self.made(Some(there))
    }

    fn made(&self, there: Option<&Table>) -> Table {
        let egress = match &self.egress {
            Egress::All => None,
            Egress::Only(ranges) => Some((SetKind::Egress, ranges)),
        };
        let kinds = [(SetKind::Ingress, &self.ingress)].into_iter().chain(egress);
        let kinds =
            kinds.chain([(SetKind::ControlIn, &self.control_inbound), (SetKind::ControlOut, &self.control_outbound)]);
        let mut chains: Vec<Chain> = Class::ALL.into_iter().map(|class| self.mark(class)).collect();
        let mut sets = Sets::default();
        for (kind, ranges) in kinds {
            for v6 in [false, true] {
                let (of_kind, blocks) = Set::all(SetName { kind, v6, networks: None }, ranges, there);
                chains.extend(blocks.chains(ChainName::Mark(class(kind))));
                sets.sets.extend(of_kind);
                sets.blocks.extend(blocks.names());
            }
        }
        chains.push(self.restore());
        let interfaces = without_covered(self.interfaces.clone());
        if !interfaces.is_empty() {
            chains.push(self.workloads(&sets));
        }
        chains.push(self.prerouting(&interfaces, &sets));
        chains.extend([Hook::Input, Hook::Forward].map(|hook| self.filter(hook, &interfaces)));
        chains.push(output(&sets));
        Table { sets: sets.sets, chains, foreign: Vec::new() }
    }

    /// Writes the mark of a class on packet and connection, and ends the evaluation of the base chain.
    fn mark(&self, class: Class) -> Chain {
        let mark = MarkWrite::of(&self.marks, class);
        let rules = [Action::MarkPacket(mark), Action::MarkConnection(mark), Action::Accept];
        Chain::new(ChainName::Mark(class), None, rules.map(|action| own([], action)).into())
    }

    /// Gives a packet the mark of its connection. Constants, as expressions of two operands load on new versions of nft alone and
    /// make old ones abort when they list them; rules, as old versions crash on maps that new ones loaded.
    fn restore(&self) -> Chain {
        let rules = Class::ALL.into_iter().filter_map(|class| {
            let mark = MarkMatch::new(self.marks.value(class), self.marks.mask().bits()).ok()?;
            Some(own([Match::ConnectionMark(mark)], Action::Goto(ChainName::Mark(class))))
        });
        Chain::new(ChainName::Restore, None, rules.collect())
    }

    fn workloads(&self, sets: &Sets) -> Chain {
        let class = Action::Goto(ChainName::Mark(Class::Workload));
        let mut rules = Vec::new();
        if self.networks.is_empty() && self.egress == Egress::All {
            rules.push(own([], class.clone()));
        }
        for v6 in [false, true] {
            let mut matches = Vec::new();
            let only = matches!(self.egress, Egress::Only(_));
            if !self.networks.is_empty() {
                match joined(&self.networks, v6) {
                    // What looks at a destination looks at the family by itself.
                    Some(addresses) if is_whole(&addresses, v6) && only => {}
                    Some(addresses) if is_whole(&addresses, v6) => matches.push(Match::Family { v6 }),
                    Some(addresses) => matches.push(Match::Source { v6, addresses }),
                    None => continue,
                }
            }
            if only {
                rules.extend(sets.lookups(SetKind::Egress, v6, &matches));
            } else if !matches.is_empty() {
                rules.push(Rule::Own(matches, class.clone()));
            }
        }
        Chain::new(ChainName::FromWorkload, None, rules)
    }

    /// Classes for what comes in, before addresses are translated.
    fn prerouting(&self, interfaces: &[Interface], sets: &Sets) -> Chain {
        let mut rules = vec![own([], Action::Jump(ChainName::Restore)), own([Match::Reply], Action::Accept)];
        for kind in [SetKind::ControlIn, SetKind::Ingress] {
            rules.extend([false, true].into_iter().flat_map(|v6| sets.lookups(kind, v6, &[])));
        }
        let from_workload = Action::Goto(ChainName::FromWorkload);
        rules.extend(interfaces.iter().map(|interface| own([Match::From(interface.clone())], from_workload.clone())));
        base(Hook::Prerouting, Priority::AFTER_MANGLE, rules)
    }

    /// The mark again, if somebody wiped it off, and the end of what has none.
    fn filter(&self, hook: Hook, interfaces: &[Interface]) -> Chain {
        let mut rules = vec![own([], Action::Jump(ChainName::Restore))];
        if self.rest != Rest::Pass {
            rules.extend(self.accept_mark.map(|mark| own([Match::PacketMark(mark)], Action::Accept)));
            rules.push(own([Match::Established], Action::Accept));
            rules.push(own([Match::NeighborDiscovery], Action::Accept));
        }
        let drop = |found| own([found], Action::Drop);
        match self.rest {
            Rest::Pass => {}
            Rest::DropWorkloads => {
                rules.extend(interfaces.iter().cloned().map(Match::From).map(drop));
                if hook == Hook::Forward {
                    rules.extend(interfaces.iter().cloned().map(Match::To).map(drop));
                }
            }
            Rest::DropAll => {
                if let Ok(loopback) = "lo".parse()
                    && hook == Hook::Input
                {
                    rules.push(own([Match::From(loopback)], Action::Accept));
                }
                rules.push(own([], Action::Drop));
            }
        }
        base(hook, Priority::BEFORE_FILTER, rules)
    }
}

/// Classes for what this host sends. It drops nothing.
fn output(sets: &Sets) -> Chain {
    let mut rules = vec![own([], Action::Jump(ChainName::Restore)), own([Match::Reply], Action::Accept)];
    rules.extend([false, true].into_iter().flat_map(|v6| sets.lookups(SetKind::ControlOut, v6, &[])));
    base(Hook::Output, Priority::BEFORE_FILTER, rules)
}

fn own<const N: usize>(matches: [Match; N], action: Action) -> Rule {
    Rule::Own(matches.into(), action)
}

fn base(hook: Hook, priority: Priority, rules: Vec<Rule>) -> Chain {
    let base = Base { hook, priority, policy: Policy::Accept };
    Chain::new(ChainName::Hook(hook), Some(base), rules)
}

/// Where ranges are looked up.
#[derive(Default)]
struct Sets {
    sets: Vec<Set>,
    blocks: Vec<BlockName>,
}

impl Sets {
    /// The rules that find the ranges of a kind, for packets that match. Intervals come last: where their set is anew, so is their rule,
    /// behind those that came ahead.
    fn lookups(&self, kind: SetKind, v6: bool, matches: &[Match]) -> Vec<Rule> {
        let whole = SetName { kind, v6, networks: None };
        let blocks: Vec<BlockName> = self.blocks.iter().copied().filter(|block| block.set() == whole).collect();
        let branch = (!blocks.is_empty()).then(|| Rule::Own(matches.to_vec(), Action::Branch(blocks)));
        let names = self.sets.iter().map(|set| set.name).filter(|name| name.kind == kind && name.v6 == v6);
        let (intervals, networks): (Vec<_>, Vec<_>) = names.partition(|name| name.networks.is_none());
        let names = networks.into_iter().chain(intervals);
        let goto = Action::Goto(ChainName::Mark(class(kind)));
        let lookups = names.map(|set| Rule::Own([matches, &[Match::Lookup(set)]].concat(), goto.clone()));
        branch.into_iter().chain(lookups).collect()
    }
}

/// What the ranges of a kind are marked as.
fn class(kind: SetKind) -> Class {
    match kind {
        SetKind::Ingress => Class::Ingress,
        SetKind::Egress => Class::Workload,
        SetKind::ControlIn | SetKind::ControlOut => Class::Control,
    }
}

/// The addresses of a family's networks, joined where they overlap or touch; `None` where the family has none.
fn joined(networks: &[Cidr], v6: bool) -> Option<Vec<(IpAddr, IpAddr)>> {
    let bits = if v6 { 128 } else { 32 };
    let mut spans: Vec<(u128, u128)> = networks
        .iter()
        .filter(|network| network.network().is_ipv6() == v6)
        .map(|network| {
            let first = number(network.network());
            let low = u128::MAX.checked_shr(u128::BITS - (bits - u32::from(network.prefix_len()))).unwrap_or(0);
            (first, first | low)
        })
        .collect();
    spans.sort_unstable();
    spans.dedup_by(|next, span| {
        let touches = next.0 <= span.1.saturating_add(1);
        span.1 = if touches { span.1.max(next.1) } else { span.1 };
        touches
    });
    let joined: Vec<_> =
        spans.into_iter().filter_map(|(first, last)| address(first, v6).zip(address(last, v6))).collect();
    (!joined.is_empty()).then_some(joined)
}

fn is_whole(addresses: &[(IpAddr, IpAddr)], v6: bool) -> bool {
    matches!(addresses, [(first, last)] if number(*first) == 0 && number(*last) == highest(v6))
}
