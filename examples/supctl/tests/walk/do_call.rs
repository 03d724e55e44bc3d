//! `supctl do`

use crate::mock::{Mock, json, text};
use crate::operator::Operator;

#[test]
fn the_trust_policy_can_be_pasted() {
    let body = r#"{"provider-url":"https://t.example.com/1","audience":"sts.amazonaws.com","subject":"spiffe://t.example.com/approle/payments",
        "thumbprint-note":"AWS finds it by itself","trust-policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]},
        "warnings":[{"relying-party":"aws-sts","warning":"the issuer has a port"}]}"#;
    let tower = Mock::http(move |_| json(200, body));
    let args = ["do", "strongbox/aws-trust-policy", "role=payments", "account=123456789012"];
    let outcome = Operator::at(&tower).run(&args);
    assert_eq!(outcome.err, "warning: aws-sts: the issuer has a port\n");
    assert_eq!(
        outcome.data(),
        "provider-url     https://t.example.com/1\n\
         audience         sts.amazonaws.com\n\
         subject          spiffe://t.example.com/approle/payments\n\
         thumbprint-note  AWS finds it by itself\n\n\
         trust-policy\n\
         {\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\"\n    }\n  ]\n}\n"
    );
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/state/strongbox/aws-trust-policy");
    assert_eq!(asked.body, r#"{"role":"payments","account":"123456789012"}"#, "an account is a text");
}

#[test]
fn without_fields_an_empty_object_is_sent() {
    let tower = Mock::http(|_| text(204, "", ""));
    let outcome = Operator::at(&tower).run(&["do", "strongbox/transit-keys/k/rotate"]);
    assert_eq!(
        (outcome.code, outcome.out.as_str(), outcome.err.as_str()),
        (0, "", "done: strongbox/transit-keys/k/rotate\n")
    );
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/state/strongbox/transit-keys/k/rotate");
    assert_eq!(asked.body, "{}");
}

#[test]
fn an_answer_without_a_word_says_what_was_done() {
    let tower = Mock::http(|_| json(200, "{}"));
    let operator = Operator::at(&tower);
    let outcome = operator.run(&["do", "strongbox/authentication/users/ann@example.com/lock"]);
    let expected = "done: strongbox/authentication/users/ann@example.com/lock\n";
    assert_eq!((outcome.code, outcome.out.as_str(), outcome.err.as_str()), (0, "", expected));
    // A program is given what there is.
    assert_eq!(
        operator.run(&["-o", "json", "do", "strongbox/authentication/users/ann@example.com/lock"]).data(),
        "{}\n"
    );
}

#[test]
fn get_makes_a_query_of_the_fields() {
    let tower = Mock::http(|_| json(200, "[]"));
    Operator::at(&tower).run(&["do", "--get", "audit", "since=2026-11-02T09:00:00Z", "limit=2"]).data();
    assert_eq!(tower.only().line(), "GET /v1/state/audit?since=2026-11-02T09:00:00Z&limit=2");
}

#[test]
fn a_secret_comes_from_a_file_or_standard_input() {
    let tower = Mock::http(|_| json(200, r#"{"accessor":"a"}"#));
    let operator = Operator::at(&tower);
    let path = "strongbox/authentication/approles/payments/lookup-secret-id";
    let error = operator.run(&["do", path, "secret-id=hunter2"]).failed(2);
    assert!(
        error.contains("use secret-id=@FILE, secret-id=@- (standard input)") && !error.contains("hunter2"),
        "{error}"
    );
    assert!(tower.asked().is_empty());
    operator.run_with(&["do", path, "secret-id=@-"], "hunter2\n").data();
    assert_eq!(tower.only().body, r#"{"secret-id":"hunter2"}"#);
}

#[test]
fn a_script_can_be_piped_on() {
    // Byte for byte: its digest is known, and its last byte begins it.
    let script = || text(200, "text/x-shellscript", "#!/bin/sh\n{ main \"$@\"; }");
    let args = ["do", "system/call-home/install-script", "site=7"];
    let digest = "5e".repeat(32);
    let tower = Mock::http(move |_| script().with("x-script-sha256", &"5e".repeat(32)));
    let run = Operator::at(&tower).run(&args);
    assert_eq!(run.err, format!("SHA-256 of the script: {digest}\n"));
    assert_eq!(run.data(), "#!/bin/sh\n{ main \"$@\"; }");
    assert_eq!(tower.only().body, r#"{"site":"7"}"#);
    // What is none is not shown.
    let other = Mock::http(move |_| script().with("x-script-sha256", "remove the file first"));
    assert_eq!(Operator::at(&other).run(&args).err, "");
}

#[test]
fn a_refusal_is_exit_one() {
    let tower = Mock::http(|_| json(403, r#"{"errors":[{"error-message":"denied by policy `dev`"}]}"#));
    let error = Operator::at(&tower).run(&["do", "strongbox/check-issuer"]).failed(1);
    assert_eq!(error, "error: denied by policy `dev`\n");
}
