//! A helper whose module is removed while a flow has it. A program of its own, and only for a machine of its own,
//! such as those that `./dev kernels` boots: modules are those of all network namespaces.

mod common;

use common::machine::{self, Setting};
use common::{flow, run, udp};
use netfilter_conntrack::model::HelperName;
use netfilter_conntrack::{Flow, Handle};

const MODULE: &str = "nf_conntrack_tftp";
/// The program that the kernel runs to load a module.
const LOADER: &str = "/proc/sys/kernel/modprobe";

#[test]
fn a_flow_whose_helper_is_gone_can_be_written_as_it_is_listed() {
    if !machine::is_own("modules") {
        return;
    }
    let mut handle = require_kernel!("modprobe", "rmmod");
    run("modprobe", &[MODULE]);
    let tftp: HelperName = "tftp".parse().expect("a name");
    let new = flow(udp("10.0.0.1:1", "10.0.0.2:69")).helper(tftp);
    handle.create(&new).expect("created");
    let before = handle.get(&new).expect("there");
    assert_eq!(before.helper, Some(tftp));

    // Or the kernel would load the module again when a request names its helper.
    let _no_loader = Setting::new(LOADER, "/nowhere");
    run("rmmod", &[MODULE]);
    // Linux 7.2 and later keep the helper; before, the flow lost it.
    let listed = handle.get(&new).expect("there");
    let kept = common::kernel() >= (7, 2);
    assert_eq!(listed.helper, Some(tftp).filter(|_| kept));
    for (mark, written) in [(5, &listed), (6, &before)] {
        writes(&mut handle, &written.clone().mark(mark), kept || written.helper.is_none());
    }
    restores(&mut handle, &before);
}

/// A flow is written as it is listed. A helper that it no longer has is refused, and named.
fn writes(handle: &mut Handle, flow: &Flow, has_it: bool) {
    for result in [handle.update(flow), handle.create_or_update(flow)] {
        match result {
            Ok(()) => assert!(has_it, "the flow has no such helper"),
            Err(error) => {
                assert!(!has_it, "{error}");
                assert!(error.to_string().contains("helper tftp"), "{error}");
            }
        }
    }
    if has_it {
        assert_eq!(handle.get(flow).expect("there").mark, flow.mark);
    }
}

/// The flow counts more than its helper, which is reported.
#[cfg(feature = "save")]
fn restores(handle: &mut Handle, flow: &Flow) {
    use common::save::{END, HEADER};
    use netfilter_conntrack::save::RestoreError;

    let line = serde_json::to_string(flow).expect("a line");
    let save = format!("{HEADER}\n{line}\n{END}").into_bytes();
    handle.flush().expect("flushed");
    let line = handle.restore(&save[..]).next().expect("a line");
    assert!(matches!(&line.result, Err(RestoreError::Differs(parts)) if parts[..] == ["helper"]), "{line:?}");
    // It has another id.
    assert_eq!(handle.get(flow.original).expect("restored").helper, None);
}

#[cfg(not(feature = "save"))]
fn restores(_: &mut Handle, _: &Flow) {}
