//! What is stored of a token.

use std::collections::BTreeMap;
use std::net::IpAddr;

use keyward_config_values::record::{self, Format};
use keyward_config_values::{Cidr, Name};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{JwtSvidGrant, Lifetime, Subject, TokenType, X509SvidGrant};
use crate::{Accessor, Error, StorageKey};

mod make;

const RECORD: &str = "token";
/// 2 since there are tokens made from tokens: a release that does not look at their ancestors must not read them. 3 since they
/// carry metadata and ranges of a secret-id, which one that does not know them would lose with the next use.
const FORMAT: u32 = 3;

/// What is stored of a token, under its [`StorageKey`]. The token itself is not in it. To revoke a
/// token is to delete its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TokenRecord {
    format: Format<FORMAT>,
    key: StorageKey,
    accessor: Accessor,
    #[serde(rename = "type")]
    kind: TokenType,
    tenant: Name,
    subject: Subject,
    policies: Vec<Name>,
    #[serde(with = "time::serde::rfc3339")]
    creation_time: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    renewal_time: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option")]
    explicit_end: Option<OffsetDateTime>,
    lifetime: Lifetime,
    uses_left: Option<u32>,
    bound_cidrs: Vec<Cidr>,
    bound_host: Option<IpAddr>,
    renewable: bool,
    jwt_audiences: Vec<String>,
    /// Absent in records from before there were X.509-SVIDs.
    #[serde(default)]
    x509_svid: bool,
    /// Made from another token, and not by a login.
    #[serde(default, skip_serializing_if = "is_false")]
    made: bool,
    /// The keys of the tokens that it ends with, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ancestors: Vec<StorageKey>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    /// Those of the secret-id, which no refresh changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    own_cidrs: Vec<Cidr>,
    #[serde(default, skip_serializing_if = "Said::is_empty")]
    said: Said,
}

/// What the maker of a token said of it, which proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) notes: BTreeMap<String, String>,
}

impl Said {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.notes.is_empty()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl TokenRecord {
    /// The key that the record is stored under.
    #[must_use]
    pub fn key(&self) -> &StorageKey {
        &self.key
    }

    /// The name by which it is looked up and revoked without knowing the token.
    #[must_use]
    pub fn accessor(&self) -> Accessor {
        self.accessor
    }

    /// The type of the token.
    #[must_use]
    pub fn kind(&self) -> TokenType {
        self.kind
    }

    /// The tenant that it belongs to.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// Who it was issued to.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Names of its policies.
    #[must_use]
    pub fn policies(&self) -> &[Name] {
        &self.policies
    }

    /// When it was issued.
    #[must_use]
    pub fn creation_time(&self) -> OffsetDateTime {
        self.creation_time
    }

    /// When it was last refreshed; at first its creation.
    #[must_use]
    pub fn renewal_time(&self) -> OffsetDateTime {
        self.renewal_time
    }

    /// When it stops working. Its record can be swept away then: made to be a time-ordered key of
    /// the store.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// The moment that no refresh goes beyond.
    #[must_use]
    pub fn explicit_end(&self) -> Option<OffsetDateTime> {
        self.explicit_end
    }

    /// What makes it periodic.
    #[must_use]
    pub fn period(&self) -> Option<keyward_config_values::Duration> {
        self.lifetime.period
    }

    /// How many uses are left; `None` means without limit.
    #[must_use]
    pub fn uses_left(&self) -> Option<u32> {
        self.uses_left
    }

    /// The ranges that it can be used from; empty means anywhere.
    #[must_use]
    pub fn bound_cidrs(&self) -> &[Cidr] {
        &self.bound_cidrs
    }

    /// Ranges of the secret-id that it was logged in with, beside [`Self::bound_cidrs`]; empty means none.
    #[must_use]
    pub fn own_cidrs(&self) -> &[Cidr] {
        &self.own_cidrs
    }

    /// What is proven of whoever has it: the metadata of the secret-id that it was logged in with, which policies name as
    /// `${metadata.<key>}`. A token that was made from another has that one's, so that nobody can give themselves another
    /// value; an administrator, who may do everything anyway, gives what it likes.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// What the maker of a token that was made from another noted with it. It proves nothing.
    #[must_use]
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.said.notes
    }

