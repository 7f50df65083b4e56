//! The bindings against the library: every bound function exists, and what callers rely on holds.

use std::{collections::BTreeSet, ffi::c_int, hint::black_box};

use libnetfilter_conntrack_sys as sys;

/// This release's bindings are committed, for docs.rs.
const COMMITTED: (&str, &str) = ("1.1.1", include_str!("../docs_rs.rs"));

macro_rules! functions {
    ($($name:ident,)*) => { [$((stringify!($name), sys::$name as *const ())),*] };
}

/// Taking the addresses makes the linker find each function; a header that declares more than the
/// library has does not get this far.
#[test]
fn every_function_is_in_the_library() {
    let addresses = include!(concat!(env!("OUT_DIR"), "/functions.rs"));
    for (name, address) in black_box(addresses) {
        assert!(!address.is_null(), "{name}");
    }
    assert!(addresses.iter().map(|(name, _)| name).eq(sys::FUNCTIONS));
    assert!(addresses.len() >= 98, "{} functions; 1.0.9 had 98", addresses.len());
}

#[test]
fn functions_are_unique_and_not_deprecated() {
    let names: BTreeSet<_> = sys::FUNCTIONS.iter().collect();
    assert_eq!(names.len(), sys::FUNCTIONS.len());
    assert!(names.contains(&"nfct_nlmsg_parse") && names.contains(&"nfexp_nlmsg_parse"));
    assert!(!names.contains(&"nfct_parse_conntrack") && !names.contains(&"nfexp_build_query"));
}

#[test]
fn names_do_not_depend_on_the_system() {
    let bindings = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));
    assert!(!bindings.contains("_bindgen"));
    for name in public_names(bindings) {
        let expected = ["nf", "NF", "ip_conntrack", "IP", "ATTR_", "TCP_", "SCTP_", "DCCP_", "__"];
        let states = ["tcp_state", "sctp_state", "dccp_state"];
        let known = states.contains(&name) || expected.iter().any(|start| name.starts_with(start));
        assert!(known, "{name} does not belong to this library");
    }
}

/// The values and integer types that code is written against; a change would not compile.
#[test]
fn types_and_values() {
    let verdicts: [c_int; 4] =
        [sys::NFCT_CB_FAILURE, sys::NFCT_CB_STOP, sys::NFCT_CB_CONTINUE, sys::NFCT_CB_STOLEN];
    assert_eq!(verdicts, [-1, 0, 1, 2]);

    // The one enum with a negative value: it is signed, the others are not.
    let error: sys::nf_conntrack_msg_type = sys::NFCT_T_ERROR;
    let signed: c_int = error;
    assert_eq!(signed, c_int::MIN);
    let unsigned: [u32; 3] = [sys::ATTR_MARK, sys::NFCT_Q_DUMP, sys::IPS_DYING];
    assert_eq!(unsigned, [25, 5, 1 << 9]);

    // Fields that share memory are a union.
    let address = sys::nfct_attr_grp_addr { ip: u32::MAX };
    // SAFETY: every bit pattern is a value of every field, and the first word was written.
    assert_eq!(unsafe { address.ip }, u32::MAX);
    assert_eq!(size_of::<sys::nfct_attr_grp_addr>(), 16);

    // The type of libc, not a copy of it.
    let parse: unsafe extern "C" fn(*const libc::nlmsghdr, *mut sys::nf_conntrack) -> c_int =
        sys::nfct_nlmsg_parse;
    assert!(!black_box(parse as *const ()).is_null());
}

/// What a release adds stays, so the committed bindings have every name of an older release, and
/// exactly those of their own.
#[test]
fn committed_bindings_are_up_to_date() {
    let (version, text) = COMMITTED;
    let committed = public_names(text);
    let generated = public_names(include_str!(concat!(env!("OUT_DIR"), "/bindings.rs")));
    let missing: Vec<_> = generated.difference(&committed).collect();
    if number(sys::VERSION) > number(version) {
        println!("{} is newer than docs_rs.rs, which lacks {missing:?}", sys::VERSION);
        return;
    }
    assert!(missing.is_empty(), "docs_rs.rs lacks {missing:?}");
    if sys::VERSION == version {
        assert_eq!(generated, committed);
    }
}

#[test]
fn capabilities_follow_the_headers() {
    let names = public_names(include_str!(concat!(env!("OUT_DIR"), "/bindings.rs")));
    let capabilities = [
        ("NFCT_FILTER_DUMP_ZONE", sys::HAS_DUMP_ZONE),
        ("NFCT_FILTER_DUMP_TUPLE", sys::HAS_DUMP_TUPLE),
        ("NFCT_FILTER_ZONE", sys::HAS_FILTER_ZONE),
        ("ATTR_TIMESTAMP_EVENT", sys::HAS_TIMESTAMP_EVENT),
    ];
    for (name, has) in capabilities {
        assert_eq!(names.contains(name), has, "{name}");
    }
    let has_setter = sys::FUNCTIONS.contains(&"nfct_filter_dump_set_attr_u16");
    assert_eq!(has_setter, sys::HAS_DUMP_ZONE);
}

/// The names of the public items in bindings as bindgen writes them, one item a line.
fn public_names(bindings: &str) -> BTreeSet<&str> {
    let items = ["const", "fn", "struct", "type", "union"];
    bindings
        .lines()
        .filter_map(|line| {
            let (kind, rest) = line.trim_start().strip_prefix("pub ")?.split_once(' ')?;
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            items.contains(&kind).then(|| &rest[..end])
        })
        .collect()
}

/// A version as something that can be compared.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
