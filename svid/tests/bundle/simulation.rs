//! Two trust domains that federate with each other while both rotate all their keys a hundred times. No sockets: the
//! machines say what to fetch and whom to believe, and a function answers.

use std::collections::VecDeque;

use keyward_keys::{KeyType, PrivateKey};
use keyward_spiffe_id::{SpiffeId, TrustDomainRef};
use keyward_svid::bundle::Change;
use keyward_svid::federation::{Anchors, Authentication, Endpoint, Relationship, State, hint_fits};
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::refresh::{Due, RefreshOptions};
use keyward_svid::x509::authority::{AuthorityRing, CaConfig, LeafRequest};
use keyward_svid::{
    Bundle, MintRequest, VerificationKey, Verifier, VerifyOptions, X509Bundle, X509Verifier, X509VerifyOptions, mint,
};
use keyward_transit::{Command, FirstActivation, Material, Ring};
use rand_core::UnwrapErr;
use time::{Duration, OffsetDateTime};

use crate::support::{now, td};

/// How long keys are published before their first use, and the hint that fits that.
const ACTIVATE_AFTER: Duration = Duration::DAY;
const HINT: u64 = 6 * 3600;
const STEP: Duration = Duration::hours(6);

/// One trust domain: its rings, and what it publishes.
struct Domain {
    name: &'static str,
    jwt: Ring,
    x509: AuthorityRing,
    workload: PrivateKey,
    published: Bundle,
    rotations: u32,
}

impl Domain {
    fn new(name: &'static str, at: OffsetDateTime) -> Self {
        let jwt = serde_json::json!({"name": "jwt", "cipher": "ecdsa-p256", "auto-rotate": {
            "rotate-after": "6d", "activate-after": "1d", "deprecate-after": "2d", "invalidate-after": "2d"
        }});
        let jwt = Ring::new(serde_json::from_value(jwt).unwrap(), FirstActivation::AtOnce, at).unwrap();
        let mut ca = CaConfig::new("ca".parse().unwrap());
        ca.ttl = CaConfig::MIN_TTL;
        let x509 = AuthorityRing::new(ca, td(name), FirstActivation::AtOnce, at).unwrap();
        let workload = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let published = Bundle::new(td(name), [], []).unwrap().with_sequence(0);
        let mut domain = Self { name, jwt, x509, workload, published, rotations: 0 };
        domain.advance(at);
        domain
    }

