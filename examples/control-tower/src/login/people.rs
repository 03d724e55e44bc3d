//! Users as their administrators see them: locked and unlocked, given enrolment links, removed.
//!
//! What a document `strongbox/authentication/users/<email>` says is changed together with the user; users without a document, such as
//! the first administrator, are changed alone. Each operation asks the policies for `execute` on
//! `/v1/state/strongbox/authentication/users/<email>/<operation>`.

use std::collections::BTreeSet;

use keyward_approle::Operation;
use keyward_config_values::Duration;
use keyward_webauthn_login::{Email, EnrolmentLink, Method, UserRecord};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::users::{self, StoredUser};
use crate::{
    app::{App, Commit},
    documents::USERS,
    http::{
        caller::Caller,
        error::{Answer, ApiError},
    },
    layout, moment, random,
    store::{Guard, Write},
};

/// Where the operations are.
pub const PATH: &str = "/v1/state/strongbox/authentication/users";

/// How often an operation is decided again because its user was changed meanwhile.
const TRIES: usize = 16;
/// How long an enrolment link is good for, where nothing else is said: an hour.
const LINK: u64 = 3600;

/// A user as administrators see them: nothing that proves who it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Person {
    /// The address.
    pub name: Email,
    /// What people read.
    pub display_name: String,
    /// The names of their policies.
    pub policies: Vec<keyward_config_values::Name>,
    /// What every login must prove.
    pub enforced_methods: BTreeSet<Method>,
    /// What they have.
    pub methods: BTreeSet<Method>,
    /// How many passkeys.
    pub passkeys: usize,
    /// How many recovery codes are left.
    pub recovery_codes: usize,
    /// The providers at which they are somebody.
    pub external: Vec<keyward_config_values::Name>,
    /// Since when they are kept out.
    #[serde(serialize_with = "moment::serialize_some")]
    pub locked: Option<OffsetDateTime>,
    /// Whether somebody else chose the password.
    pub password_is_temporary: bool,
    /// When they were made.
    #[serde(serialize_with = "moment::serialize")]
    pub created: OffsetDateTime,
    /// When somebody last logged in as them.
    #[serde(serialize_with = "moment::serialize_some")]
    pub last_login: Option<OffsetDateTime>,
    /// Whether there is a document for them.
    pub configured: bool,
}

impl Person {
    fn of(user: &UserRecord, configured: bool) -> Self {
        let has = user.has();
        let methods = [(Method::Password, has.password), (Method::Totp, has.totp), (Method::Passkey, has.passkey)];
        Self {
            name: user.identity().email.clone(),
            display_name: user.display_name().to_owned(),
            policies: user.policies().to_vec(),
            enforced_methods: user.enforced().clone(),
            methods: methods.into_iter().filter(|(_, has)| *has).map(|(method, _)| method).collect(),
            passkeys: user.passkeys().count(),
            recovery_codes: user.recovery_codes_left(),
            external: user.bindings().iter().map(|binding| binding.provider.clone()).collect(),
            locked: user.locked(),
            password_is_temporary: user.password_is_temporary(),
            created: user.created(),
            last_login: user.last_login(),
            configured,
        }
    }
}

fn document(caller: &Caller, name: &str) -> String {
    layout::document(caller.tenant(), &format!("{USERS}/{name}"))
}

/// The users of the caller's tenant behind a name, and whether there are more.
///
/// # Errors
/// 403; those of the store.
pub async fn list(app: &App, caller: &Caller, after: &str, limit: usize) -> Answer<(Vec<Person>, bool)> {
    caller.permit(app, Operation::Read, PATH).await?;
    let prefix = layout::users(caller.tenant());
    let after = (!after.is_empty()).then(|| format!("{prefix}{after}"));
    let mut entries = app.db.store().range(&prefix, after.as_deref(), limit + 1, None).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let mut people = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = entry.key.strip_prefix(&prefix).unwrap_or_default();
        let configured = app.db.store().get(&document(caller, name)).await?.is_some();
        let stored = users::get(&app.db, caller.tenant(), name).await?;
        people.extend(stored.map(|user| Person::of(user.value.record(), configured)));
    }
    Ok((people, more))
}

