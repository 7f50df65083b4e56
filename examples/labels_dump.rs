//! Lists flows with their labels by name.

#[path = "support/labels.rs"]
mod labels;
mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    labels::use_labels()?;
    let mut handle = Handle::open()?;
    let map = labels::names()?;

    let wanted = BTreeMap::from([
        ("10.0.0.1".parse()?, "web, customer a"),
        ("10.0.0.2".parse()?, "bulk"),
        ("10.0.0.3".parse()?, ""),
    ]);
    for (source, names) in &wanted {
        let tuple = Tuple::udp((*source, 1000).into(), "10.0.1.1:53".parse()?)?;
        let labels = map.labels(names.split(", ").filter(|name| !name.is_empty()))?;
        handle.create(&Flow::new(tuple).timeout(Duration::from_secs(60)).labels(labels))?;
    }

    let mut shown = BTreeMap::new();
    for flow in handle.dump().entries()? {
        let flow = flow?;
        // A flow without labels has no label set.
        let names = map.names(flow.labels.unwrap_or_default()).collect::<Vec<_>>().join(", ");
        println!("{:<40} {names}", flow.original.to_string());
        shown.insert(flow.original.src(), names);
    }
    assert!(
        shown.iter().map(|(source, names)| (source, names.as_str())).eq(wanted.iter().map(|(s, n)| (s, *n)))
    );
    Ok(())
}
