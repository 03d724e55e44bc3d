//! Input that means harm, or nothing: refused with a reason in the documented shape, nothing of it stored, and the program goes
//! on in bounded memory. What a hostile token may hold is in the tests of `keyward-svid`, what else slow clients may do in
//! `tls.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/process.rs"]
mod process;

use std::{path::PathBuf, time::Duration};

use process::{Reply, Tower, WALK, send};
use serde_json::json;

const KEYS: &str = "/v1/config/strongbox/transit-keys";
const SETTINGS: &str = "/v1/config/strongbox/authentication/spiffe-settings";
const ROLES: &str = "/v1/config/strongbox/authentication/approles";
const ROLE: &str = "/v1/state/strongbox/authentication/approles/payments";

/// What the tower may need more of than before for two processors, each of which reads one document at a time while others
/// arrive; in KiB. A document that is expanded, or passwords that are hashed all at once, would take several times that.
const MEMORY: u64 = 128 << 10;

/// A tower with the walk's configuration, which has to be as it was at the end.
struct Subject {
    tower: Tower,
    admin: String,
    revision: u64,
    memory: u64,
    _root: tempfile::TempDir,
}

impl Subject {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let tower = Tower::start(&root.path().join("data"));
        let admin = tower.administrator().await;
        tower.bulk(&admin, WALK).await.ok();
        settle(&tower).await;
        let revision = tower.metric("keyward_store_revision").await;
        let (memory, _) = tower.memory();
        tower.forget_peak();
        Self { tower, admin, revision, memory, _root: root }
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Reply {
        send(self.tower.request(method, path, Some(&self.admin)).header("content-type", kind).body(body)).await
    }

    async fn bulk(&self, body: impl Into<reqwest::Body>) -> Reply {
        self.send("POST", "/v1/bulk", "application/yaml", body).await
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, path, "application/json", body.to_owned()).await
    }

    /// The status and the body of the answer to a request line, with the administrator's token and these further headers.
    async fn raw(&self, line: &str, headers: &str, body: &str) -> (u16, String) {
        let admin = &self.admin;
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {admin}\r\nconnection: close\r\n{headers}\r\n{body}"
        );
        parts(&self.tower.exchange(request).await)
    }

    /// Nothing was stored, the tower lives, and it did not grow.
    async fn assert_unharmed(self) {
        assert_eq!(self.tower.metric("keyward_store_revision").await, self.revision, "something was stored");
        self.assert_alive().await;
    }

    /// The tower lives, and it did not grow. (Guesses at passwords are counted in the store.)
    async fn assert_alive(self) {
        self.tower.assert_alive().await;
        let (now, peak) = self.tower.memory();
        let before = self.memory;
        let pairs = std::thread::available_parallelism().unwrap().get().div_ceil(2) as u64;
        assert!(peak < before + pairs * MEMORY, "memory: {before} KiB before, {now} KiB now, {peak} KiB at most");
        let log = self.tower.log();
        assert!(!log.contains("panicked") && !log.contains("internal error"), "{log}");
        assert!(self.tower.stop().status.success());
    }
}

