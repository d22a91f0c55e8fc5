//! The files beside the program: dashboard, alerts, the example of a configuration, the package and the container.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::http::request;
use e2e::service::{Service, Setup, binary};
use e2e::world::World;
use e2e::{dkim, peers};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn service(world: &World) -> Service {
    Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() })
}

/// Every text under a key, at any depth.
fn texts_under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|inner| texts_under(inner, key, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| texts_under(inner, key, found)),
        _ => {}
    }
}

/// Metrics that an expression asks for, each with the kinds that it names.
fn metrics_of(expression: &str) -> Vec<(String, Vec<String>)> {
    let read = |(at, _): (usize, &str)| {
        let name: String = expression[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let selector = expression[at + name.len()..].strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let kinds = selector.split("kind").skip(1).filter_map(|rest| rest.split('"').nth(1)).map(str::to_owned).collect();
        (name, kinds)
    };
    expression.match_indices("tradepost_").map(read).collect()
}

/// The name under which a metric is described, and its type.
fn described(name: &str) -> (&str, &'static str) {
    let histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    match (name.strip_suffix("_total"), histogram) {
        (Some(counter), _) => (counter, "counter"),
        (None, Some(histogram)) => (histogram, "histogram"),
        (None, None) => (name, "gauge"),
    }
}

#[test]
fn dashboard_and_alerts_ask_for_what_is_there() {
    let world = World::new();
    let service = service(&world);
    let exported = request(service.web, "GET", "/metrics", None, "", b"").unwrap().body;
    let types: BTreeMap<&str, &str> =
        exported.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter_map(|line| line.split_once(' ')).collect();
    let dashboard: Value = serde_json::from_str(&text("packaging/grafana/tradepost.json")).unwrap();
    let mut expressions = Vec::new();
    texts_under(&dashboard, "expr", &mut expressions);
    let on_dashboard = expressions.join("\n");
    let alerts = text("packaging/prometheus/alerts.yml");
    assert!(expressions.len() >= 20 && alerts.matches("- alert: ").count() >= 10, "{expressions:?}");
    texts_under(&dashboard, "definition", &mut expressions);
    expressions.push(&alerts);
    for (name, kinds) in expressions.iter().flat_map(|expression| metrics_of(expression)) {
        let (described, of_type) = described(&name);
        assert_eq!(types.get(described), Some(&of_type), "{name} is not in /metrics:\n{exported}");
        for kind in kinds {
            let sample = format!("{name}{{kind=\"{kind}\"}} ");
            assert!(exported.lines().any(|line| line.starts_with(&sample)), "{sample}is not in /metrics from the start:\n{exported}");
        }
    }
    let shown: BTreeSet<String> = metrics_of(&on_dashboard).iter().map(|(name, _)| described(name).0.to_owned()).collect();
    for name in types.keys() {
        assert!(shown.contains(*name), "no panel shows {name}");
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    let dashboard: Value = serde_json::from_str(&text("packaging/grafana/tradepost.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids of panels are their own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(panel["description"].as_str().is_some_and(|words| words.len() > 40), "{}", panel["title"]);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
}

/// The example in a folder with every file that it names.
struct Example {
    folder: tempfile::TempDir,
}

impl Example {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["dkim", "tls", "texts", "rules"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("dkim/tp1.pem"), dkim::key("marketplace.example", "tp1").0).unwrap();
        std::fs::write(at("rules/plaza.toml"), "").unwrap();
        peers::certificate(folder.path(), "mx.marketplace.example");
        std::fs::copy(at("key.pem"), at("tls/privkey.pem")).unwrap();
        for name in ["tls/fullchain.pem", "tls/acme-roots.pem", "tls/roots.pem"] {
            std::fs::copy(at("cert.pem"), at(name)).unwrap();
        }
        Self { folder }
    }

    /// `tradepost check` on a text; gives stdout, stderr and the code.
    fn check(&self, text: &str) -> (String, String, Option<i32>) {
        let path = self.folder.path().join("tradepost.toml");
        // What stands there can be made by root alone.
        let text = text.replace("\"/var/lib/tradepost\"", "\"data\"");
        std::fs::write(&path, text).unwrap();
        let output = Command::new(binary(false)).args(["check", "--config"]).arg(path).output().unwrap();
        let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (said(&output.stdout), said(&output.stderr), output.status.code())
    }
}

fn example() -> String {
    text("packaging/tradepost.example.toml")
}

/// The lines of the example with every setting that is switched off.
fn every_setting() -> Vec<String> {
    let switch_on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    example().lines().map(switch_on).collect()
}

#[test]
fn example_configuration_passes_as_it_is() {
    let (said, error, code) = Example::new().check(&example());
    assert!(code == Some(0) && said.contains("tp1._domainkey.marketplace.example"), "{said}{error}");
}

#[test]
fn example_configuration_passes_with_every_setting() {
    let example = Example::new();
    let lines = every_setting();
    // A certificate comes from files or from an authority.
    let mut is_acme = false;
    let with_files: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| {
            is_acme = if line.starts_with('[') { *line == "[tls.acme]" } else { is_acme };
            !is_acme
        })
        .collect();
    assert!(with_files.len() < lines.len());
    let (said, error, code) = example.check(&with_files.join("\n"));
    assert_eq!(code, Some(0), "{said}{error}");
    let is_file = |line: &str| line.starts_with("certificate = ") || line.starts_with("key = \"tls/");
    let with_authority: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !is_file(line)).collect();
    assert_eq!(with_authority.len() + 2, lines.len());
    let (said, error, code) = example.check(&with_authority.join("\n"));
    assert_eq!(code, Some(0), "{said}{error}");
}

#[test]
fn example_configuration_names_every_key() {
    let example = Example::new();
    let lines = every_setting();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let name_of = |line: &str| line.strip_prefix('[').map(|rest| rest.trim_matches(['[', ']']).to_owned());
    let sections: Vec<(usize, String)> = lines.iter().enumerate().filter_map(|(n, line)| Some((n + 1, name_of(line)?))).collect();
    assert!(sections.len() >= 12, "{sections:?}");
    for (first, section) in std::iter::once((0, String::new())).chain(sections.clone()) {
        let mut changed = lines.clone();
        changed.insert(first, "unheard_of = 1");
        let (_, error, code) = example.check(&changed.join("\n"));
        assert!(code == Some(1) && error.contains("unknown field `unheard_of`"), "[{section}]: {error}");
        // The error names the keys that the section has.
        let known: Vec<&str> = error.split('`').skip(1).step_by(2).filter(|word| *word != "unheard_of").collect();
        assert!(!known.is_empty(), "[{section}]: {error}");
        let keys: Vec<&str> = lines[first..]
            .iter()
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, _)| key)
            .collect();
        for key in known {
            let below = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            let is_section = sections.iter().any(|(_, name)| *name == below || name.starts_with(&format!("{below}.")));
            assert!(keys.contains(&key) || is_section, "[{section}] {key} does not stand in packaging/tradepost.example.toml");
        }
    }
}

