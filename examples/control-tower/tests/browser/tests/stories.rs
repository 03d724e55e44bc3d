//! What people do with the pages, in Chromium with a virtual authenticator.

use std::ops::Deref;

use browser_stories::{
    chrome::{Chrome, PATIENCE},
    provider::{self, Provider},
    stage::{self, Looks, PASSWORD},
    tower::Tower,
};
use reqwest::Method;
use serde_json::json;
use thirtyfour::Key;
use totp_rs::Builder;

const OTHER_PASSWORD: &str = "quite another row of words than before";

/// What people do about their logins.
struct Stage(stage::Stage);

impl Deref for Stage {
    type Target = stage::Stage;

    fn deref(&self) -> &stage::Stage {
        &self.0
    }
}

impl Stage {
    async fn new() -> Self {
        Self(stage::Stage::new().await)
    }

    /// A user of a tenant, and their enrolment link.
    async fn user(&self, email: &str, enforced: &[&str]) -> String {
        let document = json!({"name": email, "policies": ["administrator"], "enforced-methods": enforced});
        self.tower.call(Method::POST, "/v1/config/strongbox/authentication/users", document).await;
        let path = format!("/v1/state/strongbox/authentication/users/{email}/enrolment-link");
        let answer = self.tower.call(Method::POST, &path, json!({})).await;
        answer["url"].as_str().unwrap().to_owned()
    }

    /// A user who has a password and nothing else, and is logged in nowhere.
    async fn user_with_password(&self, email: &str) {
        let link = self.user(email, &[]).await;
        self.chrome.open(&link).await;
        self.chrome.press("Begin").await;
        self.set_password(PASSWORD).await;
        self.not_now().await;
        self.chrome.reach("Overview").await;
        self.log_out().await;
    }

    /// Presses a button, and touches the authenticator when it blinks. At other times nobody does: what a page offers by autofill
    /// would be taken at once.
    async fn touch(&self, words: &str, heading: &str) {
        self.chrome.presence(&self.authenticator, true).await;
        self.chrome.press(words).await;
        self.chrome.reach(heading).await;
        self.chrome.presence(&self.authenticator, false).await;
    }

    async fn refused(&self) {
        self.chrome.find(".notice.danger[role=alert]").await;
        assert!(self.chrome.text().await.contains("That did not work"), "{}", self.chrome.text().await);
        // The keyboard is where it goes on, and what is there is read with the reason.
        let place = "const one = document.activeElement;
            return one.id === 'problem' || (one.getAttribute('aria-describedby') ?? '').includes('problem')";
        self.chrome.until("at what was refused", place).await;
    }

    async fn end(self) {
        self.0.end().await;
    }
}

/// The code that the secret comes to now.
fn code(secret: &str) -> String {
    let secret = base32(&secret.replace(' ', ""));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Builder::new().with_secret(<[u8; 20]>::try_from(secret).unwrap()).build_noncompliant().generate(now).to_string()
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for character in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == character).unwrap();
        buffer = (buffer << 5) | u32::try_from(value).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap());
        }
    }
    bytes
}

/// What the QR code on the page says, read off a picture of it.
async fn scanned(chrome: &Chrome) -> String {
    chrome.resize(1000, 1400).await;
    let since = std::time::Instant::now();
    while since.elapsed() < PATIENCE {
        let png = chrome.find("svg.qr").await.screenshot_as_png().await.unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_luma8();
        let mut prepared = rqrr::PreparedImage::prepare(picture);
        if let Some(Ok((_, text))) = prepared.detect_grids().first().map(rqrr::Grid::decode) {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no code is found on the page");
}

/// Waits until the next step of one-time passwords, because each is good once.
async fn next_step() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let left = 30_000 - u64::try_from(now.as_millis()).unwrap() % 30_000;
    tokio::time::sleep(std::time::Duration::from_millis(left + 200)).await;
}

#[tokio::test]
async fn the_first_administrator_sets_a_password_makes_a_passkey_and_logs_in_with_it() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.identify("admin", "").await;
    stage.password(stage.tower.password()).await;
    stage.set_password(PASSWORD).await;
    chrome.reach("Make the next login easier?").await;
    chrome.press("Create a passkey").await;
    chrome.reach("Create a passkey").await;
    chrome.fill("name", "Laptop").await;
    stage.touch("Create the passkey", "Your passkey is ready").await;
    assert_eq!(chrome.credentials(&stage.authenticator).await.len(), 1);
    stage.touch("Use the passkey", "Overview").await;
    // A new tower says what to do first, for as long as nothing is there.
    let mut looks = Looks::new(env!("CARGO_TARGET_TMPDIR"));
    looks.at(chrome, "0-overview-new").await;
    looks.end();
    let said = chrome.text().await;
    let url = &stage.tower.url;
    assert!(said.contains(&format!("supctl --tower {url} --ca tower-data/ca.pem login --username admin")), "{said}");
    let login = json!({"tenant": stage.tower.tenant(), "username": "admin", "password": PASSWORD});
    let (_, answer) = stage.tower.call_as("", Method::POST, "/v1/login", login).await;
    let token = answer["token"].as_str().unwrap();
    let made =
        stage.tower.call_as(token, Method::POST, "/v1/config/strongbox/transit-keys", json!({"name": "a"})).await;
    assert_eq!(made.0, 201, "{}", made.1);
    stage.open("/").await;
    chrome.reach("Overview").await;
    assert!(!chrome.text().await.contains("First steps"));
    // The login URL and the passkey are enough from now on.
    let url = chrome.run("return document.querySelector('#menu-login-url').textContent").await;
    stage.log_out().await;
    chrome.open(url.as_str().unwrap()).await;
    chrome.reach("Log in").await;
    assert!(chrome.text().await.contains("admin"));
    stage.touch("Use a passkey", "Overview").await;
    // Whoever has a password and a passkey logs in with the password too, where nothing is enforced.
    stage.log_out().await;
    stage.identify("admin", "default").await;
    stage.password("wrong password of somebody").await;
    stage.refused().await;
    stage.password(PASSWORD).await;
    chrome.reach("Overview").await;
    stage.end().await;
}

