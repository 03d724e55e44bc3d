//! From what the operator writes (`strongbox/policies/ops`, `state/…`, `/v1/…`) to the path of a request.

use std::fmt;

use crate::error::Error;

/// The path and the query of a request, percent-encoded, starting with `/v1/` or another root of the tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(String);

impl Target {
    /// A fixed path of the API.
    pub(crate) fn fixed(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// What `show` reads: configuration, `state/…`, or a path that begins with `/v1/` as it is.
    pub(crate) fn to_show(path: &str) -> Result<Self, Error> {
        match relative(path) {
            Relative::Api(path) => Self::checked(&format!("/v1/{path}")),
            Relative::Tree(path) if path == "state" || path.starts_with("state/") => {
                Self::checked(&format!("/v1/{path}"))
            }
            Relative::Tree(path) => Ok(DocumentPath::parse(path)?.target()),
        }
    }

    /// What `do` calls: below `/v1/state/`, or a path that begins with `/v1/` as it is.
    pub(crate) fn to_call(path: &str) -> Result<Self, Error> {
        match relative(path) {
            Relative::Api(path) => Self::checked(&format!("/v1/{path}")),
            Relative::Tree(path) => {
                Self::checked(&format!("/v1/state/{}", path.strip_prefix("state/").unwrap_or(path)))
            }
        }
    }

    /// The same with one more `key=value` in the query.
    pub(crate) fn with_query(mut self, key: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        encode(key, is_query_value, &mut self.0);
        if !value.is_empty() {
            self.0.push('=');
            encode(value, is_query_value, &mut self.0);
        }
        self
    }

    /// A dry run, or not.
    pub(crate) fn validate(self, yes: bool) -> Self {
        if yes { self.with_query("validate", "true") } else { self }
    }

    /// A removal of what is not empty, or not.
    pub(crate) fn force(self, yes: bool) -> Self {
        if yes { self.with_query("force", "true") } else { self }
    }

    /// As it goes on the wire.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn checked(path: &str) -> Result<Self, Error> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let path = path.trim_end_matches('/');
        // A URL parser would walk up at dot segments (RFC 3986 §5.2.4) and ask for something else than was written.
        for segment in path.split('/').skip(1) {
            if segment.is_empty() || segment == "." || segment == ".." {
                return Err(Error::usage(
                    format!("path `{path}` has an empty or a dot segment"),
                    "write it as `strongbox/transit-keys/spiffe-jwt`",
                ));
            }
        }
        let mut encoded = String::with_capacity(path.len());
        encode(path, |byte| is_pchar(byte) || byte == b'/', &mut encoded);
        if let Some(query) = query {
            encoded.push('?');
            encode(query, |byte| is_pchar(byte) || byte == b'/' || byte == b'?', &mut encoded);
        }
        Ok(Self(encoded))
    }
}

/// Where a document is created.
#[derive(Debug)]
pub(crate) struct Creation<'a> {
    /// Where to POST
    pub(crate) target: Target,
    /// The field that names it in its collection, and the name
    pub(crate) name: Option<(&'static str, &'a str)>,
}

/// Documents that are in no collection, apart from those of one segment.
const ALONE: [&str; 2] = ["strongbox/authentication/spiffe-settings", "system/call-home/settings"];

/// The path of one document of the configuration: `strongbox/policies/ops`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentPath(String);

impl DocumentPath {
    /// Reads it with or without `/v1/config/` before it.
    pub(crate) fn parse(path: &str) -> Result<Self, Error> {
        let tree = match relative(path) {
            Relative::Tree(path) => path,
            Relative::Api(path) => match path.strip_prefix("config/") {
                Some(path) => path,
                None => return Err(not_configuration(path)),
            },
        };
        let tree = tree.strip_prefix("config/").unwrap_or(tree).trim_end_matches('/');
        if tree == "state" || tree.starts_with("state/") {
            return Err(not_configuration(tree));
        }
        if tree.is_empty() {
            return Err(Error::usage("the path is empty", "write it as `strongbox/transit-keys/spiffe-jwt`"));
        }
        Target::checked(&format!("/v1/config/{tree}"))?;
        Ok(Self(tree.to_owned()))
    }

    /// Where it is read, replaced, merged and deleted.
    pub(crate) fn target(&self) -> Target {
        // Checked when it was parsed, so that there is nothing left to refuse.
        Target::checked(&format!("/v1/config/{}", self.0)).unwrap_or_else(|_| Target::fixed("/v1/config"))
    }

