//! Making a secret-id for a role.

use core::fmt;
use std::collections::BTreeMap;

use keyward_config_values::{Cidr, Duration};
use rand_core::CryptoRng;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;

use super::{SecretId, SecretIdRecord};
use crate::error::{FieldError, Invalid, Limit, Problem};
use crate::role::longer;
use crate::token::{MAX_METADATA, TokenType};
use crate::{Pepper, Role, address, instant, metadata};

/// The most ranges of one secret-id, and of its tokens: all of those fit into a batch token.
const MAX_CIDRS: usize = 64;
const MAX_TOKEN_CIDRS: usize = 32;

/// What a caller may ask of a new secret-id. Everything has the role's value by default, and nothing
/// can be wider than the role. A field that is not known is refused: a limit that is misspelt must not be
/// left out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SecretIdRequest {
    /// Life; at most the role's `secret-id-ttl`.
    #[serde(default)]
    pub ttl: Option<Duration>,
    /// Number of logins, 0 meaning without limit; at most the role's `secret-id-num-uses`.
    #[serde(default)]
    pub num_uses: Option<u32>,
    /// Ranges that logins must come from, beside the role's `secret-id-bound-cidrs`.
    #[serde(default)]
    pub bound_cidrs: Vec<Cidr>,
    /// Ranges that the tokens of its logins can be used from, inside the role's `token-bound-cidrs` and beside them.
    #[serde(default)]
    pub token_bound_cidrs: Vec<Cidr>,
    /// What the caller wants to remember with it; no secrets. The tokens of its logins carry it, and policies can name it as
    /// `${metadata.<key>}`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// A value of the caller's own instead of a generated one.
    #[serde(default)]
    pub secret_id: Option<SecretId>,
}

impl SecretIdRequest {
    fn check(&self, role: &Role) -> Result<(), Invalid> {
        let config = role.config();
        let mut problems = Vec::new();
        let mut add = |field: &str, problem| problems.push(FieldError::new(field, problem));
        if let Some(problem) = longer(self.ttl, config.secret_id_ttl, Limit::Role("secret-id-ttl")) {
            add("ttl", problem);
        }
        let limit = config.secret_id_num_uses;
        if let Some(value) = self.num_uses
            && limit > 0
            && (value == 0 || value > limit)
        {
            add("num-uses", Problem::MoreUses { value, limit });
        }
        if self.bound_cidrs.len() > MAX_CIDRS {
            let found = self.bound_cidrs.len();
            add("bound-cidrs", Problem::Entries { found, minimum: 0, maximum: MAX_CIDRS });
        }
        if self.token_bound_cidrs.len() > MAX_TOKEN_CIDRS {
            let found = self.token_bound_cidrs.len();
            add("token-bound-cidrs", Problem::Entries { found, minimum: 0, maximum: MAX_TOKEN_CIDRS });
        }
        let outside = |range: &&Cidr| !address::inside(&config.secret_id_bound_cidrs, range);
        if let Some(range) = self.bound_cidrs.iter().find(outside) {
            add("bound-cidrs", Problem::Outside { range: *range, of: Limit::Role("secret-id-bound-cidrs") });
        }
        let outside = |range: &&Cidr| !address::inside(&config.token_bound_cidrs, range);
        if let Some(range) = self.token_bound_cidrs.iter().find(outside) {
            add("token-bound-cidrs", Problem::Outside { range: *range, of: Limit::Role("token-bound-cidrs") });
        }
        problems.extend(metadata::check("metadata", &self.metadata));
        if config.kind_of_tokens() == TokenType::Batch {
            let found = metadata::length(&self.metadata);
            if found > MAX_METADATA {
                problems.push(FieldError::new("metadata", Problem::TooMuchForBatch { found, maximum: MAX_METADATA }));
            }
        }
        Invalid::check(problems)
    }
}

impl SecretIdRecord {
    /// Makes a secret-id for `role`: the secret to hand over, and the record to store under its key.
    ///
    /// The store must refuse a key that exists already, which only a supplied secret can have.
    ///
    /// # Errors
    ///
    /// What is wider than the role allows.
    pub fn issue(
        role: &Role,
        request: SecretIdRequest,
        pepper: &Pepper,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<(SecretId, Self), Invalid> {
        request.check(role)?;
        let config = role.config();
        let secret_id = request.secret_id.unwrap_or_else(|| SecretId::generate(rng));
        let uses = request.num_uses.unwrap_or(config.secret_id_num_uses);
        let ttl = request.ttl.or(config.secret_id_ttl);
        let record = Self::new(
            role,
            pepper.secret_id_key(Some(role.role_id()), secret_id.expose()),
            rng,
            now,
            ttl.map(|ttl| instant::after(now, ttl)),
            (uses > 0).then_some(uses),
            (request.bound_cidrs, request.token_bound_cidrs),
            request.metadata,
        );
        Ok((secret_id, record))
    }
}

/// The answer to a request for a secret-id: `secret-id`, `accessor`, `expires`. The only value of
/// this module that writes the secret out.
pub struct SecretIdIssued<'a> {
    secret_id: &'a SecretId,
    record: &'a SecretIdRecord,
}

