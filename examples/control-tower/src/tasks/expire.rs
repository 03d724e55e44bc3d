//! Removes what has expired, in small steps and in the order of time, so that nothing has to be listed and no login waits long.
//! Records whose entries are due but not removed as yet are refused all the same: this is only about what is at rest.
//!
//! An entry may be for all secret-ids of a role that was deleted. It is worked off a page at a time, and its place taken by one that
//! says how far that came.

use keyward_approle::{Role, SecretIdRecord, TokenRecord, Wrapped};
use keyward_webauthn_login::History;
use time::OffsetDateTime;

use super::pace::Pace;
use crate::{
    app::App,
    call_home,
    http::vault::wrapping,
    layout,
    store::{Entry, Guard, Outcome, Write},
};

pub(super) async fn run(app: &App) -> Result<(), String> {
    let mut pace = Pace::default();
    while pace.step(step(app, pace.size())).await? {}
    Ok(())
}

/// Removes the first few; answers whether there are more.
async fn step(app: &App, size: usize) -> Result<bool, String> {
    let now = app.clock.now();
    let store = app.db.store();
    let entries = store.range(layout::EXPIRY, None, size, None).await.map_err(|error| error.to_string())?;
    let due: Vec<_> = entries.into_iter().take_while(|entry| is_due(entry, now)).collect();
    if due.is_empty() {
        return Ok(false);
    }
    let (mut guards, mut writes) = (Vec::new(), Vec::new());
    let (mut expired, mut more) = (0, due.len() == size);
    for entry in &due {
        let target = layout::parse_expiry(&entry.key);
        if let Some((at, target)) = target.filter(|(_, target)| layout::parse_secret_id_accessors(target).is_some()) {
            if expired > 0 {
                // A step of its own.
                more = true;
                break;
            }
            let swept = of_earlier_roles(app, at, target, size, &mut guards, &mut writes).await;
            expired = swept.map_err(|error| error.to_string())?;
            writes.push(Write::Delete(entry.key.clone()));
            more = true;
            break;
        }
        expired += 1;
        writes.push(Write::Delete(entry.key.clone()));
        if let Some((_, target)) = target {
            expire(app, target, now, &mut guards, &mut writes).await.map_err(|error| error.to_string())?;
        }
    }
    // Not audited: nothing is decided here, the times were fixed when the records were made.
    if let Outcome::Committed(_) = store.commit(guards, writes).await.map_err(|error| error.to_string())? {
        app.metrics.expired.inc_by(expired);
        return Ok(more);
    }
    // Something was refreshed or used at this very moment: look again.
    Ok(true)
}

fn is_due(entry: &Entry, now: OffsetDateTime) -> bool {
    // A record of this second may have a fraction of it left: wait for the next.
    layout::parse_expiry(&entry.key).is_none_or(|(at, _)| at + time::Duration::SECOND <= now)
}

/// Adds what removes a record, unless it lives longer than this entry says: a refresh makes an entry of its own.
async fn expire(
    app: &App,
    key: &str,
    now: OffsetDateTime,
    guards: &mut Vec<Guard>,
    writes: &mut Vec<Write>,
) -> Result<(), crate::db::DbError> {
    if layout::is_call_home_certificate(key) {
        let Some(stored) = app.db.get(key).await? else { return Ok(()) };
        match call_home::removal(app, &stored.value, now) {
            Ok(removal) if removal.is_empty() => {}
            Ok(removal) => {
                guards.push(stored.guard());
                writes.extend(removal);
            }
            Err(error) => return damaged(key, &error),
        }
        return Ok(());
    }
    // An index of sessions or links, which holds nothing; or what is remembered of a host for as long as a certificate lives.
    if key.starts_with(layout::TENANT_DATA) {
        writes.push(Write::Delete(key.to_owned()));
        return Ok(());
    }
    let Some(stored) = app.db.get(key).await? else { return Ok(()) };
    if key.starts_with(layout::WRAPPED) {
        match Wrapped::decode(&stored.value) {
            Ok(record) if record.expires() > now => {}
            Ok(record) => {
                guards.push(stored.guard());
                writes.extend(wrapping::end(&record));
            }
            Err(error) => return damaged(key, &error),
        }
        return Ok(());
    }
    if let Some(is_over) = of_logins(key, &stored.value, now) {
        if is_over {
            guards.push(stored.guard());
            writes.push(Write::Delete(stored.key));
        }
        return Ok(());
    }
    let index = if key.starts_with("token/") {
        match TokenRecord::decode(&stored.value) {
            Ok(record) if record.expires() > now => return Ok(()),
            Ok(record) => layout::token_accessor(record.tenant(), record.accessor()),
            Err(error) => return damaged(key, &error),
        }
    } else {
        match SecretIdRecord::decode(&stored.value) {
            Ok(record) if record.remove_at().is_none_or(|end| end > now) => return Ok(()),
            Ok(record) => layout::secret_id_accessor(record.tenant(), record.role().as_str(), record.accessor()),
            Err(error) => return damaged(key, &error),
        }
    };
    guards.push(stored.guard());
    writes.push(Write::Delete(stored.key));
    writes.push(Write::Delete(index));
    Ok(())
}

