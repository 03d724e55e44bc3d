//! The administrators' page of users, and what its forms ask for: the functions of [`crate::login::people`], and the documents of
//! users. The policies decide, as they do for the JSON interface.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use keyward_config_tree::{Bulk, Item, Operation};
use keyward_webauthn_login::{Email, Method};
use serde::Deserialize;
use serde_json::json;

use super::{Form, Posted, Reader, Shown, account::word, at_field, may, see_other, told, viewer};
use crate::{
    app::App,
    changes,
    documents::USERS,
    http::{
        config::Mode,
        error::{Answer, ApiError},
        listing,
        params::{Path, Query},
    },
    layout,
    login::{Session, people},
    pages::{
        form::Wrong,
        problem::Problem,
        users::{Draft, Link, User, Users},
    },
};

const PATH: &str = "/users";
/// How many of a page.
const MOST: usize = 50;
/// What the form of a new user fills in, as the interface names it.
const FIELDS: [&str; 4] = ["name", "display-name", "policies", "enforced-methods"];

/// `?after=&done=`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    after: String,
    done: String,
}

/// What was done, in words. Whoever makes up a name gets none.
fn done(name: &str) -> Option<String> {
    let text = match name {
        "locked" => "The user is locked. Their sessions and tokens have ended.",
        "unlocked" => "The user may log in again.",
        "removed" => "The user was removed.",
        _ => return None,
    };
    Some(text.to_owned())
}

/// What a form came to that is shown on the page itself.
#[derive(Default)]
struct Came {
    problem: Option<Problem>,
    done: Option<String>,
    warnings: Vec<String>,
    link: Option<Link>,
    draft: Option<Draft>,
    wrong: Option<Wrong>,
}

/// `GET /users`.
///
/// # Errors
/// 403; those of the store.
pub async fn show(State(app): State<Arc<App>>, Reader(session): Reader, Query(asked): Query<Asked>) -> Shown {
    let came = Came { done: done(&asked.done), ..Came::default() };
    Ok(page(&app, &session, &asked.after, came).await?)
}

async fn page(app: &App, session: &Session, after: &str, came: Came) -> Answer<Response> {
    if session.caller.standing(app).await?.hidden(keyward_approle::Operation::Read, people::PATH)?.is_some() {
        let text = "fields of the users are hidden from you: there is no page of the rest, ask the interface";
        return Err(ApiError::new(StatusCode::FORBIDDEN, text));
    }
    let (people, more) = people::list(app, &session.caller, after, MOST).await?;
    let next = people.last().filter(|_| more).map(|last| {
        let after: String = form_urlencoded::byte_serialize(last.name.as_str().as_bytes()).collect();
        format!("{PATH}?after={after}")
    });
    let reader = &session.user.value.record().identity().email;
    let words = |methods: &BTreeSet<Method>| methods.iter().copied().map(word).collect();
    let users = people.iter().map(|person| User {
        email: person.name.to_string(),
        name: Some(person.display_name.clone()).filter(|name| name != person.name.as_str()),
        policies: person.policies.iter().map(ToString::to_string).collect(),
        has: words(&person.methods),
        providers: person.external.iter().map(ToString::to_string).collect(),
        enforced: words(&person.enforced_methods),
        locked: person.locked.is_some(),
        last_login: person.last_login,
        is_reader: person.name == *reader,
    });
    let users = Users {
        problem: came.problem,
        done: came.done,
        warnings: came.warnings,
        link: came.link,
        users: users.collect(),
        next,
        policies: policies(app, session).await?,
        draft: came.draft,
        wrong: came.wrong,
    };
    Ok(users.page(&viewer(app, session).await?).into_response())
}

/// The names of the policies, where the reader may see them.
async fn policies(app: &App, session: &Session) -> Answer<Vec<String>> {
    let standing = session.caller.standing(app).await?;
    if !may(&standing, keyward_approle::Operation::Read, "/v1/config/strongbox/policies")? {
        return Ok(Vec::new());
    }
    let prefix = layout::document(&session.tenant, "strongbox/policies/");
    Ok(listing::names(app, &prefix, listing::Page::first(8)).await?.names)
}

/// `POST /users`: a new user, with a link by which they set up their login.
///
/// # Errors
/// 403; those of the store.
pub async fn create(State(app): State<Arc<App>>, Form { session, posted }: Form) -> Shown {
    let draft = Draft {
        email: posted.get("email").trim().to_owned(),
        name: posted.get("display-name").trim().to_owned(),
        policies: posted.get("policies").to_owned(),
        enforced: posted.all("enforced").map(str::to_owned).collect(),
    };
    let came = match make(&app, &session, &draft).await {
        Ok((link, warnings)) => {
            let done = Some(format!("The user {} was created.", link.email));
            Came { done, warnings, link: Some(link), ..Came::default() }
        }
        Err(error) => return refused(&app, &session, error, Some(draft)).await,
    };
    Ok(page(&app, &session, "", came).await?)
}

