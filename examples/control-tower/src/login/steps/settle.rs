//! The commit of a step: all that comes of it at once, with its record, or nothing.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use keyward_webauthn_login::{AnyFlow, EnrolmentLink, Identity, Key, Next, Outcome, Reason, Write as Step};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    app::{Actor, App, Commit},
    db::Stored,
    http::{
        error::{Answer, ApiError},
        token as tokens,
    },
    layout,
    login::{
        attempts::Counted,
        browser::{Browser, CEREMONY, Cookie, DEVICE, SESSION, token_of},
        ceremonies::Begun,
        reached::{At, LoggedIn, Reached, who},
        rehash,
        session::{self, actor_of},
        token::{Granted, grant},
        users::{self, StoredUser},
    },
    network::Network,
    random,
    store::{Guard, Outcome as Committed, Write},
};

/// What a step read, and what it came to.
pub(super) struct Taken {
    outcome: Outcome,
    users: Vec<StoredUser>,
    /// A guess that is given back when it was right.
    counted: Vec<Counted>,
    link: Option<Stored<Arc<EnrolmentLink>>>,
    /// What happened beside the login, for the audit log.
    event: Option<&'static str>,
    /// What is recorded of a refusal beside the reason.
    details: Vec<(&'static str, String)>,
}

impl Taken {
    pub(super) fn new(outcome: Outcome, users: impl IntoIterator<Item = StoredUser>) -> Self {
        Self {
            outcome,
            users: users.into_iter().collect(),
            counted: Vec::new(),
            link: None,
            event: None,
            details: Vec::new(),
        }
    }

    pub(super) fn counting(self, counted: impl IntoIterator<Item = Counted>) -> Self {
        Self { counted: counted.into_iter().collect(), ..self }
    }

    pub(super) fn of_link(self, link: Option<Stored<Arc<EnrolmentLink>>>) -> Self {
        Self { link, ..self }
    }

    pub(super) fn doing(self, event: &'static str) -> Self {
        Self { event: Some(event), ..self }
    }

