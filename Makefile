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

# Kernel headers: those of KVER, installed or brought by selftests/vm/fetch; else
# the running kernel's, else the newest that are installed.  Recursive on purpose:
# "make deps" or the fetch may just have brought them.
KDIRS	= $(if $(KVER),,$(wildcard /lib/modules/$(shell uname -r)/build/.config)) \
	  $(shell ls -1d /usr/src/linux-headers-$(or $(KVER),*)/.config \
		/lib/modules/$(or $(KVER),*)/build/.config 2>/dev/null | sort -rV) \
	  $(wildcard $(VMDIR)/headers-$(KVER)/usr/src/linux-headers-$(KVER)/.config \
		$(VMDIR)/$(KVER)/build/.config)
KDIR	?= $(patsubst %/.config,%,$(firstword $(KDIRS)))

# Variables of our command line are not those of the makefiles we call: kbuild
# would take O= for its own.
MAKEOVERRIDES :=
export TOP O VMDIR KVER CC CFLAGS LDFLAGS V VERSION LIBULP_LIBS

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

# ---- user space: programs and libraries add themselves to ALL ----

ALL :=
LIBULP_LIBS := -lnettle -lnl-genl-3 -lnl-3

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

.PHONY: all user
all: user kmod selftests
user: $(ALL)

# ---- kernel module, release and debug ----

# A kernel of a newer Debian than this one brings its compiler.
KROOT	= $(if $(wildcard $(VMDIR)/headers-$(KVER)/usr/bin/make),\
		$(TOP)/selftests/vm/build-root $(VMDIR)/headers-$(KVER))
# There the headers must have the place that they know themselves by: called by
# another one, kbuild builds in the headers' directory.
KDIR_IN	= $(if $(KROOT),$(patsubst $(VMDIR)/headers-$(KVER)/%,/%,$(KDIR)),$(KDIR))

# $(call kbuild,DIR,ARGUMENTS); kmod/Makefile keeps the products out of kmod/
kbuild = $(if $(KDIR),,$(error no kernel headers: install linux-headers-amd64, or say KDIR=)) \
	$(Q)O=$(O)/$(1) $(KROOT) $(MAKE) $(if $(V),,-s) --no-print-directory -C $(TOP)/kmod KDIR=$(KDIR_IN) \
		ULP_VERSION=$(VERSION) $(if $(V),V=$(V)) \
		$(if $(and $(wildcard $(KDIR)/vmlinux),$(shell command -v pahole)),,\
			CONFIG_DEBUG_INFO_BTF_MODULES=) $(2)

KMODS := $(if $(wildcard $(TOP)/kmod/Kbuild),kmod-release kmod-debug)
.PHONY: kmod kmod-release kmod-debug headers
kmod: $(KMODS)

headers: | deps-build
	$(if $(KVER),$(Q)$(TOP)/selftests/vm/fetch headers >/dev/null)

kmod-release: | headers
	$(say) KBUILD kmod
	+$(call kbuild,kmod)

kmod-debug: | headers
	$(say) KBUILD kmod-debug
	+$(call kbuild,kmod-debug,ULP_DEBUG=1)

# ---- tests ----

.PHONY: selftests check check-debug check-matrix check-unit bench demo demo-quick corpus vm
.PHONY: fuzz-ioctl soak
selftests: user | deps-build
	$(Q)$(MAKE) --no-print-directory -C $(TOP)/selftests all

check: all | deps-vm
	$(Q)$(TOP)/selftests/run $(TESTS)

# on the kernel that looks for bugs, which is slow: fewer rounds, longer limits
check-debug:
	+$(Q)SCALE=$(or $(SCALE),20) TIMES=$(or $(TIMES),5) MODULE='$(or $(MODULE),debug)' \
		TESTS='$(or $(TESTS),abi flow stress fuzz)' \
		$(MAKE) --no-print-directory check KVER=debug

check-matrix: user selftests | deps-vm
	+$(Q)$(TOP)/selftests/vm/matrix $(TESTS)

check-unit: all | deps-unit
	$(Q)$(TOP)/selftests/run --here $(or $(TESTS),unit)

