//! The certificate of an authority, read.

use keyward_keys::{Algorithm, PublicKey};
use keyward_spiffe_id::{Pattern, SpiffeIdRef, TrustDomain};

use super::validity::Validity;
use super::{Error, algorithm, oid};
use crate::x509::delegation;
use crate::x509::der::{NotDer, Reader, tag};

/// What an authority's certificate says.
pub(super) struct Certificate<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
    pub(super) public_key: PublicKey,
    pub(super) trust_domain: TrustDomain,
    pub(super) path_len: Option<u8>,
    /// Empty when it has none.
    pub(super) key_identifier: &'a [u8],
    pub(super) permitted: Option<Vec<Pattern>>,
    tbs: &'a [u8],
    algorithm: Option<Algorithm>,
    signature: &'a [u8],
}

/// The subject of a certificate, a DER `Name` (RFC 5280 §4.1.2.6), as a server names the authorities whose certificates it
/// accepts.
///
/// # Errors
/// [`Error::Certificate`] when it is no certificate.
pub fn subject_der(certificate: &[u8]) -> Result<&[u8], Error> {
    Outline::read(certificate).map(|outline| outline.subject).map_err(|NotDer| NOT_A_CERTIFICATE)
}

const NOT_A_CERTIFICATE: Error = Error::Certificate { problem: "it is not a DER certificate of version 3" };

/// The fields, none of them judged.
struct Outline<'a> {
    tbs: &'a [u8],
    issuer: &'a [u8],
    validity: Validity,
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Reader<'a>,
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Outline<'a> {
    fn read(der: &'a [u8]) -> Result<Self, NotDer> {
        let mut reader = Reader::new(der);
        let mut certificate = reader.inside(tag::SEQUENCE)?;
        reader.finish()?;
        let tbs = certificate.any()?;
        let algorithm = certificate.expect(tag::SEQUENCE)?;
        let signature = certificate.bit_string()?;
        certificate.finish()?;

        if tbs.tag != tag::SEQUENCE {
            return Err(NotDer);
        }
        let mut fields = Reader::new(tbs.content);
        if fields.expect(tag::context_constructed(0))? != [tag::INTEGER, 1, 2] {
            return Err(NotDer);
        }
        fields.expect(tag::INTEGER)?;
        // RFC 5280 §4.1.1.2: the same as outside.
        if fields.expect(tag::SEQUENCE)? != algorithm {
            return Err(NotDer);
        }
        let issuer = fields.any()?.whole;
        let mut times = fields.inside(tag::SEQUENCE)?;
        let validity = Validity { not_before: times.time()?, not_after: times.time()? };
        times.finish()?;
        let subject = fields.any()?.whole;
        let spki = fields.any()?.whole;
        // Unique identifiers (§4.1.2.8), which nobody writes.
        fields.optional(tag::context(1))?;
        fields.optional(tag::context(2))?;
        let mut extensions = fields.inside(tag::context_constructed(3))?;
        let list = extensions.inside(tag::SEQUENCE)?;
        extensions.finish()?;
        fields.finish()?;
        Ok(Self { tbs: tbs.whole, issuer, validity, subject, spki, extensions: list, algorithm, signature })
    }
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Error> {
        let outline = Outline::read(der).map_err(|NotDer| NOT_A_CERTIFICATE)?;
        let extensions = Extensions::read(outline.extensions).map_err(|NotDer| NOT_A_CERTIFICATE)?;
        let problem = |problem| Error::Certificate { problem };
        // X509-SVID §4.1, §4.3: cA, and the right to sign certificates.
        let Some(path_len) = extensions.authority else {
            return Err(problem("its basic constraints do not make it one"));
        };
        if !extensions.signs_certificates {
            return Err(problem("its key usage does not let it sign certificates"));
        }
        let [id] = extensions.uris.as_slice() else {
            return Err(problem("it does not have exactly one URI"));
        };
        // X509-SVID §3.1: without a path.
        let id = SpiffeIdRef::parse(id).ok().and_then(|id| id.signing_authority_of().ok());
        let trust_domain = id.ok_or(problem("its URI is not the SPIFFE ID of a trust domain"))?.to_owned();
        Ok(Self {
            issuer: outline.issuer,
            subject: outline.subject,
            validity: outline.validity,
            public_key: PublicKey::from_spki_der(outline.spki)?,
            trust_domain,
            path_len,
            key_identifier: extensions.key_identifier,
            permitted: extensions.permitted,
            tbs: outline.tbs,
            algorithm: algorithm::named(outline.algorithm),
            signature: outline.signature,
        })
    }

    /// Whether it is its own issuer.
    pub(super) fn is_root(&self) -> bool {
        self.issuer == self.subject && self.is_signed_with(&self.public_key)
    }

    /// Whether the issuer's name and key are these.
    pub(super) fn is_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer == issuer.subject && self.is_signed_with(&issuer.public_key)
    }

    fn is_signed_with(&self, key: &PublicKey) -> bool {
        self.algorithm.is_some_and(|algorithm| key.verify_asn1(algorithm, self.tbs, self.signature).is_ok())
    }
}

#[derive(Default)]
struct Extensions<'a> {
    /// The path length, if there is one, of a certificate with cA.
    authority: Option<Option<u8>>,
    signs_certificates: bool,
    uris: Vec<&'a str>,
    key_identifier: &'a [u8],
    permitted: Option<Vec<Pattern>>,
}

impl<'a> Extensions<'a> {
    fn read(mut list: Reader<'a>) -> Result<Self, NotDer> {
        let mut found = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let mut extension = list.inside(tag::SEQUENCE)?;
            let oid = extension.expect(tag::OID)?;
            extension.default_false()?;
            let value = extension.expect(tag::OCTET_STRING)?;
            extension.finish()?;
            // RFC 5280 §4.2: no extension twice.
            if seen.contains(&oid) {
                return Err(NotDer);
            }
            seen.push(oid);
            found.take_in(oid, value)?;
        }
        Ok(found)
    }

    fn take_in(&mut self, oid: &[u8], value: &'a [u8]) -> Result<(), NotDer> {
        let mut reader = Reader::new(value);
        match oid {
            oid::BASIC_CONSTRAINTS => {
                let mut constraints = reader.inside(tag::SEQUENCE)?;
                if constraints.default_false()? {
                    self.authority = Some(match constraints.optional(tag::INTEGER)? {
                        None => None,
                        Some([length @ 0..=0x7f]) => Some(*length),
                        // Longer than any chain that is read.
                        Some([0..=0x7f, _, ..]) => None,
                        Some(_) => return Err(NotDer),
                    });
                }
                constraints.finish()?;
            }
            // RFC 5280 §4.2.1.3: keyCertSign is bit 5.
            oid::KEY_USAGE => match reader.expect(tag::BIT_STRING)? {
                [0..=7, first, ..] => self.signs_certificates = first & 0b0000_0100 != 0,
                _ => return Err(NotDer),
            },
            oid::SUBJECT_KEY_IDENTIFIER => self.key_identifier = reader.expect(tag::OCTET_STRING)?,
            oid::SUBJECT_ALT_NAME => {
                let mut names = reader.inside(tag::SEQUENCE)?;
                while !names.is_empty() {
                    let name = names.any()?;
                    if name.tag == tag::context(6) {
                        self.uris.push(std::str::from_utf8(name.content).map_err(|_| NotDer)?);
                    }
                }
            }
            delegation::OID => {
                self.permitted = Some(delegation::decode(value)?);
                return Ok(());
            }
            _ => return Ok(()),
        }
        reader.finish()
    }
}
