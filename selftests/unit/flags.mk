# SPDX-License-Identifier: LGPL-2.1-or-later
# Victims of the unit tests, in several builds.  Their code must be what the
# compiler makes of it: no sanitizers, which bring TLS and interposers.

UNIT_RAW := libasker libplain libpre libver libplug libplugdep patch_symbols patch_symbols.relr \
	patch_tls patch_tls.ie patch_tls.desc peer peer.nopie peer.now \
	patch_odd $(addprefix patch_odd.,missing newtls ifunc oldver unused_call unused_address \
		plug plug_tls plug_ie)
VARIANTS += $(addprefix unit/,$(foreach name,$(UNIT_RAW),$(if $(findstring .,$(name)),$(name))))
UNIT_LIBS := -L$(O)/selftests/unit -lplain -lver

$(foreach name,$(UNIT_RAW),$(eval CFLAGS_unit/$(name) := -fno-sanitize=all))
CFLAGS_unit/peer		+= -Wl,-z,lazy
CFLAGS_unit/peer.nopie		+= -no-pie -fno-pie -Wl,-z,lazy
CFLAGS_unit/peer.now		+= -Wl,-z,now
CFLAGS_unit/patch_tls.ie	+= -ftls-model=initial-exec
CFLAGS_unit/patch_tls.desc	+= -mtls-dialect=gnu2
CFLAGS_unit/patch_odd.missing	+= -DODD_MISSING
CFLAGS_unit/patch_odd.newtls	+= -DODD_NEW_TLS
CFLAGS_unit/patch_odd.ifunc	+= -DODD_IFUNC
CFLAGS_unit/patch_odd.oldver	+= -DODD_OLD_VERSION
CFLAGS_unit/patch_odd.unused_call += -DODD_UNUSED_CALL
CFLAGS_unit/patch_odd.unused_address += -DODD_UNUSED_ADDRESS
CFLAGS_unit/patch_odd.plug	+= -DODD_PLUG
CFLAGS_unit/patch_odd.plug_tls	+= -DODD_PLUG_TLS
CFLAGS_unit/patch_odd.plug_ie	+= -DODD_PLUG_TLS -ftls-model=initial-exec
LDLIBS_unit/patch_symbols.relr	:= -Wl,-z,pack-relative-relocs
LDLIBS_unit/patch_odd.oldver	:= $(UNIT_LIBS)

# the harness compares whatever it is given
CFLAGS_unit/test_symbol		:= -Wno-sign-compare
CFLAGS_unit/test_target		:= -Wno-sign-compare
CFLAGS_unit/test_relocate	:= -Wno-sign-compare

CFLAGS_unit/libver		+= -Wl,--version-script=$(S)/unit/libver.map
LDLIBS_unit/libasker		:= $(UNIT_LIBS)
LDLIBS_unit/libplain		:= -L$(O)/selftests/unit -lver
LDLIBS_unit/libplug		:= -L$(O)/selftests/unit -lplugdep
$(B)/unit/libplain.so: $(B)/unit/libver.so
$(B)/unit/libasker.so $(B)/unit/patch_odd.oldver.so: $(B)/unit/libplain.so $(B)/unit/libver.so
$(B)/unit/libplug.so: $(B)/unit/libplugdep.so

# without the libraries of this directory
STATIC_peer_static := -static
STATIC_peer_static_pie := -static-pie
PEER_STATIC := $(addprefix $(B)/unit/,peer_static peer_static_pie)
$(PEER_STATIC): $(B)/unit/%: $(S)/unit/peer.c
	$(say) CC selftests/unit/$*
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -DPEER_STATIC $(STATIC_$*) -o $@ $<

all: $(PEER_STATIC)

# Containers to be damaged, read by libulp's own sources under the sanitizers.
CFLAGS_unit/patch_tiny := -fno-sanitize=all -fno-stack-protector -nostdlib -g0 -s \
	-Wl,-z,noseparate-code -Wl,--build-id=none
PACK += tiny:unit/tiny:unit/patch_tiny:victims/libvictim.nop16.so
CFLAGS_unit/test_container := -fsanitize=address,undefined -fno-sanitize-recover=all \
	$(addprefix $(TOP)/libulp/,$(addsuffix .c,container container_elf container_tables \
		container_check container_view \
		patch util error context sys))
$(B)/unit/test_container: $(B)/packed/tiny.so
STUB_BUILDS := $(addprefix .,O0 O3 Os cet nop16 nop5 cet-nop16)
$(B)/unit/test_stub: $(foreach name,universe zlib outer $(STUB_BUILDS:%=outer%),$(B)/packed/$(name).so)
LDLIBS_unit/test_stub := -ldl
CFLAGS_unit/test_stub := -Wno-sign-compare
LDLIBS_unit/container_show := $(O)/libulp/libulp.a $(LIBULP_LIBS)
$(B)/unit/container_show: $(wildcard $(O)/libulp/libulp.a)
