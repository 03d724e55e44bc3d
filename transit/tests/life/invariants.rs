//! One ring under random schedules, edits, clock jumps, crashes and restarts.

use std::collections::BTreeMap;

use keyward_transit::{AutoRotate, Cipher, FirstActivation, Phase, Ring, Transitions};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::world::{START, Tower, config, schedules, start};

#[derive(Debug, Clone)]
enum Step {
    /// Real time passes.
    Wait(i64),
    /// The clock jumps, either way.
    Jump(i64),
    Work,
    Die,
    Restart,
    Rotate,
    Edit(AutoRotate),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..700_000i64).prop_map(Step::Wait),
        2 => (-2_000_000..2_000_000i64).prop_map(Step::Jump),
        8 => Just(Step::Work),
        1 => Just(Step::Die),
        1 => Just(Step::Restart),
        1 => Just(Step::Rotate),
        1 => schedules().prop_map(Step::Edit),
    ];
    prop::collection::vec(step, 1..60)
}

/// What was seen, which nothing later may contradict.
#[derive(Default)]
struct Seen {
    kids: BTreeMap<u32, String>,
    times: BTreeMap<u32, Transitions>,
    invalid: Vec<u32>,
    active: u32,
}

impl Seen {
    fn check(&mut self, ring: &Ring, now: OffsetDateTime, rotated_by_hand: bool) -> Result<(), TestCaseError> {
        let at = ring.effective(now);
        let newest = ring.newest_version();
        let phase = |version, at| ring.phase(version, at).unwrap();
        let active_at = |at| (1..=newest).filter(|v| phase(*v, at) == Phase::Active).collect::<Vec<_>>();

        // 1: exactly one version signs, now and whenever, and never an older one than before.
        if ring.first_activation().is_some_and(|first| first <= at) {
            for ahead in [0, 1, 100, 10_000, 1_000_000, 100_000_000] {
                prop_assert_eq!(active_at(at + Duration::seconds(ahead)).len(), 1);
            }
            let active = ring.active_version(now).unwrap();
            prop_assert_eq!(active_at(at), vec![active]);
            prop_assert!(active >= self.active);
            prop_assert_eq!(ring.signer(now).unwrap().version(), active);
        }
        // 3: at most two versions are published, unless somebody asks for more.
        let published = ring.published(now);
        prop_assert!(published.len() <= 2 || rotated_by_hand, "{} published", published.len());

        let view = ring.view(now);
        for version in &view.versions {
            // 4: a key ID belongs to one version for ever.
            let kid = version.kid.clone().unwrap();
            let known = self.kids.entry(version.version).or_insert_with(|| kid.clone());
            prop_assert_eq!(&*known, &kid);
            // What is fixed stays, whatever happens to schedule and clock.
            let times = ring.transitions(version.version).unwrap();
            let before = self.times.insert(version.version, times).unwrap_or(times);
            prop_assert_eq!((before.created, before.activates), (times.created, times.activates));
            prop_assert!(before.superseded.is_none() || before == times);
            let order = [Some(times.created), Some(times.activates), times.superseded, times.deprecated, times.invalid];
            prop_assert!(order.iter().flatten().is_sorted());
            // A key is gone only when it has no use.
            prop_assert!(!version.destroyed || version.phase == Phase::Invalid);
            // 5: what was invalid stays invalid, and does not verify.
            if self.invalid.contains(&version.version) {
                prop_assert_eq!(version.phase, Phase::Invalid);
                prop_assert!(ring.verifying_key(&kid, now).is_none());
            }
        }
        let kids: std::collections::BTreeSet<_> = self.kids.values().collect();
        prop_assert_eq!(kids.len(), self.kids.len());
        Ok(())
    }

    /// By the highest time stored: what is invalid then is invalid for ever, what signs is not followed by an older one.
    fn committed(&mut self, ring: &Ring) {
        let now = ring.effective(START);
        let invalid = (1..=ring.newest_version()).filter(|v| ring.phase(*v, now) == Some(Phase::Invalid));
        self.invalid = invalid.collect();
        self.active = ring.active_version(now).unwrap_or(0);
    }
}

proptest! {
    #[test]
    fn the_invariants_hold(
        schedule in schedules(),
        at_once: bool,
        steps in steps(),
    ) {
        let first = if at_once { FirstActivation::AtOnce } else { FirstActivation::AfterPublication };
        let (mut store, mut tower) = start(config(Cipher::EcdsaP256, Some(schedule)), first);
        let mut clock = START;
        let mut schedule = schedule;
        let mut seen = Seen::default();
        let mut rotated_by_hand = false;
        for step in steps {
            let before = tower.ring.newest_version();
            match step {
                Step::Wait(seconds) => clock += Duration::seconds(seconds),
                Step::Jump(seconds) => clock += Duration::seconds(seconds),
                Step::Work => tower.work(&mut store, clock).unwrap(),
                Step::Die => tower.work_and_die(&store, clock),
                Step::Restart => tower = Tower::start(&store),
                Step::Rotate => {
                    tower.rotate(&mut store, clock).unwrap();
                    rotated_by_hand |= tower.ring.newest_version() > before;
                }
                Step::Edit(edited) => {
                    tower.change(&mut store, |ring| {
                        ring.reconfigure(config(Cipher::EcdsaP256, Some(edited)), clock).unwrap();
                    }).unwrap();
                    schedule = edited;
                }
            }
            let created = tower.ring.newest_version();
            prop_assert!(created <= before + 1, "however long it slept, one step creates one version");
            if created > before {
                // 1: published for `activate-after` before it signs.
                let times = tower.ring.transitions(created).unwrap();
                prop_assert_eq!(times.created, tower.ring.effective(clock));
                let ahead = if created == 1 && at_once { Duration::ZERO } else { schedule.activate_after.to_time() };
                prop_assert!(times.activates >= times.created + ahead);
            }
            // What the tower uses is what is stored, and the same after a restart.
            let stored = Tower::start(&store).ring;
            prop_assert_eq!(stored.view(clock), tower.ring.view(clock));
            seen.check(&tower.ring, clock, rotated_by_hand)?;
            seen.committed(&tower.ring);
            // When there is nothing to do, the deadline lies ahead.
            if tower.ring.advance(clock).is_empty() && let Some(deadline) = tower.ring.next_deadline(clock) {
                prop_assert!(deadline > tower.ring.effective(clock));
            }
        }
    }

    #[test]
    fn whoever_comes_at_every_deadline_rotates_on_time(schedule in schedules(), rotations in 1..6u32) {
        let (mut store, mut tower) = start(config(Cipher::EcdsaP256, Some(schedule)), FirstActivation::AtOnce);
        let mut now = START;
        let mut deadlines = 0;
        while tower.ring.newest_version() <= rotations {
            tower.work(&mut store, now).unwrap();
            now = tower.ring.next_deadline(now).unwrap();
            deadlines += 1;
        }
        prop_assert!(deadlines <= 6 * (rotations + 1), "no busy waiting");
        for version in 1..=rotations {
            let times = tower.ring.transitions(version).unwrap();
            let created = START + schedule.rotate_after.to_time() * i32::try_from(version - 1).unwrap();
            let successor = created + schedule.rotate_after.to_time();
            let superseded = successor + schedule.activate_after.to_time();
            let deprecated = superseded + schedule.deprecate_after.to_time();
            prop_assert_eq!(times.created, created);
            prop_assert_eq!(times.superseded, Some(superseded));
            prop_assert_eq!(times.deprecated, Some(deprecated));
            prop_assert_eq!(times.invalid, Some(deprecated + schedule.invalidate_after.to_time()));
        }
    }
}
