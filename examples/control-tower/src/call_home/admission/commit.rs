//! What comes of a decision: one commit, with what it was decided by as guards.

use keyward_callhome_cert::{Entry, HostPath, HostRecord, HostState, Knock, News, Refusal};
use keyward_keys::PublicKey;
use time::OffsetDateTime;

use super::{Admitted, Known};
use crate::{
    app::{Actor, App},
    audit::AuditRecord,
    call_home::{
        certificates, displaced, hosts, identity,
        ring::{Occupant, Offer, Place, occupant},
    },
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Outcome, Revision, Write},
};

/// A commit that is being put together.
pub(super) struct Draft<'a> {
    app: &'a App,
    actor: &'a Actor,
    knock: Knock<'a>,
    known: Known,
    guards: Vec<Guard>,
    writes: Vec<Write>,
    now: OffsetDateTime,
}

/// Something changed meanwhile.
struct Conflict {
    /// Where.
    key: String,
}

impl<'a> Draft<'a> {
    /// One that relies on what is known, and on the settings as `settings` guards them.
    pub(super) fn new(
        app: &'a App,
        actor: &'a Actor,
        knock: Knock<'a>,
        known: Known,
        settings: Guard,
        now: OffsetDateTime,
    ) -> Self {
        let host = match &known.host {
            Some(stored) => stored.guard(),
            None => Guard::Absent(known.host_key.clone()),
        };
        let mut guards = vec![settings, host, known.listed.guard.clone()];
        guards.extend(known.entry.as_ref().map(crate::db::Stored::guard));
        guards.extend(known.site.as_ref().map(|site| site.guard.clone()));
        Self { app, actor, knock, known, guards, writes: Vec::new(), now }
    }

    /// Stores what is new of a host that is let in; `None` when it is to be decided again.
    pub(super) async fn register(
        mut self,
        key: &PublicKey,
        record: HostRecord,
        used: Option<Entry>,
        most: u32,
    ) -> Answer<Option<Admitted>> {
        if let (Some(entry), Some(stored)) = (&used, &self.known.entry) {
            self.writes.extend(certificates::put(self.app, stored.key.clone(), entry)?);
        }
        if let Some(displaced) = &self.known.displaced {
            self.guards.push(displaced.guard());
            self.writes.extend(displaced::removal(self.app, displaced.key.clone()).await?);
        }
        let (app, was_shown) = (self.app, self.known.host.is_none() && self.is_no_duplicate(&record).await?);
        let admitted = match record.state() {
            HostState::Claimed { site } => {
                let path = HostPath::new(site.clone(), record.host().clone());
                self.claimed(&path, key, record).await
            }
            _ if self.known.host.is_some() => Ok(self.waits(&record).await?.then_some(Admitted::Waits)),
            _ => self.comes(&record, most).await.map(|is_done| is_done.then_some(Admitted::Waits)),
        };
        if was_shown {
            app.call_home.duplicates.forget();
        }
        admitted
    }

    /// Whoever is let in is shown as a duplicate no more, where it was one of a host that is not here any more; answers whether it was.
    async fn is_no_duplicate(&mut self, record: &HostRecord) -> Answer<bool> {
        let (app, host) = (self.app, record.host());
        let mut places = app.call_home.duplicates.places_of(host, || hosts::duplicate_places(app)).await?;
        places.retain(|(_, occupant)| occupant.key == record.key());
        hosts::empty(&layout::duplicates(&app.operators), &places, &mut self.guards, &mut self.writes);
        Ok(!places.is_empty())
    }

    /// It belongs to a site: with its record goes its identity.
    async fn claimed(mut self, path: &HostPath, key: &PublicKey, record: HostRecord) -> Answer<Option<Admitted>> {
        let app = self.app;
        let before = self.before().map(|before| (before.state().clone(), record.news(before)));
        let waited = matches!(before, Some((HostState::Unclaimed, _)));
        if waited {
            hosts::leave(app, record.host(), waited, &mut self.guards, &mut self.writes).await?;
        }
        let mut made = identity::make(app, path, key).await?;
        self.guards.append(&mut made.guards);
        self.writes.append(&mut made.writes);
        let now = app.clock.now();
        self.put(&made.given(record, now))?;
        let audit = match before {
            Some((_, News::Seen | News::Nothing)) => self.noted(self.actor.did("host-identity", now)),
            _ => self.noted(self.actor.did("call-home", now)).with("state", "claimed"),
        };
        if self.commit(Some(made.noted(audit))).await?.is_err() {
            if waited {
                // Perhaps it has another place by now.
                app.call_home.unclaimed.forget();
            }
            return Ok(None);
        }
        app.call_home.unclaimed.left(path.host());
        Ok(Some(Admitted::Claimed(Box::new(made.give(app).await?))))
    }

