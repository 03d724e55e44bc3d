//! `supctl show`

use crate::mock::{Mock, json, text};
use crate::operator::Operator;

const RING: &str = r#"{"name":"spiffe-jwt","cipher":"rsa-2048","versions":[
  {"version":1,"phase":"active","kid":"k1","public-key":"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"},
  {"version":2,"phase":"pending","kid":"k2","public-key":"-----BEGIN PUBLIC KEY-----\ny\n-----END PUBLIC KEY-----\n"}]}"#;

#[test]
fn state_as_a_table() {
    let tower = Mock::http(|_| json(200, RING));
    let outcome = Operator::at(&tower).run(&["show", "state/strongbox/transit-keys/spiffe-jwt"]);
    assert_eq!(outcome.err, "left out, see --output yaml: public-key\n");
    assert_eq!(
        outcome.data(),
        "name    spiffe-jwt\ncipher  rsa-2048\n\nversions\nVERSION  PHASE    KID\n1        active   k1\n2        pending  k2\n"
    );
    let asked = tower.only();
    assert_eq!(asked.line(), "GET /v1/state/strongbox/transit-keys/spiffe-jwt");
    assert_eq!(asked.header("authorization"), Some("Bearer token-of-environment"));
    assert_eq!(asked.header("accept"), Some("application/json"));
}

#[test]
fn json_and_yaml_keep_the_order_and_everything() {
    let tower = Mock::http(|_| json(200, r#"{"z":1,"a":{"list":["30d",true],"text":"1\n2\n"},"quoted":"12"}"#));
    let operator = Operator::at(&tower);
    assert_eq!(
        operator.run(&["show", "x/y", "--output", "json"]).data(),
        "{\n  \"z\": 1,\n  \"a\": {\n    \"list\": [\n      \"30d\",\n      true\n    ],\n    \"text\": \"1\\n2\\n\"\n  },\n  \"quoted\": \"12\"\n}\n"
    );
    let yaml = operator.run(&["-o", "yaml", "show", "x/y"]).data();
    assert_eq!(yaml, "z: 1\na:\n  list:\n  - 30d\n  - true\n  text: |\n    1\n    2\nquoted: \"12\"\n");
}

#[test]
fn paths_of_every_kind() {
    for (path, target) in [
        ("strongbox/policies", "/v1/config/strongbox/policies"),
        ("/v1/get-spiffe-jwks?tenant=default", "/v1/get-spiffe-jwks?tenant=default"),
        ("state/audit?limit=2", "/v1/state/audit?limit=2"),
    ] {
        let tower = Mock::http(|_| json(200, "[]"));
        assert_eq!(Operator::at(&tower).run(&["show", path]).data(), "(none)\n");
        assert_eq!(tower.only().target, target);
    }
}

#[test]
fn warnings_and_the_revision_are_not_data() {
    let body =
        r#"{"issuer":"https://t:1/x","warnings":[{"relying-party":"aws-sts","warning":"a port is not accepted"}]}"#;
    let tower = Mock::http(move |_| json(200, body).with("etag", "\"7\""));
    let outcome = Operator::at(&tower).run(&["show", "state/x", "--revision"]);
    assert_eq!(outcome.err, "warning: aws-sts: a port is not accepted\nrevision: 7\n");
    assert_eq!(outcome.data(), "issuer  https://t:1/x\n");
}

#[test]
fn a_token_that_ended() {
    let tower = Mock::http(|_| json(401, r#"{"errors":[{"error-message":"the token is not valid"}]}"#));
    let error = Operator::at(&tower).run(&["show", "x/y"]).failed(1);
    assert_eq!(error, "error: the token is not valid\n  remedy: token expired: run supctl login\n");
}

#[test]
fn every_error_of_the_tower_is_printed() {
    let body =
        r#"{"errors":[{"error-message":"one","error-info":{"known":["a"],"remedy":"do a"}},{"error-message":"two"}]}"#;
    let tower = Mock::http(move |_| json(404, body));
    let error = Operator::at(&tower).run(&["show", "x/y"]).failed(1);
    assert_eq!(error, "error: one\n  known: [\"a\"]\n  remedy: do a\nerror: two\n");
}

#[test]
fn text_is_printed_as_it_is() {
    let tower = Mock::http(|_| text(200, "text/x-shellscript", "#!/bin/sh\necho 12"));
    assert_eq!(Operator::at(&tower).run(&["show", "state/x"]).data(), "#!/bin/sh\necho 12");
}

#[test]
fn the_terminal_is_not_driven_by_the_tower() {
    let tower = Mock::http(|asked| match asked.target.as_str() {
        "/v1/config/x/good" => json(200, r#"{"a":"\u001b[2J"}"#),
        _ => json(422, r#"{"errors":[{"error-message":"\u001b[2J","error-info":{"path":"\u001b[2J"}}]}"#),
    });
    let operator = Operator::at(&tower);
    for path in ["x/good", "x/bad"] {
        let outcome = operator.run(&["show", path]);
        assert!(!outcome.out.contains('\u{1b}') && !outcome.err.contains('\u{1b}'), "{outcome:?}");
    }
}
