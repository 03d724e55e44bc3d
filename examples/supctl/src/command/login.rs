//! `supctl login` and `supctl logout`

mod bootstrap;
mod browser;
mod prompt;

use serde::Serialize;
use zeroize::Zeroizing;

use self::bootstrap::Bootstrap;
pub(super) use self::prompt::{Prompt, password_file};
use super::Context;
use crate::cli::Login;
use crate::client::{Client, Payload, Unreachable};
use crate::error::Error;
use crate::path::Target;
use crate::secret::Secret;
use crate::session::{Session, SessionFile};
use crate::tower::{Ca, TowerUrl};
use crate::value::{Object, Value};

/// Who logs in, where.
struct Credentials {
    tower: TowerUrl,
    ca: Option<Ca>,
    tenant: Option<String>,
    username: String,
    password: Secret,
    otp: Option<Secret>,
}

#[derive(Serialize)]
struct LoginBody<'a> {
    username: &'a str,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    otp: Option<&'a str>,
}

/// Logs in, saves what later commands need, and says what was saved, without the token.
pub(super) fn login(context: &Context<'_>, args: Login) -> Result<(), Error> {
    let file = SessionFile::of(context.environment)?;
    let nobody = args.bootstrap.is_none() && args.username.is_none() && args.password_file.is_none() && !args.otp;
    if args.browser || (nobody && args.tenant.is_none() && Prompt::new().is_terminal()) {
        return in_browser(context, &file, !args.no_open);
    }
    let Credentials { tower, ca, tenant, username, password, otp } = match &args.bootstrap {
        Some(path) => from_bootstrap(context, Bootstrap::read(path)?)?,
        None => asked(context, args)?,
    };
    let ca = ca.map(Ca::absolute).transpose()?;
    let body = LoginBody {
        username: &username,
        password: password.expose(),
        tenant: tenant.as_deref(),
        otp: otp.as_ref().map(Secret::expose),
    };
    let body = Zeroizing::new(serde_json::to_vec(&body).map_err(|error| Error::Output(error.into()))?);
    let client = Client::new(tower.clone(), ca.as_ref(), None)?;
    let answer = client.post(&Target::fixed("/v1/login"), Payload::SecretJson(body)).map_err(wrong_password)?;
    let said = answer.content.as_json().and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(token) = said.text("token").map(|token| Secret::new(token.to_owned())) else {
        return Err(Unreachable::foreign(client.tower(), "it answered the login without a token").into());
    };
    context.screen.warnings(&Value::Object(said.clone()));
    let expires = said.text("expires").map(str::to_owned);
    file.save(&Session { tower: tower.clone(), ca, tenant: tenant.clone(), token: Some(token), expires })?;
    context.screen.value(&Value::Object(summary(&tower, tenant.as_deref(), &username, &said)))?;
    context.screen.note(&format!("logged in; saved in {}", file.path().display()));
    Ok(())
}

/// Logs in with the browser of this machine.
fn in_browser(context: &Context<'_>, file: &SessionFile, open: bool) -> Result<(), Error> {
    // A saved login that cannot be read is about to be replaced.
    let session = context.session().ok().flatten();
    let (tower, ca) = context.place(session.as_ref())?;
    let ca = ca.map(Ca::absolute).transpose()?;
    let client = Client::new(tower.clone(), ca.as_ref(), None)?;
    let said = browser::token(context, &client, &tower, open)?;
    let Some(token) = said.text("token").map(|token| Secret::new(token.to_owned())) else {
        return Err(Unreachable::foreign(client.tower(), "it answered the login without a token").into());
    };
    let (username, tenant) = (said.text("username").unwrap_or_default(), said.text("tenant").map(str::to_owned));
    let expires = said.text("expires").map(str::to_owned);
    file.save(&Session { tower: tower.clone(), ca, tenant: tenant.clone(), token: Some(token), expires })?;
    context.screen.value(&Value::Object(summary(&tower, tenant.as_deref(), username, &said)))?;
    context.screen.note(&format!("logged in; saved in {}", file.path().display()));
    Ok(())
}

