//! Many logins on one secret-id: with a store that compares and swaps, as many are granted as there
//! are uses left, whatever the order in which the logins get to read and to write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_types, reason = "a test is a caller, and brings the randomness")]

use std::sync::Mutex;

use getrandom::SysRng;
use keyward_approle::{
    Attempt, LoginDecision, Pepper, Reason, RecordChange, Role, SecretIdRecord, SecretIdRequest, login,
};
use proptest::prelude::*;
use rand_core::UnwrapErr;
use time::OffsetDateTime;

const NOW: OffsetDateTime = time::macros::datetime!(2027-01-15 08:00 UTC);

/// One record with a revision; what a store promises of a guarded write.
struct Store {
    revision: u64,
    record: Vec<u8>,
}

impl Store {
    fn read(&self) -> (u64, SecretIdRecord) {
        (self.revision, SecretIdRecord::decode(&self.record).unwrap())
    }

    /// Whether it was written: only at the revision that was read.
    fn commit(&mut self, revision: u64, change: &RecordChange<SecretIdRecord>) -> bool {
        if revision != self.revision {
            return false;
        }
        if let RecordChange::Update(record) = change {
            self.record = record.encode().unwrap();
            self.revision += 1;
        }
        true
    }
}

struct Scene {
    role: Role,
    attempt: Attempt,
    store: Store,
}

fn scene(uses: u32) -> Scene {
    let mut rng = UnwrapErr(SysRng);
    let pepper = Pepper::generate(&mut rng);
    let config = serde_json::from_str(&format!(r#"{{"name":"payments","secret-id-num-uses":{uses}}}"#)).unwrap();
    let role = Role::create("default".parse().unwrap(), config, &mut rng).unwrap();
    let (secret, record) = SecretIdRecord::issue(&role, SecretIdRequest::default(), &pepper, &mut rng, NOW).unwrap();
    let attempt = Attempt::new(role.role_id().as_str(), secret.expose(), &pepper);
    Scene { role, attempt, store: Store { revision: 1, record: record.encode().unwrap() } }
}

/// Where one login stands: it has read and decided, or is through.
enum Step {
    Read,
    Commit(u64, Box<RecordChange<SecretIdRecord>>),
    Done(Result<(), Reason>),
}

fn step(scene: &mut Scene, at: Step) -> Step {
    match at {
        Step::Read => {
            let (revision, record) = scene.store.read();
            let source = [192, 0, 2, 1].into();
            match login(&scene.attempt, Some(&scene.role), Some(&record), source, NOW) {
                LoginDecision::Granted(grant) => Step::Commit(revision, Box::new(grant.record)),
                LoginDecision::Refused(reason) => Step::Done(Err(reason)),
            }
        }
        Step::Commit(revision, change) if scene.store.commit(revision, &change) => Step::Done(Ok(())),
        Step::Commit(..) => Step::Read,
        done @ Step::Done(_) => done,
    }
}

fn outcome(logins: &[Step]) -> (usize, usize) {
    let granted = logins.iter().filter(|login| matches!(login, Step::Done(Ok(())))).count();
    let used_up = logins.iter().filter(|login| matches!(login, Step::Done(Err(Reason::UsedUp)))).count();
    (granted, used_up)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn as_many_as_there_are_uses_in_any_order(
        uses in 1_u32..5,
        order in proptest::collection::vec(0_usize..64, 0..2000),
    ) {
        let mut scene = scene(uses);
        let mut logins: Vec<Step> = (0..64).map(|_| Step::Read).collect();
        // The given order first, then everyone in turn until all are through.
        let rest = (0..).map(|turn: usize| turn % 64);
        for login in order.into_iter().chain(rest) {
            if logins.iter().all(|login| matches!(login, Step::Done(_))) {
                break;
            }
            let at = std::mem::replace(&mut logins[login], Step::Read);
            logins[login] = step(&mut scene, at);
        }
        prop_assert_eq!(outcome(&logins), (uses as usize, 64 - uses as usize));
        prop_assert_eq!(scene.store.read().1.uses_left(), Some(0));
    }
}

#[test]
fn sixty_four_that_all_read_before_any_writes() {
    let mut scene = scene(1);
    let mut logins: Vec<Step> = (0..64).map(|_| Step::Read).collect();
    while !logins.iter().all(|login| matches!(login, Step::Done(_))) {
        logins = logins.into_iter().map(|at| step(&mut scene, at)).collect();
    }
    assert_eq!(outcome(&logins), (1, 63));
}

#[test]
fn sixty_four_threads() {
    let scene = scene(1);
    let (role, attempt, store) = (&scene.role, &scene.attempt, Mutex::new(scene.store));
    let try_once = || loop {
        let (revision, record) = store.lock().unwrap().read();
        match login(attempt, Some(role), Some(&record), [192, 0, 2, 1].into(), NOW) {
            LoginDecision::Granted(grant) => {
                if store.lock().unwrap().commit(revision, &grant.record) {
                    return Ok(());
                }
            }
            LoginDecision::Refused(reason) => return Err(reason),
        }
    };
    let outcomes: Vec<Result<(), Reason>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(try_once)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Reason::UsedUp)).count(), 63);
}

/// The model above is not what makes the difference: without the guard more than one gets through.
#[test]
fn a_store_without_the_guard_would_be_seen() {
    let mut scene = scene(1);
    let decisions: Vec<Step> = (0..64).map(|_| step(&mut scene, Step::Read)).collect();
    let granted = decisions.iter().filter(|step| matches!(step, Step::Commit(..))).count();
    assert_eq!(granted, 64, "each decides on what it read; the guarded commit tells them apart");
}
