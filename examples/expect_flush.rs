//! Deletes the expectations of one helper, then all.

mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use netfilter_conntrack::{Expectation, Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let chat = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:6667".parse()?)?;
    let control = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:21".parse()?)?;
    for (master, helper, port) in [(chat, "irc", 5000), (control, "ftp", 5001)] {
        handle.create(
            &Flow::new(master)
                .tcp_state(TcpState::Established)
                .timeout(Duration::from_secs(300))
                .helper(helper.parse()?),
        )?;
        let data = Tuple::tcp("10.0.0.2:0".parse()?, SocketAddr::from(([10, 0, 0, 1], port)))?;
        handle.expectations().create(&Expectation::new(master, data).from_any_port())?;
    }

    handle.expectations().delete_by_helper("irc".parse()?)?;
    let left = handle.expectations().dump().entries()?.collect::<Result<Vec<_>, _>>()?;
    println!("left without those of irc: {}", left.len());
    assert_eq!(left.iter().map(|one| one.master).collect::<Vec<_>>(), [control]);

    handle.expectations().flush()?;
    assert_eq!(handle.expectations().dump().entries()?.count(), 0);
    println!("none is left; their masters stay");
    assert_eq!(handle.dump().entries()?.count(), 2);
    Ok(())
}
