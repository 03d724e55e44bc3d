//! Signature algorithms as X.509 names them.

use keyward_keys::Algorithm;
use rustls_pki_types::alg_id;

/// The content of the `AlgorithmIdentifier` (RFC 4055, RFC 5758 §3.2, RFC 8410 §3).
pub(super) fn identifier(algorithm: Algorithm) -> Option<&'static [u8]> {
    // The bytes stand in constants; only the reference to them is behind a type.
    Some(match algorithm {
        Algorithm::Rs256 => const { &alg_id::RSA_PKCS1_SHA256 },
        Algorithm::Rs384 => const { &alg_id::RSA_PKCS1_SHA384 },
        Algorithm::Rs512 => const { &alg_id::RSA_PKCS1_SHA512 },
        Algorithm::Ps256 => const { &alg_id::RSA_PSS_SHA256 },
        Algorithm::Ps384 => const { &alg_id::RSA_PSS_SHA384 },
        Algorithm::Ps512 => const { &alg_id::RSA_PSS_SHA512 },
        Algorithm::Es256 => const { &alg_id::ECDSA_SHA256 },
        Algorithm::Es384 => const { &alg_id::ECDSA_SHA384 },
        Algorithm::Es512 => const { &alg_id::ECDSA_SHA512 },
        Algorithm::EdDsa => const { &alg_id::ED25519 },
        _ => return None,
    })
    .map(|identifier| identifier.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_an_identifier_of_its_own() {
        let mut identifiers: Vec<_> = Algorithm::ALL.iter().map(|algorithm| identifier(*algorithm).unwrap()).collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        assert_eq!(identifiers.len(), Algorithm::ALL.len());
    }
}
