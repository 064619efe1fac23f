/* Answers in a model's own words, and split ask: events, what goes into the prompt, citations into
 * the store's documents, refusals, failures. */
#include "tests/unit/retrieval/ask_fixture.h"

#include "retrieval/prepare.h"

static const char lease[] = "The lease ends on 31 May 2027. Notice must be given in writing. "
                            "The deposit comes back within six weeks.";
static const char rent[] = "Rent for the lease is due on the first working day. "
                           "A late payment costs extra.";

static int ask_setup(void **state) {
    int failed = fixture_setup(state);
    if (!failed) {
        fixture *f = *state; /* ranked by keywords, so that the tests know what comes first */
        f->keywords_only = true;
        fixture_fine(f, fixture_open(f));
        fixture_add(f, "lease", lease);
        fixture_add(f, "rent", rent);
        fixture_add(f, "ferry", "The ferry leaves at noon from the old harbour.");
    }
    return failed;
}

/* ------------------------------------------------------------------ pulling */

/* What a stream told: text, and a line of the events, "mode hits token …". */
typedef struct told {
    char text[4096], events[2048];
    int32_t mode, reason;
    satchel_event_done done;
    satchel_event_refusal refusal;
    struct {
        satchel_range answer, source;
        char document[32];
        int32_t hit, verified;
    } citations[16];
    size_t count;
} told;

static void note(told *t, const char *name) {
    size_t used = strlen(t->events);
    snprintf(t->events + used, sizeof t->events - used, "%s%s", used ? " " : "", name);
}

static satchel_status pull(sat_stream *stream, told *t, satchel_error *error) {
    for (;;) {
        satchel_event event = {0};
        satchel_status status = stream->next(stream, &event, error);
        if (status)
            return status;
        switch (event.kind) {
        case SATCHEL_EVENT_MODE:
            note(t, "mode");
            t->mode = event.mode->mode;
            t->reason = event.mode->reason;
            break;
        case SATCHEL_EVENT_HITS:
            note(t, "hits");
            break;
        case SATCHEL_EVENT_PROGRESS:
            assert_int_equal(event.progress->phase, SATCHEL_PHASE_PREFILL);
            note(t, "progress");
            break;
        case SATCHEL_EVENT_TOKEN: {
            size_t used = strlen(t->text);
            note(t, "token");
            assert_int_equal(sat_utf8_valid(event.token->text, event.token->length),
                             event.token->length);
            snprintf(t->text + used, sizeof t->text - used, "%.*s", (int)event.token->length,
                     event.token->text);
            break;
        }
        case SATCHEL_EVENT_CITATION:
            note(t, "citation");
            assert_true(t->count < 16);
            t->citations[t->count].answer = event.citation->answer;
            t->citations[t->count].source = event.citation->source;
            t->citations[t->count].hit = event.citation->hit;
            t->citations[t->count].verified = event.citation->verified;
            snprintf(t->citations[t->count].document, 32, "%s", event.citation->document_id);
            t->count++;
            break;
        case SATCHEL_EVENT_REFUSAL:
            note(t, "refusal");
            t->refusal = *event.refusal;
            break;
        case SATCHEL_EVENT_DONE:
            t->done = *event.done;
            return SATCHEL_OK;
        default:
            fail_msg("event %d", (int)event.kind);
        }
    }
}

static satchel_ask_options asking(void) {
    return (satchel_ask_options){.struct_size = sizeof(satchel_ask_options),
                                 .search_mode = SATCHEL_SEARCH_KEYWORD,
                                 .refusal_threshold = -1};
}

/* Asks to the end. */
static told ask(fixture *f, fake_writer *fake, const char *question,
                const satchel_ask_options *options, int32_t context) {
    told t = {.count = 0};
    sat_stream *stream;
    const sat_ask_setup setup = {.writer = fake_writer_make(fake, context)};
    fixture_fine(f, sat_generated_answer(&stream, f->store, question, options, &setup, &f->error));
    fixture_fine(f, pull(stream, &t, &f->error));
    stream->close(stream);
    assert_int_equal(fake->released, 1);
    return t;
}

