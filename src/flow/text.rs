//! A flow in one line.

use std::fmt;

use super::{Flow, ProtoInfo};
use crate::zone::Zone;

/// `tcp 10.0.0.1:5000 -> 10.0.0.2:80 in zone 10 ESTABLISHED timeout 300s mark 0x7`, with the reply
/// tuple when it is not the mere inverse.
///
/// For reading, not for parsing: the wording may change.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.original)?;
        if self.reply != self.original.inverse() {
            write!(f, " (reply {})", self.reply)?;
        }
        if self.zone != Zone::DEFAULT {
            write!(f, " in {}", self.zone)?;
        }
        self.write_state(f)?;
        if let Some(timeout) = self.timeout {
            write!(f, " timeout {}s", timeout.as_secs())?;
        }
        if let Some(mark) = self.mark.filter(|&mark| mark != 0) {
            write!(f, " mark {mark:#x}")?;
        }
        if let Some(status) = self.status {
            write!(f, " status {status}")?;
        }
        if let Some(helper) = self.helper {
            write!(f, " helper {helper}")?;
        }
        if let Some(labels) = self.labels {
            write!(f, " labels {labels}")?;
        }
        Ok(())
    }
}

impl Flow {
    fn write_state(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: Option<&dyn fmt::Display> = match &self.proto_info {
            Some(ProtoInfo::Tcp(info)) => info.state.as_ref().map(|state| state as _),
            Some(ProtoInfo::Sctp(info)) => info.state.as_ref().map(|state| state as _),
            Some(ProtoInfo::Dccp(info)) => info.state.as_ref().map(|state| state as _),
            None => None,
        };
        match state {
            Some(state) => write!(f, " {state}"),
            None => Ok(()),
        }
    }
}
