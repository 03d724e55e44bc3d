//! The identity of the host: its X.509-SVID and the bundle of its trust domain.

use keyward_callhome_cert::HostIdentity;
use keyward_keys::PrivateKey;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::X509Bundle;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{X509Mode, X509Svid, X509Verifier, X509VerifyOptions, chain_from_pem, peek_id};
use time::OffsetDateTime;

/// An identity that was verified when it was received.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    chain: String,
    bundle: String,
    svid: X509Svid,
}

/// Why an answer, or a file, is no identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the X.509-SVID is of no use: {0}")]
    Svid(#[from] keyward_svid::x509::Error),
    #[error("the X.509-SVID is for another key than this host's")]
    OtherKey,
    #[error("the X.509-SVID is for `{found}` and not for `{said}`")]
    OtherId { found: SpiffeId, said: SpiffeId },
    #[error("the bundle is of no use: {0}")]
    Bundle(#[source] keyward_svid::x509::Error),
}

impl Identity {
    /// Takes what the tower answered, if it is what this host asked for.
    pub(crate) fn received(claimed: &HostIdentity, key: &PrivateKey, now: OffsetDateTime) -> Result<Self, Problem> {
        let identity = Self::verified(claimed.x509_svid.cert.clone(), claimed.bundle.clone(), Some(now))?;
        if identity.svid.public_key() != key.public_key() {
            return Err(Problem::OtherKey);
        }
        if *identity.id() != claimed.spiffe_id {
            return Err(Problem::OtherId { found: identity.id().clone(), said: claimed.spiffe_id.clone() });
        }
        Ok(identity)
    }

    /// Reads what was kept, which may have expired since.
    pub(crate) fn read(chain: String, bundle: String) -> Result<Self, Problem> {
        Self::verified(chain, bundle, None)
    }

    fn verified(chain_pem: String, bundle_pem: String, now: Option<OffsetDateTime>) -> Result<Self, Problem> {
        let chain = chain_from_pem(&chain_pem)?;
        let leaf = chain.first().ok_or(keyward_svid::x509::Error::Empty)?;
        let trust_domain = peek_id(leaf)?.trust_domain().to_owned();
        let bundle = X509Bundle::from_pem(trust_domain, &bundle_pem).map_err(Problem::Bundle)?;
        let mut options = X509VerifyOptions::default();
        options.mode = X509Mode::Standard;
        let verifier = X509Verifier::new(options);
        let svid = match now {
            Some(now) => verifier.verify(&chain, &bundle, now)?,
            None => first_good(&verifier, &chain, &bundle)?,
        };
        Ok(Self { chain: chain_pem, bundle: bundle_pem, svid })
    }

    /// Whose it is.
    pub(crate) fn id(&self) -> &SpiffeId {
        self.svid.id()
    }

    /// The verified SVID.
    pub(crate) fn svid(&self) -> &X509Svid {
        &self.svid
    }

    /// Whether it is good at that time.
    pub(crate) fn is_valid(&self, now: OffsetDateTime) -> bool {
        now <= self.svid.not_after()
    }

    /// The SVID as PEM, leaf first.
    pub(crate) fn chain_pem(&self) -> &str {
        &self.chain
    }

    /// The bundle as PEM.
    pub(crate) fn bundle_pem(&self) -> &str {
        &self.bundle
    }
}

/// Verifies at the first moment at which all of the path is valid: whether it still is, the caller sees.
fn first_good(
    verifier: &X509Verifier,
    chain: &[CertificateDer<'_>],
    bundle: &X509Bundle,
) -> Result<X509Svid, keyward_svid::x509::Error> {
    let mut at = OffsetDateTime::UNIX_EPOCH;
    loop {
        match verifier.verify(chain, bundle, at) {
            Err(keyward_svid::x509::Error::NotYetValid { not_before, .. }) if not_before > at => at = not_before,
            result => return result,
        }
    }
}
