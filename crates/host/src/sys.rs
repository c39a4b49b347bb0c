//! The system calls that neither std nor tokio offers. All unsafe code of the workspace is in this file.
//!
//! Every function is safe to call with any argument; what it takes beyond plain numbers it takes as owned or borrowed
//! descriptors. Nothing here waits, except where a name says so, and nothing decides.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::process::Exit;

/// A clock of the kernel.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// Since boot, suspension included.
    Boot,
    /// The time of day.
    Wall,
}

/// Seconds and nanoseconds on `clock`.
pub(crate) fn read_clock(clock: Clock) -> (i64, u32) {
    let id = match clock {
        Clock::Boot => libc::CLOCK_BOOTTIME,
        Clock::Wall => libc::CLOCK_REALTIME,
    };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    let result = unsafe { libc::clock_gettime(id, &raw mut time) };
    // Both clocks exist since Linux 2.6.39; a lease judged by a clock that does not answer would be judged wrongly.
    assert_eq!(result, 0, "clock_gettime({id}) failed");
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Sends `signal` (0: only looks) to one process.
pub(crate) fn signal_process(pid: i32, signal: i32) -> io::Result<()> {
    // 0 and negative numbers mean groups to kill(2): never by accident.
    if pid <= 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: kill(2) takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends `signal` to every process of a group.
pub(crate) fn signal_group(group: i32, signal: i32) -> io::Result<()> {
    // -1 means every process there is.
    if group <= 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: kill(2) takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

/// A descriptor that becomes readable when process `pid` ends.
pub(crate) fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two numbers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = check(RawFd::try_from(fd).unwrap_or(-1))?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor, such as a pidfd, whose readability the runtime we are called in tells.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until dropped and always names the same file; `AsyncFd` owns it from here on.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// What happens to the remains of a child that has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    /// They stay, and with them its process id stays taken.
    Keep,
    /// They are taken away.
    Reap,
}

/// How child `pid` ended; `None` while it has not.
pub(crate) fn child_exit(pid: i32, remains: Remains) -> io::Result<Option<Exit>> {
    let id = libc::id_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let keep = if remains == Remains::Keep { libc::WNOWAIT } else { 0 };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is large enough and outlives the call, which writes to it or leaves it zeroed.
    check(unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | keep) })?;
    // SAFETY: siginfo_t is a C struct of integers and pointers, for which zeroes are valid.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid(2) fills in the SIGCHLD part, or it is zero.
    let (ended, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match (ended, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(Exit::Code(status)),
        _ => Some(Exit::Signal(status)),
    })
}

/// Orphans among our descendants become our children instead of init's.
pub(crate) fn become_subreaper() -> io::Result<()> {
    // SAFETY: this prctl(2) takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Blocks every signal in this thread, and so in what it forks.
pub(crate) fn block_all_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset(3) initializes `all`, which pthread_sigmask(3) then only reads. Neither fails with these arguments.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// How many groups a guardian can watch. All orders for them together are one write to a pipe (`PIPE_BUF`).
pub(crate) const WATCHED_GROUPS: usize = 1000;
/// The order to a guardian to forget all groups. A group's id tells it to watch that group, its negative to forget it.
pub(crate) const FORGET_ALL: i32 = 0;

/// How many files this process might have open before it raised that, for those it starts; 0: it did not.
static INHERITED_FILES: AtomicU64 = AtomicU64::new(0);

fn open_files() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(limit)
}

/// Raises the number of files this process may have open as far as it may, and says how many that are. Programs that
/// [`spawn_guarded`] starts from then on get what it was before.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let before = open_files()?;
    if before.rlim_cur < before.rlim_max {
        let raised = libc::rlimit { rlim_cur: before.rlim_max, rlim_max: before.rlim_max };
        // SAFETY: `raised` is a valid rlimit that outlives the call, which only reads it.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) })?;
        INHERITED_FILES.store(before.rlim_cur, Ordering::Relaxed);
    }
    Ok(before.rlim_max)
}

