//! Trials of entries: whether they keep their translation, mark and labels.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Lab, remembered};
use crate::error::{Error, Result};
use crate::model::flow::Flow;
use crate::model::label::Labels;
use crate::model::tuple::Tuple;

/// Whether a new flow can be translated, tried in a namespace of its own.
pub(crate) fn translates() -> Result<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    shown(&SHOWN, |lab, flow| is_supported(lab.create(&flow.dnat(IpAddr::from([10, 0, 0, 3])))))
}

/// Whether flows keep marks, tried in a namespace of its own.
pub(crate) fn marks() -> Result<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    shown(&SHOWN, |lab, flow| {
        lab.create(&flow.clone().mark(1))?;
        Ok(lab.get(flow.key())?.is_some_and(|kept| kept.mark == Some(1)))
    })
}

/// Whether the kernel has labels, tried in a namespace of its own.
pub(crate) fn labels() -> Result<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    shown(&SHOWN, |lab, flow| {
        lab.create(&flow)?;
        match lab.update(&flow.identity().labels(Labels::of([1])?)) {
            // The kernel knows labels, but nothing in the namespace uses them.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => Ok(true),
            verdict => is_supported(verdict),
        }
    })
}

/// The cached result of a trial with a flow in a namespace of its own, or that of a new one.
fn shown(seen: &OnceLock<bool>, look: fn(&mut Lab, Flow) -> Result<bool>) -> Result<bool> {
    let tuple = Tuple::udp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 53).into())?;
    let flow = Flow::new(tuple).timeout(Duration::from_secs(600));
    remembered(seen, || Lab::run(|lab| look(lab, flow)))
}

fn is_supported(verdict: Result<()>) -> Result<bool> {
    match verdict {
        Ok(()) => Ok(true),
        Err(Error::Unsupported(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
