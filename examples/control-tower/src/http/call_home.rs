//! What operators do about calling home: certificates, install scripts, revocation. Where hosts call is `call_home/knock.rs`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_callhome_cert::{
    CallHomeSettings, Entry, Error, Granularity, InstallScript, IssueRequest, RevokeRequest, ScriptRequest,
};
use keyward_svid::{HttpsUrl, pki_types::CertificateDer, x509::chain_to_pem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError, Status},
    params::Query,
    token,
};
use crate::{
    app::App,
    call_home::{self, Issued, Revocation},
    moment,
};

mod knock;

pub use knock::{elsewhere, router};

/// The header with the SHA-256 of a script, in hexadecimal as `sha256sum` prints it.
pub const DIGEST: HeaderName = HeaderName::from_static("x-script-sha256");

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Authority(error) => error.into(),
            // What is wrong with what was asked for.
            Error::Ttl { .. } | Error::MaxUses { .. } | Error::Order { .. } => Self::invalid(error.to_string()),
            error => Self::new(Status::from(error.kind()).0, error.to_string()),
        }
    }
}

/// A certificate that was issued, and what it goes out with.
struct Made<'a> {
    request: ScriptRequest<'a>,
    issued: Option<(Issued, Entry)>,
}

/// `POST /v1/state/system/call-home/issue-call-home-cert {host-id?, site?, ttl?, max-uses?, batch?, csr?}`: the package, which is not to be
/// had a second time.
///
/// # Errors
/// 400 for what the settings do not ask for; 422 where hosts cannot call home.
pub async fn issue(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Option<IssueRequest>>,
) -> Answer {
    let settings = call_home::settings(&app).await?;
    let place = call_home::place(&app, &settings)?;
    let made = make(&app, &caller, &settings, &place, &body.unwrap_or_default()).await?;
    let package = made.request.to_package(app.clock.now())?;
    let package = Some(STANDARD.encode(package.as_bytes()));
    Ok(token::answer(&Described { b64_tar_package: package, ..Described::new(made.issued.as_ref(), &place.0) }))
}

/// `?output=json`: the script among what is known of it, not alone.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptQuery {
    output: Output,
}

impl ScriptQuery {
    /// `?output=json`.
    pub fn json() -> Self {
        Self { output: Output::Json }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Output {
    #[default]
    Script,
    Json,
}

/// `POST …/install-script`, with the same body: the script for the host's `sh`, as it is. Where the settings ask for no certificates
/// there is none in it.
///
/// # Errors
/// As [`issue`].
pub async fn install_script(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ScriptQuery>,
    JsonBody(body): JsonBody<Option<IssueRequest>>,
) -> Answer {
    let (body, settings) = (body.unwrap_or_default(), call_home::settings(&app).await?);
    let place = call_home::place(&app, &settings)?;
    let made = if settings.client_certificate.verify == Granularity::Never && body == IssueRequest::default() {
        Made { request: ScriptRequest::without_certificate(&place.0, &place.1), issued: None }
    } else {
        make(&app, &caller, &settings, &place, &body).await?
    };
    let script = made.request.to_script()?;
    match query.output {
        Output::Script => as_script(&script, made.issued.as_ref().map(|(_, entry)| entry)),
        Output::Json => {
            let described = Described::new(made.issued.as_ref(), &place.0);
            let (text, digest) = (Some(script.text()), Some(script.digest()));
            Ok(token::answer(&Described { script: text, sha256: digest, ..described }))
        }
    }
}

/// The script alone, and what tells it from others in the head.
fn as_script(script: &InstallScript, entry: Option<&Entry>) -> Answer {
    let value = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
    let mut response = script.text().to_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/x-shellscript; charset=utf-8"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"install.sh\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(DIGEST, value(script.digest())?);
    if let Some(entry) = entry {
        headers.insert(HeaderName::from_static("x-certificate-serial"), value(entry.serial())?);
        headers.insert(HeaderName::from_static("x-certificate-batch"), value(entry.batch().as_str())?);
        headers.insert(HeaderName::from_static("x-certificate-expires"), value(&moment::text(entry.expires()))?);
    }
    Ok(response)
}

async fn make<'a>(
    app: &App,
    caller: &Caller,
    settings: &CallHomeSettings,
    (url, ca): &'a (HttpsUrl, Vec<CertificateDer<'static>>),
    body: &IssueRequest,
) -> Answer<Made<'a>> {
    let order = body.to_order(settings.client_certificate.verify)?;
    let csr = body.certificate_request()?;
    let (issued, entry) = call_home::issue(app, caller, &order, csr.as_ref()).await?;
    let request = match &issued {
        Issued::Keyed(keyed) => ScriptRequest::with_key(url, ca, entry.scope(), keyed)?,
        Issued::Requested(svid) => ScriptRequest::without_key(url, ca, entry.scope(), svid),
    };
    Ok(Made { request, issued: Some((issued, entry)) })
}

