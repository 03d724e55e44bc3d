//! Verification: the one way to a [`JwtSvid`].

use std::fmt;

use keyward_keys::Algorithm;
use keyward_spiffe_id::SpiffeId;
use time::{Duration, OffsetDateTime};

use super::bundle::JwtBundle;
use super::claims::Claims;
use super::error::{VerifierError, VerifyError};
use super::header::JWT_SVID_ALGORITHMS;
use super::signature::authentic;
use super::times::timely;
use super::unverified::{MAX_TOKEN_BYTES, UnverifiedJwtSvid};
use crate::json::excerpt;

/// The largest leeway a verifier grants.
pub const MAX_LEEWAY: Duration = Duration::MINUTE;

/// What a [`Verifier`] accepts, beyond its audiences.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The algorithms accepted; by default all nine of JWT-SVID §2.1.
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks of issuer and verifier may differ, from zero, the default, to [`MAX_LEEWAY`]. It
    /// prolongs a token at both ends.
    pub leeway: Duration,
    /// The longest token that is read, in bytes; at most, and by default, [`MAX_TOKEN_BYTES`].
    pub max_token_bytes: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { algorithms: JWT_SVID_ALGORITHMS.to_vec(), leeway: Duration::ZERO, max_token_bytes: MAX_TOKEN_BYTES }
    }
}

impl VerifyOptions {
    /// Refuses what could never accept a token, or would accept more than the standards allow.
    pub(crate) fn validate(&self) -> Result<(), VerifierError> {
        let nine = |algorithm| JWT_SVID_ALGORITHMS.contains(algorithm);
        if self.algorithms.is_empty() || !self.algorithms.iter().all(nine) {
            return Err(VerifierError::Algorithm);
        }
        if self.leeway.is_negative() || self.leeway > MAX_LEEWAY {
            return Err(VerifierError::Leeway { leeway: self.leeway, limit: MAX_LEEWAY });
        }
        Ok(())
    }

    /// The longest token to read.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_token_bytes.min(MAX_TOKEN_BYTES)
    }
}

/// Verifies JWT-SVIDs for one recipient. Made once, used for every token.
///
/// ```
/// use keyward_svid::jwt::{JwtBundle, Verifier, VerifyOptions, VerifyError};
/// use keyward_svid::jwks::{JwkSet, KeyUse};
/// # let now = time::OffsetDateTime::UNIX_EPOCH;
///
/// let verifier = Verifier::new(["https://reports.example"], VerifyOptions::default())?;
/// let keys = JwkSet::from_json(br#"{"keys":[]}"#, KeyUse::Signature)?;
/// let bundle = JwtBundle::new("example.org".parse()?, keys);
///
/// let error = verifier.verify("not.a-token", &bundle, now).unwrap_err();
/// assert_eq!(error, VerifyError::NotCompact { parts: 2 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Verifier {
    audiences: Vec<String>,
    options: VerifyOptions,
}

impl Verifier {
    /// A verifier that identifies with `audiences`: a token must name at least one of them.
    ///
    /// # Errors
    /// When no token could ever be accepted, or more than the standard allows.
    pub fn new(
        audiences: impl IntoIterator<Item = impl Into<String>>,
        options: VerifyOptions,
    ) -> Result<Self, VerifierError> {
        let audiences: Vec<String> = audiences.into_iter().map(Into::into).collect();
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(VerifierError::Audience);
        }
        options.validate()?;
        Ok(Self { audiences, options })
    }

    /// The audiences that this verifier identifies with.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Verifies a token with the keys of one trust domain, at one moment.
    ///
    /// The order is: length, form, algorithm, header, claims, trust domain, key and signature, audience, times.
    /// What is said about audience and times is therefore said about an authentic token.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify(&self, token: &str, bundle: &JwtBundle, now: OffsetDateTime) -> Result<JwtSvid, VerifyError> {
        let token = UnverifiedJwtSvid::read(token, self.options.max_bytes(), &self.options.algorithms)?;
        self.check(token, bundle, now)
    }

    /// Verifies a token that was parsed before, as one does to choose the bundle by its trust domain.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_parsed(
        &self,
        token: UnverifiedJwtSvid<'_>,
        bundle: &JwtBundle,
        now: OffsetDateTime,
    ) -> Result<JwtSvid, VerifyError> {
        if token.length > self.options.max_bytes() {
            return Err(VerifyError::TooLong { length: token.length, limit: self.options.max_bytes() });
        }
        if !self.options.algorithms.contains(&token.algorithm()) {
            return Err(VerifyError::Algorithm { algorithm: token.algorithm().to_string() });
        }
        self.check(token, bundle, now)
    }

    fn check(
        &self,
        token: UnverifiedJwtSvid<'_>,
        bundle: &JwtBundle,
        now: OffsetDateTime,
    ) -> Result<JwtSvid, VerifyError> {
        let claims = &token.claims;
        let found = claims.subject().trust_domain();
        if found.as_str() != bundle.trust_domain().as_str() {
            return Err(VerifyError::TrustDomain { expected: bundle.trust_domain().clone(), found: found.to_owned() });
        }
        authentic(&token.frame, &token.header, bundle.keys())?;
        // JWT-SVID §3.2, RFC 7519 §4.1.3: audiences are compared byte by byte.
        if !claims.audiences().iter().any(|audience| self.audiences.contains(audience)) {
            let found = claims.audiences().iter().map(|audience| excerpt(audience)).collect();
            return Err(VerifyError::Audience { found });
        }
        timely(claims.expires(), claims.not_before(), self.options.leeway, now)?;
        Ok(JwtSvid {
            algorithm: token.header.algorithm,
            kid: token.header.kid,
            claims: token.claims,
            payload: token.payload,
        })
    }
}

/// A verified JWT-SVID: authentic, meant for us, valid at the time of verification.
///
/// Only a [`Verifier`] makes it. It does not hold the token, so it can be kept and logged.
///
/// ```compile_fail,E0277
/// let nobody_verified_this: keyward_svid::JwtSvid = serde_json::from_str("{}").unwrap();
/// ```
/// ```compile_fail,E0277
/// fn defaulted<T: Default>() -> T { T::default() }
/// let nobody_verified_this: keyward_svid::JwtSvid = defaulted();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JwtSvid {
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Claims,
    payload: Vec<u8>,
}

impl JwtSvid {
    /// Whom the token identifies.
    pub fn id(&self) -> &SpiffeId {
        self.claims.subject()
    }

    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// From this second on the token is expired.
    pub fn expires(&self) -> OffsetDateTime {
        self.claims.expires()
    }

    /// The algorithm of its signature.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key ID in its header, if there was one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// All claims as the JSON object that was signed, for claims that this crate gives no meaning to. It has no
    /// duplicate members.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}
