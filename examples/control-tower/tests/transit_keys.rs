//! Keys that leave the tower and come to it: backups, wrapped keys, public keys. One commit with one record, or nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_keys::{HashFunction, KeyType, PrivateKey, PublicKey, wrap_key};
use serde_json::{Value, json};
use support::{Reply, Tower, WALK};

const KEYS: &str = "/v1/state/strongbox/transit-keys";

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    (tower, admin)
}

async fn make(tower: &Tower, token: &str, document: Value) {
    tower.post("/v1/config/strongbox/transit-keys", token, document).await.ok();
}

async fn call(tower: &Tower, token: &str, key: &str, what: &str, body: Value) -> Reply {
    tower.post(&format!("{KEYS}/{key}/{what}"), token, body).await
}

async fn vault(tower: &Tower, token: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    tower.call(method, &format!("/v1/transit/{path}"), Some(token), body).await
}

async fn document(tower: &Tower, token: &str, key: &str) -> Reply {
    tower.get(&format!("/v1/config/strongbox/transit-keys/{key}"), token).await
}

fn wrapped(pem: &str, hash: HashFunction, key: &[u8]) -> String {
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let ephemeral = [5; 32];
    let head = PublicKey::from_spki_der(&der).unwrap().encrypt_oaep(hash, &ephemeral).unwrap();
    STANDARD.encode([head, wrap_key(&ephemeral, key).unwrap()].concat())
}

