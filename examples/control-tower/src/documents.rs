//! The documents that the API accepts: which collection is of which type, what refers to what, and what has to agree.

use keyward_approle::{ADMINISTRATOR_POLICY, DEFAULT_POLICY, Invalid, Limits, PolicyConfig, RoleConfig};
use keyward_callhome_cert::CallHomeSettings;
use keyward_config_tree::{CrossError, Field, FieldError, Path, Reference, Schema, SchemaError, View, collection};
use keyward_config_values::{
    Duration, Name,
    config::{SiteConfig, VariableConfig},
};
use keyward_keys::Algorithm;
use keyward_nft_marks::config::{FirewallConfig, IngressConfig, ResourceProfileConfig};
use keyward_svid::{SpiffeSettings, federation::FederationConfig, jwt::JWT_SVID_ALGORITHMS, x509::authority::CaConfig};
use keyward_transit::{RingConfig, ScheduleError};
use keyward_webauthn_login::UserConfig;

use crate::{
    call_home, federation,
    identity::SETTINGS,
    inbound::{self, SpiffeLoginConfig},
    login::providers::ProviderConfig,
    outbound,
    tenant::{self, TenantConfig},
    tls,
};

/// Key rings.
pub const KEYS: &str = "strongbox/transit-keys";
/// Certificate authorities.
pub const AUTHORITIES: &str = "system/ca";
/// AppRoles.
pub const ROLES: &str = "strongbox/authentication/approles";
/// Users.
pub const USERS: &str = "strongbox/authentication/users";
/// Providers elsewhere that log users in.
pub const PROVIDERS: &str = "strongbox/authentication/oidc";
/// Policies.
pub const POLICIES: &str = "strongbox/policies";

/// Variables of the tenant.
pub const VARIABLES: &str = "variables";
/// Sites.
pub const SITES: &str = "system/sites";

/// The firewall of all hosts.
pub const FIREWALL: &str = "firewall";
/// What tenants may use.
pub const PROFILES: &str = "resource-profiles";
/// Where the applications of the tenant are reached.
pub const INGRESS: &str = "ingress";

/// The table of collections.
///
/// # Errors
/// Two collections with one pattern, which a test excludes.
pub fn schema(limits: Limits) -> Result<Schema, SchemaError> {
    let schema = Schema::new()
        .with(collection::<RingConfig>(format!("{KEYS}/<name>")).validate(valid_ring))?
        .with(collection::<CaConfig>(format!("{AUTHORITIES}/<name>")).validate(valid_authority))?
        .with(collection::<SpiffeSettings>(SETTINGS).references(|settings: &SpiffeSettings| {
            let key = Reference::required("jwt-signing-key", format!("{KEYS}/{}", settings.jwt_signing_key));
            let authority = settings.issuing_ca.as_ref();
            let authority = authority.map(|name| Reference::required("issuing-ca", format!("{AUTHORITIES}/{name}")));
            std::iter::once(key).chain(authority).collect()
        }))?
        .with(
            collection::<RoleConfig>(format!("{ROLES}/<name>"))
                .validate(|role: &RoleConfig| valid(role.validate()))
                .references(|role: &RoleConfig| {
                    policies(Field::root().key("token-policies"), &role.token_policies).collect()
                }),
        )?
        .with(
            collection::<UserConfig>(format!("{USERS}/<name>"))
                .validate(|user: &UserConfig| {
                    user.validate().map_err(|(field, error)| FieldError::new(field, error.to_string()))
                })
                .references(|user: &UserConfig| policies(Field::root().key("policies"), &user.policies).collect()),
        )?
        .with(collection::<ProviderConfig>(format!("{PROVIDERS}/<name>")).validate(ProviderConfig::validate))?
        .with(
            collection::<SpiffeLoginConfig>(format!("{}/<name>", inbound::COLLECTION))
                .validate(SpiffeLoginConfig::validate)
                .references(|login: &SpiffeLoginConfig| {
                    let field = |index| Field::root().key("spiffe-id-patterns").index(index).key("token-policies");
                    let rules = login.spiffe_id_patterns.iter().enumerate();
                    rules.flat_map(|(index, rule)| policies(field(index), &rule.token_policies)).collect()
                }),
        )?
        .with(
            collection::<FederationConfig>(format!("{}/<trust-domain>", federation::COLLECTION))
                .validate(valid_federation)
                .references(|config: &FederationConfig| {
                    let id = config.endpoint_spiffe_id.as_ref().map(|id| id.trust_domain().to_owned());
                    let other = id.filter(|id| *id != config.trust_domain);
                    let reference = |other| {
                        Reference::optional("endpoint-spiffe-id", format!("{}/{other}", federation::COLLECTION))
                    };
                    other.map(reference).into_iter().collect()
                }),
        )?
        .with(collection::<VariableConfig>(format!("{VARIABLES}/<name>")))?
        .with(
            collection::<SiteConfig>(format!("{SITES}/<name>"))
                .validate(|site: &SiteConfig| site.validate().map_err(|error| site_error(&error)))
                .references(|site: &SiteConfig| {
                    let names = site.variables.keys().map(|key| key.name().as_str());
                    names.map(|name| variable("variables", name)).collect()
                }),
        )?
        // The application may come to exist later, and what the ranges come to is checked with the sites.
        .with(collection::<IngressConfig>(format!("{INGRESS}/<name>")).references(|_| any_variable()))?
        .with(
            collection::<PolicyConfig>(format!("{POLICIES}/<name>"))
                .validate(|policy: &PolicyConfig| valid(policy.validate()))
                .references(|policy: &PolicyConfig| {
                    policy.variables().iter().map(|name| variable("rest-api.rules", name.as_str())).collect()
                }),
        )?;
    Ok(schema.check(move |view| tokens_outlive_no_key(view, &limits)))
}

