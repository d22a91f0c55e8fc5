//! Choices of people: the buyer's opt-out (C4), the seller's notices (C6) and further senders.

use domain::{Buyer, BuyerId, OptOut, OptOutSource, PairId, Seller, SellerId};
use store::{Changes, CommitError, Entity, Guard, NewEntry};

use crate::context::{Context, TRIES};
use crate::error::{InputError, OperationError};
use crate::put_seller::address;

/// Further senders that a seller may put.
const MAX_OWN_SENDERS: usize = 20;

/// The buyer opts out, or in again; the source is the buyer. It is for every seller, so it stands in the chain of
/// the marketplace, which no seller reads.
///
/// # Errors
/// `Missing` an unknown buyer.
pub async fn set_opt_out(ctx: &Context, id: BuyerId, opted_out: bool) -> Result<Buyer, OperationError> {
    let missing = || OperationError::Missing { what: "buyer", detail: "there is no such buyer".to_owned() };
    for _ in 0..TRIES {
        let mut buyer = ctx.store.find_buyer(id).await?.ok_or_else(missing)?;
        let chain = (PairId::of_operator(&buyer.marketplace), SellerId::of_operator(&buyer.marketplace));
        let own = buyer.opt_out.is_some_and(|o| o.source == OptOutSource::Buyer);
        // The buyer's word replaces the shop's, also where both say the same.
        if own == opted_out && (opted_out || buyer.opt_out.is_none()) {
            return Ok(buyer);
        }
        let now = ctx.clock.now();
        let mut changes = Changes::default();
        changes.guards.push(Guard::Version(Entity::Buyer(id), buyer.version));
        buyer.opt_out = opted_out.then_some(OptOut { since_at: now, source: OptOutSource::Buyer });
        buyer.version += 1;
        changes.entries.push(NewEntry::new(
            chain,
            None,
            "opt_out.changed",
            now,
            ctx.salt(),
            [("buyer", Some(id.to_string().into())), ("by", Some("buyer".into())), ("opted_out", Some(opted_out.into()))],
        ));
        changes.buyers.push(buyer.clone());
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(buyer),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

/// What a seller changes about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SellerChoice {
    /// Whether it is mailed when an opt-out stops a message.
    NotifyBlocked(bool),
    /// A further address from which it writes.
    AddSender(String),
    /// One less.
    RemoveSender(String),
}

/// Carries a seller's choice out; `version`, where given, must be the one that was seen.
///
/// # Errors
/// `Missing` an unknown seller, `Invalid` an address that cannot be taken, `Changed` another version.
pub async fn choose(ctx: &Context, id: SellerId, version: Option<i64>, choice: &SellerChoice) -> Result<Seller, OperationError> {
    for _ in 0..TRIES {
        let missing = || OperationError::Missing { what: "seller", detail: "there is no such seller".to_owned() };
        let old = ctx.store.find_seller(id).await?.ok_or_else(missing)?;
        if version.is_some_and(|seen| seen != old.version) {
            return Err(OperationError::Changed);
        }
        let mut seller = old.clone();
        match choice {
            SellerChoice::NotifyBlocked(wanted) => seller.notify_blocked = *wanted,
            SellerChoice::AddSender(text) => add_sender(&mut seller, address(ctx, "email", text)?)?,
            SellerChoice::RemoveSender(text) => {
                let gone = address(ctx, "email", text)?.canonical();
                if [&seller.email, &seller.customer_service_email].iter().any(|s| s.canonical() == gone) {
                    let detail = "this is the registered or customer-service address; the marketplace changes those";
                    return Err(OperationError::Forbidden { code: "sender_is_registered", detail: detail.to_owned() });
                }
                seller.own_senders.retain(|s| s.canonical() != gone);
                if seller.approved_senders.iter().any(|s| s.canonical() == gone) {
                    let detail = "the operator approved this address; ask the marketplace to take it back";
                    return Err(OperationError::Forbidden { code: "sender_is_operators", detail: detail.to_owned() });
                }
            }
        }
        if seller == old {
            return Ok(old);
        }
        seller.version += 1;
        let guard = Guard::Version(Entity::Seller(id), old.version);
        let changes = Changes { guards: vec![guard], sellers: vec![seller.clone()], ..Changes::default() };
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(seller),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

fn add_sender(seller: &mut Seller, mailbox: mail::Mailbox) -> Result<(), OperationError> {
    if seller.writes_from(&mailbox) {
        return Ok(());
    }
    if seller.own_senders.len() >= MAX_OWN_SENDERS {
        return Err(InputError::new("email", "too_many", format!("at most {MAX_OWN_SENDERS} further senders; remove one first")).into());
    }
    seller.own_senders.push(mailbox);
    Ok(())
}
