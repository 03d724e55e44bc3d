//! What the host's other tables and ours do to each other.

mod listing;
mod write;

use std::fmt;

use crate::mark::Hex;
use crate::table::{Hook, Priority};
use crate::{Firewall, Marks};
use listing::{Base, Chain};
use write::Write;

/// Something in another table that does not go well with ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table, with its family: `inet user`.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule, as nft lists it; nothing where it is about the whole chain.
    pub rule: Option<String>,
    /// What it is.
    pub kind: FindingKind,
}

/// What can be the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// It writes bits of the mask.
    Writes {
        /// Which ones.
        bits: u32,
        /// The mask.
        mask: u32,
    },
    /// It drops what it does not know, behind ours, and nothing in its table looks at our marks.
    DropsUnseen {
        /// The marks to look at.
        marks: Marks,
    },
    /// It looks at our marks where packets have none yet.
    LooksTooEarly {
        /// Its priority.
        priority: i32,
        /// The one that it should be behind.
        ours: i32,
    },
    /// It writes a mark in a `nat` chain, which sees the first packet of a connection alone.
    MarksInNat,
    /// It translates destinations before ours, which then sees the new ones.
    TranslatesTooEarly {
        /// Its priority.
        priority: i32,
        /// The one that it should be behind.
        ours: i32,
    },
    /// It keeps packets from being tracked: they have no connection that could have a mark.
    Untracked,
    /// It is a rule of iptables that nft cannot show: whether it writes marks is not known.
    Opaque,
}

/// What in a listing of the host's tables does not go well with a firewall: the output of `nft -s list ruleset`, as text.
///
/// In text nft shows the marks of rules that iptables made; in JSON it leaves their values out. Ours is passed over, and so is
/// whatever cannot be read: a lint, not a proof.
///
/// ```
/// use keyward_nft_marks::{Firewall, lint};
///
/// let findings = lint(&Firewall::default(), "
/// table inet user {
/// \tchain mangle {
/// \t\ttype filter hook prerouting priority mangle; policy accept;
/// \t\tmeta mark set 0x00000001
/// \t}
/// }
/// ");
/// assert_eq!(
///     findings[0].to_string(),
///     "inet user, chain mangle, `meta mark set 0x00000001`: writes the bits `0x0f000000` of our mask `0x0f000000`; write other bits with a mask, such as `meta mark set meta mark & 0xfffffeff | 0x00000100`",
/// );
/// ```
pub fn lint(firewall: &Firewall, ruleset: &str) -> Vec<Finding> {
    let chains = listing::read(ruleset);
    let mut findings = Vec::new();
    for chain in &chains {
        let of_table = || chains.iter().filter(|other| other.table == chain.table);
        let seen = || of_table().flat_map(|chain| &chain.rules).any(|rule| looks(rule, &firewall.marks));
        let mut find = |rule: Option<&str>, kind| {
            let (table, chain) = (chain.table.to_owned(), chain.name.to_owned());
            findings.push(Finding { table, chain, rule: rule.map(str::to_owned), kind });
        };
        if let Some(base) = &chain.base
            && base.drops
            && base.kind == "filter"
            && is_behind(base)
            && !seen()
        {
            find(None, FindingKind::DropsUnseen { marks: firewall.marks });
        }
        for rule in &chain.rules {
            for kind in of_rule(rule, chain, &firewall.marks) {
                find(Some(rule), kind);
            }
        }
    }
    findings
}

/// Whether ours sees packets before it, where packets can be dropped.
fn is_behind(base: &Base<'_>) -> bool {
    match base.hook {
        "prerouting" => base.priority >= Priority::AFTER_MANGLE,
        "input" | "forward" | "output" => base.priority >= Priority::BEFORE_FILTER,
        "postrouting" => true,
        _ => false,
    }
}

/// Whether packets have their marks there.
fn has_marks(base: &Base<'_>) -> bool {
    match base.hook {
        "prerouting" => base.priority > Priority::AFTER_MANGLE,
        "output" => base.priority > Priority::BEFORE_FILTER,
        _ => true,
    }
}

