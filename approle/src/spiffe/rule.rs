//! One rule of a login by SVID: a pattern, and the tokens of the identities that match it.

use std::collections::BTreeSet;

use keyward_config_values::{Cidr, Duration, Name};
use keyward_spiffe_id::{Pattern, TrustDomain};
use serde::{Deserialize, Serialize};

use crate::error::{FieldError, Invalid, Limit, Problem};
use crate::role::{AutoBound, batch, contradictions, longer};
use crate::token::{Lifetime, TokenType};

/// The name of the list of rules in the document that has them.
const LIST: &str = "spiffe-id-patterns";

/// A pattern of SPIFFE IDs, and the tokens that a login with a matching SVID gives. The fields of the
/// tokens are those of an AppRole ([`crate::RoleConfig`]) and mean the same, but for the end of a
/// token.
///
/// Whoever issues the SVIDs may withdraw an identity at any time, and says so by issuing no further
/// SVID. A refresh of a token shows none. So `token-explicit-max-ttl` is 1 day where nothing is said, the
/// longest life of an SVID here: an identity that was withdrawn is out at the latest so long after its
/// last login. The life of a token does not depend on what is left of the SVID, as with other programs
/// of this kind: a JWT-SVID lives for minutes, to be shown once.
///
/// ```
/// use keyward_approle::SpiffeRule;
///
/// let rule: SpiffeRule = serde_json::from_str(
///     r#"{"pattern": "spiffe://peer.example/shop/*", "token-policies": ["orders"], "token-ttl": "30m"}"#,
/// )?;
/// SpiffeRule::validate_all(&[rule.clone()], &"peer.example".parse()?)?;
/// let error = SpiffeRule::validate_all(&[rule], &"other.example".parse()?).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`spiffe-id-patterns[0].pattern` is of the trust domain `peer.example`, the document is for `other.example`"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SpiffeRule {
    /// Which SPIFFE IDs: one, or many by `*` (one segment) and `**` (the rest).
    pub pattern: Pattern,
    /// Policies of the tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_policies: Vec<Name>,
    /// Leaves the built-in policy `default` out.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub token_no_default_policy: bool,
    /// Life of a token from its login or refresh. Without it `token-period`, and without that the system's
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ttl: Option<Duration>,
    /// The longest life that one login or refresh may give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_max_ttl: Option<Duration>,
    /// The end of a token counted from its login, which no refresh moves; 1 day where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_explicit_max_ttl: Option<Duration>,
    /// Makes tokens periodic: each refresh gives at most this much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_period: Option<Duration>,
    /// How often a token can be used; 0 means without limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub token_num_uses: u32,
    /// Logins come from these ranges, and tokens are used from them, only; empty means anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_bound_cidrs: Vec<Cidr>,
    /// Binds a token to the address that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_auto_bound_cidrs: Option<AutoBound>,
    /// Type of the tokens.
    #[serde(default)]
    pub token_type: TokenType,
    /// Whether tokens can be refreshed; they can by default.
    #[serde(default = "yes")]
    pub token_renewable: bool,
}

impl SpiffeRule {
    /// The policies of its tokens, `default` among them unless it is left out.
    #[must_use]
    pub fn policies(&self) -> Vec<Name> {
        crate::token::policies(&self.token_policies, self.token_no_default_policy)
    }

