//! What the log says of incoming mail: ids and codes, never an address, a domain or a text (privacy P19).
//!
//! A client's address is personal data of whoever writes: it stands in lines of the level debug only.

use std::net::IpAddr;
use std::time::Instant;

use mail::smtp::Reply;
use mail::smtp::server::Role;
use operations::{Authentication, Receipt, Refusal};
use store::StoreError;

use crate::clients::Clients;

/// What the log calls a listener: both kinds of submission are one.
pub(crate) fn door(role: Role) -> &'static str {
    match role {
        Role::Relay => "relay",
        Role::Submission | Role::Submissions => "submission",
    }
}

/// What became of a message, one line.
pub(crate) fn message(
    door: &'static str,
    tls: bool,
    authentication: Authentication,
    receipt: &Result<Receipt, StoreError>,
    reply: &Reply,
    started: Instant,
) {
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match receipt {
        Ok(Receipt::Accepted(ids)) => {
            let id = ids.first().map(tracing::field::display);
            tracing::info!(id, ids = ids.len(), door, tls, milliseconds, "message accepted");
        }
        Ok(Receipt::Refused(refusal)) => {
            let remedy = if let Refusal::Policy { code, .. } = refusal { Some(*code) } else { None };
            tracing::info!(
                code = reply.code,
                status = reply.status,
                remedy,
                spf = authentication.spf.as_str(),
                dkim = authentication.dkim.as_str(),
                dmarc = authentication.dmarc.as_str(),
                aligned = authentication.aligned,
                door,
                tls,
                milliseconds,
                "message refused"
            );
        }
        Err(error) => tracing::error!(%error, "a message was not taken, the client was told to try again"),
    }
}

/// User or token was wrong; how often that can happen is limited.
pub(crate) fn sign_in_refused(client: IpAddr, reply: &Reply) {
    tracing::info!(code = reply.code, status = reply.status, "sign-in refused");
    tracing::debug!(%client, "whose sign-in was refused");
}

/// A client was told to come back later, or not let in at all: one line a client and minute, with the number of those
/// that had none. Without a client they are counted together.
pub(crate) fn turned_away(clients: &Clients, client: Option<IpAddr>, door: &'static str, why: &'static str) {
    if let Some(unsaid) = clients.turned_away(client) {
        tracing::info!(why, door, unsaid, "client turned away");
    }
    if let Some(client) = client {
        tracing::debug!(%client, why, "who was turned away");
    }
}
