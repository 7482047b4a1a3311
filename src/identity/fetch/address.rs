//! Where the keys of an issuer may be fetched from, judged by the address that is really connected to.
//!
//! Must never judge a name: a name can resolve to anything, and to something else the next time (CASES
//! A44). It trusts the operator for the URL; what it resolves to is somebody else's choice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the URL says about where its host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It names loopback itself: only that may be connected to.
    Loopback,
    /// It names another host: loopback may not be connected to.
    Network,
}

impl Reach {
    /// The reach of a host as it stands in a URL, without brackets.
    pub(super) fn of(host: &str) -> Self {
        let is_loopback = match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        };
        if is_loopback { Self::Loopback } else { Self::Network }
    }

    /// Whether `address` may be connected to.
    pub(super) fn permits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Network => match address {
                IpAddr::V4(address) => is_usable_v4(address),
                IpAddr::V6(address) => is_usable_v6(address),
            },
        }
    }
}

/// Private ranges are usable: that is where an operator's own issuer stands. What serves credentials of
/// machines is not (`METADATA_V4`, and all of link-local).
fn is_usable_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    // 0/8 is "this network", 240/4 reserved and with it broadcast (RFC 6890).
    let is_reserved = first == 0 || first >= 240;
    !(is_reserved
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || METADATA_V4.contains(&address))
}

fn is_usable_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [first, second, ..] = segments;
    // An IPv4 address inside of an IPv6 one goes where no rule for IPv4 looks.
    let embeds_v4 = match segments {
        // IPv4-compatible, `::` and `::1` among them (RFC 4291 §2.5.5.1).
        [0, 0, 0, 0, 0, 0, _, _] => true,
        // IPv4-translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0xffff, 0, _, _] => true,
        // NAT64 (RFC 6052 §2.1, RFC 8215), Teredo (RFC 4380), 6to4 (RFC 3056).
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] | [0x2002, ..] => true,
        // ISATAP (RFC 5214 §6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => true,
        _ => false,
    };
    let is_link_or_site_local = matches!(first & 0xffc0, 0xfe80 | 0xfec0);
    // fd00:ec2::/32 holds what Amazon serves to its machines.
    let is_metadata = (first, second) == (0xfd00, 0x0ec2);
    !(embeds_v4 || is_link_or_site_local || is_metadata || address.is_multicast())
}

/// What providers serve to their machines outside of link-local: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a44_what_a_name_resolves_to_is_judged_and_not_the_name() {
        let network = |text: &str| Reach::Network.permits(text.parse().unwrap());
        for usable in
            ["93.184.216.34", "10.1.2.3", "192.168.1.1", "172.16.0.1", "2606:4700::1", "fd12:3456::1"]
        {
            assert!(network(usable), "{usable}");
        }
        let refused = [
            "169.254.169.254",
            "169.254.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:7f00:1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "2002:a9fe:a9fe::1",
            "2001::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2606:4700::5efe:7f00:1",
        ];
        for address in refused {
            assert!(!network(address), "{address}");
        }
    }

    #[test]
    fn loopback_is_reached_only_where_the_url_names_it() {
        for host in ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LocalHost"] {
            assert_eq!(Reach::of(host), Reach::Loopback, "{host}");
        }
        for host in ["idp.example", "localhost.example", "10.0.0.1", "2130706433", "127.1", "::ffff:7f00:1"] {
            assert_eq!(Reach::of(host), Reach::Network, "{host}");
        }
        for address in ["10.0.0.1", "169.254.169.254", "0.0.0.0", "::", "2606:4700::1"] {
            assert!(!Reach::Loopback.permits(address.parse().unwrap()), "{address}");
        }
        assert!(Reach::Loopback.permits("::1".parse().unwrap()));
    }
}
