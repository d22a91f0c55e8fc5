//! The demo's pages.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use domain::Clock;
use sandbox::{Exchange, StoredMail, send_mail};
use serde::Deserialize;

use crate::demo::cast::{OPTED_OUT, OrderLine, Person as CastPerson};
use crate::demo::client::ClientMail;
use crate::demo::views::{ReadMail, header_note, read};
use crate::demo::{Demo, Started};

/// Scripts, styles and frames of our own only.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";
/// For the HTML of a mail: nothing is loaded from anywhere.
const MAIL_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'";

type Shared = Arc<Demo>;

pub(crate) fn router(demo: Shared) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/demo") }))
        .route("/demo", get(home))
        .route("/demo/demo.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], include_str!("../../templates/demo/demo.css")) }))
        .route(
            "/demo/demo.js",
            get(|| async { ([(header::CONTENT_TYPE, "text/javascript")], include_str!("../../templates/demo/demo.js")) }),
        )
        .route("/demo/mailboxes/{id}", get(mailbox))
        .route("/demo/mailboxes/{id}/count", get(count))
        .route("/demo/mailboxes/{id}/messages", post(send))
        .route("/demo/mailboxes/{id}/mails/{mail}/html", get(mail_html))
        .route("/demo/mailboxes/{id}/mails/{mail}/source", get(mail_source))
        .route("/demo/ledger/{pair}", get(ledger))
        .with_state(demo)
}

/// One thing to try.
pub(crate) struct Tip {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) link: String,
    pub(crate) link_label: String,
}

/// Five things to try.
pub(crate) fn tips(demo: &Demo) -> Vec<Tip> {
    let stopped = |l: &&OrderLine| l.order.seller == "serraalta" && l.order.buyer == OPTED_OUT;
    let alias = demo.started.get().and_then(|s| s.orders.iter().find(stopped)).map(|l| l.buyer_alias.clone()).unwrap_or_default();
    let pair = demo.started.get().and_then(|s| s.orders.first()).map(|l| l.pair.to_string()).unwrap_or_default();
    let tip = |title: &str, text: &str, link: String, link_label: &str| Tip {
        title: title.to_owned(),
        text: text.to_owned(),
        link,
        link_label: link_label.to_owned(),
    };
    vec![
        tip(
            "Answer as a seller",
            "Taller Azahar has a question from Lucía. Reply, then open Lucía's mailbox: your address is nowhere.",
            "/demo/mailboxes/azahar".to_owned(),
            "Open the seller's mailbox",
        ),
        tip(
            "Look at what arrived",
            "Every header that Lucía's mailbox got, and why it is as it is.",
            "/demo/mailboxes/lucia?view=headers".to_owned(),
            "See the headers",
        ),
        tip(
            "Give yourself away",
            "Write your address into the text, or attach a file, and see what the other side gets.",
            "/demo/mailboxes/tom?compose=new".to_owned(),
            "Write as Tom",
        ),
        tip(
            "Meet the rules",
            "Beatriz wants no unsolicited mail. Write to her as Café Serra Alta: a notice says why it stops and names three ways out. Then put [Importante] into the subject.",
            format!("/demo/mailboxes/serraalta?compose=new&to={alias}"),
            "Write as Café Serra Alta",
        ),
        tip(
            "Read the record",
            "Every message and decision of a pair, each entry chained to the one before.",
            format!("/demo/ledger/{pair}"),
            "Open the ledger",
        ),
    ]
}

#[derive(Template)]
#[template(path = "demo/home.html")]
struct HomePage {
    smtp: String,
    api_docs: String,
    marketplace_name: String,
    domain: String,
    example: Example,
    tips: Vec<Tip>,
    groups: Vec<Group>,
    orders: Vec<OrderRow>,
}

struct Example {
    seller_id: String,
    seller_name: String,
    seller_address: String,
    buyer_id: String,
    buyer_name: String,
    buyer_address: String,
    buyer_alias: String,
    seller_alias: String,
}

struct Group {
    title: String,
    people: Vec<Person>,
}

