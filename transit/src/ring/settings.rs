//! What a ring is told: its configuration, and that it signs JWTs.

use keyward_config_values::Duration;
use time::OffsetDateTime;

use super::Ring;
use crate::{CLOCK_SKEW, Error, Overlap, RingConfig, ScheduleError};

/// What earlier schedules promised to verifiers and sites, so that editing a schedule breaks
/// nobody who relies on the former one. Each is a lower bound for the next version created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Promises {
    /// Key sets without the next version may be cached until then.
    pub(crate) activates: Option<OffsetDateTime>,
    /// Sites that do not know of the edit may sign until then.
    pub(crate) deprecated: Option<OffsetDateTime>,
    /// What they signed verifies until then.
    pub(crate) invalid: Option<OffsetDateTime>,
}

/// The lowest versions that serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LowestVersions {
    /// For decrypting and verifying.
    pub(crate) decryption: u32,
    /// For encrypting, signing and HMACs, where an older one is asked for.
    pub(crate) encryption: Option<u32>,
}

impl Default for LowestVersions {
    fn default() -> Self {
        Self { decryption: 1, encryption: None }
    }
}

impl Promises {
    fn keep(&mut self, overlap: Overlap, at: OffsetDateTime) {
        let raise = |promise: &mut Option<OffsetDateTime>, after: Duration| {
            *promise = (*promise).max(Some(at.saturating_add(after.to_time())));
        };
        raise(&mut self.activates, overlap.stale_copies());
        raise(&mut self.deprecated, overlap.cut_off_allowance());
        raise(&mut self.invalid, overlap.total());
    }
}

impl Ring {
    /// Makes the ring fit to sign JWTs from now on. There is no way back: it never encrypts again,
    /// and a rotation on request overlaps 1d/2d/2d.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when its cipher does not sign, [`Error::Derived`] when it derives its keys.
    pub fn sign_jwts(&mut self, now: OffsetDateTime) -> Result<(), Error> {
        if !self.cipher().signs() {
            return Err(self.unsupported("sign"));
        }
        if self.config.derived {
            return Err(Error::Derived { operation: "sign tokens" });
        }
        if self.signs_jwts_since.is_none() {
            self.observe(now);
            self.signs_jwts_since = Some(self.highest);
        }
        Ok(())
    }

    /// Takes over an edited configuration and answers whether it differs. A new schedule changes
    /// the versions created later, and keeps what the former one promised: cached key sets
    /// outlast their `max-age`, sites sign for their allowance, and what they sign verifies.
    ///
    /// # Errors
    /// [`Error::Immutable`] when the name, the cipher or a sticky option would change,
    /// [`Error::Schedule`] when a verifier could notice a rotation.
    pub fn reconfigure(&mut self, config: RingConfig, now: OffsetDateTime) -> Result<bool, Error> {
        let immutable = |field, from: &dyn ToString, to: &dyn ToString| Error::Immutable {
            field,
            from: from.to_string(),
            to: to.to_string(),
        };
        let (old, new) = (&self.config, &config);
        if old.name != new.name {
            return Err(immutable("name", &old.name, &new.name));
        }
        if old.cipher != new.cipher {
            return Err(immutable("cipher", &old.cipher, &new.cipher));
        }
        for (field, old, new) in [
            ("derived", old.derived, new.derived),
            ("convergent-encryption", old.convergent_encryption, new.convergent_encryption),
        ] {
            if old != new {
                return Err(immutable(field, &old, &new));
            }
        }
        for (field, old, new) in [
            ("exportable", old.exportable, new.exportable),
            ("allow-plaintext-backup", old.allow_plaintext_backup, new.allow_plaintext_backup),
        ] {
            if old && !new {
                return Err(immutable(field, &old, &new));
            }
        }
        config.check_options()?;
        let schedule = config.schedule()?;
        if *new == *old {
            return Ok(false);
        }
        self.observe(now);
        if schedule != self.schedule
            && !self.versions.is_empty()
            && let Some(overlap) = self.overlap()
        {
            self.promises.keep(overlap, self.highest);
        }
        self.schedule = schedule;
        self.config = config;
        Ok(true)
    }

    /// Sets the lowest versions: below `decryption` nothing decrypts or verifies, below `encryption` nothing encrypts,
    /// signs or makes an HMAC even if asked for that version (`None`: none is asked to be newer). Unlike a trim it can be
    /// undone. Answers whether that changed anything.
    ///
    /// # Errors
    /// [`Error::LowestVersion`] when that would lock out the active version or let in one that is trimmed, or when `encryption` is
    /// below `decryption`;
    /// [`Error::SignsJwts`] when the ring signs JWTs, because verifiers go by the key set alone.
    pub fn set_lowest_versions(
        &mut self,
        decryption: u32,
        encryption: Option<u32>,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        if self.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        let most = self.active_version(now).unwrap_or(1);
        let check = |field, found: u32, least: u32| {
            let fits = (least..=most).contains(&found);
            if fits { Ok(()) } else { Err(Error::LowestVersion { field, found, least, most }) }
        };
        // What is gone does not come back.
        let lowest = if decryption == self.lowest.decryption { 1 } else { self.first_available() };
        check("min-decryption-version", decryption, lowest)?;
        if let Some(encryption) = encryption {
            check("min-encryption-version", encryption, decryption)?;
        }
        let lowest = LowestVersions { decryption, encryption };
        if lowest == self.lowest {
            return Ok(false);
        }
        self.observe(now);
        self.lowest = lowest;
        Ok(true)
    }

    /// The first version that has a key yet; 1 where there is none.
    #[must_use]
    pub fn first_available(&self) -> u32 {
        self.versions.iter().find(|version| version.key.is_some()).map_or(1, |version| version.number)
    }

    /// After a trim.
    pub(super) fn raise_lowest(&mut self, trimmed: u32) {
        self.lowest.decryption = self.lowest.decryption.max(trimmed);
        self.lowest.encryption = self.lowest.encryption.map(|lowest| lowest.max(trimmed));
    }

    /// Checks that tokens of this life, signed from now on, verify until they expire, whichever
    /// version signs them and however slow the site: to be asked before such tokens are allowed.
    ///
    /// # Errors
    /// [`ScheduleError::InvalidatesTooSoon`] when the schedule is too short, with the timeline;
    /// [`ScheduleError::FixedTooSoon`] when a version that still signs has an end that an earlier
    /// schedule fixed.
    pub fn check_tokens(&self, longest_token_life: Duration, now: OffsetDateTime) -> Result<(), ScheduleError> {
        self.config.validate(Some(longest_token_life))?;
        let at = self.effective(now);
        let needed = longest_token_life.saturating_add(CLOCK_SKEW).to_time();
        for version in &self.versions {
            if let Some((from, until)) = version.times.deprecated.zip(version.times.invalid)
                && from > at
                && until - from < needed
            {
                return Err(ScheduleError::FixedTooSoon {
                    version: version.number,
                    found: until - from,
                    longest_token_life,
                    from,
                });
            }
        }
        Ok(())
    }
}
