//! Mail of those who sign in, and mail that comes through balancers and relays of the operator's own.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::peers::certificate;
use e2e::scene::{Scene, letter};
use e2e::service::{Pair, Setup, assert_log_is_clean, free_port};
use e2e::world::said;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A service with both submission ports, a pair, and the seller's token.
struct Door {
    scene: Scene,
    submission: u16,
    submissions: u16,
    pair: Pair,
    token: String,
    _certificate: TempDir,
}

impl Door {
    fn open(smtp: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificate(folder.path(), "mx.market.test");
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (submission, submissions) = (free_port(), free_port());
        let scene = Scene::new(Setup {
            smtp: format!("submission = [\"127.0.0.1:{submission}\"]\nsubmissions = [\"127.0.0.1:{submissions}\"]\n{smtp}"),
            more: format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n{more}", file("cert.pem"), file("key.pem")),
            ..Setup::default()
        });
        let pair = scene.pair(1, "es");
        let (token, error, code) = scene.service.command(&["token", "create", "--scope", "seller:s1:submit", "--name", "laptop"]);
        assert_eq!(code, 0, "{error}");
        Self { scene, submission, submissions, pair, token: token.trim().to_owned(), _certificate: folder }
    }

    fn plain(&self, token: &str) -> String {
        format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{}\0{token}", self.pair.seller)))
    }

    /// Submits one mail on 465 by hand; the last reply.
    fn submit(&self, to: &str, subject: &str) -> String {
        let text = letter(&self.pair.seller, to, subject, "", "Hola.");
        let envelope = format!("MAIL FROM:<{}>", self.pair.seller);
        let lines = ["EHLO laptop.test", &self.plain(&self.token), &envelope, &format!("RCPT TO:<{to}>"), "DATA", &format!("{text}.")];
        let replies = talk(&json!({"port": self.submissions, "tls": "implicit", "lines": lines}));
        assert!(replies[2].starts_with("235 2.7.0 "), "{replies:?}");
        // What is refused before DATA leaves nothing to send.
        replies.into_iter().skip(3).find(|r| !r.starts_with("25") && !r.starts_with("354") || r.contains("accepted")).unwrap()
    }
}