struct Person {
    id: String,
    name: String,
    role_label: String,
    address: String,
    where_label: String,
    mail_count: String,
    unread: bool,
}

struct OrderRow {
    id: String,
    item: String,
    status: String,
    seller: String,
    buyer: String,
    seller_id: String,
    buyer_id: String,
    buyer_alias: String,
    seller_alias: String,
    pair: String,
}

async fn home(State(demo): State<Shared>) -> Response {
    let Some(started) = demo.started.get() else { return starting() };
    let Some(row) = started.orders.first().map(|l| order_row(&demo, l)) else { return starting() };
    let address = |id: &str| demo.cast.person(id).map(|p| p.address.clone()).unwrap_or_default();
    let example = Example {
        seller_address: address(&row.seller_id),
        buyer_address: address(&row.buyer_id),
        seller_id: row.seller_id,
        seller_name: row.seller,
        buyer_id: row.buyer_id,
        buyer_name: row.buyer,
        buyer_alias: row.buyer_alias,
        seller_alias: row.seller_alias,
    };
    let group = |title: &str, people: Vec<&CastPerson>| Group {
        title: title.to_owned(),
        people: people.into_iter().map(|p| person_row(&demo, p)).collect(),
    };
    page(&HomePage {
        smtp: started.smtp.to_string(),
        api_docs: "/api/v1/docs".to_owned(),
        marketplace_name: "Plaza".to_owned(),
        domain: crate::demo::cast::DOMAIN.to_owned(),
        example,
        tips: tips(&demo),
        groups: vec![
            group("Sellers", demo.cast.sellers().collect()),
            group("Buyers", demo.cast.buyers().collect()),
            group("Others", demo.cast.others().collect()),
        ],
        orders: started.orders.iter().map(|l| order_row(&demo, l)).collect(),
    })
}

fn person_row(demo: &Demo, p: &CastPerson) -> Person {
    let count = demo.mailboxes.count(&p.address);
    Person {
        id: p.id.clone(),
        name: p.name.clone(),
        role_label: p.role_label.to_owned(),
        address: p.address.clone(),
        where_label: p.place.to_owned(),
        mail_count: count.to_string(),
        unread: count > 0,
    }
}

fn order_row(demo: &Demo, line: &OrderLine) -> OrderRow {
    let name = |id: &str| demo.cast.person(id).map(|p| p.name.clone()).unwrap_or_default();
    OrderRow {
        id: line.order.id.clone(),
        item: line.order.item.to_owned(),
        status: line.order.status.to_owned(),
        seller: name(&line.order.seller),
        buyer: name(&line.order.buyer),
        seller_id: line.order.seller.clone(),
        buyer_id: line.order.buyer.clone(),
        buyer_alias: line.buyer_alias.clone(),
        seller_alias: line.seller_alias.clone(),
        pair: line.pair.to_string(),
    }
}

#[derive(Template)]
#[template(path = "demo/mailbox.html")]
struct MailboxPage {
    person: MailboxOwner,
    hidden_note: String,
    mail_count: String,
    mails: Vec<MailRow>,
    has_mail: bool,
    mail: Mail,
    composing: bool,
    form: Form,
    suggestions: Vec<Suggestion>,
    has_result: bool,
    result_ok: bool,
    result_code: String,
    result_text: String,
    result_transcript: String,
}

struct MailboxOwner {
    id: String,
    name: String,
    role_label: String,
    where_label: String,
    address: String,
    note: String,
}

struct MailRow {
    id: String,
    from_name: String,
    from_address: String,
    subject: String,
    when: String,
    selected: bool,
    preview: String,
}

#[derive(Default)]
struct Mail {
    id: String,
    from: String,
    to: String,
    reply_to: String,
    subject: String,
    when: String,
    /// The text in pieces, and whether a piece is a link of the service's own.
    text: Vec<(String, bool)>,
    has_html: bool,
    html_url: String,
    source_url: String,
    ledger_url: String,
    headers: Vec<Header>,
    has_files: bool,
    files: Vec<FileRow>,
    view: String,
    source: String,
}

