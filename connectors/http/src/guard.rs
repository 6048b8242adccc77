//! Which addresses a connector may talk to.
//!
//! A target on the organization's own network is the normal case here, so private and loopback
//! addresses are fine. What no target ever has is refused whatever the configuration says: a cloud
//! machine's metadata service, which hands out its credentials to whoever asks, and addresses that
//! name no single machine. The check is made on the address that is about to be connected to, not
//! on the name, since a name may answer differently the next time it is asked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// One entry of `allow_networks`: `10.20.0.0/16`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok().map(Self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor rather than a `String`, so that a mistake in a list points at its line.
        deserializer.deserialize_str(NetworkVisitor)
    }
}

struct NetworkVisitor;

impl Visitor<'_> for NetworkVisitor {
    type Value = Network;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network such as \"10.20.0.0/16\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
        Network::parse(text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not a network; write it like \"10.20.0.0/16\" or \"10.20.0.5\""
            ))
        })
    }
}

/// An address that a connector may not talk to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is refused: {why}")]
pub struct RefusedAddress {
    pub address: IpAddr,
    why: &'static str,
}

/// Decides over addresses.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Only these, where it is given.
    allow: Option<Vec<Network>>,
}

impl Guard {
    pub fn new(allow_networks: Option<Vec<Network>>) -> Self {
        Self { allow: allow_networks }
    }

    /// Whether a connection to `address` may be opened.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let refused = |why| Err(RefusedAddress { address, why });
        let inner = embedded(address).map(IpAddr::V4);
        if let Some(why) = never(address).or_else(|| inner.and_then(never)) {
            return refused(why);
        }
        let Some(allow) = &self.allow else { return Ok(()) };
        let address = address.to_canonical();
        if allow.iter().any(|network| network.0.contains(&address)) {
            return Ok(());
        }
        refused("it is in none of `allow_networks`")
    }
}

/// Why nobody's target is ever at this address.
fn never(address: IpAddr) -> Option<&'static str> {
    const METADATA: &str = "cloud machines have their metadata service there";
    match address {
        IpAddr::V4(v4) if METADATA_V4.contains(&v4) => Some(METADATA),
        IpAddr::V6(v6) if METADATA_V6.contains(&v6) => Some(METADATA),
        // RFC 3927, which the usual metadata address 169.254.169.254 is a part of.
        IpAddr::V4(v4) if v4.is_link_local() => Some("it is link-local"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("it is link-local"),
        // RFC 6890: "this network", and what is reserved up to the broadcast address.
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("it is unspecified"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 => Some("it is reserved or broadcast"),
        address if address.is_unspecified() => Some("it is unspecified"),
        address if address.is_multicast() => Some("it is multicast"),
        _ => None,
    }
}

/// Azure's host channel, Alibaba Cloud, Oracle Cloud (as its DNS listens).
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Amazon EC2 and Google Compute Engine over IPv6.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
];

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291 section 2.5.5.2), the older
/// compatible form, NAT64 (RFC 6052 section 2.1) and 6to4 (RFC 3056 section 2).
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let s = v6.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(joined(high, low))
        }
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(joined(high, low)),
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(guard: &Guard, address: &str, allowed: bool) {
        let answer = guard.check(address.parse().unwrap());
        assert_eq!(answer.is_ok(), allowed, "{address}: {answer:?}");
    }

    #[test]
    fn what_no_target_has_is_always_refused() {
        let open = Guard::default();
        let everything = ["0.0.0.0/0", "::/0"].map(|text| Network::parse(text).unwrap());
        let wide = Guard::new(Some(everything.to_vec()));
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "febf::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "239.255.255.250",
            "ff02::1",
            "240.0.0.1",
            "255.255.255.255",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            check(&open, address, false);
            check(&wide, address, false);
        }
    }

    #[test]
    fn a_target_may_be_on_this_machine_or_on_the_own_network() {
        let open = Guard::default();
        for address in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.1.2.3",
            "172.16.0.9",
            "192.168.1.1",
            "fd00::8",
            "198.51.100.7",
            "2001:db8::7",
        ] {
            check(&open, address, true);
        }
    }

    #[test]
    fn with_allow_networks_only_those_are_reached() {
        let networks = ["10.20.0.0/16", "fd12::/16", "192.0.2.5"];
        let guard = Guard::new(Some(networks.map(|text| Network::parse(text).unwrap()).to_vec()));
        for (address, allowed) in [
            ("10.20.3.4", true),
            ("::ffff:10.20.3.4", true),
            ("10.21.0.1", false),
            ("fd12::9", true),
            ("fd13::9", false),
            ("192.0.2.5", true),
            ("192.0.2.6", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            check(&guard, address, allowed);
        }
    }
}