/// What is said of a certificate, and what it goes out in.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Described<'a> {
    call_home_url: &'a HttpsUrl,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    certificate: Option<DescribedCertificate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_tar_package: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DescribedCertificate<'a> {
    serial: &'a str,
    batch: &'a str,
    granularity: &'static str,
    #[serde(serialize_with = "moment::serialize")]
    created: OffsetDateTime,
    #[serde(serialize_with = "moment::serialize")]
    expires: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    certificate: String,
}

impl<'a> Described<'a> {
    fn new(issued: Option<&'a (Issued, Entry)>, call_home_url: &'a HttpsUrl) -> Self {
        let certificate = issued.map(|(issued, entry)| DescribedCertificate {
            serial: entry.serial(),
            batch: entry.batch().as_str(),
            granularity: entry.scope().granularity().as_str(),
            created: entry.created(),
            expires: entry.expires(),
            max_uses: entry.max_uses(),
            certificate: issued.certificate().chain_pem(),
        });
        Self { call_home_url, certificate, b64_tar_package: None, script: None, sha256: None }
    }
}

/// `POST …/revoke {serial | batch}`: nobody is let in by it any more, and who waits by it is not claimed.
///
/// # Errors
/// 404 for what is not on record.
pub async fn revoke(State(app): State<Arc<App>>, caller: Caller, JsonBody(body): JsonBody<RevokeRequest>) -> Answer {
    let what = match (body.serial, body.batch) {
        (Some(serial), None) => Revocation::Serial(serial),
        (None, Some(batch)) => Revocation::Batch(batch),
        _ => return Err(ApiError::invalid("give either `serial` or `batch`")),
    };
    let revoked = call_home::revoke(&app, &caller, &what).await?;
    Ok(axum::Json(json!({ "revoked": revoked })).into_response())
}

/// `GET /v1/call-home/ca`: the certificates of the authority of call-home certificates, for load balancers that verify them.
///
/// # Errors
/// 404 before there is one.
pub async fn ca(State(app): State<Arc<App>>) -> Answer {
    let published = call_home::published(&app, app.clock.now()).await?.ok_or_else(nothing_yet)?;
    let authorities = published.verifier.bundle().authorities();
    if authorities.is_empty() {
        return Err(nothing_yet());
    }
    Ok(pem(chain_to_pem(authorities)))
}

/// `GET /v1/call-home/crl`: which of them were revoked, one list for each certificate of the authority.
///
/// # Errors
/// As [`ca`].
pub async fn crl(State(app): State<Arc<App>>) -> Answer {
    let lists = call_home::revocation_lists(&app).await?;
    if lists.is_empty() {
        return Err(nothing_yet());
    }
    Ok(pem(lists.iter().map(|list| keyward_svid::x509::crl_to_pem(list)).collect()))
}

fn pem(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file"), (header::CACHE_CONTROL, "max-age=60")], text).into_response()
}

fn nothing_yet() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no call-home certificate was issued as yet")
}
