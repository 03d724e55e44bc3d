//! Reading a bundle.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::PublicKey;
use keyward_spiffe_id::TrustDomain;
use rustls_pki_types::CertificateDer;

use super::{Bundle, Error};
use crate::json::excerpt;
use crate::jwks::{Document, Entry, JwkSet, KeyUse, SkipReason};
#[cfg(feature = "wit")]
use crate::wit::WitBundle;
use crate::x509::X509Bundle;

pub(super) fn read(trust_domain: TrustDomain, json: &[u8]) -> Result<Bundle, Error> {
    from_document(trust_domain, Document::read(json).map_err(Error::Keys)?)
}

/// Judges what was read, entry by entry.
pub(super) fn from_document(trust_domain: TrustDomain, document: Document) -> Result<Bundle, Error> {
    let sequence = integer("spiffe_sequence", document.sequence)?;
    let refresh_hint = integer("spiffe_refresh_hint", document.refresh_hint)?;
    let (mut authorities, mut jwt) = (Vec::new(), Vec::new());
    #[cfg(feature = "wit")]
    let mut wit = Vec::new();
    let skipped = document.judge(|entry| {
        // "Clients encountering either a missing `use` parameter or an unknown `use` value MUST ignore the entire JWK
        // element" (§4.2.2).
        match entry.purpose()? {
            Some("x509-svid") => authorities.push(authority(entry)?),
            Some("jwt-svid") => jwt.push(entry.verification_key(KeyUse::JwtSvid)?),
            #[cfg(feature = "wit")]
            Some("wit-svid") => wit.push(entry.verification_key(KeyUse::WitSvid)?),
            found => return Err(SkipReason::UnknownUse { found: found.map(excerpt) }),
        }
        Ok(())
    });
    // Each was judged before.
    let x509 = X509Bundle::new(trust_domain, authorities).map_err(Error::Authority)?;
    let bundle = Bundle::from_parts(x509, JwkSet::new(KeyUse::JwtSvid, jwt));
    #[cfg(feature = "wit")]
    let bundle = Bundle { wit: Box::new(WitBundle::of(bundle.trust_domain(), wit)), ..bundle };
    Ok(Bundle { sequence, refresh_hint, skipped, ..bundle })
}

fn integer(member: &'static str, found: Option<Option<u64>>) -> Result<Option<u64>, Error> {
    match found {
        Some(None) => Err(Error::Integer { member }),
        Some(value) => Ok(value),
        None => Ok(None),
    }
}

/// The certificate of an X.509 entry (X509-SVID §6.2).
fn authority(entry: Entry) -> Result<CertificateDer<'static>, SkipReason> {
    let jwk = entry.jwk()?;
    // "If `x5c` is not set, or is empty, then the entry MUST be ignored"; "all but the first MUST be ignored".
    let first = jwk.x5c().and_then(<[String]>::first).ok_or(SkipReason::NoCertificate)?;
    let der = STANDARD.decode(first).map_err(|_| {
        let reason = "is not base64 of DER certificates";
        SkipReason::Key(keyward_keys::Error::JwkInvalid { member: "x5c", reason })
    })?;
    let certificate = CertificateDer::from(der);
    let spki = X509Bundle::authority_key(&certificate).map_err(SkipReason::Certificate)?;
    let key = PublicKey::from_jwk(&jwk).map_err(SkipReason::Key)?;
    // RFC 7517 §4.7: the key of the first certificate "MUST match the public key represented by other members". The
    // bytes differ where the certificate spells the same key in another way.
    if spki != key.to_spki_der() && PublicKey::from_spki_der(spki).ok() != Some(key) {
        return Err(SkipReason::CertificateKey);
    }
    Ok(certificate)
}
