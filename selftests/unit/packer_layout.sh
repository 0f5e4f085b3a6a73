#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 120
#
# ulp-packer diff: types that change, when code that stays, or memory that is there,
# has the old ones.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/packer.lib"
. "$(dirname "$0")/diff.lib"

# A structure that a variable of the process has, or leads to.
test_variable() {
	objects x <<-END
	struct list { struct list *next; int key;
	#ifdef FIXED
		int flags;
	#endif
		long value; };
	struct list *head;
	int f(int x)
	{
		int n = 0;
		for (struct list *l = head; l; l = l->next)
	#ifdef FIXED
			n += l->key == x && !l->flags;
	#else
			n += l->key == x;
	#endif
		return n;
	}
	int g(struct list *l) { return l->key; }
	END
	target x
	refused_diff "layout of the type 'list' changed" "member 'flags' at byte 12 is new" \
		"the function 'g', which does not change, uses it" "--new-layout='list'"
	made --new-layout list
	says "warning: the layout of the type 'list' changed"
	replaces f
	# no function that stays
	sed -i '/^int g/d' "$WORK/x.src"
	cp "$WORK/x.src" "$WORK/x.c"
	objects x <"$WORK/x.c"
	target x
	refused_diff "layout of the type 'list' changed" "the variable 'head' has it, or leads to it"
}

# Moved, resized, another type; members of what has no name; bit fields.
test_what_changed() {
	local before after says
	while IFS='|' read -r before after says; do
		objects x <<-END
		struct s {
		#ifdef FIXED
			$after
		#else
			$before
		#endif
		};
		int g(struct s *s) { return sizeof(*s) > 1 ? 0 : s != 0; }
		int f(struct s *s)
		{
		#ifdef FIXED
			return g(s) + 1;
		#else
			return g(s);
		#endif
		}
		END
		target x
		if [ -n "$says" ]; then
			refused_diff "layout of the type 's' changed: $says" "'g', which does not change"
		else
			made
			replaces f
		fi
	done <<-'END'
	int a; int b;|int b; int a;|its member 'a' is at byte 4 instead of byte 0
	int a; int b;|int a; long b;|its member 'b' is at byte 8 instead of byte 4
	int a; int b;|int a; float b;|its member 'b' is 'float of 4 bytes' instead of 'integer of 4 bytes'
	int a; int b;|int a;|its member 'b' is gone
	char a; int b;|char a, c; int b;|its member 'c' at byte 1 is new
	char a[8];|char a[16];|its member 'a' is 'integer of 1 bytes[16]' instead of 'integer of 1 bytes[8]'
	struct { int x; } in; int b;|struct { int x, y; } in; int b;|its member 'b' is at byte 8 instead of byte 4
	union { int x; char c; }; int b;|union { int x; char c; long l; }; int b;|its member 'b' is at byte 8 instead of byte 4
	int a : 3; int b : 4;|int a : 4; int b : 4;|its member 'a' is '4 bits of
	int a : 3, b : 4, c : 1;|int a : 3, c : 1, b : 4;|its member 'b' is at bit 4 instead of bit 3
	int (*call)(int);|int (*call)(int, int);|its member 'call' is
	struct s *next;|struct other *next;|its member 'next' is 'struct other *' instead of 'struct s *'
	int a; int b;|int a; int b __attribute__((aligned(16)));|its member 'b' is at byte 16
	int a; int b;|int a; int c;|
	int a; int b;|unsigned int a; int b;|
	int a; const int b;|int a; volatile int b;|
	END
}

test_enumerations() {
	objects x <<-END
	#ifdef FIXED
	enum state { IDLE, WAITING, BUSY };
	#else
	enum state { IDLE, BUSY };
	#endif
	enum state state;
	int f(void) { return state == BUSY; }
	END
	target x
	refused_diff "layout of the type 'state' changed: 'BUSY' is 2 instead of 1" \
		"the variable 'state' has it"
	# one more at the end is no other layout
	objects x <<-END
	#ifdef FIXED
	enum state { IDLE, BUSY, WAITING };
	#else
	enum state { IDLE, BUSY };
	#endif
	enum state state;
	int f(void)
	{
	#ifdef FIXED
		if (state == WAITING)
			state = IDLE;
	#endif
		return state == BUSY;
	}
	END
	target x
	made
	replaces f
}

