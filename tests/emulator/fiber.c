/* Threads of a block on stacks of their own. A thread that never waits runs to its end on a stack
 * that the next one takes over, so that only waiting costs a switch.
 *
 * The scheduler passes over the threads in the order of the options; each runs until it ends or
 * waits. After a pass it lets go the warps, else the block, whose threads have all arrived. */

#include "tests/emulator/emu.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xmmintrin.h>

enum { DENORMALS_TO_ZERO = 0x8040 }; /* FTZ and DAZ of MXCSR */

/* Saves the registers that a function must keep and its stack in *save, and goes on at `to`. */
void fiber_switch(void **save, void *to);
__asm__(".pushsection .text\n"
        ".hidden fiber_switch\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp, (%rdi)\n"
        "  mov %rsi, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
        "  pop %rcx\n" /* a jump is predicted better than a return to where no call was */
        "  jmp *%rcx\n"
        ".size fiber_switch, . - fiber_switch\n"
        ".popsection\n");

unsigned long run_draw(void) { /* xorshift */
  Run *r = &emu.run;
  r->random ^= r->random << 13;
  r->random ^= r->random >> 7;
  return r->random ^= r->random << 17;
}

static void be_thread(Run *r, Thread *t) {
  r->current = t;
  emu.core.lane = t->lane;
  emu.core.thread.x = t->index;
}

static void *fresh_stack(const Run *r, int stack);

/* Makes the next thread of the pass that can run the current one; its stack, or the scheduler's at
 * the end of the pass. All threads begin in the first pass, one behind the other. */
static void *next_fiber(Run *r) {
  while (++r->at < r->to) {
    Thread *t = &r->thread[r->order[r->at]];
    if (t->state == THREAD_NEW) {
      t->stack = r->free_stack[--r->nfree];
      t->sp = fresh_stack(r, t->stack);
    } else if (t->state != THREAD_READY) {
      continue;
    }
    be_thread(r, t);
    return t->sp;
  }
  r->current = NULL;
  return r->scheduler;
}

/* If the next thread of the pass has not begun, it runs on this stack. */
static bool take_over(Run *r, int stack) {
  if (r->at + 1 >= r->to || r->thread[r->order[r->at + 1]].state != THREAD_NEW) return false;
  Thread *t = &r->thread[r->order[++r->at]];
  t->stack = stack;
  be_thread(r, t);
  return true;
}

/* What every stack runs: threads one behind the other, until there is none to begin. */
static void worker(void) {
  Run *r = &emu.run;
  void *never;
  int stack;
  do {
    r->kernel->entry(r->parameter);
    r->current->state = THREAD_DONE;
    r->left--;
    stack = r->current->stack;
  } while (take_over(r, stack));
  r->free_stack[r->nfree++] = stack;
  fiber_switch(&never, next_fiber(r));
}

static void *fresh_stack(const Run *r, int stack) {
  /* Tops at different places of a page and of the cache: else the few lines of all of them collide.
   */
  size_t shift = (size_t)stack * 448 % (EMU_STACK / 4);
  void **top = (void **)(r->stacks + (size_t)(stack + 1) * EMU_STACK - shift);
  *--top = NULL; /* worker's caller: keeps the alignment that a call would have left */
  *--top = (void *)(uintptr_t)worker;
  for (int i = 0; i < 6; i++) *--top = NULL;
  return top;
}

void thread_wait(ThreadState state, const EmuSite *site) {
  Run *r = &emu.run;
  Thread *t = r->current;
  t->state = state;
  t->site = site;
  fiber_switch(&t->sp, next_fiber(r));
}

