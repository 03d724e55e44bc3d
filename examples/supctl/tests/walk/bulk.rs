//! `supctl bulk`

use crate::mock::{Mock, json};
use crate::operator::Operator;

const FILE: &str = "# two documents\nx-path: /v1/config/strongbox/transit-keys/spiffe-jwt\nx-operation: replace\nname: spiffe-jwt\n---\nx-path: /v1/config/strongbox/authentication/spiffe-settings\nx-operation: replace\njwt-signing-keyy: spiffe-jwt\n";

fn answer(first: &str, second: &str) -> String {
    format!(
        r#"{{"documents":[
        {{"document":1,"path":"/v1/config/strongbox/transit-keys/spiffe-jwt","operation":"replace","effect":"{first}"}},
        {{"document":2,"path":"/v1/config/strongbox/authentication/spiffe-settings","operation":"replace","effect":"{second}","warnings":["the issuer has a port"]}}]}}"#
    )
}

#[test]
fn the_file_goes_as_it_is_and_each_effect_is_shown() {
    let tower = Mock::http(|_| json(200, &answer("created", "replaced")));
    let operator = Operator::at(&tower);
    operator.file("aws.yaml", FILE);
    let outcome = operator.run(&["bulk", "-f", "aws.yaml"]);
    assert_eq!(outcome.err, "warning: document 2, strongbox/authentication/spiffe-settings: the issuer has a port\n");
    assert_eq!(
        outcome.data(),
        "DOCUMENT  EFFECT    PATH\n\
         1         created   strongbox/transit-keys/spiffe-jwt\n\
         2         replaced  strongbox/authentication/spiffe-settings\n\
         1 created, 1 replaced\n"
    );
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/bulk");
    assert_eq!(asked.header("content-type"), Some("application/yaml"));
    assert_eq!(asked.body, FILE);
}

#[test]
fn nothing_changed_is_said_in_every_format() {
    let tower = Mock::http(|_| json(200, &answer("unchanged", "unchanged")));
    let operator = Operator::at(&tower);
    let table = operator.run_with(&["bulk", "-f", "-"], FILE).data();
    assert!(table.ends_with("spiffe-settings\nnothing changed\n"), "{table}");
    let outcome = operator.run_with(&["bulk", "-f", "-", "--output", "json"], FILE);
    assert!(outcome.err.ends_with("\nnothing changed\n"), "{outcome:?}");
    let data: serde_json::Value = serde_json::from_str(&outcome.data()).unwrap();
    assert_eq!(data["documents"][1]["effect"], "unchanged");
}

#[test]
fn a_dry_run_says_that_it_is_one() {
    let body = r#"{"documents":[{"document":1,"path":"strongbox/transit-keys/k","effect":"created","timeline":[{"version":1,"phase":"active"}]}]}"#;
    let tower = Mock::http(move |_| json(200, body));
    let operator = Operator::at(&tower);
    assert_eq!(
        operator.run_with(&["bulk", "--validate", "-f", "-"], FILE).data(),
        "DOCUMENT  EFFECT   PATH\n1         created  strongbox/transit-keys/k\nvalid: 1 created if applied; nothing was stored\n\n\
         timeline of strongbox/transit-keys/k\nVERSION  PHASE\n1        active\n"
    );
    assert_eq!(tower.only().target, "/v1/bulk?validate=true");
}

#[test]
fn a_refusal_points_at_the_line() {
    let body = r#"{"errors":[{"error-message":"document 2, line 8, `strongbox/authentication/spiffe-settings`: field `jwt-signing-keyy`: unknown field; did you mean `jwt-signing-key`?",
        "error-info":{"document":2,"line":8,"column":1,"path":"strongbox/authentication/spiffe-settings","field":"jwt-signing-keyy","reason":"unknown-field","message":"unknown field","remedy":"did you mean `jwt-signing-key`?"}},
        {"error-message":"document 1 is bad too","error-info":{"document":1,"line":4,"path":"strongbox/transit-keys/spiffe-jwt"}}]}"#;
    let tower = Mock::http(move |_| json(400, body));
    let operator = Operator::at(&tower);
    operator.file("aws.yaml", FILE);
    assert_eq!(
        operator.run(&["bulk", "-f", "aws.yaml"]).failed(1),
        "error: document 2, line 8, strongbox/authentication/spiffe-settings, field `jwt-signing-keyy`: unknown field\n\
         \x20 --> aws.yaml:8\n\
         \x20 |\n\
         8 | jwt-signing-keyy: spiffe-jwt\n\
         \x20 | ^^^^^^^^^^^^^^^^\n\
         \x20 remedy: did you mean `jwt-signing-key`?\n\
         error: document 1 is bad too\n\
         \x20 --> aws.yaml:4\n\
         \x20 |\n\
         4 | name: spiffe-jwt\n\
         \x20 | ^^^^^^^^^^^^^^^^\n"
    );
}

#[test]
fn files_that_cannot_be_sent() {
    let tower = Mock::http(|_| json(200, "{}"));
    let operator = Operator::at(&tower);
    let error = operator.run(&["bulk", "-f", "nonexistent.yaml"]).failed(2);
    assert!(error.contains("cannot read `nonexistent.yaml`: No such file"), "{error}");
    std::fs::write(operator.home().join("latin1.yaml"), b"name: \xe9\n").unwrap();
    let error = operator.run(&["bulk", "-f", "latin1.yaml"]).failed(2);
    assert!(error.contains("`latin1.yaml` is not UTF-8 text"), "{error}");
    let error = operator.run(&["bulk"]).failed(2);
    assert!(error.contains("--file <FILE>"), "{error}");
    assert!(tower.asked().is_empty());
}

#[test]
fn too_large_is_the_towers_word() {
    let tower = Mock::http(|_| json(413, r#"{"errors":[{"error-message":"the body is larger than 1 MiB"}]}"#));
    let operator = Operator::at(&tower);
    let error = operator.run_with(&["bulk", "-f", "-"], &"#\n".repeat(600_000)).failed(1);
    assert_eq!(error, "error: the body is larger than 1 MiB\n");
}
