//! The page of the hosts that called home, and what its forms ask for: the handlers of [`crate::http::hosts`].

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use keyward_approle::Operation;
use keyward_callhome_cert::HostHash;
use keyward_config_tree::{Bulk, Item};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Form, Posted, Reader, Shown, at_field, home, may,
    operators::{self, HOSTS, UNCLAIMED, answered, seen, sites},
    see_other, told, viewer,
};
use crate::{
    app::App,
    call_home, changes,
    documents::SITES,
    http::{
        body,
        config::Mode,
        error::{Answer, ApiError},
        hosts,
        params::{Path, Query},
    },
    login::Session,
    pages::{
        form::Wrong,
        hosts::{Host, Hosts, Refused, Rights, Updates},
        problem::Problem,
    },
    standing::Standing,
};

const PATH: &str = "/hosts";
/// How many hosts are on a page.
const MOST: usize = 100;
/// How many refusals.
const REFUSALS: usize = 20;
/// What hosts are refused.
const EVENTS: [&str; 3] = ["call-home", "host", "host-renew"];

/// `?after=&updates=&done=`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    after: String,
    updates: String,
    done: String,
}

/// What was done, in words. Whoever makes up a name gets none.
fn done(name: &str) -> Option<&'static str> {
    Some(match name {
        "claim" => "The host is claimed. It gets its identity when it asks next, within seconds.",
        "release" => "The host is released: it may call home again.",
        "remove" => "The host is removed. What is left of its identity counts for nothing.",
        "site" => "The site was made.",
        _ => return None,
    })
}

/// What a form came to that is shown on the page itself.
#[derive(Default)]
struct Came {
    problem: Option<Problem>,
    done: Option<&'static str>,
    site_draft: Option<(String, String)>,
}

