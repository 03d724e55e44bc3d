//! The ingress of all tenants at one site.

use keyward_config_values::{Bindings, ErrorKind, Name, Quoted};

use super::{IngressConfig, ResourceProfileConfig};
use crate::{DEFAULT_MAX_RANGES, ExpandError, Expansion, Overlap, Range, RangeSet, Sourced};

/// What one tenant brings to the hosts of a site.
#[derive(Debug, Clone)]
pub struct TenantIngress<'a> {
    /// The tenant; nothing for whoever runs the platform.
    pub tenant: Option<&'a Name>,
    /// Its documents `ingress/<name>`.
    pub ingress: &'a [IngressConfig],
    /// What its variables are at this site.
    pub values: &'a Bindings,
    /// Where its applications may be reached.
    pub allowance: Allowance<'a>,
}

/// Where the applications of a tenant may be reached.
#[derive(Debug, Clone, Copy)]
pub enum Allowance<'a> {
    /// Anywhere: of whoever runs the platform.
    Anything,
    /// Nowhere: of a tenant without a resource profile.
    Nothing,
    /// Where a profile says, with the values of whoever wrote it: those of the tenant could widen it.
    Profile {
        /// The profile.
        profile: &'a ResourceProfileConfig,
        /// What its variables are at this site.
        values: &'a Bindings,
    },
}

/// The ingress of all tenants at one site: what is let in, and what is not, so that a mistake of one tenant closes nothing of
/// another's.
///
/// ```
/// use keyward_config_values::Bindings;
/// use keyward_nft_marks::config::{Allowance, IngressConfig, SiteIngress, TenantIngress};
///
/// let ingress: Vec<IngressConfig> = serde_json::from_str(r#"[
///     {"name": "web", "application": "shop", "ranges": ["10.${site-number}.0.10 tcp 443"]},
///     {"name": "dns", "application": "names", "ranges": ["10.${other}.0.10 udp 53"]}
/// ]"#)?;
/// let mut values = Bindings::default();
/// values.set("site-number".parse()?, "7");
/// let all = [TenantIngress { tenant: None, ingress: &ingress, values: &values, allowance: Allowance::Anything }];
/// let site = SiteIngress::new(&all, 100);
/// assert_eq!(site.placed()[0].ranges()[0].to_string(), "10.7.0.10 . tcp . 443");
/// assert_eq!(
///     site.left_out()[0].error.to_string(),
///     "`ingress/dns`: `10.${other}.0.10 udp 53`: at position 4, the variable `other` has no value here",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteIngress {
    placed: Vec<Placed>,
    left_out: Vec<LeftOut>,
}

/// A document whose ranges are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The tenant whose it is.
    pub tenant: Option<Name>,
    /// Its name.
    pub name: Name,
    /// The application that is reached.
    pub application: Name,
    expansion: Expansion,
}

/// A document whose ranges are not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The tenant whose it is.
    pub tenant: Option<Name>,
    /// Its name.
    pub name: Name,
    /// Why.
    pub error: SiteError,
}

/// Why a document's ranges are not let in at a site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// They come to nothing, overlap, or lie outside of the profile.
    #[error(transparent)]
    Ranges(ExpandError),
    /// The tenant has no profile.
    #[error("{}: the tenant has no resource profile, so that its applications are reached nowhere; have an operator give it one", Quoted(.document))]
    NoProfile {
        /// The document.
        document: String,
    },
    /// The tenant's profile comes to nothing.
    #[error("{}: what the tenant may use is not known: {error}", Quoted(.document))]
    Profile {
        /// The document.
        document: String,
        /// What is wrong with the profile.
        error: ExpandError,
    },
    /// Another tenant has some of them.
    #[error("{one}, some of which another tenant has; use other addresses or ports")]
    Taken {
        /// The range.
        one: Box<Sourced>,
        /// Who has it, which is not for the tenant to know.
        by: Option<Name>,
    },
    /// The tenant has enough already.
    #[error("{}: with it the tenant has more than the {max} ranges of its profile; make it smaller", Quoted(.document))]
    TenantFull {
        /// The document.
        document: String,
        /// The most that the tenant may have.
        max: usize,
    },
    /// The site has enough already.
    #[error("{}: with it ingress has more than {max} ranges, which is what `max-ranges` of the firewall leaves for it; make it smaller", Quoted(.document))]
    Full {
        /// The document.
        document: String,
        /// The most: what those of the platform itself leave.
        max: usize,
    },
}

impl SiteError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Ranges(error) | Self::Profile { error, .. } => error.kind(),
            Self::NoProfile { .. } | Self::Taken { .. } | Self::TenantFull { .. } | Self::Full { .. } => {
                ErrorKind::Refused
            }
        }
    }

    /// Whether it is for want of a variable's value, which another site may have.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Ranges(error) | Self::Profile { error, .. } if error.is_undefined())
    }
}