/// The table of collections of the tenant `default`, which has the other tenants among them, the firewall of the hosts, and what of
/// it tenants may use.
///
/// # Errors
/// As [`schema`].
pub fn operators_schema(limits: Limits) -> Result<Schema, SchemaError> {
    let tenants = format!("{}/<name>", tenant::COLLECTION);
    let schema = schema(limits)?
        .with(collection::<TenantConfig>(tenants).validate(TenantConfig::validate).references(
            |tenant: &TenantConfig| {
                let profile = tenant.resource_profile.as_ref();
                let to = |name| Reference::required("resource-profile", format!("{PROFILES}/{name}"));
                profile.map(to).into_iter().collect()
            },
        ))?
        .with(collection::<FirewallConfig>(FIREWALL).references(|_| any_variable()))?
        .with(collection::<ResourceProfileConfig>(format!("{PROFILES}/<name>")).references(|_| any_variable()))?
        .with(collection::<CallHomeSettings>(call_home::SETTINGS).validate(valid_call_home))?;
    Ok(schema.check(no_other_authority_issues))
}

/// Whether a path is of the tenant `default` alone: for others it is not there, whatever is asked of it.
pub fn is_for_operators(path: &Path) -> bool {
    let first = path.as_str().split('/').next().unwrap_or_default();
    [tenant::COLLECTION, FIREWALL, PROFILES].contains(&first) || path.as_str() == call_home::SETTINGS
}

/// A variable that a document has something to do with.
fn variable(field: &'static str, name: &str) -> Reference {
    Reference::mention(field, format!("{VARIABLES}/{name}"))
}

/// What documents have that may name variables: which, is known once they are expanded.
fn any_variable() -> Vec<Reference> {
    vec![Reference::mention(Field::root(), VARIABLES)]
}

fn valid_call_home(settings: &CallHomeSettings) -> Result<(), FieldError> {
    settings.validate().map_err(|error| {
        let text = error.to_string();
        let problem = text.strip_prefix(&format!("`{}` ", error.field())).unwrap_or(&text);
        let at = field(error.field());
        match problem.split_once(": ") {
            Some((message, remedy)) => FieldError::new(at, message).with_remedy(remedy),
            None => FieldError::new(at, problem),
        }
    })?;
    match &settings.external_ca_pem {
        Some(pem) => outbound::authorities(pem).map(drop).map_err(|error| FieldError::new("external-ca-pem", error)),
        None => Ok(()),
    }
}

