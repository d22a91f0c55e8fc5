//! What sellers and buyers choose and say by links and over the API: opt-out, reports, templates, figures; and that
//! dry run, replay and record agree. On SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use e2e::eventually;
use e2e::http::{Answer, request};
use e2e::scene::{Scene, letter, on_both};
use e2e::service::{Pair, Service};
use e2e::world::{header, said};
use serde_json::{Value, json};

/// Any mail, where its words do not matter.
fn any_letter(from: &str, to: &str, subject: &str) -> String {
    letter(from, to, subject, "", "Unas palabras.")
}

#[test]
fn shop_cannot_lift_the_buyers_choice() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Unas palabras.");
        let links = s.links(&pair.buyer, 1);
        assert_eq!(links.len(), 2, "report and preferences: {links:?}");
        let choice = links.iter().find(|l| s.service.page("GET", l, "").body.contains("name=\"opted_out\"")).unwrap();
        assert_eq!(s.press(choice, "save=1&opted_out=on"), 200);
        let answer = s.service.api("PUT", "/marketplaces/es/buyers/b1", &json!({"opted_out": false}));
        assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some("opt_out_is_buyers_choice")), "{}", answer.body);
        let buyer = s.service.put("/buyers/b1", &json!({}));
        assert_eq!((&buyer["opted_out"], &buyer["opted_out_by"]), (&json!(true), &json!("buyer")));
        let id = s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Unas palabras.");
        assert_eq!(s.service.decision(&id)["remedy"], "remedy_opt_out");
        // Another body than the form's is no choice.
        for other in ["", "foo=1", "save=stop", "List-Unsubscribe=One-Click"] {
            let answer = s.service.page("POST", choice, other);
            assert!(answer.status == 400 && answer.body.contains("nada foi alterado"), "{other:?}: {} {}", answer.status, answer.body);
        }
        assert_eq!(s.service.put("/buyers/b1", &json!({}))["opted_out"], true);
        // The buyer lifts it, with the same link.
        assert_eq!(s.press(choice, "save=1"), 200);
        assert_eq!(s.service.put("/buyers/b1", &json!({}))["opted_out"], false);
        let id = s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Unas palabras.");
        assert_eq!(s.outcome(&id), "relay");
        s.world.nth(&pair.buyer, 2);
    });
}

#[test]
fn the_unsubscribe_link_asks_in_a_browser_stops_and_leads_back() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Unas palabras.");
        let field = header(&s.world.nth(&pair.buyer, 1), "List-Unsubscribe");
        let link = s.service.links(field.trim_matches(['<', '>'])).swap_remove(0);
        let opted_out = || s.service.put("/buyers/b1", &json!({}))["opted_out"] == true;
        let body = |method: &str, form: &str| {
            let answer = s.service.page(method, &link, form);
            assert_eq!(answer.status, 200, "{method} {form}: {}", answer.body);
            answer.body
        };
        let (stop, choices) = ("name=\"save\" value=\"stop\"", "name=\"opted_out\" value=\"on\"");
        let asked = body("GET", "");
        assert!(asked.contains(stop) && !asked.contains(choices) && asked.contains("<header>Plaza</header>"), "{asked}");
        let foreign = s.service.page("POST", &link, "foo=1");
        assert!(foreign.status == 400 && foreign.body.contains("nada foi alterado"), "{} {}", foreign.status, foreign.body);
        assert!(!opted_out());

        // Pressed twice, it stays stopped.
        for _ in 0..2 {
            let done = body("POST", "save=stop");
            assert!(done.contains("Pronto.") && done.contains("<a href=\"\">") && !done.contains("<form"), "{done}");
            assert!(opted_out());
        }
        let now = body("GET", "");
        assert!(now.contains(&format!("{choices} checked")) && !now.contains(stop), "{now}");
        assert!(opted_out());
        let kept = body("POST", "save=1&opted_out=on");
        assert!(opted_out() && kept.contains("não podem mais enviar mensagens"), "{kept}");
        let lifted = body("POST", "save=1");
        assert!(!opted_out() && lifted.contains("Os vendedores podem enviar mensagens a você"), "{lifted}");
        assert!(body("GET", "").contains(stop));
    });
}

