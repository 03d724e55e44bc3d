//! A decision allocates nothing. The counter counts the allocations of this thread alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use allocation_counter::measure;
use keyward_approle::{Effect, Operation, PolicyConfig, PolicySet, Request, RuleConfig, Scope, Why, decide};
use keyward_config_values::Bindings;

const RULES: usize = 20_000;

fn set(pattern: impl Fn(usize) -> String) -> (PolicySet, Vec<keyward_config_values::Name>) {
    let rule = |n| {
        let effect = if n % 2 == 0 { Effect::Allow } else { Effect::Deny };
        RuleConfig::new(pattern(n).parse().unwrap(), effect, [Operation::Read])
    };
    let policy = PolicyConfig::new("many".parse().unwrap(), (0..RULES).map(rule).collect());
    let mut set = PolicySet::new();
    set.insert(&policy).unwrap();
    (set, vec!["default".parse().unwrap(), policy.name])
}

fn bindings(values: &[(&str, &str)]) -> Bindings {
    let mut tenant = Bindings::default();
    let mut own = Bindings::default();
    for (name, value) in values {
        tenant.set(name.parse().unwrap(), "of the tenant");
        own = Bindings::over(tenant.clone().into());
        own.set(name.parse().unwrap(), *value);
    }
    own
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(Vec::<u8>::with_capacity(9))).count_total, 1);
}

#[test]
fn no_decision_allocates() {
    let here = bindings(&[("approle", "pay")]);
    let twice = bindings(&[("approle", "aa")]);
    let nobody = Bindings::default();
    let sets = [
        set(|n| format!("/v1/config/c-{n}/${{approle}}/item")),
        set(|n| format!("/v1/config/${{approle}}-{n}/item")),
        set(|n| format!("/v1/config/{n}-${{approle}}-x-${{approle}}/**")),
    ];
    let requests = [
        (0, "/v1/config/c-778/pay/item", &here, Why::Allowed),
        (0, "/v1/config/c-777/pay/item", &here, Why::Denied),
        (0, "/v1/config/c-777/other/item", &here, Why::NoRule),
        (0, "/v1/config/c-777/pay/item", &nobody, Why::Undefined),
        (1, "/v1/config/pay-19998/item", &here, Why::Allowed),
        (1, "/v1/config/pay-19999/item", &here, Why::Denied),
        (1, "/v1/config/pay-20000/item", &here, Why::NoRule),
        (2, "/v1/config/778-pay-x-pay/y", &here, Why::Allowed),
        (2, "/v1/config/778-aa-x-aa/y", &twice, Why::Allowed),
    ];
    for (set, path, bindings, why) in requests {
        let (set, names) = &sets[set];
        let mut found = None;
        let count = measure(|| {
            let request = Request::new(path, Operation::Read).unwrap().with_bindings(bindings);
            let scope = Scope::new(set, names);
            found = Some(decide(Some(&scope), &scope, &request).why);
        });
        let found = found.unwrap();
        let tenant = [Why::TenantDenied, Why::TenantNoRule, Why::TenantUndefined];
        assert!(found == why || tenant.contains(&found) && why != Why::Allowed, "{path}: {found:?}");
        assert_eq!(count.count_total, 0, "{path}");
    }
}
