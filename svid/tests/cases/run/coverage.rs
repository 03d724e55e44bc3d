//! Every rule has a case that follows it and one that breaks it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::table::{KINDS, Table, Verdict, folder};

#[derive(Deserialize)]
struct Rules {
    format: u32,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    id: String,
    clause: String,
    text: String,
    /// For a rule about code rather than input: where it is shown.
    #[serde(default)]
    shown_by: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    file: String,
    contains: String,
}

#[test]
fn every_rule_is_followed_and_broken() {
    let Rules { format, rules } = serde_json::from_slice(&std::fs::read(folder().join("rules.json")).unwrap()).unwrap();
    assert_eq!(format, 1);
    let mut seen: BTreeMap<&str, (usize, usize)> = rules.iter().map(|rule| (rule.id.as_str(), (0, 0))).collect();
    assert_eq!(seen.len(), rules.len(), "a rule occurs twice");
    for kind in KINDS {
        for case in Table::read(kind).cases {
            for rule in &case.rules {
                let (follow, broken) =
                    seen.get_mut(rule.as_str()).unwrap_or_else(|| panic!("{}: no rule `{rule}`", case.id));
                match case.expect {
                    Verdict::Accept => *follow += 1,
                    Verdict::Refuse => *broken += 1,
                }
            }
        }
    }
    let mut missing = Vec::new();
    for Rule { id, clause, text, shown_by } in &rules {
        assert!(!clause.is_empty() && !text.is_empty(), "{id}");
        let (follow, broken) = seen[id.as_str()];
        if shown_by.is_empty() && (follow == 0 || broken == 0) {
            missing.push(format!("{id}: {follow} to accept, {broken} to refuse"));
        }
        for Place { file, contains } in shown_by {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            // A packaged crate stands alone, without its neighbours.
            if let Ok(source) = std::fs::read_to_string(&path) {
                assert!(source.contains(contains), "{id}: `{file}` does not show it");
            }
        }
    }
    assert!(missing.is_empty(), "{} rules lack cases:\n{}", missing.len(), missing.join("\n"));
}
