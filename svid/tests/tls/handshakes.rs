//! Who talks to whom.

use std::sync::Arc;

use keyward_svid::tls::rustls::{self, ClientConfig, HandshakeKind, ServerConfig};
use keyward_svid::tls::{
    DeferredVerifier, Error, PeerVerifier, Peers, SvidSource, client_config, open_server_config, peer_id, server_config,
};
use keyward_svid::x509::{self, X509Bundle, X509VerifyOptions};
use keyward_svid::{X509Verifier, pki_types::CertificateDer};
use time::Duration;

use crate::support::*;

fn peers(patterns: &[&str]) -> Peers {
    Peers::matching(patterns.iter().map(|pattern| pattern.parse().unwrap()))
}

#[test]
fn both_ends_know_each_other() {
    let domain = Domain::new("td.example");
    let (web, db) = (domain.source(WEB), domain.source(DB));
    let client = client_config(&web, Peers::ids([DB.parse().unwrap()])).unwrap();
    let server = server_config(&db, peers(&["spiffe://td.example/*"])).unwrap();
    let ends = connect(&client, &server).unwrap();
    assert_eq!(peer_id(&ends.client).unwrap().as_str(), DB);
    assert_eq!(peer_id(&ends.server).unwrap().as_str(), WEB);
    assert_eq!(ends.client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));

    // Afterwards, with what holds then.
    let verifier = PeerVerifier::new(db.clone(), Peers::anyone(), X509VerifyOptions::default());
    assert_eq!(verifier.verify_connection(&ends.server, now()).unwrap().id().as_str(), WEB);
    let late = verifier.verify_connection(&ends.server, now() + Duration::HOUR + Duration::SECOND);
    assert!(matches!(late, Err(Error::Svid(x509::Error::Expired { .. }))));
    db.set_bundles([]);
    let revoked = verifier.verify_connection(&ends.server, now());
    assert!(matches!(revoked, Err(Error::Svid(x509::Error::NoBundle { .. }))));
}

#[test]
fn who_is_not_allowed_is_refused_by_either_end() {
    let domain = Domain::new("td.example");
    let (web, db) = (domain.source(WEB), domain.source(DB));
    let to_anyone = client_config(&web, Peers::anyone()).unwrap();
    let for_anyone = server_config(&db, Peers::anyone()).unwrap();
    assert!(connect(&to_anyone, &for_anyone).is_ok());
    let only = |pattern| peers(&[pattern]);

    let client = client_config(&web, only("spiffe://td.example/db/*")).unwrap();
    let refused = Error::NotAllowed { id: DB.parse().unwrap() };
    assert_eq!(refusal(connect(&client, &for_anyone)), refused);
    let server = server_config(&db, only("spiffe://other.example/**")).unwrap();
    let refused = Error::NotAllowed { id: WEB.parse().unwrap() };
    assert_eq!(refusal(connect(&to_anyone, &server)), refused);
}

#[test]
fn another_trust_domain_needs_its_own_bundle() {
    let (domain, other) = (Domain::new("td.example"), Domain::new("other.example"));
    let (web, stranger) = (domain.source(WEB), other.source("spiffe://other.example/db"));
    let client = client_config(&web, Peers::anyone()).unwrap();
    let server = server_config(&stranger, Peers::anyone()).unwrap();
    let unknown = |name: &str| Error::Svid(x509::Error::NoBundle { trust_domain: name.parse().unwrap() });
    assert_eq!(refusal(connect(&client, &server)), unknown("other.example"));
    web.set_bundle(other.bundle());
    assert_eq!(refusal(connect(&client, &server)), unknown("td.example"));
    stranger.set_bundle(domain.bundle());
    assert!(connect(&client, &server).is_ok());

    // The bundle of one says nothing about the other's: a certificate in the name of the other is refused.
    let impostor = other.source(DB);
    impostor.set_bundle(domain.bundle());
    let server = server_config(&impostor, Peers::anyone()).unwrap();
    let no_authority = x509::Error::UnknownAuthority { trust_domain: "td.example".parse().unwrap() };
    let found = refusal(connect(&client, &server));
    assert!(found == Error::Svid(no_authority) || found == Error::Svid(x509::Error::Signature), "{found:?}");
}

