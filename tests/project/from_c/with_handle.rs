use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Handle, Selector};

fn main() -> Result<(), netfilter_conntrack::Error> {
    let stale = Selector::any_zone().family(Family::Ipv4).udp().dst_port(53);
    let outcome = Handle::open()?.delete_matching(stale).run()?;
    println!("{} deleted, {} failed", outcome.done, outcome.failed);
    Ok(())
}
