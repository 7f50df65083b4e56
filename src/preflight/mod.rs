//! Preflight: the abilities of the kernel, its settings and the C library, each with its reason.
//!
//! Why do counters stay empty, or old flows send no events? Call [`Preflight::read`] or [`Handle::preflight`]
//! when you start, and print the [missing](Preflight::missing) features.

mod assess;
mod cause;
mod facts;
mod feature;

use std::fmt;

pub use cause::Cause;
pub use feature::Feature;

use crate::handle::Handle;
pub use crate::kernel::KernelRelease;
use facts::Facts;

/// The abilities of the kernel, its settings in one network namespace, and the C library: each
/// [`Feature`] with its [`State`] and its [`Cause`], so that you can report in advance why an answer will be
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
/// Filters are tried on the running kernel, in network namespaces that are made for this, and the result is
/// remembered. That takes `CAP_SYS_ADMIN` and some ten milliseconds, more where the machine has large tables.
/// Without it the release of the kernel decides about most listings; flushes, and listings by IPv6 address,
/// are [`State::Unknown`] then and not left to the kernel. If you sandbox your program, allow unshare(2) or
/// have it refused with an error: a sandbox that ends programs for the call ends yours. Settings are read
/// from `/proc`. Nothing that exists is changed; where the kernel has connection tracking built in and
/// translation as a module, the trial has that loaded, as any request with NAT would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    kernel: Option<KernelRelease>,
    library: Option<Library>,
    /// In the order of [`Feature::ALL`].
    capabilities: Vec<Capability>,
}

impl Preflight {
    /// Reads the abilities in the network namespace of the calling thread.
    ///
    /// It never fails: a feature that cannot be assessed is [`State::Unknown`], with the reason.
    #[must_use]
    pub fn read() -> Self {
        Self::from_facts(&Facts::gather(Handle::open().as_mut().map_err(|error| &*error)))
    }

    fn from_facts(facts: &Facts) -> Self {
        let capability = |feature: &Feature| {
            let (state, decided_by) = facts.assess(*feature);
            Capability { feature: *feature, state, decided_by }
        };
        Self {
            kernel: facts.kernel,
            library: facts.library.as_ref().map(|library| library.releases.clone()),
            capabilities: Feature::ALL.iter().map(capability).collect(),
        }
    }

    /// That of a kernel with everything.
    #[cfg(all(test, feature = "save"))]
    pub(crate) fn of_everything() -> Self {
        Self::from_facts(&assess::tests::everything(6, 18))
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

    /// All features. `for capability in &preflight` does the same.
    pub fn iter(&self) -> std::slice::Iter<'_, Capability> {
        self.capabilities.iter()
    }

    /// The features that are missing, limited or unknown. Print them when you start.
    pub fn missing(&self) -> impl Iterator<Item = &Capability> {
        self.iter().filter(|capability| capability.state != State::Available)
    }

    /// The release of the running kernel, where it can be read.
    #[must_use]
    pub fn kernel(&self) -> Option<KernelRelease> {
        self.kernel
    }

    /// The releases of the C library; `None` where the crate was built without it (feature `nfct`).
    #[must_use]
    pub fn library(&self) -> Option<&Library> {
        self.library.as_ref()
    }
}

impl<'a> IntoIterator for &'a Preflight {
    type Item = &'a Capability;
    type IntoIter = std::slice::Iter<'a, Capability>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Handle {
    /// Reads the abilities in the handle's network namespace; see [`Preflight`]. If your thread is in another
    /// one, reading the settings takes `CAP_SYS_ADMIN`.
    ///
    /// It never fails: a feature that cannot be assessed is [`State::Unknown`], with the reason.
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

/// A feature with its state, and the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// The feature.
    pub feature: Feature,
    /// Whether it is there.
    pub state: State,
    /// The cause of the state.
    pub decided_by: Cause,
}

impl Capability {
    /// The consequence, unless it is [`Available`](State::Available); the possible one where it is
    /// [`Unknown`](State::Unknown).
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
            (Some(consequence), State::Unknown) if !self.feature.is_used_when_seen_only() => {
                write!(f, "; if it is missing, {consequence}")
            }
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

/// The releases of the C library. The three that are supported share one file name, so your program may run
/// with another one than it was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Library {
    /// The release whose headers your program was built with.
    pub built_with: &'static str,
    /// The oldest release that the library at hand can be, by its abilities.
    pub runs_with: &'static str,
}
