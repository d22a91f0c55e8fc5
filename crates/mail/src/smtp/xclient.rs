//! XCLIENT, by which a relay tells for whom it speaks (Postfix's XCLIENT_README). Offered to trusted relays only.

use std::net::IpAddr;

use crate::smtp::dsn_request::decode_xtext;

/// The offer in EHLO.
pub(crate) const OFFER: &str = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN";
/// Longest name of a client that is kept.
const MAX_HELO: usize = 255;

/// What a relay told of its client. Commands add up, as a relay splits what is too long for one line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) address: Option<IpAddr>,
    pub(crate) helo: Option<String>,
}

impl Told {
    /// Takes the attributes of one command; `None` if one of them is not understood.
    pub(crate) fn with(mut self, attributes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(attributes).ok()?;
        let mut count = 0;
        for attribute in text.split_ascii_whitespace() {
            let (name, value) = attribute.split_once('=')?;
            let value = decode_xtext(value)?;
            let is_known = !value.eq_ignore_ascii_case("[UNAVAILABLE]") && !value.eq_ignore_ascii_case("[TEMPUNAVAIL]");
            match name.to_ascii_uppercase().as_str() {
                "ADDR" => self.address = if is_known { Some(read_address(&value)?) } else { None },
                "HELO" => self.helo = (is_known && value.len() <= MAX_HELO).then_some(value),
                // Nothing here depends on them; a login of theirs is none of ours.
                "NAME" | "PORT" | "PROTO" | "LOGIN" | "DESTADDR" | "DESTPORT" => {}
                _ => return None,
            }
            count += 1;
        }
        (count > 0).then_some(self)
    }
}

/// RFC 5321, section 4.1.3, without the brackets: IPv6 addresses begin with `IPV6:`.
fn read_address(text: &str) -> Option<IpAddr> {
    let is_tagged = text.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPV6:"));
    text.get(if is_tagged { 5 } else { 0 }..)?.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_add_up_and_unavailable_ones_are_forgotten() {
        let told = Told::default().with(b" NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=25 PROTO=ESMTP").unwrap();
        assert_eq!(told.address, Some(IpAddr::from([192, 0, 2, 7])));
        let told = told.with(b"HELO=mail+2Ex.example addr=IPV6:2001:db8::1").unwrap();
        assert_eq!((told.helo.as_deref(), told.address), (Some("mail.x.example"), "2001:db8::1".parse().ok()));
        let told = told.with(b"ADDR=[TEMPUNAVAIL]").unwrap();
        assert_eq!(told.address, None);
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        for bad in ["", "ADDR", "ADDR=mail.x.example", "COLOUR=blue", "HELO=+4", "ADDR=\u{fffd}"] {
            assert!(Told::default().with(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
