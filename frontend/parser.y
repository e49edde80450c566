/* The grammar of .mlo: tokens to the syntax tree. It knows no meanings: settings are uniform, and
   every statement may stand in every block here (place.c says where it belongs). An error costs its
   statement or its declaration: the parser goes on after the next `;`, block or `}`. */
%require "3.8"
%define api.pure full
%define api.prefix {ast_yy}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {Parse *p}

%code requires {
#include "frontend/parse.h"
}

%code provides {
int ast_lex(AST_YYSTYPE *value, AST_YYLTYPE *span, void *scanner);
int parse_token(Parse *p, AST_YYSTYPE *value, AST_YYLTYPE *span);
/* A token that does not fit, by the grammar's names of tokens: NAME, INT, ';', then. */
void parse_unexpected(Parse *p, Span span, const char *got, const char *const *expected, int n);
#define YY_DECL                                                                                   \
  int ast_lex(AST_YYSTYPE *yylval_param, AST_YYLTYPE *yylloc_param, yyscan_t yyscanner)
#define YYSTYPE AST_YYSTYPE
#define YYLTYPE AST_YYLTYPE
}

%code {
#undef YYSTYPE
#undef YYLTYPE
#define YYSTYPE AST_YYSTYPE
#define YYLTYPE AST_YYLTYPE
#define YYMAXDEPTH 20000
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                \
  do {                                                                                             \
    (cur).lo = (n) ? YYRHSLOC(rhs, 1).lo : YYRHSLOC(rhs, 0).hi;                                    \
    (cur).hi = (n) ? YYRHSLOC(rhs, n).hi : YYRHSLOC(rhs, 0).hi;                                    \
  } while (0)

static int ast_yylex(AST_YYSTYPE *value, AST_YYLTYPE *span, Parse *p);
static void ast_yyerror(AST_YYLTYPE *span, Parse *p, const char *message);

static const ArgList none;
}

%union {
  const char *text;
  AstExpr *expr;
  AstType *type;
  AstItem *item;
  ArgList args;
  ParamList params;
  ItemList items;
  AstBlock block;
  AstDomain domain;
  AstOp op;
}

%token END 0
%token DIM "dim" CONST "const" DATA "data" FN "fn" MODULE "module" LEVEL "level" RUN "run"
%token VAR "var" LET "let" MINIMIZE "minimize" MAXIMIZE "maximize" ARGMIN "argmin" VIA "via"
%token RETURN "return" FOR "for" IN "in" IF "if" THEN "then" ELSE "else"
%token AND "and" OR "or" NOT "not" DIV "div" MOD "mod" TRUE_ "true" FALSE_ "false"
%token PARAM "param" STATE "state" METRIC "metric" OUTPUT "output"
%token NEXT "next" ON "on" OF "of" AFTER "after"
%token ARROW "->" DOTS ".." EQ "==" NE "!=" LE "<=" GE ">="
%token <text> NAME
%token <expr> INT FLOAT STRING

%nterm <text> name
%nterm <expr> expr or_expr and_expr not_expr comparison sum product unary power postfix primary
%nterm <expr> dots opt_in opt_value opt_on domain_expr
%nterm <type> type opt_type
%nterm <args> args arg_list index index_list opt_index
%nterm <params> params param_list
%nterm <items> declarations statements dims
%nterm <item> declaration statement dim if_statement opt_after
%nterm <block> block
%nterm <domain> domain
%nterm <op> cmp mul

%%

program: declarations { p->ast->item = $1.first; };

declarations:
  %empty { $$ = (ItemList){0}; }
| declarations declaration { $$ = ast_append($1, ast_place(p, $2)); }
| declarations error ';' { $$ = $1; yyerrok; }
| declarations error block { $$ = $1; yyerrok; }
| declarations error '}' { $$ = $1; yyerrok; }
;

declaration:
  "dim" dims ';' {
    $$ = ast_with_block(p, ast_item(p, AST_DIM, @$, NULL, @1), (AstBlock){@1, @$, $2.first}); }
| "const" name '=' expr ';' { $$ = ast_with_value(ast_item(p, AST_CONST, @$, $2, @2), $4); }
| "data" name block { $$ = ast_with_block(p, ast_item(p, AST_DATA, @$, $2, @2), $3); }
| "fn" name '(' params ')' "->" type '=' expr ';' {
    $$ = ast_declared(ast_item(p, AST_FN, @$, $2, @2), none, $7, NULL, $9);
    $$->param = $4.first; }
| "module" name opt_index '(' params ')' "->" type block {
    ast_names_only(p, $3.first);
    $$ = ast_declared(ast_item(p, AST_MODULE, @$, $2, @2), $3, $8, NULL, NULL);
    $$->param = $5.first;
    ast_with_block(p, $$, $9); }
| "level" name block { $$ = ast_with_block(p, ast_item(p, AST_LEVEL, @$, $2, @2), $3); }
| "level" name '[' domain ']' block {
    $$ = ast_with_domain(ast_with_block(p, ast_item(p, AST_LEVEL, @$, $2, @2), $6), $4); }
