//! Receiving and relaying over a real store: the ladder, golden messages in three languages, and that
//! nothing of a writer is in what leaves, whatever the writer sends.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::path::Path;
use std::time::Duration;

use domain::delivery::{AttemptOutcome, DeliveryState, GIVE_UP_AFTER};
use domain::{Role, Tag};
use mail::Mailbox;
use operations::{
    Attempt, Authentication, Receipt, Received, Recipient, Refusal, Verdict, lease_deliveries, list_ledger, receive_message,
    record_attempt, resolve_recipient,
};
use proptest::prelude::*;
use testkit::{Fixture, TestContext};

const ALIGNED: Authentication = Authentication { spf: Verdict::Pass, dkim: Verdict::None, dmarc: Verdict::None, aligned: true };

struct World {
    t: TestContext,
    f: Fixture,
}

impl World {
    async fn new() -> Self {
        let (t, f) = (TestContext::new(), Fixture::new(1));
        t.ctx.store.commit(f.put()).await.unwrap();
        Self { t, f }
    }

    /// A party writes to the other; the alias carries `tag` if any.
    async fn write(&self, from: Role, tag: Option<&str>, octets: &str) -> Receipt {
        let writer = match from {
            Role::Buyer => self.f.buyer.email.clone(),
            Role::Seller => self.f.seller.email.clone(),
        };
        let alias = self.f.pair.alias_of(from.other()).as_str();
        let address = tag.map_or_else(|| format!("{alias}@market.test"), |tag| format!("{alias}+{tag}@market.test"));
        let recipient = resolve_recipient(&self.t.ctx, &Mailbox::parse(&address).unwrap()).await.unwrap();
        assert!(matches!(recipient, Recipient::Alias { .. }));
        let octets = format!("From: {}\r\n{octets}", writer.to_wire()).into_bytes().into();
        let received = Received::new(Some(writer), vec![recipient], octets, ALIGNED);
        receive_message(&self.t.ctx, received).await.unwrap()
    }

    async fn rung_of(&self, receipt: &Receipt) -> Option<&'static str> {
        let Receipt::Accepted(ids) = receipt else { panic!("{receipt:?}") };
        let found = self.t.ctx.store.find_message(ids[0], &[]).await.unwrap().unwrap();
        found.message.rung.map(domain::Rung::as_str)
    }

    /// What was handed to delivery, as text.
    fn handed(&mut self) -> Vec<String> {
        self.t.take_handed().iter().map(|r| String::from_utf8(r.content.to_vec()).unwrap()).collect()
    }
}

fn field(mail: &str, name: &str) -> String {
    mail::mime::Fields::read(mail.as_bytes()).0.text(name).unwrap_or_default()
}

#[tokio::test]
async fn each_rung_of_the_ladder_joins_and_is_recorded() {
    let mut w = World::new().await;
    let first = w.write(Role::Buyer, None, "Subject: one\r\nMessage-ID: <b1@buyer.test>\r\n\r\nhello\r\n").await;
    assert_eq!(w.rung_of(&first).await, None, "a fresh mail begins a conversation");
    let delivered = w.handed().remove(0);
    let tag = field(&delivered, "Reply-To").split('+').nth(1).unwrap().split('@').next().unwrap().to_owned();
    let id = field(&delivered, "Message-ID");
    let answers = [
        (Some(tag.as_str()), "Subject: x\r\n\r\nby tag\r\n".to_owned(), Some("tag")),
        (None, format!("Subject: x\r\nIn-Reply-To: {id}\r\n\r\nby id\r\n"), Some("references")),
        (None, format!("Subject: x\r\nReferences: <unknown@x> {id}\r\n\r\nby references\r\n"), Some("references")),
        (None, format!("Subject: x\r\n\r\n> {}\r\nby quotation\r\n", Tag::parse(&tag).unwrap().reference()), Some("quotation")),
        (None, "Subject: about 302-1\r\n\r\nby order\r\n".to_owned(), Some("order_id")),
        (Some("aaaaaaaaaa"), "Subject: x\r\n\r\na tag of nobody: the alias still works\r\n".to_owned(), None),
        (None, "Subject: x\r\nReferences: <b1@elsewhere>\r\n\r\nnothing holds\r\n".to_owned(), None),
    ];
    for (tag, octets, expected) in answers {
        let receipt = w.write(Role::Seller, tag, &octets).await;
        assert_eq!(w.rung_of(&receipt).await, expected, "{octets}");
    }
}

