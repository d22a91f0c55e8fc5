//! A reply: code, enhanced status code (RFC 3463), text.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Octets of text on one line; with code and status below the 512 of RFC 5321, section 4.5.3.1.5.
const LINE_OCTETS: usize = 400;
/// Most lines of one reply.
const MAX_LINES: usize = 20;

/// One SMTP reply of ours. The text names the remedy and nothing of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Reply code (RFC 5321, section 4.2).
    pub code: u16,
    /// Enhanced status code such as `5.1.1`; empty where none belongs (RFC 2034, section 4).
    pub status: &'static str,
    /// What is said; any text, it leaves in lines of printable ASCII.
    pub text: String,
}

impl Reply {
    /// A reply with an enhanced status code.
    #[must_use]
    pub fn new(code: u16, status: &'static str, text: impl Into<String>) -> Self {
        Self { code, status, text: text.into() }
    }

    /// Whether the reply is positive (2yz or 3yz).
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// The reply on the wire: one line, or several where the text has several or is long (RFC 5321, section 4.2.1).
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.text.len() <= LINE_OCTETS && self.text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return self.write_line(' ', &self.text, out);
        }
        let mut lines = wrapped(&to_ascii(&self.text));
        let last = lines.pop().unwrap_or_default();
        lines.iter().for_each(|line| self.write_line('-', line, out));
        self.write_line(' ', &last, out);
    }

    /// RFC 2034, section 4: every line of a reply bears the same enhanced status code.
    fn write_line(&self, separator: char, text: &str, out: &mut Vec<u8>) {
        let gap = if self.status.is_empty() { "" } else { " " };
        out.extend_from_slice(format!("{}{separator}{}{gap}{text}\r\n", self.code, self.status).as_bytes());
    }
}

/// Lines of at most `LINE_OCTETS`, broken at spaces, empty ones left out.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_ascii_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > LINE_OCTETS {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            // A word longer than a line is nothing that people read; it is cut.
            line.push_str(word.get(..LINE_OCTETS).unwrap_or(word));
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() >= MAX_LINES {
            break;
        }
    }
    lines.truncate(MAX_LINES);
    lines
}

/// Text as mail programs show it who know ASCII only: letters without their marks, the rest as what it resembles.
fn to_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | ' '..='~' => out.push(c),
            '\u{2010}'..='\u{2015}' => out.push('-'),
            '\u{2018}' | '\u{2019}' => out.push('\''),
            '\u{201c}'..='\u{201e}' | '«' | '»' => out.push('"'),
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            '€' => out.push_str("EUR"),
            // Spanish opens a question with a sign that ASCII lacks, and is read without it.
            '¿' | '¡' => {}
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.extend(c.nfkd().filter(|d| !is_combining_mark(*d)).map(|d| if matches!(d, ' '..='~') { d } else { '?' })),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn several_lines_bear_code_and_status_each() {
        let reply = Reply::new(550, "5.7.1", "El comprador no acepta mensajes.\n\nDecídalo «aquí»:\nhttps://x.example/l/1");
        assert_eq!(
            wire(&reply),
            "550-5.7.1 El comprador no acepta mensajes.\r\n550-5.7.1 Decidalo \"aqui\":\r\n550 5.7.1 https://x.example/l/1\r\n"
        );
        assert_eq!(wire(&Reply::new(334, "", "")), "334 \r\n");
    }

    #[test]
    fn no_text_makes_a_line_of_its_own_or_a_long_one() {
        let reply = wire(&Reply::new(550, "5.6.0", "a\r\n250 fine\u{2028}250 fine\0 ¿Qué? 東 Straße"));
        assert_eq!(reply, "550-5.6.0 a\r\n550 5.6.0 250 fine 250 fine Que? ? Strasse\r\n");
        let long = wire(&Reply::new(550, "5.7.1", "wort ".repeat(10_000)));
        assert_eq!(long.lines().count(), MAX_LINES);
        assert!(long.lines().all(|l| l.len() < 500));
        assert_eq!(long.lines().filter(|l| l.starts_with("550 ")).count(), 1, "only the last line ends the reply");
    }
}
