//! Whether the tower is there.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        error::{Answer, ApiError},
        params::Query,
    },
    VERSION, add_cluster,
};
use crate::app::App;

/// The statuses that a client wants of the health, as load balancers have need of. Of others than these two there is never anything to say.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct HealthQuery {
    activecode: Option<String>,
    sealedcode: Option<String>,
}

impl HealthQuery {
    /// The answer of a tower that is sealed, or is not.
    ///
    /// # Errors
    /// 400 for what is no status of an answer.
    pub fn answer(&self, is_sealed: bool, fields: &Value) -> Answer {
        let (field, wanted, otherwise) = match is_sealed {
            true => ("sealedcode", &self.sealedcode, StatusCode::SERVICE_UNAVAILABLE),
            false => ("activecode", &self.activecode, StatusCode::OK),
        };
        let refuse = || ApiError::invalid(format!("`{field}` is no status from 200 to 599"));
        let status = match wanted.as_deref() {
            None => otherwise,
            Some(text) => {
                let status = text.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
                status.filter(|status| (200..600).contains(&status.as_u16())).ok_or_else(refuse)?
            }
        };
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
        Ok(if bodiless.contains(&status) { status.into_response() } else { (status, Json(fields)).into_response() })
    }
}

/// `GET /v1/sys/health?activecode=`.
///
/// # Errors
/// 503 when the tower takes no changes, 400 for what is no status.
pub async fn health(State(app): State<Arc<App>>, Query(query): Query<HealthQuery>) -> Answer {
    app.db.store().health()?;
    let mut fields = health_fields(app.clock.now().unix_timestamp());
    add_cluster(&mut fields, &app);
    query.answer(false, &fields)
}

/// What can be said of the tower's health without knowing whose it is.
pub fn health_fields(now: i64) -> Value {
    json!({
        "initialized": true,
        "sealed": false,
        "standby": false,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": now,
        "version": VERSION,
    })
}

/// `GET /v1/sys/leader`: every tower is its own.
///
/// # Errors
/// None.
pub async fn leader() -> Answer {
    let fields = json!({
        "ha_enabled": false,
        "is_self": false,
        "leader_address": "",
        "leader_cluster_address": "",
        "performance_standby": false,
        "performance_standby_last_remote_wal": 0,
    });
    Ok(Json(fields).into_response())
}

/// `GET /v1/sys/init`.
///
/// # Errors
/// None.
pub async fn initialized() -> Answer {
    Ok(Json(json!({ "initialized": true })).into_response())
}
