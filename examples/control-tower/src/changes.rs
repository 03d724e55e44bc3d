//! A change of the configuration: planned on what is there, authorized document by document, turned into what the store has
//! to write, and committed as one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::http::StatusCode;
use keyward_approle::{Operation as Permission, Role, RoleConfig};
use keyward_config_tree::{
    Bulk, Change, Document, Effect, Field, FieldError, IfMatch, Operation, Path, Plan, Revision, plan,
};
use keyward_config_values::Name;
use keyward_svid::{
    SpiffeSettings,
    relying_party::{RelyingParty, TokenShape, check},
};
use keyward_transit::{Issuing, Ring, RingConfig};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    app::{App, Commit},
    db::Stored,
    documents::{KEYS, ROLES},
    http::{
        caller::Caller,
        error::{Answer, ApiError},
    },
    identity::{self, Identity, SETTINGS},
    layout, random, rings,
    store::{Guard, Write, snapshot},
};

/// How often a change is planned again because another one came first.
const TRIES: usize = 16;
/// How much of a refusal's text is recorded, in characters.
const REASON: usize = 500;

/// What a client relies on.
#[derive(Clone)]
pub struct Precondition {
    /// Where the document stands.
    pub key: String,
    /// What it must be.
    pub condition: Condition,
}

/// A condition of RFC 9110 §13.1.
#[derive(Clone)]
pub enum Condition {
    /// `If-Match`: it is what the client last saw.
    Match(IfMatch),
    /// `If-None-Match: *`: there is none.
    Absent,
}

impl Condition {
    fn allows(&self, current: Option<Revision>) -> bool {
        match self {
            Self::Match(condition) => condition.allows(current),
            Self::Absent => current.is_none(),
        }
    }
}

/// The answer to a change.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Whether anything differs from before.
    pub changed: bool,
    /// In one sentence.
    pub summary: String,
    /// What became of each document, in order.
    pub documents: Vec<DocumentResult>,
    /// What is accepted and may still surprise.
    pub warnings: Vec<Value>,
    /// The revision of the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// What became of one document.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DocumentResult {
    /// Its number in the bulk, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// Its path.
    pub path: String,
    /// What was asked.
    pub operation: String,
    /// What happened: `created`, `replaced`, `merged`, `deleted` or `unchanged`.
    pub effect: &'static str,
    /// Of a key with a schedule: the life of its versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Value>,
}

/// Plans and commits a change, or only plans it. A refusal is recorded, unless nothing was to be changed.
///
/// # Errors
/// The first mistake; nothing was changed then.
pub async fn apply(
    app: &App,
    caller: &Caller,
    bulk: &Bulk,
    precondition: Option<Precondition>,
    dry_run: bool,
) -> Answer<Applied> {
    let result = try_apply(app, caller, bulk, precondition, dry_run).await;
    if !dry_run && let Err(error) = &result {
        note_refusal(app, caller, error);
    }
    result
}

/// Records that a change was refused, and why. Such texts hold no values of fields that may be secrets.
pub fn note_refusal(app: &App, caller: &Caller, error: &ApiError) {
    // A denial is on record already.
    if error.status().is_client_error() && error.status() != StatusCode::FORBIDDEN {
        let reason: String = error.message().chars().take(REASON).collect();
        app.refuse(caller.actor().refused("config", &reason, app.clock.now()));
    }
}

async fn try_apply(
    app: &App,
    caller: &Caller,
    bulk: &Bulk,
    precondition: Option<Precondition>,
    dry_run: bool,
) -> Answer<Applied> {
    // Before the plan, whose errors tell what exists.
    for item in bulk.items() {
        let path = format!("/v1/config/{}", item.path());
        match item.operation() {
            Operation::Replace => {
                if let Err(denied) = caller.permit(app, Permission::Update, &path).await {
                    caller.permit(app, Permission::Create, &path).await.map_err(|_| denied)?;
                }
            }
            operation => caller.permit(app, permission(operation, Effect::Unchanged), &path).await?,
        }
    }
    for _ in 0..TRIES {
        let (mut changes, plan) = prepare(app, caller, bulk, precondition.as_ref()).await?;
        for outcome in plan.outcomes() {
            let needed = permission(outcome.operation(), outcome.effect());
            caller.permit(app, needed, &format!("/v1/config/{}", outcome.path())).await?;
        }
        if plan.is_unchanged() {
            return applied(app, caller, &plan, dry_run, None).await;
        }
        for change in plan.changes() {
            changes.document(change)?;
        }
        changes.effects(plan.changes(), dry_run).await?;
        if dry_run {
            return applied(app, caller, &plan, true, None).await;
        }
        let paths: Vec<Value> = plan
            .outcomes()
            .iter()
            .map(|outcome| json!({"path": outcome.path().as_str(), "effect": outcome.effect().as_str()}))
            .collect();
        let audit = caller.actor().did("config", changes.now).with("documents", paths);
        let Changes { guards, writes, .. } = changes;
        if let Commit::Done(revision) = app.commit(guards, writes, audit).await? {
            app.tasks.rings_changed();
            return applied(app, caller, &plan, false, Some(revision)).await;
        }
    }
    Err(ApiError::unavailable("the configuration is being changed by others all the time; try again"))
}

