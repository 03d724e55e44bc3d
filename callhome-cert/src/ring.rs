//! Who makes room in a ring: what strangers leave takes a fixed number of places.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::OffsetDateTime;

use crate::HostHash;

/// Who has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant<T> {
    /// The hash of its host-id.
    pub host: HostHash,
    /// The thumbprint of its key.
    pub key: String,
    /// When it was seen last.
    pub last_seen: OffsetDateTime,
    /// What else its keeper knows of it.
    pub rest: T,
}

/// The places of a ring, and who has them. One that is taken to be written to is nobody's until something is put there.
///
/// The one that was seen longest ago makes room: a host that is still there calls again and comes back, and a flood pushes nobody
/// out for good. Where a host-id has more than one place, one of the host-id with the most makes room: who knows the host-id
/// of one host, and makes keys for it without end, pushes out nobody else's, however many of them come at once.
#[derive(Debug, Clone)]
pub struct Ring<T> {
    /// How many places there are.
    most: u32,
    places: BTreeMap<u32, Occupant<T>>,
    /// Places in which nobody is.
    free: BTreeSet<u32>,
    /// For whom places were taken in which nobody is yet.
    coming: BTreeMap<u32, HostHash>,
    /// By host-id, its places in the order in which they make room.
    of_host: HashMap<HostHash, BTreeSet<(OffsetDateTime, String, u32)>>,
    /// The host-ids in the order in which they make room, the first one last: by how many places they have, and by how long ago one
    /// of them was seen.
    order: BTreeSet<(usize, Reverse<OffsetDateTime>, HostHash)>,
}

/// What is to be written to: nobody else takes it meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking<T> {
    /// The place; `None` where nobody is in a place that could make room, because all of them, or those of its host-id, are being
    /// written to: whoever takes it has made room already.
    pub number: Option<u32>,
    /// Who has to go, by their places.
    pub gone: Vec<(u32, Occupant<T>)>,
}

impl<T> Ring<T> {
    /// Of these.
    pub fn new(occupants: impl IntoIterator<Item = (u32, Occupant<T>)>) -> Self {
        let mut ring = Self {
            most: 0,
            places: BTreeMap::new(),
            free: BTreeSet::new(),
            coming: BTreeMap::new(),
            of_host: HashMap::new(),
            order: BTreeSet::new(),
        };
        for (number, occupant) in occupants {
            ring.most = ring.most.max(number.saturating_add(1));
            ring.put(number, occupant);
        }
        ring.free = (0..ring.most).filter(|number| !ring.places.contains_key(number)).collect();
        ring
    }

    /// The place that a host has, by its host-id and its key.
    pub fn of(&self, host: &HostHash, key: &str) -> Option<(u32, &Occupant<T>)> {
        let (.., number) = self.of_host.get(host)?.iter().find(|(_, own, _)| own == key)?;
        Some((*number, self.places.get(number)?))
    }

    /// The places that hosts with this host-id have.
    pub fn places_of(&self, host: &HostHash) -> impl Iterator<Item = (u32, &Occupant<T>)> {
        let numbers = self.of_host.get(host).into_iter().flatten();
        numbers.filter_map(|(.., number)| Some((*number, self.places.get(number)?)))
    }

    /// Of those with this host-id, the one that was seen last.
    pub fn latest_of(&self, host: &HostHash) -> Option<(u32, &Occupant<T>)> {
        self.places_of(host).last()
    }

    /// Whoever has this host-id is gone, and its places are free.
    pub fn leave(&mut self, host: &HostHash) {
        let numbers: Vec<u32> = self.places_of(host).map(|(number, _)| number).collect();
        for number in numbers {
            self.remove(number);
            // One beyond those that there are by now is none.
            self.free.extend(Some(number).filter(|number| *number < self.most));
        }
    }

    /// Takes one of `most` places for a newcomer with this host-id: a free one, or the one of whoever makes room. If there are fewer
    /// than there were, those beyond them go, too.
    pub fn take(&mut self, host: &HostHash, most: u32) -> Taking<T> {
        let most = most.max(1);
        if most > self.most {
            self.free.extend(self.most..most);
        } else if most < self.most {
            self.free.split_off(&most);
        }
        self.most = most;
        let beyond: Vec<u32> = self.places.range(most..).map(|(number, _)| *number).collect();
        let mut gone: Vec<_> = beyond.into_iter().filter_map(|number| Some((number, self.remove(number)?))).collect();
        let number = match self.free.pop_first() {
            Some(number) => Some(number),
            None => {
                let number = self.next_to_go(host);
                gone.extend(number.and_then(|number| Some((number, self.remove(number)?))));
                number
            }
        };
        self.coming.extend(number.map(|number| (number, host.clone())));
        Taking { number, gone }
    }

    /// Puts somebody into a place that was taken.
    pub fn put(&mut self, number: u32, occupant: Occupant<T>) {
        self.coming.remove(&number);
        self.remove(number);
        self.changed(&occupant.host, |places| {
            places.insert((occupant.last_seen, occupant.key.clone(), number));
        });
        self.places.insert(number, occupant);
    }

