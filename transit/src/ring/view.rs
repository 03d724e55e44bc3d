//! The state of a ring as data, for people and programs that look at it.

use keyward_config_values::{Duration, Name};
use keyward_keys::Jwk;
use serde::Serialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::record::encode;
use super::{Ring, Version};
use crate::{Cipher, Phase, Timeline};

/// The state of a ring, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RingView {
    /// The name of the ring.
    pub name: Name,
    /// What its versions are made of.
    pub cipher: Cipher,
    /// Whether keys may leave the ring.
    pub exportable: bool,
    /// Whether the ring may be deleted.
    pub deletion_allowed: bool,
    /// Whether every operation takes a context, from which its key is derived.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Whether one plaintext always becomes one ciphertext under one context.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub convergent_encryption: bool,
    /// Whether a backup may hold the keys unsealed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_plaintext_backup: bool,
    /// Whether every key comes from elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub imported_only: bool,
    /// The lowest version that decrypts and verifies; absent where that is the first.
    #[serde(skip_serializing_if = "is_first")]
    pub min_decryption_version: u32,
    /// The lowest version that may be asked to encrypt, sign or make an HMAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_encryption_version: Option<u32>,
    /// Whether the ring signs JWTs, and therefore never encrypts.
    pub signs_jwts: bool,
    /// The version that signs or encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_version: Option<u32>,
    /// When the next version will be created by itself.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<OffsetDateTime>,
    /// The `max-age` of a key set that holds this ring; absent where the ring does not sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_max_age: Option<Duration>,
    /// The life of a version under the present schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// All versions, oldest first.
    pub versions: Vec<VersionView>,
}

/// The state of one version, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct VersionView {
    /// Its number, from 1.
    pub version: u32,
    /// Where in its life it stands.
    pub phase: Phase,
    /// The key ID; absent for symmetric keys and in a ring that derives its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The public key as PEM (`PUBLIC KEY`, RFC 7468 §13).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The public key as JWK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Jwk>,
    /// When it was created and published.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// From when it signs.
    #[serde(with = "time::serde::rfc3339")]
    pub activates: OffsetDateTime,
    /// From when its successor signs.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub superseded: Option<OffsetDateTime>,
    /// From when it only verifies.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<OffsetDateTime>,
    /// From when it does not verify.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub invalid: Option<OffsetDateTime>,
    /// Whether the last three are only what the schedule plans: the creation of the successor will fix them.
    pub planned: bool,
    /// Whether the secret has been destroyed.
    pub destroyed: bool,
    /// Whether the key came from elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Whether there is a public key alone, whose private half is elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub public_alone: bool,
}

impl Ring {
    /// The state of the ring at `now`. What is not fixed yet is given as the schedule plans it and marked as
    /// `planned`.
    pub fn view(&self, now: OffsetDateTime) -> RingView {
        let at = self.effective(now);
        let next_rotation = self.creation_due().filter(|_| !self.versions.is_empty());
        RingView {
            name: self.name().clone(),
            cipher: self.cipher(),
            exportable: self.config.exportable,
            deletion_allowed: self.config.deletion_allowed,
            derived: self.config.derived,
            convergent_encryption: self.config.convergent_encryption,
            allow_plaintext_backup: self.config.allow_plaintext_backup,
            imported_only: self.config.imported_only,
            min_decryption_version: self.lowest.decryption,
            min_encryption_version: self.lowest.encryption,
            signs_jwts: self.signs_jwts(),
            active_version: self.active_version(now),
            next_rotation,
            jwks_max_age: (self.cipher().signs() && !self.config.derived).then(|| self.max_age()),
            timeline: self.timeline(),
            versions: self.versions.iter().map(|version| self.version_view(version, next_rotation, at)).collect(),
        }
    }

    fn version_view(
        &self,
        version: &Version,
        next_rotation: Option<OffsetDateTime>,
        at: OffsetDateTime,
    ) -> VersionView {
        let plan = match (version.times.superseded, next_rotation) {
            (None, Some(rotation)) => Some(self.superseded_by(version.times, rotation.max(at))),
            _ => None,
        };
        let times = plan.unwrap_or(version.times);
        let public = version.public.as_ref().filter(|_| !self.config.derived);
        VersionView {
            version: version.number,
            phase: version.times.phase(at),
            kid: public.map(|public| public.kid.clone()),
            public_key: public.map(|public| pem("PUBLIC KEY", &public.key.to_spki_der()).to_string()),
            jwk: public.map(|public| public.to_jwk()),
            created: times.created,
            activates: times.activates,
            superseded: times.superseded,
            deprecated: times.deprecated,
            invalid: times.invalid,
            planned: plan.is_some(),
            destroyed: version.key.is_none(),
            imported: version.imported,
            public_alone: version.is_public_alone(),
        }
    }
}

fn is_first(version: &u32) -> bool {
    *version <= 1
}

/// A textual encoding (RFC 7468 §2), in memory that is cleared when dropped.
pub(crate) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let text = encode(der);
    let capacity = text.len() + text.len() / 64 + 2 * label.len() + 40;
    let mut pem = Zeroizing::new(String::with_capacity(capacity));
    for part in ["-----BEGIN ", label, "-----\n"] {
        pem.push_str(part);
    }
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    for part in ["-----END ", label, "-----\n"] {
        pem.push_str(part);
    }
    pem
}
