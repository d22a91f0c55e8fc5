//! Files beside a message: what they are by content, whether they may pass (C8), and the same file without
//! what names its author.
//!
//! Nothing here trusts a name or a declared type, and nothing passes that was not rebuilt.

mod doc;
mod docx;
mod fields;
mod kind;
mod octets;
mod pdf;
mod picture;

pub use kind::{Fault, Kind, judge};
pub use picture::clean_picture;

/// Rewrites a document. Libraries that read documents bound neither memory nor time: callers with documents of
/// strangers run this in a process of its own.
///
/// # Errors
/// The `Fault` that its writer is told; `Kind` for what is no document.
pub fn clean_document(kind: Kind, octets: &[u8]) -> Result<Vec<u8>, Fault> {
    match kind {
        Kind::Pdf => pdf::clean_pdf(octets),
        Kind::Doc => doc::clean_doc(octets),
        Kind::Docx => docx::clean_docx(octets),
        _ => Err(Fault::Kind),
    }
}
