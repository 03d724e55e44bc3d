//! Whom a token was issued to, as there is of them now.

use std::sync::Arc;

use keyward_approle::{Owner, Role, SpiffeAuth, Subject, TokenRecord};

use crate::{
    app::App,
    call_home,
    db::Stored,
    http::error::Answer,
    layout,
    login::users::{self, StoredUser},
    store::Guard,
};

/// The role, user or configuration of a token.
pub struct Owned {
    role: Option<Stored<Arc<Role>>>,
    user: Option<StoredUser>,
    /// Whether the token is from after the user's password, and from after a restore.
    user_accepts: bool,
    spiffe: Option<Stored<Arc<SpiffeAuth>>>,
}

impl Owned {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(app: &App, record: &TokenRecord) -> Answer<Self> {
        let tenant = record.tenant();
        let (mut role, mut user, mut spiffe) = (None, None, None);
        match record.subject() {
            Subject::Approle { name, .. } => {
                role = app.db.load(&layout::role(tenant, name.as_str()), Role::decode).await?;
            }
            Subject::User { name } => user = users::get(&app.db, tenant, name).await?,
            Subject::Spiffe { name, .. } => {
                let is_standing = match record.subject().spiffe_id() {
                    // A host's token counts for as long as its SVID does.
                    Some(id) => call_home::stands_since(app, id, record.creation_time()).await?,
                    None => true,
                };
                if is_standing {
                    spiffe = app.db.load(&layout::spiffe_auth(tenant, name.as_str()), SpiffeAuth::decode).await?;
                }
            }
            // A kind of subject that this program does not know owns nothing.
            _ => {}
        }
        let created = record.creation_time();
        let is_of_now = app.people_since.is_none_or(|since| created >= since);
        let user_accepts = user.as_ref().is_some_and(|user| is_of_now && user.value.accepts(created));
        Ok(Self { role, user, user_accepts, spiffe })
    }

    /// For decisions.
    pub fn owner(&self) -> Owner<'_> {
        match (&self.role, &self.user, &self.spiffe) {
            (Some(role), ..) => Owner::Role(&role.value),
            (_, Some(_), _) if self.user_accepts => Owner::User,
            (.., Some(auth)) => Owner::Spiffe(&auth.value),
            (None, _, None) => Owner::Gone,
        }
    }

    /// That it is still as it was read.
    pub fn guards(&self) -> impl Iterator<Item = Guard> {
        let (role, user, spiffe) = (&self.role, &self.user, &self.spiffe);
        let guards = role.iter().map(Stored::guard).chain(user.iter().map(Stored::guard));
        guards.chain(spiffe.iter().map(Stored::guard))
    }
}
