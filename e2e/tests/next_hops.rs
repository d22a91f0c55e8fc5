//! Next hops as the world has them: that lie, stall, break TLS or reset; and what operator and recipient ask of TLS,
//! by settings, MTA-STS and DANE.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use e2e::eventually;
use e2e::next_hop::{Authority, Dialogue, Identity, Seen, hop, policies, policy};
use e2e::peers::street::entries_of;
use e2e::scene::Scene;
use e2e::service::{Pair, Service, Setup, free_port};
use e2e::world::World;
use serde_json::json;
use tempfile::TempDir;

/// What a hop plays on each connection.
type Part = fn(usize, &mut Dialogue);

/// A service that delivers by MX; every host has an address of its own on loopback, and all have one port.
fn town(setup: Setup) -> Scene {
    let world = World::new();
    let service = Service::start(Setup { route: "mx".to_owned(), mx_port: world.sink.port(), dns: Some(world.dns), ..setup });
    Scene { service, world }
}

/// The same, with settings of destinations and an authority that is trusted.
fn town_with_tls(authority: &Authority, delivery: &str, domains: &[(&str, &str)]) -> (Scene, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("ca.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let delivery = format!("roots = \"{}\"\n{delivery}", roots.display());
    let more = domains.iter().map(|(domain, tls)| format!("[delivery.domain.\"{domain}\"]\ntls = \"{tls}\"\n")).collect();
    (town(Setup { delivery, more, ..Setup::default() }), folder)
}

/// A domain whose only host stands at 127.0.0.`last`.
fn settle(s: &Scene, domain: &str, last: u8) -> SocketAddr {
    let (address, name) = (Ipv4Addr::new(127, 0, 0, last), format!("mx.{domain}"));
    s.world.zone.a(&name, address);
    s.world.zone.mx(domain, &name);
    SocketAddr::from((address, s.world.sink.port()))
}

/// A buyer of that domain, and a seller of their own.
fn buyer_at(s: &Scene, n: usize, domain: &str) -> Pair {
    let (seller, buyer) = (format!("seller{n}@shop.test"), format!("ana{n}@{domain}"));
    s.service.put(&format!("/sellers/s{n}"), &json!({"business_name": format!("Shop {n}"), "email": seller, "locale": "es"}));
    s.service.put(&format!("/buyers/b{n}"), &json!({"email": buyer, "first_name": "Ana", "locale": "es"}));
    Pair { buyer, ..s.service.put_order(n, n, &format!("302-{n:07}")) }
}

/// The seller writes; the id of the message.
fn write(s: &Scene, pair: &Pair) -> String {
    s.mail(&pair.seller, &pair.buyer_alias, "Pedido", "Su pedido sale hoy.\r\n.\r\n..\r\nGracias.")
}

