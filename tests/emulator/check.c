#include "tests/emulator/emu.h"
void check_launch(Run *r) { (void)r; }
void check_block(Run *r) { (void)r; }
void check_barrier(Run *r) { (void)r; }
void check_syncwarp(Run *r, unsigned warp, unsigned mask) { (void)r, (void)warp, (void)mask; }
void check_access(const void *at, unsigned long n, int write, const void *pc) {
  (void)at, (void)n, (void)write, (void)pc;
}
void check_atomic(const void *at, unsigned long n, const EmuSite *site) {
  (void)at, (void)n, (void)site;
}
void check_fence(void) {}
void check_region(Region *r) { (void)r; }
