//! Rules of the house that no compiler knows, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Which crate may know which. Arrows point downwards; doors never know each other or an adapter.
const ARROWS: [(&str, &[&str]); 17] = [
    ("mail", &[]),
    ("domain", &["mail"]),
    ("attachment", &[]),
    ("store", &["domain", "mail"]),
    ("store-sqlite", &["domain", "mail", "store"]),
    ("store-postgres", &["domain", "mail", "store"]),
    ("store-files", &["store"]),
    ("operations", &["domain", "mail", "attachment", "store"]),
    ("smtp-server", &["domain", "mail", "store", "operations"]),
    ("delivery", &["domain", "mail", "store", "operations"]),
    ("api", &["domain", "mail", "store", "operations"]),
    ("web", &["domain", "mail", "store", "operations"]),
    ("sandbox", &["mail"]),
    ("testkit", &["attachment", "domain", "mail", "store", "operations", "store-sqlite", "store-files"]),
    (
        "tradepost",
        &[
            "attachment",
            "domain",
            "mail",
            "store",
            "operations",
            "store-sqlite",
            "store-postgres",
            "store-files",
            "smtp-server",
            "delivery",
            "api",
            "web",
            "sandbox",
        ],
    ),
    ("e2e", &["mail", "domain", "sandbox", "testkit"]),
    ("xtask", &[]),
];
/// Crates that may not touch sockets, files or the runtime.
const PURE: [&str; 3] = ["mail", "domain", "attachment"];
const IMPURE: [&str; 4] = ["std::net::Tcp", "std::fs", "tokio", "SystemTime"];
/// A file longer than this is cut in two.
const MAX_LINES: usize = 600;

/// Checks everything.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    let arrows: BTreeMap<&str, BTreeSet<&str>> = ARROWS.iter().map(|(name, to)| (*name, to.iter().copied().collect())).collect();
    for manifest in manifests(root)? {
        check_manifest(&manifest, &arrows, &mut faults)?;
    }
    let mut tests = BTreeSet::new();
    for file in sources(root)? {
        check_source(root, &file, &mut faults)?;
        tests.extend(functions(&std::fs::read_to_string(&file)?));
    }
    check_answers(root, &tests, &mut faults)?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!("tidy found fault:\n  {}", faults.join("\n  "))
}

fn manifests(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = vec![root.join("xtask/Cargo.toml"), root.join("e2e/Cargo.toml")];
    for entry in std::fs::read_dir(root.join("crates"))? {
        found.push(entry?.path().join("Cargo.toml"));
    }
    Ok(found)
}

fn check_manifest(path: &Path, arrows: &BTreeMap<&str, BTreeSet<&str>>, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let manifest: toml::Table = text.parse()?;
    let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(allowed) = arrows.get(name.as_str()) else {
        faults.push(format!("{name}: a crate that tidy does not know; draw its arrows in xtask/src/tidy.rs"));
        return Ok(());
    };
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
        if arrows.contains_key(dependency.as_str()) && !allowed.contains(dependency.as_str()) {
            faults.push(format!("{name} → {dependency}: this arrow is not in the house's plan"));
        }
    }
    Ok(())
}

fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask"), root.join("e2e")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Names of the functions of a file.
fn functions(text: &str) -> Vec<String> {
    let after = text.split("fn ").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

/// Every answer of the questions pages names the test that stands behind it, and that test exists.
fn check_answers(root: &Path, tests: &BTreeSet<String>, faults: &mut Vec<String>) -> anyhow::Result<()> {
    for page in ["docs/faq-buyer.md", "docs/faq-operator.md", "docs/faq-seller.md"] {
        let text = std::fs::read_to_string(root.join(page)).with_context(|| page.to_owned())?;
        for answer in text.split("\n## ").skip(1) {
            let question = answer.lines().next().unwrap_or_default();
            let named: Vec<&str> = answer.split("<!-- test: ").skip(1).filter_map(|rest| rest.split(" -->").next()).collect();
            if named.is_empty() {
                faults.push(format!("{page}: \"{question}\" names no test that stands behind the answer"));
            }
            for name in named.iter().flat_map(|names| names.split([',', ' '])).filter(|name| !name.is_empty()) {
                if !tests.contains(name) {
                    faults.push(format!("{page}: \"{question}\" rests on {name}, and there is no such test"));
                }
            }
        }
    }
    Ok(())
}

fn check_source(root: &Path, path: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
    if !text.starts_with("//!") && !shown.ends_with("_tests.rs") {
        faults.push(format!("{shown}: a file opens with //! and says what it is"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{shown}: {lines} lines; a reader gives up at {MAX_LINES}"));
    }
    if !shown.ends_with("_tests.rs") && PURE.iter().any(|name| shown.starts_with(&format!("crates/{name}/src/"))) {
        for word in IMPURE.iter().filter(|word| text.contains(**word)) {
            faults.push(format!("{shown}: {word} in a crate that knows nothing of the world"));
        }
    }
    Ok(())
}