struct Header {
    name: String,
    value: String,
    note: String,
}

struct FileRow {
    name: String,
    size: String,
}

#[derive(Default, Clone)]
struct Form {
    to: String,
    subject: String,
    text: String,
    in_reply_to: String,
    references: String,
}

struct Suggestion {
    address: String,
    label: String,
}

#[derive(Debug, Default, Deserialize)]
struct MailboxQuery {
    mail: Option<u64>,
    view: Option<String>,
    compose: Option<String>,
    to: Option<String>,
}

async fn mailbox(State(demo): State<Shared>, Path(id): Path<String>, Query(query): Query<MailboxQuery>) -> Response {
    let Some(started) = demo.started.get() else { return starting() };
    let Some(person) = demo.cast.person(&id) else { return not_found() };
    let stored = demo.mailboxes.of(&person.address);
    // A view without a mail is asked for the newest one.
    let wanted = query.mail.or_else(|| query.view.as_ref().and_then(|_| stored.last().map(|m| m.id)));
    let selected = stored.iter().find(|m| Some(m.id) == wanted).map(read);
    let mut form = Form { to: query.to.clone().unwrap_or_default(), ..Form::default() };
    if let (Some("reply"), Some(mail)) = (query.compose.as_deref(), &selected) {
        form = Form {
            to: mail.answer_to(),
            subject: mail.answer_subject(),
            text: format!("\n{}", mail.quoted()),
            in_reply_to: mail.message_id.clone(),
            references: mail.answer_references(),
        };
    }
    let composing = query.compose.is_some();
    page(&mailbox_page(&demo, started, person, &stored, Shown { selected, view: query.view, form, composing, result: None }))
}

/// What of a mailbox is shown.
struct Shown {
    selected: Option<ReadMail>,
    view: Option<String>,
    form: Form,
    composing: bool,
    result: Option<Result<Exchange, String>>,
}

fn mailbox_page(demo: &Demo, started: &Started, person: &CastPerson, stored: &[StoredMail], shown: Shown) -> MailboxPage {
    let selected_id = shown.selected.as_ref().map(|m| m.id);
    let mails = stored.iter().rev().map(read).map(|m| {
        let (from_name, from_address) = m.author();
        MailRow {
            id: m.id.to_string(),
            from_name,
            from_address,
            preview: m.preview(),
            when: m.date.clone(),
            selected: Some(m.id) == selected_id,
            subject: m.subject,
        }
    });
    let (result_ok, result_code, result_text, result_transcript) = match &shown.result {
        None => (false, String::new(), String::new(), String::new()),
        Some(Ok(e)) => (e.is_accepted(), e.code.to_string(), e.text.clone(), e.transcript.clone()),
        Some(Err(error)) => (false, "—".to_owned(), error.clone(), String::new()),
    };
    MailboxPage {
        person: MailboxOwner {
            id: person.id.clone(),
            name: person.name.clone(),
            role_label: person.role_label.to_owned(),
            where_label: person.place.to_owned(),
            address: person.address.clone(),
            note: person.note.to_owned(),
        },
        hidden_note: hidden_note(person),
        mail_count: stored.len().to_string(),
        mails: mails.collect(),
        has_mail: shown.selected.is_some(),
        mail: shown.selected.map(|m| mail_view(started, person, m, shown.view)).unwrap_or_default(),
        composing: shown.composing,
        form: shown.form,
        suggestions: suggestions(demo, started, person),
        has_result: shown.result.is_some(),
        result_ok,
        result_code,
        result_text,
        result_transcript,
    }
}

fn hidden_note(person: &CastPerson) -> String {
    match (person.is_seller, person.is_buyer) {
        (true, _) => "Never seen here: a buyer's address, device, place or mail server.",
        (_, true) => "Never seen here: a seller's own address, device, place or mail server.",
        _ => "",
    }
    .to_owned()
}

