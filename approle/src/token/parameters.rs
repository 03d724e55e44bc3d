//! What a token is issued with.

use core::fmt;
use std::collections::BTreeMap;
use std::net::IpAddr;

use keyward_config_values::{Bindings, Cidr, Duration, Name};
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use serde::{Deserialize, Serialize};

use super::{Lifetime, TokenType};
use crate::policy::DEFAULT_POLICY;
use crate::role::AutoBound;
use crate::{Accessor, Role, SpiffeAuth, SpiffeRule};

/// Who a token was issued to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Subject {
    /// An AppRole, by its name and the instance of the role.
    #[serde(rename_all = "kebab-case")]
    Approle {
        /// The role's name.
        name: Name,
        /// What tells the role from an earlier one of the same name.
        instance: Accessor,
    },
    /// A human user, by the name that they log in with.
    User {
        /// The user's name.
        name: String,
    },
    /// A workload that logged in with an SVID.
    #[serde(rename_all = "kebab-case")]
    Spiffe {
        /// The name of the configuration that it logged in by.
        name: Name,
        /// What tells that from an earlier one of the same name.
        instance: Accessor,
        /// Whom the SVID identified.
        id: SpiffeId,
    },
}

impl Subject {
    /// Whom an SVID identified at the login, if it was one by SVID.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&SpiffeId> {
        match self {
            Self::Spiffe { id, .. } => Some(id),
            _ => None,
        }
    }
}

impl Subject {
    /// The name of the site that it is at, as far as its identity says so: one of the tenant's own trust domain whose path begins with
    /// `/site/<name>`. What another trust domain calls its identities says nothing of the tenant's sites.
    ///
    /// ```
    /// use keyward_approle::Subject;
    ///
    /// let subject = Subject::Spiffe {
    ///     name: "hosts".parse()?,
    ///     instance: "00000000000000000000000000000000".parse()?,
    ///     id: "spiffe://acme.example/site/north/host/7".parse()?,
    /// };
    /// assert_eq!(subject.site(Some(&"acme.example".parse()?)).unwrap().as_str(), "north");
    /// assert_eq!(subject.site(Some(&"other.example".parse()?)), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn site(&self, own: Option<&TrustDomain>) -> Option<Name> {
        let own = own?;
        let id = self.spiffe_id().filter(|id| id.trust_domain().as_str() == own.as_str())?;
        let mut segments = id.segments();
        if segments.next() != Some("site") {
            return None;
        }
        segments.next()?.parse().ok()
    }

    /// The variables of policies that say who it is: `approle`, `user`, or `spiffe-id` with its
    /// `spiffe-id.trust-domain` and the segments `spiffe-id.path[0]` and so on.
    ///
    /// ```
    /// use keyward_approle::Subject;
    ///
    /// let bindings = Subject::User { name: "joe@example.org".to_owned() }.bindings();
    /// assert_eq!(bindings.get(&"user".parse()?), Some("joe@example.org"));
    /// assert_eq!(bindings.get(&"approle".parse()?), None);
    /// # Ok::<(), keyward_config_values::Error>(())
    /// ```
    #[must_use]
    pub fn bindings(&self) -> Bindings {
        let mut bindings = Bindings::default();
        // Each of these is the name of a variable; a test holds them to it.
        let mut set = |variable: &str, value: &str| variable.parse().map(|variable| bindings.set(variable, value)).ok();
        match self {
            Self::Approle { name, .. } => {
                set("approle", name.as_str());
            }
            Self::User { name } => {
                set("user", name);
            }
            Self::Spiffe { id, .. } => {
                set("spiffe-id", id.as_str());
                set("spiffe-id.trust-domain", id.trust_domain().as_str());
                for (index, segment) in id.segments().enumerate() {
                    set(&format!("spiffe-id.path[{index}]"), segment);
                }
            }
        }
        bindings
    }
}

/// `approle/<name>`, `user/<name>` or `spiffe/<name>`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approle { name, .. } => write!(f, "approle/{name}"),
            Self::User { name } => write!(f, "user/{name}"),
            Self::Spiffe { name, .. } => write!(f, "spiffe/{name}"),
        }
    }
}

