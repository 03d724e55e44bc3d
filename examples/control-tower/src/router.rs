//! Every route on one page. `/openapi.json` is made of the same table.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{MethodRouter, delete, get, patch, post, put},
};

use crate::{
    app::App,
    http::{
        account, approle, audit, authority, body, bulk, bundle, call_home, caller, cli, config, federation, flow, host,
        hosts, limits, login, made, oidc, operations,
        pages::{
            account as account_pages, call_home as call_home_page, home, hosts as host_pages, install,
            login as login_pages, users as user_pages,
        },
        policy, seal, sealed, spiffe, spiffe_login, tenants, token, transit, users,
        vault::{self, role, sys, transit as vault_transit},
    },
    pages::assets,
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: what strangers need to verify, to log in, or to watch the tower.
    Public,
    /// Whoever has a valid token; the handler asks the policies for each thing that it touches.
    Token,
    /// Whoever has a token whose policies allow the method on the path.
    Policy,
    /// The same, of the tenant `default` alone: for others there is nothing at the path.
    Operators,
}

/// One method of one path.
pub struct Route {
    /// In capitals.
    pub method: &'static str,
    /// With `{names}` of its variable segments.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it does, in one sentence.
    pub summary: &'static str,
    handler: MethodRouter<Arc<App>>,
}

