//! Whether the tower is sealed. While it is, it has no keys and answers that it is sealed; unsealing puts the application
//! together, and sealing drops it with everything that it holds.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request, middleware, response::Response};
use keyward_config_values::Cidr;
use keyward_svid::x509::authority::Subject;
use keyward_transit::{RecordError, SealKind};
use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{sync::Mutex, task::JoinSet};
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use crate::{
    app::{Actor, App, Commit, Credentials, Parts},
    audit::{Audit, AuditRecord},
    call_home,
    clock::Clock,
    config::ExternalUrl,
    federation::{self, Endpoint, Serving},
    http::{
        self,
        error::{Answer, ApiError},
        sealed,
    },
    keyring::{Fenced, Keyring, KeyringError},
    network::Network,
    rate_limit::RateLimit,
    router, seal,
    server::{Front, Rules, TOO_MANY},
    tasks,
    tls::{Authority, Tls},
};

/// Attempts to unseal from elsewhere at the same time: one is worked on, the others wait. Each takes 128 MiB and a good part of a
/// second, and whoever knows the passphrase waits for those before it. One network has one of these places, so that no stranger has
/// them all.
const FROM_ELSEWHERE: usize = 4;

/// Those from the machine itself, whose places nobody else takes.
const FROM_HERE: usize = 2;

/// What is there whether the tower is sealed or not.
pub struct Gate {
    clock: Clock,
    keyring: Arc<Keyring>,
    audit: Audit,
    external_url: ExternalUrl,
    tls: Arc<Tls>,
    federation: Option<SocketAddr>,
    call_home: Option<SocketAddr>,
    ca_file: Option<PathBuf>,
    rate_limit: RateLimit,
    relying_party: Option<String>,
    serving: RwLock<Arc<Serving>>,
    open: RwLock<Option<Open>>,
    attempts: Attempts,
    attempt: Mutex<()>,
    refused: AtomicU64,
}

/// What is there while the tower is unsealed.
struct Open {
    app: Arc<App>,
    router: Router,
    federation: Router,
    call_home: Router,
    /// Dropping it ends them between two steps.
    tasks: JoinSet<()>,
}

/// What a [`Gate`] is made of.
pub struct GateParts {
    /// The only now.
    pub clock: Clock,
    /// The keys, if the tower has them.
    pub keyring: Arc<Keyring>,
    /// What happened.
    pub audit: Audit,
    /// How others reach the tower.
    pub external_url: ExternalUrl,
    /// What the API is served with.
    pub tls: Arc<Tls>,
    /// Where bundles are served with the tower's SVID, if anywhere.
    pub federation: Option<SocketAddr>,
    /// Where hosts call home, if anywhere.
    pub call_home: Option<SocketAddr>,
    /// The file with the certificate that clients are to trust, if it is the tower's own.
    pub ca_file: Option<PathBuf>,
    /// What each client may ask for.
    pub rate_limit: RateLimit,
    /// The domain of passkeys, where it is not the external URL's host.
    pub relying_party: Option<String>,
}

