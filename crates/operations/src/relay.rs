//! The other side's message: composed anew from what was understood.
//!
//! Nothing of the header that came in is copied. Content is decoded, masked and set between a banner and a
//! footer in the reader's language.

use std::collections::HashMap;

use domain::message::Message;
use domain::{Conversation, MessageId as Id, Order, Role, Timestamp};
use mail::compose::{File, FileContent, Outgoing, compose};
use mail::mime::{Content, PartKind};
use mail::scrub::{Counts, Identity, Scrubber};
use mail::{Mailbox, MessageId, html};
use store::PairFacts;

use crate::context::{Context, Marketplace};
use crate::dates;
use crate::files::Files;
use crate::links::{LinkAction, mint};
use crate::scrubber::scrubber;

/// Longest file name that is passed on, in octets; in a header each may take three.
const MAX_FILE_NAME: usize = 80;
/// Longest subject that is passed on, in characters; real ones end far below.
const MAX_SUBJECT: usize = 400;

/// Everything a relayed message is made of.
pub(crate) struct Relay<'a> {
    /// The message, which the links in the footer name.
    pub(crate) id: Id,
    pub(crate) marketplace: &'a Marketplace,
    pub(crate) facts: &'a PairFacts,
    pub(crate) conversation: &'a Conversation,
    pub(crate) order: Option<&'a Order>,
    /// Who reads it.
    pub(crate) to: Role,
    pub(crate) content: &'a Content,
    pub(crate) files: &'a Files,
    /// Contact reason, which may let more pass.
    pub(crate) reason: &'a str,
    /// Display name and address with which the writer's mail came, as far as it did.
    pub(crate) writer: (&'a str, Option<&'a Mailbox>),
    /// The carrier that wrote, in the seller's matter.
    pub(crate) carrier: Option<&'a str>,
    /// Ids that the writer's In-Reply-To and References name, newest last.
    pub(crate) references: &'a [Message],
    /// Whether a machine wrote it.
    pub(crate) automatic: bool,
    /// Whether its reader did not ask for it, so that it carries a way to end such mail (H6).
    pub(crate) unsolicited: bool,
    pub(crate) now: Timestamp,
    pub(crate) hops: u32,
}

/// A composed message and what stands in the record beside it.
pub(crate) struct Relayed {
    pub(crate) recipient: Mailbox,
    pub(crate) outgoing_id: MessageId,
    /// Signed message.
    pub(crate) content: Vec<u8>,
    /// Subject and text as the reader got them, for API and pages.
    pub(crate) view: String,
    /// How much was masked.
    pub(crate) masked: Counts,
}

