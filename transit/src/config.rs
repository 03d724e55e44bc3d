//! The configuration document of a ring.

use keyward_config_values::{Distribute, Duration, Name};
use keyward_keys::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::{Cipher, Overlap, Schedule, ScheduleError, Timeline};

/// The configuration document of a ring.
///
/// ```
/// use keyward_transit::{Cipher, RingConfig};
///
/// let config: RingConfig = serde_json::from_str(r#"{
///     "name": "spiffe-jwt", "cipher": "rsa-2048",
///     "auto-rotate": {"rotate-after": "30d", "activate-after": "1d",
///                     "deprecate-after": "2d", "invalidate-after": "2d"}}"#)?;
/// assert_eq!(config.cipher, Cipher::Rsa2048);
/// assert!(config.schedule()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RingConfig {
    /// The name of the ring.
    pub name: Name,
    /// What its versions are made of; cannot change later. Default `aes256-gcm96`.
    #[serde(default)]
    pub cipher: Cipher,
    /// When versions are created and how they overlap. Without it the ring rotates on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_rotate: Option<AutoRotate>,
    /// Whether keys may leave the ring. Sticky: once true, it stays true.
    #[serde(default)]
    pub exportable: bool,
    /// Whether the ring may be deleted.
    #[serde(default)]
    pub deletion_allowed: bool,
    /// Whether every operation takes a context, from which its key is derived. Cannot change later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Whether one plaintext always becomes one ciphertext under one context, so that ciphertexts can be compared, by
    /// whoever sees them. Needs `derived`; cannot change later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub convergent_encryption: bool,
    /// Whether a backup may hold the keys unsealed, where they are `exportable`. Sticky: once true, it stays true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_plaintext_backup: bool,
    /// Whether every key comes from elsewhere: none is made here, but for one that replaces a compromised one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported_only: bool,
    /// The sites that hold a replica of the ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
}

impl RingConfig {
    /// The configuration of a ring of which only the name is given.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            cipher: Cipher::default(),
            auto_rotate: None,
            exportable: false,
            deletion_allowed: false,
            derived: false,
            convergent_encryption: false,
            allow_plaintext_backup: false,
            imported_only: false,
            distribute: None,
        }
    }

    /// The schedule of `auto-rotate`, checked.
    ///
    /// # Errors
    /// [`ScheduleError`] when a verifier could notice a rotation.
    pub fn schedule(&self) -> Result<Option<Schedule>, ScheduleError> {
        self.auto_rotate.map(Schedule::try_from).transpose()
    }

    /// Checks that the options go together.
    ///
    /// # Errors
    /// [`OptionError`], which names the field.
    pub fn check_options(&self) -> Result<(), OptionError> {
        if self.derived && !self.cipher.derives() {
            return Err(OptionError::Derived { cipher: self.cipher });
        }
        if self.convergent_encryption && self.cipher.aead().is_none() {
            return Err(OptionError::Convergent { cipher: self.cipher });
        }
        if self.convergent_encryption && !self.derived {
            return Err(OptionError::ConvergentWithoutDerived);
        }
        if self.imported_only && self.auto_rotate.is_some() {
            return Err(OptionError::ImportedOnlyWithSchedule);
        }
        Ok(())
    }

    /// Checks the schedule as a ring would, and, where it is to sign tokens, against the longest life of a token; answers
    /// the timeline of `auto-rotate`. Tokens of a ring without `auto-rotate` are checked against the overlap with which it is
    /// then rotated, 1d/2d/2d.
    ///
    /// # Errors
    /// [`ScheduleError`] when a verifier could notice a rotation; its text prints the timeline.
    pub fn validate(&self, longest_token_life: Option<Duration>) -> Result<Option<Timeline>, ScheduleError> {
        match (self.schedule()?, longest_token_life) {
            (Some(schedule), Some(life)) => schedule.validate(life).map(Some),
            (Some(schedule), None) => Ok(Some(schedule.timeline())),
            (None, Some(life)) => Overlap::default().check_tokens(life).map(|()| None),
            (None, None) => Ok(None),
        }
    }
}

/// Why the options of a ring do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// No key can be derived from one of this cipher.
    #[error("`derived` needs a symmetric cipher or `ed25519`, not `{cipher}`")]
    Derived {
        /// The cipher of the ring.
        cipher: Cipher,
    },
    /// The cipher does not encrypt with a nonce.
    #[error("`convergent-encryption` needs a symmetric cipher, not `{cipher}`")]
    Convergent {
        /// The cipher of the ring.
        cipher: Cipher,
    },
    /// Without a key of its own per context, equal plaintexts of all contexts would show.
    #[error("`convergent-encryption` needs `derived: true`")]
    ConvergentWithoutDerived,
    /// A schedule makes keys.
    #[error("`imported-only` takes no `auto-rotate`, which makes keys here")]
    ImportedOnlyWithSchedule,
}

impl OptionError {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            OptionError::Derived { .. } => "derived",
            OptionError::Convergent { .. } | OptionError::ConvergentWithoutDerived => "convergent-encryption",
            OptionError::ImportedOnlyWithSchedule => "imported-only",
        }
    }

    /// The class of the error: always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

