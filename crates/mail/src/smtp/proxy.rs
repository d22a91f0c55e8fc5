//! The PROXY protocol, versions 1 and 2: a balancer's first octets say whose connection it passes on.
//!
//! Nothing beyond the header is ever asked for, so that a driver that reads as told takes no octet of SMTP or TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1 begins.
const PREFIX: &[u8] = b"PROXY ";
/// Longest line of version 1, its end included.
const MAX_LINE: usize = 107;
/// Shortest line of version 1: `PROXY UNKNOWN`.
const MIN_LINE: usize = 15;
/// Octets of version 2 before its addresses.
const HEAD: usize = 16;
/// Most octets of addresses and extensions in version 2 that are read.
const MAX_BODY: usize = 4_096;

/// What the octets so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// At least so many further octets belong to the header.
    Incomplete(usize),
    /// The header is complete.
    Done {
        /// Octets of the header.
        used: usize,
        /// The client; `None` where the balancer speaks for itself or does not know (LOCAL, UNKNOWN).
        client: Option<IpAddr>,
    },
    /// No PROXY header.
    Invalid,
}

/// Reads a header from the start of `octets`.
#[must_use]
pub fn parse(octets: &[u8]) -> Proxy {
    let begins = |with: &[u8]| octets.iter().zip(with).all(|(a, b)| a == b);
    if begins(&SIGNATURE) && begins(PREFIX) {
        // Not one octet yet.
        return Proxy::Incomplete(MIN_LINE);
    }
    if begins(PREFIX) {
        parse_line(octets)
    } else if begins(&SIGNATURE) {
        parse_binary(octets)
    } else {
        Proxy::Invalid
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.2 51234 25`.
fn parse_line(octets: &[u8]) -> Proxy {
    let Some(end) = memchr::memchr(b'\n', &octets[..octets.len().min(MAX_LINE)]) else {
        return if octets.len() < MAX_LINE { Proxy::Incomplete(MIN_LINE.saturating_sub(octets.len()).max(1)) } else { Proxy::Invalid };
    };
    match octets[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).and_then(read_line) {
        Some(client) => Proxy::Done { used: end + 1, client },
        None => Proxy::Invalid,
    }
}

fn read_line(line: &str) -> Option<Option<IpAddr>> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, destination) = (words.next()?, words.next()?);
    let client: IpAddr = match family {
        "TCP4" if destination.parse::<Ipv4Addr>().is_ok() => source.parse::<Ipv4Addr>().ok()?.into(),
        "TCP6" if destination.parse::<Ipv6Addr>().is_ok() => source.parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    let ports = (words.next()?.parse::<u16>(), words.next()?.parse::<u16>());
    (ports.0.is_ok() && ports.1.is_ok() && words.next().is_none()).then(|| Some(client.to_canonical()))
}

/// Version 2: signature, version and command, family, length, addresses, extensions that are passed over.
fn parse_binary(octets: &[u8]) -> Proxy {
    let Some(&[command, family, high, low]) = octets.get(SIGNATURE.len()..HEAD) else { return Proxy::Incomplete(HEAD - octets.len()) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, 0x20 | 0x21) || length > MAX_BODY {
        return Proxy::Invalid;
    }
    let used = HEAD + length;
    let Some(body) = octets.get(HEAD..used) else { return Proxy::Incomplete(used - octets.len()) };
    let client = match (command, family) {
        (0x21, 0x11) if length >= 12 => Some(IpAddr::from(first::<4>(body))),
        (0x21, 0x21) if length >= 36 => Some(IpAddr::from(first::<16>(body))),
        (0x21, 0x11 | 0x21) => return Proxy::Invalid,
        // LOCAL, or a family that is none of the Internet: the connection's own address counts.
        _ => None,
    };
    Proxy::Done { used, client: client.map(|address| address.to_canonical()) }
}

fn first<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&octets[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    #[test]
    fn both_versions_tell_the_client() {
        let client = |octets: &[u8]| match parse(octets) {
            Proxy::Done { used, client } => {
                assert_eq!(used, octets.len());
                client.map(|c| c.to_string())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(client(b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 25\r\n").as_deref(), Some("192.0.2.1"));
        assert_eq!(client(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n").as_deref(), Some("2001:db8::1"));
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(client(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), None);
        let v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0, 1, 0, 2];
        assert_eq!(client(&version2(0x21, 0x11, &v4)).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&version2(0x21, 0x11, &[&v4[..], b"extension"].concat())).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&version2(0x20, 0x11, &v4)), None);
        assert_eq!(client(&version2(0x20, 0, &[])), None);
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(client(&version2(0x21, 0x21, &v6)).as_deref(), Some("2001:db8::"));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [
            "EHLO c\r\n",
            "\r\n\r\nEHLO",
            "PROXY TCP4 192.0.2.1 198.51.100.2 51234 25\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 51234 99999\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), Proxy::Invalid, "{bad:?}");
        }
        assert_eq!(parse(&[PREFIX, &[b'x'; 200]].concat()), Proxy::Invalid);
        assert_eq!(parse(&version2(0x22, 0x11, &[0; 12])), Proxy::Invalid);
        assert_eq!(parse(&version2(0x21, 0x11, &[0; 11])), Proxy::Invalid);
        assert_eq!(parse(&version2(0x21, 0x11, &[0; MAX_BODY + 1])), Proxy::Invalid);
    }

    proptest! {
        #[test]
        fn no_octet_behind_the_header_is_ever_asked_for(
            is_binary in any::<bool>(),
            body in prop::collection::vec(any::<u8>(), 12..80),
            port in any::<u16>(),
        ) {
            let header = if is_binary { version2(0x21, 0x11, &body) } else { format!("PROXY TCP6 ::1 ::2 {port} 25\r\n").into_bytes() };
            let mut read = 0;
            while let Proxy::Incomplete(more) = parse(&header[..read]) {
                prop_assert!(more > 0);
                read += more;
                prop_assert!(read <= header.len());
            }
            prop_assert_eq!(read, header.len());
            let followed = [&header[..], b"EHLO c\r\n"].concat();
            prop_assert_eq!(parse(&followed), parse(&header));
        }

        #[test]
        fn any_octets_are_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&octets);
            let _ = parse(&[&SIGNATURE[..], &octets].concat());
            let _ = parse(&[PREFIX, &octets].concat());
        }
    }
}
