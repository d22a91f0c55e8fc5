//! Days as a marketplace counts them: in its own time zone, so that a day has 23, 24 or 25 hours.

use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use crate::world::Timestamp;

/// A calendar day as the number `YYYYMMDD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl std::fmt::Display for Day {
    /// `2026-11-23`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }
}

/// The calendar of one marketplace.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// The calendar of an IANA time zone such as `Europe/Madrid`; `None` if there is none of that name.
    #[must_use]
    pub fn new(zone: &str) -> Option<Self> {
        TimeZone::get(zone).ok().map(|zone| Self { zone })
    }

    /// The day of an instant.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        let date = self.zoned(at).date();
        Day(i32::from(date.year()) * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day()))
    }

    /// When the day `days` before that of `at` began; 0 is the same day.
    #[must_use]
    pub fn start_of_day(&self, at: Timestamp, days_before: u32) -> Timestamp {
        self.start(at, -i64::from(days_before))
    }

    /// When the next day begins: the reset of daily limits.
    #[must_use]
    pub fn next_day(&self, at: Timestamp) -> Timestamp {
        self.start(at, 1)
    }

    /// An instant on this marketplace's clock: `2026-11-23 00:00 CET`.
    #[must_use]
    pub fn minute(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    fn start(&self, at: Timestamp, days: i64) -> Timestamp {
        let day = self.zoned(at).date().saturating_add(Span::new().days(days.clamp(-100_000, 100_000)));
        // Where a day begins with a gap (Cairo, Beirut), its first instant comes after the gap.
        day.to_zoned(self.zone.clone()).map_or(at, |zoned| Timestamp(zoned.timestamp().as_microsecond()))
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn days_follow_the_marketplace_over_daylight_saving_and_leap_days() {
        let madrid = Calendar::new("Europe/Madrid").unwrap();
        let hours = |day: &str| {
            let noon = at(&format!("{day}T12:00:00Z"));
            madrid.next_day(noon).since(madrid.start_of_day(noon, 0)).as_secs() / 3600
        };
        assert_eq!([hours("2026-03-29"), hours("2026-10-25"), hours("2026-11-22")], [23, 25, 24]);
        assert_eq!(madrid.day(at("2026-11-22T23:30:00Z")), Day(20_261_123), "already tomorrow there");
        assert_eq!(madrid.day(at("2028-02-29T12:00:00Z")), Day(20_280_229));
        assert_eq!(madrid.start_of_day(at("2028-03-01T12:00:00Z"), 1), at("2028-02-28T23:00:00Z"));
        assert_eq!(madrid.minute(madrid.next_day(at("2026-11-22T12:00:00Z"))), "2026-11-23 00:00 CET");
        assert!(Calendar::new("Europe/Atlantis").is_none());
    }

    #[test]
    fn a_clock_beyond_the_calendar_is_no_panic() {
        let utc = Calendar::new("UTC").unwrap();
        for wild in [Timestamp(i64::MIN), Timestamp(i64::MAX), Timestamp(-1)] {
            let _ = (utc.day(wild), utc.next_day(wild), utc.start_of_day(wild, u32::MAX), utc.minute(wild));
        }
    }
}