/// A token with these rules and nothing else.
async fn restricted(tower: &Tower, admin: &str, rules: Value) -> String {
    let policy = json!({"name": "some", "rest-api": {"rules": rules}});
    tower.post("/v1/config/strongbox/policies", admin, policy).await.ok();
    let role = json!({"name": "some", "token-policies": ["some"], "token-no-default-policy": true});
    tower.post("/v1/config/strongbox/authentication/approles", admin, role).await.ok();
    let (role_id, secret_id) = tower.secret(admin, "some", json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_restored_key_does_what_it_did() {
    let (tower, admin) = tower().await;
    make(&tower, &admin, json!({"name": "kept", "exportable": true, "allow-plaintext-backup": true})).await;
    make(&tower, &admin, json!({"name": "secret", "derived": true, "deletion-allowed": true})).await;
    call(&tower, &admin, "kept", "rotate", json!({})).await.ok();
    for (key, body, context) in [("kept", json!({"plaintext": true}), None), ("secret", json!({}), Some("YQ=="))] {
        let with = |mut body: Value| {
            context.into_iter().for_each(|context| body["context"] = context.into());
            body
        };
        let sealed = call(&tower, &admin, key, "encrypt", with(json!({"plaintext": "aGk="}))).await.ok();
        let made = call(&tower, &admin, key, "backup", body.clone()).await;
        assert_eq!(made.headers["cache-control"], "no-store");
        let made = made.ok();
        assert_eq!(made["plaintext"], body["plaintext"] == true);
        let restore = json!({"backup": made["backup"]});
        let exists = call(&tower, &admin, key, "restore", restore.clone()).await.refused(409);
        assert!(exists.contains("exists"), "{exists}");
        // Under another name it is the same key with another document.
        let other = format!("{key}-too");
        let view = call(&tower, &admin, &other, "restore", restore).await.ok();
        let state = tower.get(&format!("{KEYS}/{key}"), &admin).await.ok();
        assert_eq!(view["versions"], state["versions"]);
        let config = async |key: &str| -> keyward_transit::RingConfig {
            serde_json::from_value(document(&tower, &admin, key).await.ok()).unwrap()
        };
        let mut same = config(key).await;
        same.name = other.parse().unwrap();
        assert_eq!(config(&other).await, same);
        let opened = call(&tower, &admin, &other, "decrypt", with(sealed)).await.ok();
        assert_eq!(opened["plaintext"], "aGk=");
        let records = tower.audit(&admin).await;
        let restored: Vec<_> = records.iter().filter(|record| record["detail"]["key"] == other.as_str()).collect();
        assert_eq!(restored.len(), 1, "one record, for the document too: {restored:?}");
        assert_eq!((&restored[0]["event"], &restored[0]["outcome"]), (&json!("key-restore"), &json!("success")));
        assert_eq!(restored[0]["detail"]["documents"][0]["effect"], "created");
        let backup = records.iter().find(|record| record["event"] == "key-backup" && record["detail"]["key"] == key);
        assert_eq!(backup.unwrap()["detail"]["plaintext"], body["plaintext"] == true);
        assert!(!json!(records).to_string().contains(made["backup"].as_str().unwrap()));
    }
    let refused = call(&tower, &admin, "secret", "backup", json!({"plaintext": true})).await.refused(422);
    assert!(refused.contains("`exportable` of the ring is false"), "{refused}");
}

#[tokio::test]
async fn only_force_replaces_and_nothing_that_verifiers_need() {
    let (tower, admin) = tower().await;
    make(&tower, &admin, json!({"name": "data"})).await;
    let backup = call(&tower, &admin, "data", "backup", json!({})).await.ok()["backup"].clone();
    call(&tower, &admin, "data", "rotate", json!({})).await.ok();
    let late = call(&tower, &admin, "data", "encrypt", json!({"plaintext": "aGk="})).await.ok();
    for _ in 0..2 {
        let view = call(&tower, &admin, "data", "restore", json!({"backup": backup, "force": true})).await.ok();
        assert_eq!(view["versions"].as_array().unwrap().len(), 1);
        // Then the document is the same, and the key is not.
        call(&tower, &admin, "data", "rotate", json!({})).await.ok();
    }
    call(&tower, &admin, "data", "restore", json!({"backup": backup, "force": true})).await.ok();
    call(&tower, &admin, "data", "decrypt", late).await.refused(422);

    tower.bulk(&admin, WALK).await.ok();
    let backup = call(&tower, &admin, "spiffe-jwt", "backup", json!({})).await.ok()["backup"].clone();
    let before = tower.app.db.store().revision();
    let needed = call(&tower, &admin, "spiffe-jwt", "restore", json!({"backup": backup, "force": true})).await;
    assert!(needed.refused(409).contains("verifiers still need"), "{needed:?}");
    for (backup, force, status) in [
        (json!("?"), false, 400),
        (json!(""), false, 400),
        (json!("AQAAAAE="), false, 422),
        (json!(STANDARD.encode(r#"{"format":9}"#)), true, 422),
        (json!(7), true, 400),
        (Value::Null, true, 400),
    ] {
        let refused = call(&tower, &admin, "new", "restore", json!({"backup": backup, "force": force})).await;
        assert!(refused.status.is_client_error(), "{backup}: {refused:?}");
        assert!(refused.status == status || refused.status == 422, "{backup}: {refused:?}");
    }
    call(&tower, &admin, "No_name", "restore", json!({"backup": backup})).await.refused(400);
    assert_eq!(tower.app.db.store().revision(), before, "a failed restore changes nothing");
    document(&tower, &admin, "new").await.refused(404);
}

#[tokio::test]
async fn a_sealed_backup_of_one_tenant_is_none_of_another() {
    let (tower, admin) = tower().await;
    make(&tower, &admin, json!({"name": "data"})).await;
    let (other, other_admin) = self::tower().await;
    assert_ne!(tower.tenant(), other.tenant());
    let backup = call(&tower, &admin, "data", "backup", json!({})).await.ok()["backup"].clone();
    // The towers of these tests share their key-encryption key.
    let refused = call(&other, &other_admin, "data", "restore", json!({"backup": backup})).await;
    assert_eq!(refused.refused(422), "`backup`: the sealed record cannot be opened");
}

#[tokio::test]
async fn who_restores_needs_the_permission_for_the_document_too() {
    let (tower, admin) = tower().await;
    make(&tower, &admin, json!({"name": "data", "exportable": true})).await;
    make(&tower, &admin, json!({"name": "kept"})).await;
    let backup = call(&tower, &admin, "data", "backup", json!({})).await.ok()["backup"].clone();
    let kept = call(&tower, &admin, "kept", "backup", json!({})).await.ok()["backup"].clone();
    let rule = |path: &str, operations: Value| json!({"path": path, "operations": operations});
    let some = restricted(
        &tower,
        &admin,
        json!([
            rule("/v1/state/strongbox/transit-keys/*/restore", json!({"execute": "allow"})),
            rule("/v1/config/strongbox/transit-keys/mine", json!({"create": "allow"})),
            rule("/v1/transit/restore/mine", json!({"execute": "allow"})),
        ]),
    )
    .await;
    let restore = json!({"backup": backup});
    // Under a name whose document is theirs they could make it exportable, which under its own they may not.
    let copy = json!({"backup": kept});
    call(&tower, &some, "mine", "restore", copy.clone()).await.refused(403);
    assert_eq!(vault(&tower, &some, "POST", "restore/mine", Some(copy)).await.status, 403);
    document(&tower, &admin, "mine").await.refused(404);
    call(&tower, &some, "mine", "restore", restore.clone()).await.ok();
    for (key, force) in [("yours", false), ("yours", true), ("mine", true), ("data", true)] {
        let body = json!({"backup": backup, "force": force});
        call(&tower, &some, key, "restore", body).await.refused(403);
    }
    call(&tower, &some, "mine", "backup", json!({})).await.refused(403);
    assert_eq!(vault(&tower, &some, "POST", "restore/his", Some(restore)).await.status, 403);
    document(&tower, &admin, "yours").await.refused(404);
}

#[tokio::test]
async fn wrapped_keys_are_imported_and_the_wrapping_key_is_made_once() {
    let (tower, admin) = tower().await;
    // All at once, by both paths.
    let path = "/v1/state/strongbox/wrapping-key";
    let (a, b, c) = tokio::join!(
        tower.get(path, &admin),
        tower.get(path, &admin),
        vault(&tower, &admin, "GET", "wrapping_key", None)
    );
    let pem = a.ok()["public-key"].as_str().unwrap().to_owned();
    assert_eq!((b.ok()["public-key"].as_str().unwrap(), &c.ok()["data"]["public_key"]), (pem.as_str(), &json!(pem)));
    let records = tower.audit(&admin).await;
    assert_eq!(records.iter().filter(|record| record["event"] == "wrapping-key-make").count(), 1);

    make(&tower, &admin, json!({"name": "own", "imported-only": true, "exportable": true})).await;
    let early = call(&tower, &admin, "own", "encrypt", json!({"plaintext": "aGk="})).await.refused(503);
    assert_eq!(early, "no version of ring `own` is active");
    let none = call(&tower, &admin, "own", "rotate", json!({})).await.refused(422);
    assert!(none.contains("import the next key"), "{none}");
    for (hash, name) in [
        (HashFunction::Sha2_256, Value::Null),
        (HashFunction::Sha2_384, json!("sha2-384")),
        (HashFunction::Sha2_512, json!("sha2-512")),
    ] {
        let mut body = json!({"wrapped": wrapped(&pem, hash, &[7; 32])});
        if !name.is_null() {
            body["hash-function"] = name;
        }
        let view = call(&tower, &admin, "own", "import", body).await.ok();
        assert!(view["versions"].as_array().unwrap().iter().all(|version| version["imported"] == true));
    }
    let exported = call(&tower, &admin, "own", "export", json!({"kind": "encryption-key", "version": 3})).await.ok();
    assert_eq!(exported["keys"][0]["key"], STANDARD.encode([7; 32]));

    let before = tower.app.db.store().revision();
    let good = wrapped(&pem, HashFunction::Sha2_256, &[7; 32]);
    let with_bits = |bits: &[u8]| STANDARD.encode(bits);
    for (body, status) in [
        (json!({"wrapped": wrapped(&pem, HashFunction::Sha2_256, &[7; 31])}), 422),
        (json!({"wrapped": wrapped(&pem, HashFunction::Sha2_512, &[7; 32])}), 422),
        (json!({"wrapped": with_bits(&STANDARD.decode(&good).unwrap()[1..])}), 422),
        (json!({"wrapped": with_bits(&[0; 600])}), 422),
        (json!({"wrapped": ""}), 422),
        (json!({"wrapped": "!"}), 400),
        (json!({"wrapped": good, "hash-function": "sha1"}), 400),
        (json!({"wrapped": good, "key": STANDARD.encode([7; 32])}), 400),
        (json!({}), 400),
    ] {
        let refused = call(&tower, &admin, "own", "import", body.clone()).await;
        assert_eq!(refused.status, status, "{body}: {refused:?}");
    }
    assert_eq!(tower.app.db.store().revision(), before);
}

#[tokio::test]
async fn clients_of_vault_bring_keys_and_backups() {
    let (tower, admin) = tower().await;
    let ask = async |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { None } else { Some(body) };
        vault(&tower, &admin, method, path, body).await
    };
    let pem = ask("GET", "wrapping_key", Value::Null).await.ok()["data"]["public_key"].as_str().unwrap().to_owned();
    let ec = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let ciphertext = wrapped(&pem, HashFunction::Sha2_512, &ec.to_pkcs8_der().unwrap());
    let body = json!({"type": "ecdsa-p256", "ciphertext": ciphertext, "hash_function": "SHA512", "exportable": true,
        "allow_plaintext_backup": true});
    assert_eq!(ask("POST", "keys/mine/import", body.clone()).await.status, 204);
    let records = tower.audit(&admin).await;
    let made: Vec<_> = records.iter().filter(|record| record["detail"]["key"] == "mine").collect();
    assert_eq!((made.len(), &made[0]["event"]), (1, &json!("key-import")));
    assert_eq!(document(&tower, &admin, "mine").await.ok()["imported-only"], true);
    let shown = ask("GET", "keys/mine", Value::Null).await.ok()["data"].clone();
    assert_eq!((&shown["imported_key"], &shown["imported_key_allow_rotation"]), (&json!(true), &json!(false)));
    assert!(ask("POST", "keys/mine/import", body).await.refused(400).contains("`import_version`"));
    assert!(ask("POST", "keys/mine/rotate", json!({})).await.refused(400).contains("import the next key"));
    let signed = ask("POST", "sign/mine", json!({"input": "aGk="})).await.ok()["data"]["signature"].clone();

    // The same key elsewhere, its public half alone.
    let public = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(ec.public_key().to_spki_der())
    );
    let body = json!({"type": "ecdsa-p256", "public_key": public, "allow_rotation": true});
    assert_eq!(ask("POST", "keys/half/import", body).await.status, 204);
    let verified = ask("POST", "verify/half", json!({"input": "aGk=", "signature": signed})).await.ok();
    assert_eq!(verified["data"]["valid"], true);
    let alone = ask("POST", "sign/half", json!({"input": "aGk="})).await.refused(400);
    assert_eq!(alone, "version 1 has a public key alone");
    // A version that is named is completed by its own private key, or nothing happens.
    let other = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let other = wrapped(&pem, HashFunction::Sha2_256, &other.to_pkcs8_der().unwrap());
    let again = |version: Value| json!({"ciphertext": ciphertext, "hash_function": "SHA512", "version": version});
    let before = tower.app.db.store().revision();
    for (body, text) in [
        (
            json!({"ciphertext": other, "version": 1}),
            "version 1 has a public key that is not the one of this private key",
        ),
        (again(json!(7)), "version 7 does not exist: without a version the key becomes the next one"),
        (again(json!(0)), "version 0 does not exist: without a version the key becomes the next one"),
        (
            json!({"public_key": public, "version": 1}),
            "version 1 has a public key alone, which only its private key completes",
        ),
    ] {
        assert_eq!(ask("POST", "keys/half/import_version", body).await.refused(400), text);
    }
    ask("POST", "keys/half/import_version", again(json!("x"))).await.refused(400);
    ask("POST", "keys/half/import_version", again(json!(-1))).await.refused(400);
    assert_eq!(tower.app.db.store().revision(), before);
    assert_eq!(ask("POST", "keys/half/import_version", again(json!("1"))).await.status, 204);
    assert_eq!(ask("GET", "keys/half", Value::Null).await.ok()["data"]["latest_version"], 1);
    let whole = ask("POST", "keys/half/import_version", again(json!(1))).await.refused(400);
    assert_eq!(whole, "version 1 is not of a public key alone, which only a private key completes");
    ask("POST", "sign/half", json!({"input": "aGk="})).await.ok();
    assert_eq!(ask("POST", "keys/half/rotate", json!({})).await.ok()["data"]["imported_key"], false);

    let backup = ask("GET", "backup/mine", Value::Null).await.ok()["data"]["backup"].clone();
    ask("GET", "backup/half", Value::Null).await.refused(400);
    ask("GET", "backup/none", Value::Null).await.refused(400);
    assert!(ask("POST", "restore", json!({"backup": backup})).await.refused(400).contains("exists"));
    assert_eq!(ask("POST", "restore", json!({"backup": backup, "force": true})).await.status, 204);
    assert_eq!(ask("POST", "restore/other", json!({"backup": backup})).await.status, 204);
    let verified = ask("POST", "verify/other", json!({"input": "aGk=", "signature": signed})).await.ok();
    assert_eq!(verified["data"]["valid"], true);

    let before = tower.app.db.store().revision();
    for (path, body) in [
        ("keys/new/import", json!({"ciphertext": ciphertext})),
        ("keys/new/import", json!({"ciphertext": ciphertext, "type": "ecdsa-p256", "hash_function": "SHA1"})),
        ("keys/new/import", json!({"ciphertext": ciphertext, "type": "ecdsa-p256"})),
        ("keys/new/import", json!({"ciphertext": ciphertext, "type": "des"})),
        ("keys/new/import", json!({"type": "ecdsa-p256"})),
        ("keys/new/import", json!({"type": "aes256-gcm96", "public_key": public})),
        ("keys/new/import", json!({"type": "ecdsa-p256", "public_key": "no PEM"})),
        ("keys/new/import", json!({"type": "ecdsa-p256", "public_key": public, "convergent_encryption": true})),
        ("keys/new/import", json!({"type": "ecdsa-p256", "public_key": public, "auto_rotate_period": "24h"})),
        ("keys/New_/import", json!({"type": "ecdsa-p256", "public_key": public})),
        ("keys/none/import_version", json!({"public_key": public})),
        ("keys/mine/import_version", json!({"public_key": public})),
        ("restore/new", json!({"backup": "x"})),
        ("restore", json!({})),
    ] {
        let refused = ask("POST", path, body.clone()).await;
        assert_eq!(refused.status, 400, "{path} {body}: {refused:?}");
    }
    assert_eq!(tower.app.db.store().revision(), before);
}

#[tokio::test]
async fn a_key_that_is_destroyed_leaves_the_memory() {
    let (tower, admin) = tower().await;
    make(&tower, &admin, json!({"name": "gone", "deletion-allowed": true})).await;
    call(&tower, &admin, "gone", "encrypt", json!({"plaintext": "aGk="})).await.ok();
    let place = control_tower::layout::ring(&tower.tenant().parse().unwrap(), "gone");
    let never = |_: &_, _: &str, _: &[u8]| panic!("it is decoded already");
    let stored = tower.app.db.load_sealed::<keyward_transit::Ring>(&place, never).await.unwrap().unwrap();
    let gone = std::sync::Arc::downgrade(&stored.value);
    drop(stored);
    assert!(gone.upgrade().is_some());
    tower.call("DELETE", "/v1/config/strongbox/transit-keys/gone", Some(&admin), None).await.ok();
    assert!(gone.upgrade().is_none());
}
