//! Any bytes as a PDF: no panic, and what comes out is taken again.
#![no_main]

use attachment::Kind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::clean_twice(Kind::Pdf, data));
