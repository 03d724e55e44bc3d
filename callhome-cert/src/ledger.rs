//! Which certificates were issued, and who used them.

use keyward_config_values::record::{self, Format};
use keyward_keys::PublicKey;
use keyward_svid::x509::authority::{IssuedSvid, RevokedSerial};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Batch, Error, HostHash, Refusal, Scope};

/// 2: with the issuer.
const FORMAT: u32 = 2;
const ENTRY: &str = "call-home certificate";

/// What is stored of a certificate that was issued, under its serial number. The caller guards it by a revision, so that of
/// many hosts that use the last use at the same time one wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    format: Format<FORMAT>,
    serial: String,
    /// The thumbprint of the key that signed it; absent from what an earlier release issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    scope: Scope,
    batch: Batch,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires: OffsetDateTime,
    /// `None` for as many as there are hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    /// Who used it, where uses are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uses: Vec<Use>,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    revoked: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    host: HostHash,
    key: String,
}

/// What a use came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The record changed: it has to be stored, in the commit that registers the host.
    First,
    /// The same host, with the same key, has used it before, or uses are not counted: nothing to store.
    Again,
}

impl Entry {
    pub(crate) fn new(
        issued: &IssuedSvid,
        issuer: &PublicKey,
        scope: Scope,
        batch: Batch,
        max_uses: Option<u32>,
        created: OffsetDateTime,
    ) -> Self {
        Self {
            format: Format,
            serial: issued.serial(),
            issuer: Some(issuer.thumbprint()),
            scope,
            batch,
            created,
            expires: issued.not_after(),
            max_uses,
            uses: Vec::new(),
            revoked: None,
        }
    }

    /// The serial number of the certificate, in lower-case hexadecimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Whom it lets in.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What it was issued with.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// When it was issued.
    pub fn created(&self) -> OffsetDateTime {
        self.created
    }

    /// The last second of its life. Nothing refers to the record afterwards but the answer "expired".
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// How many hosts may use it; `None` for as many as there are.
    pub fn max_uses(&self) -> Option<u32> {
        self.max_uses
    }

    /// How many have, where that is counted.
    pub fn uses(&self) -> usize {
        self.uses.len()
    }

    /// When it was revoked.
    pub fn revoked(&self) -> Option<OffsetDateTime> {
        self.revoked
    }

    /// Revokes it from now on, and answers whether that changed anything.
    pub fn revoke(&mut self, now: OffsetDateTime) -> bool {
        let first = self.revoked.is_none();
        self.revoked.get_or_insert(now);
        first
    }

    /// Revokes what none of the authorities with these keys issued: the one that did was given up, and with it all that it issued.
    /// Of what an earlier release issued it is not known which one that was; and what is over is over.
    pub(crate) fn revoke_unless_issued_by(&mut self, authorities: &[PublicKey], now: OffsetDateTime) {
        let is_given_up = |issuer: &String| authorities.iter().all(|key| key.thumbprint() != *issuer);
        if !self.is_over(now) && self.issuer.as_ref().is_some_and(is_given_up) {
            self.revoke(now);
        }
    }

    fn is_over(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() > self.expires.unix_timestamp()
    }

    /// The entry for the revocation list of the authority with this key, of a certificate that was revoked. A list is about what
    /// its own issuer issued (RFC 5280 §5); of what an earlier release issued it is not known which one that was, and it is on all.
    ///
    /// # Errors
    /// [`Error::Authority`] when the serial number is none, which a record that was issued cannot hold.
    pub fn revocation(&self, issuer: &PublicKey) -> Result<Option<RevokedSerial>, Error> {
        let others = self.issuer.as_ref().is_some_and(|own| *own != issuer.thumbprint());
        self.revoked
            .filter(|_| !others)
            .map(|at| RevokedSerial::new(&self.serial, at))
            .transpose()
            .map_err(Error::Authority)
    }

    /// Uses it for the host that asks an identity for the key with this thumbprint. The same host with the same key uses it
    /// once, however often it has to ask.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Expired`], [`Refusal::WrongHost`], [`Refusal::AlreadyUsed`].
    pub fn take(&mut self, host: &HostHash, key: &str, now: OffsetDateTime) -> Result<Taken, Refusal> {
        if self.revoked.is_some() {
            return Err(Refusal::Revoked);
        }
        if self.is_over(now) {
            return Err(Refusal::Expired { not_after: self.expires });
        }
        if matches!(&self.scope, Scope::Host(own) if own != host) {
            return Err(Refusal::WrongHost);
        }
        let Some(max_uses) = self.max_uses else { return Ok(Taken::Again) };
        if self.uses.iter().any(|one| one.host == *host && one.key == key) {
            return Ok(Taken::Again);
        }
        if self.uses.len() >= usize::try_from(max_uses).unwrap_or(usize::MAX) {
            return Err(Refusal::AlreadyUsed);
        }
        self.uses.push(Use { host: host.clone(), key: key.to_owned() });
        Ok(Taken::First)
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// [`Error::Record`], which does not happen.
    pub fn to_record(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(ENTRY, self)?)
    }

    /// The entry in a record.
    ///
    /// # Errors
    /// [`Error::Record`]: it is of a newer release, or none.
    pub fn from_record(record: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(ENTRY, FORMAT, record)?)
    }
}
