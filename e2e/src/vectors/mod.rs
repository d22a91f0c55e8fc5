//! The vector set: one message for each way in which an address, a name, a place or a machine could leak, with one
//! canary in the one place that the row names. `docs/vectors.md` says how to use it.
//!
//! A new row is a function that builds its message and a line in the list of its class.

use std::fmt::Write as _;
use std::path::Path;

pub mod attachments;
pub mod build;
pub mod clients;
pub mod compound;
pub mod documents;
pub mod headers;
pub mod html;
pub mod parts;
pub mod pictures;
pub mod run;
pub mod text;

/// Builds a whole message with CRLF line ends.
pub type Build = fn(&Case<'_>) -> Vec<u8>;

/// One row.
#[derive(Clone, Copy)]
pub struct Vector {
    /// Class and number, such as `H01`.
    pub id: &'static str,
    /// What could leak, in one line.
    pub what: &'static str,
    /// Of a row that only counts as information: what becomes of it, in words.
    pub soft: Option<&'static str>,
    pub build: Build,
    pub treatment: Treatment,
    /// What else must arrive: what is quoted, what stands in the file, the pixels.
    pub inside: &'static [&'static str],
}

/// What a relay that handles the row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Delivers it without the canary and with what its author wrote.
    Delivered,
    /// Does not deliver it, and tells the author.
    Refused,
    /// One of the two.
    Either,
}

impl Vector {
    /// A row that is delivered.
    pub const fn row(id: &'static str, what: &'static str, build: Build) -> Self {
        Self { id, what, soft: None, build, treatment: Treatment::Delivered, inside: &[] }
    }

    /// The same, treated in another way.
    #[must_use]
    pub const fn treated(self, treatment: Treatment) -> Self {
        Self { treatment, ..self }
    }

    /// The same, with something in it that must arrive.
    #[must_use]
    pub const fn with(self, inside: &'static [&'static str]) -> Self {
        Self { inside, ..self }
    }

    /// The same, as information.
    #[must_use]
    pub const fn information(self, treatment: &'static str) -> Self {
        Self { soft: Some(treatment), ..self }
    }

    pub fn class(&self) -> Class {
        match &self.id[..1] {
            "H" => Class::Headers,
            "M" => Class::Parts,
            "B" => Class::Text,
            "A" => Class::Attachments,
            _ => Class::Protocol,
        }
    }

    /// Whether it counts in the sum.
    pub fn is_hard(&self) -> bool {
        self.soft.is_none() && self.class() != Class::Protocol
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Headers,
    Parts,
    Text,
    Attachments,
    /// Shown, not counted.
    Protocol,
}

impl Class {
    pub const ALL: [Self; 5] = [Self::Headers, Self::Parts, Self::Text, Self::Attachments, Self::Protocol];

    pub fn words(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Parts => "MIME parts",
            Self::Text => "text and HTML",
            Self::Attachments => "attachments",
            Self::Protocol => "protocol",
        }
    }
}

/// Who writes to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    BuyerToSeller,
    SellerToBuyer,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::BuyerToSeller, Self::SellerToBuyer];

    pub fn words(self) -> &'static str {
        match self {
            Self::BuyerToSeller => "buyer→seller",
            Self::SellerToBuyer => "seller→buyer",
        }
    }

    fn letter(self) -> char {
        match self {
            Self::BuyerToSeller => 'b',
            Self::SellerToBuyer => 's',
        }
    }
}

/// What is particular about one message.
pub struct Case<'a> {
    /// The writer's own address.
    pub from: &'a str,
    /// Where the message goes.
    pub alias: &'a str,
    /// The secret: eight letters and digits that stand nowhere else.
    pub canary: String,
    /// A name that only the message knows.
    pub name: String,
    /// Marks the message where no secret may stand.
    pub word: String,
    /// What the author wrote; must arrive.
    pub written: String,
    /// An IP address and a telephone number, as secret as the canary.
    pub ip: String,
    pub phone: String,
}

impl<'a> Case<'a> {
    pub fn new(vector: &Vector, direction: Direction, from: &'a str, alias: &'a str) -> Self {
        let (id, letter) = (vector.id.to_ascii_lowercase(), direction.letter());
        let number: usize = vector.id[1..].parse().unwrap();
        let place = vector.class() as usize + if letter == 'b' { 10 } else { 20 };
        let canary = format!("zq{id}{letter}xk");
        let word = format!("w{id}{letter}w");
        Self {
            from,
            alias,
            name: format!("Z{} Mc{canary}", &canary[1..]),
            written: format!("The green door opens for {word} on Friday."),
            ip: format!("198.18.{place}.{number}"),
            phone: format!("+34 612 3{place} 4{number:02}"),
            canary,
            word,
        }
    }

