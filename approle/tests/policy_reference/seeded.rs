//! Random policies and requests in a loop: 40,000 pairs, or ten million with `KEYWARD_FULL=1`.

use keyward_approle::{
    Effect, Operation, PolicyConfig, PolicySet, Request, RuleConfig, Scope, decide, explain, visibility,
};
use keyward_config_values::{Bindings, Name};

use crate::oracle::{Asked, Side};
use crate::set;

/// How many requests each set of policies is asked.
const REQUESTS: usize = 20;

/// A repeatable stream of numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn pattern(&mut self) -> String {
        const SEGMENTS: [&str; 19] = [
            "a",
            "a",
            "a",
            "b",
            "b",
            "c",
            "ab",
            "*",
            "*",
            "*",
            "${v}",
            "${v}",
            "${w}",
            "${v}${w}",
            "a${v}",
            "${v}b",
            "a${w}b",
            "${v}a${v}",
            "${u}",
        ];
        let mut pattern = String::new();
        for _ in 0..self.below(4) {
            pattern += "/";
            pattern += self.one(&SEGMENTS);
        }
        if pattern.is_empty() || self.below(3) == 0 {
            pattern += "/**";
        }
        pattern
    }

    fn rule(&mut self) -> RuleConfig {
        let effect = if self.below(2) == 0 { Effect::Allow } else { Effect::Deny };
        let bits = self.below(31) + 1;
        let operations = Operation::ALL.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, op)| op);
        let fields = ["x", "y", "x.y", "z"].iter().filter(|_| self.below(4) == 0).map(|field| field.parse().unwrap());
        let fields = fields.collect();
        RuleConfig::new(self.pattern().parse().unwrap(), effect, operations).hiding(fields)
    }

    fn policies(&mut self) -> (Vec<PolicyConfig>, Vec<Name>) {
        let count = self.below(4);
        let policies = (0..count)
            .map(|index| {
                let rules = (0..self.below(10)).map(|_| self.rule()).collect();
                PolicyConfig::new(format!("p{index}").parse().unwrap(), rules)
            })
            .collect();
        let names = (0..self.below(4)).map(|_| format!("p{}", self.below(4)).parse().unwrap()).collect();
        (policies, names)
    }

    fn bindings(&mut self) -> Bindings {
        const VALUES: [&str; 18] = [
            "a", "a", "b", "c", "aa", "ab", "a", "*", "**", "b/c", "/", "..", "%2f", "\0", "\n", "\u{430}", "${w}", "",
        ];
        let mut bindings = Bindings::default();
        for name in ["v", "w"] {
            if self.below(5) > 0 {
                bindings.set(name.parse().unwrap(), self.one(&VALUES));
            }
        }
        bindings
    }

    fn path(&mut self) -> String {
        const SEGMENTS: [&str; 12] = ["a", "a", "a", "b", "b", "c", "ab", "aa", "aab", "*", "**", "\u{430}"];
        (0..=self.below(4)).map(|_| format!("/{}", self.one(&SEGMENTS))).collect()
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a long test is asked for from outside")]
fn random_pairs_are_decided_as_by_the_reference() {
    let full = std::env::var("KEYWARD_FULL").is_ok_and(|value| value == "1");
    let sets: u64 = if full { 500_000 } else { 2_000 };
    let mut whys = std::collections::BTreeMap::<String, usize>::new();
    let mut hidden = 0;
    for seed in 0..sets {
        let mut numbers = Numbers(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let (token, token_names) = numbers.policies();
        let tenant = (numbers.below(3) == 0).then(|| numbers.policies());
        let (token_set, tenant_set): (PolicySet, _) = (set(&token), tenant.as_ref().map(|(policies, _)| set(policies)));
        let token_scope = Scope::new(&token_set, &token_names);
        let tenant_scope = tenant.as_ref().zip(tenant_set.as_ref()).map(|((_, names), set)| Scope::new(set, names));
        let token_side: Side<'_> = (&token, &token_names);
        let tenant_side: Option<Side<'_>> = tenant.as_ref().map(|(policies, names)| (&policies[..], &names[..]));
        let bindings = numbers.bindings();
        for _ in 0..REQUESTS {
            let (path, operation) = (numbers.path(), Operation::ALL[numbers.below(5)]);
            let request = Request::new(&path, operation).unwrap().with_bindings(&bindings);
            let asked = Asked { path: &path, operation, bindings: &bindings };
            let expected = asked.decide(tenant_side, token_side);
            let decision = decide(tenant_scope.as_ref(), &token_scope, &request);
            assert_eq!(decision.why, expected, "seed {seed}: {operation} {path}");
            *whys.entry(format!("{expected:?}")).or_default() += 1;
            if !decision.is_allowed() {
                continue;
            }
            let visibility = visibility(tenant_scope.as_ref(), &token_scope, &request);
            for way in [&["x"][..], &["y"], &["x", "y"], &["y", "x"], &["z"], &["a", "x", "y"], &["a"]] {
                let hides = asked.hides(tenant_side, token_side, way);
                assert_eq!(visibility.hides(way), hides, "seed {seed}: {operation} {path}: {way:?}");
                hidden += usize::from(hides);
            }
            let explained = explain(tenant_scope.as_ref(), &token_scope, &request);
            assert_eq!(explained.decision, decision, "seed {seed}");
        }
    }
    // Each way to decide is among them, so that none is right by not being asked for.
    assert!(whys.len() == 7 && whys.values().all(|count| *count > 100) && hidden > 100, "{whys:?}, {hidden} hidden");
    println!("{} pairs: {whys:?}, {hidden} hidden", sets * REQUESTS as u64);
}
