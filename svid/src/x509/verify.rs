//! Verification: the one way to an [`X509Svid`].

use std::borrow::Cow;
use std::cell::Cell;

use keyward_keys::PublicKey;
use keyward_spiffe_id::{SpiffeId, SpiffeIdRef, TrustDomainRef};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use super::bundle::X509Bundle;
use super::certificate::Certificate;
use super::error::{CertificateProblem, Error, SignerProblem};
use super::purpose::Purpose;
use super::rules::{Role, check_below, check_leaf, check_signer};
use super::signature::{self, Changed, Unmasked};
use super::svid::X509Svid;

/// How many certificates a chain has at most, the leaf included.
pub const MAX_CHAIN: usize = 16;

/// How many bytes all certificates of a chain have at most.
pub const MAX_CHAIN_BYTES: usize = 1 << 16;

/// How much of the standard is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum X509Mode {
    /// Everything that X509-SVID §3 and §4 say of certificates.
    #[default]
    Strict,
    /// What a verifier must do (X509-SVID §5), no more: certificates that other software accepts although they lack what
    /// §3 and §4 demand pass. Not asked for are, of the leaf, a critical KeyUsage with `digitalSignature`, both purposes
    /// in ExtendedKeyUsage, and a critical SubjectAltName where the subject is empty; of an intermediate, a critical
    /// KeyUsage, and that a URI is the trust domain's own ID.
    Standard,
}

/// What an [`X509Verifier`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct X509VerifyOptions {
    /// How much of the standard is asked for.
    pub mode: X509Mode,
    /// The longest chain that is read, in certificates; at most, and by default, [`MAX_CHAIN`]. The path in it, which may
    /// be shorter, has at most six intermediates.
    pub max_chain: usize,
    /// What the leaf must be for.
    pub purpose: Purpose,
}

impl Default for X509VerifyOptions {
    fn default() -> Self {
        Self { mode: X509Mode::default(), max_chain: MAX_CHAIN, purpose: Purpose::default() }
    }
}

/// Verifies X.509-SVIDs. Made once, used for every chain.
///
/// ```
/// use keyward_svid::x509::{Error, X509Bundle, X509Verifier, X509VerifyOptions, chain_from_pem};
/// # let now = time::OffsetDateTime::UNIX_EPOCH;
///
/// fn who(pem: &str, authorities: &str, now: time::OffsetDateTime) -> Result<String, Box<dyn std::error::Error>> {
///     let bundle = X509Bundle::from_pem("example.org".parse()?, authorities)?;
///     let verifier = X509Verifier::new(X509VerifyOptions::default());
///     let svid = verifier.verify(&chain_from_pem(pem)?, &bundle, now)?;
///     Ok(svid.id().path().to_owned())
/// }
/// assert!(who("no certificate", "", now).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct X509Verifier {
    options: X509VerifyOptions,
}

impl X509Verifier {
    /// A verifier with these options.
    pub fn new(options: X509VerifyOptions) -> Self {
        Self { options }
    }

