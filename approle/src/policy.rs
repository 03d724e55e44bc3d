//! Policies: what a token may do.
//!
//! A policy is a document with rules for paths of the API:
//!
//! ```yaml
//! name: config-reader
//! rest-api:
//!   rules:
//!     - path: /v1/config/**
//!       operations:
//!         read: allow
//!     - path: /v1/config/strongbox/**
//!       operations:
//!         read: deny
//! ```
//!
//! Nothing is allowed unless a rule allows it. Inside one policy, and for one operation, the most
//! specific rule that mentions the operation wins; where two rules have the same path, allow wins.
//! Across the policies of a token the most permissive one wins (Vault lets a deny win here). Where a
//! tenant has policies of its own, they and the token's must both allow.
//!
//! `${name}` in a path stands for the value of a variable, as a segment or as part of one. The value is bound as literal
//! text and compared, never read as a pattern: whatever it holds, a rule cannot become wider. A rule whose variable has
//! no value counts as one that denies, and the decision says so. Where variables get their values: [`Asker`].
//!
//! A rule may hide fields of the answers to what it allows ([`RuleConfig::hide_fields`], [`visibility`]); [`explain`] says why a
//! decision is what it is.

mod binding;
mod decide;
mod explain;
mod hidden;
mod rule;
mod set;
mod template;
mod vault;

use keyward_config_values::{Distribute, Name};
use serde::{Deserialize, Serialize};

use crate::error::{FieldError, Invalid, Problem};

pub use binding::{Asker, VariableWarning};
pub use decide::{Decision, Request, RuleRef, Scope, Why, decide};
pub use explain::{Because, Explanation, Side, Weighed, explain};
pub use hidden::{HiddenField, Visibility, visibility};
pub use rule::{PathPattern, PatternProblem};
pub use set::PolicySet;
pub use vault::{VaultPathProblem, VaultPolicyError, vault_rules};

/// Name of the built-in policy that lets a token look up, refresh and revoke itself. Every token of
/// an AppRole has it unless `token-no-default-policy` is set.
pub const DEFAULT_POLICY: &str = "default";

/// Name of the built-in policy that allows everything in its tenant.
pub const ADMINISTRATOR_POLICY: &str = "administrator";

/// The most rules of one policy.
const MAX_RULES: usize = 100_000;
/// The most hidden fields of one rule.
const MAX_HIDDEN: usize = 64;

/// A policy as it is configured; see the crate's README for the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PolicyConfig {
    /// Name of the policy, unique in its tenant. The built-in names are refused by
    /// [`PolicyConfig::validate`].
    pub name: Name,
    /// What it says about the API.
    #[serde(default)]
    pub rest_api: RestApi,
    /// The text of Vault or OpenBao that the rules were made of, for its clients to read it back; see [`vault_rules`]. Rules that are
    /// changed do without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_policy: Option<String>,
    /// Where the policy is available; what it names need not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
}

impl PolicyConfig {
    /// A policy with these rules.
    #[must_use]
    pub fn new(name: Name, rules: Vec<RuleConfig>) -> Self {
        Self { name, rest_api: RestApi { rules }, vault_policy: None, distribute: None }
    }

    /// The policy that a text of Vault or OpenBao comes to, with that text.
    ///
    /// # Errors
    ///
    /// Those of [`vault_rules`].
    pub fn from_vault(name: Name, text: impl Into<String>) -> Result<Self, VaultPolicyError> {
        let text = text.into();
        let rules = vault_rules(&text)?;
        Ok(Self { vault_policy: Some(text), ..Self::new(name, rules) })
    }

