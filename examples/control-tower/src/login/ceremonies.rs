//! How many logins are under way, and whose: strangers begin them for nothing, and each is a record in the store.
//!
//! Of one network (see [`Network`]) the oldest makes room for the next one, so that nobody pushes out the logins of others. Where all
//! together are too many it is the oldest of the network that has most, and of several that have as many the oldest of all: whoever
//! begins many loses their own before anybody loses the only one they have. It is remembered in memory alone; what an earlier process
//! stored ends by itself within its ten minutes.
//!
//! Whatever may be in the store is counted: those that make room are, until it is known that they are gone, and a new one is unless it
//! is known that it was not stored.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
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

#[derive(Clone, Copy)]
struct Login {
    network: Network,
    key: Key,
    expires: OffsetDateTime,
}

#[derive(Default)]
struct UnderWay {
    next: u64,
    /// In the order in which they were stored, which is about that in which they end.
    all: BTreeMap<u64, Login>,
    numbers: BTreeMap<Key, u64>,
    of: HashMap<Network, BTreeSet<u64>>,
    /// How many each network has, and its oldest; the last one makes room first.
    order: BTreeSet<(usize, Reverse<u64>, Network)>,
}

/// A login that is being stored, in the place of others.
#[must_use]
pub struct Begun<'a> {
    logins: &'a Ceremonies,
    key: Key,
    /// The one that goes on in it, and those that make room, as long as they may still be there.
    former: Option<(u64, Login)>,
    gone: Vec<(u64, Login)>,
}

impl Ceremonies {
    /// Takes one down that is to be stored, by a commit that removes the one which goes on in it and those which make room for it.
    pub fn begin(
        &self,
        network: Network,
        key: Key,
        former: Option<Key>,
        expires: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Begun<'_> {
        let mut logins = self.state();
        let former = former.and_then(|former| logins.numbers.get(&former).copied());
        let former = former.and_then(|former| logins.remove(former));
        while let Some((number, login)) = logins.all.first_key_value()
            && login.expires <= now
        {
            let number = *number;
            logins.remove(number);
        }
        let mut gone = Vec::new();
        while logins.of.get(&network).is_some_and(|own| own.len() >= OF_ONE) {
            gone.extend(logins.remove_oldest(network));
        }
        while logins.all.len() >= OF_ALL {
            let Some((.., busiest)) = logins.order.last().copied() else { break };
            gone.extend(logins.remove_oldest(busiest));
        }
        let number = logins.next;
        logins.next += 1;
        logins.insert(number, Login { network, key, expires });
        Begun { logins: self, key, former, gone }
    }

    /// When one ends by itself, if it is known.
    pub fn ends(&self, key: &Key) -> Option<OffsetDateTime> {
        let logins = self.state();
        Some(logins.all.get(logins.numbers.get(key)?)?.expires)
    }

    /// It is over.
    pub fn end(&self, key: &Key) {
        let mut logins = self.state();
        if let Some(number) = logins.numbers.get(key).copied() {
            logins.remove(number);
        }
    }

    fn state(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun<'_> {
    /// Those that make room, and are to be removed, with when they would have ended.
    pub fn gone(&self) -> impl Iterator<Item = (&Key, OffsetDateTime)> {
        self.gone.iter().map(|(_, login)| (&login.key, login.expires))
    }

    /// It was stored, and they are gone.
    pub fn stored(mut self) {
        self.former = None;
        self.gone.clear();
    }

    /// It was not stored, and they are still there.
    pub fn not_stored(self) {
        self.logins.end(&self.key);
    }
}

/// Whoever does not know keeps both: a caller can go away at any moment.
impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut logins = self.logins.state();
        for (number, login) in self.former.take().into_iter().chain(self.gone.drain(..)) {
            logins.insert(number, login);
        }
    }
}

impl UnderWay {
    fn insert(&mut self, number: u64, login: Login) {
        self.all.insert(number, login);
        self.numbers.insert(login.key, number);
        self.changed(login.network, |own| own.insert(number));
    }

    fn remove_oldest(&mut self, network: Network) -> Option<(u64, Login)> {
        let oldest = self.of.get(&network)?.first().copied()?;
        self.remove(oldest)
    }

