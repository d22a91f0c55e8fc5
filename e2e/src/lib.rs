//! End-to-end tests: the program as a process of its own, with real peers around it. Development only.

#![allow(missing_docs, clippy::missing_panics_doc, clippy::missing_errors_doc, clippy::disallowed_methods, clippy::unwrap_used)]
// A test that cannot set up its world may panic; its helpers explain themselves by their names.

pub mod dkim;
pub mod http;
pub mod load;
pub mod next_hop;
pub mod peers;
pub mod scene;
pub mod seek;
pub mod service;
pub mod vectors;
pub mod world;

use std::path::PathBuf;

/// The folder of shared test mail; `None` is said aloud, and the test then stands on its own small cases.
pub fn corpus() -> Option<PathBuf> {
    let folder = std::env::var("TRADEPOST_CORPUS")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("the shared corpus is absent ({}); set TRADEPOST_CORPUS to test against it", folder.display());
    None
}

/// Waits until `probe` gives something, looking often.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
