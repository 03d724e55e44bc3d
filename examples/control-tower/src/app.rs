//! The composition root: everything that handlers and tasks share.

use std::{hash::RandomState, net::IpAddr, sync::Arc};

use anyhow::Context as _;
use keyward_approle::{Limits, Pepper};
use keyward_config_values::Name;
use keyward_spiffe_id::SpiffeId;
use keyward_webauthn_login::Realm;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::{
    audit::{Audit, AuditError, AuditOutcome, AuditRecord},
    clock::Clock,
    config::ExternalUrl,
    db::{Db, DbError},
    documents,
    http::error::{Answer, ApiError},
    identity::Identity,
    keyring::Keyring,
    layout, login,
    metrics::Metrics,
    migration, random,
    rate_limit::{Limiter, RateLimit},
    store::{Guard, Outcome, Revision, Write},
    tasks::Tasks,
    tenant::{self, Tenant},
    turns::Turns,
};

mod bootstrap;

pub use bootstrap::{Credentials, Draft, NewAdministrator, RESET, reset_administrator};

/// Passwords that are hashed at the same time: each takes 19 MiB.
const HASHES: usize = 2;
/// Logins that wait for it, those being hashed among them; more are told to come again. They wait about a second then.
const WAITING_HASHES: usize = 64;
/// Other long computations at the same time, such as making keys: what strangers ask for must not hold up a rotation.
const COMPUTATIONS: usize = 2;

/// Everything that handlers and tasks share.
pub struct App {
    /// The only now.
    pub clock: Clock,
    /// Records.
    pub db: Db,
    /// What happened.
    pub audit: Audit,
    /// What stored secrets are hashed under.
    pub pepper: Pepper,
    /// The id of the tenant `default`.
    pub operators: Name,
    /// Limits on every token.
    pub limits: Limits,
    /// What every step of a login needs.
    pub realm: Realm,
    /// Since when tokens of users count, where the tower was brought back from a backup.
    pub people_since: Option<OffsetDateTime>,
    /// What is known of providers that log users in.
    pub providers: login::providers::Cache,
    /// The logins that are under way.
    pub ceremonies: login::ceremonies::Ceremonies,
    /// How others reach the tower.
    pub external_url: ExternalUrl,
    /// Counters.
    pub metrics: Metrics,
    /// What the background tasks did last.
    pub tasks: Tasks,
    /// The tower's own identity.
    pub own_svid: crate::own_svid::OwnSvid,
    /// Policies, made ready.
    pub policies: crate::policies::Cache,
    /// What the hosts of each site load, made ready.
    pub firewalls: crate::firewall::Cache,
    /// The documents that the API accepts.
    schema: keyward_config_tree::Schema,
    /// The same, with those of the tenant `default` alone.
    operators_schema: keyward_config_tree::Schema,
    /// Keys that were fetched to verify SVIDs at logins.
    pub inbound_keys: crate::inbound::KeyCache,
    /// Whose X.509-SVIDs can log in.
    pub client_issuers: crate::inbound::ClientIssuers,
    /// Who changes which key, authority or configuration now.
    pub turns: Turns,
    /// Held while a wrapping key is made.
    pub making_wrapping_key: tokio::sync::Mutex<()>,
    /// What of calling home is in this process alone.
    pub call_home: crate::call_home::CallHome,
    /// What of federation is in this process alone.
    pub federation: crate::federation::Federation,
    /// What each client may ask for.
    pub limiter: Limiter,
    /// By which it can be sealed.
    pub gate: crate::gate::Handle,
    hashing: Arc<Semaphore>,
    waiting_hashes: Semaphore,
    computing: Arc<Semaphore>,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The only now.
    pub clock: Clock,
    /// The keys that seal records, and the store that these are in.
    pub keyring: Arc<Keyring>,
    /// What happened.
    pub audit: Audit,
    /// How others reach the tower.
    pub external_url: ExternalUrl,
    /// What each client may ask for.
    pub rate_limit: RateLimit,
    /// The domain of passkeys, where it is not the external URL's host.
    pub relying_party: Option<String>,
}

/// Who asks, as the audit log names them.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The id of their tenant; where none is known, of the tenant `default`, whose administrators run the tower.
    pub tenant: String,
    /// `user/<name>`, `approle/<name>`, `spiffe/<name>`, `task/<name>`, or empty.
    pub subject: String,
    /// Whom an SVID identified, where they logged in with one.
    pub spiffe_id: Option<SpiffeId>,
    /// Where from.
    pub source: Option<IpAddr>,
}

impl Actor {
    /// The tower itself.
    pub fn task(tenant: &Name, name: &str) -> Self {
        Self { tenant: tenant.to_string(), subject: format!("task/{name}"), spiffe_id: None, source: None }
    }