impl TenantIngress<'_> {
    fn allowed(&self) -> Result<Option<RangeSet>, ExpandError> {
        match self.allowance {
            Allowance::Profile { profile, values } => profile.allowed(values, DEFAULT_MAX_RANGES).map(Some),
            Allowance::Anything | Allowance::Nothing => Ok(None),
        }
    }

    /// The most ranges of this tenant, of `max` in all.
    fn max(&self, max: usize) -> usize {
        match self.allowance {
            Allowance::Profile { profile, .. } => profile.max_ranges().min(max),
            Allowance::Anything | Allowance::Nothing => max,
        }
    }

    fn place(
        &self,
        ingress: &IngressConfig,
        allowed: &Result<Option<RangeSet>, ExpandError>,
        max: usize,
    ) -> Result<Expansion, SiteError> {
        let allowed = match allowed {
            Ok(allowed) => allowed.as_ref(),
            Err(error) => return Err(SiteError::Profile { document: ingress.path(), error: error.clone() }),
        };
        let expansion = ingress.expand(self.values, max).map_err(SiteError::Ranges)?;
        match (self.allowance, allowed) {
            (Allowance::Anything, _) => {}
            (Allowance::Profile { profile, .. }, Some(allowed)) => {
                expansion.inside(&profile.path(), allowed).map_err(SiteError::Ranges)?;
            }
            _ => return Err(SiteError::NoProfile { document: ingress.path() }),
        }
        Ok(expansion)
    }
}

