//! The releases of the C library that the tests were built for and run with, and whether the crate detects
//! both correctly.
//!
//! `./dev compat` sets the expected releases in `NFCT_EXPECT_HEADERS` and `NFCT_EXPECT_LIBRARY`. Without them
//! the headers' release is the one of pkg-config, and the library's is unknown.

use std::env;
use std::ffi::CStr;
use std::io::{self, Write};

use netfilter_conntrack::nfct::{Conntrack, attr};
use netfilter_conntrack::sys;

/// A feature that a release added: its name, that release, and whether it is there.
type Feature = (&'static str, &'static str, bool);

/// The headers' features, according to the bindings.
const HEADERS: [Feature; 4] = [
    ("NFCT_FILTER_DUMP_ZONE", "1.1.0", sys::HAS_DUMP_ZONE),
    ("NFCT_FILTER_DUMP_TUPLE", "1.1.0", sys::HAS_DUMP_TUPLE),
    ("NFCT_FILTER_ZONE", "1.1.0", sys::HAS_FILTER_ZONE),
    ("ATTR_TIMESTAMP_EVENT", "1.1.1", sys::HAS_TIMESTAMP_EVENT),
];

/// The library's features, detected at run time.
fn library() -> Vec<Feature> {
    let ct = Conntrack::new().expect("an object");
    vec![
        ("nfct_filter_dump_set_attr_u16", "1.1.0", exports(c"nfct_filter_dump_set_attr_u16")),
        ("ATTR_TIMESTAMP_EVENT", "1.1.1", ct.supports(attr::TIMESTAMP_EVENT)),
    ]
}

/// Returns whether a library loaded by this program has the symbol.
fn exports(symbol: &CStr) -> bool {
    // SAFETY: a search for a symbol's address, which is not used.
    !unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) }.is_null()
}

/// A version in a form that can be compared.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().expect(version)).collect()
}

fn expected(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|version| !version.is_empty())
}

/// Asserts that each feature is there if the release is new enough for it, and only then.
fn assert_release(features: &[Feature], release: &str) {
    for (name, since, has) in features {
        assert_eq!(*has, number(release) >= number(since), "{name} came with {since}, this is {release}");
    }
}

#[test]
fn the_headers_are_those_of_the_release() {
    match expected("NFCT_EXPECT_HEADERS") {
        Some(release) => {
            assert_eq!(sys::VERSION, release);
            assert_release(&HEADERS, &release);
        }
        // A distribution may have added a feature early, but removes none.
        None => {
            for (name, since, has) in HEADERS {
                assert!(has || number(sys::VERSION) < number(since), "{} has no {name}", sys::VERSION);
            }
        }
    }
}

#[test]
fn the_library_is_that_of_the_release() {
    let features = library();
    let found = features.iter().filter(|(.., has)| *has).map(|(name, ..)| *name).collect::<Vec<_>>();
    let line = format!("built for {}, run with a library that has {found:?}\n", sys::VERSION);
    // Not eprintln, whose output the test harness captures.
    let _ = io::stderr().write_all(line.as_bytes());
    assert!(exports(c"nfct_new"), "the library is not loaded");
    assert!(!exports(c"nfct_no_such_function"));
    match expected("NFCT_EXPECT_LIBRARY") {
        Some(release) => assert_release(&features, &release),
        // The features of a release stay in later ones.
        None => {
            let oldest_missing =
                features.iter().filter(|(.., has)| !has).map(|(_, since, _)| number(since)).min();
            for (name, since, _) in features.iter().filter(|(.., has)| *has) {
                let kept = oldest_missing.as_ref().is_none_or(|missing| number(since) <= *missing);
                assert!(kept, "{name} is there, something older is not");
            }
        }
    }
}
