//! Which authority issues for a tenant, and which ones its verifiers still need.

use keyward_config_values::{Duration, Name};
use keyward_transit::{CLOCK_SKEW, FirstActivation, Issuing, RecordError, Ring, RingSigner};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use super::AuthorityRing;
use crate::x509::authority::{Authority, Error};

/// Which authority issues the X.509-SVIDs of a tenant (its `issuing-ca`), and which former ones its verifiers still need.
///
/// It is to authorities what [`Issuing`] is to the rings that sign JWTs, and decides as that does: when the setting is
/// changed to another authority, both are published at once; the new one signs a day later, and the old one stays until
/// the last SVID that it issued is over. The state holds names and times, never keys; the authorities are looked up by
/// the closure that every call takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IssuingAuthorities(Issuing);

impl IssuingAuthorities {
    /// How the first version of an authority that is created now activates: see [`Issuing::first_activation`].
    pub fn first_activation(&self) -> FirstActivation {
        self.0.first_activation()
    }

    /// Whether the tenant ever published an authority.
    pub fn ever_published(&self) -> bool {
        self.0.ever_published()
    }

    /// Makes `to` the authority that issues, and answers whether that changed anything. Both are to be stored in one
    /// commit.
    ///
    /// # Errors
    /// [`Error::Ring`] when it has no version yet: a version is stored before it is published.
    pub fn switch<'r>(
        &mut self,
        to: &mut AuthorityRing,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        Ok(self.0.switch(&mut to.ring, rings(&authorities), now)?)
    }

    /// Ends issuing: there is no `issuing-ca` any more. What was published stays until the last SVID is over. Answers
    /// whether that changed anything.
    pub fn retire<'r>(
        &mut self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> bool {
        self.0.retire(rings(&authorities), now)
    }

    /// Every authority that the state names: what the closures of the other calls are asked for.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.rings()
    }

    /// The authority that issues, or will as soon as verifiers know it: what `issuing-ca` names.
    pub fn current(&self) -> Option<&Name> {
        self.0.current_ring()
    }

    /// The authority that issues now.
    pub fn issuing(&self, now: OffsetDateTime) -> Option<&Name> {
        self.0.signing_ring(now)
    }

    /// The version that issues, as [`AuthorityRing::authority`] answers it.
    ///
    /// # Errors
    /// [`Error::NoAuthority`] without an `issuing-ca` or when it is not at hand; [`Error::Ring`] while verifiers do not
    /// know it yet and no former one issues.
    pub fn authority<'r>(
        &self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> Result<Authority<RingSigner>, Error> {
        let Some(name) = self.0.signing_ring(now) else {
            return Err(match self.0.select(rings(&authorities), now) {
                Err(not_active @ keyward_transit::Error::NotActive { .. }) => not_active.into(),
                _ => Error::NoAuthority,
            });
        };
        let authority = authorities(name).ok_or(Error::NoAuthority)?.authority(now)?;
        Ok(match self.0.needed_until(name, rings(&authorities)) {
            Some(until) => authority.with_end(until.saturating_sub(CLOCK_SKEW.to_time())),
            None => authority,
        })
    }

    /// The certificates of the tenant's bundle: those of every authority that verifiers need.
    pub fn published<'r>(
        &self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> Vec<CertificateDer<'static>> {
        let needed = self.0.rings().filter(|name| self.0.needs(name, rings(&authorities), now));
        needed.filter_map(&authorities).flat_map(|authority| authority.published(now)).collect()
    }

    /// The latest time by `now` at which what [`published`](Self::published) answers changed: see
    /// [`Issuing::published_changed_at`].
    pub fn published_changed_at<'r>(
        &self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> Option<OffsetDateTime> {
        self.0.published_changed_at(rings(&authorities), now)
    }

    /// The longest `max-age`, and the longest refresh hint, of the tenant's bundle; `None` while there is none.
    pub fn max_age<'r>(
        &self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> Option<Duration> {
        self.0.max_age(rings(&authorities), now)
    }

    /// Whether verifiers need this authority, so that it cannot be deleted.
    pub fn needs<'r>(
        &self,
        name: &Name,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> bool {
        self.0.needs(name, rings(&authorities), now)
    }

    /// Forgets the authorities that nobody needs any more, and answers whether there were any.
    pub fn advance<'r>(
        &mut self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> bool {
        self.0.advance(rings(&authorities), now)
    }

    /// When the next handover happens, or an authority can be forgotten; `now` when one can be already.
    pub fn next_deadline<'r>(
        &self,
        authorities: impl Fn(&Name) -> Option<&'r AuthorityRing>,
        now: OffsetDateTime,
    ) -> Option<OffsetDateTime> {
        self.0.next_deadline(rings(&authorities), now)
    }

    /// The state as a record to be stored: JSON with a format number, without secrets.
    ///
    /// # Errors
    /// As [`Issuing::to_record`].
    pub fn to_record(&self) -> Result<Vec<u8>, RecordError> {
        self.0.to_record()
    }

    /// The state in a record.
    ///
    /// # Errors
    /// As [`Issuing::from_record`].
    pub fn from_record(record: &[u8]) -> Result<Self, RecordError> {
        Issuing::from_record(record).map(Self)
    }
}

/// The rings of the authorities.
fn rings<'r>(authorities: &impl Fn(&Name) -> Option<&'r AuthorityRing>) -> impl Fn(&Name) -> Option<&'r Ring> {
    |name| authorities(name).map(|authority| &authority.ring)
}
