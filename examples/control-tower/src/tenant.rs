//! Tenants: who shares nothing with whom.

use std::sync::Arc;

use keyward_config_values::Name;
use serde::{Deserialize, Serialize};

use crate::{
    db::{Db, DbError, Stored},
    layout,
};

/// The tenant that the first start makes; its administrator makes the others.
pub const DEFAULT: &str = "default";

const FORMAT: u32 = 1;

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

    /// Every tenant.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn all(db: &Db) -> Result<Vec<Self>, DbError> {
        let (_, entries) = crate::store::snapshot(&**db.store(), layout::TENANTS).await?;
        let mut tenants = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = entry.key.clone();
            let opened = db.open(entry).await?;
            let tenant = Self::decode(&opened.value).map_err(|reason| DbError::Damaged { key, reason })?;
            tenants.push(tenant);
        }
        Ok(tenants)
    }
}
