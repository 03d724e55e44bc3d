//! Logins of people, over the real router: what they go through, and what attackers try.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[allow(dead_code)]
#[path = "../../../webauthn-login/tests/common/authenticator.rs"]
mod authenticator;
mod support;
#[path = "support/browser.rs"]
mod support_browser;

use authenticator::{Soft, Wrong};
use control_tower::store::Store as _;
use serde_json::{Value, json};
use support::{Reply, START, Tower};
use support_browser::{Browser, telephone};
use time::Duration;

const PASSWORD: &str = "kessel run in twelve";
const OTHER: &str = "never tell me the odds";
const USERS: &str = "/v1/config/strongbox/authentication/users";
const STATE: &str = "/v1/state/strongbox/authentication/users";

/// Of this tower.
fn honest() -> Wrong {
    Wrong { origin: Some("https://tower.example"), rp_id: Some("tower.example"), ..Wrong::default() }
}

fn answer(text: &str) -> Value {
    json!({"response": serde_json::from_str::<Value>(text).unwrap()})
}

async fn user(tower: &Tower, admin: &str, name: &str, more: Value) {
    let mut document = json!({"name": name, "policies": ["administrator"]});
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tower.post(USERS, admin, document).await.ok();
}

async fn api(tower: &Tower, name: &str, password: &str, otp: Option<&str>) -> Reply {
    let mut body = json!({"username": name, "password": password});
    if let Some(otp) = otp {
        body["otp"] = otp.into();
    }
    tower.call("POST", "/v1/login", None, Some(body)).await
}

/// A user who has logged in with a password and made a passkey.
async fn with_passkey(tower: &Tower, name: &str, seed: u8) -> (Browser, Soft) {
    let mut browser = Browser::new();
    let page = browser.password(tower, name, "default", PASSWORD).await;
    assert_eq!(page["page"]["step"], "offer", "{page}");
    let page = browser.step(tower, "enrol", json!({"method": "passkey"})).await;
    let mut key = Soft::new(seed);
    let made = key.create_wrong(&page["page"]["options"], &honest());
    let page = browser.step(tower, "enrol", answer(&made)).await;
    assert_eq!(page["signal"]["method"], "signalAllAcceptedCredentials", "{page}");
    let used = key.get_wrong(&page["page"]["passkey"], &honest());
    let page = browser.step(tower, "passkey", answer(&used)).await;
    assert_eq!(page["state"], "logged-in", "{page}");
    (browser, key)
}

#[tokio::test]
async fn the_first_administrator_sets_another_password_in_the_browser() {
    let tower = Tower::fresh().await;
    let given = tower.credentials.as_ref().unwrap().password.to_string();
    // Programs go on with the one that was printed.
    let admin = tower.administrator().await;
    let mut browser = Browser::new();
    let page = browser.password(&tower, "admin", "", &given).await;
    assert_eq!(page["page"], json!({"step": "set-password", "min-length": 12}));
    assert!(!browser.has_session());
    // Nothing leads around it, and it is no new one.
    for step in ["finish", "skip"] {
        let page = browser.step(&tower, step, json!({})).await;
        assert_eq!(page["page"]["step"], "set-password");
    }
    let short = browser.step(&tower, "password", json!({"password": "short"})).await;
    assert!(short["error-message"].as_str().unwrap().contains("12 characters"), "{short}");
    let same = browser.step(&tower, "password", json!({"password": given})).await;
    assert_eq!(same["error-message"], "this is the password that you were given; choose another one");
    let page = browser.step(&tower, "password", json!({"password": PASSWORD})).await;
    assert_eq!(page["page"], json!({"step": "offer", "offers": ["passkey", "totp"]}));
    let done = browser.step(&tower, "finish", json!({})).await;
    assert_eq!((&done["state"], &done["email"], &done["next"]), (&json!("logged-in"), &json!("admin"), &json!("/")));
    // The tokens that were had with the old password have ended with it.
    tower.get("/v1/state/strongbox/token", &admin).await.refused(401);
    api(&tower, "admin", &given, None).await.refused(401);
    api(&tower, "admin", PASSWORD, None).await.ok();
    // The session is as good as a token.
    let account = browser.get(&tower, "/v1/account").await.ok();
    assert_eq!((&account["email"], &account["proofs"]), (&json!("admin"), &json!(["password"])));
    assert_eq!(account["login-url"], "https://tower.example/login/default/admin");
    let policy = json!({"name": "reader", "capabilities": {}});
    let refused = browser.post(&tower, "/v1/config/strongbox/policies", policy).await;
    assert_eq!(refused.status.as_u16(), 400, "a mistake in the document, and no denial");
}

