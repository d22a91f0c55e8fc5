//! Documents of others are opened in a process of their own, with little memory and little time: what makes it fail
//! fails there, and the service goes on.

use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use attachment::{Fault, Kind, clean_document};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// The word with which the program starts as the cleaner.
pub(crate) const WORD: &str = "clean-document";
/// Memory that the cleaner may write to, at least, and for each octet of the document: its objects, several times over.
const MEMORY_BYTES: u64 = 64 << 20;
const MEMORY_PER_OCTET: u64 = 24;
/// The least for a PDF: of a tagged one a megabyte holds a hundred thousand objects.
const PDF_MEMORY_BYTES: u64 = 192 << 20;
/// Processor seconds of the cleaner, at least, and for each megabyte of the document.
const CPU_SECONDS: u64 = 2;
const CPU_SECONDS_PER_MEGABYTE: u64 = 1;
/// Largest document that is read at all.
const MAX_INPUT_BYTES: u64 = 128 << 20;
/// Longest time from start to end, which is more than its processor time on a machine that is busy.
const WALL_TIME: Duration = Duration::from_secs(60);
/// Largest clean document that is read.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;
/// How the cleaner ends when it finds a fault; any other end is one of its limits.
const FAULTS: [(u8, Fault); 5] =
    [(3, Fault::Encrypted), (4, Fault::Unreadable), (5, Fault::Macros), (6, Fault::Disagreement), (7, Fault::Kind)];

/// The cleaner's side: a document of the kind that the one argument names on stdin, the clean one on stdout.
pub(crate) fn child(kind: Option<String>) -> ExitCode {
    // Whatever a hostile document does is told by how the process ends, and nothing more.
    std::panic::set_hook(Box::new(|_| {}));
    // No image of its memory is ever kept: it holds a stranger's document.
    if set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        return ExitCode::FAILURE;
    }
    let Some(kind) = kind.as_deref().and_then(Kind::of_extension) else { return ExitCode::FAILURE };
    let mut octets = Vec::new();
    if std::io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut octets).is_err() {
        return ExitCode::FAILURE;
    }
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    let size = octets.len() as u64;
    let least = if kind == Kind::Pdf { PDF_MEMORY_BYTES } else { MEMORY_BYTES };
    let memory = least.max(size * MEMORY_PER_OCTET);
    let seconds = CPU_SECONDS + (size >> 20) * CPU_SECONDS_PER_MEGABYTE;
    if setrlimit(Resource::Data, limit(memory)).is_err() || setrlimit(Resource::Cpu, limit(seconds)).is_err() {
        return ExitCode::FAILURE;
    }
    match clean_document(kind, &octets) {
        Ok(clean) if std::io::stdout().lock().write_all(&clean).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(fault) => FAULTS.iter().find(|(_, f)| *f == fault).map_or(ExitCode::FAILURE, |(code, _)| ExitCode::from(*code)),
    }
}

/// The service's side; blocks until the cleaner ends.
///
/// # Errors
/// What the cleaner finds; `Unreadable` for everything that it cannot do within its limits.
pub(crate) fn clean(kind: Kind, octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "the cleaner of documents cannot be started");
        Fault::Unreadable
    };
    // The running program itself, also when its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg(WORD).arg(kind.extension()).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Err(Fault::Unreadable) };
    let mut clean = Vec::new();
    let (ended, watch) = std::sync::mpsc::channel::<()>();
    let child = Mutex::new(child);
    let kill = || drop(child.lock().unwrap_or_else(PoisonError::into_inner).kill());
    let read = std::thread::scope(|scope| {
        // A cleaner that ends early reads no further; that is told by its end.
        scope.spawn(move || drop(stdin.write_all(octets)));
        // One that hangs without working is not stopped by the limit of its work.
        let stop = &kill;
        scope.spawn(move || {
            if watch.recv_timeout(WALL_TIME) == Err(RecvTimeoutError::Timeout) {
                stop();
            }
        });
        let read = stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut clean);
        drop(ended);
        if read.is_err() || clean.len() as u64 > MAX_OUTPUT_BYTES {
            kill();
        }
        read
    });
    let code = child.into_inner().unwrap_or_else(PoisonError::into_inner).wait().map_err(failed)?.code();
    match code.filter(|_| read.is_ok()) {
        Some(0) if !clean.is_empty() => Ok(clean),
        code => Err(FAULTS.iter().find(|(c, _)| code == Some(i32::from(*c))).map_or(Fault::Unreadable, |(_, fault)| *fault)),
    }
}
