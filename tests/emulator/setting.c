/* See setting.h. */

#include "tests/emulator/setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NULL where it is not set. */
static const char *given(const char *name) {
  const char *s = getenv(name);
  return s && *s ? s : NULL;
}

static void refuse(const char *name, const char *text, const char *expected) {
  fprintf(stderr, "emulator: %s=%s: expected %s\n", name, text, expected);
  fflush(NULL);
  _exit(SETTING_REFUSED);
}

/* Digits alone: neither a sign, nor a blank, nor anything behind. */
static bool read_number(const char *s, long least, long most, long *out) {
  if (s[strspn(s, "0123456789")] != 0) return false;
  errno = 0;
  *out = strtol(s, NULL, 10);
  return errno == 0 && *out >= least && *out <= most;
}

long setting_number(const char *name, long otherwise, long least, long most) {
  const char *s = given(name);
  char expected[80];
  long n;
  if (!s) return otherwise;
  if (read_number(s, least, most, &n)) return n;
  snprintf(expected, sizeof expected, "a number from %ld to %ld", least, most);
  refuse(name, s, expected);
  return otherwise;
}

bool setting_flag(const char *name, bool otherwise) {
  return setting_number(name, otherwise, 0, 1) == 1;
}

int setting_word(const char *name, const char *const *word) {
  const char *s = given(name);
  char expected[200] = "";
  if (!s) return 0;
  for (int i = 0; word[i]; i++)
    if (strcmp(s, word[i]) == 0) return i;
  for (int i = 0; word[i]; i++) {
    size_t n = strlen(expected);
    snprintf(expected + n, sizeof expected - n, "%s%s", i ? " or " : "", word[i]);
  }
  refuse(name, s, expected);
  return 0;
}