impl Gate {
    /// Sealed, until [`open`](Self::open) is called.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(parts: GateParts) -> Result<Arc<Self>, rustls::Error> {
        let GateParts {
            clock,
            keyring,
            audit,
            external_url,
            tls,
            federation,
            call_home,
            ca_file,
            rate_limit,
            relying_party,
        } = parts;
        Ok(Arc::new(Self {
            clock,
            keyring,
            audit,
            external_url,
            tls,
            federation,
            call_home,
            ca_file,
            rate_limit,
            relying_party,
            serving: RwLock::new(Arc::new(Serving::new()?)),
            open: RwLock::default(),
            attempts: Attempts::default(),
            attempt: Mutex::default(),
            refused: AtomicU64::new(0),
        }))
    }

    /// Puts the application together with the keys that the keyring has; answers credentials at the first start.
    ///
    /// # Errors
    /// The store is not readable, or not with these keys.
    pub async fn open(self: &Arc<Self>) -> anyhow::Result<Option<Credentials>> {
        let parts = Parts {
            clock: self.clock.clone(),
            keyring: Arc::clone(&self.keyring),
            audit: self.audit.clone(),
            external_url: self.external_url.clone(),
            rate_limit: self.rate_limit,
            relying_party: self.relying_party.clone(),
        };
        let (app, credentials) = App::start(parts).await?;
        app.gate.get_or_init(|| Arc::downgrade(self));
        let mut tasks = tasks::start(&app);
        if let Some(bound) = self.federation {
            let serving = self.serving();
            app.federation.endpoint.get_or_init(|| Endpoint::new(&self.external_url, bound));
            if let Err(error) = serving.refresh(&app).await {
                tracing::error!(error = error.message(), "the federation endpoint gets no SVID as yet");
            }
            tasks.spawn(serving.keep_fresh(Arc::clone(&app)));
        }
        if let Some(bound) = self.call_home {
            let endpoint = call_home::Endpoint::new(&self.external_url, bound)?;
            tracing::info!(url = endpoint.url().as_str(), "hosts call home here");
            app.call_home.endpoint.get_or_init(|| endpoint);
        }
        if let Err(error) = app.client_issuers.refresh(&app).await.and(app.call_home.serving.refresh(&app).await) {
            tracing::warn!(error = error.message(), "whose certificates are asked for is found out later");
        }
        let (router, federation) = (router::router(Arc::clone(&app)), federation::router(Arc::clone(&app)));
        let call_home = http::call_home::router(Arc::clone(&app));
        *self.write() = Some(Open { app, router, federation, call_home, tasks });
        Ok(credentials)
    }

    /// Forgets the keys, and everything that was opened with them as soon as the last request that works with it has ended.
    pub fn close(&self) {
        let open = self.write().take();
        self.keyring.lock();
        self.tls.forget_authority();
        match Serving::new() {
            Ok(fresh) => *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh),
            Err(error) => tracing::error!(%error, "TLS"),
        }
        drop(open);
    }

    /// Ends what runs by itself, and writes what is left.
    ///
    /// # Errors
    /// The audit log does not take it.
    pub async fn end(&self) -> anyhow::Result<()> {
        let open = self.write().take();
        if let Some(mut open) = open {
            open.tasks.shutdown().await;
            open.app.relay_audit().await?;
        }
        Ok(())
    }

    /// The application, unless the tower is sealed.
    #[must_use]
    pub fn app(&self) -> Option<Arc<App>> {
        self.read(|open| Arc::clone(&open.app))
    }

    /// The time, for what a sealed tower answers.
    #[must_use]
    pub fn now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }

    /// What the keys are sealed by.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn kind(&self) -> Result<SealKind, KeyringError> {
        Ok(self.keyring.stored().await?.ok_or(KeyringError::Absent)?.kind().clone())
    }

    /// Opens the tower with a passphrase or a key; nothing happens to one that is open. It goes on when its caller is gone.
    ///
    /// # Errors
    /// 401 for another one, with one text; 429 with `Retry-After` when too many try at once; the store's.
    pub async fn unseal(self: &Arc<Self>, text: Zeroizing<Vec<u8>>, source: IpAddr) -> Answer<()> {
        let gate = Arc::clone(self);
        tokio::spawn(async move { gate.unseal_now(text, source).await }).await.map_err(ApiError::internal)?
    }

    async fn unseal_now(self: &Arc<Self>, text: Zeroizing<Vec<u8>>, source: IpAddr) -> Answer<()> {
        let _place = self.attempts.place(source).map_err(|wait| {
            ApiError::too_many(
                "too many try to unseal at once; try again in a few seconds, or from the machine itself",
                wait,
            )
        })?;
        // One at a time: each takes as much memory and time as guessing should.
        let _turn = self.attempt.lock().await;
        if self.app().is_some() {
            return Ok(());
        }
        let kind = self.kind().await?;
        let derived = tokio::task::spawn_blocking(move || seal::derive(&kind, text)).await;
        let unlocked = match derived.map_err(ApiError::internal)? {
            Ok(key) => self.keyring.unlock(key).await,
            Err(_) => Err(RecordError::Refused.into()),
        };
        match unlocked {
            Ok(()) => {}
            Err(KeyringError::Record(RecordError::Refused)) => {
                let attempts = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(%source, attempts, "not unsealed: another passphrase or key");
                return Err(ApiError::unauthenticated("the tower does not open with this passphrase or key"));
            }
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = self.opened_by_call(source).await {
            self.close();
            return Err(ApiError::internal(format!("{error:#}")));
        }
        Ok(())
    }

    async fn opened_by_call(self: &Arc<Self>, source: IpAddr) -> anyhow::Result<()> {
        if self.tls.is_own() {
            let (keys, now) = (self.keyring.opened()?, Clock::system().now());
            let store = Fenced::new(Arc::clone(&self.keyring));
            self.tls.adopt_authority(Authority::load_or_create(&store, keys.keks(), now).await?, now)?;
        }
        self.open().await?;
        if let Some(app) = self.app() {
            let attempts = self.refused.swap(0, Ordering::Relaxed);
            let record = Actor::stranger(&app, source).did("unseal", app.clock.now());
            let recorded = app.record(record.with("refused-attempts", attempts)).await;
            recorded.map_err(|error| anyhow::anyhow!("{}", error.message()))?;
        }
        tracing::info!(%source, "unsealed");
        Ok(())
    }

    /// What the API's next connection is served with.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        match self.app() {
            Some(app) => app.client_issuers.server_config(&self.tls),
            None => self.tls.server_config(),
        }
    }

    /// What the next connection of a host that calls home is served with.
    #[must_use]
    pub fn call_home_config(&self) -> Arc<ServerConfig> {
        match self.app() {
            Some(app) => app.call_home.serving.server_config(&self.tls),
            None => self.tls.server_config(),
        }
    }

    /// What stands before the listener on which hosts call home, as the settings say.
    #[must_use]
    pub fn call_home_front(self: &Arc<Self>) -> Front {
        let gate = Arc::clone(self);
        let rules = move || gate.app().map_or_else(Rules::default, |app| app.call_home.serving.rules());
        Front::new(rules, self.refusals("call-home"))
    }

    /// What stands before the other listeners: proxies that are believed.
    #[must_use]
    pub fn front(self: &Arc<Self>, trusted: &[Cidr]) -> Front {
        let rules = Rules { trusted: trusted.into(), ..Rules::default() };
        Front::new(move || rules.clone(), self.refusals("connection"))
    }

    /// Takes down connections that were refused: not every one, for that would fill the log.
    fn refusals(self: &Arc<Self>, what: &'static str) -> impl Fn(IpAddr, &'static str, String) + Send + Sync + 'static {
        let gate = Arc::clone(self);
        move |source, code, why| {
            let Some(app) = gate.app() else { return };
            if code == TOO_MANY {
                app.metrics.rate_limited("connections");
            }
            if app.limiter.is_reported(source, code, app.clock.uptime()) {
                let record = Actor::stranger(&app, source).refused(what, code, app.clock.now());
                app.refuse(record.with("why", why));
            }
        }
    }

    /// Puts another authority in the place of the API's: from the next handshake on it is served with a certificate of that one, and
    /// the file that clients read has it. `None` where the certificate is the operator's.
    ///
    /// # Errors
    /// It issues none; another tower was faster; those of the store.
    pub async fn replace_authority(&self, app: &App, subject: &Subject, record: AuditRecord) -> Answer<Option<String>> {
        if !self.tls.is_own() {
            return Ok(None);
        }
        // Peers check certificates against their own clocks.
        let (keys, now) = (self.keyring.opened()?, Clock::system().now());
        let made = Authority::successor(&**app.db.store(), keys.keks(), subject, now).await;
        let (authority, guard, write) = made.map_err(ApiError::internal)?;
        if let Commit::Conflict = app.commit(vec![guard], vec![write], record).await? {
            return Err(ApiError::conflict("another tower replaced the authority at the same time"));
        }
        let pem = authority.certificate_pem();
        self.tls.adopt_authority(authority, now).map_err(ApiError::internal)?;
        if let Some(path) = &self.ca_file {
            crate::data_dir::replace_public(path, pem.as_bytes()).map_err(ApiError::internal)?;
        }
        Ok(Some(pem))
    }

    /// What verifies the API and the listener on which hosts call home.
    #[must_use]
    pub fn trust_anchors(&self) -> Vec<CertificateDer<'static>> {
        self.tls.trust_anchors()
    }

    /// The same in PEM, unless a public authority does it.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.tls.ca_pem()
    }

    /// What the next connection of the federation endpoint is served with: without an SVID no handshake succeeds.
    #[must_use]
    pub fn federation_config(&self) -> Arc<ServerConfig> {
        self.serving().server_config()
    }

    fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.serving.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, read: impl FnOnce(&Open) -> T) -> Option<T> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(read)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<Open>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who tries to unseal at this moment.