/// State, status and TLS of a message's nth attempt, from 1.
fn attempt(s: &Scene, pair: &Pair, id: &str, n: usize) -> [String; 3] {
    let entry = eventually(&format!("attempt {n} at {}", pair.order), || {
        let mut of_message = entries_of(&s.service, pair, "delivery.attempted").into_iter().filter(|e| e["message"] == id);
        of_message.nth(n - 1)
    });
    ["state", "status", "tls"].map(|key| entry[key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_hop_that_lies_or_breaks_gets_nothing_marked_as_delivered() {
    let cases: [(Part, [&str; 3]); 9] = [
        // 250 to everything, even to DATA.
        (
            |_, d| {
                d.say("220 hop\r\n");
                while d.hear().is_some() && d.say("250 2.0.0 ok\r\n") {}
            },
            ["deferred", "4.5.0", "clear"],
        ),
        // Yes to everything, and no at the end.
        (
            |_, d| {
                d.say("220 hop\r\n");
                d.serve_on(None, || "554 5.7.1 no\r\n");
            },
            ["bounced", "5.7.1", "clear"],
        ),
        // The final 250 before the message.
        (
            |_, d| {
                d.say("220 hop\r\n");
                d.hear();
                d.say("250-hop\r\n250 PIPELINING\r\n");
                while d.hear().is_some_and(|line| line != "DATA") {}
                d.say("250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 kept\r\n");
                d.hear();
            },
            ["deferred", "4.5.0", "clear"],
        ),
        // Closing in the middle.
        (
            |_, d| {
                d.say("220 hop\r\n");
                for reply in ["250 hop\r\n", "250 2.1.0 ok\r\n", "421 4.3.2 closing\r\n"] {
                    d.hear();
                    d.say(reply);
                }
            },
            ["deferred", "4.3.2", "clear"],
        ),
        // A greeting without end.
        (|_, d| while d.say(&"220-welcome\r\n".repeat(100)) {}, ["deferred", "4.5.0", ""]),
        // Words in clear behind STARTTLS, to be taken for the server's inside TLS.
        (
            |_, d| {
                d.say("220 hop\r\n");
                d.hear();
                d.say("250-hop\r\n250 STARTTLS\r\n");
                d.hear();
                d.say("220 go\r\n250-hop\r\n250 PIPELINING\r\n");
                while d.hear().is_some() {}
            },
            ["deferred", "4.5.0", ""],
        ),
        // Closing after the dot.
        (
            |_, d| {
                d.say("220 hop\r\n");
                d.serve_on(None, || "");
            },
            ["deferred", "4.4.2", "clear"],
        ),
        // Another protocol.
        (
            |_, d| {
                d.say("* OK IMAP4rev1\r\n");
                d.hear();
            },
            ["deferred", "4.5.0", ""],
        ),
        // Nothing at all.
        (|_, _| {}, ["deferred", "4.4.2", ""]),
    ];
    let s = town(Setup::default());
    let mut sent = Vec::new();
    for (n, (part, expected)) in (1..).zip(cases) {
        let domain = format!("hop{n}.test");
        let seen = hop(settle(&s, &domain, 10 + n), part);
        let pair = buyer_at(&s, n.into(), &domain);
        let id = write(&s, &pair);
        sent.push((pair, id, expected, seen));
    }
    for (pair, id, expected, seen) in &sent {
        assert_eq!(attempt(&s, pair, id, 1), *expected, "{}", pair.order);
        assert!(seen.messages().is_empty(), "{}", pair.order);
    }
    assert_eq!(sent[5].3.heard().last().map(String::as_str), Some("STARTTLS"), "nothing was said to the one who injects");
    // A host that is not there; and one that is, and honest.
    settle(&s, "nobody.test", 30);
    let nobody = buyer_at(&s, 30, "nobody.test");
    assert_eq!(attempt(&s, &nobody, &write(&s, &nobody), 1), ["deferred", "4.4.1", ""]);
    let honest = hop(settle(&s, "honest.test", 31), |_, d| d.serve(None));
    let pair = buyer_at(&s, 31, "honest.test");
    assert_eq!(attempt(&s, &pair, &write(&s, &pair), 1), ["delivered", "2.0.0", "clear"]);
    let octets = honest.messages().remove(0);
    for (at, octet) in octets.iter().enumerate() {
        match octet {
            b'\r' => assert_eq!(octets.get(at + 1), Some(&b'\n'), "a bare CR"),
            b'\n' => assert!(at > 0 && octets[at - 1] == b'\r', "a bare LF"),
            _ => {}
        }
    }
}

#[test]
fn what_was_reset_after_the_dot_is_tried_again() {
    let mut s = town(Setup::default());
    let seen = hop(settle(&s, "resets.test", 11), |number, d| {
        d.say("220 hop\r\n");
        d.serve_on(None, || if number == 0 { "" } else { "250 2.0.0 kept\r\n" });
    });
    let pair = buyer_at(&s, 1, "resets.test");
    let id = write(&s, &pair);
    assert_eq!(attempt(&s, &pair, &id, 1), ["deferred", "4.4.2", "clear"]);
    s.service.terminate();
    s.service.run_ahead(1);
    assert_eq!(attempt(&s, &pair, &id, 2), ["delivered", "2.0.0", "clear"]);
    assert_eq!((seen.messages().len(), seen.connections.load(Ordering::SeqCst)), (1, 2));
    s.service.terminate();
}

#[test]
fn the_end_of_a_connection_is_said() {
    let authority = Authority::new();
    let s = town(Setup::default());
    let identity = |name: &str| Some(authority.issue(&[name]));
    let (busy, gone) = (identity("mx.busy.test"), identity("mx.gone.test"));
    let cases = [
        ("busy.test", hop(settle(&s, "busy.test", 11), move |_, d| d.refuse(busy.as_ref(), "450 4.2.1 later\r\n")), "4.2.1"),
        ("gone.test", hop(settle(&s, "gone.test", 12), move |_, d| d.refuse(gone.as_ref(), "550 5.1.1 unknown\r\n")), "5.1.1"),
        ("good.test", honest(settle(&s, "good.test", 13), identity("mx.good.test")), "2.0.0"),
    ];
    let mut sent = Vec::new();
    for (n, (domain, _, _)) in (1..).zip(&cases) {
        let pair = buyer_at(&s, n, domain);
        let id = write(&s, &pair);
        sent.push((pair, id));
    }
    for ((domain, seen, status), (pair, id)) in cases.iter().zip(&sent) {
        assert_eq!(attempt(&s, pair, id, 1)[1..], [*status, "encrypted"], "{domain}");
        eventually(&format!("{domain} hears the end"), || (seen.well_ended.load(Ordering::SeqCst) == 1).then_some(()));
        assert_eq!(seen.heard().last().map(String::as_str), Some("QUIT"), "{domain}");
    }
}

#[test]
fn a_domain_that_stalls_delays_no_other() {
    let s = town(Setup::default());
    // Three domains whose hosts take the connection and say nothing, with several mails each.
    let mut stalled = Vec::new();
    for n in 1..=3_u8 {
        let domain = format!("stall{n}.test");
        let seen = hop(settle(&s, &domain, 10 + n), |_, d| while d.hear().is_some() {});
        for k in 0..4_usize {
            let pair = buyer_at(&s, usize::from(n) * 10 + k, &domain);
            write(&s, &pair);
            stalled.push(pair);
        }
        eventually("the hop has a connection", || (seen.open.load(Ordering::SeqCst) > 0).then_some(()));
    }
    for n in 1..=5 {
        let pair = buyer_at(&s, n, "buyer.test");
        let id = write(&s, &pair);
        s.world.nth(&pair.buyer, 1);
        assert_eq!(attempt(&s, &pair, &id, 1)[0], "delivered");
    }
    for pair in &stalled {
        assert!(entries_of(&s.service, pair, "delivery.attempted").is_empty(), "it still waits");
    }
}

#[test]
fn a_domain_gets_no_more_connections_than_are_set() {
    let more = "[delivery.domain.\"slow.test\"]\nconnections = 2\n".to_owned();
    let s = town(Setup { more, ..Setup::default() });
    let (is_open, waiting) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (gate, at_gate) = (Arc::clone(&is_open), Arc::clone(&waiting));
    let seen = hop(settle(&s, "slow.test", 11), move |_, d| {
        d.say("220 hop\r\n");
        d.serve_on(None, || {
            at_gate.fetch_add(1, Ordering::SeqCst);
            eventually("the gate is open", || gate.load(Ordering::SeqCst).then_some(()));
            at_gate.fetch_sub(1, Ordering::SeqCst);
            "250 2.0.0 kept\r\n"
        });
    });
    let first = buyer_at(&s, 1, "slow.test");
    assert_eq!(attempt(&s, &first, &write(&s, &first), 1)[0], "delivered");
    is_open.store(false, Ordering::SeqCst);
    let others: Vec<(Pair, String)> = (2..=7)
        .map(|n| {
            let pair = buyer_at(&s, n, "slow.test");
            let id = write(&s, &pair);
            (pair, id)
        })
        .collect();
    eventually("two wait at the gate", || (waiting.load(Ordering::SeqCst) == 2).then_some(()));
    is_open.store(true, Ordering::SeqCst);
    for (pair, id) in &others {
        assert_eq!(attempt(&s, pair, id, 1)[0], "delivered");
    }
    assert_eq!((seen.messages().len(), seen.peak.load(Ordering::SeqCst)), (7, 2));
}

/// A hop that offers TLS with that identity; none without one.
fn honest(address: SocketAddr, identity: Option<Identity>) -> Arc<Seen> {
    hop(address, move |_, d| d.serve(identity.as_ref()))
}

/// Offers TLS and hangs up when it is to begin.
fn hang_up_at_tls(d: &mut Dialogue) {
    d.say("220 hop\r\n");
    d.hear();
    d.say("250-hop\r\n250 STARTTLS\r\n");
    d.hear();
    d.say("220 go\r\n");
}

/// Writes to a buyer of each domain and compares the first attempt; what a hop got is in step with it.
fn check(s: &Scene, cases: &[(&str, Arc<Seen>, [&str; 3])]) {
    let mut sent = Vec::new();
    for (n, (domain, _, _)) in (1..).zip(cases) {
        let pair = buyer_at(s, n, domain);
        let id = write(s, &pair);
        sent.push((pair, id));
    }
    for ((domain, seen, expected), (pair, id)) in cases.iter().zip(&sent) {
        assert_eq!(attempt(s, pair, id, 1), *expected, "{domain}");
        assert_eq!(seen.messages().len(), usize::from(expected[0] == "delivered"), "{domain}");
        let said = seen.heard().iter().any(|line| line.starts_with("MAIL"));
        assert_eq!(said, expected[0] == "delivered", "{domain}: what fails by its TLS is not told of the mail");
    }
}

#[test]
fn tls_is_as_the_settings_of_the_domain_say() {
    let authority = Authority::new();
    let domains = [
        ("strict.test", "verified"),
        ("good.test", "verified"),
        ("another.test", "verified"),
        ("off.test", "off"),
        ("must.test", "required"),
        ("any.test", "required"),
        ("brittle.test", "required"),
    ];
    let (s, _folder) = town_with_tls(&authority, "", &domains);
    let valid = |name: &str| Some(authority.issue(&[name]));
    let expired = |name: &str| Some(authority.issue_expired(&[name]));
    let broken = hop(settle(&s, "broken.test", 19), |number, d| if number == 0 { hang_up_at_tls(d) } else { d.serve(None) });
    let brittle = hop(settle(&s, "brittle.test", 20), |_, d| hang_up_at_tls(d));
    check(
        &s,
        &[
            // Without a setting: encrypted with whatever certificate, and in clear where the TLS offered is broken.
            ("plain.test", honest(settle(&s, "plain.test", 11), expired("mx.plain.test")), ["delivered", "2.0.0", "encrypted"]),
            ("broken.test", broken, ["delivered", "2.0.0", "clear"]),
            ("good.test", honest(settle(&s, "good.test", 12), valid("mx.good.test")), ["delivered", "2.0.0", "verified"]),
            ("strict.test", honest(settle(&s, "strict.test", 13), expired("mx.strict.test")), ["deferred", "4.7.5", ""]),
            ("another.test", honest(settle(&s, "another.test", 14), valid("mx.good.test")), ["deferred", "4.7.5", ""]),
            ("off.test", honest(settle(&s, "off.test", 15), valid("mx.off.test")), ["delivered", "2.0.0", "clear"]),
            ("must.test", honest(settle(&s, "must.test", 16), None), ["deferred", "4.7.4", ""]),
            ("any.test", honest(settle(&s, "any.test", 17), expired("mx.any.test")), ["delivered", "2.0.0", "encrypted"]),
            ("brittle.test", brittle, ["deferred", "4.7.5", ""]),
        ],
    );
}

#[test]
fn mta_sts_is_honoured() {
    let authority = Authority::new();
    let port = free_port();
    let (s, _folder) = town_with_tls(&authority, &format!("mta_sts_port = {port}\n"), &[("own.test", "opportunistic")]);
    let moved = "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.good.test/\r\nContent-Length: 0\r\n\r\n".to_owned();
    let huge = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{}",
        policy("enforce", "x").replace("max_age", &"x: y\r\n".repeat(20_000))
    );
    let files = [
        ("good.test", policy("enforce", "*.good.test")),
        ("wrong.test", policy("enforce", "mx.wrong.test")),
        ("unnamed.test", policy("enforce", "another.unnamed.test")),
        ("clear.test", policy("enforce", "mx.clear.test")),
        ("testing.test", policy("testing", "another.testing.test")),
        ("own.test", policy("enforce", "another.own.test")),
        ("moved.test", moved),
        ("page.test", policy("enforce", "x").replace("text/plain", "text/html")),
        ("huge.test", huge),
    ];
    let web = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), port));
    let announced = files.iter().map(|(domain, _)| *domain).chain(["forged.test"]);
    for domain in announced {
        s.world.zone.a(&format!("mta-sts.{domain}"), Ipv4Addr::new(127, 0, 0, 9));
        s.world.zone.txt(&format!("_mta-sts.{domain}"), "v=STSv1; id=20261120T000000;");
    }
    let hosts: Vec<String> = files.iter().map(|(domain, _)| format!("mta-sts.{domain}")).collect();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut answers: HashMap<String, String> = hosts.iter().cloned().zip(files.iter().map(|(_, file)| file.clone())).collect();
    // Its web server has no certificate of its name, so whoever wrote this policy is not the domain.
    answers.insert("mta-sts.forged.test".to_owned(), policy("enforce", "x"));
    policies(web, authority.issue(&names), answers);
    let valid = |name: &str| Some(authority.issue(&[name]));
    let expired = || Some(authority.issue_expired(&["mx.test"]));
    let unnamed = honest(settle(&s, "unnamed.test", 13), valid("mx.unnamed.test"));
    check(
        &s,
        &[
            ("good.test", honest(settle(&s, "good.test", 11), valid("mx.good.test")), ["delivered", "2.0.0", "mta_sts"]),
            ("wrong.test", honest(settle(&s, "wrong.test", 12), expired()), ["deferred", "4.7.5", ""]),
            ("unnamed.test", Arc::clone(&unnamed), ["deferred", "4.7.5", ""]),
            ("clear.test", honest(settle(&s, "clear.test", 14), None), ["deferred", "4.7.4", ""]),
            ("testing.test", honest(settle(&s, "testing.test", 15), expired()), ["delivered", "2.0.0", "encrypted"]),
            ("own.test", honest(settle(&s, "own.test", 16), expired()), ["delivered", "2.0.0", "encrypted"]),
            ("moved.test", honest(settle(&s, "moved.test", 17), expired()), ["delivered", "2.0.0", "encrypted"]),
            ("page.test", honest(settle(&s, "page.test", 18), expired()), ["delivered", "2.0.0", "encrypted"]),
            ("huge.test", honest(settle(&s, "huge.test", 19), expired()), ["delivered", "2.0.0", "encrypted"]),
            ("forged.test", honest(settle(&s, "forged.test", 20), expired()), ["delivered", "2.0.0", "encrypted"]),
        ],
    );
    assert_eq!(unnamed.connections.load(Ordering::SeqCst), 0, "a host that the policy does not name");
}

