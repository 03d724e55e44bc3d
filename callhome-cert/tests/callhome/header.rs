//! What load balancers pass on.

use keyward_callhome_cert::{
    ClientCertificates, LbMode, MAX_HEADER_BYTES, Order, Presentation, Refusal, chain_from_header, presented,
};
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::chain_to_pem;
use proptest::prelude::*;

use crate::support::{self, authority, issue};

/// As the balancer encodes it.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+=/".contains(&byte);
    text.bytes().flat_map(|byte| if safe(byte) { vec![byte] } else { format!("%{byte:02X}").into_bytes() }).collect()
}

fn settings(lb_mode: LbMode) -> ClientCertificates {
    let mut settings = ClientCertificates::default();
    settings.lb_mode = lb_mode;
    settings.lb_addresses = vec!["10.0.0.0/16".parse().unwrap()];
    settings
}

const BALANCER: &str = "10.0.3.4";
const STRANGER: &str = "10.1.3.4";

fn present(
    lb_mode: LbMode,
    peer: &str,
    tls: &[CertificateDer<'_>],
    headers: &[&[u8]],
) -> Result<Option<Vec<CertificateDer<'static>>>, Refusal> {
    presented(&settings(lb_mode), &Presentation { peer: peer.parse().unwrap(), tls, headers })
}

#[test]
fn a_chain_survives_the_balancer() {
    let authority = authority();
    let (mut chain, _) = issue(&authority, &Order::new(support::any()));
    chain.push(authority.certificate().clone());
    let header = encode(&chain_to_pem(&chain));
    assert_eq!(chain_from_header(&header), Ok(chain.clone()));
    assert_eq!(present(LbMode::AwsPassthrough, BALANCER, &[], &[&header]), Ok(Some(chain)));
}

#[test]
fn who_passes_certificates_on_matters() {
    let authority = authority();
    let ((one, _), (other, _)) =
        (issue(&authority, &Order::new(support::any())), issue(&authority, &Order::new(support::any())));
    let header = encode(&chain_to_pem(&one));
    let aws = LbMode::AwsPassthrough;
    assert_eq!(present(aws, STRANGER, &[], &[&header]), Err(Refusal::HeaderFromStranger));
    assert_eq!(present(aws, STRANGER, &one, &[&header]), Err(Refusal::HeaderFromStranger));
    assert_eq!(present(LbMode::None, BALANCER, &[], &[&header]), Err(Refusal::HeaderUnexpected));
    assert_eq!(present(aws, BALANCER, &[], &[&header, &header]), Err(Refusal::HeaderRepeated));
    assert_eq!(present(aws, BALANCER, &other, &[&header]), Err(Refusal::Disagree));
    assert_eq!(present(aws, BALANCER, &one, &[&header]), Ok(Some(one.clone())));
    assert_eq!(present(aws, STRANGER, &one, &[]), Ok(Some(one)));
    assert_eq!(present(aws, BALANCER, &[], &[]), Ok(None));
    // An IPv4 balancer on an IPv6 socket.
    assert!(present(aws, "::ffff:10.0.3.4", &[], &[&header]).unwrap().is_some());
}

#[test]
fn what_is_no_header() {
    let (chain, _) = issue(&authority(), &Order::new(support::any()));
    let pem = chain_to_pem(&chain);
    let malformed = |problem| Err(Refusal::HeaderMalformed { problem });
    let not_pem = "it is not PEM of certificates";
    for (header, problem) in [
        (Vec::new(), not_pem),
        (pem.clone().into_bytes(), "it is not URL-encoded"),
        (b"%".to_vec(), "it is not URL-encoded"),
        (b"%4".to_vec(), "it is not URL-encoded"),
        (b"%zz".to_vec(), "it is not URL-encoded"),
        (b"%+1".to_vec(), "it is not URL-encoded"),
        (b"%ff".to_vec(), "it is not text"),
        (encode(&format!("before\n{pem}")), not_pem),
        (encode(&format!("{pem}after")), not_pem),
        (encode(&format!("{pem}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")), not_pem),
        (encode(&pem.replace("MII", "M!I")), not_pem),
        (vec![b'a'; MAX_HEADER_BYTES + 1], "it is longer than 65536 bytes"),
    ] {
        assert_eq!(chain_from_header(&header), malformed(problem), "{}", String::from_utf8_lossy(&header));
    }
}

proptest! {
    #[test]
    fn nothing_panics(header in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = chain_from_header(&header);
    }
}
