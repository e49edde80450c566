/* Which statement may stand in which block. The grammar reads all statements everywhere, so that a
   misplaced one is named, and told where it belongs, instead of being a syntax error. */
#include "frontend/parse.h"

enum { IN_DATA = 1, IN_LEVEL = 2, IN_MODULE = 4, IN_RUN = 8, NESTED = 16 };

static const int place[NAST_ITEM] = {
    [AST_FIELD] = IN_DATA,
    [AST_SETTING] = IN_DATA | IN_LEVEL | IN_MODULE | IN_RUN | NESTED,
    [AST_VAR] = IN_LEVEL | IN_MODULE | NESTED,
    [AST_PARAM] = IN_MODULE | NESTED,
    [AST_LET] = IN_LEVEL | IN_MODULE | NESTED,
    [AST_STATE] = IN_LEVEL | IN_MODULE | NESTED,
    [AST_MINIMIZE] = IN_LEVEL | NESTED,
    [AST_MAXIMIZE] = IN_LEVEL | NESTED,
    [AST_ARGMIN] = IN_LEVEL | NESTED,
    [AST_METRIC] = IN_LEVEL | NESTED,
    [AST_OUTPUT] = IN_LEVEL | NESTED,
    [AST_RETURN] = IN_MODULE,
    [AST_FOR] = IN_LEVEL | IN_MODULE | NESTED,
    [AST_IF] = IN_LEVEL | IN_MODULE | NESTED,
};

static const char *home(int where) {
  if (where & IN_LEVEL) return where & IN_MODULE ? "a `level` or a `module`" : "a `level`";
  return where & IN_MODULE ? "a `module`" : "a `data` block";
}

static void misplaced(Parse *p, const AstItem *s, AstItemKind block, bool nested) {
  Span at = s->kind == AST_FIELD ? s->span : s->name_span;
  if (s->kind == AST_FIELD && block != AST_RUN) {
    bool level = block == AST_LEVEL;
    Diag *g = parse_error(p, at, "E0010", "a field stands in a `data` block only");
    diag_help(p->diags, g, "in a `%s`, write `%s %s : ...`", level ? "level" : "module",
              level ? "var" : "param", s->name);
    return;
  }
  const char *word = s->kind == AST_FIELD ? "a field" : ast_item_word(s->kind);
  const char *quote = s->kind == AST_FIELD ? "" : "`";
  Diag *g = parse_error(p, at, "E0010", "%s%s%s does not belong in %s `%s`%s", quote, word, quote,
                        nested ? "an inner block of a" : "a", ast_item_word(block),
                        nested ? "" : " block");
  diag_help(p->diags, g, "it stands in %s", home(place[s->kind]));
}

/* Only `data` fields have no initial value. */
static void check_field(Parse *p, const AstItem *s) {
  if (s->value)
    parse_error(p, s->value->span, "E0010", "a field of a data source has no initial value");
}

static AstItem *filter(Parse *p, AstItem *list, AstItemKind block, int where, bool nested) {
  ItemList kept = {0};
  for (AstItem *s = list, *next; s; s = next) {
    next = s->next;
    s->next = NULL;
    int may = place[s->kind];
    if (!(may & where) || (nested && !(may & NESTED))) {
      misplaced(p, s, block, nested && (may & where));
      continue;
    }
    if (s->kind == AST_FIELD) check_field(p, s);
    s->body = filter(p, s->body, block, where, true);
    s->orelse = filter(p, s->orelse, block, where, true);
    kept = ast_append(kept, s);
  }
  return kept.first;
}

AstItem *ast_place(Parse *p, AstItem *i) {
  static const int where[NAST_ITEM] = {
      [AST_DATA] = IN_DATA, [AST_LEVEL] = IN_LEVEL, [AST_MODULE] = IN_MODULE, [AST_RUN] = IN_RUN};
  if (where[i->kind]) i->body = filter(p, i->body, i->kind, where[i->kind], false);
  return i;
}
