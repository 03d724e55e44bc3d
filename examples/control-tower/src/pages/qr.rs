//! QR codes (ISO/IEC 18004) as SVG: one path, which needs no style and no script.

use std::fmt::Write as _;

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// The margin that readers need, in modules (§9.1).
const MARGIN: usize = 4;

/// A code of a text; nothing where the text is too long for one, since it stands beside it anyway.
pub fn qr(text: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return html! {} };
    let width = code.width();
    let side = width + 2 * MARGIN;
    let mut path = String::new();
    for (place, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
        // Writing to a string does not fail.
        let _ = write!(path, "M{} {}h1v1h-1z", place % width + MARGIN, place / width + MARGIN);
    }
    html! {
        svg class="qr" role="img" aria-label=(label) viewBox=(format!("0 0 {side} {side}")) shape-rendering="crispEdges" {
            rect class="paper" width=(side) height=(side) {}
            path class="ink" d=(path) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_for_a_text_and_none_for_a_book() {
        let text = qr("otpauth://totp/x?secret=ABC", "For <your> telephone").into_string();
        assert!(text.starts_with("<svg") && text.contains("M4 4h1v1h-1z") && text.contains("&lt;your&gt;"), "{text}");
        assert!(!text.contains("otpauth"));
        assert_eq!(qr(&"x".repeat(5000), "").into_string(), "");
    }
}