fn mail_view(started: &Started, person: &CastPerson, m: ReadMail, view: Option<String>) -> Mail {
    let (_, from_address) = m.author();
    let line = started.orders.iter().find(|l| l.buyer_alias == from_address || l.seller_alias == from_address);
    let has_html = m.html.is_some();
    let default = if has_html { "rendered" } else { "text" };
    let view = view
        .filter(|v| ["text", "headers", "source"].contains(&v.as_str()) || (v == "rendered" && has_html))
        .unwrap_or_else(|| default.to_owned());
    let base = format!("/demo/mailboxes/{}/mails/{}", person.id, m.id);
    Mail {
        id: m.id.to_string(),
        from: m.from,
        to: m.to,
        reply_to: m.reply_to,
        subject: m.subject,
        when: m.date,
        text: in_pieces(&m.text),
        has_html,
        html_url: format!("{base}/html"),
        source_url: format!("{base}/source"),
        ledger_url: line.map(|l| format!("/demo/ledger/{}", l.pair)).unwrap_or_default(),
        headers: m.headers.into_iter().map(|(name, value)| Header { note: header_note(&name, &value).to_owned(), name, value }).collect(),
        has_files: !m.files.is_empty(),
        files: m.files.into_iter().map(|(name, octets)| FileRow { name, size: format!("{octets} B") }).collect(),
        view,
        source: m.source,
    }
}

/// Addresses that this person would write to.
fn suggestions(demo: &Demo, started: &Started, person: &CastPerson) -> Vec<Suggestion> {
    let name = |id: &str| demo.cast.person(id).map(|p| p.name.clone()).unwrap_or_default();
    let mut all: Vec<Suggestion> = started
        .orders
        .iter()
        .filter_map(|l| {
            let (address, other) = if l.order.seller == person.id {
                (&l.buyer_alias, name(&l.order.buyer))
            } else if l.order.buyer == person.id || !(person.is_seller || person.is_buyer) {
                (&l.seller_alias, name(&l.order.seller))
            } else {
                return None;
            };
            Some(Suggestion { address: address.clone(), label: format!("{other}, order {}", l.order.id) })
        })
        .collect();
    all.push(Suggestion { address: format!("postmaster@{}", crate::demo::cast::DOMAIN), label: "the marketplace itself".to_owned() });
    all
}

async fn count(State(demo): State<Shared>, Path(id): Path<String>) -> Response {
    match demo.cast.person(&id) {
        Some(person) => demo.mailboxes.count(&person.address).to_string().into_response(),
        None => not_found(),
    }
}

/// Sends what the form holds through the real listener, as the person's mail server would.
async fn send(State(demo): State<Shared>, Path(id): Path<String>, multipart: Multipart) -> Response {
    let Some(started) = demo.started.get() else { return starting() };
    let Some(person) = demo.cast.person(&id) else { return not_found() };
    let Ok((form, html, attachment)) = read_form(multipart).await else {
        return (StatusCode::BAD_REQUEST, "the form could not be read; an attachment has at most 1 MB here\n").into_response();
    };
    let mut mail = ClientMail::new(person, form.to.trim(), &form.subject, &form.text, demo.clock.now());
    mail.html = html;
    mail.attachment = attachment;
    mail.in_reply_to = form.in_reply_to.clone();
    mail.references = form.references.clone();
    let result = match mail::Mailbox::parse(form.to.trim()) {
        Ok(to) => {
            let sent = send_mail(started.smtp, &person.helo(), &person.address, &[&to.to_wire()], &mail.octets()).await;
            sent.map_err(|e| format!("the SMTP session broke: {e}"))
        }
        Err(error) => Err(format!("To: {error}")),
    };
    let accepted = result.as_ref().is_ok_and(Exchange::is_accepted);
    let form = if accepted { Form::default() } else { form };
    let stored = demo.mailboxes.of(&person.address);
    page(&mailbox_page(
        &demo,
        started,
        person,
        &stored,
        Shown { selected: None, view: None, form, composing: !accepted, result: Some(result) },
    ))
}

type SentForm = (Form, bool, Option<(String, Vec<u8>)>);

