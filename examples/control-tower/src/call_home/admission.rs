//! Letting a host in: what is on record is loaded, the crate decides, and what comes of it is one commit, guarded by all that was
//! relied on.

use std::{net::IpAddr, sync::Arc};

use keyward_callhome_cert::{
    AgentVersion, CallHomeCertificate, Decision, Entry, Granularity, HostHash, HostName, HostRecord, HostState, Knock,
    News, OnRecord, Refusal, decide,
};
use time::OffsetDateTime;

use super::{
    authority, certificates, displaced, hosts,
    ring::{Offer, Place, occupant},
    sites, stored_settings,
};
use crate::{
    app::{Actor, App},
    audit::AuditRecord,
    db::Stored,
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Outcome, Revision, Write},
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
    displaced: Option<Stored<Arc<HostRecord>>>,
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
        let knock = admission.knock();
        let before = host.as_ref().map(|stored| &*stored.value);
        let is_here = before.is_some_and(|record| record.key() == admission.key);
        let displaced = match admission.certificate() {
            None if !is_here && settings.client_certificate.verify != Granularity::Never => {
                displaced::of(app, &admission.host, Some(&admission.key)).await?
            }
            _ => None,
        };
        let remembered = displaced.as_ref().map(|stored| &*stored.value);
        let mut on_record = OnRecord { host: before, displaced: remembered, entry: None, listed: listed.site.as_ref() };
        let entry = match on_record.serial(&knock) {
            Some(serial) => certificates::entry(app, serial).await?,
            None => None,
        };
        on_record.entry = entry.as_ref().map(|stored| Entry::clone(&stored.value));
        if let Some(entry) = on_record.entry.as_mut().filter(|_| admission.certificate().is_none()) {
            // What is presented was verified; what a host came with before was issued by an authority that may be given up by now.
            entry.revoke_unless_issued_by(&authority::keys(app, now).await?, now);
        }
        let decision = decide(&settings, &knock, on_record, now);
        draft.guards.push(host.as_ref().map_or_else(|| Guard::Absent(host_key.clone()), Stored::guard));
        draft.guards.extend(entry.as_ref().map(Stored::guard));
        draft.guards.push(listed.guard);
        let known = Known { host, host_key, entry, displaced };
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
    let before = known.host.as_ref().map(|stored| &*stored.value);
    let news = before.map_or(News::State, |before| record.news(before));
    if news == News::Nothing {
        return Ok(true);
    }
    if let (Some(entry), Some(stored)) = (&used, &known.entry) {
        draft.writes.extend(certificates::put(app, stored.key.clone(), entry)?);
    }
    if let Some(displaced) = &known.displaced {
        draft.guards.push(displaced.guard());
        draft.writes.extend(displaced::removal(app, displaced.key.clone()).await?);
    }
    let mut place = None;
    if news == News::State {
        let audit = admission.record(actor.did("call-home", now));
        draft.audit = Some(match record.state() {
            HostState::Claimed { site } => audit.with("state", "claimed").with("site", site.as_str()),
            _ => audit.with("state", "unclaimed"),
        });
        match (before.map(HostRecord::state), record.state()) {
            (None, HostState::Unclaimed) => match offer(app, record, most).await? {
                Some(offered) => place = Some(offered),
                None => return Ok(false),
            },
            (Some(HostState::Unclaimed), HostState::Claimed { .. }) => {
                draft.writes.extend(hosts::leave(app, record.host()).await?);
            }
            _ => {}
        }
    }
    let Some(place) = place else {
        draft.writes.push(app.db.put(known.host_key.clone(), &record.to_record()?)?);
        let Ok(revision) = draft.commit(app).await? else { return Ok(false) };
        match before.map(HostRecord::state) {
            // It had a place.
            Some(HostState::Unclaimed) if news == News::State => app.call_home.unclaimed.forget(),
            Some(_) => {
                let at = Some((known.host_key.clone(), revision));
                app.call_home.unclaimed.seen(record, |kept| kept.record = at);
            }
            None => {}
        }
        return Ok(true);
    };
    let prefix = layout::unclaimed(&app.operators);
    let key = |number| hosts::place(&prefix, number);
    place.clear(&mut draft.guards, &mut draft.writes, key);
    for (_, gone) in place.gone() {
        let Some((at, _)) = &gone.rest.record else { continue };
        if let Some(gone) = app.db.load(at, HostRecord::from_record).await? {
            draft.writes.extend(displaced::remember(app, &gone.value).await?);
        }
    }
    match place.number() {
        Some(number) => {
            draft.writes.push(app.db.put(known.host_key.clone(), &record.to_record()?)?);
            draft.writes.push(app.db.put(key(number), record.host().as_str().as_bytes())?);
        }
        None => draft.writes.extend(displaced::remember(app, record).await?),
    }
    let committed = draft.commit(app).await?;
    Ok(settle(place, key, committed, |revision| occupant(record, revision, Some((known.host_key.clone(), revision)))))
}

