//! M rows: what the structure of a message and its parts say of the writer.

use crate::vectors::build::{
    Letter, crlf, file_part, html_part, joined, part, quoted_throughout, text_part, to_base64, utf7, utf16_le, uuencode,
};
use crate::vectors::clients::{added, calendar, card, openpgp_key, openpgp_signature, smime_signature, tnef};
use crate::vectors::pictures::{PIXELS, png};
use crate::vectors::{Case, Treatment, Vector};

/// What stands in a text file beside the message.
const IN_FILE: &str = "The lamp in the file is yellow.";

pub const ROWS: &[Vector] = &[
    Vector::row("M01", "message/rfc822 part", |c| beside(c, &part("Content-Type: message/rfc822", &earlier(c)))).treated(Treatment::Either),
    Vector::row("M02", "message/rfc822 in base64", |c| {
        let fields = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64";
        beside(c, &part(fields, &to_base64(&crlf(earlier(c).as_bytes()))))
    })
    .treated(Treatment::Either),
    Vector::row("M03", "multipart/report: delivery-status fields", delivery_report).treated(Treatment::Either),
    Vector::row("M04", "bounce in words only (qmail style)", |c| {
        let said = "I'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error.";
        let copy = format!("--- Below this line is a copy of the message.\n\nReturn-Path: <{}>\n", c.address());
        let sorry = "Sorry, no mailbox here by that name. (#5.1.1)";
        let subject = "failure notice".to_owned();
        Letter { subject, ..Letter::new(c) }.plain(&format!("{}\n{said}\n\n<{}>:\n{sorry}\n\n{copy}", c.written, c.address()))
    }),
    Vector::row("M05", "text/rfc822-headers part", |c| {
        let headers = format!("Received: from {} ([{}])\n by mx.letters.example; now\nFrom: {} <{}>", c.host(), c.ip, c.name, c.address());
        beside(c, &part("Content-Type: text/rfc822-headers", &headers))
    }),
    Vector::row("M06", "out-of-office naming the mailbox", |c| {
        let subject = "Automatic reply: the lamp".to_owned();
        let more = "Auto-Submitted: auto-replied\nX-Auto-Response-Suppress: All\n".to_owned();
        let text = format!("{}\nThe mailbox {} is not read until Monday.", c.written, c.address());
        Letter { subject, more, ..Letter::new(c) }.plain(&text)
    }),
    Vector::row("M07", "MDN disposition-notification", disposition).treated(Treatment::Either),
    Vector::row("M08", "text/calendar ORGANIZER/ATTENDEE, folded", |c| {
        beside(c, &part("Content-Type: text/calendar; charset=utf-8; method=REQUEST", &calendar(c)))
    }),
    Vector::row("M09", "text/vcard", |c| {
        let fields = "Content-Type: text/vcard; charset=utf-8; name=\"card.vcf\"\nContent-Disposition: attachment; filename=\"card.vcf\"";
        beside(c, &part(fields, &card(c)))
    }),
    Vector::row("M10", "S/MIME signature with certificate rfc822Name", |c| {
        let signature = added("application/pkcs7-signature", "smime.p7s", &smime_signature(c));
        let kind = "signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
        Letter::new(c).multipart(kind, &[text_part(&c.written), signature])
    }),
    Vector::row("M11", "attached OpenPGP public key with user id", |c| {
        let fields = "Content-Type: application/pgp-keys; name=\"key.asc\"\nContent-Disposition: attachment; filename=\"key.asc\"";
        beside(c, &part(fields, &openpgp_key(c)))
    }),
    Vector::row("M12", "inline OpenPGP key block in the text", |c| {
        Letter::new(c).plain(&format!("{}\n\n{}\n\n{IN_FILE}", c.written, openpgp_key(c)))
    })
    .with(&[IN_FILE]),
    Vector::row("M13", "winmail.dat (TNEF) sender properties", |c| beside(c, &added("application/ms-tnef", "winmail.dat", &tnef(c))))
        .treated(Treatment::Either),
    Vector::row("M14", "Content-ID host part", |c| {
        let html = html_part(&format!("<p>{}</p><p><img src=\"cid:one@{}\" alt=\"lamp\"></p>", c.written, c.host()));
        let fields = format!("Content-ID: <one@{}>\nContent-Disposition: inline; filename=\"lamp.png\"", c.host());
        let picture = part(&format!("Content-Type: image/png\n{fields}\nContent-Transfer-Encoding: base64"), &to_base64(&png(&[])));
        Letter::new(c).multipart("related; type=\"text/html\"", &[html, picture])
    })
    .with(&[PIXELS]),
    Vector::row("M15", "filename, plain", |c| {
        let name = format!("{} - lamp.txt", c.address());
        Letter::new(c).file(&name, "text/plain; charset=utf-8", IN_FILE.as_bytes())
    })
    .with(&[IN_FILE]),
    Vector::row("M16", "filename, RFC 2231 pieces and RFC 2047", file_name_in_pieces).with(&[IN_FILE]),
    Vector::row("M17", "Content-Description, Content-Location, Content-Base", |c| {
        let place = format!("Content-Location: https://{0}/lamp.txt\nContent-Base: \"https://{0}/\"", c.host());
        let fields = format!("Content-Description: scanned by {} <{}>\n{place}", c.name, c.address());
        beside(c, &format!("{fields}\n{}", file_part("lamp.txt", "text/plain", IN_FILE.as_bytes())))
    })
    .with(&[IN_FILE]),
    Vector::row("M18", "preamble and epilogue", |c| {
        let body = joined("=_letter", &[text_part(&c.written)]);
        let around = format!("Sent by {} from {}", c.address(), c.host());
        Letter::new(c).with("Content-Type: multipart/mixed; boundary=\"=_letter\"", &format!("{around}\n{body}\n{around}"))
    }),
    Vector::row("M19", "unknown header on a part", |c| {
        let unknown = format!("X-Apple-Part-Url: {}\nX-Mac-Creator: {}\nReceived: from {}", c.address(), c.canary, c.host());
        Letter::new(c).multipart("mixed", &[format!("{unknown}\n{}", text_part(&c.written))])
    }),
    Vector::row("M20", "text/enriched, text/x-amp-html, text/watch-html alternatives", |c| {
        let other = |kind: &str| part(&format!("Content-Type: {kind}; charset=utf-8"), &format!("<p>{}</p>", c.address()));
        let html = html_part(&format!("<p>{}</p>", c.written));
        let others = ["text/enriched", "text/x-amp-html", "text/watch-html"].map(other);
        Letter::new(c).multipart("alternative", &[[text_part(&c.written)].as_slice(), &others, &[html]].concat())
    }),
    Vector::row("M21", "message/external-body, message/partial", |c| {
        let place = format!("access-type=anon-ftp; site=\"{}\"; directory=\"{}\"; name=\"lamp.txt\"", c.host(), c.canary);
        let elsewhere = part(&format!("Content-Type: message/external-body; {place}"), "Content-Type: text/plain\n");
        let piece = part(&format!("Content-Type: message/partial; number=1; total=2; id=\"1@{}\"", c.host()), &earlier(c));
        Letter::new(c).mixed(&[elsewhere, piece])
    })
    .treated(Treatment::Refused),
    Vector::row("M22", "uuencoded file inside the text", |c| {
        let file = format!("{IN_FILE}\nWrite to {}\n", c.address());
        Letter::new(c).plain(&format!("{}\n\n{}", c.written, uuencode("lamp.txt", file.as_bytes())))
    })
    .with(&[IN_FILE]),
    Vector::row("M23", "UTF-16 text body", |c| {
        let octets = utf16_le(&format!("\u{feff}{}\r\nWrite to {}\r\n", c.written, c.address()));
        in_base64(c, "utf-16", &octets)
    }),
    Vector::row("M24", "UTF-7 text body", |c| {
        let text = format!("{}\nWrite to {} or {}", c.written, utf7(&c.address()), c.address().replace('@', "+AEA-"));
        Letter::new(c).with("Content-Type: text/plain; charset=utf-7\nContent-Transfer-Encoding: 7bit", &text)
    }),
    Vector::row("M25", "ISO-2022-JP body, base64", |c| {
        // Katakana in JIS X 0208, then back to ASCII.
        let text = format!("{}\r\n\u{1b}$B%5%s%W%k\u{1b}(B {}\r\n", c.written, c.address());
        in_base64(c, "iso-2022-jp", text.as_bytes())
    }),
    Vector::row("M26", "quoted-printable soft break inside the address", |c| {
        let address = c.address();
        // Broken in the local-part and in the domain.
        let ((one, two), three) = (address[..13].split_at(4), &address[13..]);
        in_quoted_printable(c, &format!("{}\nWrite to {one}=\n{two}=\n{three} please", c.written))
    }),
    Vector::row("M27", "quoted-printable, every letter encoded", |c| {
        in_quoted_printable(c, &quoted_throughout(&format!("{}\r\nWrite to {} please\r\n", c.written, c.address())))
    }),
    Vector::row("M28", "second text/plain part (appended footer)", |c| {
        beside(c, &text_part(&format!("______\nSent by {} over {}", c.address(), c.address().to_uppercase())))
    }),
    Vector::row("M29", "text 12 multiparts deep", deep),
    Vector::row("M30", "multipart/signed with PGP signature; text inside", |c| {
        let fields = "Content-Type: application/pgp-signature; name=\"signature.asc\"";
        let kind = "signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256";
        Letter::new(c).multipart(kind, &[text_part(&c.written), part(fields, &openpgp_signature(c))])
    }),
    Vector::row("M31", "text/html part named as attachment", |c| {
        let html = format!("<html><head><meta name=\"author\" content=\"{}\"></head><body>{}</body></html>", c.name, c.address());
        Letter::new(c).file("page.html", "text/html; charset=utf-8", html.as_bytes())
    })
    .treated(Treatment::Either),
    Vector::row("M32", ".eml as application/octet-stream", |c| {
        Letter::new(c).file("letter.eml", "application/octet-stream", &crlf(earlier(c).as_bytes()))
    })
    .treated(Treatment::Refused),
];

