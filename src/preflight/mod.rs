//! What the kernel, its settings and the C library can do, and what decides that.
//!
//! An exporter whose counters stay empty, or a program that hears nothing of old flows, need not guess:
//! [`Preflight::read`] or [`Handle::preflight`], and print what is [missing](Preflight::missing).

mod decider;
mod facts;
mod feature;
mod judge;

use std::fmt;

pub use decider::Decider;
pub use feature::Feature;

use crate::handle::Handle;
pub use crate::kernel::KernelRelease;
use facts::Facts;

/// What the kernel, its settings in one network namespace, and the C library can do: each
/// [`Feature`] with its [`State`] and what decides it, so that a program can say why an answer will be
/// missing.
///
/// It is read once. Settings may change afterwards, and most hold for flows that begin then.
///
/// ```no_run
/// use netfilter_conntrack::preflight::{Feature, Preflight};
///
/// let preflight = Preflight::read();
/// if !preflight.has(Feature::Accounting) {
///     // accounting: missing, because net.netfilter.nf_conntrack_acct is 0; flows that begin now have
///     // no counters
///     eprintln!("{}", preflight.capability(Feature::Accounting));
/// }
/// ```
///
/// What a kernel does with filters is seen in trials, in network namespaces that are made for them, and
/// remembered. That takes `CAP_SYS_ADMIN` and some ten milliseconds, more where the machine has large
/// tables. Without it the release of the kernel decides about listings; flushes are not left to a kernel
/// that was not seen. A sandbox has to allow unshare(2) or refuse it with an error: one that ends programs
/// for the call ends this one. Settings are read from `/proc`. Nothing that exists is changed; where the kernel
/// has connection tracking built in and translation as a module, the trial has that loaded, as any
/// request with NAT would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    kernel: Option<KernelRelease>,
    library: Library,
    /// In the order of [`Feature::ALL`].
    capabilities: Vec<Capability>,
}

impl Preflight {
    /// Reads what can be done in the network namespace of the calling thread.
    ///
    /// There is no error: what cannot be found out is [`State::Unknown`], with the reason.
    #[must_use]
    pub fn read() -> Self {
        Self::from_facts(&Facts::gather(Handle::open().as_mut().map_err(|error| &*error)))
    }

    fn from_facts(facts: &Facts) -> Self {
        let capability = |feature: &Feature| {
            let (state, decided_by) = facts.judge(*feature);
            Capability { feature: *feature, state, decided_by }
        };
        Self {
            kernel: facts.kernel,
            library: facts.library.clone(),
            capabilities: Feature::ALL.iter().map(capability).collect(),
        }
    }

    /// That of a kernel with everything.
    #[cfg(all(test, feature = "json"))]
    pub(crate) fn of_everything() -> Self {
        Self::from_facts(&judge::tests::everything(6, 18))
    }

    /// Whether this is there or not, and why.
    #[must_use]
    pub fn capability(&self, feature: Feature) -> &Capability {
        // Features are numbered as they are in `ALL`.
        &self.capabilities[feature as usize]
    }

    /// Whether this is there, without limits: [`State::Available`].
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.capability(feature).state == State::Available
    }

    /// All features.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.capabilities.iter()
    }

    /// Those that are not there, or not without limits, or not known to be.
    pub fn missing(&self) -> impl Iterator<Item = &Capability> {
        self.iter().filter(|capability| capability.state != State::Available)
    }

    /// The release of the running kernel, where it can be read.
    #[must_use]
    pub fn kernel(&self) -> Option<KernelRelease> {
        self.kernel
    }

    /// The releases of the C library.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }
}

impl Handle {
    /// Reads what can be done in the handle's network namespace, wherever the calling thread is; see
    /// [`Preflight`]. To read the settings of another namespace takes `CAP_SYS_ADMIN`.
    ///
    /// There is no error: what cannot be found out is [`State::Unknown`], with the reason.
    #[must_use]
    pub fn preflight(&mut self) -> Preflight {
        Preflight::from_facts(&Facts::gather(Ok(self)))
    }
}

/// A sentence a line.
impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|capability| writeln!(f, "{capability}"))
    }
}

/// Whether something can be done, and what decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// What it is about.
    pub feature: Feature,
    /// Whether it is there.
    pub state: State,
    /// What decides that.
    pub decided_by: Decider,
}

impl Capability {
    /// What is missing because of it, unless it is [`Available`](State::Available); where it is
    /// [`Unknown`](State::Unknown), what may be.
    #[must_use]
    pub fn consequence(&self) -> Option<&'static str> {
        self.feature.consequence(self.state)
    }
}

/// One sentence: `accounting: missing, because net.netfilter.nf_conntrack_acct is 0; flows that begin
/// now have no counters`.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, because {}", self.feature, self.state, self.decided_by)?;
        match (self.consequence(), self.state) {
            (None, _) => Ok(()),
            (Some(consequence), State::Unknown) => write!(f, "; if it is missing, {consequence}"),
            (Some(consequence), _) => write!(f, "; {consequence}"),
        }
    }
}

/// Whether something can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum State {
    /// It can.
    Available,
    /// It can, but not always: see [`Capability::consequence`].
    Limited,
    /// It cannot.
    Missing,
    /// That could not be found out.
    Unknown,
}

/// As in `available`.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Available => "available",
            Self::Limited => "limited",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        })
    }
}

/// The releases of the C library. The three that are supported share one file name, so the library
/// that a program runs with need not be the one that it was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Library {
    /// The release whose headers the program was built with.
    pub built_with: &'static str,
    /// The release that the library at hand is at least, by what it knows.
    pub runs_with: &'static str,
}
