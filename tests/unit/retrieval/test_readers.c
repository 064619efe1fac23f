/* Readers: bytes to text and locators. */
#include "tests/unit/retrieval/reading.h"

/* ------------------------------------------------------------------ helpers */

/* Without a reader its tests are left out of the list below. */
#if !defined(SATCHEL_HAVE_HTML) || !defined(SATCHEL_HAVE_MARKDOWN)
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

static void expect_read(satchel_context *context, const char *type, const char *source,
                        const char *text) {
    sat_document document = read_bytes(context, NULL, type, NULL, source, strlen(source));
    check_document(&document);
    expect_text(&document, text);
    sat_document_free(&document);
}

#define html(source, text) expect_read(*state, "text/html", source, text)
#define markdown(source, text) expect_read(*state, "text/markdown", source, text)

/* "1:Title 2:Part …" of the headings, each at the place where its label stands in the text. */
static void expect_headings(satchel_context *context, const char *type, const char *source,
                            const char *headings) {
    char have[1024] = "";
    sat_document document = read_bytes(context, NULL, type, NULL, source, strlen(source));
    check_document(&document);
    for (size_t i = 0; i < document.locator_count; i++) {
        const satchel_locator *locator = &document.locators[i];
        assert_int_equal(locator->kind, SATCHEL_LOCATOR_HEADING);
        assert_memory_equal(document.text.data + locator->start, locator->label,
                            strlen(locator->label));
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%d:%s", i ? " " : "",
                 (int)locator->number, locator->label);
    }
    assert_string_equal(have, headings);
    sat_document_free(&document);
}

static void expect_title(satchel_context *context, const char *type, const char *source,
                         const char *title) {
    sat_document document = read_bytes(context, NULL, type, NULL, source, strlen(source));
    assert_string_equal(document.title.length ? document.title.data : "", title);
    sat_document_free(&document);
}

static void expect_refused(satchel_context *context, const char *type, const char *name,
                           const void *data, size_t length, const char *says) {
    sat_document document;
    satchel_error error = {0};
    sat_document_init(&document, &context->memory);
    assert_int_equal(sat_document_read(&document, context, NULL, type, name, data, length, &error),
                     SATCHEL_UNSUPPORTED);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not name %s", error.message, says);
    sat_document_free(&document);
}

/* ------------------------------------------------------------------ plain text */

static void utf8_text_is_kept_verbatim(void **state) {
    static const char text[] = "  One\r\n\r\nzwei \xC3\xBC\tdrei\n\n\n";
    sat_document document = read_bytes(*state, NULL, NULL, "a.txt", text, strlen(text));
    expect_text(&document, text);
    assert_int_equal(document.source_start, 0);
    assert_string_equal(document.media_type, "text/plain");
    assert_int_equal(document.title.length, 0);
    sat_document_free(&document);
}

static void a_byte_order_mark_is_passed_over(void **state) {
    sat_document document = read_bytes(*state, NULL, NULL, "a.txt", "\xEF\xBB\xBFx y", 6);
    expect_text(&document, "x y");
    assert_int_equal(document.source_start, 3);
    sat_document_free(&document);
}

static void other_encodings_are_decoded(void **state) {
    sat_document document =
        read_bytes(*state, NULL, NULL, "a.txt", "\xFF\xFEH\0i\0 \0\x2D\x4E", 10);
    expect_text(&document, "Hi \xE4\xB8\xAD");
    assert_int_equal(document.source_start, -1);
    sat_document_free(&document);
    document = read_bytes(*state, NULL, NULL, "a.txt", "H\0e\0l\0l\0o\0 \0w\0o\0r\0l\0d\0", 22);
    expect_text(&document, "Hello world");
    sat_document_free(&document);
    document = read_bytes(*state, NULL, "text/plain", NULL, "caf\xE9 \x80", 6);
    expect_text(&document, "caf\xC3\xA9 \xE2\x82\xAC");
    assert_int_equal(document.source_start, -1);
    sat_document_free(&document);
}

static void nul_characters_in_text_are_kept(void **state) {
    char log[2000];
    memset(log, 'x', sizeof log);
    log[700] = log[701] = '\0';
    sat_document document = read_bytes(*state, NULL, NULL, "server.log", log, sizeof log);
    assert_int_equal(document.text.length, sizeof log);
    assert_memory_equal(document.text.data, log, sizeof log);
    assert_int_equal(document.source_start, 0);
    sat_document_free(&document);
    document = read_bytes(*state, NULL, "text/plain", NULL, "\0\0a", 3);
    assert_int_equal(document.text.length, 3);
    sat_document_free(&document);
}

