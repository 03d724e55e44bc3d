//! The reference: it looks at every rule, and says in as many words what the documentation says.

use std::cmp::Reverse;

use keyward_approle::{Effect, HiddenField, Operation, PolicyConfig, RuleConfig, Why};
use keyward_config_values::{Bindings, Name};

/// What a policy comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Allow,
    Deny,
    Undefined,
}

/// Policies, and the names of those that hold.
pub(crate) type Side<'a> = (&'a [PolicyConfig], &'a [Name]);

/// A request, and the values of variables.
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    pub(crate) operation: Operation,
    pub(crate) bindings: &'a Bindings,
}

/// How specific each segment is: literal over `*` over `**`.
fn specificity(pattern: &str) -> Vec<Reverse<u8>> {
    let kind = |segment| match segment {
        "**" => Reverse(0),
        "*" => Reverse(1),
        _ => Reverse(2),
    };
    pattern[1..].split('/').map(kind).collect()
}

/// A segment with the values of variables in their places; `None` where one has no value.
fn bound(segment: &str, bindings: &Bindings) -> Option<String> {
    let mut text = String::new();
    let mut rest = segment;
    while let Some(at) = rest.find("${") {
        let end = at + rest[at..].find('}').unwrap();
        let value = bindings.get(&rest[at + 2..end].parse().unwrap()).filter(|value| !value.is_empty())?;
        text += &rest[..at];
        text += value;
        rest = &rest[end + 1..];
    }
    Some(text + rest)
}

/// Whether a rule is about the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Yes,
    No,
    /// It would be if its variables had the right values, and one has none.
    Perhaps,
}

impl Asked<'_> {
    fn about(&self, rule: &RuleConfig) -> About {
        let written: Vec<&str> = rule.path.as_str()[1..].split('/').collect();
        let path: Vec<&str> = self.path[1..].split('/').collect();
        let values: Vec<Option<String>> = written.iter().map(|segment| bound(segment, self.bindings)).collect();
        let undefined = values.contains(&None);
        let fits = |(at, segment): (usize, &&str)| match written[at] {
            "*" | "**" => true,
            // Before anything is compared: it may stand for any segment.
            text if undefined && text.contains("${") => true,
            _ => values[at].as_deref() == Some(*segment),
        };
        let long_enough = written.len() <= path.len() && (written.last() == Some(&"**") || written.len() == path.len());
        match long_enough && path.iter().enumerate().take(written.len()).all(fits) {
            false => About::No,
            true if undefined => About::Perhaps,
            true => About::Yes,
        }
    }

    /// All rules of one policy that match and mention the operation; of them the most specific ones.
    fn deciding<'p>(&self, policy: &'p PolicyConfig) -> Vec<(&'p RuleConfig, Effect)> {
        let rules = policy.rest_api.rules.iter().filter(|rule| self.about(rule) == About::Yes);
        let rules: Vec<_> = rules.filter_map(|rule| Some((rule, rule.operations.get(self.operation)?))).collect();
        let best = rules.iter().map(|(rule, _)| specificity(rule.path.as_str())).min();
        rules.into_iter().filter(|(rule, _)| Some(specificity(rule.path.as_str())) == best).collect()
    }

    /// Of the most specific rules one that allows. One that would match if its variables had the right values, and has no values
    /// for them, decides before all.
    pub(crate) fn policy_says(&self, policy: &PolicyConfig) -> Option<Says> {
        let mentions = |rule: &&RuleConfig| rule.operations.get(self.operation).is_some();
        if policy.rest_api.rules.iter().filter(mentions).any(|rule| self.about(rule) == About::Perhaps) {
            return Some(Says::Undefined);
        }
        let effects: Vec<Effect> = self.deciding(policy).into_iter().map(|(_, effect)| effect).collect();
        match effects.contains(&Effect::Allow) {
            true => Some(Says::Allow),
            false => effects.first().map(|_| Says::Deny),
        }
    }

    fn policies<'a>(&self, (policies, names): Side<'a>) -> Vec<(&'a PolicyConfig, Says)> {
        let found = names.iter().filter_map(|name| policies.iter().find(|policy| policy.name == *name));
        found.filter_map(|policy| Some((policy, self.policy_says(policy)?))).collect()
    }

    /// The most permissive of several policies; where none allows, the first that says something.
    fn side_says(&self, side: Side<'_>) -> Option<Says> {
        let said: Vec<Says> = self.policies(side).into_iter().map(|(_, says)| says).collect();
        said.iter().find(|says| **says == Says::Allow).or(said.first()).copied()
    }

    pub(crate) fn decide(&self, tenant: Option<Side<'_>>, token: Side<'_>) -> Why {
        let tenant = tenant.map_or(Some(Says::Allow), |tenant| self.side_says(tenant));
        match (tenant, self.side_says(token)) {
            (None, _) => Why::TenantNoRule,
            (Some(Says::Deny), _) => Why::TenantDenied,
            (Some(Says::Undefined), _) => Why::TenantUndefined,
            (Some(Says::Allow), None) => Why::NoRule,
            (Some(Says::Allow), Some(Says::Deny)) => Why::Denied,
            (Some(Says::Allow), Some(Says::Undefined)) => Why::Undefined,
            (Some(Says::Allow), Some(Says::Allow)) => Why::Allowed,
        }
    }

    /// Whether a field is hidden: by the tenant, or by the token, where each rule that allows the request hides it.
    pub(crate) fn hides(&self, tenant: Option<Side<'_>>, token: Side<'_>, way: &[&str]) -> bool {
        tenant.into_iter().chain([token]).any(|side| {
            let allowing = self.policies(side).into_iter().filter(|(_, says)| *says == Says::Allow);
            let rules = allowing.flat_map(|(policy, _)| self.deciding(policy));
            let lists: Vec<&[HiddenField]> = rules
                .filter(|(_, effect)| *effect == Effect::Allow)
                .map(|(rule, _)| rule.hide_fields.as_slice())
                .collect();
            let hides = |list: &&[HiddenField]| {
                list.iter().any(|field| {
                    let words: Vec<&str> = field.as_str().split('.').collect();
                    way.ends_with(&words)
                })
            };
            !lists.is_empty() && lists.iter().all(hides)
        })
    }
}
