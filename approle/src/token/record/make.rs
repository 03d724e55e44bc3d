//! How records come to be, and what becomes of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use keyward_config_values::record::Format;
use keyward_config_values::{Cidr, Duration, Name};
use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::{Said, TokenRecord};
use crate::token::{Lifetime, Subject, Token, TokenParameters, TokenType};
use crate::{Accessor, Limits, Pepper, StorageKey, instant};

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
    pub(in crate::token) fn draft(
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
    pub(in crate::token) fn finish(self, pepper: &Pepper, rng: &mut impl CryptoRng) -> (Token, Self) {
        if self.kind == TokenType::Batch {
            return self.sealed(pepper, rng);
        }
        let token = Token::generate(rng);
        self.named(token, pepper)
    }

    /// The record with the token that it is of.
    pub(in crate::token) fn named(mut self, token: Token, pepper: &Pepper) -> (Token, Self) {
        self.key = pepper.token_key(token.expose());
        (token, self)
    }

    /// The same record as that of a token made from another one, ending no later than `end`.
    pub(in crate::token) fn made(self, ancestors: Vec<StorageKey>, said: Said, end: Option<OffsetDateTime>) -> Self {
        Self { made: true, ancestors, said, ..self }.ending(end)
    }

    /// The same record, ending no later than `end`.
    pub(in crate::token) fn ending(mut self, end: Option<OffsetDateTime>) -> Self {
        self.expires = end.map_or(self.expires, |end| end.min(self.expires));
        self
    }

    /// The same record with those of its policies that `keep` says.
    pub(in crate::token) fn keeping(mut self, keep: impl FnMut(&Name) -> bool) -> Self {
        self.policies.retain(keep);
        self
    }

    pub(in crate::token) fn used_once(&self) -> Self {
        Self { uses_left: self.uses_left.map(|uses| uses.saturating_sub(1)), ..self.clone() }
    }

    /// The record after a refresh under the present parameters of its owner. The token, its accessor,
    /// creation, uses and bound host stay.
    pub(in crate::token) fn renewed(
        &self,
        parameters: Option<TokenParameters>,
        increment: Option<Duration>,
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
    pub(in crate::token) fn of_batch(
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
    pub(in crate::token) fn without_metadata(self) -> Self {
        Self { metadata: BTreeMap::new(), ..self }
    }

    /// What a batch token has when it is sealed.
    pub(in crate::token) fn set(&mut self, key: StorageKey, created: OffsetDateTime, ends: OffsetDateTime) {
        (self.key, self.creation_time, self.renewal_time, self.expires) = (key, created, created, ends);
        // Of use to a refresh alone.
        (self.lifetime, self.explicit_end) = (Lifetime::default(), None);
    }
}
