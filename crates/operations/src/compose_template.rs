//! What a seller sends from page or API: free text, a template, or both; each side's copy in its own language (D2).

use std::collections::BTreeMap;

use domain::policy::RuleSet;
use domain::templates::FieldFault;
use domain::texts::is_same_language;
use domain::{Buyer, Order, Seller};

use crate::context::{Context, Marketplace};
use crate::error::{InputError, OperationError};

/// Longest text that is taken, in characters.
const MAX_TEXT: usize = 100_000;
/// Longest subject, in characters.
const MAX_SUBJECT: usize = 200;

/// A template and the values for its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateInput {
    /// Its id.
    pub id: String,
    /// Values by field.
    pub fields: BTreeMap<String, String>,
}

/// What a seller writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenInput {
    /// Contact reason; the template's, or `other`, when absent.
    pub reason: Option<String>,
    /// Template.
    pub template: Option<TemplateInput>,
    /// Subject; made from template or reason when absent.
    pub subject: Option<String>,
    /// Text of the seller's own, behind that of the template.
    pub text: Option<String>,
}

/// One side's copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Its language.
    pub language: String,
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
}

/// Both copies of what a seller writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The contact reason.
    pub reason: String,
    /// What the seller reads.
    pub seller: Copy,
    /// What the buyer reads.
    pub buyer: Copy,
    /// Whether the buyer's own language has no such template, so that another was taken.
    pub fell_back: bool,
}

/// Whose message it is about what.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) marketplace: &'a Marketplace,
    pub(crate) seller: &'a Seller,
    pub(crate) buyer: &'a Buyer,
    pub(crate) order: Option<&'a Order>,
    /// Subject of what is answered.
    pub(crate) answers: Option<&'a str>,
}

/// Makes both copies.
///
/// # Errors
/// `Invalid` names every fault.
pub(crate) fn write(ctx: &Context, scene: Scene<'_>, input: &WrittenInput) -> Result<Written, OperationError> {
    let own = input.text.as_deref().map(str::trim).filter(|t| !t.is_empty());
    let mut faults = Vec::new();
    if own.is_some_and(|t| t.chars().count() > MAX_TEXT) {
        faults.push(InputError::new("text", "too_long", format!("at most {MAX_TEXT} characters")));
    }
    let subject = input.subject.as_deref().map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|s| !s.is_empty());
    if subject.as_ref().is_some_and(|s| s.chars().count() > MAX_SUBJECT) {
        faults.push(InputError::new("subject", "too_long", format!("at most {MAX_SUBJECT} characters")));
    }
    let copies = match &input.template {
        Some(template) => from_template(ctx, scene, template, &mut faults),
        None => None,
    };
    let reason = match (&input.reason, &copies) {
        (Some(given), Some((of_template, ..))) if given != of_template => {
            let detail = format!("the template is for the reason \"{of_template}\"; leave the reason out or take another template");
            faults.push(InputError::new("template.id", "other_reason", detail));
            given.clone()
        }
        (Some(given), _) => given.clone(),
        (None, Some((of_template, ..))) => of_template.clone(),
        (None, None) => "other".to_owned(),
    };
    check_free_text(&scene.marketplace.rules, &reason, own.is_some() || subject.is_some(), &mut faults);
    if copies.is_none() && own.is_none() && input.template.is_none() {
        faults.push(InputError::new("text", "required", "give a text, a template, or both"));
    }
    if !faults.is_empty() {
        return Err(OperationError::Invalid(faults));
    }
    let (fell_back, mut seller, mut buyer) = match copies {
        Some((_, fell_back, seller, buyer)) => (fell_back, seller, buyer),
        None => (false, plain(ctx, scene, &reason, &scene.seller.locale), plain(ctx, scene, &reason, &scene.buyer.locale)),
    };
    for copy in [&mut seller, &mut buyer] {
        if let Some(own) = own {
            // D3: free text goes as it was written.
            copy.text = if copy.text.is_empty() { own.to_owned() } else { format!("{}\n\n{own}", copy.text) };
        }
        if let Some(subject) = &subject {
            copy.subject.clone_from(subject);
        } else if let Some(answered) = scene.answers {
            copy.subject = if answered.to_lowercase().starts_with("re:") { answered.to_owned() } else { format!("Re: {answered}") };
        }
    }
    Ok(Written { reason, seller, buyer, fell_back })
}

