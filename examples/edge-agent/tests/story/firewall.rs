//! What a host's firewall is, from the operator's documents to the host, with an `nft` of few words.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::host::{Host, done, text};
use crate::world::World;

/// A host without any table.
const NFT: &str = "#!/bin/sh
case $* in
--version) echo 'nftables v1.0.6 (Lester Gooch #5)' ;;
*'list table'*) echo 'Error: No such file or directory' >&2; exit 1 ;;
esac
";

fn plan(host: &Host) -> (Option<i32>, String) {
    let nft = host.path("../nft");
    fs::write(&nft, NFT).unwrap();
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).unwrap();
    let output = host.agent(&["firewall", "plan", "--nft", nft.to_str().unwrap()]);
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_hosts_firewall_is_what_the_documents_say_at_its_site() {
    let mut world = World::new().await;
    world.ask_for("never").await;
    world.put("system/sites/oslo", json!({"name": "oslo", "variables": {"n": 7}})).await;
    world.put("system/sites/bergen", json!({"name": "bergen", "variables": {"n": 8}})).await;
    world.put("firewall", json!({"control-inbound": ["10.${n}.255.1 tcp 22"]})).await;
    let host = world.host("h1");
    done(&host.install(&["sh"], &world.script(json!({})).await));
    assert_eq!(plan(&host).0, Some(1), "it has no identity yet");
    world.claim(&host).await;
    done(&host.agent(&["call-home"]));

    let (code, shown) = plan(&host);
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("+ set control_in4: 10.7.255.1 . tcp . 22\n") && !shown.contains("set ingress4"), "{shown}");
    let ingress = json!({"name": "web", "application": "shop", "ranges": ["10.${n}.0.1 tcp 80"]});
    world.put("ingress/web", ingress).await;
    let shown = plan(&host).1;
    assert!(shown.contains("+ set ingress4: 10.7.0.1 . tcp . 80\n"), "{shown}");

    world.kill_tower();
    let (code, away) = plan(&host);
    assert_eq!(code, Some(2), "{away}");
    assert!(
        away.contains("+ set ingress4: 10.7.0.1 . tcp . 80\n") && away.contains("; this is what the tower said at "),
        "{away}"
    );
    world.start();
    assert_eq!(plan(&host), (Some(2), shown), "the token of the tag holds for another run of the tower");
    world.set_clock("+1m").await;
    world.post(&format!("system/hosts/{}/remove", host.hash()), json!({})).await.ok();
    let (code, shown) = plan(&host);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("(removed)"), "{shown}");
}
