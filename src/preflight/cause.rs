//! Causes: the facts that decide about a feature.

use std::fmt;

use crate::kernel::KernelRelease;

/// The cause of a feature's state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "by", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Cause {
    /// A setting of the network namespace.
    Sysctl {
        /// As sysctl(8) calls it.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// The result of a trial on the running kernel, in a network namespace that was made for it.
    Trial,
    /// The answer of the kernel or the library to a question that changes nothing.
    Answer,
    /// The kernel's release, which is one that brought it, or an older one.
    Kernel {
        /// The release that brought it.
        since: KernelRelease,
        /// The release of the running kernel.
        running: KernelRelease,
    },
    /// The kernel's release, which no longer has it.
    Removed {
        /// The first release without it.
        in_release: KernelRelease,
        /// The release of the running kernel.
        running: KernelRelease,
    },
    /// An option that the kernel was built without.
    Build {
        /// As in `CONFIG_NF_CONNTRACK_ZONES`.
        option: &'static str,
    },
    /// A module of the kernel.
    Module {
        /// Its name.
        name: &'static str,
        /// Whether it is loaded.
        loaded: bool,
    },
    /// How full the table is.
    Usage {
        /// Entries in the table.
        entries: u32,
        /// Entries that there may be; 0 is no limit.
        limit: u32,
    },
    /// The C library that the program runs with, independent of the headers that it was built with.
    Library {
        /// The release that brought it.
        since: &'static str,
        /// Whether the library is of that release or a later one.
        known: bool,
    },
    /// This crate was built without one of its features.
    Crate {
        /// The feature.
        feature: &'static str,
    },
    /// The kernel refuses.
    Refused {
        /// The error.
        reason: String,
    },
    /// It could not be found out.
    Undecided {
        /// The reason: a fact that could not be read, or a trial that could not be made.
        reason: String,
    },
}

/// The text after "because": `net.netfilter.nf_conntrack_acct is 0`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl { name, value } => write!(f, "{name} is {value}"),
            Self::Trial => f.write_str("a trial on this kernel showed it"),
            Self::Answer => f.write_str("it answers so when asked"),
            Self::Kernel { since, running } => write!(f, "Linux {since} brought it and this is {running}"),
            Self::Removed { in_release, running } => {
                write!(f, "Linux {in_release} gave it up and this is {running}")
            }
            Self::Build { option } => write!(f, "the kernel was built without {option}"),
            Self::Module { name, loaded: true } => write!(f, "module {name} is loaded"),
            Self::Module { name, loaded: false } => write!(f, "module {name} is not loaded"),
            Self::Usage { entries, limit: 0 } => {
                write!(
                    f,
                    "there are {entries} entries and net.netfilter.nf_conntrack_max is 0, which is no limit"
                )
            }
            Self::Usage { entries, limit } => write!(f, "there are {entries} entries of at most {limit}"),
            Self::Library { since, known } => {
                let age = if *known { "as new" } else { "older" };
                write!(f, "libnetfilter_conntrack {since} brought it and the one that runs is {age}")
            }
            Self::Crate { feature } => write!(f, "the crate was built without its feature {feature}"),
            Self::Refused { reason } | Self::Undecided { reason } => f.write_str(reason),
        }
    }
}
