//! Whose domains are carriers' (B), and which domains anybody can have an address in.
//!
//! Data that we ship, extended by the operator. A freemail domain and a public suffix are never a carrier's, whoever
//! adds them: everybody could write as one.

use std::collections::{BTreeMap, BTreeSet};

use mail::Domain;
use serde::Deserialize;

const CARRIERS: &str = include_str!("../carriers.toml");
const FREEMAIL: &str = include_str!("../freemail.toml");

/// Carriers by domain, and freemail domains.
#[derive(Debug, Clone)]
pub struct Carriers {
    /// Name by domain.
    names: BTreeMap<String, String>,
    freemail: BTreeSet<String>,
}

#[derive(Deserialize)]
struct CarrierFile {
    carrier: Vec<CarrierRow>,
}

#[derive(Deserialize)]
struct CarrierRow {
    name: String,
    domains: Vec<String>,
}

#[derive(Deserialize)]
struct FreemailFile {
    domains: Vec<String>,
}

impl Carriers {
    /// What the program brings along.
    ///
    /// # Panics
    /// Never: a test reads both embedded files.
    #[must_use]
    pub fn embedded() -> Self {
        let freemail: FreemailFile = toml::from_str(FREEMAIL).expect("the embedded list of freemail domains is valid");
        let carriers: CarrierFile = toml::from_str(CARRIERS).expect("the embedded list of carriers is valid");
        let read = |text: &String| Domain::parse(text).expect("the embedded lists hold domains");
        let freemail = freemail.domains.iter().map(|text| read(text).as_str().to_owned()).collect();
        let mut all = Self { names: BTreeMap::new(), freemail };
        for row in carriers.carrier {
            let domains: Vec<Domain> = row.domains.iter().map(read).collect();
            all.add(&row.name, &domains);
        }
        all
    }

    /// Adds the operator's own: name and domains. One that stood in the list already takes the new name.
    pub fn add(&mut self, name: &str, domains: &[Domain]) {
        self.names.extend(domains.iter().map(|domain| (domain.as_str().to_owned(), name.to_owned())));
    }

    /// The carrier whose mail this domain may send: a listed domain itself or a subdomain of it. The nearest listed
    /// one names it.
    #[must_use]
    pub fn find(&self, domain: &Domain) -> Option<&str> {
        if self.is_freemail(domain) {
            return None;
        }
        let organisation = organisation(domain)?;
        // Nothing above the organisational domain is one body's own, so nothing there is looked up.
        let mut own = suffixes(domain).take_while(|suffix| suffix.len() >= organisation.len());
        own.find_map(|suffix| self.names.get(suffix)).map(String::as_str)
    }

    /// Whether anybody can have an address in this domain.
    #[must_use]
    pub fn is_freemail(&self, domain: &Domain) -> bool {
        suffixes(domain).any(|suffix| self.freemail.contains(suffix))
    }
}

/// Whether a domain is the listed one or below it. A listed public suffix or address literal has nobody below it.
#[must_use]
pub fn is_below(domain: &Domain, listed: &Domain) -> bool {
    organisation(listed).is_some() && suffixes(domain).any(|suffix| suffix == listed.as_str())
}

/// Whether two domains share their organisational domain (RFC 7489, section 3.2: one label below a public suffix).
#[must_use]
pub fn same_organisation(a: &Domain, b: &Domain) -> bool {
    a == b || organisation(a).is_some_and(|of_a| organisation(b) == Some(of_a))
}

/// The organisational domain; none for an address literal and for a public suffix itself.
fn organisation(domain: &Domain) -> Option<&str> {
    let name = domain.as_str();
    if name.starts_with('[') { None } else { psl::domain_str(name) }
}