#[test]
fn dane_is_honoured_where_the_dns_is_authentic() {
    let authority = Authority::new();
    let (s, _folder) = town_with_tls(&authority, "", &[("own.test", "required")]);
    let zone = &s.world.zone;
    zone.set_authentic(true);
    let port = s.world.sink.port();
    let hash = |identity: &Identity| digest(&SHA256, &identity.certificate).as_ref().to_vec();
    // An expired certificate for another name: with DANE-EE only the record counts.
    let identity = authority.issue_expired(&["another.test"]);
    let name = |domain: &str| format!("_{port}._tcp.mx.{domain}");
    zone.tlsa(&name("ee.test"), 3, 0, 1, &hash(&identity));
    for domain in ["wrong.test", "own.test", "unsigned.test"] {
        zone.tlsa(&name(domain), 3, 0, 1, &[7; 32]);
    }
    for domain in ["unusable.test", "clear.test"] {
        zone.tlsa(&name(domain), 1, 0, 1, &hash(&identity));
    }
    zone.set_failing(&name("failing.test"), true);
    let hop_of = |domain: &str, last| honest(settle(&s, domain, last), Some(identity.clone()));
    let (wrong, failing) = (hop_of("wrong.test", 12), hop_of("failing.test", 13));
    check(
        &s,
        &[
            ("ee.test", hop_of("ee.test", 11), ["delivered", "2.0.0", "dane"]),
            ("wrong.test", Arc::clone(&wrong), ["deferred", "4.7.5", ""]),
            ("failing.test", Arc::clone(&failing), ["deferred", "4.4.3", ""]),
            // Records that cannot be used still ask for TLS.
            ("unusable.test", hop_of("unusable.test", 14), ["delivered", "2.0.0", "encrypted"]),
            ("clear.test", honest(settle(&s, "clear.test", 15), None), ["deferred", "4.7.4", ""]),
            ("own.test", hop_of("own.test", 16), ["delivered", "2.0.0", "encrypted"]),
            ("none.test", hop_of("none.test", 17), ["delivered", "2.0.0", "encrypted"]),
        ],
    );
    assert_eq!(failing.connections.load(Ordering::SeqCst), 0, "a host whose records are suppressed");
    // What nobody has signed is as if it were not there.
    zone.set_authentic(false);
    let unsigned = hop_of("unsigned.test", 18);
    let pair = buyer_at(&s, 50, "unsigned.test");
    assert_eq!(attempt(&s, &pair, &write(&s, &pair), 1), ["delivered", "2.0.0", "encrypted"]);
    assert_eq!((unsigned.messages().len(), wrong.messages().len()), (1, 0));
}

