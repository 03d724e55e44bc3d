//! Where variables get their values.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keyward_config_values::config::{SiteConfig, VariableValue, Variables};
use keyward_config_values::{Bindings, Name, VariableName};

use super::PolicyConfig;
use crate::Subject;

/// Whoever asks, with what gives the built-in variables their values.
///
/// From the widest to the narrowest: the variables of the tenant, in their place those of the site, and over both what is built in,
/// which no document can set: `tenant`, what [`Subject::bindings`] has, `site` and `site.label.<name>` where the site is known, and
/// `metadata.<key>` of the secret-id that logged in.
///
/// ```
/// use std::sync::Arc;
///
/// use keyward_approle::{Asker, Subject};
/// use keyward_config_values::config::{SiteConfig, VariableConfig, Variables};
///
/// let tenant: VariableConfig = serde_json::from_str(r#"{"name": "region", "value": "eu"}"#)?;
/// let site: SiteConfig = serde_json::from_str(r#"{"name": "north", "variables": {"region": "eu-north"}}"#)?;
/// let variables = Variables::new([tenant]).at(&site);
///
/// let name = "acme".parse()?;
/// let subject = Subject::User { name: "anna@example.com".to_owned() };
/// let bindings = Asker::new(&name, &subject).at(Some(&site)).bindings(Arc::new(variables.bindings()));
/// let shown: Vec<String> = bindings.iter().map(|(name, value)| format!("{name}={value}")).collect();
/// assert_eq!(shown, ["region=eu-north", "site=north", "tenant=acme", "user=anna@example.com"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    tenant: &'a Name,
    subject: &'a Subject,
    site: Option<&'a SiteConfig>,
    metadata: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Asker<'a> {
    /// Somebody of a tenant, given by its name.
    #[must_use]
    pub fn new(tenant: &'a Name, subject: &'a Subject) -> Self {
        Self { tenant, subject, site: None, metadata: None }
    }

    /// The same at a site, where it is known.
    #[must_use]
    pub fn at(self, site: Option<&'a SiteConfig>) -> Self {
        Self { site, ..self }
    }

    /// The same with the metadata of the secret-id that logged in. A key that cannot be part of a variable's name has no variable.
    #[must_use]
    pub fn with_metadata(self, metadata: &'a BTreeMap<String, String>) -> Self {
        Self { metadata: Some(metadata), ..self }
    }

    /// The values, over those of the documents ([`Variables::bindings`], at the site where there is one).
    #[must_use]
    pub fn bindings(&self, variables: Arc<Bindings>) -> Bindings {
        let mut all = Bindings::over(variables);
        let own = |bindings: Bindings| -> Vec<_> {
            bindings.iter().map(|(name, value)| (name.clone(), value.to_owned())).collect()
        };
        all.extend(own(self.subject.bindings()));
        all.extend(self.site.into_iter().flat_map(|site| own(site.bindings())));
        for (key, value) in self.metadata.into_iter().flatten() {
            if let Ok(name) = format!("metadata.{key}").parse() {
                all.set(name, value);
            }
        }
        if let Ok(name) = "tenant".parse() {
            all.set(name, self.tenant.as_str());
        }
        all
    }
}

/// Whether a variable can ever have a value: every name that is not built in can, and those that somebody has.
pub(super) fn can_have_a_value(name: &VariableName) -> bool {
    if !name.is_built_in() {
        return true;
    }
    let below = |prefix: &str| name.as_str().strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    match name.index() {
        Some(_) if name.base() == "spiffe-id.path" => true,
        Some(_) => below("metadata."),
        None => {
            matches!(name.as_str(), "tenant" | "approle" | "user" | "site" | "spiffe-id" | "spiffe-id.trust-domain")
                || below("site.label.")
                || below("metadata.")
        }
    }
}

/// A variable of a policy that has no value where the policy is configured, so that its rule denies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariableWarning {
    /// The field of the policy, that of the first rule with the variable.
    pub field: String,
    /// The variable.
    pub variable: VariableName,
    /// Whether it is a list, of which an item has to be named.
    pub is_list: bool,
}

impl fmt::Display for VariableWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variable, base) = (&self.variable, self.variable.base());
        match (self.is_list, variable.index()) {
            (true, None) => write!(
                f,
                "`${{{variable}}}` is a list, and no text to compare with; write `${{{base}[0]}}` for an item"
            ),
            (true, Some(_)) => write!(f, "`${{{variable}}}` has no value: the list `{base}` has fewer items"),
            (false, _) => write!(
                f,
                "`${{{variable}}}` has no value, so that the rule denies what it may be about; add `variables/{base}`, or the variable to a site"
            ),
        }
    }
}

