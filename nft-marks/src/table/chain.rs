//! Chains of the table.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::block::BlockName;
use super::{Rule, SetName};
use crate::Class;

/// The chains that the table can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChainName {
    Mark(Class),
    Block(BlockName),
    Restore,
    FromWorkload,
    Hook(Hook),
}

/// Where a base chain hooks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
}

/// When a base chain sees a packet: low numbers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Priority(pub(crate) i32);

/// What becomes of a packet at the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Policy {
    Accept,
    Drop,
}

/// What makes a chain a base chain. Its type is `filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Base {
    pub(crate) hook: Hook,
    pub(crate) priority: Priority,
    pub(crate) policy: Policy,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    pub(crate) name: ChainName,
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Rule>,
    pub(super) handles: Handles,
}

/// By which numbers the kernel knows the rules of a chain, where a listing had them. Chains are the same whatever they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handles(Vec<Option<u64>>);

impl ChainName {
    const FIXED: [Self; 9] = [
        Self::Mark(Class::Ingress),
        Self::Mark(Class::Workload),
        Self::Mark(Class::Control),
        Self::Restore,
        Self::FromWorkload,
        Self::Hook(Hook::Prerouting),
        Self::Hook(Hook::Input),
        Self::Hook(Hook::Forward),
        Self::Hook(Hook::Output),
    ];

    pub(super) fn read(text: &str) -> Option<Self> {
        let fixed = Self::FIXED.into_iter().find(|name| name.to_string() == text);
        fixed.or_else(|| BlockName::read(text).map(Self::Block))
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mark(Class::Ingress) => "mark_ingress",
            Self::Mark(Class::Workload) => "mark_workload",
            Self::Mark(Class::Control) => "mark_control",
            Self::Block(name) => return name.fmt(f),
            Self::Restore => "restore",
            Self::FromWorkload => "from_workload",
            Self::Hook(hook) => hook.as_str(),
        })
    }
}

impl From<Vec<Option<u64>>> for Handles {
    fn from(handles: Vec<Option<u64>>) -> Self {
        Self(handles)
    }
}

impl PartialEq for Handles {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Handles {}

impl Hash for Handles {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Chain {
    /// One that is in no kernel yet.
    pub(crate) fn new(name: ChainName, base: Option<Base>, rules: Vec<Rule>) -> Self {
        Self { name, base, rules, handles: Handles::default() }
    }

    /// The handle of each rule, where all are known.
    pub(crate) fn handles(&self) -> Option<Vec<u64>> {
        let Handles(handles) = &self.handles;
        (handles.len() == self.rules.len()).then(|| handles.iter().copied().collect())?
    }

    /// The sets in which its rules look something up.
    pub(crate) fn sets(&self) -> impl Iterator<Item = SetName> {
        self.rules.iter().flat_map(Rule::sets)
    }
}

impl Hook {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output].into_iter().find(|hook| hook.as_str() == text)
    }
}

/// The priorities that have names in every hook (nft(8), "Standard priority names").
const NAMED: [(&str, i32); 4] = [("raw", -300), ("mangle", -150), ("filter", 0), ("security", 50)];

impl Priority {
    /// Behind those that change marks by convention, before addresses are translated.
    pub(crate) const AFTER_MANGLE: Self = Self(-145);
    /// Before those of Docker (0) and firewalld (10), which look at marks.
    pub(crate) const BEFORE_FILTER: Self = Self(-5);

    /// What nft writes behind `priority`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self(number));
        }
        let (name, distance) = match text.split_once([' ', '+', '-']) {
            None => (text, 0),
            Some((name, _)) => {
                let rest: String = text.get(name.len()..)?.chars().filter(|c| *c != ' ').collect();
                (name, rest.parse::<i32>().ok()?)
            }
        };
        let named = NAMED.into_iter().chain([("dstnat", -100), ("srcnat", 100), ("out", 100)]);
        let (_, number) = named.into_iter().find(|(known, _)| *known == name)?;
        number.checked_add(distance).map(Self)
    }
}

/// As nft writes it: a standard priority and the distance from it, where that is less than ten.
impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let near = NAMED.into_iter().find(|(_, number)| self.0.abs_diff(*number) <= 10);
        match near.map(|(name, number)| (name, self.0 - number)) {
            Some((name, 0)) => f.write_str(name),
            Some((name, distance)) if distance > 0 => write!(f, "{name} + {distance}"),
            Some((name, distance)) => write!(f, "{name} - {}", distance.abs()),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Policy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Accept, Self::Drop].into_iter().find(|policy| policy.as_str() == text)
    }
}

impl Base {
    pub(super) fn read(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("type filter hook ")?;
        let (hook, rest) = rest.split_once(' ')?;
        let (priority, rest) = rest.strip_prefix("priority ")?.split_once(';')?;
        let policy = rest.trim().strip_prefix("policy ")?.strip_suffix(';')?;
        Some(Self { hook: Hook::read(hook)?, priority: Priority::read(priority)?, policy: Policy::read(policy)? })
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hook, priority, policy } = self;
        write!(f, "type filter hook {} priority {priority}; policy {};", hook.as_str(), policy.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_written_as_nft_writes_them_and_read_back() {
        for (number, text) in [
            (-145, "mangle + 5"),
            (-5, "filter - 5"),
            (0, "filter"),
            (10, "filter + 10"),
            (11, "11"),
            (-151, "mangle - 1"),
            (-300, "raw"),
            (-1, "filter - 1"),
            (-100, "-100"),
            (i32::MIN, "-2147483648"),
            (i32::MAX, "2147483647"),
        ] {
            assert_eq!(Priority(number).to_string(), text);
            assert_eq!(Priority::read(text), Some(Priority(number)));
        }
        assert_eq!(Priority::read("dstnat + 5"), Some(Priority(-95)));
        for bad in ["", "filter + ", "filter 5x", "none", "filter + 2147483648", "security + 2147483647"] {
            assert_eq!(Priority::read(bad), None, "{bad}");
        }
    }
}
