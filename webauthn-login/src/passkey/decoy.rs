//! Lists of passkeys that tell a stranger nothing.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::Secret;
use crate::secret::Purpose;

use super::{MAX_PASSKEYS, PasskeyId, UserHandle};

/// How many passkeys the list of step 1 names, for everybody.
pub const SLOTS: usize = MAX_PASSKEYS;

/// Lengths that authenticators use, in bytes; a decoy has one of them.
const LENGTHS: [usize; 8] = [16, 20, 32, 32, 32, 48, 64, 64];

/// In half of all cases a decoy is replaced by another one within this time of being seen, whenever that is: a year. People add
/// and remove passkeys about as often.
const HALF_LIFE: u64 = 365 * 86_400;

/// When decoys began: 2025.
const BEGAN: i64 = 1_735_689_600;

/// [`SLOTS`] identifiers for what was typed: those that are `taken`, filled up with decoys. Decoys depend on the secret, the typed
/// text and the time alone, so that whoever asks twice sees the same; the order says nothing; and the work is the same for
/// everybody.
///
/// Whoever asks for weeks sees one of an address replaced by another now and then, whether anybody has it or not: a user who
/// makes a passkey, or removes one (see [`placeholder`]), changes the list in the same way.
pub(crate) fn allow_list<'a>(
    secret: &Secret,
    typed: &str,
    taken: impl IntoIterator<Item = Cow<'a, [u8]>>,
    now: OffsetDateTime,
) -> Vec<PasskeyId> {
    let key = secret.derive(Purpose::Decoys, &[typed.as_bytes()]);
    let age = u64::try_from(now.unix_timestamp() - BEGAN).unwrap_or_default();
    let mut list: Vec<Cow<'_, [u8]>> = (0..SLOTS).map(|slot| Cow::Owned(decoy(&key, slot, age))).collect();
    for (slot, id) in list.iter_mut().zip(taken) {
        *slot = id;
    }
    let mut ordered: Vec<_> = list.into_iter().map(|id| (hash(&key, b'o', &id), id)).collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, id)| PasskeyId::from_slice(&id)).collect()
}

/// What stands in the list for a passkey that was removed: its place does not go back to the decoy of before, which would say that
/// somebody was here. Nobody who saw the passkey's own identifier knows it for that.
pub(crate) fn placeholder(handle: &UserHandle, id: &PasskeyId) -> PasskeyId {
    let key: [u8; 32] = Sha256::new_with_prefix(b"placeholder\0").chain_update(handle.as_bytes()).finalize().into();
    let (first, second) = (hash(&key, b'1', id.as_bytes()), hash(&key, b'2', id.as_bytes()));
    let length = id.as_bytes().len().min(64);
    PasskeyId::from_slice(&first.into_iter().chain(second).take(length).collect::<Vec<_>>())
}

fn decoy(key: &[u8; 32], slot: usize, age: u64) -> Vec<u8> {
    let slot = u8::try_from(slot).unwrap_or(u8::MAX);
    let [a, b, c, d] = generation(key, slot, age).to_be_bytes();
    let which = [slot, a, b, c, d];
    let (first, second) = (hash(key, b'1', &which), hash(key, b'2', &which));
    let choice = hash(key, b'l', &which);
    let pick = usize::from(choice.first().copied().unwrap_or_default()) % LENGTHS.len();
    let length = LENGTHS.get(pick).copied().unwrap_or(32);
    first.into_iter().chain(second).take(length).collect()
}

/// How many decoys a place has had before the present one. Each lasts as long as chance has it, however long it has lasted: as
/// many half-lives as a coin falls on one side, and a part of one.
fn generation(key: &[u8; 32], slot: u8, age: u64) -> u32 {
    let mut ended = 0_u64;
    for generation in 0_u32.. {
        // One hash is good for eight of them.
        let [a, b, c, d] = (generation / 8).to_be_bytes();
        let drawn = hash(key, b'g', &[slot, a, b, c, d]);
        let at = usize::try_from(generation % 8).unwrap_or_default() * 4;
        let draw = drawn.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        let part = (u64::from(draw & 0xffff) * HALF_LIFE) >> 16;
        ended = ended.saturating_add(u64::from((draw >> 16).leading_zeros() - 16) * HALF_LIFE + part);
        if ended > age {
            return generation;
        }
    }
    u32::MAX
}

