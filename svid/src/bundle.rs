//! SPIFFE bundles: all keys that a trust domain's identities are verified with (SPIFFE Trust Domain and Bundle §3, §4).
//!
//! ```
//! use keyward_keys::{Algorithm, KeyType, PrivateKey};
//! use keyward_svid::VerificationKey;
//! use keyward_svid::bundle::{Bundle, BundleSet};
//!
//! // What a trust domain publishes.
//! let key = PrivateKey::generate(KeyType::EcdsaP256)?;
//! let key = VerificationKey::new(key.public_key().clone(), Algorithm::Es256, "2027-01")?;
//! let bundle = Bundle::new("example.org".parse()?, [], [key])?.with_sequence(7).with_refresh_hint(300);
//! let document = bundle.to_json();
//!
//! // What others make of it. The document does not say whose it is: the reader has to know.
//! let read = Bundle::from_json("example.org".parse()?, document.as_bytes())?;
//! assert_eq!(read, bundle);
//! assert_eq!((read.sequence(), read.jwt().keys().keys().len()), (Some(7), 1));
//!
//! // Many trust domains; a verifier asks for the one of the identity before it, and only that.
//! let bundles: BundleSet = [read].into_iter().collect();
//! assert!(bundles.get(&"example.org".parse::<keyward_spiffe_id::TrustDomain>()?).is_some());
//! assert!(bundles.get(&"other.org".parse::<keyward_spiffe_id::TrustDomain>()?).is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod change;
mod error;
mod read;
mod set;
mod write;

use keyward_spiffe_id::TrustDomain;
use rustls_pki_types::CertificateDer;

use crate::jwks::{JwkSet, KeyUse, Skipped, VerificationKey};
use crate::jwt::JwtBundle;
#[cfg(feature = "wit")]
use crate::wit::WitBundle;
use crate::x509::X509Bundle;

pub use change::Change;
pub use error::Error;
pub use set::{BundleSet, MAX_BUNDLES, MAX_MAP_BYTES};

/// After how many seconds to look for a newer bundle where it gives no hint (SPIFFE Trust Domain and Bundle §6.1).
pub const DEFAULT_REFRESH_HINT: u64 = 300;

/// The keys of one trust domain, for every kind of SVID.
///
/// The document does not name its trust domain (SPIFFE Trust Domain and Bundle §3), so it is kept together with it
/// here, and no key ever verifies an identity of another trust domain. A bundle without keys is a bundle too:
/// everything is revoked (§4.1.3).
///
/// Two bundles are equal when they hold the same keys for the same trust domain with the same sequence number and hint;
/// the order of the keys, and what was skipped in reading, do not count.
#[derive(Debug, Clone)]
pub struct Bundle {
    x509: X509Bundle,
    jwt: JwtBundle,
    #[cfg(feature = "wit")]
    wit: Box<WitBundle>,
    sequence: Option<u64>,
    refresh_hint: Option<u64>,
    skipped: Vec<Skipped>,
}

impl Bundle {
    /// A bundle to publish, without sequence number and hint.
    ///
    /// # Errors
    /// [`Error::Authority`] when a certificate is none of an authority that can be published, [`Error::Keys`] when a
    /// JWT key has no `kid` (JWT-SVID §6.1).
    pub fn new(
        trust_domain: TrustDomain,
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
        jwt_keys: impl IntoIterator<Item = VerificationKey>,
    ) -> Result<Self, Error> {
        let x509 = X509Bundle::new(trust_domain, authorities).map_err(Error::Authority)?;
        for authority in x509.authorities() {
            write::authority_jwk(authority).map_err(Error::Authority)?;
        }
        Ok(Self::from_parts(x509, named(KeyUse::JwtSvid, jwt_keys)?))
    }

