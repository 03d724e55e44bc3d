//! A decision among many rules: what a request pays before anything else.
//!
//! Beside it the trie that it stands on, and a scan of all rules, which is what it must not become. The same for rules with
//! variables.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a bench may stop, and brings the randomness"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use keyward_approle::{
    Attempt, Effect, LoginDecision, Operation, Pepper, PolicyConfig, PolicySet, Request, Role, RuleConfig, Scope,
    SecretIdRecord, SecretIdRequest, decide, login,
};
use keyward_config_values::{Bindings, Template};
use keyward_spiffe_id::SegmentTrie;
use rand_core::UnwrapErr;
use time::OffsetDateTime;

const PATH: &str = "/v1/config/collection-777/site-7/item";

/// Literals, `*` and `**` in one policy, as a tenant with many sites would have them.
fn patterns(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 4 {
            0 => format!("/v1/config/collection-{}/site-{}/item", n / 10, n % 10),
            1 => format!("/v1/config/collection-{}/site-{}/*", n / 10, n % 10),
            2 => format!("/v1/config/collection-{}/*/item-{}", n / 10, n % 10),
            _ => format!("/v1/config/collection-{}/site-{}/**", n / 10, n % 10),
        })
        .collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    for segment in pattern.split('/') {
        match (segment, path.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(_)) => {}
            (literal, Some(segment)) if literal == segment => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

fn decisions(criterion: &mut Criterion) {
    for count in [100, 10_000, 100_000] {
        let patterns = patterns(count);
        let rules = patterns
            .iter()
            .map(|pattern| RuleConfig::new(pattern.parse().unwrap(), Effect::Allow, [Operation::Read]))
            .collect();
        let policy = PolicyConfig::new("many".parse().unwrap(), rules);
        let names = ["default".parse().unwrap(), policy.name.clone()];
        let mut set = PolicySet::new();
        set.insert(&policy).unwrap();
        let trie: SegmentTrie<usize> = patterns.iter().enumerate().map(|(n, pattern)| (pattern, n)).collect();

        let path = if count < 10_000 { "/v1/config/collection-7/site-7/item" } else { PATH };
        let request = Request::new(path, Operation::Read).unwrap();
        let scope = Scope::new(&set, &names);
        assert!(decide(None, &scope, &request).is_allowed());

        let mut group = criterion.benchmark_group(format!("policy, {count} rules"));
        group.bench_function("decide", |b| b.iter(|| decide(None, black_box(&scope), black_box(&request))));
        group.bench_function("decide, tenant and token", |b| {
            b.iter(|| decide(Some(black_box(&scope)), black_box(&scope), black_box(&request)));
        });
        group.bench_function("request checked and decided", |b| {
            b.iter(|| decide(None, black_box(&scope), &Request::new(black_box(path), Operation::Read).unwrap()));
        });
        group.bench_function("raw trie", |b| b.iter(|| trie.get(black_box(path))));
        group.bench_function("scan of all rules", |b| {
            b.iter(|| patterns.iter().filter(|pattern| matches(pattern, black_box(path))).count());
        });
        group.finish();
    }
}

/// The same paths, with variables in two of three rules: whole segments, and parts of segments that differ in nothing else.
fn patterns_with_variables(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 3 {
            0 => format!("/v1/config/collection-{}/${{site}}/item-{}", n / 10, n % 10),
            1 => format!("/v1/config/${{approle}}-{n}/${{site}}/**"),
            _ => format!("/v1/config/collection-{}/site-{}/*", n / 10, n % 10),
        })
        .collect()
}

/// What is not to be done: bind each rule and compare it.
fn scan(templates: &[Template], bindings: &Bindings, path: &str) -> usize {
    let bound = templates.iter().filter_map(|template| template.bind(|name| bindings.get(name)).ok());
    bound.filter(|pattern| matches(pattern, path)).count()
}

fn decisions_with_variables(criterion: &mut Criterion) {
    let mut tenant = Bindings::default();
    for n in 0..100 {
        tenant.set(format!("variable-{n}").parse().unwrap(), "of the tenant");
    }
    let mut bindings = Bindings::over(tenant.into());
    for (name, value) in [("tenant", "acme"), ("approle", "payments"), ("site", "site-7"), ("metadata.pod", "p1")] {
        bindings.set(name.parse().unwrap(), value);
    }
    for count in [100, 10_000, 100_000] {
        let patterns = patterns_with_variables(count);
        let rules: Vec<RuleConfig> = patterns
            .iter()
            .map(|pattern| RuleConfig::new(pattern.parse().unwrap(), Effect::Allow, [Operation::Read]))
            .collect();
        let policy = PolicyConfig::new("many".parse().unwrap(), rules);
        let names = ["default".parse().unwrap(), policy.name.clone()];
        let mut set = PolicySet::new();
        set.insert(&policy).unwrap();
        let scope = Scope::new(&set, &names);
        let templates: Vec<Template> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let (whole, part) = (count / 2 / 3 * 3, count / 2 / 3 * 3 + 1);
        let whole = format!("/v1/config/collection-{}/site-7/item-{}", whole / 10, whole % 10);
        let part = format!("/v1/config/payments-{part}/site-7/x");

        let mut group = criterion.benchmark_group(format!("policy with variables, {count} rules"));
        for (name, path) in [("a whole segment", &whole), ("part of a segment", &part)] {
            let request = Request::new(path, Operation::Read).unwrap().with_bindings(&bindings);
            assert!(decide(None, &scope, &request).is_allowed(), "{path}");
            group.bench_function(format!("decide, {name}"), |b| {
                b.iter(|| decide(None, black_box(&scope), black_box(&request)))
            });
        }
        let nowhere = Request::new("/v1/config/other/site-7/x", Operation::Read).unwrap().with_bindings(&bindings);
        group.bench_function("decide, no rule", |b| b.iter(|| decide(None, black_box(&scope), black_box(&nowhere))));
        group.bench_function("scan that binds all rules", |b| b.iter(|| scan(&templates, &bindings, black_box(&part))));
        group.finish();
    }
}

fn logins(criterion: &mut Criterion) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let now = OffsetDateTime::UNIX_EPOCH;
    let pepper = Pepper::generate(&mut rng);
    let config = serde_json::from_str(r#"{"name":"payments","token-period":"1d"}"#).unwrap();
    let role = Role::create("default".parse().unwrap(), config, &mut rng).unwrap();
    let (secret, record) = SecretIdRecord::issue(&role, SecretIdRequest::default(), &pepper, &mut rng, now).unwrap();
    let (role_id, secret) = (role.role_id().as_str(), secret.expose());
    let source = [192, 0, 2, 1].into();

    let mut group = criterion.benchmark_group("approle login");
    group.bench_function("hash what is presented", |b| {
        b.iter(|| Attempt::new(black_box(role_id), black_box(secret), &pepper));
    });
    let attempt = Attempt::new(role_id, secret, &pepper);
    group.bench_function("decide, granted", |b| {
        b.iter(|| match login(black_box(&attempt), Some(&role), Some(&record), source, now) {
            LoginDecision::Granted(grant) => Some(grant),
            LoginDecision::Refused(_) => None,
        });
    });
    group.bench_function("decide, refused", |b| {
        b.iter(|| login(black_box(&attempt), Some(&role), None, source, now));
    });
    group.finish();
}

criterion_group!(benches, decisions, decisions_with_variables, logins);
criterion_main!(benches);
