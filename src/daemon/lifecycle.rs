//! From READY to the end: signals, the watchdog, and a stop that loses nothing.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};

use super::{DRAIN, Daemon};
use crate::config::Diagnostic;

impl Daemon {
    /// Runs until SIGTERM or SIGINT; a second one does not wait for deliveries in flight. SIGHUP
    /// reads the configuration again.
    pub async fn run(self) -> ExitCode {
        let listen = |kind| signal(kind).expect("signal handlers can be installed");
        let mut terminate = listen(SignalKind::terminate());
        let mut interrupt = listen(SignalKind::interrupt());
        let mut hangup = listen(SignalKind::hangup());
        let mut watchdog = watchdog();
        tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    let stops = again(&mut terminate, &mut interrupt);
                    if self.reload_unless(stops, &mut watchdog).await.is_break() {
                        break;
                    }
                }
                () = tick(&mut watchdog) => tell(&[NotifyState::Watchdog]),
            }
        }
        tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
        tracing::info!("stopping: finishing what is in flight; a second signal does not wait");
        let hard = self.lanes.hard.clone();
        let mut stop = std::pin::pin!(self.stop());
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = again(&mut terminate, &mut interrupt) => {
                    tracing::warn!("stopping at once; what was in flight is taken up again at the next start");
                    hard.cancel();
                    break;
                }
                // Finishing may take longer than systemd waits for a sign of life.
                () = tick(&mut watchdog) => tell(&[NotifyState::Watchdog]),
            }
        }
        ExitCode::SUCCESS
    }

    /// Deliveries in flight and a full disk may hold it up for longer than systemd, or whoever stops
    /// the daemon, would wait.
    async fn reload_unless(
        &self,
        stops: impl Future<Output = ()>,
        watchdog: &mut Option<tokio::time::Interval>,
    ) -> ControlFlow<()> {
        let mut stops = std::pin::pin!(stops);
        let mut reload = std::pin::pin!(self.reload_by_signal());
        loop {
            tokio::select! {
                () = &mut reload => return ControlFlow::Continue(()),
                () = &mut stops => return ControlFlow::Break(()),
                () = tick(watchdog) => tell(&[NotifyState::Watchdog]),
            }
        }
    }

    async fn reload_by_signal(&self) {
        tell(&[NotifyState::Status("reading the configuration again")]);
        match self.reload().await {
            Ok(warnings) => {
                say(&warnings);
                tracing::info!("the new configuration is in force");
            }
            Err(mistakes) => {
                say(&mistakes);
                tracing::error!(
                    "the old configuration stays in force; `scim-relay check` shows the mistakes"
                );
            }
        }
        tell(&[NotifyState::Status("serving")]);
    }

    /// Takes no more requests, finishes those there are, lets deliveries in flight end, closes.
    pub async fn stop(self) {
        let end = Instant::now() + DRAIN;
        self.health.set_ready(false);
        self.listening.cancel();
        self.servers.close();
        self.servers.wait().await;
        self.lanes.soft.cancel();
        self.generation.load().cancel();
        self.lanes.tasks.close();
        if timeout_at(end, self.lanes.tasks.wait()).await.is_err() {
            tracing::warn!(
                "deliveries in flight were cut off; they are taken up again at the next start"
            );
            self.lanes.hard.cancel();
            self.lanes.tasks.wait().await;
        }
        if let Err(error) = self.tokens.flush(self.store.as_ref()).await {
            tracing::warn!(%error, "cannot write down when tokens were last used");
        }
        if let Err(error) = self.operator.note_seen().await {
            tracing::warn!(%error, "cannot write down which sessions were used");
        }
        self.store.close().await;
    }
}

async fn again(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ticks twice as often as systemd wants to hear of us.
fn watchdog() -> Option<tokio::time::Interval> {
    let every = sd_notify::watchdog_enabled()? / 2;
    Some(tokio::time::interval(every.max(Duration::from_millis(100))))
}

async fn tick(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

fn say(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        if diagnostic.is_error() {
            tracing::error!("{diagnostic}");
        } else {
            tracing::warn!("{diagnostic}");
        }
    }
}
