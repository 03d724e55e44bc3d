//! What is stored of a secret-id.

use std::collections::BTreeMap;

use keyward_config_values::record::{self, Format};
use keyward_config_values::{Cidr, Name};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::{Duration as Span, OffsetDateTime};

use crate::{Accessor, Error, Role, StorageKey, instant};

const RECORD: &str = "secret-id";
/// 2 since there are ranges for the tokens of its logins, which a release that does not know them would leave out.
const FORMAT: u32 = 2;

/// How long an expired or used-up record is kept, so that the audit log can tell such an attempt from
/// one with a secret that never was.
const KEPT: Span = Span::hours(24);

/// What is stored of a secret-id, under the [`StorageKey`] of role-id and secret-id. It names its
/// tenant and role, so that a login looks up this one record. The secret itself is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecretIdRecord {
    format: Format<FORMAT>,
    key: StorageKey,
    accessor: Accessor,
    tenant: Name,
    role: Name,
    role_instance: Accessor,
    #[serde(with = "time::serde::rfc3339")]
    creation_time: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires: Option<OffsetDateTime>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    used_up: Option<OffsetDateTime>,
    uses_left: Option<u32>,
    bound_cidrs: Vec<Cidr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    token_bound_cidrs: Vec<Cidr>,
    metadata: BTreeMap<String, String>,
}

impl SecretIdRecord {
    #[expect(clippy::too_many_arguments, reason = "the one maker of the record")]
    pub(super) fn new(
        role: &Role,
        key: StorageKey,
        rng: &mut impl CryptoRng,
        creation_time: OffsetDateTime,
        expires: Option<OffsetDateTime>,
        uses_left: Option<u32>,
        (bound_cidrs, token_bound_cidrs): (Vec<Cidr>, Vec<Cidr>),
        metadata: BTreeMap<String, String>,
    ) -> Self {
        Self {
            format: Format,
            key,
            accessor: Accessor::generate(rng),
            tenant: role.tenant().clone(),
            role: role.name().clone(),
            role_instance: role.instance(),
            creation_time,
            expires,
            used_up: None,
            uses_left,
            bound_cidrs,
            token_bound_cidrs,
            metadata,
        }
    }

    /// The key that the record is stored under.
    #[must_use]
    pub fn key(&self) -> &StorageKey {
        &self.key
    }

    /// The name by which it is looked up and destroyed without knowing the secret.
    #[must_use]
    pub fn accessor(&self) -> Accessor {
        self.accessor
    }

    /// The tenant of its role.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// The name of its role.
    #[must_use]
    pub fn role(&self) -> &Name {
        &self.role
    }

    /// When it was made.
    #[must_use]
    pub fn creation_time(&self) -> OffsetDateTime {
        self.creation_time
    }

    /// When it stops working; `None` means never.
    #[must_use]
    pub fn expires(&self) -> Option<OffsetDateTime> {
        self.expires
    }

    /// How many logins are left; `None` means without limit.
    #[must_use]
    pub fn uses_left(&self) -> Option<u32> {
        self.uses_left
    }

    /// Ranges of its own that logins must come from.
    #[must_use]
    pub fn bound_cidrs(&self) -> &[Cidr] {
        &self.bound_cidrs
    }

    /// Ranges that the tokens of its logins can be used from.
    #[must_use]
    pub fn token_bound_cidrs(&self) -> &[Cidr] {
        &self.token_bound_cidrs
    }

    /// What its maker wanted to remember.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// When the record can be swept away: a day after it expired or lost its last use. `None` means
    /// never. Made to be a time-ordered key of the store; correctness does not wait for the sweep.
    #[must_use]
    pub fn remove_at(&self) -> Option<OffsetDateTime> {
        let ended = match (self.used_up, self.expires) {
            (Some(used_up), Some(expires)) => Some(used_up.min(expires)),
            (used_up, expires) => used_up.or(expires),
        };
        ended.map(|ended| instant::after_span(ended, KEPT))
    }

    /// Whether it was made for this very role, and not for an earlier one of the same name.
    #[must_use]
    pub fn belongs_to(&self, role: &Role) -> bool {
        self.tenant == *role.tenant() && self.role == *role.name() && self.role_instance == role.instance()
    }

