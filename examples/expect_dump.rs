//! Lists expectations: all of them, and those of one master.

mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::{Expectation, Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let chat = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:6667".parse()?)?;
    let signalling = Tuple::udp("10.0.0.1:5060".parse()?, "10.0.0.2:5060".parse()?)?;
    for (tuple, helper) in [(chat, "irc"), (signalling, "sip")] {
        let master = Flow::new(tuple).timeout(Duration::from_secs(300)).helper(helper.parse()?);
        // A TCP connection needs a state.
        let is_tcp = tuple.protocol() == Protocol::TCP;
        handle.create(&if is_tcp { master.tcp_state(TcpState::Established) } else { master })?;
    }
    for port in [5000, 5001, 5002] {
        let data = Tuple::tcp("10.0.0.2:0".parse()?, SocketAddr::from(([10, 0, 0, 1], port)))?;
        handle.expectations().create(&Expectation::new(chat, data).from_any_port())?;
    }
    let audio = Tuple::udp("10.0.0.2:0".parse()?, "10.0.0.1:7000".parse()?)?;
    let call = Expectation::new(signalling, audio).from_any_port();
    // Class 1 of SIP is audio; older kernels accept a class only together with the helper's name.
    handle.expectations().create(&call.helper("sip".parse()?).class(1))?;

    let mut count = 0;
    for expectation in handle.expectations().dump().entries()? {
        println!("{}", expectation?);
        count += 1;
    }
    assert_eq!(count, 4);

    println!("of {chat}:");
    let mut of_chat = 0;
    for expectation in handle.expectations().dump().of_master(chat).entries()? {
        println!("  {}", expectation?.expected);
        of_chat += 1;
    }
    assert_eq!(of_chat, 3);
    Ok(())
}
