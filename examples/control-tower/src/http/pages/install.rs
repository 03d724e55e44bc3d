//! The page that makes install scripts: the handler of `POST /v1/state/system/call-home/install-script`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_approle::Operation;
use keyward_callhome_cert::Granularity;
use keyward_keys::sha256;
use keyward_svid::HttpsUrl;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    Form, Reader, Shown,
    operators::{self, SCRIPT, answered, sites},
    told, viewer,
};
use crate::{
    app::App,
    call_home,
    http::{
        body,
        call_home::{ScriptQuery, install_script},
        error::{Answer, ApiError},
        params::Query,
    },
    login::Session,
    pages::{
        form::Wrong,
        install::{Certificate, Draft, Install, Script},
        problem::Problem,
        security,
    },
};

/// The fields of the form.
const FIELDS: [&str; 4] = ["site", "host-id", "ttl", "max-uses"];

/// `GET /install`.
///
/// # Errors
/// 403; 404 for other tenants; those of the store.
pub async fn show(State(app): State<Arc<App>>, Reader(session): Reader) -> Shown {
    operators::only(&app, &session)?;
    session.caller.permit(&app, Operation::Execute, SCRIPT).await?;
    Ok(page(&app, &session, Draft::default(), None, None).await?)
}

async fn page(
    app: &Arc<App>,
    session: &Session,
    draft: Draft,
    problem: Option<Problem>,
    wrong: Option<Wrong>,
) -> Answer<Response> {
    let standing = session.caller.standing(app).await?;
    let settings = call_home::settings(app).await?;
    let place = call_home::place(app, &settings);
    let nowhere = || Problem(nowhere(settings.external_url.as_ref().map(HttpsUrl::as_str)));
    let granularity = settings.client_certificate.verify;
    let install = Install {
        granularity: place.is_ok().then_some(granularity),
        problem: problem.or_else(|| place.is_err().then(nowhere)),
        wrong,
        url: place.map(|(url, _)| url.as_str().to_owned()).unwrap_or_default(),
        sites: sites(app, session, &standing).await?,
        draft,
    };
    Ok(install.page(&viewer(app, session).await?).into_response())
}

/// Why no script can be made, with what to change.
fn nowhere(external_url: Option<&str>) -> String {
    match external_url {
        None => "hosts cannot call home here: start the tower with `--call-home-listen`, or fill in the external URL in the call-home settings".to_owned(),
        Some(url) => format!("nothing verifies whoever is at `{url}`: fill in the certificates that verify it in the call-home settings"),
    }
}

/// What the interface answers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Made {
    #[serde(default)]
    call_home_url: String,
    /// Hidden from whoever may not see it, to whom the script is of no use then.
    #[serde(default)]
    script: Zeroizing<String>,
    #[serde(default)]
    sha256: String,
    serial: Option<String>,
    granularity: Option<Granularity>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires: Option<OffsetDateTime>,
    max_uses: Option<u64>,
}

/// `POST /install`: the script, which is shown this once.
///
/// # Errors
/// 403; 404 for other tenants; those of the store.
pub async fn make(State(app): State<Arc<App>>, form: Form) -> Shown {
    let Form { session, posted } = form;
    operators::only(&app, &session)?;
    let text = |name: &str| posted.get(name).trim().to_owned();
    let draft = Draft { site: text("site"), host_id: text("host-id"), ttl: text("ttl"), max_uses: text("max-uses") };
    let order = order(&draft);
    let made = async {
        let body = body::JsonBody(body::value::<body::Exact, _>(&order)?);
        install_script(State(Arc::clone(&app)), session.caller.clone(), Query(ScriptQuery::json()), body).await
    };
    let made: Made = match answered(&app, &session, (Operation::Execute, SCRIPT), made).await {
        Ok(made) => made,
        Err(error) if error.status().is_server_error() || error.status() == StatusCode::FORBIDDEN => {
            return Err(error.into());
        }
        Err(error) => {
            let granularity = call_home::settings(&app).await?.client_certificate.verify;
            let wrong = Wrong::found(&error, &FIELDS).or_else(|| draft.missing(granularity));
            let problem = match &wrong {
                Some(_) => Problem("nothing was issued: look at what is marked below".to_owned()),
                None => told(&error),
            };
            let mut response = page(&app, &session, draft, Some(problem), wrong).await?;
            *response.status_mut() = error.status();
            return Ok(response);
        }
    };
    let scope = match made.granularity {
        Some(Granularity::Site) => format!("hosts of the site `{}`", draft.site),
        Some(Granularity::HostId) => "the host with that host-id".to_owned(),
        _ => "any host".to_owned(),
    };
    let certificate = made.serial.zip(made.expires).map(|(serial, expires)| {
        let max_uses = made.max_uses;
        Certificate { serial, scope, expires, max_uses }
    });
    let script = Script {
        url: made.call_home_url,
        encoded: STANDARD.encode(made.script.as_bytes()),
        file: file_name(&made.sha256),
        text: made.script.as_str().to_owned(),
        digest: made.sha256,
        certificate,
    };
    Ok(script.page(&viewer(&app, &session).await?).into_response())
}

/// What the form asks for, as the interface is asked for it.
fn order(draft: &Draft) -> Value {
    let mut fields = Map::new();
    let texts = [("site", &draft.site), ("host-id", &draft.host_id), ("ttl", &draft.ttl)];
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        fields.insert(name.to_owned(), value.as_str().into());
    }
    if !draft.max_uses.is_empty() {
        fields.insert("max-uses".to_owned(), number(&draft.max_uses));
    }
    Value::Object(fields)
}

/// A number, or what was typed in its place, for whoever says what is wrong with it.
pub(super) fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
}

/// A name that tells a script from others, and the same whenever it is downloaded.
fn file_name(digest: &str) -> String {
    format!("install-{}.sh", digest.get(..8).unwrap_or(digest))
}

/// `POST /install/script`: a script that the page holds, as a file. It is kept nowhere, and stands in no address.
///
/// # Errors
/// 403; 404 for other tenants; 400 for what is no script.
pub async fn file(State(app): State<Arc<App>>, form: Form) -> Shown {
    let Form { session, posted } = form;
    operators::only(&app, &session)?;
    session.caller.permit(&app, Operation::Execute, SCRIPT).await?;
    let script = STANDARD.decode(posted.get("script")).ok().filter(|script| script.starts_with(b"#!/bin/sh\n"));
    let script = script.ok_or_else(|| ApiError::invalid("this is no install script"))?;
    let digest: String = sha256(&script).iter().map(|byte| format!("{byte:02x}")).collect();
    let disposition = format!("attachment; filename=\"{}\"", file_name(&digest));
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/x-shellscript; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(ApiError::internal)?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(security::POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, security::NOSNIFF),
    ];
    Ok((head, script).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_empty_is_not_asked_for() {
        let draft = Draft { ttl: String::new(), ..Draft::default() };
        assert_eq!(order(&draft), json!({}), "the default of each granularity holds");
        let draft = Draft { max_uses: "3".to_owned(), host_id: "a".to_owned(), ..Draft::default() };
        assert_eq!(order(&draft), json!({"host-id": "a", "ttl": "1d", "max-uses": 3}));
        assert_eq!(order(&Draft { max_uses: "three".to_owned(), ..draft })["max-uses"], "three");
        assert_eq!(file_name("0123456789abcdef"), "install-01234567.sh");
    }
}
