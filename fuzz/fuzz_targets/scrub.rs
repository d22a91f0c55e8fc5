//! Any text: no panic, and no address in what is passed on; what an author wrote is part of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::quoting;

fuzz_target!(|text: &str| {
    let scrubber = fuzz::scrubber();
    fuzz::assert_no_address(&scrubber.text(text).0);
    fuzz::assert_no_address(&scrubber.file_name(text).0);
    let written = quoting::written(text);
    assert!(written.lines().all(|line| text.contains(line)));
});
