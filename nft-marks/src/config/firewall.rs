//! The firewall of a host.

use keyward_config_values::{Bindings, Cidr, ErrorKind};
use serde::{Deserialize, Serialize};

use super::text::mark_value;
use crate::{
    DEFAULT_MAX_RANGES, Egress, ExpandError, Expansion, Firewall, FirewallError, Interface, MarkMatch, Marks, Mask,
    RangeExpression, RangeSpec, Rest,
};

/// What is marked on a host and what becomes of the rest: the document `firewall`. Each field may be left out.
///
/// ```
/// use keyward_config_values::Bindings;
/// use keyward_nft_marks::Expansion;
/// use keyward_nft_marks::config::FirewallConfig;
///
/// let config: FirewallConfig = serde_json::from_str(r#"{
///     "workload-interfaces": ["kw*"],
///     "workload-egress": ["0.0.0.0/0 tcp 443", "10.0.0.53 udp 53"],
///     "control-inbound": ["${host-address} tcp 4647"],
///     "rest": "drop-workloads"
/// }"#)?;
/// let mut values = Bindings::default();
/// values.set("host-address".parse()?, "10.1.0.1");
/// let firewall = config.firewall(Expansion::default(), &values)?;
/// assert!(firewall.table().to_string().contains("10.1.0.1 . tcp . 4647"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FirewallConfig {
    /// The bits of the mark that are ours; `0x0f000000` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_mask: Option<Mask>,
    /// The values of the classes; the lowest ones of the mask where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_values: Option<ClassValues>,
    /// A mark that whoever else rules this host sets on packets that are not to be dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_mark: Option<MarkMatch>,
    /// The interfaces behind which the workloads are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_interfaces: Vec<Interface>,
    /// The addresses of the workloads; any, where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_networks: Vec<Cidr>,
    /// Where workloads may connect to, each range with its protocol and ports: anywhere where nothing is said, nowhere where the
    /// list is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_egress: Option<Vec<RangeExpression>>,
    /// Addresses and ports of this host at which the platform reaches it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub control_inbound: Vec<RangeExpression>,
    /// Where this host reaches the platform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub control_outbound: Vec<RangeExpression>,
    /// What becomes of packets without a class: `pass`, `drop-workloads` or `drop-all`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rest: Rest,
    /// The most ranges; 100,000 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ranges: Option<u32>,
}

/// The value of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClassValues {
    /// From outside to a service of a workload.
    #[serde(with = "mark_value")]
    pub ingress: u32,
    /// From a workload.
    #[serde(with = "mark_value")]
    pub workload: u32,
    /// Of the platform itself.
    #[serde(with = "mark_value")]
    pub control: u32,
}

/// A document that is no firewall.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Values of classes that do not fit the mask.
    #[error("`firewall`: {0}")]
    Marks(crate::Error),
    /// Ranges that come to nothing.
    #[error(transparent)]
    Ranges(#[from] ExpandError),
    /// Fields that do not work together.
    #[error("`firewall`: {0}")]
    Firewall(#[from] FirewallError),
    /// A firewall made by a newer program.
    #[error("the firewall has the format {found}, but this program knows {newest} at most; update it")]
    Format {
        /// Its format.
        found: u32,
        /// The newest known.
        newest: u32,
    },
}

impl ConfigError {
    /// Whether it is for want of a variable's value, which another site may have.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Ranges(error) if error.is_undefined())
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Marks(error) => error.kind(),
            Self::Ranges(error) => error.kind(),
            Self::Firewall(error) => error.kind(),
            Self::Format { .. } => ErrorKind::Misconfigured,
        }
    }
}

impl FirewallConfig {
    /// The most ranges of all documents together.
    #[must_use]
    pub fn max_ranges(&self) -> usize {
        self.max_ranges.map_or(DEFAULT_MAX_RANGES, |max| usize::try_from(max).unwrap_or(usize::MAX))
    }

    /// The same with these values in the place of its variables.
    ///
    /// # Errors
    /// What is wrong first, by field and expression.
    pub fn resolve(&self, values: &Bindings) -> Result<Self, ConfigError> {
        let literal = |field: &str, ranges: &[RangeExpression]| {
            let expansion = self.expand(field, ranges, values)?;
            Ok::<Vec<_>, ConfigError>(
                expansion.ranges().iter().filter_map(|range| range.written().parse().ok()).collect(),
            )
        };
        Ok(Self {
            workload_egress: match &self.workload_egress {
                None => None,
                Some(ranges) => Some(literal("workload-egress", ranges)?),
            },
            control_inbound: literal("control-inbound", &self.control_inbound)?,
            control_outbound: literal("control-outbound", &self.control_outbound)?,
            ..self.clone()
        })
    }