/// The permission that an operation with this effect needs.
fn permission(operation: Operation, effect: Effect) -> Permission {
    match (effect, operation) {
        (Effect::Created, _) | (Effect::Unchanged, Operation::Create) => Permission::Create,
        (Effect::Deleted, _) | (Effect::Unchanged, Operation::Delete) => Permission::Delete,
        _ => Permission::Update,
    }
}

/// What a change needs to know, and what it comes to.
struct Changes<'a> {
    app: &'a App,
    bulk: &'a Bulk,
    tenant: Name,
    now: OffsetDateTime,
    /// The documents of AppRoles as they were.
    roles: BTreeMap<Path, Document>,
    guards: Vec<Guard>,
    writes: Vec<Write>,
}

async fn prepare<'a>(
    app: &'a App,
    caller: &Caller,
    bulk: &'a Bulk,
    precondition: Option<&Precondition>,
) -> Answer<(Changes<'a>, Plan)> {
    let tenant = caller.tenant().clone();
    // The head is read first: a change between the two makes the commit fail, not slip through.
    let head_key = layout::config_head(&tenant);
    let head = app.db.store().get(&head_key).await?;
    let mut guards = vec![Guard::seen(&head_key, head.as_ref())];
    if let Some(Precondition { key, condition }) = precondition {
        let entry = app.db.store().get(key).await?;
        if !condition.allows(entry.as_ref().map(|entry| Revision::new(entry.revision))) {
            let message = match condition {
                Condition::Match(_) => {
                    "the document was changed meanwhile: read it again and repeat the change on what it is now"
                }
                Condition::Absent => "the document exists already",
            };
            return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, message));
        }
        guards.push(Guard::seen(key, entry.as_ref()));
    }
    let prefix = layout::documents(&tenant);
    let (_, entries) = snapshot(&**app.db.store(), &prefix).await?;
    let mut current: BTreeMap<Path, Document> = BTreeMap::new();
    for entry in entries {
        let opened = app.db.open(entry)?;
        let path = opened.key.strip_prefix(&prefix).and_then(|path| path.parse().ok());
        let path = path.ok_or_else(|| ApiError::internal(format!("a document stands at `{}`", opened.key)))?;
        current.insert(path, Document::from_json(&opened.value)?);
    }
    let plan = plan(&current, bulk, &app.schema)?;
    let writes = vec![Write::Put(head_key, Vec::new())];
    current.retain(|path, _| name_in(path, ROLES).is_some());
    Ok((Changes { app, bulk, tenant, now: app.clock.now(), roles: current, guards, writes }, plan))
}

async fn applied(app: &App, caller: &Caller, plan: &Plan, dry_run: bool, revision: Option<u64>) -> Answer<Applied> {
    let mut warnings: Vec<Value> = plan
        .warnings()
        .iter()
        .map(|warning| json!({"path": warning.path().as_str(), "field": warning.field().to_string(), "warning": format!("`{}` does not exist yet", warning.to())}))
        .collect();
    // The change is made: a store that fails at this moment costs warnings, not the answer.
    warnings.extend(relying_parties(app, caller, plan).await.unwrap_or_default());
    let documents = plan
        .outcomes()
        .iter()
        .map(|outcome| DocumentResult {
            document: outcome.document(),
            path: outcome.path().to_string(),
            operation: outcome.operation().to_string(),
            effect: outcome.effect().as_str(),
            timeline: timeline(outcome.path(), outcome.change().after()),
        })
        .collect();
    Ok(Applied { dry_run, changed: !plan.is_unchanged(), summary: plan.to_string(), documents, warnings, revision })
}

