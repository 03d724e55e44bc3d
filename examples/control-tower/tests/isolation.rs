//! Whatever somebody of one tenant asks, on whichever route and with whichever token: what another tenant has and what nobody has
//! answer alike, byte for byte, and nothing of the other changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use control_tower::{
    layout,
    router::{Access, Route, routes},
    store::{Entry, snapshot},
};
use serde_json::{Value, json};
use support::{Reply, Tower, WALK};

const TOKEN: &str = "/v1/state/strongbox/token";
const ROLES: &str = "/v1/config/strongbox/authentication/approles";

/// What stands for something in a request: as the other tenant has it, and as nobody has it. Of the same length, so that lengths
/// can be compared too.
type Pair = (&'static str, String, String);

struct World {
    tower: Tower,
    /// The id of the tenant that is asked about, and everything in its part of the store.
    theirs: String,
    before: Vec<Entry>,
    /// A token of it, and what logs in there.
    their_token: String,
    their_secret: (String, String),
    /// Tokens of the tenant that asks, by kind.
    own: Vec<(&'static str, Option<String>)>,
    pairs: Vec<Pair>,
}

async fn administrator(tower: &Tower, operator: &str, name: &str) -> String {
    tower.post("/v1/config/tenants", operator, json!({"name": name})).await.ok();
    let reset = tower.post(&format!("/v1/state/tenants/{name}/reset-admin"), operator, json!({})).await.ok();
    let body = json!({"tenant": name, "username": "admin", "password": reset["password"]});
    tower.call("POST", "/v1/login", None, Some(body)).await.ok()["token"].as_str().unwrap().to_owned()
}

/// The same with another end.
fn other(text: &str) -> String {
    let last = text.chars().next_back().unwrap();
    format!("{}{}", &text[..text.len() - 1], if last == '0' { '1' } else { '0' })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl World {
    async fn new() -> Self {
        let tower = Tower::fresh().await;
        let operator = tower.administrator().await;
        let (a, b) = (administrator(&tower, &operator, "ten-a").await, administrator(&tower, &operator, "ten-b").await);
        administrator(&tower, &operator, "ten-c").await;
        let id = async |name: &str| text(&tower.get(&format!("/v1/state/tenants/{name}"), &operator).await.ok()["id"]);
        // One of everything that has a name.
        tower.bulk(&a, WALK).await.ok();
        let documents = [
            ("strongbox/transit-keys", json!({"name": "theirs", "exportable": true, "deletion-allowed": true})),
            ("strongbox/policies", json!({"name": "theirs", "rest-api": {"rules": []}})),
            ("strongbox/authentication/approles", json!({"name": "theirs"})),
            ("system/ca", json!({"name": "theirs"})),
            (
                "strongbox/authentication/spiffe",
                json!({"name": "theirs", "trust-domain": "theirs.example", "jwks": {"keys": []}}),
            ),
        ];
        for (collection, document) in documents {
            let answer = tower.post(&format!("/v1/config/{collection}"), &a, document).await;
            // (A key set without keys is refused in some releases; what matters is that others do not see which.)
            assert!(answer.status.is_success() || collection.ends_with("spiffe"), "{collection} {answer:?}");
        }
        let (role_id, secret_id) = tower.secret(&a, "theirs", json!({})).await;
        let generate = "/v1/state/strongbox/authentication/approles/theirs/generate-secret-id";
        let secret_accessor = text(&tower.post(generate, &a, json!({})).await.ok()["accessor"]);
        let child = tower.post(&format!("{TOKEN}/create"), &a, json!({})).await.ok();
        let wrap = Request::post("/v1/sys/wrapping/wrap")
            .header("x-vault-token", &a)
            .header("x-vault-wrap-ttl", "1h")
            .header("content-type", "application/json")
            .body(Body::from(r#"{"secret": "x"}"#));
        let wrapped = text(&tower.send(wrap.unwrap()).await.ok()["wrap_info"]["token"]);
        let key = "/v1/state/strongbox/transit-keys/theirs/encrypt";
        let ciphertext = text(&tower.post(key, &a, json!({"plaintext": "aGk="})).await.ok()["ciphertext"]);

        let (theirs, nobody) = (text(&child["accessor"]), "0123456789abcdef0123456789abcdef".to_owned());
        let mut pairs = vec![
            ("$NAME", "theirs".to_owned(), "nobody".to_owned()),
            ("$TENANT", "ten-a".to_owned(), "ten-x".to_owned()),
            // Of one that publishes nothing as yet: what is published, anybody may read.
            ("$QUIET", "ten-c".to_owned(), "ten-x".to_owned()),
            ("$QUIET-ID", id("ten-c").await, "01234567-89ab-4def-8123-456789abcdef".to_owned()),
            ("$ID", id("ten-a").await, "01234567-89ab-4def-8123-456789abcdef".to_owned()),
            ("$ACCESSOR", theirs, nobody.clone()),
            ("$SECRET-ACCESSOR", secret_accessor, nobody),
            ("$TOKEN", text(&child["token"]), other(child["token"].as_str().unwrap())),
            ("$WRAPPED", wrapped.clone(), other(&wrapped)),
            ("$ROLE-ID", role_id.clone(), "01234567-89ab-4def-8123-456789abcdef".to_owned()),
            ("$SECRET-ID", secret_id.clone(), other(&secret_id)),
            ("$CIPHERTEXT", ciphertext.clone(), other(&ciphertext)),
        ];
        // The longest first, as some begin alike.
        pairs.sort_by_key(|(name, ..)| std::cmp::Reverse(name.len()));

        let orphan = text(&tower.post(&format!("{TOKEN}/create"), &b, json!({})).await.ok()["token"]);
        for (name, kind) in [("batch", "batch"), ("plain", "service")] {
            let policies: &[&str] = if kind == "batch" { &["administrator"] } else { &[] };
            let role = json!({"name": name, "token-type": kind, "token-policies": policies, "token-ttl": "12h"});
            tower.post(ROLES, &b, role).await.ok();
        }
        let mut own = vec![("administrator", Some(b.clone())), ("child", Some(orphan)), ("none", None)];
        for name in ["batch", "plain"] {
            let (role_id, secret_id) = tower.secret(&b, name, json!({})).await;
            own.push((name, Some(text(&tower.log_in(&role_id, &secret_id).await.ok()["token"]))));
        }
        own.push(("wrapping", Some(wrapped)));
        own.push(("bogus", Some("bogus".to_owned())));
        let theirs = id("ten-a").await;
        let before = part(&tower, &theirs).await;
        Self { tower, theirs, before, their_token: a, their_secret: (role_id, secret_id), own, pairs }
    }

    /// A text with what stands for something replaced: as the other tenant has it, or as nobody has.
    fn fill(&self, text: &str, exists: bool) -> String {
        self.pairs.iter().fold(text.to_owned(), |text, (name, theirs, nobody)| {
            text.replace(name, if exists { theirs } else { nobody })
        })
    }

    /// An answer without what is random, and with one name for what was asked about.
    fn plain(&self, answer: &Reply) -> (u16, String, String) {
        let replace = |text: &str| {
            let text = self.pairs.iter().fold(text.to_owned(), |text, (name, theirs, nobody)| {
                let (theirs, nobody) = (text.replace(theirs.as_str(), name), nobody);
                theirs.replace(nobody.as_str(), name)
            });
            // Pairs that share what nobody has are one.
            let text = text.replace("$QUIET-ID", "$ID").replace("$ROLE-ID", "$ID").replace("$QUIET", "$TENANT");
            without_randomness(&text.replace("$SECRET-ACCESSOR", "$ACCESSOR"))
        };
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "content-length")
            .map(|(name, value)| match name.as_str() {
                "etag" => "etag: ~".to_owned(),
                _ => format!("{name}: {}", replace(&String::from_utf8_lossy(value.as_bytes()))),
            })
            .collect();
        headers.sort();
        (answer.status.as_u16(), headers.join("\n"), replace(&String::from_utf8_lossy(&answer.bytes)))
    }

    async fn send(&self, ask: &Ask<'_>, exists: bool) -> Reply {
        let mut request = Request::builder().method(ask.method).uri(self.fill(&ask.path, exists));
        if let Some(token) = ask.token {
            request = request.header(
                if ask.is_vault { "x-vault-token" } else { "authorization" },
                match ask.is_vault {
                    true => token.to_owned(),
                    false => format!("Bearer {token}"),
                },
            );
        }
        if let Some(namespace) = ask.namespace {
            request = request.header("x-vault-namespace", self.fill(namespace, exists));
        }
        let kind = if ask.path.starts_with("/v1/bulk") { "application/yaml" } else { "application/json" };
        let request = request.header("content-type", kind).body(Body::from(self.fill(&ask.body, exists)));
        self.tower.send(request.unwrap()).await
    }

    /// Asks about what the other has and about what nobody has.
    async fn assert_alike(&self, ask: &Ask<'_>) -> u16 {
        let (theirs, nobody) = (self.send(ask, true).await, self.send(ask, false).await);
        assert_eq!(self.plain(&theirs), self.plain(&nobody), "{ask:?}");
        let answer = String::from_utf8_lossy(&theirs.bytes);
        let asked = self.fill(&format!("{}{}", ask.path, ask.body), true);
        for (name, value, _) in &self.pairs {
            let known = ["$NAME", "$TENANT", "$QUIET"].contains(name) || asked.contains(value.as_str());
            assert!(known || !answer.contains(value.as_str()), "{ask:?} tells {name}: {answer}");
        }
        theirs.status.as_u16()
    }
}

/// Whether a refusal says that the body is not of the fields that the route has.
fn is_misread(answer: &Reply) -> bool {
    let text = String::from_utf8_lossy(&answer.bytes);
    ["`: missing", "`: unknown", "JSON body"].iter().any(|part| text.contains(part))
}

/// One request, with names for what differs.
#[derive(Debug)]
struct Ask<'a> {
    method: &'a str,
    path: String,
    body: String,
    token: Option<&'a str>,
    namespace: Option<&'a str>,
    is_vault: bool,
}

/// Everything of a tenant in the store.
async fn part(tower: &Tower, id: &str) -> Vec<Entry> {
    snapshot(&**tower.app.db.store(), &layout::everything(&id.parse().unwrap())).await.unwrap().1
}

/// Long words with digits in them (ids, tokens, ciphertexts, PEM), numbers of revisions and of records.
fn without_randomness(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+/=_.-".contains(c);
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let (between, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_word(c)).unwrap_or(from.len()));
        plain.push_str(between);
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit()) && plain.ends_with("\"revision\":");
        let is_count = word.bytes().all(|byte| byte.is_ascii_digit())
            && (plain.ends_with("\"seq\":") || plain.ends_with("\"next\":"));
        // Step 1 of a login lists passkeys that nobody has, others for each address.
        let is_passkey = word.len() >= 16 && (plain.ends_with("\"id\":\"") || plain.ends_with("&quot;id&quot;:&quot;"));
        let is_mixed = word.bytes().any(|b| b.is_ascii_uppercase()) && word.bytes().any(|b| b.is_ascii_lowercase());
        if (word.len() >= 16 && digits >= 2) || (word.len() >= 30 && is_mixed) || is_passkey || is_number || is_count {
            plain.push('~');
        } else {
            plain.push_str(word);
        }
        rest = after;
    }
    plain + rest
}

