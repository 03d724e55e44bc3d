//! The decision.

use core::fmt;

use keyward_config_values::{Bindings, Name};

use super::set::Rule;
use super::template::{Candidate, Says};
use super::{Operation, PathPattern, PolicySet};
use crate::Error;

/// What is to be decided: an operation on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    path: &'a str,
    operation: Operation,
    bindings: Option<&'a Bindings>,
}

impl<'a> Request<'a> {
    /// A request for a path in its decoded form.
    ///
    /// # Errors
    ///
    /// [`Error::RequestPath`] when the path does not start with `/`, has an empty, `.` or `..`
    /// segment, a control character or a `%`. Such a path could be understood in two ways, by the
    /// policy and by whoever serves it.
    pub fn new(path: &'a str, operation: Operation) -> Result<Self, Error> {
        let segments = path.strip_prefix('/').ok_or(Error::RequestPath)?;
        if segments.bytes().any(|byte| byte.is_ascii_control() || byte == b'%')
            || segments.split('/').any(|segment| matches!(segment, "" | "." | ".."))
        {
            return Err(Error::RequestPath);
        }
        Ok(Self { path, operation, bindings: None })
    }

    /// The request with the values that variables have for whoever asks.
    ///
    /// ```
    /// use keyward_approle::{Operation, PolicyConfig, PolicySet, Request, Scope, decide};
    /// use keyward_config_values::Bindings;
    ///
    /// let mut policies = PolicySet::new();
    /// policies.insert(&serde_json::from_str::<PolicyConfig>(r#"{"name": "own", "rest-api": {"rules": [
    ///     {"path": "/v1/config/applications/${approle}/**", "operations": {"read": "allow"}}
    /// ]}}"#)?)?;
    /// let names = ["own".parse()?];
    /// let scope = Scope::new(&policies, &names);
    ///
    /// let mut bindings = Bindings::default();
    /// bindings.set("approle".parse()?, "payments");
    /// let own = Request::new("/v1/config/applications/payments/web", Operation::Read)?.with_bindings(&bindings);
    /// assert!(decide(None, &scope, &own).is_allowed());
    /// let other = Request::new("/v1/config/applications/reports/web", Operation::Read)?.with_bindings(&bindings);
    /// assert!(!decide(None, &scope, &other).is_allowed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_bindings(self, bindings: &'a Bindings) -> Self {
        Self { bindings: Some(bindings), ..self }
    }

    /// The values of variables.
    pub(super) fn bindings(&self) -> Option<&'a Bindings> {
        self.bindings
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The operation.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }
}

/// Some policies of a set, by their names. A name that the set does not have allows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Where the policies are.
    pub policies: &'a PolicySet,
    /// Which of them hold.
    pub names: &'a [Name],
}

impl<'a> Scope<'a> {
    /// Some policies of a set.
    #[must_use]
    pub fn new(policies: &'a PolicySet, names: &'a [Name]) -> Self {
        Self { policies, names }
    }

    /// The first rule that allows, or else the first one that says something.
    fn effect(&self, request: &Request<'_>) -> Option<(RuleRef<'a>, Says)> {
        let mut denied = None;
        for name in self.names {
            let Some((policy, rules)) = self.policies.get(name) else { continue };
            let Some(Candidate { rule, says }) = rules.effect(request) else { continue };
            let rule = RuleRef::new(policy, rule, request.operation());
            if says == Says::Allow {
                return Some((rule, says));
            }
            denied.get_or_insert((rule, says));
        }
        denied
    }
}

/// What was decided, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Decision<'a> {
    /// Why, and with it whether.
    pub why: Why,
    /// The rule that decided; `None` where there is no rule.
    pub rule: Option<RuleRef<'a>>,
}

impl Decision<'_> {
    /// Whether the request is allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.why == Why::Allowed
    }
}

