//! Parts that this machine lacks, and how to get them: texts for the user, made of the words of
//! pkg-config, clang and libclang.

use std::env;

const INSTALL_LIBCLANG: &str = "
    Debian, Ubuntu: apt install libclang-dev
    Fedora, RHEL:   dnf install clang-devel
    Arch:           pacman -S clang
    Alpine:         apk add clang-dev
";

const INSTALL_C_HEADERS: &str = "
    Debian, Ubuntu: apt install libc6-dev
    Fedora, RHEL:   dnf install glibc-devel
    Arch:           pacman -S glibc linux-api-headers
    Alpine:         apk add musl-dev linux-headers
";

/// Headers that are part of clang and that a C library does not have, besides `__stddef_*.h`.
const HEADERS_OF_CLANG: [&str; 6] =
    ["float.h", "iso646.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h"];

/// What is built for, and where.
pub(crate) struct Platform {
    pub(crate) target: String,
    pub(crate) host: String,
}

impl Platform {
    /// As cargo names them for a build script.
    pub(crate) fn of_build() -> Self {
        let of = |name| env::var(name).unwrap_or_default();
        Self { target: of("TARGET"), host: of("HOST") }
    }

    pub(crate) fn is_cross(&self) -> bool {
        self.target != self.host
    }
}

/// Explains what pkg-config needs in a build for another platform.
pub(crate) fn for_pkg_config(library: &str, Platform { target, host }: &Platform) -> String {
    let variable = target.replace('-', "_");
    format!(
        "This builds for {target} on {host}, and pkg-config is not set up for that: it would find \
         this machine's library. With the target's library installed, set\n    \
         PKG_CONFIG_ALLOW_CROSS=1\n    \
         PKG_CONFIG_LIBDIR_{variable}=… (the folder of the target's {library}.pc; on Debian and \
         Ubuntu /usr/lib/TRIPLET/pkgconfig)\n\
         or, if the library is in a sysroot, PKG_CONFIG_SYSROOT_DIR_{variable} beside the latter. See \
         README.md of libnetfilter-conntrack-sys."
    )
}

/// Explains an error of clang in the headers, as bindgen reports it.
pub(crate) fn for_headers(diagnostic: &str, platform: &Platform) -> String {
    let advice = match missing_header(diagnostic) {
        None => return format!("bindgen cannot read the headers:\n{diagnostic}"),
        Some(header) if header.starts_with("libnetfilter_conntrack/") || header.contains("nfnetlink") => {
            format!(
                "The header {header} of the library was not found. It comes with the library's \
                     development package; if that is in an unusual place, set PKG_CONFIG_PATH."
            )
        }
        Some(header) if HEADERS_OF_CLANG.contains(&header) || header.starts_with("__std") => format!(
            "clang's own header {header} was not found: libclang is here without the headers that \
             belong to it. To install both:{INSTALL_LIBCLANG}If they are in an unusual place, set \
             BINDGEN_EXTRA_CLANG_ARGS=-I/…/lib/clang/VERSION/include, or CLANG_PATH to a clang that \
             knows it."
        ),
        Some(header) if platform.is_cross() => for_sysroot(header, platform),
        Some(header) => format!(
            "The header {header} of the C library or the kernel was not found. To install \
             them:{INSTALL_C_HEADERS}If they are in an unusual place, set \
             BINDGEN_EXTRA_CLANG_ARGS=--sysroot=…"
        ),
    };
    format!("{advice}\nclang says:\n{diagnostic}")
}

/// A build for another platform that reads the headers of this one, or none.
fn for_sysroot(header: &str, Platform { target, host }: &Platform) -> String {
    let variable = target.replace('-', "_");
    format!(
        "The header {header} was not found for {target}: clang has no headers of the C library and \
         the kernel for that target, and this machine is {host}.\n\
         If a sysroot of the target is here, set BINDGEN_EXTRA_CLANG_ARGS_{variable}=--sysroot=…\n\
         On Debian and Ubuntu, libc6-dev of the target's architecture (apt install libc6-dev:ARCH) is \
         found without it, and libc6-dev-ARCH-cross is in /usr/TRIPLET."
    )
}

/// The name in `fatal error: 'stdbool.h' file not found`.
fn missing_header(diagnostic: &str) -> Option<&str> {
    let (before, _) = diagnostic.split_once("' file not found")?;
    Some(before.rsplit_once('\'')?.1)
}

/// Explains a panic of bindgen: most often that it found no libclang.
pub(crate) fn for_libclang(reason: &str) -> String {
    if !reason.contains("libclang") {
        return format!("bindgen failed: {reason}");
    }
    format!(
        "bindgen failed. It needs libclang; to install it:{INSTALL_LIBCLANG}If it is in an unusual \
         place, set LIBCLANG_PATH. bindgen says:\n{reason}"
    )
}
