//! The life of one instance: kept fresh while it is used, ended when it is idle, silent, dead or told to.
//!
//! Must never end an instance that a call uses, except where it is dead or the gateway stops; and must
//! never return before what it supervised is gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Duty, Shared};
use crate::upstream::failure::Detail;
use crate::upstream::instance::{Attendance, Instance};
use crate::upstream::notice::Notice;
use crate::wire::ListKind;

/// At most one refresh of the tools of an upstream, and one announcement of what else an instance lists, in
/// this time (CASES F42).
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Why an instance ends.
enum End {
    /// Nobody used it for `instance_idle`.
    Idle,
    /// The gateway stops, or its settings are no longer in force.
    Told(Duty),
    /// It takes no new calls; those that run end first.
    Retired,
    /// It is gone.
    Gone(Detail),
    /// It no longer talks.
    Silent,
}

/// Stays with `instance` until it has ended.
pub(super) async fn supervise(shared: &Shared, instance: &Arc<Instance>, mut attendance: Attendance) {
    let end = wait(shared, instance, &mut attendance).await;
    let upstream = shared.parts.settings.name.clone();
    let why = match end {
        End::Idle => Detail::new("it was idle"),
        End::Told(duty) => {
            shared.note_leaving(instance);
            match duty {
                Duty::Retire => Detail::new("its settings are no longer in force"),
                Duty::Serve | Duty::Stop => Detail::new("the gateway stops"),
            }
        }
        End::Retired => {
            shared.note_leaving(instance);
            finish(shared, instance, &mut attendance).await;
            Detail::new("its session expired")
        }
        End::Gone(why) => {
            shared.parts.counters.exits.count();
            shared.note_died(instance);
            why
        }
        End::Silent => {
            shared.parts.counters.exits.count();
            shared.note_died(instance);
            Detail::new("it no longer answered")
        }
    };
    // Whatever still waits fails now and not by its deadline.
    instance.exchange().close(&why);
    attendance.stop().await;
    shared.parts.notices.tell(Notice::Exited { upstream, why });
}

async fn wait(shared: &Shared, instance: &Arc<Instance>, attendance: &mut Attendance) -> End {
    let mut duty = shared.duty.subscribe();
    tokio::select! {
        biased;
        why = attendance.ended() => End::Gone(why),
        duty = told(&mut duty) => End::Told(duty),
        () = instance.exchange().retired() => End::Retired,
        () = silent(instance) => End::Silent,
        () = idle(shared, instance) => End::Idle,
        () = refresh(shared, instance) => End::Told(Duty::Stop),
        () = announce(shared, instance) => End::Told(Duty::Stop),
    }
}

/// Waits until the instances are no longer to serve.
async fn told(duty: &mut watch::Receiver<Duty>) -> Duty {
    // The pool holds the sender for as long as an instance of it lives.
    duty.wait_for(|duty| *duty != Duty::Serve).await.map_or(Duty::Stop, |duty| *duty)
}

/// Lets the calls of a retired instance end; each has its deadline.
async fn finish(shared: &Shared, instance: &Arc<Instance>, attendance: &mut Attendance) {
    let mut uses = instance.uses().subscribe();
    let mut duty = shared.duty.subscribe();
    tokio::select! {
        _ = uses.wait_for(|uses| *uses == 0) => {}
        _ = attendance.ended() => {}
        _ = told(&mut duty) => {}
    }
}

/// Returns when nobody used the instance for `instance_idle`, and nobody can get it any more.
async fn idle(shared: &Shared, instance: &Arc<Instance>) {
    let mut uses = instance.uses().subscribe();
    loop {
        // The instance holds the sender, so that neither wait can fail.
        let _ = uses.wait_for(|uses| *uses == 0).await;
        let used = uses.wait_for(|uses| *uses > 0);
        let is_quiet = timeout(shared.parts.settings.instance_idle, used).await.is_err();
        if is_quiet && shared.note_leaving_if_unused(instance).is_some() {
            return;
        }
    }
}

/// Returns when a call failed and a `ping` after it fails as well: health is a round
/// trip, not an open connection (CASES F26). A slow tool alone ends nothing (F48).
async fn silent(instance: &Arc<Instance>) {
    loop {
        instance.exchange().suspected().await;
        if instance.ping().await.is_err() && !instance.exchange().is_retired() {
            return;
        }
    }
}

/// Reads the tools anew whenever they are said to have changed, at most once a second for the whole
/// upstream, however often that is said (CASES F42). Never returns.
async fn refresh(shared: &Shared, instance: &Arc<Instance>) {
    let mut changes = instance.exchange().list_changes();
    while changes.changed().await.is_ok() {
        let _turn = shared.refreshing.lock().await;
        changes.mark_unchanged();
        shared.parts.counters.refreshes.count();
        match instance.list(shared.parts.settings.start_timeout).await {
            Ok(offered) => {
                shared.keeper.offer(&shared.parts.settings, offered, instance.revision()).await;
            }
            Err(failure) => {
                let upstream = &shared.parts.settings.name;
                tracing::warn!(%upstream, %failure, "the changed tools of a tool server cannot be listed");
                instance.exchange().suspect();
            }
        }
        sleep(REFRESH_INTERVAL).await;
    }
    std::future::pending().await
}

/// Tells those who share the instance whenever it says that its prompts or resources changed, at most once a
/// second. Never returns.
async fn announce(shared: &Shared, instance: &Arc<Instance>) {
    let mut changes = instance.exchange().entry_changes();
    let mut told = *changes.borrow_and_update();
    while changes.changed().await.is_ok() {
        let now = *changes.borrow_and_update();
        for kind in [ListKind::Prompts, ListKind::Resources] {
            if let Some(audience) = shared.audience(instance).filter(|_| now.of(kind) != told.of(kind)) {
                let upstream = shared.parts.settings.name.clone();
                shared.parts.notices.tell(Notice::EntriesChanged { upstream, audience, kind });
            }
        }
        told = now;
        sleep(REFRESH_INTERVAL).await;
    }
    std::future::pending().await
}
