//! Rules whose paths have variables.

mod shape;

use core::cmp::Ordering;

use keyward_config_values::{Template, VariableName};
use keyward_spiffe_id::{PatternSegment, SegmentTrie};

use super::set::Rule;
use super::{Effect, Operation, Request};
use shape::Shape;

/// What one policy says of a request, and by which rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) rule: &'a Rule,
    pub(super) says: Says,
}

/// What a rule says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Allow,
    Deny,
    /// It may be about the request; a variable in it has no value.
    Undefined,
}

impl<'a> Candidate<'a> {
    /// `None` where the rule says nothing of the operation.
    pub(super) fn new(rule: &'a Rule, operation: Operation) -> Option<Self> {
        let says = match rule.operations.get(operation)? {
            Effect::Allow => Says::Allow,
            Effect::Deny => Says::Deny,
        };
        Some(Self { rule, says })
    }

    /// Which of the two is more specific.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.rule.specificity.cmp(&other.rule.specificity).then_with(|| {
            if self.rule.specificity.is_all() && other.rule.specificity.is_all() {
                return Ordering::Equal;
            }
            kinds(self.rule.pattern.as_str()).cmp(kinds(other.rule.pattern.as_str()))
        })
    }

    /// The more specific of the two; where they are equally specific the one that allows, and of two that say the same the one that
    /// stands first.
    fn or(self, other: Self) -> Self {
        let first = |candidate: &Self| core::cmp::Reverse(candidate.rule.pattern.as_str());
        match self.compare(&other).then((self.says == Says::Allow).cmp(&(other.says == Says::Allow))) {
            Ordering::Greater => self,
            Ordering::Equal if first(&self) > first(&other) => self,
            _ => other,
        }
    }
}

/// The kinds of a path's first segments, in an order that numbers have: to compare two rules of a request takes no reading of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Specificity(u64);

impl Specificity {
    /// How many segments there is room for, two bits each.
    const SEGMENTS: usize = 32;

    pub(super) fn of(pattern: &str) -> Self {
        let padded = kinds(pattern).chain(core::iter::repeat(0)).take(Self::SEGMENTS);
        Self(padded.fold(0, |all, kind| all << 2 | u64::from(kind)))
    }

    /// Whether it says of every segment what it is: there are fewer than it has room for.
    fn is_all(self) -> bool {
        self.0 & 0b11 == 0
    }
}

/// The kinds of the segments; the greater, the more specific. A segment with variables is a literal once it is bound. No kind is 0,
/// so that a path is less specific than a longer one that begins like it.
fn kinds(pattern: &str) -> impl Iterator<Item = u8> {
    PatternSegment::split(pattern).map(|segment| match segment {
        PatternSegment::Rest => 1,
        PatternSegment::One => 2,
        PatternSegment::Literal(_) => 3,
    })
}

/// Rules with variables, found by their paths with `*` in the places of segments that have some, and then by what is literal in
/// these segments.
#[derive(Clone, Default)]
pub(super) struct Templates {
    shapes: SegmentTrie<Vec<Shape>>,
    count: usize,
}

/// A rule with variables.
#[derive(Clone)]
pub(super) struct Bindable {
    pub(super) rule: Rule,
    /// The segments that have variables, with their places.
    segments: Vec<(usize, Template)>,
}

impl Templates {
    pub(super) fn insert(&mut self, rule: Rule) {
        let bindable = Bindable::new(rule);
        let pattern = bindable.rule.pattern.clone();
        let open = PatternSegment::split(pattern.as_str()).enumerate().map(|(place, segment)| {
            if bindable.segments.iter().any(|(bound, _)| *bound == place) { PatternSegment::One } else { segment }
        });
        let shapes = self.shapes.get_or_insert_with(open, Vec::new);
        match shapes.iter_mut().find(|shape| shape.is_of(&bindable)) {
            Some(shape) => shape.insert(bindable),
            None => shapes.push(Shape::of(bindable)),
        }
        self.count += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The variables, one that is used twice twice.
    pub(super) fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.shapes.values().flatten().flat_map(Shape::variables)
    }

