//! The vector set through the service, in both directions: no canary arrives under any decoding, and what the
//! author wrote does. Prints the table of `docs/vectors.md`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::BTreeSet;
use std::io::Write;

use e2e::service::{Service, Setup, assert_log_is_clean};
use e2e::vectors::run::{canaries_in, left_behind, run, table};
use e2e::vectors::{Case, Direction, all, write_all};
use e2e::world::World;
use mail::mime::Fields;
use sandbox::StoredMail;

fn started(world: &World) -> Service {
    let rules = "[buyer_limit]\nper_pair_and_day = 100000\n[daily_limit]\nbase = 100000\n".to_owned();
    Service::start(Setup { route: world.route(), dns: Some(world.dns), rules, ..Setup::default() })
}

#[test]
fn no_vector_leaks_in_either_direction() {
    let world = World::new();
    let service = started(&world);
    let rows = all();
    assert_eq!(rows.iter().filter(|row| row.is_hard()).count(), 120);
    let judged = run(&world, &service, &rows);
    // Past the capture of the test harness, so that the table is seen when all is well.
    let _ = std::io::stdout().write_all(format!("\n{}", table(&judged)).as_bytes());
    let failed = judged.iter().filter(|j| j.vector.soft.is_none() && !j.faults.is_empty());
    let failed: Vec<String> = failed.map(|j| format!("{} {}", j.vector.id, j.direction.words())).collect();
    let left = left_behind(&service);
    assert!(failed.is_empty() && left.is_empty(), "{} failed: {failed:?}; left behind: {left:?}", failed.len());
    assert_log_is_clean(&service.log(), &[]);
}

/// P13: the same picture to two sellers; nothing in headers and boundaries is the same.
#[test]
fn two_sellers_cannot_tell_that_one_buyer_wrote_to_both() {
    let world = World::new();
    let service = started(&world);
    let first = service.put_pair(1);
    service.put_pair(2);
    let second = service.put_order(2, 1, "302-0000102");
    let vector = all().into_iter().find(|row| row.id == "A02").unwrap();
    let seen: Vec<BTreeSet<String>> = [&first, &second]
        .map(|pair| {
            let case = Case::new(vector, Direction::BuyerToSeller, &pair.buyer, &pair.seller_alias);
            let octets = (vector.build)(&case);
            assert!(world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], &octets).is_accepted());
            marks(&world.nth(&pair.seller, 1))
        })
        .to_vec();
    assert!(seen.iter().all(|m| m.len() >= 3), "{seen:?}");
    let common: Vec<&String> = seen[0].intersection(&seen[1]).collect();
    assert!(common.is_empty(), "both know {common:?}");
}

/// Long words of header and boundaries.
fn marks(mail: &StoredMail) -> BTreeSet<String> {
    let (_, body_at) = Fields::read(&mail.octets);
    let (head, body) = mail.octets.split_at(body_at);
    let head = String::from_utf8_lossy(head).into_owned();
    let body = String::from_utf8_lossy(body).into_owned();
    let lines = head.lines().chain(body.lines().filter(|line| line.starts_with("--") || line.starts_with("Content-ID")));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()));
    words.filter(|word| word.len() >= 12).map(str::to_owned).collect()
}

#[test]
fn the_set_is_written_as_files() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path()).unwrap();
    let manifest = std::fs::read_to_string(folder.path().join("MANIFEST.tsv")).unwrap();
    assert_eq!(manifest.lines().count(), 1 + 2 * all().len());
    for line in manifest.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(columns.len(), 9, "{line}");
        let octets = std::fs::read(folder.path().join(columns[0])).unwrap();
        assert!(Fields::read(&octets).0.originator().is_ok(), "{}", columns[0]);
        assert!(canaries_in(&octets).iter().all(|canary| canary == columns[3]), "{}: another canary", columns[0]);
    }
}