/// One of them.
///
/// # Errors
/// 403, 404; those of the store.
pub async fn one(app: &App, caller: &Caller, name: &str) -> Answer<Person> {
    caller.permit(app, Operation::Read, &format!("{PATH}/{name}")).await?;
    let user = named(app, caller, name).await?;
    let configured = app.db.store().get(&document(caller, name)).await?.is_some();
    Ok(Person::of(user.value.record(), configured))
}

async fn named(app: &App, caller: &Caller, name: &str) -> Answer<StoredUser> {
    let missing = || ApiError::not_found(format_args!("the user `{name}`"));
    // By one spelling alone, because policies are about paths.
    name.parse::<Email>().ok().filter(|email| email.as_str() == name).ok_or_else(missing)?;
    users::get(&app.db, caller.tenant(), name).await?.ok_or_else(missing)
}

/// Keeps a user out, whatever they prove, or lets them in again. Sessions, tokens and logins that are under way end with the lock.
///
/// # Errors
/// 403, 404; 422 for who would lock themselves; those of the store.
pub async fn set_locked(app: &App, caller: &Caller, name: &str, locked: bool) -> Answer<()> {
    let operation = if locked { "lock" } else { "unlock" };
    let event = if locked { "user-lock" } else { "user-unlock" };
    caller.permit(app, Operation::Execute, &format!("{PATH}/{name}/{operation}")).await?;
    if locked {
        refuse_own(caller, name)?;
    }
    for _ in 0..TRIES {
        let user = named(app, caller, name).await?;
        let now = app.clock.now();
        let mut record = user.value.record().clone();
        if locked {
            record.lock(now)
        } else {
            record.unlock()
        }
        let mut change = Change::of(app, caller, &user, record, now)?;
        change
            .document(|document| {
                document.insert("locked".to_owned(), locked.into());
            })
            .await?;
        if change.commit(event).await? {
            return Ok(());
        }
    }
    Err(busy())
}

/// Nobody locks or removes themselves, so that of the users who may administer others one is always left.
fn refuse_own(caller: &Caller, name: &str) -> Answer<()> {
    match caller.user() == Some(name) {
        true => Err(ApiError::inapplicable(OWN)),
        false => Ok(()),
    }
}

/// What is said to who tries.
pub const OWN: &str = "this is you: nobody locks or removes themselves; let another administrator do it";

fn busy() -> ApiError {
    ApiError::conflict("the user is being changed by others all the time; try again")
}

/// A link by which a user sets up what proves them: good once, and for a short time.
pub struct Link {
    /// To be handed over. Its page shows a button; only that opens it.
    pub url: Zeroizing<String>,
    /// Until when.
    pub expires: OffsetDateTime,
    /// What it sets up.
    pub methods: BTreeSet<Method>,
}

/// Makes an enrolment link for a user: for the methods that are named; otherwise for what is enforced and not there, or else a password.
/// With `reset` these methods are taken away first, all that the user has where none is named, and sessions and tokens end.
///
/// # Errors
/// 403, 404; 422 for a user who is locked; those of the store.
pub async fn link(
    app: &App,
    caller: &Caller,
    name: &str,
    methods: Option<BTreeSet<Method>>,
    ttl: Option<Duration>,
    reset: bool,
) -> Answer<Link> {
    let operation = if reset { "reset" } else { "enrolment-link" };
    let event = if reset { "user-reset" } else { "user-enrolment-link" };
    caller.permit(app, Operation::Execute, &format!("{PATH}/{name}/{operation}")).await?;
    let ttl = match ttl {
        Some(ttl) => ttl,
        None => Duration::from_secs(LINK).map_err(ApiError::internal)?,
    };
    let most = app.realm.settings().link_time;
    if ttl > most {
        return Err(ApiError::invalid(format!("`ttl` is at most {most}")));
    }
    if methods.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(ApiError::invalid(
            "`methods` names at least one of `password`, `totp` and `passkey`, or is left out",
        ));
    }
    for _ in 0..TRIES {
        let user = named(app, caller, name).await?;
        if user.value.record().locked().is_some() {
            return Err(ApiError::inapplicable(
                "the user is locked, and a link would let nobody in; unlock them first",
            ));
        }
        let now = app.clock.now();
        let mut record = user.value.record().clone();
        let all = [Method::Password, Method::Totp, Method::Passkey];
        if reset {
            record.reset(&methods.clone().unwrap_or_else(|| all.into()));
        }
        let has = record.has();
        let lacks = |method: &Method| match method {
            Method::Password => !has.password,
            Method::Totp => !has.totp,
            Method::Passkey => !has.passkey,
        };
        let methods = methods.clone().unwrap_or_else(|| {
            let mut asked: BTreeSet<Method> = record.enforced().iter().copied().filter(lacks).collect();
            if asked.is_empty() || (reset && !record.enforced().contains(&Method::Passkey)) {
                asked.insert(Method::Password);
            }
            asked
        });
        let settings = app.realm.settings();
        let (token, link) = EnrolmentLink::issue(&record, methods.clone(), ttl, settings, &mut random::rng(), now);
        let mut change = Change::of(app, caller, &user, record, now)?;
        let bytes = link.encode().map_err(ApiError::internal)?;
        let index = format!("{}{}", layout::tenant_links(caller.tenant()), link.key());
        change.writes.extend(app.put_until(layout::enrolment_link(&link.key()), &bytes, link.expires())?);
        change.writes.push(Write::Put(layout::expiry(link.expires(), &index), Vec::new()));
        change.writes.push(Write::Put(index, Vec::new()));
        if change.commit(event).await? {
            let url = Zeroizing::new(format!("{}/enrol/{}", app.external_url, token.expose()));
            return Ok(Link { url, expires: link.expires(), methods });
        }
    }
    Err(busy())
}

