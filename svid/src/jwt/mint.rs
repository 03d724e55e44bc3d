//! Minting: from a subject, audiences and a lifetime to a signed token.

use keyward_keys::{Algorithm, Signer};
use keyward_spiffe_id::SpiffeId;
use time::{Duration, OffsetDateTime};

use super::claims::MAX_AUDIENCES;
use super::error::MintError;
use super::frame::signing_text;
use super::header::{Header, JWT_SVID_ALGORITHMS, Kind};
use super::signing_input::SigningInput;
use super::times::Validity;
use super::token::EncodedJwtSvid;
use crate::json::push_string;

/// How far `nbf` lies before `iat` unless a request says otherwise, for verifiers whose clocks are late.
pub const DEFAULT_BACKDATE: Duration = Duration::seconds(10);

/// What a token shall say.
///
/// ```
/// use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
/// use keyward_svid::jwt::{MintRequest, mint};
/// use time::Duration;
/// # let now = time::OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
///
/// let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
/// let request = MintRequest::new("spiffe://example.org/payments".parse()?, ["sts.amazonaws.com"], Duration::minutes(5))?
///     .with_issuer("https://tower.example.org/1f0e");
/// let token = mint(&signer, &request, now)?;
/// assert_eq!(token.as_str().split('.').count(), 3);
/// assert_eq!(token.expires(), now + Duration::minutes(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintRequest {
    subject: SpiffeId,
    audiences: Vec<String>,
    lifetime: Duration,
    issuer: Option<String>,
    jwt_id: Option<String>,
    backdate: Duration,
    not_after: Option<OffsetDateTime>,
}

impl MintRequest {
    /// A token for `subject`, to be shown to `audiences`, that lives for `lifetime` (whole seconds; a fraction is
    /// cut off). One audience is what the standard recommends (JWT-SVID §3.2).
    ///
    /// # Errors
    /// [`MintError::Audience`] without audience, with an empty one or with more than [`MAX_AUDIENCES`];
    /// [`MintError::Lifetime`] below a second.
    pub fn new(
        subject: SpiffeId,
        audiences: impl IntoIterator<Item = impl Into<String>>,
        lifetime: Duration,
    ) -> Result<Self, MintError> {
        let audiences: Vec<String> = audiences.into_iter().map(Into::into).collect();
        let count = audiences.len();
        if count == 0 || count > MAX_AUDIENCES || audiences.iter().any(String::is_empty) {
            return Err(MintError::Audience { count, limit: MAX_AUDIENCES });
        }
        if lifetime < Duration::SECOND {
            return Err(MintError::Lifetime { lifetime });
        }
        Ok(Self {
            subject,
            audiences,
            lifetime,
            issuer: None,
            jwt_id: None,
            backdate: DEFAULT_BACKDATE,
            not_after: None,
        })
    }

    /// Sets `iss`, which OIDC relying parties demand: the issuer's URL, see [`Issuer`](crate::oidc::Issuer).
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets `jti`, a name for this one token, unique per issuer (RFC 7519 §4.1.7).
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

    /// Sets a moment that the token may not outlive, such as the end of its key. The lifetime is cut to it; once it
    /// has passed nothing is issued.
    pub fn with_not_after(mut self, not_after: OffsetDateTime) -> Self {
        self.not_after = Some(not_after);
        self
    }

    /// Whom the token shall identify.
    pub fn subject(&self) -> &SpiffeId {
        &self.subject
    }

    /// Whom it is meant for.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// How long it shall live.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Its `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The first of two steps: the bytes to sign, for a key that only a KMS or an HSM can use. The second is
    /// [`SigningInput::attach`].
    ///
    /// # Errors
    /// When the algorithm is not one of JWT-SVID's, `kid` is empty, or lifetime and `now` do not go together.
    pub fn signing_input(
        &self,
        algorithm: Algorithm,
        kid: &str,
        now: OffsetDateTime,
    ) -> Result<SigningInput, MintError> {
        self.signing_input_after(&encode_header(algorithm, kid)?, algorithm, now)
    }

    fn signing_input_after(
        &self,
        header: &str,
        algorithm: Algorithm,
        now: OffsetDateTime,
    ) -> Result<SigningInput, MintError> {
        let validity = Validity::new(self.lifetime, self.backdate, self.not_after, now)?;
        let text = signing_text(header, &self.claims_json(&validity))?;
        Ok(SigningInput::new(text, algorithm, validity.issued_at, validity.expires))
    }

