//! Why a decision is what it is.

use core::fmt;

use keyward_config_values::{Template, VariableName};
use keyward_spiffe_id::PatternSegment;

use super::decide::decide;
use super::set::Rule;
use super::template::{Candidate, Says};
use super::{Decision, Effect, Request, RuleRef, Scope};

/// The most rules that are shown of those that are not about the request.
const MAX_NEAR: usize = 20;

/// A decision with everything that was weighed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation<'a> {
    /// What [`decide`] answers.
    pub decision: Decision<'a>,
    /// What the tenant's policies say, where it has some.
    pub tenant: Option<Side<'a>>,
    /// What the token's policies say.
    pub token: Side<'a>,
}

/// What some policies together say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side<'a> {
    /// Whether they allow the request.
    pub allows: bool,
    /// The rules that are about the request or may be, in the order of the policies, and at most twenty that nearly are.
    pub rules: Vec<Weighed<'a>>,
}

/// A rule, and what it has to do with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weighed<'a> {
    /// The rule.
    pub rule: RuleRef<'a>,
    /// What it says of the operation.
    pub effect: Option<Effect>,
    /// What became of it.
    pub because: Because<'a>,
}

/// What a rule has to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because<'a> {
    /// It decides.
    Decides,
    /// A more specific rule of its policy, or one as specific that allows, decides in its place.
    LessSpecific,
    /// It is what its policy says, and what another policy says counts.
    AnotherPolicy,
    /// It is about the path and says nothing of the operation.
    OtherOperation,
    /// It may be about the path: a variable in it has no value.
    NoValue(&'a VariableName),
    /// Another rule of its policy has a variable without a value, which denies before all.
    AnotherHasNoValue,
    /// One segment differs.
    OtherSegment {
        /// As the rule has it.
        written: &'a str,
        /// What it stands for, where it has variables.
        bound: Option<String>,
        /// As the path has it.
        found: String,
    },
    /// It is about what is below the path.
    Below,
    /// It is about a path above.
    Above,
}

/// In words, for people.
impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decides => f.write_str("decides"),
            Self::LessSpecific => f.write_str("matches, and a more specific rule of its policy decides"),
            Self::AnotherPolicy => f.write_str("matches, and another policy decides"),
            Self::OtherOperation => f.write_str("matches, and says nothing of the operation"),
            Self::NoValue(name) => write!(f, "may match: `${{{name}}}` has no value"),
            Self::AnotherHasNoValue => {
                f.write_str("matches, and a variable of another rule of its policy has no value")
            }
            Self::OtherSegment { written, bound: Some(bound), found } => {
                write!(f, "differs: `{}` is `{}`, the path has `{}`", Short(written), Short(bound), Short(found))
            }
            Self::OtherSegment { written, bound: None, found } => {
                write!(f, "differs: `{}`, the path has `{}`", Short(written), Short(found))
            }
            Self::Below => f.write_str("differs: it is about what is below the path"),
            Self::Above => f.write_str("differs: it is about a path above"),
        }
    }
}

/// The beginning of a foreign text, as much as a line of three has room for.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for c in self.0.chars().take(SHOWN) {
            write!(f, "{}", c.escape_debug())?;
        }
        if self.0.chars().count() > SHOWN { f.write_str("…") } else { Ok(()) }
    }
}

impl Because<'_> {
    /// Whether the rule is about the path or may be, as against nearly.
    #[must_use]
    pub fn is_about(&self) -> bool {
        !matches!(self, Self::OtherSegment { .. } | Self::Below | Self::Above)
    }
}