/// What a token is issued with. For a role a [`crate::Grant`] has it; for a user start from
/// [`TokenParameters::for_user`] and set what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenParameters {
    /// The tenant that the token belongs to.
    pub tenant: Name,
    /// Who it is issued to.
    pub subject: Subject,
    /// Its type. A batch token is renewable, periodic or counted in no case.
    pub kind: TokenType,
    /// Names of its policies, without repetition.
    pub policies: Vec<Name>,
    /// Life from a login, and from a refresh that asks for nothing.
    pub ttl: Option<Duration>,
    /// Makes the token periodic.
    pub period: Option<Duration>,
    /// The longest life that a login or a refresh gives.
    pub max_ttl: Option<Duration>,
    /// The end of the token counted from its login.
    pub explicit_max_ttl: Option<Duration>,
    /// How often it can be used; `None` means without limit.
    pub num_uses: Option<u32>,
    /// It can be used from these ranges only; empty means anywhere.
    pub bound_cidrs: Vec<Cidr>,
    /// Beside those, it can be used from these ranges only: those of the secret-id.
    pub own_cidrs: Vec<Cidr>,
    /// It can be used from this address only.
    pub bound_host: Option<IpAddr>,
    /// Whether it can be refreshed.
    pub renewable: bool,
    /// What is proven of whoever has it beside whom it was issued to: the metadata of the secret-id.
    pub metadata: BTreeMap<String, String>,
    /// The recipients of the JWT-SVIDs that come with it; empty means that none do.
    pub jwt_audiences: Vec<String>,
    /// Whether X.509-SVIDs come with it.
    pub x509_svid: bool,
    /// The cap of the SVIDs that come with it.
    pub(crate) svid_ttl: Option<Duration>,
}

impl TokenParameters {
    /// What a role says at this moment, for a caller at `source`.
    #[must_use]
    pub fn for_role(role: &Role, source: IpAddr) -> Self {
        let config = role.config();
        let Lifetime { ttl, period, max_ttl, svid_ttl } = config.lifetime();
        Self {
            tenant: role.tenant().clone(),
            subject: Subject::Approle { name: role.name().clone(), instance: role.instance() },
            kind: config.kind_of_tokens(),
            policies: policies(&config.token_policies, config.token_no_default_policy),
            ttl,
            period,
            max_ttl,
            explicit_max_ttl: config.token_explicit_max_ttl,
            num_uses: (config.token_num_uses > 0).then_some(config.token_num_uses),
            bound_cidrs: config.token_bound_cidrs.clone(),
            own_cidrs: Vec::new(),
            bound_host: config.token_auto_bound_cidrs.map(|AutoBound::Host| source.to_canonical()),
            renewable: config.token_renewable,
            metadata: BTreeMap::new(),
            jwt_audiences: config.token_spiffe_jwt.as_ref().map(|jwt| jwt.jwt_audiences.clone()).unwrap_or_default(),
            x509_svid: config.token_spiffe_x509.is_some(),
            svid_ttl,
        }
    }

    /// What the rule for a SPIFFE ID says, for a caller at `source`.
    pub(crate) fn for_spiffe(auth: &SpiffeAuth, id: &SpiffeId, rule: &SpiffeRule, source: IpAddr) -> Self {
        let Lifetime { ttl, period, max_ttl, svid_ttl } = rule.lifetime();
        let subject = Subject::Spiffe { name: auth.name().clone(), instance: auth.instance(), id: id.clone() };
        Self {
            tenant: auth.tenant().clone(),
            subject,
            kind: rule.token_type,
            policies: policies(&rule.token_policies, rule.token_no_default_policy),
            ttl,
            period,
            max_ttl,
            explicit_max_ttl: Some(rule.explicit_max_ttl()),
            num_uses: (rule.token_num_uses > 0).then_some(rule.token_num_uses),
            bound_cidrs: rule.token_bound_cidrs.clone(),
            own_cidrs: Vec::new(),
            bound_host: rule.token_auto_bound_cidrs.map(|AutoBound::Host| source.to_canonical()),
            renewable: rule.token_renewable,
            metadata: BTreeMap::new(),
            jwt_audiences: Vec::new(),
            x509_svid: false,
            svid_ttl,
        }
    }

