//! The certificate that the API is served with: the tower's own, from a certificate authority for nothing else, or the
//! operator's files. Either is renewed without a restart.
//!
//! Peers check it against their own clocks, so its times come from the system's clock even where the tower's is moved for a
//! test.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use keyward_base::no_answer::Untrusted;
use keyward_svid::tls::DeferredVerifier;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use time::OffsetDateTime;

pub use self::authority::{Authority, NAME as AUTHORITY};
use crate::{
    clock::Clock,
    config::{ExternalUrl, TlsFiles},
    data_dir,
    store::StoreError,
};

mod authority;

/// A certificate of the tower's own lives so long …
const LIFETIME: time::Duration = time::Duration::days(90);
/// … and is replaced when so much is left.
const RENEW_BEFORE: time::Duration = time::Duration::days(30);
/// Peers' clocks may be behind by so much.
const SKEW: time::Duration = time::Duration::hours(1);
/// How often to look whether there is something to renew.
const LOOK: Duration = Duration::from_secs(30);

/// Names of issuers, each a distinguished name in DER.
pub type Issuers = Arc<[Vec<u8>]>;

/// The configurations that ask for certificates that are kept: each listener has its own.
const ASKING: usize = 4;

/// What becomes of a client without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It is served.
    Asked,
    /// Its handshake fails.
    Required,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file of the operator's cannot be used.
    #[error("`{path}`: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Certificate and key are not a pair.
    #[error("`{cert}` and `{key}` do not belong together: {source}")]
    Pair {
        /// The certificate's file.
        cert: String,
        /// The key's file.
        key: String,
        /// Why.
        source: rustls::Error,
    },
    /// The authority cannot be stored or read.
    #[error("the API's certificate authority: {0}")]
    Store(#[from] StoreError),
    /// The stored authority does not open.
    #[error("the store does not open with this key ({0}): is the key file another tower's?")]
    Sealed(#[from] keyward_transit::RecordError),
    /// The stored authority makes no sense.
    #[error("the API's stored certificate authority is damaged")]
    Damaged,
    /// It was stored by a newer version of the program.
    #[error("the API's certificate authority has format {found}, this program knows formats up to {known}")]
    NewerFormat {
        /// The number in the record.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// Making a certificate failed.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// A file of the tower's own.
    #[error(transparent)]
    DataDir(#[from] crate::data_dir::DataDirError),
    /// TLS cannot use it.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the listener needs, and what keeps it fresh.
#[derive(Debug)]
pub struct Tls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    asking: Mutex<Vec<(Issuers, Demand, Arc<ServerConfig>)>>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The authority is absent while the tower is sealed.
    Own {
        authority: RwLock<Option<Box<Authority>>>,
        external: ExternalUrl,
        not_after: Mutex<OffsetDateTime>,
        standby: Option<TlsFiles>,
    },
    Files {
        files: TlsFiles,
        seen: Mutex<Stamp>,
    },
}

/// The certificate that the next handshake uses.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// A certificate of the tower's own for localhost, 127.0.0.1, ::1 and the external host. Its key lives in memory alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn from_authority(authority: Authority, external: ExternalUrl, now: OffsetDateTime) -> Result<Self, TlsError> {
        Self::from_authority_with(authority, external, None, now)
    }

    /// [`from_authority`](Self::from_authority), with files in which the certificate and its key are kept for as long as the
    /// tower is sealed and the authority not to be had.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn from_authority_with(
        authority: Authority,
        external: ExternalUrl,
        standby: Option<TlsFiles>,
        now: OffsetDateTime,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (certified, not_after) = own(&authority, &external, &provider, standby.as_ref(), now)?;
        let authority = RwLock::new(Some(Box::new(authority)));
        let source = Source::Own { authority, external, not_after: Mutex::new(not_after), standby };
        Self::new(provider, certified, source)
    }

    /// Serves what is in the files until an authority is there.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn from_standby(standby: TlsFiles, external: ExternalUrl) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certified = load(&standby, &provider)?;
        let not_after = Mutex::new(OffsetDateTime::UNIX_EPOCH);
        let source = Source::Own { authority: RwLock::default(), external, not_after, standby: Some(standby) };
        Self::new(provider, certified, source)
    }

    /// Whether the certificate is from an authority of the tower's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.source, Source::Own { .. })
    }

    /// Takes the authority when the tower is unsealed, and a new certificate from it.
    ///
    /// # Errors
    /// It issues none.
    pub fn adopt_authority(&self, new: Authority, now: OffsetDateTime) -> Result<(), TlsError> {
        let Source::Own { authority, external, not_after, standby } = &self.source else { return Ok(()) };
        let (certified, end) = own(&new, external, self.config.crypto_provider(), standby.as_ref(), now)?;
        *not_after.lock().unwrap_or_else(PoisonError::into_inner) = end;
        *authority.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(new));
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
        Ok(())
    }

    /// Forgets the authority when the tower is sealed. The certificate serves on.
    pub fn forget_authority(&self) {
        if let Source::Own { authority, .. } = &self.source {
            *authority.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The operator's certificate chain and key.
    ///
    /// # Errors
    /// The files cannot be read, or are not a pair.
    pub fn from_files(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = stamp(&files)?;
        let certified = load(&files, &provider)?;
        // Others may have their reasons (a group that renews certificates), so this is no refusal.
        if fs::metadata(&files.key).is_ok_and(|key| key.permissions().mode() & 0o007 != 0) {
            tracing::warn!(key = %files.key.display(), "everybody on this machine can read the private key: chmod o-rwx it");
        }
        Self::new(provider, certified, Source::Files { files, seen: Mutex::new(seen) })
    }

    fn new(provider: Arc<CryptoProvider>, certified: CertifiedKey, source: Source) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certified))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Clients come back without a full handshake, and nothing is kept for them here.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self { current, config: Arc::new(config), asking: Mutex::default(), source })
    }

    /// What a listener needs. It follows the certificate.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// As [`server_config`](Self::server_config), and clients are asked for a certificate of one of these issuers. They need
    /// not have one, unless that is demanded, and whatever they present is taken: it is judged where it is used.
    ///
    /// Nothing is resumed under it: a resumed session has the certificate of the first handshake, which by then may have been
    /// renewed.
    #[must_use]
    pub fn server_config_asking(&self, issuers: &Issuers, demand: Demand) -> Arc<ServerConfig> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., config)) = asking.iter().find(|(asked, how, _)| asked == issuers && *how == demand) {
            return Arc::clone(config);
        }
        let provider = Arc::clone(self.config.crypto_provider());
        let ask = DeferredVerifier::new(&provider, issuers.iter().cloned());
        let ask = if demand == Demand::Required { ask.demanding() } else { ask };
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let Ok(builder) = builder.inspect_err(|error| tracing::error!(%error, "TLS")) else {
            // The same call has succeeded for `config`.
            return Arc::clone(&self.config);
        };
        let mut config = builder
            .with_client_cert_verifier(Arc::new(ask))
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols.clone_from(&self.config.alpn_protocols);
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let config = Arc::new(config);
        if asking.len() == ASKING {
            asking.remove(0);
        }
        asking.push((Arc::clone(issuers), demand, Arc::clone(&config)));
        config
    }

    /// What verifies the API: the tower's own authority, or what stands above the operator's certificate, or that itself.
    #[must_use]
    pub fn trust_anchors(&self) -> Vec<CertificateDer<'static>> {
        let own = match &self.source {
            Source::Own { authority, .. } => {
                let authority = authority.read().unwrap_or_else(PoisonError::into_inner);
                authority.as_ref().map(|authority| vec![authority.certificate().clone()])
            }
            Source::Files { .. } => None,
        };
        own.unwrap_or_else(|| {
            let chain = self.chain();
            let above = chain.get(1..).unwrap_or_default();
            if above.is_empty() { chain } else { above.to_vec() }
        })
    }

    /// The certificate that clients are to trust, unless it is the operator's.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        match &self.source {
            Source::Own { authority, .. } => {
                let authority = authority.read().unwrap_or_else(PoisonError::into_inner);
                authority.as_ref().map(|authority| authority.certificate_pem())
            }
            Source::Files { .. } => None,
        }
    }

    /// The chain that is served now, leaf first.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.current.0.read().unwrap_or_else(PoisonError::into_inner).cert.clone()
    }

    /// Replaces a certificate of the tower's own that is about to end, or the operator's when its files have changed; answers
    /// whether it did. When that fails the present one stays.
    ///
    /// # Errors
    /// There is something to renew, and it cannot be.
    pub fn refresh(&self, now: OffsetDateTime) -> Result<bool, TlsError> {
        let provider = self.config.crypto_provider();
        let certified = match &self.source {
            Source::Own { authority, external, not_after, standby } => {
                let authority = authority.read().unwrap_or_else(PoisonError::into_inner);
                let Some(authority) = authority.as_ref() else { return Ok(false) };
                let mut not_after = not_after.lock().unwrap_or_else(PoisonError::into_inner);
                // A clock that went back would make the certificate one of the future.
                let issued = *not_after - LIFETIME;
                if *not_after - now > RENEW_BEFORE && issued <= now + SKEW {
                    return Ok(false);
                }
                let (certified, end) = own(authority, external, provider, standby.as_ref(), now)?;
                *not_after = end;
                certified
            }
            Source::Files { files, seen } => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let stamp = stamp(files)?;
                if *seen == stamp {
                    return Ok(false);
                }
                // Remembered only when it worked: one of two files may not have been replaced yet.
                let certified = load(files, provider)?;
                *seen = stamp;
                certified
            }
        };
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
        Ok(true)
    }

    /// Refreshes twice a minute, for ever.
    pub async fn keep_fresh(self: Arc<Self>) {
        let clock = Clock::system();
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            match self.refresh(clock.now()) {
                Ok(true) => tracing::info!("the API has a new certificate"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the API keeps its certificate"),
            }
        }
    }
}

