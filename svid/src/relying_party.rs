//! What clouds and other verifiers demand beyond the standard, checked before they do.
//!
//! Nothing here refuses anything: a [`Warning`] says what a relying party will refuse, and the remedy. The limits
//! are those that the relying parties publish, as of 2026.

mod warning;

use std::fmt;

use keyward_keys::Algorithm;
use time::Duration;

pub use warning::Warning;

use crate::jwt::{EncodedJwtSvid, JWT_SVID_ALGORITHMS, MintRequest};
use crate::oidc::Issuer;

/// The audience that Azure expects of federated credentials.
const AZURE_AUDIENCE: &str = "api://AzureADTokenExchange";

/// A verifier with demands of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RelyingParty {
    /// AWS STS, `AssumeRoleWithWebIdentity`.
    AwsSts,
    /// Microsoft Entra ID, workload identity federation.
    Azure,
    /// Google Cloud, workload identity federation.
    Gcp,
    /// A Kubernetes API server with structured authentication configuration.
    Kubernetes,
    /// Keycloak, JWT authorization grant and client authentication.
    Keycloak,
}

impl RelyingParty {
    /// Every relying party known here.
    pub const ALL: [Self; 5] = [Self::AwsSts, Self::Azure, Self::Gcp, Self::Kubernetes, Self::Keycloak];

    /// The name in kebab-case, for documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsSts => "aws-sts",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Kubernetes => "kubernetes",
            Self::Keycloak => "keycloak",
        }
    }

    /// The relying party that an audience belongs to, where the audience tells.
    ///
    /// ```
    /// # use keyward_svid::relying_party::RelyingParty;
    /// assert_eq!(RelyingParty::of_audience("sts.amazonaws.com"), Some(RelyingParty::AwsSts));
    /// assert_eq!(RelyingParty::of_audience("reports"), None);
    /// ```
    pub fn of_audience(audience: &str) -> Option<Self> {
        match audience {
            "sts.amazonaws.com" => Some(Self::AwsSts),
            AZURE_AUDIENCE => Some(Self::Azure),
            _ => {
                let resource = audience.strip_prefix("https:").unwrap_or(audience);
                resource.starts_with("//iam.googleapis.com/").then_some(Self::Gcp)
            }
        }
    }

    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::AwsSts => &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::Es512,
            ],
            Self::Azure => &[Algorithm::Rs256],
            Self::Gcp => &[Algorithm::Rs256, Algorithm::Es256],
            Self::Kubernetes | Self::Keycloak => &JWT_SVID_ALGORITHMS,
        }
    }
}

impl fmt::Display for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AwsSts => "AWS STS",
            Self::Azure => "Azure",
            Self::Gcp => "Google Cloud",
            Self::Kubernetes => "Kubernetes",
            Self::Keycloak => "Keycloak",
        })
    }
}

/// What is known of the tokens to check. What is not known, and left at its default, is not judged; only a
/// missing issuer is, because every relying party here finds the keys by it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenShape<'a> {
    /// The signing algorithm.
    pub algorithm: Option<Algorithm>,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `aud`; empty means unknown.
    pub audiences: &'a [String],
    /// `exp` minus `iat`.
    pub lifetime: Option<Duration>,
    /// `iss`.
    pub issuer: Option<&'a str>,
    /// The issuer that the discovery document names.
    pub discovery_issuer: Option<&'a str>,
    /// Whether the header has `kid`; by default it has, as in every token minted here.
    pub kid: bool,
    /// Whether there is `iat`; by default there is, as in every token minted here.
    pub issued_at: bool,
    /// How many RSA keys the key set publishes.
    pub rsa_keys: usize,
    /// How many elliptic-curve keys the key set publishes.
    pub ec_keys: usize,
    /// The length of the token in bytes.
    pub token_bytes: Option<usize>,
}

impl Default for TokenShape<'_> {
    fn default() -> Self {
        Self {
            algorithm: None,
            subject: None,
            audiences: &[],
            lifetime: None,
            issuer: None,
            discovery_issuer: None,
            kid: true,
            issued_at: true,
            rsa_keys: 0,
            ec_keys: 0,
            token_bytes: None,
        }
    }
}

impl<'a> TokenShape<'a> {
    /// The shape of what a request asks for under an algorithm.
    pub fn of_request(request: &'a MintRequest, algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            subject: Some(request.subject().as_str()),
            audiences: request.audiences(),
            lifetime: Some(request.lifetime()),
            issuer: request.issuer(),
            ..Self::default()
        }
    }

    /// The same, with the token that came out.
    #[must_use]
    pub fn with_token(mut self, token: &EncodedJwtSvid) -> Self {
        self.lifetime = Some(token.expires() - token.issued_at());
        self.token_bytes = Some(token.as_str().len());
        self
    }
}

