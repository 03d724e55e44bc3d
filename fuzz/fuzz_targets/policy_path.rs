//! A pattern is written as it was read, and matches itself read as a path.
#![no_main]

use keyward_approle::{Effect, Operation, PathPattern, PolicyConfig, PolicySet, Request, RuleConfig, Scope, decide};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(pattern) = text.parse::<PathPattern>() else { return };
    assert_eq!(pattern.to_string(), text);
    let rule = RuleConfig::new(pattern, Effect::Allow, [Operation::Read]);
    let policy = PolicyConfig::new("fuzzed".parse().unwrap(), vec![rule]);
    let mut set = PolicySet::new();
    set.insert(&policy).unwrap();
    let names = [policy.name.clone()];
    // Every pattern matches itself read as a path: `*` and `**` are segments there.
    let request = Request::new(text, Operation::Read).unwrap();
    assert!(decide(None, &Scope::new(&set, &names), &request).is_allowed());
});
