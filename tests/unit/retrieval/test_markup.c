/* Readers of Markdown and HTML. */
#include "tests/unit/retrieval/reading.h"

/* Without a reader its tests are left out of the list below. */
#if !defined(SATCHEL_HAVE_HTML) || !defined(SATCHEL_HAVE_MARKDOWN)
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

#define html(source, text) expect_read(*state, "text/html", source, text)
#define markdown(source, text) expect_read(*state, "text/markdown", source, text)

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
#endif
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
