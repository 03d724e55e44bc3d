//! Logins at an OpenID provider: one that is made here, honest or not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;
#[path = "support/browser.rs"]
mod support_browser;

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::HeaderMap, routing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::Tower;
use support_browser::Browser;

const USERS: &str = "/v1/config/strongbox/authentication/users";
/// Where the provider sends browsers back to.
const BACK: &str = "https://tower.example/login/oidc/default/entra/callback";
const PROVIDERS: &str = "/v1/config/strongbox/authentication/oidc";

/// What the provider says.
struct Fake {
    url: String,
    /// What the browser was sent with.
    challenge: String,
    nonce: String,
    subject: &'static str,
    /// In place of what is right.
    issuer: Option<String>,
    audience: &'static str,
    kid: &'static str,
    seed: u8,
    age: i64,
    /// When it says that it asked who it is, before now.
    asked: Option<i64>,
    now: i64,
    exchanged: usize,
}

type Shared = Arc<Mutex<Fake>>;

fn key(seed: u8) -> p256::SecretKey {
    p256::SecretKey::from_slice(&Sha256::digest([seed])).unwrap()
}

async fn configuration(State(fake): State<Shared>) -> Json<Value> {
    let url = fake.lock().unwrap().url.clone();
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize?tenant=1"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(State(fake): State<Shared>) -> Json<Value> {
    let fake = fake.lock().unwrap();
    let point = key(fake.seed).public_key().as_affine().to_owned();
    let point = p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(&point, false);
    let (x, y) = (B64.encode(point.x().unwrap()), B64.encode(point.y().unwrap()));
    Json(
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": fake.kid, "x": x, "y": y}]}),
    )
}

async fn token(State(fake): State<Shared>, headers: HeaderMap, body: String) -> (axum::http::StatusCode, Json<Value>) {
    let mut fake = fake.lock().unwrap();
    let field = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or("");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("tower:hush"));
    assert_eq!(headers["authorization"], basic.as_str());
    let proved = B64.encode(Sha256::digest(field("code_verifier"))) == fake.challenge;
    if field("code") != "good"
        || !proved
        || !field("redirect_uri").ends_with("%2Flogin%2Foidc%2Fdefault%2Fentra%2Fcallback")
    {
        return (axum::http::StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})));
    }
    fake.exchanged += 1;
    let mut claims = json!({
        "iss": fake.issuer.as_ref().unwrap_or(&fake.url),
        "sub": fake.subject, "aud": fake.audience, "nonce": fake.nonce,
        "iat": fake.now - fake.age, "exp": fake.now - fake.age + 300, "email": "ann@example.com",
    });
    if let Some(asked) = fake.asked {
        claims["auth_time"] = json!(fake.now - asked);
    }
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some(fake.kid.to_owned());
    let der = key(fake.seed).to_pkcs8_der().unwrap();
    let token =
        jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_ec_der(der.as_bytes())).unwrap();
    let answer = json!({"access_token": "a", "token_type": "Bearer", "id_token": token});
    (axum::http::StatusCode::OK, Json(answer))
}

async fn provider(now: time::OffsetDateTime) -> (Shared, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let fake = Arc::new(Mutex::new(Fake {
        url,
        challenge: String::new(),
        nonce: String::new(),
        subject: "248289761001",
        issuer: None,
        audience: "tower",
        kid: "one",
        seed: 1,
        age: 0,
        asked: None,
        now: now.unix_timestamp(),
        exchanged: 0,
    }));
    let router = Router::new()
        .route("/.well-known/openid-configuration", routing::get(configuration))
        .route("/jwks", routing::get(jwks))
        .route("/token", routing::post(token))
        .with_state(Arc::clone(&fake));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (fake, server)
}

fn parameter(url: &str, name: &str) -> String {
    let value = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap();
    value.replace("%3A", ":").replace("%2F", "/")
}

