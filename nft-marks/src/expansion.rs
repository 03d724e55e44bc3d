//! From ranges with variables to ranges.

use std::collections::BTreeSet;

use keyward_config_values::{Bindings, ErrorKind, Quoted, VariableName};

use crate::expression::{Assignment, Problem};
use crate::{
    ExpressionError, Overlap, PortRange, PortsExpression, Protocol, ProtocolExpression, Range, RangeExpression,
    RangeSet,
};

/// The most ranges that documents come to unless one asks for more or fewer.
pub const DEFAULT_MAX_RANGES: usize = 100_000;

/// Ranges as they are written: each range with each protocol and each port, where it does not say its own.
///
/// ```
/// use keyward_config_values::Bindings;
/// use keyward_nft_marks::{DEFAULT_MAX_RANGES, Expansion, RangeSpec};
///
/// let spec = RangeSpec {
///     ranges: vec!["10.${site}.0.${last}".parse()?],
///     protocols: vec!["tcp".parse()?],
///     ports: vec!["80".parse()?, "443".parse()?],
/// };
/// let mut values = Bindings::default();
/// values.set("site".parse()?, "7");
/// values.set("last[0]".parse()?, "1"); // a list
/// values.set("last[1]".parse()?, "9");
///
/// let set = Expansion::new("ingress/web", &spec, &values, DEFAULT_MAX_RANGES)?.into_set()?;
/// assert_eq!(set.iter().map(|range| range.to_string()).collect::<Vec<_>>(), [
///     "10.7.0.1 . tcp . 80", "10.7.0.1 . tcp . 443", "10.7.0.9 . tcp . 80", "10.7.0.9 . tcp . 443",
/// ]);
///
/// let error = Expansion::new("ingress/web", &spec, &Bindings::default(), DEFAULT_MAX_RANGES).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`ingress/web`: `10.${site}.0.${last}`: at position 4, the variable `site` has no value here",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RangeSpec {
    /// Addresses, some with a protocol and ports of their own.
    pub ranges: Vec<RangeExpression>,
    /// Protocols of the ranges that say none.
    pub protocols: Vec<ProtocolExpression>,
    /// Ports of the ranges that say none. ICMP takes none of them.
    pub ports: Vec<PortsExpression>,
}

/// The ranges that expressions come to, each known by the expression that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    ranges: Vec<Range>,
    sources: Vec<Source>,
}

/// Where the ranges up to a place come from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    document: String,
    expression: String,
    end: usize,
}

/// Why expressions have no ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// An expression does not come to ranges.
    #[error("{}: {error}", Quoted(.document))]
    Expression {
        /// The document.
        document: String,
        /// What is wrong.
        error: Box<ExpressionError>,
    },
    /// A range without a protocol.
    #[error("{}: {} says no protocol; write it behind the addresses, or `protocols` beside the ranges", Quoted(.document), Quoted(.expression))]
    NoProtocol {
        /// The document.
        document: String,
        /// The expression.
        expression: String,
    },
    /// A range without ports, of a protocol that has some.
    #[error("{}: {} says no ports; write them behind the protocol, or `ports` beside the ranges, `any` for all", Quoted(.document), Quoted(.expression))]
    NoPorts {
        /// The document.
        document: String,
        /// The expression.
        expression: String,
    },
    /// More ranges than are allowed.
    #[error("{}: {} would make more than {max} ranges; write fewer and wider ones, or shorten the lists of their variables", Quoted(.document), Quoted(.expression))]
    TooMany {
        /// The document.
        document: String,
        /// The expression with which it becomes too many.
        expression: String,
        /// The most.
        max: usize,
    },
    /// Two ranges that overlap.
    #[error("{one}, which overlaps `{}` of {} in {}; remove one or make it smaller", .other.range, Quoted(&.other.expression), Quoted(&.other.document))]
    Overlap {
        /// The later one.
        one: Box<Sourced>,
        /// The earlier one.
        other: Box<Sourced>,
    },
    /// A range that does not lie in what is allowed.
    #[error("{one}, which is not inside {}; use what that allows", Quoted(.profile))]
    Outside {
        /// The range.
        one: Box<Sourced>,
        /// The profile.
        profile: String,
    },
}

/// A range, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {} comes to `{range}`", Quoted(.document), Quoted(.expression))]
pub struct Sourced {
    /// The document.
    pub document: String,
    /// Its expression.
    pub expression: String,
    /// What it comes to.
    pub range: Range,
}

