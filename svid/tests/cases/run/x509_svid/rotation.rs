//! The life of an authority, in steps of virtual time.

use keyward_keys::PrivateKey;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::authority::{AuthorityRing, IssuedSvid, LeafRequest};
use keyward_svid::x509::{X509Bundle, X509Verifier};
use keyward_transit::{Command, FirstActivation};
use rand_core::UnwrapErr;
use serde::Deserialize;
use serde_json::{Map, json};
use time::{Duration, OffsetDateTime};

use crate::table::{Case, Judgement};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rotation {
    ttl_days: u32,
    probes: Vec<i64>,
    /// From then on nobody does what the schedule asks for.
    runs_until: Option<i64>,
}

/// Runs the schedule and looks at each probe. What was issued at a probe verifies with what is published at any later one,
/// until it is over.
pub(super) fn rotate(case: &Case) -> Judgement {
    let Rotation { ttl_days, probes, runs_until } = case.input();
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let config = serde_json::from_value(json!({ "name": "ca", "ttl": format!("{ttl_days}d") })).unwrap();
    let mut ring =
        AuthorityRing::new(config, "td.example".parse().unwrap(), FirstActivation::AtOnce, case.now()).unwrap();
    let mut issued: Vec<IssuedSvid> = Vec::new();
    let mut states = Vec::new();
    let mut now = case.now();
    advance(&mut ring, now);
    for probe in probes {
        let probe = at(probe);
        let end = runs_until.map_or(probe, |until| at(until).min(probe));
        while let Some(deadline) = ring.next_deadline(now).filter(|deadline| *deadline <= end) {
            now = deadline;
            advance(&mut ring, now);
        }
        now = probe;
        let published = ring.published(probe);
        let bundle = X509Bundle::new("td.example".parse().unwrap(), published.clone()).unwrap();
        let key = PrivateKey::generate(ring.config().key_type).unwrap();
        let request =
            LeafRequest::new("spiffe://td.example/w".parse().unwrap(), key.public_key(), Duration::DAY).unwrap();
        let authority = ring.authority(probe).map_err(|error| ("expired", error.to_string()))?;
        let svid = authority
            .issue(&request, &mut UnwrapErr(getrandom::SysRng), probe)
            .map_err(|error| ("expired", error.to_string()))?;
        issued.push(svid);
        for svid in issued.iter().filter(|svid| svid.not_after() >= probe) {
            let verified = X509Verifier::default().verify(svid.chain(), &bundle, probe);
            assert!(verified.is_ok(), "{} at {probe}: {verified:?}", case.id);
        }
        let versions = ring.versions(probe);
        let version = |certificate: &CertificateDer<'_>| {
            versions.iter().find(|one| one.certificate.as_ref() == certificate.as_ref()).unwrap().version
        };
        let numbers: Vec<u32> = published.iter().map(version).collect();
        states.push(json!({ "published": numbers, "signs": version(authority.issuer().certificate()) }));
    }
    Ok(Map::from_iter([("states".to_owned(), json!(states))]))
}

fn advance(ring: &mut AuthorityRing, now: OffsetDateTime) {
    for command in ring.advance(now) {
        match command {
            Command::Generate { version, .. } => {
                let key = PrivateKey::generate(ring.config().key_type).unwrap();
                ring.install(version, key, &mut UnwrapErr(getrandom::SysRng), now).unwrap();
            }
            Command::Destroy { version, .. } => ring.destroy(version, now).unwrap(),
            _ => {}
        }
    }
}
