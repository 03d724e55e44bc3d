//! Two towers that federate with each other over real HTTPS: one reads the other's bundle by `https_spiffe`, the other by
//! `https_web`.
#![allow(unreachable_pub)]

use std::{net::SocketAddr, sync::Arc};

use axum::{body::Body, extract::ConnectInfo, http::Request};
use control_tower::{
    clock::Clock,
    federation::{self, Endpoint, Serving},
    server::{self, ClientChain, Limits, TlsSource},
    store::Memory,
    tasks,
    tls::{Authority, Tls},
};
use keyward_svid::x509::chain_from_pem;
use serde_json::{Value, json};
use time::Duration;
use tokio::net::TcpListener;

use crate::support::{Reply, START, Tower, WALK, keks};

/// A tower that serves its API and its bundles on loopback.
pub struct Served {
    pub tower: Tower,
    pub trust_domain: &'static str,
    /// Of the API.
    pub url: String,
    /// What clients of the API trust.
    pub ca: String,
    serving: Arc<Serving>,
    /// A workload's role-id and secret-id.
    workload: (String, String),
}

/// What a workload has.
#[derive(Clone)]
pub struct Svids {
    pub jwt: String,
    pub chain: String,
    pub key: String,
}

impl Served {
    pub async fn start(trust_domain: &'static str, clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let tower = Tower::at(Arc::new(Memory::new()), clock, directory, "audit", &url).await;
        let now = Clock::system().now();
        let authority = Authority::load_or_create(&Memory::new(), &keks(), now).await.unwrap();
        let tls = Arc::new(Tls::from_authority(authority, url.parse().unwrap(), now).unwrap());
        let ca = tls.ca_pem().unwrap();
        let source = {
            let app = Arc::clone(&tower.app);
            TlsSource::new(move || app.client_issuers.server_config(&tls))
        };
        serve(listener, source, tower.router.clone());

        let admin = tower.administrator().await;
        let walk = WALK
            .replace("cipher: rsa-2048", "cipher: ecdsa-p256")
            .replace("rotate-after: 30d", "rotate-after: 6d")
            .replace(
                "jwt-signing-key: spiffe-jwt",
                &format!("jwt-signing-key: spiffe-jwt\ntrust-domain: {trust_domain}"),
            );
        tower.bulk(&admin, &walk).await.ok();
        let authority = json!({"name": "own", "ttl": "12d"});
        tower.call("PUT", "/v1/config/system/ca/own", Some(&admin), Some(authority)).await.ok();
        let role = json!({
            "name": "cart",
            "token-period": "12h",
            "token-spiffe-jwt": {"jwt-audiences": ["everybody"]},
            "token-spiffe-x509": {},
        });
        tower.call("PUT", "/v1/config/strongbox/authentication/approles/cart", Some(&admin), Some(role)).await.ok();
        let workload = tower.secret(&admin, "cart", json!({})).await;
        let serving = Arc::new(Serving::new().unwrap());
        let served = Self { tower, trust_domain, url, ca, serving, workload };
        served.svids().await;

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at: SocketAddr = listener.local_addr().unwrap();
        served.tower.app.federation.endpoint.get_or_init(|| Endpoint::new(&served.url.parse().unwrap(), at));
        served.serving.refresh(&served.tower.app).await.unwrap();
        serve(listener, served.serving.server_config(), federation::router(Arc::clone(&served.tower.app)));
        served
    }

    /// What an operator of this tower hands to one of another.
    pub async fn state(&self) -> Value {
        let admin = self.tower.administrator().await;
        self.tower.get("/v1/state/federation", &admin).await.ok()
    }

    pub async fn bundle(&self) -> Value {
        self.tower.call("GET", &format!("/{}/spiffe-bundle", self.tower.tenant()), None, None).await.ok()
    }

    /// Federates with the other, whose workloads may log in from now on.
    pub async fn federate(&self, other: &Self, profile: &str) {
        let admin = self.tower.administrator().await;
        let state = other.state().await;
        let mut document = json!({"trust-domain": other.trust_domain, "bundle-endpoint-profile": profile});
        if profile == "https_spiffe" {
            document["bundle-endpoint-url"] = state["federation-endpoint"]["url"].clone();
            document["endpoint-spiffe-id"] = state["federation-endpoint"]["endpoint-spiffe-id"].clone();
            document["bootstrap-bundle"] = other.bundle().await;
        } else {
            document["bundle-endpoint-url"] = state["web-endpoint"]["url"].clone();
            document["bundle-endpoint-ca-pem"] = json!(other.ca);
        }
        let path = format!("/v1/config/federation/{}", other.trust_domain);
        self.tower.call("PUT", &path, Some(&admin), Some(document)).await.ok();
        let login = json!({
            "name": "peer",
            "trust-domain": other.trust_domain,
            "allowed-audiences": ["everybody"],
            "spiffe-id-patterns": [{"pattern": format!("spiffe://{}/approle/*", other.trust_domain)}],
        });
        let path = "/v1/config/strongbox/authentication/spiffe/peer";
        self.tower.call("PUT", path, Some(&admin), Some(login)).await.ok();
    }