/// To the provider: what the browser is sent with.
async fn sent(tower: &Tower, fake: &Shared, email: &str) -> (Browser, String) {
    let mut browser = Browser::new();
    browser.identify(tower, email, "default").await;
    let page = browser.step(tower, "external", json!({"provider": "entra"})).await;
    assert_eq!(page["page"]["title"], "Azure Entra ID", "what people call it");
    let url = page["page"]["url"].as_str().unwrap_or_else(|| panic!("{page}")).to_owned();
    assert_eq!(parameter(&url, "redirect_uri"), BACK);
    assert_eq!(
        (parameter(&url, "code_challenge_method"), parameter(&url, "client_id")),
        ("S256".into(), "tower".into())
    );
    let mut fake = fake.lock().unwrap();
    (fake.challenge, fake.nonce) = (parameter(&url, "code_challenge"), parameter(&url, "nonce"));
    (browser, parameter(&url, "state"))
}

async fn back(tower: &Tower, browser: &mut Browser, fake: &Shared, state: &str) -> Value {
    let url = fake.lock().unwrap().url.clone();
    let body = json!({"callback": {"state": state, "code": "good", "iss": url}, "redirect-uri": BACK});
    browser.step(tower, "callback", body).await
}

/// A tower whose users may log in at a provider, its administrator's token, and that provider.
async fn with_provider() -> (Tower, String, Shared, tokio::task::JoinHandle<()>) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let (fake, server) = provider(tower.app.clock.now()).await;
    let url = fake.lock().unwrap().url.clone();
    let document = json!({"name": "entra", "title": "Azure Entra ID", "issuer": url, "client-id": "tower", "client-secret": "hush"});
    tower.post(PROVIDERS, &admin, document).await.ok();
    (tower, admin, fake, server)
}

