//! Users who log in with a password.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};

/// Of the first administrator.
pub const ADMINISTRATOR: &str = "admin";

const FORMAT: u32 = 1;

/// A stored user. The password is only there as its hash.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    format: u32,
    password_hash: String,
    /// Names of the user's policies.
    pub policies: Vec<Name>,
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
        let hash: PasswordHash = hasher()?
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|error| anyhow::anyhow!("cannot hash a password: {error}"))?;
        Ok(Self { format: FORMAT, password_hash: hash.to_string(), policies })
    }

    /// Whether it is the user's password. For an unknown user the work is the same and the answer no.
    ///
    /// # Errors
    /// A damaged record.
    pub fn check(user: Option<&Self>, password: &str) -> anyhow::Result<bool> {
        let hasher = hasher()?;
        let Some(user) = user else {
            // One hash of work, so that the time does not tell who exists.
            let work: Result<PasswordHash, _> = hasher.hash_password_with_salt(password.as_bytes(), &[0; 16]);
            drop(std::hint::black_box(work));
            return Ok(false);
        };
        let hash = PasswordHash::new(&user.password_hash)
            .map_err(|error| anyhow::anyhow!("a stored password hash is damaged: {error}"))?;
        Ok(hasher.verify_password(password.as_bytes(), &hash).is_ok())
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

/// Argon2id with 19 MiB, two passes, one lane (the OWASP minimum).
fn hasher() -> anyhow::Result<Argon2<'static>> {
    let parameters = Params::new(19 * 1024, 2, 1, None).map_err(|error| anyhow::anyhow!("argon2: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let newer = String::from_utf8(stored).unwrap().replace("\"format\":1", "\"format\":2");
        assert!(User::decode(newer.as_bytes()).is_err());
    }
}
