//! Counters and gauges for Prometheus.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::app::App;

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
struct Task {
    task: &'static str,
}

/// What the tower counts while it runs.
#[derive(Default)]
pub struct Metrics {
    logins: Family<Login, Counter>,
    transit: Family<Operation, Counter>,
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

    /// Counts an operation with a key.
    pub fn transit(&self, operation: &'static str) {
        self.transit.get_or_create(&Operation { operation }).inc();
    }
}

/// Everything in the text format of Prometheus.
///
/// # Errors
/// None that occurs.
pub fn render(app: &App) -> Result<String, std::fmt::Error> {
    let metrics = &app.metrics;
    let mut registry = Registry::with_prefix("keyward");
    registry.register("logins", "Logins by method and outcome", metrics.logins.clone());
    registry.register("transit_operations", "Operations with keys", metrics.transit.clone());
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
    let (runs, failures): (Family<Task, Gauge>, Family<Task, Gauge>) = Default::default();
    for (task, status) in app.tasks.status() {
        let count = |value| i64::try_from(value).unwrap_or(i64::MAX);
        runs.get_or_create(&Task { task }).set(count(status.runs));
        failures.get_or_create(&Task { task }).set(count(status.failures));
    }
    registry.register("task_runs", "Runs of a background task", runs);
    registry.register("task_failures", "Failed runs of a background task", failures);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
