//! Events of some flows, in a program that waits for other things too (tokio).
//!
//! ```text
//! cargo run --features tokio --example events_tokio              a demonstration, in a namespace of its own
//! cargo run --features tokio --example events_tokio -- --listen  this machine's DNS, until interrupted
//! ```

mod support;

use std::env;
use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::events::{EventKind, EventStream};
use netfilter_conntrack::{Event, Events, Flow, Handle, Selector, Tuple};
use tokio::time::timeout;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let listen = env::args().nth(1).as_deref() == Some("--listen");
    if !listen {
        support::in_own_namespace()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let dns = Selector::any_zone().udp().dst_port(53);
        let stream = Events::builder().matching(dns).receive_buffer(8 << 20).open()?.into_stream()?;
        if listen { watch(stream).await } else { demonstrate(stream).await }
    })
}

/// Prints each event, or that there was none.
async fn watch(mut stream: EventStream) -> Result<()> {
    loop {
        match timeout(Duration::from_secs(10), stream.next()).await {
            Ok(Some(event)) => print(&event?),
            Ok(None) => return Ok(()),
            Err(_) => println!("  nothing for ten seconds"),
        }
    }
}

async fn demonstrate(mut stream: EventStream) -> Result<()> {
    if timeout(Duration::from_millis(50), stream.next()).await.is_ok() {
        return Err("something came out of nothing".into());
    }
    println!("a query among other flows, made by a thread that may block:");
    let query = Flow::new(Tuple::udp("10.0.0.1:40000".parse()?, "10.0.0.2:53".parse()?)?);
    let other = Flow::new(Tuple::udp("10.0.0.1:40000".parse()?, "10.0.0.2:123".parse()?)?);
    let flows = [other, query.clone()].map(|flow| flow.timeout(Duration::from_secs(60)));
    let mut handle = Handle::open()?;
    let port_id = handle.port_id();
    let writer = tokio::task::spawn_blocking(move || {
        flows.iter().try_for_each(|flow| handle.create(flow))?;
        flows.iter().try_for_each(|flow| handle.delete(flow).map(drop))
    });
    for kind in [EventKind::New, EventKind::Destroy] {
        let event = timeout(Duration::from_secs(5), stream.next()).await?.ok_or("the stream ended")??;
        print(&event);
        match event {
            Event::Flow(change)
                if (change.kind, change.port_id) == (kind, port_id)
                    && change.entry.original == query.original => {}
            _ => return Err(format!("{kind:?} of the query should have come").into()),
        }
    }
    writer.await??;

    let mut events = stream.into_inner();
    match events.try_next() {
        None => println!("everything as it should be, {} overruns", events.overruns()),
        more => return Err(format!("{more:?} should not have come").into()),
    }
    Ok(())
}

fn print(event: &Event) {
    match event {
        Event::Flow(change) => println!("  {:<8} {}", format!("{:?}", change.kind), change.entry.key()),
        Event::Overrun { lost } => println!("  {lost:?} events were lost"),
        other => println!("  {other:?}"),
    }
}
