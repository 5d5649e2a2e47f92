package relance.bench;

import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

import java.nio.ByteBuffer;
import java.util.function.Function;

/** Fixed-width binary forms for the repartition topic and the store: the fastest that Kafka Streams can be given. */
final class Packed {
    private Packed() {}

    /** A session's aggregate. */
    record Session(int events, long totalMinor) {
        Session with(Event event) {
            return new Session(events + 1, Math.max(totalMinor, event.totalMinor()));
        }

        Session with(Session other) {
            return new Session(events + other.events, Math.max(totalMinor, other.totalMinor));
        }
    }

    static Serde<Event> event() {
        return serde(
                event -> ByteBuffer.allocate(8).putLong(event.totalMinor()).array(),
                buffer -> new Event(null, buffer.getLong()));
    }

    static Serde<Session> session() {
        return serde(
                session -> ByteBuffer.allocate(12).putInt(session.events()).putLong(session.totalMinor()).array(),
                buffer -> new Session(buffer.getInt(), buffer.getLong()));
    }

    private static <T> Serde<T> serde(Function<T, byte[]> write, Function<ByteBuffer, T> read) {
        Serializer<T> serializer = (topic, value) -> value == null ? null : write.apply(value);
        Deserializer<T> deserializer = (topic, bytes) -> bytes == null ? null : read.apply(ByteBuffer.wrap(bytes));
        return Serdes.serdeFrom(serializer, deserializer);
    }
}
