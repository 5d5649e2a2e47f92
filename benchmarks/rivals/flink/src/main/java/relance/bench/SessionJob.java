package relance.bench;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Runs the statements of a SQL file: statements end with a semicolon at the end of a line; INSERTs go into one statement
 * set, everything else is executed at once. Words {@code ${name}} are replaced by system property {@code bench.name}.
 *
 * <p>Settings come from {@code flink.conf} next to the SQL file, one {@code key: value} a line.
 */
public final class SessionJob {
    private SessionJob() {}

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment(configuration(Path.of(args[0])));
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        StatementSet inserts = tables.createStatementSet();
        for (String statement : filled(Path.of(args[1])).split(";\\s*\\n")) {
            String text = statement.strip();
            if (text.regionMatches(true, 0, "INSERT", 0, 6)) {
                inserts.addInsertSql(text);
            } else if (!text.isEmpty()) {
                tables.executeSql(text);
            }
        }
        if (Boolean.getBoolean("bench.explain")) {
            System.out.println(inserts.explain());
            return;
        }
        inserts.execute().await();
    }

    private static Configuration configuration(Path file) throws Exception {
        Configuration configuration = new Configuration();
        for (String line : filled(file).split("\\n")) {
            int colon = line.indexOf(": ");
            if (colon > 0 && !line.startsWith("#")) {
                configuration.setString(line.substring(0, colon).strip(), line.substring(colon + 2).strip());
            }
        }
        return configuration;
    }

    private static String filled(Path file) throws Exception {
        String text = Files.readString(file).replaceAll("(?m)^--.*\\n", "");
        for (String name : System.getProperties().stringPropertyNames()) {
            if (name.startsWith("bench.")) {
                text = text.replace("${" + name.substring("bench.".length()) + "}", System.getProperty(name));
            }
        }
        return text;
    }
}