/// The link of the user who was made, and what may surprise about them.
async fn make(app: &App, session: &Session, draft: &Draft) -> Answer<(Link, Vec<String>)> {
    let named = |message: String| at_field("name", ApiError::invalid(message));
    let name: Email = draft.email.parse().map_err(|error: keyward_webauthn_login::Error| named(error.to_string()))?;
    let mut document = json!({
        "name": name.as_str(),
        "policies": draft.policies.split([' ', ',']).filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "enforced-methods": draft.enforced,
    });
    if !draft.name.is_empty()
        && let Some(fields) = document.as_object_mut()
    {
        fields.insert("display-name".to_owned(), draft.name.clone().into());
    }
    let path =
        format!("{USERS}/{name}").parse().map_err(|error: keyward_config_tree::PathError| named(error.to_string()))?;
    let bytes = serde_json::to_vec(&document).map_err(ApiError::internal)?;
    let item = Item::from_json(path, Operation::Create, &bytes)?;
    let applied = changes::apply(app, &session.caller, &Bulk::from(item), None, Mode::default()).await;
    let applied = applied.map_err(|error| match error.status() {
        StatusCode::CONFLICT => {
            let text = format!(
                "there is a user `{name}` already; reset or unlock them in the list, or choose another address"
            );
            named(text).with_status(StatusCode::CONFLICT)
        }
        _ => error,
    })?;
    // A page of users calls a policy what it is, and not by the path of its document.
    let warnings = applied.warnings.iter().filter_map(|one| one.get("warning")?.as_str());
    let warnings = warnings.map(|text| text.replace("`strongbox/policies/", "the policy `"));
    Ok((link(app, session, name.as_str(), None, false).await?, warnings.collect()))
}

async fn link(
    app: &App,
    session: &Session,
    email: &str,
    methods: Option<BTreeSet<Method>>,
    reset: bool,
) -> Answer<Link> {
    let link = people::link(app, &session.caller, email, methods, None, reset).await?;
    Ok(Link { email: email.to_owned(), url: link.url.to_string(), expires: link.expires })
}

/// `GET` of what a form of the page left behind as its address: back to the page.
pub async fn back() -> Response {
    see_other(PATH, &[])
}

/// `POST /users/<operation>`: `lock`, `unlock`, `reset`, `remove`.
///
/// # Errors
/// 403; those of the store.
pub async fn act(State(app): State<Arc<App>>, Path(operation): Path<String>, form: Form) -> Shown {
    let Form { session, posted } = form;
    let email = posted.get("email");
    let done = match operation.as_str() {
        "lock" => people::set_locked(&app, &session.caller, email, true).await.map(|()| "locked"),
        "unlock" => people::set_locked(&app, &session.caller, email, false).await.map(|()| "unlocked"),
        "remove" => people::remove(&app, &session.caller, email).await.map(|()| "removed"),
        "reset" => return reset(&app, &session, &posted).await,
        _ => Err(ApiError::not_found(format_args!("the form `{operation}`"))),
    };
    match done {
        Ok(done) => Ok(see_other(&format!("{PATH}?done={done}"), &[])),
        Err(error) => refused(&app, &session, error, None).await,
    }
}

async fn reset(app: &App, session: &Session, posted: &Posted) -> Shown {
    let email = posted.get("email");
    let methods: Result<BTreeSet<Method>, _> = posted.all("methods").map(str::parse).collect();
    let made = match methods {
        Ok(none) if none.is_empty() => Err(ApiError::invalid(format!(
            "nothing was reset: choose at least one of what `{email}` is to set up anew"
        ))),
        Ok(methods) => link(app, session, email, Some(methods), true).await,
        Err(error) => Err(ApiError::invalid(error.to_string())),
    };
    match made {
        Ok(link) => Ok(page(app, session, "", Came { link: Some(link), ..Came::default() }).await?),
        Err(error) => refused(app, session, error, None).await,
    }
}

/// The page with the reason, and what was typed.
async fn refused(app: &App, session: &Session, error: ApiError, draft: Option<Draft>) -> Shown {
    if error.status().is_server_error() || error.status() == StatusCode::UNAUTHORIZED {
        return Err(error.into());
    }
    let wrong = Wrong::found(&error, &FIELDS).filter(|_| draft.is_some());
    let problem = match &wrong {
        Some(_) => Problem("nobody was created: look at what is marked below".to_owned()),
        None => told(&error),
    };
    let came = Came { problem: Some(problem), draft, wrong, ..Came::default() };
    let mut response = page(app, session, "", came).await?;
    *response.status_mut() = error.status();
    Ok(response)
}
