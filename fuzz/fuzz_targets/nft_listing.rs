//! A listing that is read is the same when it is written and read again, and changes into itself by doing nothing.
#![no_main]

use keyward_nft_marks::{Firewall, ProtocolNames, Table, Transaction, lint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    lint(&Firewall::default(), text);
    let Ok(table) = text.parse::<Table>() else { return };
    for names in [ProtocolNames::Known, ProtocolNames::Unknown] {
        let written = table.listing(names).to_string();
        assert_eq!(written.parse::<Table>().as_ref(), Ok(&table), "{written}");
    }
    let same = Transaction::between(Some(&table), &table);
    assert!(same.is_empty() || same.is_replacement());
    assert!(table.changes(&table).is_empty());
});
