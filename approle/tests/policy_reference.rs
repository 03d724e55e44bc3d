//! Decisions equal those of a reference that is slow and obvious.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::cmp::Reverse;

use keyward_approle::{
    Effect, Operation, Operations, PolicyConfig, PolicySet, Request, RuleConfig, Scope, Why, decide,
};
use keyward_config_values::Name;
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

fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**"], [_, ..]) => true,
        (["*", pattern @ ..], [_, path @ ..]) => matches(pattern, path),
        ([literal, pattern @ ..], [segment, path @ ..]) => literal == segment && matches(pattern, path),
        _ => false,
    }
}

/// All rules of one policy that match and mention the operation; of them the most specific, and among
/// equals one that allows.
fn policy_says(policy: &PolicyConfig, path: &str, operation: Operation) -> Option<Effect> {
    let path: Vec<&str> = path[1..].split('/').collect();
    policy
        .rest_api
        .rules
        .iter()
        .filter(|rule| matches(&rule.path.as_str()[1..].split('/').collect::<Vec<_>>(), &path))
        .filter_map(|rule| Some((specificity(rule.path.as_str()), rule.operations.get(operation)?)))
        .min_by_key(|(specificity, effect)| (specificity.clone(), Reverse(*effect)))
        .map(|(_, effect)| effect)
}

/// The most permissive of several policies.
fn scope_says(policies: &[PolicyConfig], names: &[Name], path: &str, operation: Operation) -> Option<Effect> {
    names
        .iter()
        .filter_map(|name| policies.iter().find(|policy| policy.name == *name))
        .filter_map(|policy| policy_says(policy, path, operation))
        .max()
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[abc]", 2 => Just("*".to_owned())]
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
        path in "(/[abc]){1,5}",
        operation in proptest::sample::select(Operation::ALL.to_vec()),
    ) {
        let expected = {
            let token = scope_says(&token_policies, &token_names, &path, operation);
            let tenant = tenant
                .as_ref()
                .map_or(Some(Effect::Allow), |(policies, names)| scope_says(policies, names, &path, operation));
            match (tenant, token) {
                (None, _) => Why::TenantNoRule,
                (Some(Effect::Deny), _) => Why::TenantDenied,
                (Some(Effect::Allow), None) => Why::NoRule,
                (Some(Effect::Allow), Some(Effect::Deny)) => Why::Denied,
                (Some(Effect::Allow), Some(Effect::Allow)) => Why::Allowed,
            }
        };
        let (token_set, tenant_set) = (set(&token_policies), tenant.as_ref().map(|(policies, _)| set(policies)));
        let tenant_scope = tenant
            .as_ref()
            .zip(tenant_set.as_ref())
            .map(|((_, names), set)| Scope::new(set, names));
        let request = Request::new(&path, operation).unwrap();
        let token_scope = Scope::new(&token_set, &token_names);
        let decision = decide(tenant_scope.as_ref(), &token_scope, &request);
        prop_assert_eq!(decision.why, expected);
        prop_assert_eq!(decision.is_allowed(), expected == Why::Allowed);

        // The rule that is named is one that decides so.
        let by_token = [Why::Allowed, Why::Denied].contains(&expected);
        prop_assert_eq!(decision.rule.is_some(), by_token || expected == Why::TenantDenied);
        if let Some(rule) = decision.rule {
            let segments: Vec<&str> = path[1..].split('/').collect();
            let pattern: Vec<&str> = rule.pattern.as_str()[1..].split('/').collect();
            prop_assert!(matches(&pattern, &segments));
            let policies = if by_token { &token_policies } else { &tenant.as_ref().unwrap().0 };
            let policy = policies.iter().find(|policy| policy.name == *rule.policy).unwrap();
            let effect = if expected == Why::Allowed { Effect::Allow } else { Effect::Deny };
            let decides = |configured: &RuleConfig| {
                configured.path == *rule.pattern && configured.operations.get(operation) == Some(effect)
            };
            prop_assert!(policy.rest_api.rules.iter().any(decides));
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
