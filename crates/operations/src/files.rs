//! Files of a message: judged by content (C8), rebuilt or refused. Heavy work on threads of its own.

use std::sync::Arc;

use attachment::{Fault, Kind, clean_picture, judge};
use domain::policy::{Channel, RefusedFile, RefusedFileCause, RuleSet};
use mail::compose::FileContent;
use mail::mime::{AttachedFile, Content, PartKind};
use store::StoreError;

use crate::context::{CleanPdf, Context};

/// Plain text below this size is worked on where it is.
const LIGHT_BYTES: usize = 16 << 10;

/// What becomes of the files of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// Files that pass: name as given, content rebuilt. Texts are still to be masked.
    pub(crate) passed: Vec<(String, FileContent)>,
    /// What is taken out with a line that the reader sees.
    pub(crate) removed: Vec<PartKind>,
    /// Of a file that is taken out because nothing rebuilds its kind yet: whether it was a document.
    pub(crate) not_rebuilt: Vec<Kind>,
    /// Files because of which the message is refused.
    pub(crate) refused: Vec<RefusedFile>,
    /// Their places among the files of the message.
    pub(crate) refused_places: Vec<usize>,
}

/// Judges and rebuilds the files of a message.
pub(crate) async fn prepare(ctx: &Context, content: &Arc<Content>, rules: &Arc<RuleSet>, channel: Channel) -> Result<Files, StoreError> {
    let is_light = |file: &AttachedFile| file.text.is_some() && file.octets.len() < LIGHT_BYTES;
    if content.files().all(is_light) {
        return Ok(files(content, rules, channel, ctx.clean_pdf.as_ref()));
    }
    let _permit = ctx.heavy.acquire().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
    let (content, rules, clean) = (Arc::clone(content), Arc::clone(rules), Arc::clone(&ctx.clean_pdf));
    let done = tokio::task::spawn_blocking(move || files(&content, &rules, channel, clean.as_ref())).await;
    done.map_err(|_| StoreError::Unavailable("reading a file was cut off".to_owned()))
}

/// The same, where blocking does no harm.
pub(crate) fn files(content: &Content, rules: &RuleSet, channel: Channel, clean: &CleanPdf) -> Files {
    let mut out = Files::default();
    let mut total = 0_usize;
    for (n, file) in content.files().enumerate() {
        total = total.saturating_add(file.octets.len());
        let before = out.refused.len();
        let refused = |cause| RefusedFile { name: file.name.clone(), cause };
        if file.octets.len() > rules.max_attachment_bytes || total > rules.max_attachment_bytes {
            out.refused.push(refused(RefusedFileCause::Size));
        } else if channel == Channel::Web && n >= rules.max_attachments {
            out.refused.push(refused(RefusedFileCause::Count));
        } else {
            match rebuild(file, clean) {
                Ok(Rebuilt::Passes(content)) => out.passed.push((file.name.clone(), content)),
                Ok(Rebuilt::TakenOut(kind)) => out.not_rebuilt.push(kind),
                Err(fault) => out.refused.push(refused(cause(fault))),
            }
        }
        if out.refused.len() > before {
            out.refused_places.push(n);
        }
    }
    out.removed = content.parts.iter().map(|p| p.kind).filter(|k| *k != PartKind::File).collect();
    out.removed.sort_unstable();
    out.removed.dedup();
    out
}

enum Rebuilt {
    Passes(FileContent),
    TakenOut(Kind),
}

fn rebuild(file: &AttachedFile, clean: &CleanPdf) -> Result<Rebuilt, Fault> {
    Ok(match judge(&file.name, &file.media_type, &file.octets)? {
        Kind::Text => Rebuilt::Passes(FileContent::Text(decode(file)?)),
        Kind::Pdf => Rebuilt::Passes(FileContent::Octets(Kind::Pdf.media_type(), clean(&file.octets)?)),
        kind => match clean_picture(kind, &file.octets) {
            Some(clean) => Rebuilt::Passes(FileContent::Octets(kind.media_type(), clean?)),
            None => Rebuilt::TakenOut(kind),
        },
    })
}

/// A text file in Unicode: by its byte-order mark, else by its declared charset, else as UTF-8 or Latin-1. What does
/// not decode is refused, because nothing could be masked in it.
fn decode(file: &AttachedFile) -> Result<String, Fault> {
    let utf16 = |octets: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = octets.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        if octets.len().is_multiple_of(2) { String::from_utf16(&units).ok() } else { None }
    };
    let text = match file.octets.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        octets => file
            .text
            .clone()
            .or_else(|| String::from_utf8(octets.to_vec()).ok())
            .or_else(|| Some(octets.iter().map(|b| char::from(*b)).collect())),
    };
    let is_plain = |text: &String| {
        !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}' | '\u{80}'..='\u{9f}'))
    };
    text.filter(is_plain).ok_or(Fault::Unreadable)
}

fn cause(fault: Fault) -> RefusedFileCause {
    match fault {
        Fault::Kind => RefusedFileCause::Kind,
        Fault::Disagreement => RefusedFileCause::Disagreement,
        Fault::Macros => RefusedFileCause::Macros,
        Fault::Encrypted => RefusedFileCause::Encrypted,
        Fault::Unreadable => RefusedFileCause::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(octets: &[u8]) -> AttachedFile {
        AttachedFile { name: "a.txt".into(), media_type: "application/octet-stream".into(), octets: octets.to_vec(), text: None }
    }

    #[test]
    fn text_files_are_decoded_so_that_they_can_be_masked() {
        assert_eq!(decode(&file(b"\xff\xfea\0@\0x\0")), Ok("a@x".into()));
        assert_eq!(decode(&file(b"\xfe\xff\0a\0@\0x")), Ok("a@x".into()));
        assert_eq!(decode(&file("señal".as_bytes())), Ok("señal".into()));
        assert_eq!(decode(&file(b"se\xf1al")), Ok("señal".into()));
        assert_eq!(decode(&file(b"\xff\xfea")), Err(Fault::Unreadable), "half a letter");
        assert_eq!(decode(&file(b"\xff\xfea\0\0\0")), Err(Fault::Unreadable), "a NUL");
    }
}
