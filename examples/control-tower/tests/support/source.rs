//! A foreign issuer of JWT-SVIDs, and an HTTPS server that publishes what it is told to.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use control_tower::{
    clock::Clock,
    config::ExternalUrl,
    server::{self, Limits},
    store::Memory,
    tls::{Authority, Tls},
};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, Signer as _};
use keyward_svid::{JwkSet, KeyUse, MintRequest, VerificationKey, mint};
use keyward_transit::{Kek, KekSet};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

/// Somebody who signs JWT-SVIDs.
pub struct Issuer {
    signer: KeySigner,
}

impl Issuer {
    pub fn new(kid: &str) -> Self {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        Self { signer: KeySigner::new(key, Algorithm::Es256, Some(kid.to_owned())).unwrap() }
    }

    /// A token for five minutes.
    pub fn token(&self, id: &str, audience: &str, now: OffsetDateTime) -> String {
        let request = MintRequest::new(id.parse().unwrap(), [audience], Duration::minutes(5)).unwrap();
        mint(&self.signer, &request, now).unwrap().as_str().to_owned()
    }

    /// The published keys of several, as OIDC has them.
    pub fn jwks(issuers: &[&Self]) -> Value {
        let keys = issuers.iter().map(|issuer| {
            let signer = &issuer.signer;
            VerificationKey::new(signer.public_key().clone(), Algorithm::Es256, signer.kid()).unwrap()
        });
        serde_json::from_str(&JwkSet::new(KeyUse::Signature, keys).to_json()).unwrap()
    }
}

/// What the server answers.
#[derive(Clone)]
pub enum Answer {
    Json(String),
    Status(u16),
    Redirect(String),
    Never,
}

/// A running HTTPS server on loopback.
pub struct Source {
    pub url: String,
    /// The authority of its certificate.
    pub ca: String,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<AtomicUsize>,
}

impl Source {
    pub async fn start(first: Answer) -> Self {
        let now = Clock::system().now();
        let authority =
            Authority::load_or_create(&Memory::new(), &KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap()), now)
                .await
                .unwrap();
        let tls = Tls::from_authority(authority, ExternalUrl::localhost(1), now).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/keys", listener.local_addr().unwrap().port());
        let (answer, requests) = (Arc::new(Mutex::new(first)), Arc::new(AtomicUsize::new(0)));
        let router = {
            let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
            Router::new().fallback(move || {
                requests.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                async move {
                    match answer {
                        Answer::Json(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
                        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
                        Answer::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
                        Answer::Never => std::future::pending().await,
                    }
                }
            })
        };
        let config = tls.server_config();
        tokio::spawn(server::serve(listener, config, router, Limits::default(), Vec::new(), std::future::pending()));
        Self { url, ca: tls.ca_pem().unwrap(), answer, requests }
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn publish(&self, issuers: &[&Issuer]) {
        self.answer(Answer::Json(Issuer::jwks(issuers).to_string()));
    }

    /// How often it was asked so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