    /// Where it is created: in its collection, with the field that names it there and its name; a document that
    /// stands alone is created in its own place and has no name.
    pub(crate) fn to_create(&self) -> Result<Creation<'_>, Error> {
        let (collection, name) = match self.0.rsplit_once('/') {
            Some(split) if !ALONE.contains(&self.0.as_str()) => split,
            _ => return Ok(Creation { target: self.target(), name: None }),
        };
        let field = match collection {
            "federation" => "trust-domain",
            _ => "name",
        };
        Ok(Creation { target: Target::checked(&format!("/v1/config/{collection}"))?, name: Some((field, name)) })
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path of the API without its `/v1/config/`, as documents are called everywhere in the output.
pub(crate) fn short(path: &str) -> &str {
    path.strip_prefix("/v1/config/").unwrap_or(path)
}

enum Relative<'a> {
    Api(&'a str),
    Tree(&'a str),
}

fn relative(path: &str) -> Relative<'_> {
    match path.strip_prefix("/v1/").or_else(|| path.strip_prefix("v1/")) {
        Some(rest) => Relative::Api(rest),
        None => Relative::Tree(path.strip_prefix('/').unwrap_or(path)),
    }
}

fn not_configuration(path: &str) -> Error {
    Error::usage(
        format!("`{path}` is not configuration"),
        "state is read with `supctl show` and changed with `supctl do`",
    )
}

/// `pchar` of RFC 3986 §3.3, `%` included: what is encoded already stays.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte)
}

fn is_query_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:@/,".contains(&byte)
}

fn encode(text: &str, plain: impl Fn(u8) -> bool, out: &mut String) {
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(path: &str) -> String {
        Target::to_show(path).unwrap().as_str().to_owned()
    }

    fn call(path: &str) -> String {
        Target::to_call(path).unwrap().as_str().to_owned()
    }

    #[test]
    fn show_reads_configuration_state_or_anything() {
        assert_eq!(show("strongbox/policies"), "/v1/config/strongbox/policies");
        assert_eq!(show("/strongbox/policies/"), "/v1/config/strongbox/policies");
        assert_eq!(show("config/strongbox/policies"), "/v1/config/strongbox/policies");
        assert_eq!(show("/v1/config/strongbox/policies"), "/v1/config/strongbox/policies");
        assert_eq!(show("state/strongbox/token"), "/v1/state/strongbox/token");
        assert_eq!(show("state/audit?limit=2"), "/v1/state/audit?limit=2");
        assert_eq!(show("/v1/get-spiffe-jwks?tenant=default"), "/v1/get-spiffe-jwks?tenant=default");
        assert_eq!(
            show("strongbox/authentication/users/a b@x.org"),
            "/v1/config/strongbox/authentication/users/a%20b@x.org"
        );
    }

    #[test]
    fn do_calls_state_or_anything() {
        assert_eq!(call("strongbox/check-issuer"), "/v1/state/strongbox/check-issuer");
        assert_eq!(call("state/strongbox/check-issuer"), "/v1/state/strongbox/check-issuer");
        assert_eq!(call("/v1/sys/health"), "/v1/sys/health");
        let query = Target::to_call("audit").unwrap().with_query("since", "a b&c").with_query("limit", "2");
        assert_eq!(query.as_str(), "/v1/state/audit?since=a%20b%26c&limit=2");
    }

    #[test]
    fn dot_segments_are_refused() {
        for path in ["strongbox/../tenants", "/v1/config/./x", "strongbox//x"] {
            let error = Target::to_show(path).unwrap_err();
            assert!(error.to_string().ends_with("has an empty or a dot segment"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_document_is_created_in_its_collection() {
        let path = DocumentPath::parse("/v1/config/strongbox/policies/ops").unwrap();
        let Creation { target, name } = path.to_create().unwrap();
        assert_eq!((target.as_str(), name), ("/v1/config/strongbox/policies", Some(("name", "ops"))));
        for (document, collection, field, name) in [
            (
                "strongbox/authentication/users/ann@example.com",
                "strongbox/authentication/users",
                "name",
                "ann@example.com",
            ),
            ("federation/peer.example", "federation", "trust-domain", "peer.example"),
        ] {
            let path = DocumentPath::parse(document).unwrap();
            let creation = path.to_create().unwrap();
            assert_eq!(creation.target.as_str(), format!("/v1/config/{collection}"));
            assert_eq!(creation.name, Some((field, name)));
        }
        for alone in ["firewall", "strongbox/authentication/spiffe-settings"] {
            let path = DocumentPath::parse(alone).unwrap();
            let Creation { target, name } = path.to_create().unwrap();
            assert_eq!((target.as_str(), name), (format!("/v1/config/{alone}").as_str(), None));
        }
    }

    #[test]
    fn state_is_not_edited() {
        for path in ["state/strongbox/token", "/v1/state/strongbox/token", "/v1/bulk"] {
            let error = DocumentPath::parse(path).unwrap_err();
            assert!(error.to_string().ends_with("is not configuration"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn targets_are_plain_ascii(path in "\\PC{1,40}") {
            if let Ok(target) = Target::to_show(&path) {
                prop_assert!(target.as_str().starts_with("/v1/"));
                prop_assert!(target.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
