//! `kill -9` of either end, at moments spread over all of the exchange.

use std::time::Duration;

use serde_json::json;

use crate::host::done;
use crate::process::rounds;
use crate::world::World;

/// Killed a little later each time, until it is through. The host is admitted once.
#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn an_agent_that_is_killed_is_admitted_once() {
    let world = World::new().await;
    // Some are claimed at once, the others wait.
    world.put("system/sites/oslo", json!({"name": "oslo", "host-ids": ["h0", "h2", "h4"]})).await;
    let unbounded = json!({"client-certificate": {"verify": "certificate-only"}, "max-unclaimed": 1000});
    world.put("system/call-home/settings", unbounded).await;
    let package = world.package(json!({"ttl": "1d", "max-uses": 1000})).await;
    let kills = rounds(20, 200);
    let (mut killed, mut number) = (0, 0_u64);
    while killed < kills {
        let host = world.host(&format!("h{number}"));
        number += 1;
        host.unpack(&package);
        // A fifth longer each time: it ends on a slow machine, too.
        let mut pause = Duration::from_micros(5000 + 700 * (number % 11));
        loop {
            pause += pause / 5;
            let mut process = host.program(&["call-home", "--until", "registered"]).spawn().unwrap();
            std::thread::sleep(pause);
            if process.try_wait().unwrap().is_some() {
                break;
            }
            process.kill().unwrap();
            process.wait().unwrap();
            killed += 1;
        }
        done(&host.agent(&["call-home", "--until", "registered"]));
        assert_eq!(world.hosts().await.iter().filter(|id| **id == host.hash()).count(), 1);
    }
    assert!(world.duplicates().await.is_empty());
    assert_eq!(world.hosts().await.len() as u64, number);
}

/// The tower is killed while a host comes in, and started again.
#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_tower_that_is_killed_has_admitted_a_host_once() {
    let mut world = World::new().await;
    let kills = rounds(5, 100);
    let ids: Vec<String> = (0..kills).map(|number| format!("h{number}")).collect();
    world.put("system/sites/oslo", json!({"name": "oslo", "host-ids": ids})).await;
    for (number, id) in ids.iter().enumerate() {
        let host = world.host(id);
        host.unpack(&world.package(json!({})).await);
        let mut process = host.program(&["call-home", "--wait", "2m"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis((number as u64 * 37) % 150));
        world.kill_tower();
        world.start();
        assert!(process.wait().unwrap().success());
        assert_eq!(host.status().1, 0);
        let admitted = world.audit(&host.hash()).await;
        let admitted = admitted.iter().filter(|one| one.to_string().contains("\"state\":\"claimed\"")).count();
        assert_eq!(admitted, 1);
    }
    assert!(world.duplicates().await.is_empty());
    assert_eq!(world.hosts().await.len(), kills);
}
