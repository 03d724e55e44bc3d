//! The identities of hosts: given when they are claimed, renewed, and worth nothing from the moment at which a host is released or
//! removed, whatever is left of their lives.

use std::sync::Arc;

use keyward_callhome_cert::{HOST_TTL, HostIdentity, HostPath, HostRecord, Refusal};
use keyward_config_values::Name;
use keyward_keys::PublicKey;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::{
    pki_types::CertificateDer,
    x509::{self, Purpose, X509Verifier, X509VerifyOptions},
};
use time::OffsetDateTime;

use crate::{
    app::{Actor, App, Commit},
    audit::AuditRecord,
    authorities::{self, IssuedForKey},
    bundle, federation,
    http::error::{Answer, ApiError},
    identity::Identity,
    layout,
    store::{Guard, Write},
    tenant::Tenant,
};

/// How often it is issued again because the host called, or was changed, meanwhile.
const TRIES: usize = 16;

/// A host that showed its SVID on the connection, and is registered.
pub struct Registered {
    /// Its ID.
    pub id: SpiffeId,
    /// Which host it is.
    pub path: HostPath,
}

/// Why somebody is no host.
pub enum NoHost {
    /// What was presented is no SVID of this trust domain, or not a host's.
    Svid(String),
    /// The host is not registered, or not with this key, or its SVID is over.
    Host(Refusal),
}

/// Which host it is that presents this chain, whose key's possession the handshake proved.
///
/// # Errors
/// Those of the store.
pub async fn identify(app: &App, chain: &[CertificateDer<'static>]) -> Answer<Result<Registered, NoHost>> {
    let now = app.clock.now();
    let tenant = operators(app).await?;
    let Some(published) = bundle::published(app, &tenant, now).await? else {
        return Ok(Err(NoHost::Svid("this tower has issued no SVID as yet".to_owned())));
    };
    let mut options = X509VerifyOptions::default();
    options.purpose = Purpose::Svid;
    let (verifier, bundle) = (X509Verifier::new(options), published.bundle.x509());
    let (verified, expired) = match verifier.verify(chain, bundle, now) {
        // That it is over is told to whom it was given, not to whoever made one that looks like it.
        Err(x509::Error::Expired { not_after, .. }) => (verifier.verify(chain, bundle, not_after), Some(not_after)),
        verified => (verified, None),
    };
    let svid = match verified {
        Ok(svid) => svid,
        Err(error) => return Ok(Err(NoHost::Svid(error.to_string()))),
    };
    let Some(path) = HostPath::of(svid.id()) else {
        return Ok(Err(NoHost::Svid(format!("`{}` is no host's ID", svid.id()))));
    };
    if let Some(not_after) = expired {
        return Ok(Err(NoHost::Host(Refusal::SvidExpired { not_after })));
    }
    let record = app.db.load(&layout::host(&app.operators, path.host()), HostRecord::from_record).await?;
    let known = record.as_ref().map(|stored| &*stored.value);
    if let Err(refusal) = path.check(known, &svid.public_key().thumbprint()) {
        return Ok(Err(NoHost::Host(refusal)));
    }
    Ok(Ok(Registered { id: svid.id().clone(), path }))
}

/// Whether an ID still counts, as far as this tower's hosts are concerned: those of others always do. `leaf` is the certificate
/// that it stands in, if it does in one.
///
/// # Errors
/// Those of the store.
pub async fn standing(app: &App, id: &SpiffeId, leaf: Option<&CertificateDer<'_>>) -> Answer<Result<(), Refusal>> {
    let Some(path) = HostPath::of(id) else { return Ok(Ok(())) };
    let own = federation::own_trust_domain(app, &app.operators).await?;
    if own.is_none_or(|own| !id.is_member_of(&own)) {
        return Ok(Ok(()));
    }
    let record = app.db.load(&layout::host(&app.operators, path.host()), HostRecord::from_record).await?;
    let known = record.as_ref().map(|stored| &*stored.value);
    let key = match leaf {
        Some(leaf) => keyward_svid::x509::peek_key(leaf).map(|key| key.thumbprint()).unwrap_or_default(),
        None => known.map(|record| record.key().to_owned()).unwrap_or_default(),
    };
    Ok(path.check(known, &key))
}

/// Whether what was had by an ID at that moment still counts, as far as this tower's hosts are concerned: not once the host is released or
/// removed, nor of the machine that had the host-id before.
///
/// # Errors
/// Those of the store.
pub async fn stands_since(app: &App, id: &SpiffeId, since: OffsetDateTime) -> Answer<bool> {
    if standing(app, id, None).await?.is_err() {
        return Ok(false);
    }
    let Some(path) = HostPath::of(id) else { return Ok(true) };
    let record = app.db.load(&layout::host(&app.operators, path.host()), HostRecord::from_record).await?;
    Ok(record.is_none_or(|record| record.value.first_seen().unix_timestamp() <= since.unix_timestamp()))
}

/// An identity that was made for the key of a host, and is the host's once what it comes with is committed.
pub(super) struct Made {
    tenant: Arc<Tenant>,
    site: Name,
    issued: IssuedForKey,
    /// What its commit is guarded by.
    pub guards: Vec<Guard>,
    /// What its commit writes.
    pub writes: Vec<Write>,
}

/// Makes an identity for a host at a site.
///
/// # Errors
/// Those of issuing and of the store.
pub(super) async fn make(app: &App, path: &HostPath, key: &PublicKey) -> Answer<Made> {
    let tenant = operators(app).await?;
    let identity = Identity::load(&app.db, &tenant.id).await?;
    let trust_domain = identity.trust_domain(app, &tenant.name)?;
    let id = path.to_id(trust_domain.borrowed())?;
    let until = app.clock.now().saturating_add(HOST_TTL);
    let issued = authorities::issue_for_key(app, &identity, &id, &trust_domain, until, key).await?;
    let (mut guards, mut writes) = (Vec::new(), Vec::new());
    identity.claim_trust_domain(app, &trust_domain, &mut guards, &mut writes).await?;
    Ok(Made { tenant, site: path.site().clone(), issued, guards, writes })
}

impl Made {
    /// The host's record with it.
    pub(super) fn given(&self, record: HostRecord, now: OffsetDateTime) -> HostRecord {
        record.given(self.issued.svid.id().clone(), self.issued.svid.not_after(), now)
    }

    /// What is recorded of it.
    pub(super) fn noted(&self, record: AuditRecord) -> AuditRecord {
        let (id, serial) = (self.issued.svid.id(), self.issued.svid.serial());
        record.with("site", self.site.as_str()).with("spiffe-id", id.as_str()).with("serial", serial)
    }

    /// It is committed: what the host is answered.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn give(self, app: &App) -> Answer<HostIdentity> {
        let now = app.clock.now();
        app.call_home.serving.issues(app, &self.issued.issuer).await;
        let published = bundle::published(app, &self.tenant, now).await?;
        let bundle = published.map(|published| published.bundle.to_pem()).unwrap_or_default();
        let url = app.external_url.as_str().parse().map_err(ApiError::internal)?;
        let ca = app.gate.get().and_then(std::sync::Weak::upgrade).and_then(|gate| gate.ca_pem());
        Ok(HostIdentity::new(self.site, &self.issued.svid, bundle, url, ca, now))
    }
}

