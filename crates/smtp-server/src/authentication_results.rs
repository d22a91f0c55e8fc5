//! Authentication-Results (RFC 8601) of a relay whose word is taken: what it found out replaces our own checks.
//!
//! Only the topmost field under the relay's name counts; whoever sends through it can have written those below.

use mail::Domain;
use mail::mime::Fields;
use operations::{Authentication, Verdict};

/// Most results of one field; no filter gives as many.
const MAX_RESULTS: usize = 100;

/// What one method found.
#[derive(Debug)]
struct Found {
    /// `dkim`, `spf`, `dmarc`, …
    method: String,
    /// `pass`, `fail`, …
    result: String,
    /// `header.d` and its value, in order.
    properties: Vec<(String, String)>,
}

/// What the relay of that name says of a message; `None` if it says nothing.
pub(crate) fn believe(octets: &[u8], authserv_id: &str) -> Option<Authentication> {
    let (fields, _) = Fields::read(octets);
    let found = topmost(&fields, authserv_id)?;
    let from = fields.originator().ok().map(|originator| originator.mailbox.domain().clone());
    let passes = |method: &str, names: &[&str]| {
        let mut passed = found.iter().filter(|f| f.method == method && f.result == "pass");
        passed.any(|f| f.domain(names).is_some_and(|domain| Some(domain) == from))
    };
    let dmarc = verdict(&found, "dmarc");
    // Where From's domain has a record, that record says what is aligned; otherwise only the very same domain is.
    let aligned = if dmarc == Verdict::Pass {
        passes("dmarc", &["header.from"])
    } else {
        let is_refused = found.iter().any(|f| f.method == "dmarc" && f.result == "fail");
        !is_refused && (passes("dkim", &["header.d", "header.i"]) || passes("spf", &["smtp.mailfrom"]))
    };
    Some(Authentication { spf: verdict(&found, "spf"), dkim: verdict(&found, "dkim"), dmarc, aligned })
}

impl Found {
    /// The domain of the first of these properties that there is; of an address, the part behind the `@`.
    fn domain(&self, names: &[&str]) -> Option<Domain> {
        let value = names.iter().find_map(|name| self.properties.iter().find(|(known, _)| known == name))?.1.as_str();
        Domain::parse(value.rsplit_once('@').map_or(value, |(_, domain)| domain)).ok()
    }
}

/// The best result of a method. A temporary error of the relay's is final here: it is not asked about this message again.
fn verdict(found: &[Found], method: &str) -> Verdict {
    let results: Vec<&str> = found.iter().filter(|f| f.method == method).map(|f| f.result.as_str()).collect();
    if results.contains(&"pass") {
        Verdict::Pass
    } else if results.iter().all(|result| matches!(*result, "none" | "neutral" | "skipped")) {
        Verdict::None
    } else {
        Verdict::Fail
    }
}

/// The results of the first field that bears that name, however little of it is understood.
fn topmost(fields: &Fields<'_>, authserv_id: &str) -> Option<Vec<Found>> {
    let results = fields.iter().filter(|f| f.name.eq_ignore_ascii_case("Authentication-Results"));
    let mut each = results.map(|f| segments(&String::from_utf8_lossy(f.value)));
    let own = each.find(|segments| {
        let id = segments.first().and_then(|first| first.split_ascii_whitespace().next());
        id.is_some_and(|id| id.eq_ignore_ascii_case(authserv_id))
    })?;
    Some(own.iter().skip(1).take(MAX_RESULTS).filter_map(|segment| read_result(segment)).collect())
}

/// `method[/version]=result` and `ptype.property=value`, one after another (RFC 8601, section 2.2).
fn read_result(segment: &str) -> Option<Found> {
    let mut words = segment.split_ascii_whitespace();
    let (method, result) = words.next()?.split_once('=')?;
    let method = method.split('/').next().unwrap_or(method).to_ascii_lowercase();
    let properties = words.filter_map(|word| word.split_once('=')).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Some(Found { method, result: result.to_ascii_lowercase(), properties: properties.collect() })
}

