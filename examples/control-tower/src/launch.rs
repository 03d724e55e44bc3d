//! From settings to running parts: what `main` does, in steps that it can read.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use keyward_config_values::Name;
use keyward_transit::SealKind;
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    app::{App, Credentials, Parts, reset_administrator},
    audit::{self, Audit, AuditOptions, AuditOutcome, AuditRecord},
    backup,
    clock::Clock,
    config::{Config, ExternalUrl, SealChoice, StoreChoice, TlsFiles},
    data_dir::{DataDir, StoreLock},
    db::Db,
    federation::Endpoint,
    gate::{self, Gate, GateParts},
    keyring::{Fenced, Keyring},
    moment,
    rate_limit::RateLimit,
    seal::{self, Presented, Unsealing},
    server::{self, Drain, Limits, TlsSource},
    store::{Memory, SharedStore, Sqlite},
    tenant::{self, Tenant},
    tls::{Authority, Tls},
};

/// The file with the certificate that clients are to trust.
const CA: &str = "ca.pem";

/// What is on the disk, opened and locked.
pub struct Opened {
    clock: Clock,
    store: SharedStore,
    keyring: Arc<Keyring>,
    audit: Audit,
    directory: DataDir,
    store_lock: Option<StoreLock>,
}

/// A tower that serves as soon as [`serve`](Self::serve) is called. Its port is open already.
pub struct Tower {
    /// How others reach it.
    pub url: ExternalUrl,
    /// The certificate that clients are to trust, unless it is the operator's.
    pub ca_cert: Option<PathBuf>,
    /// Where others fetch the bundle of the tenant `default`, authenticated by SPIFFE, if anywhere.
    pub federation_url: Option<String>,
    /// Where hosts call home, if anywhere.
    pub call_home_url: Option<String>,
    /// How to log in for the first time, at the first start.
    pub credentials: Option<Credentials>,
    /// Whether somebody has to unseal it.
    pub is_sealed: bool,
    gate: Arc<Gate>,
    tls: Arc<Tls>,
    listener: TcpListener,
    federation: Option<TcpListener>,
    call_home: Option<TcpListener>,
    /// Dropped last: the locks go when everything is written.
    _directory: DataDir,
    _store_lock: Option<StoreLock>,
}

/// What is made without serving.
pub struct Initialised {
    /// How others will reach the tower, started with the same settings.
    pub url: ExternalUrl,
    /// The certificate that clients are to trust, unless it is the operator's.
    pub ca_cert: Option<PathBuf>,
    /// Where others will fetch the bundle of the tenant `default`, authenticated by SPIFFE, if anywhere.
    pub federation_url: Option<String>,
    /// How to log in for the first time.
    pub credentials: Credentials,
}

/// Opens what is on the disk, making what is missing. The key that seals is on the disk before anything that it seals.
///
/// # Errors
/// What is there is damaged, newer, somebody else's, or in use.
pub async fn open(config: &Config) -> anyhow::Result<Opened> {
    open_checked(config, Missing::Make).await
}

async fn open_checked(config: &Config, missing: Missing) -> anyhow::Result<Opened> {
    let clock = clock(config)?;
    // A seal that gives no key is refused before anything is made.
    let is_new = match &config.store {
        StoreChoice::Sqlite(path) => !path.exists(),
        StoreChoice::Memory => true,
    };
    let presented = if is_new { Some(Presented::read_to_begin(&config.seal)?) } else { None };
    let directory = DataDir::open(&config.data_dir, "control-tower")?;
    // One process writes an SQLite store, and knows from memory what is in it; it may lie elsewhere than in its own directory.
    let (store, store_lock): (SharedStore, _) = match &config.store {
        StoreChoice::Sqlite(path) => {
            let lock = StoreLock::take(path, "control-tower")?;
            (Arc::new(Sqlite::open(path).with_context(|| path.display().to_string())?), Some(lock))
        }
        StoreChoice::Memory => (Arc::new(Memory::new()), None),
    };
    if missing == Missing::Refuse && store.revision() == 0 {
        anyhow::bail!("there is nothing in the store of `{}`: start the tower once", config.data_dir.display());
    }
    let keyring = Arc::new(Keyring::new(Arc::clone(&store)));
    let presented = match presented {
        Some(presented) => presented,
        None => Presented::read(&config.seal)?,
    };
    let unsealing = seal::open(&keyring, &config.seal, presented, store.revision() > 0).await?;
    if unsealing == Unsealing::Created {
        tracing::warn!(
            seal = %config.seal,
            "made the key that seals all secrets: whoever reads this file and the store has them, and without a copy of it a \
             backup without passphrase cannot be restored"
        );
    }
    let audit = Audit::open(&config.data_dir.join(audit::DIRECTORY), AuditOptions::default())?;
    Ok(Opened { clock, store, keyring, audit, directory, store_lock })
}

