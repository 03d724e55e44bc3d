//! Users who log in with a password.

use anyhow::Context as _;
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Of the first administrator.
pub const ADMINISTRATOR: &str = "admin";

/// 2 has `tokens-since`; 1, which has not, is read.
const FORMAT: u32 = 2;

/// A stored user. The password is only there as its hash.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    format: u32,
    password_hash: String,
    /// Names of the user's policies.
    pub policies: Vec<Name>,
    /// Tokens from before the password do not count: whoever stole one would refresh it for ever.
    #[serde(default, with = "time::serde::timestamp::milliseconds::option", skip_serializing_if = "Option::is_none")]
    tokens_since: Option<OffsetDateTime>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("policies", &self.policies).finish_non_exhaustive()
    }
}

impl User {
    /// A user with a password. Takes tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    /// When the hash cannot be made.
    pub fn new(password: &str, policies: Vec<Name>) -> anyhow::Result<Self> {
        let mut salt = [0; 16];
        rand_core::Rng::fill_bytes(&mut crate::random::rng(), &mut salt);
        let hasher = hasher()?;
        let output = digest(&hasher, password, &salt)?;
        let hash = PasswordHash {
            algorithm: ALGORITHM.ident(),
            version: Some(VERSION.into()),
            params: ParamsString::try_from(hasher.params())?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(output),
        };
        Ok(Self { format: FORMAT, password_hash: hash.to_string(), policies, tokens_since: None })
    }

    /// The same in the place of a former one, whose tokens do not count, nor any of before now or of this very millisecond.
    #[must_use]
    pub fn replacing(self, former: Option<&Self>, now: OffsetDateTime) -> Self {
        let latest = former.map_or(now, |former| former.dated(now));
        Self { tokens_since: Some(latest.saturating_add(Duration::MILLISECOND)), ..self }
    }

    /// Whether a token that was made then counts.
    pub fn accepts(&self, created: OffsetDateTime) -> bool {
        self.tokens_since.is_none_or(|since| milliseconds(created) >= milliseconds(since))
    }

    /// When a token of a login at `now` says that it was made: never before the password that it was had with, whatever became of
    /// the clock.
    pub fn dated(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.tokens_since.map_or(now, |since| since.max(now))
    }

    /// Whether it is the user's password. For an unknown user the work is the same and the answer no.
    ///
    /// # Errors
    /// A damaged record.
    pub fn check(user: Option<&Self>, password: &str) -> anyhow::Result<bool> {
        let Some(user) = user else {
            // One hash of work, so that the time does not tell who exists.
            drop(std::hint::black_box(digest(&hasher()?, password, &[0; 16])));
            return Ok(false);
        };
        let hash = PasswordHash::new(&user.password_hash).context("a stored password hash is damaged")?;
        let (salt, expected) = hash.salt.zip(hash.hash).context("a stored password hash is damaged")?;
        // With the parameters that it was made with, which may not be those of this release.
        let version = hash.version.map_or(Ok(VERSION), Version::try_from)?;
        let hasher = Argon2::new(Algorithm::try_from(hash.algorithm.as_str())?, version, Params::try_from(&hash)?);
        // Compared in constant time.
        Ok(digest(&hasher, password, &salt)? == expected)
    }

    /// The record to be stored.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// Damage, or a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let user: Self = serde_json::from_slice(bytes).map_err(|_| "damaged".to_owned())?;
        if user.format > FORMAT {
            return Err(format!("format {} is of a newer program", user.format));
        }
        Ok(user)
    }
}

fn milliseconds(moment: OffsetDateTime) -> i128 {
    moment.unix_timestamp_nanos() / 1_000_000
}

const ALGORITHM: Algorithm = Algorithm::Argon2id;
const VERSION: Version = Version::V0x13;

