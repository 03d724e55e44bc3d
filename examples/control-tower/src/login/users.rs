//! Where users are found: by their address, by what their authenticator calls them, by what they are at a provider.

use std::sync::Arc;

use keyward_config_values::Name;
use keyward_webauthn_login::{Binding, Email, Identity, UserHandle, UserRecord};
use time::{Duration, OffsetDateTime};

use crate::{
    app::App,
    db::{Db, DbError, Stored},
    layout, random,
    store::{Outcome, Write, snapshot},
    tenant::{self, Tenant},
    user::User,
};

/// A user as it was read.
pub type StoredUser = Stored<Arc<User>>;

/// One address is looked up in so many tenants; whoever has more of them names the tenant.
const TENANTS: usize = 16;

/// The user of a tenant, which is named by its id.
///
/// # Errors
/// Those of the store.
pub async fn get(db: &Db, tenant: &Name, email: &str) -> Result<Option<StoredUser>, DbError> {
    db.load(&layout::user(tenant, email), User::decode).await
}

/// The user whom an identity names.
///
/// # Errors
/// Those of the store.
pub async fn of(db: &Db, identity: &Identity) -> Result<Option<StoredUser>, DbError> {
    match Tenant::by_name(db, &identity.tenant).await? {
        Some(tenant) => get(db, &tenant.value.id, identity.email.as_str()).await,
        None => Ok(None),
    }
}

/// The users with an address: those of all tenants, or of the one that is named. Where there is nobody the same is read.
///
/// # Errors
/// Those of the store.
pub async fn by_address(db: &Db, lookup: Option<(&Email, Option<&Name>)>) -> Result<Vec<StoredUser>, DbError> {
    let Some((email, tenant)) = lookup else {
        db.store().get(&layout::tenant(&nobody()?)).await?;
        return Ok(Vec::new());
    };
    let mut tenants = Vec::new();
    match tenant {
        Some(name) => match Tenant::by_name(db, name).await? {
            Some(tenant) => tenants.push(tenant.value.id.clone()),
            // Where nobody is, because there is no such tenant.
            None => tenants.push(nobody()?),
        },
        None => {
            let prefix = layout::user_address(email);
            let entries = db.store().range(&prefix, None, TENANTS, None).await?;
            tenants.extend(entries.iter().filter_map(|entry| entry.key.strip_prefix(&prefix)?.parse::<Name>().ok()));
            if tenants.is_empty() {
                tenants.push(nobody()?);
            }
        }
    }
    let mut users = Vec::new();
    for tenant in tenants {
        users.extend(get(db, &tenant, email.as_str()).await?);
    }
    Ok(users)
}

fn nobody() -> Result<Name, DbError> {
    let damaged = |error: keyward_config_values::Error| DbError::Damaged {
        key: tenant::DEFAULT.to_owned(),
        reason: error.to_string(),
    };
    "nobody".parse().map_err(damaged)
}

/// The user whom an authenticator names.
///
/// # Errors
/// Those of the store.
pub async fn by_handle(db: &Db, handle: Option<UserHandle>) -> Result<Option<StoredUser>, DbError> {
    let Some(handle) = handle else { return Ok(None) };
    let Some(found) = db.get(&layout::user_handle(&handle)).await? else { return Ok(None) };
    let place = std::str::from_utf8(&found.value).unwrap_or_default();
    let user = db.load(place, User::decode).await?;
    Ok(user.filter(|user| user.value.record().handle() == handle))
}

/// The user of a tenant, by its id, who is somebody at a provider.
///
/// # Errors
/// Those of the store.
pub async fn by_binding(db: &Db, tenant: &Name, binding: &Binding) -> Result<Option<StoredUser>, DbError> {
    let Some(found) = db.get(&layout::user_binding(tenant, binding)).await? else { return Ok(None) };
    let place = std::str::from_utf8(&found.value).unwrap_or_default();
    db.load(place, User::decode).await
}

/// What stores a user, new or changed, of a tenant by its id.
///
/// # Errors
/// It cannot be sealed.
pub fn put(db: &Db, tenant: &Name, former: Option<&User>, user: &User) -> Result<Vec<Write>, DbError> {
    let record = user.record();
    let key = layout::user(tenant, record.identity().email.as_str());
    let damaged = |error: anyhow::Error| DbError::Damaged { key: key.clone(), reason: error.to_string() };
    let bytes = user.encode().map_err(damaged)?;
    let mut writes = Vec::new();
    if let Some(former) = former {
        let kept = |index: &str| indexes(tenant, record).iter().any(|kept| kept == index);
        writes.extend(indexes(tenant, former.record()).into_iter().filter(|index| !kept(index)).map(Write::Delete));
    }
    let known = former.map(|former| indexes(tenant, former.record())).unwrap_or_default();
    for index in indexes(tenant, record).into_iter().filter(|index| !known.contains(index)) {
        writes.push(match index.starts_with(ADDRESSES) {
            true => Write::Put(index, Vec::new()),
            false => db.put(index, key.as_bytes())?,
        });
    }
    writes.push(db.put(key, &bytes)?);
    Ok(writes)
}

