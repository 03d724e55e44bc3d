//! How a table becomes another one in its place.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::command::Command;
use crate::table::{Chain, ChainName, Rule, Set, SetName};
use crate::{Range, Table};

/// The commands that change one table into the other in its place, if they can: those that go ahead, and those that then end it.
pub(super) fn in_place(from: &Table, to: &Table) -> Option<[Vec<Command>; 2]> {
    if !from.foreign.is_empty() {
        return None;
    }
    let had = |name| from.chains.iter().find(|chain| chain.name == name);
    let place = |chain: &Chain| chain.base.map(|base| (base.hook, base.priority));
    if to.chains.iter().any(|chain| had(chain.name).is_some_and(|had| place(had) != place(chain))) {
        return None;
    }
    let is_there = |name: SetName| from.sets.iter().any(|set| set.name == name);
    let sets: Vec<(&Set, Option<Difference>)> = to.sets.iter().map(|set| (set, Difference::of(from, set))).collect();
    let (sets, new_sets): (Vec<_>, Vec<_>) = sets.into_iter().partition(|(set, _)| is_there(set.name));
    let anew = |name: SetName| sets.iter().any(|(set, difference)| set.name == name && difference.is_none());
    let kept = |name: SetName| to.sets.iter().any(|set| set.name == name) && !anew(name);

    let (mut new_chains, mut changed, mut exchanges) = (Vec::new(), Vec::new(), Vec::new());
    for chain in &to.chains {
        let is_fixed = !chain.sets().any(anew);
        match had(chain.name) {
            None if is_fixed && chain.base.is_none() => new_chains.push(chain),
            Some(had) if is_fixed && had == chain => {}
            Some(had) if let Some(exchange) = Exchange::of(had, chain, anew) => exchanges.push(exchange),
            _ => changed.push(chain),
        }
    }
    let gone = |chain: &&Chain| to.chains.iter().all(|other| other.name != chain.name);

    // What takes nothing away, and a range that moves is there before it goes where it was. But where anything else than ranges changes,
    // the old ones under the new conditions, or the new ones under the old, would be let in by neither table: all of it is one step.
    let in_steps = changed.is_empty() && exchanges.iter().all(|exchange| exchange.keeps_conditions);
    let mut ahead: Vec<Command> = new_sets.into_iter().map(|(set, _)| Command::AddSet(set.clone())).collect();
    ahead.extend(new_chains.iter().map(|chain| Command::AddChain((*chain).clone())));
    ahead.extend(new_chains.into_iter().map(|chain| Command::AddRules(chain.clone())));
    ahead.extend(exchanges.iter().flat_map(|exchange| exchange.inserted(exchange.early)));
    // Before a command about elements nft reads those of all blocks; of a set as a whole it reads nothing.
    let has_blocks = from.chains.iter().any(|chain| matches!(chain.name, ChainName::Block(_)));
    let moves = !ahead.is_empty() || from.chains.iter().any(|chain| gone(&chain));

    // First what refers to something, then what was referred to.
    let mut then: Vec<Command> = exchanges.iter().flat_map(Exchange::deleted).collect();
    let flushed =
        from.chains.iter().filter(|chain| gone(chain) || changed.iter().any(|other| other.name == chain.name));
    then.extend(flushed.map(|chain| Command::FlushChain(chain.name)));
    then.extend(from.chains.iter().filter(gone).map(|chain| Command::DeleteChain(chain.name)));
    let unused = from.sets.iter().filter(|set| !kept(set.name));
    then.extend(unused.map(|set| Command::DeleteSet(set.name)));
    for (set, difference) in sets {
        match difference {
            Some(Difference { gone, new }) => {
                let early = moves && !overlap(&gone, &new);
                let add = (!new.is_empty()).then(|| match has_blocks {
                    true => Command::AddSet(Set { name: set.name, elements: new.into() }),
                    false => Command::AddElements(set.name, new),
                });
                // What goes before what comes, as an element that overlaps another one is an error.
                then.extend((!gone.is_empty()).then_some(Command::DeleteElements(set.name, gone)));
                if early { ahead.extend(add) } else { then.extend(add) }
            }
            None => then.push(Command::AddSet(set.clone())),
        }
    }
    then.extend(exchanges.iter().flat_map(|exchange| exchange.inserted(exchange.late)));
    then.extend(changed.iter().map(|chain| Command::AddChain((*chain).clone())));
    then.extend(changed.into_iter().map(|chain| Command::AddRules(chain.clone())));
    if !in_steps {
        then.splice(..0, ahead.drain(..));
    }
    Some([ahead, then])
}

