//! Closures under the C library's callbacks.
//!
//! This is the crate's only function that C calls. A call of the library registers it, runs, and
//! unregisters it on every way out, so the closure can live on the caller's stack and borrow from
//! it. Only `nfct_callback_register2` is used: the library takes one of its two kinds of callback
//! for the other when both were registered.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::Conntrack;
use crate::sys;

/// A panic on its way through C.
pub(super) type Panic = Box<dyn Any + Send>;

/// The closure of a call, and what the library is told when it has had enough.
pub(super) enum Deliver<'a> {
    /// For the answer to a query. The closure owns each object. After a break or a panic the rest
    /// of the answer is read and thrown away: left in the socket, it would be taken for the answer
    /// to the next query.
    Owned(&'a mut dyn FnMut(Conntrack) -> ControlFlow<()>),
    /// For events. The library keeps each object, since it can be told that its object was taken
    /// or that it should stop, but not both. A break or a panic stops the library at once.
    Lent(&'a mut dyn FnMut(sys::nf_conntrack_msg_type, &Conntrack) -> ControlFlow<()>),
}

/// What the trampoline finds behind its data pointer.
struct Call<'a> {
    deliver: Deliver<'a>,
    /// Whether the closure broke off or panicked; it is not called again.
    over: bool,
    panic: Option<Panic>,
}

/// What a call of the C library came to.
pub(super) struct Outcome {
    /// The errno of a failed call.
    pub(super) result: Result<(), c_int>,
    /// The closure's panic, to be resumed when the session knows what state it is in.
    pub(super) panic: Option<Panic>,
}

/// Calls into the library with a closure for the objects that it comes up with.
///
/// # Safety
///
/// `handle` is a live handle with the connection tracking subsystem that nothing else uses during
/// this call. `call` makes one call of the library on it and returns the result.
pub(super) unsafe fn run(
    handle: NonNull<sys::nfct_handle>,
    deliver: Deliver<'_>,
    call: impl FnOnce() -> c_int,
) -> Outcome {
    let mut state = Call { deliver, over: false, panic: None };
    // SAFETY: the handle is the caller's promise. `state` outlives the registration, which is
    // dropped at the end of the block, and is not touched before.
    let registration = unsafe { Registration::new(handle, (&raw mut state).cast()) };
    let result = match registration {
        Ok(_registration) => match call() {
            // Read before the registration is dropped, which could change it.
            rc if rc < 0 => Err(errno()),
            _ => Ok(()),
        },
        Err(errno) => Err(errno),
    };
    Outcome { result, panic: state.panic }
}

/// The errno that the last C function left.
pub(super) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The trampoline on a handle, until this is dropped.
struct Registration(NonNull<sys::nfct_handle>);

impl Registration {
    /// # Safety
    ///
    /// The handle is live, has the connection tracking subsystem and no callback. `data` points to
    /// a [`Call`] that outlives the registration and is not touched by anybody else meanwhile.
    unsafe fn new(handle: NonNull<sys::nfct_handle>, data: *mut c_void) -> Result<Self, c_int> {
        // SAFETY: the handle is the caller's promise; a handle without the subsystem would abort.
        // The trampoline has the type the library calls, and `data` is what it expects.
        let rc =
            unsafe { sys::nfct_callback_register2(handle.as_ptr(), sys::NFCT_T_ALL, Some(trampoline), data) };
        if rc == 0 { Ok(Self(handle)) } else { Err(errno()) }
    }
}

impl Drop for Registration {
    #[doc(alias = "nfct_callback_unregister2")]
    fn drop(&mut self) {
        // SAFETY: the handle is live for as long as the registration, by the promise to `new`, and
        // no call is in progress: the registration is dropped after it.
        unsafe { sys::nfct_callback_unregister2(self.0.as_ptr()) };
    }
}

/// What the library calls for each object.
///
/// Returns `STOLEN` exactly when the object was taken from the library, whose own free would then
/// be the second one.
unsafe extern "C" fn trampoline(
    _message: *const libc::nlmsghdr,
    kind: sys::nf_conntrack_msg_type,
    object: *mut sys::nf_conntrack,
    data: *mut c_void,
) -> c_int {
    // SAFETY: `data` is the pointer registered in `run`, to a `Call` on the stack of the function
    // that is waiting for the library; that function does not touch it meanwhile, and the library
    // does not call back while it is called back.
    let call = unsafe { &mut *data.cast::<Call<'_>>() };
    let Some(object) = NonNull::new(object) else { return sys::NFCT_CB_CONTINUE };
    match &mut call.deliver {
        Deliver::Owned(_) if call.over => sys::NFCT_CB_CONTINUE,
        Deliver::Lent(_) if call.over => sys::NFCT_CB_STOP,
        Deliver::Owned(closure) => {
            // SAFETY: the library made the object for this callback and gives it up when it is
            // told `STOLEN`, which is the only thing this arm returns.
            let object = unsafe { Conntrack::from_raw(object) };
            let result = catch_unwind(AssertUnwindSafe(|| closure(object)));
            call.note(result);
            sys::NFCT_CB_STOLEN
        }
        Deliver::Lent(closure) => {
            // SAFETY: the object is alive until this function returns. It is never dropped here,
            // and the closure gets it by a reference that ends with the closure's call, so the
            // library stays its only owner.
            let object = ManuallyDrop::new(unsafe { Conntrack::from_raw(object) });
            let result = catch_unwind(AssertUnwindSafe(|| closure(kind, &object)));
            call.note(result);
            if call.over { sys::NFCT_CB_STOP } else { sys::NFCT_CB_CONTINUE }
        }
    }
}

impl Call<'_> {
    fn note(&mut self, result: Result<ControlFlow<()>, Panic>) {
        match result {
            Ok(ControlFlow::Continue(())) => return,
            Ok(ControlFlow::Break(())) => {}
            Err(panic) => self.panic = Some(panic),
        }
        self.over = true;
    }
}