#[tokio::test]
async fn a_user_logs_in_at_a_provider() {
    let (tower, admin, fake, server) = with_provider().await;
    let url = fake.lock().unwrap().url.clone();
    let stored = tower.get(&format!("{PROVIDERS}/entra"), &admin).await.ok();
    assert!(stored.get("client-secret").is_none(), "{stored}");
    let state = tower.get("/v1/state/strongbox/authentication/oidc/entra", &admin).await.ok();
    assert_eq!((&state["answering"], &state["has-client-secret"]), (&json!(true), &json!(true)), "{state}");
    let external = json!([{"provider": "entra", "issuer": url, "subject": "248289761001"}]);
    tower.post(USERS, &admin, json!({"name": "ann@example.com", "external": external})).await.ok();
    // The secret goes to nobody but whom it was given for.
    let elsewhere = json!({"issuer": "https://evil.example"});
    let path = format!("{PROVIDERS}/entra");
    let refused = tower.call("PATCH", &path, Some(&admin), Some(elsewhere)).await.refused(400);
    assert!(refused.contains("another issuer"), "{refused}");
    // OpenID Connect Discovery 1.0 §3.
    for bad in ["https://id.example/?tenant=1", "https://id.example/#b2"] {
        let document = json!({"name": "bad", "issuer": bad, "client-id": "tower"});
        let refused = tower.post(PROVIDERS, &admin, document).await;
        let error = &refused.json()["errors"][0];
        assert_eq!((refused.status.as_u16(), &error["error-info"]["field"]), (400, &json!("issuer")), "{error}");
    }
    // Somebody at a provider is one user.
    let second = json!({"name": "bob@example.com", "external": external});
    assert!(tower.post(USERS, &admin, second).await.refused(409).contains("another user"));
    // Of the same address there, and nobody here.
    tower.post(USERS, &admin, json!({"name": "eve@example.com"})).await.ok();

    let mut first = Browser::new();
    let page = first.identify(&tower, "ann@example.com", "default").await;
    assert_eq!(page["page"]["authenticators"][1], json!({"authenticator": "entra", "title": "Azure Entra ID"}));
    let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
    let done = back(&tower, &mut browser, &fake, &state).await;
    assert_eq!(done["state"], "logged-in", "{done}");
    let account = browser.get(&tower, "/v1/account").await.ok();
    assert_eq!((&account["authenticator"], &account["proofs"]), (&json!("entra"), &json!(["external"])));
    // The answer again is nobody's.
    assert_eq!(back(&tower, &mut browser, &fake, &state).await["state"], "over");

    // Another login's state, another issuer's answer, none, a refusal: each ends the login.
    for change in [
        json!({"state": "another"}),
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"code": null, "error": "access_denied"}),
    ] {
        let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
        let mut callback = json!({"state": state, "code": "good", "iss": url});
        callback.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let over = browser.step(&tower, "callback", json!({"callback": callback, "redirect-uri": BACK})).await;
        assert_eq!(over["state"], "over", "{change}");
    }
    // A provider that says nothing of itself sends the browser to its own address.
    let second = json!({"name": "evil", "issuer": "https://evil.example", "client-id": "tower"});
    tower.post(PROVIDERS, &admin, second).await.ok();
    let other = tower.get("/v1/state/strongbox/authentication/oidc/evil", &admin).await.ok();
    let other = other["redirect-uri"].as_str().unwrap().to_owned();
    assert_eq!(other, BACK.replace("entra", "evil"));
    let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
    let path = format!("{}?state={state}&code=good&iss={url}", other.strip_prefix("https://tower.example").unwrap());
    assert_eq!(browser.get(&tower, &path).await.status.as_u16(), 401);
    let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
    let body = json!({"callback": {"state": state, "code": "good", "iss": url}, "redirect-uri": other});
    assert_eq!(browser.step(&tower, "callback", body).await["state"], "over");
    assert_eq!(fake.lock().unwrap().exchanged, 1, "no code went to anybody");

    // Tokens that are not of this login, or of nobody here.
    let wrong: [fn(&mut Fake); 6] = [
        |fake| fake.nonce = "another".to_owned(),
        |fake| fake.subject = "somebody else",
        |fake| fake.issuer = Some("https://evil.example".to_owned()),
        |fake| fake.audience = "another",
        |fake| fake.age = 3600,
        |fake| fake.challenge = "another".to_owned(),
    ];
    for (at, wrong) in wrong.into_iter().enumerate() {
        let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
        wrong(&mut fake.lock().unwrap());
        let refused = back(&tower, &mut browser, &fake, &state).await;
        assert!(refused["state"] != "logged-in" && !browser.has_session(), "{at}: {refused}");
        if at == 1 {
            // They proved who they are there: it is no secret from them that nobody here is, nor what to do.
            let told = refused["error-message"].as_str().unwrap();
            assert!(told.contains("ask an administrator to bind it to you"), "{refused}");
            let log = tower.audit(&admin).await;
            let seen =
                log.iter().map(|record| &record["detail"]).find(|detail| detail["reason"] == "not-bound").unwrap();
            assert_eq!((&seen["issuer"], &seen["subject"]), (&json!(url), &json!("somebody else")));
        }
        let mut fake = fake.lock().unwrap();
        (fake.subject, fake.issuer, fake.audience, fake.age) = ("248289761001", None, "tower", 0);
    }
    // In the browser itself: the only step by a link.
    let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
    let path = format!("{}?state={state}&code=good&iss={url}", BACK.strip_prefix("https://tower.example").unwrap());
    let through = browser.get(&tower, &path).await;
    assert_eq!((through.status.as_u16(), browser.has_session()), (303, true));
    // Inside the session the provider has to have asked again.
    for (asked, state) in [(None, "over"), (Some(3600), "over"), (Some(10), "logged-in")] {
        browser.get(&tower, "/v1/account").await.ok();
        let page = browser.post(&tower, "/v1/account/step-up", json!({"next": "/account"})).await.ok();
        assert_eq!(page["page"]["step"], "method", "{page}");
        let page = browser.step(&tower, "external", json!({"provider": "entra"})).await;
        let at = page["page"]["url"].as_str().unwrap().to_owned();
        assert!(at.contains("&prompt=login&max_age=300"), "{at}");
        let of_login = parameter(&at, "state");
        {
            let mut fake = fake.lock().unwrap();
            (fake.challenge, fake.nonce) = (parameter(&at, "code_challenge"), parameter(&at, "nonce"));
            fake.asked = asked;
        }
        let done = back(&tower, &mut browser, &fake, &of_login).await;
        assert_eq!(done["state"], state, "{asked:?}: {done}");
    }
    fake.lock().unwrap().asked = None;
    // Whoever was named is who comes back.
    let (mut browser, state) = sent(&tower, &fake, "eve@example.com").await;
    assert_ne!(back(&tower, &mut browser, &fake, &state).await["state"], "logged-in");
    // Another key than before, under another name: fetched once more.
    {
        let mut fake = fake.lock().unwrap();
        (fake.seed, fake.kid) = (2, "two");
    }
    tower.pass(time::Duration::minutes(1)).await;
    fake.lock().unwrap().now += 60;
    let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
    assert_eq!(back(&tower, &mut browser, &fake, &state).await["state"], "logged-in");

    // It does not answer: it is shown, and cannot be chosen.
    server.abort();
    let _ = server.await;
    tower.pass(time::Duration::minutes(11)).await;
    let mut browser = Browser::new();
    let page = browser.identify(&tower, "ann@example.com", "default").await;
    let entra = &page["page"]["authenticators"][1];
    assert_eq!(
        (&entra["unavailable"], &entra["reason"]),
        (&json!("not-answering"), &json!("the provider does not answer at the moment"))
    );
    let page = browser.step(&tower, "external", json!({"provider": "entra"})).await;
    assert_eq!(page["error-message"], "this way to log in is not available now");
    assert!(tower.get("/v1/state/strongbox/authentication/oidc/entra", &admin).await.ok()["error"].is_string());
}

