//! Programs that know nothing of this project: the public client of the API, and verifiers that start from the issuer's URL
//! alone. Everything here goes over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/process.rs"]
mod process;
mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use control_tower::{
    clock::Clock,
    server::{self, Limits},
    store::Memory,
    tls::{Authority, Tls},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    errors::{Error, ErrorKind},
    jwk::JwkSet,
};
use keyward_svid::{
    pki_types::{PrivateKeyDer, UnixTime, pem::PemObject as _},
    x509::chain_from_pem,
};
use process::WALK;
use serde_json::{Value, json};
use spiffe::{JwtBundle, JwtBundleSet, JwtSvid, JwtVerificationErrorKind, svid::jwt::JwtSvidError};

const AUDIENCE: &str = "sts.amazonaws.com";

/// Tokens of this role live for eight seconds, and clients come again after six.
const SHORT: &str = "
x-path: /v1/config/strongbox/authentication/approles/short
x-operation: create
name: short
token-period: 8s
token-spiffe-jwt:
  jwt-audiences: [sts.amazonaws.com]
token-spiffe-x509: {}
";

/// A relying party. All that it is told is the issuer's URL; it checks with the `jsonwebtoken` crate and the system's clock.
struct Stranger {
    issuer: String,
    algorithms: Vec<Algorithm>,
    jwks: Vec<u8>,
    keys: JwkSet,
}

impl Stranger {
    async fn meets(issuer: &str, client: &reqwest::Client) -> Self {
        let get = async |url: &str| {
            let answer = client.get(url).send().await.unwrap().error_for_status().unwrap();
            assert_eq!(answer.headers()["content-type"], "application/json");
            answer.bytes().await.unwrap().to_vec()
        };
        let discovery: Value =
            serde_json::from_slice(&get(&format!("{issuer}/.well-known/openid-configuration")).await).unwrap();
        assert_eq!(discovery["issuer"], issuer);
        let algorithms = serde_json::from_value(discovery["id_token_signing_alg_values_supported"].clone()).unwrap();
        let jwks = get(discovery["jwks_uri"].as_str().unwrap()).await;
        Self { issuer: issuer.to_owned(), algorithms, keys: serde_json::from_slice(&jwks).unwrap(), jwks }
    }

    fn check(&self, token: impl AsRef<[u8]>, audience: &str) -> Result<Value, Error> {
        let token = token.as_ref();
        let header = jsonwebtoken::decode_header(token)?;
        let key = header.kid.and_then(|kid| self.keys.find(&kid)).ok_or(Error::from(ErrorKind::InvalidKeyFormat))?;
        let mut rules = Validation::new(header.alg);
        rules.algorithms.clone_from(&self.algorithms);
        rules.set_audience(&[audience]);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        Ok(jsonwebtoken::decode(token, &DecodingKey::from_jwk(key)?, &rules)?.claims)
    }

    /// The same question to the `spiffe` crate, which knows the trust domain and the keys.
    fn check_spiffe(&self, token: &str, audience: &str, trust_domain: &str) -> Result<JwtSvid, JwtSvidError> {
        let trust_domain = spiffe::TrustDomain::new(trust_domain).unwrap();
        let mut bundles = JwtBundleSet::new();
        bundles.add_bundle(JwtBundle::from_jwt_authorities(trust_domain, &self.jwks).unwrap());
        JwtSvid::parse_and_validate(token, &bundles, &[audience])
    }

    fn kids(&self) -> BTreeSet<&str> {
        self.keys.keys.iter().filter_map(|key| key.common.key_id.as_deref()).collect()
    }
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[tokio::test]
async fn the_public_client_logs_in_and_stays_logged_in() {
    let directory = tempfile::tempdir().unwrap();
    let tower = process::Tower::start(directory.path());
    let admin = tower.administrator().await;
    tower.bulk(&admin, &format!("{WALK}---{SHORT}")).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "short", json!({})).await;
    let ca = std::fs::read(tower.line["ca-cert"].as_str().unwrap()).unwrap();

    let builder = avassa_client::Client::builder().add_root_certificate(&ca).unwrap();
    let client = builder.approle_login(&tower.url, &secret_id, Some(&role_id)).await.unwrap();
    assert!(!client.token_is_expired().await);
    let first = client.jwt_svid().await.expect("a JWT-SVID");
    let first_x509 = client.x509_svid().await.expect("an X.509-SVID");
    let expires = client.token_expires().await;
    let state: Value = client.get_json("/v1/state/strongbox/token", None).await.unwrap();
    assert_eq!(state["renewable"], true);
    // One that was only given a token learns the rest by its first refresh.
    let heir = builder.token_login(&tower.url, &client.bearer_token().await).unwrap();
    assert!(heir.jwt_svid().await.is_none());

