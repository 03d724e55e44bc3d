//! Tokens made from the caller's own, and the tokens of others by their accessors.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{Accessor, ChildRequest, Operation, Reason, Token, TokenRecord, TokenView};
use keyward_config_values::Duration;
use serde::Deserialize;
use serde_json::json;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError, Status},
    lineage::Lineage,
    owner::Owned,
    token,
    vault::wrapping::{Beside, Kept},
};
use crate::{
    app::{App, Commit},
    layout, random,
    store::Guard,
};

/// Where orphans are made; what a policy must allow whoever asks for one elsewhere.
pub const CREATE_ORPHAN: &str = "/v1/state/strongbox/token/create-orphan";

/// How often a refresh by accessor is decided again because the token was changed.
const TRIES: usize = 64;

/// `POST /v1/state/strongbox/token/create`. The body may be absent: the token then has what the caller's has.
///
/// # Errors
/// 400 for what the caller's token has not, 422 when it can make none.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Option<ChildRequest>>,
) -> Answer {
    let (token, record, _) = make(&app, &caller, &body.unwrap_or_default(), false, &Beside::nothing()).await?;
    Ok(token::answer(&TokenView::new(&record, record.creation_time()).with_token(&token)))
}

/// `POST /v1/state/strongbox/token/create-orphan`.
///
/// # Errors
/// As [`create`].
pub async fn create_orphan(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Option<ChildRequest>>,
) -> Answer {
    let (token, record, _) = make(&app, &caller, &body.unwrap_or_default(), true, &Beside::nothing()).await?;
    Ok(token::answer(&TokenView::new(&record, record.creation_time()).with_token(&token)))
}

/// Makes a token from the caller's, and stores it. An orphan is for those alone who may call [`CREATE_ORPHAN`].
///
/// # Errors
/// Those of [`create`]; 403.
pub async fn make(
    app: &App,
    caller: &Caller,
    request: &ChildRequest,
    orphan: bool,
    beside: &Beside<'_, (Token, TokenRecord)>,
) -> Answer<(Token, TokenRecord, Option<Kept>)> {
    if orphan {
        caller.permit(app, Operation::Execute, CREATE_ORPHAN).await?;
    }
    let now = app.clock.now();
    let made = if orphan {
        caller.token.make_orphan(request, &app.limits, &app.pepper, &mut random::rng(), now)
    } else {
        caller.token.make_child(request, &app.limits, &app.pepper, &mut random::rng(), now)
    };
    let refused = |error: keyward_approle::Error| ApiError::new(Status::from(error.kind()).0, error.to_string());
    let (token, record) = made.map_err(refused)?;
    let mut audit = caller
        .actor()
        .did("token-create", now)
        .with("accessor", record.accessor().to_string())
        .with("parent-accessor", caller.token.record().accessor().to_string())
        .with("orphan", orphan);
    // An orphan must not be made by a token that is revoked meanwhile; a child would be refused anyway.
    let mut guards = vec![caller.stored.guard()];
    // One that was chosen may exist.
    guards.extend(request.id.is_some().then(|| Guard::Absent(layout::token(record.key()))));
    let mut writes = token::store(app, &record)?;
    let made = (token, record);
    let kept = beside.keep(app, caller.tenant(), &made, (&mut writes, &mut audit), now)?;
    let (token, record) = made;
    match app.commit(guards, writes, audit).await? {
        Commit::Done(_) => Ok((token, record, kept)),
        Commit::Conflict if request.id.is_some() => {
            Err(ApiError::conflict("a token with this `id` exists, or the token that asks was changed meanwhile"))
        }
        Commit::Conflict => Err(ApiError::conflict("the token that asks was changed meanwhile; ask again")),
    }
}

/// Names one token.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessorBody {
    accessor: Accessor,
}

/// Names one token that is to live on.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RefreshBody {
    accessor: Accessor,
    #[serde(default)]
    increment: Option<Duration>,
}

fn missing() -> ApiError {
    ApiError::not_found("a token with this accessor")
}

/// `POST /v1/state/strongbox/token/lookup-accessor {accessor}`.
///
/// # Errors
/// 404, also for one that has ended.
pub async fn lookup_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    let now = app.clock.now();
    let found = Lineage::by_accessor(&app, caller.tenant(), body.accessor).await?.found(now).map_err(|_| missing())?;
    Ok(Json(TokenView::new(found.record(), now)).into_response())
}

/// `POST /v1/state/strongbox/token/refresh-accessor {accessor, increment?}`. SVIDs are for the holder of the token, who gets them
/// by refreshing it.
///
/// # Errors
/// 404; 422 when it cannot be refreshed.
pub async fn refresh_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<RefreshBody>,
) -> Answer {
    let (record, _, now) = refresh(&app, &caller, body.accessor, body.increment, false).await?;
    Ok(Json(TokenView::new(&record, now)).into_response())
}

/// Refreshes a token of the caller's tenant; answers its record, the SVIDs that come with it, if they are for whoever asks, and
/// when.
///
/// # Errors
/// Those of [`refresh_accessor`].
pub async fn refresh(
    app: &App,
    caller: &Caller,
    accessor: Accessor,
    increment: Option<Duration>,
    with_svids: bool,
) -> Answer<(TokenRecord, token::Svids, time::OffsetDateTime)> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let lineage = Lineage::by_accessor(app, caller.tenant(), accessor).await?;
        let found = lineage.found(now).map_err(|_| missing())?;
        let owned = Owned::load(app, found.record()).await?;
        let record = found.refresh(owned.owner(), increment, &app.limits, now).map_err(|reason| match reason {
            Reason::NotRenewable | Reason::Disabled => ApiError::inapplicable(reason.to_string()),
            _ => missing(),
        })?;
        let mut guards = lineage.stored.iter().map(|stored| stored.guard()).chain(owned.guards()).collect();
        let mut audit = caller.actor().did("token-refresh", now).with("accessor", accessor.to_string());
        let mut writes = token::replace(app, &record)?.into();
        let svids = match with_svids {
            true => token::Svids::issue(app, &record, &mut guards, &mut writes, &mut audit, now).await?,
            false => token::Svids::default(),
        };
        if let Commit::Done(_) = app.commit(guards, writes, audit).await? {
            return Ok((record, svids, now));
        }
    }
    Err(ApiError::conflict("the token, or whom it belongs to, was changed meanwhile; refresh it again"))
}

/// `POST /v1/state/strongbox/token/revoke-accessor {accessor}`.
///
/// # Errors
/// 404.
pub async fn revoke_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    revoke(&app, &caller, body.accessor).await?;
    Ok(Json(json!({})).into_response())
}

/// Ends a token of the caller's tenant.
///
/// # Errors
/// Those of [`revoke_accessor`].
pub async fn revoke(app: &App, caller: &Caller, accessor: Accessor) -> Answer<()> {
    let stored = Lineage::by_accessor(app, caller.tenant(), accessor).await?.stored.ok_or_else(missing)?;
    let audit = caller.actor().did("token-revoke", app.clock.now()).with("accessor", accessor.to_string());
    // Unguarded: whatever the record is by now, it goes.
    match app.commit(Vec::new(), token::end(&stored.value), audit).await? {
        Commit::Done(_) => Ok(()),
        Commit::Conflict => Err(ApiError::internal("a commit without guards had a conflict")),
    }
}