/// Waits until the task that looks after keys has looked at every change so far: it writes down when to look again.
async fn settle(tower: &Tower) {
    const RUNS: &str = "keyward_task_runs{task=\"rotate\"}";
    // The run that is under way may have begun before the change.
    let enough = tower.metric(RUNS).await + 2;
    while tower.metric(RUNS).await < enough {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The status and the body of an answer.
fn parts(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The first message of a refusal.
#[track_caller]
fn message(body: &str) -> String {
    let body: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("not the documented shape: {body:?}"));
    assert!(body["errors"][0]["error-info"].is_object(), "{body}");
    body["errors"][0]["error-message"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// So many levels of something, one inside the other.
fn deep(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(10_000), close.repeat(10_000))
}

/// Nine times nine times nine …: few bytes, more values than there are atoms.
fn laughs() -> String {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..90 {
        text += &format!("a{n}: &a{n} [{}]\n", [format!("*a{}", n - 1).as_str(); 9].join(", "));
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_documents() {
    let subject = Subject::new().await;
    let head = "x-path: strongbox/transit-keys/k\nx-operation: create\nname: k\n";
    let fits = format!("{WALK}# {}", " ".repeat((1 << 20) - WALK.len() - 2));
    assert_eq!(subject.bulk(fits.clone()).await.ok()["changed"], false, "1 MiB is accepted");
    for kind in ["application/yaml", "application/json"] {
        let answer = subject.send("POST", "/v1/bulk", kind, fits.clone() + " ").await;
        assert_eq!(
            answer.refused(413),
            "the body is longer than 1048576 bytes: send it in parts, and a long document as several"
        );
    }
    for path in [format!("{KEYS}/k"), ROLES.to_owned()] {
        let method = if path == ROLES { "POST" } else { "PUT" };
        let answer = subject.json(method, &path, &format!("{{\"name\":\"{}\"}}", "k".repeat(1 << 20))).await;
        assert_eq!(
            answer.refused(413),
            "the body is longer than 1048576 bytes: send it in parts, and a long document as several"
        );
    }

    let levels = "more than 64 levels of nesting; split it";
    for text in [deep("[", "]"), deep("{a: ", "}"), deep("- ", "")] {
        let answer = subject.bulk(format!("{head}a:\n {text}")).await;
        assert!(answer.refused(400).ends_with(levels), "{}", answer.text());
    }
    for text in [deep("[", "]"), deep("{\"a\":", "}")] {
        let object = format!("{{\"a\":{text}}}");
        for (method, path) in [("PUT", format!("{KEYS}/k")), ("PATCH", SETTINGS.to_owned()), ("POST", ROLES.to_owned())]
        {
            let answer = subject.json(method, &path, &object).await;
            assert!(answer.refused(400).ends_with(levels), "{}", answer.text());
        }
        assert!(subject.send("POST", "/v1/bulk", "application/json", object).await.refused(400).ends_with(levels));
    }
    let answer = subject.bulk(format!("{head}{}", laughs())).await;
    assert!(answer.refused(400).ends_with("more than 100000 values; split it"), "{}", answer.text());
    let answer = subject.bulk(format!("{head}a: [{}1]", "1,".repeat(500_000))).await;
    assert!(answer.refused(400).ends_with("more than 100000 values; split it"), "{}", answer.text());

    for (text, expected) in [
        ([head.as_bytes(), b"cipher: \xff\xfe"].concat(), "line 4, column 9: the text is not UTF-8; save it as UTF-8"),
        (WALK.encode_utf16().flat_map(u16::to_le_bytes).collect(), "not valid YAML"),
        (format!("{head}cipher: \"a\0b\"").into_bytes(), "line 4, column 11"),
        (format!("{head}cipher: \x1b[31m").into_bytes(), "line 4"),
        (format!("{head}name: k").into_bytes(), "field `name`: there twice, first on line 3; remove one"),
        (format!("{head}\"na\\u006de\": k").into_bytes(), "field `name`: there twice, first on line 3; remove one"),
        (Vec::new(), "there is no document"),
        (b"--- ---".to_vec(), "line 1"),
    ] {
        let answer = subject.bulk(text).await;
        assert!(answer.refused(400).contains(expected), "{}", answer.text());
    }
    let twice = subject.json("PUT", &format!("{KEYS}/k"), r#"{"name":"k","n\u0061me":"k"}"#).await;
    assert!(twice.refused(400).ends_with("field `name`: there twice; remove one"), "{}", twice.text());
    let twice = r#"{"batch_input":[{"input":"aGk=","algorithm":"sha2-256","algorithm":"hunter2"}]}"#;
    let twice = subject.json("POST", "/v1/transit/sign/k", twice).await;
    let told = r#"{"errors":["the JSON body is refused: field `batch_input[0].algorithm`: there twice; remove one"]}"#;
    assert_eq!((twice.status.as_u16(), twice.text()), (400, told.into()));
    for kind in ["application/x-unknown", "text/html", "multipart/form-data; boundary=x", "\u{7f}", ""] {
        let kind = reqwest::header::HeaderValue::from_bytes(kind.as_bytes());
        let Ok(kind) = kind else { continue };
        let request = subject.tower.request("POST", "/v1/bulk", Some(&subject.admin)).header("content-type", kind);
        assert!(send(request.body(WALK)).await.refused(415).ends_with("send `application/yaml`"));
    }
    subject.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_out_of_range() {
    let subject = Subject::new().await;
    let role = format!("{ROLES}/r");
    for number in ["4294967296", "-1", "1.5", "1e999", "18446744073709551616", "\"1\"", "true"] {
        let json = format!(r#"{{"name":"r","token-num-uses":{number}}}"#);
        let answer = subject.json("PUT", &role, &json).await;
        assert!(answer.refused(400).contains("field `token-num-uses`"), "{number}: {}", answer.text());
        let yaml =
            format!("x-path: strongbox/authentication/approles/r\nx-operation: create\n{}", json.replace(",", ", "));
        assert_eq!(subject.bulk(yaml).await.status, 400, "{number}");
    }
    for number in ["4294967296", "-1", "1.5", "1e999", "\"1\""] {
        let answer =
            subject.json("POST", &format!("{ROLE}/generate-secret-id"), &format!(r#"{{"num-uses":{number}}}"#)).await;
        assert!(answer.refused(400).starts_with("the JSON body is refused: "), "{number}: {}", answer.text());
    }
    for life in ["99999999999999999999w", "9999999999w", "36501d", "0s", "-1d", "1", "1d1d", "", "∞"] {
        let answer = subject.json("PUT", &role, &json!({"name": "r", "token-ttl": life}).to_string()).await;
        assert!(answer.refused(400).contains("field `token-ttl`"), "{life}: {}", answer.text());
        let rotate = json!({"name": "k", "auto-rotate": {"rotate-after": life}});
        assert_eq!(subject.json("PUT", &format!("{KEYS}/k"), &rotate.to_string()).await.status, 400, "{life}");
        let path = format!("{ROLE}/generate-secret-id");
        assert_eq!(subject.json("POST", &path, &json!({"ttl": life}).to_string()).await.status, 400, "{life}");
    }

    // Authorities: lives that no rotation fits into, names that no certificate holds.
    let authority = "/v1/config/system/ca/a";
    for (field, value) in [
        ("ttl", json!("11d23h59m59s")),
        ("ttl", json!("3650d1s")),
        ("ttl", json!(90)),
        ("key-type", json!("aes256-gcm96")),
        ("key-type", json!("rsa-1024")),
        ("subject-country", json!("D")),
        ("subject-country", json!("DEU")),
        ("subject-country", json!("Ä1")),
        ("subject-country", json!(["DE"])),
        ("subject-organization", json!("x".repeat(65))),
        ("subject-organizational-unit", json!("")),
        ("subject-organization", json!("  ")),
        ("subject-locality", json!("x".repeat(129))),
        ("subject-province", json!("a\0b")),
        ("subject-common-name", json!("a\nSubject: CN=b")),
        ("subject-comon-name", json!("a")),
        ("distribute", json!({"to": "moon"})),
    ] {
        let mut document = json!({"name": "a"});
        document[field] = value.clone();
        let answer = subject.json("PUT", authority, &document.to_string()).await;
        assert!(answer.refused(400).contains(&format!("`{field}")), "{field} {value}: {}", answer.text());
        let yaml = format!("x-path: system/ca/a\nx-operation: create\nname: a\n{field}: {value}\n");
        let answer = subject.bulk(yaml).await;
        assert!(answer.refused(400).starts_with("document 1, line 4, "), "{field} {value}: {}", answer.text());
    }
    for body in [r#"{"name":"r","token-spiffe-x509":{"ttl":"1d1s"}}"#, r#"{"name":"r","token-spiffe-x509":{"ttl":0}}"#]
    {
        assert!(subject.json("PUT", &role, body).await.refused(400).contains("`token-spiffe-x509.ttl`"), "{body}");
    }
    for body in [r#"{"name":"r","token-spiffe-x509":true}"#, r#"{"name":"r","token-spiffe-x509":{"life":"1h"}}"#] {
        assert!(subject.json("PUT", &role, body).await.refused(400).contains("`token-spiffe-x509"), "{body}");
    }

    // Logins by SVID, and federation: addresses that are none, keys that are none, times that leave nothing.
    let (pattern, hint) = ("spiffe://peer.example/**", "https://peer.example/keys");
    let rule = |field: &str, value: serde_json::Value| {
        let mut rule = json!({"pattern": pattern});
        rule[field] = value;
        json!([rule])
    };
    for (field, value) in [
        ("trust-domain", json!("peer.example/")),
        ("trust-domain", json!("a".repeat(256))),
        ("jwks-uri", json!("file:///etc/passwd")),
        ("jwks-uri", json!("http://peer.example/keys")),
        ("jwks-uri", json!("https://user:word@peer.example/keys")),
        ("jwks-uri", json!(format!("https://peer.example/{}", "x".repeat(4000)))),
        ("jwks-uri", json!("https://peer.example:99999/")),
        ("jwks", json!("{\"keys\":[]}")),
        ("jwks", json!({"keys": {}})),
        ("jwks", json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]})),
        ("bundle", json!({"keys": [], "spiffe_sequence": -1})),
        ("bundle", json!([])),
        ("allowed-algorithms", json!(["HS256"])),
        ("allowed-clock-skew", json!("1h")),
        ("allowed-audiences", json!(["a\u{0}b"])),
        ("allowed-audiences", json!(vec!["a"; 1001])),
        ("jwks-refresh-interval", json!("5m")),
        ("spiffe-id-patterns", json!([{"pattern": "spiffe://other.example/**"}])),
        ("spiffe-id-patterns", json!([{"pattern": pattern}, {"pattern": pattern}])),
        ("spiffe-id-patterns", json!([pattern])),
        ("spiffe-id-patterns", rule("pattern", json!("spiffe://peer.example/a**"))),
        ("spiffe-id-patterns", rule("pattern", json!("spiffe://peer.example/../a"))),
        ("spiffe-id-patterns", rule("token-num-uses", json!(-1))),
        ("spiffe-id-patterns", rule("token-ttl", json!("2d"))),
        ("spiffe-id-patterns", rule("token-spiffe-jwt", json!({}))),
    ] {
        let mut document = json!({"name": "p", "trust-domain": "peer.example"});
        document[field] = value.clone();
        let path = "/v1/config/strongbox/authentication/spiffe/p";
        let answer = subject.json("PUT", path, &document.to_string()).await;
        assert!(answer.refused(400).contains(&format!("`{field}")), "{field} {value:.60}: {}", answer.text());
    }
    for (field, value) in [
        ("trust-domain", json!("other.example")),
        ("bundle-endpoint-url", json!("http://peer.example/keys")),
        ("bundle-endpoint-url", json!("https://user@peer.example/keys")),
        ("bundle-endpoint-profile", json!("none")),
        ("bundle-endpoint-ca-pem", json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        ("endpoint-spiffe-id", json!("spiffe://peer.example/x")),
        ("bootstrap-bundle", json!({"keys": []})),
        ("bootstrap-bundle", json!(7)),
        ("max-age", json!("30s")),
        ("refresh-interval", json!("30d")),
    ] {
        let mut document = json!({
            "trust-domain": "peer.example", "bundle-endpoint-url": hint, "bundle-endpoint-profile": "https_web",
        });
        document[field] = value.clone();
        let answer = subject.json("PUT", "/v1/config/federation/peer.example", &document.to_string()).await;
        let text = answer.refused(400);
        assert!(text.contains(&format!("`{field}`")) || text.contains("`max-age`"), "{field} {value:.60}: {text}");
    }
    let nowhere = json!({"trust-domain": "a b", "bundle-endpoint-url": hint, "bundle-endpoint-profile": "https_web"});
    subject.json("PUT", "/v1/config/federation/a%20b", &nowhere.to_string()).await.refused(400);

    // No SPIFFE ID of more than 2048 bytes can come about.
    for (length, expected) in
        [(256, "a trust domain of 256 bytes is too long"), (3000, "a trust domain of 3000 bytes is too long")]
    {
        let settings = json!({"jwt-signing-key": "spiffe-jwt", "trust-domain": "a".repeat(length)});
        let answer = subject.json("PUT", SETTINGS, &settings.to_string()).await;
        assert!(answer.refused(400).contains(expected), "{}", answer.text());
    }
    let domain = json!({"jwt-signing-key": "spiffe-jwt", "trust-domain": format!("spiffe://{}", "a".repeat(2990))});
    assert!(subject.json("PUT", SETTINGS, &domain.to_string()).await.refused(400).contains("`trust-domain`"));
    for (length, expected) in [(256, "write at most 255"), (3000, "too long")] {
        let name = "a".repeat(length);
        let answer = subject.json("PUT", &format!("{ROLES}/{name}"), &json!({"name": name}).to_string()).await;
        let text = answer.refused(400);
        assert!(text.contains(expected) && text.len() < 600, "{text}");
    }
    for audience in ["", "a\0b", &"a".repeat(5000)] {
        let role = json!({"name": "r", "token-spiffe-jwt": {"jwt-audiences": [audience]}});
        let answer = subject.json("PUT", &format!("{ROLES}/r"), &role.to_string()).await;
        assert!(answer.refused(400).contains("jwt-audiences"), "{}", answer.text());
    }
    subject.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_calls() {
    let subject = Subject::new().await;
    let generate = format!("{ROLE}/generate-secret-id");
    let key = "/v1/state/strongbox/transit-keys/spiffe-jwt";
    let calls = [
        generate.clone(),
        format!("{ROLE}/lookup-secret-id"),
        format!("{ROLE}/destroy-secret-id"),
        format!("{key}/encrypt"),
        format!("{key}/decrypt"),
        format!("{key}/rewrap"),
        format!("{key}/sign"),
        format!("{key}/verify"),
        "/v1/state/strongbox/aws-trust-policy".to_owned(),
        "/v1/state/strongbox/token/refresh".to_owned(),
        "/v1/approle-login".to_owned(),
        "/v1/spiffe-login".to_owned(),
        "/v1/login".to_owned(),
    ];
    for path in &calls {
        for (body, expected) in [
            (r#"{"no-such-field":1}"#, "no-such-field"),
            ("[]", "a list where a block of fields belongs"),
            (r#"["a","b"]"#, "a list where a block of fields belongs"),
            ("\"a\"", "the JSON body is refused"),
            ("7", "the JSON body is refused"),
            ("{", "EOF"),
            ("{}{}", ""),
            ("\u{feff}{}", "the JSON body is refused"),
            (&deep("{\"a\":", "}"), "the JSON body is refused"),
        ] {
            let text = subject.json("POST", path, body).await.refused(400);
            assert!(text.contains(expected) && text.len() < 600, "{path} {body:.40}: {text}");
        }
        let text = send(subject.tower.request("POST", path, Some(&subject.admin)).body(&b"{\"a\":\"\xff\"}"[..])).await;
        text.refused(400);
        let text = subject.send("POST", path, "text/plain", "{}").await.refused(415);
        assert_eq!(text, "content type `text/plain` is not understood here: send `application/json`");
        let text = subject.json("POST", path, &format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20))).await.refused(413);
        assert_eq!(text, "the body is longer than 1048576 bytes: send it in parts, and a long document as several");
    }
    for body in [
        r#"{"username":"admin","password":"wrong-horse","password":"wrong-horse"}"#,
        r#"{"username":"admin","password":["wrong-horse"]}"#,
        r#"{"username":"admin","password":{"wrong-horse":1}}"#,
        r#"{"username":"admin","password":"wrong-horse""#,
        r#"{"username":"admin","password":"wrong-horse\u0000\ud800"}"#,
        r#"{"username":"admin","passwort":"wrong-horse"}"#,
        r#"{"username":["wrong-horse\"wrong-horse"],"password":"a"}"#,
        "{\"username\":\"admin\",\"password\":\"wrong-\nhorse\"}",
    ] {
        let text = subject.json("POST", "/v1/login", body).await.refused(400);
        assert!(!text.contains("wrong") && !text.contains("horse"), "{text}");
    }
    // Well-formed, and nobody.
    for name in ["", "admin/../admin", "ad\0min", "ADMIN", " admin", &"a".repeat(500_000)] {
        let body = json!({"username": name, "password": "a"}).to_string();
        assert_eq!(subject.json("POST", "/v1/login", &body).await.refused(401), "invalid username or password");
        let body = json!({"username": "admin", "password": name, "tenant": name}).to_string();
        assert_eq!(subject.json("POST", "/v1/login", &body).await.refused(401), "invalid username or password");
        let body = json!({"role-id": name, "secret-id": name}).to_string();
        assert_eq!(subject.json("POST", "/v1/approle-login", &body).await.refused(401), "invalid role-id or secret-id");
        let body = json!({"name": name, "jwt-svid": name}).to_string();
        assert_eq!(subject.json("POST", "/v1/spiffe-login", &body).await.refused(401), "the SVID is not accepted here");
    }
    subject.assert_alive().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_methods_and_queries() {
    let subject = Subject::new().await;
    let token = "/v1/state/strongbox/transit-keys/spiffe-jwt";
    for (line, status, expected) in [
        ("POST /v1/bulk?validate=maybe", 400, "the query is refused: validate: "),
        ("POST /v1/bulk?valdate=true", 400, "valdate"),
        ("GET /v1/state/audit?limit=-1", 400, "the query is refused: limit: "),
        ("GET /v1/state/audit?limit=99999999999999999999", 400, "the query is refused: limit: "),
        ("GET /v1/state/audit?since=yesterday", 400, "`yesterday` is neither a record's number nor a time"),
        ("GET /v1/state/audit?since=%ff", 400, "is neither a record's number nor a time"),
        ("GET /v1/get-spiffe-jwks?tenant=a&tenant=b", 400, "duplicate field `tenant`"),
        ("GET /v1/get-spiffe-jwks?tenant=%ff", 404, "no signing key is published here"),
        ("GET /v1/config/%ff", 400, "not UTF-8"),
        ("GET /%ff/jwks", 400, "not UTF-8"),
        ("GET /v1/state/strongbox/transit-keys/%ff", 400, "no escapes"),
        ("GET /v1/config/strongbox%2ftransit-keys", 400, "an escaped slash"),
        ("GET /v1/config/strongbox%2Ftransit-keys%2Fspiffe-jwt", 400, "an escaped slash"),
        ("GET /v1/config/strongbox/../strongbox/transit-keys", 400, "a segment is `.` or `..`"),
        ("GET /v1/config/strongbox/%2e%2e/x", 400, "a segment is `.` or `..`"),
        ("GET /v1/config/strongbox//transit-keys", 400, "a segment is empty"),
        ("GET /v1/config/strongbox/transit-keys/", 400, "a segment is empty"),
        ("GET /v1/config/strongbox/transit-keys/%00", 400, "a control character"),
        ("GET /v1/config/strongbox/transit-keys/%0d%0ax:y", 400, "a control character"),
        ("DELETE /v1/config/strongbox/transit-keys/%1b", 400, "a control character"),
        ("GET /v1/config/no/such/thing", 404, "no/such/thing"),
        ("PUT /v1/config/no/such/thing", 400, ""),
        ("DELETE /v1/config/strongbox/transit-keys", 400, ""),
        ("GET /v1/state/strongbox/transit-keys/spiffe%2djwt", 400, "no escapes"),
        ("GET /v1/state/strongbox/transit-keys/../token", 404, "does not exist"),
        ("POST /v1/state/strongbox/transit-keys//rotate", 400, "has no empty"),
        ("GET /v1/state/strongbox/transit-keys/Nobody", 404, "does not exist"),
        ("GET /v1/config/", 404, "does not exist"),
        ("GET /v1/config", 404, "does not exist"),
        ("GET //live", 404, "does not exist"),
        ("GET /live/", 404, "does not exist"),
        ("GET /%00", 404, "does not exist"),
        ("GET /..%2f..%2fetc/passwd", 404, "does not exist"),
        ("GET /../../../etc/passwd", 404, "does not exist"),
        ("GET /x/jwks", 404, "no signing key is published here"),
        ("GET /a%2fb/.well-known/openid-configuration", 404, "no signing key is published here"),
        ("OPTIONS *", 404, "does not exist"),
        ("TRACE /live", 405, "has no method TRACE"),
        ("CONNECT /live", 405, "has no method CONNECT"),
        ("BREW /live", 405, "has no method BREW"),
        ("OPTIONS /live", 405, "has no method OPTIONS"),
        ("DELETE /v1/login", 405, "has no method DELETE"),
        ("GET /v1/bulk", 405, "has no method GET"),
        ("DELETE /v1/state/strongbox/token", 405, "has no method DELETE"),
    ] {
        let (found, body) = subject.raw(line, "", "").await;
        assert_eq!(found, status, "{line}: {body}");
        let text = message(&body);
        assert!(text.contains(expected) && text.len() < 600, "{line}: {text}");
    }
    let long = format!("GET {token}/{}", "x".repeat(60_000));
    let (status, body) = subject.raw(&long, "", "").await;
    assert!(status == 404 && message(&body).len() < 600, "{status} {body}");
    let (status, body) =
        subject.raw("GET /v1/config/strongbox/transit-keys/spiffe-jwt", "if-match: \"\u{7}\"\r\n", "").await;
    assert!((400..500).contains(&status), "{status} {body}");
    let put = format!("PUT {KEYS}/spiffe-jwt");
    for tag in ["x", "W/\"1\"", "\"99999999999999999999\"", "é"] {
        let headers = format!("if-match: {tag}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n");
        let (status, body) = subject.raw(&put, &headers, "{}").await;
        assert!([400, 412].contains(&status), "{tag}: {status} {body}");
        message(&body);
    }
    subject.assert_unharmed().await;
}

/// What is no HTTP never becomes a request. Such an answer has a status and no body: there is nobody to give one yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_http() {
    let subject = Subject::new().await;
    let end = "connection: close\r\n\r\n";
    let login = "POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for (request, status) in [
        (format!("GET /v1/\0 HTTP/1.1\r\nhost: x\r\n{end}"), 400),
        (format!("GET /v1/\u{7} HTTP/1.1\r\nhost: x\r\n{end}"), 400),
        (format!("GET /live HTTP/1.1\r\nhost: x\r\na: \0\r\n{end}"), 400),
        (format!("GET /live HTTP/1.1\r\nhost: x\r\na b: c\r\n{end}"), 400),
        (format!("GET /live HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n{end}"), 400),
        (format!("GET /live HTTP/1.1\r\nhost: x\r\n{}{end}", "a: b\r\n".repeat(200)), 431),
        (format!("GET /live HTTP/1.1\r\nhost: x\r\na: {}\r\n{end}", "x".repeat(1 << 20)), 431),
        (format!("GET /live?{} HTTP/1.1\r\nhost: x\r\n{end}", "x".repeat(1 << 20)), 0),
        (format!("{login}content-length: 4\r\ncontent-length: 0\r\n{end}abcd"), 400),
        (format!("{login}content-length: -1\r\n{end}abcd"), 400),
        (format!("{login}content-length: 4, 5\r\n{end}abcd"), 400),
        (format!("{login}transfer-encoding: xchunked\r\n{end}0\r\n\r\n"), 400),
        (format!("{login}transfer-encoding: chunked, identity\r\n{end}0\r\n\r\n"), 400),
        (format!("{login}transfer-encoding: chunked\r\n{end}fffffffffffffffff\r\n"), 400),
        (format!("{login}transfer-encoding: chunked\r\n{end}zz\r\n"), 400),
    ] {
        let answer = subject.tower.exchange(&request).await;
        if status == 0 {
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer:.200}");
        } else {
            assert_eq!(parts(&answer).0, status, "{request:.200}");
        }
    }
    let answer = subject.tower.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    // Two lengths: one request, whatever a proxy on the way took for its end, and the connection ends with it.
    let two = format!(
        "{login}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /live HTTP/1.1\r\nhost: x\r\n{end}"
    );
    let answer = subject.tower.exchange(two).await;
    assert_eq!((parts(&answer).0, answer.matches("HTTP/1.1 ").count()), (400, 1), "{answer}");

    let (status, body) =
        subject.raw("GET /v1/state/strongbox/token", &format!("x-vault-token: {}\r\n", "x".repeat(65 << 10)), "").await;
    assert_eq!((status, message(&body).as_str()), (401, "the token is longer than 8192 bytes"));
    let long = format!(
        "GET /v1/state/strongbox/token HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{end}",
        "x".repeat(65 << 10)
    );
    let (status, body) = parts(&subject.tower.exchange(long).await);
    assert_eq!((status, message(&body).as_str()), (401, "the token is longer than 8192 bytes"));
    // What is too long is refused when it is announced, or when it has become too long.
    let (status, body) =
        subject.raw("POST /v1/bulk", "content-length: 99999999999\r\nexpect: 100-continue\r\n", "").await;
    assert_eq!(
        (status, message(&body).as_str()),
        (413, "the body is longer than 1048576 bytes: send it in parts, and a long document as several")
    );
    let chunks = format!("10000\r\n{}\r\n", "#".repeat(0x10000)).repeat(17) + "0\r\n\r\n";
    let (status, body) = subject.raw("POST /v1/bulk", "transfer-encoding: chunked\r\n", &chunks).await;
    assert_eq!(
        (status, message(&body).as_str()),
        (413, "the body is longer than 1048576 bytes: send it in parts, and a long document as several")
    );
    subject.assert_unharmed().await;
}

/// Clients that send half a head, or half a body, and then nothing: others are served all the same. (That such connections end
/// in time is in `tls.rs`, with times shorter than the program's.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_hold_up_nobody() {
    let subject = Subject::new().await;
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut connection = subject.tower.connect().await;
        match n % 3 {
            0 => connection.send("GET /live HTTP/1.1\r\nhost: x\r\na: b").await,
            1 => {
                connection.send("POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"username\":").await
            }
            _ => connection.send("").await,
        }
        slow.push(connection);
    }
    for _ in 0..20 {
        subject.tower.get("/v1/state/strongbox/token", &subject.admin).await.ok();
    }
    subject.tower.assert_alive().await;
    drop(slow);
    subject.assert_unharmed().await;
}

/// A client that is still sending reads why it is refused: its connection is not reset below the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_reach_clients_that_are_still_sending() {
    let subject = Subject::new().await;
    let text = "#".repeat(3 << 20);
    for _ in 0..8 {
        let sent = [
            (subject.tower.request("POST", "/v1/bulk", None), 401),
            (subject.tower.request("POST", "/v1/bulk", Some("nobody")), 401),
            (subject.tower.request("POST", "/v1/bulk", Some(&subject.admin)), 413),
            (subject.tower.request("POST", "/v1/login", None), 413),
            (subject.tower.request("POST", "/no/such/path", None), 404),
            (subject.tower.request("PATCH", "/v1/login", None), 405),
        ];
        for (request, status) in sent {
            // A connection of its own each: the tower may end those that sent so much for nothing.
            send(request.header("connection", "close").body(text.clone())).await.refused(status);
        }
    }
    subject.assert_unharmed().await;
}

/// Wrong passwords by the dozen: the memory that each needs is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_leave_no_memory_behind() {
    let subject = Subject::new().await;
    for _ in 0..2 {
        let mut logins = tokio::task::JoinSet::new();
        for _ in 0..48 {
            let api = subject.tower.api.clone();
            let body = json!({"username": "admin", "password": "wrong"});
            logins.spawn(async move { api.call("POST", "/v1/login", None, Some(body)).await });
        }
        for answer in logins.join_all().await {
            assert!([401, 429].contains(&answer.status.as_u16()), "{}", answer.text());
        }
    }
    subject.assert_alive().await;
}

/// Many at once: what each may take is bounded, and so is the sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hostile_documents_at_once() {
    let subject = Subject::new().await;
    let head = "x-path: strongbox/transit-keys/k\nx-operation: create\nname: k\n";
    let texts = [
        format!("{head}a: [{}1]", "1,".repeat(500_000)),
        format!("{head}{}", laughs()),
        format!("{head}a: {}", deep("[", "]")),
        format!("{head}a: &a {}\nb: [{}]", "x".repeat(100_000), ["*a"; 1000].join(", ")),
    ];
    let mut sent = tokio::task::JoinSet::new();
    for n in 0..32 {
        let request = subject.tower.request("POST", "/v1/bulk", Some(&subject.admin));
        sent.spawn(send(request.header("content-type", "application/yaml").body(texts[n % texts.len()].clone())));
    }
    for answer in sent.join_all().await {
        assert!(answer.refused(400).ends_with("; split it"), "{}", answer.text());
    }
    subject.assert_unharmed().await;
}

/// Nothing but what was in it before: for a look at what a hostile client would leave behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_leave_no_files() {
    let subject = Subject::new().await;
    let files = || -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&subject.tower.data_dir).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    };
    let before = files();
    subject.bulk("\0").await.refused(400);
    subject.tower.log_in("../../x", "../../y").await.refused(401);
    subject.raw("PUT /v1/config/strongbox/transit-keys/..%5c..%5cx", "", "").await;
    assert_eq!(files(), before);
    subject.assert_unharmed().await;
}