# Local to replaced functions, which hand it on to each other.
test_local() {
	objects x <<-END
	struct work { int a;
	#ifdef FIXED
		int more;
	#endif
		int b; };
	static __attribute__((noipa)) int sum(const struct work *work)
	{
	#ifdef FIXED
		return work->a + work->b + work->more;
	#else
		return work->a + work->b;
	#endif
	}
	extern void fill(int *a, int *b);
	int f(int x)
	{
		struct work work = { .a = x };
		fill(&work.a, &work.b);
	#ifdef FIXED
		fill(&work.more, &work.b);
	#endif
		return sum(&work);
	}
	END
	target x
	made
	replaces f sum
	# one of them is reached from elsewhere, too
	cat >>"$WORK/x.src" <<-END
	int (*sum_all)(const struct work *work) = sum;
	END
	cp "$WORK/x.src" "$WORK/x.c"
	objects x <"$WORK/x.c"
	target x
	refused_diff "layout of the type 'work' changed" "'sum' has it as argument or result, and 'sum_all', which does not change, points to it"
}

# Made on the heap, known by nothing but a pointer without type.
test_heap() {
	objects x <<-END
	#include <stdlib.h>
	struct item { int a;
	#ifdef FIXED
		int more;
	#endif
		int b; };
	void *f(int x)
	{
		struct item *item = calloc(1, sizeof(*item));
		item->b = x;
	#ifdef FIXED
		item->more = 1;
	#endif
		return item;
	}
	int g(void *p) { return ((struct item *)p)->b; }
	END
	target x
	refused_diff "layout of the type 'item' changed" "'item' of the function 'f' points to it"
}

# Only the name of it is known to a function that stays.
test_opaque() {
	objects x <<-END
	struct item;
	struct item *last;
	struct item *g(void) { return last; }
	#ifdef FIXED
	int f(struct item *x) { return x == last; }
	#else
	int f(struct item *x) { return x != last; }
	#endif
	END
	objects y <<-END
	struct item { int a;
	#ifdef FIXED
		int more;
	#endif
		int b; };
	int h(struct item *item) { return item->b; }
	END
	target x y
	pair x y
	differ 1 "${PAIRS[@]}"
	says "layout of the type 'item' changed" "'h' has it as argument or result, and it is exported"
}

test_cxx() {
	LANGUAGE=c++ CC=g++ objects x <<-END
	namespace deep {
	class base { int hidden;
	#ifdef FIXED
		int more;
	#endif
	public: int open; };
	class derived : public base { public: int own; };
	}
	int f(deep::derived &all) { return all.open; }
	int g(deep::derived *) { return 1; }
	END
	LANGUAGE=c++ CC=g++ target x
	refused_diff "layout of the type 'deep::base' changed: its member 'open' is at byte 8 instead of byte 4" \
		"the function '_Z1gPN4deep7derivedE', which does not change, uses it"
	LANGUAGE=c++ CC=g++ objects x <<-END
	template <typename T> struct holder { T value;
	#ifdef FIXED
		int more;
	#endif
	};
	static holder<long> all;
	long f(long x) { return all.value += x; }
	long g(int x)
	{
		holder<char> small = { 'a' };
		asm volatile("" : : "r" (&small) : "memory");
		return small.value + x;
	}
	END
	LANGUAGE=c++ CC=g++ target x
	refused_diff "'_ZL3all' has 16 bytes instead of 8"
}

# A class in which a function was added that replaces one of the base class.
test_virtual_table() {
	LANGUAGE=c++ CC=g++ objects x <<-END
	struct base { virtual int one(int x); virtual int two(int x); };
	struct derived : base { int one(int x) override;
	#ifdef FIXED
		int two(int x) override;
	#endif
	};
	int base::one(int x) { return x; }
	int base::two(int x) { return x + 1; }
	int derived::one(int x) { return x + 2; }
	#ifdef FIXED
	int derived::two(int x) { return x + 3; }
	#endif
	base *make() { return new derived; }
	END
	LANGUAGE=c++ CC=g++ target x
	refused_diff "virtual functions or bases of a class changed ('_ZTV7derived')" "objects that exist"
}

