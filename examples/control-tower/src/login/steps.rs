//! One step of a login: read what it asks for, take it, commit all that comes of it.

use keyward_config_values::Name;
use keyward_webauthn_login::{
    AnyFlow, CeremonyRecord, EnrolmentLink, Key, LOGIN_REFUSED, LoginUrl, Method, NextPath, Outcome, Reason, Start,
    Typed,
};

use self::{
    settle::{Taken, removal, settle, show},
    take::{NotTaken, take},
};
use super::{
    action::Action,
    attempts::Counted,
    browser::Browser,
    reached::{At, LoggedIn, Reached},
    session::{self, Session},
    token::Granted,
    users::{self, StoredUser},
};
use crate::{
    app::{Actor, App},
    http::error::{Answer, ApiError},
    layout, random,
    store::{Guard, Outcome as Committed},
};

mod settle;
mod take;

/// How often a step is taken again because what it relied on was changed by somebody else.
const TRIES: usize = 8;

/// A login that is under way.
struct Held {
    flow: AnyFlow,
    /// That it stands where it stood, and that the session has not ended inside of which it goes on.
    guards: Vec<Guard>,
}

async fn resume(app: &App, browser: &Browser) -> Answer<Result<Held, Reason>> {
    let Some(cookie) = browser.ceremony.as_deref() else { return Ok(Err(Reason::Expired)) };
    let key = layout::ceremony(&Key::of(cookie));
    let Some(stored) = app.db.get(&key).await? else { return Ok(Err(Reason::Expired)) };
    let record = CeremonyRecord::decode(&stored.value).map_err(ApiError::internal)?;
    let flow = match record.resume(cookie, app.clock.now()) {
        Ok(flow) => flow,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut guards = vec![Guard::At(key, stored.revision)];
    match flow.session() {
        // A token would outlive the session.
        Some(_) if browser.is_embedder() => return Ok(Err(Reason::ForeignCeremony)),
        Some(session) => match session::going_on(app, &session).await? {
            Some(guard) => guards.push(guard),
            None => return Ok(Err(Reason::SessionEnded)),
        },
        None => {}
    }
    Ok(Ok(Held { flow, guards }))
}

/// Begins a login, in place of one that the browser may have under way: the first page.
///
/// # Errors
/// Those of the store.
pub async fn begin(app: &App, browser: &Browser, tenant: Option<Name>, next: NextPath) -> Answer<Reached> {
    let mut start = Start::browser();
    (start.tenant, start.next) = (tenant, next);
    let flow = app.realm.begin(start, app.clock.now()).map_err(ApiError::internal)?;
    go_on(app, browser, flow.into()).await
}

/// Begins a login where its URL says who it is of: the page of the second step.
///
/// # Errors
/// Those of the store.
pub async fn begin_at(app: &App, browser: &Browser, url: &LoginUrl, next: NextPath) -> Answer<Reached> {
    let mut start = Start::browser();
    (start.tenant, start.next) = (Some(url.identity.tenant.clone()), next);
    let now = app.clock.now();
    let flow = app.realm.begin(start, now).map_err(ApiError::internal)?;
    let typed = Typed::new(url.identity.email.as_str(), url.identity.tenant.as_str());
    let users = users::by_address(&app.db, typed.lookup()).await?;
    let outcome = flow.identify(&app.realm, typed, &users::records(&users), now).map_err(ApiError::internal)?;
    begun(app, browser, Taken::new(outcome, users)).await
}

/// Begins a login inside a session, for what needs a recent one; it ends with the session under another cookie.
///
/// # Errors
/// Those of the store.
pub async fn step_up(app: &App, session: &Session, next: NextPath) -> Answer<Reached> {
    let user = session.user.value.record();
    let flow = app.realm.step_up(&session.record, user, next, app.clock.now()).map_err(ApiError::internal)?;
    go_on(app, &session.browser, flow.into()).await
}

/// Begins to set up a method inside a session whose login is recent: a passkey, or a one-time password.
///
/// # Errors
/// 403 where the login is not recent; those of the store.
pub async fn set_up(app: &App, session: &Session, method: Method, next: NextPath) -> Answer<Reached> {
    let (fresh, now) = (session.fresh(app)?, app.clock.now());
    let user = session.user.value.record();
    let outcome = app.realm.set_up(&session.record, fresh, user, method, next, &mut random::rng(), now);
    let taken = Taken::new(outcome.map_err(ApiError::internal)?, [session.user.clone()]);
    begun(app, &session.browser, taken).await
}

/// Opens an enrolment link: by a button, never by a page that is only fetched, because that uses it up.
///
/// # Errors
/// Those of the store.
pub async fn open_link(app: &App, browser: &Browser, presented: &str) -> Answer<Reached> {
    for _ in 0..TRIES {
        let link = app.db.load(&layout::enrolment_link(&Key::of(presented)), EnrolmentLink::decode).await?;
        let user = match &link {
            Some(link) => users::of(&app.db, link.value.identity()).await?,
            None => None,
        };
        let (record, now) = (user.as_ref().map(|user| user.value.record().clone()), app.clock.now());
        let found = link.as_ref().map(|link| &*link.value);
        let outcome = app.realm.open_link(found, presented, record, &mut random::rng(), now);
        let taken = Taken::new(outcome.map_err(ApiError::internal)?, user).doing("enrolment-link").of_link(link);
        if let Some(reached) = settle(app, browser, Vec::new(), taken).await? {
            return Ok(reached);
        }
    }
    Ok(Reached::over(Reason::BadLink))
}

/// Commits the login of a program, with the token that it is given; `None` when its user was changed meanwhile.
///
/// # Errors
/// Those of the store.
pub(super) async fn through(
    app: &App,
    browser: &Browser,
    outcome: Outcome,
    users: Vec<StoredUser>,
    counted: Vec<Counted>,
) -> Answer<Option<Granted>> {
    let taken = Taken::new(outcome, users).counting(counted);
    match settle(app, browser, Vec::new(), taken).await?.map(|reached| reached.at) {
        Some(At::LoggedIn(LoggedIn { token: Some(granted), .. })) => Ok(Some(granted)),
        _ => Ok(None),
    }
}

async fn go_on(app: &App, browser: &Browser, flow: AnyFlow) -> Answer<Reached> {
    let (mut writes, mut reached) = (Vec::new(), Reached::over(Reason::Expired));
    let former = browser.ceremony.as_deref().map(|cookie| Key::of(cookie)).filter(|_| !browser.is_embedder());
    writes.extend(former.iter().flat_map(|former| removal(former, app.ceremonies.ends(former))));
    reached.told = None;
    let begun = show(app, browser, flow, former, &mut writes, &mut reached).await?;
    match app.db.store().commit(Vec::new(), writes).await? {
        Committed::Committed(_) => {
            begun.stored();
            Ok(reached)
        }
        _ => Err(ApiError::unavailable("the store's answer was lost; begin again")),
    }
}

async fn begun(app: &App, browser: &Browser, taken: Taken) -> Answer<Reached> {
    let reached = settle(app, browser, Vec::new(), taken).await?;
    Ok(reached.unwrap_or_else(|| Reached::over(Reason::Changed)))
}

/// Where the login stands, without a step.
///
/// # Errors
/// Those of the store.
pub async fn current(app: &App, browser: &Browser) -> Answer<Reached> {
    match resume(app, browser).await? {
        Ok(held) => Reached::at(app, browser, &held.flow, None).await,
        Err(reason) => Ok(Reached::over(reason)),
    }
}

/// Takes a step of the login that the browser has under way.
///
/// # Errors
/// 429 for too many guesses; those of the store.
pub async fn act(app: &App, browser: &Browser, action: &Action) -> Answer<Reached> {
    for _ in 0..TRIES {
        let Held { flow, guards } = match resume(app, browser).await? {
            Ok(held) => held,
            Err(reason) => return Ok(Reached::over(reason)),
        };
        match take(app, browser, flow, action).await? {
            Ok(taken) => {
                if let Some(reached) = settle(app, browser, guards, taken).await? {
                    return Ok(reached);
                }
            }
            Err(not_taken) => return stay(app, browser, not_taken).await,
        }
    }
    Ok(Reached::over(Reason::Changed))
}

/// The login stands where it stood.
async fn stay(app: &App, browser: &Browser, not_taken: NotTaken) -> Answer<Reached> {
    let told = match not_taken {
        NotTaken::OutOfStep => {
            let actor = browser.source.map(|source| Actor::stranger(app, source));
            if let Some(actor) = actor {
                app.refuse(actor.refused("login", Reason::NotOffered.code(), app.clock.now()));
            }
            LOGIN_REFUSED.to_owned()
        }
        NotTaken::Told(text) => text,
    };
    match resume(app, browser).await? {
        Ok(held) => Reached::at(app, browser, &held.flow, Some(told)).await,
        Err(reason) => Ok(Reached::over(reason)),
    }
}
