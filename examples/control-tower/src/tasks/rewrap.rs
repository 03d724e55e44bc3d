//! After a rotation of the key-encryption key: seals every record under the current one, a little at a time, and destroys the
//! former ones when nothing needs them.

use crate::{
    app::{Actor, App, Commit},
    keyring::rewrap::{Turn, progress, turn},
};

/// Records a step, and steps a run: about a fifth of what the store can do, so that nobody waits for it.
const STEP: usize = 128;
const STEPS: usize = 40;

pub(super) async fn run(app: &App) -> Result<(), String> {
    let ran = steps(app).await;
    if let Ok(Some((work, _))) = progress(&app.db).await {
        app.tasks.note_rewrapped(work.done());
    }
    ran
}

async fn steps(app: &App) -> Result<(), String> {
    let mut size = STEP;
    for _ in 0..STEPS {
        match turn(&app.db, size, app.tasks.oldest_history()).await.map_err(|error| error.to_string())? {
            Turn::Idle => return Ok(()),
            Turn::Waiting => {
                // The sooner history is forgotten, the sooner the former keys are.
                let oldest = app.tasks.oldest_history();
                super::compact::run(app).await?;
                if app.tasks.oldest_history() == oldest {
                    return Ok(());
                }
            }
            Turn::Worked => size = (size * 2).min(STEP),
            // Fewer at once are more likely to be left alone for so long.
            Turn::Contended => size = (size / 2).max(1),
            Turn::Finish(change) => {
                let former: Vec<String> = change.destroyed.iter().map(ToString::to_string).collect();
                let former = former.join(",");
                let record = Actor::task(&app.operators, "rewrap").did("kek-destroy", app.clock.now());
                let record = record.with("version", change.version).with("destroyed", former.as_str());
                let commit = app.commit(change.guards, change.writes, record).await;
                if let Commit::Done(_) = commit.map_err(|error| error.message().to_owned())? {
                    tracing::info!(
                        version = change.version,
                        destroyed = former,
                        "everything is sealed under the latest key"
                    );
                    app.db.keyring().refresh().await.map_err(|error| error.to_string())?;
                }
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
