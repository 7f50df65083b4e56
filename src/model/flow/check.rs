//! Checks of a flow before it is sent.

use std::time::Duration;

use super::{DccpInfo, DccpRole, Flow, NatTarget, ProtoInfo, SctpInfo, TcpInfo};
use crate::model::input::InputError;
use crate::model::proto::{DccpState, Family, Protocol, SctpState, TcpState};

/// The purpose that a flow is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It may be made by the request.
    Create,
    /// It must exist.
    Update,
    /// It is only written down: as an object of the C library, or as text.
    #[cfg(any(test, feature = "nfct"))]
    Describe,
}

/// The largest shift of RFC 7323.
const MAX_WINDOW_SCALE: u8 = 14;

impl Flow {
    /// Refuses input that the kernel or the C library would refuse late, obscurely, or not at all.
    pub(crate) fn check(&self, purpose: Purpose) -> Result<(), InputError> {
        self.check_tuples()?;
        self.check_proto_info()?;
        self.timeout_secs()?;
        if self.extra.labels_mask.is_some() && self.labels.is_none() {
            return Err(InputError::LabelMaskAlone);
        }
        self.check_mark()?;
        match purpose {
            #[cfg(any(test, feature = "nfct"))]
            Purpose::Describe => self.check_nat(),
            Purpose::Create => {
                self.check_values()?;
                self.check_tcp_state()?;
                match self.timeout {
                    None => Err(InputError::MissingTimeout),
                    Some(Duration::ZERO) => Err(InputError::ZeroTimeout),
                    Some(_) => self.check_nat(),
                }
            }
            Purpose::Update if self.extra.source_nat.is_some() || self.extra.destination_nat.is_some() => {
                Err(InputError::OnlyAtCreation("NAT"))
            }
            Purpose::Update if self.extra.master.is_some() => Err(InputError::OnlyAtCreation("a master")),
            Purpose::Update => self.check_values(),
        }
    }

    /// Values that an object can have, but no request: the kernel refuses them, or flips the labels that
    /// are outside their mask.
    fn check_values(&self) -> Result<(), InputError> {
        if let (Some(labels), Some(mask)) = (self.labels, self.extra.labels_mask) {
            if let Some(outside) = labels.iter().find(|&label| !mask.contains(label)) {
                return Err(InputError::LabelOutsideMask(outside));
            }
        }
        match self.proto_info {
            Some(ProtoInfo::Tcp(info)) => {
                let scales = [info.peers.original.window_scale, info.peers.reply.window_scale];
                match scales.into_iter().flatten().find(|&scale| scale > MAX_WINDOW_SCALE) {
                    Some(scale) => Err(InputError::WindowScaleTooHigh(scale)),
                    None => Ok(()),
                }
            }
            Some(ProtoInfo::Sctp(info)) if !info.is_sendable() => Err(InputError::IncompleteSctp),
            _ => Ok(()),
        }
    }

    /// Without a state the kernel makes a TCP connection that is in none, and the first packet of the
    /// server, which opens nothing, is invalid to it.
    fn check_tcp_state(&self) -> Result<(), InputError> {
        let has_state = matches!(self.proto_info, Some(ProtoInfo::Tcp(TcpInfo { state: Some(_), .. })));
        match self.original.protocol() == Protocol::TCP && !has_state {
            true => Err(InputError::MissingTcpState),
            false => Ok(()),
        }
    }

    /// The kernel flips the bits of a mark that are outside its mask.
    fn check_mark(&self) -> Result<(), InputError> {
        match (self.mark, self.extra.mark_mask) {
            (_, None) => Ok(()),
            (None, Some(_)) => Err(InputError::MarkMaskAlone),
            (Some(value), Some(mask)) if value & !mask != 0 => {
                Err(InputError::ValueOutsideMask { value, mask })
            }
            _ => Ok(()),
        }
    }

    /// The timeout as the kernel takes it.
    pub(crate) fn timeout_secs(&self) -> Result<Option<u32>, InputError> {
        self.timeout.map(whole_seconds).transpose()
    }

    /// The request has the family of the original tuple, and the kernel reads every other by it.
    fn check_tuples(&self) -> Result<(), InputError> {
        self.same_family("reply tuple", self.reply.family())?;
        if self.reply.protocol() != self.original.protocol() {
            return Err(InputError::OtherProtocol {
                original: self.original.protocol(),
                reply: self.reply.protocol(),
            });
        }
        match self.extra.master {
            Some(master) => self.same_family("master tuple", master.family()),
            None => Ok(()),
        }
    }

