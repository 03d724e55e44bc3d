//! Who is let in, in which order, and what is stored of it.

use keyward_callhome_cert::{
    Batch, CallHomeCertificate, CallHomeSettings, Decision, Entry, Error, Granularity, HostRecord, HostState, Knock,
    OnRecord, Order, Refusal, Scope, Taken, decide,
};
use keyward_keys::{KeySigner, PublicKey};
use keyward_svid::x509::authority::Authority;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::support::{NOW, any, authority, host, issue, one, rng, site, verified};

fn settings(verify: Granularity) -> CallHomeSettings {
    let mut settings = CallHomeSettings::default();
    settings.client_certificate.verify = verify;
    settings
}

/// A tower's store, as small as it can be.
#[derive(Default)]
struct Tower {
    settings: CallHomeSettings,
    hosts: Vec<HostRecord>,
    duplicates: Vec<HostRecord>,
    displaced: Vec<HostRecord>,
    entries: Vec<Entry>,
    listed: Vec<(&'static str, &'static str)>,
    sites_gone: Vec<&'static str>,
    authorities: Vec<PublicKey>,
}

impl Tower {
    fn with(verify: Granularity, entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { settings: settings(verify), entries: entries.into_iter().collect(), ..Self::default() }
    }

    /// With an authority whose certificates count.
    fn of(mut self, authority: &Authority<KeySigner>) -> Self {
        self.authorities.push(authority.issuer().public_key().clone());
        self
    }

    fn knock(
        &mut self,
        id: &'static str,
        key: &str,
        certificate: Option<&CallHomeCertificate>,
        now: OffsetDateTime,
    ) -> Result<HostState, Refusal> {
        let host = host(id);
        let known = self.hosts.iter().find(|record| *record.host() == host).cloned();
        let displaced = self.displaced.iter().rfind(|record| *record.host() == host).cloned();
        let listed = self.listed.iter().find(|(listed, _)| *listed == id).map(|(_, site)| site.parse().unwrap());
        let knock = Knock { certificate, ..Knock::new(&host, key, "192.0.2.7".parse().unwrap()) };
        let authorities = &self.authorities;
        let mut on_record =
            OnRecord { host: known.as_ref(), listed: listed.as_ref(), authorities, ..OnRecord::default() };
        on_record.displaced = displaced.as_ref().filter(|_| on_record.may_have_made_room(&self.settings, &knock));
        let serial = on_record.serial(&self.settings, &knock);
        on_record.entry = self.entries.iter().find(|entry| Some(entry.serial()) == serial);
        on_record.is_site_gone =
            on_record.site(&self.settings, &knock).is_some_and(|site| self.sites_gone.contains(&site.as_str()));
        // What else is known makes no difference.
        let all = OnRecord { displaced: displaced.as_ref(), ..on_record };
        assert_eq!(decide(&self.settings, &knock, all, now), decide(&self.settings, &knock, on_record, now));
        match decide(&self.settings, &knock, on_record, now)? {
            Decision::Registered { record, entry } => {
                self.hosts.retain(|old| old.host() != record.host());
                let record = HostRecord::from_record(&record.to_record().unwrap()).unwrap();
                let state = record.state().clone();
                self.hosts.push(record);
                if let Some(entry) = entry {
                    self.entries.retain(|old| old.serial() != entry.serial());
                    self.entries.push(Entry::from_record(&entry.to_record().unwrap()).unwrap());
                }
                Ok(state)
            }
            Decision::Duplicate { record } => {
                self.duplicates.push(record);
                Err(Refusal::Duplicate)
            }
            other => panic!("{other:?}"),
        }
    }

    /// All who wait have to make room.
    fn displace(&mut self) {
        self.displaced.append(&mut self.hosts);
    }

    fn claim(&mut self, id: &str, site: &str) -> Result<(), Error> {
        let place = self.hosts.iter().position(|record| *record.host() == host(id)).unwrap();
        let claimed = self.hosts[place].clone().claim(site.parse().unwrap())?;
        self.hosts[place] = claimed;
        Ok(())
    }
}