static void an_empty_file_is_an_empty_document(void **state) {
    static const char *const names[] = {
        "a.txt",
        "a",
#ifdef SATCHEL_HAVE_MARKDOWN
        "a.md",
#endif
#ifdef SATCHEL_HAVE_HTML
        "a.html",
#endif
    };
    for (size_t i = 0; i < SAT_COUNT(names); i++) {
        sat_document document = read_bytes(*state, NULL, NULL, names[i], "", 0);
        check_document(&document);
        assert_int_equal(document.text.length, 0);
        assert_int_equal(document.locator_count, 0);
        sat_document_free(&document);
    }
}

static void binary_files_are_refused_by_name_of_their_type(void **state) {
    expect_refused(*state, NULL, "a", "%PDF-1.7\nobj", 12, "application/pdf");
    expect_refused(*state, NULL, "a.pdf", "%PDF-1.7\n\xE2\xE3", 11, "application/pdf");
    expect_refused(*state, NULL, "a.txt", "PK\3\4\0\0\0\0\xFF\xFE", 10, "application/zip");
    expect_refused(*state, NULL, "a.md", "\x89PNG\r\n\x1A\n\0\0\0\r", 12, "image/png");
    expect_refused(*state, NULL, "a.html",
                   "\x7F"
                   "ELF\2\1\1\0\0\0",
                   10, "application/x-elf");
    expect_refused(*state, "text/plain", NULL, "\x1F\x8B\x08\0\0\xFF\xEE", 7, "application/gzip");
    uint64_t seed = 7;
    char noise[4096];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)test_random(&seed);
    expect_refused(*state, NULL, "noise", noise, sizeof noise, "application/octet-stream");
    expect_refused(*state, "image/png", NULL, "text", 4, "image/png");
}

static void text_that_begins_like_a_format_is_text(void **state) {
    static const char *const texts[] = {
        "PKZIP was an archiver.", "MZ is a ministry.", "RIFF raff", "BZh!", "ID3 tags",
        "GIF89a is a format"};
    for (size_t i = 0; i < SAT_COUNT(texts); i++) {
        sat_document document = read_bytes(*state, NULL, NULL, "a", texts[i], strlen(texts[i]));
        expect_text(&document, texts[i]);
        sat_document_free(&document);
    }
    /* Whoever says that it is text is believed, if it can be. */
    sat_document document = read_bytes(*state, NULL, "text/plain", NULL, "%PDF-1.4", 8);
    expect_text(&document, "%PDF-1.4");
    sat_document_free(&document);
}

/* A build without a reader says which, and takes the rest. */
static void missing_readers_are_named(void **state) {
#ifndef SATCHEL_HAVE_MARKDOWN
    expect_refused(*state, NULL, "a.md", "# x", 3, "Markdown");
#endif
#ifndef SATCHEL_HAVE_HTML
    expect_refused(*state, NULL, "a.html", "<p>x", 4, "HTML");
#endif
    sat_document document = read_bytes(*state, NULL, NULL, "a.txt", "x", 1);
    expect_text(&document, "x");
    sat_document_free(&document);
}

/* ------------------------------------------------------------------ Markdown */

static void markdown_becomes_paragraphs(void **state) {
    markdown("One\ntwo  \nthree\n\n\n*Four* **five** `six` ~~seven~~ [eight](http://x \"t\").\n",
             "One two\nthree\n\nFour five six seven eight.");
    markdown("![a *cat*](cat.png) sat <https://example.com>\n", "a cat sat https://example.com");
    markdown("> quoted\n> more\n\n***\n\nend", "quoted more\n\nend");
    markdown("\xE4\xB8\xAD\xE6\x96\x87\n\xE6\x8D\xA2\xE8\xA1\x8C",
             "\xE4\xB8\xAD\xE6\x96\x87\xE6\x8D\xA2\xE8\xA1\x8C"); /* no space where a line wraps */
}

static void markdown_lists_keep_their_marks(void **state) {
    markdown("intro\n\n- one\n- two\n  - deep\n- [ ] to do\n- [x] done\n\n3. three\n4. four\n\nend",
             "intro\n\n- one\n- two\n- deep\n- [ ] to do\n- [x] done\n\n3. three\n4. four\n\nend");
    markdown("- a\n\n  b\n- c\n", "- a\n\nb\n\n- c"); /* items of paragraphs */
}

