//! What is planned, applied, found and taken away.

use std::process::{Child, Command, Stdio};

use crate::host::{AGENT, Host, OTHERS, documents, nfts, one, shown};
use crate::support::namespace::{Namespace, full, nft};
use crate::support::world::{HOST, WORKLOAD, World};

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
    let mut host = Host::new(&namespace, &nft());
    host.nft = instead(&host, "[ \"$1\" = -f ] && echo load >> $0.loads && kill -SEGV $$");
    let (code, text) = host.with(&documents("pass", &[]), &["apply"]);
    assert!(code == 1 && text.contains("`nft` was killed by signal 11 while it was to load our table"), "{text}");
    let loads = format!("{}.loads", host.nft);
    assert_eq!(std::fs::read_to_string(&loads).unwrap(), "load\n");
    // Nor does it stay that everything passes, where it dies before the rest is dropped.
    std::fs::remove_file(&loads).unwrap();
    let second = "[ \"$1\" = -f ] && echo load >> $0.loads && [ \"$(wc -l < $0.loads)\" = 2 ] && kill -SEGV $$";
    host.nft = instead(&host, second);
    let (code, text) = host.with(&documents("drop-all", &[]), &["apply"]);
    assert!(code == 1 && text.contains("`nft` was killed by signal 11"), "{text}");
    assert_eq!(host.run(&["show"]).status.code(), Some(1), "there is no table");
}

/// A program that does what `nft` does, but for this.
fn instead(host: &Host<'_>, script: &str) -> String {
    let program = host.directory.path().join("nft");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\nexec {} \"$@\"\n", nft())).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    program.to_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs root, and nft"]
fn one_range_of_very_many_changes_one_rule_and_nothing_is_half_done() {
    let namespace = Namespace::new();
    let mut host = Host::new(&namespace, &nft());
    let with = |last: &str| {
        let spans = (0..4_100).map(|n| {
            format!("10.{}.{}.{}-10.{0}.{1}.{3} udp 53", n / 8_000, n / 32 % 250, n % 32 * 8 + 1, n % 32 * 8 + 4)
        });
        documents("pass", &spans.chain([last.to_owned()]).collect::<Vec<_>>())
    };
    let (first, second) = (with("10.0.0.6 udp 53"), with("10.0.0.6-10.0.0.7 udp 53"));
    host.apply(&first);
    let numbers = || -> Vec<String> { namespace.numbered(&nft()).lines().map(str::to_owned).collect() };
    let before = numbers();
    // What dies half way is undone, and if that cannot be, it is said.
    let dies = |when: &str| {
        format!(
            "[ \"$1\" = -f ] && {{ cat > $0.in; grep -q '^delete rule' $0.in && {when} && kill -SEGV $$; exec nft -f $0.in; }}"
        )
    };
    host.nft = instead(&host, &dies("mkdir $0.once 2> /dev/null"));
    let (code, text) = host.with(&second, &["apply"]);
    assert!(code == 1 && text.contains("`nft` was killed by signal 11") && !text.contains("let in"), "{text}");
    assert_eq!(numbers(), before);
    host.nft = instead(&host, &dies("true"));
    let (code, text) = host.with(&second, &["apply"]);
    assert!(code == 1 && text.contains("may be let in beside what it was to end"), "{text}");
    assert_ne!(numbers(), before);
    host.nft = nft();
    host.apply(&first);
    assert_eq!(numbers(), before);
    // So is what dies when it has done its work, whichever step that was, and nothing waits to be confirmed then.
    for step in ["^add rule", "^delete rule"] {
        let done = format!(
            "cat > $0.in; nft -f $0.in; grep -q '{step}' $0.in && mkdir \"$0{step}\" 2> /dev/null && kill -KILL $$; exit 0"
        );
        host.nft = instead(&host, &format!("[ \"$1\" = -f ] && {{ {done}; }}"));
        let (code, text) = host.with(&second, &["apply", "--confirm-within", "1h"]);
        assert!(code == 1 && text.contains("`nft` was killed by signal 9") && !text.contains("let in"), "{text}");
        host.nft = nft();
        assert_eq!(host.with(&first, &["verify"]), (0, "The firewall is what it should be.\n".to_owned()));
    }
    host.apply(&first);
    let before = numbers();
    host.apply(&second);
    let after = numbers();
    let differing: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(matches!(differing.as_slice(), [one] if one.contains("10.0.0.6/31")), "{differing:?}");
    assert_eq!(host.with(&second, &["verify"]).0, 0);
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
