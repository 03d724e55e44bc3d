//! The install script, under the shells that hosts have.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "shells are programs that read files")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyward_callhome_cert::{InstallScript, Order, Scope, ScriptRequest};
use keyward_svid::HttpsUrl;
use keyward_svid::x509::authority::KeyedSvid;
use proptest::prelude::*;

use crate::support::{NOW, any, authority, one, rng, site};

fn made(scope: &Scope) -> (InstallScript, KeyedSvid) {
    let authority = authority();
    let (certificate, _) = Order::new(scope.clone()).issue_with_key(&authority, &mut rng(), NOW).unwrap();
    let tower: HttpsUrl = "https://tower.example:4648".parse().unwrap();
    let ca = [authority.certificate().clone()];
    let script = ScriptRequest::with_key(&tower, &ca, scope, &certificate).unwrap().to_script().unwrap();
    (script, certificate)
}

/// A host: a directory with a place for state and an agent that writes down how it was called and what it found.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let agent = directory.path().join("edge-agent");
        let text = "#!/bin/sh\nprintf '%s\\n' \"$*\" >> \"$(dirname \"$0\")/calls\"\n\
                    ls -l \"$5/call-home\" > \"$(dirname \"$0\")/listing\"\n\
                    cp -r \"$5/call-home\" \"$(dirname \"$0\")/seen\"\n";
        std::fs::write(&agent, text).unwrap();
        std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn save(&self, script: &[u8]) -> PathBuf {
        std::fs::write(self.path("install.sh"), script).unwrap();
        self.path("install.sh")
    }

    fn run(&self, shell: &[&str], script: &[u8], args: &[&str]) -> Output {
        self.save(script);
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("install.sh").args(args);
        command.arg("--agent").arg(self.path("edge-agent")).arg("--state-dir").arg(self.path("state"));
        command.current_dir(self.directory.path()).output().unwrap_or_else(|error| panic!("{shell:?}: {error}"))
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.path("calls")).unwrap_or_default()
    }

    fn untouched(&self) -> bool {
        !self.path("state").exists() && !self.path("calls").exists()
    }
}

fn installed(shell: &[&str]) -> bool {
    Command::new(shell[0]).args(&shell[1..]).args(["-c", "true"]).output().is_ok_and(|output| output.status.success())
}

/// The shells of this machine; `sh` is there always.
fn shells() -> Vec<Vec<&'static str>> {
    let known = [vec!["sh"], vec!["dash"], vec!["bash"], vec!["bash", "--posix"], vec!["busybox", "sh"]];
    known.into_iter().filter(|shell| installed(shell)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check_run(shell: &[&str]) {
    let (script, certificate) = made(&site("oslo"));
    let host = Host::new();
    let output = host.run(shell, script.text().as_bytes(), &[]);
    assert!(output.status.success(), "{shell:?}: {}{}", text(&output.stdout), text(&output.stderr));
    let state = host.path("state");
    assert_eq!(host.calls(), format!("call-home --until registered --state-dir {}\n", state.display()));
    // The agent found all of it, and nobody else could have.
    let read = |name: &str| std::fs::read_to_string(host.path("seen").join(name)).unwrap();
    assert_eq!(read("tower-url"), "https://tower.example:4648\n");
    assert_eq!(read("certificate.pem"), certificate.svid().chain_pem());
    assert_eq!(read("key.pem"), *certificate.key_pem().unwrap());
    assert!(read("ca.pem").starts_with("-----BEGIN CERTIFICATE-----\n"));
    let listing = std::fs::read_to_string(host.path("listing")).unwrap();
    let files: Vec<&str> = listing.lines().filter(|line| line.starts_with('-')).collect();
    assert_eq!(files.len(), 4, "{listing}");
    assert!(files.iter().all(|line| line.starts_with("-rw-------")), "{listing}");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("call-home"))), (0o700, 0o700));
    assert!(!state.join("call-home/key.pem").exists(), "the key is gone once the host is registered");

    // A second time it works as well. Whether the identity of a host holds only the agent finds out, and it needs the certificate where not.
    std::fs::remove_dir_all(host.path("seen")).unwrap();
    assert!(host.run(shell, script.text().as_bytes(), &[]).status.success());
    assert_eq!(host.calls().lines().count(), 2);
    std::fs::write(state.join("identity.pem"), "").unwrap();
    let output = host.run(shell, script.text().as_bytes(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(host.calls().lines().count(), 3);
    assert!(host.path("seen/call-home/key.pem").exists() && !state.join("call-home/key.pem").exists());

    // Somebody who only looks.
    let host = Host::new();
    let output = host.run(shell, script.text().as_bytes(), &["--dry-run"]);
    assert!(output.status.success() && text(&output.stdout).starts_with("Would write the call-home package to "));
    assert!(host.untouched());
    let output = host.run(shell, script.text().as_bytes(), &["--help"]);
    assert!(output.status.success() && text(&output.stdout).starts_with("usage: sh FILE "));
    let output = host.run(shell, script.text().as_bytes(), &["--what"]);
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(1), "keyward: unknown option: --what (see --help)\n".into())
    );
    assert!(host.untouched());
}