/// What the author wrote, and one further part.
fn beside(c: &Case<'_>, other: &str) -> Vec<u8> {
    Letter::new(c).mixed(&[other.to_owned()])
}

/// A message within the message.
fn earlier(c: &Case<'_>) -> String {
    let head = format!("Received: from {} ([{}])\nFrom: {} <{}>", c.host(), c.ip, c.name, c.address());
    format!("{head}\nTo: shop@letters.example\nSubject: earlier\nContent-Type: text/plain\n\nWrite to {} please", c.address())
}

fn delivery_report(c: &Case<'_>) -> Vec<u8> {
    let (host, address) = (c.host(), c.address());
    let of_message = format!("Reporting-MTA: dns; {host}\nReceived-From-MTA: dns; {host} ([{}])", c.ip);
    let said = format!("Diagnostic-Code: smtp; 550 5.1.1 <{address}>: unknown user");
    let of_recipient = format!("Final-Recipient: rfc822; {address}\nOriginal-Recipient: rfc822; {address}\nAction: failed\nStatus: 5.1.1");
    let status = part("Content-Type: message/delivery-status", &format!("{of_message}\n\n{of_recipient}\n{said}\n"));
    let letter = Letter { subject: "Undelivered Mail Returned to Sender".to_owned(), ..Letter::new(c) };
    letter.multipart("report; report-type=delivery-status", &[text_part(&c.written), status])
}

