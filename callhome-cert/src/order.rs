//! What an operator orders, and issuing it.

use std::fmt;
use std::str::FromStr;

use keyward_config_values::Duration;
use keyward_keys::{KeyType, PrivateKey, PublicKey, Signer};
use keyward_svid::x509::Purpose;
use keyward_svid::x509::authority::{Authority, IssuedSvid, KeyedSvid, LeafRequest};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;

use crate::{Entry, Error, Scope};

/// How long a certificate lives unless it is said: a day.
pub const DEFAULT_TTL: Duration = Duration::DAY;

/// How long one lives at most: thirty days.
pub const LONGEST_TTL: Duration = Duration::DAY.saturating_mul(30);

/// The most uses that are counted.
pub const MAX_USES: u32 = 1000;

/// A batch of certificates, which are revoked together: what one order made. Its id is random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Batch(String);

impl Batch {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        Self(base16ct::lower::encode_string(&bytes))
    }

    /// Its id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Batch {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        let fits = id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(id.to_owned())) } else { Err(Error::Batch) }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operator orders: a certificate for a scope, by default for a day, and for one use where it is for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    scope: Scope,
    ttl: Duration,
    max_uses: Option<u32>,
    batch: Option<Batch>,
}

impl Order {
    /// A certificate for this scope.
    pub fn new(scope: Scope) -> Self {
        let max_uses = matches!(scope, Scope::Host(_)).then_some(1);
        Self { scope, ttl: DEFAULT_TTL, max_uses, batch: None }
    }

    /// Sets how long it lives: a minute to thirty days.
    ///
    /// # Errors
    /// [`Error::Ttl`].
    pub fn with_ttl(mut self, ttl: Duration) -> Result<Self, Error> {
        if ttl < Duration::MINUTE || ttl > LONGEST_TTL {
            return Err(Error::Ttl { found: ttl.as_secs(), most: LONGEST_TTL.as_secs() });
        }
        self.ttl = ttl;
        Ok(self)
    }

    /// Sets how many hosts may use it.
    ///
    /// # Errors
    /// [`Error::MaxUses`] for none and for more than [`MAX_USES`].
    pub fn with_max_uses(mut self, uses: u32) -> Result<Self, Error> {
        if uses == 0 || uses > MAX_USES {
            return Err(Error::MaxUses { found: uses, most: MAX_USES });
        }
        self.max_uses = Some(uses);
        Ok(self)
    }

    /// Puts it into a batch with others.
    #[must_use]
    pub fn with_batch(mut self, batch: Batch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The batch that it was put into; otherwise it gets one of its own.
    pub fn batch(&self) -> Option<&Batch> {
        self.batch.as_ref()
    }

    /// Whether more may be issued in its batch: nothing in one that is revoked, which would be as good as ever. `other` is a certificate
    /// that was issued in it before, one that is not revoked where there is any.
    ///
    /// # Errors
    /// [`Error::BatchRevoked`].
    pub fn check_batch(&self, other: Option<&Entry>) -> Result<(), Error> {
        match (&self.batch, other) {
            (Some(batch), Some(other)) if other.batch() == batch && other.revoked().is_some() => {
                Err(Error::BatchRevoked { batch: batch.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whom it lets in.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Issues it for a key that its owner keeps. The entry is to be stored before the certificate is handed out.
    ///
    /// # Errors
    /// [`Error::WrongAuthority`] unless the authority is for clients alone; [`Error::Authority`] when it refuses or fails.
    pub fn issue<S: Signer>(
        &self,
        authority: &Authority<S>,
        public_key: &PublicKey,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<(IssuedSvid, Entry), Error> {
        let issuer = authority.issuer();
        if issuer.purpose() != Purpose::Client {
            return Err(Error::WrongAuthority);
        }
        let id = self.scope.to_id(issuer.trust_domain())?;
        let request = LeafRequest::new(id, public_key, self.ttl.to_time())?;
        let issued = authority.issue(&request, rng, now)?;
        let batch = self.batch.clone().unwrap_or_else(|| Batch::generate(rng));
        let entry = Entry::new(&issued, issuer.public_key(), self.scope.clone(), batch, self.max_uses, now);
        Ok((issued, entry))
    }

    /// Issues it with a new key (ECDSA on P-256), for the install script.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), and [`Error::Keys`].
    pub fn issue_with_key<S: Signer>(
        &self,
        authority: &Authority<S>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<(KeyedSvid, Entry), Error> {
        let key = PrivateKey::generate(KeyType::EcdsaP256)?;
        let (issued, entry) = self.issue(authority, key.public_key(), rng, now)?;
        Ok((issued.with_key(key)?, entry))
    }
}
