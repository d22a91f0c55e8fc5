//! What a page says: asking, after its button, and where there is nothing to ask.
//!
//! A page names no more than the mail did that its link stands in: the other side as its reader knows it, and the
//! order. It shows no address and no text of a message.

use askama::Template;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use operations::{Context, LINK_DAYS, LinkAction, LinkFault, LinkPage, open_link};

/// Value of [`Question::save`] on most forms.
pub(crate) const SAVE: &str = "1";
/// Its value on the form that stops unsolicited mail: pressed twice, it must not read as a form with nothing ticked.
pub(crate) const STOP: &str = "stop";

#[derive(Template, Default)]
#[template(path = "page.html")]
pub(crate) struct Page {
    lang: String,
    /// Whose page it is; empty where several could be meant.
    site: String,
    title: String,
    /// Which message it is about.
    about: Option<String>,
    /// What was done, or what is wrong.
    said: Option<String>,
    fault: bool,
    lines: Vec<String>,
    form: Option<Question>,
    /// Words of the link to what the page asks now.
    back: Option<String>,
    footer: String,
}

/// The form of a page.
struct Question {
    /// By this value of the field `save` our own form is known.
    save: &'static str,
    /// `radio` or `checkbox`.
    kind: &'static str,
    choices: Vec<Choice>,
    below: Vec<String>,
    button: String,
}

impl Question {
    /// A button alone.
    fn button(button: String) -> Self {
        Self { save: SAVE, kind: "hidden", choices: Vec::new(), below: Vec::new(), button }
    }
}

struct Choice {
    name: &'static str,
    value: String,
    label: String,
    hint: Option<String>,
    checked: bool,
}

/// What a button did.
pub(crate) enum Done {
    /// What these words say.
    Said(String),
    /// Choices were kept; they are read anew.
    Saved,
    /// Unsolicited mail is stopped.
    Stopped,
}

/// What the page asks.
pub(crate) fn ask(ctx: &Context, link: &LinkPage) -> Page {
    let written = [("date", link.written.as_str())];
    let text = |key: &str| link.text(ctx, key, &written);
    let page = |title: &str, lines: Vec<String>, form: Option<Question>| Page {
        lang: link.language.clone(),
        site: link.marketplace.clone(),
        title: text(title),
        about: about(ctx, link),
        lines,
        form,
        footer: text("page_footer"),
        ..Page::default()
    };
    let title = match link.action {
        LinkAction::NoResponse => "page_no_response_title",
        LinkAction::SellerReport | LinkAction::BuyerReport => "page_report_title",
        LinkAction::SellerPreferences => "page_preferences_title",
        LinkAction::BuyerPreferences => "page_opt_out_title",
        LinkAction::Unsubscribe if link.opted_out => "page_opt_out_title",
        LinkAction::Unsubscribe => "page_stop_title",
        LinkAction::Resend => "page_resend_title",
    };
    if let Some(said) = already(ctx, link) {
        return page(title, vec![said, text("page_end")], None);
    }
    match link.action {
        LinkAction::NoResponse => page(title, vec![text("page_no_response_ask")], Some(Question::button(text("page_no_response_button")))),
        LinkAction::SellerReport | LinkAction::BuyerReport => {
            let choices = link.report_reasons.iter().map(|(id, name)| radio(id, name)).collect();
            let form = Question { kind: "radio", choices, ..Question::button(text("page_report_button")) };
            page(title, vec![text("page_report_ask")], Some(form))
        }
        LinkAction::SellerPreferences => {
            let choice = checkbox("blocked_by_buyer", text("page_preferences_blocked"), text("page_preferences_hint"), link.notify_blocked);
            let form = Question { kind: "checkbox", choices: vec![choice], ..Question::button(text("page_save_button")) };
            page(title, Vec::new(), Some(form))
        }
        LinkAction::Unsubscribe if !link.opted_out => {
            let lines = vec![text("page_opt_out_stops"), text("page_opt_out_does_not_stop")];
            page(title, lines, Some(Question { save: STOP, ..Question::button(text("page_stop_button")) }))
        }
        LinkAction::BuyerPreferences | LinkAction::Unsubscribe => {
            let mut choices = vec![checkbox("opted_out", text("page_opt_out_choice"), text("page_opt_out_stops"), link.opted_out)];
            if !link.is_retired {
                let label = link.text(ctx, "page_close_choice", &[("business", link.business.as_str())]);
                choices.push(checkbox("closed", label, text("page_close_hint"), link.is_closed));
            }
            let below = vec![text("page_opt_out_does_not_stop")];
            page(title, Vec::new(), Some(Question { kind: "checkbox", choices, below, ..Question::button(text("page_save_button")) }))
        }
        LinkAction::Resend => {
            let (lines, form) = resend(link, &text);
            page(title, lines, form)
        }
    }
}

