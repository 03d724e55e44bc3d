//! What clouds and other verifiers demand beyond the standard, checked before they do.
//!
//! Nothing here refuses anything: a [`Warning`] says what a relying party will refuse, and the remedy. The limits
//! are those that the relying parties publish, as of 2026.

mod shape;
mod warning;

use std::fmt;

use keyward_keys::Algorithm;
use time::Duration;

pub use shape::TokenShape;
pub use warning::Warning;

use crate::jwt::JWT_SVID_ALGORITHMS;
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

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: RelyingParty = RelyingParty::AwsSts;

    fn shape<'a>() -> TokenShape<'a> {
        TokenShape {
            algorithm: Some(Algorithm::Rs256),
            subject: Some("spiffe://td.example/payments"),
            lifetime: Some(Duration::minutes(5)),
            issuer: Some("https://tower.example/t"),
            discovery_issuer: Some("https://tower.example/t"),
            token_bytes: Some(700),
            rsa_keys: 2,
            ec_keys: 2,
            ..TokenShape::default()
        }
    }

    fn codes(party: RelyingParty, shape: &TokenShape<'_>) -> Vec<&'static str> {
        let warnings = check(party, shape);
        assert!(warnings.iter().all(|warning| warning.party() == party));
        warnings.iter().map(Warning::code).collect()
    }

    #[test]
    fn what_suits_everybody() {
        for party in RelyingParty::ALL {
            let audiences = if party == RelyingParty::Azure { [AZURE_AUDIENCE.to_owned()] } else { ["a".to_owned()] };
            assert!(check(party, &TokenShape { audiences: &audiences, ..shape() }).is_empty(), "{party}");
        }
    }

    #[test]
    fn algorithms() {
        let refused = |party: RelyingParty| {
            let refuses = |algorithm: &Algorithm| {
                codes(party, &TokenShape { algorithm: Some(*algorithm), ..shape() }).contains(&"algorithm")
            };
            JWT_SVID_ALGORITHMS.into_iter().filter(refuses).map(Algorithm::as_str).collect::<Vec<_>>()
        };
        assert_eq!(refused(AWS), ["PS256", "PS384", "PS512"]);
        assert_eq!(refused(RelyingParty::Azure).len(), 8);
        assert_eq!(refused(RelyingParty::Gcp).len(), 7);
        assert!(refused(RelyingParty::Kubernetes).is_empty());
        assert!(refused(RelyingParty::Keycloak).is_empty());
        assert_eq!(codes(AWS, &TokenShape { algorithm: Some(Algorithm::EdDsa), ..shape() }), ["algorithm"]);
    }

    #[test]
    fn issuers() {
        for (issuer, aws, kubernetes) in [
            ("https://tower.example/t", vec![], vec![]),
            ("https://tower.example:4646/t", vec!["issuer-port"], vec![]),
            ("https://localhost:4646/t", vec!["issuer-local", "issuer-port"], vec![]),
            ("http://localhost/t", vec!["issuer-url", "issuer-local"], vec!["issuer-url"]),
            ("https://tower.example/t?x=1", vec!["issuer-url"], vec!["issuer-url"]),
            ("tower", vec!["issuer-url"], vec!["issuer-url"]),
        ] {
            let shape = TokenShape { issuer: Some(issuer), discovery_issuer: Some(issuer), ..shape() };
            assert_eq!(codes(AWS, &shape), aws, "{issuer}");
            assert_eq!(codes(RelyingParty::Kubernetes, &shape), kubernetes, "{issuer}");
        }
        let moved = TokenShape { discovery_issuer: Some("https://tower.example/t/"), ..shape() };
        assert_eq!(codes(RelyingParty::Kubernetes, &moved), ["issuer-mismatch"]);
        let long = format!("https://tower.example/{}", "x".repeat(579));
        let shape = TokenShape { issuer: Some(&long), discovery_issuer: None, ..shape() };
        assert_eq!(codes(RelyingParty::Azure, &shape), ["issuer-length"]);
        assert!(codes(AWS, &shape).is_empty());
        for party in RelyingParty::ALL {
            assert_eq!(codes(party, &TokenShape::default()), ["no-issuer"]);
        }
    }

    #[test]
    fn limits_hold_and_one_more_does_not() {
        let subject = |length: usize| "x".repeat(length);
        for (party, length, ok) in [
            (AWS, 5, false),
            (AWS, 6, true),
            (AWS, 255, true),
            (AWS, 256, false),
            (RelyingParty::Gcp, 127, true),
            (RelyingParty::Gcp, 128, false),
            (RelyingParty::Kubernetes, 2048, true),
        ] {
            let subject = subject(length);
            let found = codes(party, &TokenShape { subject: Some(&subject), ..shape() });
            assert_eq!(found.is_empty(), ok, "{party} {length}");
        }
        for (party, lifetime, ok) in [
            (RelyingParty::Gcp, Duration::hours(48) - Duration::SECOND, true),
            (RelyingParty::Gcp, Duration::hours(48), false),
            (RelyingParty::Keycloak, Duration::seconds(300), true),
            (RelyingParty::Keycloak, Duration::seconds(301), false),
            (AWS, Duration::weeks(52), true),
        ] {
            let found = codes(party, &TokenShape { lifetime: Some(lifetime), ..shape() });
            assert_eq!(found.is_empty(), ok, "{party} {lifetime}");
        }
        assert!(
            codes(AWS, &TokenShape { token_bytes: Some(20_000), rsa_keys: 100, ec_keys: 100, ..shape() }).is_empty()
        );
        assert_eq!(
            codes(AWS, &TokenShape { token_bytes: Some(20_001), rsa_keys: 101, ec_keys: 101, ..shape() }),
            ["token-length", "too-many-keys", "too-many-keys"]
        );
    }

    #[test]
    fn audiences() {
        let two = ["a".to_owned(), AZURE_AUDIENCE.to_owned()];
        let shape = TokenShape { audiences: &two, ..shape() };
        assert_eq!(codes(RelyingParty::Azure, &shape), ["audience-count"]);
        assert_eq!(codes(RelyingParty::Keycloak, &shape), ["audience-count"]);
        let shape = TokenShape { audiences: &two[..1], ..shape };
        assert_eq!(codes(RelyingParty::Azure, &shape), ["audience"]);
        assert!(codes(RelyingParty::Keycloak, &shape).is_empty());
    }

    #[test]
    fn names_and_times_that_are_demanded() {
        let shape = TokenShape { kid: false, issued_at: false, ..shape() };
        assert_eq!(codes(AWS, &shape), ["no-issued-at"]);
        assert_eq!(codes(RelyingParty::Gcp, &shape), ["no-key-id", "no-issued-at"]);
        assert!(codes(RelyingParty::Kubernetes, &shape).is_empty());
    }

    #[test]
    fn who_an_audience_belongs_to() {
        for (audience, party) in [
            ("sts.amazonaws.com", Some(AWS)),
            ("api://AzureADTokenExchange", Some(RelyingParty::Azure)),
            (
                "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
                Some(RelyingParty::Gcp),
            ),
            ("https://iam.googleapis.com/projects/1", Some(RelyingParty::Gcp)),
            ("https://iam.googleapis.com.evil.example/", None),
            ("reports", None),
        ] {
            assert_eq!(RelyingParty::of_audience(audience), party, "{audience}");
        }
    }

    #[test]
    fn every_text_names_the_remedy() {
        let party = AWS;
        let texts = [
            (
                Warning::Algorithm { party, algorithm: Algorithm::Ps256, accepted: AWS.algorithms() },
                "AWS STS accepts RS256, RS384, RS512, ES256, ES384, ES512 only: sign with a key for one of these instead of PS256",
            ),
            (
                Warning::NoIssuer { party },
                "AWS STS finds the keys by the issuer and tokens have none: set `jwt-issuer`",
            ),
            (
                Warning::IssuerUrl { party, issuer: "x".into() },
                "AWS STS fetches the keys from an https URL without query and fragment: change issuer `x`",
            ),
            (
                Warning::IssuerPort { party, port: 4646 },
                "AWS STS accepts no port in an issuer: serve it on 443 and leave out `:4646`",
            ),
            (
                Warning::IssuerLocal { party, host: "localhost".into() },
                "AWS STS cannot fetch the keys from `localhost`: use an issuer with a public host name",
            ),
            (
                Warning::IssuerLength { party, length: 601, limit: 600 },
                "AWS STS accepts issuers of up to 600 bytes: shorten this one of 601",
            ),
            (
                Warning::IssuerMismatch { party, issuer: "a".into(), discovery: "b".into() },
                "AWS STS compares issuers byte by byte: tokens say `a`, discovery says `b`, make them equal",
            ),
            (
                Warning::SubjectLength { party, length: 300, min: 6, max: 255 },
                "AWS STS accepts subjects of 6 to 255 bytes: shorten trust domain or name, this one has 300",
            ),
            (
                Warning::AudienceCount { party, count: 2 },
                "AWS STS accepts exactly one audience: ask for a token of its own instead of 2 audiences in one",
            ),
            (Warning::Audience { party, expected: "e" }, "AWS STS expects the audience `e`: add it"),
            (
                Warning::Lifetime { party, lifetime: Duration::DAY, limit: Duration::minutes(5) },
                "AWS STS accepts tokens that live up to 5m: shorten the lifetime of 1d",
            ),
            (
                Warning::TokenLength { party, length: 20_001, limit: 20_000 },
                "AWS STS accepts tokens of up to 20000 characters: leave out audiences or shorten names, this one has 20001",
            ),
            (
                Warning::TooManyKeys { party, kty: "RSA", count: 101, limit: 100 },
                "AWS STS reads up to 100 RSA keys: publish fewer than these 101, rotate less often",
            ),
            (Warning::NoKeyId { party }, "AWS STS finds the key by `kid`: give the signing key one"),
            (Warning::NoIssuedAt { party }, "AWS STS demands `iat`: add it to the tokens"),
        ];
        for (warning, text) in texts {
            assert_eq!(warning.to_string(), text);
            assert!(text.contains(": "), "{text}");
        }
    }
}