fn timeline(path: &Path, document: Option<&Document>) -> Option<Value> {
    path.as_str().strip_prefix(KEYS)?;
    let timeline = document?.to::<RingConfig>().ok()?.validate(None).ok()??;
    serde_json::to_value(timeline).ok()
}

/// What the relying parties that the roles of the change name by their audiences would refuse.
async fn relying_parties(app: &App, caller: &Caller, plan: &Plan) -> Answer<Vec<Value>> {
    let identity = Identity::load(&app.db, caller.tenant()).await?;
    let mut warnings = Vec::new();
    for outcome in plan.outcomes() {
        let path = outcome.path();
        let Some(document) = outcome.change().after().filter(|_| path.as_str().starts_with(ROLES)) else { continue };
        let Some(jwt) = document.to::<RoleConfig>().ok().and_then(|role| role.token_spiffe_jwt) else { continue };
        let issuer = identity.issuer(app)?.to_string();
        for party in jwt.jwt_audiences.iter().filter_map(|audience| RelyingParty::of_audience(audience)) {
            let mut shape = TokenShape::default();
            shape.audiences = &jwt.jwt_audiences;
            shape.issuer = Some(&issuer);
            shape.algorithm =
                identity.signer(app.clock.now()).ok().map(|signer| keyward_keys::Signer::algorithm(&signer));
            for warning in check(party, &shape) {
                warnings.push(
                    json!({"path": path.as_str(), "relying-party": party.as_str(), "warning": warning.to_string()}),
                );
            }
        }
    }
    Ok(warnings)
}

