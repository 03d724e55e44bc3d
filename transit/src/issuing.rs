//! Which ring signs the JWTs of a tenant, and which ones its verifiers still need.

use keyward_config_values::{Duration, Name};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

use crate::seal::{check_format, to_json};
use crate::{Error, FirstActivation, Overlap, Published, RecordError, Ring, RingSigner, ScheduleError};

/// The format written.
const FORMAT: u32 = 1;
const EXPECTED: &str = "issuing state";

/// Which ring signs the JWTs of a tenant (its `jwt-signing-key`), and which former ones its verifiers still need.
///
/// When the setting is changed to another ring, both are published at once; the new one signs after its
/// `activate-after`, and the old one stays until the last token that a tower or a cut-off site may have signed with it
/// has expired. The state holds names and times, never keys; the rings are looked up by the closure that every call
/// takes. Like a ring it decides by the later of `now` and the highest time stored, and a change counts when it is
/// stored.
///
/// ```
/// use keyward_keys::Signer;
/// use keyward_transit::{Issuing, Material, Ring, RingConfig};
/// use time::{Duration, macros::datetime};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let now = datetime!(2026-03-01 00:00 UTC);
/// let mut issuing = Issuing::default();
/// let mut ring = |name: &str, issuing: &Issuing| {
///     let config = serde_json::from_value(serde_json::json!({"name": name, "cipher": "ecdsa-p256"})).unwrap();
///     let mut ring = Ring::new(config, issuing.first_activation(), now).unwrap();
///     ring.install(1, Material::generate(ring.cipher(), &mut rng).unwrap(), now).unwrap();
///     ring
/// };
/// let mut old = ring("old", &issuing);
/// issuing.switch(&mut old, |_| None, now)?;
/// assert!(issuing.select(|_| Some(&old), now).is_ok());
///
/// // Another ring: published at once, signs a day later.
/// let mut new = ring("new", &issuing);
/// issuing.switch(&mut new, |_| Some(&old), now)?;
/// let rings = |name: &_| [&old, &new].into_iter().find(|ring| ring.name() == name);
/// assert_eq!(issuing.published(rings, now).len(), 2);
/// assert_eq!(issuing.signing_ring(now), Some(old.name()));
/// assert_eq!(issuing.signing_ring(now + Duration::days(1)), Some(new.name()));
/// # Ok::<(), keyward_transit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Issuing {
    /// The highest time ever stored; `None` until the first key was published.
    highest: Option<OffsetDateTime>,
    /// In the order in which they were chosen.
    terms: Vec<Term>,
}

/// The term of office of one ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Term {
    ring: Name,
    /// From when every key set that verifiers may hold has the ring.
    #[serde(with = "time::serde::rfc3339")]
    known: OffsetDateTime,
    /// From when it signs at towers; `None` when it was replaced before.
    #[serde(with = "time::serde::rfc3339::option")]
    signs: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Replaced>,
}

/// How the term of a ring ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Replaced {
    /// From when no tower signs with it.
    #[serde(with = "time::serde::rfc3339")]
    towers: OffsetDateTime,
    /// From when no site signs with it either.
    #[serde(with = "time::serde::rfc3339")]
    sites: OffsetDateTime,
    /// How long its last token may live, with skew.
    invalidate_after: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    format: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    highest: Option<OffsetDateTime>,
    terms: Vec<Term>,
}

impl Issuing {
    /// How the first version of a ring that is created now activates: at once as long as the tenant never published
    /// a signing key.
    pub fn first_activation(&self) -> FirstActivation {
        if self.ever_published() { FirstActivation::AfterPublication } else { FirstActivation::AtOnce }
    }

    /// Whether the tenant ever published a signing key. Until then its key set endpoint has nothing to answer, so
    /// that no verifier caches an empty set.
    pub fn ever_published(&self) -> bool {
        self.highest.is_some()
    }

