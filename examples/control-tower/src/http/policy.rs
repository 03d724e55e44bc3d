//! What policies come to: who may do what, and which rule decides.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{
    Accessor, Effect, Explanation, Operation, PathPattern, RuleRef, Side, SpiffeAuth, Subject, TokenParameters,
    Weighed, spiffe_login,
};
use keyward_config_values::{Name, VariableName};
use keyward_spiffe_id::SpiffeId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
    lineage::Lineage,
};
use crate::{
    app::App,
    layout,
    login::users,
    standing::{Standing, Who},
};

pub mod who_may;

/// What a policy must allow whoever asks about others.
const EXPLAIN: &str = "/v1/state/strongbox/policies/explain";

/// The most paths of one question.
const MOST_PATHS: usize = 100;

/// Whom a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// An AppRole: what its next login would be given.
    Approle(Name),
    /// A user.
    User(String),
    /// A token, by its accessor.
    Token(Accessor),
    /// A login by SVID, for one SPIFFE ID.
    Spiffe(Name),
}

impl FromStr for About {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || "a subject is `approle/<name>`, `user/<name>`, `token/<accessor>` or `spiffe/<name>`".to_owned();
        let (kind, name) = text.split_once('/').ok_or_else(unknown)?;
        match kind {
            "approle" => name.parse().map(Self::Approle).map_err(|error| format!("subject: {error}")),
            "spiffe" => name.parse().map(Self::Spiffe).map_err(|error| format!("subject: {error}")),
            "token" => name.parse().map(Self::Token).map_err(|error| format!("subject: {error}")),
            "user" => Ok(Self::User(name.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approle(name) => write!(f, "approle/{name}"),
            Self::User(name) => write!(f, "user/{name}"),
            Self::Token(accessor) => write!(f, "token/{accessor}"),
            Self::Spiffe(name) => write!(f, "spiffe/{name}"),
        }
    }
}

/// Whom a question is about, as it is asked.
struct AboutBody {
    subject: Option<String>,
    spiffe_id: Option<SpiffeId>,
    site: Option<Name>,
    metadata: BTreeMap<String, String>,
}

/// Whom a question is about, as they are stored.
pub struct Examined {
    /// For the answer.
    pub name: String,
    tenant: Name,
    subject: Subject,
    policies: Vec<Name>,
    metadata: BTreeMap<String, String>,
    site: Option<Name>,
}

impl Examined {
    /// What they may do.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn standing<'a>(&'a self, app: &App) -> Answer<Standing<'a>> {
        let Self { tenant, subject, policies, metadata, site, .. } = self;
        Who { tenant, subject, policies, metadata, site: site.clone() }.standing(app).await
    }

    /// The caller.
    fn caller(caller: &Caller) -> Self {
        let record = caller.token.record();
        Self::token("the token that asks".to_owned(), record)
    }

    fn token(name: String, record: &keyward_approle::TokenRecord) -> Self {
        Self {
            name,
            tenant: record.tenant().clone(),
            subject: record.subject().clone(),
            policies: record.policies().to_vec(),
            metadata: record.metadata().clone(),
            site: None,
        }
    }

    fn granted(name: String, parameters: TokenParameters) -> Self {
        let TokenParameters { tenant, subject, policies, metadata, .. } = parameters;
        Self { name, tenant, subject, policies, metadata, site: None }
    }