impl Changes<'_> {
    /// A refusal of a document, with its number and line in the bulk.
    fn refuse(&self, status: StatusCode, path: &Path, error: FieldError) -> ApiError {
        let item = self.bulk.items().iter().rev().find(|item| item.path() == path);
        let error = item.map_or_else(|| error.clone().at(path), |item| item.refuse(error.clone()));
        ApiError::from(error).with_status(status)
    }

    /// Writes or removes the document itself.
    fn document(&mut self, change: &Change) -> Answer<()> {
        let key = layout::document(&self.tenant, change.path().as_str());
        let write = match change.after() {
            Some(document) => {
                let bytes = serde_json::to_vec(&document.clone().into_value()).map_err(ApiError::internal)?;
                self.app.db.put(key, &bytes)?
            }
            None => Write::Delete(key),
        };
        self.writes.push(write);
        Ok(())
    }

    /// What follows from the documents: rings, the issuing state, roles. A dry run generates no keys.
    async fn effects(&mut self, changes: &[Change], dry_run: bool) -> Answer<()> {
        let stored = identity::issuing(&self.app.db, &self.tenant).await?;
        let mut issuing = stored.as_ref().map_or_else(Issuing::default, |stored| Issuing::clone(&stored.value));
        let mut rings = Rings::load(self, &issuing, changes).await?;
        for change in changes {
            if let Some(name) = name_in(change.path(), KEYS) {
                rings.change(self, &issuing, name, change, dry_run).await?;
            }
        }
        for change in changes {
            if let Some(name) = name_in(change.path(), ROLES) {
                self.role(&name, change).await?;
            } else if change.path().as_str() == SETTINGS && (!dry_run || change.after().is_none()) {
                self.settings(change, stored.as_ref(), &mut issuing, &mut rings)?;
            }
        }
        self.refuse_shared_role_ids().await?;
        self.tokens_outlive_no_signing_key(changes, &issuing, &rings)?;
        rings.write(self)
    }

    /// What the documents alone do not show: a key that was replaced signs on until verifiers know the next one, and a version
    /// that was replaced keeps the end that it was given. Neither may sign tokens that live longer than it verifies.
    fn tokens_outlive_no_signing_key(&self, changes: &[Change], issuing: &Issuing, rings: &Rings) -> Answer<()> {
        let about = |change: &&Change| {
            let path = change.path();
            name_in(path, ROLES).is_some() || name_in(path, KEYS).is_some() || path.as_str() == SETTINGS
        };
        let Some(changed) = changes.iter().rfind(about) else { return Ok(()) };
        let mut roles = self.roles.clone();
        for change in changes.iter().filter(|change| name_in(change.path(), ROLES).is_some()) {
            match change.after() {
                Some(document) => roles.insert(change.path().clone(), document.clone()),
                None => roles.remove(change.path()),
            };
        }
        let lives = roles.iter().filter_map(|(path, document)| {
            let role = document.to::<RoleConfig>().ok().filter(|role| role.token_spiffe_jwt.is_some())?;
            Some((role.longest_token_life(&self.app.limits), path))
        });
        let Some((life, role)) = lives.max_by_key(|(life, _)| *life) else { return Ok(()) };
        for key in issuing.rings() {
            let only = |name: &Name| rings.now.get(name).filter(|_| name == key);
            if let Err(error) = issuing.check_tokens(life, only, self.now) {
                let path = if changes.iter().any(|change| change.path() == role) { role } else { changed.path() };
                let text = error.to_string();
                let (message, remedy) = text.split_once("; ").unwrap_or((&text, "shorten the role's tokens"));
                let message = format!(
                    "tokens of the role `{}` live up to {life}, longer than the key `{key}`, which still signs, verifies them: {message}",
                    role.name()
                );
                let error = FieldError::new(Field::root(), message).with_remedy(remedy);
                return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error));
            }
        }
        Ok(())
    }

    fn settings(
        &mut self,
        change: &Change,
        stored: Option<&Stored<Arc<Issuing>>>,
        issuing: &mut Issuing,
        rings: &mut Rings,
    ) -> Answer<()> {
        let changed = match change.after() {
            Some(document) => {
                let settings: SpiffeSettings = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
                let mut ring = rings
                    .now
                    .get(&settings.jwt_signing_key)
                    .cloned()
                    .ok_or_else(|| ApiError::internal("the signing key is not loaded"))?;
                let before = ring.signs_jwts();
                let changed = issuing.switch(&mut ring, |name| rings.now.get(name), self.now)?;
                if ring.signs_jwts() != before {
                    rings.changed.insert(settings.jwt_signing_key.clone());
                }
                rings.now.insert(settings.jwt_signing_key, ring);
                changed
            }
            None => issuing.retire(|name| rings.now.get(name), self.now),
        };
        if changed {
            let key = layout::issuing(&self.tenant);
            self.guards.push(stored.map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
            let record = issuing.to_record().map_err(ApiError::internal)?;
            self.writes.push(self.app.db.put(key, &record)?);
        }
        Ok(())
    }

    async fn role(&mut self, name: &Name, change: &Change) -> Answer<()> {
        let key = layout::role(&self.tenant, name.as_str());
        let stored = self.app.db.load(&key, Role::decode).await?;
        self.guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
        let role = match change.after() {
            Some(document) => {
                let config: RoleConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
                let role = match &stored {
                    Some(stored) => stored.value.reconfigure(config),
                    None => Role::create(self.tenant.clone(), config, &mut random::rng()),
                };
                Some(role.map_err(|error| ApiError::invalid(format!("`{}`: {error}", change.path())))?)
            }
            None => None,
        };
        let index = |role: &Role| {
            format!("{}/{}/{name}", layout::role_id(&self.app.pepper.role_key(role.role_id())), self.tenant)
        };
        let (before, after) = (stored.as_ref().map(|stored| index(&stored.value)), role.as_ref().map(index));
        if before != after {
            self.writes.extend(after.map(|index| Write::Put(index, Vec::new())));
            self.writes.extend(before.map(Write::Delete));
        }
        match role {
            Some(role) => {
                let bytes = role.encode().map_err(ApiError::internal)?;
                self.writes.push(self.app.db.put(key, &bytes)?);
            }
            None => self.writes.push(Write::Delete(key)),
        }
        Ok(())
    }

    /// A role-id names one role of a tenant, once all roles of the change are made. (What other tenants use is not looked at:
    /// that would tell.)
    async fn refuse_shared_role_ids(&self) -> Answer<()> {
        // One role has it, or two since before this was checked for the whole of a change.
        const FEW: usize = 16;
        let mut indexes: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
        for write in &self.writes {
            let (Write::Put(key, _) | Write::Delete(key)) = write;
            if let Some((prefix, _)) = key.rsplit_once('/').filter(|_| key.starts_with(layout::ROLE_IDS)) {
                indexes.entry(prefix).or_default().push(write);
            }
        }
        for (prefix, writes) in indexes {
            let others = self.app.db.store().range(&format!("{prefix}/"), None, FEW, None).await?;
            let mut roles: BTreeSet<&str> = others.iter().map(|entry| entry.key.as_str()).collect();
            let mut added = None;
            for write in writes {
                match write {
                    Write::Put(key, _) => {
                        roles.insert(key);
                        added = key.rsplit('/').next();
                    }
                    Write::Delete(key) => drop(roles.remove(key.as_str())),
                }
            }
            if let Some(name) = added.filter(|_| roles.len() > 1) {
                let path: Path = format!("{ROLES}/{name}").parse().map_err(ApiError::internal)?;
                let error = FieldError::new("fixed-role-id", "another AppRole has this role-id")
                    .with_remedy("choose another one");
                return Err(self.refuse(StatusCode::CONFLICT, &path, error));
            }
        }
        Ok(())
    }
}

