//! `kill -9` while the key-encryption key is rotated, every record is sealed under the new one, and the former ones are destroyed:
//! no key is lost, and nothing is left that only a destroyed key would open.
//!
//! In each round the real program is started on what the kill before left. Some of it is asked for by the API, callers change this
//! and that, the key is rotated at a random moment, and the program is killed at another. Then its files are looked at: every
//! record, now and in a state of before that can still be read, opens with the keys that the keyring has now.
//!
//! With the feature `test-clock` the clock jumps over the ten minutes of history, so that former keys are destroyed, too;
//! without it they wait. `KEYWARD_FULL=1` kills 1,000 times instead of 20.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use control_tower::{
    config::SealChoice,
    keyring::{Keyring, Opened},
    layout, seal,
    store::{SharedStore, Sqlite, Store as _},
};
use keyward_transit::{Rewrap, open, sealed_under};
use process::{Api, Tower};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

const SEAL: &str = "/v1/state/system/seal";
const KEYS: usize = 60;
const ROLE: &str = "/v1/state/strongbox/authentication/approles/worker";

/// What the test knows of the tower.
struct Known {
    /// By key, something that it encrypted.
    sealed: Vec<(String, Value)>,
    secret: (String, String),
    password: String,
}

/// What was seen over all rounds.
#[derive(Default)]
struct Seen {
    versions: BTreeSet<u32>,
    stages: BTreeSet<&'static str>,
    /// Files in which records were under more than one key.
    between: usize,
    destroyed: usize,
}

async fn first(data: &Path, args: &[&str]) -> Known {
    let tower = Tower::start_with(data, args);
    let password = tower.line["password"].as_str().unwrap().to_owned();
    let admin = tower.administrator().await;
    let mut yaml = "x-path: strongbox/authentication/approles/worker\nx-operation: create\nname: worker\n".to_owned();
    for n in 0..KEYS {
        yaml += &format!("---\nx-path: strongbox/transit-keys/k-{n}\nx-operation: create\nname: k-{n}\n");
    }
    tower.try_bulk(&admin, &yaml).await.unwrap().ok();
    let mut sealed = Vec::new();
    for n in 0..KEYS {
        let path = format!("/v1/state/strongbox/transit-keys/k-{n}");
        let body = json!({"plaintext": "a2VlcCBtZQ=="});
        let reply = tower.try_call("POST", &format!("{path}/encrypt"), Some(&admin), Some(body)).await.unwrap().ok();
        sealed.push((path, reply["ciphertext"].clone()));
    }
    let role = tower.get(ROLE, &admin).await.ok()["role-id"].as_str().unwrap().to_owned();
    // Enough for several steps.
    let mut secret = String::new();
    for _ in 0..200 {
        let made = tower.try_call("POST", &format!("{ROLE}/generate-secret-id"), Some(&admin), Some(json!({}))).await;
        secret = made.unwrap().ok()["secret-id"].as_str().unwrap().to_owned();
    }
    assert!(tower.stop().status.success());
    Known { sealed, secret: (role, secret), password }
}

/// A caller that changes things until the tower is gone.
async fn change(api: Api, admin: String, killed: Arc<AtomicBool>) {
    loop {
        let calls = [
            (format!("{ROLE}/generate-secret-id"), json!({"ttl": "20s"})),
            ("/v1/state/strongbox/token/create".to_owned(), json!({"ttl": "10s"})),
            ("/v1/state/strongbox/transit-keys/k-0/rotate".to_owned(), json!({})),
        ];
        for (path, body) in calls {
            match api.try_call("POST", &path, Some(&admin), Some(body)).await {
                Ok(reply) => assert!(reply.status.is_success() || reply.status == 409, "{path}: {}", reply.text()),
                Err(error) => return assert!(killed.load(Ordering::SeqCst), "{error:?}"),
            }
        }
    }
}