fn check_free_text(rules: &RuleSet, reason: &str, written: bool, faults: &mut Vec<InputError>) {
    let only_template = rules.reason(reason).is_some_and(|r| !r.free_text);
    if only_template && written {
        faults.push(InputError::new("text", "template_only", "this reason is sent by its template alone; leave text and subject out"));
    }
}

/// Reason, whether the buyer's language is another one, the seller's copy, the buyer's copy.
type Copies = (String, bool, Copy, Copy);

fn from_template(ctx: &Context, scene: Scene<'_>, input: &TemplateInput, faults: &mut Vec<InputError>) -> Option<Copies> {
    let texts = &ctx.settings.texts;
    let site = scene.marketplace.locale.as_str();
    let (Some((seller_language, sellers)), Some((buyer_language, buyers))) =
        (texts.template(&input.id, &scene.seller.locale, site), texts.template(&input.id, &scene.buyer.locale, site))
    else {
        faults.push(InputError::new("template.id", "unknown_template", "there is no such template; GET …/templates lists them"));
        return None;
    };
    if scene.order.is_none() && uses_order(&buyers.subject, &buyers.body) {
        faults.push(InputError::new("template.id", "needs_order", "this template names an order, and the message is about none"));
        return None;
    }
    let items = scene.order.map(items_of).unwrap_or_default();
    let built_in = built_in_fields(scene.marketplace, scene.seller, scene.buyer, scene.order, &items);
    let copy = |language: &str, (subject, text): (String, String)| Copy { language: language.to_owned(), subject, text };
    match (sellers.render(&built_in, &input.fields), buyers.render(&built_in, &input.fields)) {
        (Ok(seller), Ok(buyer)) => {
            let fell_back = !is_same_language(buyer_language, &scene.buyer.locale);
            Some((buyers.reason.clone(), fell_back, copy(seller_language, seller), copy(buyer_language, buyer)))
        }
        (_, Err(wrong)) | (Err(wrong), _) => {
            faults.extend(wrong.into_iter().map(field_error));
            None
        }
    }
}

/// Titles of an order's items.
pub(crate) fn items_of(order: &Order) -> String {
    order.items.iter().map(|i| i.title.as_str()).collect::<Vec<_>>().join(", ")
}

/// Values of the fields that fill themselves (`domain::templates::BUILT_IN`).
pub(crate) fn built_in_fields<'a>(
    marketplace: &'a Marketplace,
    seller: &'a Seller,
    buyer: &'a Buyer,
    order: Option<&'a Order>,
    items: &'a str,
) -> [(&'static str, &'a str); 5] {
    [
        ("business", seller.business_name.as_str()),
        ("buyer", buyer.first_name.as_str()),
        ("items", items),
        ("marketplace", marketplace.name.as_str()),
        ("order", order.map_or("", |o| o.shop_id.as_str())),
    ]
}

fn uses_order(subject: &str, body: &str) -> bool {
    [subject, body].iter().any(|text| text.contains("{order}") || text.contains("{items}"))
}

fn field_error(fault: FieldFault) -> InputError {
    match fault {
        FieldFault::Missing(name) => InputError::new(&format!("template.fields.{name}"), "required", "this field must be filled in"),
        FieldFault::Unknown(name) => InputError::new(
            &format!("template.fields.{name}"),
            "unknown_field",
            "the template has no such field; GET …/templates names them",
        ),
        FieldFault::TooLong(name) => {
            let most = domain::templates::MAX_FIELD;
            InputError::new(&format!("template.fields.{name}"), "too_long", format!("at most {most} characters"))
        }
    }
}

/// A copy without a template: the reason's name and the order as subject.
fn plain(ctx: &Context, scene: Scene<'_>, reason: &str, locale: &str) -> Copy {
    let name = ctx.settings.texts.name_of(locale, "reason", reason);
    let subject = scene.order.map_or_else(|| name.clone(), |o| format!("{name}: {}", o.shop_id));
    Copy { language: ctx.settings.texts.language_of(locale).to_owned(), subject, text: String::new() }
}
