//! How often somebody may guess: what is stored of it, and by whom it counts.
//!
//! This bounds how soon a password or a code of one user is found, whoever tries; so it is in the store, and a restart gives nobody
//! another handful of guesses at six digits. What one client costs the tower is bounded by [`crate::rate_limit`], in memory and before
//! anything is read, for workloads alike.

use std::net::IpAddr;

use keyward_webauthn_login::{Admitted, Bucket, DeviceToken, Histories, History, admit};
use time::{Duration, OffsetDateTime};

use super::{browser::Browser, users::StoredUser};
use crate::{
    app::{Actor, App},
    http::error::{Answer, ApiError},
    layout,
    network::Network,
    store::{Guard, Outcome},
};

/// No history is of use for longer: the fullest is empty after 25 minutes.
const KEPT: Duration = Duration::minutes(30);
/// Histories go in batches of so many seconds, so that one that grows has few entries for its end.
const BATCH: i64 = 600;
/// How often a guess is counted again because another one was at the same time.
const TRIES: usize = 64;

/// A guess that was counted.
pub struct Counted {
    address: String,
    of: String,
    bucket: Bucket,
}

/// Whose guess it is: of somebody who is named, by a device that they logged in with before if it is one.
pub struct Guess {
    of: String,
    bucket: Bucket,
}

impl Guess {
    /// A password for what was typed, in the tenant that was named.
    pub fn password(app: &App, browser: &Browser, typed: &str, tenant: Option<&str>, users: &[StoredUser]) -> Self {
        if let Some(device) = browser.device.as_deref() {
            let known = |user: &StoredUser| {
                DeviceToken::recognize(device, user.value.record().identity(), app.realm.secret()).map(str::to_owned)
            };
            if let Some(nonce) = users.iter().find_map(known) {
                return Self { of: format!("device/{nonce}"), bucket: Bucket::Device };
            }
        }
        let tenant = tenant.unwrap_or_default();
        Self { of: format!("identity/{tenant}/{typed}"), bucket: Bucket::Identity }
    }

    /// A code of a user.
    pub fn code(user: &str) -> Self {
        Self { of: format!("second/{user}"), bucket: Bucket::SecondFactor }
    }
}

/// Counts a guess before it is checked; of guesses at the same time each is counted.
///
/// # Errors
/// 429 with the time to wait.
pub async fn count(app: &App, source: Option<IpAddr>, guess: Guess) -> Answer<(Admitted, Counted)> {
    let Guess { of, bucket } = guess;
    let network = source.map(|source| Network::from(source).to_string()).unwrap_or_default();
    let counted = Counted { address: format!("address/{network}"), of, bucket };
    if app.limiter.is_off() {
        let none = Histories { address: History::default(), identity: History::default(), bucket };
        let admitted = admit(none, app.clock.now()).map(|(admitted, _)| admitted);
        return Ok((admitted.map_err(ApiError::internal)?, counted));
    }
    for _ in 0..TRIES {
        let now = app.clock.now();
        let read = counted.read(app).await?;
        let (admitted, histories) = match admit(read.histories, now) {
            Ok(admitted) => admitted,
            Err(wait) => {
                app.metrics.rate_limited("guesses");
                let source = source.filter(|source| app.limiter.is_reported(*source, "login", app.clock.uptime()));
                if let Some(source) = source {
                    app.refuse(Actor::stranger(app, source).refused("rate-limit", "guesses", now));
                }
                let after = wait.after.try_into().unwrap_or_default();
                return Err(ApiError::too_many(wait.to_string(), after));
            }
        };
        if counted.write(app, read.guards, histories, now).await? {
            return Ok((admitted, counted));
        }
    }
    Err(ApiError::too_many("too many guesses at once; try again in a few seconds", std::time::Duration::from_secs(2)))
}

struct Read {
    histories: Histories,
    guards: Vec<Guard>,
}

impl Counted {
    /// The guess was right: it is not counted.
    pub async fn give_back(self, app: &App) {
        if app.limiter.is_off() {
            return;
        }
        for _ in 0..TRIES {
            let Ok(read) = self.read(app).await else { return };
            match self.write(app, read.guards, read.histories.succeeded(), app.clock.now()).await {
                Ok(false) => {}
                // It costs a guess that comes back by itself.
                Ok(true) | Err(_) => return,
            }
        }
    }

    async fn read(&self, app: &App) -> Answer<Read> {
        let mut guards = Vec::new();
        let mut read = async |of: &str| -> Answer<History> {
            let key = layout::attempts(of);
            let stored = app.db.get(&key).await?;
            guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key), crate::db::Stored::guard));
            match stored {
                Some(stored) => History::decode(&stored.value).map_err(ApiError::internal),
                None => Ok(History::default()),
            }
        };
        let (address, identity) = (read(&self.address).await?, read(&self.of).await?);
        Ok(Read { histories: Histories { address, identity, bucket: self.bucket }, guards })
    }

    async fn write(&self, app: &App, guards: Vec<Guard>, histories: Histories, now: OffsetDateTime) -> Answer<bool> {
        let end = (now + KEPT).unix_timestamp() / BATCH * BATCH + BATCH;
        let end = OffsetDateTime::from_unix_timestamp(end).map_err(ApiError::internal)?;
        let mut writes = Vec::with_capacity(4);
        for (of, history) in [(&self.address, histories.address), (&self.of, histories.identity)] {
            let bytes = history.encode().map_err(ApiError::internal)?;
            writes.extend(app.put_until(layout::attempts(of), &bytes, end)?);
        }
        match app.db.store().commit(guards, writes).await? {
            Outcome::Committed(_) => Ok(true),
            Outcome::Conflict { .. } => Ok(false),
            Outcome::Unknown => Err(ApiError::unavailable("the store's answer was lost; try again")),
        }
    }
}
