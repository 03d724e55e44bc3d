//! What operations do, and what they are refused for.

use crate::schema::{Documents, KEYS, Key, SpiffeSettings, done, path, run, schema};
use keyward_config_tree::{
    Bulk, Document, Effect, Error, ErrorKind, Item, Operation, Path, Reason, Reference, Schema, Source, SourceError,
    collection, plan,
};

const KEY: &str = "{x-path: strongbox/transit-keys/k, x-operation: replace, cipher: rsa-2048}";
const SETTINGS: &str = "{x-path: strongbox/authentication/spiffe-settings, x-operation: replace, jwt-signing-key: k}";

fn op(operation: &str, fields: &str) -> String {
    format!("x-path: strongbox/transit-keys/k\nx-operation: {operation}\n{fields}")
}

fn with_key() -> Documents {
    let mut documents = Documents::new();
    done(&mut documents, KEY);
    documents
}

fn refusal(documents: &Documents, text: &str) -> Error {
    run(&mut documents.clone(), text).unwrap_err()
}

#[test]
fn create_wants_nothing_there() {
    let mut documents = Documents::new();
    let created = run(&mut documents, &op("create", "cipher: rsa-2048")).unwrap();
    assert_eq!(created.outcomes()[0].effect(), Effect::Created);
    assert_eq!(created.outcomes()[0].change().before(), None);
    let error = refusal(&documents, &op("create", "cipher: rsa-2048"));
    assert_eq!(
        error.to_string(),
        "document 1, line 1, `strongbox/transit-keys/k`: exists already; use `replace` to put this one in its place"
    );
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Refused, &Reason::Exists));
}

#[test]
fn merge_and_delete_want_something_there() {
    let error = refusal(&Documents::new(), &op("merge", "cipher: rsa-2048"));
    assert_eq!(
        error.to_string(),
        "document 1, line 1, `strongbox/transit-keys/k`: does not exist; use `create` or `replace` with the whole document"
    );
    let error = refusal(&Documents::new(), &op("delete", ""));
    assert_eq!(
        error.to_string(),
        "document 1, line 1, `strongbox/transit-keys/k`: does not exist; there is nothing to delete; check the path"
    );
    assert_eq!(error.reason(), &Reason::NotFound { operation: Operation::Delete });
}

#[test]
fn merge_changes_what_is_given() {
    let mut documents = Documents::new();
    let rotate = "{rotate-after: 30d, activate-after: 1d, deprecate-after: 2d, invalidate-after: 2d}";
    done(&mut documents, &op("replace", &format!("cipher: rsa-2048\nexportable: true\nauto-rotate: {rotate}")));
    let merged = run(&mut documents, &op("merge", "exportable: null\nauto-rotate: {rotate-after: 20d}")).unwrap();
    assert_eq!(merged.to_string(), "1 merged");
    let diff: Vec<String> = merged.changes()[0].diff().iter().map(ToString::to_string).collect();
    assert_eq!(diff, ["~ auto-rotate.rotate-after: \"30d\" → \"20d\"", "- exportable: true"]);
    let again = run(&mut documents, &op("merge", "exportable: null\nauto-rotate: {rotate-after: 20d}")).unwrap();
    assert!(again.is_unchanged());
    // The result is checked, not the patch.
    let error = refusal(&documents, &op("merge", "auto-rotate: {deprecate-after: 25d}"));
    assert_eq!(
        error.to_string(),
        "document 1, line 3, `strongbox/transit-keys/k`: field `auto-rotate.rotate-after`: shorter than the rest of the schedule; write a longer one"
    );
    let error = refusal(&documents, &op("merge", "auto-rotate: {rotate-after: null}"));
    assert!(error.to_string().contains("field `auto-rotate.rotate-after`: missing; add it"), "{error}");
    let error = refusal(&documents, &op("merge", "name: other"));
    assert!(error.to_string().contains("`other` differs from the path, which ends in `k`"), "{error}");
}

