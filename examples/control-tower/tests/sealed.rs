//! A tower that starts sealed, is unsealed by call, is sealed again; and the seals that systemd hands over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
};

use process::{Tower, program, run};
use serde_json::{Value, json};

const PHRASE: &str = "correct horse battery staple";
const SEAL: &str = "/v1/state/system/seal";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs a command with a line on its standard input.
fn with_input(args: &[&str], line: &str) -> Output {
    let mut command = program(args);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(process.stdin.take().unwrap(), "{line}").unwrap();
    process.wait_with_output().unwrap()
}

async fn vault(tower: &Tower, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let reply = tower.call(method, path, None, body).await;
    (reply.status.as_u16(), if reply.bytes.is_empty() { Value::Null } else { reply.json() })
}

/// Of many attempts at once few wait, and the others hear when to come again.
async fn flooded(tower: &Tower) {
    let attempt = |path: &'static str| {
        let api = (**tower).clone();
        tokio::spawn(async move { api.call("POST", path, None, Some(json!({"key": "wrong horse battery"}))).await })
    };
    let attempts: Vec<_> =
        (0..8).flat_map(|_| ["/v1/state/system/seal/unseal", "/v1/sys/unseal"].map(attempt)).collect();
    let mut turned_away = 0;
    for attempt in attempts {
        let answer = attempt.await.unwrap();
        if answer.status == 429 {
            let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait), "{wait}");
            turned_away += 1;
        } else {
            assert!([400, 401].contains(&answer.status.as_u16()), "{}", answer.text());
        }
    }
    assert!((1..16).contains(&turned_away), "{turned_away}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_is_sent_after_each_start() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let dir = data.to_str().unwrap();
    // It is chosen before anybody can send one.
    let early = run(&["--data-dir", dir, "--seal", "passphrase"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        text(&early.stderr).contains("`control-tower init --seal passphrase:file:FILE`"),
        "{}",
        text(&early.stderr)
    );
    let init = ["init", "--data-dir", dir, "--output", "json", "--seal", "passphrase:file:-"];
    let weak = with_input(&init, "too short");
    assert!(text(&weak.stderr).contains("9 characters, at least 12 are needed"), "{}", text(&weak.stderr));
    assert!(!data.exists(), "a refusal makes nothing");
    let first = with_input(&init, PHRASE);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    // The line of a first start, which `supctl login --bootstrap` reads.
    assert_eq!(first["ca-cert"], json!(data.join("ca.pem")));
    for key in ["url", "tenant", "tenant-id", "username", "password"] {
        assert!(first[key].is_string(), "{key}");
    }
    let again = with_input(&init, PHRASE);
    assert!(text(&again.stderr).contains("has everything already"), "{}", text(&again.stderr));
    for (name, mode) in [("api.key", 0o600), ("api.pem", 0o600), ("ca.pem", 0o644)] {
        assert_eq!(fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    assert!(!data.join("kek.key").exists());
    let other = run(&["--data-dir", dir]);
    assert!(
        text(&other.stderr).contains("the data is sealed by a passphrase, but --seal says"),
        "{}",
        text(&other.stderr)
    );

    let tower = Tower::start_with(&data, &["--seal", "passphrase"]);
    tower.call("GET", "/live", None, None).await.ok();
    for (method, path) in [("GET", "/ready"), ("GET", "/metrics"), ("POST", "/v1/login"), ("GET", "/nothing")] {
        let message = tower.call(method, path, None, None).await.refused(503);
        assert_eq!(message, "the tower is sealed: unseal it with `supctl unseal` or `POST /v1/sys/unseal`", "{path}");
    }
    // For whoever reads pages it is one, with its style.
    let page = tower.request("GET", "/account", None).header("accept", "text/html").send().await.unwrap();
    assert_eq!((page.status().as_u16(), &page.headers()["cache-control"]), (503, &"no-store".parse().unwrap()));
    let page = page.text().await.unwrap();
    assert!(page.contains("<h1>Not available now</h1>") && page.contains("The tower is sealed"), "{page}");
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(tower.request("GET", style, None).send().await.unwrap().status(), 200);
    assert_eq!(tower.call("GET", SEAL, None, None).await.ok(), json!({"sealed": true, "kind": "passphrase"}));
    let (status, health) = vault(&tower, "GET", "/v1/sys/health", None).await;
    assert_eq!((status, &health["sealed"], &health["initialized"]), (503, &json!(true), &json!(true)));
    for (query, expected) in
        [("sealedcode=200", 200), ("activecode=299", 503), ("sealedcode=x", 400), ("sealedcode=101", 400)]
    {
        assert_eq!(vault(&tower, "GET", &format!("/v1/sys/health?{query}"), None).await.0, expected, "{query}");
    }
    let (status, seal) = vault(&tower, "GET", "/v1/sys/seal-status", None).await;
    assert_eq!((status, &seal["sealed"], &seal["t"]), (200, &json!(true), &json!(1)));
    let (status, leader) = vault(&tower, "GET", "/v1/sys/leader", None).await;
    assert_eq!((status, &leader["ha_enabled"]), (200, &json!(false)));
    let (status, refused) = vault(&tower, "GET", "/v1/sys/mounts", None).await;
    assert_eq!(status, 503);
    assert!(refused["errors"][0].as_str().unwrap().starts_with("the tower is sealed"), "{refused}");

    // One refusal, whatever is wrong.
    let unseal = async |body: Value| tower.call("POST", &format!("{SEAL}/unseal"), None, Some(body)).await;
    for wrong in ["correct horse battery stapler", "short"] {
        let message = unseal(json!({"passphrase": wrong})).await.refused(401);
        assert_eq!(message, "the tower does not open with this passphrase or key");
    }
    assert_eq!(unseal(json!({})).await.refused(400), "give either `passphrase` or `key`");
    let (status, refused) = vault(&tower, "PUT", "/v1/sys/unseal", Some(json!({"key": "wrong horse battery"}))).await;
    assert_eq!((status, refused), (400, json!({"errors": ["the tower does not open with this passphrase or key"]})));
    let (status, _) = vault(&tower, "PUT", "/v1/sys/unseal", Some(json!({}))).await;
    assert_eq!(status, 400);
    flooded(&tower).await;
    let (status, seal) = vault(&tower, "PUT", "/v1/sys/unseal", Some(json!({"key": PHRASE}))).await;
    assert_eq!((status, &seal["sealed"]), (200, &json!(false)), "{seal}");
    tower.assert_alive().await;
    assert_eq!(vault(&tower, "GET", "/v1/sys/health", None).await.0, 200);
    for (query, expected) in [("activecode=299", 299), ("sealedcode=299&standbyok=true", 200), ("activecode=600", 400)]
    {
        assert_eq!(vault(&tower, "GET", &format!("/v1/sys/health?{query}"), None).await.0, expected, "{query}");
    }
    assert_eq!(unseal(json!({"passphrase": "whatever it is"})).await.ok(), json!({"sealed": false}));

    let admin = tower.log_in_as_admin(first["password"].as_str().unwrap()).await;
    let state = tower.get(SEAL, &admin).await.ok();
    assert_eq!(
        (&state["sealed"], &state["kind"], &state["versions"]),
        (&json!(false), &json!("passphrase"), &json!([1]))
    );
    let records = tower.get("/v1/state/audit?limit=100", &admin).await.ok();
    let unsealed =
        records["records"].as_array().unwrap().iter().find(|record| record["event"] == "unseal").unwrap().clone();
    assert!(unsealed.to_string().contains("refused-attempts"), "{unsealed}");
    assert!(!tower.log().contains(PHRASE) && !records.to_string().contains(PHRASE));

    // Sealed again by call; what was stored opens again.
    tower.call("POST", &format!("{SEAL}/seal"), None, Some(json!({}))).await.refused(401);
    tower.post("/v1/config/strongbox/transit-keys", &admin, json!({"name": "orders"})).await.ok();
    assert_eq!(tower.post(&format!("{SEAL}/seal"), &admin, json!({})).await.ok(), json!({"sealed": true}));
    tower.call("GET", "/ready", None, None).await.refused(503);
    tower.get("/v1/state/strongbox/transit-keys/orders", &admin).await.refused(503);
    unseal(json!({"passphrase": PHRASE})).await.ok();
    tower.get("/v1/state/strongbox/transit-keys/orders", &admin).await.ok();
    let request = tower.request("PUT", "/v1/sys/seal", None).header("x-vault-token", &admin);
    assert_eq!(request.send().await.unwrap().status(), 204);
    assert_eq!(vault(&tower, "GET", "/v1/sys/health", None).await.0, 503);
    assert!(tower.stop().status.success());

    // By a file it starts open.
    let phrase = root.path().join("phrase");
    fs::write(&phrase, PHRASE).unwrap();
    fs::set_permissions(&phrase, fs::Permissions::from_mode(0o600)).unwrap();
    let by_file = format!("passphrase:file:{}", phrase.display());
    let tower = Tower::start_with(&data, &["--seal", &by_file]);
    tower.assert_alive().await;
    assert!(tower.stop().status.success());
    backed_up(root.path(), &data, &by_file).await;
}

/// What changes a tower that is there makes none.
#[test]
fn a_mistyped_directory_stays_empty() {
    let root = tempfile::tempdir().unwrap();
    let (data, phrase, key) = (root.path().join("typo"), root.path().join("phrase"), root.path().join("new.key"));
    fs::write(&phrase, PHRASE).unwrap();
    fs::set_permissions(&phrase, fs::Permissions::from_mode(0o600)).unwrap();
    let (dir, seal) = (data.to_str().unwrap(), format!("passphrase:file:{}", phrase.display()));
    let to = format!("key-file:{}", key.display());
    for args in [&["reseal", "--to", &to, "--data-dir", dir, "--seal", &seal][..], &["reset-admin", "--data-dir", dir]]
    {
        let refused = run(args);
        let expected = format!("control-tower: there is no store `{dir}/tower.db`: is --data-dir right?\n");
        assert_eq!((refused.status.code(), text(&refused.stderr)), (Some(1), expected.as_str()));
        assert_eq!(text(&refused.stdout), "");
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "the passphrase alone");
}

/// A backup needs a passphrase, and the restored tower its own.
async fn backed_up(root: &Path, data: &Path, by_file: &str) {
    let (file, phrase) = (root.join("tower.backup"), root.join("phrase"));
    let (file, phrase, dir) = (file.to_str().unwrap(), phrase.to_str().unwrap(), data.to_str().unwrap());
    let refused = run(&["backup", file, "--data-dir", dir, "--seal", "passphrase"]);
    assert!(text(&refused.stderr).contains("the backup needs one, too"), "{}", text(&refused.stderr));
    let done = run(&["backup", file, "--data-dir", dir, "--seal", "passphrase", "--passphrase-file", phrase]);
    assert!(text(&done.stdout).contains("and the restored tower that of its seal"), "{}", text(&done.stderr));
    let two = root.join("two");
    let restored = run(&["restore", file, "--data-dir", two.to_str().unwrap(), "--passphrase-file", phrase]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let tower = Tower::start_with(&two, &["--seal", by_file]);
    tower.assert_alive().await;
    assert!(tower.stop().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_hands_over_the_key() {
    let root = tempfile::tempdir().unwrap();
    let (data, credentials) = (root.path().join("data"), root.path().join("credentials"));
    let dir = data.to_str().unwrap();
    fs::create_dir(&credentials).unwrap();
    let serve = |seal: &str| {
        let mut command = program(&["--data-dir", dir, "--listen", "127.0.0.1:0", "--output", "json", "--seal", seal]);
        command.env("CREDENTIALS_DIRECTORY", &credentials);
        command
    };
    let missing = serve("systemd-credential").output().unwrap();
    let expected = "control-tower: there is no systemd credential `keyward-seal`: make one with `head -c 32 /dev/urandom | \
                    systemd-creds encrypt --name=keyward-seal - /etc/credstore.encrypted/keyward-seal` and add \
                    `LoadCredentialEncrypted=keyward-seal` to the unit\n";
    assert_eq!((missing.status.code(), text(&missing.stderr)), (Some(1), expected));
    assert!(!data.exists(), "a refusal makes nothing");
    fs::write(credentials.join("keyward-seal"), [7; 32]).unwrap();
    fs::set_permissions(credentials.join("keyward-seal"), fs::Permissions::from_mode(0o440)).unwrap();
    let tower = Tower::spawn(&data, &mut serve("systemd-credential"));
    let password = tower.line["password"].as_str().unwrap().to_owned();
    tower.assert_alive().await;
    assert!(!data.join("kek.key").exists() && !data.join("api.key").exists());
    // Sealed by call it opens by the key itself, and by a restart.
    let admin = tower.administrator().await;
    tower.post(&format!("{SEAL}/seal"), &admin, json!({})).await.ok();
    let key = |digits: &str| json!({"key": digits.repeat(32)});
    tower.call("POST", &format!("{SEAL}/unseal"), None, Some(key("08"))).await.refused(401);
    tower.call("POST", &format!("{SEAL}/unseal"), None, Some(key("07"))).await.ok();
    tower.assert_alive().await;
    assert!(tower.stop().status.success());

    // To a passphrase that comes as a credential, and back to a key file; never by another --seal alone.
    fs::write(credentials.join("keyward-passphrase"), PHRASE).unwrap();
    let refused = serve("passphrase:systemd-credential").output().unwrap();
    assert!(
        text(&refused.stderr).contains("`control-tower reseal --to passphrase:systemd-credential:keyward-passphrase`")
    );
    let reseal = |from: &str, to: &str| {
        let mut command = program(&["reseal", "--data-dir", dir, "--seal", from, "--to", to]);
        command.env("CREDENTIALS_DIRECTORY", &credentials).output().unwrap()
    };
    let done = reseal("systemd-credential", "passphrase:systemd-credential");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let tower = Tower::spawn(&data, &mut serve("passphrase:systemd-credential"));
    assert!(text(&reseal("passphrase:systemd-credential", "key-file:x").stderr).contains("is in use by another"));
    tower.log_in_as_admin(&password).await;
    assert!(tower.stop().status.success());
    // The certificate for the time before the passphrase was made by the reseal.
    let tower = Tower::spawn(&data, &mut serve("passphrase"));
    tower.call("GET", "/ready", None, None).await.refused(503);
    tower.call("POST", &format!("{SEAL}/unseal"), None, Some(json!({"passphrase": PHRASE}))).await.ok();
    tower.log_in_as_admin(&password).await;
    assert!(tower.stop().status.success());
    let key_file = root.path().join("new.key");
    let to = format!("key-file:{}", key_file.display());
    assert!(reseal("passphrase:systemd-credential", &to).status.success());
    assert_eq!(fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!data.join("api.key").exists() && !data.join("api.pem").exists(), "nobody waits for a passphrase now");
    let tower = Tower::spawn(&data, &mut serve(&to));
    let admin = tower.log_in_as_admin(&password).await;
    let records = tower.get("/v1/state/audit?limit=100", &admin).await.ok();
    let resealed = records["records"].as_array().unwrap().iter().filter(|record| record["event"] == "reseal");
    let resealed: Vec<_> = resealed.map(|record| record["detail"]["to"].clone()).collect();
    assert_eq!(resealed, [json!("passphrase:systemd-credential:keyward-passphrase"), json!(to)]);
    assert!(tower.stop().status.success());
}