    fn check_proto_info(&self) -> Result<(), InputError> {
        let flow = self.original.protocol();
        match self.proto_info.map(|info| info.protocol()) {
            Some(state) if state != flow => Err(InputError::WrongProtocolState { state, flow }),
            _ => self.check_state(flow),
        }
    }

    /// A number without a name can be reported by a newer kernel; it cannot be sent.
    pub(super) fn check_state(&self, protocol: Protocol) -> Result<(), InputError> {
        let unknown = match self.proto_info {
            Some(ProtoInfo::Tcp(TcpInfo { state: Some(TcpState::Other(number)), .. }))
            | Some(ProtoInfo::Sctp(SctpInfo { state: Some(SctpState::Other(number)), .. }))
            | Some(ProtoInfo::Dccp(DccpInfo { state: Some(DccpState::Other(number)), .. }))
            | Some(ProtoInfo::Dccp(DccpInfo { role: Some(DccpRole::Other(number)), .. })) => number,
            _ => return Ok(()),
        };
        Err(InputError::UnknownState { protocol, state: unknown })
    }

    fn check_nat(&self) -> Result<(), InputError> {
        self.check_nat_target("source NAT address", self.meant_source_nat())?;
        self.check_nat_target("destination NAT address", self.meant_destination_nat())?;
        let given = |target: Option<NatTarget>| target.and_then(|target| target.port());
        match (given(self.meant_source_nat()), given(self.meant_destination_nat())) {
            // A query and its answer have one id, whichever end is translated.
            (Some(snat), Some(dnat)) if snat != dnat && self.original.icmp_id().is_some() => {
                Err(InputError::TwoNatIds { snat, dnat })
            }
            _ => Ok(()),
        }
    }

    fn check_nat_target(&self, part: &'static str, target: Option<NatTarget>) -> Result<(), InputError> {
        let Some(target) = target else { return Ok(()) };
        match target.port() {
            Some(0) if self.original.ports().is_some() => return Err(InputError::NatToPort0),
            // The kernel takes a key, or a port for addresses alone, and does nothing with it.
            Some(_) if self.original.ports().is_none() && self.original.icmp_id().is_none() => {
                return Err(InputError::NoPortNat(self.original.protocol()));
            }
            _ => {}
        }
        match target.address() {
            Some(address) if address.is_unspecified() => Err(InputError::NatToUnspecified),
            Some(address) => self.same_family(part, Family::as_written(&address)),
            None => Ok(()),
        }
    }

    fn same_family(&self, part: &'static str, found: Family) -> Result<(), InputError> {
        let expected = self.original.family();
        match found == expected {
            true => Ok(()),
            false => Err(InputError::OtherFamily { part, found, expected }),
        }
    }
}

/// A timeout as the kernel takes it: a fraction of a second is rounded up.
pub(crate) fn whole_seconds(timeout: Duration) -> Result<u32, InputError> {
    u32::try_from(rounded_up(timeout)).map_err(|_| InputError::TimeoutTooLong)
}

