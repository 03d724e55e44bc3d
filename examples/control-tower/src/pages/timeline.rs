//! The life of a key's versions, drawn: when each is published, signs, verifies, and is over.
//!
//! The bars are SVG that stretches to whatever width there is; the words are beside them, so that they stay readable, and say
//! everything that the bars show.

use keyward_transit::{Phase, VersionView};
use maud::{Markup, html};
use time::{Duration, OffsetDateTime};

use super::component::{Tone, badge, date, when};

/// One version of a key.
#[derive(Clone, Debug)]
pub struct Life {
    /// Its number.
    pub version: u32,
    /// Where it stands.
    pub phase: Phase,
    /// From when it is published.
    pub created: OffsetDateTime,
    /// From when it signs.
    pub activates: OffsetDateTime,
    /// From when its successor does.
    pub superseded: Option<OffsetDateTime>,
    /// From when it only verifies.
    pub deprecated: Option<OffsetDateTime>,
    /// From when it is over.
    pub invalid: Option<OffsetDateTime>,
    /// Whether the last three are only planned.
    pub planned: bool,
}

impl From<&VersionView> for Life {
    fn from(version: &VersionView) -> Self {
        Self {
            version: version.version,
            phase: version.phase,
            created: version.created,
            activates: version.activates,
            superseded: version.superseded,
            deprecated: version.deprecated,
            invalid: version.invalid,
            planned: version.planned,
        }
    }
}

/// The time that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: OffsetDateTime,
    to: OffsetDateTime,
}

/// How wide a drawing is, in units of its own.
const WIDTH: f64 = 1000.0;

impl Window {
    /// All that is known of these versions, and some time ahead of now.
    fn of(lives: &[Life], now: OffsetDateTime) -> Self {
        let moments = lives.iter().flat_map(|life| {
            [Some(life.created), Some(life.activates), life.superseded, life.deprecated, life.invalid]
        });
        let (mut from, mut to) = (now, now);
        for moment in moments.flatten() {
            from = from.min(moment);
            to = to.max(moment);
        }
        // Both ends have another day, also for a key that was made a moment ago.
        let span = (to - from).max(Duration::days(8));
        // Now is never at the very edge, and a version without an end is seen to go on.
        let ahead = |moment: OffsetDateTime| moment.checked_add(span / 8).unwrap_or(moment);
        let has_end = lives.iter().all(|life| life.invalid.is_some());
        Self { from, to: if has_end { to.max(ahead(now)) } else { ahead(to) } }
    }

    fn place(self, moment: OffsetDateTime) -> f64 {
        let part = (moment - self.from).as_seconds_f64() / (self.to - self.from).as_seconds_f64();
        (part.clamp(0.0, 1.0) * WIDTH * 10.0).round() / 10.0
    }
}

/// The versions of a key below each other, the latest one first.
pub fn timeline(lives: &[Life], now: OffsetDateTime) -> Markup {
    let window = Window::of(lives, now);
    html! {
        ol class="versions" {
            @for life in lives.iter().rev() {
                li {
                    p class="row" {
                        strong { "Version " (life.version) }
                        (badge(tone(life.phase), life.phase.as_str()))
                    }
                    div class="stack-s" {
                        (bar(life, window, now))
                        p class="muted small" { (words(life, now)) }
                    }
                }
            }
        }
        p class="scale muted small" aria-hidden="true" { span { (date(window.from)) } span { (date(window.to)) } }
    }
}

fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Active => Tone::Good,
        Phase::Pending => Tone::Info,
        _ => Tone::Plain,
    }
}

fn bar(life: &Life, window: Window, now: OffsetDateTime) -> Markup {
    let now = window.place(now);
    html! {
        svg class="timeline" viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" {
            rect class="track" width="1000" height="12" rx="2" {}
            @for (phase, from, to, planned) in pieces(life, window) {
                rect class=(format!("{phase}{}", if planned { " planned" } else { "" }))
                    x=(window.place(from)) width=((window.place(to) - window.place(from)).max(0.0)) height="12" {}
            }
            line class="halo" x1=(now) x2=(now) y1="0" y2="12" vector-effect="non-scaling-stroke" {}
            line class="now" x1=(now) x2=(now) y1="0" y2="12" vector-effect="non-scaling-stroke" {}
        }
    }
}

