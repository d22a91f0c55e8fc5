//! H rows: what the header says of the writer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::vectors::build::{Letter, joined, text_part};
use crate::vectors::{Case, Vector};

pub const ROWS: &[Vector] = &[
    Vector::row("H01", "Received: client address, helo name, \"for\" clause", received),
    Vector::row("H02", "Return-Path", |c| above(c, &format!("Return-Path: <{}>\n", c.address()))),
    Vector::row("H03", "Message-ID right side", |c| {
        plain(c, Letter { id: format!("<20261120100000.{}@{}>", c.word, c.host()), ..Letter::new(c) })
    }),
    Vector::row("H04", "Reply-To", |c| below(c, &format!("Reply-To: {} <{}>\n", c.name, c.address()))),
    Vector::row("H05", "Sender", |c| below(c, &format!("Sender: {} <{}>\n", c.name, c.address()))),
    Vector::row("H06", "From display name is the address", |c| {
        plain(c, Letter { from: format!("\"{}\" <{}>", c.address(), c.from), ..Letter::new(c) })
    }),
    Vector::row("H07", "Cc to own second mailbox (reply-all)", |c| below(c, &format!("Cc: {} <{}>\n", c.name, c.address()))),
    Vector::row("H08", "Bcc left in the header", |c| below(c, &format!("Bcc: {}\n", c.address()))),
    Vector::row("H09", "Resent-*", resent),
    Vector::row("H10", "client-address headers", client_address),
    Vector::row("H11", "device in X-Mailer / User-Agent", |c| {
        below(c, &format!("X-Mailer: Letters 3.2 on the telephone of {0}\nUser-Agent: Letters/3.2 ({0}; Android 15)\n", c.name))
    }),
    Vector::row("H12", "DKIM-Signature d=/i=/s=", dkim),
    Vector::row("H13", "ARC set", arc),
    Vector::row("H14", "Authentication-Results", |c| {
        above(c, &format!("Authentication-Results: {}; spf=pass smtp.mailfrom={}; dkim=none\n", c.host(), c.address()))
    }),
    Vector::row("H15", "Received-SPF", |c| {
        let (host, address, ip) = (c.host(), c.address(), &c.ip);
        let words = format!("({host}: domain of {address} designates {ip} as permitted sender)");
        above(c, &format!("Received-SPF: pass {words}\n client-ip={ip}; envelope-from={address}; helo={host};\n"))
    }),
    Vector::row("H16", "List-* mailto", |c| {
        let address = c.address();
        let list = format!("List-Unsubscribe: <mailto:{address}?subject=unsubscribe>, <https://{}/u>\n", c.host());
        below(c, &format!("{list}List-Post: <mailto:{address}>\nList-Owner: <mailto:{address}>\nList-Help: <mailto:{address}>\n"))
    }),
    Vector::row("H17", "Autocrypt addr= and keydata", |c| {
        let key = STANDARD.encode(format!("{} <{}>", c.name, c.address()));
        below(c, &format!("Autocrypt: addr={}; prefer-encrypt=mutual; keydata=\n {key}\n", c.address()))
    }),
    Vector::row("H18", "OpenPGP header", |c| below(c, &format!("OpenPGP: id=0123456789ABCDEF; url=\"https://{}/key.asc\"\n", c.host()))),
    Vector::row("H19", "Disposition-Notification-To", |c| below(c, &format!("Disposition-Notification-To: {}\n", c.address()))),
    Vector::row("H20", "Return-Receipt-To, X-Confirm-Reading-To, Read-Receipt-To", |c| {
        let address = c.address();
        below(c, &format!("Return-Receipt-To: {address}\nX-Confirm-Reading-To: {address}\nRead-Receipt-To: {address}\n"))
    }),
    Vector::row("H21", "Thread-Index / Thread-Topic", |c| {
        let index = STANDARD.encode(format!("\u{1}{}\u{2}{}", c.canary, c.host()));
        below(c, &format!("Thread-Topic: {} asks about the lamp\nThread-Index: {index}\n", c.name))
    }),
    Vector::row("H22", "References / In-Reply-To with own earlier ids", |c| {
        let (one, two) = (format!("<1.{}@{}>", c.word, c.host()), format!("<2.{}@{}>", c.word, c.host()));
        below(c, &format!("In-Reply-To: {two}\nReferences: {one}\n\t{two}\n"))
    }),
    Vector::row("H23", "X-Gm-*, X-Google-*", google),
    Vector::row("H24", "X-MS-Exchange-*, X-MS-Has-*", exchange),
    Vector::row("H25", "Delivered-To / X-Original-To / Envelope-To", |c| {
        let address = c.address();
        above(c, &format!("Delivered-To: {address}\nX-Original-To: {address}\nEnvelope-To: {address}\n"))
    }),
    Vector::row("H26", "address in Subject", |c| {
        let words = format!("=?utf-8?B?{}?=", STANDARD.encode(format!("schreib an {}", c.address())));
        plain(c, Letter { subject: format!("the lamp, write to {} please {words}", c.address()), ..Letter::new(c) })
    }),
    Vector::row("H27", "Organization", |c| below(c, &format!("Organization: {} and Daughters\nOrganisation: {}\n", c.name, c.host()))),
    Vector::row("H28", "Comments / Keywords", |c| {
        below(c, &format!("Comments: written by {}\nKeywords: lamp, {}\n", c.address(), c.canary))
    }),
    Vector::row("H29", "encoded-word display name with the address", |c| {
        let name = format!("=?utf-8?B?{}?=", STANDARD.encode(c.address()));
        plain(c, Letter { from: format!("{name} <{}>", c.from), ..Letter::new(c) })
    }),
    Vector::row("H30", "Errors-To / X-Sender / X-Envelope-From / X-Authenticated-Sender", |c| {
        let address = c.address();
        let sender = format!("X-Sender: {address}\nX-Envelope-From: <{address}>\nX-Authenticated-Sender: {address}\n");
        below(c, &format!("Errors-To: {address}\n{sender}X-Auth-ID: {}\n", c.canary))
    }),
    Vector::row("H31", "Date zone names the place", |c| {
        plain(c, Letter { date: format!("Fri, 20 Nov 2026 15:45:00 +0545 ({} Standard Time)", c.canary), ..Letter::new(c) })
    })
    .information("Date is the time of acceptance in UTC; the original is in the record"),
    Vector::row("H32", "Face / X-Face / X-Image-Url / BIMI", face),
    Vector::row("H33", "X-Forwarded-To/For, X-Loop, Original-Recipient", |c| {
        let address = c.address();
        let forwarded = format!("X-Forwarded-To: {address}\nX-Forwarded-For: {address} {}\n", c.from);
        below(c, &format!("{forwarded}X-Loop: {address}\nOriginal-Recipient: rfc822;{address}\n"))
    }),
    Vector::row("H34", "MIME-Version comment and boundary name the client or host", boundary),
    Vector::row("H35", "odd spellings: \"received :\", \">From\", folded with tab", odd_spellings),
    Vector::row("H36", "header lines after a malformed line", |c| {
        below(c, &format!("This line has no colon and {} stands in it\nX-Workstation: {}\n", c.canary, c.host()))
    }),
    Vector::row("H37", "X-Apple-*, X-Universally-Unique-Identifier, X-Smtp-Server", apple),
    Vector::row("H38", "Content-Language, Accept-Language, X-Priority oddities", |c| {
        let language = format!("x-{}", c.canary);
        below(c, &format!("Content-Language: {language}\nAccept-Language: {language}, ne-NP\nX-Priority: 3 ({})\n", c.canary))
    })
    .information("dropped"),
];