#[test]
fn scanner_changes_nothing() {
    on_both(|database| {
        let s = Scene::plain(database);
        let service = &s.service;
        let (open, refusing) = (s.pair(1, "es"), s.pair(2, "es"));
        service.put("/buyers/b2", &json!({"opted_out": true}));
        s.mail(&open.buyer, &open.seller_alias, "Pregunta", "Unas palabras.");
        s.mail(&open.seller, &open.buyer_alias, "Oferta", "Unas palabras.");
        s.mail(&refusing.seller, &refusing.buyer_alias, "Oferta", "Unas palabras.");
        // The record stands still once every delivery is noted.
        for (pair, deliveries) in [(&open, 2), (&refusing, 1)] {
            eventually("deliveries are noted", || (service.entries(pair, "delivery.attempted") == deliveries).then_some(()));
        }
        let state = || {
            let mut all = Vec::new();
            for (n, pair) in [(1, &open), (2, &refusing)] {
                let mut figures = service.get(&format!("/marketplaces/es/sellers/s{n}/figures?days=7"));
                figures.as_object_mut().unwrap().remove("until");
                all.extend([
                    service.get(&format!("/pairs/{}/conversations", pair.id)),
                    service.get(&format!("/pairs/{}/ledger?limit=200", pair.id)),
                    json!(service.messages(pair)),
                    service.put(&format!("/buyers/b{n}"), &json!({})),
                    service.get(&format!("/marketplaces/es/sellers/s{n}/preferences")),
                    service.get(&format!("/marketplaces/es/sellers/s{n}/figures/messages?days=7")),
                    figures,
                ]);
            }
            all
        };
        let before = state();
        assert!(before[0].to_string().contains("\"response_needed\":true"), "{}", before[0]);
        let mails = [&open.seller, &open.buyer, &refusing.seller].into_iter().flat_map(|address| s.world.mailboxes.of(address));
        let texts: Vec<String> = mails.map(|mail| said(&mail)).collect();
        let links: Vec<String> = texts.iter().flat_map(|text| service.links(text)).collect();
        assert_eq!((texts.len(), links.len()), (3, 6), "two links in each: {texts:?}");
        for method in ["GET", "HEAD", "GET", "HEAD"] {
            for link in &links {
                let answer = service.page(method, link, "");
                assert_eq!(answer.status, 200, "{method} {link}: {}", answer.body);
            }
        }
        assert_eq!(state(), before);
        assert_eq!(s.world.mailboxes.total(), 3);
    });
}

/// A request with an idempotency key; the client at hand takes no further fields, so it goes with the type.
fn post_once(service: &Service, path: &str, key: &str, body: &Value) -> Answer {
    let fields = format!("application/json\r\nIdempotency-Key: {key}");
    request(service.web, "POST", &format!("/api/v1{path}"), Some(&service.token), &fields, body.to_string().as_bytes()).unwrap()
}

#[test]
fn template_in_each_readers_language() {
    on_both(|database| {
        let s = Scene::plain(database);
        let (en, es) = ("We would like to agree a delivery time with you", "Nos gustaría acordar con usted");
        let pt = "Gostaríamos de combinar com você";
        // Seller's and buyer's locale, what each reads, in which language, and whether the buyer's own was not at hand.
        let cases = [
            ("es", "pt-BR", ("es", es), ("pt-BR", pt), false),
            ("pt-BR", "en", ("pt-BR", pt), ("en", en), false),
            ("en", "fr", ("en", en), ("es", es), true),
        ];
        for (n, (seller, buyer, sellers, buyers, fell_back)) in (1..).zip(cases) {
            let pair = s.pair(n, seller);
            s.service.put(&format!("/buyers/b{n}"), &json!({"locale": buyer}));
            let path = format!("/marketplaces/es/orders/{}/messages", pair.order);
            let body = |proposal: &str| json!({"template": {"id": "delivery_appointment", "fields": {"proposal": proposal}}});
            let first = post_once(&s.service, &path, "key-1", &body("10:30"));
            assert_eq!(first.status, 201, "{}", first.body);
            let sent = first.json();
            let copies = &sent["copies"];
            assert_eq!((&copies["reason"], &copies["fell_back"]), (&json!("delivery_scheduling"), &json!(fell_back)));
            for (side, (language, phrase)) in [("seller", sellers), ("buyer", buyers)] {
                assert_eq!(copies[side]["language"], language, "{copies}");
                assert!(copies[side]["text"].as_str().unwrap().contains(phrase), "{copies}");
                assert!(copies[side]["subject"].as_str().unwrap().contains(&pair.order), "{copies}");
            }
            let got = s.world.nth(&pair.buyer, 1);
            let text = said(&got);
            assert!(text.contains(buyers.1) && text.contains("10:30"), "{text}");
            assert_eq!(header(&got, "Subject"), copies["buyer"]["subject"].as_str().unwrap());

            let again = post_once(&s.service, &path, "key-1", &body("10:30"));
            assert_eq!((again.status, &again.json()["message"]["id"]), (201, &sent["message"]["id"]), "{}", again.body);
            let other = post_once(&s.service, &path, "key-1", &body("11:30"));
            assert_eq!((other.status, &other.json()["errors"][0]["code"]), (422, &json!("idempotency_key_reused")), "{}", other.body);
            assert_eq!((s.service.messages(&pair).len(), s.world.mailboxes.count(&pair.buyer)), (1, 1), "one message, one mail");
        }
    });
}

