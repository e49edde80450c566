/* Cubins on disk: what is kept is found again, and what lies in a cubin's place and is none is
   taken as absent. */

#include "test_files.h"

#include "runtime/cubin_cache.h"

#include <sys/stat.h>

enum { LONGEST = 10 /* seconds that a call may take */ };

typedef struct Cache {
  Folder folder;
  char *before; /* XDG_CACHE_HOME of the other tests */
  char key[RT_CUBIN_KEY], path[512];
} Cache;

static const RtImage kept = {(unsigned char *)"kernels", 8, NULL};

static int setup(void **state) {
  Cache *c = calloc(1, sizeof *c);
  char name[100];
  assert_non_null(c);
  const char *now = getenv("XDG_CACHE_HOME");
  c->before = now ? strdup(now) : NULL;
  c->folder = folder_make();
  setenv("XDG_CACHE_HOME", c->folder.path, 1);
  rt_cubin_key(c->key, "source", "sm_90", 13000);
  snprintf(name, sizeof name, "mloc/cubin/%s", c->key);
  folder_file(&c->folder, name, c->path);
  *state = c;
  return 0;
}

static int teardown(void **state) {
  Cache *c = *state;
  if (c->before)
    setenv("XDG_CACHE_HOME", c->before, 1);
  else
    unsetenv("XDG_CACHE_HOME");
  folder_remove(&c->folder);
  free(c->before);
  free(c);
  return 0;
}

/* Whether it is there; the process ends where that takes too long. */
static bool found(const Cache *c) {
  RtImage image;
  alarm(LONGEST);
  bool ok = rt_cubin_find(c->key, &image);
  alarm(0);
  assert_true(!ok || (image.n == kept.n && !memcmp(image.byte, kept.byte, kept.n)));
  rt_image_free(&image);
  return ok;
}

static void test_found(void **state) {
  const Cache *c = *state;
  assert_false(found(c));
  rt_cubin_keep(c->key, &kept);
  assert_true(found(c));
}

/* A pipe without a writer, which is then replaced. */
static void test_pipe(void **state) {
  const Cache *c = *state;
  assert_false(found(c)); /* makes the folders */
  assert_int_equal(mkfifo(c->path, 0600), 0);
  assert_false(found(c));
  rt_cubin_keep(c->key, &kept);
  assert_true(found(c));
}

static void test_folder(void **state) {
  const Cache *c = *state;
  assert_false(found(c));
  assert_int_equal(mkdir(c->path, 0700), 0);
  assert_false(found(c));
  rt_cubin_keep(c->key, &kept);
  assert_false(found(c));
}

/* Another user's file must not be reached through a link. */
static void test_link(void **state) {
  const Cache *c = *state;
  char other[512];
  rt_cubin_keep(c->key, &kept);
  folder_file(&c->folder, "other", other);
  assert_int_equal(rename(c->path, other), 0);
  assert_int_equal(symlink(other, c->path), 0);
  assert_false(found(c));
  rt_cubin_keep(c->key, &kept);
  assert_true(found(c));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_found, setup, teardown),
      cmocka_unit_test_setup_teardown(test_pipe, setup, teardown),
      cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
      cmocka_unit_test_setup_teardown(test_link, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
