//! The rules as sellers and buyers meet them by mail: what passes, what is stopped, and in which words they are
//! told; on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::eventually;
use e2e::load::{self, Job};
use e2e::scene::{Scene, letter, on_both, with_file};
use e2e::service::{Pair, Service, Setup};
use e2e::world::{header, said};
use sandbox::StoredMail;
use serde_json::{Value, json};

fn encoded(subject: &str) -> String {
    format!("=?utf-8?B?{}?=", STANDARD.encode(subject))
}

/// Where an answer to a mail goes.
fn reply_to(mail: &StoredMail) -> String {
    header(mail, "Reply-To").rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
}

/// The reference line at its end.
fn reference(mail: &StoredMail) -> String {
    let text = said(mail);
    let (tag, _) = text.rsplit_once("[ref:").unwrap().1.split_once(']').unwrap();
    format!("[ref:{tag}]")
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn opt_out_bounce_names_the_ways_out() {
    on_both(|database| {
        let more = "languages = [\"es\", \"en\", \"pt-BR\"]\n".to_owned();
        let s = Scene::new(Setup { database, more, ..Setup::default() });
        let cases = [
            ("en", "There are three ways out", "[Important]"),
            ("es", "Tienes tres opciones", "[Importante]"),
            ("pt-BR", "Você tem três opções", "[Importante]"),
        ];
        for (n, (locale, phrase, word)) in (1..).zip(cases) {
            let pair = s.refusing(n, locale);
            let id = s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "x");
            let notice = s.world.nth(&pair.seller, 1);
            assert_says(&said(&notice), &[phrase, word, "\n1. ", "\n2. ", "\n3. ", "/l/tpl1k"]);
            assert_eq!((notice.reverse_path.as_str(), header(&notice, "Auto-Submitted").as_str()), ("", "auto-replied"));
            assert_eq!(s.remedy(&id), "remedy_opt_out");
            assert_eq!(s.world.mailboxes.count(&pair.buyer), 0);
        }
    });
}

#[test]
fn bracketed_word_in_any_encoding_passes_as_override() {
    on_both(|database| {
        let s = Scene::plain(database);
        let passing = [
            encoded("Falta un dato [IMPORTANTE]"),
            "=?iso-8859-1?Q?[Importante]_se=F1al?=".to_owned(),
            "Re: [ important ] falta un dato".to_owned(),
        ];
        // Without brackets, with full-width ones, with a Cyrillic letter at its end.
        let stopped = ["Importante: x".to_owned(), encoded("［Importante］ x"), encoded("[important\u{435}] x")];
        for (n, subject) in (1..).zip(passing.iter().chain(&stopped)) {
            let pair = s.refusing(n, "es");
            let id = s.mail(&pair.seller, &pair.buyer_alias, subject, "x");
            if passing.contains(subject) {
                assert_eq!((s.remedy(&id), s.result(&id, "C5")), (String::new(), "override".to_owned()), "{subject}");
                s.world.nth(&pair.buyer, 1);
            } else {
                assert_eq!((s.remedy(&id), s.result(&id, "C5")), ("remedy_opt_out".to_owned(), "not used".to_owned()), "{subject}");
                s.world.nth(&pair.seller, 1);
                assert_eq!(s.world.mailboxes.count(&pair.buyer), 0, "{subject}");
            }
        }
    });
}

