//! The program as an operator meets it: started, stopped, started twice, backed up and restored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_control-tower"));
    // Only what is said here counts.
    command.env_clear().args(args);
    command
}

fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A tower that is stopped at the end, whatever happens.
struct Tower {
    process: Child,
    output: BufReader<ChildStdout>,
    line: Value,
}

impl Tower {
    /// Starts and waits for the line that says how to reach it.
    fn start(data_dir: &str) -> Self {
        let mut process = program(&["--data-dir", data_dir, "--listen", "127.0.0.1:0", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let line = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        Self { process, output, line }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = fs::read(self.line["ca-cert"].as_str().unwrap()).unwrap();
        let client =
            reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()]).build().unwrap();
        let answer = client.get(format!("{}{path}", self.line["url"].as_str().unwrap())).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks it to stop; answers whether it did so in order, and what it had written.
    fn stop(mut self) -> (bool, String, String) {
        let killed = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status().unwrap();
        assert!(killed.success());
        let (mut output, mut errors) = (String::new(), String::new());
        self.output.read_to_string(&mut output).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.process.wait().unwrap().success(), output, errors)
    }
}

impl Drop for Tower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn modes(directory: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        found.push((name, file.metadata().unwrap().permissions().mode() & 0o777));
        if file.path().is_dir() {
            found.extend(modes(&file.path()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tower_lives() {
    let root = tempfile::tempdir().unwrap();
    let one = root.path().join("one");
    let one = one.to_str().unwrap();

    let tower = Tower::start(one);
    let first = tower.line.clone();
    for key in ["url", "ca-cert", "tenant", "tenant-id", "username", "password"] {
        assert!(first[key].as_str().is_some_and(|value| !value.is_empty()), "{key} in {first}");
    }
    assert!(first["url"].as_str().unwrap().starts_with("https://localhost:"));
    assert_eq!(tower.get("/live").await.0, 200);
    assert_eq!(tower.get("/ready").await.0, 200);
    assert_eq!(fs::metadata(one).unwrap().permissions().mode() & 0o777, 0o700);
    for (name, mode) in modes(Path::new(one)) {
        let expected = match name.as_str() {
            "ca.pem" => 0o644,
            "audit" => 0o700,
            _ => 0o600,
        };
        assert_eq!(mode, expected, "{name}");
    }

    // A second one keeps off; a backup does not disturb.
    let second = run(&["--data-dir", one]);
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("control-tower: the data directory `{one}` is in use by another control-tower (process ");
    assert!(text(&second.stderr).starts_with(&expected), "{}", text(&second.stderr));
    assert_eq!(run(&["reset-admin", "--data-dir", one]).status.code(), Some(1));
    // Nor does one with a directory of its own have the same store, by whichever name.
    let other = root.path().join("other");
    let link = root.path().join("link.db");
    std::os::unix::fs::symlink(Path::new(one).join("tower.db"), &link).unwrap();
    for store in [Path::new(one).join("tower.db"), link] {
        let (store, seal) = (format!("sqlite:{}", store.display()), format!("key-file:{one}/kek.key"));
        let second = run(&["--data-dir", other.to_str().unwrap(), "--store", &store, "--seal", &seal]);
        assert_eq!(second.status.code(), Some(1));
        let told = text(&second.stderr);
        assert!(
            told.contains("tower.db` is in use by another control-tower (process ")
                || told.contains("link.db` is in use"),
            "{told}"
        );
    }
    let backup = root.path().join("tower.backup");
    let backup = backup.to_str().unwrap();
    let phrase = root.path().join("phrase");
    fs::write(&phrase, "correct horse battery\n").unwrap();
    fs::set_permissions(&phrase, fs::Permissions::from_mode(0o600)).unwrap();
    let phrase = phrase.to_str().unwrap();
    let made = run(&["backup", backup, "--data-dir", one, "--passphrase-file", phrase]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("a restore needs the passphrase"), "{}", text(&made.stdout));
    assert_eq!(tower.get("/live").await.0, 200);

    let (in_order, output, errors) = tower.stop();
    assert!(in_order && output.is_empty(), "{output}{errors}");
    assert!(errors.contains("made the key that seals all secrets") && errors.contains("stopped"), "{errors}");
    assert!(!errors.contains(first["password"].as_str().unwrap()));

    // The credentials are shown once; the certificate authority stays.
    let ca = fs::read(first["ca-cert"].as_str().unwrap()).unwrap();
    let tower = Tower::start(one);
    assert!(tower.line["password"].is_null() && tower.line["url"].is_string(), "{}", tower.line);
    assert_eq!(fs::read(tower.line["ca-cert"].as_str().unwrap()).unwrap(), ca);
    assert_eq!(tower.get("/ready").await.0, 200);
    assert!(tower.stop().0);

    let reset = run(&["reset-admin", "--data-dir", one, "--output", "json"]);
    let reset: Value = serde_json::from_slice(&reset.stdout).unwrap();
    assert_eq!(reset["tenant-id"], first["tenant-id"]);
    assert_ne!(reset["password"], first["password"]);

    // Restored elsewhere it is the same tower.
    let two = root.path().join("two");
    let two = two.to_str().unwrap();
    let restored = run(&["restore", backup, "--data-dir", two, "--passphrase-file", phrase]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let tower = Tower::start(two);
    assert!(tower.line["password"].is_null());
    assert_eq!(fs::read(tower.line["ca-cert"].as_str().unwrap()).unwrap(), ca);
    assert_eq!(tower.get("/ready").await.0, 200);
    assert!(tower.stop().0);
}

#[test]
fn the_key_is_kept_private_and_not_made_twice() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let path = data_dir.to_str().unwrap();
    assert!(Tower::start(path).stop().0);
    let key = data_dir.join("kek.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = run(&["--data-dir", path]);
    assert_eq!(exposed.status.code(), Some(1));
    let expected = format!("control-tower: `{0}` has mode 0644: make it private with `chmod 600 {0}`\n", key.display());
    assert_eq!(text(&exposed.stderr), expected);
    fs::remove_file(&key).unwrap();
    let missing = run(&["--data-dir", path]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("is missing, and without it the store cannot be opened"));
    assert!(!key.exists());
    // Another key does not open the store.
    assert!(Tower::start(root.path().join("other").to_str().unwrap()).stop().0);
    fs::copy(root.path().join("other/kek.key"), &key).unwrap();
    let wrong = run(&["--data-dir", path, "--listen", "127.0.0.1:0"]);
    assert_eq!((wrong.status.code(), text(&wrong.stdout)), (Some(1), ""));
    let errors = text(&wrong.stderr);
    let expected = format!("control-tower: the store does not open with `key-file:{}`", key.display());
    assert!(errors.starts_with(&expected), "{errors}");
}

#[test]
fn wrong_usage_is_told_apart() {
    let help = run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Examples:"));
    assert!(run(&["--version"]).status.success());
    let unknown = run(&["--lisen", "x"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("--listen"), "{}", text(&unknown.stderr));
    let root = tempfile::tempdir().unwrap();
    let seal = run(&["--data-dir", root.path().to_str().unwrap(), "--seal", "hsm"]);
    assert_eq!(seal.status.code(), Some(2));
    assert!(text(&seal.stderr).contains("`hsm` is not a seal: use key-file:PATH, "), "{}", text(&seal.stderr));
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    // Ports that are taken: the refusal names the one that was meant.
    let taken: Vec<_> = (0..3).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let address = |n: usize| taken[n].local_addr().unwrap().to_string();
    let file = root.path().join("tower.toml");
    fs::write(&file, format!("listen = \"{}\"\ndata-dir = \"{}\"\n", address(0), data_dir.display())).unwrap();
    let refused = |command: &mut Command| {
        let output = command.env("KEYWARD_CONFIG", &file).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr).lines().last().unwrap().to_owned()
    };
    let expected =
        |n: usize| format!("control-tower: cannot listen on {}: Address already in use (os error 98)", address(n));
    assert_eq!(refused(&mut program(&[])), expected(0));
    assert_eq!(refused(program(&[]).env("KEYWARD_LISTEN", address(1))), expected(1));
    assert_eq!(refused(program(&["--listen", &address(2)]).env("KEYWARD_LISTEN", address(1))), expected(2));
}