    /// Checks what the types of the fields do not.
    ///
    /// # Errors
    ///
    /// A built-in name, more than 100,000 rules, a rule without an operation, with more than 64 hidden fields, or with a variable
    /// that is built in and never has a value; a `vault-policy` that comes to other rules.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = self.problems();
        match self.vault_policy.as_deref().map(vault_rules) {
            None => {}
            Some(Err(error)) => problems.push(FieldError::new("vault-policy", Problem::VaultPolicy { error })),
            Some(Ok(rules)) if rules != self.rest_api.rules => {
                problems.push(FieldError::new("vault-policy", Problem::OtherRules));
            }
            Some(Ok(_)) => {}
        }
        Invalid::check(problems)
    }

    /// What is wrong with what decides. A text that another release read otherwise is not.
    fn problems(&self) -> Vec<FieldError> {
        let mut problems = Vec::new();
        if [DEFAULT_POLICY, ADMINISTRATOR_POLICY].contains(&self.name.as_str()) {
            let name = self.name.clone();
            problems.push(FieldError::new("name", Problem::BuiltIn { name }));
        }
        let rules = &self.rest_api.rules;
        if rules.len() > MAX_RULES {
            let problem = Problem::Entries { found: rules.len(), minimum: 0, maximum: MAX_RULES };
            problems.push(FieldError::new("rest-api.rules", problem));
        }
        for (index, rule) in rules.iter().enumerate() {
            if let Some(variable) = rule.path.variables().find(|name| !binding::can_have_a_value(name)) {
                problems
                    .push(FieldError::new(format!("rest-api.rules[{index}].path"), Problem::NeverBound { variable }));
            }
            if rule.hide_fields.len() > MAX_HIDDEN {
                let problem = Problem::Entries { found: rule.hide_fields.len(), minimum: 0, maximum: MAX_HIDDEN };
                problems.push(FieldError::new(format!("rest-api.rules[{index}].hide-fields"), problem));
            }
            if rule.operations == Operations::default() {
                problems.push(FieldError::new(
                    format!("rest-api.rules[{index}].operations"),
                    Problem::Entries { found: 0, minimum: 1, maximum: Operation::ALL.len() },
                ));
            }
        }
        problems
    }
}

/// The rules of a policy for the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RestApi {
    /// The rules, in any order.
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
}

/// One rule: which paths, and what is allowed or denied there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RuleConfig {
    /// The paths that it holds for.
    pub path: PathPattern,
    /// What it says. An operation that is not mentioned is left to less specific rules.
    pub operations: Operations,
    /// Fields that are left out of the answers to what it allows, and kept from being written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hide_fields: Vec<HiddenField>,
}

impl RuleConfig {
    /// A rule that says the same of some operations.
    #[must_use]
    pub fn new(path: PathPattern, effect: Effect, operations: impl IntoIterator<Item = Operation>) -> Self {
        let mut rule = Self { path, operations: Operations::default(), hide_fields: Vec::new() };
        for operation in operations {
            *rule.operations.get_mut(operation) = Some(effect);
        }
        rule
    }

    /// The same rule, hiding these fields.
    #[must_use]
    pub fn hiding(mut self, fields: Vec<HiddenField>) -> Self {
        self.hide_fields = fields;
        self
    }
}

/// What a rule says of each operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Operations {
    /// Make what does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Effect>,
    /// See.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Effect>,
    /// Change what exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Effect>,
    /// Remove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Effect>,
    /// Call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute: Option<Effect>,
}

impl Operations {
    /// What is said of one operation.
    #[must_use]
    pub fn get(&self, operation: Operation) -> Option<Effect> {
        match operation {
            Operation::Create => self.create,
            Operation::Read => self.read,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
            Operation::Execute => self.execute,
        }
    }

    fn get_mut(&mut self, operation: Operation) -> &mut Option<Effect> {
        match operation {
            Operation::Create => &mut self.create,
            Operation::Read => &mut self.read,
            Operation::Update => &mut self.update,
            Operation::Delete => &mut self.delete,
            Operation::Execute => &mut self.execute,
        }
    }

    /// Both together; allow wins.
    fn merge(&mut self, other: &Self) {
        for operation in Operation::ALL {
            let mine = self.get_mut(operation);
            // `None` is less than `Deny`, and `Deny` less than `Allow`.
            *mine = (*mine).max(other.get(operation));
        }
    }
}

/// What a request does to its path. Over HTTP: `GET` reads, `POST` on a collection creates, `PUT`
/// creates or updates, `PATCH` updates, `DELETE` deletes, and a `POST` that calls something executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// Make what does not exist.
    Create,
    /// See.
    Read,
    /// Change what exists.
    Update,
    /// Remove.
    Delete,
    /// Call.
    Execute,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Create, Self::Read, Self::Update, Self::Delete, Self::Execute];

    /// Its name in a document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Execute => "execute",
        }
    }
}