#[tokio::test]
async fn the_new_user_of_the_users_page_follows_their_link_and_makes_a_passkey() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.administrator(PASSWORD).await;
    chrome.press("Users").await;
    chrome.reach("Users").await;
    // What was typed is not lost when it is not accepted.
    chrome.fill("email", "han solo").await;
    chrome.press("Create the user").await;
    let error = chrome.find("#field-email-error").await.text().await.unwrap();
    assert_eq!(error, "han solo is no email address: write one such as ann@example.com.");
    assert_eq!(chrome.find("#field-email").await.value().await.unwrap().unwrap(), "han solo");
    chrome.fill("email", "hansolo@example.com").await;
    chrome.fill("display-name", "Han <b>Solo</b>").await;
    chrome.fill("policies", "administrator").await;
    chrome.click("input[name=enforced][value=passkey]").await;
    chrome.press("Create the user").await;
    let link = chrome.find("#enrolment-link").await.text().await.unwrap();
    assert!(chrome.text().await.contains("Han <b>Solo</b>"));
    // Nobody is made twice, nor reset without a word of what.
    chrome.fill("email", "HanSolo@example.com").await;
    chrome.press("Create the user").await;
    stage.says("There is a user hansolo@example.com already; reset or unlock them in the list").await;
    chrome.press("Reset hansolo@example.com").await;
    stage.says("They have nothing set up that could be lost.").await;
    chrome.press("Make the link hansolo@example.com").await;
    stage.says("Nothing was reset: choose at least one of what hansolo@example.com is to set up anew.").await;
    stage.log_out().await;
    // Looking at it uses nothing up.
    for _ in 0..2 {
        chrome.open(&link).await;
        chrome.reach("Set up your login").await;
    }
    chrome.press("Begin").await;
    chrome.reach("Create a passkey").await;
    assert!(!chrome.text().await.contains("Not now"), "it is enforced");
    stage.touch("Create the passkey", "Use your passkey").await;
    stage.touch("Use the passkey", "Overview").await;
    stage.log_out().await;
    chrome.open(&link).await;
    chrome.press("Begin").await;
    chrome.reach("This login is over").await;
    // No password leads around it.
    stage.identify("hansolo@example.com", "").await;
    stage.password(PASSWORD).await;
    stage.refused().await;
    stage.end().await;
}

#[tokio::test]
async fn a_passkey_by_autofill_on_the_first_page() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let link = stage.user("ann@example.com", &["passkey"]).await;
    chrome.open(&link).await;
    chrome.press("Begin").await;
    stage.touch("Create the passkey", "Use your passkey").await;
    stage.touch("Use the passkey", "Overview").await;
    stage.log_out().await;
    // The virtual authenticator answers as soon as the page asks for what the browser may offer in the field.
    chrome.presence(&stage.authenticator, true).await;
    stage.open("/login").await;
    chrome.reach("Overview").await;
    assert!(chrome.text().await.contains("ann@example.com"));
    stage.end().await;
}

#[tokio::test]
async fn an_enforced_one_time_password_by_qr_code_and_a_recovery_code() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let link = stage.user("ann@example.com", &["password", "totp"]).await;
    chrome.open(&link).await;
    chrome.press("Begin").await;
    stage.set_password(PASSWORD).await;
    chrome.reach("Set up a one-time password").await;
    let uri = scanned(chrome).await;
    assert!(uri.starts_with("otpauth://totp/"), "{uri}");
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    chrome.press("I cannot scan it").await;
    assert_eq!(chrome.find("#totp-secret").await.text().await.unwrap().replace(' ', ""), secret);
    chrome.fill("code", "000000").await;
    chrome.press("Confirm").await;
    stage.says("This is not what the application shows; enter the six digits that it shows now").await;
    assert_eq!(scanned(chrome).await, uri, "the same code, so that it need not be scanned again");
    chrome.fill("code", &code(&secret)).await;
    chrome.press("Confirm").await;
    chrome.reach("Keep your recovery codes").await;
    let codes = chrome.run("return [...document.querySelectorAll('.codes li')].map((one) => one.innerText)").await;
    let codes: Vec<&str> = codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(codes.len(), 10);
    chrome.press("I have kept them").await;
    chrome.reach("Overview").await;
    stage.log_out().await;

    next_step().await;
    stage.identify("ann@example.com", "").await;
    stage.password(PASSWORD).await;
    chrome.reach("One-time password").await;
    chrome.fill("code", &code(&secret)).await;
    chrome.click("form[action='/login/totp'] button").await;
    chrome.press("Not now").await;
    chrome.reach("Overview").await;
    stage.log_out().await;

    for (place, again) in [(codes[0], false), (codes[0], true), (codes[1], false)] {
        stage.identify("ann@example.com", "").await;
        stage.password(PASSWORD).await;
        chrome.reach("One-time password").await;
        chrome.press("I do not have my telephone").await;
        chrome.fill("recovery-code", place).await;
        chrome.press("Use the recovery code").await;
        if again {
            stage.refused().await;
            continue;
        }
        // What was not wanted once is not offered at each login.
        chrome.reach("Overview").await;
        stage.log_out().await;
    }
    stage.end().await;
}

