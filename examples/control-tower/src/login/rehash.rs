//! Passwords whose hash is of another program, or of a time when less work was enough.

use keyward_webauthn_login::HashJob;

use super::users::{self, StoredUser};
use crate::{app::App, http::error::ApiError};

/// Hashes one anew. It can wait for another login.
pub(super) async fn make_anew(app: &App, user: &StoredUser, job: HashJob, revision: u64) {
    let made = async {
        let hashed = app.hash(move || job.run()).await?.map_err(ApiError::internal)?;
        let tenant = users::tenant_of(user)?;
        let name = user.value.record().identity().email.as_str();
        let Some(stored) = users::get(&app.db, &tenant, name).await? else { return Ok(()) };
        if stored.revision != revision && stored.revision != user.revision {
            return Ok(());
        }
        let mut record = stored.value.record().clone();
        record.set_rehashed(&hashed);
        let changed = stored.value.changed(record, app.clock.now());
        let writes = users::put(&app.db, &tenant, Some(&stored.value), &changed)?;
        let _outcome = app.db.store().commit(vec![stored.guard()], writes).await?;
        Ok::<(), ApiError>(())
    };
    if let Err(error) = made.await {
        tracing::warn!(error = error.message(), "a password is hashed anew at another login");
    }
}
