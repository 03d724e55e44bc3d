//! Logins of programs: everything in one request, by the same rules. Nothing is offered and nothing set up, so that whoever has to prove
//! a passkey does not log in here.

use std::net::IpAddr;

use keyward_config_values::Name;
use keyward_webauthn_login::{AnyFlow, Method, Next, Outcome, Password, Reason, Start, Typed, Write};
use zeroize::Zeroizing;

use super::{
    attempts::{self, Counted, Guess},
    browser::Browser,
    steps,
    token::Granted,
    users::{self, StoredUser},
};
use crate::{app::App, http::error::ApiError, random};

/// How often a login is decided again because its user was changed meanwhile, as another login of theirs does.
const TRIES: usize = 16;

/// In the place of a tenant that there is not: nobody is looked up there.
pub const NOWHERE: &str = "/";

/// What a program presents.
pub struct Presented {
    /// The address.
    pub username: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// A one-time password, or a recovery code.
    pub otp: Option<Zeroizing<String>>,
}

/// A login that is not granted.
pub enum Refused {
    /// Why, for the audit log alone, and whom it is about if that is anybody.
    Reason(Reason, Option<Box<StoredUser>>),
    /// Something else is wrong.
    Error(ApiError),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl From<crate::db::DbError> for Refused {
    fn from(error: crate::db::DbError) -> Self {
        Self::Error(error.into())
    }
}

impl From<keyward_webauthn_login::Error> for Refused {
    fn from(error: keyward_webauthn_login::Error) -> Self {
        Self::Error(ApiError::internal(error))
    }
}

/// Logs a program in to the tenant that it names.
///
/// # Errors
/// [`Refused`]; 429 for too many guesses.
pub async fn log_in(app: &App, source: IpAddr, presented: &Presented, tenant: &str) -> Result<Granted, Refused> {
    let browser = Browser::embedder(source, None);
    for _ in 0..TRIES {
        let (outcome, users, counted) = decide(app, &browser, presented, tenant).await?;
        if let Some(reason) = outcome.refused {
            let about = outcome.identity.as_ref();
            let user =
                about.and_then(|identity| users.into_iter().find(|user| user.value.record().identity() == identity));
            return Err(Refused::Reason(reason, user.map(Box::new)));
        }
        if let Some(granted) = steps::through(app, &browser, outcome, users, counted).await? {
            return Ok(granted);
        }
    }
    Err(ApiError::conflict("the user was changed meanwhile; log in again").into())
}

type Decided = (Outcome, Vec<StoredUser>, Vec<Counted>);

async fn decide(app: &App, browser: &Browser, presented: &Presented, tenant: &str) -> Result<Decided, Refused> {
    let realm = &app.realm;
    let mut start = Start::client();
    start.tenant = tenant.parse::<Name>().ok();
    let flow = realm.begin(start, app.clock.now())?;
    let typed = Typed::new(&presented.username, tenant);
    let lookup = typed.lookup().map(|(email, tenant)| (email.clone(), tenant.cloned()));
    let find = || users::by_address(&app.db, lookup.as_ref().map(|(email, tenant)| (email, tenant.as_ref())));
    let found = find().await?;
    let guess = Guess::password(app, browser, typed.history_key(), Some(tenant), &found);
    let outcome = flow.identify(realm, typed, &users::records(&found), app.clock.now())?;
    let Next::Continue(AnyFlow::Identified(flow)) = outcome.next else {
        return Err(ApiError::internal("a login stands where no program is").into());
    };
    let (admitted, counted) = attempts::count(app, browser.source, guess).await?;
    let password = Password::new(presented.password.to_string());
    let (job, attempt) = flow.password(realm, users::records(&found), password, admitted);
    let hashed = app.hash(move || job.run()).await??;
    // It took a while.
    let (found, now) = (find().await?, app.clock.now());
    let attempt = attempt.with_users(users::records(&found));
    let mut outcome = attempt.finish(realm, hashed, &mut random::rng(), now)?;
    let mut counted = vec![counted];
    if let (Next::Continue(AnyFlow::Second(_)), Some(otp)) = (&outcome.next, &presented.otp) {
        let rehash = outcome.rehash.take();
        let before = outcome.writes;
        let Next::Continue(AnyFlow::Second(flow)) = outcome.next else {
            return Err(ApiError::internal("a login has moved").into());
        };
        // The step before answered who it is.
        let user = found.first().filter(|_| flow.wanted() == Method::Totp);
        let record = user.map(|user| user.value.record().clone());
        let guess = Guess::code(user.map_or("", |user| &user.key));
        let (admitted, second) = match attempts::count(app, browser.source, guess).await {
            Ok(admitted) => admitted,
            // That the password was right is not told.
            Err(error) if error.status() == axum::http::StatusCode::TOO_MANY_REQUESTS => {
                return Err(Refused::Reason(Reason::TooManyAttempts, user.cloned().map(Box::new)));
            }
            Err(error) => return Err(error.into()),
        };
        counted.push(second);
        let is_code = otp.trim().len() == 6 && otp.trim().bytes().all(|byte| byte.is_ascii_digit());
        outcome = match is_code {
            true => flow.totp(realm, record, otp, admitted, &mut random::rng(), now)?,
            false => flow.recovery_code(realm, record, otp, admitted, &mut random::rng(), now)?,
        };
        let writes: Vec<Write> = before.into_iter().chain(outcome.writes).collect();
        outcome.writes = writes;
        outcome.rehash = rehash;
    }
    if outcome.refused.is_none() && !matches!(outcome.next, Next::LoggedIn(_)) {
        outcome.refused = Some(Reason::EnrolmentNeeded);
    }
    Ok((outcome, found, counted))
}
