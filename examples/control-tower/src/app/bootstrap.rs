//! The first start: a tenant, an administrator and the pepper.

use anyhow::Context as _;
use keyward_approle::{ADMINISTRATOR_POLICY, Pepper};
use keyward_config_values::Name;
use keyward_webauthn_login::{
    Email, HashJob, Hashed, Identity, Method, Password, Secret, UserRecord, hash_new_password,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    audit::{Audit, AuditOutcome, AuditRecord},
    db::{Db, DbError},
    layout,
    login::{self, users},
    random,
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
pub(super) async fn prepare(
    db: &Db,
    audit: &Audit,
    secret: &Secret,
    now: OffsetDateTime,
) -> anyhow::Result<Option<Credentials>> {
    if db.get(layout::PEPPER).await.context("cannot read the store")?.is_some() {
        return Ok(None);
    }
    let id: Name = random::uuid().parse()?;
    let name: Name = tenant::DEFAULT.parse()?;
    let tenant = Tenant::new(id.clone(), name.clone());
    let Draft { job, password } = Draft::new(secret)?;
    let administrator = NewAdministrator::make(None, &tenant, &job.run()?, password, now)?;
    let pepper = Pepper::generate(&mut random::rng());
    let mut writes = vec![
        db.put(layout::PEPPER.to_owned(), pepper.as_bytes())?,
        db.put(layout::tenant(&name), &tenant.encode()?)?,
        db.put(layout::tenant_id(id.as_str()), &tenant.encode()?)?,
        audit.note(&record(&id, "first-start", now))?,
    ];
    writes.extend(administrator.writes(db, &id)?);
    match db.store().commit(vec![Guard::Absent(layout::PEPPER.to_owned())], writes).await? {
        Outcome::Committed(_) => Ok(Some(administrator.credentials(&tenant))),
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
    users::migrate(db, now).await?;
    let former = NewAdministrator::former(db, &found.value.id).await?;
    let Draft { job, password } = Draft::new(&login::realm::secret(db).await?)?;
    let former = former.as_ref().map(|former| &*former.value);
    let new = NewAdministrator::make(former, &found.value, &job.run()?, password, now)?;
    let mut writes = new.writes(db, &found.value.id)?;
    writes.push(audit.note(&record(&found.value.id, RESET, now))?);
    // Unguarded: no tower runs on this store now.
    let Outcome::Committed(_) = db.store().commit(Vec::new(), writes).await? else {
        anyhow::bail!("the store did not take the change; try again");
    };
    audit.relay(&**db.store()).await?;
    Ok(new.credentials(&found.value))
}

/// A password for an administrator, and the work of hashing it, which takes tens of milliseconds.
pub struct Draft {
    /// The work.
    pub job: HashJob,
    /// To be handed over.
    pub password: Zeroizing<String>,
}

impl Draft {
    /// Draws a password.
    ///
    /// # Errors
    /// None that chance brings about.
    pub fn new(secret: &Secret) -> anyhow::Result<Self> {
        let email: Email = ADMINISTRATOR.parse()?;
        // One in millions holds the user's name, which no password may.
        for _ in 0..8 {
            let password = random::password();
            if let Ok(job) = hash_new_password(Password::new(password.to_string()), &email, secret) {
                return Ok(Self { job, password });
            }
        }
        anyhow::bail!("no password can be drawn")
    }
}

/// An administrator with a new password, whether there was one before or not; what else the former had to prove, or could prove, is
/// gone. All tokens and sessions that were had before end: whoever stole one would refresh it for ever. A person who logs in with the
/// password sets another one.
pub struct NewAdministrator {
    former: Option<User>,
    user: User,
    password: Zeroizing<String>,
}

impl NewAdministrator {
    /// Of a tenant, in the place of the former.
    ///
    /// # Errors
    /// None that a tenant can cause.
    pub fn make(
        former: Option<&User>,
        tenant: &Tenant,
        hashed: &Hashed,
        password: Zeroizing<String>,
        now: OffsetDateTime,
    ) -> anyhow::Result<Self> {
        let policies = vec![ADMINISTRATOR_POLICY.parse()?];
        let mut record = match former {
            Some(former) => {
                let mut record = former.record().clone();
                record.unlock();
                record.enforce([].into());
                record.reset(&[Method::Password, Method::Totp, Method::Passkey].into());
                record.set_bindings(Vec::new());
                record.set_policies(policies);
                record
            }
            None => {
                let identity = Identity::new(ADMINISTRATOR.parse()?, tenant.name.clone());
                UserRecord::create(identity, [].into(), policies, &mut random::rng(), now)
            }
        };
        record.set_temporary_password(hashed);
        let user = match former {
            Some(former) => former.changed(record, now),
            None => User::new(record, now),
        };
        Ok(Self { former: former.cloned(), user, password })
    }

    /// The present one, if there is one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn former(db: &Db, tenant: &Name) -> Result<Option<users::StoredUser>, DbError> {
        users::get(db, tenant, ADMINISTRATOR).await
    }

    /// What stores it.
    ///
    /// # Errors
    /// It cannot be sealed.
    pub fn writes(&self, db: &Db, tenant: &Name) -> Result<Vec<Write>, DbError> {
        users::put(db, tenant, self.former.as_ref(), &self.user)
    }

    /// How to log in, once it is stored.
    #[must_use]
    pub fn credentials(self, tenant: &Tenant) -> Credentials {
        Credentials {
            tenant: tenant.name.to_string(),
            tenant_id: tenant.id.to_string(),
            username: ADMINISTRATOR.to_owned(),
            password: self.password,
        }
    }
}

fn record(tenant: &Name, event: &'static str, now: OffsetDateTime) -> AuditRecord {
    AuditRecord::new(tenant.to_string(), event, AuditOutcome::Success, "tower", "", now)
}
