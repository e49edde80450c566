/* The emulator's environment: what it takes, and what it refuses instead of taking it for something
 * else. */

#include "tests/unit/test_files.h"

#include "tests/emulator/driver.h"
#include "tests/emulator/setting.h"

static void opening_body(const void *data) {
  Driver d;
  (void)data;
  driver_open(&d);
}

/* NVRTC alone, whose libcuda has read nothing. */
static void compiling_body(const void *data) {
  Driver d;
  nvrtcProgram p;
  (void)data;
  driver_libraries(&d);
  NEED(d.nvrtcCreateProgram(&p, "", "nothing", 0, NULL, NULL) == NVRTC_SUCCESS);
  d.nvrtcCompileProgram(p, 0, NULL);
}

static void expect(void (*body)(const void *), const char *name, const char *text, int status,
                   const char *why) {
  char said[4096], want[200] = "";
  Scene s = {{{name, text}}, body, NULL};
  if (status) snprintf(want, sizeof want, "emulator: %s=%s: %s", name, text, why);
  int got = scene_run(&s, said, sizeof said);
  if (got != status || (status ? !strstr(said, want) : said[0]))
    fail_msg("%s=%s: status %d: %s", name, text, got, said);
}

/* What is no number, or none that can be, is not taken for one. */
static void test_refused(void **state) {
  (void)state;
  static const char *const bad[][3] = {
      {"MLO_EMU_MEMORY", "1000k", "expected a number from 0 to 9223372036854775807\n"},
      {"MLO_EMU_MEMORY", "4 GiB", "expected a number"},
      {"MLO_EMU_MEMORY", "-1", "expected a number"},
      {"MLO_EMU_MEMORY", " 1", "expected a number"},
      {"MLO_EMU_MEMORY", "9223372036854775808", "expected a number"},
      {"MLO_EMU_CC", "8.6", "expected a number from 10 to 999\n"},
      {"MLO_EMU_CC", "9", "expected a number"},
      {"MLO_EMU_DEVICES", "none", "expected a number from 0 to 64\n"},
      {"MLO_EMU_SEED", "0x10", "expected a number"},
      {"MLO_EMU_CHECK", "yes", "expected a number from 0 to 1\n"},
      {"MLO_EMU_CHECK", "2", "expected a number"},
      {"MLO_EMU_LAZY", "true", "expected a number"},
      {"MLO_EMU_STATS", "on", "expected a number"},
      {"MLO_EMU_CONDITIONAL", "no", "expected a number"},
      {"MLO_EMU_ORDER", "backward", "expected forward or reverse or random\n"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    expect(opening_body, bad[i][0], bad[i][1], SETTING_REFUSED, bad[i][2]);
  expect(compiling_body, "MLO_EMU_CHECK", "yes", SETTING_REFUSED, "expected a number");
}

static void test_taken(void **state) {
  (void)state;
  static const char *const good[][2] = {
      {"MLO_EMU_MEMORY", ""}, /* as not set */
      {"MLO_EMU_MEMORY", "1000"}, {"MLO_EMU_SEED", "0"},        {"MLO_EMU_CHECK", "1"},
      {"MLO_EMU_LAZY", "0"},      {"MLO_EMU_ORDER", "forward"}, {"MLO_EMU_ORDER", "random"},
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    expect(opening_body, good[i][0], good[i][1], 0, NULL);
  expect(compiling_body, "MLO_EMU_CHECK", "0", 0, NULL);
  expect(compiling_body, "MLO_EMU_MEMORY", "1000k", 0, NULL); /* NVRTC does not read it */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused), cmocka_unit_test(test_taken)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
