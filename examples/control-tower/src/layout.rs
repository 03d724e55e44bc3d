//! Where everything stands in the store: the only place that spells keys.
//!
//! Everything of a tenant is under `t/<tenant-id>/`, but for what is found by a secret alone, before a tenant is known:
//! secret-ids, tokens, wrapped answers and the index of role-ids, whose keys are HMACs.

use keyward_approle::{Accessor, Pepper, Role, StorageKey};
use keyward_callhome_cert::{Batch, HostHash};
use keyward_config_values::Name;
use keyward_webauthn_login::{Binding, Email, Key, UserHandle};

mod dated;

pub use self::dated::{
    DUE, EXPIRY, RESTORED_OF, due, dues, expiry, parse_due, parse_expiry, parse_restored_of, restored_of,
};

/// The pepper that every stored secret is hashed under.
pub const PEPPER: &str = "meta/pepper";
/// What the salts, decoys and cookies of logins are derived under.
pub const LOGIN_SECRET: &str = "meta/login-secret";
/// The key-encryption keys, under the key of the seal.
pub const KEYRING: &str = "meta/keyring";
/// There once users of earlier programs were brought along; it holds nothing.
pub const USERS_MIGRATED: &str = "meta/users-3";
/// There in a store that was brought back from a backup: since when, once a tower has started on it.
pub const RESTORED: &str = "meta/restored";
/// How far sealing every record under the current key is.
pub const REWRAP: &str = "meta/rewrap";
/// The key under which rings are backed up as text.
pub const BACKUP_KEY: &str = "meta/backup-key";
/// There once what earlier programs wrote has the entries by which it is found; it holds nothing.
pub const INDEXED: &str = "meta/indexed-1";
/// Of all role-ids, by their HMACs.
pub const ROLE_IDS: &str = "role-id/";
/// Of all answers that wait for their tokens.
pub const WRAPPED: &str = "wrapped/";
/// Of all logins that are under way.
pub const CEREMONIES: &str = "login/";
/// Of all sessions.
pub const SESSIONS: &str = "session/";
/// Of all enrolment links.
pub const LINKS: &str = "enrolment-link/";
/// Of all codes of command lines.
pub const CLI_CODES: &str = "cli-code/";
/// Of all histories of guesses.
pub const ATTEMPTS: &str = "attempts/";
/// Of what tenants have.
pub const TENANT_DATA: &str = "t/";
/// Of all leases.
pub const LEASES: &str = "lease/";
/// Of all tenants.
pub const TENANTS: &str = "tenant/";
/// Of all tenants that are being removed, by id.
pub const REMOVALS: &str = "removal/";

const CALL_HOME_CERTIFICATE: &str = "call-home-certificate/";

/// Whether what stands at a key is a sealed record. All is, but for what holds nothing, leases, and what has to be read before
/// records are.
pub fn is_sealed(key: &str, value: &[u8]) -> bool {
    !value.is_empty() && key != KEYRING && key != REWRAP && !key.starts_with(LEASES)
}

/// The tenant of a name.
pub fn tenant(name: &Name) -> String {
    format!("{TENANTS}{name}")
}

/// The name of the tenant with an id.
pub fn tenant_id(id: &str) -> String {
    format!("tenant-id/{id}")
}

/// Everything of a tenant, but for what is found by a secret alone.
pub fn everything(tenant: &Name) -> String {
    format!("t/{tenant}/")
}

/// A tenant that is being removed.
pub fn removal(id: &str) -> String {
    format!("{REMOVALS}{id}")
}

/// Of all configuration documents of a tenant.
pub fn documents(tenant: &Name) -> String {
    format!("t/{tenant}/config/")
}

/// One configuration document.
pub fn document(tenant: &Name, path: &str) -> String {
    format!("t/{tenant}/config/{path}")
}

/// Changed by every change of a tenant's configuration, which serialises them.
pub fn config_head(tenant: &Name) -> String {
    format!("t/{tenant}/config-head")
}

/// Changed by every change of what the firewalls of hosts come from, of whatever tenant, which serialises them.
pub fn firewall_head() -> &'static str {
    "meta/firewall-head"
}

