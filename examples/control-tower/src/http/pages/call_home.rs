//! The page of the call-home settings: the document `system/call-home/settings`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use keyward_approle::Operation;
use keyward_callhome_cert::CallHomeSettings;
use keyward_config_tree::{Bulk, Item, Operation as Change};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Form, Reader, Shown,
    install::number,
    may,
    operators::{self, SETTINGS},
    see_other, told, viewer,
};
use crate::{
    app::App,
    call_home,
    changes::{self, Condition, Precondition},
    http::{
        config::{self, Mode},
        error::{Answer, ApiError},
        listing,
        params::{Path, Query},
    },
    layout,
    login::Session,
    pages::{
        call_home::{Draft, Settings},
        form::Wrong,
        problem::Problem,
    },
};

const PATH: &str = "/call-home";

/// The fields of the form, as the document names them.
const FIELDS: [&str; 10] = [
    "client-certificate.verify",
    "client-certificate.handshake",
    "client-certificate.lb-mode",
    "client-certificate.lb-addresses",
    "client-certificate.proxy-protocol",
    "enable-unclaimed",
    "max-unclaimed",
    "max-duplicates",
    "external-url",
    "external-ca-pem",
];

/// `?done=`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    done: String,
}

/// The document as its reader sees it.
struct Seen {
    draft: Draft,
    /// Its revision; absent where there is none as yet.
    revision: Option<String>,
    hides: bool,
}

/// `GET /call-home`.
///
/// # Errors
/// 403; 404 for other tenants; those of the store.
pub async fn show(State(app): State<Arc<App>>, Reader(session): Reader, Query(asked): Query<Asked>) -> Shown {
    operators::only(&app, &session)?;
    let seen = look(&app, &session).await?;
    Ok(page(&app, &session, seen, asked.done == "yes", None, None).await?)
}

async fn look(app: &Arc<App>, session: &Session) -> Answer<Seen> {
    let (state, path) = (State(Arc::clone(app)), Path(call_home::SETTINGS.to_owned()));
    let read = config::read(state, session.caller.clone(), path, Query(listing::Page::default())).await;
    let hides = session.caller.standing(app).await?.hidden(Operation::Read, SETTINGS)?.is_some();
    let mut value = serde_json::to_value(CallHomeSettings::default()).map_err(ApiError::internal)?;
    let revision = match read {
        Ok(response) => {
            let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            // It was made here, in memory.
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.map_err(ApiError::internal)?;
            lay(&mut value, serde_json::from_slice(&bytes).map_err(ApiError::internal)?);
            tag
        }
        Err(error) if error.status() == StatusCode::NOT_FOUND => None,
        Err(error) => return Err(error),
    };
    Ok(Seen { draft: draft(&value), revision, hides })
}

