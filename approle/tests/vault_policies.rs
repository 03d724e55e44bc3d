//! What a policy of Vault allows, its rules here allow, and nothing else: against an evaluator that follows OpenBao's documentation
//! (`concepts/policies`, "policy syntax") and what its server does with `LIST`, which asks with a `/` at the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "a test may be told to be thorough")]

use std::{cell::Cell, cmp::Reverse};

use keyward_approle::{Operation, PolicyConfig, PolicySet, Request, Scope, VaultPolicyError, decide, vault_rules};
use proptest::prelude::*;

const LISTED: [&str; 5] =
    ["auth/approle/role", "auth/approle/role/x/secret-id", "sys/policies/acl", "sys/policy", "transit/keys"];

/// Of the paths that need `sudo` those that there are here.
const PROTECTED: [&str; 3] = ["sys/seal", "sys/rotate", "sys/rotate/keyring"];

type Path = (String, Vec<&'static str>);

/// Whether a pattern with `+` matches a path.
fn segments_match(pattern: &str, path: &str) -> bool {
    let prefix = pattern.strip_suffix('*');
    let pattern: Vec<&str> = prefix.unwrap_or(pattern).split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    if path.len() < pattern.len() || (prefix.is_none() && path.len() != pattern.len()) {
        return false;
    }
    pattern.iter().zip(&path).enumerate().all(|(index, (pattern_part, part))| {
        let last = index + 1 == pattern.len();
        *pattern_part == "+" || pattern_part == part || (prefix.is_some() && last && part.starts_with(pattern_part))
    })
}

/// What decides among the patterns that match.
fn priority(pattern: &str) -> impl Ord {
    let glob = pattern.ends_with('*');
    let text = pattern.trim_end_matches('*').to_owned();
    let plus = pattern.split('/').filter(|segment| *segment == "+").count();
    let first = text.find('+').unwrap_or(text.len());
    (first, !glob, Reverse(plus), text.len(), text)
}

fn pattern_for<'a>(policy: &'a [Path], path: &str) -> Option<&'a Path> {
    let matching = policy.iter().filter(|(pattern, _)| {
        if pattern.contains('+') {
            segments_match(pattern, path)
        } else {
            pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
        }
    });
    matching.max_by_key(|(pattern, _)| priority(pattern))
}

/// Whether the policy has the capability on the path.
fn allowed(policy: &[Path], path: &str, capability: &str) -> bool {
    let exactly = |path: &str| policy.iter().find(|(pattern, _)| !pattern.contains('+') && pattern == path);
    let found = if capability == "list" {
        let with = format!("{path}/");
        exactly(&with)
            .or_else(|| exactly(path))
            .or_else(|| pattern_for(policy, &with))
            .or_else(|| pattern_for(policy, path))
    } else {
        exactly(path).or_else(|| pattern_for(policy, path))
    };
    let has = |capabilities: &[&str], capability| capabilities.contains(&capability) && !capabilities.contains(&"deny");
    found.is_some_and(|(_, capabilities)| {
        has(capabilities, capability) && (!PROTECTED.contains(&path) || has(capabilities, "sudo"))
    })
}

fn text(policy: &[Path]) -> String {
    policy
        .iter()
        .map(|(path, capabilities)| {
            let capabilities: Vec<String> = capabilities.iter().map(|word| format!("\"{word}\"")).collect();
            format!("path \"{path}\" {{ capabilities = [{}] }}\n", capabilities.join(", "))
        })
        .collect()
}

fn pattern() -> impl Strategy<Value = String> {
    let known = prop::sample::select([&LISTED[..], &PROTECTED[..]].concat()).prop_map(str::to_owned);
    let segment =
        prop::sample::select(vec!["auth", "approle", "role", "x", "secret-id", "transit", "keys", "+", "+", "+"]);
    let free = prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"));
    // Of a path that is there, some segments open.
    let opened = (known.clone(), any::<u8>()).prop_map(|(path, bits)| {
        let open = |(index, segment): (usize, &str)| if bits >> index & 1 == 1 { "+" } else { segment }.to_owned();
        path.split('/').enumerate().map(open).collect::<Vec<_>>().join("/")
    });
    let cut = (prop_oneof![free, opened, known], 1..6_usize)
        .prop_map(|(path, length)| path.split('/').take(length).collect::<Vec<_>>().join("/"));
    let tail = prop::sample::select(vec!["", "", "/", "/*", "/*", "/+"]);
    prop_oneof![12 => (cut, tail).prop_map(|(path, tail)| path + tail), 1 => Just("*".to_owned())]
}

fn policy() -> impl Strategy<Value = Vec<Path>> {
    let words = vec!["create", "read", "update", "delete", "list", "sudo"];
    let capabilities = prop_oneof![
        6 => prop::sample::subsequence(words, 0..=6),
        1 => Just(vec!["read", "deny"]),
    ];
    let paths = prop::collection::btree_map(pattern(), capabilities, 1..6);
    paths.prop_map(|paths| paths.into_iter().collect())
}

fn asked() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["auth", "approle", "role", "x", "y", "secret-id", "transit", "keys"]);
    prop_oneof![
        prop::sample::select([&LISTED[..], &PROTECTED[..]].concat()).prop_map(str::to_owned),
        (prop::sample::select(LISTED.to_vec()), "[xy]").prop_map(|(path, more)| format!("{path}/{more}")),
        prop::collection::vec(segment, 1..6).prop_map(|segments| segments.join("/")),
    ]
}

fn is_listed(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    LISTED.contains(&path) || matches!(parts[..], ["auth", "approle", "role", _, "secret-id"])
}

#[test]
fn rules_allow_what_the_text_does_and_nothing_else() {
    let cases = if std::env::var_os("KEYWARD_FULL").is_some() { 200_000 } else { 3_000 };
    let config = ProptestConfig { cases, ..ProptestConfig::default() };
    let (said, refused) = (Cell::new(0_u32), Cell::new(0_u32));
    let law = |(policy, asked): (Vec<Path>, Vec<String>)| {
        let rules = match vault_rules(&text(&policy)) {
            Ok(rules) => rules,
            Err(error) => {
                prop_assert!(matches!(error, VaultPolicyError::Order { .. }), "{}: {}", error, text(&policy));
                refused.set(refused.get() + 1);
                return Ok(());
            }
        };
        said.set(said.get() + 1);
        let mut set = PolicySet::new();
        let names = ["p".parse().unwrap()];
        set.insert(&PolicyConfig::new("p".parse().unwrap(), rules)).unwrap();
        for path in asked {
            let full = format!("/v1/{path}");
            let may = |operation| {
                let request = Request::new(&full, operation).unwrap();
                decide(None, &Scope::new(&set, &names), &request).is_allowed()
            };
            for (capability, operation) in [
                ("create", Operation::Create),
                ("update", Operation::Update),
                ("update", Operation::Execute),
                ("delete", Operation::Delete),
                (if is_listed(&path) { "list" } else { "read" }, Operation::Read),
            ] {
                let expected = allowed(&policy, &path, capability);
                prop_assert_eq!(may(operation), expected, "{} of {} by\n{}", operation, path, text(&policy));
            }
        }
        Ok(())
    };
    proptest::test_runner::TestRunner::new(config).run(&(policy(), prop::collection::vec(asked(), 8)), law).unwrap();
    // What is refused must be the exception.
    assert!(said.get() > 4 * refused.get(), "{} said, {} refused", said.get(), refused.get());
}
