//! A ring of key versions: a machine without I/O.

mod material;
mod published;
mod record;
mod signer;
mod version;
mod view;

use keyward_config_values::{Duration, Name};
use time::OffsetDateTime;

use crate::{CLOCK_SKEW, Cipher, Error, Overlap, Phase, RingConfig, Schedule, ScheduleError, Timeline, Transitions};

pub use material::Material;
pub use published::Published;
pub use signer::RingSigner;
pub(crate) use version::Version;
pub use view::{RingView, VersionView};

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
    /// Serve what [`Ring::published`] answers from now on. The commit that stored the version
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

/// Whether the first version of a ring may sign at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstActivation {
    /// The tenant never published a signing key, so no verifier holds a set without this one.
    AtOnce,
    /// Verifiers may hold a set without this key: it is published for `activate-after` first.
    /// Without effect on rings whose keys are not published ahead: those that only encrypt, and
    /// those that rotate on request.
    AfterPublication,
}

/// A ring of key versions.
///
/// The ring decides, the caller acts: [`advance`](Self::advance) answers what is to be done,
/// [`next_deadline`](Self::next_deadline) when to ask again. The caller generates keys where it
/// likes, stores the ring ([`to_sealed`](Self::to_sealed)) guarded by a revision of its own, and
/// uses a change only when it is stored. A clone shares the keys, so a change is made on a clone
/// that replaces the ring once stored and is dropped otherwise.
///
/// # Time
/// The commit that creates a version fixes the times of its own activation and of its
/// predecessor's transitions; nothing that happens later moves them. The phase of a version is a
/// pure function of those times and of the later of `now` and the highest time ever stored. A late
/// caller, a sleeping machine or a clock that goes back therefore changes nothing that was
/// published.
///
/// ```
/// use keyward_transit::{Command, FirstActivation, Material, Phase, Ring, RingConfig};
/// use time::{Duration, macros::datetime};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
///
/// let config: RingConfig = serde_json::from_str(r#"{
///     "name": "spiffe-jwt", "cipher": "ecdsa-p256",
///     "auto-rotate": {"rotate-after": "30d", "activate-after": "1d",
///                     "deprecate-after": "2d", "invalidate-after": "2d"}}"#)?;
/// let start = datetime!(2026-03-01 00:00 UTC);
/// let mut ring = Ring::new(config, FirstActivation::AtOnce, start)?;
///
/// let mut now = start;
/// for _ in 0..2 {
///     for command in ring.advance(now) {
///         if let Command::Generate { cipher, version } = command {
///             ring.install(version, Material::generate(cipher, &mut rng)?, now)?;
///             // … store the ring here …
///         }
///     }
///     now = start + Duration::days(30);
/// }
/// assert_eq!(ring.phase(1, now), Some(Phase::Active));
/// assert_eq!(ring.phase(2, now), Some(Phase::Pending));
/// assert_eq!(ring.published(now).len(), 2);
/// assert_eq!(ring.next_deadline(now), Some(start + Duration::days(31)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    config: RingConfig,
    /// `config.auto_rotate`, checked.
    schedule: Option<Schedule>,
    first: FirstActivation,
    /// Since when the ring signs JWTs; sticky.
    signs_jwts_since: Option<OffsetDateTime>,
    /// The highest time ever stored.
    highest: OffsetDateTime,
    promises: Promises,
    /// Ascending and without gaps from number 1; a destroyed version keeps its place.
    versions: Vec<Version>,
}

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

/// The first moment that is neither before `at + after` nor before what was promised.
fn not_before(at: OffsetDateTime, after: Duration, promise: Option<OffsetDateTime>) -> OffsetDateTime {
    let time = at.saturating_add(after.to_time());
    promise.map_or(time, |promise| time.max(promise))
}

