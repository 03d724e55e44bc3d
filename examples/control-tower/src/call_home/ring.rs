//! Rings of hosts: what strangers leave takes a fixed number of places, and who was seen longest ago makes room.
//!
//! A place is a key of the store, so that there are never more than there are places, whoever writes at the same time: each write
//! is guarded by what was in the place. Which places there are is remembered here, as they were last seen; whoever relied on what
//! is no longer so has a conflict, and looks again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyward_callhome_cert::{HostHash, HostRecord, displaced_of};
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::{
    http::error::Answer,
    store::{Guard, Revision, Write},
};

/// Who has a place.
#[derive(Clone, Debug)]
pub(super) struct Occupant {
    /// The hash of its host-id.
    pub host: HostHash,
    /// The thumbprint of its key.
    pub key: String,
    /// When it was seen last.
    pub last_seen: OffsetDateTime,
    /// The last change of what is in the place.
    pub revision: Revision,
    /// Its record, where that is elsewhere, and the last change of it.
    pub record: Option<(String, Revision)>,
}

impl Occupant {
    /// As a record says it.
    pub(super) fn new(record: &HostRecord, revision: Revision, at: Option<(String, Revision)>) -> Self {
        let (host, key) = (record.host().clone(), record.key().to_owned());
        Self { host, key, last_seen: record.last_seen(), revision, record: at }
    }
}

/// The places, by their numbers.
pub(super) type Places = BTreeMap<u32, Occupant>;

/// A ring, as it was last seen.
#[derive(Default)]
pub struct Ring {
    state: Mutex<State>,
    returned: Notify,
}

#[derive(Default)]
struct State {
    /// Absent until they are looked at.
    places: Option<Places>,
    /// Being written to.
    taken: BTreeSet<u32>,
    /// For whom.
    coming: BTreeSet<(HostHash, String)>,
}

/// A place for a host, which nobody else of this process writes to meanwhile.
pub(super) struct Place<'r> {
    ring: &'r Ring,
    number: u32,
    whose: (HostHash, String),
    /// Who has to go.
    gone: Vec<(u32, Occupant)>,
    is_kept: bool,
}

/// What there is for a host.
pub(super) enum Offer<'r> {
    /// A place.
    Place(Place<'r>),
    /// It has this one.
    Has(u32, Occupant),
}

enum Attempt<'r> {
    Offer(Offer<'r>),
    /// It has to be looked at again.
    Forgotten,
    /// All places, or one for this host, are being written to.
    Wait,
}

impl Ring {
    /// Forgets what was seen.
    pub fn forget(&self) {
        self.state().places = None;
    }