    pub(crate) fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.uses_left == Some(0)
    }

    /// The record after one more login; `None` when logins are not counted.
    pub(crate) fn used_once(&self, now: OffsetDateTime) -> Option<Self> {
        let uses_left = self.uses_left?.saturating_sub(1);
        let used_up = (uses_left == 0).then_some(now);
        Some(Self { uses_left: Some(uses_left), used_up, ..self.clone() })
    }

    /// What a reader sees of it.
    #[must_use]
    pub fn state(&self) -> SecretIdState<'_> {
        SecretIdState {
            accessor: self.accessor,
            role: &self.role,
            creation_time: instant::text(self.creation_time),
            expires: self.expires.map(instant::text),
            uses_left: self.uses_left,
            bound_cidrs: &self.bound_cidrs,
            token_bound_cidrs: &self.token_bound_cidrs,
            metadata: &self.metadata,
        }
    }

    /// The record to be stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, self)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes)?)
    }
}

/// What a reader sees of a secret-id: everything but the secret.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SecretIdState<'a> {
    /// The name of the secret-id.
    pub accessor: Accessor,
    /// The role that it is for.
    pub role: &'a Name,
    /// When it was made (RFC 3339).
    pub creation_time: String,
    /// When it stops working (RFC 3339); `None` means never.
    pub expires: Option<String>,
    /// How many logins are left; `None` means without limit.
    pub uses_left: Option<u32>,
    /// Ranges of its own that logins must come from.
    pub bound_cidrs: &'a [Cidr],
    /// Ranges that the tokens of its logins can be used from.
    pub token_bound_cidrs: &'a [Cidr],
    /// What its maker wanted to remember.
    pub metadata: &'a BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretIdRequest;
    use crate::testing::{at, pepper, rng, role};

    fn record(request: &str) -> SecretIdRecord {
        let request: SecretIdRequest = serde_json::from_str(request).unwrap();
        SecretIdRecord::issue(&role(r#"{"name":"a"}"#), request, &pepper(), &mut rng(1), at(0)).unwrap().1
    }

    #[test]
    fn uses_count_down_and_the_record_stays_a_day_to_be_told_apart() {
        assert_eq!(record("{}").used_once(at(1)), None);
        assert_eq!(record("{}").remove_at(), None);
        let two = record(r#"{"num-uses":2}"#);
        let one = two.used_once(at(1)).unwrap();
        assert_eq!((one.uses_left(), one.is_used_up(), one.remove_at()), (Some(1), false, None));
        let none = one.used_once(at(2)).unwrap();
        assert_eq!((none.uses_left(), none.is_used_up()), (Some(0), true));
        assert_eq!(none.remove_at(), Some(at(2 + 86_400)));
        assert_eq!(none.used_once(at(3)).unwrap().uses_left(), Some(0));
        assert_eq!(record(r#"{"ttl":"1h"}"#).remove_at(), Some(at(3600 + 86_400)));
        let both = record(r#"{"ttl":"1h","num-uses":1}"#);
        assert_eq!(both.used_once(at(5)).unwrap().remove_at(), Some(at(5 + 86_400)));
    }

    #[test]
    fn stored_and_read_again() {
        let record = record(r#"{"ttl":"1h","num-uses":2,"bound-cidrs":["10.0.0.0/8"],"metadata":{"pod":"p1"}}"#);
        assert_eq!(SecretIdRecord::decode(&record.encode().unwrap()).unwrap(), record);
        assert_eq!(
            SecretIdRecord::decode(br#"{"format":9}"#).unwrap_err().to_string(),
            "the stored secret-id has format 9, this release knows formats up to 2"
        );
    }

    #[test]
    fn the_state_has_no_secret_and_no_key() {
        let record = record(r#"{"ttl":"1h","num-uses":2}"#);
        assert_eq!(
            serde_json::to_value(record.state()).unwrap(),
            serde_json::json!({
                "accessor": record.accessor(),
                "role": "a",
                "creation-time": "2027-01-15T08:00:00.000Z",
                "expires": "2027-01-15T09:00:00.000Z",
                "uses-left": 2,
                "bound-cidrs": [],
                "token-bound-cidrs": [],
                "metadata": {},
            })
        );
    }
}
