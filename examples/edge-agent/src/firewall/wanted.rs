//! The firewall that this host is to have.

use keyward_config_tree::{Bulk, Document, Item, Path, Schema, SchemaError, collection, plan};
use keyward_config_values::config::{SiteConfig, VariableConfig, VariableKey, Variables};
use keyward_config_values::{Bindings, Name};
use keyward_nft_marks::config::{
    Allowance, FirewallConfig, HostFirewall, IngressConfig, ResourceProfileConfig, SiteIngress, TenantIngress,
};
use keyward_nft_marks::{Firewall, Table};
use std::collections::BTreeMap;

use crate::error::Error;

/// The documents that count; others of a file are passed over.
const COLLECTIONS: [&str; 5] = ["firewall", "ingress", "variables", "system/sites", "resource-profiles"];

/// The firewall that this host is to have.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What it is.
    pub(crate) firewall: Firewall,
    /// What is passed over, and why.
    pub(crate) notes: Vec<String>,
}

/// What a file is read with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// The site of this host.
    pub(crate) site: Option<Name>,
    /// Variables whose values take the place of the documents'.
    pub(crate) values: Vec<(VariableKey, String)>,
}

impl Wanted {
    /// The table that does it, on a host that has this one.
    pub(crate) fn table(&self, there: Option<&Table>) -> Table {
        there.map_or_else(|| self.firewall.table(), |there| self.firewall.table_beside(there))
    }

    /// Of what the tower says to this host.
    ///
    /// # Errors
    /// It is of a newer tower, or not what a tower says.
    pub(crate) fn from_host(document: &HostFirewall) -> Result<Self, Error> {
        let remedy = "update this agent, or look at the tower's documents `firewall` and `ingress`";
        let firewall = document.firewall().map_err(|error| Error::usage(error.to_string(), remedy))?;
        let of = |tenant: &Option<Name>| tenant.as_ref().map(|name| format!("tenant `{name}`, ")).unwrap_or_default();
        let left = document.left_out.iter().map(|left| format!("{}left out: {}", of(&left.tenant), left.problem));
        Ok(Self { firewall, notes: left.collect() })
    }

