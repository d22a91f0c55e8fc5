//! ASCII armour in a text: keys, signatures and certificates name their owner (RFC 9580, section 6.2; RFC 7468).
//!
//! They go, and what was signed stays. An encrypted message (`PGP MESSAGE`) is left alone, because without it
//! there would be nothing to read; it is refused elsewhere.

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Opens a text that is signed where it stands (RFC 9580, section 7).
const SIGNED_MESSAGE: &str = "PGP SIGNED MESSAGE";
const SIGNATURE: &str = "PGP SIGNATURE";
const LABELS: [&str; 10] = [
    SIGNED_MESSAGE,
    SIGNATURE,
    "PGP PUBLIC KEY BLOCK",
    "PGP PRIVATE KEY BLOCK",
    "PGP SECRET KEY BLOCK",
    "CERTIFICATE",
    "X509 CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "PKCS7",
    "CMS",
];
const HEADERS: [&str; 7] = ["Version", "Comment", "Hash", "SaltedHash", "Charset", "MessageID", "NotDashEscaped"];
/// Shortest line that is taken for armour where nothing says so but its look.
const MIN_DATA: usize = 20;

/// Takes armour out of a text; gives the text without it, and how much was taken out. A signed text counts once,
/// together with its signature.
pub(crate) fn strip(text: &str) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    let mut count = 0;
    let mut is_signed = false;
    // Up to here all is written or left out.
    let mut done = 0;
    let mut next = find(text, 0);
    while let Some(begin) = next {
        let label_at = begin + BEGIN.len();
        let Some(label) = label(&text[label_at..]) else {
            next = find(text, label_at);
            continue;
        };
        let body_at = label_at + label.len() + DASHES.len();
        next = find(text, body_at);
        // No armour holds the beginning of another: a text full of beginnings costs no more than its length.
        let limit = next.unwrap_or(text.len());
        let line = text[done..begin].rfind('\n').map_or(done, |n| done + n + 1);
        let is_first = text[line..begin].chars().all(|c| matches!(c, '>' | ' ' | '\t' | '-'));
        let start = if is_first { line } else { begin };
        let mut end = if label == SIGNED_MESSAGE { headers_end(text, body_at, limit) } else { block_end(text, label, body_at, limit) };
        // What stands before it on its line keeps its line end.
        if !is_first && text[body_at..end].ends_with('\n') {
            end -= 1;
        }
        write(&mut out, &text[done..start], is_signed);
        if !(is_signed && label == SIGNATURE) {
            count += 1;
        }
        is_signed = label == SIGNED_MESSAGE || (is_signed && label != SIGNATURE);
        done = end;
    }
    write(&mut out, &text[done..], is_signed);
    (out, count)
}

fn find(text: &str, from: usize) -> Option<usize> {
    text[from..].find(BEGIN).map(|n| from + n)
}

fn label(text: &str) -> Option<&'static str> {
    LABELS.into_iter().find(|l| text.strip_prefix(l).is_some_and(|rest| rest.starts_with(DASHES)))
}

/// A line without quotation marks and white space around it.
fn bare(line: &str) -> &str {
    line.trim_start_matches(['>', ' ', '\t']).trim_end()
}

fn is_header(line: &str) -> bool {
    HEADERS.iter().any(|h| line.strip_prefix(h).is_some_and(|rest| rest.starts_with(':')))
}

