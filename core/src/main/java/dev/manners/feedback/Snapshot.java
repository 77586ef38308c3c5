package dev.manners.feedback;

import dev.manners.files.Json;
import java.nio.charset.StandardCharsets;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jdbi.v3.core.Handle;

/// A store as it was at one moment, whatever is written meanwhile. Rows are read one at a time, in the order of
/// arrival.
/// For one thread.
public final class Snapshot implements AutoCloseable {

    static final String VERDICTS = """
            SELECT v.number, v.id, t.id AS task, a.name, v.occasion, v.kind, v.content, v.supersedes, v.late,
                v.created_at
            FROM verdict v JOIN task t ON t.number = v.task JOIN annotator a ON a.number = v.annotator""";

    private final Database database;
    private final Handle reader;
    private final long through;

    Snapshot(Database database) {
        this.database = database;
        this.reader = database.reader();
        this.reader.begin();
        // The first question is what fixes the moment.
        this.through = count("SELECT COALESCE(MAX(number), 0) FROM verdict");
    }

    /// The number of the newest verdict; 0 if there is none.
    public long through() {
        return through;
    }

    /// How many tasks there are.
    public long tasks() {
        return count("SELECT COUNT(*) FROM task");
    }

    /// How many tasks have two answers or more that can be shown.
    public long servable() {
        return count("SELECT COUNT(*) FROM task WHERE servable = 1");
    }

    /// How many tasks have at least this many annotators whose first verdict counts.
    public long done(int overlap) {
        return database.guarded(
                () -> reader.createQuery("SELECT COUNT(*) FROM task WHERE servable = 1 AND done >= :overlap")
                        .bind("overlap", overlap)
                        .mapTo(long.class)
                        .one());
    }

    private long count(String sql) {
        return database.guarded(() -> reader.createQuery(sql).mapTo(long.class).one());
    }

    /// Every task.
    public void forEachTask(Consumer<Task> each) {
        database.guarded(() -> {
            reader.createQuery("SELECT number, content FROM task ORDER BY number")
                    .map((row, _) -> task(row))
                    .forEach(each);
            return true;
        });
    }

    /// Every verdict, those superseded too.
    ///
    /// @param last number of the last one wanted
    public void forEachVerdict(long last, Consumer<Recorded> each) {
        database.guarded(() -> {
            reader.createQuery(VERDICTS + " WHERE v.number <= :last ORDER BY v.number")
                    .bind("last", last)
                    .map((row, _) -> recorded(row))
                    .forEach(each);
            return true;
        });
    }

    /// Every verdict that stood when verdict `last` had come, with its task: none that a later one up to there
    /// supersedes.
    public void forEachStanding(long last, BiConsumer<Task, Recorded> each) {
        record Judged(Task task, Recorded recorded) {}
        database.guarded(() -> {
            reader.createQuery(VERDICTS.replace("SELECT ", "SELECT t.content AS task_content, ") + """
                     WHERE v.number <= :last
                    AND NOT EXISTS (SELECT 1 FROM verdict w WHERE w.supersedes = v.id AND w.number <= :last)
                    ORDER BY v.number""")
                    .bind("last", last)
                    .map((row, _) -> new Judged(
                            Task.of(parse("task " + row.getString("task"), row.getString("task_content"))),
                            recorded(row)))
                    .forEach(judged -> each.accept(judged.task(), judged.recorded()));
            return true;
        });
    }

    private static Task task(ResultSet row) throws SQLException {
        return Task.of(parse("task " + row.getLong("number"), row.getString("content")));
    }

    static Recorded recorded(ResultSet row) throws SQLException {
        long number = row.getLong("number");
        return new Recorded(
                number,
                Recorded.verdict(
                        parse("verdict " + number, row.getString("content")),
                        row.getString("id"),
                        row.getString("task"),
                        row.getString("name"),
                        row.getInt("occasion"),
                        Ranking.Kind.valueOf(row.getString("kind")),
                        row.getString("supersedes")),
                row.getInt("late") == 1,
                Instant.ofEpochMilli(row.getLong("created_at")));
    }

    private static Fields parse(String what, String json) {
        return Fields.of(what, Json.parseObject(json.getBytes(StandardCharsets.UTF_8), what));
    }

    @Override
    public void close() {
        reader.rollback();
        reader.close();
    }
}