/// Gives a host a fresh identity, for the key that it is registered with.
///
/// # Errors
/// Those of issuing and of the store. That the host is not claimed any more, or another key asks, is none.
pub async fn renew(
    app: &App,
    path: &HostPath,
    key: &PublicKey,
    actor: &Actor,
) -> Answer<Result<HostIdentity, Refusal>> {
    for _ in 0..TRIES {
        let stored = app.db.load(&layout::host(&app.operators, path.host()), HostRecord::from_record).await?;
        if let Err(refusal) = path.check(stored.as_ref().map(|stored| &*stored.value), &key.thumbprint()) {
            return Ok(Err(refusal));
        }
        let stored = stored.ok_or_else(|| ApiError::internal("a host that counts is not on record"))?;
        let mut made = make(app, path, key).await?;
        let now = app.clock.now();
        let record = made.given(HostRecord::clone(&stored.value), now);
        made.guards.push(stored.guard());
        made.writes.push(app.db.put(stored.key, &record.to_record()?)?);
        let audit = made.noted(actor.did("host-renew", now).with("host", path.host().as_str()));
        let (guards, writes) = (std::mem::take(&mut made.guards), std::mem::take(&mut made.writes));
        // A host that is released at this very moment gets nothing.
        if let Commit::Done(_) = app.commit(guards, writes, audit).await? {
            return made.give(app).await.map(Ok);
        }
    }
    Err(ApiError::unavailable("the host is being changed all the time; try again"))
}

async fn operators(app: &App) -> Answer<Arc<Tenant>> {
    let stored = Tenant::by_id(&app.db, app.operators.as_str()).await?;
    Ok(stored.ok_or_else(|| ApiError::internal("the tenant `default` is gone"))?.value)
}