#[test]
fn replies_pass_by_each_rung() {
    on_both(|database| {
        let s = Scene::plain(database);
        for (n, rung) in (1..).zip(["tag", "references", "quotation", "order_id"]) {
            let pair = s.refusing(n, "es");
            s.mail(&pair.buyer, &pair.seller_alias, &format!("Pedido {}", pair.order), "Cuando llega?");
            let got = s.world.nth(&pair.seller, 1);
            let (mut to, mut subject, mut more, mut text) =
                (pair.buyer_alias.clone(), "Respuesta".to_owned(), String::new(), "El jueves.".to_owned());
            match rung {
                "tag" => to = reply_to(&got),
                "references" => more = format!("In-Reply-To: {id}\r\nReferences: {id}\r\n", id = header(&got, "Message-ID")),
                "quotation" => text.push_str(&format!("\r\n\r\n> {}", reference(&got))),
                _ => subject = format!("Re: [{}] Pedido", pair.order),
            }
            let id = s.send(&pair.seller, &to, &letter(&pair.seller, &to, &subject, &more, &text));
            assert_eq!((s.remedy(&id), s.result(&id, "C4")), (String::new(), "a reply".to_owned()), "{rung}");
            assert_eq!(s.service.get(&format!("/messages/{id}"))["rung"], rung);
            assert_says(&said(&s.world.nth(&pair.buyer, 1)), &["El jueves."]);
        }
    });
}

#[test]
fn answered_conversations_need_strong_evidence_within_the_window() {
    on_both(|database| {
        let mut s = Scene::plain(database);
        let pair = s.refusing(1, "es");
        let ask = |s: &Scene| s.mail(&pair.buyer, &pair.seller_alias, &format!("Pedido {}", pair.order), "Cuando llega?");
        ask(&s);
        let tagged = reply_to(&s.world.nth(&pair.seller, 1));
        let by_tag = |s: &Scene| s.remedy(&s.mail(&pair.seller, &tagged, "Respuesta", "El jueves."));
        let by_number = |s: &Scene| s.remedy(&s.mail(&pair.seller, &pair.buyer_alias, &format!("Re: {}", pair.order), "El jueves."));
        assert_eq!(by_number(&s), "", "while the buyer waits, any evidence is enough");
        assert_eq!(by_number(&s), "remedy_opt_out", "answered");
        assert_eq!(by_tag(&s), "");
        for (days, expected) in [(89, ""), (91, "remedy_opt_out")] {
            s.service.terminate();
            s.service.run_ahead(days);
            assert_eq!(by_tag(&s), expected, "{days} days later");
        }
        ask(&s);
        assert_eq!(by_number(&s), "", "the buyer waits again");
        assert_eq!(s.service.terminate(), Some(0));
    });
}

#[test]
fn exempt_category_passes() {
    on_both(|database| {
        let s = Scene::plain(database);
        for (n, category, result) in [(1, "Custom", "an exempt category"), (2, "books", "stopped")] {
            let pair = s.refusing(n, "es");
            s.service.put(&format!("/orders/{}", pair.order), &json!({"items": [{"title": "Silla", "category": category}]}));
            let id = s.mail(&pair.seller, &pair.buyer_alias, "Medidas", "x");
            assert_eq!(s.result(&id, "C4"), result, "{category}");
            if n == 1 {
                s.world.nth(&pair.buyer, 1);
            } else {
                assert_eq!((s.remedy(&id), s.world.mailboxes.count(&pair.buyer)), ("remedy_opt_out".to_owned(), 0));
            }
        }
    });
}

#[test]
fn unticked_notice_is_not_mailed() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.refusing(1, "es");
        let tick = |wanted: bool| s.service.put("/sellers/s1/preferences", &json!({"notices": {"blocked_by_buyer": wanted}}));
        assert_eq!(tick(false)["notices"]["blocked_by_buyer"], false);
        let id = s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "x");
        assert_eq!(s.remedy(&id), "remedy_opt_out", "the decision is visible");
        // A notice stands in the same commit as the refusal: what is not there now does not come later.
        assert_eq!(s.service.entries(&pair, "notice.queued"), 0);
        s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "la pregunta");
        assert_says(&said(&s.world.nth(&pair.seller, 1)), &["la pregunta"]);
        tick(true);
        s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "x");
        assert_says(&said(&s.world.nth(&pair.seller, 2)), &["Tienes tres opciones"]);
    });
}

