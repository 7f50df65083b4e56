//! `utils/conntrack_flush_filter.c`: deletes the entries that pass a filter.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::{DumpFilter, ObjectError, Session, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    for mark in 1..=5 {
        let mut ct = objects::connection(
            Protocol::UDP,
            format!("10.0.0.{mark}:5353").parse()?,
            "10.0.1.1:53".parse()?,
        )?;
        ct.set(attr::MARK, mark)?;
        session.create(&ct)?;
    }

    let mut filter = DumpFilter::new()?;
    filter.mark(0x1, 0xff)?;
    let expected = match session.flush_filtered(&filter) {
        Ok(()) => {
            println!("flush conntrack by mark: OK");
            [2, 3, 4, 5].as_slice()
        }
        // Libraries before 1.1.0 and kernels before 5.8 would delete more than that.
        Err(error @ netfilter_conntrack::Error::Object(ObjectError::Unsupported { .. }))
        | Err(error @ netfilter_conntrack::Error::Unsupported(_)) => {
            println!("{error}");
            [1, 2, 3, 4, 5].as_slice()
        }
        Err(error) => return Err(error.into()),
    };

    let mut left = Vec::new();
    let _end = session.dump(None, |ct| {
        left.extend(ct.get(attr::MARK));
        ControlFlow::<()>::Continue(())
    })?;
    left.sort_unstable();
    assert_eq!(left, expected);
    Ok(())
}
