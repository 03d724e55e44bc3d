//! Key rings in the store, those of authorities among them: made, rotated, advanced; every change guarded by the revision that it
//! was decided on.

use std::sync::Arc;

use keyward_config_values::Name;
use keyward_transit::{Cipher, Command, Compromised, Kek, KekSet, Material, RecordError, Replaced, Ring, VersionView};
use time::OffsetDateTime;

use crate::{
    app::{Actor, App, Commit},
    audit::AuditRecord,
    db::{Db, DbError, Stored},
    due,
    http::error::{Answer, ApiError},
    layout, publication, random,
    store::{Guard, Write},
};

/// A record that holds a ring: a transit key, or an authority, whose versions have certificates besides.
pub trait Kept: Clone + Send + Sync + 'static {
    /// What a version is made of.
    type Key: Send + 'static;
    /// What the audit log calls one.
    const KIND: &'static str;
    /// The event of a change that time asked for.
    const ADVANCE: &'static str;
    /// The event of a rotation on request.
    const ROTATE: &'static str;

    /// Of all of a tenant.
    fn folder(tenant: &Name) -> String;

    /// As it is stored.
    ///
    /// # Errors
    /// It does not open, or makes no sense.
    fn open(keks: &KekSet, place: &str, record: &[u8]) -> Result<Self, RecordError>;

    /// To be stored.
    ///
    /// # Errors
    /// The backend fails.
    fn seal(&self, kek: &Kek, place: &str) -> Result<Vec<u8>, RecordError>;

    /// Its name.
    fn name(&self) -> &Name;

    /// Whether verifiers may know it.
    fn is_published(&self) -> bool;

    /// What is to be done by `now`.
    fn due(&self, now: OffsetDateTime) -> Vec<Command>;

    /// When to look again.
    fn deadline(&self, now: OffsetDateTime) -> Option<OffsetDateTime>;

    /// What a rotation on request asks for.
    ///
    /// # Errors
    /// A version is pending.
    fn rotation(&self, now: OffsetDateTime) -> Answer<Command>;

    /// What the rotation that ends a key that became known asks for.
    fn rotation_of_compromised(&self) -> Command;

    /// A new key.
    ///
    /// # Errors
    /// The backend fails.
    fn generate(cipher: Cipher) -> Answer<Self::Key>;

    /// Takes in a key that was asked for.
    ///
    /// # Errors
    /// It refuses.
    fn install(&mut self, version: u32, key: Self::Key, now: OffsetDateTime) -> Answer<()>;

    /// Takes in the key that replaces one that became known: it signs, and the others are dropped.
    ///
    /// # Errors
    /// It refuses.
    fn install_compromised(
        &mut self,
        version: u32,
        key: Self::Key,
        compromised: Compromised,
        now: OffsetDateTime,
    ) -> Answer<Replaced>;

    /// Destroys the key of a version that is over.
    ///
    /// # Errors
    /// It refuses.
    fn destroy(&mut self, version: u32, now: OffsetDateTime) -> Answer<()>;

    /// Its versions, for the audit log.
    fn notes(&self, now: OffsetDateTime) -> Vec<Note>;
}

/// What the audit log says of a version.
pub struct Note {
    /// Its number.
    pub version: u32,
    /// What verifiers know it by, and what that is called.
    pub identifier: Option<(&'static str, String)>,
    /// Whether its key is no more.
    pub destroyed: bool,
}

impl Kept for Ring {
    type Key = Material;
    const KIND: &'static str = "key";
    const ADVANCE: &'static str = "key-advance";
    const ROTATE: &'static str = "key-rotate";

    fn folder(tenant: &Name) -> String {
        layout::rings(tenant)
    }

    fn open(keks: &KekSet, place: &str, record: &[u8]) -> Result<Self, RecordError> {
        Self::from_sealed(keks, place, record)
    }

    fn seal(&self, kek: &Kek, place: &str) -> Result<Vec<u8>, RecordError> {
        self.to_sealed(kek, place, &mut random::rng())
    }

    fn name(&self) -> &Name {
        Ring::name(self)
    }

    fn is_published(&self) -> bool {
        self.signs_jwts()
    }

    fn due(&self, now: OffsetDateTime) -> Vec<Command> {
        self.advance(now)
    }

    fn deadline(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.next_deadline(now)
    }

    fn rotation(&self, now: OffsetDateTime) -> Answer<Command> {
        Ok(self.rotate(now)?)
    }

    fn rotation_of_compromised(&self) -> Command {
        self.rotate_compromised()
    }

