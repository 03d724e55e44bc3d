//! Documents like those of the example, and what must be true of them.

use keyward_config_tree::{
    Bulk, CrossError, Document, Error, Field, FieldError, Path, Plan, Reference, Schema, View, collection, plan,
};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(crate) type Documents = BTreeMap<Path, Document>;

#[derive(Debug, Clone, Copy, Deserialize, PartialEq, PartialOrd)]
#[serde(try_from = "serde_json::Value")]
pub(crate) struct Duration(pub(crate) u64);

impl TryFrom<serde_json::Value> for Duration {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let unit = match text.chars().last() {
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('s') => 1,
            Some('0'..='9') => return Err(format!("`{text}`: a unit is missing; write `{text}s` or `{text}d`")),
            _ => return Err(format!("`{text}`: not a duration; write one such as `30d`")),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| format!("`{text}`: not a duration"))?;
        Ok(Self(number * unit))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cipher {
    Aes256Gcm96,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) cipher: Option<Cipher>,
    #[serde(default)]
    pub(crate) exportable: bool,
    pub(crate) auto_rotate: Option<AutoRotate>,
    pub(crate) distribute: Option<Distribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AutoRotate {
    pub(crate) rotate_after: Duration,
    pub(crate) activate_after: Duration,
    pub(crate) deprecate_after: Duration,
    pub(crate) invalidate_after: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(crate) struct Distribute {
    pub(crate) to: Option<To>,
    pub(crate) deployments: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum To {
    All,
    Sites,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(crate) struct SpiffeSettings {
    pub(crate) jwt_signing_key: String,
    pub(crate) issuing_ca: Option<String>,
    pub(crate) jwt_issuer: Option<String>,
    pub(crate) trust_domain: Option<String>,
    pub(crate) distribute: Option<Distribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(crate) struct Role {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) token_no_default_policy: bool,
    #[serde(default)]
    pub(crate) token_renewable: bool,
    pub(crate) token_period: Option<Duration>,
    #[serde(default)]
    pub(crate) token_num_uses: u32,
    #[serde(default)]
    pub(crate) token_policies: Vec<String>,
    pub(crate) token_spiffe_jwt: Option<TokenSpiffeJwt>,
    pub(crate) distribute: Option<Distribute>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(crate) struct TokenSpiffeJwt {
    pub(crate) jwt_audiences: Vec<String>,
    pub(crate) ttl: Option<Duration>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
pub(crate) struct User {
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

pub(crate) const KEYS: &str = "strongbox/transit-keys/<name>";
pub(crate) const SETTINGS: &str = "strongbox/authentication/spiffe-settings";
pub(crate) const ROLES: &str = "strongbox/authentication/approles/<name>";
pub(crate) const USERS: &str = "strongbox/authentication/users/<email>";

pub(crate) fn schema() -> Schema {
    Schema::new()
        .with(collection::<Key>(KEYS).validate(check_schedule))
        .and_then(|s| {
            s.with(collection::<SpiffeSettings>(SETTINGS).references(|settings| {
                vec![Reference::required(
                    "jwt-signing-key",
                    format!("strongbox/transit-keys/{}", settings.jwt_signing_key),
                )]
            }))
        })
        .and_then(|s| {
            s.with(collection::<Role>(ROLES).references(|role| {
                let policies = role.token_policies.iter().enumerate();
                policies
                    .map(|(at, name)| {
                        let field = Field::from("token-policies").index(at);
                        Reference::optional(field, format!("strongbox/policies/{name}"))
                    })
                    .collect()
            }))
        })
        .and_then(|s| s.with(collection::<User>(USERS)))
        .unwrap()
        .check(check_tokens_outlive)
}

fn check_schedule(key: &Key) -> Result<(), FieldError> {
    let Some(rotate) = &key.auto_rotate else { return Ok(()) };
    if rotate.rotate_after.0 <= rotate.activate_after.0 + rotate.deprecate_after.0 + rotate.invalidate_after.0 {
        return Err(FieldError::new("auto-rotate.rotate-after", "shorter than the rest of the schedule")
            .with_remedy("write a longer one"));
    }
    Ok(())
}

/// A role's tokens must verify for as long as they live.
fn check_tokens_outlive(view: &View<'_>) -> Result<(), CrossError> {
    let Some(settings) = view.get::<SpiffeSettings>(&path(SETTINGS))? else { return Ok(()) };
    let key = view.get::<Key>(&path("strongbox/transit-keys").join(&settings.jwt_signing_key).unwrap())?;
    let Some(rotate) = key.and_then(|key| key.auto_rotate) else { return Ok(()) };
    for (path, role) in view.list::<Role>(ROLES)? {
        if role.token_period.is_some_and(|period| period > rotate.invalidate_after) {
            let error = FieldError::new("token-period", "longer than `invalidate-after` of the signing key");
            return Err(CrossError::new(path, error.with_remedy("write a shorter one")));
        }
    }
    Ok(())
}

pub(crate) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// Stores what a plan changes, as a program does.
pub(crate) fn store(documents: &mut Documents, plan: &Plan) {
    for change in plan.changes() {
        assert_eq!(documents.get(change.path()), change.before());
        match change.after() {
            Some(document) => documents.insert(change.path().clone(), document.clone()),
            None => documents.remove(change.path()),
        };
    }
}

pub(crate) fn done(documents: &mut Documents, text: &str) {
    let plan = run(documents, text).unwrap();
    assert!(!plan.outcomes().is_empty());
}

pub(crate) fn run(documents: &mut Documents, text: &str) -> Result<Plan, Error> {
    let bulk = Bulk::parse(text)?;
    let before = documents.clone();
    let result = plan(documents, &bulk, &schema());
    assert_eq!(*documents, before, "planning changes nothing");
    if let Ok(plan) = &result {
        store(documents, plan);
    }
    result
}
