/* Interruption: SIGINT, SIGTERM and SIGHUP become a flag that the schedule sees between two steps.
   One request may come as several signals: timeout(1) sends one to the process and one to its
   group, and a shell or a scheduler may do the same. */

#include "runtime/run.h"

#include <unistd.h>

#define SAME_REQUEST 0.5 /* seconds */

static void *watch(void *context) {
  RtSignals *s = context;
  double first = 0;
  int number;
  while (sigwait(&s->set, &number) == 0 && !atomic_load(&s->quit)) {
    int before = 0;
    double now = rt_now();
    if (atomic_compare_exchange_strong(&s->stop, &before, number)) first = now;
    if (now - first < SAME_REQUEST) continue;
    signal(number, SIG_DFL); /* asked twice: end at once */
    pthread_sigmask(SIG_UNBLOCK, &s->set, NULL);
    kill(getpid(), number);
  }
  return NULL;
}

bool rt_signals_begin(RtSignals *s) {
  sigemptyset(&s->set);
  sigaddset(&s->set, SIGINT);
  sigaddset(&s->set, SIGTERM);
  struct sigaction hangup; /* ignored under nohup: then it stays so */
  if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
    sigaddset(&s->set, SIGHUP);
  if (pthread_sigmask(SIG_BLOCK, &s->set, &s->before) != 0) return false;
  s->running = pthread_create(&s->thread, NULL, watch, s) == 0;
  if (!s->running) pthread_sigmask(SIG_SETMASK, &s->before, NULL);
  return s->running;
}

void rt_signals_end(RtSignals *s) {
  if (!s->running) return;
  atomic_store(&s->quit, true);
  pthread_kill(s->thread, SIGTERM); /* wakes the thread alone */
  pthread_join(s->thread, NULL);
  /* After an interruption the process only ends: a late copy must not change its exit code. */
  if (!atomic_load(&s->stop)) pthread_sigmask(SIG_SETMASK, &s->before, NULL);
  s->running = false;
}
