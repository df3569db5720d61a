// A wall clock that is wrong, for one process: preloaded (LD_PRELOAD) into an Envoy, it shifts what that process takes for
// the time of day. Monotonic time stays true, as it does when somebody sets a machine's clock.
//
// CUTOVER_CLOCK names a file of three native 64-bit integers, which is looked at anew each time and may be written while the
// process runs: by how many nanoseconds the clock is ahead, by how many more in each second (drift, in parts per 10^9), and
// since which monotonic nanosecond that drift counts. Without the variable, or the file, the time is true.
//
// Built by `scripts/get-clock`.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct wrong {
  int64_t ahead_ns, drift_ppb, since_ns;
};

typedef int (*clock_fn)(clockid_t, struct timespec *);
static clock_fn real;
static const volatile struct wrong *wrong;
static const struct wrong none;

__attribute__((constructor)) static void find(void) {
  if (wrong) return;
  wrong = &none;
  real = (clock_fn)dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("CUTOVER_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  // A mapping of a shorter file could not be read: the process would be ended by a signal.
  if (lseek(file, 0, SEEK_END) >= (off_t)sizeof(struct wrong)) {
    void *map = mmap(0, sizeof(struct wrong), PROT_READ, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) wrong = map;
  }
  close(file);
}

static int read_clock(clockid_t clock, struct timespec *to) {
  // An allocator may ask for the time before any constructor has run.
  return real ? real(clock, to) : (int)syscall(SYS_clock_gettime, clock, to);
}

int clock_gettime(clockid_t clock, struct timespec *to) {
  int failed = read_clock(clock, to);
  if (failed || !wrong || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t ahead = wrong->ahead_ns;
  if (wrong->drift_ppb) {
    struct timespec now;
    if (read_clock(CLOCK_MONOTONIC, &now)) return -1;
    __int128 since = (__int128)now.tv_sec * 1000000000 + now.tv_nsec - wrong->since_ns;
    ahead += (int64_t)(since * wrong->drift_ppb / 1000000000);
  }
  int64_t all = (int64_t)to->tv_sec * 1000000000 + to->tv_nsec + ahead;
  to->tv_sec = all / 1000000000;
  to->tv_nsec = all % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  to->tv_sec = now.tv_sec;
  to->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *to) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  if (to) *to = now.tv_sec;
  return now.tv_sec;
}