    /// A renewable token for a user, with the system's life, from anywhere.
    #[must_use]
    pub fn for_user(tenant: Name, user: impl Into<String>, policies: Vec<Name>) -> Self {
        Self {
            tenant,
            subject: Subject::User { name: user.into() },
            kind: TokenType::Service,
            policies,
            ttl: None,
            period: None,
            max_ttl: None,
            explicit_max_ttl: None,
            num_uses: None,
            bound_cidrs: Vec::new(),
            own_cidrs: Vec::new(),
            bound_host: None,
            renewable: true,
            metadata: BTreeMap::new(),
            jwt_audiences: Vec::new(),
            x509_svid: false,
            svid_ttl: None,
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        Lifetime { ttl: self.ttl, period: self.period, max_ttl: self.max_ttl, svid_ttl: self.svid_ttl }
    }
}

/// The policy `default`, unless it is left out, and each of the others once.
pub(crate) fn policies(named: &[Name], no_default: bool) -> Vec<Name> {
    let mut policies = Vec::with_capacity(named.len() + 1);
    if !no_default {
        policies.extend(DEFAULT_POLICY.parse());
    }
    for policy in named {
        if !policies.contains(policy) {
            policies.push(policy.clone());
        }
    }
    policies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{duration, name, role};

    fn of(json: &str) -> TokenParameters {
        TokenParameters::for_role(&role(json), "::ffff:192.0.2.1".parse().unwrap())
    }

    #[test]
    fn the_default_policy_comes_first_unless_left_out() {
        assert_eq!(of(r#"{"name":"a"}"#).policies, [name("default")]);
        assert_eq!(
            of(r#"{"name":"a","token-policies":["b","default","b","c"]}"#).policies,
            [name("default"), name("b"), name("c")]
        );
        assert_eq!(of(r#"{"name":"a","token-policies":["b"],"token-no-default-policy":true}"#).policies, [name("b")]);
    }

    #[test]
    fn bound_to_the_address_in_its_canonical_form() {
        assert_eq!(of(r#"{"name":"a"}"#).bound_host, None);
        assert_eq!(
            of(r#"{"name":"a","token-auto-bound-cidrs":"host"}"#).bound_host,
            Some("192.0.2.1".parse().unwrap())
        );
    }

    #[test]
    fn svids_bring_their_cap() {
        let plain = of(r#"{"name":"a"}"#);
        assert_eq!((plain.svid_ttl, plain.jwt_audiences.len(), plain.x509_svid), (None, 0, false));
        let svid = of(r#"{"name":"a","token-spiffe-jwt":{"jwt-audiences":["b"]}}"#);
        assert_eq!(svid.svid_ttl, Some(duration("1d")));
        assert_eq!(svid.jwt_audiences, ["b"]);
        assert!(!svid.x509_svid);
        let x509 = of(r#"{"name":"a","token-spiffe-x509":{"ttl":"10m"}}"#);
        assert_eq!((x509.svid_ttl, x509.x509_svid), (Some(duration("10m")), true));
        assert!(x509.jwt_audiences.is_empty());
    }

    #[test]
    fn subjects_have_a_short_name() {
        assert_eq!(of(r#"{"name":"a"}"#).subject.to_string(), "approle/a");
        let user = TokenParameters::for_user(name("default"), "joe@example.org", Vec::new());
        assert_eq!(user.subject.to_string(), "user/joe@example.org");
    }

    #[test]
    fn a_subject_has_its_variables_and_no_others() {
        let instance = Accessor::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
        let id = "spiffe://example.org/site/north".parse().unwrap();
        for (subject, expected) in [
            (Subject::Approle { name: name("pay"), instance }, "approle=pay"),
            (Subject::User { name: "joe/*".to_owned() }, "user=joe/*"),
            (
                Subject::Spiffe { name: name("in"), instance, id },
                "spiffe-id=spiffe://example.org/site/north spiffe-id.path[0]=site spiffe-id.path[1]=north spiffe-id.trust-domain=example.org",
            ),
        ] {
            let bindings = subject.bindings();
            let found: Vec<String> = bindings.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(found.join(" "), expected);
        }
    }
}
