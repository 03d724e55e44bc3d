//! Verification of WIT-SVIDs and of proofs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::{Algorithm, sha256};
use keyward_spiffe_id::SpiffeId;
use time::{Duration, OffsetDateTime};

use super::bundle::WitBundle;
use super::claims::WitClaims;
use super::confirmation::Confirmation;
use super::error::{VerifierError, VerifyError};
use super::proof::{self, MAX_PROOF_LIFETIME, ProofContext, WorkloadProof};
use crate::jwt::{self, Frame, Header, Kind, VerifyOptions, authentic, timely};

/// What a [`WitVerifier`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WitVerifyOptions {
    /// Algorithms, leeway and length, of WIT-SVIDs and of proofs.
    pub token: VerifyOptions,
    /// How far in the future a proof may end, from a second to [`MAX_PROOF_LIFETIME`], the default.
    pub max_proof_lifetime: Duration,
}

impl Default for WitVerifyOptions {
    fn default() -> Self {
        Self { token: VerifyOptions::default(), max_proof_lifetime: MAX_PROOF_LIFETIME }
    }
}

/// Verifies WIT-SVIDs and the proofs that come with them. Made once, used for every request.
#[derive(Debug, Clone)]
pub struct WitVerifier {
    options: WitVerifyOptions,
}

impl WitVerifier {
    /// A verifier.
    ///
    /// # Errors
    /// When the options accept nothing or too much.
    pub fn new(options: WitVerifyOptions) -> Result<Self, VerifierError> {
        options.token.validate()?;
        let lifetime = options.max_proof_lifetime;
        if !(Duration::SECOND..=MAX_PROOF_LIFETIME).contains(&lifetime) {
            return Err(VerifierError::ProofLifetime { lifetime, limit: MAX_PROOF_LIFETIME });
        }
        Ok(Self { options })
    }

    /// Verifies a WIT-SVID with the keys of one trust domain, at one moment. Nobody is authenticated by it before
    /// [`verify_proof`](Self::verify_proof).
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify(&self, token: &str, bundle: &WitBundle, now: OffsetDateTime) -> Result<WitSvid, VerifyError> {
        let token = UnverifiedWitSvid::read(token, &self.options.token)?;
        self.verify_parsed(token, bundle, now)
    }

    /// Verifies a WIT-SVID that was parsed before, as one does to choose the bundle by its trust domain.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_parsed(
        &self,
        token: UnverifiedWitSvid<'_>,
        bundle: &WitBundle,
        now: OffsetDateTime,
    ) -> Result<WitSvid, VerifyError> {
        let options = &self.options.token;
        if token.text.len() > options.max_bytes() {
            let (length, limit) = (token.text.len(), options.max_bytes());
            return Err(jwt::VerifyError::TooLong { length, limit }.into());
        }
        let algorithm = token.header.algorithm;
        if !options.algorithms.contains(&algorithm) {
            return Err(jwt::VerifyError::Algorithm { algorithm: algorithm.to_string() }.into());
        }
        let found = token.claims.subject().trust_domain();
        if found.as_str() != bundle.trust_domain().as_str() {
            let expected = bundle.trust_domain().clone();
            return Err(jwt::VerifyError::TrustDomain { expected, found: found.to_owned() }.into());
        }
        authentic(&token.frame, &token.header, bundle.keys())?;
        timely(token.claims.expires(), token.claims.not_before(), options.leeway, now)?;
        Ok(WitSvid {
            hash: token_hash(token.text),
            kid: token.header.kid,
            claims: token.claims,
            payload: token.payload,
        })
    }

    /// Verifies that whoever sent a request has the private key of the WIT-SVID, with a workload proof token. The times
    /// of the WIT-SVID are looked at again, so that it may have been verified earlier and kept.
    ///
    /// # Errors
    /// The first rule that the proof breaks.
    pub fn verify_proof(
        &self,
        proof: &str,
        wit: &WitSvid,
        context: &ProofContext,
        now: OffsetDateTime,
    ) -> Result<WorkloadProof, VerifyError> {
        let options = &self.options.token;
        timely(wit.claims.expires(), wit.claims.not_before(), options.leeway, now)?;
        proof::verify(proof, wit, context, options, self.options.max_proof_lifetime, now)
    }
}

/// The hash by which a proof names a token (draft-ietf-wimse-wpt §2): SHA-256 in base64url.
pub(super) fn token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()))
}

/// A token that has the form of a WIT-SVID and whose signature and times were **not** checked.
#[derive(Clone)]
pub struct UnverifiedWitSvid<'a> {
    text: &'a str,
    frame: Frame<'a>,
    header: Header,
    claims: WitClaims,
    payload: Vec<u8>,
}

impl<'a> UnverifiedWitSvid<'a> {
    /// Reads a token; all rules on its form are checked here.
    ///
    /// # Errors
    /// Those of [`VerifyError`] that need neither key nor time.
    pub fn parse(token: &'a str) -> Result<Self, VerifyError> {
        Self::read(token, &VerifyOptions::default())
    }

    fn read(text: &'a str, options: &VerifyOptions) -> Result<Self, VerifyError> {
        let frame = Frame::cut(text, options.max_bytes())?;
        let header = Header::read(&frame.header()?, Kind::WitSvid, &options.algorithms)?;
        let payload = frame.claims()?;
        let claims = WitClaims::read(&payload)?;
        Ok(Self { text, frame, header, claims, payload })
    }

    /// The signature algorithm that the header asks for, one of the nine of WIT-SVID §2.3.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// What the token claims and nobody has checked.
    pub fn unverified_claims(&self) -> &WitClaims {
        &self.claims
    }
}

impl fmt::Debug for UnverifiedWitSvid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedWitSvid")
            .field("header", &self.header)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// A verified WIT-SVID: authentic and valid at the time of verification. **It does not say who sent it**: only its
/// holder can prove that, and [`WorkloadProof`] is what says so (WIT-SVID §7.1).
///
/// Only a [`WitVerifier`] makes it. Verifying one token for many requests and keeping the result is fine.
///
/// ```compile_fail,E0277
/// let nobody_verified_this: keyward_svid::wit::WitSvid = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct WitSvid {
    pub(super) hash: String,
    kid: Option<String>,
    pub(super) claims: WitClaims,
    payload: Vec<u8>,
}

impl WitSvid {
    /// Whom the confirmed key belongs to; not, by itself, who sent the token.
    pub fn holder(&self) -> &SpiffeId {
        self.claims.subject()
    }

    /// The key that proofs are made with, for proofs that this crate does not know.
    pub fn confirmation(&self) -> &Confirmation {
        self.claims.confirmation()
    }

    /// The claims.
    pub fn claims(&self) -> &WitClaims {
        &self.claims
    }

    /// The key ID in its header.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// All claims as the JSON object that was signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl fmt::Debug for WitSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitSvid").field("kid", &self.kid).field("claims", &self.claims).finish_non_exhaustive()
    }
}
