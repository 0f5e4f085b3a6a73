# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The only front door: "make help" says what there is.  The parts are in
# */*.mk (user space), kmod/Kbuild and selftests/Makefile.  All products go to
# $(O); the source directories stay clean.

VERSION	:= 0.1.0

TOP	:= $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
O	?= build
override O := $(abspath $(O))
VMDIR	?= $(O)/vm
PREFIX	?= /usr/local
SRCDIR	?= $(if $(filter /usr /usr/local,$(PREFIX)),/usr,$(PREFIX))/src

CC	?= gcc
CFLAGS	?= -O2 -g -fstack-protector-strong
WARN	:= -Wall -Wextra -Wshadow -Wmissing-prototypes -Wno-unused-parameter \
	   $(if $(WERROR),-Werror)
BASE	:= -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DULP_VERSION='"$(VERSION)"' \
	   -I$(TOP)/uapi -I$(TOP)/libulp $(WARN) -fPIC -pthread -MMD -MP

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

# Kernel headers: the running kernel's, else the newest that are installed.
# Recursive on purpose: "make deps" may just have brought them.
KDIRS	= $(if $(KVER),,$(wildcard /lib/modules/$(shell uname -r)/build/.config)) \
	  $(shell ls -1d /usr/src/linux-headers-$(or $(KVER),*)/.config \
		/lib/modules/$(or $(KVER),*)/build/.config 2>/dev/null | sort -rV)
KDIR	?= $(patsubst %/.config,%,$(firstword $(KDIRS)))

# Variables of our command line are not those of the makefiles we call: kbuild
# would take O= for its own.
MAKEOVERRIDES :=
export TOP O VMDIR KVER CC CFLAGS LDFLAGS V VERSION

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

# ---- user space: programs and libraries add themselves to ALL ----

ALL :=
LIBULP_LIBS := -ldw -lelf -lmd

