// A team of threads that is kept between calls, to which items of work are handed out one by one.
//
// A thread that has nothing to do looks for the next call for a while before it sleeps: calls follow one another at
// intervals of a millisecond, and a thread that is woken each time may share a core with the one that wakes it.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <atomic>

typedef void (*Work)(void* context, long item, long worker);

constexpr long AWAKE = 2000000;  // nanoseconds
constexpr long MOST = 1024;      // threads

static pthread_mutex_t busy_mutex = PTHREAD_MUTEX_INITIALIZER, sleep_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t called = PTHREAD_COND_INITIALIZER;
// The number of the call and how many workers it wants, in one: no thread can take one for the other's.
static std::atomic<long> call{0};
static std::atomic<long> next{0}, working{0}, asleep{0};
static long threads = 0, items = 0;
static Work work = nullptr;
static void* context = nullptr;

static long now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void relax() {
#if defined(__x86_64__) || defined(__i386__)
  for (int i = 0; i < 32; i++) __builtin_ia32_pause();
#endif
}

// The next call after the one that was seen.
static long await(long seen) {
  const long began = now();
  for (long turn = 0; call.load(std::memory_order_acquire) == seen; turn++) {
    relax();
    // Whoever else wants the core may have it.
    if (turn % 16 == 15) sched_yield();
    if (turn % 16 == 15 && now() - began > AWAKE) {
      pthread_mutex_lock(&sleep_mutex);
      asleep++;
      while (call.load() == seen) pthread_cond_wait(&called, &sleep_mutex);
      asleep--;
      pthread_mutex_unlock(&sleep_mutex);
    }
  }
  return call.load(std::memory_order_acquire);
}

static void take(long worker) {
  for (long item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;) work(context, item, worker);
}

static void* serve(void* number) {
  const long worker = reinterpret_cast<long>(number);
  for (long seen = 0;;) {
    seen = await(seen);
    if (worker < seen % MOST) {
      take(worker);
      working.fetch_sub(1, std::memory_order_release);
    }
  }
}

// A process that was forked has none of its parent's threads.
static void forked() {
  threads = 0;
  call = 0;
  working = asleep = 0;
  pthread_mutex_init(&busy_mutex, nullptr);
  pthread_mutex_init(&sleep_mutex, nullptr);
  pthread_cond_init(&called, nullptr);
}

static long hire(long wanted) {
  static const int registered = pthread_atfork(nullptr, nullptr, forked);
  (void)registered;
  // Signals are the business of the thread that calls.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (pthread_t thread; threads < wanted - 1; threads++) {
    if (pthread_create(&thread, nullptr, serve, reinterpret_cast<void*>(threads + 1))) break;
    pthread_detach(thread);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return threads + 1 < wanted ? threads + 1 : wanted;
}

// Does all items with at most so many workers, the calling thread among them; returns when all are done.
extern "C" void share(long count, long workers, Work what, void* with) {
  if (workers > count) workers = count;
  if (workers >= MOST) workers = MOST - 1;
  // While another thread's call is under way, this one does its work alone.
  if (workers <= 1 || pthread_mutex_trylock(&busy_mutex)) {
    for (long item = 0; item < count; item++) what(with, item, 0);
    return;
  }
  workers = hire(workers);
  work = what;
  context = with;
  items = count;
  next = 0;
  working = workers - 1;
  call.store((call / MOST + 1) * MOST + workers);
  if (asleep) {
    pthread_mutex_lock(&sleep_mutex);
    pthread_cond_broadcast(&called);
    pthread_mutex_unlock(&sleep_mutex);
  }
  take(0);
  for (long turn = 0; working.load(std::memory_order_acquire); turn++) {
    relax();
    if (turn % 16 == 15) sched_yield();
  }
  pthread_mutex_unlock(&busy_mutex);
}
