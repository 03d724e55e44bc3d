//! What a key is used for, on the native routes: every operation, its options, and batches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{Reply, Tower};

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    for (name, fields) in [
        ("data", json!({})),
        ("people", json!({"derived": true, "convergent-encryption": true})),
        ("ec", json!({"cipher": "ecdsa-p256"})),
        ("ed", json!({"cipher": "ed25519", "derived": true})),
        ("rsa", json!({"cipher": "rsa-2048"})),
        ("mac", json!({"cipher": "hmac"})),
    ] {
        let mut key = fields;
        key["name"] = name.into();
        tower.post("/v1/config/strongbox/transit-keys", &admin, key).await.ok();
    }
    (tower, admin)
}

async fn call(tower: &Tower, token: &str, key: &str, what: &str, body: Value) -> Reply {
    tower.post(&format!("/v1/state/strongbox/transit-keys/{key}/{what}"), token, body).await
}

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

#[tokio::test]
async fn context_and_associated_data_bind_what_was_encrypted() {
    let (tower, admin) = tower().await;
    let bound = |data: &str| json!({"plaintext": b64("Ada"), "context": b64("user 1"), "associated-data": b64(data)});
    let sealed = call(&tower, &admin, "people", "encrypt", bound("row 1")).await.ok();
    let again = call(&tower, &admin, "people", "encrypt", bound("row 1")).await.ok();
    assert_eq!(sealed, again, "convergent");
    assert_ne!(call(&tower, &admin, "people", "encrypt", bound("row 2")).await.ok(), sealed);
    let open = async |context: &str, data: &str| {
        let body = json!({"ciphertext": sealed["ciphertext"], "context": b64(context), "associated-data": b64(data)});
        call(&tower, &admin, "people", "decrypt", body).await
    };
    assert_eq!(open("user 1", "row 1").await.ok()["plaintext"], b64("Ada"));
    for (context, data) in [("user 2", "row 1"), ("user 1", "row 2"), ("user 1", "")] {
        assert_eq!(open(context, data).await.refused(422), "decryption failed");
    }
    let without = call(&tower, &admin, "people", "encrypt", json!({"plaintext": "YQ=="})).await.refused(400);
    assert!(without.starts_with("a `context` is needed"), "{without}");
    let needless = json!({"plaintext": "YQ==", "context": "YQ=="});
    assert!(
        call(&tower, &admin, "data", "encrypt", needless).await.refused(400).starts_with("a `context` is not taken")
    );
}

#[tokio::test]
async fn versions_are_chosen_where_a_key_rotates_on_request() {
    let (tower, admin) = tower().await;
    call(&tower, &admin, "data", "rotate", json!({})).await.ok();
    for (version, prefix) in [(json!(null), "vault:v2:"), (json!(0), "vault:v2:"), (json!(1), "vault:v1:")] {
        let body = json!({"plaintext": "YQ==", "key-version": version});
        let sealed = call(&tower, &admin, "data", "encrypt", body).await.ok();
        assert!(sealed["ciphertext"].as_str().unwrap().starts_with(prefix), "{sealed}");
        let back = json!({"ciphertext": sealed["ciphertext"], "key-version": 1});
        let rewrapped = call(&tower, &admin, "data", "rewrap", back).await.ok();
        assert!(rewrapped["ciphertext"].as_str().unwrap().starts_with("vault:v1:"));
    }
    let none = json!({"plaintext": "YQ==", "key-version": 3});
    assert_eq!(call(&tower, &admin, "data", "encrypt", none).await.refused(422), "version 3 is not there");
}

#[tokio::test]
async fn signatures_verify_with_the_options_that_they_were_made_with() {
    let (tower, admin) = tower().await;
    let digest = STANDARD.encode(keyward_keys::sha256(b"message"));
    let cases = [
        ("ec", json!({})),
        ("ec", json!({"marshaling-algorithm": "jws"})),
        ("ec", json!({"hash-algorithm": "sha2-512"})),
        ("ec", json!({"prehashed": true, "hash-algorithm": "sha2-256"})),
        ("ed", json!({"context": b64("tenant a")})),
        ("rsa", json!({})),
        ("rsa", json!({"signature-algorithm": "pss", "hash-algorithm": "sha2-384"})),
        ("rsa", json!({"signature-algorithm": "pkcs1v15", "hash-algorithm": "sha2-256", "prehashed": true})),
        ("rsa", json!({"signature-algorithm": "pss", "salt-length": "hash"})),
        ("rsa", json!({"signature-algorithm": "pss", "salt-length": 32})),
    ];
    for (key, options) in cases {
        let mut body = options.clone();
        body["input"] = if options["prehashed"] == true { digest.clone() } else { b64("message") }.into();
        let made = call(&tower, &admin, key, "sign", body.clone()).await.ok();
        assert_eq!(made.as_object().unwrap().len(), 1, "{made}");
        if options["marshaling-algorithm"] == "jws" {
            assert_eq!(made["signature"].as_str().unwrap().len(), "vault:v1:".len() + 86, "r and s of fixed width");
        }
        body["signature"] = made["signature"].clone();
        assert_eq!(call(&tower, &admin, key, "verify", body.clone()).await.ok(), json!({"valid": true}), "{options}");
        body["input"] = if options["prehashed"] == true { STANDARD.encode([7; 32]) } else { b64("Message") }.into();
        assert_eq!(call(&tower, &admin, key, "verify", body).await.ok(), json!({"valid": false}), "{options}");
    }
    for (key, options, problem) in [
        ("rsa", json!({"hash-algorithm": "sha3-256"}), "does not sign with the hash function `sha3-256`"),
        ("rsa", json!({"signature-algorithm": "pss", "salt-length": 31}), "a salt of 31 bytes cannot be made"),
        ("ec", json!({"marshaling-algorithm": "der"}), "`der` is no marshaling"),
        ("ec", json!({"hash-algorithm": "md5"}), "md5"),
        ("ec", json!({"prehashed": true}), "digest"),
    ] {
        let mut body = options;
        body["input"] = b64("message").into();
        let refused = call(&tower, &admin, key, "sign", body).await;
        assert!(refused.refused(refused.status.as_u16()).contains(problem), "{refused:?}");
        assert!(refused.status.is_client_error());
    }
}

