//! Creating, replacing and ending versions.

use keyward_config_values::Duration;
use time::OffsetDateTime;

use super::{FirstActivation, Key, Material, Ring, Version};
use crate::{Cipher, Error, Phase, Transitions};

/// What a ring asks its caller to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Generate a key, hand it to [`Ring::install`] and store the ring, guarded by its revision.
    Generate {
        /// What to generate.
        cipher: Cipher,
        /// The number that the version will have.
        version: u32,
    },
    /// The answer of [`Ring::install`]: once the ring is stored, serve what [`Ring::published`] answers. The commit that stored the version
    /// published it already, for whoever reads the store; this is the reminder to refresh copies.
    Publish {
        /// The version that is new.
        version: u32,
    },
    /// Call [`Ring::destroy`] and store the ring: the version is invalid, its key has no use.
    Destroy {
        /// The version whose key goes.
        version: u32,
    },
}

impl Ring {
    /// What is to be done now. Asking changes nothing; the same answer comes until it is done.
    pub fn advance(&self, now: OffsetDateTime) -> Vec<Command> {
        let at = self.effective(now);
        let mut commands: Vec<_> = self
            .versions
            .iter()
            .filter(|version| self.is_destroyable(version, at))
            .map(|version| Command::Destroy { version: version.number })
            .collect();
        if self.creation_due().is_some_and(|due| due <= at) {
            commands.push(self.generate());
        }
        commands
    }

    /// When to call [`advance`](Self::advance) again: `now` when there is something to do, else
    /// the next transition or the next creation; `None` when time alone will change nothing.
    pub fn next_deadline(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        if !self.advance(now).is_empty() {
            return Some(now);
        }
        let at = self.effective(now);
        let transitions = self.versions.iter().filter_map(|v| v.times.next(at));
        transitions.chain(self.creation_due()).min()
    }

    /// Asks for a rotation on request: the command to generate the next version, whose
    /// [`install`](Self::install) performs it.
    ///
    /// # Errors
    /// [`Error::Pending`] while a version is pending, [`Error::ImportedOnly`] where every key comes from elsewhere.
    pub fn rotate(&self, now: OffsetDateTime) -> Result<Command, Error> {
        if self.config.imported_only {
            return Err(Error::ImportedOnly);
        }
        self.refuse_pending(self.effective(now))?;
        Ok(self.generate())
    }

    /// Takes in the key that [`Command::Generate`] asked for and fixes the times of the new
    /// version and of its predecessor. `now` is a reading not earlier than the one that the
    /// command answered.
    ///
    /// The version is published by the commit that stores the ring; until then the caller must not
    /// use this copy of the ring.
    ///
    /// # Errors
    /// - [`Error::Pending`] and [`Error::UnexpectedVersion`] when another commit was faster.
    /// - [`Error::WrongMaterial`] when the key is not of the ring's cipher.
    /// - [`Error::KidReused`] when the ring has, or ever had, the key.
    pub fn install(&mut self, version: u32, material: Material, now: OffsetDateTime) -> Result<Command, Error> {
        self.install_from(version, material, false, now)
    }

    fn install_from(
        &mut self,
        version: u32,
        material: Material,
        imported: bool,
        now: OffsetDateTime,
    ) -> Result<Command, Error> {
        let at = self.effective(now);
        self.refuse_pending(at)?;
        let activates = self.activation(at);
        let superseded = self.versions.last().map(|predecessor| self.superseded_by(predecessor.times, at));
        self.add(version, material, imported, Transitions::new(at, activates), superseded)?;
        self.highest = at;
        Ok(Command::Publish { version })
    }

    /// Adds the next version and gives its predecessor new times, or changes nothing.
    pub(super) fn add(
        &mut self,
        version: u32,
        material: Material,
        imported: bool,
        times: Transitions,
        predecessors: Option<Transitions>,
    ) -> Result<(), Error> {
        let expected = self.newest_version().saturating_add(1);
        if version != expected {
            return Err(Error::UnexpectedVersion { given: version, expected });
        }
        if !material.fits(self.cipher()) {
            return Err(Error::WrongMaterial { cipher: self.cipher() });
        }
        let public = material.public();
        if let Some(public) = &public
            && self.by_kid(&public.kid).is_some()
        {
            return Err(Error::KidReused { kid: public.kid.clone() });
        }

        let hmac = material.0.hmac()?;
        if let Some((predecessor, times)) = self.versions.last_mut().zip(predecessors) {
            predecessor.times = times;
        }
        self.versions.push(Version { number: version, times, public, key: Some(material.0), hmac, imported });
        Ok(())
    }

    /// Adds a version with a key from elsewhere: a rotation on request with that key. The private half of a public key that
    /// was imported alone completes its version instead.
    ///
    /// # Errors
    /// [`Error::Derived`] for a public key alone where the ring derives its keys, and those of [`rotate`](Self::rotate) and
    /// [`install`](Self::install).
    pub fn import(&mut self, material: Material, now: OffsetDateTime) -> Result<Command, Error> {
        match &material.0 {
            Key::Public(_) if self.config.derived => return Err(Error::Derived { operation: "import a public key" }),
            Key::Signing(key) => {
                let is_half = |v: &&Version| v.is_public_alone() && v.public.as_ref().is_some_and(|p| p.kid == key.kid);
                if let Some(version) = self.versions.iter().find(is_half).map(|half| half.number) {
                    return self.complete(version, material, now);
                }
            }
            _ => {}
        }
        self.install_from(self.newest_version().saturating_add(1), material, true, now)
    }