| "run" name "of" name opt_after block {
    $$ = ast_with_block(p, ast_item(p, AST_RUN, @$, $2, @2), $6);
    $$->on = ast_name(p, @4, $4);
    $$->lower = $5 ? $5->value : NULL; }
;

dims: dim { $$ = ast_append((ItemList){0}, $1); } | dims ',' dim { $$ = ast_append($1, $3); };

dim:
  name { $$ = ast_item(p, AST_DIM_NAME, @$, $1, @1); }
| name '=' expr { $$ = ast_with_value(ast_item(p, AST_DIM_NAME, @$, $1, @1), $3); }
;

opt_after:
  %empty { $$ = NULL; }
| "after" name { $$ = ast_with_value(ast_item(p, AST_RUN, @$, $2, @2), ast_name(p, @2, $2)); }
;

params: %empty { $$ = (ParamList){0}; } | param_list;

param_list:
  name ':' type { $$ = ast_param(p, (ParamList){0}, $1, @1, $3); }
| param_list ',' name ':' type { $$ = ast_param(p, $1, $3, @3, $5); }
;

block:
  '{' statements '}' { $$ = (AstBlock){@1, @$, $2.first}; }
| '{' statements error '}' { $$ = (AstBlock){@1, @$, $2.first}; yyerrok; }
;

statements:
  %empty { $$ = (ItemList){0}; }
| statements statement { $$ = ast_append($1, $2); }
| statements error ';' { $$ = $1; yyerrok; }
| statements error block { $$ = $1; yyerrok; }
;

statement:
  name ':' type opt_in opt_value ';' {
    $$ = ast_declared(ast_item(p, AST_FIELD, @$, $1, @1), none, $3, $4, $5); }
| name '=' expr ';' { $$ = ast_with_value(ast_item(p, AST_SETTING, @$, $1, @1), $3); }
| "var" name opt_index opt_type opt_in opt_value ';' {
    $$ = ast_declared(ast_item(p, AST_VAR, @$, $2, @2), $3, $4, $5, $6); }
| "param" name opt_index opt_type opt_in opt_value ';' {
    $$ = ast_declared(ast_item(p, AST_PARAM, @$, $2, @2), $3, $4, $5, $6); }
| "let" name opt_index opt_type '=' expr ';' {
    $$ = ast_declared(ast_item(p, AST_LET, @$, $2, @2), $3, $4, NULL, $6); }
| "state" name ':' type '=' expr "next" expr ';' {
    $$ = ast_declared(ast_item(p, AST_STATE, @$, $2, @2), none, $4, NULL, $6);
    $$->update = $8; }
| "minimize" expr ';' { $$ = ast_with_value(ast_item(p, AST_MINIMIZE, @$, NULL, @1), $2); }
| "maximize" expr ';' { $$ = ast_with_value(ast_item(p, AST_MAXIMIZE, @$, NULL, @1), $2); }
| "argmin" postfix "via" expr ';' {
    $$ = ast_item(p, AST_ARGMIN, @$, NULL, @1);
    $$->lower = $2;
    $$->method = $4; }
| "metric" name opt_on '=' expr ';' {
    $$ = ast_with_value(ast_item(p, AST_METRIC, @$, $2, @2), $5);
    $$->on = $3; }
| "output" name opt_on '=' expr ';' {
    $$ = ast_with_value(ast_item(p, AST_OUTPUT, @$, $2, @2), $5);
    $$->on = $3; }
| "return" expr ';' { $$ = ast_with_value(ast_item(p, AST_RETURN, @$, NULL, @1), $2); }
| "for" domain block {
    $$ = ast_with_domain(ast_with_block(p, ast_item(p, AST_FOR, @$, NULL, @1), $3), $2); }
| if_statement
;

if_statement:
  "if" expr block {
    $$ = ast_with_value(ast_with_block(p, ast_item(p, AST_IF, @$, NULL, @1), $3), $2); }
| "if" expr block "else" block {
    $$ = ast_with_value(ast_with_block(p, ast_item(p, AST_IF, @$, NULL, @1), $3), $2);
    ast_with_else(p, $$, $5.first, $5.open); }
| "if" expr block "else" if_statement {
    $$ = ast_with_value(ast_with_block(p, ast_item(p, AST_IF, @$, NULL, @1), $3), $2);
    ast_with_else(p, $$, $5, @5); }
;

opt_in: %empty { $$ = NULL; } | "in" expr { $$ = $2; };
opt_value: %empty { $$ = NULL; } | '=' expr { $$ = $2; };
opt_on: %empty { $$ = NULL; } | "on" expr { $$ = $2; };
opt_type: %empty { $$ = NULL; } | ':' type { $$ = $2; };
opt_index: %empty { $$ = none; } | index;

domain: name "in" domain_expr { $$ = (AstDomain){$1, @1, $3}; };
domain_expr: expr | expr ".." expr { $$ = ast_range(p, @$, $1, $3); };

type:
  name { $$ = ast_type(p, @$, $1, @1, false, none); }