/// The name, then what is left of it label by label: `a.b.c`, `b.c`, `c`.
fn suffixes(domain: &Domain) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain.as_str()), |name| name.split_once('.').map(|(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn some() -> Carriers {
        let mut carriers = Carriers { names: BTreeMap::new(), freemail: BTreeSet::from(["mail.example".to_owned()]) };
        carriers.add("DHL", &[domain("dhl.com"), domain("dhl.de")]);
        carriers.add("Bücher", &[domain("bücher.example")]);
        carriers
    }

    #[test]
    fn embedded_lists_are_read_and_agree() {
        let all = Carriers::embedded();
        assert!(all.names.len() >= 20 && all.freemail.len() >= 20, "{} and {}", all.names.len(), all.freemail.len());
        for (listed, name) in &all.names {
            assert_eq!(all.find(&domain(listed)), Some(name.as_str()), "{listed} is freemail, or a public suffix");
            assert!(!name.trim().is_empty() && !name.contains(['@', '<', '>']) && !name.chars().any(char::is_control), "{name:?}");
        }
        for known in ["gmail.com", "outlook.com", "yahoo.com"] {
            assert!(all.is_freemail(&domain(known)), "{known}");
        }
    }

    #[test]
    fn no_domain_stands_twice() {
        let file: CarrierFile = toml::from_str(CARRIERS).unwrap();
        let mut seen = BTreeSet::new();
        for listed in file.carrier.iter().flat_map(|row| &row.domains) {
            assert!(seen.insert(domain(listed).as_str().to_owned()), "{listed} stands twice");
        }
    }

    #[test]
    fn a_carrier_is_the_listed_domain_and_what_is_below_it() {
        let all = some();
        for yes in ["dhl.com", "DHL.com.", "mail.dhl.com", "a.b.c.dhl.de"] {
            assert_eq!(all.find(&domain(yes)), Some("DHL"), "{yes}");
        }
        for no in ["evil-dhl.com", "evildhl.com", "dhl.com.evil.example", "dhl.co", "dhl.comm", "com", "hl.com", "[127.0.0.1]"] {
            assert_eq!(all.find(&domain(no)), None, "{no}");
        }
    }

    #[test]
    fn international_names_are_compared_as_a_labels() {
        let all = some();
        for yes in ["bücher.example", "xn--bcher-kva.example", "info.xn--bcher-kva.example"] {
            assert_eq!(all.find(&domain(yes)), Some("Bücher"), "{yes}");
        }
        // A Cyrillic letter in a name that looks the same.
        assert_eq!(all.find(&domain("dh\u{406}.com")), None);
    }

    #[test]
    fn freemail_and_public_suffixes_are_no_carriers_even_if_added() {
        let mut all = some();
        all.add("Anybody", &[domain("mail.example"), domain("co.uk"), domain("com"), domain("[192.0.2.1]")]);
        for no in ["mail.example", "eu.mail.example", "shop.co.uk", "co.uk", "shop.com", "[192.0.2.1]"] {
            assert_eq!(all.find(&domain(no)), None, "{no}");
        }
        assert!(all.is_freemail(&domain("eu.mail.example")) && !all.is_freemail(&domain("gmail.example")));
        assert!(!all.is_freemail(&domain("otmail.example")), "only at a dot");
    }

    #[test]
    fn the_operators_name_of_a_domain_goes_first() {
        let mut all = some();
        all.add("Own", &[domain("iberia.dhl.com")]);
        assert_eq!(all.find(&domain("x.iberia.dhl.com")), Some("Own"));
        assert_eq!(all.find(&domain("y.dhl.com")), Some("DHL"));
    }

    #[test]
    fn what_is_below_a_listed_domain_is_told_at_the_dots() {
        let below = |name: &str, listed: &str| is_below(&domain(name), &domain(listed));
        assert!(below("kurier.test", "kurier.test") && below("a.b.kurier.test", "kurier.test"));
        for (name, listed) in [("evil-kurier.test", "kurier.test"), ("test", "kurier.test"), ("shop.co.uk", "co.uk"), ("co.uk", "co.uk")] {
            assert!(!below(name, listed), "{name} below {listed}");
        }
    }

    #[test]
    fn organisations_are_told_apart_below_public_suffixes() {
        for (a, b, same) in [
            ("shop.co.uk", "mx.shop.co.uk", true),
            ("shop.co.uk", "other.co.uk", false),
            ("a.shop.test", "b.shop.test", true),
            ("shop.test", "shop.example", false),
            ("tienda.com.br", "tienda.com", false),
            ("bücher.de", "xn--bcher-kva.de", true),
            ("co.uk", "co.uk", true),
            ("co.uk", "shop.co.uk", false),
            ("[192.0.2.1]", "[192.0.2.2]", false),
        ] {
            assert_eq!(same_organisation(&domain(a), &domain(b)), same, "{a} {b}");
            assert_eq!(same_organisation(&domain(b), &domain(a)), same, "{b} {a}");
        }
    }
}
