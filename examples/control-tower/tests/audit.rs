//! The audit log on a real disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

use control_tower::audit::{Audit, AuditOptions, AuditOutcome, AuditRecord, Since};
use time::{Duration, OffsetDateTime, macros::datetime};

const START: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn record(n: u32) -> AuditRecord {
    let tenant = if n.is_multiple_of(2) { "even" } else { "odd" };
    let now = START + Duration::minutes(n.into());
    AuditRecord::new(tenant, "login", AuditOutcome::Success, format!("user-{n}"), "192.0.2.1", now).with("n", n)
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
    let audit = Audit::open(&path, small_files()).unwrap();
    for n in 1..=30 {
        assert_eq!(audit.append(record(n)).await.unwrap(), u64::from(n));
    }
    drop(audit);
    let audit = Audit::open(&path, small_files()).unwrap();
    assert_eq!(audit.append(record(31)).await.unwrap(), 31);
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
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_counted() {
    for tail in [&b"{\"v\":1,\"seq\":3,\"time\":\"2026-"[..], &[0; 4096], b"{\"v\":1,\"seq\":3,\"ti\0\0\0\n\0\0"] {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
        audit.append(record(1)).await.unwrap();
        audit.append(record(2)).await.unwrap();
        drop(audit);
        let file = files(dir.path()).pop().unwrap();
        let whole = fs::read(&file).unwrap();
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(tail).unwrap();
        let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
        assert!(audit.stats().torn_lines >= 1);
        assert_eq!(audit.stats().last_seq, 2);
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(audit.append(record(3)).await.unwrap(), 3);
        assert_eq!(numbers(&audit, Since::Start, None, 100).await, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_file_cut_anywhere_keeps_its_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
    for n in 1..=4 {
        audit.append(record(n)).await.unwrap();
    }
    drop(audit);
    let file = files(dir.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        fs::write(&file, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
        let audit = Audit::open(dir.path(), AuditOptions::default()).unwrap();
        assert_eq!(audit.stats().last_seq, lines);
        assert_eq!(audit.append(record(9)).await.unwrap(), lines + 1);
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
        audit.append_refusal(record(n));
    }
    let last = audit.append(record(1)).await.unwrap();
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
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let audit = audit.clone();
        callers.spawn(async move {
            for n in 0..10 {
                audit.append(record(caller * 10 + n)).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let stats = audit.stats();
    assert_eq!(stats.last_seq, 640);
    assert!(stats.syncs * 4 <= 640, "{} syncs for 640 records", stats.syncs);
    assert_eq!(numbers(&audit, Since::Start, None, 1000).await, (1..=640).collect::<Vec<_>>());
}
