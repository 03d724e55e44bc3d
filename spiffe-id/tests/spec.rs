//! Every rule for SPIFFE IDs, one test per clause.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use keyward_spiffe_id::{Error, ErrorKind, Pattern, PatternSet, SpiffeId, SpiffeIdRef, TrustDomain};

/// Each is an ID, and reads the same owned and borrowed.
fn accepts(texts: &[&str]) {
    for text in texts {
        let id = SpiffeIdRef::parse(text).unwrap_or_else(|e| panic!("`{text}`: {e}"));
        assert_eq!(id.as_str(), *text);
        assert_eq!(text.parse::<SpiffeId>().unwrap(), id);
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), *text);
    }
}

/// Each is refused with this text, owned and borrowed.
fn refuses(cases: &[(&str, &str)]) {
    for (text, error) in cases {
        let refused = SpiffeIdRef::parse(text).expect_err(text);
        assert_eq!(refused.to_string(), *error);
        assert_eq!(refused.kind(), ErrorKind::Malformed);
        assert_eq!(text.parse::<SpiffeId>().unwrap_err(), refused);
        assert_eq!(SpiffeId::try_from((*text).to_owned()).unwrap_err(), refused);
    }
}

const IN_TRUST_DOMAIN: &str = "allowed are `a-z`, `0-9`, `.`, `-` and `_`";
const IN_SEGMENT: &str = "allowed are `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`";

#[test]
fn section_2_the_scheme_is_spiffe() {
    refuses(&[
        ("", "`` does not start with `spiffe://`"),
        ("spiffe", "`spiffe` does not start with `spiffe://`"),
        ("spiffe:/td", "`spiffe:/td` does not start with `spiffe://`"),
        ("spiffe:td", "`spiffe:td` does not start with `spiffe://`"),
        ("//td/a", "`//td/a` does not start with `spiffe://`"),
        ("://td/a", "`://td/a` does not start with `spiffe://`"),
        ("https://td/a", "`https://td/a` does not start with `spiffe://`"),
        (" spiffe://td", "` spiffe://td` does not start with `spiffe://`"),
        ("spiffes://td", "`spiffes://td` does not start with `spiffe://`"),
        ("spiffé://td", "`spiffé://td` does not start with `spiffe://`"),
    ]);
}

#[test]
fn section_2_no_query_fragment_userinfo_port_or_percent() {
    let td = |byte: char, at: usize, text: &str, why: &str| {
        format!("trust domain `{text}` has `{byte}` at position {at}: {why}")
    };
    refuses(&[
        ("spiffe://td?a=b", &td('?', 2, "td?a=b", "a query is not allowed")),
        ("spiffe://td#a", &td('#', 2, "td#a", "a fragment is not allowed")),
        ("spiffe://me@td/a", &td('@', 2, "me@td", "user information is not allowed")),
        ("spiffe://td:443/a", &td(':', 2, "td:443", "a port is not allowed")),
        ("spiffe://t%64/a", &td('%', 1, "t%64", "percent-encoding is not allowed")),
        ("spiffe://td/a?b=c", "segment 1 of the path, `a?b=c`, has `?` at position 1: a query is not allowed"),
        ("spiffe://td/a#b", "segment 1 of the path, `a#b`, has `#` at position 1: a fragment is not allowed"),
        ("spiffe://td/a/%41", "segment 2 of the path, `%41`, has `%` at position 0: percent-encoding is not allowed"),
    ]);
}

#[test]
fn section_2_1_trust_domains_are_1_to_255_of_their_bytes() {
    let longest = format!("spiffe://{}/a", "t".repeat(255));
    accepts(&["spiffe://t", "spiffe://a-z.0_9", &longest]);
    refuses(&[
        ("spiffe://", "the trust domain is empty"),
        ("spiffe:///a", "the trust domain is empty"),
        (
            &format!("spiffe://{}/a", "t".repeat(256)),
            "a trust domain of 256 bytes is too long, at most 255 are allowed",
        ),
        ("spiffe://a b", &format!("trust domain `a b` has byte 0x20 at position 1: {IN_TRUST_DOMAIN}")),
        ("spiffe://té/a", &format!("trust domain `té` has byte 0xc3 at position 1: {IN_TRUST_DOMAIN}")),
        ("spiffe://t\\d", &format!(r"trust domain `t\\d` has `\` at position 1: {IN_TRUST_DOMAIN}")),
        ("spiffe://t\0d", &format!(r"trust domain `t\0d` has byte 0x00 at position 1: {IN_TRUST_DOMAIN}")),
        ("spiffe://*/a", "trust domain `*` has `*` at position 0: it is always literal"),
    ]);
}

