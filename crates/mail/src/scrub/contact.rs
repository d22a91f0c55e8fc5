//! Links and telephone numbers in one line of folded text (product C10).
//!
//! A number is taken for a telephone number only where it is one by the numbering plan of a region in question,
//! and nothing says that it is something else: an order, a parcel, a price, a date.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use linkify::{LinkFinder, LinkKind};
use rlibphonenumber::phonenumber_matcher::{Leniency, PhoneNumberMatcherFactory};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberUtil, Region};

/// Longest word that is searched for links at once, in octets.
const MAX_WORD: usize = 2_000;
/// How far before a number words say what it is, in characters.
const WORDS_WITHIN: usize = 40;
/// A line is searched for numbers in pieces of about so many octets: what the search tries grows faster than the piece.
const PIECE: usize = 120;
/// Pieces with digits enough that are searched in one text by the numbering plans; then only numbers with a country code
/// are seen. A letter has a handful.
pub(super) const MAX_PIECES: usize = 1_000;

static LINKS: LazyLock<LinkFinder> = LazyLock::new(|| {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]).url_must_have_scheme(false);
    finder
});

type Factory = PhoneNumberMatcherFactory<PhoneNumberUtil, &'static PhoneNumberUtil>;
static PHONES: LazyLock<Factory> = LazyLock::new(|| PhoneNumberMatcherFactory::new_for_util(&PHONE_NUMBER_UTIL));

/// Endings that make a bare name a link: nobody writes ".com" for the end of a sentence. Countries' endings that are
/// words somewhere ("es", "it", "de") count only behind `www.`, before a path, or behind two names.
static ENDINGS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "com net org info biz shop store online site website app dev io eu tv tienda xyz club blog cloud email link live tech top vip pro \
     fr uk br pt pl ru nl dk fi ua jp cn kr mx ar cl gal cat eus co.uk com.br com.mx com.ar com.es"
        .split_whitespace()
        .collect()
});

/// A line as a string, with the place of each of its octets among the folded characters.
pub(super) struct Line<'a> {
    text: String,
    at: Vec<u32>,
    /// What stands before it in the text.
    above: &'a [char],
}

impl<'a> Line<'a> {
    pub(super) fn of(text: &'a [char], range: Range<usize>) -> Self {
        let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut line =
            Self { text: String::with_capacity(range.len()), at: Vec::with_capacity(range.len() + 1), above: &text[..range.start] };
        for n in range.clone() {
            line.text.push(text[n]);
            line.at.resize(line.text.len(), place(n));
        }
        line.at.push(place(range.end));
        line
    }

    fn range(&self, octets: Range<usize>) -> Range<usize> {
        self.at[octets.start] as usize..self.at[octets.end] as usize
    }

    /// Words before a place, nearest first; those of the line above where the line has none, as in a table.
    fn words_before(&self, at: usize) -> Vec<String> {
        let tail =
            |chars: &mut dyn Iterator<Item = char>| chars.take(WORDS_WITHIN).collect::<Vec<char>>().into_iter().rev().collect::<String>();
        let mut before = tail(&mut self.text[..at].chars().rev());
        if !before.chars().any(char::is_alphabetic) {
            before = tail(&mut self.above.iter().rev().copied().skip_while(|c| c.is_whitespace()).take_while(|c| *c != '\n'));
        }
        let words = before.split(|c: char| !c.is_alphanumeric() && c != 'º' && c != '#').filter(|w| !w.is_empty());
        words.map(str::to_lowercase).rev().collect()
    }
}

/// A link, and its host in lower case.
pub(super) struct Link {
    pub(super) range: Range<usize>,
    pub(super) host: String,
}

/// Links of a line, with and without scheme.
pub(super) fn find_links(line: &Line<'_>) -> Vec<Link> {
    let mut found = Vec::new();
    // Word by word, and never a longer one at once: the search is quadratic in what is no link.
    let mut at = 0;
    for word in line.text.split(' ') {
        let end = at + word.len();
        while at < end {
            let next = (at + 1..=end.min(at + MAX_WORD)).rev().find(|n| line.text.is_char_boundary(*n)).unwrap_or(end);
            let piece = &line.text[at..next];
            if piece.contains('.') || piece.contains("://") {
                for link in LINKS.links(piece) {
                    let host = host_of(link.as_str());
                    if is_link(link.as_str(), &host) {
                        found.push(Link { range: line.range(at + link.start()..at + link.end()), host });
                    }
                }
            }
            at = next;
        }
        at = end + 1;
    }
    found
}

