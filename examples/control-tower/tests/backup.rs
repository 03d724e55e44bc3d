//! Backups of a tower that is running, and what a restore makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;
#[path = "support/browser.rs"]
mod support_browser;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use axum::{body::Body, http::Request};
use control_tower::{
    audit::{self, Audit, AuditOptions, AuditOutcome, AuditRecord, Since},
    backup::{self, BackupError, Passphrase},
    clock::Clock,
    config::{Config, SealChoice, StoreChoice},
    data_dir::DataDir,
    keyring::Keyring,
    seal::{self, Presented, SealError},
    store::{Sqlite, Store, Write},
};
use serde_json::json;
use support::{Tower, WALK};
use support_browser::Browser;
use time::{OffsetDateTime, macros::datetime};
use zeroize::Zeroizing;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn config(data_dir: &Path) -> Config {
    let data_dir = data_dir.to_str().unwrap();
    Config::from_args(["control-tower", "--data-dir", data_dir]).unwrap().1
}

fn with_key(mut config: Config, key: &Path) -> Config {
    config.seal = SealChoice::KeyFile(key.to_owned());
    config
}

fn with_passphrase(config: &Config) -> Config {
    Config { seal: "passphrase".parse().unwrap(), ..config.clone() }
}

fn phrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
}

/// A tower without its handlers.
struct Running {
    store: Sqlite,
    audit: Audit,
    _directory: DataDir,
}

async fn open(config: &Config) -> Running {
    let directory = DataDir::open(&config.data_dir, "control-tower").unwrap();
    let StoreChoice::Sqlite(path) = &config.store else { panic!("no file") };
    let store = Sqlite::open(path).unwrap();
    let keyring = Keyring::new(std::sync::Arc::new(store.clone()));
    let presented = Presented::read(&config.seal).unwrap();
    seal::open(&keyring, &config.seal, presented, store.revision() > 0).await.unwrap();
    let audit = Audit::open(&directory.path().join(audit::DIRECTORY), AuditOptions::default()).unwrap();
    Running { store, audit, _directory: directory }
}

impl Running {
    async fn change(&self, n: u64) {
        let record = AuditRecord::new("default", "put", AuditOutcome::Success, "someone", "", NOW);
        let writes = vec![Write::Put(format!("k/{n:06}"), vec![7; 500]), self.audit.note(&record).unwrap()];
        let _committed = self.store.commit(vec![], writes).await.unwrap();
        if n.is_multiple_of(7) {
            self.audit.relay(&self.store).await.unwrap();
        }
    }