    /// The claims as JSON, times as integers, `aud` as a string where there is one and as a list where there are
    /// more (RFC 7519 §4.1.3).
    fn claims_json(&self, validity: &Validity) -> String {
        let mut json = String::with_capacity(320);
        json.push('{');
        if let Some(issuer) = &self.issuer {
            json.push_str("\"iss\":");
            push_string(&mut json, issuer);
            json.push(',');
        }
        json.push_str("\"sub\":");
        push_string(&mut json, self.subject.as_str());
        json.push_str(",\"aud\":");
        match self.audiences.as_slice() {
            [only] => push_string(&mut json, only),
            several => {
                for (index, audience) in several.iter().enumerate() {
                    json.push(if index == 0 { '[' } else { ',' });
                    push_string(&mut json, audience);
                }
                json.push(']');
            }
        }
        validity.push_claims(&mut json);
        if let Some(jwt_id) = &self.jwt_id {
            json.push_str(",\"jti\":");
            push_string(&mut json, jwt_id);
        }
        json.push('}');
        json
    }
}

/// Mints one token. For many tokens of one signer a [`Minter`] saves encoding the header each time.
///
/// # Errors
/// As [`Minter::new`] and [`Minter::mint`].
pub fn mint(signer: &impl Signer, request: &MintRequest, now: OffsetDateTime) -> Result<EncodedJwtSvid, MintError> {
    Minter::new(signer)?.mint(request, now)
}

/// Mints tokens with one signer, whose header is encoded once.
///
/// A signer that changes, such as a key ring that rotates, needs a new minter after each change: the header
/// names the key, and [`mint`](Self::mint) refuses to sign when they differ.
#[derive(Debug, Clone)]
pub struct Minter<S> {
    signer: S,
    header: String,
    algorithm: Algorithm,
    kid: String,
}

impl<S: Signer> Minter<S> {
    /// Takes a signer; a reference and an `Arc` are signers too.
    ///
    /// # Errors
    /// [`MintError::Algorithm`] for an Ed25519 key, which JWT-SVID §2.1 does not allow; [`MintError::KeyId`] for a
    /// signer without key ID.
    pub fn new(signer: S) -> Result<Self, MintError> {
        let algorithm = signer.algorithm();
        let kid = signer.kid().to_owned();
        let header = encode_header(algorithm, &kid)?;
        Ok(Self { signer, header, algorithm, kid })
    }

    /// The signer.
    pub fn signer(&self) -> &S {
        &self.signer
    }

    /// Mints one token.
    ///
    /// # Errors
    /// When the request cannot be fulfilled at `now`, or the signer fails.
    pub fn mint(&self, request: &MintRequest, now: OffsetDateTime) -> Result<EncodedJwtSvid, MintError> {
        let input = request.signing_input_after(&self.header, self.algorithm, now)?;
        let signature = sign(&self.signer, self.algorithm, &self.kid, input.as_bytes())?;
        input.attach(&signature)
    }
}

/// The signature of a signer that is still the one that the header names.
pub(crate) fn sign(
    signer: &impl Signer,
    algorithm: Algorithm,
    kid: &str,
    message: &[u8],
) -> Result<Vec<u8>, MintError> {
    let signature = signer.sign(message).map_err(MintError::Signer)?;
    if signer.algorithm() != algorithm || signer.kid() != kid {
        return Err(MintError::SignerChanged);
    }
    Ok(signature)
}

