//! Keys that leave the ring.

use std::fmt;
use std::str::FromStr;

use keyward_keys::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::record::encode;
use super::view::pem;
use super::{Key, Ring, Version};
use crate::Error;

/// Which of a version's keys are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Export {
    /// The key that encrypts.
    EncryptionKey,
    /// The key that signs.
    SigningKey,
    /// The key that makes HMACs.
    HmacKey,
    /// The public key, which every ring that has one gives away.
    PublicKey,
}

const EXPORTS: &str = "`encryption-key`, `signing-key`, `hmac-key` and `public-key`";

impl FromStr for Export {
    type Err = Error;

    /// `encryption-key`, `signing-key`, `hmac-key` or `public-key`.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "encryption-key" => Export::EncryptionKey,
            "signing-key" => Export::SigningKey,
            "hmac-key" => Export::HmacKey,
            "public-key" => Export::PublicKey,
            _ => return Err(Error::unknown("exported key", text, EXPORTS)),
        })
    }
}

/// An exported key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exported {
    /// The number of its version.
    pub version: u32,
    /// The key.
    pub key: ExportedKey,
}

/// The key of one version, outside.
#[non_exhaustive]
pub enum ExportedKey {
    /// The bytes of a symmetric key.
    Symmetric(Zeroizing<Vec<u8>>),
    /// A private key as PKCS#8 document (RFC 5208).
    Private(Zeroizing<Vec<u8>>),
    /// A public key.
    Public(PublicKey),
}

impl ExportedKey {
    /// The key as text: base64 of a symmetric one, PEM of a private one (`PRIVATE KEY`) or a public one (`PUBLIC KEY`).
    pub fn to_text(&self) -> Zeroizing<String> {
        match self {
            ExportedKey::Symmetric(bytes) => encode(bytes),
            ExportedKey::Private(document) => pem("PRIVATE KEY", document),
            ExportedKey::Public(key) => pem("PUBLIC KEY", &key.to_spki_der()),
        }
    }
}

impl ExportedKey {
    /// The key as Vault and OpenBao export it: an RSA or elliptic-curve private key as PEM in the form before PKCS#8
    /// (`RSA PRIVATE KEY`, `EC PRIVATE KEY`), an Ed25519 one as base64 of seed and public key, an Ed25519 public key as
    /// base64 of its 32 bytes, all others as [`to_text`](Self::to_text). Only RSA keys end in a line feed.
    ///
    /// # Errors
    /// [`Error::Keys`] when the backend cannot encode the key.
    pub fn to_vault_text(&self) -> Result<Zeroizing<String>, Error> {
        let (mut text, keeps_line_feed) = match self {
            ExportedKey::Private(document) => {
                let key = PrivateKey::from_pkcs8_der(document)?;
                let text = match (key.ed25519_seed()?, key.public_key().ed25519_bytes()) {
                    (Some(seed), Some(public)) => encode(&Zeroizing::new([*seed, *public].concat())),
                    _ => key.to_traditional_pem()?,
                };
                (text, key.public_key().rsa_bits().is_some())
            }
            ExportedKey::Public(key) => {
                let text = key.ed25519_bytes().map_or_else(|| self.to_text(), |bytes| encode(bytes));
                (text, key.rsa_bits().is_some())
            }
            ExportedKey::Symmetric(_) => (self.to_text(), false),
        };
        if !keeps_line_feed {
            let length = text.trim_end().len();
            text.truncate(length);
        }
        Ok(text)
    }
}

impl fmt::Debug for ExportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportedKey::Symmetric(_) => f.write_str("Symmetric(..)"),
            ExportedKey::Private(_) => f.write_str("Private(..)"),
            ExportedKey::Public(key) => f.debug_tuple("Public").field(key).finish(),
        }
    }
}

impl Ring {
    /// Keys of the ring: those of one version, or of every one that decrypts and verifies.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the ring has no such keys, [`Error::Derived`] for the public key of one that has one per context
    /// ([`derived_public_key`](Self::derived_public_key)); except for public ones, [`Error::NotAllowed`] unless it is
    /// `exportable` and [`Error::SignsJwts`] when it signs JWTs; [`Error::Version`] when the version asked for is not
    /// there.
    pub fn export(&self, export: Export, version: Option<u32>) -> Result<Vec<Exported>, Error> {
        let (has, operation) = match export {
            Export::EncryptionKey => (self.cipher().encrypts(), "export an encryption key"),
            Export::SigningKey => (self.cipher().signs(), "export a signing key"),
            Export::HmacKey => (true, "export an HMAC key"),
            Export::PublicKey => (self.cipher().signs(), "export a public key"),
        };
        if !has {
            return Err(self.unsupported(operation));
        }
        if export == Export::PublicKey && self.config.derived {
            return Err(Error::Derived { operation: "export one public key: each context has its own" });
        }
        if export != Export::PublicKey {
            self.refuse_unless_exportable("export keys")?;
        }
        let is_there = |v: &&Version| v.key.is_some() && v.number >= self.lowest.decryption;
        let versions: Vec<_> = match version {
            None => self.versions.iter().filter(is_there).collect(),
            Some(number) => {
                let found = self.version(number).filter(is_there);
                vec![found.ok_or(Error::Version { version: number, reason: "is not there" })?]
            }
        };
        versions.into_iter().filter_map(|version| exported(version, export).transpose()).collect()
    }

    pub(super) fn refuse_unless_exportable(&self, operation: &'static str) -> Result<(), Error> {
        if self.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        if !self.config.exportable {
            return Err(Error::NotAllowed { field: "exportable", operation });
        }
        Ok(())
    }
}

fn exported(version: &Version, export: Export) -> Result<Option<Exported>, Error> {
    let key = match (export, &version.key, &version.public, &version.hmac) {
        (Export::PublicKey, _, Some(public), _) => ExportedKey::Public(public.key.clone()),
        (Export::HmacKey, _, _, Some(key)) => ExportedKey::Symmetric(Zeroizing::new(key.as_bytes().to_vec())),
        (Export::EncryptionKey | Export::SigningKey, Some(key @ Key::Signing(_)), ..) => {
            let Some(secret) = key.secret()? else { return Ok(None) };
            ExportedKey::Private(secret)
        }
        (Export::EncryptionKey, Some(key), ..) => {
            let Some(secret) = key.secret()? else { return Ok(None) };
            ExportedKey::Symmetric(secret)
        }
        _ => return Ok(None),
    };
    Ok(Some(Exported { version: version.number, key }))
}
