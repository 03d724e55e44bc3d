//! AppRoles and their secret-ids.

use vaultrs::{
    api::auth::approle::requests::{CreateCustomSecretIDRequest, GenerateNewSecretIDRequest, SetAppRoleRequest},
    auth::approle,
    client::VaultClient,
};

use crate::{Outcome, calls::Calls, calls::same, client, refused, served};

const MOUNT: &str = "approle";

/// Makes a role, logs in by two of its secret-ids, and takes all of it away.
pub async fn run(c: &VaultClient, calls: &mut Calls) -> Outcome {
    let mut role = SetAppRoleRequest::builder();
    role.token_ttl("30m").token_max_ttl("2h").token_policies(vec!["a".to_owned()]).secret_id_ttl("1h");
    served!(calls, approle::role::set(c, MOUNT, "app", Some(&mut role)));
    same("roles", served!(calls, approle::role::list(c, MOUNT)).keys, vec!["app".to_owned()])?;
    let read = served!(calls, approle::role::read(c, MOUNT, "app"));
    same("lives", (read.token_ttl, read.token_max_ttl, read.secret_id_ttl), (1800, 7200, 3600))?;
    same("policies", (read.token_policies, read.bind_secret_id), (vec!["a".to_owned()], true))?;
    served!(calls, approle::role::update_id(c, MOUNT, "app", "an-id-of-our-own"));
    let role_id = served!(calls, approle::role::read_id(c, MOUNT, "app")).role_id;
    same("role-id", role_id.as_str(), "an-id-of-our-own")?;

    let mut noted = GenerateNewSecretIDRequest::builder();
    noted.metadata(r#"{"tag": "x"}"#);
    let made = served!(calls, approle::role::secret::generate(c, MOUNT, "app", Some(&mut noted)));
    same("a secret-id's life", made.secret_id_ttl, 3600)?;
    let mut bound = CreateCustomSecretIDRequest::builder();
    bound.cidr_list(vec!["127.0.0.0/8".to_owned()]);
    let own = "a secret of our own: 128 bits";
    let custom = served!(calls, approle::role::secret::custom(c, MOUNT, "app", own, Some(&mut bound)));
    same("a secret-id of our own", custom.secret_id.as_str(), own)?;
    same("secret-ids", served!(calls, approle::role::secret::list(c, MOUNT, "app")).keys.len(), 2)?;
    let read = served!(calls, approle::role::secret::read(c, MOUNT, "app", &made.secret_id));
    let tag = read.metadata.and_then(|mut metadata| metadata.remove("tag"));
    same("metadata", tag.as_deref(), Some("x"))?;
    let accessor = &custom.secret_id_accessor;
    let read = served!(calls, approle::role::secret::read_accessor(c, MOUNT, "app", accessor));
    same("addresses", read.cidr_list, vec!["127.0.0.0/8".to_owned()])?;

    // Whoever logs in has no token yet.
    let stranger = client(Some(""))?;
    for secret in [&made.secret_id, &custom.secret_id] {
        let login = served!(calls, approle::login(&stranger, MOUNT, &role_id, secret));
        same("a login", (login.lease_duration, login.token_type.as_str()), (1800, "service"))?;
        same("a login's policies", login.policies, vec!["a".to_owned(), "default".to_owned()])?;
    }
    served!(calls, approle::role::secret::delete(c, MOUNT, "app", &made.secret_id));
    served!(calls, approle::role::secret::delete_accessor(c, MOUNT, "app", accessor));
    for secret in [&made.secret_id, &custom.secret_id] {
        refused!(calls, 400, approle::login(&stranger, MOUNT, &role_id, secret));
    }
    served!(calls, approle::tidy(c, MOUNT));
    served!(calls, approle::role::delete(c, MOUNT, "app"));
    refused!(calls, 404, approle::role::read(c, MOUNT, "app"));
    Ok(())
}
