//! A site that is cut off: a program outside of the workspace, which holds replicated users alone, logs them in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[allow(dead_code)]
#[path = "../../../webauthn-login/tests/common/authenticator.rs"]
mod authenticator;
mod support;
#[path = "support/browser.rs"]
mod support_browser;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use authenticator::{Soft, Wrong};
use serde_json::{Value, json};
use support::Tower;
use support_browser::{Browser, telephone};
use time::{Duration, OffsetDateTime};

const PASSWORD: &str = "kessel run in twelve";

/// The program, built against the crates as they are.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target/embedding/target");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(target, |at| Path::new(&at).join("embedding/target"));
    let patch = |name: &str, folder: &str| {
        format!("patch.crates-io.{name}.path = \"{}\"", root.join(folder).canonicalize().unwrap().display())
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(root.join("examples/embedding/site-login/Cargo.toml"))
        .args(["--config", &patch("keyward-webauthn-login", "webauthn-login")])
        .args(["--config", &patch("keyward-config-values", "config-values")])
        .arg("--target-dir")
        .arg(&target)
        .status();
    assert!(built.unwrap().success());
    target.join("debug/site-login")
}

/// A login at the site.
struct Site {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Site {
    fn start(program: &Path, replica: &Path, now: OffsetDateTime) -> (Self, Value) {
        let mut process = Command::new(program)
            .arg(replica)
            .arg("https://site.tower.example")
            .arg(now.unix_timestamp().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut site = Self { process, input, output };
        let page = site.read();
        (site, page)
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    fn act(&mut self, act: &Value) -> Value {
        writeln!(self.input, "{act}").unwrap();
        self.read()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// With the tower's pages, or the site's.
fn at(origin: &'static str) -> Wrong {
    Wrong { origin: Some(origin), rp_id: Some("tower.example"), ..Wrong::default() }
}

#[tokio::test]
#[ignore = "builds a program outside of the workspace"]
async fn a_site_that_is_cut_off_logs_its_users_in() {
    let program = program();
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let users = "/v1/config/strongbox/authentication/users";
    let provider =
        json!({"name": "entra", "title": "Azure Entra ID", "issuer": "https://unreachable.invalid", "client-id": "x"});
    tower.post("/v1/config/strongbox/authentication/oidc", &admin, provider).await.ok();
    for (name, more) in [
        ("ann@example.com", json!({"distribute": {"to": "sites"}})),
        ("bob@example.com", json!({"distribute": {"deployments": ["kiosk"]}})),
        ("eve@example.com", json!({})),
    ] {
        let mut document = json!({"name": name, "password": PASSWORD});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tower.post(users, &admin, document).await.ok();
    }
    // A one-time password for one, a passkey for the other, set up at the tower.
    let mut browser = Browser::new();
    browser.password(&tower, "ann@example.com", "default", PASSWORD).await;
    let page = browser.step(&tower, "enrol", json!({"method": "totp"})).await;
    let secret = page["page"]["secret"].as_str().unwrap().to_owned();
    browser.step(&tower, "totp", json!({"code": telephone(&secret, tower.app.clock.now())})).await;
    let mut browser = Browser::new();
    browser.password(&tower, "bob@example.com", "default", PASSWORD).await;
    let page = browser.step(&tower, "enrol", json!({"method": "passkey"})).await;
    let mut key = Soft::new(9);
    let made = key.create_wrong(&page["page"]["options"], &at("https://tower.example"));
    browser.step(&tower, "enrol", json!({"response": serde_json::from_str::<Value>(&made).unwrap()})).await;

    let tenant = tower.tenant().parse().unwrap();
    let replica = |deployments: &[&str]| {
        let deployments = deployments.iter().map(|name| name.parse().unwrap()).collect();
        let (app, tenant) = (std::sync::Arc::clone(&tower.app), &tenant);
        async move { control_tower::login::export::for_site(&app, tenant, &deployments).await.unwrap() }
    };
    let replica_of_kiosk = replica(&["kiosk"]).await.encode().unwrap();
    let replica_of_other = replica(&["other"]).await.encode().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (kiosk, other) = (directory.path().join("kiosk"), directory.path().join("other"));
    std::fs::write(&kiosk, replica_of_kiosk).unwrap();
    std::fs::write(&other, replica_of_other).unwrap();
    // The tower is gone.
    let now = tower.app.clock.now() + Duration::hours(2);
    drop(tower);

    let (mut site, _) = Site::start(&program, &other, now);
    let page = site.act(&json!({"email": "ann@example.com", "tenant": "default"}));
    assert_eq!(page["authenticators"][1]["unavailable"], "offline", "{page}");
    let page = site.act(&json!({"password": PASSWORD}));
    assert_eq!((&page["step"], &page["wanted"]), (&json!("proof"), &json!("totp")), "{page}");
    let page = site.act(&json!({"code": telephone(&secret, now)}));
    assert_eq!(page["step"], "offer");
    let done = site.act(&json!({}));
    assert_eq!(done["proofs"], json!(["password", "totp"]), "{done}");
    assert_eq!(done["logged-in"]["email"], "ann@example.com");

    let (mut site, _) = Site::start(&program, &kiosk, now);
    let page = site.act(&json!({"email": "bob@example.com", "tenant": ""}));
    let used = key.get_wrong(&page["passkey"], &at("https://site.tower.example"));
    let done = site.act(&json!({"passkey": serde_json::from_str::<Value>(&used).unwrap()}));
    assert_eq!(
        (&done["logged-in"]["email"], &done["proofs"]),
        (&json!("bob@example.com"), &json!(["passkey"])),
        "{done}"
    );

    // Whoever does not belong there is nobody there, and what belongs to another origin is refused.
    for (replica, name) in [(&other, "bob@example.com"), (&kiosk, "eve@example.com")] {
        let (mut site, _) = Site::start(&program, replica, now);
        site.act(&json!({"email": name, "tenant": "default"}));
        assert_eq!(site.act(&json!({"password": PASSWORD}))["step"], "method", "{name}");
    }
    let (mut site, _) = Site::start(&program, &kiosk, now);
    let page = site.act(&json!({"email": "bob@example.com", "tenant": ""}));
    let used = key.get_wrong(&page["passkey"], &at("https://evil.example"));
    assert_eq!(site.act(&json!({"passkey": serde_json::from_str::<Value>(&used).unwrap()}))["step"], "method");
}
