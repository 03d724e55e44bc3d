//! What a role document must satisfy beyond the types of its fields.

use std::collections::BTreeSet;

use keyward_config_values::{Cidr, Duration, Name};

use super::{MAX_SVID_TTL, RoleConfig};
use crate::error::{FieldError, Invalid, Limit, Problem};
use crate::secret_id::MIN_SECRET_BITS;
use crate::token::{MAX_LISTS, TokenType, lists_length};

/// The most audiences of one SVID.
const MAX_AUDIENCES: usize = 32;
/// The longest audience in bytes.
const MAX_AUDIENCE_LENGTH: usize = 1024;

impl RoleConfig {
    /// Checks the fields against each other and against what this release can do.
    ///
    /// # Errors
    ///
    /// All problems found, in the order of the document.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        let mut add = |field: &str, problem| problems.push(FieldError::new(field, problem));

        if self.weak_secret_id {
            if let Some(problem) = self.fixed_role_id.as_ref().and_then(|id| too_short(id.bits())) {
                add("fixed-role-id", problem);
            }
            if self.secret_id_num_uses > 0 {
                add("secret-id-num-uses", Problem::Excludes { other: "weak-secret-id" });
            }
            if self.secret_id_ttl.is_some() {
                add("secret-id-ttl", Problem::Excludes { other: "weak-secret-id" });
            }
        }
        for (field, problem) in
            contradictions(self.token_ttl, self.token_period, self.token_max_ttl, self.token_explicit_max_ttl)
        {
            add(field, problem);
        }
        for (field, problem) in batch(
            self.kind_of_tokens(),
            self.token_period,
            self.token_num_uses,
            &self.token_policies,
            &self.token_bound_cidrs,
        ) {
            add(field, problem);
        }
        if let Some(problem) = self.token_spiffe_jwt.as_ref().and_then(|jwt| audiences(&jwt.jwt_audiences)) {
            add("token-spiffe-jwt.jwt-audiences", problem);
        }
        for (field, ttl) in [
            ("token-spiffe-jwt.ttl", self.token_spiffe_jwt.as_ref().and_then(|jwt| jwt.ttl)),
            ("token-spiffe-x509.ttl", self.token_spiffe_x509.as_ref().and_then(|x509| x509.ttl)),
        ] {
            if let Some(problem) = longer(ttl, Some(MAX_SVID_TTL), Limit::Fixed("the longest life of an SVID")) {
                add(field, problem);
            }
        }
        Invalid::check(problems)
    }
}

/// What is wrong with the durations of tokens against each other, and in which field.
pub(crate) fn contradictions(
    ttl: Option<Duration>,
    period: Option<Duration>,
    max_ttl: Option<Duration>,
    explicit_max_ttl: Option<Duration>,
) -> Vec<(&'static str, Problem)> {
    let ends = [("token-max-ttl", max_ttl), ("token-explicit-max-ttl", explicit_max_ttl)];
    let of_ttl = ends.into_iter().chain([("token-period", period)]).map(|end| ("token-ttl", ttl, end));
    let of_period = ends.into_iter().map(|end| ("token-period", period, end));
    of_ttl
        .chain(of_period)
        .filter_map(|(field, value, (other, limit))| Some((field, longer(value, limit, Limit::Field(other))?)))
        .collect()
}