impl core::fmt::Display for Operation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a rule says of an operation. `Allow` is the greater one: it wins a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It is refused, unless another policy allows it.
    Deny,
    /// It is allowed.
    Allow,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{
        "name": "config-reader",
        "rest-api": {
            "rules": [
                { "path": "/v1/config/**", "operations": { "read": "allow", "delete": "deny" } },
                { "path": "/v1/state/*", "operations": { "execute": "allow" } }
            ]
        },
        "distribute": { "to": "all" }
    }"#;

    #[test]
    fn the_document_goes_through_serde_both_ways() {
        let policy: PolicyConfig = serde_json::from_str(DOCUMENT).unwrap();
        policy.validate().unwrap();
        assert_eq!(
            serde_json::to_value(&policy).unwrap(),
            serde_json::from_str::<serde_json::Value>(DOCUMENT).unwrap()
        );
        let empty: PolicyConfig = serde_json::from_str(r#"{"name":"empty"}"#).unwrap();
        assert_eq!(empty, PolicyConfig::new("empty".parse().unwrap(), Vec::new()));
        empty.validate().unwrap();
    }

    #[test]
    fn what_is_refused() {
        let error =
            |json: &str| serde_json::from_str::<PolicyConfig>(json).unwrap().validate().unwrap_err().to_string();
        assert_eq!(
            error(r#"{"name":"administrator"}"#),
            "`name` is `administrator`, which is built in and cannot be configured"
        );
        assert_eq!(error(r#"{"name":"default"}"#), "`name` is `default`, which is built in and cannot be configured");
        assert_eq!(
            error(r#"{"name":"a","rest-api":{"rules":[{"path":"/a","operations":{}}]}}"#),
            "`rest-api.rules[0].operations` has 0 entries, 1 to 5 are allowed"
        );
        let rules = r#"[{"path":"/v1/a","operations":{"create":"deny","read":"allow","update":"deny","delete":"deny","execute":"deny"}}]"#;
        let with = |text: &str, rules: &str| {
            let text = serde_json::Value::from(text);
            serde_json::from_str::<PolicyConfig>(&format!(
                r#"{{"name":"a","vault-policy":{text},"rest-api":{{"rules":{rules}}}}}"#
            ))
            .unwrap()
        };
        let text = "path \"a\" { policy = \"read\" }";
        assert_eq!(with(text, rules), PolicyConfig::from_vault("a".parse().unwrap(), text).unwrap());
        with(text, rules).validate().unwrap();
        let other = with(text, "[]");
        assert_eq!(
            other.validate().unwrap_err().to_string(),
            "`vault-policy` comes to other rules than those of `rest-api.rules`: leave it out, or write what it comes to"
        );
        PolicySet::new().insert(&other).unwrap();
        assert_eq!(
            with("path", "[]").validate().unwrap_err().to_string(),
            "`vault-policy` cannot be understood: line 1: expected a name"
        );
        let variable = r#"{"name":"a","rest-api":{"rules":[{"path":"/v1/${tenant","operations":{"read":"allow"}}]}}"#;
        let refused = serde_json::from_str::<PolicyConfig>(variable).unwrap_err().to_string();
        assert!(refused.starts_with("invalid path pattern `/v1/${tenant`: `${` must be followed by"), "{refused}");
        assert!(
            serde_json::from_str::<PolicyConfig>(
                r#"{"name":"a","rest-api":{"rules":[{"path":"/a","operations":{"read":"perhaps"}}]}}"#
            )
            .is_err()
        );
    }

    #[test]
    fn allow_wins_where_two_say_something() {
        let one: Operations = serde_json::from_str(r#"{"create":"deny","read":"allow","update":"deny"}"#).unwrap();
        let mut both: Operations = serde_json::from_str(r#"{"create":"allow","read":"deny","delete":"deny"}"#).unwrap();
        both.merge(&one);
        assert_eq!(
            Operation::ALL.map(|operation| both.get(operation)),
            [Some(Effect::Allow), Some(Effect::Allow), Some(Effect::Deny), Some(Effect::Deny), None]
        );
    }
}
