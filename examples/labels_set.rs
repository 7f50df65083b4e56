//! Sets, adds and removes labels of a flow by name, and leaves its other labels alone.

#[path = "support/labels.rs"]
mod labels;
mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Labels, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    labels::use_labels()?;
    let mut handle = Handle::open()?;
    let map = labels::names()?;
    let flow = Flow::new(Tuple::udp("10.0.0.1:1000".parse()?, "10.0.0.2:53".parse()?)?);
    handle.create(&flow.clone().timeout(Duration::from_secs(60)))?;

    let (web, bulk) = (map.labels(["web"])?, map.labels(["bulk"])?);
    let steps = [
        ("set these two", flow.identity().labels(web.union(bulk)), "web, bulk"),
        ("add one", with(&flow, map.labels(["customer a"])?), "web, bulk, customer a"),
        ("remove one", without(&flow, web), "bulk, customer a"),
        ("one for another", flow.identity().labels_masked(web, web.union(bulk)), "web, customer a"),
        ("set none", flow.identity().labels(Labels::new()), ""),
    ];
    for (what, change, expected) in steps {
        handle.update(&change)?;
        let labels = handle.get(&flow)?.labels.unwrap_or_default();
        let names = map.names(labels).collect::<Vec<_>>().join(", ");
        println!("{what:<16} {names}");
        assert_eq!(names, expected, "{what}");
    }
    Ok(())
}

/// The change that adds labels.
fn with(flow: &Flow, labels: Labels) -> Flow {
    flow.identity().labels_masked(labels, labels)
}

/// The change that removes labels.
fn without(flow: &Flow, labels: Labels) -> Flow {
    flow.identity().labels_masked(Labels::new(), labels)
}
