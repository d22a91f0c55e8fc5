//! What is in memory, and who may add to it: a destination that stalls must leave room for all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Deliveries in memory over all destinations. Beyond it the hand-over fills, then what is accepted waits in
/// the store: accepting never waits for delivering.
const MAX_DELIVERIES: usize = 2_000;
/// Octets of their content.
const MAX_OCTETS: usize = 128 << 20;
/// Deliveries in memory for one destination; the rest waits in the store.
const MAX_OF_ONE: usize = 500;
/// One destination may take this part of the common room that is left.
const SHARE: usize = 2;
/// Beyond the common room each destination may have this few: so however many stall, there is room for the next.
const FEW: usize = 2;
/// Kept for those.
const RESERVED: usize = MAX_DELIVERIES / 2;

/// Deliveries in memory, of all destinations or of one.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    deliveries: AtomicUsize,
    octets: AtomicUsize,
}

impl Counters {
    /// How many more fit, over all destinations.
    pub(crate) fn room(&self) -> usize {
        if self.octets.load(Ordering::Relaxed) >= MAX_OCTETS {
            return 0;
        }
        MAX_DELIVERIES.saturating_sub(self.deliveries.load(Ordering::Relaxed))
    }

    /// Whether one destination, which holds `own`, may take a delivery of that size.
    pub(crate) fn admits(&self, own: &Self, octets: usize) -> bool {
        let (deliveries, held) = (self.deliveries.load(Ordering::Relaxed), self.octets.load(Ordering::Relaxed));
        let (own_deliveries, own_octets) = (own.deliveries.load(Ordering::Relaxed), own.octets.load(Ordering::Relaxed));
        let (free, free_octets) = (MAX_DELIVERIES.saturating_sub(deliveries), MAX_OCTETS.saturating_sub(held));
        // The very largest message goes alone.
        let has_size = own_octets + octets <= free_octets / SHARE || held == 0;
        let common = free.saturating_sub(RESERVED) / SHARE;
        let has_room = own_deliveries < MAX_OF_ONE.min(common) || (own_deliveries < FEW && free > 0);
        has_room && has_size
    }
}

/// A delivery in memory, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    counters: [Arc<Counters>; 2],
    octets: usize,
}

impl Held {
    pub(crate) fn new(all: &Arc<Counters>, own: &Arc<Counters>, octets: usize) -> Self {
        let counters = [Arc::clone(all), Arc::clone(own)];
        for counter in &counters {
            counter.deliveries.fetch_add(1, Ordering::Relaxed);
            counter.octets.fetch_add(octets, Ordering::Relaxed);
        }
        Self { counters, octets }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for counter in &self.counters {
            counter.deliveries.fetch_sub(1, Ordering::Relaxed);
            counter.octets.fetch_sub(self.octets, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills as many destinations as there are until each is refused.
    fn fill(destinations: usize, octets: usize) -> (Arc<Counters>, Vec<Held>) {
        let all = Arc::new(Counters::default());
        let mut held = Vec::new();
        for _ in 0..destinations {
            let own = Arc::new(Counters::default());
            while all.admits(&own, octets) {
                held.push(Held::new(&all, &own, octets));
            }
        }
        (all, held)
    }

    #[test]
    fn however_many_destinations_stall_there_is_room_for_another() {
        for (destinations, octets) in [(1, 4_000), (10, 4_000), (400, 4_000), (5, 400_000)] {
            let (all, held) = fill(destinations, octets);
            assert!(held.len() >= destinations.min(MAX_OF_ONE), "{destinations}: {}", held.len());
            assert!(all.room() > 0 && all.admits(&Counters::default(), 4_000), "{destinations} times {octets}");
        }
    }

    #[test]
    fn what_is_dropped_makes_room() {
        let (all, held) = fill(1, 4_000);
        assert!((FEW + 1..=MAX_OF_ONE).contains(&held.len()), "{}", held.len());
        assert_eq!(all.room(), MAX_DELIVERIES - held.len());
        drop(held);
        assert_eq!(all.room(), MAX_DELIVERIES);
    }

    #[test]
    fn large_messages_that_stall_leave_room_for_others() {
        const LARGE: usize = 25 << 20;
        let (all, held) = fill(10, LARGE);
        assert!(held.len() > 2, "{}", held.len());
        assert!(all.admits(&Counters::default(), LARGE / 2));
    }

    #[test]
    fn the_largest_message_goes_alone() {
        let (all, own) = (Arc::new(Counters::default()), Arc::new(Counters::default()));
        assert!(all.admits(&own, MAX_OCTETS * 2));
        let held = Held::new(&all, &own, 1_000);
        assert!(!all.admits(&Counters::default(), MAX_OCTETS * 2));
        drop(held);
        assert!(all.admits(&own, MAX_OCTETS * 2));
    }
}