const ADDRESSES: &str = "user-address/";

/// What removes a user of a tenant by its id. Sessions, links and tokens do not count without it, and what is remembered sees to it
/// that tokens do not count for another one of the name either.
///
/// # Errors
/// It cannot be sealed.
pub fn remove(db: &Db, tenant: &Name, user: &User, now: OffsetDateTime) -> Result<Vec<Write>, DbError> {
    let email = &user.record().identity().email;
    let (key, ended) = (layout::user(tenant, email.as_str()), layout::user_ended(tenant, email));
    let mut writes: Vec<Write> = indexes(tenant, user.record()).into_iter().chain([key]).map(Write::Delete).collect();
    writes.push(Write::Put(layout::expiry(now.saturating_add(LONGEST_TOKEN), &ended), Vec::new()));
    writes.push(db.put(ended, user.dated(now).unix_timestamp_nanos().to_string().as_bytes())?);
    Ok(writes)
}

/// A new user of a tenant by its id. Tokens of a former one of the name do not count.
///
/// # Errors
/// Those of the store.
pub async fn new(db: &Db, tenant: &Name, record: UserRecord, now: OffsetDateTime) -> Result<User, DbError> {
    let ended = db.get(&layout::user_ended(tenant, &record.identity().email)).await?;
    let ended = ended.and_then(|ended| {
        let nanoseconds: i128 = std::str::from_utf8(&ended.value).ok()?.parse().ok()?;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
    });
    Ok(User::new(record, ended.map_or(now, |ended| ended.max(now))))
}

/// No token of a user who is gone lives longer.
const LONGEST_TOKEN: Duration = Duration::days(40);

/// Where a user is found beside its own place.
pub fn indexes(tenant: &Name, user: &UserRecord) -> Vec<String> {
    let address = format!("{}{tenant}", layout::user_address(&user.identity().email));
    let handle = layout::user_handle(&user.handle());
    let bindings = user.bindings().iter().map(|binding| layout::user_binding(tenant, binding));
    [address, handle].into_iter().chain(bindings).collect()
}

/// Brings users of earlier programs along, once: an earlier program does not read what this one writes.
///
/// # Errors
/// Those of the store.
pub async fn migrate(db: &Db, now: OffsetDateTime) -> Result<(), DbError> {
    if db.store().get(layout::USERS_MIGRATED).await?.is_some() {
        return Ok(());
    }
    let mut is_known = true;
    for tenant in Tenant::all(db).await? {
        let prefix = layout::users(&tenant.id);
        let (_, entries) = snapshot(&**db.store(), &prefix).await?;
        for entry in entries {
            let opened = db.open(entry).await?;
            let damaged = |reason: String| DbError::Damaged { key: opened.key.clone(), reason };
            let name = opened.key.strip_prefix(&prefix).unwrap_or_default();
            let email: Email =
                name.parse().map_err(|error: keyward_webauthn_login::Error| damaged(error.to_string()))?;
            let identity = Identity::new(email, tenant.name.clone());
            let Some(user) = User::migrate(&opened.value, identity, &mut random::rng(), now).map_err(damaged)? else {
                continue;
            };
            let writes = put(db, &tenant.id, None, &user)?;
            match db.store().commit(vec![opened.guard()], writes).await? {
                Outcome::Committed(_) => tracing::info!(key = opened.key, "brought along from an earlier program"),
                // Another tower on the same store was first.
                Outcome::Conflict { .. } => {}
                Outcome::Unknown => is_known = false,
            }
        }
    }
    if is_known {
        // Whether it was taken shows at the next start.
        let done = Write::Put(layout::USERS_MIGRATED.to_owned(), Vec::new());
        let _taken = db.store().commit(Vec::new(), vec![done]).await?;
    }
    Ok(())
}

/// The id of the tenant that a stored user is of.
///
/// # Errors
/// It stands where no user does.
pub fn tenant_of(user: &StoredUser) -> Result<Name, DbError> {
    let damaged = || DbError::Damaged { key: user.key.clone(), reason: "no user stands there".to_owned() };
    layout::parse_user(&user.key).map(|(tenant, _)| tenant).ok_or_else(damaged)
}

/// The records of users, for a step.
pub fn records(users: &[StoredUser]) -> Vec<UserRecord> {
    users.iter().map(|user| user.value.record().clone()).collect()
}

/// That the tenant of a user is still there.
///
/// # Errors
/// Those of the store.
pub async fn living(app: &App, user: &StoredUser) -> Result<Option<Option<crate::store::Guard>>, DbError> {
    app.living(&tenant_of(user)?).await
}
