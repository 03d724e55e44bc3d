//! `supctl create|replace|merge|delete`

use crate::mock::{Asked, Mock, Reply, json, text};
use crate::operator::Operator;

fn stored(_: &Asked) -> Reply {
    json(
        200,
        r#"{"documents":[{"path":"strongbox/policies/ops","operation":"replace","effect":"replaced"}],"warnings":[],"revision":8}"#,
    )
}

fn nothing(_: &Asked) -> Reply {
    text(204, "", "")
}

#[test]
fn create_posts_to_the_collection_and_names_the_document() {
    let tower = Mock::http(|_| text(201, "", ""));
    let operator = Operator::at(&tower);
    let args = ["create", "strongbox/transit-keys/k", "cipher=rsa-2048", "auto-rotate.rotate-after=30d"];
    assert_eq!(operator.run(&args).data(), "created  strongbox/transit-keys/k\n");
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/config/strongbox/transit-keys");
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.body, r#"{"name":"k","cipher":"rsa-2048","auto-rotate":{"rotate-after":"30d"}}"#);
}

#[test]
fn a_name_that_differs_from_the_path_is_not_sent() {
    let tower = Mock::http(stored);
    let error = Operator::at(&tower).run(&["create", "strongbox/policies/ops", "name=dev"]).failed(2);
    assert!(error.contains("the path ends in `ops`, and the body says name: \"dev\""), "{error}");
    assert!(tower.asked().is_empty());
}

#[test]
fn replace_puts_a_file() {
    let tower = Mock::http(stored);
    let operator = Operator::at(&tower);
    operator.file("ops.yaml", "name: ops\nrules:\n  - path: 'a/**'\n    operations: [read]\n");
    let args = ["replace", "/v1/config/strongbox/policies/ops", "-f", "ops.yaml", "--if-match", "7"];
    assert_eq!(operator.run(&args).data(), "replaced  strongbox/policies/ops\n");
    let asked = tower.only();
    assert_eq!(asked.line(), "PUT /v1/config/strongbox/policies/ops");
    assert_eq!(asked.header("if-match"), Some("\"7\""));
    assert_eq!(asked.body, r#"{"name":"ops","rules":[{"path":"a/**","operations":["read"]}]}"#);
}

#[test]
fn merge_patches_from_standard_input_and_fields() {
    let tower = Mock::http(nothing);
    let operator = Operator::at(&tower);
    let args = ["merge", "strongbox/policies/ops", "-f", "-", "b=[x,y]", "--output", "json"];
    assert_eq!(
        operator.run_with(&args, "{\"a\": null}").data(),
        "{\n  \"path\": \"strongbox/policies/ops\",\n  \"effect\": \"merged\"\n}\n"
    );
    let asked = tower.only();
    assert_eq!(asked.line(), "PATCH /v1/config/strongbox/policies/ops");
    assert_eq!(asked.body, r#"{"a":null,"b":["x","y"]}"#);
}

#[test]
fn delete_sends_no_body() {
    let tower = Mock::http(nothing);
    assert_eq!(
        Operator::at(&tower).run(&["delete", "strongbox/policies/ops"]).data(),
        "deleted  strongbox/policies/ops\n"
    );
    let asked = tower.only();
    assert_eq!((asked.line().as_str(), asked.body.as_str()), ("DELETE /v1/config/strongbox/policies/ops", ""));
}

#[test]
fn nothing_changed_is_said() {
    let tower = Mock::http(|_| {
        json(200, r#"{"documents":[{"path":"strongbox/policies/ops","effect":"unchanged"}],"warnings":["w"]}"#)
    });
    let outcome = Operator::at(&tower).run(&["replace", "strongbox/policies/ops", "a=1"]);
    assert_eq!(outcome.err, "warning: w\n");
    assert_eq!(outcome.data(), "nothing changed  strongbox/policies/ops\n");
}

#[test]
fn a_dry_run_shows_the_timeline() {
    let body = r#"{"dry-run":true,"documents":[{"document":1,"path":"strongbox/transit-keys/k","operation":"merge","effect":"merged",
        "timeline":[{"version":1,"active":"2026-11-02T09:00:00Z"}]}],"warnings":[]}"#;
    let tower = Mock::http(move |_| json(200, body));
    let data = Operator::at(&tower).run(&["merge", "strongbox/transit-keys/k", "a=1", "--validate"]).data();
    assert_eq!(
        data,
        "DOCUMENT  EFFECT  PATH\n1         merged  strongbox/transit-keys/k\nvalid: 1 merged if applied; nothing was stored\n\n\
         timeline of strongbox/transit-keys/k\nVERSION  ACTIVE\n1        2026-11-02T09:00:00Z\n"
    );
    assert_eq!(tower.only().target, "/v1/config/strongbox/transit-keys/k?validate=true");
}

#[test]
fn a_document_that_stands_alone_is_created_in_its_place() {
    let tower = Mock::http(|_| text(201, "", ""));
    let args = ["create", "strongbox/authentication/spiffe-settings", "jwt-signing-key=k"];
    Operator::at(&tower).run(&args).data();
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/config/strongbox/authentication/spiffe-settings");
    assert_eq!(asked.body, r#"{"jwt-signing-key":"k"}"#);
}

#[test]
fn a_refusal_names_field_and_remedy() {
    let body = r#"{"errors":[{"error-message":"`strongbox/policies/ops`: field `rulez`: unknown field; did you mean `rules`?",
        "error-info":{"line":1,"column":15,"path":"strongbox/policies/ops","field":"rulez","reason":"unknown-field","message":"unknown field","remedy":"did you mean `rules`?"}}]}"#;
    let tower = Mock::http(move |_| json(400, body));
    let error = Operator::at(&tower).run(&["replace", "strongbox/policies/ops", "rulez=[]"]).failed(1);
    assert_eq!(error, "error: strongbox/policies/ops, field `rulez`: unknown field\n  remedy: did you mean `rules`?\n");
}

#[test]
fn a_revision_that_moved() {
    let tower = Mock::http(|_| json(412, r#"{"errors":[{"error-message":"the revision is 8"}]}"#));
    let error = Operator::at(&tower).run(&["delete", "strongbox/policies/ops", "--if-match", "7"]).failed(1);
    assert!(error.starts_with("error: the revision is 8\n  remedy: somebody changed it meanwhile"), "{error}");
}

#[test]
fn usage_errors_send_nothing() {
    let tower = Mock::http(stored);
    let operator = Operator::at(&tower);
    operator.file("broken.yaml", "a: [\n");
    for (args, message) in [
        (vec!["replace", "strongbox/policies/ops"], "there is no body"),
        (vec!["replace", "strongbox/policies/ops", "text"], "`text` is not a field"),
        (vec!["replace", "state/strongbox/token", "a=1"], "is not configuration"),
        (vec!["replace", "strongbox/../x", "a=1"], "has an empty or a dot segment"),
        (vec!["replace", "x/y", "-f", "nonexistent.yaml"], "cannot read `nonexistent.yaml`"),
        (vec!["replace", "x/y", "-f", "broken.yaml"], "`broken.yaml` is neither YAML nor JSON"),
        (vec!["replace", "users/x", "password=hunter2"], "field `password` is a secret"),
    ] {
        let error = operator.run(&args).failed(2);
        assert!(error.contains(message), "{args:?}: {error}");
        assert!(!error.contains("hunter2"));
    }
    assert!(tower.asked().is_empty());
}