    /// Puts everybody back as it was before something was taken.
    pub fn give_back(&mut self, taking: Taking<T>) {
        if let Some(number) = taking.number {
            self.coming.remove(&number);
        }
        let own = taking.number.filter(|number| *number < self.most);
        self.free.extend(own.filter(|own| taking.gone.iter().all(|(number, _)| number != own)));
        for (number, occupant) in taking.gone {
            self.put(number, occupant);
        }
    }

    /// Takes down that whoever has a place was seen again, and what else is new of it.
    pub fn seen(&mut self, host: &HostHash, key: &str, last_seen: OffsetDateTime, rest: impl FnOnce(&mut T)) {
        let Some((number, _)) = self.of(host, key) else { return };
        let Some(mut occupant) = self.remove(number) else { return };
        occupant.last_seen = last_seen;
        rest(&mut occupant.rest);
        self.put(number, occupant);
    }

    /// Who makes room for a newcomer with this host-id.
    fn next_to_go(&self, newcomer: &HostHash) -> Option<u32> {
        let (most, _, host) = self.order.last()?;
        let own = self.of_host.get(newcomer).map_or(0, BTreeSet::len);
        let coming = self.coming.values().filter(|host| *host == newcomer).count();
        // With the newcomer there would be more of its host-id than of any other.
        let host = if own + coming < *most { host } else { newcomer };
        self.of_host.get(host)?.first().map(|(.., number)| *number)
    }

    fn remove(&mut self, number: u32) -> Option<Occupant<T>> {
        let occupant = self.places.remove(&number)?;
        self.changed(&occupant.host, |places| {
            places.remove(&(occupant.last_seen, occupant.key.clone(), number));
        });
        Some(occupant)
    }