fn claimed(site: &str) -> HostState {
    HostState::Claimed { site: site.parse().unwrap() }
}

#[test]
fn a_host_waits_is_claimed_and_comes_again_without_using_anything_twice() {
    let authority = authority();
    let (certificate, entry) = verified(&authority, one("h1"));
    let mut tower = Tower::with(Granularity::HostId, [entry]).of(&authority);
    assert_eq!(tower.knock("h1", "k1", Some(&certificate), NOW), Ok(HostState::Unclaimed));
    assert_eq!(tower.entries[0].uses(), 1);
    // The answer was lost; it asks again, with the certificate and, later, without.
    assert_eq!(tower.knock("h1", "k1", Some(&certificate), NOW), Ok(HostState::Unclaimed));
    let later = NOW + Duration::days(9);
    assert_eq!(tower.knock("h1", "k1", None, later), Ok(HostState::Unclaimed));
    tower.claim("h1", "oslo").unwrap();
    assert_eq!(tower.knock("h1", "k1", None, later), Ok(claimed("oslo")));
    assert_eq!((tower.entries[0].uses(), tower.hosts.len(), tower.duplicates.len()), (1, 1, 0));
    assert_eq!((tower.hosts[0].first_seen(), tower.hosts[0].last_seen()), (NOW, later));
    assert_eq!(tower.claim("h1", "bergen").unwrap_err().to_string(), "the host is claimed for another site");
    // It does not call home any more, and is seen each time that it gets an identity.
    let id = "spiffe://example.org/site/oslo/host/1".parse().unwrap();
    let renewed = later + Duration::days(1);
    let host = tower.hosts[0].clone().given(id, renewed + Duration::days(1), renewed);
    assert_eq!((host.first_seen(), host.last_seen()), (NOW, renewed));
}

#[test]
fn one_is_admitted_and_the_others_are_seen() {
    let (certificate, entry) = verified(&authority(), one("h1"));
    let mut tower = Tower::with(Granularity::HostId, [entry]);
    let keys: Vec<String> = (0..64).map(|number| format!("k{number}")).collect();
    let answers: Vec<_> = keys.iter().map(|key| tower.knock("h1", key, Some(&certificate), NOW)).collect();
    assert_eq!(answers[0], Ok(HostState::Unclaimed));
    assert!(answers[1..].iter().all(|answer| *answer == Err(Refusal::Duplicate)));
    assert_eq!((tower.hosts.len(), tower.duplicates.len()), (1, 63));
    // Without certificates it is the same.
    let mut tower = Tower::with(Granularity::Never, []);
    assert_eq!(tower.knock("h1", "k1", None, NOW), Ok(HostState::Unclaimed));
    assert_eq!(tower.knock("h1", "k2", None, NOW), Err(Refusal::Duplicate));
}

#[test]
fn a_certificate_of_a_site_admits_its_hosts_until_it_expires() {
    let (certificate, entry) = verified(&authority(), site("oslo"));
    let mut tower = Tower::with(Granularity::Site, [entry]);
    for id in ["h1", "h2", "h3"] {
        assert_eq!(tower.knock(id, id, Some(&certificate), NOW), Ok(HostState::Unclaimed));
    }
    let late = NOW + Duration::days(1) + Duration::SECOND;
    let not_after = NOW + Duration::DAY;
    assert_eq!(tower.knock("h4", "k4", Some(&certificate), late), Err(Refusal::Expired { not_after }));
    assert_eq!(tower.hosts.len(), 3, "nothing is registered");
    // They can be claimed for that site alone.
    assert_eq!(
        tower.claim("h1", "bergen").unwrap_err().to_string(),
        "the host called home with a certificate for another site"
    );
    tower.claim("h1", "oslo").unwrap();
    // A listed host of another site is refused, one of this site is claimed at once.
    tower.listed = vec![("h5", "bergen"), ("h6", "oslo")];
    assert_eq!(tower.knock("h5", "k5", Some(&certificate), NOW), Err(Refusal::WrongSite));
    assert_eq!(tower.knock("h6", "k6", Some(&certificate), NOW), Ok(claimed("oslo")));
}

