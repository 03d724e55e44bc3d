//! Hash functions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::excerpt;
use crate::{Error, backend};

/// SHA-256 of the bytes (FIPS 180-4).
///
/// ```
/// assert_eq!(keyward_keys::sha256(b"")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
/// ```
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    backend::sha256(bytes)
}

/// A hash function (FIPS 180-4, FIPS 202), by the names that key rings use.
///
/// ```
/// use keyward_keys::HashFunction;
///
/// let hash: HashFunction = "sha2-384".parse()?;
/// assert_eq!(hash.digest(b"abc").len(), hash.length());
/// # Ok::<(), keyward_keys::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HashFunction {
    /// SHA-224.
    Sha2_224,
    /// SHA-256.
    #[default]
    Sha2_256,
    /// SHA-384.
    Sha2_384,
    /// SHA-512.
    Sha2_512,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
}

impl HashFunction {
    /// Every hash function.
    pub const ALL: &'static [Self] = &[
        Self::Sha2_224,
        Self::Sha2_256,
        Self::Sha2_384,
        Self::Sha2_512,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    /// The name, for example `sha2-256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha2_224 => "sha2-224",
            Self::Sha2_256 => "sha2-256",
            Self::Sha2_384 => "sha2-384",
            Self::Sha2_512 => "sha2-512",
            Self::Sha3_256 => "sha3-256",
            Self::Sha3_384 => "sha3-384",
            Self::Sha3_512 => "sha3-512",
        }
    }

    /// Bytes of a digest.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha2_224 => 28,
            Self::Sha2_256 | Self::Sha3_256 => 32,
            Self::Sha2_384 | Self::Sha3_384 => 48,
            Self::Sha2_512 | Self::Sha3_512 => 64,
        }
    }

    /// Bytes of a block, which HMAC pads its key to (RFC 2104 §2; FIPS 202 table 3).
    pub(crate) const fn block(self) -> usize {
        match self {
            Self::Sha2_224 | Self::Sha2_256 => 64,
            Self::Sha2_384 | Self::Sha2_512 => 128,
            Self::Sha3_256 => 136,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
        }
    }

    /// An error unless a digest has the length of this function's.
    pub(crate) fn demand_length(self, digest: &[u8]) -> Result<(), Error> {
        if digest.len() == self.length() {
            return Ok(());
        }
        let accepted = match self.length() {
            28 => "28",
            32 => "32",
            48 => "48",
            _ => "64",
        };
        Err(Error::Length { what: "digest", found: digest.len(), accepted })
    }

    /// The digest of the bytes.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        backend::digest(self, bytes)
    }
}

impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for HashFunction {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|hash| hash.as_str() == name);
        found.copied().ok_or_else(|| Error::UnknownHash { name: excerpt(name) })
    }
}

impl Serialize for HashFunction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for HashFunction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_standards() {
        // "abc": NIST, examples with intermediate values for FIPS 180-4 and FIPS 202.
        let cases = [
            (HashFunction::Sha2_224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            (HashFunction::Sha2_256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                HashFunction::Sha2_384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                HashFunction::Sha2_512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (HashFunction::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            (
                HashFunction::Sha3_384,
                "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
            ),
            (
                HashFunction::Sha3_512,
                "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
            ),
        ];
        assert_eq!(cases.map(|(hash, _)| hash), HashFunction::ALL);
        for (hash, expected) in cases {
            let digest = hash.digest(b"abc");
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{hash}");
            assert_eq!(digest.len(), hash.length());
        }
        assert_eq!(sha256(b"abc").as_slice(), HashFunction::Sha2_256.digest(b"abc"));
    }

    #[test]
    fn names_round_trip() {
        for hash in HashFunction::ALL {
            assert_eq!(hash.to_string().parse(), Ok(*hash));
            let json = serde_json::to_string(hash).unwrap();
            assert_eq!(serde_json::from_str::<HashFunction>(&json).unwrap(), *hash);
        }
        for name in ["", "sha1", "sha256", "SHA2-256", "sha3-224", "none"] {
            let error = name.parse::<HashFunction>().unwrap_err();
            assert_eq!(error.to_string(), format!("unknown hash function `{name}`"));
        }
    }
}
