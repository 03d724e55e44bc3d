//! The audit log on a real disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

use std::{collections::BTreeMap, fs, io::Write as _, os::unix::fs::PermissionsExt, path::Path};

use control_tower::{
    audit::{Audit, AuditOptions, AuditOutcome, AuditRecord, Since},
    store::{Memory, Outcome, Revision, Sqlite, Store, Write},
};
use rand::{RngExt as _, SeedableRng, rngs::StdRng};
use time::{Duration, OffsetDateTime, macros::datetime};

const START: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn record(n: u32) -> AuditRecord {
    let tenant = if n.is_multiple_of(2) { "even" } else { "odd" };
    let now = START + Duration::minutes(n.into());
    AuditRecord::new(tenant, "login", AuditOutcome::Success, format!("user-{n}"), "192.0.2.1", now).with("n", n)
}

/// What a change of the store leaves.
async fn commit(store: &dyn Store, audit: &Audit, record: AuditRecord) -> Revision {
    let Outcome::Committed(revision) = store.commit(vec![], vec![audit.note(&record).unwrap()]).await.unwrap() else {
        panic!("no guard")
    };
    revision
}

/// Commits, relays, and answers the number of the last record.
async fn append(store: &dyn Store, audit: &Audit, record: AuditRecord) -> u64 {
    commit(store, audit, record).await;
    audit.relay(store).await.unwrap();
    audit.stats().last_seq
}

fn small_files() -> AuditOptions {
    let mut options = AuditOptions::default();
    options.file_bytes = 1000;
    options
}

