# SPDX-License-Identifier: LGPL-2.1-or-later
# Patches that the tests apply, packed here and not in the VM:
#
#   PACK += NAME:DESCRIPTION:OBJECT:TARGET[:DEBUG]
#
# makes $(B)/packed/NAME.so of DESCRIPTION.dsc and the shared object OBJECT,
# for TARGET; all paths without their directory and suffix.

VARIANTS += patches/answer.2 patches/answer.3 patches/callee.2
CFLAGS_patches/answer.2 := -DADD=2000
CFLAGS_patches/answer.3 := -DADD=3000
CFLAGS_patches/callee.2 := -DADD=6000

# those of the plain library; then those with a target of their own
$(foreach name,answer second outer secret short busy callee caller pointer probe missing cold \
	universe original,\
	$(eval PACK += $(name):patches/$(name):patches/$(name):victims/libvictim.so))
$(foreach n,2 3,$(eval PACK += answer.$(n):patches/answer:patches/answer.$(n):victims/libvictim.so))
PACK += callee.2:patches/callee:patches/callee.2:victims/libvictim.so
$(foreach lib,O0 O3 Os cet nop16 nop5 cet-nop16,\
	$(eval PACK += secret.$(lib):patches/secret:patches/secret:victims/libvictim.$(lib).so)\
	$(eval PACK += outer.$(lib):patches/outer:patches/outer:victims/libvictim.$(lib).so))
PACK += secret.stripped:patches/secret:patches/secret:victims/libvictim.stripped.so:victims/libvictim.so
PACK += busy.scan:patches/busy.scan:patches/busy:victims/libvictim.so
PACK += init:patches/init:patches/init:victims/victim_init
PACK += cold.stripped:patches/cold:patches/cold:victims/libvictim.stripped.so:victims/libvictim.so
PACK += exceptions:patches/exceptions:patches/exceptions:victims/libvictim_cxx.so
PACK += cxx:patches/cxx:patches/cxx:victims/libvictim_cxx.so
PACK += zlib:patches/zlib:patches/zlib:/lib/x86_64-linux-gnu/libz.so.1
PACK += loaded:patches/loaded:patches/loaded:victims/libloaded.so
PACK += crypt:patches/crypt:patches/crypt:/lib/x86_64-linux-gnu/libcrypt.so.1

pack_path = $(if $(filter /%,$(1)),$(1),$(B)/$(1))

# $(call pack_rule,NAME,DESCRIPTION,OBJECT,TARGET,DEBUG)
define pack_rule
PACKED += $(B)/packed/$(1).so
$(B)/packed/$(1).so: $(S)/$(2).dsc $(B)/$(3).so $(call pack_path,$(4)) \
		$(if $(5),$(B)/$(5)) $(wildcard $(O)/packer/ulp-packer)
	$$(say) PACK selftests/$(1).so
	@mkdir -p $$(@D)
	$$(Q)$(O)/packer/ulp-packer pack -q -o $$@ -l $(B)/$(3).so -t $(call pack_path,$(4)) \
		$(if $(5),--debug $(B)/$(5)) $$<
endef

# the other directories have added to PACK before this one is read
pack_field = $(word $(1),$(subst :, ,$(2)))
$(foreach pack,$(PACK),$(eval $(call pack_rule,$(call pack_field,1,$(pack)),$(call \
	pack_field,2,$(pack)),$(call pack_field,3,$(pack)),$(call pack_field,4,$(pack)),$(call \
	pack_field,5,$(pack)))))
all: $(if $(wildcard $(O)/packer/ulp-packer),$(PACKED))
