//! Whom a token was issued to, as there is of them now.

use std::sync::Arc;

use keyward_approle::{Owner, Role, Subject};
use keyward_config_values::Name;

use crate::{
    app::App,
    db::{DbError, Stored},
    layout,
    store::Guard,
    user::User,
};

/// The role or user of a token.
pub struct Owned {
    role: Option<Stored<Arc<Role>>>,
    user: Option<Stored<Arc<User>>>,
}

impl Owned {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(app: &App, tenant: &Name, subject: &Subject) -> Result<Self, DbError> {
        let (mut role, mut user) = (None, None);
        match subject {
            Subject::Approle { name, .. } => {
                role = app.db.load(&layout::role(tenant, name.as_str()), Role::decode).await?;
            }
            Subject::User { name } => user = app.db.load(&layout::user(tenant, name), User::decode).await?,
            // A kind of subject that this program does not know owns nothing.
            _ => {}
        }
        Ok(Self { role, user })
    }

    /// For decisions.
    pub fn owner(&self) -> Owner<'_> {
        match (&self.role, &self.user) {
            (Some(role), _) => Owner::Role(&role.value),
            (None, Some(_)) => Owner::User,
            (None, None) => Owner::Gone,
        }
    }

    /// That it is still as it was read.
    pub fn guards(&self) -> impl Iterator<Item = Guard> {
        self.role.iter().map(Stored::guard).chain(self.user.iter().map(Stored::guard))
    }
}