#[tokio::test]
async fn one_address_in_two_tenants_and_logins_that_are_remembered() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let tower = &stage.tower;
    stage.user_with_password("ann@example.com").await;
    tower.call(Method::POST, "/v1/config/tenants", json!({"name": "b2"})).await;
    let reset = tower.call(Method::POST, "/v1/state/tenants/b2/reset-admin", json!({})).await;
    let login = json!({"tenant": "b2", "username": reset["username"], "password": reset["password"]});
    let token = tower.call(Method::POST, "/v1/login", login).await["token"].as_str().unwrap().to_owned();
    let user = json!({"name": "ann@example.com", "policies": ["administrator"]});
    let made = tower.call_as(&token, Method::POST, "/v1/config/strongbox/authentication/users", user).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let path = "/v1/state/strongbox/authentication/users/ann@example.com/enrolment-link";
    let link = tower.call_as(&token, Method::POST, path, json!({})).await.1;
    chrome.open(link["url"].as_str().unwrap()).await;
    chrome.press("Begin").await;
    stage.set_password(PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    stage.log_out().await;

    // The tenants are shown after the password alone.
    stage.identify("ann@example.com", "").await;
    assert!(!chrome.text().await.contains("b2"));
    stage.password(PASSWORD).await;
    chrome.reach("Choose a tenant").await;
    chrome.click("button[name=tenant][value=b2]").await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    assert!(chrome.find(".menu > summary").await.text().await.unwrap().contains("b2"));

    // Remembered, here and in the other tenant.
    chrome.click(".menu > summary").await;
    chrome.click(".menu input[name=remember]").await;
    chrome.reach("Account").await;
    assert!(chrome.text().await.contains("This browser remembers the login."));
    stage.log_out().await;
    stage.identify("ann@example.com", "default").await;
    stage.password(PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    chrome.click(".menu > summary").await;
    chrome.click(".menu input[name=remember]").await;
    chrome.reach("Account").await;
    stage.log_out().await;
    chrome.reach("Select login").await;
    let listed = chrome.text().await;
    assert!(listed.contains("Tenant b2") && listed.contains("Tenant default"), "{listed}");
    // Chosen, it fills in what would be typed, and logs nobody in.
    chrome.click("a.choice[href^='/login/b2/']").await;
    chrome.reach("Log in").await;
    assert!(chrome.text().await.contains("Tenant b2"));
    stage.password(PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    assert!(chrome.find(".menu > summary").await.text().await.unwrap().contains("b2"));
    stage.log_out().await;
    chrome.reach("Select login").await;
    chrome.click(".choices li:first-child form button").await;
    chrome.until("one is left", "return document.querySelectorAll('a.choice').length === 1").await;
    chrome.press("Log in as somebody else").await;
    chrome.reach("Log in").await;
    stage.end().await;
}

#[tokio::test]
async fn the_account_page_passkeys_password_and_sessions() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.user_with_password("ann@example.com").await;
    stage.identify("ann@example.com", "").await;
    stage.password(PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    stage.open("/account").await;
    chrome.press("Add a passkey").await;
    chrome.reach("Create a passkey").await;
    chrome.fill("name", "Laptop").await;
    stage.touch("Create the passkey", "Your passkey is ready").await;
    stage.touch("Use the passkey", "Account").await;
    let text = chrome.text().await;
    assert!(text.contains("Laptop") && text.contains("Backed up") && text.contains("last used"), "{text}");

    chrome.press("Rename").await;
    let field = chrome.find("details[open] input[name=name]").await;
    field.clear().await.unwrap();
    field.send_keys("Desk & <chair>").await.unwrap();
    chrome.press("Save").await;
    chrome.until("renamed", "return document.body.innerText.includes('Desk & <chair>')").await;

    // What the password manager hears when it is removed.
    let spy = "for (const name of ['signalAllAcceptedCredentials', 'signalCurrentUserDetails'])
        PublicKeyCredential[name] = async (details) => { (window.heard ??= []).push([name, details]); };";
    chrome.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": spy })).await;
    chrome.press("Remove").await;
    chrome.press("Remove it").await;
    chrome.until("removed", "return document.body.innerText.includes('You have no passkey yet.')").await;
    let heard = chrome.run("return window.heard").await;
    let all = heard.as_array().unwrap().iter().find(|one| one[0] == "signalAllAcceptedCredentials").unwrap();
    assert_eq!(all[1]["allAcceptedCredentialIds"], json!([]));
    assert_eq!(all[1]["rpId"], "localhost");

    chrome.fill("current", "not that password at all").await;
    chrome.fill("password", OTHER_PASSWORD).await;
    chrome.fill("repeated", OTHER_PASSWORD).await;
    chrome.press("Change the password").await;
    chrome.find(".notice.danger[role=alert]").await;
    stage.is_at("field-current").await;
    chrome.fill("current", PASSWORD).await;
    chrome.fill("password", OTHER_PASSWORD).await;
    chrome.fill("repeated", "something else again").await;
    chrome.press("Change the password").await;
    chrome.until("differ", "return document.body.innerText.includes('The two new passwords differ.')").await;
    stage.is_at("field-repeated").await;
    chrome.fill("current", PASSWORD).await;
    chrome.fill("password", OTHER_PASSWORD).await;
    chrome.fill("repeated", OTHER_PASSWORD).await;
    chrome.press("Change the password").await;
    chrome.until("changed", "return document.body.innerText.includes('The password was changed.')").await;
    stage.log_out().await;
    stage.identify("ann@example.com", "").await;
    stage.password(PASSWORD).await;
    stage.refused().await;
    stage.password(OTHER_PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    stage.end().await;
}

#[tokio::test]
async fn lock_unlock_reset_and_remove() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.user_with_password("ann@example.com").await;
    let other = Chrome::start(Some(&stage.tower.spki)).await;
    other.open(&format!("{}/login", stage.tower.url)).await;
    other.fill("email", "ann@example.com").await;
    other.press("Continue").await;
    other.fill("password", PASSWORD).await;
    other.click("form[action='/login/password'] button:not([type=button])").await;
    other.press("Not now").await;
    other.reach("Overview").await;

    stage.administrator(OTHER_PASSWORD).await;
    stage.open("/users").await;
    chrome.press("Lock ann@example.com").await;
    chrome.until("locked", "return document.body.innerText.includes('The user is locked.')").await;
    // The session has ended with it.
    other.open(&format!("{}/account", stage.tower.url)).await;
    other.reach("Log in").await;
    other.fill("email", "ann@example.com").await;
    other.press("Continue").await;
    other.fill("password", PASSWORD).await;
    other.click("form[action='/login/password'] button:not([type=button])").await;
    other.find(".notice.danger[role=alert]").await;
    chrome.press("Unlock ann@example.com").await;
    chrome.until("unlocked", "return document.body.innerText.includes('The user may log in again.')").await;
    other.fill("password", PASSWORD).await;
    other.click("form[action='/login/password'] button:not([type=button])").await;
    other.reach("Account").await;

    chrome.press("Reset ann@example.com").await;
    chrome.click("details[open] input[value=password]").await;
    chrome.press("Make the link ann@example.com").await;
    let link = chrome.find("#enrolment-link").await.text().await.unwrap();
    other.open(&link).await;
    other.press("Begin").await;
    other.reach("Set a password").await;
    chrome.press("Remove ann@example.com").await;
    chrome.press("Remove the user ann@example.com").await;
    chrome.until("removed", "return document.body.innerText.includes('The user was removed.')").await;
    other.fill("password", PASSWORD).await;
    other.fill("repeated", PASSWORD).await;
    other.press("Set the password").await;
    other.reach("This login is over").await;
    other.end().await;
    stage.end().await;
}

/// Whether the focus is where it was before something was opened.
async fn is_on_summary(chrome: &Chrome) -> bool {
    chrome.run("return document.activeElement.matches('summary') && !document.activeElement.parentElement.open").await
        == true
}

/// A user's whole life by keyboard alone: Tab, Enter, Space and Escape, and what is typed.
#[tokio::test]
async fn everything_by_keyboard() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let link = stage.user("ann@example.com", &[]).await;
    chrome.open(&link).await;
    chrome.reach("Set up your login").await;
    // What the page is about has the focus.
    stage.tab("Begin").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Set a password").await;
    stage.write(PASSWORD).await;
    // What was typed can be looked at.
    stage.tab("Show").await;
    stage.keys(" ").await;
    assert_eq!(chrome.run("return document.querySelector('#field-password').type").await, "text");
    stage.tab("The same again").await;
    stage.keys(PASSWORD).await;
    stage.keys(Key::Enter).await;
    chrome.reach("Overview").await;
    stage.tab("Account menu").await;
    stage.keys(Key::Enter).await;
    stage.tab("Log out").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Log in").await;
    stage.tab("Email or user name").await;
    stage.keys("ann@example.com").await;
    stage.keys(Key::Enter).await;
    chrome.find("main input[name=password]").await;
    stage.tab("Password password").await;
    stage.write(PASSWORD).await;
    stage.keys(Key::Enter).await;
    chrome.reach("Make the next login easier?").await;
    stage.tab("Create a passkey").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Create a passkey").await;
    chrome.presence(&stage.authenticator, true).await;
    stage.tab("Create the passkey").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Your passkey is ready").await;
    stage.tab("Use the passkey").await;
    stage.keys(" ").await;
    chrome.reach("Overview").await;
    chrome.presence(&stage.authenticator, false).await;
    // The first stop leads past the navigation.
    stage.tab("Skip to the content").await;
    // The account menu: opened, its tools, closed by Escape.
    stage.tab("Account menu").await;
    stage.keys(Key::Enter).await;
    stage.tab("Copy").await;
    stage.keys(Key::Enter).await;
    chrome
        .until("copied", "return /Copied|Not copied/.test(document.querySelector('[data-status]').textContent)")
        .await;
    stage.keys(Key::Escape).await;
    assert!(is_on_summary(chrome).await, "the focus is back on the menu");
    stage.keys(Key::Enter).await;
    stage.tab("Remember this login").await;
    stage.keys(" ").await;
    chrome.reach("Account").await;
    assert!(chrome.text().await.contains("This browser remembers the login."));
    // A passkey gets another name, is not removed, and is.
    stage.tab("Rename").await;
    stage.keys(Key::Enter).await;
    stage.tab("Name name").await;
    stage.keys(Key::End).await;
    stage.keys(" of Ann").await;
    stage.keys(Key::Enter).await;
    chrome.until("renamed", "return document.body.innerText.includes('The passkey has another name.')").await;
    stage.tab("Remove Passkey of Ann").await;
    stage.keys(" ").await;
    stage.tab("Remove it").await;
    stage.keys(Key::Escape).await;
    assert!(is_on_summary(chrome).await, "nothing was removed, and the focus is back");
    stage.keys(" ").await;
    stage.tab("Remove it").await;
    stage.keys(Key::Enter).await;
    chrome.until("removed", "return document.body.innerText.includes('You have no passkey yet.')").await;
    // Another password.
    stage.tab("Present password").await;
    stage.write(PASSWORD).await;
    stage.tab("New password").await;
    stage.keys(OTHER_PASSWORD).await;
    stage.tab("The same again").await;
    stage.keys(OTHER_PASSWORD).await;
    stage.tab("Change the password").await;
    stage.keys(Key::Enter).await;
    chrome.until("changed", "return document.body.innerText.includes('The password was changed.')").await;
    stage.tab("Account menu").await;
    stage.keys(" ").await;
    stage.tab("Log out").await;
    stage.keys(Key::Enter).await;
    // The login that is remembered, chosen and forgotten.
    chrome.reach("Select login").await;
    stage.tab("Tenant default, Strongbox").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Log in").await;
    stage.tab("Change who logs in").await;
    stage.keys(Key::Enter).await;
    chrome.find("#field-email").await;
    stage.tab("Back to your remembered logins").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Select login").await;
    stage.tab("Forget ann@example.com").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Log in").await;
    stage.end().await;
}

/// The same of an administrator, and of a login with all of its choices.
#[tokio::test]
async fn choices_and_users_by_keyboard() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let document = json!({
        "name": "entra", "title": "Azure Entra ID", "issuer": "https://localhost:1", "client-id": "keyward",
        "client-secret": provider::SECRET,
    });
    stage.tower.call(Method::POST, "/v1/config/strongbox/authentication/oidc", document).await;
    stage.open("/login?as=other").await;
    chrome.reach("Log in").await;
    // The field has the focus.
    stage.write("admin").await;
    stage.keys(Key::Enter).await;
    chrome.reach("How do you log in?").await;
    // What cannot be chosen is no stop.
    stage.tab("Strongbox").await;
    stage.keys(Key::Tab).await;
    assert_eq!(chrome.run("return document.activeElement.value === 'entra'").await, false);
    chrome.run("document.activeElement.blur()").await;
    stage.tab("Strongbox").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Log in").await;
    stage.write(stage.tower.password()).await;
    stage.keys(Key::Enter).await;
    chrome.reach("Set a password").await;
    stage.write(PASSWORD).await;
    stage.tab("The same again").await;
    stage.keys(PASSWORD).await;
    stage.keys(Key::Enter).await;
    chrome.reach("Make the next login easier?").await;
    stage.tab("Set up a one-time password").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Set up a one-time password").await;
    stage.tab("I cannot scan it").await;
    stage.keys(Key::Enter).await;
    let secret = chrome.find("#totp-secret").await.text().await.unwrap();
    stage.tab("Enter what the application shows").await;
    stage.keys(code(&secret)).await;
    stage.keys(Key::Enter).await;
    chrome.reach("Keep your recovery codes").await;
    stage.tab("Copy").await;
    stage.keys(Key::Enter).await;
    chrome
        .until("copied", "return /Copied|Not copied/.test(document.querySelector('[data-status]').textContent)")
        .await;
    stage.tab("Download").await;
    stage.tab("I have kept them").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Overview").await;
    stage.tab("Users").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Users").await;
    stage.tab("Email or user name").await;
    stage.keys("bob@example.com").await;
    stage.tab("Passkey").await;
    stage.keys(" ").await;
    stage.tab("Create the user").await;
    stage.keys(Key::Enter).await;
    chrome.find("#enrolment-link").await;
    stage.tab("Copy the enrolment link").await;
    stage.keys(Key::Enter).await;
    chrome
        .until("copied", "return /Copied|Not copied/.test(document.querySelector('[data-status]').textContent)")
        .await;
    stage.tab("Lock bob@example.com").await;
    stage.keys(Key::Enter).await;
    chrome.until("locked", "return document.body.innerText.includes('The user is locked.')").await;
    stage.tab("Unlock bob@example.com").await;
    stage.keys(" ").await;
    chrome.until("unlocked", "return document.body.innerText.includes('The user may log in again.')").await;
    stage.tab("Reset bob@example.com").await;
    stage.keys(" ").await;
    stage.tab("Password").await;
    stage.keys(" ").await;
    stage.tab("Make the link").await;
    stage.keys(Key::Enter).await;
    chrome.find("#enrolment-link").await;
    stage.tab("Remove bob@example.com").await;
    stage.keys(Key::Enter).await;
    stage.tab("Remove the user bob@example.com").await;
    stage.keys(Key::Escape).await;
    assert!(is_on_summary(chrome).await, "nobody was removed, and the focus is back");
    stage.keys(Key::Enter).await;
    stage.tab("Remove the user bob@example.com").await;
    stage.keys(Key::Enter).await;
    chrome.until("removed", "return document.body.innerText.includes('The user was removed.')").await;
    stage.end().await;
}

