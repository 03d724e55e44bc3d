//! The workload proof token (draft-ietf-wimse-wpt): what it is bound to, and how it is verified.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::sha256;
use keyward_spiffe_id::SpiffeId;
use serde::de::MapAccess;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::claims::keep_once;
use super::error::{BindingProblem, VerifyError};
use super::verify::{WitSvid, token_hash};
use crate::json::{Fault, Text, excerpt, once};
use crate::jwt::{self, ClaimProblem, Frame, Header, Kind, OtherClaims, Registered, VerifyOptions, required, timely};

/// The longest life of a proof: five minutes. The draft wants "on the order of minutes or seconds".
pub const MAX_PROOF_LIFETIME: Duration = Duration::minutes(5);

/// The request that a proof is for. Sender and recipient each say it in their own words, and must say the same.
///
/// ```
/// use keyward_svid::wit::ProofContext;
///
/// let context = ProofContext::new("https://reports.example/monthly?year=2027")
///     .with_access_token("2YotnFZFEjr1zCsicMWpAA")
///     .with_other_token("X-Session", "a4f1");
/// // Query and fragment do not count (draft-ietf-wimse-wpt §2).
/// assert_eq!(context.audiences(), ["https://reports.example/monthly"]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProofContext {
    audiences: Vec<String>,
    access_token: Option<String>,
    transaction_token: Option<String>,
    other_tokens: BTreeMap<String, String>,
}

impl ProofContext {
    /// A request to this target URI. What stands behind `?` or `#` is left out.
    ///
    /// A recipient takes scheme and authority from its configuration, never from the request: a `Host` header says what
    /// the sender wants it to say (draft-ietf-wimse-wpt §3.1).
    pub fn new(target: &str) -> Self {
        Self {
            audiences: vec![without_query(target).to_owned()],
            access_token: None,
            transaction_token: None,
            other_tokens: BTreeMap::new(),
        }
    }

    /// Another name of the same target, which the recipient accepts as well. A sender uses the first.
    pub fn with_alias(mut self, target: &str) -> Self {
        self.audiences.push(without_query(target).to_owned());
        self
    }

    /// The request carries this OAuth access token; the proof covers it (`ath`).
    pub fn with_access_token(mut self, token: &str) -> Self {
        self.access_token = Some(token_hash(token));
        self
    }

    /// The request carries this transaction token; the proof covers it (`tth`).
    pub fn with_transaction_token(mut self, token: &str) -> Self {
        self.transaction_token = Some(token_hash(token));
        self
    }

    /// The request carries another token in the header field `name`; the proof covers it (`oth`).
    pub fn with_other_token(mut self, name: &str, value: &str) -> Self {
        self.other_tokens.insert(name.to_ascii_lowercase(), token_hash(value.trim_matches(' ')));
        self
    }

    /// The names of the target, without query and fragment.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    pub(super) fn hashes(&self) -> (Option<&str>, Option<&str>, &BTreeMap<String, String>) {
        (self.access_token.as_deref(), self.transaction_token.as_deref(), &self.other_tokens)
    }
}

impl fmt::Debug for ProofContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofContext").field("audiences", &self.audiences).finish_non_exhaustive()
    }
}

fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

pub(super) fn verify(
    proof: &str,
    wit: &WitSvid,
    context: &ProofContext,
    options: &VerifyOptions,
    max_lifetime: Duration,
    now: OffsetDateTime,
) -> Result<WorkloadProof, VerifyError> {
    let frame = Frame::cut(proof, options.max_bytes())?;
    let header = Header::read(&frame.header()?, Kind::Proof, &options.algorithms)?;
    let payload = frame.claims()?;
    let claims = Claims::read(&payload)?;

    let confirmation = wit.confirmation();
    if header.algorithm != confirmation.algorithm() {
        return Err(VerifyError::ProofAlgorithm { expected: confirmation.algorithm(), found: header.algorithm });
    }
    let signature = frame.signature()?;
    confirmation
        .public_key()
        .verify(header.algorithm, frame.signed.as_bytes(), &signature)
        .map_err(|_| jwt::VerifyError::Signature)?;
    if claims.wth != wit.hash {
        return Err(VerifyError::OtherToken);
    }
    let ours = |audience: &str| !audience.is_empty() && context.audiences.iter().any(|ours| ours == audience);
    if !claims.audiences.iter().any(|audience| ours(without_query(audience))) {
        let found = claims.audiences.iter().map(|audience| excerpt(audience)).collect();
        return Err(jwt::VerifyError::Audience { found }.into());
    }
    timely(claims.expires, claims.not_before, options.leeway, now)?;
    let latest = now.saturating_add(max_lifetime).saturating_add(options.leeway);
    if claims.expires > latest {
        return Err(VerifyError::ProofTooLong { expires: claims.expires, latest });
    }
    let (access_token, transaction_token, other_tokens) = context.hashes();
    bound("ath", access_token, claims.ath.as_deref())?;
    bound("tth", transaction_token, claims.tth.as_deref())?;
    // Entries that are not understood refuse the proof, tokens that are not covered are none that we could use.
    for name in other_tokens.keys().chain(claims.oth.keys()) {
        let claim = format!("oth.{}", excerpt(name));
        bound(&claim, other_tokens.get(name).map(String::as_str), claims.oth.get(name).map(String::as_str))?;
    }
    Ok(WorkloadProof {
        id: wit.holder().clone(),
        replay_id: ReplayId::new(&confirmation.public_key().thumbprint(), &claims.jwt_id),
        expires: claims.expires,
        forget_after: claims.expires.saturating_add(options.leeway),
    })
}