#[derive(Default)]
struct Attempts(std::sync::Mutex<Trying>);

#[derive(Default)]
struct Trying {
    from_here: usize,
    from_elsewhere: BTreeSet<Network>,
}

/// A place among [`Attempts`], given back when it is dropped.
#[derive(Debug)]
struct Place<'a>(&'a Attempts, Option<Network>);

impl Attempts {
    /// A place, or how long those take that are before it.
    fn place(&self, source: IpAddr) -> Result<Place<'_>, Duration> {
        let network = (!source.to_canonical().is_loopback()).then(|| Network::from(source));
        let mut trying = self.trying();
        let is_free = match network {
            None => trying.from_here < FROM_HERE,
            Some(network) => trying.from_elsewhere.len() < FROM_ELSEWHERE && !trying.from_elsewhere.contains(&network),
        };
        if !is_free {
            return Err(Duration::from_secs((trying.from_here + trying.from_elsewhere.len()) as u64));
        }
        match network {
            None => trying.from_here += 1,
            Some(network) => {
                trying.from_elsewhere.insert(network);
            }
        }
        Ok(Place(self, network))
    }

    fn trying(&self) -> std::sync::MutexGuard<'_, Trying> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempts(..)")
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut trying = self.0.trying();
        match self.1 {
            None => trying.from_here -= 1,
            Some(network) => {
                trying.from_elsewhere.remove(&network);
            }
        }
    }
}

