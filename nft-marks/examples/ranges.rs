//! Writes a firewall of many ranges for `benches/firewall`, and what writing it took.
//!
//! ```sh
//! cargo run --release --example ranges -- RANGES FOLDER networks|spans|ports|spans6 [LISTING]
//! ```
//!
//! Ranges that are whole networks, spans that are none, such spans with ten ports each, or spans of IPv6. In the folder: `set.nft`, what
//! loads the table; `listing.nft`, what nft then lists; `linear.nft`, the same ranges as rules, one each; `address.txt`, an address of each
//! range. Printed: the seconds of processor time that the text took.
//!
//! With the file of a listing of that table (`nft -a -s list table inet keyward`), in its place: what changes it, each in one or two steps.
//! `more.1.nft` and `more.2.nft` are for one range more; `first`, `middle` and `last` for that range being another one, `half` for half of them.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use keyward_nft_marks::{Firewall, PortRange, Protocol, Range, RangeSet, Table, Transaction};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Networks,
    Spans,
    Ports,
    Spans6,
}

/// Two addresses of each four, which are a network; or from two to a hundred of each 128, which are none. At one of seven ports, or at
/// one of seven times ten. No two ranges are neighbours, and there is `other` one at each place.
fn range(place: u32, kind: Kind, other: bool) -> Result<Range, Box<dyn Error>> {
    let number = place % 7;
    let (first, count) = match kind {
        Kind::Networks => (place * 4 + 2 * u32::from(other), 2),
        _ => (place * 128 + 1, [2, 3, 5, 10, 20, 50].get(number as usize).unwrap_or(&100) + 2 * u32::from(other)),
    };
    let address = |offset: u32| match kind {
        Kind::Spans6 => IpAddr::V6(Ipv6Addr::from((0xfd << 120) + u128::from(offset))),
        _ => IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + offset)),
    };
    let number = u16::try_from(number)?;
    let ports = match kind {
        Kind::Ports => PortRange::new(9000 + 20 * number, 9009 + 20 * number)?,
        _ => PortRange::from(9000 + number),
    };
    Ok(Range::new(address(first), address(first + count - 1), Protocol::Udp, ports)?)
}

/// Seconds of processor time of this program so far (proc(5), `schedstat`).
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("no processor time")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds).as_secs_f64())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let count: u32 = arguments.next().ok_or("how many ranges?")?.parse()?;
    let folder = arguments.next().ok_or("into which folder?")?;
    let folder = Path::new(&folder);
    let kind = match arguments.next().as_deref() {
        None | Some("networks") => Kind::Networks,
        Some("spans") => Kind::Spans,
        Some("ports") => Kind::Ports,
        Some("spans6") => Kind::Spans6,
        Some(_) => return Err("`networks`, `spans`, `ports` or `spans6`?".into()),
    };
    let ranges = (0..count).map(|place| range(place, kind, false)).collect::<Result<Vec<_>, _>>()?;

    let mut firewall = Firewall::default();
    firewall.ingress = RangeSet::new(ranges.clone())?;
    if let Some(listing) = arguments.next() {
        return changes(folder, &fs::read_to_string(listing)?.parse()?, firewall, kind);
    }
    let table = firewall.table();
    let mut text = String::new();
    let begin = processor_time()?;
    // For long enough to be measured.
    let rounds = (3_000_000 / count.max(1)).max(30);
    for _ in 0..rounds {
        text.clear();
        write!(text, "{}", Transaction::replacing(&table))?;
    }
    println!("{}", (processor_time()? - begin) / f64::from(rounds));
    fs::write(folder.join("set.nft"), &text)?;
    fs::write(folder.join("listing.nft"), table.to_string())?;

    // The same table, with rules in the place of the lookup.
    let empty = Firewall::default().table().to_string();
    let (ip, family) = if kind == Kind::Spans6 { ("ip6", 6) } else { ("ip", 4) };
    let lookup = format!("\t\t{ip} daddr . meta l4proto . th dport @ingress{family} goto mark_ingress\n");
    let mut rules = String::new();
    for range in &ranges {
        let (first, last, port) = (range.first(), range.last(), range.ports());
        writeln!(rules, "\t\t{ip} daddr {first}-{last} udp dport {port} goto mark_ingress")?;
    }
    let linear = format!("add table inet keyward\ndelete table inet keyward\n{}", empty.replace(&lookup, &rules));
    fs::write(folder.join("linear.nft"), linear)?;

    let addresses: String =
        ranges.iter().map(|range| format!("{} {}\n", range.first(), range.ports().first())).collect();
    fs::write(folder.join("address.txt"), addresses)?;
    Ok(())
}

/// What makes other tables of the one that is there.
fn changes(folder: &Path, there: &Table, mut firewall: Firewall, kind: Kind) -> Result<(), Box<dyn Error>> {
    let count = u32::try_from(firewall.ingress.iter().count())?;
    let other = |at: u32| (0..count).map(|place| range(place, kind, place == at)).collect::<Result<Vec<_>, _>>();
    let more = [other(count)?, vec![range(count + 5, kind, false)?]].concat();
    let half =
        (count / 2..).take(count as usize).map(|place| range(place + 5, kind, false)).collect::<Result<_, _>>()?;
    let (first, middle, last) = (other(0)?, other(count / 2)?, other(count - 1)?);
    for (name, ranges) in [("more", more), ("first", first), ("middle", middle), ("last", last), ("half", half)] {
        firewall.ingress = RangeSet::new(ranges)?;
        let transaction = Transaction::between(Some(there), &firewall.table_beside(there));
        for (step, text) in (1..).zip(transaction.into_steps()) {
            fs::write(folder.join(format!("{name}.{step}.nft")), text.to_string())?;
        }
    }
    Ok(())
}
