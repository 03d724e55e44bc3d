//! What the listener goes by: the settings, and whose certificates it asks for. Both follow what is stored, without a restart.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keyward_callhome_cert::{CallHomeSettings, Handshake, LbMode, ProxyProtocol};
use keyward_svid::pki_types::CertificateDer;
use rustls::ServerConfig;

use super::{authority, settings};
use crate::{
    app::App,
    http::error::Answer,
    inbound::subjects,
    server::Rules,
    tls::{Demand, Issuers, Tls},
};

/// What the next connection goes by.
#[derive(Default)]
pub struct Serving {
    current: RwLock<Current>,
    /// The authority that issued an identity to a host last.
    issuer: Mutex<Option<CertificateDer<'static>>>,
}

#[derive(Clone)]
struct Current {
    settings: Arc<CallHomeSettings>,
    issuers: Issuers,
}

impl Default for Current {
    fn default() -> Self {
        Self { settings: Arc::default(), issuers: Arc::from([]) }
    }
}

impl Serving {
    /// The settings as they were last read.
    pub fn settings(&self) -> Arc<CallHomeSettings> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).settings)
    }

    /// The TLS configuration for the next connection.
    pub fn server_config(&self, tls: &Tls) -> Arc<ServerConfig> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let demand = match current.settings.client_certificate.handshake {
            Handshake::Required => Demand::Required,
            _ => Demand::Asked,
        };
        tls.server_config_asking(&current.issuers, demand)
    }

    /// What stands before the listener. Load balancers are believed about addresses where they pass certificates on in a header; where
    /// a PROXY header says whose connection it is, nothing else does.
    pub fn rules(&self) -> Rules {
        let settings = self.settings();
        let certificates = &settings.client_certificate;
        let in_headers =
            certificates.lb_mode == LbMode::AwsPassthrough && certificates.proxy_protocol == ProxyProtocol::Forbidden;
        let trusted = if in_headers { certificates.lb_addresses.clone() } else { Vec::new() };
        let proxied = Some(Arc::new(certificates.clone()));
        Rules { trusted: trusted.into(), proxied, shows_chain: true }
    }

    /// Reads them anew.
    ///
    /// # Errors
    /// Those of the store; what was known stays.
    pub async fn refresh(&self, app: &App) -> Answer<()> {
        let settings = settings(app).await?;
        let published = authority::published(app, app.clock.now()).await?;
        let authorities = published.iter().flat_map(|published| published.verifier.bundle().authorities());
        let issuers = subjects(authorities.cloned()).into();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { settings, issuers };
        Ok(())
    }

    /// Says which authority issues the identities of hosts, so that the API asks hosts for them.
    pub(super) async fn issues(&self, app: &App, issuer: &CertificateDer<'static>) {
        let known = self.issuer.lock().unwrap_or_else(PoisonError::into_inner).replace(issuer.clone());
        if known.as_ref() != Some(issuer)
            && let Err(error) = app.client_issuers.refresh(app).await
        {
            tracing::warn!(error = error.message(), "whose certificates are asked for is found out later");
        }
    }
}
