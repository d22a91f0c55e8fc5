//! Response figures of a seller (E4), over the marketplace's calendar days.

use domain::figures::{Figures, Judge, Judged};
use domain::{SellerId, Timestamp};

use crate::context::Context;
use crate::error::{InputError, OperationError};

/// The windows that are offered, in days.
pub const WINDOWS: [u32; 3] = [7, 30, 90];
/// How far before the window turns are followed, so that one that began before it is known for that.
const LOOK_BACK_DAYS: u32 = 30;
/// Messages read at once.
const PAGE: usize = 2_000;

/// The figures of a window, and every message of the buyers in it with why it counts or not.
#[derive(Debug, Clone)]
pub struct ResponseFigures {
    /// Days of the window.
    pub days: u32,
    /// Its first instant.
    pub since: Timestamp,
    /// Its last.
    pub until: Timestamp,
    /// The figures.
    pub figures: Figures,
    /// The messages, oldest first.
    pub messages: Vec<Judged>,
}

/// The figures of the last `days` days of the marketplace, today included.
///
/// # Errors
/// `Invalid` another window, `Missing` an unknown seller.
pub async fn response_figures(ctx: &Context, seller: SellerId, days: u32) -> Result<ResponseFigures, OperationError> {
    if !WINDOWS.contains(&days) {
        return Err(InputError::new("days", "invalid_window", "7, 30 or 90").into());
    }
    let missing = || OperationError::Missing { what: "seller", detail: "there is no such seller".to_owned() };
    let row = ctx.store.find_seller(seller).await?.ok_or_else(missing)?;
    let marketplace = ctx.settings.by_id(&row.marketplace).ok_or_else(missing)?;
    let now = ctx.clock.now();
    let since = marketplace.calendar.start_of_day(now, days - 1);
    let from = marketplace.calendar.start_of_day(now, days - 1 + LOOK_BACK_DAYS);
    let mut judge = Judge::default();
    let mut after = None;
    loop {
        let page = ctx.store.list_turns(seller, from, after, PAGE).await?;
        page.iter().for_each(|m| judge.take(m));
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some((last.at, last.id)),
            _ => break,
        }
    }
    let (figures, messages) = judge.finish(since, now);
    Ok(ResponseFigures { days, since, until: now, figures, messages })
}