    /// A place among `most` for a host. Waits while all are being written to, or one for this host is.
    ///
    /// # Errors
    /// Those of `look`, which reads the places.
    pub(super) async fn offer<L: Future<Output = Answer<Places>>>(
        &self,
        host: &HostHash,
        key: &str,
        most: u32,
        look: impl Fn() -> L,
    ) -> Answer<Offer<'_>> {
        let whose = (host.clone(), key.to_owned());
        loop {
            let returned = self.returned.notified();
            if self.state().places.is_none() {
                let places = look().await?;
                self.state().places.get_or_insert(places);
            }
            match self.attempt(&whose, most) {
                Attempt::Offer(offer) => return Ok(offer),
                Attempt::Forgotten => {}
                Attempt::Wait => returned.await,
            }
        }
    }

    fn attempt(&self, whose: &(HostHash, String), most: u32) -> Attempt<'_> {
        let mut state = self.state();
        let State { places: Some(places), taken, coming } = &mut *state else { return Attempt::Forgotten };
        let mut of_host = places.iter().filter(|(_, one)| one.host == whose.0 && one.key == whose.1);
        if let Some((number, occupant)) = of_host.next() {
            return Attempt::Offer(Offer::Has(*number, occupant.clone()));
        }
        if coming.contains(whose) {
            return Attempt::Wait;
        }
        let Some((number, gone)) = choose(places, taken, most) else { return Attempt::Wait };
        taken.insert(number);
        taken.extend(gone.iter().map(|(number, _)| *number));
        coming.insert(whose.clone());
        Attempt::Offer(Offer::Place(Place { ring: self, number, whose: whose.clone(), gone, is_kept: false }))
    }

    /// Takes down that a host was seen again.
    pub fn seen(&self, record: &HostRecord, at: &str, revision: Revision) {
        let mut state = self.state();
        let Some(places) = &mut state.places else { return };
        for occupant in places.values_mut().filter(|occupant| occupant.host == *record.host()) {
            if occupant.record.as_ref().is_some_and(|(key, _)| key == at) {
                occupant.last_seen = record.last_seen();
                occupant.record = Some((at.to_owned(), revision));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that nobody is writing to, and who has to go for it: nobody, while there are free ones.
fn choose(places: &Places, taken: &BTreeSet<u32>, most: u32) -> Option<(u32, Vec<(u32, Occupant)>)> {
    let most = most.max(1);
    // Those that are too many since there may be fewer.
    let beyond = places.range(most..).filter(|(number, _)| !taken.contains(number));
    let mut gone: Vec<_> = beyond.map(|(number, occupant)| (*number, occupant.clone())).collect();
    let free = (0..most).find(|number| !places.contains_key(number) && !taken.contains(number));
    if let Some(number) = free {
        return Some((number, gone));
    }
    let within = places.range(..most).filter(|(number, _)| !taken.contains(number));
    let oldest = displaced_of(within.map(|(number, one)| ((one.last_seen, &one.host, &one.key), *number)), 1).next()?;
    gone.push((oldest, places.get(&oldest)?.clone()));
    Some((oldest, gone))
}

impl Place<'_> {
    /// Its number.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// What empties the places of those who go, and guards that they are still as they were seen. `key` spells the key of a place.
    pub(super) fn clear(&self, guards: &mut Vec<Guard>, writes: &mut Vec<Write>, key: impl Fn(u32) -> String) {
        for (number, occupant) in &self.gone {
            guards.push(Guard::At(key(*number), occupant.revision));
            if *number != self.number {
                writes.push(Write::Delete(key(*number)));
            }
            if let Some((record, revision)) = &occupant.record {
                guards.push(Guard::At(record.clone(), *revision));
                writes.push(Write::Delete(record.clone()));
            }
        }
        if !self.gone.iter().any(|(number, _)| *number == self.number) {
            guards.push(Guard::Absent(key(self.number)));
        }
    }

    /// It was written.
    pub(super) fn keep(mut self, occupant: Occupant) {
        let mut state = self.ring.state();
        if let Some(places) = &mut state.places {
            for (number, _) in &self.gone {
                places.remove(number);
            }
            places.insert(self.number, occupant);
        }
        drop(state);
        self.is_kept = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.ring.state();
        state.taken.remove(&self.number);
        for (number, _) in &self.gone {
            state.taken.remove(number);
        }
        state.coming.remove(&self.whose);
        if !self.is_kept {
            state.places = None;
        }
        drop(state);
        self.ring.returned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);

    fn hash(id: u32) -> HostHash {
        HostHash::of(&format!("host-{id}").parse().unwrap())
    }

    fn occupant(id: u32) -> Occupant {
        let last_seen = NOW + Duration::seconds(id.into());
        Occupant { host: hash(id), key: "k".to_owned(), last_seen, revision: 1, record: None }
    }

    async fn nothing() -> Answer<Places> {
        Ok(Places::new())
    }

    async fn place(ring: &Ring, id: u32, most: u32) -> Option<Place<'_>> {
        match ring.offer(&hash(id), "k", most, nothing).await.unwrap() {
            Offer::Place(place) => Some(place),
            Offer::Has(..) => None,
        }
    }

    #[tokio::test]
    async fn the_one_that_was_seen_longest_ago_makes_room() {
        let ring = Ring::default();
        for id in 0..5 {
            let place = place(&ring, id, 3).await.unwrap();
            assert_eq!(place.number(), id % 3);
            place.keep(occupant(id));
        }
        // Who has a place needs no other.
        assert!(place(&ring, 4, 3).await.is_none());
        assert!(place(&ring, 0, 3).await.is_some());
    }

    #[tokio::test]
    async fn with_fewer_places_those_beyond_are_emptied() {
        let ring = Ring::default();
        for id in 0..5 {
            place(&ring, id, 5).await.unwrap().keep(occupant(id));
        }
        let place = place(&ring, 9, 2).await.unwrap();
        let (mut guards, mut writes) = (Vec::new(), Vec::new());
        place.clear(&mut guards, &mut writes, |number| number.to_string());
        let deleted: Vec<_> = writes.iter().filter_map(Write::key).collect();
        assert_eq!((place.number(), deleted), (0, vec!["2", "3", "4"]));
        assert_eq!(guards.len(), 4);
    }

    #[tokio::test]
    async fn nobody_is_offered_a_place_that_is_being_written_to() {
        let ring = Ring::default();
        let first = place(&ring, 0, 1).await.unwrap();
        // The same host comes a second time meanwhile, and another one.
        let (again, second) = (place(&ring, 0, 1), place(&ring, 1, 1));
        let (mut again, mut second) = (std::pin::pin!(again), std::pin::pin!(second));
        assert!(futures_are_pending(again.as_mut()).await && futures_are_pending(second.as_mut()).await);
        first.keep(occupant(0));
        assert!(again.await.is_none());
        assert_eq!(second.await.unwrap().gone.len(), 1);
    }

    async fn futures_are_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        let mut future = future;
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
