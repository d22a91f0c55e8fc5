//! Who speaks: AUTH inside TLS (RFC 4954), and the client for whom a trusted relay speaks (XCLIENT).

use super::{Role, Session, State};
use crate::smtp::auth::{Exchange, MECHANISMS, Next};
use crate::smtp::reply::Reply;

impl Session {
    /// Whether AUTH is offered now: on a submission port, inside TLS, once.
    pub(super) fn may_sign_in(&self) -> bool {
        self.role != Role::Relay && self.is_in_tls && !self.is_signed_in
    }

    /// Why no message may begin yet.
    pub(super) fn sign_in_needed(&self) -> Option<Reply> {
        if self.role == Role::Relay || self.is_signed_in {
            return None;
        }
        Some(if self.is_in_tls { Reply::new(530, "5.7.0", "sign in first") } else { tls_needed() })
    }

    pub(super) fn auth(&mut self, mechanism: u64, initial: &str) {
        if self.role == Role::Relay {
            return self.refuse(Reply::new(502, "5.5.1", "nobody signs in here; people submit mail at the submission port"));
        }
        if !self.is_in_tls {
            return self.refuse(tls_needed());
        }
        if self.helo.is_none() {
            return self.refuse(Reply::new(503, "5.5.1", "say EHLO first"));
        }
        if self.is_signed_in {
            return self.refuse(Reply::new(503, "5.5.1", "you are signed in"));
        }
        if self.has_transaction() {
            return self.refuse(Reply::new(503, "5.5.1", "a transaction is under way; send RSET to end it"));
        }
        match Exchange::begin(mechanism) {
            None => self.refuse(Reply::new(504, "5.5.4", format!("this mechanism is not offered; use one of {MECHANISMS}"))),
            Some(exchange) if initial.is_empty() => self.ask(exchange),
            Some(exchange) => self.respond(exchange, initial.as_bytes()),
        }
    }

    /// A further line of the exchange.
    pub(super) fn exchange(&mut self, exchange: Exchange, line: &[u8]) {
        match self.content_of(line) {
            // RFC 4954, section 4: so the client cancels. A refusal that is known stays what it is.
            Some(b"*") if !matches!(exchange, Exchange::Refused(_)) => {
                self.refuse(Reply::new(501, "5.7.0", "the sign-in was cancelled"));
            }
            Some(text) => self.respond(exchange, text),
            None => {}
        }
    }

    fn ask(&mut self, exchange: Exchange) {
        self.reply(Reply::new(334, "", exchange.challenge()));
        self.state = State::Exchange(exchange);
    }

    fn respond(&mut self, exchange: Exchange, line: &[u8]) {
        match exchange.respond(line) {
            Next::Ask(exchange) => self.ask(exchange),
            Next::Check { credentials, is_bearer } => self.state = State::AwaitAuthentication { credentials, is_bearer },
            Next::End(reply) => self.refuse_sign_in(reply),
            Next::Malformed => self.refuse(Reply::new(501, "5.5.2", "the sign-in is not understood; it is base64 as the mechanism says")),
        }
    }

    /// Answers `Step::Authenticate`: a positive reply signs the client in, a 5yz counts against it.
    pub fn answer_authentication(&mut self, reply: Reply) {
        let State::AwaitAuthentication { is_bearer, .. } = std::mem::replace(&mut self.state, State::Command) else { return };
        if reply.is_positive() {
            self.is_signed_in = true;
            self.reply(reply);
        } else if reply.code < 500 {
            self.refuse(reply);
        } else if is_bearer {
            // RFC 7628, section 3.2.3: the client hears why, says anything, and then hears that it failed.
            self.ask(Exchange::Refused(reply));
        } else {
            self.refuse_sign_in(reply);
        }
    }

    fn refuse_sign_in(&mut self, reply: Reply) {
        self.refused_sign_ins += 1;
        self.reply(reply);
        if self.refused_sign_ins >= self.limits.refused_sign_ins {
            self.close(Reply::new(421, "4.7.0", "too many sign-ins were refused; check user and password and come back later"));
        }
    }

    /// The relay tells its client: the session begins anew, as if that client had connected.
    pub(super) fn xclient(&mut self, attributes: &[u8]) {
        if self.count_idle() {
            return;
        }
        if self.has_transaction() {
            return self.refuse(Reply::new(503, "5.5.1", "a transaction is under way; send RSET to end it"));
        }
        match self.told.clone().with(attributes) {
            Some(told) => {
                self.abandon();
                self.told = told;
                self.helo = None;
                self.greet();
            }
            None => self.refuse(Reply::new(501, "5.5.4", "an attribute is not understood")),
        }
    }
}

fn tls_needed() -> Reply {
    Reply::new(530, "5.7.0", "say STARTTLS first")
}
