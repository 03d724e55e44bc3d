//! How hosts come in.

use serde_json::{Value, json};

use crate::host::{Host, done, text};
use crate::world::{World, leaf_id};

/// Script, unclaimed, claimed, up.
async fn come_in(world: &World, host: &Host, shell: &[&str], order: Value) {
    let script = world.script(order).await;
    let said = done(&host.install(shell, &script));
    assert!(said.contains("registered: the tower knows this host"), "{said}");
    assert_eq!((host.state().as_str(), host.status().1), ("unclaimed", 3));
    assert!(!host.has("call-home/key.pem") && !host.has("call-home/certificate.pem"), "used up, and gone");
    assert_eq!(world.unclaimed().await, [host.hash()]);
    world.claim(host).await;
    let said = done(&host.agent(&["call-home"]));
    assert!(said.contains("claimed to site oslo: this host is spiffe://"), "{said}");
    let (status, code) = host.status();
    assert_eq!((code, &status["state"], &status["site"]), (0, &json!("claimed"), &json!("oslo")));
    let id = format!("spiffe://localhost/site/oslo/host/{}", host.hash());
    assert_eq!((status["spiffe-id"].as_str(), leaf_id(&host.path("identity.pem"))), (Some(&*id), id.clone()));
    assert_eq!(world.hosts().await.iter().filter(|one| **one == host.hash()).count(), 1);
    // A second time it is harmless.
    assert!(done(&host.install(shell, &script)).contains(&format!("this host is {id} already, until ")));
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn hosts_come_in_at_every_granularity() {
    let world = World::new().await;
    for (granularity, order) in [
        ("certificate-only", json!({"ttl": "1d"})),
        ("site", json!({"site": "oslo"})),
        ("host-id", json!({"host-id": "id-host-id"})),
        ("never", json!({})),
    ] {
        world.ask_for(granularity).await;
        let host = world.host(&format!("id-{granularity}"));
        come_in(&world, &host, &["sh"], order).await;
    }
    assert_eq!(world.hosts().await.len(), 4);
    assert!(world.unclaimed().await.is_empty() && world.duplicates().await.is_empty());
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_certificate_that_expired_lets_nobody_in_and_both_ends_say_so() {
    let mut world = World::new().await;
    let host = world.host("h1");
    let script = world.script(json!({"ttl": "1d"})).await;
    world.set_clock("+25h").await;
    let output = host.install(&["sh"], &script);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the tower refuses this host: the call-home certificate expired at "), "{said}");
    assert!(said.contains("what to do: have an operator issue a new install script"), "{said}");
    assert_eq!((host.state().as_str(), host.status().1), ("refused", 1));
    assert!(world.hosts().await.is_empty() && world.unclaimed().await.is_empty());
    let records = world.audit(&host.hash()).await;
    assert!(records.iter().any(|one| one.to_string().contains("the call-home certificate expired at ")), "{records:?}");
    // With a new script the same host comes in.
    let said = done(&host.install(&["sh"], &world.script(json!({})).await));
    assert!(said.contains("registered"), "{said}");
    assert_eq!(world.unclaimed().await, [host.hash()]);
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_host_is_claimed_while_it_is_away() {
    let mut world = World::new().await;
    let host = world.host("h1");
    done(&host.install(&["sh"], &world.script(json!({})).await));
    world.claim(&host).await;
    // Its certificate expires meanwhile; it is known by its key.
    world.set_clock("+20d").await;
    let mut service = host.service();
    service.until("the identity", || host.status().1 == 0);
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_host_that_is_listed_is_claimed_at_once() {
    let world = World::new().await;
    world.put("system/sites/oslo", json!({"name": "oslo", "host-ids": ["h1"]})).await;
    let host = world.host("h1");
    let said = done(&host.install(&["sh"], &world.script(json!({"site": "oslo"})).await));
    assert!(said.contains("claimed to site oslo"), "{said}");
    assert_eq!(host.status().1, 0);
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn another_host_with_the_same_id_is_a_duplicate() {
    let world = World::new().await;
    let (first, second) = (world.host("h1"), world.host("h1"));
    let script = world.script(json!({})).await;
    done(&first.install(&["sh"], &script));
    let output = second.install(&["sh"], &script);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another host has called home with this host-id") && said.contains("(duplicate)"), "{said}");
    assert_eq!((world.unclaimed().await.len(), world.duplicates().await.len()), (1, 1));
    // The operator finds that the second one is the right one.
    world.post(&format!("system/hosts/{}/release", first.hash()), json!({})).await.ok();
    done(&second.install(&["sh"], &script));
    world.claim(&second).await;
    done(&second.agent(&["call-home"]));
    assert_eq!(second.status().1, 0);
    let output = first.agent(&["call-home", "--wait", "1s"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_certificate_for_one_host_is_used_up_by_it() {
    let world = World::new().await;
    world.ask_for("host-id").await;
    let script = world.script(json!({"host-id": "h1"})).await;
    let output = world.host("h2").install(&["sh"], &script);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the call-home certificate is for another host-id (wrong-host)"));
    done(&world.host("h1").install(&["sh"], &script));
    let output = world.host("h1").install(&["sh"], &script);
    assert!(text(&output.stderr).contains("(duplicate)"), "{output:?}");
}

/// An operator who knows a host by what its agent shows, and not its host-id.
#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_certificate_is_ordered_for_the_hash_that_the_agent_shows() {
    let world = World::new().await;
    world.ask_for("host-id").await;
    let host = world.host("a-host-id-that-nobody-knows");
    let hash = host.status().0["host"].as_str().unwrap().to_owned();
    assert_eq!(hash, host.hash());
    come_in(&world, &host, &["sh"], json!({"host-id": format!("sha256:{hash}")})).await;
}

/// The API's address in the place of that for calling home.
#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn a_host_that_calls_at_the_api_is_told_where_to() {
    let world = World::new().await;
    world.ask_for("never").await;
    let (host, ca) = (world.host("h1"), world.ca());
    let (api, call_home) = (world.tower().url.clone(), world.call_home_url());
    let at = |url: &str| {
        host.agent(&["call-home", "--until", "registered", "--ca", ca.to_str().unwrap(), "--tower-url", url])
    };
    let output = at(&api);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let expected = format!(
        "edge-agent: the tower refuses this host: hosts call home at {call_home}, and this is the tower's API (wrong-listener)\n  \
         what to do: run a new install script, or name the place to call home with --tower-url and --ca\n"
    );
    assert!(text(&output.stderr).ends_with(&expected), "{output:?}");
    done(&at(&call_home));
    assert_eq!(world.unclaimed().await, [host.hash()]);
}

#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn no_key_has_to_travel() {
    let world = World::new().await;
    let host = world.host("h1");
    let request = host.agent(&["call-home", "--print-csr"]);
    assert!(request.status.success() && text(&request.stdout).starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    assert_eq!(host.agent(&["call-home", "--print-csr"]).status.code(), Some(0), "of the same key");
    let script = world.script(json!({"csr": text(&request.stdout)})).await;
    assert!(!script.contains("PRIVATE KEY"));
    let said = done(&host.install(&["sh"], &script));
    assert!(said.contains("registered"), "{said}");
    // It is of use on that host alone.
    let output = world.host("h2").install(&["sh"], &script);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the key that this certificate is for is not in "), "{output:?}");
}

#[test]
fn a_moved_clock_is_for_a_tower_on_the_same_machine() {
    let clock = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(clock.path(), "+1d").unwrap();
    let host = Host::new("h1", Some(clock.path()));
    let ca = rcgen::generate_simple_self_signed(["tower.example".to_owned()]).unwrap().cert.pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca).unwrap();
    let ca = file.path().to_str().unwrap();
    let output = host.agent(&["call-home", "--tower-url", "https://tower.example", "--ca", ca, "--wait", "1s"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let expected = "edge-agent: --test-clock is refused with the tower `https://tower.example`\n";
    assert!(text(&output.stderr).starts_with(expected), "{output:?}");
}

/// What others can read while the script runs: the arguments of all programs, and for the same user their environments.
#[tokio::test]
#[ignore = "needs the control tower beside the agent: run by .ci/run"]
async fn nothing_secret_is_in_any_argument_or_environment() {
    let world = World::new().await;
    let host = world.host("a-host-id-that-nobody-knows");
    let script = world.script(json!({})).await;
    let key = script.split_once("PRIVATE KEY-----\n").unwrap().1.lines().next().unwrap().to_owned();
    let seen = std::thread::scope(|scope| {
        let run = scope.spawn(|| done(&host.install(&["sh"], &script)));
        let mut seen = String::new();
        while !run.is_finished() {
            for process in std::fs::read_dir("/proc").unwrap() {
                let process = process.unwrap().path();
                for name in ["cmdline", "environ"] {
                    let text = std::fs::read(process.join(name)).unwrap_or_default();
                    seen += &String::from_utf8_lossy(&text).replace('\0', " ");
                }
            }
        }
        run.join().unwrap();
        seen
    });
    assert!(seen.contains("call-home --until registered --state-dir "), "the agent was seen");
    assert!(seen.contains("KEYWARD_HOST_ID_FILE="), "so was its environment");
    assert!(!seen.contains("nobody-knows") && !seen.contains(&key));
}
