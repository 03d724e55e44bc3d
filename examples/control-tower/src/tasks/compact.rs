//! Forgets the store's old history.

use crate::app::App;

pub(super) async fn run(app: &App) -> Result<(), String> {
    app.db.store().compact(app.clock.now()).await.map(drop).map_err(|error| error.to_string())
}
