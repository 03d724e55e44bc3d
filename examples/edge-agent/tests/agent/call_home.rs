//! `call-home` and `status`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyward_callhome_cert::HostHash;
use serde_json::json;
use time::Duration;

use crate::fake::{Fake, ID, refused, unclaimed};
use crate::host::{HOST_ID, Host, text};

#[test]
fn a_host_comes_in() {
    let mut calls = 0;
    let tower = Fake::answering(move |asked, issuer| {
        calls += 1;
        match calls {
            1 => Some((503, "retry-after: 1\r\n", json!({"errors": [{"error-message": "sealed"}]}))),
            2 | 3 => unclaimed(),
            _ => Some((200, "", issuer.claimed(asked, Duration::DAY))),
        }
    });
    let host = Host::new(&tower);
    // By what an operator can name it before it ever called.
    let (status, code) = host.status();
    let hash = HostHash::of(&HOST_ID.parse().unwrap());
    assert_eq!((&status["state"], code, &status["host"]), (&json!("new"), 3, &json!(hash.as_str())));

    let output = host.agent(&["call-home", "--until", "registered"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cannot answer now: sealed; next try in ") && said.contains("registered: "), "{said}");
    assert_eq!((host.status().0["state"].clone(), host.status().1), (json!("unclaimed"), 3));
    // What the host was given to call home with is gone; what it made itself is private.
    assert!(!host.has("call-home/key.pem") && !host.has("call-home/certificate.pem") && host.has("call-home/ca.pem"));
    let modes =
        ["key.pem", "host-id", "state.json"].map(|name| fs::metadata(host.path(name)).unwrap().permissions().mode());
    assert!(modes.iter().all(|mode| mode & 0o777 == 0o600), "{modes:?}");
    let key = host.read("key.pem");

    let output = host.agent(&["call-home"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("nobody has claimed this host yet, since "), "{said}");
    assert!(said.contains(&format!("claimed to site oslo: this host is {ID} until ")), "{said}");
    let (status, code) = host.status();
    assert_eq!((code, status["state"].clone(), status["site"].clone()), (0, json!("claimed"), json!("oslo")));
    assert_eq!((status["spiffe-id"].clone(), status["last-error"].clone()), (json!(ID), json!(null)));
    assert!(host.read("identity.pem").starts_with("-----BEGIN CERTIFICATE-----") && host.has("bundle.pem"));
    assert_eq!(host.read("key.pem"), key);

    // A host that has an identity keeps it, and asks nobody.
    let output = host.agent(&["call-home"]);
    assert!(text(&output.stderr).contains("already, until "), "{}", text(&output.stderr));
    let asked = tower.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|one| one.path == "/v1/call-home"));
    assert!(asked.iter().all(|one| one.body["host-id"] == HOST_ID));
    let shown: Vec<bool> = asked.iter().map(|one| one.shown.is_some()).collect();
    assert_eq!(shown, [true, true, false, false], "the certificate is shown until the host is registered");
    // The host-id is nobody else's business.
    let all = [host.agent(&["status"]).stdout, output.stderr, host.read("state.json").into_bytes()].concat();
    assert!(!text(&all).contains(HOST_ID) && !said.contains(HOST_ID));
}

#[test]
fn refusals_are_repeated_with_what_to_do() {
    let tower = Fake::answering(|_, _| refused("expired", "the call-home certificate expired at 2026-03-01T00:00:00Z"));
    let host = Host::new(&tower);
    let output = host.agent(&["call-home", "--until", "registered"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.ends_with(
            "edge-agent: the tower refuses this host: the call-home certificate expired at 2026-03-01T00:00:00Z (expired)\n  \
             what to do: have an operator issue a new install script for this host, and run it\n"
        ),
        "{said}"
    );
    let (status, code) = host.status();
    assert_eq!((code, &status["state"], &status["last-error"]["code"]), (1, &json!("refused"), &json!("expired")));
    assert!(!host.has("identity.pem"));
    // What it was given to call home with is of no use to anybody.
    assert!(
        said.contains("the tower refuses the call-home certificate for good: it was removed, with its key"),
        "{said}"
    );
    assert!(!host.has("call-home/key.pem") && !host.has("call-home/certificate.pem") && host.has("call-home/ca.pem"));
    // The service does not spin: it says the same, and its unit is not started again after a 1.
    assert_eq!(host.agent(&["run"]).status.code(), Some(1));
}

#[test]
fn what_an_operator_can_mend_leaves_the_certificate_where_it_is() {
    for (code, remedy) in [
        ("duplicate", "have an operator release the other one"),
        ("not-yet-valid", "set the clock of this host"),
        ("unknown-authority", "new install script"),
        ("wrong-listener", "name the place to call home with --tower-url and --ca"),
    ] {
        let mut calls = 0;
        let tower = Fake::answering(move |_, _| {
            calls += 1;
            if calls == 1 { refused(code, "no") } else { unclaimed() }
        });
        let host = Host::new(&tower);
        let output = host.agent(&["call-home", "--until", "registered"]);
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains(remedy), "{output:?}");
        assert!(host.has("call-home/key.pem") && host.has("call-home/certificate.pem"), "{code}");
        // When it is mended the host comes in by it.
        assert!(host.agent(&["call-home", "--until", "registered"]).status.success());
        assert!(tower.asked().iter().all(|asked| asked.shown.is_some()), "{code}");
        assert!(!host.has("call-home/key.pem"));
    }
}

#[test]
fn a_tower_whose_certificate_is_an_authoritys_own_is_told_from_others() {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let tower = Fake::showing(params, |_, _| unclaimed());
    let host = Host::new(&tower);
    let output = host.agent(&["call-home", "--wait", "1s"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains(
            "TLS: its certificate is an authority's own (CA:TRUE), and none for a server (give the tower a --tls-cert"
        ),
        "{said}"
    );
    assert!(!said.contains("CaUsedAsEndEntity") && tower.asked().is_empty(), "{said}");
}

#[test]
fn what_is_no_answer_is_asked_again() {
    let mut calls = 0;
    let tower = Fake::answering(move |asked, issuer| {
        calls += 1;
        let other = keyward_keys::PrivateKey::generate(keyward_keys::KeyType::EcdsaP256).unwrap();
        let mut renamed = issuer.claimed(asked, Duration::DAY);
        renamed["spiffe-id"] = json!("spiffe://td.example/site/oslo/host/0b");
        match calls {
            1 => None,
            2 => Some((404, "", json!("<html>not here</html>"))),
            3 => Some((200, "", json!("<html>welcome</html>"))),
            4 => Some((200, "", issuer.claimed_for(other.public_key(), Duration::DAY))),
            5 => Some((200, "", renamed)),
            _ => Some((200, "", issuer.claimed(asked, Duration::DAY))),
        }
    });
    let host = Host::new(&tower);
    let output = host.agent(&["call-home"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for expected in [
        "it closed the connection without an answer; next try in ",
        " answered 404 Not Found, which is no answer of a tower; next try in ",
        " answered a broken answer: ",
        "the X.509-SVID is for another key than this host's; next try in ",
        "the X.509-SVID is for `spiffe://td.example/site/oslo/host/0a` and not for `spiffe://td.example/site/oslo/host/0b`",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(tower.asked().len(), 6);
}

#[test]
fn patience_ends() {
    let tower = Fake::answering(|_, _| unclaimed());
    let host = Host::new(&tower);
    fs::write(host.path("call-home/tower-url"), "https://localhost:1").unwrap();
    let output = host.agent(&["call-home", "--wait", "1s"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let expected =
        "edge-agent: gave up after 1s: no answer from https://localhost:1: connection refused: nothing listens there\n";
    assert!(said.ends_with(expected), "{said}");
    assert_eq!((host.status().0["state"].clone(), host.status().1), (json!("calling"), 3));

    fs::write(host.path("call-home/tower-url"), &tower.url).unwrap();
    let output = host.agent(&["call-home", "--wait", "1s"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("gave up after 1s: nobody has claimed this host yet, since "));
    // Somebody else's tower is none.
    let stranger = Fake::answering(|_, _| unclaimed());
    fs::write(host.path("call-home/tower-url"), &stranger.url).unwrap();
    let output = host.agent(&["call-home", "--wait", "1s"]);
    assert!(text(&output.stderr).contains("TLS: its certificate was signed by no authority that is trusted"));
    assert!(stranger.asked().is_empty());
}

#[test]
fn a_tower_can_be_named_without_a_package() {
    let tower = Fake::answering(|_, _| unclaimed());
    let host = Host::new(&tower);
    let other = host.path("other");
    let ca = host.path("call-home/ca.pem");
    let args = ["call-home", "--until", "registered", "--tower-url", &tower.url, "--ca", ca.to_str().unwrap()];
    let mut command = host.program(&args);
    command.env("KEYWARD_STATE_DIR", "/nonexistent").env("KEYWARD_LOG", "json");
    assert!(command.output().unwrap().status.success());
    // It is remembered, as a package is.
    assert!(host.agent(&["call-home", "--until", "registered"]).status.success());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_edge-agent"))
        .env_clear()
        .args(["run", "--host-id", "h1", "--state-dir"])
        .arg(&other)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no call-home package in ") && said.contains("--tower-url and --ca"), "{said}");
}

#[test]
fn a_host_keeps_the_id_that_it_is_registered_with() {
    let tower = Fake::answering(|_, _| unclaimed());
    let host = Host::new(&tower);
    assert!(host.agent(&["call-home", "--until", "registered"]).status.success());
    fs::write(host.path("../host-id"), "another").unwrap();
    let output = host.agent(&["call-home", "--until", "registered"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("edge-agent: this host called home with another host-id\n"));
    assert_eq!(host.read("host-id"), format!("{HOST_ID}\n"));
}

#[test]
fn a_certificate_that_an_operator_issued_later_is_shown() {
    let tower = Fake::answering(|_, _| unclaimed());
    let (host, later) = (Host::new(&tower), Host::new(&tower));
    assert!(host.agent(&["call-home", "--until", "registered"]).status.success());
    for name in ["certificate.pem", "key.pem"] {
        fs::copy(later.path("call-home").join(name), host.path("call-home").join(name)).unwrap();
    }
    assert!(host.agent(&["call-home", "--until", "registered"]).status.success());
    let asked = tower.asked();
    assert!(asked[0].shown.is_some() && asked[1].shown.is_some() && asked[0].shown != asked[1].shown);
    assert!(!host.has("call-home/key.pem"));
}

#[test]
fn the_key_of_a_package_that_others_can_read_is_refused() {
    let tower = Fake::answering(|_, _| unclaimed());
    let host = Host::new(&tower);
    fs::set_permissions(host.path("call-home/key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = host.agent(&["call-home"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("has mode 0644: make it private with `chmod 600 "));
    assert!(tower.asked().is_empty());
}

#[test]
fn a_file_of_the_host_is_read_to_a_limit() {
    let tower = Fake::answering(|asked, issuer| Some((200, "", issuer.claimed(asked, Duration::DAY))));
    let host = Host::new(&tower);
    assert!(host.agent(&["call-home"]).status.success());
    let files = ["state.json", "host-id", "key.pem", "identity.pem", "bundle.pem"];
    for name in files.into_iter().chain(["call-home/tower-url", "call-home/ca.pem"]) {
        let (path, kept) = (host.path(name), fs::read(host.path(name)).unwrap());
        fs::File::options().write(true).open(&path).unwrap().set_len((8 << 20) + 1).unwrap();
        let output = host.agent(&["call-home"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("`{}`: it is longer than 8 MiB", path.display())), "{said}");
        fs::write(&path, kept).unwrap();
    }
    assert!(host.agent(&["call-home"]).status.success());
}

#[test]
fn help_teaches() {
    let tower = Fake::answering(|_, _| None);
    let host = Host::new(&tower);
    let help = host.agent(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Exit codes:"), "{help:?}");
    let output = host.agent(&["call-hom"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("call-home"), "{output:?}");
}
