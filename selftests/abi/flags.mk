# SPDX-License-Identifier: LGPL-2.1-or-later
# The harness compares what it is given.
$(foreach t,interface map plan check freeze fault,$(eval CFLAGS_abi/test_$(t) := -Wno-sign-compare))
