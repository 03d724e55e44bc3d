//! Letting a host in: what is on record is loaded, the crate decides, and what comes of it is one commit (`admission/commit.rs`),
//! guarded by all that was relied on.

use std::{net::IpAddr, sync::Arc};

use keyward_callhome_cert::{
    AgentVersion, CallHomeSettings, Decision, Entry, HostHash, HostIdentity, HostName, HostRecord, Knock, OnRecord,
    Presentation, Refusal, decide, presented, verify_presented,
};
use keyward_keys::PublicKey;

use self::commit::Draft;
use super::{authority, authority::Published, certificates, displaced, sites, stored_settings};
use crate::{
    app::{Actor, App},
    db::Stored,
    http::error::{Answer, ApiError},
    layout,
    store::Guard,
};

mod commit;

/// How often it is decided again because something that it relied on changed. Each conflict with other hosts means that one of
/// them was let in.
const TRIES: usize = 256;

/// A host at the door.
pub struct Admission<'a> {
    /// The hash of its host-id.
    pub host: &'a HostHash,
    /// Its key, as its request proved.
    pub key: &'a PublicKey,
    /// Its address.
    pub address: IpAddr,
    /// What it presents.
    pub presentation: Presentation<'a>,
    /// What it calls itself.
    pub host_name: Option<&'a HostName>,
    /// The version of its agent.
    pub agent_version: Option<&'a AgentVersion>,
}

/// What becomes of a host that is not refused.
pub enum Admitted {
    /// It waits for an operator.
    Waits,
    /// It belongs to a site, and has its identity.
    Claimed(Box<HostIdentity>),
}

/// Decides, and commits what comes of it: a host that belongs to a site gets its identity by the same commit. The refusal of a duplicate
/// is on record with it; others change nothing, and are not.
///
/// # Errors
/// Those of the store and of issuing. A refusal is none.
pub async fn admit(app: &App, admission: &Admission<'_>, actor: &Actor) -> Answer<Result<Admitted, Refusal>> {
    let key = admission.key.thumbprint();
    for _ in 0..TRIES {
        if let Some(done) = attempt(app, admission, &key, actor).await? {
            return Ok(done);
        }
    }
    Err(ApiError::unavailable("too many hosts call home at once; try again"))
}

/// One time; `None` when something changed meanwhile, and it is to be decided again.
async fn attempt(
    app: &App,
    admission: &Admission<'_>,
    key: &str,
    actor: &Actor,
) -> Answer<Option<Result<Admitted, Refusal>>> {
    let now = app.clock.now();
    let stored = stored_settings(app).await?;
    let settings = stored.as_ref().map_or_else(Arc::default, |stored| Arc::clone(&stored.value));
    let chain = match presented(&settings.client_certificate, &admission.presentation) {
        Ok(chain) => chain,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    let published = match &chain {
        Some(_) => authority::published(app, now).await?,
        None => None,
    };
    let verifier = published.as_deref().map(|published| &published.verifier);
    let certificate = verify_presented(&settings.client_certificate, verifier, chain.as_deref(), now);
    let knock = Knock {
        certificate: certificate.as_ref().ok().and_then(Option::as_ref),
        refused: certificate.as_ref().err(),
        host_name: admission.host_name,
        agent_version: admission.agent_version,
        ..Knock::new(admission.host, key, admission.address)
    };
    let known = Known::load(app, &settings, &knock).await?;
    let decision = match decide(&settings, &knock, known.on_record(), now) {
        Ok(decision) => decision,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    let guard = match &stored {
        Some(stored) => stored.guard(),
        None => Guard::Absent(layout::document(&app.operators, super::SETTINGS)),
    };
    let draft = Draft::new(app, actor, knock, known, guard, now);
    match decision {
        Decision::Registered { record, entry } => {
            let admitted = draft.register(admission.key, record, entry, settings.max_unclaimed).await?;
            Ok(admitted.map(Ok))
        }
        Decision::Duplicate { record } => {
            let is_noted = draft.duplicate(record, settings.max_duplicates).await?;
            Ok(is_noted.then_some(Err(Refusal::Duplicate)))
        }
        _ => Err(ApiError::internal("a decision that is not known")),
    }
}

/// What is on record.
struct Known {
    host: Option<Stored<Arc<HostRecord>>>,
    host_key: String,
    listed: sites::Listing,
    displaced: Option<Stored<Arc<HostRecord>>>,
    entry: Option<Stored<Arc<Entry>>>,
    site: Option<sites::Standing>,
    /// Those of this moment, where a certificate from before counts.
    authorities: Option<Arc<Published>>,
}

impl Known {
    /// Reads what the decision says that it depends on.
    async fn load(app: &App, settings: &CallHomeSettings, knock: &Knock<'_>) -> Answer<Self> {
        let host_key = layout::host(&app.operators, knock.host);
        let host = app.db.load(&host_key, HostRecord::from_record).await?;
        let listed = sites::listing(app, knock.host).await?;
        let mut known = Self { host, host_key, listed, displaced: None, entry: None, site: None, authorities: None };
        if known.on_record().may_have_made_room(settings, knock) {
            known.displaced = displaced::of(app, knock.host, Some(knock.key)).await?;
        }
        if let Some(serial) = known.on_record().serial(settings, knock) {
            known.entry = certificates::entry(app, serial).await?;
            if known.entry.is_some() && knock.certificate.is_none() {
                known.authorities = authority::published(app, app.clock.now()).await?;
            }
        }
        if let Some(site) = known.on_record().site(settings, knock) {
            known.site = Some(sites::standing(app, site).await?);
        }
        Ok(known)
    }

    fn on_record(&self) -> OnRecord<'_> {
        OnRecord {
            host: self.host.as_ref().map(|stored| &*stored.value),
            displaced: self.displaced.as_ref().map(|stored| &*stored.value),
            entry: self.entry.as_ref().map(|stored| &*stored.value),
            listed: self.listed.site.as_ref(),
            is_site_gone: self.site.as_ref().is_some_and(|site| !site.is_there),
            authorities: self.authorities.as_ref().map_or(&[], |published| &published.keys),
        }
    }
}
