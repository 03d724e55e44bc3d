#![no_main]
//! Lines of patterns and, last, an ID: the set finds what each pattern says by itself.

use keyward_spiffe_id::{Pattern, PatternSet, SpiffeIdRef};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (patterns, id) = text.rsplit_once('\n').unwrap_or((text, text));
    let patterns: Vec<Pattern> = patterns.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(patterns.iter().all(|p| p.to_string().parse().as_ref() == Ok(p)));
    let Ok(id) = SpiffeIdRef::parse(id) else { return };
    let set: PatternSet<()> = patterns.iter().map(|p| (p.clone(), ())).collect();
    let mut found = Vec::new();
    set.for_each_match(id, |pattern, ()| found.push(pattern));
    assert_eq!(set.get(id).map(|(pattern, ())| pattern), found.first().copied());
    assert!(set.iter().all(|(pattern, ())| pattern.matches(id) == found.contains(&pattern)));
});
