//! Policies with variables, hidden fields, and the questions that can be asked of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Tower, WALK};

const CAPABILITIES: &str = "/v1/state/strongbox/policies/capabilities";
const EXPLAIN: &str = "/v1/state/strongbox/policies/explain";
const WHO_MAY: &str = "/v1/state/strongbox/policies/who-may";
const ROLES: &str = "/v1/config/strongbox/authentication/approles";
const POLICIES: &str = "/v1/config/strongbox/policies";

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    (tower, admin)
}

async fn policy(tower: &Tower, admin: &str, name: &str, rules: Value) -> Value {
    let policy = json!({"name": name, "rest-api": {"rules": rules}});
    tower.call("PUT", &format!("{POLICIES}/{name}"), Some(admin), Some(policy)).await.ok()
}

/// A role with one policy of the same name.
async fn role(tower: &Tower, admin: &str, name: &str, rules: Value) {
    policy(tower, admin, name, rules).await;
    let role = json!({"name": name, "token-policies": [name]});
    tower.call("PUT", &format!("{ROLES}/{name}"), Some(admin), Some(role)).await.ok();
}

async fn log_in(tower: &Tower, admin: &str, role: &str, request: Value) -> Value {
    let (role_id, secret_id) = tower.secret(admin, role, request).await;
    tower.log_in(&role_id, &secret_id).await.ok()
}

fn token(login: &Value) -> &str {
    login["token"].as_str().unwrap()
}

/// A token with these rules.
async fn restricted(tower: &Tower, admin: &str, name: &str, rules: Value) -> String {
    role(tower, admin, name, rules).await;
    token(&log_in(tower, admin, name, json!({})).await).to_owned()
}

#[tokio::test]
async fn documents_of_variables_and_sites_are_checked() {
    let (tower, admin) = tower().await;
    let put = async |path: &str, body: Value| {
        tower.call("PUT", &format!("/v1/config/{path}"), Some(&admin), Some(body)).await
    };
    put("variables/region", json!({"value": "eu"})).await.ok();
    put("variables/uplink.dns", json!({"value": ["192.0.2.1", "192.0.2.2"]})).await.ok();
    put(
        "system/sites/north",
        json!({"labels": {"country": "se"}, "variables": {"region": "eu-north"}, "host-ids": ["h-1"]}),
    )
    .await
    .ok();
    assert_eq!(tower.get("/v1/config/variables", &admin).await.ok(), json!(["region", "uplink.dns"]));
    assert_eq!(tower.get("/v1/config/variables/region", &admin).await.ok(), json!({"name": "region", "value": "eu"}));
    for (path, body, text) in [
        ("variables/tenant", json!({"value": "x"}), "built in, and not for a document to set"),
        ("variables/site.label.country", json!({"value": "x"}), "built in, and not for a document to set"),
        ("variables/Region", json!({"value": "x"}), "not the name of a variable"),
        ("variables/region", json!({"value": ""}), "1 to 1024 bytes"),
        ("variables/region", json!({"value": "a\u{0}b"}), "no control characters"),
        ("variables/region", json!({"value": []}), "1 to 1000 items"),
        ("variables/region", json!({"value": "eu", "site": "x"}), "`site`: unknown"),
        ("system/sites/north", json!({"variables": {"metadata.pod": "x"}}), "built in, and not for a document to set"),
        ("system/sites/north", json!({"host-ids": ["a", "a"]}), "`host-ids[1]`: is listed before"),
        ("system/sites/north", json!({"host_ids": ["a"]}), "write `host-ids`"),
    ] {
        let refused = put(path, body).await.refused(400);
        assert!(refused.contains(text), "{refused}");
    }
}

