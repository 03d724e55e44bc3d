//! What a user does with their own account: passkeys, password, one-time password, sessions, login URL.
//!
//! Whoever has a session or a token of a user may; what takes something away, or makes it, needs a recent login
//! ([`Account::fresh`]). After a change that ends sessions this one goes on under another cookie ([`Changed::cookies`]); the
//! token of a program ends with the others.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use keyward_approle::Subject;
use keyward_config_values::Name;
use keyward_webauthn_login::{
    Authenticator, Client, Fresh, Key, LoginUrl, Method, PasskeyId, PasskeyName, Password, Proofs, RememberedLogin,
    RememberedLogins, Signal, UserRecord, hash_new_password,
};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    attempts::{self, Guess},
    browser::{Browser, Cookie, REMEMBERED, SESSION, token_of},
    session::{self, Session},
    users::{self, StoredUser},
};
use crate::{
    app::{App, Commit},
    http::{
        caller::{self, Caller},
        error::{Answer, ApiError},
        peer::Peer,
    },
    moment, random,
    store::{Guard, Write},
};

/// How often a change is decided again because the user was changed meanwhile.
const TRIES: usize = 16;

/// Somebody with an account: a user, and how they come here.
#[derive(Clone, Debug)]
pub struct Account {
    /// With the rights of the user.
    pub caller: Caller,
    /// Whose it is.
    pub user: StoredUser,
    /// The id of their tenant.
    pub tenant: Name,
    /// Their session, unless they have come with a token.
    pub session: Option<Session>,
}

impl From<Session> for Account {
    fn from(session: Session) -> Self {
        let Session { caller, user, tenant, .. } = session.clone();
        Self { caller, user, tenant, session: Some(session) }
    }
}

/// Behind `authenticate`, which has let the caller in.
impl FromRequestParts<Arc<App>> for Account {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let Peer(source) = Peer::from_request_parts(parts, app).await?;
        let Subject::User { name } = caller.token.subject() else {
            let record = caller.actor().refused("denied", "not-a-user", app.clock.now());
            app.refuse(record.with("path", parts.uri.path()));
            let message = "permission denied: an account is a user's, and you are a workload";
            return Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, message));
        };
        let tenant = caller.tenant().clone();
        let user = users::get(&app.db, &tenant, name).await?;
        let user = user.ok_or_else(|| ApiError::unauthenticated(keyward_approle::TOKEN_REFUSED))?;
        let session = match caller::presented(&parts.headers) {
            Ok(_) => None,
            Err(_) => Session::find(app, &Browser::of(&parts.headers, source), parts.uri.path()).await?,
        };
        Ok(Self { caller, user, tenant, session })
    }
}

/// An account as its owner sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct View {
    /// The address.
    pub email: String,
    /// What people read.
    pub display_name: String,
    /// The name of the tenant.
    pub tenant: String,
    /// The URL that prefills a login, to be copied.
    pub login_url: String,
    /// How they logged in.
    pub authenticator: Option<Authenticator>,
    /// With what.
    pub proofs: Option<Proofs>,
    /// When.
    #[serde(serialize_with = "moment::serialize")]
    pub authenticated: OffsetDateTime,
    /// Whether that is recent enough for what needs a recent login.
    pub fresh: bool,
    /// What every login must prove.
    pub enforced_methods: std::collections::BTreeSet<Method>,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether there is a one-time password.
    pub has_totp: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: usize,
    /// Passkeys: `id`, `name`, `created`, `last-used`, `synchronized`, `backed-up`.
    pub passkeys: Vec<Value>,
    /// Whether this browser lists the login.
    pub remembered: bool,
    /// The names of their policies.
    pub policies: Vec<Name>,
}

/// A session as its owner sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionView {
    /// What it is revoked by; it opens nothing.
    pub id: String,
    /// What it was begun with; nothing of those that a former release began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// Who verified the login.
    pub authenticator: Authenticator,
    /// With what.
    pub proofs: Proofs,
    /// When.
    #[serde(serialize_with = "moment::serialize")]
    pub authenticated: OffsetDateTime,
    /// When it was last used, to the minute.
    #[serde(serialize_with = "moment::serialize")]
    pub seen: OffsetDateTime,
    /// When it ends.
    #[serde(serialize_with = "moment::serialize")]
    pub expires: OffsetDateTime,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What a change comes to.
