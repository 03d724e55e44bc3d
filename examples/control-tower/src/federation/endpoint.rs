//! Serving this tower's bundles to those who federate with it, known by its SVID: the profile `https_spiffe` of SPIFFE
//! Federation §5.2.2.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    middleware,
    routing::get,
};
use keyward_svid::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    tls::{SvidSource, open_server_config},
    x509::authority::KeyedSvid,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};

use crate::{
    app::App,
    config::ExternalUrl,
    http::{
        bundle,
        error::{Answer, ApiError},
        limits, operations, params,
    },
    own_svid::own_svid,
};

/// How often to look whether there is a new SVID.
const LOOK: Duration = Duration::from_secs(10);

/// Where others fetch the bundles.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Scheme, host and port.
    base: String,
}

impl Endpoint {
    /// The endpoint of a tower at `external`, that listens at `bound`.
    pub fn new(external: &ExternalUrl, bound: SocketAddr) -> Self {
        let host = external.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self { base: format!("https://{host}:{}", bound.port()) }
    }

    /// The URL of a tenant's bundle, by the tenant's id.
    pub fn url(&self, tenant: &str) -> String {
        format!("{}/{tenant}/spiffe-bundle", self.base)
    }
}

/// The bundles, and nothing else: `/` has that of the tenant `default`.
pub fn router(app: Arc<App>) -> Router {
    let operators = |State(app): State<Arc<App>>, headers: HeaderMap| async move {
        let operators = app.operators.to_string();
        bundle::spiffe_bundle(State(app), params::Path(operators), headers).await
    };
    let tenant = |State(app): State<Arc<App>>, Path(tenant): Path<String>, headers: HeaderMap| {
        bundle::spiffe_bundle(State(app), params::Path(tenant), headers)
    };
    Router::new()
        .route("/", get(operators))
        .route("/{tenant}/spiffe-bundle", get(tenant))
        .fallback(operations::nothing_here)
        .method_not_allowed_fallback(operations::wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), limits::around))
        .with_state(app)
}

/// The SVID that the bundles are served with, and what follows it.
pub struct Serving {
    source: SvidSource,
    config: Arc<ServerConfig>,
    /// What the source has.
    served: Mutex<Option<Arc<KeyedSvid>>>,
}

impl Serving {
    /// Without an SVID as yet: no handshake succeeds.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new() -> Result<Self, rustls::Error> {
        let source = SvidSource::new(Arc::new(aws_lc_rs::default_provider()));
        let mut config = open_server_config(&source)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { source, config: Arc::new(config), served: Mutex::default() })
    }

    /// What the listener needs. It follows the SVID.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Takes the tower's SVID as it is now; answers whether it is another one. When there is none to be had the present one
    /// serves on until it ends.
    ///
    /// # Errors
    /// Those of issuing.
    pub async fn refresh(&self, app: &App) -> Answer<bool> {
        let svid = own_svid(app, app.clock.now()).await?;
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.as_ref().is_some_and(|served| Arc::ptr_eq(served, &svid)) {
            return Ok(false);
        }
        let key = svid.key_der().map_err(ApiError::internal)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        self.source.set_svid(svid.svid().chain().to_vec(), key).map_err(ApiError::internal)?;
        *served = Some(svid);
        Ok(true)
    }

    /// Refreshes for ever.
    pub async fn keep_fresh(self: Arc<Self>, app: Arc<App>) {
        let mut look = tokio::time::interval(LOOK);
        let mut failed = false;
        loop {
            look.tick().await;
            match self.refresh(&app).await {
                Ok(_) => failed = false,
                Err(error) => {
                    // Once, not at each look.
                    if !failed {
                        tracing::error!(error = error.message(), "the federation endpoint gets no SVID");
                    }
                    failed = true;
                }
            }
        }
    }
}