/* The passage's text in the document stands where the citation says. */
static void expect_source(const told *t, size_t index, const char *document, const char *text,
                          const char *source) {
    assert_true(index < t->count);
    const satchel_range *range = &t->citations[index].source;
    assert_string_equal(t->citations[index].document, document);
    assert_int_equal(range->end - range->start, strlen(source));
    assert_memory_equal(text + range->start, source, strlen(source));
}

/* ------------------------------------------------------------------ answers */

static void an_answer_is_streamed_and_cited(void **state) {
    fixture *f = *state;
    const char *const script[] = {"The le",
                                  "ase ends on 31 May 2027 [",
                                  "1",
                                  "]. A payment that",
                                  " is late costs extra [2]. 🙂",
                                  NULL};
    fake_writer fake = {.script = script};
    satchel_ask_options options = asking();
    told t = ask(f, &fake, "When does the lease end?", &options, 2000);
    assert_string_equal(t.events,
                        "mode hits progress token token token token citation token citation");
    assert_string_equal(t.text, "The lease ends on 31 May 2027 [1]. A payment that is late costs "
                                "extra [2]. 🙂");
    assert_int_equal(t.mode, SATCHEL_ANSWER_GENERATED);
    assert_int_equal(t.reason, SATCHEL_REASON_GENERATOR);
    assert_int_equal(t.count, 2);
    expect_source(&t, 0, "lease", lease, "The lease ends on 31 May 2027");
    assert_int_equal(t.citations[0].verified, 1);
    assert_int_equal(t.citations[0].answer.start, 0);
    assert_int_equal(t.citations[0].answer.end, 29);
    expect_source(&t, 1, "rent", rent, "A late payment costs extra.");
    assert_int_equal(t.citations[1].verified, 0);
    assert_int_equal(t.done.sentences, 2);
    assert_int_equal(t.done.prompt_tokens, 70);
    assert_int_equal(t.done.cached_tokens, 5);
    assert_int_equal(t.done.generated_tokens, 5);
    assert_int_equal(t.done.finish, SATCHEL_FINISH_END);
    assert_true(t.done.hits >= 2 && t.done.confidence > 0);
}

static void the_prompt_has_the_passages_in_order(void **state) {
    fixture *f = *state;
    const char *const script[] = {"Yes.", NULL};
    fake_writer fake = {.script = script};
    satchel_ask_options options = asking();
    options.mode = SATCHEL_ANSWER_GENERATED;
    told t = ask(f, &fake, "When does the lease end?", &options, 2000);
    assert_int_equal(t.reason, SATCHEL_REASON_REQUESTED);
    const char *first = strstr(fake.messages, "[1]\\n~~~~~\\nlease\\n\\nThe lease ends");
    const char *second = strstr(fake.messages, "[2]\\n~~~~~\\nrent\\n\\nRent for");
    assert_non_null(first);
    assert_non_null(second);
    assert_true(first < second);
    assert_non_null(strstr(second, "Question: When does the lease end?"));
    assert_int_equal(fake.max_tokens, 500); /* a quarter of the context */
}

static void weak_evidence_is_refused_before_the_model_is_asked(void **state) {
    fixture *f = *state;
    const char *const script[] = {"Never.", NULL};
    fake_writer fake = {.script = script};
    satchel_ask_options options = asking();
    options.refusal_threshold = 0.99f;
    told t = ask(f, &fake, "Who painted the lease of submarines?", &options, 2000);
    assert_string_equal(t.events, "mode hits refusal");
    assert_int_equal(t.refusal.reason, SATCHEL_REASON_WEAK_EVIDENCE);
    assert_int_equal(fake.written, 0);
    fake = (fake_writer){.script = script};
    t = ask(f, &fake, "submarines", &options, 2000);
    assert_string_equal(t.events, "mode hits refusal");
    assert_int_equal(t.refusal.reason, SATCHEL_REASON_NO_EVIDENCE);
}

