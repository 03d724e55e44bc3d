//! Counters and gauges for Prometheus.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyward_config_values::Name;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use keyward_svid::federation::State;

use crate::{app::App, federation::Place};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Login {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Task {
    task: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Relationship {
    tenant: String,
    trust_domain: String,
}

impl Relationship {
    fn at(place: &Place) -> Self {
        Self { tenant: place.0.to_string(), trust_domain: place.1.to_string() }
    }
}

/// What the tower counts while it runs.
#[derive(Default)]
pub struct Metrics {
    logins: Family<Login, Counter>,
    transit: Family<Operation, Counter>,
    federation_failures: Mutex<BTreeMap<Place, u64>>,
    rate_limited: Family<Limited, Counter>,
    /// Requests that were refused and recorded as such.
    pub refusals: Counter,
    /// Records that expired and were removed.
    pub expired: Counter,
}

impl Metrics {
    /// Counts a login.
    pub fn login(&self, method: &'static str, granted: bool) {
        let outcome = if granted { "granted" } else { "refused" };
        self.logins.get_or_create(&Login { method, outcome }).inc();
    }

    /// Counts a bundle that could not be fetched, or was refused.
    pub fn federation_failure(&self, place: &Place) {
        *self.failures().entry(place.clone()).or_default() += 1;
    }

    /// Stops counting for a tenant that is gone.
    pub fn forget_tenant(&self, tenant: &Name) {
        self.failures().retain(|place, _| place.0 != *tenant);
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<Place, u64>> {
        self.federation_failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, or a connection, that was one too many.
    pub fn rate_limited(&self, what: &'static str) {
        self.rate_limited.get_or_create(&Limited { what }).inc();
    }

    /// Counts an operation with a key.
    pub fn transit(&self, operation: &'static str) {
        self.transit.get_or_create(&Operation { operation }).inc();
    }
}

/// Everything in the text format of Prometheus. Whom other tenants than `default` federate with is for `operators` alone.
///
/// # Errors
/// None that occurs.
pub fn render(app: &App, operators: bool) -> Result<String, std::fmt::Error> {
    let metrics = &app.metrics;
    let mut registry = Registry::with_prefix("keyward");
    registry.register("logins", "Logins by method and outcome", metrics.logins.clone());
    registry.register("transit_operations", "Operations with keys", metrics.transit.clone());
    registry.register(
        "rate_limited",
        "Requests and connections refused because there were too many",
        metrics.rate_limited.clone(),
    );
    registry.register("refusals", "Requests refused and recorded", metrics.refusals.clone());
    registry.register("expired_records", "Records removed at their expiry", metrics.expired.clone());
    let gauge = |registry: &mut Registry, name: &str, help: &str, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let audit = app.audit.stats();
    gauge(&mut registry, "store_revision", "The store's latest revision", app.db.store().revision());
    gauge(&mut registry, "store_syncs", "Syncs of the store to disk", app.db.store().syncs());
    gauge(&mut registry, "audit_last_seq", "The number of the last audit record", audit.last_seq);
    gauge(&mut registry, "audit_syncs", "Syncs of the audit log to disk", audit.syncs);
    gauge(&mut registry, "audit_refusals_dropped", "Refusals that were not recorded", audit.refusals_dropped);
    if let Ok(keys) = app.db.keyring().opened() {
        let former = keys.keks().versions().len().saturating_sub(1) as u64;
        let current = u64::from(keys.keks().current().version());
        gauge(&mut registry, "kek_version", "The version of the key-encryption key", current);
        gauge(&mut registry, "kek_former", "Former key-encryption keys that are still needed", former);
    }
    let (rewrapped, of) = app.tasks.rewrapped();
    gauge(&mut registry, "rewrap_done", "Records sealed under the latest key since the last look", rewrapped);
    gauge(&mut registry, "rewrap_found", "Records that were found under former keys at the last look", of);
    let (runs, failures): (Family<Task, Gauge>, Family<Task, Gauge>) = Default::default();
    for (task, status) in app.tasks.status() {
        let count = |value| i64::try_from(value).unwrap_or(i64::MAX);
        runs.get_or_create(&Task { task }).set(count(status.runs));
        failures.get_or_create(&Task { task }).set(count(status.failures));
    }
    registry.register("task_runs", "Runs of a background task", runs);
    registry.register("task_failures", "Failed runs of a background task", failures);
    federation(app, operators, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The relationships of federation, as they were at the last look; their age is that of now.
fn federation(app: &App, operators: bool, registry: &mut Registry) {
    let (ages, expired): (Family<Relationship, Gauge>, Family<_, Gauge>) = Default::default();
    let (sequences, revoked): (Family<Relationship, Gauge>, Family<_, Gauge>) = Default::default();
    let now = app.clock.now();
    let failed = app.metrics.failures().clone();
    let failures: Family<Relationship, Counter> = Family::default();
    let is_shown = |place: &Place| operators || app.is_operators(&place.0);
    for (place, partner) in app.federation.seen().into_iter().filter(|(place, _)| is_shown(place)) {
        let (label, status) = (Relationship::at(&place), partner.relationship.status(now));
        expired.get_or_create(&label).set(i64::from(status.state != State::Current));
        revoked.get_or_create(&label).set(i64::from(status.revoked));
        if let Some(age) = status.age {
            ages.get_or_create(&label).set(age.whole_seconds());
        }
        if let Some(sequence) = status.sequence {
            sequences.get_or_create(&label).set(i64::try_from(sequence).unwrap_or(i64::MAX));
        }
        // So that it is there, as 0, before the first failure.
        failures.get_or_create(&label).inc_by(failed.get(&place).copied().unwrap_or_default());
    }
    registry.register("federation_bundle_age_seconds", "Age of a federated trust domain's bundle", ages);
    registry.register("federation_bundle_expired", "1 where there is no bundle that may be used", expired);
    registry.register("federation_bundle_sequence", "Sequence number of the bundle", sequences);
    registry.register("federation_bundle_revoked", "1 where the bundle has no key that can be used", revoked);
    registry.register("federation_failures", "Bundles not fetched, or refused", failures);
}
