//! Stored password hashes.

use core::fmt;
use core::str::FromStr;

use argon2::password_hash::phc;
use argon2::{Algorithm, Params, Version};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::Error;

/// The hash of a password in the PHC form, `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. Other systems' hashes can be
/// brought along as long as they are argon2, and are made anew at their owner's next login ([`PasswordHash::needs_rehash`]).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash {
    pub(crate) recipe: Recipe,
    output: Vec<u8>,
}

/// How a hash is made: everything but the password. Two users with the same recipe cost one hash together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) algorithm: Algorithm,
    pub(crate) version: Version,
    pub(crate) memory: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
    pub(crate) output_len: usize,
    pub(crate) salt: Vec<u8>,
}

/// At least what OWASP asks for (Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane).
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const OUTPUT: usize = 32;

/// A record must not be able to take the machine down.
const MOST_MEMORY: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;

impl Recipe {
    /// How this release makes hashes.
    pub(crate) fn current(salt: [u8; 16]) -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            memory: MEMORY,
            passes: PASSES,
            lanes: LANES,
            output_len: OUTPUT,
            salt: salt.to_vec(),
        }
    }

    fn params(&self) -> Result<Params, Error> {
        Params::new(self.memory, self.passes, self.lanes, Some(self.output_len)).map_err(|_| Error::PasswordHash)
    }

    pub(crate) fn argon2(&self) -> Result<argon2::Argon2<'static>, Error> {
        Ok(argon2::Argon2::new(self.algorithm, self.version, self.params()?))
    }
}

impl PasswordHash {
    pub(crate) fn new(recipe: Recipe, output: Vec<u8>) -> Self {
        Self { recipe, output }
    }

    /// Whether that is the output of the right password, in constant time.
    pub(crate) fn is(&self, output: &[u8]) -> bool {
        self.output.as_slice().ct_eq(output).into()
    }

    /// Whether one guess at it takes more than a machine that others use as well can spare: more than 256 MiB, or 1 GiB over all
    /// passes, which is about a second.
    #[cfg(feature = "config")]
    pub(crate) fn is_too_costly(&self) -> bool {
        let Recipe { memory, passes, .. } = self.recipe;
        memory > 256 * 1024 || u64::from(memory) * u64::from(passes) > 1024 * 1024
    }

    /// Whether it was made with less work than this release asks for, or another algorithm.
    #[must_use]
    pub fn needs_rehash(&self) -> bool {
        let Recipe { algorithm, version, memory, passes, lanes: _, output_len, ref salt } = self.recipe;
        algorithm != Algorithm::Argon2id
            || version != Version::V0x13
            || memory < MEMORY
            || passes < PASSES
            || output_len < OUTPUT
            || salt.len() < 16
    }
}

impl FromStr for PasswordHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let phc = phc::PasswordHash::new(text).map_err(|_| Error::PasswordHash)?;
        let (salt, output) = phc.salt.zip(phc.hash).ok_or(Error::PasswordHash)?;
        let params = Params::try_from(&phc).map_err(|_| Error::PasswordHash)?;
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        if memory > MOST_MEMORY || passes > MOST_PASSES || lanes > MOST_LANES || output.as_bytes().len() < 16 {
            return Err(Error::PasswordHash);
        }
        let recipe = Recipe {
            algorithm: Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| Error::PasswordHash)?,
            // A hash that does not say is of version 16 (PHC string format of argon2).
            version: phc.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| Error::PasswordHash)?,
            memory,
            passes,
            lanes,
            output_len: output.as_bytes().len(),
            salt: salt.as_ref().to_vec(),
        };
        recipe.params()?;
        Ok(Self { recipe, output: output.as_bytes().to_vec() })
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recipe { algorithm, version, memory, passes, lanes, ref salt, .. } = self.recipe;
        let encode = |bytes: &[u8]| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
        };
        write!(
            f,
            "${}$v={}$m={memory},t={passes},p={lanes}${}${}",
            algorithm.as_str(),
            u32::from(version),
            encode(salt),
            encode(&self.output)
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::PasswordHasher as _;

    #[test]
    fn hashes_are_those_of_everybody_else() {
        let theirs = argon2::Argon2::default().hash_password_with_salt(b"open sesame", &[7; 16]).unwrap().to_string();
        let hash: PasswordHash = theirs.parse().unwrap();
        assert_eq!(hash.to_string(), theirs);
        assert!(!hash.needs_rehash());
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    #[test]
    fn weaker_ones_are_made_anew_and_absurd_ones_refused() {
        let parse = |text: &str| text.parse::<PasswordHash>();
        let salt_and_hash = "c29tZSBzYWx0IG9mIHVz$c29tZSBoYXNoIG9mIHNvbWV0aGluZyB0aGF0IGlzIG4";
        for weak in ["$argon2id$v=19$m=8192,t=2,p=1", "$argon2i$v=19$m=19456,t=2,p=1", "$argon2id$v=19$m=19456,t=1,p=1"]
        {
            assert!(parse(&format!("{weak}${salt_and_hash}")).unwrap().needs_rehash(), "{weak}");
        }
        for bad in [
            "",
            "x",
            "$argon2id$v=19$m=512,t=2,p=1$c29tZSBzYWx0",
            "$scrypt$ln=1$c29tZSBzYWx0$c29tZSBoYXNo",
            &format!("$argon2id$v=19$m=4000000,t=2,p=1${salt_and_hash}"),
            &format!("$argon2id$v=19$m=19456,t=200,p=1${salt_and_hash}"),
        ] {
            assert_eq!(parse(bad), Err(Error::PasswordHash), "{bad}");
        }
    }
}
