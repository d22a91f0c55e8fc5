//! Which deliveries are in hand, each with its newest lease.
//!
//! After a clock has jumped ahead, or when the hand-over was slow, the store leases to us what we have already. Then the
//! one in hand goes on under the newer lease, and nothing is sent twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::MessageId;
use domain::delivery::{Delivery, Lease};

/// The leases of all that is in hand.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<MessageId, Option<Lease>>>);

impl Leases {
    /// Takes a delivery in hand; `None` if it is already, and then that one has the newer of both leases.
    pub(crate) fn take(self: &Arc<Self>, delivery: &Delivery) -> Option<InHand> {
        let fence = |lease: Option<Lease>| lease.map(|lease| lease.fence);
        match self.lock().entry(delivery.message) {
            Entry::Occupied(mut known) => {
                if fence(delivery.lease) > fence(*known.get()) {
                    known.insert(delivery.lease);
                }
                None
            }
            Entry::Vacant(free) => {
                free.insert(delivery.lease);
                Some(InHand { leases: Arc::clone(self), id: delivery.message })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageId, Option<Lease>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery in hand until this is dropped.
#[derive(Debug)]
pub(crate) struct InHand {
    leases: Arc<Leases>,
    id: MessageId,
}

impl InHand {
    /// The newest lease.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.leases.lock().get(&self.id).copied().flatten()
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::delivery::DeliveryState;
    use domain::id::NodeId;

    use super::*;

    fn leased(fence: i64) -> Delivery {
        Delivery {
            message: MessageId::from_bytes([1; 16]),
            state: DeliveryState::Queued,
            attempts: 0,
            queued_at: Timestamp(0),
            due_at: Timestamp(0),
            lease: Some(Lease { owner: NodeId::from_bytes([2; 16]), until_at: Timestamp(fence), fence }),
            last_status: None,
        }
    }

    #[test]
    fn what_is_leased_again_goes_on_under_the_newer_lease() {
        let leases = Arc::new(Leases::default());
        let fence = |in_hand: &InHand| in_hand.lease().map(|lease| lease.fence);
        let in_hand = leases.take(&leased(2)).unwrap();
        assert!(leases.take(&leased(3)).is_none(), "it would be sent twice");
        assert_eq!(fence(&in_hand), Some(3));
        assert!(leases.take(&leased(1)).is_none(), "a hand-over that comes late");
        assert_eq!(fence(&in_hand), Some(3));
        drop(in_hand);
        assert_eq!(leases.take(&leased(4)).as_ref().and_then(fence), Some(4));
    }
}