#[test]
fn shipments_and_review_requests_are_told_once_in_the_buyers_language() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        let order = format!("/marketplaces/es/orders/{}", pair.order);
        let confirm = |number: &str| {
            let body = json!({"carrier": "Correos", "tracking_number": number, "tracking_url": "https://track.test/1"});
            s.service.api("POST", &format!("{order}/shipment"), &body)
        };
        let fault = confirm("buy now at shop@elsewhere.test");
        assert_eq!((fault.status, &fault.json()["errors"][0]["field"]), (422, &json!("tracking_number")), "{}", fault.body);
        for _ in 0..2 {
            let answer = confirm("AB-123");
            assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("shipped")), "{}", answer.body);
        }
        let notice = s.world.nth(&pair.buyer, 1);
        let text = said(&notice);
        assert!(["Correos", "AB-123", "https://track.test/1", "pedido"].iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(header(&notice, "Auto-Submitted"), "auto-generated");
        assert!(header(&notice, "From").contains(&pair.seller_alias), "an answer reaches the seller");

        let ask = || s.service.api("POST", &format!("{order}/solicitation"), &Value::Null);
        assert_eq!(ask().json()["code"], "remedy_reason", "not delivered yet");
        let days_ago = |days: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string();
        s.service.put(&format!("/orders/{}", pair.order), &json!({"status": "delivered", "delivered_at": days_ago(4)}));
        assert_eq!(ask().json()["code"], "remedy_reason", "too early");
        s.service.put(&format!("/orders/{}", pair.order), &json!({"delivered_at": days_ago(10)}));
        let answer = ask();
        assert_eq!((answer.status, &answer.json()["copies"]["buyer"]["language"]), (201, &json!("pt-BR")), "{}", answer.body);
        s.world.nth(&pair.buyer, 2);
        let again = ask();
        assert_eq!((again.status, &again.json()["code"]), (422, &json!("remedy_reason")), "once an order");
        assert_eq!(s.world.mailboxes.count(&pair.buyer), 2);
    });
}

/// The rules of a decision with what each said.
fn results(decision: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    decision["rules"].as_array().unwrap().iter().map(|r| (text(&r["rule"]), text(&r["result"]))).collect()
}

