//! Looks at an issuer through its public URL, as a cloud would.

use std::time::Duration;

use keyward_keys::Algorithm;
use keyward_svid::{
    JwkSet, KeyUse,
    oidc::{Discovery, Issuer},
    relying_party::{RelyingParty, TokenShape, check},
};
use serde_json::{Value, json};

/// How long each of the two documents may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a document may be: AWS's own limit is of this order.
const LIMIT: usize = 1 << 20;

/// What was found, and who would accept it. Never fails: what fails is the finding.
pub async fn run(issuer: &Issuer, signing: Option<(&str, Algorithm)>) -> Value {
    let mut problems: Vec<String> = Vec::new();
    let found = match look(issuer).await {
        Ok(found) => Some(found),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    if let Some((document, keys)) = &found {
        if document.issuer.as_str() != issuer.as_str() {
            problems
                .push(format!("the discovery document names the issuer `{}`, tokens name `{issuer}`", document.issuer));
        }
        if let Some((kid, _)) = signing
            && !keys.keys().iter().any(|key| key.kid() == Some(kid))
        {
            problems.push(format!(
                "the key set lacks the key `{kid}` that signs now: something between caches it for too long"
            ));
        }
    }
    let parties: Vec<Value> = RelyingParty::ALL
        .into_iter()
        .map(|party| {
            let mut shape = TokenShape::default();
            let named = found.as_ref().map(|(document, _)| document.issuer.to_string());
            let issuer_text = issuer.to_string();
            shape.algorithm = signing.map(|(_, algorithm)| algorithm);
            shape.issuer = Some(&issuer_text);
            shape.discovery_issuer = named.as_deref();
            if let Some((_, keys)) = &found {
                let rsa = keys.keys().iter().filter(|key| key.public_key().kty() == "RSA").count();
                shape.rsa_keys = rsa;
                shape.ec_keys = keys.keys().len() - rsa;
            }
            let reasons: Vec<String> = problems
                .iter()
                .cloned()
                .chain(check(party, &shape).into_iter().map(|warning| warning.to_string()))
                .collect();
            json!({"relying-party": party.as_str(), "accepts": reasons.is_empty(), "reasons": reasons})
        })
        .collect();
    json!({"issuer": issuer.as_str(), "reachable": found.is_some(), "problems": problems, "relying-parties": parties})
}

async fn look(issuer: &Issuer) -> Result<(Discovery, JwkSet), String> {
    // The client takes its cryptography from the process; who was first with the same one does not matter.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // The public roots alone: a cloud trusts no other, and a certificate of the tower's own is worth a finding.
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| format!("cannot make an HTTPS client: {error}"))?;
    let document = fetch(&client, &issuer.discovery_url()).await?;
    let document: Discovery =
        serde_json::from_slice(&document).map_err(|error| format!("the discovery document is refused: {error}"))?;
    let keys = fetch(&client, &document.jwks_uri).await?;
    let keys =
        JwkSet::from_json(&keys, KeyUse::Signature).map_err(|error| format!("the key set is refused: {error}"))?;
    Ok((document, keys))
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, String> {
    let mut answer = client.get(url).send().await.map_err(|error| unreachable(url, error))?;
    if !answer.status().is_success() {
        return Err(format!("`{url}` answers {}", answer.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(url, error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LIMIT {
            return Err(format!("`{url}` answers more than {LIMIT} bytes"));
        }
    }
    Ok(body)
}

/// Why a document cannot be read, and what to do about it.
fn unreachable(url: &str, error: reqwest::Error) -> String {
    let error = error.without_url();
    // reqwest's own text leaves out why a certificate was refused.
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let reason = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    let remedy = if reason.contains("certificate") {
        "; clouds trust public CAs alone: serve a certificate of one (`--tls-cert`, `--tls-key`), or put a proxy with one in front"
    } else if error.is_connect() || error.is_timeout() {
        "; is the external URL right, and does it lead here?"
    } else {
        ""
    };
    format!("`{url}` cannot be read: {reason}{remedy}")
}
