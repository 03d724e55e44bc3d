//! The key under which keys from elsewhere travel.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{HashFunction, KeyType, PrivateKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ring::{encode, pem};
use crate::seal::{check_format, to_json};
use crate::{Cipher, Error, Kek, KekSet, Material, RecordError, open, seal};

/// The format written.
const FORMAT: u32 = 1;
const EXPECTED: &str = "wrapping key";

/// An RSA key under which keys from elsewhere are wrapped for the way: whoever has one that is to be imported wraps it for the
/// public half ([`Material::from_wrapped`] says how).
///
/// ```no_run
/// use keyward_transit::{Kek, KekSet, WrappingKey};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
///
/// let keks = KekSet::new(Kek::generate(1, &mut rng)?);
/// let key = WrappingKey::generate()?;
/// let record = key.to_sealed(keks.current(), "tenants/1/wrapping-key", &mut rng)?;
/// let again = WrappingKey::from_sealed(&keks, "tenants/1/wrapping-key", &record)?;
/// assert_eq!(again.public_key_pem(), key.public_key_pem());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WrappingKey(PrivateKey);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record<'a> {
    format: u32,
    /// PKCS#8 document, base64.
    #[serde(borrow)]
    secret: &'a str,
}

impl WrappingKey {
    /// A fresh key of 4096 bits, as Vault and OpenBao have one. It takes seconds: generate where nobody waits.
    ///
    /// # Errors
    /// [`Error::Keys`] when the backend fails.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self(PrivateKey::generate(KeyType::Rsa4096)?))
    }

    /// A key that exists.
    ///
    /// # Errors
    /// [`Error::WrongMaterial`] unless it is RSA.
    pub fn from_private_key(key: PrivateKey) -> Result<Self, Error> {
        if key.public_key().rsa_bits().is_none() {
            return Err(Error::WrongMaterial { cipher: Cipher::Rsa4096 });
        }
        Ok(Self(key))
    }

    /// The public half as PEM (`PUBLIC KEY`, RFC 7468 §13).
    pub fn public_key_pem(&self) -> String {
        pem("PUBLIC KEY", &self.0.public_key().to_spki_der()).to_string()
    }

    /// The key that was wrapped for this one: see [`Material::from_wrapped`].
    ///
    /// # Errors
    /// Those of [`Material::from_wrapped`].
    pub fn unwrap(&self, cipher: Cipher, hash: HashFunction, wrapped: &[u8]) -> Result<Material, Error> {
        Material::from_wrapped(cipher, &self.0, hash, wrapped)
    }

    /// The key as a sealed record: what the caller stores at `path`.
    ///
    /// # Errors
    /// [`RecordError::Keys`] when the key cannot be encoded or the backend fails.
    pub fn to_sealed(&self, kek: &Kek, path: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, RecordError> {
        let secret = encode(&self.0.to_pkcs8_der()?);
        seal(kek, path, &to_json(&Record { format: FORMAT, secret: &secret }, EXPECTED)?, rng)
    }

    /// The key in the record at `path`.
    ///
    /// # Errors
    /// [`RecordError::Refused`] when the record does not open, [`RecordError::UnknownFormat`] when a newer release wrote it,
    /// [`RecordError::Malformed`] and [`RecordError::Keys`] when it holds no such key.
    pub fn from_sealed(keks: &KekSet, path: &str, record: &[u8]) -> Result<Self, RecordError> {
        let json = open(keks, path, record)?;
        check_format(&json, FORMAT, EXPECTED)?;
        let malformed = |reason| RecordError::Malformed { expected: EXPECTED, reason };
        let record: Record<'_> = serde_json::from_slice(&json).map_err(|_| malformed("it has other members"))?;
        let document = STANDARD.decode(record.secret).map(Zeroizing::new);
        let document = document.map_err(|_| malformed("its key is not base64"))?;
        Self::from_private_key(PrivateKey::from_pkcs8_der(&document)?).map_err(|_| malformed("its key is not RSA"))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn a_sealed_one_comes_back_at_its_place_alone_and_shows_nothing() {
        let key = WrappingKey::from_private_key(PrivateKey::generate(KeyType::Rsa2048).unwrap()).unwrap();
        let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
        let record = key.to_sealed(keks.current(), "here", &mut rng(1)).unwrap();
        let again = WrappingKey::from_sealed(&keks, "here", &record).unwrap();
        assert_eq!(again.public_key_pem(), key.public_key_pem());
        assert!(key.public_key_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        assert_eq!(WrappingKey::from_sealed(&keks, "there", &record).unwrap_err(), RecordError::Refused);
        assert_eq!(format!("{again:?}"), "WrappingKey(..)");
        let refused = |json: &str| {
            let record = seal(keks.current(), "here", json.as_bytes(), &mut rng(2)).unwrap();
            WrappingKey::from_sealed(&keks, "here", &record).unwrap_err().to_string()
        };
        assert_eq!(refused("{}"), "the record holds no wrapping key: it has no format number");
        assert_eq!(refused(r#"{"format":2}"#), "the record has format 2, but this release knows formats up to 1");
        assert_eq!(refused(r#"{"format":1}"#), "the record holds no wrapping key: it has other members");
        assert_eq!(refused(r#"{"format":1,"secret":"?"}"#), "the record holds no wrapping key: its key is not base64");
        let other = encode(&PrivateKey::generate(KeyType::Ed25519).unwrap().to_pkcs8_der().unwrap());
        let other = format!(r#"{{"format":1,"secret":"{}"}}"#, other.as_str());
        assert_eq!(refused(&other), "the record holds no wrapping key: its key is not RSA");
    }
}