/// A letter with the written sentence and nothing else in its body.
fn plain(c: &Case<'_>, letter: Letter<'_>) -> Vec<u8> {
    letter.plain(&c.written)
}

/// With lines above From, as servers add them.
fn above(c: &Case<'_>, lines: &str) -> Vec<u8> {
    plain(c, Letter { top: lines.to_owned(), ..Letter::new(c) })
}

/// With lines below, as programs add them.
fn below(c: &Case<'_>, lines: &str) -> Vec<u8> {
    plain(c, Letter { more: lines.to_owned(), ..Letter::new(c) })
}

fn received(c: &Case<'_>) -> Vec<u8> {
    let (host, address, ip) = (c.host(), c.address(), &c.ip);
    let outer = format!("Received: from {host} ({host} [{ip}])\n by mx.letters.example (Postfix) with ESMTPSA id 4Bz\n");
    let inner = format!("Received: from [{ip}] (helo={host})\n by smtp.letters.example with esmtpa\n");
    above(
        c,
        &format!(
            "{outer} for <{address}>; Fri, 20 Nov 2026 10:00:01 +0000\n{inner} (authenticated user {address}); Fri, 20 Nov 2026 10:00:00 +0000\n"
        ),
    )
}

fn resent(c: &Case<'_>) -> Vec<u8> {
    let address = c.address();
    let who = format!("Resent-From: {} <{address}>\nResent-Sender: {address}\nResent-To: {address}\n", c.name);
    above(
        c,
        &format!(
            "{who}Resent-Date: Fri, 20 Nov 2026 09:00:00 +0000\nResent-Message-ID: <3.{}@{}>\nResent-Cc: {address}\n",
            c.word,
            c.host()
        ),
    )
}

