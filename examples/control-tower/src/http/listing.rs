//! Lists of names, a page at a time.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::error::{Answer, ApiError};
use crate::{
    app::App,
    store::{Revision, StoreError},
};

/// The most names of one answer, and how many there are when nothing is said.
pub const MOST: usize = 1000;
/// Records that are read at a time: names are small, what stands under them may not be.
const CHUNK: usize = 64;

/// `?limit=&after=&at=`: at most so many names behind one, as they were at a revision. A limit of 0 or less says nothing, as with
/// clients of Vault.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    after: String,
    limit: i64,
    at: Option<Revision>,
}

/// `?limit=&after=` of clients of Vault, who may send more.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct VaultPage {
    after: String,
    limit: i64,
}

impl From<VaultPage> for Page {
    fn from(page: VaultPage) -> Self {
        Self { after: page.after, limit: page.limit, at: None }
    }
}

impl Page {
    /// The first so many.
    pub fn first(limit: i64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Behind which name it begins; empty at the beginning.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// The page behind a name, as of a revision.
    #[must_use]
    pub fn behind(&self, (name, at): &(String, Revision)) -> Self {
        Self { after: name.clone(), limit: self.limit, at: Some(*at) }
    }
}

/// One page of names.
#[derive(Debug)]
pub struct Listed {
    /// In their order.
    pub names: Vec<String>,
    /// Behind which name, and as of which revision, there are more.
    pub next: Option<(String, Revision)>,
}

/// The names under a prefix. All of an answer, and the pages after it that say so, are as of one revision.
///
/// # Errors
/// 410 when what the page is of is more than ten minutes ago; 400 when it has not been.
pub async fn names(app: &App, prefix: &str, page: Page) -> Answer<Listed> {
    let store = app.db.store();
    let at = page.at.unwrap_or_else(|| store.revision());
    let limit = usize::try_from(page.limit).ok().filter(|limit| *limit > 0).map_or(MOST, |limit| limit.min(MOST));
    let mut after = (!page.after.is_empty()).then(|| format!("{prefix}{}", page.after));
    let mut names: Vec<String> = Vec::new();
    loop {
        // One more than asked for, to know whether there are more.
        let wanted = (limit + 1 - names.len()).min(CHUNK);
        let entries = store.range(prefix, after.as_deref(), wanted, Some(at)).await.map_err(gone)?;
        let is_last = entries.len() < wanted;
        after = entries.last().map(|entry| entry.key.clone());
        names.extend(entries.iter().filter_map(|entry| entry.key.strip_prefix(prefix)).map(str::to_owned));
        if names.len() > limit {
            names.truncate(limit);
            let next = names.last().map(|last| (last.clone(), at));
            return Ok(Listed { names, next });
        }
        if is_last {
            return Ok(Listed { names, next: None });
        }
    }
}

fn gone(error: StoreError) -> ApiError {
    match error {
        StoreError::Compacted { .. } => ApiError::new(
            axum::http::StatusCode::GONE,
            "this list is too old to be continued: begin again without `at`",
        ),
        StoreError::Future { .. } => ApiError::invalid("`at` is a revision that has not been: begin without it"),
        error => error.into(),
    }
}

impl Listed {
    /// With a few names that are there besides and belong into this page or a later one.
    #[must_use]
    pub fn with(mut self, others: Vec<String>) -> Self {
        let last = self.next.as_ref().map(|(last, _)| last.clone());
        let fitting = others.into_iter().filter(|name| last.as_ref().is_none_or(|last| name <= last));
        self.names.extend(fitting);
        self.names.sort_unstable();
        self.names.dedup();
        self
    }

    /// The names as JSON, with the address of the next page as `Link` (RFC 8288) where there is one.
    ///
    /// # Errors
    /// None: names are ASCII.
    pub fn answer(&self, path: &str) -> Answer<Response> {
        self.linked(path, Json(&self.names))
    }

    /// What there is to say of the names, with the address of the next page.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn linked(&self, path: &str, answer: impl IntoResponse) -> Answer<Response> {
        let mut response = answer.into_response();
        if let Some((after, at)) = &self.next {
            let link = format!("<{path}?after={after}&at={at}>; rel=\"next\"");
            response.headers_mut().insert(header::LINK, HeaderValue::from_str(&link).map_err(ApiError::internal)?);
        }
        Ok(response)
    }

    /// For clients of Vault, who know no other way of being told.
    pub fn warning(&self) -> Option<String> {
        let (after, _) = self.next.as_ref()?;
        Some(format!("there are more names than one answer has: list again with `after={after}`"))
    }
}
