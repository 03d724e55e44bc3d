//! `jwt-signing-key` changes from ring to ring, at any time and back, with sites that have not heard of it.

use std::collections::BTreeMap;

use keyward_config_values::Name;
use keyward_keys::Signer;
use keyward_transit::{AutoRotate, Cipher, Error, FirstActivation, Issuing, Ring};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::world::{History, START, perform, schedules, secs, usual};

type Rings = BTreeMap<Name, Ring>;

fn name(index: usize) -> Name {
    format!("ring-{index}").parse().unwrap()
}

fn at_hand<'r>(rings: &'r Rings) -> impl Fn(&Name) -> Option<&'r Ring> {
    |name: &Name| rings.get(name)
}

fn create(rings: &mut Rings, index: usize, schedule: Option<AutoRotate>, first: FirstActivation, now: OffsetDateTime) {
    let mut config = keyward_transit::RingConfig::new(name(index));
    config.cipher = Cipher::EcdsaP256;
    config.auto_rotate = schedule;
    let mut ring = Ring::new(config, first, now).unwrap();
    for command in ring.advance(now) {
        perform(&mut ring, command, now);
    }
    rings.insert(name(index), ring);
}

fn switch(issuing: &mut Issuing, rings: &mut Rings, index: usize, now: OffsetDateTime) -> Result<bool, Error> {
    let mut ring = rings[&name(index)].clone();
    let changed = issuing.switch(&mut ring, at_hand(rings), now)?;
    rings.insert(name(index), ring);
    Ok(changed)
}

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Switch(usize),
    Retire,
    Rotate(usize),
    Edit(usize, Option<AutoRotate>),
    Contact,
    SignAtTower,
    SignAtSite,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..200_000i64).prop_map(Step::Wait),
        3 => (0..2_000i64).prop_map(Step::Wait),
        4 => (0..3usize).prop_map(Step::Switch),
        1 => Just(Step::Retire),
        1 => (0..3usize).prop_map(Step::Rotate),
        1 => (0..3usize, prop::option::of(schedules())).prop_map(|(index, schedule)| Step::Edit(index, schedule)),
        2 => Just(Step::Contact),
        5 => Just(Step::SignAtTower),
        5 => Just(Step::SignAtSite),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

struct Run {
    issuing: Issuing,
    rings: Rings,
    now: OffsetDateTime,
    history: History,
    /// When what was served last: the keys, and from when they were said to be so.
    served: Option<(OffsetDateTime, Vec<String>, Option<OffsetDateTime>)>,
}

impl Run {
    fn serve(&mut self) {
        let published = self.issuing.published(at_hand(&self.rings), self.now);
        let kids: Vec<String> = published.into_iter().map(|published| published.kid).collect();
        let changed = self.issuing.published_changed_at(at_hand(&self.rings), self.now);
        if let Some((before, served, since)) = &self.served {
            assert!(changed >= *since, "{since:?}, then {changed:?}");
            if *before < self.now && *served != kids {
                assert!(changed > *since, "{served:?} became {kids:?}, both since {changed:?}");
            }
        }
        self.served = Some((self.now, kids.clone(), changed));
        if let Some(max_age) = self.issuing.max_age(at_hand(&self.rings), self.now) {
            self.history.serve(kids, max_age, self.now);
        }
    }

    fn wait(&mut self, seconds: i64) {
        let end = self.now + Duration::seconds(seconds);
        loop {
            let of_rings = self.rings.values().filter_map(|ring| ring.next_deadline(self.now));
            let deadline = of_rings.chain(self.issuing.next_deadline(at_hand(&self.rings), self.now)).min();
            let Some(deadline) = deadline.filter(|deadline| *deadline <= end) else { break };
            if deadline > self.now {
                self.now = deadline - Duration::SECOND;
                self.serve();
            }
            self.now = deadline;
            self.serve();
            for ring in self.rings.values_mut() {
                for command in ring.advance(self.now) {
                    perform(ring, command, self.now);
                }
            }
            self.issuing.advance(at_hand(&self.rings), self.now);
            self.serve();
        }
        self.now = end;
        self.serve();
    }
}

