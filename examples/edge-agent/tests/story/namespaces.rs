//! The story in network namespaces: a tower that only a load balancer reaches, the load balancer (HAProxy), and two hosts with the
//! shells that hosts have.
//!
//! ```text
//! host a 10.77.1.2 ── 10.77.1.1 ┐
//!                               lb 10.77.0.1 ── 10.77.0.2 tower
//! host b 10.77.2.2 ── 10.77.2.1 ┘
//! ```
//!
//! The tower's clock is moved, so that it listens on loopback; its namespace translates its address to that. The test runs itself
//! inside of that namespace, where the tower is.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::host::{Host, done, text, until};
use crate::world::World;

const INSIDE: &str = "KEYWARD_STORY_INSIDE";

#[test]
#[ignore = "needs root, ip, nft, haproxy, dash and busybox: run by .ci/run"]
fn hosts_come_in_through_a_load_balancer() {
    let net = Net::new();
    let status = Command::new("ip")
        .args(["netns", "exec", &net.name("tower")])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "namespaces::inside_of_the_towers_namespace", "--nocapture"])
        .env(INSIDE, &net.prefix)
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
#[ignore = "a part of the one above"]
async fn inside_of_the_towers_namespace() {
    let Ok(prefix) = std::env::var(INSIDE) else { return };
    let mut world = World::at([4646, 4649], Some("https://tower.test:4646")).await;
    let balancer = Balancer::start(&prefix, world.ca());
    let [a, b] = ["a", "b"].map(|name| vec!["ip".into(), "netns".into(), "exec".into(), format!("{prefix}-{name}")]);
    let dash: &[&str] = &["sh"];
    let busybox: &[&str] = &["busybox", "sh"];
    let through = |certificates: serde_json::Value, url: &str| {
        let mut settings = json!({"client-certificate": certificates, "external-url": url});
        if url.contains("callhome.test") {
            settings["external-ca-pem"] = balancer.ca.clone().into();
        }
        settings
    };
    let aws = |verify: &str| json!({"verify": verify, "lb-mode": "aws-passthrough", "lb-addresses": ["10.77.0.1"]});
    let proxy = json!({"verify": "site", "proxy-protocol": "required", "lb-addresses": ["10.77.0.1"]});
    let (http, tcp) = ("https://callhome.test:4649", "https://tower.test:4650");
    let stories = [
        ("certificate-only", through(aws("certificate-only"), http), json!({"ttl": "1d"})),
        ("site", through(aws("site"), http), json!({"site": "oslo"})),
        ("host-id", through(aws("host-id"), http), json!({})),
        ("never", through(json!({"verify": "never"}), http), json!({})),
        ("proxy", through(proxy, tcp), json!({"site": "oslo"})),
    ];
    for (name, settings, order) in &stories {
        world.put("system/call-home/settings", settings.clone()).await;
        for (inside, address, shell) in [(&a, "10.77.1.2", dash), (&b, "10.77.2.2", busybox)] {
            let mut host = Host::new(&format!("{name}-{address}"), None);
            host.inside.clone_from(inside);
            let mut order = order.clone();
            if *name == "host-id" {
                order["host-id"] = format!("{name}-{address}").into();
            }
            let said = done(&host.install(shell, &world.script(order).await));
            assert!(said.contains("registered"), "{name}: {said}");
            assert_eq!(host.state(), "unclaimed", "{name}");
            let shown = world.get("system/unclaimed-hosts").await;
            let shown = &shown["unclaimed-hosts"][0];
            // `never` knows no load balancer whose word about addresses counts.
            let expected = if *name == "never" { "10.77.0.1" } else { address };
            assert_eq!((&shown["id"], &shown["address"]), (&json!(host.hash()), &json!(expected)), "{name}");
            let mut service = host.service();
            service.until("the log", || service_says(&host, "unclaimed"));
            world.claim(&host).await;
            service.until("the identity", || host.status().1 == 0);
        }
    }
    assert_eq!(world.hosts().await.len(), 2 * stories.len());

    // A certificate that was not used in its day.
    world.put("system/call-home/settings", stories[0].1.clone()).await;
    let script = world.script(json!({"ttl": "1d"})).await;
    let mut late = Host::new("late", None);
    late.inside.clone_from(&a);
    world.set_clock("+25h").await;
    let output = late.install(dash, &script);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("the call-home certificate expired at "), "{output:?}");
    assert!(!world.hosts().await.contains(&late.hash()) && world.unclaimed().await.is_empty());
    let records = world.audit(&late.hash()).await;
    assert!(records.iter().any(|one| one.to_string().contains("the call-home certificate expired at ")), "{records:?}");
    drop(balancer);
}

