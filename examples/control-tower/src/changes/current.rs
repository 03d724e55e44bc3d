//! The documents that are there, read as far as a plan asks for them, and the index that finds those that no path names.
//!
//! The index says which document names which, and which AppRole's tokens live longest. Each change writes what becomes of it in its
//! own commit. A store that was written by a program without it, or with another form of it, gets it whole with the next change.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Bound,
    sync::{Mutex, PoisonError},
};

use keyward_approle::{Limits, RoleConfig};
use keyward_config_tree::{Document, Path, Schema, Source, SourceError};
use keyward_config_values::Name;

use crate::{
    app::App,
    documents::ROLES,
    http::error::{Answer, ApiError},
    layout,
    store::{Entry, Scan},
};

/// How many entries are read at once.
const PAGE: usize = 64;
/// How many that name a document are looked at.
const FEW: usize = 16;
const MANY: usize = 256;

/// The documents that are there, as far as they are known.
pub(super) struct Current {
    documents: BTreeMap<Path, Option<Document>>,
    /// What is known whole.
    lists: BTreeSet<String>,
    naming: BTreeMap<Path, Vec<Path>>,
    greatest: BTreeMap<String, Vec<Path>>,
    wanted: Mutex<Vec<Want>>,
    /// What the change is about.
    touched: BTreeSet<Path>,
    index: Index,
}

/// What was asked for and is not known yet.
enum Want {
    Document(Path),
    List(String),
    Naming(Path),
    Greatest(String),
}

/// Where the index is.
enum Index {
    /// In the store, whole.
    Stored,
    /// Made of all documents, because what the store has is none, or old: its keys, and those that have to go.
    Made { keys: BTreeSet<String>, stale: BTreeSet<String> },
}

impl Current {
    /// What there is for a change of these documents. `head` is the entry of the configuration's head.
    pub(super) async fn open(
        app: &App,
        tenant: &Name,
        head: Option<&Entry>,
        touched: impl IntoIterator<Item = Path>,
    ) -> Answer<Self> {
        let marker = app.db.store().get(&layout::config_index(tenant, &form(&app.limits))).await?;
        let index = match (marker, head) {
            (Some(marker), Some(head)) if marker.revision == head.revision => Index::Stored,
            // Nothing was ever configured.
            (None, None) => Index::Stored,
            _ => Index::make(app, tenant).await?,
        };
        let touched: BTreeSet<Path> = touched.into_iter().collect();
        let current = Self {
            documents: BTreeMap::new(),
            lists: BTreeSet::new(),
            naming: BTreeMap::new(),
            greatest: BTreeMap::new(),
            wanted: Mutex::default(),
            touched,
            index,
        };
        for path in &current.touched {
            current.want(Want::Document(path.clone()));
        }
        Ok(current)
    }

    /// Reads this one too: it will be asked for.
    pub(super) fn prefetch(&self, path: Option<Path>) {
        if let Some(path) = path {
            self.want(Want::Document(path));
        }
    }

