//! A JSON body that does not fit is refused in the words of its fields, on every route that reads one: by name, with what to write
//! instead, and without a word of the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use control_tower::router::routes;
use serde_json::{Value, json};
use support::{Reply, Tower, WALK};

/// Every field that a body of some route has.
const FIELDS: &[&str] = &[
    "accessor",
    "algorithm",
    "allow_plaintext_backup",
    "allow_rotation",
    "backup",
    "batch-input",
    "batch_input",
    "bind_secret_id",
    "bits",
    "bound-cidrs",
    "bytes",
    "cidr_list",
    "ciphertext",
    "compromised",
    "context",
    "deletion_allowed",
    "derived",
    "display_name",
    "explicit-max-ttl",
    "explicit_max_ttl",
    "exportable",
    "force",
    "format",
    "hash-algorithm",
    "hash_algorithm",
    "hash_function",
    "hmac",
    "id",
    "increment",
    "input",
    "jwt-svid",
    "key",
    "key-version",
    "key_version",
    "kind",
    "limit",
    "lease",
    "local_secret_ids",
    "marshaling_algorithm",
    "meta",
    "metadata",
    "min-available-version",
    "min-decryption-version",
    "min_available_version",
    "min_decryption_version",
    "min_encryption_version",
    "name",
    "no_default_policy",
    "no_parent",
    "num-uses",
    "num_uses",
    "operation",
    "partial_failure_response_code",
    "password",
    "path",
    "paths",
    "period",
    "plaintext",
    "policies",
    "policy",
    "prehashed",
    "public_key",
    "reference",
    "renewable",
    "role",
    "role-id",
    "role_id",
    "salt_length",
    "secret-id",
    "secret_id",
    "secret_id_accessor",
    "secret_id_bound_cidrs",
    "secret_id_num_uses",
    "secret_id_ttl",
    "signature",
    "signature_algorithm",
    "subject",
    "tenant",
    "token",
    "token_bound_cidrs",
    "token_explicit_max_ttl",
    "token_max_ttl",
    "token_no_default_policy",
    "token_num_uses",
    "token_period",
    "token_policies",
    "token_ttl",
    "token_type",
    "ttl",
    "type",
    "username",
    "version",
];

/// Routes that end what this test needs.
const ENDS: &[&str] = &["/token/revoke", "/revoke-self", "/seal/seal", "/sys/seal"];

/// What only a program says.
const WORDS: &[&str] = &[
    ", expected",
    "at line",
    "invalid type",
    "invalid value",
    "struct ",
    "enum ",
    "variant",
    "untagged",
    "u8",
    "u16",
    "u32",
    "u64",
    "i64",
    "usize",
    "Option<",
];

#[track_caller]
fn assert_of_fields(answer: &Reply, about: &str) -> String {
    let text = answer.refused(400);
    for word in WORDS {
        assert!(!text.contains(word), "{about}: {text}");
    }
    text
}

