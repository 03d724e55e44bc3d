//! What an authority is without its key.

use keyward_keys::{Algorithm, PublicKey};
use keyward_spiffe_id::{Pattern, SpiffeId, TrustDomain, TrustDomainRef};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use super::unsigned::identifier;
use super::validity::Validity;
use super::{Error, tbs};
use crate::x509::certificate::{Certificate, ExtendedKeyUsage};
use crate::x509::delegation;
use crate::x509::der::{Writer, tag};
use crate::x509::purpose::Purpose;

/// The longest chain of an authority, and the longest that verifiers read.
const MAX_CHAIN: usize = 15;

/// What an authority is without its key: its certificates and what they allow. It prepares what a key then signs,
/// wherever the key is; with a [`Signer`](keyward_keys::Signer) at hand it makes an [`Authority`](super::Authority).
///
/// What all its certificates have in common is encoded once.
#[derive(Debug, Clone)]
pub struct Issuer {
    chain: Vec<CertificateDer<'static>>,
    is_root: bool,
    algorithm: Algorithm,
    trust_domain: TrustDomain,
    public_key: PublicKey,
    subject: Vec<u8>,
    validity: Validity,
    path_len: Option<u8>,
    purpose: Purpose,
    /// One list for each certificate of the chain that has one.
    permitted: Vec<Vec<Pattern>>,
    key_identifier: Vec<u8>,
    head: Vec<u8>,
    leaf_extensions: Vec<u8>,
}

impl Issuer {
    /// An authority with this chain: its own certificate first, then those above it, without the root unless it is the root
    /// itself; the algorithm is the one its key signs with.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the first certificate is no authority's, the chain is none, or it is longer than 15;
    /// [`Error::KeyMismatch`] when the algorithm does not fit the key.
    pub fn new(algorithm: Algorithm, chain: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, Error> {
        let chain: Vec<_> = chain.into_iter().take(MAX_CHAIN + 1).collect();
        if chain.is_empty() || chain.len() > MAX_CHAIN {
            return Err(Error::Count {
                what: "certificates of an authority",
                found: chain.len(),
                least: 1,
                most: MAX_CHAIN,
            });
        }
        let read = chain.iter().zip(1..).map(|(der, position)| Member::read(der, position));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let own = check(&read)?;
        let certificate = &own.certificate;
        if !algorithm.fits(&own.public_key) {
            return Err(Error::KeyMismatch);
        }
        let mut head = Writer::default();
        head.element(tag::SEQUENCE, identifier(algorithm)?).raw(certificate.subject);
        let key_identifier = certificate.extensions.key_identifier.unwrap_or_default();
        let lives = read.iter().map(Member::validity);
        let purpose = purpose(&read);
        Ok(Self {
            is_root: own.is_root(),
            algorithm,
            trust_domain: own.trust_domain.clone(),
            public_key: own.public_key.clone(),
            subject: certificate.subject.to_vec(),
            validity: lives.fold(own.validity(), Validity::intersect),
            path_len: path_len(&read),
            permitted: read.iter().filter_map(|member| member.permitted.clone()).collect(),
            key_identifier: key_identifier.to_vec(),
            head: head.into_bytes(),
            leaf_extensions: tbs::leaf_extensions(purpose, key_identifier),
            purpose,
            chain,
        })
    }

    /// The trust domain whose IDs it issues.
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.trust_domain.borrowed()
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        // There is always one.
        static NONE: CertificateDer<'static> = CertificateDer::from_slice(&[]);
        self.chain.first().unwrap_or(&NONE)
    }

    /// What stands below a leaf in the chain that is presented: nothing for a root, which verifiers have already.
    pub fn presented(&self) -> &[CertificateDer<'static>] {
        if self.is_root { &[] } else { &self.chain }
    }