/// Composes and signs.
pub(crate) fn relay(ctx: &Context, r: &Relay<'_>) -> Relayed {
    let (recipient, own) = match r.to {
        Role::Buyer => (r.facts.buyer.email.clone(), r.facts.buyer.locale.as_str()),
        Role::Seller => (r.facts.seller.customer_service_email.clone(), r.facts.seller.locale.as_str()),
    };
    let locale = r.marketplace.locale_of(&ctx.settings.texts, own);
    let writer = Identity::new(r.writer.0, &display_name(r), r.writer.1);
    let scrubber = scrubber(ctx, (r.marketplace, r.facts), (&r.marketplace.rules, r.reason), writer, locale);
    // Scrubbed before it is cut: a cut in front of the at sign would leave the local-part.
    let (whole_subject, mut masked) = scrubber.line(&r.content.subject);
    let subject = subject(r, &whole_subject);
    let (body, masked_text) = scrubber.text(&r.content.text);
    let body = body.trim_end();
    let pictures = new_ids(ctx, r);
    let body_html = r.content.html.as_ref().map(|h| html::scrub(h, &scrubber, &pictures));
    let (files, masked_files) = passed_files(ctx, r.files, locale, &scrubber, &pictures);
    // What stands in both forms of a text was one thing.
    let masked_html = body_html.as_ref().map_or_else(Counts::default, |(_, counts)| *counts);
    masked += masked_text.max(masked_html);
    masked += masked_files;
    let banner = banner(ctx, r, locale);
    let removed = removed_lines(ctx, r.files, locale);
    let empty = (body.trim().is_empty() && files.is_empty()).then(|| ctx.text(locale, "empty_message", &[]));
    let footer = Footer::of(ctx, r, locale);
    let said: Vec<&str> = [Some(body), empty.as_deref()]
        .into_iter()
        .flatten()
        .filter(|t| !t.trim().is_empty())
        .chain(removed.iter().map(String::as_str))
        .collect();
    let outgoing = Outgoing {
        from: (display_name(r), alias(r, None)),
        to: recipient.clone(),
        reply_to: Some(alias(r, Some(r.conversation.tag.as_str()))),
        subject: subject.clone(),
        date: dates::rfc5322(r.now),
        message_id: fresh_id(ctx, r.marketplace),
        in_reply_to: mapped(r).last().cloned(),
        references: mapped(r),
        // RFC 3834, section 5: what a machine wrote stays known as that.
        auto_submitted: r.automatic.then_some("auto-replied"),
        hostname: ctx.settings.hostname.clone(),
        hops: r.hops,
        text: format!("{banner}\n\n{}\n\n-- \n{}\n", said.join("\n\n"), footer.text()),
        html: body_html.map(|(h, _)| html_body(&banner, &h, empty.iter().chain(&removed), &footer.html())),
        files,
        report: None,
        unsubscribe: r.unsolicited.then(|| mint(ctx, LinkAction::Unsubscribe, r.id)).flatten(),
        boundary_seed: seed(ctx),
        language: ctx.settings.texts.language_of(locale).to_owned(),
    };
    let view = format!("{subject}\n\n{}", said.join("\n\n"));
    let content = r.marketplace.signed(compose(&outgoing), r.now);
    Relayed { recipient, outgoing_id: outgoing.message_id, content, view, masked }
}

/// The writer's alias, which is what the reader knows (A1); with the tag for Reply-To (A3).
fn alias(r: &Relay<'_>, tag: Option<&str>) -> Mailbox {
    let name = r.facts.pair.alias_of(r.to.other()).as_str();
    let local_part = tag.map_or_else(|| name.to_owned(), |tag| format!("{name}+{tag}"));
    Mailbox::new(local_part, r.marketplace.domain.clone()).expect("aliases and tags are local-parts")
}

/// From the party record, never from the mail (privacy H06).
fn display_name(r: &Relay<'_>) -> String {
    match (r.to, r.carrier) {
        (Role::Buyer, Some(carrier)) => format!("{carrier} · {}", r.facts.seller.business_name),
        (Role::Buyer, None) => r.facts.seller.business_name.clone(),
        (Role::Seller, _) => r.facts.buyer.first_name.clone(),
    }
}

fn banner(ctx: &Context, r: &Relay<'_>, locale: &str) -> String {
    let marketplace = ("marketplace", r.marketplace.name.as_str());
    let name = display_name(r);
    let mut banner = match r.to {
        Role::Buyer if r.carrier.is_some() => {
            let fields = [("carrier", r.carrier.unwrap_or_default()), ("business", &r.facts.seller.business_name), marketplace];
            ctx.text(locale, "banner_carrier", &fields)
        }
        Role::Buyer => ctx.text(locale, "banner_to_buyer", &[("business", &name), marketplace]),
        Role::Seller => ctx.text(locale, "banner_to_seller", &[("buyer", &name), marketplace]),
    };
    if r.automatic && r.carrier.is_none() {
        banner.push('\n');
        banner.push_str(&ctx.text(locale, "banner_automatic", &[("name", &name)]));
    }
    if let Some(order) = r.order {
        banner.push('\n');
        banner.push_str(&ctx.text(locale, "banner_order", &[("order", &order.shop_id)]));
    }
    banner
}

