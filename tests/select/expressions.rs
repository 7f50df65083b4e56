//! Selectors joined by and, or, not: their meaning, and the limit of their depth.

use crate::common::{self, ip};
use crate::{any, forwarded};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::{Selector, Tuple};

#[test]
fn conditions_are_joined_by_and_or_not() {
    let flow = forwarded();
    let to = |port: u16| any().dst_port(port);
    assert!((to(80) | to(81)).matches(&flow) && (to(81) | to(80)).matches(&flow));
    assert!(!(to(80) & any().udp()).matches(&flow));
    assert!((to(80) & !any().udp()).matches(&flow));
    assert!(!Selector::zone(5).except(to(80)).matches(&flow));
    assert!(Selector::zone(5).except(to(81)).matches(&flow));
    assert!(Selector::all_of([to(80), any().tcp()]).matches(&flow));
    assert!(Selector::any_of([to(81), to(80)]).tcp().matches(&flow));
    assert!(!Selector::any_of([to(81), to(80)]).udp().matches(&flow));
    // Ports of a protocol without ports never match; everything but a port includes that protocol.
    let ping = common::flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 80).expect("a tuple"));
    assert!(!any().src_port(0..=65535).matches(&ping) && (!any().src_port(80)).matches(&ping));
}

/// Code that walks an expression is recursive, so the depth must be limited.
#[test]
fn an_expression_is_as_wide_as_you_like_and_not_too_deep() {
    let flow = forwarded();
    let deep = |levels: u32| {
        let step = |inner: Selector, n: u32| match n % 3 {
            0 => !(inner & any().tcp()),
            1 => inner & any().dst_port(80),
            _ => inner | any().dst_port(n as u16),
        };
        (0..levels).fold(any().tcp(), step)
    };
    assert_eq!(deep(90).check(), Ok(()));
    for levels in [200, 100_000] {
        let selector = deep(levels);
        assert_eq!(selector.check(), Err(InputError::SelectorTooDeep));
        assert!(!selector.matches(&flow) && !(!selector.clone()).matches(&flow));
        assert_eq!((selector.clone() | any().tcp()).check(), Err(InputError::SelectorTooDeep));
        assert_eq!((any().tcp() & selector).check(), Err(InputError::SelectorTooDeep));
    }
    // An earlier mistake is the one reported.
    let wrong = (0..300).fold(any().tcp().udp(), |inner, _| !(inner & any().tcp()));
    assert_eq!(wrong.check(), Err(InputError::Contradiction("protocols")));

    let ports = || (0..10_000u16).map(|port| any().dst_port(port));
    let many = [
        Selector::any_of(ports()),
        Selector::all_of(ports().map(|port| !port | any().tcp())),
        ports().fold(any().tcp(), |all, port| all.except(port & any().udp())),
        (0..10_000).fold(any().tcp(), |same, _| !!same),
        (0..10_000).fold(any().tcp(), |same, _| same & Selector::all() & any()),
        (0..10_000).fold(any().tcp(), |same, _| same | Selector::any_of([])),
    ];
    for selector in many {
        assert_eq!(selector.check(), Ok(()));
        assert!(selector.matches(&flow));
    }
}

/// The position of the deep operand makes no difference.
#[test]
fn an_expression_is_not_too_deep_on_the_right_either() {
    let flow = forwarded();
    let or = |levels: u32| (0..levels).fold(any().tcp(), |inner, n| any().dst_port(n as u16) | inner);
    let and = |levels: u32| (0..levels).fold(any().tcp(), |inner, _| any().dst_port(80) & inner);
    assert!(or(100).check().is_ok() && or(100).matches(&flow) && and(100).check().is_ok());
    for levels in [200, 100_000] {
        for selector in [or(levels), and(levels)] {
            assert_eq!(selector.check(), Err(InputError::SelectorTooDeep));
            assert!(!selector.matches(&flow));
        }
    }
    // Nor does another error in it.
    let blank = (0..100_000).fold(any(), |inner, _| any() | inner);
    assert_eq!(blank.check(), Err(InputError::EmptySelector));
    // Lists joined to lists add no depth, nor do lists joined to everything or nothing.
    let steps: [fn(Selector) -> Selector; 3] = [
        |inner| (any().tcp() & any().src_port(40000)) & inner,
        |inner| Selector::all() & inner,
        |inner| any() & inner,
    ];
    for step in steps {
        let selector = (0..300).fold(any().tcp() & any().src_port(40000), |inner, _| step(inner));
        assert_eq!(selector.check(), Ok(()));
        assert!(selector.matches(&flow));
    }
    let selector = (0..300).fold(any().tcp() | any().udp(), |inner, _| Selector::any_of([]) | inner);
    assert!(selector.check().is_ok() && selector.matches(&flow));
}