/// The gate of an application, where there is one.
pub type Handle = std::sync::OnceLock<Weak<Gate>>;

/// Where the certificate is kept that a sealed tower is served with.
#[must_use]
pub fn standby(data_dir: &std::path::Path) -> crate::config::TlsFiles {
    let at = |name: &str| -> PathBuf { data_dir.join(name) };
    crate::config::TlsFiles { cert: at("api.pem"), key: at("api.key") }
}

/// The API: that of the application, or that of a sealed tower.
pub fn api(gate: &Arc<Gate>) -> Router {
    let sealed = sealed::router(Arc::clone(gate));
    behind(gate, sealed, |open| open.router.clone()).layer(middleware::from_fn(http::pages::for_people))
}

/// The federation endpoint.
pub fn bundles(gate: &Arc<Gate>) -> Router {
    behind(gate, sealed::refusals(), |open| open.federation.clone())
}

/// Where hosts call home.
pub fn call_home(gate: &Arc<Gate>) -> Router {
    behind(gate, sealed::refusals(), |open| open.call_home.clone())
}

fn behind(gate: &Arc<Gate>, sealed: Router, which: fn(&Open) -> Router) -> Router {
    let gate = Arc::clone(gate);
    Router::new().fallback(move |request: Request| {
        let router = gate.read(which).unwrap_or_else(|| sealed.clone());
        async move {
            let response: Result<Response, std::convert::Infallible> = router.oneshot(request).await;
            response
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_wait_and_no_stranger_has_all_places() {
        let attempts = Attempts::default();
        let at = |text: &str| attempts.place(text.parse().unwrap());
        let first = at("192.0.2.1").unwrap();
        assert_eq!(at("192.0.2.1").unwrap_err(), Duration::from_secs(1));
        assert!(at("::ffff:192.0.2.1").is_err());
        let second = at("2001:db8::1").unwrap();
        assert!(at("2001:db8::ffff:2").is_err() && at("2001:db8:0:1::1").is_ok());
        drop(first);
        let others: Vec<_> = (0..3).map(|n| at(&format!("198.51.100.{n}")).unwrap()).collect();
        assert_eq!(at("192.0.2.1").unwrap_err(), Duration::from_secs(4), "all places are taken");
        // Those of the machine itself are its own, and few too.
        let own: Vec<_> = ["127.0.0.1", "::1"].map(|own| at(own).unwrap()).into();
        assert_eq!(at("127.0.0.2").unwrap_err(), Duration::from_secs(6));
        drop((second, others, own));
        let trying = attempts.trying();
        assert!(trying.from_elsewhere.is_empty() && trying.from_here == 0);
    }
}
