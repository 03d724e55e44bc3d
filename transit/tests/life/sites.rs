//! Sites that are cut off, tokens whose life changes, and verifiers with old copies, while schedules are edited.

use keyward_keys::Signer;
use keyward_transit::{AutoRotate, Cipher, Error, FirstActivation, Ring, Schedule};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::world::{History, START, Store, Tower, config, schedules, secs, start};

#[derive(Debug, Clone)]
enum Step {
    /// Time passes, and the tower works at every deadline.
    Work(i64),
    /// Time passes, and the tower sleeps.
    Sleep(i64),
    Rotate,
    Edit(AutoRotate),
    /// Tokens of another life are asked for.
    Life(u64),
    Contact(usize),
}

/// As far apart as schedules get: what one promises is long after the other's end.
fn quick_and_slow() -> impl Strategy<Value = AutoRotate> {
    let quick = (159..600u64, 1..600u64, 61..600u64, 1..600u64).prop_map(|(activate, deprecate, invalidate, more)| {
        let rotate = secs(activate + deprecate + invalidate + more);
        Schedule::new(rotate, secs(activate), secs(deprecate), secs(invalidate)).unwrap().into()
    });
    prop_oneof![quick, schedules()]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3_000i64).prop_map(Step::Work),
        2 => (0..1_000i64).prop_map(Step::Sleep),
        3 => (0..300_000i64).prop_map(Step::Sleep),
        2 => Just(Step::Rotate),
        4 => quick_and_slow().prop_map(Step::Edit),
        2 => prop_oneof![1..600u64, 1..300_000u64].prop_map(Step::Life),
        3 => (0..2usize).prop_map(Step::Contact),
    ];
    prop::collection::vec(step, 1..25)
}

struct Site {
    ring: Ring,
    last_contact: OffsetDateTime,
    life: keyward_config_values::Duration,
}

impl Site {
    /// Its last second.
    fn ends(&self) -> OffsetDateTime {
        let allowance = self.ring.overlap().unwrap().cut_off_allowance();
        self.last_contact + allowance.to_time() - Duration::SECOND
    }
}

struct Run {
    store: Store,
    tower: Tower,
    now: OffsetDateTime,
    life: keyward_config_values::Duration,
    sites: Vec<Site>,
    history: History,
}

impl Run {
    /// Whoever can sign does, and verifiers fetch.
    fn use_it(&mut self) {
        let ring = &self.tower.ring;
        let kids = ring.published(self.now).into_iter().map(|published| published.kid);
        self.history.serve(kids, ring.max_age(), self.now);
        if let Ok(signer) = ring.signer(self.now) {
            self.history.sign(signer.kid(), self.life, self.now);
        }
        for site in &self.sites {
            match site.ring.signer_cut_off(site.last_contact, self.now) {
                Ok(signer) => self.history.sign(signer.kid(), site.life, self.now),
                Err(Error::CutOff { until, .. }) => assert!(until <= self.now),
                Err(Error::NotActive { from, .. }) => assert!(from > Some(self.now)),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Lets time pass, with a look at every moment before and after something changes.
    fn wait(&mut self, seconds: i64, diligent: bool) {
        let end = self.now + Duration::seconds(seconds);
        loop {
            let ring = &self.tower.ring;
            let deadline = ring.next_deadline(self.now).filter(|_| diligent);
            let versions = (1..=ring.newest_version()).filter_map(|version| ring.transitions(version));
            let transitions = versions.filter_map(|times| times.next(self.now));
            let ends = self.sites.iter().map(Site::ends).filter(|end| *end > self.now);
            let next = ends.chain(transitions).chain(deadline).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            if next > self.now {
                self.now = next - Duration::SECOND;
                self.use_it();
            }
            self.now = next;
            self.use_it();
            if diligent {
                self.work();
            }
        }
        self.now = end;
        self.use_it();
        self.work();
    }

    fn work(&mut self) {
        self.tower.work(&mut self.store, self.now).unwrap();
        self.use_it();
    }

    fn contact(&mut self) -> Site {
        Site { ring: self.tower.ring.clone(), last_contact: self.now, life: self.life }
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies_for_its_whole_life(
        schedule in quick_and_slow(),
        after_publication: bool,
        steps in steps(),
    ) {
        let first = if after_publication { FirstActivation::AfterPublication } else { FirstActivation::AtOnce };
        let (store, tower) = start(config(Cipher::EcdsaP256, Some(schedule)), first);
        let mut run =
            Run { store, tower, now: START, life: secs(1), sites: Vec::new(), history: History::default() };
        run.work();
        run.sites = vec![run.contact(), run.contact()];

        for step in steps {
            match step {
                Step::Work(seconds) => run.wait(seconds, true),
                Step::Sleep(seconds) => run.wait(seconds, false),
                Step::Rotate => run.tower.rotate(&mut run.store, run.now).unwrap(),
                // A tower refuses a schedule that the tokens it allows would outlive.
                Step::Edit(edited) if Schedule::try_from(edited).unwrap().validate(run.life).is_ok() => {
                    run.tower.change(&mut run.store, |ring| {
                        ring.reconfigure(config(Cipher::EcdsaP256, Some(edited)), run.now).unwrap();
                    }).unwrap();
                }
                Step::Edit(_) => {}
                Step::Life(seconds) => {
                    if run.tower.ring.check_tokens(secs(seconds), run.now).is_ok() {
                        run.life = secs(seconds);
                    }
                }
                Step::Contact(index) => run.sites[index] = run.contact(),
            }
            run.use_it();
        }
        // Long enough for the last token.
        run.wait(1_200_000, false);
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
