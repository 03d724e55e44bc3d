//! Rings of hosts: what strangers leave takes a fixed number of places, and the crate says who makes room.
//!
//! A place is a key of the store, so that there are never more than there are places, whoever writes at the same time: each write
//! is guarded by what was in the place. Which places there are is remembered here, as they were last seen; whoever relied on what
//! is no longer so has a conflict, and looks again.
//!
//! Hosts that come at the same time write to different places at the same time, so that their commits share a sync. Nobody waits for a
//! place: who finds all of them being written to has made room for those who write, as if it had come a moment before them.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyward_callhome_cert::{HostHash, HostRecord, Taking};
use tokio::sync::Notify;

use crate::{
    http::error::Answer,
    store::{Guard, Revision, Write},
};

/// What is on record of whoever has a place.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The last change of what is in the place.
    pub revision: Revision,
    /// Its record, where that is elsewhere, and the last change of it.
    pub record: Option<(String, Revision)>,
}

/// Who has a place.
pub(super) type Occupant = keyward_callhome_cert::Occupant<Kept>;

/// The places, and who has them.
pub(super) type Places = keyward_callhome_cert::Ring<Kept>;

/// As a record says it.
pub(super) fn occupant(record: &HostRecord, revision: Revision, at: Option<(String, Revision)>) -> Occupant {
    let (host, key) = (record.host().clone(), record.key().to_owned());
    Occupant { host, key, last_seen: record.last_seen(), rest: Kept { revision, record: at } }
}

/// A ring, as it was last seen.
#[derive(Default)]
pub struct Ring {
    state: Mutex<State>,
    /// Held by the one who looks at the places.
    looking: tokio::sync::Mutex<()>,
    returned: Notify,
}

#[derive(Default)]
struct State {
    /// Absent until they are looked at.
    places: Option<Places>,
    /// How often they were forgotten.
    forgotten: u64,
    /// How many are writing to some.
    writing: usize,
    /// Who is, by what only one may have in the ring at a time.
    coming: BTreeSet<String>,
}

/// A place for a host, which nobody else of this process writes to meanwhile.
pub(super) struct Place<'r> {
    ring: &'r Ring,
    whose: String,
    /// Present until it is known what became of it.
    taking: Option<Taking<Kept>>,
}

/// What there is for a host.
pub(super) enum Offer<'r> {
    /// A place.
    Place(Place<'r>),
    /// It has this one.
    Has(u32, Occupant),
    /// Somebody came meanwhile who concerns it: it is to be decided again.
    Again,
}

enum Attempt<'r> {
    Offer(Offer<'r>),
    /// They have to be looked at.
    Forgotten,
    /// Somebody whom it concerns is writing.
    Wait,
}

impl Ring {
    /// Forgets what was seen.
    pub fn forget(&self) {
        self.state().forget();
    }