#[test]
fn decide_and_replay_agree() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pairs: Vec<Pair> = (1..=4).map(|n| s.pair(n, "es")).collect();
        for n in 1..=3 {
            s.service.put(&format!("/buyers/b{n}"), &json!({"opted_out": true}));
        }
        s.service.put(&format!("/orders/{}", pairs[2].order), &json!({"items": [{"title": "Silla", "category": "custom"}]}));
        let by_seller = |pair: &Pair, subject: &str| {
            (pair.seller.clone(), pair.buyer_alias.clone(), any_letter(&pair.seller, &pair.buyer_alias, subject))
        };
        let file = "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=\"x.exe\"\r\n\r\nMZ";
        let (seller, alias, plain) = by_seller(&pairs[3], "Programa");
        let cases = [
            (by_seller(&pairs[0], "Oferta"), "refuse", Some("remedy_opt_out")),
            (by_seller(&pairs[1], "[Importante] Falta un dato"), "relay", None),
            (by_seller(&pairs[2], "Medidas"), "relay", None),
            ((seller, alias, plain.replace("\r\n\r\n", &format!("\r\n{file}"))), "refuse", Some("remedy_attachments")),
            (
                (pairs[3].buyer.clone(), pairs[3].seller_alias.clone(), any_letter(&pairs[3].buyer, &pairs[3].seller_alias, "Pregunta")),
                "relay",
                None,
            ),
        ];
        let ids: Vec<String> = cases.iter().map(|((from, to, octets), ..)| s.send(from, to, octets)).collect();
        for (id, ((from, to, octets), outcome, remedy)) in ids.iter().zip(&cases) {
            let recorded = s.service.decision(id);
            assert_eq!((recorded["outcome"].as_str(), recorded["remedy"].as_str()), (Some(*outcome), *remedy), "{recorded}");
            let path = s.service.folder.path().join("message.eml");
            std::fs::write(&path, octets).unwrap();
            let (out, error, code) = s.service.command(&["decide", "--json", "--to", to, "--mail-from", from, &path.display().to_string()]);
            assert_eq!(code, 0, "{error}");
            let decided: Value = serde_json::from_str(&out).unwrap();
            let decision = &decided["messages"][0]["recipients"][0]["decision"];
            assert_eq!((decision["outcome"].as_str(), decision["remedy"]["code"].as_str()), (Some(*outcome), *remedy), "{decided}");
            assert_eq!(results(decision), results(&recorded), "{octets}");
        }

        let replay = |more: &[&str]| -> Value {
            let (out, error, code) = s.service.command(&[&["replay", "--json", "--since", "2026-01-01"], more].concat());
            assert_eq!(code, 0, "{error}");
            serde_json::from_str(&out).unwrap()
        };
        let same = replay(&[]);
        assert_eq!((&same["read"], &same["differ"]), (&json!(cases.len()), &json!(0)), "{same}");
        let rules = s.service.folder.path().join("ignore.toml");
        std::fs::write(&rules, "[important]\nmode = \"ignore\"\n").unwrap();
        let other = replay(&["--rules", &rules.display().to_string()]);
        // The override is refused, and the refusal no longer names the bracketed word.
        assert_eq!((&other["read"], &other["differ"]), (&json!(cases.len()), &json!(2)), "{other}");

        // The seller's own dry run says what sending then does.
        let path = format!("/marketplaces/es/orders/{}/messages", pairs[0].order);
        let body = json!({"reason": "other", "text": "Oferta"});
        let dry = s.service.api("POST", &format!("{path}:decide"), &body);
        assert_eq!((dry.status, &dry.json()["outcome"], &dry.json()["remedy"]["code"]), (200, &json!("refuse"), &json!("remedy_opt_out")));
        let sent = s.service.api("POST", &path, &body);
        assert_eq!((sent.status, &sent.json()["code"]), (422, &json!("remedy_opt_out")));
        assert_eq!(sent.json()["decision"], dry.json());
        assert_eq!(s.service.entries(&pairs[0], "message.decided"), 1, "neither is kept");
    });
}

#[test]
fn figures_count_and_explain() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        let figures = || s.service.get("/marketplaces/es/sellers/s1/figures?days=7");
        let answered = s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Unas palabras.");
        let reply_to = header(&s.world.nth(&pair.seller, 1), "Reply-To");
        s.mail(&pair.seller, reply_to.rsplit('<').next().unwrap().trim_end_matches('>'), "Re: Pregunta", "Unas palabras.");
        // Counted once the answer is delivered.
        eventually("the answer counts", || (s.standing(1, &answered) == "answered_in_time").then_some(()));
        let got = figures();
        for (name, expected) in [("counted", 1), ("in_time", 1), ("late", 0), ("unanswered", 0), ("pending", 0), ("left_out", 0)] {
            assert_eq!(got[name], expected, "{name}: {got}");
        }
        assert!(got["in_time_percent"] == 100.0 && got["average_seconds"].as_u64().unwrap() < 60, "{got}");

        let (settled, reported) = (
            s.mail(&pair.buyer, &pair.seller_alias, "Gracias", "Unas palabras."),
            s.mail(&pair.buyer, &pair.seller_alias, "Publicidad", "Unas palabras."),
        );
        assert_eq!((s.standing(1, &settled).as_str(), &figures()["pending"]), ("pending", &json!(2)));
        let say = |id: &str, what: &str, body: &Value| s.service.api("POST", &format!("/messages/{id}/{what}"), body);
        let first = say(&settled, "no-response", &Value::Null);
        assert_eq!((first.status, &first.json()["kind"]), (200, &json!("no_response")), "{}", first.body);
        assert_eq!(say(&settled, "no-response", &Value::Null).body, first.body, "twice changes nothing");
        assert_eq!(s.standing(1, &settled), "no_response_needed");

        assert_eq!(say(&reported, "report", &json!({})).status, 422, "a report needs a reason");
        let unknown = say(&reported, "report", &json!({"reason": "dislike"}));
        assert_eq!((unknown.status, &unknown.json()["errors"][0]["code"]), (422, &json!("unknown_reason")), "{}", unknown.body);
        assert_eq!(s.standing(1, &reported), "pending", "nothing is marked by a fault");
        let marked = say(&reported, "report", &json!({"reason": "spam"}));
        assert_eq!((marked.status, &marked.json()["kind"], &marked.json()["reason"]), (200, &json!("reported"), &json!("spam")));
        assert_eq!(s.standing(1, &reported), "reported");
        let got = figures();
        assert_eq!((&got["counted"], &got["pending"], &got["left_out"]), (&json!(1), &json!(0), &json!(2)), "{got}");
    });
}

