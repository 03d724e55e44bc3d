//! Writing a table takes no memory beyond what it is written into.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use allocation_counter::measure;
use keyward_nft_marks::{Firewall, PortRange, Protocol, Range, RangeSet, Transaction};

/// Keeps nothing but the length.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn firewall(count: u32) -> Firewall {
    let range = |place: u32| {
        let address = if place.is_multiple_of(2) {
            IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + place))
        } else {
            IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) + u128::from(place)))
        };
        Range::new(address, address, Protocol::Tcp, PortRange::from(443)).unwrap()
    };
    let mut firewall = Firewall::default();
    firewall.ingress = RangeSet::new((0..count).map(range).collect()).unwrap();
    firewall
}

#[test]
fn a_hundred_thousand_ranges_are_written_in_the_memory_of_five_thousand() {
    // Of as many sets: from a thousand on, networks have sets of their own.
    let peaks = [5_000, 100_000].map(|count| {
        let firewall = firewall(count);
        let (mut text, mut json) = (Length(0), Length(0));
        let peak = measure(|| {
            let transaction = Transaction::replacing(&firewall.table());
            write!(text, "{transaction}").unwrap();
            write!(json, "{}", transaction.json()).unwrap();
        });
        assert!(text.0 > 25 * count as usize && json.0 > 25 * count as usize);
        peak.bytes_max
    });
    assert_eq!(peaks[0], peaks[1]);
    assert!(peaks[0] < 16_384, "{peaks:?}");
}
