//! Certificates that we issue, held against what the table says of them.

use std::collections::BTreeMap;

use keyward_keys::{Algorithm, KeySigner, PrivateKey};
use keyward_spiffe_id::TrustDomain;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, Error, LeafRequest, Subject, SubjectField};
use keyward_svid::x509::{X509Bundle, X509Verifier};
use rand_core::UnwrapErr;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::Chains;
use crate::table::{Case, Judgement, refusal};

#[derive(Deserialize)]
struct Issue {
    authority: IssueAuthority,
    id: String,
    ttl: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct IssueAuthority {
    trust_domain: TrustDomain,
    made: i64,
    not_after: i64,
}

#[derive(Deserialize)]
struct Fields {
    fields: BTreeMap<String, String>,
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// Issues twice, by two authorities alike, and verifies strictly what was issued.
pub(super) fn issue(case: &Case, chains: &Chains) -> Judgement {
    let Issue { authority: IssueAuthority { trust_domain, made, not_after }, id, ttl } = case.input();
    let now = case.now();
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut authority = || {
        let key = PrivateKey::from_pkcs8_der(&chains.key("authority")).unwrap();
        let public = key.public_key().clone();
        let signer = KeySigner::new(key, Algorithm::Es256, None).unwrap();
        let request = AuthorityRequest::new(trust_domain.clone(), Subject::default(), at(not_after));
        Authority::self_signed(signer, &public, &request, &mut rng, at(made)).unwrap()
    };
    let (one, other) = (authority(), authority());
    let key = PrivateKey::from_pkcs8_der(&chains.key("leaf")).unwrap();
    let id = id.parse().map_err(refusal::<keyward_spiffe_id::Error>("id"))?;
    let refused = |error: Error| (reason(&error), error.to_string());
    let request = LeafRequest::new(id, key.public_key(), Duration::seconds(ttl)).map_err(refused)?;
    let (first, second) =
        (one.issue(&request, &mut rng, now).map_err(refused)?, one.issue(&request, &mut rng, now).map_err(refused)?);

    let root = one.issuer().certificate().clone();
    let bundle = X509Bundle::new(trust_domain, [root.clone()]).unwrap();
    let svid = X509Verifier::default().verify(first.chain(), &bundle, now).unwrap();
    // RFC 5280 §4.1.2.2: 20 octets at most; the ends of two random numbers differ.
    let (a, b) = (first.serial(), second.serial());
    let random = (30..=40).contains(&a.len()) && a[..8] != b[..8] && a[a.len() - 8..] != b[b.len() - 8..];
    Ok(Map::from_iter([
        ("not-before".to_owned(), json!(svid.not_before().unix_timestamp())),
        ("not-after".to_owned(), json!(svid.not_after().unix_timestamp())),
        ("serials-random".to_owned(), json!(random)),
        ("subjects-differ".to_owned(), json!(one.issuer().subject_der() != other.issuer().subject_der())),
        ("leaf-contains".to_owned(), contained(case, "leaf-contains", svid.leaf())),
        ("authority-contains".to_owned(), contained(case, "authority-contains", &root)),
    ]))
}

/// Those of the expected elements, in hexadecimal, that the certificate has.
fn contained(case: &Case, fact: &str, certificate: &[u8]) -> Value {
    let digits: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = case.facts.get(fact).and_then(Value::as_array).cloned().unwrap_or_default();
    expected.into_iter().filter(|element| digits.contains(element.as_str().unwrap())).collect()
}

pub(super) fn subject(case: &Case) -> Judgement {
    let Fields { fields } = case.input();
    let mut subject = Subject::default();
    for (name, value) in &fields {
        let field = SubjectField::ALL.into_iter().find(|field| field.as_str() == name).unwrap();
        subject = subject.with(field, value).map_err(|error| {
            // The error names the field.
            assert_eq!(error.field(), Some(field.as_str()), "{}", case.id);
            (reason(&error), error.to_string())
        })?;
    }
    Ok(Map::new())
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::Subject { .. } => "configuration",
        Error::NoPath { .. } => "role",
        Error::TrustDomain { .. } => "trust-domain",
        Error::NotPermitted { .. } => "constraint",
        Error::NotYetValid { .. } => "not-yet-valid",
        Error::Ended { .. } => "expired",
        Error::Ttl { .. } => "request",
        other => panic!("no reason for: {other}"),
    }
}