/// The authorities of call-home certificates and of the API issue no SVIDs, and of the latter nothing but the subject can be said.
fn no_other_authority_issues(view: &View<'_>) -> Result<(), CrossError> {
    let Ok(path) = SETTINGS.parse::<Path>() else { return Ok(()) };
    let issuing = view.get::<SpiffeSettings>(&path)?.and_then(|settings| settings.issuing_ca);
    let Ok(api) = format!("{AUTHORITIES}/{}", tls::AUTHORITY).parse::<Path>() else { return Ok(()) };
    if let Some(config) = view.get::<CaConfig>(&api)? {
        // It is made when it is rotated, for ten years, and its certificates are the same as ever.
        let default = CaConfig::new(config.name.clone());
        let differs = [("ttl", config.ttl != default.ttl), ("key-type", config.key_type != default.key_type)];
        if let Some((field, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            let error = FieldError::new(field, "is not for the authority of the API").with_remedy("leave it out");
            return Err(CrossError::new(api, error));
        }
    }
    match issuing.filter(call_home::is_reserved) {
        Some(name) => {
            let error = FieldError::new("issuing-ca", format!("the authority `{name}` issues no SVIDs"))
                .with_remedy("name another one");
            Err(CrossError::new(path, error))
        }
        None => Ok(()),
    }
}

/// References to policies, which need not exist yet. Those that are built in always do.
fn policies(field: Field, names: &[Name]) -> impl Iterator<Item = Reference> {
    let built_in = |name: &&Name| [DEFAULT_POLICY, ADMINISTRATOR_POLICY].contains(&name.as_str());
    names
        .iter()
        .filter(move |name| !built_in(name))
        .map(move |name| Reference::optional(field.clone(), format!("{POLICIES}/{name}")))
}

fn valid_ring(ring: &RingConfig) -> Result<(), FieldError> {
    ring.check_options().map_err(|error| {
        let text = error.to_string();
        let problem = text.strip_prefix(&format!("`{}`", error.field())).map(|problem| format!("it{problem}"));
        FieldError::new(error.field(), problem.unwrap_or(text))
    })?;
    let remedy = "lengthen or shorten the offsets so that the life of a version fits";
    ring.validate(None).map(drop).map_err(|error| schedule_error("auto-rotate", "", &error, remedy))
}

/// A schedule's error with its remedy, and the timeline that the schedule comes to.
fn schedule_error(field: &str, context: &str, error: &ScheduleError, remedy: &str) -> FieldError {
    let text = error.to_string();
    let message = text.split("; ").next().unwrap_or_default();
    let timeline = error.timeline().map(|timeline| format!("; {timeline}")).unwrap_or_default();
    FieldError::new(field, format!("{context}{message}")).with_remedy(format!("{remedy}{timeline}"))
}

fn valid_authority(authority: &CaConfig) -> Result<(), FieldError> {
    authority.validate().map(drop).map_err(|error| authority_error(&error))
}

/// An authority's error at its field.
pub fn authority_error(error: &keyward_svid::x509::authority::Error) -> FieldError {
    let text = error.to_string();
    match error.field() {
        Some(field) => {
            let problem = text.strip_prefix(&format!("`{field}`")).map(|problem| format!("it{problem}"));
            FieldError::new(field, problem.unwrap_or(text))
        }
        None => FieldError::new(Field::root(), text),
    }
}

/// A site's error at its field.
fn site_error(error: &keyward_config_values::Error) -> FieldError {
    use keyward_config_values::Error;
    match error {
        Error::Entries { field, .. } => FieldError::new(*field, error.to_string()),
        Error::HostIdTwice { index } => {
            FieldError::new(Field::root().key("host-ids").index(*index), "is listed before; remove one")
        }
        error => FieldError::new(Field::root(), error.to_string()),
    }
}

fn valid_federation(config: &FederationConfig) -> Result<(), FieldError> {
    if let Some(pem) = &config.bundle_endpoint_ca_pem {
        outbound::authorities(pem).map_err(|error| FieldError::new("bundle-endpoint-ca-pem", error))?;
    }
    config.validate().map_err(|error| {
        let text = error.to_string();
        let text = text.strip_prefix(&format!("`{}` ", error.field())).unwrap_or(&text);
        match text.split_once(": ") {
            Some((message, remedy)) => FieldError::new(error.field(), message).with_remedy(remedy),
            None => FieldError::new(error.field(), text),
        }
    })
}

/// The first problem; the others are found once it is mended.
pub(crate) fn valid(result: Result<(), Invalid>) -> Result<(), FieldError> {
    let Err(invalid) = result else { return Ok(()) };
    match invalid.problems().first() {
        Some(problem) => Err(FieldError::new(field(problem.field()), problem.problem().to_string())),
        None => Err(FieldError::new("", invalid.to_string())),
    }
}

/// `a.b[2].c` as a field.
fn field(text: &str) -> Field {
    text.split('.').fold(Field::root(), |field, step| {
        let mut parts = step.split('[');
        let field = field.key(parts.next().unwrap_or_default());
        parts.filter_map(|index| index.strip_suffix(']')?.parse().ok()).fold(field, Field::index)
    })
}

/// The key that signs identities must sign JWT-SVIDs, and verify them for as long as any role lets them live. Whichever
/// document of the change breaks that is refused.
fn tokens_outlive_no_key(view: &View<'_>, limits: &Limits) -> Result<(), CrossError> {
    let Ok(settings_path) = SETTINGS.parse::<Path>() else { return Ok(()) };
    let Some(settings) = view.get::<SpiffeSettings>(&settings_path)? else { return Ok(()) };
    let Ok(key_path) = format!("{KEYS}/{}", settings.jwt_signing_key).parse::<Path>() else { return Ok(()) };
    let Some(ring) = view.get::<RingConfig>(&key_path)? else { return Ok(()) };
    let signs = ring
        .cipher
        .key_type()
        .map(Algorithm::default_for)
        .is_some_and(|algorithm| JWT_SVID_ALGORITHMS.contains(&algorithm));
    if !signs {
        let message = format!("the key `{}` has the cipher {}, which signs no JWT-SVID", ring.name, ring.cipher);
        let error = FieldError::new("jwt-signing-key", message).with_remedy(
            "JWT-SVIDs are signed with rsa-… or ecdsa-… keys; AWS, Azure and Google Cloud all accept rsa-2048",
        );
        return Err(CrossError::new(settings_path, error));
    }
    let life = |role: &RoleConfig| role.longest_token_life(limits);
    let with_svids = |role: &RoleConfig| role.token_spiffe_jwt.as_ref().map(|_| life(role));
    let longest = view.greatest(&format!("{ROLES}/<name>"), with_svids)?;
    let Some((role_path, role)) = longest else { return Ok(()) };
    let Err(error) = ring.validate(Some(life(&role))) else { return Ok(()) };
    Err(blame(view, &key_path, &role_path, life(&role), &error))
}

/// The error is the role's when the role is what changed, else the key's.
fn blame(view: &View<'_>, key: &Path, role: &Path, life: Duration, error: &ScheduleError) -> CrossError {
    let touched = |path: &Path| view.touched().any(|touched| touched == path);
    if touched(role) && !touched(key) {
        let context =
            format!("tokens of this role live up to {life}, longer than the key `{}` verifies them: ", key.name());
        let remedy =
            "shorten `token-ttl`, `token-period` or `token-spiffe-jwt.ttl`, or lengthen the key's `invalidate-after`";
        return CrossError::new(role.clone(), schedule_error("token-spiffe-jwt", &context, error, remedy));
    }
    let context = format!("tokens of the role `{}` live up to {life}: ", role.name());
    let remedy = "lengthen it, or shorten the role's tokens";
    CrossError::new(key.clone(), schedule_error("auto-rotate.invalidate-after", &context, error, remedy))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyward_config_tree::{Bulk, Document, plan};

    use super::*;

    const WALK: &str = include_str!("../../aws-federation.yaml");

    fn refused(yaml: &str) -> String {
        let schema = schema(Limits::default()).unwrap();
        let error =
            Bulk::parse(yaml).and_then(|bulk| plan(&BTreeMap::<Path, Document>::new(), &bulk, &schema).map(drop));
        error.unwrap_err().to_string()
    }

    #[test]
    fn the_walk_is_accepted_as_it_is_printed() {
        let schema = schema(Limits::default()).unwrap();
        let plan = plan(&BTreeMap::<Path, Document>::new(), &Bulk::parse(WALK).unwrap(), &schema).unwrap();
        assert_eq!(plan.changes().len(), 3);
        assert!(plan.warnings().is_empty(), "distribute may name what does not exist yet");
    }

    #[test]
    fn certificates_for_hosts_are_ones_that_can_be_read() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let settings = serde_json::from_value(serde_json::json!({"external-ca-pem": pem})).unwrap();
        let text = format!("{:?}", valid_call_home(&settings).unwrap_err());
        assert!(text.contains("external-ca-pem") && text.contains("certificate 1 cannot be read"), "{text}");
    }

    #[test]
    fn each_mistake_is_named_with_its_place_and_a_remedy() {
        let cases = [
            (WALK.replace("rotate-after: 30d", "rotat-after: 30d"), "document 1, line 6, ", "`rotate-after`"),
            (
                WALK.replace("rotate-after: 30d", "rotate-after: 30x"),
                "document 1, line 6, ",
                "`auto-rotate.rotate-after`",
            ),
            (
                WALK.replace("jwt-signing-key: spiffe-jwt", "jwt-signing-key: other"),
                "document 2, line 16, ",
                "`strongbox/transit-keys/other`",
            ),
            (WALK.replace("\nname: payments", "\nname: payment"), "document 3, line 20, ", "`payments`"),
            (WALK.replace("cipher: rsa-2048", "cipher: [rsa-2048"), "document 1, line ", ""),
            (WALK.replace("cipher: rsa-2048", "cipher: ed25519"), "document 2, line 16, ", "signs no JWT-SVID"),
            (WALK.replace("invalidate-after: 2d", "invalidate-after: 1d"), "document 1, line 9, ", "superseded"),
            (WALK.replace("activate-after: 1d", "activate-after: 1m"), "document 1, ", "`auto-rotate"),
            (WALK.replace("token-period: 1d", "token-period: 1"), "document 3, line 23, ", "`1d`"),
        ];
        for (yaml, place, detail) in cases {
            let text = refused(&yaml);
            assert!(text.starts_with(place), "{text}");
            assert!(text.contains(detail), "{text}");
        }
    }

    #[test]
    fn a_field_in_a_list_is_found_on_its_line() {
        let text = refused(
            "x-path: strongbox/policies/p\nx-operation: create\nname: p\nrest-api:\n  rules:\n    - path: /v1/a\n      operations: {}\n",
        );
        assert!(text.starts_with("document 1, line 7, "), "{text}");
        assert!(text.contains("`rest-api.rules[0].operations`"), "{text}");
    }

    #[test]
    fn options_of_a_key_that_do_not_go_together_are_refused_at_their_field() {
        for (lines, place, problem) in [
            (
                "cipher: rsa-2048\nderived: true",
                "line 5",
                "`derived`: it needs a symmetric cipher or `ed25519`, not `rsa-2048`",
            ),
            ("convergent-encryption: true", "line 4", "`convergent-encryption`: it needs `derived: true`"),
            ("cipher: hmac\nderived: true", "line 5", "`derived`: it needs a symmetric cipher"),
        ] {
            let text = refused(&format!("x-path: strongbox/transit-keys/k\nx-operation: create\nname: k\n{lines}\n"));
            assert!(text.starts_with(&format!("document 1, {place}, ")) && text.contains(problem), "{text}");
        }
    }

    #[test]
    fn an_authority_is_refused_at_its_field() {
        let text =
            refused(&WALK.replace("jwt-signing-key: spiffe-jwt", "jwt-signing-key: spiffe-jwt\nissuing-ca: edge"));
        assert!(text.starts_with("document 2, line 17, ") && text.contains("`system/ca/edge`"), "{text}");
        let yaml = |field: &str| format!("x-path: system/ca/edge\nx-operation: create\nname: edge\n{field}\n");
        for (field, problem) in [
            ("subject-country: Germany", "`subject-country`: it is not a country code of two letters"),
            ("subject-organization: ''", "`subject-organization`: it is empty"),
            ("ttl: 11d", "`ttl`: it is 11d, but 12d to 3650d are allowed"),
        ] {
            let text = refused(&yaml(field));
            assert!(text.starts_with("document 1, line 4, ") && text.contains(problem), "{text}");
        }
        let long = format!("subject-common-name: {}", "x".repeat(65));
        assert!(refused(&yaml(&long)).contains("has 65 characters, but at most 64 are allowed"));
    }
}