/// The writer's subject; to the seller with the order id once, behind reply prefixes so that clients still
/// see one thread; to the buyer without it.
fn subject(r: &Relay<'_>, masked: &str) -> String {
    let mut subject: String = masked.chars().take(MAX_SUBJECT).collect();
    for order in &r.facts.orders {
        subject = subject.replace(&format!("[{}]", order.shop_id), " ");
    }
    let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    match (r.to, r.order) {
        (Role::Seller, Some(order)) => {
            let (prefix, rest) = split_reply_prefix(&subject);
            format!("{prefix}[{}] {rest}", order.shop_id).trim_end().to_owned()
        }
        _ => subject,
    }
}

/// Leading `Re:`, `AW:`, `Fwd:` and the like in any language: up to four letters and a colon, repeated.
fn split_reply_prefix(subject: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some((word, rest)) = subject[at..].split_once(':') {
        if word.is_empty() || word.chars().count() > 4 || !word.chars().all(char::is_alphabetic) || !rest.starts_with(' ') {
            break;
        }
        at += word.len() + 2;
    }
    subject.split_at(at)
}

/// References as this reader knows them: what it wrote itself by its own ids, what it was sent by ours (privacy H22).
fn mapped(r: &Relay<'_>) -> Vec<MessageId> {
    let wrote = domain::message::Author::Party(r.to);
    r.references.iter().filter_map(|m| if m.author == wrote { m.original_id.clone() } else { m.outgoing_id.clone() }).collect()
}

/// A new Content-ID for each picture that stands in the HTML: the writer's would name a host, and tie pairs together
/// (privacy M14, P13).
fn new_ids(ctx: &Context, r: &Relay<'_>) -> HashMap<String, String> {
    let ids = r.files.passed.iter().filter_map(|f| f.content_id.clone());
    ids.map(|old| (old, fresh_id(ctx, r.marketplace).as_str().to_owned())).collect()
}

fn passed_files(
    ctx: &Context,
    files: &Files,
    locale: &str,
    scrubber: &Scrubber,
    pictures: &HashMap<String, String>,
) -> (Vec<File>, Counts) {
    let mut masked = Counts::default();
    let mut out = Vec::with_capacity(files.passed.len());
    for file in &files.passed {
        // Without traps first: what they stand between could be an address.
        let name = without_traps(&file.name);
        // The extension says what it is; everything before it is the writer's.
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) if extension.len() <= 5 && extension.bytes().all(|b| b.is_ascii_alphanumeric()) => (stem, extension),
            _ => (name.as_str(), ""),
        };
        let (stem, in_name) = scrubber.file_name(stem);
        masked += in_name;
        let content = match &file.content {
            FileContent::Text(text) => {
                let (text, in_text) = scrubber.text(text);
                masked += in_text;
                FileContent::Text(text)
            }
            rebuilt @ FileContent::Octets(..) => rebuilt.clone(),
        };
        let name = if extension.is_empty() { stem } else { format!("{stem}.{extension}") };
        let content_id = file.content_id.as_ref().and_then(|old| pictures.get(old).cloned());
        out.push(File { name: short_name(&name, &ctx.text(locale, "file_name", &[])), content, content_id });
    }
    (out, masked)
}

/// A file name without folders and without anything a header or a shell could trip over.
fn without_traps(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    base.chars().filter(|c| !c.is_control() && !"<>:\"|?*;".contains(*c)).collect()
}

/// A file name of a length that every system takes.
fn short_name(name: &str, otherwise: &str) -> String {
    let mut clean: String = name.chars().take(MAX_FILE_NAME).collect();
    while clean.len() > MAX_FILE_NAME {
        clean.pop();
    }
    let clean = clean.trim_matches(['.', ' ']);
    if clean.is_empty() { otherwise.to_owned() } else { clean.to_owned() }
}

