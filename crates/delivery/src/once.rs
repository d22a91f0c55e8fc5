//! One message sent by itself, for who wants to see what the way out does to it. Nothing is recorded and nothing tried again.

use std::sync::Arc;

use domain::MessageId;
use domain::delivery::{Delivery, DeliveryState};
use hickory_resolver::TokioResolver;
use mail::{Mailbox, ReversePath};
use operations::{Attempt, Context, ReadyDelivery, Wishes};
use tokio::time::timeout;

use crate::attempt::{Attempted, LONGEST_ATTEMPT, attempt, transient};
use crate::destination::destination_of;
use crate::outgoing::Shared;
use crate::settings::DeliverySettings;

/// Sends a message by the settings' route, with their TLS policies.
pub async fn send_once(
    ctx: Arc<Context>,
    settings: DeliverySettings,
    resolver: TokioResolver,
    (reverse_path, recipient): (ReversePath, Mailbox),
    content: Arc<[u8]>,
) -> Attempt {
    let now = ctx.clock.now();
    // It stands in no store, so it has no id of its own.
    let delivery = Delivery {
        message: MessageId::from_bytes([0; 16]),
        state: DeliveryState::Queued,
        attempts: 0,
        queued_at: now,
        due_at: now,
        lease: None,
        last_status: None,
    };
    let ready = ReadyDelivery { delivery, reverse_path, recipient, content, wishes: Wishes::default() };
    let domain = destination_of(&settings.route, &ready);
    let shared = Arc::new(Shared::new(ctx, settings, resolver, None));
    match timeout(LONGEST_ATTEMPT, attempt(&shared, &domain, None, &ready)).await {
        Ok(Attempted::Answered(attempt, session)) => {
            if let Some(session) = session {
                session.quit().await;
            }
            attempt
        }
        Ok(Attempted::Unreached(attempt)) => attempt,
        Ok(Attempted::NoRoom) | Err(_) => transient("4.4.2"),
    }
}