static void a_model_that_declines_is_a_refusal(void **state) {
    fixture *f = *state;
    const char *const script[] = {" ", "NO_", "ANSW", "ER", ".", NULL};
    fake_writer fake = {.script = script};
    satchel_ask_options options = asking();
    told t = ask(f, &fake, "When does the lease end?", &options, 2000);
    assert_string_equal(t.events, "mode hits progress refusal");
    assert_string_equal(t.text, "");
    assert_int_equal(t.refusal.reason, SATCHEL_REASON_DECLINED);
}

static void what_only_begins_like_a_refusal_is_text(void **state) {
    fixture *f = *state;
    const char *const script[] = {"NO_", "ANSWER", " is", " right.", NULL};
    fake_writer fake = {.script = script};
    satchel_ask_options options = asking();
    told t = ask(f, &fake, "When does the lease end?", &options, 2000);
    assert_string_equal(t.events, "mode hits progress token token");
    assert_string_equal(t.text, "NO_ANSWER is right.");
    const char *const half[] = {"NO_", NULL};
    fake = (fake_writer){.script = half};
    t = ask(f, &fake, "When does the lease end?", &options, 2000);
    assert_string_equal(t.text, "NO_");
    const char *const none[] = {NULL};
    fake = (fake_writer){.script = none};
    t = ask(f, &fake, "When does the lease end?", &options, 2000);
    assert_string_equal(t.events, "mode hits progress");
}

/* ------------------------------------------------------------------ room */

static satchel_prepared_info info_of(const sat_prepared *p) {
    satchel_prepared_info info;
    sat_prepared_info(p, &info);
    return info;
}

static const char small_prompt[] = "{\"system\":\"\",\"user\":\"{passages} {question}\","
                                   "\"passage\":\"{number} {text}\",\"separator\":\" \"}";

static void passages_fill_the_room_and_the_last_is_cut(void **state) {
    fixture *f = *state;
    satchel_ask_options options = asking();
    bool cut = false;
    size_t most = 0;
    for (int32_t room = 10; room < 160; room++) {
        fake_writer fake = {.exact = room % 2};
        sat_prepared *p = NULL;
        sat_ask_setup setup = {.writer = fake_writer_make(&fake, 4000),
                               .prompt = small_prompt,
                               .context_tokens = room};
        satchel_status status = sat_prepared_open(&p, f->store, "When does the lease end?",
                                                  &options, &setup, &f->error);
        if (status) {
            assert_int_equal(status, SATCHEL_LIMIT);
            assert_int_equal(fake.released, 1);
            continue;
        }
        satchel_prepared_info info = info_of(p);
        assert_true(info.prompt_tokens <= room && info.passages >= 1);
        most = (size_t)info.passages > most ? (size_t)info.passages : most;
        for (size_t n = 1; n <= (size_t)info.passages; n++) {
            satchel_passage passage;
            satchel_hit hit;
            fixture_fine(f, sat_prepared_passage(p, n, &passage, &f->error));
            fixture_fine(
                f, sat_results_get(sat_prepared_results(p), (size_t)passage.hit, &hit, &f->error));
            size_t length = (size_t)(passage.range.end - passage.range.start);
            assert_int_equal(passage.range.start, hit.range.start);
            assert_true(length > 0 && length <= hit.text_length);
            if (length < hit.text_length) { /* behind a sentence, and nothing comes after */
                assert_int_equal(hit.text[length - 1], '.');
                assert_int_equal(n, info.passages);
                cut = true;
            }
        }
        sat_prepared_close(&p);
        assert_int_equal(fake.released, 1);
    }
    assert_true(cut);
    assert_true(most >= 2);
}

