use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::{JwkSet, KeyUse, MintRequest, VerificationKey, mint};
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

#[test]
fn only_the_right_identity_comes_in() {
    let signer =
        KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, Some("1".into())).unwrap();
    let key = VerificationKey::new(signer.public_key().clone(), Algorithm::Es256, "1").unwrap();
    let app = super::app(JwkSet::new(KeyUse::Signature, [key]).to_json().as_bytes()).unwrap();
    let token = |id: &str, audience: &str, issued: Duration| {
        let request = MintRequest::new(id.parse().unwrap(), [audience], Duration::minutes(5)).unwrap();
        mint(&signer, &request, OffsetDateTime::now_utc() + issued).unwrap().as_str().to_owned()
    };
    let good = token("spiffe://example.org/approle/payments", "greeter", Duration::ZERO);
    let cases = [
        (good, StatusCode::OK),
        (token("spiffe://example.org/other/payments", "greeter", Duration::ZERO), StatusCode::FORBIDDEN),
        (token("spiffe://example.org/approle/payments", "other", Duration::ZERO), StatusCode::UNAUTHORIZED),
        (token("spiffe://other.example/approle/payments", "greeter", Duration::ZERO), StatusCode::UNAUTHORIZED),
        (token("spiffe://example.org/approle/payments", "greeter", Duration::hours(-1)), StatusCode::UNAUTHORIZED),
        ("nonsense".to_owned(), StatusCode::UNAUTHORIZED),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let nobody = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(runtime.block_on(app.clone().oneshot(nobody)).unwrap().status(), StatusCode::UNAUTHORIZED);
    for (token, expected) in cases {
        let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
        assert_eq!(runtime.block_on(app.clone().oneshot(request)).unwrap().status(), expected, "{token}");
    }
}