/// The seconds of a timeout, a fraction rounded up.
pub(crate) fn rounded_up(timeout: Duration) -> u64 {
    timeout.as_secs().saturating_add(u64::from(timeout.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Layer4;
    use crate::{Labels, Status, Tuple};
    use std::net::IpAddr;

    fn udp() -> Flow {
        Flow::new(Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap())
            .timeout(Duration::from_secs(60))
    }

    fn tcp_v6() -> Tuple {
        Tuple::tcp("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_new_flow_needs_a_timeout_an_update_does_not() {
        let flow = Flow { timeout: None, ..udp() };
        assert_eq!(flow.check(Purpose::Create), Err(InputError::MissingTimeout));
        assert_eq!(flow.status(Status::ASSURED).check(Purpose::Update), Ok(()));
        assert_eq!(udp().check(Purpose::Create), Ok(()));
    }

    #[test]
    fn a_masked_mark_stays_inside_its_mask() {
        assert_eq!(udp().mark_masked(0x10, 0xf0).check(Purpose::Update), Ok(()));
        let outside = InputError::ValueOutsideMask { value: 0x11, mask: 0xf0 };
        assert_eq!(udp().mark_masked(0x11, 0xf0).check(Purpose::Create), Err(outside));
        let mut alone = udp();
        alone.extra.mark_mask = Some(1);
        assert_eq!(alone.check(Purpose::Update), Err(InputError::MarkMaskAlone));
        assert_eq!(udp().mark_masked(1, 1).mark(2).extra.mark_mask, None);
    }

    #[test]
    fn labels_are_set_inside_their_mask_only() {
        let labels = |numbers: &[u16]| Labels::of(numbers.iter().copied()).expect("labels");
        let change = |set, which| udp().labels_masked(labels(set), labels(which));
        let outside = Err(InputError::LabelOutsideMask(127));
        for purpose in [Purpose::Create, Purpose::Update] {
            assert_eq!(change(&[0, 127], &[0, 3]).check(purpose), outside);
            assert_eq!(change(&[0, 127], &[0, 3, 127]).check(purpose), Ok(()));
            assert_eq!(change(&[], &[]).check(purpose), Ok(()));
        }
        assert_eq!(change(&[127], &[]).check(Purpose::Describe), Ok(()), "an object can have both");
    }

    #[test]
    fn timeouts_are_whole_seconds_rounded_up() {
        let secs = |timeout| udp().timeout(timeout).timeout_secs();
        assert_eq!(secs(Duration::from_millis(1)), Ok(Some(1)));
        assert_eq!(secs(Duration::from_secs(7)), Ok(Some(7)));
        assert_eq!(secs(Duration::from_secs(u32::MAX.into())), Ok(Some(u32::MAX)));
        assert_eq!(secs(Duration::from_secs(1 << 32)), Err(InputError::TimeoutTooLong));
        assert_eq!(secs(Duration::MAX), Err(InputError::TimeoutTooLong));
    }

    #[test]
    fn parts_of_other_families_and_protocols_are_refused() {
        let mixed = Flow { reply: tcp_v6(), ..udp() };
        assert!(matches!(
            mixed.check(Purpose::Create),
            Err(InputError::OtherFamily { part: "reply tuple", .. })
        ));
        let tcp = Tuple::tcp("10.0.0.2:2".parse().unwrap(), "10.0.0.1:1".parse().unwrap()).unwrap();
        let other = Flow { reply: tcp, ..udp() };
        assert!(matches!(other.check(Purpose::Create), Err(InputError::OtherProtocol { .. })));
        let master = udp().with_master(tcp_v6());
        assert!(matches!(
            master.check(Purpose::Create),
            Err(InputError::OtherFamily { part: "master tuple", .. })
        ));
        let state = udp().tcp_state(TcpState::Established);
        assert!(matches!(state.check(Purpose::Update), Err(InputError::WrongProtocolState { .. })));
    }

    #[test]
    fn nat_is_for_creation_and_for_what_the_request_can_carry() {
        let v6: IpAddr = "::1".parse().unwrap();
        assert!(matches!(udp().snat(v6).check(Purpose::Create), Err(InputError::OtherFamily { .. })));
        let [client, server] = [[1, 1, 1, 1], [2, 2, 2, 2]].map(IpAddr::from);
        let new = |tuple: Tuple| Flow::new(tuple).timeout(Duration::from_secs(1));
        let gre = new(Tuple::gre(client, server, 1, 2).unwrap()).dnat(NatTarget::Port(5));
        assert_eq!(gre.check(Purpose::Create), Err(InputError::NoPortNat(Protocol::GRE)));
        // Of a kernel without the tracker.
        let sctp = Tuple::reported(client, server, Layer4::Other(Protocol::SCTP)).unwrap();
        let sctp = new(sctp).dnat(NatTarget::Port(5));
        assert_eq!(sctp.check(Purpose::Create), Err(InputError::NoPortNat(Protocol::SCTP)));
        assert_eq!(udp().snat(NatTarget::Port(0)).check(Purpose::Create), Err(InputError::NatToPort0));
        let ping = new(Tuple::ping(client, server, 1).unwrap()).snat(NatTarget::Port(0));
        assert_eq!(ping.check(Purpose::Create), Ok(()), "an id may be 0");
        let two = ping.clone().dnat(NatTarget::Port(1));
        assert_eq!(two.check(Purpose::Create), Err(InputError::TwoNatIds { snat: 0, dnat: 1 }));
        assert_eq!(ping.dnat(NatTarget::Port(0)).check(Purpose::Create), Ok(()));
        let nat = udp().snat(NatTarget::Port(5));
        assert_eq!(nat.check(Purpose::Create), Ok(()));
        assert_eq!(nat.check(Purpose::Update), Err(InputError::OnlyAtCreation("NAT")));
    }
}
