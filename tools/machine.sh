# A machine with another kernel: Debian's, in an emulator, entirely in memory. Read by ./dev.
# shellcheck shell=bash
#
# Its disk is an archive in memory of four parts: programs that every machine has, the modules of one kernel,
# the programs to run, and the command. Programs have the same path as here, and the libraries that they are
# linked to. Downloaded and built files stay below target/kernels.

# The newest kernel of a release, in the flavor with all network modules.
readonly KERNEL_PACKAGE=linux-image-cloud-amd64

# Sets `kernels`, the folder of all these files.
find_kernels() {
    mkdir -p "$target/kernels"
    kernels=$(cd "$target/kernels" && pwd)
}

# The release of the emulator, independent of this machine's: it is unpacked like a kernel, so that no
# installed package has to be removed for it, and the same emulator runs everywhere.
readonly EMULATOR_SUITE=trixie

# Unpacks the emulator below $kernels/emulator if it is not there. Remove the folder to get a newer one.
get_emulator() {
    local to=$kernels/emulator work=$kernels/.emulator packages
    [ ! -e "$to" ] || return 0
    say "unpacking the emulator of Debian $EMULATOR_SUITE below $to"
    rm -rf "$work"
    mkdir -p "$work"
    use_debian "$EMULATOR_SUITE" "$work"
    # With all their dependencies, including the C library.
    packages=$(apt-get "${apt_options[@]}" install --no-install-recommends --print-uris qemu-system-x86 |
        sed -nE "s/^'[^']*' ([^_]*)_.*/\1/p")
    # shellcheck disable=SC2086 # names
    fetch_debian "$work" $packages
    mv "$work/root" "$to"
    rm -rf "$work"
}

# Runs the emulator for at most $1 seconds with the options "$2…" and with its own libraries.
emulate() {
    local seconds=$1 root=$kernels/emulator/usr libraries
    shift
    libraries=$(dirname "$(find "$root/lib" -name 'libc.so.6' -print -quit)")
    QEMU_MODULE_DIR=$libraries/qemu timeout "$seconds" "$(echo "$root"/lib64/ld-linux-x86-64.so.*)" --library-path "$libraries" \
        "$root/bin/qemu-system-x86_64" -L "$root/share/qemu" -L "$root/share/seabios" "$@"
}

# Unpacks the kernel of Debian $1 below $kernels/$1 if it is not there: `image`, `modules.cpio`, `release` and
# `version`, that of the package. Remove the folder to get a newer one.
get_kernel() {
    local to=$kernels/$1 work=$kernels/.$1 packages release
    [ ! -e "$to/version" ] || return 0
    say "unpacking the kernel of Debian $1 below $to"
    rm -rf "$to" "$work"
    mkdir -p "$to" "$work"
    use_debian "$1" "$work"
    # The package depends on that of one version, which is split into parts in newer releases.
    packages=$(apt-cache "${apt_options[@]}" depends --recurse --important "$KERNEL_PACKAGE" |
        grep -E '^linux-(image|binary|modules|base)-' | grep -vx "$KERNEL_PACKAGE")
    # shellcheck disable=SC2086 # names
    fetch_debian "$work" $packages
    # shellcheck disable=SC2086 # names
    set -- $packages
    release=$(cd "$work/root" && echo {,usr/}lib/modules/[0-9]* | tr ' ' '\n' | grep -vF '*' | head -n 1)
    cp "$(find "$work/root" -name 'vmlinuz*' -type f -print -quit)" "$to/image"
    echo "${release##*/}" >"$to/release"
    pack_modules "$work" "$work/root/$release" "${release##*/}" >"$to/modules.cpio"
    apt-cache "${apt_options[@]}" show "$1" | sed -n 's/^Version: //p' | head -n 1 >"$to/version"
    rm -rf "$work"
}

# Prints an archive of the modules in $2, of release $3, that the network needs: all of them would be too
# many. They are stored uncompressed: unpacking them takes an emulator longer than reading them.
pack_modules() {
    local root=$1/modules to=$1/modules/lib/modules/$3
    mkdir -p "$to" "$root/usr/lib"
    # Newer kmod looks there.
    ln -s ../../lib/modules "$root/usr/lib/modules"
    (cd "$2" && find . -type f \( -path './kernel/net/*' -o -path './kernel/lib/*' -o -path '*/crypto/*' \
        -o -name 'dummy.ko*' -o -name 'veth.ko*' -o -name 'modules.builtin*' -o -name modules.order \) |
        tar -c -T -) | tar -x -C "$to"
    find "$to" -name '*.ko.xz' -exec xz -d {} +
    depmod -b "$root" "$3"
    pack "$root"
}