/// The value cut at its semicolons, without comments, quotes and the space around `=`. What stands in quotes can
/// neither end a word nor begin one.
fn segments(value: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut depth = 0_usize;
    let mut is_quoted = false;
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        let Some(segment) = segments.last_mut() else { break };
        match c {
            '\\' if is_quoted || depth > 0 => {
                if let (Some(escaped), true) = (characters.next(), is_quoted) {
                    segment.push(plain(escaped));
                }
            }
            '"' if depth == 0 => is_quoted = !is_quoted,
            c if is_quoted => segment.push(plain(c)),
            '(' => {
                depth += 1;
                space(segment);
            }
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            ';' => segments.push(String::new()),
            '=' => {
                segment.truncate(segment.trim_ascii_end().len());
                segment.push('=');
            }
            c if c.is_ascii_whitespace() => space(segment),
            c => segment.push(c),
        }
    }
    segments
}

/// A space, where it parts words.
fn space(segment: &mut String) {
    if !segment.is_empty() && !segment.ends_with([' ', '=']) {
        segment.push(' ');
    }
}

/// A quoted character as one that means nothing.
fn plain(c: char) -> char {
    if c.is_whitespace() || matches!(c, ';' | '=') { '_' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Option<Authentication> {
        believe(format!("{fields}From: Ana <ana@shop.example>\r\nSubject: x\r\n\r\nhello\r\n").as_bytes(), "mx.shop.example")
    }

    fn aligned(results: &str) -> bool {
        of(&format!("Authentication-Results: MX.shop.example 1; {results}\r\n")).unwrap().aligned
    }

    #[test]
    fn what_aligns_with_from_counts() {
        assert!(aligned("dmarc=pass (p=reject) header.from=shop.example"));
        assert!(aligned("dkim=pass header.d=shop.example header.s=s1"));
        assert!(aligned("dkim=fail header.d=shop.example;\r\n dkim = pass reason=\"good; dkim=fail\" header.i=@shop.example"));
        assert!(aligned("spf=pass (ok (really)) smtp.mailfrom=bounce@shop.example; dmarc=none header.from=shop.example"));
        assert!(aligned("dmarc=temperror; dkim=pass header.d=shop.example"));
        for no in [
            "none",
            "dmarc=pass header.from=other.example",
            "dmarc=pass",
            "dmarc=fail header.from=shop.example; dkim=pass header.d=shop.example",
            "dkim=pass header.d=mail.shop.example header.i=@shop.example",
            "dkim=fail header.d=shop.example",
            "spf=pass smtp.mailfrom=other.example",
            "spf=softfail smtp.mailfrom=shop.example",
            "arc=pass header.d=shop.example",
            "dkim=none (dkim=pass header.d=shop.example)",
            "spf=fail reason=\"x; dkim=pass header.d=shop.example\"",
            "spf=fail smtp.mailfrom=\"a;dkim=pass header.d=shop.example\"@evil.example",
            "dkim=fail (unended ; dkim=pass header.d=shop.example",
        ] {
            assert!(!aligned(no), "{no}");
        }
    }

    #[test]
    fn only_the_topmost_field_of_that_name_counts() {
        let good = "Authentication-Results: mx.shop.example; dkim=pass header.d=shop.example\r\n";
        let bad = "Authentication-Results: mx.shop.example; dkim=fail header.d=shop.example\r\n";
        let other = "Authentication-Results: mx.elsewhere.example; dkim=fail header.d=shop.example\r\n";
        assert!(of(&format!("{other}{good}{bad}")).unwrap().aligned);
        assert!(!of(&format!("{bad}{good}")).unwrap().aligned, "the lower one was written before it came to the relay");
        assert!(!of(&format!("Authentication-Results: mx.shop.example\r\n{good}")).unwrap().aligned);
        assert_eq!(of(other), None);
        assert_eq!(of(&other.replace("mx.elsewhere.example", "mx.shop.example.evil.example")), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn verdicts_are_those_of_the_best_result() {
        let found =
            of("Authentication-Results: mx.shop.example; dkim=temperror; dkim=pass header.d=x.example; spf=neutral; dmarc=permerror\r\n");
        let expected = Authentication { spf: Verdict::None, dkim: Verdict::Pass, dmarc: Verdict::Fail, aligned: false };
        assert_eq!(found, Some(expected));
        let found = of("Authentication-Results: mx.shop.example; spf=temperror smtp.mailfrom=shop.example\r\n").unwrap();
        assert!(!found.is_unsettled(), "the relay's result does not change with another try");
    }
}
