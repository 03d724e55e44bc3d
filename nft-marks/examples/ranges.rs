//! Writes a firewall of many ranges for `benches/firewall`, and what writing it took.
//!
//! ```sh
//! cargo run --release --example ranges -- RANGES FOLDER networks|spans
//! ```
//!
//! Ranges that are whole networks, or others. In the folder: `set.nft`, what loads the table; `listing.nft`, what nft then lists;
//! `linear.nft`, the same ranges as rules, one each; `change.nft`, the transaction when one range is another one, and `half.nft` when half of
//! them are; `address.txt`, an address of each range. Printed: the seconds of processor time that the text took.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use keyward_nft_marks::{Firewall, PortRange, Protocol, Range, RangeSet, Transaction};

/// Two addresses in each block of four, so that no two ranges are neighbours, at one of seven ports: the first two, which are a
/// network, or those in the middle, which are none.
fn range(place: u32, spans: bool) -> Result<Range, Box<dyn Error>> {
    let first = Ipv4Addr::from(0x0a00_0000 + place * 4 + u32::from(spans));
    let last = Ipv4Addr::from(u32::from(first) + 1);
    let port = PortRange::from(u16::try_from(9000 + place % 7)?);
    Ok(Range::new(IpAddr::V4(first), IpAddr::V4(last), Protocol::Udp, port)?)
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
    let spans = match arguments.next().as_deref() {
        None | Some("networks") => false,
        Some("spans") => true,
        Some(_) => return Err("`networks` or `spans`?".into()),
    };
    let ranges = (0..count).map(|place| range(place, spans)).collect::<Result<Vec<_>, _>>()?;

    let mut firewall = Firewall::default();
    firewall.ingress = RangeSet::new(ranges.clone())?;
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
    let lookup = "\t\tip daddr . meta l4proto . th dport @ingress4 goto mark_ingress\n";
    let mut rules = String::new();
    for range in &ranges {
        let (first, last, port) = (range.first(), range.last(), range.ports());
        writeln!(rules, "\t\tip daddr {first}-{last} udp dport {port} goto mark_ingress")?;
    }
    let linear = format!("add table inet keyward\ndelete table inet keyward\n{}", empty.replace(lookup, &rules));
    fs::write(folder.join("linear.nft"), linear)?;

    let mut changed = ranges.clone();
    if let Some(last) = changed.last_mut() {
        *last = range(count + 5, spans)?;
    }
    firewall.ingress = RangeSet::new(changed)?;
    fs::write(folder.join("change.nft"), Transaction::between(Some(&table), &firewall.table()).to_string())?;
    let back = Transaction::between(Some(&firewall.table()), &table);
    fs::write(folder.join("back.nft"), back.to_string())?;
    let half = |place: u32| range(place + count / 2 + 5, spans);
    firewall.ingress = RangeSet::new((0..count).map(half).collect::<Result<Vec<_>, _>>()?)?;
    fs::write(folder.join("half.nft"), Transaction::between(Some(&table), &firewall.table()).to_string())?;

    let addresses: String = ranges.iter().map(|range| format!("{} {}\n", range.first(), range.ports())).collect();
    fs::write(folder.join("address.txt"), addresses)?;
    Ok(())
}
