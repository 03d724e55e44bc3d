//! OpenSSL, in its strictest mode, accepts what we issue, and we what it asks for.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "openssl is a program that reads files")]

use std::path::Path;
use std::process::Command;

use keyward_keys::KeyType;
use keyward_svid::x509::authority::{CertificateRequest, subject_der};
use rustls_pki_types::CertificateDer;

use crate::support::{ID, KEY_TYPES, NOW, algorithms, leaf, rng, root, root_with, site};

fn openssl(directory: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new("openssl").args(args).current_dir(directory).output().expect("`openssl` is installed");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}

fn pem(chain: &[CertificateDer<'_>]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let lines = |der: &CertificateDer<'_>| {
        let base64 = STANDARD.encode(der);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    chain.iter().map(lines).collect()
}

fn verify(directory: &Path, root: &CertificateDer<'_>, chain: &[CertificateDer<'_>], what: &str) {
    std::fs::write(directory.join("root.pem"), pem(std::slice::from_ref(root))).unwrap();
    std::fs::write(directory.join("chain.pem"), pem(&chain[1..])).unwrap();
    std::fs::write(directory.join("leaf.pem"), pem(&chain[..1])).unwrap();
    let at = NOW.unix_timestamp().to_string();
    for purpose in ["sslserver", "sslclient"] {
        let mut args = vec!["verify", "-x509_strict", "-purpose", purpose, "-attime", &at, "-CAfile", "root.pem"];
        if chain.len() > 1 {
            args.extend(["-untrusted", "chain.pem"]);
        }
        args.push("leaf.pem");
        openssl(directory, &args).unwrap_or_else(|error| panic!("{what}, {purpose}: {error}"));
    }
}

#[test]
#[ignore = "needs openssl: run by .ci/run"]
fn openssl_verifies_roots_intermediates_and_leaves() {
    let directory = tempfile::tempdir().unwrap();
    for (root_key, algorithm) in algorithms() {
        let root = root_with(root_key, algorithm);
        for key in KEY_TYPES {
            verify(directory.path(), root.certificate(), &leaf(&root, key), &format!("{algorithm} → {key}"));
            let chain = leaf(&site(&root, key), KeyType::EcdsaP256);
            verify(directory.path(), root.certificate(), &chain, &format!("{algorithm} → {key} → leaf"));
        }
    }
}

#[test]
#[ignore = "needs openssl: run by .ci/run"]
fn openssl_shows_what_the_standard_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    let root = root();
    std::fs::write(directory.path().join("leaf.pem"), pem(&leaf(&root, KeyType::EcdsaP256))).unwrap();
    let text = openssl(directory.path(), &["x509", "-in", "leaf.pem", "-noout", "-text"]).unwrap();
    for part in [
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
        "X509v3 Extended Key Usage: \n                TLS Web Server Authentication, TLS Web Client Authentication\n",
        "X509v3 Authority Key Identifier: \n",
        "X509v3 Subject Key Identifier: \n",
        &format!("X509v3 Subject Alternative Name: critical\n                URI:{ID}, DNS:db.site-7.example\n"),
        "Not Before: Feb 28 23:59:50 2026 GMT\n",
        "Not After : Mar  1 01:00:00 2026 GMT\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!subject_der(root.certificate()).unwrap().is_empty());
}

#[test]
#[ignore = "needs openssl: run by .ci/run"]
fn openssl_makes_requests_that_we_read_and_reads_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for new_key in [
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-sha256"],
        &["rsa:2048"],
        &["rsa:2048", "-sha512"],
        &["rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
        &["ed25519"],
    ] {
        let san = format!("subjectAltName=URI:{ID},DNS:DB.example,IP:192.0.2.1,email:a@b.example");
        let mut args =
            vec!["req", "-new", "-nodes", "-keyout", "key.pem", "-subj", "/CN=ignored", "-addext", &san, "-newkey"];
        args.extend(new_key);
        let text = openssl(path, &args).unwrap();
        let request = CertificateRequest::from_pem(&text).unwrap_or_else(|error| panic!("{new_key:?}: {error}"));
        assert_eq!(request.requested_id().unwrap().to_string(), ID);
        assert_eq!(request.requested_dns_names(), ["db.example"]);
        let again = CertificateRequest::from_der(request.to_der()).unwrap();
        assert_eq!(again, request);
        // What it asks for is given with our root.
        let leaf = keyward_svid::x509::authority::LeafRequest::new(
            request.requested_id().unwrap().clone(),
            request.public_key(),
            time::Duration::HOUR,
        );
        root().issue(&leaf.unwrap(), &mut rng(), NOW).unwrap();
    }
    for (key, algorithm) in algorithms() {
        let signer = crate::support::signer(key, algorithm);
        let request = CertificateRequest::sign(&signer, signer.public_key(), Some(&ID.parse().unwrap()), ["a.example"]);
        std::fs::write(path.join("request.pem"), request.unwrap().to_pem()).unwrap();
        let text = openssl(path, &["req", "-in", "request.pem", "-noout", "-text", "-verify"]).unwrap();
        assert!(text.contains(&format!("URI:{ID}, DNS:a.example")), "{text}");
    }
}

#[test]
#[ignore = "needs openssl: run by .ci/run"]
fn openssl_reads_our_revocation_lists() {
    use keyward_svid::x509::authority::{RevocationList, RevokedSerial};
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    for (key, algorithm) in algorithms() {
        let root = root_with(key, algorithm);
        let issue = || root.issue(&crate::support::leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).unwrap();
        let (revoked, valid) = (issue(), issue());
        let list = RevocationList::new(
            300,
            [RevokedSerial::new(&revoked.serial(), NOW).unwrap(), RevokedSerial::new("80", NOW).unwrap()],
            NOW + time::Duration::DAY,
        );
        write("crl.pem", &list.to_pem(&root, NOW).unwrap());
        write("root.pem", &pem(std::slice::from_ref(root.certificate())));
        let at = NOW.unix_timestamp().to_string();
        let verify = |leaf: &str| {
            write("leaf.pem", leaf);
            let args = [
                "verify",
                "-x509_strict",
                "-crl_check",
                "-attime",
                &at,
                "-CAfile",
                "root.pem",
                "-CRLfile",
                "crl.pem",
                "leaf.pem",
            ];
            openssl(directory.path(), &args)
        };
        verify(&valid.chain_pem()).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        let error = verify(&revoked.chain_pem()).unwrap_err();
        assert!(error.contains("certificate revoked"), "{algorithm}: {error}");
        let text = openssl(directory.path(), &["crl", "-in", "crl.pem", "-noout", "-text"]).unwrap();
        for part in
            ["X509v3 CRL Number: \n                300\n", "X509v3 Authority Key Identifier:", "Serial Number: 80\n"]
        {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        // A list without entries.
        write("crl.pem", &RevocationList::new(301, [], NOW + time::Duration::DAY).to_pem(&root, NOW).unwrap());
        verify(&revoked.chain_pem()).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    }
}