static void markdown_code_is_verbatim(void **state) {
    markdown(
        "Do:\n\n```c\nint main(void) {\n    return  0; /* *not* emphasis */\n\n}\n```\n\nDone.",
        "Do:\n\nint main(void) {\n    return  0; /* *not* emphasis */\n\n}\n\nDone.");
    markdown("x\n\n    indented  code\n\ny", "x\n\nindented  code\n\ny");
}

static void markdown_tables_become_rows(void **state) {
    markdown("| Name | Size |\n|------|-----:|\n| *a* | 1 |\n| b | 2 |\n\nend",
             "Name | Size\na | 1\nb | 2\n\nend");
}

static void markdown_entities_and_html_are_read(void **state) {
    markdown("AT&amp;T &copy; &#8212; &#x4E2D; &frac12; &nosuch; &\n",
             "AT&T \xC2\xA9 \xE2\x80\x94 \xE4\xB8\xAD \xC2\xBD &nosuch; &");
    markdown("a <b>bold</b><br>line <img alt=\"pic\" src=x> <!-- no -->end\n",
             "a bold\nline pic end");
    markdown("<div>\n<p>One &lt; two</p>\n<script>if (a<b) x();</script>\n</div>\n\n*end*\n",
             "One < two\n\nend");
    markdown("<details>\n<summary>More</summary>\n\ninner **text**\n\n</details>\n",
             "More\n\ninner text");
}

static void markdown_headings_have_locators(void **state) {
    expect_headings(*state, "text/markdown",
                    "Guide\n=====\n\nx\n\n## Set *up* `it` #\n\ny\n\nSub\n---\n\n###### Six\n#no\n",
                    "1:Guide 2:Set up it 2:Sub 6:Six");
    markdown("# A\ntext\n## B\nmore\n", "A\n\ntext\n\nB\n\nmore");
    expect_headings(*state, "text/markdown", "#\n\n# \n\n##\n", ""); /* nothing to name */
}

static void markdown_title_is_the_first_great_heading(void **state) {
    expect_title(*state, "text/markdown", "## Small\n\n# The *Title*\n\n# Other\n", "The Title");
    expect_title(*state, "text/markdown", "## Only small\n", "");
}

static void front_matter_is_no_text(void **state) {
    static const char text[] = "---\ntitle: \"My: notes\"\ntags: [a, b]\n---\n# Heading\n\nBody\n";
    expect_title(*state, "text/markdown", text, "My: notes");
    markdown(text, "Heading\n\nBody");
    markdown("---\nauthor: x\n...\nBody\n", "Body");
    expect_title(*state, "text/markdown", "---\ntitle: Plain title\r\n---\n\nx", "Plain title");
    markdown("---\na: b\n", "a: b"); /* never closed: a rule, and text */
    markdown("---\n\njust a rule\n\n---\n", "just a rule");
    markdown("text\n\n---\na: b\n---\n", "text\n\na: b"); /* not at the beginning */
}

static void deep_markdown_is_read_as_text(void **state) {
    char *deep = malloc(60000);
    size_t at = 0;
    while (at < 30000)
        at += (size_t)sprintf(deep + at, "> ");
    strcpy(deep + at, "end");
    expect_read(*state, "text/markdown", deep, deep);
    /* A link address of great length, used many times over. */
    at = (size_t)sprintf(deep, "[a]: ");
    memset(deep + at, 'x', 20000);
    at += 20000;
    at += (size_t)sprintf(deep + at, "\n\n");
    while (at < 50000)
        at += (size_t)sprintf(deep + at, "[a] ");
    sat_document document = read_bytes(*state, NULL, "text/markdown", NULL, deep, at);
    assert_int_equal(document.text.length, at);
    assert_int_equal(document.source_start, 0);
    sat_document_free(&document);
    free(deep);
}

/* ------------------------------------------------------------------ HTML */

static void html_becomes_paragraphs(void **state) {
    html("<!DOCTYPE html><html><head><title>T</title><style>p{}</style><script>x<y</script></head>"
         "<body><p>One\n  two <b>three</b>four<p>Five</p><div>six<div>seven</div></div>eight",
         "One two threefour\n\nFive\n\nsix\n\nseven\n\neight");
    html("a<br>b<br/><br>c<hr>d", "a\nb\n\nc\n\nd");
    html("x<wbr>y a\xC2\xA0"
         "b &nbsp;c",
         "xy a\xC2\xA0"
         "b \xC2\xA0"
         "c");
    html("<a href=1>Home</a><a href=2>About</a>", "Home About");
}

