//! What the pages about hosts have in common: they are there for the tenant `default` alone, and show and do what the interface
//! does, by its handlers, where the policies let it.

use std::sync::Arc;

use axum::response::Response;
use keyward_approle::Operation;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{home, may};
use crate::{
    app::App,
    http::{
        config,
        error::{Answer, ApiError},
        hidden, listing,
        params::{Path, Query},
    },
    login::Session,
    pages::layout::HostPage,
    standing::Standing,
};

/// Those that wait.
pub(super) const UNCLAIMED: &str = "/v1/state/system/unclaimed-hosts";
/// All.
pub(super) const HOSTS: &str = "/v1/state/system/hosts";
/// What makes scripts.
pub(super) const SCRIPT: &str = "/v1/state/system/call-home/install-script";
/// The settings.
pub(super) const SETTINGS: &str = "/v1/config/system/call-home/settings";

/// The pages about hosts that are shown to somebody.
///
/// # Errors
/// None: their paths can be authorized.
pub(super) fn pages(app: &App, session: &Session, standing: &Standing<'_>) -> Answer<Vec<HostPage>> {
    if !app.is_operators(&session.tenant) {
        return Ok(Vec::new());
    }
    let mut shown = Vec::new();
    for page in HostPage::ALL {
        let (operation, path) = match page {
            HostPage::List => (Operation::Read, UNCLAIMED),
            HostPage::Install => (Operation::Execute, SCRIPT),
            HostPage::Settings => (Operation::Read, SETTINGS),
        };
        if may(standing, operation, path)? {
            shown.push(page);
        }
    }
    Ok(shown)
}

/// That somebody is of the tenant that has hosts: for others there is nothing here.
///
/// # Errors
/// 404 for other tenants.
pub(super) fn only(app: &App, session: &Session) -> Answer<()> {
    match app.is_operators(&session.tenant) {
        true => Ok(()),
        false => Err(ApiError::not_found(format_args!("`{}`", session.caller.asked))),
    }
}

/// What a handler of the interface answers somebody, without what is hidden from them.
///
/// # Errors
/// 403, on record; those of the handler.
pub(super) async fn answered<T: DeserializeOwned>(
    app: &App,
    session: &Session,
    (operation, path): (Operation, &str),
    answer: impl Future<Output = Answer>,
) -> Answer<T> {
    session.caller.permit(app, operation, path).await?;
    let standing = session.caller.standing(app).await?;
    let answer = answer.await?;
    let answer = match standing.hidden(operation, path)? {
        Some(hidden) => hidden::in_answer(answer, &hidden).await?,
        None => answer,
    };
    of_json(answer).await
}

/// The same of something to look at; `None` where it may not be seen, without a record of that.
///
/// # Errors
/// Those of the handler.
pub(super) async fn seen<T: DeserializeOwned>(
    standing: &Standing<'_>,
    path: &str,
    answer: impl Future<Output = Answer>,
) -> Answer<Option<T>> {
    if !may(standing, Operation::Read, path)? {
        return Ok(None);
    }
    let value = home::json(standing, path, answer.await?).await?;
    serde_json::from_value(value).map(Some).map_err(ApiError::internal)
}

async fn of_json<T: DeserializeOwned>(answer: Response) -> Answer<T> {
    // It was made here, in memory.
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.map_err(ApiError::internal)?;
    serde_json::from_slice(&bytes).map_err(ApiError::internal)
}

/// The names of the sites; `None` where they may not be seen.
///
/// # Errors
/// Those of the store.
pub(super) async fn sites(app: &Arc<App>, session: &Session, standing: &Standing<'_>) -> Answer<Option<Vec<String>>> {
    let path = crate::documents::SITES;
    let page = listing::Page::first(i64::MAX);
    let listed =
        config::read(axum::extract::State(Arc::clone(app)), session.caller.clone(), Path(path.to_owned()), Query(page));
    let names: Option<Value> = seen(standing, &format!("/v1/config/{path}"), listed).await?;
    Ok(names.map(|names| serde_json::from_value(names).unwrap_or_default()))
}
