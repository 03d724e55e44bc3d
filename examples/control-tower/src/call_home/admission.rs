//! Letting a host in: what is on record is loaded, the crate decides, and what comes of it is one commit, guarded by all that was
//! relied on.

use std::{net::IpAddr, sync::Arc};

use keyward_callhome_cert::{
    AgentVersion, CallHomeCertificate, Decision, Entry, HostHash, HostName, HostRecord, HostState, Knock, News,
    Refusal, decide,
};
use time::OffsetDateTime;

use super::{
    certificates, hosts,
    ring::{Occupant, Offer},
    sites, stored_settings,
};
use crate::{
    app::{Actor, App, Commit},
    audit::AuditRecord,
    db::Stored,
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Outcome, Write},
};

/// How often it is decided again because something that it relied on changed. Each conflict with other hosts means that one of
/// them was let in.
const TRIES: usize = 256;

/// A host at the door, with what it proved.
pub struct Admission {
    /// The hash of its host-id.
    pub host: HostHash,
    /// The thumbprint of its key.
    pub key: String,
    /// Its address.
    pub address: IpAddr,
    /// Its certificate, verified, or why what it presented as one does not count.
    pub certificate: Result<Option<CallHomeCertificate>, Refusal>,
    /// What it calls itself.
    pub host_name: Option<HostName>,
    /// The version of its agent.
    pub agent_version: Option<AgentVersion>,
}

/// A commit that is being put together.
struct Draft {
    guards: Vec<Guard>,
    writes: Vec<Write>,
    /// Absent where nothing is worth a record.
    audit: Option<AuditRecord>,
}

/// What is on record.
struct Known {
    host: Option<Stored<Arc<HostRecord>>>,
    host_key: String,
    entry: Option<Stored<Arc<Entry>>>,
}

impl Admission {
    fn knock(&self) -> Knock<'_> {
        Knock {
            certificate: self.certificate(),
            refused: self.certificate.as_ref().err(),
            host_name: self.host_name.as_ref(),
            agent_version: self.agent_version.as_ref(),
            ..Knock::new(&self.host, &self.key, self.address)
        }
    }

    fn certificate(&self) -> Option<&CallHomeCertificate> {
        self.certificate.as_ref().ok()?.as_ref()
    }

    fn record(&self, record: AuditRecord) -> AuditRecord {
        let record = record.with("host", self.host.as_str()).with("key", self.key.as_str());
        match self.certificate() {
            Some(certificate) => record.with("certificate", certificate.serial()),
            None => record,
        }
    }
}

/// Decides, and commits what comes of it. The refusal of a duplicate is on record with it; others change nothing, and are not.
///
/// # Errors
/// Those of the store. A refusal is none.
pub async fn admit(app: &App, admission: &Admission, actor: &Actor) -> Answer<Result<HostRecord, Refusal>> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let settings = stored_settings(app).await?;
        let mut draft = Draft { guards: Vec::new(), writes: Vec::new(), audit: None };
        let settings_key = layout::document(&app.operators, super::SETTINGS);
        draft.guards.push(settings.as_ref().map_or(Guard::Absent(settings_key), Stored::guard));
        let settings = settings.map_or_else(Arc::default, |stored| stored.value);
        let listed = sites::listing(app, &admission.host).await?;
        let host_key = layout::host(&app.operators, &admission.host);
        let host = app.db.load(&host_key, HostRecord::from_record).await?;
        let before = host.as_ref().map(|stored| &*stored.value);
        let presented = admission.certificate().map(CallHomeCertificate::serial);
        let entry = match presented.or_else(|| before?.certificate()) {
            Some(serial) => certificates::entry(app, serial).await?,
            None => None,
        };
        let on_record = entry.as_ref().map(|stored| Entry::clone(&stored.value));
        let decision = decide(&settings, &admission.knock(), before, on_record, listed.site.as_ref(), now);
        draft.guards.push(host.as_ref().map_or_else(|| Guard::Absent(host_key.clone()), Stored::guard));
        draft.guards.extend(entry.as_ref().map(Stored::guard));
        draft.guards.push(listed.guard);
        let known = Known { host, host_key, entry };
        let done = match decision {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Decision::Registered { record, entry }) => {
                let most = settings.max_unclaimed;
                register(app, admission, actor, draft, &known, &record, entry, most, now).await?.then_some(Ok(record))
            }
            Ok(Decision::Duplicate { record }) => {
                let most = settings.max_duplicates;
                let noted = duplicate(app, admission, actor, draft, record, most, now).await?;
                noted.then_some(Err(Refusal::Duplicate))
            }
            Ok(_) => return Err(ApiError::internal("a decision that is not known")),
        };
        if let Some(done) = done {
            return Ok(done);
        }
    }
    Err(ApiError::unavailable("too many hosts call home at once; try again"))
}