/// A line of base64 or a checksum.
fn is_data(line: &str) -> bool {
    !line.is_empty() && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// Where the headers of a signed text end, with the empty line behind them.
fn headers_end(text: &str, from: usize, limit: usize) -> usize {
    let mut at = from;
    let mut end = from;
    for (n, line) in text[from..limit].split_inclusive('\n').enumerate() {
        at += line.len();
        let line = bare(line);
        let is_opening = n == 0 && line.is_empty();
        if is_opening || line.is_empty() || is_header(line) {
            end = at;
        }
        if !is_opening && !is_header(line) {
            break;
        }
    }
    end
}

/// Where armour ends: behind its last line, or where that is missing behind the last line that looks like it.
fn block_end(text: &str, label: &str, from: usize, limit: usize) -> usize {
    let last = format!("{DASHES}END {label}{DASHES}");
    if let Some(n) = text[from..limit].find(&last) {
        let end = from + n + last.len();
        let rest = text[end..limit].split_inclusive('\n').next().unwrap_or_default();
        return if rest.trim().is_empty() { end + rest.len() } else { end };
    }
    let mut at = from;
    let mut end = from;
    // How the last line of data was quoted: a short line goes with it only if it is quoted alike.
    let mut quotation = None;
    for (n, whole) in text[from..limit].split_inclusive('\n').enumerate() {
        at += whole.len();
        let line = bare(whole);
        let lead = &whole[..whole.len() - whole.trim_start_matches(['>', ' ', '\t']).len()];
        if line.is_empty() {
            if quotation.is_some() {
                break;
            }
            if n == 0 {
                end = at;
            }
        } else if quotation.is_none() && is_header(line) {
            end = at;
        } else if is_data(line) && (line.len() >= MIN_DATA || quotation == Some(lead)) {
            quotation = Some(lead);
            end = at;
        } else {
            break;
        }
    }
    end
}

/// Writes text; within a signed one without the dashes that escape others (RFC 9580, section 7.2).
fn write(out: &mut String, text: &str, is_signed: bool) {
    if !is_signed {
        out.push_str(text);
        return;
    }
    for line in text.split_inclusive('\n') {
        let said = line.trim_start_matches(['>', ' ']);
        match said.strip_prefix("- ") {
            // Only what has to be escaped is: a list in a text whose signature is missing stays one.
            Some(rest) if rest.starts_with('-') || rest.starts_with("From ") => {
                out.push_str(&line[..line.len() - said.len()]);
                out.push_str(rest);
            }
            _ => out.push_str(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATA: &str = "mQENBFZcanaryBCADQcanarycanarycanarycanarycanarycanarycanary1234";

    fn strip_text(text: &str) -> String {
        strip(text).0
    }

    #[test]
    fn keys_and_certificates_go() {
        for label in ["PGP PUBLIC KEY BLOCK", "PGP PRIVATE KEY BLOCK", "PGP SIGNATURE", "CERTIFICATE", "PKCS7"] {
            let block = format!(
                "-----BEGIN {label}-----\nVersion: x\nComment: Canary <c@x.example>\n\n{DATA}\nab==\n=abcd\n-----END {label}-----\n"
            );
            assert_eq!(strip(&format!("Hi,\n\n{block}\nAna\n")), ("Hi,\n\n\nAna\n".to_owned(), 1));
            assert_eq!(strip(&format!("{block}{block}")), (String::new(), 2));
            let quoted: String = format!("Hi,\n{block}Ana").lines().map(|l| format!("> {l}\n")).collect();
            assert_eq!(strip(&quoted), ("> Hi,\n> Ana\n".to_owned(), 1));
        }
    }

    #[test]
    fn a_signed_text_stays_as_it_was_written() {
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nHi,\n- - one\n- -- \n- From Ana\n- two\n-----BEGIN PGP SIGNATURE-----\n\n{DATA}\n=abcd\n-----END PGP SIGNATURE-----\n- - after\n"
        );
        assert_eq!(strip(&text), ("Hi,\n- one\n-- \nFrom Ana\n- two\n- - after\n".to_owned(), 1));
        let quoted: String = text.lines().map(|l| format!("> {l}\n")).collect();
        assert_eq!(strip(&quoted), ("> Hi,\n> - one\n> -- \n> From Ana\n> - two\n> - - after\n".to_owned(), 1));
        let with_key = text.replace(
            "- two\n",
            &format!("- -----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{DATA}\n- -----END PGP PUBLIC KEY BLOCK-----\n- -end\n"),
        );
        assert_eq!(strip(&with_key), ("Hi,\n- one\n-- \nFrom Ana\n-end\n- - after\n".to_owned(), 2));
        assert_eq!(strip("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\nComment: canary\n\nHi\n- two\n"), ("Hi\n- two\n".to_owned(), 1));
    }

    #[test]
    fn armour_without_its_end_goes_as_far_as_it_looks_like_armour() {
        let cut = format!("Hi\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\n{DATA}\n{DATA}\nshort\n\nThanks\n");
        assert_eq!(strip_text(&cut), "Hi\n\nThanks\n");
        assert_eq!(strip_text("-----BEGIN CERTIFICATE-----\nHello\nAna"), "Hello\nAna");
        assert_eq!(strip_text(&format!("-----BEGIN CERTIFICATE-----\n{DATA}")), "");
        // The dashes that end one marker begin no other.
        assert_eq!(strip("-----BEGIN CERTIFICATE-----BEGIN PKCS7-----"), ("BEGIN PKCS7-----".to_owned(), 1));
        let two = format!("-----BEGIN CERTIFICATE-----\n{DATA}\n> -----BEGIN PKCS7-----\n> {DATA}\nHi");
        assert_eq!(strip(&two), ("Hi".to_owned(), 2));
    }

    #[test]
    fn armour_in_the_middle_of_a_line_goes_too() {
        let text = format!("My key: -----BEGIN PGP PUBLIC KEY BLOCK----- {DATA} -----END PGP PUBLIC KEY BLOCK----- Ana\nBye");
        assert_eq!(strip_text(&text), "My key:  Ana\nBye");
        let text = format!("My key: -----BEGIN PGP PUBLIC KEY BLOCK-----\n{DATA}\n-----END PGP PUBLIC KEY BLOCK-----\nBye");
        assert_eq!(strip_text(&text), "My key: \nBye");
        assert_eq!(strip_text("Send no -----BEGIN CERTIFICATE----- please.\nBye"), "Send no  please.\nBye");
    }

    #[test]
    fn an_encrypted_message_and_ordinary_text_stay() {
        for text in [
            format!("-----BEGIN PGP MESSAGE-----\n\n{DATA}\n-----END PGP MESSAGE-----\n"),
            "-----BEGIN \n-----BEGIN CERTIFICATE\n----- Original message -----\n- a\n- - b\n".to_owned(),
            "-----END CERTIFICATE-----".to_owned(),
            String::new(),
        ] {
            assert_eq!(strip(&text), (text.clone(), 0));
        }
    }

    #[test]
    fn hostile_rows_cost_no_more_than_their_length() {
        for row in
            ["-----BEGIN ", "-----BEGIN PGP SIGNATURE-----", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN PGP SIGNED MESSAGE-----\n\n- - "]
        {
            strip(&row.repeat(50_000));
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_leaves_a_beginning(text in "(-----BEGIN |-----END |PGP SIGNATURE-----|PGP SIGNED MESSAGE-----|CERTIFICATE-----|Hash: x|> |- |\n|é|abcdefghijklmnopqrstuvwxyz){0,40}") {
            let (stripped, count) = strip(&text);
            prop_assert!(stripped.len() <= text.len());
            prop_assert!(count == 0 || stripped.len() < text.len());
        }
    }
}
