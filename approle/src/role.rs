//! The AppRole document: what an operator configures.

mod id;
mod record;
mod validate;

use keyward_config_values::{Cidr, Distribute, Duration, Name};
use serde::{Deserialize, Serialize};

use crate::Limits;
use crate::token::{Lifetime, TokenType};

pub use id::RoleId;
pub use record::{Role, RoleState};
pub(crate) use validate::{batch, contradictions, longer};

/// The longest life of an SVID: 24 h.
///
/// An SVID cannot be revoked, and the clouds that accept one refuse it when it lives longer.
pub const MAX_SVID_TTL: Duration = Duration::DAY;

/// An AppRole as it is configured. Fields are named in kebab-case, `token_max_ttl` being
/// `token-max-ttl`.
///
/// ```
/// use keyward_approle::RoleConfig;
///
/// let role: RoleConfig = serde_json::from_str(r#"{
///     "name": "payments",
///     "token-period": "1d",
///     "token-spiffe-jwt": { "jwt-audiences": ["sts.amazonaws.com"] }
/// }"#)?;
/// role.validate()?;
/// assert!(role.token_renewable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RoleConfig {
    /// Name of the role, unique in its tenant and the last segment of its SPIFFE ID.
    pub name: Name,
    /// The role-id, which nobody should guess: with `weak-secret-id` it is the whole login, and nobody's where another tenant has the
    /// same. Without it one is generated, and kept when the document is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_role_id: Option<RoleId>,
    /// One value serves as both role-id and secret-id: a login with the role-id in both places is
    /// granted. The role-id is then a secret of at least 128 bits. Such a login has no counter and no
    /// expiry of its own, so that `secret-id-num-uses` and `secret-id-ttl` are refused beside it.
    /// Secret-ids made for the role work as ever.
    #[serde(default, skip_serializing_if = "is_false")]
    pub weak_secret_id: bool,
    /// Logins must come from one of these ranges; empty means anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_id_bound_cidrs: Vec<Cidr>,
    /// How often one secret-id can log in; 0 means without limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub secret_id_num_uses: u32,
    /// Life of a secret-id; without it secret-ids do not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id_ttl: Option<Duration>,
    /// Life of a token from its login or refresh. Without it `token-period`, and without that the
    /// system's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ttl: Option<Duration>,
    /// The longest life that one login or refresh may give. It does not end a token that goes on
    /// being refreshed: that is `token-explicit-max-ttl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_max_ttl: Option<Duration>,
    /// Policies of the role's tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_policies: Vec<Name>,
    /// Tokens can be used from these ranges only; empty means anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_bound_cidrs: Vec<Cidr>,
    /// Binds a token to the address that it was issued to, beside `token-bound-cidrs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_auto_bound_cidrs: Option<AutoBound>,
    /// The end of a token counted from its login, which no refresh moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_explicit_max_ttl: Option<Duration>,
    /// Leaves the built-in policy `default` out of the role's tokens.
    #[serde(default, skip_serializing_if = "is_false")]
    pub token_no_default_policy: bool,
    /// How often a token can be used; 0 means without limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub token_num_uses: u32,
    /// Makes tokens periodic: each refresh gives at most this much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_period: Option<Duration>,
    /// Type of the role's tokens: [`TokenType::default`] where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<TokenType>,
    /// Whether tokens can be refreshed; they can by default.
    #[serde(default = "yes")]
    pub token_renewable: bool,
    /// Logins and refreshes answer with a JWT-SVID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_spiffe_jwt: Option<SpiffeJwtConfig>,
    /// Logins and refreshes answer with an X.509-SVID and its private key, made afresh each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_spiffe_x509: Option<SpiffeX509Config>,
    /// Where the role is available; what it names need not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
}

impl RoleConfig {
    /// The type of the role's tokens.
    #[must_use]
    pub fn kind_of_tokens(&self) -> TokenType {
        self.token_type.unwrap_or_default()
    }

    /// A role with nothing but its name: tokens with the policy `default` and the system's default
    /// life.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            fixed_role_id: None,
            weak_secret_id: false,
            secret_id_bound_cidrs: Vec::new(),
            secret_id_num_uses: 0,
            secret_id_ttl: None,
            token_ttl: None,
            token_max_ttl: None,
            token_policies: Vec::new(),
            token_bound_cidrs: Vec::new(),
            token_auto_bound_cidrs: None,
            token_explicit_max_ttl: None,
            token_no_default_policy: false,
            token_num_uses: 0,
            token_period: None,
            token_type: None,
            token_renewable: true,
            token_spiffe_jwt: None,
            token_spiffe_x509: None,
            distribute: None,
        }
    }

    /// The longest time that may pass between an issue or refresh of one of the role's tokens and
    /// its expiry. SVIDs expire with their token, so that this is also the longest life of an SVID of
    /// this role: the keys that sign them must be published for that long.
    #[must_use]
    pub fn longest_token_life(&self, limits: &Limits) -> Duration {
        let lifetime = self.lifetime();
        let life = if self.token_renewable && self.kind_of_tokens() != TokenType::Batch {
            lifetime.longest(limits)
        } else {
            lifetime.span(None, limits)
        };
        self.token_explicit_max_ttl.map_or(life, |end| end.min(life))
    }

    /// The shorter of the caps of the SVIDs that come with the role's tokens.
    fn svid_ttl(&self) -> Option<Duration> {
        let jwt = self.token_spiffe_jwt.as_ref().map(|jwt| cap(jwt.ttl));
        let x509 = self.token_spiffe_x509.as_ref().map(|x509| cap(x509.ttl));
        jwt.into_iter().chain(x509).min()
    }

    /// The durations of the role's tokens, the cap of their SVIDs among them.
    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime {
            ttl: self.token_ttl,
            period: self.token_period,
            max_ttl: self.token_max_ttl,
            svid_ttl: self.svid_ttl(),
        }
    }
}