/// The host of a link, with or without scheme, in lower case, without user, port and the dot at the end.
#[must_use]
pub fn host_of(link: &str) -> String {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest).trim_start_matches("//");
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
    host.trim_matches('.').to_lowercase()
}

fn is_link(link: &str, host: &str) -> bool {
    if link.contains("://") {
        return true;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    if labels.len() < 2 || last.len() < 2 || !last.chars().all(|c| c.is_ascii_alphabetic()) {
        return false;
    }
    // "pedido.Es" is a missing space; a host is written in small letters.
    let written = link.split(['/', '?']).next().unwrap_or_default();
    let ends_small = written.rsplit('.').next().is_some_and(|l| l.chars().all(|c| c.is_ascii_lowercase()));
    let has_path = link.split_once('/').is_some_and(|(_, path)| !path.is_empty());
    labels[0] == "www"
        || ENDINGS.contains(last) && (ends_small || written.chars().all(|c| !c.is_lowercase()))
        || (ends_small && (has_path || last.len() == 2 && labels.len() > 2))
}

/// Telephone numbers of a line, in the numbering plans of these regions or with a country code.
pub(super) fn find_phones(line: &Line<'_>, regions: &[Region], pieces: &mut usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < line.text.len() {
        let end = piece_end(&line.text, at);
        let piece = &line.text[at..end];
        let has_digits = piece.chars().filter(|c| c.is_numeric()).take(7).count() == 7;
        if has_digits && *pieces == 0 {
            found.extend(find_international(piece).map(|m| line.range(at + m.start..at + m.end)));
        } else if has_digits {
            *pieces -= 1;
            // The matcher counts its tries down without looking at zero: they must never run out.
            let matcher =
                PHONES.matcher_builder(piece).leniency(Leniency::Valid).max_tries(u64::MAX).regions(regions.iter().copied()).build();
            let places = matcher.map(|m| at + m.start..at + m.end());
            found.extend(places.filter(|m| is_phone(line, m)).map(|m| line.range(m)));
        }
        at = end;
    }
    found
}

/// Numbers with a country code, by their form alone (E.164): a plus sign and 8 to 15 digits.
fn find_international(piece: &str) -> impl Iterator<Item = Range<usize>> {
    piece.match_indices('+').filter_map(|(plus, _)| {
        let number = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/');
        let rest = &piece[plus + 1..];
        let length = rest.find(|c| !number(c)).unwrap_or(rest.len());
        let length = rest[..length].trim_end_matches(|c: char| !c.is_ascii_digit()).len();
        let digits = rest[..length].bytes().filter(u8::is_ascii_digit).count();
        (8..=15).contains(&digits).then_some(plus..plus + 1 + length)
    })
}

/// Where a piece ends that begins at `at`: where the line does, else behind a word rather than within a number.
fn piece_end(line: &str, at: usize) -> usize {
    if line.len() - at <= PIECE {
        return line.len();
    }
    let limit = (at..=at + PIECE).rev().find(|n| line.is_char_boundary(*n)).unwrap_or(line.len());
    let is_behind_word = |n: usize| line[..n].ends_with(' ') && line[..n - 1].ends_with(char::is_alphabetic);
    (at + 1..=limit).rev().find(|n| line.is_char_boundary(*n) && is_behind_word(*n)).unwrap_or(limit)
}

