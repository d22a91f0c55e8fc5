//! A calendar entry as a few lines of text (RFC 5545).
//!
//! What, when and where is said; who invites, who is invited and every name that a calendar program gave to the
//! entry is not read. Lines have no labels, so that they need no translation.

/// Most entries that are told.
const MAX_EVENTS: usize = 5;
/// Most lines that are read.
const MAX_LINES: usize = 20_000;
/// Most characters of one property.
const MAX_CHARS: usize = 500;

/// The entries of a calendar object; none when there is nothing to say about any.
pub(crate) fn summarise(text: &str) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    let mut event: Option<Event> = None;
    // Components within an entry, such as its alarms, which have properties of the same names.
    let mut depth = 0_usize;
    for line in unfold(text) {
        let Some((name, value)) = property(&line) else { continue };
        let is_event = value.trim().eq_ignore_ascii_case("VEVENT");
        match (name.as_str(), event.as_mut()) {
            ("BEGIN", None) if is_event => event = Some(Event::default()),
            ("BEGIN", Some(_)) => depth += 1,
            ("END", Some(_)) if depth > 0 => depth -= 1,
            ("END", Some(_)) if is_event => told.extend(event.take().and_then(|e| e.tell())),
            (name, Some(event)) if depth == 0 => event.read(name, value),
            _ => {}
        }
        if told.len() >= MAX_EVENTS {
            break;
        }
    }
    // An entry that is cut off counts as well.
    if told.len() < MAX_EVENTS {
        told.extend(event.and_then(|e| e.tell()));
    }
    (!told.is_empty()).then(|| told.join("\n\n"))
}

/// Content lines: a line that begins with white space goes on with the one before (section 3.1).
fn unfold(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n').take(MAX_LINES) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(rest) = line.strip_prefix([' ', '\t'])
            && let Some(last) = lines.last_mut()
        {
            last.push_str(rest);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Name in upper case and value of a content line; parameters, which may be quoted, are left out.
fn property(line: &str) -> Option<(String, &str)> {
    let mut is_quoted = false;
    let colon = line.find(|c: char| {
        is_quoted ^= c == '"';
        c == ':' && !is_quoted
    })?;
    let (head, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let name = head.split(';').next().unwrap_or_default();
    Some((name.trim().to_ascii_uppercase(), value))
}

/// A text value without its escapes (section 3.3.11), and without controls.
fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' {
            match chars.next() {
                Some('n' | 'N') => '\n',
                Some(other) => other,
                None => break,
            }
        } else {
            c
        };
        if !c.is_control() || matches!(c, '\n' | '\t') {
            out.push(c);
        }
    }
    out
}

/// Cut between words: a cut within an address would leave its first half, which nobody takes for one.
fn shorten(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => text[..end].trim_end_matches(|c: char| c.is_ascii_graphic()).trim_end().to_owned(),
        None => text.to_owned(),
    }
}

#[derive(Debug, Default)]
struct Event {
    summary: Option<String>,
    start: Option<Moment>,
    end: Option<Moment>,
    location: Option<String>,
    description: Option<String>,
}

impl Event {
    fn read(&mut self, name: &str, value: &str) {
        let line = || Some(shorten(&unescape(value).split_whitespace().collect::<Vec<_>>().join(" "))).filter(|t| !t.is_empty());
        match name {
            "SUMMARY" if self.summary.is_none() => self.summary = line(),
            "LOCATION" if self.location.is_none() => self.location = line(),
            "DESCRIPTION" if self.description.is_none() => self.description = Some(shorten(&unescape(value))).filter(|t| !t.is_empty()),
            "DTSTART" if self.start.is_none() => self.start = Moment::read(value),
            "DTEND" if self.end.is_none() => self.end = Moment::read(value),
            _ => {}
        }
    }