/// With whom and for which order the message is. What holds for every message names none.
fn about(ctx: &Context, link: &LinkPage) -> Option<String> {
    if matches!(link.action, LinkAction::SellerPreferences | LinkAction::BuyerPreferences | LinkAction::Unsubscribe) {
        return None;
    }
    let with = (!link.other.is_empty()).then(|| link.text(ctx, "page_conversation", &[("name", link.other.as_str())]));
    let order = link.order.as_deref().map(|order| link.text(ctx, "banner_order", &[("order", order)]));
    let parts: Vec<String> = with.into_iter().chain(order).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// That the message has the mark already, and since when.
pub(crate) fn already(ctx: &Context, link: &LinkPage) -> Option<String> {
    let key = if link.action == LinkAction::NoResponse { "page_no_response_already" } else { "page_report_already" };
    let marked = link.marked.as_deref()?;
    Some(link.text(ctx, key, &[("date", link.written.as_str()), ("marked", marked)]))
}

fn resend(link: &LinkPage, text: &dyn Fn(&str) -> String) -> (Vec<String>, Option<Question>) {
    let Some(options) = &link.resend else { return (vec![text("page_resend_none")], None) };
    if options.is_done {
        return (vec![text("page_resend_already"), text("page_end")], None);
    }
    let form = |choices| Some(Question { kind: "radio", choices, ..Question::button(text("page_resend_button")) });
    let files = options.has_refused_files.then(|| text("page_resend_files"));
    if options.passes_plain {
        return (files.into_iter().collect(), form(Vec::new()));
    }
    if link.resend_reasons.is_empty() {
        return (vec![text("page_resend_none")], None);
    }
    let choices = link.resend_reasons.iter().map(|(id, name)| radio(id, name)).collect();
    (files.into_iter().chain([text("page_resend_ask")]).collect(), form(choices))
}

fn radio(id: &str, name: &str) -> Choice {
    Choice { name: "reason", value: id.to_owned(), label: name.to_owned(), hint: None, checked: false }
}

fn checkbox(name: &'static str, label: String, hint: String, checked: bool) -> Choice {
    Choice { name, value: "on".to_owned(), label, hint: Some(hint), checked }
}

/// The page after its button: choices stand as they are now, everything else is over.
pub(crate) async fn after(ctx: &Context, secret: &str, link: &LinkPage, done: Done) -> Page {
    let end = link.text(ctx, "page_end", &[]);
    match done {
        Done::Said(said) => Page { said: Some(said), lines: vec![end], form: None, ..ask(ctx, link) },
        Done::Stopped => Page {
            title: link.text(ctx, "notice_opted_out_subject", &[]),
            said: Some(link.text(ctx, "page_stop_done", &[])),
            lines: vec![link.text(ctx, "page_opt_out_does_not_stop", &[]), end],
            form: None,
            back: Some(link.text(ctx, "page_stop_back", &[])),
            ..ask(ctx, link)
        },
        Done::Saved => match open_link(ctx, secret).await {
            Ok(Ok(now)) => {
                let said = [vec![link.text(ctx, "page_saved", &[])], what_holds(ctx, &now), vec![end]].concat();
                Page { said: Some(said.join("\n")), ..ask(ctx, &now) }
            }
            _ => Page { said: Some(link.text(ctx, "page_saved", &[])), lines: vec![end], form: None, ..ask(ctx, link) },
        },
    }
}

/// The choices in words, as they stand.
fn what_holds(ctx: &Context, link: &LinkPage) -> Vec<String> {
    let text = |key: &str| link.text(ctx, key, &[("business", link.business.as_str())]);
    if link.action == LinkAction::SellerPreferences {
        return vec![text(if link.notify_blocked { "page_now_notified" } else { "page_now_not_notified" })];
    }
    let seller = if link.is_closed { "page_now_closed" } else { "page_now_open" };
    let all = if link.opted_out { "page_now_opted_out" } else { "page_now_opted_in" };
    [Some(all), (!link.is_retired).then_some(seller)].into_iter().flatten().map(text).collect()
}

/// A page that says that nothing was done, and why.
pub(crate) fn fault(ctx: &Context, link: &LinkPage, said: String) -> Page {
    Page { said: Some(said), fault: true, ..ask(ctx, link) }
}

/// A link that was altered, cut off or is over; told in the browser's language, because it names nobody.
pub(crate) fn not_valid(ctx: &Context, fault: LinkFault, headers: &HeaderMap) -> Response {
    let locale = locale_of_browser(ctx, headers);
    let days = LINK_DAYS.to_string();
    let (status, title, line) = match fault {
        LinkFault::Invalid => (StatusCode::NOT_FOUND, "page_link_invalid_title", "page_link_invalid"),
        LinkFault::Expired => (StatusCode::GONE, "page_link_expired_title", "page_link_expired"),
    };
    let lines = vec![ctx.text(&locale, line, &[("days", &days)])];
    answer(status, Page { title: ctx.text(&locale, title, &[]), lines, site: only_site(ctx), lang: locale, ..Page::default() })
}

/// The store does not answer; which link it is cannot be known.
pub(crate) fn unavailable(ctx: &Context, headers: &HeaderMap, error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "the store failed a page");
    let locale = locale_of_browser(ctx, headers);
    let title = ctx.text(&locale, "page_busy", &[]);
    answer(StatusCode::SERVICE_UNAVAILABLE, Page { title, site: only_site(ctx), lang: locale, ..Page::default() })
}

