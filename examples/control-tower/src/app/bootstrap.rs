//! The first start: a tenant, an administrator and the pepper.

use anyhow::Context as _;
use keyward_approle::{ADMINISTRATOR_POLICY, Pepper, StorageKey, TokenRecord};
use keyward_config_values::Name;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    audit::{Audit, AuditOutcome, AuditRecord},
    db::Db,
    layout, random,
    store::{Guard, Outcome, Scan, Write},
    tenant::{self, Tenant},
    user::{ADMINISTRATOR, User},
};

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

/// Gives the administrator of the tenant `default` a new password, for whoever can read the data directory, and ends all tokens
/// that were had with the old one: whoever stole it would refresh them for ever.
///
/// # Errors
/// The store was never started, or does not take the change.
pub async fn reset_administrator(db: &Db, audit: &Audit, now: OffsetDateTime) -> anyhow::Result<Credentials> {
    let tenant = Tenant::by_name(db, &tenant::DEFAULT.parse()?)
        .await?
        .context("there is no tenant `default` yet: start the tower once")?;
    let (user, password) = administrator()?;
    let key = layout::user(&tenant.value.id, ADMINISTRATOR);
    let mut writes = tokens(db, &tenant.value.id, ADMINISTRATOR).await?;
    let ended = writes.len() / 2;
    writes.push(db.put(key, &user.encode()?)?);
    writes.push(audit.note(&record(&tenant.value.id, "reset-admin", now).with("tokens-ended", ended))?);
    // Unguarded: no tower runs on this store now.
    let Outcome::Committed(_) = db.store().commit(Vec::new(), writes).await? else {
        anyhow::bail!("the store did not take the change; try again");
    };
    audit.relay(&**db.store()).await?;
    Ok(credentials(&tenant.value, password))
}

/// What ends every token of a user.
async fn tokens(db: &Db, tenant: &Name, username: &str) -> anyhow::Result<Vec<Write>> {
    let subject = format!("user/{username}");
    let prefix = layout::token_accessors(tenant);
    let mut scan = Scan::new(&**db.store(), &prefix);
    let mut writes = Vec::new();
    while let Some(page) = scan.next().await? {
        for accessor in page {
            let accessor = db.open(accessor).await?;
            let key: StorageKey = std::str::from_utf8(&accessor.value)?.parse()?;
            let place = layout::token(&key);
            let Some(token) = db.get(&place).await? else { continue };
            if TokenRecord::decode(&token.value)?.subject().to_string() == subject {
                writes.extend([Write::Delete(place), Write::Delete(accessor.key)]);
            }
        }
    }
    Ok(writes)
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
