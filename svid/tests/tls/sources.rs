//! What a source takes.

use keyward_svid::ErrorKind;
use keyward_svid::tls::{Error, SvidSource};
use keyward_svid::x509;

use crate::support::*;

#[test]
fn a_source_takes_a_chain_with_its_key_only() {
    let domain = Domain::new("td.example");
    let source = domain.source(WEB);
    let ((chain, key), (_, other_key)) = (domain.issue(DB), domain.issue(DB));
    let mismatch = source.set_svid(chain.clone(), other_key).unwrap_err();
    assert!(matches!(mismatch, Error::PrivateKey(_)));
    assert_eq!(mismatch.kind(), ErrorKind::Misconfigured);
    assert_eq!(source.set_svid(vec![], key.clone_key()), Err(Error::Svid(x509::Error::Empty)));
    let unreadable = source.set_svid(vec![vec![0x30, 0].into()], key.clone_key()).unwrap_err();
    assert_eq!(unreadable.kind(), ErrorKind::Malformed);
    // It stays as it was.
    assert_eq!(source.id().unwrap().as_str(), WEB);
    source.set_svid(chain, key).unwrap();
    assert_eq!(source.id().unwrap().as_str(), DB);
    source.clear_svid();
    assert_eq!(source.id(), None);
}

#[test]
fn clones_are_one_source() {
    let domain = Domain::new("td.example");
    let source = SvidSource::new(provider());
    let clone = source.clone();
    domain.renew(&source, WEB);
    clone.set_bundle(domain.bundle());
    assert_eq!(clone.id(), source.id());
    let name = "td.example".parse::<keyward_spiffe_id::TrustDomain>().unwrap();
    assert_eq!(source.bundle((&name).into()), Some(domain.bundle()));
    let shown = "SvidSource { id: Some(\"spiffe://td.example/web\"), trust_domains: [\"td.example\"], .. }";
    assert_eq!(format!("{source:?}"), shown);
}
