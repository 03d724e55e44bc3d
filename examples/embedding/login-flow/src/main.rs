//! A login with pages of text and records in maps: any store that can compare and swap, and any way to show a page, will do.

use std::{collections::BTreeMap, error::Error};

use keyward_webauthn_login::*;
use time::OffsetDateTime;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Records as bytes. With one thread there is nothing to compare a revision with.
#[derive(Default)]
struct Storage {
    users: BTreeMap<Identity, Vec<u8>>,
    ceremonies: BTreeMap<Key, Vec<u8>>,
    sessions: BTreeMap<Key, Vec<u8>>,
}

impl Storage {
    fn users(&self, lookup: Option<(&Email, Option<&str>)>) -> Result<Vec<UserRecord>> {
        let Some((email, tenant)) = lookup else { return Ok(Vec::new()) };
        let fits = |id: &Identity| id.email == *email && tenant.is_none_or(|tenant| id.tenant == *tenant);
        Ok(self
            .users
            .iter()
            .filter(|(id, _)| fits(id))
            .map(|(_, bytes)| UserRecord::decode(bytes))
            .collect::<std::result::Result<_, _>>()?)
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<()> {
        for write in writes {
            match write {
                Write::EndCeremony(key) => drop(self.ceremonies.remove(&key).ok_or("the step was taken already")?),
                Write::PutUser(user) => drop(self.users.insert(user.identity().clone(), user.encode()?)),
                Write::BeginSession(session) => drop(self.sessions.insert(session.key(), session.encode()?)),
                other => return Err(format!("{other:?}").into()),
            }
        }
        Ok(())
    }

    /// The page of a step, and the cookie for the next one.
    fn page(&mut self, realm: &Realm, flow: AnyFlow) -> Result<(String, serde_json::Value)> {
        let page = serde_json::to_value(flow.prompt(realm, offered(&[], Connectivity::Online)))?;
        println!("== {}", page["step"].as_str().unwrap_or_default());
        let (token, record) = flow.store(&mut rng());
        self.ceremonies.insert(record.key(), record.encode()?);
        Ok((token.expose().to_owned(), page))
    }

    fn resume(&self, cookie: &str, now: OffsetDateTime) -> Result<AnyFlow> {
        let record = self.ceremonies.get(&Key::of(cookie)).ok_or("no such login")?;
        Ok(CeremonyRecord::decode(record)?.resume(cookie, now).map_err(|reason| reason.told())?)
    }
}

fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn main() -> Result<()> {
    let relying_party = RelyingParty::new("example.com", "Example", &["https://login.example.com"])?;
    let realm = Realm::new(relying_party, Secret::generate(&mut rng()), LoginSettings::default())?;
    let mut storage = Storage::default();
    let now = OffsetDateTime::now_utc();

    // An administrator makes a user for whom one-time passwords are enforced.
    let ann = Identity::new("ann@example.com".parse()?, "b2".parse()?);
    let mut user = UserRecord::create(ann.clone(), [Method::Totp].into(), Vec::new(), &mut rng(), now);
    let hashed = hash_new_password(Password::new("kessel run in twelve".into()), &ann.email, realm.secret())?.run()?;
    user.set_password(&hashed);
    storage.users.insert(ann.clone(), user.encode()?);

    // Step 1: who.
    let (cookie, _) = storage.page(&realm, realm.begin(Start::browser(), now)?.into())?;
    let AnyFlow::Begun(flow) = storage.resume(&cookie, now)? else { return Err("out of step".into()) };
    let typed = Typed::new("Ann@Example.com", "");
    let users = storage.users(typed.lookup().map(|(email, tenant)| (email, tenant.map(|name| name.as_str()))))?;
    let outcome = flow.identify(&realm, typed, &users, now)?;
    let (cookie, _) = follow(&realm, &mut storage, outcome)?;

    // Steps 2 and 3: the password, on whatever pool there is.
    let AnyFlow::Identified(flow) = storage.resume(&cookie, now)? else { return Err("out of step".into()) };
    let users = storage.users(flow.lookup().map(|(email, tenant)| (email, tenant.map(|name| name.as_str()))))?;
    let none = History::default();
    let (admitted, _) = admit(Histories { address: none, identity: none, bucket: Bucket::Identity }, now)?;
    let (job, attempt) = flow.password(&realm, users, Password::new("kessel run in twelve".into()), admitted);
    let outcome = attempt.finish(&realm, job.run()?, &mut rng(), now)?;
    let (cookie, page) = follow(&realm, &mut storage, outcome)?;

    // The one-time password, set up at the first login.
    println!("   scan {}", page["uri"].as_str().unwrap_or_default());
    let code = telephone(page["secret"].as_str().unwrap_or_default(), now)?;
    let AnyFlow::EnrollingTotp(flow) = storage.resume(&cookie, now)? else { return Err("out of step".into()) };
    let user = UserRecord::decode(&storage.users[&ann])?;
    let outcome = flow.confirm(&realm, Some(user), &code, &mut rng(), now)?;
    println!("   keep {} recovery codes", outcome.recovery_codes.as_ref().map_or(0, |codes| codes.iter().count()));
    let Next::LoggedIn(logged_in) = outcome.next else { return Err("refused".into()) };
    storage.commit(outcome.writes)?;
    let session = SessionRecord::decode(&storage.sessions[&logged_in.token.key()])?;
    println!("== {session}, with {:?}; next time at {}", session.proofs(), logged_in.remember.url());
    assert!(storage.ceremonies.is_empty());
    Ok(())
}

fn follow(realm: &Realm, storage: &mut Storage, outcome: Outcome) -> Result<(String, serde_json::Value)> {
    storage.commit(outcome.writes)?;
    match outcome.next {
        Next::Continue(flow) => storage.page(realm, flow),
        other => Err(format!("{other:?}").into()),
    }
}

fn telephone(secret: &str, now: OffsetDateTime) -> Result<String> {
    let bits: String =
        secret.bytes().map(|c| format!("{:05b}", if c >= b'A' { c - b'A' } else { c - b'2' + 26 })).collect();
    let bytes: Vec<u8> =
        (0..20).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2)).collect::<std::result::Result<_, _>>()?;
    let bytes: [u8; 20] = bytes.try_into().map_err(|_| "no secret")?;
    Ok(totp_rs::Builder::new()
        .with_secret(bytes)
        .build_noncompliant()
        .generate(now.unix_timestamp().try_into()?)
        .to_string())
}
