//! Bringing every record under the current key-encryption key, page by page, so that the former ones can be destroyed.
//!
//! ```text
//!            ┌──────────── some are not ───────────┐
//!            ▼                                     │
//! begin ─▶ survey: count what is not under ─▶ rewrap those ─▶ survey again
//!            │ the current key                     │
//!            │ all are                             └─ some do not open ─▶ blocked ─ resume ─▶ survey
//!            ▼
//!         verified ── no older state of the store can be read ──▶ done: former keys are destroyed
//! ```
//! What follows from a survey without a find holds only if nobody can store a record under a former key any more. So
//! whoever stores records guards each commit by the revision of the keyring that it sealed them with.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{KekSet, RecordError, reseal, seal::check_format, sealed_under};

const FORMAT: u32 = 1;
const EXPECTED: &str = "progress of a rewrap";

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RewrapStage {
    /// Counts the records that are not under the current key.
    Survey,
    /// Seals them anew.
    Rewrap,
    /// A whole survey found none. Former states of the store, while they can be read, may still need the former keys.
    Verified,
    /// Some records do not open, so the former keys stay.
    Blocked,
    /// The former keys are destroyed.
    Done,
}

impl RewrapStage {
    /// Its name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Rewrap => "rewrap",
            Self::Verified => "verified",
            Self::Blocked => "blocked",
            Self::Done => "done",
        }
    }
}

/// The work after a rotation of the key-encryption key. It is stored with each step, in the same commit, so that it goes on where
/// it was after a restart, and so that of two processes one does each step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rewrap {
    format: u32,
    target: u32,
    stage: RewrapStage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    seen: u64,
    found: u64,
    rewrapped: u64,
    unreadable: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_unreadable: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// What a step comes to.
#[derive(Debug)]
#[must_use]
pub struct RewrapStep {
    /// What is to be stored as the progress.
    pub next: Rewrap,
    /// What is to be stored in place of records, by their paths, each guarded by the revision that it was read at.
    pub records: Vec<(String, Vec<u8>)>,
}

impl Rewrap {
    /// The work that begins when the key of version `target` becomes the current one.
    pub fn begin(target: u32) -> Self {
        Self {
            format: FORMAT,
            target,
            stage: RewrapStage::Survey,
            position: None,
            seen: 0,
            found: 0,
            rewrapped: 0,
            unreadable: 0,
            first_unreadable: None,
            total: None,
        }
    }