/// Opens what a tower has made already; where there is nothing, nothing is made.
///
/// # Errors
/// There is no store, or nothing in it; otherwise as [`open`].
pub async fn open_existing(config: &Config) -> anyhow::Result<Opened> {
    match &config.store {
        StoreChoice::Sqlite(path) if !path.exists() => {
            anyhow::bail!("there is no store `{}`: is --data-dir right?", path.display())
        }
        _ => open_checked(config, Missing::Refuse).await,
    }
}

/// What becomes of a store that nothing was ever written to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It is begun.
    Make,
    /// It is an error.
    Refuse,
}

/// TLS with a certificate from the tower's own authority. Where the tower may have to be served before somebody sends the
/// passphrase, the certificate is kept in files, too.
async fn own_tls(
    keyring: &Arc<Keyring>,
    url: ExternalUrl,
    standby: TlsFiles,
    now: OffsetDateTime,
) -> anyhow::Result<Tls> {
    let keys = keyring.opened()?;
    let authority = Authority::load_or_create(&Fenced::new(Arc::clone(keyring)), keys.keks(), now).await?;
    let standby = matches!(keys.kind(), SealKind::Passphrase(_)).then_some(standby);
    Ok(Tls::from_authority_with(authority, url, standby, now)?)
}

#[cfg(feature = "test-clock")]
fn clock(config: &Config) -> anyhow::Result<Clock> {
    match &config.test_clock {
        Some(path) => {
            tracing::warn!(path = %path.display(), "the clock is moved from outside");
            Ok(Clock::from_offset_file(path)?)
        }
        None => Ok(Clock::system()),
    }
}

#[cfg(not(feature = "test-clock"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature `test-clock` it can fail")]
fn clock(_: &Config) -> anyhow::Result<Clock> {
    Ok(Clock::system())
}

impl Opened {
    /// Opens the port, gets a certificate, and puts the application together.
    ///
    /// # Errors
    /// The port is taken, or the store does not open with this key.
    pub async fn start(self, config: &Config) -> anyhow::Result<Tower> {
        let Self { clock, keyring, audit, directory, store_lock, .. } = self;
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let url = config.url(listener.local_addr()?);
        let federation = bind(config.federation_listen).await?;
        let call_home = bind(config.call_home_listen).await?;
        // Peers check certificates against their own clocks.
        let now = Clock::system().now();
        let standby = gate::standby(&config.data_dir);
        let is_sealed = keyring.opened().is_err();
        let tls = match &config.tls {
            Some(files) => Tls::from_files(files.clone())?,
            None if is_sealed => Tls::from_standby(standby, url.clone()).with_context(|| {
                "there is no certificate to serve until the tower is unsealed: start it once with --seal \
                 passphrase:file:FILE, or give --tls-cert"
            })?,
            None => own_tls(&keyring, url.clone(), standby, now).await?,
        };
        // Absolute: whoever reads it may stand elsewhere.
        let ca_cert = match tls.ca_pem() {
            Some(pem) => Some(std::path::absolute(directory.write_public(CA, pem.as_bytes())?)?),
            None if is_sealed && tls.is_own() => Some(std::path::absolute(directory.path().join(CA))?),
            None => None,
        };
        let tls = Arc::new(tls);
        let bound = federation.as_ref().map(TcpListener::local_addr).transpose()?;
        let parts = GateParts {
            clock,
            keyring,
            audit,
            external_url: url.clone(),
            tls: Arc::clone(&tls),
            federation: bound,
            call_home: call_home.as_ref().map(TcpListener::local_addr).transpose()?,
            ca_file: config.tls.is_none().then(|| directory.path().join(CA)),
            rate_limit: config.rate_limit,
            relying_party: config.relying_party.clone(),
        };
        let gate = Gate::new(parts)?;
        let credentials = if is_sealed { None } else { gate.open().await? };
        let federation_url = gate.app().zip(bound).map(|(app, bound)| {
            let url = Endpoint::new(&url, bound).url(app.operators.as_str());
            tracing::info!(url, "bundles are served with the tower's SVID");
            url
        });
        let endpoint = gate.app().and_then(|app| app.call_home.endpoint.get().cloned());
        Ok(Tower {
            url,
            ca_cert,
            federation_url,
            call_home_url: endpoint.map(|endpoint| endpoint.url().as_str().to_owned()),
            credentials,
            is_sealed,
            gate,
            tls,
            listener,
            federation,
            call_home,
            _directory: directory,
            _store_lock: store_lock,
        })
    }

