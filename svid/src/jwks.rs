//! Key sets (RFC 7517 §5), read so that one bad entry never costs the others.
//!
//! Two documents have this form and differ in `use`: the one that OIDC discovery points to, and the JWT keys of a
//! SPIFFE bundle. Which of the two is read or written is said by [`KeyUse`].

mod error;
#[cfg(feature = "jsonwebtoken")]
mod jsonwebtoken_crate;
mod key;
mod read;
mod source;
#[cfg(feature = "transit")]
mod transit_crate;

use keyward_keys::Algorithm;
use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use error::{JwksError, SkipReason, Skipped};
pub use key::VerificationKey;
#[cfg(any(feature = "x509", feature = "wit"))]
pub(crate) use read::Entry;
#[cfg(feature = "x509")]
pub(crate) use read::{Document, DocumentSeed, explain};
pub use read::{MAX_JWKS_BYTES, MAX_KEYS};
pub use source::{KeyFetch, KeyOrigin, KeySource};

/// What the keys of a set are for, as their `use` says (RFC 7517 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyUse {
    /// `sig`, as OIDC has it; an entry without `use` counts too.
    Signature,
    /// `jwt-svid`, as a SPIFFE bundle has it; `use` and `kid` are required (SPIFFE Trust Domain and Bundle §4.2).
    JwtSvid,
    /// `wit-svid`, as a SPIFFE bundle has it; `use` and `kid` are required (WIT-SVID §6.1).
    #[cfg(feature = "wit")]
    WitSvid,
}

impl KeyUse {
    /// The value of `use`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "sig",
            Self::JwtSvid => "jwt-svid",
            #[cfg(feature = "wit")]
            Self::WitSvid => "wit-svid",
        }
    }

    /// Whether an entry must have a `kid`.
    fn needs_key_id(self) -> bool {
        self != Self::Signature
    }
}

/// The public keys that verify JWT-SVIDs, parsed once.
///
/// ```
/// use keyward_svid::jwks::{JwkSet, KeyUse, VerificationKey};
/// use keyward_keys::{Algorithm, KeyType, PrivateKey};
///
/// let key = PrivateKey::generate(KeyType::EcdsaP256)?;
/// let key = VerificationKey::new(key.public_key().clone(), Algorithm::Es256, "2026-11")?;
/// let document = JwkSet::new(KeyUse::Signature, [key]).to_json();
///
/// let read = JwkSet::from_json(document.as_bytes(), KeyUse::Signature)?;
/// assert_eq!(read.keys()[0].kid(), Some("2026-11"));
/// assert!(read.skipped().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JwkSet {
    key_use: KeyUse,
    keys: Vec<VerificationKey>,
    skipped: Vec<Skipped>,
}

impl JwkSet {
    /// A set to publish, in this order.
    pub fn new(key_use: KeyUse, keys: impl IntoIterator<Item = VerificationKey>) -> Self {
        Self { key_use, keys: keys.into_iter().collect(), skipped: Vec::new() }
    }

    /// Reads a key set. Entries that cannot verify a JWT-SVID, now or ever, are skipped and reported by
    /// [`skipped`](Self::skipped). A set without any usable key is no error: it refuses every token.
    ///
    /// # Errors
    /// When the document is longer than [`MAX_JWKS_BYTES`], is not a JSON object, has no list `keys`, has a top-level
    /// member twice, or has more than [`MAX_KEYS`] entries.
    pub fn from_json(json: &[u8], key_use: KeyUse) -> Result<Self, JwksError> {
        read::read(json, key_use)
    }

    /// Writes the set as JSON.
    pub fn to_json(&self) -> String {
        // Strings and lists of strings always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the keys are for.
    pub fn key_use(&self) -> KeyUse {
        self.key_use
    }

    /// The usable keys, in the order of the document.
    pub fn keys(&self) -> &[VerificationKey] {
        &self.keys
    }

    /// The entries of the document that were skipped, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The keys that may have made a signature: those with this `kid`, or any where the token names none, if the
    /// algorithm fits.
    pub fn candidates<'s>(
        &'s self,
        kid: Option<&'s str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'s VerificationKey> {
        self.keys.iter().filter(move |key| (kid.is_none() || key.kid() == kid) && key.fits(algorithm))
    }
}

impl Serialize for JwkSet {
    /// The document of RFC 7517 §5: `keys`, each with `use`, and `alg` and `kid` where known.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<_> = self.keys.iter().map(|key| key.to_jwk(self.key_use)).collect();
        let mut document = serializer.serialize_struct("JwkSet", 1)?;
        document.serialize_field("keys", &keys)?;
        document.end()
    }
}

/// Equal when they publish the same keys for the same use; what was skipped in reading does not count.
impl PartialEq for JwkSet {
    fn eq(&self, other: &Self) -> bool {
        self.key_use == other.key_use && self.keys == other.keys
    }
}

impl Eq for JwkSet {}