    fn generate(cipher: Cipher) -> Answer<Material> {
        Material::generate(cipher, &mut random::rng()).map_err(ApiError::internal)
    }

    fn install(&mut self, version: u32, key: Material, now: OffsetDateTime) -> Answer<()> {
        // The key set is made from the store at each request: committing the ring is publishing it.
        let _publish = Ring::install(self, version, key, now)?;
        Ok(())
    }

    fn install_compromised(
        &mut self,
        version: u32,
        key: Material,
        compromised: Compromised,
        now: OffsetDateTime,
    ) -> Answer<Replaced> {
        Ok(Ring::install_compromised(self, version, key, compromised, now)?)
    }

    fn destroy(&mut self, version: u32, now: OffsetDateTime) -> Answer<()> {
        Ok(Ring::destroy(self, version, now)?)
    }

    fn notes(&self, now: OffsetDateTime) -> Vec<Note> {
        let note = |version: VersionView| Note {
            version: version.version,
            identifier: version.kid.map(|kid| ("kid", kid)),
            destroyed: version.destroyed,
        };
        self.view(now).versions.into_iter().map(note).collect()
    }
}

/// How often a change is decided again because something else was faster: another tower, or a change of the key's document.
const TRIES: usize = 32;

/// Where one stands.
pub fn place<K: Kept>(tenant: &Name, name: &Name) -> String {
    format!("{}{name}", K::folder(tenant))
}

/// One, its keys parsed.
///
/// # Errors
/// Those of the store.
pub async fn load<K: Kept>(db: &Db, tenant: &Name, name: &Name) -> Result<Option<Stored<Arc<K>>>, DbError> {
    db.load_sealed(&place::<K>(tenant, name), K::open).await
}

/// What stores one, with the entry for its next deadline.
///
/// # Errors
/// It cannot be sealed.
pub fn put<K: Kept>(app: &App, tenant: &Name, kept: &K) -> Answer<Vec<Write>> {
    let key = place::<K>(tenant, kept.name());
    let deadline = kept.deadline(app.clock.now());
    let mut writes: Vec<Write> = deadline.into_iter().flat_map(|at| due::entry(tenant, &key, at)).collect();
    let sealed = kept.seal(app.db.keyring().opened()?.keks().current(), &key).map_err(ApiError::internal)?;
    writes.push(Write::Put(key, sealed));
    Ok(writes)
}

/// What a rotation on request is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Add a version, which succeeds the active one as the schedule has it.
    Orderly,
    /// End the active version, or all, at once, because its key became known.
    Compromised(Compromised),
}

impl Rotation {
    /// What the audit log says of it.
    fn compromised(self) -> serde_json::Value {
        match self {
            Self::Orderly => false.into(),
            Self::Compromised(Compromised::All) => "all".into(),
            Self::Compromised(_) => true.into(),
        }
    }
}

/// What came of a rotation on request.
pub struct Rotated<K> {
    /// As it is stored.
    pub kept: K,
    /// What was dropped, if a key had become known.
    pub replaced: Option<Replaced>,
}

/// Adds a version on request. What came first is waited for and built upon, but for the end of what became known: that is of what the
/// caller saw.
///
/// # Errors
/// 409 while one is pending (unless the active one became known), when what became known was changed meanwhile, or when other towers
/// were faster all the time.
pub async fn rotate<K: Kept>(
    app: &App,
    tenant: &Name,
    seen: Stored<Arc<K>>,
    rotation: Rotation,
    actor: &Actor,
) -> Answer<Rotated<K>> {
    let name = seen.value.name();
    let _turn = app.turns.take(place::<K>(tenant, name)).await;
    for _ in 0..TRIES {
        let Some(stored) = load::<K>(&app.db, tenant, name).await? else { break };
        let mut kept = K::clone(&stored.value);
        let replaced = match rotation {
            Rotation::Orderly => {
                let command = kept.rotation(app.clock.now())?;
                perform(app, &mut kept, command).await?;
                None
            }
            Rotation::Compromised(_) if stored.revision != seen.revision => break,
            Rotation::Compromised(which) => Some(replace(app, &mut kept, which).await?),
        };
        let mut audit = actor.did(K::ROTATE, app.clock.now());
        if let Some(replaced) = &replaced {
            audit = audit.with("compromised", rotation.compromised()).with("dropped", replaced.dropped.clone());
        }
        if let Commit::Done(_) = commit(app, tenant, &stored, &kept, audit).await? {
            return Ok(Rotated { kept, replaced });
        }
    }
    Err(overtaken(K::KIND, name))
}