static void too_little_room_is_said(void **state) {
    fixture *f = *state;
    satchel_ask_options options = asking();
    const char *const script[] = {NULL};
    fake_writer fake = {.script = script};
    sat_stream *stream;
    told t = {.count = 0};
    sat_ask_setup setup = {.writer = fake_writer_make(&fake, 40)};
    fixture_fine(f, sat_generated_answer(&stream, f->store, "When does the lease end?", &options,
                                         &setup, &f->error));
    fixture_fails(f, pull(stream, &t, &f->error), SATCHEL_LIMIT);
    stream->close(stream);
    assert_string_equal(t.events, "mode hits");
    setup.writer = fake_writer_make(&fake, 400);
    setup.max_tokens = 400;
    fixture_fails(f, sat_generated_answer(&stream, f->store, "When?", &options, &setup, &f->error),
                  SATCHEL_LIMIT);
    assert_int_equal(fake.released, 2);
}

static void history_gives_way_oldest_first(void **state) {
    fixture *f = *state;
    satchel_ask_options options = asking();
    static const char history[] =
        "[{\"role\":\"user\",\"content\":\"oldest alpha alpha alpha alpha alpha alpha\"},"
        "{\"role\":\"assistant\",\"content\":\"older beta beta beta beta beta\"},"
        "{\"role\":\"user\",\"content\":\"newer gamma\"},"
        "{\"role\":\"assistant\",\"content\":\"newest delta\"}]";
    bool whole = false, part = false, none = false;
    for (int32_t room = 24; room < 300; room += 3) {
        fake_writer fake = {.exact = true};
        sat_prepared *p = NULL;
        sat_ask_setup setup = {.writer = fake_writer_make(&fake, 4000),
                               .prompt = small_prompt,
                               .history = history,
                               .context_tokens = room};
        if (sat_prepared_open(&p, f->store, "When does the lease end?", &options, &setup,
                              &f->error))
            continue;
        satchel_prepared_info info = info_of(p);
        assert_true(info.prompt_tokens <= room);
        bool oldest = strstr(info.messages, "oldest alpha"), newer = strstr(info.messages, "newer");
        assert_int_equal(oldest, strstr(info.messages, "older beta") != NULL);
        assert_int_equal(newer, strstr(info.messages, "newest delta") != NULL);
        assert_true(newer || !oldest);
        whole |= oldest;
        part |= newer && !oldest;
        none |= !newer;
        sat_prepared_close(&p);
    }
    assert_true(whole && part && none);
}

/* ------------------------------------------------------------------ split ask */

static sat_prepared *prepare(fixture *f, const char *question, float threshold) {
    satchel_ask_options options = asking();
    options.refusal_threshold = threshold;
    const sat_ask_setup setup = {.context_tokens = 1000};
    sat_prepared *p;
    fixture_fine(f, sat_prepared_open(&p, f->store, question, &options, &setup, &f->error));
    return p;
}

static void resolve(fixture *f, sat_prepared *p, told *t, const char *text, size_t length,
                    bool final) {
    sat_stream *stream;
    fixture_fine(f, sat_prepared_resolve(&stream, p, text, length, final, &f->error));
    fixture_fine(f, pull(stream, t, &f->error));
    stream->close(stream);
}

static void text_of_any_model_is_resolved(void **state) {
    fixture *f = *state;
    static const char text[] = "The lease ends on 31 May 2027 [1]. Ça coûte: “A late payment costs "
                               "extra” [2]. 🙂 [9]";
    for (size_t step = 1; step < 12; step++) {
        sat_prepared *p = prepare(f, "When does the lease end?", -1);
        told t = {.count = 0};
        for (size_t length = 0; length < sizeof text - 1; length += step) {
            resolve(f, p, &t, text, length, false);
            assert_int_equal(t.done.finish, SATCHEL_FINISH_NONE);
        }
        resolve(f, p, &t, text, sizeof text - 1, true);
        assert_int_equal(t.done.finish, SATCHEL_FINISH_END);
        assert_string_equal(t.text, text);
        assert_int_equal(t.mode, SATCHEL_ANSWER_EXTERNAL);
        assert_int_equal(strncmp(t.events, "mode hits token", 15), 0);
        assert_int_equal(t.count, 2);
        expect_source(&t, 0, "lease", lease, "The lease ends on 31 May 2027");
        expect_source(&t, 1, "rent", rent, "A late payment costs extra");
        assert_true(t.citations[0].verified && t.citations[1].verified);
        sat_prepared_close(&p);
    }
}