    /// Of documents as the tower has them, in YAML with `x-path` and `x-operation`.
    ///
    /// # Errors
    /// The first mistake, with its document, line and field.
    pub(crate) fn from_yaml(texts: &[(String, Vec<u8>)], reading: &Reading) -> Result<Self, Error> {
        let wrong =
            |error: &dyn std::fmt::Display| Error::usage(error.to_string(), "correct the file; nothing was changed");
        // Of several files the error names the one it is in.
        let wrong_in = |file: &str, error: &dyn std::fmt::Display| match texts.len() {
            0 | 1 => wrong(error),
            _ => wrong(&format_args!("`{file}`: {error}")),
        };
        let mut items = Vec::new();
        for (file, text) in texts {
            items.extend(
                Bulk::parse(text)
                    .map_err(|error| wrong_in(file, &error))?
                    .items()
                    .iter()
                    .cloned()
                    .map(|item| (file, item)),
            );
        }
        let counts = |path: &Path| {
            COLLECTIONS.iter().any(|name| {
                path.as_str().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let (known, other): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, item)| counts(item.path()));
        let mut notes: Vec<String> =
            other.iter().map(|(_, item)| format!("`{}` says nothing about a host's firewall", item.path())).collect();
        let schema = schema().map_err(|error| wrong(&error))?;
        let plan_of = |items: &[(&String, Item)]| {
            let bulk: Bulk = items.iter().map(|(_, item)| item.clone()).collect();
            plan(&BTreeMap::<Path, Document>::new(), &bulk, &schema)
        };
        // The first file that does not go with those before it.
        let at_fault = || {
            known
                .chunk_by(|(a, _), (b, _)| a == b)
                .scan(0, |end, chunk| {
                    *end += chunk.len();
                    known.get(..*end).zip(chunk.first())
                })
                .find(|(until, _)| plan_of(until).is_err())
                .map_or("", |(_, (file, _))| file.as_str())
        };
        let planned = plan_of(&known).map_err(|error| wrong_in(at_fault(), &error))?;
        let documents = Documents::of(planned.changes());
        let site = documents.site(reading)?;
        let mut variables = Variables::new(documents.variables);
        if let Some(site) = &site {
            variables = variables.at(site);
        }
        let mut values = variables.bindings();
        if let Some(site) = &site {
            site.bindings().iter().for_each(|(name, value)| drop(values.set(name.clone(), value)));
        }
        for (key, value) in &reading.values {
            values.set(key.name().clone(), value.as_str());
        }
        let firewall = firewall(&documents.firewall, &documents.ingress, &values).map_err(|error| wrong(&error))?;
        if documents.profiles > 0 {
            notes.push("`resource-profiles` bind tenants, of which a file has none".to_owned());
        }
        Ok(Self { firewall, notes })
    }
}

fn firewall(config: &FirewallConfig, ingress: &[IngressConfig], values: &Bindings) -> Result<Firewall, String> {
    let all = [TenantIngress { tenant: None, ingress, values, allowance: Allowance::Anything }];
    let placed = SiteIngress::new(&all, config.room(values).map_err(|error| error.to_string())?);
    if let Some(left) = placed.left_out().first() {
        return Err(left.error.to_string());
    }
    let site = "here".parse().map_err(|_| String::new())?;
    let host = HostFirewall::new(site, config, values, &placed).map_err(|error| error.to_string())?;
    host.firewall().map_err(|error| error.to_string())
}

fn schema() -> Result<Schema, SchemaError> {
    Schema::new()
        .with(collection::<FirewallConfig>("firewall"))?
        .with(collection::<IngressConfig>("ingress/<name>"))?
        .with(collection::<VariableConfig>("variables/<name>"))?
        .with(collection::<SiteConfig>("system/sites/<name>"))?
        .with(collection::<ResourceProfileConfig>("resource-profiles/<name>"))
}

/// The documents of a file.
#[derive(Default)]
struct Documents {
    firewall: FirewallConfig,
    ingress: Vec<IngressConfig>,
    variables: Vec<VariableConfig>,
    sites: Vec<SiteConfig>,
    profiles: usize,
}

impl Documents {
    fn of(changes: &[keyward_config_tree::Change]) -> Self {
        let mut documents = Self::default();
        for change in changes {
            let Some(document) = change.after() else { continue };
            // The plan has read each as what it is.
            let path = change.path().as_str();
            if path == "firewall" {
                documents.firewall = document.to().unwrap_or_default();
            } else if path.starts_with("ingress/") {
                documents.ingress.extend(document.to());
            } else if path.starts_with("variables/") {
                documents.variables.extend(document.to());
            } else if path.starts_with("system/sites/") {
                documents.sites.extend(document.to());
            } else {
                documents.profiles += 1;
            }
        }
        documents
    }

