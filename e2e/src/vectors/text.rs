//! B rows in plain text: quoted mail in twelve languages, and addresses as they are written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::vectors::build::{Letter, percent_throughout};
use crate::vectors::{Case, Vector};

/// What stands in the quoted mail; the reader is to see it.
pub const QUOTED: &str = "The lamp on the photograph is blue.";

pub const ROWS: &[Vector] = &[
    Vector::row("B01", "attribution line in English", |c| {
        attributed(c, &format!("On Fri, Nov 20, 2026 at 10:00 AM {} <{}>\nwrote:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B02", "attribution line in German", |c| {
        attributed(c, &format!("Am Fr., 20. Nov. 2026 um 10:00 Uhr schrieb {} <{}>:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B03", "attribution line in French", |c| {
        attributed(c, &format!("Le ven. 20 nov. 2026 à 10:00, {} <{}> a\nécrit :", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B04", "attribution line in Spanish", |c| {
        attributed(c, &format!("El vie, 20 nov 2026 a las 10:00, {} (<{}>)\nescribió:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B05", "attribution line in Portuguese", |c| {
        attributed(c, &format!("Em sex., 20 de nov. de 2026 às 10:00, {} <{}>\nescreveu:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B06", "attribution line in Italian", |c| {
        attributed(c, &format!("Il giorno ven 20 nov 2026 alle ore 10:00 {} <{}> ha scritto:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B07", "attribution line in Dutch", |c| {
        attributed(c, &format!("Op vr 20 nov 2026 om 10:00 schreef {} <{}>:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B08", "attribution line in Polish", |c| {
        attributed(c, &format!("pt., 20 lis 2026 o 10:00 {} <{}> napisał(a):", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B09", "attribution line in Russian", |c| {
        attributed(c, &format!("пт, 20 нояб. 2026 г. в 10:00, {} <{}>:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B10", "attribution line in Japanese", |c| {
        attributed(c, &format!("2026年11月20日(金) 10:00 {} <{}>:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B11", "attribution line in Chinese", |c| {
        attributed(c, &format!("{} <{}> 于2026年11月20日周五 10:00写道：", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B12", "attribution line in Korean", |c| {
        attributed(c, &format!("2026년 11월 20일 (금) 오전 10:00, {} <{}>님이 작성:", c.name, c.address()))
    })
    .with(&[QUOTED]),
    Vector::row("B13", "Outlook header block in English", |c| {
        block(c, "-----Original Message-----", ["From:", "Sent:", "To:", "Subject:"], "Friday, November 20, 2026 10:00 AM", true)
    })
    .with(&[QUOTED]),
    Vector::row("B14", "Outlook header block in German", |c| {
        block(c, "-----Ursprüngliche Nachricht-----", ["Von:", "Gesendet:", "An:", "Betreff:"], "Freitag, 20. November 2026 10:00", false)
    })
    .with(&[QUOTED]),
    Vector::row("B15", "Outlook header block in French", |c| {
        block(c, "-----Message d'origine-----", ["De :", "Envoyé :", "À :", "Objet :"], "vendredi 20 novembre 2026 10:00", true)
    })
    .with(&[QUOTED]),
    Vector::row("B16", "Outlook header block in Spanish", |c| {
        block(c, LINE, ["De:", "Enviado el:", "Para:", "Asunto:"], "viernes, 20 de noviembre de 2026 10:00", false)
    })
    .with(&[QUOTED]),
    Vector::row("B17", "Outlook header block in Portuguese", |c| {
        block(c, LINE, ["De:", "Enviada em:", "Para:", "Assunto:"], "sexta-feira, 20 de novembro de 2026 10:00", true)
    })
    .with(&[QUOTED]),
    Vector::row("B18", "Outlook header block in Japanese", |c| {
        block(c, LINE, ["差出人:", "送信日時:", "宛先:", "件名:"], "2026年11月20日金曜日 10:00", false)
    })
    .with(&[QUOTED]),
    Vector::row("B19", "Outlook header block in Chinese", |c| {
        block(c, LINE, ["发件人:", "发送时间:", "收件人:", "主题:"], "2026年11月20日 10:00", true)
    })
    .with(&[QUOTED]),
    Vector::row("B20", "forwarded-message banner", |c| {
        let head = format!("---------- Forwarded message ---------\nFrom: {} <{}>", c.name, c.address());
        let more = format!("Date: Fri, Nov 20, 2026 at 10:00 AM\nSubject: The lamp\nTo: <{}>", c.alias);
        below(c, &format!("{head}\n{more}\n\n\n{QUOTED}"))
    })
    .with(&[QUOTED]),
    Vector::row("B21", "signature block", |c| {
        let signature = format!("-- \n{}\n{}\nhttps://www.{}.example/", c.name, c.address(), c.canary);
        Letter { from: format!("{} <{}>", c.name, c.from), ..Letter::new(c) }.plain(&format!("{}\n\n{signature}", c.written))
    }),
    Vector::row("B24", "other letter case", |c| {
        let (mine, other) = (c.from.to_uppercase(), c.address().to_uppercase());
        below(c, &format!("Write to {mine}, or to {other}."))
    }),
    Vector::row("B25", "percent-encoded", |c| {
        let link = format!("https://shop.letters.example/?to={}", percent_throughout(&c.address()));
        below(c, &format!("Write to {} or see {link} please.", c.address().replace('@', "%40")))
    }),
    Vector::row("B27", "plus tag", |c| {
        let (local, domain) = c.from.split_once('@').unwrap();
        below(c, &format!("Write to {local}+{}@{domain} or {}+lamp@{}.example.", c.canary, c.canary, c.canary))
    }),
    Vector::row("B31", "spelled out by the user", |c| {
        below(c, &format!("Write to {0} at {0} dot example, {0} (arroba) {0} (punto) example, or {0} [at] {0} [dot] com.", c.canary))
    })
    .information("masked where words for the at sign and the dot, in some fifteen languages, say so"),
    Vector::row("B32", "telephone number", |c| below(c, &format!("Call {} after six.", c.phone)))
        .information("masked, unless the reason of the message allows a number"),
    Vector::row("B38", "second own address of the party", |c| below(c, &format!("My other mailbox is {}, use that.", c.address()))),
    Vector::row("B39", "full-width and look-alike at sign", |c| {
        below(c, &format!("Write to {0}＠{0}．example or {0}﹫{0}.example.", c.canary))
    })
    .information("masked after compatibility forms are read as what they look like"),
    Vector::row("B30", "base64 of the address in a link", |c| {
        below(c, &format!("See https://shop.letters.example/u/{}/lamp please.", STANDARD.encode(c.address())))
    })
    .information("the link is removed with what it holds, unless the operator allows its host"),
    Vector::row("P18", "To also has real addresses", |c| {
        let to = format!("<{}>, {} <{}>", c.alias, c.name, c.address());
        Letter { to, ..Letter::new(c) }.plain(&c.written)
    }),
];

/// Some programs draw a line above the block instead of words.
const LINE: &str = "________________________________";

/// What the author wrote, and something below it.
fn below(c: &Case<'_>, text: &str) -> Vec<u8> {
    Letter::new(c).plain(&format!("{}\n\n{text}", c.written))
}

/// An answer above a quoted mail, as most programs write it.
fn attributed(c: &Case<'_>, attribution: &str) -> Vec<u8> {
    below(c, &format!("{attribution}\n\n> {QUOTED}\n>\n> Ana"))
}

/// An answer above a mail that stands under its own header; the canary is its author, or the one it went to.
fn block(c: &Case<'_>, line: &str, [from, sent, to, subject]: [&str; 4], date: &str, is_author: bool) -> Vec<u8> {
    let (secret, other) = (format!("{} <{}>", c.name, c.address()), format!("<{}>", c.alias));
    let (author, reader) = if is_author { (&secret, &other) } else { (&other, &secret) };
    below(c, &format!("{line}\n{from} {author}\n{sent} {date}\n{to} {reader}\n{subject} The lamp\n\n{QUOTED}"))
}