    /// Makes `to` the ring that signs, and answers whether that changed anything. The ring is marked as one that
    /// signs JWTs, so both are to be stored in one commit.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the ring does not sign, [`Error::NotActive`] when it has no version yet: a version
    /// is stored before it is published.
    pub fn switch<'r>(
        &mut self,
        to: &mut Ring,
        rings: impl Fn(&Name) -> Option<&'r Ring>,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let at = self.effective(now);
        if self.current().is_some_and(|term| term.ring == *to.name()) {
            return Ok(false);
        }
        let Some(first_activation) = to.first_activation() else {
            return Err(to.not_active());
        };
        to.sign_jwts(now)?;

        let present = self.terms.iter().position(|term| term.ring == *to.name());
        let present = present.map(|index| self.terms.remove(index)).filter(|term| !term.is_over(&rings, at));
        let known = match present {
            Some(term) => term.known,
            None if !self.ever_published() => at,
            None => {
                // Copies of the key set without the ring: as old as what was served until now allows, under schedules edited since
                // too.
                let served = self.terms.iter().filter_map(|term| rings(&term.ring));
                let stale = served.flat_map(|ring| {
                    let stale = at.saturating_add(overlap_of(ring).stale_copies().to_time());
                    [Some(stale), ring.promises().activates].into_iter().flatten()
                });
                let ahead = at.saturating_add(overlap_of(to).activate_after().to_time());
                stale.fold(ahead, Ord::max)
            }
        };
        let signs = at.max(known).max(first_activation);
        self.replace_current(signs, &rings, at);
        self.terms.push(Term { ring: to.name().clone(), known, signs: Some(signs), replaced: None });
        self.highest = Some(at);
        Ok(true)
    }

    /// Ends signing: there is no `jwt-signing-key` any more. What was published stays until the last token has
    /// expired. Answers whether that changed anything.
    pub fn retire<'r>(&mut self, rings: impl Fn(&Name) -> Option<&'r Ring>, now: OffsetDateTime) -> bool {
        if self.current().is_none() {
            return false;
        }
        let at = self.effective(now);
        self.replace_current(at, &rings, at);
        self.highest = Some(at);
        true
    }

    /// Every ring that the state names: what the closures of the other calls are asked for.
    pub fn rings(&self) -> impl Iterator<Item = &Name> {
        self.terms.iter().map(|term| &term.ring)
    }

    /// The ring that signs, or will as soon as verifiers know it: what `jwt-signing-key` names.
    pub fn current_ring(&self) -> Option<&Name> {
        self.current().map(|term| &term.ring)
    }

    /// The ring that signs now.
    pub fn signing_ring(&self, now: OffsetDateTime) -> Option<&Name> {
        let at = self.effective(now);
        self.terms.iter().rev().find(|term| term.signs_at(at)).map(|term| &term.ring)
    }

    /// The version that signs JWTs at a tower.
    ///
    /// # Errors
    /// [`Error::NoSigningRing`] without a `jwt-signing-key` or when its ring is not at hand, [`Error::NotActive`] while
    /// verifiers do not know it yet and no former ring signs, and as [`Ring::signer`].
    pub fn select<'r>(
        &self,
        rings: impl Fn(&Name) -> Option<&'r Ring>,
        now: OffsetDateTime,
    ) -> Result<RingSigner, Error> {
        self.signing(rings, now)?.signer(now)
    }

    /// The version that signs JWTs at a site with a replica of this state and its rings.
    ///
    /// # Errors
    /// As [`select`](Self::select), and [`Error::CutOff`] as [`Ring::signer_cut_off`].
    pub fn select_cut_off<'r>(
        &self,
        rings: impl Fn(&Name) -> Option<&'r Ring>,
        last_contact: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<RingSigner, Error> {
        self.signing(rings, now)?.signer_cut_off(last_contact, now)
    }

    /// The keys of the tenant's key set: those of every ring that verifiers need.
    pub fn published<'r>(&self, rings: impl Fn(&Name) -> Option<&'r Ring>, now: OffsetDateTime) -> Vec<Published> {
        self.needed(&rings, now).flat_map(|ring| ring.published(now)).collect()
    }

    /// The latest time by `now` at which what [`published`](Self::published) answers changed: because this state was changed
    /// and stored, a version appeared or became invalid, or a ring was needed no more. `None` before the first key.
    /// It never goes back while the state and the rings stay as they are and time passes.
    pub fn published_changed_at<'r>(
        &self,
        rings: impl Fn(&Name) -> Option<&'r Ring>,
        now: OffsetDateTime,
    ) -> Option<OffsetDateTime> {
        let at = self.effective(now);
        let versions = self.terms.iter().filter_map(|term| rings(&term.ring)?.published_changed_at(at));
        let ends = self.terms.iter().filter_map(|term| term.over(&rings)).filter(|over| *over <= at);
        versions.chain(ends).chain(self.highest).max()
    }

    /// The `max-age` of the tenant's key set; `None` while there is none.
    pub fn max_age<'r>(&self, rings: impl Fn(&Name) -> Option<&'r Ring>, now: OffsetDateTime) -> Option<Duration> {
        self.needed(&rings, now).map(Ring::max_age).min()
    }

    /// Whether verifiers need this ring, so that it cannot be deleted.
    pub fn needs<'r>(&self, ring: &Name, rings: impl Fn(&Name) -> Option<&'r Ring>, now: OffsetDateTime) -> bool {
        let at = self.effective(now);
        self.terms.iter().any(|term| term.ring == *ring && !term.is_over(&rings, at))
    }

    /// From when verifiers need this ring no more; `None` as long as no other one was chosen.
    pub fn needed_until<'r>(&self, ring: &Name, rings: impl Fn(&Name) -> Option<&'r Ring>) -> Option<OffsetDateTime> {
        self.terms.iter().find(|term| term.ring == *ring)?.over(&rings)
    }

    /// Checks that tokens of this life verify until they expire, whichever ring signs them: see
    /// [`Ring::check_tokens`].
    ///
    /// # Errors
    /// Those of [`Ring::check_tokens`].
    pub fn check_tokens<'r>(
        &self,
        longest_token_life: Duration,
        rings: impl Fn(&Name) -> Option<&'r Ring>,
        now: OffsetDateTime,
    ) -> Result<(), ScheduleError> {
        let at = self.effective(now);
        let signing = self.terms.iter().filter(|term| term.replaced.as_ref().is_none_or(|r| r.towers > at));
        let mut signing = signing.filter_map(|term| rings(&term.ring));
        signing.try_for_each(|ring| ring.check_tokens(longest_token_life, now))
    }

    /// Forgets the rings that nobody needs any more, and answers whether there were any.
    pub fn advance<'r>(&mut self, rings: impl Fn(&Name) -> Option<&'r Ring>, now: OffsetDateTime) -> bool {
        let at = self.effective(now);
        let before = self.terms.len();
        self.terms.retain(|term| !term.is_over(&rings, at));
        let changed = self.terms.len() < before;
        if changed {
            self.highest = Some(at);
        }
        changed
    }

    /// When the next handover happens, or a ring can be forgotten ([`advance`](Self::advance)); `now` when one can be
    /// already.
    pub fn next_deadline<'r>(
        &self,
        rings: impl Fn(&Name) -> Option<&'r Ring>,
        now: OffsetDateTime,
    ) -> Option<OffsetDateTime> {
        let at = self.effective(now);
        let handovers = self.terms.iter().filter_map(|term| term.signs).filter(|signs| *signs > at);
        let ends =
            self.terms.iter().filter_map(|term| term.over(&rings)).map(|over| if over <= at { now } else { over });
        handovers.chain(ends).min()
    }

    /// The state as a record to be stored: JSON with a format number, without secrets.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] when a time lies before the year 0.
    pub fn to_record(&self) -> Result<Vec<u8>, RecordError> {
        let record = Record { format: FORMAT, highest: self.highest, terms: self.terms.clone() };
        Ok(std::mem::take(&mut *to_json(&record, EXPECTED)?))
    }

    /// The state in a record.
    ///
    /// # Errors
    /// [`RecordError::UnknownFormat`] when a newer release wrote it, [`RecordError::Malformed`] when it holds no such
    /// state.
    pub fn from_record(record: &[u8]) -> Result<Self, RecordError> {
        check_format(record, FORMAT, EXPECTED)?;
        let Record { highest, terms, .. } = serde_json::from_slice(record)
            .map_err(|_| RecordError::Malformed { expected: EXPECTED, reason: "it has other members" })?;
        Ok(Self { highest, terms })
    }

    fn effective(&self, now: OffsetDateTime) -> OffsetDateTime {
        let now = now.to_offset(UtcOffset::UTC);
        self.highest.map_or(now, |highest| highest.max(now))
    }

    fn current(&self) -> Option<&Term> {
        self.terms.last().filter(|term| term.replaced.is_none())
    }

    /// Ends the terms of all rings that still sign, as from `towers` on.
    fn replace_current<'r>(
        &mut self,
        towers: OffsetDateTime,
        rings: &impl Fn(&Name) -> Option<&'r Ring>,
        at: OffsetDateTime,
    ) {
        for term in &mut self.terms {
            match &mut term.replaced {
                // It was about to hand over to a ring that is replaced itself before it signs.
                Some(replaced) if replaced.towers > at => {
                    replaced.towers = towers;
                    replaced.sites = replaced.sites.max(towers);
                }
                Some(_) => {}
                None => {
                    let ring = rings(&term.ring);
                    let overlap = ring.map(overlap_of).unwrap_or_default();
                    // Sites that do not know of an edited schedule go by the former one.
                    let promises = ring.map(Ring::promises).unwrap_or_default();
                    let sites = at.saturating_add(overlap.cut_off_allowance().to_time()).max(towers);
                    let sites = promises.deprecated.map_or(sites, |promise| promise.max(sites));
                    let promised = promises.invalid.and_then(|invalid| seconds(invalid - sites));
                    let invalidate_after =
                        promised.map_or(overlap.invalidate_after(), |p| p.max(overlap.invalidate_after()));
                    term.replaced = Some(Replaced { towers, sites, invalidate_after });
                }
            }
            // What verifiers do not know yet never begins to sign: they would learn of it from nobody.
            term.signs = term.signs.filter(|signs| *signs <= at);
        }
    }

    fn signing<'r>(&self, rings: impl Fn(&Name) -> Option<&'r Ring>, now: OffsetDateTime) -> Result<&'r Ring, Error> {
        match self.signing_ring(now) {
            Some(name) => rings(name).ok_or(Error::NoSigningRing),
            None => Err(self.current().map_or(Error::NoSigningRing, |term| Error::NotActive {
                ring: term.ring.to_string(),
                from: term.signs,
            })),
        }
    }

    /// The rings at hand that verifiers need.
    fn needed<'r>(
        &self,
        rings: &impl Fn(&Name) -> Option<&'r Ring>,
        now: OffsetDateTime,
    ) -> impl Iterator<Item = &'r Ring> {
        let at = self.effective(now);
        self.terms.iter().filter(move |term| !term.is_over(rings, at)).filter_map(|term| rings(&term.ring))
    }
}

