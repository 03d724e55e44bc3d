//! Fills a stopped tower's store with secret-ids and tokens, for `benches/process/scale.py`: through the same code as requests, but
//! many in one commit, in the order of their keys, and without audit records.
//!
//! usage: fill ROLE SECRET-IDS TOKENS EXPIRING AT SAMPLE -- FLAGS…
//!
//! ROLE is an AppRole of the tenant `default`, AT the time (in seconds since 1970) at which EXPIRING tokens more end. Prints SAMPLE of the
//! secret-ids as a JSON list. The flags are those of the tower.

#![allow(clippy::print_stdout, reason = "its output")]

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, bail};
use control_tower::{
    app::App,
    clock::Clock,
    config::Config,
    http::{approle::put_secret_id, token},
    launch, layout, random,
    store::{Outcome, Write},
};
use keyward_approle::{Role, SecretIdRecord, SecretIdRequest, TokenParameters, TokenRecord};
use time::{Duration, OffsetDateTime};

/// Records that are sorted and committed together.
const CHUNK: usize = 250_000;
/// Writes of a commit.
const COMMIT: usize = 4096;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(fill())
}

async fn fill() -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a program's arguments")]
    let mut arguments = std::env::args().skip(1);
    let mut next = |name: &'static str| arguments.next().context(name);
    let role = next("ROLE")?;
    let (secret_ids, tokens): (usize, usize) = (next("SECRET-IDS")?.parse()?, next("TOKENS")?.parse()?);
    let (expiring, at): (usize, i64) = (next("EXPIRING")?.parse()?, next("AT")?.parse()?);
    let sample: usize = next("SAMPLE")?.parse()?;
    let (_, config) = Config::from_args(std::iter::once("fill".to_owned()).chain(arguments.skip(1)))?;
    let app = launch::open(&config).await?.app(&config).await?;
    let role = app.db.load(&layout::role(&app.operators, &role), Role::decode).await?.context("no such AppRole")?.value;
    let now = Clock::system().now();

    let mut known = Vec::new();
    let mut batch = Batch::new(&app);
    for n in 0..secret_ids {
        let (secret, record) =
            SecretIdRecord::issue(&role, SecretIdRequest::default(), &app.pepper, &mut random::rng(), now)?;
        if n % (secret_ids / sample.max(1)).max(1) == 0 && known.len() < sample {
            known.push(secret.expose().to_owned());
        }
        let index = layout::secret_id_accessor(record.tenant(), record.role().as_str(), record.accessor());
        batch.add([app.db.put(index, record.key().to_string().as_bytes())?]).await?;
        batch.add(put_secret_id(&app, layout::secret_id(record.key()), &record).map_err(refused)?).await?;
    }
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for n in 0..tokens + expiring {
        let parameters = TokenParameters::for_role(&role, source);
        // Made in the past, where it is to end soon.
        let made = match n < expiring {
            true => OffsetDateTime::from_unix_timestamp(at)? - life(&app, &role, now),
            false => now,
        };
        let (_, record) = TokenRecord::issue(parameters, &app.limits, &app.pepper, &mut random::rng(), made);
        batch.add(token::store(&app, &record).map_err(refused)?).await?;
    }
    batch.commit().await?;
    println!("{}", serde_json::to_string(&known)?);
    Ok(())
}

/// How long a token of the role lives.
fn life(app: &App, role: &Role, now: OffsetDateTime) -> Duration {
    let parameters = TokenParameters::for_role(role, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (_, record) = TokenRecord::issue(parameters, &app.limits, &app.pepper, &mut random::rng(), now);
    record.expires() - record.creation_time()
}

fn refused(error: control_tower::http::error::ApiError) -> anyhow::Error {
    anyhow::anyhow!("{}", error.message())
}

/// Writes that wait for others.
struct Batch<'a> {
    app: &'a App,
    writes: Vec<Write>,
}

impl<'a> Batch<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, writes: Vec::new() }
    }

    async fn add(&mut self, writes: impl IntoIterator<Item = Write>) -> anyhow::Result<()> {
        self.writes.extend(writes);
        if self.writes.len() >= 3 * CHUNK { self.commit().await } else { Ok(()) }
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        let mut writes = std::mem::take(&mut self.writes);
        writes.sort_by(|a, b| key(a).cmp(key(b)));
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let some = writes.by_ref().take(COMMIT).collect();
            let Outcome::Committed(_) = self.app.db.store().commit(Vec::new(), some).await? else {
                bail!("the store did not take it");
            };
        }
        Ok(())
    }
}

fn key(write: &Write) -> &str {
    match write {
        Write::Put(key, _) | Write::Delete(key) => key,
        Write::Note { outbox, .. } => outbox,
    }
}
