//! `edge-agent firewall` on the kernel: in network namespaces of its own, with the host's `nft`, and with another version beside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::namespace::{Namespace, full, nft, other_nft};
use support::world::{HOST, WORKLOAD, World};
use tempfile::TempDir;

const AGENT: &str = env!("CARGO_BIN_EXE_edge-agent");
/// As long as anything here may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A table of somebody else.
const OTHERS: &str = "table inet user {
\tset blocked {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.66 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr @blocked drop
\t\tmeta mark & 0x000000ff == 0x00000001 counter
\t}
}
";

/// What a file says; `ranges` are those of one ingress.
fn documents(rest: &str, ranges: &[String]) -> String {
    let mut text = format!(
        "x-path: firewall\nx-operation: replace\nworkload-interfaces: [kw*]\nrest: {rest}\ncontrol-inbound: ['${{host-address}} tcp 22']\n---\n\
         x-path: variables/host-address\nx-operation: create\nname: host-address\nvalue: 10.1.0.1\n"
    );
    if !ranges.is_empty() {
        write!(
            text,
            "---\nx-path: ingress/web\nx-operation: create\nname: web\napplication: shop\nranges: {ranges:?}\n"
        )
        .unwrap();
    }
    text
}

fn one(range: &str) -> Vec<String> {
    vec![range.to_owned()]
}

/// A host with an agent.
struct Host<'a> {
    namespace: &'a Namespace,
    directory: TempDir,
    nft: String,
}

