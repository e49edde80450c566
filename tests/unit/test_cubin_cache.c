/* Cubins on disk: what is kept is found again, and what lies in a cubin's place and is none is
   taken as absent. */

#include "test_files.h"

#include "runtime/cubin_cache.h"

#include <signal.h>
#include <sys/resource.h>
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

static void keep(const Cache *c) {
  RtErr why = {0};
  assert_true(rt_cubin_keep(c->key, &kept, &why));
  assert_int_equal(why.code, 0);
  assert_true(found(c));
}

/* It is not kept: the text says why, beginning with the path of `name` in the folder. */
static void refused(const Cache *c, const char *name, const char *text) {
  RtErr why = {0};
  char path[512], want[700];
  snprintf(want, sizeof want, "%s%s", folder_file(&c->folder, name, path), text);
  assert_false(rt_cubin_keep(c->key, &kept, &why));
  if (strncmp(why.text, want, strlen(want)) != 0) fail_msg("not `%s`: %s", want, why.text);
  assert_false(found(c));
}

static void test_found(void **state) {
  const Cache *c = *state;
  assert_false(found(c));
  keep(c);
}

/* A pipe without a writer, which is then replaced. */
static void test_pipe(void **state) {
  const Cache *c = *state;
  assert_false(found(c)); /* makes the folders */
  assert_int_equal(mkfifo(c->path, 0600), 0);
  assert_false(found(c));
  keep(c);
}

static void test_folder(void **state) {
  const Cache *c = *state;
  assert_false(found(c));
  assert_int_equal(mkdir(c->path, 0700), 0);
  refused(c, strstr(c->path, "mloc/cubin/"), ": cannot be written: ");
}

/* Another user's file must not be reached through a link. */
static void test_link(void **state) {
  const Cache *c = *state;
  char other[512];
  keep(c);
  folder_file(&c->folder, "other", other);
  assert_int_equal(rename(c->path, other), 0);
  assert_int_equal(symlink(other, c->path), 0);
  assert_false(found(c));
  keep(c);
}

/* Each way in which there is no folder. */
static void test_no_folder(void **state) {
  const Cache *c = *state;
  char path[512];
  folder_file(&c->folder, "mloc", path);
  write_text(path, "");
  refused(c, "mloc", " is no folder");
  assert_int_equal(unlink(path), 0);
  assert_int_equal(symlink("/tmp", path), 0);
  refused(c, "mloc", " is no folder");
  assert_int_equal(unlink(path), 0);
  keep(c);
  assert_int_equal(chmod(path, 0770), 0);
  refused(c, "mloc", ": other users may write into it");
  folder_file(&c->folder, "file", path);
  write_text(path, "");
  setenv("XDG_CACHE_HOME", path, 1);
  refused(c, "file/mloc", ": cannot be made: ");
}

static void test_no_home(void **state) {
  const Cache *c = *state;
  const char *home = getenv("HOME");
  char *before = home ? strdup(home) : NULL;
  RtErr why = {0};
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  assert_false(rt_cubin_keep(c->key, &kept, &why));
  assert_string_equal(why.text, "neither XDG_CACHE_HOME nor HOME names a folder");
  assert_false(found(c));
  setenv("HOME", c->folder.path, 1);
  keep(c);
  if (before)
    setenv("HOME", before, 1);
  else
    unsetenv("HOME");
  free(before);
}

/* A disk that takes no more, as a limit on the size of files; no half of a file stays. */
static void test_full(void **state) {
  Cache *c = *state;
  struct rlimit all, few;
  assert_false(found(c));
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
  few = all;
  few.rlim_cur = 20;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
  refused(c, strstr(c->path, "mloc/cubin/"), ": cannot be written: ");
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
  signal(SIGXFSZ, handler);
  *strrchr(c->path, '/') = 0;
  assert_int_equal(rmdir(c->path), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_found, setup, teardown),
      cmocka_unit_test_setup_teardown(test_pipe, setup, teardown),
      cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
      cmocka_unit_test_setup_teardown(test_link, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_folder, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_home, setup, teardown),
      cmocka_unit_test_setup_teardown(test_full, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