/// Lays a document over what holds where it says nothing.
fn lay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay(below.entry(name).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

fn draft(document: &Value) -> Draft {
    let of = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let text = |name: &str| document.get(name).map(of).unwrap_or_default();
    let certificates = document.get("client-certificate");
    let inner = |name: &str| certificates.and_then(|found| found.get(name)).map(of).unwrap_or_default();
    let networks = certificates.and_then(|found| found.get("lb-addresses")).and_then(Value::as_array);
    let networks: Vec<&str> = networks.into_iter().flatten().filter_map(Value::as_str).collect();
    Draft {
        verify: inner("verify"),
        handshake: inner("handshake"),
        lb_mode: inner("lb-mode"),
        lb_addresses: networks.join("\n"),
        proxy_protocol: inner("proxy-protocol"),
        enable_unclaimed: document.get("enable-unclaimed").and_then(Value::as_bool).unwrap_or_default(),
        max_unclaimed: text("max-unclaimed"),
        max_duplicates: text("max-duplicates"),
        external_url: text("external-url"),
        external_ca_pem: text("external-ca-pem"),
    }
}

async fn page(
    app: &Arc<App>,
    session: &Session,
    seen: Seen,
    done: bool,
    problem: Option<Problem>,
    wrong: Option<Wrong>,
) -> Answer<Response> {
    let standing = session.caller.standing(app).await?;
    let change = if seen.revision.is_some() { Operation::Update } else { Operation::Create };
    let settings = Settings {
        problem,
        wrong,
        done,
        draft: seen.draft,
        revision: seen.revision.unwrap_or_default(),
        may_change: may(&standing, change, SETTINGS)?,
        hides: seen.hides,
    };
    Ok(settings.page(&viewer(app, session).await?).into_response())
}

/// `POST /call-home`: changes what differs from what is there.
///
/// # Errors
/// 403; 404 for other tenants; those of the store.
pub async fn change(State(app): State<Arc<App>>, form: Form) -> Shown {
    let Form { session, posted } = form;
    operators::only(&app, &session)?;
    let seen = look(&app, &session).await?;
    let text = |name: &str| posted.get(name).trim().to_owned();
    let wanted = Draft {
        verify: text("verify"),
        handshake: text("handshake"),
        lb_mode: text("lb-mode"),
        lb_addresses: networks(posted.get("lb-addresses")).join("\n"),
        proxy_protocol: text("proxy-protocol"),
        enable_unclaimed: posted.get("enable-unclaimed") == "yes",
        max_unclaimed: text("max-unclaimed"),
        max_duplicates: text("max-duplicates"),
        external_url: text("external-url"),
        // Forms send lines as CRLF (URL §5.2, HTML §4.10.22.7).
        external_ca_pem: text("external-ca-pem").replace("\r\n", "\n"),
    };
    match save(&app, &session, &seen, &wanted, posted.get("revision")).await {
        Ok(()) => Ok(see_other(&format!("{PATH}?done=yes"), &[])),
        Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => {
            let text = "the settings were changed by somebody else meanwhile: this is how they are now";
            let mut response = page(&app, &session, seen, false, Some(Problem(text.to_owned())), None).await?;
            *response.status_mut() = StatusCode::CONFLICT;
            Ok(response)
        }
        Err(error) if error.status().is_server_error() || error.status() == StatusCode::UNAUTHORIZED => {
            Err(error.into())
        }
        Err(error) => {
            let wrong = Wrong::found(&error, &FIELDS);
            let problem = match &wrong {
                Some(_) => Problem("nothing was changed: look at what is marked below".to_owned()),
                None => told(&error),
            };
            let typed = Seen { draft: wanted, ..seen };
            let mut response = page(&app, &session, typed, false, Some(problem), wrong).await?;
            *response.status_mut() = error.status();
            Ok(response)
        }
    }
}

fn networks(text: &str) -> Vec<&str> {
    text.split([' ', ',', '\r', '\n', '\t']).filter(|one| !one.is_empty()).collect()
}

async fn save(app: &App, session: &Session, seen: &Seen, wanted: &Draft, revision: &str) -> Answer<()> {
    let condition = match revision {
        "" => Condition::Absent,
        tag => Condition::Match(
            tag.parse().map_err(|error: keyward_config_tree::RevisionError| ApiError::invalid(error.to_string()))?,
        ),
    };
    let operation = if revision.is_empty() { Change::Create } else { Change::Merge };
    let bytes = serde_json::to_vec(&patch(&seen.draft, wanted)).map_err(ApiError::internal)?;
    let path: keyward_config_tree::Path =
        call_home::SETTINGS.parse().map_err(|error: keyward_config_tree::PathError| ApiError::internal(error))?;
    let key = layout::document(&session.tenant, path.as_str());
    let bulk = Bulk::from(Item::from_json(path, operation, &bytes)?);
    let precondition = Some(Precondition { key, condition });
    changes::apply(app, &session.caller, &bulk, precondition, Mode::default()).await.map(drop)
}

/// What differs (RFC 7396). What is the same may be hidden from whoever changes the rest.
fn patch(now: &Draft, wanted: &Draft) -> Value {
    let (mut certificates, mut all) = (Map::new(), Map::new());
    let texts = [
        ("verify", &now.verify, &wanted.verify),
        ("handshake", &now.handshake, &wanted.handshake),
        ("lb-mode", &now.lb_mode, &wanted.lb_mode),
        ("proxy-protocol", &now.proxy_protocol, &wanted.proxy_protocol),
    ];
    for (name, now, wanted) in texts {
        if now != wanted {
            certificates.insert(name.to_owned(), wanted.as_str().into());
        }
    }
    if now.lb_addresses != wanted.lb_addresses {
        certificates.insert("lb-addresses".to_owned(), json!(networks(&wanted.lb_addresses)));
    }
    if now.enable_unclaimed != wanted.enable_unclaimed {
        all.insert("enable-unclaimed".to_owned(), wanted.enable_unclaimed.into());
    }
    let numbers = [
        ("max-unclaimed", &now.max_unclaimed, &wanted.max_unclaimed),
        ("max-duplicates", &now.max_duplicates, &wanted.max_duplicates),
    ];
    for (name, _, wanted) in numbers.into_iter().filter(|(_, now, wanted)| now != wanted) {
        all.insert(name.to_owned(), number(wanted));
    }
    let optional = [
        ("external-url", &now.external_url, &wanted.external_url),
        ("external-ca-pem", &now.external_ca_pem, &wanted.external_ca_pem),
    ];
    for (name, now, wanted) in optional {
        if now.trim() != wanted.trim() {
            let value = if wanted.is_empty() { Value::Null } else { wanted.as_str().into() };
            all.insert(name.to_owned(), value);
        }
    }
    if !certificates.is_empty() {
        all.insert("client-certificate".to_owned(), Value::Object(certificates));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_form() {
        for (document, said) in [
            (
                json!({"client-certificate": {"handshake": "required", "verify": "never"}}),
                "hosts that have to show none",
            ),
            (
                json!({"client-certificate": {"handshake": "required", "lb-mode": "aws-passthrough", "lb-addresses": ["10.0.0.0/8"]}}),
                "has none of its own",
            ),
            (json!({"client-certificate": {"handshake": "required"}}), "let no host wait"),
            (
                json!({"client-certificate": {"verify": "never", "lb-mode": "aws-passthrough", "lb-addresses": ["10.0.0.0/8"]}}),
                "that could be passed on",
            ),
            (json!({"client-certificate": {"proxy-protocol": "required"}}), "Name the networks"),
            (json!({"client-certificate": {"lb-addresses": ["10.0.0.0/8"]}}), "There is no load balancer"),
            (json!({"max-unclaimed": 0}), "whole number from 1 to 1000"),
            (json!({"max-duplicates": 1001}), "whole number from 1 to 1000"),
            (json!({"external-url": "https://lb.example/$HOME"}), "percent-encoded"),
            (json!({"external-ca-pem": "x"}), "cannot be read as certificates"),
        ] {
            let refused = serde_json::from_value::<CallHomeSettings>(document.clone()).unwrap().validate().unwrap_err();
            let mut value = serde_json::to_value(CallHomeSettings::default()).unwrap();
            lay(&mut value, document);
            let wrong = Wrong { field: refused.field().to_owned(), message: refused.to_string() };
            let settings = Settings {
                problem: None,
                wrong: Some(wrong),
                done: false,
                draft: draft(&value),
                revision: String::new(),
                may_change: true,
                hides: false,
            };
            let text = settings.page(&crate::pages::layout::tests::viewer()).text().to_owned();
            assert!(text.contains(said), "{said}: {text}");
            for api in FIELDS.iter().chain(&["lb-mode", "verify", "host-ids"]) {
                assert!(!text.contains(&format!("<code>{api}</code>")), "{api}: {text}");
            }
        }
    }

    #[test]
    fn only_what_differs_is_written() {
        let mut value = serde_json::to_value(CallHomeSettings::default()).unwrap();
        lay(&mut value, json!({"client-certificate": {"verify": "site"}, "external-url": "https://lb.example"}));
        let now = draft(&value);
        assert_eq!((now.verify.as_str(), now.lb_mode.as_str(), now.max_unclaimed.as_str()), ("site", "none", "20"));
        assert_eq!(patch(&now, &now), json!({}));
        let wanted = Draft {
            verify: "host-id".to_owned(),
            lb_addresses: "10.0.0.0/8\n10.1.0.0/16".to_owned(),
            enable_unclaimed: false,
            max_unclaimed: "many".to_owned(),
            external_url: String::new(),
            ..now.clone()
        };
        assert_eq!(
            patch(&now, &wanted),
            json!({
                "client-certificate": {"verify": "host-id", "lb-addresses": ["10.0.0.0/8", "10.1.0.0/16"]},
                "enable-unclaimed": false, "max-unclaimed": "many", "external-url": null,
            })
        );
    }
}