    // The only test that waits for the real clock: the client knows no other.
    let refreshed = async |client: &avassa_client::Client, known: Option<&str>| {
        let fresh = async {
            loop {
                match client.jwt_svid().await {
                    Some(svid) if known != Some(&svid) => break svid,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), fresh).await.expect("the client refreshes by itself")
    };
    let (fresh, heirs) = tokio::join!(refreshed(&client, Some(&first)), refreshed(&heir, None));
    assert!(client.token_expires().await > expires);
    let issuer = format!("{}/{}", tower.url, tower.line["tenant-id"].as_str().unwrap());
    let stranger = Stranger::meets(&issuer, &tower.client).await;
    for token in [&fresh, &heirs] {
        assert_eq!(stranger.check(token, AUDIENCE).unwrap()["sub"], "spiffe://localhost/approle/short");
    }

    // With the fresh certificate, as it came to the client, a TLS stack is content; and only with its own key.
    let x509 = client.x509_svid().await.expect("an X.509-SVID");
    assert!(x509.cert != first_x509.cert && x509.private_key != first_x509.private_key);
    let answer = tower.client.get(format!("{}/v1/get-spiffe-bundle", tower.url)).send().await.unwrap();
    let roots: Value = answer.error_for_status().unwrap().json().await.unwrap();
    let roots = chain_from_pem(roots["cert"].as_str().unwrap()).unwrap();
    let anchors: Vec<_> = roots.iter().map(|root| webpki::anchor_from_trusted_cert(root).unwrap()).collect();
    let chain = chain_from_pem(&x509.cert).unwrap();
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, webpki::KeyUsage::client_auth());
    leaf.verify_for_usage(algorithms, &anchors, &chain[1..], UnixTime::now(), usage, None, None).unwrap();
    let sign = rustls::crypto::aws_lc_rs::sign::any_supported_type;
    for (key, own) in [(&x509.private_key, true), (&first_x509.private_key, false)] {
        let key = sign(&PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
        assert_eq!(rustls::sign::CertifiedKey::new(chain.clone(), key).keys_match().is_ok(), own);
    }

    let wrong = builder.approle_login(&tower.url, "guess", Some(&role_id)).await.unwrap_err();
    assert!(wrong.to_string().contains("invalid role-id or secret-id"), "{wrong}");
    let untrusting = avassa_client::Client::builder().approle_login(&tower.url, &secret_id, Some(&role_id)).await;
    assert!(untrusting.is_err(), "the client accepted a certificate of an authority that it does not know");
}

#[tokio::test]
async fn the_public_client_configures() {
    let directory = tempfile::tempdir().unwrap();
    let tower = process::Tower::start(directory.path());
    let ca = std::fs::read(tower.line["ca-cert"].as_str().unwrap()).unwrap();
    let (user, password) = (tower.line["username"].as_str().unwrap(), tower.line["password"].as_str().unwrap());
    let builder = avassa_client::Client::builder().add_root_certificate(&ca).unwrap();
    let admin = builder.login(&tower.url, user, password).await.unwrap();
    assert!(admin.jwt_svid().await.is_none());

    let key = "/v1/config/strongbox/transit-keys/data";
    admin.put_json(key, &json!({"name": "data"})).await.unwrap();
    assert_eq!(admin.get_json::<Value>(key, None).await.unwrap(), json!({"name": "data"}));
    let call = async |verb: &str, body| {
        admin.post_json(&format!("/v1/state/strongbox/transit-keys/data/{verb}"), &body).await.unwrap()
    };
    let sealed = call("encrypt", json!({"plaintext": "aGVsbG8="})).await;
    assert_eq!(call("decrypt", sealed).await["plaintext"], "aGVsbG8=");
    match admin.put_json(key, &json!({"name": "data", "ciper": "rsa-2048"})).await.unwrap_err() {
        avassa_client::Error::REST(refused) => {
            assert!(refused.errors[0].error_message.contains("`ciper`"), "{refused:?}");
            assert!(refused.errors[0].error_info.is_some());
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_stranger_verifies_from_the_issuer_url_alone() {
    let directory = tempfile::tempdir().unwrap();
    let tower = process::Tower::start(directory.path());
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let login = tower.log_in(&role_id, &secret_id).await.ok();
    let token = login["jwt-svid"].as_str().unwrap();
    let state = tower.get("/v1/state/strongbox/authentication/spiffe-settings", &admin).await.ok();

    let stranger = Stranger::meets(state["issuer"].as_str().unwrap(), &tower.fresh_client()).await;
    assert_eq!(stranger.algorithms, [Algorithm::RS256]);
    let claims = stranger.check(token, AUDIENCE).unwrap();
    assert_eq!(claims["sub"], "spiffe://localhost/approle/payments");
    let svid = stranger.check_spiffe(token, AUDIENCE, "localhost").unwrap();
    assert_eq!(svid.spiffe_id().to_string(), "spiffe://localhost/approle/payments");

    let other = stranger.check(token, "other.example").unwrap_err();
    assert_eq!(*other.kind(), ErrorKind::InvalidAudience);
    let other = stranger.check_spiffe(token, "other.example", "localhost").unwrap_err();
    assert!(
        matches!(&other, JwtSvidError::InvalidToken(error) if error.kind() == JwtVerificationErrorKind::AudienceMismatch)
    );
    assert!(matches!(
        stranger.check_spiffe(token, AUDIENCE, "other.example").unwrap_err(),
        JwtSvidError::BundleNotFound(_)
    ));

    // Every bit of header, payload, signature and the dots between them.
    for at in 0..token.len() * 8 {
        let mut flipped = token.as_bytes().to_vec();
        flipped[at / 8] ^= 1 << (at % 8);
        assert!(stranger.check(&flipped, AUDIENCE).is_err(), "jsonwebtoken accepts the token with bit {at} flipped");
        if let Ok(flipped) = str::from_utf8(&flipped) {
            let verdict = stranger.check_spiffe(flipped, AUDIENCE, "localhost");
            assert!(verdict.is_err(), "spiffe accepts the token with bit {at} flipped");
        }
    }
}

/// A tower in this process that serves over TLS, and whose clock is moved by hand. Verifiers have the system's clock.
struct Served {
    tower: support::Tower,
    client: reqwest::Client,
    issuer: String,
}

impl Served {
    async fn start(clock: Clock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let tower = support::Tower::at(Arc::new(Memory::new()), clock, directory, "audit", &url).await;
        let now = Clock::system().now();
        let authority = Authority::load_or_create(&Memory::new(), &support::keks(), now).await.unwrap();
        let tls = Tls::from_authority(authority, url.parse().unwrap(), now).unwrap();
        let client = process::client(tls.ca_pem().unwrap().as_bytes());
        let (config, router) = (tls.server_config(), tower.router.clone());
        tokio::spawn(server::serve(listener, config, router, Limits::default(), Vec::new(), std::future::pending()));
        let issuer = format!("{url}/{}", tower.tenant());
        Self { tower, client, issuer }
    }

    async fn svid(&self, (role_id, secret_id): &(String, String)) -> String {
        self.tower.log_in(role_id, secret_id).await.ok()["jwt-svid"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn strangers_notice_a_rotation_only_by_its_key_and_refuse_what_has_expired() {
    use time::Duration;

    // Now is some minutes after the second version took over.
    let before = Duration::days(31) + Duration::minutes(5);
    let clock = Clock::adjustable();
    assert!(clock.advance(-before));
    let served = Served::start(clock).await;
    let admin = served.tower.administrator().await;
    served.tower.bulk(&admin, WALK).await.ok();
    let secret = served.tower.secret(&admin, "payments", json!({})).await;
    let old = served.svid(&secret).await;

    // A day before it signs, the second version is published.
    served.tower.pass(Duration::days(30) + Duration::minutes(1)).await;
    served.tower.pass(Duration::days(1) - Duration::minutes(6)).await;
    let first = served.svid(&secret).await;
    let early = Stranger::meets(&served.issuer, &served.client).await;
    assert_eq!(early.kids().len(), 2);
    early.check(&first, AUDIENCE).unwrap();

    served.tower.pass(Duration::minutes(10)).await;
    let second = served.svid(&secret).await;
    assert_ne!(kid(&first), kid(&second));
    let late = Stranger::meets(&served.issuer, &served.client).await;
    for stranger in [&early, &late] {
        for token in [&first, &second] {
            stranger.check(token, AUDIENCE).unwrap();
            stranger.check_spiffe(token, AUDIENCE, "localhost").unwrap();
        }
        // Its key is still published: it is the token that ended.
        assert!(stranger.kids().contains(kid(&old).as_str()));
        assert_eq!(*stranger.check(&old, AUDIENCE).unwrap_err().kind(), ErrorKind::ExpiredSignature);
        let ended = stranger.check_spiffe(&old, AUDIENCE, "localhost").unwrap_err();
        assert!(!matches!(ended, JwtSvidError::AuthorityNotFound(_)), "{ended}");
    }
}

#[tokio::test]
async fn clients_that_share_a_token_may_refresh_at_once_and_while_their_role_changes() {
    let tower = Arc::new(support::Tower::fresh().await);
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let token = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();
    let mut all = tokio::task::JoinSet::new();
    for turn in 0..16 {
        let (holder, shared) = (Arc::clone(&tower), token.clone());
        all.spawn(async move { holder.call("POST", "/v1/state/strongbox/token/refresh", Some(&shared), None).await });
        if turn % 4 == 0 {
            let (operator, admin) = (Arc::clone(&tower), admin.clone());
            let changed = WALK.replace("token-period: 1d", &format!("token-period: {}h", 20 - turn));
            all.spawn(async move { operator.bulk(&admin, &changed).await });
        }
    }
    for answer in all.join_all().await {
        answer.ok();
    }
}