/// Where somebody arrives who shortened the address of a link.
pub(crate) fn front(ctx: &Context, headers: &HeaderMap) -> Response {
    let locale = locale_of_browser(ctx, headers);
    let names: Vec<&str> = ctx.settings.marketplaces.iter().map(|m| m.name.as_str()).collect();
    let names = names.join(", ");
    let lines = vec![ctx.text(&locale, "page_front", &[("marketplace", &names)])];
    answer(StatusCode::OK, Page { title: names, lines, lang: locale, ..Page::default() })
}

/// The name of the marketplace where there is one: a link that cannot be read may be of any.
fn only_site(ctx: &Context) -> String {
    match ctx.settings.marketplaces.as_slice() {
        [only] => only.name.clone(),
        _ => String::new(),
    }
}

/// The first language of the browser that we have, else the first site's.
fn locale_of_browser(ctx: &Context, headers: &HeaderMap) -> String {
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let texts = &ctx.settings.texts;
    let known = |tag: &str| domain::texts::is_same_language(texts.language_of(tag), tag);
    let tags = wanted.split(',').take(10).filter_map(|part| part.split(';').next()).map(str::trim).filter(|t| !t.is_empty());
    let of_site = || ctx.settings.marketplaces.first().map_or_else(|| "en".to_owned(), |m| m.locale.clone());
    let mut found = tags.filter(|tag| known(tag));
    found.next().map_or_else(of_site, |tag| texts.language_of(tag).to_owned())
}

pub(crate) fn answer(status: StatusCode, page: Page) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