    /// How many changes there are in the store and in the log.
    async fn count(&self) -> (usize, usize) {
        self.audit.relay(&self.store).await.unwrap();
        let store = self.store.range("k/", None, usize::MAX, None).await.unwrap().len();
        (store, self.audit.read(Since::Start, None, usize::MAX).await.unwrap().len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_tower_is_backed_up_whole() {
    let root = tempfile::tempdir().unwrap();
    let config_one = config(&root.path().join("one"));
    let tower = open(&config_one).await;
    for n in 0..300 {
        tower.change(n).await;
    }
    let file = root.path().join("tower.backup");
    let (write_config, write_file) = (config_one.clone(), file.clone());
    let writing = tokio::task::spawn_blocking(move || backup::write(&write_config, &write_file, None, NOW).unwrap());
    for n in 300..600 {
        tower.change(n).await;
    }
    let written = writing.await.unwrap();
    assert!(!written.has_key && written.files == 2);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    drop(tower);
    let names: Vec<_> = fs::read_dir(root.path().join("one")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_str().unwrap().starts_with("backup-")), "{names:?}");

    // Without the key it does not open; with it everything is there, and the log knows of all that the store holds.
    let two = config(&root.path().join("two"));
    let error = backup::restore(&two, &file, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the backup is sealed under the tower's key: give its key file with --seal key-file:PATH"
    );
    let key = root.path().join("kek.key");
    fs::copy(root.path().join("one/kek.key"), &key).unwrap();
    let two = with_key(two, &key);
    let restored = backup::restore(&two, &file, None).unwrap();
    assert_eq!(restored, written);
    let tower = open(&two).await;
    let (store, log) = tower.count().await;
    assert!(store >= 300 && log >= store, "{store} in the store, {log} in the log");
    tower.change(1_000_000).await;
    assert_eq!(tower.count().await, (store + 1, log + 1));
    assert_eq!(fs::metadata(&two.data_dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(root.path().join("two/tower.db")).unwrap().permissions().mode() & 0o777, 0o600);

    let error = backup::restore(&two, &file, None).unwrap_err().to_string();
    assert_eq!(error, format!("`{}` is not empty: restore into a new directory", two.data_dir.display()));
    let error = backup::write(&two, &file, None, NOW).unwrap_err().to_string();
    let exists = "exists, and is not written over: name another file, or move that one away";
    assert_eq!(error, format!("`{}` {exists}", file.display()));
}

#[tokio::test]
async fn what_people_had_ends_with_a_restore() {
    let root = tempfile::tempdir().unwrap();
    let one = config(&root.path().join("one"));
    let over = async |config: &Config, clock: Clock| {
        let StoreChoice::Sqlite(path) = &config.store else { panic!("no file") };
        let store = Arc::new(Sqlite::open(path).unwrap());
        Tower::over(store, clock, Arc::new(tempfile::tempdir().unwrap())).await
    };
    fs::create_dir(&one.data_dir).unwrap();
    let tower = over(&one, Clock::fixed(NOW)).await;
    let admin = tower.administrator().await;
    let password = "kessel run in twelve";
    let document = json!({"name": "ann@example.com", "password": password, "policies": ["administrator"]});
    let users = "/v1/config/strongbox/authentication/users";
    tower.post(users, &admin, document).await.ok();
    tower.post(users, &admin, json!({"name": "bob@example.com"})).await.ok();
    tower.bulk(&admin, WALK).await.ok();
    let (role, secret) = tower.secret(&admin, "payments", json!({})).await;
    let workload = tower.log_in(&role, &secret).await.ok()["token"].as_str().unwrap().to_owned();
    let mut browser = Browser::new();
    browser.password(&tower, "ann@example.com", "default", password).await;
    browser.step(&tower, "finish", json!({})).await;
    browser.get(&tower, "/v1/account").await.ok();
    let mut midway = Browser::new();
    midway.identify(&tower, "ann@example.com", "default").await;
    let link = "/v1/state/strongbox/authentication/users/bob@example.com/enrolment-link";
    let link = tower.post(link, &admin, json!({})).await.ok()["url"].as_str().unwrap().to_owned();
    let wrap = Request::post("/v1/sys/wrapping/wrap").header("x-vault-token", &admin).header("x-vault-wrap-ttl", "1h");
    let wrapped = tower.send(wrap.body(Body::from(r#"{"a": 1}"#)).unwrap()).await.ok();
    let of_wrapped = async |config: &Config| {
        let StoreChoice::Sqlite(path) = &config.store else { panic!("no file") };
        let entries = Sqlite::open(path).unwrap().range("", None, usize::MAX, None).await.unwrap();
        entries
            .iter()
            .filter(|entry| {
                ["t/", "wrapped/"].iter().any(|place| entry.key.starts_with(place)) && entry.key.contains("wrapped")
            })
            .count()
    };
    let file = root.path().join("tower.backup");
    let passphrase = || Some(phrase("correct horse battery staple"));
    backup::write(&with_passphrase(&one), &file, passphrase().as_ref(), NOW).unwrap();
    // All of it is taken back, or used; and then the tower is as it was before.
    let ended = browser.clone();
    browser.post(&tower, "/v1/account/log-out", json!({})).await.ok();
    drop(tower);
    assert_eq!(of_wrapped(&one).await, 3, "the answer, and what it is found by");
    // The clock of the machine may be behind when it starts there.
    for (name, at) in [("two", NOW + time::Duration::MINUTE), ("three", NOW - time::Duration::DAY)] {
        let two = config(&root.path().join(name));
        backup::restore(&with_passphrase(&two), &file, passphrase().as_ref()).unwrap();
        assert_eq!(of_wrapped(&two).await, 0);
        for _ in 0..2 {
            let again = over(&two, Clock::fixed(at)).await;
            ended.clone().get(&again, "/v1/account").await.refused(401);
            again.get("/v1/state/strongbox/token", &admin).await.refused(401);
            let over = midway.clone().step(&again, "password", json!({"password": password})).await;
            assert_eq!(over["state"], "over", "{over}");
            let unwrap = json!({"token": wrapped["wrap_info"]["token"]});
            assert_eq!(again.call("POST", "/v1/sys/wrapping/unwrap", None, Some(unwrap)).await.status, 400);
            let body = json!({"link": link.rsplit('/').next().unwrap()});
            let over = Browser::new().post(&again, "/v1/login/enrolment-link", body).await.ok();
            assert_eq!(over["state"], "over", "{over}");
            // Workloads go on; people log in again.
            again.get("/v1/state/strongbox/token", &workload).await.ok();
            let mut anew = Browser::new();
            anew.password(&again, "ann@example.com", "default", password).await;
            anew.step(&again, "finish", json!({})).await;
            anew.get(&again, "/v1/state/strongbox/authentication/users").await.ok();
            let body = json!({"username": "ann@example.com", "password": password});
            let token = again.call("POST", "/v1/login", None, Some(body)).await.ok()["token"].clone();
            again.get("/v1/state/strongbox/token", token.as_str().unwrap()).await.ok();
        }
    }
}

#[tokio::test]
async fn a_passphrase_is_enough() {
    let root = tempfile::tempdir().unwrap();
    let one = config(&root.path().join("one"));
    let tower = open(&one).await;
    tower.change(1).await;
    let file = root.path().join("tower.backup");
    assert!(backup::write(&one, &file, Some(&phrase("correct horse battery")), NOW).unwrap().has_key);
    drop(tower);
    let key = fs::read(root.path().join("one/kek.key")).unwrap();
    let sealed = fs::read(&file).unwrap();
    assert!(!sealed.windows(32).any(|window| key.windows(32).any(|key| key == window)), "the key is sealed");

    // An existing, empty directory is taken.
    let two = config(&root.path().join("two"));
    fs::create_dir(&two.data_dir).unwrap();
    assert!(matches!(backup::restore(&two, &file, None), Err(BackupError::NeedsPassphrase)));
    let error = backup::restore(&two, &file, Some(&phrase("wrong horse battery"))).unwrap_err();
    assert_eq!(error.to_string(), "the backup does not open: another passphrase, or the file was changed");
    backup::restore(&two, &file, Some(&phrase("correct horse battery"))).unwrap();
    assert_eq!(fs::read(root.path().join("two/kek.key")).unwrap(), key);
    assert_eq!(open(&two).await.count().await, (1, 1));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3, "nothing is left over");
}

#[tokio::test]
async fn no_changed_backup_is_restored() {
    let root = tempfile::tempdir().unwrap();
    let one = config(&root.path().join("one"));
    let tower = open(&one).await;
    for n in 0..400 {
        tower.change(n).await;
    }
    let file = root.path().join("tower.backup");
    backup::write(&one, &file, None, NOW).unwrap();
    let good = fs::read(&file).unwrap();
    assert!(good.len() > 200_000, "several chunks");
    let two = with_key(config(&root.path().join("two")), &root.path().join("one/kek.key"));
    let changed = root.path().join("changed");
    let refused = |bytes: &[u8]| {
        fs::write(&changed, bytes).unwrap();
        let error = backup::restore(&two, &changed, None).unwrap_err();
        assert!(!two.data_dir.exists() && !root.path().join("two.restoring").exists());
        error.to_string()
    };
    for position in (0..400).step_by(23).chain((0..good.len()).step_by(good.len() / 20)) {
        let mut bytes = good.clone();
        bytes[position] ^= 1;
        refused(&bytes);
    }
    for length in [0, 5, 100, good.len() / 2, good.len() - 1] {
        refused(&good[..length]);
    }
    assert_eq!(refused(&[&good[..], b"x"].concat()), "the backup is damaged: something follows its end");
    // Whole chunks left out or swapped.
    let head = good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0 + 1;
    let chunk = 4 + (64 << 10) + 16;
    let missing = [&good[..head + chunk], &good[head + 2 * chunk..]].concat();
    assert_eq!(refused(&missing), "the backup is damaged: a chunk does not open");
    let swapped =
        [&good[..head], &good[head + chunk..head + 2 * chunk], &good[head..head + chunk], &good[head + 2 * chunk..]];
    assert_eq!(refused(&swapped.concat()), "the backup is damaged: a chunk does not open");
    assert_eq!(refused(&good[..head + chunk]), "the backup is damaged: it ends too early");
    let newer = [b"keyward-backup 2\n", &good[17..]].concat();
    assert_eq!(refused(&newer), "the backup has format 2, this program knows formats up to 1: use the newer program");
    assert_eq!(refused(b"PK\x03\x04"), format!("`{}` is not a backup of a control tower", changed.display()));

    let other = config(&root.path().join("other"));
    drop(open(&other).await);
    let wrong = with_key(config(&root.path().join("two")), &root.path().join("other/kek.key"));
    let error = backup::restore(&wrong, &file, None).unwrap_err();
    assert_eq!(error.to_string(), "the backup does not open: another key, or the file was changed");
    backup::restore(&two, &file, None).unwrap();
}

#[test]
fn what_cannot_be_backed_up_says_so() {
    let root = tempfile::tempdir().unwrap();
    let mut memory = config(&root.path().join("one"));
    memory.store = StoreChoice::Memory;
    let file = root.path().join("tower.backup");
    let error = backup::write(&memory, &file, None, NOW).unwrap_err();
    assert_eq!(error.to_string(), "a store in memory cannot be backed up or restored: use --store sqlite:PATH");
    let absent = config(&root.path().join("absent"));
    assert!(matches!(backup::write(&absent, &file, None, NOW), Err(BackupError::Store(_))));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    let error = Passphrase::new(Zeroizing::new(b"short".to_vec())).unwrap_err();
    assert_eq!(error.to_string(), "the passphrase has 5 characters, at least 12 are needed");
    let path = root.path().join("phrase");
    fs::write(&path, "a good passphrase\r\nand a second line\n").unwrap();
    assert!(matches!(seal::read_passphrase(&path), Err(SealError::File(_))), "readable by others");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(format!("{:?}", seal::read_passphrase(&path).unwrap()), "Passphrase(…)");
}