#[tokio::test]
async fn a_new_user_makes_a_passkey_and_logs_in_with_it() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "hansolo@example.com", json!({"password": PASSWORD})).await;
    let document = tower.get(&format!("{USERS}/hansolo@example.com"), &admin).await.ok();
    assert!(document.get("password").is_none(), "{document}");
    let (mut browser, mut key) = with_passkey(&tower, "HanSolo@Example.com", 1).await;
    let before = browser.cookies["__Host-keyward-session"].clone();
    let account = browser.get(&tower, "/v1/account").await.ok();
    assert_eq!(account["passkeys"].as_array().unwrap().len(), 1, "{account}");
    // The login URL, and the passkey alone.
    let mut other = Browser::new();
    let page =
        other.begin(&tower, json!({"login-url": "/login/default/hansolo@example.com", "next": "/account"})).await;
    assert_eq!((&page["page"]["step"], &page["page"]["email"]), (&json!("method"), &json!("hansolo@example.com")));
    let used = key.get_wrong(&page["page"]["passkey"], &honest());
    let done = other.step(&tower, "passkey", answer(&used)).await;
    assert_eq!((&done["state"], &done["next"]), (&json!("logged-in"), &json!("/account")));
    // The same answer again is nobody's: its login is over.
    other.step(&tower, "passkey", answer(&used)).await;
    let mut third = Browser::new();
    let page = third.begin(&tower, json!({})).await;
    let replayed = third.step(&tower, "passkey", answer(&used)).await;
    assert_eq!(replayed["state"], "continue");
    assert!(replayed["error-message"].is_string() && !third.has_session());
    // By autofill, on the first page; the challenge went with the failure.
    let stale = key.get_wrong(&page["page"]["autofill"], &honest());
    let page = third.step(&tower, "passkey", answer(&stale)).await;
    assert_eq!(page["state"], "continue");
    let used = key.get_wrong(&page["page"]["autofill"], &honest());
    let done = third.step(&tower, "passkey", answer(&used)).await;
    assert_eq!(done["state"], "logged-in", "{done}");
    assert_ne!(before, third.cookies["__Host-keyward-session"]);
    // Three sessions, of which the others end.
    let sessions = third.get(&tower, "/v1/account/sessions").await.ok();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 3);
    // Told from each other by what they were begun with, and no word that a browser said.
    for session in sessions["sessions"].as_array().unwrap() {
        assert_eq!(
            session["client"],
            json!({"browser": "firefox", "platform": "linux", "address": "192.0.2.1"}),
            "{session}"
        );
    }
    third.from = "198.51.100.7:5000".to_owned();
    let page = third.post(&tower, "/v1/account/step-up", json!({})).await.ok();
    let used = key.get_wrong(&page["page"]["passkey"], &honest());
    assert_eq!(third.step(&tower, "passkey", answer(&used)).await["state"], "logged-in");
    let sessions = third.get(&tower, "/v1/account/sessions").await.ok();
    let own = sessions["sessions"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap();
    assert_eq!(own["client"]["address"], "198.51.100.7", "that of the login: {own}");
    third.get(&tower, "/v1/account").await.ok();
    third.call(&tower, "DELETE", "/v1/account/sessions", None).await.ok();
    browser.get(&tower, "/v1/account").await.refused(401);
    // Named, and removed: the browser is told, and the session goes on under another cookie.
    let id = account["passkeys"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/account/passkeys/{id}");
    third.call(&tower, "PATCH", &path, Some(json!({"name": "Falcon"}))).await.ok();
    let account = third.get(&tower, "/v1/account").await.ok();
    assert_eq!(account["passkeys"][0]["name"], "Falcon");
    let cookie = third.cookies["__Host-keyward-session"].clone();
    let removed = third.call(&tower, "DELETE", &path, None).await.ok();
    assert_eq!(removed["signal"]["allAcceptedCredentialIds"], json!([]), "{removed}");
    assert_ne!(cookie, third.cookies["__Host-keyward-session"]);
    third.get(&tower, "/v1/account").await.ok();
    third.cookies.insert("__Host-keyward-session".to_owned(), cookie);
    third.get(&tower, "/v1/account").await.refused(401);
}

#[tokio::test]
async fn an_enforced_passkey_is_proved_whatever_is_posted() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "leia@example.com", json!({"password": PASSWORD, "enforced-methods": ["passkey"]})).await;
    // Never by a program, with the text of every refusal.
    let wrong = api(&tower, "nobody@example.com", PASSWORD, None).await;
    for otp in [None, Some("123456"), Some("aaaa-bbbb-cccc-dddd")] {
        let refused = api(&tower, "leia@example.com", PASSWORD, otp).await;
        assert_eq!((refused.status, &refused.bytes), (wrong.status, &wrong.bytes));
    }
    let mut browser = Browser::new();
    let page = browser.password(&tower, "leia@example.com", "default", PASSWORD).await;
    assert_eq!((&page["page"]["step"], &page["page"]["optional"]), (&json!("make-passkey"), &json!(false)));
    for (step, body) in [
        ("finish", json!({})),
        ("skip", json!({})),
        ("totp", json!({"code": "123456"})),
        ("recovery-code", json!({"code": "x"})),
        ("password", json!({"password": PASSWORD})),
        ("enrol", json!({"method": "totp"})),
        ("choose", json!({"tenant": "default"})),
    ] {
        let page = browser.step(&tower, step, body).await;
        assert_eq!(page["page"]["step"], "make-passkey", "{step}: {page}");
        assert!(!browser.has_session(), "{step}");
    }
    let page = browser.step(&tower, "current", json!({})).await;
    let mut key = Soft::new(2);
    let made = key.create_wrong(&page["page"]["options"], &honest());
    let page = browser.step(&tower, "enrol", answer(&made)).await;
    assert_eq!((&page["page"]["wanted"], &page["page"]["optional"]), (&json!("passkey"), &json!(false)), "{page}");
    let page = browser.step(&tower, "skip", json!({})).await;
    assert_eq!(page["page"]["step"], "proof");
    let used = key.get_wrong(&page["page"]["passkey"], &honest());
    assert_eq!(browser.step(&tower, "passkey", answer(&used)).await["state"], "logged-in");
    // The last one stays.
    let account = browser.get(&tower, "/v1/account").await.ok();
    let id = account["passkeys"][0]["id"].as_str().unwrap();
    browser.call(&tower, "DELETE", &format!("/v1/account/passkeys/{id}"), None).await.refused(422);
    assert_eq!(api(&tower, "leia@example.com", PASSWORD, None).await.bytes, wrong.bytes);
}

/// A user with a one-time password: the secret, and recovery codes.
async fn with_totp(tower: &Tower, name: &str) -> (Browser, String, Vec<String>) {
    let mut browser = Browser::new();
    browser.password(tower, name, "default", PASSWORD).await;
    let page = browser.step(tower, "enrol", json!({"method": "totp"})).await;
    let secret = page["page"]["secret"].as_str().unwrap().to_owned();
    assert!(page["page"]["uri"].as_str().unwrap().starts_with("otpauth://totp/Keyward%20default:"));
    let done = browser.step(tower, "totp", json!({"code": telephone(&secret, tower.app.clock.now())})).await;
    assert_eq!(done["state"], "logged-in", "{done}");
    let codes: Vec<String> = serde_json::from_value(done["recovery-codes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    (browser, secret, codes)
}

#[tokio::test]
async fn one_time_passwords_and_recovery_codes() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "luke@example.com", json!({"password": PASSWORD})).await;
    let (mut browser, secret, codes) = with_totp(&tower, "luke@example.com").await;
    let wrong = api(&tower, "luke@example.com", "wrong", None).await;
    let code = |tower: &Tower| telephone(&secret, tower.app.clock.now());
    // The code that confirmed it is used up.
    for otp in [None, Some("000000"), Some(code(&tower).as_str())] {
        assert_eq!(api(&tower, "luke@example.com", PASSWORD, otp).await.bytes, wrong.bytes);
    }
    tower.pass(Duration::MINUTE).await;
    let now = code(&tower);
    api(&tower, "luke@example.com", PASSWORD, Some(&now)).await.ok();
    api(&tower, "luke@example.com", PASSWORD, Some(&now)).await.refused(401);
    // A recovery code stands in once, for programs too.
    api(&tower, "luke@example.com", PASSWORD, Some(&codes[0])).await.ok();
    api(&tower, "luke@example.com", PASSWORD, Some(&codes[0])).await.refused(401);
    let mut other = Browser::new();
    let page = other.password(&tower, "luke@example.com", "", PASSWORD).await;
    assert_eq!((&page["page"]["wanted"], &page["page"]["recovery-code"]), (&json!("totp"), &json!(true)));
    let page = other.step(&tower, "recovery-code", json!({"code": codes[1].to_uppercase()})).await;
    assert_eq!(page["page"]["offers"], json!(["passkey"]), "{page}");
    other.step(&tower, "finish", json!({})).await;
    let account = other.get(&tower, "/v1/account").await.ok();
    assert_eq!((&account["recovery-codes-left"], &account["has-totp"]), (&json!(8), &json!(true)));
    // Another set; then what matters needs a recent login.
    let fresh = other.post(&tower, "/v1/account/recovery-codes", json!({})).await.ok();
    assert_eq!(fresh["recovery-codes"].as_array().unwrap().len(), 10);
    api(&tower, "luke@example.com", PASSWORD, Some(&codes[2])).await.refused(401);
    tower.pass(Duration::minutes(6)).await;
    let refused = browser.call(&tower, "DELETE", "/v1/account/totp", None).await;
    assert_eq!(refused.json()["errors"][0]["error-info"]["code"], "step-up");
    refused.refused(403);
    let page = browser.post(&tower, "/v1/account/step-up", json!({"next": "/account"})).await.ok();
    assert_eq!(page["page"]["email"], "luke@example.com");
    let session = browser.cookies["__Host-keyward-session"].clone();
    browser.step(&tower, "password", json!({"password": PASSWORD})).await;
    let done = browser.step(&tower, "totp", json!({"code": code(&tower)})).await;
    assert_eq!((&done["state"], &done["next"]), (&json!("logged-in"), &json!("/account")), "{done}");
    assert_ne!(session, browser.cookies["__Host-keyward-session"]);
    let mut former = browser.clone();
    former.cookies.insert("__Host-keyward-session".to_owned(), session);
    former.get(&tower, "/v1/account").await.refused(401);
    browser.call(&tower, "DELETE", "/v1/account/totp", None).await.ok();
    api(&tower, "luke@example.com", PASSWORD, None).await.ok();
}

