#ifndef MLOC_CODEGEN_DEVICE_TEXT_H
#define MLOC_CODEGEN_DEVICE_TEXT_H

/* The texts of runtime/mlo_device.h and what follows it, without includes: the build makes them. */
extern const char cg_mlo_device[], cg_mlo_math64[], cg_mlo_math[], cg_mlo_normal[], cg_mlo_random[],
    cg_mlo_team[];

#endif
