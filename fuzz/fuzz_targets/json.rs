#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| netfilter_conntrack::fuzz::json(data));
