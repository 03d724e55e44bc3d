//! Response wrapping: an answer that is handed over once, to whoever presents a token.

use core::fmt;

use keyward_config_values::record::{self, Format};
use keyward_config_values::{Duration, Name};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::{Zeroize, Zeroizing};

use crate::{Accessor, Error, Limits, Pepper, Reason, StorageKey, Token, instant};

const RECORD: &str = "wrapped answer";
/// 2 since answers can be logins, which a release that does not know them would hand over as something else.
const FORMAT: u32 = 2;

/// An answer that waits for whoever presents its token. Take it by deleting the record guarded by the
/// revision that it was read at: then one of any number of takers has it, and who finds it gone knows
/// that somebody else was first.
///
/// It holds the answer in clear and is to be sealed. `Debug` does not show it, and it is wiped.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wrapped {
    format: Format<FORMAT>,
    key: StorageKey,
    accessor: Accessor,
    tenant: Name,
    creation_path: String,
    #[serde(with = "time::serde::rfc3339")]
    creation_time: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires: OffsetDateTime,
    answer: Secret,
    #[serde(default)]
    kind: WrappedKind,
}

/// What a wrapped answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WrappedKind {
    /// Anything.
    #[default]
    Data,
    /// A token, as a login answers it.
    Login,
}

#[derive(Serialize, Deserialize)]
struct Secret(String);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Wrapped {
    /// Wraps an answer for `ttl`, the system's longest life at most: the token to hand over, and the
    /// record to store under its key.
    #[expect(clippy::too_many_arguments, reason = "what the record has, and what every maker takes")]
    #[must_use]
    pub fn wrap(
        tenant: Name,
        creation_path: &str,
        (kind, answer): (WrappedKind, &Zeroizing<String>),
        ttl: Duration,
        limits: &Limits,
        pepper: &Pepper,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> (Token, Self) {
        let token = Token::generate(rng);
        let record = Self {
            format: Format,
            key: pepper.token_key(token.expose()),
            accessor: Accessor::generate(rng),
            tenant,
            creation_path: creation_path.to_owned(),
            creation_time: now,
            expires: instant::after(now, ttl.min(limits.max_ttl)),
            answer: Secret(answer.to_string()),
            kind,
        };
        (token, record)
    }

    /// The same answer under a new token, for as long as it was to wait at first. The old record is to be deleted in the same
    /// commit, guarded by its revision.
    #[must_use]
    pub fn rewrap(&self, pepper: &Pepper, rng: &mut impl CryptoRng, now: OffsetDateTime) -> (Token, Self) {
        let token = Token::generate(rng);
        let record = Self {
            format: Format,
            key: pepper.token_key(token.expose()),
            accessor: Accessor::generate(rng),
            tenant: self.tenant.clone(),
            creation_path: self.creation_path.clone(),
            creation_time: now,
            expires: instant::after_span(now, self.expires - self.creation_time),
            answer: Secret(self.answer.0.clone()),
            kind: self.kind,
        };
        (token, record)
    }

    /// Checks that it is what is stored under `key`, and that its time is not over.
    ///
    /// # Errors
    ///
    /// `UnknownToken` or `Expired`, for the audit log.
    pub fn check(&self, key: &StorageKey, now: OffsetDateTime) -> Result<(), Reason> {
        match self.key == *key {
            true if now < self.expires => Ok(()),
            true => Err(Reason::Expired),
            false => Err(Reason::UnknownToken),
        }
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self) -> &str {
        &self.answer.0
    }

    /// What the answer is.
    #[must_use]
    pub fn kind(&self) -> WrappedKind {
        self.kind
    }

    /// The key that the record is stored under.
    #[must_use]
    pub fn key(&self) -> &StorageKey {
        &self.key
    }

    /// The name by which the audit log has it.
    #[must_use]
    pub fn accessor(&self) -> Accessor {
        self.accessor
    }

    /// The tenant that it was made in.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// The path of the request whose answer it is.
    #[must_use]
    pub fn creation_path(&self) -> &str {
        &self.creation_path
    }

    /// When it was made.
    #[must_use]
    pub fn creation_time(&self) -> OffsetDateTime {
        self.creation_time
    }

    /// When it can be taken no longer, and its record swept away.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// The record to be sealed and stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(Zeroizing::new(record::encode(RECORD, self)?))
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes)?)
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").field("accessor", &self.accessor).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, duration, name, pepper, rng};

    #[test]
    fn one_token_has_one_answer_for_its_time() {
        let answer = Zeroizing::new("{\"secret\":1}".to_owned());
        let wrap = |ttl, seed| {
            let limits = Limits::default();
            Wrapped::wrap(
                name("default"),
                "/a",
                (WrappedKind::Login, &answer),
                duration(ttl),
                &limits,
                &pepper(),
                &mut rng(seed),
                at(0),
            )
        };
        let (token, record) = wrap("1m", 1);
        let key = pepper().token_key(token.expose());
        assert_eq!(record.check(&key, at(59)), Ok(()));
        assert_eq!(record.check(&key, at(60)), Err(Reason::Expired));
        assert_eq!(record.check(wrap("1m", 2).1.key(), at(1)), Err(Reason::UnknownToken));
        assert_eq!(wrap("90d", 1).1.expires(), at(32 * 86_400), "not longer than anything lives");
        let bytes = record.encode().unwrap();
        let read = Wrapped::decode(&bytes).unwrap();
        assert_eq!((read.answer(), read.creation_path(), read.tenant()), (answer.as_str(), "/a", &name("default")));
        assert_eq!((read.accessor(), read.creation_time(), read.key()), (record.accessor(), at(0), &key));
        assert!(!String::from_utf8(bytes.to_vec()).unwrap().contains(token.expose()));
        assert!(!format!("{record:?}").contains("secret"));

        let (again, new) = read.rewrap(&pepper(), &mut rng(3), at(50));
        let again = pepper().token_key(again.expose());
        assert_eq!((new.check(&again, at(109)), new.check(&again, at(110))), (Ok(()), Err(Reason::Expired)));
        assert_eq!((new.answer(), new.kind(), new.creation_path()), (answer.as_str(), WrappedKind::Login, "/a"));
        assert_ne!(new.accessor(), record.accessor());
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let old = text.replace(r#""format":2"#, r#""format":1"#).replace(r#","kind":"login""#, "");
        assert_eq!(Wrapped::decode(old.as_bytes()).unwrap().kind(), WrappedKind::Data);
    }
}
