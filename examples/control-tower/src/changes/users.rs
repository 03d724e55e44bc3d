//! What follows from a change of the documents of users.

use axum::http::StatusCode;
use keyward_config_tree::{Change, Document, FieldError, Path, Plan};
use keyward_config_values::Name;
use keyward_webauthn_login::{Email, UserConfig, UserRecord, hash_new_password};
use serde_json::{Value, json};

use super::{Changes, name_in};
use crate::{
    db::Stored,
    documents::{PROVIDERS, USERS},
    http::error::{Answer, ApiError},
    layout,
    login::{
        providers::{self, ProviderConfig},
        users,
    },
    random,
    store::{Guard, Write},
    tenant::Tenant,
};

/// The fields that are taken and never written again.
const SECRETS: [&str; 2] = ["password", "password-hash"];

/// The user that a document is of.
pub(super) fn name_of_user(path: &Path) -> Option<&str> {
    path.as_str().strip_prefix(USERS)?.strip_prefix('/')
}

/// A document as it is kept: without what is taken and never written again.
pub(super) fn without_secrets(path: &Path, document: &mut Value) {
    let secrets: &[&str] = match (name_of_user(path), name_in(path, PROVIDERS)) {
        (Some(_), _) => &SECRETS,
        (None, Some(_)) => &[providers::SECRET],
        (None, None) => return,
    };
    if let Some(fields) = document.as_object_mut() {
        fields.retain(|field, _| !secrets.contains(&field.as_str()));
    }
}

/// Passwords that were not taken.
pub(super) fn warnings(plan: &Plan) -> Vec<Value> {
    let mut warnings = Vec::new();
    for change in plan.outcomes().iter().map(|outcome| outcome.change()) {
        let (Some(_), Some(after)) = (change.before(), change.after()) else { continue };
        let given = SECRETS.into_iter().filter(|field| after.fields().contains_key(*field));
        for field in given.filter(|_| name_of_user(change.path()).is_some()) {
            let warning =
                "it is taken when the user is made, and was not looked at; an enrolment link sets another one";
            warnings.push(json!({"path": change.path().as_str(), "field": field, "warning": warning}));
        }
    }
    warnings
}

