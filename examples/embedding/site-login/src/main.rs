//! A site that is cut off: it holds the users that were replicated to it, and logs them in by itself. One login a run: each line of
//! standard input is what somebody does, as JSON; each line of standard output is what the page shows then.
//!
//! `site-login REPLICA ORIGIN`, with the Unix time in seconds as a third argument to try it at another time.

use std::io::BufRead as _;

use keyward_webauthn_login::*;
use serde_json::{Value, json};
use time::OffsetDateTime;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// Nobody guesses here: a site keeps histories as the tower does.
fn admitted(bucket: Bucket, now: OffsetDateTime) -> Result<Admitted> {
    let none = History::default();
    Ok(admit(Histories { address: none, identity: none, bucket }, now)?.0)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (file, origin) = arguments.next().zip(arguments.next()).ok_or("site-login REPLICA ORIGIN [UNIX-TIME]")?;
    let now = match arguments.next() {
        Some(seconds) => OffsetDateTime::from_unix_timestamp(seconds.parse()?)?,
        None => OffsetDateTime::now_utc(),
    };
    let mut replica = Replica::decode(&std::fs::read(file)?)?;
    let realm = Realm::new(replica.relying_party(&[&origin])?, Secret::generate(&mut rng()), LoginSettings::default())?;
    let mut flow: AnyFlow = realm.begin(Start::browser(), now)?.into();
    let mut lines = std::io::stdin().lock().lines();
    loop {
        // There is no way to any provider, and the page says so.
        let authenticators = offered(&replica.providers(), Connectivity::Offline);
        println!("{}", serde_json::to_string(&flow.prompt(&realm, authenticators))?);
        let Some(line) = lines.next() else { return Ok(()) };
        let outcome = step(&realm, &replica, flow, &serde_json::from_str(&line?)?, now)?;
        for write in outcome.writes {
            if let Write::PutUser(user) = write {
                replica.put(user);
            }
        }
        flow = match outcome.next {
            Next::Continue(flow) => flow,
            Next::LoggedIn(logged_in) => {
                println!(
                    "{}",
                    json!({"logged-in": logged_in.session.identity(), "proofs": logged_in.session.proofs()})
                );
                return Ok(());
            }
            Next::Over(reason) => return Err(reason.told().into()),
        };
    }
}

fn step(realm: &Realm, replica: &Replica, flow: AnyFlow, act: &Value, now: OffsetDateTime) -> Result<Outcome> {
    let text = |field: &str| act[field].as_str().unwrap_or_default();
    let of = |identity: &Identity| replica.users(Some((&identity.email, Some(&identity.tenant)))).pop();
    let user = flow.identity().and_then(of);
    Ok(match flow {
        AnyFlow::Begun(flow) => {
            let typed = Typed::new(text("email"), text("tenant"));
            let users = replica.users(typed.lookup());
            flow.identify(realm, typed, &users, now)?
        }
        AnyFlow::Identified(flow) if act["passkey"].is_object() => {
            let users = replica.users(flow.lookup());
            flow.passkey(realm, &act["passkey"].to_string().parse()?, users, &mut rng(), now)?
        }
        AnyFlow::Identified(flow) => {
            let (users, password) = (replica.users(flow.lookup()), Password::new(text("password").to_owned()));
            let (job, attempt) = flow.password(realm, users, password, admitted(Bucket::Identity, now)?);
            attempt.finish(realm, job.run()?, &mut rng(), now)?
        }
        AnyFlow::Second(flow) => {
            flow.totp(realm, user, text("code"), admitted(Bucket::SecondFactor, now)?, &mut rng(), now)?
        }
        AnyFlow::Ready(flow) => flow.finish(realm, user, &mut rng(), now)?,
        _ => return Err("a site sets nothing up: that is done at the tower".into()),
    })
}
