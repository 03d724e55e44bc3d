//! Which TLS configuration a connection gets.

use std::sync::Arc;

use rustls::ServerConfig;

/// Asked for each connection, so that what changes holds from the next one on.
#[derive(Clone)]
pub struct TlsSource(Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>);

impl TlsSource {
    /// From a function that answers at once.
    pub fn new(current: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        (self.0)()
    }
}

/// The same for all.
impl From<Arc<ServerConfig>> for TlsSource {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(move || Arc::clone(&config))
    }
}
