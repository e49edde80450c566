/* What --help and --licenses print: everything that can be said about a program from its
   MloProgram, and what an executable consists of. */

#include "runtime/blas.h"
#include "runtime/npy.h"
#include "runtime/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void print_fields(const MloSource *s) {
  for (int i = 0; i < s->nfield; i++) {
    const MloField *f = &s->field[i];
    printf("%s%s : %s[", i ? ", " : "  ", f->name, rt_dtype_name(f->dtype));
    for (int k = 0; k < f->rank; k++) printf("%s%lld", k ? ", " : "", (long long)f->dim[k]);
    printf("]");
    if (f->check != MLO_ANY)
      printf(" in %s(%.9g, %.9g)", f->check == MLO_BOX ? "box" : "range", f->lo, f->hi);
  }
}

static void print_settings(const MloProgram *p) {
  printf("\nsettings (--set NAME=VALUE):\n");
  for (int i = 0; i < p->nsetting; i++) {
    const MloSetting *s = &p->setting[i];
    printf("  %-28s %-4s = %.9g", s->name, rt_dtype_name(s->dtype), s->value);
    if (!isinf(s->lo) && !isinf(s->hi))
      printf("   from %.9g to %.9g", s->lo, s->hi);
    else if (!isinf(s->lo))
      printf("   at least %.9g", s->lo);
    else if (!isinf(s->hi))
      printf("   at most %.9g", s->hi);
    printf("\n");
  }
}

void rt_print_help(const MloProgram *p) {
  printf("%s: run `%s` of %s, compiled by mloc %s (%s, %s%s)\n\nusage: %s [options]\n\n", p->name,
         p->run, p->source, p->version, p->precision, p->arch, p->cuda ? ", CUDA" : "", p->name);
  printf("  --set NAME=VALUE       override a setting; may be repeated\n"
         "  --data SOURCE=FILE     read a data source from FILE (.npz, .npy, .csv, IDX)\n"
         "  --seed N               seed of all random numbers (%lld)\n"
         "  --seeds N              N runs, with the seeds from --seed on: mean and std of the metrics\n"
         "  --steps N              steps of the top level (%lld)\n"
         "  --out DIR              write metrics.csv, run.json and final.npz into DIR\n"
         "  --resume auto|FILE     go on from the last checkpoint in --out DIR (from the start where\n"
         "                         there is none; nothing is left where it has finished), or from FILE\n"
         "  --load FILE            begin with the variables of FILE, an earlier run's final.npz\n"
         "  --threads N            threads (OpenMP's default otherwise); they spin for a short time before\n"
         "                         they sleep: the environment's GOMP_SPINCOUNT (1000) says how long\n"
         "  --device KIND          cpu, cuda or auto: where to run (auto: a CUDA device where there is one\n"
         "                         and the executable has code for it, else the CPU)\n"
         "  --progress=KIND        bar, plain, json or none (bar on a terminal, plain elsewhere)\n"
         "  -q, --quiet            no progress; with --out nothing at all\n"
         "  -v, --verbose          say what is loaded and where it runs\n"
         "  --licenses             the licences of what this executable links\n"
         "  --version              the program's and mloc's versions\n"
         "  -h, --help             this text\n",
         (long long)p->seed, (long long)p->steps);
  if (p->after)
    printf("\nThis run comes after run `%s`: --load gives the final.npz of `%s`.\n", p->after,
           p->after);
  if (p->nsetting) print_settings(p);
  if (p->nsource) printf("\ndata (--data SOURCE=FILE):\n");
  for (int i = 0; i < p->nsource; i++) {
    printf("  %-12s %s\n    ", p->data[i].name, p->data[i].file);
    print_fields(&p->data[i]);
    printf("\n");
  }
  if (p->narray) printf("\nresults (final.npz):\n");
  for (int i = 0; i < p->narray; i++) {
    const MloArray *a = &p->array[i];
    printf("  %-28s %s[", a->name, rt_dtype_name(a->dtype));
    for (int k = 0; k < a->rank; k++) printf("%s%lld", k ? ", " : "", (long long)a->dim[k]);
    printf("]\n");
  }
  if (p->nmetric) printf("\nmetrics:\n");
  for (int i = 0; i < p->nmetric; i++) printf("  %s\n", p->metric[i].name);
  if (p->checkpoint_every)
    printf("\ncheckpoints (DIR/checkpoints): every %lld steps\n", (long long)p->checkpoint_every);
  if (p->cuda)
    printf("\nCUDA: the driver, NVRTC and cuBLAS are looked for in $MLO_CUDA_PATH first; compiled kernels\n"
           "are kept in $XDG_CACHE_HOME/mloc/cubin (~/.cache/mloc/cubin); --verbose says why not, where they\n"
           "cannot be. With MLO_GRAPH_LOOPS=fixed loops of solvers with a tolerance make all their rounds;\n"
           "with MLO_BATCHES=ahead data that batches are drawn from stay in the host's memory, as where they\n"
           "do not fit, and MLO_BATCHES=late copies those batches when they are drawn, not ahead\n");
  printf("\nexit codes: 0 ok, 2 usage, 3 data or output, 4 diverged, 5 device, 75 interrupted\n");
}

static void print_bsd(const char *what, const char *holder) {
  printf("%s\n  Copyright (c) %s. 3-clause BSD licence:\n", what, holder);
}

void rt_print_licenses(void) {
  printf(
      "mloc runtime\n"
      "  Apache License 2.0. What mloc emits, and an executable as far as it is made of that, is\n"
      "  its user's.\n\n");
  if (rt_blas_version) print_bsd("OpenBLAS", "2011-2014, The OpenBLAS Project");
  print_bsd("libzip", "1999-2020 Dieter Baron and Thomas Klausner");
  print_bsd("Random123", "2010-2011, D. E. Shaw Research (where random numbers are drawn)");
  printf(
      "  Redistribution and use in source and binary forms, with or without modification, are\n"
      "  permitted provided that redistributions retain or reproduce the copyright notice, this "
      "list\n"
      "  of conditions and the following disclaimer, and that the names of the holders and\n"
      "  contributors are not used to endorse or promote products derived from the software "
      "without\n"
      "  permission. The software is provided by the copyright holders and contributors \"as "
      "is\",\n"
      "  without any express or implied warranty; in no event shall they be liable for any "
      "damages\n"
      "  arising in any way out of its use.\n\n"
      "xxHash\n  Copyright (c) 2012-2021 Yann Collet. 2-clause BSD licence: as above, without the words\n"
      "  about names.\n\n"
      "zlib\n  Copyright (c) 1995-2022 Jean-loup Gailly and Mark Adler. zlib licence: provided as "
      "is,\n"
      "  free to use, alter and redistribute if the origin is not misrepresented.\n\n"
      "jansson\n  Copyright (c) 2009-2020 Petri Lehtinen. MIT licence.\n"
      "popt\n  Copyright (c) 1998 Red Hat Software. MIT (X11) licence.\n"
      "  Permission is granted, free of charge, to deal in the software without restriction, "
      "subject\n"
      "  to the notice being included in all copies. Provided as is, without warranty of any "
      "kind.\n\n"
      "The C library (LGPL 2.1) and the compiler's OpenMP runtime (GPL 3 with the runtime library\n"
      "exception) are those of the system.\n");
}
