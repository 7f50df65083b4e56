//! Variants, kinds, text, and the way into the standard library's error.

use super::*;
use crate::Tuple;
use crate::error::InputError;

#[test]
fn errors_say_what_failed_on_what_and_why() {
    let tuple = Tuple::tcp("1.1.1.1:1".parse().unwrap(), "2.2.2.2:2".parse().unwrap()).unwrap();
    let failure = Failure::new(Operation::Delete, Subject::Flow(tuple.in_zone(10)));
    let error = Error::from_kernel(failure.with_errno(libc::ENOENT));
    assert!(matches!(error, Error::NotFound(_)));
    assert_eq!(error.raw_os_error(), Some(2));
    assert_eq!(
        error.to_string(),
        "cannot delete tcp 1.1.1.1:1 -> 2.2.2.2:2 in zone 10 \
         (No such file or directory, os error 2): no such entry"
    );
}

/// Some of these, such as an entry that is dying, last too short a time to be met on purpose.
#[test]
fn every_errno_with_a_meaning_has_its_variant() {
    let of = |operation, errno| {
        let failure = Failure::new(operation, Subject::Table(None)).with_errno(errno);
        let error = Error::from_kernel(failure.clone());
        assert_eq!(error.failure(), Some(&failure));
        assert_eq!(error.raw_os_error(), Some(errno));
        error
    };
    let update = |errno| of(Operation::Update, errno);
    assert!(matches!(update(libc::ENOENT), Error::NotFound(_)));
    assert!(matches!(update(libc::EEXIST), Error::Exists(_)));
    assert!(matches!(update(libc::EPERM), Error::PermissionDenied(_)));
    assert!(matches!(update(libc::EACCES), Error::PermissionDenied(_)));
    assert!(matches!(update(libc::ETIME), Error::Dying(_)));
    assert!(matches!(update(libc::EBUSY), Error::Busy(_)));
    assert!(matches!(update(libc::EOPNOTSUPP), Error::Unsupported(_)));
    assert!(matches!(update(libc::EINVAL), Error::Refused(_)));
    // Only what makes an entry can find the table full.
    assert!(matches!(of(Operation::Create, libc::ENOMEM), Error::TableFull(_)));
    assert!(matches!(of(Operation::CreateOrUpdate, libc::ENOMEM), Error::TableFull(_)));
    assert!(matches!(update(libc::ENOMEM), Error::Refused(_)));
}

/// A bucket of the hash table that is full cannot be met on purpose: only the first network namespace of a
/// machine may make the table small enough (`tests/full_bucket.rs`).
#[test]
fn no_space_is_that_of_a_bucket_or_of_labels() {
    let answer = |operation, labels, is_there: Option<Option<bool>>| {
        let failure = Failure::new(operation, Subject::Table(None)).with_errno(libc::ENOSPC);
        let error = Error::from_kernel(failure).with_space(labels, || is_there.expect("no need to look"));
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        (error.kind(), error.part())
    };
    let (bucket, labels) = ((ErrorKind::TableFull, None), (ErrorKind::LabelsOff, Some(FlowPart::Labels)));
    let unknown = (ErrorKind::Refused, None);
    for with_labels in [false, true] {
        assert_eq!(answer(Operation::Create, with_labels, None), bucket);
    }
    assert_eq!(answer(Operation::Update, true, None), labels);
    assert_eq!(answer(Operation::Update, false, None), unknown);
    assert_eq!(answer(Operation::CreateOrUpdate, false, None), bucket);
    assert_eq!(answer(Operation::CreateOrUpdate, true, Some(Some(false))), bucket);
    assert_eq!(answer(Operation::CreateOrUpdate, true, Some(Some(true))), labels);
    assert_eq!(answer(Operation::CreateOrUpdate, true, Some(None)), unknown);
    assert_eq!(answer(Operation::Delete, true, None), unknown);
    // Other errors stay as they are.
    let dying = Error::Dying(Failure::new(Operation::Create, Subject::Table(None)).with_errno(libc::ETIME));
    assert_eq!(dying.clone().with_space(true, || None), dying);
}

#[test]
fn an_error_is_small_and_can_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
    assert!(size_of::<Error>() <= 48, "{}", size_of::<Error>());
}

#[test]
fn every_kind_has_a_name_of_its_own_and_comes_back_from_it() {
    for kind in ErrorKind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
        assert_eq!(kind.to_string().parse(), Ok(*kind));
        assert_eq!(ErrorKind::ALL.iter().filter(|other| other.name() == kind.name()).count(), 1);
    }
    assert_eq!(ErrorKind::PermissionDenied.to_string(), "permission denied");
    assert!("nonsense".parse::<ErrorKind>().is_err());
}

/// Where the variants are too coarse the errno decides.
#[test]
fn want_of_memory_or_rights_is_that_wherever_it_is_met() {
    let failure = |errno| Failure::new(Operation::Update, Subject::Events).with_errno(errno);
    for (errno, kind) in [
        (libc::ENOMEM, ErrorKind::OutOfMemory),
        (libc::ENOBUFS, ErrorKind::OutOfMemory),
        (libc::EPERM, ErrorKind::PermissionDenied),
        (libc::EACCES, ErrorKind::PermissionDenied),
    ] {
        assert_eq!(Error::Refused(failure(errno)).kind(), kind);
        assert_eq!(Error::System(failure(errno)).kind(), kind);
        assert!(matches!(Error::from_kernel(failure(errno)).kind(), found if found == kind));
    }
    assert_eq!(Error::Refused(failure(libc::EINVAL)).kind(), ErrorKind::Refused);
    assert_eq!(Error::System(failure(libc::EMFILE)).kind(), ErrorKind::System);
    assert_eq!(Error::Overrun(failure(libc::ENOBUFS)).kind(), ErrorKind::Overrun, "nothing ran out");
}

