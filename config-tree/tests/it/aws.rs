//! The example that an operator pastes, and the same with one mistake each.

use crate::schema::{Documents, done, path, run, schema};
use keyward_config_tree::{Bulk, Effect, Error, ErrorKind, Operation, Reason};
use serde_json::json;

const AWS: &str = include_str!("../../../examples/aws-federation.yaml");

const KEY: &str = "`strongbox/transit-keys/spiffe-jwt`";
const SETTINGS: &str = "`strongbox/authentication/spiffe-settings`";
const ROLE: &str = "`strongbox/authentication/approles/payments`";

/// The example with one piece changed, on no documents: the refusal.
fn refused(from: &str, to: &str) -> Error {
    assert_eq!(AWS.matches(from).count(), 1, "{from}");
    run(&mut Documents::new(), &AWS.replace(from, to)).unwrap_err()
}

#[track_caller]
fn expect(from: &str, to: &str, text: &str) {
    assert_eq!(refused(from, to).to_string(), text);
}

#[test]
fn it_is_read() {
    let bulk = Bulk::parse(AWS).unwrap();
    let items: Vec<_> = bulk.items().iter().map(|i| (i.number(), i.line(), i.path().as_str(), i.operation())).collect();
    assert_eq!(
        items,
        [
            (Some(1), Some(1), "strongbox/transit-keys/spiffe-jwt", Operation::Replace),
            (Some(2), Some(14), "strongbox/authentication/spiffe-settings", Operation::Replace),
            (Some(3), Some(18), "strongbox/authentication/approles/payments", Operation::Replace),
        ]
    );
    assert_eq!(
        bulk.items()[0].document().clone().into_value(),
        json!({
            "name": "spiffe-jwt", "cipher": "rsa-2048",
            "auto-rotate": {
                "rotate-after": "30d", "activate-after": "1d", "deprecate-after": "2d", "invalidate-after": "2d",
            },
            "distribute": {"deployments": ["payments"]},
        })
    );
}

#[test]
fn it_is_done_once_and_then_changes_nothing() {
    let mut documents = Documents::new();
    let first = run(&mut documents, AWS).unwrap();
    assert_eq!(first.to_string(), "3 created");
    assert_eq!(first.changes().len(), 3);
    assert!(first.warnings().is_empty());
    assert_eq!(documents.len(), 3);

    let before = documents.clone();
    let again = run(&mut documents, AWS).unwrap();
    assert_eq!(again.to_string(), "nothing changes: 3 unchanged");
    assert!(again.is_unchanged());
    assert!(again.outcomes().iter().all(|o| o.effect() == Effect::Unchanged));
    assert_eq!(documents, before);

    let changed = run(&mut documents, &AWS.replace("rotate-after: 30d", "rotate-after: 20d")).unwrap();
    assert_eq!(changed.to_string(), "1 replaced, 2 unchanged");
    let diff: Vec<String> = changed.changes()[0].diff().iter().map(ToString::to_string).collect();
    assert_eq!(diff, ["~ auto-rotate.rotate-after: \"30d\" → \"20d\""]);
}

#[test]
fn a_misspelt_field_is_refused_at_every_level() {
    expect(
        "cipher: rsa-2048",
        "chipher: rsa-2048",
        &format!(
            "document 1, line 4, {KEY}: field `chipher`: unknown; write `cipher`, or one of `name`, `cipher`, `exportable`, `auto-rotate`, `distribute`"
        ),
    );
    expect(
        "  activate-after: 1d",
        "  active-after: 1d",
        &format!(
            "document 1, line 7, {KEY}: field `auto-rotate.active-after`: unknown; write `activate-after`, or one of `rotate-after`, `activate-after`, `deprecate-after`, `invalidate-after`"
        ),
    );
    expect(
        "jwt-audiences:",
        "jwt-audience:",
        &format!(
            "document 3, line 25, {ROLE}: field `token-spiffe-jwt.jwt-audience`: unknown; write `jwt-audiences`, or one of `jwt-audiences`, `ttl`"
        ),
    );
    expect(
        "token-renewable: true",
        "colour: red",
        &format!(
            "document 3, line 22, {ROLE}: field `colour`: unknown; remove it, or write one of `name`, `token-no-default-policy`, `token-renewable`, `token-period`, `token-num-uses`, `token-policies`, `token-spiffe-jwt`, `distribute`"
        ),
    );
}