#[test]
fn section_2_1_trust_domains_follow_no_rule_of_dns() {
    accepts(&[
        "spiffe://_",
        "spiffe://-a",
        "spiffe://a-",
        "spiffe://a..b",
        "spiffe://..",
        "spiffe://.",
        "spiffe://1.2.3.4",
        "spiffe://a_b/c",
        "spiffe://0",
    ]);
    refuses(&[("spiffe://[::1]/a", &format!("trust domain `[::1]` has `[` at position 0: {IN_TRUST_DOMAIN}"))]);
}

#[test]
fn section_2_1_every_byte_of_a_trust_domain() {
    for byte in 0..=127u8 {
        let allowed = byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let text = format!("spiffe://t{}d/a", char::from(byte));
        // A slash ends the trust domain, and `d` becomes a segment.
        assert_eq!(SpiffeIdRef::parse(&text).is_ok(), allowed || byte == b'/', "{byte:#x}");
        let name = format!("t{}d", char::from(byte));
        assert_eq!(name.parse::<TrustDomain>().is_ok(), allowed, "{byte:#x}");
    }
}

#[test]
fn section_2_2_the_path_is_optional() {
    let id = SpiffeIdRef::parse("spiffe://td").unwrap();
    assert_eq!((id.path(), id.segments().count()), ("", 0));
    let id = SpiffeIdRef::parse("spiffe://td/a/b").unwrap();
    assert_eq!((id.path(), id.segments().collect::<Vec<_>>()), ("/a/b", vec!["a", "b"]));
}

#[test]
fn section_2_2_every_byte_of_a_segment() {
    for byte in 0..=127u8 {
        let allowed = byte.is_ascii_alphanumeric() || b".-_/".contains(&byte);
        // Short and long, so that both ways through the reader are taken.
        for fill in ["", "0123456789abcdefghijklmnopqrstuvwxyz"] {
            let text = format!("spiffe://td/{fill}a{}d{fill}", char::from(byte));
            assert_eq!(SpiffeIdRef::parse(&text).is_ok(), allowed, "{text:?}");
        }
        // Put together from parts, `/` is no character of a segment either.
        let segment = format!("a{}d", char::from(byte));
        let td: TrustDomain = "td".parse().unwrap();
        assert_eq!(SpiffeId::from_segments(&td, [&segment]).is_ok(), allowed && byte != b'/', "{segment:?}");
        assert_eq!(td.signing_authority_id().join(&segment).is_ok(), allowed && byte != b'/', "{segment:?}");
    }
    refuses(&[
        ("spiffe://td/a b", &format!("segment 1 of the path, `a b`, has byte 0x20 at position 1: {IN_SEGMENT}")),
        ("spiffe://td/a/é", &format!("segment 2 of the path, `é`, has byte 0xc3 at position 0: {IN_SEGMENT}")),
        ("spiffe://td/a/~b", &format!("segment 2 of the path, `~b`, has `~` at position 0: {IN_SEGMENT}")),
        ("spiffe://td/a/*", &format!("segment 2 of the path, `*`, has `*` at position 0: {IN_SEGMENT}")),
        ("spiffe://td/a:1", &format!("segment 1 of the path, `a:1`, has `:` at position 1: {IN_SEGMENT}")),
        ("spiffe://td/a\n", &format!(r"segment 1 of the path, `a\n`, has byte 0x0a at position 1: {IN_SEGMENT}")),
    ]);
}

#[test]
fn section_2_2_no_empty_segment_and_no_trailing_slash() {
    refuses(&[
        ("spiffe://td/", "the path ends with `/`"),
        ("spiffe://td/a/", "the path ends with `/`"),
        ("spiffe://td/a-very-long-segment-in-front-of-it/", "the path ends with `/`"),
        ("spiffe://td//", "segment 1 of the path is empty"),
        ("spiffe://td//a", "segment 1 of the path is empty"),
        ("spiffe://td/a//b", "segment 2 of the path is empty"),
        ("spiffe://td/a-very-long-segment-in-front-of-it//b", "segment 2 of the path is empty"),
    ]);
}