/// Whoever may not do it is told before anything is done.
fn check_rights(shell: &[&str]) {
    let (script, _) = made(&any());
    let host = Host::new();
    // Under a file there is no directory, not for root either.
    std::fs::write(host.path("file"), "").unwrap();
    let expected = |place: &Path| {
        format!(
            " may not write in {}: run this as root, as with sudo, or name another directory with --state-dir\n",
            place.display()
        )
    };
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(host.save(script.text().as_bytes())).arg("--agent").arg(host.path("edge-agent"));
    let mut fine = copy(&command);
    fine.arg("--state-dir").arg(host.path("state"));
    for more in [&[][..], &["--dry-run"]] {
        let mut command = copy(&command);
        let output = command.arg("--state-dir").arg(host.path("file/a/b")).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{shell:?}");
        let expected =
            format!("keyward: {} is not a directory: name another one with --state-dir\n", host.path("file").display());
        assert_eq!(text(&output.stderr), expected, "{shell:?}");
        // Nor is a directory a file with a host-id.
        let mut command = copy(&fine);
        let output = command.arg("--host-id-file").arg(host.directory.path()).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{shell:?}");
        assert!(text(&output.stderr).ends_with(" cannot be read\n") && !host.path("state").exists(), "{output:?}");
    }
    // As somebody else than root.
    let closed = host.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    std::fs::set_permissions(host.directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let am_root = text(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0";
    let mut command = match am_root {
        false => command,
        true => {
            std::fs::set_permissions(host.path("install.sh"), std::fs::Permissions::from_mode(0o644)).unwrap();
            let mut other = Command::new("setpriv");
            other.args(["--reuid=65534", "--clear-groups"]).arg(shell[0]).args(command.get_args());
            other
        }
    };
    let output = command.arg("--state-dir").arg(closed.join("state")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{shell:?}: {output:?}");
    assert!(text(&output.stderr).ends_with(&expected(&closed)), "{output:?}");
    assert!(host.calls().is_empty() && std::fs::read_dir(&closed).unwrap().next().is_none());
}

/// Where somebody else could put a link in the place of what is written, nothing is: it is root who runs this.
fn check_owners(shell: &[&str]) {
    let (script, _) = made(&any());
    let (host, path) = (Host::new(), script.text().as_bytes());
    let refused = |expected: &str| {
        for more in [&[][..], &["--dry-run"]] {
            let output = host.run(shell, path, more);
            assert_eq!(output.status.code(), Some(1), "{shell:?}: {output:?}");
            assert!(text(&output.stderr).contains(expected), "{output:?}");
        }
        assert!(host.calls().is_empty());
    };
    let (state, elsewhere) = (host.path("state"), host.path("elsewhere"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    let is_empty = |path: &Path| std::fs::read_dir(path).unwrap().next().is_none();
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &state).unwrap();
    refused("state is a symbolic link: name the directory that it leads to with --state-dir\n");
    for end in ["/", "/.", "/.//./"] {
        let mut same = Command::new(shell[0]);
        same.args(&shell[1..]).arg(host.path("install.sh")).arg("--agent").arg(host.path("edge-agent"));
        let output = same.arg("--state-dir").arg(format!("{}{end}", state.display())).output().unwrap();
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains("is a symbolic link"), "{output:?}");
    }
    std::fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink(host.path("nowhere"), &state).unwrap();
    refused("state is a symbolic link: ");
    std::fs::remove_file(&state).unwrap();
    // One that everybody writes to stays so, and nothing is put there.
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o1777)).unwrap();
    refused(&format!(
        "everybody may write in {0}: name a directory of your own with --state-dir, such as {0}/keyward\n",
        state.display()
    ));
    assert!(mode(&state) == 0o1777 && is_empty(&state));
    // What is in a directory may be of somebody who could write there before.
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, state.join("call-home")).unwrap();
    refused("state/call-home is a symbolic link: ");
    assert!(mode(&state) == 0o755 && is_empty(&elsewhere));
    std::fs::remove_file(state.join("call-home")).unwrap();
    // Whoever writes to one above it could put another one in its place, there or not: but for a sticky one.
    let above = host.directory.path().canonicalize().unwrap();
    let set_above = |mode| std::fs::set_permissions(&above, std::fs::Permissions::from_mode(mode)).unwrap();
    set_above(0o757);
    let everybody =
        format!("everybody may replace what is in {0}: run chmod o-w {0}, or name another directory", above.display());
    refused(&everybody);
    std::fs::remove_dir(&state).unwrap();
    refused(&everybody);
    assert!(!state.exists());
    set_above(0o1777);
    assert!(host.run(shell, path, &["--dry-run"]).status.success());
    set_above(0o755);
    std::fs::create_dir(&state).unwrap();
    // Of others, which root alone can try.
    let set_mode = |mode| std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o2775);
    if std::os::unix::fs::chown(&state, None, Some(65534)).is_ok() {
        refused(&format!(
            "another group may write in {0}: name a directory of your own with --state-dir\n",
            state.display()
        ));
        assert!(is_empty(&state));
    }
    set_mode(0o755);
    if std::os::unix::fs::chown(&state, Some(65534), None).is_ok() {
        refused(
            "state belongs to another user than root: run this as that user, or name a directory of your own with --state-dir\n",
        );
        let mut inside = Command::new(shell[0]);
        inside.args(&shell[1..]).arg(host.path("install.sh")).arg("--agent").arg(host.path("edge-agent"));
        let output = inside.arg("--state-dir").arg(state.join("made")).output().unwrap();
        assert!(
            output.status.code() == Some(1) && text(&output.stderr).contains("belongs to another user"),
            "{output:?}"
        );
        assert!(is_empty(&state));
    }
}

