//! A client, a host that routes, and a workload, each a network namespace.
//!
//! ```text
//! client 10.1.0.2 fd01::2 ── lan0 10.1.0.1 fd01::1 host 10.2.0.1 fd02::1 kw0 ── workload 10.2.0.2 fd02::2
//! ```

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use keyward_nft_marks::{Firewall, Transaction};

use super::namespace::Namespace;

/// Addresses, IPv4 and IPv6.
pub type Addresses = (&'static str, &'static str);

pub const CLIENT: Addresses = ("10.1.0.2", "fd01::2");
pub const HOST: Addresses = ("10.1.0.1", "fd01::1");
pub const WORKLOAD: Addresses = ("10.2.0.2", "fd02::2");

/// Long enough for an answer on a machine that is busy.
const PATIENCE: &str = "10";
/// As long as one waits for an answer that should not come.
const SILENCE: &str = "0.5";

pub struct World {
    pub client: Peer,
    pub host: Peer,
    pub workload: Peer,
}

/// A namespace, and a program in it that talks.
pub struct Peer {
    pub namespace: Namespace,
    process: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

impl World {
    pub fn new() -> Self {
        let (client, host, workload) = (Namespace::new(), Namespace::new(), Namespace::new());
        for namespace in [&client, &host, &workload] {
            // Nobody else is there, and until that is known no neighbour is asked for.
            namespace.run("sysctl", &["-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"]);
        }
        for (inside, name, outside, here, there) in
            [(&client, "eth0", "lan0", CLIENT, HOST), (&workload, "eth0", "kw0", WORKLOAD, ("10.2.0.1", "fd02::1"))]
        {
            host.run("ip", &["link", "add", outside, "type", "veth", "peer", name, "netns", inside.name()]);
            for (end, link, addresses) in [(inside, name, here), (&host, outside, there)] {
                end.run("ip", &["addr", "add", &format!("{}/24", addresses.0), "dev", link]);
                end.run("ip", &["addr", "add", &format!("{}/64", addresses.1), "dev", link, "nodad"]);
                end.run("ip", &["link", "set", link, "up"]);
            }
            inside.run("ip", &["route", "add", "default", "via", there.0]);
            inside.run("ip", &["-6", "route", "add", "default", "via", there.1]);
        }
        host.run("sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
        Self { client: Peer::new(client), host: Peer::new(host), workload: Peer::new(workload) }
    }
}

impl World {
    /// Loads our table anew.
    pub fn apply(&self, firewall: &Firewall) {
        firewall.check(100_000).unwrap();
        self.host.namespace.load(&Transaction::replacing(&firewall.table()).to_string());
    }

    /// The table of whoever else rules the host.
    pub fn user(&self, chains: &str) {
        self.host
            .namespace
            .load(&format!("add table inet user\ndelete table inet user\ntable inet user {{\n{}\n}}\n", lines(chains)));
    }
}

/// nft wants a line's end behind a chain.
fn lines(chains: &str) -> String {
    chains.replace('}', "}\n").replace("}\n accept", "} accept").replace("}\n th", "} th")
}

impl Peer {
    fn new(namespace: Namespace) -> Self {
        let script = include_str!("../python/peer.py");
        let mut process = namespace
            .command("python3", &["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let pipes = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { namespace, process, pipes: RefCell::new(pipes) }
    }

    fn command(&self, line: &str) -> String {
        let (input, output) = &mut *self.pipes.borrow_mut();
        writeln!(input, "{line}").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "no answer to: {line}");
        answer.trim().to_owned()
    }

    /// Answers on these ports, over TCP and UDP, IPv4 and IPv6.
    pub fn listen(&self, addresses: Addresses, ports: &[u16]) {
        for port in ports {
            for (protocol, address) in four(addresses) {
                self.command(&format!("listen {protocol} {address} {port}"));
            }
        }
    }

    fn ask(&self, seconds: &str, addresses: Addresses, port: u16) -> String {
        let targets: Vec<String> =
            four(addresses).map(|(protocol, address)| format!("{protocol} {address} {port}")).into();
        self.command(&format!("try {seconds} {}", targets.join(" ")))
    }

    /// An answer comes, over TCP and UDP, IPv4 and IPv6.
    #[track_caller]
    pub fn reaches(&self, addresses: Addresses, port: u16) {
        assert_eq!(
            self.ask(PATIENCE, addresses, port),
            "answer answer answer answer",
            "tcp and udp over {addresses:?}"
        );
    }

    /// No answer comes, in any of the four ways.
    #[track_caller]
    pub fn misses(&self, addresses: Addresses, port: u16) {
        assert_eq!(
            self.ask(SILENCE, addresses, port),
            "silence silence silence silence",
            "tcp and udp over {addresses:?}"
        );
    }

    /// Connections that stay, one of each of the four ways.
    pub fn open(&self, addresses: Addresses, port: u16) -> Vec<String> {
        four(addresses).map(|(protocol, address)| self.command(&format!("open {protocol} {address} {port}"))).into()
    }

    /// Whether there is an answer over each of them.
    pub fn say(&self, expected: bool, connections: &[String]) -> Vec<bool> {
        let seconds = if expected { PATIENCE } else { SILENCE };
        connections.iter().map(|number| self.command(&format!("say {seconds} {number}")) == "answer").collect()
    }

    /// Asks without end, in each of the four ways, over connections that `stay` or over `new` ones.
    pub fn flood(&self, kind: &str, addresses: Addresses, port: u16) {
        for (protocol, address) in four(addresses) {
            self.command(&format!("flood {kind} {protocol} {address} {port}"));
        }
    }

    /// Ends the floods: how often was asked, and which ones had no answer how often.
    pub fn halt(&self) -> (u64, String) {
        let answer = self.command("halt");
        let mut words = answer.splitn(3, ' ');
        (words.next().unwrap().parse().unwrap(), words.nth(1).unwrap_or_default().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn four((v4, v6): Addresses) -> [(&'static str, &'static str); 4] {
    [("tcp", v4), ("udp", v4), ("tcp", v6), ("udp", v6)]
}
