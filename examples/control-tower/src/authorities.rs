//! The certificate authorities of a tenant: which there are, which one issues, and what it issues.

use std::{collections::BTreeMap, sync::Arc};

use keyward_config_values::Name;
use keyward_keys::{KeyType, PrivateKey, PublicKey};
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use keyward_svid::{
    pki_types::CertificateDer,
    x509::authority::{
        self, Authority, AuthorityRing, AuthorityVersion, CaConfig, IssuedSvid, IssuingAuthorities, KeyedSvid,
        LeafRequest,
    },
};
use keyward_transit::{
    CLOCK_SKEW, Cipher, Command, Compromised, FirstActivation, Kek, KekSet, RecordError, Replaced, RingSigner,
};
use time::{Duration, OffsetDateTime};

use crate::{
    app::{Actor, App, Commit},
    db::{Db, DbError, Stored},
    due,
    http::error::{Answer, ApiError},
    identity::Identity,
    layout,
    publication::{self, Publication},
    random,
    rings::{self, Kept, Note},
    store::Guard,
};

/// The authority that issues where `spiffe-settings` names no other: it is made at its first use, and configured only by who
/// wants it otherwise than by default.
pub const OWN: &str = "own";

/// How often it is looked again because another login, or another tower, was faster.
const TRIES: usize = 16;

impl Kept for AuthorityRing {
    type Key = PrivateKey;
    const KIND: &'static str = "authority";
    const ADVANCE: &'static str = "authority-advance";
    const ROTATE: &'static str = "authority-rotate";

    fn folder(tenant: &Name) -> String {
        layout::authorities(tenant)
    }

    fn open(keks: &KekSet, place: &str, record: &[u8]) -> Result<Self, RecordError> {
        Self::from_sealed(keks, place, record)
    }

    fn seal(&self, kek: &Kek, place: &str) -> Result<Vec<u8>, RecordError> {
        self.to_sealed(kek, place, &mut random::rng())
    }

    fn name(&self) -> &Name {
        AuthorityRing::name(self)
    }

    fn is_published(&self) -> bool {
        true
    }

    fn due(&self, now: OffsetDateTime) -> Vec<Command> {
        self.advance(now)
    }

    fn deadline(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.next_deadline(now)
    }

    fn rotation(&self, now: OffsetDateTime) -> Answer<Command> {
        Ok(self.rotate(now)?)
    }

    fn rotation_of_compromised(&self) -> Command {
        self.rotate_compromised()
    }

    fn generate(cipher: Cipher) -> Answer<PrivateKey> {
        let key_type = cipher.key_type().ok_or_else(|| ApiError::internal("an authority's cipher does not sign"))?;
        PrivateKey::generate(key_type).map_err(ApiError::internal)
    }

    fn install(&mut self, version: u32, key: PrivateKey, now: OffsetDateTime) -> Answer<()> {
        // Bundles are made from the store at each request: committing the authority is publishing it.
        let _publish = AuthorityRing::install(self, version, key, &mut random::rng(), now)?;
        Ok(())
    }

    fn install_compromised(
        &mut self,
        version: u32,
        key: PrivateKey,
        compromised: Compromised,
        now: OffsetDateTime,
    ) -> Answer<Replaced> {
        let rng = &mut random::rng();
        Ok(AuthorityRing::install_compromised(self, version, key, compromised, rng, now)?)
    }

    fn destroy(&mut self, version: u32, now: OffsetDateTime) -> Answer<()> {
        Ok(AuthorityRing::destroy(self, version, now)?)
    }

    fn notes(&self, now: OffsetDateTime) -> Vec<Note> {
        let note = |version: AuthorityVersion| Note {
            version: version.version,
            identifier: Some(("fingerprint", version.fingerprint)),
            destroyed: version.destroyed,
        };
        self.versions(now).into_iter().map(note).collect()
    }
}

/// The authorities that a tenant issues with, of one trust domain.
pub struct Authorities {
    issuing: Arc<IssuingAuthorities>,
    rings: BTreeMap<Name, Arc<AuthorityRing>>,
}