| name index { $$ = ast_type(p, @$, $1, @1, true, $2); }
| name '[' ']' { $$ = ast_type(p, @$, $1, @1, true, none); }
;

index: '[' index_list ']' { $$ = $2; };

index_list:
  dots { $$ = ast_arg(p, none, NULL, @1, $1); }
| name '=' expr { $$ = ast_arg(p, none, $1, @1, $3); }
| index_list ',' dots { $$ = ast_arg(p, $1, NULL, @3, $3); }
| index_list ',' name '=' expr { $$ = ast_arg(p, $1, $3, @3, $5); }
;

dots:
  expr
| ".." { $$ = ast_range(p, @$, NULL, NULL); }
| expr ".." { $$ = ast_range(p, @$, $1, NULL); }
| ".." expr { $$ = ast_range(p, @$, NULL, $2); }
| expr ".." expr { $$ = ast_range(p, @$, $1, $3); }
;

expr:
  or_expr
| "if" expr "then" expr "else" expr { $$ = ast_if(p, @$, $2, $4, $6); }
;

or_expr: and_expr | or_expr "or" and_expr { $$ = ast_binary(p, @$, AST_OR, @2, $1, $3); };
and_expr: not_expr | and_expr "and" not_expr { $$ = ast_binary(p, @$, AST_AND, @2, $1, $3); };
not_expr: comparison | "not" not_expr { $$ = ast_unary(p, @$, AST_NOT, $2); };

comparison: sum | comparison cmp sum { $$ = ast_compare(p, @$, $2, @2, $1, $3); };

cmp:
  "==" { $$ = AST_EQ; }
| "!=" { $$ = AST_NE; }
| '<' { $$ = AST_LT; }
| "<=" { $$ = AST_LE; }
| '>' { $$ = AST_GT; }
| ">=" { $$ = AST_GE; }
;

sum:
  product
| sum '+' product { $$ = ast_binary(p, @$, AST_ADD, @2, $1, $3); }
| sum '-' product { $$ = ast_binary(p, @$, AST_SUB, @2, $1, $3); }
;

product: unary | product mul unary { $$ = ast_binary(p, @$, $2, @2, $1, $3); };

mul:
  '*' { $$ = AST_MUL; }
| '/' { $$ = AST_DIV; }
| '@' { $$ = AST_MATMUL; }
| "div" { $$ = AST_INTDIV; }
| "mod" { $$ = AST_MOD; }
;

unary: power | '-' unary { $$ = ast_unary(p, @$, AST_NEG, $2); };
power: postfix | postfix '^' unary { $$ = ast_binary(p, @$, AST_POW, @2, $1, $3); };

postfix:
  primary
| postfix '.' name { $$ = ast_field(p, @$, $1, $3, @3); }
| postfix '(' args ')' { $$ = ast_call(p, @$, $1, $3); }
| postfix index { $$ = ast_index(p, @$, $1, $2); }
;

primary:
  INT
| FLOAT
| STRING
| "true" { $$ = ast_bool(p, @$, true); }
| "false" { $$ = ast_bool(p, @$, false); }
| name { $$ = ast_name(p, @$, $1); }
| '(' expr ')' { $$ = ast_paren($2, @$); }
;

args:
  %empty { $$ = none; }
| arg_list
| name "in" domain_expr ':' expr {
    $$ = ast_arg(p, none, NULL, @$, ast_each(p, @$, $1, @1, $3, $5)); }
;

arg_list:
  expr { $$ = ast_arg(p, none, NULL, @1, $1); }
| name '=' expr { $$ = ast_arg(p, none, $1, @1, $3); }
| arg_list ',' expr { $$ = ast_arg(p, $1, NULL, @3, $3); }
| arg_list ',' name '=' expr { $$ = ast_arg(p, $1, $3, @3, $5); }
;

name:
  NAME
| "param" { $$ = "param"; }
| "state" { $$ = "state"; }
| "metric" { $$ = "metric"; }
| "output" { $$ = "output"; }
| "next" { $$ = "next"; }
| "on" { $$ = "on"; }
| "of" { $$ = "of"; }
| "after" { $$ = "after"; }
;

%%

static int ast_yylex(AST_YYSTYPE *value, AST_YYLTYPE *span, Parse *p) {
  return parse_token(p, value, span);
}

/* Bison calls this when its stack is full; syntax errors go the way below. */
static void ast_yyerror(AST_YYLTYPE *span, Parse *p, const char *message) {
  (void)message;
  if (!p->too_deep)
    diag_help(p->diags, parse_error(p, *span, "E0009", "nested too deeply"),
              "name parts of it by `let`");
  p->too_deep = true;
}

static int yyreport_syntax_error(const yypcontext_t *context, Parse *p) {
  yysymbol_kind_t kind[YYNTOKENS];
  const char *expected[YYNTOKENS];
  int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
  for (int i = 0; i < n; i++) expected[i] = yysymbol_name(kind[i]);
  yysymbol_kind_t got = yypcontext_token(context);
  const char *name = got < 0 ? "" : yysymbol_name(got);
  parse_unexpected(p, *yypcontext_location(context), name, expected, n);
  return 0;
}