#[derive(Default)]
pub struct Changed {
    /// What the page's script tells the browser's password manager.
    pub signal: Option<Signal>,
    /// What the browser is to keep.
    pub cookies: Vec<Cookie>,
    /// For the forms of the next page, where the session has another cookie now.
    pub form_token: Option<String>,
    /// Recovery codes that were made: shown this once.
    pub recovery_codes: Vec<Zeroizing<String>>,
}

impl Account {
    /// That the login is recent. A token counts from its login; one that was made from another never does.
    ///
    /// # Errors
    /// 403 with `error-info` `{"code": "step-up"}`.
    pub fn fresh(&self, app: &App) -> Answer<Fresh> {
        if let Some(session) = &self.session {
            return session.fresh(app);
        }
        let token = self.caller.token.record();
        let login = if token.is_made() { OffsetDateTime::UNIX_EPOCH } else { token.creation_time() };
        // What the user's last change dated forward is not from the future.
        let now = app.clock.now().max(login);
        let fresh = Fresh::since(login, app.realm.settings().step_up_age, now).map_err(|error| {
            ApiError::new(axum::http::StatusCode::FORBIDDEN, error.to_string())
                .with_info(serde_json::json!({"code": "step-up"}))
        });
        if token.is_made() { Err(fresh.err().unwrap_or_else(|| ApiError::internal("a made token"))) } else { fresh }
    }

    fn record(&self) -> &UserRecord {
        self.user.value.record()
    }

    /// The account as its owner sees it.
    ///
    /// # Errors
    /// None that an account can cause.
    pub fn view(&self, app: &App) -> Answer<View> {
        let user = self.record();
        let session = self.session.as_ref();
        let passkeys: Result<Vec<Value>, _> = user.passkeys().map(serde_json::to_value).collect();
        let remembered = session.map(|session| session.browser.remembered(app));
        Ok(View {
            email: user.identity().email.to_string(),
            display_name: user.display_name().to_owned(),
            tenant: user.identity().tenant.to_string(),
            login_url: self.login_url(app),
            authenticator: session.map(|session| session.record.authenticator().clone()),
            proofs: session.map(|session| session.record.proofs().clone()),
            authenticated: session
                .map_or_else(|| self.caller.token.record().creation_time(), |session| session.record.authenticated()),
            fresh: self.fresh(app).is_ok(),
            enforced_methods: user.enforced().clone(),
            has_password: user.has().password,
            has_totp: user.has().totp,
            recovery_codes_left: user.recovery_codes_left(),
            passkeys: passkeys.map_err(ApiError::internal)?,
            remembered: remembered.is_some_and(|list| list.iter().any(|login| *login == self.remembered_login())),
            policies: user.policies().to_vec(),
        })
    }

    /// What a list of remembered logins has of this one.
    pub fn remembered_login(&self) -> RememberedLogin {
        let authenticator = self.session.as_ref().map(|session| session.record.authenticator().clone());
        RememberedLogin {
            identity: self.record().identity().clone(),
            authenticator: authenticator.unwrap_or(Authenticator::Strongbox),
        }
    }

    /// The URL that prefills a login of this account.
    pub fn login_url(&self, app: &App) -> String {
        let url = LoginUrl { identity: self.record().identity().clone(), authenticator: None };
        format!("{}{url}", app.external_url)
    }

    /// Puts the login on this browser's list, or takes it off.
    pub fn remember(&self, app: &App, on: bool) -> Changed {
        let mut list = self.session.as_ref().map(|session| session.browser.remembered(app)).unwrap_or_default();
        match on {
            true => list.remember(self.remembered_login()),
            false => list.forget(&self.remembered_login()),
        }
        Changed { cookies: vec![list_cookie(app, &list)], ..Changed::default() }
    }

    /// Names a passkey.
    ///
    /// # Errors
    /// 404.
    pub async fn rename_passkey(&self, app: &App, id: &PasskeyId, name: &PasskeyName) -> Answer<Changed> {
        self.change(app, "passkey-rename", |user| user.rename_passkey(id, name.clone()).map(|()| Changed::default()))
            .await
    }

    /// Removes a passkey.
    ///
    /// # Errors
    /// 403 without a recent login; 404; 422 for the last one that a login needs.
    pub async fn remove_passkey(&self, app: &App, id: &PasskeyId) -> Answer<Changed> {
        let fresh = self.fresh(app)?;
        self.change(app, "passkey-remove", |user| {
            let signal = user.remove_passkey(id, app.realm.relying_party(), &fresh)?;
            Ok(Changed { signal: Some(signal), ..Changed::default() })
        })
        .await
    }

