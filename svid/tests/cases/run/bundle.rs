//! `bundle.json`.

use std::collections::BTreeMap;

use keyward_spiffe_id::TrustDomain;
use keyward_svid::bundle::{Bundle, BundleSet, DEFAULT_REFRESH_HINT, Error};
use keyward_svid::jwks::JwksError;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::X509Verifier;
use keyward_svid::{Verifier, VerifyOptions};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::table::{Case, Table, bytes};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Read {
    trust_domain: TrustDomain,
    document: Option<String>,
    document_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Replace {
    trust_domain: TrustDomain,
    held: String,
    offered: String,
}

#[derive(Deserialize)]
struct MapRead {
    document: String,
}

#[derive(Deserialize)]
struct MapReplace {
    held: String,
    offered: String,
}

/// SVIDs that cases name, and their verification.
pub(crate) struct Svids {
    certificates: BTreeMap<String, CertificateDer<'static>>,
    tokens: BTreeMap<String, String>,
}

/// What is shown: a chain, or a token to one of these audiences.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Chain { chain: Vec<String> },
    Token { token: String, audiences: Vec<String> },
}

impl Svids {
    pub(crate) fn read(table: &Table) -> Self {
        let certificates: BTreeMap<String, String> = table.shared("certificates");
        let certificates = certificates.into_iter().map(|(name, der)| (name, CertificateDer::from(bytes(&der))));
        Self { certificates: certificates.collect(), tokens: table.shared("tokens") }
    }

    pub(crate) fn certificate(&self, name: &str) -> &CertificateDer<'static> {
        &self.certificates[name]
    }

    /// Verifies with a bundle; answers the ID.
    pub(crate) fn verify(
        &self,
        shown: &Shown,
        bundle: &Bundle,
        now: OffsetDateTime,
    ) -> Result<String, (&'static str, String)> {
        match shown {
            Shown::Chain { chain } => {
                let chain: Vec<_> = chain.iter().map(|name| self.certificate(name).clone()).collect();
                let svid = X509Verifier::default().verify(&chain, bundle.x509(), now);
                svid.map(|svid| svid.id().to_string())
                    .map_err(|error| (crate::x509_svid::reason(&error), error.to_string()))
            }
            Shown::Token { token, audiences } => {
                let verifier = Verifier::new(audiences, VerifyOptions::default()).unwrap();
                let svid = verifier.verify(&self.tokens[token], bundle.jwt(), now);
                svid.map(|svid| svid.id().to_string())
                    .map_err(|error| (crate::jwt_svid::verify_reason(&error), error.to_string()))
            }
        }
    }
}

#[test]
fn our_judgement() {
    let table = Table::read("bundle");
    let svids = Svids::read(&table);
    table.check(|case| match case.check.as_str() {
        "read" => read(case).map(|bundle| facts(&bundle)),
        "rewrite" => read(case).map(|bundle| {
            let written = serde_json::from_str(&bundle.to_json()).unwrap();
            Map::from_iter([("written".to_owned(), written)])
        }),
        "verify-x509" | "verify-jwt" => {
            let id = svids.verify(&case.input(), &read(case)?, case.now())?;
            Ok(Map::from_iter([("subject".to_owned(), json!(id))]))
        }
        "replace" => {
            let Replace { trust_domain, held, offered } = case.input();
            let of = |text: &str| Bundle::from_json(trust_domain.clone(), text.as_bytes()).unwrap();
            let held = of(&held);
            held.accept_newer(of(&offered)).map(|bundle| facts(&bundle)).map_err(refused)
        }
        "map" => {
            let MapRead { document } = case.input();
            BundleSet::from_json(document.as_bytes()).map(|set| map_facts(&set)).map_err(refused)
        }
        "replace-map" => {
            let MapReplace { held, offered } = case.input();
            let of = |text: &str| BundleSet::from_json(text.as_bytes()).unwrap();
            let (mut set, before) = (of(&held), of(&held).to_json());
            let result = set.replace(of(&offered)).map_err(refused);
            // All or nothing.
            assert!(result.is_ok() || set.to_json() == before, "{}", case.id);
            result.map(|()| map_facts(&set))
        }
        other => panic!("{}: unknown check `{other}`", case.id),
    });
}

fn read(case: &Case) -> Result<Bundle, (&'static str, String)> {
    let Read { trust_domain, document, document_base64 } = case.input();
    let document = document.map_or_else(|| bytes(&document_base64.unwrap()), String::into_bytes);
    Bundle::from_json(trust_domain, &document).map_err(refused)
}

fn facts(bundle: &Bundle) -> Map<String, Value> {
    let kids: Vec<_> = bundle.jwt().keys().keys().iter().map(|key| key.kid()).collect();
    Map::from_iter([
        ("x509".to_owned(), json!(bundle.x509().authorities().len())),
        ("jwt".to_owned(), json!(kids)),
        ("sequence".to_owned(), json!(bundle.sequence())),
        ("refresh-hint".to_owned(), json!(bundle.refresh_hint())),
        ("refresh-after".to_owned(), json!(bundle.refresh_hint().unwrap_or(DEFAULT_REFRESH_HINT))),
        ("skipped".to_owned(), json!(bundle.skipped().len())),
    ])
}

fn map_facts(set: &BundleSet) -> Map<String, Value> {
    let names: Vec<_> = set.iter().map(|bundle| bundle.trust_domain().as_str()).collect();
    let hints: Vec<_> = set.iter().map(Bundle::refresh_hint).collect();
    Map::from_iter([("trust-domains".to_owned(), json!(names)), ("refresh-hints".to_owned(), json!(hints))])
}

fn refused(error: Error) -> (&'static str, String) {
    (reason(&error), error.to_string())
}

pub(crate) fn reason(error: &Error) -> &'static str {
    match error {
        Error::Keys(JwksError::Duplicate { .. }) | Error::MapDuplicate { .. } => "duplicate",
        Error::Keys(JwksError::TooLong { .. } | JwksError::TooMany { .. }) => "limit",
        Error::Keys(_) | Error::Integer { .. } | Error::MapJson { .. } | Error::NoTrustDomains => "format",
        Error::MapTooLong { .. } | Error::MapTooMany { .. } => "limit",
        Error::MapName(_) => "id",
        Error::MapBundle { source, .. } => reason(source),
        Error::TrustDomain { .. } => "trust-domain",
        Error::Rollback { .. } => "rollback",
        other => panic!("no reason for: {other}"),
    }
}