/// What a form of the account page asks for is not done by the login that it needs first, and the reader is told both.
#[tokio::test]
async fn who_confirms_that_it_is_them_is_told_why_and_that_nothing_was_done_yet() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "luke@example.com", json!({"password": PASSWORD})).await;
    let provider = json!({"name": "entra", "issuer": "https://unreachable.invalid", "client-id": "x"});
    tower.post("/v1/config/strongbox/authentication/oidc", &admin, provider).await.ok();
    let mut browser = Browser::new();
    browser.password(&tower, "luke@example.com", "default", PASSWORD).await;
    browser.step(&tower, "finish", json!({})).await;
    tower.pass(Duration::minutes(6)).await;
    let text = |reply: &Reply| String::from_utf8(reply.bytes.clone()).unwrap();
    let form_token =
        |text: &str| text.split("name=\"form-token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();

    let account = text(&browser.get(&tower, "/account").await);
    let body = format!("form-token={}&method=totp", form_token(&account));
    let request =
        browser.request("POST", "/account/set-up").header("content-type", "application/x-www-form-urlencoded");
    let sent = tower.send_from(&browser.from, request.body(body.into()).unwrap()).await;
    assert_eq!((sent.status.as_u16(), &sent.headers["location"]), (303, &"/login".parse().unwrap()));
    browser.keep(&sent);
    // Whom to ask is the first choice where there is one.
    let page = text(&browser.get(&tower, "/login").await);
    assert!(
        page.contains("<h1>Confirm that it is you</h1>") && page.contains("a login of the last few minutes"),
        "{page}"
    );
    browser.form_token = form_token(&page);
    let done = browser.step(&tower, "password", json!({"password": PASSWORD})).await;
    assert_eq!(done["state"], "logged-in", "{done}");
    let account = text(&browser.get(&tower, done["next"].as_str().unwrap()).await);
    assert!(account.contains("<h1>Account</h1>") && account.contains("Nothing was changed yet"), "{account}");
}

#[tokio::test]
async fn a_locked_user_is_kept_out_by_every_method_and_at_once() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "han@example.com", json!({"password": PASSWORD})).await;
    let (mut session, mut key) = with_passkey(&tower, "han@example.com", 3).await;
    let token = api(&tower, "han@example.com", PASSWORD, None).await.ok()["token"].as_str().unwrap().to_owned();
    tower.get("/v1/state/strongbox/token", &token).await.ok();
    // In the middle of a login.
    let mut midway = Browser::new();
    midway.password(&tower, "han@example.com", "default", PASSWORD).await;
    let mut waiting = Browser::new();
    let page = waiting.identify(&tower, "han@example.com", "default").await;
    tower.post(&format!("{STATE}/han@example.com/lock"), &admin, json!({})).await.ok();
    assert_eq!(tower.get(&format!("{USERS}/han@example.com"), &admin).await.ok()["locked"], true);
    tower.get("/v1/state/strongbox/token", &token).await.refused(401);
    session.get(&tower, "/v1/account").await.refused(401);
    let used = key.get_wrong(&page["page"]["passkey"], &honest());
    let refused = waiting.step(&tower, "passkey", answer(&used)).await;
    assert!(refused["state"] != "logged-in" && !waiting.has_session(), "{refused}");
    for step in ["finish", "skip"] {
        assert_ne!(midway.clone().step(&tower, step, json!({})).await["state"], "logged-in");
    }
    let wrong = api(&tower, "han@example.com", "wrong", None).await;
    assert_eq!(api(&tower, "han@example.com", PASSWORD, None).await.bytes, wrong.bytes);
    let mut first = Browser::new();
    let page = first.begin(&tower, json!({})).await;
    let used = key.get_wrong(&page["page"]["autofill"], &honest());
    assert_ne!(first.step(&tower, "passkey", answer(&used)).await["state"], "logged-in");
    let page = first.password(&tower, "han@example.com", "default", PASSWORD).await;
    assert!(page["state"] != "logged-in" && page["page"]["step"] == "method", "{page}");
    tower.post(&format!("{STATE}/han@example.com/reset"), &admin, json!({})).await.refused(422);
    // Let in again, with nothing from before.
    tower.post(&format!("{STATE}/han@example.com/unlock"), &admin, json!({})).await.ok();
    tower.get("/v1/state/strongbox/token", &token).await.refused(401);
    session.get(&tower, "/v1/account").await.refused(401);
    let token = api(&tower, "han@example.com", PASSWORD, None).await.ok()["token"].as_str().unwrap().to_owned();
    // Removed: the same.
    tower.call("DELETE", &format!("{USERS}/han@example.com"), Some(&admin), None).await.ok();
    tower.get("/v1/state/strongbox/token", &token).await.refused(401);
    assert_eq!(api(&tower, "han@example.com", PASSWORD, None).await.bytes, wrong.bytes);
    user(&tower, &admin, "han@example.com", json!({"password": PASSWORD})).await;
    tower.get("/v1/state/strongbox/token", &token).await.refused(401);
}

#[tokio::test]
async fn nobody_locks_or_removes_themselves() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    for operation in ["lock", "remove"] {
        let refused = tower.post(&format!("{STATE}/admin/{operation}"), &admin, json!({})).await;
        assert!(refused.refused(422).contains("nobody locks or removes themselves"));
    }
    // By their document neither; nor is anything else of it refused.
    user(&tower, &admin, "ann@example.com", json!({"password": PASSWORD})).await;
    let ann = api(&tower, "ann@example.com", PASSWORD, None).await.ok()["token"].as_str().unwrap().to_owned();
    let document = format!("{USERS}/ann@example.com");
    tower.call("PATCH", &document, Some(&ann), Some(json!({"locked": true}))).await.refused(422);
    tower.call("DELETE", &document, Some(&ann), None).await.refused(422);
    tower.call("PATCH", &document, Some(&ann), Some(json!({"display-name": "Ann"}))).await.ok();
    // Others may, and the lock is lifted by them.
    tower.post(&format!("{STATE}/admin/lock"), &ann, json!({})).await.ok();
    tower.post(&format!("{STATE}/admin/unlock"), &ann, json!({})).await.ok();
    tower.post(&format!("{STATE}/admin/remove"), &ann, json!({})).await.ok();
}

