//! Policies made ready for decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use keyward_config_values::{Name, VariableName};
use keyward_spiffe_id::SegmentTrie;

use super::template::{Candidate, Specificity, Templates};
use super::{
    ADMINISTRATOR_POLICY, DEFAULT_POLICY, Effect, HiddenField, Operation, Operations, PathPattern, PolicyConfig,
    Request, RuleConfig,
};
use crate::error::Invalid;

/// The policies of one tenant, made ready for decisions; the built-in ones are always among them. A clone shares them.
#[derive(Debug, Clone)]
pub struct PolicySet {
    policies: BTreeMap<Name, Arc<Policy>>,
}

impl PolicySet {
    /// Only the built-in policies.
    #[must_use]
    pub fn new() -> Self {
        // They are the same in every set, and made once: a set may be made for each request.
        static BUILT_IN: LazyLock<BTreeMap<Name, Arc<Policy>>> = LazyLock::new(|| {
            let built_in = [(DEFAULT_POLICY, default_rules()), (ADMINISTRATOR_POLICY, administrator_rules())];
            // The names are legal: a test holds them to it.
            let named = |(name, rules): (&str, Vec<_>)| Some((name.parse().ok()?, Arc::new(Policy::new(&rules))));
            built_in.into_iter().filter_map(named).collect()
        });
        Self { policies: BUILT_IN.clone() }
    }

    /// Puts a policy in place, or another one in the place of the one of that name.
    ///
    /// # Errors
    ///
    /// The problems of [`PolicyConfig::validate`], but for those of its `vault-policy`, which decides nothing.
    pub fn insert(&mut self, policy: &PolicyConfig) -> Result<(), Invalid> {
        Invalid::check(policy.problems())?;
        self.policies.insert(policy.name.clone(), Arc::new(Policy::new(&policy.rest_api.rules)));
        Ok(())
    }

    /// Removes a policy; whether it was there. The built-in ones stay. Tokens that name it lose what
    /// it allowed.
    pub fn remove(&mut self, name: &Name) -> bool {
        ![DEFAULT_POLICY, ADMINISTRATOR_POLICY].contains(&name.as_str()) && self.policies.remove(name).is_some()
    }

    /// Whether there is a policy of that name.
    #[must_use]
    pub fn contains(&self, name: &Name) -> bool {
        self.policies.contains_key(name)
    }

    /// Whether one of these policies hides fields, so that an answer has to be looked at.
    #[must_use]
    pub fn hides_fields(&self, names: &[Name]) -> bool {
        names.iter().filter_map(|name| self.policies.get(name)).any(|policy| policy.hides)
    }

    /// The variables in a policy, in order; none where there is no such policy.
    #[must_use]
    pub fn variables(&self, name: &Name) -> BTreeSet<&VariableName> {
        self.policies.get(name).map(|policy| policy.templates.variables().collect()).unwrap_or_default()
    }

    /// Whether one of these policies has variables, so that a decision needs their values.
    #[must_use]
    pub fn has_variables(&self, names: &[Name]) -> bool {
        names.iter().filter_map(|name| self.policies.get(name)).any(|policy| !policy.templates.is_empty())
    }

    /// The names in order, the built-in ones among them.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.policies.keys()
    }

    /// The policy and the name as the set has it.
    pub(super) fn get(&self, name: &Name) -> Option<(&Name, &Policy)> {
        self.policies.get_key_value(name).map(|(name, policy)| (name, &**policy))
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::new()
    }
}

/// The rules of one policy, found by path.
pub(super) struct Policy {
    rules: SegmentTrie<Rule>,
    templates: Templates,
    /// Whether one of them hides fields.
    hides: bool,
}

/// What the rules of one path say together.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) pattern: PathPattern,
    pub(super) specificity: Specificity,
    pub(super) operations: Operations,
    /// Which rule of the document says so, for each operation; that of the path's first rule where none says anything.
    numbers: [u32; Operation::ALL.len()],
    /// What each rule that allows an operation hides; nothing where one of them hides nothing.
    hidden: Option<Box<[Vec<Vec<HiddenField>>; Operation::ALL.len()]>>,
}

impl Rule {
    pub(super) fn new(pattern: &PathPattern, rules: &[(usize, &RuleConfig)]) -> Self {
        let mut operations = Operations::default();
        let first = rules.first().map_or(0, |(number, _)| *number);
        let mut numbers = [u32::try_from(first).unwrap_or(u32::MAX); Operation::ALL.len()];
        for (number, rule) in rules {
            for (operation, slot) in Operation::ALL.into_iter().zip(&mut numbers) {
                if rule.operations.get(operation) > operations.get(operation) {
                    *slot = u32::try_from(*number).unwrap_or(u32::MAX);
                }
            }
            operations.merge(&rule.operations);
        }
        let hidden = rules.iter().any(|(_, rule)| !rule.hide_fields.is_empty()).then(|| {
            Box::new(Operation::ALL.map(|operation| {
                let allowing = rules.iter().filter(|(_, rule)| rule.operations.get(operation) == Some(Effect::Allow));
                let lists: Vec<_> = allowing.map(|(_, rule)| rule.hide_fields.clone()).collect();
                if lists.iter().any(Vec::is_empty) { Vec::new() } else { lists }
            }))
        });
        let specificity = Specificity::of(pattern.as_str());
        Self { pattern: pattern.clone(), specificity, operations, numbers, hidden }
    }

