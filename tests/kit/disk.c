/* A disk under the relay's files, preloaded into it by the tests: it writes down in order what the
 * program does to the files below one folder, and fails when it is told to. disk.rs builds it and
 * says how; the workspace forbids `unsafe`, so it cannot be Rust.
 *
 *   RELAY_DISK_FOLDER  the folder
 *   RELAY_DISK_RECORD  where to write down what lasts; left out: nowhere
 *   RELAY_DISK_FAULT   a file with the present fault: "OPERATIONS ERROR SKIP COUNT NAME"
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(result, name, ...)                                    \
  static result (*real_##name)(__VA_ARGS__);                       \
  if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

/* What happens and what is written down about it are one, whatever thread does it. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_length;
static int record = -1;
static const char *fault_file;

static int plain_open(const char *path, int flags, mode_t mode) {
  REAL(int, open64, const char *, int, ...);
  return real_open64(path, flags, mode);
}

static ssize_t plain_read(int fd, void *into, size_t length) {
  REAL(ssize_t, read, int, void *, size_t);
  return real_read(fd, into, length);
}

__attribute__((constructor)) static void begin(void) {
  const char *place = getenv("RELAY_DISK_FOLDER"), *file = getenv("RELAY_DISK_RECORD");
  fault_file = getenv("RELAY_DISK_FAULT");
  if (place && strlen(place) < sizeof folder) {
    strcpy(folder, place);
    folder_length = strlen(folder);
  }
  if (file) record = plain_open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* The name below the folder, "" for the folder itself, ".." for the one above; NULL if it is none
 * of ours. */
static const char *ours(const char *path) {
  if (!folder_length) return NULL;
  if (!strncmp(path, folder, folder_length)) {
    if (!path[folder_length]) return "";
    if (path[folder_length] == '/') return path + folder_length + 1;
  }
  size_t length = strlen(path);
  if (length < folder_length && !strncmp(path, folder, length) && folder[length] == '/'
      && !strchr(folder + length + 1, '/'))
    return "..";
  return NULL;
}

static const char *name_of(int fd, char path[PATH_MAX]) {
  char link[64];
  if (!folder_length || fd < 0) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return ours(path);
}

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), part = strlen(end);
  return length >= part && !strcmp(text + length - part, end);
}

/* One step of the recording: a header, the name, the data. */
static void note(char what, const char *name, uint64_t place, const void *data, size_t length) {
  /* The index of the WAL is made anew after a cut. */
  if (record < 0 || ends_with(name, "-shm")) return;
  REAL(ssize_t, writev, int, const struct iovec *, int);
  struct { uint64_t place; uint32_t length; uint16_t name; char what, pad; } head = {
    place, (uint32_t)length, (uint16_t)strlen(name), what, 0 };
  struct iovec parts[] = {
    { &head, sizeof head }, { (void *)name, head.name }, { (void *)data, length } };
  int before = errno;
  if (real_writev(record, parts, 3) != (ssize_t)(sizeof head + head.name + length)) abort();
  errno = before;
}

static int lists(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)); at += length)
    if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ',')) return 1;
  return 0;
}

/* The number of the present fault if it strikes this operation, else 0. */
static int fault(const char *operation, const char *name) {
  static char last[256];
  static long seen;
  char text[256] = "", wanted[64], file[128];
  int error;
  long skip, count;
  if (!fault_file || !name) return 0;
  int before = errno, fd = plain_open(fault_file, O_RDONLY | O_CLOEXEC, 0);
  if (fd >= 0) {
    if (plain_read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
  }
  errno = before;
  if (strcmp(text, last)) {
    strcpy(last, text);
    seen = 0;
  }
  if (sscanf(text, "%63s %d %ld %ld %127s", wanted, &error, &skip, &count, file) != 5) return 0;
  if (!lists(wanted, operation) || (strcmp(file, "*") && strcmp(file, name))) return 0;
  long number = seen++;
  return number >= skip && (count < 0 || number < skip + count) ? error : 0;
}

static int refused(const char *operation, const char *name) {
  int error = fault(operation, name);
  if (error) errno = error;
  return error;
}

static int open_ours(const char *name, const char *path, int flags, mode_t mode) {
  pthread_mutex_lock(&order);
  int fd = -1, is_new = (flags & O_CREAT) && access(path, F_OK);
  int writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!(is_new && refused("create", name)) && !(writes && refused("open", name)))
    fd = plain_open(path, flags, mode);
  if (fd >= 0 && is_new) note('c', name, 0, NULL, 0);
  if (fd >= 0 && !is_new && (flags & O_TRUNC)) note('t', name, 0, NULL, 0);
  pthread_mutex_unlock(&order);
  return fd;
}