#[tokio::test]
async fn an_enrolment_link_works_once() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "finn@example.com", json!({"enforced-methods": ["passkey"]})).await;
    let people = tower.get(STATE, &admin).await.ok();
    assert_eq!(people["users"].as_array().unwrap().len(), 2, "{people}");
    let link = tower.post(&format!("{STATE}/finn@example.com/enrolment-link"), &admin, json!({})).await.ok();
    assert_eq!(link["methods"], json!(["passkey"]));
    let url = link["url"].as_str().unwrap();
    let token = url.strip_prefix("https://tower.example/enrol/").unwrap();
    let mut browser = Browser::new();
    // Not by another site's form.
    let mut foreign = browser.clone();
    let request = axum::http::Request::post("/v1/login/enrolment-link").header("sec-fetch-site", "cross-site");
    let body = json!({"link": token}).to_string();
    let request = request.header("origin", "https://evil.example").header("content-type", "application/json");
    tower.send(request.body(body.into()).unwrap()).await.refused(403);
    let page = browser.post(&tower, "/v1/login/enrolment-link", json!({"link": token})).await.ok();
    assert_eq!(page["page"]["step"], "make-passkey", "{page}");
    let again = foreign.post(&tower, "/v1/login/enrolment-link", json!({"link": token})).await.ok();
    assert_eq!((&again["state"], again["page"].is_null()), (&json!("over"), true));
    let mut key = Soft::new(4);
    let page = browser.step(&tower, "enrol", answer(&key.create_wrong(&page["page"]["options"], &honest()))).await;
    let used = key.get_wrong(&page["page"]["passkey"], &honest());
    assert_eq!(browser.step(&tower, "passkey", answer(&used)).await["state"], "logged-in");
    // A reset takes all away and ends the session; its link ends with time, and with what ends sessions.
    let reset = |body| tower.post("/v1/state/strongbox/authentication/users/finn@example.com/reset", &admin, body);
    let late = reset(json!({"ttl": "10m"})).await.ok();
    browser.get(&tower, "/v1/account").await.refused(401);
    tower.pass(Duration::minutes(11)).await;
    let open = async |link: &Value| {
        let token = link["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        Browser::new().post(&tower, "/v1/login/enrolment-link", json!({"link": token})).await.ok()
    };
    assert_eq!(open(&late).await["state"], "over");
    let superseded = reset(json!({})).await.ok();
    let last = reset(json!({})).await.ok();
    assert_eq!(open(&superseded).await["state"], "over");
    assert_eq!(open(&last).await["page"]["step"], "make-passkey");
}

/// Without what is random.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match name.as_str() {
                // Decoys have lengths of their own, as authenticators do.
                "challenge" | "id" | "form-token" => (name.clone(), json!("random")),
                _ => (name.clone(), masked(value)),
            })
            .collect(),
        Value::Array(values) => values.iter().map(masked).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn nobody_learns_who_exists() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    // Names of one length, so that bodies can be compared byte for byte.
    user(&tower, &admin, "ahsoka@example.com", json!({"password": PASSWORD})).await;
    user(&tower, &admin, "padme1@example.com", json!({"password": PASSWORD, "enforced-methods": ["totp"]})).await;
    user(&tower, &admin, "locked@example.com", json!({"password": PASSWORD, "locked": true})).await;
    let (_, _) = with_passkey(&tower, "ahsoka@example.com", 5).await;
    let names = ["ahsoka@example.com", "padme1@example.com", "locked@example.com", "nobody@example.com"];
    for tenant in ["", "default", "nowhere"] {
        let mut seen: Option<(Value, Value, Value)> = None;
        for name in names {
            let mut browser = Browser::new();
            browser.begin(&tower, json!({})).await;
            let body = json!({"email": name, "tenant": tenant});
            let reply = browser.post(&tower, "/v1/login/flow/identify", body).await;
            let first = masked(&reply.ok());
            assert_eq!(first["page"]["passkey"]["publicKey"]["allowCredentials"].as_array().unwrap().len(), 8);
            let wrong = browser.step(&tower, "password", json!({"password": "wrong"})).await;
            let stripped = |value: &Value| {
                let text = masked(value).to_string().replace(name, "xxxxxx@example.com");
                serde_json::from_str::<Value>(&text).unwrap()
            };
            let client = json!({"username": name, "password": "wrong", "tenant": if tenant.is_empty() { "default" } else { tenant }});
            let client = tower.call("POST", "/v1/login", None, Some(client)).await;
            let now = (stripped(&first), stripped(&wrong), json!([client.status.as_u16(), client.json()]));
            match &seen {
                None => seen = Some(now),
                Some(seen) => assert_eq!(*seen, now, "{name} in `{tenant}`"),
            }
        }
    }
}

#[tokio::test]
async fn other_sites_and_other_browsers_get_nowhere() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "rey@example.com", json!({"password": PASSWORD})).await;
    let mut browser = Browser::new();
    browser.identify(&tower, "rey@example.com", "default").await;
    let send = async |browser: &Browser, origin: &str, site: &str, token: &str, path: &str| {
        let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = axum::http::Request::post(path)
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .header("x-form-token", token)
            .header("cookie", cookies.join("; "))
            .header("content-type", "application/json");
        tower.send(request.body(json!({"password": PASSWORD}).to_string().into()).unwrap()).await
    };
    let password = "/v1/login/flow/password";
    let token = browser.form_token.clone();
    for (origin, site, token) in [
        ("https://evil.example", "cross-site", token.as_str()),
        ("https://sub.tower.example", "same-site", token.as_str()),
        ("null", "cross-site", token.as_str()),
        ("https://tower.example", "same-origin", "forged"),
        ("https://tower.example", "same-origin", ""),
    ] {
        send(&browser, origin, site, token, password).await.refused(403);
    }
    // The token of another browser's form.
    let mut other = Browser::new();
    other.identify(&tower, "rey@example.com", "default").await;
    send(&browser, "https://tower.example", "same-origin", &other.form_token, password).await.refused(403);
    // A session that an attacker chose is none, and is not kept.
    browser.cookies.insert("__Host-keyward-session".to_owned(), "chosen".to_owned());
    browser.step(&tower, "password", json!({"password": PASSWORD})).await;
    browser.step(&tower, "finish", json!({})).await;
    assert_ne!(browser.cookies["__Host-keyward-session"], "chosen");
    browser.get(&tower, "/v1/account").await.ok();
    // In the session, likewise; and a cookie is good for nothing on the surface for Vault's clients.
    for (origin, site, token) in [
        ("https://evil.example", "cross-site", browser.form_token.as_str()),
        ("https://tower.example", "same-origin", token.as_str()),
    ] {
        send(&browser, origin, site, token, "/v1/account/log-out").await.refused(403);
    }
    browser.get(&tower, "/v1/auth/token/lookup-self").await.refused(403);
    // Never to another site.
    for next in
        ["//evil.example", "https://evil.example", "/\\evil.example", "/%2f%2fevil.example", "javascript:alert(1)"]
    {
        Browser::new().post(&tower, "/v1/login/flow", json!({"next": next})).await.refused(400);
    }
    // A forged list of remembered logins is no list; the user's own is one.
    let account = browser.get(&tower, "/v1/account").await.ok();
    assert_eq!(account["remembered"], false);
    browser.post(&tower, "/v1/account/remember", json!({"remember": true})).await.ok();
    assert_eq!(browser.get(&tower, "/v1/account").await.ok()["remembered"], true);
    let list = browser.cookies["__Host-keyward-logins"].clone();
    browser.cookies.insert("__Host-keyward-logins".to_owned(), format!("{}x", list));
    assert_eq!(browser.get(&tower, "/v1/account").await.ok()["remembered"], false);
    browser.get(&tower, "/v1/account").await.ok();
    browser.post(&tower, "/v1/account/log-out", json!({})).await.ok();
    assert!(!browser.has_session());
}

