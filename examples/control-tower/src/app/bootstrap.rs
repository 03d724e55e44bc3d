//! The first start: a tenant, an administrator and the pepper.

use std::sync::Arc;

use anyhow::Context as _;
use keyward_approle::{ADMINISTRATOR_POLICY, Pepper};
use keyward_config_values::Name;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    audit::{Audit, AuditOutcome, AuditRecord},
    db::{Db, DbError, Stored},
    layout, random,
    store::{Guard, Outcome, Write},
    tenant::{self, Tenant},
    user::{ADMINISTRATOR, User},
};

/// The audit log's word for a new administrator.
pub const RESET: &str = "reset-admin";

/// How to log in for the first time. Shown once.
pub struct Credentials {
    /// The tenant's name.
    pub tenant: String,
    /// Its id.
    pub tenant_id: String,
    /// The administrator's name.
    pub username: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Makes what is missing, in one commit, and answers the administrator's credentials if it had to.
pub(super) async fn prepare(db: &Db, audit: &Audit, now: OffsetDateTime) -> anyhow::Result<Option<Credentials>> {
    if db.get(layout::PEPPER).await.context("cannot read the store")?.is_some() {
        return Ok(None);
    }
    let id: Name = random::uuid().parse()?;
    let name: Name = tenant::DEFAULT.parse()?;
    let tenant = Tenant::new(id.clone(), name.clone());
    let (user, password) = administrator()?;
    let pepper = Pepper::generate(&mut random::rng());
    let writes = vec![
        db.put(layout::PEPPER.to_owned(), pepper.as_bytes())?,
        db.put(layout::tenant(&name), &tenant.encode()?)?,
        db.put(layout::tenant_id(id.as_str()), &tenant.encode()?)?,
        db.put(layout::user(&id, ADMINISTRATOR), &user.encode()?)?,
        audit.note(&record(&id, "first-start", now))?,
    ];
    match db.store().commit(vec![Guard::Absent(layout::PEPPER.to_owned())], writes).await? {
        Outcome::Committed(_) => Ok(Some(credentials(&tenant, password))),
        // Another tower on the same store was first.
        Outcome::Conflict { .. } => Ok(None),
        Outcome::Unknown => anyhow::bail!("the store's answer was lost; start again"),
    }
}

/// The pepper that [`prepare`] made.
pub(super) async fn pepper(db: &Db) -> anyhow::Result<Pepper> {
    let stored = db.get(layout::PEPPER).await?.context("the store has lost its pepper")?;
    let bytes: &[u8; 32] = stored.value.as_slice().try_into().context("the stored pepper is damaged")?;
    Ok(Pepper::from_bytes(bytes))
}

/// Gives the administrator of a tenant a new password, for whoever can read the data directory; see [`NewAdministrator`].
///
/// # Errors
/// The store was never started, there is no such tenant, or the change is not taken.
pub async fn reset_administrator(
    db: &Db,
    audit: &Audit,
    tenant: &Name,
    now: OffsetDateTime,
) -> anyhow::Result<Credentials> {
    let found = Tenant::by_name(db, tenant).await?.with_context(|| match tenant.as_str() {
        tenant::DEFAULT => "there is no tenant `default` yet: start the tower once".to_owned(),
        name => format!("there is no tenant `{name}`"),
    })?;
    let former = NewAdministrator::former(db, &found.value.id).await?;
    let new = NewAdministrator::make(former.as_ref().map(|former| &*former.value), now)?;
    let write = new.write(db, &found.value.id)?;
    let writes = vec![write, audit.note(&record(&found.value.id, RESET, now))?];
    // Unguarded: no tower runs on this store now.
    let Outcome::Committed(_) = db.store().commit(Vec::new(), writes).await? else {
        anyhow::bail!("the store did not take the change; try again");
    };
    audit.relay(&**db.store()).await?;
    Ok(new.credentials(&found.value))
}

/// An administrator with a new password, whether there was one before or not. All tokens that were had with the old password end:
/// whoever stole it would refresh them for ever.
pub struct NewAdministrator {
    user: User,
    password: Zeroizing<String>,
}

impl NewAdministrator {
    /// Draws a password. Takes tens of milliseconds.
    ///
    /// # Errors
    /// It cannot be hashed.
    pub fn make(former: Option<&User>, now: OffsetDateTime) -> anyhow::Result<Self> {
        let (user, password) = administrator()?;
        Ok(Self { user: user.replacing(former, now), password })
    }

    /// The present one, if there is one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn former(db: &Db, tenant: &Name) -> Result<Option<Stored<Arc<User>>>, DbError> {
        db.load(&layout::user(tenant, ADMINISTRATOR), User::decode).await
    }

    /// What stores it.
    ///
    /// # Errors
    /// It cannot be sealed.
    pub fn write(&self, db: &Db, tenant: &Name) -> anyhow::Result<Write> {
        Ok(db.put(layout::user(tenant, ADMINISTRATOR), &self.user.encode()?)?)
    }

    /// How to log in, once it is stored.
    #[must_use]
    pub fn credentials(self, tenant: &Tenant) -> Credentials {
        credentials(tenant, self.password)
    }
}

fn administrator() -> anyhow::Result<(User, Zeroizing<String>)> {
    let password = random::password();
    let user = User::new(&password, vec![ADMINISTRATOR_POLICY.parse()?])?;
    Ok((user, password))
}

fn credentials(tenant: &Tenant, password: Zeroizing<String>) -> Credentials {
    Credentials {
        tenant: tenant.name.to_string(),
        tenant_id: tenant.id.to_string(),
        username: ADMINISTRATOR.to_owned(),
        password,
    }
}

fn record(tenant: &Name, event: &'static str, now: OffsetDateTime) -> AuditRecord {
    AuditRecord::new(tenant.to_string(), event, AuditOutcome::Success, "tower", "", now)
}
