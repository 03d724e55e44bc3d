//! Writing a bundle.

use keyward_keys::{Jwk, PublicKey};
use rustls_pki_types::CertificateDer;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Bundle;
use crate::jwks::KeyUse;
use crate::x509::{self, X509Bundle};

impl Bundle {
    /// Writes the bundle as JSON: what was skipped in reading is not in it.
    ///
    /// X.509 entries have no `kid` and exactly one certificate (X509-SVID §6.1); JWT entries have their `kid`, and the
    /// one algorithm they are bound to, if any.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn jwks(&self) -> Vec<Jwk> {
        let mut jwks: Vec<Jwk> = Vec::new();
        // Each could be written when the bundle was made.
        jwks.extend(self.x509.authorities().iter().filter_map(|authority| authority_jwk(authority).ok()));
        jwks.extend(self.jwt.keys().keys().iter().map(|key| key.to_jwk(KeyUse::JwtSvid)));
        #[cfg(feature = "wit")]
        jwks.extend(self.wit.keys().keys().iter().map(|key| key.to_jwk(KeyUse::WitSvid)));
        jwks
    }
}

impl Serialize for Bundle {
    /// The document of SPIFFE Trust Domain and Bundle §4.1.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Bundle", 3)?;
        match self.sequence {
            Some(sequence) => document.serialize_field("spiffe_sequence", &sequence)?,
            None => document.skip_field("spiffe_sequence")?,
        }
        match self.refresh_hint {
            Some(hint) => document.serialize_field("spiffe_refresh_hint", &hint)?,
            None => document.skip_field("spiffe_refresh_hint")?,
        }
        document.serialize_field("keys", &self.jwks())?;
        document.end()
    }
}

/// The entry of an authority.
pub(super) fn authority_jwk(authority: &CertificateDer<'static>) -> Result<Jwk, x509::Error> {
    let key = PublicKey::from_spki_der(X509Bundle::authority_key(authority)?).map_err(x509::Error::PublicKey)?;
    Ok(key.to_jwk().with_use("x509-svid").with_x5c_der([authority]))
}
