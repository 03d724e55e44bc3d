//! How hosts stay, and go.

use serde_json::json;

use crate::host::{Host, Service, done};
use crate::world::World;

/// A host that is up, with its service.
async fn up(world: &World) -> (Host, Service) {
    world.ask_for("never").await;
    let host = world.host("h1");
    done(&host.install(&["sh"], &world.script(json!({})).await));
    world.claim(&host).await;
    let mut service = host.service();
    service.until("the identity", || host.status().1 == 0);
    (host, service)
}

fn expires(host: &Host) -> String {
    host.status().0["expires"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn an_identity_is_renewed_for_days() {
    let mut world = World::new().await;
    let (host, mut service) = up(&world).await;
    for hours in (14..120).step_by(14) {
        let before = expires(&host);
        world.set_clock(&format!("+{hours}h")).await;
        service.until("the renewal", || expires(&host) > before);
    }
    assert_eq!((host.status().1, world.hosts().await.len()), (0, 1));
    assert!(!service.log().contains("WARN"), "{}", service.log());
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_host_that_slept_for_a_week_is_the_same_host() {
    let mut world = World::new().await;
    let (host, service) = up(&world).await;
    drop(service);
    world.set_clock("+7d").await;
    assert_eq!((host.state().as_str(), host.status().1), ("expired", 3));
    let mut service = host.service();
    service.until("the identity", || host.status().1 == 0);
    assert!(service.log().contains("the identity of this host expired at "), "{}", service.log());
    assert_eq!((world.hosts().await.len(), world.duplicates().await.len()), (1, 0));
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_host_that_was_removed_stops_and_is_not_let_in() {
    let mut world = World::new().await;
    let (host, mut service) = up(&world).await;
    world.post(&format!("system/hosts/{}/remove", host.hash()), json!({})).await.ok();
    world.set_clock("+14h").await;
    assert_eq!(service.end(), Some(1), "the unit is not started again after a 1: {}", service.log());
    let log = service.log();
    assert!(
        log.contains("the tower refuses the identity of this host, which stops using it: the host was removed"),
        "{log}"
    );
    assert!(!host.has("identity.pem"));
    assert_eq!((host.state().as_str(), host.status().1), ("removed", 1));
    let output = host.agent(&["call-home"]);
    assert_eq!(output.status.code(), Some(1));
    // Released, it comes again.
    world.post(&format!("system/hosts/{}/release", host.hash()), json!({})).await.ok();
    done(&host.agent(&["call-home", "--until", "registered"]));
    assert_eq!(world.unclaimed().await, [host.hash()]);
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_host_that_was_released_comes_again_by_itself() {
    let mut world = World::new().await;
    let (host, mut service) = up(&world).await;
    world.post(&format!("system/hosts/{}/release", host.hash()), json!({})).await.ok();
    world.set_clock("+14h").await;
    service.until("that it is unclaimed", || host.state() == "unclaimed");
    assert!(!host.has("identity.pem"), "{}", service.log());
    world.claim(&host).await;
    service.until("the identity", || host.status().1 == 0);
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_tower_that_is_away_is_waited_for() {
    let mut world = World::new().await;
    let (host, mut service) = up(&world).await;
    let before = expires(&host);
    world.kill_tower();
    world.set_clock("+14h").await;
    service.until("the warning", || host.status().0["last-error"].is_object());
    assert!(service.log().contains("cannot renew the identity, which expires in "), "{}", service.log());
    assert_eq!(host.status().1, 0, "it is good until it expires");
    world.start();
    // The identity is kept first, and how the host stands behind it.
    service.until("the renewal", || expires(&host) > before && host.status().0["last-error"].is_null());
}