#[test]
fn section_2_2_no_relative_segment() {
    let refused = |number, text| format!("segment {number} of the path is `{text}`: relative segments are not allowed");
    refuses(&[
        ("spiffe://td/.", &refused(1, ".")),
        ("spiffe://td/..", &refused(1, "..")),
        ("spiffe://td/./a", &refused(1, ".")),
        ("spiffe://td/a/../b", &refused(2, "..")),
        ("spiffe://td/a-very-long-segment-in-front-of-it/..", &refused(2, "..")),
        ("spiffe://td/a-very-long-segment-in-front-of-it/./and-another-one", &refused(2, ".")),
    ]);
    accepts(&[
        "spiffe://td/...",
        "spiffe://td/.x",
        "spiffe://td/..x",
        "spiffe://td/x.",
        "spiffe://td/x..",
        "spiffe://td/..../a",
        "spiffe://td/.a/..b/...c",
        "spiffe://td/.well-known/a-very-long-segment-after-it",
    ]);
}

#[test]
fn section_2_2_the_path_is_case_sensitive() {
    let lower: SpiffeId = "spiffe://td/web".parse().unwrap();
    let upper: SpiffeId = "spiffe://td/Web".parse().unwrap();
    assert_ne!(lower, upper);
    assert_eq!(upper.path(), "/Web");
}

#[test]
fn section_2_3_at_most_2048_bytes() {
    let longest = format!("spiffe://td/{}", "a".repeat(2048 - 12));
    assert_eq!(longest.len(), SpiffeId::MAX_LEN);
    accepts(&[&longest]);
    refuses(&[
        (&format!("{longest}a"), "a text of 2049 bytes is too long for a SPIFFE ID, at most 2048 are allowed"),
        (
            &format!("spiffe://td/{}", "é".repeat(100_000)),
            "a text of 200012 bytes is too long for a SPIFFE ID, at most 2048 are allowed",
        ),
    ]);
    // What is built is as short as what is read.
    let longest: SpiffeId = longest.parse().unwrap();
    assert_eq!(longest.join("a").unwrap_err(), Error::TooLong { len: 2050, max: 2048 });
    let td: TrustDomain = "td".parse().unwrap();
    let path = longest.path().parse().unwrap();
    assert_eq!(SpiffeId::new(&td, &path).unwrap(), longest);
    let longer: TrustDomain = "td.".parse().unwrap();
    assert_eq!(SpiffeId::new(&longer, &path).unwrap_err(), Error::TooLong { len: 2049, max: 2048 });
    assert_eq!(
        SpiffeId::from_segments(&td, std::iter::repeat("abc")).unwrap_err(),
        Error::TooLong { len: 2051, max: 2048 },
    );
}

#[test]
fn section_2_1_against_2_4_upper_case_is_refused_unless_asked_for() {
    let scheme = |text| format!("`{text}` does not start with `spiffe://`: the scheme must be lower case");
    refuses(&[
        ("SPIFFE://td/a", &scheme("SPIFFE://td/a")),
        ("Spiffe://td/a", &scheme("Spiffe://td/a")),
        ("spiffe://tD/a", "trust domain `tD` has `D` at position 1: it must be lower case"),
    ]);
    for (text, expected) in [
        ("SPIFFE://td/a", "spiffe://td/a"),
        ("spIFFe://Prod.Example.ORG/Web/API", "spiffe://prod.example.org/Web/API"),
        ("SPIFFE://TD", "spiffe://td"),
        ("spiffe://td/A", "spiffe://td/A"),
    ] {
        assert_eq!(SpiffeId::parse_lenient(text).unwrap().as_str(), expected);
    }
    // Lenient in nothing else.
    for (text, error) in [
        ("HTTP://td/a", "`HTTP://td/a` does not start with `spiffe://`"),
        ("spiffé://td/a", "`spiffé://td/a` does not start with `spiffe://`"),
        ("SPIFFE://TD/", "the path ends with `/`"),
        ("SPIFFE://T%44/a", "trust domain `t%44` has `%` at position 1: percent-encoding is not allowed"),
        (
            "spiffe://\u{212a}/a",
            "trust domain `\u{212a}` has byte 0xe2 at position 0: allowed are `a-z`, `0-9`, `.`, `-` and `_`",
        ),
    ] {
        assert_eq!(SpiffeId::parse_lenient(text).unwrap_err().to_string(), error);
    }
    assert_eq!(
        SpiffeId::parse_lenient(&format!("SPIFFE://td/{}", "a".repeat(4000))).unwrap_err(),
        Error::TooLong { len: 4012, max: 2048 },
    );
}

