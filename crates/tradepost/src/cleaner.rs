//! Documents of others are opened in a process of their own, with little memory and little time: what makes it fail
//! fails there, and the service goes on.

use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};

use attachment::{Fault, clean_pdf};
use rustix::process::{Resource, Rlimit, setrlimit};

/// The word with which the program starts as the cleaner.
pub(crate) const WORD: &str = "clean-document";
/// Address space of the cleaner: a document of 10 MiB as objects, several times over.
const MEMORY_BYTES: u64 = 768 << 20;
/// Processor seconds of the cleaner.
const CPU_SECONDS: u64 = 10;
/// A cleaned document is never much larger than it was.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;
/// How the cleaner ends when the document is locked, and when it cannot be read.
const LOCKED: u8 = 3;
const UNREADABLE: u8 = 4;

/// The cleaner's side: a document on stdin, the clean one on stdout.
pub(crate) fn child() -> ExitCode {
    // Whatever a hostile document does is told by how the process ends, and nothing more.
    std::panic::set_hook(Box::new(|_| {}));
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    if setrlimit(Resource::As, limit(MEMORY_BYTES)).is_err() || setrlimit(Resource::Cpu, limit(CPU_SECONDS)).is_err() {
        return ExitCode::FAILURE;
    }
    let mut octets = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut octets).is_err() {
        return ExitCode::FAILURE;
    }
    match clean_pdf(&octets) {
        Ok(clean) if std::io::stdout().lock().write_all(&clean).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Fault::Encrypted) => ExitCode::from(LOCKED),
        Err(_) => ExitCode::from(UNREADABLE),
    }
}

/// The service's side; blocks until the cleaner ends.
///
/// # Errors
/// `Encrypted`, or `Unreadable` for everything that the cleaner cannot do within its limits.
pub(crate) fn clean(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "the cleaner of documents cannot be started");
        Fault::Unreadable
    };
    // The running program itself, also when its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg(WORD).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Err(Fault::Unreadable) };
    let mut clean = Vec::new();
    let read = std::thread::scope(|scope| {
        // A cleaner that ends early reads no further; that is told by its end.
        scope.spawn(move || drop(stdin.write_all(octets)));
        stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut clean)
    });
    if read.is_err() || clean.len() as u64 > MAX_OUTPUT_BYTES {
        let _ = child.kill();
    }
    match child.wait().map_err(failed)?.code() {
        Some(0) if !clean.is_empty() => Ok(clean),
        Some(code) if code == i32::from(LOCKED) => Err(Fault::Encrypted),
        _ => Err(Fault::Unreadable),
    }
}
