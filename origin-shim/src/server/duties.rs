//! What is done beside serving, on the main thread, for as long as the process runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admin::AdminListener;
use crate::control::Control;
use crate::edge_outbox::{NotTold, Told};
use crate::edge_signature::Report;
use crate::process_log;
use crate::saved_answers::Saved;
use crate::shadows;
use crate::tallies::Rehearsals;
use crate::tokens::FetchError;

/// What a policy needs beside requests, wherever they come from, for ever.
pub(crate) async fn of_the_policy(control: &Control) {
    tokio::join!(
        control.keep_tokens_fresh(complain),
        control.check_upstreams(),
        control.end_overrides(),
        control.shared().history().keep(control),
        tell_of_refusals(control),
        tell_edge(control),
    );
}

fn complain(error: &FetchError) {
    process_log::warning(format_args!("{error}; the last good keys stay"), &[]);
}

/// Tells the edge what is invalidated here, for ever.
async fn tell_edge(control: &Control) {
    let outbox = Arc::clone(&control.shared().in_force().outbox);
    let edge = || control.shared().in_force().policy.model().edge.clone();
    let complain = |why: &NotTold| {
        process_log::warning(
            format_args!(
                "the edge does not hear what is invalidated: {why}; it is told again, and of \
                 everything if too much comes together"
            ),
            &[],
        );
    };
    let relieved = || process_log::info("the edge has heard what was invalidated", &[]);
    outbox.tell_edge(edge, complain, relieved).await;
}

/// What came last, when nothing more comes.
pub(super) async fn tell_edge_the_rest(control: &Control) {
    let in_force = control.shared().in_force();
    loop {
        match in_force.outbox.tell(&in_force.policy.model().edge).await {
            Ok(Told::Nothing) => return,
            Ok(Told::Items(_)) => {}
            Err(why) => {
                return process_log::error(
                    format_args!(
                        "the edge has not heard all that was invalidated: {why}; purge it by \
                         `tidegate purge --everything`"
                    ),
                    &[],
                );
            }
        }
    }
}

/// Keeps what is stored for the next process. Where that is there already, it has a store of its
/// own, and what is void by then nobody would tell it.
pub(super) fn keep_snapshot(control: &Control) {
    match control.keep_snapshot() {
        Ok(None) => {}
        Ok(Some(Saved { answers, bytes })) => {
            process_log::info(
                format_args!("kept for the next start: {answers} stored answers, {bytes} bytes"),
                &[("answers", &answers), ("bytes", &bytes)],
            );
        }
        Err((path, error)) => {
            let path = path.display();
            process_log::error(
                format_args!("what is stored is not kept for the next start: {path}: {error}"),
                &[("file", &path)],
            );
        }
    }
}

/// The same for other shims.
pub(super) async fn tell_shims_the_rest(control: &Control) {
    if let Some(tier) = &control.shared().in_force().second_tier
        && !tier.told().await
    {
        process_log::error(
            "other shims have not heard all that was invalidated; purge it by `tidegate purge \
             --everything`",
            &[],
        );
    }
}

/// Lets a running shim be operated, for ever.
pub(super) async fn operate(admin: Option<AdminListener>, control: &Arc<Control>) {
    if let Some(admin) = admin
        && let Err(error) = admin.serve(Arc::clone(control)).await
    {
        process_log::error(format_args!("the admin listener ends: {error}"), &[]);
    }
    std::future::pending().await
}

/// Says what limits would refuse that are rehearsed, whom the edge did not send, and what caches
/// would have answered differently that only watch, for ever.
async fn tell_of_refusals(control: &Control) {
    /// A look costs a few additions for each limit that is rehearsed.
    const EVERY: Duration = Duration::from_secs(1);
    let (mut rehearsals, mut unsigned) = (Rehearsals::default(), Report::default());
    let mut shadows = shadows::Report::default();
    let start = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        let in_force = control.shared().in_force();
        let limits = &in_force.policy.model().limits;
        for line in rehearsals.look(limits, &in_force.tallies, start.elapsed()) {
            process_log::warning(line, &[]);
        }
        if let Some(line) = unsigned.look(&in_force.edge, start.elapsed()) {
            process_log::warning(line, &[]);
        }
        for line in shadows.look(&in_force.shadows, start.elapsed()) {
            process_log::warning(line, &[]);
        }
    }
}
