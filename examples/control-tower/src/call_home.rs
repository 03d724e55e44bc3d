//! Calling home: hosts that nobody touched yet come in, wait to be claimed, and get identities. All of it is the tenant `default`'s.

mod admission;
mod authority;
mod certificates;
mod displaced;
mod hosts;
mod identity;
mod ring;
mod serving;
mod sites;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use keyward_callhome_cert::CallHomeSettings;
use keyward_svid::{HttpsUrl, pki_types::CertificateDer};

pub use self::{
    admission::{Admission, Admitted, admit},
    authority::{NAME as AUTHORITY, authority, is_reserved, published},
    certificates::{Issued, Revocation, issue, removal, revocation_lists, revoke},
    hosts::{Shown, any_at, claim, duplicates, host, made_room, page, release, remove, site_goes, unclaimed},
    identity::{NoHost, Registered, identify, renew, standing, stands_since},
    ring::Ring,
    serving::Serving,
    sites::{hashed, hashed_value, listing},
};
use crate::{
    app::App,
    config::ExternalUrl,
    db::Stored,
    http::error::{Answer, ApiError},
    layout,
};

/// The document.
pub const SETTINGS: &str = "system/call-home/settings";

/// What of calling home is in this process alone.
#[derive(Default)]
pub struct CallHome {
    /// Where hosts call home, if they can.
    pub endpoint: OnceLock<Endpoint>,
    /// What the listener goes by.
    pub serving: Serving,
    /// Who waits.
    pub unclaimed: Ring,
    /// Who has the host-id of another one.
    pub duplicates: Ring,
    published: authority::Kept,
    lists: certificates::Lists,
}

/// Where hosts call home.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: HttpsUrl,
}

impl Endpoint {
    /// The endpoint of a tower at `external`, that listens at `bound`.
    ///
    /// # Errors
    /// The external URL's host is none.
    pub fn new(external: &ExternalUrl, bound: SocketAddr) -> Result<Self, keyward_svid::UrlError> {
        let host = external.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Ok(Self { url: format!("https://{host}:{}", bound.port()).parse()? })
    }

    /// The URL.
    pub fn url(&self) -> &HttpsUrl {
        &self.url
    }
}

/// The settings as they are.
///
/// # Errors
/// Those of the store.
pub async fn stored_settings(app: &App) -> Answer<Option<Stored<Arc<CallHomeSettings>>>> {
    let key = layout::document(&app.operators, SETTINGS);
    Ok(app.db.load(&key, |bytes| serde_json::from_slice::<CallHomeSettings>(bytes)).await?)
}

/// The settings, or what holds without any.
///
/// # Errors
/// Those of the store.
pub async fn settings(app: &App) -> Answer<Arc<CallHomeSettings>> {
    Ok(stored_settings(app).await?.map_or_else(Arc::default, |stored| stored.value))
}

/// Where hosts call home, and what verifies whoever is there.
///
/// # Errors
/// 422 where there is no such place.
pub fn place(app: &App, settings: &CallHomeSettings) -> Answer<(HttpsUrl, Vec<CertificateDer<'static>>)> {
    let own = app.call_home.endpoint.get().map(Endpoint::url);
    let url = settings.external_url.as_ref().or(own).ok_or_else(|| {
        ApiError::inapplicable(format!(
            "hosts cannot call home here: start the tower with `--call-home-listen`, or set `external-url` in `{SETTINGS}`"
        ))
    })?;
    let gate = || app.gate.get().and_then(std::sync::Weak::upgrade);
    let ca = settings.external_ca().or_else(|| Some(gate()?.trust_anchors())).unwrap_or_default();
    if ca.is_empty() {
        return Err(ApiError::inapplicable(format!(
            "nothing verifies whoever is at {}: set `external-ca-pem` in `{SETTINGS}`",
            url.as_str()
        )));
    }
    Ok((url.clone(), ca))
}
