//! What the versions of a ring are made of.

use std::fmt;
use std::str::FromStr;

use keyward_keys::{AeadAlgorithm, ErrorKind, KeyType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The cipher of a ring, fixed for the life of the ring.
///
/// `Display`, `FromStr` and serde use the names of the configuration documents.
///
/// ```
/// use keyward_transit::Cipher;
///
/// let cipher: Cipher = "ecdsa-p256".parse()?;
/// assert_eq!(cipher, Cipher::EcdsaP256);
/// assert!(cipher.signs() && !cipher.encrypts());
/// assert!(Cipher::Rsa2048.signs() && Cipher::Rsa2048.encrypts());
/// assert!("des".parse::<Cipher>().is_err());
/// # Ok::<(), keyward_transit::CipherError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Cipher {
    /// AES-128 in Galois/Counter mode with 96-bit nonces (NIST SP 800-38D); encrypts.
    Aes128Gcm96,
    /// AES-192 in Galois/Counter mode with 96-bit nonces (NIST SP 800-38D); encrypts.
    Aes192Gcm96,
    /// AES-256 in Galois/Counter mode with 96-bit nonces (NIST SP 800-38D); encrypts.
    #[default]
    Aes256Gcm96,
    /// ChaCha20 and Poly1305 (RFC 8439); encrypts.
    ChaCha20Poly1305,
    /// RSA with a modulus of 2048 bits; signs, and encrypts with OAEP and SHA-256 (RFC 8017 §7.1).
    Rsa2048,
    /// RSA with a modulus of 3072 bits; signs and encrypts.
    Rsa3072,
    /// RSA with a modulus of 4096 bits; signs and encrypts.
    Rsa4096,
    /// ECDSA over P-256; signs.
    EcdsaP256,
    /// ECDSA over P-384; signs.
    EcdsaP384,
    /// ECDSA over P-521; signs.
    EcdsaP521,
    /// Ed25519 (RFC 8032); signs, but not JWT-SVIDs.
    Ed25519,
    /// HMAC (RFC 2104) with a key of the ring's own; neither signs nor encrypts.
    Hmac,
}

impl Cipher {
    /// Every supported cipher, in the order of the documentation.
    pub const ALL: [Cipher; 12] = [
        Cipher::Aes128Gcm96,
        Cipher::Aes192Gcm96,
        Cipher::Aes256Gcm96,
        Cipher::ChaCha20Poly1305,
        Cipher::Rsa2048,
        Cipher::Rsa3072,
        Cipher::Rsa4096,
        Cipher::EcdsaP256,
        Cipher::EcdsaP384,
        Cipher::EcdsaP521,
        Cipher::Ed25519,
        Cipher::Hmac,
    ];

    /// The name used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cipher::Aes128Gcm96 => "aes128-gcm96",
            Cipher::Aes192Gcm96 => "aes192-gcm96",
            Cipher::Aes256Gcm96 => "aes256-gcm96",
            Cipher::ChaCha20Poly1305 => "chacha20-poly1305",
            Cipher::Rsa2048 => "rsa-2048",
            Cipher::Rsa3072 => "rsa-3072",
            Cipher::Rsa4096 => "rsa-4096",
            Cipher::EcdsaP256 => "ecdsa-p256",
            Cipher::EcdsaP384 => "ecdsa-p384",
            Cipher::EcdsaP521 => "ecdsa-p521",
            Cipher::Ed25519 => "ed25519",
            Cipher::Hmac => "hmac",
        }
    }

    /// The type of the private key of a version, or `None` where versions hold symmetric keys.
    pub const fn key_type(self) -> Option<KeyType> {
        match self {
            Cipher::Aes128Gcm96
            | Cipher::Aes192Gcm96
            | Cipher::Aes256Gcm96
            | Cipher::ChaCha20Poly1305
            | Cipher::Hmac => None,
            Cipher::Rsa2048 => Some(KeyType::Rsa2048),
            Cipher::Rsa3072 => Some(KeyType::Rsa3072),
            Cipher::Rsa4096 => Some(KeyType::Rsa4096),
            Cipher::EcdsaP256 => Some(KeyType::EcdsaP256),
            Cipher::EcdsaP384 => Some(KeyType::EcdsaP384),
            Cipher::EcdsaP521 => Some(KeyType::EcdsaP521),
            Cipher::Ed25519 => Some(KeyType::Ed25519),
        }
    }

    /// The cipher with associated data, or `None` where versions hold something else.
    pub const fn aead(self) -> Option<AeadAlgorithm> {
        match self {
            Cipher::Aes128Gcm96 => Some(AeadAlgorithm::Aes128Gcm),
            Cipher::Aes192Gcm96 => Some(AeadAlgorithm::Aes192Gcm),
            Cipher::Aes256Gcm96 => Some(AeadAlgorithm::Aes256Gcm),
            Cipher::ChaCha20Poly1305 => Some(AeadAlgorithm::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// Whether rings of this cipher sign and verify.
    pub const fn signs(self) -> bool {
        self.key_type().is_some()
    }

    /// Whether rings of this cipher encrypt, unless they sign JWTs. Material that encrypted is never destroyed without
    /// an explicit trim.
    pub const fn encrypts(self) -> bool {
        self.aead().is_some() || matches!(self, Cipher::Rsa2048 | Cipher::Rsa3072 | Cipher::Rsa4096)
    }

    /// Whether keys can be derived from those of the ring, one per context (`derived`).
    pub const fn derives(self) -> bool {
        self.aead().is_some() || matches!(self, Cipher::Ed25519)
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Cipher {
    type Err = CipherError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(cipher) = Cipher::ALL.into_iter().find(|c| c.as_str() == text) {
            return Ok(cipher);
        }
        Err(CipherError::Unknown { name: text.chars().take(40).collect() })
    }
}

impl Serialize for Cipher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cipher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const SUPPORTED: &str = "aes128-gcm96, aes192-gcm96, aes256-gcm96, chacha20-poly1305, rsa-2048, rsa-3072, rsa-4096, \
                         ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, hmac";

/// Why a text names no cipher that a ring can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// No cipher has this name.
    #[error("`{name}` is not a cipher; supported are {SUPPORTED}")]
    Unknown {
        /// The name given, cut to 40 characters.
        name: String,
    },
}

impl CipherError {
    /// The class of the error: always [`ErrorKind::Malformed`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_all_listed() {
        for cipher in Cipher::ALL {
            assert_eq!(cipher.to_string().parse::<Cipher>().unwrap(), cipher);
            let json = serde_json::to_string(&cipher).unwrap();
            assert_eq!(json, format!("\"{cipher}\""));
            assert_eq!(serde_json::from_str::<Cipher>(&json).unwrap(), cipher);
            assert!(SUPPORTED.split(", ").any(|name| name == cipher.as_str()));
            assert_eq!(cipher.signs() || cipher.encrypts(), cipher != Cipher::Hmac);
        }
        assert_eq!(Cipher::default(), Cipher::Aes256Gcm96);
    }

    #[test]
    fn what_is_no_cipher_is_refused_with_the_list() {
        let error = "RSA-2048".parse::<Cipher>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`RSA-2048` is not a cipher; supported are aes128-gcm96, aes192-gcm96, aes256-gcm96, chacha20-poly1305, \
             rsa-2048, rsa-3072, rsa-4096, ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, hmac"
        );
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}