static void html_lists_and_tables_become_lines(void **state) {
    html("<ul><li>one<li>two<ol start=7><li>a</li><li><p>b</p></li></ol><li></ul>end",
         "- one\n- two\n7. a\n8. b\n\nend");
    html("<table><caption>Cap</caption><thead><tr><th>A<th>B</thead><tr><td>1</td><td><p>2</p></"
         "td></tr>"
         "<tr><td><td>x</table>z",
         "Cap\nA | B\n1 | 2\nx\n\nz");
    html("<table><tr><td><p>Long</p><p>text</p></td><td>side</td></tr></table>",
         "Long\n\ntext\n\nside"); /* a layout, not a table */
    html("<dl><dt>Term<dd>Meaning<dt>Other<dd>Sense</dl>", "Term\nMeaning\nOther\nSense");
}

static void html_white_space_is_kept_in_pre_alone(void **state) {
    html("<pre>\n  a\n    b  c\n\n</pre> x  y\t\tz <pre>1</pre>", "  a\n    b  c\n\nx y z\n\n1");
    html("<pre><b>x</b>  <i>y</i></pre>", "x  y");
}

static void html_images_give_their_words(void **state) {
    html("see<img src=x alt='a &quot;cat&quot; &copy=1'>here", "see a \"cat\" &copy=1 here");
    html("<img alt=\"\"><img>", "");
}

static void html_leaves_out_what_is_not_shown(void **state) {
    html(
        "a<script>document.write('<p>no')</script>b<style>no</style><template><p>no</p></template>c"
        "<!-- no --><iframe>no</iframe>d<noscript>yes</noscript>",
        "abcdyes");
    html("a<div hidden>no<div>no</div>no</div>b<p hidden>no<p>c<ul><li hidden>no<li>yes</ul>",
         "ab\n\nc\n\n- yes");
    html("<ruby>\xE6\x9D\xB1<rp>(</rp><rt>no</rt><rp>)</rp>\xE4\xBA\xAC<rt>no</ruby>\xE9\x83\xBD",
         "\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD");
    html("<input hidden>x<br hidden>y", "xy");
}

static void html_loses_no_text_to_broken_markup(void **state) {
    html("a < b and c<d", "a < b and c<d");
    html("1 <2 &lt 3 & 4 &; &#; &#x; &#xZ", "1 <2 < 3 & 4 &; &#; &#x; &#xZ");
    html("before <!-- never closed, then > after", "before after");
    html("<title>never closed <p>body text", "body text");
    html("<textarea>open <b>bold</b>", "open bold");
    html("<p>text <a href=\"never closed>more", "text <a href=\"never closed>more");
    html("<![CDATA[kept <as> is]]> after", "kept <as> is after");
    html("</p></div>x</li></table></h1>", "x");
    html("<li>no list<tr>no<td>table", "- no list\nno | table");
}

static void html_tags_end_where_the_standard_says(void **state) {
    html("<p title='>'>a<p title=\"x>y\" b=c/d>b<p/>c<P\nCLASS=x\t>d", "a\n\nb\n\nc\n\nd");
    html("<!doctype html><?php no ?>a<!-->b<!--->c<!-- -- ->--!>d</ x>e", "abcde");
    html("<script>'</scriptx' </script >ok<script src=x/>no</script><script/>yes", "okyes");
    html("<xmp><b>&amp;</xmp><plaintext></b>&amp;", "<b>&amp;\n\n</b>&amp;");
    html("a\r\nb\rc", "a b c");
}