#[tokio::test]
async fn hmacs_and_data_keys() {
    let (tower, admin) = tower().await;
    for key in ["mac", "data", "ec"] {
        let made = call(&tower, &admin, key, "hmac", json!({"input": "YQ==", "hash-algorithm": "sha2-512"})).await.ok();
        let verify = async |input: &str, hash: &str| {
            let body = json!({"input": input, "hmac": made["hmac"], "hash-algorithm": hash});
            call(&tower, &admin, key, "verify", body).await.ok()["valid"].as_bool().unwrap()
        };
        assert!(verify("YQ==", "sha2-512").await);
        assert!(!verify("Yg==", "sha2-512").await && !verify("YQ==", "sha2-256").await);
    }
    for bits in [128, 256, 512] {
        let pair = call(&tower, &admin, "data", "datakey", json!({"bits": bits})).await;
        assert_eq!(pair.headers["cache-control"], "no-store");
        let pair = pair.ok();
        assert_eq!(STANDARD.decode(pair["plaintext"].as_str().unwrap()).unwrap().len() * 8, bits);
        let opened = call(&tower, &admin, "data", "decrypt", json!({"ciphertext": pair["ciphertext"]})).await.ok();
        assert_eq!(opened["plaintext"], pair["plaintext"]);
    }
    let odd = call(&tower, &admin, "data", "datakey", json!({"bits": 64})).await.refused(400);
    assert_eq!(odd, "`bits` is 64, but must be 128, 256 or 512");
    let both = json!({"input": "YQ==", "hmac": "vault:v1:YQ==", "signature": "vault:v1:YQ=="});
    assert_eq!(
        call(&tower, &admin, "ec", "verify", both).await.refused(400),
        "one of `signature` and `hmac` is needed"
    );
}

#[tokio::test]
async fn each_item_of_a_batch_has_a_result_of_its_own() {
    let (tower, admin) = tower().await;
    let items = json!([{"plaintext": "YQ==", "reference": "a"}, {"plaintext": "!"}, {}, {"plaintext": "Yg==", "context": "YQ=="}, {"plaintext": "Yg=="}]);
    let sealed = call(&tower, &admin, "data", "encrypt", json!({"batch-input": items})).await.ok();
    let results = sealed["batch-results"].as_array().unwrap();
    assert_eq!(results.len(), 5);
    assert_eq!(results[0]["reference"], "a");
    assert_eq!(results[1], json!({"error": "`plaintext` is not base64 (RFC 4648 §4)"}));
    assert_eq!(results[2], json!({"error": "`plaintext` is needed"}));
    assert!(results[3]["error"].as_str().unwrap().contains("context"));
    let items = json!([{"ciphertext": results[4]["ciphertext"]}, {"ciphertext": "vault:v1:AAAA"}, {"ciphertext": results[0]["ciphertext"]}]);
    let opened = call(&tower, &admin, "data", "decrypt", json!({"batch-input": items})).await.ok();
    let expected =
        json!({"batch-results": [{"plaintext": "Yg=="}, {"error": "decryption failed"}, {"plaintext": "YQ=="}]});
    assert_eq!(opened, expected);

    // Options of the whole are those of each item that has none.
    let whole = json!({"hash-algorithm": "sha2-512", "batch-input": [{"input": "YQ=="}, {"input": "YQ==", "hash-algorithm": "sha2-256"}]});
    let made = call(&tower, &admin, "mac", "hmac", whole).await.ok();
    let lengths = [0, 1].map(|n| made["batch-results"][n]["hmac"].as_str().unwrap().len());
    assert_eq!(lengths, [9 + 88, 9 + 44]);

    // Many items take their time elsewhere; the order stays.
    let many: Vec<Value> = (0..1000).map(|n| json!({"plaintext": b64(&n.to_string())})).collect();
    let sealed = call(&tower, &admin, "data", "encrypt", json!({"batch-input": many})).await.ok();
    let back: Vec<Value> = sealed["batch-results"].as_array().unwrap().clone();
    let opened = call(&tower, &admin, "data", "decrypt", json!({"batch-input": back})).await.ok();
    assert_eq!(opened["batch-results"], json!(many));
    let more: Vec<Value> = (0..1001).map(|_| json!({"plaintext": "YQ=="})).collect();
    let refused = call(&tower, &admin, "data", "encrypt", json!({"batch-input": more})).await.refused(400);
    assert_eq!(refused, "`batch-input` has 1001 items, but 1000 are the most");
    for (bad, problem) in [
        (json!({"batch-input": []}), "`batch-input` has no items"),
        (json!({"batch-input": [], "plaintxt": "YQ=="}), "plaintxt"),
        (json!({"plaintext": "YQ==", "nonce": "YQ=="}), "nonces are made here"),
    ] {
        let refused = call(&tower, &admin, "data", "encrypt", bad).await.refused(400);
        assert!(refused.contains(problem), "{refused}");
    }
    let nested = json!({"batch-input": [{"batch-input": [{"plaintext": "YQ=="}]}]});
    let nested = call(&tower, &admin, "data", "encrypt", nested).await.ok();
    assert_eq!(nested["batch-results"][0]["error"], "an item of a batch is no batch");
}