proptest! {
    #[test]
    fn every_token_verifies_whatever_ring_signs(
        pool in prop::collection::vec(prop::option::of(schedules()), 3),
        life in 1..100_000u64,
        steps in steps(),
    ) {
        let life = secs(life);
        let mut run = Run { issuing: Issuing::default(), rings: Rings::new(), now: START, history: History::default(), served: None };
        let sound = |schedule: &Option<AutoRotate>| match schedule {
            Some(schedule) => keyward_transit::Schedule::try_from(*schedule).unwrap().validate(life).is_ok(),
            None => true,
        };
        for (index, schedule) in pool.into_iter().enumerate() {
            let schedule = if sound(&schedule) { schedule } else { Some(usual()) };
            create(&mut run.rings, index, schedule, run.issuing.first_activation(), run.now);
        }
        let mut site = (run.issuing.clone(), run.rings.clone(), run.now);
        for step in steps {
            match step {
                Step::Wait(seconds) => run.wait(seconds),
                Step::Switch(index) => {
                    switch(&mut run.issuing, &mut run.rings, index, run.now).unwrap();
                    prop_assert_eq!(run.issuing.current_ring(), Some(&name(index)));
                }
                Step::Retire => {
                    run.issuing.retire(at_hand(&run.rings), run.now);
                    prop_assert!(matches!(
                        run.issuing.select(at_hand(&run.rings), run.now),
                        Err(Error::NoSigningRing)
                    ));
                }
                Step::Rotate(index) => {
                    let ring = run.rings.get_mut(&name(index)).unwrap();
                    if let Ok(command) = ring.rotate(run.now) {
                        perform(ring, command, run.now);
                    }
                }
                Step::Edit(index, schedule) if sound(&schedule) => {
                    let ring = run.rings.get_mut(&name(index)).unwrap();
                    let mut config = ring.config().clone();
                    config.auto_rotate = schedule;
                    ring.reconfigure(config, run.now).unwrap();
                }
                Step::Edit(..) => {}
                Step::Contact => site = (run.issuing.clone(), run.rings.clone(), run.now),
                Step::SignAtTower => {
                    if let Ok(signer) = run.issuing.select(at_hand(&run.rings), run.now) {
                        run.history.sign(signer.kid(), life, run.now);
                    }
                }
                Step::SignAtSite => {
                    let (issuing, rings, contact) = &site;
                    if let Ok(signer) = issuing.select_cut_off(at_hand(rings), *contact, run.now) {
                        run.history.sign(signer.kid(), life, run.now);
                    }
                }
                Step::Restart => {
                    let record = run.issuing.to_record().unwrap();
                    let again = Issuing::from_record(&record).unwrap();
                    prop_assert_eq!(&again, &run.issuing);
                    run.issuing = again;
                }
            }
            run.serve();
        }
        run.wait(2_000_000);
        run.history.check().map_err(TestCaseError::fail)?;
    }
}

#[test]
fn the_new_ring_signs_after_a_day_and_the_old_one_stays_until_its_last_token_has_expired() {
    let mut issuing = Issuing::default();
    let mut rings = Rings::new();
    assert!(!issuing.ever_published());
    create(&mut rings, 0, Some(usual()), issuing.first_activation(), START);
    assert!(switch(&mut issuing, &mut rings, 0, START).unwrap());
    assert!(!switch(&mut issuing, &mut rings, 0, START).unwrap(), "the second time nothing changes");
    assert_eq!(issuing.select(at_hand(&rings), START).unwrap().version(), 1);
    assert_eq!(issuing.first_activation(), FirstActivation::AfterPublication);

    assert_eq!(issuing.published_changed_at(at_hand(&rings), START + Duration::days(2)), Some(START));

    let changed = START + Duration::days(3);
    create(&mut rings, 1, Some(usual()), issuing.first_activation(), changed);
    switch(&mut issuing, &mut rings, 1, changed).unwrap();
    assert_eq!(issuing.published(at_hand(&rings), changed).len(), 2);
    let handover = changed + Duration::DAY;
    assert_eq!(issuing.signing_ring(handover - Duration::SECOND), Some(&name(0)));
    assert_eq!(issuing.signing_ring(handover), Some(&name(1)));
    assert_eq!(issuing.select(at_hand(&rings), handover).unwrap().version(), 1);

    // A site that heard of nothing signs until day 3 + 3, and what it signed verifies for two days.
    let over = changed + Duration::days(5);
    assert!(issuing.needs(&name(0), at_hand(&rings), over - Duration::SECOND));
    assert_eq!(issuing.published(at_hand(&rings), over - Duration::SECOND).len(), 2);
    assert!(!issuing.needs(&name(0), at_hand(&rings), over));
    assert_eq!(issuing.published(at_hand(&rings), over).len(), 1);
    assert_eq!(issuing.next_deadline(at_hand(&rings), handover), Some(over));
    // By time alone, before anybody notes it, and no earlier.
    assert_eq!(issuing.published_changed_at(at_hand(&rings), over - Duration::SECOND), Some(changed));
    assert_eq!(issuing.published_changed_at(at_hand(&rings), over + Duration::HOUR), Some(over));
    assert!(issuing.advance(at_hand(&rings), over));
    assert_eq!(issuing.next_deadline(at_hand(&rings), over), None);
    assert!(issuing.ever_published());
}

