# SPDX-License-Identifier: LGPL-2.1-or-later
LDLIBS_soak/soak := $(O)/libulp/libulp.a $(LIBULP_LIBS) -ldw -lelf
