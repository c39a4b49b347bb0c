/*
 * A disk that fails when it is told to, put under a process by LD_PRELOAD, and that keeps what a power loss would leave.
 *
 * FAILING_DISK_FILES   a directory: files in it are on this disk, others are not touched
 * FAILING_DISK_ORDER   a file that says what fails while it is there: `sync EIO`, `write ENOSPC`, `write EROFS`
 * FAILING_DISK_KEPT    a directory: each file as it would be found after a power loss now
 *
 * What is written waits in memory. A sync that succeeds brings it to the kept copy; a sync that fails loses it for good,
 * though whoever reads still reads it, and the next sync succeeds without it: as Linux does, whose pages are clean
 * after an error was told once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES_AT_MOST 64

struct change { struct change *next; off_t at; ssize_t length; char bytes[]; }; /* length -1: cut off at `at` */
struct file { char path[PATH_MAX]; struct change *first, *last; };

static struct file files[FILES_AT_MOST];
static int known;
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *setting(const char *name) { const char *value = getenv(name); return value ? value : ""; }

/* The file of this disk that a path names, if it is one. */
static struct file *by_path(const char *path) {
    const char *place = setting("FAILING_DISK_FILES");
    size_t length = strlen(place);
    if (!length || strncmp(path, place, length) || path[length] != '/') return NULL;
    for (int i = 0; i < known; i++) if (!strcmp(files[i].path, path)) return &files[i];
    if (known == FILES_AT_MOST) abort();
    strcpy(files[known].path, path);
    return &files[known++];
}

static struct file *by_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return by_path(path);
}

/* The error that is ordered for what is about to be done, or 0. */
static int ordered(const char *what) {
    char text[64] = "";
    int fd = REAL(open)(setting("FAILING_DISK_ORDER"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = REAL(read)(fd, text, sizeof text - 1);
    REAL(close)(fd);
    if (length <= 0 || strncmp(text, what, strlen(what))) return 0;
    return strstr(text, "ENOSPC") ? ENOSPC : strstr(text, "EROFS") ? EROFS : EIO;
}

static void note(struct file *file, off_t at, const void *bytes, ssize_t length) {
    struct change *change = malloc(sizeof *change + (length > 0 ? length : 0));
    if (!change) abort();
    change->next = NULL; change->at = at; change->length = length;
    if (length > 0) memcpy(change->bytes, bytes, length);
    if (file->last) file->last->next = change; else file->first = change;
    file->last = change;
}

static void kept_path(const struct file *file, char *path) {
    snprintf(path, PATH_MAX, "%s%s", setting("FAILING_DISK_KEPT"), strrchr(file->path, '/'));
}

/* Brings what waits to the kept copy, or loses it. */
static void settle(struct file *file, int keeps) {
    char path[PATH_MAX];
    kept_path(file, path);
    int fd = keeps ? REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (keeps && fd < 0) abort();
    while (file->first) {
        struct change *change = file->first;
        if (keeps && change->length < 0 && REAL(ftruncate)(fd, change->at)) abort();
        if (keeps && change->length > 0 && REAL(pwrite)(fd, change->bytes, change->length, change->at) != change->length) abort();
        file->first = change->next;
        free(change);
    }
    file->last = NULL;
    if (fd >= 0) REAL(close)(fd);
}

static int sync_file(int fd, int (*real)(int)) {
    pthread_mutex_lock(&one);
    struct file *file = by_fd(fd);
    int error = file ? ordered("sync") : 0;
    if (file) settle(file, !error);
    pthread_mutex_unlock(&one);
    if (error) { errno = error; return -1; }
    return real(fd);
}

int fsync(int fd) { return sync_file(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_file(fd, REAL(fdatasync)); }

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t at, int seeks) {
    pthread_mutex_lock(&one);
    struct file *file = by_fd(fd);
    int error = file ? ordered("write") : 0;
    ssize_t written = -1;
    if (!error) {
        off_t from = seeks && file ? lseek(fd, 0, SEEK_CUR) : at;
        written = seeks ? REAL(write)(fd, bytes, length) : REAL(pwrite)(fd, bytes, length, at);
        if (file && written > 0) note(file, from, bytes, written);
    }
    int why = error ? error : errno;
    pthread_mutex_unlock(&one);
    errno = why;
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return write_at(fd, bytes, length, at, 0); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return write_at(fd, bytes, length, at, 0); }
ssize_t write(int fd, const void *bytes, size_t length) { return write_at(fd, bytes, length, 0, 1); }

int ftruncate(int fd, off_t length) {
    pthread_mutex_lock(&one);
    struct file *file = by_fd(fd);
    int error = file ? ordered("write") : 0;
    int done = error ? -1 : REAL(ftruncate)(fd, length);
    if (file && !done) note(file, length, NULL, -1);
    int why = error ? error : errno;
    pthread_mutex_unlock(&one);
    errno = why;
    return done;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

/* A name that is gone is gone at once. */
int unlink(const char *path) {
    char kept[PATH_MAX];
    pthread_mutex_lock(&one);
    struct file *file = by_path(path);
    int done = REAL(unlink)(path);
    if (file && !done) {
        settle(file, 0);
        kept_path(file, kept);
        REAL(unlink)(kept);
    }
    pthread_mutex_unlock(&one);
    return done;
}
