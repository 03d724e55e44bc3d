//! Pictures of pages: both schemes, on a desk and on a telephone.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::chrome::{Chrome, Scheme};

/// Names and sizes of windows.
pub const WINDOWS: [(&str, u32, u32); 2] = [("desktop", 1200, 800), ("phone", 375, 760)];

/// Takes four pictures of the page that is open, of all its height.
pub async fn all(chrome: &Chrome, directory: &Path, name: &str) {
    std::fs::create_dir_all(directory).unwrap();
    for (window, width, height) in WINDOWS {
        chrome.resize(width, height).await;
        for scheme in Scheme::BOTH {
            chrome.prefer(scheme).await;
            let bytes = take(chrome, width, height).await;
            std::fs::write(directory.join(format!("{name}-{window}-{}.png", scheme.as_str())), bytes).unwrap();
        }
    }
    chrome.resize(1200, 800).await;
    chrome.prefer(Scheme::Light).await;
}

async fn take(chrome: &Chrome, width: u32, height: u32) -> Vec<u8> {
    let shown =
        chrome.run("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]").await;
    let wide = shown[0].as_u64().unwrap();
    assert!(wide <= u64::from(width), "the page is {wide} wide in a window of {width}");
    let high = shown[1].as_u64().unwrap().max(u64::from(height));
    let arguments = json!({
        "format": "png", "captureBeyondViewport": true,
        "clip": {"x": 0, "y": 0, "width": width, "height": high, "scale": 1},
    });
    let answer = chrome.cdp("Page.captureScreenshot", arguments).await;
    STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}
