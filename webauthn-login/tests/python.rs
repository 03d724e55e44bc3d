//! PyPI's `webauthn` judges the same responses as this crate does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_types)]

mod common;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::*;
use keyward_webauthn_login::*;
use serde_json::{Value, json};

#[expect(clippy::disallowed_methods, reason = "a foreign verifier is another program")]
fn judge(cases: &Value) -> Vec<bool> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("KEYWARD_VENV").map_or_else(|| here.join("../target/venv"), PathBuf::from);
    let mut python = Command::new(venv.join("bin/python"))
        .arg(here.join("tests/judge.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; run `.ci/install`, or name another with KEYWARD_VENV", venv.display())
        });
    python.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs Python with the package `webauthn`"]
fn the_same_verdicts() {
    let wrong = Wrong::default();
    // What is wrong, and whether the Python package looks at it.
    let cases = [
        ("nothing", wrong.clone(), true),
        ("origin", Wrong { origin: Some("https://evil.example"), ..wrong.clone() }, true),
        ("port", Wrong { origin: Some("https://tower.example.com:8443"), ..wrong.clone() }, true),
        ("relying party", Wrong { rp_id: Some("evil.example"), ..wrong.clone() }, true),
        ("type", Wrong { kind: Some("webauthn.other"), ..wrong.clone() }, true),
        ("challenge", Wrong { challenge: Some("AAAA".to_owned()), ..wrong.clone() }, true),
        ("user not verified", Wrong { not_verified: true, ..wrong.clone() }, true),
        ("user not present", Wrong { not_present: true, ..wrong.clone() }, true),
        ("backed up and not eligible", Wrong { backed_up_without_being_eligible: true, ..wrong.clone() }, true),
        // It leaves frames of other sites to its caller.
        ("a frame of another site", Wrong { cross_origin: true, ..wrong.clone() }, false),
    ];
    let mut all = Vec::new();
    let mut expected = Vec::new();
    for (name, wrong, looked_at) in &cases {
        let mut world = World::with("ann@example.com", "b2");
        world.begin(Start::browser());
        world.identify("ann@example.com", "b2");
        world.password(PASSWORD);
        let options = world.set_up(Method::Passkey).page()["options"].clone();
        let response = Soft::new(1).create_wrong(&options, wrong);
        all.push(json!({ "create": response, "challenge": options["publicKey"]["challenge"] }));
        world.register(&response, "x");
        expected.push((format!("registration: {name}"), world.refused.is_none(), *looked_at));
    }
    let more = [
        ("signature", Wrong { signature: true, ..wrong.clone() }, true),
        ("counter", Wrong { counter: Some(3), ..wrong.clone() }, true),
    ];
    for (name, wrong, looked_at) in cases.iter().chain(&more) {
        let mut world = World::with("ann@example.com", "b2");
        let mut soft = world.give_passkey(&identity("ann@example.com", "b2"), 1);
        soft.counts = true;
        soft.counter = 40;
        for counts in [false, true] {
            world.begin(Start::browser());
            let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
            if counts {
                let registered =
                    soft.clone().create(&json!({ "publicKey": { "challenge": "AAAA", "user": { "id": "AAAA" } } }));
                let response = soft.get_wrong(&options, wrong);
                let challenge = &options["publicKey"]["challenge"];
                all.push(json!({ "get": response, "challenge": challenge, "registered": registered, "counter": 41 }));
                let reply = world.passkey(&response);
                expected.push((format!("login: {name}"), matches!(reply, Reply::In(_)), *looked_at));
            } else {
                world.passkey(&soft.get(&options)).logged_in();
            }
        }
    }
    let theirs = judge(&Value::from(all));
    for ((name, ours, looked_at), theirs) in expected.iter().zip(theirs) {
        assert_eq!(*ours == theirs, *looked_at, "{name}: ours {ours}, theirs {theirs}");
        assert_eq!(*ours, name.ends_with("nothing"), "{name}");
    }
}
