//! A service that greets whoever shows a JWT-SVID of the trust domain `example.org`, for the audience `greeter`.
//! usage: verify-service JWKS_FILE
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use axum::{Router, extract::State, routing::get};
use keyward_spiffe_id::Pattern;
use keyward_svid::{JwkSet, JwtBundle, KeyUse, Verifier, VerifyOptions};
use std::{error::Error, sync::Arc};
use time::OffsetDateTime;

struct Gate {
    verifier: Verifier,
    bundle: JwtBundle,
    allowed: Pattern,
}

async fn greet(State(gate): State<Arc<Gate>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let verdict = gate.verifier.verify(token.unwrap_or_default(), &gate.bundle, OffsetDateTime::now_utc());
    let svid = verdict.map_err(|_| StatusCode::UNAUTHORIZED)?;
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(&std::fs::read(std::env::args().nth(1).ok_or("usage: verify-service JWKS_FILE")?)?)?;
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?)
}

#[cfg(test)]
mod tests;