#[tokio::test]
async fn another_password_ends_what_the_former_one_began() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "lando@example.com", json!({"password": PASSWORD})).await;
    let token = api(&tower, "lando@example.com", PASSWORD, None).await.ok()["token"].as_str().unwrap().to_owned();
    let log_in = async || {
        let mut browser = Browser::new();
        browser.password(&tower, "lando@example.com", "default", PASSWORD).await;
        browser.step(&tower, "finish", json!({})).await;
        browser.get(&tower, "/v1/account").await.ok();
        browser
    };
    let (mut one, mut two) = (log_in().await, log_in().await);
    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    one.post(&tower, "/v1/account/password", change("wrong", OTHER)).await.refused(403);
    one.post(&tower, "/v1/account/password", change(PASSWORD, "short")).await.refused(400);
    one.post(&tower, "/v1/account/password", change(PASSWORD, OTHER)).await.ok();
    one.get(&tower, "/v1/account").await.ok();
    two.get(&tower, "/v1/account").await.refused(401);
    tower.get("/v1/account", &token).await.refused(401);
    api(&tower, "lando@example.com", PASSWORD, None).await.refused(401);
    // By token, too, which ends with the others.
    let token = api(&tower, "lando@example.com", OTHER, None).await.ok()["token"].as_str().unwrap().to_owned();
    assert_eq!(tower.get("/v1/account", &token).await.ok()["email"], "lando@example.com");
    tower.post("/v1/account/password", &token, change(OTHER, PASSWORD)).await.ok();
    tower.get("/v1/account", &token).await.refused(401);
    one.get(&tower, "/v1/account").await.refused(401);
    // A session ends by itself, without use sooner.
    let mut three = log_in().await;
    tower.pass(Duration::minutes(50)).await;
    three.get(&tower, "/v1/account").await.ok();
    tower.pass(Duration::minutes(50)).await;
    three.get(&tower, "/v1/account").await.ok();
    tower.pass(Duration::minutes(61)).await;
    three.get(&tower, "/v1/account").await.refused(401);
    assert_eq!(tower.app.clock.now() - START, Duration::minutes(161));
}

#[tokio::test]
async fn guesses_are_limited_where_the_user_logged_in_before_too() {
    let tower = Tower::limited("").await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "poe@example.com", json!({"password": PASSWORD})).await;
    api(&tower, "poe@example.com", PASSWORD, None).await.ok();
    let mut refused = 0;
    for _ in 0..30 {
        let answer = api(&tower, "poe@example.com", "wrong", None).await;
        assert!([401, 429].contains(&answer.status.as_u16()));
        refused += u32::from(answer.status.as_u16() == 429);
    }
    assert!(refused >= 19, "{refused}");
    // Codes, five and then slowly.
    user(&tower, &admin, "bb8@example.com", json!({"password": PASSWORD})).await;
    let (_, _, _) = with_totp(&tower, "bb8@example.com").await;
    let mut browser = Browser { from: "198.51.100.7:1".to_owned(), ..Browser::new() };
    browser.password(&tower, "bb8@example.com", "default", PASSWORD).await;
    let mut limited = false;
    for _ in 0..7 {
        let answer = browser.post(&tower, "/v1/login/flow/totp", json!({"code": "000000"})).await;
        limited |= answer.status.as_u16() == 429;
        if limited {
            assert!(answer.headers.contains_key("retry-after"));
        }
    }
    assert!(limited);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_finishes_one_succeeds() {
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let store = std::sync::Arc::new(control_tower::store::Sqlite::open(&directory.path().join("tower.db")).unwrap());
    let clock = control_tower::clock::Clock::fixed(START);
    let tower = std::sync::Arc::new(Tower::over(store, clock, directory).await);
    let admin = tower.administrator().await;
    user(&tower, &admin, "chewie@example.com", json!({"password": PASSWORD})).await;
    let (_, key) = with_passkey(&tower, "chewie@example.com", 6).await;
    for _ in 0..5 {
        let mut browser = Browser::new();
        let page = browser.identify(&tower, "chewie@example.com", "default").await;
        let used = answer(&key.clone().get_wrong(&page["page"]["passkey"], &honest()));
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (tower, mut browser, used) = (std::sync::Arc::clone(&tower), browser.clone(), used.clone());
            tries.spawn(async move { browser.step(&tower, "passkey", used).await["state"] == "logged-in" });
        }
        let done = tries.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!(done, 1);
    }
    // Of a step that changes no user one is taken, too.
    let mut browser = Browser::new();
    browser.begin(&tower, json!({})).await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (tower, mut browser) = (std::sync::Arc::clone(&tower), browser.clone());
        let who = json!({"email": "chewie@example.com", "tenant": "default"});
        tries.spawn(async move { browser.step(&tower, "identify", who).await["state"] == "continue" });
    }
    assert_eq!(tries.join_all().await.into_iter().filter(|done| *done).count(), 1);
    // One code, at once in several logins.
    user(&tower, &admin, "c3po@example.com", json!({"password": PASSWORD})).await;
    let (_, secret, _) = with_totp(&tower, "c3po@example.com").await;
    tower.pass(Duration::MINUTE).await;
    let code = telephone(&secret, tower.app.clock.now());
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (tower, code) = (std::sync::Arc::clone(&tower), code.clone());
        tries.spawn(async move { api(&tower, "c3po@example.com", PASSWORD, Some(&code)).await.status.is_success() });
    }
    assert_eq!(tries.join_all().await.into_iter().filter(|done| *done).count(), 1);
    // Logins of one user at once all succeed where nothing is used up.
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let tower = std::sync::Arc::clone(&tower);
        tries.spawn(async move { api(&tower, "chewie@example.com", PASSWORD, None).await.status.as_u16() });
    }
    assert_eq!(tries.join_all().await, [200; 12]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_of_one_network_are_as_many_as_may_be_whatever_is_sent_at_once() {
    const MOST: usize = 512;
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let store = std::sync::Arc::new(control_tower::store::Sqlite::open(&directory.path().join("tower.db")).unwrap());
    let clock = control_tower::clock::Clock::fixed(START);
    let tower = std::sync::Arc::new(Tower::over(store.clone(), clock, directory).await);
    let begin_all = async || {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let tower = std::sync::Arc::clone(&tower);
            all.spawn(async move {
                for _ in 0..MOST / 16 {
                    Browser::new().begin(&tower, json!({})).await;
                }
            });
        }
        all.join_all().await;
    };
    begin_all().await;
    // Of a step that is sent eight times at once one is taken, and the others push nobody out.
    for _ in 0..8 {
        let mut browser = Browser::new();
        browser.begin(&tower, json!({})).await;
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (tower, mut browser) = (std::sync::Arc::clone(&tower), browser.clone());
            let who = json!({"email": "chewie@example.com", "tenant": "default"});
            tries.spawn(async move { browser.step(&tower, "identify", who).await });
        }
        tries.join_all().await;
    }
    begin_all().await;
    let stored = store.range(control_tower::layout::CEREMONIES, None, 4 * MOST, None).await.unwrap();
    assert_eq!(stored.len(), MOST);
    let ends = store.range(control_tower::layout::EXPIRY, None, 8 * MOST, None).await.unwrap();
    assert_eq!(ends.iter().filter(|end| end.key.contains("/login/")).count(), MOST);
}

