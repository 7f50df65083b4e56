//! Deletes one expectation, and no other.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Error as NfctError, Expectation, Flow, Handle, TcpState, Tuple};

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

    let data = Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:5000".parse()?)?;
    handle.expectations().create(&Expectation::new(control, data).from_any_port())?;

    let expectation = handle.expectations().get(data)?;
    handle.expectations().delete(&expectation)?;
    println!("deleted {expectation}");

    let again = handle.expectations().delete(&expectation);
    assert!(matches!(again, Err(NfctError::NotFound(_))));
    if let Err(error) = again {
        println!("again: {error}");
    }
    Ok(())
}
