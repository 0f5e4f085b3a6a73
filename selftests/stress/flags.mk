# SPDX-License-Identifier: LGPL-2.1-or-later
LDLIBS_stress/cycle := $(O)/libulp/libulp.a $(LIBULP_LIBS)
