#ifndef MLOC_IR_SCHEMA_H
#define MLOC_IR_SCHEMA_H

#include "ir/graph.h"

/* Settings, defaults and update maps of optimizers, settings of methods. The frontend checks what
   users write against them; passes expand them. */
typedef struct SettingInfo {
  const char *name;
  DType dtype; /* DT_I32 for counts; DT_F32 stands for "the run's float type" */
  bool required;
  double value, lo, hi; /* default; inclusive limits */
  const char *doc;
  bool optional; /* off unless given: then the setting has no storage, and the update map gets NULL
                  */
} SettingInfo;

enum { MAX_SETTINGS = 8, MAX_STATE = 4 };

typedef struct OptimizerInfo {
  const char *name, *doc;
  int nsetting, nstate;
  const SettingInfo *setting;
  const char *state_name[MAX_STATE];
  /* The update map, written once: from variables z, their gradient, the state vectors (all flat,
     f[P]), the settings (scalars; NULL: optional and not given) and the 1-based step number (float
     scalar) to the new variables (returned) and states (next[]). Formula at the definition. */
  Node *(*update)(Graph *g, Node *z, Node *grad, Node *const *state, Node *const *setting,
                  Node *step, Node **next);
} OptimizerInfo;

/* Which batches and random numbers the equations of lower levels see in a hypergradient: new ones,
   the same in all products; new ones for every term; or those of the levels' last updates. */
typedef enum MethodDraw { DRAW_FRESH, DRAW_EACH_TERM, DRAW_REPLAY } MethodDraw;

typedef enum MethodKind { METHOD_SOLVE } MethodKind;

typedef struct MethodInfo {
  const char *name, *doc;
  MethodKind kind;
  bool one_block; /* works on components of one block only */
  int nsetting;
  const SettingInfo *setting;
  /* the products of an adjoint state with its level's equation are central differences of
     gradients, with the setting `radius` */
  bool differences;
  bool updates;   /* reads the lower level's update map, at the settings of its next step */
  bool unapplied; /* the solution is a function of the right-hand side: A is never applied */
  MethodDraw draw;
} MethodInfo;

const OptimizerInfo *optimizer_find(const char *name); /* NULL if unknown */
const MethodInfo *method_find(const char *name);
int optimizer_count(void);
const OptimizerInfo *optimizer_at(int i);
int method_count(void);
const MethodInfo *method_at(int i);
extern const SettingInfo steps_info;

#endif