/// Changed by every change of a tenant's policies, or of what gives their variables values.
pub fn policies_head(tenant: &Name) -> String {
    format!("t/{tenant}/policies-head")
}

/// Written with [`config_head`] by a program that keeps the index of the documents in this form: of the same revision, the index
/// is whole.
pub fn config_index(tenant: &Name, form: &str) -> String {
    format!("t/{tenant}/config-index/{form}")
}

/// Of all entries that say which document names which.
pub fn naming(tenant: &Name) -> String {
    format!("t/{tenant}/names/")
}

/// Of the entries of the documents that name the one at a path. (No segment of a path is empty.)
pub fn naming_path(tenant: &Name, to: &str) -> String {
    format!("{}{to}//", naming(tenant))
}

/// Says that one document names another.
pub fn names(tenant: &Name, to: &str, from: &str) -> String {
    format!("{}{from}", naming_path(tenant, to))
}

/// Of all entries of AppRoles with JWT-SVIDs, by how long their tokens live: the longest first.
pub fn role_lives(tenant: &Name) -> String {
    format!("t/{tenant}/role-life/")
}

/// Says how many seconds the tokens of an AppRole live.
pub fn role_life(tenant: &Name, seconds: u64, role: &str) -> String {
    format!("{}{:016x}/{role}", role_lives(tenant), u64::MAX - seconds)
}

/// Of all tenants that have ingress, by id: firewalls are made of what these have, however many others there are.
pub const WITH_INGRESS: &str = "with-ingress/";

/// Of all tenants that have relationships with other trust domains, by id.
pub const WITH_FEDERATION: &str = "with-federation/";
/// Of all tenants in which SVIDs can log in, by id.
pub const WITH_SPIFFE_LOGINS: &str = "with-spiffe-login/";

/// Says that a tenant has something that is looked at of all tenants together.
pub fn with(index: &str, tenant: &Name) -> String {
    format!("{index}{tenant}")
}

/// Of all key rings of a tenant.
pub fn rings(tenant: &Name) -> String {
    format!("t/{tenant}/ring/")
}

/// A key ring.
pub fn ring(tenant: &Name, name: &str) -> String {
    format!("t/{tenant}/ring/{name}")
}

/// The key under which keys from elsewhere travel to a tenant.
pub fn wrapping_key(tenant: &Name) -> String {
    format!("t/{tenant}/wrapping-key")
}

/// Which rings sign and verify a tenant's SVIDs.
pub fn issuing(tenant: &Name) -> String {
    format!("t/{tenant}/issuing")
}

/// Of all certificate authorities of a tenant.
pub fn authorities(tenant: &Name) -> String {
    format!("t/{tenant}/ca/")
}

/// Which authority issues a tenant's X.509-SVIDs, and which ones verifiers still need.
pub fn issuing_authorities(tenant: &Name) -> String {
    format!("t/{tenant}/ca-issuing")
}

/// When what verifiers read of a tenant changed last.
pub fn publication(tenant: &Name) -> String {
    format!("t/{tenant}/publication")
}

/// The trust domain of a tenant, fixed when its first identity is issued.
pub fn trust_domain(tenant: &Name) -> String {
    format!("t/{tenant}/trust-domain")
}

/// The tenant that owns a trust domain.
pub fn trust_domain_owner(trust_domain: &str) -> String {
    format!("trust-domain/{trust_domain}")
}

/// Of all trust domains that a tenant owns.
pub fn trust_domains(tenant: &Name) -> String {
    format!("t/{tenant}/owns-trust-domain/")
}

/// Says that a tenant owns a trust domain: the other way to [`trust_domain_owner`].
pub fn owns_trust_domain(tenant: &Name, trust_domain: &str) -> String {
    format!("{}{trust_domain}", trust_domains(tenant))
}

/// Of all AppRoles of a tenant.
pub fn roles(tenant: &Name) -> String {
    format!("t/{tenant}/role/")
}

/// Of all users of a tenant.
pub fn users(tenant: &Name) -> String {
    format!("t/{tenant}/user/")
}

/// An AppRole.
pub fn role(tenant: &Name, name: &str) -> String {
    format!("t/{tenant}/role/{name}")
}