# $(call objects,DIR): what the C files of a component become
objects = $(patsubst $(TOP)/%.c,$(O)/%.o,$(wildcard $(TOP)/$(1)/*.c))

include $(wildcard $(addprefix $(TOP)/,libulp/libulp.mk ulp-tool/ulp-tool.mk packer/packer.mk \
	preload/preload.mk))

# Other flags than last time: compile all again.
FLAGS := $(CC) $(BASE) $(CFLAGS)
ifneq ($(file <$(O)/.flags),$(FLAGS))
$(shell mkdir -p $(O))
$(file >$(O)/.flags,$(FLAGS))
endif

$(O)/%.o: $(TOP)/%.c $(O)/.flags | deps-build
	$(say) CC $*.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) -fvisibility=hidden $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

-include $(wildcard $(O)/libulp/*.d $(O)/ulp-tool/*.d $(O)/packer/*.d $(O)/preload/*.d)

.PHONY: all
all: $(ALL) kmod selftests

# ---- kernel module, release and debug ----
#
# kbuild leaves its products beside the sources, so it is given a directory of
# links to them; uapi is where "../uapi/ulp.h" says.

KMOD_SOURCES = $(shell cd $(TOP) && find kmod -type f)

$(O)/uapi:
	@mkdir -p $(O)
	@ln -sfn $(TOP)/uapi $@

# $(call kbuild,DIR,ARGUMENTS)
define kbuild
	$(if $(KDIR),,$(error no kernel headers: install linux-headers-amd64, or say KDIR=))
	@mkdir -p $(sort $(dir $(KMOD_SOURCES:kmod/%=$(1)/%)))
	@find $(1) -type l ! -exec test -e {} \; -delete
	@$(foreach file,$(KMOD_SOURCES:kmod/%=%),ln -sfn $(TOP)/kmod/$(file) $(1)/$(file);)
	$(Q)$(MAKE) --no-print-directory -C $(KDIR) M=$(1) $(if $(V),V=$(V)) $(2)
endef

KMODS := $(if $(wildcard $(TOP)/kmod/Kbuild),kmod-release kmod-debug)
.PHONY: kmod kmod-release kmod-debug
kmod: $(KMODS)

kmod-release: $(O)/uapi | deps-build
	$(say) KBUILD kmod
	$(call kbuild,$(O)/kmod,modules)

kmod-debug: $(O)/uapi | deps-build
	$(say) KBUILD kmod-debug
	$(call kbuild,$(O)/kmod-debug,CONFIG_ULP_DEBUG=y modules)

# ---- tests ----

.PHONY: selftests check check-unit bench demo vm
selftests: $(LIBULP) $(PACKER_LIB) | deps-build
	$(Q)$(MAKE) --no-print-directory -C $(TOP)/selftests all

check: all | deps-vm
	$(Q)$(TOP)/selftests/run $(TESTS)

check-unit: $(ALL) selftests
	$(Q)$(TOP)/selftests/run --here $(or $(TESTS),unit)

demo: all | deps-vm
	$(Q)$(TOP)/selftests/demo/run

bench: all | deps-vm
	$(Q)$(TOP)/selftests/bench/run

vm: all | deps-vm
	$(Q)$(TOP)/selftests/vm/run

lint: deps-lint kmod
	$(Q)$(TOP)/selftests/checks/lint

# ---- packages: installed by apt when missing, nothing else is touched ----

.PHONY: deps deps-build deps-vm deps-lint lint
deps: deps-build deps-vm deps-lint
deps-build deps-vm deps-lint:
	@KDIR='$(KDIR)' $(TOP)/.ci/deps $(@:deps-%=%)

# ---- installation ----

.PHONY: install modules_install
install: $(ALL)
	install -d $(DESTDIR)$(PREFIX)/include/ulp
	install -m 644 $(TOP)/libulp/libulp.h $(TOP)/uapi/*.h $(DESTDIR)$(PREFIX)/include/ulp
	@for page in $(wildcard $(TOP)/Documentation/man/*.[1-8]); do \
		section=$${page##*.}; set -x; \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$$section $$page || exit; \
	done
	install -D -m 644 $(TOP)/kmod/60-ulp.rules \
		$(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-ulp.rules
	@set -x; for file in $(KMOD_SOURCES) uapi/ulp.h; do \
		install -D -m 644 $(TOP)/$$file $(DESTDIR)$(SRCDIR)/ulp-$(VERSION)/$$file || exit; \
	done
	sed 's/@VERSION@/$(VERSION)/' $(TOP)/kmod/dkms.conf.in \
		>$(DESTDIR)$(SRCDIR)/ulp-$(VERSION)/dkms.conf

modules_install: kmod-release
	$(Q)$(MAKE) --no-print-directory -C $(KDIR) M=$(O)/kmod \
		$(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) modules_install

# ---- the rest ----

.PHONY: clean help
clean:
	find $(O) -mindepth 1 -maxdepth 1 ! -name vm ! -name ksrc -exec rm -rf {} +

help:
	@printf '%s\n' \
	'make                  build everything into $$(O)' \
	'make deps             install missing Debian packages (root); the others do it as needed' \
	'make check            all tests: unit tests here, the others in a VM' \
	'make check-unit       the tests that need neither root nor VM' \
	'make demo             patch a running, unmodified python3 in the VM' \
	'make bench            measure against a ptrace patcher in the VM' \
	'make vm               a root shell in the VM (leave it with "exit")' \
	'make lint             sparse, W=1, checkpatch, cppcheck, clang-tidy, shellcheck, our rules' \
	'make install          user space, headers, man pages, module source for DKMS' \
	'make modules_install  the module, for the kernel of KDIR' \
	'make clean            remove products; downloads in $$(VMDIR) stay' \
	'' \
	'Variables:' \
	'  O=DIR        where products go (build)' \
	'  V=1          show commands' \
	'  KDIR=DIR     kernel headers (the running kernel'\''s, else the newest installed)' \
	'  KVER=RELEASE kernel to build for and to boot in the VM' \
	'  VMDIR=DIR    downloaded kernels ($$(O)/vm)' \
	'  TESTS="..."  tests to run: a ring (flow) or names (flow/basic.sh abi/test_sizes)' \
	'  CC= CFLAGS= LDFLAGS= WERROR=1 PREFIX= DESTDIR=  as usual'