    /// How many ranges there can be of all ingress documents together, beside those of its own.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn room(&self, values: &Bindings) -> Result<usize, ConfigError> {
        let Self { workload_egress, control_inbound, control_outbound, .. } = self.resolve(values)?;
        let own = workload_egress.map_or(0, |ranges| ranges.len()) + control_inbound.len() + control_outbound.len();
        Ok(self.max_ranges().saturating_sub(own))
    }

    fn expand(&self, field: &str, ranges: &[RangeExpression], values: &Bindings) -> Result<Expansion, ExpandError> {
        let spec = RangeSpec { ranges: ranges.to_vec(), ..RangeSpec::default() };
        Expansion::new(&format!("firewall {field}"), &spec, values, self.max_ranges())
    }

    /// The firewall with these values, and with the ranges of all ingress documents together.
    ///
    /// # Errors
    /// What is wrong first, by document and expression.
    pub fn firewall(&self, ingress: Expansion, values: &Bindings) -> Result<Firewall, ConfigError> {
        let mask = self.mark_mask.unwrap_or_default();
        let marks = match self.mark_values {
            None => Marks::new(mask),
            Some(ClassValues { ingress, workload, control }) => {
                Marks::with_values(mask, ingress, workload, control).map_err(ConfigError::Marks)?
            }
        };
        let max = self.max_ranges();
        let set = |field: &str, ranges: &[RangeExpression]| self.expand(field, ranges, values)?.into_set();
        let firewall = Firewall {
            marks,
            accept_mark: self.accept_mark,
            interfaces: self.workload_interfaces.clone(),
            networks: self.workload_networks.clone(),
            egress: match &self.workload_egress {
                None => Egress::All,
                Some(ranges) => Egress::Only(set("workload-egress", ranges)?),
            },
            ingress: ingress.into_set()?,
            control_inbound: set("control-inbound", &self.control_inbound)?,
            control_outbound: set("control-outbound", &self.control_outbound)?,
            rest: self.rest,
        };
        firewall.check(max)?;
        Ok(firewall)
    }
}

fn is_default(rest: &Rest) -> bool {
    *rest == Rest::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    fn read(json: &str) -> FirewallConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_whole_document() {
        let json = r#"{"mark-mask":"0x000000f0","mark-values":{"ingress":"0x00000010","workload":"0x00000020","control":"0x00000040"},"accept-mark":"0x00000100/0x00000300","workload-interfaces":["kw*"],"workload-networks":["10.0.0.0/8"],"workload-egress":[],"control-inbound":["10.0.0.1 tcp 4647"],"control-outbound":["${tower} tcp 443"],"rest":"drop-all","max-ranges":10}"#;
        let config = read(json);
        assert_eq!(serde_json::to_string(&config).unwrap(), json);
        let mut values = Bindings::default();
        values.set("tower".parse().unwrap(), "192.0.2.1");
        let firewall = config.firewall(Expansion::default(), &values).unwrap();
        assert_eq!(firewall.marks.value(Class::Control), 0x40);
        assert_eq!((firewall.rest, firewall.egress), (Rest::DropAll, Egress::Only(crate::RangeSet::default())));
        assert_eq!(firewall.control_outbound.iter().next().unwrap().to_string(), "192.0.2.1 . tcp . 443");
    }

    #[test]
    fn an_empty_document_marks_and_drops_nothing() {
        let config = read("{}");
        assert_eq!(serde_json::to_string(&config).unwrap(), "{}");
        assert_eq!(config.firewall(Expansion::default(), &Bindings::default()).unwrap(), Firewall::default());
        // Numbers may be written as numbers.
        assert_eq!(read(r#"{"mark-mask": 240}"#).mark_mask, Some("0xf0".parse().unwrap()));
    }

    #[test]
    fn what_does_not_work_together_says_so() {
        for (json, error) in [
            (
                r#"{"accept-mark":"0x01000000"}"#,
                "`firewall`: the accept mark `0x01000000/0x01000000` has bits of the mask `0x0f000000`; write one outside",
            ),
            (
                r#"{"rest":"drop-workloads"}"#,
                "`firewall`: dropping the rest of the workloads' packets without the interfaces of the workloads; write them, such as `kw*`",
            ),
            (
                r#"{"workload-egress":[]}"#,
                "`firewall`: egress of workloads without the interfaces of the workloads; write them, such as `kw*`",
            ),
            (
                r#"{"mark-values":{"ingress":1,"workload":2,"control":3}}"#,
                "`firewall`: the value `0x00000001` of the class `ingress` is not a part of the mask `0x0f000000`; write one between, other than 0",
            ),
            (
                r#"{"control-outbound":["${tower} tcp 443"]}"#,
                "`firewall control-outbound`: `${tower} tcp 443`: at position 1, the variable `tower` has no value here",
            ),
            (
                r#"{"control-inbound":["10.0.0.1 tcp"]}"#,
                "`firewall control-inbound`: `10.0.0.1 tcp` says no ports; write them behind the protocol, or `ports` beside the ranges, `any` for all",
            ),
            (
                r#"{"max-ranges":1,"control-inbound":["10.0.0.1 tcp 1"],"control-outbound":["10.0.0.1 tcp 1"]}"#,
                "`firewall`: 2 ranges; at most 1 are allowed",
            ),
        ] {
            assert_eq!(read(json).firewall(Expansion::default(), &Bindings::default()).unwrap_err().to_string(), error);
        }
        for bad in [
            r#"{"mark-mask":"1"}"#,
            r#"{"workload-interfaces":["*"]}"#,
            r#"{"rest":"drop"}"#,
            r#"{"control-inbound":["x"]}"#,
        ] {
            assert!(serde_json::from_str::<FirewallConfig>(bad).is_err(), "{bad}");
        }
    }
}