    /// A place among `most` for a host, of which there is no second one with the same `whose` at a time.
    ///
    /// # Errors
    /// Those of `look`, which reads the places.
    pub(super) async fn offer<L: Future<Output = Answer<Places>>>(
        &self,
        record: &HostRecord,
        whose: String,
        most: u32,
        look: impl Fn() -> L,
    ) -> Answer<Offer<'_>> {
        loop {
            let returned = self.returned.notified();
            match self.attempt(record, &whose, most) {
                Attempt::Offer(offer) => return Ok(offer),
                Attempt::Forgotten => self.look(&look).await?,
                Attempt::Wait => {
                    returned.await;
                    return Ok(Offer::Again);
                }
            }
        }
    }

    fn attempt(&self, record: &HostRecord, whose: &str, most: u32) -> Attempt<'_> {
        let mut state = self.state();
        let State { places: Some(places), writing, coming, .. } = &mut *state else { return Attempt::Forgotten };
        if coming.contains(whose) {
            return Attempt::Wait;
        }
        if let Some((number, occupant)) = places.of(record.host(), record.key()) {
            return Attempt::Offer(Offer::Has(number, occupant.clone()));
        }
        let taking = Some(places.take(record.host(), most));
        *writing += 1;
        coming.insert(whose.to_owned());
        Attempt::Offer(Offer::Place(Place { ring: self, whose: whose.to_owned(), taking }))
    }

    /// Looks at the places, once nobody writes to one: what is seen while they are being written to is from before or after.
    async fn look<L: Future<Output = Answer<Places>>>(&self, look: impl Fn() -> L) -> Answer<()> {
        let _alone = self.looking.lock().await;
        loop {
            let returned = self.returned.notified();
            let (is_known, writing, forgotten) = {
                let state = self.state();
                (state.places.is_some(), state.writing, state.forgotten)
            };
            if is_known {
                return Ok(());
            }
            if writing > 0 {
                returned.await;
                continue;
            }
            let places = look().await?;
            let mut state = self.state();
            if state.forgotten == forgotten {
                state.places = Some(places);
            }
        }
    }

    /// The places that hosts with this host-id have.
    ///
    /// # Errors
    /// Those of `look`, which reads the places.
    pub(super) async fn places_of<L: Future<Output = Answer<Places>>>(
        &self,
        host: &HostHash,
        look: impl Fn() -> L,
    ) -> Answer<Vec<(u32, Occupant)>> {
        loop {
            let returned = self.returned.notified();
            let is_coming = {
                let state = self.state();
                let is_coming = state.coming.contains(host.as_str());
                if let Some(places) = state.places.as_ref().filter(|_| !is_coming) {
                    return Ok(places.places_of(host).map(|(number, occupant)| (number, occupant.clone())).collect());
                }
                is_coming
            };
            match is_coming {
                true => returned.await,
                false => self.look(&look).await?,
            }
        }
    }

    /// Takes down that whoever had this host-id is gone.
    pub(super) fn left(&self, host: &HostHash) {
        if let Some(places) = &mut self.state().places {
            places.leave(host);
        }
    }

    /// Takes down that a host was seen again.
    pub(super) fn seen(&self, record: &HostRecord, change: impl FnOnce(&mut Kept)) {
        if let Some(places) = &mut self.state().places {
            places.seen(record.host(), record.key(), record.last_seen(), change);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self) {
        self.places = None;
        self.forgotten += 1;
    }
}

