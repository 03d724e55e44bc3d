//! What is stored of a token.

use std::collections::BTreeMap;
use std::net::IpAddr;

use keyward_config_values::record::{self, Format};
use keyward_config_values::{Cidr, Name};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Lifetime, Subject, Token, TokenParameters, TokenType};
use crate::{Accessor, Error, Limits, Pepper, StorageKey, instant};

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
    /// Issues a token: the token to hand over, and the record to store under its key. That of a batch
    /// token ([`Self::kind`]) is not to be stored: [`crate::open_batch`] finds it in the token.
    #[must_use]
    pub fn issue(
        parameters: TokenParameters,
        limits: &Limits,
        pepper: &Pepper,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> (Token, Self) {
        Self::draft(parameters, limits, rng, now).finish(pepper, rng)
    }

    /// The record of a token that is not made yet.
    pub(super) fn draft(
        parameters: TokenParameters,
        limits: &Limits,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Self {
        let batch = parameters.kind == TokenType::Batch;
        let lifetime = parameters.lifetime();
        let explicit_end = parameters.explicit_max_ttl.map(|ttl| instant::after(now, ttl));
        let expires = instant::after(now, lifetime.span(None, limits));
        Self {
            format: Format,
            key: StorageKey::none(),
            accessor: Accessor::generate(rng),
            kind: parameters.kind,
            tenant: parameters.tenant,
            subject: parameters.subject,
            policies: parameters.policies,
            creation_time: now,
            renewal_time: now,
            expires: explicit_end.map_or(expires, |end| end.min(expires)),
            explicit_end,
            lifetime,
            uses_left: parameters.num_uses.filter(|_| !batch),
            bound_cidrs: parameters.bound_cidrs,
            bound_host: parameters.bound_host,
            renewable: parameters.renewable && !batch,
            jwt_audiences: parameters.jwt_audiences,
            x509_svid: parameters.x509_svid,
            made: false,
            ancestors: Vec::new(),
            metadata: parameters.metadata,
            own_cidrs: parameters.own_cidrs,
            said: Said::default(),
        }
    }

    /// Makes the token of the record.
    pub(super) fn finish(self, pepper: &Pepper, rng: &mut impl CryptoRng) -> (Token, Self) {
        if self.kind == TokenType::Batch {
            return self.sealed(pepper, rng);
        }
        let token = Token::generate(rng);
        self.named(token, pepper)
    }

    /// The record with the token that it is of.
    pub(super) fn named(mut self, token: Token, pepper: &Pepper) -> (Token, Self) {
        self.key = pepper.token_key(token.expose());
        (token, self)
    }

    /// The same record as that of a token made from another one, ending no later than `end`.
    pub(super) fn made(self, ancestors: Vec<StorageKey>, said: Said, end: Option<OffsetDateTime>) -> Self {
        Self { made: true, ancestors, said, ..self }.ending(end)
    }

    /// The same record, ending no later than `end`.
    pub(super) fn ending(mut self, end: Option<OffsetDateTime>) -> Self {
        self.expires = end.map_or(self.expires, |end| end.min(self.expires));
        self
    }

    /// The same record with those of its policies that `keep` says.
    pub(super) fn keeping(mut self, keep: impl FnMut(&Name) -> bool) -> Self {
        self.policies.retain(keep);
        self
    }

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

    pub(super) fn used_once(&self) -> Self {
        Self { uses_left: self.uses_left.map(|uses| uses.saturating_sub(1)), ..self.clone() }
    }

    /// The record after a refresh under the present parameters of its owner. The token, its accessor,
    /// creation, uses and bound host stay.
    pub(super) fn renewed(
        &self,
        parameters: Option<TokenParameters>,
        increment: Option<keyward_config_values::Duration>,
        limits: &Limits,
        now: OffsetDateTime,
    ) -> Self {
        let mut record = self.clone();
        // What the owner's logins give is not for a token that was made with less.
        if let Some(parameters) = parameters.filter(|_| !self.made) {
            record.lifetime = parameters.lifetime();
            record.policies = parameters.policies;
            record.bound_cidrs = parameters.bound_cidrs;
            record.jwt_audiences = parameters.jwt_audiences;
            record.x509_svid = parameters.x509_svid;
            // An end that was once promised never moves back, only nearer.
            let end = parameters.explicit_max_ttl.map(|ttl| instant::after(self.creation_time, ttl));
            record.explicit_end = match (self.explicit_end, end) {
                (Some(old), Some(new)) => Some(old.min(new)),
                (old, new) => old.or(new),
            };
        }
        let expires = instant::after(now, record.lifetime.span(increment, limits));
        record.renewal_time = now;
        record.expires = record.explicit_end.map_or(expires, |end| end.min(expires));
        record
    }

    /// The record that a batch token carries.
    pub(super) fn of_batch(
        key: StorageKey,
        (accessor, tenant, subject, policies): (Accessor, Name, Subject, Vec<Name>),
        (creation_time, expires): (OffsetDateTime, OffsetDateTime),
        (bound_cidrs, own_cidrs, bound_host): (Vec<Cidr>, Vec<Cidr>, Option<IpAddr>),
        ancestors: Option<Vec<StorageKey>>,
        (metadata, said): (BTreeMap<String, String>, Said),
    ) -> Self {
        Self {
            format: Format,
            key,
            accessor,
            kind: TokenType::Batch,
            tenant,
            subject,
            policies,
            creation_time,
            renewal_time: creation_time,
            expires,
            explicit_end: None,
            lifetime: Lifetime::default(),
            uses_left: None,
            bound_cidrs,
            bound_host,
            renewable: false,
            jwt_audiences: Vec::new(),
            x509_svid: false,
            made: ancestors.is_some(),
            ancestors: ancestors.unwrap_or_default(),
            metadata,
            own_cidrs,
            said,
        }
    }

    /// The same record without its metadata.
    pub(super) fn without_metadata(self) -> Self {
        Self { metadata: BTreeMap::new(), ..self }
    }

    /// What a batch token has when it is sealed.
    pub(super) fn set(&mut self, key: StorageKey, created: OffsetDateTime, ends: OffsetDateTime) {
        (self.key, self.creation_time, self.renewal_time, self.expires) = (key, created, created, ends);
        // Of use to a refresh alone.
        (self.lifetime, self.explicit_end) = (Lifetime::default(), None);
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

/// A JWT-SVID that a token carries: for whom, and until when. It expires with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtSvidGrant<'a> {
    /// The `aud` claim.
    pub audiences: &'a [String],
    /// When the SVID expires: with its token. In whole seconds it is to be rounded down.
    pub expires: OffsetDateTime,
}

/// An X.509-SVID that a token carries, and until when. It expires with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct X509SvidGrant {
    /// When the SVID expires: with its token. In whole seconds it is to be rounded down.
    pub expires: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, name, pepper, rng, role};

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
