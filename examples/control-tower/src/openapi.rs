//! The interface as OpenAPI 3.1, made of the table of routes, so that the two cannot differ.

use serde_json::{Map, Value, json};

use crate::router::{Access, routes};

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let path = route.path.replace("{*", "{");
        let parameters: Vec<Value> = variables(&path)
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .chain(optional(route.method, &path).into_iter().map(|(name, place, kind, meaning)| {
                json!({"name": name, "in": place, "description": meaning, "schema": {"type": kind}})
            }))
            .collect();
        let mut operation = json!({
            "summary": route.summary,
            "operationId": operation_id(route.method, &path),
            "parameters": parameters,
            "security": match route.access {
                Access::Public => json!([]),
                Access::Token | Access::Policy | Access::Operators => json!([{"bearer": []}, {"vault-token": []}]),
            },
            "responses": {
                "200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}},
                "4XX": {"$ref": "#/components/responses/refused"},
                "5XX": {"$ref": "#/components/responses/refused"},
            },
        });
        if matches!(route.method, "POST" | "PUT" | "PATCH")
            && let Some(operation) = operation.as_object_mut()
        {
            let media = if path == "/v1/bulk" { "application/yaml" } else { "application/json" };
            operation.insert("requestBody".to_owned(), json!({"content": {media: {"schema": {"type": "object"}}}}));
        }
        if let Some(entry) = paths.entry(path).or_insert_with(|| json!({})).as_object_mut() {
            entry.insert(route.method.to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyward control tower",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "vault-token": {"type": "apiKey", "in": "header", "name": "X-Vault-Token"},
            },
            "responses": {
                "refused": {
                    "description": "Refused; nothing was changed.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/errors"}}},
                },
            },
            "schemas": {
                "errors": {
                    "type": "object",
                    "required": ["errors"],
                    "properties": {
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["error-message", "error-info"],
                                "properties": {
                                    "error-message": {"type": "string"},
                                    "error-info": {"type": "object"},
                                },
                            },
                        },
                    },
                },
            },
        },
    })
}

/// What may be given besides: name, place, type, meaning.
fn optional(method: &str, path: &str) -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let validate = ("validate", "query", "boolean", "Only says what would happen.");
    let force = ("force", "query", "boolean", "Removes a tenant with all that it has.");
    match (method, path) {
        ("GET", "/v1/state/audit") => vec![
            ("since", "query", "string", "A record's number or an RFC 3339 time."),
            ("limit", "query", "integer", "The most records, 1 to 1000; 100 by default."),
        ],
        (_, "/v1/get-spiffe-jwks" | "/v1/get-spiffe-bundle") => {
            vec![("tenant", "query", "string", "The tenant's name or id; `default` by default.")]
        }
        ("POST", "/v1/state/system/call-home/install-script") => {
            vec![(
                "output",
                "query",
                "string",
                "`json`: the script among what is known of it; without it the script alone.",
            )]
        }
        ("GET", "/v1/state/system/hosts") => vec![
            ("limit", "query", "integer", "The most hosts, 1 to 1000, which is the default."),
            ("after", "query", "string", "The id behind which the page begins: `next` of the one before."),
        ],
        ("GET", "/v1/state/federation" | "/v1/state/tenants") => vec![
            ("limit", "query", "integer", "The most of them, 1 to 1000, which is the default."),
            ("after", "query", "string", "The name behind which the page begins; the header `Link` has the next page."),
            ("at", "query", "integer", "The revision as of which they are listed, as `Link` has it."),
        ],
        ("POST", "/v1/bulk") => vec![validate, force],
        ("GET", "/v1/config/{path}") => vec![
            ("limit", "query", "integer", "Of a collection: the most names, 1 to 1000, which is the default."),
            (
                "after",
                "query",
                "string",
                "Of a collection: the name behind which the page begins; the header `Link` has the next page.",
            ),
            ("at", "query", "integer", "Of a collection: the revision as of which it is listed, as `Link` has it."),
        ],
        ("PUT" | "PATCH" | "POST" | "DELETE", "/v1/config/{path}") => vec![
            validate,
            force,
            ("If-Match", "header", "string", "The `ETag` of what is to be changed."),
            ("If-None-Match", "header", "string", "`*`: only if there is none yet."),
        ],
        _ => Vec::new(),
    }
}

fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '-', '.', '{', '}', '_']).filter(|word| !word.is_empty());
    std::iter::once(method.to_ascii_lowercase().as_str()).chain(words).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_is_described_once() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let mut ids = HashSet::new();
        for operation in paths.values().flat_map(|path| path.as_object().unwrap().values()) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
        }
        assert_eq!(ids.len(), routes().len());
        assert_eq!(paths["/v1/config/{path}"]["put"]["parameters"][0]["name"], "path");
        assert_eq!(paths["/v1/state/audit"]["get"]["parameters"][1]["name"], "limit");
        assert_eq!(paths["/live"]["get"]["security"], json!([]));
        assert_ne!(paths["/v1/state/audit"]["get"]["security"], json!([]));
    }
}
