//! The short names that the C header has for attributes of the original direction.

use super::{
    Attr, Family, Ipv4, Ipv6, ORIG_IPV4_DST, ORIG_IPV4_SRC, ORIG_IPV6_DST, ORIG_IPV6_SRC, ORIG_L3PROTO,
    ORIG_L4PROTO, ORIG_PORT_DST, ORIG_PORT_SRC, Port, Protocol,
};

/// Makes constants out of rows: short name, kind, the constant it stands for, and the C name.
macro_rules! aliases {
    ($($name:ident: $kind:ident = $long:ident, $c:literal;)*) => {
        $(
            #[doc = concat!("Short for [`", stringify!($long), "`].")]
            #[doc(alias = $c)]
            pub const $name: Attr<$kind> = $long;
        )*

        /// Name and number of every constant above.
        #[cfg(test)]
        pub(super) const ALIASES: &[(&str, u32)] = &[$(($c, $name.id)),*];
    };
}

aliases! {
    IPV4_SRC: Ipv4 = ORIG_IPV4_SRC, "ATTR_IPV4_SRC";
    IPV4_DST: Ipv4 = ORIG_IPV4_DST, "ATTR_IPV4_DST";
    IPV6_SRC: Ipv6 = ORIG_IPV6_SRC, "ATTR_IPV6_SRC";
    IPV6_DST: Ipv6 = ORIG_IPV6_DST, "ATTR_IPV6_DST";
    PORT_SRC: Port = ORIG_PORT_SRC, "ATTR_PORT_SRC";
    PORT_DST: Port = ORIG_PORT_DST, "ATTR_PORT_DST";
    L3PROTO: Family = ORIG_L3PROTO, "ATTR_L3PROTO";
    L4PROTO: Protocol = ORIG_L4PROTO, "ATTR_L4PROTO";
}
