//! The SVID and the bundles of a program, changed while it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use keyward_spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Error;
use crate::x509::{X509Bundle, peek_id};

/// The SVID that a program shows, and the bundles that it verifies others with. Clones are the same source: what is set
/// in one counts everywhere, from the next handshake on; connections that stand are left alone.
///
/// ```
/// # use std::sync::Arc;
/// # let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
/// use keyward_svid::tls::SvidSource;
/// use keyward_svid::x509::X509Bundle;
///
/// let source = SvidSource::new(provider);
/// assert_eq!(source.id(), None);
/// // Empty: everyone of this trust domain is refused.
/// source.set_bundles([X509Bundle::new("example.org".parse()?, [])?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SvidSource {
    provider: Arc<CryptoProvider>,
    current: Arc<RwLock<Arc<Material>>>,
}

/// All of it, as one handshake sees it.
#[derive(Clone, Default)]
pub(super) struct Material {
    svid: Option<(SpiffeId, Arc<CertifiedKey>)>,
    bundles: BTreeMap<TrustDomain, X509Bundle>,
}

impl Material {
    pub(super) fn bundle(&self, trust_domain: TrustDomainRef<'_>) -> Option<&X509Bundle> {
        self.bundles.get(trust_domain.as_str())
    }
}

impl SvidSource {
    /// A source without SVID and bundles: nobody is trusted, and only a client without certificate can be made of it.
    /// The provider does the cryptography of the handshake, and loads the private keys.
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, current: Arc::default() }
    }

    /// Shows this SVID from now on. The chain has the leaf first and no root. It is not verified: what is wrong with it,
    /// the peers will say.
    ///
    /// # Errors
    /// When the leaf cannot be read or has no SPIFFE ID, or the key is not the leaf's. The source stays as it was.
    pub fn set_svid(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), Error> {
        let leaf = chain.first().ok_or(crate::x509::Error::Empty)?;
        let id = peek_id(leaf)?;
        let key = CertifiedKey::from_der(chain, key, &self.provider).map_err(Error::PrivateKey)?;
        self.change(|material| material.svid = Some((id, Arc::new(key))));
        Ok(())
    }

    /// Shows no SVID any more: servers end every handshake, clients go without certificate.
    pub fn clear_svid(&self) {
        self.change(|material| material.svid = None);
    }

    /// Replaces all bundles in one step. A trust domain without one is not trusted.
    pub fn set_bundles(&self, bundles: impl IntoIterator<Item = X509Bundle>) {
        let bundles = bundles.into_iter().map(|bundle| (bundle.trust_domain().clone(), bundle)).collect();
        self.change(|material| material.bundles = bundles);
    }

    /// Adds a bundle or replaces that of its trust domain.
    pub fn set_bundle(&self, bundle: X509Bundle) {
        self.change(|material| {
            material.bundles.insert(bundle.trust_domain().clone(), bundle);
        });
    }

    /// Whose SVID is shown.
    pub fn id(&self) -> Option<SpiffeId> {
        self.material().svid.as_ref().map(|(id, _)| id.clone())
    }

    /// The bundle of a trust domain.
    pub fn bundle(&self, trust_domain: TrustDomainRef<'_>) -> Option<X509Bundle> {
        self.material().bundle(trust_domain).cloned()
    }

    /// The provider that does the cryptography.
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(super) fn material(&self) -> Arc<Material> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Material)) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
    }

    fn certified_key(&self, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let (_, key) = self.material().svid.clone()?;
        key.key.choose_scheme(schemes).is_some().then_some(key)
    }
}

impl ResolvesServerCert for SvidSource {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified_key(hello.signature_schemes())
    }
}

impl ResolvesClientCert for SvidSource {
    /// The one SVID there is: subjects that a server hints at are not looked at, as SVIDs may have none.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certified_key(schemes)
    }

    fn has_certs(&self) -> bool {
        self.material().svid.is_some()
    }
}

impl fmt::Debug for SvidSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let material = self.material();
        f.debug_struct("SvidSource")
            .field("id", &material.svid.as_ref().map(|(id, _)| id.as_str()))
            .field("trust_domains", &material.bundles.keys().map(TrustDomain::as_str).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