#[test]
fn section_3_1_a_signing_authority_has_no_path() {
    let td: TrustDomain = "td".parse().unwrap();
    let authority = td.signing_authority_id();
    assert_eq!(authority.as_str(), "spiffe://td");
    assert_eq!(authority.signing_authority_of().unwrap(), td);
    assert_eq!(SpiffeId::from_segments(&td, [""; 0]).unwrap(), authority);
    assert!(authority.is_member_of(&td));

    let workload = authority.join("web").unwrap();
    let refused = workload.signing_authority_of().unwrap_err();
    assert_eq!(refused.to_string(), "`spiffe://td/web` has a path, the ID of a signing authority has none");
    assert_eq!(refused.kind(), ErrorKind::Refused);
}

#[test]
fn x509_svid_5_2_a_workload_has_a_path() {
    let workload: SpiffeId = "spiffe://td/web".parse().unwrap();
    assert_eq!(workload.workload_path().unwrap(), "/web");
    let authority: SpiffeId = "spiffe://td".parse().unwrap();
    let refused = authority.workload_path().unwrap_err();
    assert_eq!(refused.to_string(), "`spiffe://td` has no path, the ID of a workload has one");
    assert_eq!(refused.kind(), ErrorKind::Refused);
}

#[test]
fn ids_are_built_from_parts() {
    let td: TrustDomain = "td".parse().unwrap();
    let id = SpiffeId::from_segments(&td, ["ns", "shop", "sa"]).unwrap().join("web").unwrap();
    assert_eq!(id.as_str(), "spiffe://td/ns/shop/sa/web");
    assert_eq!(id.trust_domain(), td);
    assert_eq!(SpiffeId::from_segments(id.trust_domain(), id.segments()).unwrap(), id);
    for (segment, error) in [
        ("", "segment 5 of the path is empty"),
        ("..", "segment 5 of the path is `..`: relative segments are not allowed"),
        ("a/b", "segment 5 of the path, `a/b`, has `/` at position 1: it separates segments"),
        ("x%2F", "segment 5 of the path, `x%2F`, has `%` at position 1: percent-encoding is not allowed"),
    ] {
        assert_eq!(id.join(segment).unwrap_err().to_string(), error);
    }
    assert_eq!(
        SpiffeId::from_segments(&td, ["a", "b?", "c"]).unwrap_err().to_string(),
        "segment 2 of the path, `b?`, has `?` at position 1: a query is not allowed",
    );
}

#[test]
fn maps_are_read_with_texts() {
    use std::collections::{BTreeMap, HashMap};
    let ids = ["spiffe://b/x", "spiffe://a", "spiffe://b"];
    let hashed: HashMap<SpiffeId, &str> = ids.iter().map(|t| (t.parse().unwrap(), *t)).collect();
    let ordered: BTreeMap<SpiffeId, &str> = ids.iter().map(|t| (t.parse().unwrap(), *t)).collect();
    for id in ids {
        assert_eq!((hashed.get(id), ordered.get(id)), (Some(&id), Some(&id)));
    }
    assert_eq!(ordered.into_values().collect::<Vec<_>>(), ["spiffe://a", "spiffe://b", "spiffe://b/x"]);
    let names: HashMap<TrustDomain, u8> = [("td".parse().unwrap(), 1)].into();
    assert_eq!(names.get("td"), Some(&1));
}

