//! `kill -9` at any moment of a bulk, a rotation or a login: what was answered is there after the restart, and nothing is half
//! done.
//!
//! Some callers work on the real program without a pause, each remembering what it was answered. The program is killed after a
//! random number of answers and a random while, when each caller is somewhere in the middle of its next request. Its files are
//! checked as the kill left them; then it is started again and asked for everything.
//!
//! A kill does not test the sync. So the callers also rest for a moment, in which all that was answered has to be synced, and go
//! on; then the program is held, its files are copied, and the log of the database is cut at random bytes behind that moment.
//!
//! A backup that is made while they work holds all that was answered before it began.
//!
//! `KEYWARD_FULL=1` kills 200 times instead of 20, and does ten times as much of the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;
#[path = "support/wal.rs"]
mod wal;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use control_tower::store::sqlite;
use keyward_svid::{
    JwkSet, JwtBundle, KeyUse, Verifier, VerifyOptions,
    bundle::Bundle,
    x509::{X509Verifier, X509VerifyOptions, chain_from_pem},
};
use process::{Api, Reply, Tower, program, rounds, run, signal};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedSender;

const KEYS: &str = "/v1/config/strongbox/transit-keys";
const KEY: &str = "/v1/state/strongbox/transit-keys";
const ROLES: &str = "/v1/config/strongbox/authentication/approles";
const ROLE: &str = "/v1/state/strongbox/authentication/approles";
const SETTINGS: &str = "/v1/config/strongbox/authentication/spiffe-settings";
const TOKEN: &str = "/v1/state/strongbox/token";

/// How often each secret-id of the test can log in.
const USES: u32 = 2;

/// The bulk that makes generation `n` of what was generation `n - 1`: a key, the settings and a role that say the same, and a
/// key and a role that come with a generation and go with it.
fn generation(n: u64) -> String {
    let mut yaml = format!(
        "
x-path: strongbox/transit-keys/signing
x-operation: replace
name: signing
cipher: ecdsa-p256
distribute: {{deployments: [g-{n}]}}
---
x-path: strongbox/authentication/spiffe-settings
x-operation: replace
jwt-signing-key: signing
distribute: {{deployments: [g-{n}]}}
---
x-path: strongbox/authentication/approles/worker
x-operation: replace
name: worker
token-period: 1d
token-spiffe-jwt: {{jwt-audiences: [kill-test]}}
token-spiffe-x509: {{}}
distribute: {{deployments: [g-{n}]}}
---
x-path: strongbox/transit-keys/extra-{n}
x-operation: create
name: extra-{n}
deletion-allowed: true
---
x-path: strongbox/authentication/approles/extra-{n}
x-operation: create
name: extra-{n}
"
    );
    if n > 0 {
        let before = n - 1;
        for collection in ["transit-keys", "authentication/approles"] {
            yaml += &format!("---\nx-path: strongbox/{collection}/extra-{before}\nx-operation: delete\n");
        }
    }
    yaml
}

/// Makes the keys that are rotated in a round.
fn rotated(round: usize) -> String {
    let key = |kind: &str, cipher: &str| {
        format!(
            "---\nx-path: strongbox/transit-keys/{kind}-{round}\nx-operation: create\nname: {kind}-{round}\n\
             cipher: {cipher}\ndeletion-allowed: true\n"
        )
    };
    key("aes", "aes256-gcm96") + &key("p256", "ecdsa-p256")
}

/// Deletes them.
fn forgotten(round: usize) -> String {
    let key = |kind: &str| format!("---\nx-path: strongbox/transit-keys/{kind}-{round}\nx-operation: delete\n");
    key("aes") + &key("p256")
}

/// What a caller needs.
#[derive(Clone)]
struct Caller {
    api: Api,
    admin: String,
    state: Arc<State>,
    progress: UnboundedSender<()>,
}

/// What callers have to know of the tower.
#[derive(Default)]
struct State {
    /// It is gone, or will be in a moment.
    killed: AtomicBool,
    /// No further request is to be sent.
    resting: AtomicBool,
}

