//! `firewall` with what the tower says; the `nft` is one of few words, too.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use time::Duration;

use crate::fake::{Fake, refused};
use crate::host::Host;

/// A host without any table, and nobody else's either.
const NFT: &str = "#!/bin/sh
case $* in
--version) echo 'nftables v1.0.6 (Lester Gooch #5)' ;;
*'list table'*) echo 'Error: No such file or directory' >&2; exit 1 ;;
*) cat > /dev/null ;;
esac
";

fn plan(host: &Host) -> (i32, String) {
    let nft = host.path("../nft");
    if !nft.exists() {
        fs::write(&nft, NFT).unwrap();
        fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = host.program(&["firewall", "plan", "--nft", nft.to_str().unwrap()]);
    let Output { status, stdout, stderr } = command.env("PATH", "/usr/bin:/bin").output().unwrap();
    let shown = String::from_utf8(stdout).unwrap() + std::str::from_utf8(&stderr).unwrap();
    (status.code().unwrap(), shown)
}

#[test]
fn the_firewall_comes_from_the_tower_and_is_kept_for_when_it_does_not_answer() {
    let round = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&round);
    let tower = Fake::answering(move |asked, issuer| match (asked.path.as_str(), now.load(Ordering::SeqCst)) {
        ("/v1/call-home", _) => Some((200, "", issuer.claimed(asked, Duration::days(1)))),
        ("/v1/host/firewall", 0) => Some((
            200,
            "etag: \"1\"\r\n",
            json!({
                "format": 1, "site": "oslo", "firewall": {"control-inbound": ["10.7.255.1 tcp 22"]},
                "ingress": [{"tenant": "acme", "name": "web", "application": "shop", "ranges": ["10.7.0.1 tcp 80"]}],
                "left-out": [{"tenant": "beta", "name": "dns", "problem": "`ingress/dns`: it does not fit"}],
            }),
        )),
        ("/v1/host/firewall", 1) => Some((304, "", json!(""))),
        ("/v1/host/firewall", 2) => None,
        ("/v1/host/firewall", 3) => {
            Some((200, "", json!({"format": 2, "site": "oslo", "firewall": {}, "ingress": []})))
        }
        _ => refused("removed", "the host was removed: an operator has to release it"),
    });
    let host = Host::new(&tower);
    let (code, shown) = plan(&host);
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("this host has no identity"), "{shown}");
    assert!(host.agent(&["call-home"]).status.success());

    let first = plan(&host);
    assert_eq!(first.0, 2, "{}", first.1);
    assert!(first.1.contains("+ set ingress4: 10.7.0.1 . tcp . 80\n"), "{}", first.1);
    assert!(first.1.contains("+ set control_in4: 10.7.255.1 . tcp . 22\n"), "{}", first.1);
    assert!(first.1.contains("tenant `beta`, left out: `ingress/dns`: it does not fit\n"), "{}", first.1);
    assert!(tower.asked().last().unwrap().shown.is_some(), "with its SVID");
    assert!(host.has("firewall.json"));
    round.store(1, Ordering::SeqCst);
    assert_eq!(plan(&host), first, "the same as before");
    round.store(2, Ordering::SeqCst);
    let (code, shown) = plan(&host);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("+ set ingress4: 10.7.0.1 . tcp . 80\n"), "{shown}");
    assert!(shown.contains("no answer from ") && shown.contains("; this is what the tower said at "), "{shown}");
    round.store(3, Ordering::SeqCst);
    let (code, shown) = plan(&host);
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("the firewall has the format 2, but this program knows 1 at most; update it"), "{shown}");
    round.store(4, Ordering::SeqCst);
    let (code, shown) = plan(&host);
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("the tower refuses this host: the host was removed"), "{shown}");
}

#[test]
fn an_identity_that_is_over_is_said_to_be() {
    let tower = Fake::answering(|asked, issuer| match asked.path.as_str() {
        "/v1/call-home" => Some((200, "", issuer.claimed(asked, Duration::seconds(3)))),
        _ => Some((403, "", json!("<html>forbidden</html>"))),
    });
    let host = Host::new(&tower);
    assert!(host.agent(&["call-home"]).status.success());
    let shown = std::iter::repeat_with(|| plan(&host).1).find(|shown| !shown.contains("403 Forbidden")).unwrap();
    assert!(shown.contains("the identity of this host expired at 20") && shown.contains("call home"), "{shown}");
}
