//! Which peers may connect to a listener that stands behind a declared proxy.
//!
//! Must never look at a header: who a peer is, the kernel says. Whoever the proxy speaks for is not told
//! here at all (`X-Forwarded-For` and its like are ignored, CASES A28).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all addresses with a common beginning (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is neither an address nor an address and a length.
    #[error("it is neither an address nor a network in CIDR form")]
    Form,
    /// It has bits behind its length: an address was meant, or another length.
    #[error("it has bits set behind its length")]
    Bits,
}

impl Network {
    /// Whether `address` belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }

    /// Whether every address of its family belongs to it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) =
            text.split_once('/').map_or((text, None), |(own, length)| (own, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |length: &&str| length.bytes().all(|digit| digit.is_ascii_digit());
        let bits = match length {
            None => whole,
            Some(length) => Some(length)
                .filter(is_number)
                .and_then(|length| length.parse().ok())
                .filter(|bits| *bits <= whole)
                .ok_or(NetworkError::Form)?,
        };
        let behind = match address {
            IpAddr::V4(address) => address.to_bits().checked_shl(bits).unwrap_or(0) != 0,
            IpAddr::V6(address) => address.to_bits().checked_shl(bits).unwrap_or(0) != 0,
        };
        if behind { Err(NetworkError::Bits) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_like_it_and_nothing_else() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"), "as a socket of both families shows it");
        assert!(!holds("10.0.0.0/8", "::1") && !holds("::/0", "10.0.0.1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe00::1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().is_everything());
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in [
            "",
            "proxy.example",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Form), "{text}");
        }
        for text in ["10.0.0.1/8", "fd00::1/8", "10.0.0.1/0"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Bits), "{text}");
        }
    }
}
