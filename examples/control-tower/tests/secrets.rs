//! Nothing secret is written anywhere but where it belongs: the program logs all that it can, does everything that it does, and
//! then whatever it wrote is searched for every secret that was in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "secrets/memory.rs"]
mod memory;
#[path = "support/process.rs"]
mod process;
#[path = "secrets/vault.rs"]
mod vault;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use keyward_keys::PrivateKey;
use process::{Reply, Tower, WALK, program, run};
use serde_json::{Value, json};

const KEY: &str = "/v1/state/strongbox/transit-keys/vault";
const ROLE: &str = "/v1/state/strongbox/authentication/approles/payments";
const TOKEN: &str = "/v1/state/strongbox/token";

/// Everything that must not be found, by what it is.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 8, "{what}: too short to be searched for");
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms: [(&str, Vec<u8>); 6] = [
            ("", secret.to_vec()),
            (" as hex", hex.clone().into_bytes()),
            (" as hex", hex.to_uppercase().into_bytes()),
            (" as base64", STANDARD_NO_PAD.encode(secret).into_bytes()),
            (" as base64url", URL_SAFE_NO_PAD.encode(secret).into_bytes()),
            (" as a list", format!("{secret:?}").trim_matches(['[', ']']).to_owned().into_bytes()),
        ];
        self.0.extend(forms.map(|(form, bytes)| (format!("{what}{form}"), bytes)));
    }

    /// A text of an answer, such as its `token`.
    fn take(&mut self, answer: &Value, field: &str) -> String {
        let text = answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned();
        self.add(field, &text);
        if field == "jwt-svid" {
            // Whoever has the rest can say who signed what, but not as whom.
            self.add("the signature of a jwt-svid", text.rsplit('.').next().unwrap());
        }
        text
    }

    /// The X.509-SVID of an answer: its key, whole, by lines, and the number that it comes to.
    fn take_x509(&mut self, answer: &Value) {
        let pem = answer["x509-svid"]["private-key"].as_str().unwrap();
        for line in pem.lines().filter(|line| !line.starts_with('-') && line.len() > 16) {
            self.add("a line of an X.509-SVID's key", line);
        }
        let key = PrivateKey::from_pkcs8_pem(pem).unwrap().to_pkcs8_der().unwrap();
        self.add("an X.509-SVID's key", key.as_slice());
        // PrivateKeyInfo of a P-256 key: the number begins at byte 36 (RFC 5958 §2, RFC 5915 §3).
        self.add("the number of an X.509-SVID's key", &key[36..68]);
    }

    fn found(&self, bytes: &[u8]) -> Vec<&str> {
        let holds = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        self.0.iter().filter(|(_, secret)| holds(secret)).map(|(what, _)| what.as_str()).collect()
    }
}

/// Everything that was written, by where.
#[derive(Default)]
struct Written(BTreeMap<String, Vec<u8>>);

impl Written {
    fn add(&mut self, place: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.entry(place.into()).or_default().extend(bytes.as_ref());
    }

    /// A directory with all that is below it.
    fn tree(&mut self, moment: &str, path: &Path) {
        for path in files(path) {
            self.add(format!("{moment}: {}", path.display()), fs::read(&path).unwrap());
        }
    }

    /// A refusal, and what it said.
    #[track_caller]
    fn refused(&mut self, status: u16, reply: &Reply) {
        reply.refused(status);
        self.add(format!("answers {status}"), &reply.bytes);
        self.add("headers of answers", format!("{:?}", reply.headers));
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    fs::read_dir(path).unwrap().flat_map(|file| files(&file.unwrap().path())).collect()
}

/// Only what clients must read can be read by others, and nothing can be written by them.
fn assert_private(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let name = path.file_name().unwrap().to_str().unwrap();
    let expected = match name {
        _ if path.is_dir() => 0o700,
        "ca.pem" => 0o644,
        _ => 0o600,
    };
    assert_eq!(mode, expected, "{} has mode {mode:04o}", path.display());
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|file| assert_private(&file.unwrap().path()));
    }
}