/// `GET /hosts`.
///
/// # Errors
/// 403; 404 for other tenants; those of the store.
pub async fn show(State(app): State<Arc<App>>, Reader(session): Reader, Query(asked): Query<Asked>) -> Shown {
    operators::only(&app, &session)?;
    let came = Came { done: done(&asked.done), ..Came::default() };
    Ok(page(&app, &session, &asked, came).await?)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Waiting {
    unclaimed_hosts: Vec<Host>,
    duplicates: Vec<Host>,
    displaced: Vec<Host>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    hosts: Vec<Host>,
    next: Option<String>,
}

async fn page(app: &Arc<App>, session: &Session, asked: &Asked, came: Came) -> Answer<Response> {
    let standing = session.caller.standing(app).await?;
    let state = || State(Arc::clone(app));
    let waiting: Waiting = answered(app, session, (Operation::Read, UNCLAIMED), hosts::unclaimed(state())).await?;
    let query = Query(hosts::PageQuery::behind(&asked.after, MOST));
    let listed: Option<Listed> = seen(&standing, HOSTS, hosts::all(state(), query)).await?;
    let settings = call_home::settings(app).await?;
    let next = listed.as_ref().and_then(|listed| listed.next.as_ref());
    let hosts = Hosts {
        problem: came.problem,
        done: came.done,
        updates: match asked.updates.as_str() {
            "off" => Updates::Off,
            turns => Updates::On(turns.parse().unwrap_or(0)),
        },
        next: next.map(|next| format!("{PATH}?after={next}")),
        unclaimed: waiting.unclaimed_hosts,
        duplicates: waiting.duplicates,
        displaced: waiting.displaced,
        all: listed.map(|listed| listed.hosts),
        // It is a host's, or there would be no answer.
        after: asked.after.clone(),
        sites: sites(app, session, &standing).await?,
        site_draft: came.site_draft,
        refused: refused(app, session, &standing).await?,
        rights: rights(&standing)?,
        listens: call_home::place(app, &settings).is_ok(),
    };
    Ok(hosts.page(&viewer(app, session).await?, app.clock.now()).into_response())
}

/// What is offered: what may be done to some host.
fn rights(standing: &Standing<'_>) -> Answer<Rights> {
    let some = "0".repeat(64);
    let execute = |path: String| may(standing, Operation::Execute, &path);
    Ok(Rights {
        claim: execute(format!("{UNCLAIMED}/{some}/claim"))?,
        release: execute(format!("{HOSTS}/{some}/release"))?,
        remove: execute(format!("{HOSTS}/{some}/remove"))?,
        create_sites: may(standing, Operation::Create, &format!("/v1/config/{SITES}/a"))?,
    })
}

/// What was refused lately, those for the same reason as one.
async fn refused(app: &App, session: &Session, standing: &Standing<'_>) -> Answer<Option<Vec<Refused>>> {
    let Some(records) = home::refused(app, &session.tenant, standing).await? else { return Ok(None) };
    let mut all: Vec<Refused> = Vec::new();
    for record in records.filter(|record| EVENTS.contains(&record.event.as_str())) {
        let detail = |name: &str| record.detail.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let why = Some(detail("why")).filter(|why| !why.is_empty()).unwrap_or_else(|| detail("reason"));
        let (host, source) = (detail("host"), record.source);
        let is_same = |one: &&mut Refused| (&one.host, &one.source, &one.why) == (&host, &source, &why);
        if let Some(same) = all.iter_mut().find(is_same) {
            same.times += 1;
        } else if all.len() < REFUSALS {
            all.push(Refused { time: record.time, host, source, why, times: 1 });
        }
    }
    Ok(Some(all))
}

/// `POST /hosts/<operation>`: `claim`, `release`, `remove`, `site`.
///
/// # Errors
/// 403; 404 for no form and for other tenants; those of the store.
pub async fn act(State(app): State<Arc<App>>, Path(operation): Path<String>, form: Form) -> Shown {
    let Form { session, posted } = form;
    operators::only(&app, &session)?;
    let acted = match operation.as_str() {
        "claim" | "release" | "remove" => change(&app, &session, &operation, &posted).await,
        "site" => make_site(&app, &session, posted.get("name").trim()).await,
        _ => Err(ApiError::not_found(format_args!("the form `{operation}`"))),
    };
    let error = match acted {
        Ok(()) => return Ok(see_other(&format!("{PATH}?done={operation}"), &[])),
        Err(error) => error,
    };
    if error.status().is_server_error() || error.status() == StatusCode::UNAUTHORIZED {
        return Err(error.into());
    }
    let wrong = Wrong::found(&error, &["name", "site"]);
    let came = match wrong {
        Some(wrong) if operation == "site" => {
            let problem = Problem("no site was made: look at what is marked below".to_owned());
            let site_draft = Some((posted.get("name").to_owned(), wrong.message));
            Came { problem: Some(problem), site_draft, ..Came::default() }
        }
        // Each host has such a field.
        Some(wrong) => {
            let problem = Problem(format!("the host was not claimed: {}", wrong.message));
            Came { problem: Some(problem), ..Came::default() }
        }
        None => Came { problem: Some(told(&error)), ..Came::default() },
    };
    let mut response = page(&app, &session, &Asked::default(), came).await?;
    *response.status_mut() = error.status();
    Ok(response)
}

async fn change(app: &Arc<App>, session: &Session, operation: &str, posted: &Posted) -> Answer<()> {
    // It becomes part of a path.
    let host: HostHash = posted.get("host").parse().map_err(|_| ApiError::not_found("the host"))?;
    let (state, caller, id) = (State(Arc::clone(app)), session.caller.clone(), Path(host.to_string()));
    let execute = |path| (Operation::Execute, path);
    let _answer: Value = match operation {
        "claim" => {
            let path = format!("{UNCLAIMED}/{host}/claim");
            let key = Some(posted.get("key")).filter(|key| !key.is_empty());
            let body = body::value::<body::Exact, _>(&json!({"site": posted.get("site").trim(), "key": key}));
            let claim = async { hosts::claim(state, caller, id, body::JsonBody(body?)).await };
            answered(app, session, execute(path.as_str()), claim).await?
        }
        "release" => {
            let path = format!("{HOSTS}/{host}/release");
            answered(app, session, execute(path.as_str()), hosts::release(state, caller, id)).await?
        }
        _ => {
            let path = format!("{HOSTS}/{host}/remove");
            answered(app, session, execute(path.as_str()), hosts::remove(state, caller, id)).await?
        }
    };
    Ok(())
}

async fn make_site(app: &App, session: &Session, name: &str) -> Answer<()> {
    let named = |message: String| at_field("name", ApiError::invalid(message));
    let checked = name.parse::<keyward_config_values::Name>().map_err(|error| named(error.to_string()))?;
    let path = format!("{SITES}/{checked}")
        .parse()
        .map_err(|error: keyward_config_tree::PathError| named(error.to_string()))?;
    let bytes = serde_json::to_vec(&json!({ "name": checked })).map_err(ApiError::internal)?;
    let item = Item::from_json(path, keyward_config_tree::Operation::Create, &bytes)?;
    let made = changes::apply(app, &session.caller, &Bulk::from(item), None, Mode::default()).await;
    made.map(drop).map_err(|error| match error.status() {
        StatusCode::CONFLICT => named(format!("there is a site `{checked}` already")).with_status(StatusCode::CONFLICT),
        _ => error,
    })
}
