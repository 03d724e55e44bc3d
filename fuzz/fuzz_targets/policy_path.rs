//! A pattern is written as it was read, and matches itself read as a path.
#![no_main]

use keyward_approle::{Effect, Operation, PathPattern, PolicyConfig, PolicySet, Request, RuleConfig, Scope, decide};
use keyward_config_values::Bindings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(pattern) = text.parse::<PathPattern>() else { return };
    assert_eq!(pattern.to_string(), text);
    let mut bindings = Bindings::default();
    for name in pattern.variables() {
        let written = format!("${{{name}}}");
        bindings.set(name, written);
    }
    let has_variables = pattern.has_variables();
    let rule = RuleConfig::new(pattern, Effect::Allow, [Operation::Read]);
    let policy = PolicyConfig::new("fuzzed".parse().unwrap(), vec![rule]);
    let mut set = PolicySet::new();
    if set.insert(&policy).is_err() {
        // Of a rule with an operation only a variable that is built in by name and never has a value is refused.
        return assert!(policy.rest_api.rules[0].path.variables().any(|name| name.is_built_in()));
    }
    let names = [policy.name.clone()];
    // Every pattern matches itself read as a path: `*` and `**` are segments there, and variables what they are bound to.
    let request = Request::new(text, Operation::Read).unwrap();
    assert!(decide(None, &Scope::new(&set, &names), &request.with_bindings(&bindings)).is_allowed());
    assert_eq!(decide(None, &Scope::new(&set, &names), &request).is_allowed(), !has_variables);
});