async fn read_form(mut multipart: Multipart) -> Result<SentForm, axum::extract::multipart::MultipartError> {
    let (mut form, mut html, mut attachment) = (Form::default(), false, None);
    while let Some(field) = multipart.next_field().await? {
        match field.name().unwrap_or_default() {
            "to" => form.to = field.text().await?,
            "subject" => form.subject = field.text().await?,
            "text" => form.text = field.text().await?,
            "in_reply_to" => form.in_reply_to = field.text().await?,
            "references" => form.references = field.text().await?,
            "html" => html = field.text().await? == "1",
            "attachment" => {
                let name = field.file_name().unwrap_or_default().to_owned();
                let octets = field.bytes().await?;
                attachment = (!name.is_empty()).then(|| (name, octets.to_vec()));
            }
            _ => {}
        }
    }
    Ok((form, html, attachment))
}

async fn mail_html(State(demo): State<Shared>, Path((id, mail)): Path<(String, u64)>) -> Response {
    match find_mail(&demo, &id, mail).and_then(|m| read(&m).html) {
        Some(html) => {
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, MAIL_CSP)], html).into_response()
        }
        None => not_found(),
    }
}

async fn mail_source(State(demo): State<Shared>, Path((id, mail)): Path<(String, u64)>) -> Response {
    match find_mail(&demo, &id, mail) {
        Some(found) => {
            let headers = [
                (header::CONTENT_TYPE, "message/rfc822".to_owned()),
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"mail-{mail}.eml\"")),
            ];
            (headers, found.octets).into_response()
        }
        None => not_found(),
    }
}

fn find_mail(demo: &Demo, id: &str, mail: u64) -> Option<StoredMail> {
    let person = demo.cast.person(id)?;
    demo.mailboxes.of(&person.address).into_iter().find(|m| m.id == mail)
}

#[derive(Template)]
#[template(path = "demo/ledger.html")]
struct LedgerPage {
    pair_title: String,
    entries: Vec<LedgerRow>,
}

struct LedgerRow {
    number: String,
    kind: String,
    when: String,
    entry: String,
    leaf: String,
    link: String,
}

async fn ledger(State(demo): State<Shared>, Path(pair): Path<String>) -> Response {
    let Some(started) = demo.started.get() else { return starting() };
    let Some(line) = started.orders.iter().find(|l| l.pair.to_string() == pair) else { return not_found() };
    let Ok(entries) = operations::list_ledger(&started.ctx, line.pair, 1, 500).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response();
    };
    let row = order_row(&demo, line);
    let hex = |octets: &[u8]| octets.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let entries = entries.into_iter().map(|e| LedgerRow {
        number: e.number.to_string(),
        kind: e.kind,
        when: jiff::Timestamp::from_microsecond(e.at.0).map(|t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default(),
        entry: serde_json::from_str::<serde_json::Value>(&e.entry).and_then(|v| serde_json::to_string_pretty(&v)).unwrap_or(e.entry),
        leaf: hex(&e.leaf),
        link: hex(&e.link),
    });
    page(&LedgerPage { pair_title: format!("{} and {}", row.seller, row.buyer), entries: entries.collect() })
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(header::CONTENT_SECURITY_POLICY, CSP), (HeaderName::from_static("referrer-policy"), "no-referrer")], Html(html))
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn starting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "the demo is starting; reload in a second\n").into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page; begin at /demo\n").into_response()
}

/// A text in pieces, the links of the service's own apart, so that they can be opened as a mail program opens them.
fn in_pieces(text: &str) -> Vec<(String, bool)> {
    let is_link = |word: &str| (word.starts_with("http://") || word.starts_with("https://")) && word.contains("/l/tpl1k");
    let mut pieces: Vec<(String, bool)> = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        match pieces.last_mut() {
            Some((before, false)) if !is_link(word) => before.push_str(word),
            _ if is_link(word) => {
                let link = word.trim_end();
                pieces.push((link.to_owned(), true));
                pieces.push((word[link.len()..].to_owned(), false));
            }
            _ => pieces.push((word.to_owned(), false)),
        }
    }
    pieces
}
