//! What can log in by a document now, and how its keys are.

use std::sync::Arc;

use keyward_svid::{bundle::Bundle, refresh::Failure};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Inbound, KeysFrom};
use crate::{app::App, federation, http::error::Answer, moment};

/// How a login by SVID is, for operators.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoginState {
    name: String,
    trust_domain: String,
    /// How many there are.
    spiffe_id_patterns: usize,
    keys_from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    has_keys: bool,
    /// The kinds of SVIDs that there are keys for.
    accepts: Vec<&'static str>,
    jwt_keys: usize,
    x509_authorities: usize,
    #[serde(flatten)]
    fetching: Fetching,
    /// Why there is no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Of keys that are fetched: how that goes.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Fetching {
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<String>,
    next_fetch: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Value>,
}

impl Fetching {
    pub(super) fn new(
        age: Option<time::Duration>,
        fetched: Option<OffsetDateTime>,
        next: OffsetDateTime,
        failure: Option<&Failure>,
    ) -> Self {
        Self {
            age: age.map(time::Duration::whole_seconds),
            fetched: fetched.map(moment::text),
            next_fetch: moment::text(next),
            last_error: failure.map(
                |failure| json!({"at": moment::text(failure.at), "reason": failure.reason, "count": failure.count}),
            ),
        }
    }
}

impl Inbound {
    /// Where the keys come from, whether they are there, how old they are, and what they can verify. Nothing is fetched.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn state(&self, app: &App) -> Answer<LoginState> {
        let config = self.config();
        let mut state = LoginState {
            name: config.name.to_string(),
            trust_domain: config.trust_domain.to_string(),
            spiffe_id_patterns: config.spiffe_id_patterns.len(),
            ..LoginState::default()
        };
        match config.source() {
            KeysFrom::Uri(url) => {
                (state.keys_from, state.url) = ("jwks-uri", Some(url.to_string()));
                match self.source(app, url.as_str()) {
                    Ok(source) => (state.jwt_keys, state.fetching) = source.state(app.clock.now()),
                    Err(problem) => state.problem = Some(problem),
                }
            }
            KeysFrom::Keys(_) => {
                state.keys_from = "jwks";
                state.jwt_keys = self.static_keys().map_or(0, |keys| keys.keys().keys().len());
            }
            KeysFrom::Bundle(_) => {
                state.keys_from = "bundle";
                state.take(self.bundle(app).await?);
            }
            KeysFrom::TrustDomain => self.state_of_trust_domain(app, &mut state).await?,
        }
        let kinds = [("jwt-svid", state.jwt_keys), ("x509-svid", state.x509_authorities)];
        state.accepts = kinds.into_iter().filter(|(_, keys)| *keys > 0).map(|(kind, _)| kind).collect();
        state.has_keys = !state.accepts.is_empty();
        Ok(state)
    }

    async fn state_of_trust_domain(&self, app: &App, state: &mut LoginState) -> Answer<()> {
        let (tenant, trust_domain) = (self.tenant(), &self.config().trust_domain);
        state.take(self.bundle(app).await?);
        state.keys_from = "nowhere";
        if federation::own_trust_domain(app, tenant).await?.as_ref() == Some(trust_domain) {
            state.keys_from = "own-trust-domain";
        } else if let Some(partner) = federation::partner(app, tenant, trust_domain).await? {
            let status = partner.value.relationship.status(app.clock.now());
            state.keys_from = "federation";
            state.fetching = Fetching::new(status.age, status.fetched_at, status.next_poll, status.last_error);
        }
        Ok(())
    }
}

impl LoginState {
    fn take(&mut self, bundle: Option<Result<Arc<Bundle>, String>>) {
        match bundle {
            Some(Ok(bundle)) => {
                self.jwt_keys = bundle.jwt().keys().keys().len();
                self.x509_authorities = bundle.x509().authorities().len();
            }
            Some(Err(problem)) => self.problem = Some(problem),
            None => {}
        }
    }
}