/// Each phase with its begin, its end, and whether the end of it is only planned.
fn pieces(life: &Life, window: Window) -> Vec<(Phase, OffsetDateTime, OffsetDateTime, bool)> {
    let starts = [
        (Phase::Pending, Some(life.created)),
        (Phase::Active, Some(life.activates)),
        (Phase::Superseded, life.superseded),
        (Phase::Deprecated, life.deprecated),
        (Phase::Invalid, life.invalid),
    ];
    let known: Vec<(Phase, OffsetDateTime)> =
        starts.into_iter().filter_map(|(phase, start)| Some((phase, start?))).collect();
    let ends = known.iter().skip(1).map(|(_, start)| *start).chain([window.to]);
    known
        .iter()
        .zip(ends)
        .filter(|((phase, start), end)| *phase != Phase::Invalid && start < end)
        .map(|((phase, start), end)| {
            let planned = life.planned && matches!(phase, Phase::Superseded | Phase::Deprecated);
            (*phase, *start, end, planned)
        })
        .collect()
}

/// What comes next, in words.
fn words(life: &Life, now: OffsetDateTime) -> Markup {
    let planned = if life.planned { " (planned)" } else { "" };
    html! {
        @match life.phase {
            Phase::Pending => { "Published since " (when(life.created)) ", in use from " (when(life.activates)) "." }
            Phase::Active => {
                "In use since " (when(life.activates))
                @match life.superseded {
                    Some(end) if end <= now => { "; its successor is due." }
                    Some(end) => { ", until " (when(end)) (planned) "." }
                    None => { ", until it is rotated." }
                }
            }
            Phase::Superseded => {
                "Its successor is in use"
                @if let Some(end) = life.deprecated { "; sites that are cut off may sign until " (when(end)) }
                @if let Some(end) = life.invalid { ", it is good until " (when(end)) }
                "."
            }
            Phase::Deprecated => {
                "For what was made with it before"
                @if let Some(end) = life.invalid { ", until " (when(end)) }
                "."
            }
            _ => {
                "Over"
                @if let Some(end) = life.invalid { " since " (when(end)) }
                "."
            }
        }
    }
}

/// What the colours mean.
pub fn legend() -> Markup {
    let entries = [
        ("pending", "published, not yet in use"),
        ("active", "in use"),
        ("superseded", "replaced, sites may lag"),
        ("deprecated", "for what was made before"),
    ];
    html! {
        ul class="legend" {
            @for (class, meaning) in entries {
                li { svg viewBox="0 0 12 12" aria-hidden="true" { rect class=(class) width="12" height="12" rx="3" {} } (meaning) }
            }
            li { svg viewBox="0 0 12 12" aria-hidden="true" class="timeline" { line class="now" x1="6" x2="6" y1="0" y2="12" {} } "now" }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn life() -> Life {
        Life {
            version: 1,
            phase: Phase::Active,
            created: datetime!(2026-01-01 00:00 UTC),
            activates: datetime!(2026-01-02 00:00 UTC),
            superseded: Some(datetime!(2026-01-09 00:00 UTC)),
            deprecated: Some(datetime!(2026-01-10 00:00 UTC)),
            invalid: Some(datetime!(2026-01-11 00:00 UTC)),
            planned: true,
        }
    }

    #[test]
    fn each_phase_has_its_place() {
        let now = datetime!(2026-01-06 00:00 UTC);
        let window = Window::of(&[life()], now);
        assert_eq!((window.place(window.from), window.place(now), window.place(window.to)), (0.0, 500.0, 1000.0));
        let shown: Vec<(Phase, f64, f64, bool)> = pieces(&life(), window)
            .into_iter()
            .map(|(phase, from, to, planned)| (phase, window.place(from), window.place(to), planned))
            .collect();
        assert_eq!(
            shown,
            [
                (Phase::Pending, 0.0, 100.0, false),
                (Phase::Active, 100.0, 800.0, false),
                (Phase::Superseded, 800.0, 900.0, true),
                (Phase::Deprecated, 900.0, 1000.0, true),
            ]
        );
        let text = timeline(&[life()], now).into_string();
        assert!(text.contains("(planned)") && !text.contains("style"), "{text}");
    }

    #[test]
    fn a_version_without_an_end_goes_on() {
        let life = Life { superseded: None, deprecated: None, invalid: None, ..life() };
        for now in [life.created, life.created + Duration::DAY * 400] {
            let window = Window::of(std::slice::from_ref(&life), now);
            assert!(window.to > now);
            let last = *pieces(&life, window).last().unwrap();
            assert_eq!((last.0, last.2), (Phase::Active, window.to));
            assert_ne!(date(window.from), date(window.to));
        }
    }
}
