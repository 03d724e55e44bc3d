//! Key rings in the store: made, rotated, advanced; every change guarded by the revision that it was decided on.

use std::sync::Arc;

use keyward_config_values::Name;
use keyward_transit::{Cipher, Command, Material, Ring, RingView};
use time::OffsetDateTime;

use crate::{
    app::{Actor, App, Commit},
    db::Stored,
    http::error::{Answer, ApiError},
    identity, layout, publication, random,
    store::{Guard, Write},
};

/// How often a change is decided again because another tower was faster.
const TRIES: usize = 8;

/// A new key. Runs outside the request loop: RSA takes tens of milliseconds and more.
///
/// # Errors
/// The backend fails.
pub async fn generate(app: &App, cipher: Cipher) -> Answer<Material> {
    app.compute(move || Material::generate(cipher, &mut random::rng())).await?.map_err(ApiError::internal)
}

/// What stores a ring.
///
/// # Errors
/// It cannot be sealed.
pub fn put(app: &App, tenant: &Name, ring: &Ring) -> Answer<Write> {
    let key = layout::ring(tenant, ring.name().as_str());
    let sealed = ring.to_sealed(app.db.keks().current(), &key, &mut random::rng()).map_err(ApiError::internal)?;
    Ok(Write::Put(key, sealed))
}

/// Adds a version on request.
///
/// # Errors
/// 409 while one is pending, or when another tower was faster.
pub async fn rotate(app: &App, tenant: &Name, stored: Stored<Arc<Ring>>, actor: &Actor) -> Answer<RingView> {
    let mut ring = Ring::clone(&stored.value);
    let command = ring.rotate(app.clock.now())?;
    perform(app, &mut ring, command).await?;
    match commit(app, tenant, &stored, &ring, actor, "key-rotate").await? {
        Commit::Done(_) => Ok(ring.view(app.clock.now())),
        Commit::Conflict => Err(ApiError::conflict(format!("the key `{}` was changed meanwhile", ring.name()))),
    }
}

/// Does what time asks of a ring, if anything, and answers when to come again.
///
/// # Errors
/// Those of the store; then nothing was changed, and the same call does it later.
pub async fn advance(app: &App, tenant: &Name, name: &Name) -> Answer<Option<OffsetDateTime>> {
    for _ in 0..TRIES {
        let Some(stored) = identity::ring(&app.db, tenant, name).await? else { return Ok(None) };
        let commands = stored.value.advance(app.clock.now());
        if commands.is_empty() {
            return Ok(stored.value.next_deadline(app.clock.now()));
        }
        let mut ring = Ring::clone(&stored.value);
        for command in commands {
            perform(app, &mut ring, command).await?;
        }
        if let Commit::Done(_) =
            commit(app, tenant, &stored, &ring, &Actor::task(tenant, "rotate"), "key-advance").await?
        {
            return Ok(ring.next_deadline(app.clock.now()));
        }
    }
    // Another tower is at it.
    Ok(Some(app.clock.now()))
}

/// Does one command on a copy of a ring.
///
/// # Errors
/// The backend fails, or the ring refuses.
pub async fn perform(app: &App, ring: &mut Ring, command: Command) -> Answer<()> {
    match command {
        Command::Generate { cipher, version } => {
            let material = generate(app, cipher).await?;
            let _publish = ring.install(version, material, app.clock.now())?;
        }
        Command::Destroy { version } => ring.destroy(version, app.clock.now())?,
        // The key set is made from the store at each request: committing the ring is publishing it.
        _ => {}
    }
    Ok(())
}

async fn commit(
    app: &App,
    tenant: &Name,
    stored: &Stored<Arc<Ring>>,
    ring: &Ring,
    actor: &Actor,
    event: &'static str,
) -> Answer<Commit> {
    let now = app.clock.now();
    let mut audit = actor.did(event, now).with("key", ring.name().as_str());
    let before = stored.value.view(now).versions;
    let mut destroyed = Vec::new();
    for version in ring.view(now).versions {
        match before.iter().find(|earlier| earlier.version == version.version) {
            None => {
                audit = audit.with("version", version.version);
                if let Some(kid) = version.kid {
                    audit = audit.with("kid", kid);
                }
            }
            Some(earlier) if version.destroyed && !earlier.destroyed => destroyed.push(version.version),
            Some(_) => {}
        }
    }
    if !destroyed.is_empty() {
        audit = audit.with("destroyed", destroyed);
    }
    let (mut guards, mut writes) = (vec![stored.guard()], vec![put(app, tenant, ring)?]);
    if ring.signs_jwts() {
        publication::changes(app, tenant, now).await?.add_to(&mut guards, &mut writes);
    }
    let outcome = app.commit(guards, writes, audit).await?;
    if matches!(outcome, Commit::Done(_)) {
        app.tasks.rings_changed();
    }
    Ok(outcome)
}

/// The guard for a ring that must be as it was read, or absent.
pub fn guard(tenant: &Name, name: &str, stored: Option<&Stored<Arc<Ring>>>) -> Guard {
    stored.map_or_else(|| Guard::Absent(layout::ring(tenant, name)), Stored::guard)
}