#[tokio::test]
async fn the_first_evidence_that_holds_wins() {
    let mut w = World::new().await;
    w.write(Role::Buyer, None, "Subject: one\r\n\r\none\r\n").await;
    w.write(Role::Buyer, None, "Subject: two\r\n\r\ntwo\r\n").await;
    let handed = w.handed();
    let tag = field(&handed[0], "Reply-To").split('+').nth(1).unwrap().split('@').next().unwrap().to_owned();
    let second_id = field(&handed[1], "Message-ID");
    let receipt = w.write(Role::Seller, Some(&tag), &format!("Subject: x\r\nReferences: {second_id}\r\n\r\nboth\r\n")).await;
    assert_eq!(w.rung_of(&receipt).await, Some("tag"));
}

#[tokio::test]
async fn evidence_of_another_pair_means_nothing() {
    let mut w = World::new().await;
    let other = Fixture::new(2);
    w.t.ctx.store.commit(other.put()).await.unwrap();
    w.write(Role::Buyer, None, "Subject: one\r\n\r\none\r\n").await;
    let delivered = w.handed().remove(0);
    let tag = field(&delivered, "Reply-To").split('+').nth(1).unwrap().split('@').next().unwrap().to_owned();
    w.f = other;
    let octets = format!("Subject: x\r\nReferences: {}\r\n\r\n[ref:{tag}]\r\n", field(&delivered, "Message-ID"));
    let receipt = w.write(Role::Seller, Some(&tag), &octets).await;
    assert_eq!(w.rung_of(&receipt).await, None);
    assert!(field(&w.handed().remove(0), "References").is_empty(), "an id of another pair is not passed on");
}

#[tokio::test]
async fn each_side_is_shown_only_ids_that_it_knows() {
    let mut w = World::new().await;
    w.write(Role::Buyer, None, "Subject: q\r\nMessage-ID: <q@phone.buyer.test>\r\n\r\nq\r\n").await;
    let to_seller = w.handed().remove(0);
    assert!(!to_seller.contains("phone.buyer.test"));
    let answer = format!(
        "Subject: Re: q\r\nMessage-ID: <a@pc.shop.test>\r\nIn-Reply-To: {}\r\nReferences: <private@pc.shop.test> {}\r\n\r\na\r\n",
        field(&to_seller, "Message-ID"),
        field(&to_seller, "Message-ID")
    );
    w.write(Role::Seller, None, &answer).await;
    let to_buyer = w.handed().remove(0);
    assert_eq!(field(&to_buyer, "In-Reply-To"), "<q@phone.buyer.test>");
    assert_eq!(field(&to_buyer, "References"), "<q@phone.buyer.test>");
    assert!(!to_buyer.contains("pc.shop.test"));
}

#[tokio::test]
async fn golden_messages() {
    let mut w = World::new().await;
    let html = "Subject: =?utf-8?q?=C2=BFD=C3=B3nde_est=C3=A1=3F?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHola, soy Ana (ana1@buyer.test).\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hola, soy <b>Ana</b> (<a href=\"mailto:ana1@buyer.test\">ana1@buyer.test</a>).</p><img src=\"https://pixel.test/\">\r\n--b--\r\n";
    w.write(Role::Buyer, None, html).await;
    let to_seller = w.handed().remove(0);
    golden("to_seller_es.eml", &to_seller);
    let tag = field(&to_seller, "Reply-To").split('+').nth(1).unwrap().split('@').next().unwrap().to_owned();
    let files = "Subject: Re: [302-1] x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nVer nota.\r\n--b\r\nContent-Type: text/plain; name=nota.txt\r\nContent-Disposition: attachment\r\n\r\nowner1@shop.test\r\n--b\r\nContent-Type: image/gif; name=\"owner1 mapa.gif\"\r\nContent-Transfer-Encoding: base64\r\n\r\nR0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=\r\n--b\r\nContent-Type: text/vcard\r\n\r\nEMAIL:owner1@shop.test\r\n--b--\r\n";
    w.write(Role::Seller, Some(&tag), files).await;
    golden("to_buyer_pt.eml", &w.handed().remove(0));
    // A reply with a picture in it, above the whole original as a mail program quotes it: banner, footer, links and who
    // wrote when do not go back; what was said stays.
    let original = mail::mime::read_content(&mail::mime::parse(to_seller.as_bytes()).unwrap()).text;
    let quoted: String = original.lines().map(|l| format!("> {l}\r\n")).collect();
    let said = "Está a caminho.";
    let who = "Em dom., 22 de nov. de 2026 às 03:00, Ana <x@market.test> escreveu:";
    let reply = format!(
        "Subject: Re: x\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{said}\r\n\r\n{who}\r\n\r\n{quoted}\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{said} <img src=\"cid:one@pc.shop.test\" alt=\"mapa\"></p><div>{}</div><blockquote>{}</blockquote>\r\n--b--\r\n--r\r\nContent-Type: image/gif\r\nContent-ID: <one@pc.shop.test>\r\nContent-Transfer-Encoding: base64\r\n\r\nR0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=\r\n--r--\r\n",
        mail::html::escape(who),
        mail::html::from_text(&original)
    );
    w.write(Role::Seller, Some(&tag), &reply).await;
    golden("reply_pt.eml", &w.handed().remove(0));
    w.write(Role::Buyer, Some(&tag), "To: friend@elsewhere.test\r\nSubject: Re: x\r\nMessage-ID: <m@buyer.test>\r\n\r\nok\r\n").await;
    golden("notice_pt.eml", &w.handed().remove(1));
}