/// Whether what belongs to logins is over: a history once it says nothing any more, all else with its entry. `None` for what does not.
fn of_logins(key: &str, bytes: &[u8], now: OffsetDateTime) -> Option<bool> {
    let whole = [layout::CEREMONIES, layout::SESSIONS, layout::LINKS, layout::CLI_CODES];
    if whole.iter().any(|prefix| key.starts_with(prefix)) {
        return Some(true);
    }
    key.starts_with(layout::ATTEMPTS).then(|| History::decode(bytes).is_ok_and(|history| history.is_empty(now)))
}

/// Adds what removes the secret-ids of roles that have no more, the first few behind `target`, and an entry for what follows them.
/// Answers how many they are.
async fn of_earlier_roles(
    app: &App,
    at: OffsetDateTime,
    target: &str,
    size: usize,
    guards: &mut Vec<Guard>,
    writes: &mut Vec<Write>,
) -> Result<u64, crate::db::DbError> {
    let Some((tenant, name)) = layout::parse_secret_id_accessors(target) else { return Ok(0) };
    // There may be another role of the name by now, whose secret-ids are among them. It is the same one when this is committed.
    let place = layout::role(&tenant, name);
    let role = match app.db.get(&place).await? {
        Some(stored) => {
            guards.push(stored.guard());
            match Role::decode(&stored.value) {
                Ok(role) => Some(role),
                Err(error) => return damaged(&place, &error).map(|()| 0),
            }
        }
        None => {
            guards.push(Guard::Absent(place));
            None
        }
    };
    let all = layout::secret_id_accessors(&tenant, name);
    let after = (target != all).then_some(target);
    let entries = app.db.store().range(&all, after, size, None).await?;
    if let Some(last) = entries.last().filter(|_| entries.len() == size) {
        writes.push(Write::Put(layout::expiry(at, &last.key), Vec::new()));
    }
    let mut removed = 0;
    for entry in entries {
        let index = entry.key.clone();
        let opened = app.db.open(entry).await?;
        let Some(key) = std::str::from_utf8(&opened.value).ok().and_then(|text| text.parse().ok()) else { continue };
        if let Some(stored) = app.db.get(&layout::secret_id(&key)).await? {
            match SecretIdRecord::decode(&stored.value) {
                Ok(record) if role.as_ref().is_some_and(|role| record.belongs_to(role)) => continue,
                Ok(_) => {}
                Err(error) => {
                    damaged(&stored.key, &error)?;
                    continue;
                }
            }
            guards.push(stored.guard());
            writes.push(Write::Delete(stored.key));
        }
        writes.push(Write::Delete(index));
        removed += 1;
    }
    Ok(removed)
}

/// A record that cannot be read is kept for whoever repairs it; only its expiry entry goes.
#[expect(clippy::unnecessary_wraps, reason = "the answer of its caller")]
fn damaged(key: &str, error: &dyn std::fmt::Display) -> Result<(), crate::db::DbError> {
    tracing::error!(key, %error, "an expired record cannot be read and stays");
    Ok(())
}
