//! Tables, which become lists where there is no room for columns.

use maud::{Markup, html};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    title: &'a str,
    is_shown: bool,
}

impl<'a> Column<'a> {
    /// With a title.
    pub fn new(title: &'a str) -> Self {
        Self { title, is_shown: true }
    }

    /// Whose title is for those alone who do not see the table: of what can be done to a row, for instance.
    pub fn untitled(title: &'a str) -> Self {
        Self { title, is_shown: false }
    }
}

/// A table. The first cell of a row names it.
pub fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<Markup>]) -> Markup {
    html! {
        // The roles are said because `display: block`, where there is no room, would take them away.
        table class="table" role="table" {
            caption class="visually-hidden" { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns {
                        th scope="col" role="columnheader" {
                            @if column.is_shown { (column.title) } @else { span class="visually-hidden" { (column.title) } }
                        }
                    }
                }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (place, (cell, column)) in row.iter().zip(columns).enumerate() {
                            td role="cell" data-label=[(place > 0 && column.is_shown).then_some(column.title)] { (cell) }
                        }
                    }
                }
            }
        }
    }
}
