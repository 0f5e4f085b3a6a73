# SPDX-License-Identifier: LGPL-2.1-or-later
# One program in all the ways to link and to compile it.

EXE_VARIANTS := pie nopie static static-pie pie-O0 pie-O3 pie-Os nopie-O0 static-O3 \
	pie-cet pie-nop16 pie-nop5 pie-cet-nop16 static-cet
EXE_STRIPPED := pie nopie static static-pie pie-cet-nop16

exe_link.pie := -fPIE -pie
exe_link.nopie := -fno-pie -no-pie
exe_link.static := -fno-pie -no-pie -static
exe_link.static-pie := -fPIE -static-pie
exe_code.cet := -fcf-protection=full
exe_code.nop16 := -fpatchable-function-entry=16,14
exe_code.nop5 := -fpatchable-function-entry=5
exe_code.cet-nop16 := $(exe_code.cet) $(exe_code.nop16)
exe_code.O0 := -O0
exe_code.O3 := -O3
exe_code.Os := -Os

# the link is what stands before the first dash, but "static-pie" is one word
exe_base = $(if $(filter static-pie%,$(1)),static-pie,$(firstword $(subst -, ,$(1))))
exe_rest = $(patsubst -%,%,$(patsubst $(call exe_base,$(1))%,%,$(1)))

define exe_variant
VARIANTS += flow/matrix/victim_exe.$(1)
CFLAGS_flow/matrix/victim_exe.$(1) := $$(exe_link.$(call exe_base,$(1))) \
	$$(exe_code.$(call exe_rest,$(1)))
PACK += exe.$(1):flow/matrix/exe:flow/matrix/patch_exe:flow/matrix/victim_exe.$(1)
endef
$(foreach variant,$(EXE_VARIANTS),$(eval $(call exe_variant,$(variant))))

# stripped ones: the names come from the unstripped one, as from a debug package
define exe_stripped
PACK += exe.$(1).stripped:flow/matrix/exe:flow/matrix/patch_exe:flow/matrix/victim_exe.$(1).stripped:flow/matrix/victim_exe.$(1)
$(B)/flow/matrix/victim_exe.$(1).stripped: $(B)/flow/matrix/victim_exe.$(1)
	$$(Q)strip -o $$@ $$<
all: $(B)/flow/matrix/victim_exe.$(1).stripped
endef
$(foreach variant,$(EXE_STRIPPED),$(eval $(call exe_stripped,$(variant))))
