//! Destroys what removed tenants had.

use super::pace::Pace;
use crate::{
    app::{Actor, App},
    tenant::removal::{Removal, Step},
};

pub(super) async fn run(app: &App) -> Result<(), String> {
    for removal in Removal::all(&app.db).await.map_err(|error| error.to_string())? {
        // Of whichever tower: what is kept of it here goes too.
        app.forget_tenant(&removal.value.id);
        drain(app, removal.value.id.as_str()).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// One removal, as far as it gets by now.
async fn drain(app: &App, id: &str) -> Result<(), crate::db::DbError> {
    let mut pace = Pace::default();
    loop {
        let Some(stored) = Removal::find(&app.db, id).await? else { return Ok(()) };
        let size = pace.size();
        match pace.step(Removal::step(app, &stored, size, app.clock.now())).await? {
            Step::More => {}
            Step::Waiting | Step::Conflict => return Ok(()),
            Step::Done(destroyed) => {
                let removal = &stored.value;
                // In the log of those who removed it: there is nobody else to read one.
                let record = Actor::task(&app.operators, "remove-tenants").did("tenant-destroyed", app.clock.now());
                let record = record.with("name", removal.name.as_str()).with("tenant-id", removal.id.as_str());
                if let Err(error) = app.record(record.with("records", destroyed)).await {
                    tracing::error!(error = error.message(), "audit");
                }
                tracing::info!(tenant = %removal.name, id = %removal.id, records = destroyed, "nothing is left of a tenant");
                return Ok(());
            }
        }
    }
}