#[tokio::test]
async fn nothing_that_a_call_is_about_is_in_the_audit_log() {
    let (tower, admin) = tower().await;
    let secret = b64("a secret of somebody");
    call(&tower, &admin, "data", "encrypt", json!({"plaintext": secret})).await.ok();
    let wrong = call(&tower, &admin, "data", "encrypt", json!({"plaintext": format!("{secret}!")})).await;
    assert!(!wrong.refused(400).contains(&secret));
    let batch = json!({"batch-input": [{"plaintext": format!("{secret}!")}, {"plaintext": secret, "context": secret}]});
    let wrong = call(&tower, &admin, "data", "encrypt", batch).await;
    assert!(!String::from_utf8(wrong.bytes).unwrap().contains(&secret));
    assert!(!json!(tower.audit(&admin).await).to_string().contains(&secret));
}

#[tokio::test]
async fn versions_come_from_elsewhere_and_go() {
    let (tower, admin) = tower().await;
    let key = json!({"name": "open", "exportable": true});
    tower.post("/v1/config/strongbox/transit-keys", &admin, key).await.ok();
    let bytes = STANDARD.encode([7; 32]);
    let sealed = call(&tower, &admin, "open", "encrypt", json!({"plaintext": "YQ=="})).await.ok();
    let view = call(&tower, &admin, "open", "import", json!({"key": bytes})).await.ok();
    assert_eq!(view["active-version"], 2);
    let exported = call(&tower, &admin, "open", "export", json!({"kind": "encryption-key", "version": 2})).await;
    assert_eq!(exported.headers["cache-control"], "no-store");
    assert_eq!(exported.ok()["keys"], json!([{"version": 2, "key": bytes}]));
    let all = call(&tower, &admin, "open", "export", json!({"kind": "encryption-key"})).await.ok();
    assert_eq!(all["keys"].as_array().unwrap().len(), 2);
    for (what, body, status) in [
        ("import", json!({"key": STANDARD.encode([7; 16])}), 400),
        ("import", json!({"key": "!"}), 400),
        ("export", json!({"kind": "signing-key"}), 422),
        ("export", json!({"kind": "everything"}), 400),
        ("export", json!({"kind": "encryption-key", "version": 3}), 422),
        ("lowest-versions", json!({"min-decryption-version": 3}), 400),
        ("lowest-versions", json!({"min-decryption-version": 2, "min-encryption-version": 1}), 400),
        ("trim", json!({"min-available-version": 3}), 422),
    ] {
        let refused = call(&tower, &admin, "open", what, body.clone()).await;
        assert_eq!(refused.status.as_u16(), status, "{what} {body}: {refused:?}");
    }
    call(&tower, &admin, "data", "export", json!({"kind": "encryption-key"})).await.refused(422);

    let open = async || call(&tower, &admin, "open", "decrypt", json!({"ciphertext": sealed["ciphertext"]})).await;
    call(&tower, &admin, "open", "lowest-versions", json!({"min-decryption-version": 2})).await.ok();
    open().await.refused(422);
    call(&tower, &admin, "open", "lowest-versions", json!({"min-decryption-version": 1})).await.ok();
    open().await.ok();
    let trimmed = call(&tower, &admin, "open", "trim", json!({"min-available-version": 2})).await.ok();
    assert_eq!(trimmed["versions"][0]["destroyed"], true);
    open().await.refused(422);

    let records = tower.audit(&admin).await;
    for event in ["key-import", "key-export", "key-lowest-versions", "key-trim"] {
        assert!(records.iter().any(|record| record["event"] == event && record["detail"]["key"] == "open"), "{event}");
    }
    assert!(!json!(records).to_string().contains(&bytes));
}
