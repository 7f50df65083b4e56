use netfilter_conntrack::ErrorKind;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Session, attr};
use std::ops::ControlFlow;

fn main() -> Result<(), netfilter_conntrack::Error> {
    let mut session = Session::open()?;                               // nfct_open(CONNTRACK, 0)
    let mut deleting = Session::open()?;
    let mut deleted = 0;
    let end = session.dump(Some(Family::Ipv4), |ct| {                 // nfct_callback_register, NFCT_Q_DUMP
        if ct.get(attr::L4PROTO) != Some(Protocol::UDP.number()) || ct.get(attr::PORT_DST) != Some(53) {
            return ControlFlow::Continue(());                         // NFCT_CB_CONTINUE
        }
        match deleting.destroy(&ct) {                                 // NFCT_Q_DESTROY
            Ok(()) => deleted += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {}   // ENOENT
            Err(error) => return ControlFlow::Break(error),           // NFCT_CB_FAILURE
        }
        ControlFlow::Continue(())
    })?;
    if let ControlFlow::Break(error) = end {
        return Err(error);
    }
    println!("{deleted} deleted");
    Ok(())                                                            // both sessions are closed
}