/// New rules of a chain that find ranges in the place of old ones. The kernel lets the rules of a transaction be seen a moment before
/// what they have in braces: so they come behind the old ones, and those go when that moment is over.
struct Exchange<'a> {
    chain: &'a Chain,
    /// The new ones, and those from the first one on that looks for something in a set that is anew itself.
    early: &'a [Rule],
    late: &'a [Rule],
    /// The handle of the rule before which they come, or behind all.
    before: Option<u64>,
    gone: Vec<u64>,
    /// Whether the ranges are found for the same packets as before.
    keeps_conditions: bool,
}

impl<'a> Exchange<'a> {
    /// Where the handles are known, and no more than ranges is looked for: rules that do something else in between could not be there
    /// together.
    fn of(from: &'a Chain, to: &'a Chain, anew: impl Fn(SetName) -> bool) -> Option<Self> {
        let handles = from.handles()?;
        let stays = |(from, to): &(&Rule, &Rule)| from == to && !to.sets().any(&anew);
        let fewer = from.rules.len().min(to.rules.len());
        let front = from.rules.iter().zip(&to.rules).take_while(stays).count();
        let back = from.rules.iter().rev().zip(to.rules.iter().rev()).take_while(stays).count().min(fewer - front);
        let (end, new_end) = (from.rules.len() - back, to.rules.len() - back);
        let (old, new) = (from.rules.get(front..end)?, to.rules.get(front..new_end)?);
        let only_ranges = from.base == to.base && old.iter().chain(new).all(Rule::finds_ranges);
        let conditions = |rules: &'a [Rule]| rules.iter().map(Rule::conditions).collect::<HashSet<_>>();
        let keeps_conditions = conditions(&from.rules) == conditions(&to.rules);
        let gone = handles.get(front..end)?.to_vec();
        // In their order: behind one that has to wait all wait.
        let (early, late) = new.split_at(new.iter().take_while(|rule| !rule.sets().any(&anew)).count());
        // nft reads all rules before it finds the place for one. In a block each place is as good.
        let before = handles.get(end).copied().filter(|_| !matches!(to.name, ChainName::Block(_)));
        only_ranges.then_some(Self { chain: to, early, late, before, gone, keeps_conditions })
    }

    fn inserted(&self, rules: &[Rule]) -> impl Iterator<Item = Command> {
        rules.iter().map(|rule| Command::InsertRule(self.chain.name, self.before, rule.clone()))
    }

    fn deleted(&self) -> impl Iterator<Item = Command> {
        self.gone.iter().map(|handle| Command::DeleteRule(self.chain.name, *handle))
    }
}

/// What changes a set: its elements that go, and those that come.
struct Difference {
    gone: Vec<Range>,
    new: Vec<Range>,
}

/// How many elements the kernel may look through for those that leave an interval set. It searches each from the first one on, and of
/// 10,000 or 100,000 elements one that leaves takes as long as thousands that are loaded: in large sets it compares less of each.
const SEARCH: usize = 200_000;
const LARGE: usize = 16_384;

impl Difference {
    /// Nothing where there is no such set yet, or where it is better loaded anew.
    fn of(from: &Table, to: &Set) -> Option<Self> {
        let had = from.sets.iter().find(|set| set.name == to.name)?;
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        differences(had.elements.iter(), to.elements.iter(), |range| gone.push(*range), |range| new.push(*range));
        let searched = gone.len().saturating_mul(had.elements.len().min(LARGE));
        (to.name.networks.is_some() || searched <= SEARCH).then_some(Self { gone, new })
    }
}

/// Walks two ordered lists.
fn differences<'a>(
    from: impl Iterator<Item = &'a Range>,
    to: impl Iterator<Item = &'a Range>,
    mut gone: impl FnMut(&'a Range),
    mut new: impl FnMut(&'a Range),
) {
    let (mut from, mut to) = (from.peekable(), to.peekable());
    loop {
        let order = match (from.peek(), to.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(from), Some(to)) => from.cmp(to),
        };
        if order != Ordering::Greater {
            let left = from.next();
            left.into_iter().filter(|_| order == Ordering::Less).for_each(&mut gone);
        }
        if order != Ordering::Less {
            let right = to.next();
            right.into_iter().filter(|_| order == Ordering::Greater).for_each(&mut new);
        }
    }
}

/// Whether ranges of two ordered lists have addresses in common.
fn overlap(some: &[Range], others: &[Range]) -> bool {
    let reach: Vec<_> = others
        .iter()
        .scan(None, |highest, range| {
            *highest = (*highest).max(Some(range.last()));
            Some(*highest)
        })
        .collect();
    some.iter().any(|range| {
        // Of those that begin before its end, the one that reaches farthest.
        let before = others.partition_point(|other| other.first() <= range.last());
        before.checked_sub(1).and_then(|place| reach.get(place)).is_some_and(|reach| *reach >= Some(range.first()))
    })
}
