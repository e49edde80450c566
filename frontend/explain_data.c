/* The pages of the errors in data, E04xx. */
#include "frontend/explain.h"

#include <stddef.h>

const Explanation explain_data[] = {
    {"E0401", "a data file is absent",
     "The file of a data source is not there. Its path counts from the folder of the\n"
     "program; `--data NAME=FILE` names another one. `mloc check` works without files.\n",
     NULL, NULL},
    {"E0402", "a data file cannot be read",
     "The file is not one of the formats that are read (.npz, .npy, .csv, IDX), or it or an\n"
     "array in it is damaged. Arrays hold bools, integers or floats: complex numbers,\n"
     "texts and objects are not read.\n",
     NULL, NULL},
    {"E0411", "an array has another number of axes",
     "The array of that name has more or fewer axes than its field declares.\n", NULL, NULL},
    {"E0412", "a size differs",
     "Data, the program and other data must agree on every size: `N` is one number.\n", NULL, NULL},
    {"E0413", "an array is missing",
     "The file has no array of the field's name. The message lists those that it has.\n"
     "A .npy or IDX file holds one array, so its data source has one field, of any name.\n",
     NULL, NULL},
    {"E0414", "floats where integers are declared",
     "A field of i32 or bool needs an array of integers.\n", NULL, NULL},
    {"E0415", "an array is empty", "A size is zero: there is nothing to learn from.\n", NULL, NULL},
    {"E0416", "a dimension without a value",
     "A dim gets its value from the program (`dim K = 10;`), from `--set K=10`, or\n"
     "from a data field that has it in its type.\n",
     "dim K;\n", "dim K = 10;\n"},
    {"E0420", "a batch that cannot be drawn",
     "A batch has at least one row, and at most as many as its source, or as the smallest\n"
     "part of its split. `shuffle` orders the rows of batches anew in every epoch, so it needs\n"
     "`batch`: without it a level reads all rows at once, and their order says nothing.\n",
     "data d { file = \"d.npz\"; x : f32[3]; batch = 4; }\n",
     "data d { file = \"d.npz\"; x : f32[3]; batch = 2; shuffle = true; }\n"},
    {"E0421", "which size counts rows is not known",
     "Batches are made of rows. The first size of the first field counts them, or the one\n"
     "that `rows = N;` names; fields that do not have it are read whole.\n",
     "dim N = 5;\n"
     "data d { file = \"d.npz\"; scale : f32; x : f32[N]; batch = 2; }\n",
     "dim N = 5;\n"
     "data d { file = \"d.npz\"; scale : f32; x : f32[N]; batch = 2; rows = N; }\n"},
    {"E0422", "a split that cannot be made",
     "`split = parts(tr = 0.6, va = 0.4, by = y, seed = 7);` gives every part a share of the\n"
     "rows: above 0, together at most 1, and each at least one row. `by` names a field of one\n"
     "integer a row, each value of which is divided alike; `seed` chooses the rows.\n",
     "data d { file = \"d.npz\"; x : f32[10]; split = parts(a = 0.8, b = 0.4); }\n",
     "data d { file = \"d.npz\"; x : f32[10]; split = parts(a = 0.8, b = 0.2); }\n"},
    {"E0423", "a data source is needed here",
     "`index(train)`, `batch(train)` and `metric acc on train = ..` take the name of a data\n"
     "source, or of a part of its split: `train.tr`.\n",
     NULL, NULL},
    {"E0424", "the last batch has fewer rows",
     "With `partial = keep` the last batch of an epoch may have fewer rows. What works row\n"
     "by row, and sums, means and maxima over rows, are of the rows that there are. What\n"
     "reads rows by their place in the batch, or joins them with another axis, is not\n"
     "possible then.\n",
     NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
