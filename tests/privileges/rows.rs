//! The rows of the table: one way to have fewer rights each.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::thread;

use libc::{CLONE_NEWNET, EAFNOSUPPORT, ENOSYS, EPERM};

use crate::cells::{COLUMNS, HERE, Row, THERE, observe};
use crate::child::in_child;
use crate::common::rights::{NET_ADMIN, keep_capabilities};
use crate::common::{self, create, numbered, own_namespace};
use crate::page;
use crate::sandbox::{
    Rule, bound, can_filter, can_filter_sockets, deny, enter_users, hide, map_root, own_mounts, protect,
};
use netfilter_conntrack::Handle;

/// Declares the rows: a test each, whose block drops rights. The page has the names.
macro_rules! rows {
    ($( $test:ident $name:literal needs $need:ident $block:block )*) => {
        $(
            #[test]
            fn $test() {
                check($name, Need::$need, || $block);
            }
        )*
    };
}

rows! {
    root "root" needs Nothing {}
    net_admin_alone "`CAP_NET_ADMIN` alone" needs Nothing { keep_capabilities(NET_ADMIN); }
    no_capability "no capability" needs Nothing { keep_capabilities(0); }
    users "a user namespace" needs Users { enter_users(0).expect("a user namespace"); }
    users_and_network "a user namespace with a network namespace of its own" needs Users {
        enter_users(CLONE_NEWNET).expect("a user namespace");
        create(&mut Handle::open().expect("a handle"), [&numbered(HERE)]);
    }
    seccomp_unshare "seccomp: no `unshare`" needs Filters { deny(&[Rule::whole(libc::SYS_unshare)], EPERM); }
    seccomp_setns "seccomp: no `setns`" needs Filters { deny(&[Rule::whole(libc::SYS_setns)], EPERM); }
    seccomp_neither "seccomp: neither, as if unknown (`ENOSYS`)" needs Filters {
        deny(&[Rule::whole(libc::SYS_unshare), Rule::whole(libc::SYS_setns)], ENOSYS);
    }
    seccomp_netlink "seccomp: no `AF_NETLINK` socket" needs SocketFilters { deny(&[NETLINK_SOCKET], EPERM); }
    seccomp_buffer "seccomp: no `SO_RCVBUFFORCE`" needs SocketFilters {
        deny(&[option(&[(1, libc::SOL_SOCKET), (2, libc::SO_RCVBUFFORCE)])], EPERM);
    }
    seccomp_filter "seccomp: no `SO_ATTACH_FILTER`" needs SocketFilters {
        deny(&[option(&[(1, libc::SOL_SOCKET), (2, libc::SO_ATTACH_FILTER)])], EPERM);
    }
    seccomp_netlink_options "seccomp: no `NETLINK_*` option" needs SocketFilters {
        deny(&[option(&[(1, libc::SOL_NETLINK)])], EPERM);
    }
    no_proc "no `/proc`" needs Nothing { own_mounts(); hide(c"/proc"); }
    proc_sys_read_only "`/proc/sys` read-only" needs Nothing { own_mounts(); protect(c"/proc/sys"); }
    proc_sys_hidden "`/proc/sys` hidden" needs Nothing { own_mounts(); hide(c"/proc/sys"); }
    address_families "`RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX`" needs SocketFilters {
        deny(&[NETLINK_SOCKET], EAFNOSUPPORT);
    }
    private_users "`PrivateUsers=yes`" needs Users {
        // SAFETY: takes nothing, and always succeeds.
        let user = unsafe { libc::geteuid() };
        // SAFETY: as above.
        let group = unsafe { libc::getegid() };
        enter_users(0).expect("a user namespace");
        map_root(user, group);
    }
    kernel_tunables "`ProtectKernelTunables=yes`" needs Nothing {
        own_mounts();
        ["/proc/sys", "/proc/irq", "/proc/fs", "/sys"].into_iter().for_each(|folder| {
            if File::open(folder).is_ok() {
                protect(&std::ffi::CString::new(folder).expect("a path"));
            }
        });
    }
    bounding_set "`CapabilityBoundingSet=CAP_NET_ADMIN`" needs Nothing { bound(NET_ADMIN); }
    empty_bounding_set "`CapabilityBoundingSet=`" needs Nothing { bound(0); }
    restrict_namespaces "`RestrictNamespaces=yes`" needs Filters {
        deny(&[Rule::whole(libc::SYS_unshare), Rule::whole(libc::SYS_setns)], EPERM);
    }
    system_service "`SystemCallFilter=@system-service`" needs Filters {
        deny(&OUTSIDE_SYSTEM_SERVICE.map(Rule::whole), EPERM);
    }
    unit "the unit below" needs Filters {
        own_mounts();
        protect(c"/proc/sys");
        bound(NET_ADMIN);
        deny(&[socket_of(&[(0, libc::AF_INET)]), socket_of(&[(0, libc::AF_INET6)])], EAFNOSUPPORT);
        deny(&[Rule::whole(libc::SYS_unshare), Rule::whole(libc::SYS_setns)], EPERM);
        deny(&OUTSIDE_SYSTEM_SERVICE.map(Rule::whole), EPERM);
    }
}

