// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What ulp-packer build understands of compiler calls, of preprocessed text, and of
 * the places where a #line directive can stand.
 */
#include <kselftest_harness.h>

#include "../../packer/packer.h"
#include "../../packer/build.h"

/* ---- calls ---- */

/* Words apart by "|": kind, output, inputs (sources with S, -x as LANGUAGE:), options. */
static const struct {
	const char *args, *shown;
} recorded[] = {
	{ "-c|a.c", "compile|-|S /d/a.c" },
	{ "-O2|-c|-o|a.o|a.c|-g", "compile|/d/a.o|S /d/a.c|-O2|-g" },
	{ "-c|a.c|-oout/a.o", "compile|/d/out/a.o|S /d/a.c" },
	{ "a.c|-c|b.cc|-O1", "compile|-|S /d/a.c|S /d/b.cc|-O1" },
	{ "-o|prog|a.c|b.o|-lm", "link|/d/prog|S /d/a.c|/d/b.o|-lm" },
	{ "a.c", "link|/d/a.out|S /d/a.c" },
	{ "-shared|-Wl,-soname,x|-o|/abs/lib.so|x.o|-L.|-lfoo|-l|bar",
	  "link|/abs/lib.so|/d/x.o|-L/d|-lfoo|-lbar|-shared" },
	{ "-E|a.c", "other|-|S /d/a.c" },
	{ "-S|a.c|-o|a.s", "other|/d/a.s|S /d/a.c" },
	{ "-M|a.c", "other|-|S /d/a.c" },
	{ "-MM|a.c", "other|-|S /d/a.c" },
	{ "-c|-E|a.c", "other|-|S /d/a.c" },
	{ "-fsyntax-only|-c|a.c", "other|-|S /d/a.c" },
	{ "--version", "other|-|--version" },
	{ "-v", "other|-|-v" },
	{ "-print-prog-name=ld", "other|-|-print-prog-name=ld" },
	{ "-xc|-c|-", "other|-|S c:/d/-" },
	/* files that are written beside the object */
	{ "-MMD|-MF|a.d|-MT|a.o|-MQ|x|-MP|-c|a.c", "compile|-|S /d/a.c" },
	{ "-MD|-MFa.d|-c|a.c", "compile|-|S /d/a.c" },
	{ "-Wp,-MD,.deps/a.pp|-c|a.c", "compile|-|S /d/a.c" },
	{ "-Wp,-D_FORTIFY_SOURCE=2|-c|a.c", "compile|-|S /d/a.c|-Wp,-D_FORTIFY_SOURCE=2" },
	{ "-save-temps=obj|-c|a.c|-save-temps|-dumpbase|x|-fdump-tree-all", "compile|-|S /d/a.c" },
	/* whose argument is the next word, and looks like something else */
	{ "-D|a.c|-U|b.c|-I|c.c|-include|d.h|-isystem|e.c|-c|f.c",
	  "compile|-|S /d/f.c|-D|a.c|-U|b.c|-I|c.c|-include|d.h|-isystem|e.c" },
	{ "-DNAME=a b|-Iinc dir|-c|my file.c", "compile|-|S /d/my file.c|-DNAME=a b|-Iinc dir" },
	{ "--param|max-inline-insns-single=10|-Xclang|-foo|-c|a.c",
	  "compile|-|S /d/a.c|--param|max-inline-insns-single=10|-Xclang|-foo" },
	{ "-undef|-ansi|-c|a.c", "compile|-|S /d/a.c|-undef|-ansi" },
	{ "-Xlinker|a.c|-z|now|-T|x.ld|-u|sym|-e|start|-o|p|a.o|-rdynamic|-s", "link|/d/p|/d/a.o" },
	/* languages */
	{ "-x|c++|-c|a.c|-x|none|b.c", "compile|-|S c++:/d/a.c|S /d/b.c" },
	{ "-xassembler-with-cpp|-c|a.inc", "compile|-|S assembler-with-cpp:/d/a.inc" },
	{ "-x|c-header|-c|all.h|-o|all.h.gch", "compile|/d/all.h.gch|c-header:/d/all.h" },
	{ "all.h|-o|all.h.gch", "link|/d/all.h.gch|/d/all.h" },
	{ "-c|a.S", "compile|-|S /d/a.S" },
	{ "-c|a.cpp|b.C|c.cxx|d.c++|e.s|f.i",
	  "compile|-|S /d/a.cpp|S /d/b.C|S /d/c.cxx|S /d/d.c++|S /d/e.s|S /d/f.i" },
	{ "-c|../x/./y/../a.c", "compile|-|S /x/a.c" },
	/* time of linking */
	{ "-flto|-c|a.c", "compile|-|lto -flto|S /d/a.c|-flto" },
	{ "-flto=auto|-ffat-lto-objects|-c|a.c",
	  "compile|-|lto -flto=auto|S /d/a.c|-flto=auto|-ffat-lto-objects" },
	{ "-shared|-Wl,-z,now,-Bsymbolic-functions|a.c|-o|a.so",
	  "link|/d/a.so|symbolic|S /d/a.c|-shared" },
	{ "-shared|-Xlinker|-Bsymbolic-functions|a.c|-o|a.so",
	  "link|/d/a.so|symbolic|S /d/a.c|-shared" },
	{ "-flto|-fno-lto|-c|a.c", "compile|-|S /d/a.c|-flto|-fno-lto" },
	/* cut off */
	{ "-c|a.c|-o", "compile|-|S /d/a.c" },
	{ "-c|a.c|-D", "compile|-|S /d/a.c|-D" },
};