impl<'a> SecretIdIssued<'a> {
    /// The answer for a secret-id and its record.
    #[must_use]
    pub fn new(secret_id: &'a SecretId, record: &'a SecretIdRecord) -> Self {
        Self { secret_id, record }
    }
}

impl Serialize for SecretIdIssued<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_struct("SecretIdIssued", 3)?;
        answer.serialize_field("secret-id", self.secret_id.expose())?;
        answer.serialize_field("accessor", &self.record.accessor())?;
        answer.serialize_field("expires", &self.record.expires().map(instant::text))?;
        answer.end()
    }
}

impl fmt::Debug for SecretIdIssued<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretIdIssued").field("accessor", &self.record.accessor()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, pepper, rng, role};

    fn request(json: &str) -> SecretIdRequest {
        serde_json::from_str(json).unwrap()
    }

    fn issue(role_json: &str, request_json: &str) -> Result<(SecretId, SecretIdRecord), Invalid> {
        SecretIdRecord::issue(&role(role_json), request(request_json), &pepper(), &mut rng(1), at(0))
    }

    #[test]
    fn the_role_gives_the_defaults() {
        let limited = r#"{"name":"a","secret-id-ttl":"1h","secret-id-num-uses":3}"#;
        let (_, record) = issue(limited, "{}").unwrap();
        assert_eq!(record.expires(), Some(at(3600)));
        assert_eq!(record.uses_left(), Some(3));

        let (_, record) = issue(limited, r#"{"ttl":"1m","num-uses":1}"#).unwrap();
        assert_eq!(record.expires(), Some(at(60)));
        assert_eq!(record.uses_left(), Some(1));

        let (_, record) = issue(r#"{"name":"a"}"#, "{}").unwrap();
        assert_eq!(record.expires(), None);
        assert_eq!(record.uses_left(), None);

        let (_, record) = issue(r#"{"name":"a"}"#, r#"{"ttl":"90d","num-uses":0}"#).unwrap();
        assert_eq!(record.expires(), Some(at(90 * 86_400)));
        assert_eq!(record.uses_left(), None);
    }

    #[test]
    fn a_misspelt_limit_is_refused() {
        let error = serde_json::from_str::<SecretIdRequest>(r#"{"num_uses":1}"#).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `num_uses`, expected one of `ttl`, `num-uses`"), "{error}");
    }

    #[test]
    fn nothing_can_be_wider_than_the_role() {
        let limited = r#"{"name":"a","secret-id-ttl":"1h","secret-id-num-uses":3}"#;
        assert_eq!(
            issue(limited, r#"{"ttl":"2h","num-uses":0}"#).unwrap_err().to_string(),
            "`ttl` is `2h`, longer than the role's `secret-id-ttl` (`1h`); \
             `num-uses` is 0, the role allows at most 3"
        );
        assert_eq!(
            issue(limited, r#"{"num-uses":4}"#).unwrap_err().to_string(),
            "`num-uses` is 4, the role allows at most 3"
        );
        assert_eq!(
            issue(limited, r#"{"metadata":{"a":"b\n"}}"#).unwrap_err().to_string(),
            "`metadata` must be 1 to 512 bytes without control characters"
        );
        let many: BTreeMap<String, String> = (0..65).map(|n| (n.to_string(), "x".to_owned())).collect();
        let many = serde_json::json!({
            "metadata": many,
            "bound-cidrs": vec!["10.0.0.0/8"; 65],
        });
        assert_eq!(
            issue(limited, &many.to_string()).unwrap_err().to_string(),
            "`bound-cidrs` has 65 entries, 0 to 64 are allowed; \
             `metadata` has 65 entries, 0 to 64 are allowed"
        );
    }

    #[test]
    fn the_answer_has_the_secret_and_debug_has_not() {
        let (secret, record) = issue(r#"{"name":"a","secret-id-ttl":"1h"}"#, "{}").unwrap();
        let answer = SecretIdIssued::new(&secret, &record);
        assert_eq!(
            serde_json::to_value(&answer).unwrap(),
            serde_json::json!({
                "secret-id": secret.expose(),
                "accessor": record.accessor(),
                "expires": "2027-01-15T09:00:00.000Z",
            })
        );
        assert!(!format!("{answer:?}").contains(secret.expose()));
        let (secret, record) = issue(r#"{"name":"a"}"#, "{}").unwrap();
        let answer = serde_json::to_value(SecretIdIssued::new(&secret, &record)).unwrap();
        assert!(answer["expires"].is_null());
    }

    #[test]
    fn a_supplied_secret_is_taken_and_a_weak_one_refused_at_the_door() {
        let supplied = r#"{"secret-id":"correct horse battery"}"#;
        let (secret, record) = issue(r#"{"name":"a"}"#, supplied).unwrap();
        assert_eq!(secret.expose(), "correct horse battery");
        assert!(!String::from_utf8(record.encode().unwrap()).unwrap().contains("horse"));
        let weak = serde_json::from_str::<SecretIdRequest>(r#"{"secret-id":"horse"}"#).unwrap_err();
        assert!(weak.to_string().starts_with("a supplied secret-id has 40 bits"));
        assert!(!weak.to_string().contains("horse"));
    }
}