/// What a role's JWT-SVIDs carry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SpiffeJwtConfig {
    /// The `aud` claim: 1 to 32 different recipients.
    pub jwt_audiences: Vec<String>,
    /// Life of an SVID, at most 24 h, which it is by default. SVIDs expire with their token, because
    /// clients refresh by the token's expiry alone: so this caps the life of the role's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

impl SpiffeJwtConfig {
    /// JWT-SVIDs for these recipients, with the default life.
    #[must_use]
    pub fn new(audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { jwt_audiences: audiences.into_iter().map(Into::into).collect(), ttl: None }
    }
}

/// What a role's X.509-SVIDs are like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SpiffeX509Config {
    /// Life of an SVID, at most 24 h, which it is by default. As with JWT-SVIDs it caps the life of
    /// the role's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// The cap that an SVID's `ttl` is.
fn cap(ttl: Option<Duration>) -> Duration {
    ttl.map_or(MAX_SVID_TTL, |ttl| ttl.min(MAX_SVID_TTL))
}

/// How a token is bound to an address by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AutoBound {
    /// To the one address that logged in.
    Host,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{duration, name};

    fn parse(json: &str) -> RoleConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_almost_empty_document_has_the_defaults() {
        assert_eq!(parse(r#"{"name":"payments"}"#), RoleConfig::new(name("payments")));
    }

    #[test]
    fn every_field_goes_through_serde_both_ways() {
        let json = r#"{
            "name": "payments",
            "fixed-role-id": "payments-0123456789",
            "secret-id-bound-cidrs": ["10.0.0.0/8", "2001:db8::/32"],
            "secret-id-num-uses": 3,
            "secret-id-ttl": "30d",
            "token-ttl": "1h",
            "token-max-ttl": "2d",
            "token-policies": ["reader"],
            "token-bound-cidrs": ["192.0.2.0/24"],
            "token-auto-bound-cidrs": "host",
            "token-explicit-max-ttl": "30d",
            "token-no-default-policy": true,
            "token-num-uses": 9,
            "token-period": "1d",
            "token-type": "service",
            "token-renewable": false,
            "token-spiffe-jwt": { "jwt-audiences": ["sts.amazonaws.com"], "ttl": "1h" },
            "token-spiffe-x509": { "ttl": "1h" },
            "distribute": { "deployments": ["payments"] }
        }"#;
        let role = parse(json);
        let written = serde_json::to_value(&role).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(json).unwrap());

        let weak = parse(r#"{"name":"a","weak-secret-id":true}"#);
        assert!(weak.weak_secret_id);
        assert_eq!(serde_json::to_value(&weak).unwrap()["weak-secret-id"], true);
    }

    #[test]
    fn the_longest_life_is_what_any_refresh_can_give() {
        let limits = Limits::default();
        let longest = |json: &str| parse(json).longest_token_life(&limits).to_string();
        // Nothing said: a refresh may ask for the system's maximum.
        assert_eq!(longest(r#"{"name":"a"}"#), limits.max_ttl.to_string());
        assert_eq!(longest(r#"{"name":"a","token-period":"3d"}"#), duration("3d").to_string());
        assert_eq!(longest(r#"{"name":"a","token-ttl":"1h","token-max-ttl":"2d"}"#), duration("2d").to_string());
        assert_eq!(longest(r#"{"name":"a","token-ttl":"1h","token-renewable":false}"#), duration("1h").to_string());
        assert_eq!(
            longest(r#"{"name":"a","token-period":"3d","token-explicit-max-ttl":"2d"}"#),
            duration("2d").to_string()
        );
        // An SVID caps it: 24 h without a ttl of its own.
        let svid = r#"{"name":"a","token-period":"3d","token-spiffe-jwt":{"jwt-audiences":["b"]}}"#;
        assert_eq!(longest(svid), duration("24h").to_string());
        let short = r#"{"name":"a","token-spiffe-jwt":{"jwt-audiences":["b"],"ttl":"5m"}}"#;
        assert_eq!(longest(short), duration("5m").to_string());
        let x509 = r#"{"name":"a","token-period":"3d","token-spiffe-x509":{}}"#;
        assert_eq!(longest(x509), duration("24h").to_string());
        // Of both kinds, the shorter: they come and go with one token.
        for (jwt, x509, shorter) in [("1h", "5m", "5m"), ("5m", "1h", "5m")] {
            let both = format!(
                r#"{{"name":"a","token-spiffe-jwt":{{"jwt-audiences":["b"],"ttl":"{jwt}"}},"token-spiffe-x509":{{"ttl":"{x509}"}}}}"#
            );
            assert_eq!(longest(&both), duration(shorter).to_string());
        }
    }

    #[test]
    fn debug_shows_no_role_id() {
        let role = parse(r#"{"name":"a","fixed-role-id":"very-secret-role-id"}"#);
        assert!(!format!("{role:?}").contains("very-secret"));
    }
}
