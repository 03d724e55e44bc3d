//! One step of a login: read what it asks for, take it, commit all that comes of it.

use std::{pin::Pin, sync::Arc};

use keyward_approle::{Token, TokenParameters, TokenRecord};
use keyward_config_values::Name;
use keyward_webauthn_login::{
    AnyFlow, AuthenticationResponse, Callback, CeremonyRecord, EnrolmentLink, Identity, Key, LOGIN_REFUSED, LoginUrl,
    Method, Next, NextPath, Outcome, PasskeyName, Password, Reason, RegistrationResponse, RememberedLogin, Signal,
    Start, Typed, Write as Step,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    attempts::{self, Counted, Guess},
    browser::{Browser, CEREMONY, Cookie, DEVICE, SESSION, token_of},
    page::Page,
    providers,
    session::{self, Session, actor_of},
    users::{self, StoredUser},
};
use crate::{
    app::{Actor, App, Commit},
    db::Stored,
    http::{
        error::{Answer, ApiError},
        token,
    },
    layout, random,
    store::{Guard, Outcome as Committed, Write},
    user::User,
};

/// How often a step is taken again because what it relied on was changed by somebody else.
const TRIES: usize = 8;

/// How much of the reason of a refusal is recorded, in characters.
const REASON: usize = 500;

/// What a person, or a program for one, does where a login stands.
pub enum Action {
    /// Says who they are.
    Identify {
        /// As it was typed.
        email: String,
        /// As it was typed; empty where none was.
        tenant: String,
    },
    /// A password, to prove or to set it.
    Password(Zeroizing<String>),
    /// A passkey that was used.
    Passkey(Box<AuthenticationResponse>),
    /// A one-time password, to prove it or to confirm a new application.
    Code(Zeroizing<String>),
    /// A recovery code in its place.
    RecoveryCode(Zeroizing<String>),
    /// Which tenant.
    Choose(Name),
    /// Which provider.
    External(Name),
    /// What the provider sent the browser back with.
    Callback(Callback),
    /// What is to be set up, of what is offered.
    SetUp(Method),
    /// A passkey that was made.
    Register(Box<RegistrationResponse>, PasskeyName),
    /// Goes on without.
    Skip,
    /// Sets nothing up.
    Finish,
}

/// Where a login stands after a step. It holds what is secret, and has no `Debug`.
pub struct Reached {
    /// Where.
    pub at: At,
    /// Why the step did not succeed, in words for the person.
    pub told: Option<String>,
    /// Recovery codes that were made: shown this once.
    pub recovery_codes: Vec<Zeroizing<String>>,
    /// What the page's script tells the browser's password manager.
    pub signal: Option<Signal>,
    /// What the browser is to keep.
    pub cookies: Vec<Cookie>,
    /// For the forms of the page: the field `form-token`, or the header `X-Form-Token`.
    pub form_token: String,
    /// The token of the login, for a program with pages of its own.
    pub login: Option<Zeroizing<String>>,
    /// Whom it is of, as far as that was said: an address, and a tenant.
    pub who: Option<(String, Option<String>)>,
    /// Whether it goes on inside a session.
    pub inside_session: bool,
}

/// Where.
#[expect(clippy::large_enum_variant, reason = "there is one for each request")]
pub enum At {
    /// It goes on with this page.
    Page(Page),
    /// It is through.
    LoggedIn(LoggedIn),
    /// It is over; it can be begun again.
    Over,
}

/// A login that is through.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub identity: Identity,
    /// Where to go.
    pub next: NextPath,
    /// What [`super::account::Account::remember`] puts on the list, if the user wants it so.
    pub remember: RememberedLogin,
    /// For a program: the token, in place of a session.
    pub token: Option<Granted>,
}

/// A token that a login gave.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: Token,
    /// Its record, which is stored.
    pub record: TokenRecord,
    /// When.
    pub now: OffsetDateTime,
}

impl Reached {
    /// A login that is over.
    pub fn over(reason: Reason) -> Self {
        Self {
            at: At::Over,
            told: Some(reason.told().to_owned()),
            recovery_codes: Vec::new(),
            signal: None,
            cookies: vec![Cookie::dropped(CEREMONY)],
            form_token: String::new(),
            login: None,
            who: None,
            inside_session: false,
        }
    }
}