    /// The application alone, which serves nobody.
    ///
    /// # Errors
    /// The store does not open with this key.
    pub async fn app(self, config: &Config) -> anyhow::Result<Arc<App>> {
        let external_url = config.url(config.listen);
        let Self { clock, keyring, audit, .. } = self;
        let (rate_limit, relying_party) = (RateLimit::OFF, config.relying_party.clone());
        let parts = Parts { clock, keyring, audit, external_url, rate_limit, relying_party };
        Ok(App::start(parts).await?.0)
    }

    /// Makes what the first start makes, without serving.
    ///
    /// # Errors
    /// It was made already.
    pub async fn init(self, config: &Config) -> anyhow::Result<Initialised> {
        let now = Clock::system().now();
        self.keyring.opened().map_err(|_| seal::SealError::NeedsPassphrase)?;
        let url = config.url(config.listen);
        let mut ca_cert = None;
        if config.tls.is_none() {
            let standby = gate::standby(&config.data_dir);
            let tls = own_tls(&self.keyring, url.clone(), standby, now).await?;
            let path = self.directory.write_public(CA, tls.ca_pem().unwrap_or_default().as_bytes())?;
            ca_cert = Some(std::path::absolute(path)?);
        }
        let parts = Parts {
            clock: self.clock,
            keyring: self.keyring,
            audit: self.audit,
            external_url: url.clone(),
            rate_limit: RateLimit::OFF,
            relying_party: config.relying_party.clone(),
        };
        let (app, credentials) = App::start(parts).await?;
        app.relay_audit().await?;
        let credentials =
            credentials.with_context(|| format!("`{}` has everything already", config.data_dir.display()))?;
        let federation_url = config.federation_listen.map(|at| Endpoint::new(&url, at).url(app.operators.as_str()));
        Ok(Initialised { url, ca_cert, federation_url, credentials })
    }

    /// Gives the administrator of a tenant a new one-time password.
    ///
    /// # Errors
    /// The tower was never started, or there is no such tenant.
    pub async fn reset_admin(self, tenant: &Name) -> anyhow::Result<Credentials> {
        let now = self.clock.now();
        self.keyring.opened().map_err(|_| seal::SealError::NeedsPassphrase)?;
        reset_administrator(&Db::new(self.keyring), &self.audit, tenant, now).await
    }
}

impl Tower {
    /// Serves until `shutdown` resolves, and answers once everything is written.
    ///
    /// # Errors
    /// The audit log does not take what is left.
    pub async fn serve(self, config: &Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<Drain> {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self.tls).keep_fresh());
        let router = gate::api(&self.gate);
        let mut limits = Limits::default();
        if let Some(most) = config.connections_per_address {
            limits.connections_of_one = most.get();
        }
        let front = self.gate.front(&config.trusted_proxies);
        let gate = Arc::clone(&self.gate);
        let source = TlsSource::new(move || gate.server_config());
        let (closing, is_closing) = watch::channel(());
        let api = async {
            let shutdown = async {
                shutdown.await;
                drop(closing);
            };
            server::serve(self.listener, source, router, limits.clone(), front, shutdown).await
        };
        let federation = async {
            let Some(listener) = self.federation else { return Drain::Complete };
            let (gate, router) = (Arc::clone(&self.gate), gate::bundles(&self.gate));
            let config = TlsSource::new(move || gate.federation_config());
            let mut is_closing = is_closing.clone();
            // Nothing is sent: it ends when the other side is dropped.
            let shutdown = async { drop(is_closing.changed().await) };
            server::serve(listener, config, router, limits.clone(), self.gate.front(&[]), shutdown).await
        };
        let call_home = async {
            let Some(listener) = self.call_home else { return Drain::Complete };
            let (gate, router) = (Arc::clone(&self.gate), gate::call_home(&self.gate));
            let config = TlsSource::new(move || gate.call_home_config());
            let mut is_closing = is_closing.clone();
            let shutdown = async { drop(is_closing.changed().await) };
            // Strangers come here: whoever says nothing makes room soon. A host that waits asks every ten seconds.
            let limits = Limits { head: Duration::from_secs(15), ..limits.clone() };
            server::serve(listener, config, router, limits, self.gate.call_home_front(), shutdown).await
        };
        let (api, federation, call_home) = tokio::join!(api, federation, call_home);
        let drain = api.and(federation).and(call_home);
        tasks.shutdown().await;
        self.gate.end().await?;
        Ok(drain)
    }
}

