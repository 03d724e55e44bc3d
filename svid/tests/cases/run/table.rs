//! The form of a table, and the comparison of verdicts with it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// The five kinds, one file each.
pub(crate) const KINDS: [&str; 5] = ["spiffe-id", "jwt-svid", "x509-svid", "bundle", "federation"];

/// What a refusal may be for; the README defines each.
const REASONS: [&str; 23] = [
    "format",
    "id",
    "role",
    "other",
    "limit",
    "duplicate",
    "header",
    "algorithm",
    "key",
    "signature",
    "claims",
    "audience",
    "expired",
    "not-yet-valid",
    "trust-domain",
    "configuration",
    "request",
    "names",
    "usage",
    "path",
    "constraint",
    "rollback",
    "endpoint",
];

#[derive(Deserialize)]
pub(crate) struct Table {
    format: u32,
    kind: String,
    pub(crate) cases: Vec<Case>,
    /// What the cases of this kind share: certificates, bundles, keys.
    #[serde(flatten)]
    pub(crate) shared: Map<String, Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Accept,
    Refuse,
}

impl Verdict {
    pub(crate) fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Accept } else { Self::Refuse }
    }
}

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) rules: Vec<String>,
    clause: String,
    comment: String,
    pub(crate) check: String,
    input: Value,
    pub(crate) expect: Verdict,
    reason: Option<String>,
    now: Option<i64>,
    #[serde(default)]
    pub(crate) peers: BTreeMap<String, Verdict>,
    why: Option<String>,
    /// What an accepted input says, by the names that the README gives.
    #[serde(flatten)]
    pub(crate) facts: Map<String, Value>,
}

/// What we say to an input: its facts when accepted; a reason of the vocabulary and the error's text when refused.
pub(crate) type Judgement = Result<Map<String, Value>, (&'static str, String)>;

/// A refusal, for `map_err`.
pub(crate) fn refusal<E: Display>(reason: &'static str) -> impl Fn(E) -> (&'static str, String) {
    move |error| (reason, error.to_string())
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

impl Table {
    pub(crate) fn read(kind: &str) -> Self {
        let text = std::fs::read(folder().join(format!("{kind}.json"))).unwrap();
        let table: Self = serde_json::from_slice(&text).unwrap();
        assert_eq!((table.format, table.kind.as_str()), (1, kind));
        table
    }

    pub(crate) fn shared<T: DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.shared[name].clone()).unwrap_or_else(|error| panic!("`{name}`: {error}"))
    }

    /// Judges every case and compares; all that differ are shown at once.
    pub(crate) fn check(&self, judge: impl Fn(&Case) -> Judgement) {
        self.check_some(|case| Some(judge(case)));
    }

    /// The same, without the cases that the features of this build cannot judge.
    pub(crate) fn check_some(&self, judge: impl Fn(&Case) -> Option<Judgement>) {
        let compare = |case: &Case| case.compare(&judge(case)?).err();
        let wrong: Vec<String> = self.cases.iter().filter_map(compare).collect();
        assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), self.cases.len(), wrong.join("\n"));
    }

    /// Asks a peer about every case that records its verdict. Where the verdict is another than ours, a clause says why.
    pub(crate) fn check_peer(&self, peer: &str, ask: impl Fn(&Case) -> Result<(), String>) {
        let mut wrong = Vec::new();
        for case in &self.cases {
            let Some(recorded) = case.peers.get(peer) else { continue };
            let said = ask(case);
            if Verdict::of(&said) != *recorded {
                wrong.push(format!("{}: {peer} is recorded to {recorded:?}, it said {said:?}", case.id));
            }
        }
        assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    }
}

impl Case {
    pub(crate) fn input<T: DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.input.clone()).unwrap_or_else(|error| panic!("{}: {error}", self.id))
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.now.unwrap_or_else(|| panic!("{} has no time", self.id))).unwrap()
    }

    fn compare(&self, judgement: &Judgement) -> Result<(), String> {
        let Self { id, comment, clause, expect, .. } = self;
        match (judgement, expect) {
            (Ok(said), Verdict::Accept) => {
                for (name, expected) in &self.facts {
                    if said.get(name) != Some(expected) {
                        return Err(format!("{id}: `{name}` is {:?}, not {expected} ({comment})", said.get(name)));
                    }
                }
                Ok(())
            }
            (Err((reason, _)), Verdict::Refuse) if Some(*reason) == self.reason.as_deref() => Ok(()),
            (Err((reason, text)), Verdict::Refuse) => Err(format!(
                "{id}: refused for `{reason}` ({text}), not for `{}`",
                self.reason.as_deref().unwrap_or("?")
            )),
            (Ok(_), Verdict::Refuse) => Err(format!("{id}: accepted against {clause}: {comment}")),
            (Err((reason, text)), Verdict::Accept) => {
                Err(format!("{id}: refused for `{reason}` ({text}); {clause}: {comment}"))
            }
        }
    }
}

/// Bytes in plain base64.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

#[test]
fn every_case_is_well_formed() {
    for kind in KINDS {
        let table = Table::read(kind);
        let mut ids = std::collections::BTreeSet::new();
        for case in &table.cases {
            let id = &case.id;
            assert!(ids.insert(id), "{kind}: {id} occurs twice");
            assert!(!case.clause.is_empty() && !case.comment.is_empty() && !case.rules.is_empty(), "{kind}: {id}");
            match case.expect {
                Verdict::Accept => assert!(case.reason.is_none(), "{kind}: {id} has a reason to be accepted"),
                Verdict::Refuse => {
                    let reason = case.reason.as_deref().unwrap_or_else(|| panic!("{kind}: {id} has no reason"));
                    assert!(REASONS.contains(&reason), "{kind}: {id}: `{reason}`");
                }
            }
            // Where a peer says otherwise, the clause that justifies us stands beside the case.
            if case.peers.values().any(|verdict| *verdict != case.expect) {
                assert!(case.why.is_some(), "{kind}: {id} differs from a peer and does not say why");
            }
        }
    }
}