/// In words, for logs and for an answer to someone who may see policies.
impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::Allowed => "allowed",
            Why::Denied => "denied",
            Why::NoRule => "no policy of the token allows it",
            Why::TenantDenied => "denied to the tenant",
            Why::TenantNoRule => "no policy of the tenant allows it",
            Why::Undefined => "denied because a variable has no value",
            Why::TenantUndefined => "denied to the tenant because a variable has no value",
        })?;
        match self.rule {
            Some(rule) if matches!(self.why, Why::Undefined | Why::TenantUndefined) => write!(f, " in {rule}"),
            Some(rule) => write!(f, " by {rule}"),
            None => Ok(()),
        }
    }
}

/// Why a request is allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// A rule of the token's policies allows it, and the tenant's do where there are any.
    Allowed,
    /// A rule of the token's policies denies it, and none allows it.
    Denied,
    /// The token's policies say nothing of it.
    NoRule,
    /// A rule of the tenant's policies denies it, and none allows it.
    TenantDenied,
    /// The tenant's policies say nothing of it.
    TenantNoRule,
    /// A rule of the token's policies that may be about it has a variable without a value, and no other policy allows it.
    Undefined,
    /// The same of the tenant's policies.
    TenantUndefined,
}

/// A rule, by its policy and its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleRef<'a> {
    /// Name of the policy.
    pub policy: &'a Name,
    /// Which of the policy's rules, from 0: of several with one path the one that says most of the operation.
    pub number: usize,
    /// The rule's path.
    pub pattern: &'a PathPattern,
}

impl<'a> RuleRef<'a> {
    pub(super) fn new(policy: &'a Name, rule: &'a Rule, operation: Operation) -> Self {
        Self { policy, number: rule.number(operation), pattern: &rule.pattern }
    }
}

impl fmt::Display for RuleRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of policy `{}`", self.pattern, self.policy)
    }
}