/// The document of a schedule, as it was given: [`Schedule`] is the checked form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AutoRotate {
    /// How long after a version its successor is created.
    pub rotate_after: Duration,
    /// How long a version is published before it signs.
    pub activate_after: Duration,
    /// How long a superseded version may still sign at a cut-off site.
    pub deprecate_after: Duration,
    /// How long a deprecated version verifies.
    pub invalidate_after: Duration,
}

impl From<Schedule> for AutoRotate {
    fn from(schedule: Schedule) -> Self {
        let overlap = schedule.overlap();
        Self {
            rotate_after: schedule.rotate_after(),
            activate_after: overlap.activate_after(),
            deprecate_after: overlap.deprecate_after(),
            invalidate_after: overlap.invalidate_after(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_document_is_an_aes_ring_that_rotates_on_request() {
        let config: RingConfig = serde_json::from_str(r#"{"name": "data"}"#).unwrap();
        assert_eq!(config, RingConfig::new("data".parse().unwrap()));
        assert_eq!(config.cipher, Cipher::Aes256Gcm96);
        assert_eq!(
            serde_json::to_string(&config).unwrap(),
            r#"{"name":"data","cipher":"aes256-gcm96","exportable":false,"deletion-allowed":false}"#
        );
    }

    #[test]
    fn a_complete_document_round_trips() {
        let text = concat!(
            r#"{"name":"spiffe-jwt","cipher":"rsa-2048","auto-rotate":{"rotate-after":"30d","#,
            r#""activate-after":"1d","deprecate-after":"2d","invalidate-after":"2d"},"#,
            r#""exportable":true,"deletion-allowed":true,"allow-plaintext-backup":true,"#,
            r#""distribute":{"deployments":["payments"]}}"#
        );
        let config: RingConfig = serde_json::from_str(text).unwrap();
        let again: RingConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
        let schedule = config.schedule().unwrap().unwrap();
        assert_eq!(Some(AutoRotate::from(schedule)), config.auto_rotate);
    }

    #[test]
    fn a_document_is_checked_against_the_tokens_that_its_ring_would_sign() {
        let config = |rotate: &str, invalidate: &str| {
            let mut config = RingConfig::new("a".parse().unwrap());
            config.auto_rotate = Some(AutoRotate {
                rotate_after: rotate.parse().unwrap(),
                activate_after: "1d".parse().unwrap(),
                deprecate_after: "2d".parse().unwrap(),
                invalidate_after: invalidate.parse().unwrap(),
            });
            config
        };
        let day = Some(Duration::DAY);
        assert_eq!(config("30d", "2d").validate(day).unwrap().unwrap().invalid.to_string(), "35d");
        assert!(config("30d", "1d").validate(None).unwrap().is_some());
        let error = config("30d", "1d").validate(day).unwrap_err().to_string();
        assert!(error.starts_with("`invalidate-after` is 1d, but must be at least 1d1m"), "{error}");
        assert!(config("3d", "2d").validate(None).is_err());

        let plain = RingConfig::new("a".parse().unwrap());
        assert_eq!(plain.validate(day), Ok(None));
        let error = plain.validate(Some(Duration::DAY.saturating_mul(2))).unwrap_err().to_string();
        assert!(error.contains("\n  rotation + 5d  invalid     not published, does not verify"), "{error}");
    }

    #[test]
    fn options_that_do_not_go_together_are_named() {
        let refused = |cipher: Cipher, derived, convergent_encryption| {
            let config = RingConfig { cipher, derived, convergent_encryption, ..RingConfig::new("a".parse().unwrap()) };
            config.check_options().err().map(|error| (error.field(), error.to_string()))
        };
        for cipher in Cipher::ALL {
            let symmetric = cipher.aead().is_some();
            assert_eq!(refused(cipher, false, false), None);
            assert_eq!(refused(cipher, true, false).is_none(), symmetric || cipher == Cipher::Ed25519, "{cipher}");
            assert_eq!(refused(cipher, true, true).is_none(), symmetric, "{cipher}");
        }
        let cases = [
            (Cipher::Rsa2048, true, "derived", "`derived` needs a symmetric cipher or `ed25519`, not `rsa-2048`"),
            (
                Cipher::Ed25519,
                true,
                "convergent-encryption",
                "`convergent-encryption` needs a symmetric cipher, not `ed25519`",
            ),
            (Cipher::Aes256Gcm96, false, "convergent-encryption", "`convergent-encryption` needs `derived: true`"),
        ];
        for (cipher, derived, field, text) in cases {
            assert_eq!(refused(cipher, derived, true), Some((field, text.to_owned())));
        }
    }

    #[test]
    fn a_missing_offset_is_named() {
        let error =
            serde_json::from_str::<RingConfig>(r#"{"name": "a", "auto-rotate": {"rotate-after": "30d"}}"#).unwrap_err();
        assert!(error.to_string().starts_with("missing field `activate-after`"), "{error}");
    }
}