    fn want(&self, want: Want) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).push(want);
    }

    /// Whether everything that was asked for was known: what came of it is worth something only then.
    pub(super) fn is_complete(&self) -> bool {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Reads what was asked for.
    pub(super) async fn load(&mut self, app: &App, tenant: &Name) -> Answer<()> {
        let wanted = mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        for want in wanted {
            match want {
                Want::Document(path) => self.read(app, tenant, &path).await?,
                Want::List(prefix) => self.read_all(app, tenant, &prefix).await?,
                Want::Naming(to) => {
                    let prefix = layout::naming_path(tenant, to.as_str());
                    let found = self.untouched(app, &prefix, FEW, |rest| rest.parse().ok()).await?;
                    for path in &found {
                        self.read(app, tenant, path).await?;
                    }
                    self.naming.insert(to, found);
                }
                Want::Greatest(prefix) => {
                    let role = |rest: &str| format!("{ROLES}/{}", rest.split_once('/')?.1).parse().ok();
                    let found = self.untouched(app, &layout::role_lives(tenant), 1, role).await?;
                    for path in &found {
                        self.read(app, tenant, path).await?;
                    }
                    self.greatest.insert(prefix, found);
                }
            }
        }
        Ok(())
    }

    async fn read(&mut self, app: &App, tenant: &Name, path: &Path) -> Answer<()> {
        if !self.documents.contains_key(path) {
            let found = app.db.get(&layout::document(tenant, path.as_str())).await?;
            let document = found.map(|found| Document::from_json(&found.value)).transpose()?;
            self.documents.insert(path.clone(), document);
        }
        Ok(())
    }

    async fn read_all(&mut self, app: &App, tenant: &Name, prefix: &str) -> Answer<()> {
        each(app, tenant, prefix, |path, document| {
            self.documents.insert(path, Some(document));
        })
        .await?;
        self.lists.insert(prefix.to_owned());
        Ok(())
    }

    /// The first paths of an index that the change is not about.
    async fn untouched(
        &self,
        app: &App,
        prefix: &str,
        most: usize,
        path: impl Fn(&str) -> Option<Path>,
    ) -> Answer<Vec<Path>> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        // As many as it takes where all that the change is about come first.
        let page = most.saturating_add(self.touched.len()).min(PAGE);
        loop {
            let keys = self.index.page(app, prefix, after.as_deref(), page).await?;
            let is_last = keys.len() < page;
            let paths = keys.iter().filter_map(|key| path(key.strip_prefix(prefix)?));
            found.extend(paths.filter(|path| !self.touched.contains(path)));
            if is_last || found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
            after = keys.into_iter().next_back();
        }
    }

    /// The documents of a collection that name the one at a path, but for those that the change is about; of many only some.
    pub(super) async fn naming(&self, app: &App, tenant: &Name, to: &Path, collection: &str) -> Answer<Vec<Path>> {
        let root = layout::naming_path(tenant, to.as_str());
        let path = |rest: &str| format!("{collection}/{rest}").parse().ok();
        self.untouched(app, &format!("{root}{collection}/"), MANY, path).await
    }

    /// Whether any document names a path.
    pub(super) async fn is_named(&self, app: &App, tenant: &Name, to: &str) -> Answer<bool> {
        Ok(!self.index.page(app, &layout::naming_path(tenant, to), None, 1).await?.is_empty())
    }

    /// The document at a path.
    pub(super) async fn document(&mut self, app: &App, tenant: &Name, path: &Path) -> Answer<Option<Document>> {
        self.read(app, tenant, path).await?;
        Ok(self.documents.get(path).cloned().flatten())
    }

    /// Of the AppRoles with JWT-SVIDs that the change is not about the one whose tokens live longest.
    pub(super) async fn longest_role(&mut self, app: &App, tenant: &Name) -> Answer<Option<(Path, Document)>> {
        let prefix = format!("{ROLES}/");
        if !self.greatest.contains_key(&prefix) {
            self.want(Want::Greatest(prefix.clone()));
            self.load(app, tenant).await?;
        }
        let path = self.greatest.get(&prefix).and_then(|found| found.first());
        Ok(path.and_then(|path| Some((path.clone(), self.documents.get(path)?.clone()?))))
    }

    /// What becomes of the index with a change: the keys that come and those that go.
    pub(super) fn index_writes(
        &self,
        app: &App,
        tenant: &Name,
        changes: &[keyward_config_tree::Change],
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let keys = |path: &Path, document: Option<&Document>| match document {
            Some(document) => keys(app.schema(tenant), &app.limits, tenant, path, document),
            None => BTreeSet::new(),
        };
        let (mut come, mut go) = match &self.index {
            Index::Stored => Default::default(),
            Index::Made { keys, stale } => (keys.clone(), stale.clone()),
        };
        for change in changes {
            let (before, after) = (keys(change.path(), change.before()), keys(change.path(), change.after()));
            for key in before.difference(&after) {
                come.remove(key);
                go.insert(key.clone());
            }
            for key in after.difference(&before) {
                go.remove(key);
                come.insert(key.clone());
            }
        }
        (come, go)
    }
}