#[tokio::test]
async fn one_address_in_two_tenants() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.post("/v1/config/tenants", &admin, json!({"name": "acme"})).await.ok();
    let reset = tower.post("/v1/state/tenants/acme/reset-admin", &admin, json!({})).await.ok();
    let body = json!({"username": "admin", "password": reset["password"], "tenant": "acme"});
    let acme = tower.call("POST", "/v1/login", None, Some(body)).await.ok()["token"].as_str().unwrap().to_owned();
    user(&tower, &admin, "ben@example.com", json!({"password": PASSWORD})).await;
    user(&tower, &acme, "ben@example.com", json!({"password": PASSWORD})).await;
    // The choice comes after the proof.
    let mut browser = Browser::new();
    let page = browser.password(&tower, "ben@example.com", "", PASSWORD).await;
    assert_eq!(page["page"], json!({"step": "tenant", "tenants": ["acme", "default"]}));
    browser.step(&tower, "choose", json!({"tenant": "acme"})).await;
    let done = browser.step(&tower, "finish", json!({})).await;
    assert_eq!(done["tenant"], "acme", "{done}");
    // A passkey of one is none of the other.
    let (_, mut key) = with_passkey(&tower, "ben@example.com", 7).await;
    let mut other = Browser::new();
    let page = other.begin(&tower, json!({"tenant": "acme"})).await;
    let used = key.get_wrong(&page["page"]["autofill"], &honest());
    assert_ne!(other.step(&tower, "passkey", answer(&used)).await["state"], "logged-in");
    // Nor does a password lead from a login of one to the other.
    let mut named = Browser::new();
    named.begin(&tower, json!({"tenant": "acme"})).await;
    named.step(&tower, "identify", json!({"email": "ben@example.com", "tenant": "default"})).await;
    let page = named.step(&tower, "password", json!({"password": PASSWORD})).await;
    assert_eq!(page["page"]["step"], "method", "{page}");
    // One tenant's administrator does nothing to the other's users, and its session goes with it.
    let state = tower.get(&format!("{STATE}/ben@example.com"), &acme).await.ok();
    assert_eq!(state["methods"], json!(["password"]));
    browser.get(&tower, "/v1/account").await.ok();
    tower.call("DELETE", "/v1/config/tenants/acme?force=true", Some(&admin), None).await.ok();
    browser.get(&tower, "/v1/account").await.refused(401);
    for _ in 0..4 {
        tower.pass(Duration::minutes(3)).await;
    }
    let page = Browser::new().password(&tower, "ben@example.com", "", PASSWORD).await;
    assert_ne!(page["page"]["step"], "tenant", "nobody is left there");
}

#[tokio::test]
async fn strangers_who_begin_many_logins_fill_nothing_and_push_nobody_out() {
    use control_tower::layout::CEREMONIES;
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "wedge@example.com", json!({"password": PASSWORD})).await;
    let mut own = Browser { from: "198.51.100.7:1".to_owned(), ..Browser::new() };
    own.identify(&tower, "wedge@example.com", "default").await;
    let stored = async || tower.app.db.store().range(CEREMONIES, None, 2000, None).await.unwrap().len();
    for at in 0..600 {
        // Of one /64, whatever of it.
        let mut stranger = Browser { from: format!("[2001:db8::{at:x}]:1"), ..Browser::new() };
        stranger.begin(&tower, json!({})).await;
    }
    assert_eq!(stored().await, 512 + 1);
    assert_eq!(own.step(&tower, "password", json!({"password": PASSWORD})).await["page"]["step"], "offer");
    assert_eq!(own.step(&tower, "finish", json!({})).await["state"], "logged-in");
    // One browser has one, however often its first page is loaded.
    let before = stored().await;
    let mut again = Browser::new();
    for _ in 0..5 {
        again.begin(&tower, json!({})).await;
    }
    assert_eq!(stored().await, before + 1);
}

#[tokio::test]
async fn what_an_authenticator_answered_for_somebody_else_logs_nobody_in() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "biggs@example.com", json!({"password": PASSWORD})).await;
    user(&tower, &admin, "jek@example.com", json!({"password": PASSWORD})).await;
    let (_, mut key) = with_passkey(&tower, "biggs@example.com", 8).await;
    let (_, other) = with_passkey(&tower, "jek@example.com", 9).await;
    let wrong = [
        Wrong { origin: Some("https://tower.example.evil.example"), ..honest() },
        Wrong { origin: Some("https://sub.tower.example"), ..honest() },
        Wrong { origin: Some("http://tower.example"), ..honest() },
        Wrong { rp_id: Some("evil.example"), ..honest() },
        Wrong { kind: Some("webauthn.create"), ..honest() },
        Wrong { challenge: Some("AAAA".to_owned()), ..honest() },
        Wrong { cross_origin: true, ..honest() },
        Wrong { top_origin: Some("https://evil.example"), ..honest() },
        Wrong { not_verified: true, ..honest() },
        Wrong { not_present: true, ..honest() },
        Wrong { signature: true, ..honest() },
        Wrong { backed_up_without_being_eligible: true, ..honest() },
        Wrong { user_handle: Some(other.user_handle.clone()), ..honest() },
        Wrong { user_handle: Some(Some("AQID".to_owned())), ..honest() },
    ];
    let take = async |key: &mut Soft, wrong: &Wrong| {
        let mut browser = Browser::new();
        let page = browser.identify(&tower, "biggs@example.com", "default").await;
        let used = key.get_wrong(&page["page"]["passkey"], wrong);
        let page = browser.step(&tower, "passkey", answer(&used)).await;
        assert_eq!(page["state"] == "logged-in", browser.has_session(), "{page}");
        browser.has_session()
    };
    for (at, wrong) in wrong.iter().enumerate() {
        assert!(!take(&mut key, wrong).await, "{at}");
    }
    assert!(take(&mut key, &honest()).await);
    // A copy of one that counts.
    (key.counts, key.counter) = (true, 40);
    for (counter, good) in [(None, true), (Some(41), false), (Some(7), false), (Some(0), false), (Some(43), true)] {
        assert_eq!(take(&mut key, &Wrong { counter, ..honest() }).await, good, "{counter:?}");
    }
}