impl Caller {
    /// The answer, or nothing once the callers rest or the tower was killed.
    async fn answered(&self, reply: impl Future<Output = reqwest::Result<Reply>>) -> Option<Reply> {
        if self.state.resting.load(Ordering::SeqCst) {
            return None;
        }
        match reply.await {
            Ok(reply) => {
                let _ = self.progress.send(());
                Some(reply)
            }
            Err(error) => {
                assert!(self.state.killed.load(Ordering::SeqCst), "{error:?}");
                None
            }
        }
    }

    async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Option<Reply> {
        self.answered(self.api.try_call("POST", path, token, Some(body))).await
    }

    async fn admin_post(&self, path: &str, body: Value) -> Option<Reply> {
        self.post(path, Some(&self.admin), body).await
    }
}

/// What is known of something that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Yes,
    No,
    /// The answer never came.
    Unknown,
}

struct Token {
    text: String,
    accessor: String,
    expires: String,
    jwt_svid: Option<String>,
    x509_svid: Option<String>,
    /// Whether a refresh was sent and not answered.
    refreshing: bool,
    revoked: Done,
}

struct Secret {
    role_id: String,
    secret_id: String,
    accessor: String,
    /// Logins that were granted.
    used: u32,
    /// Whether one more was sent and not answered.
    unknown: bool,
}

/// Everything that was answered.
#[derive(Default)]
struct Answered {
    /// Of the last bulk: answered, and sent.
    generation: (u64, u64),
    tokens: Vec<Token>,
    secrets: Vec<Secret>,
    /// By key: the last version that was answered, and sent.
    versions: BTreeMap<String, (u64, u64)>,
    /// By key and version, what it encrypted or its kid.
    made: Vec<(String, Value)>,
    /// What the audit log has to hold.
    records: Vec<String>,
}

impl Answered {
    fn add(&mut self, other: Self) {
        self.generation = self.generation.max(other.generation);
        self.tokens.extend(other.tokens);
        self.secrets.extend(other.secrets);
        self.versions.extend(other.versions);
        self.made.extend(other.made);
        self.records.extend(other.records);
    }

    fn log_in(&mut self, event: &str, answer: &Value) {
        let text = |field: &str| answer[field].as_str().map(str::to_owned);
        let accessor = text("accessor").unwrap();
        self.records.push(format!("{event} {accessor}"));
        self.tokens.push(Token {
            text: text("token").unwrap(),
            accessor,
            expires: text("expires").unwrap(),
            jwt_svid: text("jwt-svid"),
            x509_svid: answer["x509-svid"]["cert"].as_str().map(str::to_owned),
            refreshing: false,
            revoked: Done::No,
        });
    }
}

/// Changes the whole configuration over and over.
async fn bulks(caller: Caller, start: u64) -> Answered {
    let mut known = Answered { generation: (start, start), ..Answered::default() };
    loop {
        let next = known.generation.0 + 1;
        known.generation.1 = next;
        let yaml = generation(next);
        let reply = caller.answered(caller.api.try_bulk(&caller.admin, &yaml)).await;
        let Some(reply) = reply else { return known };
        assert_eq!(reply.ok()["changed"], true);
        known.generation.0 = next;
        known.records.push(format!("config extra-{next}"));
    }
}