impl Place<'_> {
    /// Its number; `None` for one who has made room already.
    pub(super) fn number(&self) -> Option<u32> {
        self.taking.as_ref()?.number
    }

    /// Who has to go.
    pub(super) fn gone(&self) -> &[(u32, Occupant)] {
        self.taking.as_ref().map_or(&[], |taking| &taking.gone)
    }

    /// What empties the places of those who go, and guards that they are still as they were seen. `key` spells the key of a place.
    pub(super) fn clear(&self, guards: &mut Vec<Guard>, writes: &mut Vec<Write>, key: impl Fn(u32) -> String) {
        for (number, occupant) in self.gone() {
            guards.push(Guard::At(key(*number), occupant.rest.revision));
            if Some(*number) != self.number() {
                writes.push(Write::Delete(key(*number)));
            }
            if let Some((record, revision)) = &occupant.rest.record {
                guards.push(Guard::At(record.clone(), *revision));
                writes.push(Write::Delete(record.clone()));
            }
        }
        if let Some(number) = self.number().filter(|own| self.gone().iter().all(|(number, _)| number != own)) {
            guards.push(Guard::Absent(key(number)));
        }
    }

    /// Whether a key of the store is one that [`clear`](Self::clear) guards.
    pub(super) fn is_about(&self, spelled: &str, key: impl Fn(u32) -> String) -> bool {
        let mut numbers = self.gone().iter().map(|(number, _)| *number).chain(self.number());
        let mut records = self.gone().iter().filter_map(|(_, occupant)| occupant.rest.record.as_ref());
        numbers.any(|number| key(number) == spelled) || records.any(|(record, _)| record == spelled)
    }

    /// It was written: this one has it now, if it is one.
    pub(super) fn keep(mut self, occupant: Occupant) {
        let Some(taking) = self.taking.take() else { return };
        if let (Some(places), Some(number)) = (&mut self.ring.state().places, taking.number) {
            places.put(number, occupant);
        }
    }

    /// Nothing was written, for a reason that has nothing to do with it.
    pub(super) fn give_back(mut self) {
        let Some(taking) = self.taking.take() else { return };
        if let Some(places) = &mut self.ring.state().places {
            places.give_back(taking);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.ring.state();
        state.writing -= 1;
        state.coming.remove(&self.whose);
        if self.taking.is_some() {
            // Perhaps it was written.
            state.forget();
        }
        drop(state);
        self.ring.returned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::atomic::AtomicUsize, task::Poll};

    use keyward_callhome_cert::{CallHomeSettings, Decision, Granularity, Knock, OnRecord, decide};
    use time::macros::datetime;

    use super::*;

    fn record(id: u32) -> HostRecord {
        let mut settings = CallHomeSettings::default();
        settings.client_certificate.verify = Granularity::Never;
        let host = HostHash::of(&format!("host-{id}").parse().unwrap());
        let knock = Knock::new(&host, "k", [192, 0, 2, 1].into());
        let now = datetime!(2026-03-01 00:00 UTC) + time::Duration::seconds(id.into());
        match decide(&settings, &knock, OnRecord::default(), now).unwrap() {
            Decision::Registered { record, .. } => record,
            other => panic!("{other:?}"),
        }
    }

    async fn nothing() -> Answer<Places> {
        Ok(Places::new([]))
    }

    async fn offer(ring: &Ring, id: u32, most: u32) -> Offer<'_> {
        ring.offer(&record(id), id.to_string(), most, nothing).await.unwrap()
    }

    async fn place(ring: &Ring, id: u32, most: u32) -> Place<'_> {
        match offer(ring, id, most).await {
            Offer::Place(place) => place,
            _ => panic!("{id} has no place"),
        }
    }

    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn nobody_waits_for_a_place() {
        let ring = Ring::default();
        let (first, second) = (place(&ring, 0, 2).await, place(&ring, 1, 2).await);
        let third = place(&ring, 2, 2).await;
        assert_eq!((first.number(), second.number(), third.number()), (Some(0), Some(1), None));
        assert!(third.gone().is_empty());
        third.keep(occupant(&record(2), 3, None));
        first.keep(occupant(&record(0), 1, None));
        second.give_back();
        assert!(matches!(offer(&ring, 0, 2).await, Offer::Has(0, _)));
        assert_eq!(place(&ring, 3, 2).await.number(), Some(1));
    }

    #[tokio::test]
    async fn the_same_host_waits_until_it_is_known_what_became_of_it() {
        let ring = Ring::default();
        let first = place(&ring, 0, 4).await;
        let mut again = pin!(offer(&ring, 0, 4));
        assert!(is_pending(again.as_mut()).await);
        first.keep(occupant(&record(0), 1, None));
        assert!(matches!(again.await, Offer::Again));
        assert!(matches!(offer(&ring, 0, 4).await, Offer::Has(0, _)));
    }

    #[tokio::test]
    async fn nobody_looks_while_somebody_writes() {
        let (ring, looks) = (Ring::default(), AtomicUsize::new(0));
        let look = || async {
            looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            nothing().await
        };
        let (one, two) = (record(1), record(2));
        let Offer::Place(writing) = ring.offer(&one, "1".to_owned(), 4, look).await.unwrap() else { panic!() };
        ring.forget();
        let mut next = pin!(ring.offer(&two, "2".to_owned(), 4, look));
        assert!(is_pending(next.as_mut()).await);
        assert_eq!(looks.load(std::sync::atomic::Ordering::Relaxed), 1);
        drop(writing);
        assert!(matches!(next.await.unwrap(), Offer::Place(_)));
        assert_eq!(looks.load(std::sync::atomic::Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn who_goes_is_guarded_and_its_record_goes_with_it() {
        let ring = Ring::default();
        for id in 0..2 {
            let at = Some((format!("host-{id}"), 7));
            place(&ring, id, 2).await.keep(occupant(&record(id), 5, at));
        }
        let place = place(&ring, 9, 1).await;
        let (mut guards, mut writes) = (Vec::new(), Vec::new());
        place.clear(&mut guards, &mut writes, |number| number.to_string());
        let deleted: Vec<_> = writes.iter().filter_map(Write::key).collect();
        assert_eq!((place.number(), deleted), (Some(0), vec!["1", "host-1", "host-0"]));
        assert_eq!(guards.len(), 4);
    }
}