impl Term {
    fn signs_at(&self, at: OffsetDateTime) -> bool {
        let began = self.signs.is_some_and(|signs| signs <= at);
        began && self.replaced.as_ref().is_none_or(|replaced| at < replaced.towers)
    }

    /// From when nobody needs the ring; `None` while it has not been replaced.
    fn over<'r>(&self, rings: &impl Fn(&Name) -> Option<&'r Ring>) -> Option<OffsetDateTime> {
        let replaced = self.replaced.as_ref()?;
        // Longer tokens may have been allowed since, under a schedule edited since.
        let edited = rings(&self.ring).map(|ring| overlap_of(ring).invalidate_after());
        let after = edited.map_or(replaced.invalidate_after, |edited| edited.max(replaced.invalidate_after));
        Some(replaced.sites.saturating_add(after.to_time()))
    }

    fn is_over<'r>(&self, rings: &impl Fn(&Name) -> Option<&'r Ring>, at: OffsetDateTime) -> bool {
        self.over(rings).is_some_and(|over| over <= at)
    }
}

/// A positive span in whole seconds, rounded up.
fn seconds(span: time::Duration) -> Option<Duration> {
    let whole = u64::try_from(span.whole_seconds()).ok()?.saturating_add(u64::from(span.subsec_nanoseconds() > 0));
    Duration::from_secs(whole).ok()
}

fn overlap_of(ring: &Ring) -> Overlap {
    ring.overlap().unwrap_or_default()
}