#[tokio::test]
async fn a_login_that_took_too_long_is_over() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "hera@example.com", json!({"password": PASSWORD})).await;
    for (waited, state) in [(599, "continue"), (600, "over")] {
        let mut browser = Browser::new();
        browser.identify(&tower, "hera@example.com", "default").await;
        // Nothing has swept it away.
        assert!(tower.app.clock.advance(Duration::seconds(waited)));
        let page = browser.step(&tower, "password", json!({"password": PASSWORD})).await;
        assert_eq!(page["state"], state, "{waited}: {page}");
    }
}

#[tokio::test]
async fn programs_bring_their_own_pages() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "yoda@example.com", json!({"password": PASSWORD})).await;
    let call = async |path: &str, body: Value| {
        let reply = tower.call("POST", path, None, Some(body)).await;
        assert!(!reply.headers.contains_key("set-cookie"));
        reply.ok()
    };
    let begun = call("/v1/login/flow", json!({"embedder": true})).await;
    let body = json!({"login": begun["login"], "email": "yoda@example.com", "tenant": "default"});
    let named = call("/v1/login/flow/identify", body.clone()).await;
    // The step before is over.
    assert_eq!(call("/v1/login/flow/identify", body).await["state"], "over");
    let proved = call("/v1/login/flow/password", json!({"login": named["login"], "password": PASSWORD})).await;
    let done = call("/v1/login/flow/finish", json!({"login": proved["login"]})).await;
    assert_eq!(done["state"], "logged-in", "{done}");
    let token = done["token"]["token"].as_str().unwrap();
    assert_eq!(tower.get("/v1/account", token).await.ok()["email"], "yoda@example.com");
}

#[tokio::test]
async fn users_of_earlier_programs_log_in() {
    use control_tower::{
        clock::Clock,
        layout,
        store::{Memory, Write},
        user::User,
    };
    let (store, directory) = (std::sync::Arc::new(Memory::new()), std::sync::Arc::new(tempfile::tempdir().unwrap()));
    let first = Tower::over(store.clone(), Clock::fixed(START), std::sync::Arc::clone(&directory)).await;
    let (given, tenant) = (first.credentials.as_ref().unwrap().password.to_string(), first.tenant());
    // As it was written before: a hash, policies, and since when tokens count.
    let key = layout::user(&tenant.parse().unwrap(), "admin");
    let user = first.app.db.load(&key, User::decode).await.unwrap().unwrap();
    let record: Value = serde_json::from_slice(&user.value.record().encode().unwrap()).unwrap();
    for former in [json!({"format": 1}), json!({"format": 2, "tokens-since": START.unix_timestamp() * 1000})] {
        let mut former = former;
        former["password-hash"] = record["password"].clone();
        former["policies"] = json!(["administrator"]);
        let bytes = serde_json::to_vec(&former).unwrap();
        // No earlier program knows that users are brought along once.
        let writes =
            vec![first.app.db.put(key.clone(), &bytes).unwrap(), Write::Delete(layout::USERS_MIGRATED.to_owned())];
        let _ = first.app.db.store().commit(Vec::new(), writes).await.unwrap();
        let again = Tower::over(store.clone(), Clock::fixed(START), std::sync::Arc::clone(&directory)).await;
        assert!(again.app.db.store().get(layout::USERS_MIGRATED).await.unwrap().is_some(), "once");
        api(&again, "admin", &given, None).await.ok();
        let mut browser = Browser::new();
        let page = browser.password(&again, "admin", "", &given).await;
        assert_eq!(page["page"]["step"], "offer", "{page}");
    }
}

#[tokio::test]
async fn a_command_line_logs_in_through_a_browser() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "rose@example.com", json!({"password": PASSWORD})).await;
    let verifier = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let challenge = hex(&<sha2::Sha256 as sha2::Digest>::digest(verifier));
    let query = format!("port=4711&challenge={challenge}&state=0123456789abcdef0123&host=laptop");
    let page = format!("/cli?{query}");
    let mut browser = Browser::new();
    // Without a session somebody logs in first, and comes back.
    let first = browser.get(&tower, &page).await;
    assert_eq!(first.status.as_u16(), 303);
    let next = first.headers["location"].to_str().unwrap().strip_prefix("/login?next=").unwrap().to_owned();
    assert!(next.starts_with("%2Fcli%3Fport%3D4711"), "{next}");
    browser.begin(&tower, json!({"next": page})).await;
    browser.step(&tower, "identify", json!({"email": "rose@example.com", "tenant": ""})).await;
    browser.step(&tower, "password", json!({"password": PASSWORD})).await;
    assert_eq!(browser.step(&tower, "finish", json!({})).await["next"], page.as_str());
    let shown = browser.get(&tower, &page).await;
    let text = String::from_utf8(shown.bytes.clone()).unwrap();
    assert!(text.contains("laptop") && text.contains("rose@example.com"), "{text}");
    // Looking at the page allows nothing; the click does, of a form of the tower alone.
    let token = browser.form_token.clone();
    let click = async |token: &str, site: &str, query: &str| {
        let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let origin = if site == "same-origin" { "https://tower.example" } else { "https://evil.example" };
        let request = axum::http::Request::post("/cli")
            .header("cookie", cookies.join("; "))
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .header("content-type", "application/x-www-form-urlencoded");
        tower.send(request.body(format!("{query}&form-token={token}").into()).unwrap()).await
    };
    assert_eq!(click(&token, "cross-site", &query).await.status.as_u16(), 403);
    assert_eq!(click("forged", "same-origin", &query).await.status.as_u16(), 403);
    assert_eq!(click(&token, "same-origin", &query.replace("4711", "80")).await.status.as_u16(), 400);
    let code = async || {
        let allowed = click(&token, "same-origin", &query).await;
        let refresh = allowed.headers["refresh"].to_str().unwrap().to_owned();
        let url = refresh.split_once("url=").unwrap().1.to_owned();
        assert!(
            url.starts_with("http://127.0.0.1:4711/?code=") && url.ends_with("&state=0123456789abcdef0123"),
            "{url}"
        );
        url.split(['=', '&']).nth(1).unwrap().to_owned()
    };
    let exchange = async |code: &str, verifier: &str| {
        let body = json!({"code": code, "verifier": verifier});
        tower.call("POST", "/v1/login/cli", None, Some(body)).await
    };
    let granted = code().await;
    let answer = exchange(&granted, verifier).await.ok();
    assert_eq!((&answer["username"], &answer["tenant"]), (&json!("rose@example.com"), &json!("default")));
    let had = answer["token"].as_str().unwrap().to_owned();
    tower.get("/v1/account", &had).await.ok();
    let again = exchange(&granted, verifier).await;
    again.refused(401);
    // By another verifier it is gone; late; after a lock.
    let stolen = code().await;
    assert_eq!(exchange(&stolen, "another").await.bytes, again.bytes);
    exchange(&stolen, verifier).await.refused(401);
    let late = code().await;
    assert!(tower.app.clock.advance(Duration::seconds(61)));
    exchange(&late, verifier).await.refused(401);
    let locked = code().await;
    tower.post(&format!("{STATE}/rose@example.com/lock"), &admin, json!({})).await.ok();
    assert_eq!(exchange(&locked, verifier).await.bytes, again.bytes);
    tower.get("/v1/account", &had).await.refused(401);
}

