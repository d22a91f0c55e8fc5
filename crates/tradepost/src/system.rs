//! The system's clock, randomness and log. The lints ban other uses of the clock.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use domain::{Clock, Random, Timestamp};
use tracing_subscriber::EnvFilter;

/// The system clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // The one system clock of the program.
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The system's CSPRNG.
pub(crate) struct SystemCsprng(SystemRandom);

impl SystemCsprng {
    pub(crate) fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Random for SystemCsprng {
    fn fill(&self, octets: &mut [u8]) {
        // Without randomness no alias, key or salt may be made: there is nothing sensible to go on with.
        self.0.fill(octets).expect("the operating system gives random octets");
    }
}

/// A command's answer, a line on stdout. Whoever reads may have gone, as `head` does.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Starts the log on stderr. Libraries are held to errors: their other lines could hold addresses (privacy P19).
pub(crate) fn start_logging(filter: &str, json: bool) -> Result<(), String> {
    let ours = ["tradepost", "operations", "smtp_server", "delivery", "api", "web", "store_sqlite", "store_postgres"];
    let is_level = ["trace", "debug", "info", "warn", "error", "off"].contains(&filter);
    let directives = if is_level {
        let levels: Vec<String> = ours.iter().map(|name| format!("{name}={filter}")).collect();
        format!("{},{}", if filter == "off" { "off" } else { "error" }, levels.join(","))
    } else {
        filter.to_owned()
    };
    let filter = EnvFilter::try_new(directives).map_err(|e| e.to_string())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    if json {
        builder.json().init()
    } else {
        builder.init()
    }
    Ok(())
}