/// An instant at noon (UTC) of a day in words of GNU date.
fn noon(day: &str) -> String {
    let output = Command::new("date").args(["-u", "-d", day, "+%Y-%m-%dT12:00:00Z"]).output().unwrap();
    assert!(output.status.success(), "date: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Orders of seller s1 with buyer b9: 40 on each of the last 30 complete days, and what does not count.
fn put_orders(service: &Service) {
    service.put("/buyers/b9", &json!({"email": "buyer9@buyer.test", "first_name": "Eva"}));
    let put = |id: &str, status: &str, placed_at: &str| {
        service.put(&format!("/orders/{id}"), &json!({"seller": "s1", "buyer": "b9", "status": status, "placed_at": placed_at}));
    };
    let days: Vec<String> = (1..=30).map(|n| noon(&format!("{n} days ago"))).collect();
    std::thread::scope(|scope| {
        for half in days.chunks(15) {
            scope.spawn(move || half.iter().for_each(|day| (0..40).for_each(|n| put(&format!("{}-{n}", &day[..10]), "shipped", day))));
        }
    });
    put("too-old", "shipped", &noon("31 days ago"));
    put("of-today", "shipped", &noon("today"));
    put("cancelled", "cancelled", &noon("5 days ago"));
}

#[test]
fn daily_limit_tells_its_arithmetic() {
    on_both(|database| {
        let s = Scene::plain(database);
        let service = &s.service;
        service.put("/sellers/s1", &json!({"business_name": "Shop 1", "email": "seller1@shop.test"}));
        let pairs: Vec<Pair> = (1..=4)
            .map(|n| {
                service.put(&format!("/buyers/b{n}"), &json!({"email": format!("buyer{n}@buyer.test"), "first_name": "Ana"}));
                let pair = service.put_order(1, n, &format!("302-{n}"));
                service.put(&format!("/orders/{}", pair.order), &json!({"placed_at": noon("today")}));
                pair
            })
            .collect();
        put_orders(service);
        let jobs = (0..800).map(|n| {
            let pair = &pairs[n % pairs.len()];
            let octets = letter(&pair.seller, &pair.buyer_alias, "Novedades", "", "x").into_bytes().into();
            Job { from: pair.seller.clone(), to: pair.buyer_alias.clone(), octets }
        });
        let accepted = s.world.runtime.block_on(load::run(service.smtp, 4, Arc::new(jobs.collect())));
        assert_eq!(accepted.len(), 800);
        let reset = format!("{} 00:00 UTC", &noon("tomorrow")[..10]);
        let cases = [("en", "You have reached your number"), ("es", "Has alcanzado tu límite"), ("pt-BR", "Você atingiu o seu limite")];
        for (n, (locale, phrase)) in cases.into_iter().enumerate() {
            service.put("/sellers/s1", &json!({"locale": locale}));
            let id = s.mail(&pairs[n].seller, &pairs[n].buyer_alias, "Una mas", "x");
            assert_eq!(s.remedy(&id), "remedy_daily_limit");
            assert_says(&said(&s.world.nth(&pairs[n].seller, n + 1)), &[phrase, "5 × 40 ", "+ 600 = 800", &reset]);
        }
        let pair = &pairs[3];
        s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Cuando llega?");
        let to = reply_to(&s.world.nth(&pair.seller, cases.len() + 1));
        let id = s.mail(&pair.seller, &to, "Respuesta", "El jueves.");
        assert_eq!((s.remedy(&id), s.result(&id, "C7")), (String::new(), "counts, is not stopped".to_owned()));
        eventually("the reply arrives", || (service.get(&format!("/messages/{id}"))["delivery"] == "delivered").then_some(()));
    });
}

/// A one-page PDF of exactly so many octets.
fn pdf(size: usize) -> Vec<u8> {
    let write = |padding: usize| {
        let mut state = 1_u64;
        let noise = (0..padding).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        });
        let objects = [
            b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 4 0 R >>".to_vec(),
            format!("<< /Length {padding} >>\nstream\n").into_bytes().into_iter().chain(noise).chain(*b"\nendstream").collect(),
        ];
        let mut out = b"%PDF-1.4\n".to_vec();
        let mut table = String::new();
        for (n, object) in (1..).zip(&objects) {
            table.push_str(&format!("{:010} 00000 n \n", out.len()));
            out.extend(format!("{n} 0 obj\n").into_bytes());
            out.extend(object);
            out.extend(b"\nendobj\n");
        }
        let place = out.len();
        let end = format!("xref\n0 5\n0000000000 65535 f \n{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{place}\n%%EOF\n");
        out.extend(end.into_bytes());
        out
    };
    // The numbers in it have as many digits for any padding near this one.
    let guess = size - 1_000;
    let out = write(guess + size - write(guess).len());
    assert_eq!(out.len(), size);
    out
}

