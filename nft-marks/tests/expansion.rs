//! What ranges with variables come to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keyward_config_values::Bindings;
use keyward_nft_marks::{ErrorKind, Expansion, PortRange, Protocol, Range, RangeExpression, RangeSpec};
use proptest::prelude::*;

const MAX: usize = 1000;

fn bindings(values: &[(&str, &str)]) -> Bindings {
    let mut bindings = Bindings::default();
    for (name, value) in values {
        bindings.set(name.parse().unwrap(), *value);
    }
    bindings
}

fn spec(ranges: &[&str], protocols: &[&str], ports: &[&str]) -> RangeSpec {
    RangeSpec {
        ranges: ranges.iter().map(|text| text.parse().unwrap()).collect(),
        protocols: protocols.iter().map(|text| text.parse().unwrap()).collect(),
        ports: ports.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn expanded(spec: &RangeSpec, values: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let expansion = Expansion::new("doc", spec, &bindings(values), MAX).map_err(|error| error.to_string())?;
    Ok(expansion.ranges().iter().map(ToString::to_string).collect())
}

fn one(text: &str, values: &[(&str, &str)]) -> Result<String, String> {
    expanded(&spec(&[text], &[], &[]), values).map(|ranges| ranges.join(", "))
}

#[test]
fn what_expressions_come_to() {
    for (text, values, ranges) in [
        ("10.0.0.0/24 tcp 80", &[][..], "10.0.0.0/24 . tcp . 80"),
        ("  10.0.0.1-10.0.0.9   udp   5-6 ", &[], "10.0.0.1-10.0.0.9 . udp . 5-6"),
        ("10.0.0.1 icmp", &[], "10.0.0.1 . icmp . 0-65535"),
        ("2001:DB8::7 icmp any", &[], "2001:db8::7 . ipv6-icmp . 0-65535"),
        ("10.0.0.1 any 80", &[], "10.0.0.1 . tcp . 80, 10.0.0.1 . udp . 80, 10.0.0.1 . sctp . 80"),
        (
            "10.0.0.1 any any",
            &[],
            "10.0.0.1 . icmp . 0-65535, 10.0.0.1 . tcp . 0-65535, 10.0.0.1 . udp . 0-65535, 10.0.0.1 . sctp . 0-65535",
        ),
        ("10.${a}.0.0/16 tcp 1", &[("a", "7")], "10.7.0.0/16 . tcp . 1"),
        ("10.${a + 1}.0.0/${l} tcp 1", &[("a", "7"), ("l", "16")], "10.8.0.0/16 . tcp . 1"),
        ("${a}-${a + 255} tcp 1", &[("a", "10.0.0.255")], "10.0.0.255-10.0.1.254 . tcp . 1"),
        ("${a - 1} tcp 1", &[("a", "10.0.1.0")], "10.0.0.255 . tcp . 1"),
        ("${a} tcp 1", &[("a", "10.0.0.0/24")], "10.0.0.0/24 . tcp . 1"),
        ("${a} tcp 1", &[("a", "2001:db8::1-2001:db8::9")], "2001:db8::1-2001:db8::9 . tcp . 1"),
        ("${a}/64 tcp 1", &[("a", "2001:db8::")], "2001:db8::/64 . tcp . 1"),
        // A number is a number, also where others are written in hexadecimal.
        ("2001:db8:${a}::${a}:${b} tcp 1", &[("a", "10"), ("b", "0x10")], "2001:db8:a::a:10 . tcp . 1"),
        ("${a}:${a}:${a}:${a}:${a}:${a}:${a}:${a} tcp 1", &[("a", "1")], "1:1:1:1:1:1:1:1 . tcp . 1"),
        ("::${a} tcp 1", &[("a", "1")], "::1 . tcp . 1"),
        ("${a}:: tcp 1", &[("a", "1")], "1:: . tcp . 1"),
        ("10.0.0.1 ${p} ${n}-${n + 1}", &[("p", "udp"), ("n", "53")], "10.0.0.1 . udp . 53-54"),
        ("10.0.0.1 tcp ${n}", &[("n", "80-90")], "10.0.0.1 . tcp . 80-90"),
        ("10.${a}.0.${a} tcp 1", &[("a[0]", "1"), ("a[1]", "2")], "10.1.0.1 . tcp . 1, 10.2.0.2 . tcp . 1"),
        (
            "10.${a}.0.${b} tcp 1",
            &[("a[0]", "1"), ("a[1]", "2"), ("b[0]", "3"), ("b[1]", "4")],
            "10.1.0.3 . tcp . 1, 10.1.0.4 . tcp . 1, 10.2.0.3 . tcp . 1, 10.2.0.4 . tcp . 1",
        ),
        ("10.0.0.${a[1]} tcp 1", &[("a[0]", "1"), ("a[1]", "2")], "10.0.0.2 . tcp . 1"),
    ] {
        assert_eq!(one(text, values).as_deref(), Ok(ranges), "{text}");
    }
}

#[test]
fn protocols_and_ports_beside_the_ranges() {
    let web = spec(&["10.0.0.1", "10.0.0.2 udp", "10.0.0.3 sctp 9"], &["tcp", "icmp"], &["80", "${n}"]);
    assert_eq!(
        expanded(&web, &[("n[0]", "443"), ("n[1]", "444")]).unwrap(),
        [
            "10.0.0.1 . tcp . 80",
            "10.0.0.1 . tcp . 443",
            "10.0.0.1 . tcp . 444",
            // Once, however many ports there are that it does not have.
            "10.0.0.1 . icmp . 0-65535",
            "10.0.0.2 . udp . 80",
            "10.0.0.2 . udp . 443",
            "10.0.0.2 . udp . 444",
            "10.0.0.3 . sctp . 9",
        ]
    );
    assert_eq!(
        expanded(&spec(&["10.0.0.1"], &[], &["1"]), &[]).unwrap_err(),
        "`doc`: `10.0.0.1` says no protocol; write it behind the addresses, or `protocols` beside the ranges"
    );
    assert_eq!(
        expanded(&spec(&["10.0.0.1 tcp"], &[], &[]), &[]).unwrap_err(),
        "`doc`: `10.0.0.1 tcp` says no ports; write them behind the protocol, or `ports` beside the ranges, `any` for all"
    );
}

#[test]
fn what_cannot_be_read_says_where() {
    for (text, error) in [
        (
            "",
            "at position 1, there are no addresses; write an address such as `192.0.2.7`, a network such as `192.0.2.0/24` or a range such as `192.0.2.1-192.0.2.9`",
        ),
        ("10.0.0.1-10.0.0.2-10.0.0.3", "at position 1, there are no addresses; write"),
        ("example.com", "at position 1, there are no addresses; write"),
        ("10.0.0.0/33", "at position 10, `33` is not a number from 0 to 32"),
        ("10.0.0.0/08", "at position 10, `08` is not a number from 0 to 32"),
        ("10.0.${a}.256", "at position 11, `256` is not a number from 0 to 255"),
        ("10.0.${a}", "at position 1, there are no addresses; write"),
        (
            "10.1${a}.0.0",
            "at position 5, a variable stands for a whole number; write it alone between the dots, colons or dashes",
        ),
        ("é ${a b}", "at position 3, `a b` is not a variable; write `${name}` or `${name + 1}`"),
        ("${a * 2}", "at position 1, `a * 2` is not a variable; write `${name}` or `${name + 1}`"),
        ("${a + 1", "at position 1, `a + 1` is not a variable; write `${name}` or `${name + 1}`"),
        ("${${a}}", "at position 1, `${a` is not a variable; write `${name}` or `${name + 1}`"),
        ("10.0.0.1 http", "at position 10, `http` is not a protocol; write `tcp`, `udp`, `sctp`, `icmp` or `any`"),
        ("10.0.0.1 tcp 65536", "at position 14, `65536` is not a number from 0 to 65535"),
        ("10.0.0.1 tcp 9-1", "at position 14, the ports `9-1` are reversed; write the lower port first"),
        ("10.0.0.1 tcp 1-2-3", "at position 14, `1-2-3` is not a number from 0 to 65535"),
        (
            "10.0.0.1 tcp 80 90",
            "at position 17, there is more than addresses, protocol and ports; write them once, such as `10.0.0.0/24 tcp 443`",
        ),
        ("::ffff:10.0.0.1", "at position 1, `::ffff:10.0.0.1` is an IPv4 address mapped into IPv6; write `10.0.0.1`"),
        ("1:2:3:${a}:5:6:7", "at position 1, there are no addresses; write"),
        ("1::${a}::2", "at position 9, the number is missing; write it, such as `0`"),
        ("10..0.${a}", "at position 4, the number is missing; write it, such as `0`"),
        ("10.0.0.1 tcp 80-", "at position 16, the last port is missing; write it, such as `8000-8010`"),
        ("10.0.0.1 tcp -80", "at position 14, the first port is missing; write it, such as `8000-8010`"),
        ("10.0.0.1- tcp 80", "at position 9, the last address is missing; write it, such as `192.0.2.1-192.0.2.9`"),
        ("-${a} tcp 80", "at position 1, the first address is missing; write it, such as `192.0.2.1-192.0.2.9`"),
        ("10.0.0.0/ tcp 80", "at position 9, the length of the prefix is missing; write it, such as `192.0.2.0/24`"),
        ("::12345:${a}", "at position 3, `12345` is not a number from 0 to 65535"),
    ] {
        let found = text.parse::<RangeExpression>().unwrap_err();
        assert_eq!(found.kind(), ErrorKind::Malformed);
        let found = found.to_string();
        assert!(found.starts_with(&format!("`{text}`: {error}")), "{found}\n{error}");
    }
    assert!(
        "1".repeat(600)
            .parse::<RangeExpression>()
            .unwrap_err()
            .to_string()
            .ends_with("longer than 512 bytes; divide it")
    );
}

#[test]
fn what_has_no_ranges_says_which_value() {
    for (text, values, error) in [
        ("10.${a}.0.1 tcp 1", &[][..], "at position 4, the variable `a` has no value here"),
        ("10.${a}.0.1 tcp 1", &[("a", "")], "at position 4, the variable `a` has no value here"),
        (
            "10.${a}.0.1 tcp 1",
            &[("a", "${b}"), ("b", "1")],
            "at position 4, the value `${b}` of `a` holds a variable; write its value out",
        ),
        (
            "10.${a}.0.1 tcp 1",
            &[("a", "${a}")],
            "at position 4, the value `${a}` of `a` holds a variable; write its value out",
        ),
        ("10.${a}.0.1 tcp 1", &[("a", "256")], "at position 4, the value `256` of `a` is not a number from 0 to 255"),
        ("10.${a}.0.1 tcp 1", &[("a", "0.0")], "at position 4, the value `0.0` of `a` is not a number from 0 to 255"),
        (
            "10.${a + 1}.0.1 tcp 1",
            &[("a", "255")],
            "at position 4, with the value `255` of `a` the sum is not a number from 0 to 255",
        ),
        (
            "10.${a - 1}.0.1 tcp 1",
            &[("a", "0")],
            "at position 4, with the value `0` of `a` the sum is not a number from 0 to 255",
        ),
        (
            "10.0.0.${a}-10.0.0.1 tcp 1",
            &[("a", "2")],
            "at position 1, the range `10.0.0.2-10.0.0.1` is reversed; write the lower address first",
        ),
        (
            "${a}-10.0.0.1 tcp 1",
            &[("a", "::1")],
            "at position 1, the range `::1-10.0.0.1` begins in one address family and ends in the other; write two addresses of the same",
        ),
        (
            "${a}/24 tcp 1",
            &[("a", "10.0.0.1")],
            "at position 1, the address has bits beyond its prefix; write `10.0.0.0/24` for the network",
        ),
        ("${a}/24 tcp 1", &[("a", "10.0.0.0/8")], "at position 1, the value `10.0.0.0/8` of `a` is not an address"),
        ("${a}/33 tcp 1", &[("a", "10.0.0.0")], "at position 1, `33` is not a number from 0 to 32"),
        (
            "10.0.0.0/${a} tcp 1",
            &[("a", "33")],
            "at position 10, the value `33` of `a` is not a prefix length, a number from 0 to 32",
        ),
        (
            "${a} tcp 1",
            &[("a", "10.0.0.0/24 udp")],
            "at position 1, the value `10.0.0.0/24 udp` of `a` is not an address, a network or a range",
        ),
        ("${a + 1} tcp 1", &[("a", "10.0.0.0/24")], "at position 1, the value `10.0.0.0/24` of `a` is not an address"),
        (
            "${a + 1} tcp 1",
            &[("a", "255.255.255.255")],
            "at position 1, with the value `255.255.255.255` of `a` the sum is not an address",
        ),
        (
            "${a} tcp 1",
            &[("a", "::ffff:10.0.0.1")],
            "at position 1, the value `::ffff:10.0.0.1` of `a` is not an address, a network or a range",
        ),
        (
            "::${a}:0a00:1 tcp 1",
            &[("a", "65535")],
            "at position 1, `::ffff:10.0.0.1` is an IPv4 address mapped into IPv6; write `10.0.0.1`",
        ),
        (
            "10.0.0.1 ${a} 1",
            &[("a", "any")],
            "at position 10, the value `any` of `a` is not `tcp`, `udp`, `sctp` or `icmp`",
        ),
        (
            "10.0.0.1 tcp ${a}",
            &[("a", "any")],
            "at position 14, the value `any` of `a` is not a port or a range of ports",
        ),
        (
            "10.0.0.1 tcp ${a}-${b}",
            &[("a", "9"), ("b", "1")],
            "at position 14, the ports `9-1` are reversed; write the lower port first",
        ),
        ("10.0.0.1 ${a} 80", &[("a", "icmp")], "at position 1, `icmp` has no ports; leave `80` out"),
    ] {
        assert_eq!(one(text, values).unwrap_err(), format!("`doc`: `{text}`: {error}"));
    }
}

#[test]
fn overlaps_and_too_many_name_their_expressions() {
    let refused = |ranges: &[&str], values: &[(&str, &str)]| {
        let expansion =
            Expansion::new("ingress/web", &spec(ranges, &["tcp"], &["80"]), &bindings(values), MAX).unwrap();
        let error = expansion.into_set().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        error.to_string()
    };
    assert_eq!(
        refused(&["0.0.0.0/0", "10.${a}.0.0/16"], &[("a", "7")]),
        "`ingress/web`: `10.${a}.0.0/16` comes to `10.7.0.0/16 . tcp . 80`, which overlaps `0.0.0.0/0 . tcp . 80` of `0.0.0.0/0` in `ingress/web`; remove one or make it smaller"
    );
    assert_eq!(
        refused(&["10.${a}.0.0/16"], &[("a[0]", "7"), ("a[1]", "7")]),
        "`ingress/web`: `10.${a}.0.0/16` comes to `10.7.0.0/16 . tcp . 80`, which overlaps `10.7.0.0/16 . tcp . 80` of `10.${a}.0.0/16` in `ingress/web`; remove one or make it smaller"
    );
    let mut all = Expansion::new("ingress/a", &spec(&["10.0.0.1 tcp 1"], &[], &[]), &Bindings::default(), MAX).unwrap();
    all.append(
        Expansion::new("ingress/b", &spec(&["10.0.0.0/24 tcp any"], &[], &[]), &Bindings::default(), MAX).unwrap(),
    );
    assert_eq!(
        all.into_set().unwrap_err().to_string(),
        "`ingress/b`: `10.0.0.0/24 tcp any` comes to `10.0.0.0/24 . tcp . 0-65535`, which overlaps `10.0.0.1 . tcp . 1` of `10.0.0.1 tcp 1` in `ingress/a`; remove one or make it smaller"
    );

    let lists: Vec<(String, String)> = (0..100).map(|n| (format!("a[{n}]"), n.to_string())).collect();
    let lists: Vec<(&str, &str)> = lists.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let many = |text: &str, max| Expansion::new("d", &spec(&[text], &["tcp"], &["1"]), &bindings(&lists), max);
    assert_eq!(many("10.0.0.${a}", 100).unwrap().ranges().len(), 100);
    assert_eq!(
        many("10.0.0.${a}", 99).unwrap_err().to_string(),
        "`d`: `10.0.0.${a}` would make more than 99 ranges; write fewer and wider ones, or shorten the lists of their variables"
    );
    let two = spec(&["10.0.0.1", "10.0.0.2"], &["tcp"], &["1"]);
    assert!(Expansion::new("d", &two, &Bindings::default(), 1).unwrap_err().to_string().contains("more than 1 ranges"));
}

#[test]
fn what_a_profile_does_not_allow_is_refused() {
    let profile = spec(&["10.${t}.0.0/24", "10.${t}.1.0/24"], &["tcp"], &["80-90", "443"]);
    let values = bindings(&[("t", "7")]);
    let allowed = Expansion::new("profile", &profile, &values, MAX).unwrap().into_set().unwrap();
    let inside = |text: &str| {
        Expansion::new("ingress/web", &spec(&[text], &[], &[]), &values, MAX)
            .unwrap()
            .inside("resource-profiles/small", &allowed)
    };
    inside("10.7.0.128-10.7.1.127 tcp 80-90").unwrap(); // across two of the profile's ranges
    inside("10.7.1.1 tcp 443").unwrap();
    let error = inside("10.7.1.1 tcp 80-91").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(
        error.to_string(),
        "`ingress/web`: `10.7.1.1 tcp 80-91` comes to `10.7.1.1 . tcp . 80-91`, which is not inside `resource-profiles/small`; use what that allows"
    );
    for outside in
        ["10.7.1.1 udp 80", "10.7.2.0 tcp 80", "10.7.0.0/16 tcp 80", "10.8.0.0 tcp 80", "10.7.0.1 icmp", "::1 tcp 80"]
    {
        assert!(inside(outside).is_err(), "{outside}");
    }
}

/// A number of a grammar: fixed, or a variable with something added.
#[derive(Debug, Clone)]
enum Num {
    Fixed(u32),
    Var(char, i32),
}

impl Num {
    fn text(&self, hex: bool) -> String {
        match self {
            Self::Fixed(n) if hex => format!("{n:x}"),
            Self::Fixed(n) => n.to_string(),
            Self::Var(name, 0) => format!("${{{name}}}"),
            Self::Var(name, add) if *add > 0 => format!("${{{name} + {add}}}"),
            Self::Var(name, add) => format!("${{{name}  -  {}}}", -add),
        }
    }

    fn value(&self, values: &BTreeMap<char, u32>, most: u32) -> Option<u32> {
        let number = match self {
            Self::Fixed(n) => i64::from(*n),
            Self::Var(name, add) => i64::from(values[name]) + i64::from(*add),
        };
        u32::try_from(number).ok().filter(|number| *number <= most)
    }
}

fn num(most: u32) -> impl Strategy<Value = Num> {
    let var = (prop::sample::select(vec!['a', 'b', 'c']), -2..3i32).prop_map(|(name, add)| Num::Var(name, add));
    prop_oneof![2 => (0..=most).prop_map(Num::Fixed), 1 => Just(Num::Fixed(0)), 2 => var]
}

#[derive(Debug, Clone)]
enum Shape {
    One(Vec<Num>),
    Net(Vec<Num>, Num),
    Range(Vec<Num>, Vec<Num>),
}

fn shape(v6: bool) -> impl Strategy<Value = Shape> {
    let (count, most, bits) = if v6 { (8, 0xffff, 128) } else { (4, 255, 32) };
    let address = move || prop::collection::vec(num(most), count);
    prop_oneof![
        address().prop_map(Shape::One),
        (address(), num(bits)).prop_map(|(address, length)| Shape::Net(address, length)),
        (address(), address()).prop_map(|(first, last)| Shape::Range(first, last)),
    ]
}

fn text(address: &[Num], v6: bool) -> String {
    address.iter().map(|num| num.text(v6)).collect::<Vec<_>>().join(if v6 { ":" } else { "." })
}

/// An address of plain text, read by the standard library.
fn plain(address: &[Num], values: &BTreeMap<char, u32>, v6: bool) -> Option<IpAddr> {
    let most = if v6 { 0xffff } else { 255 };
    let parts: Vec<u32> = address.iter().map(|num| num.value(values, most)).collect::<Option<_>>()?;
    let parts: Vec<String> = parts.iter().map(|part| if v6 { format!("{part:x}") } else { part.to_string() }).collect();
    if v6 {
        parts.join(":").parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        parts.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The slow way: everything written out, and read again.
fn reference(
    shape: &Shape,
    v6: bool,
    protocol: Protocol,
    ports: &(Num, Num),
    values: &BTreeMap<char, u32>,
) -> Option<Range> {
    let (first, last) = match shape {
        Shape::One(one) => (plain(one, values, v6)?, plain(one, values, v6)?),
        Shape::Range(first, last) => (plain(first, values, v6)?, plain(last, values, v6)?),
        Shape::Net(net, length) => {
            let net = plain(net, values, v6)?;
            let bits = if v6 { 128 } else { 32 };
            let length = length.value(values, bits)?;
            let cidr: keyward_config_values::Cidr = format!("{net}/{length}").parse().ok()?;
            let size = if length == 0 && v6 { u128::MAX } else { (1u128 << (bits - length)) - 1 };
            let last = number(cidr.network()) + size;
            let last = if v6 { IpAddr::V6(last.into()) } else { IpAddr::V4(u32::try_from(last).unwrap().into()) };
            (cidr.network(), last)
        }
    };
    let port = |num: &Num| num.value(values, 65535).map(|port| port as u16);
    Range::new(first, last, protocol, PortRange::new(port(&ports.0)?, port(&ports.1)?).ok()?).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn expansion_is_writing_everything_out(
        (v6, shape) in any::<bool>().prop_flat_map(|v6| (Just(v6), shape(v6))),
        protocol in prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]),
        ports in (num(65535), num(65535)),
        lists in prop::collection::vec(prop::collection::vec(prop_oneof![0..4u32, 0..300u32], 1..4), 3),
    ) {
        let addresses = match &shape {
            Shape::One(one) => text(one, v6),
            Shape::Net(net, length) => format!("{}/{}", text(net, v6), length.text(false)),
            Shape::Range(first, last) => format!("{}-{}", text(first, v6), text(last, v6)),
        };
        let written = format!("{addresses} {protocol} {}-{}", ports.0.text(false), ports.1.text(false));
        let Ok(expression) = written.parse::<RangeExpression>() else {
            // What no value makes right is refused at once: then the slow way finds nothing either.
            for value in 0..300 {
                let values = ['a', 'b', 'c'].map(|name| (name, value)).into();
                prop_assert_eq!(reference(&shape, v6, protocol, &ports, &values), None);
            }
            return Ok(());
        };
        prop_assert_eq!(expression.to_string(), written);

        let mut values = Bindings::default();
        for (name, list) in "abc".chars().zip(&lists) {
            for (index, value) in list.iter().enumerate() {
                let name = if list.len() == 1 { name.to_string() } else { format!("{name}[{index}]") };
                values.set(name.parse().unwrap(), value.to_string());
            }
        }
        let mut names: Vec<char> = Vec::new();
        for name in expression.variables() {
            let name = name.as_str().chars().next().unwrap();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut ways: Vec<BTreeMap<char, u32>> = vec![BTreeMap::new()];
        for name in names {
            let list = &lists[name as usize - 'a' as usize];
            ways = ways
                .into_iter()
                .flat_map(|way| list.iter().map(move |value| {
                    let mut way = way.clone();
                    way.insert(name, *value);
                    way
                }))
                .collect();
        }
        let expected: Option<Vec<Range>> =
            ways.iter().map(|way| reference(&shape, v6, protocol, &ports, way)).collect();
        let spec = RangeSpec { ranges: vec![expression], ..RangeSpec::default() };
        let found = Expansion::new("d", &spec, &values, MAX);
        prop_assert_eq!(found.ok().map(|found| found.ranges().to_vec()), expected);
    }

    #[test]
    fn no_value_widens_what_is_written(value in "\\PC{0,12}|[0-9a-f.:/${} -]{0,20}|(any|tcp|0/0|0\\.0\\.0\\.0/0|::/0| tcp any)") {
        for (text, first, last, size) in [
            ("10.${v}.0.0/24 tcp 80", "10.0.0.0", "10.255.255.255", 255),
            ("10.0.0.${v} tcp 80", "10.0.0.0", "10.0.0.255", 0),
            ("10.0.0.${v}/31 tcp 80", "10.0.0.0", "10.0.0.255", 1),
            ("2001:db8::${v} tcp 80", "2001:db8::", "2001:db8::ffff", 0),
            ("${v}/32 tcp 80", "0.0.0.0", "255.255.255.255", 0),
            ("10.0.0.1 tcp ${v}-${v}", "10.0.0.1", "10.0.0.1", 0),
        ] {
            let spec = spec(&[text], &[], &[]);
            let Ok(expansion) = Expansion::new("d", &spec, &bindings(&[("v", &value)]), MAX) else { continue };
            let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
            prop_assert_eq!(expansion.ranges().len(), 1);
            for range in expansion.ranges() {
                let wide = text.starts_with("${v}/32") && range.is_ipv6();
                prop_assert!(wide || (first <= range.first() && range.last() <= last));
                prop_assert!(wide || number(range.last()) - number(range.first()) == size);
                prop_assert_eq!(range.protocol(), Protocol::Tcp);
                prop_assert_eq!(range.ports().first(), range.ports().last());
            }
        }
    }

    /// Two tables of bits: what the profile allows, and what the tenant asks for.
    #[test]
    fn inside_a_profile_is_having_all_its_bits(
        allowed in prop::collection::vec((0..8u32, 0..4u32, 0..8u16, 0..4u16, any::<bool>()), 1..6),
        asked in prop::collection::vec((0..8u32, 0..3u32, 0..8u16, 0..3u16, any::<bool>()), 1..4),
    ) {
        let write = |(first, more, low, ports, udp): &(u32, u32, u16, u16, bool)| {
            let (last, high) = ((first + more).min(7), (low + ports).min(7));
            let protocol = if *udp { "udp" } else { "tcp" };
            format!("10.0.0.{first}-10.0.0.{last} {protocol} {low}-{high}")
        };
        let bits = |(first, more, low, ports, udp): &(u32, u32, u16, u16, bool)| {
            let (last, high) = ((first + more).min(7), (low + ports).min(7));
            let mut bits = 0u128;
            for address in *first..=last {
                for port in *low..=high {
                    bits |= 1 << (u32::from(*udp) * 64 + address * 8 + u32::from(port));
                }
            }
            bits
        };
        let expansion = |all: &[(u32, u32, u16, u16, bool)]| {
            let texts: Vec<String> = all.iter().map(write).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            Expansion::new("d", &spec(&texts, &[], &[]), &Bindings::default(), MAX).unwrap()
        };
        let mut disjoint: Vec<(u32, u32, u16, u16, bool)> = Vec::new();
        let mut map = 0;
        for one in allowed {
            if map & bits(&one) == 0 {
                map |= bits(&one);
                disjoint.push(one);
            }
        }
        let profile = expansion(&disjoint).into_set().unwrap();
        let all = asked.iter().map(bits).fold(0, |all, bits| all | bits);
        prop_assert_eq!(expansion(&asked).inside("p", &profile).is_ok(), all & !map == 0);
    }
}
