//! What a step comes to: what it asks for is read, and the flow decides.

use std::pin::Pin;

use keyward_config_values::Name;
use keyward_webauthn_login::{AnyFlow, Identity, Password, Reason, Typed};

use super::settle::Taken;
use crate::{
    app::{Actor, App},
    http::error::{Answer, ApiError},
    login::{
        action::Action,
        attempts::{self, Guess},
        browser::Browser,
        providers, users,
    },
    random,
};

/// How much of what a provider says is recorded, in characters: it may say any amount.
const SAID: usize = 500;

/// What a step is not taken for.
pub(super) enum NotTaken {
    /// It is not asked for here.
    OutOfStep,
    /// It is said why, and the login stands where it stood.
    Told(String),
}

/// What a step comes to, or why it is none.
pub(super) type Took = Answer<Result<Taken, NotTaken>>;

/// Behind a pointer: what it is made of is more than the compiler finds out about.
pub(super) fn take<'a>(
    app: &'a App,
    browser: &'a Browser,
    flow: AnyFlow,
    action: &'a Action,
) -> Pin<Box<dyn Future<Output = Took> + Send + 'a>> {
    Box::pin(take_now(app, browser, flow, action))
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
    let tenant = flow.tenant().cloned();
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
            Taken::new(attempt.finish(realm, hashed, &mut random::rng(), now).map_err(failed)?, users)
                .counting([counted])
        }
        (AnyFlow::Identified(flow), Action::External(name)) => {
            match providers::choose(app, tenant.as_ref(), name).await? {
                Some((provider, unavailable)) => {
                    Taken::new(flow.external(provider, unavailable, &mut random::rng(), now), Vec::new())
                }
                None => return Ok(Err(NotTaken::OutOfStep)),
            }
        }
        (AnyFlow::AtProvider(flow), Action::Callback { at, callback }) => match flow.callback(callback, at, now) {
            Ok((code, request, exchange)) => match providers::exchange(app, tenant.as_ref(), &code, &request).await? {
                Ok((claims, user)) => {
                    let record = user.as_ref().map(|user| user.value.record().clone());
                    let now = app.clock.now();
                    let outcome = exchange.verified(realm, &claims, record, &mut random::rng(), now).map_err(failed)?;
                    let who = match outcome.refused {
                        // What an administrator needs to bind them.
                        Some(Reason::NotBound) => vec![("issuer", claims.issuer), ("subject", said(&claims.subject))],
                        _ => Vec::new(),
                    };
                    Taken::new(outcome, user).refusing(who)
                }
                Err(problem) => return Ok(Err(not_verified(app, browser, &problem))),
            },
            Err(outcome) => Taken::new(*outcome, Vec::new()),
        },
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
            Taken::new(attempt.finish(realm, hashed, &mut random::rng(), now).map_err(failed)?, user)
                .counting([counted])
        }
        (AnyFlow::Second(flow), Action::Code(code)) => {
            let guess = Guess::code(user.as_ref().map_or("", |user| &user.key));
            let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
            let outcome = flow.totp(realm, record, code, admitted, &mut random::rng(), now).map_err(failed)?;
            Taken::new(outcome, user).counting([counted])
        }
        (AnyFlow::Second(flow), Action::RecoveryCode(code)) => {
            let guess = Guess::code(user.as_ref().map_or("", |user| &user.key));
            let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
            let outcome = flow.recovery_code(realm, record, code, admitted, &mut random::rng(), now).map_err(failed)?;
            Taken::new(outcome, user).counting([counted]).doing("recovery-code")
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

fn said(text: &str) -> String {
    text.chars().take(SAID).collect()
}

/// What went wrong at a provider is for the log: it may say what nobody is to know.
fn not_verified(app: &App, browser: &Browser, problem: &str) -> NotTaken {
    if let Some(source) = browser.source {
        let actor = Actor::stranger(app, source);
        app.refuse(actor.refused("login", "provider", app.clock.now()).with("problem", said(problem)));
    }
    NotTaken::Told("the provider did not confirm the login; try again, or log in another way".to_owned())
}
