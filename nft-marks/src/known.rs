//! Who else writes which bits of the packet mark.

/// A program that is widely used on the same hosts, and the marks that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownUser {
    /// What it is.
    pub name: &'static str,
    /// The bits that it writes, unless it is configured otherwise.
    pub bits: u32,
    /// Whether it writes whole marks, and so erases the bits of everybody else.
    pub whole: bool,
    /// What there is to know besides.
    pub note: &'static str,
}

impl KnownUser {
    /// Whether it and this mask cannot be on one host as they are.
    pub fn clashes(&self, mask: crate::Mask) -> bool {
        self.bits & mask.bits() != 0
    }
}

/// The widely used ones, by the bits that their documentation or source says.
pub const KNOWN_USERS: &[KnownUser] = &[
    user("Cilium", 0xffff_1fff, false, "with identities in effect all bits"),
    user("Calico", 0xffff_0000, false, "its default; `iptablesMarkMask` or `nftablesMarkMask` makes it smaller"),
    user("kube-proxy", 0x0000_c000, false, "0x4000 masquerades, 0x8000 drops"),
    user("Tailscale", 0x00ff_0000, false, "0x40000 and 0x80000"),
    user("kube-router, network policies of k3s", 0x0001_0000, false, ""),
    user("Netbird", 0x0001_bd13, true, "the whole values 0x1bd00, 0x1bd01, 0x1bd11 and 0x1bd12"),
    user("netavark, CNI portmap", 0x0000_2000, false, ""),
    user("mwan3", 0x0000_3f00, false, ""),
    user("Talos", 0x0000_0060, false, "0x20 and 0x40"),
    user("AWS VPC CNI", 0x0000_0080, false, ""),
    user("passwall", 0x0000_00ff, false, ""),
];

const fn user(name: &'static str, bits: u32, whole: bool, note: &'static str) -> KnownUser {
    KnownUser { name, bits, whole, note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mask;

    #[test]
    fn the_default_mask_is_the_one_that_hardly_anybody_writes() {
        let clashing =
            |mask: Mask| KNOWN_USERS.iter().filter(|user| user.clashes(mask)).map(|user| user.name).collect::<Vec<_>>();
        assert_eq!(clashing(Mask::default()), ["Cilium", "Calico"]);
        assert_eq!(clashing("0xc000".parse().unwrap()), ["kube-proxy", "Netbird"]);
        // Netbird's bits are those of its values.
        let bits = [0x1bd00, 0x1bd01, 0x1bd11, 0x1bd12].into_iter().fold(0, |all, value| all | value);
        assert_eq!(KNOWN_USERS.iter().find(|user| user.whole).unwrap().bits, bits);
    }
}
