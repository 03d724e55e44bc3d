//! Addresses, URLs and other long text without spaces, where lines break.

use maud::{Markup, html};

/// So many characters have room on every telephone.
const SHORT: usize = 24;

/// Text without spaces: its lines break behind `/` and `@`; between these only where there is no room for what is between them, and then
/// behind a dot or the like if that helps. What is copied of it is the text.
pub fn unspaced(text: &str) -> Markup {
    if text.len() <= SHORT || text.contains(char::is_whitespace) {
        return html! { (text) };
    }
    match pieces(text).as_slice() {
        // What is alone goes on in its line.
        [one] => dotted(one),
        pieces => html! { @for piece in pieces { span class="piece" { (dotted(piece)) } } },
    }
}

/// What stays together: a segment of a path, a host with its scheme, what is before an `@`.
fn pieces(text: &str) -> Vec<&str> {
    let (mut found, mut rest, mut skipped) = (Vec::new(), text, text.find("://").map_or(0, |at| at + 3));
    while !rest.is_empty() {
        let end = rest.get(skipped..).and_then(|tail| tail.find(['/', '@'])).map_or(rest.len(), |at| skipped + at + 1);
        let Some((piece, tail)) = rest.split_at_checked(end) else { break };
        found.push(piece);
        (rest, skipped) = (tail, 0);
    }
    found
}

fn dotted(piece: &str) -> Markup {
    let (scheme, rest) = piece.split_at_checked(piece.find("://").map_or(0, |at| at + 3)).unwrap_or(("", piece));
    html! {
        (scheme)
        @for (place, part) in rest.split_inclusive(['.', ':', '_', '+', '?', '&', '=']).enumerate() {
            @if place > 0 { wbr; }
            (part)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_what_belongs_together() {
        assert_eq!(
            pieces("https://tower.example:4646/login/b2/ann@example.com"),
            ["https://tower.example:4646/", "login/", "b2/", "ann@", "example.com"]
        );
        assert_eq!(pieces("spiffe://td/a//b@"), ["spiffe://td/", "a/", "/", "b@"]);
        assert_eq!(pieces("://"), ["://"]);
        assert_eq!(pieces(""), [""; 0]);
    }

    #[test]
    fn it_is_the_same_text_and_no_markup() {
        let text = unspaced("https://tower.example/login/<b>/ann@example.com").into_string();
        assert_eq!(
            text,
            "<span class=\"piece\">https://tower.<wbr>example/</span><span class=\"piece\">login/</span>\
             <span class=\"piece\">&lt;b&gt;/</span><span class=\"piece\">ann@</span><span class=\"piece\">example.<wbr>com</span>"
        );
        assert_eq!(unspaced("ann@example.com").into_string(), "ann@example.com");
        assert_eq!(
            unspaced("till-7.stores.north.example.com").into_string(),
            "till-7.<wbr>stores.<wbr>north.<wbr>example.<wbr>com"
        );
        let words = "several words that are <b>long</b> enough";
        assert_eq!(unspaced(words).into_string(), html! { (words) }.into_string());
    }
}