    /// Verifies a chain with the authorities of one trust domain, at one moment.
    ///
    /// The first certificate is the leaf; the others are intermediates in any order, of which some may be of no use.
    /// Path validation (RFC 5280 §6) is webpki's, with signatures verified by `keyward-keys`; around it stand the rules
    /// of X509-SVID, constraints on URIs (RFC 5280 §4.2.1.10), which webpki does not know, and the
    /// [IDs that an intermediate may sign for](super::delegation). The authority at the end of the path is held to its
    /// own validity and path length, too, which RFC 5280 §6.1.1 leaves open.
    ///
    /// # Errors
    /// The first rule that the chain breaks. Where several paths are possible and none is valid, it speaks of one that
    /// ended at an authority, if there is one.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        bundle: &X509Bundle,
        now: OffsetDateTime,
    ) -> Result<X509Svid, Error> {
        self.verify_with(chain, |_| Some(bundle), now)
    }

    /// Verifies a chain with the bundle of the leaf's own trust domain, which `find` looks up by its name. A bundle of
    /// another trust domain is refused.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`Error::NoBundle`] when nothing is found.
    pub fn verify_with<'b>(
        &self,
        chain: &[CertificateDer<'_>],
        find: impl FnOnce(TrustDomainRef<'_>) -> Option<&'b X509Bundle>,
        now: OffsetDateTime,
    ) -> Result<X509Svid, Error> {
        let chain = self.read(chain)?;
        let (leaf, intermediates) = chain.split_first().ok_or(Error::Empty)?;
        let id = workload_id(leaf)?;
        check_leaf(leaf, self.options.mode, self.options.purpose)?;
        let trust_domain = id.trust_domain();
        let bundle = find(trust_domain).ok_or_else(|| Error::NoBundle { trust_domain: trust_domain.to_owned() })?;
        if bundle.trust_domain().as_str() != trust_domain.as_str() {
            let (expected, found) = (bundle.trust_domain().clone(), trust_domain.to_owned());
            return Err(Error::TrustDomain { expected, found });
        }
        check_validity(leaf, now)?;
        let public_key = leaf.public_key()?;
        let intermediates = useful(intermediates, bundle)?;
        let path = Path { leaf, intermediates: &intermediates, id, bundle, mode: self.options.mode, now }.find()?;
        Ok(X509Svid {
            id: id.to_owned(),
            chain: path.chain,
            not_before: leaf.not_before,
            not_after: path.not_after,
            serial: leaf.serial_hex(),
            public_key,
        })
    }

    /// Reads every certificate, needed or not.
    fn read<'c>(&self, chain: &'c [CertificateDer<'_>]) -> Result<Vec<Certificate<'c>>, Error> {
        let limit = self.options.max_chain.min(MAX_CHAIN);
        if chain.len() > limit {
            return Err(Error::ChainLength { length: chain.len(), limit });
        }
        let length = chain.iter().map(|certificate| certificate.len()).sum();
        if length > MAX_CHAIN_BYTES {
            return Err(Error::TooLarge { length, limit: MAX_CHAIN_BYTES });
        }
        chain.iter().enumerate().map(|(index, certificate)| Certificate::read(certificate, index + 1)).collect()
    }
}

/// The ID in a certificate that nobody has verified, to choose a bundle by its trust domain, or to say in a log who it
/// was that was refused. [`X509Verifier::verify_with`] does without.
///
/// # Errors
/// When the certificate cannot be read, does not have exactly one URI, or that is not the SPIFFE ID of a workload.
pub fn peek_id(leaf: &CertificateDer<'_>) -> Result<SpiffeId, Error> {
    workload_id(&Certificate::read(leaf, 1)?).map(SpiffeIdRef::to_owned)
}

/// The key in a certificate that nobody has verified, to find out whose it is.
///
/// # Errors
/// When the certificate cannot be read, or its key is none that is accepted.
pub fn peek_key(leaf: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    Certificate::read(leaf, 1)?.public_key()
}

/// X509-SVID §2: exactly one URI. §3.1 and §5.2: the ID has a path.
fn workload_id<'c>(leaf: &Certificate<'c>) -> Result<SpiffeIdRef<'c>, Error> {
    let id = leaf.id()?;
    id.workload_path().map_err(Error::Id)?;
    Ok(id)
}

/// Both ends are inside (RFC 5280 §4.1.2.5); a second is the unit.
fn check_validity(certificate: &Certificate<'_>, now: OffsetDateTime) -> Result<(), Error> {
    let (not_before, not_after) = (certificate.not_before, certificate.not_after);
    let second = now.unix_timestamp();
    if second < not_before.unix_timestamp() {
        return Err(Error::NotYetValid { now, not_before });
    }
    if second > not_after.unix_timestamp() {
        return Err(Error::Expired { now, not_after });
    }
    Ok(())
}

/// The intermediates among which paths are looked for: all, where they are few; of more only those that an authority
/// stands behind. Strangers' certificates can be made to have every name and every signature but an authority's, and 15
/// of them make more paths than can be walked in passing.
fn useful<'s, 'c>(sent: &'s [Certificate<'c>], bundle: &X509Bundle) -> Result<Cow<'s, [Certificate<'c>]>, Error> {
    // Four make 64 paths at most.
    const FEW: usize = 4;
    const SIGNATURES: usize = 100;
    if sent.len() <= FEW {
        return Ok(Cow::Borrowed(sent));
    }
    let authorities = bundle.authorities().iter().map(|authority| Certificate::read(authority, 1));
    let mut signers = authorities.collect::<Result<Vec<_>, _>>()?;
    let mut strangers: Vec<&Certificate<'c>> = sent.iter().collect();
    let (mut found, mut tried) = (Vec::new(), 0);
    while let Some(signer) = signers.pop() {
        // §4.2.1.9: nothing that signs may follow.
        if signer.extensions.path_len == Some(0) {
            continue;
        }
        for certificate in std::mem::take(&mut strangers) {
            let named = certificate.issuer == signer.subject;
            tried += usize::from(named);
            if tried > SIGNATURES {
                return Err(Error::TooManyPaths);
            }
            if named && certificate.is_issued_by(&signer) {
                signers.push(certificate.clone());
                found.push(certificate.clone());
            } else {
                strangers.push(certificate);
            }
        }
    }
    Ok(Cow::Owned(found))
}

/// A chain on its way to an authority.
struct Path<'c, 'b> {
    leaf: &'c Certificate<'c>,
    intermediates: &'c [Certificate<'c>],
    id: SpiffeIdRef<'c>,
    bundle: &'b X509Bundle,
    mode: X509Mode,
    now: OffsetDateTime,
}

struct Found {
    chain: Vec<CertificateDer<'static>>,
    not_after: OffsetDateTime,
}

impl Path<'_, '_> {
    fn find(&self) -> Result<Found, Error> {
        // webpki sees no constraints on URIs.
        let views: Vec<Cow<'_, [u8]>> = self.intermediates.iter().map(Certificate::without_uri_constraints).collect();
        let presented: Vec<CertificateDer<'_>> = views.iter().map(|view| CertificateDer::from(view.as_ref())).collect();
        let changed = self.changed(&views)?;
        let unmasked = signature::ALL.each_ref().map(|verification| Unmasked { verification, changed: &changed });
        let algorithms = unmasked.each_ref().map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm);

