divert(-1)dnl
dnl SPDX-License-Identifier: Apache-2.0
dnl
dnl parmacs.m4 - the ANL macros over the DSM, for programs in the manner of
dnl SPLASH-2, which are preprocessed by m4. All macros are C's, in parmacs.h; m4
dnl puts that where a program has its environment.
dnl
dnl	m4 -Ulen -Uindex parmacs.m4 program.c.in > program.c
dnl	gcc -I/usr/include/lazystate -o program program.c -ldsm -lm
dnl
define(MAIN_ENV, `#define DSM_PARMACS_MAIN
#include "parmacs.h"')
define(EXTERN_ENV, `#include "parmacs.h"')
divert(0)dnl