impl<'a> Host<'a> {
    fn new(namespace: &'a Namespace, nft: &str) -> Self {
        Self { namespace, directory: tempfile::tempdir().unwrap(), nft: nft.to_owned() }
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("host.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let run = self.directory.path().join("run");
        let state = self.directory.path().join("state");
        let common = ["--nft", &self.nft, "--run-dir", run.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
        self.namespace.command(AGENT, &[&["firewall"], arguments, &common[..]].concat())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it with these documents; answers the exit code and what it printed.
    #[track_caller]
    fn with(&self, text: &str, arguments: &[&str]) -> (i32, String) {
        let file = self.file(text);
        let output = self.run(&[arguments, &["--file", file.to_str().unwrap()]].concat());
        (output.status.code().unwrap(), shown(&output))
    }

    #[track_caller]
    fn apply(&self, text: &str) {
        let (code, shown) = self.with(text, &["apply"]);
        assert_eq!(code, 0, "{shown}");
    }

    /// The host's tables but for ours.
    fn others(&self) -> String {
        let all = self.namespace.run(&self.nft, &["-s", "list", "ruleset"]);
        let mut kept = String::new();
        let mut ours = false;
        for line in all.lines() {
            ours = line == "table inet keyward {" || (ours && !line.starts_with("table "));
            if !ours {
                writeln!(kept, "{line}").unwrap();
            }
        }
        kept
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn nfts() -> Vec<String> {
    std::iter::once(nft()).chain(other_nft()).collect()
}

/// Waits for something that takes its time.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn what_is_planned_is_applied_and_what_drifts_is_found() {
    for nft in nfts() {
        let namespace = Namespace::new();
        let host = Host::new(&namespace, &nft);
        namespace.load_with(&nft, &[], OTHERS);
        let others = host.others();
        let first = documents("drop-workloads", &one("10.2.0.2 tcp 80"));
        let (code, text) = host.with(&first, &["plan"]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("+ set ingress4: 10.2.0.2 . tcp . 80\n") && !text.contains('\x1b'), "{text}");
        assert!(text.contains("there is no table yet, and it would be loaded"), "{text}");
        let (_, text) = host.with(&first, &["plan", "--color", "always"]);
        assert!(text.contains("\x1b[32m+ set ingress4: 10.2.0.2 . tcp . 80\x1b[0m\n"), "{text}");
        assert_eq!(host.run(&["show"]).status.code(), Some(1), "nothing was changed");
        host.apply(&first);
        assert_eq!(host.with(&first, &["plan"]), (0, "The firewall is what it should be.\n".to_owned()));
        assert_eq!(host.with(&first, &["verify"]).0, 0);

        let second = documents("drop-workloads", &one("10.2.0.2 tcp 81"));
        let (code, text) = host.with(&second, &["plan"]);
        assert_eq!(code, 2);
        assert_eq!(
            text,
            "- set ingress4: 10.2.0.2 . tcp . 80\n+ set ingress4: 10.2.0.2 . tcp . 81\n1 to add, 1 to remove: the table would be changed in its place.\n"
        );
        let json = host.run(&["plan", "-o", "json", "--file", host.file(&second).to_str().unwrap()]);
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["replaces"], false);
        assert_eq!(
            json["changes"][0],
            serde_json::json!({"change": "remove", "what": "set ingress4: 10.2.0.2 . tcp . 80"})
        );
        host.apply(&second);

        // The three ways to show it.
        let listed = namespace.listing_with(&nft);
        assert_eq!(shown(&host.run(&["show"])), listed);
        assert!(shown(&host.run(&["show", "-o", "model"])).contains("set ingress4: 10.2.0.2 . tcp . 81\n"));
        let json = host.run(&["show", "-o", "json"]).stdout;
        namespace.load_with(&nft, &["-j"], &String::from_utf8(json).unwrap());
        assert_eq!(namespace.listing_with(&nft), listed);

        // Somebody else's hands in it.
        for drift in [
            "delete element inet keyward ingress4 { 10.2.0.2 . tcp . 81 }",
            "add rule inet keyward forward counter accept",
            "flush chain inet keyward prerouting",
            "add set inet keyward mine { type ipv4_addr; }",
            "delete table inet keyward",
        ] {
            namespace.load_with(&nft, &[], &format!("{drift}\n"));
            let (code, text) = host.with(&second, &["verify"]);
            assert_eq!(code, 2, "{drift}: {text}");
            host.apply(&second);
            assert_eq!(host.with(&second, &["verify"]).0, 0, "{drift}");
            assert_eq!(namespace.listing_with(&nft), listed, "{drift}");
        }
        assert_eq!(host.others(), others);
        assert_eq!(host.run(&["remove"]).status.code(), Some(0));
        assert_eq!(host.run(&["remove"]).status.code(), Some(0), "again");
        assert_eq!(host.run(&["show"]).status.code(), Some(1));
        assert_eq!(host.others(), others);
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn a_mistake_changes_nothing_and_says_what_to_do() {
    let namespace = Namespace::new();
    let host = Host::new(&namespace, &nft());
    host.apply(&documents("pass", &one("10.2.0.2 tcp 80")));
    let listed = namespace.listing();
    for (text, problem) in [
        (documents("pass", &one("10.2.0.2 tcp")), "`ingress/web`: `10.2.0.2 tcp` says no ports"),
        (documents("pass", &one("10.${n}.0.2 tcp 80")), "the variable `n` has no value here"),
        (documents("pas", &[]), "document 1, line 4"),
        (documents("pass", &["10.2.0.2 tcp 80".to_owned(), "10.2.0.0/24 tcp 80".to_owned()]), "overlaps"),
        (String::new(), "there is no document"),
    ] {
        for action in ["plan", "apply", "verify"] {
            let (code, shown) = host.with(&text, &[action]);
            assert_eq!(code, 1, "{shown}");
            assert!(shown.contains(problem) && shown.contains("what to do: "), "{shown}");
        }
    }
    // Without anybody to ask.
    let output = host.run(&["apply"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains("this host has no identity"), "{output:?}");
    // A clash with somebody else is told, and is not ours to mend.
    namespace.load("table inet user {\n\tchain c {\n\t\ttype filter hook prerouting priority mangle; policy accept;\n\t\tmeta mark set 0x00000001\n\t}\n}\n");
    let (code, text) = host.with(&documents("pass", &one("10.2.0.2 tcp 80")), &["plan"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("warning: inet user, chain c, `meta mark set 0x00000001`: writes the bits `0x0f000000`"),
        "{text}"
    );
    assert_eq!(namespace.listing(), listed);
    // Somebody who is not root.
    let file = host.file(&documents("pass", &[]));
    std::fs::set_permissions(host.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = host.directory.path().join("edge-agent");
    std::fs::copy(AGENT, &copy).unwrap();
    let output = namespace
        .command(
            "setpriv",
            &[
                "--reuid=65534",
                "--clear-groups",
                copy.to_str().unwrap(),
                "firewall",
                "plan",
                "--file",
                file.to_str().unwrap(),
            ],
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains("what to do: run it as root"), "{output:?}");
}

#[test]
#[ignore = "needs root, and nft"]
fn what_is_there_is_taken_away_and_what_dies_is_not_tried_again() {
    let namespace = Namespace::new();
    let host = Host::new(&namespace, &nft());
    host.apply(&documents("pass", &[]));
    for said in ["the table is gone", "there is no table `inet keyward`"] {
        let output = host.run(&["remove"]);
        assert!(output.status.success() && shown(&output).contains(said), "{output:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, loads) = (folder.path().join("nft"), folder.path().join("loads"));
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = -f ] && echo load >> {} && kill -SEGV $$\nexec {} \"$@\"\n",
        loads.display(),
        nft()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let host = Host::new(&namespace, program.to_str().unwrap());
    let (code, text) = host.with(&documents("pass", &[]), &["apply"]);
    assert!(code == 1 && text.contains("`nft` was killed by signal 11 while it was to load our table"), "{text}");
    assert_eq!(std::fs::read_to_string(loads).unwrap(), "load\n");
}

#[test]
#[ignore = "needs root, and nft"]
fn random_changes_leave_other_tables_as_they_are() {
    let namespace = Namespace::new();
    let nfts = nfts();
    namespace.load(OTHERS);
    let hosts: Vec<Host<'_>> = nfts.iter().map(|nft| Host::new(&namespace, nft)).collect();
    let others: Vec<String> = hosts.iter().map(Host::others).collect();
    // Numbers that look random and are the same each time.
    let mut number = 7u64;
    let mut next = move |most: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % most
    };
    for _ in 0..if full() { 200 } else { 20 } {
        let count = next(30);
        let ranges: Vec<String> = (0..count)
            .map(|n| match next(3) {
                0 => format!("10.{}.{n}.0/24 tcp {}", next(200), next(60_000)),
                1 => format!("10.201.{n}.{} udp any", next(250)),
                _ => format!("2001:db8:{n}::{:x}-2001:db8:{n}::ffff:{} any", next(9000), next(9000)),
            })
            .map(|range| {
                if range.contains("::") && range.ends_with("any") && !range.contains("udp") {
                    range.replace(" any", " icmp")
                } else {
                    range
                }
            })
            .collect();
        let rest = ["pass", "drop-workloads", "drop-all"][next(3) as usize];
        let text = documents(rest, &ranges);
        let host = &hosts[next(hosts.len() as u64) as usize];
        if next(8) == 0 {
            assert_eq!(host.run(&["remove"]).status.code(), Some(0));
        } else {
            // The first time a table is loaded takes a moment.
            host.apply(&documents("pass", &[]));
            host.apply(&text);
            for host in &hosts {
                assert_eq!(host.with(&text, &["verify"]).0, 0, "{text}");
            }
        }
    }
    for (host, others) in hosts.iter().zip(&others) {
        assert_eq!(host.others(), *others);
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn what_nobody_confirms_is_undone_also_when_the_agent_is_killed() {
    let namespace = Namespace::new();
    let host = Host::new(&namespace, &nft());
    let (first, second) = (documents("pass", &one("10.2.0.2 tcp 80")), documents("drop-all", &one("10.2.0.2 tcp 81")));
    let file = host.file(&second);
    let apply = ["apply", "--confirm-within", "2s", "--file", file.to_str().unwrap()];

    // Where there was no table.
    assert_eq!(host.run(&apply).status.code(), Some(0));
    assert_eq!(host.run(&apply).status.code(), Some(1), "one at a time");
    eventually("undone", || host.run(&["show"]).status.code() == Some(1));
    let late = host.run(&["confirm"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(shown(&late).contains("there is nothing to confirm; the last change was undone at "), "{late:?}");

    host.apply(&first);
    let before = namespace.listing();
    host.file(&second);
    assert_eq!(host.run(&apply).status.code(), Some(0));
    assert_ne!(namespace.listing(), before);
    assert_eq!(host.run(&["confirm"]).status.code(), Some(0));
    let again = shown(&host.run(&["confirm"]));
    assert!(again.contains("there is nothing to confirm") && !again.contains("undone"), "{again}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(host.with(&second, &["verify"]).0, 0, "confirmed");
    host.apply(&first);

    // By hand, before its time.
    host.file(&second);
    assert_eq!(host.run(&["apply", "--confirm-within", "1h", "--file", file.to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(host.run(&["rollback"]).status.code(), Some(0));
    assert_eq!(namespace.listing(), before);

    // The agent and everything in its group, at whatever moment.
    for wait in [0, 5, 20, 40, 80, 150] {
        use std::os::unix::process::CommandExt as _;
        let mut child = host.command(&apply).process_group(0).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        // Not by `kill -9 -<group>`: the one of procps takes the first digit for the group, and 1 for everything there is.
        rustix::process::kill_process_group(rustix::process::Pid::from_child(&child), rustix::process::Signal::KILL)
            .unwrap();
        child.wait().unwrap();
        eventually("undone", || namespace.listing() == before && host.run(&["rollback"]).status.code() == Some(1));
    }

    // What waits is killed too: the next command undoes it.
    assert_eq!(host.run(&apply).status.code(), Some(0));
    kill_the_guard(&host);
    std::thread::sleep(Duration::from_secs(3));
    assert_ne!(namespace.listing(), before);
    // Who only looks is told.
    assert!(shown(&host.run(&["show"])).contains("is not undone yet"));
    assert!(host.with(&second, &["verify"]).1.contains("is not undone yet"));
    assert_eq!(host.run(&["confirm"]).status.code(), Some(1), "too late");
    assert_eq!(namespace.listing(), before);

    // Where nothing can be changed nothing waits.
    let broken = host.file("#!/bin/sh\n[ \"$1\" = -f ] || exec nft \"$@\"\ncat > /dev/null; echo no >&2; exit 1\n");
    let program = host.directory.path().join("broken-nft");
    std::fs::rename(broken, &program).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    host.file(&second);
    let with_broken =
        Host { namespace: &namespace, directory: host.directory, nft: program.to_str().unwrap().to_owned() };
    let output = with_broken.run(&apply);
    assert!(
        output.status.code() == Some(1) && shown(&output).contains("`nft` did not load our table: no"),
        "{output:?}"
    );
    assert!(shown(&with_broken.run(&["rollback"])).contains("there is nothing that waits"), "nothing was armed");
    assert_eq!(namespace.listing(), before);
}

/// Kills what waits to undo a change of this host.
fn kill_the_guard(host: &Host<'_>) {
    let mut killed = false;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = arguments(&entry.file_name().to_string_lossy());
        if line.contains("firewall guard") && line.contains(host.directory.path().to_str().unwrap()) {
            killed |= Command::new("kill").arg("-9").arg(entry.file_name()).status().unwrap().success();
        }
    }
    assert!(killed);
}

#[test]
#[ignore = "needs root, and nft"]
fn an_agent_that_watches_undoes_what_nobody_else_undoes() {
    let namespace = Namespace::new();
    let host = Host::new(&namespace, &nft());
    let text = documents("pass", &one("10.2.0.2 tcp 80"));
    let file = host.file(&text);
    // Long enough that it is the deadline that wakes it.
    let mut command = host.command(&["apply", "--watch", "--interval", "1h", "--file", file.to_str().unwrap()]);
    let _watching = Watching(command.stderr(Stdio::null()).spawn().unwrap());
    eventually("loaded", || host.run(&["show"]).status.success());
    let listed = namespace.listing();
    let other = host.directory.path().join("other.yaml");
    std::fs::write(&other, text.replace("tcp 80", "tcp 81")).unwrap();
    // The monitor may be of a moment later than the table.
    std::thread::sleep(Duration::from_secs(1));
    let output = host.run(&["apply", "--confirm-within", "4s", "--file", other.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    kill_the_guard(&host);
    eventually("undone", || namespace.listing() == listed);
}

#[test]
#[ignore = "needs root, and nft"]
fn drift_is_repaired_also_while_what_should_be_is_not_said() {
    let namespace = Namespace::new();
    let host = Host::new(&namespace, &nft());
    // A pipe says it once, and then nothing for ever.
    let pipe = host.directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = host.command(&["apply", "--watch", "--interval", "1s", "--file", pipe.to_str().unwrap()]);
    let mut watching = Watching(command.stderr(Stdio::null()).spawn().unwrap());
    std::fs::write(&pipe, documents("pass", &one("10.2.0.2 tcp 80"))).unwrap();
    eventually("loaded", || host.run(&["show"]).status.success());
    let listed = namespace.listing();
    std::thread::sleep(Duration::from_secs(3));
    namespace.load("flush chain inet keyward prerouting\n");
    eventually("repaired", || namespace.listing() == listed);
    // And it ends when it is told to.
    Command::new("kill").arg(watching.0.id().to_string()).status().unwrap();
    eventually("ended", || watching.0.try_wait().unwrap().is_some());
}

/// The arguments of a process, and nothing of one that ended.
fn arguments(process: &str) -> String {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The `nft monitor` that a process started.
fn listener(of: u32) -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    let mut processes = processes.map(|name| name.to_string_lossy().into_owned());
    processes.find(|process| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.contains(&format!("\nPPid:\t{of}\n")) && arguments(process).ends_with("nft monitor ")
    })
}

#[test]
#[ignore = "needs root, and nft"]
fn whatever_ends_an_agent_that_watches_ends_what_listens_for_it() {
    for nft in nfts() {
        let namespace = Namespace::new();
        let host = Host::new(&namespace, &nft);
        let file = host.file(&documents("pass", &[]));
        let mut command = host.command(&["apply", "--watch", "--interval", "1h", "--file", file.to_str().unwrap()]);
        let mut watching = Watching(command.stderr(Stdio::null()).spawn().unwrap());
        eventually("listens", || listener(watching.0.id()).is_some());
        let listener = listener(watching.0.id()).unwrap();
        watching.0.kill().unwrap();
        watching.0.wait().unwrap();
        eventually("ended", || arguments(&listener).is_empty());
    }
}

#[test]
fn a_file_without_an_end_is_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let nft = directory.path().join("nft");
    std::fs::write(&nft, "#!/bin/sh\necho 'nftables v1.0.6 (x)'\n").unwrap();
    std::fs::set_permissions(&nft, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // With so little memory that it would be noticed.
    let script = "ulimit -v 4000000; exec \"$0\" firewall plan --nft \"$1\" --run-dir \"$2\" --file /dev/zero";
    let output = Command::new("sh").args(["-c", script, AGENT]).arg(&nft).arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(shown(&output).contains("it is longer than 4 MiB"), "{output:?}");
}

/// An agent that watches, until it is dropped.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn what_drifts_is_repaired() {
    for nft in nfts() {
        let namespace = Namespace::new();
        let host = Host::new(&namespace, &nft);
        let text = documents("pass", &one("10.2.0.2 tcp 80"));
        let file = host.file(&text);
        let mut command = host.command(&["apply", "--watch", "--interval", "1s", "--file", file.to_str().unwrap()]);
        let mut watching = Watching(command.stderr(Stdio::null()).spawn().unwrap());
        eventually("loaded", || host.run(&["show"]).status.success());
        let listed = namespace.listing_with(&nft);
        for drift in ["flush chain inet keyward prerouting", "delete table inet keyward"] {
            namespace.load_with(&nft, &[], &format!("{drift}\n"));
            eventually(drift, || shown(&host.run(&["show"])) == listed);
        }
        // The file is followed.
        host.file(&text.replace("tcp 80", "tcp 81"));
        eventually("followed", || shown(&host.run(&["show"])) == listed.replace(". 80", ". 81"));
        host.file("x-path: firewall\nx-operation: nonsense\n");
        // `ip netns exec` becomes the agent.
        Command::new("kill").arg(watching.0.id().to_string()).status().unwrap();
        eventually("ended", || watching.0.try_wait().unwrap().is_some());
        assert_eq!(watching.0.wait().unwrap().code(), Some(0));
        assert!(shown(&host.run(&["show"])).contains(". 81"), "a mistake in the file changes nothing");
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn what_drifts_is_repaired_long_before_the_interval_is_over() {
    for nft in nfts() {
        let namespace = Namespace::new();
        let host = Host::new(&namespace, &nft);
        // In each set of intervals, so that it is the platform's traffic that ends with it.
        let file = host.file(&documents("pass", &["10.2.0.2 tcp 80".to_owned(), "fd02::2-fd02::9 udp 53".to_owned()]));
        host.run(&["apply", "--file", file.to_str().unwrap()]);
        let mut command = host.command(&["apply", "--watch", "--interval", "1h", "--file", file.to_str().unwrap()]);
        let _watching = Watching(command.stderr(Stdio::null()).spawn().unwrap());
        let listed = namespace.listing_with(&nft);
        std::thread::sleep(Duration::from_secs(1));
        for drift in ["flush set inet keyward ingress4", "flush set inet keyward ingress6"] {
            namespace.load_with(&nft, &[], &format!("{drift}\n"));
            eventually(drift, || shown(&host.run(&["show"])) == listed);
        }
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn of_two_agents_at_once_each_is_done() {
    let namespace = Namespace::new();
    let host = Host::new(&namespace, &nft());
    host.apply(&documents("pass", &[]));
    for round in 0..if full() { 50 } else { 8 } {
        let texts = [0, 1].map(|number| documents("pass", &one(&format!("10.{round}.{number}.2 tcp 80"))));
        let children: Vec<Child> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| {
                let file = host.directory.path().join(format!("{number}.yaml"));
                std::fs::write(&file, text).unwrap();
                host.command(&["apply", "--file", file.to_str().unwrap()]).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        let same: Vec<i32> = texts.iter().map(|text| host.with(text, &["verify"]).0).collect();
        assert!(same == [0, 2] || same == [2, 0], "{same:?}");
    }
}

#[test]
#[ignore = "needs root, and nft"]
fn established_connections_go_on_through_every_change() {
    let world = World::new();
    world.workload.listen(WORKLOAD, &[80]);
    world.host.listen(HOST, &[22]);
    let host = Host::new(&world.host.namespace, &nft());
    // Nobody tracks connections yet: those that say something while the table is loaded are known from then on.
    world.client.flood("stay", WORKLOAD, 80);
    world.client.flood("stay", HOST, 22);
    for round in 0..if full() { 30 } else { 6 } {
        let ranges = [format!("10.2.0.2 tcp {}", 1000 + round), format!("10.3.0.0/24 udp {round}")];
        let rest = ["drop-all", "pass", "drop-workloads"][round % 3];
        host.apply(&documents(rest, &ranges[..round % 3]));
    }
    let (asked, missed) = world.client.halt();
    assert!(asked > 100 && missed.is_empty(), "{asked} {missed}");
    host.apply(&documents("pass", &[]));
    let through = world.client.open(WORKLOAD, 80);
    let here = world.client.open(HOST, 22);
    assert_eq!(world.client.say(true, &through), [true; 4]);
    assert_eq!(world.client.say(true, &here), [true; 4]);
    host.apply(&documents("drop-all", &[]));
    assert_eq!(world.client.say(true, &through), [true; 4]);
    assert_eq!(world.client.say(true, &here), [true; 4]);
    // What is new is dropped, but for what is let in.
    world.client.misses(WORKLOAD, 80);
    let ranges = ["10.2.0.2 tcp 80", "10.2.0.2 udp 80", "fd02::2 tcp 80", "fd02::2 udp 80"].map(str::to_owned);
    host.apply(&documents("drop-all", &ranges));
    world.client.reaches(WORKLOAD, 80);
}
