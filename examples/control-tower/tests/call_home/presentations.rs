//! Wrong presentations through the real listener, each refused for the right reason; nothing comes of them.

use control_tower::rings;
use keyward_callhome_cert::HostHash;
use keyward_keys::Signer as _;
use keyward_svid::x509::authority::AuthorityRing;
use keyward_transit::RingSigner;
use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use serde_json::{Value, json};
use time::Duration;

use crate::{
    cases::{self, leaf_of},
    rig::{HOSTS, Host, ISSUE, Pair, REVOKE, Rig, Way},
};

/// The tower's own call-home key, out of the store of a test: it signs whatever one likes.
struct Stolen {
    signer: RingSigner,
    point: Vec<u8>,
}

impl PublicKeyData for Stolen {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Stolen {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        let encoded = self.signer.algorithm().signature_to_asn1(&signature);
        encoded.map(std::borrow::Cow::into_owned).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

async fn stolen(rig: &Rig) -> Issuer<'static, Stolen> {
    let name = "call-home".parse().unwrap();
    let ring = rings::load::<AuthorityRing>(&rig.app.db, &rig.app.operators, &name).await.unwrap().unwrap();
    let authority = ring.value.authority(rig.app.clock.now()).unwrap();
    let spki = authority.issuer().public_key().as_spki_der();
    let stolen = Stolen {
        point: spki[spki.len() - 65..].to_vec(),
        signer: ring.value.authority(rig.app.clock.now()).unwrap().into_signer(),
    };
    Issuer::from_ca_cert_der(authority.certificate(), stolen).unwrap()
}

fn pair((certificate, key): (rustls::pki_types::CertificateDer<'static>, KeyPair)) -> Pair {
    (vec![certificate], key.serialize_der())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_refused_for_the_right_reason_and_leaves_nothing() {
    let rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    let now = rig.app.clock.now();
    let (good, _) = rig.issue(json!({})).await;
    let issuer = stolen(&rig).await;
    let mut wrong: Vec<(String, Way, u16, String)> = Vec::new();
    let own = format!("/site/oslo/host/{}", HostHash::of(&"h1".parse().unwrap()));
    cases::leaves("localhost", &own, now, &mut |name, change: &dyn Fn(&mut CertificateParams), refusal, _| {
        let way = Way::with(&pair(leaf_of(&issuer, "localhost", now, change)));
        let status = if refusal.kind() == keyward_keys::ErrorKind::Malformed { 400 } else { 403 };
        wrong.push((name.to_owned(), way, status, refusal.code().to_owned()));
    });
    // What the tower's own authority signed, and is not on record.
    let forged = pair(leaf_of(&issuer, "localhost", now, |_| ()));
    wrong.push(("not on record".into(), Way::with(&forged), 403, "unknown".into()));
    // Another authority of the same name, and none at all.
    let stranger = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&stranger).unwrap();
    let foreign = Issuer::from_ca_cert_der(certificate.der(), stranger).unwrap();
    let of_stranger = pair(leaf_of(&foreign, "localhost", now, |_| ()));
    wrong.push(("another authority".into(), Way::with(&of_stranger), 403, "unknown-authority".into()));
    wrong.push(("nothing".into(), Way::default(), 403, "missing".into()));
    // Revoked, alone and with its batch.
    let (revoked, issued) = rig.issue(json!({})).await;
    rig.post(REVOKE, json!({"serial": issued["serial"]})).await.ok();
    wrong.push(("revoked".into(), Way::with(&revoked), 403, "revoked".into()));
    let (first, issued) = rig.issue(json!({})).await;
    let (second, _) = rig.issue(json!({"batch": issued["batch"], "site": "oslo"})).await;
    let revoked = rig.post(REVOKE, json!({"batch": issued["batch"]})).await.ok();
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 2);
    wrong.push(("revoked batch".into(), Way::with(&first), 403, "revoked".into()));
    wrong.push(("revoked batch, the other".into(), Way::with(&second), 403, "revoked".into()));
    let refused = rig.post(ISSUE, json!({"batch": issued["batch"]})).await;
    assert!(refused.status == 422 && refused.text().contains("are revoked: leave it out"), "{}", refused.text());
    // One alone is not the batch.
    let (_, issued) = rig.issue(json!({})).await;
    let (_, other) = rig.issue(json!({"batch": issued["batch"]})).await;
    rig.post(REVOKE, json!({"serial": other["serial"]})).await.ok();
    let (_, third) = rig.issue(json!({"batch": issued["batch"]})).await;
    assert_eq!(third["batch"], issued["batch"]);
    // Of another host, and used up.
    let (other, _) = rig.issue(json!({"host-id": "h2"})).await;
    wrong.push(("another host-id".into(), Way::with(&other), 403, "wrong-host".into()));
    let (used, _) = rig.issue(json!({"max-uses": 1})).await;
    assert_eq!(rig.knock(&Host::new("user"), &Way::with(&used)).await.unwrap().status, 202);
    wrong.push(("used up".into(), Way::with(&used), 403, "already-used".into()));
    // A header where none is expected.
    let header = pem_header(&good.0);
    wrong.push(("a header".into(), Way::default().header(&header), 403, "header-unexpected".into()));
    wrong.push(("two headers".into(), Way::default().header(&header).header(&header), 400, "header-repeated".into()));

    assert!(wrong.len() >= 35, "{}", wrong.len());
    let host = Host::new("h1");
    let before = rig.get(HOSTS).await;
    for (name, way, status, code) in &wrong {
        let answer = match rig.knock(&host, way).await {
            Ok(answer) => answer,
            // TLS itself refuses what it does not understand.
            Err(_) if name == "an unknown critical extension" => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(answer.refused(), (*status, code.clone()), "{name}: {}", answer.text());
        // In the words of the refusal, on both ends.
        let told = answer.json()["errors"][0]["error-message"].as_str().unwrap().to_owned();
        let audit = rig.audit().await;
        let record = audit.iter().rfind(|record| record["event"] == "call-home").unwrap();
        let (reason, why) = (&record["detail"]["reason"], record["detail"]["why"].as_str().unwrap());
        assert_eq!((reason, &record["outcome"]), (&json!(code), &json!("refused")), "{name}");
        assert!(told.starts_with(why), "{name}: {told} {why}");
        assert_eq!(record["detail"]["host"], host.hash());
    }
    assert_eq!(rig.get(HOSTS).await, before, "nothing is registered");

    // Where load balancers pass certificates on.
    let proxies =
        |mode: &str, address: &str| json!({"client-certificate": {"lb-mode": mode, "lb-addresses": [address]}});
    rig.settings(proxies("aws-passthrough", "192.0.2.0/24")).await;
    assert_eq!(rig.knock(&host, &Way::default().header(&header)).await.unwrap().refused().1, "header-from-stranger");
    rig.settings(proxies("aws-passthrough", "127.0.0.0/8")).await;
    let both = Way { pair: Some(good.clone()), ..Way::default() }.header(pem_header(&other.0));
    assert_eq!(rig.knock(&host, &both).await.unwrap().refused(), (403, "disagree".to_owned()));
    for (value, code) in [("%zz", "header-malformed"), ("", "header-malformed"), ("abc", "header-malformed")] {
        assert_eq!(rig.knock(&host, &Way::default().header(value)).await.unwrap().refused(), (400, code.to_owned()));
    }
    let mut forwarded = Way::default().header(&header);
    forwarded.headers.push(("x-forwarded-for".to_owned(), "198.51.100.7".to_owned()));
    assert_eq!(rig.knock(&host, &forwarded).await.unwrap().status, 202);
    assert_eq!(rig.get(&format!("{HOSTS}/{}", host.hash())).await["address"], "198.51.100.7");

    // What is no request.
    let send = async |body: Value| {
        let sent = rig.send(rig.call_home, "POST", "/v1/call-home", &Way::with(&good), Some(&body)).await.unwrap();
        (sent.status, sent.text())
    };
    let (status, text) = send(json!({"host-id": "s3 cret", "csr": ""})).await;
    assert!(status == 400 && !text.contains("cret"), "{text}");
    assert_eq!(send(json!({"host-id": "h9"})).await.0, 400);
    let (status, text) = send(json!({"host-id": "h9", "csr": "x"})).await;
    assert!(status == 400 && text.contains("bad-csr"), "{text}");
    let (status, text) = send(json!({"host-id": "h9", "csr": "x".repeat(70_000)})).await;
    assert_eq!(status, 413, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_what_counts_from_the_next_call_on() {
    let rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    let (any, _) = rig.issue(json!({})).await;
    let (site, _) = rig.issue(json!({"site": "oslo"})).await;
    let (one, _) = rig.issue(json!({"host-id": "h3"})).await;
    let code = async |host: &str, way: &Way| match rig.knock(&Host::new(host), way).await.unwrap() {
        answer if answer.status == 202 => "waits".to_owned(),
        answer => answer.refused().1,
    };
    // During a change narrower ones are good already.
    assert_eq!(code("h1", &Way::with(&any)).await, "waits");
    assert_eq!(code("h2", &Way::with(&site)).await, "waits");
    rig.verify("site").await;
    assert_eq!(code("h4", &Way::with(&any)).await, "too-broad");
    assert_eq!(code("h5", &Way::with(&site)).await, "waits");
    rig.verify("host-id").await;
    assert_eq!(code("h6", &Way::with(&site)).await, "too-broad");
    assert_eq!(code("h3", &Way::with(&one)).await, "waits");
    // Nothing is issued that would be refused, nor for a site that nobody has made.
    rig.verify("site").await;
    let nowhere = rig.post(crate::rig::ISSUE, json!({"site": "bergen"})).await;
    assert_eq!(nowhere.status, 422, "{}", nowhere.text());
    assert!(nowhere.text().contains("the site `bergen` does not exist: create `system/sites/bergen` first"));
    // For forms, which say it at the field.
    let info = json!({"field": "site", "message": "the site `bergen` does not exist"});
    assert_eq!(nowhere.json()["errors"][0]["error-info"], info);
    assert_eq!(rig.post(crate::rig::SCRIPT, json!({"site": "bergen"})).await.status, 422);
    rig.site("bergen", &[]).await;
    rig.post(crate::rig::ISSUE, json!({"site": "bergen"})).await.ok();
    rig.verify("host-id").await;
    for (body, text) in [(json!({}), "say `host-id`"), (json!({"site": "oslo"}), "say `host-id`")] {
        let refused = rig.post(crate::rig::ISSUE, body).await;
        assert!(refused.status == 400 && refused.text().contains(text), "{}", refused.text());
    }
    rig.verify("never").await;
    assert_eq!(code("h7", &Way::with(&one)).await, "unwanted");
    assert_eq!(code("h7", &Way::default()).await, "waits");
    // A certificate is demanded by the handshake itself.
    // One that waits would come again without a certificate.
    let (path, required) =
        ("/v1/config/system/call-home/settings", json!({"client-certificate": {"handshake": "required"}}));
    let refused = rig.call("PUT", path, Some(required.clone())).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("set `enable-unclaimed` to false"), "{}", refused.text());
    rig.settings(json!({"client-certificate": {"handshake": "required"}, "enable-unclaimed": false})).await;
    assert!(rig.knock(&Host::new("h8"), &Way::default()).await.is_err());
    let audit = rig.audit().await;
    let record = audit.iter().rfind(|record| record["event"] == "call-home").unwrap();
    assert_eq!((&record["outcome"], &record["detail"]["reason"]), (&json!("refused"), &json!("missing")));
    assert!(record["detail"]["why"].as_str().unwrap().starts_with("TLS failed: "), "{record}");
    assert_eq!(code("h8", &Way::with(&any)).await, "unclaimed-disabled");
    rig.site("bergen", &["h9"]).await;
    assert_eq!(rig.knock(&Host::new("h9"), &Way::with(&any)).await.unwrap().ok()["site"], "bergen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_is_said_on_both_ends() {
    let mut rig = Rig::start().await;
    let (pair, issued) = rig.issue(json!({"ttl": "1d"})).await;
    let waits = Host::new("waits");
    assert_eq!(rig.knock(&waits, &Way::with(&pair)).await.unwrap().status, 202);
    rig.pass(Duration::DAY + Duration::SECOND).await;
    let late = rig.knock(&Host::new("late"), &Way::with(&pair)).await.unwrap();
    assert_eq!(late.refused(), (403, "expired".to_owned()));
    let words =
        format!("the call-home certificate expired at {}: issue a new one", issued["expires"].as_str().unwrap());
    assert_eq!(late.json()["errors"][0]["error-message"], words);
    let audit = rig.audit().await;
    let record = audit.iter().rfind(|record| record["event"] == "call-home").unwrap();
    assert_eq!((&record["detail"]["reason"], &record["detail"]["why"]), (&json!("expired"), &json!(words)));
    assert_eq!(rig.waiting().await, [waits.hash()]);
    // Who waits may wait for longer than its certificate lives.
    assert_eq!(rig.knock(&waits, &Way::with(&pair)).await.unwrap().status, 202);
    // What is over is forgotten a day later.
    rig.pass(Duration::days(2)).await;
    assert_eq!(rig.post(REVOKE, json!({"serial": issued["serial"]})).await.status, 404);
}

/// As a load balancer writes it.
pub fn pem_header(chain: &[rustls::pki_types::CertificateDer<'static>]) -> String {
    let pem = keyward_svid::x509::chain_to_pem(chain);
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+=/".contains(&byte);
    pem.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
