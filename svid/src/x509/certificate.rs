//! Reading one certificate (RFC 5280 §4): what SPIFFE's rules look at, borrowed from its DER.

mod extensions;

use std::borrow::Cow;

use keyward_keys::PublicKey;
use keyward_spiffe_id::SpiffeIdRef;
use time::OffsetDateTime;

pub(crate) use self::extensions::ExtendedKeyUsage;
use self::extensions::Extensions;
use super::der::{NotDer, Reader, tag};
use super::error::{CertificateProblem, Error};
use super::{constraints, signature};

/// `tbsCertificate` is shorter than this many bytes, which is what path validation reads.
const MAX_BYTES: usize = 0xffff;

/// A certificate that was read, not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// All of it.
    pub(crate) der: &'a [u8],
    /// `tbsCertificate`, tag and length included: what is signed.
    pub(crate) tbs: &'a [u8],
    /// The number as it is encoded, at most 20 bytes and a sign.
    pub(crate) serial: &'a [u8],
    /// The content of `signatureAlgorithm`.
    pub(crate) algorithm: &'a [u8],
    /// `Name`, tag and length included.
    pub(crate) issuer: &'a [u8],
    /// `Name`, tag and length included.
    pub(crate) subject: &'a [u8],
    /// No attribute in it.
    pub(crate) subject_is_empty: bool,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    /// `SubjectPublicKeyInfo`, tag and length included.
    pub(crate) spki: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
    pub(crate) signature: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads the certificate at this place, counted from 1, of a chain or list.
    pub(crate) fn read(der: &'a [u8], position: usize) -> Result<Self, Error> {
        Self::read_one(der).map_err(|problem| Error::Certificate { position, problem })
    }

    fn read_one(der: &'a [u8]) -> Result<Self, CertificateProblem> {
        if der.len() > MAX_BYTES {
            return Err(CertificateProblem::TooLong);
        }
        let mut outer = Reader::new(der);
        let mut certificate = outer.inside(tag::SEQUENCE)?;
        outer.finish().map_err(|NotDer| CertificateProblem::TrailingBytes)?;
        let tbs = certificate.any()?;
        let algorithm = certificate.expect(tag::SEQUENCE)?;
        let signature = certificate.bit_string()?;
        certificate.finish()?;
        if tbs.tag != tag::SEQUENCE {
            return Err(CertificateProblem::NotDer);
        }

        let mut fields = Reader::new(tbs.content);
        // §4.1.2.1: version 3, the one that has extensions.
        let version = fields.optional(tag::context_constructed(0))?;
        if version != Some(&[tag::INTEGER, 1, 2]) {
            return Err(CertificateProblem::Version);
        }
        let serial = fields.expect(tag::INTEGER)?;
        // §4.1.2.2: at most 20 octets; "gracefully handle" zero and negative ones.
        // X.690 §8.3.2: a number has one spelling.
        let padded = matches!(serial, [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..]);
        if padded || !matches!((serial, serial.len()), (_, 1..=20) | ([0, ..], 21)) {
            return Err(CertificateProblem::Serial);
        }
        // §4.1.1.2: inside and outside "MUST" be the same.
        if fields.expect(tag::SEQUENCE)? != algorithm {
            return Err(CertificateProblem::Algorithm);
        }
        let issuer = fields.any()?;
        let mut validity = fields.inside(tag::SEQUENCE)?;
        let mut time = || validity.time().map_err(|NotDer| CertificateProblem::Validity);
        let (not_before, not_after) = (time()?, time()?);
        validity.finish()?;
        let subject = fields.any()?;
        let spki = fields.any()?;
        if [issuer.tag, subject.tag, spki.tag] != [tag::SEQUENCE; 3] {
            return Err(CertificateProblem::NotDer);
        }
        // §4.1.2.8: unique identifiers are not to be generated; none is read.
        let extensions = match fields.optional(tag::context_constructed(3))? {
            Some(list) => Extensions::read(list)?,
            None => Extensions::default(),
        };
        fields.finish()?;
        Ok(Self {
            der,
            tbs: tbs.whole,
            serial,
            algorithm,
            issuer: issuer.whole,
            subject: subject.whole,
            subject_is_empty: subject.content.is_empty(),
            not_before,
            not_after,
            spki: spki.whole,
            extensions,
            signature,
        })
    }

    /// The one URI of an SVID as a SPIFFE ID (X509-SVID §2).
    pub(crate) fn id(&self) -> Result<SpiffeIdRef<'a>, Error> {
        match (self.extensions.uri, self.extensions.uris) {
            (Some(uri), 1) => SpiffeIdRef::parse(uri).map_err(Error::Id),
            (_, found) => Err(Error::UriCount { found }),
        }
    }

    pub(crate) fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_spki_der(self.spki).map_err(Error::PublicKey)
    }

    /// Whether it is issued, by name and signature, by a certificate with this subject and key.
    pub(crate) fn is_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer == issuer.subject && signature::verify(self.algorithm, issuer.spki, self.tbs, self.signature)
    }

    /// The serial number in lower-case hexadecimal, without the byte that only says that it is positive.
    pub(crate) fn serial_hex(&self) -> String {
        let digits = match self.serial {
            [0, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        };
        hex(digits)
    }

    /// The certificate without its URI constraints, for path validation that does not know them.
    pub(crate) fn without_uri_constraints(&self) -> Cow<'a, [u8]> {
        match self.extensions.name_constraints {
            Some(value) => constraints::mask(self.der, value),
            None => Cow::Borrowed(self.der),
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl From<NotDer> for CertificateProblem {
    fn from(_: NotDer) -> Self {
        Self::NotDer
    }
}
