//! What pages load: style, script and mark, in the binary, under names that hold the hash of what they are, so that a browser
//! keeps them for ever and never has those of another release.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::security;
use crate::http::{
    error::{Answer, ApiError},
    params::Path,
};

/// One file.
pub struct Asset {
    /// `/assets/<stem>.<hash>.<suffix>`.
    pub url: String,
    /// A strong validator (RFC 9110 §8.8.3).
    etag: String,
    media: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, suffix: &str, media: &'static str, text: &'static str) -> Self {
        let digest = keyward_keys::sha256(text.as_bytes());
        let hash = URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or(&digest));
        Self { url: format!("/assets/{stem}.{hash}.{suffix}"), etag: format!("\"{hash}\""), media, text }
    }
}

/// How everything looks.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")));
/// What pages cannot do by themselves: passkeys, copying.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("assets/script.js")));
/// The mark beside a page's title in a browser's list.
pub static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("mark", "svg", "image/svg+xml", include_str!("assets/mark.svg")));

fn all() -> [&'static Asset; 3] {
    [&STYLE, &SCRIPT, &MARK]
}

/// `GET /assets/<file>`. What is under a name never changes.
///
/// # Errors
/// 404, for those of another release too.
pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Answer {
    let found = all().into_iter().find(|asset| asset.url.strip_prefix("/assets/") == Some(&file));
    found.map(|asset| answer(asset, &headers)).ok_or_else(|| ApiError::not_found("this file"))
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let fresh =
        known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == asset.etag));
    let head: [(HeaderName, HeaderValue); 3] = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::ETAG, HeaderValue::from_str(&asset.etag).unwrap_or(HeaderValue::from_static("\"\""))),
        (header::X_CONTENT_TYPE_OPTIONS, security::NOSNIFF),
    ];
    match fresh {
        true => (StatusCode::NOT_MODIFIED, head).into_response(),
        false => (head, [(header::CONTENT_TYPE, asset.media)], asset.text).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn under_a_name_that_says_what_it_is_and_kept_for_ever() {
        let file = STYLE.url.strip_prefix("/assets/").unwrap().to_owned();
        assert!(file.starts_with("style.") && file.ends_with(".css") && file.len() == 26, "{file}");
        let answer = serve(Path(file.clone()), HeaderMap::new()).await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()["content-type"], "text/css; charset=utf-8");
        let etag = answer.headers()["etag"].clone();
        for known in [etag.to_str().unwrap().to_owned(), format!("\"x\", W/{}", etag.to_str().unwrap())] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            assert_eq!(serve(Path(file.clone()), headers).await.unwrap().status(), 304);
        }
        assert_eq!(serve(Path("style.css".into()), HeaderMap::new()).await.unwrap_err().status(), 404);
    }

    #[test]
    fn nothing_from_elsewhere_and_nothing_that_the_policy_forbids() {
        for asset in all() {
            let without_namespace = asset.text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in ["://", "@import", "eval(", "innerHTML", "document.write"] {
                assert!(!without_namespace.contains(forbidden), "{}: {forbidden}", asset.url);
            }
        }
    }
}
