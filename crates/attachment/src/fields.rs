//! Fields of Word (ISO/IEC 29500-1, 17.16; [MS-DOC] 2.9.90) by the first word of their instruction: one table for both
//! formats, which decide for themselves what becomes of a field.

/// What a field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Computes from the document, or asks who reads it.
    Computed,
    /// Leads to an address, a file or a place in the document.
    Link,
    /// Shows who or where its writer is, or a path.
    Identity,
    /// Shows a property of the document, also those that are of a person.
    Property,
    /// Its instruction is a path, a command or data of a program; its result is text or a picture of the document.
    Source,
    /// Shows nothing: its instruction or its result is a text that no reader sees.
    Hidden,
}

/// Keyword, number (flt) if a DOC needs it, and kind. Programs in other languages may have written other keywords there.
const TABLE: &[(&str, usize, Kind)] = &[
    ("ADVANCE", 0, Kind::Computed),
    ("ASK", 0, Kind::Computed),
    ("AUTONUM", 0, Kind::Computed),
    ("AUTONUMLGL", 0, Kind::Computed),
    ("AUTONUMOUT", 0, Kind::Computed),
    ("BARCODE", 0, Kind::Computed),
    ("BIDIOUTLINE", 0, Kind::Computed),
    ("COMPARE", 0, Kind::Computed),
    ("DATE", 0, Kind::Computed),
    ("DISPLAYBARCODE", 0, Kind::Computed),
    ("EQ", 0, Kind::Computed),
    ("FILLIN", 0, Kind::Computed),
    ("FORMCHECKBOX", 0, Kind::Computed),
    ("FORMDROPDOWN", 0, Kind::Computed),
    ("FORMTEXT", 0, Kind::Computed),
    ("GOTOBUTTON", 0, Kind::Computed),
    ("IF", 0, Kind::Computed),
    ("INDEX", 0, Kind::Computed),
    ("LISTNUM", 0, Kind::Computed),
    ("MACROBUTTON", 0, Kind::Computed),
    ("NOTEREF", 0, Kind::Computed),
    ("NUMCHARS", 0, Kind::Computed),
    ("NUMPAGES", 0, Kind::Computed),
    ("NUMWORDS", 0, Kind::Computed),
    ("PAGE", 0, Kind::Computed),
    ("PAGEREF", 0, Kind::Computed),
    ("QUOTE", 0, Kind::Computed),
    ("REF", 0, Kind::Computed),
    ("SECTION", 0, Kind::Computed),
    ("SECTIONPAGES", 0, Kind::Computed),
    ("SEQ", 0, Kind::Computed),
    ("SHAPE", 0, Kind::Computed),
    ("STYLEREF", 0, Kind::Computed),
    ("SYMBOL", 0, Kind::Computed),
    ("TIME", 0, Kind::Computed),
    ("TOA", 0, Kind::Computed),
    ("TOC", 0, Kind::Computed),
    ("HYPERLINK", 88, Kind::Link),
    ("AUTHOR", 17, Kind::Identity),
    ("FILENAME", 29, Kind::Identity),
    ("LASTSAVEDBY", 20, Kind::Identity),
    ("TEMPLATE", 30, Kind::Identity),
    ("USERADDRESS", 62, Kind::Identity),
    ("USERINITIALS", 61, Kind::Identity),
    ("USERNAME", 60, Kind::Identity),
    ("DOCPROPERTY", 85, Kind::Property),
    ("INFO", 14, Kind::Property),
    ("ADDIN", 81, Kind::Source),
    ("DATA", 40, Kind::Source),
    ("DATABASE", 78, Kind::Source),
    ("DDE", 45, Kind::Source),
    ("DDEAUTO", 46, Kind::Source),
    ("IMPORT", 55, Kind::Source),
    ("INCLUDE", 36, Kind::Source),
    ("INCLUDEPICTURE", 67, Kind::Source),
    ("INCLUDETEXT", 68, Kind::Source),
    ("LINK", 56, Kind::Source),
    ("PRIVATE", 77, Kind::Source),
    ("RD", 11, Kind::Hidden),
    ("SET", 6, Kind::Hidden),
    ("TA", 74, Kind::Hidden),
    ("TC", 9, Kind::Hidden),
    ("XE", 4, Kind::Hidden),
];

/// Properties that are of a person, a company or a file.
const OF_A_PERSON: [&str; 9] =
    ["AUTHOR", "LASTSAVEDBY", "LASTAUTHOR", "MANAGER", "COMPANY", "FILENAME", "TEMPLATE", "HYPERLINKBASE", "NAMEOFAPPLICATION"];

/// The kind of a field by its instruction, if it is a known one, and its arguments.
pub(crate) fn read(instruction: &str) -> (Option<Kind>, &str) {
    let instruction = instruction.trim_start();
    let end = instruction.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\\')).unwrap_or(instruction.len());
    let (keyword, arguments) = instruction.split_at(end);
    if keyword.starts_with('=') {
        return (Some(Kind::Computed), arguments);
    }
    let row = TABLE.iter().find(|(name, _, _)| name.eq_ignore_ascii_case(keyword));
    (row.map(|(_, _, kind)| *kind), arguments)
}

/// The kind of a field by its number, unless it computes.
pub(crate) fn of_number(number: usize) -> Option<Kind> {
    TABLE.iter().find(|(_, flt, _)| *flt == number && number > 0).map(|(_, _, kind)| *kind)
}

/// Whether the arguments of a property begin with one that is of a person.
pub(crate) fn names_a_person(arguments: &str) -> bool {
    let name = arguments.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '"');
    let name = name.split(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\\')).next().unwrap_or_default();
    OF_A_PERSON.iter().any(|property| property.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_numbers_are_known_once() {
        for (index, (name, number, _)) in TABLE.iter().enumerate() {
            let others = || TABLE.iter().skip(index + 1);
            assert!(others().all(|(other, _, _)| other != name), "{name}");
            assert!(*number == 0 || others().all(|(_, other, _)| other != number), "{name}");
        }
    }

    #[test]
    fn instructions_are_read() {
        assert_eq!(read(" page\\* MERGEFORMAT"), (Some(Kind::Computed), "\\* MERGEFORMAT"));
        assert_eq!(read("=SUM(ABOVE)"), (Some(Kind::Computed), ""));
        assert_eq!(read("HYPERLINK\"x\""), (Some(Kind::Link), "\"x\""));
        assert_eq!(read(" xe \"Ana\""), (Some(Kind::Hidden), " \"Ana\""));
        assert_eq!((read(""), read("AUTEUR")), ((None, ""), (None, "")));
        assert_eq!((of_number(17), of_number(33), of_number(0)), (Some(Kind::Identity), None, None));
        for named in [" Author ", " \"Company\"", "LastSavedBy\\* Upper"] {
            assert!(names_a_person(named), "{named}");
        }
        assert!(!names_a_person(" Version \"Author\"") && !names_a_person(""));
    }
}