/// A PDF whose one object stream names the same large string three thousand times: 2 MB that become 6 GB.
fn pdf_bomb() -> Vec<u8> {
    let index: String = (10..3_010).map(|n| format!("{n} 0 ")).collect();
    let body = format!("{index}({})", "a".repeat(2_000_000));
    let stream = format!("<< /Type /ObjStm /N 3000 /First {} /Length {} >>\nstream\n{body}\nendstream", index.len(), body.len());
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>".to_owned(),
        stream,
    ];
    let mut out = "%PDF-1.5\n".to_owned();
    let mut table = String::new();
    for (n, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.push_str(&format!("{n} 0 obj\n{object}\nendobj\n"));
    }
    let place = out.len();
    let end = format!("xref\n0 5\n0000000000 65535 f \n{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{place}\n%%EOF\n");
    (out + &end).into_bytes()
}

#[test]
fn a_document_that_overwhelms_its_reader_is_refused_and_harms_nobody() {
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let before = s.service.pid();
    for _ in 0..2 {
        let id = s.send(&pair.seller, &pair.buyer_alias, &with_file(&pair, "bomba.pdf", "application/pdf", &pdf_bomb()));
        assert_eq!(s.remedy(&id), "remedy_attachments");
    }
    assert_says(&said(&s.world.nth(&pair.seller, 1)), &["- bomba.pdf: "]);
    // The most that the service itself ever held.
    let status = std::fs::read_to_string(format!("/proc/{before}/status")).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 300_000, "{peak}");
    s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "la pregunta");
    assert_says(&said(&s.world.nth(&pair.seller, 2)), &["la pregunta"]);
}

/// Names and types of the files of a mail.
fn files(mail: &StoredMail) -> Vec<(String, String)> {
    let message = mail::mime::parse(&mail.octets).unwrap();
    message.entities.iter().filter_map(|e| Some((e.file_name.clone()?, e.media_type.clone()))).collect()
}