/// Which role a role-id belongs to.
pub fn role_id(key: &StorageKey) -> String {
    format!("{ROLE_IDS}{key}")
}

/// The entry of a role among those that have its role-id.
pub fn role_index(pepper: &Pepper, role: &Role) -> String {
    format!("{}/{}/{}", role_id(&pepper.role_key(role.role_id())), role.tenant(), role.name())
}

/// Who gets which token by an SVID.
pub fn spiffe_auth(tenant: &Name, name: &str) -> String {
    format!("t/{tenant}/spiffe-auth/{name}")
}

/// Of all relationships with other trust domains.
pub fn federations(tenant: &Name) -> String {
    format!("t/{tenant}/federation/")
}

/// A relationship with another trust domain.
pub fn federation(tenant: &Name, trust_domain: &str) -> String {
    format!("t/{tenant}/federation/{trust_domain}")
}

/// The tenant and the name of a [`user`].
pub fn parse_user(key: &str) -> Option<(Name, &str)> {
    let (tenant, rest) = key.strip_prefix("t/")?.split_once('/')?;
    Some((tenant.parse().ok()?, rest.strip_prefix("user/")?))
}

/// Of the tenants that have a user with an address, by id. The address is hashed: it may hold a slash.
pub fn user_address(email: &Email) -> String {
    format!("user-address/{}/", Key::of(email.as_str()))
}

/// Which user an authenticator names.
pub fn user_handle(handle: &UserHandle) -> String {
    format!("user-handle/{handle}")
}

/// Of all users of a tenant by what they are at providers.
pub fn user_bindings(tenant: &Name) -> String {
    format!("t/{tenant}/user-binding/")
}

/// Which user of a tenant somebody at a provider is.
pub fn user_binding(tenant: &Name, binding: &Binding) -> String {
    let Binding { provider, issuer, subject } = binding;
    format!("{}{}", user_bindings(tenant), Key::of(&format!("{provider}\n{issuer}\n{subject}")))
}

/// The secret that a tenant's provider knows the tower by.
pub fn provider_secret(tenant: &Name, name: &str) -> String {
    format!("t/{tenant}/provider-secret/{name}")
}

/// Until when the tokens of a user count who is gone.
pub fn user_ended(tenant: &Name, email: &Email) -> String {
    format!("t/{tenant}/user-ended/{}", Key::of(email.as_str()))
}

/// A login that is under way.
pub fn ceremony(key: &Key) -> String {
    format!("{CEREMONIES}{key}")
}

/// A session.
pub fn session(key: &Key) -> String {
    format!("{SESSIONS}{key}")
}

/// Of all sessions of a tenant, by user.
pub fn tenant_sessions(tenant: &Name) -> String {
    format!("t/{tenant}/session/")
}

/// Of all sessions of a user.
pub fn user_sessions(tenant: &Name, email: &Email) -> String {
    format!("{}{}/", tenant_sessions(tenant), Key::of(email.as_str()))
}

/// An enrolment link.
pub fn enrolment_link(key: &Key) -> String {
    format!("{LINKS}{key}")
}

/// Of all enrolment links of a tenant.
pub fn tenant_links(tenant: &Name) -> String {
    format!("t/{tenant}/enrolment-link/")
}

/// What a command line exchanges for its token.
pub fn cli_code(key: &Key) -> String {
    format!("{CLI_CODES}{key}")
}

/// How much was guessed, of whom or from where.
pub fn attempts(of: &str) -> String {
    format!("{ATTEMPTS}{}", Key::of(of))
}

/// A user.
pub fn user(tenant: &Name, username: &str) -> String {
    format!("t/{tenant}/user/{username}")
}

/// A secret-id.
pub fn secret_id(key: &StorageKey) -> String {
    format!("secret-id/{key}")
}

/// Of all secret-ids of a tenant, by role and accessor.
pub fn secret_ids(tenant: &Name) -> String {
    format!("t/{tenant}/secret-id/")
}

/// Of all secret-ids of a role, by accessor.
pub fn secret_id_accessors(tenant: &Name, role: &str) -> String {
    format!("t/{tenant}/secret-id/{role}/")
}

