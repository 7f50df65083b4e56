//! Closures under the C library's callbacks.
//!
//! This is the crate's only function that C calls. A call of the library registers it, runs, and
//! unregisters it on every way out, so the closure can live on the caller's stack and borrow from
//! it. Only `nfct_callback_register2` is used: the library takes one of its two kinds of callback
//! for the other when both were registered.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::tracked::Object;
use crate::sys;

/// A panic on its way through C.
pub(super) type Panic = Box<dyn Any + Send>;

/// The closure of a call, and the verdict for the library when it has had enough.
pub(super) enum Deliver<'a, T> {
    /// For the answer to a query. The closure owns each object. After a break or a panic the rest
    /// of the answer is read and thrown away: left in the socket, it would be taken for the answer
    /// to the next query.
    Owned(&'a mut dyn FnMut(T) -> ControlFlow<()>),
    /// For events. The library keeps each object, since a verdict can either take the object
    /// or stop, but not both. A break or a panic stops the library at once.
    Lent(&'a mut dyn FnMut(sys::nf_conntrack_msg_type, &T) -> ControlFlow<()>),
}

/// The content behind the data pointer of the trampoline.
struct Call<'a, T> {
    deliver: Deliver<'a, T>,
    /// Whether the closure broke off or panicked; it is not called again.
    over: bool,
    panic: Option<Panic>,
    /// Whether the library had no memory for a part of an object.
    out_of_memory: bool,
}

/// The outcome of a call of the C library.
pub(super) struct Outcome {
    /// The errno of a failed call.
    pub(super) result: Result<(), c_int>,
    /// Whether the library was called at all: it was not if it had no memory for the closure.
    pub(super) called: bool,
    /// The closure's panic, to be resumed when the session knows its state.
    pub(super) panic: Option<Panic>,
}

/// Calls into the library with a closure for the objects that it comes up with.
///
/// # Safety
///
/// `handle` is a live handle with the subsystem of these objects that nothing else uses during
/// this call. `call` calls the library on it, and returns the result with its errno.
pub(super) unsafe fn run<T: Object>(
    handle: NonNull<sys::nfct_handle>,
    deliver: Deliver<'_, T>,
    call: impl FnOnce() -> Result<(), c_int>,
) -> Outcome {
    let mut state = Call { deliver, over: false, panic: None, out_of_memory: false };
    // SAFETY: the handle is the caller's promise. `state` outlives the registration, which is
    // dropped at the end of the block, and is not touched before.
    let registration = unsafe { Registration::<T>::new(handle, (&raw mut state).cast()) };
    let called = registration.is_ok();
    set_errno(0);
    let mut result = registration.and_then(|_registration| call());
    if state.out_of_memory {
        result = Err(libc::ENOMEM);
    }
    Outcome { result, called, panic: state.panic }
}

/// The errno that the last C function left.
pub(super) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub(super) fn set_errno(errno: c_int) {
    // SAFETY: takes nothing, and returns where the calling thread's errno is.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: that place is there as long as the thread, and nobody else writes to it.
    unsafe { *place = errno };
}

/// The trampoline on a handle, until this is dropped.
struct Registration<T: Object> {
    handle: NonNull<sys::nfct_handle>,
    of: PhantomData<T>,
}

impl<T: Object> Registration<T> {
    /// # Safety
    ///
    /// The handle is live, has the subsystem of these objects and no callback for them. `data` points to
    /// a [`Call`] with a closure for them that outlives the registration and is not touched by anybody
    /// else meanwhile.
    unsafe fn new(handle: NonNull<sys::nfct_handle>, data: *mut c_void) -> Result<Self, c_int> {
        // SAFETY: the handle is the caller's promise, and has the subsystem, as the library requires.
        // The trampoline has the type the library calls, and `data` is what it expects.
        let rc = unsafe { T::register(handle.as_ptr(), trampoline::<T>, data) };
        if rc == 0 { Ok(Self { handle, of: PhantomData }) } else { Err(errno()) }
    }
}

impl<T: Object> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: the handle is live for as long as the registration, by the promise to `new`, and
        // no call is in progress: the registration is dropped after it.
        unsafe { T::unregister(self.handle.as_ptr()) };
    }
}

/// The function that the library calls for each object.
///
/// Returns `STOLEN` exactly when the object was taken from the library, whose own free would then
/// be the second one.
unsafe extern "C" fn trampoline<T: Object>(
    _message: *const libc::nlmsghdr,
    kind: sys::nf_conntrack_msg_type,
    object: *mut T::Raw,
    data: *mut c_void,
) -> c_int {
    // SAFETY: `data` is the pointer registered in `run`, to a `Call` on the stack of the function
    // that is waiting for the library; that function does not touch it meanwhile, and the library
    // does not call back while it is called back.
    let call = unsafe { &mut *data.cast::<Call<'_, T>>() };
    let Some(object) = NonNull::new(object) else { return sys::NFCT_CB_CONTINUE };
    // The library ignores that its parser failed. Nothing but that has set errno since `run` or the
    // last closure.
    if errno() == libc::ENOMEM {
        call.out_of_memory = true;
        call.over = true;
    }
    match &mut call.deliver {
        Deliver::Owned(_) if call.over => sys::NFCT_CB_CONTINUE,
        Deliver::Lent(_) if call.over => sys::NFCT_CB_STOP,
        Deliver::Owned(closure) => {
            // SAFETY: the library made the object for this callback and gives it up when it is
            // told `STOLEN`, which is the only thing this arm returns.
            let object = unsafe { T::from_raw(object) };
            let result = catch_unwind(AssertUnwindSafe(|| closure(object)));
            call.note(result);
            sys::NFCT_CB_STOLEN
        }
        Deliver::Lent(closure) => {
            // SAFETY: the object is alive until this function returns. It is never dropped here,
            // and the closure gets it by a reference that ends with the closure's call, so the
            // library stays its only owner.
            let object = ManuallyDrop::new(unsafe { T::from_raw(object) });
            let result = catch_unwind(AssertUnwindSafe(|| closure(kind, &object)));
            call.note(result);
            if call.over { sys::NFCT_CB_STOP } else { sys::NFCT_CB_CONTINUE }
        }
    }
}

impl<T> Call<'_, T> {
    fn note(&mut self, result: Result<ControlFlow<()>, Panic>) {
        set_errno(0);
        match result {
            Ok(ControlFlow::Continue(())) => return,
            Ok(ControlFlow::Break(())) => {}
            Err(panic) => self.panic = Some(panic),
        }
        self.over = true;
    }
}