    /// Changes the places of a host-id, and where it stands among the others.
    fn changed(&mut self, host: &HostHash, change: impl FnOnce(&mut BTreeSet<(OffsetDateTime, String, u32)>)) {
        let standing = |places: &BTreeSet<(OffsetDateTime, String, u32)>| {
            places.first().map(|(seen, ..)| (places.len(), Reverse(*seen), host.clone()))
        };
        let places = self.of_host.entry(host.clone()).or_default();
        if let Some(before) = standing(places) {
            self.order.remove(&before);
        }
        change(places);
        match standing(places) {
            Some(after) => {
                self.order.insert(after);
            }
            None => {
                self.of_host.remove(host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);

    fn hash(id: u32) -> HostHash {
        HostHash::of(&format!("host-{id}").parse().unwrap())
    }

    fn occupant(id: u32, key: u32, second: u32) -> Occupant<()> {
        let last_seen = NOW + Duration::seconds(second.into());
        Occupant { host: hash(id), key: key.to_string(), last_seen, rest: () }
    }

    fn come(ring: &mut Ring<()>, most: u32, who: Occupant<()>) -> Vec<u32> {
        let taking = ring.take(&who.host, most);
        ring.put(taking.number.unwrap(), who);
        taking.gone.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn the_one_that_was_seen_longest_ago_makes_room() {
        let mut ring = Ring::new([]);
        for second in 0..3 {
            assert_eq!(come(&mut ring, 3, occupant(second, 0, second)), [0; 0]);
        }
        ring.seen(&hash(0), "0", NOW + Duration::MINUTE, |()| ());
        assert_eq!(come(&mut ring, 3, occupant(3, 0, 3)), [1]);
        assert!(ring.of(&hash(0), "0").is_some() && ring.of(&hash(1), "0").is_none());
        assert!(ring.of(&hash(0), "1").is_none());
    }

    #[test]
    fn one_host_id_with_many_keys_pushes_out_its_own() {
        let mut ring = Ring::new([]);
        for second in 0..3 {
            come(&mut ring, 6, occupant(second, 0, second));
        }
        for key in 0..100 {
            come(&mut ring, 6, occupant(9, key, 10 + key));
        }
        assert!((0..3).all(|id| ring.of(&hash(id), "0").is_some()));
        assert!((97..100).all(|key| ring.of(&hash(9), &key.to_string()).is_some()));
        // Others have their turn at once: of as many, the one that was seen longest ago.
        assert_eq!(come(&mut ring, 6, occupant(4, 0, 200)).len(), 1);
        assert!(ring.of(&hash(9), "97").is_none());
        come(&mut ring, 6, occupant(5, 0, 201));
        assert!(ring.of(&hash(9), "98").is_none());
        come(&mut ring, 6, occupant(6, 0, 202));
        assert!(ring.of(&hash(0), "0").is_none());
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut ring = Ring::new([(0, occupant(0, 0, 0)), (1, occupant(1, 0, 1)), (2, occupant(1, 1, 2))]);
        let places = |ring: &Ring<()>, id| ring.places_of(&hash(id)).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!((places(&ring, 1), places(&ring, 9)), (vec![1, 2], vec![]));
        let latest = |ring: &Ring<()>, id| ring.latest_of(&hash(id)).map(|(number, _)| number);
        assert_eq!((latest(&ring, 1), latest(&ring, 9)), (Some(2), None));
        ring.seen(&hash(1), "0", NOW + Duration::MINUTE, |()| ());
        assert_eq!(latest(&ring, 1), Some(1));
        ring.leave(&hash(1));
        ring.leave(&hash(9));
        assert_eq!((places(&ring, 0), places(&ring, 1)), (vec![0], vec![]));
        assert_eq!(come(&mut ring, 3, occupant(2, 0, 3)), [0; 0]);
        assert_eq!(come(&mut ring, 3, occupant(3, 0, 4)), [0; 0]);
        assert_eq!(come(&mut ring, 3, occupant(4, 0, 5)), [0]);
    }

    #[test]
    fn with_fewer_places_those_beyond_go() {
        let mut ring = Ring::new((0..5).map(|id| (id, occupant(id, 0, id))));
        let taking = ring.take(&hash(9), 2);
        let gone: Vec<u32> = taking.gone.iter().map(|(number, _)| *number).collect();
        assert_eq!((taking.number, gone), (Some(0), vec![2, 3, 4, 0]));
        ring.put(0, occupant(9, 0, 9));
        // And with more there is room again.
        assert_eq!(ring.take(&hash(8), 3), Taking { number: Some(2), gone: Vec::new() });
    }

    #[test]
    fn whoever_comes_while_all_places_are_being_written_to_has_made_room() {
        let mut ring = Ring::new([(1, occupant(1, 0, 1))]);
        assert_eq!(ring.take(&hash(12), 2).number, Some(0));
        assert_eq!(ring.take(&hash(13), 2), Taking { number: Some(1), gone: vec![(1, occupant(1, 0, 1))] });
        assert_eq!(ring.take(&hash(14), 2), Taking { number: None, gone: Vec::new() });
        ring.put(1, occupant(2, 0, 2));
        let taking = ring.take(&hash(15), 2);
        assert_eq!(taking.number, Some(1));
        // Or it was for nothing.
        ring.give_back(taking);
        assert!(ring.of(&hash(2), "0").is_some());
        ring.give_back(Taking { number: Some(0), gone: Vec::new() });
        assert_eq!(ring.take(&hash(16), 2).number, Some(0));
    }

    #[test]
    fn one_host_id_with_many_keys_at_once_pushes_out_nobody_else() {
        let mut ring = Ring::new((0..2).map(|id| (id, occupant(id, 0, id))));
        // None of them is in its place when the next one comes.
        let takings: Vec<_> = (0..100).map(|_| ring.take(&hash(9), 6)).collect();
        let taken: Vec<u32> = takings.iter().filter_map(|taking| taking.number).collect();
        assert_eq!(taken, [2, 3, 4, 5]);
        assert!(takings.iter().all(|taking| taking.gone.is_empty()));
        for (key, taking) in (0..).zip(takings) {
            match taking.number {
                Some(2) => ring.give_back(taking),
                Some(number) => ring.put(number, occupant(9, key, 10 + key)),
                None => {}
            }
        }
        assert!((0..2).all(|id| ring.of(&hash(id), "0").is_some()));
        // A second one has its share, and not more.
        let takings: Vec<_> = (0..100).map(|_| ring.take(&hash(8), 6)).collect();
        assert_eq!(takings.iter().filter_map(|taking| taking.number).collect::<Vec<_>>(), [2, 3]);
        assert!((0..2).all(|id| ring.of(&hash(id), "0").is_some()));
        assert_eq!(ring.coming.len(), 2);
    }

    proptest! {
        /// There are never more than there are places, and the bookkeeping agrees with them.
        #[test]
        fn rings_are_bounded(comes in prop::collection::vec((1_u32..6, 0_u32..4, 0_u32..4, 0_u32..9), 1..60)) {
            let mut ring = Ring::new([]);
            for (most, id, key, second) in comes {
                if second == 0 {
                    ring.leave(&hash(id));
                    prop_assert_eq!(ring.free.len() + ring.places.len(), ring.most as usize);
                    prop_assert!(ring.places_of(&hash(id)).next().is_none());
                }
                if ring.of(&hash(id), &key.to_string()).is_some() {
                    ring.seen(&hash(id), &key.to_string(), NOW + Duration::seconds(second.into()), |()| ());
                    continue;
                }
                come(&mut ring, most, occupant(id, key, second));
                prop_assert!(ring.places.keys().all(|number| *number < most));
                prop_assert!(ring.of(&hash(id), &key.to_string()).is_some());
                prop_assert_eq!(ring.of_host.values().map(BTreeSet::len).sum::<usize>(), ring.places.len());
                prop_assert_eq!(ring.order.len(), ring.of_host.len());
                prop_assert!(ring.coming.is_empty());
                prop_assert_eq!(ring.free.len() + ring.places.len(), ring.most as usize);
            }
        }
    }
}
