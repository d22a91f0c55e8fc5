//! Any bytes as a message: no panic, bounded structure, and no address in what is passed on.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use mail::{html, mime};

fuzz_target!(|data: &[u8]| {
    let Ok(message) = mime::parse(data) else { return };
    let _ = message.fields().originator();
    let content = mime::read_content(&message);
    let scrubber = fuzz::scrubber();
    fuzz::assert_no_address(&scrubber.text(&content.text).0);
    fuzz::assert_no_address(&scrubber.line(&content.subject).0);
    if let Some(clean) = &content.html {
        let _ = html::scrub(clean, &scrubber, &HashMap::new());
    }
    for file in content.files() {
        let _ = attachment::judge(&file.name, &file.media_type, &file.octets);
        fuzz::assert_no_address(&scrubber.file_name(&file.name).0);
    }
});
