//! Many clients' accounts in memory of a fixed size.

use std::time::Duration;

use super::bucket::{Bucket, Rate};

/// Accounts that share a row: where one of another client has to go, it is the one with the least in it.
const WAYS: usize = 8;

/// A client as the table knows it: a keyed hash, so that nobody chooses whose row they share.
pub type Key = u64;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: Key,
    bucket: Bucket,
}

/// Accounts by client. There are never more than there were places for at first: whoever comes with a million addresses makes the
/// table forget others' small debts, which lets somebody do a little more, and nobody less.
#[derive(Debug)]
pub struct Table {
    rows: Vec<[Slot; WAYS]>,
}

impl Table {
    /// For about so many clients at a time; `rows` × 8.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { rows: vec![[Slot::default(); WAYS]; rows.max(1)] }
    }

    /// A client's account.
    #[must_use]
    pub fn get(&self, key: Key) -> Bucket {
        self.find(key).unwrap_or_default()
    }

    /// Whether there is anything that is remembered of a client.
    #[must_use]
    pub fn knows(&self, key: Key, now: Duration) -> bool {
        self.find(key).is_some_and(|bucket| !bucket.is_even(now))
    }

    /// Keeps a client's account, in place of the one with the least in it where there is no room.
    pub fn put(&mut self, key: Key, bucket: Bucket) {
        let row = self.row(key);
        let Some(row) = self.rows.get_mut(row) else { return };
        let slot = match row.iter().position(|slot| slot.key == key) {
            Some(own) => row.get_mut(own),
            None => row.iter_mut().min_by_key(|slot| slot.bucket),
        };
        if let Some(slot) = slot {
            *slot = Slot { key, bucket };
        }
    }

    /// Adds what something cost to a client's account.
    pub fn charge(&mut self, key: Key, rate: Rate, cost: u32, now: Duration) {
        self.put(key, self.get(key).charge(rate, cost, now));
    }

    /// Forgets a client.
    pub fn forget(&mut self, key: Key) {
        if self.find(key).is_some() {
            self.put(key, Bucket::default());
        }
    }

    fn find(&self, key: Key) -> Option<Bucket> {
        self.rows.get(self.row(key))?.iter().find(|slot| slot.key == key).map(|slot| slot.bucket)
    }

    fn row(&self, key: Key) -> usize {
        // The upper bits, as the whole is compared later.
        usize::try_from(key >> 20).unwrap_or_default() % self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Verdict;

    #[test]
    fn a_million_clients_take_no_room_and_hide_nobody_who_owes_much() {
        let rate = Rate::new(1, 100).unwrap();
        let mut table = Table::new(64);
        let before = table.rows.capacity();
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (culprit, now) = (hash(0), Duration::from_secs(9));
        table.put(culprit, Bucket::default().charge(rate, 100, now));
        for n in 1..1_000_000 {
            table.put(hash(n), table.get(hash(n)).charge(rate, 1, now));
        }
        assert_eq!(table.rows.capacity(), before);
        assert!(matches!(table.get(culprit).decide(rate, 1, now), Verdict::Refused(_)));
        assert!(table.knows(culprit, now) && !table.knows(culprit, now + Duration::from_secs(100)));
        // A new one begins afresh, and is kept.
        assert_eq!(table.get(hash(1_000_001)).decide(rate, 100, now), Verdict::Allowed);
    }
}