impl Authorities {
    /// Reads them. Those of another trust domain count for nothing: they are from before it was changed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(db: &Db, tenant: &Name, trust_domain: &TrustDomain) -> Result<Self, DbError> {
        let issuing = issuing(db, tenant).await?.map_or_else(Arc::default, |stored| stored.value);
        let mut rings = BTreeMap::new();
        for name in issuing.names() {
            if let Some(stored) = rings::load::<AuthorityRing>(db, tenant, name).await?
                && is_of(&stored.value, trust_domain)
            {
                rings.insert(name.clone(), stored.value);
            }
        }
        Ok(Self { issuing, rings })
    }

    /// Whether any was ever published.
    pub fn ever_published(&self) -> bool {
        self.issuing.ever_published() && !self.rings.is_empty()
    }

    /// The one that issues now.
    pub fn issuing(&self, now: OffsetDateTime) -> Option<&Name> {
        self.issuing.issuing(now).filter(|name| self.rings.contains_key(*name))
    }

    /// The certificates that verifiers need.
    pub fn published(&self, now: OffsetDateTime) -> Vec<CertificateDer<'static>> {
        self.issuing.published(self.at_hand(), now)
    }

    /// When those changed by time alone.
    pub fn published_changed_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.issuing.published_changed_at(self.at_hand(), now)
    }

    /// For how many seconds verifiers may keep them.
    pub fn max_age(&self, now: OffsetDateTime) -> Option<u64> {
        self.issuing.max_age(self.at_hand(), now).map(|age| age.as_secs())
    }

    fn authority(&self, now: OffsetDateTime) -> Result<Authority<RingSigner>, authority::Error> {
        self.issuing.authority(self.at_hand(), now)
    }

    fn at_hand<'s>(&'s self) -> impl Fn(&Name) -> Option<&'s AuthorityRing> {
        |name| self.rings.get(name).map(|ring| &**ring)
    }
}

/// Whether an authority issues for a trust domain.
pub fn is_of(ring: &AuthorityRing, trust_domain: &TrustDomain) -> bool {
    ring.trust_domain().as_str() == trust_domain.as_str()
}

/// Which authority issues for a tenant.
///
/// # Errors
/// Those of the store.
pub async fn issuing(db: &Db, tenant: &Name) -> Result<Option<Stored<Arc<IssuingAuthorities>>>, DbError> {
    db.load(&layout::issuing_authorities(tenant), IssuingAuthorities::from_record).await
}

/// An X.509-SVID with a key made for it, and the authority that it is of.
pub struct Issued {
    /// The SVID.
    pub svid: KeyedSvid,
    /// The name of its authority.
    pub authority: Name,
    /// The certificate of the authority that it is of.
    pub issuer: CertificateDer<'static>,
}

/// An X.509-SVID for a key that its owner keeps.
pub struct IssuedForKey {
    /// The SVID.
    pub svid: IssuedSvid,
    /// The name of its authority.
    pub authority: Name,
    /// The certificate of the authority that it is of.
    pub issuer: CertificateDer<'static>,
}

/// Issues an X.509-SVID that lives until a moment; the first time with the tenant's own authority, which is made for it.
///
/// # Errors
/// 422 when the ID is none that is issued, 503 while the authority is published but does not sign yet.
pub async fn issue(
    app: &App,
    identity: &Identity,
    id: &SpiffeId,
    trust_domain: &TrustDomain,
    until: OffsetDateTime,
) -> Answer<Issued> {
    let key = PrivateKey::generate(KeyType::EcdsaP256).map_err(authority::Error::from)?;
    let IssuedForKey { svid, authority, issuer } =
        issue_for_key(app, identity, id, trust_domain, until, key.public_key()).await?;
    Ok(Issued { svid: svid.with_key(key)?, authority, issuer })
}