#[test]
fn nulls_are_fields_that_are_not_there() {
    let mut documents = with_key();
    let same = run(&mut documents, &op("replace", "cipher: rsa-2048\nauto-rotate:\nname: ~")).unwrap();
    assert!(same.is_unchanged());
}

#[test]
fn delete_removes_and_takes_no_fields() {
    let mut documents = with_key();
    let error = refusal(&documents, &op("delete", "cipher: rsa-2048"));
    assert_eq!(
        error.to_string(),
        "document 1, line 3, `strongbox/transit-keys/k`: field `cipher`: a document that is to be deleted has no fields; remove the field, or use `merge` to change the document"
    );
    assert!(run(&mut documents.clone(), &op("delete", "name: k")).is_ok());
    let deleted = run(&mut documents, &op("delete", "")).unwrap();
    assert_eq!(deleted.to_string(), "1 deleted");
    assert!(documents.is_empty());
}

#[test]
fn operations_on_one_path_are_done_in_order() {
    let mut documents = with_key();
    let text = [
        op("delete", ""),
        op("create", "cipher: ecdsa-p256"),
        op("merge", "exportable: true"),
        op("merge", "exportable: true"),
    ]
    .join("\n---\n");
    let done = run(&mut documents, &text).unwrap();
    assert_eq!(done.to_string(), "1 created, 1 merged, 1 deleted, 1 unchanged");
    assert_eq!(done.changes().len(), 1, "one change per document: {done:?}");
    assert_eq!(
        documents[&path("strongbox/transit-keys/k")].clone().into_value(),
        serde_json::json!({"cipher": "ecdsa-p256", "exportable": true, "name": "k"})
    );
    // There and back again is no change.
    let text = [op("merge", "exportable: false"), op("merge", "exportable: true")].join("\n---\n");
    assert!(run(&mut documents, &text).unwrap().is_unchanged());
}

#[test]
fn what_others_need_is_not_deleted() {
    let mut documents = with_key();
    done(&mut documents, SETTINGS);
    let error = refusal(&documents, &op("delete", ""));
    assert_eq!(
        error.to_string(),
        "document 1, line 1, `strongbox/transit-keys/k`: needed by `strongbox/authentication/spiffe-settings` (field `jwt-signing-key`); change or delete those first or in the same bulk"
    );
    // Together with who needs it, in either order.
    let settings = "{x-path: strongbox/authentication/spiffe-settings, x-operation: delete}";
    let together = [&op("delete", "") as &str, settings].join("\n---\n");
    assert_eq!(run(&mut documents.clone(), &together).unwrap().to_string(), "2 deleted");
    // Or once that one needs another.
    let other = "{x-path: strongbox/transit-keys/k2, x-operation: create}";
    let moved = [&op("delete", "") as &str, other, &SETTINGS.replace(": k}", ": k2}")].join("\n---\n");
    assert_eq!(run(&mut documents, &moved).unwrap().to_string(), "1 created, 1 replaced, 1 deleted");
    // A document in the same bulk that needs what is deleted misses it.
    let error = refusal(&with_key(), &[&op("delete", "") as &str, SETTINGS].join("\n---\n"));
    assert_eq!(error.document(), Some(2));
    assert_eq!(error.reason().as_str(), "missing-reference");
}

#[test]
fn optional_references_warn() {
    let text = "x-path: strongbox/authentication/approles/r\nx-operation: create\ntoken-policies: [here, there]";
    let plan = run(&mut Documents::new(), text).unwrap();
    let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "`strongbox/authentication/approles/r`: field `token-policies[0]`: `strongbox/policies/here` does not exist yet",
            "`strongbox/authentication/approles/r`: field `token-policies[1]`: `strongbox/policies/there` does not exist yet",
        ]
    );
}

