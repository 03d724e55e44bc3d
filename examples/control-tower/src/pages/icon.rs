//! The few icons, drawn with lines in the colour of their text. They are decoration: what they mean stands beside them.

use maud::{Markup, html};

fn icon(path: &str) -> Markup {
    html! { svg class="icon" viewBox="0 0 24 24" aria-hidden="true" { path d=(path) {} } }
}

/// The product's mark.
pub fn mark() -> Markup {
    html! {
        svg viewBox="0 0 28 28" aria-hidden="true" {
            rect class="plate" width="28" height="28" rx="7" {}
            path class="hole" d="M14 6a5 5 0 0 0-2.3 9.44L10.5 22h7l-1.2-6.56A5 5 0 0 0 14 6z" {}
        }
    }
}

/// A passkey.
pub fn passkey() -> Markup {
    icon(
        "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8M2 21v-2a5 5 0 0 1 5-5h4a5 5 0 0 1 1.5.2M18 12a3 3 0 0 1 1.2 5.7V19l-1 1 1 1-1.7 1.5L16 21v-3.3A3 3 0 0 1 18 12z",
    )
}

/// The tower itself as authenticator.
pub fn vault() -> Markup {
    icon("M12 3l8 3v6c0 4.5-3.2 7.6-8 9-4.8-1.4-8-4.5-8-9V6zM12 11v4M12 9.5a.5.5 0 1 0 0 .01")
}

/// A provider elsewhere.
pub fn cloud() -> Markup {
    icon("M7 18a4.5 4.5 0 0 1-.6-8.96A6 6 0 0 1 18 9.5 4.3 4.3 0 0 1 17.5 18z")
}

/// A telephone with codes.
pub fn phone() -> Markup {
    icon("M7 3h10a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2")
}

/// A user.
pub fn user() -> Markup {
    icon("M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M4 21v-1a5 5 0 0 1 5-5h6a5 5 0 0 1 5 5v1")
}

/// Something opens below.
pub fn down() -> Markup {
    icon("M6 9l6 6 6-6")
}

/// A fact.
pub fn info() -> Markup {
    icon("M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 11v5M12 8v.01")
}

/// Something is as it should be.
pub fn good() -> Markup {
    icon("M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M8 12.5l2.7 2.7L16 9.5")
}

/// Something needs attention.
pub fn warning() -> Markup {
    icon("M12 4L2.5 20h19zM12 10v4.5M12 17.3v.01")
}

/// Something failed.
pub fn danger() -> Markup {
    icon("M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 7.5v5.5M12 16.3v.01")
}

/// To be taken away.
pub fn cross() -> Markup {
    icon("M6 6l12 12M18 6L6 18")
}