/// What a step read, and what it came to.
struct Taken {
    outcome: Outcome,
    users: Vec<StoredUser>,
    /// A guess that is given back when it was right.
    counted: Vec<Counted>,
    link: Option<Stored<Arc<EnrolmentLink>>>,
    /// What happened beside the login, for the audit log.
    event: Option<&'static str>,
}

impl Taken {
    fn new(outcome: Outcome, users: impl IntoIterator<Item = StoredUser>) -> Self {
        Self { outcome, users: users.into_iter().collect(), counted: Vec::new(), link: None, event: None }
    }

    fn counting(self, counted: Counted) -> Self {
        Self { counted: vec![counted], ..self }
    }

    fn doing(self, event: &'static str) -> Self {
        Self { event: Some(event), ..self }
    }
}

/// What a step is not taken for.
enum NotTaken {
    /// It is not asked for here.
    OutOfStep,
    /// It is said why, and the login stands where it stood.
    Told(String),
}

/// What a step comes to, or why it is none.
type Took = Answer<Result<Taken, NotTaken>>;

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
        let mut taken = Taken::new(outcome.map_err(ApiError::internal)?, user).doing("enrolment-link");
        taken.link = link;
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
    let taken = Taken { counted, ..Taken::new(outcome, users) };
    match settle(app, browser, Vec::new(), taken).await?.map(|reached| reached.at) {
        Some(At::LoggedIn(LoggedIn { token: Some(granted), .. })) => Ok(Some(granted)),
        _ => Ok(None),
    }
}

async fn go_on(app: &App, browser: &Browser, flow: AnyFlow) -> Answer<Reached> {
    let (mut writes, mut reached) = (Vec::new(), Reached::over(Reason::Expired));
    reached.told = None;
    show(app, browser, flow, &mut writes, &mut reached).await?;
    match app.db.store().commit(Vec::new(), writes).await? {
        Committed::Committed(_) => Ok(reached),
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
        Ok(held) => here(app, browser, &held.flow, None).await,
        Err(reason) => Ok(Reached::over(reason)),
    }
}

async fn here(app: &App, browser: &Browser, flow: &AnyFlow, told: Option<String>) -> Answer<Reached> {
    let cookie = browser.ceremony.as_deref().map_or("", String::as_str);
    Ok(Reached {
        at: At::Page(Page::of(app, flow).await?),
        told,
        recovery_codes: Vec::new(),
        signal: None,
        cookies: Vec::new(),
        form_token: token_of(app, cookie),
        login: browser.ceremony.clone().filter(|_| browser.is_embedder()),
        who: who(flow),
        inside_session: flow.session().is_some(),
    })
}

/// Whom a login is of, as far as that was proved or said.
fn who(flow: &AnyFlow) -> Option<(String, Option<String>)> {
    if let AnyFlow::Choosing(flow) = flow {
        return flow.email().map(|email| (email.to_string(), None));
    }
    flow.identity().map(|identity| (identity.email.to_string(), Some(identity.tenant.to_string())))
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

/// What went wrong at a provider is for the log: it may say what nobody is to know.
fn not_verified(app: &App, browser: &Browser, problem: &str) -> NotTaken {
    if let Some(source) = browser.source {
        let actor = Actor::stranger(app, source);
        // The provider may have said any amount of it.
        let problem: String = problem.chars().take(REASON).collect();
        app.refuse(actor.refused("login", "provider", app.clock.now()).with("problem", problem));
    }
    NotTaken::Told("the provider did not confirm the login; try again, or log in another way".to_owned())
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
        Ok(held) => here(app, browser, &held.flow, Some(told)).await,
        Err(reason) => Ok(Reached::over(reason)),
    }
}

