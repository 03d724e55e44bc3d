//! Whose X.509-SVIDs can log in: clients are asked for a certificate only if there is somebody, and are told the names of the
//! authorities, so that a browser has nothing to ask its user.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use keyward_config_values::Name;
use rustls::{RootCertStore, ServerConfig, pki_types::CertificateDer};

use super::{COLLECTION, Inbound};
use crate::{
    app::App,
    authorities::Authorities,
    federation,
    http::error::Answer,
    layout,
    store::Scan,
    tenant::Tenant,
    tls::{Demand, Issuers, Tls},
};

/// The names of the authorities, as they were found out last.
#[derive(Default)]
pub struct ClientIssuers(RwLock<Option<Issuers>>);

impl ClientIssuers {
    /// The TLS configuration for the next connection.
    pub fn server_config(&self, tls: &Tls) -> Arc<ServerConfig> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(issuers) => tls.server_config_asking(issuers, Demand::Asked),
            None => tls.server_config(),
        }
    }

    /// Finds them out anew.
    ///
    /// # Errors
    /// Those of the store; what was known stays.
    pub async fn refresh(&self, app: &App) -> Answer<()> {
        let mut names = BTreeSet::new();
        for tenant in Tenant::with(&app.db, layout::WITH_SPIFFE_LOGINS).await? {
            for name in configured(app, &tenant.id).await? {
                let Some(inbound) = Inbound::load(app, &tenant.id, &name).await? else { continue };
                names.extend(inbound.x509_authorities(app).await?);
            }
        }
        // Hosts renew what they have with it.
        let hosts = layout::hosts(&app.operators);
        if !app.db.store().range(&hosts, None, 1, None).await?.is_empty()
            && let Some(trust_domain) = federation::own_trust_domain(app, &app.operators).await?
        {
            let own = Authorities::load(&app.db, &app.operators, &trust_domain).await?;
            names.extend(subjects(own.published(app.clock.now())));
        }
        let issuers = (!names.is_empty()).then(|| names.into_iter().collect());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = issuers;
        Ok(())
    }
}

/// The names of a tenant's configurations.
async fn configured(app: &App, tenant: &Name) -> Answer<Vec<Name>> {
    let prefix = layout::document(tenant, &format!("{COLLECTION}/"));
    let names = Scan::new(&**app.db.store(), &prefix).names().await?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

impl Inbound {
    /// The names of the authorities of X.509-SVIDs that can log in here.
    async fn x509_authorities(&self, app: &App) -> Answer<Vec<Vec<u8>>> {
        let Some(Ok(bundle)) = self.bundle(app).await? else { return Ok(Vec::new()) };
        Ok(subjects(bundle.x509().authorities().iter().cloned()))
    }
}

/// The names of authorities. One that TLS cannot read is no hint; whether it verifies anything is another question.
pub fn subjects(authorities: impl IntoIterator<Item = CertificateDer<'static>>) -> Vec<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities);
    roots.subjects().into_iter().map(|name| name.as_ref().to_vec()).collect()
}
