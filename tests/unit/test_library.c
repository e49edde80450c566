/* The modules of the library against numbers that JAX computed (library_values.py): value,
   gradient, Hessian-vector product by input and parameters, running statistics in training and
   evaluation; by the reference evaluator and by generated code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/values.h"

static const ValueCase cases[] = {
#include "library_values.h"
};
enum { NCASE = sizeof cases / sizeof *cases };

static void values_and_derivatives(void **state) {
  (void)state;
  values_check(cases, NCASE);
}

static void generated_code(void **state) {
  (void)state;
  values_check_generated(cases, NCASE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_and_derivatives),
      cmocka_unit_test(generated_code),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