static char **split(const char *text)
{
	char **words = NULL, *rest = xstrdup(text);
	size_t nr = 0;

	for (char *word; (word = strsep(&rest, "|"));)
		append(words, nr) = word;
	append(words, nr) = NULL;
	return words;
}

static char *show(const struct call *call)
{
	static const char *const kinds[] = { "other", "compile", "link" };
	char *text = xasprintf("%s|%s", kinds[call->kind], call->output ? call->output : "-");

	if (call->symbolic)
		text = xasprintf("%s|symbolic", text);
	if (call->lto)
		text = xasprintf("%s|lto %s", text, call->lto);
	for (size_t i = 0; i < call->nr_inputs; i++)
		text = xasprintf("%s|%s%s%s%s", text, call->inputs[i].source ? "S " : "",
				 call->inputs[i].language ? call->inputs[i].language : "",
				 call->inputs[i].language ? ":" : "", call->inputs[i].path);
	for (size_t i = 0; i < call->nr_options; i++)
		text = xasprintf("%s|%s", text, call->options[i]);
	return text;
}

TEST(calls)
{
	for (size_t i = 0; i < ARRAY_SIZE(recorded); i++) {
		struct call call = { .cwd = "/d" };

		call_parse(&call, split(recorded[i].args));
		EXPECT_STREQ(recorded[i].shown, show(&call)) {
			TH_LOG("%s", recorded[i].args);
		}
		EXPECT_EQ(NULL, call.options[call.nr_options]);
	}
}

TEST(paths)
{
	EXPECT_STREQ("/a/b", path_absolute("/a", "b"));
	EXPECT_STREQ("/b", path_absolute("/a", "/b"));
	EXPECT_STREQ("/a/b", path_absolute("/a/", "./b"));
	EXPECT_STREQ("/a/b/", path_absolute("/a", "x/..//b/"));
	EXPECT_STREQ("/b", path_absolute("/a", "../../../b"));
	EXPECT_STREQ("/a/..b/.c", path_absolute("/a", "..b/.c"));
	EXPECT_STREQ("/a", path_absolute("/a", "."));
}

/* ---- preprocessed text ---- */

static bool same_text(const char *a, const char *b)
{
	struct text texts[2];

	text_read(&texts[0], a, strlen(a), "/d");
	text_read(&texts[1], b, strlen(b), "/d");
	return !memcmp(texts[0].digest, texts[1].digest, sizeof(texts[0].digest));
}

TEST(text_that_is_the_same)
{
	EXPECT_TRUE(same_text("int a;\n", "\n\n  int a; \t\n"));
	EXPECT_TRUE(same_text("# 1 \"a.c\"\nint a;\n", "# 7 \"b.c\" 2\nint a;\n"));
	EXPECT_TRUE(same_text("int a;\nint b;\n", "int a;\n# 2 \"a.c\"\n\nint b;"));
}

TEST(text_that_differs)
{
	EXPECT_FALSE(same_text("int a;\n", "int b;\n"));
	EXPECT_FALSE(same_text("int a;\n", "int a;\nint b;\n"));
	EXPECT_FALSE(same_text("char *a = \"x y\";\n", "char *a = \"x  y\";\n"));
	EXPECT_FALSE(same_text("#pragma pack(1)\nint a;\n", "int a;\n"));
	EXPECT_FALSE(same_text("#pragma pack(1)\n", "#pragma pack(2)\n"));
	EXPECT_FALSE(same_text("f(R\"(a\n  b)\");\n", "f(R\"(a\nb)\");\n"));
	EXPECT_FALSE(same_text("f(R\"(a\n\nb)\");\n", "f(R\"(a\nb)\");\n"));
	EXPECT_FALSE(same_text("# 1 not a marker\n", "\n"));
}