    /// Whom a body names: the caller where it names nobody.
    ///
    /// # Errors
    /// 403 for whoever may not ask about others, 404 for somebody that there is not, 400.
    async fn load(app: &App, caller: &Caller, body: AboutBody) -> Answer<Self> {
        let AboutBody { subject, spiffe_id, site, metadata } = body;
        let Some(subject) = subject else {
            if spiffe_id.is_some() || site.is_some() || !metadata.is_empty() {
                return Err(ApiError::invalid("`spiffe-id`, `site` and `metadata` are for a `subject`"));
            }
            return Ok(Self::caller(caller));
        };
        caller.permit(app, Operation::Execute, EXPLAIN).await?;
        let about: About = subject.parse().map_err(ApiError::invalid)?;
        if spiffe_id.is_some() != matches!(about, About::Spiffe(_)) {
            return Err(ApiError::invalid("`spiffe-id` goes with the subject `spiffe/<name>`, which needs it"));
        }
        let missing = || ApiError::not_found(format_args!("`{about}`"));
        let tenant = caller.tenant();
        let source = caller.source;
        let name = about.to_string();
        let mut examined = match &about {
            About::Approle(role) => {
                let role = app.db.load(&layout::role(tenant, role.as_str()), keyward_approle::Role::decode).await?;
                Self::granted(name, TokenParameters::for_role(&role.ok_or_else(missing)?.value, source))
            }
            About::User(user) => {
                let stored = users::get(&app.db, tenant, user).await?;
                let policies = stored.ok_or_else(missing)?.value.record().policies().to_vec();
                Self::granted(name, TokenParameters::for_user(tenant.clone(), user, policies))
            }
            About::Token(accessor) => {
                let found = Lineage::by_accessor(app, tenant, *accessor).await?.found(app.clock.now());
                Self::token(name, found.map_err(|_| missing())?.record())
            }
            About::Spiffe(auth) => {
                let stored = app.db.load(&layout::spiffe_auth(tenant, auth.as_str()), SpiffeAuth::decode).await?;
                let (auth, id) = stored.zip(spiffe_id).ok_or_else(missing)?;
                let grant = spiffe_login(&auth.value, &id, source)
                    .map_err(|reason| ApiError::inapplicable(format!("`{id}` cannot log in by it: {reason}")))?;
                Self::granted(format!("{name} as {id}"), grant.parameters)
            }
        };
        examined.site = site;
        examined.metadata.extend(metadata);
        Ok(examined)
    }
}

/// `POST …/policies/capabilities`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CapabilitiesBody {
    path: Option<String>,
    paths: Vec<String>,
    operation: Option<Operation>,
    subject: Option<String>,
    spiffe_id: Option<SpiffeId>,
    site: Option<Name>,
    metadata: BTreeMap<String, String>,
}

/// `POST /v1/state/strongbox/policies/capabilities {path | paths, operation?, subject?, …}`: what the caller's token may do, or, for
/// those who may [`explain`], what somebody else may.
///
/// # Errors
/// 400 for a path that cannot be authorized; 403 and 404 for somebody else.
pub async fn capabilities(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<CapabilitiesBody>,
) -> Answer {
    let CapabilitiesBody { path, paths, operation, subject, spiffe_id, site, metadata } = body;
    let paths: Vec<String> = path.into_iter().chain(paths).collect();
    if paths.is_empty() || paths.len() > MOST_PATHS {
        return Err(ApiError::invalid(format!("name a `path`, or 1 to {MOST_PATHS} `paths`")));
    }
    let about = AboutBody { subject, spiffe_id, site, metadata };
    let examined = Examined::load(&app, &caller, about).await?;
    let standing = examined.standing(&app).await?;
    let mut answers = Vec::with_capacity(paths.len());
    for path in paths {
        let mut operations = Vec::new();
        for each in Operation::ALL {
            if standing.decide(each, &path)?.is_allowed() {
                operations.push(each);
            }
        }
        let mut answer = json!({ "path": path, "operations": operations });
        if let Some(operation) = operation {
            set(&mut answer, "allowed", json!(operations.contains(&operation)));
        }
        if let Some(hidden) = standing.hidden(operation.unwrap_or(Operation::Read), &path)? {
            set(&mut answer, "hidden-fields", json!(hidden.names()));
        }
        answers.push(answer);
    }
    Ok(Json(json!({ "subject": examined.name, "capabilities": answers })).into_response())
}

/// `POST …/policies/explain`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExplainBody {
    path: String,
    operation: Operation,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    spiffe_id: Option<SpiffeId>,
    #[serde(default)]
    site: Option<Name>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// `POST /v1/state/strongbox/policies/explain {path, operation, subject?, spiffe-id?, site?, metadata?}`: the decision, the rule that
