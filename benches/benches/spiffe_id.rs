//! SPIFFE IDs: reading beside the crate `spiffe` and beside a bare scan of the bytes; pattern sets.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use keyward_spiffe_id::{PatternSet, SegmentTrie, SpiffeId, SpiffeIdRef};

/// The raw limit: one look into a table for each byte, and nothing else.
fn scan(text: &str, classes: &[bool; 256]) -> bool {
    text.bytes().all(|byte| classes[usize::from(byte)])
}

fn parse(c: &mut Criterion) {
    let classes = std::array::from_fn(|b| (b as u8).is_ascii_alphanumeric() || b"/:.-_".contains(&(b as u8)));
    let long = format!("spiffe://prod.example.org{}", "/segment-x".repeat(203));
    let ids = ["spiffe://td.io/web-1", "spiffe://prod.example.org/ns/payments/sa/checkout-backend-v2", &long[..2048]];

    let mut group = c.benchmark_group("spiffe_id/parse");
    for id in ids {
        let bytes = id.len();
        group.bench_with_input(BenchmarkId::new("borrowed", bytes), id, |b, id| {
            b.iter(|| SpiffeIdRef::parse(black_box(id)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("owned", bytes), id, |b, id| {
            b.iter(|| black_box(id).parse::<SpiffeId>().unwrap());
        });
        group.bench_with_input(BenchmarkId::new("spiffe crate", bytes), id, |b, id| {
            b.iter(|| spiffe::SpiffeId::new(black_box(id)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("byte scan alone", bytes), id, |b, id| {
            b.iter(|| scan(black_box(id), black_box(&classes)));
        });
    }
    group.finish();
}

/// Patterns of the shapes that configurations have, most of them without a wildcard.
fn patterns(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 20 {
            0 => format!("td{}.example.org/ns/team-{n}/**", n % 10),
            1 => format!("td{}.example.org/ns/*/sa/service-{n}", n % 10),
            _ => format!("td{}.example.org/ns/team-{}/sa/service-{n}", n % 10, n / 10 % 100),
        })
        .collect()
}

/// Paths for those patterns in no order: three quarters match, one quarter does not.
fn paths(patterns: &[String]) -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..131_072)
        .map(|n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pattern = &patterns[(state >> 33) as usize % patterns.len()];
            let path = pattern.replace("**", "job/nightly").replace('*', "any-team");
            if n % 4 == 0 { path + "-unknown" } else { path }
        })
        .collect()
}

fn matching(c: &mut Criterion) {
    let mut group = c.benchmark_group("spiffe_id/match");
    for count in [100, 10_000, 100_000] {
        let patterns = patterns(count);
        let paths = paths(&patterns);
        let set: PatternSet<usize> =
            patterns.iter().enumerate().map(|(n, p)| (format!("spiffe://{p}").parse().unwrap(), n)).collect();
        let trie: SegmentTrie<usize> = patterns.iter().zip(0..).collect();
        let ids: Vec<SpiffeId> = paths.iter().map(|p| format!("spiffe://{p}").parse().unwrap()).collect();

        group.bench_function(BenchmarkId::new("pattern set", count), |b| {
            let mut ids = ids.iter().cycle();
            b.iter(|| set.get(ids.next().unwrap()).is_some());
        });
        group.bench_function(BenchmarkId::new("segment trie", count), |b| {
            let mut paths = paths.iter().cycle();
            b.iter(|| trie.get(paths.next().unwrap()).is_some());
        });
        group.bench_function(BenchmarkId::new("segment trie, every match", count), |b| {
            let mut paths = paths.iter().cycle();
            b.iter(|| trie.matches(paths.next().unwrap()).count());
        });
    }
    group.finish();
}

criterion_group!(benches, parse, matching);
criterion_main!(benches);