static void html_character_references_are_decoded(void **state) {
    html("&lt;&LT&amp;&notin;&not;in &AMP &CounterClockwiseContourIntegral; &NotEqualTilde;",
         "<<&\xE2\x88\x89\xC2\xACin & \xE2\x88\xB3 \xE2\x89\x82\xCC\xB8");
    html("&#65;&#x42;&#67 &#0;&#x80;&#xD800;&#x110000;&#99999999999999999999;",
         "ABC \xEF\xBF\xBD\xE2\x82\xAC\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    html("&ampx &notit; &ngt &nosuch;", "&x \xC2\xACit; &ngt &nosuch;");
}

static void html_headings_have_locators(void **state) {
    expect_headings(*state, "text/html",
                    "<h1>The <i>one</i>\n &amp; only</h1>x<h3></h3><h2><a>Two</a></h2><div>y</div>"
                    "<h6>open<p>text<h2>Three",
                    "1:The one & only 2:Two 6:open 2:Three");
    html("x<h2>Part</h2>y", "x\n\nPart\n\ny");
}

static void html_title_is_the_title_or_the_first_heading(void **state) {
    expect_title(*state, "text/html", "<title> A &amp;\n B </title><h1>No</h1>", "A & B");
    expect_title(*state, "text/html", "<title></title><h1>Yes</h1>", "Yes");
    expect_title(*state, "text/html", "<h2>no</h2>", "");
}

static void html_says_its_encoding(void **state) {
    html("<meta charset=utf-8>caf\xC3\xA9", "caf\xC3\xA9");
    html("<meta charset=iso-8859-1>caf\xE9 \x93x\x94", "caf\xC3\xA9 \xE2\x80\x9Cx\xE2\x80\x9D");
    html("<meta charset=koi8-r>caf\xC3\xA9", "caf\xC3\xA9"); /* it is UTF-8, whatever it says */
#ifdef SATCHEL_HAVE_ICONV
    html("<meta charset=\"Shift_JIS\">\x93\xFA\x96\x7B", "\xE6\x97\xA5\xE6\x9C\xAC");
    html("<META http-equiv=Content-Type content='text/html; charset=koi8-r'>\xF0\xF2\xE9",
         "\xD0\x9F\xD0\xA0\xD0\x98");
    html("<?xml version=\"1.0\" encoding=\"windows-1251\"?><p>\xCF\xF0\xE8",
         "\xD0\x9F\xD1\x80\xD0\xB8");
    html("<meta charset=gb2312>\xD6\xD0\xCE\xC4\xFF.", "\xE4\xB8\xAD\xE6\x96\x87\xEF\xBF\xBD.");
    html("<meta charset=iso-2022-jp>\x1B$B4A;z\x1B(B", "\xE6\xBC\xA2\xE5\xAD\x97");
#endif
    html("<meta charset=no-such>caf\xE9", "caf\xC3\xA9");
    sat_document document =
        read_bytes(*state, NULL, "text/html", NULL, "\xFF\xFE<\0p\0>\0h\0i\0", 12);
    expect_text(&document, "hi");
    sat_document_free(&document);
}

/* A tag per byte, and every way to leave one open: no crash, valid text, time in proportion. */
static void hostile_markup_is_survived(void **state) {
    static const char *const pieces[] = {"<div>",
                                         "<p hidden>",
                                         "</div>",
                                         "<table>",
                                         "<td>",
                                         "<tr>",
                                         "<ul>",
                                         "<ol start=9>",
                                         "<li>",
                                         "<h1>",
                                         "</h1>",
                                         "<h4 hidden>",
                                         "<pre>",
                                         "</pre>",
                                         "<title>",
                                         "</title>",
                                         "<script>",
                                         "</script>",
                                         "<!--",
                                         "-->",
                                         "<![CDATA[",
                                         "]]>",
                                         "<a href='",
                                         "'",
                                         "\"",
                                         "&amp",
                                         "&#x",
                                         ";",
                                         "<",
                                         ">",
                                         "/",
                                         "=",
                                         "x",
                                         " ",
                                         "\n",
                                         "\t",
                                         "\xC3\xA9",
                                         "\xE4\xB8\xAD",
                                         "\xF0\x9F\x98\x80",
                                         "**",
                                         "_",
                                         "`",
                                         "```\n",
                                         "# ",
                                         "- ",
                                         "1. ",
                                         "> ",
                                         "|",
                                         "|-|-|\n",
                                         "[",
                                         "](",
                                         ")",
                                         "![",
                                         "\\",
                                         "---\n",
                                         "    ",
                                         "[a]: b\n",
                                         "<b",
                                         "word",
                                         "<rt>",
                                         "<template>",
                                         "</template>",
                                         "<br>"};
    uint64_t seed = 20;
    char source[4096];
    for (int round = 0; round < 3000; round++) {
        size_t length = 0, count = test_random(&seed) % 200;
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[test_random(&seed) % SAT_COUNT(pieces)];
            size_t size = strlen(piece);
            memcpy(source + length, piece, size);
            length += size;
        }
        static const char *const types[] = {"text/html", "text/markdown", "text/plain"};
        for (size_t i = 0; i < SAT_COUNT(types); i++) {
            char *exact = malloc(length ? length : 1); /* a sanitizer sees reads past its end */
            memcpy(exact, source, length);
            sat_document document = read_bytes(*state, NULL, types[i], NULL, exact, length);
            check_document(&document);
            sat_document_free(&document);
            free(exact);
        }
    }
}

