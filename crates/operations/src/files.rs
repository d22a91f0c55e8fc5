//! Files of a message: judged by content (C8), rebuilt or refused. Heavy work on threads of its own.

use std::sync::Arc;

use attachment::{Fault, Kind, clean_pdf, judge};
use domain::policy::{Channel, RefusedFile, RefusedFileCause, RuleSet};
use mail::compose::FileContent;
use mail::mime::{AttachedFile, Content, PartKind};
use store::StoreError;

use crate::context::Context;

/// Files below this size together are worked on where they are.
const HEAVY_BYTES: usize = 64 << 10;

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
}

/// Judges and rebuilds the files of a message.
pub(crate) async fn prepare(ctx: &Context, content: &Arc<Content>, rules: &Arc<RuleSet>, channel: Channel) -> Result<Files, StoreError> {
    if content.files().map(|f| f.octets.len()).sum::<usize>() < HEAVY_BYTES {
        return Ok(files(content, rules, channel));
    }
    let _permit = ctx.heavy.acquire().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
    let (content, rules) = (Arc::clone(content), Arc::clone(rules));
    let done = tokio::task::spawn_blocking(move || files(&content, &rules, channel)).await;
    done.map_err(|_| StoreError::Unavailable("reading a file was cut off".to_owned()))
}

/// The same, where blocking does no harm.
pub(crate) fn files(content: &Content, rules: &RuleSet, channel: Channel) -> Files {
    let mut out = Files::default();
    let mut total = 0_usize;
    for (n, file) in content.files().enumerate() {
        total = total.saturating_add(file.octets.len());
        let refused = |cause| RefusedFile { name: file.name.clone(), cause };
        if file.octets.len() > rules.max_attachment_bytes || total > rules.max_attachment_bytes {
            out.refused.push(refused(RefusedFileCause::Size));
        } else if channel == Channel::Web && n >= rules.max_attachments {
            out.refused.push(refused(RefusedFileCause::Count));
        } else {
            match rebuild(file) {
                Ok(Rebuilt::Passes(content)) => out.passed.push((file.name.clone(), content)),
                Ok(Rebuilt::TakenOut(kind)) => out.not_rebuilt.push(kind),
                Err(fault) => out.refused.push(refused(cause(fault))),
            }
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

fn rebuild(file: &AttachedFile) -> Result<Rebuilt, Fault> {
    Ok(match judge(&file.name, &file.media_type, &file.octets)? {
        Kind::Text => {
            let text = file.text.clone().unwrap_or_else(|| String::from_utf8_lossy(&file.octets).into_owned());
            Rebuilt::Passes(FileContent::Text(text))
        }
        Kind::Pdf => Rebuilt::Passes(FileContent::Octets(Kind::Pdf.media_type(), clean_pdf(&file.octets)?)),
        other => Rebuilt::TakenOut(other),
    })
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
