//! A login between two requests.

use core::fmt;

use keyward_config_values::record::{self, Format};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::states::{AnyFlow, Common, State};
use crate::{Error, Key, Reason, Token};

const RECORD: &str = "login";
const FORMAT: u32 = 1;

/// A login between two requests, stored under the [`Key`] of a token that the browser holds in a cookie. It can hold secrets of
/// what is being set up, so the embedder seals it before it stores it. It can be swept away at [`CeremonyRecord::expires`].
pub struct CeremonyRecord(Stored);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    format: Format<FORMAT>,
    key: Key,
    common: Common,
    state: State,
}

impl AnyFlow {
    /// What to store, and the token for the cookie. Every step gets another one.
    pub fn store(self, rng: &mut impl CryptoRng) -> (Token, CeremonyRecord) {
        let token = Token::generate(rng);
        let (common, state) = self.into_parts();
        let record = CeremonyRecord(Stored { format: Format, key: token.key(), common, state });
        (token, record)
    }
}

impl CeremonyRecord {
    /// The key that it is stored under.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0.key
    }

    /// When it no longer works.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.0.common.expires
    }

    /// Goes on with the login: `presented` is the cookie's value. The next step's writes delete this record.
    ///
    /// # Errors
    ///
    /// [`Reason::ForeignCeremony`] or [`Reason::Expired`].
    pub fn resume(self, presented: &str, now: OffsetDateTime) -> Result<AnyFlow, Reason> {
        let Stored { key, mut common, state, .. } = self.0;
        if Key::of(presented) != key {
            return Err(Reason::ForeignCeremony);
        }
        if now >= common.expires {
            return Err(Reason::Expired);
        }
        common.stored = Some(key);
        Ok(AnyFlow::from_parts(common, state))
    }

    /// The record to be sealed and stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, &self.0)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes).map(Self)?)
    }
}

impl fmt::Debug for CeremonyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CeremonyRecord").field("key", &self.0.key).finish_non_exhaustive()
    }
}