/// Runs a command of the program that must succeed.
fn command(written: &mut Written, args: &[&str]) -> Vec<u8> {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    written.add(format!("standard error of {}", args[0]), &output.stderr);
    output.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_written() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let (mut secrets, mut written) = (Secrets::default(), Written::default());
    let loud = ["--log", "json", "--log-filter", "trace"];
    let tower = Tower::start_with(&data_dir, &loud);
    let password = secrets.take(&tower.line, "password");
    let kek = fs::read_to_string(data_dir.join("kek.key")).unwrap();
    let kek = kek.trim().split_once(':').unwrap().1;
    secrets.add("the key-encryption key's digits", kek);
    let raw: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&kek[2 * n..2 * n + 2], 16).unwrap()).collect();
    secrets.add("the key-encryption key", raw);
    // Private keys are never seen: what all of them begin with (PKCS #8 in PEM and DER: RFC 5958, RFC 8017, RFC 5915).
    secrets.0.push(("a PEM private key".into(), b"PRIVATE KEY".to_vec()));
    let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x04, 0x82];
    secrets.0.push(("an RSA private key".into(), rsa.to_vec()));
    let ec = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04];
    secrets.0.push(("an EC private key".into(), ec.to_vec()));
    secrets.0.push(("a password hash".into(), b"$argon2".to_vec()));

    // The search finds what is there.
    assert_eq!(secrets.found(tower.line.to_string().as_bytes()), ["password"]);
    assert_eq!(secrets.found(&fs::read(data_dir.join("kek.key")).unwrap()).len(), 2);

    // What happens when all is well.
    let login =
        tower.call("POST", "/v1/login", None, Some(json!({"username": "admin", "password": password}))).await.ok();
    let admin = secrets.take(&login, "token");
    tower.bulk(&admin, WALK).await.ok();
    let bulk = "x-path: strongbox/transit-keys/vault\nx-operation: create\nname: vault\n---\n\
        x-path: strongbox/transit-keys/sign\nx-operation: create\nname: sign\ncipher: ecdsa-p256\n---\n\
        x-path: strongbox/authentication/approles/weak\nx-operation: create\nname: weak\nweak-secret-id: true\n\
        fixed-role-id: 5f1d7e0c-93aa-4d2b-8f64-2b7c9e01ad35\n---\n\
        x-path: strongbox/authentication/approles/payments\nx-operation: merge\ntoken-spiffe-x509: {}\n---\n\
        x-path: system/ca/edge\nx-operation: create\nname: edge\nkey-type: rsa-2048\n";
    tower.bulk(&admin, bulk).await.ok();
    secrets.add("the role-id of a role without secret-ids", "5f1d7e0c-93aa-4d2b-8f64-2b7c9e01ad35");
    let role_id = tower.get(ROLE, &admin).await.ok()["role-id"].as_str().unwrap().to_owned();
    let mut secret_ids = Vec::new();
    for request in [json!({}), json!({"num-uses": 1}), json!({"secret-id": "supplied-horse-battery-staple-47"})] {
        let made = tower.post(&format!("{ROLE}/generate-secret-id"), &admin, request).await.ok();
        secret_ids.push(secrets.take(&made, "secret-id"));
        let accessor = json!({"accessor": made["accessor"]});
        tower.post(&format!("{ROLE}/lookup-secret-id"), &admin, accessor).await.ok();
    }
    let mut workload = String::new();
    for secret_id in &secret_ids {
        let login = tower.log_in(&role_id, secret_id).await.ok();
        workload = secrets.take(&login, "token");
        secrets.take(&login, "jwt-svid");
        secrets.take_x509(&login);
    }
    let weak = "5f1d7e0c-93aa-4d2b-8f64-2b7c9e01ad35";
    secrets.take(&tower.log_in(weak, weak).await.ok(), "token");
    let fresh = tower.post(&format!("{TOKEN}/refresh"), &workload, json!({})).await.ok();
    let svid = secrets.take(&fresh, "jwt-svid");
    let inbound = json!({
        "name": "own", "trust-domain": "localhost", "allowed-audiences": ["sts.amazonaws.com"],
        "spiffe-id-patterns": [{"pattern": "spiffe://localhost/approle/payments"}],
    });
    tower.post("/v1/config/strongbox/authentication/spiffe", &admin, inbound).await.ok();
    let by_svid = |name: &str, svid: &str| Some(json!({"name": name, "jwt-svid": svid}));
    let inside = tower.call("POST", "/v1/spiffe-login", None, by_svid("own", &svid)).await.ok();
    secrets.take(&inside, "token");
    let (cut, altered) = (&svid[..svid.len() - 4], svid.replacen('.', ".e", 1));
    for body in [by_svid("other", &svid), by_svid("own", cut), by_svid("own", &altered), by_svid(&svid, "x")] {
        written.refused(401, &tower.call("POST", "/v1/spiffe-login", None, body).await);
    }
    let misplaced = Some(json!({"name": "own", "jwt-svid": [svid]}));
    written.refused(400, &tower.call("POST", "/v1/spiffe-login", None, misplaced).await);
    let unreachable = json!({
        "trust-domain": "peer.example", "bundle-endpoint-url": "https://localhost:1/", "bundle-endpoint-profile": "https_web",
    });
    tower.post("/v1/config/federation", &admin, unreachable).await.ok();
    for path in ["/v1/state/federation", "/v1/state/federation/peer.example"] {
        written.add("federation", &tower.get(path, &admin).await.bytes);
    }
    secrets.take_x509(&fresh);
    for name in ["own", "edge"] {
        written.add("authorities", &tower.get(&format!("/v1/state/system/ca/{name}"), &admin).await.bytes);
    }
    written.add("bundle", &tower.call("GET", "/v1/get-spiffe-bundle", None, None).await.bytes);
    let vault = [("x-vault-token", workload.as_str())];
    process::send(tower.request("GET", TOKEN, None).header(vault[0].0, vault[0].1)).await.ok();
    let plaintext = "the plaintext of the crown jewels";
    secrets.add("plaintext", plaintext);
    let body = json!({"plaintext": STANDARD.encode(plaintext), "associated-data": "YXNzb2NpYXRlZA=="});
    let sealed = tower.post(&format!("{KEY}/encrypt"), &admin, body).await.ok();
    let body = json!({"ciphertext": sealed["ciphertext"], "associated-data": "YXNzb2NpYXRlZA=="});
    let opened = tower.post(&format!("{KEY}/decrypt"), &admin, body.clone()).await.ok();
    assert_eq!(opened["plaintext"], STANDARD.encode(plaintext));
    tower.post(&format!("{KEY}/rewrap"), &admin, body).await.ok();
    tower.post(&format!("{KEY}/rotate"), &admin, json!({})).await.ok();
    tower
        .post("/v1/state/strongbox/transit-keys/sign/sign", &admin, json!({"input": STANDARD.encode(plaintext)}))
        .await
        .ok();
    tower.post("/v1/state/strongbox/check-issuer", &admin, json!({})).await.ok();

    vault::walk(&tower, &admin, &mut secrets, &mut written).await;

    // What happens when it is not. Every one of these is somebody's secret, in the wrong place.
    let mut wrong = |name: &str| -> String {
        let text = format!("wrong-{name}-5c4b7e");
        secrets.add(&text.clone(), &text);
        text
    };
    let user = |username: &str, password: &str| Some(json!({"username": username, "password": password}));
    for body in [
        user("admin", &wrong("password")),
        user(&wrong("password-as-name"), "x"),
        Some(json!({"username": "admin", "password": wrong("otp"), "otp": wrong("second-factor")})),
        Some(json!({"username": "admin", "password": "x", "tenant": wrong("password-as-tenant")})),
    ] {
        written.refused(401, &tower.call("POST", "/v1/login", None, body).await);
    }
    for body in [
        json!({"username": "admin", "password": [wrong("listed-password")]}),
        json!({"username": {"a": wrong("nested-password")}, "password": "x"}),
        json!({"username": "admin", "password": "x", "otp": 7, "secret": wrong("unknown-member")}),
        json!([wrong("password-in-a-list")]),
        json!(wrong("password-alone")),
    ] {
        written.refused(400, &tower.call("POST", "/v1/login", None, Some(body)).await);
    }
    let text = format!("{{\"username\":\"admin\",\"password\":\"{}", wrong("password-cut-off"));
    let request = tower.request("POST", "/v1/login", None).header("content-type", "application/json");
    written.refused(400, &process::send(request.body(text)).await);
    for (role_id, secret_id) in [
        (role_id.clone(), wrong("secret-id")),
        (wrong("secret-as-role"), secret_ids[0].clone()),
        (role_id.clone(), secret_ids[1].clone()),
        (wrong("role"), wrong("both")),
    ] {
        written.refused(401, &tower.log_in(&role_id, &secret_id).await);
    }
    let generate = format!("{ROLE}/generate-secret-id");
    for body in [
        json!({"secret-id": "0short0"}),
        json!({"secret-id": [wrong("listed-secret-id")]}),
        json!({"secret-id": wrong("secret-id-beside-a-mistake"), "ttl": "never"}),
        json!({"ttl": wrong("secret-as-ttl")}),
        json!({"bound-cidrs": [wrong("secret-as-network")]}),
    ] {
        let reply = tower.post(&generate, &admin, body).await;
        reply.message();
        // A duration and a network are no secrets and are named; that is where these two were written.
        if !reply.text().contains("secret-as-") {
            written.refused(400, &reply);
        }
    }
    let not_there = wrong("accessor-that-is-a-secret");
    written
        .refused(400, &tower.post(&format!("{ROLE}/destroy-secret-id"), &admin, json!({"accessor": not_there})).await);
    for body in [
        json!({"plaintext": wrong("plaintext-not-in-base64!")}),
        json!({"plaintext": 7, "associated-data": wrong("associated")}),
        json!({"plaintext": STANDARD.encode(plaintext), "context": "x"}),
    ] {
        written.refused(400, &tower.post(&format!("{KEY}/encrypt"), &admin, body).await);
    }
    for ciphertext in [wrong("plaintext-as-ciphertext"), format!("vault:v1:{}", STANDARD.encode(wrong("inside")))] {
        let reply = tower.post(&format!("{KEY}/decrypt"), &admin, json!({"ciphertext": ciphertext})).await;
        let status = reply.status.as_u16();
        written.refused(status, &reply);
    }
    for token in [wrong("token"), format!("{workload}x"), workload[..workload.len() - 2].to_owned()] {
        written.refused(401, &tower.get(TOKEN, &token).await);
        written.refused(401, &tower.post("/v1/bulk", &token, json!({})).await);
    }
    for (header, value) in [
        ("authorization", format!("Basic {}", STANDARD.encode(wrong("basic")))),
        ("cookie", format!("token={}", wrong("cookie"))),
        ("x-api-key", wrong("api-key")),
    ] {
        written.refused(401, &process::send(tower.request("GET", TOKEN, None).header(header, value)).await);
    }
    written
        .refused(401, &tower.call("GET", &format!("{TOKEN}?token={}", wrong("token-in-the-query")), None, None).await);
    written.refused(403, &tower.post(&format!("{KEY}/encrypt"), &workload, json!({"plaintext": "aGk="})).await);
    let both = tower.request("GET", TOKEN, Some(&workload)).header("x-vault-token", &admin);
    written.refused(400, &process::send(both).await);
    tower
        .exchange(format!("GET /live HTTP/1.1\r\nauthorization: Bearer {}\r\nbad header\r\n\r\n", wrong("broken-http")))
        .await;
    tower.post(&format!("{TOKEN}/revoke"), &workload, json!({})).await.ok();
    written.refused(401, &tower.get(TOKEN, &workload).await);

    // Everything that can be read about it, from inside and outside, while it runs.
    for path in ["/metrics", "/openapi.json", "/ready", "/v1/state/audit?limit=1000", "/v1/state/system/tasks"] {
        written.add(path, &tower.get(path, &admin).await.bytes);
    }
    for name in ["cmdline", "environ", "comm"] {
        written.add(name, fs::read(format!("/proc/{}/{name}", tower.pid())).unwrap());
    }
    let here = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let data = data_dir.to_str().unwrap();
    let phrase = "correct horse battery staple of the backup";
    secrets.add("passphrase", phrase);
    fs::write(here("phrase"), phrase).unwrap();
    fs::set_permissions(here("phrase"), fs::Permissions::from_mode(0o600)).unwrap();
    let phrase_file = ["--passphrase-file", &here("phrase")];
    let backup = |file: &str| ["backup".to_owned(), here(file), "--data-dir".to_owned(), data.to_owned()];
    let texts = |args: &[String]| -> Vec<String> { args.iter().cloned().chain(loud.map(str::to_owned)).collect() };
    for (file, more) in [("sealed.backup", &[][..]), ("phrase.backup", &phrase_file)] {
        let args = texts(&backup(file));
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let output = command(&mut written, &args);
        written.add("standard output of backup", output);
        written.tree("backup", Path::new(&here(file)));
        assert_private(Path::new(&here(file)));
    }
    written.tree("running", &data_dir);
    assert_private(&data_dir);
    let ended = tower.stop();
    assert!(ended.status.success());
    written.add("standard output", &ended.stdout);
    written.add("standard error", &ended.stderr);

    // Afterwards: another password, another place, another start.
    let args = ["reset-admin", "--data-dir", data, "--output", "json", "--log", "json", "--log-filter", "trace"];
    let reset: Value = serde_json::from_slice(&command(&mut written, &args)).unwrap();
    secrets.take(&reset, "password");
    let restored = here("restored");
    let file = here("phrase.backup");
    let mut args = vec!["restore", &file, "--data-dir", &restored, "--log", "json", "--log-filter", "trace"];
    args.extend(phrase_file);
    let output = command(&mut written, &args);
    written.add("standard output of restore", output);
    assert_private(Path::new(&restored));
    let again = Tower::start_with(Path::new(&restored), &loud);
    assert!(again.line["password"].is_null());
    written.tree("restored", Path::new(&restored));
    let ended = again.stop();
    written.add("standard error of the restored tower", &ended.stderr);
    written.tree("stopped", &data_dir);

    // Refused starts.
    fs::write(here("bad.key"), format!("1:{kek}zz")).unwrap();
    fs::set_permissions(here("bad.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let seal = format!("key-file:{}", here("bad.key"));
    let refused = program(&["--data-dir", data, "--seal", &seal]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    written.add("standard error of a refused start", &refused.stderr);
    fs::write(here("wrong"), "not the phrase of the backup at all").unwrap();
    fs::set_permissions(here("wrong"), fs::Permissions::from_mode(0o600)).unwrap();
    secrets.add("a wrong passphrase", "not the phrase of the backup at all");
    let refused = run(&["restore", &file, "--data-dir", &here("no"), "--passphrase-file", &here("wrong")]);
    assert_eq!(refused.status.code(), Some(1));
    written.add("standard error of a refused restore", &refused.stderr);

    // The search. The log was loud, and the refusals were recorded: there was something to be found.
    let log = &written.0["standard error"];
    let log = String::from_utf8_lossy(log);
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("\"level\":\"DEBUG\""), "{log}");
    let audit = String::from_utf8_lossy(&written.0["/v1/state/audit?limit=1000"]).into_owned();
    for reason in ["wrong-password", "unknown-user", "wrong-secret", "used-up", "unknown-role", "unknown-token"] {
        assert!(audit.contains(reason), "{reason}");
    }
    let mut found = Vec::new();
    for (place, bytes) in &written.0 {
        let is_key_file = place.ends_with("/kek.key");
        for what in secrets.found(bytes) {
            if !(is_key_file && what.starts_with("the key-encryption key")) {
                found.push(format!("{what} in {place}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
