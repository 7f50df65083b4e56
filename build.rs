//! Turns what the sys crate found out about the C library into cfgs. It looks for nothing itself.

use std::env;

/// Metadata keys of the sys crate, and the cfg that each sets here.
const CAPABILITIES: [(&str, &str); 4] = [
    ("HAS_DUMP_ZONE", "nfct_dump_zone"),
    ("HAS_DUMP_TUPLE", "nfct_dump_tuple"),
    ("HAS_FILTER_ZONE", "nfct_filter_zone"),
    ("HAS_TIMESTAMP_EVENT", "nfct_timestamp_event"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A build for the project's own tests: see `src/nfct/codec.rs`.
    println!("cargo::rustc-check-cfg=cfg(nfct_codec)");
    // A build for `./dev fuzz`: see `src/fuzz/`.
    println!("cargo::rustc-check-cfg=cfg(nfct_fuzz)");
    for (_, cfg) in CAPABILITIES {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    for (key, cfg) in CAPABILITIES {
        if env::var_os(format!("DEP_NETFILTER_CONNTRACK_{key}")).is_some() {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