    /// The stored text.
    ///
    /// # Errors
    /// None that occurs.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        serde_json::to_vec(self)
            .map_err(|_| RecordError::Malformed { expected: EXPECTED, reason: "it cannot be written" })
    }

    /// Reads the stored text.
    ///
    /// # Errors
    /// [`RecordError::UnknownFormat`], [`RecordError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        check_format(bytes, FORMAT, EXPECTED)?;
        serde_json::from_slice(bytes).map_err(|_| RecordError::Malformed {
            expected: EXPECTED,
            reason: "a field is missing, or is another one's",
        })
    }

    /// The version that all records are to be under.
    pub fn target(&self) -> u32 {
        self.target
    }

    /// How far it is.
    pub fn stage(&self) -> RewrapStage {
        self.stage
    }

    /// The last key that was looked at in this pass.
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// Records sealed anew, of those that were found under former keys.
    pub fn done(&self) -> (u64, u64) {
        (self.rewrapped, self.found)
    }

    /// All records, as the last whole survey counted them, or those seen so far in the first.
    pub fn total(&self) -> u64 {
        self.total.unwrap_or(self.seen)
    }

    /// How many records did not open, and the path of the first.
    pub fn unreadable(&self) -> Option<(u64, &str)> {
        self.first_unreadable.as_deref().map(|first| (self.unreadable, first))
    }

    /// Looks at the next page: the sealed records of it, and up to where it goes, or nothing behind the last one.
    ///
    /// Nothing is to be done (`None`) when the keys are not those of this work, because another process was faster, or when the
    /// stage is not one that looks at records.
    ///
    /// # Errors
    /// [`RecordError::Keys`] when the backend fails.
    pub fn step<'a>(
        &self,
        keks: &KekSet,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        position: Option<&str>,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<RewrapStep>, RecordError> {
        if keks.current().version() != self.target || !matches!(self.stage, RewrapStage::Survey | RewrapStage::Rewrap) {
            return Ok(None);
        }
        let mut next = self.clone();
        let mut changed = Vec::new();
        for (path, record) in records {
            next.seen = next.seen.saturating_add(1);
            if sealed_under(record) == Some(self.target) {
                continue;
            }
            if self.stage == RewrapStage::Survey {
                next.found = next.found.saturating_add(1);
                continue;
            }
            match reseal(keks, path, record, rng) {
                Ok(record) => {
                    next.rewrapped = next.rewrapped.saturating_add(1);
                    changed.push((path.to_owned(), record));
                }
                Err(RecordError::Keys(error)) => return Err(error.into()),
                Err(_) => {
                    next.unreadable = next.unreadable.saturating_add(1);
                    next.first_unreadable.get_or_insert_with(|| path.to_owned());
                }
            }
        }
        next.position = position.map(str::to_owned);
        if position.is_none() {
            next = next.pass_ended();
        }
        Ok(Some(RewrapStep { next, records: changed }))
    }

    fn pass_ended(self) -> Self {
        match self.stage {
            RewrapStage::Survey => {
                let total = Some(self.seen);
                let stage = if self.found == 0 { RewrapStage::Verified } else { RewrapStage::Rewrap };
                Self { stage, total, seen: 0, rewrapped: 0, ..self }
            }
            _ if self.unreadable > 0 => Self { stage: RewrapStage::Blocked, ..self },
            _ => Self { total: self.total, ..Self::begin(self.target) },
        }
    }

    /// What a verified one becomes with the commit that destroys the former keys.
    pub fn finished(self) -> Option<Self> {
        (self.stage == RewrapStage::Verified).then_some(Self { stage: RewrapStage::Done, ..self })
    }

    /// What a blocked one becomes when it is tried again.
    pub fn resumed(self) -> Option<Self> {
        (self.stage == RewrapStage::Blocked).then(|| Self { total: self.total, ..Self::begin(self.target) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{Kek, open, seal, testing::rng};

    type Store = BTreeMap<String, Vec<u8>>;

    /// One page of at most `size` records.
    fn step(work: &Rewrap, keks: &KekSet, store: &mut Store, size: usize) -> Rewrap {
        let start = work.position().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let page: Store = store
            .range::<str, _>((start, std::ops::Bound::Unbounded))
            .take(size)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let last = page.keys().next_back().filter(|_| page.len() == size).map(String::as_str);
        let records = page.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        let RewrapStep { next, records } = work.step(keks, records, last, &mut rng(9)).unwrap().unwrap();
        store.extend(records);
        // What is stored is what goes on.
        Rewrap::decode(&next.encode().unwrap()).unwrap()
    }

    fn keks() -> KekSet {
        KekSet::new(Kek::from_bytes(1, &[1; 32]).unwrap())
    }

    fn put(store: &mut Store, keks: &KekSet, path: &str) {
        store.insert(path.to_owned(), seal(keks.current(), path, path.as_bytes(), &mut rng(3)).unwrap());
    }

    #[test]
    fn everything_comes_under_the_new_key() {
        let (mut keks, mut store) = (keks(), Store::new());
        for n in 0..10 {
            put(&mut store, &keks, &format!("k/{n}"));
        }
        keks.rotate(&mut rng(1)).unwrap();
        let mut work = Rewrap::begin(2);
        let mut stages = Vec::new();
        while work.stage() != RewrapStage::Verified {
            work = step(&work, &keks, &mut store, 3);
            stages.push((work.stage().as_str(), work.done(), work.total()));
        }
        assert_eq!(stages[2], ("survey", (0, 9), 9));
        assert_eq!(stages[3], ("rewrap", (0, 10), 10));
        assert_eq!(stages[5], ("rewrap", (6, 10), 10));
        assert_eq!(stages[7], ("survey", (0, 0), 10));
        assert_eq!(stages.last().unwrap(), &("verified", (0, 0), 10));
        let done = work.finished().unwrap();
        assert_eq!((done.stage(), done.clone().finished(), done.resumed()), (RewrapStage::Done, None, None));
        keks.drop_former();
        for (path, record) in &store {
            assert_eq!(open(&keks, path, record).unwrap().as_slice(), path.as_bytes());
        }
    }

    #[test]
    fn what_does_not_open_keeps_the_former_keys() {
        let (mut keks, mut store) = (keks(), Store::new());
        put(&mut store, &keks, "a");
        put(&mut store, &keks, "c");
        let foreign = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
        put(&mut store, &foreign, "b");
        keks.rotate(&mut rng(1)).unwrap();
        let mut work = Rewrap::begin(2);
        while work.stage() != RewrapStage::Blocked {
            work = step(&work, &keks, &mut store, 2);
        }
        assert_eq!(work.unreadable(), Some((1, "b")));
        assert_eq!(work.done(), (2, 3));
        assert!(work.clone().finished().is_none());
        store.remove("b");
        let mut work = work.resumed().unwrap();
        while work.stage() != RewrapStage::Verified {
            work = step(&work, &keks, &mut store, 2);
        }
    }

    #[test]
    fn work_for_other_keys_does_nothing() {
        let mut keks = keks();
        let work = Rewrap::begin(2);
        assert!(work.step(&keks, [], None, &mut rng(1)).unwrap().is_none());
        keks.rotate(&mut rng(1)).unwrap();
        let verified = work.step(&keks, [], None, &mut rng(1)).unwrap().unwrap().next;
        assert_eq!(verified.stage(), RewrapStage::Verified);
        assert!(verified.step(&keks, [], None, &mut rng(1)).unwrap().is_none());
    }

    #[test]
    fn newer_progress_is_refused() {
        let text = String::from_utf8(Rewrap::begin(2).encode().unwrap()).unwrap();
        let newer = text.replace("\"format\":1", "\"format\":3");
        assert_eq!(Rewrap::decode(newer.as_bytes()), Err(RecordError::UnknownFormat { found: 3, known: 1 }));
        assert!(Rewrap::decode(b"{\"format\":1}").is_err());
    }

    #[derive(Clone, Debug)]
    enum Event {
        Put(u8),
        Delete(u8),
        Rotate,
        Step,
        /// A step whose commit fails, or whose process dies before it.
        Lost,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..40_u8).prop_map(Event::Put),
            1 => (0..40_u8).prop_map(Event::Delete),
            1 => Just(Event::Rotate),
            12 => Just(Event::Step),
            3 => Just(Event::Lost),
        ]
    }

    proptest! {
        /// Whatever is written and rotated meanwhile: when a survey verifies, and the former keys go, nothing is lost.
        #[test]
        fn nothing_is_lost(events in proptest::collection::vec(event(), 0..300), size in 1..5_usize) {
            let (mut keks, mut store, mut work) = (keks(), Store::new(), Rewrap::begin(1));
            for event in events {
                match event {
                    Event::Put(n) => put(&mut store, &keks, &format!("k/{n:02}")),
                    Event::Delete(n) => drop(store.remove(&format!("k/{n:02}"))),
                    Event::Rotate => {
                        keks.rotate(&mut rng(2)).unwrap();
                        work = Rewrap::begin(keks.current().version());
                    }
                    Event::Step => match work.stage() {
                        RewrapStage::Verified => {
                            keks.drop_former();
                            work = work.finished().unwrap();
                        }
                        RewrapStage::Done => {}
                        stage => {
                            prop_assert_ne!(stage, RewrapStage::Blocked);
                            work = step(&work, &keks, &mut store, size);
                        }
                    },
                    Event::Lost if matches!(work.stage(), RewrapStage::Survey | RewrapStage::Rewrap) => {
                        let _ = step(&work, &keks, &mut store.clone(), size);
                    }
                    Event::Lost => {}
                }
                for (path, record) in &store {
                    let opened = open(&keks, path, record).unwrap();
                    prop_assert_eq!(opened.as_slice(), path.as_bytes());
                }
            }
        }
    }
}