fn disposition(c: &Case<'_>) -> Vec<u8> {
    let address = c.address();
    let fields =
        format!("Reporting-UA: {}; Letters 3.2\nOriginal-Recipient: rfc822;{address}\nFinal-Recipient: rfc822;{address}", c.host());
    let more = "Disposition: manual-action/MDN-sent-manually; displayed";
    let notification = part("Content-Type: message/disposition-notification", &format!("{fields}\n{more}\n"));
    let letter = Letter { subject: "Read: A word about the lamp".to_owned(), ..Letter::new(c) };
    letter.multipart("report; report-type=disposition-notification", &[text_part(&c.written), notification])
}

fn file_name_in_pieces(c: &Case<'_>) -> Vec<u8> {
    let address = c.address();
    let (one, two) = address.split_at(5);
    let pieces = format!("filename*0*=utf-8''{one};\n filename*1*={};\n filename*2=\" - lamp.txt\"", two.replace('@', "%40"));
    let word = to_base64(format!("{address} - lamp.txt").as_bytes());
    let kind = format!("Content-Type: text/plain; name=\"=?utf-8?B?{}?=\"", word.trim());
    let fields = format!("{kind}\nContent-Disposition: attachment;\n {pieces}\nContent-Transfer-Encoding: base64");
    beside(c, &part(&fields, &to_base64(IN_FILE.as_bytes())))
}

fn in_base64(c: &Case<'_>, charset: &str, octets: &[u8]) -> Vec<u8> {
    let fields = format!("Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64");
    Letter::new(c).with(&fields, to_base64(octets).trim_end())
}

fn in_quoted_printable(c: &Case<'_>, encoded: &str) -> Vec<u8> {
    Letter::new(c).with("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", encoded)
}

fn deep(c: &Case<'_>) -> Vec<u8> {
    let mut inner = text_part(&format!("{}\nWrite to {} please", c.written, c.address()));
    for level in 1..12 {
        let boundary = format!("=_level{level}");
        inner = part(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\""), &joined(&boundary, &[inner]));
    }
    Letter::new(c).multipart("mixed", &[inner])
}
