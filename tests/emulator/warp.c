/* What threads do together: barriers of the block, operations of a warp, atomics, fences. */

#include "tests/emulator/emu.h"

static void barrier(const EmuSite *site) {
  if (!place_left_out(site, PLACE_BARRIER)) thread_wait(THREAD_BARRIER, site);
}

static void fence(const EmuSite *site) {
  if (!place_left_out(site, PLACE_FENCE)) check_fence();
}

static unsigned long long warp_call(EmuWarpCall call, const EmuSite *site) {
  Thread *t = emu.run.current;
  if (call.op == EMU_SYNCWARP && place_left_out(site, PLACE_SYNCWARP)) return 0;
  if (!(call.mask >> t->lane & 1))
    run_fail(CUDA_ERROR_LAUNCH_FAILED, site, "lane %u is not in its own mask 0x%08x", t->lane,
             call.mask);
  t->call = call;
  thread_wait(THREAD_WARP, site);
  return t->result;
}

static unsigned atomic_add(unsigned *at, unsigned value, const EmuSite *site) {
  check_atomic(at, sizeof *at, site);
  unsigned old = *at;
  *at = old + value;
  return old;
}

static void misaligned(const void *at, const EmuSite *site) {
  run_fail(CUDA_ERROR_MISALIGNED_ADDRESS, site, "misaligned access at %p", at);
}

static void bounds(const void *index, const EmuSite *site) {
  run_fail(CUDA_ERROR_LAUNCH_FAILED, site, "index %lld is outside of its array",
           (long long)(intptr_t)index);
}

void core_start(EmuCore *core) {
  core->barrier = barrier;
  core->warp = warp_call;
  core->atomic_add = atomic_add;
  core->fence = fence;
  core->set_conditional = condition_set;
  core->access = check_access;
  core->misaligned = misaligned;
  core->bounds = bounds;
}

static void differ(const char *what, const EmuSite *a, const EmuSite *b) {
  run_fail(CUDA_ERROR_LAUNCH_FAILED, a, "divergent %s: other threads wait at %s:%d", what, b->file,
           b->line);
}

/* The lanes of its mask that must come, if all of them wait with that mask; else 0. Ended lanes
 * need not. */
static unsigned arrived(const Thread *warp, unsigned n, unsigned mask) {
  unsigned lanes = 0;
  for (unsigned k = 0; k < n; k++) {
    if (!(mask >> k & 1) || warp[k].state == THREAD_DONE) continue;
    if (warp[k].state != THREAD_WARP || warp[k].call.mask != mask) return 0;
    lanes |= 1u << k;
  }
  return lanes;
}

static unsigned vote(const Thread *warp, unsigned lanes) {
  unsigned yes = 0;
  for (unsigned k = 0; k < EMU_WARP; k++)
    if (lanes >> k & 1 && warp[k].call.value) yes |= 1u << k;
  return yes;
}

static unsigned long long answer(const Thread *warp, const Thread *t, unsigned lanes,
                                 unsigned yes) {
  switch (t->call.op) {
  case EMU_SHUFFLE:
    if (lanes >> (t->call.source & 31) & 1 && t->call.source < EMU_WARP)
      return warp[t->call.source].call.value;
    run_fail(CUDA_ERROR_LAUNCH_FAILED, t->site,
             "lane %u of warp %u reads lane %u, which takes no part", t->lane, t->warp,
             t->call.source);
    return 0;
  case EMU_BALLOT: return yes;
  case EMU_ANY: return yes != 0;
  case EMU_ALL: return yes == lanes;
  case EMU_SYNCWARP: return 0;
  }
  return 0;
}

static void release(Run *r, Thread *warp, unsigned lanes) {
  const Thread *first = warp + __builtin_ctz(lanes);
  unsigned yes = first->call.op == EMU_SHUFFLE ? 0 : vote(warp, lanes);
  for (unsigned k = 0; k < EMU_WARP && !r->error; k++) {
    if (!(lanes >> k & 1)) continue;
    if (warp[k].site != first->site || warp[k].call.op != first->call.op)
      differ("operation of a warp", warp[k].site, first->site);
    warp[k].result = answer(warp, &warp[k], lanes, yes);
  }
  if (first->call.op == EMU_SYNCWARP) check_syncwarp(r, first->warp, lanes);
  for (unsigned k = 0; k < EMU_WARP; k++)
    if (lanes >> k & 1) warp[k].state = THREAD_READY;
}

bool warps_release(Run *r, unsigned from, unsigned to) {
  bool moved = false;
  for (unsigned at = from * EMU_WARP; at < to * EMU_WARP; at += EMU_WARP) {
    Thread *warp = &r->thread[at];
    unsigned n = r->threads - at < EMU_WARP ? r->threads - at : EMU_WARP;
    for (unsigned k = 0; k < n && !r->error; k++) {
      unsigned lanes = warp[k].state == THREAD_WARP ? arrived(warp, n, warp[k].call.mask) : 0;
      if (lanes) release(r, warp, lanes);
      moved |= lanes != 0;
    }
  }
  return moved && !r->error;
}

/* Some threads wait for a barrier and others for their warp: says for what. */
static void deadlock(const Run *r) {
  const Thread *at_barrier = NULL, *at_warp = NULL;
  for (unsigned i = 0; i < r->threads; i++) {
    if (r->thread[i].state == THREAD_BARRIER) at_barrier = &r->thread[i];
    if (r->thread[i].state == THREAD_WARP) at_warp = &r->thread[i];
  }
  const EmuSite *other = at_barrier ? at_barrier->site : at_warp->site;
  run_fail(CUDA_ERROR_LAUNCH_FAILED, at_warp->site,
           "deadlock: lane %u of warp %u waits for lanes that never come (another thread waits at "
           "%s:%d)",
           at_warp->lane, at_warp->warp, other->file, other->line);
}

bool barrier_release(Run *r) {
  const EmuSite *site = NULL;
  unsigned waiting = 0;
  if (r->error) return false;
  for (unsigned i = 0; i < r->threads; i++) {
    if (r->thread[i].state != THREAD_BARRIER) continue;
    waiting++;
    if (!site) site = r->thread[i].site;
    if (r->thread[i].site != site) return differ("barrier", r->thread[i].site, site), false;
  }
  if (waiting != r->left) return deadlock(r), false;
  if (waiting != r->threads) {
    run_fail(CUDA_ERROR_LAUNCH_FAILED, site, "divergent barrier: %u of %u threads have ended",
             r->threads - waiting, r->threads);
    return false;
  }
  check_barrier(r);
  r->barrier++;
  for (unsigned i = 0; i < r->threads; i++) r->thread[i].state = THREAD_READY;
  return true;
}
