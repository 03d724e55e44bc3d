//! `x509-svid.json`.

mod issuing;
#[cfg(feature = "transit")]
mod rotation;

use std::collections::BTreeMap;

use keyward_spiffe_id::TrustDomain;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{Error, LeafProblem, SignerProblem, X509Bundle, X509Mode, X509Verifier, X509VerifyOptions};
use serde::Deserialize;
use serde_json::{Map, json};

use crate::table::{Case, Table, bytes};

#[derive(Deserialize)]
struct Verify {
    chain: Vec<String>,
    bundles: BTreeMap<TrustDomain, Vec<String>>,
    mode: Option<String>,
}

/// The certificates that the cases name.
pub(crate) struct Chains {
    certificates: BTreeMap<String, CertificateDer<'static>>,
    keys: BTreeMap<String, String>,
}

impl Chains {
    pub(crate) fn read() -> (Table, Self) {
        let table = Table::read("x509-svid");
        let certificates: BTreeMap<String, String> = table.shared("certificates");
        let certificates =
            certificates.into_iter().map(|(name, text)| (name, CertificateDer::from(bytes(&text)))).collect();
        let keys = table.shared("keys");
        (table, Self { certificates, keys })
    }

    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        bytes(&self.keys[name])
    }

    fn named(&self, names: &[String]) -> Vec<CertificateDer<'static>> {
        names.iter().map(|name| self.certificates[name].clone()).collect()
    }

    pub(crate) fn chain(&self, case: &Case) -> Vec<CertificateDer<'static>> {
        self.named(&case.input::<Verify>().chain)
    }

    /// The authorities of all bundles of a case.
    pub(crate) fn all_authorities(&self, case: &Case) -> Vec<CertificateDer<'static>> {
        case.input::<Verify>().bundles.values().flat_map(|names| self.named(names)).collect()
    }
}

#[test]
fn our_judgement() {
    let (table, chains) = Chains::read();
    table.check_some(|case| {
        Some(match case.check.as_str() {
            "verify" => verify(case, &chains).map_err(|error| (reason(&error), error.to_string())),
            "issue" => issuing::issue(case, &chains),
            "subject" => issuing::subject(case),
            // It needs the rings of keyward-transit.
            #[cfg(feature = "transit")]
            "rotation" => rotation::rotate(case),
            #[cfg(not(feature = "transit"))]
            "rotation" => return None,
            other => panic!("{}: unknown check `{other}`", case.id),
        })
    });
}

fn verify(case: &Case, chains: &Chains) -> Result<Map<String, serde_json::Value>, Error> {
    let Verify { chain, bundles, mode } = case.input();
    let mut options = X509VerifyOptions::default();
    if mode.as_deref() == Some("standard") {
        options.mode = X509Mode::Standard;
    }
    let bundles = bundles.into_iter().map(|(name, authorities)| X509Bundle::new(name, chains.named(&authorities)));
    let bundles: Vec<X509Bundle> = bundles.collect::<Result<_, _>>()?;
    let find = |name: keyward_spiffe_id::TrustDomainRef<'_>| {
        bundles.iter().find(|bundle| bundle.trust_domain().as_str() == name.as_str())
    };
    let svid = X509Verifier::new(options).verify_with(&chains.named(&chain), find, case.now())?;
    Ok(Map::from_iter([("subject".to_owned(), json!(svid.id().as_str()))]))
}

pub(crate) fn reason(error: &Error) -> &'static str {
    match error {
        Error::Empty | Error::Pem | Error::Certificate { .. } => "format",
        Error::ChainLength { .. } | Error::TooLarge { .. } => "limit",
        Error::UriCount { .. } => "names",
        Error::Id(error) => crate::spiffe_id::reason(error),
        Error::Leaf { problem: LeafProblem::SubjectAltName } => "names",
        Error::Leaf { problem: LeafProblem::UnknownExtension } => "path",
        Error::Leaf { .. } => "usage",
        Error::Signer { problem: SignerProblem::Path } => "role",
        Error::Signer { problem: SignerProblem::Uri } => "id",
        Error::Signer { problem: SignerProblem::UriCount } => "names",
        Error::Signer { problem: SignerProblem::PermittedIds } => "format",
        Error::Signer { .. } => "path",
        Error::TrustDomain { .. } | Error::NoBundle { .. } => "trust-domain",
        Error::Expired { .. } => "expired",
        Error::NotYetValid { .. } => "not-yet-valid",
        Error::NameConstraint | Error::NotPermitted { .. } => "constraint",
        Error::PublicKey(_) => "algorithm",
        Error::UnknownAuthority { .. }
        | Error::Signature
        | Error::Algorithm
        | Error::PathLength
        | Error::TooManyPaths
        | Error::Path => "path",
        other => panic!("no reason for: {other}"),
    }
}