/// Decides a request: the tenant's policies (`None`: nothing restricts the tenant) and the token's
/// must both allow it.
///
/// Allocates nothing; rules for other paths cost nothing.
///
/// ```
/// use keyward_approle::{decide, Operation, PolicyConfig, PolicySet, Request, Scope};
///
/// let mut policies = PolicySet::new();
/// policies.insert(&serde_json::from_str::<PolicyConfig>(r#"{
///     "name": "reader",
///     "rest-api": { "rules": [
///         { "path": "/v1/config/**", "operations": { "read": "allow" } },
///         { "path": "/v1/config/strongbox/**", "operations": { "read": "deny" } }
///     ] }
/// }"#)?)?;
///
/// let names = ["reader".parse()?];
/// let token = Scope::new(&policies, &names);
/// let sites = Request::new("/v1/config/system/sites", Operation::Read)?;
/// assert!(decide(None, &token, &sites).is_allowed());
///
/// let keys = Request::new("/v1/config/strongbox/transit-keys", Operation::Read)?;
/// assert_eq!(
///     decide(None, &token, &keys).to_string(),
///     "denied by `/v1/config/strongbox/**` of policy `reader`"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decide<'a>(tenant: Option<&Scope<'a>>, token: &Scope<'a>, request: &Request<'_>) -> Decision<'a> {
    if let Some(tenant) = tenant {
        match tenant.effect(request) {
            Some((_, Says::Allow)) => {}
            Some((rule, Says::Deny)) => return Decision { why: Why::TenantDenied, rule: Some(rule) },
            Some((rule, Says::Undefined)) => return Decision { why: Why::TenantUndefined, rule: Some(rule) },
            None => return Decision { why: Why::TenantNoRule, rule: None },
        }
    }
    match token.effect(request) {
        Some((rule, Says::Allow)) => Decision { why: Why::Allowed, rule: Some(rule) },
        Some((rule, Says::Deny)) => Decision { why: Why::Denied, rule: Some(rule) },
        Some((rule, Says::Undefined)) => Decision { why: Why::Undefined, rule: Some(rule) },
        None => Decision { why: Why::NoRule, rule: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyConfig;
    use crate::testing::name;

    fn set(policies: &[(&str, &[(&str, &str)])]) -> PolicySet {
        let mut set = PolicySet::new();
        for (name, rules) in policies {
            let rules: Vec<serde_json::Value> = rules
                .iter()
                .map(|(path, effect)| serde_json::json!({"path": path, "operations": {"read": effect}}))
                .collect();
            let document = serde_json::json!({"name": name, "rest-api": {"rules": rules}});
            let policy: PolicyConfig = serde_json::from_value(document).unwrap();
            set.insert(&policy).unwrap();
        }
        set
    }

    fn read(path: &str) -> Request<'_> {
        Request::new(path, Operation::Read).unwrap()
    }

    fn say(set: &PolicySet, names: &[&str], request: &Request<'_>) -> String {
        let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
        decide(None, &Scope::new(set, &names), request).to_string()
    }

    #[test]
    fn nothing_is_allowed_unless_a_rule_says_so() {
        let set = set(&[("a", &[("/x", "allow")])]);
        assert_eq!(say(&set, &[], &read("/x")), "no policy of the token allows it");
        assert_eq!(say(&set, &["gone"], &read("/x")), "no policy of the token allows it");
        assert_eq!(say(&set, &["a"], &read("/y")), "no policy of the token allows it");
        let update = Request::new("/x", Operation::Update).unwrap();
        assert_eq!(say(&set, &["a"], &update), "no policy of the token allows it");
        assert_eq!(say(&set, &["a"], &read("/x")), "allowed by `/x` of policy `a`");
    }

    #[test]
    fn the_most_specific_rule_wins_inside_a_policy() {
        let set = set(&[(
            "a",
            &[
                ("/s/**", "allow"),
                ("/s/*/x", "deny"),
                ("/s/p/**", "deny"),
                ("/s/p/x", "allow"),
                ("/s/q", "deny"),
                ("/s/q", "allow"),
            ],
        )]);
        assert_eq!(say(&set, &["a"], &read("/s/z")), "allowed by `/s/**` of policy `a`");
        assert_eq!(say(&set, &["a"], &read("/s/z/x")), "denied by `/s/*/x` of policy `a`");
        assert_eq!(say(&set, &["a"], &read("/s/p/y")), "denied by `/s/p/**` of policy `a`");
        assert_eq!(say(&set, &["a"], &read("/s/p/x")), "allowed by `/s/p/x` of policy `a`");
        assert_eq!(say(&set, &["a"], &read("/s/q")), "allowed by `/s/q` of policy `a`", "allow wins a tie");
        assert_eq!(say(&set, &["a"], &read("/s")), "no policy of the token allows it");
    }

    #[test]
    fn a_rule_that_does_not_mention_the_operation_is_passed_over() {
        let mut set = PolicySet::new();
        let policy = r#"{"name":"a","rest-api":{"rules":[
            {"path":"/s/**","operations":{"read":"allow"}},
            {"path":"/s/x","operations":{"delete":"deny"}}]}}"#;
        set.insert(&serde_json::from_str(policy).unwrap()).unwrap();
        assert_eq!(say(&set, &["a"], &read("/s/x")), "allowed by `/s/**` of policy `a`");
    }

    #[test]
    fn the_most_permissive_policy_wins() {
        let set = set(&[("no", &[("/s/x", "deny")]), ("yes", &[("/s/**", "allow")])]);
        assert_eq!(say(&set, &["no"], &read("/s/x")), "denied by `/s/x` of policy `no`");
        assert_eq!(say(&set, &["no", "yes"], &read("/s/x")), "allowed by `/s/**` of policy `yes`");
        assert_eq!(say(&set, &["yes", "no"], &read("/s/x")), "allowed by `/s/**` of policy `yes`");
    }

    #[test]
    fn tenant_and_token_must_both_allow() {
        let outer = set(&[("t", &[("/s/**", "allow"), ("/s/secret", "deny")])]);
        let inner = PolicySet::new();
        let (outer_names, inner_names) = ([name("t")], [name("administrator")]);
        let tenant = Scope::new(&outer, &outer_names);
        let token = Scope::new(&inner, &inner_names);
        let say = |tenant, token, path| decide(tenant, token, &read(path)).to_string();
        assert_eq!(say(Some(&tenant), &token, "/s/x"), "allowed by `/**` of policy `administrator`");
        assert_eq!(say(Some(&tenant), &token, "/s/secret"), "denied to the tenant by `/s/secret` of policy `t`");
        assert_eq!(say(Some(&tenant), &token, "/t"), "no policy of the tenant allows it");
        assert_eq!(say(None, &token, "/t"), "allowed by `/**` of policy `administrator`");
        let nobody = Scope::new(&inner, &[]);
        assert_eq!(say(Some(&tenant), &nobody, "/s/x"), "no policy of the token allows it");
        assert_eq!(say(Some(&nobody), &token, "/s/x"), "no policy of the tenant allows it");
    }

    #[test]
    fn the_default_policy_is_about_the_token_itself() {
        let set = PolicySet::new();
        for (path, operation, allowed) in [
            ("/v1/state/strongbox/token", Operation::Read, true),
            ("/v1/state/strongbox/token/refresh", Operation::Execute, true),
            ("/v1/state/strongbox/token/revoke", Operation::Execute, true),
            ("/v1/auth/token/lookup-self", Operation::Read, true),
            ("/v1/auth/token/renew-self", Operation::Execute, true),
            ("/v1/auth/token/revoke-self", Operation::Execute, true),
            ("/v1/state/strongbox/policies/capabilities", Operation::Execute, true),
            ("/v1/sys/capabilities-self", Operation::Execute, true),
            ("/v1/state/strongbox/policies/explain", Operation::Execute, false),
            ("/v1/sys/capabilities", Operation::Execute, false),
            ("/v1/auth/token/lookup", Operation::Execute, false),
            ("/v1/auth/token/create", Operation::Execute, false),
            ("/v1/state/strongbox/token/other", Operation::Execute, false),
            ("/v1/state/strongbox/token", Operation::Update, false),
            ("/v1/config/strongbox/policies", Operation::Read, false),
        ] {
            let request = Request::new(path, operation).unwrap();
            let names = [name("default")];
            let decision = decide(None, &Scope::new(&set, &names), &request);
            assert_eq!(decision.is_allowed(), allowed, "{path}");
        }
    }

    #[test]
    fn an_administrator_may_do_everything() {
        let set = PolicySet::new();
        for operation in Operation::ALL {
            let request = Request::new("/v1/config/anything/at/all", operation).unwrap();
            let names = [name("administrator")];
            assert!(decide(None, &Scope::new(&set, &names), &request).is_allowed());
        }
    }

    #[test]
    fn only_paths_with_one_meaning_are_decided() {
        for bad in ["", "/", "a", "/a/", "//a", "/a/../b", "/.", "/a%2fb", "/a\0", "/a\n"] {
            let error = Request::new(bad, Operation::Read).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a path to be authorized starts with `/`, has no empty, `.` or `..` segment and no escapes"
            );
        }
        let request = Request::new("/a/*", Operation::Delete).unwrap();
        assert_eq!((request.path(), request.operation()), ("/a/*", Operation::Delete));
    }

    #[test]
    fn a_star_in_a_request_is_a_segment_like_any_other() {
        let set = set(&[("a", &[("/s/x", "allow"), ("/t/*", "allow")])]);
        assert_eq!(say(&set, &["a"], &read("/s/*")), "no policy of the token allows it");
        assert_eq!(say(&set, &["a"], &read("/s/**")), "no policy of the token allows it");
        assert_eq!(say(&set, &["a"], &read("/t/*")), "allowed by `/t/*` of policy `a`");
        assert_eq!(say(&set, &["a"], &read("/t/*/x")), "no policy of the token allows it");
    }
}