/// Whether nothing around a valid number says that it is something else.
fn is_phone(line: &Line<'_>, at: &Range<usize>) -> bool {
    let (before, number, after) = (&line.text[..at.start], &line.text[at.clone()], &line.text[at.end..]);
    if number.starts_with('+') || number.starts_with("00") {
        return true;
    }
    // The nearest word that says what a number is.
    let said = line.words_before(at.start).iter().find_map(|word| {
        let one_of = |list: &[&str]| {
            list.iter()
                .any(|w| if w.is_ascii() && w.len() < 4 { w == word } else { word.starts_with(w) || !w.is_ascii() && word.contains(w) })
        };
        if one_of(&CALLS) {
            Some(true)
        } else if one_of(&NUMBERED) {
            Some(false)
        } else {
            None
        }
    });
    if let Some(is_called) = said {
        return is_called;
    }
    let touches = |c: char, beyond: Option<char>| {
        c.is_alphanumeric() || matches!(c, '_' | '#' | '-' | '=' | '€' | '$' | '£') || (c == '/' && beyond.is_some_and(char::is_alphabetic))
    };
    let (mut left, mut right) = (before.chars().rev(), after.chars());
    if left.next().is_some_and(|c| touches(c, left.next())) || right.next().is_some_and(|c| touches(c, right.next())) {
        return false;
    }
    let unit = after.trim_start().split(|c: char| !c.is_alphanumeric() && !matches!(c, '€' | '$' | '%')).next().unwrap_or_default();
    !UNITS.contains(unit.to_lowercase().as_str()) && !before.trim_end().ends_with(['€', '$', '£'])
}

static UNITS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "€ $ % eur euro euros usd gbp brl r$ pln kr mm cm m km g kg gr ml l w v mah gb mb pcs uds unidades px".split_whitespace().collect()
});

/// What is said before a number that is called: beginnings of words, whole words where shorter than four letters.
const CALLS: [&str; 40] = [
    "tel",
    "tlf",
    "telf",
    "teléf",
    "telef",
    "telephone",
    "phone",
    "call",
    "whatsapp",
    "telegram",
    "signal",
    "móvil",
    "movil",
    "mobil",
    "mobile",
    "mob",
    "llám",
    "llam",
    "ligue",
    "ligar",
    "celular",
    "handy",
    "rufen",
    "anruf",
    "appel",
    "cell",
    "cellulare",
    "chiam",
    "bel",
    "bellen",
    "zadzwo",
    "dzwoń",
    "тел",
    "звон",
    "電話",
    "电话",
    "手机",
    "전화",
    "puh",
    "ring",
];

/// What is said before the number of something, likewise.
const NUMBERED: [&str; 72] = [
    "order",
    "pedido",
    "bestell",
    "auftrag",
    "commande",
    "ordine",
    "ordre",
    "encomenda",
    "zamówien",
    "заказ",
    "замовлен",
    "注文",
    "订单",
    "주문",
    "beställ",
    "tilaus",
    "track",
    "seguimiento",
    "rastre",
    "sendung",
    "paket",
    "colis",
    "suivi",
    "spedizione",
    "przesył",
    "parcel",
    "package",
    "shipment",
    "envío",
    "envio",
    "paquete",
    "pacote",
    "expedición",
    "localizador",
    "guía",
    "albarán",
    "factura",
    "fatura",
    "faktur",
    "invoice",
    "rechnung",
    "facture",
    "fattura",
    "receipt",
    "recibo",
    "ref",
    "refer",
    "nº",
    "n.º",
    "no",
    "nr",
    "#",
    "id",
    "ean",
    "gtin",
    "upc",
    "isbn",
    "asin",
    "sku",
    "serie",
    "serial",
    "imei",
    "código",
    "codigo",
    "code",
    "modelo",
    "model",
    "lote",
    "batch",
    "artikel",
    "article",
    "nif",
];

/// The region whose numbering plan is meant where a language is read (BCP 47), if one is most likely.
#[must_use]
pub fn region_of(locale: &str) -> Option<Region> {
    let mut parts = locale.split(['-', '_']);
    let language = parts.next().unwrap_or_default().to_lowercase();
    let named = parts.find(|p| p.len() == 2).and_then(|p| p.to_ascii_uppercase().parse().ok());
    // The likely region of a language (CLDR, likely subtags), where it is a market rather than "en" or "es" at large.
    let likely = match language.as_str() {
        "en" => "GB",
        "pt" => "PT",
        "ja" => "JP",
        "zh" => "CN",
        "ko" => "KR",
        "da" => "DK",
        "sv" => "SE",
        "uk" => "UA",
        "el" => "GR",
        "cs" => "CZ",
        "ca" | "eu" | "gl" => "ES",
        other if other.len() == 2 => return named.or_else(|| other.to_ascii_uppercase().parse().ok()),
        _ => return named,
    };
    named.or_else(|| likely.parse().ok())
}