    /// All rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.shapes.values().flatten().flat_map(Shape::rules)
    }

    /// The most specific rule among these and `fixed`, the most specific one without variables. A rule that may be about
    /// the request and cannot be bound is the answer: had it a value, it might deny.
    pub(super) fn effect<'a>(&'a self, request: &Request<'_>, fixed: Option<Candidate<'a>>) -> Option<Candidate<'a>> {
        let mut best = fixed;
        for shape in self.shapes.matches(request.path()).flatten() {
            let found = shape.each(request, |rule| {
                if let Some(candidate) = Candidate::new(rule, request.operation()) {
                    best = Some(best.map_or(candidate, |best| candidate.or(best)));
                }
            });
            if let Err(shape::Unbound { rule: Some(rule), .. }) = found {
                return Some(Candidate { rule, says: Says::Undefined });
            }
        }
        best
    }

    /// Every rule that is about the path, or may be; the latter with the variable that has no value.
    pub(super) fn all<'a>(&'a self, request: &Request<'_>) -> Vec<(&'a Rule, Option<&'a VariableName>)> {
        let mut all: Vec<(&Rule, Option<&VariableName>)> = Vec::new();
        for shape in self.shapes.matches(request.path()).flatten() {
            let mut add = |rule: &'a Rule| {
                if !all.iter().any(|(known, _)| core::ptr::eq::<Rule>(*known, rule)) {
                    all.push((rule, None));
                }
            };
            if let Err(unbound) = shape.each(request, &mut add) {
                all.extend(shape.rules().map(|rule| (rule, Some(unbound.variable))));
            }
        }
        all
    }
}

impl Bindable {
    fn new(rule: Rule) -> Self {
        let segments = PatternSegment::split(rule.pattern.as_str())
            .enumerate()
            .filter_map(|(place, segment)| {
                let PatternSegment::Literal(text) = segment else { return None };
                // What a pattern was parsed of parses.
                text.parse::<Template>().ok().filter(Template::has_variables).map(|template| (place, template))
            })
            .collect();
        Self { rule, segments }
    }