impl Ring {
    /// A ring without versions. [`advance`](Self::advance) asks for the first one.
    ///
    /// # Errors
    /// [`Error::Schedule`] when a verifier could notice a rotation; its text prints the timeline.
    pub fn new(config: RingConfig, first: FirstActivation, now: OffsetDateTime) -> Result<Self, Error> {
        Ok(Self {
            schedule: config.schedule()?,
            config,
            first,
            signs_jwts_since: None,
            highest: now.to_offset(time::UtcOffset::UTC),
            promises: Promises::default(),
            versions: Vec::new(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &RingConfig {
        &self.config
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.config.name
    }

    /// The cipher of every version.
    pub fn cipher(&self) -> Cipher {
        self.config.cipher
    }

    /// The schedule of `auto-rotate`.
    pub fn schedule(&self) -> Option<Schedule> {
        self.schedule
    }

    /// How versions of this ring overlap; `None` where a rotation activates at once: without
    /// `auto-rotate`, in a ring that signs no JWTs.
    pub fn overlap(&self) -> Option<Overlap> {
        let scheduled = self.schedule.map(|schedule| schedule.overlap());
        scheduled.or_else(|| self.signs_jwts().then(Overlap::default))
    }

    /// The life of a version, where it is determined.
    pub fn timeline(&self) -> Option<Timeline> {
        self.schedule.map(|schedule| schedule.timeline())
    }

    /// Whether the ring is, or was, a `jwt-signing-key`. Such a ring never encrypts.
    pub fn signs_jwts(&self) -> bool {
        self.signs_jwts_since.is_some()
    }

    /// Makes the ring fit to sign JWTs from now on. There is no way back: it never encrypts again,
    /// and a rotation on request overlaps 1d/2d/2d.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when its cipher does not sign.
    pub fn sign_jwts(&mut self, now: OffsetDateTime) -> Result<(), Error> {
        if !self.cipher().signs() {
            return Err(self.unsupported("sign"));
        }
        if self.signs_jwts_since.is_none() {
            self.observe(now);
            self.signs_jwts_since = Some(self.highest);
        }
        Ok(())
    }

    /// The later of `now` and the highest time ever stored: the time by which the ring decides.
    pub fn effective(&self, now: OffsetDateTime) -> OffsetDateTime {
        now.to_offset(time::UtcOffset::UTC).max(self.highest)
    }

    /// Raises the highest time stored to `now` and answers whether that changed it. Every other
    /// change of the ring does so too.
    pub fn observe(&mut self, now: OffsetDateTime) -> bool {
        let at = self.effective(now);
        let raised = at > self.highest;
        self.highest = at;
        raised
    }

    /// The phase of a version; `None` when there is no such version.
    pub fn phase(&self, version: u32, now: OffsetDateTime) -> Option<Phase> {
        Some(self.version(version)?.times.phase(self.effective(now)))
    }

    /// The times of a version that are fixed; `None` when there is no such version.
    pub fn transitions(&self, version: u32) -> Option<Transitions> {
        Some(self.version(version)?.times)
    }

    /// The number of the newest version, pending or not; 0 when there is none.
    pub fn newest_version(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number)
    }

    /// The number of the version that signs or encrypts.
    pub fn active_version(&self, now: OffsetDateTime) -> Option<u32> {
        Some(self.active(self.effective(now))?.number)
    }

    /// From when the ring can sign or encrypt, `None` while it has no version.
    pub fn first_activation(&self) -> Option<OffsetDateTime> {
        self.versions.first().map(|version| version.times.activates)
    }

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
    /// [`Error::Pending`] while a version is pending.
    pub fn rotate(&self, now: OffsetDateTime) -> Result<Command, Error> {
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
        let at = self.effective(now);
        self.refuse_pending(at)?;
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

        let activates = self.activation(at);
        let superseded = self.versions.last().map(|predecessor| self.superseded_by(predecessor.times, at));
        if let Some((predecessor, times)) = self.versions.last_mut().zip(superseded) {
            predecessor.times = times;
        }
        self.versions.push(Version {
            number: version,
            times: Transitions::new(at, activates),
            public,
            key: Some(material.0),
        });
        self.highest = at;
        Ok(Command::Publish { version })
    }

    /// Destroys the key of an invalid version, as [`Command::Destroy`] asked. Its number, times
    /// and public key stay on record.
    ///
    /// # Errors
    /// [`Error::StillNeeded`] unless the version is invalid and the ring cannot encrypt.
    pub fn destroy(&mut self, version: u32, now: OffsetDateTime) -> Result<(), Error> {
        let at = self.effective(now);
        let encrypts = self.cipher().encrypts();
        if let Some(found) = self.versions.iter_mut().find(|v| v.number == version) {
            if encrypts || found.times.phase(at) != Phase::Invalid {
                return Err(Error::StillNeeded { version });
            }
            found.key = None;
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
            version.key = None;
        }
        self.highest = at;
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
        if old.exportable && !new.exportable {
            return Err(immutable("exportable", &true, &false));
        }
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

    /// Checks that tokens of this life, signed from now on, verify until they expire, whichever
    /// version signs them and however slow the site: to be asked before such tokens are allowed.
    ///
    /// # Errors
    /// [`ScheduleError::InvalidatesTooSoon`] when the schedule is too short, with the timeline;
    /// [`ScheduleError::FixedTooSoon`] when a version that still signs has an end that an earlier
    /// schedule fixed.
    pub fn check_tokens(&self, longest_token_life: Duration, now: OffsetDateTime) -> Result<(), ScheduleError> {
        match self.schedule {
            Some(schedule) => schedule.validate(longest_token_life).map(drop)?,
            None => Overlap::default().check_tokens(longest_token_life)?,
        }
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

    fn generate(&self) -> Command {
        Command::Generate { cipher: self.cipher(), version: self.newest_version().saturating_add(1) }
    }

    /// When the next version is to be created: the first at once, a later one `rotate-after` after
    /// the previous one was created, but not while that one is pending or, as after an edit of the
    /// schedule, a third one is still published.
    fn creation_due(&self) -> Option<OffsetDateTime> {
        let Some(newest) = self.versions.last() else {
            return Some(self.highest);
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
    fn superseded_by(&self, mut times: Transitions, at: OffsetDateTime) -> Transitions {
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
        !self.cipher().encrypts() && version.key.is_some() && version.times.phase(at) == Phase::Invalid
    }

    pub(crate) fn version(&self, number: u32) -> Option<&Version> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.versions.get(index)
    }

    /// The active version at an effective time.
    pub(crate) fn active(&self, at: OffsetDateTime) -> Option<&Version> {
        self.versions.iter().rev().find(|v| v.times.phase(at).signs())
    }

    fn by_kid(&self, kid: &str) -> Option<&Version> {
        let has_kid = |v: &&Version| v.public.as_ref().is_some_and(|public| public.kid == kid);
        self.versions.iter().rev().find(has_kid)
    }

    pub(crate) fn unsupported(&self, operation: &'static str) -> Error {
        Error::Unsupported { operation, cipher: self.cipher() }
    }

    pub(crate) fn not_active(&self) -> Error {
        Error::NotActive { ring: self.name().to_string(), from: self.first_activation() }
    }
}