    pub(super) fn refusing(self, details: Vec<(&'static str, String)>) -> Self {
        Self { details, ..self }
    }
}

/// Commits what a step came to, with its record; `None` when somebody else was faster.
pub(super) async fn settle(app: &App, browser: &Browser, guards: Vec<Guard>, taken: Taken) -> Answer<Option<Reached>> {
    let Taken { outcome, users, counted, link, event, details } = taken;
    let Outcome { next, writes: steps, refused, identity, recovery_codes, signal, rehash, .. } = outcome;
    let now = app.clock.now();
    let mut commit =
        Parts { app, browser, users: &users, guards, writes: Vec::new(), token: None, ended: Vec::new(), now };
    for step in steps {
        commit.add(step, link.as_ref()).await?;
    }
    let of = identity.as_ref().and_then(|identity| users.iter().find(|user| is(user, identity)));
    let actor = match (of, browser.source) {
        (Some(user), source) => actor_of(app, user, source),
        (None, Some(source)) => Actor::stranger(app, source),
        (None, None) => Actor::task(&app.operators, "login"),
    };
    let mut reached = Reached::over(refused.unwrap_or(Reason::Expired));
    reached.told = None;
    reached.signal = signal;
    let codes = recovery_codes.iter().flat_map(|codes| codes.iter());
    reached.recovery_codes = codes.map(|code| Zeroizing::new(code.to_owned())).collect();
    let mut audit = event.map(|event| actor.did(event, now));
    let mut begun = None;
    match next {
        Next::Continue(flow) => {
            let former = commit.ended.pop();
            reached.told = refused.map(|reason| flow.told(reason).to_owned());
            begun = Some(show(app, browser, flow, former, &mut commit.writes, &mut reached).await?);
        }
        Next::Over(reason) => reached.told = Some(reason.told().to_owned()),
        Next::LoggedIn(logged_in) => {
            let mut record = actor
                .did("login", now)
                .with("authenticator", logged_in.session.authenticator().to_string())
                .with("proofs", serde_json::to_value(logged_in.session.proofs()).map_err(ApiError::internal)?);
            if let Some(event) = event {
                record = record.with("with", event);
            }
            reached.cookies = vec![
                Cookie::new(SESSION, logged_in.token.expose()),
                Cookie::kept(DEVICE, logged_in.device.expose()),
                Cookie::dropped(CEREMONY),
            ];
            let granted = commit.token.take();
            if let Some(granted) = &granted {
                record = record.with("accessor", granted.record.accessor().to_string());
                reached.cookies = Vec::new();
            } else {
                reached.form_token = token_of(app, logged_in.token.expose());
                if let Some(former) = &browser.session {
                    let ended = session::replaced(app, former).await?;
                    if !ended.is_empty() {
                        record = record.with("former-session", "ended");
                    }
                    commit.writes.extend(ended);
                }
            }
            let user = of.ok_or_else(|| ApiError::internal("a login of nobody"))?;
            let living = users::living(app, user).await?;
            match living {
                Some(living) => commit.guards.extend(living),
                None => return Ok(Some(Reached::over(Reason::Changed))),
            }
            audit = Some(record);
            reached.at = At::LoggedIn(LoggedIn {
                identity: logged_in.session.identity().clone(),
                next: logged_in.next,
                remember: logged_in.remember,
                token: granted,
            });
        }
    }
    let Parts { guards, writes, ended, .. } = commit;
    let done = match audit.filter(|_| refused.is_none()) {
        Some(audit) => app.commit(guards, writes, audit).await?,
        None => match app.db.store().commit(guards, writes).await? {
            Committed::Committed(revision) => Commit::Done(revision),
            Committed::Conflict { .. } => Commit::Conflict,
            Committed::Unknown => return Err(ApiError::unavailable("the store's answer was lost; begin again")),
        },
    };
    let Commit::Done(revision) = done else {
        begun.into_iter().for_each(Begun::not_stored);
        return Ok(None);
    };
    begun.into_iter().for_each(Begun::stored);
    ended.iter().for_each(|key| app.ceremonies.end(key));
    if let Some(reason) = refused {
        let record = actor.refused("login", reason.code(), now);
        app.refuse(details.into_iter().fold(record, |record, (name, value)| record.with(name, value)));
        app.metrics.login("user", false);
    } else {
        for counted in counted {
            counted.give_back(app).await;
        }
    }
    if matches!(reached.at, At::LoggedIn(_)) {
        app.metrics.login("user", true);
    }
    if let (Some(job), Some(user)) = (rehash, of) {
        rehash::make_anew(app, user, job, revision).await;
    }
    Ok(Some(reached))
}

fn is(user: &StoredUser, identity: &Identity) -> bool {
    user.value.record().identity() == identity
}

/// Adds what keeps a login for its next step, in which a `former` one goes on that the commit removes, and says what to show. What comes
/// out is told what became of the commit.
pub(super) async fn show<'a>(
    app: &'a App,
    browser: &Browser,
    flow: AnyFlow,
    former: Option<Key>,
    writes: &mut Vec<Write>,
    reached: &mut Reached,
) -> Answer<Begun<'a>> {
    reached.at = At::of(app, &flow).await?;
    (reached.who, reached.inside_session) = (who(&flow), flow.session().is_some());
    let (token, record) = flow.store(&mut random::rng());
    let bytes = Zeroizing::new(record.encode().map_err(ApiError::internal)?);
    writes.extend(app.put_until(layout::ceremony(&record.key()), &bytes, record.expires())?);
    let network = Network::from(browser.source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let begun = app.ceremonies.begin(network, record.key(), former, record.expires(), app.clock.now());
    writes.extend(begun.gone().flat_map(|(key, ends)| removal(key, Some(ends))));
    if browser.is_embedder() {
        reached.cookies = Vec::new();
        reached.login = Some(Zeroizing::new(token.expose().to_owned()));
    } else {
        reached.cookies = vec![Cookie::new(CEREMONY, token.expose())];
        reached.form_token = token_of(app, token.expose());
    }
    Ok(begun)
}

/// What removes a login, with the entry for its end: strangers would leave any number of those in ten minutes.
pub(super) fn removal(key: &Key, ends: Option<OffsetDateTime>) -> impl Iterator<Item = Write> {
    let place = layout::ceremony(key);
    let expiry = ends.map(|ends| Write::Delete(layout::expiry(ends, &place)));
    expiry.into_iter().chain([Write::Delete(place)])
}

/// What a step's commit is made of.
struct Parts<'a> {
    app: &'a App,
    browser: &'a Browser,
    users: &'a [StoredUser],
    guards: Vec<Guard>,
    writes: Vec<Write>,
    token: Option<Granted>,
    /// Logins that are over with it, or go on.
    ended: Vec<Key>,
    now: OffsetDateTime,
}

impl Parts<'_> {
    async fn add(&mut self, step: Step, link: Option<&Stored<Arc<EnrolmentLink>>>) -> Answer<()> {
        let app = self.app;
        match step {
            // Its guard is there already.
            Step::EndCeremony(key) => {
                self.writes.extend(removal(&key, app.ceremonies.ends(&key)));
                self.ended.push(key);
            }
            Step::EndLink(key) => {
                self.guards.extend(link.map(Stored::guard));
                self.writes.push(Write::Delete(layout::enrolment_link(&key)));
            }
            Step::PutUser(record) => {
                let former = self.users.iter().find(|user| is(user, record.identity()));
                let former = former.ok_or_else(|| ApiError::internal("a step changes a user that it did not read"))?;
                let tenant = users::tenant_of(former)?;
                let guard = former.guard();
                if !self.guards.contains(&guard) {
                    self.guards.push(guard);
                }
                let user = former.value.changed(record, self.now);
                self.writes.extend(users::put(&app.db, &tenant, Some(&former.value), &user)?);
            }
            Step::BeginSession(mut record) => {
                record.begun_with(self.browser.client());
                let former = self.users.iter().find(|user| is(user, record.identity()));
                let former = former.ok_or_else(|| ApiError::internal("a step logs in a user that it did not read"))?;
                let tenant = users::tenant_of(former)?;
                if self.browser.is_embedder() {
                    let granted = grant(app, &tenant, &former.value, self.now);
                    self.writes.extend(tokens::store(app, &granted.record)?);
                    self.token = Some(granted);
                } else {
                    self.guards.push(Guard::Absent(layout::session(&record.key())));
                    self.writes.extend(session::put(app, &tenant, &record)?);
                }
            }
            Step::EndSession(key) => {
                if let Some(user) = self.users.first() {
                    self.writes.extend(session::end(&users::tenant_of(user)?, user, &key));
                }
            }
            _ => return Err(ApiError::internal("a step asks for something that is not known here")),
        }
        Ok(())
    }
}
