//! Where a message ends: DATA with dot transparency (RFC 5321, section 4.5.2) and BDAT (RFC 3030).
//!
//! Only CR LF . CR LF ends DATA. A bare CR or LF is remembered and refused at the end (SMTP smuggling),
//! never taken for a line end. Dot stuffing is taken off; nothing else is changed.

/// What makes a message unacceptable although its end was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// A CR without LF or an LF without CR (RFC 5321, section 2.3.8).
    BareLineEnd,
    /// A NUL octet (RFC 5321, section 4.5.2 allows only the 8BITMIME set without it).
    Nul,
    /// A line longer than the limit.
    LongLine,
    /// More octets than the limit.
    TooLarge,
}

/// Limits of one message.
#[derive(Debug, Clone, Copy)]
pub struct DataLimits {
    /// Most octets of a message.
    pub size_bytes: usize,
    /// Most octets of one line. RFC 5321, section 4.5.3.1.6 says 1,000; what is written in the world is longer.
    pub line_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Text,
    /// A dot at the start of a line, not yet given out.
    Dot,
    /// CR after that dot.
    DotCr,
    /// CR in or at the start of a line, not yet given out.
    Cr,
}

/// Checks that every message passes, however it was framed.
#[derive(Debug)]
struct Checks {
    limits: DataLimits,
    octets: usize,
    line: usize,
    after_cr: bool,
    defect: Option<Defect>,
}

impl Checks {
    fn new(limits: DataLimits) -> Self {
        Self { limits, octets: 0, line: 0, after_cr: false, defect: None }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.octets += 1;
        self.line += 1;
        match octet {
            b'\n' if !self.after_cr => self.note(Defect::BareLineEnd),
            b'\n' => self.line = 0,
            _ if self.after_cr => self.note(Defect::BareLineEnd),
            0 => self.note(Defect::Nul),
            _ => {}
        }
        self.after_cr = octet == b'\r';
        if self.line > self.limits.line_bytes {
            self.note(Defect::LongLine);
        }
        if self.octets > self.limits.size_bytes {
            self.note(Defect::TooLarge);
        }
        // A message that will be refused need not be kept.
        if self.defect.is_none() {
            out.push(octet);
        }
    }

    fn note(&mut self, defect: Defect) {
        self.defect.get_or_insert(defect);
    }
}

/// Reads one message after DATA.
#[derive(Debug)]
pub struct DataReader {
    state: State,
    checks: Checks,
}

impl DataReader {
    /// A reader at the start of the first line.
    #[must_use]
    pub fn new(limits: DataLimits) -> Self {
        Self { state: State::LineStart, checks: Checks::new(limits) }
    }

    /// Takes bytes; appends content to `out`; gives how many were used and whether the end was among them.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        for (at, &octet) in input.iter().enumerate() {
            if self.step(octet, out) {
                return (at + 1, true);
            }
        }
        (input.len(), false)
    }

    fn step(&mut self, octet: u8, out: &mut Vec<u8>) -> bool {
        self.state = match (self.state, octet) {
            (State::LineStart, b'.') => State::Dot,
            (State::Dot, b'\r') => State::DotCr,
            (State::DotCr, b'\n') => return true,
            (State::DotCr, _) => {
                // ". CR x": no end; the dot was stuffing, the CR is bare.
                self.checks.octet(b'\r', out);
                return self.text(octet, out);
            }
            (State::Cr, b'\n') => {
                self.checks.octet(b'\r', out);
                self.checks.octet(b'\n', out);
                State::LineStart
            }
            (State::Cr, _) => {
                self.checks.octet(b'\r', out);
                return self.text(octet, out);
            }
            (State::LineStart | State::Text | State::Dot, _) => return self.text(octet, out),
        };
        false
    }

    fn text(&mut self, octet: u8, out: &mut Vec<u8>) -> bool {
        self.state = if octet == b'\r' {
            State::Cr
        } else {
            self.checks.octet(octet, out);
            State::Text
        };
        false
    }

    /// The first defect seen.
    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        self.checks.defect
    }
}

/// Reads one message that comes in BDAT chunks.
#[derive(Debug)]
pub struct ChunkReader {
    checks: Checks,
    left: usize,
}

