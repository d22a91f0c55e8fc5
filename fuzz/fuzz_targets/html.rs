//! Any text as HTML: no panic, nothing loaded, and no address in the text that a reader sees.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use mail::html;

fuzz_target!(|text: &str| {
    let Some(clean) = html::sanitise(text) else {
        let _ = html::to_text_unread(text);
        return;
    };
    let (out, _) = html::scrub(&clean.html, &fuzz::scrubber(), &HashMap::new());
    // Every `<` of the serialiser begins a tag; text holds none.
    for tag in out.split('<').skip(1).map(str::to_lowercase) {
        for load in ["img", "script", "link", "iframe", "object", "embed", "video", "svg", "base", "meta", "form", "style"] {
            assert!(!tag.starts_with(load), "{load} in {out}");
        }
        let inner = tag.split('>').next().unwrap_or_default();
        for attribute in [" src=", " srcset=", " on", " class=", " id=", " title=", " data-", " background="] {
            assert!(!inner.split('"').step_by(2).any(|name| name.contains(attribute)), "{attribute} in {out}");
        }
        assert!(!inner.contains("url("), "{out}");
    }
    let _ = html::to_text(&out);
});