/// Rotates a key over and over, and keeps what each version made.
async fn rotations(caller: Caller, key: String) -> Answered {
    let mut known = Answered::default();
    let mut version = 1;
    loop {
        known.versions.insert(key.clone(), (version, version + 1));
        let Some(reply) = caller.admin_post(&format!("{KEY}/{key}/rotate"), json!({})).await else { return known };
        let view = reply.ok();
        version += 1;
        let newest = view["versions"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(newest["version"], version, "{view}");
        known.versions.insert(key.clone(), (version, version));
        known.records.push(format!("key-rotate {key} {version}"));
        if key.starts_with("aes") {
            let body = json!({"plaintext": "a2VlcCBtZQ=="});
            let Some(reply) = caller.admin_post(&format!("{KEY}/{key}/encrypt"), body).await else { return known };
            let sealed = reply.ok();
            assert!(sealed["ciphertext"].as_str().unwrap().starts_with(&format!("vault:v{version}:")), "{sealed}");
            known.made.push((key.clone(), sealed));
        } else {
            known.made.push((key.clone(), json!({"version": version, "kid": newest["kid"]})));
        }
    }
}

/// Makes counted secret-ids and uses them up; sends some of the tokens back.
async fn logins(caller: Caller, seed: u64) -> Answered {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut known = Answered::default();
    // The kill may come before the first answer.
    let path = format!("{ROLE}/worker");
    let role = caller.api.try_call("GET", &path, Some(&caller.admin), None);
    let Some(role) = caller.answered(role).await else { return known };
    let role_id = role.ok()["role-id"].as_str().unwrap().to_owned();
    loop {
        let path = format!("{ROLE}/worker/generate-secret-id");
        let Some(reply) = caller.admin_post(&path, json!({"num-uses": USES})).await else { return known };
        if reply.status == 409 {
            // The role was replaced by a bulk at this moment.
            continue;
        }
        let made = reply.ok();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        known.records.push(format!("generate-secret-id {}", text("accessor")));
        let (role_id, secret_id) = (role_id.clone(), text("secret-id"));
        known.secrets.push(Secret { role_id, secret_id, accessor: text("accessor"), used: 0, unknown: false });
        // Once more than it can.
        for turn in 0..=USES {
            let secret = known.secrets.last_mut().unwrap();
            let body = json!({"role-id": secret.role_id, "secret-id": secret.secret_id});
            secret.unknown = true;
            let Some(reply) = caller.post("/v1/approle-login", None, body).await else { return known };
            secret.unknown = false;
            if turn == USES {
                assert_eq!(reply.refused(401), "invalid role-id or secret-id");
                break;
            }
            let answer = reply.ok();
            secret.used += 1;
            known.log_in("approle-login", &answer);
        }
        if rng.random_bool(0.5) {
            let token = known.tokens.last_mut().unwrap();
            let (text, event) = (token.text.clone(), format!("token-refresh {}", token.accessor));
            let path = format!("{TOKEN}/refresh");
            token.refreshing = true;
            let Some(reply) = caller.post(&path, Some(&text), json!({})).await else { return known };
            let token = known.tokens.last_mut().unwrap();
            token.refreshing = false;
            token.expires = reply.ok()["expires"].as_str().unwrap().to_owned();
            known.records.push(event);
        }
        if rng.random_bool(0.5) {
            let token = known.tokens.last_mut().unwrap();
            token.revoked = Done::Unknown;
            let path = format!("{TOKEN}/revoke");
            let Some(reply) = caller.post(&path, Some(&token.text), json!({})).await else { return known };
            reply.ok();
            token.revoked = Done::Yes;
            known.records.push(format!("token-revoke {}", token.accessor));
        }
    }
}

/// A tower that does not count guesses: one whose right password was counted, and not given back before the kill, is kept from the
/// next.
fn start(data_dir: &Path) -> Tower {
    Tower::start_with(data_dir, &["--rate-limit", "off"])
}

/// Logs the administrator in over and over.
async fn administrators(caller: Caller, password: String) -> Answered {
    let mut known = Answered::default();
    let body = json!({"username": "admin", "password": password});
    while let Some(reply) = caller.post("/v1/login", None, body.clone()).await {
        known.log_in("login", &reply.ok());
    }
    known
}

/// The audit log as its files hold it, read on as it grows.
#[derive(Default)]
struct Log {
    /// How much of each file was read.
    read: BTreeMap<String, usize>,
    records: u64,
    /// That of the last change.
    revision: u64,
    /// Each change is recorded once, and in its order. (A store that was cut or restored counts from where it was, the log does not.)
    one_life: bool,
    /// What happened, by the number of its record.
    happened: HashMap<u64, String>,
}

impl Log {
    /// Reads what is new. Every line is a whole record, and none is missing.
    fn follow(&mut self, data_dir: &Path) {
        let directory = data_dir.join("audit");
        let mut names: Vec<String> =
            fs::read_dir(&directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        for name in names {
            let bytes = fs::read(directory.join(&name)).unwrap();
            let read = self.read.insert(name, bytes.len()).unwrap_or_default();
            assert!(bytes.len() >= read, "the log has shrunk");
            assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "a torn line");
            for line in bytes[read..].split_inclusive(|byte| *byte == b'\n') {
                let record: Value = serde_json::from_slice(line).unwrap();
                self.records += 1;
                assert_eq!((&record["v"], &record["seq"]), (&json!(1), &json!(self.records)));
                self.take(&record);
            }
        }
    }

    fn take(&mut self, record: &Value) {
        let detail = &record["detail"];
        if let Some(revision) = record["revision"].as_u64() {
            assert!(!self.one_life || revision > self.revision, "{record} comes behind revision {}", self.revision);
            self.revision = revision;
        }
        if record["outcome"] != "success" {
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = text(&record["event"]);
        let what = match event.as_str() {
            "config" => {
                let documents = detail["documents"].as_array().unwrap();
                let created = documents.iter().filter(|document| document["effect"] == "created");
                let mut names = created.filter_map(|document| document["path"].as_str()?.rsplit('/').next());
                names.next_back().unwrap_or_default().to_owned()
            }
            "key-rotate" => format!("{} {}", text(&detail["key"]), detail["version"]),
            "generate-secret-id" => text(&detail["secret-id-accessor"]),
            _ => text(&detail["accessor"]),
        };
        self.happened.insert(self.records, format!("{event} {what}"));
    }

    fn has(&self) -> BTreeSet<&str> {
        self.happened.values().map(String::as_str).collect()
    }
}

/// The database as the kill left it, in a copy: the tower itself is to recover the original.
fn check_integrity(data_dir: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["tower.db", "tower.db-wal"] {
        if data_dir.join(name).exists() {
            fs::copy(data_dir.join(name), copy.path().join(name)).unwrap();
        }
    }
    sqlite::check(&copy.path().join("tower.db")).unwrap();
}

/// The names in a collection.
async fn names(tower: &Tower, admin: &str, collection: &str) -> BTreeSet<String> {
    serde_json::from_value(tower.get(collection, admin).await.ok()).unwrap()
}

/// The generation that is there, whole: three documents agree, and of the keys and roles that come and go with a generation
/// exactly its own are there, as documents and as what was made of them.
async fn present_generation(tower: &Tower, admin: &str) -> u64 {
    let mut found = BTreeSet::new();
    for path in [format!("{KEYS}/signing"), SETTINGS.to_owned(), format!("{ROLES}/worker")] {
        let document = tower.get(&path, admin).await.ok();
        found.insert(document["distribute"]["deployments"][0].as_str().unwrap().to_owned());
    }
    for collection in [KEYS, ROLES] {
        let names = names(tower, admin, collection).await;
        found.extend(names.iter().filter_map(|name| Some(format!("g-{}", name.strip_prefix("extra-")?))));
    }
    assert_eq!(found.len(), 1, "half a change: {found:?}");
    let n: u64 = found.first().unwrap()[2..].parse().unwrap();
    for other in [n + 1, n, n.saturating_sub(1)] {
        let encrypted =
            tower.post(&format!("{KEY}/extra-{other}/encrypt"), admin, json!({"plaintext": "aGk="})).await.status;
        let role = tower.get(&format!("{ROLE}/extra-{other}"), admin).await.status;
        let expected = if other == n { 200 } else { 404 };
        assert_eq!((encrypted.as_u16(), role.as_u16()), (expected, expected), "extra-{other} in generation {n}");
    }
    n
}

/// Everything that was answered is there, and nothing is half done. Answers the generation that is there, and how much came
/// about although its answer never came.
async fn examine(tower: &Tower, admin: &str, known: &Answered, log: &mut Log) -> (u64, usize) {
    let present = present_generation(tower, admin).await;
    let (answered, sent) = known.generation;
    assert!((answered..=sent).contains(&present), "generation {present}, answered {answered}, sent {sent}");
    let mut unanswered = usize::from(present != answered);

    let tenant = tower.get("/v1/state/strongbox/authentication/spiffe-settings", admin).await.ok();
    let jwks = tenant["jwks-url"].as_str().unwrap().strip_prefix(&tower.url).unwrap();
    let set = tower.call("GET", jwks, None, None).await;
    let keys = JwkSet::from_json(&set.bytes, KeyUse::Signature).unwrap();
    let bundle = JwtBundle::new("localhost".parse().unwrap(), keys);
    let whole = tenant["bundle-url"].as_str().unwrap().strip_prefix(&tower.url).unwrap();
    let whole = tower.call("GET", whole, None, None).await;
    let authorities = Bundle::from_json("localhost".parse().unwrap(), &whole.bytes).unwrap();
    assert!(authorities.x509().authorities().len() <= 1, "one authority, whenever the first login was killed");
    let x509_verifier = X509Verifier::new(X509VerifyOptions::default());
    let verifier = Verifier::new(["kill-test"], VerifyOptions::default()).unwrap();
    for token in &known.tokens {
        let state = tower.get(TOKEN, &token.text).await;
        match token.revoked {
            Done::No => {
                let state = state.ok();
                assert_eq!(state["accessor"], token.accessor);
                let expires = state["expires"].as_str().unwrap();
                assert!(expires == token.expires || token.refreshing && expires > token.expires.as_str());
                unanswered += usize::from(expires != token.expires);
            }
            Done::Yes => assert_eq!(state.refused(401), "invalid or expired token"),
            Done::Unknown => {
                assert!([200, 401].contains(&state.status.as_u16()));
                unanswered += usize::from(state.status == 401);
            }
        }
        if let Some(svid) = &token.jwt_svid {
            let svid = verifier.verify(svid, &bundle, OffsetDateTime::now_utc()).unwrap();
            assert_eq!(svid.id().as_str(), "spiffe://localhost/approle/worker");
        }
        if let Some(svid) = &token.x509_svid {
            let chain = chain_from_pem(svid).unwrap();
            let svid = x509_verifier.verify(&chain, authorities.x509(), OffsetDateTime::now_utc()).unwrap();
            assert_eq!(svid.id().as_str(), "spiffe://localhost/approle/worker");
        }
    }
    for secret in &known.secrets {
        let path = format!("{ROLE}/worker/lookup-secret-id");
        let state = tower.post(&path, admin, json!({"accessor": secret.accessor})).await.ok();
        let left = state["uses-left"].as_u64().unwrap();
        let most = u64::from(USES - secret.used);
        assert!(left == most || secret.unknown && left + 1 == most, "{left} left of {most}");
        unanswered += usize::from(left != most);
        if left == 0 {
            assert_eq!(
                tower.log_in(&secret.role_id, &secret.secret_id).await.refused(401),
                "invalid role-id or secret-id"
            );
        } else {
            tower.log_in(&secret.role_id, &secret.secret_id).await.ok();
        }
    }
    for (key, (answered, sent)) in &known.versions {
        let view = tower.get(&format!("{KEY}/{key}"), admin).await.ok();
        let versions = view["versions"].as_array().unwrap();
        let newest = versions.last().unwrap()["version"].as_u64().unwrap();
        assert!(newest == *answered || newest == *sent, "{key}: version {newest}, answered {answered}, sent {sent}");
        assert_eq!(view["active-version"], newest);
        unanswered += usize::from(newest != *answered);
        assert_eq!(versions.len() as u64, newest);
        for (_, made) in known.made.iter().filter(|(of, made)| of == key && made["version"].is_number()) {
            let version = made["version"].as_u64().unwrap() as usize;
            assert_eq!(versions[version - 1]["kid"], made["kid"], "{key} version {version}");
        }
    }
    for (key, sealed) in known.made.iter().filter(|(_, made)| made["ciphertext"].is_string()) {
        let opened = tower.post(&format!("{KEY}/{key}/decrypt"), admin, sealed.clone()).await.ok();
        assert_eq!(opened["plaintext"], "a2VlcCBtZQ==");
    }

    // Recorded: what was answered, and also what came about without having been answered.
    log.follow(&tower.data_dir);
    let records = log.has();
    for record in &known.records {
        assert!(records.contains(record.as_str()), "the audit log has no {record}");
    }
    assert!(records.contains(format!("config extra-{present}").as_str()), "generation {present} is not recorded");
    (present, unanswered)
}

/// What the callers are to work on.
#[derive(Clone, Copy)]
struct Work<'a> {
    tower: &'a Tower,
    admin: &'a str,
    password: &'a str,
    /// Names the keys to rotate.
    round: usize,
    /// Where the configuration stands.
    generation: u64,
    /// The callers are answered at most so often before the end begins.
    answers: usize,
}

/// Lets callers work until some of them were answered and a random while has passed, in which none is at rest.
async fn work(work: Work<'_>, rng: &mut StdRng, end: impl FnOnce(&State)) -> Answered {
    let (progress, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let state = Arc::new(State::default());
    let (api, admin) = (work.tower.api.clone(), work.admin.to_owned());
    let caller = Caller { api, admin, state: Arc::clone(&state), progress };
    let mut callers = tokio::task::JoinSet::new();
    callers.spawn(bulks(caller.clone(), work.generation));
    callers.spawn(rotations(caller.clone(), format!("aes-{}", work.round)));
    callers.spawn(rotations(caller.clone(), format!("p256-{}", work.round)));
    callers.spawn(logins(caller.clone(), rng.next_u64()));
    callers.spawn(logins(caller.clone(), rng.next_u64()));
    callers.spawn(administrators(caller, work.password.to_owned()));
    for _ in 0..rng.random_range(1..work.answers) {
        answers.recv().await.expect("the callers work until the end");
    }
    for _ in 0..rng.random_range(0..10_000) {
        tokio::task::yield_now().await;
    }
    end(&state);
    let mut known = Answered::default();
    for answered in callers.join_all().await {
        known.add(answered);
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_that_was_answered() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let mut rng = StdRng::seed_from_u64(9);
    let mut tower = start(&data_dir);
    let password = tower.line["password"].as_str().unwrap().to_owned();
    let admin = tower.administrator().await;
    tower.bulk(&admin, &generation(0)).await.ok();
    let (mut log, mut present) = (Log { one_life: true, ..Log::default() }, 0);
    let (mut all, mut unanswered) = (Answered::default(), 0);
    for round in 0..rounds(20, 200) {
        tower.bulk(&admin, &rotated(round)).await.ok();
        let on = Work { tower: &tower, admin: &admin, password: &password, round, generation: present, answers: 80 };
        let known = work(on, &mut rng, |state| {
            state.killed.store(true, Ordering::SeqCst);
            signal(tower.pid(), "KILL");
        })
        .await;
        assert!(!tower.kill().status.success());
        check_integrity(&data_dir);
        tower = start(&data_dir);
        assert!(tower.line["password"].is_null(), "it is still the same tower");
        let came_about;
        (present, came_about) = examine(&tower, &admin, &known, &mut log).await;
        unanswered += came_about;
        tower.bulk(&admin, &forgotten(round)).await.ok();
        all.records.extend(known.records);
        all.tokens.extend(known.tokens);
    }
    // Once more, at the very end.
    all.generation = (present, present);
    all.tokens.retain(|token| token.revoked != Done::Unknown && !token.refreshing);
    examine(&tower, &admin, &all, &mut log).await;
    tower.log_in_as_admin(&password).await;
    let ended = tower.stop();
    assert!(ended.status.success());
    println!(
        "{} changes answered, {unanswered} more came about without their answer; {} tokens, {} records in the log",
        all.records.len(),
        all.tokens.len(),
        log.records,
    );
}

/// What a power cut would leave of a tower's files if it came now, but for the end of the database's log, which is answered.
/// The log is copied last, as everything that it holds was recorded in the audit log before.
fn disk(data_dir: &Path, copy: &Path) -> Vec<u8> {
    fs::create_dir_all(copy.join("audit")).unwrap();
    let mut names = vec!["tower.db".to_owned(), "kek.key".to_owned()];
    for file in fs::read_dir(data_dir.join("audit")).unwrap() {
        names.push(format!("audit/{}", file.unwrap().file_name().to_str().unwrap()));
    }
    for name in names {
        fs::copy(data_dir.join(&name), copy.join(&name)).unwrap();
    }
    fs::read(data_dir.join("tower.db-wal")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_answered() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut cuts = 0;
    let mut round = 0;
    while cuts < rounds(16, 160) {
        round += 1;
        let root = tempfile::tempdir().unwrap();
        let data_dir = root.path().join("data");
        let tower = start(&data_dir);
        let password = tower.line["password"].as_str().unwrap().to_owned();
        let admin = tower.administrator().await;
        tower.bulk(&admin, &generation(0)).await.ok();
        tower.bulk(&admin, &(rotated(0) + &rotated(1))).await.ok();
        let first = Work { tower: &tower, admin: &admin, password: &password, round: 0, generation: 0, answers: 25 };
        let mut known = work(first, &mut rng, |state| state.resting.store(true, Ordering::SeqCst)).await;
        let log = fs::read(data_dir.join("tower.db-wal")).unwrap();
        let (life, synced) = (wal::salts(&log), wal::committed_end(&log));

        // Some more, which need not survive.
        let more = Work { round: 1, generation: known.generation.0, ..first };
        let before = root.path().join("before");
        let mut log = Vec::new();
        let later = work(more, &mut rng, |state| {
            signal(tower.pid(), "STOP");
            log = disk(&data_dir, &before);
            state.killed.store(true, Ordering::SeqCst);
            signal(tower.pid(), "KILL");
        })
        .await;
        tower.kill();
        if wal::salts(&log) != life {
            // The log was moved into the database meanwhile and began again: another round.
            assert!(round < 200);
            continue;
        }
        known.generation.1 = later.generation.1;
        for damage in 0..wal::DAMAGES {
            let torn = wal::torn(&log, synced, damage, &mut rng);
            let disk_dir = root.path().join(format!("disk-{damage}"));
            disk(&before, &disk_dir);
            fs::write(disk_dir.join("tower.db-wal"), torn).unwrap();
            check_integrity(&disk_dir);
            let tower = start(&disk_dir);
            examine(&tower, &admin, &known, &mut Log::default()).await;
            assert!(tower.stop().status.success());
            cuts += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_what_was_answered_before_it() {
    let mut rng = StdRng::seed_from_u64(3);
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let (data, key) = (data_dir.to_str().unwrap(), format!("key-file:{}", data_dir.join("kek.key").display()));
    let tower = start(&data_dir);
    let password = tower.line["password"].as_str().unwrap().to_owned();
    let admin = tower.administrator().await;
    tower.bulk(&admin, &generation(0)).await.ok();
    let mut generation = 0;
    for round in 0..rounds(4, 40) {
        tower.bulk(&admin, &(rotated(2 * round) + &rotated(2 * round + 1))).await.ok();
        let before =
            Work { tower: &tower, admin: &admin, password: &password, round: 2 * round, generation, answers: 40 };
        let mut known = work(before, &mut rng, |state| state.resting.store(true, Ordering::SeqCst)).await;
        let during = Work { round: 2 * round + 1, generation: known.generation.0, ..before };
        let file = root.path().join(format!("backup-{round}"));
        let later = work(during, &mut rng, |state| {
            let made = run(&["backup", file.to_str().unwrap(), "--data-dir", data]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            state.resting.store(true, Ordering::SeqCst);
        })
        .await;
        assert!(!later.records.is_empty());
        known.generation.1 = later.generation.1;
        let restored = root.path().join(format!("restored-{round}"));
        let args = ["restore", file.to_str().unwrap(), "--data-dir", restored.to_str().unwrap(), "--seal", &key];
        let made = run(&args);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let copy = Tower::start_with(&restored, &["--seal", &key]);
        assert_eq!(copy.line["password"], Value::Null);
        // A restore ends what people had; what workloads had goes on.
        for token in known.tokens.iter_mut().filter(|token| token.jwt_svid.is_none()) {
            token.revoked = Done::Yes;
        }
        let anew = copy.log_in_as_admin(&password).await;
        examine(&copy, &anew, &known, &mut Log::default()).await;
        assert!(copy.stop().status.success());
        generation = later.generation.0;
        tower.bulk(&admin, &(forgotten(2 * round) + &forgotten(2 * round + 1))).await.ok();
    }
    assert!(tower.stop().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_can_be_repeated() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut untouched, mut finished) = (0, 0);
    for _ in 0..rounds(12, 120) {
        let root = tempfile::tempdir().unwrap();
        let data_dir = root.path().join("data");
        let data = data_dir.to_str().unwrap();
        let begun = Instant::now();
        let mut process = program(&["--data-dir", data, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A start takes about so long.
        let moment = Duration::from_micros(rng.random_range(0..250_000));
        while begun.elapsed() < moment {
            tokio::task::yield_now().await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let tower = start(&data_dir);
        if tower.line["password"].is_string() {
            tower.administrator().await;
            untouched += 1;
        } else {
            // It had made the administrator, and perhaps not yet shown the password.
            assert!(tower.stop().status.success());
            let reset = run(&["reset-admin", "--data-dir", data, "--output", "json"]);
            let reset: Value = serde_json::from_slice(&reset.stdout).unwrap();
            start(&data_dir).log_in_as_admin(reset["password"].as_str().unwrap()).await;
            finished += 1;
        }
    }
    println!("killed before the administrator was made: {untouched}, after: {finished}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_or_restore_that_is_killed_is_in_nobodys_way() {
    let mut rng = StdRng::seed_from_u64(2);
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (data, file, restored) = (path("data"), path("backup"), path("restored"));
    let seal = format!("key-file:{data}/kek.key");
    let tower = Tower::start(Path::new(&data));
    let admin = tower.administrator().await;
    let password = tower.line["password"].as_str().unwrap().to_owned();
    tower.bulk(&admin, &generation(0)).await.ok();
    let mut cut = async |args: &[&str], longest: u64| {
        let mut command = program(args);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (begun, moment) = (Instant::now(), Duration::from_micros(rng.random_range(0..longest)));
        while begun.elapsed() < moment {
            tokio::task::yield_now().await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
    };
    let backup = ["backup", &file, "--data-dir", &data];
    let restore = ["restore", &file, "--data-dir", &restored, "--seal", &seal];
    for _ in 0..rounds(10, 100) {
        cut(&backup, 60_000).await;
        // Whole under its name, or not there.
        if !Path::new(&file).exists() {
            let made = run(&backup);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        cut(&restore, 30_000).await;
        if !Path::new(&restored).exists() {
            // What is left of the other is named, and has to be removed by hand.
            let left = format!("{restored}.restoring");
            if Path::new(&left).exists() {
                let refused = run(&restore);
                assert!(
                    String::from_utf8_lossy(&refused.stderr).contains("is left from an interrupted restore: remove it")
                );
                fs::remove_dir_all(left).unwrap();
            }
            let made = run(&restore);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let copy = Tower::start_with(Path::new(&restored), &["--seal", &seal]);
        assert_eq!(copy.get(TOKEN, &admin).await.refused(401), "invalid or expired token", "a restore ends it");
        let anew = copy.log_in_as_admin(&password).await;
        assert_eq!(present_generation(&copy, &anew).await, 0);
        assert!(copy.stop().status.success());
        fs::remove_file(&file).unwrap();
        fs::remove_dir_all(&restored).unwrap();
    }
    // What was left is as private as what it was made of.
    for left in fs::read_dir(root.path()).unwrap().chain(fs::read_dir(&data).unwrap()).map(|file| file.unwrap()) {
        let mode = left.metadata().unwrap().permissions().mode() & 0o777;
        let expected = if left.path().is_dir() { 0o700 } else { 0o600 };
        assert!(mode == expected || left.file_name() == "ca.pem", "{:?} has mode {mode:04o}", left.path());
    }
    tower.assert_alive().await;
}