#[tokio::test]
async fn a_policy_says_which_of_its_variables_have_no_value() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, "x-path: variables/region\nx-operation: create\nvalue: eu\n---\nx-path: variables/dns\nx-operation: create\nvalue: [a, b]\n").await.ok();
    tower.bulk(&admin, "x-path: system/sites/north\nx-operation: create\nvariables: {uplink: wan0}\n").await.ok();
    let rules = json!([
        {"path": "/v1/${tenant}/${region}/${uplink}/${metadata.pod}", "operations": {"read": "allow"}},
        {"path": "/v1/${zone}/${dns}", "operations": {"read": "allow"}},
    ]);
    let body = json!({"name": "p", "rest-api": {"rules": rules}});
    let dry = tower.call("PUT", &format!("{POLICIES}/p?validate=true"), Some(&admin), Some(body.clone())).await.ok();
    let warnings: Vec<&str> =
        dry["warnings"].as_array().unwrap().iter().map(|w| w["warning"].as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("`${zone}` has no value") && warnings[1].starts_with("`${dns}` is a list"),
        "{warnings:?}"
    );
    assert_eq!(dry["warnings"][0]["field"], "rest-api.rules[1].path");
    // Given a value in the same change, there is nothing to warn of.
    let bulk = format!(
        "x-path: variables/zone\nx-operation: create\nvalue: z\n---\nx-path: variables/dns\nx-operation: replace\nvalue: d\n---\n{}\n",
        json!({"x-path": "strongbox/policies/p", "x-operation": "create", "rest-api": {"rules": rules}})
    );
    assert_eq!(tower.bulk(&admin, &bulk).await.ok()["warnings"], json!([]));
    // Whoever takes the value away is told who needs it.
    let removed = tower.call("DELETE", "/v1/config/variables/zone", Some(&admin), None).await.ok();
    assert_eq!(removed["warnings"][0]["path"], "strongbox/policies/p", "{removed}");
    // A variable that nobody ever has is a mistake.
    let body =
        json!({"name": "q", "rest-api": {"rules": [{"path": "/v1/${tenant.name}", "operations": {"read": "allow"}}]}});
    let refused = tower.post(POLICIES, &admin, body).await.refused(400);
    assert!(refused.contains("`rest-api.rules[0].path`: has `${tenant.name}`, which never has a value"), "{refused}");
}

#[tokio::test]
async fn rules_hold_for_the_values_of_whoever_asks() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, "x-path: variables/kind\nx-operation: create\nvalue: transit-keys\n").await.ok();
    let rules = json!([
        {"path": "/v1/config/strongbox/${kind}/${approle}-${metadata.pod}", "operations": {"read": "allow"}},
        {"path": "/v1/config/${tenant}/*", "operations": {"read": "allow"}},
    ]);
    role(&tower, &admin, "pay", rules).await;
    for name in ["pay-p1", "pay-p2"] {
        tower.post("/v1/config/strongbox/transit-keys", &admin, json!({"name": name})).await.ok();
    }
    let one = log_in(&tower, &admin, "pay", json!({"metadata": {"pod": "p1"}})).await;
    let none = log_in(&tower, &admin, "pay", json!({})).await;
    let read = async |who: &Value, name: &str| {
        tower.get(&format!("/v1/config/strongbox/transit-keys/{name}"), token(who)).await.status.as_u16()
    };
    assert_eq!((read(&one, "pay-p1").await, read(&one, "pay-p2").await), (200, 403));
    assert_eq!((read(&none, "pay-p1").await, read(&none, "pay-p2").await), (403, 403));
    assert_eq!(tower.get("/v1/config/default/x", token(&one)).await.status, 404, "allowed, and not there");
    // The value changes, and the next request is decided by the new one.
    tower.bulk(&admin, "x-path: variables/kind\nx-operation: replace\nvalue: policies\n").await.ok();
    assert_eq!(read(&one, "pay-p1").await, 403);
}

/// Values that would widen a rule if they were read as anything but text.
const HOSTILE: [&str; 14] =
    ["*", "**", "/", "..", "../pay", "p1/**", "%2a", "%2f", "p%31", "${approle}", "p1*", "р1", "ｐ1", "p\u{200b}1"];

