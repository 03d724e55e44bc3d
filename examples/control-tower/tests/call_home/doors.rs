//! Which certificate opens which door.

use serde_json::json;

use crate::rig::{HOSTS, Host, ISSUE, Rig, SCRIPT, UNCLAIMED, Way};

/// A host with its identity, as it presents it.
async fn claimed(rig: &Rig, id: &str) -> (Host, Way) {
    let host = Host::new(id);
    let (pair, _) = rig.issue(json!({})).await;
    assert_eq!(rig.knock(&host, &Way::with(&pair)).await.unwrap().status, 202);
    rig.post(&format!("{UNCLAIMED}/{}/claim", host.hash()), json!({"site": "oslo"})).await.ok();
    let identity = rig.knock(&host, &Way::with(&pair)).await.unwrap().ok();
    let way = Way::with(&host.pair(identity["x509-svid"]["cert"].as_str().unwrap()));
    (host, way)
}

async fn renew(rig: &Rig, host: &Host, way: &Way) -> crate::rig::Answer {
    rig.send(rig.api, "POST", "/v1/host/renew", way, Some(&json!({"csr": host.csr()}))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_call_home_listener_takes_a_call_home_certificate() {
    let rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    let login = json!({"name": "hosts", "trust-domain": "localhost", "spiffe-id-patterns": [
        {"pattern": "spiffe://localhost/**", "token-policies": []},
    ]});
    let path = "/v1/config/strongbox/authentication/spiffe/hosts";
    rig.call("PUT", path, Some(login)).await.ok();
    let (host, svid) = claimed(&rig, "h1").await;
    let (pair, _) = rig.issue(json!({})).await;
    let call_home = Way::with(&pair);
    // The API does not know it, wherever a certificate counts.
    let refused = renew(&rig, &host, &call_home).await;
    assert_eq!(refused.refused(), (401, "bad-svid".to_owned()));
    let log_in = async |way: &Way| {
        rig.send(rig.api, "POST", "/v1/spiffe-login", way, Some(&json!({"name": "hosts"}))).await.unwrap().status
    };
    assert_eq!(log_in(&call_home).await, 401);
    assert_eq!(log_in(&svid).await, 200, "an SVID is good there");
    // Nor does it verify with what is published of the trust domain.
    let bundle = rig.send(rig.api, "GET", "/v1/get-spiffe-bundle", &Way::default(), None).await.unwrap().ok();
    let bundle = keyward_svid::X509Bundle::from_pem("localhost".parse().unwrap(), bundle["cert"].as_str().unwrap());
    let verifier = keyward_svid::x509::X509Verifier::new(Default::default());
    let now = rig.app.clock.now();
    assert!(verifier.verify(&pair.0, &bundle.unwrap(), now).is_err());
    // And a host's identity is refused where hosts call home.
    assert_eq!(rig.knock(&Host::new("h2"), &svid).await.unwrap().refused(), (403, "not-for-call-home".to_owned()));
    assert_eq!(rig.knock(&host, &svid).await.unwrap().refused(), (403, "not-for-call-home".to_owned()));

    // Nothing else is served there.
    for (method, path, status) in [
        ("GET", "/live", 200),
        ("GET", "/ready", 200),
        ("GET", "/v1/call-home", 405),
        ("POST", "/v1/login", 404),
        ("POST", "/v1/spiffe-login", 404),
        ("GET", "/metrics", 404),
        ("GET", "/openapi.json", 404),
        ("POST", "/v1/host/renew", 404),
        ("GET", "/v1/state/system/hosts", 404),
    ] {
        for way in [&call_home, &svid] {
            let answer = rig.send(rig.call_home, method, path, way, None).await.unwrap();
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        }
    }
    // Where bundles are served nobody logs in, whatever certificate they have.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bundles = listener.local_addr().unwrap();
    let router = control_tower::gate::bundles(&rig.gate);
    let tls = rig.gate.server_config();
    let limits = control_tower::server::Limits::default();
    tokio::spawn(control_tower::server::serve(listener, tls, router, limits, Vec::new(), std::future::pending()));
    for (path, body) in [("/v1/spiffe-login", json!({"name": "hosts"})), ("/v1/call-home", host.body())] {
        for way in [&call_home, &svid] {
            assert_eq!(rig.send(bundles, "POST", path, way, Some(&body)).await.unwrap().status, 404, "{path}");
        }
    }
    // And on the API nobody calls home, but is told where.
    let answer = rig.send(rig.api, "POST", "/v1/call-home", &call_home, Some(&host.body())).await.unwrap();
    assert_eq!(answer.refused(), (421, "wrong-listener".to_owned()));
    let expected =
        format!("hosts call home at https://localhost:{}, and this is the tower's API", rig.call_home.port());
    assert!(answer.text().contains(&expected), "{}", answer.text());
    let audit = rig.audit().await;
    let record = audit.iter().rfind(|record| record["detail"]["reason"] == "wrong-listener").unwrap();
    assert_eq!((&record["event"], record["detail"]["why"].as_str()), (&json!("call-home"), Some(expected.as_str())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_identity_ends_with_its_registration() {
    let rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    let login = json!({"name": "hosts", "trust-domain": "localhost", "spiffe-id-patterns": [
        {"pattern": "spiffe://localhost/site/*/host/*", "token-policies": []},
    ]});
    rig.call("PUT", "/v1/config/strongbox/authentication/spiffe/hosts", Some(login)).await.ok();
    let (host, svid) = claimed(&rig, "h1").await;
    let renewed = renew(&rig, &host, &svid).await.ok();
    assert_eq!((&renewed["state"], &renewed["site"]), (&json!("claimed"), &json!("oslo")));
    assert!(renewed["tower-ca"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    // For its own key, and nobody else's.
    let other = Host::new("h1");
    assert_eq!(renew(&rig, &other, &svid).await.refused(), (403, "other-key".to_owned()));
    assert_eq!(renew(&rig, &host, &Way::default()).await.refused(), (401, "no-svid".to_owned()));
    let log_in = async || {
        rig.send(rig.api, "POST", "/v1/spiffe-login", &svid, Some(&json!({"name": "hosts"}))).await.unwrap().status
    };
    assert_eq!(log_in().await, 200);

    let token =
        rig.send(rig.api, "POST", "/v1/spiffe-login", &svid, Some(&json!({"name": "hosts"}))).await.unwrap().ok();
    let token = token["token"].as_str().unwrap().to_owned();
    let bearer = Way { headers: vec![("authorization".to_owned(), format!("Bearer {token}"))], ..Way::default() };
    let asked = async || rig.send(rig.api, "GET", "/v1/state/strongbox/token", &bearer, None).await.unwrap().status;
    assert_ne!(asked().await, 401);
    let at = format!("{HOSTS}/{}", host.hash());
    rig.post(&format!("{at}/remove"), json!({})).await.ok();
    assert_eq!(renew(&rig, &host, &svid).await.refused(), (403, "removed".to_owned()));
    assert_eq!(log_in().await, 401);
    assert_eq!(asked().await, 401, "the token that was had with it");
    assert_eq!(rig.knock(&host, &Way::default()).await.unwrap().refused(), (403, "removed".to_owned()));

    rig.post(&format!("{at}/release"), json!({})).await.ok();
    assert_eq!(rig.call("GET", &at, None).await.status, 404);
    assert_eq!(renew(&rig, &host, &svid).await.refused(), (403, "not-registered".to_owned()));
    assert_eq!(log_in().await, 401);
    // It may come again, and so may another one with its host-id.
    let (pair, _) = rig.issue(json!({})).await;
    assert_eq!(rig.knock(&other, &Way::with(&pair)).await.unwrap().status, 202);
    assert_eq!(rig.knock(&host, &Way::with(&pair)).await.unwrap().refused(), (409, "duplicate".to_owned()));
    let listed = rig.get(UNCLAIMED).await;
    assert_eq!(listed["duplicates"][0]["id"], host.hash());
    assert_eq!(renew(&rig, &host, &svid).await.refused(), (403, "not-registered".to_owned()));
    rig.post(&format!("{UNCLAIMED}/{}/claim", host.hash()), json!({"site": "oslo"})).await.ok();
    assert_eq!(renew(&rig, &host, &svid).await.refused(), (403, "other-key".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_is_over_is_said_to_be_to_whom_it_was_given() {
    let mut rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    let (host, svid) = claimed(&rig, "h1").await;
    let expires = rig.get(&format!("{HOSTS}/{}", host.hash())).await["expires"].as_str().unwrap().to_owned();
    rig.pass(time::Duration::days(2)).await;
    let refused = renew(&rig, &host, &svid).await;
    assert_eq!(refused.refused(), (401, "bad-svid".to_owned()));
    let text = format!("the SVID of this host expired at {expires}: it has to call home again");
    assert!(refused.text().contains(&text), "{} {expires}", refused.text());
    // Nor is it said of one that only looks like it.
    let (mut chain, key) = svid.pair.unwrap();
    let mut leaf = chain[0].to_vec();
    *leaf.last_mut().unwrap() ^= 1;
    chain[0] = leaf.into();
    let refused = renew(&rig, &host, &Way::with(&(chain, key))).await;
    assert!(
        refused.status == 401 && refused.text().contains("is no SVID of a host of this tower"),
        "{}",
        refused.text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_of_the_tower_alone_see_hosts() {
    let rig = Rig::start().await;
    rig.call("PUT", "/v1/config/tenants/acme", Some(json!({"name": "acme"}))).await.ok();
    let reset = rig.post("/v1/state/tenants/acme/reset-admin", json!({})).await.ok();
    let login = json!({"tenant": "acme", "username": reset["username"], "password": reset["password"]});
    let acme = rig.send(rig.api, "POST", "/v1/login", &Way::default(), Some(&login)).await.unwrap().ok();
    let bearer = ("authorization".to_owned(), format!("Bearer {}", acme["token"].as_str().unwrap()));
    let way = Way { headers: vec![bearer], ..Way::default() };
    for (method, path) in [
        ("POST", ISSUE),
        ("POST", SCRIPT),
        ("POST", crate::rig::REVOKE),
        ("GET", UNCLAIMED),
        ("GET", HOSTS),
        ("PUT", "/v1/config/system/call-home/settings"),
        ("GET", "/v1/config/system/call-home/settings"),
    ] {
        let answer = rig.send(rig.api, method, path, &way, Some(&json!({}))).await.unwrap();
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    }
}