/// Revokes the token, where it can, and forgets it in any case; the tower stays the default for the next login.
pub(super) fn logout(context: &Context<'_>) -> Result<(), Error> {
    let file = SessionFile::of(context.environment)?;
    let Some(mut session) = file.load()? else { return not_logged_in(context) };
    let Some(token) = session.token.take() else { return not_logged_in(context) };
    let ca = context.ca.as_deref().map(Ca::from_text).or(session.ca.clone());
    let revoked = Client::new(session.tower.clone(), ca.as_ref(), Some(token))
        .and_then(|client| client.post(&Target::fixed("/v1/state/strongbox/token/revoke"), Payload::Json(&empty())));
    session.expires = None;
    file.save(&session)?;
    match revoked {
        // An expired token needs no revoking.
        Err(Error::Refused(refusal)) if refusal.status.as_u16() == 401 => {}
        Err(error) => {
            let text = "the token is forgotten here, but the tower did not revoke it; it is good until it expires";
            context.screen.warning(text);
            return Err(error);
        }
        Ok(_) => {}
    }
    context.screen.note("logged out");
    Ok(())
}

fn not_logged_in(context: &Context<'_>) -> Result<(), Error> {
    context.screen.note("not logged in");
    Ok(())
}

/// Everything from the tower's own line; flags and environment win.
fn from_bootstrap(context: &Context<'_>, line: Bootstrap) -> Result<Credentials, Error> {
    if line.exposed {
        context.screen.warning(
            "others can read the file and the password in it: remove it, and write such files under umask 077",
        );
    }
    let tower = TowerUrl::parse(context.tower.as_deref().unwrap_or(&line.url))?;
    let ca = context.ca.clone().or(line.ca_cert);
    Ok(Credentials {
        tower,
        ca: ca.as_deref().map(Ca::from_text),
        tenant: Some(line.tenant),
        username: line.username,
        password: line.password,
        otp: None,
    })
}

/// From flags and questions.
fn asked(context: &Context<'_>, args: Login) -> Result<Credentials, Error> {
    // A saved login that cannot be read is about to be replaced.
    let session = context.session().ok().flatten();
    let (tower, ca) = context.place(session.as_ref())?;
    let saved = session.filter(|session| session.tower == tower).and_then(|session| session.tenant);
    let mut prompt = Prompt::new();
    let username = match args.username {
        Some(username) => username,
        None => prompt.username(&tower)?,
    };
    let password = match &args.password_file {
        Some(path) => password_file(path)?,
        None => prompt.secret(&format!("Password of {username} at {}: ", tower.authority()), "the password")?,
    };
    let otp = if args.otp { Some(prompt.secret("One-time password: ", "the one-time password")?) } else { None };
    Ok(Credentials { tower, ca, tenant: args.tenant.or(saved), username, password, otp })
}

/// At a login, 401 is not about a token.
fn wrong_password(error: Error) -> Error {
    match error {
        Error::Refused(mut refusal) if refusal.status.as_u16() == 401 => {
            refusal.remedy = Some(
                "check tenant, username and password, and give --otp where a one-time password is asked for; who has to prove a passkey \
                 logs in with --browser, and who forgot the password asks an administrator to reset it",
            );
            Error::Refused(refusal)
        }
        other => other,
    }
}

fn summary(tower: &TowerUrl, tenant: Option<&str>, username: &str, said: &Object) -> Object {
    let mut summary = Object::default();
    summary.set("tower", Value::String(tower.to_string()));
    if let Some(tenant) = tenant {
        summary.set("tenant", tenant.into());
    }
    summary.set("username", username.into());
    for key in ["expires", "expires-in", "policies"] {
        if let Some(value) = said.get(key) {
            summary.set(key, value.clone());
        }
    }
    summary
}

fn empty() -> Value {
    Value::Object(Object::default())
}
