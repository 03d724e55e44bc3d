//! Which tenants have documents of the collections that are looked at together, of all tenants.

use std::collections::BTreeSet;

use keyward_config_tree::Change;

use super::Changes;
use crate::{documents::INGRESS, federation, http::error::Answer, inbound, layout, store::Write};

const COLLECTIONS: [(&str, &str); 3] = [
    (INGRESS, layout::WITH_INGRESS),
    (federation::COLLECTION, layout::WITH_FEDERATION),
    (inbound::COLLECTION, layout::WITH_SPIFFE_LOGINS),
];

impl Changes<'_> {
    /// Says so as the change leaves it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn having(&mut self, changes: &[Change]) -> Answer<()> {
        for (collection, index) in COLLECTIONS {
            let prefix = layout::document(&self.tenant, &format!("{collection}/"));
            let document = |change: &Change| layout::document(&self.tenant, change.path().as_str());
            let (come, go): (Vec<&Change>, Vec<&Change>) = changes
                .iter()
                .filter(|change| document(change).starts_with(&prefix))
                .partition(|change| change.after().is_some());
            let key = layout::with(index, &self.tenant);
            if !come.is_empty() {
                self.writes.push(Write::Put(key, Vec::new()));
            } else if !go.is_empty() {
                let gone: BTreeSet<String> = go.into_iter().map(document).collect();
                let some = self.app.db.store().range(&prefix, None, gone.len() + 1, None).await?;
                if some.iter().all(|entry| gone.contains(&entry.key)) {
                    self.writes.push(Write::Delete(key));
                }
            }
        }
        Ok(())
    }
}
