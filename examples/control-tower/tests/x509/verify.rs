//! What verifies an SVID: our verifier, and others.

use keyward_keys::{PrivateKey, PublicKey};
use keyward_svid::{
    bundle::Bundle,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime},
    x509::{X509Mode, X509Svid, X509Verifier, X509VerifyOptions, chain_from_pem},
};
use serde_json::Value;
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// An SVID as a login or a refresh answered it.
pub(crate) struct Svid {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKey,
    key_der: Vec<u8>,
}

impl Svid {
    /// That of an answer.
    #[track_caller]
    pub(crate) fn of(answer: &Value) -> Self {
        let svid = answer["x509-svid"].as_object().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(svid.len(), 2, "{svid:?}");
        let key = PrivateKey::from_pkcs8_pem(svid["private-key"].as_str().unwrap()).unwrap();
        let key_der = key.to_pkcs8_der().unwrap().to_vec();
        Self { chain: chain_from_pem(svid["cert"].as_str().unwrap()).unwrap(), key, key_der }
    }

    /// By our own verifier, in its strict mode.
    pub(crate) fn verify(&self, bundle: &Bundle, now: OffsetDateTime) -> Result<X509Svid, keyward_svid::x509::Error> {
        let mut options = X509VerifyOptions::default();
        options.mode = X509Mode::Strict;
        let svid = X509Verifier::new(options).verify(&self.chain, bundle.x509(), now)?;
        let own: &PublicKey = self.key.public_key();
        assert_eq!(svid.public_key(), own, "the key is not the certificate's");
        Ok(svid)
    }

    /// By rustls-webpki, as TLS stacks do it.
    pub(crate) fn verify_with_webpki(&self, bundle: &Bundle, now: OffsetDateTime) -> Result<(), webpki::Error> {
        let anchors: Vec<_> =
            bundle.x509().authorities().iter().map(|der| anchor_from_trusted_cert(der).unwrap()).collect();
        let leaf = EndEntityCert::try_from(&self.chain[0])?;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.unix_timestamp().try_into().unwrap()));
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &self.chain[1..], now, usage, None, None)?;
        }
        Ok(())
    }

    /// As the crate `spiffe` reads SVID and bundle; the ID that it finds.
    pub(crate) fn read_with_spiffe(&self, bundle: &Bundle) -> String {
        let chain: Vec<u8> = self.chain.iter().flat_map(|der| der.to_vec()).collect();
        let svid =
            spiffe::X509Svid::parse_from_der(&chain, PrivatePkcs8KeyDer::from(self.key_der.clone()).secret_pkcs8_der())
                .unwrap();
        let authorities: Vec<u8> = bundle.x509().authorities().iter().flat_map(|der| der.to_vec()).collect();
        let domain = spiffe::TrustDomain::new(bundle.trust_domain().as_str()).unwrap();
        let read = spiffe::X509Bundle::parse_from_der(domain, &authorities).unwrap();
        assert_eq!(read.authorities().len(), bundle.x509().authorities().len());
        svid.spiffe_id().to_string()
    }
}
