/* Settings of optimizers, methods, levels and runs against their schemas: known names, numbers,
   types, limits, nothing twice, nothing missing. What the language has and this version does not
   is told apart from what is misspelt. */
#include <math.h>
#include <string.h>

#include "frontend/sema_internal.h"

static const char *list_names(Sema *s, const char *const *name, int n) {
  const char *t = "";
  for (int i = 0; i < n; i++) t = arena_printf(s->arena, "%s%s`%s`", t, i ? ", " : "", name[i]);
  return t;
}

void setting_unknown(Sema *s, AstItem *item, const char *where, const char *const *known,
                     int nknown, const char *const *later, int nlater) {
  for (int i = 0; i < nlater; i++)
    if (!strcmp(item->name, later[i])) {
      Diag *d = diag_error(s->diags, item->name_span, "E0110", "`%s` is not offered", item->name);
      diag_help(s->diags, d, "settings of %s are %s", where, list_names(s, known, nknown));
      return;
    }
  Diag *d =
      diag_error(s->diags, item->name_span, "E0524", "%s has no setting `%s`", where, item->name);
  help_nearest(s, d, item->name, known, nknown);
  diag_note(s->diags, d, "settings of %s are %s", where, list_names(s, known, nknown));
}

static bool within(Sema *s, Span at, const SettingInfo *info, double x) {
  const char *integer = info->dtype == DT_I32 && x != floor(x) ? "an integer" : NULL;
  if (!integer && x >= info->lo && x <= info->hi) return true;
  Diag *d = diag_error(s->diags, at, "E0525", "`%s` = %g is out of its range", info->name, x);
  if (integer)
    diag_note(s->diags, d, "it is an integer: %s", info->doc);
  else if (isinf(info->hi))
    diag_note(s->diags, d, "it is at least %g: %s", info->lo, info->doc);
  else
    diag_note(s->diags, d, "it is from %g to %g: %s", info->lo, info->hi, info->doc);
  return false;
}

bool setting_value(Sema *s, const AstExpr *e, const SettingInfo *info, SSetting *out) {
  Value v;
  if (out->given) {
    diag_error(s->diags, e->span, "E0524", "`%s` is given twice", info->name);
    return false;
  }
  out->given = true;
  if (!sema_number(s, e, &v)) return false;
  if (isnan(v.num)) return true; /* a size that is not known yet */
  out->value = v.num;
  return within(s, e->span, info, v.num);
}

static const SettingInfo *find_info(const SettingInfo *info, int n, const char *name, int *at) {
  for (*at = 0; *at < n; ++*at)
    if (!strcmp(info[*at].name, name)) return &info[*at];
  return NULL;
}

static bool read_argument(Sema *s, SLevel *l, const AstArg *a, const char *what,
                          const SettingInfo *info, int n, SSetting *out) {
  const char **names = arena_array(s->arena, const char *, n);
  for (int i = 0; i < n; i++) names[i] = info[i].name;
  int at;
  bool ok;
  if (!a->name) {
    Diag *d =
        diag_error(s->diags, a->value->span, "E0524", "settings of `%s` are given by name", what);
    if (n) diag_help(s->diags, d, "write `%s(%s = ...)`", what, names[0]);
    return false;
  }
  if (find_info(info, n, a->name, &at)) {
    bool taken = l && !out[at].given && schedule_value(s, l, a->value, &out[at], &ok);
    if (!taken) return setting_value(s, a->value, &info[at], &out[at]);
    out[at].given = true;
    return ok;
  }
  Diag *d = diag_error(s->diags, a->name_span, "E0524", "`%s` has no setting `%s`", what, a->name);
  help_nearest(s, d, a->name, names, n);
  diag_note(s->diags, d, "it has %s", n ? list_names(s, names, n) : "none");
  return false;
}

bool settings_parse(Sema *s, SLevel *l, const AstExpr *call, const char *what,
                    const SettingInfo *info, int n, SSetting *out) {
  bool ok = true;
  for (int i = 0; i < n; i++) out[i] = (SSetting){.info = &info[i], .value = info[i].value};
  for (const AstArg *a = call->arg; a; a = a->next)
    ok = read_argument(s, l, a, what, info, n, out) && ok;
  for (int i = 0; ok && i < n; i++) {
    if (!info[i].required || out[i].given) continue;
    Diag *d = diag_error(s->diags, call->span, "E0526", "`%s` needs `%s`: %s", what, info[i].name,
                         info[i].doc);
    diag_help(s->diags, d, "write `%s(%s = ...)`", what, info[i].name);
    ok = false;
  }
  return ok;
}
