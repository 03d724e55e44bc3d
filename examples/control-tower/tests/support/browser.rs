//! A browser in front of the tower: cookies, `Origin`, the token of forms, and a telephone.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::support::{Reply, Tower};

pub const ORIGIN: &str = "https://tower.example";

/// A browser with its cookies.
#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
    pub form_token: String,
    pub from: String,
}

impl Browser {
    pub fn new() -> Self {
        Self { from: "192.0.2.1:5000".to_owned(), ..Self::default() }
    }

    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0 <script>")
            .header("origin", ORIGIN)
            .header("sec-fetch-site", "same-origin")
            .header("x-form-token", &self.form_token);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        request
    }

    /// Takes what an answer gives it to keep.
    pub fn keep(&mut self, reply: &Reply) {
        for value in reply.headers.get_all("set-cookie") {
            let text = value.to_str().unwrap();
            assert!(text.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            assert!(name.starts_with("__Host-"), "{text}");
            match text.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        if let Ok(body) = serde_json::from_slice::<Value>(&reply.bytes)
            && let Some(token) = body["form-token"].as_str()
        {
            token.clone_into(&mut self.form_token);
        }
    }

    pub async fn call(&mut self, tower: &Tower, method: &str, path: &str, body: Option<Value>) -> Reply {
        let mut request = self.request(method, path);
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let reply = tower.send_from(&self.from, request.body(body).unwrap()).await;
        self.keep(&reply);
        reply
    }

    pub async fn get(&mut self, tower: &Tower, path: &str) -> Reply {
        self.call(tower, "GET", path, None).await
    }

    pub async fn post(&mut self, tower: &Tower, path: &str, body: Value) -> Reply {
        self.call(tower, "POST", path, Some(body)).await
    }

    /// The first page, then who.
    pub async fn identify(&mut self, tower: &Tower, email: &str, tenant: &str) -> Value {
        self.begin(tower, json!({})).await;
        self.step(tower, "identify", json!({"email": email, "tenant": tenant})).await
    }

    pub async fn begin(&mut self, tower: &Tower, body: Value) -> Value {
        self.post(tower, "/v1/login/flow", body).await.ok()
    }

    pub async fn step(&mut self, tower: &Tower, step: &str, body: Value) -> Value {
        self.post(tower, &format!("/v1/login/flow/{step}"), body).await.ok()
    }

    /// Who, and a password.
    pub async fn password(&mut self, tower: &Tower, email: &str, tenant: &str, password: &str) -> Value {
        self.identify(tower, email, tenant).await;
        self.step(tower, "password", json!({"password": password})).await
    }

    pub fn has_session(&self) -> bool {
        self.cookies.contains_key("__Host-keyward-session")
    }
}

/// The code that an application shows for a secret in base32.
pub fn telephone(secret: &str, now: time::OffsetDateTime) -> String {
    let bits: String =
        secret.bytes().map(|c| format!("{:05b}", if c >= b'A' { c - b'A' } else { c - b'2' + 26 })).collect();
    let bytes: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap()).collect();
    let bytes: [u8; 20] = bytes.try_into().unwrap();
    totp_rs::Builder::new()
        .with_secret(bytes)
        .build_noncompliant()
        .generate(now.unix_timestamp().try_into().unwrap())
        .to_string()
}