fn of_rule(rule: &str, chain: &Chain<'_>, marks: &Marks) -> Vec<FindingKind> {
    let mut kinds = Vec::new();
    let mask = marks.mask().bits();
    let writes: Vec<Write> = write::writes(rule).collect();
    // Before ours the mark of a packet is none, and saving it erases that of its connection.
    let erases = |write: &Write| write.saves && !chain.base.as_ref().is_some_and(has_marks);
    let bits = writes.iter().fold(0, |bits, write| if erases(write) { u32::MAX } else { bits | write.bits }) & mask;
    if bits != 0 {
        kinds.push(FindingKind::Writes { bits, mask });
    }
    if let Some(base) = &chain.base {
        if base.kind == "nat" && !writes.is_empty() {
            kinds.push(FindingKind::MarksInNat);
        }
        let ours = match base.hook {
            "prerouting" => Some(Priority::AFTER_MANGLE),
            "output" => Some(Priority::BEFORE_FILTER),
            _ => None,
        };
        if let Some(ours) = ours.filter(|ours| base.priority <= *ours) {
            let (priority, ours) = (base.priority.0, ours.0);
            if looks(rule, marks) {
                kinds.push(FindingKind::LooksTooEarly { priority, ours });
            }
            let words = || rule.split_whitespace();
            if base.hook == Hook::Prerouting.as_str() && words().any(|word| ["dnat", "redirect"].contains(&word)) {
                kinds.push(FindingKind::TranslatesTooEarly { priority, ours });
            }
        }
    }
    if rule.split_whitespace().any(|word| word == "notrack") {
        kinds.push(FindingKind::Untracked);
    }
    if rule.contains("xt target ") || rule.contains("xt match ") || rule.contains("# xt_") {
        kinds.push(FindingKind::Opaque);
    }
    kinds
}