/// Compares with the file; set UPDATE_GOLDEN to write it, then read the difference.
fn golden(name: &str, mail: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let mail = mail.replace("\r\n", "\n");
    #[allow(clippy::disallowed_methods)] // A switch of the developer's.
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&path, &mail).unwrap();
    }
    assert_eq!(mail, std::fs::read_to_string(&path).unwrap(), "{name}");
}

#[tokio::test]
async fn a_week_of_refusals_runs_in_a_moment_and_ends_with_one_notice() {
    let mut w = World::new().await;
    w.write(Role::Buyer, None, "Subject: q\r\n\r\nq\r\n").await;
    let mut ready = w.t.take_handed().remove(0);
    let busy = Attempt { outcome: AttemptOutcome::Transient, status: "4.2.1".into(), tls: None };
    let mut attempts = 0;
    loop {
        let state = record_attempt(&w.t.ctx, &ready, &busy).await.unwrap().unwrap();
        attempts += 1;
        if state == DeliveryState::Bounced {
            break;
        }
        assert!(lease_deliveries(&w.t.ctx, 10).await.unwrap().is_empty(), "not before it is due");
        w.t.clock.advance(Duration::from_secs(8 * 3600));
        ready = lease_deliveries(&w.t.ctx, 10).await.unwrap().remove(0);
    }
    assert_eq!(attempts, GIVE_UP_AFTER.as_secs() / (8 * 3600) + 1);
    let notice = lease_deliveries(&w.t.ctx, 10).await.unwrap().remove(0);
    assert_eq!((notice.recipient.canonical(), notice.reverse_path), ("ana1@buyer.test".into(), None));
    let kinds: Vec<String> = list_ledger(&w.t.ctx, w.f.pair.id, 1, 100).await.unwrap().into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds.iter().filter(|k| *k == "delivery.attempted").count(), attempts as usize);
    assert_eq!(kinds.last().map(String::as_str), Some("notice.queued"));
}

#[tokio::test]
async fn a_late_result_of_a_lost_lease_changes_nothing() {
    let mut w = World::new().await;
    w.write(Role::Buyer, None, "Subject: q\r\n\r\nq\r\n").await;
    let late = w.t.take_handed().remove(0);
    w.t.clock.advance(Duration::from_secs(3600));
    let taken_over = lease_deliveries(&w.t.ctx, 10).await.unwrap().remove(0);
    let done = Attempt { outcome: AttemptOutcome::Delivered, status: "2.0.0".into(), tls: None };
    assert_eq!(record_attempt(&w.t.ctx, &late, &done).await.unwrap(), None);
    assert_eq!(record_attempt(&w.t.ctx, &taken_over, &done).await.unwrap(), Some(DeliveryState::Delivered));
}

#[tokio::test]
async fn a_full_hand_over_leaves_the_delivery_to_the_poller() {
    let mut w = World::new().await;
    let rules = domain::policy::RuleSet::parse("[buyer_limit]\nper_pair_and_day = 2000\n").unwrap();
    w.t.ctx.settings.marketplaces[0].rules = std::sync::Arc::new(rules);
    let mut accepted = 0;
    for n in 0..1_010 {
        accepted += i32::from(matches!(w.write(Role::Buyer, None, &format!("Subject: {n}\r\n\r\nq\r\n")).await, Receipt::Accepted(_)));
    }
    assert_eq!(accepted, 1_010, "accepting does not wait for delivering");
    assert_eq!(lease_deliveries(&w.t.ctx, 100).await.unwrap().len(), 10, "what found no room is due at once");
}

