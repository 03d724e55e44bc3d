//! What follows from sites of the tenant `default`: which of them lists a host, and that those with hosts stay.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use keyward_callhome_cert::HostHash;
use keyward_config_tree::{Change, Document, Field, FieldError};
use keyward_config_values::{Name, config::SiteConfig};

use super::{Changes, name_in};
use crate::{
    call_home,
    documents::SITES,
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Write},
};

impl Changes<'_> {
    pub(super) async fn sites(&mut self, list: &[Change]) -> Answer<()> {
        let sites: Vec<(Name, &Change)> =
            list.iter().filter_map(|change| Some((name_in(change.path(), SITES)?, change))).collect();
        let mut listed: BTreeMap<HostHash, Option<(Name, &Change)>> = BTreeMap::new();
        for (name, change) in &sites {
            if change.after().is_none() && call_home::any_at(self.app, name).await? {
                let error = FieldError::new(Field::root(), "there are hosts at this site")
                    .with_remedy("release or remove them first");
                return Err(self.refuse(StatusCode::CONFLICT, change.path(), error));
            }
            if change.after().is_none() {
                call_home::site_goes(self.app, name, &mut self.guards, &mut self.writes).await?;
            }
            let (before, after) = (hosts(change.before())?, hosts(change.after())?);
            listed.extend(before.difference(&after).map(|host| (host.clone(), None)));
        }
        for (name, change) in sites {
            let before = hosts(change.before())?;
            for host in hosts(change.after())?.difference(&before) {
                if let Some(Some((other, _))) = listed.insert(host.clone(), Some((name.clone(), change))) {
                    return Err(self.listed_twice(change, &other));
                }
            }
        }
        // What leaves one site and comes to another was deleted above, and is put here.
        let leaves: BTreeSet<Name> = list.iter().filter_map(|change| name_in(change.path(), SITES)).collect();
        for (host, site) in listed {
            let key = layout::listed_host(&self.tenant, &host);
            let stored = self.app.db.get(&key).await?;
            self.guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key.clone()), crate::db::Stored::guard));
            let Some((site, change)) = site else {
                self.writes.push(Write::Delete(key));
                continue;
            };
            let at = stored.and_then(|stored| std::str::from_utf8(&stored.value).ok()?.parse::<Name>().ok());
            if let Some(other) = at.filter(|other| *other != site)
                && (!leaves.contains(&other) || self.still_lists(list, &other, &host)?)
            {
                return Err(self.listed_twice(change, &other));
            }
            self.writes.push(self.app.db.put(key, site.as_str().as_bytes())?);
        }
        Ok(())
    }

    /// Whether a site that is changed lists a host afterwards.
    fn still_lists(&self, list: &[Change], site: &Name, host: &HostHash) -> Answer<bool> {
        let last = list.iter().rfind(|change| name_in(change.path(), SITES).as_ref() == Some(site));
        Ok(match last {
            Some(change) => hosts(change.after())?.contains(host),
            None => true,
        })
    }

    fn listed_twice(&self, change: &Change, other: &Name) -> ApiError {
        let error = FieldError::new("host-ids", format!("the site `{other}` lists one of these hosts"))
            .with_remedy("remove it from one of the two");
        self.refuse(StatusCode::CONFLICT, change.path(), error)
    }
}

/// The hosts that a site lists.
fn hosts(document: Option<&Document>) -> Answer<BTreeSet<HostHash>> {
    let Some(document) = document else { return Ok(BTreeSet::new()) };
    let site: SiteConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(site.host_ids.iter().map(HostHash::from).collect())
}
