//! How many logins are under way, and whose: strangers begin them for nothing, and each is a record in the store.
//!
//! Of one network (see [`Network`]) the oldest makes room for the next one, so that nobody pushes out the logins of others. Where all
//! together are too many it is the oldest of the network that has most: whoever begins many loses their own before anybody loses the
//! only one they have. It is remembered in memory alone; what an earlier process stored ends by itself within its ten minutes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use keyward_webauthn_login::Key;
use time::OffsetDateTime;

use crate::network::Network;

/// Of one network: an office behind one address begins fewer in ten minutes.
const OF_ONE: usize = 512;
/// Of all together, about 60 MB in the store.
const OF_ALL: usize = 32_768;

/// Those that are under way.
#[derive(Default)]
pub struct Ceremonies(Mutex<UnderWay>);

#[derive(Default)]
struct UnderWay {
    next: u64,
    /// In the order in which they were stored, which is that in which they end.
    all: BTreeMap<u64, (Network, Key, OffsetDateTime)>,
    numbers: BTreeMap<Key, u64>,
    of: HashMap<Network, BTreeSet<u64>>,
    /// How many each network has; the last one has most.
    counts: BTreeSet<(usize, Network)>,
}

impl Ceremonies {
    /// Takes one down, and answers those that are to be removed for it.
    pub fn begin(&self, network: Network, key: Key, expires: OffsetDateTime, now: OffsetDateTime) -> Vec<Key> {
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((number, (.., ends))) = logins.all.first_key_value()
            && *ends <= now
        {
            let number = *number;
            logins.remove(number);
        }
        let mut removed = Vec::new();
        while logins.of.get(&network).is_some_and(|own| own.len() >= OF_ONE) {
            removed.extend(logins.remove_oldest(network));
        }
        while logins.all.len() >= OF_ALL {
            let Some((_, busiest)) = logins.counts.last().copied() else { break };
            removed.extend(logins.remove_oldest(busiest));
        }
        logins.insert(network, key, expires);
        removed
    }

    /// It is over, or goes on under another key.
    pub fn end(&self, key: &Key) {
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = logins.numbers.get(key).copied() {
            logins.remove(number);
        }
    }
}

impl UnderWay {
    fn insert(&mut self, network: Network, key: Key, expires: OffsetDateTime) {
        let number = self.next;
        self.next += 1;
        self.all.insert(number, (network, key, expires));
        self.numbers.insert(key, number);
        let own = self.of.entry(network).or_default();
        self.counts.remove(&(own.len(), network));
        own.insert(number);
        self.counts.insert((own.len(), network));
    }

    fn remove_oldest(&mut self, network: Network) -> Option<Key> {
        let oldest = self.of.get(&network)?.first().copied()?;
        self.remove(oldest)
    }

    fn remove(&mut self, number: u64) -> Option<Key> {
        let (network, key, _) = self.all.remove(&number)?;
        self.numbers.remove(&key);
        if let Some(own) = self.of.get_mut(&network) {
            self.counts.remove(&(own.len(), network));
            own.remove(&number);
            match own.len() {
                0 => drop(self.of.remove(&network)),
                left => drop(self.counts.insert((left, network))),
            }
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use time::Duration;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn network(number: u32) -> Network {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)).into()
    }

    fn begin(logins: &Ceremonies, of: u32, number: usize) -> Vec<Key> {
        let key = Key::of(&format!("{of}/{number}"));
        logins.begin(network(of), key, NOW + Duration::minutes(10), NOW)
    }

    #[test]
    fn whoever_begins_many_loses_their_own() {
        let logins = Ceremonies::default();
        assert!(begin(&logins, 0, 0).is_empty());
        for number in 0..OF_ONE {
            assert!(begin(&logins, 1, number).is_empty());
        }
        assert_eq!(begin(&logins, 1, OF_ONE), [Key::of("1/0")]);
        // One that is over makes room; so does one that goes on, and is then the youngest.
        logins.end(&Key::of("1/1"));
        assert!(begin(&logins, 1, OF_ONE + 1).is_empty());
        // From many networks: those that have many lose theirs, and whoever has one keeps it.
        for number in 0..OF_ALL {
            let removed = begin(&logins, 2 + u32::try_from(number % 100).unwrap(), number);
            assert!(!removed.contains(&Key::of("0/0")), "{number}");
        }
        let under_way = logins.0.lock().unwrap();
        assert!(under_way.all.len() <= OF_ALL && under_way.numbers.contains_key(&Key::of("0/0")));
        assert_eq!(under_way.of.len(), under_way.counts.len());
        assert!(under_way.counts.iter().all(|(count, network)| under_way.of[network].len() == *count));
    }

    #[test]
    fn what_ended_by_itself_is_forgotten() {
        let logins = Ceremonies::default();
        for number in 0..9 {
            begin(&logins, 1, number);
        }
        let later = NOW + Duration::minutes(10);
        assert!(logins.begin(network(2), Key::of("x"), later + Duration::minutes(10), later).is_empty());
        let under_way = logins.0.lock().unwrap();
        assert_eq!((under_way.all.len(), under_way.numbers.len(), under_way.of.len()), (1, 1, 1));
    }
}
