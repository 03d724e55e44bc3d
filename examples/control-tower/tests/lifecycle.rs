//! The program under load and in trouble: stopped while it works, started on what is not for it, out of space, lied to about
//! where a client is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use control_tower::store::sqlite;
use keyward_svid::bundle::Bundle;
use process::{Api, Tower, WALK, program, run, send, signal};
use serde_json::{Value, json};

const KEYS: &str = "/v1/config/strongbox/transit-keys";
const TOKEN: &str = "/v1/state/strongbox/token";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What the program says when it does not start.
fn refused(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    text(&output.stderr).to_owned()
}

/// Makes keys and logs in, over and over, until the tower does not take connections any more. Answers what was answered: names
/// of keys and tokens. A request that was taken is answered.
async fn work(
    api: Api,
    admin: String,
    name: String,
    secret: (String, String),
    stopping: Arc<AtomicBool>,
) -> Vec<Value> {
    let mut answered = Vec::new();
    for n in 0.. {
        let key = format!("{name}-{n}");
        let body = Some(json!({"name": key}));
        match api.try_call("POST", KEYS, Some(&admin), body).await {
            Ok(reply) => answered.push(json!({"key": reply.ok()["documents"][0]["path"].as_str().map(|_| key)})),
            Err(error) => {
                assert!(stopping.load(Ordering::SeqCst), "{error:?}");
                break;
            }
        }
        let body = Some(json!({"role-id": secret.0, "secret-id": secret.1}));
        match api.try_call("POST", "/v1/approle-login", None, body).await {
            Ok(reply) => answered.push(json!({"token": reply.ok()["token"]})),
            Err(error) => {
                assert!(stopping.load(Ordering::SeqCst), "{error:?}");
                break;
            }
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_answers_what_it_took_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let mut tower = Tower::start(&data_dir);
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    for round in 0..3 {
        let secret = tower.secret(&admin, "payments", json!({})).await;
        let stopping = Arc::new(AtomicBool::new(false));
        let mut callers = tokio::task::JoinSet::new();
        for n in 0..6 {
            let (name, stopping) = (format!("k-{round}-{n}"), Arc::clone(&stopping));
            callers.spawn(work(tower.api.clone(), admin.clone(), name, secret.clone(), stopping));
        }
        let idle = tower.connect().await;
        let before = tower.metric("keyward_store_revision").await;
        while tower.metric("keyward_store_revision").await < before + 20 {
            tokio::task::yield_now().await;
        }
        stopping.store(true, Ordering::SeqCst);
        let ended = tokio::task::spawn_blocking(move || tower.stop()).await.unwrap();
        let log = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && ended.took < Duration::from_secs(10), "{:?}: {log}", ended.took);
        assert!(ended.stdout.is_empty() && log.contains("stopped") && !log.contains("cut off"), "{log}");
        let mut answered = Vec::new();
        for caller in callers.join_all().await {
            answered.extend(caller);
        }
        assert!(answered.len() >= 20);
        drop(idle);

        // All of it is in the one file: whoever copies a stopped tower has to copy no log.
        assert!(!data_dir.join("tower.db-wal").exists());
        sqlite::check(&data_dir.join("tower.db")).unwrap();
        for line in fs::read_to_string(audit_file(&data_dir)).unwrap().lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
        tower = Tower::start(&data_dir);
        for one in answered {
            match (one["key"].as_str(), one["token"].as_str()) {
                (Some(key), _) => {
                    assert_eq!(tower.get(&format!("{KEYS}/{key}"), &admin).await.ok(), json!({"name": key}))
                }
                (_, Some(token)) => drop(tower.get(TOKEN, token).await.ok()),
                _ => panic!("{one}"),
            }
        }
    }
}

fn audit_file(data_dir: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(data_dir.join("audit")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_nobody_for_ever() {
    let root = tempfile::tempdir().unwrap();
    let tower = Tower::start(&root.path().join("data"));
    let admin = tower.administrator().await;
    // A head and a body that never come whole.
    let (mut half, mut slow) = (tower.connect().await, tower.connect().await);
    half.send("GET /live HTTP/1.1\r\nhost:").await;
    slow.send(format!(
        "POST /v1/bulk HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {admin}\r\ncontent-length: 9\r\n\r\nabc"
    ))
    .await;
    tower.assert_alive().await;
    let ended = tokio::task::spawn_blocking(move || tower.stop()).await.unwrap();
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && ended.took < Duration::from_secs(10), "{:?}: {log}", ended.took);
    assert!(log.contains("cut off") && log.contains("connections=2"), "{log}");
    assert_eq!((half.rest().await, slow.rest().await), (String::new(), String::new()));
}

#[test]
fn a_stop_while_it_starts_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    for _ in 0..5 {
        let args = ["--data-dir", data_dir.to_str().unwrap(), "--listen", "127.0.0.1:0", "--output", "json"];
        let mut process = program(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // As soon as there is something to stop.
        while !data_dir.join("lock").exists() {
            std::thread::yield_now();
        }
        signal(process.id(), "TERM");
        process.wait().unwrap();
    }
    let tower = Tower::start(&data_dir);
    assert!(tower.stop().status.success());
}

#[test]
fn what_is_newer_or_foreign_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let data = data_dir.to_str().unwrap();
    assert!(Tower::start(&data_dir).stop().status.success());
    let (store, log) = (data_dir.join("tower.db"), audit_file(&data_dir));
    let bytes = (fs::read(&store).unwrap(), fs::read(&log).unwrap());
    let start = ["--data-dir", data, "--listen", "127.0.0.1:0"];
    let backup = root.path().join("backup");
    let commands: [&[&str]; 3] =
        [&start, &["reset-admin", "--data-dir", data], &["backup", backup.to_str().unwrap(), "--data-dir", data]];

    // `user_version` (https://www.sqlite.org/fileformat2.html#user_version_number).
    let mut newer = bytes.0.clone();
    newer[60..64].copy_from_slice(&7_u32.to_be_bytes());
    fs::write(&store, &newer).unwrap();
    for args in commands {
        let error = refused(args);
        assert!(error.contains("the store has format 7, this program knows formats up to "), "{error}");
        assert!(error.ends_with(": start the newer program\n"), "{error}");
    }
    fs::write(&store, "not a database, and long enough to be taken for one by its size alone ".repeat(100)).unwrap();
    for args in commands {
        let error = refused(args);
        assert!(error.contains("is a database of another program"), "{error}");
    }
    let mut damaged = bytes.0.clone();
    let end = damaged.len();
    damaged[4096..end].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(&store, &damaged).unwrap();
    for args in commands {
        refused(args);
    }
    assert_eq!(fs::read(&store).unwrap(), damaged, "and nothing is made worse");
    fs::write(&store, &bytes.0).unwrap();

    let schema = String::from_utf8(bytes.1.clone()).unwrap().replace("{\"v\":1,", "{\"v\":2,");
    fs::write(&log, schema).unwrap();
    let error = refused(&start);
    assert!(
        error.contains("the audit log has schema 2, this program knows schemas up to 1: start the newer program"),
        "{error}"
    );
    fs::write(&log, &bytes.1).unwrap();
    assert!(!backup.exists() && Tower::start(&data_dir).stop().status.success());
}

#[test]
fn settings_that_are_no_settings_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("tower.toml");
    let path = file.to_str().unwrap();
    for (toml, expected) in [
        ("lisen = \"127.0.0.1:0\"", "unknown field `lisen`"),
        ("data-dir = \"x\"\ndata-dir = \"y\"", "duplicate key"),
        ("[server]\nlisten = \"127.0.0.1:0\"", "unknown field `server`"),
        ("\nlisten = \"nowhere\"", "line 2"),
        ("listen = ", "line 1"),
        ("external-url = \"http://tower.example\"", "line 1"),
        ("\u{0}", "line 1"),
    ] {
        fs::write(&file, toml).unwrap();
        let error = refused(&["--config", path]);
        assert!(error.starts_with(&format!("control-tower: configuration file `{path}`: ")), "{error}");
        assert!(error.contains(expected), "{toml:?}: {error}");
    }
    assert!(
        refused(&["--config", root.path().join("absent").to_str().unwrap()])
            .contains("cannot read the configuration file")
    );
    let help = run(&["--help"]);
    for example in [
        "control-tower backup tower.backup",
        "control-tower restore",
        "control-tower reset-admin",
        "--external-url https://",
    ] {
        assert!(help.status.success() && text(&help.stdout).contains(example), "{example}");
    }
    for args in [&["--lisen", "x"][..], &["serve", "more"], &["backup"], &["--listen"], &["--listen", "x"], &["fly"]] {
        let output = run(args);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{args:?}");
        assert!(text(&output.stderr).contains("--help"), "{}", text(&output.stderr));
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_takes_the_old_password_away() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let tower = Tower::start(&data_dir);
    let old = tower.line["password"].as_str().unwrap().to_owned();
    let thief = tower.administrator().await;
    assert!(tower.stop().status.success());
    let reset = run(&["reset-admin", "--data-dir", data_dir.to_str().unwrap(), "--output", "json"]);
    let reset: Value = serde_json::from_slice(&reset.stdout).unwrap();
    let tower = Tower::start(&data_dir);
    let body = |password: &str| Some(json!({"username": "admin", "password": password}));
    let answer = tower.call("POST", "/v1/login", None, body(&old)).await;
    assert_eq!(answer.refused(401), "invalid username or password");
    tower.get(TOKEN, &thief).await.refused(401);
    tower.log_in_as_admin(reset["password"].as_str().unwrap()).await;
}

/// A limit on the size of files stands for a full disk: writing fails half-way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_does_not_pretend() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    assert!(Tower::start(&data_dir).stop().status.success());
    let reset = run(&["reset-admin", "--data-dir", data_dir.to_str().unwrap(), "--output", "json"]);
    let password = serde_json::from_slice::<Value>(&reset.stdout).unwrap()["password"].as_str().unwrap().to_owned();
    // In blocks of 512 bytes (POSIX, `ulimit`); a write beyond is an error and no signal.
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 1000; exec \"$@\"";
    let args = ["--data-dir", data_dir.to_str().unwrap(), "--listen", "127.0.0.1:0", "--output", "json"];
    command.env_clear().args(["-c", script, "sh", env!("CARGO_BIN_EXE_control-tower")]).args(args);
    let tower = Tower::spawn(&data_dir, &mut command);
    let admin = tower.log_in_as_admin(&password).await;
    let (mut made, mut refusals) = (Vec::new(), Vec::new());
    for n in 0..2000 {
        let key = format!("k-{n}");
        let reply = tower.post(KEYS, &admin, json!({"name": key})).await;
        if reply.status.is_success() {
            made.push(key);
            continue;
        }
        let message = reply.refused(503);
        assert!(message.contains("nothing was changed") || message.contains("may have happened"), "{message}");
        refusals.push((key, message));
        if refusals.len() == 20 {
            break;
        }
    }
    assert!(!made.is_empty() && refusals.len() == 20, "{} made, {} refused", made.len(), refusals.len());
    // What can be had without writing can still be had.
    tower.get(&format!("{KEYS}/{}", made[0]), &admin).await.ok();
    assert_eq!(tower.call("GET", "/live", None, None).await.status, 200);
    tower.stop();

    let tower = Tower::start(&data_dir);
    let names: Vec<String> = serde_json::from_value(tower.get(KEYS, &admin).await.ok()).unwrap();
    for key in &made {
        assert!(names.contains(key), "{key} was answered and is gone");
    }
    for (key, message) in &refusals {
        assert!(
            !names.contains(key) || message.contains("may have happened"),
            "{key} was refused and is there: {message}"
        );
    }
    tower.post(KEYS, &admin, json!({"name": "space-again"})).await.ok();
    let records = tower.get("/v1/state/audit?limit=1000", &admin).await.ok()["records"].clone();
    assert!(records.as_array().unwrap().len() >= made.len().min(900));
    sqlite::check(&data_dir.join("tower.db")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_trusted_proxy_says_where_a_client_is() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let tower = Tower::start(&data_dir);
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({"bound-cidrs": ["203.0.113.0/24"]})).await;
    let attempt = async |tower: &Tower, headers: &[(&str, &str)]| {
        let mut request = tower.request("POST", "/v1/approle-login", None);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request.json(&json!({"role-id": role_id, "secret-id": secret_id}))).await.status.as_u16()
    };
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"] {
        let value = if name == "forwarded" { "for=203.0.113.5" } else { "203.0.113.5" };
        assert_eq!(attempt(&tower, &[(name, value)]).await, 401, "{name}");
    }
    assert!(tower.stop().status.success());
    let tower = Tower::start_with(&data_dir, &["--trusted-proxies", "127.0.0.1"]);
    assert_eq!(attempt(&tower, &[("x-forwarded-for", "203.0.113.5")]).await, 200);
    assert_eq!(attempt(&tower, &[("x-forwarded-for", "203.0.113.5, 198.51.100.7")]).await, 401);
    assert_eq!(attempt(&tower, &[("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "203.0.113.5")]).await, 200);
    assert_eq!(attempt(&tower, &[("x-real-ip", "203.0.113.5")]).await, 401);
    let log = fs::metadata(audit_file(&data_dir)).unwrap();
    assert_eq!(log.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_federation_endpoint_is_printed_and_serves_the_bundle_under_the_towers_svid() {
    let root = tempfile::tempdir().unwrap();
    let tower = Tower::start_with(&root.path().join("data"), &["--federation-listen", "127.0.0.1:0"]);
    let url = tower.line["federation-url"].as_str().unwrap().to_owned();
    let admin = tower.administrator().await;
    let state = tower.get("/v1/state/federation", &admin).await.ok();
    assert_eq!(state["federation-endpoint"]["url"], url);
    assert_eq!(state["federation-endpoint"]["endpoint-spiffe-id"], "spiffe://localhost/control-tower");
    let tenant = tower.line["tenant-id"].as_str().unwrap();
    assert!(url.ends_with(&format!("/{tenant}/spiffe-bundle")), "{url}");
    // Without SPIFFE nobody knows whom they talk to.
    let stranger = process::client(fs::read_to_string(tower.line["ca-cert"].as_str().unwrap()).unwrap().as_bytes());
    assert!(stranger.get(&url).send().await.is_err());
    let anyone = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
    let served = anyone.get(&url).send().await.unwrap().bytes().await.unwrap();
    let bundle = Bundle::from_json("localhost".parse().unwrap(), &served).unwrap();
    assert_eq!(bundle.x509().authorities().len(), 1);
    let ended = tower.stop();
    assert!(ended.status.success());
}