    /// Whether the segments with variables, once bound, are those of the path.
    fn is_about(&self, request: &Request<'_>) -> bool {
        let value = |name: &_| request.bindings().and_then(|bindings| bindings.get(name));
        let mut segments = shape::segments(request.path());
        let mut next = 0;
        self.segments.iter().all(|(place, template)| {
            let segment = segments.nth(place - next).unwrap_or_default();
            next = place + 1;
            template.matches(segment, value).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use keyward_config_values::Bindings;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::name;
    use crate::{PolicyConfig, PolicySet, Scope, decide};

    fn set(rules: &[(&str, &str)]) -> PolicySet {
        let rules: Vec<_> = rules
            .iter()
            .map(|(path, effect)| serde_json::json!({"path": path, "operations": {"read": effect}}))
            .collect();
        let mut set = PolicySet::new();
        let policy =
            serde_json::from_value::<PolicyConfig>(serde_json::json!({"name": "p", "rest-api": {"rules": rules}}));
        set.insert(&policy.unwrap()).unwrap();
        set
    }

    fn bindings(values: &[(&str, &str)]) -> Bindings {
        let mut bindings = Bindings::default();
        for (name, value) in values {
            bindings.set(name.parse().unwrap(), *value);
        }
        bindings
    }

    fn say(set: &PolicySet, path: &str, bindings: &Bindings) -> String {
        let names = [name("p")];
        let request = Request::new(path, Operation::Read).unwrap().with_bindings(bindings);
        decide(None, &Scope::new(set, &names), &request).to_string()
    }

    #[test]
    fn a_value_stands_for_a_segment_or_a_part_of_one() {
        let set = set(&[("/a/${site}/x-${approle}-y/**", "allow")]);
        let here = bindings(&[("site", "north"), ("approle", "pay")]);
        let rule = "`/a/${site}/x-${approle}-y/**` of policy `p`";
        assert_eq!(say(&set, "/a/north/x-pay-y/z", &here), format!("allowed by {rule}"));
        for other in ["/a/south/x-pay-y/z", "/a/north/x-pa-y/z", "/a/north/x-pay-y", "/a/north/x-pay-/z"] {
            assert_eq!(say(&set, other, &here), "no policy of the token allows it", "{other}");
        }
    }

    #[test]
    fn a_variable_without_a_value_denies_and_says_so() {
        let set = set(&[("/a/**", "allow"), ("/a/${site}/x", "deny")]);
        let nowhere = bindings(&[("approle", "pay"), ("site", "")]);
        assert_eq!(
            say(&set, "/a/north/x", &nowhere),
            "denied because a variable has no value in `/a/${site}/x` of policy `p`"
        );
        assert_eq!(
            say(&set, "/a/north/y", &nowhere),
            "allowed by `/a/**` of policy `p`",
            "the rule is about other paths"
        );
        let north = bindings(&[("site", "north")]);
        assert_eq!(say(&set, "/a/north/x", &north), "denied by `/a/${site}/x` of policy `p`");
        assert_eq!(say(&set, "/a/south/x", &north), "allowed by `/a/**` of policy `p`");
        // Another policy may allow it, as it may allow what this one denies.
        let names = [name("p"), name("administrator")];
        let request = Request::new("/a/north/x", Operation::Read).unwrap();
        assert!(decide(None, &Scope::new(&set, &names), &request).is_allowed());
        // To the tenant a missing value denies too.
        let (outer, inner) = ([name("p")], [name("administrator")]);
        let decision = decide(Some(&Scope::new(&set, &outer)), &Scope::new(&set, &inner), &request);
        assert_eq!(
            decision.to_string(),
            "denied to the tenant because a variable has no value in `/a/${site}/x` of policy `p`"
        );
    }

    #[test]
    fn a_bound_segment_is_as_specific_as_a_literal_one() {
        let north = bindings(&[("site", "north")]);
        let all = set(&[("/a/${site}", "deny"), ("/a/*", "allow"), ("/a/**", "allow")]);
        assert_eq!(say(&all, "/a/north", &north), "denied by `/a/${site}` of policy `p`");
        let tie = set(&[("/a/${site}", "deny"), ("/a/north", "allow")]);
        assert_eq!(say(&tie, "/a/north", &north), "allowed by `/a/north` of policy `p`");
        let tie = set(&[("/a/${site}", "allow"), ("/a/north", "deny")]);
        assert_eq!(say(&tie, "/a/north", &north), "allowed by `/a/${site}` of policy `p`");
        let left = set(&[("/*/${site}", "allow"), ("/a/*", "deny")]);
        assert_eq!(say(&left, "/a/north", &north), "denied by `/a/*` of policy `p`");
    }

    proptest! {
        /// The numbers are in the order of the kinds, and equal ones that are not all of a path are told apart by what follows.
        #[test]
        fn numbers_are_in_the_order_of_the_kinds(
            paths in prop::array::uniform2(prop::collection::vec(prop::sample::select(vec!["a", "*"]), 1..4)),
            common in prop::sample::select(vec![0, 1, 28, 29, 30, 31, 32, 40]), rest in prop::array::uniform2(prop::bool::ANY),
        ) {
            let [one, other] = [0, 1].map(|at| {
                let tail = if rest[at] { "/**" } else { "" };
                let pattern = format!("{}/{}{tail}", "/x".repeat(common), paths[at].join("/"));
                Rule::new(&pattern.parse().unwrap(), &[])
            });
            let expected = kinds(one.pattern.as_str()).cmp(kinds(other.pattern.as_str()));
            let [one, other] = [&one, &other].map(|rule| Candidate { rule, says: Says::Allow });
            prop_assert_eq!(one.compare(&other), expected);
        }

        /// What is allowed by rules with variables is what rules allow in which each value stands as a literal segment;
        /// a value with a slash, a wildcard or an escape allows nothing else.
        #[test]
        fn a_value_cannot_widen_a_rule(
            value in prop_oneof![
                "[ab*/.%\\x00\\n${}]{1,4}",
                prop::sample::select(vec!["*", "**", "..", ".", "a/b", "a%2fb", "a\0b", "a\n", "/", "//", "${b}", "а", "a/**", "ａ"]).prop_map(str::to_owned),
            ],
            before in "[ab]{0,1}", behind in "[ab]{0,1}",
            path in prop::collection::vec("[ab*а]{1,3}", 1..5),
        ) {
            let set = set(&[(&format!("/r/{before}${{v}}{behind}/**"), "allow")]);
            let path = format!("/r/{}", path.join("/"));
            let mut segments = path.split('/').skip(2);
            let bound = format!("{before}{value}{behind}");
            let expected = segments.next() == Some(bound.as_str()) && segments.next().is_some();
            let allowed = say(&set, &path, &bindings(&[("v", &value)])).starts_with("allowed");
            prop_assert_eq!(allowed, expected, "{} {}", path, bound);
            prop_assert!(!allowed || !value.contains('/'));
        }
    }
}
