# SPDX-License-Identifier: LGPL-2.1-or-later
# static: started very often, and the emulated machine is slow at linking
LDLIBS_json_get := -static -ljson-c
