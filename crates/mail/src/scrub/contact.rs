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

/// Most candidates that are looked at in one line.
const MAX_TRIES: u64 = 200;
/// Longest line that is searched for numbers; a longer one is no sentence.
const MAX_LINE: usize = 20_000;

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
pub(super) struct Line {
    text: String,
    at: Vec<u32>,
}

impl Line {
    pub(super) fn of(chars: &[char], start: usize) -> Self {
        let mut line = Self { text: String::with_capacity(chars.len()), at: Vec::with_capacity(chars.len() + 1) };
        for (n, c) in chars.iter().enumerate() {
            line.text.push(*c);
            line.at.resize(line.text.len(), u32::try_from(start + n).unwrap_or(u32::MAX));
        }
        line.at.push(u32::try_from(start + chars.len()).unwrap_or(u32::MAX));
        line
    }

    fn range(&self, octets: Range<usize>) -> Range<usize> {
        self.at[octets.start] as usize..self.at[octets.end] as usize
    }
}

/// A link, and its host in lower case.
pub(super) struct Link {
    pub(super) range: Range<usize>,
    pub(super) host: String,
}

/// Links of a line, with and without scheme.
pub(super) fn find_links(line: &Line) -> Vec<Link> {
    if !line.text.contains('.') && !line.text.contains("://") {
        return Vec::new();
    }
    let found = LINKS.links(&line.text).filter_map(|link| {
        let host = host_of(link.as_str());
        is_link(link.as_str(), &host).then(|| Link { range: line.range(link.start()..link.end()), host })
    });
    found.collect()
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
    let has_path = link.len() > host.len() + 1 && link[host.len().min(link.len())..].starts_with('/');
    labels[0] == "www"
        || ENDINGS.contains(last) && (ends_small || written.chars().all(|c| !c.is_lowercase()))
        || (ends_small && (has_path || last.len() == 2 && labels.len() > 2))
}

/// Telephone numbers of a line, in the numbering plans of these regions or with a country code.
pub(super) fn find_phones(line: &Line, regions: &[Region]) -> Vec<Range<usize>> {
    if line.text.len() > MAX_LINE || line.text.chars().filter(|c| c.is_numeric()).take(7).count() < 7 {
        return Vec::new();
    }
    let matcher =
        PHONES.matcher_builder(&line.text).leniency(Leniency::Valid).max_tries(MAX_TRIES).regions(regions.iter().copied()).build();
    let found = matcher.map(|m| m.start..m.end()).filter(|m| is_phone(&line.text, m));
    found.map(|m| line.range(m)).collect()
}

/// Whether nothing around a valid number says that it is something else.
fn is_phone(line: &str, at: &Range<usize>) -> bool {
    let number = &line[at.clone()];
    let before: String = line[..at.start].chars().rev().take(28).collect::<Vec<_>>().into_iter().rev().collect::<String>().to_lowercase();
    let after = &line[at.end..];
    if number.starts_with('+') || number.starts_with("00") {
        return true;
    }
    let touches = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '#' | '-' | '=' | '€' | '$' | '£');
    if before.chars().next_back().is_some_and(touches) || after.chars().next().is_some_and(touches) {
        return false;
    }
    let unit = after.trim_start().split(|c: char| !c.is_alphanumeric() && c != '€' && c != '$' && c != '%').next().unwrap_or_default();
    if UNITS.contains(unit.to_lowercase().as_str()) || before.trim_end().ends_with(['€', '$', '£']) {
        return false;
    }
    if CALLS.iter().any(|word| before.contains(word)) {
        return true;
    }
    // Digits alone are often the number of something; people write their telephone number in groups, or say what it is.
    let is_numbered = NUMBERED.iter().any(|word| before.contains(word));
    !is_numbered
}

static UNITS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "€ $ % eur euro euros usd gbp brl r$ pln kr mm cm m km g kg gr ml l w v mah gb mb pcs uds unidades px".split_whitespace().collect()
});

/// What is said before a number that is called.
const CALLS: [&str; 24] = [
    "tel", "phone", "call", "whatsapp", "telegram", "móvil", "movil", "mobile", "llam", "ligue", "celular", "handy", "ruf", "appel",
    "cell", "chiam", "bel ", "zadzwo", "тел", "звон", "電話", "电话", "전화", "puh",
];

/// What is said before the number of something.
const NUMBERED: [&str; 44] = [
    "order",
    "pedido",
    "bestell",
    "commande",
    "ordine",
    "encomenda",
    "zamówien",
    "заказ",
    "замовлен",
    "注文",
    "订单",
    "주문",
    "tracking",
    "track",
    "seguimiento",
    "rastre",
    "sendung",
    "colis",
    "spedizione",
    "przesył",
    "parcel",
    "envío",
    "envio",
    "paquete",
    "factura",
    "fatura",
    "invoice",
    "rechnung",
    "facture",
    "fattura",
    "ref",
    "nº",
    "n.º",
    "no.",
    "nr",
    "núm",
    "num",
    "#",
    "id",
    "ean",
    "isbn",
    "sku",
    "serie",
    "imei",
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