fn copy(command: &Command) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(command.get_args());
    other
}

/// A host-id of the operator's reaches the agent as the name of its file.
#[test]
fn a_host_id_comes_from_a_file() {
    let (script, _) = made(&any());
    let host = Host::new();
    let id = host.path("a file with a host-id");
    let file = id.to_str().unwrap();
    let output = host.run(&["sh"], script.text().as_bytes(), &["--host-id-file", file]);
    assert_eq!(text(&output.stderr), format!("keyward: {file} cannot be read\n"));
    assert!(host.untouched());
    // A variable that is not set is no file.
    let output = host.run(&["sh"], script.text().as_bytes(), &["--host-id-file", ""]);
    assert_eq!(text(&output.stderr), "keyward: --host-id-file needs a value\n");
    assert!(host.untouched());
    std::fs::write(&id, "h1\n").unwrap();
    assert!(host.run(&["sh"], script.text().as_bytes(), &["--host-id-file", file]).status.success());
    assert!(host.calls().ends_with(&format!(" --host-id-file {file}\n")), "{}", host.calls());
}

#[test]
fn every_shell_here_runs_it() {
    for shell in shells() {
        check_run(&shell);
        check_rights(&shell);
        check_owners(&shell);
    }
}

#[test]
#[ignore = "needs dash and busybox: run by .ci/run"]
fn the_shells_of_small_hosts_run_it() {
    for shell in [&["dash"][..], &["busybox", "sh"]] {
        assert!(installed(shell), "{shell:?} is not installed");
        check_run(shell);
        check_rights(shell);
        check_owners(shell);
    }
}

#[test]
#[ignore = "needs shellcheck: run by .ci/run"]
fn shellcheck_and_dash_find_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("install.sh");
    for scope in [any(), site("oslo"), one("h1")] {
        std::fs::write(&path, made(&scope).0.text()).unwrap();
        for command in [&["shellcheck", "-s", "sh", "-S", "style"][..], &["dash", "-n"]] {
            let output = Command::new(command[0]).args(&command[1..]).arg(&path).output();
            let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
        }
    }
}