/// decides, and every other that was weighed or nearly matched.
///
/// # Errors
/// As [`capabilities`].
pub async fn explain(State(app): State<Arc<App>>, caller: Caller, JsonBody(body): JsonBody<ExplainBody>) -> Answer {
    let ExplainBody { path, operation, subject, spiffe_id, site, metadata } = body;
    let about = AboutBody { subject, spiffe_id, site, metadata };
    let examined = Examined::load(&app, &caller, about).await?;
    let standing = examined.standing(&app).await?;
    let explanation = standing.explain(operation, &path)?;
    let hidden = standing.hidden(operation, &path)?;
    let decision = &explanation.decision;
    Ok(Json(Explained {
        subject: &examined.name,
        operation,
        path: &path,
        decision: if decision.is_allowed() { "allowed" } else { "denied" },
        reason: decision.to_string(),
        rule: decision.rule.map(|rule| Rule::from(&rule)),
        policies: &examined.policies,
        hidden_fields: hidden.as_ref().map(|hidden| hidden.names()).unwrap_or_default(),
        tenant: tenant_side(&explanation),
        tenant_rules: explanation.tenant.as_ref().map(rows),
        rules: rows(&explanation.token),
        variables: variables(&examined, &standing),
    })
    .into_response())
}

/// In the order in which people read it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Explained<'a> {
    subject: &'a str,
    operation: Operation,
    path: &'a str,
    decision: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule<'a>>,
    policies: &'a [Name],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hidden_fields: Vec<&'a str>,
    tenant: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_rules: Option<Vec<Row<'a>>>,
    rules: Vec<Row<'a>>,
    variables: Vec<Variable<'a>>,
}

/// A rule: its policy, its number in the document from 0, its path.
#[derive(Serialize)]
struct Rule<'a> {
    policy: &'a Name,
    number: usize,
    path: &'a PathPattern,
}

impl<'a> From<&RuleRef<'a>> for Rule<'a> {
    fn from(rule: &RuleRef<'a>) -> Self {
        Self { policy: rule.policy, number: rule.number, path: rule.pattern }
    }
}

/// A rule that was weighed.
#[derive(Serialize)]
struct Row<'a> {
    policy: &'a Name,
    number: usize,
    path: &'a PathPattern,
    effect: Option<Effect>,
    because: String,
}

/// A variable as it is bound.
#[derive(Serialize)]
struct Variable<'a> {
    variable: &'a VariableName,
    value: Option<&'a str>,
}

fn set(answer: &mut Value, field: &str, value: Value) {
    if let Some(fields) = answer.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

fn tenant_side(explanation: &Explanation<'_>) -> &'static str {
    match &explanation.tenant {
        None => "has no policies of its own that restrict it",
        Some(side) if side.allows => "its policies allow it",
        Some(_) => "its policies do not allow it",
    }
}

fn rows<'a>(side: &Side<'a>) -> Vec<Row<'a>> {
    let row = |weighed: &Weighed<'a>| {
        let Rule { policy, number, path } = Rule::from(&weighed.rule);
        Row { policy, number, path, effect: weighed.effect, because: weighed.because.to_string() }
    };
    side.rules.iter().map(row).collect()
}

/// The variables that the policies name, as they are bound.
fn variables<'a>(examined: &Examined, standing: &'a Standing<'_>) -> Vec<Variable<'a>> {
    let mut names: Vec<_> = examined.policies.iter().flat_map(|policy| standing.set().variables(policy)).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|variable| Variable { variable, value: standing.value(variable) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_are_shown() {
        for text in
            ["approle/payments", "user/a/b@example.com", "token/00112233445566778899aabbccddeeff", "spiffe/peer"]
        {
            assert_eq!(text.parse::<About>().unwrap().to_string(), text);
        }
        for bad in ["", "payments", "approle/", "approle/A", "token/1", "role/x"] {
            assert!(bad.parse::<About>().is_err(), "{bad}");
        }
    }
}