#[test]
fn uses_are_counted_where_an_order_says_so() {
    let authority = authority();
    let order = Order::new(any()).with_max_uses(2).unwrap();
    let (chain, entry) = issue(&authority, &order);
    let bundle = crate::support::bundle(&authority);
    let certificate = keyward_callhome_cert::CallHomeVerifier::new(bundle).verify(&chain, NOW).unwrap();
    let mut tower = Tower::with(Granularity::CertificateOnly, [entry]);
    assert!(tower.knock("h1", "k1", Some(&certificate), NOW).is_ok());
    assert!(tower.knock("h2", "k2", Some(&certificate), NOW).is_ok());
    assert_eq!(tower.knock("h3", "k3", Some(&certificate), NOW), Err(Refusal::AlreadyUsed));
    assert_eq!((tower.hosts.len(), tower.duplicates.len()), (2, 0));
}

#[test]
fn hosts_that_nobody_knows_are_refused_where_they_are_not_wanted() {
    let (certificate, entry) = verified(&authority(), one("h1"));
    let mut tower = Tower::with(Granularity::HostId, [entry]);
    tower.settings.enable_unclaimed = false;
    assert_eq!(tower.knock("h1", "k1", Some(&certificate), NOW), Err(Refusal::UnclaimedDisabled));
    assert_eq!(tower.entries[0].uses(), 0, "a refusal uses nothing");
    tower.listed = vec![("h1", "oslo")];
    assert_eq!(tower.knock("h1", "k1", Some(&certificate), NOW), Ok(claimed("oslo")));
}

#[test]
fn revoked_certificates_let_nobody_in_and_nobody_stay_who_waits() {
    let authority = authority();
    let (certificate, mut entry) = verified(&authority, any());
    let mut tower = Tower::with(Granularity::CertificateOnly, [entry.clone()]).of(&authority);
    tower.knock("h1", "k1", Some(&certificate), NOW).unwrap();
    tower.knock("h2", "k2", Some(&certificate), NOW).unwrap();
    tower.claim("h2", "oslo").unwrap();
    assert!(entry.revoke(NOW));
    assert!(!entry.revoke(NOW + Duration::HOUR));
    assert_eq!(entry.revoked(), Some(NOW));
    tower.entries = vec![entry];
    assert_eq!(tower.knock("h3", "k3", Some(&certificate), NOW), Err(Refusal::Revoked));
    assert_eq!(tower.knock("h1", "k1", None, NOW), Err(Refusal::Revoked));
    // An operator has vouched for this one.
    assert_eq!(tower.knock("h2", "k2", None, NOW), Ok(claimed("oslo")));
}

#[test]
fn a_removed_host_stays_away() {
    let mut tower = Tower::with(Granularity::Never, []);
    tower.knock("h1", "k1", None, NOW).unwrap();
    tower.hosts[0] = tower.hosts[0].clone().remove();
    assert_eq!(tower.knock("h1", "k1", None, NOW), Err(Refusal::Removed));
    assert_eq!(tower.knock("h1", "k2", None, NOW), Err(Refusal::Removed));
    // Released: forgotten.
    tower.hosts.clear();
    assert_eq!(tower.knock("h1", "k2", None, NOW), Ok(HostState::Unclaimed));
}

#[test]
fn a_host_that_is_listed_while_it_waits_is_claimed() {
    let mut tower = Tower::with(Granularity::Never, []);
    assert_eq!(tower.knock("h1", "k1", None, NOW), Ok(HostState::Unclaimed));
    tower.listed = vec![("h1", "oslo")];
    assert_eq!(tower.knock("h1", "k1", None, NOW), Ok(claimed("oslo")));
}

