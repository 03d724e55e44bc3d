//! The authorities of one trust domain.

use std::fmt;
use std::sync::Arc;

use keyward_spiffe_id::{SpiffeIdRef, TrustDomain};
use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::certificate::Certificate;
use super::encoding::{chain_from_pem, chain_to_pem};
use super::error::{CertificateProblem, Error, SignerProblem};

/// The certificates that stand behind the X.509-SVIDs of one trust domain. Cloning is cheap.
///
/// Certificates do not say whose authorities they are, so they are kept together with the trust domain here, and none
/// ever verifies an identity of another. An empty bundle is a bundle too: everything of the trust domain is revoked
/// (SPIFFE Trust Domain and Bundle §4.1).
///
/// ```
/// use keyward_svid::x509::{Error, X509Bundle, X509Verifier, X509VerifyOptions};
///
/// let revoked = X509Bundle::new("example.org".parse()?, [])?;
/// assert!(revoked.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct X509Bundle(Arc<Inner>);

struct Inner {
    trust_domain: TrustDomain,
    authorities: Vec<CertificateDer<'static>>,
    /// In the same order; constraints on URIs are not in there, but checked after path validation.
    anchors: Vec<TrustAnchor<'static>>,
}

impl X509Bundle {
    /// Binds authorities to a trust domain. One that is given twice is kept once; one that is over, or not valid yet, is
    /// kept, and verifies nothing then.
    ///
    /// # Errors
    /// When a certificate cannot be read, or could never stand behind an SVID: not a CA's (X509-SVID §4.1), a KeyUsage
    /// without `keyCertSign` (§4.3), a SPIFFE ID with a path (§3.2).
    pub fn new(
        trust_domain: TrustDomain,
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, Error> {
        let mut inner = Inner { trust_domain, authorities: Vec::new(), anchors: Vec::new() };
        for (index, authority) in authorities.into_iter().enumerate() {
            if !inner.authorities.contains(&authority) {
                let position = index + 1;
                inner.anchors.push(anchor(&signing(&authority, position)?, position)?);
                inner.authorities.push(authority);
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Reads a PEM text. One with nothing but white space in it is an empty bundle.
    ///
    /// # Errors
    /// As [`chain_from_pem`] and [`new`](Self::new).
    pub fn from_pem(trust_domain: TrustDomain, text: &str) -> Result<Self, Error> {
        let authorities = if text.trim().is_empty() { Vec::new() } else { chain_from_pem(text)? };
        Self::new(trust_domain, authorities)
    }

    /// Writes the authorities as PEM.
    pub fn to_pem(&self) -> String {
        chain_to_pem(self.authorities())
    }

    /// Whose authorities these are.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// The certificates, in the order given.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.0.authorities
    }

    /// Whether everything is revoked.
    pub fn is_empty(&self) -> bool {
        self.0.authorities.is_empty()
    }

    /// Judges one authority as [`new`](Self::new) does, and answers its `SubjectPublicKeyInfo`.
    pub(crate) fn authority_key<'c>(authority: &'c CertificateDer<'_>) -> Result<&'c [u8], Error> {
        let read = signing(authority, 1)?;
        anchor(&read, 1)?;
        Ok(read.spki)
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.0.anchors
    }

    /// The certificate of an anchor of this bundle, known by its place.
    pub(super) fn authority_of(&self, anchor: &TrustAnchor<'_>) -> Option<&CertificateDer<'static>> {
        let place = std::ptr::from_ref(anchor).addr();
        let index = self.0.anchors.iter().position(|own| std::ptr::from_ref(own).addr() == place)?;
        self.0.authorities.get(index)
    }
}

fn anchor(authority: &Certificate<'_>, position: usize) -> Result<TrustAnchor<'static>, Error> {
    let malformed = |_| Error::Certificate { position, problem: CertificateProblem::NotDer };
    let masked = authority.without_uri_constraints();
    let masked = CertificateDer::from(masked.as_ref());
    webpki::anchor_from_trusted_cert(&masked).map(|anchor| anchor.to_owned()).map_err(malformed)
}

/// Reads a certificate that may stand behind SVIDs.
fn signing<'c>(authority: &'c CertificateDer<'_>, position: usize) -> Result<Certificate<'c>, Error> {
    let read = Certificate::read(authority, position)?;
    let refused = |problem| Err(Error::Signer { problem });
    if !read.extensions.is_ca {
        return refused(SignerProblem::NotCa);
    }
    if read.extensions.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return refused(SignerProblem::KeyCertSign);
    }
    if read.extensions.uris > 1 {
        return refused(SignerProblem::UriCount);
    }
    let id = read.extensions.uri.and_then(|uri| SpiffeIdRef::parse(uri).ok());
    if id.is_some_and(|id| !id.path().is_empty()) {
        return refused(SignerProblem::Path);
    }
    Ok(read)
}

impl PartialEq for X509Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.trust_domain() == other.trust_domain() && self.authorities() == other.authorities()
    }
}

impl Eq for X509Bundle {}

impl fmt::Debug for X509Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Bundle")
            .field("trust_domain", self.trust_domain())
            .field("authorities", &self.authorities().len())
            .finish()
    }
}