    /// Does what is due, and publishes what changed.
    fn advance(&mut self, at: OffsetDateTime) {
        let key = || PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        for command in self.jwt.advance(at) {
            match command {
                Command::Generate { version, .. } => {
                    self.jwt.install(version, Material::from_private_key(key()), at).unwrap();
                    self.rotations += 1;
                }
                Command::Destroy { version } => self.jwt.destroy(version, at).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        for command in self.x509.advance(at) {
            match command {
                Command::Generate { version, .. } => {
                    self.x509.install(version, key(), &mut UnwrapErr(getrandom::SysRng), at).unwrap();
                    self.rotations += 1;
                }
                Command::Destroy { version } => self.x509.destroy(version, at).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        let jwt: Vec<_> = self.jwt.published(at).iter().map(|key| VerificationKey::try_from(key).unwrap()).collect();
        let sequence = self.published.sequence().unwrap();
        let bundle = Bundle::new(td(self.name), self.x509.published(at), jwt).unwrap().with_refresh_hint(HINT);
        if bundle.clone().with_sequence(sequence) != self.published {
            self.published = bundle.with_sequence(sequence + 1);
        }
    }

    fn id(&self, path: &str) -> SpiffeId {
        format!("spiffe://{}/{path}", self.name).parse().unwrap()
    }

    fn chain(&self, path: &str, at: OffsetDateTime) -> Vec<CertificateDer<'static>> {
        let request = LeafRequest::new(self.id(path), self.workload.public_key(), Duration::DAY).unwrap();
        let authority = self.x509.authority(at).unwrap();
        authority.issue(&request, &mut UnwrapErr(getrandom::SysRng), at).unwrap().into_chain()
    }

    fn token(&self, at: OffsetDateTime) -> String {
        let request = MintRequest::new(self.id("w"), ["peer"], Duration::DAY).unwrap();
        mint(&self.jwt.signer(at).unwrap(), &request, at).unwrap().as_str().to_owned()
    }
}

/// Identities on their way, with the moments at which they are shown.
struct Shown {
    at: OffsetDateTime,
    token: String,
    chain: Vec<CertificateDer<'static>>,
}

/// What one trust domain knows of the other.
struct Peer {
    relationship: Relationship,
    /// A fixed sequence of numbers that look random.
    dice: u64,
    failures: u32,
    shown: VecDeque<Shown>,
    verified: u32,
}

impl Peer {
    fn new(endpoint: Endpoint, at: OffsetDateTime) -> Self {
        let relationship = Relationship::new(endpoint, options(), at).unwrap();
        Self { relationship, dice: 7, failures: 0, shown: VecDeque::new(), verified: 0 }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    /// Fetches what is due. One fetch of five fails, but no three in a row; now and then the program restarts.
    fn fetch(&mut self, from: &Domain, at: OffsetDateTime) {
        if let Due::Fetch(fetch) = self.relationship.poll(at) {
            if self.failures < 2 && self.dice(5) == 0 {
                self.failures += 1;
                self.relationship.failed(fetch.ticket, "no route to host", at);
            } else {
                self.failures = 0;
                authenticate(&fetch.authentication, from, at);
                let change = self.relationship.fetched(fetch.ticket, from.published.to_json().as_bytes(), at).unwrap();
                assert_ne!(change, Change::Unannounced);
            }
        }
        if self.dice(50) == 0 {
            let record = self.relationship.to_json();
            let endpoint = self.relationship.endpoint().clone();
            self.relationship = Relationship::resume(endpoint, options(), record.as_bytes(), at).unwrap();
        }
    }

    /// New identities are shown at once and again in their last minute.
    fn verify(&mut self, from: &Domain, at: OffsetDateTime) {
        let shown = Shown { at, token: from.token(at), chain: from.chain("w", at) };
        self.check(&shown, at);
        self.shown.push_back(Shown { at: at + Duration::DAY - Duration::MINUTE, ..shown });
        while self.shown.front().is_some_and(|shown| shown.at <= at) {
            let shown = self.shown.pop_front().unwrap();
            // The moment lies between two steps; the bundle is that of the step before it or newer.
            self.check(&shown, shown.at);
        }
    }

    fn check(&mut self, shown: &Shown, at: OffsetDateTime) {
        let bundle = self.relationship.bundle(at).unwrap_or_else(|| panic!("no bundle at {at}"));
        let verifier = Verifier::new(["peer"], VerifyOptions::default()).unwrap();
        let jwt = verifier.verify(&shown.token, bundle.jwt(), at).unwrap_or_else(|error| panic!("{error} at {at}"));
        let find = |wanted: TrustDomainRef<'_>| (bundle.trust_domain() == &wanted).then_some(bundle.x509());
        let x509 = X509Verifier::new(X509VerifyOptions::default()).verify_with(&shown.chain, find, at);
        assert_eq!(jwt.id(), x509.unwrap_or_else(|error| panic!("{error} at {at}")).id());
        self.verified += 1;
    }
}

/// What TLS does with an endpoint of `from`.
fn authenticate(authentication: &Authentication, from: &Domain, at: OffsetDateTime) {
    if let Authentication::Spiffe { endpoint_id, anchors: Anchors::Bundle(anchors) } = authentication {
        let server = X509Verifier::new(X509VerifyOptions::default()).verify(&from.chain("server", at), anchors, at);
        assert_eq!(server.unwrap_or_else(|error| panic!("{error} at {at}")).id(), endpoint_id);
    }
}

fn options() -> RefreshOptions {
    let mut options = RefreshOptions::default();
    options.max_interval = Duration::hours(6);
    options.max_age = 2 * Duration::DAY;
    options
}

#[test]
fn two_trust_domains_rotate_a_hundred_times_and_no_verification_fails() {
    hint_fits(ACTIVATE_AFTER, HINT).unwrap();
    let start = now();
    let (mut ours, mut theirs) = (Domain::new("ours.example", start), Domain::new("theirs.example", start));
    // We fetch theirs by Web PKI; they fetch ours by SPIFFE.
    let by_web = Endpoint::web(td("theirs.example"), "https://theirs.example/bundle".parse().unwrap());
    let url = "https://192.0.2.1:8443/".parse().unwrap();
    let by_spiffe = Endpoint::spiffe(td("ours.example"), url, ours.id("server"), Some(ours.published.clone())).unwrap();
    let (mut us, mut them) = (Peer::new(by_web, start), Peer::new(by_spiffe, start));
    let mut at = start;
    while ours.rotations < 200 || theirs.rotations < 200 {
        ours.advance(at);
        theirs.advance(at);
        us.fetch(&theirs, at);
        them.fetch(&ours, at);
        // Twice a day somebody shows an identity to the other side.
        let shows = (at - start).whole_hours() % 12 == 0;
        if shows && us.relationship.bundle(at).is_some() && them.relationship.bundle(at).is_some() {
            us.verify(&theirs, at);
            them.verify(&ours, at);
        }
        at += STEP;
    }
    assert!(us.verified > 2300 && them.verified > 2300, "{} and {}", us.verified, them.verified);
    assert!(ours.published.sequence().unwrap() > 190, "{:?}", ours.published.sequence());

    // They revoke everything: within one refresh nothing of theirs is accepted.
    let revoked = Bundle::new(td("theirs.example"), [], []).unwrap();
    let sequence = theirs.published.sequence().unwrap();
    theirs.published = revoked.with_sequence(sequence + 1).with_refresh_hint(HINT);
    let (token, chain) = (theirs.token(at), theirs.chain("w", at));
    at += Duration::hours(6);
    us.failures = 2;
    us.fetch(&theirs, at);
    let bundle = us.relationship.bundle(at).unwrap();
    let verifier = Verifier::new(["peer"], VerifyOptions::default()).unwrap();
    assert!(verifier.verify(&token, bundle.jwt(), at).is_err());
    let x509 = X509Verifier::new(X509VerifyOptions::default());
    assert!(x509.verify(&chain, bundle.x509(), at).is_err());
    assert!(us.relationship.status(at).revoked);
    // Of ours nothing changed.
    assert!(them.relationship.bundle(at).is_some_and(|bundle| !bundle.is_empty()));

    // Somebody serves the bundle from before: refused and reported, and everything stays revoked.
    at += Duration::hours(6);
    let Due::Fetch(fetch) = us.relationship.poll(at) else { panic!("it waits") };
    let old = Bundle::new(td("theirs.example"), theirs.x509.published(at), []).unwrap().with_sequence(sequence);
    let error = us.relationship.fetched(fetch.ticket, old.to_json().as_bytes(), at).unwrap_err();
    let text = format!(
        "bundle {sequence} of trust domain `theirs.example` is older than bundle {}, the latest known",
        sequence + 1
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(us.relationship.status(at).rolled_back_to, Some(sequence));
    assert!(us.relationship.bundle(at).unwrap().is_empty());

    // We are gone: they serve what they have for two days, then nothing.
    let fetched_at = them.relationship.status(at).fetched_at.unwrap();
    let last: X509Bundle = them.relationship.bundle(at).unwrap().x509().clone();
    while them.relationship.bundle(at).is_some() {
        assert_eq!(them.relationship.bundle(at).unwrap().x509(), &last);
        if let Due::Fetch(fetch) = them.relationship.poll(at) {
            them.relationship.failed(fetch.ticket, "no route to host", at);
        }
        at += Duration::HOUR;
    }
    let served = at - fetched_at;
    assert!(served >= 2 * Duration::DAY && served < 2 * Duration::DAY + Duration::HOUR, "{served}");
    assert_eq!(them.relationship.status(at).state, State::Expired);
}

/// The same without publishing ahead: the test can fail.
#[test]
fn a_hint_that_does_not_fit_is_noticed() {
    assert!(hint_fits(ACTIVATE_AFTER, 86_400).is_err());
    let start = now();
    let mut theirs = Domain::new("theirs.example", start);
    let by_web = Endpoint::web(td("theirs.example"), "https://theirs.example/bundle".parse().unwrap());
    let mut us = Peer::new(by_web, start);
    us.failures = 2;
    us.fetch(&theirs, start);
    // Nobody fetches for the time of a rotation, and the new key is not known.
    let at = start + Duration::days(8);
    for day in 0..8 {
        theirs.advance(start + Duration::days(day));
    }
    theirs.advance(at);
    let bundle = us.relationship.bundle(start).unwrap();
    let verifier = Verifier::new(["peer"], VerifyOptions::default()).unwrap();
    let error = verifier.verify(&theirs.token(at), bundle.jwt(), at).unwrap_err();
    assert!(error.to_string().contains("no key"), "{error}");
}
