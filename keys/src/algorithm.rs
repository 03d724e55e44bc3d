//! JOSE signature algorithms.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::ecdsa;
use crate::error::excerpt;
use crate::parts::{Curve, Parts};
use crate::{Error, HashFunction, KeyType, PublicKey};

/// A JOSE signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). `none` and the symmetric `HS*` are not among them.
///
/// ```
/// # use keyward_keys::Algorithm;
/// let algorithm: Algorithm = "ES256".parse()?;
/// assert_eq!(algorithm.to_string(), "ES256");
/// assert!("none".parse::<Algorithm>().is_err());
/// # Ok::<(), keyward_keys::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384 (RFC 7518 §3.3).
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 7518 §3.3).
    Rs512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes (RFC 7518 §3.5).
    Ps384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes (RFC 7518 §3.5).
    Ps512,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384 (RFC 7518 §3.4).
    Es384,
    /// ECDSA on P-521 with SHA-512 (RFC 7518 §3.4).
    Es512,
    /// Ed25519, by its JOSE name `EdDSA` (RFC 8037 §3.1). Ed448 is not supported.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &'static [Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The algorithm to use with a key where nobody says otherwise: `RS256` for RSA, the curve's own for the rest.
    pub fn default_for(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => Self::Rs256,
            KeyType::EcdsaP256 => Self::Es256,
            KeyType::EcdsaP384 => Self::Es384,
            KeyType::EcdsaP521 => Self::Es512,
            KeyType::Ed25519 => Self::EdDsa,
        }
    }

    /// Whether the algorithm may be used with the key: `RS*` and `PS*` with RSA, `ES*` each with its one curve
    /// (RFC 7518 §3.4), `EdDSA` with Ed25519.
    pub fn fits(self, key: &PublicKey) -> bool {
        self.fits_parts(key.parts())
    }

    pub(crate) fn fits_parts(self, parts: &Parts) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                matches!(parts, Parts::Rsa { .. })
            }
            Self::Es256 => matches!(parts, Parts::Ec { curve: Curve::P256, .. }),
            Self::Es384 => matches!(parts, Parts::Ec { curve: Curve::P384, .. }),
            Self::Es512 => matches!(parts, Parts::Ec { curve: Curve::P521, .. }),
            Self::EdDsa => matches!(parts, Parts::Ed25519(_)),
        }
    }

    /// A signature from the form of JWS to that of X.509: for ECDSA r‖s (RFC 7518 §3.4) to DER (RFC 3279 §2.2.3). Other
    /// signatures have one form and come back as they are. Nothing is verified.
    ///
    /// # Errors
    /// [`Error::Encoding`] when the algorithm makes no signature of that length.
    ///
    /// ```
    /// use keyward_keys::{Algorithm, KeyType, PrivateKey};
    ///
    /// let key = PrivateKey::generate(KeyType::EcdsaP256)?;
    /// let signature = key.sign(Algorithm::Es256, b"message")?;
    /// let der = Algorithm::Es256.signature_to_asn1(&signature)?;
    /// key.public_key().verify_asn1(Algorithm::Es256, b"message", &der)?;
    /// assert_eq!(*Algorithm::Es256.signature_from_asn1(&der)?, signature);
    /// # Ok::<(), keyward_keys::Error>(())
    /// ```
    pub fn signature_to_asn1(self, signature: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
        match self.ecdsa_width() {
            Some(width) => ecdsa::to_asn1(signature, width).map(Cow::Owned),
            None => self.is_length(signature.len()).then_some(Cow::Borrowed(signature)),
        }
        .ok_or(Error::Encoding { what: "signature in the form of JWS" })
    }

    /// A signature from the form of X.509 to that of JWS: the other way round of
    /// [`signature_to_asn1`](Self::signature_to_asn1), as devices and key management services answer DER.
    ///
    /// # Errors
    /// [`Error::Encoding`] when it is not canonical DER of two positive numbers that the curve allows, or, without
    /// ECDSA, of a length that the algorithm makes.
    pub fn signature_from_asn1(self, signature: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
        match self.ecdsa_width() {
            // FIPS 186-5 §6.4.1: neither number is zero.
            Some(width) => ecdsa::to_fixed(signature, width)
                .filter(|fixed| fixed.chunks(width).all(|number| number.iter().any(|byte| *byte != 0)))
                .map(Cow::Owned),
            None => self.is_length(signature.len()).then_some(Cow::Borrowed(signature)),
        }
        .ok_or(Error::Encoding { what: "signature in the form of X.509" })
    }

    /// Bytes of r and of s; nothing unless ECDSA.
    fn ecdsa_width(self) -> Option<usize> {
        match self {
            Self::Es256 => Some(Curve::P256.width()),
            Self::Es384 => Some(Curve::P384.width()),
            Self::Es512 => Some(Curve::P521.width()),
            _ => None,
        }
    }

    /// Whether signatures other than ECDSA's may have this length: RSA of 2048 to 8192 bits, Ed25519.
    fn is_length(self, length: usize) -> bool {
        if self == Self::EdDsa { length == 64 } else { (256..=1024).contains(&length) }
    }

    /// The algorithm's hash function; `None` for `EdDSA`, which hashes inside.
    pub fn hash(self) -> Option<HashFunction> {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => Some(HashFunction::Sha2_256),
            Self::Rs384 | Self::Ps384 | Self::Es384 => Some(HashFunction::Sha2_384),
            Self::Rs512 | Self::Ps512 | Self::Es512 => Some(HashFunction::Sha2_512),
            Self::EdDsa => None,
        }
    }

    /// A digest as the algorithm takes it. ECDSA computes with its leftmost bits, as many as the order has (FIPS 186-5
    /// §6.4.1), so that a longer one is cut and a shorter one is led by zeros, to the length of the algorithm's own.
    pub(crate) fn fit_digest(self, digest: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
        const ANY: std::ops::RangeInclusive<usize> = 28..=64;
        let Some(hash) = self.hash() else {
            return Err(Error::CannotDo { key: "Ed25519", operation: "sign a digest" });
        };
        if digest.len() == hash.length() {
            return Ok(Cow::Borrowed(digest));
        }
        if self.ecdsa_width().is_none() {
            hash.demand_length(digest)?;
        }
        if !ANY.contains(&digest.len()) {
            return Err(Error::Length { what: "digest", found: digest.len(), accepted: "28 to 64" });
        }
        let mut fitted = vec![0; hash.length().saturating_sub(digest.len())];
        fitted.extend(digest.iter().take(hash.length()));
        Ok(Cow::Owned(fitted))
    }

    /// The JOSE name, for example `ES256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    /// Names are case-sensitive (RFC 7515 §4.1.1).
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|algorithm| algorithm.as_str() == name);
        found.copied().ok_or_else(|| Error::UnknownAlgorithm { name: excerpt(name) })
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(*algorithm));
            let json = serde_json::to_string(algorithm).unwrap();
            assert_eq!(json, format!("\"{algorithm}\""));
            assert_eq!(serde_json::from_str::<Algorithm>(&json).unwrap(), *algorithm);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "none", "None", "HS256", "ES256K", "es256", "Ed448", " RS256", "RS256\0"] {
            let error = name.parse::<Algorithm>().unwrap_err();
            assert_eq!(error, Error::UnknownAlgorithm { name: excerpt(name) });
        }
        let error = "none".parse::<Algorithm>().unwrap_err();
        assert_eq!(error.to_string(), "unknown signature algorithm `none`");
    }

    #[test]
    fn signatures_change_form_where_they_have_two() {
        for (algorithm, width) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48), (Algorithm::Es512, 66)] {
            let fixed = vec![1; 2 * width];
            let asn1 = algorithm.signature_to_asn1(&fixed).unwrap().into_owned();
            assert_eq!(*algorithm.signature_from_asn1(&asn1).unwrap(), fixed);
            let error = algorithm.signature_to_asn1(&asn1).unwrap_err();
            assert_eq!(error.to_string(), "not a valid signature in the form of JWS");
            let error = algorithm.signature_from_asn1(&fixed).unwrap_err();
            assert_eq!(error.to_string(), "not a valid signature in the form of X.509");
            // r = 0
            assert!(algorithm.signature_from_asn1(&[0x30, 6, 2, 1, 0, 2, 1, 1]).is_err());
        }
        for (algorithm, right, wrong) in
            [(Algorithm::Rs256, 256, 255), (Algorithm::Ps512, 1024, 1025), (Algorithm::EdDsa, 64, 65)]
        {
            assert_eq!(algorithm.signature_to_asn1(&vec![1; right]).unwrap(), vec![1; right]);
            assert_eq!(algorithm.signature_from_asn1(&vec![1; right]).unwrap(), vec![1; right]);
            assert!(algorithm.signature_to_asn1(&vec![1; wrong]).is_err());
            assert!(algorithm.signature_from_asn1(&vec![1; wrong]).is_err());
        }
    }
}