#define OPEN(function)                                             \
  int function(const char *path, int flags, ...) {                 \
    mode_t mode = 0;                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                           \
      va_list rest;                                                \
      va_start(rest, flags);                                       \
      mode = va_arg(rest, mode_t);                                 \
      va_end(rest);                                                \
    }                                                              \
    const char *name = ours(path);                                 \
    return name ? open_ours(name, path, flags, mode) : plain_open(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

static ssize_t write_at(int fd, const char *name, const void *data, size_t length, off64_t place) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
  ssize_t written = -1;
  pthread_mutex_lock(&order);
  /* The very edge of a full disk: half of it, and of the rest nothing. */
  static int at_the_edge;
  int error = fault("short", name);
  at_the_edge = error && !at_the_edge;
  if (at_the_edge) length = (length + 1) / 2;
  else errno = error;
  if ((!error || at_the_edge) && !refused("write", name)) written = real_pwrite64(fd, data, length, place);
  if (written > 0) note('w', name, (uint64_t)place, data, (size_t)written);
  pthread_mutex_unlock(&order);
  return written;
}

ssize_t write(int fd, const void *data, size_t length) {
  REAL(ssize_t, write, int, const void *, size_t);
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (!name) return real_write(fd, data, length);
  off64_t place = lseek64(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) ? SEEK_END : SEEK_CUR);
  ssize_t written = write_at(fd, name, data, length, place);
  if (written > 0) lseek64(fd, place + written, SEEK_SET);
  return written;
}

#define PWRITE(function, offset)                                              \
  ssize_t function(int fd, const void *data, size_t length, offset place) {   \
    REAL(ssize_t, function, int, const void *, size_t, offset);               \
    char path[PATH_MAX];                                                      \
    const char *name = name_of(fd, path);                                     \
    return name ? write_at(fd, name, data, length, place)                     \
                : real_##function(fd, data, length, place);                   \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define READ(function, parameters, types, arguments)               \
  ssize_t function parameters {                                    \
    REAL(ssize_t, function, types);                                \
    char path[PATH_MAX];                                           \
    const char *name = name_of(fd, path);                          \
    int error = 0;                                                 \
    if (name) {                                                    \
      pthread_mutex_lock(&order);                                  \
      error = refused("read", name);                               \
      pthread_mutex_unlock(&order);                                \
    }                                                              \
    return error ? -1 : real_##function arguments;                 \
  }
#define PLAIN int, void *, size_t
#define AT int, void *, size_t, off64_t
READ(read, (int fd, void *into, size_t length), PLAIN, (fd, into, length))
READ(pread, (int fd, void *into, size_t length, off_t place), AT, (fd, into, length, place))
READ(pread64, (int fd, void *into, size_t length, off64_t place), AT, (fd, into, length, place))

#define TRUNCATE(function, offset)                                 \
  int function(int fd, offset size) {                              \
    REAL(int, function, int, offset);                              \
    char path[PATH_MAX];                                           \
    const char *name = name_of(fd, path);                          \
    if (!name) return real_##function(fd, size);                   \
    pthread_mutex_lock(&order);                                    \
    struct stat now;                                               \
    const char *what = !fstat(fd, &now) && size > now.st_size ? "write" : "shrink"; \
    int result = refused(what, name) ? -1 : real_##function(fd, size); \
    if (!result) note('t', name, (uint64_t)size, NULL, 0);         \
    pthread_mutex_unlock(&order);                                  \
    return result;                                                 \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(function)                                             \
  int function(int fd) {                                           \
    REAL(int, function, int);                                      \
    char path[PATH_MAX];                                           \
    const char *name = name_of(fd, path);                          \
    if (!name) return real_##function(fd);                         \
    pthread_mutex_lock(&order);                                    \
    int wait = fault("slow", name);                                \
    pthread_mutex_unlock(&order);                                  \
    struct timespec time = { wait / 1000, wait % 1000 * 1000000L };\
    if (wait) nanosleep(&time, NULL);                              \
    pthread_mutex_lock(&order);                                    \
    int result = refused("sync", name) ? -1 : real_##function(fd); \
    if (!result) note('s', name, 0, NULL, 0);                      \
    pthread_mutex_unlock(&order);                                  \
    return result;                                                 \
  }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  const char *name = ours(from), *next = ours(to);
  if (!name || !next) return real_rename(from, to);
  pthread_mutex_lock(&order);
  int result = refused("rename", name) ? -1 : real_rename(from, to);
  if (!result) note('r', name, 0, next, strlen(next));
  pthread_mutex_unlock(&order);
  return result;
}

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  const char *name = ours(path);
  if (!name) return real_unlink(path);
  pthread_mutex_lock(&order);
  int result = refused("unlink", name) ? -1 : real_unlink(path);
  if (!result) note('u', name, 0, NULL, 0);
  pthread_mutex_unlock(&order);
  return result;
}
