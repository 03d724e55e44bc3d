//! Keys from passphrases.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Argon2id, ErrorKind, RecordError, SealKey};

/// Shorter passphrases are refused.
const LEAST: usize = 12;
/// What stored parameters may ask for: they come from where others may write, too.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;

/// A passphrase that a person chose.
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// A passphrase that is too easy to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase has {length} characters, at least {least} are needed")]
pub struct WeakPassphrase {
    /// The characters given.
    pub length: usize,
    /// The characters needed.
    pub least: usize,
}

impl WeakPassphrase {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

impl Passphrase {
    /// A passphrase of at least 12 characters.
    ///
    /// # Errors
    /// [`WeakPassphrase`].
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, WeakPassphrase> {
        let length = String::from_utf8_lossy(&bytes).chars().count();
        if length < LEAST { Err(WeakPassphrase { length, least: LEAST }) } else { Ok(Self(bytes)) }
    }

    /// The key that follows from it. It takes as long and as much memory as the parameters say: a few tenths of a second and
    /// 128 MiB by [`Argon2id::generate`].
    ///
    /// # Errors
    /// [`RecordError::Malformed`] for parameters that are impossible, or more than 1 GiB or 16 passes.
    pub fn derive(&self, parameters: &Argon2id) -> Result<SealKey, RecordError> {
        let impossible = |reason| RecordError::Malformed { expected: "parameters of Argon2id", reason };
        if parameters.memory_kib() > MOST_MEMORY_KIB || parameters.passes() > MOST_PASSES {
            return Err(impossible("they ask for too much"));
        }
        let salt = parameters.salt().ok_or_else(|| impossible("the salt is not base64"))?;
        let params = Params::new(parameters.memory_kib(), parameters.passes(), 1, Some(32));
        let params = params.map_err(|_| impossible("they are outside the limits"))?;
        let mut key = Zeroizing::new([0; 32]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hashed = argon2.hash_password_into(&self.0, &salt, &mut *key);
        clear_stack();
        hashed.map_err(|_| impossible("they are outside the limits"))?;
        SealKey::from_secret(&key)
    }
}

/// Clears what was called before from here: the hash function that Argon2 begins with has the passphrase in a buffer on the stack,
/// and leaves it there.
#[inline(never)]
fn clear_stack() {
    let mut below = [0_u8; 32 << 10];
    below.zeroize();
    std::hint::black_box(&below);
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> Result<Passphrase, WeakPassphrase> {
        Passphrase::new(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn parameters(json: &str) -> Argon2id {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn one_phrase_makes_one_key() {
        let small = parameters(r#"{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "memory-kib": 64, "passes": 1}"#);
        let other = parameters(r#"{"salt": "BAAAAAAAAAAAAAAAAAAAAA==", "memory-kib": 64, "passes": 1}"#);
        let key = phrase("correct horse").unwrap().derive(&small).unwrap();
        let sealed = key.seal("a", b"secret", &mut crate::testing::rng(1)).unwrap();
        let opens =
            |text: &str, with: &Argon2id| phrase(text).unwrap().derive(with).unwrap().open("a", &sealed).is_ok();
        assert!(opens("correct horse", &small));
        assert!(!opens("correct horsE", &small) && !opens("correct horse", &other));
    }

    #[test]
    fn a_short_phrase_is_refused_by_its_characters() {
        let error = phrase("ä b c d e f").unwrap_err();
        assert_eq!(error.to_string(), "the passphrase has 11 characters, at least 12 are needed");
        assert!(phrase("ä b c d e f g").is_ok());
        assert_eq!(format!("{:?}", phrase("correct horse").unwrap()), "Passphrase(…)");
    }

    #[test]
    fn parameters_that_ask_for_too_much_are_refused() {
        for json in [
            r#"{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "memory-kib": 1048577, "passes": 1}"#,
            r#"{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "memory-kib": 64, "passes": 17}"#,
            r#"{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "memory-kib": 1, "passes": 1}"#,
            r#"{"salt": "AA==", "memory-kib": 64, "passes": 1}"#,
            r#"{"salt": "?", "memory-kib": 64, "passes": 1}"#,
        ] {
            let error = phrase("correct horse").unwrap().derive(&parameters(json)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{json}");
        }
    }

    #[test]
    fn what_is_made_here_is_hard_to_guess() {
        let made = Argon2id::generate(&mut crate::testing::rng(1));
        assert!(made.memory_kib() >= 64 << 10 && made.passes() >= 3, "{made:?}");
        assert_ne!(made, Argon2id::generate(&mut crate::testing::rng(2)));
    }
}
