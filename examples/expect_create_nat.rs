//! Expects a connection that is to be translated like its master.

mod support;

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use netfilter_conntrack::model::Direction;
use netfilter_conntrack::{Expectation, Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    // A client in our network reaches the server at 10.0.0.2 through our address 192.0.2.1.
    let control = Tuple::tcp("10.0.0.1:40000".parse()?, "192.0.2.1:21".parse()?)?;
    let server: IpAddr = "10.0.0.2".parse()?;
    let master = Flow::new(control)
        .tcp_state(TcpState::Established)
        .timeout(Duration::from_secs(300))
        .helper("ftp".parse()?)
        .dnat(server);
    handle.create(&master)?;

    // The server announced its port 5000. Connections to our port 5000 go there too.
    let data = Tuple::tcp("10.0.0.1:0".parse()?, "192.0.2.1:5000".parse()?)?;
    let expectation =
        Expectation::new(control, data).from_any_port().follow_master(Direction::Original, 5000);
    handle.expectations().create(&expectation)?;

    let created = handle.expectations().get(data)?;
    println!("created {created}");
    assert_eq!((created.nat, &created.function), (expectation.nat, &expectation.function));
    Ok(())
}