    /// Somebody who has not proved anything.
    pub fn stranger(app: &App, source: IpAddr) -> Self {
        Self { tenant: app.operators.to_string(), subject: String::new(), spiffe_id: None, source: Some(source) }
    }

    /// A record of what they did.
    pub fn record(&self, event: &'static str, outcome: AuditOutcome, now: OffsetDateTime) -> AuditRecord {
        let source = self.source.map(|source| source.to_string()).unwrap_or_default();
        let record = AuditRecord::new(self.tenant.clone(), event, outcome, self.subject.clone(), source, now);
        match &self.spiffe_id {
            Some(id) => record.with("spiffe-id", id.as_str()),
            None => record,
        }
    }

    /// A record of what they succeeded in.
    pub fn did(&self, event: &'static str, now: OffsetDateTime) -> AuditRecord {
        self.record(event, AuditOutcome::Success, now)
    }

    /// A record of what they were refused, and why.
    pub fn refused(&self, event: &'static str, reason: &str, now: OffsetDateTime) -> AuditRecord {
        self.record(event, AuditOutcome::Refused, now).with("reason", reason)
    }
}

/// How a commit ended that did not fail.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// It is durable.
    Done(Revision),
    /// Something that it relied on had changed: read again, decide again.
    Conflict,
}

impl App {
    /// Puts the parts together; the first time with what a tower needs to be logged in to, whose one-time credentials are
    /// answered.
    ///
    /// # Errors
    /// The store is not readable, or not with these keys.
    pub async fn start(parts: Parts) -> anyhow::Result<(Arc<Self>, Option<Credentials>)> {
        let db = Db::new(parts.keyring);
        crate::keyring::rewrap::resume(&db).await?;
        let secret = login::realm::secret(&db).await?;
        let now = parts.clock.now();
        let credentials = bootstrap::prepare(&db, &parts.audit, &secret, now).await?;
        migration::run(&db, now).await?;
        let people_since = crate::restored::since(&db, now).await?;
        let realm = login::realm::realm(&parts.external_url, parts.relying_party.as_deref(), secret)?;
        let pepper = bootstrap::pepper(&db).await?;
        let operators = Tenant::by_name(&db, &tenant::DEFAULT.parse()?).await?;
        let operators = operators.context("the store has lost the tenant `default`")?.value.id.clone();
        let app = Self {
            operators,
            clock: parts.clock,
            db,
            audit: parts.audit,
            pepper,
            limits: Limits::default(),
            realm,
            people_since,
            providers: login::providers::Cache::default(),
            ceremonies: login::ceremonies::Ceremonies::default(),
            external_url: parts.external_url,
            metrics: Metrics::default(),
            tasks: Tasks::default(),
            own_svid: crate::own_svid::OwnSvid::default(),
            policies: crate::policies::Cache::default(),
            firewalls: crate::firewall::Cache::default(),
            schema: documents::schema(Limits::default())?,
            operators_schema: documents::operators_schema(Limits::default())?,
            inbound_keys: crate::inbound::KeyCache::default(),
            client_issuers: crate::inbound::ClientIssuers::default(),
            turns: Turns::default(),
            making_wrapping_key: tokio::sync::Mutex::default(),
            call_home: crate::call_home::CallHome::default(),
            federation: crate::federation::Federation::default(),
            limiter: Limiter::new(parts.rate_limit, RandomState::new()),
            gate: crate::gate::Handle::default(),
            hashing: Arc::new(Semaphore::new(HASHES)),
            waiting_hashes: Semaphore::new(WAITING_HASHES),
            computing: Arc::new(Semaphore::new(COMPUTATIONS)),
        };
        app.warn_of_moved_trust_domain().await?;
        // What the last run committed and did not bring to the log.
        if let Err(error) = app.relay_audit().await {
            tracing::error!(%error, "nothing is changed until the audit log takes records again");
        }
        Ok((Arc::new(app), credentials))
    }

    /// Identities keep the trust domain of the first one; whoever changed the external URL may expect otherwise.
    async fn warn_of_moved_trust_domain(&self) -> anyhow::Result<()> {
        let identity = Identity::load(&self.db, &self.operators).await?;
        if let Some(stored) = identity.stored_trust_domain()
            && stored.as_str() != self.external_url.host()
            && !identity.names_trust_domain()
        {
            tracing::warn!(
                trust_domain = %stored, host = self.external_url.host(),
                "identities keep the trust domain of the first one, not the external URL's host; set `trust-domain` to change it"
            );
        }
        Ok(())
    }

