//! Ctrl-C: the first asks the run to stop cleanly, the second ends it at once.

#[cfg(unix)]
use std::task::Poll;

use tokio::sync::watch;

use crate::display::Reporter;

/// Says whether the run was asked to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// One that is never asked, and one that already was, are what tests and the demo need.
    pub fn fixed(requested: bool) -> Self {
        Self(watch::channel(requested).1)
    }

    /// A stop and the switch that requests it.
    pub fn with_switch() -> (Self, StopSwitch) {
        let (sender, receiver) = watch::channel(false);
        (Self(receiver), StopSwitch(sender))
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the run is asked to stop; never, if nobody can ask any more.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Requests a stop.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

impl StopSwitch {
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Requests a stop at the first signal and returns at the second.
    pub async fn on_signals(&self, reporter: &Reporter) {
        // One listener for both: a second signal that follows at once is not lost.
        let mut signals = Signals::listen();
        signals.next().await;
        self.request();
        reporter.interrupted();
        signals.next().await;
    }
}

/// Returns at the first signal: for what may be left as it is.
pub async fn first_signal() {
    Signals::listen().next().await;
}

#[cfg(unix)]
#[derive(Debug)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    /// What cannot be listened to ends the process by itself, as it would without us.
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        Self(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let came = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    /// Without a handler there is nothing to wait for: the system's own then ends the process.
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_seen_by_every_clone() {
        let (stop, switch) = Stop::with_switch();
        let other = stop.clone();
        assert!(!other.is_requested());
        switch.request();
        other.requested().await;
        assert!(stop.is_requested());
    }

    #[test]
    fn a_fixed_stop_stays_as_it_is() {
        assert!(Stop::fixed(true).is_requested());
        assert!(!Stop::fixed(false).is_requested());
    }
}
