//! The one place where what operations say becomes a reply.

use mail::smtp::Reply;
use operations::{Receipt, Recipient, Refusal, Submitter};
use store::StoreError;

/// The reply to AUTH. Why a sign-in is wrong is not said.
pub(crate) fn to_sign_in(found: &Result<Option<Submitter>, StoreError>) -> Reply {
    match found {
        Ok(Some(_)) => Reply::new(235, "2.7.0", "welcome"),
        Ok(None) => Reply::new(
            535,
            "5.7.8",
            "user or password is wrong; the user is your registered address, the password a token that the marketplace gave you",
        ),
        Err(_) => Reply::new(454, "4.7.0", "signing in is not possible at the moment; try again later"),
    }
}

/// The reply to MAIL.
pub(crate) fn to_transaction(may_send: bool) -> Reply {
    if may_send {
        Reply::new(250, "2.1.0", "originator noted")
    } else {
        Reply::new(450, "4.7.1", "too many messages in a minute; wait a little and send the rest")
    }
}

/// The reply to RCPT. Issued aliases of whatever state are answered alike (A5).
pub(crate) fn to_recipient(found: &Result<Recipient, StoreError>) -> Reply {
    match found {
        Ok(Recipient::Alias { .. } | Recipient::Operator(_) | Recipient::Report { .. } | Recipient::Probe { .. }) => {
            Reply::new(250, "2.1.5", "recipient noted")
        }
        Ok(Recipient::UnknownAlias) => Reply::new(550, "5.1.1", "no such address here; check it for typing errors"),
        Ok(Recipient::ForeignDomain) => Reply::new(550, "5.7.1", "this server takes mail for its own domains only"),
        Err(_) => unavailable(),
    }
}

/// The reply to a message. Whether there is a door to sign in at is a remedy more.
pub(crate) fn to_message(receipt: &Result<Receipt, StoreError>, takes_submissions: bool) -> Reply {
    match receipt {
        Ok(Receipt::Accepted(ids)) => match ids.first() {
            Some(id) => Reply::new(250, "2.0.0", format!("accepted as {id}")),
            None => Reply::new(250, "2.0.0", "accepted"),
        },
        Ok(Receipt::Refused(refusal)) => to_refusal(refusal, takes_submissions),
        Err(_) => unavailable(),
    }
}

fn to_refusal(refusal: &Refusal, takes_submissions: bool) -> Reply {
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
            let door = if takes_submissions { "; or, as a seller, sign in on our submission port" } else { "" };
            let why = "neither SPF nor DKIM confirms the domain in From; send it through your own mail provider";
            Reply::new(550, "5.7.1", format!("{why}{door}"))
        }
        Refusal::Unverifiable => Reply::new(451, "4.4.3", "the DNS of the sender's domain does not answer; try again later"),
        // The same words as in a notice or over the API (C0).
        Refusal::Policy { text, .. } => Reply::new(550, "5.7.1", text.clone()),
        Refusal::TooManyCopies => Reply::new(552, "5.3.4", "too large for so many recipients; send it to fewer at once"),
    }
}

/// Nothing was kept; the same message may be accepted later.
pub(crate) fn unavailable() -> Reply {
    Reply::new(451, "4.3.0", "the mail store is not available at the moment; try again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_confirmed_hears_of_the_submission_port_where_there_is_one() {
        let refused = Ok(Receipt::Refused(Refusal::Stranger { aligned: false }));
        let (with, without) = (to_message(&refused, true), to_message(&refused, false));
        assert!(with.text.starts_with(&without.text) && with.text.ends_with("sign in on our submission port"), "{}", with.text);
        assert!(!without.text.contains("sign in"), "{}", without.text);
        assert_eq!((with.code, with.status), (without.code, without.status));
        let confirmed = Ok(Receipt::Refused(Refusal::Stranger { aligned: true }));
        assert_eq!(to_message(&confirmed, true), to_message(&confirmed, false), "signing in would not help");
    }
}
