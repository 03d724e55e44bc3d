//! What happens by itself: a table of tasks, each with its period and its status.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use time::OffsetDateTime;
use tokio::{sync::Notify, task::JoinSet};

use crate::{app::App, moment, store::Revision};

mod compact;
mod expire;
mod federate;
mod pace;
mod remove;
mod rewrap;
mod rotate;

type Run = for<'a> fn(&'a App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Name, period, and what is done. A task that is late loses nothing: each looks at what is due by now.
const TABLE: [(&str, Duration, Run); 8] = [
    ("rotate", Duration::from_secs(1), |app| Box::pin(rotate::run(app))),
    ("audit", Duration::from_secs(1), |app| Box::pin(relay_audit(app))),
    ("expire", Duration::from_secs(1), |app| Box::pin(expire::run(app))),
    ("remove-tenants", Duration::from_secs(1), |app| Box::pin(remove::run(app))),
    ("federate", Duration::from_secs(1), |app| Box::pin(federate::run(app))),
    // Changes made here are seen at once; this finds those of other towers, and what time changes.
    ("client-issuers", Duration::from_secs(10), |app| Box::pin(client_issuers(app))),
    ("compact", Duration::from_secs(60), |app| Box::pin(compact::run(app))),
    (REWRAP, Duration::from_secs(1), |app| Box::pin(rewrap::run(app))),
];

const REWRAP: &str = "rewrap";

/// How a task fared last.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// How often it ran.
    pub runs: u64,
    /// How often it failed.
    pub failures: u64,
    /// When it last ran.
    #[serde(serialize_with = "moment::serialize")]
    pub last_run: OffsetDateTime,
    /// Why it failed, if the last run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the tasks share with the rest.
#[derive(Default)]
pub struct Tasks {
    status: Mutex<BTreeMap<&'static str, Status>>,
    /// There is a new key-encryption key.
    rotated: Notify,
    /// Records sealed anew, of those that were found under former keys.
    rewrapped: Mutex<(u64, u64)>,
    /// No state of the store before this revision can be read.
    oldest_history: AtomicU64,
}

impl Tasks {
    /// Says that the key-encryption key was rotated, so that the records follow at once.
    pub fn kek_rotated(&self) {
        self.rotated.notify_one();
    }

    /// Records sealed under the current key-encryption key, of those that were found under former ones.
    pub fn rewrapped(&self) -> (u64, u64) {
        *self.rewrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_rewrapped(&self, done: (u64, u64)) {
        *self.rewrapped.lock().unwrap_or_else(PoisonError::into_inner) = done;
    }

    fn history_begins(&self, oldest: Revision) {
        self.oldest_history.fetch_max(oldest, Ordering::AcqRel);
    }

    fn oldest_history(&self) -> Revision {
        self.oldest_history.load(Ordering::Acquire)
    }

    /// How every task fared last.
    pub fn status(&self) -> BTreeMap<&'static str, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &'static str, now: OffsetDateTime, result: Result<(), String>) {
        let mut all = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let status = all.entry(name).or_insert_with(|| Status { runs: 0, failures: 0, last_run: now, error: None });
        status.runs += 1;
        status.last_run = now;
        status.failures += u64::from(result.is_err());
        status.error = result.err();
    }
}

async fn client_issuers(app: &App) -> Result<(), String> {
    let call_home = app.call_home.serving.refresh(app).await;
    app.client_issuers.refresh(app).await.and(call_home).map_err(|error| error.message().to_owned())
}

async fn relay_audit(app: &App) -> Result<(), String> {
    app.relay_audit().await.map_err(|error| error.to_string())
}

/// Does everything that is due by now, each task once. What the running tower does by itself; tests that move the clock
/// call it.
pub async fn run_due(app: &App) {
    for (name, _, run) in TABLE {
        run_one(app, name, run).await;
    }
}

/// Starts all tasks; dropping the set ends them between two steps.
pub fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut set = JoinSet::new();
    for (name, period, run) in TABLE {
        let app = Arc::clone(app);
        set.spawn(async move {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    () = app.tasks.rotated.notified(), if name == REWRAP => {}
                }
                let app_of_run = Arc::clone(&app);
                let result = contained(async move { run(&app_of_run).await }).await;
                finish(&app, name, result);
            }
        });
    }
    set
}

/// Runs a future of which a panic is an error like another; dropping this ends it too.
async fn contained(run: impl Future<Output = Result<(), String>> + Send + 'static) -> Result<(), String> {
    let mut alone = JoinSet::new();
    alone.spawn(run);
    match alone.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) if error.is_panic() => Err("it panicked".to_owned()),
        _ => Ok(()),
    }
}

async fn run_one(app: &App, name: &'static str, run: Run) {
    let result = run(app).await;
    finish(app, name, result);
}

fn finish(app: &App, name: &'static str, result: Result<(), String>) {
    if let Err(error) = &result {
        tracing::warn!(task = name, %error, "a task failed and will be tried again");
    }
    app.tasks.note(name, app.clock.now(), result);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_has_failed_and_can_run_again() {
        let failed = contained(async { panic!("out of range") }).await;
        assert_eq!(failed, Err("it panicked".to_owned()));
        assert_eq!(contained(async { Err("no".to_owned()) }).await, Err("no".to_owned()));
        assert_eq!(contained(async { Ok(()) }).await, Ok(()));
    }
}