#[test]
fn who_was_let_in_with_less_is_not_claimed_by_a_list() {
    let (certificate, entry) = verified(&authority(), one("h1"));
    // A stranger who knows the host-id comes while nothing is asked for; then certificates are, and the host-id is listed.
    let mut tower = Tower::with(Granularity::Never, [entry]);
    assert_eq!(tower.knock("h1", "stranger", None, NOW), Ok(HostState::Unclaimed));
    tower.settings = settings(Granularity::HostId);
    tower.listed = vec![("h1", "oslo")];
    assert_eq!(tower.knock("h1", "stranger", None, NOW), Err(Refusal::Missing { wanted: Granularity::HostId }));
    // An operator who looks at it claims whom they want; and with what is asked for by now the host is claimed, which uses it.
    assert_eq!(tower.knock("h1", "stranger", Some(&certificate), NOW), Ok(claimed("oslo")));
    assert_eq!(tower.entries[0].uses(), 1);
    // Less than what is asked for, or of another site, is not enough either.
    let authority = authority();
    let (broad, entry) = verified(&authority, site("oslo"));
    let mut tower = Tower::with(Granularity::Site, [entry]).of(&authority);
    assert_eq!(tower.knock("h2", "k2", Some(&broad), NOW), Ok(HostState::Unclaimed));
    tower.listed = vec![("h2", "oslo")];
    tower.settings = settings(Granularity::HostId);
    let too_broad = Refusal::TooBroad { found: Granularity::Site, wanted: Granularity::HostId };
    assert_eq!(tower.knock("h2", "k2", None, NOW), Err(too_broad));
    tower.settings = settings(Granularity::Site);
    tower.listed = vec![("h2", "bergen")];
    assert_eq!(tower.knock("h2", "k2", None, NOW), Err(Refusal::WrongSite));
    tower.listed = vec![("h2", "oslo")];
    assert_eq!(tower.knock("h2", "k2", None, NOW + Duration::days(2)), Ok(claimed("oslo")));
}

#[test]
fn a_certificate_that_is_not_on_record_is_refused() {
    let (certificate, _) = verified(&authority(), any());
    let (_, other) = verified(&authority(), any());
    let mut tower = Tower::with(Granularity::CertificateOnly, [other]);
    assert_eq!(tower.knock("h1", "k1", Some(&certificate), NOW), Err(Refusal::Unknown));
}

#[test]
fn orders_have_bounds() {
    let order = || Order::new(Scope::Any);
    assert_eq!(
        order().with_ttl("31d".parse().unwrap()).unwrap_err().to_string(),
        "`ttl` is 2678400 seconds, but 60 to 2592000 (30d) are allowed"
    );
    assert!(order().with_ttl("59s".parse().unwrap()).is_err());
    assert!(order().with_ttl("30d".parse().unwrap()).is_ok());
    let error = order().with_max_uses(0).unwrap_err().to_string();
    assert_eq!(error, "`max-uses` is 0, but 1 to 1000 are allowed; leave it out for as many as there are hosts");
    assert!(order().with_max_uses(1001).is_err());
    let batch = Batch::generate(&mut rng());
    let (_, entry) = issue(&authority(), &order().with_batch(batch.clone()));
    assert_eq!(entry.batch(), &batch);
    // Nothing more in a batch that is revoked.
    let (mut revoked, in_it) = (entry.clone(), order().with_batch(batch.clone()));
    revoked.revoke(NOW);
    assert_eq!((in_it.check_batch(None), in_it.check_batch(Some(&entry))), (Ok(()), Ok(())));
    assert_eq!((order().check_batch(Some(&revoked)), order().batch()), (Ok(()), None));
    assert_eq!(
        in_it.check_batch(Some(&revoked)).unwrap_err().to_string(),
        format!("`batch`: all certificates of `{batch}` are revoked: leave it out, and there is a new one")
    );
    assert_eq!((entry.created(), entry.expires()), (NOW, NOW + Duration::DAY));
}

#[test]
fn an_authority_for_svids_issues_none() {
    use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
    use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject};
    let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap();
    let key = signer.public_key().clone();
    let request = AuthorityRequest::new("td.example".parse().unwrap(), Subject::default(), NOW + Duration::DAY);
    let authority = Authority::self_signed(signer, &key, &request, &mut rng(), NOW).unwrap();
    let error = Order::new(Scope::Any).issue_with_key(&authority, &mut rng(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "the authority is not one for call-home certificates: it must be for clients alone");
}

