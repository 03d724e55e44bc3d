//! A tower, and somebody in front of its pages: the steps that stories share.

use std::path::PathBuf;

use serde_json::json;
use thirtyfour::{Key, TypingData};

use crate::{
    axe,
    chrome::{Chrome, Scheme},
    picture, setting,
    tower::Tower,
};

/// The password that everybody sets.
pub const PASSWORD: &str = "several words that do not belong together";

/// A tower, and a browser with an authenticator.
pub struct Stage {
    pub tower: Tower,
    pub chrome: Chrome,
    pub authenticator: String,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with these flags of the tower.
    pub async fn with(more: &[&str]) -> Self {
        let tower = Tower::start_with(more).await;
        let chrome = Chrome::start(Some(&tower.spki)).await;
        let authenticator = chrome.authenticator().await;
        chrome.presence(&authenticator, false).await;
        Self { tower, chrome, authenticator }
    }

    pub async fn open(&self, path: &str) {
        self.chrome.open(&format!("{}{path}", self.tower.url)).await;
    }

    /// Waits until the page says so.
    pub async fn says(&self, words: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(words));
        self.chrome.until(words, &script).await;
    }

    /// The first administrator's first login, who has this password from then on.
    pub async fn administrator(&self, password: &str) {
        self.identify("admin", "").await;
        self.password(self.tower.password()).await;
        self.set_password(password).await;
        self.not_now().await;
        self.chrome.reach("Overview").await;
    }

    pub async fn identify(&self, email: &str, tenant: &str) {
        self.open("/login?as=other").await;
        self.chrome.reach("Log in").await;
        self.chrome.fill("email", email).await;
        self.chrome.fill("tenant", tenant).await;
        self.chrome.press("Continue").await;
        self.chrome.find("main input[name=password]").await;
    }

    pub async fn password(&self, password: &str) {
        self.chrome.fill("password", password).await;
        self.chrome.click("form[action='/login/password'] button:not([type=button])").await;
    }

    pub async fn set_password(&self, password: &str) {
        self.chrome.reach("Set a password").await;
        self.chrome.fill("password", password).await;
        self.chrome.fill("repeated", password).await;
        self.chrome.press("Set the password").await;
    }

    /// Goes on without what is offered, if anything is.
    pub async fn not_now(&self) {
        let arrived = "const heading = document.querySelector('h1')?.innerText ?? '';
            return document.readyState === 'complete' && ['Overview', 'Account'].some((one) => heading === one)
              || heading.startsWith('Make the next login')";
        self.chrome.until("proved", arrived).await;
        if self.chrome.has("form[action='/login/finish']").await {
            self.chrome.press("Not now").await;
        }
    }

    pub async fn log_out(&self) {
        self.chrome.click(".menu > summary").await;
        self.chrome.press("Log out").await;
        self.chrome.until("out", "return location.pathname === '/login'").await;
    }

    /// Whether the keyboard is at what has the id.
    pub async fn is_at(&self, id: &str) {
        let there = format!("return document.activeElement.id === '{id}'");
        self.chrome.until(&format!("the focus is at {id}"), &there).await;
    }

    /// Types.
    pub async fn keys(&self, keys: impl Into<TypingData>) {
        self.chrome.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Types into the field that has the focus by itself: a page gives it a moment after it is there.
    pub async fn write(&self, text: &str) {
        self.chrome.until("a field has the focus", "return document.activeElement.matches('input')").await;
        self.keys(text).await;
    }

    /// Goes on by Tab until what has these words, or a label of them, has the focus, which is seen.
    pub async fn tab(&self, words: &str) {
        const FOCUSED: &str = "const one = document.activeElement; if (one === document.body) return '';
            const labels = [...(one.labels ?? [])].map((label) => label.textContent).join(' ');
            return `${one.textContent} ${labels} ${one.name ?? ''} ${one.getAttribute('aria-label') ?? ''}`.replace(/\\s+/g, ' ')";
        const SEEN: &str = "const style = getComputedStyle(document.activeElement);
            return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0";
        let mut passed = Vec::new();
        for _ in 0..80 {
            let focused = self.chrome.run(FOCUSED).await.as_str().unwrap().to_owned();
            if focused.contains(words) {
                assert_eq!(self.chrome.run(SEEN).await, true, "no focus is seen on `{words}`");
                return;
            }
            passed.push(focused);
            self.keys(Key::Tab).await;
        }
        panic!("`{words}` is not reached by Tab, only {passed:?}");
    }

    pub async fn end(self) {
        self.chrome.end().await;
    }
}

/// Pictures of pages, and what axe-core says to them.
pub struct Looks {
    script: String,
    shots: PathBuf,
    found: Vec<String>,
}

impl Looks {
    /// At `KEYWARD_SHOTS`, or else beside what the test leaves.
    pub fn new(otherwise: &str) -> Self {
        let shots = setting("KEYWARD_SHOTS").unwrap_or_else(|| PathBuf::from(otherwise).join("shots"));
        Self { script: axe::script().expect("KEYWARD_NPM has axe-core"), shots, found: Vec::new() }
    }

    /// Looks at the page that is open.
    pub async fn at(&mut self, chrome: &Chrome, name: &str) {
        picture::all(chrome, &self.shots, name).await;
        for scheme in Scheme::BOTH {
            chrome.prefer(scheme).await;
            let lines = axe::violations(chrome, &self.script).await;
            self.found.extend(lines.into_iter().map(|line| format!("{name} ({}): {line}", scheme.as_str())));
        }
        chrome.prefer(Scheme::Light).await;
    }

    /// Fails where something was found.
    pub fn end(self) {
        assert!(self.found.is_empty(), "{}", self.found.join("\n"));
    }
}