impl ExpandError {
    /// Whether it is for want of a variable's value.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Expression { error, .. } if matches!(error.problem, Problem::Undefined { .. }))
    }

    /// What kind of failure it is: [`ErrorKind::Refused`] for what a profile does not allow.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Expression { error, .. } => error.kind(),
            Self::Outside { .. } => ErrorKind::Refused,
            Self::Overlap { .. } | Self::TooMany { .. } => ErrorKind::Misconfigured,
            Self::NoProtocol { .. } | Self::NoPorts { .. } => ErrorKind::Malformed,
        }
    }
}

impl Expansion {
    /// The ranges of a document, at most `max`. A variable that is a list stands for each of its values; inside one range it
    /// has one value at a time.
    ///
    /// # Errors
    /// The first expression that has no ranges with these values, or more than `max`.
    pub fn new(document: &str, spec: &RangeSpec, values: &Bindings, max: usize) -> Result<Self, ExpandError> {
        let mut expansion = Self::default();
        for expression in &spec.ranges {
            let one = One { document, spec, values, max, expression };
            one.expand(&mut expansion.ranges)?;
            expansion.sources.push(Source {
                document: document.to_owned(),
                expression: expression.to_string(),
                end: expansion.ranges.len(),
            });
        }
        Ok(expansion)
    }

    /// The ranges in the order in which they were written, lists in theirs.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Adds those of another document.
    pub fn append(&mut self, other: Self) {
        let begin = self.ranges.len();
        self.ranges.extend(other.ranges);
        self.sources.extend(other.sources.into_iter().map(|source| Source { end: begin + source.end, ..source }));
    }

    /// Checks that each range lies inside what the profile of that name allows.
    ///
    /// # Errors
    /// [`ExpandError::Outside`] for the first that does not.
    pub fn inside(&self, name: &str, profile: &RangeSet) -> Result<(), ExpandError> {
        let outside = self.ranges.iter().enumerate().find(|(_, range)| !profile.covers(range));
        match outside {
            Some((place, range)) => {
                Err(ExpandError::Outside { one: self.sourced(place, *range).into(), profile: name.to_owned() })
            }
            None => Ok(()),
        }
    }

    /// The set of the ranges.
    ///
    /// # Errors
    /// [`ExpandError::Overlap`] for two that overlap.
    pub fn into_set(self) -> Result<RangeSet, ExpandError> {
        let Self { ranges, sources } = self;
        RangeSet::new(ranges).map_err(|Overlap { one, other }| {
            let sourced = |(place, range)| sourced(&sources, place, range).into();
            ExpandError::Overlap { one: sourced(one), other: sourced(other) }
        })
    }

    pub(crate) fn sourced(&self, place: usize, range: Range) -> Sourced {
        sourced(&self.sources, place, range)
    }
}

/// The range at a place with the document and expression that it comes from.
fn sourced(sources: &[Source], place: usize, range: Range) -> Sourced {
    let source = sources.iter().find(|source| place < source.end);
    let (document, expression) =
        source.map(|source| (source.document.clone(), source.expression.clone())).unwrap_or_default();
    Sourced { document, expression, range }
}

/// One range expression of a document.
struct One<'a> {
    document: &'a str,
    spec: &'a RangeSpec,
    values: &'a Bindings,
    max: usize,
    expression: &'a RangeExpression,
}