#[tokio::test]
async fn no_value_widens_a_rule() {
    let (tower, admin) = tower().await;
    role(
        &tower,
        &admin,
        "pay",
        json!([
            {"path": "/v1/config/strongbox/transit-keys/${metadata.pod}", "operations": {"read": "allow"}},
            {"path": "/v1/config/strongbox/transit-keys/x-${metadata.pod}/**", "operations": {"read": "allow"}},
            {"path": "/v1/config/strongbox/policies/${wide}", "operations": {"read": "allow"}},
            {"path": "/v1/config/strongbox/policies/${wide}/**", "operations": {"read": "allow"}},
        ]),
    )
    .await;
    for name in ["p1", "secret"] {
        tower.post("/v1/config/strongbox/transit-keys", &admin, json!({"name": name})).await.ok();
    }
    for value in HOSTILE {
        tower.call("PUT", "/v1/config/variables/wide", Some(&admin), Some(json!({"value": value}))).await.ok();
        let site = json!({"variables": {"wide": value}, "labels": {"pod": value}});
        tower.call("PUT", "/v1/config/system/sites/north", Some(&admin), Some(site)).await.ok();
        let login =
            log_in(&tower, &admin, "pay", json!({"metadata": {"pod": value, "tenant": value, "approle": value}})).await;
        let token = token(&login);
        for path in [
            "transit-keys/p1",
            "transit-keys/secret",
            "transit-keys",
            "policies/pay",
            "policies",
            "policies/pay/x",
            "transit-keys/x-p1/y",
        ] {
            let answer = tower.get(&format!("/v1/config/strongbox/{path}"), token).await;
            assert_eq!(answer.status, 403, "{value:?} opens {path}");
        }
        let shown = tower
            .post(
                EXPLAIN,
                &admin,
                json!({
                    "subject": "approle/pay", "path": "/v1/config/strongbox/policies/pay", "operation": "read",
                    "site": "north", "metadata": {"pod": value},
                }),
            )
            .await
            .ok();
        assert_eq!(shown["decision"], "denied", "{shown}");
        assert!(
            shown["variables"].as_array().unwrap().contains(&json!({"variable": "wide", "value": value})),
            "{shown}"
        );
    }
    // What cannot be text of a path is no value in the first place.
    for value in ["", "a\u{0}", "a\nb", "a\u{85}"] {
        let refused = tower.call("PUT", "/v1/config/variables/wide", Some(&admin), Some(json!({"value": value}))).await;
        assert_eq!(refused.status, 400, "{value:?}");
        let base = "/v1/state/strongbox/authentication/approles/pay/generate-secret-id";
        let refused = tower.post(base, &admin, json!({"metadata": {"pod": value}})).await;
        assert_eq!(refused.status, 400, "{value:?}");
    }
}