    /// Whether its certificate is self-signed.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Its subject, a DER `Name`.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject
    }

    /// From when its certificates, the chain's included, are valid.
    pub fn not_before(&self) -> OffsetDateTime {
        self.validity.not_before
    }

    /// The last second in which all of its chain is valid. Nothing that it issues outlives it.
    pub fn not_after(&self) -> OffsetDateTime {
        self.validity.not_after
    }

    /// The patterns that an ID must match, one of each list; no list for an authority that nobody delegated.
    pub fn permitted(&self) -> &[Vec<Pattern>] {
        &self.permitted
    }

    /// What it, and all that it issues, is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(super) fn validity(&self) -> Validity {
        self.validity
    }

    pub(super) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// `signature` and `issuer` of what it signs.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) fn leaf_extensions(&self) -> &[u8] {
        &self.leaf_extensions
    }

    /// An error unless it may issue for this ID.
    pub(super) fn check_id(&self, id: &SpiffeId) -> Result<(), Error> {
        self.check_trust_domain(id.trust_domain())?;
        if self.permitted.iter().all(|patterns| patterns.iter().any(|pattern| pattern.matches(id))) {
            return Ok(());
        }
        Err(Error::NotPermitted { id: id.clone() })
    }

    pub(super) fn check_trust_domain(&self, found: TrustDomainRef<'_>) -> Result<(), Error> {
        let expected = &self.trust_domain;
        if expected.as_str() == found.as_str() {
            return Ok(());
        }
        Err(Error::TrustDomain { expected: expected.clone(), found: found.to_owned() })
    }

    /// An error unless an authority may stand below it.
    pub(super) fn check_delegation(&self) -> Result<(), Error> {
        if self.path_len == Some(0) { Err(Error::NoDelegation) } else { Ok(()) }
    }
}

/// The subject of a certificate, a DER `Name` (RFC 5280 §4.1.2.6), as a server names the authorities whose certificates it
/// accepts.
///
/// # Errors
/// [`Error::Unreadable`] when it is no certificate.
pub fn subject_der<'c>(certificate: &'c CertificateDer<'_>) -> Result<&'c [u8], Error> {
    Ok(Certificate::read(certificate, 1).map_err(Error::Unreadable)?.subject)
}

/// A certificate of the chain, fit for an authority.
struct Member<'a> {
    certificate: Certificate<'a>,
    public_key: PublicKey,
    trust_domain: TrustDomain,
    permitted: Option<Vec<Pattern>>,
}

impl<'a> Member<'a> {
    fn read(der: &'a [u8], position: usize) -> Result<Self, Error> {
        let problem = |problem| Error::Certificate { problem };
        let certificate = Certificate::read(der, position).map_err(Error::Unreadable)?;
        let extensions = &certificate.extensions;
        // X509-SVID §4.1, §4.3: cA, and the right to sign certificates.
        if !extensions.is_ca {
            return Err(problem("its basic constraints do not make it one"));
        }
        if !extensions.key_usage.is_some_and(|usage| usage.key_cert_sign()) {
            return Err(problem("its key usage does not let it sign certificates"));
        }
        // X509-SVID §3.1: the ID of a signing authority has no path.
        let id = certificate.id().ok().and_then(|id| id.signing_authority_of().ok());
        let trust_domain = id.ok_or(problem("its one URI is not the SPIFFE ID of a trust domain"))?.to_owned();
        let permitted = extensions.permitted_ids.map(delegation::decode).transpose();
        let permitted = permitted.map_err(|_| problem("its delegation is not a list of patterns"))?;
        let public_key = PublicKey::from_spki_der(certificate.spki)?;
        Ok(Self { certificate, public_key, trust_domain, permitted })
    }

    fn validity(&self) -> Validity {
        Validity { not_before: self.certificate.not_before, not_after: self.certificate.not_after }
    }

    /// Whether it is its own issuer.
    fn is_root(&self) -> bool {
        self.certificate.is_issued_by(&self.certificate)
    }
}

/// The authority's own certificate, of a chain that is one.
fn check<'c, 'a>(chain: &'c [Member<'a>]) -> Result<&'c Member<'a>, Error> {
    let problem = |problem| Error::Certificate { problem };
    let (own, above) = chain.split_first().ok_or(problem("there is none"))?;
    for (issued, issuer) in chain.iter().zip(above) {
        if !issued.certificate.is_issued_by(&issuer.certificate) {
            return Err(problem("the next certificate of the chain has not signed it"));
        }
        if issuer.trust_domain != own.trust_domain {
            return Err(problem("its chain belongs to another trust domain"));
        }
    }
    if above.last().is_some_and(Member::is_root) {
        return Err(problem("its chain holds the root, which verifiers have already"));
    }
    Ok(own)
}

/// For clients alone where one of the chain is.
fn purpose(chain: &[Member<'_>]) -> Purpose {
    let mut usages = chain.iter().filter_map(|member| member.certificate.extensions.extended_key_usage);
    if usages.any(ExtendedKeyUsage::is_client_alone) { Purpose::Client } else { Purpose::Svid }
}

/// How many authorities may follow: the shortest of the chain's limits, each less what stands below it.
fn path_len(chain: &[Member<'_>]) -> Option<u8> {
    let lengths = chain.iter().map(|member| member.certificate.extensions.path_len);
    lengths.zip(0_u8..).filter_map(|(length, below)| Some(length?.saturating_sub(below))).min()
}
