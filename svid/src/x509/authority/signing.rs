//! An authority with its key.

use std::sync::Arc;

use keyward_keys::{PublicKey, Signer};
use rand_core::CryptoRng;
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::Error;
use super::intermediate::IntermediateRequest;
use super::issuer::Issuer;
use super::leaf::{DEFAULT_LONGEST_TTL, IssuedSvid, LeafRequest};
use super::root::AuthorityRequest;
use super::validity::Validity;

/// What a signer signs to show that the certificate's key is its own. It is no certificate and no token.
const PROOF: &[u8] = b"keyward: this key belongs to this certificate";

/// An authority: its certificates ([`Issuer`]) and the signer with its key.
///
/// The signer is any [`Signer`]: a key in memory, the active version of a key ring, a device. For keys that cannot be
/// called from here, [`Issuer::prepare`] and [`UnsignedSvid::attach`](super::UnsignedSvid::attach) issue in two steps.
#[derive(Debug, Clone)]
pub struct Authority<S> {
    issuer: Arc<Issuer>,
    signer: S,
    /// Nothing that it issues ends later.
    ends: OffsetDateTime,
    longest_ttl: Duration,
}

impl<S: Signer> Authority<S> {
    /// A new root: its certificate is made and signed.
    ///
    /// # Errors
    /// As [`AuthorityRequest::prepare`]; [`Error::KeyMismatch`] when the signer's key is not `public_key`;
    /// [`Error::Keys`] when it does not sign.
    pub fn self_signed(
        signer: S,
        public_key: &PublicKey,
        request: &AuthorityRequest,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        let certificate = request.prepare(public_key, signer.algorithm(), rng, now)?.sign(&signer)?;
        let issuer = Issuer::new(signer.algorithm(), [certificate])?;
        // The certificate holds `public_key`; only the signature can be another key's.
        if !issuer.is_root() {
            return Err(Error::KeyMismatch);
        }
        Ok(Self::with_issuer(Arc::new(issuer), signer))
    }

    /// An authority whose certificates exist: its own first, then those above it, without the root unless it is the root
    /// itself. The signer signs once, to show that it has the key.
    ///
    /// # Errors
    /// As [`Issuer::new`]; [`Error::KeyMismatch`] when the signer's key is not the certificate's; [`Error::Keys`] when
    /// it does not sign.
    pub fn from_parts(signer: S, chain: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, Error> {
        let issuer = Issuer::new(signer.algorithm(), chain)?;
        let proof = signer.sign(PROOF)?;
        issuer.public_key().verify(signer.algorithm(), PROOF, &proof).map_err(|_| Error::KeyMismatch)?;
        Ok(Self::with_issuer(Arc::new(issuer), signer))
    }

    /// For certificates and signers that are known to belong together.
    pub(super) fn with_issuer(issuer: Arc<Issuer>, signer: S) -> Self {
        Self { ends: issuer.not_after(), issuer, signer, longest_ttl: DEFAULT_LONGEST_TTL }
    }

    /// Sets the longest life of a leaf; the default is [`DEFAULT_LONGEST_TTL`].
    #[must_use]
    pub fn with_longest_ttl(mut self, longest: Duration) -> Self {
        self.longest_ttl = longest;
        self
    }

    /// Sets a moment that nothing issued from now on outlives, besides the authority's own end, such as the moment
    /// when verifiers stop to trust it.
    #[must_use]
    pub fn with_end(mut self, end: OffsetDateTime) -> Self {
        self.ends = self.ends.min(end);
        self
    }

    /// What it is without its key.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The signer.
    pub fn signer(&self) -> &S {
        &self.signer
    }

    /// The signer alone.
    pub fn into_signer(self) -> S {
        self.signer
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.certificate()
    }

    /// The last second in which anything that it issues now can be valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.ends
    }

    /// Issues an X.509-SVID. It begins [`BACKDATE`](super::BACKDATE) before `now`, but not before the authority, and
    /// ends `ttl` after it, but not after the authority.
    ///
    /// # Errors
    /// [`Error::TrustDomain`] and [`Error::NotPermitted`] for an ID that is not its to give; [`Error::Ttl`];
    /// [`Error::NotYetValid`] and [`Error::Ended`] outside its life; [`Error::Keys`] and [`Error::SignerChanged`] when
    /// the signer fails.
    pub fn issue(
        &self,
        request: &LeafRequest,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<IssuedSvid, Error> {
        self.issuer.prepare_within(request, self.life(), self.longest_ttl, rng, now)?.sign(&self.signer)
    }

    /// Delegates: answers the chain of an intermediate authority, its own certificate first, without the root, as
    /// [`from_parts`](Self::from_parts) takes it on the other side.
    ///
    /// # Errors
    /// [`Error::NoDelegation`] for an authority that is one by delegation itself; [`Error::TrustDomain`] for patterns of
    /// another trust domain; the others as [`issue`](Self::issue).
    pub fn delegate(
        &self,
        request: &IntermediateRequest,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Vec<CertificateDer<'static>>, Error> {
        let unsigned = self.issuer.prepare_delegation_within(request, self.life(), rng, now)?;
        let mut chain = vec![unsigned.sign(&self.signer)?];
        chain.extend_from_slice(self.issuer.presented());
        Ok(chain)
    }

    fn life(&self) -> Validity {
        Validity { not_before: self.issuer.not_before(), not_after: self.ends }
    }
}
