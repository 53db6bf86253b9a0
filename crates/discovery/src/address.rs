//! What kind of address it is, and which addresses one node may name to another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The neighbourhood of an address: the first 24 bits of IPv4, 48 of IPv6. Whoever owns one address of it cheaply owns
/// many, so tables and votes count neighbourhoods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet(IpAddr);

impl Subnet {
    /// The neighbourhood of that address.
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !0 << 80).into(),
        })
    }
}

/// Whether the address is of this machine or of a network without strangers: loopback, private, link-local.
/// Limits by subnet do not hold there.
pub fn is_lan(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether `relayer` may tell us of a node at `ip`: never of addresses that no node can have, of this machine only if
/// it is on it, of private networks only if it is on one. Else strangers could make us send packets into our own
/// network.
pub fn may_relay(relayer: IpAddr, ip: IpAddr) -> bool {
    let (relayer, ip) = (relayer.to_canonical(), ip.to_canonical());
    !ip.is_unspecified()
        && !ip.is_multicast()
        && !is_reserved(ip)
        && (!ip.is_loopback() || relayer.is_loopback())
        && (!is_lan(ip) || is_lan(relayer))
}

/// Blocks of the registries of special addresses (RFC 6890) that are not globally reachable and not a LAN.
fn is_reserved(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            a == 0
                || a >= 240
                || ip.is_documentation()
                || (a, b, c) == (192, 0, 0)
                || (a, b, c) == (192, 88, 99)
                || (a == 198 && (b == 18 || b == 19))
        }
        IpAddr::V6(ip) => {
            let segments = ip.segments();
            // discard-only, Teredo, documentation, 6to4
            segments[..4] == [0x100, 0, 0, 0]
                || segments[..2] == [0x2001, 0]
                || segments[..2] == [0x2001, 0xdb8]
                || segments[0] == 0x2002
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_may_name_whom() {
        let check = |relayer: &str, about: &str, expect| {
            assert_eq!(may_relay(ip(relayer), ip(about)), expect, "{relayer} names {about}");
        };
        check("8.8.8.8", "1.1.1.1", true);
        check("8.8.8.8", "10.0.0.1", false);
        check("8.8.8.8", "127.0.0.1", false);
        check("8.8.8.8", "::ffff:127.0.0.1", false);
        check("10.0.0.2", "10.0.0.1", true);
        check("10.0.0.2", "127.0.0.1", false);
        check("127.0.0.1", "127.0.0.2", true);
        check("127.0.0.1", "10.0.0.1", true);
        check("127.0.0.1", "8.8.8.8", true);
        check("8.8.8.8", "2606:4700::1111", true);
        check("8.8.8.8", "fe80::1", false);
        for nobody in
            ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "192.0.2.1", "2001:db8::1", "198.18.0.1"]
        {
            check("127.0.0.1", nobody, false);
        }
    }

    #[test]
    fn neighbourhoods() {
        let check = |a: &str, b: &str, same| assert_eq!(Subnet::of(ip(a)) == Subnet::of(ip(b)), same, "{a} {b}");
        check("1.2.3.4", "1.2.3.255", true);
        check("1.2.3.4", "1.2.4.4", false);
        check("1.2.3.4", "::ffff:1.2.3.9", true);
        check("2a00:1:2:3::1", "2a00:1:2:ffff::2", true);
        check("2a00:1:2::1", "2a00:1:3::1", false);
    }
}
