//! What is done from time to time: digests of refused mail, deliveries that a wrong clock deferred, the age of the
//! certificate as a metric.

use std::sync::Arc;
use std::time::Duration;

use operations::{Context, bring_deliveries_forward, send_digests};
use tokio::sync::watch;

use crate::app::Present;
use crate::certificates::Certificates;

/// How often it is looked; a digest is due once a day.
const EVERY: Duration = Duration::from_secs(600);

/// Runs until `shutdown` turns true, with whatever configuration is in force.
pub(crate) async fn run(current: watch::Receiver<Present>, mut shutdown: watch::Receiver<bool>) {
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = due.tick() => {
                let (ctx, certificates) = {
                    let present = current.borrow();
                    (Arc::clone(&present.ctx), present.certificates.clone())
                };
                // Cut off where the service ends: what is left is done at the next start.
                tokio::select! {
                    () = once(&ctx, certificates.as_ref()) => {}
                    () = is_down(&mut shutdown) => return,
                }
            }
            () = is_down(&mut shutdown) => return,
        }
    }
}

async fn is_down(shutdown: &mut watch::Receiver<bool>) {
    drop(shutdown.wait_for(|down| *down).await);
}

async fn once(ctx: &Context, certificates: Option<&Certificates>) {
    let ends = certificates.and_then(Certificates::expires_at).map_or(0, |at| at.unix_seconds());
    ctx.metrics.certificate_ends.set(ends);
    match bring_deliveries_forward(ctx).await {
        Ok(0) => {}
        Ok(deliveries) => tracing::warn!(deliveries, "the clock was ahead; what it deferred too far is due now"),
        Err(error) => tracing::error!(%error, "deliveries could not be looked through; they are looked at again"),
    }
    match send_digests(ctx).await {
        Ok(0) => {}
        Ok(sent) => tracing::info!(sent, "sellers were told what mail to their buyers was refused"),
        Err(error) => tracing::error!(%error, "the digests of refused mail were not sent; they are tried again"),
    }
}