#[expect(clippy::too_many_lines, reason = "one row for each step")]
async fn take_now(app: &App, browser: &Browser, flow: AnyFlow, action: &Action) -> Answer<Result<Taken, NotTaken>> {
    let (realm, now) = (&app.realm, app.clock.now());
    let failed = |error: keyward_webauthn_login::Error| ApiError::internal(error);
    let user = match flow.identity() {
        Some(identity) => users::of(&app.db, identity).await?,
        None => None,
    };
    let record = user.as_ref().map(|user| user.value.record().clone());
    let taken = match (flow, action) {
        (AnyFlow::Begun(flow), Action::Identify { email, tenant }) => {
            let typed = Typed::new(email, tenant);
            let users = users::by_address(&app.db, typed.lookup()).await?;
            Taken::new(flow.identify(realm, typed, &users::records(&users), now).map_err(failed)?, users)
        }
        (AnyFlow::Begun(flow), Action::Passkey(response)) => {
            let user = users::by_handle(&app.db, response.user_handle()).await?;
            let record = user.as_ref().map(|user| user.value.record().clone());
            Taken::new(flow.passkey(realm, response, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::Identified(flow), Action::Passkey(response)) => {
            let users = users::by_address(&app.db, flow.lookup()).await?;
            let outcome = flow.passkey(realm, response, users::records(&users), &mut random::rng(), now);
            Taken::new(outcome.map_err(failed)?, users)
        }
        (AnyFlow::Identified(flow), Action::Password(password)) => {
            let lookup = flow.lookup().map(|(email, tenant)| (email.clone(), tenant.cloned()));
            let find = || users::by_address(&app.db, lookup.as_ref().map(|(email, tenant)| (email, tenant.as_ref())));
            let users = find().await?;
            let tenant = lookup.as_ref().and_then(|(_, tenant)| tenant.as_ref()).map(Name::as_str);
            let guess = Guess::password(app, browser, flow.history_key(), tenant, &users);
            let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
            let password = Password::new(password.to_string());
            let (job, attempt) = flow.password(realm, users::records(&users), password, admitted);
            let hashed = app.hash(move || job.run()).await?.map_err(failed)?;
            // It took a while.
            let (users, now) = (find().await?, app.clock.now());
            let attempt = attempt.with_users(users::records(&users));
            Taken::new(attempt.finish(realm, hashed, &mut random::rng(), now).map_err(failed)?, users).counting(counted)
        }
        (AnyFlow::Identified(flow), Action::External(name)) => {
            match providers::choose(app, flow.lookup().and_then(|(_, tenant)| tenant), name).await? {
                Some((provider, unavailable)) => {
                    Taken::new(flow.external(provider, unavailable, &mut random::rng(), now), Vec::new())
                }
                None => return Ok(Err(NotTaken::OutOfStep)),
            }
        }
        (AnyFlow::AtProvider(flow), Action::Callback(callback)) => {
            let tenant = AnyFlow::from(flow);
            let named = tenant.tenant().cloned();
            let AnyFlow::AtProvider(flow) = tenant else { return Ok(Err(NotTaken::OutOfStep)) };
            match flow.callback(callback, now) {
                Ok((code, request, exchange)) => {
                    match providers::exchange(app, named.as_ref(), &code, &request).await? {
                        Ok((claims, user)) => {
                            let record = user.as_ref().map(|user| user.value.record().clone());
                            let now = app.clock.now();
                            let outcome =
                                exchange.verified(realm, &claims, record, &mut random::rng(), now).map_err(failed)?;
                            Taken::new(outcome, user)
                        }
                        Err(problem) => return Ok(Err(not_verified(app, browser, &problem))),
                    }
                }
                Err(outcome) => Taken::new(*outcome, Vec::new()),
            }
        }
        (AnyFlow::Choosing(flow), Action::Choose(tenant)) => {
            let user = match flow.email() {
                Some(email) => users::of(&app.db, &Identity::new(email.clone(), tenant.clone())).await?,
                None => None,
            };
            let record = user.as_ref().map(|user| user.value.record().clone());
            Taken::new(flow.choose(realm, tenant, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::Second(flow), Action::Password(password)) => {
            let guess = Guess::code(user.as_ref().map_or("", |user| &user.key));
            let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
            let (job, attempt) = flow.password(realm, record, Password::new(password.to_string()), admitted);
            let hashed = app.hash(move || job.run()).await?.map_err(failed)?;
            Taken::new(attempt.finish(realm, hashed, &mut random::rng(), now).map_err(failed)?, user).counting(counted)
        }
        (AnyFlow::Second(flow), Action::Code(code)) => {
            let guess = Guess::code(user.as_ref().map_or("", |user| &user.key));
            let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
            let outcome = flow.totp(realm, record, code, admitted, &mut random::rng(), now).map_err(failed)?;
            Taken::new(outcome, user).counting(counted)
        }
        (AnyFlow::Second(flow), Action::RecoveryCode(code)) => {
            let guess = Guess::code(user.as_ref().map_or("", |user| &user.key));
            let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
            let outcome = flow.recovery_code(realm, record, code, admitted, &mut random::rng(), now).map_err(failed)?;
            Taken::new(outcome, user).counting(counted).doing("recovery-code")
        }
        (AnyFlow::Second(flow), Action::Passkey(response)) => {
            Taken::new(flow.passkey(realm, response, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::Second(flow), Action::Skip) => {
            Taken::new(flow.skip(realm, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::EnrollingPasskey(flow), Action::Register(response, name)) => {
            let outcome = flow.register(realm, record, response, name.clone(), now).map_err(failed)?;
            Taken::new(outcome, user).doing("passkey-made")
        }
        (AnyFlow::EnrollingPasskey(flow), Action::Skip) => {
            Taken::new(flow.skip(realm, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::EnrollingTotp(flow), Action::Code(code)) => {
            let outcome = flow.confirm(realm, record, code, &mut random::rng(), now).map_err(failed)?;
            Taken::new(outcome, user).doing("one-time-password-set-up")
        }
        (AnyFlow::EnrollingTotp(flow), Action::Skip) => {
            Taken::new(flow.skip(realm, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::SettingPassword(flow), Action::Password(password)) => {
            let (job, attempt) = match flow.password(realm, Password::new(password.to_string())) {
                Ok(attempt) => attempt,
                Err(error) => return Ok(Err(NotTaken::Told(error.to_string()))),
            };
            let hashed = app.hash(move || job.run()).await?.map_err(failed)?;
            let outcome =
                attempt.finish(realm, record, &hashed, &mut random::rng(), app.clock.now()).map_err(failed)?;
            Taken::new(outcome, user).doing("password-set")
        }
        (AnyFlow::Ready(flow), Action::SetUp(method)) => {
            Taken::new(flow.set_up(realm, *method, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        (AnyFlow::Ready(flow), Action::Finish | Action::Skip) => {
            Taken::new(flow.finish(realm, record, &mut random::rng(), now).map_err(failed)?, user)
        }
        _ => return Ok(Err(NotTaken::OutOfStep)),
    };
    Ok(Ok(taken))
}

/// Behind a pointer: what it is made of is more than the compiler finds out about.
fn take<'a>(
    app: &'a App,
    browser: &'a Browser,
    flow: AnyFlow,
    action: &'a Action,
) -> Pin<Box<dyn Future<Output = Took> + Send + 'a>> {
    Box::pin(take_now(app, browser, flow, action))
}

/// Adds what keeps a login for its next step, and says what to show.
async fn show(
    app: &App,
    browser: &Browser,
    flow: AnyFlow,
    writes: &mut Vec<Write>,
    reached: &mut Reached,
) -> Answer<()> {
    reached.at = At::Page(Page::of(app, &flow).await?);
    (reached.who, reached.inside_session) = (who(&flow), flow.session().is_some());
    let (token, record) = flow.store(&mut random::rng());
    let bytes = Zeroizing::new(record.encode().map_err(ApiError::internal)?);
    writes.extend(app.put_until(layout::ceremony(&record.key()), &bytes, record.expires())?);
    if browser.is_embedder() {
        reached.cookies = Vec::new();
        reached.login = Some(Zeroizing::new(token.expose().to_owned()));
    } else {
        reached.cookies = vec![Cookie::new(CEREMONY, token.expose())];
        reached.form_token = token_of(app, token.expose());
    }
    Ok(())
}

/// Commits what a step came to, with its record; `None` when somebody else was faster.
async fn settle(app: &App, browser: &Browser, guards: Vec<Guard>, taken: Taken) -> Answer<Option<Reached>> {
    let Taken { outcome, users, counted, link, event } = taken;
    let Outcome { next, writes: steps, refused, identity, recovery_codes, signal, rehash, .. } = outcome;
    let now = app.clock.now();
    let mut commit = Parts { app, browser, users: &users, guards, writes: Vec::new(), token: None, now };
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
    reached.told = refused.map(|reason| reason.told().to_owned());
    reached.signal = signal;
    let codes = recovery_codes.iter().flat_map(|codes| codes.iter());
    reached.recovery_codes = codes.map(|code| Zeroizing::new(code.to_owned())).collect();
    let mut audit = event.map(|event| actor.did(event, now));
    match next {
        Next::Continue(flow) => show(app, browser, flow, &mut commit.writes, &mut reached).await?,
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
    let Parts { guards, writes, .. } = commit;
    let done = match audit.filter(|_| refused.is_none()) {
        Some(audit) => app.commit(guards, writes, audit).await?,
        None => match app.db.store().commit(guards, writes).await? {
            Committed::Committed(revision) => Commit::Done(revision),
            Committed::Conflict { .. } => Commit::Conflict,
            Committed::Unknown => return Err(ApiError::unavailable("the store's answer was lost; begin again")),
        },
    };
    let Commit::Done(revision) = done else { return Ok(None) };
    if let Some(reason) = refused {
        app.refuse(actor.refused("login", reason.code(), now));
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
        make_anew(app, user, job, revision).await;
    }
    Ok(Some(reached))
}

fn is(user: &StoredUser, identity: &Identity) -> bool {
    user.value.record().identity() == identity
}

/// A password whose hash is of another program, or of a time when less work was enough, is hashed anew. It can wait for another login.
async fn make_anew(app: &App, user: &StoredUser, job: keyward_webauthn_login::HashJob, revision: u64) {
    let made = async {
        let hashed = app.hash(move || job.run()).await?.map_err(ApiError::internal)?;
        let tenant = users::tenant_of(user)?;
        let name = user.value.record().identity().email.as_str();
        let Some(stored) = users::get(&app.db, &tenant, name).await? else { return Ok(()) };
        if stored.revision != revision && stored.revision != user.revision {
            return Ok(());
        }
        let mut record = stored.value.record().clone();
        record.set_rehashed(&hashed);
        let changed = stored.value.changed(record, app.clock.now());
        let writes = users::put(&app.db, &tenant, Some(&stored.value), &changed)?;
        let _outcome = app.db.store().commit(vec![stored.guard()], writes).await?;
        Ok::<(), ApiError>(())
    };
    if let Err(error) = made.await {
        tracing::warn!(error = error.message(), "a password is hashed anew at another login");
    }
}

/// What a step's commit is made of.
struct Parts<'a> {
    app: &'a App,
    browser: &'a Browser,
    users: &'a [StoredUser],
    guards: Vec<Guard>,
    writes: Vec<Write>,
    token: Option<Granted>,
    now: OffsetDateTime,
}

impl Parts<'_> {
    async fn add(&mut self, step: Step, link: Option<&Stored<Arc<EnrolmentLink>>>) -> Answer<()> {
        let app = self.app;
        match step {
            // Its guard is there already.
            Step::EndCeremony(key) => self.writes.push(Write::Delete(layout::ceremony(&key))),
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
            Step::BeginSession(record) => {
                let former = self.users.iter().find(|user| is(user, record.identity()));
                let former = former.ok_or_else(|| ApiError::internal("a step logs in a user that it did not read"))?;
                let tenant = users::tenant_of(former)?;
                if self.browser.is_embedder() {
                    let granted = grant(app, &tenant, &former.value, self.now);
                    self.writes.extend(token::store(app, &granted.record)?);
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

/// A token for a user who logged in.
pub fn grant(app: &App, tenant: &Name, user: &User, now: OffsetDateTime) -> Granted {
    let now = user.dated(now);
    let record = user.record();
    let policies = record.policies().to_vec();
    let parameters = TokenParameters::for_user(tenant.clone(), record.identity().email.to_string(), policies);
    let (token, record) = TokenRecord::issue(parameters, &app.limits, &app.pepper, &mut random::rng(), now);
    Granted { token, record, now }
}
