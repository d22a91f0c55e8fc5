//! Any bytes as a report of a mail system, alone, as its status and as its words: no panic, and little is kept of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::mime;
use mail::report::read_report;

/// A report names a recipient, sometimes a few hundred; more than this is no report.
const MOST: usize = 10_000;
/// In front of the bytes, so that they stand where a report is read.
const FRAMES: [&str; 4] = [
    "",
    "From: MAILER-DAEMON@x.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n",
    "From: fbl@x.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n",
    "Return-Path: <>\r\nFrom: MAILER-DAEMON@x.example\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program at x.example.\r\n",
];

fuzz_target!(|data: &[u8]| {
    for frame in FRAMES {
        let octets = [frame.as_bytes(), data].concat();
        let Ok(message) = mime::parse(&octets) else { continue };
        let Some(report) = read_report(&message) else { continue };
        assert!(report.recipients.len() <= MOST && report.original_ids.len() <= MOST && report.reverse_paths.len() <= MOST);
        for recipient in &report.recipients {
            // A status code goes into the record and into a report of our own.
            let status = recipient.status.as_deref().unwrap_or_default();
            assert!(status.len() <= 20 && status.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{status:?}");
            let kept = [&recipient.final_recipient, &recipient.diagnostic].map(|text| text.as_ref().map_or(0, String::len));
            assert!(kept.iter().all(|len| *len <= octets.len() * 4 + 4));
        }
    }
});
