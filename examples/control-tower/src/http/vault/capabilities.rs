//! `/v1/sys/capabilities`: what a token may do, in the words of Vault.
//!
//! Their words are mapped to operations on the path as it is asked for, `/v1/` before it: `read` and `list` are `read`, `create` is
//! `create` or `execute`, `update` is `update` or `execute` (their clients create and update by `POST`, which executes), `delete` is
//! `delete`, and `deny` is nothing at all. There is no `sudo`, and no token that is `root`.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use keyward_approle::{Accessor, Operation, TokenRecord};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        lineage::Lineage,
    },
    answer,
    body::VaultBody,
    fields,
};
use crate::{
    app::App,
    standing::{Standing, Who},
};

/// The most paths of one question.
const MOST_PATHS: usize = 100;

/// Which paths, and of which token.
#[derive(Deserialize)]
pub struct Body {
    #[serde(default, deserialize_with = "fields::list")]
    paths: Vec<String>,
    #[serde(default, deserialize_with = "fields::list")]
    path: Vec<String>,
    #[serde(default)]
    token: Option<zeroize::Zeroizing<String>>,
    #[serde(default)]
    accessor: Option<String>,
}

/// `POST /v1/sys/capabilities-self`.
///
/// # Errors
/// 400 without a path.
pub async fn of_self(State(app): State<Arc<App>>, caller: Caller, VaultBody(body): VaultBody<Body>) -> Answer {
    answer(&body, &caller.standing(&app).await?)
}

/// `POST /v1/sys/capabilities`: of a token of the caller's tenant.
///
/// # Errors
/// 400 for a token that does not count.
pub async fn of_token(State(app): State<Arc<App>>, caller: Caller, VaultBody(body): VaultBody<Body>) -> Answer {
    let Some(token) = body.token.as_ref().filter(|token| !token.is_empty()) else {
        return Err(ApiError::invalid("missing token"));
    };
    let lineage = Lineage::presented(&app, token, &app.pepper.token_key(token)).await?;
    let found = lineage.found(app.clock.now()).ok().filter(|found| found.tenant() == caller.tenant());
    of_record(&app, &body, found.map(|found| found.record().clone())).await
}

/// `POST /v1/sys/capabilities-accessor`.
///
/// # Errors
/// 400 for an accessor of no token of the tenant.
pub async fn of_accessor(State(app): State<Arc<App>>, caller: Caller, VaultBody(body): VaultBody<Body>) -> Answer {
    let accessor = body.accessor.as_deref().and_then(|accessor| accessor.parse::<Accessor>().ok());
    let found = match accessor {
        Some(accessor) => Lineage::by_accessor(&app, caller.tenant(), accessor).await?.found(app.clock.now()).ok(),
        None => None,
    };
    of_record(&app, &body, found.map(|found| found.record().clone())).await
}

async fn of_record(app: &App, body: &Body, record: Option<TokenRecord>) -> Answer {
    let record = record.ok_or_else(|| ApiError::invalid("invalid token"))?;
    answer(body, &Who::has(&record).standing(app).await?)
}

fn answer(body: &Body, standing: &Standing<'_>) -> Answer {
    let paths = if body.paths.is_empty() { &body.path } else { &body.paths };
    if paths.is_empty() || paths.len() > MOST_PATHS {
        return Err(ApiError::invalid(format!("paths must be supplied: 1 to {MOST_PATHS} of them")));
    }
    let all: BTreeMap<&String, Value> = paths.iter().map(|path| (path, json!(capabilities(standing, path)))).collect();
    let mut data = Map::new();
    // As they have it, for clients of old.
    if let ([_], Some(of_one)) = (paths.as_slice(), all.values().next()) {
        data.insert("capabilities".to_owned(), of_one.clone());
    }
    data.extend(all.into_iter().map(|(path, capabilities)| (path.clone(), capabilities)));
    Ok(answer::data_twice(data))
}

/// In the order of the alphabet, as they have it.
fn capabilities(standing: &Standing<'_>, path: &str) -> Vec<&'static str> {
    let path = format!("/v1/{}", path.trim_matches('/'));
    // What no request can ask for nobody may.
    let may = |operation| standing.decide(operation, &path).is_ok_and(|decision| decision.is_allowed());
    let (read, execute) = (may(Operation::Read), may(Operation::Execute));
    let words = [
        ("create", execute || may(Operation::Create)),
        ("delete", may(Operation::Delete)),
        ("list", read),
        ("read", read),
        ("update", execute || may(Operation::Update)),
    ];
    let able: Vec<&str> = words.into_iter().filter(|(_, able)| *able).map(|(word, _)| word).collect();
    if able.is_empty() { vec!["deny"] } else { able }
}