test_signatures() {
	# an exported function
	objects x <<-END
	#ifdef FIXED
	int f(int x, int y) { return x + y; }
	#else
	int f(int x) { return x + 1; }
	#endif
	END
	target x
	refused_diff "'f' is 'integer of 4 bytes (integer of 4 bytes, integer of 4 bytes)' instead of" \
		"it is exported, others may call it" "--new-layout='f'"
	made --new-layout f
	# all callers change with it
	objects x -fvisibility=hidden <<-END
	#ifdef FIXED
	__attribute__((noinline)) int inner(int x, int y) { return x * y; }
	__attribute__((visibility("default"))) int f(int x) { return inner(x, 1); }
	#else
	__attribute__((noinline)) int inner(int x) { return x * 2; }
	__attribute__((visibility("default"))) int f(int x) { return inner(x); }
	#endif
	END
	FLAGS=-fvisibility=hidden target x
	made
	replaces f inner
	# one does not, in a unit that is not given
	cat >"$WORK/y.c" <<-END
	int inner(int x);
	__attribute__((visibility("default"))) int g(int x) { return inner(x) + 5; }
	END
	$CC -O2 -fPIC -fvisibility=hidden -c -o "$WORK/y.o" "$WORK/y.c"
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/x.shipped.o" "$WORK/y.o"
	refused_diff "'inner' is 'integer of 4 bytes (integer of 4 bytes, integer of 4 bytes)'" \
		"in 'g', uses it as well"
	# the same where no unwind tables tell of it
	$CC -O2 -fPIC -fvisibility=hidden -fno-asynchronous-unwind-tables -c -o "$WORK/y.o" "$WORK/y.c"
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/x.shipped.o" "$WORK/y.o"
	refused_diff "in 'g', uses it as well"
	# the same behind bytes that are no instruction
	sed -i 's/{ return inner/{ __asm__ volatile ("jmp 1f\\n.byte 6\\n1:"); return inner/' "$WORK/y.c"
	$CC -O2 -fPIC -fvisibility=hidden -c -o "$WORK/y.o" "$WORK/y.c"
	$CC -shared -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/x.shipped.o" "$WORK/y.o"
	refused_diff "in 'g', uses it as well"
}

# A function of another library, which this patch leaves as it is.
test_signature_elsewhere() {
	objects x <<-END
	#ifdef FIXED
	int other(int x);
	int f(int x) { return other(x) ? -1 : x; }
	#else
	void other(int x);
	int f(int x) { other(x); return x; }
	#endif
	int g(int x) { other(x); return x + 1; }
	END
	target x
	refused_diff "'f' uses 'other' as 'integer of 4 bytes (integer of 4 bytes)' instead of 'void (" \
		"this patch does not change that function" "--new-layout='other'"
	made --new-layout other
	replaces f
	# no other one for whoever calls it
	objects x <<-END
	#ifdef FIXED
	int other(const char *x);
	int f(char *x) { return other(x) + 1; }
	#else
	int other(char *x);
	int f(char *x) { return other(x); }
	#endif
	END
	target x
	made
	replaces f
}

# Pointers to it, in a unit that is not given: position-dependent ones have no relocation.
test_signature_by_pointer() {
	local more
	cat >"$WORK/y.c" <<-END
	int inner(int x);
	int (*table[])(int) = { inner };
	int main(int argc, char **argv) { (void)argv; return table[argc - 1](argc); }
	END
	for more in "-fPIE -pie" "-fno-pie -no-pie"; do
		# shellcheck disable=SC2086
		{
			objects x -fno-PIC ${more% *} <<-END
			#ifdef FIXED
			int inner(int x, int y) { return x * y; }
			#else
			int inner(int x) { return x * 2; }
			#endif
			END
			FLAGS=${more% *} target x -nostdlib
			$CC -O2 $more -Wl,--build-id=sha1 -o "$WORK/target.so" "$WORK/y.c" "$WORK/x.shipped.o"
		}
		refused_diff "'inner' is" "points to it"
	done
}

test_variable_types() {
	objects x <<-END
	#ifdef FIXED
	static float rate;
	#else
	static int rate;
	#endif
	int f(int x) { rate += x; return rate * 2; }
	END
	target x
	refused_diff "the variable 'rate' is 'float of 4 bytes' instead of 'integer of 4 bytes'"
	made --new-layout rate
}

