# SPDX-License-Identifier: LGPL-2.1-or-later
# Victims in other builds: libvictim at other optimisation levels, with endbr64,
# with room for patching at the entries, and stripped.

VARIANTS += $(addprefix victims/libvictim.,O0 O3 Os cet nop16 nop5 cet-nop16)
CFLAGS_victims/libvictim.O0 := -O0
CFLAGS_victims/libvictim.O3 := -O3
CFLAGS_victims/libvictim.Os := -Os
CFLAGS_victims/libvictim.cet := -fcf-protection=full
CFLAGS_victims/libvictim.nop16 := -fpatchable-function-entry=16,14
CFLAGS_victims/libvictim.nop5 := -fpatchable-function-entry=5
CFLAGS_victims/libvictim.cet-nop16 := -fcf-protection=full -fpatchable-function-entry=16,14

# the same contexts, but the program's symbols do not tell
VARIANTS += victims/victim_coroutine.own
CFLAGS_victims/victim_coroutine.own := -DOWN_CONTEXTS

LDLIBS_victims/victim_wait := -lrt
LDLIBS_victims/victim_storm := -ldl

# same build-id, no symbols but the dynamic ones
$(B)/victims/libvictim.stripped.so: $(B)/victims/libvictim.so
	$(say) STRIP selftests/victims/libvictim.stripped.so
	$(Q)strip -o $@ $<

# a 32-bit program needs no 32-bit library if it is made of system calls
$(B)/victims/victim_32: $(S)/victims/victim_32.S
	$(say) CC selftests/victims/victim_32
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -nostdlib -static -no-pie -Wl,--build-id=sha1 -o $@ $<

all: $(B)/victims/libvictim.stripped.so $(B)/victims/victim_32