# Prints an archive of the folder $1.
pack() { (cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null); }

# Copies the files "$2…" to the same paths below $1; programs without their symbols, and with their libraries.
put() {
    local root=$1 file library
    shift
    for file; do
        file=$(realpath -s "$file")
        [ ! -e "$root$file" ] || continue
        mkdir -p "$root${file%/*}"
        cp -L --preserve=mode "$file" "$root$file"
        LC_ALL=C grep -q -m 1 ^.ELF "$file" || continue
        case $file in *.so*) ;; *) strip "$root$file" ;; esac
        while read -r library; do
            [ -e "$root$library" ] || { mkdir -p "$root${library%/*}" && cp -L "$library" "$root$library"; }
        done < <({ ldd "$file" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; })
    done
}

# Makes $kernels/base.cpio: busybox with all its names, the programs that tests and examples run, and those
# that load modules.
pack_base() {
    local root=$kernels/.base program here
    rm -rf "$root"
    mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,run,root,etc}
    mkdir -p -m 1777 "$root/tmp" "$root/var/tmp"
    here=$(command -v busybox)
    put "$root" "$here"
    [ "$here" = /bin/busybox ] || cp "$root$here" "$root/bin/busybox"
    busybox --list | while read -r program; do
        [ -e "$root/bin/$program" ] || ln -s busybox "$root/bin/$program"
    done
    # Not from busybox: a shell that runs the programs in the path, and programs that need more options.
    for program in dash ip nft conntrack unshare nsenter setpriv timeout mkfifo kmod; do
        here=$(readlink -f "$(command -v "$program")")
        rm -f "$root/bin/$program"
        put "$root" "$here"
        [ -e "$root/usr/bin/$program" ] || ln -s "$here" "$root/usr/bin/$program"
    done
    ln -sf ../usr/bin/dash "$root/bin/sh"
    for program in modprobe insmod rmmod lsmod depmod; do
        rm -f "$root/bin/$program"
        ln -s ../usr/bin/kmod "$root/sbin/$program"
    done
    printf '%s\n' root:x:0:0::/root:/bin/sh user:x:1000:1000::/tmp:/bin/sh >"$root/etc/passwd"
    printf '%s\n' root:x:0: user:x:1000: >"$root/etc/group"
    cp /etc/protocols /etc/services "$root/etc/" 2>/dev/null || true
    cp tools/machine/init "$root/init"
    pack "$root" >"$kernels/base.cpio"
    rm -rf "$root"
}

# Prints an archive with the command line "$*" for a machine, to be run in this folder.
pack_command() {
    local root
    root=$(mktemp -d)
    printf 'mkdir -p %q && cd %q || exit\n%s\n' "$PWD" "$PWD" "$*" >"$root/command"
    pack "$root"
    rm -rf "$root"
}

# Boots the kernel of Debian $1, for at most $2 seconds, and runs the command line "$4…" there, with the
# programs of the archive $3. Prints the machine's output, and returns the status of the command, or 125 if
# the machine did not come up or did not end in time. Memory is not zeroed: with Debian's init_on_alloc=1 fields
# that a kernel forgets to fill in would look as if it did. NFCT_KERNEL_OPTIONS are further options for the kernel.
boot() {
    local suite=$1 seconds=$2 programs=$3 disk=$kernels/.disk.$1 log=$kernels/$1.console status
    shift 3
    { cat "$kernels/base.cpio" "$kernels/$suite/modules.cpio" "$programs" && pack_command "$*"; } >"$disk"
    # KVM only on request: on an emulated host, a machine can stop in the middle without ending.
    emulate "$seconds" -accel "${NFCT_ACCELERATOR:-tcg,thread=multi}" -cpu max -smp 2 -m 3072 -display none -monitor none \
        -nic none -no-reboot -serial stdio -kernel "$kernels/$suite/image" -initrd "$disk" \
        -append "console=ttyS0 panic=-1 quiet no_timer_check mitigations=off init_on_alloc=0 ${NFCT_KERNEL_OPTIONS:-}" \
        </dev/null 2>&1 | sed -u 's/\r$//' | tee "$log" || true
    rm -f "$disk"
    status=$(sed -n 's/^machine: ended with \([0-9]*\)$/\1/p' "$log" | tail -n 1)
    return "${status:-125}"
}