/// Passwords and one-time passwords work without script.
#[tokio::test]
async fn without_script() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    chrome.cdp("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    let link = stage.user("ann@example.com", &["password", "totp"]).await;
    let go = async |css: &str| chrome.click(css).await;
    chrome.open(&link).await;
    go("form[action^='/enrol/'] button").await;
    chrome.fill("password", PASSWORD).await;
    chrome.fill("repeated", PASSWORD).await;
    go("form[action='/login/new-password'] button.full").await;
    let uri = scanned(chrome).await;
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    chrome.fill("code", &code(&secret)).await;
    go("form[action='/login/new-totp'] button").await;
    chrome.find("#recovery-codes").await;
    go("a.button[href='/']").await;
    chrome.find("#keys").await;
    go(".menu > summary").await;
    go(".menu form[action='/logout'] button").await;
    next_step().await;
    chrome.fill("email", "ann@").await;
    go("form[action='/login/identify'] button").await;
    let said = chrome.find("#field-email-error").await.text().await.unwrap();
    assert!(said.starts_with("ann@ is no email address: its domain is none;"), "{said}");
    stage.is_at("field-email").await;
    chrome.fill("email", "ann@example.com").await;
    go("form[action='/login/identify'] button").await;
    chrome.fill("password", PASSWORD).await;
    go("form[action='/login/password'] button.full").await;
    chrome.fill("code", &code(&secret)).await;
    go("form[action='/login/totp'] button").await;
    go("form[action='/login/finish'] button").await;
    chrome.find("#keys").await;
    stage.end().await;
}