fn own(
    authority: &Authority,
    external: &ExternalUrl,
    provider: &CryptoProvider,
    standby: Option<&TlsFiles>,
    now: OffsetDateTime,
) -> Result<(CertifiedKey, OffsetDateTime), TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !names.iter().any(|name| name == external.host()) {
        names.push(external.host().to_owned());
    }
    let not_after = now + LIFETIME;
    let (chain, key) = authority.issue(names, now - SKEW, not_after)?;
    if let Some(TlsFiles { cert, key: path }) = standby {
        // The key first: a certificate with another key is told apart, and then nothing is served.
        data_dir::replace_private(path, &authority::key_pem(&key))?;
        data_dir::replace_private(cert, authority::chain_pem(&chain).as_bytes())?;
    }
    Ok((CertifiedKey::from_der(chain, key, provider)?, not_after))
}

fn file_error(path: &Path, problem: impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.display().to_string(), problem: problem.to_string() }
}

fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let TlsFiles { cert, key } = files;
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(cert, error))?;
    if chain.is_empty() {
        return Err(file_error(cert, "holds no certificate in PEM form"));
    }
    // Not every client does, so this is no refusal.
    if let Some(untrusted) = chain.first().and_then(|leaf| Untrusted::foreseen(leaf, Clock::system().now())) {
        let remedy = untrusted.remedy().unwrap_or_default();
        tracing::warn!(cert = %cert.display(), "clients refuse the certificate, which {untrusted}: {remedy}");
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file_error(key, error))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Pair {
        cert: cert.display().to_string(),
        key: key.display().to_string(),
        source,
    })
}

/// What changes when a file is replaced or rewritten.
type Stamp = [(SystemTime, u64, u64); 2];

fn stamp(files: &TlsFiles) -> Result<Stamp, TlsError> {
    let one = |path: &Path| -> Result<(SystemTime, u64, u64), TlsError> {
        use std::os::unix::fs::MetadataExt;
        let read = || -> io::Result<_> {
            let metadata = fs::metadata(path)?;
            Ok((metadata.modified()?, metadata.len(), metadata.ino()))
        };
        read().map_err(|error| file_error(path, error))
    };
    Ok([one(&files.cert)?, one(&files.key)?])
}
