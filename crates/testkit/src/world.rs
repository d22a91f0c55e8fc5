//! Time and randomness that a test holds in its hand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Random, Timestamp};

/// A clock that moves when told to, and by a microsecond at every look, as time does.
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// Starts on 22 November 2026.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicI64::new(1_795_316_400_000_000))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Default for HandClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Splitmix64 from a seed: the same run every time. Never outside tests.
#[derive(Debug)]
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// A number below `below`.
    #[must_use]
    pub fn below(&self, below: u64) -> u64 {
        let mut octets = [0; 8];
        self.fill(&mut octets);
        u64::from_le_bytes(octets) % below
    }
}

impl Random for SeededRandom {
    fn fill(&self, octets: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for chunk in octets.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
