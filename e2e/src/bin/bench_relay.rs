//! Tradepost beside Postfix: `smtp-source` → relay → `smtp-sink`, same run, alternating, both durable.
//!
//! Postfix only relays; Tradepost does all its work: alias, SPF, DKIM and DMARC checks, decision, composing,
//! RSA-2048 signature, sealed record. Prints medians with min–max, ratios, and CPU seconds per 1,000.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)] // A benchmark speaks on stdout.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::load::{self, Job};
use e2e::peers::{self, Daemon, Role, wait_for};
use e2e::service::{Pair, Service, Setup, free_port};
use e2e::world::World;

const BYTES: &str = "4096";
const ROUNDS: usize = 5;
const PAIRS: usize = 1_000;

fn main() {
    let messages: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3_000);
    println!(
        "{messages} messages of {BYTES} octets a run, medians of {ROUNDS} alternating runs [min–max]; loopback, everything on this machine\n"
    );
    println!("| sessions | relay | accepted/s | delivered/s | CPU s/1000 |\n|---|---|---|---|---|");
    let world = World::new();
    for sessions in [10, 100] {
        let (mut postfix, mut tradepost) = (Runs::default(), Runs::default());
        for _ in 0..ROUNDS {
            postfix.push(run_postfix(sessions, messages));
            tradepost.push(run_tradepost(&world, sessions, messages));
        }
        println!("| {sessions} | Postfix | {} |", postfix.row());
        println!("| {sessions} | Tradepost | {} |", tradepost.row());
        println!(
            "| {sessions} | ratio | {:.2} | {:.2} | {:.2} |",
            median(&tradepost.accepted) / median(&postfix.accepted),
            median(&tradepost.delivered) / median(&postfix.delivered),
            median(&tradepost.cpu) / median(&postfix.cpu)
        );
    }
    one_pair_beside_many(&world, messages);
}

#[derive(Default)]
struct Runs {
    accepted: Vec<f64>,
    delivered: Vec<f64>,
    cpu: Vec<f64>,
}

/// Accepted and delivered per second, CPU seconds per 1,000.
struct Run(f64, f64, f64);

impl Runs {
    fn push(&mut self, run: Run) {
        self.accepted.push(run.0);
        self.delivered.push(run.1);
        self.cpu.push(run.2);
    }