/// Reserved for each hash, which touches no more of it than it needs. Memory of more than 32 MiB glibc takes from the system by
/// itself and gives back as soon as it is free (mallopt(3), `M_MMAP_THRESHOLD`); of less it would keep a piece for every thread
/// that ever hashed a password.
const RESERVED: usize = 33 << 20;

/// Argon2id with 19 MiB, two passes, one lane (the OWASP minimum).
fn hasher() -> anyhow::Result<Argon2<'static>> {
    Ok(Argon2::new(ALGORITHM, VERSION, Params::new(19 * 1024, 2, 1, None)?))
}

fn digest(hasher: &Argon2<'_>, password: &str, salt: &[u8]) -> anyhow::Result<Output> {
    let blocks = hasher.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(RESERVED / Block::SIZE));
    memory.resize(blocks, Block::new());
    let mut output = [0; Output::MAX_LENGTH];
    let length = hasher.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = output.get_mut(..length).context("a stored password hash is damaged")?;
    hasher.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory)?;
    Ok(Output::new(output)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_everybody_else() {
        use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
        let ours = User::new("open sesame", Vec::new()).unwrap();
        let hash = PasswordHash::new(&ours.password_hash).unwrap();
        assert!(ours.password_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", ours.password_hash);
        assert_eq!(Argon2::default().verify_password(b"open sesame", &hash), Ok(()));
        assert!(Argon2::default().verify_password(b"open sesamE", &hash).is_err());
        // Of another release, with other parameters.
        let other = Argon2::new(Algorithm::Argon2i, Version::V0x10, Params::new(512, 3, 2, Some(24)).unwrap());
        let theirs = other.hash_password_with_salt(b"open sesame", b"some salt").unwrap().to_string();
        let user = User { format: FORMAT, password_hash: theirs, policies: Vec::new(), tokens_since: None };
        assert!(User::check(Some(&user), "open sesame").unwrap());
        assert!(!User::check(Some(&user), "open sesamE").unwrap());
        for damaged in ["", "x", "$argon2id$v=19$m=512,t=2,p=1$c29tZSBzYWx0", "$scrypt$ln=1$c29tZSBzYWx0$c29tZSBoYXNo"]
        {
            let user =
                User { format: FORMAT, password_hash: damaged.to_owned(), policies: Vec::new(), tokens_since: None };
            assert!(User::check(Some(&user), "open sesame").is_err(), "{damaged}");
        }
    }

    #[test]
    fn a_password_is_checked_and_never_kept() {
        let user = User::new("open sesame", vec!["administrator".parse().unwrap()]).unwrap();
        assert!(User::check(Some(&user), "open sesame").unwrap());
        assert!(!User::check(Some(&user), "open sesamE").unwrap());
        assert!(!User::check(None, "open sesame").unwrap());
        let stored = user.encode().unwrap();
        assert!(!String::from_utf8(stored.clone()).unwrap().contains("sesame"));
        assert!(!format!("{user:?}").contains("argon2"));
        assert!(User::check(Some(&User::decode(&stored).unwrap()), "open sesame").unwrap());
        let newer = String::from_utf8(stored).unwrap().replace("\"format\":2", "\"format\":3");
        assert!(User::decode(newer.as_bytes()).is_err());
    }

    #[test]
    fn a_new_password_ends_the_tokens_of_the_old_one() {
        let now = time::macros::datetime!(2026-03-01 00:00 UTC);
        let old = User::decode(br#"{"format":1,"password-hash":"x","policies":[]}"#).unwrap();
        assert!(old.accepts(now) && old.dated(now) == now);
        let stored = old.clone().replacing(None, now).encode().unwrap();
        let new = User::decode(&stored).unwrap();
        let newest = old.replacing(Some(&new), now - Duration::HOUR);
        assert!(!newest.accepts(new.dated(now)));
        assert!(!new.accepts(now - Duration::HOUR) && !new.accepts(now));
        for login in [now - Duration::HOUR, now, now + Duration::HOUR] {
            assert!(new.accepts(new.dated(login)), "{login}");
        }
    }
}