/// As [`issue`], for a key that its owner keeps.
///
/// # Errors
/// As there.
pub async fn issue_for_key(
    app: &App,
    identity: &Identity,
    id: &SpiffeId,
    trust_domain: &TrustDomain,
    until: OffsetDateTime,
    key: &PublicKey,
) -> Answer<IssuedForKey> {
    for _ in 0..TRIES {
        let authorities = Authorities::load(&app.db, identity.tenant(), trust_domain).await?;
        // Read again each time: an authority that is made meanwhile is younger than the login.
        let now = now_or_just_published(app, identity.tenant()).await?;
        match sign(&authorities, id, until, key, now) {
            Ok(issued) => return Ok(issued),
            // There is none yet, or nobody was there to renew it before it ended.
            Err(authority::Error::NoAuthority | authority::Error::Ended { .. }) => {
                make(app, identity, trust_domain).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::unavailable("the authority is being changed by others all the time; try again"))
}

/// The time by this clock, or that of the last change of what is published, where another tower's clock is a little ahead.
async fn now_or_just_published(app: &App, tenant: &Name) -> Answer<OffsetDateTime> {
    let now = app.clock.now();
    let publication = Publication::load(&app.db, tenant).await?.map(|stored| *stored.value);
    let at = Publication::effective(publication, now);
    Ok(if at - now <= CLOCK_SKEW.to_time() { at } else { now })
}

fn sign(
    authorities: &Authorities,
    id: &SpiffeId,
    until: OffsetDateTime,
    key: &PublicKey,
    now: OffsetDateTime,
) -> Result<IssuedForKey, authority::Error> {
    let ttl = Duration::seconds(until.unix_timestamp() - now.unix_timestamp());
    let authority = authorities.authority(now)?;
    let name = authorities.issuing(now).ok_or(authority::Error::NoAuthority)?.clone();
    let request = LeafRequest::new(id.clone(), key, ttl)?;
    let svid = authority.issue(&request, &mut random::rng(), now)?;
    Ok(IssuedForKey { svid, authority: name, issuer: authority.certificate().clone() })
}

/// Makes the authority that is to issue and has no certificate that it could issue with. Nobody can verify with what was there
/// before, if anything was, so that it signs at once. Somebody else may be faster.
async fn make(app: &App, identity: &Identity, trust_domain: &TrustDomain) -> Answer<()> {
    let now = app.clock.now();
    let tenant = identity.tenant();
    let name = identity.issuing_authority()?;
    let stored = rings::load::<AuthorityRing>(&app.db, tenant, &name).await?;
    let stored_issuing = issuing(&app.db, tenant).await?;
    let before = Authorities::load(&app.db, tenant, trust_domain).await?;
    let mut issuing = match &stored_issuing {
        Some(stored) if before.ever_published() => IssuingAuthorities::clone(&stored.value),
        _ => IssuingAuthorities::default(),
    };
    let usable = stored.as_ref().is_some_and(|stored| {
        is_of(&stored.value, trust_domain) && stored.value.authority(now).is_ok_and(|it| it.not_after() > now)
    });
    let mut ring = match &stored {
        Some(stored) if usable => AuthorityRing::clone(&stored.value),
        _ => {
            let config = stored.as_ref().map_or_else(|| CaConfig::new(name), |stored| stored.value.config().clone());
            AuthorityRing::new(config, trust_domain.clone(), FirstActivation::AtOnce, now)?
        }
    };
    for command in ring.due(now) {
        rings::perform(app, &mut ring, command).await?;
    }
    // Making a key took its time.
    let now = app.clock.now();
    issuing.switch(&mut ring, before.at_hand(), now)?;

    let issuing_key = layout::issuing_authorities(tenant);
    let mut guards = vec![
        rings::guard(tenant, ring.name(), stored.as_ref()),
        stored_issuing.map_or_else(|| Guard::Absent(issuing_key.clone()), |stored| stored.guard()),
    ];
    let record = issuing.to_record().map_err(ApiError::internal)?;
    let mut writes = rings::put(app, tenant, &ring)?;
    writes.extend(due::entry(tenant, &issuing_key, now));
    writes.push(app.db.put(issuing_key, &record)?);
    publication::changes(app, tenant, now).await?.add_to(&mut guards, &mut writes);
    identity.claim_trust_domain(app, trust_domain, &mut guards, &mut writes).await?;
    let mut audit = Actor::task(tenant, "issue").did("authority-make", now).with("authority", ring.name().as_str());
    if let Some((name, value)) = ring.notes(now).pop().and_then(|note| note.identifier) {
        audit = audit.with(name, value);
    }
    if let Commit::Conflict = app.commit(guards, writes, audit).await? {
        tracing::debug!("another login made the authority");
    }
    Ok(())
}
