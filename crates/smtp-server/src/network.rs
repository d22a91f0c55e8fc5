//! A network of addresses, such as `10.0.0.0/24`.

use std::net::IpAddr;

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/24`, `2001:db8::/32`, or one address. `None` for anything else, also where bits stand behind
    /// the prefix: `10.0.0.7/24` may mean one address or all of them, and what is trusted must not be guessed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let network = Self { address, prefix: prefix.unwrap_or(most) };
        let is_plain = first_bits(address, network.prefix) == address && address.to_canonical() == address;
        (network.prefix <= most && is_plain).then_some(network)
    }

    /// Whether an address is in it. An IPv4 address within IPv6 counts as the IPv4 address that it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && first_bits(address, self.prefix) == self.address
    }
}

/// The address with all bits behind the prefix off.
fn first_bits(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/24", "10.0.0.255") && !holds("10.0.0.0/24", "10.0.1.0"));
        assert!(holds("10.0.0.0/24", "::ffff:10.0.0.1") && !holds("10.0.0.0/24", "::1"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("::1/128", "::1"));
    }

    #[test]
    fn what_could_be_meant_otherwise_is_no_network() {
        for bad in [
            "",
            "10.0.0.7/24",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0/24",
            "::1/64",
            "::/129",
            "mx.x.example",
            "10.0.0.0/-1",
            "::ffff:10.0.0.0/120",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