impl SiteIngress {
    /// What becomes of the documents of these tenants at a site, with at most `max` ranges in all. Of two documents that overlap
    /// the one of the earlier tenant is let in, and so it is where there are too many.
    pub fn new(tenants: &[TenantIngress<'_>], max: usize) -> Self {
        let (mut placed, mut left_out) = (Vec::new(), Vec::new());
        let mut room = max;
        for tenant in tenants {
            let allowed = tenant.allowed();
            let mut own = tenant.max(max);
            let most = own;
            for ingress in tenant.ingress {
                let document = ingress.path();
                let result = match tenant.place(ingress, &allowed, most) {
                    Ok(expansion) if expansion.ranges().len() > room => Err(SiteError::Full { document, max }),
                    Ok(expansion) if expansion.ranges().len() > own => {
                        Err(SiteError::TenantFull { document, max: most })
                    }
                    result => result,
                };
                let owner = tenant.tenant.cloned();
                match result {
                    Ok(expansion) => {
                        let count = expansion.ranges().len();
                        (own, room) = (own - count, room - count);
                        let (name, application) = (ingress.name.clone(), ingress.application.clone());
                        placed.push(Placed { tenant: owner, name, application, expansion });
                    }
                    Err(error) => left_out.push(LeftOut { tenant: owner, name: ingress.name.clone(), error }),
                }
            }
        }
        while let Some((number, error)) = clash(&placed) {
            let Placed { tenant, name, .. } = placed.remove(number);
            left_out.push(LeftOut { tenant, name, error });
        }
        Self { placed, left_out }
    }

    /// What is let in.
    pub fn placed(&self) -> &[Placed] {
        &self.placed
    }

    /// What is not.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Placed {
    /// The ranges, in the order in which they were written.
    pub fn ranges(&self) -> &[Range] {
        self.expansion.ranges()
    }
}

/// The number of a document that overlaps an earlier one, if any does.
fn clash(placed: &[Placed]) -> Option<(usize, SiteError)> {
    let mut ends = Vec::with_capacity(placed.len());
    let mut ranges = Vec::new();
    for one in placed {
        ranges.extend_from_slice(one.ranges());
        ends.push(ranges.len());
    }
    let Overlap { one, other } = RangeSet::new(ranges).err()?;
    let find = |(place, range): (usize, Range)| {
        let number = ends.partition_point(|end| *end <= place);
        let document = placed.get(number)?;
        let begin = ends.get(number)?.checked_sub(document.ranges().len())?;
        Some((number, document, document.expansion.sourced(place.checked_sub(begin)?, range)))
    };
    let ((number, document, one), (_, earlier, other)) = find(one).zip(find(other))?;
    let one = Box::new(one);
    let error = match document.tenant == earlier.tenant {
        true => SiteError::Ranges(ExpandError::Overlap { one, other: other.into() }),
        false => SiteError::Taken { one, by: earlier.tenant.clone() },
    };
    Some((number, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(json: &str) -> Vec<IngressConfig> {
        serde_json::from_str(json).unwrap()
    }

    fn at(number: &str) -> Bindings {
        let mut values = Bindings::default();
        values.set("n".parse().unwrap(), number);
        values
    }

    fn profile() -> ResourceProfileConfig {
        let json = r#"{"name":"small","ingress":{"ranges":["10.${n}.0.0/24"],"protocols":["tcp"],"ports":["80","443"],"max-ranges":3}}"#;
        serde_json::from_str(json).unwrap()
    }

    fn shown(site: &SiteIngress) -> Vec<String> {
        let ranges = |placed: &Placed| placed.ranges().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let placed = site.placed().iter().map(|placed| format!("{}: {}", placed.name, ranges(placed)));
        placed.chain(site.left_out().iter().map(|left| format!("- {}: {}", left.name, left.error))).collect()
    }

    #[test]
    fn the_values_of_a_tenant_do_not_widen_its_profile() {
        let (profile, operators, own) = (profile(), at("7"), at("8"));
        let ingress = documents(r#"[{"name":"a","application":"a","ranges":["10.${n}.0.1 tcp 80"]}]"#);
        let name: Name = "acme".parse().unwrap();
        let mut tenant = TenantIngress {
            tenant: Some(&name),
            ingress: &ingress,
            values: &own,
            allowance: Allowance::Profile { profile: &profile, values: &operators },
        };
        assert_eq!(
            shown(&SiteIngress::new(std::slice::from_ref(&tenant), 100)),
            [
                "- a: `ingress/a`: `10.${n}.0.1 tcp 80` comes to `10.8.0.1 . tcp . 80`, which is not inside `resource-profiles/small`; use what that allows"
            ]
        );
        tenant.values = &operators;
        assert_eq!(shown(&SiteIngress::new(std::slice::from_ref(&tenant), 100)), ["a: 10.7.0.1 . tcp . 80"]);
        tenant.allowance = Allowance::Nothing;
        assert_eq!(
            shown(&SiteIngress::new(std::slice::from_ref(&tenant), 100)),
            [
                "- a: `ingress/a`: the tenant has no resource profile, so that its applications are reached nowhere; have an operator give it one"
            ]
        );
        let none = Bindings::default();
        tenant.allowance = Allowance::Profile { profile: &profile, values: &none };
        let site = SiteIngress::new(&[tenant], 100);
        assert!(site.left_out()[0].error.is_undefined());
        assert_eq!(
            shown(&site),
            [
                "- a: `ingress/a`: what the tenant may use is not known: `resource-profiles/small`: `10.${n}.0.0/24`: at position 4, the variable `n` has no value here"
            ]
        );
    }

    #[test]
    fn what_another_tenant_has_is_taken_and_closes_nothing_else() {
        let (profile, values) = (profile(), at("7"));
        let (one, other): (Name, Name) = ("one".parse().unwrap(), "other".parse().unwrap());
        let first = documents(
            r#"[{"name":"a","application":"a","ranges":["10.7.0.0/28 tcp 80"]},{"name":"b","application":"b","ranges":["10.7.0.15 tcp 80"]}]"#,
        );
        let second = documents(
            r#"[{"name":"c","application":"c","ranges":["10.7.0.7-10.7.0.20 tcp 80"]},{"name":"d","application":"d","ranges":["10.7.0.7 tcp 443"]}]"#,
        );
        let allowance = Allowance::Profile { profile: &profile, values: &values };
        let tenants = [(&one, &first), (&other, &second)].map(|(tenant, ingress)| TenantIngress {
            tenant: Some(tenant),
            ingress,
            values: &values,
            allowance,
        });
        let site = SiteIngress::new(&tenants, 100);
        assert_eq!(
            shown(&site),
            [
                "a: 10.7.0.0/28 . tcp . 80",
                "d: 10.7.0.7 . tcp . 443",
                "- c: `ingress/c`: `10.7.0.7-10.7.0.20 tcp 80` comes to `10.7.0.7-10.7.0.20 . tcp . 80`, some of which another tenant has; use other addresses or ports",
                "- b: `ingress/b`: `10.7.0.15 tcp 80` comes to `10.7.0.15 . tcp . 80`, which overlaps `10.7.0.0/28 . tcp . 80` of `10.7.0.0/28 tcp 80` in `ingress/a`; remove one or make it smaller",
            ]
        );
        assert!(matches!(&site.left_out()[0].error, SiteError::Taken { by: Some(by), .. } if *by == one));
    }

    #[test]
    fn there_are_no_more_than_the_profile_and_the_site_take() {
        let (profile, values) = (profile(), at("7"));
        let tenant: Name = "acme".parse().unwrap();
        let ingress = documents(
            r#"[{"name":"a","application":"a","ranges":["10.7.0.1","10.7.0.3"],"protocols":["tcp"],"ports":[80]},
                {"name":"b","application":"b","ranges":["10.7.0.5","10.7.0.7"],"protocols":["tcp"],"ports":[80]},
                {"name":"c","application":"c","ranges":["10.7.0.9 tcp 80"]}]"#,
        );
        let allowance = Allowance::Profile { profile: &profile, values: &values };
        let tenants = [TenantIngress { tenant: Some(&tenant), ingress: &ingress, values: &values, allowance }];
        let left = |max| shown(&SiteIngress::new(&tenants, max)).split_off(1);
        assert_eq!(
            left(100),
            [
                "c: 10.7.0.9 . tcp . 80",
                "- b: `ingress/b`: with it the tenant has more than the 3 ranges of its profile; make it smaller"
            ]
        );
        assert_eq!(
            left(2),
            [
                "- b: `ingress/b`: with it ingress has more than 2 ranges, which is what `max-ranges` of the firewall leaves for it; make it smaller",
                "- c: `ingress/c`: with it ingress has more than 2 ranges, which is what `max-ranges` of the firewall leaves for it; make it smaller"
            ]
        );
    }
}