impl PolicyConfig {
    /// The variables in its rules that documents give values, each once and without an index.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<VariableName> {
        let all = self.rest_api.rules.iter().flat_map(|rule| rule.path.variables());
        all.filter(|variable| !variable.is_built_in()).filter_map(|variable| variable.base().parse().ok()).collect()
    }

    /// The variables that are neither built in nor have a value from a document of the tenant or of any of its sites, each once.
    #[must_use]
    pub fn variable_warnings(&self, tenant: &Variables, sites: &[SiteConfig]) -> Vec<VariableWarning> {
        let mut seen = BTreeSet::new();
        let mut warnings = Vec::new();
        for (index, rule) in self.rest_api.rules.iter().enumerate() {
            for variable in rule.path.variables() {
                if variable.is_built_in() || !seen.insert(variable.clone()) {
                    continue;
                }
                let Ok(base) = variable.base().parse::<VariableName>() else { continue };
                let of_sites = sites.iter().flat_map(|site| site.variables.iter());
                let of_sites = of_sites.filter(|(key, _)| *key.name() == base).map(|(_, value)| value);
                let mut values = tenant.get(&base).into_iter().chain(of_sites).peekable();
                let is_list = values.peek().is_some();
                let has = |value: &VariableValue| match variable.index() {
                    None => !value.is_list(),
                    Some(item) => value.is_list() && item < value.items().len(),
                };
                if !values.any(has) {
                    let field = format!("rest-api.rules[{index}].path");
                    warnings.push(VariableWarning { field, variable, is_list });
                }
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;

    fn variables(json: &str) -> Variables {
        Variables::new(serde_json::from_str::<Vec<_>>(json).unwrap())
    }

    fn policy(paths: &[&str]) -> PolicyConfig {
        let rules: Vec<_> =
            paths.iter().map(|path| serde_json::json!({"path": path, "operations": {"read": "allow"}})).collect();
        serde_json::from_value(serde_json::json!({"name": "p", "rest-api": {"rules": rules}})).unwrap()
    }

    #[test]
    fn what_is_built_in_is_over_everything_else() {
        // What documents cannot say: their types refuse it. Were it said all the same, it would not count.
        let mut forged = Bindings::default();
        for variable in ["tenant", "user", "site", "site.label.region", "metadata.pod", "region"] {
            forged.set(variable.parse().unwrap(), "forged");
        }
        let site: SiteConfig = serde_json::from_str(r#"{"name":"north","labels":{"region":"eu"}}"#).unwrap();
        let metadata = BTreeMap::from([("pod".to_owned(), "p1".to_owned()), ("Not A Name".to_owned(), "x".to_owned())]);
        let (tenant, subject) = (name("acme"), Subject::User { name: "anna".to_owned() });
        let asker = Asker::new(&tenant, &subject).at(Some(&site)).with_metadata(&metadata);
        let bindings = asker.bindings(Arc::new(forged));
        let shown: Vec<_> = bindings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            ["metadata.pod=p1", "region=forged", "site=north", "site.label.region=eu", "tenant=acme", "user=anna"]
        );
    }

    #[test]
    fn metadata_sets_nothing_but_metadata() {
        let metadata: BTreeMap<String, String> = ["", ".", "../tenant", "x}${tenant", "tenant", "a[0]", "x.tenant"]
            .map(|key| (key.to_owned(), "m".to_owned()))
            .into();
        let (tenant, subject) = (name("acme"), Subject::User { name: "anna".to_owned() });
        let bindings = Asker::new(&tenant, &subject).with_metadata(&metadata).bindings(Arc::default());
        let shown: Vec<_> = bindings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["metadata.a[0]=m", "metadata.tenant=m", "metadata.x.tenant=m", "tenant=acme", "user=anna"]);
    }

    #[test]
    fn a_variable_that_nobody_ever_has_is_refused() {
        for good in [
            "${tenant}",
            "${site.label.region}",
            "${metadata.pod}",
            "${metadata.a[0]}",
            "${spiffe-id.path[3]}",
            "${x.y[1]}",
        ] {
            policy(&[&format!("/a/{good}")]).validate().unwrap();
        }
        for bad in [
            "${tenant.name}",
            "${approle[0]}",
            "${spiffe-id.path}",
            "${site.region}",
            "${metadata}",
            "${site.label}",
            "${user.x}",
        ] {
            let error = policy(&["/b", &format!("/a/{bad}")]).validate().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`rest-api.rules[1].path` has `{bad}`, which never has a value")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_variable_without_a_value_is_warned_of_once_and_where() {
        let tenant = variables(r#"[{"name":"region","value":"eu"},{"name":"dns","value":["a","b"]}]"#);
        let site: SiteConfig = serde_json::from_str(r#"{"name":"n","variables":{"uplink":"wan0"}}"#).unwrap();
        let policy = policy(&[
            "/${region}/${uplink}/${dns[1]}/${tenant}",
            "/${zone}/x-${dns}",
            "/${zone}/${dns[2]}/${region[0]}",
        ]);
        let warnings = policy.variable_warnings(&tenant, &[site]);
        let shown: Vec<_> = warnings.iter().map(|warning| format!("{} {warning}", warning.field)).collect();
        assert_eq!(
            shown,
            [
                "rest-api.rules[1].path `${zone}` has no value, so that the rule denies what it may be about; add `variables/zone`, or the variable to a site",
                "rest-api.rules[1].path `${dns}` is a list, and no text to compare with; write `${dns[0]}` for an item",
                "rest-api.rules[2].path `${dns[2]}` has no value: the list `dns` has fewer items",
                "rest-api.rules[2].path `${region[0]}` has no value: the list `region` has fewer items",
            ]
        );
    }
}