#[test]
fn a_list_has_what_its_own_issuer_issued() {
    let (own, other) = (authority(), authority());
    let (_, mut entry) = issue(&own, &Order::new(Scope::Any));
    let on = |entry: &Entry, authority: &Authority<KeySigner>| {
        entry.revocation(authority.issuer().public_key()).unwrap().is_some()
    };
    assert!(!on(&entry, &own));
    entry.revoke(NOW);
    assert!(on(&entry, &own) && !on(&entry, &other));
    // An earlier release did not write down who issued it.
    let mut json: serde_json::Value = serde_json::from_slice(&entry.to_record().unwrap()).unwrap();
    json["format"] = 1.into();
    json.as_object_mut().unwrap().remove("issuer").unwrap();
    let earlier = Entry::from_record(json.to_string().as_bytes()).unwrap();
    assert!(on(&earlier, &own) && on(&earlier, &other));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&earlier.to_record().unwrap()).unwrap()["format"], 2);
}

#[test]
fn what_an_authority_issued_ends_with_it() {
    let (own, other) = (authority(), authority());
    let (certificate, entry) = verified(&own, any());
    let mut tower = Tower::with(Granularity::CertificateOnly, [entry]).of(&other).of(&own);
    tower.knock("h1", "k1", Some(&certificate), NOW).unwrap();
    tower.knock("h2", "k2", Some(&certificate), NOW).unwrap();
    tower.claim("h2", "oslo").unwrap();
    assert_eq!(tower.knock("h1", "k1", None, NOW), Ok(HostState::Unclaimed), "a rotation ends nothing");
    // It is given up: who waits is not claimed by a list any more, and who made room does not come back.
    tower.authorities.pop();
    tower.listed = vec![("h1", "oslo")];
    assert_eq!(tower.knock("h1", "k1", None, NOW), Err(Refusal::Revoked));
    assert_eq!(tower.knock("h2", "k2", None, NOW), Ok(claimed("oslo")), "an operator has vouched for this one");
    // Once the certificate is over it says nothing of who waits since.
    let later = certificate.not_after() + Duration::SECOND;
    assert_eq!(tower.knock("h1", "k1", None, later), Ok(claimed("oslo")));
    tower.displace();
    assert_eq!(tower.knock("h1", "k1", None, NOW), Err(Refusal::Revoked));
    assert!(matches!(tower.knock("h1", "k1", None, later), Err(Refusal::Expired { .. })));
    // What is presented was verified with the authorities that there are.
    let (certificate, entry) = verified(&other, any());
    tower.entries.push(entry);
    assert_eq!(tower.knock("h3", "k3", Some(&certificate), NOW), Ok(HostState::Unclaimed));
    // Where nothing is known of authorities, nothing counts.
    tower.authorities.clear();
    assert_eq!(tower.knock("h3", "k3", None, NOW), Err(Refusal::Revoked));
}

