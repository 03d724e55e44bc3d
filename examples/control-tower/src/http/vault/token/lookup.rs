//! What a token is: the caller's, and those of others.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use keyward_approle::{Subject, TokenRecord, TokenType, Wrapped};
use serde::Deserialize;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{
    super::{
        super::{
            caller::Caller,
            error::{Answer, ApiError},
            lineage::Lineage,
        },
        NoTokenInAddress, answer,
        body::VaultBody,
        fields, wrapping,
    },
    AccessorBody, accessor, invalid_accessor, metadata, policies, presented, seconds_left,
};
use crate::app::App;

/// `GET /v1/auth/token/lookup-self`, and `GET /v1/auth/token/lookup`.
///
/// # Errors
/// 400 for a token in the address.
pub async fn lookup_self(State(app): State<Arc<App>>, caller: Caller, _: NoTokenInAddress) -> Answer {
    looked_up(&caller.presented, caller.token.record(), app.clock.now())
}

/// The token that is looked up; none, and the empty one, is the caller's own.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LookupBody {
    token: Zeroizing<String>,
}

/// `POST /v1/auth/token/lookup`.
///
/// # Errors
/// 403 `bad token`.
pub async fn lookup(
    State(app): State<Arc<App>>,
    caller: Caller,
    VaultBody(body): VaultBody<Option<LookupBody>>,
) -> Answer {
    let (now, LookupBody { token }) = (app.clock.now(), body.unwrap_or_default());
    if token.is_empty() {
        return looked_up(&caller.presented, caller.token.record(), now);
    }
    match presented(&app, &caller, &token, now).await {
        Ok(found) => looked_up(&token, found.record(), now),
        Err(error) if error.status() == StatusCode::FORBIDDEN => {
            let wrapped = wrapping::by_token(&app, &caller, &token, now).await?.ok_or(error)?;
            looked_up_wrapping(&token, &wrapped, now)
        }
        Err(error) => Err(error),
    }
}

/// `POST /v1/auth/token/lookup-accessor`.
///
/// # Errors
/// 400 `invalid accessor`.
pub async fn lookup_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    VaultBody(body): VaultBody<AccessorBody>,
) -> Answer {
    let now = app.clock.now();
    let accessor = body.accessor()?;
    match Lineage::by_accessor(&app, caller.tenant(), accessor).await?.found(now) {
        Ok(found) => looked_up("", found.record(), now),
        Err(_) => {
            let wrapped = wrapping::by_accessor(&app, &caller, accessor, now).await?.ok_or_else(invalid_accessor)?;
            looked_up_wrapping("", &wrapped, now)
        }
    }
}

/// `token-` and what the maker said, with `-` for everything that is neither letter nor digit.
fn display_name(said: Option<&str>) -> String {
    let Some(said) = said else { return "token".to_owned() };
    let said = said.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>();
    format!("token-{said}").trim_end_matches('-').to_owned()
}

fn looked_up(token: &str, record: &TokenRecord, now: OffsetDateTime) -> Answer {
    let text = |moment: OffsetDateTime| moment.format(&Rfc3339).map_err(ApiError::internal);
    let (path, display_name) = match record.subject() {
        _ if record.is_made() => {
            let path = if record.is_orphan() { "auth/token/create-orphan" } else { "auth/token/create" };
            (path.to_owned(), display_name(record.display_name()))
        }
        Subject::Approle { .. } => ("auth/approle/login".to_owned(), "approle".to_owned()),
        subject => (format!("auth/{subject}"), subject.to_string()),
    };
    let explicit = record.explicit_end().map_or(0, |end| (end - record.creation_time()).whole_seconds());
    let mut data = json!({
        "id": token,
        "accessor": accessor(record),
        "policies": policies(record),
        "path": path,
        "meta": metadata(record),
        "display_name": display_name,
        "num_uses": record.uses_left().unwrap_or(0),
        "orphan": record.is_orphan(),
        "creation_time": record.creation_time().unix_timestamp(),
        "creation_ttl": (record.expires() - record.renewal_time()).whole_seconds(),
        "issue_time": text(record.creation_time())?,
        "expire_time": text(record.expires())?,
        "ttl": seconds_left(record, now),
        "explicit_max_ttl": explicit,
        "renewable": record.is_renewable(),
        "entity_id": "",
        "type": record.kind(),
    });
    if let Some(shown) = data.as_object_mut() {
        if let Some(period) = record.period() {
            shown.insert("period".to_owned(), period.as_secs().into());
        }
        if record.renewal_time() > record.creation_time() {
            shown.insert("last_renewal".to_owned(), text(record.renewal_time())?.into());
            shown.insert("last_renewal_time".to_owned(), record.renewal_time().unix_timestamp().into());
        }
        // Those of the secret-id are inside those of the role.
        let ranges = if record.own_cidrs().is_empty() { record.bound_cidrs() } else { record.own_cidrs() };
        if !ranges.is_empty() {
            shown.insert("bound_cidrs".to_owned(), fields::ranges(ranges).into());
        }
    }
    Ok(answer::data(data))
}

/// A wrapping token is shown as what it is there: an orphan for one use that is not renewed, with a policy of its own.
fn looked_up_wrapping(token: &str, record: &Wrapped, now: OffsetDateTime) -> Answer {
    let text = |moment: OffsetDateTime| moment.format(&Rfc3339).map_err(ApiError::internal);
    let ttl = (record.expires() - record.creation_time()).whole_seconds();
    Ok(answer::data(json!({
        "id": token,
        "accessor": record.accessor(),
        "policies": ["response-wrapping"],
        "path": record.creation_path().trim_start_matches("/v1/"),
        "meta": null,
        "display_name": display_name(None),
        "num_uses": 1,
        "orphan": true,
        "creation_time": record.creation_time().unix_timestamp(),
        "creation_ttl": ttl,
        "issue_time": text(record.creation_time())?,
        "expire_time": text(record.expires())?,
        "ttl": (record.expires() - now).whole_seconds().max(0),
        "explicit_max_ttl": ttl,
        "renewable": false,
        "entity_id": "",
        "type": TokenType::Service,
    })))
}
