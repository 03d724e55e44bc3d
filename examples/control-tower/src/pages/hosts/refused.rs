//! The calls home that were refused lately.

use maud::{Markup, html};
use time::OffsetDateTime;

use super::host::short;
use crate::pages::{
    component::{Column, empty, prose, table, when},
    problem::sentence,
};

/// Calls home that were refused for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The last one.
    pub time: OffsetDateTime,
    /// The hash of the host-id; empty where it is not known.
    pub host: String,
    /// From where.
    pub source: String,
    /// The reason, in words.
    pub why: String,
    /// How many there were.
    pub times: usize,
}

/// As a table.
pub(super) fn show(refused: &[Refused]) -> Markup {
    if refused.is_empty() {
        return empty("No call home was refused.", &html! {});
    }
    let columns = [Column::new("Why"), Column::new("From"), Column::new("Host-id (SHA-256)"), Column::new("When")];
    let rows: Vec<Vec<Markup>> = refused
        .iter()
        .map(|one| {
            vec![
                html! { (prose(&sentence(&one.why))) },
                html! { (one.source) },
                html! {
                    @if one.host.is_empty() { span class="muted" { "not known" } }
                    @else { code title=(one.host) { (short(&one.host)) "…" } }
                },
                html! { (when(one.time)) @if one.times > 1 { ", " span class="nowrap" { (one.times) " times" } } },
            ]
        })
        .collect();
    table("Refused lately", &columns, &rows)
}