/// Says SMTP as it is told; the replies.
fn talk(task: &Value) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/talk.py");
    let mut child =
        Command::new("/usr/bin/python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{task}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python(program: &str) -> String {
    let output = Command::new("/usr/bin/python3").args(["-c", program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The lines of one mail from the buyer, with fields on top of it.
fn from_buyer(pair: &Pair, top: &str) -> Vec<String> {
    let text = letter(&pair.buyer, &pair.seller_alias, "Pregunta", "", "Hola?");
    vec![
        "EHLO relay.test".to_owned(),
        format!("MAIL FROM:<{}>", pair.buyer),
        format!("RCPT TO:<{}>", pair.seller_alias),
        "DATA".to_owned(),
        format!("{top}{text}."),
    ]
}

/// What the service logged so.
fn logged(door: &Door, what: &str) -> Vec<String> {
    door.scene.service.log().lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
}

fn last(replies: &[String]) -> &str {
    replies.last().unwrap()
}

#[test]
fn swaks_submits_on_both_ports_by_plain_and_login() {
    let door = Door::open("", "");
    let swaks = |port: u16, tls: &str, mechanism: &str, token: &str| {
        let port = port.to_string();
        let server = ["--server", "127.0.0.1", "--port", &port, tls, "--auth", mechanism, "--auth-user", &door.pair.seller];
        let mail = ["--auth-password", token, "--from", &door.pair.seller, "--to", &door.pair.buyer_alias, "--body", "Su pedido sale hoy."];
        let output = Command::new("swaks").args(server).args(mail).stdin(Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut sent = 0;
    for (port, tls) in [(door.submission, "--tls"), (door.submissions, "--tls-on-connect")] {
        for mechanism in ["PLAIN", "LOGIN"] {
            let (is_sent, dialogue) = swaks(port, tls, mechanism, &door.token);
            assert!(is_sent && dialogue.contains("accepted as "), "{mechanism} {tls}: {dialogue}");
            sent += 1;
            assert!(said(&door.scene.world.nth(&door.pair.buyer, sent)).contains("Su pedido sale hoy."));
        }
        let (is_sent, dialogue) = swaks(port, tls, "LOGIN", "tp_wrong");
        assert!(!is_sent && dialogue.contains("535 5.7.8 "), "{dialogue}");
    }
    assert_eq!(door.scene.service.messages(&door.pair).len(), sent);
}

#[test]
fn smtplib_and_bearer_tokens_sign_in() {
    let door = Door::open("", "");
    let (seller, alias, token) = (&door.pair.seller, &door.pair.buyer_alias, &door.token);
    let program = format!(
        r#"
import smtplib, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def mail(n): return 'From: {seller}\r\nTo: {alias}\r\nSubject: x\r\nMessage-ID: <%s@laptop.test>\r\n\r\nhola %s\r\n' % (n, n)
def bearer(token):
    return lambda challenge=None: '\x01' if challenge else 'n,a={seller},\x01host=mx.market.test\x01port=465\x01auth=Bearer ' + token + '\x01\x01'
s = smtplib.SMTP('127.0.0.1', {})
s.starttls(context=context)
s.login('{seller}', '{token}')
s.sendmail('{seller}', ['{alias}'], mail('one'))
s.quit()
s = smtplib.SMTP_SSL('127.0.0.1', {}, context=context)
s.ehlo()
try:
    s.auth('OAUTHBEARER', bearer('tp_wrong'))
except smtplib.SMTPAuthenticationError as e:
    print(e.smtp_code)
s.auth('OAUTHBEARER', bearer('{token}'))
s.sendmail('{seller}', ['{alias}'], mail('two'))
"#,
        door.submission, door.submissions
    );
    assert_eq!(python(&program), "535");
    let got: String = (1..=2).map(|n| said(&door.scene.world.nth(&door.pair.buyer, n))).collect();
    assert!(got.contains("hola one") && got.contains("hola two"), "{got}");
}

#[test]
fn nobody_signs_in_in_clear_with_another_user_or_at_the_relay_port() {
    let door = Door::open("", "");
    let sign_in = door.plain(&door.token);
    let mail = format!("MAIL FROM:<{}>", door.pair.seller);
    let clear = talk(&json!({"port": door.submission, "lines": ["EHLO c", sign_in, mail]}));
    assert!(clear[1].contains("STARTTLS") && !clear[1].contains("AUTH"), "{clear:?}");
    assert!(clear[2].starts_with("530 5.7.0 ") && clear[3].starts_with("530 5.7.0 "), "{clear:?}");
    let relay = talk(&json!({"port": door.scene.service.smtp.port(), "tls": "starttls", "lines": ["EHLO c", sign_in]}));
    assert!(!relay[1].contains("AUTH") && relay[2].starts_with("502 "), "{relay:?}");
    // An alias is never a sign-in name, and one seller's token signs no other in.
    let other = door.scene.pair(2, "es");
    for user in [&door.pair.seller_alias, &other.seller, &door.pair.buyer] {
        let wrong = format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{}", door.token)));
        let replies = talk(&json!({"port": door.submissions, "tls": "implicit", "lines": ["EHLO c", wrong, mail]}));
        assert!(replies[1].contains("AUTH PLAIN LOGIN OAUTHBEARER"), "{replies:?}");
        assert!(replies[2].starts_with("535 5.7.8 ") && replies[3].starts_with("530 5.7.0 "), "{replies:?}");
    }
}

#[test]
fn refusals_come_at_once_and_in_the_same_words() {
    let door = Door::open("", "");
    let refusing = door.scene.refusing(2, "es");
    // The seller of the token sells to that buyer too.
    let pair = door.scene.service.put_order(1, 2, "302-0000009");
    let reply = door.submit(&pair.buyer_alias, "Novedades");
    assert!(reply.starts_with("550-5.7.1 El cliente no acepta mensajes no solicitados de vendedores, asi que tu mensaje"), "{reply}");
    assert!(reply.contains("[Importante]") && reply.lines().last().unwrap().starts_with("550 5.7.1 3. "), "{reply}");
    assert!(reply.is_ascii());
    let line = logged(&door, "message refused");
    assert!(line.len() == 1 && line[0].contains("code=550 status=\"5.7.1\" remedy=\""), "{line:?}");
    assert!(door.scene.service.messages(&pair).is_empty(), "what was refused at once is nowhere");
    assert_eq!(door.scene.world.mailboxes.count(&door.pair.seller), 0, "and no notice says it again");
    assert!(door.submit(&pair.buyer_alias, "[Importante] Direccion").contains("accepted as "), "one of the ways out");
    assert!(door.submit("aaaaaaaaaaaaaaa@market.test", "x").starts_with("550 5.1.1 "));
    assert!(door.submit("somebody@elsewhere.test", "x").starts_with("550 5.7.1 "));
    // The alias of a buyer that another seller was given.
    assert!(door.submit(&refusing.buyer_alias, "x").starts_with("550 5.7.1 "));
    door.scene.world.nth(&pair.buyer, 1);
    assert_eq!(door.scene.service.messages(&pair).len(), 1);
}

#[test]
fn too_many_refused_sign_ins_close_the_door() {
    let door = Door::open("", "");
    let wrong = door.plain("tp_wrong");
    let mut refused = 0;
    let mut lines = vec!["EHLO c".to_owned()];
    lines.extend(std::iter::repeat_n(wrong, 3));
    for _ in 0..4 {
        let replies = talk(&json!({"port": door.submissions, "tls": "implicit", "lines": lines}));
        refused += replies.iter().filter(|r| r.starts_with("535 ")).count();
    }
    assert_eq!(refused, 10, "in ten minutes");
    for closed in [json!({"port": door.submission, "lines": []}), json!({"port": door.submissions, "tls": "implicit", "lines": []})] {
        let replies = talk(&closed);
        assert!(replies[0].starts_with("421 4.7.0 too many sign-ins were refused; "), "{closed}: {replies:?}");
    }
    let relay = talk(&json!({"port": door.scene.service.smtp.port(), "lines": ["NOOP"]}));
    assert!(relay[1].starts_with("250 "), "mail of others still comes in: {relay:?}");
    assert_eq!(logged(&door, "sign-in refused").len(), 10);
    let away = logged(&door, "client turned away");
    assert_eq!(away.len(), 1, "of one client one line in a minute: {away:?}");
    assert!(away[0].contains("too many refused sign-ins") && away[0].contains("door=\"submission\""), "{away:?}");
}

#[test]
fn what_comes_in_stands_in_the_log_by_id_and_code() {
    let door = Door::open("", "");
    let (smtp, pair) = (door.scene.service.smtp.port(), &door.pair);
    let submitted = door.submit(&pair.buyer_alias, "Novedades");
    let relayed = talk(&json!({"port": smtp, "lines": from_buyer(pair, "")}));
    // buyer.test sends from 127.0.0.1 only.
    let refused = talk(&json!({"port": smtp, "tls": "starttls", "source": "127.0.0.3", "lines": from_buyer(pair, "")}));
    assert!(last(&refused).ends_with("; or, as a seller, sign in on our submission port"), "{refused:?}");
    let accepted = logged(&door, "message accepted");
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    for (line, reply, rest) in
        [(&accepted[0], submitted.as_str(), "door=\"submission\" tls=true"), (&accepted[1], last(&relayed), "door=\"relay\" tls=false")]
    {
        let id = reply.rsplit(' ').next().unwrap();
        assert!(line.contains(&format!("id={id} ids=1 {rest} milliseconds=")), "{line}");
    }
    let lines = logged(&door, "message refused");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["code=550 status=\"5.7.1\"", "spf=\"", "dkim=\"none\"", "dmarc=\"", "aligned=false", "door=\"relay\" tls=true"] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    assert_log_is_clean(&accepted.join("\n"), &["127.0.0", "market.test", "buyer", "seller1", &pair.buyer_alias[..15]]);
    assert_log_is_clean(&lines.join("\n"), &["127.0.0", "market.test", "buyer", "seller1", &pair.seller_alias[..15]]);
}

#[test]
fn a_client_that_floods_is_told_to_wait_and_others_are_not() {
    let trusted = "[[smtp.trusted_relay]]\nnetwork = \"127.0.0.2\"\n";
    let door = Door::open("messages_per_minute = 5\n", trusted);
    let envelope = ["MAIL FROM:<a@elsewhere.test>", "RSET"];
    let lines: Vec<&str> = ["EHLO c"].into_iter().chain(envelope.into_iter().cycle().take(20)).collect();
    let codes = |source: &str| {
        let replies = talk(&json!({"port": door.scene.service.smtp.port(), "source": source, "lines": lines}));
        replies.iter().skip(2).step_by(2).map(|r| r[..9].to_owned()).collect::<Vec<_>>()
    };
    let flood = codes("127.0.0.3");
    assert_eq!(flood[..5], ["250 2.1.0"; 5].map(str::to_owned));
    assert_eq!(flood[5..], ["450 4.7.1"; 5].map(str::to_owned), "{flood:?}");
    assert!(codes("127.0.0.2").iter().all(|code| code == "250 2.1.0"), "a relay of the operator's own");
    let away = logged(&door, "client turned away");
    assert!(away.len() == 1 && away[0].contains("too many messages in a minute"), "{away:?}");
    let other = talk(&json!({"port": door.scene.service.smtp.port(), "source": "127.0.0.4", "lines": ["EHLO c", envelope[0]]}));
    assert!(last(&other).starts_with("250 2.1.0 "), "{other:?}");
}

#[test]
fn a_balancer_says_whose_connection_it_passes_on() {
    let door = Door::open("proxy_protocol = true\n", "");
    let relay = door.scene.service.smtp.port();
    let hex = |octets: &[u8]| octets.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let binary = |command: u8, client: [u8; 4]| [&signature[..], &[command, 0x11, 0, 12], &client, &[127, 0, 0, 1, 0, 1, 0, 25]].concat();
    // buyer.test sends from 127.0.0.1 only.
    let taken = [
        b"PROXY TCP4 127.0.0.1 127.0.0.1 51234 25\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary(0x21, [127, 0, 0, 1]),
        binary(0x20, [203, 0, 113, 9]),
    ];
    for header in &taken {
        let replies = talk(&json!({"port": relay, "proxy": hex(header), "lines": from_buyer(&door.pair, "")}));
        assert!(last(&replies).contains("accepted as "), "{replies:?}");
    }
    for header in [b"PROXY TCP4 203.0.113.9 127.0.0.1 51234 25\r\n".to_vec(), binary(0x21, [203, 0, 113, 9])] {
        let replies = talk(&json!({"port": relay, "proxy": hex(&header), "lines": from_buyer(&door.pair, "")}));
        assert!(last(&replies).starts_with("550 5.7.1 neither SPF nor DKIM"), "{replies:?}");
    }
    for nonsense in [&b"EHLO relay.test\r\n"[..], b"PROXY TCP4 example.test 127.0.0.1 1 2\r\n", b"\x16\x03\x01\x02\x00hello, world"] {
        assert_eq!(talk(&json!({"port": relay, "proxy": hex(nonsense), "lines": []})), [""], "no greeting without a header");
    }
    // Before TLS where TLS comes first.
    let lines = ["EHLO c", &door.plain(&door.token)];
    let replies = talk(&json!({"port": door.submissions, "tls": "implicit", "proxy": hex(&taken[2]), "lines": lines}));
    assert!(last(&replies).starts_with("235 "), "{replies:?}");
    let replies = talk(&json!({"port": door.submission, "tls": "starttls", "proxy": hex(&taken[0]), "lines": lines}));
    assert!(last(&replies).starts_with("235 "), "{replies:?}");
    assert_eq!(door.scene.service.messages(&door.pair).len(), taken.len());
}

#[test]
fn only_a_trusted_relay_vouches_for_what_it_passes_on() {
    let door = Door::open("", "[[smtp.trusted_relay]]\nnetwork = \"127.0.0.2\"\nauthserv_id = \"mx.shop.test\"\n");
    let pair = &door.pair;
    let pass = "Authentication-Results: MX.shop.test; dkim=pass header.d=buyer.test\r\n";
    let fail = "Authentication-Results: mx.shop.test; dkim=fail header.d=buyer.test\r\n";
    let other = "Authentication-Results: mx.elsewhere.test; dkim=pass header.d=buyer.test\r\n";
    let send = |source: &str, first: &[&str], top: &str| {
        let lines: Vec<String> = first.iter().map(|l| (*l).to_owned()).chain(from_buyer(pair, top)).collect();
        talk(&json!({"port": door.scene.service.smtp.port(), "source": source, "lines": lines}))
    };
    let is_taken = |replies: &[String]| {
        assert!(last(replies).contains("accepted as ") || last(replies).starts_with("550 5.7.1 neither SPF nor DKIM"), "{replies:?}");
        last(replies).contains("accepted as ")
    };
    let (relay, stranger) = ("127.0.0.2", "127.0.0.3");
    assert!(is_taken(&send(relay, &[], pass)));
    assert!(is_taken(&send(relay, &[], &format!("{other}Received: from x\r\n{pass}"))));
    // buyer.test sends from 127.0.0.1 only, and who speaks is not told.
    assert!(!is_taken(&send(relay, &[], "")));
    assert!(!is_taken(&send(relay, &[], other)), "another's word");
    assert!(!is_taken(&send(relay, &[], &format!("{fail}{pass}"))), "the lower one came with the message");
    assert!(!is_taken(&send(stranger, &[], pass)), "a forged field");
    let speaks_for = |address: &str| format!("XCLIENT NAME=[UNAVAILABLE] ADDR={address} HELO=mx.buyer.test");
    let told = send(relay, &["EHLO relay.test", &speaks_for("127.0.0.1")], "");
    assert!(told[1].contains("XCLIENT NAME ADDR") && told[2].starts_with("220 "), "{told:?}");
    assert!(is_taken(&told), "SPF is checked for the client that it told");
    assert!(!is_taken(&send(relay, &["EHLO relay.test", &speaks_for("203.0.113.9")], "")));
    let refused = send(stranger, &["EHLO relay.test", &speaks_for("127.0.0.1")], "");
    assert!(!refused[1].contains("XCLIENT") && refused[2].starts_with("500 "), "{refused:?}");
    assert!(!is_taken(&refused));
    assert_eq!(door.scene.service.messages(pair).len(), 3);
}
