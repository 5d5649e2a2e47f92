package relance.bench;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.processor.TimestampExtractor;

/**
 * Event time: {@code time} of the CloudEvent on the input topic; on the repartition topic the record has it already.
 * It is found by its place behind its name, so that no event is parsed twice.
 */
public final class TimeOfEvent implements TimestampExtractor {
    private static final byte[] NAME = "\"time\":\"".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    private static final int LENGTH = "2026-11-22T10:00:00.000Z".length();

    @Override
    public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
        if (!(record.value() instanceof byte[] json)) {
            return record.timestamp();
        }
        int start = place(json) + NAME.length;
        String text = new String(json, start, LENGTH, java.nio.charset.StandardCharsets.US_ASCII);
        return java.time.Instant.parse(text).toEpochMilli();
    }

    private static int place(byte[] json) {
        for (int at = 0; at < json.length - NAME.length - LENGTH; at++) {
            if (java.util.Arrays.equals(json, at, at + NAME.length, NAME, 0, NAME.length)) {
                return at;
            }
        }
        throw new IllegalArgumentException("an event without time");
    }
}