#[test]
fn patterns_match_exactly_one_segment_or_the_rest() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("spiffe://td", &["spiffe://td"], &["spiffe://td/a", "spiffe://other"]),
        ("spiffe://td/a", &["spiffe://td/a"], &["spiffe://td", "spiffe://td/a/b", "spiffe://td/A"]),
        ("spiffe://td/*", &["spiffe://td/a", "spiffe://td/..."], &["spiffe://td", "spiffe://td/a/b"]),
        ("spiffe://td/*/b", &["spiffe://td/a/b"], &["spiffe://td/a", "spiffe://td/b", "spiffe://td/a/b/c"]),
        ("spiffe://td/a/**", &["spiffe://td/a/b", "spiffe://td/a/b/c"], &["spiffe://td/a", "spiffe://td/ab"]),
        ("spiffe://td/**", &["spiffe://td/a", "spiffe://td/a/b"], &["spiffe://td", "spiffe://td.x/a"]),
        ("spiffe://td/*/**", &["spiffe://td/a/b", "spiffe://td/a/b/c"], &["spiffe://td/a"]),
    ];
    for (pattern, yes, no) in cases {
        let pattern: Pattern = pattern.parse().unwrap();
        for id in *yes {
            assert!(pattern.matches(SpiffeIdRef::parse(id).unwrap()), "{pattern} {id}");
        }
        for id in *no {
            assert!(!pattern.matches(SpiffeIdRef::parse(id).unwrap()), "{pattern} {id}");
        }
    }
}

#[test]
fn patterns_that_are_none() {
    let mixed = |number, text| {
        format!(
            "segment {number} of the pattern, `{text}`, mixes `*` with other characters: \
             `*` stands for one whole segment, `**` for the rest"
        )
    };
    let long = format!("spiffe://td/{}", "*/".repeat(2000));
    for (text, error) in [
        ("**", "`**` does not start with `spiffe://`".to_owned()),
        ("*://td/a", "`*://td/a` does not start with `spiffe://`".to_owned()),
        ("spiffe://*/a", "trust domain `*` has `*` at position 0: it is always literal".to_owned()),
        ("spiffe://**", "trust domain `**` has `*` at position 0: it is always literal".to_owned()),
        ("spiffe://*.td/a", "trust domain `*.td` has `*` at position 0: it is always literal".to_owned()),
        ("spiffe://td/a*", mixed(1, "a*")),
        ("spiffe://td/a/*b", mixed(2, "*b")),
        ("spiffe://td/***", mixed(1, "***")),
        ("spiffe://td/**/a", "segment 1 of the pattern is `**`, which is only allowed at the end".to_owned()),
        ("spiffe://td/a/**/**", "segment 2 of the pattern is `**`, which is only allowed at the end".to_owned()),
        ("spiffe://td/", "the path ends with `/`".to_owned()),
        ("spiffe://td/*/", "the path ends with `/`".to_owned()),
        ("spiffe://td/**/", "segment 1 of the pattern is `**`, which is only allowed at the end".to_owned()),
        ("spiffe://td//*", "segment 1 of the path is empty".to_owned()),
        ("spiffe://td/../*", "segment 1 of the path is `..`: relative segments are not allowed".to_owned()),
        (&long, "a text of 4012 bytes is too long for a SPIFFE ID, at most 2048 are allowed".to_owned()),
    ] {
        assert_eq!(text.parse::<Pattern>().unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn no_pattern_matches_nothing() {
    let none = PatternSet::<()>::new();
    for id in ["spiffe://td", "spiffe://td/a"] {
        assert!(none.is_empty() && none.get(SpiffeIdRef::parse(id).unwrap()).is_none());
    }
}

#[test]
fn patterns_of_one_id() {
    let id: SpiffeId = "spiffe://td/a/b".parse().unwrap();
    let pattern = Pattern::from(&id);
    assert_eq!(pattern.as_exact().unwrap(), id);
    assert_eq!(pattern, "spiffe://td/a/b".parse().unwrap());
    assert_eq!("spiffe://td/a/*".parse::<Pattern>().unwrap().as_exact(), None);
    assert_eq!("spiffe://td/**".parse::<Pattern>().unwrap().as_exact(), None);
    assert_eq!(format!("{pattern} {pattern:?}"), r#"spiffe://td/a/b Pattern("spiffe://td/a/b")"#);
}