impl Changes<'_> {
    /// Makes, changes or removes a user. A dry run hashes no password.
    pub(super) async fn user(&mut self, name: &str, change: &Change, dry_run: bool) -> Answer<()> {
        let path = change.path();
        let email = name.parse::<Email>().ok().filter(|email| email.as_str() == name);
        let Some(email) = email else {
            if change.after().is_none() {
                return Ok(());
            }
            let written: Option<Email> = name.parse().ok();
            let written = written.map_or_else(|| "such as `ann@example.com`".to_owned(), |email| format!("`{email}`"));
            let error = FieldError::new("name", "it is not written as addresses are kept here");
            return Err(self.refuse(
                StatusCode::BAD_REQUEST,
                path,
                error.with_remedy(format!("write it as {written}")),
            ));
        };
        let key = layout::user(&self.tenant, email.as_str());
        let stored = users::get(&self.app.db, &self.tenant, email.as_str()).await?;
        self.guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
        let keeps_out = |document: &Document| document.fields().get("locked") == Some(&Value::Bool(true));
        if self.user.as_deref() == Some(name) && stored.is_some() && change.after().is_none_or(keeps_out) {
            let error = FieldError::new("locked", "this is you: nobody locks or removes themselves");
            let error = error.with_remedy("let another administrator do it");
            return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error));
        }
        let Some(document) = change.after() else {
            if let Some(stored) = &stored {
                self.writes.extend(users::remove(&self.app.db, &self.tenant, &stored.value, self.now)?);
            }
            return Ok(());
        };
        let config: UserConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        let user = match &stored {
            Some(stored) => {
                let mut record = stored.value.record().clone();
                config.apply(&mut record, self.now);
                stored.value.changed(record, self.now)
            }
            None => {
                let record = self.new_user(&config, dry_run).await?;
                users::new(&self.app.db, &self.tenant, record, self.now).await?
            }
        };
        self.refuse_bound_elsewhere(path, &key, user.record()).await?;
        let former = stored.as_ref().map(|stored| &*stored.value);
        self.writes.extend(users::put(&self.app.db, &self.tenant, former, &user)?);
        Ok(())
    }

    async fn new_user(&self, config: &UserConfig, dry_run: bool) -> Answer<UserRecord> {
        let tenant = Tenant::by_id(&self.app.db, self.tenant.as_str()).await?;
        let tenant = tenant.ok_or_else(|| ApiError::internal("a tenant is gone"))?.value.name.clone();
        let mut record = config.create(tenant, &mut random::rng(), self.now);
        if let Some(hash) = &config.password_hash {
            record.import_password(hash.clone());
        }
        if let Some(password) = config.password.as_ref().filter(|_| !dry_run) {
            let job = hash_new_password(password.to_password(), &config.name, self.app.realm.secret());
            let job = job.map_err(|error| ApiError::invalid(error.to_string()))?;
            record.set_password(&self.app.compute(move || job.run()).await?.map_err(ApiError::internal)?);
        }
        Ok(record)
    }

    /// The secret of a provider stands apart from its document, and stays where a change does not name another one. It is for whoever it
    /// was given for: somebody who can change the document and does not know the secret has it sent to nobody else.
    pub(super) async fn provider(&mut self, name: &Name, change: &Change) -> Answer<()> {
        let key = layout::provider_secret(&self.tenant, name.as_str());
        let Some(document) = change.after() else {
            self.writes.push(Write::Delete(key));
            return Ok(());
        };
        let config: ProviderConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        // Whoever runs the tower may try a provider on its machine; others are not to find out what else listens there.
        if config.issuer.starts_with("http://") && !self.app.is_operators(&self.tenant) {
            let error = FieldError::new("issuer", "it is without TLS").with_remedy("use `https`");
            return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, change.path(), error));
        }
        match &config.client_secret {
            Some(secret) if secret.expose().is_empty() => self.writes.push(Write::Delete(key)),
            Some(secret) => self.writes.push(self.app.db.put(key, secret.expose().as_bytes())?),
            None => {
                let former = change.before().map(keyward_config_tree::Document::to::<ProviderConfig>);
                let is_other = former.and_then(Result::ok).is_some_and(|former| former.issuer != config.issuer);
                if is_other && self.app.db.store().get(&key).await?.is_some() {
                    let error = FieldError::new(providers::SECRET, "the one that is kept was given for another issuer")
                        .with_remedy("give the one of this issuer, or an empty one");
                    return Err(self.refuse(StatusCode::BAD_REQUEST, change.path(), error));
                }
            }
        }
        Ok(())
    }

    /// Somebody at a provider is one user of a tenant.
    async fn refuse_bound_elsewhere(&mut self, path: &Path, key: &str, user: &UserRecord) -> Answer<()> {
        for (at, binding) in user.bindings().iter().enumerate() {
            let index = layout::user_binding(&self.tenant, binding);
            let found = self.app.db.get(&index).await?;
            let others = found.as_ref().is_some_and(|found| found.value.as_slice() != key.as_bytes());
            let removed = self.writes.iter().any(|write| matches!(write, Write::Delete(gone) if *gone == index));
            let taken = self.writes.iter().any(|write| matches!(write, Write::Put(put, _) if *put == index));
            if (others && !removed) || taken {
                let field = keyward_config_tree::Field::root().key("external").index(at);
                let error = FieldError::new(field, "another user of the tenant is this one already")
                    .with_remedy("bind each user at a provider to one user");
                return Err(self.refuse(StatusCode::CONFLICT, path, error));
            }
            self.guards.push(found.as_ref().map_or_else(|| Guard::Absent(index), Stored::guard));
        }
        Ok(())
    }
}