    /// A rule with nothing but its pattern: tokens with the policy `default`, the system's default life,
    /// and an end after a day.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            token_policies: Vec::new(),
            token_no_default_policy: false,
            token_ttl: None,
            token_max_ttl: None,
            token_explicit_max_ttl: None,
            token_period: None,
            token_num_uses: 0,
            token_bound_cidrs: Vec::new(),
            token_auto_bound_cidrs: None,
            token_type: TokenType::default(),
            token_renewable: true,
        }
    }

    /// Checks the rules of one document, which is for the SVIDs of one trust domain. No rules are no
    /// problem: they let nobody in.
    ///
    /// # Errors
    ///
    /// All problems found, in the order of the document, each under its place in `spiffe-id-patterns`.
    pub fn validate_all(rules: &[Self], trust_domain: &TrustDomain) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        let mut patterns = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let mut add = |field: &str, problem| {
                problems.push(FieldError::new(format!("{LIST}[{index}].{field}"), problem));
            };
            if rule.pattern.trust_domain() != trust_domain.borrowed() {
                add(
                    "pattern",
                    Problem::TrustDomain {
                        found: rule.pattern.trust_domain().as_str().to_owned(),
                        expected: trust_domain.as_str().to_owned(),
                    },
                );
            }
            if !patterns.insert(rule.pattern.as_str()) {
                add("pattern", Problem::Again { entry: rule.pattern.as_str().to_owned() });
            }
            for (field, problem) in
                contradictions(rule.token_ttl, rule.token_period, rule.token_max_ttl, rule.token_explicit_max_ttl)
            {
                add(field, problem);
            }
            if rule.token_explicit_max_ttl.is_none() {
                let limit = Limit::Fixed("`token-explicit-max-ttl` where it is not set");
                for (field, value) in [("token-ttl", rule.token_ttl), ("token-period", rule.token_period)] {
                    if let Some(problem) = longer(value, Some(rule.explicit_max_ttl()), limit) {
                        add(field, problem);
                    }
                }
            }
            let lists = (&rule.token_policies, &rule.token_bound_cidrs);
            for (field, problem) in batch(rule.token_type, rule.token_period, rule.token_num_uses, lists.0, lists.1) {
                add(field, problem);
            }
        }
        Invalid::check(problems)
    }

    /// The end of a token counted from its login.
    pub(crate) fn explicit_max_ttl(&self) -> Duration {
        self.token_explicit_max_ttl.unwrap_or(Duration::DAY)
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime { ttl: self.token_ttl, period: self.token_period, max_ttl: self.token_max_ttl, svid_ttl: None }
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> SpiffeRule {
        serde_json::from_str(json).unwrap()
    }

    fn errors(rules: &[&str]) -> String {
        let rules: Vec<SpiffeRule> = rules.iter().map(|json| rule(json)).collect();
        let result = SpiffeRule::validate_all(&rules, &"td.example".parse().unwrap());
        result.err().map(|invalid| invalid.to_string()).unwrap_or_default()
    }

    #[test]
    fn every_field_goes_through_serde_both_ways() {
        let json = r#"{
            "pattern": "spiffe://td.example/a/**",
            "token-policies": ["reader"],
            "token-no-default-policy": true,
            "token-ttl": "1h",
            "token-max-ttl": "2h",
            "token-explicit-max-ttl": "30d",
            "token-period": "1h",
            "token-num-uses": 9,
            "token-bound-cidrs": ["192.0.2.0/24"],
            "token-auto-bound-cidrs": "host",
            "token-type": "service",
            "token-renewable": false
        }"#;
        let written = serde_json::to_value(rule(json)).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(json).unwrap());
        let least = r#"{"pattern":"spiffe://td.example/a"}"#;
        assert_eq!(rule(least), SpiffeRule::new("spiffe://td.example/a".parse().unwrap()));
        assert!(serde_json::from_str::<SpiffeRule>(r#"{"pattern":"spiffe://*/a"}"#).is_err());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(errors(&[]), "");
        assert_eq!(errors(&[r#"{"pattern":"spiffe://td.example/a"}"#, r#"{"pattern":"spiffe://td.example/*"}"#]), "");
        assert_eq!(
            errors(&[r#"{"pattern":"spiffe://td.example/a"}"#, r#"{"pattern":"spiffe://td.example/a"}"#]),
            "`spiffe-id-patterns[1].pattern` is `spiffe://td.example/a`, as an earlier one is"
        );
        assert_eq!(
            errors(&[r#"{"pattern":"spiffe://td.example/a","token-ttl":"2h","token-max-ttl":"1h"}"#]),
            "`spiffe-id-patterns[0].token-ttl` is `2h`, longer than `token-max-ttl` (`1h`)"
        );
        assert_eq!(errors(&[r#"{"pattern":"spiffe://td.example/a","token-ttl":"1d"}"#]), "");
        assert_eq!(
            errors(&[r#"{"pattern":"spiffe://td.example/a","token-ttl":"2d"}"#]),
            "`spiffe-id-patterns[0].token-ttl` is `2d`, longer than `token-explicit-max-ttl` where it is not set (`1d`)"
        );
        assert_eq!(
            errors(&[r#"{"pattern":"spiffe://td.example/a","token-ttl":"2d","token-explicit-max-ttl":"3d"}"#]),
            ""
        );
        assert_eq!(
            errors(&[r#"{"pattern":"spiffe://td.example/a","token-type":"batch","token-num-uses":1}"#]),
            "`spiffe-id-patterns[0].token-num-uses` cannot be set together with `token-type: batch`"
        );
    }
}