void run_fail(CUresult error, const EmuSite *site, const char *format, ...) {
  Run *r = &emu.run;
  if (!r->error) {
    va_list arguments;
    fprintf(stderr, "emulator: %s", r->kernel->name);
    fprintf(stderr, ": block %u", r->block);
    if (r->current) fprintf(stderr, ", thread %u", r->current->index);
    if (site) fprintf(stderr, ": %s:%d", site->file, site->line);
    fprintf(stderr, ": ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    r->error = error;
  }
  if (!r->current) return;
  void *never;
  r->current = NULL;
  fiber_switch(&never, r->scheduler);
}

static void order_threads(Run *r) {
  unsigned n = r->threads;
  for (unsigned i = 0; i < n; i++) r->order[i] = emu.option.order == ORDER_REVERSE ? n - 1 - i : i;
}

static void shuffle(unsigned *order, unsigned n) {
  for (unsigned i = n - 1; i > 0; i--) {
    unsigned k = (unsigned)(run_draw() % (i + 1)), swapped = order[i];
    order[i] = order[k];
    order[k] = swapped;
  }
}

/* NaN where a block has not written its shared memory. */
static void poison(const Run *r) {
  memset(r->image->shared, 0xff, (size_t)(r->image->shared_end - r->image->shared));
  memset(r->kernel->shared, 0xff, (size_t)(r->kernel->shared_end - r->kernel->shared));
}

static void begin_block(Run *r, unsigned block) {
  r->block = block;
  emu.core.block.x = block;
  r->left = r->threads;
  r->barrier = 1;
  r->nfree = 0;
  r->current = NULL;
  for (unsigned i = r->threads; i > 0; i--) {
    r->free_stack[r->nfree++] = (int)i - 1;
    r->thread[i - 1].state = THREAD_NEW;
  }
  poison(r);
  check_block(r);
}

/* Runs the threads of these places of the order until each has ended or waits. */
static void pass(Run *r, unsigned from, unsigned to) {
  r->at = from - 1;
  r->to = to;
  void *first = next_fiber(r);
  if (r->current) fiber_switch(&r->scheduler, first);
}

/* Until all threads wait for the block, or have ended. At random, warps take turns; else each goes
 * as far as it can, which is kinder to the cache. */
static void run_warps(Run *r) {
  unsigned n = r->threads, warps = (n + EMU_WARP - 1) / EMU_WARP;
  if (emu.option.order == ORDER_RANDOM) {
    do {
      shuffle(r->order, n);
      pass(r, 0, n);
    } while (!r->error && warps_release(r, 0, warps));
    return;
  }
  for (unsigned i = 0; i < warps && !r->error; i++) {
    bool reverse = emu.option.order == ORDER_REVERSE;
    unsigned w = reverse ? warps - 1 - i : i, low = w * EMU_WARP;
    unsigned high = low + EMU_WARP < n ? low + EMU_WARP : n;
    do pass(r, reverse ? n - high : low, reverse ? n - low : high);
    while (!r->error && warps_release(r, w, w + 1));
  }
}

static void run_block(Run *r, unsigned block) {
  begin_block(r, block);
  order_threads(r);
  do run_warps(r);
  while (!r->error && r->left && barrier_release(r));
}

static bool start_stacks(Run *r) {
  if (r->stacks) return true;
  size_t n = (size_t)EMU_BLOCK * EMU_STACK;
  char *p =
      mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  /* The lowest page of each catches a stack that is too small. */
  for (size_t i = 0; i < EMU_BLOCK; i++) mprotect(p + i * EMU_STACK, 4096, PROT_NONE);
  for (unsigned i = 0; i < EMU_BLOCK; i++)
    r->thread[i] = (Thread){.index = i, .warp = i / EMU_WARP, .lane = i % EMU_WARP};
  r->stacks = p;
  return true;
}

/* The blocks' order; NULL: no memory. */
static unsigned *order_blocks(Run *r) {
  unsigned *order = malloc(r->blocks * sizeof *order), n = r->blocks;
  for (unsigned i = 0; order && i < n; i++)
    order[i] = emu.option.order == ORDER_REVERSE ? n - 1 - i : i;
  if (order && emu.option.order == ORDER_RANDOM) shuffle(order, n);
  return order;
}

CUresult run_launch(const EmuImage *image, const EmuKernel *kernel, unsigned grid, unsigned block,
                    void **parameter) {
  Run *r = &emu.run;
  if (!start_stacks(r)) return CUDA_ERROR_OUT_OF_MEMORY;
  r->image = image;
  r->kernel = kernel;
  r->parameter = parameter;
  r->threads = block;
  r->blocks = grid;
  r->error = CUDA_SUCCESS;
  unsigned *order = order_blocks(r);
  if (!order) return CUDA_ERROR_OUT_OF_MEMORY;
  emu.core.grid_dim = (EmuDim){grid, 1, 1};
  emu.core.block_dim = (EmuDim){block, 1, 1};
  emu.core.block = emu.core.thread = (EmuDim){0, 0, 0};
  check_launch(r);
  unsigned mode = _mm_getcsr();
  _mm_setcsr(image->flush_denormals ? mode | DENORMALS_TO_ZERO
                                    : mode & ~(unsigned)DENORMALS_TO_ZERO);
  for (unsigned i = 0; i < grid && !r->error; i++) run_block(r, order[i]);
  _mm_setcsr(mode);
  free(order);
  r->current = NULL;
  return r->error;
}
