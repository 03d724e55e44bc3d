//! A token with those that it was made from, as they are stored now.

use std::{net::IpAddr, sync::Arc};

use keyward_approle::{Accessor, Authenticated, Reason, StorageKey, TokenRecord, check_child, check_found, open_batch};
use keyward_config_values::Name;
use time::OffsetDateTime;

use crate::{
    app::App,
    db::{DbError, Stored},
    layout,
};

/// A token's record and those of its ancestors. A look-up for each: a token has few.
pub struct Lineage {
    /// The token's own.
    pub stored: Option<Stored<Arc<TokenRecord>>>,
    ancestors: Vec<Option<Stored<Arc<TokenRecord>>>>,
}

impl Lineage {
    /// Reads what is stored under `key`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(app: &App, key: &StorageKey) -> Result<Self, DbError> {
        let stored = app.db.load(&layout::token(key), TokenRecord::decode).await?;
        Self::of(app, stored).await
    }

    /// Reads what belongs to a token as it was presented: a batch token brings its record itself.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn presented(app: &App, presented: &str, key: &StorageKey) -> Result<Self, DbError> {
        match open_batch(presented, &app.pepper) {
            // At no revision: nothing is ever stored under its key.
            Some(record) => {
                let stored = Stored { value: Arc::new(record), key: layout::token(key), revision: 0 };
                Self::of(app, Some(stored)).await
            }
            None => Self::load(app, key).await,
        }
    }

    async fn of(app: &App, stored: Option<Stored<Arc<TokenRecord>>>) -> Result<Self, DbError> {
        let mut ancestors = Vec::new();
        for key in stored.iter().flat_map(|stored| stored.value.ancestors()) {
            ancestors.push(app.db.load(&layout::token(key), TokenRecord::decode).await?);
        }
        Ok(Self { stored, ancestors })
    }

    /// The token of the tenant with an accessor.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_accessor(app: &App, tenant: &Name, accessor: Accessor) -> Result<Self, DbError> {
        let found = app.db.get(&layout::token_accessor(tenant, accessor)).await?;
        let key = found.and_then(|found| std::str::from_utf8(&found.value).ok()?.parse::<StorageKey>().ok());
        match key {
            Some(key) => Self::load(app, &key).await,
            None => Ok(Self { stored: None, ancestors: Vec::new() }),
        }
    }

    /// What there is of a token that was found by its accessor.
    ///
    /// # Errors
    /// `UnknownToken`, and those of [`check_found`].
    pub fn found(&self, now: OffsetDateTime) -> Result<Authenticated, Reason> {
        let stored = self.stored.as_ref().ok_or(Reason::UnknownToken)?;
        check_found(&stored.value, &self.records(), now)
    }

    fn records(&self) -> Vec<Option<&TokenRecord>> {
        self.ancestors.iter().map(|stored| stored.as_ref().map(|stored| &*stored.value)).collect()
    }

    /// Whether the token is good, presented from `source`.
    ///
    /// # Errors
    /// Those of [`check_child`].
    pub fn check(&self, key: &StorageKey, source: IpAddr, now: OffsetDateTime) -> Result<Authenticated, Reason> {
        check_child(key, self.stored.as_ref().map(|stored| &*stored.value), &self.records(), source, now)
    }
}