#[test]
fn a_new_svid_counts_at_the_next_handshake() {
    let domain = Domain::new("td.example");
    let (web, db) = (domain.source(WEB), domain.source(DB));
    let client = client_config(&web, Peers::anyone()).unwrap();
    let server = server_config(&db, Peers::anyone()).unwrap();
    let before = connect(&client, &server).unwrap();
    domain.renew(&web, "spiffe://td.example/web-2");
    domain.renew(&db, "spiffe://td.example/db-2");
    assert_eq!(web.id().unwrap().as_str(), "spiffe://td.example/web-2");
    let after = connect(&client, &server).unwrap();
    assert_eq!(peer_id(&after.server).unwrap().as_str(), "spiffe://td.example/web-2");
    assert_eq!(peer_id(&after.client).unwrap().as_str(), "spiffe://td.example/db-2");
    assert_eq!(peer_id(&before.server).unwrap().as_str(), WEB);
    // Over, it is refused.
    let late = connect_at(&client, &server, now() + Duration::hours(2));
    assert!(matches!(refusal(late), Error::Svid(x509::Error::Expired { .. })));
}

#[test]
fn a_revoked_authority_counts_at_the_next_handshake() {
    let (old, new) = (Domain::new("td.example"), Domain::new("td.example"));
    let (web, db) = (old.source(WEB), old.source(DB));
    let client = client_config(&web, Peers::anyone()).unwrap();
    let server = server_config(&db, Peers::anyone()).unwrap();
    assert!(connect(&client, &server).is_ok());
    // Everything is revoked.
    db.set_bundle(X509Bundle::new("td.example".parse().unwrap(), []).unwrap());
    let unknown = x509::Error::UnknownAuthority { trust_domain: "td.example".parse().unwrap() };
    assert_eq!(refusal(connect(&client, &server)), Error::Svid(unknown));
    // The authority is another one, in name the same.
    db.set_bundle(new.bundle());
    assert_eq!(refusal(connect(&client, &server)), Error::Svid(x509::Error::Signature));
    new.renew(&web, WEB);
    assert!(connect(&client, &server).is_ok());
}

/// A second handshake between the same ends, with whatever they remember, is a full one.
#[test]
fn no_session_is_resumed() {
    let domain = Domain::new("td.example");
    let (web, db) = (domain.source(WEB), domain.source(DB));
    let client = client_config(&web, Peers::anyone()).unwrap();
    let server = server_config(&db, Peers::anyone()).unwrap();
    let kinds = |client: &ClientConfig, server: &ServerConfig| {
        [(); 3].map(|()| {
            let ends = connect(client, server).unwrap();
            assert_eq!(ends.client.handshake_kind(), ends.server.handshake_kind());
            ends.client.handshake_kind().unwrap()
        })
    };
    assert_eq!(kinds(&client, &server), [HandshakeKind::Full; 3]);
    // It is our side that sees to it, whatever the other does, and these ends would.
    let mut resuming_client = client.clone();
    resuming_client.resumption = rustls::client::Resumption::default();
    assert_eq!(kinds(&resuming_client, &server), [HandshakeKind::Full; 3]);
    let mut resuming_server = server.clone();
    resuming_server.session_storage = rustls::server::ServerSessionMemoryCache::new(16);
    resuming_server.send_tls13_tickets = 2;
    assert_eq!(kinds(&client, &resuming_server), [HandshakeKind::Full; 3]);
    assert_eq!(kinds(&resuming_client, &resuming_server)[1], HandshakeKind::Resumed);
}

#[test]
fn a_client_without_svid_is_refused_unless_nobody_asks() {
    let domain = Domain::new("td.example");
    let (bare, db) = (SvidSource::new(provider()), domain.source(DB));
    bare.set_bundles([domain.bundle()]);
    let client = client_config(&bare, Peers::ids([DB.parse().unwrap()])).unwrap();
    let mutual = connect(&client, &server_config(&db, Peers::anyone()).unwrap());
    assert_eq!(mutual.err(), Some(rustls::Error::NoCertificatesPresented));
    let ends = connect(&client, &open_server_config(&db).unwrap()).unwrap();
    assert_eq!(peer_id(&ends.client).unwrap().as_str(), DB);
    assert_eq!(peer_id(&ends.server), None);
    // A server without SVID ends the handshake.
    db.clear_svid();
    assert!(connect(&client, &open_server_config(&db).unwrap()).is_err());
}