# Functions have variables of the same name: each is compared with its own.
test_same_named_variables() {
	objects x <<-END
	#ifdef FIXED
	#define MORE + 1
	#else
	#define MORE
	#endif
	int f(int x) { static int state; state += x; return state * 2 MORE; }
	long g(long x) { static long state; state += x; return state * 3 MORE; }
	int h(int x)
	{
		{ static int state; state += x; x += state; }
		{ static float state; state += x; x += state MORE; }
		return x;
	}
	END
	target x
	made
	replaces f g h
	objects x <<-END
	#ifdef FIXED
	#define TYPE int
	#else
	#define TYPE float
	#endif
	int f(int x) { static int state; state += x; return state * 2; }
	int g(int x) { static TYPE state; state += x; return state * 3; }
	END
	target x
	refused_diff "the variable 'state' is 'integer of 4 bytes' instead of 'float of 4 bytes'"
}

# What is told of types is not told without debug information, and that is said.
test_without() {
	objects x -g0 <<-END
	struct s {
	#ifdef FIXED
		int more;
	#endif
		int a;
	};
	int g(struct s *s) { return s != 0; }
	int f(struct s *s) { return s->a; }
	END
	target x
	made
	says "warning: $WORK/x.fixed.o: no debug information" "compile both versions with -g"
	# of all kinds
	for flags in -gdwarf-4 -gdwarf-5 -gz "-gdwarf-2 -gstrict-dwarf"; do
		cp "$WORK/x.src" "$WORK/x.c"
		# shellcheck disable=SC2086
		objects x $flags <"$WORK/x.c"
		refused_diff "layout of the type 's' changed"
	done
}

# Types in sections or files of their own are not passed by.
test_types_elsewhere() {
	local flags
	for flags in "-gdwarf-4 -fdebug-types-section" "-gdwarf-5 -fdebug-types-section" \
		     "-gdwarf-4 -gsplit-dwarf" "-gdwarf-5 -gsplit-dwarf"; do
		# shellcheck disable=SC2086
		objects x $flags <<-END
		struct inner { int a;
		#ifdef FIXED
			int more;
		#endif
		};
		struct s { int first; struct inner in; long last; };
		int g(struct s *s) { return s->last != 0; }
		int f(struct s *s) { return s->in.a; }
		int h(int x) { return x
		#ifdef FIXED
			+ 1
		#endif
			; }
		END
		target x
		refused_diff "the types of its debug information are in other places (${flags#* })" \
			"compile both versions with -fno-debug-types-section -gno-split-dwarf"
	done
	# lines only: as without
	cp "$WORK/x.src" "$WORK/x.c"
	objects x -g1 <"$WORK/x.c"
	target x
	made
	says "warning: $WORK/x.fixed.o: no debug information"
}

# Damaged debug information: an error or not, but never a crash.
test_damaged() {
	local n status at size
	objects x <<-END
	struct s { struct s *next; int (*call)(struct s *, int); struct { int a, b; } in[3];
	#ifdef FIXED
		int more;
	#endif
	};
	int g(struct s *s) { return s->in[1].a; }
	int f(struct s *s) { return s->in[2].b; }
	END
	target x
	read -r at size < <(readelf -SW "$WORK/x.fixed.o" |
		awk '{ sub(/^ *\[ *[0-9]+\] /, "") } $1 == ".debug_info" { print $4, $5 }')
	at=$((16#$at)) size=$((16#$size))
	for ((n = 0; n < 120; n++)); do
		cp "$WORK/x.fixed.o" "$WORK/bad.o"
		printf "\\x$(printf %x $((n * 37 % 256)))" |
			dd of="$WORK/bad.o" conv=notrunc bs=1 status=none seek=$((at + n * size / 120))
		timeout "$LIMIT" "$ULP_PACKER" diff -q -t "$WORK/target.so" -o "$WORK/patch.so" \
			--orig "$WORK/x.o" --patched "$WORK/bad.o" >"$WORK/out" 2>"$WORK/err"
		status=$?
		[ "$status" -le 3 ] || fail "byte $n: status $status: $(head -c 1000 "$WORK/err")"
	done
}

run_tests test_variable test_what_changed test_enumerations test_local test_heap test_opaque \
	test_cxx test_virtual_table test_signatures test_signature_elsewhere test_signature_by_pointer \
	test_variable_types test_same_named_variables test_without test_types_elsewhere test_damaged
