//! Logins of command lines through a browser: the browser's session allows it by a click, and the program exchanges what it is sent
//! for a token of its own.
//!
//! The program listens on its own machine, makes up a verifier and a state, and opens [`PATH`] with the hash of the verifier. What the
//! click sends it (RFC 8252 §7.3) works once, for a minute, and with the verifier alone (as RFC 7636): whoever reads it on the way has
//! nothing.

use std::net::IpAddr;

use keyward_config_values::Name;
use keyward_webauthn_login::{Email, Identity, Key, Reason, UserHandle};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{
    session::{self, Session, actor_of},
    token::{Granted, grant},
    users,
};
use crate::{
    app::{Actor, App, Commit},
    http::{
        error::{Answer, ApiError},
        token,
    },
    layout, random,
    store::{Guard, Write},
};

/// The page that asks.
pub const PATH: &str = "/cli";

/// How long a program has to exchange what it was sent.
const LASTS: Duration = Duration::MINUTE;

/// Every refused exchange.
const REFUSED: &str = "the code was used, has expired, or was made for another program; log in again";

const FORMAT: u32 = 1;

/// What a program asks for, in the query of the page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Where it listens, on the machine of the browser.
    pub port: u16,
    /// The SHA-256 of its verifier, in hexadecimal digits.
    pub challenge: String,
    /// What it knows its own answer by.
    pub state: String,
    /// What it calls the machine; nobody has checked it.
    #[serde(default)]
    pub host: String,
}

impl Asked {
    /// That it can be answered.
    ///
    /// # Errors
    /// 400.
    pub fn check(&self) -> Answer<()> {
        let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let problem = match () {
            () if self.port < 1024 => "`port` is one that a program may open: 1024 or more",
            () if self.challenge.parse::<Key>().is_err() => "`challenge` is a SHA-256 in hexadecimal digits",
            () if !(16..=128).contains(&self.state.len()) || !word(&self.state) => {
                "`state` has 16 to 128 letters, digits, `-` and `_`"
            }
            () if self.host.len() > 64 || !word(&self.host) => "`host` is a name of at most 64 characters",
            () => return Ok(()),
        };
        Err(ApiError::invalid(problem))
    }
}

/// What is stored of a code.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Code {
    format: u32,
    tenant: Name,
    email: Email,
    handle: UserHandle,
    epoch: u64,
    challenge: Key,
    /// The one in which it was allowed.
    #[serde(default)]
    session: Option<Key>,
    #[serde(with = "time::serde::rfc3339")]
    expires: OffsetDateTime,
}

/// The user allows it: answers where the browser is to be sent, on its own machine. The program's token lives longer than the session,
/// and counts as a login of now: so the session's has to be recent.
///
/// # Errors
/// 400; 403 with `error-info` `{"code": "step-up"}`; those of the store.
pub async fn allow(app: &App, session: &Session, asked: &Asked) -> Answer<Zeroizing<String>> {
    asked.check()?;
    let _fresh = session.fresh(app)?;
    let mut bytes = Zeroizing::new([0; 32]);
    rand_core::Rng::fill_bytes(&mut random::rng(), &mut *bytes);
    let secret = Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let (user, now) = (session.user.value.record(), app.clock.now());
    let code = Code {
        format: FORMAT,
        tenant: session.tenant.clone(),
        email: user.identity().email.clone(),
        handle: user.handle(),
        epoch: user.epoch(),
        challenge: asked.challenge.parse().map_err(|_| ApiError::invalid("`challenge` is no hash"))?,
        session: Some(session.record.key()),
        expires: now + LASTS,
    };
    let bytes = serde_json::to_vec(&code).map_err(ApiError::internal)?;
    let writes = app.put_until(layout::cli_code(&Key::of(&secret)), &bytes, code.expires)?;
    let audit = session.caller.actor().did("cli-login-allowed", now).with("host", asked.host.as_str());
    match app.commit(vec![session.user.guard()], writes.into(), audit).await? {
        Commit::Done(_) => {}
        Commit::Conflict => return Err(ApiError::conflict("the user was changed meanwhile; try again")),
    }
    Ok(Zeroizing::new(format!("http://127.0.0.1:{}/?code={}&state={}", asked.port, *secret, asked.state)))
}

/// The program exchanges the code for a token. Whatever comes of it, the code is gone.
///
/// # Errors
/// 401 with one text for every reason.
pub async fn exchange(app: &App, source: IpAddr, code: &str, verifier: &str) -> Answer<(Granted, Identity)> {
    let key = layout::cli_code(&Key::of(code));
    let refuse = |actor: Actor, reason: &str| {
        app.refuse(actor.refused("cli-login", reason, app.clock.now()));
        app.metrics.login("user", false);
        ApiError::unauthenticated(REFUSED)
    };
    let stranger = || Actor::stranger(app, source);
    let Some(stored) = app.db.get(&key).await? else { return Err(refuse(stranger(), "unknown-code")) };
    let code: Code = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
    if code.format != FORMAT {
        return Err(ApiError::internal("a code is of a newer program"));
    }
    let user = users::get(&app.db, &code.tenant, code.email.as_str()).await?;
    let session = match &code.session {
        Some(session) => session::going_on(app, session).await?,
        None => None,
    };
    let now = app.clock.now();
    let checked = match &user {
        _ if now >= code.expires => Err(Reason::Expired.code()),
        _ if Key::of(verifier) != code.challenge => Err("wrong-verifier"),
        None => Err(Reason::UnknownUser.code()),
        Some(user) if user.value.record().locked().is_some() => Err(Reason::Locked.code()),
        Some(user) if user.value.record().handle() != code.handle || user.value.record().epoch() != code.epoch => {
            Err(Reason::Changed.code())
        }
        Some(_) if session.is_none() => Err(Reason::SessionEnded.code()),
        Some(user) => Ok(user),
    };
    let (mut guards, mut writes): (Vec<Guard>, _) = (vec![stored.guard()], vec![Write::Delete(key)]);
    let user = match checked {
        Ok(user) => user,
        Err(reason) => {
            let _outcome = app.db.store().commit(guards, writes).await?;
            let actor = user.as_ref().map_or_else(stranger, |user| actor_of(app, user, Some(source)));
            return Err(refuse(actor, reason));
        }
    };
    let granted = grant(app, &code.tenant, &user.value, now);
    guards.push(user.guard());
    let gone = || ApiError::unauthenticated(REFUSED);
    guards.extend(app.living(&code.tenant).await?.ok_or_else(gone)?);
    writes.extend(token::store(app, &granted.record)?);
    let audit = actor_of(app, user, Some(source)).did("login", now).with("by", "browser");
    let audit = audit.with("accessor", granted.record.accessor().to_string());
    match app.commit(guards, writes, audit).await? {
        Commit::Done(_) => {
            app.metrics.login("user", true);
            Ok((granted, user.value.record().identity().clone()))
        }
        Commit::Conflict => Err(refuse(actor_of(app, user, Some(source)), Reason::Changed.code())),
    }
}
