/* The numbers and words of the environment, MLO_EMU_*. One that is set to anything else ends the
 * process with a message: a test with a mistyped one would test something else. Empty ones are as
 * not set. */
#ifndef EMU_SETTING_H
#define EMU_SETTING_H

#include <stdbool.h>

enum { SETTING_REFUSED = 2 /* the process's answer */ };

long setting_number(const char *name, long otherwise, long least, long most);
bool setting_flag(const char *name, bool otherwise); /* 0 or 1 */
/* Which of the words, which NULL ends; the first one where it is not set. */
int setting_word(const char *name, const char *const *word);

#endif