/// What batch tokens cannot be, and in which field.
pub(crate) fn batch(
    kind: TokenType,
    period: Option<Duration>,
    num_uses: u32,
    policies: &[Name],
    cidrs: &[Cidr],
) -> Vec<(&'static str, Problem)> {
    if kind != TokenType::Batch {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let other = "token-type: batch";
    if num_uses > 0 {
        problems.push(("token-num-uses", Problem::Excludes { other }));
    }
    if period.is_some() {
        problems.push(("token-period", Problem::Excludes { other }));
    }
    let found = lists_length(policies, cidrs);
    if found > MAX_LISTS {
        problems.push(("token-type", Problem::TooMuchForBatch { found, maximum: MAX_LISTS }));
    }
    problems
}

/// The problem of a value that serves as a secret and is too short for one.
pub(super) fn too_short(bits: usize) -> Option<Problem> {
    (bits < MIN_SECRET_BITS).then_some(Problem::TooShort { bits, minimum: MIN_SECRET_BITS })
}

/// The problem of a duration that is longer than its limit; what is not set is no problem.
pub(crate) fn longer(value: Option<Duration>, limit: Option<Duration>, of: Limit) -> Option<Problem> {
    let (value, limit) = (value?, limit?);
    (value > limit).then_some(Problem::LongerThan { value, limit, of })
}

fn audiences(audiences: &[String]) -> Option<Problem> {
    if audiences.is_empty() || audiences.len() > MAX_AUDIENCES {
        let found = audiences.len();
        return Some(Problem::Entries { found, minimum: 1, maximum: MAX_AUDIENCES });
    }
    let mut seen = BTreeSet::new();
    for audience in audiences {
        if audience.is_empty() || audience.len() > MAX_AUDIENCE_LENGTH || audience.chars().any(char::is_control) {
            return Some(Problem::Text { maximum: MAX_AUDIENCE_LENGTH });
        }
        if !seen.insert(audience) {
            return Some(Problem::Twice { entry: audience.clone() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_config_values::ErrorKind;

    fn errors(json: &str) -> String {
        let role: RoleConfig = serde_json::from_str(json).unwrap();
        match role.validate() {
            Ok(()) => String::new(),
            Err(invalid) => {
                assert_eq!(invalid.kind(), ErrorKind::Malformed);
                invalid.to_string()
            }
        }
    }

    #[test]
    fn the_document_of_the_aws_federation_is_valid() {
        let document = r#"{
            "name": "payments",
            "token-no-default-policy": false,
            "token-renewable": true,
            "token-period": "1d",
            "token-spiffe-jwt": { "jwt-audiences": ["sts.amazonaws.com"] },
            "distribute": { "deployments": ["payments"] }
        }"#;
        assert_eq!(errors(document), "");
    }

    #[test]
    fn durations_against_each_other() {
        assert_eq!(errors(r#"{"name":"a","token-ttl":"1d","token-max-ttl":"1d"}"#), "");
        assert_eq!(
            errors(r#"{"name":"a","token-ttl":"2d","token-max-ttl":"1d"}"#),
            "`token-ttl` is `2d`, longer than `token-max-ttl` (`1d`)"
        );
        assert_eq!(
            errors(r#"{"name":"a","token-ttl":"2d","token-explicit-max-ttl":"1d"}"#),
            "`token-ttl` is `2d`, longer than `token-explicit-max-ttl` (`1d`)"
        );
        assert_eq!(
            errors(r#"{"name":"a","token-ttl":"2d","token-period":"1d"}"#),
            "`token-ttl` is `2d`, longer than `token-period` (`1d`)"
        );
        assert_eq!(
            errors(r#"{"name":"a","token-period":"2d","token-max-ttl":"1d"}"#),
            "`token-period` is `2d`, longer than `token-max-ttl` (`1d`)"
        );
        assert_eq!(
            errors(r#"{"name":"a","token-period":"2d","token-explicit-max-ttl":"1d"}"#),
            "`token-period` is `2d`, longer than `token-explicit-max-ttl` (`1d`)"
        );
    }

    #[test]
    fn svids() {
        let with = |audiences: &str, ttl: &str| {
            errors(&format!(r#"{{"name":"a","token-spiffe-jwt":{{"jwt-audiences":{audiences}{ttl}}}}}"#))
        };
        assert_eq!(with(r#"["a","b"]"#, r#","ttl":"24h""#), "");
        assert_eq!(
            with(r#"["a"]"#, r#","ttl":"25h""#),
            "`token-spiffe-jwt.ttl` is `1d1h`, longer than the longest life of an SVID (`1d`)"
        );
        assert_eq!(with("[]", ""), "`token-spiffe-jwt.jwt-audiences` has 0 entries, 1 to 32 are allowed");
        let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        assert_eq!(
            with(&serde_json::to_string(&many).unwrap(), ""),
            "`token-spiffe-jwt.jwt-audiences` has 33 entries, 1 to 32 are allowed"
        );
        assert_eq!(with(&serde_json::to_string(&many[..32]).unwrap(), ""), "");
        for text in [r#"[""]"#.to_owned(), r#"["a\u0000"]"#.to_owned(), format!("[\"{}\"]", "a".repeat(1025))] {
            assert_eq!(
                with(&text, ""),
                "`token-spiffe-jwt.jwt-audiences` must be 1 to 1024 bytes without control characters"
            );
        }
        assert_eq!(with(r#"["a","a"]"#, ""), "`token-spiffe-jwt.jwt-audiences` names `a` twice");

        let x509 = |ttl: &str| errors(&format!(r#"{{"name":"a","token-spiffe-x509":{{{ttl}}}}}"#));
        assert_eq!(x509(""), "");
        assert_eq!(x509(r#""ttl":"24h""#), "");
        assert_eq!(
            x509(r#""ttl":"25h""#),
            "`token-spiffe-x509.ttl` is `1d1h`, longer than the longest life of an SVID (`1d`)"
        );
    }

    #[test]
    fn what_belongs_to_a_later_release_is_refused_not_ignored() {
        assert_eq!(errors(r#"{"name":"a","token-type":"batch","token-ttl":"5m"}"#), "");
        assert_eq!(errors(r#"{"name":"a","token-type":"default","token-num-uses":2}"#), "");
        assert_eq!(
            errors(r#"{"name":"a","token-type":"batch","token-num-uses":2,"token-period":"1h"}"#),
            "`token-num-uses` cannot be set together with `token-type: batch`; \
             `token-period` cannot be set together with `token-type: batch`"
        );
        let many: Vec<String> = (0..100).map(|n| format!("a-policy-with-a-name-{n}")).collect();
        let many = serde_json::json!({"name": "a", "token-type": "batch", "token-policies": many}).to_string();
        assert_eq!(
            errors(&many),
            "`token-type` would put 2590 bytes of policies, ranges and metadata into each token, at most 2048 are allowed"
        );
    }

    #[test]
    fn a_role_id_that_is_the_secret_too() {
        assert_eq!(errors(r#"{"name":"a","weak-secret-id":true}"#), "");
        assert_eq!(errors(r#"{"name":"a","weak-secret-id":true,"fixed-role-id":"0123456789abcdef"}"#), "");
        assert_eq!(errors(r#"{"name":"a","fixed-role-id":"short"}"#), "");
        assert_eq!(
            errors(
                r#"{"name":"a","weak-secret-id":true,"fixed-role-id":"short",
                    "secret-id-num-uses":1,"secret-id-ttl":"1d"}"#
            ),
            "`fixed-role-id` has 40 bits, at least 128 are needed where it serves as the secret; \
             `secret-id-num-uses` cannot be set together with `weak-secret-id`; \
             `secret-id-ttl` cannot be set together with `weak-secret-id`"
        );
    }
}
