//! Ledger entries.

use domain::id::PairId;
use store::{LedgerEntry, ScanPlace, rows};

use crate::connection::Session;
use crate::error::Failure;
use crate::pairs::limit_number;
use crate::read::{all, octets};

pub(crate) async fn list(s: &Session, pair: PairId, from: i64, limit: usize) -> Result<Vec<LedgerEntry>, Failure> {
    let sql = format!("SELECT {} FROM ledger WHERE bucket = $1 AND pair = $2 AND number >= $3 ORDER BY number LIMIT $4", rows::LEDGER);
    all(s, &sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &from, &limit_number(limit)], rows::ledger_entry).await
}

pub(crate) async fn scan(s: &Session, after: Option<ScanPlace>, limit: usize) -> Result<Vec<LedgerEntry>, Failure> {
    let (bucket, pair, number) = after.map_or((-1, Vec::new(), 0), |p| (p.pair.bucket().number(), p.pair.as_bytes().to_vec(), p.number));
    let sql =
        format!("SELECT {} FROM ledger WHERE (bucket, pair, number) > ($1, $2, $3) ORDER BY bucket, pair, number LIMIT $4", rows::LEDGER);
    all(s, &sql, &[&bucket, &pair, &number, &limit_number(limit)], rows::ledger_entry).await
}
