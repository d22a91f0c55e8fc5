//! The scrubber of one message: what its reader sees instead of what does not pass, and what passes by rule (C10).

use domain::policy::{ContactMode, RuleSet};
use mail::scrub::{Identity, Masks, OwnWords, Region, Scrubber, host_of, region_of};
use store::PairFacts;

use crate::context::{Context, Marketplace};

/// Links of our footers: their words stand in front of an address of ours.
const LINKS: [&str; 6] =
    ["link_no_response", "link_report", "link_flag", "link_preferences_buyer", "link_preferences_seller", "link_resend"];

/// Masks in the language of `locale`.
pub(crate) fn masks(ctx: &Context, locale: &str) -> Masks {
    let text = |key| ctx.text(locale, key, &[]);
    Masks {
        address: text("mask_address"),
        link: text("mask_outside_link"),
        own_link: text("mask_link"),
        phone: text("mask_phone"),
        name: text("mask_name"),
        quotation: text("mask_quotation"),
        device: text("mask_device"),
        armour: text("part_signature"),
    }
}

/// The scrubber for a message of this pair with this reason, read in `locale`.
pub(crate) fn scrubber(
    ctx: &Context,
    (marketplace, facts): (&Marketplace, &PairFacts),
    (rules, reason): (&RuleSet, &str),
    writer: Identity,
    locale: &str,
) -> Scrubber {
    let reason = rules.reason(reason);
    let own_hosts = std::iter::once(marketplace.domain.as_str().to_owned()).chain(ctx.settings.public_url.as_deref().map(host_of));
    let hosts = rules.allowed_hosts.iter().chain(reason.iter().flat_map(|r| &r.links)).cloned().chain(own_hosts);
    let masks_phones = rules.phones == ContactMode::Mask && !reason.is_some_and(|r| r.phones);
    Scrubber {
        masks: masks(ctx, locale),
        writer,
        own: own_words(ctx, marketplace, facts),
        hosts: (rules.links == ContactMode::Mask).then(|| hosts.collect()),
        phones: masks_phones.then(|| regions(marketplace, facts)),
        known: facts.orders.iter().map(|o| o.shop_id.clone()).collect(),
    }
}

/// Where the marketplace and both parties are at home, as far as their languages tell.
fn regions(marketplace: &Marketplace, facts: &PairFacts) -> Vec<Region> {
    let locales = marketplace.languages.iter().chain([&marketplace.locale, &facts.buyer.locale, &facts.seller.locale]);
    let mut regions: Vec<Region> = locales.filter_map(|l| region_of(l)).collect();
    regions.sort_unstable();
    regions.dedup();
    regions
}

/// What we write around a message, in every language: it comes back in what is quoted.
fn own_words(ctx: &Context, marketplace: &Marketplace, facts: &PairFacts) -> OwnWords {
    let (business, buyer) = (facts.seller.business_name.as_str(), facts.buyer.first_name.as_str());
    let name = marketplace.name.as_str();
    let (mut anchors, mut satellites) = (Vec::new(), Vec::new());
    for language in ctx.settings.texts.languages() {
        let fields = [("business", business), ("buyer", buyer), ("marketplace", name)];
        anchors.extend(["banner_to_buyer", "banner_to_seller", "footer"].map(|key| ctx.text(language, key, &fields)));
        satellites.extend([business, buyer].map(|name| ctx.text(language, "banner_automatic", &[("name", name)])));
        satellites.extend(facts.orders.iter().map(|o| ctx.text(language, "banner_order", &[("order", &o.shop_id)])));
        for key in LINKS {
            let words = ctx.text(language, key, &[("link", "")]);
            // In HTML they are the words of the link itself.
            satellites.push(words.trim_end_matches([':', '：', ' ']).to_owned());
            satellites.push(words);
        }
    }
    OwnWords::new(anchors, satellites)
}