/// Decides as [`decide`] does, and says which rules were weighed and which nearly matched. It looks at every rule of the policies
/// and allocates: it is for people who ask why.
///
/// ```
/// use keyward_approle::{Operation, PolicyConfig, PolicySet, Request, Scope, explain};
///
/// let mut policies = PolicySet::new();
/// policies.insert(&serde_json::from_str::<PolicyConfig>(r#"{"name": "reader", "rest-api": {"rules": [
///     {"path": "/v1/config/**", "operations": {"read": "allow"}},
///     {"path": "/v1/config/strongbox/**", "operations": {"read": "deny"}}
/// ]}}"#)?)?;
/// let names = ["reader".parse()?];
/// let request = Request::new("/v1/config/strongbox/policies", Operation::Read)?;
/// let explanation = explain(None, &Scope::new(&policies, &names), &request);
/// let shown: Vec<String> =
///     explanation.token.rules.iter().map(|weighed| format!("{}: {}", weighed.rule, weighed.because)).collect();
/// assert_eq!(shown, [
///     "`/v1/config/strongbox/**` of policy `reader`: decides",
///     "`/v1/config/**` of policy `reader`: matches, and a more specific rule of its policy decides",
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn explain<'a>(tenant: Option<&Scope<'a>>, token: &Scope<'a>, request: &Request<'_>) -> Explanation<'a> {
    Explanation {
        decision: decide(tenant, token, request),
        tenant: tenant.map(|scope| side(scope, request)),
        token: side(token, request),
    }
}

fn side<'a>(scope: &Scope<'a>, request: &Request<'_>) -> Side<'a> {
    let decision = decide(None, scope, request);
    let operation = request.operation();
    let (mut rules, mut near) = (Vec::new(), Vec::new());
    for name in scope.names {
        let Some((policy, prepared)) = scope.policies.get(name) else { continue };
        let weigh = |rule: &'a Rule, because| Weighed {
            rule: RuleRef::new(policy, rule, operation),
            effect: rule.operations.get(operation),
            because,
        };
        let best = prepared.effect(request);
        let about = prepared.about(request);
        for (rule, unbound) in &about {
            let is_best = best.is_some_and(|best| core::ptr::eq(best.rule, *rule));
            let decides = is_best && decision.rule.is_some_and(|found| found == RuleRef::new(policy, rule, operation));
            let because = match (Candidate::new(rule, operation), unbound) {
                (None, _) => Because::OtherOperation,
                (Some(_), Some(variable)) if decides || !is_best => Because::NoValue(variable),
                (Some(_), Some(_)) => Because::AnotherPolicy,
                (Some(_), None) if decides => Because::Decides,
                (Some(_), None) if is_best => Because::AnotherPolicy,
                (Some(_), None) if best.is_some_and(|best| best.says == Says::Undefined) => Because::AnotherHasNoValue,
                (Some(_), None) => Because::LessSpecific,
            };
            rules.push(weigh(rule, because));
        }
        for rule in prepared.rules() {
            if near.len() < MAX_NEAR
                && !about.iter().any(|(known, _)| core::ptr::eq(*known, rule))
                && rule.operations.get(operation).is_some()
                && let Some(because) = nearly(rule, request)
            {
                near.push(weigh(rule, because));
            }
        }
    }
    // Within a policy by how much they count; the order of the policies stays.
    rules.sort_by_key(|weighed: &Weighed<'_>| match weighed.because {
        Because::Decides | Because::NoValue(_) => 0,
        Because::OtherOperation => 2,
        _ => 1,
    });
    rules.extend(near);
    Side { allows: decision.is_allowed(), rules }
}