/// What no page of the tower has sent changes nothing, and nothing is loaded from elsewhere.
#[tokio::test]
async fn forms_of_elsewhere_and_the_policy() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.user_with_password("ann@example.com").await;
    stage.identify("ann@example.com", "").await;
    stage.password(PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    chrome
        .run(
            "const form = document.querySelector(\".menu form[action='/logout']\");
             form.elements.namedItem('form-token').value = 'x'; form.submit()",
        )
        .await;
    chrome.reach("Not permitted").await;
    stage.open("/").await;
    chrome.reach("Overview").await;
    // An inline script and an inline style do nothing.
    let ran = chrome
        .run(
            "const script = document.createElement('script');
             try { script.textContent = 'window.ran = true'; document.body.append(script); } catch {}
             const box = document.createElement('p'); box.setAttribute('style', 'color: rgb(1, 2, 3)'); document.body.append(box);
             return [window.ran ?? false, getComputedStyle(box).color === 'rgb(1, 2, 3)']",
        )
        .await;
    assert_eq!(ran, json!([false, false]));
    stage.end().await;
}

/// At a provider that others wrote: bound by issuer and subject, and to nobody by an email address.
#[tokio::test]
async fn a_login_at_an_openid_provider() {
    let tower = Tower::start().await;
    let Some(provider) = Provider::start(&format!("{}/login/oidc/{}/cloud/callback", tower.url, tower.tenant())) else {
        println!("skipped: there is no Node.js, or `npm ci` was not run");
        return;
    };
    let chrome = Chrome::start(Some(&format!("{},{}", tower.spki, provider.spki))).await;
    let document = json!({
        "name": "cloud", "title": "Cloud account", "issuer": provider.issuer, "client-id": "keyward",
        "client-secret": provider::SECRET, "ca-pem": provider.authority,
    });
    tower.call(Method::POST, "/v1/config/strongbox/authentication/oidc", document).await;
    let user = json!({
        "name": "ann@example.com", "policies": ["administrator"],
        "external": [{"provider": "cloud", "issuer": provider.issuer, "subject": "subject-of-ann"}],
    });
    tower.call(Method::POST, "/v1/config/strongbox/authentication/users", user).await;

    let log_in = async |subject: &str| {
        chrome.open(&format!("{}/login?as=other", tower.url)).await;
        chrome.reach("Log in").await;
        chrome.fill("email", "ann@example.com").await;
        chrome.press("Continue").await;
        chrome.reach("How do you log in?").await;
        chrome.press("Cloud account").await;
        // Its own pages: a name, any password, and consent.
        let field = chrome.find("input[name=login]").await;
        // It has the address in it, which the tower told it.
        field.clear().await.unwrap();
        field.send_keys(subject).await.unwrap();
        chrome.find("input[name=password]").await.send_keys("x").await.unwrap();
        chrome.click("button[type=submit]").await;
        chrome.until("consent", "return !document.querySelector('input[name=login]')").await;
        chrome.click("button[type=submit]").await;
    };
    // Somebody else there, with the same email address.
    log_in("subject-of-bob").await;
    chrome.reach("This login is over").await;
    let said = chrome.text().await;
    assert!(said.contains("Nobody here is known by your login at the provider; ask an administrator"), "{said}");
    chrome.cdp("Network.clearBrowserCookies", json!({})).await;
    log_in("subject-of-ann").await;
    chrome.reach("Overview").await;
    chrome.click(".menu > summary").await;
    assert!(chrome.text().await.contains("the provider cloud"), "{}", chrome.text().await);

    // It is shown with the reason, and cannot be chosen, when it does not answer; its document was changed, so it is asked anew.
    drop(provider);
    let path = "/v1/config/strongbox/authentication/oidc/cloud";
    tower.call(Method::PATCH, path, json!({"title": "Cloud account, moved"})).await;
    chrome.cdp("Network.clearBrowserCookies", json!({})).await;
    cannot_be_chosen(&chrome, &tower, "cloud", "Cloud account, moved").await;
    chrome.end().await;
}