TEST(text_files)
{
	static const char marked[] =
		"# 0 \"src/a.c\"\n# 0 \"<built-in>\"\n# 1 \"/usr/include/x.h\" 1 3 4\n"
		"# 5 \"parser.y\"\n# 1 \"src/with \\\"quote\\\" \\303\\244.h\" 1\n"
		"# 1 \"src/../b.h\" 1\n# 3 \"src/a.c\" 2\n# 1 \"/usr/include/x.h\" 1 3\nint a;\n"
		"# 1 \"cut";
	struct text text;

	text_read(&text, marked, strlen(marked), "/d");
	ASSERT_EQ(3, text.nr_files);
	EXPECT_STREQ("/usr/include/x.h", text.files[0]);
	EXPECT_STREQ("/d/src/with \"quote\" \xc3\xa4.h", text.files[1]);
	EXPECT_STREQ("/d/src/../b.h", text.files[2]);
}

/* ---- lines ---- */

/*
 * Lines of the fixed text, the new ones begun by "+"; "-" for each that it has lost.
 * With "@N " where a #line N is to come before it.
 */
static const char *const fixes[] = {
	/* nothing moves */
	"a;\n-\n+b;\nc;\n",
	/* more lines, fewer, and both */
	"a;\n+b;\n@2 c;\nd;\n",
	"a;\n-\n@3 b;\nc;\n",
	"a;\n+b;\n@2 c;\n-\n@4 d;\n",
	"a;\n+b;\n@2 c;\n-\n-\n@5 d;\n",
	"+a;\n@1 b;\n",
	"a;\n+b;\n",
	/* not within parentheses, comments, strings, directives */
	"f(a,\n+b,\nc,\nd);\n@4 e;\n",
	"/*\n+a\nb\n*/\n@4 c;\n",
	"a; /* (\n+b\n*/\n@3 c;\n",
	"a; // (\n+b;\n@2 c;\n",
	"a(\"(\");\n+b;\n@2 c;\n",
	"a('(', '\\'');\n+b;\n@2 c;\n",
	"a(\"\\\")\");\n+b;\n@2 c;\n",
	"a = 1'000'(0);\n+b;\n@2 c;\n",
	"a(R\"x(\n+b\n)\"\n)x\");\n@4 c;\n",
	"#define A \\\n+b \\\nc\n@3 d;\n",
	"#define A(\n+b;\n@2 c;\n",
	"a \\\n+b \\\nc;\n@3 d;\n",
	/* the branches of a condition begin alike */
	"#if A\nf(a\n#else\nf(b\n#endif\n);\n+c;\n@7 d;\n",
	/* a function ends whatever was miscounted before */
	"f((\n}\n+a;\n@3 b;\n",
	/* a directive in a branch that may not be taken is said again behind it */
	"#if A\n+a;\n@2 b;\n#endif\n@4 c;\nd;\n",
	"#if A\n+a;\n@2 b;\n#else\n@4 c;\n#endif\n@6 d;\ne;\n",
	"#if A\na;\n+b;\n@3 #if B\nc;\n#endif\nd;\n#endif\n@8 e;\nf;\n",
	/* lines that are numbered already */
	"#line 100\na;\n+b;\n@101 c;\n",
	"# 7 \"x.y\"\na;\n+b;\n@8 c;\n#line 50\nd;\ne;\n",
};

/* Takes a fix apart into what lines_keep() gets and what it must return. */
static void take_apart(const char *fix, char **original, char **fixed, char **hunks, char **want)
{
	unsigned int old = 1, new = 1, from = 1, to = 1;
	char *lines = xstrdup(fix);
	bool directive = false;

	*original = *fixed = *hunks = *want = xstrdup("");
	for (char *line; (line = strsep(&lines, "\n")) && lines;) {
		char *number = NULL;
		bool same = line[0] != '+' && strcmp(line, "-") != 0;

		if (line[0] == '@') {
			number = strsep(&line, " ") + 1;
			directive = true;
		}
		if (same && (old > from || new > to))
			*hunks = xasprintf("%s@@ -%u,%u +%u,%u @@\n", *hunks,
					   from - (old == from), old - from,
					   to - (new == to), new - to);
		if (number)
			*want = xasprintf("%s#line %s\n", *want, number);
		if (line[0] == '-') {
			*original = xasprintf("%sgone;\n", *original);
			old++;
			continue;
		}
		line += line[0] == '+';
		*fixed = xasprintf("%s%s\n", *fixed, line);
		*want = xasprintf("%s%s\n", *want, line);
		new++;
		if (!same)
			continue;
		*original = xasprintf("%s%s\n", *original, line);
		old++;
		from = old;
		to = new;
	}
	if (old > from || new > to)
		*hunks = xasprintf("%s@@ -%u,%u +%u,%u @@\n", *hunks, from - (old == from),
				   old - from, to - (new == to), new - to);
	if (!directive)
		*want = NULL;
}

TEST(lines)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixes); i++) {
		char *original, *fixed, *hunks, *want, *got;

		take_apart(fixes[i], &original, &fixed, &hunks, &want);
		got = lines_keep(original, fixed, hunks);
		EXPECT_STREQ(want ? want : "none", got ? got : "none") {
			TH_LOG("%s\n%s", fixes[i], hunks);
		}
	}
}

TEST_HARNESS_MAIN
