//! `kill -9` at any moment.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use keyward_svid::x509::authority::CertificateRequest;
use time::Duration;

use crate::fake::{Fake, unclaimed};
use crate::host::Host;

/// The agent is killed a little later each time, over all of what it does, until it is through: it always asks for the same
/// key, and ends with the identity of that key.
#[test]
fn an_agent_that_is_killed_at_any_moment_is_the_same_host() {
    let rounds = if std::env::var("KEYWARD_FULL").is_ok_and(|value| value == "1") { 200 } else { 20 };
    let keys = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&keys);
    let mut calls = 0_u32;
    let tower = Fake::answering(move |asked, issuer| {
        if asked.path == "/v1/host/firewall" {
            return Some((304, "", "".into()));
        }
        let request = CertificateRequest::from_pem(asked.body["csr"].as_str().unwrap()).unwrap();
        seen.lock().unwrap().insert((asked.body["host-id"].to_string(), request.public_key().thumbprint()));
        calls += 1;
        if calls % 2 == 1 { unclaimed() } else { Some((200, "", issuer.claimed(asked, Duration::DAY))) }
    });
    for round in 0..rounds {
        let host = Host::new(&tower);
        keys.lock().unwrap().clear();
        let mut kills = 0;
        // From what a fast machine does in a file's sync, a fifth longer each time: it ends on a slow one, too.
        let mut pause = std::time::Duration::from_micros(300 + 37 * (round % 11));
        loop {
            pause += pause / 5;
            let mut process = host.program(&["call-home", "--until", "registered"]).spawn().unwrap();
            std::thread::sleep(pause);
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success());
                break;
            }
            process.kill().unwrap();
            process.wait().unwrap();
            kills += 1;
        }
        assert!(kills > 0);
        assert!(host.agent(&["call-home"]).status.success());
        assert_eq!(keys.lock().unwrap().len(), 1, "one host with one key");
        assert!(!host.has("call-home/key.pem") && !host.has("call-home/certificate.pem"));
        let left: Vec<_> = std::fs::read_dir(host.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
    }
}