/// Stores what is new of a host that is let in; answers whether it is done.
#[expect(clippy::too_many_arguments, reason = "they are what the decision was made of")]
async fn register(
    app: &App,
    admission: &Admission,
    actor: &Actor,
    mut draft: Draft,
    known: &Known,
    record: &HostRecord,
    used: Option<Entry>,
    most: u32,
    now: OffsetDateTime,
) -> Answer<bool> {
    let tenant = &app.operators;
    let before = known.host.as_ref().map(|stored| &*stored.value);
    let news = before.map_or(News::State, |before| record.news(before));
    if news == News::Nothing {
        return Ok(true);
    }
    draft.writes.push(app.db.put(known.host_key.clone(), &record.to_record()?)?);
    if let (Some(entry), Some(stored)) = (&used, &known.entry) {
        draft.writes.extend(certificates::put(app, stored.key.clone(), entry)?);
    }
    let mut place = None;
    if news == News::State {
        let audit = admission.record(actor.did("call-home", now));
        draft.audit = Some(match record.state() {
            HostState::Claimed { site } => audit.with("state", "claimed").with("site", site.as_str()),
            _ => audit.with("state", "unclaimed"),
        });
        match (before.map(HostRecord::state), record.state()) {
            (None, HostState::Unclaimed) => {
                let offer =
                    app.call_home.unclaimed.offer(record.host(), record.key(), most, || hosts::unclaimed_places(app));
                let Offer::Place(offered) = offer.await? else {
                    // What was remembered of the ring is from before somebody released the host.
                    app.call_home.unclaimed.forget();
                    return Ok(false);
                };
                let key = |number| hosts::place(&layout::unclaimed(tenant), number);
                offered.clear(&mut draft.guards, &mut draft.writes, key);
                draft.writes.push(app.db.put(key(offered.number()), record.host().as_str().as_bytes())?);
                place = Some(offered);
            }
            (Some(HostState::Unclaimed), HostState::Claimed { .. }) => {
                draft.writes.extend(hosts::leave(app, record.host()).await?);
            }
            _ => {}
        }
    }
    let committed = draft.commit(app).await?;
    match (committed, place) {
        (Some(revision), Some(place)) => {
            let at = Some((known.host_key.clone(), revision));
            place.keep(Occupant::new(record, revision, at));
        }
        (Some(revision), None) if news == News::Seen => {
            app.call_home.unclaimed.seen(record, &known.host_key, revision);
        }
        (Some(_), None) => app.call_home.unclaimed.forget(),
        (None, _) => return Ok(false),
    }
    Ok(true)
}

/// Shows a duplicate; answers whether it is done.
async fn duplicate(
    app: &App,
    admission: &Admission,
    actor: &Actor,
    mut draft: Draft,
    record: HostRecord,
    most: u32,
    now: OffsetDateTime,
) -> Answer<bool> {
    let prefix = layout::duplicates(&app.operators);
    let key = |number| hosts::place(&prefix, number);
    let ring = &app.call_home.duplicates;
    match ring.offer(record.host(), record.key(), most, || hosts::duplicate_places(app)).await? {
        Offer::Place(place) => {
            place.clear(&mut draft.guards, &mut draft.writes, key);
            draft.writes.push(app.db.put(key(place.number()), &record.to_record()?)?);
            let refused = actor.refused("call-home", Refusal::Duplicate.code(), now);
            draft.audit = Some(admission.record(refused).with("why", Refusal::Duplicate.to_string()));
            let Some(revision) = draft.commit(app).await? else { return Ok(false) };
            place.keep(Occupant::new(&record, revision, None));
        }
        Offer::Has(number, occupant) => {
            app.refuse(
                admission
                    .record(actor.refused("call-home", Refusal::Duplicate.code(), now))
                    .with("why", Refusal::Duplicate.to_string()),
            );
            let stored = app.db.load(&key(number), HostRecord::from_record).await?;
            let Some(stored) = stored.filter(|stored| stored.revision == occupant.revision) else {
                ring.forget();
                return Ok(false);
            };
            let again = HostRecord::clone(&stored.value).seen_again(&record);
            if again.news(&stored.value) == News::Nothing {
                return Ok(true);
            }
            draft.guards.push(stored.guard());
            draft.writes.push(app.db.put(key(number), &again.to_record()?)?);
            // Whether that was in time is of no consequence.
            draft.commit(app).await?;
            ring.forget();
        }
    }
    Ok(true)
}

impl Draft {
    /// Its revision; `None` when something changed meanwhile.
    async fn commit(self, app: &App) -> Answer<Option<u64>> {
        let Self { guards, writes, audit } = self;
        match audit {
            Some(audit) => match app.commit(guards, writes, audit).await? {
                Commit::Done(revision) => Ok(Some(revision)),
                Commit::Conflict => Ok(None),
            },
            // Not audited: nothing is decided here, a host was only seen again.
            None => match app.db.store().commit(guards, writes).await? {
                Outcome::Committed(revision) => Ok(Some(revision)),
                Outcome::Conflict { .. } => Ok(None),
                Outcome::Unknown => Err(ApiError::unavailable("the store's answer was lost; try again")),
            },
        }
    }
}
