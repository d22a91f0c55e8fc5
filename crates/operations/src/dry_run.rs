//! What would happen to a message, and why, without anything being kept (C13).

use domain::alias::Role;
use domain::message::Author;
use domain::policy::Decision;
use domain::{PairId, Rung};

use crate::advice::{self, About, Told};
use crate::context::{Context, Marketplace};
use crate::weigh::Weighed;

/// The decision on one message to one alias.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// The pair.
    pub pair: PairId,
    /// Whom the alias reaches.
    pub reaches: Role,
    /// Who would be taken for the author.
    pub author: Author,
    /// By which evidence it would join a conversation.
    pub rung: Option<Rung>,
    /// The shop's id of the order that it would be about.
    pub order: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// Its remedy in the writer's words.
    pub remedy: Option<Told>,
    /// What the writer would be told beside.
    pub notes: Vec<Told>,
}

impl DryRun {
    pub(crate) fn of(ctx: &Context, marketplace: &Marketplace, w: &Weighed) -> Self {
        let locale = match w.author {
            Author::Party(Role::Buyer) => w.pair.buyer.locale.as_str(),
            Author::Party(Role::Seller) => w.pair.seller.locale.as_str(),
            _ => marketplace.locale.as_str(),
        };
        let locale = marketplace.locale_of(&ctx.settings.texts, locale);
        let about = About { files: &w.facts.content.refused_files, resets_at: w.facts.resets_at };
        Self {
            pair: w.pair.pair.id,
            reaches: w.facts.reaches,
            author: w.author,
            rung: w.facts.rung,
            order: w.order.as_ref().map(|o| o.shop_id.clone()),
            remedy: advice::remedy(ctx, marketplace, locale, &w.decision, about),
            notes: w.decision.tell.iter().map(|a| advice::say(ctx, marketplace, locale, a, about)).collect(),
            decision: w.decision.clone(),
        }
    }
}
