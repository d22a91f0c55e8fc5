//! Any bytes as a message: no panic, bounded structure, and no address in the masked text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::mask::{Masking, mask_text};
use mail::mime;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = mime::parse(data) else { return };
    let _ = message.fields().originator();
    let content = mime::read_content(&message);
    let masking = Masking { mask: "[x]" };
    let (masked, _) = mask_text(&content.text, &masking);
    assert_eq!(mask_text(&masked, &masking).1, 0, "masking once masks all");
});
