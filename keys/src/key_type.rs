//! The kinds of key that can be generated.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;
use crate::error::excerpt;

/// A kind of key pair: what [`PrivateKey::generate`](crate::PrivateKey::generate) makes.
///
/// ```
/// # use keyward_keys::KeyType;
/// let kind: KeyType = "ecdsa-p256".parse()?;
/// assert_eq!(kind, KeyType::EcdsaP256);
/// assert_eq!(kind.to_string(), "ecdsa-p256");
/// # Ok::<(), keyward_keys::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyType {
    /// RSA with a modulus of 2048 bits, written `rsa-2048`.
    Rsa2048,
    /// RSA with a modulus of 3072 bits, written `rsa-3072`.
    Rsa3072,
    /// RSA with a modulus of 4096 bits, written `rsa-4096`.
    Rsa4096,
    /// ECDSA on NIST curve P-256, written `ecdsa-p256`.
    EcdsaP256,
    /// ECDSA on NIST curve P-384, written `ecdsa-p384`.
    EcdsaP384,
    /// ECDSA on NIST curve P-521, written `ecdsa-p521`.
    EcdsaP521,
    /// Ed25519 (RFC 8032), written `ed25519`.
    Ed25519,
}

impl KeyType {
    /// Every key type.
    pub const ALL: &'static [Self] = &[
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Ed25519,
    ];

    /// The name, as [`Display`](fmt::Display) writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The type of an RSA key pair with a modulus of so many bits.
    pub(crate) fn rsa(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == name);
        found.copied().ok_or_else(|| Error::UnknownKeyType { name: excerpt(name) })
    }
}

impl Serialize for KeyType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in KeyType::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<KeyType>(&json).unwrap(), *kind);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "RSA-2048", "rsa-1024", "ecdsa-p256 ", "ecdsa-p256k1"] {
            let error = name.parse::<KeyType>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "unknown key type `{name}`: give one of `rsa-2048`, `rsa-3072`, `rsa-4096`, `ecdsa-p256`, `ecdsa-p384`, \
                     `ecdsa-p521`, `ed25519`"
                )
            );
        }
    }
}
