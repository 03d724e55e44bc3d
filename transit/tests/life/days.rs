//! 400 days of the usual schedule: 30d, 1d, 2d, 2d.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keyward_keys::{PublicKey, Signer};
use keyward_transit::{Cipher, FirstActivation, Material, Phase};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::world::{START, Store, Tower, config, rng, start, usual};

/// How old a verifier's copy of the key set may be: just under 23 hours.
const OLDEST_COPY: Duration = Duration::hours(23).saturating_sub(Duration::SECOND);

struct Token {
    text: String,
    kid: String,
    signature: Vec<u8>,
    expires: OffsetDateTime,
}

/// The key IDs that the key set held at some time.
struct Copy {
    at: OffsetDateTime,
    kids: Vec<String>,
}

struct Days {
    store: Store,
    tower: Tower,
    tokens: VecDeque<Token>,
    copies: VecDeque<Copy>,
    /// Every key that was ever published, as read from its JWK.
    keys: BTreeMap<String, PublicKey>,
    signers: BTreeSet<String>,
}

impl Days {
    fn new(cipher: Cipher) -> Self {
        let (mut store, mut tower) = start(config(cipher, Some(usual())), FirstActivation::AtOnce);
        tower.work(&mut store, START).unwrap();
        Self {
            store,
            tower,
            tokens: VecDeque::new(),
            copies: VecDeque::new(),
            keys: BTreeMap::new(),
            signers: BTreeSet::new(),
        }
    }

    /// A tower that is awake comes at every deadline; the copies of that moment and of the second before are those
    /// that differ most.
    fn pass_to(&mut self, then: OffsetDateTime, from: OffsetDateTime) {
        let mut now = from;
        while let Some(deadline) = self.tower.ring.next_deadline(now).filter(|deadline| *deadline <= then) {
            self.fetch(deadline - Duration::SECOND);
            now = deadline;
            self.tower.work(&mut self.store, now).unwrap();
            self.fetch(now);
        }
    }

    fn fetch(&mut self, at: OffsetDateTime) {
        let published = self.tower.ring.published(at);
        assert!(published.len() <= 2, "{} versions are published at {at}", published.len());
        for key in &published {
            let read = || PublicKey::from_jwk(&key.jwk).unwrap();
            self.keys.entry(key.kid.clone()).or_insert_with(read);
        }
        self.copies.push_back(Copy { at, kids: published.into_iter().map(|key| key.kid).collect() });
    }

    /// A token of a day is minted, and every token that lives is verified with every copy that a verifier may hold.
    fn hour(&mut self, now: OffsetDateTime) {
        let ring = &self.tower.ring;
        let phases = (1..=ring.newest_version()).map(|version| ring.phase(version, now).unwrap());
        assert_eq!(phases.filter(|phase| *phase == Phase::Active).count(), 1, "at {now}");

        self.fetch(now);
        let signer = self.tower.ring.signer(now).unwrap();
        let text = format!("header.claims-of-{}", now.unix_timestamp());
        let signature = signer.sign(text.as_bytes()).unwrap();
        self.signers.insert(signer.kid().to_owned());
        self.tokens.push_back(Token { text, kid: signer.kid().to_owned(), signature, expires: now + Duration::DAY });

        while self.copies.front().is_some_and(|copy| now - copy.at > OLDEST_COPY) {
            self.copies.pop_front();
        }
        // Every token that was alive a second ago finds its key in every copy …
        let kids: BTreeSet<_> = self.tokens.iter().map(|token| &token.kid).collect();
        for copy in &self.copies {
            for kid in &kids {
                assert!(copy.kids.contains(kid), "the copy of {} lacks a key needed at {now}", copy.at);
            }
        }
        // … and a key ID being one key, each signature is computed when the token is new and when it expires.
        for token in self.tokens.iter().filter(|token| token.expires <= now || token.expires == now + Duration::DAY) {
            self.keys[&token.kid].verify(signer.algorithm(), token.text.as_bytes(), &token.signature).unwrap();
        }
        self.tokens.retain(|token| token.expires > now);
    }

    fn run(&mut self, days: i64, restart: impl FnMut(i64) -> bool) {
        self.run_every(1, days, restart);
    }

    fn run_every(&mut self, hours: usize, days: i64, mut restart: impl FnMut(i64) -> bool) {
        for hour in (0..days * 24).step_by(hours) {
            let now = START + Duration::hours(hour);
            if restart(hour) {
                self.tower = Tower::start(&self.store);
            }
            self.hour(now);
            self.pass_to(now + Duration::HOUR * i32::try_from(hours).unwrap(), now);
        }
    }
}