#[test]
fn the_provider_gets_the_password_inside_valid_tls_only() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("ca.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let cases = [(authority.issue(&["localhost"]), true), (Authority::new().issue(&["localhost"]), false)];
    for (identity, is_valid) in cases {
        let port = free_port();
        let seen = hop(SocketAddr::from(([127, 0, 0, 1], port)), move |_, d| {
            if !d.start_tls(&identity) {
                return;
            }
            d.say("220 hop\r\n");
            for reply in ["250-hop\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 2.7.0 in\r\n"] {
                if d.hear().is_none() || !d.say(reply) {
                    return;
                }
            }
            d.serve_on(None, || "250 2.0.0 kept\r\n");
        });
        let world = World::new();
        let (route, delivery) = (format!("smtps://me:secret@localhost:{port}"), format!("roots = \"{}\"", roots.display()));
        let service = Service::start(Setup { route, delivery, dns: Some(world.dns), ..Setup::default() });
        let s = Scene { service, world };
        let pair = buyer_at(&s, 1, "buyer.test");
        let expected = if is_valid { ["delivered", "2.0.0", "verified"] } else { ["deferred", "4.7.5", ""] };
        assert_eq!(attempt(&s, &pair, &write(&s, &pair), 1), expected);
        let heard = seen.heard();
        if is_valid {
            assert_eq!(heard[1..4], ["AUTH LOGIN", "bWU=", "c2VjcmV0"]);
        } else {
            assert!(heard.is_empty(), "{heard:?}");
        }
    }
}