impl ChunkReader {
    /// A reader before its first chunk.
    #[must_use]
    pub fn new(limits: DataLimits) -> Self {
        Self { checks: Checks::new(limits), left: 0 }
    }

    /// Begins a chunk of that many octets.
    pub fn begin(&mut self, octets: usize) {
        self.left = octets;
    }

    /// Takes bytes; appends content to `out`; gives how many were used and whether the chunk is complete.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let used = self.left.min(input.len());
        for &octet in &input[..used] {
            self.checks.octet(octet, out);
        }
        self.left -= used;
        (used, self.left == 0)
    }

    /// The first defect seen.
    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        // A CR as the very last octet is bare too.
        self.checks.defect.or(self.checks.after_cr.then_some(Defect::BareLineEnd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: DataLimits = DataLimits { size_bytes: 1 << 20, line_bytes: 1_000 };

    /// Feeds `input` in pieces cut at `cuts`; gives content, octets left after the end, defect.
    fn read(input: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, Vec<u8>, Option<Defect>)> {
        let mut reader = DataReader::new(LIMITS);
        let mut out = Vec::new();
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (input.len() + 1)).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            let (used, done) = reader.read(&input[pair[0]..pair[1]], &mut out);
            if done {
                return Some((out, input[pair[0] + used..].to_vec(), reader.defect()));
            }
        }
        None
    }

    #[test]
    fn an_empty_message_ends() {
        assert_eq!(read(b".\r\nQUIT", &[]), Some((vec![], b"QUIT".to_vec(), None)));
    }

    #[test]
    fn stuffing_is_taken_off_the_first_line_too() {
        assert_eq!(read(b"..a\r\n..\r\n.\r\n", &[]).unwrap().0, b".a\r\n.\r\n");
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        for variant in [
            "a\n.\n",
            "a\r\n.\n",
            "a\n.\r\n",
            "a\r.\r",
            "a\r\n.\r",
            "a\r\n\0.\r\n",
            "a\r\n.\r\r\n",
            "a\r.\r\n",
            "a\n\n.\r\n",
            "a\r\n.\0\r\n",
            "a\r\n. \r\n",
        ] {
            for cut in 0..variant.len() {
                let smuggled = format!("{variant}MAIL FROM:<x@y.example>\r\n.\r\n");
                let (_, rest, defect) = read(smuggled.as_bytes(), &[cut]).unwrap();
                assert!(rest.is_empty(), "{variant:?} ended the message");
                if variant != "a\r\n. \r\n" {
                    assert!(defect.is_some(), "{variant:?} was not refused");
                }
            }
        }
    }

    #[test]
    fn limits_are_kept_without_keeping_the_bytes() {
        let mut reader = DataReader::new(DataLimits { size_bytes: 100, line_bytes: 50 });
        let mut out = Vec::new();
        reader.read(&[b'a'; 100_000], &mut out);
        assert_eq!(reader.defect(), Some(Defect::LongLine));
        assert!(out.len() <= 50);
    }

    proptest! {
        #[test]
        fn stuffed_lines_come_out_as_written_at_every_split(lines in prop::collection::vec("[.a-z ]{0,8}", 0..6), cuts in prop::collection::vec(0usize..200, 0..4)) {
            let content: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
            let stuffed: String = lines.iter().map(|l| if l.starts_with('.') { format!(".{l}\r\n") } else { format!("{l}\r\n") }).collect();
            let wire = format!("{stuffed}.\r\nNOOP\r\n");
            let (out, rest, defect) = read(wire.as_bytes(), &cuts).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), content);
            // What follows the end is whatever the piece that held it still has.
            prop_assert!("NOOP\r\n".as_bytes().starts_with(&rest) || rest == b"NOOP\r\n");
            prop_assert_eq!(defect, None);
        }

        #[test]
        fn any_bytes_split_anywhere_give_the_same_result(input in prop::collection::vec(prop::sample::select(vec![b'\r', b'\n', b'.', b'a', 0]), 0..40), cuts in prop::collection::vec(0usize..60, 0..6)) {
            let whole = read(&input, &[]);
            let split = read(&input, &cuts);
            prop_assert_eq!(whole.is_some(), split.is_some());
            if let (Some(a), Some(b)) = (whole, split) {
                prop_assert_eq!(a.0, b.0);
                prop_assert_eq!(a.2, b.2);
            }
        }
    }
}
