//! Addresses that are near each other, and the lists of networks that an operator allows.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Prefix of IPv4 addresses that count as one neighbourhood, in bits.
const V4_NEIGHBOURS_BITS: u8 = 24;
/// The same for IPv6: the smallest network that one customer gets.
const V6_NEIGHBOURS_BITS: u8 = 64;

/// A network: all addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    first: IpAddr,
    bits: u8,
}

/// The text is no network like `10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write addresses like 10.0.0.0/8 or fd00::/8")]
pub struct InvalidSubnet(String);

impl Subnet {
    /// The network of the address with that many leading bits; more bits than an address has count as all.
    pub fn of(ip: IpAddr, bits: u8) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Self { first: Ipv4Addr::from_bits(ip.to_bits() & mask).into(), bits }
            }
            IpAddr::V6(ip) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Self { first: Ipv6Addr::from_bits(ip.to_bits() & mask).into(), bits }
            }
        }
    }

    /// The neighbourhood that caps count by: /24 or /64.
    pub fn neighbourhood(ip: IpAddr) -> Self {
        let bits = if ip.to_canonical().is_ipv4() { V4_NEIGHBOURS_BITS } else { V6_NEIGHBOURS_BITS };
        Self::of(ip, bits)
    }

    /// Whether the address belongs to it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.first.is_ipv4() == ip.to_canonical().is_ipv4() && Self::of(ip, self.bits) == *self
    }
}

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    /// `ADDRESS/BITS`, or an address alone.
    fn from_str(text: &str) -> Result<Self, InvalidSubnet> {
        let invalid = || InvalidSubnet(text.into());
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.trim().parse().map_err(|_| invalid())?;
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), |bits| bits.trim().parse()).map_err(|_| invalid())?;
        if bits > bits_max {
            return Err(invalid());
        }
        Ok(Self::of(ip, bits))
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// Whether an address is this machine's or a private network's. Caps and throttles by address do not hold there:
/// the machines behind it are the operator's own.
pub fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let check = |subnet: &str, ip: &str, expect: bool| {
            assert_eq!(subnet.parse::<Subnet>().unwrap().contains(ip.parse().unwrap()), expect, "{ip} in {subnet}");
        };
        check("127.0.0.0/8", "127.0.0.2", true);
        check("127.0.0.0/8", "::ffff:127.0.0.2", true);
        check("127.0.0.0/8", "128.0.0.2", false);
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("fd00::/8", "fd12::1", true);
        check("::/0", "2001:db8::1", true);
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/-1", "x/8"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        assert_eq!("10.1.2.3/8".parse::<Subnet>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn neighbours_share_a_24_or_a_64() {
        let check = |a: &str, b: &str, expect: bool| {
            let near = Subnet::neighbourhood(a.parse().unwrap()) == Subnet::neighbourhood(b.parse().unwrap());
            assert_eq!(near, expect, "{a} {b}");
        };
        check("8.8.8.1", "8.8.8.250", true);
        check("8.8.8.1", "8.8.9.1", false);
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }
}