    fn row(&self) -> String {
        [(&self.accepted, 0), (&self.delivered, 0), (&self.cpu, 2)]
            .map(|(v, digits)| {
                let (min, max) = v.iter().fold((f64::MAX, f64::MIN), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
                format!("{:.digits$} [{min:.digits$}–{max:.digits$}]", median(v))
            })
            .join(" | ")
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn run_postfix(sessions: usize, messages: usize) -> Run {
    let sink = Sink::start();
    let daemon = peers::postfix("bench", Role::Bench(sink.port));
    let before = postfix_cpu(&daemon);
    let (accepted, delivered) = measure(&sink, daemon.port, "buyer1@buyer.test", "anyone@shop.test", sessions, messages);
    Run(accepted, delivered, (postfix_cpu(&daemon) - before) * 1_000.0 / as_f64(messages))
}

fn run_tradepost(world: &World, sessions: usize, messages: usize) -> Run {
    let sink = Sink::start();
    let service = start(world, &sink);
    let pair = service.put_pair(1);
    let before = process_cpu(service.pid());
    let (accepted, delivered) = measure(&sink, service.smtp.port(), &pair.buyer, &pair.seller_alias, sessions, messages);
    Run(accepted, delivered, (process_cpu(service.pid()) - before) * 1_000.0 / as_f64(messages))
}

fn start(world: &World, sink: &Sink) -> Service {
    // One pair sends more here than a buyer may in a day.
    let rules = "[buyer_limit]\nper_pair_and_day = 1000000\n".to_owned();
    let route = format!("smtp://127.0.0.1:{}", sink.port);
    Service::start(Setup { route, dns: Some(world.dns), release: true, rules, ..Setup::default() })
}

fn measure(sink: &Sink, port: u16, from: &str, to: &str, sessions: usize, messages: usize) -> (f64, f64) {
    let started = Instant::now();
    let status = Command::new("smtp-source")
        .args(["-d", "-s", &sessions.to_string(), "-m", &messages.to_string(), "-l", BYTES, "-f", from, "-t", to, "-M", "bench.test"])
        .arg(format!("127.0.0.1:{port}"))
        .status()
        .unwrap();
    assert!(status.success(), "smtp-source was refused");
    let accepted = as_f64(messages) / started.elapsed().as_secs_f64();
    sink.wait(messages);
    (accepted, as_f64(messages) / started.elapsed().as_secs_f64())
}

/// 100 sessions on one pair beside 1,000 pairs.
fn one_pair_beside_many(world: &World, messages: usize) {
    let sink = Sink::start();
    let service = start(world, &sink);
    let pairs: Vec<Pair> = (1..=PAIRS).map(|n| service.put_pair(n)).collect();
    let jobs = |pairs: &[Pair]| -> Arc<Vec<Job>> {
        let job = |pair: &Pair, n: usize| Job {
            from: pair.buyer.clone(),
            to: pair.seller_alias.clone(),
            octets: format!(
                "From: {}\r\nSubject: {n}\r\n\r\n{}",
                pair.buyer,
                "All work and no play makes a dull mail, says the proverb of the post.\r\n".repeat(57)
            )
            .into_bytes()
            .into(),
        };
        Arc::new((0..messages).map(|n| job(&pairs[n % pairs.len()], n)).collect())
    };
    let mut sent = 0;
    let mut rate = |jobs: Arc<Vec<Job>>| {
        let started = Instant::now();
        let accepted = world.runtime.block_on(load::run(service.smtp, 100, jobs));
        assert_eq!(accepted.len(), messages, "some were refused");
        sent += messages;
        sink.wait(sent);
        as_f64(messages) / started.elapsed().as_secs_f64()
    };
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(rate(jobs(&pairs[..1])));
        many.push(rate(jobs(&pairs)));
    }
    println!(
        "\n100 sessions: one pair {:.0}/s, {PAIRS} pairs {:.0}/s, ratio {:.2}",
        median(&one),
        median(&many),
        median(&one) / median(&many)
    );
}

/// `smtp-sink`, which counts.
struct Sink {
    port: u16,
    count: Arc<AtomicUsize>,
    process: Child,
}

impl Sink {
    fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("smtp-sink");
        command.args(["-u", "nobody", "-c", "-m", "400", &format!("127.0.0.1:{port}"), "400"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = process.stdout.take().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            let mut tail = String::new();
            while let Ok(length) = stdout.read(&mut buffer) {
                if length == 0 {
                    break;
                }
                tail.push_str(&String::from_utf8_lossy(&buffer[..length]));
                let last = tail.rsplit("mesg=").find_map(|t| t.split_once('\r').and_then(|(n, _)| n.trim().parse().ok()));
                if let Some(n) = last {
                    counted.store(n, Ordering::Relaxed);
                }
                tail = tail.split_off(tail.len().saturating_sub(100));
            }
        });
        wait_for(port, "220 ");
        Self { port, count, process }
    }

    fn wait(&self, messages: usize) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while self.count.load(Ordering::Relaxed) < messages {
            assert!(Instant::now() < deadline, "the sink has {} of {messages}", self.count.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// User and system time of a process in seconds, from /proc/PID/stat (proc(5)).
fn process_cpu(pid: u32) -> f64 {
    let fields = stat(pid);
    ticks(fields.first()) + ticks(fields.get(1))
}

/// All processes of a Postfix: the living ones of its session, and those that its master has buried.
fn postfix_cpu(daemon: &Daemon) -> f64 {
    let Some(master) = daemon.master_pid() else { return 0.0 };
    let mut total = 0.0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if session_of(pid) == Some(master) {
            total += process_cpu(pid);
        }
    }
    let fields = stat(master);
    total + ticks(fields.get(2)) + ticks(fields.get(3))
}

/// Fields 14 to 17: utime, stime, cutime, cstime.
fn stat(pid: u32) -> Vec<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(4).filter_map(|f| f.parse().ok()).collect()
}

fn session_of(pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit(')').next()?.split_whitespace().nth(3)?.parse().ok()
}

fn ticks(field: Option<&u64>) -> f64 {
    /// Clock ticks a second, on every Linux there is.
    const PER_SECOND: f64 = 100.0;
    as_f64(usize::try_from(field.copied().unwrap_or(0)).unwrap()) / PER_SECOND
}

#[allow(clippy::cast_precision_loss)] // Counts far below 2^52.
fn as_f64(n: usize) -> f64 {
    n as f64
}