demo: all | deps-vm
	$(Q)$(TOP)/selftests/demo/redis/run

demo-quick: all | deps-vm
	$(Q)$(TOP)/selftests/demo/run

# PACKAGES="..." of security updates, else those of selftests/corpus/list
corpus: all | deps-vm
	$(Q)$(TOP)/selftests/corpus/run $(PACKAGES)

bench: all | deps-vm
	$(Q)$(TOP)/selftests/bench/run

# TIME=seconds SEED= KVER=
fuzz-ioctl: all | deps-vm
	$(Q)TIME=$(TIME) SEED=$(SEED) $(TOP)/selftests/fuzz/run

soak: all | deps-vm
	$(Q)TIME=$(TIME) SEED=$(SEED) $(TOP)/selftests/soak/run

vm: all | deps-vm
	$(Q)$(TOP)/selftests/vm/run

lint: deps-lint kmod
	$(Q)$(TOP)/selftests/checks/lint

# ---- packages: installed by apt when missing, nothing else is touched ----

.PHONY: deps deps-build deps-unit deps-vm deps-lint lint
deps: deps-build deps-vm deps-lint
deps-build deps-unit deps-vm deps-lint:
	@KDIR='$(KDIR)' $(TOP)/.ci/deps $(@:deps-%=%)

# ---- installation ----

DKMS	= $(DESTDIR)$(SRCDIR)/ulp-$(VERSION)

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
	@for file in $(wildcard $(TOP)/ulp-tool/*.bash-completion); do \
		name=$$(basename $$file .bash-completion); set -x; \
		install -D -m 644 $$file \
			$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name || exit; \
	done
	install -d $(DKMS)/kmod $(DKMS)/uapi
	install -m 644 $(TOP)/kmod/Kbuild $(TOP)/kmod/Makefile $(TOP)/kmod/*.[ch] $(DKMS)/kmod
	install -m 644 $(TOP)/uapi/*.h $(DKMS)/uapi
	sed 's/@VERSION@/$(VERSION)/' $(TOP)/kmod/dkms.conf.in >$(DKMS)/dkms.conf

# signed only if this machine has the key; depmod is the package's job under DESTDIR
modules_install: kmod-release
	+$(call kbuild,kmod,$(if $(DESTDIR),INSTALL_MOD_PATH=$(abspath $(DESTDIR))) \
		$(if $(wildcard $(KDIR)/certs/signing_key.pem),,CONFIG_MODULE_SIG_ALL=) modules_install)
	$(if $(DESTDIR),,depmod $(shell cat $(KDIR)/include/config/kernel.release))

# ---- the rest ----

.PHONY: clean help
clean:
	find $(O) -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} +

help:
	@printf '%s\n' \
	'make                  build everything into $$(O)' \
	'make deps             install missing Debian packages (root); the others do it as needed' \
	'make check            all tests: unit tests here, the others in a VM' \
	'make check-debug      the same on a kernel with KASAN, lockdep and more (built once)' \
	'make check-matrix     the same on several kernels, 6.1 to 7.x, and a table' \
	'make check-unit       the tests that need neither root nor VM' \
	'make demo             Debian'\''s security update of redis as patches for the running server' \
	'make demo-quick       patch a running, unmodified python3 in the VM' \
	'make corpus           patches of many of Debian'\''s security updates, and a table' \
	'make bench            measure against a ptrace patcher in the VM' \
	'make fuzz-ioctl       ioctls at random on the worst of targets, for TIME= seconds' \
	'make soak             the whole stack under load for TIME= seconds; counts leaks' \
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
	'  KVER=RELEASE kernel to build for and to boot in the VM (debug: the one with checks)' \
	'  VMDIR=DIR    downloaded kernels ($$(O)/vm)' \
	'  TESTS="..."  tests to run: a ring (flow) or names (flow/basic.sh abi/test_sizes)' \
	'  PACKAGES="..." security updates for make corpus, else those of its list' \
	'  CC= CFLAGS= LDFLAGS= WERROR=1 PREFIX= DESTDIR=  as usual'

# for scripts: what this Makefile found out
print-%:
	@echo '$($*)'
