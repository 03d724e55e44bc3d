//! Minting of WIT-SVIDs.

use std::fmt;

use keyward_keys::{Algorithm, PublicKey, Signer};
use keyward_spiffe_id::SpiffeId;
use time::{Duration, OffsetDateTime};

use super::confirmation::Confirmation;
use super::error::MintError;
use crate::json::push_string;
use crate::jwt::{
    self, DEFAULT_BACKDATE, Header, JWT_SVID_ALGORITHMS, Kind, Validity, sign, signed_text, signing_text,
};

/// What a WIT-SVID shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitRequest {
    subject: SpiffeId,
    confirmation: Confirmation,
    lifetime: Duration,
    issuer: Option<String>,
    jwt_id: Option<String>,
    backdate: Duration,
    not_after: Option<OffsetDateTime>,
}

impl WitRequest {
    /// A token that binds `key` to `subject` for `lifetime` (whole seconds; minutes to hours are usual). Proofs are
    /// made with `algorithm` and no other. That the subject has the private key is for the caller to have checked.
    ///
    /// # Errors
    /// [`MintError::Algorithm`] and [`MintError::ConfirmationAlgorithm`] for a key that cannot be confirmed;
    /// [`jwt::MintError::Lifetime`] below a second.
    pub fn new(
        subject: SpiffeId,
        key: &PublicKey,
        algorithm: Algorithm,
        lifetime: Duration,
    ) -> Result<Self, MintError> {
        if lifetime < Duration::SECOND {
            return Err(jwt::MintError::Lifetime { lifetime }.into());
        }
        Ok(Self {
            subject,
            confirmation: Confirmation::new(key.clone(), algorithm)?,
            lifetime,
            issuer: None,
            jwt_id: None,
            backdate: DEFAULT_BACKDATE,
            not_after: None,
        })
    }

    /// Sets `iss`, for the audit.
    ///
    /// # Errors
    /// [`MintError::Issuer`] for an `https` URL (WIT-SVID §3.7).
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Result<Self, MintError> {
        let issuer = issuer.into();
        if issuer.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
            return Err(MintError::Issuer);
        }
        self.issuer = Some(issuer);
        Ok(self)
    }

    /// Sets `jti`, a name for this one token, unique in the trust domain (WIT-SVID §3.3).
    pub fn with_jwt_id(mut self, jwt_id: impl Into<String>) -> Self {
        self.jwt_id = Some(jwt_id.into());
        self
    }

    /// Sets how far `nbf` lies before the time of issuing, in whole seconds; negative counts as zero. The default is
    /// [`DEFAULT_BACKDATE`].
    pub fn with_backdate(mut self, backdate: Duration) -> Self {
        self.backdate = backdate.max(Duration::ZERO);
        self
    }

    /// Sets a moment that the token may not outlive. The lifetime is cut to it.
    pub fn with_not_after(mut self, not_after: OffsetDateTime) -> Self {
        self.not_after = Some(not_after);
        self
    }

    fn claims_json(&self, validity: &Validity) -> String {
        let mut json = String::with_capacity(512);
        json.push_str("{\"sub\":");
        push_string(&mut json, self.subject.as_str());
        validity.push_claims(&mut json);
        for (name, text) in [(",\"iss\":", &self.issuer), (",\"jti\":", &self.jwt_id)] {
            if let Some(text) = text {
                json.push_str(name);
                push_string(&mut json, text);
            }
        }
        self.confirmation.push_claim(&mut json);
        json.push('}');
        json
    }
}

/// Mints one token (WIT-SVID §4).
///
/// # Errors
/// When the signer's algorithm is not allowed or it has no key ID, the request cannot be fulfilled at `now`, or signing
/// fails.
pub fn mint(signer: &impl Signer, request: &WitRequest, now: OffsetDateTime) -> Result<EncodedWitSvid, MintError> {
    let (algorithm, kid) = (signer.algorithm(), signer.kid().to_owned());
    if !JWT_SVID_ALGORITHMS.contains(&algorithm) {
        return Err(MintError::Algorithm { algorithm });
    }
    if kid.is_empty() {
        return Err(jwt::MintError::KeyId.into());
    }
    let validity = Validity::new(request.lifetime, request.backdate, request.not_after, now)?;
    let header = Header::encode(algorithm, Some(&kid), Kind::WitSvid);
    let text = signing_text(&header, &request.claims_json(&validity))?;
    let signature = sign(signer, algorithm, &kid, text.as_bytes())?;
    let text = signed_text(text, algorithm, &signature)?;
    Ok(EncodedWitSvid { text, issued_at: validity.issued_at, expires: validity.expires })
}

/// A signed WIT-SVID. By itself it opens nothing; its holder sends it with a proof, in the HTTP header
/// `Workload-Identity-Token` and never in `Authorization` (WIT-SVID §5).
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedWitSvid {
    text: String,
    issued_at: OffsetDateTime,
    expires: OffsetDateTime,
}

impl EncodedWitSvid {
    /// The compact serialization (RFC 7515 §3.1).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `iat`, in whole seconds.
    pub fn issued_at(&self) -> OffsetDateTime {
        self.issued_at
    }

    /// `exp`: from this second on it is expired.
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

impl fmt::Debug for EncodedWitSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedWitSvid")
            .field("issued_at", &self.issued_at)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
