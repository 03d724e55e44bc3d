//! Every page in the states that a tower rarely gets into, as files: `tests/browser/` takes pictures of them and has them checked
//! for accessibility.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "gallery/hosts.rs"]
mod hosts;

use std::{fs, path::PathBuf};

use axum::http::StatusCode;
use control_tower::pages::{
    account::{Account, Keeps, Passkey, Session},
    assets,
    component::Tone,
    enrol::{MakePasskey, Offer, OpenLink, RecoveryCodes, SetPassword, SetUpTotp},
    form::Wrong,
    home::{First, Key, Overview, Part, Refusal, Role, Todo},
    layout::{HostPage, Page, Viewer},
    login::{Authenticator, Authenticators, Identity, Method, Over, Provider, Remembered, Select, Tenants},
    problem::{Problem, page},
    proof,
    step::{Step, Who},
    timeline::Life,
    users::{Draft, Link, User, Users},
};
use keyward_config_values::Name;
use keyward_transit::Phase;
use time::{Duration, OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-03-10 12:00 UTC);
const LONG_EMAIL: &str =
    "maximiliane.vonundzuhohenstein+operations-of-the-north@subsidiary.of.a-rather-long-company-name.example.com";
const LONG_TENANT: &str = "northern-region-operations-and-maintenance";
const OPTIONS: &str = r#"{"publicKey":{"challenge":"AAAA"}}"#;
const URI: &str =
    "otpauth://totp/Keyward%20b2:ann%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Keyward%20b2";

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gallery")
}

/// The page as a file beside its style. Where something was refused the keyboard is at it, and it is said.
fn put(name: &str, page: &Page) {
    let places = page.text().matches(" autofocus").count();
    let is_refused = ["id=\"problem\"", "aria-invalid", "-error\""].iter().any(|sign| page.text().contains(sign));
    assert!(places <= 1 && (places == 1 || !is_refused), "{name}: the keyboard is at {places} places");
    assert!(!page.text().contains("id=\"problem\"") || page.text().contains("role=\"alert\""), "{name}");
    let text = page.text().replace(&assets::STYLE.url, "style.css").replace(&assets::SCRIPT.url, "script.js");
    fs::write(directory().join(format!("{name}.html")), text).unwrap();
}

#[test]
fn every_page_is_written() {
    fs::create_dir_all(directory()).unwrap();
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/pages/assets");
    for file in ["style.css", "script.js"] {
        fs::copy(sources.join(file), directory().join(file)).unwrap();
    }
    logins();
    proofs();
    enrolments();
    accounts();
    refusals();
    administrators();
    overviews();
    hosts::pages();
    assert!(fs::read_dir(directory()).unwrap().count() >= 45);
}

const STEP: Step<'static> = Step { token: "t", problem: None };

fn refused() -> Problem {
    Problem("that did not work; check what you entered, or choose another way to log in".to_owned())
}

fn ann() -> Who<'static> {
    Who { email: "ann@example.com", tenant: Some("b2") }
}

fn somebody_long() -> Who<'static> {
    Who { email: LONG_EMAIL, tenant: Some(LONG_TENANT) }
}

