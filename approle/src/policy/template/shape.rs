//! Rules with the same variables in the same places.

use std::collections::HashMap;

use keyward_config_values::{TemplatePart, VariableName};

use super::super::set::Rule;
use super::super::{Operation, Request};
use super::Bindable;

/// The longest key that is looked up; what is longer is compared rule by rule.
const MAX_KEY: usize = 512;
/// How many ways to take a path apart are tried before rules are compared one by one. It takes a value that occurs many times in
/// one segment to get there.
const MAX_WAYS: usize = 64;
/// Between the literals of one segment, and behind the last one. Neither byte occurs in UTF-8.
const BETWEEN: u8 = 0xff;
const BEHIND: u8 = 0xfe;

/// Rules that have the same variables in the same places, and differ in what is literal beside them: found by that, however many
/// there are.
#[derive(Clone)]
pub(super) struct Shape {
    slots: Vec<Slot>,
    rules: Vec<Bindable>,
    /// The rules by their literals.
    index: HashMap<Box<[u8]>, usize>,
    /// For each operation a rule that says something of it.
    mentions: [Option<usize>; Operation::ALL.len()],
}

/// A segment with variables.
#[derive(Clone, PartialEq, Eq)]
struct Slot {
    place: usize,
    names: Vec<VariableName>,
}

/// A variable of these rules has no value.
pub(super) struct Unbound<'a> {
    pub(super) variable: &'a VariableName,
    /// One of the rules that say something of the operation, if there is one.
    pub(super) rule: Option<&'a Rule>,
}

/// The segments of a path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or_default().split('/')
}

fn slots(bindable: &Bindable) -> impl Iterator<Item = Slot> {
    let slot = |(place, template): &(usize, keyward_config_values::Template)| Slot {
        place: *place,
        names: template.variables().cloned().collect(),
    };
    bindable.segments.iter().map(slot)
}

impl Shape {
    pub(super) fn of(bindable: Bindable) -> Self {
        let slots = slots(&bindable).collect();
        let mut shape = Self { slots, rules: Vec::new(), index: HashMap::new(), mentions: [None; 5] };
        shape.insert(bindable);
        shape
    }

    /// Whether the rule has these variables in these places.
    pub(super) fn is_of(&self, bindable: &Bindable) -> bool {
        slots(bindable).eq(self.slots.iter().cloned())
    }

    pub(super) fn insert(&mut self, bindable: Bindable) {
        let at = self.rules.len();
        for (mention, operation) in self.mentions.iter_mut().zip(Operation::ALL) {
            if mention.is_none() && bindable.rule.operations.get(operation).is_some() {
                *mention = Some(at);
            }
        }
        let mut key = Vec::new();
        for (_, template) in &bindable.segments {
            for part in template.parts() {
                match part {
                    TemplatePart::Literal(text) => key.extend_from_slice(text.as_bytes()),
                    TemplatePart::Variable { .. } => key.push(BETWEEN),
                }
            }
            key.push(BEHIND);
        }
        self.index.insert(key.into(), at);
        self.rules.push(bindable);
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|bindable| &bindable.rule)
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.slots.iter().flat_map(|slot| &slot.names)
    }

    /// Calls `f` with each rule that is about the path; one may come twice. Allocates nothing.
    pub(super) fn each<'a>(&'a self, request: &Request<'_>, mut f: impl FnMut(&'a Rule)) -> Result<(), Unbound<'a>> {
        let unbound = self.variables().find(|name| value(request, name).is_none());
        if let Some(variable) = unbound {
            let mention = Operation::ALL.iter().zip(self.mentions).find(|(op, _)| **op == request.operation());
            let rule = mention.and_then(|(_, at)| self.rules.get(at?)).map(|bindable| &bindable.rule);
            return Err(Unbound { variable, rule });
        }
        // To look up one rule costs more than to compare it.
        if let [only] = self.rules.as_slice() {
            if only.is_about(request) {
                f(&only.rule);
            }
            return Ok(());
        }
        let mut search = Search { shape: self, request, key: [0; MAX_KEY], length: 0, ways: 0, f: &mut f };
        if search.slot(0).is_none() {
            self.rules.iter().filter(|bindable| bindable.is_about(request)).for_each(|bindable| f(&bindable.rule));
        }
        Ok(())
    }
}

fn value<'r>(request: &Request<'r>, name: &VariableName) -> Option<&'r str> {
    request.bindings()?.get(name).filter(|value| !value.is_empty())
}

/// Takes the path's segments apart at the values of the variables, in every way, and looks up what is left. `None` where that is
/// too long or takes too many ways.
struct Search<'a, 'q, F> {
    shape: &'a Shape,
    request: &'q Request<'q>,
    key: [u8; MAX_KEY],
    length: usize,
    ways: usize,
    f: F,
}

impl<'a, F: FnMut(&'a Rule)> Search<'a, '_, F> {
    fn slot(&mut self, slot: usize) -> Option<()> {
        match self.shape.slots.get(slot) {
            Some(Slot { place, .. }) => {
                let segment = segments(self.request.path()).nth(*place).unwrap_or_default();
                self.variable(slot, 0, segment)
            }
            None => {
                let at = self.key.get(..self.length).and_then(|key| self.shape.index.get(key));
                if let Some(bindable) = at.and_then(|at| self.shape.rules.get(*at)) {
                    (self.f)(&bindable.rule);
                }
                Some(())
            }
        }
    }

    /// What is left of a segment, from one of its variables on.
    fn variable(&mut self, slot: usize, variable: usize, rest: &str) -> Option<()> {
        let length = self.length;
        let Some(name) = self.shape.slots.get(slot).and_then(|slot| slot.names.get(variable)) else {
            self.push(rest, BEHIND)?;
            self.slot(slot + 1)?;
            self.length = length;
            return Some(());
        };
        let value = value(self.request, name)?;
        let (first, room) = (value.as_bytes().first(), rest.len().checked_sub(value.len()));
        for start in room.map_or(0..0, |room| 0..room + 1) {
            if rest.as_bytes().get(start) != first {
                continue;
            }
            let Some((before, from)) = rest.split_at_checked(start) else { continue };
            let Some(behind) = from.strip_prefix(value) else { continue };
            self.ways += 1;
            if self.ways > MAX_WAYS {
                return None;
            }
            self.push(before, BETWEEN)?;
            self.variable(slot, variable + 1, behind)?;
            self.length = length;
        }
        Some(())
    }

    fn push(&mut self, literal: &str, end: u8) -> Option<()> {
        let behind = self.length + literal.len();
        self.key.get_mut(self.length..behind)?.copy_from_slice(literal.as_bytes());
        *self.key.get_mut(behind)? = end;
        self.length = behind + 1;
        Some(())
    }
}
