//! What mail clients add by themselves: OpenPGP, S/MIME, TNEF, calendar entries and contact cards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::vectors::Case;
use crate::vectors::build::{be16, le16, le32, lines, part, to_base64};

/// Octets in place of numbers that no test computes with.
const NUMBER: [u8; 64] = [0xa5; 64];

/// An OpenPGP public key with its user id (RFC 9580), armoured.
pub fn openpgp_key(c: &Case<'_>) -> String {
    // Version 4, made in November 2026, RSA: modulus and exponent as multiprecision integers.
    let key = [b"\x04\x6a\xff\x00\x00\x01".as_slice(), &be16(512), &NUMBER, b"\x00\x11\x01\x00\x01"].concat();
    let user = format!("{} <{}>", c.name, c.address());
    armour("PUBLIC KEY BLOCK", &[packet(6, &key), packet(13, user.as_bytes())].concat())
}

/// A detached OpenPGP signature that names its signer by user id, armoured.
pub fn openpgp_signature(c: &Case<'_>) -> String {
    let subpacket = |kind: u8, octets: &[u8]| [be16(octets.len() + 1)[1..].to_vec(), vec![kind], octets.to_vec()].concat();
    // Time of making, then the signer's user id.
    let hashed = [subpacket(2, b"\x6a\xff\x00\x00"), subpacket(28, c.address().as_bytes())].concat();
    let issuer = subpacket(16, b"\x01\x23\x45\x67\x89\xab\xcd\xef");
    let head = [b"\x04\x01\x01\x08".to_vec(), be16(hashed.len()).to_vec(), hashed, be16(issuer.len()).to_vec(), issuer].concat();
    armour("SIGNATURE", &packet(2, &[head.as_slice(), b"\x12\x34", &be16(512), &NUMBER].concat()))
}

fn packet(tag: u8, octets: &[u8]) -> Vec<u8> {
    let length = octets.len();
    // Section 4.2.1: lengths below 192 take one octet, others here two.
    let length = if length < 192 { be16(length)[1..].to_vec() } else { be16(length - 192 + 0xc000).to_vec() };
    [vec![0xc0 | tag], length, octets.to_vec()].concat()
}

fn armour(kind: &str, octets: &[u8]) -> String {
    let crc = octets.iter().fold(0xb7_04ce_u32, |crc, octet| {
        (0..8).fold(crc ^ (u32::from(*octet) << 16), |crc, _| if crc & 0x80_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x186_4cfb })
    });
    let check = STANDARD.encode(&crc.to_be_bytes()[1..]);
    format!("-----BEGIN PGP {kind}-----\n\n{}={check}\n-----END PGP {kind}-----", lines(&STANDARD.encode(octets), 64))
}

/// CMS signed data (RFC 5652) that holds a certificate with the address in subject and alternative name.
pub fn smime_signature(c: &Case<'_>) -> Vec<u8> {
    const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    const SHA_256: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    const ONE: &[u8] = b"\x02\x01\x01";
    let algorithms = der(0x31, &der(0x30, SHA_256));
    let content = [ONE, &algorithms, &der(0x30, DATA), &der(0xa0, &certificate(c)), &der(0x31, b"")].concat();
    der(0x30, &[SIGNED_DATA, &der(0xa0, &der(0x30, &content))].concat())
}

/// X.509, version 3, with a signature of nobody.
fn certificate(c: &Case<'_>) -> Vec<u8> {
    const NULL: &[u8] = b"\x05\x00";
    const VERSION_AND_SERIAL: &[u8] = b"\xa0\x03\x02\x01\x02\x02\x01\x07";
    const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const RSA_SHA_256: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
    const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
    const EMAIL: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01";
    const ALTERNATIVE_NAME: &[u8] = b"\x06\x03\x55\x1d\x11";
    let address = c.address();
    let attribute = |kind: &[u8], tag: u8, text: &str| der(0x31, &der(0x30, &[kind, &der(tag, text.as_bytes())].concat()));
    let name = der(0x30, &[attribute(COMMON_NAME, 0x0c, &c.name), attribute(EMAIL, 0x16, &address)].concat());
    let algorithm = der(0x30, &[RSA_SHA_256, NULL].concat());
    let validity = der(0x30, &[der(0x17, b"261101000000Z"), der(0x17, b"271101000000Z")].concat());
    let number = der(0x02, &[b"\0".as_slice(), &NUMBER].concat());
    let key = der(0x30, &[number.as_slice(), b"\x02\x03\x01\x00\x01"].concat());
    let key = der(0x30, &[der(0x30, &[RSA, NULL].concat()), der(0x03, &[b"\0".as_slice(), &key].concat())].concat());
    // rfc822Name is [1] of GeneralName (RFC 5280, section 4.2.1.6).
    let names = der(0x04, &der(0x30, &der(0x81, address.as_bytes())));
    let extensions = der(0xa3, &der(0x30, &der(0x30, &[ALTERNATIVE_NAME, &names].concat())));
    let signed = [VERSION_AND_SERIAL, &algorithm, &name, &validity, &name, &key, &extensions].concat();
    let signature = der(0x03, &[b"\0".as_slice(), &NUMBER].concat());
    der(0x30, &[der(0x30, &signed), algorithm, signature].concat())
}

