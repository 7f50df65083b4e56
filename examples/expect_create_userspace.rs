//! Expects a connection as a helper outside the kernel does: permanent, of a class, from anywhere.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::model::{ExpectationFlags, Family, SourceMask};
use netfilter_conntrack::{Expectation, Flow, Handle, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let signalling = Tuple::udp("10.0.0.1:5060".parse()?, "10.0.0.2:5060".parse()?)?;
    let master = Flow::new(signalling).timeout(Duration::from_secs(300)).helper("sip".parse()?);
    handle.create(&master)?;

    // Class 1 of SIP is audio. Its sender is not known, and more than one flow may come. Older kernels accept
    // a class only together with the helper's name.
    let audio = Tuple::udp("10.0.0.2:0".parse()?, "10.0.0.1:7000".parse()?)?;
    let expectation = Expectation::new(signalling, audio)
        .from_any_address()
        .from_any_port()
        .helper("sip".parse()?)
        .class(1)
        .flags(ExpectationFlags::USERSPACE | ExpectationFlags::PERMANENT);
    handle.expectations().create(&expectation)?;

    let created = handle.expectations().get(audio)?;
    println!("created {created}");
    assert_eq!((created.class, created.mask), (Some(1), SourceMask::anything(Family::Ipv4)));
    // Newer kernels set and clear USERSPACE themselves.
    assert!(created.flags.contains(ExpectationFlags::PERMANENT));
    Ok(())
}
