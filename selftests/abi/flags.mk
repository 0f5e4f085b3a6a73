# SPDX-License-Identifier: LGPL-2.1-or-later
# The harness compares what it is given.
$(foreach t,$(addprefix abi/test_,interface map plan check tasks stacks freeze fault sensor universe) \
	stress/test_storms stress/test_kill_stress,$(eval CFLAGS_$(t) := -Wno-sign-compare))