    /// Makes a change durable, and its record with it. It may still come about when its caller is dropped, as happens when a
    /// client goes away; then its record does too.
    ///
    /// # Errors
    /// The log or the store does not take it; nothing was changed, or (said in the text) it is not known.
    pub async fn commit(&self, guards: Vec<Guard>, writes: Vec<Write>, record: AuditRecord) -> Answer<Commit> {
        match self.try_commit(guards, writes, record).await? {
            Outcome::Committed(revision) => Ok(Commit::Done(revision)),
            Outcome::Conflict { key } => {
                tracing::debug!(key, "conflict");
                Ok(Commit::Conflict)
            }
            Outcome::Unknown => Err(ApiError::unavailable(
                "the store's answer was lost; the change may have happened, look before you repeat it",
            )),
        }
    }

    /// The same for whoever asks what of it had changed.
    ///
    /// # Errors
    /// The log or the store does not take it.
    pub async fn try_commit(&self, guards: Vec<Guard>, mut writes: Vec<Write>, record: AuditRecord) -> Answer<Outcome> {
        let store = self.db.store();
        store.health()?;
        let note = self.audit.health().and_then(|()| self.audit.note(&record)).map_err(|error| {
            tracing::error!(%error, "audit");
            ApiError::unavailable("the audit log takes no records now; nothing was changed")
        })?;
        let changed: Vec<String> = writes.iter().filter_map(Write::key).map(str::to_owned).collect();
        writes.push(note);
        let outcome = store.commit(guards, writes).await?;
        if let Outcome::Committed(_) = outcome {
            self.db.forget_changed(&changed);
        }
        Ok(outcome)
    }

    /// Makes a record durable, of something that is permitted and changes nothing in the store.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn record(&self, record: AuditRecord) -> Answer<()> {
        // Without guards there is no conflict.
        self.commit(Vec::new(), Vec::new(), record).await.map(drop)
    }

    /// Brings the audit log up to date.
    ///
    /// # Errors
    /// Those of [`Audit::relay`].
    pub async fn relay_audit(&self) -> Result<(), AuditError> {
        self.audit.relay(&**self.db.store()).await
    }

    /// The documents that a tenant can have.
    pub fn schema(&self, tenant: &Name) -> &keyward_config_tree::Schema {
        if self.is_operators(tenant) { &self.operators_schema } else { &self.schema }
    }

    /// Whether it is the tenant whose administrators run the tower.
    pub fn is_operators(&self, tenant: &Name) -> bool {
        *tenant == self.operators
    }

    /// A tenant by its id, as a guard that it is still there: a removal holds from its first commit on. The tenant `default`
    /// cannot be removed and needs no look.
    ///
    /// # Errors
    /// Those of the store; `None` within where it is gone.
    pub async fn living(&self, tenant: &Name) -> Result<Option<Option<Guard>>, DbError> {
        if self.is_operators(tenant) {
            return Ok(Some(None));
        }
        Ok(Tenant::by_id(&self.db, tenant.as_str()).await?.map(|stored| Some(stored.guard())))
    }

    /// Lets go of what this process keeps of a tenant that is gone.
    pub fn forget_tenant(&self, tenant: &Name) {
        self.policies.forget(tenant);
        self.inbound_keys.forget_tenant(tenant);
        self.providers.forget(tenant);
        self.metrics.forget_tenant(tenant);
        self.db.forget(&layout::everything(tenant));
        self.db.forget(&layout::tenant_id(tenant.as_str()));
    }

    /// Records a refusal, without waiting.
    pub fn refuse(&self, record: AuditRecord) {
        self.metrics.refusals.inc();
        self.audit.append_refusal(record, self.db.store().revision());
    }

    /// Runs work that takes a processor for long, such as making a key, outside the request loop and a few at a time.
    ///
    /// # Errors
    /// It panicked.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        few_at_a_time(&self.computing, work).await
    }

    /// As [`compute`](Self::compute), for hashing the passwords that strangers send.
    ///
    /// # Errors
    /// 429 when too many wait already; it panicked.
    pub async fn hash<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let _place = self.waiting_hashes.try_acquire().map_err(|_| {
            let message = "too many logins at once; try again in a few seconds";
            ApiError::too_many(message, std::time::Duration::from_secs(2))
        })?;
        few_at_a_time(&self.hashing, work).await
    }

    /// Writes a record with the entry that will remove it.
    ///
    /// # Errors
    /// It cannot be sealed.
    pub fn put_until(&self, key: String, bytes: &[u8], until: OffsetDateTime) -> Result<[Write; 2], DbError> {
        let expiry = Write::Put(layout::expiry(until, &key), Vec::new());
        Ok([self.db.put(key, bytes)?, expiry])
    }

    /// When what a person gets now says that it was made: never before what a restore ended, whatever became of the clock.
    pub fn dated(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.people_since.map_or(now, |since| since.max(now))
    }

    /// A random name for something.
    pub fn fresh_id(&self) -> String {
        random::uuid()
    }
}

/// The permit goes with the work, which goes on when its caller is dropped: clients that go away at once must not get more done
/// at a time than others.
async fn few_at_a_time<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Answer<T> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(ApiError::internal)?;
    let work = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}
