//! What somebody may do: their policies, with the values that variables have for them.

use std::{collections::BTreeMap, sync::Arc};

use keyward_approle::{
    Asker, Decision, Explanation, Operation, PolicySet, Request, Scope, Subject, TokenRecord, Visibility, decide,
    explain, visibility,
};
use keyward_config_values::{Bindings, Name};

use crate::{
    app::App,
    http::error::{Answer, ApiError},
    identity::Identity,
    policies::{self, Prepared},
    tenant::Tenant,
};

/// Whoever asks, or is asked about.
pub struct Who<'a> {
    /// The id of their tenant.
    pub tenant: &'a Name,
    /// Who they are.
    pub subject: &'a Subject,
    /// Their policies.
    pub policies: &'a [Name],
    /// The metadata of the secret-id that logged in.
    pub metadata: &'a BTreeMap<String, String>,
    /// The site that they are at, where it is known otherwise than by their identity.
    pub site: Option<Name>,
}

impl<'a> Who<'a> {
    /// Whoever has a token.
    pub fn has(token: &'a TokenRecord) -> Self {
        Self {
            tenant: token.tenant(),
            subject: token.subject(),
            policies: token.policies(),
            metadata: token.metadata(),
            site: None,
        }
    }

    /// What they may do.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn standing(&self, app: &App) -> Answer<Standing<'a>> {
        let prepared = policies::of(app, self.tenant, self.policies).await?;
        let bindings = match prepared.set.has_variables(self.policies) {
            true => Some(self.bindings(app, &prepared).await?),
            false => None,
        };
        Ok(Standing { prepared, policies: self.policies, bindings })
    }

    async fn bindings(&self, app: &App, prepared: &Prepared) -> Answer<Bindings> {
        let tenant = Tenant::by_id(&app.db, self.tenant.as_str()).await?;
        let tenant = tenant.ok_or_else(|| ApiError::internal("a token's tenant is gone"))?.value;
        let site = match (&self.site, self.subject) {
            (Some(site), _) => Some(site.clone()),
            (None, Subject::Spiffe { .. }) => {
                let own = Identity::load(&app.db, self.tenant).await?.trust_domain(app, &tenant.name).ok();
                self.subject.site(own.as_ref())
            }
            (None, _) => None,
        };
        let site = match site {
            Some(site) => prepared.site(app, self.tenant, &site).await?,
            None => None,
        };
        let bindings = site.as_ref().map_or_else(|| prepared.bindings(), |site| Arc::clone(&site.bindings));
        let site = site.as_ref().map(|site| &*site.config);
        let asker = Asker::new(&tenant.name, self.subject).at(site).with_metadata(self.metadata);
        Ok(asker.bindings(bindings))
    }
}

/// What somebody may do.
pub struct Standing<'a> {
    prepared: Arc<Prepared>,
    policies: &'a [Name],
    bindings: Option<Bindings>,
}

impl Standing<'_> {
    /// Whether they may do an operation on a path, and by which rule.
    ///
    /// # Errors
    /// 400 for a path that cannot be authorized.
    pub fn decide(&self, operation: Operation, path: &str) -> Answer<Decision<'_>> {
        Ok(decide(None, &self.scope(), &self.request(operation, path)?))
    }

    /// The same with all that was weighed.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn explain(&self, operation: Operation, path: &str) -> Answer<Explanation<'_>> {
        Ok(explain(None, &self.scope(), &self.request(operation, path)?))
    }

    /// What is hidden from them; `None` where nothing is.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn hidden(&self, operation: Operation, path: &str) -> Answer<Option<Visibility>> {
        if !self.prepared.set.hides_fields(self.policies) {
            return Ok(None);
        }
        let visibility = visibility(None, &self.scope(), &self.request(operation, path)?);
        Ok(Some(visibility).filter(|visibility| !visibility.is_whole()))
    }

    /// The policies of the tenant.
    pub fn set(&self) -> &PolicySet {
        &self.prepared.set
    }

    /// The value that a variable has for them.
    pub fn value(&self, variable: &keyward_config_values::VariableName) -> Option<&str> {
        self.bindings.as_ref()?.get(variable)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::new(&self.prepared.set, self.policies)
    }

    fn request<'r>(&'r self, operation: Operation, path: &'r str) -> Answer<Request<'r>> {
        let request = Request::new(path, operation).map_err(|error| ApiError::invalid(error.to_string()))?;
        Ok(match &self.bindings {
            Some(bindings) => request.with_bindings(bindings),
            None => request,
        })
    }
}
