//! Decisions equal those of a reference that is slow and obvious: here for what proptest finds and shrinks, in `seeded` for ten
//! million more. For patterns without variables globset is a second reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod globs;
mod oracle;
mod seeded;

use keyward_approle::Why;
use keyward_approle::{Effect, Operation, Operations, PolicyConfig, PolicySet, Request, RuleConfig, Scope, decide};
use keyward_config_values::{Bindings, Name};
use oracle::Says;
use proptest::prelude::*;

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
        let tenant_side = tenant.as_ref().map(|(policies, names)| (policies.as_slice(), names.as_slice()));
        let asked = oracle::Asked { path: &path, operation, bindings: &bindings };
        let expected = asked.decide(tenant_side, (&token_policies, &token_names));
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
            prop_assert_eq!(asked.policy_says(&policy), Some(says));
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