/// Under a key that nobody else has, and that is of one length.
fn hash(key: &[u8; 32], purpose: u8, what: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(key).chain_update([purpose]).chain_update(what).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(secret: u8, typed: &str, real: &[Vec<u8>], day: i64) -> Vec<PasskeyId> {
        let now = OffsetDateTime::from_unix_timestamp(BEGAN + day * 86_400).unwrap();
        allow_list(&Secret::from_bytes(&[secret; 32]), typed, real.iter().map(|id| Cow::Borrowed(id.as_slice())), now)
    }

    #[test]
    fn the_same_number_for_everybody_and_the_same_list_twice() {
        let real = [vec![1; 20], vec![2; 64]];
        let nobody = list(7, "nobody@example.com", &[], 9);
        assert_eq!(nobody.len(), SLOTS);
        assert_eq!(nobody, list(7, "nobody@example.com", &[], 9));
        let known = list(7, "ann@example.com", &real, 9);
        assert_eq!(known.len(), SLOTS);
        assert!(real.iter().all(|id| known.iter().any(|listed| listed.as_bytes() == id)));
        assert_eq!(known, list(7, "ann@example.com", &real, 9));
        // Who gets a passkey changes the list in that one place: the decoys stay.
        let before = list(7, "ann@example.com", &[], 9);
        let kept = known.iter().filter(|id| before.contains(id)).count();
        assert_eq!(kept, SLOTS - real.len());
        let other = list(8, "nobody@example.com", &[], 9);
        assert!(other.iter().all(|id| !nobody.contains(id)));
        let lengths: std::collections::BTreeSet<usize> = nobody.iter().map(|id| id.as_bytes().len()).collect();
        assert!(lengths.len() > 1);
    }

    #[test]
    fn lists_of_nobody_change_as_those_of_people_do() {
        // Who looks every day sees one replaced, at no time that others share, and never one come back.
        let mut lasted = Vec::new();
        for typed in ["nobody@example.com", "no.one@example.com", "none@example.com"] {
            let mut seen: std::collections::BTreeMap<PasskeyId, (i64, i64)> = std::collections::BTreeMap::new();
            let mut changes = 0;
            for day in 0..8 * 365 {
                let today = list(7, typed, &[], day);
                let fresh = today.iter().filter(|id| !seen.contains_key(*id)).count();
                changes += usize::from(day > 0 && fresh > 0);
                for id in today {
                    let last = &mut seen.entry(id).or_insert((day, day)).1;
                    assert!(day - *last <= 1, "one that was gone came back");
                    *last = day;
                }
            }
            assert!((20..80).contains(&changes), "{changes} changes in eight years");
            lasted.extend(seen.into_values().map(|(first, last)| last - first));
        }
        // Neither is one that is seen for years somebody's, nor one that is new.
        let over = |days: i64| lasted.iter().filter(|lasted| **lasted > days).count() * 100 / lasted.len();
        assert!((40..75).contains(&over(365)) && over(3 * 365) > 5, "{} {}", over(365), over(3 * 365));
    }

    #[test]
    fn a_passkey_that_was_removed_is_replaced_and_not_undone() {
        let handle = UserHandle::generate(&mut crate::testing::rng(1));
        for length in [16, 20, 32, 64, 300] {
            let id = PasskeyId::from_slice(&vec![3; length]);
            let place = placeholder(&handle, &id);
            assert_eq!(place.as_bytes().len(), length.min(64));
            assert!(place == placeholder(&handle, &id) && place != id);
            assert_ne!(place, placeholder(&UserHandle::generate(&mut crate::testing::rng(2)), &id));
        }
    }
}
