//! Who may do something: the question from the other side, page by page.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{
    ADMINISTRATOR_POLICY, DEFAULT_POLICY, Operation, PathPattern, PolicyConfig, PolicySet, Request, Role, Scope,
    TokenParameters, Why, decide,
};
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
};
use crate::{
    app::App,
    documents::POLICIES,
    inbound::{self, SpiffeLoginConfig},
    layout, policies,
    standing::Who,
    user::User,
};

/// How many are named in one answer where nothing is said, the most that can be asked for, and how many are looked at for it.
const USUAL: usize = 100;
const MOST: usize = 1000;
const LOOK: usize = 1000;
/// How many are read at once.
const AT_ONCE: usize = 256;

/// What there is, in this order.
const KINDS: [&str; 4] = ["policy", "approle", "spiffe", "user"];

/// `POST …/policies/who-may`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Body {
    path: String,
    operation: Operation,
    /// The `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

/// `POST /v1/state/strongbox/policies/who-may {path, operation, after?, limit?}`: the policies that allow it by themselves, and the
/// AppRoles, logins by SVID and users whose tokens may. Where a rule has variables whose values are only known of a token, they are
/// named with `depends`.
///
/// # Errors
/// 400 for a path that cannot be authorized, or an `after` that is none.
pub async fn who_may(State(app): State<Arc<App>>, caller: Caller, JsonBody(body): JsonBody<Body>) -> Answer {
    let request = Request::new(&body.path, body.operation).map_err(|error| ApiError::invalid(error.to_string()))?;
    let limit = body.limit.unwrap_or(USUAL).clamp(1, MOST);
    let (first, mut after) = match body.after.as_deref() {
        None => (0, None),
        Some(text) => {
            let (kind, name) = text.split_once('/').unwrap_or((text, ""));
            let first = KINDS.iter().position(|known| *known == kind);
            let first = first.ok_or_else(|| ApiError::invalid("`after` is the `next` of the answer before"))?;
            (first, Some(name.to_owned()).filter(|name| !name.is_empty()))
        }
    };
    let mut page = Page { app: &app, caller: &caller, request, limit, looked: 0, found: Vec::new() };
    for kind in KINDS.iter().skip(first) {
        let stopped = match *kind {
            "policy" => page.policies(after.take()).await?,
            kind => page.stored(kind, after.take()).await?,
        };
        if let Some(last) = stopped {
            let next = format!("{kind}/{last}");
            return Ok(Json(json!({ "who": page.found, "next": next })).into_response());
        }
    }
    Ok(Json(json!({ "who": page.found, "next": null })).into_response())
}

/// Somebody, and by which rule.
#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: String,
    decision: &'static str,
    by: Option<By>,
}

#[derive(Serialize)]
struct By {
    policy: Name,
    number: usize,
    path: PathPattern,
}

struct Page<'a> {
    app: &'a App,
    caller: &'a Caller,
    request: Request<'a>,
    limit: usize,
    looked: usize,
    found: Vec<Row>,
}