fn path(path: &str) -> String {
    let path = path.replace("{*path}", "strongbox/policies/p").replace("{hash}", "sha2-256").replace("{bytes}", "8");
    let path = path.replace("{algorithm}", "sha2-256").replace("{kind}", "plaintext");
    path.split('/').map(|word| if word.starts_with('{') { "spiffe-jwt" } else { word }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn what_does_not_fit_is_named_on_every_route() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let mut readers = BTreeSet::new();
    let mut named: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for route in routes() {
        let ends = ENDS.iter().any(|end| route.path.ends_with(end));
        if !["POST", "PUT", "PATCH"].contains(&route.method) || route.path.ends_with("bulk") || ends {
            continue;
        }
        let at = path(route.path);
        let send = async |body: &Value| tower.call(route.method, &at, Some(&admin), Some(body.clone())).await;
        // No object: of those that read a body each refuses it.
        let answer = send(&json!(7)).await;
        if answer.status != 400 || !String::from_utf8_lossy(&answer.bytes).contains("where a block of fields belongs") {
            continue;
        }
        let about = format!("{} {at}", route.method);
        readers.insert(about.clone());
        for none in [json!(7), json!("a"), json!(["a", "b"]), json!(true)] {
            let text = assert_of_fields(&send(&none).await, &about);
            assert!(text.contains("; write "), "{about}: {text}");
        }
        // An unknown one, by those that know theirs; and what is missing, by those that need something.
        for body in [json!({"no-such-field": 1}), json!({})] {
            let answer = send(&body).await;
            if answer.status == 400 {
                let text = assert_of_fields(&answer, &about);
                if text.starts_with("the JSON body is refused") {
                    let unknown = text.contains("field `no-such-field`: unknown; ") && body != json!({});
                    assert!(unknown || text.contains("`: missing; add it"), "{about} {body}: {text}");
                    named.entry(if unknown { "unknown" } else { "missing" }).or_default().insert(about.clone());
                }
            }
        }
        // A wrong type, of each field that there is.
        for field in FIELDS {
            for value in [json!({"a": [true]}), json!([{"a": 1}]), json!(-1.5), json!("\u{1f980} crab")] {
                let is_text = value.is_string();
                let body = Value::Object([((*field).to_owned(), value)].into_iter().collect());
                let answer = send(&body).await;
                if answer.status != 400 {
                    continue;
                }
                let text = assert_of_fields(&answer, &format!("{about} {body}"));
                let Some(refusal) = text.strip_prefix("the JSON body is refused: ") else { continue };
                let name = refusal.strip_prefix("field `").and_then(|rest| rest.split_once('`'));
                let (name, rest) = name.unwrap_or_else(|| panic!("{about} {body}: {text}"));
                // (Its own, or one that is missing, or what it does not have.)
                let is_own = name.split(['.', '[']).next() == Some(*field);
                assert!(is_own || rest.starts_with(": missing"), "{about} {body}: {text}");
                if is_own && !rest.starts_with(": unknown") {
                    // (Of text that is none of its kind, the kind says what it looks like.)
                    assert!(is_text || rest.contains("; "), "no remedy: {about} {body}: {text}");
                    named.entry("type").or_default().insert(format!("{about} {field}"));
                }
            }
        }
    }
    let count = |what: &str| named.get(what).map_or(0, BTreeSet::len);
    assert!(readers.len() >= 60, "{} {readers:#?}", readers.len());
    assert!(
        count("unknown") >= 20 && count("missing") >= 10 && count("type") >= 200,
        "{:?}",
        ["unknown", "missing", "type"].map(count)
    );
    let seen: BTreeSet<&str> = named["type"].iter().map(|name| name.rsplit(' ').next().unwrap()).collect();
    let never: Vec<_> = FIELDS.iter().filter(|field| !seen.contains(*field)).collect();
    assert!(never.is_empty(), "of no body, or without a type: {never:?}");
}

#[tokio::test]
async fn a_refusal_is_data_too() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let generate = "/v1/state/strongbox/authentication/approles/payments/generate-secret-id";
    let answer = tower.post(generate, &admin, json!({"bound-cidrs": ["192.0.2.0/24", 7]})).await;
    assert_eq!(
        answer.refused(400),
        "the JSON body is refused: field `bound-cidrs[1]`: a whole number where text belongs; write it in quotes"
    );
    assert_eq!(
        answer.json()["errors"][0]["error-info"],
        json!({"field": "bound-cidrs[1]", "reason": "value", "message": "a whole number where text belongs", "remedy": "write it in quotes"})
    );
    let key = "/v1/state/strongbox/transit-keys";
    tower.post("/v1/config/strongbox/transit-keys", &admin, json!({"name": "k"})).await.ok();
    let backup = tower.post(&format!("{key}/k/backup"), &admin, json!({})).await.ok()["backup"].clone();
    let clash = tower.post(&format!("{key}/k/restore"), &admin, json!({"backup": backup})).await;
    assert_eq!(
        clash.refused(409),
        "the key `k` exists; take another name, or `force=true` to replace it, whatever is lost with it"
    );
    tower.post(&format!("{key}/k/restore"), &admin, json!({"backup": backup, "force": true})).await.ok();
}
