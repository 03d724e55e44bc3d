//! Logins with the X.509-SVID of the connection, over real TLS, by clients that are not ours.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use control_tower::clock::Clock;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use time::Duration;

use crate::{
    pair::{Served, Svids, pair, pass},
    support::START,
};

/// What a client finds on its disk.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn of(svids: &Svids, at: &Served) -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        for (name, text) in [("svid.pem", &svids.chain), ("key.pem", &svids.key), ("ca.pem", &at.ca)] {
            std::fs::write(files.path(name), text).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn client(ca: &str, identity: Option<&Svids>) -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    let mut builder = reqwest::Client::builder().tls_certs_only([ca]);
    if let Some(svids) = identity {
        let pem = format!("{}{}", svids.chain, svids.key);
        builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

async fn log_in(client: &reqwest::Client, at: &Served, body: &Value) -> (u16, Value) {
    let answer = client
        .post(format!("{}/v1/spiffe-login", at.url))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_an_svid_logs_in_by_its_connection() {
    let (one, two) = pair().await;
    let twos = two.svids().await;
    let body = json!({"name": "peer"});
    let with_svid = client(&one.ca, Some(&twos));
    let (status, answer) = log_in(&with_svid, &one, &body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["spiffe-id"], "spiffe://two.example/approle/cart");
    // The certificate is asked for on the connection, and counts for this one route: everything else goes by tokens.
    let open = with_svid.get(format!("{}/v1/state/strongbox/token", one.url)).send().await.unwrap();
    assert_eq!(open.status(), 401);
    // Without one everything is as ever.
    let without = client(&one.ca, None);
    assert_eq!(log_in(&without, &one, &body).await.0, 401);
    let (status, _) = log_in(&without, &one, &json!({"name": "peer", "jwt-svid": twos.jwt})).await;
    assert_eq!(status, 200);
    // An SVID of its own, which the configuration is not for, does not count.
    let ones = one.svids().await;
    assert_eq!(log_in(&client(&one.ca, Some(&ones)), &one, &body).await.0, 401);
    // A renewed SVID counts on the next connection: nothing is resumed that had the old one.
    pass(&one, &two, Duration::hours(13)).await;
    assert_eq!(log_in(&client(&one.ca, Some(&twos)), &one, &body).await.0, 401);
    let renewed = two.svids().await;
    assert_eq!(log_in(&client(&one.ca, Some(&renewed)), &one, &body).await.0, 200);
}

/// What a server asks a client for: the issuers that it names, or nothing at all.
#[derive(Debug, Default)]
struct Asked(std::sync::Mutex<Option<Vec<Vec<u8>>>>);

impl rustls::client::ResolvesClientCert for Asked {
    fn resolve(&self, issuers: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = Some(issuers.iter().map(|name| name.to_vec()).collect());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

async fn asked(at: &Served) -> Option<Vec<Vec<u8>>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(at.ca.as_bytes()).unwrap()).unwrap();
    let asked = Arc::new(Asked::default());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&asked) as Arc<dyn rustls::client::ResolvesClientCert>);
    let stream = tokio::net::TcpStream::connect(host(at).replace("localhost", "127.0.0.1")).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    drop(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap());
    asked.0.lock().unwrap().take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_asked_for_a_certificate_only_while_one_can_be_accepted() {
    let clock = Clock::fixed(START);
    let one = Served::start("one.example", clock.clone()).await;
    let two = Served::start("two.example", clock).await;
    assert_eq!(asked(&one).await, None);
    one.federate(&two, "https_web").await;
    assert_eq!(asked(&one).await, None, "as long as no authority is known");
    pass(&one, &two, Duration::SECOND).await;
    let issuers = asked(&one).await.expect("the other's authority");
    let [issuer] = &issuers[..] else { panic!("{issuers:?}") };
    let chain = keyward_svid::x509::chain_from_pem(&two.svids().await.chain).unwrap();
    assert!(chain[0].windows(issuer.len()).any(|part| part == issuer), "the issuer of its SVIDs");
    // Keys of JWT-SVIDs alone are no reason to ask, and what is deleted is none either.
    let admin = one.tower.administrator().await;
    let path = "/v1/config/strongbox/authentication/spiffe/peer";
    let keys = json!({"jwks-uri": format!("{}/{}/jwks", two.url, two.tower.tenant()), "jwks-ca-pem": two.ca});
    one.tower.call("PATCH", path, Some(&admin), Some(keys)).await.ok();
    assert_eq!(asked(&one).await, None);
    one.by_jwt(&two.svids().await).await.ok();
    one.by_x509(&two.svids().await).await.refused(401);
    // A bundle in the document has both.
    let bundle = json!({"jwks-uri": null, "jwks-ca-pem": null, "bundle": two.bundle().await});
    one.tower.call("PATCH", path, Some(&admin), Some(bundle)).await.ok();
    assert_eq!(asked(&one).await, Some(issuers));
    one.by_jwt(&two.svids().await).await.ok();
    one.by_x509(&two.svids().await).await.ok();
    one.tower.call("DELETE", path, Some(&admin), None).await.ok();
    assert_eq!(asked(&one).await, None);
}

/// Runs a client, and answers what it printed.
fn run(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn host(at: &Served) -> String {
    at.url.strip_prefix("https://").unwrap().to_owned()
}

async fn foreign(make: impl FnOnce(&Files, &Served) -> (Command, String) + Send + 'static) {
    let (one, two) = pair().await;
    let files = Files::of(&two.svids().await, &one);
    let (printed, _one) = tokio::task::spawn_blocking(move || {
        let (mut command, input) = make(&files, &one);
        (run(&mut command, &input), one)
    })
    .await
    .unwrap();
    assert!(printed.contains(r#""spiffe-id":"spiffe://two.example/approle/cart""#), "{printed}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn curl_logs_in_by_its_certificate() {
    foreign(|files, at| {
        let (svid, key, ca) = (files.path("svid.pem"), files.path("key.pem"), files.path("ca.pem"));
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--cert", text(&svid), "--key", text(&key)]);
        command.args(["--cacert", text(&ca), "--json", r#"{"name":"peer"}"#]);
        command.arg(format!("{}/v1/spiffe-login", at.url));
        (command, String::new())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs openssl"]
async fn openssl_logs_in_by_its_certificate() {
    foreign(|files, at| {
        let (svid, key, ca) = (files.path("svid.pem"), files.path("key.pem"), files.path("ca.pem"));
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost", "-connect", &host(at)]);
        command.args(["-CAfile", text(&ca), "-cert", text(&svid), "-cert_chain", text(&svid), "-key", text(&key)]);
        let body = r#"{"name":"peer"}"#;
        let request = format!(
            "POST /v1/spiffe-login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        (command, request)
    })
    .await;
}

const PYTHON: &str = r#"
import http.client, json, ssl, sys
svid, key, ca, port = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(svid, key)
connection = http.client.HTTPSConnection("localhost", int(port), context=context)
connection.request("POST", "/v1/spiffe-login", json.dumps({"name": "peer"}), {"content-type": "application/json"})
print(connection.getresponse().read().decode())
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3"]
async fn python_logs_in_by_its_certificate() {
    foreign(|files, at| {
        let port = at.url.rsplit(':').next().unwrap().to_owned();
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON]);
        command.args([files.path("svid.pem"), files.path("key.pem"), files.path("ca.pem")]).arg(port);
        (command, String::new())
    })
    .await;
}
