//! What undoes itself unless it is confirmed.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Host, Watching, arguments, documents, eventually, one, shown};
use crate::support::namespace::{Namespace, nft};

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
    assert!(!again.contains("again") && again.contains("firewall verify"), "it was confirmed: {again}");
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