    fn tell(self) -> Option<String> {
        let when = self.start.map(|start| tell_time(start, self.end));
        let lines: Vec<String> = [self.summary, when, self.location, self.description].into_iter().flatten().collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u32,
    month: u32,
    day: u32,
}

/// A date, or a time of day on it (sections 3.3.4 and 3.3.5). The time zone, which names a place, is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    date: Date,
    /// Hour and minute; none for a whole day.
    time: Option<(u32, u32)>,
    is_utc: bool,
}

impl Moment {
    fn read(value: &str) -> Option<Self> {
        let value = value.trim();
        let (date, time) = match value.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (value, None),
        };
        let date = Date { year: number(date, 0, 4)?, month: number(date, 4, 6)?, day: number(date, 6, 8)? };
        if !(1..=12).contains(&date.month) || !(1..=date.days_in_month()).contains(&date.day) {
            return None;
        }
        let is_utc = time.is_some_and(|t| t.ends_with('Z'));
        let time = match time {
            Some(time) => Some((number(time, 0, 2).filter(|h| *h < 24)?, number(time, 2, 4).filter(|m| *m < 60)?)),
            None => None,
        };
        Some(Self { date, time, is_utc })
    }
}

fn number(digits: &str, from: usize, to: usize) -> Option<u32> {
    digits.get(from..to).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

impl Date {
    fn days_in_month(self) -> u32 {
        let is_leap = (self.year.is_multiple_of(4) && !self.year.is_multiple_of(100)) || self.year.is_multiple_of(400);
        match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn day_before(self) -> Self {
        let Self { year, month, day } = self;
        if day > 1 {
            return Self { year, month, day: day - 1 };
        }
        let last = if month > 1 { Self { year, month: month - 1, day } } else { Self { year: year.saturating_sub(1), month: 12, day } };
        Self { day: last.days_in_month(), ..last }
    }

    fn tell(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn tell_time(start: Moment, end: Option<Moment>) -> String {
    let utc = |moment: Moment| if moment.is_utc { " UTC" } else { "" };
    let Some((hour, minute)) = start.time else {
        let first = start.date.tell();
        // The end of whole days is the first day that no longer belongs to them (section 3.6.1).
        return match end.map(|e| if e.time.is_none() { e.date.day_before().tell() } else { e.date.tell() }) {
            Some(last) if last > first => format!("{first} – {last}"),
            _ => first,
        };
    };
    let first = format!("{} {hour:02}:{minute:02}", start.date.tell());
    let Some((end, (end_hour, end_minute))) = end.and_then(|e| Some((e, e.time?))).filter(|(e, _)| *e != start) else {
        return first + utc(start);
    };
    let zone = if start.is_utc == end.is_utc { "" } else { utc(start) };
    let day = if start.date == end.date { String::new() } else { end.date.tell() + " " };
    format!("{first}{zone} – {day}{end_hour:02}:{end_minute:02}{}", utc(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(lines: &str) -> Option<String> {
        summarise(&format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"))
    }

    fn time(lines: &str) -> String {
        event(lines).unwrap_or_default()
    }

    #[test]
    fn what_when_and_where_is_told_and_nobody_is_named() {
        let text = "BEGIN:VCALENDAR\r\nPRODID:-//canary//EN\r\nMETHOD:REQUEST\r\nX-WR-CALNAME:canary\r\nBEGIN:VTIMEZONE\r\nTZID:Canary/Place\r\n\
            BEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:canary@secret.example\r\n\
            DTSTAMP:20200101T000000Z\r\nORGANIZER;CN=\"Canary: x\":mailto:canary@secret.example\r\nATTENDEE;CN=Can\r\n \
            ary;RSVP=TRUE:mailto:can\r\n\tary@secret.example\r\nCONTACT:canary\r\nCOMMENT:canary\r\nURL:https://canary.example\r\nGEO:1;2\r\n\
            X-ALT-DESC:canary\r\nSUMMARY;LANGUAGE=en;ALTREP=\"cid:canary\":View\\, th\r\n en decide\r\n\
            DTSTART;TZID=\"Canary/Place\":20261123T100000\r\nDTEND;TZID=Canary/Place:20261123T110000\r\nLOCATION:Main St 1\\; 2nd floor\r\n\
            DESCRIPTION:One\\nTwo \\\\ three\\N\r\nBEGIN:VALARM\r\nDESCRIPTION:canary\r\nEND:VALARM\r\nSTATUS:canary\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let told = summarise(text).unwrap();
        assert_eq!(told, "View, then decide\n2026-11-23 10:00 – 11:00\nMain St 1; 2nd floor\nOne\nTwo \\ three");
        assert_eq!(summarise(&text.replace("\r\n", "\n")).unwrap(), told);
    }

    #[test]
    fn times_are_written_for_people() {
        assert_eq!(time("DTSTART:20261123T100000Z\nDTEND:20261123T113000Z"), "2026-11-23 10:00 – 11:30 UTC");
        assert_eq!(time("DTSTART:20261123T230000\nDTEND:20261124T010000"), "2026-11-23 23:00 – 2026-11-24 01:00");
        assert_eq!(time("DTSTART:20261123T100000Z\nDTEND:20261123T120000"), "2026-11-23 10:00 UTC – 12:00");
        assert_eq!(time("DTSTART:20261123T100000Z\nDURATION:PT1H"), "2026-11-23 10:00 UTC");
        assert_eq!(time("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124"), "2026-11-23");
        assert_eq!(time("DTSTART;VALUE=DATE:20240228\nDTEND;VALUE=DATE:20240301"), "2024-02-28 – 2024-02-29");
        assert_eq!(time("DTSTART;VALUE=DATE:20261230\nDTEND;VALUE=DATE:20270101"), "2026-12-30 – 2026-12-31");
        for wrong in [
            "DTSTART:2026",
            "DTSTART:20261323",
            "DTSTART:20260230T100000",
            "DTSTART:20261123T",
            "DTSTART:20261123T2500",
            "DTSTART:+2é61123",
        ] {
            assert_eq!(event(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_entries_with_something_to_say_are_told() {
        assert_eq!(summarise(""), None);
        assert_eq!(summarise("BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:x\nEND:VTODO\nEND:VCALENDAR"), None);
        assert_eq!(event("UID:canary\nSUMMARY: "), None);
        assert_eq!(summarise("begin:vevent\nsummary:cut off").as_deref(), Some("cut off"));
        let many = "BEGIN:VEVENT\nSUMMARY:a\\nb\nSUMMARY:no\nEND:VEVENT\n".repeat(9);
        assert_eq!(summarise(&many).unwrap(), ["a b"; 5].join("\n\n"));
        assert_eq!(event(&format!("DESCRIPTION:{}", "é".repeat(900))).unwrap().chars().count(), 500);
    }

    #[test]
    fn hostile_rows_cost_no_more_than_their_length() {
        for row in ["BEGIN:VEVENT\n", "\n", " ", "END:VEVENT\n", "\"", "\\", "BEGIN:VEVENT\nEND:VEVENT\n"] {
            summarise(&row.repeat(300_000));
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "((BEGIN|END|SUMMARY|DTSTART|DTEND|ATTENDEE)(;X=\"?[a:]{0,2}\"?)?:(VEVENT|VALARM|canary|[0-9TZ]{0,16}|é|\\\\)\n ?){0,30}") {
            summarise(&text);
        }

        #[test]
        fn no_attendee_is_told_however_it_is_folded(at in 1_usize..45, space in "[ \t]") {
            let mut line = "ATTENDEE;CN=Canary:mailto:canary@secret.example".to_owned();
            line.insert_str(at, &format!("\n{space}"));
            let told = event(&format!("SUMMARY:x\n{line}\nLOCATION:y"));
            prop_assert_eq!(told.as_deref(), Some("x\ny"));
        }
    }
}
