//! Events of other network namespaces: opened there, or received from here.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common::listen::{changes, next_flow};
use crate::common::{self, all, flow, numbered, sysctl, udp};
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::{Error, Events, Handle, Namespace};

/// Work for a thread in a namespace.
type Order = Box<dyn FnOnce(&mut Handle) + Send>;

/// A second namespace, kept open by a thread, which runs work in it.
struct Elsewhere {
    orders: mpsc::Sender<Order>,
    done: mpsc::Receiver<()>,
    thread_id: libc::pid_t,
}

impl Elsewhere {
    fn new() -> Self {
        let (orders, work) = mpsc::channel::<Order>();
        let (report, done) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            assert!(common::own_namespace());
            let mut handle = Handle::open().expect("a handle");
            // SAFETY: takes nothing.
            ready.send(unsafe { libc::gettid() }).expect("awaited");
            for order in work {
                order(&mut handle);
                report.send(()).expect("awaited");
            }
        });
        Self { orders, done, thread_id: is_ready.recv().expect("a namespace") }
    }

    /// Runs work there and waits until it is done.
    fn run(&self, order: impl FnOnce(&mut Handle) + Send + 'static) {
        self.orders.send(Box::new(order)).expect("alive");
        self.done.recv().expect("done");
    }

    fn namespace(&self) -> Namespace {
        Namespace::at(format!("/proc/self/task/{}/ns/net", self.thread_id)).expect("a namespace")
    }
}

#[test]
fn a_stream_belongs_to_the_namespace_it_was_opened_in() {
    let mut here = require_kernel!();
    let there = Elsewhere::new();
    let mut events = Events::builder().open_in(&there.namespace()).expect("events");
    let mut own = Events::builder().open().expect("events");
    there.run(|handle| handle.create(&numbered(1)).expect("created"));
    here.create(&numbered(2)).expect("created");
    let change = next_flow(&mut events);
    assert_eq!((change.entry.original, change.namespace), (numbered(1).original, None));
    assert_eq!(changes(&mut events), []);
    assert_eq!(changes(&mut own), [(EventKind::New, numbered(2).key().to_string())]);

    let error = Events::builder().open_in(&Namespace::at("/dev/null").expect("a file")).err();
    assert!(matches!(error, Some(Error::Refused(_))), "{error:?}");
}

#[test]
fn all_namespaces_are_told_apart() {
    let mut here = require_kernel!("ip");
    let there = Elsewhere::new();
    let mut events = Events::builder().all_namespaces().open().expect("events");
    let mut own = Events::builder().open().expect("events");

    // Events of a namespace without an id in this one are not received.
    there.run(|handle| handle.create(&numbered(1)).expect("created"));
    assert_eq!(events.next_timeout(Duration::from_millis(50)), None);

    // A virtual cable between the two gives it one.
    let peer = there.thread_id.to_string();
    common::run("ip", &["link", "add", "here", "type", "veth", "peer", "name", "there", "netns", &peer]);
    there.run(|handle| handle.delete(numbered(1)).expect("deleted"));
    let change = next_flow(&mut events);
    assert_eq!((change.kind, change.entry.original), (EventKind::Destroy, numbered(1).original));
    let listed = common::run("ip", &["netns", "list-id"]);
    let id = change.namespace.expect("an id");
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.starts_with(&format!("nsid {id} ")), "{id}: {listed}");

    here.create(&numbered(2)).expect("created");
    let change = next_flow(&mut events);
    assert_eq!((change.entry.original, change.namespace), (numbered(2).original, None));
    assert_eq!(changes(&mut own), [(EventKind::New, numbered(2).key().to_string())]);
}

/// The events of a flow that is older than the listener, by `nf_conntrack_events`:
///
/// - 1: all;
/// - 0: none;
/// - 2: all if there was any listener, in any namespace, when the flow began; otherwise none, not even its
///   end, however it ends.
#[test]
fn a_flow_older_than_the_listener_may_be_silent() {
    let mut handle = require_kernel!();
    let (old, short) = (flow(udp("10.0.0.1:1", "10.0.0.2:2")), flow(udp("10.0.0.1:3", "10.0.0.2:4")));
    let short = short.timeout(Duration::from_secs(1));
    let mut what_it_sends = |setting, before: Option<&Namespace>| {
        sysctl("nf_conntrack_events", setting);
        let elsewhere = before.map(|namespace| Events::builder().open_in(namespace).expect("events"));
        handle.create(&old).expect("created");
        handle.create(&short).expect("created");
        drop(elsewhere);
        let mut events = Events::builder().open().expect("events");
        handle.update(&old.identity().mark(5)).expect("updated");
        handle.delete(&old).expect("deleted");
        thread::sleep(Duration::from_millis(1100));
        // A dump removes expired flows.
        assert_eq!(all(&mut handle), []);
        let changes = changes(&mut events);
        let count = |kind| changes.iter().filter(|change| change.0 == kind).count();
        [EventKind::New, EventKind::Update, EventKind::Destroy].map(count)
    };
    const NOTHING: [usize; 3] = [0, 0, 0];
    const EVERYTHING: [usize; 3] = [0, 1, 2];
    assert_eq!(what_it_sends("0", None), NOTHING);
    assert_eq!(what_it_sends("1", None), EVERYTHING);
    if !common::only_new_flows_send_events() {
        return;
    }
    assert_eq!(what_it_sends("2", Some(&Elsewhere::new().namespace())), EVERYTHING);
    // A test cannot control other listeners on the machine.
    let alone = what_it_sends("2", None);
    assert!(alone == NOTHING || alone == EVERYTHING, "{alone:?}");
}