/// Step 2 where somebody cannot be asked: they are shown with the reason, and cannot be chosen, and the rest can.
async fn cannot_be_chosen(chrome: &Chrome, tower: &Tower, name: &str, title: &str) {
    chrome.open(&format!("{}/login?as=other", tower.url)).await;
    chrome.reach("Log in").await;
    chrome.fill("email", "ann@example.com").await;
    chrome.press("Continue").await;
    chrome.reach("How do you log in?").await;
    let button = chrome.find(&format!("button.choice[value={name}]")).await;
    assert!(!button.is_enabled().await.unwrap());
    let text = button.text().await.unwrap();
    assert!(
        text.contains(title) && text.contains("Not available: the provider does not answer at the moment"),
        "{text}"
    );
    // The reason belongs to the button for those who do not see it.
    let of = format!("const button = document.querySelector('button.choice[value={name}]');");
    let reason = chrome
        .run(&format!("{of} return document.getElementById(button.getAttribute('aria-describedby')).innerText"))
        .await;
    assert_eq!(reason, "Not available: the provider does not answer at the moment");
    let css = format!("button.choice[value={name}]");
    chrome.run(&format!("document.querySelector({}).click()", json!(css))).await;
    assert_eq!(chrome.path().await, "/login");
    // Not by its login URL either.
    chrome.open(&format!("{}/login/default/ann@example.com/{name}", tower.url)).await;
    chrome.reach("How do you log in?").await;
    assert!(!chrome.find(&css).await.is_enabled().await.unwrap());
    chrome.press("Log in another way").await;
    chrome.press("Strongbox").await;
    chrome.reach("Log in").await;
    chrome.find("main input[name=password]").await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_shown_with_the_reason() {
    let stage = Stage::new().await;
    let (chrome, tower) = (&stage.chrome, &stage.tower);
    stage.user_with_password("ann@example.com").await;
    // A place where nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let document = json!({
        "name": "entra", "title": "Azure Entra ID", "issuer": format!("https://localhost:{port}"), "client-id": "keyward",
        "client-secret": provider::SECRET,
    });
    tower.call(Method::POST, "/v1/config/strongbox/authentication/oidc", document).await;
    cannot_be_chosen(chrome, tower, "entra", "Azure Entra ID").await;
    stage.password(PASSWORD).await;
    stage.not_now().await;
    chrome.reach("Overview").await;
    stage.end().await;
}