    /// The site of this host: the one that was named, else the only one.
    fn site(&self, reading: &Reading) -> Result<Option<SiteConfig>, Error> {
        let names: Vec<String> = self.sites.iter().map(|site| format!("`{}`", site.name)).collect();
        match (&reading.site, self.sites.as_slice()) {
            (Some(name), sites) => match sites.iter().find(|site| site.name == *name) {
                Some(site) => Ok(Some(site.clone())),
                None if sites.is_empty() => Ok(Some(SiteConfig::new(name.clone()))),
                None => Err(Error::usage(
                    format!("there is no site `{name}` in the file"),
                    format!("name one of {} with --site", names.join(", ")),
                )),
            },
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some(only.clone())),
            (None, _) => Err(Error::usage(
                "there is more than one site in the file",
                format!("name the one of this host with --site: {}", names.join(", ")),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
x-path: firewall
x-operation: replace
workload-interfaces: [kw*]
control-inbound: ['${host-address} tcp 4647']
---
x-path: variables/site-number
x-operation: create
name: site-number
value: 7
---
x-path: ingress/web
x-operation: create
name: web
application: shop
ranges: ['10.${site-number}.0.0/24 tcp 443']
---
x-path: strongbox/policies/p
x-operation: create
anything: goes
";

    fn reading(site: Option<&str>) -> Reading {
        let values = vec![("host-address".parse().unwrap(), "10.0.0.1".to_owned())];
        Reading { site: site.map(|site| site.parse().unwrap()), values }
    }

    fn one(text: &str) -> Vec<(String, Vec<u8>)> {
        vec![("host.yaml".to_owned(), text.as_bytes().to_vec())]
    }

    fn read(text: &str, site: Option<&str>) -> Result<String, String> {
        let wanted = Wanted::from_yaml(&one(text), &reading(site)).map_err(|error| error.to_string())?;
        Ok(wanted.firewall.table().to_string())
    }

    #[test]
    fn a_file_has_the_documents_of_the_tower() {
        let wanted = Wanted::from_yaml(&one(FILE), &reading(None)).unwrap();
        let text = wanted.firewall.table().to_string();
        assert!(text.contains("10.7.0.0/24 . tcp . 443") && text.contains("10.0.0.1 . tcp . 4647"), "{text}");
        assert_eq!(wanted.notes, ["`strongbox/policies/p` says nothing about a host's firewall"]);
        let site = |name: &str, number: u32| {
            format!(
                "---\nx-path: system/sites/{name}\nx-operation: create\nname: {name}\nvariables: {{ site-number: {number} }}\n"
            )
        };
        let one = format!("{FILE}{}", site("north", 8));
        assert!(read(&one, None).unwrap().contains("10.8.0.0/24"), "the only site");
        let two = format!("{one}{}", site("south", 9));
        assert_eq!(read(&two, None).unwrap_err(), "there is more than one site in the file");
        assert!(read(&two, Some("south")).unwrap().contains("10.9.0.0/24"));
        assert_eq!(read(&two, Some("west")).unwrap_err(), "there is no site `west` in the file");
    }

    #[test]
    fn several_files_are_one_firewall_and_each_has_limits_of_its_own() {
        let ingress = |name: &str, second: u32| {
            // Not beside each other, or fewer would do.
            let range = |n: u32| format!("'10.{}.{}.{} tcp 80'", second + n / 32_000, n / 125 % 256, n % 125 * 2);
            let ranges: Vec<_> = (0..60_000).map(range).collect();
            format!("x-path: ingress/{name}\nx-operation: create\napplication: shop\nranges: [{}]\n", ranges.join(","))
        };
        let large = FILE.replace("workload-interfaces", "max-ranges: 200000\nworkload-interfaces");
        let files = |texts: &[&str]| -> Vec<_> {
            texts.iter().enumerate().map(|(n, text)| (format!("{n}.yaml"), text.as_bytes().to_vec())).collect()
        };
        let wanted =
            Wanted::from_yaml(&files(&[&large, &ingress("a", 20), &ingress("b", 30)]), &reading(None)).unwrap();
        assert_eq!(wanted.firewall.ingress.iter().count(), 120_001);
        for (second, problem) in [
            ("x-path: ingress/web\nx-operation: create\nname: web\n", "`1.yaml`: document 1, line 1"),
            ("x-path: firewall\nx-operation: replace\nrest: pas\n", "`1.yaml`: document 1, line 3"),
            ("a: [", "`1.yaml`: "),
        ] {
            let error = Wanted::from_yaml(&files(&[FILE, second]), &reading(None)).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (from, to, problem) in [
            ("workload-interfaces", "workload-interface", "document 1, line 4"),
            ("value: 7", "value: 256", "`ingress/web`: `10.${site-number}.0.0/24 tcp 443`"),
            ("${host-address}", "${nobody}", "the variable `nobody` has no value here"),
            ("/24 tcp 443", "/33 tcp 443", "document 3, line 16"),
        ] {
            let text = read(&FILE.replace(from, to), None).unwrap_err();
            assert!(text.contains(problem), "{text}");
        }
        assert!(read("", None).is_err());
    }
}
