//! Accepted means durable: no 250 before the sync that covers it, and nothing acknowledged is lost by kill -9.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::eventually;
use e2e::load::{self, Job};
use e2e::service::{Pair, Service, Setup};
use e2e::world::World;
use testkit::{Postgres, SeededRandom};

/// Kills on each store.
const KILLS: usize = 200;
const SESSIONS: usize = 20;

fn job(pair: &Pair, name: &str) -> Job {
    let octets = format!(
        "From: {}\r\nTo: {}\r\nSubject: {name}\r\nMessage-ID: <{name}@load.test>\r\n\r\ncanary {name} end\r\n",
        pair.buyer, pair.seller_alias
    );
    Job { from: pair.buyer.clone(), to: pair.seller_alias.clone(), octets: octets.into_bytes().into() }
}

#[test]
fn no_250_is_written_before_the_sync_that_covers_it() {
    for sessions in [1, 50] {
        let world = World::new();
        let trace = tempfile::NamedTempFile::new().unwrap();
        let path = trace.path().display().to_string();
        let under = [
            "strace",
            "-D",
            "-f",
            "--seccomp-bpf",
            "-yy",
            "-ttt",
            "-T",
            "-s",
            "64",
            "-e",
            "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync",
            "-o",
            &path,
        ];
        let rules = "[buyer_limit]\nper_pair_and_day = 1000\n".to_owned();
        let setup =
            Setup { route: world.route(), dns: Some(world.dns), under: under.map(str::to_owned).to_vec(), rules, ..Setup::default() };
        let mut service = Service::start(setup);
        let pair = service.put_pair(1);
        let jobs: Vec<Job> = (0..100).map(|n| job(&pair, &format!("m{n}"))).collect();
        let accepted = world.runtime.block_on(load::run(service.smtp, sessions, Arc::new(jobs)));
        assert_eq!(accepted.len(), 100);
        let end = format!("{} ", service.pid());
        // In order, so that no reply is cut off between its write and the end of the call.
        service.terminate();
        eventually("strace has written all", || {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            log.lines().any(|l| l.starts_with(&end) && l.contains("+++ exited")).then_some(())
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/fsync_check.py");
        let output = Command::new("/usr/bin/python3").arg(script).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{sessions} sessions: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with("100 replies"), "{sessions} sessions: {said}");
        println!("{sessions} sessions: {}", said.trim());
    }
}

#[test]
fn postgresql_runs_with_fsync_and_synchronous_commit_on() {
    let server = Postgres::start();
    for setting in ["fsync", "synchronous_commit"] {
        let output = Command::new("psql").args([&server.url(), "-At", "-c", &format!("SHOW {setting}")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "on", "{setting}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_on_sqlite() {
    kill_and_count(None);
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_on_postgresql() {
    let server = Postgres::start();
    kill_and_count(Some(server.url()));
}

fn kill_and_count(database: Option<String>) {
    let world = World::new();
    let rules = "[buyer_limit]\nper_pair_and_day = 1000000\n".to_owned();
    let mut service = Service::start(Setup { database, route: world.route(), dns: Some(world.dns), rules, ..Setup::default() });
    let pairs: Vec<Pair> = (1..=10).map(|n| service.put_pair(n)).collect();
    let random = SeededRandom::new(42);
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..KILLS {
        let names: Vec<String> = (0..2_000).map(|n| format!("r{round}n{n}x")).collect();
        let jobs: Vec<Job> = names.iter().enumerate().map(|(n, name)| job(&pairs[n % pairs.len()], name)).collect();
        let running = world.runtime.spawn(load::run(service.smtp, SESSIONS, Arc::new(jobs)));
        // At a random moment under load.
        std::thread::sleep(Duration::from_millis(20 + random.below(180)));
        service.kill();
        let accepted = world.runtime.block_on(running).unwrap();
        acknowledged.extend(accepted.into_iter().map(|n| names[n].clone()));
        service.run();
    }
    let seen = eventually_all(&world, &pairs, &acknowledged);
    let duplicates: usize = acknowledged.iter().map(|name| seen[name] - 1).sum();
    println!("{} kills: {} acknowledged, all delivered, {duplicates} of them more than once", KILLS, acknowledged.len());
    assert!(acknowledged.len() > KILLS, "the load never got going");
    eventually("the queue is empty", || {
        let metrics = e2e::http::request(service.web, "GET", "/metrics", None, "", b"").ok()?.body;
        metrics.contains("tradepost_deliveries_waiting 0\n").then_some(())
    });
}

/// How often each acknowledged message arrived, once all have.
fn eventually_all(world: &World, pairs: &[Pair], acknowledged: &[String]) -> HashMap<String, usize> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for pair in pairs {
            for mail in world.mailboxes.of(&pair.seller) {
                let text = String::from_utf8_lossy(&mail.octets).into_owned();
                if let Some(name) = text.split("canary ").nth(1).and_then(|t| t.split(' ').next()) {
                    *seen.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        let missing: Vec<&String> = acknowledged.iter().filter(|name| !seen.contains_key(*name)).collect();
        if missing.is_empty() {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "{} acknowledged messages are lost, such as {:?}",
            missing.len(),
            &missing[..missing.len().min(3)]
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}