        let leaf = CertificateDer::from(self.leaf.der);
        let malformed = |_| Error::Certificate { position: 1, problem: CertificateProblem::NotDer };
        let leaf = EndEntityCert::try_from(&leaf).map_err(malformed)?;
        let second = u64::try_from(self.now.unix_timestamp()).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(second));

        let found = Cell::new(None);
        let refused = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| match self.judge(path, &presented) {
            Ok(path) => {
                found.set(Some(path));
                Ok(())
            }
            Err(error) => {
                refused.set(Some(error));
                Err(webpki::Error::UnknownIssuer)
            }
        };
        let anchors = self.bundle.anchors();
        let result = leaf.verify_for_usage(&algorithms, anchors, &presented, time, AnyUsage, None, Some(&judge));
        let result = result.map(drop).map_err(|error| self.error(&error));
        match (result, found.take(), refused.take()) {
            (Ok(()), Some(found), _) => Ok(found),
            (_, _, Some(refused)) => Err(refused),
            (Err(error), ..) => Err(error),
            (Ok(()), None, None) => Err(Error::Path),
        }
    }

    /// What of the intermediates was changed.
    fn changed<'v>(&'v self, views: &'v [Cow<'_, [u8]>]) -> Result<Vec<Changed<'v>>, Error> {
        let mut changed = Vec::new();
        for (index, (original, view)) in self.intermediates.iter().zip(views).enumerate() {
            if let Cow::Owned(view) = view {
                changed.push(Changed { view: Certificate::read(view, index + 2)?.tbs, signed: original.tbs });
            }
        }
        Ok(changed)
    }

    /// SPIFFE's rules for a path that RFC 5280 finds valid.
    fn judge(&self, path: &VerifiedPath<'_>, presented: &[CertificateDer<'_>]) -> Result<Found, Error> {
        let trust_domain = self.id.trust_domain();
        let mut chain = vec![CertificateDer::from(self.leaf.der.to_vec())];
        let mut not_after = self.leaf.not_after;
        let mut below: Vec<&Certificate<'_>> = Vec::new();
        for step in path.intermediate_certificates() {
            // What webpki walked through is what was handed to it, known by its place.
            let step = step.der();
            let place = presented.iter().position(|one| std::ptr::eq::<[u8]>(one.as_ref(), step.as_ref()));
            let signer = place.and_then(|index| self.intermediates.get(index)).ok_or(Error::Path)?;
            check_signer(signer, Role::Intermediate, trust_domain, self.mode)?;
            check_below(signer, self.leaf, self.id, below.iter().copied())?;
            not_after = not_after.min(signer.not_after);
            chain.push(CertificateDer::from(signer.der.to_vec()));
            below.push(signer);
        }
        let authority = self.bundle.authority_of(path.anchor()).ok_or(Error::Path)?;
        let authority = Certificate::read(authority, 1)?;
        check_signer(&authority, Role::Authority, trust_domain, self.mode)?;
        check_validity(&authority, self.now)?;
        // §6.2 leaves it open; an authority's own limit is one, too.
        if authority.extensions.path_len.is_some_and(|most| below.len() > usize::from(most)) {
            return Err(Error::PathLength);
        }
        check_below(&authority, self.leaf, self.id, below.iter().copied())?;
        Ok(Found { chain, not_after: not_after.min(authority.not_after) })
    }

    /// webpki's reasons as ours.
    fn error(&self, error: &webpki::Error) -> Error {
        use webpki::Error as Webpki;
        let moment = |time: &UnixTime| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(self.now)
        };
        match error {
            Webpki::UnknownIssuer => Error::UnknownAuthority { trust_domain: self.bundle.trust_domain().clone() },
            Webpki::CertExpired { not_after, .. } => Error::Expired { now: self.now, not_after: moment(not_after) },
            Webpki::CertNotValidYet { not_before, .. } => {
                Error::NotYetValid { now: self.now, not_before: moment(not_before) }
            }
            Webpki::InvalidSignatureForPublicKey => Error::Signature,
            Webpki::UnsupportedSignatureAlgorithmContext(_)
            | Webpki::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Error::Algorithm,
            Webpki::PathLenConstraintViolated | Webpki::MaximumPathDepthExceeded => Error::PathLength,
            Webpki::NameConstraintViolation => Error::NameConstraint,
            Webpki::EndEntityUsedAsCa => Error::Signer { problem: SignerProblem::NotCa },
            Webpki::UnsupportedCriticalExtension => Error::Signer { problem: SignerProblem::UnknownExtension },
            Webpki::MaximumSignatureChecksExceeded
            | Webpki::MaximumPathBuildCallsExceeded
            | Webpki::MaximumNameConstraintComparisonsExceeded => Error::TooManyPaths,
            _ => Error::Path,
        }
    }
}

/// ExtendedKeyUsage is for the leaf, and judged there (X509-SVID §4.4 leaves it to signing certificates what to say).
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