    /// It has waited before; answers whether it is done.
    async fn waits(mut self, record: &HostRecord) -> Answer<bool> {
        if self.before().is_some_and(|before| record.news(before) == News::Nothing) {
            return Ok(true);
        }
        self.put(record)?;
        let (app, key) = (self.app, self.known.host_key.clone());
        // Not audited: nothing is decided here, a host was only seen again.
        let Ok(revision) = self.commit(None).await? else { return Ok(false) };
        app.call_home.unclaimed.seen(record, |kept| kept.record = Some((key, revision)));
        Ok(true)
    }

    /// It waits from now on, in a place of its own; answers whether it is done.
    async fn comes(mut self, record: &HostRecord, most: u32) -> Answer<bool> {
        let app = self.app;
        let Some(place) = offer(app, record, most).await? else { return Ok(false) };
        let prefix = layout::unclaimed(&app.operators);
        let key = |number| hosts::place(&prefix, number);
        place.clear(&mut self.guards, &mut self.writes, key);
        for (_, gone) in place.gone() {
            let Some((at, _)) = &gone.rest.record else { continue };
            if let Some(gone) = app.db.load(at, HostRecord::from_record).await? {
                self.writes.extend(displaced::remember(app, &gone.value).await?);
            }
        }
        match place.number() {
            Some(number) => {
                self.put(record)?;
                self.writes.push(app.db.put(key(number), record.host().as_str().as_bytes())?);
            }
            None => self.writes.extend(displaced::remember(app, record).await?),
        }
        let audit = self.noted(self.actor.did("call-home", self.now)).with("state", "unclaimed");
        let host_key = self.known.host_key.clone();
        let committed = self.commit(Some(audit)).await?;
        Ok(settle(place, key, committed, |revision| occupant(record, revision, Some((host_key, revision)))))
    }

    /// Shows a duplicate; answers whether it is done.
    pub(super) async fn duplicate(mut self, record: HostRecord, most: u32) -> Answer<bool> {
        let app = self.app;
        let prefix = layout::duplicates(&app.operators);
        let key = |number| hosts::place(&prefix, number);
        let ring = &app.call_home.duplicates;
        let refused = self.actor.refused("call-home", Refusal::Duplicate.code(), self.now);
        let refused = self.noted(refused).with("why", Refusal::Duplicate.to_string());
        let whose = format!("{}/{}", record.host(), record.key());
        match ring.offer(&record, whose, most, || hosts::duplicate_places(app)).await? {
            Offer::Again => Ok(false),
            Offer::Place(place) => {
                place.clear(&mut self.guards, &mut self.writes, key);
                if let Some(number) = place.number() {
                    self.writes.push(app.db.put(key(number), &record.to_record()?)?);
                }
                let committed = self.commit(Some(refused)).await?;
                Ok(settle(place, key, committed, |revision| occupant(&record, revision, None)))
            }
            Offer::Has(number, occupant) => {
                app.refuse(refused);
                let stored = app.db.load(&key(number), HostRecord::from_record).await?;
                let Some(stored) = stored.filter(|stored| stored.revision == occupant.rest.revision) else {
                    ring.forget();
                    return Ok(false);
                };
                let again = HostRecord::clone(&stored.value).seen_again(&record);
                if again.news(&stored.value) == News::Nothing {
                    return Ok(true);
                }
                self.guards.push(stored.guard());
                self.writes.push(app.db.put(key(number), &again.to_record()?)?);
                match self.commit(None).await? {
                    Ok(revision) => ring.seen(&again, |kept| kept.revision = revision),
                    // Whether it was in time is of no consequence.
                    Err(_) => ring.forget(),
                }
                Ok(true)
            }
        }
    }

    fn before(&self) -> Option<&HostRecord> {
        self.known.host.as_ref().map(|stored| &*stored.value)
    }

    /// Writes the host's record.
    fn put(&mut self, record: &HostRecord) -> Answer<()> {
        self.writes.push(self.app.db.put(self.known.host_key.clone(), &record.to_record()?)?);
        Ok(())
    }

    /// A record for the audit log of who it is.
    fn noted(&self, record: AuditRecord) -> AuditRecord {
        let record = record.with("host", self.knock.host.as_str()).with("key", self.knock.key);
        match self.knock.certificate {
            Some(certificate) => record.with("certificate", certificate.serial()),
            None => record,
        }
    }

    /// Its revision, unless something changed meanwhile.
    async fn commit(self, audit: Option<AuditRecord>) -> Answer<Result<Revision, Conflict>> {
        let Self { app, guards, writes, .. } = self;
        let outcome = match audit {
            Some(audit) => app.try_commit(guards, writes, audit).await?,
            None => app.db.store().commit(guards, writes).await?,
        };
        match outcome {
            Outcome::Committed(revision) => Ok(Ok(revision)),
            Outcome::Conflict { key } => Ok(Err(Conflict { key })),
            Outcome::Unknown => Err(ApiError::unavailable("the store's answer was lost; try again")),
        }
    }
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
    occupant: impl FnOnce(Revision) -> Occupant,
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
