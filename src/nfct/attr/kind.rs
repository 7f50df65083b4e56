//! Kinds of attributes: the C storage of each, and its Rust value.

use std::ffi::{CStr, OsString, c_void};
use std::mem::ManuallyDrop;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;
use std::ptr::NonNull;
use std::time::{Duration, SystemTime};

use sealed::Stored;

use crate::model::expectation::ExpectationFlags;
use crate::nfct::Bitmask;
use crate::sys;

/// The kind of an attribute's value. Sealed: the C library's storage is fixed.
pub trait Kind: sealed::Sealed + Sized {
    /// The value in Rust.
    type Value;

    /// Reads the value; `None` where the C library marks an attribute but keeps nothing.
    #[doc(hidden)]
    fn load(stored: Stored<'_, Self>) -> Option<Self::Value>;
}

/// A kind whose attributes can be set.
pub trait Settable: Kind {
    /// The argument of a setter.
    type Input<'a>;

    /// Calls `set` with a pointer that `nfct_set_attr` may take for an attribute of this kind:
    /// aligned, and to as many bytes as the setter reads. Refuses a value that the attribute cannot hold.
    #[doc(hidden)]
    fn store(input: Self::Input<'_>, set: impl FnOnce(*const c_void)) -> Result<(), &'static str>;

    /// The value as a number, for attributes that others depend on.
    #[doc(hidden)]
    fn number(_input: &Self::Input<'_>) -> Option<u8> {
        None
    }
}

pub(in crate::nfct) mod sealed {
    use std::ffi::c_void;
    use std::marker::PhantomData;
    use std::ptr::NonNull;

    pub trait Sealed {}

    /// Where the C library keeps an attribute of kind `K`, for as long as its object is borrowed.
    pub struct Stored<'a, K> {
        pub(super) place: NonNull<c_void>,
        object: PhantomData<&'a ()>,
        kind: PhantomData<fn() -> K>,
    }

    impl<K> Stored<'_, K> {
        /// # Safety
        ///
        /// `nfct_get_attr` returned `place` for an attribute of kind `K`, and the object
        /// is neither changed nor freed during the lifetime.
        pub(in crate::nfct) unsafe fn new(place: NonNull<c_void>) -> Self {
            Self { place, object: PhantomData, kind: PhantomData }
        }
    }
}

/// Reads an attribute that is one plain field.
///
/// # Safety
///
/// Attributes of kind `K` are fields of `size_of::<R>()` bytes, and `R` is valid for any bytes.
unsafe fn read<K, R: Copy>(stored: &Stored<'_, K>) -> R {
    // SAFETY: per `Stored`, the place is an attribute of kind `K` in a live object, which the
    // caller knows to be a whole `R`. Read unaligned: the C library promises no alignment.
    unsafe { stored.place.cast::<R>().read_unaligned() }
}

/// Defines kinds that are one plain field, in columns: value, storage, and the two conversions.
macro_rules! fields {
    ($($(#[$doc:meta])* $kind:ident: $value:ty, $repr:ty, $encode:expr, $decode:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $kind {}

        impl sealed::Sealed for $kind {}

        impl Kind for $kind {
            type Value = $value;

            fn load(stored: Stored<'_, Self>) -> Option<$value> {
                // SAFETY: the C library keeps these attributes in a field of this width, and the
                // storage is made of integers.
                Some($decode(unsafe { read::<Self, $repr>(&stored) }))
            }
        }

        impl Settable for $kind {
            type Input<'a> = $value;

            fn store(input: $value, set: impl FnOnce(*const c_void)) -> Result<(), &'static str> {
                let repr: $repr = $encode(input);
                set((&raw const repr).cast());
                Ok(())
            }
        }
    )*};
}

fn same<T>(value: T) -> T {
    value
}

/// Sixteen bytes, aligned for C code that takes them as four words.
#[derive(Clone, Copy)]
#[repr(C, align(4))]
struct Bytes16([u8; 16]);

fields! {
    /// An 8-bit number.
    U8: u8, u8, same, same;
    /// A 16-bit number, kept in host order.
    U16: u16, u16, same, same;
    /// A 32-bit number, kept in host order.
    U32: u32, u32, same, same;
    /// A 64-bit number, kept in host order.
    U64: u64, u64, same, same;
    /// A port, GRE key or ICMP id, kept in network order.
    Port: u16, u16, u16::to_be, u16::from_be;
    /// An IPv4 address, kept in network order.
    Ipv4: Ipv4Addr, u32, |ip| u32::from(ip).to_be(), |repr| Ipv4Addr::from(u32::from_be(repr));
    /// An IPv6 address, kept in network order.
    Ipv6: Ipv6Addr, Bytes16, |ip: Ipv6Addr| Bytes16(ip.octets()), |repr: Bytes16| Ipv6Addr::from(repr.0);
    /// The flags of an expectation.
    ExpectFlags: ExpectationFlags, u32, |flags: ExpectationFlags| flags.bits(), ExpectationFlags::from_bits_retain;
}