    fn remove(&mut self, number: u64) -> Option<(u64, Login)> {
        let login = self.all.remove(&number)?;
        self.numbers.remove(&login.key);
        self.changed(login.network, |own| own.remove(&number));
        Some((number, login))
    }

    /// Changes what a network has, and where it stands among the others.
    fn changed(&mut self, network: Network, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let standing = |own: &BTreeSet<u64>| own.first().map(|oldest| (own.len(), Reverse(*oldest), network));
        let own = self.of.entry(network).or_default();
        if let Some(before) = standing(own) {
            self.order.remove(&before);
        }
        change(own);
        match standing(own) {
            Some(after) => drop(self.order.insert(after)),
            None => drop(self.of.remove(&network)),
        }
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
        let begun = attempt(logins, of, number);
        let gone = begun.gone().map(|(key, _)| *key).collect();
        begun.stored();
        gone
    }

    fn attempt(logins: &Ceremonies, of: u32, number: usize) -> Begun<'_> {
        let key = Key::of(&format!("{of}/{number}"));
        logins.begin(network(of), key, None, NOW + Duration::minutes(10), NOW)
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
        assert_eq!(under_way.of.len(), under_way.order.len());
        let standing = |(count, oldest, network): &(usize, Reverse<u64>, Network)| {
            let own = &under_way.of[network];
            own.len() == *count && own.first() == Some(&oldest.0)
        };
        assert!(under_way.order.iter().all(standing));
    }

    #[test]
    fn of_networks_that_have_as_many_the_oldest_login_goes_and_not_that_of_some_address() {
        let logins = Ceremonies::default();
        let all = u32::try_from(OF_ALL).unwrap();
        for of in 1..=all {
            assert!(begin(&logins, of, 0).is_empty());
        }
        // Whether its address is above or below those of the others.
        for (place, victim) in [(1, 0), (3, u32::from(u16::MAX))] {
            assert_eq!(begin(&logins, victim, 0), [Key::of(&format!("{place}/0"))]);
            assert_eq!(begin(&logins, all + place, 0), [Key::of(&format!("{}/0", place + 1))]);
        }
    }

    #[test]
    fn what_may_be_in_the_store_is_counted() {
        let logins = Ceremonies::default();
        for number in 0..OF_ONE {
            begin(&logins, 1, number);
        }
        let oldest = [Key::of("1/0")];
        // Not stored, so that the oldest is still there, and the new one is not.
        let conflict = attempt(&logins, 1, OF_ONE);
        assert!(conflict.gone().map(|(key, _)| *key).eq(oldest));
        conflict.not_stored();
        assert_eq!(logins.state().all.len(), OF_ONE);
        // Whoever was to say what became of it went away.
        drop(attempt(&logins, 1, OF_ONE + 1));
        assert_eq!(logins.state().all.len(), OF_ONE + 1);
        assert_eq!(begin(&logins, 1, OF_ONE + 2), [oldest[0], Key::of("1/1")]);
        assert_eq!(logins.state().all.len(), OF_ONE);
        // One that goes on takes no place, and stays if it does not.
        let go_on =
            |key| logins.begin(network(1), Key::of(key), Some(Key::of("1/2")), NOW + Duration::minutes(10), NOW);
        let conflict = go_on("a");
        assert_eq!(conflict.gone().count(), 0);
        conflict.not_stored();
        assert!(logins.state().numbers.contains_key(&Key::of("1/2")));
        go_on("b").stored();
        let state = logins.state();
        assert!(state.all.len() == OF_ONE && !state.numbers.contains_key(&Key::of("1/2")));
    }

    #[test]
    fn what_ended_by_itself_is_forgotten() {
        let logins = Ceremonies::default();
        for number in 0..9 {
            begin(&logins, 1, number);
        }
        let later = NOW + Duration::minutes(10);
        let begun = logins.begin(network(2), Key::of("x"), None, later + Duration::minutes(10), later);
        assert_eq!(begun.gone().count(), 0);
        let under_way = logins.0.lock().unwrap();
        assert_eq!((under_way.all.len(), under_way.numbers.len(), under_way.of.len()), (1, 1, 1));
    }
}