fn logins() {
    let problem = refused();
    let refused = Step { problem: Some(&problem), ..STEP };
    let first = Identity {
        step: STEP,
        email: "",
        tenant: "",
        wrong: None,
        tenant_is_fixed: false,
        autofill: OPTIONS,
        has_remembered: true,
    };
    put("login-identity", &first.page());
    let wrong = |field: &str, message: &str| Wrong { field: field.to_owned(), message: message.to_owned() };
    let email = wrong("email", "`admin@` is no email address: its domain is none; write one such as `ann@example.com`");
    put("login-identity-wrong", &Identity { email: "admin@", wrong: Some(&email), ..first }.page());
    let told = "no tenant".parse::<Name>().unwrap_err().to_string();
    let tenant = wrong("tenant", &told);
    let nowhere = Identity { email: "ann@example.com", tenant: "no tenant", wrong: Some(&tenant), ..first };
    put("login-identity-nowhere", &nowhere.page());
    let other = Identity { step: refused, email: LONG_EMAIL, tenant: "b2", tenant_is_fixed: true, ..first };
    put("login-identity-refused", &other.page());
    let login = |email, tenant| Remembered { email, tenant, authenticator: "Strongbox", url: "/login/b2/x" };
    let list = [login("ann@example.com", "b2"), login(LONG_EMAIL, LONG_TENANT), login("ann@example.com", "acme")];
    put("login-select", &Select { step: STEP, logins: &list }.page());
    put("login-select-empty", &Select { step: STEP, logins: &[] }.page());
    let offered = [
        Authenticator { name: "strongbox", title: "Strongbox", unavailable: None },
        Authenticator { name: "entra", title: "Azure Entra ID", unavailable: None },
        Authenticator {
            name: "cloud",
            title: "Cloud account",
            unavailable: Some("the provider does not answer at the moment"),
        },
    ];
    put(
        "login-authenticators",
        &Authenticators { step: STEP, who: ann(), offered: &offered, has_others: false, again: false }.page(),
    );
    let again = Authenticators { step: STEP, who: ann(), offered: &offered, has_others: false, again: true };
    put("login-authenticators-again", &again.page());
    let method = Method { step: STEP, who: ann(), passkey: OPTIONS, has_others: true, again: false };
    put("login-method", &method.page());
    put("login-method-refused", &Method { step: refused, who: somebody_long(), again: true, ..method }.page());
    let longest = longest_viewer().email;
    put("login-method-longest", &Method { who: Who { email: &longest, tenant: Some(LONG_TENANT) }, ..method }.page());
    put("login-tenants", &Tenants { step: STEP, email: "ann@example.com", tenants: &["b2", LONG_TENANT] }.page());
    let provider = Provider { problem: None, title: "Azure Entra ID", url: "/" };
    put("login-provider", &provider.page());
    let unconfirmed = Problem("the provider did not confirm the login; try again, or log in another way".to_owned());
    put("login-provider-refused", &Provider { problem: Some(&unconfirmed), ..provider }.page());
    let expired = Problem("the login was not finished in time; start again".to_owned());
    put("login-over", &Over { problem: &expired }.page());
}

fn proofs() {
    let totp = proof::OneTimePassword { step: STEP, who: ann(), passkey: Some(OPTIONS), optional: false };
    put("proof-totp", &totp.page());
    put("proof-passkey", &proof::Passkey { step: STEP, who: ann(), passkey: OPTIONS, optional: false }.page());
    put("proof-passkey-made", &proof::Passkey { step: STEP, who: ann(), passkey: OPTIONS, optional: true }.page());
    put("proof-password", &proof::Password { step: STEP, who: somebody_long() }.page());
}

