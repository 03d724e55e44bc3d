//! Making proofs (draft-ietf-wimse-wpt §2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::{Algorithm, CryptoRng, Signer};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::error::MintError;
use super::proof::{MAX_PROOF_LIFETIME, ProofContext};
use super::verify::{UnverifiedWitSvid, token_hash};
use crate::json::{push_integer, push_string};
use crate::jwt::{self, Header, Kind, sign, signed_text, signing_text};

/// Proves, request by request, that a workload holds the key of its WIT-SVID. Made once for each WIT-SVID.
#[derive(Debug, Clone)]
pub struct Prover<S> {
    signer: S,
    algorithm: Algorithm,
    kid: String,
    header: String,
    wit_hash: String,
    wit_expires: OffsetDateTime,
}

impl<S: Signer> Prover<S> {
    /// Takes the workload's key, which signs once to show that it is the one that `wit` confirms, and the WIT-SVID. The
    /// signature of the WIT-SVID is not checked: it came from the issuer.
    ///
    /// # Errors
    /// [`MintError::Wit`] when `wit` is not a WIT-SVID, [`MintError::OtherKey`] when it confirms another key or
    /// algorithm, and when signing fails.
    pub fn new(signer: S, wit: &str) -> Result<Self, MintError> {
        let token = UnverifiedWitSvid::parse(wit).map_err(MintError::Wit)?;
        let (claims, algorithm) = (token.unverified_claims(), signer.algorithm());
        let confirmation = claims.confirmation();
        if algorithm != confirmation.algorithm() {
            return Err(MintError::OtherKey);
        }
        // No token: a JWS has dots.
        let message = b"which key is this";
        let signature = signer.sign(message).map_err(jwt::MintError::Signer)?;
        confirmation.public_key().verify(algorithm, message, &signature).map_err(|_| MintError::OtherKey)?;
        Ok(Self {
            algorithm,
            kid: signer.kid().to_owned(),
            header: Header::encode(algorithm, None, Kind::Proof),
            wit_hash: token_hash(wit),
            wit_expires: claims.expires(),
            signer,
        })
    }

    /// Makes a proof for one request that lives for `lifetime` (whole seconds), never longer than the WIT-SVID. Its
    /// name, `jti`, is 128 random bits.
    ///
    /// # Errors
    /// [`MintError::ProofLifetime`] below a second or above [`MAX_PROOF_LIFETIME`], [`MintError::Expired`] when the
    /// WIT-SVID is over, [`jwt::MintError::Audience`] for a target without name, and when signing fails.
    pub fn prove(
        &self,
        context: &ProofContext,
        lifetime: Duration,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<EncodedProof, MintError> {
        if !(Duration::SECOND..=MAX_PROOF_LIFETIME).contains(&lifetime) {
            return Err(MintError::ProofLifetime { lifetime, limit: MAX_PROOF_LIFETIME });
        }
        if now >= self.wit_expires {
            return Err(MintError::Expired { now, not_after: self.wit_expires });
        }
        let end = now.unix_timestamp().saturating_add(lifetime.whole_seconds());
        let end = end.min(self.wit_expires.unix_timestamp());
        let expires = OffsetDateTime::from_unix_timestamp(end).unwrap_or(self.wit_expires);

        if context.audiences().first().is_none_or(String::is_empty) {
            return Err(jwt::MintError::Audience { count: 1, limit: 1 }.into());
        }
        let mut jwt_id = [0; 16];
        rng.fill_bytes(&mut jwt_id);
        let claims = self.claims_json(context, expires, &URL_SAFE_NO_PAD.encode(jwt_id));
        let text = signing_text(&self.header, &claims)?;
        let signature = sign(&self.signer, self.algorithm, &self.kid, text.as_bytes())?;
        Ok(EncodedProof { text: Zeroizing::new(signed_text(text, self.algorithm, &signature)?), expires })
    }

    fn claims_json(&self, context: &ProofContext, expires: OffsetDateTime, jwt_id: &str) -> String {
        let mut json = String::with_capacity(320);
        json.push_str("{\"aud\":");
        push_string(&mut json, context.audiences().first().map_or("", String::as_str));
        json.push_str(",\"exp\":");
        push_integer(&mut json, expires.unix_timestamp());
        let (access_token, transaction_token, other_tokens) = context.hashes();
        let hashes =
            [("jti", Some(jwt_id)), ("wth", Some(&self.wit_hash)), ("ath", access_token), ("tth", transaction_token)];
        for (name, text) in hashes {
            if let Some(text) = text {
                json.push(',');
                push_string(&mut json, name);
                json.push(':');
                push_string(&mut json, text);
            }
        }
        for (index, (name, hash)) in other_tokens.iter().enumerate() {
            json.push_str(if index == 0 { ",\"oth\":{" } else { "," });
            push_string(&mut json, name);
            json.push(':');
            push_string(&mut json, hash);
        }
        json.push_str(if other_tokens.is_empty() { "}" } else { "}}" });
        json
    }
}

/// A proof as it travels, in the HTTP header `Workload-Proof-Token`. Together with its WIT-SVID it opens what it was
/// made for until it expires: `Debug` does not show it and there is no `Clone`.
pub struct EncodedProof {
    text: Zeroizing<String>,
    expires: OffsetDateTime,
}

impl EncodedProof {
    /// The compact serialization (RFC 7515 §3.1).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `exp`: from this second on it is expired.
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

impl fmt::Debug for EncodedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedProof").field("expires", &self.expires).finish_non_exhaustive()
    }
}
