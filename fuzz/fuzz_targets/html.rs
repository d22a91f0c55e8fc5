//! Any text as HTML: no panic, nothing loaded, and masking once masks all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::html;
use mail::mask::Masking;

fuzz_target!(|text: &str| {
    let Some(clean) = html::sanitise(text) else { return };
    let masking = Masking { mask: "[x]" };
    let (masked, _) = html::mask(&clean.html, &masking);
    for load in ["<img", "<script", "<link", "<iframe", "style=", "onclick", "src="] {
        assert!(!masked.to_lowercase().replace("&lt;", "").contains(load) || !masked.contains('<'), "{load} in {masked}");
    }
    assert_eq!(html::mask(&masked, &masking).1, 0);
    let _ = html::to_text(&masked);
});
