# The C library, built with sanitizers. Read by ./dev.
# shellcheck shell=bash
#
# Built once, below target/sanitized/library, as an archive, so that only our own programs have it, and not
# those that tests start. The sanitizers' runtime is Rust's, because a program has only one.

# The release, one of RELEASES, of the source package.
readonly SANITIZED_RELEASE=1.1.0

# AddressSanitizer and UndefinedBehaviorSanitizer; every report of theirs ends the program. Not for alignment:
# the library takes the 52 bytes of an expectation's tuple for the beginning of a connection, which may begin
# at any multiple of four.
readonly SANITIZED_CFLAGS="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=all"

# Sets `sanitized` to the folder with the library, or to nothing, with a message, if there is no source to
# build it from. Then the library of this machine is used: its calls of malloc and of string functions are
# still watched, but not its own reads and writes.
get_sanitized() {
    mkdir -p "$target/sanitized"
    sanitized=$(cd "$target/sanitized" && pwd)/library
    [ ! -e "$sanitized/complete" ] || return 0
    say "building the C library with sanitizers; what that prints is in $sanitized.log"
    if can_debian "the sources of the C library" && need make xz && build_sanitized >"$sanitized.log" 2>&1; then
        touch "$sanitized/complete"
        return
    fi
    say "WITHOUT A SANITIZED C LIBRARY: its source package cannot be had or built (see $sanitized.log)."
    say "The library of this machine is used: only its calls of malloc, free and string functions are watched."
    sanitized=
}

build_sanitized() {
    local suite release work=$sanitized.work
    for release in "${RELEASES[@]}"; do
        [ "${release%%:*}" != "$SANITIZED_RELEASE" ] || suite=${release##*:}
    done
    rm -rf "$work" "$sanitized"
    mkdir -p "$work" "$sanitized"
    # Its dependencies, with headers.
    use_debian "$suite" "$work" || return
    fetch_debian "$work" libnfnetlink-dev libnfnetlink0 libmnl-dev libmnl0 || return
    get_source "$work" libnetfilter-conntrack || return
    local libraries source
    libraries=$(dirname "$(find "$work/root/usr" -name libmnl.pc -print -quit)") || return
    source=$(find "$work" -mindepth 1 -maxdepth 1 -type d -name 'libnetfilter_conntrack-*' -print -quit)
    compile_sanitized "$source" "$work/root" "$libraries" || return
    # No other files of the build are needed.
    mv "$work/root" "$sanitized/root"
    install_sanitized "$source" "${libraries#"$work/root"}" || return
    rm -rf "$work"
}

# Downloads and unpacks the sources of the package $2 into $1, after `use_debian`. The upstream archive is
# enough, and a mirror may not have the rest.
get_source() {
    sed -i 's/^deb /deb-src /' "$1/sources.list"
    apt-get "${apt_options[@]}" update || return
    (cd "$1" && apt-get "${apt_options[@]}" source --tar-only --download-only "$2" && tar -xf ./*.orig.tar.*)
}

# Compiles the sources in $1 against the libraries in $2, whose pkg-config files are in $3.
compile_sanitized() {
    (
        cd "$1"
        export PKG_CONFIG_SYSROOT_DIR=$2 PKG_CONFIG_PATH="" PKG_CONFIG_LIBDIR=$3
        # Only compiled files get the flags: the trials of `configure` need no sanitizer.
        ./configure --quiet --disable-shared --enable-static --prefix=/usr &&
            make --silent -C src -j "$(nproc)" CFLAGS="$SANITIZED_CFLAGS"
    )
}

# Copies the archive built in $1 and its headers, and its pkg-config file to those of the other libraries in
# $2.
install_sanitized() {
    local root=$sanitized/root
    cp "$1/src/.libs/libnetfilter_conntrack.a" "$root$(dirname "$2")" || return
    cp -r "$1/include/libnetfilter_conntrack" "$root/usr/include" || return
    # The pkg-config files of its dependencies have their locations.
    sed -e "s|^libdir=.*|libdir=$(dirname "$2")|" -e 's|^Libs.private:.*|Libs.private: -lmnl -lnfnetlink|' "$1/libnetfilter_conntrack.pc" \
        >"$root$2/libnetfilter_conntrack.pc" || return
    echo "$2" >"$sanitized/descriptions"
}

# Runs "$@" so that the bindings find the sanitized library, if there is one.
with_sanitized() {
    [ -n "$sanitized" ] || { "$@"; return; }
    PKG_CONFIG_SYSROOT_DIR=$sanitized/root PKG_CONFIG_PATH="" \
        PKG_CONFIG_LIBDIR=$sanitized/root$(cat "$sanitized/descriptions") \
        LIBNETFILTER_CONNTRACK_STATIC=1 "$@"
}

# A line about the library that was used.
sanitized_library() {
    if [ -n "$sanitized" ]; then echo "libnetfilter_conntrack $SANITIZED_RELEASE with AddressSanitizer and UBSan"
    else echo "libnetfilter_conntrack $(pkg-config --modversion libnetfilter_conntrack), not sanitized"
    fi
}
