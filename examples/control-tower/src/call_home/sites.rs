//! Which site lists a host. Host-ids are secrets: a site's document is kept with their hashes in their place, and nobody reads
//! anything else back.

use std::borrow::Cow;

use keyward_callhome_cert::HostHash;
use keyward_config_tree::{Bulk, Document, Path};
use keyward_config_values::{Name, config::ListedHost};
use serde_json::{Value, json};

use crate::{
    app::App,
    documents::SITES,
    http::error::{Answer, ApiError},
    layout,
    store::Guard,
};

const FIELD: &str = "host-ids";

/// The changes of a bulk as they are kept.
pub fn hashed(bulk: &Bulk) -> Cow<'_, Bulk> {
    if !bulk.items().iter().any(|item| is_site(item.path())) {
        return Cow::Borrowed(bulk);
    }
    Cow::Owned(bulk.with_documents(|item| {
        let mut value = item.document().clone().into_value();
        hashed_value(item.path(), &mut value).then(|| Document::from_value(value).ok()).flatten()
    }))
}

fn is_site(path: &Path) -> bool {
    path.as_str().strip_prefix(SITES).is_some_and(|rest| rest.starts_with('/'))
}

/// Puts hashes in the place of host-ids in a site's document; answers whether there were any. What is no host-id stays, for
/// whoever says what is wrong with it.
pub fn hashed_value(path: &Path, document: &mut Value) -> bool {
    let Some(Value::Array(list)) = document.get_mut(FIELD).filter(|_| is_site(path)) else { return false };
    let mut changed = false;
    for item in list {
        let listed = item.as_str().and_then(|text| text.parse::<ListedHost>().ok());
        if let Some(listed) = listed.filter(|listed| listed.as_id().is_some()) {
            *item = Value::String(format!("{}{}", ListedHost::PREFIX, HostHash::from(&listed)));
            changed = true;
        }
    }
    changed
}

/// Guards that there is a site: what is for another one would be of no use to anybody.
///
/// # Errors
/// 422 when there is none.
pub(super) async fn there(app: &App, site: &Name) -> Answer<Guard> {
    match standing(app, site).await? {
        Standing { is_there: true, guard } => Ok(guard),
        _ => {
            let missing = format!("the site `{site}` does not exist");
            let error = ApiError::inapplicable(format!("{missing}: create `{SITES}/{site}` first"));
            Err(error.with_info(json!({"field": "site", "message": missing})))
        }
    }
}

/// Whether there is a site.
pub(super) struct Standing {
    /// Whether there is.
    pub is_there: bool,
    /// That it is still so.
    pub guard: Guard,
}

/// Whether there is a site.
///
/// # Errors
/// Those of the store.
pub(super) async fn standing(app: &App, site: &Name) -> Answer<Standing> {
    let document = layout::document(&app.operators, &format!("{SITES}/{site}"));
    let found = app.db.store().get(&document).await?;
    Ok(Standing { is_there: found.is_some(), guard: Guard::seen(&document, found.as_ref()) })
}

/// Who lists a host.
pub struct Listing {
    /// The site.
    pub site: Option<Name>,
    /// That it is still so.
    pub guard: Guard,
}

/// Who lists a host.
///
/// # Errors
/// Those of the store.
pub async fn listing(app: &App, host: &HostHash) -> Answer<Listing> {
    let key = layout::listed_host(&app.operators, host);
    let read = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .map_err(|error| error.to_string())?
            .parse::<Name>()
            .map_err(|error| error.to_string())
    };
    Ok(match app.db.load(&key, read).await? {
        Some(stored) => Listing { site: Some(Name::clone(&stored.value)), guard: stored.guard() },
        None => Listing { site: None, guard: Guard::Absent(key) },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_site_is_kept_with_hashes_and_may_be_written_back() {
        let path: Path = "system/sites/oslo".parse().unwrap();
        let mut document = json!({"name": "oslo", "host-ids": ["4c4c4544", 7]});
        assert!(hashed_value(&path, &mut document));
        let hash = HostHash::of(&"4c4c4544".parse().unwrap());
        assert_eq!(document, json!({"name": "oslo", "host-ids": [format!("sha256:{hash}"), 7]}));
        assert!(!hashed_value(&path, &mut document));
        let mut elsewhere = json!({"host-ids": ["4c4c4544"]});
        assert!(!hashed_value(&"variables/a".parse().unwrap(), &mut elsewhere));
    }
}