    /// A workload logs in here.
    pub async fn svids(&self) -> Svids {
        let answer = self.tower.log_in(&self.workload.0, &self.workload.1).await.ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Svids {
            jwt: text(&answer["jwt-svid"]),
            chain: text(&answer["x509-svid"]["cert"]),
            key: text(&answer["x509-svid"]["private-key"]),
        }
    }

    /// A workload of the other logs in here, with its JWT-SVID.
    pub async fn by_jwt(&self, svids: &Svids) -> Reply {
        let body = json!({"name": "peer", "jwt-svid": svids.jwt});
        self.tower.call("POST", "/v1/spiffe-login", None, Some(body)).await
    }

    /// The same with its X.509-SVID, as after a handshake.
    pub async fn by_x509(&self, svids: &Svids) -> Reply {
        let chain = chain_from_pem(&svids.chain).unwrap();
        self.with_chain(ClientChain(Some(chain.into())), json!({"name": "peer"})).await
    }

    pub async fn with_chain(&self, chain: ClientChain, body: Value) -> Reply {
        let request = Request::post("/v1/spiffe-login").header("content-type", "application/json");
        let mut request = request.body(Body::from(body.to_string())).unwrap();
        request.extensions_mut().insert(chain);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))));
        self.tower.send(request).await
    }

    async fn work(&self) {
        tasks::run_due(&self.tower.app).await;
        self.serving.refresh(&self.tower.app).await.unwrap();
    }

    pub async fn key_ids(&self) -> Vec<String> {
        let bundle = self.bundle().await;
        let name = |key: &Value| key["kid"].as_str().or(key["x5c"][0].as_str()).unwrap().to_owned();
        bundle["keys"].as_array().unwrap().iter().map(name).collect()
    }
}

fn serve(listener: TcpListener, tls: impl Into<TlsSource> + Send + 'static, router: axum::Router) {
    tokio::spawn(server::serve(listener, tls, router, Limits::default(), Vec::new(), std::future::pending()));
}

/// Two towers that trust each other.
pub async fn pair() -> (Served, Served) {
    let clock = Clock::fixed(START);
    let one = Served::start("one.example", clock.clone()).await;
    let two = Served::start("two.example", clock).await;
    one.federate(&two, "https_spiffe").await;
    two.federate(&one, "https_web").await;
    pass(&one, &two, Duration::SECOND).await;
    (one, two)
}

/// Moves the clock of both and does what is due.
pub async fn pass(one: &Served, two: &Served, time: Duration) {
    assert!(one.tower.app.clock.advance(time));
    one.work().await;
    two.work().await;
}

