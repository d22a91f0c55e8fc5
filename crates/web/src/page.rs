//! One page behind one link: what it says, what its button does.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::Role;
use operations::{
    AliasChange, Context, LINK_DAYS, LinkAction, LinkFault, LinkPage, MarkInput, OperationError, SellerChoice, SendError, change_alias,
    choose, mark_message, open_link, resend, set_opt_out,
};

/// What a form sent.
type Fields = HashMap<String, String>;

#[derive(Template, Default)]
#[template(path = "page.html")]
struct Page {
    lang: String,
    title: String,
    /// What was done, or what is wrong.
    said: Option<String>,
    fault: bool,
    lines: Vec<String>,
    form: Option<Question>,
    footer: String,
}

/// The form of a page.
struct Question {
    /// `radio` or `checkbox`.
    kind: &'static str,
    choices: Vec<Choice>,
    below: Vec<String>,
    button: String,
}

struct Choice {
    name: &'static str,
    value: String,
    label: String,
    hint: Option<String>,
    checked: bool,
}

/// Opens a link; changes nothing.
pub(crate) async fn show(State(ctx): State<Arc<Context>>, Path(secret): Path<String>, headers: HeaderMap) -> Response {
    match open_link(&ctx, &secret).await {
        Ok(Ok(link)) => answer(StatusCode::OK, ask(&ctx, &link)),
        Ok(Err(fault)) => not_valid(&ctx, fault, &headers),
        Err(error) => unavailable(&ctx, &headers, &error),
    }
}

/// Presses its button.
pub(crate) async fn act(
    State(ctx): State<Arc<Context>>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let link = match open_link(&ctx, &secret).await {
        Ok(Ok(link)) => link,
        Ok(Err(fault)) => return not_valid(&ctx, fault, &headers),
        Err(error) => return unavailable(&ctx, &headers, &error),
    };
    // A form that cannot be read is not an empty one: nothing ticked would be a choice.
    let Ok(Form(fields)) = form else {
        let said = Some(link.text(&ctx, "page_busy", &[]));
        return answer(StatusCode::BAD_REQUEST, Page { said, fault: true, ..ask(&ctx, &link) });
    };
    match carry_out(&ctx, &link, &fields).await {
        Ok(said) => answer(StatusCode::OK, done(&ctx, &secret, &link, said).await),
        Err(Trouble::Said(said)) => answer(StatusCode::UNPROCESSABLE_ENTITY, Page { said: Some(said), fault: true, ..ask(&ctx, &link) }),
        Err(Trouble::Broken) => {
            let said = Some(link.text(&ctx, "page_busy", &[]));
            answer(StatusCode::SERVICE_UNAVAILABLE, Page { said, fault: true, ..ask(&ctx, &link) })
        }
    }
}

/// Why a button did nothing.
enum Trouble {
    /// The person can mend it.
    Said(String),
    /// Not the person's fault.
    Broken,
}

impl From<OperationError> for Trouble {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Store(error) => {
                tracing::error!(%error, "the store failed a page");
                Self::Broken
            }
            // Their words are for programs.
            _ => Self::Broken,
        }
    }
}

/// Does what the link is for; gives what to say.
async fn carry_out(ctx: &Context, link: &LinkPage, fields: &Fields) -> Result<String, Trouble> {
    let id = link.message;
    let written = [("date", link.written.as_str())];
    let has = |name: &str| fields.contains_key(name);
    match link.action {
        LinkAction::NoResponse => {
            mark_message(ctx, id, Role::Seller, MarkInput::NoResponse).await?;
            Ok(link.text(ctx, "page_no_response_done", &written))
        }
        LinkAction::SellerReport | LinkAction::BuyerReport => {
            let by = if link.action == LinkAction::SellerReport { Role::Seller } else { Role::Buyer };
            let reason = fields.get("reason").cloned().unwrap_or_default();
            if !link.report_reasons.iter().any(|(id, _)| *id == reason) {
                return Err(Trouble::Said(link.text(ctx, "page_report_missing", &[])));
            }
            mark_message(ctx, id, by, MarkInput::Report { reason }).await?;
            Ok(link.text(ctx, "page_report_done", &written))
        }
        // Only our own form: another body that happens to tick nothing is no choice.
        LinkAction::SellerPreferences | LinkAction::BuyerPreferences if !has("save") => Err(Trouble::Broken),
        LinkAction::SellerPreferences => {
            choose(ctx, link.seller, None, &SellerChoice::NotifyBlocked(has("blocked_by_buyer"))).await?;
            Ok(link.text(ctx, "page_saved", &[]))
        }
        LinkAction::BuyerPreferences => {
            if has("opted_out") != link.opted_out {
                set_opt_out(ctx, link.buyer, has("opted_out")).await?;
            }
            if !link.is_retired && has("closed") != link.is_closed {
                let change = if has("closed") { AliasChange::Close } else { AliasChange::Open };
                change_alias(ctx, link.pair, change).await?;
            }
            Ok(link.text(ctx, "page_saved", &[]))
        }
        LinkAction::Resend => {
            let reason = fields.get("reason").map(String::as_str).filter(|r| !r.is_empty());
            match resend(ctx, id, reason).await {
                Ok(()) => Ok(link.text(ctx, "page_resend_done", &written)),
                Err(SendError::Operation(error)) => Err(error.into()),
                Err(SendError::Refused(refused)) => Err(Trouble::Said(refused.remedy.map(|told| told.text).unwrap_or_default())),
            }
        }
    }
}

