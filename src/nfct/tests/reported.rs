//! Messages of the kernel, read back attribute by attribute.

use super::hostile::parse;
use super::sample::{V4, kernel_message};
use crate::netlink::message::MessageBuf;
use crate::nfct::attr;

#[test]
fn what_the_kernel_reports_is_read() {
    use std::time::{Duration, SystemTime};
    let ct = parse(kernel_message().as_bytes()).unwrap();
    assert_eq!(ct.get(attr::ORIG_COUNTER_PACKETS), Some(5));
    assert_eq!(ct.get(attr::ORIG_COUNTER_BYTES), Some(500));
    assert_eq!(ct.get(attr::REPL_COUNTER_PACKETS), Some(6));
    assert_eq!(ct.get(attr::REPL_COUNTER_BYTES), Some(600));
    assert_eq!(ct.get(attr::HELPER_NAME).as_deref(), Some("ftp"));
    assert_eq!(ct.get(attr::SECCTX).unwrap(), "system_u:object_r:unlabeled_t:s0");
    let nanoseconds = |n| Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(n));
    assert_eq!(ct.get(attr::TIMESTAMP_START), nanoseconds(1_700_000_000_000_000_001));
    assert_eq!(ct.get(attr::TIMESTAMP_STOP), nanoseconds(1_800_000_000_000_000_000));
    let event = ct.supports(attr::TIMESTAMP_EVENT).then(|| nanoseconds(1_750_000_000_000_000_000));
    assert_eq!(ct.get(attr::TIMESTAMP_EVENT), event.flatten());
    assert_eq!(ct.get(attr::STATUS), Some(0x18e));
    assert_eq!(ct.get(attr::TIMEOUT), Some(431_999));
    assert_eq!(ct.get(attr::MARK), Some(0xdead_beef));
    assert_eq!((ct.get(attr::USE), ct.get(attr::ID)), (Some(1), Some(0x1234_5678)));
    assert_eq!(ct.get(attr::ZONE), Some(10));
    assert_eq!(ct.get(attr::CONNLABELS).unwrap().words(), [1, 0, 0, 0x8000_0000]);
    assert_eq!((ct.get(attr::TCP_STATE), ct.get(attr::TCP_FLAGS_ORIG)), (Some(3), Some(0x23)));
    assert_eq!((ct.get(attr::TCP_WSCALE_ORIG), ct.get(attr::TCP_WSCALE_REPL)), (Some(7), Some(8)));
    assert_eq!(ct.get(attr::ORIG_NAT_SEQ_OFFSET_AFTER), Some(3));
    assert_eq!(ct.get(attr::SYNPROXY_TSOFF), Some(3));
    assert_eq!((ct.get(attr::ORIG_PORT_SRC), ct.get(attr::ORIG_PORT_DST)), (Some(40_000), Some(80)));
}

/// An end without a beginning.
#[test]
fn a_stop_without_a_start_is_read() {
    let mut message = MessageBuf::new(0x102, 0, V4, 0);
    message.nested(20, |times| times.put(2, &7u64.to_be_bytes())).unwrap();
    let ct = parse(message.as_bytes()).unwrap();
    assert!(ct.get(attr::TIMESTAMP_STOP).is_some());
    assert_eq!(ct.get(attr::TIMESTAMP_START), None);
}
