//! Expects a connection, as an FTP helper does after reading the answer to `PASV`.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Expectation, Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    // The connection that announces another one. Its helper sets the limits.
    let control = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:21".parse()?)?;
    let master = Flow::new(control)
        .tcp_state(TcpState::Established)
        .timeout(Duration::from_secs(300))
        .helper("ftp".parse()?);
    handle.create(&master)?;

    // The announced connection: its source port is not known yet.
    let data = Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:5000".parse()?)?;
    let expectation = Expectation::new(control, data).from_any_port();
    handle.expectations().create(&expectation)?;

    let created = handle.expectations().get(data)?;
    println!("created {created}");
    assert_eq!((created.master, created.expected, created.mask), (control, data, expectation.mask));
    Ok(())
}
