//! Decisions equal those of a reference that is slow and obvious.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::cmp::Reverse;

use keyward_approle::{
    Effect, Operation, Operations, PolicyConfig, PolicySet, Request, RuleConfig, Scope, Why, decide,
};
use keyward_config_values::{Bindings, Name};
use proptest::prelude::*;

/// How specific each segment is: literal over `*` over `**`.
fn specificity(pattern: &str) -> Vec<Reverse<u8>> {
    pattern[1..]
        .split('/')
        .map(|segment| match segment {
            "**" => Reverse(0),
            "*" => Reverse(1),
            _ => Reverse(2),
        })
        .collect()
}

/// What a policy comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Allow,
    Deny,
    Undefined,
}

/// The segments of a pattern with the values of variables in their places; `None` for a segment that has none.
fn bound(pattern: &str, bindings: &Bindings) -> Vec<Option<String>> {
    let bind = |segment: &str| {
        let mut text = segment.to_owned();
        for variable in ["v", "w"] {
            let written = format!("${{{variable}}}");
            if text.contains(&written) {
                text = text.replace(&written, bindings.get(&variable.parse().unwrap())?);
            }
        }
        Some(text)
    };
    pattern[1..].split('/').map(bind).collect()
}

/// All rules of one policy that match and mention the operation; of them the most specific, and among equals one that
/// allows. One that would match if its variables had the right values, and has no values for them, decides before all.
fn policy_says(policy: &PolicyConfig, path: &str, operation: Operation, bindings: &Bindings) -> Option<Says> {
    let path: Vec<&str> = path[1..].split('/').collect();
    let about = |rule: &&RuleConfig, undefined_as: Option<&str>| {
        let written: Vec<&str> = rule.path.as_str()[1..].split('/').collect();
        let values = bound(rule.path.as_str(), bindings);
        if undefined_as.is_some() != values.iter().any(Option::is_none) {
            return false;
        }
        written.len() <= path.len()
            && (written.last() == Some(&"**") || written.len() == path.len())
            && written.iter().zip(&values).zip(&path).all(|((written, value), segment)| {
                matches!(*written, "*" | "**")
                    || (undefined_as.is_some() && written.contains("${"))
                    || value.as_deref() == Some(segment)
            })
    };
    let rules = &policy.rest_api.rules;
    let mentioned = |rule: &&RuleConfig| rule.operations.get(operation).is_some();
    if rules.iter().filter(mentioned).any(|rule| about(&rule, Some(""))) {
        return Some(Says::Undefined);
    }
    rules
        .iter()
        .filter(|rule| about(rule, None))
        .filter_map(|rule| Some((specificity(rule.path.as_str()), rule.operations.get(operation)?)))
        .min_by_key(|(specificity, effect)| (specificity.clone(), Reverse(*effect)))
        .map(|(_, effect)| if effect == Effect::Allow { Says::Allow } else { Says::Deny })
}

/// The most permissive of several policies; where none allows, the first that says something.
fn scope_says(
    policies: &[PolicyConfig],
    names: &[Name],
    path: &str,
    operation: Operation,
    bindings: &Bindings,
) -> Option<Says> {
    let said: Vec<Says> = names
        .iter()
        .filter_map(|name| policies.iter().find(|policy| policy.name == *name))
        .filter_map(|policy| policy_says(policy, path, operation, bindings))
        .collect();
    said.iter().find(|says| **says == Says::Allow).or(said.first()).copied()
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[abc]",
        4 => Just("*".to_owned()),
        2 => proptest::sample::select(vec!["${v}", "${w}", "${v}${w}", "a${v}"]).prop_map(str::to_owned),
    ]
}

/// Values of the two variables; one of three has none.
fn bindings() -> impl Strategy<Value = Bindings> {
    let value = || proptest::sample::select(vec![None, Some("a"), Some("b"), Some("*"), Some("**"), Some("b/c")]);
    (value(), value()).prop_map(|(v, w)| {
        let mut bindings = Bindings::default();
        for (name, value) in [("v", v), ("w", w)] {
            if let Some(value) = value {
                bindings.set(name.parse().unwrap(), value);
            }
        }
        bindings
    })
}

fn pattern() -> impl Strategy<Value = String> {
    (proptest::collection::vec(segment(), 0..4), any::<bool>()).prop_map(|(mut segments, rest)| {
        if rest || segments.is_empty() {
            segments.push("**".to_owned());
        }
        format!("/{}", segments.join("/"))
    })
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![Just(Effect::Allow), Just(Effect::Deny)]
}

fn rule() -> impl Strategy<Value = RuleConfig> {
    (pattern(), effect(), proptest::sample::subsequence(Operation::ALL.to_vec(), 1..=5))
        .prop_map(|(pattern, effect, operations)| RuleConfig::new(pattern.parse().unwrap(), effect, operations))
}