/// Starts `command` in a process group of its own, with no signal blocked. Before the program itself runs, the kernel
/// has been told to kill it when this thread ends, and the guardian reading `orders` to watch the group.
pub(crate) fn spawn_guarded(command: &mut Command, orders: BorrowedFd<'_>) -> io::Result<Child> {
    let (orders, parent) = (orders.as_raw_fd(), std::process::id().cast_signed());
    let files = INHERITED_FILES.load(Ordering::Relaxed);
    let before_exec = move || {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: all of these are async-signal-safe; sigemptyset(3) initializes `none`, `pid` outlives the call that
        // reads it, and `orders` is open in the child because the parent holds it until spawn() returns.
        unsafe {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            let pid: i32 = libc::getpid();
            let told = libc::write(orders, (&raw const pid).cast(), size_of::<i32>());
            // A parent that died before the prctl sends no signal.
            if told != size_of::<i32>().cast_signed() || libc::getppid() != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // Last, so that a guardian that is gone (SIGPIPE) is an error and not our end.
            if files > 0 {
                // A program that goes by select(2) relies on the low limit that is the custom.
                let mut limit = open_files()?;
                limit.rlim_cur = files;
                check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))?;
            }
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only: it neither allocates nor takes locks.
    unsafe { command.pre_exec(before_exec) };
    command.process_group(0).spawn()
}

/// Forks a guardian: a process that reads orders (see [`FORGET_ALL`]) from a pipe, and when the pipe ends, because this
/// process is gone however it went, kills the groups it watches. To be called with all signals blocked.
pub(crate) fn fork_guardian(orders: OwnedFd) -> io::Result<i32> {
    // SAFETY: the child of a fork in a process with threads may only make async-signal-safe calls. `guard` makes
    // no others, allocates nothing and never returns.
    match check(unsafe { libc::fork() })? {
        // SAFETY: this is that child, alone with its copy of `orders`.
        0 => unsafe { guard(orders.as_raw_fd()) },
        pid => Ok(pid),
    }
}

/// The whole life of a guardian.
///
/// # Safety
///
/// Only in a child process that has just been forked. `orders` must be open for reading.
unsafe fn guard(orders: RawFd) -> ! {
    let mut groups = [0; WATCHED_GROUPS];
    // SAFETY: all of these are async-signal-safe; the pointers are to locals and constants that outlive the calls.
    unsafe {
        // Out of reach of the terminal and of signals to our group, and in nobody's way who unmounts.
        libc::setsid();
        libc::chdir(c"/".as_ptr());
        libc::prctl(libc::PR_SET_NAME, c"steadfast-guard".as_ptr());
        if libc::dup2(orders, 0) == -1 {
            libc::_exit(1);
        }
        close_from(1);
        loop {
            let mut order: i32 = 0;
            match libc::read(0, (&raw mut order).cast(), size_of::<i32>()) {
                // A pipe keeps writes up to PIPE_BUF whole.
                4 => obey(&mut groups, order),
                -1 if *libc::__errno_location() == libc::EINTR => {}
                _ => break,
            }
        }
        for group in groups {
            if group > 1 {
                libc::kill(-group, libc::SIGKILL);
            }
        }
        libc::_exit(0)
    }
}

/// A guardian's memory; 0 is a free place. It neither allocates nor panics.
pub(crate) fn obey(groups: &mut [i32], order: i32) {
    if order == FORGET_ALL {
        groups.fill(0);
    } else if order > 0 {
        if let Some(free) = groups.iter_mut().find(|group| **group == 0) {
            *free = order;
        }
    } else {
        groups.iter_mut().filter(|group| **group == order.wrapping_neg()).for_each(|group| *group = 0);
    }
}

/// Closes every descriptor from `first` on.
///
/// # Safety
///
/// Nothing that owns one of them may be used afterwards.
unsafe fn close_from(first: libc::c_int) {
    /// Where the kernel is older than close_range(2) (Linux 5.9), and the limit on descriptors is not lower.
    const DESCRIPTORS: libc::c_int = 65_536;
    // SAFETY: these calls take numbers only; what they close is the caller's promise.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == 0 {
            return;
        }
        let limit = libc::sysconf(libc::_SC_OPEN_MAX);
        for fd in first..libc::c_int::try_from(limit).map_or(DESCRIPTORS, |limit| limit.clamp(256, DESCRIPTORS)) {
            libc::close(fd);
        }
    }
}

/// Moves up to `bytes` from one descriptor to another, one of which is a pipe, without waiting. 0 is the end.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: both descriptors are open for the length of the call; null offsets mean their own positions.
    let moved =
        unsafe { libc::splice(from.as_raw_fd(), ptr::null_mut(), to.as_raw_fd(), ptr::null_mut(), bytes, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// A pipe that never waits, with room for about `bytes` (the kernel may give less): its reading and its writing end.
pub(crate) fn pipe(bytes: i32) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    // SAFETY: the kernel has just made both for us; nobody else owns them.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // More room saves system calls; without it (the user's limit on pipe memory) the relay works all the same.
    // SAFETY: this fcntl(2) takes numbers only.
    let _ = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
    Ok((read, write))
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests;
