//! What a worker may ask of the system, once it is ready to serve: what serving takes, and nothing that
//! whoever captured it would want.
//!
//! Refused are files (all of them are open by then), other programs and processes, executable memory,
//! sockets that listen, sockets other than TCP, other processes' memory, and namespaces. A refused call
//! is an error like any other: a library that asks for something optional goes on without it.
//!
//! The filters are seccomp's (seccomp(2)), for all threads of the process and for ever. The kernel
//! answers calls that are allowed whatever their arguments from a bitmap, so that reading, writing and
//! waiting cost what they did before.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, env::consts::ARCH, io};

use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, getpid, set_dumpable_behavior, setrlimit},
    thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs},
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// Why a worker cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The system keeps what was to be given up.
    #[error("privileges cannot be given up: {0}")]
    System(#[from] io::Error),
    /// No filter for this processor.
    #[error("there is no filter of system calls: {0}")]
    Filter(#[from] BackendError),
    /// The kernel does not take the filter.
    #[error("the kernel takes no filter of system calls (CONFIG_SECCOMP_FILTER): {0}")]
    Kernel(#[from] seccompiler::Error),
}

/// Before anything else: no core file and no debugger sees keys, nothing that is executed gains
/// privileges, and there are none to lose.
pub(crate) fn give_up() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    set_no_new_privs(true)?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // Threads start with what the one has that starts them.
    set_capabilities(None, none)?;
    Ok(())
}

/// What a worker is for, which decides how it comes by sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It makes connections to endpoints.
    Gateway,
    /// It gets sockets made in the pods, and binds them to the addresses of those who called.
    Pods,
}

/// Once everything is open that will ever be, and before a stranger is heard.
pub(crate) fn confine(work: Work) -> Result<(), ConfineError> {
    for filter in filters(work)? {
        seccompiler::apply_filter_all_threads(&filter)?;
    }
    Ok(())
}

/// In the order in which they have to be installed: the last one allows no other.
fn filters(work: Work) -> Result<[BpfProgram; 2], BackendError> {
    let arch = ARCH.try_into()?;
    // The C library makes threads by `clone3`, whose flags no filter can read, and takes "there is no
    // such call" for a reason to use `clone`.
    let unknown = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        arch,
    )?;
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    for (call, conditions) in sometimes(work) {
        let conditions = conditions.into_iter().map(Is::condition);
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        allowed.entry(call).or_default().push(rule);
    }
    let allowed = SeccompFilter::new(
        allowed,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        SeccompAction::Allow,
        arch,
    )?;
    Ok([unknown.try_into()?, allowed.try_into()?])
}

/// Calls that serving takes.
const ALWAYS: &[i64] = &[
    // Connections and pipes that are open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    // Time, chance, and what the machine is like.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getcpu,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads, and the end. The other filter answers `clone3` before this one allows it.
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    // Who it is: calls that are not made to fail.
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Older forms, which later processors do not have.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// A condition on an argument of a call.
#[derive(Clone, Copy)]
struct Is {
    argument: u8,
    /// Bits that are looked at.
    mask: u64,
    /// What they are.
    value: u64,
}

/// An argument as a whole.
fn is(argument: u8, value: i32) -> Is {
    let mask = u64::from(u32::MAX);
    let value = u64::from(value.cast_unsigned());
    Is {
        argument,
        mask,
        value,
    }
}

/// Some bits of an argument.
fn has(argument: u8, mask: i32, value: i32) -> Is {
    Is {
        mask: u64::from(mask.cast_unsigned()),
        ..is(argument, value)
    }
}

impl Is {
    fn condition(self) -> Result<SeccompCondition, BackendError> {
        let equal = SeccompCmpOp::MaskedEq(self.mask);
        SeccompCondition::new(self.argument, SeccompCmpArgLen::Qword, equal, self.value)
    }
}

/// What a thread may not be started with: a world of its own.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Calls that some arguments are allowed for. A call that comes several times is allowed for each.
fn sometimes(work: Work) -> Vec<(i64, Vec<Is>)> {
    /// The type of a socket without its flags.
    const TYPE: i32 = 0xf;
    let mine = getpid().as_raw_nonzero().get();
    let tcp = |family| vec![is(0, family), has(1, TYPE, libc::SOCK_STREAM)];
    let sockets = match work {
        Work::Gateway => [
            (libc::SYS_socket, tcp(libc::AF_INET)),
            (libc::SYS_socket, tcp(libc::AF_INET6)),
        ],
        Work::Pods => [
            (libc::SYS_bind, vec![is(2, IPV4_BYTES)]),
            (libc::SYS_bind, vec![is(2, IPV6_BYTES)]),
        ],
    };
    let mut allowed = vec![
        (libc::SYS_ioctl, vec![is(1, FIONBIO)]),
        // Memory that is not executed.
        (libc::SYS_mmap, vec![has(2, libc::PROT_EXEC, 0)]),
        (libc::SYS_mprotect, vec![has(2, libc::PROT_EXEC, 0)]),
        // Threads, and not processes.
        (
            libc::SYS_clone,
            vec![has(0, libc::CLONE_THREAD | NAMESPACES, libc::CLONE_THREAD)],
        ),
        (libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME)]),
        // Names of memory, which the C library gives where it can.
        (libc::SYS_prctl, vec![is(0, PR_SET_VMA)]),
        // `abort`.
        (libc::SYS_tgkill, vec![is(0, mine)]),
        // Limits of its own, to be read.
        (libc::SYS_prlimit64, vec![is(0, 0), UNSET]),
    ];
    allowed.extend(sockets);
    allowed
}

/// The lengths of `sockaddr_in` and `sockaddr_in6`.
const IPV4_BYTES: i32 = 16;
const IPV6_BYTES: i32 = 28;

/// A socket does not block from here on (ioctl_tty(2) has the number; that of the library is of
/// another type).
const FIONBIO: i32 = 0x5421;

/// Names a piece of memory (PR_SET_VMA(2const)).
const PR_SET_VMA: i32 = 0x5356_4d41;

/// No new limit is given.
const UNSET: Is = Is {
    argument: 2,
    mask: u64::MAX,
    value: 0,
};
