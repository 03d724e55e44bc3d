//! Keys that are fetched: kept in this process, fetched again in time and, when a token names a key that is not among them, once
//! more; by one request at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_approle::Accessor;
use keyward_config_values::Name;
use keyward_svid::{
    JwkSet, JwtBundle,
    refresh::{Due, RefreshOptions, Refresher, Ticket},
};
use time::OffsetDateTime;

use super::{
    config::{SpiffeLoginConfig, key_set},
    state::Fetching,
};
use crate::{
    clock::Clock,
    outbound::{Client, FetchError, Redirects, Trust},
};

/// The longest key set that is read.
const LIMIT: usize = 1 << 20;
/// The shortest time between two fetches that unknown keys cause.
const COOLDOWN: time::Duration = time::Duration::seconds(30);

/// The keys of every configuration that fetches them.
#[derive(Default)]
pub struct KeyCache {
    sources: Mutex<HashMap<(Name, Name), Arc<Source>>>,
}

/// The keys of one configuration.
pub(super) struct Source {
    /// What the keys depend on: when it changes, they are dropped.
    config: Identity,
    client: Client,
    keys: Mutex<Refresher<Arc<JwtBundle>>>,
    /// Held by whoever fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
}

/// Fields that decide what is fetched, and how.
#[derive(PartialEq)]
struct Identity {
    /// Told from an earlier configuration of the same name.
    instance: Accessor,
    url: String,
    config: SpiffeLoginConfig,
}

impl KeyCache {
    /// The keys for a configuration as it is now; those of an earlier one are dropped.
    pub(super) fn source(
        &self,
        tenant: &Name,
        config: &SpiffeLoginConfig,
        url: &str,
        instance: Accessor,
        now: OffsetDateTime,
    ) -> Result<Arc<Source>, String> {
        let place = (tenant.clone(), config.name.clone());
        // Who gets which token does not matter here.
        let config = SpiffeLoginConfig { spiffe_id_patterns: Vec::new(), ..config.clone() };
        let identity = Identity { instance, url: url.to_owned(), config };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(&place).filter(|source| source.config == identity) {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(Source::new(identity, now)?);
        sources.insert(place, Arc::clone(&source));
        Ok(source)
    }

    /// Forgets the keys of every configuration of a tenant that is gone.
    pub fn forget_tenant(&self, tenant: &Name) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != tenant);
    }

    /// Forgets the keys of a configuration that is gone.
    pub fn forget(&self, tenant: &Name, name: &Name) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.remove(&(tenant.clone(), name.clone()));
    }
}

impl Source {
    fn new(identity: Identity, now: OffsetDateTime) -> Result<Self, String> {
        let config = &identity.config;
        let trust = config.jwks_ca_pem.as_deref().map_or(Trust::PublicRoots, |pem| Trust::Only(pem.into()));
        let timeout = config.request_timeout();
        let client = Client::new(&trust, Redirects::Https, timeout.into()).map_err(|error| error.to_string())?;
        let interval = config.refresh_interval().to_time();
        let mut options = RefreshOptions::default();
        options.default_interval = interval;
        options.max_interval = interval;
        options.min_interval = COOLDOWN.min(interval);
        options.cooldown = COOLDOWN.min(interval);
        options.max_age = config.cache_max_age().to_time();
        // Longer than the client's own, which ends every fetch that is not given up.
        options.timeout = timeout.to_time() + time::Duration::seconds(5);
        let keys = Refresher::new(options, now).map_err(|error| error.to_string())?;
        Ok(Self { config: identity, client, keys: Mutex::new(keys), flight: Arc::default() })
    }

    /// The keys, fetched first if that is due.
    pub(super) async fn keys(self: &Arc<Self>, clock: &Clock) -> Result<Arc<JwtBundle>, String> {
        if self.is_due(clock.now()) {
            self.fetch_if_due(clock).await;
        }
        self.with(|keys| match keys.current(clock.now()) {
            Some(bundle) => Ok(Arc::clone(bundle)),
            None => Err(match keys.last_error() {
                Some(failure) => format!("no keys: {}", failure.reason),
                None => "no keys".to_owned(),
            }),
        })
    }

    /// The keys once more, because none of those at hand made a signature; `None` when it is too early for that.
    pub(super) async fn newer_keys(self: &Arc<Self>, seen: &Arc<JwtBundle>, clock: &Clock) -> Option<Arc<JwtBundle>> {
        if self.with(|keys| keys.on_unknown_key(clock.now())) {
            self.fetch_if_due(clock).await;
        } else if self.with(|keys| keys.is_fetching()) {
            // Somebody else asked first: what they get serves this one too.
            drop(self.flight.lock().await);
        }
        self.with(|keys| keys.current(clock.now()).filter(|keys| !Arc::ptr_eq(keys, seen)).cloned())
    }

    /// Fetches unless somebody else has done so meanwhile. Once begun it goes on when its caller is dropped: a client that goes
    /// away must not cost the others a fetch.
    async fn fetch_if_due(self: &Arc<Self>, clock: &Clock) {
        // Whoever comes meanwhile waits here, and finds it done.
        let alone = Arc::clone(&self.flight).lock_owned().await;
        let Some(ticket) = self.ticket(clock.now()) else { return };
        let (source, clock) = (Arc::clone(self), clock.clone());
        let fetch = tokio::spawn(async move {
            let _alone = alone;
            source.fetch(ticket, &clock).await;
        });
        if let Err(error) = fetch.await {
            tracing::error!(%error, "fetching keys");
        }
    }

    async fn fetch(&self, ticket: Ticket, clock: &Clock) {
        let fetched = self.client.document(&self.config.url, LIMIT).await;
        let explained = |error: FetchError| match error.is_unknown_issuer() {
            true => format!("{error}; name those of the host as `jwks-ca-pem`"),
            false => error.to_string(),
        };
        let read = fetched.map_err(explained).and_then(|body| key_set(&body));
        let now = clock.now();
        let _was_waited_for = match read {
            Ok(set) => self.with(|keys| keys.succeeded(ticket, Arc::new(self.bundle(set)), None, now)),
            Err(reason) => {
                tracing::warn!(
                    url = self.config.url,
                    reason,
                    "cannot fetch keys; those at hand serve on until they are too old"
                );
                self.with(|keys| keys.failed(ticket, reason, now))
            }
        };
    }

    /// How many keys there are, and how fetching them goes. None are fetched for it.
    pub(super) fn state(&self, now: OffsetDateTime) -> (usize, Fetching) {
        self.with(|keys| {
            let count = keys.current(now).map_or(0, |bundle| bundle.keys().keys().len());
            (count, Fetching::new(keys.age(now), keys.fetched_at(), keys.next_poll(now), keys.last_error()))
        })
    }

    fn bundle(&self, set: JwkSet) -> JwtBundle {
        JwtBundle::new(self.config.config.trust_domain.clone(), set)
    }

    fn is_due(&self, now: OffsetDateTime) -> bool {
        self.with(|keys| {
            // Without any keys every token is one of an unknown key.
            let nothing = keys.current(now).is_none() && keys.on_unknown_key(now);
            nothing || keys.is_fetching() || keys.next_poll(now) <= now
        })
    }

    fn ticket(&self, now: OffsetDateTime) -> Option<Ticket> {
        self.with(|keys| match keys.poll(now) {
            Due::Fetch(ticket) => Some(ticket),
            Due::Wait(_) => None,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Refresher<Arc<JwtBundle>>) -> T) -> T {
        act(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