    /// An address that holds the canary on both sides.
    pub fn address(&self) -> String {
        format!("{0}@{0}.example", self.canary)
    }

    /// A host that holds the canary.
    pub fn host(&self) -> String {
        format!("mail.{}.example", self.canary)
    }

    /// What must not arrive. The writer's own address is as secret as what the row hides.
    pub fn secrets(&self) -> [&str; 4] {
        [&self.canary, &self.ip, &self.phone, self.from]
    }
}

/// Every row, by class and number.
pub fn all() -> Vec<&'static Vector> {
    let lists = [headers::ROWS, parts::ROWS, text::ROWS, html::ROWS, attachments::ROWS];
    let mut rows: Vec<&'static Vector> = lists.into_iter().flatten().collect();
    rows.sort_by_key(|row| (row.class(), row.id));
    rows
}

/// Writer and alias in the files that `write_all` makes; whoever uses them puts their own in place.
pub const WRITER: &str = "writer@writer.example";
pub const ALIAS: &str = "alias@relay.example";

/// Writes every message as a file, `H01-buyer.eml` and `H01-seller.eml` by who writes it, and `MANIFEST.tsv`.
pub fn write_all(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut manifest = "file\tid\twhat\tcanary\tip\tphone\twritten\tinside\ttreatment\n".to_owned();
    for vector in all() {
        for direction in Direction::BOTH {
            let case = Case::new(vector, direction, WRITER, ALIAS);
            let writer = if direction == Direction::BuyerToSeller { "buyer" } else { "seller" };
            let file = format!("{}-{writer}.eml", vector.id);
            std::fs::write(folder.join(&file), (vector.build)(&case))?;
            let treatment = match (vector.soft, vector.treatment) {
                (Some(_), _) => "information",
                (None, Treatment::Delivered) => "deliver",
                (None, Treatment::Refused) => "refuse",
                (None, Treatment::Either) => "deliver or refuse",
            };
            let Case { canary, ip, phone, written, .. } = &case;
            let (id, what, inside) = (vector.id, vector.what, vector.inside.join(" | "));
            let _ = writeln!(manifest, "{file}\t{id}\t{what}\t{canary}\t{ip}\t{phone}\t{written}\t{inside}\t{treatment}");
        }
    }
    std::fs::write(folder.join("MANIFEST.tsv"), manifest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::seek::Views;

    #[test]
    fn every_row_of_the_list_is_there_once() {
        let ids: BTreeSet<String> = all().iter().map(|row| row.id.to_owned()).collect();
        let expected = [('H', 38), ('M', 32), ('B', 39), ('A', 17)];
        let listed = expected.into_iter().flat_map(|(class, last)| (1..=last).map(move |n| format!("{class}{n:02}")));
        let missing: Vec<String> = listed.filter(|id| !ids.contains(id)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(ids.len(), all().len(), "a row stands twice");
        let soft: Vec<&str> = all().iter().filter(|row| row.soft.is_some()).map(|row| row.id).collect();
        assert_eq!(soft, ["H31", "H38", "B30", "B31", "B32", "B39"]);
        assert_eq!(all().iter().filter(|row| row.is_hard()).count(), 120);
    }

    /// A search that does not see the canary in the message itself would not see it leak either.
    #[test]
    fn the_search_sees_every_canary_and_every_sentence_in_the_message_itself() {
        for vector in all() {
            let case = Case::new(vector, Direction::BuyerToSeller, WRITER, ALIAS);
            let octets = (vector.build)(&case);
            let text = String::from_utf8_lossy(&octets);
            assert!(!octets.windows(2).any(|w| w[1] == b'\n' && w[0] != b'\r'), "{}: a bare LF", vector.id);
            assert!(text.lines().all(|line| line.len() <= 998), "{}: a long line", vector.id);
            let views = Views::of(&octets);
            assert!(!views.cut, "{}: too much to look at", vector.id);
            let seen = case.secrets()[..3].iter().any(|secret| views.find(secret).is_some());
            assert!(seen, "{}: no canary in\n{text}", vector.id);
            assert!(views.find(WRITER).is_some(), "{}: no writer", vector.id);
            for part in [case.written.as_str()].iter().chain(vector.inside) {
                assert!(views.find(part).is_some(), "{}: {part} is missing in\n{text}", vector.id);
            }
        }
    }
}