#[test]
fn what_has_to_be_read_is_what_makes_a_difference() {
    let authority = authority();
    let (certificate, entry) = verified(&authority, any());
    let mut tower = Tower::with(Granularity::CertificateOnly, [entry]);
    tower.knock("h1", "k1", Some(&certificate), NOW).unwrap();
    let (host, waits) = (host("h1"), tower.hosts[0].clone());
    let settings = |verify| settings(verify);
    let asked = settings(Granularity::CertificateOnly);
    let nothing = Knock::new(&host, "k1", "192.0.2.7".parse().unwrap());
    let other = Knock { key: "k2", ..nothing };
    let shown = Knock { certificate: Some(&certificate), ..nothing };
    let refused = Knock { refused: Some(&Refusal::NoScope), ..nothing };
    let nobody = OnRecord::default();
    let here = OnRecord { host: Some(&waits), ..nobody };
    // Whoever is not here, and has nothing to show where something is asked for.
    assert!(nobody.may_have_made_room(&asked, &nothing) && here.may_have_made_room(&asked, &other));
    assert!(!nobody.may_have_made_room(&settings(Granularity::Never), &nothing));
    assert!(!here.may_have_made_room(&asked, &nothing));
    assert!(!nobody.may_have_made_room(&asked, &shown) && !nobody.may_have_made_room(&asked, &refused));
    // What is shown, or what it came with; nothing of whom an operator knows.
    let serial = Some(certificate.serial());
    assert_eq!((nobody.serial(&asked, &shown), nobody.serial(&asked, &nothing)), (serial, None));
    assert_eq!((here.serial(&asked, &nothing), here.serial(&asked, &other)), (serial, None));
    let away = OnRecord { displaced: Some(&waits), ..nobody };
    assert_eq!((away.serial(&asked, &nothing), away.serial(&asked, &other)), (serial, None));
    assert_eq!(away.serial(&settings(Granularity::Never), &nothing), None);
    let known = waits.clone().claim("oslo".parse().unwrap()).unwrap();
    for record in [known, waits.clone().remove()] {
        let here = OnRecord { host: Some(&record), ..nobody };
        assert_eq!((here.serial(&asked, &nothing), here.serial(&asked, &shown)), (None, None));
    }
}

