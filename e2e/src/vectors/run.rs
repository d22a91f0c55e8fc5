//! Sends the set through a service, a fresh pair for each message, and judges what arrives.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sandbox::{Exchange, StoredMail};

use crate::http;
use crate::seek::Views;
use crate::service::{Pair, Service};
use crate::vectors::{Case, Class, Direction, Treatment, Vector};
use crate::world::World;

/// How long a mail may take from its acceptance to the mailbox.
const PATIENCE: Duration = Duration::from_secs(30);

/// One message, judged.
pub struct Judged {
    pub vector: &'static Vector,
    pub direction: Direction,
    /// Empty if it is handled.
    pub faults: Vec<String>,
    /// Whether the search had to stop early.
    pub cut: bool,
}

struct Sent {
    vector: &'static Vector,
    direction: Direction,
    pair: Pair,
    answer: Exchange,
}

enum Fate {
    Arrived(Vec<StoredMail>),
    /// It did not arrive, as was decided.
    Withheld {
        why: String,
        told: bool,
    },
    /// Something else than what was decided.
    Lost(String),
}

/// Sends every message in both directions, then waits for all of them.
pub fn run(world: &World, service: &Service, vectors: &[&'static Vector]) -> Vec<Judged> {
    let mut sent = Vec::new();
    for vector in vectors.iter().copied() {
        for direction in Direction::BOTH {
            let pair = service.put_pair(sent.len() + 1);
            let (writer, alias, _) = ends(&pair, direction);
            let octets = (vector.build)(&Case::new(vector, direction, writer, alias));
            let answer = world.send(service.smtp, writer, &[alias], &octets);
            sent.push(Sent { vector, direction, pair, answer });
        }
    }
    sent.iter().map(|sent| sent.judge(world, service)).collect()
}

/// Who writes, to which alias, and who reads.
fn ends(pair: &Pair, direction: Direction) -> (&str, &str, &str) {
    match direction {
        Direction::BuyerToSeller => (&pair.buyer, &pair.seller_alias, &pair.seller),
        Direction::SellerToBuyer => (&pair.seller, &pair.buyer_alias, &pair.buyer),
    }
}

impl Sent {
    fn judge(&self, world: &World, service: &Service) -> Judged {
        let (vector, direction) = (self.vector, self.direction);
        let (writer, alias, _) = ends(&self.pair, direction);
        let case = Case::new(vector, direction, writer, alias);
        let (faults, cut) = match (vector.treatment, self.fate(world, service)) {
            (_, Fate::Lost(why)) => (vec![why], false),
            (Treatment::Refused, Fate::Arrived(_)) => (vec!["it arrived, and its row says refuse".to_owned()], false),
            (Treatment::Delivered | Treatment::Either, Fate::Arrived(mails)) => search(vector, &case, &mails),
            (Treatment::Delivered, Fate::Withheld { why, .. }) => (vec![format!("it did not arrive: {why}")], false),
            (_, Fate::Withheld { why, told: false }) => (vec![format!("its author is not told of {why}")], false),
            (_, Fate::Withheld { .. }) => (Vec::new(), false),
        };
        Judged { vector, direction, faults, cut }
    }

    fn fate(&self, world: &World, service: &Service) -> Fate {
        let (writer, _, reader) = ends(&self.pair, self.direction);
        let said = format!("{} {}", self.answer.code, self.answer.text);
        if !self.answer.is_accepted() {
            // Refused in the session: the writer's own server tells them.
            return if self.answer.code >= 500 { Fate::Withheld { why: said, told: true } } else { Fate::Lost(said) };
        }
        let id = self.answer.text.rsplit(' ').next().unwrap_or_default();
        let decision = service.decision(id);
        let outcome = decision["outcome"].as_str().unwrap_or_default();
        let has_mail = |address: &str| wait(|| world.mailboxes.count(address) > 0);
        match outcome {
            "relay" if has_mail(reader) => Fate::Arrived(world.mailboxes.of(reader)),
            "relay" => Fate::Lost("it was to be relayed and did not arrive".to_owned()),
            "refuse" => {
                let told = has_mail(writer);
                let why = format!("refuse, {}", decision["remedy"].as_str().unwrap_or_default());
                if world.mailboxes.count(reader) > 0 { Fate::Lost(format!("{why}, and it arrived")) } else { Fate::Withheld { why, told } }
            }
            other => Fate::Withheld { why: other.to_owned(), told: true },
        }
    }
}

fn wait(is_there: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Nothing secret in what arrived, and everything that was written.
fn search(vector: &Vector, case: &Case<'_>, mails: &[StoredMail]) -> (Vec<String>, bool) {
    let views: Vec<Views> = mails.iter().map(|mail| Views::of(&mail.octets)).collect();
    let mut faults = Vec::new();
    for secret in case.secrets() {
        faults.extend(views.iter().filter_map(|v| v.find(secret)).map(|path| format!("{secret} arrives: {path}")));
        let in_envelope = mails.iter().any(|mail| mail.reverse_path.contains(secret));
        faults.extend(in_envelope.then(|| format!("{secret} stands in the envelope")));
    }
    for part in [case.written.as_str()].iter().chain(vector.inside) {
        if !views.iter().any(|v| v.find(part).is_some()) {
            faults.push(format!("{part:?} is missing"));
        }
    }
    (faults, views.iter().any(|v| v.cut))
}

/// What was handled, by class; then the rows that count as information, and every fault.
pub fn table(judged: &[Judged]) -> String {
    let [one, two] = Direction::BOTH.map(|direction| format!("handled {}", direction.words()));
    let mut out = format!("{:<16}{:>6}{one:>24}{two:>24}   soft (treatment)\n", "class", "hard");
    for class in Class::ALL {
        let of_class: Vec<&Judged> = judged.iter().filter(|j| j.vector.class() == class).collect();
        let rows = || of_class.iter().filter(|j| j.vector.soft.is_none());
        let handled = |direction: Direction| rows().filter(|j| j.direction == direction && j.faults.is_empty()).count();
        let all = rows().filter(|j| j.direction == Direction::BuyerToSeller).count();
        let [one, two] = Direction::BOTH.map(handled);
        let soft: BTreeSet<&str> = of_class.iter().filter(|j| j.vector.soft.is_some()).map(|j| j.vector.id).collect();
        let soft = match (class, soft.len()) {
            (Class::Protocol, _) => "not counted".to_owned(),
            (_, count) => format!("{count} {}", soft.into_iter().collect::<Vec<_>>().join(" ")),
        };
        let _ = writeln!(out, "{:<16}{all:>6}{one:>24}{two:>24}   {}", class.words(), soft.trim_end());
    }
    let hard: BTreeSet<&str> = judged.iter().filter(|j| j.vector.is_hard()).map(|j| j.vector.id).collect();
    let failed: BTreeSet<&str> = judged.iter().filter(|j| j.vector.is_hard() && !j.faults.is_empty()).map(|j| j.vector.id).collect();
    let _ = writeln!(out, "total {} of {}, both directions", hard.len() - failed.len(), hard.len());
    for j in judged {
        let (id, words) = (j.vector.id, j.direction.words());
        if let Some(treatment) = j.vector.soft {
            let found = if j.faults.is_empty() { "gone".to_owned() } else { j.faults.join("; ") };
            let _ = writeln!(out, "  {id} {words}: {found} ({treatment})");
        } else if !j.faults.is_empty() {
            let _ = writeln!(out, "  {id} {words} FAILED, {}: {}", j.vector.what, j.faults.join("; "));
        }
        if j.cut {
            let _ = writeln!(out, "  {id} {words}: there was more to search than the budget allows");
        }
    }
    out
}

/// Where a canary stands in clear in what the service keeps and says of itself: metrics, answers of the API, files with
/// the log among them.
pub fn left_behind(service: &Service) -> Vec<String> {
    let metrics = http::request(service.web, "GET", "/metrics", None, "text/plain", &[]).unwrap();
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    let mut faults: Vec<String> = canaries_in(metrics.body.as_bytes()).into_iter().map(|c| format!("{c} in the metrics")).collect();
    faults.extend(answered(service));
    for file in files_below(service.folder.path()) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if ["tradepost.toml", "rules.toml", "dkim.pem"].contains(&name.as_str()) {
            continue;
        }
        // A file of a journal may go while we look.
        let found = canaries_in(&std::fs::read(&file).unwrap_or_default());
        // H03: the writer's Message-ID is kept, so that answers are threaded.
        let kept = |canary: &String| name.starts_with("tradepost.db") && canary.starts_with("zqh03");
        faults.extend(found.into_iter().filter(|canary| !kept(canary)).map(|canary| format!("{canary} in {name}")));
    }
    faults
}

/// What the API says of every message that was attempted: canaries of hard rows in it.
fn answered(service: &Service) -> Vec<String> {
    let log = service.log();
    let ids: BTreeSet<&str> =
        log.split("id=").skip(1).filter_map(|rest| rest.get(..32)).filter(|id| id.bytes().all(|b| b.is_ascii_hexdigit())).collect();
    assert!(ids.len() > 100, "only {} messages in the log", ids.len());
    let soft: Vec<String> = super::all().iter().filter(|v| v.soft.is_some()).map(|v| v.id.to_lowercase()).collect();
    let mut faults = Vec::new();
    for path in ids.iter().flat_map(|id| [format!("/messages/{id}"), format!("/messages/{id}/decision")]) {
        let answer = http::request(service.web, "GET", &format!("/api/v1{path}"), Some(&service.token), "", &[]).unwrap();
        let found = canaries_in(answer.body.as_bytes()).into_iter().filter(|c| !soft.iter().any(|id| c[2..].starts_with(id.as_str())));
        faults.extend(found.map(|canary| format!("{canary} in the answer of {path}")));
    }
    faults
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// Every canary of the set that octets hold as they stand.
pub fn canaries_in(octets: &[u8]) -> BTreeSet<String> {
    let is_canary = |w: &[u8]| {
        w[0].eq_ignore_ascii_case(&b'z')
            && w[1].eq_ignore_ascii_case(&b'q')
            && w[6..].eq_ignore_ascii_case(b"xk")
            && w[3..5].iter().all(u8::is_ascii_digit)
            && b"hmbap".contains(&w[2].to_ascii_lowercase())
            && b"bs".contains(&w[5].to_ascii_lowercase())
    };
    octets.windows(8).filter(|w| is_canary(w)).map(|w| String::from_utf8_lossy(w).to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::all;

    #[test]
    fn canaries_are_told_from_other_octets() {
        for vector in all() {
            let case = Case::new(vector, Direction::SellerToBuyer, "a@b.example", "c@d.example");
            let text = format!("\0{}@x {} zqx", case.canary.to_uppercase(), case.word);
            assert_eq!(canaries_in(text.as_bytes()), BTreeSet::from([case.canary.clone()]));
        }
    }

    #[test]
    fn what_leaks_or_is_missing_is_a_fault() {
        let vector = all()[0];
        let case = Case::new(vector, Direction::BuyerToSeller, "ana@buyer.test", "c@d.example");
        let mail = |octets: String| StoredMail { id: 1, reverse_path: "b-1".into(), recipient: "x@y".into(), octets: octets.into_bytes() };
        let good = format!("Subject: x\r\n\r\n{}\r\n", case.written);
        let faults = |octets: String| search(vector, &case, &[mail(octets)]).0.len();
        assert_eq!(faults(good.clone()), 0);
        assert_eq!(faults(format!("X-A: {}\r\n{good}", case.address())), 1);
        assert_eq!(faults(format!("{good}ana%40buyer.test")), 1);
        assert_eq!(faults("Subject: x\r\n\r\n".to_owned()), 1);
        let judged = Judged { vector, direction: Direction::BuyerToSeller, faults: vec!["found".to_owned()], cut: false };
        assert!(table(&[judged]).contains("H01 buyer→seller FAILED"));
    }
}
