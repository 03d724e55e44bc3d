//! The surface for clients of Vault: who may, in which shape it answers, and that it does what the other routes do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{body::Body, http::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use control_tower::router::{Access, Route, routes};
use serde_json::{Value, json};
use support::{Reply, Tower};

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    (tower, admin)
}

async fn send(tower: &Tower, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // As hvac does it: without a content type.
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    tower.send(request.body(body).unwrap()).await
}

async fn call(tower: &Tower, token: &str, method: &str, path: &str, body: Value) -> Reply {
    send(tower, method, path, &[("x-vault-token", token)], &body).await
}

/// A token with these rules and nothing else.
async fn restricted(tower: &Tower, admin: &str, name: &str, rules: Value) -> String {
    let policy = json!({"name": name, "rest-api": {"rules": rules}});
    tower.post("/v1/config/strongbox/policies", admin, policy).await.ok();
    let role = json!({"name": name, "token-policies": [name], "token-no-default-policy": true});
    tower.post("/v1/config/strongbox/authentication/approles", admin, role).await.ok();
    let (role_id, secret_id) = tower.secret(admin, name, json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned()
}

/// The routes that want a token.
fn closed() -> Vec<Route> {
    let prefixes = ["/v1/sys/", "/v1/transit/", "/v1/auth/"];
    let is_ours = |route: &Route| prefixes.iter().any(|prefix| route.path.starts_with(prefix));
    routes().into_iter().filter(|route| route.access != Access::Public && is_ours(route)).collect()
}

fn example(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "mine" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_a_policy() {
    let (tower, admin) = tower().await;
    let (other, _) = self::tower().await;
    let foreign = other.administrator().await;
    let nobody = restricted(&tower, &admin, "nobody", json!([])).await;
    let before = tower.app.db.store().revision();
    assert!(closed().len() >= 6);
    for route in closed() {
        let path = example(route.path);
        for method in [route.method, if route.method == "POST" { "PUT" } else { "LIST" }] {
            for headers in [&[][..], &[("x-vault-token", foreign.as_str())], &[("x-vault-token", "x")]] {
                let answer = send(&tower, method, &path, headers, &json!({})).await;
                assert_eq!(answer.refused(403), "permission denied", "{method} {path}");
                assert_eq!(answer.json(), json!({"errors": ["permission denied"]}));
            }
            let denied = call(&tower, &nobody, method, &path, json!({})).await.refused(403);
            assert!(denied.starts_with("permission denied: "), "{method} {path}: {denied}");
        }
    }
    assert_eq!(tower.app.db.store().revision(), before);
}

#[tokio::test]
async fn a_token_is_of_no_use_in_another_namespace_and_whether_there_is_one_is_not_told() {
    let (tower, admin) = tower().await;
    let id = tower.tenant();
    for namespace in ["", "default", "default/", "/default", &id] {
        let headers = [("x-vault-token", admin.as_str()), ("x-vault-namespace", namespace)];
        send(&tower, "GET", "/v1/sys/mounts", &headers, &Value::Null).await.ok();
    }
    for namespace in ["other", "Default", "root", "default/x", "*", "../default"] {
        let headers = [("x-vault-token", admin.as_str()), ("x-vault-namespace", namespace)];
        let answer = send(&tower, "GET", "/v1/sys/mounts", &headers, &Value::Null).await.refused(403);
        assert_eq!(answer, "permission denied: the token is not of that namespace", "{namespace}");
        // The other routes heed it too.
        send(&tower, "GET", "/v1/state/strongbox/token", &headers, &Value::Null).await.refused(403);
    }
}

#[tokio::test]
async fn a_client_finds_what_it_looks_at_first() {
    let (tower, admin) = tower().await;
    for path in ["health", "seal-status"] {
        let answer = send(&tower, "GET", &format!("/v1/sys/{path}"), &[], &Value::Null).await.ok();
        assert_eq!((&answer["initialized"], &answer["sealed"]), (&json!(true), &json!(false)));
        assert_eq!(send(&tower, "HEAD", &format!("/v1/sys/{path}"), &[], &Value::Null).await.status, 200);
    }
    let mounts = call(&tower, &admin, "GET", "/v1/sys/mounts", Value::Null).await.ok();
    assert_eq!((&mounts["transit/"]["type"], &mounts["data"]["transit/"]), (&json!("transit"), &mounts["transit/"]));
    let logins = call(&tower, &admin, "GET", "/v1/sys/auth", Value::Null).await.ok();
    assert_eq!(
        (&logins["data"]["approle/"]["type"], &logins["data"]["token/"]["type"]),
        (&json!("approle"), &json!("token"))
    );
    for (path, one) in [("mounts/transit", &mounts["transit/"]), ("auth/approle/", &logins["approle/"])] {
        let found = call(&tower, &admin, "GET", &format!("/v1/sys/{path}"), Value::Null).await.ok();
        assert_eq!((&found["type"], &found["data"]), (&one["type"], one), "{path}");
    }
    let none = call(&tower, &admin, "GET", "/v1/sys/auth/transit", Value::Null).await.refused(400);
    assert_eq!(none, "nothing is enabled at that path: there are `approle/`, `token/`");
    for path in ["/v1/sys/mounts/transit", "/v1/sys/mounts/transit/"] {
        let again = call(&tower, &admin, "POST", path, json!({"type": "transit"})).await;
        assert_eq!(again.refused(400), "path is already in use at transit/");
    }
    let again = call(&tower, &admin, "PUT", "/v1/sys/auth/approle", json!({"type": "approle"})).await;
    assert_eq!(again.refused(400), "path is already in use at approle/");
    let other = call(&tower, &admin, "POST", "/v1/sys/mounts/kv", json!({"type": "kv"})).await.refused(400);
    assert_eq!(other, "`kv` cannot be enabled at another path: there are `sys/`, `transit/`");

    let policy =
        json!({"name": "p", "rest-api": {"rules": [{"path": "/v1/transit/**", "operations": {"execute": "allow"}}]}});
    tower.post("/v1/config/strongbox/policies", &admin, policy.clone()).await.ok();
    let list = call(&tower, &admin, "LIST", "/v1/sys/policies/acl", Value::Null).await.ok();
    assert_eq!(list["data"], json!({"keys": ["administrator", "default", "p"]}));
    let in_query = call(&tower, &admin, "GET", "/v1/sys/policies/acl?list=true", Value::Null).await.ok();
    assert_eq!(in_query["data"], list["data"]);
    let read = call(&tower, &admin, "GET", "/v1/sys/policies/acl/p", Value::Null).await.ok();
    assert_eq!(read["data"]["name"], "p");
    assert_eq!(serde_json::from_str::<Value>(read["data"]["policy"].as_str().unwrap()).unwrap()["name"], "p");

    let rule = r#"path "transit/random" { capabilities = ["update"] }"#;
    let write = async |text: &str| {
        call(&tower, &admin, "POST", "/v1/sys/policies/acl/coded", json!({"policy": STANDARD.encode(text)})).await
    };
    assert_eq!(write(rule).await.status, 204);
    let read = call(&tower, &admin, "GET", "/v1/sys/policies/acl/coded", Value::Null).await.ok();
    assert_eq!(read["data"]["policy"], rule);
    assert!(write("path {").await.refused(400).starts_with("failed to parse policy"));
    // By itself this would be a comment, and so a policy of nothing.
    let body = json!({"policy": "//79"});
    let refused = call(&tower, &admin, "POST", "/v1/sys/policies/acl/coded", body).await.refused(400);
    assert_eq!(refused, "`policy` is base64, but not of a text in UTF-8");
}

#[tokio::test]
async fn what_a_token_is_can_be_asked_with_it_alone() {
    let (tower, admin) = tower().await;
    let own = call(&tower, &admin, "GET", "/v1/auth/token/lookup-self", Value::Null).await.ok()["data"].clone();
    for (method, body) in [("GET", Value::Null), ("POST", Value::Null), ("POST", json!({"token": ""}))] {
        let found = call(&tower, &admin, method, "/v1/auth/token/lookup", body).await.ok();
        assert_eq!((&found["data"]["id"], &found["data"]), (&json!(admin), &own));
    }
    let headers = [("x-vault-token", admin.as_str()), ("x-vault-wrap-ttl", "60")];
    let wrapped = send(&tower, "POST", "/v1/sys/wrapping/wrap", &headers, &json!({"a": "b"})).await.ok();
    let token = wrapped["wrap_info"]["token"].as_str().unwrap();
    let found = call(&tower, token, "GET", "/v1/sys/wrapping/lookup", Value::Null).await.ok();
    assert_eq!(found["data"]["creation_path"], "sys/wrapping/wrap");
    for bearer in [admin.as_str(), "none"] {
        let none = call(&tower, bearer, "GET", "/v1/sys/wrapping/lookup", Value::Null).await;
        assert_eq!(none.refused(400), "wrapping token is not valid or does not exist");
    }
    // Nobody is told of another token than the one that was meant.
    for path in ["auth/token/lookup", "auth/token/lookup-self", "sys/wrapping/lookup"] {
        for name in ["token", "to%6ben"] {
            let refused = call(&tower, &admin, "GET", &format!("/v1/{path}?{name}={token}"), Value::Null).await;
            let text = refused.refused(400);
            assert_eq!(text, "no token stands in an address: name it in the body of a `POST`");
        }
    }
    // It waits all the same.
    assert_eq!(
        call(&tower, token, "POST", "/v1/sys/wrapping/unwrap", Value::Null).await.ok()["data"],
        json!({"a": "b"})
    );
}

/// As `curl -d` sends them.
#[tokio::test]
async fn bodies_may_be_forms() {
    let (tower, admin) = tower().await;
    let send = async |path: &str, kind: &str, body: &str| {
        let request = Request::post(path).header("x-vault-token", &admin).header("content-type", kind);
        tower.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let form = "application/x-www-form-urlencoded";
    let made = send("/v1/transit/keys/orders", form, "type=ed25519&exportable=true").await.ok();
    assert_eq!((&made["data"]["type"], &made["data"]["exportable"]), (&json!("ed25519"), &json!(true)));
    let signed =
        send("/v1/transit/sign/orders", "Application/X-WWW-Form-URLencoded; charset=utf-8", "input=aGk%3D").await;
    assert!(signed.ok()["data"]["signature"].as_str().unwrap().starts_with("vault:v1:"));
    send("/v1/transit/sign/orders", form, r#"{"input": "aGk="}"#).await.ok();
    // What may be a secret is shown to nobody, and elsewhere a form is none.
    for (path, kind, body) in [
        ("/v1/transit/sign/orders", form, "hunter2"),
        ("/v1/transit/sign/orders", "application/json", "input=aGk%3D"),
        ("/v1/state/strongbox/transit-keys/orders/sign", form, "input=aGk%3D"),
    ] {
        let refused = send(path, kind, body).await.refused(400);
        assert!(
            refused.starts_with("the JSON body is refused: expected value") && !refused.contains("hunter2"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn refusals_have_their_shape() {
    let (tower, admin) = tower().await;
    let errors = async |method: &str, path: &str, body: Value| {
        let answer = call(&tower, &admin, method, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    assert_eq!(errors("GET", "/v1/sys/policies/acl/none", Value::Null).await, (404, json!({"errors": []})));
    for (method, path, status) in [
        ("GET", "/v1/sys/policies/acl", 405),
        ("DELETE", "/v1/sys/mounts", 405),
        ("LIST", "/v1/sys/nothing", 404),
        ("GET", "/v1/transit/nothing", 404),
    ] {
        let (found, json) = errors(method, path, Value::Null).await;
        assert_eq!(found, status, "{method} {path}");
        assert!(json["errors"][0].is_string(), "{json}");
    }
    let (status, json) = errors("POST", "/v1/sys/mounts/transit", json!({"kind": 1})).await;
    assert!(status == 400 && json["errors"][0].as_str().unwrap().contains("`type`"), "{json}");
    // Elsewhere nothing changed: `PUT` is not `POST`, and there is no `LIST`.
    assert_eq!(call(&tower, &admin, "LIST", "/v1/config/strongbox/policies", Value::Null).await.status, 405);
    assert_eq!(call(&tower, &admin, "PUT", "/v1/state/strongbox/token/refresh", Value::Null).await.status, 405);
}

#[tokio::test]
async fn a_key_lives_and_works_by_the_names_of_vault() {
    let (tower, admin) = tower().await;
    let ask = async |method: &str, path: &str, body: Value| {
        call(&tower, &admin, method, &format!("/v1/transit/{path}"), body).await
    };
    assert_eq!(ask("LIST", "keys", Value::Null).await.json(), json!({"errors": []}));
    let made =
        ask("POST", "keys/orders", json!({"type": "aes256-gcm96", "exportable": true, "auto_rotate_period": "0"}))
            .await
            .ok();
    assert_eq!((&made["data"]["latest_version"], &made["data"]["type"]), (&json!(1), &json!("aes256-gcm96")));
    assert_eq!((&made["lease_id"], &made["auth"], made["request_id"].is_string()), (&json!(""), &Value::Null, true));
    assert_eq!(ask("PUT", "keys/orders", json!({})).await.ok()["data"], made["data"], "it is there already");
    assert_eq!(ask("LIST", "keys", Value::Null).await.ok()["data"], json!({"keys": ["orders"]}));
    // It is the same key by the other names.
    let document = tower.get("/v1/config/strongbox/transit-keys/orders", &admin).await.ok();
    assert_eq!((&document["cipher"], &document["exportable"]), (&json!("aes256-gcm96"), &json!(true)));
    let sealed = ask("PUT", "encrypt/orders", json!({"plaintext": "aGk=", "associated_data": "YQ=="})).await.ok();
    assert_eq!(sealed["data"]["key_version"], 1);
    let native = json!({"ciphertext": sealed["data"]["ciphertext"], "associated-data": "YQ=="});
    let opened = tower.post("/v1/state/strongbox/transit-keys/orders/decrypt", &admin, native).await.ok();
    assert_eq!(opened["plaintext"], "aGk=");

    let rotated = ask("POST", "keys/orders/rotate", Value::Null).await.ok();
    assert_eq!(rotated["data"]["latest_version"], 2);
    let both = json!({"batch_input": [{"ciphertext": sealed["data"]["ciphertext"], "associated_data": "YQ=="}, {"ciphertext": "x", "reference": "r"}]});
    let answer = ask("POST", "rewrap/orders", both.clone()).await;
    assert_eq!(answer.status, 200);
    let results = &answer.json()["data"]["batch_results"];
    assert_eq!((&results[0]["key_version"], &results[0]["reference"]), (&json!(2), &json!("")));
    assert_eq!(results[1], json!({"error": "decryption failed", "reference": "r"}));
    let mut lenient = both;
    for (wanted, status) in [(0, 400), (200, 200), (202, 202), (409, 409), (599, 599)] {
        lenient["partial_failure_response_code"] = wanted.into();
        assert_eq!(ask("POST", "decrypt/orders", lenient.clone()).await.status, status);
    }
    // Of a batch of which nothing was done it is not.
    let none = json!({"batch_input": [{"ciphertext": "x"}], "partial_failure_response_code": 202});
    assert_eq!(ask("POST", "decrypt/orders", none).await.status, 400);
    // What would not be the status of an answer, or of one without a body.
    for wanted in [1, 100, 101, 103, 199, 204, 205, 304, 600, 999, 1000, 65_535] {
        lenient["partial_failure_response_code"] = wanted.into();
        let refused = ask("POST", "decrypt/orders", lenient.clone()).await.refused(400);
        assert!(
            refused.contains("`partial_failure_response_code` is no status from 200 to 599"),
            "{wanted}: {refused}"
        );
    }
    // Lines may be wrapped, as by MIME; here they are not.
    let wrapped = json!({"plaintext": "aGVs\r\nbG8=\n", "associated_data": "Y\nQ=="});
    let sealed_lines = ask("POST", "encrypt/orders", wrapped.clone()).await.ok()["data"]["ciphertext"].clone();
    let opened = json!({"ciphertext": sealed_lines, "associated_data": "YQ=="});
    assert_eq!(ask("POST", "decrypt/orders", opened).await.ok()["data"]["plaintext"], "aGVsbG8=");
    let own = json!({"plaintext": "aGVs\nbG8="});
    let own = tower.post("/v1/state/strongbox/transit-keys/orders/encrypt", &admin, own).await;
    assert!(own.refused(400).contains("is not base64"));
    for no_base64 in ["aGVs bG8=", "aGVs\nbG8", "\n!"] {
        let refused = ask("POST", "encrypt/orders", json!({"plaintext": no_base64})).await.refused(400);
        assert!(refused.contains("`plaintext` is not base64"), "{refused}");
    }

    // Old versions: shut out, then destroyed.
    let config = json!({"min_decryption_version": 2, "min_encryption_version": "2", "deletion_allowed": true});
    let configured = ask("POST", "keys/orders/config", config).await.ok()["data"].clone();
    assert_eq!((&configured["min_decryption_version"], &configured["min_encryption_version"]), (&json!(2), &json!(2)));
    assert_eq!((configured["keys"].as_object().unwrap().len(), &configured["deletion_allowed"]), (1, &json!(true)));
    let old = json!({"ciphertext": sealed["data"]["ciphertext"], "associated_data": "YQ=="});
    assert_eq!(ask("POST", "decrypt/orders", old).await.refused(400), "decryption failed");
    for (bad, problem) in [
        (json!({"min_decryption_version": 3}), "`min-decryption-version` is 3"),
        (json!({"min_decryption_version": "x"}), "field `min_decryption_version`: text where"),
        (json!({"exportable": false, "min_decryption_version": 1, "min_encryption_version": 1}), "`exportable`"),
        (json!({"auto_rotate_period": "24h"}), "`auto_rotate_period` is not taken"),
    ] {
        assert!(ask("POST", "keys/orders/config", bad).await.refused(400).contains(problem), "{problem}");
    }
    assert!(
        ask("POST", "keys/orders/trim", json!({"min_available_version": 3})).await.refused(400).contains("from 1 to")
    );
    assert_eq!(
        ask("POST", "keys/orders/trim", json!({"min_available_version": 2})).await.ok()["data"]["min_available_version"],
        2
    );
    let exported = ask("GET", "export/encryption-key/orders", Value::Null).await.ok();
    assert_eq!(exported["data"]["keys"].as_object().unwrap().keys().collect::<Vec<_>>(), ["2"]);
    assert_eq!(ask("GET", "export/encryption-key/orders/latest", Value::Null).await.ok()["data"], exported["data"]);
    let secret = exported["data"]["keys"]["2"].as_str().unwrap();
    let audit = tower.audit(&admin).await;
    for event in ["key-lowest-versions", "key-trim", "key-export"] {
        assert!(audit.iter().any(|record| record["event"] == event), "{event}");
    }
    assert!(!json!(audit).to_string().contains(secret));
    assert_eq!(ask("DELETE", "keys/orders", Value::Null).await.status, 204);
    assert_eq!(ask("GET", "keys/orders", Value::Null).await.json(), json!({"errors": []}));
    assert_eq!(
        ask("POST", "encrypt/orders", json!({"plaintext": "aGk="})).await.refused(400),
        "encryption key not found"
    );
}

#[tokio::test]
async fn what_a_key_is_not_is_said() {
    let (tower, admin) = tower().await;
    let ask = async |method: &str, path: &str, body: Value| {
        call(&tower, &admin, method, &format!("/v1/transit/{path}"), body).await
    };
    let elsewhere = ask("POST", "keys/orders", json!({"external_key_ref": "hsm/one"})).await.refused(400);
    assert_eq!(elsewhere, "`external_key_ref` is not taken: keys are kept here alone; bring one by `import`");
    get_missing(&tower, &admin, "/v1/transit/keys/orders").await;
    ask("POST", "keys/orders", json!({"external_key_ref": null, "type": "ed25519", "derived": true})).await.ok();
    let public = ask("GET", "export/public-key/orders", Value::Null).await.refused(400);
    assert_eq!(
        public,
        "a ring with `derived: true` cannot export one public key: each context has its own; \
         `GET /v1/transit/keys/orders?context=` with base64 has that of a context"
    );
    let twice = json!({"input": "aGk=", "context": "YQ==", "algorithm": "sha2-256", "hash_algorithm": "sha2-512"});
    let twice = ask("POST", "sign/orders", twice).await.refused(400);
    assert_eq!(twice, "the JSON body is refused: field `hash-algorithm`: there by two of its names; remove one");
}

#[tokio::test]
async fn signatures_hashes_and_the_rest_by_the_names_of_vault() {
    let (tower, admin) = tower().await;
    let ask = async |path: &str, body: Value| call(&tower, &admin, "POST", &format!("/v1/transit/{path}"), body).await;
    ask("keys/ec", json!({"type": "ecdsa-p256"})).await.ok();
    let signed = ask("sign/ec/sha2-512", json!({"input": "aGk=", "marshaling_algorithm": "jws"})).await.ok();
    let body =
        |input: &str| json!({"input": input, "signature": signed["data"]["signature"], "marshaling_algorithm": "jws"});
    assert_eq!(ask("verify/ec/sha2-512", body("aGk=")).await.ok()["data"], json!({"valid": true}));
    assert_eq!(ask("verify/ec/sha2-512", body("aGo=")).await.ok()["data"], json!({"valid": false}));
    assert_eq!(ask("verify/ec", body("aGk=")).await.ok()["data"], json!({"valid": false}));
    let mac = ask("hmac/ec", json!({"input": "aGk=", "algorithm": "sha2-384"})).await.ok();
    let body = json!({"input": "aGk=", "hmac": mac["data"]["hmac"], "hash_algorithm": "sha2-384"});
    assert_eq!(ask("verify/ec", body).await.ok()["data"]["valid"], true);
    assert_eq!(
        ask("hash", json!({"input": "aGk="})).await.ok()["data"]["sum"],
        "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
    );
    assert_eq!(
        ask("hash/sha2-256", json!({"input": "aGk=", "format": "base64"})).await.ok()["data"]["sum"],
        "j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ="
    );
    assert_eq!(
        ask("random", json!({"bytes": 8, "format": "hex"})).await.ok()["data"]["random_bytes"].as_str().unwrap().len(),
        16
    );
    assert_eq!(ask("random/16", Value::Null).await.ok()["data"]["random_bytes"].as_str().unwrap().len(), 24);
    assert!(ask("random/0", Value::Null).await.refused(400).contains("from 1 to 131072"));
    ask("keys/data", json!({})).await.ok();
    let plain = ask("datakey/plaintext/data", json!({"bits": 128})).await.ok()["data"].clone();
    assert_eq!(
        ask("decrypt/data", json!({"ciphertext": plain["ciphertext"]})).await.ok()["data"]["plaintext"],
        plain["plaintext"]
    );
    assert!(ask("datakey/wrapped/data", Value::Null).await.ok()["data"]["plaintext"].is_null());
    ask("datakey/other/data", json!({})).await.refused(400);
    let kept = call(&tower, &admin, "GET", "/v1/transit/export/signing-key/ec", Value::Null).await.refused(400);
    assert!(kept.contains("`exportable` of the ring is false"), "{kept}");
    let public = call(&tower, &admin, "GET", "/v1/transit/export/public-key/ec", Value::Null).await.ok();
    assert!(public["data"]["keys"]["1"].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
    let written = async |format: &str| {
        let path = format!("/v1/transit/export/public-key/ec/latest?format={format}");
        call(&tower, &admin, "GET", &path, Value::Null).await
    };
    assert_eq!(written("").await.ok()["data"], public["data"]);
    let lines = public["data"]["keys"]["1"].as_str().unwrap().lines();
    let document: String = lines.filter(|line| !line.starts_with('-')).collect();
    assert_eq!(written("der").await.ok()["data"]["keys"]["1"], document);
    for (format, told) in [("raw", "`raw` is no format of such a key"), ("jwk", "`jwk` is no format, only")] {
        let refused = written(format).await.refused(400);
        assert!(refused.starts_with(told), "{refused}");
    }
}

#[tokio::test]
async fn policies_decide_on_the_path_that_is_asked_for() {
    let (tower, admin) = tower().await;
    let rules = json!([
        {"path": "/v1/transit/encrypt/mine", "operations": {"execute": "allow"}},
        {"path": "/v1/transit/keys/mine", "operations": {"execute": "allow", "read": "allow"}},
    ]);
    let some = restricted(&tower, &admin, "some", rules).await;
    // Making a key by this path needs nothing of the configuration's.
    call(&tower, &some, "POST", "/v1/transit/keys/mine", json!({})).await.ok();
    call(&tower, &some, "PUT", "/v1/transit/encrypt/mine", json!({"plaintext": "aGk="})).await.ok();
    for (method, path) in [
        ("POST", "/v1/transit/decrypt/mine"),
        ("POST", "/v1/transit/encrypt/other"),
        ("DELETE", "/v1/transit/keys/mine"),
        ("LIST", "/v1/transit/keys"),
        ("POST", "/v1/transit/keys/mine/config"),
        ("POST", "/v1/state/strongbox/transit-keys/mine/encrypt"),
        ("PUT", "/v1/config/strongbox/transit-keys/mine"),
        ("POST", "/v1/transit/encrypt/%6dine/../other"),
    ] {
        let answer = call(&tower, &some, method, path, json!({"plaintext": "aGk="})).await;
        assert!([403, 404].contains(&answer.status.as_u16()), "{method} {path}: {answer:?}");
    }
}

/// As `bao write` sends them: every value is text.
#[tokio::test]
async fn numbers_and_truth_values_may_be_text() {
    let (tower, admin) = tower().await;
    let post = async |path: &str, body: Value| call(&tower, &admin, "PUT", path, body).await;
    let get = async |path: &str| call(&tower, &admin, "GET", path, Value::Null).await.ok();
    let made = post("/v1/transit/keys/c2", json!({"exportable": "true", "derived": "0"})).await.ok();
    assert_eq!((&made["data"]["exportable"], &made["data"]["derived"]), (&json!(true), &json!(false)));
    let refused = post("/v1/transit/keys/c3", json!({"exportable": "hunter2"})).await.refused(400);
    assert!(
        refused.contains("field `exportable`: text where `true` or `false` belongs") && !refused.contains("hunter2"),
        "{refused}"
    );
    get_missing(&tower, &admin, "/v1/transit/keys/c3").await;
    let config = json!({"deletion_allowed": "1", "min_decryption_version": "1"});
    let config = post("/v1/transit/keys/c2/config", config).await.ok();
    assert_eq!(config["data"]["deletion_allowed"], json!(true));
    let encrypted = post("/v1/transit/encrypt/c2", json!({"plaintext": "aGk=", "key_version": "1"})).await.ok();
    assert!(encrypted["data"]["ciphertext"].as_str().unwrap().starts_with("vault:v1:"));
    let batch = json!({"batch_input": [{"plaintext": "aGk=", "key_version": "2"}]});
    assert_eq!(post("/v1/transit/encrypt/c2", batch).await.status, 400);

    let role = json!({
        "bind_secret_id": "true", "secret_id_num_uses": "5", "token_num_uses": "7", "token_no_default_policy": "1",
        "token_policies": "reader, writer", "token_bound_cidrs": "10.0.0.0/8,192.0.2.0/24", "token_ttl": "60",
    });
    for name in ["reader", "writer"] {
        let policy = json!({"policy": r#"path "transit/keys/c2" { capabilities = ["read"] }"#});
        assert_eq!(post(&format!("/v1/sys/policies/acl/{name}"), policy).await.status, 204);
    }
    assert_eq!(post("/v1/auth/approle/role/ci", role).await.status, 204);
    let role = &get("/v1/auth/approle/role/ci").await["data"];
    assert_eq!((&role["secret_id_num_uses"], &role["token_num_uses"]), (&json!(5), &json!(7)));
    assert_eq!(role["token_no_default_policy"], json!(true));
    assert_eq!(role["token_policies"], json!(["reader", "writer"]));
    assert_eq!(role["token_bound_cidrs"], json!(["10.0.0.0/8", "192.0.2.0/24"]));
    assert_eq!(post("/v1/auth/approle/role/ci/token-num-uses", json!({"token_num_uses": "9"})).await.status, 204);
    assert_eq!(get("/v1/auth/approle/role/ci").await["data"]["token_num_uses"], json!(9));
    let secret = post("/v1/auth/approle/role/ci/secret-id", json!({"num_uses": "3", "ttl": "60"})).await.ok();
    assert_eq!(secret["data"]["secret_id_num_uses"], json!(3));
    let token = json!({"renewable": "false", "num_uses": "2", "no_default_policy": "true", "policies": "reader"});
    let token = post("/v1/auth/token/create", token).await.ok();
    assert_eq!((&token["auth"]["renewable"], &token["auth"]["num_uses"]), (&json!(false), &json!(2)));

    // The other routes take what their documentation says.
    let key = json!({"name": "native", "exportable": "true"});
    tower.post("/v1/config/strongbox/transit-keys", &admin, key).await.refused(400);
}

async fn get_missing(tower: &Tower, token: &str, path: &str) {
    assert_eq!(call(tower, token, "GET", path, Value::Null).await.status, 404, "{path}");
}

/// What `bao status`, `bao operator rotate` and `bao operator key-status` ask for.
#[tokio::test]
async fn operators_have_their_paths() {
    let (tower, admin) = tower().await;
    let leader = call(&tower, "", "GET", "/v1/sys/leader", Value::Null).await.ok();
    assert_eq!((&leader["ha_enabled"], &leader["is_self"]), (&json!(false), &json!(false)));
    let term =
        async || call(&tower, &admin, "GET", "/v1/sys/key-status", Value::Null).await.ok()["data"]["term"].clone();
    assert_eq!(term().await, json!(1));
    let rotate = "/v1/sys/rotate/keyring";
    assert_eq!(call(&tower, &admin, "PUT", rotate, Value::Null).await.status, 204);
    assert_eq!(term().await, json!(2));

    // A policy without `sudo` keeps them from it.
    let everything = json!({"policy": r#"path "*" { capabilities = ["create", "read", "update", "delete", "list"] }"#});
    assert_eq!(call(&tower, &admin, "PUT", "/v1/sys/policies/acl/most", everything).await.status, 204);
    let token = json!({"policies": ["most"], "no_default_policy": true});
    let token = call(&tower, &admin, "PUT", "/v1/auth/token/create", token).await.ok();
    let token = token["auth"]["client_token"].as_str().unwrap();
    call(&tower, token, "PUT", rotate, Value::Null).await.refused(403);
    assert_eq!(call(&tower, token, "GET", "/v1/sys/key-status", Value::Null).await.ok()["term"], json!(2));
}
