//! The meaning of one errno for different operations, as text.

use std::borrow::Cow;

use super::{Error, Failure, Operation, Subject};

pub(super) fn not_found(failure: &Failure) -> &'static str {
    match (failure.operation(), failure.subject()) {
        (_, Subject::Namespace(_)) => "no such namespace",
        // It was made, and then it was not there.
        (Operation::Create | Operation::CreateOrUpdate, Subject::Expectation(_)) => "no such expectation",
        // These need no entry but a master.
        (Operation::Create | Operation::CreateOrUpdate, _) | (_, Subject::ExpectationOf(_)) => {
            "no such master"
        }
        (Operation::Filter, _) => "no such filter",
        _ => "no such entry",
    }
}

pub(super) fn permission_denied(failure: &Failure) -> Cow<'static, str> {
    match failure.denied() {
        Some(denied) => format!("permission denied; {denied}").into(),
        // That of a file.
        None => "permission denied".into(),
    }
}

pub(super) fn table_full(failure: &Failure) -> &'static str {
    match failure.raw_os_error() {
        Some(libc::ENOSPC) => "its bucket of the hash table is full (nf_conntrack_buckets)",
        _ => "the table is full, or the kernel is out of memory",
    }
}

pub(super) fn busy(failure: &Failure) -> &'static str {
    match failure.operation() {
        Operation::Create => "a part of it, as status bits, cannot be given to a new entry",
        Operation::CreateOrUpdate => "a part of it cannot be given or changed",
        _ => "that part of the entry cannot be changed",
    }
}

pub(super) fn unsupported(failure: &Failure) -> Cow<'static, str> {
    match failure.missing() {
        Some(option) if option.starts_with("CONFIG_") => {
            format!("the kernel was built without {option}").into()
        }
        Some(module) => format!("the kernel has no {module}").into(),
        None => not_supported(failure).into(),
    }
}

fn not_supported(failure: &Failure) -> &'static str {
    match failure.operation() {
        // Nothing was sent.
        _ if failure.raw_os_error().is_none() => "not supported",
        Operation::Create => "the kernel does not support it, or has no such helper",
        Operation::CreateOrUpdate => {
            "the kernel does not support it, has no such helper, or would have to give NAT or a master \
             to an entry that exists"
        }
        Operation::Update => "the kernel does not support it, has no such helper, or not for this entry",
        _ => "not supported",
    }
}

/// Why entries are left, or may be left, in a zone.
pub(super) fn not_emptied(deleted: u64, left: u64, error: Option<&Error>) -> String {
    let done = format!("{deleted} deleted");
    match (error, left) {
        (Some(error), 0) => format!("{error} ({done})"),
        (Some(error), left) => format!("{error} ({left} left, {done})"),
        (None, 0) => format!("entries are made in it all the time ({done})"),
        (None, left) => format!("{left} entries could not be understood ({done})"),
    }
}

pub(super) fn filter_too_large(size: u64, limit: Option<u64>) -> String {
    let allowed = limit.map_or("less".to_owned(), |limit| limit.to_string());
    let enough = size + 1;
    format!(
        "its program takes {size} bytes and net.core.optmem_max allows {allowed}; set it to {enough} or more"
    )
}