#[test]
fn the_parts_of_a_failure_can_be_had_from_the_error() {
    let key = Tuple::udp("1.1.1.1:1".parse().unwrap(), "2.2.2.2:2".parse().unwrap()).unwrap().in_zone(7);
    let failure = Failure::new(Operation::Update, Subject::Flow(key));
    let failure = failure.with_errno(libc::EOPNOTSUPP).with_message(Some("no")).with_part(FlowPart::Nat);
    let error = Error::Unsupported(failure.with_missing("nf_nat"));
    assert_eq!(error.operation(), Some(Operation::Update));
    assert_eq!(error.subject(), Some(&Subject::Flow(key)));
    assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
    assert_eq!((error.message(), error.part()), (Some("no"), Some(FlowPart::Nat)));
    assert_eq!(error.missing(), Some("nf_nat"));
    let nothing_begun = Error::from(InputError::Unnamed);
    assert_eq!((nothing_begun.operation(), nothing_begun.subject()), (None, None));
}

#[test]
fn an_error_goes_into_the_standard_librarys_and_comes_out() {
    use std::io;
    let failure = |errno| Failure::new(Operation::Get, Subject::Socket).with_errno(errno);
    let zone = Error::NoUnusedZone { first: 1, last: 2 };
    for (error, kind) in [
        (Error::from(InputError::EmptyChange), io::ErrorKind::InvalidInput),
        (Error::from_kernel(failure(libc::ENOENT)), io::ErrorKind::NotFound),
        (Error::from_kernel(failure(libc::EEXIST)), io::ErrorKind::AlreadyExists),
        (Error::from_kernel(failure(libc::EPERM)), io::ErrorKind::PermissionDenied),
        (Error::from_kernel(failure(libc::EOPNOTSUPP)), io::ErrorKind::Unsupported),
        (Error::TimedOut(failure(libc::EAGAIN)), io::ErrorKind::TimedOut),
        (Error::TableFull(failure(libc::ENOMEM)), io::ErrorKind::StorageFull),
        (Error::System(failure(libc::ENOMEM)), io::ErrorKind::OutOfMemory),
        // The kinds of their errnos.
        (Error::Refused(failure(libc::EINVAL)), io::ErrorKind::InvalidInput),
        (Error::System(failure(libc::ECONNREFUSED)), io::ErrorKind::ConnectionRefused),
        // Whoever repeats a read on these would repeat it for ever.
        (Error::System(failure(libc::EINTR)), io::ErrorKind::Other),
        (Error::System(failure(libc::EAGAIN)), io::ErrorKind::Other),
        (Error::Interrupted(failure(0)), io::ErrorKind::Other),
        (zone, io::ErrorKind::QuotaExceeded),
    ] {
        let other = io::Error::from(error.clone());
        assert_eq!(other.kind(), kind, "{error}");
        assert_eq!(other.to_string(), error.to_string());
        assert_eq!(other.downcast::<Error>().expect("the error is within"), error);
    }
}

#[test]
fn errors_of_input_and_bytes_go_there_too() {
    use std::io;
    let error = io::Error::from(InputError::EmptyChange);
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.downcast::<Error>().expect("the error"), InputError::EmptyChange.into());
    let malformed = Malformed::new("CTA_ID", "missing");
    let error = io::Error::from(malformed);
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::InvalidData, malformed.to_string()));
    #[cfg(feature = "nfct")]
    {
        let error = io::Error::from(ObjectError::missing("ATTR_ORIG_L3PROTO"));
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_zone_that_is_not_empty_says_what_stood_in_the_way() {
    use std::error::Error as _;
    let cause = Error::Busy(Failure::new(Operation::Delete, Subject::Table(None)).with_errno(libc::EBUSY));
    let error = |left, source: Option<&Error>| Error::ZoneNotEmptied {
        zone: 10,
        deleted: 3,
        left,
        source: source.cloned().map(Box::new),
    };
    let caused = error(2, Some(&cause));
    assert_eq!(caused.to_string(), format!("zone 10 could not be emptied: {cause} (2 left, 3 deleted)"));
    assert_eq!(caused.source().map(ToString::to_string), Some(cause.to_string()));
    assert_eq!(caused.kind(), ErrorKind::ZoneNotEmptied);
    let text = |left| error(left, None).to_string();
    assert!(text(2).ends_with(": 2 entries could not be understood (3 deleted)"), "{}", text(2));
    assert!(text(0).ends_with(": entries are made in it all the time (3 deleted)"), "{}", text(0));
}

/// The page that explains errors has a row for each kind, in the order of their declaration.
#[test]
fn every_kind_has_its_row_in_the_guide() {
    let page = include_str!("../../docs/guide/what_went_wrong.md");
    let table = page.split("# Errors").nth(1).and_then(|rest| rest.split("\n# ").next()).expect("the table");
    let rows: Vec<Vec<_>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split(" | ").collect())
        .collect();
    let kinds: Vec<_> = ErrorKind::ALL.iter().map(|kind| format!("| `{kind:?}`")).collect();
    assert_eq!(rows.iter().map(|cells| cells[0]).collect::<Vec<_>>(), kinds);
    assert!(rows.iter().all(|cells| cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty())));
}