    /// The name that its maker gave it.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.said.name.as_deref()
    }

    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// The one address that it can be used from.
    #[must_use]
    pub fn bound_host(&self) -> Option<IpAddr> {
        self.bound_host
    }

    /// Whether it can be refreshed.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// The keys of the tokens that it was made from and ends with, the nearest first; none for a token
    /// of a login and for an orphan. They are to be handed to [`crate::check_child`].
    #[must_use]
    pub fn ancestors(&self) -> &[StorageKey] {
        &self.ancestors
    }

    /// Whether it stands on its own: no other token ends it.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.ancestors.is_empty()
    }

    /// Whether it was made from another token, and not by a login. A refresh leaves it what it was made
    /// with.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.made
    }

    /// The JWT-SVID that is to come with a login or refresh that left this record; `None` where none
    /// does.
    #[must_use]
    pub fn jwt_svid(&self) -> Option<JwtSvidGrant<'_>> {
        (!self.jwt_audiences.is_empty())
            .then_some(JwtSvidGrant { audiences: &self.jwt_audiences, expires: self.expires })
    }

    /// The X.509-SVID that is to come with a login or refresh that left this record; `None` where
    /// none does.
    #[must_use]
    pub fn x509_svid(&self) -> Option<X509SvidGrant> {
        self.x509_svid.then_some(X509SvidGrant { expires: self.expires })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::testing::{at, name, pepper, rng, role};
    use crate::token::{Token, TokenParameters};

    fn issue(json: &str) -> (Token, TokenRecord) {
        let parameters = TokenParameters::for_role(&role(json), [192, 0, 2, 1].into());
        TokenRecord::issue(parameters, &Limits::default(), &pepper(), &mut rng(1), at(0))
    }

    #[test]
    fn issued_with_the_parameters_of_the_role() {
        let (token, record) = issue(
            r#"{"name":"a","token-period":"3d","token-num-uses":7,
                "token-spiffe-jwt":{"jwt-audiences":["b"],"ttl":"2h"}}"#,
        );
        assert_eq!(*record.key(), pepper().token_key(token.expose()));
        assert_eq!(record.expires(), at(7200), "the SVID caps the token");
        assert_eq!(record.creation_time(), at(0));
        assert_eq!(record.renewal_time(), at(0));
        assert_eq!(record.uses_left(), Some(7));
        assert_eq!(record.kind(), TokenType::Service);
        assert_eq!(record.tenant(), &name("default"));
        assert_eq!(record.policies(), [name("default")]);
        assert_eq!(record.explicit_end(), None);
        assert!(record.is_renewable());
        let svid = record.jwt_svid().unwrap();
        assert_eq!(svid.audiences, ["b"]);
        assert_eq!(svid.expires, record.expires(), "SVIDs expire with their token");
        assert!(record.x509_svid().is_none());
        let plain = issue(r#"{"name":"a"}"#).1;
        assert!(plain.jwt_svid().is_none() && plain.x509_svid().is_none());

        let (_, record) = issue(r#"{"name":"a","token-period":"3d","token-spiffe-x509":{"ttl":"90m"}}"#);
        assert_eq!(record.expires(), at(5400), "the SVID caps the token");
        assert_eq!(record.x509_svid().unwrap().expires, record.expires(), "SVIDs expire with their token");
        assert!(record.jwt_svid().is_none());
        let (_, record) = issue(r#"{"name":"a","token-period":"3d","token-spiffe-x509":{}}"#);
        assert_eq!(record.x509_svid().unwrap().expires, at(86_400));
    }

    #[test]
    fn a_record_from_before_there_were_x509_svids_has_none() {
        let (_, record) = issue(r#"{"name":"a"}"#);
        let mut stored: serde_json::Value = serde_json::from_slice(&record.encode().unwrap()).unwrap();
        assert_eq!(stored.as_object_mut().unwrap().remove("x509-svid"), Some(false.into()));
        assert_eq!(TokenRecord::decode(stored.to_string().as_bytes()).unwrap(), record);
    }

    #[test]
    fn a_record_from_before_tokens_carried_metadata_has_none() {
        let (_, record) = issue(r#"{"name":"a"}"#);
        let text = String::from_utf8(record.encode().unwrap()).unwrap();
        assert!(!text.contains("metadata") && !text.contains("own-cidrs") && !text.contains("said"));
        assert_eq!(TokenRecord::decode(text.replacen('3', "2", 1).as_bytes()).unwrap(), record);
        assert!(record.metadata().is_empty());
    }

    #[test]
    fn an_explicit_end_holds_from_the_start() {
        let (_, record) = issue(r#"{"name":"a","token-explicit-max-ttl":"10m"}"#);
        assert_eq!(record.explicit_end(), Some(at(600)));
        assert_eq!(record.expires(), at(600));
    }

    #[test]
    fn stored_and_read_again_without_the_token() {
        let (token, record) = issue(
            r#"{"name":"a","token-explicit-max-ttl":"10m","token-bound-cidrs":["192.0.2.0/24"],
                "token-auto-bound-cidrs":"host"}"#,
        );
        let bytes = record.encode().unwrap();
        assert_eq!(TokenRecord::decode(&bytes).unwrap(), record);
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(token.expose()) && !format!("{record:?}").contains(token.expose()));
        assert!(text.starts_with(r#"{"format":3,"#));
        assert_eq!(
            TokenRecord::decode(text.replacen('3', "4", 1).as_bytes()).unwrap_err().to_string(),
            "the stored token has format 4, this release knows formats up to 3"
        );
        let user = TokenParameters::for_user(name("default"), "joe", vec![name("administrator")]);
        let (_, record) = TokenRecord::issue(user, &Limits::default(), &pepper(), &mut rng(1), at(0));
        assert_eq!(TokenRecord::decode(&record.encode().unwrap()).unwrap(), record);
        assert_eq!(record.expires(), at(3600));
    }
}
