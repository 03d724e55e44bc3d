//! Fields that a rule hides.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::template::{Candidate, Says};
use super::{Request, Scope};
use crate::Error;

/// The most words of a name, and the longest name in bytes.
const MAX_WORDS: usize = 8;
const MAX_LENGTH: usize = 255;

/// The name of a field that a rule hides: `data`, or the end of the way to it, `auto-rotate.rotate-after`.
///
/// It hides every field that is so named, at whatever depth, and all that is inside. Lists are passed through: the way to a field in
/// a list has no number.
///
/// ```
/// use keyward_approle::HiddenField;
///
/// let field: HiddenField = "auto-rotate.rotate-after".parse()?;
/// assert!(field.hides(&["auto-rotate", "rotate-after"]));
/// assert!(field.hides(&["data", "auto-rotate", "rotate-after"]));
/// assert!(!field.hides(&["rotate-after"]) && !field.hides(&["auto-rotate"]));
/// # Ok::<(), keyward_approle::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HiddenField(String);

impl HiddenField {
    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the end of this way.
    #[must_use]
    pub fn hides(&self, way: &[&str]) -> bool {
        let mut rest = way.iter().rev();
        self.0.rsplit('.').all(|word| rest.next() == Some(&word))
    }
}

impl FromStr for HiddenField {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let fits = text.len() <= MAX_LENGTH && text.split('.').all(word) && text.split('.').count() <= MAX_WORDS;
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::HiddenField) }
    }
}

impl TryFrom<String> for HiddenField {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<HiddenField> for String {
    fn from(field: HiddenField) -> Self {
        field.0
    }
}

impl fmt::Display for HiddenField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which fields are hidden from somebody who may do something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility {
    /// Those of the tenant and those of the token: what one of the two hides is hidden. On each side, lists of which all must hide a
    /// field.
    sides: Vec<Vec<Vec<HiddenField>>>,
}

impl Visibility {
    /// Whether nothing is hidden.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.sides.is_empty()
    }

    /// Whether the field at the end of a way is hidden.
    #[must_use]
    pub fn hides(&self, way: &[&str]) -> bool {
        self.sides.iter().any(|lists| lists.iter().all(|list| list.iter().any(|field| field.hides(way))))
    }

    /// The names that are hidden; one that another list hides under a longer or shorter name is left out.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let lists = self.sides.iter().flatten();
        let mut names: Vec<&str> = lists.flat_map(|list| list.iter().map(HiddenField::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.hides(&name.split('.').collect::<Vec<_>>()));
        names
    }
}

/// Which fields are hidden from whoever may do what is requested. Nothing is hidden from a request that is denied: it has no
/// answer.
///
/// In a policy the rule that decides hides its fields. Across policies the most permissive wins here too: what one of the policies
/// that allow the request shows is shown. What the tenant's policies hide is hidden from all its tokens.
///
/// ```
/// use keyward_approle::{Operation, PolicyConfig, PolicySet, Request, Scope, visibility};
///
/// let mut policies = PolicySet::new();
/// policies.insert(&serde_json::from_str::<PolicyConfig>(r#"{"name": "support", "rest-api": {"rules": [
///     {"path": "/v1/config/**", "operations": {"read": "allow"}, "hide-fields": ["host-ids"]}
/// ]}}"#)?)?;
/// let names = ["support".parse()?];
/// let request = Request::new("/v1/config/system/sites/north", Operation::Read)?;
/// let visibility = visibility(None, &Scope::new(&policies, &names), &request);
/// assert!(visibility.hides(&["host-ids"]) && !visibility.hides(&["labels"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn visibility(tenant: Option<&Scope<'_>>, token: &Scope<'_>, request: &Request<'_>) -> Visibility {
    let sides = tenant.into_iter().chain([token]).map(|scope| hidden(scope, request));
    Visibility { sides: sides.filter(|lists| !lists.is_empty()).collect() }
}

