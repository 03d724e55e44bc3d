//! Patterns without variables match what globset matches.

use globset::{GlobBuilder, GlobMatcher};
use keyward_approle::{Effect, Operation, PathPattern, PolicyConfig, PolicySet, Request, RuleConfig, Scope, decide};
use proptest::prelude::*;

/// The same pattern for globset: what is literal is escaped, `*` does not cross a slash.
fn glob(pattern: &PathPattern) -> GlobMatcher {
    let segments: Vec<String> = pattern.as_str()[1..]
        .split('/')
        .map(|segment| if matches!(segment, "*" | "**") { segment.to_owned() } else { globset::escape(segment) })
        .collect();
    let text = format!("/{}", segments.join("/"));
    GlobBuilder::new(&text).literal_separator(true).backslash_escape(false).build().unwrap().compile_matcher()
}

fn is_allowed(rules: Vec<RuleConfig>, path: &str) -> bool {
    let policy = PolicyConfig::new("p".parse().unwrap(), rules);
    let mut set = PolicySet::new();
    set.insert(&policy).unwrap();
    let request = Request::new(path, Operation::Read).unwrap();
    decide(None, &Scope::new(&set, std::slice::from_ref(&policy.name)), &request).is_allowed()
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[abc]{1,2}",
        2 => Just("*".to_owned()),
        // What means something to globset and nothing here.
        1 => prop::sample::select(vec!["a?", "[ab]", "{a,b}", "!a", "a\\b", "...", "{", "[!a]", "[*"])
            .prop_filter("`*` is a whole segment here", |text| !text.contains('*'))
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn patterns_match_as_globs_do(
        patterns in prop::collection::vec((prop::collection::vec(segment(), 1..5), any::<bool>()), 1..6),
        path in prop::collection::vec("[abc]{1,2}|\\*{1,2}|a\\?|\\[ab\\]|\\{a,b\\}|!a|a\\\\b|\\.\\.\\.", 1..6),
    ) {
        let patterns: Vec<PathPattern> = patterns
            .into_iter()
            .map(|(mut segments, rest)| {
                if rest {
                    segments.push("**".to_owned());
                }
                format!("/{}", segments.join("/")).parse().unwrap()
            })
            .collect();
        let path = format!("/{}", path.join("/"));
        let matched = patterns.iter().any(|pattern| glob(pattern).is_match(&path));
        let rules = patterns.iter().map(|pattern| RuleConfig::new(pattern.clone(), Effect::Allow, [Operation::Read]));
        prop_assert_eq!(is_allowed(rules.collect(), &path), matched, "{:?} on {}", patterns, path);
    }
}

#[test]
fn the_two_agree_at_the_edges() {
    for (pattern, path, matches) in [
        ("/a/**", "/a", false),
        ("/a/**", "/a/b", true),
        ("/a/**", "/a/b/c", true),
        ("/**", "/a", true),
        ("/*", "/a/b", false),
        ("/*/b", "/a/b", true),
        ("/a/*", "/a/*", true),
        ("/[ab]", "/a", false),
        ("/[ab]", "/[ab]", true),
    ] {
        let pattern: PathPattern = pattern.parse().unwrap();
        assert_eq!(glob(&pattern).is_match(path), matches, "globset: {pattern} {path}");
        let rule = RuleConfig::new(pattern.clone(), Effect::Allow, [Operation::Read]);
        assert_eq!(is_allowed(vec![rule], path), matches, "{pattern} {path}");
    }
}