/// Every record of the files opens.
async fn look(data: &Path, seen: &mut Seen, rng: &mut StdRng) -> Arc<Opened> {
    let store = Arc::new(Sqlite::open(&data.join("tower.db")).unwrap());
    let keyring = Keyring::new(Arc::clone(&store) as SharedStore);
    let choice = SealChoice::KeyFile(data.join("kek.key"));
    seal::open(&keyring, &choice, seal::Presented::read(&choice).unwrap(), true).await.unwrap();
    let keys = keyring.opened().unwrap();
    let latest = store.revision();
    let mut under = BTreeSet::new();
    for at in [latest, latest.saturating_sub(rng.random_range(1..400))] {
        let Ok(entries) = store.range("", None, usize::MAX, Some(at)).await else { continue };
        for entry in entries.iter().filter(|entry| layout::is_sealed(&entry.key, &entry.value)) {
            let version = sealed_under(&entry.value);
            let opened = open(keys.keks(), &entry.key, &entry.value);
            let has = keys.keks().versions();
            assert!(opened.is_ok(), "{} of {at} (latest {latest}) is under {version:?} of {has:?}", entry.key);
            if at == latest {
                under.extend(version);
            }
        }
    }
    seen.between += usize::from(under.len() > 1);
    seen.versions.extend(under);
    if let Some(entry) = store.get(layout::REWRAP).await.unwrap() {
        seen.stages.insert(Rewrap::decode(&entry.value).unwrap().stage().as_str());
    }
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_rotation_loses_no_key() {
    let rounds = if std::env::var_os("KEYWARD_FULL").is_some() { 1000 } else { 20 };
    let root = tempfile::tempdir().unwrap();
    let (data, clock) = (root.path().join("data"), root.path().join("clock"));
    fs::write(&clock, "0").unwrap();
    let has_clock = cfg!(feature = "test-clock");
    // A right password that was counted, and not given back before the kill, is not what this is about.
    let mut args = vec!["--rate-limit", "off"];
    if has_clock {
        args.extend(["--test-clock", clock.to_str().unwrap()]);
    }
    let known = first(&data, &args).await;
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut seen, mut offset, mut least) = (Seen::default(), 0_u64, 1);
    for round in 0..rounds {
        let tower = Tower::start_with(&data, &args);
        let admin = tower.log_in_as_admin(&known.password).await;
        // A few of the keys each time; whether all open is for the files to say.
        for _ in 0..3 {
            let (path, ciphertext) = &known.sealed[rng.random_range(0..KEYS)];
            let body = json!({"ciphertext": ciphertext});
            let reply = tower.try_call("POST", &format!("{path}/decrypt"), Some(&admin), Some(body)).await.unwrap();
            assert_eq!(reply.ok()["plaintext"], "a2VlcCBtZQ==", "seed {seed}, round {round}");
        }
        let (role_id, secret_id) = &known.secret;
        let body = json!({"role-id": role_id, "secret-id": secret_id});
        tower.try_call("POST", "/v1/approle-login", None, Some(body)).await.unwrap().ok();

        let killed = Arc::new(AtomicBool::new(false));
        let callers = rng.random_range(0..3);
        let callers: Vec<_> =
            (0..callers).map(|_| tokio::spawn(change(tower.api.clone(), admin.clone(), Arc::clone(&killed)))).collect();
        // Some rounds are left to end what earlier ones began.
        let rotations = if rng.random_bool(0.7) { rng.random_range(1..3) } else { 0 };
        let mut pending = None;
        for _ in 0..rotations {
            let call = tower.api.clone();
            let token = admin.clone();
            pending = Some(tokio::spawn(async move {
                call.try_call("POST", &format!("{SEAL}/rotate"), Some(&token), Some(json!({}))).await
            }));
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..80))).await;
        }
        if has_clock && rng.random_bool(0.3) {
            // The ten minutes of history are over, which the tower sees at its next look.
            offset += 11 * 60;
            fs::write(&clock, offset.to_string()).unwrap();
            tokio::time::sleep(Duration::from_millis(rng.random_range(400..1100))).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..250))).await;
        killed.store(true, Ordering::SeqCst);
        tower.kill();
        for caller in callers {
            caller.await.unwrap();
        }
        let answered = match pending {
            Some(pending) => pending.await.unwrap().ok().filter(|reply| reply.status.is_success()),
            None => None,
        };
        let keys = look(&data, &mut seen, &mut rng).await;
        let current = keys.keks().current().version();
        // What was answered is there.
        if let Some(reply) = answered {
            least = least.max(u32::try_from(reply.json()["current-version"].as_u64().unwrap()).unwrap());
        }
        assert!(current >= least, "seed {seed}, round {round}: {current} of {least}");
        least = current;
        seen.destroyed = seen.destroyed.max(current as usize - keys.keks().versions().len());
    }
    // In peace, everything comes under one key.
    let tower = Tower::start_with(&data, &args);
    let mut admin = tower.log_in_as_admin(&known.password).await;
    let end = if has_clock { "done" } else { "verified" };
    for turn in 0.. {
        let state = tower.get(SEAL, &admin).await.ok();
        let stage = state["rewrap"]["stage"].as_str().unwrap().to_owned();
        if stage == end || stage == "done" {
            assert_eq!(state["current-version"], least, "{state}");
            seen.destroyed = seen.destroyed.max(least as usize - state["versions"].as_array().unwrap().len());
            break;
        }
        assert!(turn < 200, "{state}");
        offset += 11 * 60;
        fs::write(&clock, offset.to_string()).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The token may have expired by that.
        admin = tower.log_in_as_admin(&known.password).await;
    }
    for (path, ciphertext) in &known.sealed {
        let body = json!({"ciphertext": ciphertext});
        let reply = tower.try_call("POST", &format!("{path}/decrypt"), Some(&admin), Some(body)).await.unwrap();
        assert_eq!(reply.ok()["plaintext"], "a2VlcCBtZQ==", "seed {seed}");
    }
    assert!(tower.stop().status.success());
    println!(
        "{rounds} kills: {} keys, {} destroyed, {} kills between, stages {:?}",
        least, seen.destroyed, seen.between, seen.stages
    );
    assert!(least > 3 && seen.stages.len() > 1, "it tried nothing: {least} {:?}", seen.stages);
    assert!(!has_clock || seen.destroyed > 0, "no key was destroyed");
}