#[test]
fn a_missing_signing_key_is_refused_naming_both() {
    let error = refused("jwt-signing-key: spiffe-jwt", "jwt-signing-key: spiffe");
    assert_eq!(
        error.to_string(),
        format!(
            "document 2, line 16, {SETTINGS}: field `jwt-signing-key`: `strongbox/transit-keys/spiffe` does not exist; create it first or in the same bulk, or correct the name"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.reason(), &Reason::MissingReference { to: path("strongbox/transit-keys/spiffe") });
    expect(
        "jwt-signing-key: spiffe-jwt\n",
        "distribute: {to: all}\n",
        &format!("document 2, line 14, {SETTINGS}: field `jwt-signing-key`: missing; add it"),
    );
    expect(
        "jwt-signing-key: spiffe-jwt",
        "jwt-signing-key: a/../b",
        &format!(
            "document 2, line 16, {SETTINGS}: field `jwt-signing-key`: `strongbox/transit-keys/a/../b`: a segment is `.` or `..`; write the segments that are meant"
        ),
    );
}

#[test]
fn the_order_of_the_documents_does_not_matter() {
    let mut parts: Vec<&str> = AWS.split("---\n").collect();
    parts.reverse();
    // The example ends without a line break.
    assert_eq!(run(&mut Documents::new(), &parts.join("\n---\n")).unwrap().to_string(), "3 created");
}

#[test]
fn a_bad_duration_is_refused_with_its_line() {
    expect(
        "rotate-after: 30d",
        "rotate-after: 30",
        &format!(
            "document 1, line 6, {KEY}: field `auto-rotate.rotate-after`: `30`: a unit is missing; write `30s` or `30d`"
        ),
    );
    expect(
        "token-period: 1d",
        "token-period: tomorrow",
        &format!(
            "document 3, line 23, {ROLE}: field `token-period`: `tomorrow`: not a duration; write one such as `30d`"
        ),
    );
    expect(
        "rotate-after: 30d",
        "rotate-after: 3d",
        &format!(
            "document 1, line 6, {KEY}: field `auto-rotate.rotate-after`: shorter than the rest of the schedule; write a longer one"
        ),
    );
}

#[test]
fn documents_that_do_not_fit_together_are_refused() {
    let error = refused("token-period: 1d", "token-period: 3d");
    assert_eq!(
        error.to_string(),
        format!(
            "document 3, line 23, {ROLE}: field `token-period`: longer than `invalidate-after` of the signing key; write a shorter one"
        )
    );
    // The role stays as it is, and the key is changed: the role is named, without a line.
    let mut documents = Documents::new();
    done(&mut documents, AWS);
    let error = run(
        &mut documents,
        "{x-path: strongbox/transit-keys/spiffe-jwt, x-operation: merge, auto-rotate: {invalidate-after: 2h}}",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{ROLE}: field `token-period`: longer than `invalidate-after` of the signing key; write a shorter one")
    );
}

#[test]
fn a_name_that_differs_from_its_path_is_refused_naming_both() {
    expect(
        "name: spiffe-jwt",
        "name: spiffe-jwks",
        &format!(
            "document 1, line 3, {KEY}: field `name`: `spiffe-jwks` differs from the path, which ends in `spiffe-jwt`; make them the same, or leave the name out"
        ),
    );
    expect(
        "name: payments",
        "name: 12",
        &format!("document 3, line 20, {ROLE}: field `name`: a whole number where text belongs; write it in quotes"),
    );
}

#[test]
fn a_name_that_is_left_out_is_filled_in() {
    let mut documents = Documents::new();
    done(&mut documents, &AWS.replace("name: spiffe-jwt\n", ""));
    let key = &documents[&path("strongbox/transit-keys/spiffe-jwt")];
    assert_eq!(key.fields()["name"], "spiffe-jwt");
    assert!(run(&mut documents, AWS).unwrap().is_unchanged());
    done(&mut documents, "{x-path: strongbox/authentication/users/anna@example.com, x-operation: create}");
    assert_eq!(
        documents[&path("strongbox/authentication/users/anna@example.com")].fields()["email"],
        "anna@example.com"
    );
    // The settings have no name: none is made up.
    assert!(!documents[&path("strongbox/authentication/spiffe-settings")].fields().contains_key("name"));
}

#[test]
fn what_a_distribution_names_need_not_exist() {
    let mut documents = Documents::new();
    let text = AWS.replace("    - payments", "    - no-such-deployment");
    assert_eq!(run(&mut documents, &text).unwrap().to_string(), "3 created");
}

#[test]
fn broken_yaml_is_refused_with_its_place() {
    for (from, to, text) in [
        (
            "  activate-after: 1d",
            "\tactivate-after: 1d",
            format!("document 1, line 6, column 17, {KEY}: field `auto-rotate.rotate-after`: not valid YAML: "),
        ),
        ("cipher: rsa-2048", "cipher rsa-2048", format!("document 1, line 4, column 1, {KEY}: not valid YAML: ")),
        (
            "token-renewable: true",
            "token-renewable: \"true",
            format!("document 3, line 23, column 1, {ROLE}: field `token-renewable`: not valid YAML: "),
        ),
        (
            "jwt-signing-key: spiffe-jwt",
            "jwt-signing-key: [spiffe-jwt",
            format!("document 2, line 16, column 18, {SETTINGS}: field `jwt-signing-key[0]`: not valid YAML: "),
        ),
    ] {
        let error = refused(from, to);
        assert!(error.to_string().starts_with(&text), "{error}");
        assert!(error.remedy().is_some(), "{error}");
        assert_eq!(error.reason().as_str(), "syntax");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    expect(
        "cipher: rsa-2048",
        "cipher: rsa-2048\ncipher: rsa-4096",
        &format!("document 1, line 5, {KEY}: field `cipher`: there twice, first on line 4; remove one"),
    );
    expect(
        "  deprecate-after: 2d",
        "  \"rotate-after\": 2d",
        &format!(
            "document 1, line 8, {KEY}: field `auto-rotate.rotate-after`: there twice, first on line 6; remove one"
        ),
    );
}

#[test]
fn path_and_operation_are_checked() {
    let head = "x-path: /v1/config/strongbox/authentication/spiffe-settings\nx-operation: replace";
    for (to, text) in [
        (
            "x-operation: replace",
            "document 2, line 14: field `x-path`: missing; add a line such as `x-path: /v1/config/strongbox/transit-keys/spiffe-jwt`".to_owned(),
        ),
        (
            "x-path: 12\nx-operation: replace",
            "document 2, line 14: field `x-path`: no text; write the path of the document".to_owned(),
        ),
        (
            "x-path: a//b\nx-operation: replace",
            "document 2, line 14: field `x-path`: `a//b`: a segment is empty; write single slashes between segments and none at the end".to_owned(),
        ),
        (
            "x-path: strongbox/authentication/spiffe-settings",
            format!("document 2, line 14, {SETTINGS}: field `x-operation`: missing; add `x-operation: create`, `replace`, `merge` or `delete`"),
        ),
        (
            "x-path: strongbox/authentication/spiffe-settings\nx-operation: repalce",
            format!("document 2, line 15, {SETTINGS}: field `x-operation`: `repalce`: not an operation; write `replace`"),
        ),
        (
            "x-path: strongbox/authentication/spiffe-settings\nx-operation: upsert",
            format!("document 2, line 15, {SETTINGS}: field `x-operation`: `upsert`: not an operation; write `create`, `replace`, `merge` or `delete`"),
        ),
        (
            "x-path: strongbox/authentication/spiffe-settings\nx-operation: [merge]",
            format!("document 2, line 15, {SETTINGS}: field `x-operation`: no text; write `create`, `replace`, `merge` or `delete`"),
        ),
        (
            "x-path: strongbox/authentication/spiffe-settings\nx-opration: replace",
            format!("document 2, line 15, {SETTINGS}: field `x-opration`: unknown; write `x-operation`, or one of `x-path`, `x-operation`").replace("{SETTINGS}", SETTINGS),
        ),
        (
            "x-path: strongbox/authentication/spiffe-setings\nx-operation: replace",
            "document 2, line 14, `strongbox/authentication/spiffe-setings`: no such collection; write `strongbox/authentication/spiffe-settings`".to_owned(),
        ),
        (
            "x-path: nowhere/at/all\nx-operation: replace",
            "document 2, line 14, `nowhere/at/all`: no such collection; there are `strongbox/transit-keys/<name>`, `strongbox/authentication/spiffe-settings`, `strongbox/authentication/approles/<name>`, `strongbox/authentication/users/<email>`".to_owned(),
        ),
    ] {
        expect(head, to, &text);
    }
}

#[test]
fn nothing_is_planned_when_one_of_many_is_refused() {
    // The first two documents are good.
    let mut documents = Documents::new();
    assert!(run(&mut documents, &AWS.replace("token-period: 1d", "token-period: 1")).is_err());
    assert!(documents.is_empty());
}

#[test]
fn the_schema_answers_for_a_program() {
    let schema = schema();
    assert_eq!(schema.patterns().count(), 4);
    assert!(schema.has(&path("strongbox/transit-keys/spiffe-jwt")));
    assert!(schema.is_collection(&path("strongbox/transit-keys")));
}
