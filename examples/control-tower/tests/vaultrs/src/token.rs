//! Tokens.

use vaultrs::{
    api::token::requests::{CreateOrphanTokenRequest, CreateTokenRequest},
    client::VaultClient,
    token,
};

use crate::{Outcome, calls::Calls, calls::same, client, refused, served, unknown};

/// Makes tokens, looks them up, renews and revokes them: by themselves, by accessor, and each its own.
pub async fn run(c: &VaultClient, calls: &mut Calls) -> Outcome {
    let mut request = CreateTokenRequest::builder();
    // `default` has to be named by whoever has it not, as an administrator.
    let policies = vec!["a".to_owned(), "default".to_owned()];
    request.policies(policies.clone()).ttl("10m").explicit_max_ttl("1h").num_uses(0u64);
    let made = served!(calls, token::new(c, Some(&mut request)));
    same("a token", (made.lease_duration, made.renewable, made.orphan), (600, true, false))?;
    let read = served!(calls, token::lookup(c, &made.client_token));
    same("its end", (read.explicit_max_ttl, read.orphan), (3600, false))?;
    same("its accessor", &read.accessor, &made.accessor)?;
    let read = served!(calls, token::lookup_accessor(c, &made.accessor));
    same("its policies", (read.policies, read.id.as_str()), (policies, ""))?;
    let renewed = served!(calls, token::renew(c, &made.client_token, Some("20m")));
    same("renewed", renewed.lease_duration, 1200)?;
    let renewed = served!(calls, token::renew_accessor(c, &made.accessor, Some("5m")));
    same("renewed", renewed.lease_duration, 300)?;

    let mut request = CreateOrphanTokenRequest::builder();
    request.ttl("10m");
    let orphan = served!(calls, token::new_orphan(c, Some(&mut request)));
    let own = client(Some(&orphan.client_token))?;
    same("an orphan", served!(calls, token::lookup_self(&own)).orphan, true)?;
    same("renewed", served!(calls, token::renew_self(&own, None)).lease_duration, 600)?;
    served!(calls, token::revoke_self(&own));
    refused!(calls, 403, token::lookup_self(&own));

    let own = client(Some(&made.client_token))?;
    served!(calls, token::lookup_self(&own));
    served!(calls, token::revoke(c, &made.client_token));
    refused!(calls, 403, token::lookup_self(&own));
    let made = served!(calls, token::new(c, None));
    served!(calls, token::revoke_accessor(c, &made.accessor));
    refused!(calls, 400, token::lookup_accessor(c, &made.accessor));
    served!(calls, token::tidy(c));

    unknown!(calls, token::revoke_orphan(c, "none"));
    unknown!(calls, token::new_role(c, "none", None));
    unknown!(calls, token::role::set(c, "none", None));
    unknown!(calls, token::role::read(c, "none"));
    unknown!(calls, token::role::list(c));
    unknown!(calls, token::role::delete(c, "none"));
    Ok(())
}
