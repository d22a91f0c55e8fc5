//! Response figures (E4): which of a buyer's messages count, how soon they were answered, and why the others
//! do not count.
//!
//! A turn begins with the first unanswered message of the buyer that counts and ends with the seller's first
//! answer that was delivered or stands on the page; that answer closes all before it. Time is calendar time
//! from acceptance to acceptance. What was marked or reported, and what a machine wrote, is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::alias::Role;
use crate::id::{ConversationId, MessageId};
use crate::world::Timestamp;

/// An answer within this time is in time.
pub const IN_TIME: Duration = Duration::from_secs(24 * 3600);

/// What the figures need of a message, in order of acceptance within its conversation.
#[derive(Debug, Clone)]
pub struct TurnMessage {
    /// The message.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Which party wrote it.
    pub by: Role,
    /// When it was accepted.
    pub at: Timestamp,
    /// Whether a machine wrote it.
    pub automatic: bool,
    /// Whether it reached the other side: delivered or on the page.
    pub arrived: bool,
    /// Whether the seller marked it as needing no response.
    pub no_response: bool,
    /// Whether the seller reported it.
    pub reported: bool,
}

/// Why a message of the buyer counts or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Answered within 24 hours.
    InTime(Duration),
    /// Answered later.
    Late(Duration),
    /// Not answered, and more than 24 hours old.
    Unanswered,
    /// Not answered yet, and still within 24 hours: counts nowhere so far.
    Pending,
    /// Follows an unanswered one: the same turn.
    SameTurn,
    /// Marked as needing no response.
    NoResponse,
    /// Reported.
    Reported,
    /// A machine wrote it.
    Automatic,
}

impl Standing {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InTime(_) => "answered_in_time",
            Self::Late(_) => "answered_late",
            Self::Unanswered => "unanswered",
            Self::Pending => "pending",
            Self::SameTurn => "same_turn",
            Self::NoResponse => "no_response_needed",
            Self::Reported => "reported",
            Self::Automatic => "automatic",
        }
    }

    /// Whether it counts in the figures.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Self::InTime(_) | Self::Late(_) | Self::Unanswered)
    }

    /// How long the answer took.
    #[must_use]
    pub fn answered_after(self) -> Option<Duration> {
        match self {
            Self::InTime(after) | Self::Late(after) => Some(after),
            _ => None,
        }
    }
}

/// A message of the buyer and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The message.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// When it was accepted.
    pub at: Timestamp,
    /// How it stands.
    pub standing: Standing,
}

/// The figures of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Turns answered within 24 hours.
    pub in_time: u64,
    /// Turns answered later.
    pub late: u64,
    /// Turns not answered within 24 hours and not since.
    pub unanswered: u64,
    /// Turns still within their 24 hours.
    pub pending: u64,
    /// Messages left out: marked, reported, automatic.
    pub left_out: u64,
    /// Sum of the times of answered turns, in seconds.
    pub answered_seconds: u64,
}

impl Figures {
    /// Turns that count.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.in_time + self.late + self.unanswered
    }

    /// Average time to an answer.
    #[must_use]
    pub fn average(&self) -> Option<Duration> {
        let answered = self.in_time + self.late;
        (answered > 0).then(|| Duration::from_secs(self.answered_seconds / answered))
    }

    fn add(&mut self, standing: Standing) {
        match standing {
            Standing::InTime(_) => self.in_time += 1,
            Standing::Late(_) => self.late += 1,
            Standing::Unanswered => self.unanswered += 1,
            Standing::Pending => self.pending += 1,
            Standing::SameTurn => {}
            Standing::NoResponse | Standing::Reported | Standing::Automatic => self.left_out += 1,
        }
        self.answered_seconds += standing.answered_after().map_or(0, |after| after.as_secs());
    }
}

/// Judges messages as they come, in order of acceptance.
#[derive(Debug, Default)]
pub struct Judge {
    /// Place in `judged` of the message that began the open turn of a conversation.
    open: BTreeMap<ConversationId, usize>,
    judged: Vec<Judged>,
}