/// What a rule that is not about the path would need to be: one segment, or one more or less.
fn nearly<'a>(rule: &'a Rule, request: &Request<'_>) -> Option<Because<'a>> {
    let value = |name: &VariableName| request.bindings().and_then(|bindings| bindings.get(name));
    let mut path = request.path().strip_prefix('/').unwrap_or_default().split('/');
    let mut segments = PatternSegment::split(rule.pattern.as_str());
    let mut differs = None;
    loop {
        match (segments.next(), path.next()) {
            (None, None) => return differs,
            (Some(PatternSegment::Rest), Some(_)) => return differs,
            (Some(PatternSegment::Rest), None) if differs.is_none() => return Some(Because::Below),
            (Some(_), None) if differs.is_none() && segments.next().is_none() => return Some(Because::Below),
            (None, Some(_)) if differs.is_none() && path.next().is_none() => return Some(Because::Above),
            (None, Some(_)) | (Some(_), None) => return None,
            (Some(PatternSegment::One), Some(_)) => {}
            (Some(PatternSegment::Literal(written)), Some(found)) => {
                let template = written.parse::<Template>().ok().filter(Template::has_variables);
                let bound = template.map(|template| template.bind(value).ok());
                let same = match &bound {
                    Some(bound) => bound.as_deref().is_none_or(|bound| bound == found),
                    None => written == found,
                };
                if !same && differs.is_some() {
                    return None;
                }
                if !same {
                    let bound = bound.flatten();
                    differs = Some(Because::OtherSegment { written, bound, found: found.to_owned() });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward_config_values::{Bindings, Name};

    use super::*;
    use crate::testing::name;
    use crate::{Operation, PolicyConfig, PolicySet, Why};

    fn lines(policies: &str, names: &[&str], path: &str) -> (Why, Vec<String>) {
        let mut set = PolicySet::new();
        for policy in serde_json::from_str::<Vec<PolicyConfig>>(policies).unwrap() {
            set.insert(&policy).unwrap();
        }
        let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
        let mut bindings = Bindings::default();
        bindings.set("approle".parse().unwrap(), "pay");
        let request = Request::new(path, Operation::Read).unwrap().with_bindings(&bindings);
        let explanation = explain(None, &Scope::new(&set, &names), &request);
        let line = |weighed: &Weighed<'_>| {
            format!("{} {} {}: {}", weighed.rule.policy, weighed.rule.number, weighed.rule.pattern, weighed.because)
        };
        (explanation.decision.why, explanation.token.rules.iter().map(line).collect())
    }

    #[test]
    fn rules_are_shown_with_what_became_of_them() {
        let policies = r#"[
            {"name":"p","rest-api":{"rules":[
                {"path":"/a/x/**","operations":{"read":"allow"}},
                {"path":"/a/b","operations":{"update":"allow"}},
                {"path":"/a/b","operations":{"read":"deny"}},
                {"path":"/a/**","operations":{"read":"allow"}},
                {"path":"/a/${approle}","operations":{"read":"allow"}},
                {"path":"/a/b/**","operations":{"read":"allow"}},
                {"path":"/a","operations":{"read":"allow"}},
                {"path":"/x/y","operations":{"read":"allow"}}]}},
            {"name":"q","rest-api":{"rules":[{"path":"/*/b","operations":{"read":"allow"}},{"path":"/*/*","operations":{"delete":"allow"}}]}}
        ]"#;
        let (why, rules) = lines(policies, &["p", "gone", "q"], "/a/b");
        assert_eq!(why, Why::Allowed);
        assert_eq!(
            rules,
            [
                "q 0 /*/b: decides",
                "p 2 /a/b: matches, and another policy decides",
                "p 3 /a/**: matches, and a more specific rule of its policy decides",
                "q 1 /*/*: matches, and says nothing of the operation",
                "p 6 /a: differs: it is about a path above",
                "p 5 /a/b/**: differs: it is about what is below the path",
                "p 4 /a/${approle}: differs: `${approle}` is `pay`, the path has `b`",
            ]
        );
    }

    #[test]
    fn a_variable_without_a_value_is_named() {
        let policies = r#"[{"name":"p","rest-api":{"rules":[
            {"path":"/a/${site}","operations":{"read":"deny"}},{"path":"/a/b","operations":{"read":"allow"}},
            {"path":"/a/c","operations":{"read":"allow"}}]}}]"#;
        let (why, rules) = lines(policies, &["p"], "/a/b");
        assert_eq!(why, Why::Undefined);
        assert_eq!(
            rules,
            [
                "p 0 /a/${site}: may match: `${site}` has no value",
                "p 1 /a/b: matches, and a variable of another rule of its policy has no value",
                "p 2 /a/c: differs: `c`, the path has `b`",
            ]
        );
    }

    #[test]
    fn the_decision_is_that_of_decide_and_near_rules_are_few() {
        let rules: Vec<_> = (0..1000)
            .map(|n| serde_json::json!({"path": format!("/a/{n}"), "operations": {"read": "allow"}}))
            .collect();
        let policy = serde_json::json!([{"name": "p", "rest-api": {"rules": rules}}]).to_string();
        let (why, rules) = lines(&policy, &["p"], "/a/b");
        assert_eq!((why, rules.len()), (Why::NoRule, MAX_NEAR));
        let (why, rules) = lines(&policy, &["p"], "/a/7");
        assert_eq!((why, rules.len()), (Why::Allowed, MAX_NEAR + 1));
        assert_eq!(rules[0], "p 7 /a/7: decides");
    }
}