/// The name of a document in a collection.
fn name_in(path: &Path, collection: &str) -> Option<Name> {
    path.as_str().strip_prefix(collection)?.strip_prefix('/')?.parse().ok()
}

/// The rings that a change is about or that signing needs, as they are to be.
struct Rings {
    stored: BTreeMap<Name, Stored<Arc<Ring>>>,
    now: BTreeMap<Name, Ring>,
    changed: BTreeSet<Name>,
}

impl Rings {
    async fn load(changes: &Changes<'_>, issuing: &Issuing, list: &[Change]) -> Answer<Self> {
        let signing = list
            .iter()
            .filter(|change| change.path().as_str() == SETTINGS)
            .filter_map(|change| Some(change.after()?.to::<SpiffeSettings>().ok()?.jwt_signing_key));
        let touched = list.iter().filter_map(|change| name_in(change.path(), KEYS));
        let names: BTreeSet<Name> = issuing.rings().cloned().chain(signing).chain(touched).collect();
        let (mut stored, mut now) = (BTreeMap::new(), BTreeMap::new());
        for name in names {
            if let Some(ring) = identity::ring(&changes.app.db, &changes.tenant, &name).await? {
                now.insert(name.clone(), Ring::clone(&ring.value));
                stored.insert(name, ring);
            }
        }
        Ok(Self { stored, now, changed: BTreeSet::new() })
    }

    async fn change(
        &mut self,
        changes: &Changes<'_>,
        issuing: &Issuing,
        name: Name,
        change: &Change,
        dry_run: bool,
    ) -> Answer<()> {
        let path = change.path();
        let refuse = |error: keyward_transit::Error| {
            let (field, remedy) = match &error {
                keyward_transit::Error::Immutable { field, .. } => {
                    (Field::from(*field), "keep it, or make another key under another name")
                }
                _ => (Field::root(), "correct the document"),
            };
            let error = FieldError::new(field, error.to_string()).with_remedy(remedy);
            changes.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error)
        };
        let Some(document) = change.after() else {
            return self.delete(changes, issuing, name, path);
        };
        let config: RingConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        match self.now.get_mut(&name) {
            Some(ring) => {
                ring.reconfigure(config, changes.now).map_err(refuse)?;
            }
            None => {
                let mut ring = Ring::new(config, issuing.first_activation(), changes.now).map_err(refuse)?;
                if !dry_run {
                    for command in ring.advance(changes.now) {
                        rings::perform(changes.app, &mut ring, command).await?;
                    }
                }
                self.now.insert(name.clone(), ring);
            }
        }
        self.changed.insert(name);
        Ok(())
    }

    fn delete(&mut self, changes: &Changes<'_>, issuing: &Issuing, name: Name, path: &Path) -> Answer<()> {
        if issuing.needs(&name, |name| self.now.get(name), changes.now) {
            let error = FieldError::new(Field::root(), "verifiers still need this key")
                .with_remedy("delete it once the last token that it signed has expired");
            return Err(changes.refuse(StatusCode::CONFLICT, path, error));
        }
        if self.now.get(&name).is_some_and(|ring| !ring.config().deletion_allowed) {
            let error = FieldError::new(Field::root(), "what was encrypted or signed with this key is lost with it")
                .with_remedy("set `deletion-allowed: true` first");
            return Err(changes.refuse(StatusCode::CONFLICT, path, error));
        }
        self.now.remove(&name);
        self.changed.insert(name);
        Ok(())
    }

    /// What stores the changed ones.
    fn write(&self, changes: &mut Changes<'_>) -> Answer<()> {
        for name in &self.changed {
            changes.guards.push(rings::guard(&changes.tenant, name.as_str(), self.stored.get(name)));
            changes.writes.push(match self.now.get(name) {
                Some(ring) => rings::put(changes.app, &changes.tenant, ring)?,
                None => Write::Delete(layout::ring(&changes.tenant, name.as_str())),
            });
        }
        Ok(())
    }
}