#[test]
fn records_of_newer_releases_are_refused() {
    let (_, entry) = verified(&authority(), any());
    let mut json: serde_json::Value = serde_json::from_slice(&entry.to_record().unwrap()).unwrap();
    json["format"] = 3.into();
    let error = Entry::from_record(json.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the stored call-home certificate has format 3, this release knows formats up to 2");
    assert_eq!(HostRecord::from_record(b"{}").unwrap_err().to_string(), "the stored host is damaged");
}

#[test]
fn who_made_room_comes_back_by_what_it_came_with() {
    let authority = authority();
    for (scope, verify) in [(one("h1"), Granularity::HostId), (any(), Granularity::CertificateOnly)] {
        let (certificate, entry) = verified(&authority, scope);
        let mut tower = Tower::with(verify, [entry]).of(&authority);
        assert_eq!(tower.knock("h1", "k1", Some(&certificate), NOW), Ok(HostState::Unclaimed));
        tower.displace();
        // Nobody else does, not even with the same host-id.
        let missing = Err(Refusal::Missing { wanted: verify });
        assert_eq!(tower.knock("h1", "k2", None, NOW), missing);
        assert_eq!(tower.knock("h2", "k1", None, NOW), missing);
        let later = NOW + Duration::HOUR;
        assert_eq!(tower.knock("h1", "k1", None, later), Ok(HostState::Unclaimed));
        assert_eq!((tower.hosts[0].first_seen(), tower.hosts[0].last_seen()), (NOW, later));
        assert_eq!(tower.hosts[0].certificate(), Some(certificate.serial()));
        assert!(tower.entries[0].uses() <= 1);
        // As often as it has to; or claimed at once, by a site that lists it meanwhile.
        tower.displace();
        tower.listed = vec![("h1", "oslo")];
        assert_eq!(tower.knock("h1", "k1", None, later), Ok(claimed("oslo")));
    }
}

#[test]
fn who_made_room_comes_back_as_long_as_its_certificate_would_let_it_in() {
    let authority = authority();
    let waited = |scope: Scope| {
        let (certificate, entry) = verified(&authority, scope);
        let mut tower = Tower::with(Granularity::CertificateOnly, [entry]).of(&authority);
        tower.knock("h1", "k1", Some(&certificate), NOW).unwrap();
        tower.displace();
        (tower, certificate)
    };
    let knock = |tower: &mut Tower, now| tower.knock("h1", "k1", None, now).map_err(|refusal| refusal.code());
    let (mut tower, certificate) = waited(any());
    assert_eq!(knock(&mut tower, certificate.not_after() + Duration::SECOND), Err("expired"));
    tower.settings = settings(Granularity::Site);
    assert_eq!(knock(&mut tower, NOW), Err("too-broad"));
    tower.settings = settings(Granularity::Never);
    assert_eq!(knock(&mut tower, NOW), Ok(HostState::Unclaimed));
    assert_eq!(tower.hosts[0].certificate(), None, "none was asked for");
    let (mut tower, _) = waited(any());
    tower.entries[0].revoke(NOW);
    assert_eq!(knock(&mut tower, NOW), Err("revoked"));
    tower.entries.clear();
    assert_eq!(knock(&mut tower, NOW), Err("missing"), "what is forgotten lets nobody in");
    // For its site alone.
    let (mut tower, _) = waited(site("oslo"));
    tower.listed = vec![("h1", "bergen")];
    assert_eq!(knock(&mut tower, NOW), Err("wrong-site"));
    tower.listed.clear();
    assert_eq!(knock(&mut tower, NOW), Ok(HostState::Unclaimed));
    assert!(tower.claim("h1", "bergen").is_err());
    // Not once it is removed; and who has its host-id by then has it.
    let (mut tower, certificate) = waited(any());
    assert_eq!(tower.knock("h1", "k2", Some(&certificate), NOW), Ok(HostState::Unclaimed));
    assert_eq!(knock(&mut tower, NOW), Err("duplicate"));
    tower.hosts[0] = tower.hosts[0].clone().remove();
    assert_eq!(knock(&mut tower, NOW), Err("removed"));
}

#[test]
fn nobody_waits_for_a_site_that_is_gone() {
    let authority = authority();
    let (certificate, entry) = verified(&authority, site("oslo"));
    let mut tower = Tower::with(Granularity::Site, [entry]).of(&authority);
    for id in ["h1", "h2"] {
        assert_eq!(tower.knock(id, id, Some(&certificate), NOW), Ok(HostState::Unclaimed));
    }
    tower.claim("h2", "oslo").unwrap();
    tower.sites_gone = vec!["oslo"];
    // Who waits already is told, with the certificate and, when that is over, without; an operator has vouched for the other one.
    let gone = Err(Refusal::NoSite);
    assert_eq!(tower.knock("h2", "h2", None, NOW), Ok(claimed("oslo")));
    assert_eq!(tower.knock("h1", "h1", Some(&certificate), NOW), gone);
    assert_eq!(tower.knock("h1", "h1", None, NOW + Duration::days(2)), gone);
    assert_eq!(tower.knock("h3", "h3", Some(&certificate), NOW), gone);
    assert!(tower.knock("h1", "other", Some(&certificate), NOW) == gone && tower.duplicates.is_empty());
    tower.hosts.retain(|host| *host.state() == HostState::Unclaimed);
    tower.displace();
    assert_eq!(tower.knock("h1", "h1", None, NOW), gone);
    // It may be there again; and what was revoked stays so.
    tower.sites_gone.clear();
    assert_eq!(tower.knock("h1", "h1", None, NOW), Ok(HostState::Unclaimed));
    tower.sites_gone = vec!["oslo"];
    tower.entries[0].revoke(NOW);
    assert_eq!(tower.knock("h3", "h3", Some(&certificate), NOW), Err(Refusal::Revoked));
}

proptest! {
    /// Whatever the order of the knocks, nobody gets more uses out of a certificate than it has, and the same host with the
    /// same key never needs a second.
    #[test]
    fn uses_are_bounded(max in 1_u32..5, knocks in prop::collection::vec((0_usize..4, 0_usize..3), 1..40)) {
        let (_, mut entry) = issue(&authority(), &Order::new(Scope::Any).with_max_uses(max).unwrap());
        let mut users = std::collections::BTreeSet::new();
        for (id, key) in knocks {
            let (host, key) = (host(&format!("h{id}")), format!("k{key}"));
            match entry.take(&host, &key, NOW) {
                Ok(Taken::First) => prop_assert!(users.insert((host, key))),
                Ok(Taken::Again) => prop_assert!(users.contains(&(host, key))),
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::AlreadyUsed);
                    prop_assert!(!users.contains(&(host, key)));
                    prop_assert_eq!(users.len(), usize::try_from(max).unwrap());
                }
            }
            prop_assert!(users.len() <= usize::try_from(max).unwrap());
        }
    }
}