    /// Completes a version whose public key was imported alone with its private half, or changes nothing.
    ///
    /// # Errors
    /// [`Error::Version`] where there is no such version, where it is not of a public key alone, or where that is not the
    /// public key of what is handed in.
    pub fn complete(&mut self, version: u32, material: Material, now: OffsetDateTime) -> Result<Command, Error> {
        let at = self.effective(now);
        let refused = |reason| Error::Version { version, reason };
        let half = self.versions.iter_mut().find(|v| v.number == version);
        let half = half.ok_or(refused("does not exist: without a version the key becomes the next one"))?;
        if !half.is_public_alone() {
            return Err(refused("is not of a public key alone, which only a private key completes"));
        }
        let Key::Signing(key) = &material.0 else {
            return Err(refused("has a public key alone, which only its private key completes"));
        };
        if half.public.as_ref().is_none_or(|public| public.kid != key.kid) {
            return Err(refused("has a public key that is not the one of this private key"));
        }
        half.hmac = material.0.hmac()?;
        half.key = Some(material.0);
        self.highest = at;
        Ok(Command::Publish { version })
    }

    /// Destroys the key of an invalid version, as [`Command::Destroy`] asked. Its number, times
    /// and public key stay on record.
    ///
    /// # Errors
    /// [`Error::StillNeeded`] unless the version is invalid and never encrypted.
    pub fn destroy(&mut self, version: u32, now: OffsetDateTime) -> Result<(), Error> {
        let at = self.effective(now);
        if self.version(version).is_some_and(|v| self.may_have_encrypted(v) || v.times.phase(at) != Phase::Invalid) {
            return Err(Error::StillNeeded { version });
        }
        if let Some(found) = self.versions.iter_mut().find(|v| v.number == version) {
            found.destroy();
        }
        self.highest = at;
        Ok(())
    }

    /// Ends every version below `min_version`, at once and for ever: it neither decrypts nor
    /// verifies any more, and its key is destroyed.
    ///
    /// # Errors
    /// [`Error::StillNeeded`] when that would end the active or a pending version, or, in a ring
    /// that signs JWTs, one that verifiers still need.
    pub fn trim(&mut self, min_version: u32, now: OffsetDateTime) -> Result<(), Error> {
        let at = self.effective(now);
        for version in self.versions.iter().filter(|v| v.number < min_version) {
            let signs = version.times.phase(at) <= Phase::Active;
            if signs || (self.signs_jwts() && self.is_published(version, at)) {
                return Err(Error::StillNeeded { version: version.number });
            }
        }
        for version in self.versions.iter_mut().filter(|v| v.number < min_version) {
            version.times.end(at);
            version.destroy();
        }
        self.raise_lowest(min_version);
        self.highest = at;
        Ok(())
    }

    pub(super) fn generate(&self) -> Command {
        Command::Generate { cipher: self.cipher(), version: self.newest_version().saturating_add(1) }
    }

    /// When the next version is to be created: the first at once, a later one `rotate-after` after
    /// the previous one was created, but not while that one is pending or, as after an edit of the
    /// schedule, a third one is still published.
    pub(super) fn creation_due(&self) -> Option<OffsetDateTime> {
        let Some(newest) = self.versions.last() else {
            return (!self.config.imported_only).then_some(self.highest);
        };
        let rotate_after = self.schedule?.rotate_after().to_time();
        let due = newest.times.created.saturating_add(rotate_after);
        let older_gone = self.versions.iter().filter_map(|v| v.times.invalid);
        older_gone.chain([newest.times.activates, due]).max()
    }

    /// When a version created at `at` activates.
    fn activation(&self, at: OffsetDateTime) -> OffsetDateTime {
        let at_once = self.versions.is_empty() && (self.first == FirstActivation::AtOnce || !self.cipher().signs());
        match self.overlap() {
            Some(overlap) if !at_once => not_before(at, overlap.activate_after(), self.promises.activates),
            _ => at,
        }
    }

    /// The times of a version whose successor is created at `at`.
    pub(super) fn superseded_by(&self, mut times: Transitions, at: OffsetDateTime) -> Transitions {
        let activates = self.activation(at);
        times.superseded = Some(activates);
        if let Some(overlap) = self.overlap() {
            let deprecated = not_before(activates, overlap.deprecate_after(), self.promises.deprecated);
            times.deprecated = Some(deprecated);
            times.invalid = Some(not_before(deprecated, overlap.invalidate_after(), self.promises.invalid));
        }
        times
    }

    fn refuse_pending(&self, at: OffsetDateTime) -> Result<(), Error> {
        match self.versions.last() {
            Some(newest) if newest.times.phase(at) == Phase::Pending => {
                Err(Error::Pending { version: newest.number, activates: newest.times.activates })
            }
            _ => Ok(()),
        }
    }

    fn is_destroyable(&self, version: &Version, at: OffsetDateTime) -> bool {
        !self.may_have_encrypted(version) && version.key.is_some() && version.times.phase(at) == Phase::Invalid
    }

    /// Whether something may be encrypted with this version, so that it goes with an explicit trim alone. An RSA ring
    /// encrypts until it signs JWTs.
    pub(crate) fn may_have_encrypted(&self, version: &Version) -> bool {
        self.cipher().encrypts() && self.signs_jwts_since.is_none_or(|since| version.times.activates < since)
    }
}

/// The first moment that is neither before `at + after` nor before what was promised.
fn not_before(at: OffsetDateTime, after: Duration, promise: Option<OffsetDateTime>) -> OffsetDateTime {
    let time = at.saturating_add(after.to_time());
    promise.map_or(time, |promise| time.max(promise))
}
