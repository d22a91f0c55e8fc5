//! Instants as people and formats write them.

use domain::Timestamp;

fn utc(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// RFC 5322, section 3.3, in UTC (privacy H31).
pub(crate) fn rfc5322(at: Timestamp) -> String {
    utc(at).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// `YYYYMM`, which names the table of a body.
pub(crate) fn month(at: Timestamp) -> i32 {
    utc(at).strftime("%Y%m").to_string().parse().unwrap_or(197_001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let at = Timestamp(1_795_316_400_000_000);
        assert_eq!((rfc5322(at).as_str(), month(at)), ("Sun, 22 Nov 2026 03:00:00 +0000", 202_611));
    }
}