#[test]
fn no_response_and_report_by_link() {
    on_both(|database| {
        let mut s = Scene::plain(database);
        let cases = [
            ("en", "No response needed: ", "Report this message: ", ["marked as needing no response on", "was reported on"]),
            ("es", "No necesita respuesta: ", "Denunciar este mensaje: ", ["como que no necesita respuesta", "se denunció el"]),
            ("pt-BR", "Não precisa de resposta: ", "Denunciar esta mensagem: ", ["foi marcada em", "foi denunciada em"]),
        ];
        let mut last = String::new();
        for (n, (locale, no_response, report, done)) in (1..).zip(cases) {
            let pair = s.pair(n, locale);
            // The link behind these words in the nth mail of the seller.
            let link = |nth: usize, words: &str| {
                let text = said(&s.world.nth(&pair.seller, nth));
                let behind = text.split_once(words).unwrap_or_else(|| panic!("no {words:?} in {text}")).1;
                s.service.links(behind).swap_remove(0)
            };
            // Opened again, the link says what was done, and asks nothing.
            let assert_done = |link: &str, words: &str| {
                let body = s.service.page("GET", link, "").body;
                assert!(body.contains(words) && !body.contains("<form"), "{body}");
            };
            let settled = s.mail(&pair.buyer, &pair.seller_alias, "Gracias", "Unas palabras.");
            let no_response = link(1, no_response);
            assert_eq!(s.press(&no_response, "foo=1"), 400);
            assert_eq!(s.standing(n, &settled), "pending");
            let asked = s.service.page("GET", &no_response, "").body;
            assert!(
                asked.contains("<form") && asked.contains("Ana") && !asked.contains(&pair.buyer),
                "who wrote, without the address: {asked}"
            );
            assert_eq!((s.press(&no_response, ""), s.press(&no_response, "")), (200, 200), "twice is harmless");
            assert_eq!(s.standing(n, &settled), "no_response_needed");
            assert_done(&no_response, done[0]);
            let conversations = s.service.get(&format!("/pairs/{}/conversations", pair.id));
            assert_eq!(conversations["items"][0]["response_needed"], false);

            let reported = s.mail(&pair.buyer, &pair.seller_alias, "Publicidad", "Unas palabras.");
            let report = link(2, report);
            assert_eq!((s.press(&report, ""), s.press(&report, "reason=dislike")), (422, 422), "a report needs a reason");
            assert_eq!(s.press(&report, "foo=1"), 400);
            assert_eq!(s.standing(n, &reported), "pending");
            assert_eq!((s.press(&report, "reason=spam"), s.press(&report, "reason=fraud")), (200, 200), "the first one stands");
            assert_eq!(s.standing(n, &reported), "reported");
            assert_done(&report, done[1]);

            // The buyer's own link, below the seller's mail.
            s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Unas palabras.");
            let flag = s.links(&pair.buyer, 1).swap_remove(0);
            assert_eq!(s.press(&flag, "reason=abusive"), 200);
            assert_eq!((s.service.entries(&pair, "message.no_response"), s.service.entries(&pair, "message.reported")), (1, 2));
            last = report;
        }
        let at = "/l/tpl1k".len() + 10;
        let altered = format!("{}{}{}", &last[..at], if last.as_bytes()[at] == b'A' { 'B' } else { 'A' }, &last[at + 1..]);
        for method in ["GET", "POST"] {
            let answer = s.service.page(method, &altered, "reason=spam");
            assert!(answer.status == 404 && answer.body.contains("Este enlace no es válido"), "{} {}", answer.status, answer.body);
        }
        s.service.terminate();
        s.service.run_ahead(91);
        for method in ["GET", "POST"] {
            let answer = s.service.page(method, &last, "reason=spam");
            assert!(answer.status == 410 && answer.body.contains("Este enlace ha caducado"), "{} {}", answer.status, answer.body);
        }
        assert_eq!(s.service.terminate(), Some(0));
    });
}