impl Source for Current {
    fn get(&self, path: &Path) -> Result<Option<Document>, SourceError> {
        if let Some(known) = self.documents.get(path) {
            return Ok(known.clone());
        }
        if self.lists.iter().any(|prefix| path.as_str().starts_with(prefix)) {
            return Ok(None);
        }
        self.want(Want::Document(path.clone()));
        // As if it were there, so that a plan goes on and asks for what else it needs.
        Ok(Some(Document::new()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<(Path, Document)>, SourceError> {
        if !self.lists.contains(prefix) {
            self.want(Want::List(prefix.to_owned()));
            return Ok(Vec::new());
        }
        let below = self
            .documents
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(path, _)| path.as_str().starts_with(prefix));
        Ok(below.filter_map(|(path, document)| Some((path.clone(), document.clone()?))).collect())
    }

    fn referring(&self, to: &Path, _: &dyn Fn(&Path) -> bool) -> Result<Option<Vec<Path>>, SourceError> {
        let known = self.naming.get(to).cloned();
        if known.is_none() {
            self.want(Want::Naming(to.clone()));
        }
        Ok(Some(known.unwrap_or_default()))
    }

    fn greatest(&self, prefix: &str, _: &dyn Fn(&Path) -> bool) -> Result<Option<Vec<Path>>, SourceError> {
        if prefix.strip_suffix('/') != Some(ROLES) {
            return Ok(None);
        }
        let known = self.greatest.get(prefix).cloned();
        if known.is_none() {
            self.want(Want::Greatest(prefix.to_owned()));
        }
        Ok(Some(known.unwrap_or_default()))
    }
}

impl Index {
    async fn make(app: &App, tenant: &Name) -> Answer<Self> {
        let schema = app.schema(tenant);
        let mut made = BTreeSet::new();
        each(app, tenant, "", |path, document| {
            made.extend(keys(schema, &app.limits, tenant, &path, &document));
        })
        .await?;
        let mut stale = BTreeSet::new();
        for prefix in [layout::naming(tenant), layout::role_lives(tenant), layout::config_index(tenant, "")] {
            let names = Scan::new(&**app.db.store(), &prefix).names().await?;
            stale.extend(names.into_iter().map(|name| format!("{prefix}{name}")));
        }
        stale.retain(|key| !made.contains(key));
        stale.remove(&layout::config_index(tenant, &form(&app.limits)));
        Ok(Self::Made { keys: made, stale })
    }

    async fn page(&self, app: &App, prefix: &str, after: Option<&str>, most: usize) -> Answer<Vec<String>> {
        match self {
            Self::Stored => {
                let entries = app.db.store().range(prefix, after, most, None).await?;
                Ok(entries.into_iter().map(|entry| entry.key).collect())
            }
            Self::Made { keys, .. } => {
                let from = after.map_or(prefix, |after| after.max(prefix));
                let below = keys
                    .range::<str, _>((Bound::Included(from), Bound::Unbounded))
                    .filter(|key| Some(key.as_str()) != after);
                Ok(below.take_while(|key| key.starts_with(prefix)).take(most).cloned().collect())
            }
        }
    }
}

/// The form of the index: what is in it, and the limits that the lives in it were reckoned with.
pub(super) fn form(limits: &Limits) -> String {
    format!("1-{}-{}", limits.default_ttl.as_secs(), limits.max_ttl.as_secs())
}

/// The entries of a document in the index.
fn keys(schema: &Schema, limits: &Limits, tenant: &Name, path: &Path, document: &Document) -> BTreeSet<String> {
    let names = schema.names(path, document);
    let mut keys: BTreeSet<String> = names.iter().map(|to| layout::names(tenant, to.as_str(), path.as_str())).collect();
    if let Some(role) = super::name_in(path, ROLES)
        && let Ok(config) = document.to::<RoleConfig>()
        && config.token_spiffe_jwt.is_some()
    {
        let life = config.longest_token_life(limits).as_secs();
        keys.insert(layout::role_life(tenant, life, role.as_str()));
    }
    keys
}

/// Does something with each document below a prefix, a page at a time.
async fn each(app: &App, tenant: &Name, prefix: &str, mut visit: impl FnMut(Path, Document)) -> Answer<()> {
    let root = layout::documents(tenant);
    let prefix = format!("{root}{prefix}");
    let mut scan = Scan::new(&**app.db.store(), &prefix);
    while let Some(page) = scan.next().await? {
        for entry in page {
            let opened = app.db.open(entry).await?;
            let path = opened.key.strip_prefix(&root).and_then(|path| path.parse().ok());
            let path = path.ok_or_else(|| ApiError::internal(format!("a document stands at `{}`", opened.key)))?;
            visit(path, Document::from_json(&opened.value)?);
        }
    }
    Ok(())
}
