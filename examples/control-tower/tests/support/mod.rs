//! A tower inside the test's own process: the real router over a real store, with a clock moved by hand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode},
};
use control_tower::{
    app::{App, Credentials, Parts},
    audit::{Audit, AuditOptions},
    clock::Clock,
    config::ExternalUrl,
    keyring::{Keyring, KeyringError},
    rate_limit::RateLimit,
    router::router,
    store::{Memory, SharedStore},
    tasks,
};
use keyward_transit::{Kek, KekSet, SealKey, SealKind};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};
use tower::ServiceExt as _;

/// The configuration of the AWS walk.
pub const WALK: &str = include_str!("../../../aws-federation.yaml");

/// When tests begin.
pub const START: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);

/// A running tower.
pub struct Tower {
    pub app: Arc<App>,
    pub router: Router,
    pub credentials: Option<Credentials>,
    pub directory: Arc<tempfile::TempDir>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The answer of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// The first message of a refusal.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status.as_u16(), status, "{text}");
        let error = &self.json()["errors"][0];
        // Clients of Vault get the text alone.
        error.as_str().or_else(|| error["error-message"].as_str()).unwrap().to_owned()
    }
}

pub fn keks() -> KekSet {
    KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap())
}

/// The keyring of a store, opened, or made.
pub async fn keyring(store: SharedStore) -> Arc<Keyring> {
    let keyring = Arc::new(Keyring::new(store));
    let seal = || SealKey::from_secret(&[8; 32]).unwrap();
    if matches!(keyring.unlock(seal()).await, Err(KeyringError::Absent)) {
        // Of two towers that begin at once one makes it.
        let _ = keyring.create(&keks(), seal(), SealKind::Key).await;
        keyring.unlock(seal()).await.unwrap();
    }
    keyring
}

impl Tower {
    /// A fresh tower over memory, at [`START`].
    pub async fn fresh() -> Self {
        Self::over(Arc::new(Memory::new()), Clock::fixed(START), Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// A tower over a store, which may have had one before.
    pub async fn over(store: SharedStore, clock: Clock, directory: Arc<tempfile::TempDir>) -> Self {
        Self::at(store, clock, directory, "audit", "https://tower.example").await
    }

    pub async fn at(
        store: SharedStore,
        clock: Clock,
        directory: Arc<tempfile::TempDir>,
        audit: &str,
        url: &str,
    ) -> Self {
        Self::with(store, clock, directory, (audit, url, RateLimit::OFF)).await
    }

    /// A fresh tower with limits on what each client may ask for.
    pub async fn limited(limits: &str) -> Self {
        let (store, directory) = (Arc::new(Memory::new()), Arc::new(tempfile::tempdir().unwrap()));
        let more = ("audit", "https://tower.example", limits.parse().unwrap());
        Self::with(store, Clock::fixed(START), directory, more).await
    }

    async fn with(
        store: SharedStore,
        clock: Clock,
        directory: Arc<tempfile::TempDir>,
        (audit, url, rate_limit): (&str, &str, RateLimit),
    ) -> Self {
        let mut options = AuditOptions::default();
        audit.clone_into(&mut options.outbox);
        let audit = Audit::open(&directory.path().join(audit), options).unwrap();
        let external_url: ExternalUrl = url.parse().unwrap();
        let keyring = keyring(store).await;
        let parts = Parts { clock, keyring, audit, external_url, rate_limit, relying_party: None };
        let (app, credentials) = App::start(parts).await.unwrap();
        Self { router: router(Arc::clone(&app)), app, credentials, directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Sends a request as a client at 192.0.2.1.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        self.send_from("192.0.2.1:5000", request).await
    }

    pub async fn send_from(&self, source: &str, mut request: Request<Body>) -> Reply {
        let source: SocketAddr = source.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(source));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, Some(token), None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.call("POST", path, Some(token), Some(body)).await
    }

    pub async fn bulk(&self, token: &str, yaml: &str) -> Reply {
        let request = Request::post("/v1/bulk")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/yaml")
            .body(Body::from(yaml.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// Logs the first administrator in.
    pub async fn administrator(&self) -> String {
        let credentials = self.credentials.as_ref().expect("the first start");
        let body = json!({"username": credentials.username, "password": credentials.password.as_str()});
        let answer = self.call("POST", "/v1/login", None, Some(body)).await.ok();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// The tenant's id.
    pub fn tenant(&self) -> String {
        self.credentials.as_ref().expect("the first start").tenant_id.clone()
    }

    /// A role's role-id and a new secret-id.
    pub async fn secret(&self, token: &str, role: &str, request: Value) -> (String, String) {
        let base = format!("/v1/state/strongbox/authentication/approles/{role}");
        let state = self.get(&base, token).await.ok();
        let secret = self.post(&format!("{base}/generate-secret-id"), token, request).await.ok();
        (state["role-id"].as_str().unwrap().to_owned(), secret["secret-id"].as_str().unwrap().to_owned())
    }

    pub async fn log_in(&self, role_id: &str, secret_id: &str) -> Reply {
        self.call("POST", "/v1/approle-login", None, Some(json!({"role-id": role_id, "secret-id": secret_id}))).await
    }

    /// Moves the clock and does what is due.
    pub async fn pass(&self, time: Duration) {
        assert!(self.app.clock.advance(time));
        tasks::run_due(&self.app).await;
    }

    /// The records of the audit log.
    pub async fn audit(&self, token: &str) -> Vec<Value> {
        self.get("/v1/state/audit?limit=1000", token).await.ok()["records"].as_array().unwrap().clone()
    }
}