const NETLINK_SOCKET: Rule = socket_of(&[(0, libc::AF_NETLINK)]);

const fn socket_of(family: &'static [(u32, libc::c_int)]) -> Rule {
    Rule { call: libc::SYS_socket, arguments: family }
}

const fn option(arguments: &'static [(u32, libc::c_int)]) -> Rule {
    Rule { call: libc::SYS_setsockopt, arguments }
}

/// The system calls that every architecture has and systemd 252's set does not contain. It does contain
/// `unshare` and `setns`.
const OUTSIDE_SYSTEM_SERVICE: [libc::c_long; 28] = [
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_lookup_dcookie,
    libc::SYS_mincore,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_seccomp,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_vhangup,
];

/// The requirement of a way to drop rights.
enum Need {
    Nothing,
    /// User namespaces.
    Users,
    /// Filters of system calls.
    Filters,
    /// Filters that see calls about sockets.
    SocketFilters,
}

impl Need {
    fn is_met(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Filters => can_filter() || lacks("system calls cannot be filtered in an emulator"),
            Self::SocketFilters => can_filter_sockets() || lacks("no filter sees calls about sockets here"),
            Self::Users => !is_chroot() || lacks("no user namespace in a chroot"),
        }
    }
}

fn lacks(what: &str) -> bool {
    common::lacks(what);
    false
}

/// Returns whether the root folder of this process differs from that of the first process. If that folder may not
/// be looked at, as where the first process has more rights, an attempt shows it.
fn is_chroot() -> bool {
    let of = |path| std::fs::metadata(path).map(|folder| (folder.dev(), folder.ino())).ok();
    match of("/proc/1/root/") {
        Some(root) => Some(root) != of("/"),
        None => in_child(|| enter_users(0).is_err().to_string()) == "true",
    }
}

/// Creates another network namespace, with one entry in it.
pub(crate) fn another() -> OwnedFd {
    let make = || {
        assert!(own_namespace(), "no second namespace");
        create(&mut Handle::open().expect("a handle"), [&numbered(THERE)]);
        File::open("/proc/thread-self/ns/net").expect("the namespace").into()
    };
    thread::scope(|scope| scope.spawn(make).join().expect("a namespace"))
}

/// Drops rights, tries everything, and compares the results with the row of the page.
fn check(name: &str, need: Need, give_up: impl FnOnce()) {
    let mut handle = require_kernel!();
    if !need.is_met() {
        return;
    }
    create(&mut handle, [&numbered(HERE)]);
    let other = another();
    let report = in_child(|| {
        give_up();
        observe(other).join("\n")
    });
    let cells: Vec<_> = report.lines().map(str::to_owned).collect();
    // Without the C library the last columns are missing.
    let expected: Vec<_> = page::row(name).into_iter().take(cells.len()).map(str::to_owned).collect();
    assert!(cells.len() >= COLUMNS.len() - 2);
    assert!(cells == expected, "{} is now\n{}", Row(name, &expected), Row(name, &cells));
    one_cause(name, &cells);
}

/// One cause has the same kind and name in every use, except for another namespace and preflight.
fn one_cause(name: &str, cells: &[String]) {
    let through = [0, 1, 2, 3, 4, 7, 8].into_iter().filter_map(|column| cells.get(column));
    let mut errors: Vec<_> = through.filter(|cell| *cell != "works").collect();
    errors.dedup();
    assert!(errors.len() <= 1, "{name}: {errors:?}");
}