impl Judge {
    /// Takes the next message.
    pub fn take(&mut self, m: &TurnMessage) {
        match m.by {
            Role::Seller => {
                if m.automatic || !m.arrived {
                    return;
                }
                if let Some(begun) = self.open.remove(&m.conversation).and_then(|at| self.judged.get_mut(at)) {
                    let after = m.at.since(begun.at);
                    begun.standing = if after <= IN_TIME { Standing::InTime(after) } else { Standing::Late(after) };
                }
            }
            Role::Buyer => {
                let left_out = match m {
                    TurnMessage { automatic: true, .. } => Some(Standing::Automatic),
                    TurnMessage { reported: true, .. } => Some(Standing::Reported),
                    TurnMessage { no_response: true, .. } => Some(Standing::NoResponse),
                    _ => None,
                };
                let standing = left_out.unwrap_or_else(|| {
                    if self.open.contains_key(&m.conversation) {
                        return Standing::SameTurn;
                    }
                    self.open.insert(m.conversation, self.judged.len());
                    Standing::Pending
                });
                self.judged.push(Judged { id: m.id, conversation: m.conversation, at: m.at, standing });
            }
        }
    }

    /// The buyer's messages since `since` in order, and their figures, as they stand at `now`.
    #[must_use]
    pub fn finish(self, since: Timestamp, now: Timestamp) -> (Figures, Vec<Judged>) {
        let mut figures = Figures::default();
        let mut judged: Vec<Judged> = self.judged.into_iter().filter(|j| j.at >= since).collect();
        for j in &mut judged {
            if j.standing == Standing::Pending && now.since(j.at) > IN_TIME {
                j.standing = Standing::Unanswered;
            }
            figures.add(j.standing);
        }
        (figures, judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn message(n: u8, by: Role, hours: i64) -> TurnMessage {
        TurnMessage {
            id: MessageId::from_bytes([n; 16]),
            conversation: ConversationId::from_bytes([1; 16]),
            by,
            at: Timestamp(hours * HOUR),
            automatic: false,
            arrived: true,
            no_response: false,
            reported: false,
        }
    }

    fn judge(messages: &[TurnMessage], now_hours: i64) -> (Figures, Vec<&'static str>) {
        let mut judge = Judge::default();
        messages.iter().for_each(|m| judge.take(m));
        let (figures, judged) = judge.finish(Timestamp(0), Timestamp(now_hours * HOUR));
        (figures, judged.iter().map(|j| j.standing.as_str()).collect())
    }

    #[test]
    fn one_answer_closes_all_before_it() {
        let (f, standing) = judge(&[message(1, Role::Buyer, 0), message(2, Role::Buyer, 20), message(3, Role::Seller, 25)], 30);
        assert_eq!(standing, ["answered_late", "same_turn"]);
        assert_eq!((f.late, f.counted(), f.average()), (1, 1, Some(Duration::from_secs(25 * 3600))));
    }

    #[test]
    fn exactly_a_day_is_in_time_and_the_first_answer_decides() {
        let (f, standing) = judge(&[message(1, Role::Buyer, 0), message(2, Role::Seller, 24), message(3, Role::Seller, 30)], 40);
        assert_eq!((standing, f.in_time), (vec!["answered_in_time"], 1));
    }

    #[test]
    fn machines_and_bounces_answer_nothing() {
        let vacation = TurnMessage { automatic: true, ..message(2, Role::Seller, 1) };
        let bounced = TurnMessage { arrived: false, ..message(3, Role::Seller, 2) };
        assert_eq!(judge(&[message(1, Role::Buyer, 0), vacation, bounced], 23).1, ["pending"]);
        assert_eq!(judge(&[message(1, Role::Buyer, 0)], 25).1, ["unanswered"]);
    }

    #[test]
    fn marked_reported_and_automatic_messages_are_left_out() {
        let marked = TurnMessage { no_response: true, ..message(1, Role::Buyer, 0) };
        let reported = TurnMessage { reported: true, ..message(2, Role::Buyer, 1) };
        let automatic = TurnMessage { automatic: true, ..message(3, Role::Buyer, 2) };
        let (f, standing) = judge(&[marked, reported, automatic, message(4, Role::Buyer, 3), message(5, Role::Seller, 4)], 99);
        assert_eq!(standing, ["no_response_needed", "reported", "automatic", "answered_in_time"]);
        assert_eq!((f.left_out, f.counted(), f.average()), (3, 1, Some(Duration::from_secs(3600))));
    }

    #[test]
    fn a_turn_that_began_before_the_window_does_not_count() {
        let mut judge = Judge::default();
        [message(1, Role::Buyer, 0), message(2, Role::Buyer, 10), message(3, Role::Seller, 11)].iter().for_each(|m| judge.take(m));
        let (figures, judged) = judge.finish(Timestamp(5 * HOUR), Timestamp(99 * HOUR));
        assert_eq!((figures.counted(), judged[0].standing), (0, Standing::SameTurn));
    }
}