/// The page after its button: choices stand as they are now, everything else is over.
async fn done(ctx: &Context, secret: &str, link: &LinkPage, said: String) -> Page {
    let again = matches!(link.action, LinkAction::SellerPreferences | LinkAction::BuyerPreferences);
    let now = if again { open_link(ctx, secret).await } else { Ok(Err(LinkFault::Invalid)) };
    match now {
        Ok(Ok(now)) => Page { said: Some(said), ..ask(ctx, &now) },
        _ => Page { said: Some(said), lines: Vec::new(), form: None, ..ask(ctx, link) },
    }
}

fn ask(ctx: &Context, link: &LinkPage) -> Page {
    let written = [("date", link.written.as_str())];
    let text = |key: &str| link.text(ctx, key, &written);
    let page = |title: &str, lines: Vec<String>, form: Option<Question>| Page {
        lang: link.language.clone(),
        title: text(title),
        lines,
        form,
        footer: text("page_footer"),
        ..Page::default()
    };
    match link.action {
        LinkAction::NoResponse => {
            let form = Question { kind: "hidden", choices: Vec::new(), below: Vec::new(), button: text("page_no_response_button") };
            page("page_no_response_title", vec![text("page_no_response_ask")], Some(form))
        }
        LinkAction::SellerReport | LinkAction::BuyerReport => {
            let choices = link.report_reasons.iter().map(|(id, name)| radio(id, name)).collect();
            let form = Question { kind: "radio", choices, below: Vec::new(), button: text("page_report_button") };
            page("page_report_title", vec![text("page_report_ask")], Some(form))
        }
        LinkAction::SellerPreferences => {
            let choice = checkbox("blocked_by_buyer", text("page_preferences_blocked"), text("page_preferences_hint"), link.notify_blocked);
            let form = Question { kind: "checkbox", choices: vec![choice], below: Vec::new(), button: text("page_save_button") };
            page("page_preferences_title", Vec::new(), Some(form))
        }
        LinkAction::BuyerPreferences => {
            let business = [("business", link.business.as_str())];
            let mut choices = vec![checkbox("opted_out", text("page_opt_out_choice"), text("page_opt_out_stops"), link.opted_out)];
            if !link.is_retired {
                let label = link.text(ctx, "page_close_choice", &business);
                choices.push(checkbox("closed", label, text("page_close_hint"), link.is_closed));
            }
            let below = vec![text("page_opt_out_does_not_stop")];
            let form = Question { kind: "checkbox", choices, below, button: text("page_save_button") };
            page("page_opt_out_title", Vec::new(), Some(form))
        }
        LinkAction::Resend => resend_page(link, &text, page),
    }
}

fn resend_page(link: &LinkPage, text: &dyn Fn(&str) -> String, page: impl Fn(&str, Vec<String>, Option<Question>) -> Page) -> Page {
    let title = "page_resend_title";
    let Some(options) = &link.resend else { return page(title, vec![text("page_resend_none")], None) };
    if options.is_done {
        return page(title, vec![text("page_resend_already")], None);
    }
    let form = |choices| Some(Question { kind: "radio", choices, below: Vec::new(), button: text("page_resend_button") });
    let files = options.has_refused_files.then(|| text("page_resend_files"));
    if options.passes_plain {
        return page(title, files.into_iter().collect(), form(Vec::new()));
    }
    if link.resend_reasons.is_empty() {
        return page(title, vec![text("page_resend_none")], None);
    }
    let choices = link.resend_reasons.iter().map(|(id, name)| radio(id, name)).collect();
    page(title, files.into_iter().chain([text("page_resend_ask")]).collect(), form(choices))
}

fn radio(id: &str, name: &str) -> Choice {
    Choice { name: "reason", value: id.to_owned(), label: name.to_owned(), hint: None, checked: false }
}

fn checkbox(name: &'static str, label: String, hint: String, checked: bool) -> Choice {
    Choice { name, value: "on".to_owned(), label, hint: Some(hint), checked }
}

/// A link that was altered, cut off or is over; told in the browser's language, because it names nobody.
fn not_valid(ctx: &Context, fault: LinkFault, headers: &HeaderMap) -> Response {
    let locale = locale_of_browser(ctx, headers);
    let days = LINK_DAYS.to_string();
    let (status, title, line) = match fault {
        LinkFault::Invalid => (StatusCode::NOT_FOUND, "page_link_invalid_title", "page_link_invalid"),
        LinkFault::Expired => (StatusCode::GONE, "page_link_expired_title", "page_link_expired"),
    };
    let lines = vec![ctx.text(&locale, line, &[("days", &days)])];
    answer(status, Page { title: ctx.text(&locale, title, &[]), lines, lang: locale, ..Page::default() })
}

fn unavailable(ctx: &Context, headers: &HeaderMap, error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "the store failed a page");
    let locale = locale_of_browser(ctx, headers);
    let title = ctx.text(&locale, "page_busy", &[]);
    answer(StatusCode::SERVICE_UNAVAILABLE, Page { title, lang: locale, ..Page::default() })
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

fn answer(status: StatusCode, page: Page) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