    /// Takes the one-time password away.
    ///
    /// # Errors
    /// 403 without a recent login; 422 where it is enforced.
    pub async fn remove_totp(&self, app: &App) -> Answer<Changed> {
        let fresh = self.fresh(app)?;
        if !self.record().has().totp {
            return Err(ApiError::inapplicable("there is no one-time password"));
        }
        self.change(app, "one-time-password-remove", |user| user.remove_totp(&fresh).map(|()| Changed::default())).await
    }

    /// Makes another set of recovery codes; the former ones no longer work.
    ///
    /// # Errors
    /// 403 without a recent login; 422 without a one-time password.
    pub async fn new_recovery_codes(&self, app: &App) -> Answer<Changed> {
        let fresh = self.fresh(app)?;
        if !self.record().has().totp {
            return Err(ApiError::inapplicable(
                "recovery codes stand in for a one-time password, and there is none; set one up first",
            ));
        }
        self.change(app, "recovery-codes", |user| {
            let codes = user.new_recovery_codes(&fresh, &mut random::rng());
            let recovery_codes = codes.iter().map(|code| Zeroizing::new(code.to_owned())).collect();
            Ok(Changed { recovery_codes, ..Changed::default() })
        })
        .await
    }

    /// Sets another password, for whoever knows the present one; who has none yet logged in a moment ago.
    ///
    /// # Errors
    /// 400 for a password that is not accepted; 403 for a wrong one, or without a recent login; 429.
    pub async fn change_password(&self, app: &App, current: &str, new: &str) -> Answer<Changed> {
        let user = self.record();
        let new_job = hash_new_password(Password::new(new.to_owned()), &user.identity().email, app.realm.secret())
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        let mut counted = None;
        if user.has().password {
            let guess = Guess::code(&format!("account/{}", self.user.key));
            let (_admitted, guess) = attempts::count(app, Some(self.caller.source), guess).await?;
            counted = Some(guess);
            let job = user.check_password(Password::new(current.to_owned()), app.realm.secret());
            let hashed = app.hash(move || job.run()).await?.map_err(ApiError::internal)?;
            if !user.password_is(&hashed) {
                app.refuse(self.caller.actor().refused("password-change", "wrong-password", app.clock.now()));
                return Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, "the present password is another one"));
            }
        } else {
            let _fresh = self.fresh(app)?;
        }
        let hashed = app.hash(move || new_job.run()).await?.map_err(ApiError::internal)?;
        let epoch = user.epoch();
        let changed = self
            .change(app, "password-change", |user| {
                if user.epoch() == epoch {
                    user.set_password(&hashed);
                }
                Ok(Changed::default())
            })
            .await?;
        if let Some(counted) = counted {
            counted.give_back(app).await;
        }
        Ok(changed)
    }

    /// Changes the user; where that ends sessions this one goes on under another cookie, made now.
    async fn change(
        &self,
        app: &App,
        event: &'static str,
        change: impl Fn(&mut UserRecord) -> Result<Changed, keyward_webauthn_login::Error>,
    ) -> Answer<Changed> {
        for _ in 0..TRIES {
            let name = self.record().identity().email.as_str();
            let stored = users::get(&app.db, &self.tenant, name).await?;
            let stored = stored.ok_or_else(|| ApiError::unauthenticated(keyward_approle::TOKEN_REFUSED))?;
            let now = app.clock.now();
            let mut record = stored.value.record().clone();
            // Whoever was locked or reset meanwhile changes nothing.
            if record.epoch() != self.record().epoch() || record.handle() != self.record().handle() {
                return Err(ApiError::unauthenticated(keyward_approle::TOKEN_REFUSED));
            }
            let mut changed = change(&mut record).map_err(refused)?;
            let mut guards: Vec<Guard> = vec![stored.guard()];
            if let Some(session) = &self.session {
                // One that was ended meanwhile changes nothing, and does not go on under another cookie.
                let ended = || ApiError::unauthenticated(keyward_webauthn_login::Reason::SessionEnded.to_string());
                guards.push(session::going_on(app, &session.record.key()).await?.ok_or_else(ended)?);
            }
            let mut writes: Vec<Write> = Vec::new();
            if let Some(session) = self.session.as_ref().filter(|_| record.epoch() != self.record().epoch()) {
                let (token, rotated) = session.record.rotate(&record, &mut random::rng());
                writes.extend(session::end(&self.tenant, &self.user, &session.record.key()));
                writes.extend(session::put(app, &self.tenant, &rotated)?);
                changed.cookies.push(Cookie::new(SESSION, token.expose()));
                changed.form_token = Some(token_of(app, token.expose()));
            }
            let user = stored.value.changed(record, now);
            writes.extend(users::put(&app.db, &self.tenant, Some(&stored.value), &user)?);
            let gone = || ApiError::unauthenticated(keyward_approle::TOKEN_REFUSED);
            guards.extend(app.living(&self.tenant).await?.ok_or_else(gone)?);
            if let Commit::Done(_) = app.commit(guards, writes, self.caller.actor().did(event, now)).await? {
                return Ok(changed);
            }
        }
        Err(ApiError::conflict("the user is being changed by others all the time; try again"))
    }

    /// The sessions that have not ended: this one, then those that were used last.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions(&self, app: &App) -> Answer<Vec<SessionView>> {
        let current = self.session.as_ref().map(|session| session.record.key());
        let sessions = session::of_user(app, &self.tenant, &self.user).await?;
        let view = |session: &keyward_webauthn_login::SessionRecord| SessionView {
            id: session.key().to_string(),
            client: session.client().cloned(),
            authenticator: session.authenticator().clone(),
            proofs: session.proofs().clone(),
            authenticated: session.authenticated(),
            seen: session.seen(),
            expires: session.expires(),
            current: current == Some(session.key()),
        };
        let mut sessions: Vec<SessionView> = sessions.iter().map(|session| view(&session.value)).collect();
        sessions.sort_by_key(|session| (!session.current, std::cmp::Reverse(session.seen)));
        Ok(sessions)
    }

    /// Ends one of the sessions.
    ///
    /// # Errors
    /// 404.
    pub async fn end_session(&self, app: &App, id: &Key) -> Answer<Changed> {
        if !session::is_of(app, &self.tenant, &self.user, id).await? {
            return Err(ApiError::not_found("the session"));
        }
        self.end(app, [*id]).await
    }

    /// Ends all sessions but this one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_other_sessions(&self, app: &App) -> Answer<Changed> {
        let current = self.session.as_ref().map(|session| session.record.key());
        let mut after = None;
        // However many somebody has begun.
        loop {
            let keys = session::keys_of(app, &self.tenant, &self.user, after.as_ref()).await?;
            let Some(last) = keys.last().copied() else { return Ok(Changed::default()) };
            after = Some(last);
            let others: Vec<Key> = keys.into_iter().filter(|key| current != Some(*key)).collect();
            if !others.is_empty() {
                self.end(app, others).await?;
            }
        }
    }

    /// Ends this session.
    ///
    /// # Errors
    /// 422 for whoever has come with a token.
    pub async fn log_out(&self, app: &App) -> Answer<Changed> {
        let session = self.session.as_ref();
        let session = session.ok_or_else(|| ApiError::inapplicable("this is a token: revoke it"))?;
        self.end(app, [session.record.key()]).await
    }

    async fn end(&self, app: &App, sessions: impl IntoIterator<Item = Key>) -> Answer<Changed> {
        let current = self.session.as_ref().map(|session| session.record.key());
        let (mut writes, mut changed, mut count) = (Vec::new(), Changed::default(), 0_u64);
        for key in sessions {
            writes.extend(session::end(&self.tenant, &self.user, &key));
            count += 1;
            if current == Some(key) {
                changed.cookies.push(Cookie::dropped(SESSION));
            }
        }
        let audit = self.caller.actor().did("session-end", app.clock.now()).with("sessions", count);
        match app.commit(Vec::new(), writes, audit).await? {
            Commit::Done(_) => Ok(changed),
            Commit::Conflict => Err(ApiError::internal("a commit without guards had a conflict")),
        }
    }
}

/// Takes a login off the list of a browser, without anybody being logged in.
pub fn forget_login(app: &App, browser: &Browser, login: &RememberedLogin) -> Cookie {
    let mut list = browser.remembered(app);
    list.forget(login);
    list_cookie(app, &list)
}

fn list_cookie(app: &App, list: &RememberedLogins) -> Cookie {
    match list.iter().next() {
        Some(_) => Cookie::kept(REMEMBERED, &list.to_cookie(app.realm.secret())),
        None => Cookie::dropped(REMEMBERED),
    }
}

fn refused(error: keyward_webauthn_login::Error) -> ApiError {
    use keyward_webauthn_login::Error;
    match error {
        Error::NoSuchPasskey => ApiError::not_found("the passkey"),
        Error::Enforced => ApiError::inapplicable(error.to_string()),
        error => ApiError::internal(error),
    }
}