#[tokio::test]
async fn refusals_in_the_session() {
    let w = World::new().await;
    let recipient = |w: &World| Mailbox::parse(&format!("{}@market.test", w.f.pair.seller_alias.as_str())).unwrap();
    let receive = async |reverse: &str, octets: &str, authentication: Authentication| {
        let recipients = vec![resolve_recipient(&w.t.ctx, &recipient(&w)).await.unwrap()];
        let received = Received::new(Mailbox::parse(reverse).ok(), recipients, octets.as_bytes().into(), authentication);
        receive_message(&w.t.ctx, received).await.unwrap()
    };
    let own = "From: ana1@buyer.test\r\n\r\nx\r\n";
    let unaligned = Authentication { aligned: false, ..ALIGNED };
    let silent = Authentication { spf: Verdict::TempError, aligned: false, ..Authentication::default() };
    assert_eq!(receive("ana1@buyer.test", own, unaligned).await, Receipt::Refused(Refusal::Stranger { aligned: false }), "B2");
    assert_eq!(receive("x@y.test", "From: x@y.test\r\n\r\nx\r\n", ALIGNED).await, Receipt::Refused(Refusal::Stranger { aligned: true }));
    assert_eq!(receive("ana1@buyer.test", own, silent).await, Receipt::Refused(Refusal::Unverifiable));
    assert_eq!(
        receive("ana1@buyer.test", "X-Tradepost-Hops: 9\r\nFrom: ana1@buyer.test\r\n\r\nx", ALIGNED).await,
        Receipt::Refused(Refusal::Loop)
    );
    assert_eq!(receive("x@market.test", own, ALIGNED).await, Receipt::Refused(Refusal::OurDomain));
    assert!(matches!(receive("ana1@buyer.test", "Subject: x\r\n\r\nx", ALIGNED).await, Receipt::Refused(Refusal::Malformed(_))));
    assert!(list_ledger(&w.t.ctx, w.f.pair.id, 1, 10).await.unwrap().is_empty(), "what is refused leaves nothing behind");
}

#[tokio::test]
async fn one_address_may_be_a_buyer_here_and_a_seller_there() {
    let mut w = World::new().await;
    let mut g = Fixture::new(2);
    // The seller of the first pair is the buyer of the second.
    g.buyer.email = w.f.seller.email.clone();
    w.t.ctx.store.commit(g.put()).await.unwrap();
    w.f.buyer.email = g.buyer.email.clone();
    w.f.pair = g.pair.clone();
    assert!(matches!(w.write(Role::Buyer, None, "Subject: I buy\r\n\r\nx\r\n").await, Receipt::Accepted(_)));
    assert_eq!(w.t.take_handed().remove(0).recipient.canonical(), "help2@shop.test");
}

/// Ways to put an address into a mail.
fn places() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Reply-To: SELF\r\n\r\nx\r\n".to_owned()),
        Just("Subject: SELF\r\n\r\nx\r\n".to_owned()),
        Just("Subject: =?utf-8?B?YW5hMUBidXllci50ZXN0?=\r\n\r\nx\r\n".to_owned()),
        Just("X-A: SELF\r\nDKIM-Signature: d=buyer.test\r\n\r\nx\r\n".to_owned()),
        "[a-z ,.<>()\n-]{0,40}".prop_map(|t| format!("\r\n{} SELF {}\r\n", t.replace('\n', "\r\n"), t.replace('\n', "\r\n"))),
        "[a-z <>/=\"]{0,30}".prop_map(|t| format!("Content-Type: text/html\r\n\r\n<p>{t}</p>S<b>E</b>LF <a href=\"mailto:SELF\">{t} SELF</a>\r\n")),
        Just("Content-Type: text/html\r\n\r\nana1&#64;buyer.test ana1%40buyer.test <!-- SELF --> <i title='SELF'>a</i>\r\n".to_owned()),
        Just("Content-Transfer-Encoding: base64\r\n\r\nYW5hMUBidXllci50ZXN0\r\n".to_owned()),
        Just("Content-Transfer-Encoding: quoted-printable\r\n\r\nana1=40buyer=\r\n.test\r\n".to_owned()),
        Just("Content-Type: text/plain; charset=utf-7\r\n\r\nana1+AEA-buyer.test\r\n".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b\r\n\r\nSELF\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: SELF\r\n\r\nSELF\r\n--b\r\nContent-Description: SELF\r\nContent-ID: <SELF>\r\n\r\nSELF\r\n--b\r\nContent-Type: text/plain; name=\"SELF.txt\"\r\n\r\nSELF\r\n--b--\r\nSELF\r\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_decoding_of_what_leaves_shows_the_writer(octets in places()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut w = World::new().await;
            w.write(Role::Buyer, None, &octets.replace("SELF", "ana1@buyer.test")).await;
            let mail = w.handed().remove(0);
            let message = mail::mime::parse(mail.as_bytes()).unwrap();
            let head: String = message.fields().iter().map(|f| mail::mime::decode_words(f.value)).collect();
            let names: String = message.entities.iter().filter_map(|e| e.file_name.clone()).collect();
            let texts: String = message.entities.iter().map(mail::mime::decode_text).collect();
            let html: String = message.entities.iter().filter(|e| e.media_type == "text/html").map(|e| mail::html::to_text(&mail::mime::decode_text(e))).collect();
            for shown in [&mail, &head, &names, &texts, &html] {
                assert!(!shown.to_lowercase().contains("ana1@buyer.test") && !shown.contains("ana1%40"), "{shown}");
            }
        });
    }
}
