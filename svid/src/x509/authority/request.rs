//! Certificate requests: PKCS #10 (RFC 2986).

use std::fmt;

use keyward_keys::{PublicKey, Signer};
use keyward_spiffe_id::{SpiffeId, SpiffeIdRef};

use super::subject::Subject;
use super::unsigned::signed;
use super::{Error, MAX_DNS_NAMES, dns_name, tbs};
use crate::x509::der::{NotDer, Reader, Writer, tag};
use crate::x509::encoding::{one_from_pem, to_pem};
use crate::x509::{oid, signature};

/// The longest request that is read, in bytes of DER: an RSA key of 8192 bits, an ID of the greatest length and 32 DNS
/// names fit.
const MAX_BYTES: usize = 16 * 1024;
/// The most attributes, and the most extensions, of a request that is read.
const MAX_ELEMENTS: usize = 16;

const LABEL: &str = "CERTIFICATE REQUEST";
/// RFC 7468 §7: what some programs write.
const OTHER_LABEL: &str = "NEW CERTIFICATE REQUEST";

const NOT_DER: Error = Error::Request { problem: "is not DER of PKCS #10" };
const NOT_PEM: Error = Error::Request { problem: "is not one PEM text labelled `CERTIFICATE REQUEST`" };

/// A certificate request whose signature was verified: whoever made it has the private key (RFC 2986 §4.2).
///
/// What it asks for beyond the key is not believed: the issuer decides which ID and names it gives. Subject, usages and
/// other extensions are not looked at, since an X.509-SVID has them as the standard says.
///
/// ```
/// use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
/// use keyward_svid::x509::authority::CertificateRequest;
///
/// // The workload: a key that never leaves it.
/// let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
/// let public_key = signer.public_key().clone();
/// let id = "spiffe://example.org/db".parse()?;
/// let pem = CertificateRequest::sign(&signer, &public_key, Some(&id), ["db.example.org"])?.to_pem();
///
/// // The issuer.
/// let request = CertificateRequest::from_pem(&pem)?;
/// assert_eq!(request.public_key(), &public_key);
/// assert_eq!(request.requested_id(), Some(&id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
    public_key: PublicKey,
    id: Option<SpiffeId>,
    dns_names: Vec<String>,
}

impl CertificateRequest {
    /// Makes a request for a key, signed by its signer.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] when the signer's key is not `public_key`; [`Error::DnsName`] and [`Error::Count`] for
    /// names; [`Error::Keys`] when the signer fails.
    pub fn sign(
        signer: &impl Signer,
        public_key: &PublicKey,
        id: Option<&SpiffeId>,
        dns_names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, Error> {
        let dns_names = dns_name::check_all(dns_names)?;
        let info = encode_info(public_key, id, &dns_names);
        let signature = signer.sign(&info)?;
        let algorithm = signer.algorithm();
        public_key.verify(algorithm, &info, &signature).map_err(|_| Error::KeyMismatch)?;
        let der = signed(&info, algorithm, &algorithm.signature_to_asn1(&signature)?)?;
        Ok(Self { der, public_key: public_key.clone(), id: id.cloned(), dns_names })
    }

    /// Reads a request and verifies its signature.
    ///
    /// # Errors
    /// [`Error::Request`] when it is not one, too long, or has attributes or extensions twice; [`Error::Keys`] for a key
    /// that is not acceptable; [`Error::ProofOfPossession`] when the signature is not that key's; [`Error::DnsName`] and
    /// [`Error::Count`] for the names in it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_BYTES {
            return Err(Error::Request { problem: "is longer than 16384 bytes" });
        }
        let outline = Outline::read(der).map_err(|NotDer| NOT_DER)?;
        let names = read_attributes(outline.attributes)?;
        let public_key = PublicKey::from_spki_der(outline.spki)?;
        if !signature::verify(outline.algorithm, outline.spki, outline.info, outline.signature) {
            return Err(Error::ProofOfPossession);
        }
        Ok(Self { der: der.to_vec(), public_key, id: names.id, dns_names: names.dns_names })
    }

    /// Reads a PEM text of one request (RFC 7468 §7).
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der).
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        if text.len() > 2 * MAX_BYTES {
            return Err(Error::Request { problem: "is longer than 16384 bytes" });
        }
        let der = one_from_pem(text, &[LABEL, OTHER_LABEL]).ok_or(NOT_PEM)?;
        Self::from_der(&der)
    }

    /// The request as DER.
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// The request as PEM.
    pub fn to_pem(&self) -> String {
        to_pem(LABEL, &self.der)
    }

    /// The key, whose owner made the request.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The ID that it asks for, if any.
    pub fn requested_id(&self) -> Option<&SpiffeId> {
        self.id.as_ref()
    }

    /// The DNS names that it asks for, in lower case, each once.
    pub fn requested_dns_names(&self) -> &[String] {
        &self.dns_names
    }
}

impl fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateRequest")
            .field("public_key", &self.public_key)
            .field("id", &self.id)
            .field("dns_names", &self.dns_names)
            .finish_non_exhaustive()
    }
}