/// A listener at an address, if there is one.
async fn bind(at: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    Ok(match at {
        Some(at) => Some(TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"))?),
        None => None,
    })
}

/// Puts the keys under another seal, and says how to start then.
///
/// # Errors
/// There is no store, it does not open with the present seal, or the other one cannot be used.
pub async fn reseal(config: &Config, to: &SealChoice) -> anyhow::Result<String> {
    let opened = open_existing(config).await?;
    opened.keyring.opened().map_err(|_| seal::SealError::NeedsPassphrase)?;
    let tenant = Tenant::by_name(&Db::new(Arc::clone(&opened.keyring)), &tenant::DEFAULT.parse()?).await?;
    let tenant = tenant.map_or_else(String::new, |tenant| tenant.value.id.to_string());
    let record = AuditRecord::new(tenant, "reseal", AuditOutcome::Success, "tower", "", opened.clock.now());
    let note = opened.audit.note(&record.with("to", to.to_string()))?;
    seal::change(&opened.keyring, to, Some(note)).await?;
    if let Err(error) = opened.audit.relay(&*opened.store).await {
        // It is in the store, and comes into the log with the next start.
        tracing::error!(%error, "audit");
    }
    let standby = gate::standby(&config.data_dir);
    if !matches!(to, SealChoice::Passphrase(_)) {
        for file in [&standby.key, &standby.cert] {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %file.display(), %error, "is of no use any more and cannot be removed");
                }
                _ => {}
            }
        }
    } else if config.tls.is_none() {
        // What is served while somebody has to send a passphrase.
        let url = config.url(config.listen);
        let _files = own_tls(&opened.keyring, url, standby, Clock::system().now()).await?;
    }
    Ok(format!(
        "{}: sealed by {to}; start it with --seal {to}, and keep what sealed it before as long as backups from then matter",
        config.data_dir.display()
    ))
}

/// Writes a backup and says what is needed to restore it.
///
/// # Errors
/// See [`backup::write`].
pub fn backup(config: &Config, file: &std::path::Path, passphrase: Option<&std::path::Path>) -> anyhow::Result<String> {
    let passphrase = passphrase.map(seal::read_passphrase).transpose()?;
    let report = backup::write(config, file, passphrase.as_ref(), clock(config)?.now())?;
    let needed = match (passphrase, report.has_key) {
        (Some(_), true) => "the passphrase".to_owned(),
        (Some(_), false) => "the passphrase, and the restored tower that of its seal".to_owned(),
        (None, _) => format!("the key of {}", config.seal),
    };
    Ok(format!("{}: {} files, {} bytes; a restore needs {needed}", file.display(), report.files, report.bytes))
}

/// Makes a data directory from a backup and says how to start it.
///
/// # Errors
/// See [`backup::restore`].
pub fn restore(
    config: &Config,
    file: &std::path::Path,
    passphrase: Option<&std::path::Path>,
) -> anyhow::Result<String> {
    let passphrase = passphrase.map(seal::read_passphrase).transpose()?;
    let report = backup::restore(config, file, passphrase.as_ref())?;
    let directory = config.data_dir.display();
    let key = if report.has_key { String::new() } else { format!(" --seal {}", config.seal) };
    let created = moment::text(report.created);
    Ok(format!("{directory}: as of {created}; start it with: control-tower --data-dir {directory}{key}"))
}