/// Defines kinds that are one byte and take only some values.
macro_rules! checked_bytes {
    ($($(#[$doc:meta])* $kind:ident $(<const $param:ident: u8>)?: $allowed:expr, $reason:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $kind $(<const $param: u8>)? {}

        impl $(<const $param: u8>)? sealed::Sealed for $kind $(<$param>)? {}

        impl $(<const $param: u8>)? Kind for $kind $(<$param>)? {
            type Value = u8;

            fn load(stored: Stored<'_, Self>) -> Option<u8> {
                // SAFETY: the C library keeps these attributes in one byte each.
                Some(unsafe { read::<Self, u8>(&stored) })
            }
        }

        impl $(<const $param: u8>)? Settable for $kind $(<$param>)? {
            type Input<'a> = u8;

            fn store(input: u8, set: impl FnOnce(*const c_void)) -> Result<(), &'static str> {
                let allowed: fn(u8) -> bool = $allowed;
                if !allowed(input) {
                    return Err($reason);
                }
                set((&raw const input).cast());
                Ok(())
            }

            fn number(input: &u8) -> Option<u8> {
                Some(*input)
            }
        }
    )*};
}

checked_bytes! {
    /// An address family: `AF_INET` (2) or `AF_INET6` (10). The C library cannot build a message
    /// for any other, and then leaves the tuple out.
    Family: |family| matches!(family.into(), libc::AF_INET | libc::AF_INET6), "neither AF_INET nor AF_INET6";
    /// A protocol number, as in the IP header.
    Protocol: |_| true, "";
    /// An ICMP or ICMPv6 type. Which ones can be set depends on the family.
    IcmpType: |_| true, "";
    /// A protocol state below `LIMIT`: the C library looks the state's name up in a table.
    State<const LIMIT: u8>: |state| state < LIMIT, "no such state";
}

/// The name of a helper: at most 15 bytes.
#[derive(Debug, Clone, Copy)]
pub enum HelperName {}

impl sealed::Sealed for HelperName {}

impl Kind for HelperName {
    type Value = String;

    fn load(stored: Stored<'_, Self>) -> Option<String> {
        // SAFETY: the object keeps the name in a `char[16]`.
        let field = unsafe { read::<Self, [u8; 16]>(&stored) };
        let name = field.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

impl Settable for HelperName {
    type Input<'a> = &'a str;

    fn store(input: &str, set: impl FnOnce(*const c_void)) -> Result<(), &'static str> {
        // The setter copies at most 16 bytes, up to the NUL that always is among them.
        let mut name = [0u8; 16];
        if input.len() >= name.len() {
            return Err("longer than 15 bytes");
        }
        if input.contains('\0') {
            return Err("holds a NUL");
        }
        name[..input.len()].copy_from_slice(input.as_bytes());
        set(name.as_ptr().cast());
        Ok(())
    }
}

/// The kernel's name for a function of its own: at most 23 bytes.
#[derive(Debug, Clone, Copy)]
pub enum FunctionName {}

impl sealed::Sealed for FunctionName {}

impl Kind for FunctionName {
    type Value = String;

    fn load(stored: Stored<'_, Self>) -> Option<String> {
        // SAFETY: the object keeps the name in a `char[24]`.
        let field = unsafe { read::<Self, [u8; 24]>(&stored) };
        let name = field.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

/// A moment, kept as nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub enum Timestamp {}

impl sealed::Sealed for Timestamp {}

impl Kind for Timestamp {
    type Value = SystemTime;

    fn load(stored: Stored<'_, Self>) -> Option<SystemTime> {
        // SAFETY: the object keeps timestamps in a `uint64_t` each.
        let nanoseconds = unsafe { read::<Self, u64>(&stored) };
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))
    }
}

/// Text of any length that only the kernel sets.
#[derive(Debug, Clone, Copy)]
pub enum Text {}

impl sealed::Sealed for Text {}

impl Kind for Text {
    type Value = OsString;

    fn load(stored: Stored<'_, Self>) -> Option<OsString> {
        // SAFETY: per `Stored`, the place is what the getter of a text attribute returned: the
        // NUL-terminated heap string the parser made with strdup, alive as long as the object.
        let text = unsafe { CStr::from_ptr(stored.place.as_ptr().cast()) };
        Some(OsString::from_vec(text.to_bytes().to_vec()))
    }
}

/// A set of label bits. Setting one moves it into the object; reading one makes a copy.
#[derive(Debug, Clone, Copy)]
pub enum Labels {}

impl sealed::Sealed for Labels {}

impl Kind for Labels {
    type Value = Bitmask;

    fn load(stored: Stored<'_, Self>) -> Option<Bitmask> {
        let raw: NonNull<sys::nfct_bitmask> = stored.place.cast();
        // SAFETY: per `Stored`, this is the live mask of an object that is not changed meanwhile.
        // The object stays its owner: this second handle is never dropped, only cloned from.
        let borrowed = ManuallyDrop::new(unsafe { Bitmask::from_raw(raw) });
        Some((*borrowed).clone())
    }
}

impl Settable for Labels {
    type Input<'a> = Bitmask;

    fn store(input: Bitmask, set: impl FnOnce(*const c_void)) -> Result<(), &'static str> {
        // The setter keeps the pointer and the object frees the mask from here on.
        set(input.into_raw().as_ptr().cast());
        Ok(())
    }
}