fn bound(claim: &str, expected: Option<&str>, found: Option<&str>) -> Result<(), VerifyError> {
    let problem = match (expected, found) {
        (None, None) => return Ok(()),
        (Some(expected), Some(found)) if expected == found => return Ok(()),
        (Some(_), Some(_)) => BindingProblem::Mismatch,
        (Some(_), None) => BindingProblem::Missing,
        (None, Some(_)) => BindingProblem::Unexpected,
    };
    Err(VerifyError::Binding { claim: claim.to_owned(), problem })
}

/// The claims of a proof (draft-ietf-wimse-wpt §2).
struct Claims {
    audiences: Vec<String>,
    expires: OffsetDateTime,
    not_before: Option<OffsetDateTime>,
    jwt_id: String,
    wth: String,
    ath: Option<String>,
    tth: Option<String>,
    oth: BTreeMap<String, String>,
}

impl Claims {
    fn read(json: &[u8]) -> Result<Self, VerifyError> {
        let mut read = Registered::<Hashes<'_>>::read(json)?;
        let owned = |text: Text<'_>| text.0.into_owned();
        let jwt_id = required("jti", read.jti.take())?;
        if jwt_id.0.is_empty() {
            return Err(jwt::VerifyError::Claim { claim: "jti", problem: ClaimProblem::Empty }.into());
        }
        Ok(Self {
            audiences: read.audiences()?,
            expires: read.expires()?,
            not_before: read.not_before()?,
            jwt_id: owned(jwt_id),
            wth: owned(required("wth", read.others.wth)?),
            ath: read.others.ath.map(owned),
            tth: read.others.tth.map(owned),
            oth: read.others.oth.map(other_hashes).transpose()?.unwrap_or_default(),
        })
    }
}

/// An object of strings.
fn other_hashes(oth: Value) -> Result<BTreeMap<String, String>, VerifyError> {
    let wrong = || jwt::VerifyError::Claim { claim: "oth", problem: ClaimProblem::Type };
    let Value::Object(members) = oth else { return Err(wrong().into()) };
    let entries = members.into_iter().map(|(name, hash)| match hash {
        Value::String(hash) => Ok((name, hash)),
        _ => Err(wrong().into()),
    });
    entries.collect()
}

#[derive(Default)]
struct Hashes<'de> {
    wth: Option<Text<'de>>,
    ath: Option<Text<'de>>,
    tth: Option<Text<'de>>,
    oth: Option<Value>,
}

impl<'de> OtherClaims<'de> for Hashes<'de> {
    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<bool, A::Error> {
        match name {
            "wth" => once(map, &mut self.wth, "wth", fault)?,
            "ath" => once(map, &mut self.ath, "ath", fault)?,
            "tth" => once(map, &mut self.tth, "tth", fault)?,
            "oth" => keep_once("oth", &mut self.oth, map, fault)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A verified proof: whoever sent the request has the private key that the WIT-SVID confirms.
///
/// Only [`WitVerifier::verify_proof`](super::WitVerifier::verify_proof) makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadProof {
    id: SpiffeId,
    replay_id: ReplayId,
    expires: OffsetDateTime,
    forget_after: OffsetDateTime,
}

impl WorkloadProof {
    /// Who sent the request.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The name of this one proof. A recipient that wants each proof to work once (it SHOULD) refuses a name that it
    /// has seen, and keeps names until [`forget_after`](Self::forget_after).
    pub fn replay_id(&self) -> ReplayId {
        self.replay_id
    }

    /// `exp`: from this second on the proof is expired.
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// From then on the same proof is refused as expired, and its name need not be kept.
    pub fn forget_after(&self) -> OffsetDateTime {
        self.forget_after
    }
}

/// The name of one proof of one key: 32 bytes, whatever the sender wrote. It displays as base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayId([u8; 32]);

impl ReplayId {
    /// Proofs of different keys never share a name, whatever their `jti`.
    fn new(thumbprint: &str, jwt_id: &str) -> Self {
        Self(sha256(format!("{thumbprint}.{jwt_id}").as_bytes()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ReplayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for ReplayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplayId({self})")
    }
}
