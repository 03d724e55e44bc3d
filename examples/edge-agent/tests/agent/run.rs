//! `run`: the service.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use time::Duration;

use crate::fake::{Fake, refused, unclaimed};
use crate::host::{Host, text};

#[test]
fn an_identity_is_renewed_with_itself() {
    let tower = Fake::answering(|asked, issuer| Some((200, "", issuer.claimed(asked, Duration::seconds(4)))));
    let host = Host::new(&tower);
    let socket = host.path("../notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let mut command = host.program(&["run"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000").stderr(std::process::Stdio::inherit());
    let mut process = command.spawn().unwrap();
    let next = || {
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut told = vec![];
    while tower.asked().len() < 3 {
        told.push(next());
    }
    let sent = std::process::Command::new("sh").arg("-c").arg(format!("kill -TERM {}", process.id())).status().unwrap();
    assert!(sent.success());
    while told.last().is_none_or(|last| last != "STOPPING=1") {
        told.push(next());
    }
    assert!(process.wait().unwrap().success());
    assert_eq!(told[0], "READY=1");
    assert!(told.iter().filter(|one| *one == "WATCHDOG=1").count() > 2, "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("STATUS=spiffe://td.example/site/oslo/host/0a until ")), "{told:?}");
    let asked = tower.asked();
    assert_eq!((asked[0].path.as_str(), asked[1].path.as_str()), ("/v1/call-home", "/v1/host/renew"));
    // Renewed with what it got before, for the same key.
    assert!(asked[1].shown.is_some() && asked[1].shown != asked[2].shown);
    let key = |n: usize| {
        let csr = asked[n].body["csr"].as_str().unwrap();
        keyward_svid::x509::authority::CertificateRequest::from_pem(csr).unwrap().public_key().clone()
    };
    assert_eq!((key(0), key(1)), (key(1), key(2)));
}

#[test]
fn a_host_that_was_removed_stops() {
    let tower = Fake::answering(|asked, issuer| match asked.path.as_str() {
        "/v1/call-home" => Some((200, "", issuer.claimed(asked, Duration::seconds(2)))),
        _ => refused("removed", "the host was removed: an operator has to release it"),
    });
    let host = Host::new(&tower);
    let mut running = host.start(&["run"]);
    assert_eq!(running.end(), Some(1), "{}", running.said);
    assert!(running.said.contains("the tower refuses the identity of this host, which stops using it: "));
    assert!(running.said.contains("what to do: if that was a mistake, have an operator release the host"));
    assert!(!host.has("identity.pem"));
    let (status, code) = host.status();
    assert_eq!((code, &status["state"], &status["last-error"]["code"]), (1, &json!("removed"), &json!("removed")));
}

#[test]
fn a_host_that_was_released_calls_home_again() {
    let mut calls = 0;
    let tower = Fake::answering(move |asked, issuer| match asked.path.as_str() {
        "/v1/call-home" => {
            calls += 1;
            if calls == 1 { Some((200, "", issuer.claimed(asked, Duration::seconds(2)))) } else { unclaimed() }
        }
        _ => refused("not-registered", "the host is not registered"),
    });
    let host = Host::new(&tower);
    let mut running = host.start(&["run"]);
    running.until("nobody has claimed this host yet");
    assert!(!host.has("identity.pem"));
    assert_eq!((host.status().0["state"].clone(), host.status().1), (json!("unclaimed"), 3));
    assert_eq!(host.status().0["process"], running.process.id());
    // Another one of the same host says how that stands instead of getting into its way.
    let mut other = host.start(&["call-home", "--until", "registered"]);
    assert_eq!(other.end(), Some(0), "{}", other.said);
    assert_eq!(other.said, "registered: the tower knows this host, and an operator has to claim it\n");
    // And waits for what it has not come to.
    let output = host.agent(&["call-home", "--wait", "1s"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("another edge-agent of this host is calling home: waiting for it\n"), "{said}");
    running.terminate();
    assert_eq!(running.end(), Some(0), "{}", running.said);
    assert!(running.said.contains("stopped"), "{}", running.said);
    assert!(host.status().0["process"].is_null());
}

#[test]
fn an_identity_that_cannot_be_renewed_is_asked_for_again_when_it_expires() {
    let tower = Fake::answering(|asked, issuer| match asked.path.as_str() {
        "/v1/call-home" => Some((200, "", issuer.claimed(asked, Duration::seconds(3)))),
        // Of a balancer: no reason to give an identity up.
        _ => Some((403, "", json!("<html>forbidden</html>"))),
    });
    let host = Host::new(&tower);
    let mut running = host.start(&["run"]);
    running.until("cannot renew the identity, which expires in ");
    assert!(running.said.contains("403 Forbidden, which is no answer of a tower"), "{}", running.said);
    running.until("the identity of this host expired at ");
    running.until("claimed to site oslo");
    assert_eq!(host.status().1, 0);
}

#[test]
fn the_service_waits_for_whoever_calls_home_by_hand() {
    let tower = Fake::answering(|_, _| unclaimed());
    let host = Host::new(&tower);
    let mut by_hand = host.start(&["call-home"]);
    by_hand.until("nobody has claimed this host yet");
    let mut service = host.start(&["run"]);
    service.until("is in use by another edge-agent (process ");
    drop(by_hand);
    service.until("nobody has claimed this host yet");
    service.terminate();
    assert_eq!(service.end(), Some(0), "{}", service.said);
}

/// A tower that has the host in its books, or not: it is claimed as it calls with a certificate.
fn with_books(registered: &Arc<AtomicBool>) -> Fake {
    let registered = Arc::clone(registered);
    Fake::answering(move |asked, issuer| match (asked.path.as_str(), registered.load(Ordering::SeqCst)) {
        ("/v1/call-home", _) if asked.shown.is_none() => refused("missing", "a call-home certificate is needed"),
        ("/v1/call-home", _) => {
            registered.store(true, Ordering::SeqCst);
            Some((200, "", issuer.claimed(asked, Duration::DAY)))
        }
        (_, true) => Some((304, "", json!(""))),
        (_, false) => refused("not-registered", "the host is not registered"),
    })
}

#[test]
fn a_host_that_was_released_comes_in_by_a_new_install_script() {
    let registered = Arc::new(AtomicBool::new(false));
    let tower = with_books(&registered);
    let host = Host::new(&tower);
    assert!(host.agent(&["call-home"]).status.success());
    // It holds: what the script brought is of no use, and gone.
    host.prepare(&tower);
    let output = host.agent(&["call-home", "--until", "registered"]);
    assert!(text(&output.stderr).contains("already, until"), "{output:?}");
    assert!(!host.has("call-home/key.pem") && host.has("identity.pem"));
    let first = host.read("identity.pem");
    // Released: without a certificate it cannot come in, with one it does, half a day before its renewal.
    registered.store(false, Ordering::SeqCst);
    let output = host.agent(&["call-home"]);
    assert!(text(&output.stderr).contains("(missing)") && !host.has("identity.pem"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
    host.prepare(&tower);
    let output = host.agent(&["call-home"]);
    assert!(output.status.success() && host.read("identity.pem") != first, "{output:?}");
    assert!(!host.has("call-home/key.pem"));
}

#[test]
fn a_service_finds_out_that_its_host_was_released() {
    let registered = Arc::new(AtomicBool::new(false));
    let tower = with_books(&registered);
    let host = Host::new(&tower);
    assert!(host.agent(&["call-home"]).status.success());
    // As it starts.
    registered.store(false, Ordering::SeqCst);
    let mut running = host.start(&["run"]);
    assert_eq!(running.end(), Some(1), "{}", running.said);
    assert!(running.said.contains("which stops using it: the host is not registered"), "{}", running.said);
    // And as an install script is run, with which it calls home; who runs the script waits for that.
    host.prepare(&tower);
    let mut running = host.start(&["run"]);
    running.until("to be renewed at ");
    let first = host.read("identity.pem");
    registered.store(false, Ordering::SeqCst);
    host.prepare(&tower);
    let mut script = host.start(&["call-home", "--until", "registered"]);
    assert_eq!(script.end(), Some(0), "{}", script.said);
    assert!(registered.load(Ordering::SeqCst));
    // The service lets go of the identity that it has, whoever of the two was faster, and comes to the new one.
    running.until("which stops using it: the host is not registered");
    running.until("claimed to site oslo");
    running.until("to be renewed at ");
    assert!(host.read("identity.pem") != first);
    running.terminate();
    assert_eq!(running.end(), Some(0), "{}", running.said);
    assert!(!host.has("call-home/key.pem"));
}
