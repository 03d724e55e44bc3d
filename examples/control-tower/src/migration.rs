//! What earlier programs left without the entries by which it is found: they are made once, at the first start of a program that
//! goes by them.

use keyward_config_values::Name;
use time::OffsetDateTime;

use crate::{
    db::{Db, DbError},
    due, federation, inbound, layout,
    login::users,
    store::{Outcome, Scan, Store, Write},
    tenant::Tenants,
};

/// Brings a store of an earlier program along.
///
/// # Errors
/// Those of the store.
pub async fn run(db: &Db, now: OffsetDateTime) -> Result<(), DbError> {
    users::migrate(db, now).await?;
    let store = &**db.store();
    if store.get(layout::INDEXED).await?.is_some() {
        return Ok(());
    }
    let mut is_known = true;
    let mut tenants = Tenants::of(db);
    while let Some(page) = tenants.next().await? {
        for tenant in page {
            for writes in
                [dues(store, &tenant.id).await?, lefts(store, &tenant.id, now).await?, withs(store, &tenant.id).await?]
            {
                is_known &= all(store, writes).await?;
            }
        }
    }
    if is_known {
        // Whether it was taken shows at the next start.
        all(store, vec![Write::Put(layout::INDEXED.to_owned(), Vec::new())]).await?;
    }
    Ok(())
}

/// Commits what may be much; answers whether it is known to be there.
async fn all(store: &dyn Store, writes: Vec<Write>) -> Result<bool, DbError> {
    let mut is_known = true;
    for some in writes.chunks(256) {
        is_known &= matches!(store.commit(Vec::new(), some.to_vec()).await?, Outcome::Committed(_));
    }
    Ok(is_known)
}

/// All rings are due at once: that leaves entries for their deadlines.
async fn dues(store: &dyn Store, tenant: &Name) -> Result<Vec<Write>, DbError> {
    let mut places = vec![layout::issuing(tenant), layout::issuing_authorities(tenant)];
    for folder in [layout::rings(tenant), layout::authorities(tenant)] {
        let mut rings = Scan::new(store, &folder);
        while let Some(page) = rings.next().await? {
            places.extend(page.into_iter().map(|entry| entry.key));
        }
    }
    Ok(places.iter().flat_map(|place| due::entry(tenant, place, OffsetDateTime::UNIX_EPOCH)).collect())
}

/// What roles left that were deleted when nothing swept up behind them: it is looked for among the secret-ids of every name.
async fn lefts(store: &dyn Store, tenant: &Name, now: OffsetDateTime) -> Result<Vec<Write>, DbError> {
    let (prefix, mut after, mut writes) = (layout::secret_ids(tenant), None::<String>, Vec::new());
    while let Some(entry) = store.range(&prefix, after.as_deref(), 1, None).await?.pop() {
        let Some((_, role)) = layout::parse_secret_id_accessors(&entry.key) else { break };
        let all = layout::secret_id_accessors(tenant, role);
        writes.push(Write::Put(layout::expiry(now, &all), Vec::new()));
        // Behind all of its accessors, which are hexadecimal.
        after = Some(format!("{all}~"));
    }
    Ok(writes)
}

/// What is looked at of all tenants together.
async fn withs(store: &dyn Store, tenant: &Name) -> Result<Vec<Write>, DbError> {
    let logins = layout::document(tenant, &format!("{}/", inbound::COLLECTION));
    let partners = layout::document(tenant, &format!("{}/", federation::COLLECTION));
    let mut writes = Vec::new();
    for (place, index) in [(logins, layout::WITH_SPIFFE_LOGINS), (partners, layout::WITH_FEDERATION)] {
        if !store.range(&place, None, 1, None).await?.is_empty() {
            writes.push(Write::Put(layout::with(index, tenant), Vec::new()));
        }
    }
    Ok(writes)
}
