//! The life of authorities in virtual time: nobody who refreshes the bundle in time ever meets an SVID that does not verify.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyward_config_values::Name;
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::x509::authority::{
    Authority, AuthorityRing, CaConfig, Error, IntermediateRequest, IssuingAuthorities, LeafRequest,
};
use keyward_transit::{
    CLOCK_SKEW, Command, Compromised, DISTRIBUTION_DELAY, FirstActivation, Kek, KekSet, Phase, RecordError,
};
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use crate::support::{NOW, TRUST_DOMAIN, public_key, rng, verify};

const PATH: &str = "tenants/default/authorities/a";

fn keks() -> KekSet {
    KekSet::new(Kek::from_bytes(1, &[7; 32]).unwrap())
}

fn config(name: &str, days: u32) -> CaConfig {
    let mut config = CaConfig::new(name.parse().unwrap());
    config.ttl = keyward_config_values::Duration::DAY.saturating_mul(days);
    config
}

fn perform(ring: &mut AuthorityRing, now: OffsetDateTime) {
    for command in ring.advance(now) {
        match command {
            Command::Generate { version, .. } => generate(ring, version, now),
            Command::Destroy { version } => ring.destroy(version, now).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn generate(ring: &mut AuthorityRing, version: u32, now: OffsetDateTime) {
    let key = PrivateKey::generate(ring.config().key_type).unwrap();
    ring.install(version, key, &mut rng(), now).unwrap();
}

fn ring(name: &str, days: u32, first: FirstActivation, now: OffsetDateTime) -> AuthorityRing {
    let mut ring = AuthorityRing::new(config(name, days), TRUST_DOMAIN.parse().unwrap(), first, now).unwrap();
    perform(&mut ring, now);
    ring
}

fn restart(ring: &AuthorityRing) -> AuthorityRing {
    let record = ring.to_sealed(keks().current(), PATH, &mut rng()).unwrap();
    AuthorityRing::from_sealed(&keks(), PATH, &record).unwrap()
}

fn leaf(ttl: Duration) -> LeafRequest {
    LeafRequest::new("spiffe://td.example/w".parse().unwrap(), &public_key(KeyType::EcdsaP256), ttl).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    /// The machine sleeps: nothing is done at its time.
    Sleep(i64),
    Switch(usize),
    Retire,
    Rotate(usize),
    Edit(usize, u32),
    Issue {
        ttl: i64,
        clock: i64,
    },
    Delegate {
        ttl: i64,
    },
    IssueAtSite {
        ttl: i64,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..500_000_i64).prop_map(Step::Wait),
        2 => (0..5_000_i64).prop_map(Step::Wait),
        1 => (0..4_000_000_i64).prop_map(Step::Sleep),
        2 => (0..3_usize).prop_map(Step::Switch),
        1 => Just(Step::Retire),
        1 => (0..3_usize).prop_map(Step::Rotate),
        1 => (0..3_usize, 12..40_u32).prop_map(|(index, days)| Step::Edit(index, days)),
        // A clock may be late by much, and early by the skew that is allowed for.
        6 => (1..86_400_i64, -100_000..60_i64).prop_map(|(ttl, clock)| Step::Issue { ttl, clock }),
        4 => (1..86_400_i64).prop_map(|ttl| Step::Issue { ttl, clock: 0 }),
        3 => (1..604_800_i64).prop_map(|ttl| Step::Delegate { ttl }),
        4 => (1..86_400_i64).prop_map(|ttl| Step::IssueAtSite { ttl }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

struct Issued {
    at: OffsetDateTime,
    not_after: OffsetDateTime,
    root: CertificateDer<'static>,
}

struct Run {
    issuing: IssuingAuthorities,
    rings: BTreeMap<Name, AuthorityRing>,
    now: OffsetDateTime,
    /// What was published, and since when; the last is published still.
    served: Vec<(OffsetDateTime, Vec<CertificateDer<'static>>)>,
    changed_at: Option<OffsetDateTime>,
    site: Option<(Arc<Authority<KeySigner>>, CertificateDer<'static>)>,
    issued: Vec<Issued>,
}

fn name(index: usize) -> Name {
    format!("ca-{index}").parse().unwrap()
}

fn at_hand<'r>(rings: &'r BTreeMap<Name, AuthorityRing>) -> impl Fn(&Name) -> Option<&'r AuthorityRing> {
    |name: &Name| rings.get(name)
}

impl Run {
    fn new() -> Self {
        let issuing = IssuingAuthorities::default();
        let rings = [(name(0), ring("ca-0", 12, issuing.first_activation(), NOW))].into();
        let mut run =
            Self { issuing, rings, now: NOW, served: Vec::new(), changed_at: None, site: None, issued: Vec::new() };
        run.switch(0);
        run
    }

    fn serve(&mut self) {
        let published = self.issuing.published(at_hand(&self.rings), self.now);
        let changed_at = self.issuing.published_changed_at(at_hand(&self.rings), self.now);
        assert!(changed_at >= self.changed_at, "{:?}, then {changed_at:?}", self.changed_at);
        self.changed_at = changed_at;
        if self.served.last().is_none_or(|(_, last)| *last != published) {
            self.served.push((self.now, published));
        }
    }

    fn switch(&mut self, index: usize) {
        let first = self.issuing.first_activation();
        let now = self.now;
        let mut to =
            self.rings.get(&name(index)).cloned().unwrap_or_else(|| ring(name(index).as_str(), 12, first, now));
        self.issuing.switch(&mut to, at_hand(&self.rings), self.now).unwrap();
        self.rings.insert(name(index), to);
        self.serve();
    }

    fn work(&mut self) {
        for ring in self.rings.values_mut() {
            perform(ring, self.now);
        }
        self.issuing.advance(at_hand(&self.rings), self.now);
        self.serve();
    }

    fn wait(&mut self, seconds: i64) {
        let end = self.now + Duration::seconds(seconds);
        loop {
            let of_rings = self.rings.values().filter_map(|ring| ring.next_deadline(self.now));
            let deadline = of_rings.chain(self.issuing.next_deadline(at_hand(&self.rings), self.now)).min();
            let Some(deadline) = deadline.filter(|deadline| *deadline <= end) else { break };
            if deadline > self.now {
                self.now = deadline - Duration::SECOND;
                self.serve();
            }
            self.now = deadline;
            self.serve();
            self.work();
        }
        self.now = end;
        self.serve();
    }

    /// Takes in what was issued: it verifies, at its first and last moment, with the root that its authority has.
    fn take(&mut self, chain: &[CertificateDer<'static>], not_after: OffsetDateTime, root: &CertificateDer<'static>) {
        let life = not_after - self.now;
        if life.is_negative() {
            return; // A late clock gave it a life that is over.
        }
        let roots = std::slice::from_ref(root);
        verify(chain, roots, not_after).unwrap();
        self.issued.push(Issued { at: self.now, not_after, root: root.clone() });
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(seconds) => self.wait(seconds),
            Step::Sleep(seconds) => {
                // What is published changes by time alone, also while the machine sleeps; each moment of it counts.
                for _ in 0..20 {
                    self.now += Duration::seconds(seconds / 20);
                    self.serve();
                }
                self.work();
            }
            Step::Switch(index) => self.switch(index),
            Step::Retire => {
                self.issuing.retire(at_hand(&self.rings), self.now);
                self.serve();
            }
            Step::Rotate(index) => {
                if let Some(ring) = self.rings.get_mut(&name(index))
                    && let Ok(Command::Generate { version, .. }) = ring.rotate(self.now)
                {
                    generate(ring, version, self.now);
                }
                self.serve();
            }
            Step::Edit(index, days) => {
                if let Some(ring) = self.rings.get_mut(&name(index)) {
                    ring.reconfigure(config(name(index).as_str(), days), self.now).unwrap();
                }
                self.serve();
            }
            Step::Issue { ttl, clock } => {
                let clock = self.now + Duration::seconds(clock);
                let issued = self.issuing.authority(at_hand(&self.rings), clock).and_then(|authority| {
                    let svid = authority.issue(&leaf(Duration::seconds(ttl)), &mut rng(), clock)?;
                    Ok((svid, authority.certificate().clone()))
                });
                match issued {
                    Ok((svid, root)) => self.take(svid.chain(), svid.not_after(), &root),
                    Err(Error::Ring(_) | Error::NoAuthority | Error::NotYetValid { .. } | Error::Ended { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Delegate { ttl } => {
                let Ok(authority) = self.issuing.authority(at_hand(&self.rings), self.now) else { return };
                let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
                let permitted = ["spiffe://td.example/**".parse().unwrap()];
                let request = IntermediateRequest::new(key.public_key(), Duration::seconds(ttl), permitted).unwrap();
                let Ok(chain) = authority.delegate(&request, &mut rng(), self.now) else { return };
                let signer = KeySigner::new(key, Algorithm::EdDsa, None).unwrap();
                let site = Authority::from_parts(signer, chain).unwrap();
                self.site = Some((Arc::new(site), authority.certificate().clone()));
            }
            Step::IssueAtSite { ttl } => {
                let Some((site, root)) = &self.site else { return };
                if let Ok(svid) = site.issue(&leaf(Duration::seconds(ttl)), &mut rng(), self.now) {
                    let root = root.clone();
                    self.take(svid.chain(), svid.not_after(), &root);
                }
            }
            Step::Restart => {
                for ring in self.rings.values_mut() {
                    *ring = restart(ring);
                }
                self.issuing = IssuingAuthorities::from_record(&self.issuing.to_record().unwrap()).unwrap();
            }
        }
    }

    /// Every copy of the bundle that a verifier may hold at some moment of an SVID's life has its root.
    fn check(&self) {
        // The longest refresh, and what may come on top of it.
        let stale = Duration::HOUR + DISTRIBUTION_DELAY.to_time() + CLOCK_SKEW.to_time();
        let ends = self.served.iter().skip(1).map(|(from, _)| *from).chain([self.now + Duration::days(1000)]);
        for svid in &self.issued {
            for ((from, bundle), until) in self.served.iter().zip(ends.clone()) {
                let held = *from <= svid.not_after && until + stale > svid.at;
                assert!(
                    !held || bundle.contains(&svid.root),
                    "issued at {}, ends {}, but the bundle from {from} to {until} lacks its root",
                    svid.at,
                    svid.not_after,
                );
            }
            let first = self.served.iter().find(|(_, bundle)| bundle.contains(&svid.root)).unwrap().0;
            assert!(first == NOW || svid.at - first >= Duration::DAY - CLOCK_SKEW.to_time(), "{first}, {}", svid.at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_meets_an_svid_that_does_not_verify(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        // Everything that is still alive is over by then.
        run.wait(40 * 86_400);
        run.check();
    }
}

#[test]
fn for_two_years_every_hour() {
    let mut run = Run::new();
    let mut roots = std::collections::BTreeSet::new();
    for hour in 0..2 * 365 * 24 {
        run.wait(3_600);
        // Signatures cost; that there is an authority, and which, does not.
        let authority = run.issuing.authority(at_hand(&run.rings), run.now).unwrap();
        let left = authority.not_after() - run.now;
        assert!(left > Duration::days(3), "{left} left at {}", run.now);
        roots.insert(authority.certificate().to_vec());
        if hour % 24 == 0 {
            run.step(Step::Issue { ttl: 86_400, clock: 0 });
        }
    }
    run.check();
    // A new one every six days, for a life of twelve.
    assert_eq!(roots.len(), 1 + (2 * 365 - 1) / 6);
    assert!(run.served.iter().all(|(_, bundle)| (1..=2).contains(&bundle.len())));
}

#[test]
fn a_version_is_prepared_active_and_retired() {
    let mut ring = ring("a", 90, FirstActivation::AtOnce, NOW);
    let phases = |ring: &AuthorityRing, now| ring.versions(now).into_iter().map(|v| v.phase).collect::<Vec<_>>();
    assert_eq!(phases(&ring, NOW), [Phase::Active]);
    let first = &ring.versions(NOW)[0];
    assert_eq!((first.not_after, first.leaves), (NOW + Duration::days(90), None));
    assert_eq!(first.fingerprint.len(), 64);

    let renewed = NOW + Duration::days(84);
    assert_eq!(ring.next_deadline(NOW), Some(renewed));
    perform(&mut ring, renewed);
    assert_eq!(phases(&ring, renewed), [Phase::Active, Phase::Pending]);
    assert_eq!(ring.published_changed_at(renewed), Some(renewed));
    let at = |days| NOW + Duration::days(days);
    let signs = |ring: &AuthorityRing, now| ring.authority(now).unwrap().certificate().clone();
    assert_eq!(signs(&ring, at(85) - Duration::SECOND), ring.versions(NOW)[0].certificate);
    assert_eq!(signs(&ring, at(85)), ring.versions(NOW)[1].certificate);
    assert_eq!(phases(&ring, at(85)), [Phase::Superseded, Phase::Active]);
    assert_eq!(ring.versions(NOW)[0].leaves, Some(at(89)));
    assert_eq!(ring.published(at(89) - Duration::SECOND).len(), 2);
    assert_eq!(ring.published(at(89)), [ring.versions(NOW)[1].certificate.clone()]);
    assert_eq!(ring.published_changed_at(at(100)), Some(at(89)));
    assert_eq!(ring.advance(at(89)), [Command::Destroy { version: 1 }]);
    perform(&mut ring, at(89));
    assert_eq!(ring.versions(at(89)).len(), 2);
    assert_eq!(restart(&ring).versions(at(89)), ring.versions(at(89)));
}

#[test]
fn a_compromised_authority_is_out_at_once() {
    let mut ring = ring("a", 90, FirstActivation::AtOnce, NOW);
    let renewed = NOW + Duration::days(84);
    perform(&mut ring, renewed);
    let now = renewed + Duration::HOUR;
    let before = ring.published(now);
    let (leaf, chain) = (leaf(Duration::HOUR), ring.authority(now).unwrap());
    let chain = chain.issue(&leaf, &mut rng(), now).unwrap().into_chain();

    let Command::Generate { version, .. } = ring.rotate_compromised() else { panic!() };
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let replaced = ring.install_compromised(version, key, Compromised::Active, &mut rng(), now).unwrap();
    assert_eq!((replaced.version, replaced.dropped), (3, vec![1, 2]));
    let published = restart(&ring).published(now);
    assert!(published.len() == 1 && !before.contains(&published[0]));
    assert_eq!(ring.published_changed_at(now), Some(now));
    assert!(verify(&chain, &before, now).is_ok() && verify(&chain, &published, now).is_err());
    let chain = ring.authority(now).unwrap().issue(&leaf, &mut rng(), now).unwrap().into_chain();
    assert!(verify(&chain, &published, now).is_ok());
}

#[test]
fn the_former_authority_issues_nothing_that_outlives_its_place() {
    let mut run = Run::new();
    run.step(Step::Switch(1));
    // It issues for a day more, and what it delegates in the last hour of it ends with its place in the bundle.
    run.wait(23 * 3_600);
    run.step(Step::Delegate { ttl: 604_800 });
    assert_eq!(run.issuing.issuing(run.now), Some(&name(0)));
    run.wait(3_600);
    assert_eq!(run.issuing.issuing(run.now), Some(&name(1)));
    let (site, root) = run.site.clone().unwrap();
    assert_eq!(site.not_after(), NOW + Duration::days(5) - Duration::MINUTE);
    for _ in 0..120 {
        run.wait(3_600);
        run.step(Step::IssueAtSite { ttl: 86_400 });
    }
    assert!(run.issued.len() > 90);
    assert!(!run.issuing.needs(&name(0), at_hand(&run.rings), run.now));
    assert!(!run.served.last().unwrap().1.contains(&root));
    run.check();
}

/// A certificate ends when it ends, whatever `ttl` became later: the next version is made in time.
#[test]
fn a_longer_life_is_for_the_next_version() {
    for restarts in [false, true] {
        let mut ring = ring("a", 12, FirstActivation::AtOnce, NOW);
        ring.reconfigure(config("a", 3650), NOW + Duration::HOUR).unwrap();
        let mut now = NOW + Duration::HOUR;
        while now < NOW + Duration::days(60) {
            if restarts {
                ring = restart(&ring);
            }
            perform(&mut ring, now);
            let day = ring.authority(now).unwrap().issue(&leaf(Duration::DAY), &mut rng(), now).unwrap();
            assert_eq!(day.not_after(), now + Duration::DAY);
            // Nothing is asked for between the deadlines.
            let deadline = ring.next_deadline(now).unwrap();
            assert!(deadline > now && ring.advance(deadline - Duration::SECOND).is_empty());
            now = deadline.min(now + Duration::DAY);
        }
        assert_eq!(ring.versions(now).len(), 2);
        assert!(ring.next_deadline(now).unwrap() > now + Duration::days(3000));
    }
}

#[test]
fn what_cannot_change_does_not() {
    let mut ring = ring("a", 90, FirstActivation::AtOnce, NOW);
    let mut edited = config("a", 30);
    edited.subject_country = Some("DE".to_owned());
    assert!(ring.reconfigure(edited.clone(), NOW).unwrap());
    assert!(!ring.reconfigure(edited.clone(), NOW).unwrap());
    edited.subject_country = Some("Germany".to_owned());
    assert_eq!(ring.reconfigure(edited, NOW).unwrap_err().field(), Some("subject-country"));
    let mut other = config("a", 30);
    other.key_type = KeyType::Rsa2048;
    let error = ring.reconfigure(other, NOW).unwrap_err();
    assert_eq!(error.to_string(), "`key-type` of a ring cannot change from `ecdsa-p256` to `rsa-2048`");
    assert!(ring.reconfigure(config("b", 30), NOW).is_err());
    // A key of another type, and a version that is not the next.
    let key = |key_type| PrivateKey::generate(key_type).unwrap();
    let error = ring.install(2, key(KeyType::Ed25519), &mut rng(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "the key handed in is no `ecdsa-p256` key");
    assert!(ring.install(3, key(KeyType::EcdsaP256), &mut rng(), NOW).is_err());
    assert_eq!(ring.versions(NOW).len(), 1);
}

#[test]
fn without_authority_nothing_is_issued() {
    let issuing = IssuingAuthorities::default();
    let error = issuing.authority(|_| None, NOW).unwrap_err();
    assert_eq!(error.to_string(), "there is no `issuing-ca` to issue with");
    let empty =
        AuthorityRing::new(config("a", 90), TRUST_DOMAIN.parse().unwrap(), FirstActivation::AtOnce, NOW).unwrap();
    assert_eq!(empty.authority(NOW).unwrap_err().to_string(), "no version of ring `a` is active");
    assert!(matches!(IssuingAuthorities::default().switch(&mut empty.clone(), |_| None, NOW), Err(Error::Ring(_))));
}

#[test]
fn records_are_sealed_and_bound_to_their_place() {
    let ring = ring("a", 90, FirstActivation::AtOnce, NOW);
    let record = ring.to_sealed(keks().current(), PATH, &mut rng()).unwrap();
    assert!(!record.windows(11).any(|window| window == TRUST_DOMAIN.as_bytes()));
    let read = |path: &str, record: &[u8]| AuthorityRing::from_sealed(&keks(), path, record).map(|_| ());
    assert_eq!(read(PATH, &record), Ok(()));
    assert_eq!(read("tenants/other/authorities/a", &record), Err(RecordError::Refused));
    assert_eq!(read(PATH, &record[1..]), Err(RecordError::Refused));
    let sealed = |json: &str| keyward_transit::seal(keks().current(), PATH, json.as_bytes(), &mut rng()).unwrap();
    let told = |json: &str| read(PATH, &sealed(json)).unwrap_err().to_string();
    assert_eq!(told(r#"{"format":2}"#), "the record has format 2, but this release knows formats up to 1");
    assert_eq!(told(r#"{"format":1}"#), "the record holds no certificate authority: it has other members");
    // The certificate of another authority.
    let open = |ring: &AuthorityRing| {
        let record = ring.to_sealed(keks().current(), PATH, &mut rng()).unwrap();
        String::from_utf8(keyward_transit::open(&keks(), PATH, &record).unwrap().to_vec()).unwrap()
    };
    let certificates = |json: &str| json.split_once(r#""certificates":"#).unwrap().1.to_owned();
    let (mine, other) = (open(&ring), open(&self::ring("a", 90, FirstActivation::AtOnce, NOW)));
    let swapped = mine.replace(&certificates(&mine), &certificates(&other));
    assert_eq!(told(&swapped), "the record holds no certificate authority: a certificate is not that of its version");
    let none = mine.replace(&certificates(&mine), "[]}");
    assert_eq!(told(&none), "the record holds no certificate authority: it has not one certificate for each version");
}
