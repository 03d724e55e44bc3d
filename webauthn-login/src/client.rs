//! What a session was begun with, for its owner to tell it from others.

use core::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a session was begun with: the kind of browser, what it runs on, and the address that it came from. Of what a browser says of
/// itself nothing else is kept: no version, no model, and no text, so that nothing of it is shown as it was sent.
///
/// ```
/// # use keyward_webauthn_login::Client;
/// let said = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
/// let client = Client::new(said, Some([192, 0, 2, 1].into()));
/// assert_eq!(client.to_string(), "Firefox on Linux");
/// assert_eq!(Client::new("<script>", None).to_string(), "Another browser");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Client {
    /// The kind of browser.
    pub browser: BrowserFamily,
    /// What it runs on.
    pub platform: Platform,
    /// Where it came from, as the embedder saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

macro_rules! known {
    ($(#[$doc:meta])* $name:ident, $of:literal: $($kind:ident $shown:literal $($mark:literal)|+,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = $shown] $kind,)+
            #[doc = concat!("Another ", $of, ", or one that a later release tells from others.")]
            #[serde(other)]
            Other,
        }

        impl $name {
            /// By the first mark that is found: browsers name those that they are like, too.
            fn of(said: &str) -> Self {
                $(if [$($mark),+].iter().any(|mark| said.contains(mark)) {
                    return Self::$kind;
                })+
                Self::Other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$kind => $shown,)+
                    Self::Other => concat!("Another ", $of),
                })
            }
        }
    };
}

known! {
    /// The kind of a browser.
    BrowserFamily, "browser":
    Edge "Edge" "Edg/" | "EdgA/" | "EdgiOS/",
    Opera "Opera" "OPR/" | "Opera",
    SamsungInternet "Samsung Internet" "SamsungBrowser/",
    Vivaldi "Vivaldi" "Vivaldi/",
    Firefox "Firefox" "Firefox/" | "FxiOS/",
    Chrome "Chrome" "Chrome/" | "CriOS/" | "Chromium/",
    Safari "Safari" "Safari/",
}

known! {
    /// What a browser runs on.
    Platform, "system":
    Iphone "iPhone" "iPhone" | "iPod",
    Ipad "iPad" "iPad",
    Android "Android" "Android",
    ChromeOs "ChromeOS" "CrOS",
    Windows "Windows" "Windows",
    // Whoever has an iPad that says it is a Mac reads that.
    Macos "macOS" "Macintosh" | "Mac OS X",
    Linux "Linux" "Linux" | "X11",
}

/// How much of what is said is looked at: more than any browser says.
const LOOKED_AT: usize = 512;

impl Client {
    /// By what the browser says of itself (RFC 9110 §10.1.5, `User-Agent`), and where it came from.
    #[must_use]
    pub fn new(user_agent: &str, address: Option<IpAddr>) -> Self {
        let end = user_agent.char_indices().map(|(place, _)| place).nth(LOOKED_AT).unwrap_or(user_agent.len());
        let said = user_agent.get(..end).unwrap_or_default();
        Self { browser: BrowserFamily::of(said), platform: Platform::of(said), address }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.platform {
            Platform::Other => self.browser.fmt(f),
            platform => write!(f, "{} on {platform}", self.browser),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_say() {
        for (said, shown) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPad",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox on macOS",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "Chrome on ChromeOS",
            ),
            ("curl/8.17.0", "Another browser"),
            ("", "Another browser"),
        ] {
            assert_eq!(Client::new(said, None).to_string(), shown);
        }
    }

    #[test]
    fn nothing_is_kept_as_it_was_sent() {
        let said = format!("<script>alert(1)</script>\u{202e}{}Firefox/1 Linux", "x".repeat(600));
        let client = Client::new(&said, Some([192, 0, 2, 1].into()));
        assert_eq!(client.to_string(), "Another browser", "what stands behind the first {LOOKED_AT} characters");
        let json = serde_json::to_string(&client).unwrap();
        assert_eq!(json, r#"{"browser":"other","platform":"other","address":"192.0.2.1"}"#);
        let later = r#"{"browser":"ladybird","platform":"iphone"}"#;
        let read: Client = serde_json::from_str(later).unwrap();
        assert_eq!((read.browser, read.platform, read.address), (BrowserFamily::Other, Platform::Iphone, None));
    }
}