    /// A bundle of X.509 authorities from PEM, such as an operator has at hand.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_pem(trust_domain: TrustDomain, pem: &str) -> Result<Self, Error> {
        let x509 = X509Bundle::from_pem(trust_domain.clone(), pem).map_err(Error::Authority)?;
        Self::new(trust_domain, x509.authorities().iter().cloned(), [])
    }

    /// Reads a bundle of this trust domain. Entries that cannot be used are skipped and reported by
    /// [`skipped`](Self::skipped); a bundle without any usable one refuses everything (SPIFFE Trust Domain and Bundle
    /// §4.1.3).
    ///
    /// Skipped are entries of unknown `use` or key type, X.509 entries without a certificate of an authority or with one
    /// for another key than the entry's own (RFC 7517 §4.7), and JWT entries without `kid`. Of several certificates in
    /// `x5c` the first counts, and a `kid` beside it does not (X509-SVID §6).
    ///
    /// # Errors
    /// [`Error::Keys`] as [`JwkSet::from_json`], [`Error::Integer`] when sequence number or hint are no integers from
    /// 0 to 2⁶⁴ − 1.
    pub fn from_json(trust_domain: TrustDomain, json: &[u8]) -> Result<Self, Error> {
        read::read(trust_domain, json)
    }

    fn from_parts(x509: X509Bundle, jwt: JwkSet) -> Self {
        Self {
            jwt: JwtBundle::new(x509.trust_domain().clone(), jwt),
            #[cfg(feature = "wit")]
            wit: Box::new(WitBundle::of(x509.trust_domain(), [])),
            x509,
            sequence: None,
            refresh_hint: None,
            skipped: Vec::new(),
        }
    }

    /// The same with this sequence number (SPIFFE Trust Domain and Bundle §4.1.1): a publisher raises it with every
    /// change.
    #[must_use]
    pub fn with_sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The same with this hint, in seconds, when to come again (SPIFFE Trust Domain and Bundle §4.1.2).
    #[must_use]
    pub fn with_refresh_hint(mut self, seconds: u64) -> Self {
        self.refresh_hint = Some(seconds);
        self
    }

    /// The same with these keys for WIT-SVIDs.
    ///
    /// # Errors
    /// [`Error::Keys`] when one has no `kid`, [`Error::KeyIdTwice`] when another key of the bundle has the same
    /// (WIT-SVID §6.1).
    #[cfg(feature = "wit")]
    pub fn with_wit_keys(mut self, keys: impl IntoIterator<Item = VerificationKey>) -> Result<Self, Error> {
        let wit = named(KeyUse::WitSvid, keys)?;
        let mut kids: Vec<_> =
            wit.keys().iter().chain(self.jwt.keys().keys()).filter_map(VerificationKey::kid).collect();
        kids.sort_unstable();
        if let Some([kid, _]) = kids.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Error::KeyIdTwice { kid: crate::json::excerpt(kid) });
        }
        self.wit = Box::new(WitBundle::of(self.trust_domain(), wit.keys().to_vec()));
        Ok(self)
    }

    /// Whose keys these are.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.x509.trust_domain()
    }

    /// The authorities that verify X.509-SVIDs.
    pub fn x509(&self) -> &X509Bundle {
        &self.x509
    }

    /// The keys that verify JWT-SVIDs.
    pub fn jwt(&self) -> &JwtBundle {
        &self.jwt
    }

    /// The keys that verify WIT-SVIDs.
    #[cfg(feature = "wit")]
    pub fn wit(&self) -> &WitBundle {
        &self.wit
    }

    /// The sequence number, if the bundle has one.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// The hint when to come again, in seconds, if the bundle gives one; otherwise [`DEFAULT_REFRESH_HINT`] is due.
    pub fn refresh_hint(&self) -> Option<u64> {
        self.refresh_hint
    }

    /// The entries that were skipped in reading, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether there is no key of any kind: everything of the trust domain is revoked.
    pub fn is_empty(&self) -> bool {
        let empty = self.x509.is_empty() && self.jwt.keys().keys().is_empty();
        #[cfg(feature = "wit")]
        let empty = empty && self.wit.keys().keys().is_empty();
        empty
    }

    /// The X.509 authorities as PEM.
    pub fn to_pem(&self) -> String {
        self.x509.to_pem()
    }
}

/// Keys for a bundle, each with its `kid`.
fn named(key_use: KeyUse, keys: impl IntoIterator<Item = VerificationKey>) -> Result<JwkSet, Error> {
    let set = JwkSet::new(key_use, keys);
    if set.keys().iter().any(|key| key.kid().is_none_or(str::is_empty)) {
        return Err(Error::Keys(crate::jwks::JwksError::KeyId));
    }
    Ok(set)
}
