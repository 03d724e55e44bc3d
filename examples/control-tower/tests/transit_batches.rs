//! A batch is its items, one by one: each result says what a call alone would have, on both surfaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use support::{Reply, Tower};

const CALLS: [&str; 6] = ["encrypt", "decrypt", "rewrap", "sign", "verify", "hmac"];
const KEYS: [&str; 5] = ["aes", "people", "convergent", "ec", "mac"];

/// Texts that some calls take, and some that none does.
#[derive(Debug, Clone)]
struct Wish {
    text: Option<&'static str>,
    context: Option<&'static str>,
    version: Option<u32>,
    hash: Option<&'static str>,
    broken: bool,
    reference: Option<&'static str>,
}

fn wish() -> impl Strategy<Value = Wish> {
    let text = prop_oneof![6 => Just(Some("aGVsbG8=")), 1 => Just(Some("")), 1 => Just(Some("!")), 1 => Just(None)];
    let context = prop_oneof![4 => Just(None), 4 => Just(Some("YQ==")), 1 => Just(Some("?"))];
    let version = prop_oneof![5 => Just(None), 1 => (0..4u32).prop_map(Some)];
    let hash = prop_oneof![4 => Just(None), 2 => Just(Some("sha2-512")), 1 => Just(Some("md5"))];
    let reference = prop_oneof![Just(None), Just(Some("mine"))];
    (text, context, version, hash, prop::bool::weighted(0.2), reference).prop_map(
        |(text, context, version, hash, broken, reference)| Wish { text, context, version, hash, broken, reference },
    )
}

struct Both {
    tower: Tower,
    token: String,
    made: Value,
}

impl Both {
    async fn start() -> Self {
        let tower = Tower::fresh().await;
        let token = tower.administrator().await;
        for (name, mut document) in [
            ("aes", json!({})),
            ("people", json!({"derived": true})),
            ("convergent", json!({"derived": true, "convergent-encryption": true})),
            ("ec", json!({"cipher": "ecdsa-p256"})),
            ("mac", json!({"cipher": "hmac"})),
        ] {
            document["name"] = name.into();
            tower.post("/v1/config/strongbox/transit-keys", &token, document).await.ok();
        }
        let mut both = Self { tower, token, made: json!({}) };
        for (key, context) in KEYS.into_iter().zip([None, Some("YQ=="), Some("YQ=="), None, None]) {
            for call in ["encrypt", "sign", "hmac"] {
                let mut body = json!({"plaintext": "aGVsbG8=", "input": "aGVsbG8="});
                context.into_iter().for_each(|context| body["context"] = context.into());
                let answer = both.ask(false, call, key, &body).await;
                for field in ["ciphertext", "signature", "hmac"] {
                    if answer.status.is_success() && !answer.json()[field].is_null() {
                        both.made[key][field] = answer.json()[field].clone();
                    }
                }
            }
        }
        both
    }

    async fn ask(&self, vault: bool, call: &str, key: &str, body: &Value) -> Reply {
        let path = match vault {
            true => format!("/v1/transit/{call}/{key}"),
            false => format!("/v1/state/strongbox/transit-keys/{key}/{call}"),
        };
        self.tower.post(&path, &self.token, body.clone()).await
    }

    fn item(&self, vault: bool, key: &str, wish: &Wish) -> Value {
        let mut item = json!({});
        if let Some(text) = wish.text {
            item["plaintext"] = text.into();
            item["input"] = text.into();
        }
        for field in ["ciphertext", "signature", "hmac"] {
            // One of the two that can be verified.
            let text =
                self.made[key][field].as_str().filter(|_| field != "hmac" || self.made[key]["signature"].is_null());
            if let Some(text) = text {
                item[field] = if wish.broken { format!("{text}x") } else { text.to_owned() }.into();
            }
        }
        let spelled = |name: &str| if vault { name.replace('-', "_") } else { name.to_owned() };
        wish.context.into_iter().for_each(|context| item["context"] = context.into());
        wish.version.into_iter().for_each(|version| item[spelled("key-version")] = version.into());
        wish.hash.into_iter().for_each(|hash| item[spelled("hash-algorithm")] = hash.into());
        item
    }

