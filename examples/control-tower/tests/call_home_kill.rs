//! `kill -9` of the tower at any moment of a host's way in: in the end it is let in, once, and its certificate is used up.
//!
//! `KEYWARD_FULL=1` does it 200 times instead of 20.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

#[path = "support/process.rs"]
mod process;
#[path = "call_home/rig.rs"]
mod rig;
mod support;

use std::{net::SocketAddr, path::Path, time::Duration};

use process::{Tower, rounds};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rig::{HOSTS, Host, ISSUE, UNCLAIMED, Way, client_config, exchange, unpack};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};

/// The host: it asks, whatever happens, until it has its identity.
async fn call_home(to: SocketAddr, ca: CertificateDer<'static>, way: Way, body: String) -> Value {
    let client = client_config(&ca, way.pair.as_ref());
    loop {
        match exchange(to, client.clone(), "POST", "/v1/call-home", &way, &body).await {
            Ok(answer) if answer.status == 200 => return answer.json(),
            Ok(answer) if [202, 503].contains(&answer.status) => {}
            Ok(answer) => panic!("{} {}", answer.status, answer.text()),
            // It was killed.
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

struct World<'a> {
    data: &'a Path,
    at: SocketAddr,
    tower: Option<Tower>,
    rng: StdRng,
}

impl World<'_> {
    fn start(&mut self) {
        self.tower = Some(Tower::start_with(self.data, &["--call-home-listen", &self.at.to_string()]));
    }

    async fn kill_in_a_moment(&mut self) {
        let moment = self.rng.random_range(0..40_000);
        tokio::time::sleep(Duration::from_micros(moment)).await;
        self.tower.take().unwrap().kill();
        self.start();
    }

    fn tower(&self) -> &Tower {
        self.tower.as_ref().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_let_in_once_whenever_the_tower_is_killed() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    // A port that is free now; hosts ask at the same one after each start.
    let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut world = World { data: &data, at, tower: None, rng: StdRng::seed_from_u64(6) };
    world.start();
    let admin = world.tower().administrator().await;
    let call = async |world: &World<'_>, method: &str, path: &str, body: Value| {
        world.tower().call(method, path, Some(&admin), Some(body)).await
    };
    let settings = json!({"client-certificate": {"verify": "host-id"}});
    call(&world, "PUT", "/v1/config/system/call-home/settings", settings).await.ok();
    let rounds = rounds(20, 200);
    // Every other one is listed, and let in with its identity by one commit; an operator claims the others.
    let listed: Vec<String> = (1..rounds).step_by(2).map(|round| format!("h{round}")).collect();
    let site = json!({"name": "oslo", "host-ids": listed});
    call(&world, "PUT", "/v1/config/system/sites/oslo", site).await.ok();
    let ca = std::fs::read(world.tower().line["ca-cert"].as_str().unwrap()).unwrap();
    let ca = CertificateDer::from_pem_slice(&ca).unwrap();
    for round in 0..rounds {
        let host = Host::new(&format!("h{round}"));
        let issued = call(&world, "POST", ISSUE, json!({"host-id": host.id})).await.ok();
        let way = Way::with(&unpack(&issued));
        let agent = tokio::spawn(call_home(at, ca.clone(), way.clone(), host.body().to_string()));
        world.kill_in_a_moment().await;
        let claim = format!("{UNCLAIMED}/{}/claim", host.hash());
        while !listed.contains(&host.id) && call(&world, "POST", &claim, json!({"site": "oslo"})).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        world.kill_in_a_moment().await;
        let identity = tokio::time::timeout(Duration::from_secs(60), agent).await.unwrap().unwrap();
        assert_eq!(identity["site"], "oslo");
        // The one use is used up.
        let client = client_config(&ca, way.pair.as_ref());
        let other = Host::new(&host.id).body().to_string();
        let again = exchange(at, client, "POST", "/v1/call-home", &way, &other).await.unwrap();
        assert_eq!(again.status, 409, "{}", again.text());
    }
    let hosts = world.tower().get(HOSTS, &admin).await.ok();
    let hosts = hosts["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), rounds);
    assert!(hosts.iter().all(|host| host["state"] == "claimed"), "{hosts:?}");
    let waiting = world.tower().get(UNCLAIMED, &admin).await.ok();
    assert_eq!(waiting["unclaimed-hosts"], json!([]));
}