/// A session is told from others by the browser, by where it came from, and by being this one.
#[tokio::test]
async fn sessions_are_told_from_each_other() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.user_with_password("ann@example.com").await;
    let agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0 <b>bold</b>";
    let other = Chrome::start(Some(&stage.tower.spki)).await;
    other.cdp("Network.setUserAgentOverride", json!({ "userAgent": agent })).await;
    for one in [&other, chrome] {
        one.open(&format!("{}/login/default/ann@example.com?next=/account", stage.tower.url)).await;
        one.fill("password", PASSWORD).await;
        one.click("form[action='/login/password'] button:not([type=button])").await;
        if std::ptr::eq(one, &other) {
            one.press("Not now").await;
        }
        // What was not wanted in one browser is not offered in another.
        one.reach("Account").await;
    }
    let sessions =
        "return [...document.querySelectorAll('section[aria-labelledby=sessions] li')].map((one) => one.innerText)";
    let listed = chrome.run(sessions).await;
    let of = |words: &str| listed.as_array().unwrap().iter().find(|one| one.as_str().unwrap().contains(words)).cloned();
    let (own, others) = (of("Chrome on Linux").unwrap(), of("Firefox on macOS").unwrap());
    let (own, others) = (own.as_str().unwrap(), others.as_str().unwrap());
    assert!(own.contains("This session") && !others.contains("This session"), "{listed}");
    assert!(own.contains("With password, from 127.0.0.1") && !listed.to_string().contains("bold"), "{listed}");
    chrome.press("Log out Firefox on macOS").await;
    chrome.until("ended", "return document.body.innerText.includes('That session has ended.')").await;
    assert_eq!(chrome.run(sessions).await.as_array().unwrap().len(), 1);
    other.open(&format!("{}/account", stage.tower.url)).await;
    other.reach("Log in").await;
    other.end().await;
    stage.end().await;
}