/// A browser that went there again by itself would be sent back at once by a provider that still knows its user, and so on without end.
#[tokio::test]
async fn a_browser_stays_here_after_a_login_that_the_provider_did_not_confirm() {
    let (tower, _, fake, server) = with_provider().await;
    let url = fake.lock().unwrap().url.clone();
    let (mut browser, state) = sent(&tower, &fake, "ann@example.com").await;
    assert!(browser.get(&tower, "/login").await.headers.contains_key("refresh"), "it goes there by itself");
    let refused = format!("/login/oidc/default/entra/callback?state={state}&code=bad&iss={url}");
    let reply = browser.get(&tower, &refused).await;
    let text = String::from_utf8_lossy(&reply.bytes);
    assert_eq!(reply.status, 401, "{text}");
    assert!(!reply.headers.contains_key("refresh"), "{:?}", reply.headers);
    assert!(text.contains("The provider did not confirm the login; try again, or log in another way."), "{text}");
    assert!(text.contains("Try again at Azure Entra ID"), "{text}");
    server.abort();
}

/// The list of step 2 tells no tenant that has no providers from one that is not there.
#[tokio::test]
async fn a_tenant_that_is_not_there_offers_what_one_without_providers_does() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let document = json!({"name": "entra", "issuer": "https://unreachable.invalid", "client-id": "tower"});
    tower.post(PROVIDERS, &admin, document).await.ok();
    tower.post("/v1/config/tenants", &admin, json!({"name": "acme"})).await.ok();
    let mut offered = Vec::new();
    for tenant in ["", "default", "acme", "nowhere"] {
        let page = Browser::new().identify(&tower, "ann@example.com", tenant).await;
        offered.push(page["page"]["authenticators"].as_array().unwrap_or_else(|| panic!("{page}")).len());
        // Nor does choosing one.
        let mut browser = Browser::new();
        browser.identify(&tower, "ann@example.com", tenant).await;
        let reply = browser.post(&tower, "/v1/login/flow/external", json!({"provider": "entra"})).await;
        assert_eq!(reply.status, 200, "{tenant}: {}", reply.json());
    }
    assert_eq!(offered, [2, 2, 1, 1]);
}
