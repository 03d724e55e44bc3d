//! A service that greets whoever shows a JWT-SVID of the trust domain `example.org`, for the audience `greeter`.
//! usage: verify-service JWKS_FILE

use std::{error::Error, sync::Arc};

use axum::{Router, extract::State, http::{HeaderMap, StatusCode}, routing::get};
use keyward_spiffe_id::Pattern;
use keyward_svid::{JwkSet, JwtBundle, KeyUse, Verifier, VerifyOptions};
use time::OffsetDateTime;

struct Gate { verifier: Verifier, bundle: JwtBundle, allowed: Pattern }

async fn greet(State(gate): State<Arc<Gate>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or(StatusCode::UNAUTHORIZED)?;
    let svid = gate.verifier.verify(token, &gate.bundle, OffsetDateTime::now_utc()).map_err(|_| StatusCode::UNAUTHORIZED)?;
    if !gate.allowed.matches(svid.id()) {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(format!("hello, {}\n", svid.id()))
}

fn app(jwks: &[u8]) -> Result<Router, Box<dyn Error>> {
    let verifier = Verifier::new(["greeter"], VerifyOptions::default())?;
    let bundle = JwtBundle::new("example.org".parse()?, JwkSet::from_json(jwks, KeyUse::Signature)?);
    let gate = Gate { verifier, bundle, allowed: "spiffe://example.org/approle/*".parse()? };
    Ok(Router::new().route("/", get(greet)).with_state(Arc::new(gate)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: verify-service JWKS_FILE")?;
    let app = app(&std::fs::read(file)?)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?)
    })
}

#[cfg(test)]
mod tests;
