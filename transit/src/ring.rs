//! A ring of key versions: a machine without I/O.

mod backup;
mod compromised;
mod export;
mod material;
mod published;
mod record;
mod rotation;
mod settings;
mod signer;
mod version;
mod view;

use keyward_config_values::Name;
use time::OffsetDateTime;

use crate::{Cipher, Error, Overlap, Phase, RingConfig, Schedule, Timeline, Transitions};

pub use compromised::{Compromised, Replaced};
pub use export::{Export, Exported, ExportedKey, VaultFormat};
pub(crate) use material::Key;
pub use material::Material;
pub use published::Published;
pub(crate) use record::encode;
pub use rotation::Command;
pub(crate) use settings::{LowestVersions, Promises};
pub use signer::RingSigner;
pub(crate) use version::Version;
pub(crate) use view::pem;
pub use view::{RingView, VersionView};

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
    lowest: LowestVersions,
    /// Ascending and without gaps from number 1; a destroyed version keeps its place.
    versions: Vec<Version>,
}

impl Ring {
    /// A ring without versions. [`advance`](Self::advance) asks for the first one.
    ///
    /// # Errors
    /// [`Error::Options`] when options do not go together, [`Error::Schedule`] when a verifier could notice a rotation;
    /// its text prints the timeline.
    pub fn new(config: RingConfig, first: FirstActivation, now: OffsetDateTime) -> Result<Self, Error> {
        config.check_options()?;
        Ok(Self {
            schedule: config.schedule()?,
            config,
            first,
            signs_jwts_since: None,
            highest: now.to_offset(time::UtcOffset::UTC),
            promises: Promises::default(),
            lowest: LowestVersions::default(),
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

    /// Whether the key of a version has been destroyed.
    pub fn is_destroyed(&self, version: u32) -> bool {
        self.version(version).is_some_and(|version| version.key.is_none())
    }

    /// The times of a version that are fixed; `None` when there is no such version.
    pub fn transitions(&self, version: u32) -> Option<Transitions> {
        Some(self.version(version)?.times)
    }

    /// The key ID of a version, whatever its phase; `None` when there is no such version or its key is symmetric.
    pub fn kid(&self, version: u32) -> Option<&str> {
        Some(self.version(version)?.public.as_ref()?.kid.as_str())
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

    pub(crate) fn promises(&self) -> Promises {
        self.promises
    }

    /// The lowest version that decrypts and verifies.
    pub fn min_decryption_version(&self) -> u32 {
        self.lowest.decryption
    }

    /// The lowest version that may be asked to encrypt, sign or make an HMAC, if one is set.
    pub fn min_encryption_version(&self) -> Option<u32> {
        self.lowest.encryption
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