static void nesting_costs_no_stack(void **state) {
    enum { COUNT = 200000 };
    char *deep = malloc(COUNT * 16);
    static const char *const units[] = {"<div>",   "<ul><li>", "<b>",
                                        "<table>", "<pre>",    "<i hidden>"};
    for (size_t i = 0; i < SAT_COUNT(units); i++) {
        size_t size = strlen(units[i]);
        for (size_t n = 0; n < COUNT; n++)
            memcpy(deep + n * size, units[i], size);
        memcpy(deep + COUNT * size, "x", 1);
        sat_document document = read_bytes(*state, NULL, "text/html", NULL, deep, COUNT * size + 1);
        check_document(&document);
        sat_document_free(&document);
    }
    free(deep);
}

/* ------------------------------------------------------------------ choice */

static void names_and_content_choose_the_reader(void **state) {
    static const struct {
        const char *type, *name, *content, *expected;
    } cases[] = {
        {NULL, "a/b.MD", "# x", "text/markdown"},
        {NULL, "page.HTM", "x", "text/html"},
        {NULL, "main.c", "x", "text/plain"},
        {NULL, "README", "# x", "text/plain"},
        {NULL, "index", "\n <!DOCTYPE HTML><p>x", "text/html"},
        {NULL, NULL, "<html>x", "text/html"},
        {NULL, "a.unknown", "x", "text/plain"},
        {"text/html; charset=utf-8", "a.txt", "x", "text/html"},
        {"Text/Markdown", NULL, "x", "text/markdown"},
        {"application/json", "a", "{}", "text/plain"},
        {"image/svg+xml", "a", "<svg/>", "text/plain"},
        {"application/octet-stream", "a.md", "x", "text/markdown"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        sat_document document = read_bytes(*state, NULL, cases[i].type, cases[i].name,
                                           cases[i].content, strlen(cases[i].content));
        assert_string_equal(document.media_type, cases[i].expected);
        sat_document_free(&document);
    }
    assert_true(sat_reader_known(NULL, "a.txt") && sat_reader_known(NULL, "b.Html"));
    assert_false(sat_reader_known(NULL, "a.pdf") || sat_reader_known(NULL, "a") ||
                 sat_reader_known(NULL, ".md"));
}

/* An application's reader whose behaviour the test sets. */
typedef struct app_reader {
    satchel_status result;
    const char *message;
    const char *text, *title;
    const satchel_locator *locators;
    size_t locator_count;
    satchel_status sink_status; /* what the last call of the sink gave */
    int calls;
    char type[64];
} app_reader;

static satchel_status app_read(void *user, const char *media_type, const void *data, size_t length,
                               const satchel_reader_sink *sink, char *message,
                               size_t message_size) {
    app_reader *self = user;
    self->calls++;
    snprintf(self->type, sizeof self->type, "%s", media_type);
    if (self->message)
        snprintf(message, message_size, "%s", self->message);
    if (self->title)
        self->sink_status = sink->title(sink->sink, self->title, SATCHEL_NUL_TERMINATED);
    size_t half = self->text ? strlen(self->text) / 2 : 0;
    if (half)
        self->sink_status = sink->text(sink->sink, self->text, half);
    for (size_t i = 0; i < self->locator_count; i++)
        self->sink_status = sink->locate(sink->sink, &self->locators[i]);
    if (self->text && !self->sink_status)
        self->sink_status = sink->text(sink->sink, self->text + half, strlen(self->text) - half);
    return self->result;
}

static satchel_reader app_table(app_reader *self, const char *id) {
    return (satchel_reader){.struct_size = sizeof(satchel_reader),
                            .user = self,
                            .id = id,
                            .media_types = "application/pdf text/x-notes",
                            .extensions = "pdf notes",
                            .read = app_read};
}

static void application_readers_come_first(void **state) {
    static const satchel_locator pages[] = {
        {.kind = SATCHEL_LOCATOR_PAGE, .number = 2},
        {.kind = SATCHEL_LOCATOR_HEADING, .number = 9, .label = "Part"},
        {.kind = SATCHEL_LOCATOR_TIME, .number = 0}};
    app_reader older = {.text = "older"}, newer = {.text = "page 1 page 2",
                                                   .title = "T",
                                                   .locators = pages,
                                                   .locator_count = SAT_COUNT(pages)};
    satchel_reader tables[] = {app_table(&older, "older"), app_table(&newer, "newer")};
    sat_readers readers = {tables, 2, 2};
    sat_document document = read_bytes(*state, &readers, NULL, "x.PDF", "%PDF-", 5);
    check_document(&document);
    expect_text(&document, "page 1 page 2");
    assert_string_equal(document.title.data, "T");
    assert_string_equal(document.media_type, "application/pdf");
    assert_string_equal(newer.type, "application/pdf");
    assert_int_equal(document.locator_count, 3);
    assert_int_equal(document.locators[0].start, 6);
    assert_int_equal(document.locators[1].number, 6); /* levels end there */
    assert_int_equal(document.source_start, -1);
    assert_int_equal(older.calls, 0);
    sat_document_free(&document);

    newer.result = SATCHEL_UNSUPPORTED; /* the next one tries, with a clean document */
    document = read_bytes(*state, &readers, NULL, "x.pdf", "%PDF-", 5);
    expect_text(&document, "older");
    assert_int_equal(document.locator_count, 0);
    assert_int_equal(document.title.length, 0);
    sat_document_free(&document);
    assert_true(sat_reader_known(&readers, "y.pdf") && sat_reader_known(&readers, "y.Notes"));

    /* A media type that was given decides, not the name. */
    document = read_bytes(*state, &readers, "text/plain", "x.pdf", "plain", 5);
    expect_text(&document, "plain");
    sat_document_free(&document);
}

static void failures_of_application_readers_are_told(void **state) {
    satchel_context *context = *state;
    static const satchel_locator bad_kind = {.kind = 9, .number = 1}, no_page = {.kind = 1},
                                 bad_label = {.kind = 3, .number = 1, .label = "\xFF"};
    static const struct {
        app_reader reader;
        satchel_status expected;
        const char *says;
    } cases[] = {
        {{.result = SATCHEL_IO, .message = "no key"}, SATCHEL_CALLBACK, "app: no key"},
        {{.result = 7}, SATCHEL_CALLBACK, "reader app"},
        {{.result = SATCHEL_CANCELLED}, SATCHEL_CANCELLED, "reader app"},
        {{.result = SATCHEL_UNSUPPORTED, .message = "version 9"}, SATCHEL_UNSUPPORTED, "version 9"},
        {{.text = "ab\xFFxyz"}, SATCHEL_INVALID_TEXT, "byte 2"},
        {{.text = "abc\xE4\xB8"}, SATCHEL_INVALID_TEXT, "byte 3"}, /* cut at the end */
        {{.title = "\xC3"}, SATCHEL_INVALID_TEXT, "title"},
        {{.locators = &bad_kind, .locator_count = 1}, SATCHEL_INVALID_ARGUMENT, "locator"},
        {{.locators = &no_page, .locator_count = 1}, SATCHEL_INVALID_ARGUMENT, "locator"},
        {{.locators = &bad_label, .locator_count = 1}, SATCHEL_INVALID_TEXT, "label"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        app_reader reader = cases[i].reader;
        satchel_reader table = app_table(&reader, "app");
        sat_readers readers = {&table, 1, 1};
        sat_document document;
        satchel_error error;
        sat_document_init(&document, &context->memory);
        assert_int_equal(
            sat_document_read(&document, context, &readers, NULL, "a.pdf", "x", 1, &error),
            cases[i].expected);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" lacks \"%s\"", error.message, cases[i].says);
        sat_document_free(&document);
    }
    /* A character may be cut by the end of a piece. */
    app_reader reader = {.text = "a\xE4\xB8\xAD"};
    satchel_reader table = app_table(&reader, "app");
    sat_readers readers = {&table, 1, 1};
    sat_document document = read_bytes(context, &readers, NULL, "a.pdf", "x", 1);
    expect_text(&document, "a\xE4\xB8\xAD");
    sat_document_free(&document);
}

static void strange_media_types_are_refused(void **state) {
    satchel_context *context = *state;
    char long_type[400];
    memset(long_type, 'a', sizeof long_type - 1);
    long_type[sizeof long_type - 1] = '\0';
    const char *const types[] = {"", ";", " ", long_type};
    for (size_t i = 0; i < SAT_COUNT(types); i++) {
        sat_document document;
        sat_document_init(&document, &context->memory);
        assert_int_equal(sat_document_read(&document, context, NULL, types[i], NULL, "x", 1, NULL),
                         SATCHEL_INVALID_ARGUMENT);
        sat_document_free(&document);
    }
}

/* Memory runs out at every allocation in turn: the reader says so, and nothing is left. */
static void memory_failures_are_told(void **state) {
    static const struct {
        const char *type, *source;
    } cases[] = {
        {"text/plain", "caf\xE9"},
        {"text/html",
         "<title>a &amp; b</title><meta charset=koi8-r><h1>\xF0</h1><ul><li>x<img alt=y>"},
        {"text/markdown", "---\ntitle: x\n---\n# a &amp;\n\n- b <b>c</b>\n\n|x|y|\n|-|-|\n|1|2|\n"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        bool finished = false;
        for (size_t fail_at = 1; !finished; fail_at++) {
            test_allocator test = {.fail_at = fail_at, .fail_after = true};
            satchel_allocator table = test_allocator_table(&test);
            sat_memory memory;
            sat_memory_init(&memory, &table, 0);
            sat_document document;
            satchel_error error;
            sat_document_init(&document, &memory);
            satchel_status status =
                sat_document_read(&document, *state, NULL, cases[i].type, NULL, cases[i].source,
                                  strlen(cases[i].source), &error);
            finished = test.calls < fail_at;
            assert_int_equal(status, finished ? SATCHEL_OK : SATCHEL_OUT_OF_MEMORY);
            sat_document_free(&document);
            assert_allocator_clean(&test);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_text_is_kept_verbatim),
        cmocka_unit_test(a_byte_order_mark_is_passed_over),
        cmocka_unit_test(other_encodings_are_decoded),
        cmocka_unit_test(nul_characters_in_text_are_kept),
        cmocka_unit_test(an_empty_file_is_an_empty_document),
        cmocka_unit_test(binary_files_are_refused_by_name_of_their_type),
        cmocka_unit_test(text_that_begins_like_a_format_is_text),
        cmocka_unit_test(missing_readers_are_named),
#ifdef SATCHEL_HAVE_MARKDOWN
        cmocka_unit_test(markdown_becomes_paragraphs),
        cmocka_unit_test(markdown_lists_keep_their_marks),
        cmocka_unit_test(markdown_code_is_verbatim),
        cmocka_unit_test(markdown_tables_become_rows),
        cmocka_unit_test(markdown_entities_and_html_are_read),
        cmocka_unit_test(markdown_headings_have_locators),
        cmocka_unit_test(markdown_title_is_the_first_great_heading),
        cmocka_unit_test(front_matter_is_no_text),
        cmocka_unit_test(deep_markdown_is_read_as_text),
#endif
#ifdef SATCHEL_HAVE_HTML
        cmocka_unit_test(html_becomes_paragraphs),
        cmocka_unit_test(html_lists_and_tables_become_lines),
        cmocka_unit_test(html_white_space_is_kept_in_pre_alone),
        cmocka_unit_test(html_images_give_their_words),
        cmocka_unit_test(html_leaves_out_what_is_not_shown),
        cmocka_unit_test(html_loses_no_text_to_broken_markup),
        cmocka_unit_test(html_tags_end_where_the_standard_says),
        cmocka_unit_test(html_character_references_are_decoded),
        cmocka_unit_test(html_headings_have_locators),
        cmocka_unit_test(html_title_is_the_title_or_the_first_heading),
        cmocka_unit_test(html_says_its_encoding),
        cmocka_unit_test(nesting_costs_no_stack),
#endif
#if defined(SATCHEL_HAVE_HTML) && defined(SATCHEL_HAVE_MARKDOWN)
        cmocka_unit_test(hostile_markup_is_survived),
        cmocka_unit_test(memory_failures_are_told),
        cmocka_unit_test(names_and_content_choose_the_reader),
#endif
        cmocka_unit_test(application_readers_come_first),
        cmocka_unit_test(failures_of_application_readers_are_told),
        cmocka_unit_test(strange_media_types_are_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