/// Changes a ring on request, which is decided on what those who came first made of it, and answers how the audit log has it.
///
/// # Errors
/// Those of the change; 409 when other towers were faster all the time.
pub async fn change(
    app: &App,
    tenant: &Name,
    name: &Name,
    change: impl Fn(&mut Ring, OffsetDateTime) -> Answer<AuditRecord>,
) -> Answer<()> {
    let _turn = app.turns.take(place::<Ring>(tenant, name)).await;
    for _ in 0..TRIES {
        let Some(stored) = load::<Ring>(&app.db, tenant, name).await? else { break };
        let mut ring = Ring::clone(&stored.value);
        let audit = change(&mut ring, app.clock.now())?;
        if let Commit::Done(_) = commit(app, tenant, &stored, &ring, audit).await? {
            return Ok(());
        }
    }
    Err(overtaken(Ring::KIND, name))
}

fn overtaken(kind: &str, name: &Name) -> ApiError {
    ApiError::conflict(format!(
        "the {kind} `{name}` was changed meanwhile: look at what it is now before you repeat this"
    ))
}

/// Replaces the key of the active version on a copy.
async fn replace<K: Kept>(app: &App, kept: &mut K, which: Compromised) -> Answer<Replaced> {
    let Command::Generate { cipher, version } = kept.rotation_of_compromised() else {
        return Err(ApiError::internal("the end of a compromised key asks for no other"));
    };
    let key = app.compute(move || K::generate(cipher)).await??;
    kept.install_compromised(version, key, which, app.clock.now())
}

/// Does what time asks of a ring, if anything, and answers when to come again.
///
/// # Errors
/// Those of the store; then nothing was changed, and the same call does it later.
pub async fn advance<K: Kept>(app: &App, tenant: &Name, name: &Name) -> Answer<Option<OffsetDateTime>> {
    let _turn = app.turns.take(place::<K>(tenant, name)).await;
    for _ in 0..TRIES {
        let Some(stored) = load::<K>(&app.db, tenant, name).await? else { return Ok(None) };
        let commands = stored.value.due(app.clock.now());
        if commands.is_empty() {
            return Ok(stored.value.deadline(app.clock.now()));
        }
        let mut kept = K::clone(&stored.value);
        for command in commands {
            perform(app, &mut kept, command).await?;
        }
        let audit = Actor::task(tenant, "rotate").did(K::ADVANCE, app.clock.now());
        if let Commit::Done(_) = commit(app, tenant, &stored, &kept, audit).await? {
            return Ok(kept.deadline(app.clock.now()));
        }
    }
    // Another tower is at it.
    Ok(Some(app.clock.now()))
}

/// Does one command on a copy. Keys are made outside the request loop: RSA takes tens of milliseconds and more.
///
/// # Errors
/// The backend fails, or the ring refuses.
pub async fn perform<K: Kept>(app: &App, kept: &mut K, command: Command) -> Answer<()> {
    match command {
        Command::Generate { cipher, version } => {
            let key = app.compute(move || K::generate(cipher)).await??;
            kept.install(version, key, app.clock.now())
        }
        Command::Destroy { version } => kept.destroy(version, app.clock.now()),
        _ => Ok(()),
    }
}

async fn commit<K: Kept>(
    app: &App,
    tenant: &Name,
    stored: &Stored<Arc<K>>,
    kept: &K,
    audit: AuditRecord,
) -> Answer<Commit> {
    let now = app.clock.now();
    let mut audit = audit.with(K::KIND, kept.name().as_str());
    let before = stored.value.notes(now);
    let mut destroyed = Vec::new();
    for note in kept.notes(now) {
        match before.iter().find(|earlier| earlier.version == note.version) {
            None => {
                audit = audit.with("version", note.version);
                if let Some((name, value)) = note.identifier {
                    audit = audit.with(name, value);
                }
            }
            Some(earlier) if note.destroyed && !earlier.destroyed => destroyed.push(note.version),
            Some(_) => {}
        }
    }
    if !destroyed.is_empty() {
        audit = audit.with("destroyed", destroyed);
    }
    let (mut guards, mut writes) = (vec![stored.guard()], put(app, tenant, kept)?);
    if kept.is_published() {
        publication::changes(app, tenant, now).await?.add_to(&mut guards, &mut writes);
    }
    app.commit(guards, writes, audit).await
}

/// The guard for a ring that must be as it was read, or absent.
pub fn guard<K: Kept>(tenant: &Name, name: &Name, stored: Option<&Stored<Arc<K>>>) -> Guard {
    stored.map_or_else(|| Guard::Absent(place::<K>(tenant, name)), Stored::guard)
}