/// Cut at every line's end, before and behind the line feed, and at bytes anywhere.
#[test]
fn a_script_that_was_cut_off_does_nothing() {
    let (script, _) = made(&one("h1"));
    let bytes = script.text().as_bytes();
    let mut cuts: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').flat_map(|at| [at, at + 1]).collect();
    let stride = bytes.len() / 200;
    cuts.extend((0..200).map(|index| index * stride + index % 7));
    // The last bytes are what begins it all.
    cuts.extend(bytes.len() - 40..bytes.len());
    cuts.sort_unstable();
    cuts.dedup();
    let host = Host::new();
    for cut in cuts.into_iter().filter(|cut| *cut < bytes.len()) {
        let output = host.run(&["sh"], &bytes[..cut], &[]);
        assert!(host.untouched(), "cut at {cut} of {}: {output:?}", bytes.len());
    }
    // The whole of it does.
    assert!(host.run(&["sh"], bytes, &[]).status.success());
    assert!(!host.untouched());
}

#[test]
fn nothing_secret_is_in_the_arguments_of_a_program_or_the_debug_output() {
    let (script, certificate) = made(&any());
    let key = certificate.key_pem().unwrap();
    let secret = key.lines().nth(1).unwrap();
    // The key stands in one place, between the lines of a here-document.
    let (before, after) = script.text().split_once(&**key).expect("the whole key");
    assert!(before.ends_with("<< 'KEYWARD_END'\n") && after.starts_with("KEYWARD_END\n"));
    assert!(!before.contains(secret) && !after.contains(secret));
    assert!(!format!("{script:?}").contains(secret));
    assert_eq!(script.digest().len(), 64);
    assert!(format!("{script:?}").contains(script.digest()));
    // What is interpolated elsewhere, a shell of any kind leaves alone.
    let output =
        Command::new("sh").arg("-c").arg("printf %s \"$1\" | sha256sum").arg("sh").arg(script.text()).output().unwrap();
    assert_eq!(text(&output.stdout).split_whitespace().next(), Some(script.digest()));
}

#[test]
fn a_key_that_is_on_the_host_stays_there() {
    let authority = authority();
    let key = keyward_keys::PrivateKey::generate(keyward_keys::KeyType::EcdsaP256).unwrap();
    let (issued, _) = Order::new(any()).issue(&authority, key.public_key(), &mut rng(), NOW).unwrap();
    let tower: HttpsUrl = "https://tower.example:4648".parse().unwrap();
    let ca = [authority.certificate().clone()];
    let script = ScriptRequest::without_key(&tower, &ca, &any(), &issued).to_script().unwrap();
    assert!(!script.text().contains("PRIVATE KEY"));
    let host = Host::new();
    let output = host.run(&["sh"], script.text().as_bytes(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("keyward: the key that this certificate is for is not in "));
    assert_eq!(host.calls(), "");
    std::fs::write(host.path("state/call-home/key.pem"), key.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
    assert!(host.run(&["sh"], script.text().as_bytes(), &[]).status.success());
    assert_eq!(host.calls().lines().count(), 1);
}

#[test]
fn a_tower_without_ca_is_none() {
    let authority = authority();
    let (certificate, _) = Order::new(any()).issue_with_key(&authority, &mut rng(), NOW).unwrap();
    let tower: HttpsUrl = "https://tower.example".parse().unwrap();
    let error = ScriptRequest::with_key(&tower, &[], &any(), &certificate).unwrap().to_script().unwrap_err();
    assert_eq!(error.to_string(), "`ca` is empty: a host could not tell its tower from another");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What a URL can say either cannot stand in a script or is inert there.
    #[test]
    fn hostile_urls_are_refused_or_inert(path in "[a-z'\"`$();&|<>\\\\\n !*?#~%]{0,30}") {
        let Ok(tower) = format!("https://tower.example/{path}").parse::<HttpsUrl>() else { return Ok(()) };
        let authority = authority();
        let (certificate, _) = Order::new(any()).issue_with_key(&authority, &mut rng(), NOW).unwrap();
        let ca = [authority.certificate().clone()];
        let Ok(script) = ScriptRequest::with_key(&tower, &ca, &any(), &certificate).unwrap().to_script() else { return Ok(()) };
        let host = Host::new();
        prop_assert!(host.run(&["sh"], script.text().as_bytes(), &[]).status.success());
        let url = std::fs::read_to_string(host.path("seen/tower-url")).unwrap();
        prop_assert_eq!(url.trim_end_matches('\n'), tower.as_str());
    }

    /// Names that could do harm are no names.
    #[test]
    fn hostile_sites_are_no_sites(name in "\\PC{1,20}") {
        if let Ok(site) = name.parse::<keyward_config_values::Name>() {
            prop_assert!(site.as_str().bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')));
        }
    }
}
