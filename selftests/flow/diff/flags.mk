# SPDX-License-Identifier: LGPL-2.1-or-later
# The cases are compiled, linked and made into patches by a script: each has
# two versions and several flavours.

$(B)/flow/diff/built: $(wildcard $(S)/flow/diff/cases/*) $(S)/flow/diff/build \
		$(wildcard $(O)/packer/ulp-packer)
	$(say) DIFF selftests/flow/diff
	$(Q)CC="$(CC)" $(S)/flow/diff/build $(O)/packer/ulp-packer $(@D) && touch $@

all: $(if $(wildcard $(O)/packer/ulp-packer),$(B)/flow/diff/built)