#[track_caller]
fn good(reply: &Reply, what: &str) {
    assert!(reply.status.is_success(), "{what}: {} {}", reply.status, String::from_utf8_lossy(&reply.bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_towers_know_each_others_workloads() {
    let (one, two) = pair().await;
    let (ones, twos) = (one.svids().await, two.svids().await);
    let answer = one.by_jwt(&twos).await.ok();
    assert_eq!(answer["spiffe-id"], "spiffe://two.example/approle/cart");
    two.by_jwt(&ones).await.ok();
    let answer = one.by_x509(&twos).await.ok();
    assert_eq!(answer["spiffe-id"], "spiffe://two.example/approle/cart");
    two.by_x509(&ones).await.ok();
    // Nobody's are taken for another's.
    one.by_jwt(&ones).await.refused(401);
    one.by_x509(&ones).await.refused(401);
    // Two SVIDs at once may be of two workloads.
    let chain = ClientChain(Some(chain_from_pem(&twos.chain).unwrap().into()));
    let both = one.with_chain(chain, json!({"name": "peer", "jwt-svid": twos.jwt})).await;
    assert!(both.refused(400).starts_with("there are two SVIDs"));
    let nothing = one.with_chain(ClientChain::default(), json!({"name": "peer"})).await;
    assert!(nothing.refused(401).starts_with("there is no SVID"));
    // An X.509-SVID is over once its last second is.
    pass(&one, &two, Duration::hours(12) + Duration::SECOND).await;
    one.by_x509(&twos).await.refused(401);
    one.by_x509(&two.svids().await).await.ok();
}

/// `KEYWARD_FULL=1` goes through 100 rotations of every key, otherwise 3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_on_both_sides_and_no_verification_fails() {
    let full = std::env::var("KEYWARD_FULL").is_ok_and(|value| value == "1");
    let (one, two) = pair().await;
    let mut before = (one.svids().await, two.svids().await);
    let mut seen = std::collections::BTreeSet::new();
    let days = if full { 6 * 101 } else { 6 * 4 };
    for step in 0..days * 4 {
        pass(&one, &two, Duration::hours(6)).await;
        let now = (one.svids().await, two.svids().await);
        // Those that were issued six hours ago too: they live for twelve.
        for (age, (ones, twos)) in [("old", &before), ("new", &now)] {
            good(&one.by_jwt(twos).await, &format!("step {step}: one, {age} JWT-SVID"));
            good(&two.by_jwt(ones).await, &format!("step {step}: two, {age} JWT-SVID"));
            good(&one.by_x509(twos).await, &format!("step {step}: one, {age} X.509-SVID"));
            good(&two.by_x509(ones).await, &format!("step {step}: two, {age} X.509-SVID"));
        }
        before = now;
        seen.extend(one.key_ids().await);
        seen.extend(two.key_ids().await);
    }
    // Two kinds of keys at two towers, and the first of each.
    let rotations = seen.len() / 4 - 1;
    assert!(rotations >= if full { 100 } else { 3 }, "{rotations} rotations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_must_be_who_it_is_said_to_be_and_serves_nothing_else() {
    let (one, two) = pair().await;
    let admin = one.tower.administrator().await;
    let state = two.state().await;
    let endpoint = &state["federation-endpoint"];
    assert_eq!(endpoint["profile"], "https_spiffe");
    assert_eq!(endpoint["endpoint-spiffe-id"], "spiffe://two.example/control-tower");
    let found = one.tower.get("/v1/state/federation/two.example", &admin).await.ok();
    assert_eq!((&found["state"], &found["profile"]), (&json!("current"), &json!("https_spiffe")));

    // With another ID, or other authorities, there is nobody to talk to.
    let other_bundle = one.bundle().await;
    let url = endpoint["url"].as_str().unwrap();
    for (field, value, expected) in [
        (
            "endpoint-spiffe-id",
            json!("spiffe://two.example/approle/cart"),
            format!(
                "`{url}`: the endpoint shows `spiffe://two.example/control-tower`, not `endpoint-spiffe-id`, which is \
                 `spiffe://two.example/approle/cart`"
            ),
        ),
        (
            "bootstrap-bundle",
            other_bundle,
            format!(
                "`{url}`: no authority of the bundle held (or of `bootstrap-bundle`) signed the endpoint's certificate: give \
                 the peer's present bundle as `bootstrap-bundle`"
            ),
        ),
        (
            "bundle-endpoint-url",
            state["web-endpoint"]["url"].clone(),
            format!(
                "`{}`: the endpoint shows a certificate without a SPIFFE ID: is `bundle-endpoint-profile` right?",
                state["web-endpoint"]["url"].as_str().unwrap()
            ),
        ),
        (
            "bundle-endpoint-url",
            json!("https://127.0.0.1:1/"),
            "`https://127.0.0.1:1/`: connection refused: nothing listens there".to_owned(),
        ),
    ] {
        let mut document = json!({
            "trust-domain": "two.example",
            "bundle-endpoint-profile": "https_spiffe",
            "bundle-endpoint-url": endpoint["url"],
            "endpoint-spiffe-id": endpoint["endpoint-spiffe-id"],
            "bootstrap-bundle": two.bundle().await,
        });
        document[field] = value;
        one.tower.call("PUT", "/v1/config/federation/two.example", Some(&admin), Some(document)).await.ok();
        pass(&one, &two, Duration::SECOND).await;
        let found = one.tower.get("/v1/state/federation/two.example", &admin).await.ok();
        assert_eq!(found["state"], "waiting", "{field}");
        assert_eq!(found["last-error"]["reason"], expected, "{field}");
    }
    // The web's authorities mean nothing there, and the tower's API is not there.
    let client = |builder: reqwest::ClientBuilder| builder.build().unwrap();
    assert!(client(reqwest::Client::builder()).get(url).send().await.is_err());
    let anyone = client(reqwest::Client::builder().tls_danger_accept_invalid_certs(true));
    let base = url.split("/spiffe-bundle").next().unwrap().rsplit_once('/').unwrap().0;
    for (path, status) in [
        ("/", 200),
        (&format!("/{}/spiffe-bundle", two.tower.tenant()), 200),
        ("/other/spiffe-bundle", 404),
        ("/v1/config/strongbox/policies", 404),
        (&format!("/{}/jwks", two.tower.tenant()), 404),
        ("/metrics", 404),
        ("/live", 404),
    ] {
        let answer = anyone.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    assert_eq!(anyone.post(format!("{base}/")).send().await.unwrap().status(), 405);
}