fn removed_lines(ctx: &Context, files: &Files, locale: &str) -> Vec<String> {
    let key = |kind: &PartKind| match kind {
        PartKind::File => None,
        PartKind::Picture => Some("part_picture"),
        PartKind::Message => Some("part_message"),
        PartKind::Signature => Some("part_signature"),
        PartKind::Card => Some("part_card"),
        PartKind::Other => Some("part_other"),
    };
    let mut keys: Vec<&str> = files.removed.iter().filter_map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|key| ctx.text(locale, key, &[])).collect()
}

/// What stands below every message: the reader's own links, who passes it on, the reference line last (C3).
struct Footer {
    sentence: String,
    /// Words and address of each link.
    links: Vec<(String, String)>,
    reference: String,
}

impl Footer {
    fn of(ctx: &Context, r: &Relay<'_>, locale: &str) -> Self {
        let actions: &[(&str, LinkAction)] = match r.to {
            Role::Seller => &[("link_no_response", LinkAction::NoResponse), ("link_report", LinkAction::SellerReport)],
            Role::Buyer => &[("link_flag", LinkAction::BuyerReport), ("link_preferences_buyer", LinkAction::BuyerPreferences)],
        };
        let link = |(key, action): &(&str, LinkAction)| Some((ctx.text(locale, key, &[("link", "")]), mint(ctx, *action, r.id)?));
        Self {
            sentence: ctx.text(locale, "footer", &[("marketplace", &r.marketplace.name)]),
            links: actions.iter().filter_map(link).collect(),
            reference: r.conversation.tag.reference(),
        }
    }

    fn text(&self) -> String {
        let links: String = self.links.iter().map(|(words, address)| format!("{}{address}\n", with_space(words))).collect();
        format!("{links}{}\n{}", self.sentence, self.reference)
    }

    fn html(&self) -> String {
        let link = |(words, address): &(String, String)| {
            let words = words.trim_end_matches([':', '：', ' ']);
            format!("<a href=\"{}\">{}</a><br>\n", html::escape(address), html::escape(words))
        };
        let links: String = self.links.iter().map(link).collect();
        format!("<p>{links}{}<br>\n{}</p>", html::escape(&self.sentence), html::escape(&self.reference))
    }
}

fn with_space(words: &str) -> String {
    format!("{} ", words.trim_end())
}

fn html_body<'a>(banner: &str, body: &str, lines: impl Iterator<Item = &'a String>, footer: &str) -> String {
    let paragraph = |text: &str| format!("<p>{}</p>", html::escape(text).replace('\n', "<br>\n"));
    let lines: String = lines.map(|line| format!("{}\n", paragraph(line))).collect();
    format!("{}\n<hr>\n<div dir=\"auto\">{body}</div>\n{lines}<hr>\n{footer}", paragraph(banner))
}

pub(crate) fn fresh_id(ctx: &Context, marketplace: &Marketplace) -> MessageId {
    let hex: String = seed(ctx).iter().map(|b| format!("{b:02x}")).collect();
    MessageId::new(&format!("{hex}@{}", marketplace.domain.as_str())).expect("hex and a domain are an id")
}

pub(crate) fn seed(ctx: &Context) -> [u8; 16] {
    let mut seed = [0; 16];
    ctx.random.fill(&mut seed);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_prefixes_stay_in_front() {
        assert_eq!(split_reply_prefix("Re: AW: Hello: you"), ("Re: AW: ", "Hello: you"));
        assert_eq!(split_reply_prefix("Invoice: missing"), ("", "Invoice: missing"));
        assert_eq!(split_reply_prefix("Re:"), ("", "Re:"));
    }

    #[test]
    fn file_names_lose_folders_and_traps() {
        let safe = |name: &str| short_name(&without_traps(name), "archivo.txt");
        assert_eq!(safe("..\\..\\C:\\Users\\ana\\no;ta.txt"), "nota.txt");
        assert_eq!(safe("/"), "archivo.txt");
        assert_eq!(safe("ana<@>x.example.pdf"), "ana@x.example.pdf", "whole again before it is scrubbed");
    }
}
