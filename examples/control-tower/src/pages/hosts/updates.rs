//! How the page of the hosts shows news by itself: often with script, now and then without, and not for ever.

use maud::{Markup, html};

use crate::pages::layout::HostPage;

/// How often the script looks for news, in seconds.
pub(super) const SOON: u32 = 5;
/// How often a page without script does.
pub(super) const LATER: u32 = 30;
/// How often it does before somebody has to say that they are still there: half an hour, so that a page that nobody looks at
/// keeps no session alive for good.
const MOST_TURNS: u32 = 60;

/// Whether the page looks for news by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updates {
    /// It has done so that often without script.
    On(u32),
    /// Not.
    Off,
}

impl Updates {
    /// Where the page that begins behind this host is loaded again without script; `None` where it is not.
    pub(super) fn again(self, after: &str) -> Option<String> {
        self.goes_on().then(|| match self {
            Self::On(turns) => address(after, &(turns + 1).to_string()),
            Self::Off => address(after, "off"),
        })
    }

    /// Where the script looks for news of it.
    pub(super) fn live(self, after: &str) -> Option<String> {
        self.goes_on().then(|| address(after, "0"))
    }

    /// What it says about that, with the other choice.
    pub(super) fn choice(self, after: &str) -> Markup {
        let (words, action, wanted) = match self {
            _ if self.goes_on() => ("This page shows news by itself.", "Hold it", "off"),
            Self::On(_) => ("This page has stopped showing news by itself.", "Go on", "0"),
            Self::Off => ("This page is held as it is.", "Go on", "0"),
        };
        let address = address(after, wanted);
        html! { p class="muted small" { span data-updating="" { (words) } " " a href=(address) { (action) } } }
    }

    fn goes_on(self) -> bool {
        matches!(self, Self::On(turns) if turns < MOST_TURNS)
    }
}

fn address(after: &str, updates: &str) -> String {
    match after {
        "" => format!("{}?updates={updates}", HostPage::List.path()),
        after => format!("{}?after={after}&updates={updates}", HostPage::List.path()),
    }
}
