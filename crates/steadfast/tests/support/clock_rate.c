/*
 * A machine whose clocks run at another rate, put under a process by LD_PRELOAD.
 *
 * CLOCK_PERMILLE   how many thousandths of a second the boot clock and the monotonic clock count a second
 * CLOCK_SEEN       a file that is made when the boot clock is first read this way
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    static long permille;
    static int seen;
    if (!real) {
        permille = atol(getenv("CLOCK_PERMILLE"));
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(id, time);
    if (result || (id != CLOCK_BOOTTIME && id != CLOCK_MONOTONIC)) return result;
    if (id == CLOCK_BOOTTIME && !seen) {
        seen = 1;
        close(open(getenv("CLOCK_SEEN"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
    __int128 nanos = ((__int128)time->tv_sec * 1000000000 + time->tv_nsec) * permille / 1000;
    time->tv_sec = nanos / 1000000000;
    time->tv_nsec = nanos % 1000000000;
    return 0;
}