/// What the routes want to be asked, as far as that matters: `end of the path`, body.
const BODIES: &[(&str, &str)] = &[
    ("/v1/approle-login", r#"{"role-id": "$ROLE-ID", "secret-id": "wrong"}"#),
    ("/v1/login", r#"{"username": "admin", "password": "wrong", "tenant": "$TENANT"}"#),
    ("/v1/login", r#"{"username": "admin", "password": "wrong", "tenant": "$ID"}"#),
    ("/v1/login/cli", r#"{"code": "$NAME", "verifier": "wrong"}"#),
    ("/v1/login/enrolment-link", r#"{"link": "$NAME", "embedder": true}"#),
    ("/v1/account/passkeys/{id}", r#"{"name": "$NAME"}"#),
    ("/v1/account/password", r#"{"current": "wrong", "new": "kessel run in twelve"}"#),
    ("/v1/account/remember", r#"{"remember": true}"#),
    ("/v1/spiffe-login", r#"{"tenant": "$TENANT", "name": "$NAME", "jwt-svid": "a.b.c"}"#),
    ("/v1/auth/approle/login", r#"{"role_id": "$ROLE-ID", "secret_id": "wrong"}"#),
    ("/v1/get-spiffe-jwks", r#"{"tenant": "$QUIET"}"#),
    ("/v1/get-spiffe-bundle", r#"{"tenant": "$QUIET-ID"}"#),
    ("{*path}", r#"{"name": "$NAME"}"#),
    ("{*path}", r#"{"name": "$NAME", "fixed-role-id": "$ROLE-ID"}"#),
    ("{*path}", r#"{"jwt-signing-key": "$NAME", "trust-domain": "$TENANT.tower.example"}"#),
    ("/v1/bulk", "x-path: strongbox/transit-keys/$NAME\nx-operation: merge\nexportable: true\n"),
    ("/v1/bulk", "x-path: strongbox/policies/$NAME\nx-operation: delete\n"),
    ("/v1/bulk", "x-path: tenants/$TENANT\nx-operation: delete\n"),
    ("-accessor", r#"{"accessor": "$ACCESSOR"}"#),
    ("-secret-id", r#"{"accessor": "$SECRET-ACCESSOR"}"#),
    ("generate-secret-id", "{}"),
    ("/secret-id/lookup", r#"{"secret_id": "$SECRET-ID"}"#),
    ("/secret-id/destroy", r#"{"secret_id": "$SECRET-ID"}"#),
    ("/secret-id-accessor/lookup", r#"{"secret_id_accessor": "$SECRET-ACCESSOR"}"#),
    ("/secret-id-accessor/destroy", r#"{"secret_id_accessor": "$SECRET-ACCESSOR"}"#),
    ("/token/lookup", r#"{"token": "$TOKEN"}"#),
    ("/token/renew", r#"{"token": "$TOKEN"}"#),
    ("/token/revoke", r#"{"token": "$TOKEN"}"#),
    ("/wrapping/rewrap", r#"{"token": "$WRAPPED"}"#),
    ("/encrypt", r#"{"plaintext": "aGk="}"#),
    ("/encrypt/{name}", r#"{"plaintext": "aGk="}"#),
    ("/decrypt", r#"{"ciphertext": "$CIPHERTEXT"}"#),
    ("/decrypt/{name}", r#"{"ciphertext": "$CIPHERTEXT"}"#),
    ("/rewrap", r#"{"ciphertext": "$CIPHERTEXT"}"#),
    ("/rewrap/{name}", r#"{"ciphertext": "$CIPHERTEXT"}"#),
    ("/hmac", r#"{"input": "aGk="}"#),
    ("/hmac/{name}", r#"{"input": "aGk="}"#),
    ("/sign", r#"{"input": "aGk="}"#),
    ("/sign/{name}", r#"{"input": "aGk="}"#),
    ("/aws-trust-policy", r#"{"role": "$NAME"}"#),
    ("/policies/capabilities", r#"{"path": "/v1/x", "subject": "approle/$NAME"}"#),
    ("/policies/explain", r#"{"path": "/v1/x", "operation": "read", "subject": "approle/$NAME"}"#),
    ("/policies/explain", r#"{"path": "/v1/x", "operation": "read", "subject": "user/$NAME"}"#),
    ("/policies/who-may", r#"{"path": "/v1/state/strongbox/transit-keys/$NAME", "operation": "read"}"#),
    ("/capabilities-self", r#"{"paths": ["transit/keys/$NAME"]}"#),
    ("/sys/capabilities", r#"{"token": "$TOKEN", "paths": ["transit/keys/$NAME"]}"#),
    ("/capabilities-accessor", r#"{"accessor": "$ACCESSOR", "paths": ["transit/keys/$NAME"]}"#),
    ("/lowest-versions", r#"{"min-decryption-version": 1}"#),
    ("/trim", r#"{"min-available-version": 1}"#),
    ("/trim", r#"{"min_available_version": 1}"#),
    ("/export", r#"{"kind": "encryption-key"}"#),
    ("/restore", r#"{"backup": "$CIPHERTEXT"}"#),
    ("/restore/{name}", r#"{"backup": "$CIPHERTEXT"}"#),
    ("/import", r#"{"key": "$CIPHERTEXT"}"#),
    ("/import", r#"{"ciphertext": "aGk="}"#),
    ("/import_version", r#"{"ciphertext": "aGk="}"#),
    ("/verify", r#"{"input": "aGk=", "signature": "$CIPHERTEXT"}"#),
    ("/verify/{name}", r#"{"input": "aGk=", "signature": "$CIPHERTEXT"}"#),
    ("/{hash}", r#"{"input": "aGk=", "signature": "$CIPHERTEXT"}"#),
    ("/transit/hash", r#"{"input": "aGk="}"#),
    ("/tools/hash", r#"{"input": "aGk="}"#),
    ("/{algorithm}", r#"{"input": "aGk="}"#),
    ("/policies/acl/{name}", r#"{"policy": "path \"transit/keys/$NAME\" { capabilities = [\"read\"] }"}"#),
    ("/policy/{name}", r#"{"policy": "path \"transit/keys/$NAME\" { capabilities = [\"read\"] }"}"#),
    ("/role-id", r#"{"role_id": "$ROLE-ID"}"#),
    ("/custom-secret-id", r#"{"secret_id": "$SECRET-ID"}"#),
];

/// Where documents are that another tenant may have.
const DOCUMENTS: &[&str] = &[
    "strongbox/transit-keys/$NAME",
    "strongbox/policies/$NAME",
    "strongbox/authentication/approles/$NAME",
    "strongbox/authentication/spiffe/$NAME",
    "system/ca/$NAME",
    "system/sites/$NAME",
    "system/call-home/settings",
    "strongbox/authentication/spiffe-settings",
    "tenants/$TENANT",
    "federation/$NAME.example",
    "strongbox/transit-keys",
    "nothing/$NAME",
];

/// What the path of a route is about.
fn path(route: &Route, pick: usize) -> String {
    let tenant = if route.path.starts_with("/v1/state/tenants") { "$TENANT" } else { "$NAME" };
    let path = route.path.replace("{*path}", DOCUMENTS[pick % DOCUMENTS.len()]).replace("{name}", tenant);
    let path = path.replace("{tenant}", ["$QUIET-ID", "$QUIET"][pick % 2]);
    let path = path.replace("{hash}", "sha2-256").replace("{algorithm}", "sha2-256").replace("{bytes}", "64");
    let path = path.replace("{kind}", ["encryption-key", "plaintext"][pick % 2]).replace("{version}", "1");
    let path = path.replace("mounts/{path}", "mounts/transit").replace("auth/{path}", "auth/approle");
    // Whatever else there comes to be.
    let words: Vec<&str> = path.split('/').map(|word| if word.starts_with('{') { "$NAME" } else { word }).collect();
    let path = words.join("/");
    match route.path {
        "/v1/get-spiffe-jwks" | "/v1/get-spiffe-bundle" => {
            format!("{path}?tenant={}", ["$QUIET", "$QUIET-ID"][pick % 2])
        }
        "/v1/state/audit" => format!("{path}?since=1000000"),
        _ => path,
    }
}

fn is_vault(path: &str) -> bool {
    ["/v1/sys/", "/v1/transit/", "/v1/auth/"].iter().any(|prefix| path.starts_with(prefix))
}

/// A sequence that is the same at each run.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[tokio::test]
async fn no_route_tells_what_another_tenant_has() {
    let world = World::new().await;
    let full = std::env::var_os("KEYWARD_FULL").is_some();
    let mut sequence = Sequence(7);
    let mut understood: BTreeSet<String> = BTreeSet::new();
    let namespaces = [None, None, Some("$TENANT"), Some("$ID"), Some("ten-b")];
    for route in routes() {
        // The owner of a wrapping token is whoever has it; what ends the caller's own token comes last.
        let by_possession = ["/v1/sys/wrapping/unwrap", "/v1/sys/wrapping/lookup"].contains(&route.path);
        let ends_itself =
            route.path.ends_with("/token/revoke") && !is_vault(route.path) || route.path.ends_with("revoke-self");
        // That one answers with a random salt or number, which no two answers share.
        if by_possession || ends_itself {
            continue;
        }
        let fitting: Vec<&str> =
            BODIES.iter().filter(|(end, _)| route.path.ends_with(end)).map(|(_, body)| *body).collect();
        let mut asks: Vec<(usize, &str, usize, Option<&str>)> = Vec::new();
        // With a good token and without any each fitting body and each place, …
        let places = if route.path.contains("{*path}") { DOCUMENTS.len() } else { 2 };
        for pick in 0..places {
            for body in fitting.iter().copied().chain(["{}"]) {
                asks.push((pick, body, 0, None));
            }
        }
        // … and whatever else as it comes.
        for _ in 0..if full { 200 } else { 8 } {
            let body = match sequence.next(3) {
                0 => BODIES[sequence.next(BODIES.len())].1,
                _ if fitting.is_empty() => "{}",
                _ => fitting[sequence.next(fitting.len())],
            };
            let token = sequence.next(world.own.len());
            asks.push((sequence.next(100), body, token, namespaces[sequence.next(namespaces.len())]));
        }
        for (pick, body, token, namespace) in asks {
            let (kind, token) = &world.own[token];
            let ask = Ask {
                method: route.method,
                path: path(&route, pick),
                body: body.to_owned(),
                token: token.as_deref(),
                namespace,
                is_vault: is_vault(route.path),
            };
            let status = world.assert_alike(&ask).await;
            assert!(status < 500, "{ask:?}: {status}");
            let refused = match kind {
                &("none" | "wrapping" | "bogus") => route.access != Access::Public,
                _ => false,
            };
            assert!(!refused || status >= 400, "{kind} gets in: {ask:?}");
            let is_read = status != 400 || !is_misread(&world.send(&ask, true).await);
            if *kind == "administrator" && namespace.is_none() && is_read {
                understood.insert(format!("{} {}", route.method, route.path));
            }
        }
    }
    // Each route was asked something that it understands, so that what it answers is about what is there.
    let never: Vec<String> = routes()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .filter(|route| !understood.contains(route) && !NOT_UNDERSTOOD.iter().any(|part| route.contains(part)))
        .collect();
    assert!(never.is_empty(), "add bodies for {never:#?}");

    // Nothing of the other tenant was changed, used up or ended.
    let after = part(&world.tower, &world.theirs).await;
    assert_eq!(world.before, after);
    world.tower.get(TOKEN, &world.their_token).await.ok();
    let (role_id, secret_id) = &world.their_secret;
    world.tower.log_in(role_id, secret_id).await.ok();
}

/// Routes that refuse everything, or that this test leaves to others for the reason beside each.
const NOT_UNDERSTOOD: &[&str] = &[
    // Always 400.
    "/authorize",
    "POST /v1/sys/mounts/{path}",
    "POST /v1/sys/auth/{path}",
    // Whoever has the token has the answer.
    "/v1/sys/wrapping/",
    // They end the caller's token.
    "POST /v1/state/strongbox/token/revoke",
    "revoke-self",
];

#[tokio::test]
async fn a_token_is_of_no_use_in_another_tenant() {
    let world = World::new().await;
    for route in routes().iter().filter(|route| route.access != Access::Public) {
        for namespace in ["ten-b", "ten-c", "ten-x", "default", "01234567-89ab-4def-8123-456789abcdef"] {
            let ask = Ask {
                method: route.method,
                path: path(route, 0),
                body: "{}".to_owned(),
                token: Some(&world.their_token),
                namespace: Some(namespace),
                is_vault: is_vault(route.path),
            };
            let answer = world.send(&ask, true).await;
            assert_eq!(answer.refused(403), "permission denied: the token is not of that namespace", "{ask:?}");
        }
    }
    assert_eq!(world.before, part(&world.tower, &world.theirs).await);
}

#[tokio::test]
async fn what_is_counted_for_everybody_names_nobody_elses_partners() {
    let world = World::new().await;
    let b = world.own[0].1.clone().unwrap();
    let document = json!({
        "trust-domain": "partner.example",
        "bundle-endpoint-url": "https://127.0.0.1:1/bundle",
        "bundle-endpoint-profile": "https_web",
    });
    let made = world.tower.post("/v1/config/federation", &b, document).await;
    assert!(made.status.is_success(), "{made:?}");
    control_tower::tasks::run_due(&world.tower.app).await;
    let metrics = async |token: Option<&str>| {
        let answer = world.tower.call("GET", "/metrics", token, None).await;
        assert!(answer.status.is_success());
        String::from_utf8_lossy(&answer.bytes).into_owned()
    };
    for token in [None, Some(b.as_str()), Some(&world.their_token)] {
        assert!(!metrics(token).await.contains("partner.example"), "{token:?}");
    }
    assert!(metrics(Some(&world.tower.administrator().await)).await.contains("partner.example"));
}
