//! The crate netlink-bindings.

use std::hint::black_box;

use netlink_bindings::conntrack::{
    ConntrackAttrs, CounterAttrs, IterableConntrackAttrs, IterableTupleAttrs, Nfgenmsg, ProtoinfoAttrs,
    ProtoinfoTcpAttrs, Request, TupleAttrs, TupleIpAttrs, TupleProtoAttrs,
};
use netlink_socket2::NetlinkSocket;

use crate::{Done, Result, Watch};

pub(crate) fn dump() -> Result<Done> {
    let mut socket = NetlinkSocket::new();
    let watch = Watch::start()?;
    let request = Request::new().op_get_dump(&Nfgenmsg::new());
    let mut reply = socket.request(&request)?;
    let mut entries = 0;
    while let Some((_, attrs)) = reply.recv().transpose()? {
        read(attrs)?;
        entries += 1;
    }
    watch.stop(entries)
}

/// Reads the same fields as peer.c, in one pass over the attributes: each of the crate's getters starts again
/// at the first attribute.
fn read(attrs: IterableConntrackAttrs<'_>) -> Result<()> {
    for attr in attrs {
        match attr? {
            ConntrackAttrs::TupleOrig(tuple) | ConntrackAttrs::TupleReply(tuple) => read_tuple(tuple)?,
            ConntrackAttrs::Protoinfo(info) => {
                for attr in info {
                    if let ProtoinfoAttrs::ProtoinfoTcp(tcp) = attr? {
                        for attr in tcp {
                            if let ProtoinfoTcpAttrs::TcpState(state) = attr? {
                                black_box(state);
                            }
                        }
                    }
                }
            }
            ConntrackAttrs::CountersOrig(counters) => {
                for attr in counters {
                    if let CounterAttrs::Bytes(bytes) = attr? {
                        black_box(bytes);
                    }
                }
            }
            ConntrackAttrs::Timeout(value)
            | ConntrackAttrs::Mark(value)
            | ConntrackAttrs::Status(value)
            | ConntrackAttrs::Id(value) => {
                black_box(value);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_tuple(tuple: IterableTupleAttrs<'_>) -> Result<()> {
    for attr in tuple {
        match attr? {
            TupleAttrs::TupleIp(addresses) => {
                for attr in addresses {
                    if let TupleIpAttrs::IpV4Src(address) | TupleIpAttrs::IpV4Dst(address) = attr? {
                        black_box(address);
                    }
                }
            }
            TupleAttrs::TupleProto(parts) => {
                for attr in parts {
                    match attr? {
                        TupleProtoAttrs::ProtoNum(number) => {
                            black_box(number);
                        }
                        TupleProtoAttrs::ProtoSrcPort(port) | TupleProtoAttrs::ProtoDstPort(port) => {
                            black_box(port);
                        }
                        _ => {}
                    }
                }
            }
            TupleAttrs::TupleZone(_) => {}
        }
    }
    Ok(())
}
