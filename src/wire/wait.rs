//! How long to wait.

use std::time::{Duration, Instant};

/// How long to wait for something to receive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// Not at all, which needs no look at the clock.
    No,
    Until(Instant),
    ForEver,
}

impl Wait {
    /// What is left of it; `None` when it has no end.
    pub(super) fn left(self) -> Option<Duration> {
        match self {
            Self::No => Some(Duration::ZERO),
            Self::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Self::ForEver => None,
        }
    }

    /// Whether it has been long enough.
    pub(crate) fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}
