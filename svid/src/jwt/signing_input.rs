//! Signing in two steps, for keys that cannot be called from here.

use std::fmt;

use keyward_keys::Algorithm;
use time::OffsetDateTime;

use super::error::MintError;
use super::frame::encode_into;
use super::token::EncodedJwtSvid;

/// A token that waits for its signature.
///
/// ```
/// # use keyward_keys::{Algorithm, KeyType, PrivateKey};
/// # use keyward_svid::jwt::MintRequest;
/// # use time::Duration;
/// # let now = time::OffsetDateTime::UNIX_EPOCH;
/// # let hsm = PrivateKey::generate(KeyType::EcdsaP256)?;
/// let request = MintRequest::new("spiffe://example.org/db".parse()?, ["reports"], Duration::minutes(5))?;
/// let input = request.signing_input(Algorithm::Es256, "hsm-key-7", now)?;
/// let signature = hsm.sign_asn1(Algorithm::Es256, input.as_bytes())?; // most devices answer DER
/// let token = input.attach_der(&signature)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a signing input is of no use without its signature"]
pub struct SigningInput {
    text: String,
    algorithm: Algorithm,
    issued_at: OffsetDateTime,
    expires: OffsetDateTime,
}

impl SigningInput {
    pub(super) fn new(text: String, algorithm: Algorithm, issued_at: OffsetDateTime, expires: OffsetDateTime) -> Self {
        Self { text, algorithm, issued_at, expires }
    }

    /// The bytes to sign (RFC 7515 §5.1, step 5). A device that wants a digest gets theirs.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The algorithm to sign with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Completes the token with a signature in the form of JWS: for ECDSA r then s, each of fixed width
    /// (RFC 7518 §3.4). The signature is not verified here.
    ///
    /// # Errors
    /// [`MintError::SignatureLength`] when the algorithm cannot have produced it.
    pub fn attach(self, signature: &[u8]) -> Result<EncodedJwtSvid, MintError> {
        let text = signed_text(self.text, self.algorithm, signature)?;
        Ok(EncodedJwtSvid::new(text, self.issued_at, self.expires))
    }

    /// Completes the token with an ECDSA signature in DER (RFC 3279 §2.2.3), the form that KMS and PKCS #11
    /// wrappers answer. For RSA it is the same as [`attach`](Self::attach).
    ///
    /// # Errors
    /// [`MintError::SignatureDer`] when it is not canonical DER of two numbers that the curve allows.
    pub fn attach_der(self, signature: &[u8]) -> Result<EncodedJwtSvid, MintError> {
        if ecdsa_width(self.algorithm).is_none() {
            return self.attach(signature);
        }
        let algorithm = self.algorithm;
        let fixed = algorithm.signature_from_asn1(signature).map_err(|_| MintError::SignatureDer { algorithm })?;
        self.attach(&fixed)
    }
}

impl fmt::Debug for SigningInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningInput")
            .field("algorithm", &self.algorithm)
            .field("issued_at", &self.issued_at)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Adds a signature, of a length that the algorithm can produce, to what it was made over.
pub(crate) fn signed_text(mut text: String, algorithm: Algorithm, signature: &[u8]) -> Result<String, MintError> {
    let found = signature.len();
    let expected = match ecdsa_width(algorithm) {
        Some(width) if found == 2 * width => None,
        Some(32) => Some("64 bytes, r then s, not DER"),
        Some(48) => Some("96 bytes, r then s, not DER"),
        Some(_) => Some("132 bytes, r then s, not DER"),
        // 2048 to 8192 bits.
        None if (256..=1024).contains(&found) => None,
        None => Some("256 to 1024 bytes"),
    };
    if let Some(expected) = expected {
        return Err(MintError::SignatureLength { algorithm, expected, found });
    }
    text.push('.');
    encode_into(signature, &mut text);
    Ok(text)
}

/// Bytes of one coordinate for ECDSA, nothing for RSA.
fn ecdsa_width(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Es256 => Some(32),
        Algorithm::Es384 => Some(48),
        Algorithm::Es512 => Some(66),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use keyward_keys::{KeySigner, KeyType, PrivateKey, Signer as _};
    use time::Duration;

    use super::*;
    use crate::jwt::{MintRequest, mint};

    fn input(algorithm: Algorithm) -> SigningInput {
        let request = MintRequest::new("spiffe://td.example/w".parse().unwrap(), ["a"], Duration::MINUTE).unwrap();
        request.signing_input(algorithm, "k", OffsetDateTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn two_steps_make_what_one_makes() {
        let key = PrivateKey::generate(KeyType::Rsa2048).unwrap();
        let signer = KeySigner::new(key, Algorithm::Rs256, Some("k".to_owned())).unwrap();
        let request = MintRequest::new("spiffe://td.example/w".parse().unwrap(), ["a"], Duration::MINUTE).unwrap();
        let now = OffsetDateTime::UNIX_EPOCH + Duration::DAY;
        let input = request.signing_input(signer.algorithm(), signer.kid(), now).unwrap();
        let signature = signer.sign(input.as_bytes()).unwrap();
        // PKCS #1 v1.5 signatures are deterministic.
        let once = mint(&signer, &request, now).unwrap();
        assert_eq!(input.attach(&signature).unwrap().as_str(), once.as_str());
    }

    #[test]
    fn signatures_of_the_wrong_length_are_refused() {
        for (algorithm, right, text) in [
            (Algorithm::Es256, 64, "64 bytes, r then s, not DER"),
            (Algorithm::Es384, 96, "96 bytes, r then s, not DER"),
            (Algorithm::Es512, 132, "132 bytes, r then s, not DER"),
            (Algorithm::Rs256, 256, "256 to 1024 bytes"),
            (Algorithm::Ps512, 1024, "256 to 1024 bytes"),
        ] {
            assert!(input(algorithm).attach(&vec![1; right]).is_ok(), "{algorithm}");
            for found in [0, 63, 70, 72, 255, 1025] {
                let error = input(algorithm).attach(&vec![1; found]).unwrap_err();
                assert_eq!(error, MintError::SignatureLength { algorithm, expected: text, found });
            }
        }
    }

    #[test]
    fn der_is_converted_or_refused() {
        for (key_type, algorithm) in [
            (KeyType::EcdsaP256, Algorithm::Es256),
            (KeyType::EcdsaP384, Algorithm::Es384),
            (KeyType::EcdsaP521, Algorithm::Es512),
        ] {
            let key = PrivateKey::generate(key_type).unwrap();
            for _ in 0..32 {
                let input = input(algorithm);
                let signed = input.as_bytes().to_vec();
                let token = input.attach_der(&key.sign_asn1(algorithm, &signed).unwrap()).unwrap();
                let frame = crate::jwt::frame::Frame::cut(token.as_str(), 65_536).unwrap();
                key.public_key().verify(algorithm, &signed, &frame.signature().unwrap()).unwrap();
            }
            let error = input(algorithm).attach_der(&[0x30, 0]).unwrap_err();
            assert_eq!(error, MintError::SignatureDer { algorithm });
            assert_eq!(
                error.to_string(),
                format!("the signature is not a DER-encoded ECDSA signature for `{algorithm}`")
            );
        }
        assert!(input(Algorithm::Rs256).attach_der(&[1; 256]).is_ok());
    }
}