#[test]
fn a_deferred_verifier_takes_everybody_and_says_nothing() {
    let (domain, impostor) = (Domain::new("td.example"), Domain::new("td.example"));
    let db = domain.source(DB);
    let verifier = DeferredVerifier::new(db.provider(), [b"\x30\x00".to_vec()]);
    let mut server = open_server_config(&db).unwrap();
    server = {
        let builder = ServerConfig::builder_with_provider(Arc::clone(db.provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let mut config = builder.with_client_cert_verifier(Arc::new(verifier)).with_cert_resolver(server.cert_resolver);
        config.send_tls13_tickets = 0;
        config
    };
    let judge = |chain: Option<&[CertificateDer<'static>]>| {
        X509Verifier::default()
            .verify(chain.unwrap_or_default(), &domain.bundle(), now())
            .map(|svid| svid.id().to_string())
    };
    for (source, expected) in [
        (domain.source(WEB), Ok(WEB.to_owned())),
        (impostor.source(WEB), Err(x509::Error::Signature)),
        (SvidSource::new(provider()), Err(x509::Error::Empty)),
    ] {
        source.set_bundles([domain.bundle()]);
        let client = client_config(&source, Peers::anyone()).unwrap();
        let ends = connect(&client, &server).unwrap();
        assert_eq!(judge(ends.server.peer_certificates()), expected);
    }
}

/// A bundle endpoint talks to what Mozilla's "intermediate" compatibility names (SPIFFE Federation §5).
#[test]
fn an_open_server_does_tls_1_2_without_resumption() {
    let domain = Domain::new("td.example");
    let (web, db) = (domain.source(WEB), domain.source(DB));
    let server = open_server_config(&db).unwrap();
    let client = client_of(&web, &rustls::version::TLS12, Arc::new(web.clone()));
    for _ in 0..3 {
        let ends = connect(&client, &server).unwrap();
        assert_eq!(ends.client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
        assert_eq!(ends.client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(peer_id(&ends.client).unwrap().as_str(), DB);
    }
    assert!(connect(&client, &server_config(&db, Peers::anyone()).unwrap()).is_err());
}

/// Whose certificate it is shows the key: somebody else's chain with a key of one's own gets nowhere, on either side, in
/// either version, with either verifier.
#[test]
fn a_chain_without_its_key_is_refused() {
    let domain = Domain::new("td.example");
    let (web, db) = (domain.source(WEB), domain.source(DB));
    let victim = domain.issue(WEB).0;
    let (_, key) = domain.issue("spiffe://td.example/thief");
    let key = provider().key_provider.load_private_key(key).unwrap();
    let stolen = Arc::new(rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(victim, key)));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let verifiers: [Arc<dyn rustls::server::danger::ClientCertVerifier>; 2] = [
            Arc::new(PeerVerifier::new(db.clone(), Peers::anyone(), X509VerifyOptions::default())),
            Arc::new(DeferredVerifier::new(db.provider(), [])),
        ];
        for verifier in verifiers {
            let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
            let server = server.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(db.clone()));
            assert!(connect(&client_of(&web, version, Arc::new(web.clone())), &server).is_ok());
            let refused = connect(&client_of(&web, version, stolen.clone()), &server).err();
            let bad = rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature);
            assert_eq!(refused, Some(bad), "{version:?}");
        }
        let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let server = server.with_no_client_auth().with_cert_resolver(stolen.clone());
        assert!(connect(&client_of(&db, version, Arc::new(db.clone())), &server).is_err());
    }
}

/// A client of one version that shows what the resolver says.
fn client_of(
    source: &SvidSource,
    version: &'static rustls::SupportedProtocolVersion,
    shows: Arc<dyn rustls::client::ResolvesClientCert>,
) -> ClientConfig {
    let verifier = PeerVerifier::new(source.clone(), Peers::anyone(), X509VerifyOptions::default());
    ClientConfig::builder_with_provider(Arc::clone(source.provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(shows)
}