fn enrolments() {
    let problem = refused();
    let refused = Step { problem: Some(&problem), ..STEP };
    put("enrol-offer", &Offer { step: STEP, who: ann(), passkey: true, totp: true }.page());
    put("enrol-passkey", &MakePasskey { step: STEP, who: ann(), options: OPTIONS, optional: false }.page());
    let totp =
        SetUpTotp { step: STEP, who: ann(), uri: URI, secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", optional: true };
    put("enrol-totp", &totp.page());
    put("enrol-recovery-codes", &RecoveryCodes { codes: &["abcd-efgh-ijkl"; 10], next: "/" }.page());
    put("enrol-password", &SetPassword { step: refused, who: ann(), min_length: 8 }.page());
    put("enrol-link", &OpenLink { step: STEP, link: "x" }.page());
}

fn viewer() -> Viewer {
    Viewer {
        name: "Ann Lee".to_owned(),
        email: "ann@example.com".to_owned(),
        tenant: "b2".to_owned(),
        login_url: "https://tower.example/login/b2/ann@example.com".to_owned(),
        method: "password and passkey".to_owned(),
        remembered: true,
        administers: true,
        hosts: HostPage::ALL.to_vec(),
        token: "token-of-the-form".to_owned(),
    }
}

fn long_viewer() -> Viewer {
    Viewer {
        name: LONG_EMAIL.to_owned(),
        email: LONG_EMAIL.to_owned(),
        tenant: LONG_TENANT.to_owned(),
        login_url: format!("https://tower.example/login/{LONG_TENANT}/{LONG_EMAIL}"),
        ..viewer()
    }
}

/// With the longest address that there can be.
fn longest_viewer() -> Viewer {
    let email = format!("{}@{}.example.com", "m".repeat(64), "w".repeat(177));
    assert_eq!(email.len(), 254);
    let login_url = format!("https://tower.example/login/{LONG_TENANT}/{email}");
    Viewer { name: email.clone(), email, tenant: LONG_TENANT.to_owned(), login_url, ..viewer() }
}

fn refusals() {
    let sealed = "the tower is sealed: unseal it with `supctl unseal` or `POST /v1/sys/unseal`";
    put("problem-sealed", &page(StatusCode::SERVICE_UNAVAILABLE, sealed));
    put(
        "problem-forbidden",
        &page(StatusCode::FORBIDDEN, "the form is too old or not from this site; load the page again"),
    );
    let path = format!("`/{}` does not exist", "nothing".repeat(28));
    put("problem-nothing", &page(StatusCode::NOT_FOUND, &path));
}

fn accounts() {
    let passkey = |id: &str, name: &str, last_used: Option<OffsetDateTime>, backed_up| Passkey {
        id: id.to_owned(),
        name: name.to_owned(),
        created: NOW - Duration::DAY * 20,
        last_used,
        synchronized: last_used.is_some(),
        backed_up,
    };
    let session = |id: &str, current| Session {
        id: id.to_owned(),
        client: (id != "z").then(|| "Samsung Internet on Android".to_owned()),
        address: (id != "z").then(|| "2001:db8:1234:5678:9abc:def0:1234:5678".to_owned()),
        method: "password and one-time password".to_owned(),
        begun: NOW - Duration::HOUR,
        seen: NOW,
        current,
    };
    let mut account = Account {
        problem: None,
        wrong: None,
        done: Some("The passkey was removed."),
        enforced: "a passkey".to_owned(),
        keeps: Keeps { passkey: true, ..Keeps::default() },
        policies: vec!["administrator".to_owned()],
        has_password: true,
        min_length: 8,
        passkeys: vec![
            passkey("a", "Work laptop", Some(NOW), true),
            passkey("b", "Security key in the safe of the office on the second floor, left", None, false),
            passkey("c", "Telephone", Some(NOW), false),
        ],
        most_passkeys: 8,
        has_totp: true,
        recovery_codes: 2,
        sessions: vec![session("a", true), session("b", false)],
        signals: "[]".to_owned(),
    };
    put("account", &account.page(&viewer()));
    let wrong = Wrong { field: "current".to_owned(), message: "the present password is another one".to_owned() };
    let problem = Some(Problem("the password was not changed: look at what is marked below".to_owned()));
    put("account-refused", &Account { problem, wrong: Some(wrong), done: None, ..account.clone() }.page(&viewer()));
    // As much as there can be of everything.
    let name = "Security key in the safe of the office on the second floor, left";
    account.passkeys = (0..8).map(|n| passkey(&format!("p{n}"), name, Some(NOW), n % 2 == 0)).collect();
    account.passkeys.push(passkey("p8", &"W".repeat(64), None, false));
    account.sessions = (0..50).map(|n| session(if n == 9 { "z" } else { "a" }, n == 0)).collect();
    put("account-full", &account.page(&longest_viewer()));
    let nothing = Account {
        problem: Some(refused()),
        done: None,
        enforced: String::new(),
        policies: vec![],
        has_password: false,
        passkeys: vec![],
        has_totp: false,
        ..account
    };
    put("account-nothing-yet", &nothing.page(&long_viewer()));
}

fn administrators() {
    let user = |email: &str, has: &[&'static str], enforced: &[&'static str], is_reader: bool| User {
        email: email.to_owned(),
        name: is_reader.then(|| "Ann Lee".to_owned()),
        policies: vec!["administrator".to_owned(), "reader".to_owned()],
        has: has.to_vec(),
        providers: if is_reader { vec!["entra".to_owned()] } else { vec![] },
        enforced: enforced.to_vec(),
        locked: has.is_empty(),
        last_login: is_reader.then_some(NOW),
        is_reader,
    };
    let longest = longest_viewer().email;
    let link = Link {
        email: LONG_EMAIL.to_owned(),
        url: "https://tower.example/enrol?link=Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy".to_owned(),
        expires: NOW + Duration::DAY,
    };
    let users = Users {
        problem: None,
        done: Some(format!("The user {LONG_EMAIL} was created.")),
        warnings: vec!["the policy `readers` does not exist yet".to_owned()],
        link: Some(link),
        users: vec![
            user("ann@example.com", &["password", "passkey"], &[], true),
            user("bob@example.com", &[], &["passkey"], false),
            user(&longest, &["password"], &[], false),
            user(LONG_EMAIL, &["password", "one-time password", "passkey"], &["password", "one-time password"], false),
        ],
        next: Some("?after=x".to_owned()),
        policies: vec!["administrator".to_owned(), "reader".to_owned()],
        draft: None,
        wrong: None,
    };
    put("users", &users.page(&viewer()));
    let wrong = Wrong {
        field: "name".to_owned(),
        message:
            "there is a user `ann@example.com` already; reset or unlock them in the list, or choose another address"
                .to_owned(),
    };
    let draft = Draft { email: "ann@example.com".to_owned(), enforced: vec!["passkey".to_owned()], ..Draft::default() };
    let problem = Some(Problem("nobody was created: look at what is marked below".to_owned()));
    let refused = Users {
        problem,
        done: None,
        warnings: vec![],
        link: None,
        draft: Some(draft),
        wrong: Some(wrong),
        ..users.clone()
    };
    put("users-refused", &refused.page(&viewer()));
    put(
        "users-none",
        &Users { users: vec![], done: None, warnings: vec![], link: None, next: None, ..users }.page(&viewer()),
    );
}

fn overviews() {
    let life = |version, phase, day: i32, planned| {
        let created = NOW + Duration::DAY * day;
        Life {
            version,
            phase,
            created,
            activates: created + Duration::DAY * 2,
            superseded: Some(created + Duration::DAY * 12),
            deprecated: Some(created + Duration::DAY * 14),
            invalid: Some(created + Duration::DAY * 20),
            planned,
        }
    };
    let tokens = Key {
        name: "tokens".to_owned(),
        cipher: "ecdsa-p256".to_owned(),
        signs_tokens: true,
        next_rotation: Some(NOW + Duration::DAY * 3),
        lives: vec![
            life(3, Phase::Deprecated, -19, false),
            life(4, Phase::Active, -9, false),
            life(5, Phase::Pending, -1, true),
        ],
        over: 2,
    };
    let database = Key {
        name: "database".to_owned(),
        cipher: "aes256-gcm".to_owned(),
        signs_tokens: false,
        next_rotation: None,
        lives: vec![Life { superseded: None, deprecated: None, invalid: None, ..life(1, Phase::Active, -9, false) }],
        over: 0,
    };
    let role = |name: &str, policies: &[&str], id: Option<&str>| Role {
        name: name.to_owned(),
        policies: policies.iter().map(ToString::to_string).collect(),
        spiffe_id: id.map(str::to_owned),
    };
    let refusal = |subject: &str, source: &str, reason: &str| Refusal {
        time: NOW - Duration::HOUR,
        event: "approle-login".to_owned(),
        subject: subject.to_owned(),
        source: source.to_owned(),
        reason: reason.to_owned(),
    };
    let todo = |tone, text: &str| Todo { tone, text: text.to_owned() };
    let overview = Overview {
        todos: vec![
            todo(Tone::Danger, "The key `tokens` has had no successor since its time came; look at the log."),
            todo(Tone::Warn, "AWS would not accept the issuer: it is on localhost."),
        ],
        keys: Part::Shown(vec![tokens, database], true),
        roles: Part::Shown(
            vec![
                role("payments", &["reader"], Some("spiffe://tower.example/approle/payments")),
                role("a-role-with-a-rather-long-name-of-many-words-that-goes-on", &[], None),
            ],
            false,
        ),
        refusals: Part::Shown(
            vec![
                refusal("approle/payments", "192.0.2.1", "wrong-secret-id"),
                refusal("", "2001:db8::1", "unknown-user"),
            ],
            true,
        ),
        issuer: Some((
            "tower.example".to_owned(),
            format!("https://{}.tower.example/0f3a7c52-tenant-with-a-long-id", "region".repeat(10)),
        )),
        first: None,
    };
    put("overview", &overview.page(&viewer(), NOW));
    let nothing = Overview {
        todos: vec![],
        keys: Part::Shown(vec![], false),
        roles: Part::NotPermitted,
        refusals: Part::Shown(vec![], false),
        issuer: None,
        first: None,
    };
    put("overview-nothing-yet", &nothing.page(&long_viewer(), NOW));
    let new = Overview {
        todos: vec![todo(Tone::Info, "Nobody gets an identity here yet: take the first steps below.")],
        roles: Part::Shown(vec![], false),
        first: Some(First { url: "https://localhost:4646".to_owned(), tenant: None }),
        ..nothing
    };
    put("overview-new", &new.page(&viewer(), NOW));
}
