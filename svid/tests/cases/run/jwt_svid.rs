//! `jwt-svid.json`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::{Algorithm, KeySigner, PrivateKey, Signer};
use keyward_spiffe_id::TrustDomain;
use keyward_svid::jwt::{ClaimProblem, EncodedJwtSvid, MintError, VerifyError};
use keyward_svid::{JwkSet, JwtBundle, KeyUse, MintRequest, Verifier, VerifyOptions, mint};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::Duration;

use crate::table::{Case, Judgement, Table, bytes, refusal};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Bundle {
    trust_domain: TrustDomain,
    jwks: Value,
}

#[derive(Deserialize)]
struct Verify {
    token: String,
    bundle: String,
    audiences: Vec<String>,
    #[serde(default)]
    leeway: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mint {
    signer: MintSigner,
    id: String,
    audiences: Vec<String>,
    ttl: i64,
    issuer: Option<String>,
    jwt_id: Option<String>,
    /// How the second step answers.
    signature: Option<String>,
}

#[derive(Deserialize)]
struct MintSigner {
    alg: String,
    kid: String,
    pkcs8: String,
}

#[test]
fn our_judgement() {
    let table = Table::read("jwt-svid");
    let bundles: BTreeMap<String, Bundle> = table.shared("bundles");
    let bundles: BTreeMap<_, _> = bundles
        .into_iter()
        .map(|(name, Bundle { trust_domain, jwks })| {
            let keys = JwkSet::from_json(jwks.to_string().as_bytes(), KeyUse::JwtSvid).unwrap();
            (name, JwtBundle::new(trust_domain, keys))
        })
        .collect();
    table.check(|case| match case.check.as_str() {
        "verify" => verify(case, &bundles),
        "mint" => minted(case, |input, signer| {
            let request = request(input)?;
            mint(signer, &request, case.now()).map_err(mint_refusal)
        }),
        "two-steps" => minted(case, |input, signer| two_steps(case, input, signer)),
        other => panic!("{}: unknown check `{other}`", case.id),
    });
}

fn verify(case: &Case, bundles: &BTreeMap<String, JwtBundle>) -> Judgement {
    let Verify { token, bundle, audiences, leeway } = case.input();
    let mut options = VerifyOptions::default();
    options.leeway = Duration::seconds(leeway);
    let verifier = Verifier::new(audiences, options).map_err(refusal("configuration"))?;
    let svid = verifier
        .verify(&token, &bundles[&bundle], case.now())
        .map_err(|error| (verify_reason(&error), error.to_string()))?;
    Ok(Map::from_iter([("subject".to_owned(), json!(svid.id().as_str()))]))
}

pub(crate) fn verify_reason(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::TooLong { .. } | VerifyError::Claim { problem: ClaimProblem::TooMany(_), .. } => "limit",
        VerifyError::NotCompact { .. } | VerifyError::Encoding { .. } | VerifyError::Json { .. } => "format",
        VerifyError::Duplicate { .. } => "duplicate",
        VerifyError::Algorithm { .. } => "algorithm",
        VerifyError::Header { .. } => "header",
        VerifyError::Claim { .. } => "claims",
        VerifyError::Subject(_) => "id",
        VerifyError::TrustDomain { .. } => "trust-domain",
        VerifyError::NoKey { .. } => "key",
        VerifyError::Signature => "signature",
        VerifyError::Audience { .. } => "audience",
        VerifyError::Expired { .. } => "expired",
        VerifyError::NotYetValid { .. } => "not-yet-valid",
        other => panic!("no reason for: {other}"),
    }
}

/// Mints in one of two ways, and reads header and claims out of the token, whose signature must hold.
fn minted(
    case: &Case,
    make: impl Fn(&Mint, &NamedSigner) -> Result<EncodedJwtSvid, (&'static str, String)>,
) -> Judgement {
    let input: Mint = case.input();
    let algorithm: Algorithm = input.signer.alg.parse().unwrap();
    let key = PrivateKey::from_pkcs8_der(&bytes(&input.signer.pkcs8)).unwrap();
    let public = key.public_key().clone();
    let inner = KeySigner::new(key, algorithm, Some("unused".to_owned())).unwrap();
    let token = make(&input, &NamedSigner { inner, kid: input.signer.kid.clone() })?;
    let (signed, signature) = token.as_str().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(public.verify(algorithm, signed.as_bytes(), &signature).is_ok(), "{}: the signature", case.id);
    assert!(algorithm != Algorithm::Es256 || signature.len() == 64, "{}: {} bytes", case.id, signature.len());
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    Ok(Map::from_iter([("header".to_owned(), part(header)), ("claims".to_owned(), part(claims))]))
}

fn request(input: &Mint) -> Result<MintRequest, (&'static str, String)> {
    let id = input.id.parse().map_err(refusal::<keyward_spiffe_id::Error>("id"))?;
    let mut request = MintRequest::new(id, &input.audiences, Duration::seconds(input.ttl)).map_err(mint_refusal)?;
    if let Some(issuer) = &input.issuer {
        request = request.with_issuer(issuer);
    }
    if let Some(jwt_id) = &input.jwt_id {
        request = request.with_jwt_id(jwt_id);
    }
    Ok(request)
}

fn two_steps(case: &Case, input: &Mint, signer: &NamedSigner) -> Result<EncodedJwtSvid, (&'static str, String)> {
    let first = request(input)?.signing_input(signer.algorithm(), signer.kid(), case.now()).map_err(mint_refusal)?;
    let message = first.as_bytes().to_vec();
    let raw = || signer.sign(&message).unwrap();
    let der = || signer.inner.private_key().sign_asn1(signer.algorithm(), &message).unwrap();
    match input.signature.as_deref().unwrap() {
        "raw" => first.attach(&raw()),
        "der" => first.attach_der(&der()),
        "der-as-raw" => first.attach(&der()),
        "raw-as-der" => first.attach_der(&raw()),
        "cut" => first.attach(&raw()[1..]),
        other => panic!("{}: unknown signature `{other}`", case.id),
    }
    .map_err(mint_refusal)
}

fn mint_refusal(error: MintError) -> (&'static str, String) {
    let reason = match error {
        MintError::Algorithm { .. } => "algorithm",
        MintError::KeyId | MintError::Audience { .. } | MintError::Lifetime { .. } => "request",
        MintError::TooLong { .. } => "limit",
        MintError::SignatureLength { .. } | MintError::SignatureDer { .. } => "signature",
        ref other => panic!("no reason for: {other}"),
    };
    (reason, error.to_string())
}

/// A signer whose name the case gives, an empty one too.
struct NamedSigner {
    inner: KeySigner,
    kid: String,
}

impl Signer for NamedSigner {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn kid(&self) -> &str {
        &self.kid
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, keyward_keys::Error> {
        self.inner.sign(message)
    }
}