static void text_that_shrinks_or_changes_is_refused(void **state) {
    fixture *f = *state;
    sat_prepared *p = prepare(f, "When does the lease end?", -1);
    told t = {.count = 0};
    sat_stream *stream;
    resolve(f, p, &t, "In May", 6, false);
    fixture_fails(f, sat_prepared_resolve(&stream, p, "In Ma", 5, false, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    fixture_fails(f, sat_prepared_resolve(&stream, p, "In Mai 2027", 11, false, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    fixture_fails(f, sat_prepared_resolve(&stream, p, "In May \xFF 2027", 13, false, &f->error),
                  SATCHEL_INVALID_TEXT);
    fixture_fails(f, sat_prepared_resolve(&stream, p, "In May \xC3", 8, true, &f->error),
                  SATCHEL_INVALID_TEXT);
    resolve(f, p, &t, "In May \xC3", 8, false);
    resolve(f, p, &t, "In May \xC3\xA9", 9, true);
    assert_string_equal(t.text, "In May \xC3\xA9");
    fixture_fails(f, sat_prepared_resolve(&stream, p, "In May \xC3\xA9", 9, true, &f->error),
                  SATCHEL_INVALID_ARGUMENT);
    sat_prepared_close(&p);
}

static void a_stream_outlives_its_prepared(void **state) {
    fixture *f = *state;
    sat_prepared *p = prepare(f, "When does the lease end?", -1);
    sat_stream *first, *second;
    told t = {.count = 0};
    fixture_fine(f, sat_prepared_resolve(&first, p, "In May [1].", 11, false, &f->error));
    fixture_fine(f, sat_prepared_resolve(&second, p, "In May [1]. Yes.", 16, true, &f->error));
    sat_prepared_close(&p);
    fixture_fine(f, pull(second, &t, &f->error));
    assert_string_equal(t.text, "In May [1]. Yes.");
    assert_int_equal(t.count, 1);
    second->close(second);
    fixture_fine(f, pull(first, &t, &f->error));
    assert_int_equal(t.count, 1);
    first->close(first);
}

static void weak_evidence_is_told_and_not_in_the_way(void **state) {
    fixture *f = *state;
    sat_prepared *p = prepare(f, "Who painted the lease of submarines?", 0.99f);
    assert_int_equal(info_of(p).refused, SATCHEL_REASON_WEAK_EVIDENCE);
    told t = {.count = 0};
    resolve(f, p, &t, "Nobody [1].", 11, true);
    assert_string_equal(t.events, "mode hits refusal token citation");
    sat_prepared_close(&p);
    p = prepare(f, "submarines", -1);
    assert_int_equal(info_of(p).refused, SATCHEL_REASON_NO_EVIDENCE);
    assert_int_equal(info_of(p).passages, 0);
    t = (told){.count = 0};
    resolve(f, p, &t, "Nobody [1].", 11, true);
    assert_string_equal(t.events, "mode hits refusal token");
    sat_prepared_close(&p);
}

/* ------------------------------------------------------------------ failures */

static void failures_of_the_model_end_the_answer(void **state) {
    fixture *f = *state;
    satchel_ask_options options = asking();
    const char *const script[] = {"In", " May", NULL};
    fake_writer fake = {.script = script, .fail_at = 2};
    const sat_ask_setup setup = {.writer = fake_writer_make(&fake, 2000)};
    sat_stream *stream;
    told t = {.count = 0};
    fixture_fine(f, sat_generated_answer(&stream, f->store, "When does the lease end?", &options,
                                         &setup, &f->error));
    fixture_fails(f, pull(stream, &t, &f->error), SATCHEL_CALLBACK);
    assert_string_equal(t.text, "In");
    stream->close(stream);
    fake = (fake_writer){.script = script, .failing = SATCHEL_UNSUPPORTED};
    fixture_fine(f, sat_generated_answer(&stream, f->store, "When does the lease end?", &options,
                                         &setup, &f->error));
    fixture_fails(f, pull(stream, &t, &f->error), SATCHEL_UNSUPPORTED);
    stream->close(stream);
    assert_int_equal(fake.released, 1);
}

static void a_cancel_is_heeded_between_tokens(void **state) {
    fixture *f = *state;
    satchel_cancel cancel = {.context = f->context, .references = 2}; /* never the last */
    satchel_ask_options options = asking();
    options.cancel = &cancel;
    const char *const script[] = {"In", " May", " or", " June", NULL};
    fake_writer fake = {.script = script, .fire = &cancel};
    const sat_ask_setup setup = {.writer = fake_writer_make(&fake, 2000)};
    sat_stream *stream;
    told t = {.count = 0};
    fixture_fine(f, sat_generated_answer(&stream, f->store, "When does the lease end?", &options,
                                         &setup, &f->error));
    fixture_fails(f, pull(stream, &t, &f->error), SATCHEL_CANCELLED);
    assert_string_equal(t.text, "In May");
    stream->close(stream);
    assert_int_equal(cancel.references, 2);
}

static void failures_of_memory_are_reported(void **state) {
    fixture *f = *state;
    satchel_ask_options options = asking();
    const char *const script[] = {"The lease ends in May [1], and ", "rent is due [2].", NULL};
    static const char history[] = "[{\"role\":\"user\",\"content\":\"Hello\"}]";
    sat_memory *memory = &f->context->memory;
    satchel_status status = SATCHEL_MEMORY_LIMIT;
    for (int warm = 0; warm < 2; warm++) { /* the store keeps some things once they are made */
        fake_writer fake = {.script = script};
        ask(f, &fake, "When does the lease end?", &options, 2000);
    }
    uint64_t before = memory->now;
    size_t failures = 0;
    for (uint64_t more = 64; status && more < 4000000; more += more < 40000 ? 997 : more / 8) {
        fake_writer fake = {.script = script};
        const sat_ask_setup setup = {.writer = fake_writer_make(&fake, 2000), .history = history};
        sat_stream *stream = NULL;
        told t = {.count = 0};
        memory->limit = memory->now + more;
        status = sat_generated_answer(&stream, f->store, "When does the lease end?", &options,
                                      &setup, &f->error);
        if (!status) {
            status = pull(stream, &t, &f->error);
            stream->close(stream);
        }
        memory->limit = 0;
        if (status) {
            assert_true(status == SATCHEL_MEMORY_LIMIT || status == SATCHEL_OUT_OF_MEMORY);
            failures++;
        }
        assert_int_equal(fake.released, 1);
        assert_true(memory->now <= before + 4096); /* scratch of connections may stay */
    }
    assert_int_equal(status, SATCHEL_OK);
    assert_true(failures > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ask_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_streamed_and_cited),
        TEST(the_prompt_has_the_passages_in_order),
        TEST(weak_evidence_is_refused_before_the_model_is_asked),
        TEST(a_model_that_declines_is_a_refusal),
        TEST(what_only_begins_like_a_refusal_is_text),
        TEST(passages_fill_the_room_and_the_last_is_cut),
        TEST(too_little_room_is_said),
        TEST(history_gives_way_oldest_first),
        TEST(text_of_any_model_is_resolved),
        TEST(text_that_shrinks_or_changes_is_refused),
        TEST(a_stream_outlives_its_prepared),
        TEST(weak_evidence_is_told_and_not_in_the_way),
        TEST(failures_of_the_model_end_the_answer),
        TEST(a_cancel_is_heeded_between_tokens),
        TEST(failures_of_memory_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