/// The encoded header: exactly `alg`, `kid`, `typ` (JWT-SVID §2).
fn encode_header(algorithm: Algorithm, kid: &str) -> Result<String, MintError> {
    if !JWT_SVID_ALGORITHMS.contains(&algorithm) {
        return Err(MintError::Algorithm { algorithm });
    }
    if kid.is_empty() {
        return Err(MintError::KeyId);
    }
    Ok(Header::encode(algorithm, Some(kid), Kind::JwtSvid))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use keyward_keys::{ErrorKind, KeySigner, KeyType, PrivateKey};

    use super::*;
    use crate::jwt::MAX_TOKEN_BYTES;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn request() -> MintRequest {
        MintRequest::new("spiffe://td.example/w".parse().unwrap(), ["a"], Duration::minutes(5)).unwrap()
    }

    fn signer(key_type: KeyType) -> KeySigner {
        let algorithm = Algorithm::default_for(key_type);
        KeySigner::new(PrivateKey::generate(key_type).unwrap(), algorithm, Some("k/1".to_owned())).unwrap()
    }

    fn part(token: &str, index: usize) -> String {
        let part = token.split('.').nth(index).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written() {
        let signer = signer(KeyType::EcdsaP256);
        let now = at(1_700_000_000) + Duration::milliseconds(999);
        let token = mint(&signer, &request(), now).unwrap();
        assert_eq!(part(token.as_str(), 0), r#"{"alg":"ES256","kid":"k/1","typ":"JWT"}"#);
        assert_eq!(
            part(token.as_str(), 1),
            r#"{"sub":"spiffe://td.example/w","aud":"a","exp":1700000300,"iat":1700000000,"nbf":1699999990}"#
        );
        assert_eq!((token.issued_at(), token.expires()), (at(1_700_000_000), at(1_700_000_300)));

        let request = MintRequest::new("spiffe://td".parse().unwrap(), ["a", "b"], Duration::seconds(90))
            .unwrap()
            .with_issuer("https://i.example")
            .with_jwt_id("7")
            .with_backdate(Duration::ZERO);
        let token = mint(&signer, &request, at(0)).unwrap();
        assert_eq!(
            part(token.as_str(), 1),
            r#"{"iss":"https://i.example","sub":"spiffe://td","aud":["a","b"],"exp":90,"iat":0,"nbf":0,"jti":"7"}"#
        );
    }

    #[test]
    fn an_ed25519_key_is_refused_with_the_reason() {
        let error = Minter::new(signer(KeyType::Ed25519)).unwrap_err();
        assert_eq!(error, MintError::Algorithm { algorithm: Algorithm::EdDsa });
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        let error = request().signing_input(Algorithm::EdDsa, "k", at(0)).unwrap_err();
        assert_eq!(error, MintError::Algorithm { algorithm: Algorithm::EdDsa });
        assert_eq!(request().signing_input(Algorithm::Es256, "", at(0)).unwrap_err(), MintError::KeyId);
    }

    #[test]
    fn audiences_are_given_and_bounded() {
        let new =
            |audiences: Vec<String>| MintRequest::new("spiffe://td/w".parse().unwrap(), audiences, Duration::SECOND);
        for (audiences, count) in [(vec![], 0), (vec![String::new()], 1), (vec!["a".to_owned(); 33], 33)] {
            assert_eq!(new(audiences), Err(MintError::Audience { count, limit: 32 }));
        }
        assert!(new(vec!["a".to_owned(); 32]).is_ok());
    }

    #[test]
    fn a_lifetime_is_at_least_a_second_and_ends_in_time() {
        let new = |lifetime| MintRequest::new("spiffe://td/w".parse().unwrap(), ["a"], lifetime);
        for lifetime in [Duration::ZERO, Duration::milliseconds(999), -Duration::DAY] {
            assert_eq!(new(lifetime), Err(MintError::Lifetime { lifetime }));
        }
        let request = new(Duration::MAX).unwrap();
        let error = request.signing_input(Algorithm::Es256, "k", at(0)).unwrap_err();
        assert_eq!(error, MintError::Lifetime { lifetime: Duration::MAX });
    }

    #[test]
    fn no_token_outlives_its_authority() {
        let expires = |not_after: OffsetDateTime, now: OffsetDateTime| {
            let request = request().with_not_after(not_after);
            mint(&signer(KeyType::EcdsaP256), &request, now).map(|token| token.expires())
        };
        assert_eq!(expires(at(1_000), at(0)), Ok(at(300)));
        assert_eq!(expires(at(100), at(0)), Ok(at(100)));
        assert_eq!(expires(at(100) + Duration::milliseconds(500), at(0)), Ok(at(100)));
        for not_after in [at(0), at(-5)] {
            assert_eq!(expires(not_after, at(0)), Err(MintError::AuthorityEnded { now: at(0), not_after }));
        }
        // Less than a second left: a whole second would be too much.
        let (not_after, now) = (at(1), at(1) - Duration::milliseconds(1));
        assert_eq!(expires(not_after, now), Ok(at(1)));
        assert_eq!(
            expires(not_after, at(1) + Duration::milliseconds(1)),
            Err(MintError::AuthorityEnded { now: at(1) + Duration::milliseconds(1), not_after })
        );
    }

    #[test]
    fn a_token_that_nobody_must_read_is_not_made() {
        let request = request().with_issuer("x".repeat(50_000));
        let error = request.signing_input(Algorithm::Es256, "k", at(0)).unwrap_err();
        assert!(matches!(error, MintError::TooLong { limit: MAX_TOKEN_BYTES, .. }), "{error}");
    }

    #[test]
    fn a_signer_that_changed_is_noticed() {
        #[derive(Default)]
        struct Turncoat(std::sync::atomic::AtomicBool);
        impl Signer for Turncoat {
            fn algorithm(&self) -> Algorithm {
                Algorithm::Es256
            }
            fn kid(&self) -> &str {
                if self.0.load(std::sync::atomic::Ordering::Relaxed) { "new" } else { "old" }
            }
            fn sign(&self, _: &[u8]) -> Result<Vec<u8>, keyward_keys::Error> {
                self.0.store(true, std::sync::atomic::Ordering::Relaxed);
                Ok(vec![0; 64])
            }
        }
        let error = mint(&Turncoat::default(), &request(), at(0)).unwrap_err();
        assert_eq!(error, MintError::SignerChanged);
        assert_eq!(error.to_string(), "the signer changed its key, encode its header anew");
    }

    #[test]
    fn the_token_is_not_shown_by_accident() {
        let token = mint(&signer(KeyType::EcdsaP256), &request(), at(0)).unwrap();
        let shown = format!("{token:?}");
        for part in token.as_str().split('.') {
            assert!(!shown.contains(part), "{shown}");
        }
        assert!(shown.starts_with("EncodedJwtSvid { issued_at: 1970"), "{shown}");
    }
}
