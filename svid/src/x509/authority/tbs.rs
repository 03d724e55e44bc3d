//! What is signed: `TBSCertificate` (RFC 5280 §4.1.1.1) and the extensions that we write.

use keyward_keys::{PublicKey, sha256};
use keyward_spiffe_id::{Pattern, SpiffeIdRef};
use rand_core::CryptoRng;

use super::Error;
use super::validity::Validity;
use crate::x509::der::{NotDer, Writer, tag};
use crate::x509::purpose::Purpose;
use crate::x509::{delegation, oid, signature};

/// A serial number: positive and of 16 bytes, 126 of its bits random (RFC 5280 §4.1.2.2).
pub(super) type Serial = [u8; 16];

pub(super) fn random_serial(rng: &mut impl CryptoRng) -> Serial {
    let mut serial = [0; 16];
    rng.fill_bytes(&mut serial);
    let [first, ..] = &mut serial;
    *first = *first & 0x7f | 0x40;
    serial
}

/// The leftmost 160 bits of SHA-256 over the public key (RFC 7093 §2, method 1).
pub(super) fn key_identifier(public_key: &PublicKey) -> Result<[u8; 20], NotDer> {
    let (_, bits) = signature::key_of(public_key.as_spki_der())?;
    let digest = sha256(bits);
    digest.first_chunk().copied().ok_or(NotDer)
}

/// What differs from certificate to certificate.
pub(super) struct Content<'a> {
    /// `signature` and `issuer`, encoded.
    pub(super) head: &'a [u8],
    pub(super) serial: &'a Serial,
    pub(super) validity: Validity,
    pub(super) public_key: &'a PublicKey,
}

impl Content<'_> {
    /// Writes version 3, this content, and what the closures add.
    pub(super) fn encode(
        &self,
        subject: impl FnOnce(&mut Writer),
        extensions: impl FnOnce(&mut Writer),
    ) -> Result<Vec<u8>, Error> {
        let spki = self.public_key.as_spki_der();
        let mut der = Writer::with_capacity(self.head.len() + spki.len() + 512);
        let mut representable = false;
        der.sequence(|tbs| {
            tbs.raw(&[0xa0, 3, tag::INTEGER, 1, 2]);
            tbs.element(tag::INTEGER, self.serial);
            tbs.raw(self.head);
            tbs.sequence(|validity| {
                representable = validity.time(self.validity.not_before) && validity.time(self.validity.not_after);
            });
            subject(tbs);
            tbs.raw(spki);
            tbs.nest(tag::context_constructed(3), |tbs| {
                tbs.sequence(extensions);
            });
        });
        if !representable {
            return Err(Error::Time { what: "the life of the certificate" });
        }
        Ok(der.into_bytes())
    }
}

/// The extensions that every leaf of an authority has: all but the key identifier and the names (X509-SVID §4, appendix
/// A). KeyUsage is critical and says digitalSignature alone.
pub(super) fn leaf_extensions(purpose: Purpose, authority_key_identifier: &[u8]) -> Vec<u8> {
    let mut der = Writer::default();
    der.extension(oid::KEY_USAGE, true, |value| {
        value.element(tag::BIT_STRING, &[7, 0b1000_0000]);
    });
    der.extension(oid::BASIC_CONSTRAINTS, true, |value| {
        value.element(tag::SEQUENCE, &[]);
    });
    der.extension(oid::EXTENDED_KEY_USAGE, false, |value| {
        value.sequence(|purposes| {
            if purpose == Purpose::Svid {
                purposes.element(tag::OID, oid::SERVER_AUTH);
            }
            purposes.element(tag::OID, oid::CLIENT_AUTH);
        });
    });
    issuer_key(&mut der, authority_key_identifier);
    der.into_bytes()
}

/// The extensions of an authority: cA, keyCertSign and cRLSign, both extensions critical (RFC 5280 §4.2.1.3, §4.2.1.9).
pub(super) fn authority_extensions(der: &mut Writer, path_len: Option<u8>) {
    der.extension(oid::KEY_USAGE, true, |value| {
        value.element(tag::BIT_STRING, &[1, 0b0000_0110]);
    });
    der.extension(oid::BASIC_CONSTRAINTS, true, |value| {
        value.sequence(|constraints| {
            constraints.element(tag::BOOLEAN, &[0xff]);
            if let Some(path_len) = path_len {
                constraints.unsigned(&[path_len]);
            }
        });
    });
}

/// What an authority is restricted to, which holds for all below it.
pub(super) fn authority_purpose(der: &mut Writer, purpose: Purpose) {
    if purpose == Purpose::Client {
        der.extension(oid::EXTENDED_KEY_USAGE, false, |value| {
            value.sequence(|purposes| {
                purposes.element(tag::OID, oid::CLIENT_AUTH);
            });
        });
    }
}

/// RFC 5280 §4.2.1.1. An issuer without key identifier has none to name.
pub(super) fn issuer_key(der: &mut Writer, identifier: &[u8]) {
    if !identifier.is_empty() {
        der.extension(oid::AUTHORITY_KEY_IDENTIFIER, false, |value| {
            value.sequence(|key| {
                key.element(tag::context(0), identifier);
            });
        });
    }
}

/// RFC 5280 §4.2.1.2.
pub(super) fn subject_key(der: &mut Writer, identifier: &[u8]) {
    der.extension(oid::SUBJECT_KEY_IDENTIFIER, false, |value| {
        value.element(tag::OCTET_STRING, identifier);
    });
}

/// The one URI, and DNS names (X509-SVID §2). Critical where the subject is empty (RFC 5280 §4.2.1.6).
pub(super) fn alternative_names(der: &mut Writer, id: Option<SpiffeIdRef<'_>>, dns_names: &[String], critical: bool) {
    der.extension(oid::SUBJECT_ALT_NAME, critical, |value| {
        value.sequence(|names| {
            if let Some(id) = id {
                names.element(tag::context(6), id.as_str().as_bytes());
            }
            for name in dns_names {
                names.element(tag::context(2), name.as_bytes());
            }
        });
    });
}

/// The IDs that may stand below an intermediate.
pub(super) fn delegation(der: &mut Writer, permitted: &[Pattern]) {
    der.extension(delegation::OID, false, |value| delegation::encode(permitted, value));
}