    async fn compare(&self, vault: bool, call: &str, key: &str, wishes: &[Wish], partial: Option<u16>) {
        let items: Vec<Value> = wishes.iter().map(|wish| self.item(vault, key, wish)).collect();
        let mut singles = Vec::new();
        for item in &items {
            singles.push(self.ask(vault, call, key, item).await);
        }
        let with_references = items.iter().zip(wishes).map(|(item, wish)| {
            let mut item = item.clone();
            wish.reference.into_iter().for_each(|reference| item["reference"] = reference.into());
            item
        });
        let field = if vault { "batch_input" } else { "batch-input" };
        let mut batch = json!({ field: with_references.collect::<Vec<_>>() });
        if let (true, Some(status)) = (vault, partial) {
            batch["partial_failure_response_code"] = status.into();
        }
        let answer = self.ask(vault, call, key, &batch).await;
        let about = format!("{call} with {key}: {batch}");
        if vault && call == "sign" && key != "ec" {
            // What no item of it could ever be is said of the whole.
            assert!(answer.refused(400).ends_with("cannot sign"), "{about}");
            return;
        }
        let failed = singles.iter().filter(|single| !single.status.is_success()).count();
        // Clients of Vault are told of failed items by the status where there is something to encrypt or to decrypt.
        let tells = vault && ["encrypt", "decrypt"].contains(&call);
        let expected = match failed {
            _ if !tells => 200,
            0 => 200,
            all if all == items.len() => 400,
            _ => partial.unwrap_or(400),
        };
        assert_eq!(answer.status.as_u16(), expected, "{about}");
        let answer = if vault { answer.json()["data"].clone() } else { answer.json() };
        let results = answer[if vault { "batch_results" } else { "batch-results" }].as_array().unwrap().clone();
        assert_eq!(results.len(), singles.len());
        for ((mut result, single), wish) in results.into_iter().zip(&singles).zip(wishes) {
            let reference = result.as_object_mut().unwrap().remove("reference");
            let said = wish.reference.or(vault.then_some("")).map(Value::from);
            assert_eq!(reference, said, "{about}");
            // Alone no input is the empty one, for clients of Vault.
            let no_input = vault && ["sign", "verify"].contains(&call) && wish.text.is_none();
            let text = match no_input && wish.context != Some("?") {
                true => Some("`input` is needed".to_owned()),
                false => (!single.status.is_success()).then(|| single.refused(single.status.as_u16())),
            };
            if let Some(text) = text {
                let mut failed = json!({ "error": text });
                // They find the fields of what did not fail.
                match call {
                    "decrypt" if vault => failed["plaintext"] = "".into(),
                    "sign" if vault => failed["key_version"] = 0.into(),
                    "verify" if vault => failed["valid"] = false.into(),
                    _ => {}
                }
                assert_eq!(result, failed, "{about}");
                continue;
            }
            let alone = if vault { single.json()["data"].clone() } else { single.json() };
            let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&result), names(&alone), "{about}");
            // What has a nonce or is signed differs each time: then the version is what can be the same.
            let steady = |field: &str| !["ciphertext", "signature"].contains(&field) || key == "convergent";
            for (field, value) in result.as_object().unwrap() {
                if steady(field) {
                    assert_eq!(value, &alone[field], "{about}");
                } else {
                    let version = |value: &Value| value.as_str().unwrap().split(':').nth(1).unwrap().to_owned();
                    assert_eq!(version(value), version(&alone[field]), "{about}");
                }
            }
        }
    }
}

#[test]
fn a_batch_says_of_each_item_what_a_call_alone_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let both = runtime.block_on(Both::start());
    assert_eq!(STANDARD.decode("aGVsbG8=").unwrap(), b"hello");
    // Each kind of key has something to open or to verify.
    assert!(both.made["aes"]["ciphertext"].is_string() && both.made["ec"]["signature"].is_string());
    let partial = prop_oneof![Just(None), Just(Some(207u16)), Just(Some(200))];
    let cases = (any::<bool>(), 0..CALLS.len(), 0..KEYS.len(), prop::collection::vec(wish(), 1..6), partial);
    let count = if std::env::var_os("KEYWARD_FULL").is_some() { 4000 } else { 200 };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(count) });
    let law = |(vault, call, key, wishes, partial): (bool, usize, usize, Vec<Wish>, Option<u16>)| {
        runtime.block_on(both.compare(vault, CALLS[call], KEYS[key], &wishes, partial));
        Ok(())
    };
    runner.run(&cases, law).unwrap();
}

#[tokio::test]
async fn for_clients_of_vault_a_mistake_beside_the_items_is_one_of_the_whole() {
    let both = Both::start().await;
    let (signature, mac) = (&both.made["ec"]["signature"], &both.made["aes"]["hmac"]);
    let item = json!({"input": "aGVsbG8=", "signature": signature});
    for (call, key, item) in [
        ("sign", "ec/md5", json!({"input": "aGVsbG8="})),
        ("verify", "ec/md5", item.clone()),
        ("hmac", "aes/md5", json!({"input": "aGVsbG8="})),
        ("verify", "aes/md5", json!({"input": "aGVsbG8=", "hmac": mac})),
        ("verify", "aes", item),
    ] {
        let answer = both.ask(true, call, key, &json!({"batch_input": [item]})).await;
        let told = answer.refused(400);
        assert!(told == "unknown hash function `md5`" || told.ends_with("cannot verify"), "{call} {key}: {told}");
    }
}
