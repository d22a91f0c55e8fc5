//! Reading a message: header fields, the tree of parts, and what each part says in Unicode.
//!
//! The structure is read by our own flat walker, which never recurses and stops at named limits; the
//! grammars inside one field and the decoding of one leaf are `mail-parser`'s. That library parses nested
//! messages without a depth limit, so it is never handed anything that can nest (docs/adr/0003).

mod armour;
mod calendar;
mod content;
mod decode;
mod header;
mod rtf;
mod structure;
mod tnef;
mod uuencode;

pub use content::{AttachedFile, Content, Part, PartKind, read_content};
pub use decode::{TransferEncoding, decode_text, decode_transfer, decode_words, transfer_encoding};
pub use header::{Field, Fields, Originator, OriginatorError};
pub use structure::{Entity, MAX_DEPTH, MAX_PARTS, Malformed, Message, parse};
