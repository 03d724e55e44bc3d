//! What people do with the pages, in Chromium with a virtual authenticator.

use browser_stories::{axe, chrome::Chrome, tower::Tower};

const NEW_PASSWORD: &str = "several words that do not belong together";

/// The first administrator, up to the first page of a session.
async fn first_login(chrome: &Chrome, tower: &Tower) {
    chrome.open(&format!("{}/login", tower.url)).await;
    chrome.reach("Log in").await;
    chrome.fill("email", "admin").await;
    chrome.press("Continue").await;
    chrome.fill("password", tower.password()).await;
    chrome.click("form[action='/login/password'] button:not([type=button])").await;
    chrome.reach("Set a password").await;
    chrome.fill("password", NEW_PASSWORD).await;
    chrome.fill("repeated", NEW_PASSWORD).await;
    chrome.press("Set the password").await;
    chrome.reach("You are in. Make the next login easier?").await;
}

#[tokio::test]
async fn a_new_user_logs_in_with_a_password_makes_a_passkey_and_logs_in_with_it() {
    let tower = Tower::start().await;
    let chrome = Chrome::start(Some(&tower.spki)).await;
    let authenticator = chrome.authenticator().await;
    first_login(&chrome, &tower).await;
    chrome.press("Create a passkey").await;
    chrome.reach("Create a passkey").await;
    chrome.fill("name", "Laptop").await;
    chrome.press("Create the passkey").await;
    chrome.reach("Your passkey is ready").await;
    assert_eq!(chrome.credentials(&authenticator).await.len(), 1);
    chrome.press("Use the passkey").await;
    chrome.reach("Overview").await;
    chrome.end().await;
}
