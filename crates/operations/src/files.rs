//! Files of a message: judged by content (C8), rebuilt or refused. Heavy work on threads of its own.

use std::sync::Arc;

use attachment::{Fault, Kind, clean_picture, judge};
use domain::policy::{Channel, RefusedFile, RefusedFileCause, RuleSet};
use mail::compose::FileContent;
use mail::mime::{AttachedFile, Content, PartKind};
use store::StoreError;

use crate::context::{CleanDocument, Context};

/// Files of one mail that are looked at; a letter has a handful, and each may cost a cleaner its seconds.
const MAX_FILES: usize = 50;
/// Plain text below this size is worked on where it is.
const LIGHT_BYTES: usize = 16 << 10;

/// What becomes of the files of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// Files that pass, in order.
    pub(crate) passed: Vec<PassedFile>,
    /// What is taken out with a line that the reader sees.
    pub(crate) removed: Vec<PartKind>,
    /// Files because of which the message is refused.
    pub(crate) refused: Vec<RefusedFile>,
    /// Their places among the files of the message.
    pub(crate) refused_places: Vec<usize>,
}

impl Files {
    /// The same, with a line in place of what does not pass.
    pub(crate) fn without_refused(mut self) -> Self {
        if !self.refused.is_empty() {
            self.removed.push(PartKind::Other);
            self.removed.sort_unstable();
            self.removed.dedup();
        }
        self.refused.clear();
        self.refused_places.clear();
        self
    }
}

/// A file that passes.
#[derive(Debug, Clone)]
pub(crate) struct PassedFile {
    /// Name as the writer gave it, still to be scrubbed; never empty.
    pub(crate) name: String,
    /// Content rebuilt; texts are still to be scrubbed.
    pub(crate) content: FileContent,
    /// The writer's Content-ID of a picture that stands in the HTML.
    pub(crate) content_id: Option<String>,
}

/// Judges and rebuilds the files of a message.
pub(crate) async fn prepare(ctx: &Context, content: &Arc<Content>, rules: &Arc<RuleSet>, channel: Channel) -> Result<Files, StoreError> {
    let is_light = |file: &AttachedFile| file.text.is_some() && file.octets.len() < LIGHT_BYTES;
    if content.files().all(is_light) {
        return Ok(files(content, rules, channel, ctx.clean_document.as_ref()));
    }
    let permit = Arc::clone(&ctx.heavy).acquire_owned().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
    let (content, rules, clean) = (Arc::clone(content), Arc::clone(rules), Arc::clone(&ctx.clean_document));
    let done = tokio::task::spawn_blocking(move || {
        // Held by the work, which goes on when nobody waits for it any more.
        let _permit = permit;
        files(&content, &rules, channel, clean.as_ref())
    })
    .await;
    done.map_err(|_| StoreError::Unavailable("reading a file was cut off".to_owned()))
}

/// The same, where blocking does no harm.
pub(crate) fn files(content: &Content, rules: &RuleSet, channel: Channel, clean: &CleanDocument) -> Files {
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
        } else if n >= MAX_FILES {
            // Told once: the others are as many as somebody likes.
            if n == MAX_FILES {
                out.refused.push(refused(RefusedFileCause::Count));
            }
            out.refused_places.push(n);
            continue;
        } else {
            match rebuild(file, clean) {
                Ok((kind, content)) => {
                    let name = if file.name.trim().is_empty() { kind.plain_name().to_owned() } else { file.name.clone() };
                    out.passed.push(PassedFile { name, content, content_id: file.content_id.clone() });
                }
                // A picture in the text is part of how a mail program writes; of another kind than ours it is left out.
                Err(Fault::Kind) if file.content_id.is_some() => out.removed.push(PartKind::Picture),
                Err(fault) => out.refused.push(refused(cause(fault))),
            }
        }
        if out.refused.len() > before {
            out.refused_places.push(n);
        }
    }
    out.removed.extend(content.parts.iter().map(|p| p.kind).filter(|k| *k != PartKind::File));
    out.removed.sort_unstable();
    out.removed.dedup();
    out
}

fn rebuild(file: &AttachedFile, clean: &CleanDocument) -> Result<(Kind, FileContent), Fault> {
    let kind = judge(&file.name, &file.media_type, &file.octets)?;
    let content = match kind {
        Kind::Text => FileContent::Text(decode(file)?),
        Kind::Pdf | Kind::Doc | Kind::Docx => FileContent::Octets(kind.media_type(), clean(kind, &file.octets)?),
        Kind::Jpeg | Kind::Gif | Kind::Tiff | Kind::Bmp | Kind::Png => {
            FileContent::Octets(kind.media_type(), clean_picture(kind, &file.octets)?)
        }
    };
    Ok((kind, content))
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
        AttachedFile {
            name: "a.txt".into(),
            media_type: "application/octet-stream".into(),
            octets: octets.to_vec(),
            text: None,
            content_id: None,
        }
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