/// Removes a user, with their document if there is one. Sessions and tokens end.
///
/// # Errors
/// 403, 404; 422 for oneself; those of the store.
pub async fn remove(app: &App, caller: &Caller, name: &str) -> Answer<()> {
    caller.permit(app, Operation::Execute, &format!("{PATH}/{name}/remove")).await?;
    refuse_own(caller, name)?;
    for _ in 0..TRIES {
        let user = named(app, caller, name).await?;
        let mut change = Change {
            app,
            caller,
            guards: vec![user.guard()],
            writes: users::remove(&app.db, caller.tenant(), &user.value, app.clock.now())?,
            name,
        };
        let key = document(caller, name);
        if let Some(entry) = app.db.store().get(&key).await? {
            change.guards.push(Guard::seen(&key, Some(&entry)));
            change.writes.push(Write::Delete(key));
            change.head().await?;
        }
        if change.commit("user-remove").await? {
            return Ok(());
        }
    }
    Err(busy())
}

/// A change of a user, and of their document with it.
struct Change<'a> {
    app: &'a App,
    caller: &'a Caller,
    guards: Vec<Guard>,
    writes: Vec<Write>,
    name: &'a str,
}

impl<'a> Change<'a> {
    fn of(
        app: &'a App,
        caller: &'a Caller,
        user: &'a StoredUser,
        record: UserRecord,
        now: OffsetDateTime,
    ) -> Answer<Self> {
        let changed = user.value.changed(record, now);
        let writes = users::put(&app.db, caller.tenant(), Some(&user.value), &changed)?;
        let name = user.value.record().identity().email.as_str();
        Ok(Self { app, caller, guards: vec![user.guard()], writes, name })
    }

    /// Changes the document too, if there is one.
    async fn document(&mut self, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Answer<()> {
        let Some(stored) = self.app.db.get(&document(self.caller, self.name)).await? else { return Ok(()) };
        let mut value: Value = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
        if let Some(fields) = value.as_object_mut() {
            change(fields);
        }
        let bytes = serde_json::to_vec(&value).map_err(ApiError::internal)?;
        self.guards.push(stored.guard());
        self.writes.push(self.app.db.put(stored.key, &bytes)?);
        self.head().await
    }

    /// Changes of the configuration happen one after the other.
    async fn head(&mut self) -> Answer<()> {
        let head = layout::config_head(self.caller.tenant());
        let found = self.app.db.store().get(&head).await?;
        self.guards.push(Guard::seen(&head, found.as_ref()));
        self.writes.push(Write::Put(head, Vec::new()));
        Ok(())
    }

    /// Whether nobody was faster.
    async fn commit(mut self, event: &'static str) -> Answer<bool> {
        let living = self.app.living(self.caller.tenant()).await?;
        let gone = || ApiError::unauthenticated(keyward_approle::TOKEN_REFUSED);
        self.guards.extend(living.ok_or_else(gone)?);
        let audit = self.caller.actor().did(event, self.app.clock.now()).with("user", self.name);
        Ok(matches!(self.app.commit(self.guards, self.writes, audit).await?, Commit::Done(_)))
    }
}
