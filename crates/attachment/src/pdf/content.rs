//! Streams of operators (7.8.2) without comments, and with clean JPEGs where pictures stand among the operators (8.9.7).

use lopdf::Stream;

use crate::pdf::clean_jpeg;

/// Longest stream that is looked into.
const MAX_STREAM: usize = 16 << 20;
/// How many octets after a picture's end must be text, for the end to be no accident of its data.
const LOOKAHEAD: usize = 24;

/// Rewrites a stream that holds a comment or a picture; one that is too long or not understood stays as it is.
pub(super) fn clean_stream(stream: &mut Stream, budget: &mut usize) {
    let Ok(plain) = stream.get_plain_content_with_limit(MAX_STREAM.min(*budget)) else { return };
    *budget = budget.saturating_sub(plain.len());
    if !plain.contains(&b'%') && !plain.windows(2).any(|w| w == b"BI") {
        return;
    }
    let Some(clean) = rewritten(&plain).filter(|clean| *clean != plain) else { return };
    stream.set_plain_content(clean);
    // What cannot be packed is as good unpacked.
    let _ = stream.compress();
}

/// The same operators; none where strings or pictures do not end.
pub(super) fn rewritten(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(input.len());
    // Names in the head of a picture.
    let mut head: Option<Vec<&[u8]>> = None;
    let mut at = 0;
    while let Some(&octet) = input.get(at) {
        let rest = &input[at..];
        let length = match octet {
            b'%' => {
                at += rest.iter().position(|o| matches!(o, b'\r' | b'\n')).unwrap_or(rest.len());
                continue;
            }
            b'(' => string_length(rest)?,
            b')' => return None,
            b'<' if rest.get(1) != Some(&b'<') => rest.iter().position(|o| *o == b'>')? + 1,
            b'<' => 2,
            b'/' => 1 + regular_length(&rest[1..]),
            _ if is_regular(octet) => regular_length(rest),
            _ => 1,
        };
        let token = &rest[..length];
        out.extend_from_slice(token);
        at += length;
        match token {
            b"BI" if head.is_none() => head = Some(Vec::new()),
            b"BI" => return None,
            [b'/', name @ ..] => head.iter_mut().for_each(|names| names.push(name)),
            b"ID" if head.is_some() => {
                let names = head.take().unwrap_or_default();
                at = copy_picture(input, at, &names, &mut out)?;
            }
            _ => {}
        }
    }
    head.is_none().then_some(out)
}

/// Copies the data of a picture up to and with its end; gives where that is.
fn copy_picture(input: &[u8], from: usize, names: &[&[u8]], out: &mut Vec<u8>) -> Option<usize> {
    let separator = match input.get(from..)? {
        [b'\r', b'\n', ..] => 2,
        [octet, ..] if is_space(*octet) => 1,
        _ => return None,
    };
    let start = from + separator;
    let data = &input[start..start + picture_length(&input[start..])?];
    let end = start + data.len() + 3;
    out.extend_from_slice(&input[from..start]);
    let is_jpeg = |name: &&[u8]| matches!(*name, b"DCT" | b"DCTDecode");
    let filter = names.iter().position(|name| matches!(*name, b"F" | b"Filter")).map_or(0, |place| place + 1);
    if names.get(filter).is_some_and(is_jpeg) {
        let mut clean = clean_jpeg(data)?;
        // The head may say how long the data is (ISO 32000-2).
        clean.resize(clean.len().max(data.len()), b'\n');
        out.extend_from_slice(&clean);
    } else if names.iter().any(is_jpeg) {
        return None;
    } else {
        out.extend_from_slice(data);
    }
    out.extend_from_slice(&input[start + data.len()..end]);
    Some(end)
}

/// Where the data ends: before white space, `EI`, and what looks like operators.
fn picture_length(data: &[u8]) -> Option<usize> {
    let is_text = |octet: &u8| matches!(octet, b'\t' | b'\n' | 0x0c | b'\r' | b' '..=b'~');
    (0..data.len().saturating_sub(2)).find(|at| {
        let after = &data[at + 3..];
        is_space(data[*at])
            && data[at + 1..at + 3] == *b"EI"
            && after.first().is_none_or(|octet| is_space(*octet))
            && after.iter().take(LOOKAHEAD).all(is_text)
    })
}

/// Octets of a string, with both parentheses (7.3.4.2).
fn string_length(input: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match input.get(at)? {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' if depth <= 1 => return Some(at + 1),
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

fn regular_length(input: &[u8]) -> usize {
    input.iter().position(|octet| !is_regular(*octet)).unwrap_or(input.len())
}

fn is_regular(octet: u8) -> bool {
    !is_space(octet) && !matches!(octet, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn is_space(octet: u8) -> bool {
    matches!(octet, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}
