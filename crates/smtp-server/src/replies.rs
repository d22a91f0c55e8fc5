//! The one place where what operations say becomes a reply.

use mail::smtp::Reply;
use operations::{Receipt, Recipient, Refusal};
use store::StoreError;

/// The reply to RCPT. Issued aliases of whatever state are answered alike (A5).
pub(crate) fn to_recipient(found: &Result<Recipient, StoreError>) -> Reply {
    match found {
        Ok(Recipient::Alias { .. } | Recipient::Operator(_) | Recipient::Report { .. }) => Reply::new(250, "2.1.5", "recipient noted"),
        Ok(Recipient::UnknownAlias) => Reply::new(550, "5.1.1", "no such address here; check it for typing errors"),
        Ok(Recipient::ForeignDomain) => Reply::new(550, "5.7.1", "this server takes mail for its own domains only"),
        Err(_) => unavailable(),
    }
}

/// The reply to a message.
pub(crate) fn to_message(receipt: &Result<Receipt, StoreError>) -> Reply {
    match receipt {
        Ok(Receipt::Accepted(ids)) => match ids.first() {
            Some(id) => Reply::new(250, "2.0.0", format!("accepted as {id}")),
            None => Reply::new(250, "2.0.0", "accepted"),
        },
        Ok(Receipt::Refused(refusal)) => to_refusal(refusal),
        Err(_) => unavailable(),
    }
}

fn to_refusal(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Malformed(why) => Reply::new(550, "5.6.0", format!("{why}; send it again with an ordinary mail program")),
        Refusal::Loop => Reply::new(550, "5.4.6", "the message has passed too many servers; it goes round in a loop"),
        Refusal::OurDomain => Reply::new(550, "5.7.1", "an address of this domain cannot be the sender; write from your own address"),
        Refusal::Stranger { aligned: true } => Reply::new(
            550,
            "5.7.1",
            "only the two parties of an order can write to this address, each from the address that the marketplace knows",
        ),
        Refusal::Stranger { aligned: false } => {
            Reply::new(550, "5.7.1", "neither SPF nor DKIM confirms the domain in From; send it through your own mail provider")
        }
        Refusal::Unverifiable => Reply::new(451, "4.4.3", "the DNS of the sender's domain does not answer; try again later"),
        Refusal::TooManyCopies => Reply::new(552, "5.3.4", "too large for so many recipients; send it to fewer at once"),
    }
}

/// Nothing was kept; the same message may be accepted later.
pub(crate) fn unavailable() -> Reply {
    Reply::new(451, "4.3.0", "the mail store is not available at the moment; try again later")
}
