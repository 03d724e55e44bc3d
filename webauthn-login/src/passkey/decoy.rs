//! Lists of passkeys that tell a stranger nothing.

use sha2::{Digest as _, Sha256};

use crate::Secret;
use crate::secret::Purpose;

use super::{MAX_PASSKEYS, PasskeyId};

/// How many passkeys the list of step 1 names, for everybody.
pub const SLOTS: usize = MAX_PASSKEYS;

/// Lengths that authenticators use, in bytes; a decoy has one of them.
const LENGTHS: [usize; 8] = [16, 20, 32, 32, 32, 48, 64, 64];

/// [`SLOTS`] identifiers for what was typed: the real ones, filled up with decoys. Decoys depend on the secret and the typed text
/// alone, so that whoever asks twice sees the same; the order says nothing; and the work is the same for everybody.
pub(crate) fn allow_list<'a>(secret: &Secret, typed: &str, real: impl IntoIterator<Item = &'a [u8]>) -> Vec<PasskeyId> {
    let key = secret.derive(Purpose::Decoys, &[typed.as_bytes()]);
    let mut list: Vec<Vec<u8>> = (0..SLOTS).map(|slot| decoy(&key, slot)).collect();
    for (slot, id) in list.iter_mut().zip(real) {
        *slot = id.to_vec();
    }
    let mut ordered: Vec<([u8; 32], Vec<u8>)> = list.into_iter().map(|id| (hash(&key, b'o', &id), id)).collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, id)| PasskeyId::from_slice(&id)).collect()
}

fn decoy(key: &[u8; 32], slot: usize) -> Vec<u8> {
    let slot = [u8::try_from(slot).unwrap_or(u8::MAX)];
    let (first, second) = (hash(key, b'1', &slot), hash(key, b'2', &slot));
    let choice = hash(key, b'l', &slot);
    let pick = usize::from(choice.first().copied().unwrap_or_default()) % LENGTHS.len();
    let length = LENGTHS.get(pick).copied().unwrap_or(32);
    first.into_iter().chain(second).take(length).collect()
}

/// Under a key that nobody else has, and that is of one length.
fn hash(key: &[u8; 32], purpose: u8, what: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(key).chain_update([purpose]).chain_update(what).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_for_everybody_and_the_same_list_twice() {
        let secret = Secret::from_bytes(&[7; 32]);
        let real = [vec![1; 20], vec![2; 64]];
        let list = |typed: &str, real: &[Vec<u8>]| allow_list(&secret, typed, real.iter().map(Vec::as_slice));
        let nobody = list("nobody@example.com", &[]);
        assert_eq!(nobody.len(), SLOTS);
        assert_eq!(nobody, list("nobody@example.com", &[]));
        let known = list("ann@example.com", &real);
        assert_eq!(known.len(), SLOTS);
        assert!(real.iter().all(|id| known.iter().any(|listed| listed.as_bytes() == id)));
        assert_eq!(known, list("ann@example.com", &real));
        // Who gets a passkey changes the list in that one place: the decoys stay.
        let before = list("ann@example.com", &[]);
        let kept = known.iter().filter(|id| before.contains(id)).count();
        assert_eq!(kept, SLOTS - real.len());
        let other = allow_list(&Secret::from_bytes(&[8; 32]), "nobody@example.com", []);
        assert!(other.iter().all(|id| !nobody.contains(id)));
        let lengths: std::collections::BTreeSet<usize> = nobody.iter().map(|id| id.as_bytes().len()).collect();
        assert!(lengths.len() > 1);
    }
}
