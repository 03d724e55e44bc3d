//! Looks at an issuer through its public URL, as a cloud would.

use std::time::Duration;

use keyward_keys::Algorithm;
use keyward_svid::{
    JwkSet, KeyUse,
    oidc::{Discovery, Issuer},
    relying_party::{RelyingParty, TokenShape, check},
};
use serde_json::{Value, json};

use crate::outbound::{Client, Failure, Redirects, Trust};

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
    // The public roots alone: a cloud trusts no other, and a certificate of the tower's own is worth a finding.
    let client = Client::new(&Trust::PublicRoots, Redirects::None, TIMEOUT).map_err(|error| error.to_string())?;
    let document = fetch(&client, &issuer.discovery_url()).await?;
    let document: Discovery =
        serde_json::from_slice(&document).map_err(|error| format!("the discovery document is refused: {error}"))?;
    let keys = fetch(&client, &document.jwks_uri).await?;
    let keys =
        JwkSet::from_json(&keys, KeyUse::Signature).map_err(|error| format!("the key set is refused: {error}"))?;
    Ok((document, keys))
}

/// A document, or why it cannot be read and what to do about it.
async fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, String> {
    client.document(url, LIMIT).await.map_err(|error| {
        let remedy = match error.kind {
            Failure::Certificate => {
                "; clouds trust public CAs alone: serve a certificate of one (`--tls-cert`, `--tls-key`), or put a proxy with one in front"
            }
            Failure::Unreachable => "; is the external URL right, and does it lead here?",
            Failure::Answer => "",
        };
        format!("`{url}` cannot be read: {error}{remedy}")
    })
}
