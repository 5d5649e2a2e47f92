package relance.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;

import java.io.IOException;

/** What the topology needs of a CloudEvent but its time; read with a streaming parser, so that nothing else is built. */
record Event(String visitor, long totalMinor) {
    static final long NO_TOTAL = Long.MIN_VALUE;
    private static final JsonFactory JSON = new JsonFactory();

    static Event parse(byte[] json) {
        String visitor = null;
        long totalMinor = NO_TOTAL;
        try (JsonParser parser = JSON.createParser(json)) {
            parser.nextToken();
            while (parser.nextToken() != JsonToken.END_OBJECT) {
                String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "visitorid" -> visitor = parser.getText();
                    case "data" -> totalMinor = total(parser);
                    default -> parser.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new IllegalArgumentException("not a CloudEvent", error);
        }
        return new Event(visitor, totalMinor);
    }

    private static long total(JsonParser parser) throws IOException {
        long totalMinor = NO_TOTAL;
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            parser.nextToken();
            if ("total_minor".equals(name)) {
                totalMinor = parser.getLongValue();
            } else {
                parser.skipChildren();
            }
        }
        return totalMinor;
    }
}