fn service_says(host: &Host, state: &str) -> bool {
    host.state() == state
}

/// Four namespaces and what connects them; gone when this is dropped.
struct Net {
    prefix: String,
}

impl Net {
    fn new() -> Self {
        let net = Self { prefix: format!("kw{}", std::process::id()) };
        for name in ["tower", "lb", "a", "b"] {
            run(&format!("ip netns add {}", net.name(name)));
            net.inside(name, "ip link set lo up");
        }
        for (name, number, address) in [("tower", 0, 2), ("a", 1, 2), ("b", 2, 2)] {
            let (lb, other) = (net.name("lb"), net.name(name));
            run(&format!("ip -n {lb} link add to-{name} type veth peer name to-lb netns {other}"));
            run(&format!("ip -n {lb} addr add 10.77.{number}.1/24 dev to-{name}"));
            run(&format!("ip -n {lb} link set to-{name} up"));
            run(&format!("ip -n {other} addr add 10.77.{number}.{address}/24 dev to-lb"));
            run(&format!("ip -n {other} link set to-lb up"));
            let hosts = match name {
                "tower" => "127.0.0.1 tower.test localhost\n".to_owned(),
                _ => format!("127.0.0.1 localhost\n10.77.{number}.1 tower.test callhome.test\n"),
            };
            fs::create_dir_all(net.etc(name)).unwrap();
            fs::write(net.etc(name).join("hosts"), hosts).unwrap();
        }
        net.inside("tower", "sysctl -qw net.ipv4.conf.all.route_localnet=1");
        let rules = "table ip story { chain to { type nat hook prerouting priority dstnat; ip daddr 10.77.0.2 dnat to 127.0.0.1; }; }";
        net.inside("tower", &format!("nft '{rules}'"));
        net
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn etc(&self, name: &str) -> PathBuf {
        PathBuf::from("/etc/netns").join(self.name(name))
    }

    fn inside(&self, name: &str, command: &str) {
        run(&format!("ip netns exec {} {command}", self.name(name)));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in ["tower", "lb", "a", "b"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(name)]).status();
            let _ = fs::remove_dir_all(self.etc(name));
        }
    }
}

fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", text(&output.stderr));
}

/// HAProxy, as AWS's load balancers are: one that ends TLS and passes certificates on in a header, not verified; and one that passes
/// connections on with a PROXY header.
struct Balancer {
    process: Child,
    ca: String,
    _directory: tempfile::TempDir,
}

impl Balancer {
    fn start(prefix: &str, tower_ca: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let certified = rcgen::generate_simple_self_signed(["callhome.test".to_owned()]).unwrap();
        let ca = certified.cert.pem();
        fs::write(path("own.pem"), format!("{ca}{}", certified.signing_key.serialize_pem())).unwrap();
        fs::write(path("ca.pem"), &ca).unwrap();
        fs::copy(tower_ca, path("tower.pem")).unwrap();
        // The header as AWS documents it: PEM, URL-encoded with `+`, `=` and `/` as safe characters.
        let pem = r#"%[ssl_c_der,base64,regsub("(.{64})","\1%0A",g),regsub("%0A$","")]"#;
        let config = format!(
            "global\n  stats socket {socket}\ndefaults\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             frontend application\n  mode http\n  option forwardfor\n  \
               bind :4649 ssl crt {own} verify optional ca-file {ca} ca-ignore-err all crt-ignore-err all\n  \
               http-request del-header X-Amzn-Mtls-Clientcert\n  \
               http-request set-header X-Amzn-Mtls-Clientcert '-----BEGIN%%20CERTIFICATE-----%%0A{pem}%%0A-----END%%20CERTIFICATE-----%%0A' if {{ ssl_c_used }}\n  \
               default_backend application\n\
             backend application\n  mode http\n  \
               server tower 10.77.0.2:4649 ssl verify required ca-file {tower} sni str(tower.test) verifyhost tower.test\n\
             listen network\n  mode tcp\n  bind :4650\n  server tower 10.77.0.2:4649 send-proxy-v2 proxy-v2-options crc32c\n\
             listen api\n  mode tcp\n  bind :4646\n  server tower 10.77.0.2:4646\n",
            socket = path("socket"),
            own = path("own.pem"),
            ca = path("ca.pem"),
            tower = path("tower.pem"),
        );
        fs::write(path("haproxy.cfg"), config).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{prefix}-lb"), "haproxy", "-db", "-f", &path("haproxy.cfg")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        until("HAProxy", || fs::read_to_string(path("log")).unwrap(), || fs::exists(path("socket")).unwrap());
        Self { process, ca, _directory: directory }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
