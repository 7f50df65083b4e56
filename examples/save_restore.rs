//! Saves the flows of one network namespace and restores them in another.
//!
//! ```text
//! cargo run --features save --example save_restore                  a demonstration
//! cargo run --features save --example save_restore -- --save        this machine's table, to standard output
//! cargo run --features save --example save_restore -- --restore     from standard input
//! ```

mod support;

use std::env;
use std::error::Error;
use std::io;
use std::process::Command;
use std::time::Duration;

use netfilter_conntrack::model::{Direction, TcpFlags};
use netfilter_conntrack::save::{Existing, RestoreError};
use netfilter_conntrack::{Flow, Handle, Namespace, Status, TcpState, Tuple, Zone};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    match env::args().nth(1).as_deref() {
        Some("--save") => match Handle::open()?.dump().save(io::stdout().lock())? {
            saved if saved.is_complete() => Ok(()),
            saved => Err(format!("entries may be missing: {saved:?}").into()),
        },
        Some("--restore") => match restore(&mut Handle::open()?, io::stdin().lock()) {
            0 => Ok(()),
            failed => Err(format!("{failed} lines were not restored").into()),
        },
        Some(other) => Err(format!("{other}? Either --save or --restore").into()),
        None => {
            support::in_own_namespace()?;
            demonstrate()
        }
    }
}

/// The timeout of flows that were forwarded by a flow table, unless packets come: the kernel lists them
/// without one.
const OFFLOADED: Duration = Duration::from_secs(300);

/// Restores every flow that it can, also a second time, and returns the number of failures.
fn restore(handle: &mut Handle, save: impl io::BufRead) -> u64 {
    let mut failed = 0;
    for restored in handle.restore(save).existing(Existing::Skip).missing_timeout(OFFLOADED) {
        let line = restored.line;
        match restored.result {
            Ok(()) if restored.existed => eprintln!("line {line}: is there already"),
            Ok(()) => {}
            // The kernel keeps no window scale of a handshake, no labels where no rule uses them, and no
            // helper that it does not have: the flow was created nevertheless. Or its timeout is already
            // over.
            Err(error @ (RestoreError::Differs(_) | RestoreError::Gone)) => eprintln!("line {line}: {error}"),
            Err(error) => {
                eprintln!("line {line}: {error}");
                failed += 1;
            }
        }
    }
    failed
}

fn flows() -> Result<Vec<Flow>> {
    let new = |tuple| Flow::new(tuple).timeout(Duration::from_secs(600));
    let web = Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?;
    let liberal = TcpFlags::BE_LIBERAL;
    Ok(vec![
        new(web)
            .zone(10)
            .mark(7)
            .tcp_state(TcpState::Established)
            .tcp_flags(Direction::Original, liberal)
            .tcp_flags(Direction::Reply, liberal)
            .status(Status::SEEN_REPLY | Status::ASSURED),
        // The same addresses, translated, in a zone of one direction.
        new(web)
            .zone(Zone::original_only(11))
            .tcp_state(TcpState::SynSent)
            .snat("192.0.2.1:40000".parse::<std::net::SocketAddr>()?),
        new(Tuple::udp("[2001:db8::1]:53".parse()?, "[2001:db8::2]:53".parse()?)?),
        new(Tuple::ping("10.0.0.1".parse()?, "10.0.0.2".parse()?, 9)?),
    ])
}

/// The parts of the flows that must be the same: all except those that the kernel generates.
fn texts(handle: &mut Handle) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for flow in handle.dump().entries()? {
        let mut flow = flow?;
        (flow.id, flow.use_count, flow.timeout) = (None, None, None);
        texts.push(serde_json::to_string(&flow)?);
    }
    texts.sort();
    Ok(texts)
}

fn demonstrate() -> Result<()> {
    let mut here = Handle::open()?;
    for flow in flows()? {
        here.create(&flow)?;
    }
    let mut save = Vec::new();
    let saved = here.dump().save(&mut save)?;
    print!("{}", String::from_utf8_lossy(&save));

    // Another namespace, for as long as a process stays in it.
    let mut other = Command::new("unshare").args(["-n", "sleep", "60"]).spawn()?;
    let restored = (|| {
        let path = format!("/proc/{}/ns/net", other.id());
        let own = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(&path)? == own {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut there = Handle::open_in(&Namespace::at(&path)?)?;
        // The second restore finds nothing to do.
        let failed = restore(&mut there, &save[..]) + restore(&mut there, &save[..]);
        Ok::<_, Box<dyn Error>>((failed, texts(&mut there)?))
    })();
    other.kill()?;
    other.wait()?;

    let (failed, there) = restored?;
    println!("{} saved, {failed} not restored", saved.flows);
    match failed == 0 && saved.is_complete() && there == texts(&mut here)? {
        true => Ok(()),
        false => Err("the namespaces differ".into()),
    }
}