impl Page<'_> {
    /// Whether no more are looked at for this answer.
    fn is_full(&self) -> bool {
        self.looked >= LOOK || self.found.len() >= self.limit
    }

    /// Notes somebody, unless they may not.
    fn note(&mut self, kind: &'static str, name: &str, decision: &keyward_approle::Decision<'_>) {
        self.looked += 1;
        let says = match decision.why {
            Why::Allowed => "allowed",
            Why::Undefined | Why::TenantUndefined => "depends",
            _ => return,
        };
        let by = decision.rule.map(|rule| By {
            policy: rule.policy.clone(),
            number: rule.number,
            path: rule.pattern.clone(),
        });
        self.found.push(Row { kind, name: name.to_owned(), decision: says, by });
    }

    /// The policies by themselves; answers the last one that was looked at where the page is full.
    async fn policies(&mut self, after: Option<String>) -> Answer<Option<String>> {
        let mut built_in = vec![ADMINISTRATOR_POLICY, DEFAULT_POLICY];
        built_in.retain(|name| after.as_deref().is_none_or(|after| *name > after));
        let mut built_in = built_in.into_iter().peekable();
        let prefix = format!("{}/", layout::document(self.caller.tenant(), POLICIES));
        let mut last = after.as_ref().map(|name| format!("{prefix}{name}"));
        loop {
            let entries = self.app.db.store().range(&prefix, last.as_deref(), AT_ONCE, None).await?;
            let is_last = entries.len() < AT_ONCE;
            for entry in entries {
                let name = entry.key.strip_prefix(&prefix).unwrap_or_default().to_owned();
                while let Some(before) = built_in.next_if(|built_in| *built_in < name.as_str()) {
                    if self.policy(&PolicySet::new(), before)? {
                        return Ok(Some(before.to_owned()));
                    }
                }
                let opened = self.app.db.open(entry).await?;
                let policy: PolicyConfig = serde_json::from_slice(&opened.value).map_err(ApiError::internal)?;
                let mut set = PolicySet::new();
                set.insert(&policy).map_err(ApiError::internal)?;
                if self.policy(&set, &name)? {
                    return Ok(Some(name));
                }
                last = Some(opened.key);
            }
            if is_last {
                break;
            }
        }
        for rest in built_in {
            if self.policy(&PolicySet::new(), rest)? {
                return Ok(Some(rest.to_owned()));
            }
        }
        Ok(None)
    }

    /// One policy by itself; whether the page is full then.
    fn policy(&mut self, set: &PolicySet, name: &str) -> Answer<bool> {
        let names = [name.parse().map_err(ApiError::internal)?];
        let decision = decide(None, &Scope::new(set, &names), &self.request);
        self.note("policy", name, &decision);
        Ok(self.is_full())
    }

    /// What is stored of a kind, likewise.
    async fn stored(&mut self, kind: &'static str, after: Option<String>) -> Answer<Option<String>> {
        let prefix = match kind {
            "approle" => layout::roles(self.caller.tenant()),
            "user" => layout::users(self.caller.tenant()),
            _ => format!("{}/", layout::document(self.caller.tenant(), inbound::COLLECTION)),
        };
        let mut after = after.map(|name| format!("{prefix}{name}"));
        loop {
            let entries = self.app.db.store().range(&prefix, after.as_deref(), AT_ONCE, None).await?;
            let last = entries.len() < AT_ONCE;
            for entry in entries {
                let opened = self.app.db.open(entry).await?;
                let name = opened.key.strip_prefix(&prefix).unwrap_or_default();
                self.one(kind, name, &opened.value).await?;
                if self.is_full() {
                    return Ok(Some(name.to_owned()));
                }
                after = Some(opened.key);
            }
            if last {
                return Ok(None);
            }
        }
    }

    async fn one(&mut self, kind: &'static str, name: &str, bytes: &[u8]) -> Answer<()> {
        let parameters = match kind {
            "approle" => {
                let role = Role::decode(bytes).map_err(ApiError::internal)?;
                TokenParameters::for_role(&role, self.caller.source)
            }
            "user" => {
                let user = User::decode(bytes).map_err(ApiError::internal)?;
                TokenParameters::for_user(self.caller.tenant().clone(), name, user.record().policies().to_vec())
            }
            // Whom a login by SVID lets in is not known before somebody comes: what their identity says depends on it.
            _ => {
                let login: SpiffeLoginConfig = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
                for rule in &login.spiffe_id_patterns {
                    let names = rule.policies();
                    let prepared = policies::of(self.app, self.caller.tenant(), &names).await?;
                    let decision = decide(None, &Scope::new(&prepared.set, &names), &self.request);
                    self.note(kind, &format!("{name} for {}", rule.pattern), &decision);
                }
                return Ok(());
            }
        };
        let TokenParameters { tenant, subject, policies, metadata, .. } = &parameters;
        let standing = Who { tenant, subject, policies, metadata, site: None }.standing(self.app).await?;
        let decision = standing.decide(self.request.operation(), self.request.path())?;
        self.note(kind, name, &decision);
        Ok(())
    }
}
