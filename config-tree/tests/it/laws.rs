//! What holds for every document and every bulk.

use crate::schema::{Documents, path, schema, store};
use keyward_config_tree::{Bulk, Document, Item, Operation, diff, plan};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9e15..9e15_f64).prop_map(Value::from),
        (-1.0..1.0_f64).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x7e]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]|\\PC{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn document() -> impl Strategy<Value = Document> {
    proptest::collection::btree_map("[a-d]", value(), 0..4)
        .prop_map(|map| Document::from_value(Value::Object(map.into_iter().collect())).unwrap())
}

/// Operations on a handful of documents, most of them possible.
fn bulk() -> impl Strategy<Value = Bulk> {
    let key = ("[abc]", 0..4_u8, any::<bool>(), prop_oneof![Just("rsa-2048"), Just("ecdsa-p256"), Just("bad")])
        .prop_map(|(name, operation, exportable, cipher)| {
            let operation = match operation {
                0 => Operation::Create,
                1 => Operation::Merge,
                2 => Operation::Delete,
                _ => Operation::Replace,
            };
            let fields = match operation {
                Operation::Delete => json!({}),
                _ => json!({"cipher": cipher, "exportable": exportable}),
            };
            let key = path("strongbox/transit-keys").join(&name).unwrap();
            Item::new(key, operation, Document::from_value(fields).unwrap())
        });
    let settings = ("[abc]", any::<bool>()).prop_map(|(name, delete)| {
        let settings = path("strongbox/authentication/spiffe-settings");
        if delete {
            return Item::delete(settings);
        }
        let fields = Document::from_value(json!({"jwt-signing-key": name})).unwrap();
        Item::new(settings, Operation::Replace, fields)
    });
    proptest::collection::vec(prop_oneof![4 => key, 1 => settings], 1..5).prop_map(|items| items.into_iter().collect())
}

/// Every reference is kept, and every document is what its path says.
fn is_sound(documents: &Documents) -> bool {
    documents.iter().all(|(at, document)| match document.fields().get("jwt-signing-key") {
        Some(key) => documents.contains_key(&path("strongbox/transit-keys").join(key.as_str().unwrap()).unwrap()),
        None => document.fields()["name"] == at.name(),
    })
}

proptest! {
    #[test]
    fn json_and_yaml_give_the_same(document in document()) {
        let text = document.to_string();
        prop_assert_eq!(&Document::from_json(text.as_bytes()).unwrap(), &document);
        // JSON is YAML (1.2.2 §1.3), where names are not longer than a line may be.
        prop_assert_eq!(&Document::from_yaml(text.as_bytes()).unwrap(), &document, "{}", text);
    }

    #[test]
    fn any_text_is_answered(text in "(x-path: a\nx-operation: replace\n)?[a-c:{}\\[\\]&*!|>'\"#~ \n0-9.-]{0,60}") {
        if let Ok(bulk) = Bulk::parse(&text) {
            for item in bulk.items() {
                prop_assert!(item.line().unwrap() <= text.lines().count().max(1));
                prop_assert!(!item.document().fields().keys().any(|name| name.starts_with("x-")));
            }
        }
        let _ = Document::from_json(text.as_bytes());
    }

    #[test]
    fn merging_twice_is_merging_once(document in document(), patch in document()) {
        let once = document.merged(&patch);
        prop_assert_eq!(&once.merged(&patch), &once);
        prop_assert_eq!(document.merged(&Document::new()), document);
    }

    #[test]
    fn a_diff_is_empty_for_the_same_alone(a in document(), b in document()) {
        prop_assert!(diff(&a, &a).is_empty());
        prop_assert_eq!(diff(&a, &b).is_empty(), a == b);
        prop_assert_eq!(diff(&a, &b).len(), diff(&b, &a).len());
    }

    #[test]
    fn all_or_nothing_and_always_sound(bulks in proptest::collection::vec(bulk(), 1..6)) {
        let schema = schema();
        let mut documents = Documents::new();
        for bulk in bulks {
            let before = documents.clone();
            let result = plan(&documents, &bulk, &schema);
            prop_assert_eq!(&documents, &before);
            let Ok(plan) = result else { continue };
            store(&mut documents, &plan);
            prop_assert!(is_sound(&documents), "{:?}", documents);
            prop_assert_eq!(plan.is_unchanged(), documents == before);
            // Operation by operation it is the same, where each can stand alone.
            let mut one_by_one = before.clone();
            let alone = bulk.items().iter().try_for_each(|item| {
                let plan = keyward_config_tree::plan(&one_by_one, &item.clone().into(), &schema)?;
                store(&mut one_by_one, &plan);
                Ok::<(), keyward_config_tree::Error>(())
            });
            if alone.is_ok() {
                prop_assert_eq!(&one_by_one, &documents);
            }
        }
    }

    #[test]
    fn a_plan_done_twice_changes_nothing_more(bulk in bulk()) {
        let schema = schema();
        let repeatable: Bulk =
            bulk.items().iter().filter(|item| item.operation() == Operation::Replace).cloned().collect();
        let mut documents = Documents::new();
        let Ok(first) = plan(&documents, &repeatable, &schema) else { return Ok(()) };
        store(&mut documents, &first);
        let once = documents.clone();
        let again = plan(&documents, &repeatable, &schema).unwrap();
        store(&mut documents, &again);
        prop_assert_eq!(&documents, &once);
        prop_assert!(again.is_unchanged());
    }
}
