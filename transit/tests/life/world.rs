//! What the simulations share: a store with compare-and-swap, a tower over it, and the memory of what verifiers saw.

use std::collections::BTreeSet;

use keyward_config_values::Duration;
use keyward_transit::{
    AutoRotate, Cipher, Command, FirstActivation, Kek, KekSet, Material, Ring, RingConfig, Schedule,
};
use proptest::prelude::*;
use rand_core::UnwrapErr;
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const START: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);
const PATH: &str = "tenants/default/transit-keys/test";

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
pub(crate) fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds).unwrap()
}

pub(crate) fn config(cipher: Cipher, auto_rotate: Option<AutoRotate>) -> RingConfig {
    let mut config = RingConfig::new("test".parse().unwrap());
    config.cipher = cipher;
    config.auto_rotate = auto_rotate;
    config
}

/// 30d, 1d, 2d, 2d.
pub(crate) fn usual() -> AutoRotate {
    let days = |n| Duration::DAY.saturating_mul(n);
    Schedule::new(days(30), days(1), days(2), days(2)).unwrap().into()
}

/// Any schedule that is accepted, with enough room for tokens of a second at least.
pub(crate) fn schedules() -> impl Strategy<Value = AutoRotate> {
    (159..100_000u64, 1..200_000u64, 61..300_000u64, 1..500_000u64).prop_map(
        |(activate, deprecate, invalidate, more)| {
            let rotate = activate + deprecate + invalidate + more;
            Schedule::new(secs(rotate), secs(activate), secs(deprecate), secs(invalidate)).unwrap().into()
        },
    )
}

/// One sealed record with a revision.
pub(crate) struct Store {
    keks: KekSet,
    revision: u64,
    record: Vec<u8>,
}

/// Another commit was faster.
#[derive(Debug)]
pub(crate) struct Conflict;

impl Store {
    pub(crate) fn new(ring: &Ring) -> Self {
        let keks = KekSet::new(Kek::from_bytes(1, &[7; 32]).unwrap());
        let record = ring.to_sealed(keks.current(), PATH, &mut rng()).unwrap();
        Self { keks, revision: 1, record }
    }

    pub(crate) fn load(&self) -> (u64, Ring) {
        (self.revision, Ring::from_sealed(&self.keks, PATH, &self.record).unwrap())
    }

    pub(crate) fn commit(&mut self, revision: u64, ring: &Ring) -> Result<u64, Conflict> {
        if revision != self.revision {
            return Err(Conflict);
        }
        self.record = ring.to_sealed(self.keks.current(), PATH, &mut rng()).unwrap();
        self.revision += 1;
        Ok(self.revision)
    }
}

/// A tower: a copy of the ring that it uses, and the revision that it is of.
pub(crate) struct Tower {
    pub(crate) ring: Ring,
    revision: u64,
}

impl Tower {
    pub(crate) fn start(store: &Store) -> Self {
        let (revision, ring) = store.load();
        Self { ring, revision }
    }

    pub(crate) fn refresh(&mut self, store: &Store) {
        *self = Self::start(store);
    }

    /// Applies a change to a copy, and uses the copy once it is stored.
    pub(crate) fn change(&mut self, store: &mut Store, change: impl FnOnce(&mut Ring)) -> Result<(), Conflict> {
        let mut ring = self.ring.clone();
        change(&mut ring);
        self.revision = store.commit(self.revision, &ring)?;
        self.ring = ring;
        Ok(())
    }

    /// What the rotation task does at `now`.
    pub(crate) fn work(&mut self, store: &mut Store, now: OffsetDateTime) -> Result<(), Conflict> {
        let commands = self.ring.advance(now);
        self.change(store, |ring| {
            ring.observe(now);
            for command in commands {
                perform(ring, command, now);
            }
        })
    }

    /// The rotation task dies before its commit: what it generated is lost.
    pub(crate) fn work_and_die(&mut self, store: &Store, now: OffsetDateTime) {
        let mut ring = self.ring.clone();
        for command in self.ring.advance(now) {
            perform(&mut ring, command, now);
        }
        drop(ring);
        self.refresh(store);
    }

    pub(crate) fn rotate(&mut self, store: &mut Store, now: OffsetDateTime) -> Result<(), Conflict> {
        if let Ok(command) = self.ring.rotate(now) {
            self.change(store, |ring| perform(ring, command, now))?;
        }
        Ok(())
    }
}

pub(crate) fn perform(ring: &mut Ring, command: Command, now: OffsetDateTime) {
    match command {
        Command::Generate { cipher, version } => {
            let material = Material::generate(cipher, &mut rng()).unwrap();
            assert_eq!(ring.install(version, material, now).unwrap(), Command::Publish { version });
        }
        Command::Destroy { version } => ring.destroy(version, now).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn start(config: RingConfig, first: FirstActivation) -> (Store, Tower) {
    let store = Store::new(&Ring::new(config, first, START).unwrap());
    let tower = Tower::start(&store);
    (store, tower)
}

/// What verifiers could fetch and what they had to verify.
#[derive(Default)]
pub(crate) struct History {
    copies: Vec<Copy>,
    signatures: Vec<Signature>,
}

struct Copy {
    at: OffsetDateTime,
    max_age: time::Duration,
    kids: BTreeSet<String>,
}

struct Signature {
    at: OffsetDateTime,
    kid: String,
    /// Of the token that was signed.
    life: time::Duration,
}

impl History {
    /// A key set as it is served at `at`; an empty one is not served.
    pub(crate) fn serve(&mut self, kids: impl IntoIterator<Item = String>, max_age: Duration, at: OffsetDateTime) {
        let kids: BTreeSet<_> = kids.into_iter().collect();
        if !kids.is_empty() {
            self.copies.push(Copy { at, max_age: max_age.to_time(), kids });
        }
    }

    pub(crate) fn sign(&mut self, kid: &str, life: Duration, at: OffsetDateTime) {
        self.signatures.push(Signature { at, kid: kid.to_owned(), life: life.to_time() });
    }

    /// Every signature has its key in every copy by which anybody may verify it: those fetched before it was made that
    /// are still fresh, as late as distribution and skew allow, and all until the token has expired by the slowest
    /// clock.
    pub(crate) fn check(&self) -> Result<(), String> {
        let minute = time::Duration::MINUTE;
        for signature in &self.signatures {
            for copy in &self.copies {
                let fresh = copy.at + copy.max_age + minute + minute > signature.at;
                let needed = copy.at < signature.at + signature.life + minute;
                if fresh && needed && !copy.kids.contains(&signature.kid) {
                    let age = signature.at - copy.at;
                    return Err(format!(
                        "signed at {} with {}, life {}, but the copy of {} (age {age}, max-age {}) has {:?}",
                        signature.at, signature.kid, signature.life, copy.at, copy.max_age, copy.kids
                    ));
                }
            }
        }
        Ok(())
    }
}