async fn numbers(audit: &Audit, since: Since, tenant: Option<&str>, limit: usize) -> Vec<u64> {
    let records = audit.read(since, tenant.map(str::to_owned), limit).await.unwrap();
    records.iter().map(|record| record.seq).collect()
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn records_are_read_back_across_files_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let store = Memory::new();
    let audit = Audit::open(&path, small_files()).unwrap();
    for n in 1..=30 {
        assert_eq!(append(&store, &audit, record(n)).await, u64::from(n));
    }
    drop(audit);
    let audit = Audit::open(&path, small_files()).unwrap();
    assert_eq!(append(&store, &audit, record(31)).await, 31);
    assert!(files(&path).len() > 3);
    for file in files(&path) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    assert_eq!(numbers(&audit, Since::Start, None, 100).await, (1..=31).collect::<Vec<_>>());
    assert_eq!(numbers(&audit, Since::Seq(17), None, 5).await, [17, 18, 19, 20, 21]);
    assert_eq!(numbers(&audit, Since::Seq(17), Some("even"), 3).await, [18, 20, 22]);
    assert!(numbers(&audit, Since::Seq(99), None, 5).await.is_empty());
    assert_eq!(numbers(&audit, Since::Time(START + Duration::minutes(29)), None, 100).await, [29, 30, 31]);
    assert_eq!(numbers(&audit, Since::Time(START - Duration::days(1)), None, 2).await, [1, 2]);
    let records = audit.read(Since::Seq(31), None, 1).await.unwrap();
    assert_eq!((records[0].subject.as_str(), records[0].detail["n"].as_u64()), ("user-31", Some(31)));

    // Whoever has few among many is led through them, a few lines at a time.
    let (mut since, mut found, mut answers) = (Since::Start, Vec::new(), 0);
    loop {
        let (records, next) = audit.read_some(since, Some("even".to_owned()), 100, 4).await.unwrap();
        assert!(records.len() <= 2);
        found.extend(records.iter().map(|record| record.seq));
        answers += 1;
        let Some(next) = next else { break };
        since = Since::Seq(next);
    }
    assert_eq!((found, answers), ((1..=15).map(|n| 2 * n).collect(), 8));
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_counted() {
    for tail in [&b"{\"v\":1,\"seq\":3,\"time\":\"2026-"[..], &[0; 4096], b"{\"v\":1,\"seq\":3,\"ti\0\0\0\n\0\0"] {
        let dir = tempfile::tempdir().unwrap();
        let store = Memory::new();
        let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
        append(&store, &audit, record(1)).await;
        append(&store, &audit, record(2)).await;
        drop(audit);
        let file = files(dir.path()).pop().unwrap();
        let whole = fs::read(&file).unwrap();
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(tail).unwrap();
        let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
        assert!(audit.stats().torn_lines >= 1);
        assert_eq!(audit.stats().last_seq, 2);
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(append(&store, &audit, record(3)).await, 3);
        assert_eq!(numbers(&audit, Since::Start, None, 100).await, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_file_cut_anywhere_keeps_its_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
    let store = Memory::new();
    for n in 1..=4 {
        append(&store, &audit, record(n)).await;
    }
    drop(audit);
    let file = files(dir.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        fs::write(&file, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
        let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
        assert_eq!(audit.stats().last_seq, lines);
        assert_eq!(append(&Memory::new(), &audit, record(9)).await, lines + 1);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("00000000000000000001.jsonl"), "{\"v\":2,\"seq\":1,\"what\":\"ever\"}\n").unwrap();
    let error = Audit::open(dir.path(), AuditOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the audit log has schema 2, this program knows schemas up to 1: start the newer program"
    );
}

#[tokio::test]
async fn refusals_never_wait_and_what_is_lost_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = AuditOptions::default();
    options.refusal_buffer = 8;
    let audit = Audit::open(dir.path(), options).unwrap();
    // Faster than any disk: more than fit.
    for n in 0..20_000 {
        audit.append_refusal(record(n), 0);
    }
    let last = append(&Memory::new(), &audit, record(1)).await;
    let records = audit.read(Since::Start, None, usize::MAX).await.unwrap();
    let dropped = audit.stats().refusals_dropped;
    assert!(dropped > 0);
    assert_eq!(records.last().unwrap().seq, last);
    let told: u64 = records
        .iter()
        .filter(|record| record.event == "audit-refusals-dropped")
        .map(|record| record.detail["count"].as_u64().unwrap())
        .sum();
    let kept = records.iter().filter(|record| record.event == "login").count() as u64 - 1;
    assert_eq!(told, dropped);
    assert_eq!(kept + dropped, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
    let store = Memory::new();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let (audit, store) = (audit.clone(), store.clone());
        callers.spawn(async move {
            for n in 0..10 {
                commit(&store, &audit, record(caller * 10 + n)).await;
                // Whoever reads relays, several at once.
                if n == 5 {
                    audit.relay(&store).await.unwrap();
                }
            }
        });
    }
    callers.join_all().await;
    audit.relay(&store).await.unwrap();
    let stats = audit.stats();
    assert_eq!(stats.last_seq, 640);
    assert!(stats.syncs <= 66, "{} syncs for 640 records", stats.syncs);
    let records = audit.read(Since::Start, None, 1000).await.unwrap();
    let found: Vec<_> = records.iter().map(|record| (record.seq, record.revision)).collect();
    assert_eq!(found, (1..=640).map(|n| (n, Some(n))).collect::<Vec<_>>());
    assert!(store.notes("audit", 0, 1).await.unwrap().is_empty());
}

/// Everything that is on the disk, as a kill would leave it now.
fn files_as_they_are(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("audit")).unwrap();
    for name in ["tower.db", "tower.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    for file in files(&from.join("audit")) {
        fs::copy(&file, to.join("audit").join(file.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_point_of_a_relay_neither_loses_nor_repeats_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let life = dir.path().join("life");
    fs::create_dir(&life).unwrap();
    let store = Sqlite::open(&life.join("tower.db")).unwrap();
    let audit = Audit::open(&life.join("audit"), small_files()).unwrap();
    // More than a page of notes, some in the files already, with files that ended in between.
    for n in 1..=20 {
        append(&store, &audit, record(n)).await;
        audit.append_refusal(record(1000 + n), store.revision());
    }
    for n in 21..=600 {
        commit(&store, &audit, record(n)).await;
    }
    let before = dir.path().join("before");
    files_as_they_are(&life, &before);
    audit.relay(&store).await.unwrap();
    let after = dir.path().join("after");
    // The notes are forgotten, and leave the disk with the next commit only.
    files_as_they_are(&life, &after);
    let total = audit.stats().last_seq;

    let expected: Vec<_> = (1..=600).collect();
    let found = async |audit: &Audit| {
        let records = audit.read(Since::Start, None, usize::MAX).await.unwrap();
        assert_eq!(
            records.iter().map(|record| record.seq).collect::<Vec<_>>(),
            (1..=records.len() as u64).collect::<Vec<_>>()
        );
        records.iter().filter_map(|record| record.revision).collect::<Vec<_>>()
    };
    // Killed before a byte was written, after so many bytes, or after the last: the files are appended to.
    let whole: Vec<(String, Vec<u8>)> = files(&after.join("audit"))
        .into_iter()
        .map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(file).unwrap()))
        .collect();
    let known: usize = files(&before.join("audit")).iter().map(|file| file.metadata().unwrap().len() as usize).sum();
    let all: usize = whole.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut cut = known;
    while cut <= all {
        let killed = dir.path().join(format!("killed-{cut}"));
        fs::create_dir_all(killed.join("audit")).unwrap();
        for name in ["tower.db", "tower.db-wal"] {
            fs::copy(after.join(name), killed.join(name)).unwrap();
        }
        let mut left = cut;
        for (name, bytes) in &whole {
            let mut kept = bytes.clone();
            kept.truncate(left);
            left -= kept.len();
            fs::write(killed.join("audit").join(name), kept).unwrap();
            if left == 0 {
                break;
            }
        }
        let store = Sqlite::open(&killed.join("tower.db")).unwrap();
        let audit = Audit::open(&killed.join("audit"), small_files()).unwrap();
        audit.relay(&store).await.unwrap();
        assert_eq!(found(&audit).await, expected, "{cut} of {all} bytes");
        cut += (all - known) / 24 + 1;
    }
    // And once more, with nothing left to do.
    for _ in 0..2 {
        let store = Sqlite::open(&after.join("tower.db")).unwrap();
        let audit = Audit::open(&after.join("audit"), small_files()).unwrap();
        audit.relay(&store).await.unwrap();
        assert_eq!(found(&audit).await, expected);
        assert_eq!(audit.stats().last_seq, total);
    }
    let note = audit.note(&record(601)).unwrap();
    let _committed = store.commit(vec![], vec![note]).await.unwrap();
    drop(store);
    let left = Sqlite::open(&life.join("tower.db")).unwrap().notes("audit", 0, 9).await.unwrap();
    assert_eq!(left.iter().map(|note| note.revision).collect::<Vec<_>>(), [601]);
}

#[tokio::test]
async fn a_number_that_another_life_of_the_store_had_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
    let life = Memory::new();
    for n in 1..=3 {
        append(&life, &audit, record(n)).await;
    }
    drop(audit);
    // The store was restored from before; the log was not.
    let restored = Memory::new();
    let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
    commit(&restored, &audit, record(1)).await;
    commit(&restored, &audit, record(7)).await;
    audit.relay(&restored).await.unwrap();
    let records = audit.read(Since::Start, None, 10).await.unwrap();
    let found: Vec<_> = records.iter().map(|record| (record.revision, record.subject.as_str())).collect();
    assert_eq!(found[..3], [(Some(1), "user-1"), (Some(2), "user-2"), (Some(3), "user-3")]);
    assert_eq!(found[3..], [(Some(2), "user-7")]);
}

#[tokio::test]
async fn a_change_that_two_tenants_read_of_is_on_record_for_both_or_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let store = Memory::new();
    let lines = |path: &Path| fs::read_to_string(&files(path)[0]).unwrap();
    let audit = Audit::open(&path, AuditOptions::default()).unwrap();
    let revision = commit(&store, &audit, record(1).telling(record(2))).await;
    let note = store.notes("audit", 0, 9).await.unwrap();
    audit.relay(&store).await.unwrap();
    for (tenant, seq) in [("odd", 1), ("even", 2)] {
        let read = audit.read(Since::Start, Some(tenant.to_owned()), 9).await.unwrap();
        assert_eq!(
            read.iter().map(|record| (record.seq, record.revision)).collect::<Vec<_>>(),
            [(seq, Some(revision))]
        );
    }
    drop(audit);
    // Killed between the two lines, and before the note was forgotten.
    let whole = lines(&path);
    let first = whole.lines().next().unwrap();
    for kept in ["", first, &format!("{first}\n"), &format!("{first}\n{{\"v\""), &whole] {
        fs::write(&files(&path)[0], kept).unwrap();
        let store = Memory::new();
        let audit = Audit::open(&path, AuditOptions::default()).unwrap();
        let again = vec![Write::Note { outbox: "audit".to_owned(), bytes: note[0].bytes.clone() }];
        let Outcome::Committed(_) = store.commit(vec![], again).await.unwrap() else { panic!() };
        audit.relay(&store).await.unwrap();
        drop(audit);
        assert_eq!(lines(&path), whole, "{kept}");
    }
}

/// A directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Backups hold the store as of one moment and the log as of a later one; towers are killed and restored, time and again.
#[tokio::test]
async fn restores_in_a_row_lose_no_line_and_repeat_none() {
    let rounds = if std::env::var_os("KEYWARD_FULL").is_some() { 3000 } else { 150 };
    let (mut draw, mut n) = (StdRng::seed_from_u64(7), 0);
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    let (live, backup) = (place("live"), place("backup"));
    fs::create_dir_all(live.join("store")).unwrap();
    fs::create_dir_all(&backup).unwrap();
    // What the store knows to have happened, and what it knew when it was backed up.
    let (mut happened, mut backed_up): (Vec<u32>, Option<Vec<u32>>) = (Vec::new(), None);
    let mut written: BTreeMap<u32, usize> = BTreeMap::new();
    for round in 0..rounds {
        let store = Sqlite::open(&live.join("store/store")).unwrap();
        let audit = Audit::open(&live.join("audit"), small_files()).unwrap();
        let mut work = async |happened: &mut Vec<u32>, draw: &mut StdRng| {
            for _ in 0..draw.random_range(0..6) {
                n += 1;
                let mut told = record(n);
                let telling = draw.random_bool(0.3);
                if telling {
                    told = told.telling(record(n));
                }
                commit(&store, &audit, told).await;
                happened.push(n);
                written.insert(n, 1 + usize::from(telling));
                if draw.random_bool(0.4) {
                    audit.relay(&store).await.unwrap();
                }
            }
        };
        work(&mut happened, &mut draw).await;
        let backs_up = draw.random_bool(0.3);
        let known = happened.clone();
        let before = place("before");
        if backs_up {
            store.copy_to(&before).unwrap();
        }
        work(&mut happened, &mut draw).await;
        // What was forgotten is there again where the sync of that did not come before the end.
        let killed = draw.random_bool(0.4).then(|| place("killed"));
        if let Some(killed) = &killed {
            store.copy_to(killed).unwrap();
        }
        if draw.random_bool(0.5) {
            audit.relay(&store).await.unwrap();
        }
        if backs_up {
            fs::remove_dir_all(&backup).unwrap();
            copy(&live.join("audit"), &backup.join("audit"));
            fs::create_dir_all(backup.join("store")).unwrap();
            fs::rename(&before, backup.join("store/store")).unwrap();
            backed_up = Some(known);
        }
        if draw.random_bool(0.2) {
            audit.relay(&store).await.unwrap();
            let log = audit.read(Since::Start, None, usize::MAX).await.unwrap();
            let mut lines: BTreeMap<u32, usize> = BTreeMap::new();
            for line in &log {
                *lines.entry(u32::try_from(line.detail["n"].as_u64().unwrap()).unwrap()).or_default() += 1;
            }
            for (n, times) in &lines {
                assert_eq!(times, &written[n], "round {round}: the lines of {n}");
            }
            assert!(happened.iter().all(|n| lines.contains_key(n)), "round {round}: lost");
        }
        drop((store, audit));
        if let Some(killed) = killed {
            fs::remove_dir_all(live.join("store")).unwrap();
            fs::create_dir_all(live.join("store")).unwrap();
            fs::rename(killed, live.join("store/store")).unwrap();
        }
        if let Some(known) = backed_up.as_ref().filter(|_| draw.random_bool(0.25)) {
            fs::remove_dir_all(&live).unwrap();
            copy(&backup.join("audit"), &live.join("audit"));
            copy(&backup.join("store"), &live.join("store"));
            happened = known.clone();
        }
    }
}