/// One element of ASN.1 in its distinguished encoding.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ ..128 => be16(short)[1..].to_vec(),
        middle @ 128..256 => [vec![0x81], be16(middle)[1..].to_vec()].concat(),
        long => [vec![0x82], be16(long).to_vec()].concat(),
    };
    [vec![tag], length, content.to_vec()].concat()
}

/// `winmail.dat`: the sender in an attribute of its own and in the MAPI properties (MS-OXTNEF).
pub fn tnef(c: &Case<'_>) -> Vec<u8> {
    let (name, address) = (format!("{}\0", c.name), format!("SMTP:{}\0", c.address()));
    // A one-off address: kind, length of the whole, of the name, of the address.
    let sizes = [le16(4), le16(16 + name.len() + address.len()), le16(name.len()), le16(address.len())].concat();
    let from = [sizes.as_slice(), name.as_bytes(), address.as_bytes(), &[0; 8]].concat();
    let property = |tag: usize, text: &str| {
        let mut octets = [le32(tag), le32(1), le32(text.len() + 1)].concat();
        octets.extend_from_slice(text.as_bytes());
        octets.push(0);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    };
    let properties = [
        le32(3).to_vec(),
        property(0x0c1a_001e, &c.name),
        property(0x0c1f_001e, &c.address()),
        property(0x1000_001e, "The body within the shell."),
    ]
    .concat();
    let attribute = |id: usize, octets: &[u8]| {
        let sum = octets.iter().fold(0_usize, |sum, octet| sum + usize::from(*octet)) & 0xffff;
        [vec![1], le32(id).to_vec(), le32(octets.len()).to_vec(), octets.to_vec(), le16(sum).to_vec()].concat()
    };
    [
        le32(0x223e_9f78).to_vec(),
        le16(1).to_vec(),
        attribute(0x0008_9006, &le32(0x0001_0000)),
        attribute(0x0006_9007, &[le32(1252), le32(0)].concat()),
        attribute(0x0007_8008, b"IPM.Microsoft Mail.Note\0"),
        attribute(0x0000_8000, &from),
        attribute(0x0006_9003, &properties),
    ]
    .concat()
}

/// An invitation (RFC 5545); lines are folded in the middle of the address.
pub fn calendar(c: &Case<'_>) -> String {
    let (name, address) = (&c.name, c.address());
    let (one, two) = address.split_at(11);
    let organizer = format!("ORGANIZER;CN=\"{name}\":mailto:{one}\n {two}\n");
    let attendee = format!("ATTENDEE;ROLE=REQ-PARTICIPANT;CN={name}:MAILTO:\n {one}\n {two}\n");
    format!(
        "BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nPRODID:-//Letters//EN\nBEGIN:VEVENT\nUID:{}\n{organizer}{attendee}DTSTART:20261127T100000Z\nSUMMARY:Bring the lamp\nEND:VEVENT\nEND:VCALENDAR",
        c.canary
    )
}

/// A contact card (RFC 6350).
pub fn card(c: &Case<'_>) -> String {
    let (name, address) = (&c.name, c.address());
    format!("BEGIN:VCARD\nVERSION:4.0\nFN:{name}\nEMAIL;TYPE=home:{address}\nURL:https://{}/\nEND:VCARD", c.host())
}

/// A part in base64 that a client adds, without a name of a person in its fields.
pub fn added(kind: &str, name: &str, octets: &[u8]) -> String {
    part(
        &format!(
            "Content-Type: {kind}; name=\"{name}\"\nContent-Disposition: attachment; filename=\"{name}\"\nContent-Transfer-Encoding: base64"
        ),
        &to_base64(octets),
    )
}
