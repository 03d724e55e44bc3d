//! Forgets the store's old history.

use crate::app::App;

pub(super) async fn run(app: &App) -> Result<(), String> {
    let oldest = app.db.store().compact(app.clock.now()).await.map_err(|error| error.to_string())?;
    app.tasks.history_begins(oldest);
    Ok(())
}
