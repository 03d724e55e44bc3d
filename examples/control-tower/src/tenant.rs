//! Tenants: who shares nothing with whom.
//!
//! The first start makes the tenant [`DEFAULT`]; its administrators make the others, by the documents `tenants/<name>`, and
//! remove them (see [`removal`]). A tenant has an id that is never used again, so that one made anew under a name has nothing to do
//! with the former.

use std::sync::Arc;

use keyward_config_tree::FieldError;
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};

use crate::{
    db::{Db, DbError, Stored},
    layout,
    store::{Entry, Scan},
};

pub mod removal;

/// The tenant that the first start makes; its administrator makes the others.
pub const DEFAULT: &str = "default";

/// Where the documents of tenants are, among those of [`DEFAULT`] alone.
pub const COLLECTION: &str = "tenants";

const FORMAT: u32 = 1;

/// The longest name, in characters: it is a label of the default trust domain (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 63;
/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1000;

/// The document of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TenantConfig {
    /// What people call it: in logins, and in its default trust domain.
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its applications may be reached: nowhere, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_profile: Option<Name>,
}

impl TenantConfig {
    /// That it can be a tenant beside all others.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn validate(&self) -> Result<(), FieldError> {
        let name = self.name.as_str();
        let refused =
            |field: &str, problem: String, remedy: &str| Err(FieldError::new(field, problem).with_remedy(remedy));
        if name == DEFAULT {
            return refused(
                "name",
                format!("the tenant `{DEFAULT}` was made by the first start"),
                "choose another name",
            );
        }
        if name.len() > LONGEST_NAME {
            let problem = format!("it has {} characters, but at most {LONGEST_NAME} are allowed", name.len());
            return refused("name", problem, "choose a shorter name");
        }
        // Where a name or an id can stand, no name may be read as the id of another tenant.
        if is_uuid(name) {
            return refused("name", "it has the form of an id".to_owned(), "choose a name that people can say");
        }
        match self.description.as_ref().map(|text| text.chars().count()) {
            Some(length @ LONGEST_DESCRIPTION..) if length > LONGEST_DESCRIPTION => {
                let problem = format!("it has {length} characters, but at most {LONGEST_DESCRIPTION} are allowed");
                refused("description", problem, "shorten it")
            }
            _ => Ok(()),
        }
    }
}

/// The form that ids have (RFC 9562 §4).
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A tenant. Its id is in every key, record and public URL; its name is what people type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tenant {
    format: u32,
    /// A random UUID that is never used again.
    pub id: Name,
    /// What people call it.
    pub name: Name,
}

impl Tenant {
    /// A tenant.
    pub fn new(id: Name, name: Name) -> Self {
        Self { format: FORMAT, id, name }
    }

    /// The record to be stored.
    ///
    /// # Errors
    /// None that a tenant can cause.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let tenant: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if tenant.format > FORMAT {
            return Err(format!("format {} is of a newer program", tenant.format));
        }
        Ok(tenant)
    }

    /// The tenant with a name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_name(db: &Db, name: &Name) -> Result<Option<Stored<Arc<Self>>>, DbError> {
        db.load(&layout::tenant(name), Self::decode).await
    }

    /// The tenant with an id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_id(db: &Db, id: &str) -> Result<Option<Stored<Arc<Self>>>, DbError> {
        db.load(&layout::tenant_id(id), Self::decode).await
    }

    /// The tenant with a name or an id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(db: &Db, name_or_id: &str) -> Result<Option<Stored<Arc<Self>>>, DbError> {
        if let Some(tenant) = Self::by_id(db, name_or_id).await? {
            return Ok(Some(tenant));
        }
        match name_or_id.parse() {
            Ok(name) => Self::by_name(db, &name).await,
            Err(_) => Ok(None),
        }
    }

    /// Every tenant, for what needs all of them at once.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn all(db: &Db) -> Result<Vec<Self>, DbError> {
        let (mut tenants, mut pages) = (Vec::new(), Tenants::of(db));
        while let Some(page) = pages.next().await? {
            tenants.extend(page);
        }
        Ok(tenants)
    }

    /// Those that have something that is looked at of all together, such as [`layout::WITH_INGRESS`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn with(db: &Db, index: &str) -> Result<Vec<Self>, DbError> {
        let mut tenants = Vec::new();
        for id in Scan::new(&**db.store(), index).names().await? {
            // What one has that is being removed counts for nothing.
            tenants.extend(Self::by_id(db, &id).await?.map(|tenant| Self::clone(&tenant.value)));
        }
        Ok(tenants)
    }

    /// The tenant of an entry.
    ///
    /// # Errors
    /// It does not open, or is damaged.
    async fn read(db: &Db, entry: Entry) -> Result<Self, DbError> {
        let opened = db.open(entry).await?;
        Self::decode(&opened.value).map_err(|reason| DbError::Damaged { key: opened.key, reason })
    }
}

/// The tenants as of one moment, a page at a time.
pub struct Tenants<'a> {
    db: &'a Db,
    scan: Scan<'a>,
}

impl<'a> Tenants<'a> {
    /// Those of now.
    #[must_use]
    pub fn of(db: &'a Db) -> Self {
        Self { db, scan: Scan::new(&**db.store(), layout::TENANTS) }
    }

    /// The next page, which may be empty; `None` behind the last.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&mut self) -> Result<Option<Vec<Tenant>>, DbError> {
        let Some(page) = self.scan.next().await? else { return Ok(None) };
        let mut tenants = Vec::with_capacity(page.len());
        for entry in page {
            tenants.push(Tenant::read(self.db, entry).await?);
        }
        Ok(Some(tenants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_and_no_id() {
        let check = |name: &str, description: Option<&str>| {
            let description = description.map(str::to_owned);
            let config = TenantConfig { name: name.parse().unwrap(), description, resource_profile: None };
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(check("acme", Some("who pays")), Ok(()));
        assert_eq!(check(&"a".repeat(63), Some(&"x".repeat(1000))), Ok(()));
        assert_eq!(check("01234567-89ab-4def-8123-456789abcdeg", None), Ok(()));
        for (name, description, problem) in [
            ("default", None, "`name`: the tenant `default` was made by the first start"),
            (&"a".repeat(64), None, "`name`: it has 64 characters, but at most 63 are allowed"),
            ("01234567-89ab-4def-8123-456789abcdef", None, "`name`: it has the form of an id"),
            ("acme", Some(&*"x".repeat(1001)), "`description`: it has 1001 characters, but at most 1000 are allowed"),
        ] {
            let error = check(name, description).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
