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

/// How Vault and OpenBao write an exported key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VaultFormat {
    /// As they do unless they are asked: base64 of the bytes of a symmetric or an Ed25519 key, and of others PEM, of a private key in
    /// the form before PKCS#8 (`RSA PRIVATE KEY`, `EC PRIVATE KEY`).
    #[default]
    Usual,
    /// Base64 of the bytes of a symmetric or an Ed25519 key; of a private one of those seed and public key.
    Raw,
    /// Base64 of the PKCS#8 document of a private key, and of the `SubjectPublicKeyInfo` of a public one.
    Der,
    /// The same documents as PEM.
    Pem,
}

impl FromStr for VaultFormat {
    type Err = Error;

    /// `raw`, `der` or `pem`; the empty text is the usual one.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "" => VaultFormat::Usual,
            "raw" => VaultFormat::Raw,
            "der" => VaultFormat::Der,
            "pem" => VaultFormat::Pem,
            _ => return Err(Error::unknown("format", text, "`raw`, `der` and `pem`")),
        })
    }
}

impl ExportedKey {
    /// The key as Vault and OpenBao export it. Of all texts only the PEM of RSA keys ends in a line feed.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a format that there is not of such a key; [`Error::Keys`] when the backend cannot encode the key.
    pub fn to_vault_text(&self, format: VaultFormat) -> Result<Zeroizing<String>, Error> {
        let (raw, before_pkcs8, document, is_rsa) = match self {
            ExportedKey::Symmetric(bytes) => (Some(encode(bytes)), None, None, false),
            ExportedKey::Public(key) => (
                key.ed25519_bytes().map(|bytes| encode(bytes)),
                None,
                Some(key.as_spki_der()),
                key.rsa_bits().is_some(),
            ),
            ExportedKey::Private(document) => {
                let key = PrivateKey::from_pkcs8_der(document)?;
                let (raw, before_pkcs8) = match (key.ed25519_seed()?, key.public_key().ed25519_bytes()) {
                    (Some(seed), Some(public)) => (Some(encode(&Zeroizing::new([*seed, *public].concat()))), None),
                    _ => (None, Some(key.to_traditional_pem()?)),
                };
                (raw, before_pkcs8, Some(document.as_slice()), key.public_key().rsa_bits().is_some())
            }
        };
        let no_format = |found, accepted| Error::unknown("format of such a key", found, accepted);
        let mut text = match (format, document) {
            (VaultFormat::Usual, _) => raw.or(before_pkcs8).unwrap_or_else(|| self.to_text()),
            (VaultFormat::Raw, _) => raw.ok_or_else(|| no_format("raw", "`der` and `pem`"))?,
            (VaultFormat::Der, Some(document)) => encode(document),
            (VaultFormat::Pem, Some(_)) => self.to_text(),
            (VaultFormat::Der, None) => return Err(no_format("der", "`raw`")),
            (VaultFormat::Pem, None) => return Err(no_format("pem", "`raw`")),
        };
        if !is_rsa {
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