    /// The number of the document's rule that says something of the operation, from 0.
    pub(super) fn number(&self, operation: Operation) -> usize {
        let found = Operation::ALL.into_iter().zip(self.numbers).find(|(other, _)| *other == operation);
        found.map_or(0, |(_, number)| number as usize)
    }

    /// Lists of fields, of which each hides what is hidden.
    pub(super) fn hidden(&self, operation: Operation) -> &[Vec<HiddenField>] {
        let lists = self.hidden.iter().flat_map(|hidden| Operation::ALL.into_iter().zip(hidden.iter()));
        lists.into_iter().find(|(other, _)| *other == operation).map_or(&[], |(_, lists)| lists)
    }
}

impl Policy {
    fn new(configured: &[RuleConfig]) -> Self {
        let mut by_path: BTreeMap<&PathPattern, Vec<(usize, &RuleConfig)>> = BTreeMap::new();
        for (number, rule) in configured.iter().enumerate() {
            by_path.entry(&rule.path).or_default().push((number, rule));
        }
        let mut policy = Self { rules: SegmentTrie::new(), templates: Templates::default(), hides: false };
        for (pattern, rules) in by_path {
            let rule = Rule::new(pattern, &rules);
            policy.hides |= rule.hidden.is_some();
            if pattern.has_variables() {
                policy.templates.insert(rule);
            } else {
                policy.rules.insert(pattern.as_str(), rule);
            }
        }
        policy
    }

    /// The most specific rule that says something of the request, and what it says.
    pub(super) fn effect(&self, request: &Request<'_>) -> Option<Candidate<'_>> {
        let fixed = self.rules.matches(request.path()).find_map(|rule| Candidate::new(rule, request.operation()));
        if self.templates.is_empty() { fixed } else { self.templates.effect(request, fixed) }
    }

    /// Every rule that is about the path, whatever the operation, or may be: with the variable that has no value.
    pub(super) fn about(&self, request: &Request<'_>) -> Vec<(&Rule, Option<&VariableName>)> {
        let fixed = self.rules.matches(request.path()).map(|rule| (rule, None));
        fixed.chain(self.templates.all(request)).collect()
    }

    /// All rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().chain(self.templates.rules())
    }
}

impl core::fmt::Debug for Policy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Policy").field("rules", &(self.rules.len() + self.templates.len())).finish()
    }
}

/// What every token may do with itself, and may know of itself.
fn default_rules() -> Vec<RuleConfig> {
    rules(&[
        ("/v1/state/strongbox/token", &[Operation::Read]),
        ("/v1/state/strongbox/token/refresh", &[Operation::Execute]),
        ("/v1/state/strongbox/token/revoke", &[Operation::Execute]),
        ("/v1/state/strongbox/policies/capabilities", &[Operation::Execute]),
        // The same by the paths of Vault's clients.
        ("/v1/auth/token/lookup-self", &[Operation::Read]),
        ("/v1/auth/token/renew-self", &[Operation::Execute]),
        ("/v1/auth/token/revoke-self", &[Operation::Execute]),
        ("/v1/sys/capabilities-self", &[Operation::Execute]),
    ])
}

/// Everything.
fn administrator_rules() -> Vec<RuleConfig> {
    rules(&[("/**", &Operation::ALL)])
}

fn rules(rules: &[(&str, &[Operation])]) -> Vec<RuleConfig> {
    // The patterns are legal: a test holds them to it.
    rules
        .iter()
        .filter_map(|(path, operations)| {
            let path = path.parse().ok()?;
            Some(RuleConfig::new(path, Effect::Allow, operations.iter().copied()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;

    #[test]
    fn the_built_in_policies_are_whole_and_stay() {
        assert_eq!(default_rules().len(), 8);
        assert_eq!(administrator_rules().len(), 1);
        let mut set = PolicySet::new();
        let names: Vec<&str> = set.names().map(Name::as_str).collect();
        assert_eq!(names, ["administrator", "default"]);
        assert!(!set.remove(&name("default")));
        assert!(!set.remove(&name("administrator")));
        assert!(set.insert(&PolicyConfig::new(name("default"), Vec::new())).is_err());
        assert!(set.contains(&name("default")));
    }

    #[test]
    fn policies_come_and_go() {
        let mut set = PolicySet::default();
        assert!(!set.has_variables(&[name("a"), name("default")]));
        let own = RuleConfig::new("/${approle}".parse().unwrap(), Effect::Allow, [Operation::Read]);
        set.insert(&PolicyConfig::new(name("a"), vec![own])).unwrap();
        assert!(set.has_variables(&[name("default"), name("a")]) && !set.has_variables(&[name("default")]));
        set.insert(&PolicyConfig::new(name("a"), administrator_rules())).unwrap();
        assert!(set.contains(&name("a")));
        let (_, policy) = set.get(&name("a")).unwrap();
        assert!(policy.effect(&Request::new("/x", Operation::Read).unwrap()).is_some());
        set.insert(&PolicyConfig::new(name("a"), Vec::new())).unwrap();
        let (_, policy) = set.get(&name("a")).unwrap();
        assert!(policy.effect(&Request::new("/x", Operation::Read).unwrap()).is_none());
        assert!(set.remove(&name("a")));
        assert!(!set.remove(&name("a")));
    }
}
