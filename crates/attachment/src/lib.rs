//! Files beside a message: what they are by content, whether they may pass (C8), and the same file without
//! what names its author.
//!
//! Nothing here trusts a name or a declared type, and nothing passes that was not rebuilt.

mod kind;
mod pdf;
mod picture;

pub use kind::{Fault, Kind, judge};
pub use pdf::clean_pdf;
pub use picture::clean_picture;
