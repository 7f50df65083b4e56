//! The objects of the library's callbacks: connections and expectations, each with functions of its own.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use super::{Conntrack, Expect};
use crate::model::event::EventKind;
use crate::sys;

/// An object that the library makes of a message: [`Conntrack`] or [`Expect`].
pub trait Tracked: Object {}

impl Tracked for Conntrack {}
impl Tracked for Expect {}

/// The callback type of the library: with the message, its type, the object and the registered data.
pub(super) type Callback<T> =
    unsafe extern "C" fn(*const libc::nlmsghdr, sys::nf_conntrack_msg_type, *mut T, *mut c_void) -> c_int;

/// The functions of a kind of object. Nobody outside of this crate can name it.
pub trait Object: Sized {
    /// The C structure.
    type Raw;

    /// The subsystem of netfilter that its messages are of.
    const SUBSYSTEM: u8;

    /// The multicast group that brings events of this kind.
    fn group(kind: EventKind) -> u32;

    /// Registers a callback for every type of message.
    ///
    /// # Safety
    ///
    /// The handle is live, has the subsystem and no callback for it. The callback can be called with
    /// `data` until it is unregistered.
    unsafe fn register(
        handle: *mut sys::nfct_handle,
        callback: Callback<Self::Raw>,
        data: *mut c_void,
    ) -> c_int;

    /// # Safety
    ///
    /// The handle is live, has the subsystem, and no call on it is in progress.
    unsafe fn unregister(handle: *mut sys::nfct_handle);

    /// # Safety
    ///
    /// As for [`Conntrack::from_raw`] and [`Expect::from_raw`].
    unsafe fn from_raw(raw: NonNull<Self::Raw>) -> Self;
}

impl Object for Conntrack {
    type Raw = sys::nf_conntrack;
    const SUBSYSTEM: u8 = sys::NFNL_SUBSYS_CTNETLINK as u8;

    fn group(kind: EventKind) -> u32 {
        match kind {
            EventKind::New => sys::NF_NETLINK_CONNTRACK_NEW,
            EventKind::Update => sys::NF_NETLINK_CONNTRACK_UPDATE,
            EventKind::Destroy => sys::NF_NETLINK_CONNTRACK_DESTROY,
        }
    }

    unsafe fn register(
        handle: *mut sys::nfct_handle,
        callback: Callback<Self::Raw>,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: the caller's promise, which includes the subsystem that the library requires.
        unsafe { sys::nfct_callback_register2(handle, sys::NFCT_T_ALL, Some(callback), data) }
    }

    #[doc(alias = "nfct_callback_unregister2")]
    unsafe fn unregister(handle: *mut sys::nfct_handle) {
        // SAFETY: the caller's promise, which includes the subsystem that the library requires.
        unsafe { sys::nfct_callback_unregister2(handle) };
    }

    unsafe fn from_raw(raw: NonNull<Self::Raw>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::from_raw(raw) }
    }
}

impl Object for Expect {
    type Raw = sys::nf_expect;
    const SUBSYSTEM: u8 = sys::NFNL_SUBSYS_CTNETLINK_EXP as u8;

    fn group(kind: EventKind) -> u32 {
        match kind {
            EventKind::New => sys::NF_NETLINK_CONNTRACK_EXP_NEW,
            EventKind::Update => sys::NF_NETLINK_CONNTRACK_EXP_UPDATE,
            EventKind::Destroy => sys::NF_NETLINK_CONNTRACK_EXP_DESTROY,
        }
    }

    unsafe fn register(
        handle: *mut sys::nfct_handle,
        callback: Callback<Self::Raw>,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: the caller's promise, which includes the subsystem that the library requires.
        unsafe { sys::nfexp_callback_register2(handle, sys::NFCT_T_ALL, Some(callback), data) }
    }

    #[doc(alias = "nfexp_callback_unregister2")]
    unsafe fn unregister(handle: *mut sys::nfct_handle) {
        // SAFETY: the caller's promise, which includes the subsystem that the library requires.
        unsafe { sys::nfexp_callback_unregister2(handle) };
    }

    unsafe fn from_raw(raw: NonNull<Self::Raw>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::from_raw(raw) }
    }
}