#[test]
fn attachments_pass_or_are_refused_with_words() {
    const LIMIT: usize = 10_485_760;
    const PDF: &str = "application/pdf";
    const DOCM: &str = "application/vnd.ms-word.document.macroEnabled.12";
    let program = b"MZ\x90\0\x03\0\0\0";
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.service.put_pair(1);
        let id = s.send(&pair.seller, &pair.buyer_alias, &with_file(&pair, "plano.pdf", PDF, &pdf(LIMIT)));
        assert_eq!(s.remedy(&id), "", "exactly the limit");
        assert_eq!(files(&s.world.nth(&pair.buyer, 1)), [("plano.pdf".to_owned(), PDF.to_owned())]);
        let pair = s.service.put_pair(2);
        let id = s.send(&pair.seller, &pair.buyer_alias, &with_file(&pair, "plano.pdf", PDF, &pdf(LIMIT + 1)));
        assert_eq!(s.remedy(&id), "remedy_attachments", "one octet more");
        assert_says(&said(&s.world.nth(&pair.seller, 1)), &["- plano.pdf: es demasiado grande", "hasta 10 MB", "/l/tpl1k"]);
        let cases = [
            ("en", "x.pdf", PDF, "- x.pdf: its content is not what its name says", "because of its files"),
            ("es", "x.pdf", PDF, "- x.pdf: su contenido no es el que indica su nombre", "debido a sus archivos"),
            ("pt-BR", "x.pdf", PDF, "- x.pdf: o conteúdo não é o que o nome indica", "por causa dos arquivos"),
            ("en", "y.docm", DOCM, "- y.docm: it can contain macros", "because of its files"),
            ("es", "y.docm", DOCM, "- y.docm: puede contener macros", "debido a sus archivos"),
            ("pt-BR", "y.docm", DOCM, "- y.docm: pode conter macros", "por causa dos arquivos"),
        ];
        for (n, (locale, name, kind, line, page)) in (3..).zip(cases) {
            let pair = s.service.put_pair(n);
            s.service.put(&format!("/sellers/s{n}"), &json!({"locale": locale}));
            let id = s.send(&pair.seller, &pair.buyer_alias, &with_file(&pair, name, kind, program));
            assert_eq!(s.remedy(&id), "remedy_attachments", "{name}");
            let text = said(&s.world.nth(&pair.seller, 1));
            assert_says(&text, &[line, ".txt, .pdf, .doc, .docx, .jpg, .gif, .tiff, .bmp"]);
            let links = s.service.links(&text);
            assert_eq!(links.len(), 1, "{text}");
            assert_says(&s.service.page("GET", &links[0], "").body, &[page]);
            assert_eq!(s.world.mailboxes.count(&pair.buyer), 0, "opening the page sends nothing");
            for _ in 0..2 {
                let answer = s.service.page("POST", &links[0], "");
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
            let got = s.world.nth(&pair.buyer, 1);
            assert_says(&said(&got), &["Aqui va."]);
            assert!(files(&got).is_empty(), "without the file");
            assert_eq!(s.service.messages(&pair).len(), 1, "sent once");
        }
    });
}

#[test]
fn pictures_arrive_without_their_metadata() {
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".as_slice();
    let image = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b".as_slice();
    let with_comment = [head, b"\x21\xfe\x06Canary\0", image, b"Canary"].concat();
    s.send(&pair.seller, &pair.buyer_alias, &with_file(&pair, "foto.gif", "image/gif", &with_comment));
    let got = s.world.nth(&pair.buyer, 1);
    assert_eq!(files(&got), [("foto.gif".to_owned(), "image/gif".to_owned())]);
    let message = mail::mime::parse(&got.octets).unwrap();
    let picture = message.entities.iter().find(|e| e.media_type == "image/gif").map(mail::mime::decode_transfer);
    assert_eq!(picture.unwrap(), [head, image].concat());
}

#[test]
fn reasons_before_and_after_delivery() {
    on_both(|database| {
        let s = Scene::plain(database);
        let cases = [
            ("en", "Unexpected problem", "the order is not in a state for it."),
            ("es", "Problema imprevisto", "el estado del pedido no lo permite."),
            ("pt-BR", "Problema inesperado", "a situação do pedido não permite."),
        ];
        for (n, (locale, name, why)) in (1..).zip(cases) {
            let pair = s.refusing(n, locale);
            let order = format!("/marketplaces/es/orders/{}", pair.order);
            let reason = |id: &str| -> Value {
                let reasons = s.service.get(&format!("{order}/reasons"));
                reasons["items"].as_array().unwrap().iter().find(|r| r["id"] == id).unwrap().clone()
            };
            let write = |reason: &str| s.service.api("POST", &format!("{order}/messages"), &json!({"reason": reason, "text": "x"}));
            let problem = reason("unexpected_problem");
            assert_eq!((&problem["offered"], &problem["critical"], &problem["name"]), (&json!(true), &json!(true), &json!(name)));
            let back = reason("return");
            assert_eq!((&back["offered"], &back["unavailable"]), (&json!(false), &json!({"code": "status", "text": why})));
            let answer = write("return");
            assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("remedy_reason")), "{}", answer.body);
            assert_says(answer.json()["detail"].as_str().unwrap(), &[why]);
            assert_eq!(write("unexpected_problem").status, 201, "critical: passes the opt-out");
            s.world.nth(&pair.buyer, 1);

            s.service.put(&format!("/orders/{}", pair.order), &json!({"status": "delivered"}));
            assert_eq!(reason("unexpected_problem")["unavailable"]["code"], "status");
            assert_eq!(reason("return")["offered"], true);
            assert_eq!(write("unexpected_problem").json()["code"], "remedy_reason");
            let answer = write("return");
            assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("remedy_opt_out")), "offered, and not critical");
        }
    });
}

