//! axe-core looks for what not everybody can use. It is run through the DevTools Protocol, so that the pages' policy stays as it is.

use std::path::PathBuf;

use crate::{chrome::Chrome, setting};

/// Its text; `None` where it is not installed.
pub fn script() -> Option<String> {
    let path = setting("KEYWARD_NPM").unwrap_or_else(|| PathBuf::from(".")).join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(path).ok()
}

/// What it finds on the page that is open, one line for each element.
pub async fn violations(chrome: &Chrome, script: &str) -> Vec<String> {
    let arguments = serde_json::json!({ "expression": script });
    let loaded = chrome.cdp("Runtime.evaluate", arguments).await;
    assert!(loaded["exceptionDetails"].is_null(), "{loaded}");
    let found = chrome
        .run(
            "const report = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
             return report.violations.flatMap((rule) =>
               rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`))",
        )
        .await;
    found.as_array().unwrap().iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}
