//! Moments. The server writes them in UTC, the script in the reader's zone and language.

use maud::{Markup, html};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

/// A moment, to the minute.
pub fn when(moment: OffsetDateTime) -> Markup {
    let moment = moment.to_offset(UtcOffset::UTC);
    let text = moment.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC")).unwrap_or_default();
    html! { time class="nowrap" datetime=(moment.format(&Rfc3339).unwrap_or_default()) { (text) } }
}

/// A day, for places where a reader wants no more.
pub fn date(moment: OffsetDateTime) -> String {
    moment.to_offset(UtcOffset::UTC).format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn in_utc_whatever_it_comes_in() {
        let text = when(datetime!(2026-03-01 01:30:59 +2)).into_string();
        assert_eq!(text, r#"<time class="nowrap" datetime="2026-02-28T23:30:59Z">2026-02-28 23:30 UTC</time>"#);
        assert_eq!(date(datetime!(2026-03-01 01:30 +2)), "2026-02-28");
    }
}
