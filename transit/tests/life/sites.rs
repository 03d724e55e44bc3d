//! Sites that are cut off, tokens whose life changes, and verifiers with old copies, while schedules are edited.

use keyward_keys::Signer;
use keyward_transit::{AutoRotate, Cipher, Error, FirstActivation, Ring, Schedule};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::world::{History, START, Store, Tower, config, schedules, secs, start};

#[derive(Debug, Clone)]
enum Step {
    /// Time passes; a diligent tower works at every deadline, the other sleeps.
    Wait {
        seconds: i64,
        diligent: bool,
    },
    Rotate,
    Edit(AutoRotate),
    /// Tokens of another life are asked for.
    Life(u64),
    Contact(usize),
    SignAtTower,
    SignAtSite(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..300_000i64, any::<bool>()).prop_map(|(seconds, diligent)| Step::Wait { seconds, diligent }),
        3 => (0..500i64).prop_map(|seconds| Step::Wait { seconds, diligent: true }),
        1 => Just(Step::Rotate),
        2 => schedules().prop_map(Step::Edit),
        1 => (1..300_000u64).prop_map(Step::Life),
        3 => (0..3usize).prop_map(Step::Contact),
        4 => Just(Step::SignAtTower),
        6 => (0..3usize).prop_map(Step::SignAtSite),
    ];
    prop::collection::vec(step, 1..80)
}

struct Site {
    ring: Ring,
    last_contact: OffsetDateTime,
    life: keyward_config_values::Duration,
}

struct Run {
    store: Store,
    tower: Tower,
    now: OffsetDateTime,
    history: History,
}

impl Run {
    fn serve(&mut self) {
        let kids = self.tower.ring.published(self.now).into_iter().map(|published| published.kid);
        self.history.serve(kids, self.tower.ring.max_age(), self.now);
    }

    /// Lets time pass; what is served is remembered at every moment before and after a change.
    fn wait(&mut self, seconds: i64, diligent: bool) {
        let end = self.now + Duration::seconds(seconds);
        while let Some(deadline) = self.tower.ring.next_deadline(self.now).filter(|deadline| *deadline <= end) {
            if deadline > self.now {
                self.now = deadline - Duration::SECOND;
                self.serve();
            }
            self.now = deadline;
            if !diligent {
                break;
            }
            self.work();
        }
        self.now = end;
        self.work();
    }

    fn work(&mut self) {
        self.serve();
        self.tower.work(&mut self.store, self.now).unwrap();
        self.serve();
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies_for_its_whole_life(
        schedule in schedules(),
        after_publication: bool,
        steps in steps(),
    ) {
        let first = if after_publication { FirstActivation::AfterPublication } else { FirstActivation::AtOnce };
        let (store, tower) = start(config(Cipher::EcdsaP256, Some(schedule)), first);
        let mut run = Run { store, tower, now: START, history: History::default() };
        let mut schedule = schedule;
        let mut life = secs(1);
        run.work();
        let site = |run: &Run, life| Site { ring: run.tower.ring.clone(), last_contact: run.now, life };
        let mut sites = [site(&run, life), site(&run, life), site(&run, life)];

        for step in steps {
            match step {
                Step::Wait { seconds, diligent } => run.wait(seconds, diligent),
                Step::Rotate => {
                    run.tower.rotate(&mut run.store, run.now).unwrap();
                    run.serve();
                }
                Step::Edit(edited) => {
                    // A tower refuses a schedule that the tokens it allows would outlive.
                    if Schedule::try_from(edited).unwrap().validate(life).is_ok() {
                        run.tower.change(&mut run.store, |ring| {
                            ring.reconfigure(config(Cipher::EcdsaP256, Some(edited)), run.now).unwrap();
                        }).unwrap();
                        schedule = edited;
                        run.serve();
                    }
                }
                Step::Life(seconds) => {
                    let longer = secs(seconds);
                    if run.tower.ring.check_tokens(longer, run.now).is_ok() {
                        life = longer;
                    }
                }
                Step::Contact(index) => sites[index] = site(&run, life),
                Step::SignAtTower => {
                    if let Ok(signer) = run.tower.ring.signer(run.now) {
                        run.history.sign(signer.kid(), life, run.now);
                    }
                }
                Step::SignAtSite(index) => {
                    let site = &sites[index];
                    match site.ring.signer_cut_off(site.last_contact, run.now) {
                        Ok(signer) => run.history.sign(signer.kid(), site.life, run.now),
                        Err(Error::CutOff { until, .. }) => prop_assert!(until <= run.now),
                        Err(Error::NotActive { from, .. }) => prop_assert!(from > Some(run.now)),
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    }
                }
            }
            run.serve();
        }
        // Long enough for the last token.
        run.wait(2 * i64::try_from(schedule.rotate_after.as_secs()).unwrap(), true);
        run.history.check().map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_site_signs_for_three_days_after_its_last_contact_even_if_the_key_rotated_a_second_later() {
    let (mut store, mut tower) = start(config(Cipher::EcdsaP256, Some(crate::world::usual())), FirstActivation::AtOnce);
    tower.work(&mut store, START).unwrap();
    let contact = START + Duration::days(10);
    let replica = tower.ring.clone();
    let rotated = contact + Duration::SECOND;
    tower.rotate(&mut store, rotated).unwrap();

    let end = contact + Duration::days(3);
    let last = end - Duration::SECOND;
    let signer = replica.signer_cut_off(contact, last).unwrap();
    assert_eq!(signer.version(), 1);
    let signature = signer.sign(b"token").unwrap();
    // A day of life and a minute of skew later it still verifies at the tower.
    let expired = last + Duration::DAY + Duration::MINUTE;
    tower.ring.verify_by_kid(signer.kid(), b"token", &signature, expired).unwrap();

    let error = replica.signer_cut_off(contact, end).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cut off since 2026-03-11T00:00:00Z: signing ended at 2026-03-14T00:00:00Z and needs contact first"
    );
}