/// Every route.
pub fn routes() -> Vec<Route> {
    use Access::{Operators, Policy, Public, Token};
    let route = |method, path, access, summary, handler| Route { method, path, access, summary, handler };
    #[rustfmt::skip]
    let table = vec![
        // Logins.
        route("POST", "/v1/approle-login", Public, "Logs a workload in with role-id and secret-id; answers a token and its SVIDs.", post(approle::log_in)),
        route("POST", "/v1/login", Public, "Logs a user in with a password; answers a token.", post(login::log_in)),
        route("POST", "/v1/login/flow", Public, "Begins a login of a person, a step at a time.", post(flow::begin)),
        route("POST", "/v1/login/flow/{step}", Public, "Takes a step of it: `identify`, `password`, `passkey`, `totp`, `recovery-code`, `choose`, `enrol`, `external`, `callback`, `skip`, `finish`; `current` takes none.", post(flow::step)),
        route("POST", "/v1/login/cli", Public, "Exchanges what a browser's session allowed a command line for a token, once.", post(cli::exchange)),
        route("POST", "/v1/login/enrolment-link", Public, "Opens an enrolment link, once.", post(flow::open_link)),
        route("POST", "/v1/spiffe-login", Public, "Logs a workload in with a JWT-SVID, or with the X.509-SVID of its connection; answers a token.", post(spiffe_login::log_in)),
        // What strangers verify with.
        route("GET", "/{tenant}/.well-known/openid-configuration", Public, "The OIDC discovery document of a tenant, named by its id.", get(oidc::discovery)),
        route("GET", "/{tenant}/jwks", Public, "The keys that verify a tenant's JWT-SVIDs.", get(oidc::jwks)),
        route("GET", "/{tenant}/authorize", Public, "Always 400: named in discovery because client libraries demand it.", get(oidc::authorize)),
        route("GET", "/v1/get-spiffe-jwks", Public, "The keys that verify a tenant's JWT-SVIDs, by the tenant's name or id.", get(oidc::get_spiffe_jwks)),
        route("POST", "/v1/get-spiffe-jwks", Public, "The same.", post(oidc::get_spiffe_jwks)),
        route("GET", "/{tenant}/spiffe-bundle", Public, "The SPIFFE bundle of a tenant's trust domain: what verifies its SVIDs of both kinds.", get(bundle::spiffe_bundle)),
        route("GET", "/v1/get-spiffe-bundle", Public, "The certificates that verify a tenant's X.509-SVIDs, in PEM, by the tenant's name or id.", get(bundle::get_spiffe_bundle)),
        route("POST", "/v1/get-spiffe-bundle", Public, "The same.", post(bundle::get_spiffe_bundle)),
        // Configuration.
        route("GET", "/v1/config/{*path}", Token, "A document, or the names of a collection.", get(config::read)),
        route("PUT", "/v1/config/{*path}", Token, "Replaces a document, creating it if it is absent.", put(config::write)),
        route("PATCH", "/v1/config/{*path}", Token, "Merges into a document (RFC 7396).", patch(config::write)),
        route("POST", "/v1/config/{*path}", Token, "Creates a document in a collection.", post(config::write)),
        route("DELETE", "/v1/config/{*path}", Token, "Deletes a document.", delete(config::delete)),
        route("POST", "/v1/bulk", Token, "Applies YAML documents with `x-path` and `x-operation`, all or none.", post(bulk::apply)),
        // The caller's own account.
        route("GET", "/v1/account", Token, "The user, how they logged in, and what they have: passkeys, one-time password, recovery codes.", get(account::view)),
        route("PATCH", "/v1/account/passkeys/{id}", Token, "Names a passkey.", patch(account::rename_passkey)),
        route("DELETE", "/v1/account/passkeys/{id}", Token, "Removes a passkey; answers what to tell the browser.", delete(account::remove_passkey)),
        route("POST", "/v1/account/password", Token, "Sets another password; other sessions end.", post(account::change_password)),
        route("POST", "/v1/account/set-up", Token, "Begins to set up a passkey or a one-time password, in a session.", post(account::set_up)),
        route("POST", "/v1/account/step-up", Token, "Begins a login inside the session, for what needs a recent one.", post(account::step_up)),
        route("DELETE", "/v1/account/totp", Token, "Takes the one-time password away.", delete(account::remove_totp)),
        route("POST", "/v1/account/recovery-codes", Token, "Makes another set of recovery codes.", post(account::recovery_codes)),
        route("GET", "/v1/account/sessions", Token, "The sessions that have not ended.", get(account::sessions)),
        route("DELETE", "/v1/account/sessions", Token, "Ends all sessions but this one.", delete(account::end_other_sessions)),
        route("DELETE", "/v1/account/sessions/{id}", Token, "Ends a session.", delete(account::end_session)),
        route("POST", "/v1/account/log-out", Token, "Ends this session.", post(account::log_out)),
        route("POST", "/v1/account/remember", Token, "Puts the login on the list of this browser, or takes it off.", post(account::remember)),
        // Users.
        route("GET", "/v1/state/strongbox/authentication/users", Policy, "The users: what they have, whether they are locked, when they last logged in.", get(users::all)),
        route("GET", "/v1/state/strongbox/authentication/users/{name}", Policy, "One of them.", get(users::one)),
        route("POST", "/v1/state/strongbox/authentication/users/{name}/{operation}", Policy, "`lock`, `unlock`, `remove`; `reset` and `enrolment-link` answer a link that is good once.", post(users::operate)),
        route("GET", "/v1/state/strongbox/authentication/oidc/{name}", Policy, "A provider: the address that it sends browsers back to, whether it answers, and why not.", get(users::provider)),
        // The caller's own token.
        route("GET", "/v1/state/strongbox/token", Policy, "The caller's token.", get(token::state)),
        route("POST", "/v1/state/strongbox/token/refresh", Policy, "Resets the token's life; answers fresh SVIDs.", post(token::refresh)),
        route("POST", "/v1/state/strongbox/token/revoke", Policy, "Ends the token.", post(token::revoke)),
        // Tokens made from it, and those of others.
        route("POST", "/v1/state/strongbox/token/create", Policy, "Makes a token that has no more than the caller's and ends with it.", post(made::create)),
        route("POST", "/v1/state/strongbox/token/create-orphan", Policy, "Makes a token that has no more policies than the caller's and outlives it.", post(made::create_orphan)),
        route("POST", "/v1/state/strongbox/token/lookup-accessor", Policy, "A token of the tenant by its accessor.", post(made::lookup_accessor)),
        route("POST", "/v1/state/strongbox/token/refresh-accessor", Policy, "Resets the life of a token by its accessor; answers neither token nor SVIDs.", post(made::refresh_accessor)),
        route("POST", "/v1/state/strongbox/token/revoke-accessor", Policy, "Ends a token by its accessor, and all that were made from it.", post(made::revoke_accessor)),
        // Policies.
        route("POST", "/v1/state/strongbox/policies/capabilities", Policy, "What the caller, or for whoever may explain somebody else, may do on paths.", post(policy::capabilities)),
        route("POST", "/v1/state/strongbox/policies/explain", Policy, "Whether somebody may do something, the rule that decides, and those that nearly do.", post(policy::explain)),
        route("POST", "/v1/state/strongbox/policies/who-may", Policy, "The policies, AppRoles, logins by SVID and users that may do something, page by page.", post(policy::who_may::who_may)),
        // Key rings.
        route("GET", "/v1/state/strongbox/transit-keys/{name}", Policy, "A key's versions with phases, public keys and the time of every transition.", get(transit::state)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/encrypt", Policy, "Encrypts base64 under the active version.", post(transit::encrypt)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/decrypt", Policy, "Decrypts.", post(transit::decrypt)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/rewrap", Policy, "Encrypts again under the active version.", post(transit::rewrap)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/sign", Policy, "Signs base64 with the active version.", post(transit::sign)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/verify", Policy, "Verifies a signature or an HMAC.", post(transit::verify)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/hmac", Policy, "Makes an HMAC of base64 with the active version.", post(transit::hmac)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/datakey", Policy, "Makes a key for others, plain and encrypted.", post(transit::datakey)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/rotate", Policy, "Adds a version; with `compromised` it replaces the active one or all at once.", post(transit::rotate)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/lowest-versions", Policy, "Shuts old versions out, until it is undone.", post(transit::versions::set_lowest)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/trim", Policy, "Destroys old versions.", post(transit::versions::trim)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/import", Policy, "Adds a version with a key from elsewhere.", post(transit::import::import)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/backup", Policy, "The key with all of its versions as text, sealed unless it is to be plain.", post(transit::backup::backup)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/restore", Policy, "Makes a key of a backup.", post(transit::backup::restore)),
        route("GET", "/v1/state/strongbox/wrapping-key", Policy, "The public key for which keys are wrapped that are to be imported.", get(transit::import::wrapping_key)),
        route("POST", "/v1/state/strongbox/transit-keys/{name}/export", Policy, "The keys of an exportable key.", post(transit::versions::export)),
        // SPIFFE.
        route("GET", "/v1/state/strongbox/authentication/spiffe-settings", Policy, "Trust domain, issuer, URLs, and what relying parties would refuse.", get(spiffe::state)),
        route("POST", "/v1/state/strongbox/aws-trust-policy", Policy, "What to enter at AWS so that it trusts an AppRole.", post(spiffe::aws_trust_policy)),
        route("POST", "/v1/state/strongbox/check-issuer", Policy, "Reads discovery and keys as a cloud would, and says who would accept them.", post(spiffe::check_issuer)),
        route("GET", "/v1/state/system/ca/{name}", Policy, "An authority's versions with phases, certificates and the time of every transition.", get(authority::state)),
        route("POST", "/v1/state/system/ca/{name}/rotate", Policy, "Adds a version to an authority; with `compromised` it replaces the active one at once.", post(authority::rotate)),
        route("GET", "/v1/state/strongbox/authentication/spiffe/{name}", Policy, "What can log in with an SVID now: whether there are keys, how old they are, and the last failure.", get(spiffe_login::state)),
        // Hosts that call home.
        route("POST", "/v1/state/system/call-home/issue-call-home-cert", Operators, "Issues a certificate to call home with, in a package for the host.", post(call_home::issue)),
        route("POST", "/v1/state/system/call-home/install-script", Operators, "Makes a script for a host's `sh`, with a certificate to call home with in it.", post(call_home::install_script)),
        route("POST", "/v1/state/system/call-home/revoke", Operators, "Revokes a call-home certificate, or all of a batch.", post(call_home::revoke)),
        route("POST", "/v1/call-home", Public, "Always 421: hosts call home at a listener of their own, which the answer names.", post(call_home::elsewhere)),
        route("GET", "/v1/call-home/ca", Public, "The certificates that verify call-home certificates, in PEM.", get(call_home::ca)),
        route("GET", "/v1/call-home/crl", Public, "Which call-home certificates were revoked, in PEM.", get(call_home::crl)),
        route("GET", "/v1/state/system/unclaimed-hosts", Operators, "The hosts that wait to be claimed, those that have the host-id of another one, and some that had to make room.", get(hosts::unclaimed)),
        route("POST", "/v1/state/system/unclaimed-hosts/{id}/claim", Operators, "Claims a host for a site: it gets its identity when it asks next.", post(hosts::claim)),
        route("GET", "/v1/state/system/hosts", Operators, "The hosts that called home, page by page.", get(hosts::all)),
        route("GET", "/v1/state/system/hosts/{id}", Operators, "A host that called home.", get(hosts::one)),
        route("POST", "/v1/state/system/hosts/{id}/release", Operators, "Forgets a host, so that it may call home again; its identity counts no more.", post(hosts::release)),
        route("POST", "/v1/state/system/hosts/{id}/remove", Operators, "Removes a host: its identity counts no more, and it may not call home.", post(hosts::remove)),
        route("POST", "/v1/host/renew", Public, "Renews the identity of the host whose X.509-SVID is the connection's certificate.", post(host::renew)),
        route("GET", "/v1/host/firewall", Public, "The firewall of the host whose X.509-SVID is the connection's certificate: that of its site, with the ingress of all tenants.", get(host::firewall)),
        // Federation.
        route("GET", "/v1/state/federation", Policy, "Where others fetch the tenant's bundle, and the relationships with other trust domains, a page at a time.", get(federation::all)),
        route("GET", "/v1/state/federation/{name}", Policy, "The bundle of another trust domain: its age, its sequence number, the next fetch and the last failure.", get(federation::one)),
        // AppRoles.
        route("GET", "/v1/state/strongbox/authentication/approles/{name}", Policy, "A role's role-id and what its tokens come to.", get(approle::state)),
        route("POST", "/v1/state/strongbox/authentication/approles/{name}/generate-secret-id", Policy, "Makes a secret-id.", post(approle::generate_secret_id)),
        route("POST", "/v1/state/strongbox/authentication/approles/{name}/lookup-secret-id", Policy, "A secret-id by its accessor.", post(approle::lookup_secret_id)),
        route("POST", "/v1/state/strongbox/authentication/approles/{name}/destroy-secret-id", Policy, "Destroys a secret-id by its accessor.", post(approle::destroy_secret_id)),
        // For clients of Vault: `LIST` comes here as `GET`, `PUT` as `POST`.
        route("GET", "/v1/sys/health", Public, "Whether the tower takes changes, as Vault says it.", get(sys::health)),
        route("GET", "/v1/sys/seal-status", Public, "Whether the tower has its keys, as Vault says it.", get(sys::seal_status)),
        route("POST", "/v1/sys/unseal", Public, "Opens a sealed tower, as Vault says it.", post(sealed::vault_unseal).layer(middleware::from_fn(sealed::end_connection))),
        route("POST", "/v1/sys/seal", Operators, "Seals the tower, as Vault says it.", post(sys::seal)),
        route("POST", "/v1/sys/rotate", Operators, "Makes a fresh key-encryption key the current one, as Vault says it.", post(sys::rotate)),
        route("POST", "/v1/sys/rotate/keyring", Operators, "The same by the path that OpenBao's command line asks for.", post(sys::rotate)),
        route("GET", "/v1/sys/key-status", Operators, "The version of the current key-encryption key, as Vault says it.", get(sys::key_status)),
        route("GET", "/v1/sys/leader", Public, "That there is no leader, as Vault says it.", get(sys::leader)),
        route("GET", "/v1/sys/init", Public, "Whether the tower has been set up, as Vault says it.", get(sys::initialized)),
        route("GET", "/v1/sys/mounts", Policy, "Which of Vault's secrets engines there are.", get(sys::mounts)),
        route("GET", "/v1/sys/mounts/{path}", Policy, "One of Vault's secrets engines that there are.", get(sys::mount)),
        route("POST", "/v1/sys/mounts/{path}", Policy, "Always 400: what there is is enabled.", post(sys::enable_mount)),
        route("GET", "/v1/sys/auth", Policy, "Which of Vault's logins there are.", get(sys::logins)),
        route("GET", "/v1/sys/auth/{path}", Policy, "One of Vault's logins that there are.", get(sys::login)),
        route("POST", "/v1/sys/auth/{path}", Policy, "Always 400: what there is is enabled.", post(sys::enable_login)),
        route("POST", "/v1/sys/capabilities-self", Policy, "What the caller may do on paths, as Vault says it.", post(vault::capabilities::of_self)),
        route("POST", "/v1/sys/capabilities", Policy, "What a token may do on paths.", post(vault::capabilities::of_token)),
        route("POST", "/v1/sys/capabilities-accessor", Policy, "What a token may do on paths, by its accessor.", post(vault::capabilities::of_accessor)),
        route("GET", "/v1/sys/policies/acl", Policy, "The names of the policies (`LIST`).", get(sys::policies)),
        route("GET", "/v1/sys/policies/acl/{name}", Policy, "A policy's document, as text.", get(sys::policy)),
        route("POST", "/v1/sys/policies/acl/{name}", Policy, "Puts a policy in place, from its text as Vault has it.", post(sys::write_policy)),
        route("DELETE", "/v1/sys/policies/acl/{name}", Policy, "Deletes a policy.", delete(sys::delete_policy)),
        route("GET", "/v1/sys/policy", Policy, "The names of the policies, as older clients ask for them.", get(sys::old_policies)),
        route("GET", "/v1/sys/policy/{name}", Policy, "A policy's text, as older clients ask for it.", get(sys::old_policy)),
        route("POST", "/v1/sys/policy/{name}", Policy, "Puts a policy in place, as older clients do.", post(sys::write_policy)),
        route("DELETE", "/v1/sys/policy/{name}", Policy, "Deletes a policy, as older clients do.", delete(sys::delete_policy)),
        route("GET", "/v1/transit/keys", Policy, "The names of the keys (`LIST`).", get(vault_transit::list)),
        route("GET", "/v1/transit/keys/{name}", Policy, "A key's options and versions.", get(vault_transit::read)),
        route("POST", "/v1/transit/keys/{name}", Policy, "Makes a key.", post(vault_transit::create)),
        route("DELETE", "/v1/transit/keys/{name}", Policy, "Deletes a key.", delete(vault_transit::delete)),
        route("POST", "/v1/transit/keys/{name}/config", Policy, "Changes a key's options and lowest versions.", post(vault_transit::configure)),
        route("POST", "/v1/transit/keys/{name}/rotate", Policy, "Adds a version.", post(vault_transit::rotate)),
        route("POST", "/v1/transit/keys/{name}/trim", Policy, "Destroys old versions.", post(vault_transit::trim)),
        route("POST", "/v1/transit/keys/{name}/import", Policy, "Makes a key of one from elsewhere.", post(vault_transit::import)),
        route("POST", "/v1/transit/keys/{name}/import_version", Policy, "Adds a version with a key from elsewhere.", post(vault_transit::import_version)),
        route("GET", "/v1/transit/wrapping_key", Policy, "The public key for which keys are wrapped that are to be imported.", get(vault_transit::wrapping_key)),
        route("GET", "/v1/transit/backup/{name}", Policy, "The key with all of its versions as text.", get(vault_transit::backup)),
        route("POST", "/v1/transit/restore", Policy, "Makes a key of a backup.", post(vault_transit::restore)),
        route("POST", "/v1/transit/restore/{name}", Policy, "Makes a key of a backup under this name.", post(vault_transit::restore_as)),
        route("POST", "/v1/transit/encrypt/{name}", Policy, "Encrypts.", post(vault_transit::encrypt)),
        route("POST", "/v1/transit/decrypt/{name}", Policy, "Decrypts.", post(vault_transit::decrypt)),
        route("POST", "/v1/transit/rewrap/{name}", Policy, "Encrypts again under the active version.", post(vault_transit::rewrap)),
        route("POST", "/v1/transit/sign/{name}", Policy, "Signs.", post(vault_transit::sign)),
        route("POST", "/v1/transit/sign/{name}/{hash}", Policy, "Signs with that hash function.", post(vault_transit::sign_with)),
        route("POST", "/v1/transit/verify/{name}", Policy, "Verifies a signature or an HMAC.", post(vault_transit::verify)),
        route("POST", "/v1/transit/verify/{name}/{hash}", Policy, "Verifies with that hash function.", post(vault_transit::verify_with)),
        route("POST", "/v1/transit/hmac/{name}", Policy, "Makes an HMAC.", post(vault_transit::hmac)),
        route("POST", "/v1/transit/hmac/{name}/{hash}", Policy, "Makes an HMAC with that hash function.", post(vault_transit::hmac_with)),
        route("POST", "/v1/transit/datakey/{kind}/{name}", Policy, "Makes a key for others.", post(vault_transit::datakey)),
        route("POST", "/v1/transit/random", Policy, "Random bytes.", post(vault_transit::random)),
        route("POST", "/v1/transit/random/{bytes}", Policy, "So many random bytes; or the name of a source, which is the system whatever it is.", post(vault_transit::random_many)),
        route("POST", "/v1/transit/random/{source}/{bytes}", Policy, "So many random bytes of a source.", post(vault_transit::random_from)),
        route("POST", "/v1/transit/hash", Policy, "A digest.", post(vault_transit::hash)),
        route("POST", "/v1/transit/hash/{algorithm}", Policy, "A digest by that hash function.", post(vault_transit::hash_with)),
        route("GET", "/v1/transit/export/{kind}/{name}", Policy, "The keys of an exportable key.", get(vault_transit::export)),
        route("GET", "/v1/transit/export/{kind}/{name}/{version}", Policy, "The key of one version.", get(vault_transit::export_version)),
        route("POST", "/v1/auth/approle/login", Public, "Logs a workload in with role-id and secret-id, as Vault says it.", post(vault::approle::log_in)),
        route("GET", "/v1/auth/approle/role", Policy, "The names of the AppRoles (`LIST`).", get(vault::approle::roles)),
        route("GET", "/v1/auth/approle/role/{name}", Policy, "A role's fields.", get(role::read_all)),
        route("POST", "/v1/auth/approle/role/{name}", Token, "Makes a role, or changes those of its fields that are given.", post(role::write)),
        route("DELETE", "/v1/auth/approle/role/{name}", Policy, "Deletes a role.", delete(role::delete)),
        route("GET", "/v1/auth/approle/role/{name}/{field}", Policy, "One field of a role.", get(role::read_part)),
        route("POST", "/v1/auth/approle/role/{name}/{field}", Policy, "Sets one field of a role.", post(role::write_part)),
        route("DELETE", "/v1/auth/approle/role/{name}/{field}", Policy, "Takes one field of a role back to what it is by itself.", delete(role::write_part)),
        route("POST", "/v1/auth/approle/role/{name}/role-id", Policy, "Sets a role's role-id.", post(role::set_role_id)),
        route("POST", "/v1/auth/approle/tidy/secret-id", Policy, "Nothing: what has expired goes by itself.", post(role::tidy)),
        route("GET", "/v1/auth/approle/role/{name}/role-id", Policy, "A role's role-id.", get(vault::approle::role_id)),
        route("GET", "/v1/auth/approle/role/{name}/secret-id", Policy, "The accessors of a role's secret-ids (`LIST`), at most a thousand at a time.", get(vault::approle::accessors)),
        route("POST", "/v1/auth/approle/role/{name}/secret-id", Policy, "Makes a secret-id.", post(vault::approle::make_secret_id)),
        route("POST", "/v1/auth/approle/role/{name}/custom-secret-id", Policy, "Makes a secret-id of a secret that the caller supplies.", post(vault::approle::make_custom_secret_id)),
        route("POST", "/v1/auth/approle/role/{name}/secret-id/lookup", Policy, "A secret-id by itself.", post(vault::approle::lookup)),
        route("POST", "/v1/auth/approle/role/{name}/secret-id/destroy", Policy, "Destroys a secret-id by itself.", post(vault::approle::destroy)),
        route("POST", "/v1/auth/approle/role/{name}/secret-id-accessor/lookup", Policy, "A secret-id by its accessor.", post(vault::approle::lookup_accessor)),
        route("POST", "/v1/auth/approle/role/{name}/secret-id-accessor/destroy", Policy, "Destroys a secret-id by its accessor.", post(vault::approle::destroy_accessor)),
        route("GET", "/v1/auth/token/lookup-self", Policy, "The caller's token, as Vault says it.", get(vault::token::lookup_self)),
        route("POST", "/v1/auth/token/renew-self", Policy, "Resets the life of the caller's token.", post(vault::token::renew_self)),
        route("POST", "/v1/auth/token/revoke-self", Policy, "Ends the caller's token and all that were made from it.", post(vault::token::revoke_self)),
        route("GET", "/v1/auth/token/accessors", Policy, "The accessors of the tenant's tokens (`LIST`).", get(vault::token::accessors)),
        route("POST", "/v1/auth/token/create", Policy, "Makes a token that has no more than the caller's and ends with it.", post(vault::token::create)),
        route("POST", "/v1/auth/token/create-orphan", Policy, "Makes a token that has no more policies than the caller's and outlives it.", post(vault::token::create_orphan)),
        route("GET", "/v1/auth/token/lookup", Policy, "The caller's token by another path.", get(vault::token::lookup_self)),
        route("POST", "/v1/auth/token/lookup", Policy, "A token of the tenant by itself; the caller's where none is named.", post(vault::token::lookup)),
        route("POST", "/v1/auth/token/renew", Policy, "Resets the life of a token by itself.", post(vault::token::renew)),
        route("POST", "/v1/auth/token/revoke", Policy, "Ends a token by itself, and all that were made from it.", post(vault::token::revoke)),
        route("POST", "/v1/auth/token/lookup-accessor", Policy, "A token of the tenant by its accessor.", post(vault::token::lookup_accessor)),
        route("POST", "/v1/auth/token/renew-accessor", Policy, "Resets the life of a token by its accessor.", post(vault::token::renew_accessor)),
        route("POST", "/v1/auth/token/revoke-accessor", Policy, "Ends a token by its accessor, and all that were made from it.", post(vault::token::revoke_accessor)),
        route("POST", "/v1/auth/token/tidy", Policy, "Nothing: what has expired goes by itself.", post(role::tidy)),
        route("POST", "/v1/sys/tools/random", Policy, "Random bytes, by another path.", post(vault_transit::random)),
        route("POST", "/v1/sys/tools/random/{bytes}", Policy, "So many random bytes, by another path.", post(vault_transit::random_many)),
        route("POST", "/v1/sys/tools/random/{source}/{bytes}", Policy, "So many random bytes of a source, by another path.", post(vault_transit::random_from)),
        route("POST", "/v1/sys/tools/hash", Policy, "A digest, by another path.", post(vault_transit::hash)),
        route("POST", "/v1/sys/tools/hash/{algorithm}", Policy, "A digest by that hash function, by another path.", post(vault_transit::hash_with)),
        route("POST", "/v1/sys/wrapping/wrap", Policy, "Keeps what it is sent for whoever has the token that it answers.", post(vault::wrapping::wrap)),
        route("POST", "/v1/sys/wrapping/unwrap", Public, "Takes a wrapped answer, once.", post(vault::wrapping::unwrap)),
        route("POST", "/v1/sys/wrapping/rewrap", Policy, "Puts a wrapped answer under a new token.", post(vault::wrapping::rewrap)),
        route("GET", "/v1/sys/wrapping/lookup", Public, "What the wrapped answer is of whose token the header has.", get(vault::wrapping::lookup_self)),
        route("POST", "/v1/sys/wrapping/lookup", Public, "What a wrapped answer is of.", post(vault::wrapping::lookup)),
        // Pages.
        route("GET", "/", Public, "The overview of whoever has a session: what needs doing, keys, roles, refusals.", get(home::show)),
        route("POST", "/logout", Public, "Ends the session of a browser.", post(home::log_out)),
        route("GET", "/login", Public, "The page of a login: its first step, or where it stands.", get(login_pages::show)),
        route("GET", "/login/oidc/{tenant}/{provider}/callback", Public, "Where a provider of a tenant sends a browser back to.", get(login_pages::callback)),
        route("GET", "/login/{tenant}/{email}", Public, "A login that is filled in; it logs nobody in.", get(login_pages::prefilled)),
        route("GET", "/login/{tenant}/{email}/{authenticator}", Public, "The same with the authenticator chosen.", get(login_pages::prefilled)),
        route("GET", "/login/{step}", Public, "The address that a form of a login leaves behind: back to where the login stands.", get(login_pages::back)),
        route("POST", "/login/{step}", Public, "What a form of a login sends.", post(login_pages::step)),
        route("GET", "/cli", Public, "Asks whoever has a session whether a command line may log in.", get(cli::ask)),
        route("POST", "/cli", Public, "Allows it.", post(cli::allow)),
        route("GET", "/account", Public, "The account of whoever has a session.", get(account_pages::show)),
        route("GET", "/account/{what}", Public, "The address that a form of that page leaves behind: back to it.", get(account_pages::back)),
        route("GET", "/account/{what}/{how}", Public, "The same.", get(account_pages::back)),
        route("POST", "/account/{what}", Public, "What a form of the account page sends.", post(account_pages::act)),
        route("POST", "/account/{what}/{how}", Public, "The same.", post(account_pages::act_on)),
        route("GET", "/users", Public, "The users, for administrators with a session.", get(user_pages::show)),
        route("POST", "/users", Public, "Makes a user.", post(user_pages::create)),
        route("GET", "/users/{operation}", Public, "The address that a form of that page leaves behind: back to it.", get(user_pages::back)),
        route("POST", "/users/{operation}", Public, "`lock`, `unlock`, `reset`, `remove`: what a form of that page sends.", post(user_pages::act)),
        route("GET", "/hosts", Public, "The hosts that called home, for administrators of the tenant `default` with a session.", get(host_pages::show)),
        route("POST", "/hosts/{operation}", Public, "`claim`, `release`, `remove`, `site`: what a form of that page sends.", post(host_pages::act)),
        route("GET", "/install", Public, "The page that makes install scripts, for the same.", get(install::show)),
        route("POST", "/install", Public, "Makes a script, and shows it this once.", post(install::make)),
        route("POST", "/install/script", Public, "Gives a script back that its page holds, as a file.", post(install::file)),
        route("GET", "/call-home", Public, "The call-home settings, for the same.", get(call_home_page::show)),
        route("POST", "/call-home", Public, "Changes them.", post(call_home_page::change)),
        route("GET", "/enrol/{link}", Public, "The page of an enrolment link, with a button.", get(login_pages::enrolment)),
        route("POST", "/enrol/{link}", Public, "Opens an enrolment link, once.", post(login_pages::enrol)),
        route("GET", "/assets/{file}", Public, "What pages load: style, script and mark, under names that change with them.", get(assets::serve)),
        // Operations.
        route("GET", "/v1/state/audit", Policy, "Audit records, oldest first.", get(audit::read)),
        route("GET", "/v1/state/tenants", Operators, "The tenants, a page at a time, and those that are on their way out.", get(tenants::all)),
        route("GET", "/v1/state/tenants/{name}", Operators, "A tenant: its id, its trust domain, and how much it has.", get(tenants::one)),
        route("POST", "/v1/state/tenants/{name}/reset-admin", Operators, "Gives the tenant's administrator a new password, and answers it this once.", post(tenants::reset_admin)),
        route("GET", "/v1/state/system/seal", Operators, "What the key-encryption keys are sealed by, their versions, and how far sealing every record under the latest is.", get(seal::state)),
        route("POST", "/v1/state/system/seal/unseal", Public, "Opens a sealed tower with a passphrase or key.", post(sealed::unseal).layer(middleware::from_fn(sealed::end_connection))),
        route("POST", "/v1/state/system/seal/seal", Operators, "Seals the tower: it forgets its keys and answers nothing until it is unsealed.", post(seal::seal)),
        route("POST", "/v1/state/system/seal/rotate", Operators, "Makes a fresh key-encryption key the current one; every record comes under it in the background.", post(seal::rotate)),
        route("GET", "/v1/state/system/tasks", Operators, "How the background tasks fare.", get(operations::tasks)),
        route("GET", "/live", Public, "The process answers.", get(operations::live)),
        route("GET", "/ready", Public, "The tower takes changes.", get(operations::ready)),
        route("GET", "/metrics", Public, "Counters for Prometheus.", get(operations::metrics)),
        route("GET", "/openapi.json", Public, "This interface.", get(operations::openapi)),
    ];
    table
}

/// The router over an [`App`].
pub fn router(app: Arc<App>) -> Router {
    let (mut public, mut token, mut policy, mut operators) =
        (Router::new(), Router::new(), Router::new(), Router::new());
    for Route { path, access, handler, .. } in routes() {
        match access {
            Access::Public => public = public.route(path, handler),
            Access::Token => token = token.route(path, handler),
            Access::Policy => policy = policy.route(path, handler),
            Access::Operators => operators = operators.route(path, handler),
        }
    }
    let authenticate = || middleware::from_fn_with_state(Arc::clone(&app), caller::authenticate);
    let authorize = || middleware::from_fn_with_state(Arc::clone(&app), caller::authorize);
    let of_operators = middleware::from_fn_with_state(Arc::clone(&app), caller::operators);
    // The layer added last runs first.
    let policy = policy.route_layer(authorize()).route_layer(authenticate());
    let operators = operators.route_layer(authorize()).route_layer(of_operators).route_layer(authenticate());
    let token = token.route_layer(authenticate());
    let router = public
        .merge(token)
        .merge(policy)
        .merge(operators)
        .fallback(operations::nothing_here)
        .method_not_allowed_fallback(operations::wrong_method)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), limits::around))
        .with_state(app);
    // Outside, because a method is another one before a route is looked for.
    Router::new().fallback_service(router).layer(middleware::from_fn(vault::surface))
}