#[tokio::test]
async fn hidden_fields_are_not_read() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, WALK).await.ok();
    let site = json!({"name": "north", "host-ids": ["s3cret-host"], "labels": {"region": "s3cret-label", "x": "y"}});
    tower.post("/v1/config/system/sites", &admin, site).await.ok();
    let support = restricted(&tower, &admin, "support", json!([
        {"path": "/v1/**", "operations": {"read": "allow", "execute": "allow"}, "hide-fields": ["host-ids", "labels.region", "role-id", "source", "rotate-after"]},
        {"path": "/v1/sys/**", "operations": {"read": "allow"}, "hide-fields": ["policy"]},
        {"path": "/v1/transit/**", "operations": {"read": "allow", "execute": "allow"}, "hide-fields": ["keys", "plaintext"]},
    ])).await;
    let shown = tower.get("/v1/config/system/sites/north", &support).await;
    assert_eq!(shown.ok(), json!({"name": "north", "labels": {"x": "y"}}));
    assert_eq!(shown.headers["etag"], tower.get("/v1/config/system/sites/north", &admin).await.headers["etag"]);
    let key = tower.get("/v1/config/strongbox/transit-keys/spiffe-jwt", &support).await.ok();
    assert!(key["auto-rotate"]["rotate-after"].is_null() && key["auto-rotate"]["activate-after"] == "1d", "{key}");
    // State, the audit log and the paths of Vault's clients alike.
    let role = tower.get("/v1/state/strongbox/authentication/approles/payments", &support).await.ok();
    assert!(role["role-id"].is_null() && !role.as_object().unwrap().is_empty(), "{role}");
    let audit = tower.get("/v1/state/audit?limit=1000", &support).await.ok();
    let records = audit["records"].as_array().unwrap();
    assert!(
        records.len() > 3
            && records.iter().all(|record| record.get("source").is_none() && record.get("event").is_some())
    );
    let document = tower.get("/v1/sys/policies/acl/support", &support).await.ok();
    assert!(document["data"].get("policy").is_none() && document["data"]["name"] == "support", "{document}");
    let ring = tower.get("/v1/transit/keys/spiffe-jwt", &support).await.ok();
    assert!(ring["data"].get("keys").is_none() && ring["data"]["name"] == "spiffe-jwt", "{ring}");
    let wrapped = axum::http::Request::get("/v1/transit/keys/spiffe-jwt")
        .header("x-vault-token", &support)
        .header("x-vault-wrap-ttl", "60")
        .body(axum::body::Body::empty())
        .unwrap();
    assert!(tower.send(wrapped).await.refused(403).contains("hidden"), "unwrapping would show it");
    // By the paths of Vault's clients nothing is written of which they do not see all.
    let all = json!({"read": "allow", "create": "allow", "update": "allow", "execute": "allow"});
    let rule = |path: &str, field: &str| json!({"path": path, "operations": all, "hide-fields": [field]});
    let rules = json!([rule("/v1/auth/approle/**", "token_policies"), rule("/v1/sys/**", "policy")]);
    let writer = restricted(&tower, &admin, "writer", rules).await;
    for (path, body, document) in [
        (
            "auth/approle/role/payments",
            json!({"token_policies": ["administrator"]}),
            "authentication/approles/payments",
        ),
        ("sys/policies/acl/writer", json!({"policy": r#"path "*" { policy = "sudo" }"#}), "policies/writer"),
        ("sys/policy/writer", json!({"policy": r#"path "*" { policy = "sudo" }"#}), "policies/writer"),
    ] {
        let config = async || tower.get(&format!("/v1/config/strongbox/{document}"), &admin).await.ok();
        let before = config().await;
        let refused = tower.post(&format!("/v1/{path}"), &writer, body).await;
        assert!(refused.status == 403 && String::from_utf8_lossy(&refused.bytes).contains("hidden"), "{refused:?}");
        assert_eq!(config().await, before);
    }
    // The whole log of what was answered has no trace of it; the administrator sees everything.
    for path in ["/v1/config/system/sites/north", "/v1/config/system/sites", "/v1/config/strongbox/policies/support"] {
        let text = String::from_utf8(tower.get(path, &support).await.bytes).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert_eq!(tower.get("/v1/config/system/sites/north", &admin).await.ok()["host-ids"], json!([kept("s3cret-host")]));
}

/// A host-id as a site's document has it once it is stored.
fn kept(host_id: &str) -> String {
    format!("sha256:{}", keyward_callhome_cert::HostHash::of(&host_id.parse().unwrap()))
}

#[tokio::test]
async fn hidden_fields_are_not_lost_and_not_written() {
    let (tower, admin) = tower().await;
    let north = "/v1/config/system/sites/north";
    let whole = json!({"name": "north", "host-ids": ["s3cret"], "labels": {"region": "eu"}});
    tower.post("/v1/config/system/sites", &admin, whole.clone()).await.ok();
    let all = json!({"read": "allow", "create": "allow", "update": "allow", "delete": "allow"});
    let rules = json!([{"path": "/v1/config/**", "operations": all, "hide-fields": ["host-ids"]}]);
    let editor = restricted(&tower, &admin, "editor", rules).await;
    let put = async |body: Value| tower.call("PUT", north, Some(&editor), Some(body)).await;
    // What was read can be sent back, changed or not.
    let read = tower.get(north, &editor).await.ok();
    assert_eq!(put(read).await.ok()["changed"], false);
    put(json!({"labels": {"region": "us"}})).await.ok();
    let now = json!({"name": "north", "host-ids": [kept("s3cret")], "labels": {"region": "us"}});
    assert_eq!(tower.get(north, &admin).await.ok(), now);
    tower.call("PATCH", north, Some(&editor), Some(json!({"labels": null}))).await.ok();
    tower.bulk(&editor, "x-path: system/sites/north\nx-operation: replace\nlabels: {region: se}\n").await.ok();
    let now = json!({"name": "north", "host-ids": [kept("s3cret")], "labels": {"region": "se"}});
    assert_eq!(tower.get(north, &admin).await.ok(), now);
    // Nothing hidden is written, compared or removed by name.
    for body in [json!({"host-ids": ["s3cret"]}), json!({"host-ids": []}), json!({"host-ids": null})] {
        let text = put(body.clone()).await.refused(403);
        assert!(text.contains("field `host-ids`: is hidden from you"), "{text}");
        assert_eq!(tower.call("PATCH", north, Some(&editor), Some(body)).await.status, 403);
    }
    let text =
        tower.bulk(&editor, "x-path: system/sites/south\nx-operation: create\nhost-ids: [a]\n").await.refused(403);
    assert!(text.starts_with("document 1, line 3, "), "{text}");
    assert_eq!(tower.get(north, &admin).await.ok(), now);
    // What is wrong by itself is told; what is wrong with what is hidden is not.
    let rules =
        json!([{"path": "/v1/config/**", "operations": all, "hide-fields": ["token-max-ttl", "activate-after"]}]);
    let editor = restricted(&tower, &admin, "blind", rules).await;
    let capped = json!({"name": "capped", "token-ttl": "1h", "token-max-ttl": "777m"});
    tower.post(ROLES, &admin, capped).await.ok();
    let capped = format!("{ROLES}/capped");
    let text = tower.call("PATCH", &capped, Some(&editor), Some(json!({"token-ttl": "20h"}))).await.refused(400);
    assert_eq!(
        text,
        "`strongbox/authentication/approles/capped`: with the fields that are hidden from you it is not valid"
    );
    let text = tower.call("PUT", &capped, Some(&editor), Some(json!({"token-tll": "20h"}))).await.refused(400);
    assert!(text.contains("write `token-ttl`"), "{text}");
    // A timeline is made of what is hidden.
    tower.bulk(&admin, WALK).await.ok();
    let key = "/v1/config/strongbox/transit-keys/spiffe-jwt?validate=true";
    let patch = json!({"auto-rotate": {"rotate-after": "31d"}});
    assert!(
        tower.call("PATCH", key, Some(&editor), Some(patch.clone())).await.ok()["documents"][0]
            .get("timeline")
            .is_none()
    );
    assert!(tower.call("PATCH", key, Some(&admin), Some(patch)).await.ok()["documents"][0].get("timeline").is_some());
    // Deletion is of the whole.
    tower.call("DELETE", north, Some(&editor), None).await.ok();
}

#[tokio::test]
async fn by_the_paths_of_vault_nothing_is_written_that_is_not_seen() {
    let (tower, admin) = tower().await;
    let all = json!({"read": "allow", "create": "allow", "update": "allow", "execute": "allow", "delete": "allow"});
    let rules = json!([
        {"path": "/v1/auth/approle/role/**", "operations": all, "hide-fields": ["secret_id_bound_cidrs"]},
        // Of what is deeper it says nothing.
        {"path": "/v1/auth/approle/role/whole", "operations": all, "hide-fields": ["token_ttl"]},
        {"path": "/v1/auth/approle/role/whole/*", "operations": all},
        {"path": "/v1/sys/policies/acl/*", "operations": all, "hide-fields": ["policy"]},
        {"path": "/v1/sys/policy/*", "operations": all},
        {"path": "/v1/transit/**", "operations": all, "hide-fields": ["exportable"]},
        // Hidden for one operation, and written by another.
        {"path": "/v1/transit/keys/seen", "operations": {"create": "allow", "update": "allow", "execute": "allow", "delete": "allow"}},
        {"path": "/v1/transit/keys/seen", "operations": {"read": "allow"}, "hide-fields": ["exportable"]},
        {"path": "/v1/transit/keys/seen/config", "operations": all},
        {"path": "/v1/config/strongbox/**", "operations": all, "hide-fields": ["deletion-allowed"]},
    ]);
    let blind = restricted(&tower, &admin, "blind", rules).await;
    let see = restricted(&tower, &admin, "see", json!([{"path": "/v1/**", "operations": all}])).await;
    let bound = json!({"secret_id_bound_cidrs": ["192.0.2.0/24"]});
    for (path, body) in [
        ("auth/approle/role/pay", bound.clone()),
        ("auth/approle/role/whole", bound),
        ("sys/policies/acl/hid", json!({"policy": r#"path "a" { policy = "read" }"#})),
        ("transit/keys/hk", json!({})),
        ("transit/keys/seen", json!({})),
        ("transit/keys/copied", json!({"exportable": true, "allow_plaintext_backup": true})),
    ] {
        let made = tower.post(&format!("/v1/{path}"), &admin, body).await;
        assert!(made.status.is_success(), "{path}: {made:?}");
    }
    let backup = tower.get("/v1/transit/backup/copied", &admin).await.ok();
    let restore = json!({"backup": backup["data"]["backup"], "force": true});
    let other = json!({"secret_id_bound_cidrs": ["0.0.0.0/0"]});
    let text = json!({"policy": r#"path "*" { policy = "sudo" }"#});
    let documents = async || {
        let mut all = Vec::new();
        for path in ["authentication/approles/pay", "authentication/approles/whole", "policies/hid", "transit-keys/hk"]
        {
            all.push(tower.get(&format!("/v1/config/strongbox/{path}"), &admin).await.ok());
        }
        for path in ["transit-keys/seen", "transit-keys/hk", "transit-keys/copied"] {
            all.push(tower.get(&format!("/v1/state/strongbox/{path}"), &admin).await.ok());
        }
        all
    };
    let before = documents().await;
    for (method, path, body) in [
        ("DELETE", "auth/approle/role/pay/secret-id-bound-cidrs", json!(null)),
        ("DELETE", "auth/approle/role/pay/token-ttl", json!(null)),
        ("POST", "auth/approle/role/pay/bound-cidr-list", other.clone()),
        ("POST", "auth/approle/role/pay/role-id", json!({"role_id": "another-role-id"})),
        ("POST", "auth/approle/role/pay", other.clone()),
        ("POST", "auth/approle/role/new", other.clone()),
        ("POST", "auth/approle/role/whole/secret-id-bound-cidrs", other),
        ("DELETE", "auth/approle/role/pay", json!(null)),
        ("POST", "sys/policies/acl/hid", text.clone()),
        ("POST", "sys/policy/hid", text),
        ("DELETE", "sys/policies/acl/hid", json!(null)),
        ("DELETE", "sys/policy/HID", json!(null)),
        ("POST", "transit/keys/hk/config", json!({"exportable": true})),
        ("POST", "transit/keys/hk/config", json!({"min_encryption_version": 1})),
        ("POST", "transit/keys/seen/config", json!({"exportable": true})),
        ("POST", "transit/keys/hk/trim", json!({"min_available_version": 1})),
        ("POST", "transit/keys/new", json!({"exportable": true})),
        ("POST", "transit/restore/hk", restore.clone()),
        ("POST", "transit/restore", restore),
        ("DELETE", "transit/keys/hk", json!(null)),
        ("DELETE", "transit/keys/seen", json!(null)),
    ] {
        let body = Some(body).filter(|body| !body.is_null());
        let refused = tower.call(method, &format!("/v1/{path}"), Some(&blind), body).await;
        let text = String::from_utf8_lossy(&refused.bytes);
        assert!(refused.status == 403 && text.contains("hidden from you"), "{method} {path}: {refused:?}");
        assert!(!text.contains("deletion"), "{text}");
        assert_eq!(documents().await, before, "{method} {path}");
    }
    assert_eq!(tower.get("/v1/config/strongbox/authentication/approles/new", &admin).await.status, 404);
    assert_eq!(tower.get("/v1/config/strongbox/transit-keys/new", &admin).await.status, 404);
    // What a key does is no document, and whoever sees all writes as ever.
    tower.post("/v1/transit/encrypt/hk", &blind, json!({"plaintext": "AAAA"})).await.ok();
    tower.post("/v1/transit/keys/hk/config", &see, json!({"exportable": true})).await.ok();
    assert_eq!(
        tower.call("DELETE", "/v1/auth/approle/role/pay/secret-id-bound-cidrs", Some(&see), None).await.status,
        204
    );
    // Why a key stays says nothing of what is hidden, in the configuration either.
    let key = "/v1/config/strongbox/transit-keys/hk";
    let text = tower.call("DELETE", key, Some(&blind), None).await.refused(409);
    assert!(text.contains("hidden from you") && !text.contains("deletion-allowed"), "{text}");
    assert!(tower.call("DELETE", key, Some(&see), None).await.refused(409).contains("deletion-allowed"));
}

#[tokio::test]
async fn anybody_may_ask_what_they_may_do_and_some_what_others_may() {
    let (tower, admin) = tower().await;
    let rules = json!([
        {"path": "/v1/config/strongbox/policies/*", "operations": {"read": "allow", "update": "allow", "delete": "deny"}, "hide-fields": ["rest-api"]},
        {"path": "/v1/transit/encrypt/${approle}", "operations": {"execute": "allow"}},
        {"path": "/v1/transit/keys/*", "operations": {"read": "allow", "delete": "allow"}},
    ]);
    let pay = restricted(&tower, &admin, "pay", rules).await;
    let own =
        tower.post(CAPABILITIES, &pay, json!({"paths": ["/v1/config/strongbox/policies/x", "/v1/nothing"]})).await.ok();
    assert_eq!(
        own["capabilities"],
        json!([
            {"path": "/v1/config/strongbox/policies/x", "operations": ["read", "update"], "hidden-fields": ["rest-api"]},
            {"path": "/v1/nothing", "operations": []},
        ])
    );
    let one = json!({"path": "/v1/transit/encrypt/pay", "operation": "execute"});
    assert_eq!(tower.post(CAPABILITIES, &pay, one.clone()).await.ok()["capabilities"][0]["allowed"], true);
    // Of others only with the permission to explain.
    let accessor = tower.get("/v1/state/strongbox/token", &pay).await.ok()["accessor"].as_str().unwrap().to_owned();
    for subject in ["approle/pay".to_owned(), "user/admin".to_owned(), format!("token/{accessor}")] {
        let mut body = one.clone();
        body["subject"] = json!(subject);
        assert_eq!(tower.post(CAPABILITIES, &pay, body.clone()).await.status, 403, "{subject}");
        let answer = tower.post(CAPABILITIES, &admin, body).await.ok();
        assert_eq!(
            (answer["capabilities"][0]["allowed"].clone(), answer["subject"].clone()),
            (json!(true), json!(subject))
        );
    }
    for (body, status) in [
        (json!({}), 400),
        (json!({"path": "/v1/a/../b"}), 400),
        (json!({"path": "/v1/a", "subject": "approle/gone"}), 404),
        (json!({"path": "/v1/a", "subject": "token/00000000000000000000000000000000"}), 404),
        (json!({"path": "/v1/a", "subject": "gone"}), 400),
        (json!({"path": "/v1/a", "site": "north"}), 400),
        (json!({"path": "/v1/a", "subjekt": "x"}), 400),
    ] {
        assert_eq!(tower.post(CAPABILITIES, &admin, body.clone()).await.status.as_u16(), status, "{body}");
    }
    // As Vault's clients ask.
    let body = json!({"paths": ["transit/encrypt/pay", "transit/keys/x", "transit/encrypt/other"]});
    let answer = tower.post("/v1/sys/capabilities-self", &pay, body.clone()).await.ok();
    assert_eq!(
        answer["data"],
        json!({
            "transit/encrypt/pay": ["create", "update"],
            "transit/keys/x": ["delete", "list", "read"],
            "transit/encrypt/other": ["deny"],
        })
    );
    assert_eq!(answer["transit/keys/x"], answer["data"]["transit/keys/x"], "beside `data` too");
    let single = tower.post("/v1/sys/capabilities-self", &pay, json!({"path": "transit/encrypt/pay"})).await.ok();
    assert_eq!(
        single["data"],
        json!({"capabilities": ["create", "update"], "transit/encrypt/pay": ["create", "update"]})
    );
    for (path, field, value) in [("", "token", pay.as_str()), ("-accessor", "accessor", &accessor)] {
        let mut body = body.clone();
        body[field] = json!(value);
        assert_eq!(tower.post(&format!("/v1/sys/capabilities{path}"), &pay, body.clone()).await.status, 403);
        let other = tower.post(&format!("/v1/sys/capabilities{path}"), &admin, body.clone()).await.ok();
        assert_eq!(other["data"], answer["data"]);
        body[field] = json!("kw.unknown");
        assert_eq!(
            tower.post(&format!("/v1/sys/capabilities{path}"), &admin, body).await.refused(400),
            "invalid token"
        );
    }
    let all = tower.post("/v1/sys/capabilities-self", &admin, json!({"path": "sys/mounts"})).await.ok();
    assert_eq!(all["capabilities"], json!(["create", "delete", "list", "read", "update"]));
}

#[tokio::test]
async fn a_decision_is_explained() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, "x-path: variables/team\nx-operation: create\nvalue: core\n---\nx-path: system/sites/north\nx-operation: create\nvariables: {team: edge}\n").await.ok();
    role(
        &tower,
        &admin,
        "pay",
        json!([
            {"path": "/v1/config/**", "operations": {"read": "allow"}},
            {"path": "/v1/config/${team}/*", "operations": {"read": "deny"}, "hide-fields": ["x"]},
            {"path": "/v1/config/other/a", "operations": {"read": "allow"}},
        ]),
    )
    .await;
    let ask = async |body: Value| tower.post(EXPLAIN, &admin, body).await.ok();
    let answer = ask(json!({"subject": "approle/pay", "operation": "read", "path": "/v1/config/core/a"})).await;
    assert_eq!(answer["decision"], "denied");
    assert_eq!(answer["reason"], "denied by `/v1/config/${team}/*` of policy `pay`");
    assert_eq!(answer["rule"], json!({"policy": "pay", "number": 1, "path": "/v1/config/${team}/*"}));
    assert_eq!(answer["policies"], json!(["default", "pay"]));
    assert_eq!(answer["variables"], json!([{"variable": "team", "value": "core"}]));
    assert_eq!(answer["tenant"], "has no policies of its own that restrict it");
    let rules: Vec<String> = answer["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| format!("{} {}", rule["number"], rule["because"]))
        .collect();
    assert_eq!(
        rules,
        [
            "1 \"decides\"",
            "0 \"matches, and a more specific rule of its policy decides\"",
            "2 \"differs: `other`, the path has `core`\"",
        ]
    );
    // At a site the value of the site holds.
    let answer =
        ask(json!({"subject": "approle/pay", "operation": "read", "path": "/v1/config/core/a", "site": "north"})).await;
    assert_eq!(
        (answer["decision"].clone(), answer["variables"][0]["value"].clone()),
        (json!("allowed"), json!("edge"))
    );
    // Of oneself, with the permission to.
    let answer = ask(json!({"operation": "delete", "path": "/v1/x"})).await;
    assert_eq!((answer["decision"].clone(), answer["policies"].clone()), (json!("allowed"), json!(["administrator"])));
    let pay = log_in(&tower, &admin, "pay", json!({})).await;
    let refused = tower.post(EXPLAIN, token(&pay), json!({"operation": "read", "path": "/v1/x"})).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn who_may_is_answered_page_by_page() {
    let (tower, admin) = tower().await;
    for n in 0..5 {
        role(&tower, &admin, &format!("r{n}"), json!([{"path": "/v1/config/x", "operations": {"read": "allow"}}]))
            .await;
    }
    role(&tower, &admin, "no", json!([{"path": "/v1/config/x", "operations": {"read": "deny"}}])).await;
    role(&tower, &admin, "own", json!([{"path": "/v1/config/${approle}", "operations": {"read": "allow"}}])).await;
    role(&tower, &admin, "x", json!([{"path": "/v1/config/${approle}", "operations": {"read": "allow"}}])).await;
    role(&tower, &admin, "pod", json!([{"path": "/v1/config/${metadata.pod}", "operations": {"read": "allow"}}])).await;
    let login = json!({"trust-domain": "peer.example", "spiffe-id-patterns": [
        {"pattern": "spiffe://peer.example/**", "token-policies": ["r1"]}, {"pattern": "spiffe://peer.example/x", "token-policies": ["no"]}]});
    tower.call("PUT", "/v1/config/strongbox/authentication/spiffe/peer", Some(&admin), Some(login)).await.ok();
    let mut all = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut body = json!({"operation": "read", "path": "/v1/config/x", "limit": 2});
        if !after.is_null() {
            body["after"] = after;
        }
        let page = tower.post(WHO_MAY, &admin, body).await.ok();
        let who = page["who"].as_array().unwrap();
        assert!(who.len() <= 2);
        all.extend(
            who.iter().map(|who| format!("{} {} {}", who["kind"], who["name"], who["decision"]).replace('"', "")),
        );
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(
        all,
        [
            "policy administrator allowed",
            "policy own depends",
            "policy pod depends",
            "policy r0 allowed",
            "policy r1 allowed",
            "policy r2 allowed",
            "policy r3 allowed",
            "policy r4 allowed",
            "policy x depends",
            "approle pod depends",
            "approle r0 allowed",
            "approle r1 allowed",
            "approle r2 allowed",
            "approle r3 allowed",
            "approle r4 allowed",
            "approle x allowed",
            "spiffe peer for spiffe://peer.example/** allowed",
            "user admin allowed",
        ]
    );
    let refused =
        tower.post(WHO_MAY, &admin, json!({"operation": "read", "path": "/v1/config/x", "after": "role/x"})).await;
    assert_eq!(refused.refused(400), "`after` is the `next` of the answer before");
}
