//! Creates a flow through one door, and finds it through the other.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use netfilter_conntrack::nfct::{Session, attr};
use netfilter_conntrack::{Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    let tuple = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:443".parse()?)?;
    let flow = Flow::new(tuple).mark(7).tcp_state(TcpState::Established).timeout(Duration::from_secs(60));
    Handle::open()?.create(&flow)?;
    let mut marks = Vec::new();
    let end = Session::open()?.dump(None, |ct| {
        marks.push(ct.get(attr::MARK));
        ControlFlow::<()>::Continue(())
    })?;
    assert!(end.is_continue(), "nothing ends the dump early");
    assert_eq!(marks, [Some(7)], "marks of all flows");
    println!("one flow, created by Handle and found by the C library");
    Ok(())
}