fn policies() -> impl Strategy<Value = Vec<PolicyConfig>> {
    proptest::collection::vec(proptest::collection::vec(rule(), 0..12), 0..4).prop_map(|policies| {
        policies
            .into_iter()
            .enumerate()
            .map(|(index, rules)| PolicyConfig::new(format!("p{index}").parse().unwrap(), rules))
            .collect()
    })
}

fn names() -> impl Strategy<Value = Vec<Name>> {
    proptest::collection::vec((0..5).prop_map(|index| format!("p{index}").parse().unwrap()), 0..4)
}

fn set(policies: &[PolicyConfig]) -> PolicySet {
    let mut set = PolicySet::new();
    for policy in policies {
        set.insert(policy).unwrap();
    }
    set
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn decisions_equal_the_reference(
        token_policies in policies(),
        token_names in names(),
        tenant in proptest::option::of((policies(), names())),
        path in "(/([abc]|[abc][abc]|\\*)){1,5}",
        operation in proptest::sample::select(Operation::ALL.to_vec()),
        bindings in bindings(),
    ) {
        let expected = {
            let token = scope_says(&token_policies, &token_names, &path, operation, &bindings);
            let tenant = tenant.as_ref().map_or(Some(Says::Allow), |(policies, names)| {
                scope_says(policies, names, &path, operation, &bindings)
            });
            match (tenant, token) {
                (None, _) => Why::TenantNoRule,
                (Some(Says::Deny), _) => Why::TenantDenied,
                (Some(Says::Undefined), _) => Why::TenantUndefined,
                (Some(Says::Allow), None) => Why::NoRule,
                (Some(Says::Allow), Some(Says::Deny)) => Why::Denied,
                (Some(Says::Allow), Some(Says::Undefined)) => Why::Undefined,
                (Some(Says::Allow), Some(Says::Allow)) => Why::Allowed,
            }
        };
        let (token_set, tenant_set) = (set(&token_policies), tenant.as_ref().map(|(policies, _)| set(policies)));
        let tenant_scope = tenant
            .as_ref()
            .zip(tenant_set.as_ref())
            .map(|((_, names), set)| Scope::new(set, names));
        let request = Request::new(&path, operation).unwrap().with_bindings(&bindings);
        let token_scope = Scope::new(&token_set, &token_names);
        let decision = decide(tenant_scope.as_ref(), &token_scope, &request);
        prop_assert_eq!(decision.why, expected);
        prop_assert_eq!(decision.is_allowed(), expected == Why::Allowed);

        // The rule that is named decides so by itself.
        let silent = [Why::NoRule, Why::TenantNoRule].contains(&expected);
        prop_assert_eq!(decision.rule.is_some(), !silent);
        if let Some(rule) = decision.rule {
            let by_tenant = [Why::TenantDenied, Why::TenantUndefined].contains(&expected);
            let policies = if by_tenant { &tenant.as_ref().unwrap().0 } else { &token_policies };
            let mut policy = policies.iter().find(|policy| policy.name == *rule.policy).unwrap().clone();
            policy.rest_api.rules.retain(|configured| configured.path == *rule.pattern);
            let says = match expected {
                Why::Allowed => Says::Allow,
                Why::Denied | Why::TenantDenied => Says::Deny,
                _ => Says::Undefined,
            };
            prop_assert_eq!(policy_says(&policy, &path, operation, &bindings), Some(says));
        }
    }

    #[test]
    fn rules_for_other_paths_change_nothing(
        mut rules in proptest::collection::vec(rule(), 0..12),
        others in proptest::collection::vec("/zz(/[abc*]){0,3}", 0..12),
        path in "(/[abc]){1,5}",
    ) {
        let why = |rules: &[RuleConfig]| {
            let policy = PolicyConfig::new("p0".parse().unwrap(), rules.to_vec());
            let names = [policy.name.clone()];
            let request = Request::new(&path, Operation::Read).unwrap();
            decide(None, &Scope::new(&set(&[policy]), &names), &request).why
        };
        let before = why(&rules);
        for other in others {
            rules.push(RuleConfig::new(other.parse().unwrap(), Effect::Allow, Operation::ALL));
        }
        prop_assert_eq!(why(&rules), before);
    }

    #[test]
    fn the_order_of_the_rules_changes_nothing(
        rules in proptest::collection::vec(rule(), 0..12).prop_shuffle(),
        path in "(/[abc]){1,5}",
        operation in proptest::sample::select(Operation::ALL.to_vec()),
    ) {
        let mut backwards = rules.clone();
        backwards.reverse();
        let request = Request::new(&path, operation).unwrap();
        let whys = [rules, backwards].map(|rules| {
            let policy = PolicyConfig::new("p0".parse().unwrap(), rules);
            let names = [policy.name.clone()];
            decide(None, &Scope::new(&set(&[policy]), &names), &request).why
        });
        prop_assert_eq!(whys[0], whys[1]);
    }
}

#[test]
fn an_operation_is_what_its_name_says() {
    let mut operations = Operations::default();
    operations.update = Some(Effect::Allow);
    for operation in Operation::ALL {
        assert_eq!(operations.get(operation).is_some(), operation == Operation::Update);
    }
}