/// What a relying party would refuse in tokens of this shape; nothing, if all is well.
///
/// ```
/// use keyward_svid::relying_party::{RelyingParty, TokenShape, check};
/// use keyward_keys::Algorithm;
///
/// let mut shape = TokenShape::default();
/// shape.algorithm = Some(Algorithm::Es256);
/// shape.issuer = Some("https://tower.example.org/1f0e");
/// assert!(check(RelyingParty::AwsSts, &shape).is_empty());
///
/// let warnings = check(RelyingParty::Azure, &shape);
/// assert_eq!(
///     warnings[0].to_string(),
///     "Azure accepts RS256 only: sign with a key for one of these instead of ES256"
/// );
/// ```
pub fn check(party: RelyingParty, shape: &TokenShape<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(algorithm) = shape.algorithm
        && !party.algorithms().contains(&algorithm)
    {
        warnings.push(Warning::Algorithm { party, algorithm, accepted: party.algorithms() });
    }
    check_issuer(party, shape, &mut warnings);
    check_limits(party, shape, &mut warnings);
    warnings
}

fn check_issuer(party: RelyingParty, shape: &TokenShape<'_>, warnings: &mut Vec<Warning>) {
    let Some(text) = shape.issuer else {
        warnings.push(Warning::NoIssuer { party });
        return;
    };
    if let Some(discovery) = shape.discovery_issuer
        && discovery != text
    {
        warnings.push(Warning::IssuerMismatch { party, issuer: text.to_owned(), discovery: discovery.to_owned() });
    }
    if party == RelyingParty::Azure && text.len() > 600 {
        warnings.push(Warning::IssuerLength { party, length: text.len(), limit: 600 });
    }
    if party == RelyingParty::Keycloak {
        return;
    }
    let Ok(issuer) = text.parse::<Issuer>() else {
        warnings.push(Warning::IssuerUrl { party, issuer: text.to_owned() });
        return;
    };
    if !issuer.is_https() {
        warnings.push(Warning::IssuerUrl { party, issuer: text.to_owned() });
    }
    // A cluster may run beside the issuer; a cloud does not.
    if party != RelyingParty::Kubernetes && issuer.is_local() {
        warnings.push(Warning::IssuerLocal { party, host: issuer.host().to_owned() });
    }
    if party == RelyingParty::AwsSts
        && let Some(port) = issuer.port()
    {
        warnings.push(Warning::IssuerPort { party, port });
    }
}

fn check_limits(party: RelyingParty, shape: &TokenShape<'_>, warnings: &mut Vec<Warning>) {
    let subject = shape.subject.map(str::len);
    let mut subject_outside = |min, max| {
        if let Some(length) = subject
            && !(min..=max).contains(&length)
        {
            warnings.push(Warning::SubjectLength { party, length, min, max });
        }
    };
    match party {
        RelyingParty::AwsSts => subject_outside(6, 255),
        RelyingParty::Gcp => subject_outside(1, 127),
        RelyingParty::Azure | RelyingParty::Kubernetes | RelyingParty::Keycloak => {}
    }
    match party {
        RelyingParty::AwsSts => {
            if let Some(length) = shape.token_bytes
                && length > 20_000
            {
                warnings.push(Warning::TokenLength { party, length, limit: 20_000 });
            }
            for (kty, count) in [("RSA", shape.rsa_keys), ("EC", shape.ec_keys)] {
                if count > 100 {
                    warnings.push(Warning::TooManyKeys { party, kty, count, limit: 100 });
                }
            }
        }
        RelyingParty::Azure => {
            if !matches!(shape.audiences, [] | [_]) {
                warnings.push(Warning::AudienceCount { party, count: shape.audiences.len() });
            }
            if !shape.audiences.is_empty() && !shape.audiences.iter().any(|audience| audience == AZURE_AUDIENCE) {
                warnings.push(Warning::Audience { party, expected: AZURE_AUDIENCE });
            }
        }
        RelyingParty::Gcp => {
            let limit = Duration::hours(48);
            if let Some(lifetime) = shape.lifetime
                && lifetime >= limit
            {
                warnings.push(Warning::Lifetime { party, lifetime, limit: limit - Duration::SECOND });
            }
            if !shape.kid {
                warnings.push(Warning::NoKeyId { party });
            }
        }
        RelyingParty::Kubernetes => {}
        RelyingParty::Keycloak => {
            if !matches!(shape.audiences, [] | [_]) {
                warnings.push(Warning::AudienceCount { party, count: shape.audiences.len() });
            }
            let limit = Duration::seconds(300);
            if let Some(lifetime) = shape.lifetime
                && lifetime > limit
            {
                warnings.push(Warning::Lifetime { party, lifetime, limit });
            }
        }
    }
    if !shape.issued_at && matches!(party, RelyingParty::AwsSts | RelyingParty::Gcp) {
        warnings.push(Warning::NoIssuedAt { party });
    }
}
