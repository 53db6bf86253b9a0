//! Enode URLs: `enode://KEY@HOST:TCP?discport=UDP`
//! ([specification](https://ethereum.org/en/developers/docs/networking-layer/network-addresses/)).

use starling_primitives::{PeerId, peer_id};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// Longest DNS name, in bytes (RFC 1035).
const DNS_NAME_BYTES_MAX: usize = 253;

/// Where a node says it is, without proof.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Enode {
    /// The node's public key.
    pub id: PeerId,
    /// Its address, or a name to ask for one.
    pub host: Host,
    /// RLPx port; 0 if it takes no connections, as a boot node may.
    pub tcp: u16,
    /// Discovery port; in the text `discport`, left out when equal to the TCP port.
    pub udp: u16,
}

/// The host part of an enode URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address; in the text IPv6 stands in brackets.
    Ip(IpAddr),
    /// A DNS name, lower case. Whoever dials resolves it, each time anew.
    Dns(String),
}

/// What is wrong with an enode URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnode {
    /// Another scheme.
    #[error("an enode URL begins with enode://")]
    Scheme,
    /// The part before `@` is not a public key.
    #[error("before the @ of an enode URL stands a public key of 128 hex digits")]
    Key,
    /// The part after `@` is neither an address nor a DNS name.
    #[error("after the @ of an enode URL stands an IPv4 address, an IPv6 address in brackets, or a DNS name")]
    Host,
    /// No port, or not a number up to 65535.
    #[error("an enode URL needs a port from 0 to 65535 after its host")]
    Port,
    /// The query is not `discport=NUMBER`.
    #[error("the only query of an enode URL is ?discport=PORT")]
    Query,
}

impl FromStr for Enode {
    type Err = InvalidEnode;

    fn from_str(text: &str) -> Result<Self, InvalidEnode> {
        let rest = text.trim().strip_prefix("enode://").ok_or(InvalidEnode::Scheme)?;
        let (key, rest) = rest.split_once('@').ok_or(InvalidEnode::Key)?;
        let id = parse_key(key)?;
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let (host, port) = place.trim_end_matches('/').rsplit_once(':').ok_or(InvalidEnode::Port)?;
        let host = host.parse()?;
        let tcp = parse_port(port).ok_or(InvalidEnode::Port)?;
        let udp = match query {
            None => tcp,
            Some(query) => query.strip_prefix("discport=").and_then(parse_port).ok_or(InvalidEnode::Query)?,
        };
        Ok(Self { id, host, tcp, udp })
    }
}

fn parse_key(text: &str) -> Result<PeerId, InvalidEnode> {
    if text.len() != 128 {
        return Err(InvalidEnode::Key);
    }
    let id: PeerId = text.parse().map_err(|_| InvalidEnode::Key)?;
    peer_id::is_valid(&id).then_some(id).ok_or(InvalidEnode::Key)
}

fn parse_port(text: &str) -> Option<u16> {
    // `u16::from_str` takes a plus sign, a URL does not.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl FromStr for Host {
    type Err = InvalidEnode;

    fn from_str(text: &str) -> Result<Self, InvalidEnode> {
        if let Some(inside) = text.strip_prefix('[') {
            let ip: Ipv6Addr = inside.strip_suffix(']').and_then(|ip| ip.parse().ok()).ok_or(InvalidEnode::Host)?;
            return Ok(Self::Ip(IpAddr::V6(ip).to_canonical()));
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        is_dns_name(text).then(|| Self::Dns(text.to_ascii_lowercase())).ok_or(InvalidEnode::Host)
    }
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let labels = text.strip_suffix('.').unwrap_or(text);
    // A last label of digits is an IPv4 address gone wrong, not a name.
    let last_is_number = labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= DNS_NAME_BYTES_MAX && labels.split('.').all(label) && !last_is_number
}

impl fmt::Display for Enode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enode://{:x}@{}:{}", self.id, self.host, self.tcp)?;
        if self.udp != self.tcp {
            write!(f, "?discport={}", self.udp)?;
        }
        Ok(())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f";

    fn check(place: &str, expect: Result<(Host, u16, u16), InvalidEnode>) {
        let text = format!("enode://{KEY}@{place}");
        let parsed = text.parse::<Enode>();
        assert_eq!(parsed.clone().map(|enode| (enode.host, enode.tcp, enode.udp)), expect, "{text}");
        if let Ok(enode) = parsed {
            assert_eq!(enode.to_string().parse(), Ok(enode), "{text}");
        }
    }

    fn ip(text: &str) -> Host {
        Host::Ip(text.parse().unwrap())
    }

    #[test]
    fn hosts_and_ports() {
        check("127.0.0.1:30303", Ok((ip("127.0.0.1"), 30303, 30303)));
        check("127.0.0.1:0?discport=30301", Ok((ip("127.0.0.1"), 0, 30301)));
        check("[2001:db8::1]:30303?discport=7", Ok((ip("2001:db8::1"), 30303, 7)));
        check("[::ffff:10.0.0.1]:30303", Ok((ip("10.0.0.1"), 30303, 30303)));
        check("Boot-1.example.org:30303", Ok((Host::Dns("boot-1.example.org".into()), 30303, 30303)));
        check("node:30303", Ok((Host::Dns("node".into()), 30303, 30303)));
        check("300.0.0.1:30303", Err(InvalidEnode::Host));
        check("2001:db8::1:30303", Err(InvalidEnode::Host));
        check(":30303", Err(InvalidEnode::Host));
        check("a..b:1", Err(InvalidEnode::Host));
        check("127.0.0.1", Err(InvalidEnode::Port));
        check("127.0.0.1:", Err(InvalidEnode::Port));
        check("127.0.0.1:65536", Err(InvalidEnode::Port));
        check("127.0.0.1:+1", Err(InvalidEnode::Port));
        check("127.0.0.1:1?udp=2", Err(InvalidEnode::Query));
        check("127.0.0.1:1?discport=x", Err(InvalidEnode::Query));
    }

    #[test]
    fn keys() {
        let check = |text: &str, expect| assert_eq!(text.parse::<Enode>(), Err(expect), "{text}");
        check("http://example.org", InvalidEnode::Scheme);
        check("enode://127.0.0.1:30303", InvalidEnode::Key);
        check("enode://0x1234@127.0.0.1:30303", InvalidEnode::Key);
        check(&format!("enode://0x{}@127.0.0.1:30303", &KEY[2..]), InvalidEnode::Key);
        check(&format!("enode://{}@127.0.0.1:30303", "11".repeat(64)), InvalidEnode::Key);
    }
}
