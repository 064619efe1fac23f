// Java calls the package: blocking, with try-with-resources, and brings an embedder, a generator and a reader.
package dev.satchel.test;

import dev.satchel.AnswerEvent;
import dev.satchel.AskOptions;
import dev.satchel.BlockingGenerator;
import dev.satchel.CancelSignal;
import dev.satchel.CancelledException;
import dev.satchel.CitationEvent;
import dev.satchel.Context;
import dev.satchel.Embedder;
import dev.satchel.EventStream;
import dev.satchel.GeneratorRequest;
import dev.satchel.Hit;
import dev.satchel.Model;
import dev.satchel.NotFoundException;
import dev.satchel.Reader;
import dev.satchel.ReaderOutput;
import dev.satchel.Role;
import dev.satchel.SatchelException;
import dev.satchel.Status;
import dev.satchel.Store;
import dev.satchel.StoreOptions;
import dev.satchel.SyncEvent;
import dev.satchel.TokenEvent;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import kotlin.jvm.functions.Function0;

public final class Caller {
    private Caller() {
    }

    private static final class Letters implements Embedder {
        @Override public String getId() { return "letters"; }
        @Override public int getDimension() { return 16; }
        @Override public int getMaxTokens() { return 64; }

        @Override public List<float[]> embed(List<String> texts, Role role, Function0<Boolean> cancelled) {
            List<float[]> vectors = new ArrayList<>();
            for (String text : texts) {
                float[] vector = new float[16];
                double sum = 0;
                for (char unit : text.toCharArray()) vector[unit % 16]++;
                for (float value : vector) sum += value * value;
                for (int i = 0; i < 16; i++) vector[i] = sum == 0 ? 0.25f : (float) (vector[i] / Math.sqrt(sum));
                vectors.add(vector);
            }
            return vectors;
        }
    }

    private static final class Parrot extends BlockingGenerator {
        @Override public String getId() { return "parrot"; }
        @Override public int getContextTokens() { return 2048; }

        @Override public Iterator<String> pieces(GeneratorRequest request) {
            return Arrays.asList("Bread ", "needs ", "flour ", "[1].").iterator();
        }
    }

    private static final class Backwards implements Reader {
        @Override public String getId() { return "backwards"; }
        @Override public List<String> getMediaTypes() { return Collections.singletonList("text/x-back"); }
        @Override public List<String> getExtensions() { return Collections.singletonList("back"); }

        @Override public void read(String mediaType, byte[] data, ReaderOutput output) {
            output.title("Turned");
            output.page(7);
            output.text(new StringBuilder(new String(data, StandardCharsets.UTF_8)).reverse().toString());
        }
    }

    /** Gives what went wrong, or "". */
    public static String run(String folder) {
        try (Context context = new Context(); Model embedder = Model.of(new Letters(), context);
             Model generator = Model.of(new Parrot(), context)) {
            StoreOptions options = new StoreOptions();
            options.setEmbedder(embedder);
            try (Store store = Store.openBlocking(folder + "/a.satchel", options, context)) {
                store.addReader(new Backwards());
                store.addBlocking("bread", "Bread needs flour and water.");
                store.addBlocking("turned.back", "sretsbol era ereh".getBytes(StandardCharsets.UTF_8));
                Hit hit = store.searchBlocking("lobsters").get(0);
                if (!hit.getTitle().equals("Turned") || hit.getPage() != 7) return "hit: " + hit.getTitle();
                AskOptions ask = new AskOptions();
                ask.setGenerator(generator);
                ask.setRefusalThreshold(-1f);
                StringBuilder text = new StringBuilder();
                int citations = 0;
                try (EventStream<AnswerEvent> events = store.askBlocking("What does bread need?", ask)) {
                    for (AnswerEvent event : events) {
                        if (event instanceof TokenEvent) text.append(((TokenEvent) event).getText());
                        if (event instanceof CitationEvent) citations++;
                    }
                }
                if (!text.toString().equals("Bread needs flour [1].") || citations != 1)
                    return "answer: " + text + ", " + citations + " citations";
                try {
                    store.textBlocking("absent");
                    return "no exception";
                } catch (NotFoundException expected) {
                    SatchelException any = expected;
                    if (any.getStatus() != Status.NOT_FOUND || any.getCode() != -5) return "status";
                }
                CancelSignal signal = new CancelSignal();
                signal.cancel();
                dev.satchel.SyncOptions all = new dev.satchel.SyncOptions();
                try (EventStream<SyncEvent> events = store.syncBlocking(folder, all, signal)) {
                    for (SyncEvent ignored : events) { }
                    return "not cancelled";
                } catch (CancelledException expected) {
                    return "";
                }
            }
        }
    }
}