#[test]
fn one_operation_needs_no_bulk() {
    let mut documents = with_key();
    let patch = Document::from_json(br#"{"exportable": true}"#).unwrap();
    let bulk: Bulk = Item::new(path("strongbox/transit-keys/k"), Operation::Merge, patch).into();
    let done = plan(&documents, &bulk, &schema()).unwrap();
    assert_eq!(done.outcomes()[0].document(), None);
    crate::schema::store(&mut documents, &done);
    let bulk: Bulk = Item::delete(path("strongbox/transit-keys/k")).into();
    assert_eq!(plan(&documents, &bulk, &schema()).unwrap().to_string(), "1 deleted");
}

#[test]
fn stored_documents_of_another_release_do_not_stand_in_the_way() {
    let mut documents = with_key();
    let settings = Document::from_yaml(b"jwt-signing-key: k\nsince-removed: 1").unwrap();
    documents.insert(path("strongbox/authentication/spiffe-settings"), settings);
    assert!(run(&mut documents, &op("merge", "exportable: true")).is_ok());
    let error = refusal(&documents, &op("delete", ""));
    assert_eq!(error.reason().as_str(), "referred", "what it refers to still counts: {error}");
}

/// A store that fails.
struct Broken;

impl Source for Broken {
    fn get(&self, _: &Path) -> Result<Option<Document>, SourceError> {
        Err(SourceError::new("the disk is gone"))
    }

    fn list(&self, _: &str) -> Result<Vec<(Path, Document)>, SourceError> {
        Err(SourceError::new("the disk is gone"))
    }
}

/// Documents with an index of who needs what, and nothing to list.
struct Indexed(Documents, Vec<(&'static str, &'static str)>);

impl Source for Indexed {
    fn get(&self, path: &Path) -> Result<Option<Document>, SourceError> {
        Source::get(&self.0, path)
    }

    fn list(&self, prefix: &str) -> Result<Vec<(Path, Document)>, SourceError> {
        panic!("`{prefix}` is listed")
    }

    fn referring(&self, to: &Path, except: &dyn Fn(&Path) -> bool) -> Result<Option<Vec<Path>>, SourceError> {
        let by = self.1.iter().filter(|(name, _)| *name == to.as_str()).filter_map(|(_, by)| by.parse().ok());
        Ok(Some(by.filter(|by| !except(by)).collect()))
    }

    fn greatest(&self, _: &str, _: &dyn Fn(&Path) -> bool) -> Result<Option<Vec<Path>>, SourceError> {
        Ok(Some(Vec::new()))
    }
}

#[test]
fn an_index_says_who_needs_what_is_deleted() {
    let (key, settings) = ("strongbox/transit-keys/k", "strongbox/authentication/spiffe-settings");
    let mut documents = with_key();
    done(&mut documents, SETTINGS);
    let settings_path = path(settings);
    let names = schema().names(&settings_path, &documents[&settings_path]);
    assert_eq!(names.iter().map(Path::as_str).collect::<Vec<_>>(), [key]);
    let refusal = refusal(&documents, &op("delete", "")).to_string();
    let planned = |source: &Indexed, text: &str| {
        plan(
            source,
            &Bulk::parse(text).unwrap(),
            &Schema::new()
                .with(collection::<Key>(KEYS))
                .unwrap()
                .with(collection::<SpiffeSettings>(settings).references(|settings: &SpiffeSettings| {
                    vec![Reference::required(
                        "jwt-signing-key",
                        format!("strongbox/transit-keys/{}", settings.jwt_signing_key),
                    )]
                }))
                .unwrap(),
        )
        .map(|plan| plan.to_string())
        .map_err(|error| error.to_string())
    };
    let indexed = Indexed(documents, vec![(key, settings)]);
    assert_eq!(planned(&indexed, &op("delete", "")), Err(refusal));
    // One that goes with it does not hold it, nor one that names it no more.
    let gone = format!("{{x-path: {settings}, x-operation: delete}}");
    assert_eq!(planned(&indexed, &[&op("delete", "") as &str, &gone].join("\n---\n")), Ok("2 deleted".to_owned()));
    let stale = Indexed(with_key(), vec![(key, settings)]);
    assert_eq!(planned(&stale, &op("delete", "")), Ok("1 deleted".to_owned()));
}

#[test]
fn a_store_that_fails_is_said_so() {
    let error = plan(&Broken, &Bulk::parse(KEY).unwrap(), &schema()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the disk is gone");
}
