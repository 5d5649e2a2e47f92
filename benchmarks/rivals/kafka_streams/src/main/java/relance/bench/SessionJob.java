package relance.bench;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.SessionStore;

import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;

/** Session windows on JSON events: re-keyed by visitor, RocksDB, one result when a session closes. */
public final class SessionJob {
    private static final long BIG_CART_MINOR = 50_000;
    /** More than gap and grace: what is due is looked at once a second, and must not have expired by then. */
    private static final Duration RETENTION = Duration.ofMinutes(5);

    private SessionJob() {}

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        try (FileInputStream file = new FileInputStream(args[0])) {
            settings.load(file);
        }
        settings.put("bootstrap.servers", System.getProperty("bench.kafka"));
        settings.put("application.id", System.getProperty("bench.group"));
        settings.put("state.dir", System.getProperty("bench.state"));
        settings.put("default.timestamp.extractor", TimeOfEvent.class.getName());
        StreamsBuilder builder = new StreamsBuilder();
        build(builder, seconds("bench.gap"), seconds("bench.grace"));
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(10));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }

    private static Duration seconds(String property) {
        return Duration.ofMillis(Math.round(Double.parseDouble(System.getProperty(property)) * 1000));
    }

    private static void build(StreamsBuilder builder, Duration gap, Duration grace) {
        // With the key as given the visitor is read twice for nothing, but no repartition topic is needed.
        KStream<String, Event> events = builder
                .stream(System.getProperty("bench.input"), Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .mapValues(Event::parse);
        KGroupedStream<String, Event> visitors = Boolean.getBoolean("bench.rekey")
                ? events.groupBy((key, event) -> event.visitor(), Grouped.with("visitors", Serdes.String(), Packed.event()))
                : events.groupByKey(Grouped.with(Serdes.String(), Packed.event()));
        SessionWindowedKStream<String, Event> sessions = visitors
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(gap, grace))
                .emitStrategy(EmitStrategy.onWindowClose());
        sessions.aggregate(
                        () -> new Packed.Session(0, Event.NO_TOTAL),
                        (visitor, event, session) -> session.with(event),
                        (visitor, one, other) -> one.with(other),
                        Materialized.<String, Packed.Session, SessionStore<Bytes, byte[]>>as("sessions")
                                .withRetention(RETENTION)
                                .withKeySerde(Serdes.String())
                                .withValueSerde(Packed.session()))
                .toStream()
                .flatMap(SessionJob::results)
                .to(System.getProperty("bench.output"), Produced.with(Serdes.String(), Serdes.ByteArray()));
    }

    private static List<KeyValue<String, byte[]>> results(Windowed<String> visitor, Packed.Session session) {
        List<KeyValue<String, byte[]>> results = new ArrayList<>(2);
        results.add(KeyValue.pair(visitor.key(), json("ended", visitor, session)));
        if (session.totalMinor() >= BIG_CART_MINOR) {
            results.add(KeyValue.pair(visitor.key(), json("abandoned", visitor, session)));
        }
        return results;
    }

    private static byte[] json(String kind, Windowed<String> visitor, Packed.Session session) {
        String total = session.totalMinor() == Event.NO_TOTAL ? "null" : Long.toString(session.totalMinor());
        String text = "{\"kind\":\"" + kind + "\",\"visitor\":\"" + visitor.key() + "\",\"events\":" + session.events()
                + ",\"total_minor\":" + total + ",\"session_start\":" + visitor.window().start()
                + ",\"session_end\":" + visitor.window().end() + "}";
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