fn client_address(c: &Case<'_>) -> Vec<u8> {
    let (ip, host) = (&c.ip, c.host());
    let fields = ["X-Originating-IP", "X-Client-IP", "X-Source-IP", "X-Remote-IP", "X-Sender-IP", "X-Forefront-Client"];
    let fields: String = fields.iter().map(|name| format!("{name}: [{ip}]\n")).collect();
    below(
        c,
        &format!("{fields}X-Source-Host: {host}\nX-AntiAbuse: Originator/Caller {host}\nX-PHP-Originating-Script: 1000:{}.php\n", c.canary),
    )
}

fn dkim(c: &Case<'_>) -> Vec<u8> {
    let tags = format!("v=1; a=rsa-sha256; c=relaxed/relaxed; d={0}.example; s={0};\n i={1}; t=1795168800", c.canary, c.address());
    let hash = "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    above(c, &format!("DKIM-Signature: {tags}; h=from:to:subject;\n {hash};\n b=c2lnbmF0dXJlIHRoYXQgc2lnbnMgbm90aGluZw==\n"))
}

fn arc(c: &Case<'_>) -> Vec<u8> {
    let (host, domain) = (c.host(), format!("{}.example", c.canary));
    let hash = "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let seal = format!("ARC-Seal: i=1; a=rsa-sha256; t=1795168800; cv=none; d={domain}; s={};\n b=c2VhbA==\n", c.canary);
    let signature = format!(
        "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={};\n h=from:to; {hash};\n b=c2lnbmF0dXJl\n",
        c.canary
    );
    let results = format!("ARC-Authentication-Results: i=1; {host}; spf=pass smtp.mailfrom={}\n", c.address());
    above(c, &format!("{seal}{signature}{results}"))
}

fn google(c: &Case<'_>) -> Vec<u8> {
    let state = STANDARD.encode(format!("state of {}", c.address()));
    let fields = format!("X-Gm-Message-State: {state}\nX-Gm-Original-To: {}\nX-Google-Original-From: {}\n", c.address(), c.address());
    below(c, &format!("{fields}X-Google-Smtp-Source: {state}\nX-Google-DKIM-Signature: v=1; d={}.example; b={state}\n", c.canary))
}

fn exchange(c: &Case<'_>) -> Vec<u8> {
    let fields = [
        ("X-MS-Exchange-Organization-AuthSource", c.host()),
        ("X-MS-Exchange-Organization-AuthMechanism", "04".to_owned()),
        ("X-MS-Exchange-CrossTenant-Id", c.canary.clone()),
        ("X-MS-Exchange-CrossTenant-UserPrincipalName", c.address()),
        ("X-MS-Has-Attach", c.canary.clone()),
        ("X-OriginatorOrg", c.host()),
        ("X-MS-TNEF-Correlator", format!("<{}@{}>", c.word, c.host())),
    ];
    below(c, &fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>())
}

fn face(c: &Case<'_>) -> Vec<u8> {
    let picture = STANDARD.encode(format!("a picture of {}", c.name));
    let fields = format!("Face: {picture}\nX-Face: \"q={}<Zs\nX-Image-Url: https://{}/me.png\n", c.canary, c.host());
    below(c, &format!("{fields}BIMI-Selector: v=BIMI1; s={}\nBIMI-Location: https://{}/logo.svg\n", c.canary, c.host()))
}

fn boundary(c: &Case<'_>) -> Vec<u8> {
    let letter = Letter { version: format!("1.0 (Letters 3.2 on {})", c.host()), ..Letter::new(c) };
    let boundary = format!("Letters={}={}", c.canary, c.host());
    letter.with(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\""), &joined(&boundary, &[text_part(&c.written)]))
}

/// Doubled From fields are no part of it: RFC 5322, section 3.6, allows one, and what has two is refused.
fn odd_spellings(c: &Case<'_>) -> Vec<u8> {
    let (host, address, ip) = (c.host(), c.address(), &c.ip);
    let top = format!(">From: {address}\nreceived : from {host}\n\t([{ip}])\n\tby mx.letters.example; now\nRECEIVED:\n\tfrom {host}\n");
    let more = format!("reply-to\t: {address}\nX-MAILER:\n\tLetters on\n\t{host}\nsender :{address}\n");
    plain(c, Letter { top, more, ..Letter::new(c) })
}

fn apple(c: &Case<'_>) -> Vec<u8> {
    let fields = format!("X-Apple-Base-Url: https://{}/\nX-Apple-Mail-Remote-Attachments: {}\n", c.host(), c.canary);
    let server = format!("X-Smtp-Server: smtp.{}.example:{}\n", c.canary, c.address());
    below(c, &format!("{fields}X-Universally-Unique-Identifier: {}-0000-4000-8000-000000000000\n{server}", c.canary))
}