/// What is refused before there is a page is one all the same, sealed or not.
#[tokio::test]
async fn refusals_are_pages() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let mut looks = Looks::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, path, heading, words) in [
        ("13-nothing", "/nothing-here", "Nothing here", "`/nothing-here` does not exist."),
        ("13-no-login-url", "/login/default/no%20address", "That did not work", "not a login URL"),
        ("13-bad-query", "/cli?port=x", "That did not work", "The query is refused"),
        ("13-wrong-method", "/logout", "That did not work", "has no method GET"),
    ] {
        stage.open(path).await;
        chrome.reach(heading).await;
        assert!(chrome.text().await.contains(&words.replace('`', "")), "{path}: {}", chrome.text().await);
        looks.at(chrome, name).await;
    }
    stage.tower.call(Method::POST, "/v1/state/system/seal/seal", json!({})).await;
    stage.open("/account").await;
    chrome.reach("Not available now").await;
    assert!(chrome.text().await.contains("The tower is sealed"), "{}", chrome.text().await);
    // Its style is there, too.
    let rules = chrome.run("return document.styleSheets[0]?.cssRules.length ?? 0").await;
    assert!(rules.as_u64().unwrap() > 100, "{rules}");
    looks.at(chrome, "14-sealed").await;
    looks.end();
    stage.end().await;
}

/// Every page of a tower in use: pictures, and what axe-core says.
#[tokio::test]
async fn every_page_is_for_everybody() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let mut looks = Looks::new(env!("CARGO_TARGET_TMPDIR"));
    let mut look = async |name: &str| looks.at(chrome, name).await;
    let schedule = json!({
        "rotate-after": "30d", "activate-after": "1d", "deprecate-after": "2d", "invalidate-after": "2d",
    });
    for (path, document) in [
        ("strongbox/transit-keys", json!({"name": "spiffe-jwt", "cipher": "ecdsa-p256", "auto-rotate": schedule})),
        ("strongbox/transit-keys", json!({"name": "database", "cipher": "aes256-gcm96"})),
        ("strongbox/authentication/spiffe-settings", json!({"jwt-signing-key": "spiffe-jwt"})),
        (
            "strongbox/authentication/approles/payments",
            json!({"name": "payments", "token-policies": [], "token-spiffe-jwt": {"jwt-audiences": ["sts.amazonaws.com"]}}),
        ),
    ] {
        let method = if path.ends_with("keys") { Method::POST } else { Method::PUT };
        stage.tower.call(method, &format!("/v1/config/{path}"), document).await;
    }
    stage.tower.call(Method::POST, "/v1/state/strongbox/transit-keys/spiffe-jwt/rotate", json!({})).await;
    stage.open("/login").await;
    chrome.reach("Log in").await;
    look("1-login").await;
    stage.identify("admin", "").await;
    look("2-method").await;
    stage.password("wrong password of somebody").await;
    stage.refused().await;
    look("2-method-refused").await;
    stage.password(stage.tower.password()).await;
    chrome.reach("Set a password").await;
    look("3-set-password").await;
    stage.set_password(PASSWORD).await;
    chrome.reach("Make the next login easier?").await;
    look("4-offer").await;
    chrome.press("Set up a one-time password").await;
    chrome.reach("Set up a one-time password").await;
    look("5-totp").await;
    let secret = scanned(chrome).await.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    chrome.fill("code", &code(&secret)).await;
    chrome.press("Confirm").await;
    chrome.reach("Keep your recovery codes").await;
    look("6-recovery-codes").await;
    chrome.press("I have kept them").await;
    chrome.reach("Overview").await;
    look("7-overview").await;
    chrome.click(".menu > summary").await;
    look("7-overview-menu").await;
    stage.open("/account").await;
    chrome.press("Add a passkey").await;
    chrome.reach("Create a passkey").await;
    look("8-make-passkey").await;
    stage.touch("Create the passkey", "Your passkey is ready").await;
    look("9-passkey-ready").await;
    stage.touch("Use the passkey", "Account").await;
    look("10-account").await;
    chrome.run("for (const one of document.querySelectorAll('details.act')) one.open = true").await;
    look("10-account-open").await;
    stage.open("/users").await;
    chrome.fill("email", "hansolo@example.com").await;
    chrome.press("Create the user").await;
    let link = chrome.find("#enrolment-link").await.text().await.unwrap();
    look("11-users").await;
    chrome.run("for (const one of document.querySelectorAll('details.act')) one.open = true").await;
    look("11-users-open").await;
    stage.log_out().await;
    chrome.open(&link).await;
    look("12-link").await;
    looks.end();
    stage.end().await;
}
