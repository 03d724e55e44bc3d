//! What drifts, and who repairs it.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Host, Watching, arguments, documents, eventually, nfts, one, shown};
use crate::support::namespace::{Namespace, nft};

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