/// The tenant and the role of [`secret_id_accessors`], or of a key that is below it.
pub fn parse_secret_id_accessors(key: &str) -> Option<(Name, &str)> {
    let (tenant, rest) = key.strip_prefix("t/")?.split_once('/')?;
    let (role, _) = rest.strip_prefix("secret-id/")?.split_once('/')?;
    Some((tenant.parse().ok()?, role))
}

/// The key of the secret-id with an accessor.
pub fn secret_id_accessor(tenant: &Name, role: &str, accessor: Accessor) -> String {
    format!("{}{accessor}", secret_id_accessors(tenant, role))
}

/// A token.
pub fn token(key: &StorageKey) -> String {
    format!("token/{key}")
}

/// Of all tokens of a tenant, by accessor.
pub fn token_accessors(tenant: &Name) -> String {
    format!("t/{tenant}/token/")
}

/// The key of the token with an accessor.
pub fn token_accessor(tenant: &Name, accessor: Accessor) -> String {
    format!("{}{accessor}", token_accessors(tenant))
}

/// An answer that waits for its token.
pub fn wrapped(key: &StorageKey) -> String {
    format!("{WRAPPED}{key}")
}

/// What there is of a tenant for its answers that wait for their tokens.
pub const OF_WRAPPED: [&str; 2] = ["wrapped/", "wrapped-accessor/"];

/// Of all answers of a tenant that wait for their tokens.
pub fn tenant_wrapped(tenant: &Name) -> String {
    format!("t/{tenant}/wrapped/")
}

/// The key of an answer of a tenant that waits for its token.
pub fn wrapped_of(tenant: &Name, key: &StorageKey) -> String {
    format!("{}{key}", tenant_wrapped(tenant))
}

/// The key of the answer of a tenant whose token has an accessor.
pub fn wrapped_accessor(tenant: &Name, accessor: Accessor) -> String {
    format!("t/{tenant}/wrapped-accessor/{accessor}")
}

/// Of all hosts that called home, by the hashes of their host-ids.
pub fn hosts(tenant: &Name) -> String {
    format!("t/{tenant}/host/")
}

/// A host that called home.
pub fn host(tenant: &Name, hash: &HostHash) -> String {
    format!("{}{hash}", hosts(tenant))
}

/// The places for hosts that wait to be claimed.
pub fn unclaimed(tenant: &Name) -> String {
    format!("t/{tenant}/unclaimed-host/")
}

/// The places for hosts that have the host-id of another one.
pub fn duplicates(tenant: &Name) -> String {
    format!("t/{tenant}/duplicate-host/")
}

/// Of what is remembered of hosts that had to make room while they waited, by the first digits of the hashes of their host-ids.
pub fn displaced_hosts(tenant: &Name, digits: &str) -> String {
    format!("t/{tenant}/displaced-host/{digits}")
}

/// A host that had to make room, by the serial number of the certificate that it came with.
pub fn displaced_host(tenant: &Name, hash: &HostHash, serial: &str) -> String {
    displaced_hosts(tenant, &format!("{hash}/{serial}"))
}

/// The site that lists a host-id.
pub fn listed_host(tenant: &Name, hash: &HostHash) -> String {
    format!("t/{tenant}/listed-host/{hash}")
}

/// A certificate to call home with, by its serial number.
pub fn call_home_certificate(tenant: &Name, serial: &str) -> String {
    format!("t/{tenant}/{CALL_HOME_CERTIFICATE}{serial}")
}

/// Whether a key is that of a certificate to call home with.
pub fn is_call_home_certificate(key: &str) -> bool {
    key.strip_prefix("t/")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, rest)| rest.starts_with(CALL_HOME_CERTIFICATE))
}

/// The serial numbers of the certificates of a batch.
pub fn call_home_batch(tenant: &Name, batch: &Batch) -> String {
    format!("t/{tenant}/call-home-batch/{batch}/")
}

/// Changed by every revocation of a certificate to call home with.
pub fn call_home_revoked_head(tenant: &Name) -> String {
    format!("t/{tenant}/call-home-revoked-head")
}

/// The serial numbers of the certificates that were revoked.
pub fn call_home_revoked(tenant: &Name) -> String {
    format!("t/{tenant}/call-home-revoked/")
}