/// Whether a rule compares bits of our mask.
fn looks(rule: &str, marks: &Marks) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    words.windows(3).any(|three| match three {
        ["mark", "&" | "and", mask] => {
            crate::mark::number(mask).is_some_and(|mask| mask & marks.mask().bits() != 0)
                && !write::is_written(rule, mask)
        }
        _ => false,
    })
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, chain {}", self.table, self.chain)?;
        if let Some(rule) = &self.rule {
            write!(f, ", `{rule}`")?;
        }
        f.write_str(": ")?;
        match self.kind {
            FindingKind::Writes { bits, mask } => write!(
                f,
                "writes the bits `{}` of our mask `{}`; write other bits with a mask, such as `meta mark set meta mark & 0xfffffeff | 0x00000100`",
                Hex(bits),
                Hex(mask)
            ),
            FindingKind::DropsUnseen { marks } => {
                write!(f, "drops what ours let through; add a rule `{} accept`", marks.user_match(None))
            }
            FindingKind::LooksTooEarly { priority, ours } => write!(
                f,
                "looks at our marks with priority {priority}, where packets have none yet; give the chain one above {ours}"
            ),
            FindingKind::MarksInNat => f.write_str(
                "marks in a nat chain, which sees the first packet of a connection alone; mark in a chain of type filter, at priority mangle",
            ),
            FindingKind::TranslatesTooEarly { priority, ours } => write!(
                f,
                "translates destinations with priority {priority}, so that ours sees the new ones; give the chain one above {ours}, such as dstnat"
            ),
            FindingKind::Untracked => {
                f.write_str("keeps packets from being tracked, so that replies have no mark; except what is the platform's")
            }
            FindingKind::Opaque => f.write_str(
                "is a rule of iptables that nft cannot show; see `iptables-save` for the marks that it writes",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(chain: &str, rules: &[&str]) -> Vec<FindingKind> {
        let text = format!("table ip user {{\n\tchain c {{\n\t\t{chain}\n\t\t{}\n\t}}\n}}\n", rules.join("\n\t\t"));
        lint(&Firewall::default(), &text).into_iter().map(|finding| finding.kind).collect()
    }

    const MANGLE: &str = "type filter hook prerouting priority mangle; policy accept;";

    #[test]
    fn writers_are_told_by_the_bits_that_they_write() {
        let mask = 0x0f00_0000;
        for (rule, bits) in [
            ("meta mark set 0x00000001", mask),
            ("tcp dport 80 counter packets 0 bytes 0 meta mark set 0x5", mask),
            ("meta mark set meta mark & 0xff04ffff | 0x00040000", 0),
            ("meta mark set mark and 0xffff3fff xor 0x8000", 0),
            ("meta mark set meta mark | 0x01000000", 0x0100_0000),
            ("meta mark set meta mark & 0xfeffffff", 0x0100_0000),
            ("meta mark set meta mark ^ 0x03000000", 0x0300_0000),
            ("ct mark set ct mark & 0xffffff00 | 0x00000001", 0),
            // Before ours the packet has no mark that could be saved; that of the connection is the right one.
            ("ct mark set meta mark", mask),
            ("ct mark set mark", mask),
            ("meta mark set ct mark", 0),
            ("meta mark set ct mark and 0xff0000", mask),
            ("ct mark set meta mark & 0x0f0000ff", mask),
            ("meta mark set ip saddr map { 10.0.0.1 : 0x00000001 }", mask),
            ("meta mark set jhash ip saddr mod 2", mask),
            ("meta mark 0x00000001 accept", 0),
            ("ct mark set meta mark & 0x000000ff comment \"meta mark set 0x1\"", mask),
            ("accept comment \"meta mark set 0x1\"", 0),
        ] {
            let expected = if bits == 0 { vec![] } else { vec![FindingKind::Writes { bits, mask }] };
            assert_eq!(found(MANGLE, &[rule]), expected, "{rule}");
        }
    }

    #[test]
    fn saving_the_packets_mark_is_right_where_it_has_one() {
        for (chain, erases) in [
            ("type filter hook prerouting priority mangle + 5; policy accept;", true),
            ("type filter hook prerouting priority mangle + 6; policy accept;", false),
            ("type filter hook postrouting priority mangle; policy accept;", false),
            ("type filter hook output priority mangle; policy accept;", true),
        ] {
            assert_eq!(found(chain, &["ct mark set meta mark"]).is_empty(), !erases, "{chain}");
        }
        assert_eq!(
            found("type filter hook postrouting priority mangle; policy accept;", &["ct mark set 0x1"]).len(),
            1
        );
    }

    #[test]
    fn chains_are_told_by_where_they_hook_in() {
        let look = "ct mark & 0x0f000000 != 0x00000000 accept";
        let drop = |rest: &str| format!("type filter hook {rest} policy drop;");
        let unseen = vec![FindingKind::DropsUnseen { marks: Marks::default() }];
        assert_eq!(found(&drop("forward priority filter;"), &["accept"]), unseen);
        assert_eq!(found(&drop("forward priority filter;"), &[look]), []);
        assert_eq!(found(&drop("forward priority filter - 6;"), &["accept"]), []);
        assert_eq!(found(&drop("ingress priority filter;"), &["accept"]), []);
        assert_eq!(found(MANGLE, &[look]), [FindingKind::LooksTooEarly { priority: -150, ours: -145 }]);
        assert_eq!(found("type filter hook prerouting priority mangle + 6; policy accept;", &[look]), []);
        assert_eq!(
            found(
                "type filter hook output priority filter - 5; policy accept;",
                &["meta mark & 0x01000000 == 0x01000000 accept"]
            ),
            [FindingKind::LooksTooEarly { priority: -5, ours: -5 }]
        );
        assert_eq!(found("type filter hook forward priority -300; policy accept;", &[look]), []);
        let nat = "type nat hook prerouting priority dstnat; policy accept;";
        assert_eq!(found(nat, &["tcp dport 80 dnat to 10.0.0.2"]), []);
        assert_eq!(found(nat, &["meta mark set meta mark | 0x00000100"]), [FindingKind::MarksInNat]);
        assert_eq!(
            found("type nat hook prerouting priority raw; policy accept;", &["tcp dport 80 dnat to 10.0.0.2"]),
            [FindingKind::TranslatesTooEarly { priority: -300, ours: -145 }]
        );
        assert_eq!(found(MANGLE, &["notrack"]), [FindingKind::Untracked]);
        assert_eq!(found(MANGLE, &["counter packets 0 bytes 0 xt target \"CONNMARK\""]), [FindingKind::Opaque]);
    }

    #[test]
    fn texts_name_the_remedy() {
        let text = "table ip6 filter { # handle 7\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
        let findings = lint(&Firewall::default(), text);
        assert_eq!(
            findings[0].to_string(),
            "ip6 filter, chain FORWARD: drops what ours let through; add a rule `ct mark & 0x0f000000 != 0x00000000 accept`"
        );
    }

    #[test]
    fn our_own_table_and_what_cannot_be_read_are_passed_over() {
        let firewall = Firewall { rest: crate::Rest::DropAll, ..Firewall::default() };
        assert_eq!(lint(&firewall, &firewall.table().to_string()), []);
        for text in [
            "",
            "}",
            "{",
            "table",
            "table inet x {",
            "chain c {\n meta mark set 1\n}",
            "table inet x {\n\tset s {\n\t\telements = { a }\n",
        ] {
            assert_eq!(lint(&firewall, text), []);
        }
        // Bridges and devices see other packets.
        assert_eq!(lint(&firewall, "table bridge b {\n\tchain c {\n\t\tmeta mark set 0x1\n\t}\n}\n"), []);
    }
}
