//! Whatever the value of a variable holds, and wherever it comes from, a rule allows what its literal text allows and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use keyward_approle::{Asker, Operation, PolicyConfig, PolicySet, Request, Scope, Subject, decide};
use keyward_config_values::config::{SiteConfig, Variables};
use keyward_config_values::{Bindings, Name};
use proptest::prelude::*;
use serde_json::json;

/// What means something to somebody: to patterns, to paths, to URLs, to terminals, to eyes.
const HOSTILE: [&str; 30] = [
    "*",
    "**",
    "/",
    "//",
    ".",
    "..",
    "../..",
    "a/b",
    "a/*",
    "a/**",
    "*/a",
    "/a",
    "a/",
    "%2f",
    "%2F",
    "a%2fb",
    "%00",
    "\0",
    "a\0",
    "\n",
    "a\n",
    "\r\n",
    "${v}",
    "${tenant}",
    "$",
    "\u{430}",
    "\u{ff41}",
    "a\u{200b}",
    "\u{2044}",
    "\u{202e}a",
];

/// Where a value comes from, and the variable that it is of.
const SOURCES: [(&str, &str); 6] = [
    ("tenant", "own"),
    ("site", "own"),
    ("label", "site.label.own"),
    ("metadata", "metadata.own"),
    ("user", "user"),
    ("list", "own[0]"),
];

/// The values as they are bound. What a document may not say is bound all the same, as if it had been stored by another release.
fn bindings(source: &str, value: &str) -> Bindings {
    let tenant: Name = "acme".parse().unwrap();
    let subject = Subject::User { name: if source == "user" { value } else { "anna" }.to_owned() };
    let metadata = BTreeMap::from([("own".to_owned(), if source == "metadata" { value } else { "m" }.to_owned())]);
    let site = |field: &str, value: &str| {
        serde_json::from_value::<SiteConfig>(json!({"name": "north", field: {"own": value}}))
    };
    let site = match source {
        "site" => site("variables", value).ok(),
        "label" => site("labels", value).ok(),
        _ => None,
    };
    let documents = match source {
        "tenant" => serde_json::from_value(json!([{"name": "own", "value": value}])).ok(),
        "list" => serde_json::from_value(json!([{"name": "own", "value": [value]}])).ok(),
        _ => None,
    };
    let variables = Variables::new(documents.unwrap_or_else(Vec::new));
    let variables = site.as_ref().map_or(variables.clone(), |site| variables.at(site));
    let mut bound = Asker::new(&tenant, &subject)
        .at(site.as_ref())
        .with_metadata(&metadata)
        .bindings(Arc::new(variables.bindings()));
    let (_, variable) = SOURCES.iter().find(|(known, _)| *known == source).unwrap();
    let variable = variable.parse().unwrap();
    if bound.get(&variable).is_none() && !value.is_empty() {
        bound.set(variable, value);
    }
    bound
}

fn allows(pattern: &str, bindings: &Bindings, path: &str) -> bool {
    let policy = json!({"name": "p", "rest-api": {"rules": [{"path": pattern, "operations": {"read": "allow"}}]}});
    let mut set = PolicySet::new();
    set.insert(&serde_json::from_value::<PolicyConfig>(policy).unwrap()).unwrap();
    // What nobody can ask for nobody is allowed.
    let Ok(request) = Request::new(path, Operation::Read) else { return false };
    let names = ["p".parse().unwrap()];
    decide(None, &Scope::new(&set, &names), &request.with_bindings(bindings)).is_allowed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_rule_allows_its_literal_text_alone(
        value in prop_oneof![prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned), "[ab*/.%${}\\x00\\n\u{430}]{0,4}", "\\PC{0,3}"],
        source in 0..SOURCES.len(),
        before in "[ab-]{0,2}",
        behind in "[ab-]{0,2}",
        twice in any::<bool>(),
        rest in any::<bool>(),
        segments in prop::collection::vec("[ab*\u{430}-]{1,4}|\\*\\*|\u{ff41}|x", 1..5),
    ) {
        let (source, variable) = SOURCES[source];
        let bindings = bindings(source, &value);
        let variables = format!("${{{variable}}}").repeat(if twice { 2 } else { 1 });
        let tail = if rest { "/**" } else { "/x" };
        let pattern = format!("/r/{before}{variables}{behind}{tail}");
        let bound = format!("{before}{}{behind}", value.repeat(if twice { 2 } else { 1 }));
        // Random paths, and those that come nearest.
        let written = format!("/r/{bound}/x");
        for path in [format!("/r/{}", segments.join("/")), written.clone(), format!("/r/{before}{behind}/x"), "/r/x/x".to_owned()] {
            let mut found = path.strip_prefix("/r/").unwrap().splitn(2, '/');
            let (segment, tail) = (found.next().unwrap(), found.next());
            let expected = !value.is_empty()
                && segment == bound
                && tail.is_some_and(|tail| rest || tail == "x")
                && Request::new(&path, Operation::Read).is_ok();
            prop_assert_eq!(allows(&pattern, &bindings, &path), expected, "{} is {:?}: {} on {}", source, value, pattern, path);
        }
        // With a slash, a wildcard that is not in the path, or what no path has, nothing is opened at all.
        if value.contains(['/', '%', '\0', '\n']) {
            prop_assert!(!allows(&pattern, &bindings, &written));
        }
    }
}