impl One<'_> {
    fn expand(&self, ranges: &mut Vec<Range>) -> Result<(), ExpandError> {
        // ICMP once, however many ports there are that it does not take.
        let mut icmp = BTreeSet::new();
        for protocol in choices(&self.spec.protocols, self.expression.has_protocol()) {
            for ports in choices(&self.spec.ports, self.expression.has_ports()) {
                let mut variables: Vec<&VariableName> = self.expression.variables().collect();
                variables.extend(protocol.iter().flat_map(|protocol| protocol.variables()));
                variables.extend(ports.iter().flat_map(|ports| ports.variables()));
                for assignment in Assignments::new(variables, self.values, self.max).ok_or_else(|| self.too_many())? {
                    for range in self.one(protocol, ports, &assignment)? {
                        if range.protocol() == Protocol::Icmp && !icmp.insert(range) {
                            continue;
                        }
                        if ranges.len() == self.max {
                            return Err(self.too_many());
                        }
                        ranges.push(range);
                    }
                }
            }
        }
        Ok(())
    }

    /// The ranges when each variable has one value.
    fn one(
        &self,
        protocol: Option<&ProtocolExpression>,
        ports: Option<&PortsExpression>,
        values: &Assignment<'_>,
    ) -> Result<Vec<Range>, ExpandError> {
        let expression = self.expression;
        let (first, last) = expression.addresses(values).map_err(|error| self.error(error))?;
        let protocols = match protocol {
            Some(protocol) => Some(protocol.eval(values).map_err(|error| self.error(error))?),
            None => expression.protocols(values).map_err(|error| self.error(error))?,
        };
        let own = expression.ports(values).map_err(|error| self.error(error))?;
        let beside = ports.map(|ports| ports.eval(values)).transpose().map_err(|error| self.error(error))?;
        let protocols = protocols.ok_or_else(|| ExpandError::NoProtocol {
            document: self.document.to_owned(),
            expression: expression.to_string(),
        })?;
        let mut ranges = Vec::with_capacity(protocols.len());
        for protocol in protocols.iter().copied() {
            let ports = match (own, beside) {
                // `any` with ports is whatever has ports.
                (Some(ports), _) if !protocol.has_ports() && protocols.len() > 1 && ports != PortRange::ALL => continue,
                (Some(ports), _) => ports,
                (None, Some(ports)) if !protocol.has_ports() && protocols.len() > 1 && ports != PortRange::ALL => {
                    continue;
                }
                (None, Some(ports)) if protocol.has_ports() => ports,
                _ if !protocol.has_ports() => PortRange::ALL,
                _ => {
                    return Err(ExpandError::NoPorts {
                        document: self.document.to_owned(),
                        expression: expression.to_string(),
                    });
                }
            };
            let range = Range::new(first, last, protocol, ports);
            ranges.push(range.map_err(|error| self.error(expression.error(Problem::Range(error))))?);
        }
        Ok(ranges)
    }

    fn error(&self, error: ExpressionError) -> ExpandError {
        ExpandError::Expression { document: self.document.to_owned(), error: error.into() }
    }

    fn too_many(&self) -> ExpandError {
        ExpandError::TooMany {
            document: self.document.to_owned(),
            expression: self.expression.to_string(),
            max: self.max,
        }
    }
}

/// Each of those beside the ranges, or none where the range has its own or there are none.
fn choices<T>(beside: &[T], own: bool) -> Vec<Option<&T>> {
    if own || beside.is_empty() { vec![None] } else { beside.iter().map(Some).collect() }
}

/// Each way to give each variable one of its values, the values of the last variable changing fastest.
struct Assignments<'a> {
    /// Those that have values.
    variables: Vec<(&'a VariableName, Vec<&'a str>)>,
    /// What comes next: a number per variable.
    next: Option<Vec<usize>>,
}

impl<'a> Assignments<'a> {
    /// `None` when there are more than `max`.
    fn new(mut names: Vec<&'a VariableName>, values: &'a Bindings, max: usize) -> Option<Self> {
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        // One without values is left out: it is undefined where it is used.
        let variables: Vec<_> = names
            .into_iter()
            .map(|name| (name, all_values(name, values)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        let count = variables.iter().try_fold(1usize, |count, (_, values)| count.checked_mul(values.len()))?;
        let next = Some(vec![0; variables.len()]);
        (count <= max).then_some(Self { variables, next })
    }
}

impl<'a> Iterator for Assignments<'a> {
    type Item = Vec<(&'a VariableName, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut places = self.next.take()?;
        let assignment = self
            .variables
            .iter()
            .zip(&places)
            .filter_map(|((name, values), place)| Some((*name, *values.get(*place)?)))
            .collect();
        for ((_, values), place) in self.variables.iter().zip(&mut places).rev() {
            *place += 1;
            if *place < values.len() {
                self.next = Some(places);
                break;
            }
            *place = 0;
        }
        Some(assignment)
    }
}

/// The value of a variable, or those of a list: `name[0]`, `name[1]` and so on.
fn all_values<'a>(name: &VariableName, values: &'a Bindings) -> Vec<&'a str> {
    let item = |index: usize| format!("{name}[{index}]").parse().ok().and_then(|item| values.get(&item));
    let all: Vec<&str> = match values.get(name) {
        Some(value) => vec![value],
        None => (0..).map_while(item).collect(),
    };
    // An empty value could mean none or all.
    if all.contains(&"") { Vec::new() } else { all }
}