/// A place among those that wait; `None` when it is to be decided again.
async fn offer<'a>(app: &'a App, record: &HostRecord, most: u32) -> Answer<Option<Place<'a>>> {
    let ring = &app.call_home.unclaimed;
    let whose = record.host().to_string();
    match ring.offer(record, whose, most, || hosts::unclaimed_places(app)).await? {
        Offer::Place(place) => return Ok(Some(place)),
        // What was remembered of the ring is from before somebody released the host.
        Offer::Has(..) => ring.forget(),
        Offer::Again => {}
    }
    Ok(None)
}

/// Takes down what became of a place; answers whether it is done.
fn settle(
    place: Place<'_>,
    key: impl Fn(u32) -> String,
    committed: Result<Revision, Conflict>,
    occupant: impl FnOnce(Revision) -> super::ring::Occupant,
) -> bool {
    match committed {
        Ok(revision) => place.keep(occupant(revision)),
        // Somebody else was faster with what the decision was made of, and the ring is as it was seen.
        Err(conflict) if !place.is_about(&conflict.key, key) => {
            place.give_back();
            return false;
        }
        Err(_) => return false,
    }
    true
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
    let refused = || {
        let refused = actor.refused("call-home", Refusal::Duplicate.code(), now);
        admission.record(refused).with("why", Refusal::Duplicate.to_string())
    };
    let whose = format!("{}/{}", record.host(), record.key());
    match ring.offer(&record, whose, most, || hosts::duplicate_places(app)).await? {
        Offer::Again => Ok(false),
        Offer::Place(place) => {
            place.clear(&mut draft.guards, &mut draft.writes, key);
            if let Some(number) = place.number() {
                draft.writes.push(app.db.put(key(number), &record.to_record()?)?);
            }
            draft.audit = Some(refused());
            let committed = draft.commit(app).await?;
            Ok(settle(place, key, committed, |revision| occupant(&record, revision, None)))
        }
        Offer::Has(number, occupant) => {
            app.refuse(refused());
            let stored = app.db.load(&key(number), HostRecord::from_record).await?;
            let Some(stored) = stored.filter(|stored| stored.revision == occupant.rest.revision) else {
                ring.forget();
                return Ok(false);
            };
            let again = HostRecord::clone(&stored.value).seen_again(&record);
            if again.news(&stored.value) == News::Nothing {
                return Ok(true);
            }
            draft.guards.push(stored.guard());
            draft.writes.push(app.db.put(key(number), &again.to_record()?)?);
            match draft.commit(app).await? {
                Ok(revision) => ring.seen(&again, |kept| kept.revision = revision),
                // Whether it was in time is of no consequence.
                Err(_) => ring.forget(),
            }
            Ok(true)
        }
    }
}

/// Something changed meanwhile.
struct Conflict {
    /// Where.
    key: String,
}

impl Draft {
    /// Its revision, unless something changed meanwhile.
    async fn commit(self, app: &App) -> Answer<Result<Revision, Conflict>> {
        let Self { guards, writes, audit } = self;
        let outcome = match audit {
            Some(audit) => app.try_commit(guards, writes, audit).await?,
            // Not audited: nothing is decided here, a host was only seen again.
            None => app.db.store().commit(guards, writes).await?,
        };
        match outcome {
            Outcome::Committed(revision) => Ok(Ok(revision)),
            Outcome::Conflict { key } => Ok(Err(Conflict { key })),
            Outcome::Unknown => Err(ApiError::unavailable("the store's answer was lost; try again")),
        }
    }
}
