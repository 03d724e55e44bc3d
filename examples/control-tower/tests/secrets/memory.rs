//! What is left in the memory of a tower of a passphrase that was sent to it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    time::Duration,
};

use serde_json::json;

use super::process::{Tower, program};

const SEAL: &str = "/v1/state/system/seal";
const PHRASE: &str = "Zebra-Quartz-Lantern-7731";
const WRONG: &str = "Wombat-Granite-Kettle-4402";

/// How often a text stands in the writable memory of a process (proc(5), `maps` and `mem`).
fn times(pid: u32, text: &str) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = 0;
    for map in maps.lines().filter(|map| map.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = map.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |digits| u64::from_str_radix(digits, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(number(to) - number(from)).unwrap()];
        // What went meanwhile is not there.
        if memory.read_exact_at(&mut bytes, number(from)).is_ok() {
            found += memchr::memmem::find_iter(&bytes, text).count();
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_passphrase_that_was_sent() {
    let root = tempfile::tempdir().unwrap();
    let (data, phrase) = (root.path().join("data"), root.path().join("phrase"));
    fs::write(&phrase, PHRASE).unwrap();
    fs::set_permissions(&phrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (dir, seal) = (data.to_str().unwrap(), format!("passphrase:file:{}", phrase.display()));
    let init = program(&["init", "--data-dir", dir, "--output", "json", "--seal", &seal]).output().unwrap();
    let first: serde_json::Value = serde_json::from_slice(&init.stdout).unwrap();
    let tower = Tower::start_with(&data, &["--seal", "passphrase"]);
    // A text that it does have is found.
    assert!(times(tower.pid(), dir) > 0);
    let gone = async |what: &str| {
        // The last of it goes with the connection, which ends behind the answer.
        for _ in 0..400 {
            if times(tower.pid(), what) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`{what}` is left {} times", times(tower.pid(), what));
    };
    let unseal = async |body| tower.call("POST", &format!("{SEAL}/unseal"), None, Some(body)).await;
    // By the one surface and the other; escaped, so that it is put together apart; as what is no body of this kind.
    unseal(json!({"passphrase": WRONG})).await.refused(401);
    unseal(json!({"passphrase": format!("{WRONG}\n\"and more\"")})).await.refused(401);
    unseal(json!({"passphrase": WRONG, "key": WRONG})).await.refused(400);
    unseal(json!({"passphrase": [WRONG], "other": WRONG})).await.refused(400);
    assert_eq!(tower.call("PUT", "/v1/sys/unseal", None, Some(json!({"key": WRONG}))).await.status, 400);
    gone(WRONG).await;

    unseal(json!({"passphrase": PHRASE})).await.ok();
    gone(PHRASE).await;
    // Sent once more, to a tower that does not need it.
    unseal(json!({"passphrase": PHRASE})).await.ok();
    gone(PHRASE).await;
    let admin = tower.log_in_as_admin(first["password"].as_str().unwrap()).await;
    tower.post(&format!("{SEAL}/seal"), &admin, json!({})).await.ok();
    assert_eq!(tower.call("PUT", "/v1/sys/unseal", None, Some(json!({"key": PHRASE}))).await.status, 200);
    gone(PHRASE).await;
    assert!(tower.stop().status.success());
}