/// The lists of all rules that allow the request; none where one of them hides nothing.
fn hidden(scope: &Scope<'_>, request: &Request<'_>) -> Vec<Vec<HiddenField>> {
    let mut lists = Vec::new();
    for name in scope.names {
        let Some((_, policy)) = scope.policies.get(name) else { continue };
        let Some(best) = policy.effect(request).filter(|best| best.says == Says::Allow) else { continue };
        // Of rules that are equally specific each one that allows counts.
        let allowing = policy.about(request).into_iter().filter(|(_, unbound)| unbound.is_none());
        let allowing = allowing.filter_map(|(rule, _)| Candidate::new(rule, request.operation()));
        for rule in allowing.filter(|other| other.says == Says::Allow && other.compare(&best).is_eq()) {
            let own = rule.rule.hidden(request.operation());
            if own.is_empty() {
                return Vec::new();
            }
            lists.extend_from_slice(own);
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use keyward_config_values::{Bindings, Name};

    use super::*;
    use crate::testing::name;
    use crate::{Operation, PolicyConfig, PolicySet};

    fn set(policies: &str) -> PolicySet {
        let mut set = PolicySet::new();
        for policy in serde_json::from_str::<Vec<PolicyConfig>>(policies).unwrap() {
            set.insert(&policy).unwrap();
        }
        set
    }

    fn shown(set: &PolicySet, names: &[&str], path: &str) -> Vec<String> {
        let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
        let mut bindings = Bindings::default();
        bindings.set("site".parse().unwrap(), "north");
        let request = Request::new(path, Operation::Read).unwrap().with_bindings(&bindings);
        visibility(None, &Scope::new(set, &names), &request).names().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn names_are_words_joined_by_dots() {
        for good in ["data", "rotate-after", "request_id", "A9", "a.b.c.d.e.f.g.h"] {
            assert_eq!(good.parse::<HiddenField>().unwrap().to_string(), good);
        }
        for bad in ["", ".", "a.", ".a", "a..b", "*", "a[0]", "a b", "é", "a.b.c.d.e.f.g.h.i", &"x".repeat(256)] {
            let error = bad.parse::<HiddenField>().unwrap_err().to_string();
            assert!(error.ends_with("write one such as `data` or `auto-rotate.rotate-after`"), "{error}");
        }
    }

    #[test]
    fn the_rule_that_decides_hides_its_fields_and_no_other_does() {
        let set = set(r#"[{"name":"p","rest-api":{"rules":[
            {"path":"/a/**","operations":{"read":"allow"},"hide-fields":["data"]},
            {"path":"/a/b","operations":{"read":"allow"}},
            {"path":"/a/c","operations":{"read":"allow"},"hide-fields":["x.y"]},
            {"path":"/a/d","operations":{"update":"allow"},"hide-fields":["x"]},
            {"path":"/a/e","operations":{"read":"deny"},"hide-fields":["x"]}]}}]"#);
        assert_eq!(shown(&set, &["p"], "/a/z"), ["data"]);
        assert!(shown(&set, &["p"], "/a/b").is_empty());
        assert_eq!(shown(&set, &["p"], "/a/c"), ["x.y"]);
        assert_eq!(shown(&set, &["p"], "/a/d"), ["data"], "the rule says nothing of the operation");
        assert!(shown(&set, &["p"], "/a/e").is_empty(), "denied");
        assert!(set.hides_fields(&[name("p")]) && !set.hides_fields(&[name("default"), name("administrator")]));
    }

    #[test]
    fn what_one_policy_shows_is_shown_and_what_the_tenant_hides_is_hidden() {
        let set = set(
            r#"[{"name":"p","rest-api":{"rules":[{"path":"/a/**","operations":{"read":"allow"},"hide-fields":["x","data"]}]}},
                {"name":"q","rest-api":{"rules":[{"path":"/a/*","operations":{"read":"allow"},"hide-fields":["y","auto.data"]}]}},
                {"name":"no","rest-api":{"rules":[{"path":"/a/*","operations":{"read":"deny"}}]}}]"#,
        );
        assert_eq!(shown(&set, &["p", "no"], "/a/b"), ["data", "x"]);
        assert_eq!(shown(&set, &["p", "q"], "/a/b"), ["auto.data"], "only what both hide");
        assert!(shown(&set, &["p", "administrator"], "/a/b").is_empty());
        let (outer, inner) = ([name("p")], [name("administrator")]);
        let request = Request::new("/a/b", Operation::Read).unwrap();
        let both = visibility(Some(&Scope::new(&set, &outer)), &Scope::new(&set, &inner), &request);
        assert_eq!(both.names(), ["data", "x"]);
    }

    #[test]
    fn rules_that_are_equally_specific_count_alike() {
        // The same path twice, and a bound segment beside a literal one.
        let set = set(r#"[{"name":"p","rest-api":{"rules":[
            {"path":"/a/b","operations":{"read":"allow"},"hide-fields":["x","y"]},
            {"path":"/a/b","operations":{"read":"allow","delete":"deny"},"hide-fields":["y","z"]},
            {"path":"/a/b","operations":{"delete":"deny"}},
            {"path":"/s/north","operations":{"read":"allow"},"hide-fields":["x","y"]},
            {"path":"/s/${site}","operations":{"read":"allow"},"hide-fields":["y"]},
            {"path":"/t/north","operations":{"read":"deny"},"hide-fields":["x"]},
            {"path":"/t/${site}","operations":{"read":"allow"},"hide-fields":["y"]}]}}]"#);
        assert_eq!(shown(&set, &["p"], "/a/b"), ["y"]);
        assert_eq!(shown(&set, &["p"], "/s/north"), ["y"]);
        assert_eq!(shown(&set, &["p"], "/t/north"), ["y"]);
    }
}
