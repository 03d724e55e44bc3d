//! A tower to look at.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};

use crate::{chrome::PATIENCE, setting};

/// A running tower; killed when it is dropped.
pub struct Tower {
    process: Child,
    /// Where it is, for a browser: a name, because no passkey is made for an address.
    pub url: String,
    /// What it printed when it was ready.
    pub line: Value,
    /// What `--ignore-certificate-errors-spki-list` takes.
    pub spki: String,
    client: Client,
    token: String,
    _data: tempfile::TempDir,
}

impl Drop for Tower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Tower {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(more: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let program = setting("KEYWARD_TOWER").expect("KEYWARD_TOWER names the program");
        let mut process = Command::new(program)
            .env_clear()
            .args(["--listen", "127.0.0.1:0", "--output", "json", "--data-dir"])
            .arg(data.path())
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tower starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // It says more, and nobody is to be told that there is no reader.
        std::thread::spawn(move || lines.for_each(drop));
        let url = line["url"].as_str().unwrap().to_owned();
        let ca = std::fs::read(line["ca-cert"].as_str().unwrap()).unwrap();
        let client = Client::builder().tls_certs_only([Certificate::from_pem(&ca).unwrap()]).build().unwrap();
        let spki = spki(url.strip_prefix("https://").unwrap());
        let mut tower = Self { process, url, line, spki, client, token: String::new(), _data: data };
        tower.wait().await;
        let login = json!({
            "tenant": tower.line["tenant"], "username": tower.line["username"], "password": tower.line["password"],
        });
        tower.token = tower.call(Method::POST, "/v1/login", login).await["token"].as_str().unwrap().to_owned();
        tower
    }

    async fn wait(&self) {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Ok(answer) = self.client.get(format!("{}/ready", self.url)).send().await
                && answer.status().is_success()
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the tower is not ready");
    }

    /// A call by the administrator, which is to succeed.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub async fn try_call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.call_as(&self.token, method, path, body).await
    }

    pub async fn call_as(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// The tenant of the first administrator.
    pub fn tenant(&self) -> &str {
        self.line["tenant"].as_str().unwrap()
    }

    /// The first administrator's one-time password.
    pub fn password(&self) -> &str {
        self.line["password"].as_str().unwrap()
    }
}

/// The hash of the public key that the tower shows (RFC 7469 §2.4).
pub fn spki(place: &str) -> String {
    let certificate = openssl(&["s_client", "-connect", place], b"");
    let key = openssl(&["x509", "-noout", "-pubkey"], &certificate);
    let key = openssl(&["pkey", "-pubin", "-outform", "DER"], &key);
    STANDARD.encode(openssl(&["dgst", "-sha256", "-binary"], &key))
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let _ = process.stdin.take().unwrap().write_all(input);
    process.wait_with_output().unwrap().stdout
}