/// `CertificationRequestInfo` (RFC 2986 §4.1), without subject.
fn encode_info(public_key: &PublicKey, id: Option<&SpiffeId>, dns_names: &[String]) -> Vec<u8> {
    let mut der = Writer::default();
    der.sequence(|info| {
        info.unsigned(&[0]);
        Subject::default().encode(info, None);
        info.raw(public_key.as_spki_der());
        info.nest(tag::context_constructed(0), |attributes| {
            if id.is_none() && dns_names.is_empty() {
                return;
            }
            attributes.sequence(|attribute| {
                attribute.element(tag::OID, oid::EXTENSION_REQUEST).nest(tag::SET, |values| {
                    values.sequence(|extensions| {
                        tbs::alternative_names(extensions, id.map(SpiffeId::borrowed), dns_names, true);
                    });
                });
            });
        });
    });
    der.into_bytes()
}

struct Outline<'a> {
    info: &'a [u8],
    spki: &'a [u8],
    attributes: Reader<'a>,
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Outline<'a> {
    fn read(der: &'a [u8]) -> Result<Self, NotDer> {
        let mut reader = Reader::new(der);
        let mut request = reader.inside(tag::SEQUENCE)?;
        reader.finish()?;
        let info = request.any()?;
        let algorithm = request.expect(tag::SEQUENCE)?;
        let signature = request.bit_string()?;
        request.finish()?;

        let mut fields = Reader::new(info.content);
        if info.tag != tag::SEQUENCE || fields.expect(tag::INTEGER)? != [0] {
            return Err(NotDer);
        }
        fields.expect(tag::SEQUENCE)?;
        let spki = fields.any()?.whole;
        let attributes = fields.inside(tag::context_constructed(0))?;
        fields.finish()?;
        Ok(Self { info: info.whole, spki, attributes, algorithm, signature })
    }
}

#[derive(Default)]
struct Names {
    id: Option<SpiffeId>,
    dns_names: Vec<String>,
}

fn read_attributes(mut attributes: Reader<'_>) -> Result<Names, Error> {
    let mut names = Names::default();
    let mut seen = Seen::default();
    while !attributes.is_empty() {
        let mut attribute = attributes.inside(tag::SEQUENCE).map_err(|NotDer| NOT_DER)?;
        let (oid, values) = attribute
            .expect(tag::OID)
            .and_then(|oid| Ok((oid, attribute.inside(tag::SET)?)))
            .map_err(|NotDer| NOT_DER)?;
        attribute.finish().map_err(|NotDer| NOT_DER)?;
        seen.note(oid)?;
        if oid == oid::EXTENSION_REQUEST {
            names = read_extensions(values)?;
        }
    }
    Ok(names)
}

fn read_extensions(mut values: Reader<'_>) -> Result<Names, Error> {
    // RFC 2985 §5.4.2: a single value.
    let mut list = values.inside(tag::SEQUENCE).map_err(|NotDer| NOT_DER)?;
    values.finish().map_err(|NotDer| NOT_DER)?;
    let mut names = Names::default();
    let mut seen = Seen::default();
    while !list.is_empty() {
        let (oid, value) = read_extension(&mut list).map_err(|NotDer| NOT_DER)?;
        seen.note(oid)?;
        if oid == oid::SUBJECT_ALT_NAME {
            names = read_names(value)?;
        }
    }
    Ok(names)
}

/// Identifier and value; whether it is critical says nothing in a request.
fn read_extension<'a>(list: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), NotDer> {
    let mut extension = list.inside(tag::SEQUENCE)?;
    let oid = extension.expect(tag::OID)?;
    extension.default_false()?;
    let value = extension.expect(tag::OCTET_STRING)?;
    extension.finish()?;
    Ok((oid, value))
}

/// URIs and DNS names; other kinds of names are not given to anybody.
fn read_names(value: &[u8]) -> Result<Names, Error> {
    let mut reader = Reader::new(value);
    let mut list = reader.inside(tag::SEQUENCE).map_err(|NotDer| NOT_DER)?;
    reader.finish().map_err(|NotDer| NOT_DER)?;
    let mut id = None;
    let mut dns_names = Vec::new();
    while !list.is_empty() {
        let name = list.any().map_err(|NotDer| NOT_DER)?;
        let text = || std::str::from_utf8(name.content).map_err(|_| NOT_DER);
        if name.tag == tag::context(6) {
            let parsed = SpiffeIdRef::parse(text()?)
                .map_err(|_| Error::Request { problem: "asks for a URI that is no SPIFFE ID" })?;
            // X509-SVID §2: exactly one.
            if id.replace(parsed.to_owned()).is_some() {
                return Err(Error::Request { problem: "asks for more than one URI" });
            }
        } else if name.tag == tag::context(2) {
            if dns_names.len() == MAX_DNS_NAMES {
                return Err(Error::Count {
                    what: "DNS names",
                    found: MAX_DNS_NAMES + 1,
                    least: 0,
                    most: MAX_DNS_NAMES,
                });
            }
            dns_names.push(text()?);
        }
    }
    Ok(Names { id, dns_names: dns_name::check_all(dns_names)? })
}

/// Object identifiers that occurred: none twice, and not too many.
#[derive(Default)]
struct Seen<'a>(Vec<&'a [u8]>);

impl<'a> Seen<'a> {
    fn note(&mut self, oid: &'a [u8]) -> Result<(), Error> {
        if self.0.len() == MAX_ELEMENTS {
            return Err(Error::Request { problem: "has more than 16 attributes or extensions" });
        }
        if self.0.contains(&oid) {
            return Err(Error::Request { problem: "has an attribute or an extension twice" });
        }
        self.0.push(oid);
        Ok(())
    }
}
