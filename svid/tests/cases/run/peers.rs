//! What others say to the chains of `x509-svid.json`: OpenSSL, rustls-webpki by itself, and the crate `spiffe`.
//!
//! None of the three knows trust domains: the first two are given the authorities of all bundles of a case as one set,
//! and the third reads a chain without asking for any authority.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_svid::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::table::Case;
use crate::x509_svid::Chains;

#[test]
fn webpki() {
    let (table, chains) = Chains::read();
    table.check_peer("webpki", |case| ask_webpki(case, &chains));
}

#[test]
fn spiffe_rs() {
    let (table, chains) = Chains::read();
    table.check_peer("spiffe-rs", |case| ask_spiffe_rs(case, &chains));
}

#[test]
#[ignore = "needs the openssl command: run by .ci/run"]
fn openssl() {
    let (table, chains) = Chains::read();
    let folder = tempfile::tempdir().unwrap();
    table.check_peer("openssl", |case| ask_openssl(case, &chains, folder.path()));
}

fn ask_webpki(case: &Case, chains: &Chains) -> Result<(), String> {
    let (chain, authorities) = (chains.chain(case), chains.all_authorities(case));
    let (leaf, others) = chain.split_first().ok_or("no certificate")?;
    // An authority that it cannot read is as good as none.
    let anchors: Vec<_> = authorities.iter().filter_map(|authority| anchor_from_trusted_cert(authority).ok()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(case.now().unix_timestamp().try_into().unwrap()));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    EndEntityCert::try_from(leaf)
        .and_then(|leaf| {
            leaf.verify_for_usage(algorithms, &anchors, others, now, KeyUsage::client_auth(), None, None).map(drop)
        })
        .map_err(|error| error.to_string())
}

fn ask_spiffe_rs(case: &Case, chains: &Chains) -> Result<(), String> {
    let chain: Vec<u8> = chains.chain(case).iter().flat_map(|certificate| certificate.to_vec()).collect();
    spiffe::X509Svid::parse_from_der(&chain, &chains.key("leaf")).map(drop).map_err(|error| error.to_string())
}

fn ask_openssl(case: &Case, chains: &Chains, folder: &Path) -> Result<(), String> {
    let (chain, authorities) = (chains.chain(case), chains.all_authorities(case));
    let write = |name: &str, certificates: &[CertificateDer<'_>]| {
        let path = folder.join(name);
        std::fs::write(&path, certificates.iter().map(|certificate| pem(certificate)).collect::<String>()).unwrap();
        path
    };
    let (leaf, others) = chain.split_at(chain.len().min(1));
    let mut command = Command::new("openssl");
    command
        .args(["verify", "-x509_strict", "-no-CApath", "-no-CAstore"])
        .args(["-attime", &case.now().unix_timestamp().to_string()])
        .arg("-CAfile")
        .arg(write("authorities.pem", &authorities));
    if !others.is_empty() {
        command.arg("-untrusted").arg(write("untrusted.pem", others));
    }
    let output = command.arg(write("leaf.pem", leaf)).output().expect("the openssl command is there");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Prints the verdicts of all three in the form of `peers-x509.txt`, for whoever adds a case.
#[test]
#[ignore = "a tool that prints what the peers say"]
fn print_verdicts() {
    let (table, chains) = Chains::read();
    let folder = tempfile::tempdir().unwrap();
    for case in table.cases.iter().filter(|case| case.check == "verify") {
        let said = [ask_openssl(case, &chains, folder.path()), ask_webpki(case, &chains), ask_spiffe_rs(case, &chains)];
        let letters: String = said.iter().map(|verdict| if verdict.is_ok() { 'a' } else { 'r' }).collect();
        eprintln!("verdict {} {letters} {:?} {said:?}", case.id, case.expect);
    }
}
