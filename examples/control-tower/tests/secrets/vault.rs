//! The same for the surface of Vault's clients: what its transit, AppRole, token and wrapping routes hand out is nowhere else.

use super::*;

/// Asks as these clients do; answers what is in `data` or `auth`.
async fn ask(tower: &Tower, token: &str, method: &str, path: &str, body: Option<Value>, wrap: Option<&str>) -> Reply {
    let mut request = tower.request(method, path, None).header("x-vault-token", token);
    if let Some(ttl) = wrap {
        request = request.header("x-vault-wrap-ttl", ttl);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    process::send(request).await
}

/// Does all that these clients can do with secrets, well and badly.
pub(super) async fn walk(tower: &Tower, admin: &str, secrets: &mut Secrets, written: &mut Written) {
    let post = |path: &str, body: Value| {
        let path = format!("/v1/{path}");
        async move { ask(tower, admin, "POST", &path, Some(body), None).await }
    };
    let wrapped = |method: &'static str, path: &str, body: Option<Value>| {
        let path = format!("/v1/{path}");
        async move { ask(tower, admin, method, &path, body, Some("60s")).await.ok()["wrap_info"].clone() }
    };
    // Keys and what they make.
    post("transit/keys/open", json!({"exportable": true, "allow_plaintext_backup": true})).await.ok();
    post("transit/keys/pair", json!({"type": "ecdsa-p256", "exportable": true})).await.ok();
    for (kind, name) in [("encryption-key", "open"), ("hmac-key", "open"), ("signing-key", "pair")] {
        let path = format!("/v1/transit/export/{kind}/{name}");
        let exported = ask(tower, admin, "GET", &path, None, None).await.ok();
        let key = exported["data"]["keys"]["1"].as_str().unwrap();
        for line in key.lines().filter(|line| !line.starts_with('-') && line.len() > 16) {
            secrets.add(&format!("an exported {kind}"), line);
        }
        if let Ok(raw) = STANDARD.decode(key) {
            secrets.add(&format!("an exported {kind}, decoded"), raw);
        }
    }
    let plaintext = "what clients of vault encrypt, and nobody else reads";
    secrets.add("plaintext of a client of Vault", plaintext);
    let plain = json!({"plaintext": STANDARD.encode(plaintext), "associated_data": "YQ=="});
    let sealed = post("transit/encrypt/open", plain.clone()).await.ok()["data"]["ciphertext"].clone();
    let opened = post("transit/decrypt/open", json!({"ciphertext": sealed, "associated_data": "YQ=="})).await.ok();
    assert_eq!(opened["data"]["plaintext"], STANDARD.encode(plaintext));
    let batch = json!({"batch_input": [plain, {"plaintext": "!"}]});
    written.add("answers 400", &post("transit/encrypt/open", batch).await.bytes);
    let input = json!({"input": STANDARD.encode(plaintext)});
    for path in ["transit/sign/pair", "transit/hmac/open"] {
        post(path, input.clone()).await.ok();
    }
    let data_key = post("transit/datakey/plaintext/open", json!({})).await.ok()["data"].clone();
    let data_key = secrets.take(&data_key, "plaintext");
    secrets.add("a data key, decoded", STANDARD.decode(data_key).unwrap());
    let random = post("transit/random/32", json!({})).await.ok()["data"].clone();
    secrets.take(&random, "random_bytes");

    // A role, its secret-ids, and answers that wait.
    post("auth/approle/role/vault", json!({"token_ttl": "30m", "role_id": "the-role-of-clients-of-vault"})).await;
    let role = "auth/approle/role/vault";
    let made = post(&format!("{role}/secret-id"), json!({"metadata": "{\"tag\": \"x\"}"})).await.ok()["data"].clone();
    let secret_id = secrets.take(&made, "secret_id");
    post(&format!("{role}/secret-id/lookup"), json!({"secret_id": secret_id})).await.ok();
    let supplied = "a-secret-that-a-client-of-vault-chose";
    secrets.add("a supplied secret-id", supplied);
    post(&format!("{role}/custom-secret-id"), json!({"secret_id": supplied})).await.ok();
    let info = wrapped("POST", &format!("{role}/secret-id"), Some(json!({}))).await;
    let old = secrets.take(&info, "token");
    let info = post("sys/wrapping/rewrap", json!({"token": old})).await.ok()["wrap_info"].clone();
    let new = secrets.take(&info, "token");
    post("sys/wrapping/lookup", json!({"token": new})).await.ok();
    secrets.take(&post("sys/wrapping/unwrap", json!({"token": new})).await.ok()["data"], "secret_id");
    for token in [&old, &new] {
        written.add("answers 400", &post("sys/wrapping/unwrap", json!({"token": token})).await.bytes);
    }
    // One that nobody ever takes.
    secrets.take(&wrapped("GET", &format!("{role}/role-id"), None).await, "token");
    let sent = json!({"password": "what-somebody-hands-over"});
    secrets.add("what is handed over", "what-somebody-hands-over");
    secrets.take(&wrapped("POST", "sys/wrapping/wrap", Some(sent)).await, "token");

    // Logins and tokens.
    let login = json!({"role_id": "the-role-of-clients-of-vault", "secret_id": secret_id});
    let login = post("auth/approle/login", login).await.ok()["auth"].clone();
    let workload = secrets.take(&login, "client_token");
    for path in ["auth/token/lookup", "auth/token/renew"] {
        post(path, json!({"token": workload})).await.ok();
    }
    let chosen = "a-token-that-an-administrator-chose";
    secrets.add("a chosen token", chosen);
    let body = json!({"id": chosen, "policies": ["default"], "meta": {"for": "tests"}, "ttl": "10m"});
    post("auth/token/create", body.clone()).await.ok();
    written.add("answers 400", &post("auth/token/create", body).await.bytes);
    ask(tower, chosen, "GET", "/v1/auth/token/lookup-self", None, None).await.ok();
    let batch = post("auth/token/create", json!({"type": "batch", "policies": ["default"], "ttl": "10m"})).await.ok();
    let batch = secrets.take(&batch["auth"], "client_token");
    ask(tower, &batch, "GET", "/v1/auth/token/lookup-self", None, None).await.ok();

    // Secrets in the wrong places.
    let mut wrong = |name: &str| -> String {
        let text = format!("wrong-{name}-8d2e1f");
        secrets.add(&text.clone(), &text);
        text
    };
    for (path, body) in [
        ("auth/approle/login", json!({"role_id": wrong("secret-as-role-id"), "secret_id": wrong("vault-secret-id")})),
        ("auth/approle/login", json!({"role_id": [wrong("listed-role-id")]})),
        ("auth/approle/role/vault/secret-id/lookup", json!({"secret_id": [wrong("listed-secret")]})),
        ("auth/approle/role/vault/secret-id/destroy", json!({"secret_id": wrong("no-secret-id")})),
        ("auth/approle/role/vault/custom-secret-id", json!({"secret_id": "0short0", "metadata": wrong("metadata")})),
        ("auth/approle/role/vault/role-id", json!({"role_id": format!("{} ", wrong("role-id-with-a-space"))})),
        ("auth/token/lookup", json!({"token": wrong("vault-token")})),
        ("auth/token/lookup-accessor", json!({"accessor": wrong("token-as-accessor")})),
        ("auth/token/renew", json!({"token": wrong("token-to-renew")})),
        ("auth/token/create", json!({"id": format!("{}.{}", wrong("id"), wrong("with-a-dot"))})),
        ("auth/token/create", json!({"id": [wrong("listed-id")]})),
        ("sys/wrapping/unwrap", json!({"token": wrong("wrapping-token")})),
        ("sys/wrapping/rewrap", json!({"token": wrong("token-to-rewrap")})),
        ("sys/wrapping/lookup", json!({"token": [wrong("listed-wrapping-token")]})),
        ("transit/encrypt/open", json!({"plaintext": wrong("plaintext!")})),
        ("transit/decrypt/open", json!({"ciphertext": wrong("no-ciphertext")})),
        ("transit/sign/pair", json!({"input": wrong("input!")})),
        ("transit/keys/open/import", json!({"ciphertext": wrong("key-in-clear")})),
    ] {
        let reply = post(path, body).await;
        assert!(reply.status.is_client_error() || reply.status == 204, "{path}: {}", reply.text());
        written.add(format!("answers {}", reply.status), &reply.bytes);
        written.add("headers of answers", format!("{:?}", reply.headers));
    }
    for token in [wrong("header"), format!("{workload}x"), batch.replacen("kwb.", "kwb.A", 1)] {
        let reply = ask(tower, &token, "GET", "/v1/auth/token/lookup-self", None, None).await;
        assert_eq!(reply.status, 403);
        written.add("answers 403", &reply.bytes);
    }
    let reply = ask(tower, admin, "POST", "/v1/sys/wrapping/wrap", Some(json!({})), Some(&wrong("ttl"))).await;
    assert_eq!(reply.status, 400);
    written.add("answers 400", &reply.bytes);
    post("auth/token/revoke", json!({"token": workload})).await;
    post("auth/approle/role/vault/secret-id/destroy", json!({"secret_id": supplied})).await;
}
