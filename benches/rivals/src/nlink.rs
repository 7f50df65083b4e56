//! The crate nlink.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use nlink::netlink::netfilter::{
    ConntrackBuilder, ConntrackStatus, ConntrackTuple, IpProtocol, TcpConntrackState,
};
use nlink::netlink::{Connection, Netfilter};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;

use crate::{Done, Result, Watch};

/// All address families.
const UNSPEC: u8 = 0;

pub(crate) fn dump() -> Result<Done> {
    runtime()?.block_on(async {
        let connection = Connection::<Netfilter>::new()?;
        let watch = Watch::start()?;
        let mut stream = connection.stream_conntrack(UNSPEC).await?;
        let mut entries = 0;
        while let Some(entry) = stream.next().await {
            black_box(&entry?);
            entries += 1;
        }
        watch.stop(entries)
    })
}

pub(crate) fn create(count: u32) -> Result<Done> {
    runtime()?.block_on(async {
        let connection = Connection::<Netfilter>::new()?;
        let watch = Watch::start()?;
        for number in 0..count {
            connection.add_conntrack(flow(number)).await?;
        }
        let done = watch.stop(count.into())?;
        // If left to the kernel, the entries would be removed while the next job runs.
        connection.flush_conntrack().await?;
        Ok(done)
    })
}

/// The same flow that `numbered` in flows.rs makes for this number.
fn flow(number: u32) -> ConntrackBuilder {
    let (src, dst) = (Ipv4Addr::from(0x0a00_0000 + number / 16), Ipv4Addr::new(192, 0, 2, 1));
    ConntrackBuilder::new_v4(IpProtocol::Tcp)
        .orig(ConntrackTuple::v4(src, dst).ports(1024 + (number % 16) as u16, 443))
        .status(ConntrackStatus::CONFIRMED)
        .tcp_state(TcpConntrackState::Established)
        .timeout(Duration::from_secs(3600))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