#[tokio::test]
async fn setting_something_up_makes_no_session_younger_and_outlives_none() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "jyn@example.com", json!({"password": PASSWORD})).await;
    let log_in = async || {
        let mut browser = Browser::new();
        browser.password(&tower, "jyn@example.com", "default", PASSWORD).await;
        browser.step(&tower, "finish", json!({})).await;
        browser.get(&tower, "/v1/account").await.ok();
        browser
    };
    let set_up = json!({"method": "totp"});
    let mut one = log_in().await;
    // To begin and to go on without proves nothing: the login is as old as it was.
    tower.pass(Duration::minutes(4)).await;
    one.post(&tower, "/v1/account/set-up", set_up.clone()).await.ok();
    assert_eq!(one.step(&tower, "skip", json!({})).await["state"], "logged-in");
    let account = one.get(&tower, "/v1/account").await.ok();
    assert_eq!(account["authenticated"], "2026-03-01T00:00:00Z", "{account}");
    tower.pass(Duration::minutes(2)).await;
    assert!(one.get(&tower, "/v1/account").await.ok()["fresh"] == false);
    one.post(&tower, "/v1/account/set-up", set_up.clone()).await.refused(403);
    // What is under way in a session ends with it.
    let (mut thief, mut owner) = (log_in().await, log_in().await);
    thief.post(&tower, "/v1/account/set-up", set_up.clone()).await.ok();
    owner.get(&tower, "/v1/account").await.ok();
    owner.call(&tower, "DELETE", "/v1/account/sessions", None).await.ok();
    thief.get(&tower, "/v1/account").await.refused(401);
    let ended = thief.cookies["__Host-keyward-session"].clone();
    thief.get(&tower, "/v1/account").await.refused(401);
    let over = thief.step(&tower, "skip", json!({})).await;
    assert_eq!(over["state"], "over", "{over}");
    assert_eq!(thief.cookies["__Host-keyward-session"], ended);
    // Nor does a program get a token of it, which would live longer.
    owner.post(&tower, "/v1/account/set-up", set_up).await.ok();
    let login = owner.cookies["__Host-keyward-login"].clone();
    let over = tower.call("POST", "/v1/login/flow/skip", None, Some(json!({"login": login}))).await.ok();
    assert_eq!((&over["state"], &over["token"]), (&json!("over"), &Value::Null), "{over}");
    owner.get(&tower, "/v1/account").await.ok();
}

#[tokio::test]
async fn however_many_sessions_there_are_they_end() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "cassian@example.com", json!({"password": PASSWORD})).await;
    let log_in = async || {
        let mut browser = Browser::new();
        browser.password(&tower, "cassian@example.com", "default", PASSWORD).await;
        browser.step(&tower, "finish", json!({})).await;
        browser
    };
    let mut others = Vec::new();
    for _ in 0..120 {
        others.push(log_in().await);
    }
    let mut own = log_in().await;
    own.get(&tower, "/v1/account").await.ok();
    own.call(&tower, "DELETE", "/v1/account/sessions", None).await.ok();
    own.get(&tower, "/v1/account").await.ok();
    for other in &mut others {
        other.get(&tower, "/v1/account").await.refused(401);
    }
}

#[tokio::test]
async fn another_login_in_a_browser_takes_the_place_of_the_session_that_it_had() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    for name in ["jyn@example.com", "lyra@example.com"] {
        user(&tower, &admin, name, json!({"password": PASSWORD})).await;
    }
    let log_in = async |browser: &mut Browser, name: &str| {
        browser.password(&tower, name, "default", PASSWORD).await;
        browser.step(&tower, "finish", json!({})).await;
        assert!(browser.has_session());
    };
    let (mut browser, mut elsewhere) = (Browser::new(), Browser::new());
    log_in(&mut elsewhere, "jyn@example.com").await;
    log_in(&mut browser, "jyn@example.com").await;
    let sessions = async |of: &mut Browser| {
        let sessions = of.get(&tower, "/v1/account/sessions").await.ok();
        sessions["sessions"].as_array().unwrap().len()
    };
    assert_eq!(sessions(&mut elsewhere).await, 2);
    // Whoever begins, and who is refused, ends nothing.
    let mut former = browser.clone();
    browser.password(&tower, "jyn@example.com", "default", "wrong of somebody").await;
    former.get(&tower, "/v1/account").await.ok();
    // The end of the login ends the former session of this browser, and no other one.
    assert_eq!(browser.step(&tower, "password", json!({"password": PASSWORD})).await["state"], "logged-in");
    former.get(&tower, "/v1/account").await.refused(401);
    assert_eq!(sessions(&mut elsewhere).await, 2);
    // So does a login of somebody else there.
    let mut former = browser.clone();
    log_in(&mut browser, "lyra@example.com").await;
    former.get(&tower, "/v1/account").await.refused(401);
    assert_eq!((sessions(&mut browser).await, sessions(&mut elsewhere).await), (1, 1));
}

#[tokio::test]
async fn a_command_line_is_let_in_by_a_recent_login_alone() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    user(&tower, &admin, "bodhi@example.com", json!({"password": PASSWORD})).await;
    let verifier = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let challenge: String =
        <sha2::Sha256 as sha2::Digest>::digest(verifier).iter().map(|byte| format!("{byte:02x}")).collect();
    let query = format!("port=4711&challenge={challenge}&state=0123456789abcdef0123&host=laptop");
    let mut browser = Browser::new();
    browser.password(&tower, "bodhi@example.com", "default", PASSWORD).await;
    browser.step(&tower, "finish", json!({})).await;
    let click = async |browser: &Browser| {
        let request = browser.request("POST", "/cli").header("content-type", "application/x-www-form-urlencoded");
        let form = format!("{query}&form-token={}", browser.form_token);
        tower.send(request.body(form.into()).unwrap()).await
    };
    let code = |allowed: &Reply| {
        let refresh = allowed.headers["refresh"].to_str().unwrap().to_owned();
        json!({"code": refresh.split(['=', '&']).nth(2).unwrap(), "verifier": verifier})
    };
    // Where the session ends meanwhile there is nothing to be had.
    let allowed = code(&click(&browser).await);
    browser.get(&tower, "/v1/account").await.ok();
    browser.post(&tower, "/v1/account/log-out", json!({})).await.ok();
    tower.call("POST", "/v1/login/cli", None, Some(allowed)).await.refused(401);
    // The token counts as a login of now, so the session's has to be one: whoever was away from the browser proves themselves again, and
    // comes back to the question.
    browser.password(&tower, "bodhi@example.com", "default", PASSWORD).await;
    browser.step(&tower, "finish", json!({})).await;
    tower.pass(Duration::minutes(6)).await;
    let again = click(&browser).await;
    assert_eq!((again.status.as_u16(), again.headers["location"].to_str().unwrap()), (303, "/login"));
    browser.keep(&again);
    browser.step(&tower, "current", json!({})).await;
    let done = browser.step(&tower, "password", json!({"password": PASSWORD})).await;
    assert_eq!((&done["state"], &done["next"]), (&json!("logged-in"), &json!(format!("/cli?{query}"))));
    let allowed = code(&click(&browser).await);
    tower.call("POST", "/v1/login/cli", None, Some(allowed)).await.ok();
}