#[test]
fn debian_package_finds_its_files() {
    let home = repository().join("crates/tradepost");
    let manifest: toml::Table = text("crates/tradepost/Cargo.toml").parse().unwrap();
    assert!(manifest["package"].get("description").is_some(), "a package needs a description");
    let deb = manifest["package"]["metadata"]["deb"].as_table().unwrap();
    for asset in deb["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        // The one that is built; of a pattern, the folder.
        let path = if source.starts_with("target/") { continue } else { source.split('*').next().unwrap_or_default() };
        assert!(home.join(path).exists(), "{source}");
    }
    let units = home.join(deb["systemd-units"]["unit-scripts"].as_str().unwrap());
    assert!(units.join("tradepost.service").exists());
    let scripts = home.join(deb["maintainer-scripts"].as_str().unwrap());
    for name in ["postinst", "prerm", "postrm"] {
        let path = scripts.join(name);
        assert!(std::fs::read_to_string(&path).unwrap().contains("\n#DEBHELPER#\n"), "{name} has no place for what starts the unit");
        assert!(Command::new("sh").arg("-n").arg(&path).status().unwrap().success(), "{name}");
    }
}

/// What the processes for documents need of the unit (`crates/tradepost/src/cleaner.rs`).
#[test]
fn unit_leaves_the_processes_for_documents_their_limits() {
    let unit = text("packaging/tradepost.service");
    let settings: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    for limit in ["LimitDATA=", "LimitAS=", "LimitCPU=", "NoExecPaths="] {
        assert!(!settings.iter().any(|line| line.starts_with(limit)), "{limit}");
    }
    let filters: Vec<&&str> = settings.iter().filter(|line| line.starts_with("SystemCallFilter=")).collect();
    assert_eq!(filters, [&"SystemCallFilter=@system-service"]);
    for needed in ["KillMode=mixed", "OOMPolicy=continue", "ExecReload=/bin/kill -HUP $MAINPID", "NoNewPrivileges=yes"] {
        assert!(settings.contains(&needed), "{needed}");
    }
}

#[test]
fn health_check_of_the_container_tells_whether_the_service_answers() {
    let dockerfile = text("Dockerfile");
    let check = dockerfile.split("HEALTHCHECK ").nth(1).and_then(|rest| rest.split("CMD ").nth(1)).and_then(|rest| rest.lines().next());
    let words: Vec<String> = serde_json::from_str(check.unwrap()).unwrap();
    let world = World::new();
    let mut service = service(&world);
    let port = service.web.port().to_string();
    let is_healthy = || Command::new(&words[0]).args(&words[1..]).env("TRADEPOST_HEALTH_PORT", &port).status().unwrap().success();
    assert!(is_healthy());
    service.terminate();
    assert!(!is_healthy());
}