#[test]
fn a_ring_that_comes_back_before_it_was_forgotten_signs_at_once() {
    let mut issuing = Issuing::default();
    let mut rings = Rings::new();
    create(&mut rings, 0, None, FirstActivation::AtOnce, START);
    create(&mut rings, 1, None, FirstActivation::AtOnce, START);
    switch(&mut issuing, &mut rings, 0, START).unwrap();
    switch(&mut issuing, &mut rings, 1, START).unwrap();
    assert_eq!(issuing.signing_ring(START), Some(&name(0)));
    switch(&mut issuing, &mut rings, 0, START + Duration::HOUR).unwrap();
    for hours in [1, 2, 24, 25, 500] {
        assert_eq!(issuing.signing_ring(START + Duration::hours(hours)), Some(&name(0)), "hour {hours}");
    }
}

#[test]
fn a_ring_that_cannot_sign_or_has_no_version_is_refused() {
    let mut issuing = Issuing::default();
    let none = |_: &Name| None;
    let mut aes = Ring::new(keyward_transit::RingConfig::new(name(0)), FirstActivation::AtOnce, START).unwrap();
    for command in aes.advance(START) {
        perform(&mut aes, command, START);
    }
    let error = issuing.switch(&mut aes, none, START).unwrap_err();
    assert_eq!(error.to_string(), "a ring with the cipher `aes256-gcm96` cannot sign");

    let mut config = keyward_transit::RingConfig::new(name(1));
    config.cipher = Cipher::EcdsaP256;
    let mut empty = Ring::new(config, FirstActivation::AtOnce, START).unwrap();
    let error = issuing.switch(&mut empty, none, START).unwrap_err();
    assert_eq!(error.to_string(), "no version of ring `ring-1` is active");
    assert_eq!(issuing, Issuing::default());
    assert!(matches!(issuing.select(none, START), Err(Error::NoSigningRing)));
}

#[test]
fn a_record_of_a_newer_release_is_told_apart() {
    let mut record: serde_json::Value = serde_json::from_slice(&Issuing::default().to_record().unwrap()).unwrap();
    record["format"] = 2.into();
    record["more"] = true.into();
    let error = Issuing::from_record(record.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the record has format 2, but this release knows formats up to 1");
    let error = Issuing::from_record(b"[]").unwrap_err();
    assert_eq!(error.to_string(), "the record holds no issuing state: it has no format number");
}

#[test]
fn a_schedule_edited_just_before_the_switch_shortens_nothing_that_sites_rely_on() {
    let mut issuing = Issuing::default();
    let mut rings = Rings::new();
    create(&mut rings, 0, None, FirstActivation::AtOnce, START);
    create(&mut rings, 1, None, FirstActivation::AtOnce, START);
    switch(&mut issuing, &mut rings, 0, START).unwrap();
    let site = (issuing.clone(), rings.clone());
    let ring = rings.get_mut(&name(0)).unwrap();
    let mut config = ring.config().clone();
    config.auto_rotate = Some(
        serde_json::from_str(
            r#"{"rotate-after":"1d","activate-after":"5m","deprecate-after":"1s","invalidate-after":"2h"}"#,
        )
        .unwrap(),
    );
    ring.reconfigure(config, START).unwrap();
    switch(&mut issuing, &mut rings, 1, START).unwrap();
    // The site goes by 1d/2d/2d: it signs for three days more, and what it signed verifies for two.
    let last = START + Duration::days(3) - Duration::SECOND;
    let kid = site.0.select_cut_off(at_hand(&site.1), START, last).unwrap().kid().to_owned();
    let verifies = |at| issuing.published(at_hand(&rings), at).iter().any(|key| key.kid == kid);
    assert!(verifies(START + Duration::days(5) - Duration::SECOND));
    assert!(!verifies(START + Duration::days(5)));
}