#[test]
fn four_hundred_days_without_one_failure() {
    let mut days = Days::new(Cipher::EcdsaP256);
    days.run(400, |_| false);
    // Created on day 0, 30, …, 390; the last signs from day 391 on.
    assert_eq!(days.tower.ring.newest_version(), 14);
    assert_eq!(days.signers.len(), 14);
}

#[test]
fn four_hundred_days_with_rsa() {
    let mut days = Days::new(Cipher::Rsa2048);
    days.run_every(8, 400, |_| false);
    assert_eq!(days.tower.ring.newest_version(), 14);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn restarts_at_any_hour_change_nothing(hours in prop::collection::btree_set(0..70 * 24i64, 0..40)) {
        let mut days = Days::new(Cipher::EcdsaP256);
        days.run(70, |hour| hours.contains(&hour));
        prop_assert_eq!(days.tower.ring.newest_version(), 3);
    }
}

#[test]
fn after_a_year_asleep_there_is_one_version_more_and_no_gap() {
    let mut days = Days::new(Cipher::EcdsaP256);
    days.run(10, |_| false);
    let asleep = START + Duration::days(10);
    let awake = asleep + Duration::days(365);
    assert_eq!(days.tower.ring.signer(awake).unwrap().version(), 1, "it signs as before");
    days.tower.work(&mut days.store, awake).unwrap();
    let ring = &days.tower.ring;
    assert_eq!(ring.newest_version(), 2);
    assert_eq!(ring.phase(2, awake), Some(Phase::Pending));
    assert_eq!(ring.signer(awake).unwrap().version(), 1);
    assert_eq!(ring.signer(awake + Duration::DAY).unwrap().version(), 2);
    assert!(
        ring.advance(awake + Duration::days(29))
            .iter()
            .all(|c| !matches!(c, keyward_transit::Command::Generate { .. }))
    );
}

#[test]
fn what_an_aes_ring_encrypted_on_day_1_decrypts_on_day_400() {
    let (mut store, mut tower) = start(config(Cipher::Aes256Gcm96, Some(usual())), FirstActivation::AtOnce);
    tower.work(&mut store, START).unwrap();
    let ciphertext = tower.ring.encrypt(b"secret", b"row 1", &mut rng(), START + Duration::DAY).unwrap();
    let last = START + Duration::days(400);
    let mut now = START;
    while let Some(deadline) = tower.ring.next_deadline(now).filter(|deadline| *deadline <= last) {
        now = deadline;
        tower.work(&mut store, now).unwrap();
        assert_eq!(tower.ring.decrypt(&ciphertext, b"row 1").unwrap().as_slice(), b"secret");
    }
    assert_eq!(tower.ring.phase(1, now), Some(Phase::Invalid));
    assert_eq!(tower.ring.newest_version(), 14);

    let ring = Tower::start(&store).ring;
    assert_eq!(ring.decrypt(&ciphertext, b"row 1").unwrap().as_slice(), b"secret");
    let rewrapped = ring.rewrap(&ciphertext, b"row 1", &mut rng(), now).unwrap();
    assert!(rewrapped.starts_with(&format!("vault:v{}:", ring.active_version(now).unwrap())), "{rewrapped}");

    // Only an explicit trim ends it.
    tower.change(&mut store, |ring| ring.trim(2, now).unwrap()).unwrap();
    assert!(tower.ring.decrypt(&ciphertext, b"row 1").is_err());
    assert_eq!(tower.ring.decrypt(&rewrapped, b"row 1").unwrap().as_slice(), b"secret");
}

#[test]
fn a_key_that_was_lost_before_its_commit_is_never_used() {
    let (mut store, mut tower) = start(config(Cipher::EcdsaP256, Some(usual())), FirstActivation::AtOnce);
    tower.work(&mut store, START).unwrap();
    let due = START + Duration::days(30);

    let lost = Material::generate(Cipher::EcdsaP256, &mut rng()).unwrap();
    let mut copy = tower.ring.clone();
    copy.install(2, lost, due).unwrap();
    let lost_kid = copy.published(due)[1].kid.clone();
    drop(copy);

    tower = Tower::start(&store);
    assert_eq!(tower.ring.newest_version(), 1);
    tower.work(&mut store, due).unwrap();
    let later = due + Duration::days(2);
    assert_ne!(tower.ring.signer(later).unwrap().kid(), lost_kid);
    assert!(tower.ring.verifying_key(&lost_kid, later).is_none());
}