#[test]
fn two_vacation_responders_end() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.service.put_pair(1);
        s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Cuando llega?");
        let respond = |writer: &str, to: &StoredMail| {
            let to = reply_to(to);
            let octets = letter(writer, &to, "Fuera de la oficina", "Auto-Submitted: auto-replied\r\n", "Vuelvo el lunes.");
            s.service.decision(&s.send(writer, &to, &octets))["outcome"].as_str().unwrap().to_owned()
        };
        // Each answers whatever arrives, until nothing does.
        let (mut writer, mut other) = (&pair.seller, &pair.buyer);
        let mut arrived = s.world.nth(writer, 1);
        let mut passed = Vec::new();
        loop {
            let before = s.world.mailboxes.count(other);
            let outcome = respond(writer, &arrived);
            if outcome != "relay" {
                assert_eq!(outcome, "note");
                break;
            }
            passed.push(writer);
            assert!(passed.len() <= 2, "they go on and on: {passed:?}");
            arrived = s.world.nth(other, before + 1);
            assert_eq!(header(&arrived, "Auto-Submitted"), "auto-replied");
            (writer, other) = (other, writer);
        }
        assert_eq!(passed, [&pair.seller, &pair.buyer], "one each way");
        assert_eq!(respond(&pair.buyer, &s.world.nth(&pair.buyer, 1)), "note");
        assert_eq!(s.service.entries(&pair, "notice.queued"), 0, "a machine is told nothing");
        assert_eq!((s.world.mailboxes.count(&pair.seller), s.world.mailboxes.count(&pair.buyer)), (2, 1));
        let conversations = s.service.get(&format!("/pairs/{}/conversations", pair.id));
        assert_eq!(conversations["items"].as_array().unwrap().len(), 1, "{conversations}");
        assert_eq!(conversations["items"][0]["response_needed"], true, "a machine answers nothing");
    });
}

#[test]
fn bracketed_word_has_a_daily_number() {
    on_both(|database| {
        let rules = "[important]\nper_day_percent = 0\nper_day_at_least = 2\n".to_owned();
        let s = Scene::new(Setup { database, rules, ..Setup::default() });
        let cases = [
            ("en", "at most 2 of your messages a day"),
            ("es", "como máximo 2 mensajes tuyos al día"),
            ("pt-BR", "no máximo 2 mensagens suas são encaminhadas por dia"),
        ];
        for (n, (locale, phrase)) in (1..).zip(cases) {
            let pair = s.refusing(n, locale);
            let remedies: Vec<String> =
                (0..3).map(|_| s.remedy(&s.mail(&pair.seller, &pair.buyer_alias, "[Importante] falta un dato", "x"))).collect();
            assert_eq!(remedies, ["", "", "remedy_important_limit"]);
            assert_says(&said(&s.world.nth(&pair.seller, 1)), &[phrase]);
            s.world.nth(&pair.buyer, 2);
        }
    });
}
